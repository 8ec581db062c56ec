// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: threads and what the C library keeps for them. */
#include "task_help.h"

#include <sys/rseq.h>

#define NR_THREADS	20

static __thread unsigned long tls[64];

static struct {
	struct cr_child *c;
	pthread_barrier_t set_up;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pid_t tid[NR_THREADS];
	unsigned long loops;
	unsigned long turn;
	int go;
} g;

static void init(struct cr_child *c, int nr)
{
	memset(&g, 0, sizeof(g));
	g.c = c;
	pthread_barrier_init(&g.set_up, NULL, nr + 1);
	pthread_mutex_init(&g.mutex, NULL);
	pthread_cond_init(&g.cond, NULL);
}

static void start(pthread_t *thread, void *(*fn)(void *), long arg)
{
	CR_CHECK(g.c, !pthread_create(thread, NULL, fn, (void *)arg));
}

/* ---- names, tids, thread-local storage ---- */

static void *with_tls(void *arg)
{
	long n = (long)arg, i;
	char name[16], now[16];

	for (i = 0; i < 64; i++)
		tls[i] = n * 1000 + i;
	snprintf(name, sizeof(name), "thread-%ld", n);
	prctl(PR_SET_NAME, name);
	g.tid[n] = gettid();
	pthread_barrier_wait(&g.set_up);
	cr_wait_go(g.c);
	for (i = 0; i < 64; i++)
		CR_CHECK(g.c, tls[i] == (unsigned long)(n * 1000 + i));
	CR_CHECK(g.c, gettid() == g.tid[n]);
	CR_CHECK(g.c, !prctl(PR_GET_NAME, now) && !strcmp(now, name));
	return (void *)(n + 1);
}

static void names_and_tls(struct cr_child *c)
{
	pthread_t thread[NR_THREADS];
	void *ret;
	long i;

	init(c, NR_THREADS);
	for (i = 0; i < NR_THREADS; i++)
		start(&thread[i], with_tls, i);
	pthread_barrier_wait(&g.set_up);
	cr_ready(c);
	/* Joining waits for the kernel to clear the tid on exit. */
	for (i = 0; i < NR_THREADS; i++) {
		CR_CHECK(c, !pthread_join(thread[i], &ret));
		CR_CHECK(c, ret == (void *)(i + 1));
	}
}

TEST(names_tids_and_tls)
{
	cr_both_ways(_metadata, names_and_tls, 0);
}

/* ---- locks ---- */

/* Takes turns with the others: every step is a wait on the condition. */
static void *in_turns(void *arg)
{
	unsigned long n = (long)arg;

	pthread_barrier_wait(&g.set_up);
	pthread_mutex_lock(&g.mutex);
	while (!g.go) {
		while (g.turn % NR_THREADS != n && !g.go)
			pthread_cond_wait(&g.cond, &g.mutex);
		g.turn++;
		g.loops++;
		pthread_cond_broadcast(&g.cond);
	}
	pthread_mutex_unlock(&g.mutex);
	return NULL;
}

static void contention(struct cr_child *c)
{
	unsigned long before;
	pthread_t thread[NR_THREADS];
	long i;

	init(c, NR_THREADS);
	for (i = 0; i < NR_THREADS; i++)
		start(&thread[i], in_turns, i);
	pthread_barrier_wait(&g.set_up);
	cr_ready(c);
	before = __atomic_load_n(&g.loops, __ATOMIC_RELAXED);
	while (__atomic_load_n(&g.loops, __ATOMIC_RELAXED) < before + 2 * NR_THREADS)
		cr_sleep_ms(1);
	pthread_mutex_lock(&g.mutex);
	g.go = 1;
	pthread_cond_broadcast(&g.cond);
	pthread_mutex_unlock(&g.mutex);
	for (i = 0; i < NR_THREADS; i++)
		CR_CHECK(c, !pthread_join(thread[i], NULL));
	CR_CHECK(c, g.turn == g.loops);
}

TEST(locks_under_contention)
{
	cr_both_ways(_metadata, contention, 0);
}

static pthread_mutex_t robust;

static void *dies_with_lock(void *arg)
{
	CR_CHECK(g.c, !pthread_mutex_lock(&robust));
	pthread_barrier_wait(&g.set_up);
	cr_wait_go(g.c);
	return NULL;
}

static void robust_list(struct cr_child *c)
{
	pthread_mutexattr_t attr;
	pthread_t thread;

	init(c, 1);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	CR_CHECK(c, !pthread_mutex_init(&robust, &attr));
	start(&thread, dies_with_lock, 0);
	pthread_barrier_wait(&g.set_up);
	cr_ready(c);
	/* The kernel walks the robust list of the thread that ends. */
	CR_CHECK(c, pthread_mutex_lock(&robust) == EOWNERDEAD);
	CR_CHECK(c, !pthread_mutex_consistent(&robust));
	CR_CHECK(c, !pthread_mutex_unlock(&robust));
	CR_CHECK(c, !pthread_join(thread, NULL));
}

TEST(robust_mutex)
{
	cr_both_ways(_metadata, robust_list, 0);
}

/* ---- restartable sequences ---- */

static struct rseq *own_rseq(void)
{
	return (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* The kernel keeps the area up to date on every CPU the thread is moved to. */
static void rseq_check(struct cr_child *c)
{
	cpu_set_t all, one;
	int cpu;

	CR_CHECK(c, !sched_getaffinity(0, sizeof(all), &all));
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		CR_CHECK(c, !sched_setaffinity(0, sizeof(one), &one));
		CR_CHECK(c, LOAD(own_rseq()->cpu_id) == (unsigned int)cpu);
		CR_CHECK(c, sched_getcpu() == cpu);
	}
	CR_CHECK(c, !sched_setaffinity(0, sizeof(all), &all));
}

static void *with_rseq(void *arg)
{
	pthread_barrier_wait(&g.set_up);
	cr_wait_go(g.c);
	rseq_check(g.c);
	return NULL;
}

static void rseq_workload(struct cr_child *c)
{
	pthread_t thread[4];
	long i;

	init(c, 4);
	for (i = 0; i < 4; i++)
		start(&thread[i], with_rseq, i);
	pthread_barrier_wait(&g.set_up);
	cr_ready(c);
	rseq_check(c);
	for (i = 0; i < 4; i++)
		CR_CHECK(c, !pthread_join(thread[i], NULL));
}

TEST(rseq)
{
	if (!__rseq_size)
		SKIP(return, "the C library does not use rseq");
	cr_both_ways(_metadata, rseq_workload, 0);
}

/* ---- threads that come and go while others are dumped ---- */

static void *short_lived(void *arg)
{
	return arg;
}

static void churn(struct cr_child *c)
{
	pthread_t thread;
	int n;

	init(c, 0);
	cr_ready(c);
	/* A copy can make threads as the original could. */
	for (n = 0; n < 50; n++) {
		start(&thread, short_lived, n);
		CR_CHECK(c, !pthread_join(thread, NULL));
	}
}

TEST(new_threads_afterwards)
{
	cr_both_ways(_metadata, churn, 0);
}

TEST_HARNESS_MAIN
