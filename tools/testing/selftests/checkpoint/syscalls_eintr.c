// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: system calls with a timeout of which nobody knows how much
 * is left, as signal(7) lists them. A checkpoint ends them with EINTR, in the
 * original and in the copy, as SIGSTOP and SIGCONT do.
 */
#include <linux/aio_abi.h>
#include <sys/sem.h>

#include "socket_help.h"
#include "task_help.h"

#define PORT	7305
/* Nothing but the checkpoint ends a call. */
#define FOREVER	1000000

static const struct timespec forever = { FOREVER, 0 };

static struct {
	struct cr_child *c;
	pid_t tid;
	int fd;
	int sem;
} g;

static long in_sigtimedwait(void)
{
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return syscall(SYS_rt_sigtimedwait, &set, &info, &forever, 8);
}

static long in_semtimedop(void)
{
	struct sembuf down = { 0, -1, 0 };

	return syscall(SYS_semtimedop, g.sem, &down, 1, &forever);
}

static long in_accept(void)
{
	return syscall(SYS_accept4, g.fd, NULL, NULL, 0);
}

static const struct call {
	const char *name;
	long nr;
	long (*fn)(void);
} calls[] = {
	{ "rt_sigtimedwait", SYS_rt_sigtimedwait, in_sigtimedwait },
	{ "semtimedop", SYS_semtimedop, in_semtimedop },
	{ "accept4", SYS_accept4, in_accept },
};

static const struct call *call;

static void *thread_main(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	STORE(g.tid, gettid());
	CR_CHECK(g.c, call->fn() == -1 && errno == EINTR);
	return NULL;
}

static void start(struct cr_child *c, pthread_t *thread, void *(*fn)(void *), long nr)
{
	g.c = c;
	STORE(g.tid, 0);
	CR_CHECK(c, !pthread_create(thread, NULL, fn, NULL));
	while (!LOAD(g.tid))
		cr_sleep_ms(1);
	wait_in_syscall(c, g.tid, nr);
}

static void do_call(struct cr_child *c)
{
	struct timeval tv = { FOREVER, 0 };
	pthread_t thread;

	g.fd = sk_listen("127.0.0.1", PORT, 1);
	CR_CHECK(c, g.fd >= 0);
	CR_CHECK(c, !setsockopt(g.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	start(c, &thread, thread_main, call->nr);
	cr_ready(c);
	CR_CHECK(c, !pthread_join(thread, NULL));
}

TEST(with_a_timeout)
{
	unsigned int i;

	sk_own_net(_metadata);
	g.sem = semget(IPC_PRIVATE, 1, 0600);
	ASSERT_LE(0, g.sem);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		call = &calls[i];
		TH_LOG("%s", call->name);
		cr_both_ways(_metadata, do_call, 0);
	}
	EXPECT_EQ(0, semctl(g.sem, 0, IPC_RMID));
}

/* ---- asynchronous I/O is refused, so there is an original only: it waits on ---- */

static aio_context_t aio;

static void *in_getevents(void *arg)
{
	struct io_event event;

	STORE(g.tid, gettid());
	CR_CHECK(g.c, syscall(SYS_io_getevents, aio, 1L, 1L, &event, NULL) == 1);
	CR_CHECK(g.c, event.res == 4);
	return NULL;
}

static void do_getevents(struct cr_child *c)
{
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_buf = (unsigned long)"data",
		.aio_nbytes = 4,
	}, *list[] = { &cb };
	pthread_t thread;

	CR_CHECK(c, !syscall(SYS_io_setup, 1, &aio));
	start(c, &thread, in_getevents, SYS_io_getevents);
	cr_ready(c);
	/* it would have returned already */
	cr_sleep_ms(50);
	cb.aio_fildes = open("data", O_WRONLY | O_CREAT, 0600);
	CR_CHECK(c, syscall(SYS_io_submit, aio, 1L, list) == 1);
	CR_CHECK(c, !pthread_join(thread, NULL));
}

TEST(getevents_of_a_refused_one)
{
	cr_refused(_metadata, do_getevents, EOPNOTSUPP, "asynchronous I/O");
}

TEST_HARNESS_MAIN
