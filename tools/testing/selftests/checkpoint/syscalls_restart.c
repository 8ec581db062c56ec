// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: system calls that sleep while the checkpoint is made go
 * on, in the original and in the copy: none of them may return EINTR.
 */
#include "task_help.h"

#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/sem.h>

/* Longer than it takes to checkpoint, to restart and to tell it to go on. */
#define TIMEOUT_MS	1500

static struct {
	struct cr_child *c;
	pid_t tid;
	long nr;		/* system call that the thread sleeps in */
	int fd[2];
	unsigned int word;
	pid_t pid;
	void (*wake)(void);
} g;

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* A thread in @fn, which sleeps in system call @nr until @wake is called. */
static void asleep(struct cr_child *c, void *(*fn)(void *), long nr, void (*wake)(void))
{
	pthread_t thread;

	g.c = c;
	g.nr = nr;
	g.tid = 0;
	CR_CHECK(c, !pthread_create(&thread, NULL, fn, NULL));
	while (!LOAD(g.tid))
		cr_sleep_ms(1);
	wait_in_syscall(c, g.tid, nr);
	cr_ready(c);
	/* A wrong return would come now. */
	cr_sleep_ms(50);
	if (wake) {
		wait_in_syscall(c, g.tid, nr);
		wake();
	}
	CR_CHECK(c, !pthread_join(thread, NULL));
}

static void begin(void)
{
	STORE(g.tid, gettid());
}

static void nothing(int sig)
{
}

/* ---- sleeping for a time ---- */

static void *in_nanosleep(void *arg)
{
	struct timespec ts = { TIMEOUT_MS / 1000, TIMEOUT_MS % 1000 * 1000000 }, left = { 99, 99 };
	long long start = now_ms();

	begin();
	CR_CHECK(g.c, !nanosleep(&ts, &left));
	CR_CHECK(g.c, now_ms() - start >= TIMEOUT_MS);
	return NULL;
}

static void do_nanosleep(struct cr_child *c)
{
	asleep(c, in_nanosleep, SYS_clock_nanosleep, NULL);
}

TEST(nanosleep_for_a_time)
{
	cr_both_ways(_metadata, do_nanosleep, 0);
}

static void *in_nanosleep_raw(void *arg)
{
	struct timespec ts = { TIMEOUT_MS / 1000, TIMEOUT_MS % 1000 * 1000000 };
	long long start = now_ms();

	begin();
	CR_CHECK(g.c, !syscall(SYS_nanosleep, &ts, NULL));
	CR_CHECK(g.c, now_ms() - start >= TIMEOUT_MS);
	return NULL;
}

static void do_nanosleep_raw(struct cr_child *c)
{
	asleep(c, in_nanosleep_raw, SYS_nanosleep, NULL);
}

TEST(nanosleep_without_remainder)
{
	cr_both_ways(_metadata, do_nanosleep_raw, 0);
}

/* ---- the moment before restart_syscall() ---- */

static struct {
	int is_next;
	int may_call;
	long returned;
} last_step;

/*
 * A sleep that is interrupted goes on by restart_syscall(): the kernel returns to
 * user mode right in front of that. What it will do is remembered in the kernel,
 * also for this handler.
 */
static void before_restart_syscall(int sig)
{
	long ret = SYS_restart_syscall;

	STORE(last_step.is_next, 1);
	asm volatile("1: cmpl $0, %[may_call]\n\t"
		     "je 1b\n\t"
		     "syscall"
		     : "+a" (ret)
		     : [may_call] "m" (last_step.may_call)
		     : "rcx", "r11", "memory");
	last_step.returned = ret;
}

static void *in_handled_sleep(void *arg)
{
	struct timespec ts = { TIMEOUT_MS / 1000, TIMEOUT_MS % 1000 * 1000000 };

	begin();
	CR_CHECK(g.c, clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL) == EINTR);
	return NULL;
}

static void about_to_restart_syscall(struct cr_child *c)
{
	struct sigaction sa = { .sa_handler = before_restart_syscall };
	pthread_t thread;

	g.c = c;
	CR_CHECK(c, !sigaction(SIGUSR1, &sa, NULL));
	CR_CHECK(c, !pthread_create(&thread, NULL, in_handled_sleep, NULL));
	while (!LOAD(g.tid))
		cr_sleep_ms(1);
	wait_in_syscall(c, g.tid, SYS_clock_nanosleep);
	CR_CHECK(c, !pthread_kill(thread, SIGUSR1));
	while (!LOAD(last_step.is_next))
		cr_sleep_ms(1);
	cr_ready(c);
	STORE(last_step.may_call, 1);
	CR_CHECK(c, !pthread_join(thread, NULL));
	CR_CHECK(c, last_step.returned == 0);
}

