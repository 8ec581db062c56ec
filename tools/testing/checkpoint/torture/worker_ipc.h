/* SPDX-License-Identifier: GPL-2.0 */
/*
 * cr_worker: processes and threads that talk to each other.
 */
#ifndef _WORKER_IPC_H
#define _WORKER_IPC_H

#include "worker.h"

/* ---- pipes: sequence numbers and data around a ring ---- */

#define RING		3
#define RING_WORDS	700
#define RING_WINDOW	4

struct packet {
	uint64_t seq;
	uint64_t words;
	uint64_t data[RING_WORDS];
};

#define PACKET_HEAD	(2 * sizeof(uint64_t))

static bool packet_get(int fd, struct packet *p, uint64_t seq)
{
	if (!get(fd, p, PACKET_HEAD))
		return false;
	same("number of the packet", seq, p->seq);
	same("length of the packet", 1 + mix(seq) % RING_WORDS, p->words);
	MUST(get(fd, p->data, p->words * 8));
	verify("packet", p->data, p->words, mix(seq));
	return true;
}

static void packet_put(int fd, struct packet *p, uint64_t seq)
{
	p->seq = seq;
	p->words = 1 + mix(seq) % RING_WORDS;
	fill(p->data, p->words, mix(seq));
	put(fd, p, PACKET_HEAD + p->words * 8);
}

static void ring_pass(int in, int out)
{
	struct packet p;
	uint64_t seq;

	for (seq = 0; packet_get(in, &p, seq); seq++)
		packet_put(out, &p, seq);
	_exit(0);
}

static void work_pipe(void)
{
	int fd[RING][2], i, k;
	uint64_t sent = 0, received = 0;
	pid_t pid[RING];
	struct packet p;

	for (i = 0; i < RING; i++)
		MUST(!pipe(fd[i]));
	for (i = 1; i < RING; i++) {
		pid[i] = start();
		if (pid[i])
			continue;
		for (k = 0; k < RING; k++) {
			if (k != i - 1)
				close(fd[k][0]);
			if (k != i)
				close(fd[k][1]);
		}
		ring_pass(fd[i - 1][0], fd[i][1]);
	}
	for (k = 0; k < RING; k++) {
		if (k)
			close(fd[k][1]);
		if (k != RING - 1)
			close(fd[k][0]);
	}
	for (;;) {
		if (sent - received < RING_WINDOW && (sent % 16 || !stopped()))
			packet_put(fd[0][1], &p, sent++);
		else if (received < sent)
			MUST(packet_get(fd[RING - 1][0], &p, received++));
		else
			break;
	}
	close(fd[0][1]);
	MUST(!packet_get(fd[RING - 1][0], &p, received));
	for (i = 1; i < RING; i++)
		reap(pid[i], 0);
}

/* ---- futexes: a token between threads, and counts that must add up ---- */

#define THREADS		4

static uint32_t token;
static uint64_t turns[THREADS], together, apart[THREADS];
static bool threads_stop;
static pthread_mutex_t together_lock = PTHREAD_MUTEX_INITIALIZER;

static void *futex_thread(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	uint32_t now;
	bool last;

	for (;;) {
		now = __atomic_load_n(&token, __ATOMIC_ACQUIRE);
		if (now % THREADS != me) {
			futex_wait_change(&token, now);
			continue;
		}
		turns[me]++;
		/* the first one ends it, and the others in their turn */
		if (!me && now % 64 == 0 && stopped())
			threads_stop = true;
		pthread_mutex_lock(&together_lock);
		together++;
		apart[me]++;
		pthread_mutex_unlock(&together_lock);
		last = threads_stop;
		__atomic_store_n(&token, now + 1, __ATOMIC_RELEASE);
		futex_wake_all(&token);
		if (last)
			return NULL;
		/* not in turn: contend for the lock */
		pthread_mutex_lock(&together_lock);
		together++;
		apart[me]++;
		pthread_mutex_unlock(&together_lock);
	}
}

static void work_futex(void)
{
	pthread_t thread[THREADS];
	uint64_t sum = 0, all = 0;
	uintptr_t i;

	for (i = 1; i < THREADS; i++)
		MUST(!pthread_create(&thread[i], NULL, futex_thread, (void *)i));
	futex_thread(NULL);
	for (i = 1; i < THREADS; i++)
		MUST(!pthread_join(thread[i], NULL));
	for (i = 0; i < THREADS; i++) {
		sum += turns[i];
		all += apart[i];
		if (turns[i] != turns[0])
			wrong("thread %zu had %llu turns, the first %llu", (size_t)i,
			      (unsigned long long)turns[i], (unsigned long long)turns[0]);
	}
	same("turns of all threads", token, (uint32_t)sum);
	same("count under the lock", all, together);
}

/* ---- shared memory between processes ---- */

#define SHM_PROCESSES	3
#define SHM_BLOCKS	40

