/* SPDX-License-Identifier: GPL-2.0 */
/*
 * cr_worker: signals, timers, processes that come and go, and a process that
 * checkpoints its own children.
 */
#ifndef _WORKER_TASKS_H
#define _WORKER_TASKS_H

#include "../../selftests/checkpoint/cr_call.h"
#include "worker.h"

/* ---- signals ---- */

#define SIG_ASK		(SIGRTMIN + 1)
#define SIG_ANSWER	(SIGRTMIN + 2)
#define SIG_COUNT	(SIGRTMIN + 3)
#define BURST		6
#define ASK_END		1000000000

/* Changed by a handler in the only thread. */
static int counted;

static void count_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	/* queued signals of a kind come in the order in which they were sent */
	same("value of a handled signal", __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST),
	     info->si_value.sival_int);
}

static void send(pid_t pid, int sig, int value)
{
	union sigval v = { .sival_int = value };

	MUST(!sigqueue(pid, sig, v));
}

/* How often somebody has continued this process, stopped or not. */
static int continued;

static void count_continued(int sig)
{
	(void)sig;
	__atomic_add_fetch(&continued, 1, __ATOMIC_SEQ_CST);
}

/* A handler that has run ends this call with EINTR (signal(7)). Nothing else may. */
static int receive(int sig, pid_t from)
{
	siginfo_t info;
	sigset_t set;
	int ret, before;

	sigemptyset(&set);
	sigaddset(&set, sig);
	do {
		before = __atomic_load_n(&continued, __ATOMIC_SEQ_CST);
		ret = sigwaitinfo(&set, &info);
	} while (ret == -1 && errno == EINTR &&
		 before != __atomic_load_n(&continued, __ATOMIC_SEQ_CST));
	MUST(ret == sig);
	same("sender of a signal", from, info.si_pid);
	return info.si_value.sival_int;
}

static void signal_child(void)
{
	pid_t parent = getppid();
	int value, seq;

	for (seq = 1;; seq++) {
		value = receive(SIG_ASK, parent);
		if (value == ASK_END)
			_exit(0);
		same("value of a signal", seq, value);
		send(parent, SIG_COUNT, seq);
		send(parent, SIG_ANSWER, -seq);
	}
}

static void work_signal(void)
{
	struct sigaction sa = {
		.sa_sigaction = count_signal,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};
	struct sigaction cont = { .sa_handler = count_continued, .sa_flags = SA_RESTART };
	int seq = 0, i, nr;
	sigset_t set;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIG_ASK);
	sigaddset(&set, SIG_ANSWER);
	MUST(!sigaction(SIG_COUNT, &sa, NULL) && !sigaction(SIGCONT, &cont, NULL) &&
	     !sigprocmask(SIG_BLOCK, &set, NULL));
	pid = start();
	if (!pid)
		signal_child();
	sigemptyset(&set);
	sigaddset(&set, SIG_COUNT);
	while (!stopped()) {
		nr = 1 + rnd(BURST);
		/* they come while they are blocked, and are handled all together */
		MUST(!sigprocmask(SIG_BLOCK, &set, NULL));
		for (i = 1; i <= nr; i++)
			send(pid, SIG_ASK, seq + i);
		for (i = 1; i <= nr; i++)
			same("answer", -(seq + i), receive(SIG_ANSWER, pid));
		seq += nr;
		MUST(!sigprocmask(SIG_UNBLOCK, &set, NULL));
		same("signals that were handled", seq,
		     __atomic_load_n(&counted, __ATOMIC_SEQ_CST));
	}
	send(pid, SIG_ASK, ASK_END);
	reap(pid, 0);
}

/* ---- timers ---- */

static int alarms;

static void count_alarm(int sig)
{
	(void)sig;
	__atomic_fetch_add(&alarms, 1, __ATOMIC_SEQ_CST);
}

/* Waits for one more alarm than there were. */
static void wait_alarm(const sigset_t *open)
{
	static const struct timespec lost = { .tv_sec = LOST_SECONDS };
	int was = __atomic_load_n(&alarms, __ATOMIC_SEQ_CST);

	/* SIGALRM is blocked but in here */
	if (ppoll(NULL, 0, &lost, open) != -1)
		wrong("a timer was lost after %d alarms", was);
	MUST(errno == EINTR && __atomic_load_n(&alarms, __ATOMIC_SEQ_CST) > was);
}

static void one_shot(const sigset_t *open)
{
	struct itimerval it = { .it_value.tv_usec = 1000 + rnd(20000) }, left;
	int was = __atomic_load_n(&alarms, __ATOMIC_SEQ_CST);

	MUST(!setitimer(ITIMER_REAL, &it, NULL));
	wait_alarm(open);
	same("alarms of a timer", was + 1, __atomic_load_n(&alarms, __ATOMIC_SEQ_CST));
	MUST(!getitimer(ITIMER_REAL, &left));
	same("time left", 0, left.it_value.tv_sec * 1000000 + left.it_value.tv_usec);
}