TEST(restart_syscall_comes_next)
{
	cr_both_ways(_metadata, about_to_restart_syscall, 0);
}

static void *in_boottime_sleep(void *arg)
{
	struct timespec ts = { TIMEOUT_MS / 1000, TIMEOUT_MS % 1000 * 1000000 };

	begin();
	CR_CHECK(g.c, !clock_nanosleep(CLOCK_BOOTTIME, 0, &ts, NULL));
	return NULL;
}

static void do_boottime_sleep(struct cr_child *c)
{
	asleep(c, in_boottime_sleep, SYS_clock_nanosleep, NULL);
}

TEST(clock_nanosleep_boottime)
{
	cr_both_ways(_metadata, do_boottime_sleep, 0);
}

static void *in_absolute_sleep(void *arg)
{
	long long end = now_ms() + TIMEOUT_MS;
	struct timespec ts = { end / 1000, end % 1000 * 1000000 };

	begin();
	CR_CHECK(g.c, !clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	CR_CHECK(g.c, now_ms() >= end);
	return NULL;
}

static void do_absolute_sleep(struct cr_child *c)
{
	asleep(c, in_absolute_sleep, SYS_clock_nanosleep, NULL);
}

TEST(clock_nanosleep_absolute)
{
	cr_both_ways(_metadata, do_absolute_sleep, 0);
}

/* A handler still makes it return early, with the time that is left. */
static void *in_interrupted_sleep(void *arg)
{
	struct timespec ts = { 1000, 0 }, left = { 0, 0 };

	begin();
	CR_CHECK(g.c, nanosleep(&ts, &left) == -1 && errno == EINTR);
	CR_CHECK(g.c, left.tv_sec > 500 && left.tv_sec < 1000);
	return NULL;
}

static void wake_signal(void)
{
	CR_CHECK(g.c, !syscall(SYS_tgkill, getpid(), g.tid, SIGUSR1));
}

static void do_interrupted_sleep(struct cr_child *c)
{
	signal(SIGUSR1, nothing);
	asleep(c, in_interrupted_sleep, SYS_clock_nanosleep, wake_signal);
}

TEST(nanosleep_is_interrupted_afterwards)
{
	cr_both_ways(_metadata, do_interrupted_sleep, 0);
}

/* ---- descriptors ---- */

static void wake_write(void)
{
	CR_CHECK(g.c, write(g.fd[1], "x", 1) == 1);
}

static void with_pipe(struct cr_child *c, void *(*fn)(void *), long nr, void (*wake)(void))
{
	CR_CHECK(c, !pipe2(g.fd, O_CLOEXEC));
	g.c = c;
	asleep(c, fn, nr, wake);
}

static void *in_read(void *arg)
{
	char byte = 0;

	begin();
	CR_CHECK(g.c, read(g.fd[0], &byte, 1) == 1 && byte == 'x');
	return NULL;
}

static void do_read(struct cr_child *c)
{
	with_pipe(c, in_read, SYS_read, wake_write);
}

TEST(pipe_read)
{
	cr_both_ways(_metadata, do_read, 0);
}

static void *in_poll(void *arg)
{
	struct pollfd pfd = { .fd = g.fd[0], .events = POLLIN };

	begin();
	CR_CHECK(g.c, syscall(SYS_poll, &pfd, 1, -1) == 1 && pfd.revents == POLLIN);
	return NULL;
}

static void do_poll(struct cr_child *c)
{
	with_pipe(c, in_poll, SYS_poll, wake_write);
}

TEST(poll_for_ever)
{
	cr_both_ways(_metadata, do_poll, 0);
}

static void *in_poll_timeout(void *arg)
{
	struct pollfd pfd = { .fd = g.fd[0], .events = POLLIN };
	long long start = now_ms();

	begin();
	CR_CHECK(g.c, syscall(SYS_poll, &pfd, 1, TIMEOUT_MS) == 0);
	CR_CHECK(g.c, now_ms() - start >= TIMEOUT_MS);
	return NULL;
}

static void do_poll_timeout(struct cr_child *c)
{
	with_pipe(c, in_poll_timeout, SYS_poll, NULL);
}

TEST(poll_until_timeout)
{
	cr_both_ways(_metadata, do_poll_timeout, 0);
}

static void *in_ppoll(void *arg)
{
	struct pollfd pfd = { .fd = g.fd[0], .events = POLLIN };
	struct timespec ts = { 1000, 0 };
	sigset_t set, before, after;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	begin();
	CR_CHECK(g.c, ppoll(&pfd, 1, &ts, &set) == 1);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	CR_CHECK(g.c, !memcmp(&before, &after, 8));
	return NULL;
}

static void do_ppoll(struct cr_child *c)
{
	with_pipe(c, in_ppoll, SYS_ppoll, wake_write);
}

TEST(ppoll_puts_its_mask_back)
{
	cr_both_ways(_metadata, do_ppoll, 0);
}

static void *in_select(void *arg)
{
	struct timeval tv = { 1000, 0 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(g.fd[0], &set);
	begin();
	CR_CHECK(g.c, syscall(SYS_select, g.fd[0] + 1, &set, NULL, NULL, &tv) == 1);
	CR_CHECK(g.c, FD_ISSET(g.fd[0], &set));
	return NULL;
}

static void do_select(struct cr_child *c)
{
	with_pipe(c, in_select, SYS_select, wake_write);
}

TEST(select_readable)
{
	cr_both_ways(_metadata, do_select, 0);
}

static void *in_epoll(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 77 };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	CR_CHECK(g.c, ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, g.fd[0], &ev));
	ev.data.u32 = 0;
	begin();
	CR_CHECK(g.c, syscall(SYS_epoll_wait, ep, &ev, 1, arg ? TIMEOUT_MS : -1) == !arg);
	CR_CHECK(g.c, arg || ev.data.u32 == 77);
	return NULL;
}