struct shared {
	uint32_t token;
	uint32_t stop;
	uint64_t pad[PAGE_WORDS - 1];
	uint64_t block[SHM_BLOCKS][PAGE_WORDS];
};

/* Each in its turn verifies what the one before has written, and writes. */
static void shm_process(struct shared *s, uint32_t me)
{
	uint32_t now, was;

	for (;;) {
		now = __atomic_load_n(&s->token, __ATOMIC_ACQUIRE);
		if (now % SHM_PROCESSES != me) {
			futex_wait_change(&s->token, now);
			continue;
		}
		was = now - 1;
		verify("shared memory", s->block[was % SHM_BLOCKS], PAGE_WORDS, mix(was));
		was = now - SHM_BLOCKS;
		verify("shared memory", s->block[was % SHM_BLOCKS], PAGE_WORDS, mix(was));
		fill(s->block[now % SHM_BLOCKS], PAGE_WORDS, mix(now));
		if (!me && now % 32 < SHM_PROCESSES && stopped())
			s->stop = 1;
		was = s->stop;
		__atomic_store_n(&s->token, now + 1, __ATOMIC_RELEASE);
		futex_wake_all(&s->token);
		if (was)
			return;
	}
}

static void work_shm(void)
{
	struct shared *s = map_new(sizeof(*s), MAP_SHARED);
	pid_t pid[SHM_PROCESSES];
	uint32_t i;

	/* numbers wrap to where all is the same again */
	s->token = SHM_PROCESSES * SHM_BLOCKS;
	for (i = 0; i < SHM_BLOCKS; i++)
		fill(s->block[(s->token - 1 - i) % SHM_BLOCKS], PAGE_WORDS,
		     mix(s->token - 1 - i));
	for (i = 1; i < SHM_PROCESSES; i++) {
		pid[i] = start();
		if (!pid[i]) {
			shm_process(s, i);
			_exit(0);
		}
	}
	shm_process(s, 0);
	for (i = 1; i < SHM_PROCESSES; i++)
		reap(pid[i], 0);
}

/* ---- eventfd, epoll ---- */

/* Sums up what comes, and answers with the sum when told 1 << 32 or more. */
static void event_child(int events, int bytes, int answer)
{
	struct epoll_event ev[2] = {
		{ .events = EPOLLIN, .data.fd = events },
		{ .events = EPOLLIN | EPOLLET, .data.fd = bytes },
	};
	int ep = epoll_create1(EPOLL_CLOEXEC), n;
	uint64_t sum = 0, nr_bytes = 0, v;
	char buf[64];
	ssize_t got;

	MUST(ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, events, &ev[0]) &&
	     !epoll_ctl(ep, EPOLL_CTL_ADD, bytes, &ev[1]));
	for (;;) {
		n = epoll_wait(ep, ev, 2, LOST_SECONDS * 1000);
		if (!n)
			wrong("no event: %llu and %llu bytes so far", (unsigned long long)sum,
			      (unsigned long long)nr_bytes);
		MUST(n > 0);
		while (n--) {
			if (ev[n].data.fd == events) {
				MUST(read(events, &v, sizeof(v)) == sizeof(v));
				sum += v;
				continue;
			}
			while ((got = read(bytes, buf, sizeof(buf))) > 0)
				nr_bytes += got;
			if (!got)
				_exit(0);
			MUST(errno == EAGAIN);
		}
		/* the other side waits when it has sent the high bit, after the bytes */
		if (sum >> 32 && nr_bytes >= (uint32_t)sum) {
			put(answer, &sum, sizeof(sum));
			put(answer, &nr_bytes, sizeof(nr_bytes));
			sum = 0;
			nr_bytes = 0;
		}
	}
}

static void work_event(void)
{
	int events = eventfd(0, EFD_CLOEXEC), bytes[2], answer[2], i, nr;
	uint64_t sum, v, found[2];
	char buf[64] = "";
	pid_t pid;

	MUST(events >= 0 && !pipe2(bytes, O_NONBLOCK) && !pipe(answer));
	pid = start();
	if (!pid) {
		close(bytes[1]);
		event_child(events, bytes[0], answer[1]);
	}
	close(bytes[0]);
	close(answer[1]);
	while (!stopped()) {
		sum = 0;
		nr = 1 + rnd(40);
		for (i = 0; i < nr; i++) {
			v = 1 + rnd(sizeof(buf));
			put(events, &v, sizeof(v));
			put(bytes[1], buf, v);
			sum += v;
		}
		v = 1ULL << 32;
		put(events, &v, sizeof(v));
		MUST(get(answer[0], found, sizeof(found)));
		same("sum of the events", sum + v, found[0]);
		same("bytes of the pipe", sum, found[1]);
	}
	close(bytes[1]);
	reap(pid, 0);
}

#endif /* _WORKER_IPC_H */