static void periodic(const sigset_t *open)
{
	struct itimerval it = { .it_value.tv_usec = 2000 }, off = { 0 }, left;
	struct timespec none = { 0 };
	int i;

	it.it_interval.tv_usec = 2000 + rnd(5000);
	MUST(!setitimer(ITIMER_REAL, &it, NULL));
	for (i = 0; i < 8; i++)
		wait_alarm(open);
	MUST(!getitimer(ITIMER_REAL, &left));
	same("interval", it.it_interval.tv_usec, left.it_interval.tv_usec);
	MUST(!setitimer(ITIMER_REAL, &off, NULL));
	/* one may be pending still */
	ppoll(NULL, 0, &none, open);
}

static void sleeps(void)
{
	struct timespec ts = { .tv_nsec = 1000000 + rnd(20000000) }, a, b;
	int64_t ns;

	MUST(!clock_gettime(CLOCK_MONOTONIC, &a));
	if (rnd(2))
		MUST(!nanosleep(&ts, NULL));
	else
		MUST(!poll(NULL, 0, ts.tv_nsec / 1000000));
	MUST(!clock_gettime(CLOCK_MONOTONIC, &b));
	ns = (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec;
	if (ns < ts.tv_nsec / 1000000 * 1000000)
		wrong("slept %lld ns instead of %ld", (long long)ns, ts.tv_nsec);
}

static void work_timer(void)
{
	struct sigaction sa = { .sa_handler = count_alarm };
	sigset_t set, open;

	sigemptyset(&open);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	MUST(!sigaction(SIGALRM, &sa, NULL) && !sigprocmask(SIG_BLOCK, &set, NULL));
	while (!stopped()) {
		one_shot(&open);
		periodic(&open);
		sleeps();
	}
}

/* ---- processes that come and go ---- */

#define FORKS	5

static int fork_child(uint64_t what, int code)
{
	pid_t pid;

	if (what & 1)
		usleep(what % 5000);
	if (what & 2) {
		pid = fork();
		MUST(pid >= 0);
		if (!pid)
			_exit(code ^ 0x55);
		if (what & 4)
			usleep(what % 3000);
		reap(pid, (code ^ 0x55) << 8);
	}
	if (what & 8)
		kill(getpid(), SIGKILL);
	return code;
}

static void work_fork(void)
{
	pid_t pid[FORKS];
	int expected[FORKS], status, i, k;

	while (!stopped()) {
		for (i = 0; i < FORKS; i++) {
			uint64_t what = rnd(~0ULL);
			int code = 64 + what % 64;

			expected[i] = what & 8 ? SIGKILL : code << 8;
			pid[i] = start();
			if (!pid[i])
				_exit(fork_child(what, code));
		}
		/* some are zombies for a while */
		usleep(rnd(6000));
		for (i = 0; i < FORKS; i++) {
			pid_t found = waitpid(-1, &status, 0);

			MUST(found > 0);
			for (k = 0; k < FORKS && pid[k] != found; k++)
				;
			if (k == FORKS)
				wrong("waitpid: pid %d is not ours, or was reaped", found);
			same("status of a child", expected[k], status);
			pid[k] = 0;
		}
		MUST(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
	}
}

/* ---- a process that checkpoints its child while it is checkpointed itself ---- */

static pid_t nest_start(void (*work)(void))
{
	pid_t pid = start();

	if (!pid) {
		work();
		_exit(0);
	}
	return pid;
}

/* CHECKPOINT_KILL may have done it, or it has ended by itself, as all shall. */
static void nest_kill(pid_t pid)
{
	siginfo_t info;

	MUST(!kill(pid, SIGKILL));
	MUST(!waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	reap(pid, info.si_code == CLD_EXITED && stopped() ? 0 : SIGKILL);
}

/* Through a file. The image may have been overwritten by a life in another time. */
static pid_t nest_image(pid_t child)
{
	int fd = open("nest.img", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	long ret = -1;

	MUST(fd >= 0);
	if (sys_checkpoint(child, fd, rnd(2) ? CHECKPOINT_KILL : 0) > 0) {
		nest_kill(child);
		MUST(!lseek(fd, 0, SEEK_SET));
		ret = sys_restart(0, fd, 0);
		child = 0;
	}
	close(fd);
	return ret > 0 ? ret : child;
}

static pid_t nest_kept(pid_t child)
{
	long crid = sys_checkpoint(child, -1, CHECKPOINT_KEEP), ret;

	/* refused: the child goes on */
	if (crid <= 0)
		return child;
	usleep(rnd(20000));
	if (rnd(2)) {
		ret = sys_restart((int)crid, -1, RESTART_ROLLBACK);
	} else {
		nest_kill(child);
		child = 0;
		ret = sys_restart((int)crid, -1, 0);
	}
	/* in another namespace, or another time, there is no such checkpoint */
	sys_checkpoint((int)crid, -1, CHECKPOINT_DISCARD);
	return ret > 0 ? ret : child;
}

static void nest_self(void)
{
	int fd = open("nest.self", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	MUST(fd >= 0);
	sys_checkpoint(0, fd, 0);
	close(fd);
}

static void work_nest(void (*work)(void))
{
	pid_t child = nest_start(work);

	while (!stopped()) {
		usleep(rnd(30000));
		switch (rnd(3)) {
		case 0:
			child = nest_image(child);
			break;
		case 1:
			child = nest_kept(child);
			break;
		default:
			nest_self();
		}
		if (!child)
			child = nest_start(work);
	}
	reap(child, 0);
}

#endif /* _WORKER_TASKS_H */