static void do_epoll(struct cr_child *c)
{
	with_pipe(c, in_epoll, SYS_epoll_wait, wake_write);
}

TEST(epoll_wait_for_ever)
{
	cr_both_ways(_metadata, do_epoll, 0);
}

static void *in_epoll_timeout(void *arg)
{
	return in_epoll("");
}

static void do_epoll_timeout(struct cr_child *c)
{
	with_pipe(c, in_epoll_timeout, SYS_epoll_wait, NULL);
}

TEST(epoll_wait_until_timeout)
{
	cr_both_ways(_metadata, do_epoll_timeout, 0);
}

static void *in_eventfd(void *arg)
{
	eventfd_t value = 0;

	begin();
	CR_CHECK(g.c, !eventfd_read(g.fd[0], &value) && value == 5);
	return NULL;
}

static void wake_eventfd(void)
{
	CR_CHECK(g.c, !eventfd_write(g.fd[0], 5));
}

static void do_eventfd(struct cr_child *c)
{
	g.fd[0] = eventfd(0, EFD_CLOEXEC);
	CR_CHECK(c, g.fd[0] >= 0);
	asleep(c, in_eventfd, SYS_read, wake_eventfd);
}

TEST(eventfd_read_blocks)
{
	cr_both_ways(_metadata, do_eventfd, 0);
}

/* ---- futexes ---- */

static void wake_futex(void)
{
	STORE(g.word, 1);
	CR_CHECK(g.c, syscall(SYS_futex, &g.word, FUTEX_WAKE, 1, NULL, NULL, 0) == 1);
}

static void *in_futex(void *arg)
{
	begin();
	CR_CHECK(g.c, !syscall(SYS_futex, &g.word, FUTEX_WAIT, 0, NULL, NULL, 0));
	CR_CHECK(g.c, g.word == 1);
	return NULL;
}

static void do_futex(struct cr_child *c)
{
	asleep(c, in_futex, SYS_futex, wake_futex);
}

TEST(futex_wait)
{
	cr_both_ways(_metadata, do_futex, 0);
}

static void *in_futex_woken(void *arg)
{
	struct timespec ts = { 1000, 0 };

	begin();
	CR_CHECK(g.c, !syscall(SYS_futex, &g.word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0));
	return NULL;
}

static void wake_futex_private(void)
{
	STORE(g.word, 1);
	CR_CHECK(g.c, syscall(SYS_futex, &g.word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
}

static void do_futex_woken(struct cr_child *c)
{
	asleep(c, in_futex_woken, SYS_futex, wake_futex_private);
}

TEST(futex_wait_with_timeout_is_woken)
{
	cr_both_ways(_metadata, do_futex_woken, 0);
}

static void *in_futex_timeout(void *arg)
{
	struct timespec ts = { TIMEOUT_MS / 1000, TIMEOUT_MS % 1000 * 1000000 };
	long long start = now_ms();

	begin();
	CR_CHECK(g.c, syscall(SYS_futex, &g.word, FUTEX_WAIT, 0, &ts, NULL, 0) == -1);
	CR_CHECK(g.c, errno == ETIMEDOUT);
	CR_CHECK(g.c, now_ms() - start >= TIMEOUT_MS);
	return NULL;
}

static void do_futex_timeout(struct cr_child *c)
{
	asleep(c, in_futex_timeout, SYS_futex, NULL);
}

TEST(futex_wait_until_timeout)
{
	cr_both_ways(_metadata, do_futex_timeout, 0);
}

/* ---- signals and children ---- */

static void *in_sigsuspend(void *arg)
{
	sigset_t set, before, after;

	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, &before);
	sigdelset(&set, SIGUSR1);
	begin();
	CR_CHECK(g.c, sigsuspend(&set) == -1 && errno == EINTR);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	CR_CHECK(g.c, sigismember(&after, SIGUSR1) && sigismember(&after, SIGUSR2));
	return NULL;
}

static void do_sigsuspend(struct cr_child *c)
{
	signal(SIGUSR1, nothing);
	asleep(c, in_sigsuspend, SYS_rt_sigsuspend, wake_signal);
}

TEST(sigsuspend_until_signal)
{
	cr_both_ways(_metadata, do_sigsuspend, 0);
}

static void *in_sigwait(void *arg)
{
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	begin();
	CR_CHECK(g.c, syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8) == SIGUSR1);
	return NULL;
}

static void do_sigwait(struct cr_child *c)
{
	signal(SIGUSR1, nothing);
	asleep(c, in_sigwait, SYS_rt_sigtimedwait, wake_signal);
}

TEST(sigwaitinfo_until_signal)
{
	cr_both_ways(_metadata, do_sigwait, 0);
}

/* ---- semaphores: they are none of the tree's, and so stay ---- */

#define SEM_KEY	0x43525345

static void *in_semop(void *arg)
{
	struct sembuf down = { 0, -1, 0 };
	int id = semget(SEM_KEY, 1, 0);

	CR_CHECK(g.c, id >= 0);
	begin();
	/* semop() has no fourth argument */
	CR_CHECK(g.c, !syscall(g.nr, id, &down, 1, NULL));
	return NULL;
}

static void wake_semaphore(void)
{
	struct sembuf up = { 0, 1, 0 };

	CR_CHECK(g.c, !semop(semget(SEM_KEY, 1, 0), &up, 1));
}

static void do_semop(struct cr_child *c)
{
	asleep(c, in_semop, SYS_semop, wake_semaphore);
}

static void do_semtimedop(struct cr_child *c)
{
	asleep(c, in_semop, SYS_semtimedop, wake_semaphore);
}

TEST(semaphore_until_it_is_free)
{
	int id = semget(SEM_KEY, 1, IPC_CREAT | 0600);

	ASSERT_LE(0, id);
	cr_both_ways(_metadata, do_semop, 0);
	cr_both_ways(_metadata, do_semtimedop, 0);
	EXPECT_EQ(0, semctl(id, 0, IPC_RMID));
}

static int handled;

static void count(int sig)
{
	INCREMENT(handled);
}

static void *in_pause(void *arg)
{
	begin();
	CR_CHECK(g.c, pause() == -1 && errno == EINTR && LOAD(handled) == 1);
	return NULL;
}

static void do_pause(struct cr_child *c)
{
	signal(SIGUSR1, count);
	asleep(c, in_pause, SYS_pause, wake_signal);
}

TEST(pause_until_signal)
{
	cr_both_ways(_metadata, do_pause, 0);
}

static void *in_wait(void *arg)
{
	int status = -1;

	begin();
	CR_CHECK(g.c, waitpid(g.pid, &status, 0) == g.pid);
	CR_CHECK(g.c, WIFEXITED(status) && WEXITSTATUS(status) == 6);
	return NULL;
}

static void do_wait(struct cr_child *c)
{
	g.pid = must_fork(c);
	if (!g.pid) {
		cr_wait_go(c);
		cr_sleep_ms(100);
		_exit(6);
	}
	asleep(c, in_wait, SYS_wait4, NULL);
}

TEST(wait_for_a_child)
{
	cr_both_ways(_metadata, do_wait, 0);
}

/* Several checkpoints of one sleep: what is left is kept each time. */
TEST(many_checkpoints_of_one_sleep)
{
	struct cr_child c;
	int i;

	cr_begin(_metadata, &c, do_nanosleep);
	for (i = 0; i < 10; i++)
		ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
			TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
		}
	cr_finish(_metadata, &c, "original");
	cr_load(_metadata, &c, 0);
	ASSERT_LT(0, cr_save(_metadata, &c, 0));
	ASSERT_TRUE(cr_kill_tree(c.pid));
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy of the copy");
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
