// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: dispositions, masks, alternate stacks, pending signals. */
#include "task_help.h"

#include <sys/resource.h>

/* Set by the C library. */
#ifndef SA_RESTORER
#define SA_RESTORER	0x04000000
#endif

static void mask_of(sigset_t *set, int first, ...)
{
	va_list ap;
	int sig;

	sigemptyset(set);
	va_start(ap, first);
	for (sig = first; sig; sig = va_arg(ap, int))
		sigaddset(set, sig);
	va_end(ap);
}

/* The kernel's set has 64 bits, that of the C library more. */
static bool same_set(const sigset_t *a, const sigset_t *b)
{
	return !memcmp(a, b, 8);
}

/* ---- dispositions and mask ---- */

static int handled;
static char *handled_on;

static void handler(int sig)
{
	INCREMENT(handled);
}

static void info_handler(int sig, siginfo_t *info, void *ctx)
{
	INCREMENT(handled);
	handled_on = __builtin_frame_address(0);
}

static void dispositions(struct cr_child *c)
{
	struct sigaction usr1 = { .sa_sigaction = info_handler }, now;
	struct sigaction usr2 = { .sa_handler = handler };
	sigset_t blocked, got;

	usr1.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
	mask_of(&usr1.sa_mask, SIGTERM, SIGRTMIN, 0);
	usr2.sa_flags = SA_RESETHAND;
	CR_CHECK(c, !sigaction(SIGUSR1, &usr1, NULL));
	CR_CHECK(c, !sigaction(SIGUSR2, &usr2, NULL));
	CR_CHECK(c, signal(SIGHUP, SIG_IGN) != SIG_ERR);
	mask_of(&blocked, SIGTERM, SIGINT, SIGRTMAX, 0);
	CR_CHECK(c, !sigprocmask(SIG_SETMASK, &blocked, NULL));
	cr_ready(c);

	CR_CHECK(c, !sigprocmask(SIG_SETMASK, NULL, &got) && same_set(&got, &blocked));
	CR_CHECK(c, !sigaction(SIGUSR1, NULL, &now));
	CR_CHECK(c, now.sa_sigaction == info_handler);
	CR_CHECK(c, (now.sa_flags & ~SA_RESTORER) == usr1.sa_flags);
	CR_CHECK(c, same_set(&now.sa_mask, &usr1.sa_mask));
	CR_CHECK(c, !sigaction(SIGUSR2, NULL, &now));
	CR_CHECK(c, now.sa_handler == handler);
	CR_CHECK(c, (now.sa_flags & ~SA_RESTORER) == (int)SA_RESETHAND);
	CR_CHECK(c, !sigaction(SIGHUP, NULL, &now) && now.sa_handler == SIG_IGN);
	CR_CHECK(c, !sigaction(SIGCHLD, NULL, &now) && now.sa_handler == SIG_DFL);

	/* And they work. */
	raise(SIGUSR1);
	raise(SIGUSR2);
	raise(SIGHUP);
	CR_CHECK(c, LOAD(handled) == 2);
	CR_CHECK(c, !sigaction(SIGUSR2, NULL, &now) && now.sa_handler == SIG_DFL);
}

TEST(dispositions_and_mask)
{
	cr_both_ways(_metadata, dispositions, 0);
}

/* ---- alternate stack ---- */

static char altstack[65536];

static void do_alternate_stack(struct cr_child *c)
{
	stack_t ss = { .ss_sp = altstack, .ss_size = sizeof(altstack) }, now;
	struct sigaction sa = { .sa_sigaction = info_handler };

	sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
	CR_CHECK(c, !sigaltstack(&ss, NULL));
	CR_CHECK(c, !sigaction(SIGUSR1, &sa, NULL));
	cr_ready(c);
	CR_CHECK(c, !sigaltstack(NULL, &now));
	CR_CHECK(c, now.ss_sp == altstack && now.ss_size == sizeof(altstack) && !now.ss_flags);
	raise(SIGUSR1);
	CR_CHECK(c, LOAD(handled) == 1);
	CR_CHECK(c, handled_on >= altstack && handled_on < altstack + sizeof(altstack));
}

TEST(alternate_stack)
{
	cr_both_ways(_metadata, do_alternate_stack, 0);
}

/* Checkpointed in the handler: its frame, and what it interrupted, are there. */
static struct cr_child *in_handler;

static void waiting_handler(int sig, siginfo_t *info, void *ctx)
{
	stack_t now;

	cr_ready(in_handler);
	CR_CHECK(in_handler, !sigaltstack(NULL, &now) && now.ss_flags == SS_ONSTACK);
	CR_CHECK(in_handler, info->si_value.sival_int == 4711);
	INCREMENT(handled);
}

static void inside_handler(struct cr_child *c)
{
	stack_t ss = { .ss_sp = altstack, .ss_size = sizeof(altstack) };
	struct sigaction sa = { .sa_sigaction = waiting_handler };
	sigset_t blocked;

	in_handler = c;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
	mask_of(&sa.sa_mask, SIGUSR2, 0);
	CR_CHECK(c, !sigaltstack(&ss, NULL));
	CR_CHECK(c, !sigaction(SIGRTMIN, &sa, NULL));
	CR_CHECK(c, !sigqueue(getpid(), SIGRTMIN, (union sigval) { .sival_int = 4711 }));
	CR_CHECK(c, LOAD(handled) == 1);
	/* sigreturn has put the mask back. */
	CR_CHECK(c, !sigprocmask(SIG_SETMASK, NULL, &blocked));
	CR_CHECK(c, !sigismember(&blocked, SIGUSR2) && !sigismember(&blocked, SIGRTMIN));
}

TEST(inside_a_handler)
{
	cr_both_ways(_metadata, inside_handler, 0);
}

/* ---- pending signals ---- */

static int send_thread(pid_t tid, int sig, int value)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = value;
	return syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &info);
}

static int send_process(int sig, int value)
{
	return sigqueue(getpid(), sig, (union sigval) { .sival_int = value });
}

static void take(struct cr_child *c, const sigset_t *set, int sig, int code, int value)
{
	struct timespec none = { };
	siginfo_t info;

	CR_CHECK(c, sigtimedwait(set, &info, &none) == sig);
	CR_CHECK(c, info.si_signo == sig && info.si_code == code);
	CR_CHECK(c, info.si_pid == getpid() && info.si_uid == getuid());
	CR_CHECK(c, code != SI_QUEUE || info.si_value.sival_int == value);
}

static void pending(struct cr_child *c)
{
	struct timespec none = { };
	sigset_t set, now;
	int i;

	mask_of(&set, SIGUSR1, SIGUSR2, SIGTERM, SIGRTMIN, SIGRTMIN + 1, 0);
	CR_CHECK(c, !sigprocmask(SIG_SETMASK, &set, NULL));
	/* Pending while it is blocked, although it is ignored. */
	signal(SIGUSR2, SIG_IGN);
	CR_CHECK(c, !kill(getpid(), SIGUSR2));
	CR_CHECK(c, !kill(getpid(), SIGTERM));
	CR_CHECK(c, !raise(SIGUSR1));
	for (i = 0; i < 5; i++) {
		CR_CHECK(c, !send_process(SIGRTMIN + 1, 10 + i));
		CR_CHECK(c, !send_process(SIGRTMIN, 20 + i));
		CR_CHECK(c, !send_thread(gettid(), SIGRTMIN, 30 + i));
	}
	cr_ready(c);

	CR_CHECK(c, !sigpending(&now) && same_set(&now, &set));
	/* Those of the thread come before those of the process. */
	/* The C library makes SI_USER of SI_TKILL. */
	take(c, &set, SIGUSR1, SI_USER, 0);
	for (i = 0; i < 5; i++)
		take(c, &set, SIGRTMIN, SI_QUEUE, 30 + i);
	take(c, &set, SIGUSR2, SI_USER, 0);
	take(c, &set, SIGTERM, SI_USER, 0);
	for (i = 0; i < 5; i++)
		take(c, &set, SIGRTMIN, SI_QUEUE, 20 + i);
	for (i = 0; i < 5; i++)
		take(c, &set, SIGRTMIN + 1, SI_QUEUE, 10 + i);
	CR_CHECK(c, sigtimedwait(&set, NULL, &none) == -1 && errno == EAGAIN);
}

/* A limit is for signals to come. */
static void above_the_limit(struct cr_child *c)
{
	struct rlimit none = {}, now;
	sigset_t set;
	int i;

	mask_of(&set, SIGRTMIN, 0);
	CR_CHECK(c, !sigprocmask(SIG_SETMASK, &set, NULL));
	for (i = 0; i < 3; i++) {
		CR_CHECK(c, !send_process(SIGRTMIN, 10 + i));
		CR_CHECK(c, !send_thread(gettid(), SIGRTMIN, 20 + i));
	}
	CR_CHECK(c, !setrlimit(RLIMIT_SIGPENDING, &none));
	cr_ready(c);
	CR_CHECK(c, !getrlimit(RLIMIT_SIGPENDING, &now) && !now.rlim_cur && !now.rlim_max);
	CR_CHECK(c, send_process(SIGRTMIN, 1) && errno == EAGAIN);
	for (i = 0; i < 3; i++)
		take(c, &set, SIGRTMIN, SI_QUEUE, 20 + i);
	for (i = 0; i < 3; i++)
		take(c, &set, SIGRTMIN, SI_QUEUE, 10 + i);
}

TEST(more_pending_than_allowed)
{
	cr_both_ways(_metadata, above_the_limit, 0);
}

TEST(pending_in_order)
{
	cr_both_ways(_metadata, pending, 0);
}

/* Without room for a siginfo only the number is kept. */
static void pending_without_info(struct cr_child *c)
{
	struct timespec none = { };
	siginfo_t info;
	sigset_t set;

	mask_of(&set, SIGRTMIN, 0);
	CR_CHECK(c, !sigprocmask(SIG_SETMASK, &set, NULL));
	/* kill() of a real-time signal beyond the limit */
	CR_CHECK(c, !setrlimit(RLIMIT_SIGPENDING, &(struct rlimit) { 0, 100 }));
	CR_CHECK(c, !kill(getpid(), SIGRTMIN));
	cr_ready(c);
	CR_CHECK(c, sigtimedwait(&set, &info, &none) == SIGRTMIN);
	CR_CHECK(c, info.si_code == SI_USER && info.si_pid == 0);
	CR_CHECK(c, sigtimedwait(&set, &info, &none) == -1);
}

TEST(pending_without_siginfo)
{
	cr_both_ways(_metadata, pending_without_info, 0);
}

/* Unblocked in one thread only: that one takes it, when it is unblocked. */
static void pending_then_handled(struct cr_child *c)
{
	sigset_t set;

	signal(SIGTERM, handler);
	mask_of(&set, SIGTERM, 0);
	CR_CHECK(c, !sigprocmask(SIG_SETMASK, &set, NULL));
	CR_CHECK(c, !kill(getpid(), SIGTERM));
	cr_ready(c);
	CR_CHECK(c, !LOAD(handled));
	CR_CHECK(c, !sigprocmask(SIG_UNBLOCK, &set, NULL));
	CR_CHECK(c, LOAD(handled) == 1);
}

TEST(pending_is_handled_when_unblocked)
{
	cr_both_ways(_metadata, pending_then_handled, 0);
}

/* ---- threads have masks, stacks and queues of their own ---- */

#define NR_THREADS	4

static struct cr_child *child;
static pthread_barrier_t set_up;

static void *with_own_signals(void *arg)
{
	static char stacks[NR_THREADS][65536];
	stack_t ss = { .ss_size = sizeof(stacks[0]) }, now;
	struct timespec none = { };
	sigset_t set, mask;
	long n = (long)arg;
	siginfo_t info;

	ss.ss_sp = stacks[n];
	mask_of(&set, SIGRTMIN + (int)n, SIGRTMAX, 0);
	CR_CHECK(child, !pthread_sigmask(SIG_SETMASK, &set, NULL));
	CR_CHECK(child, !sigaltstack(&ss, NULL));
	CR_CHECK(child, !send_thread(gettid(), SIGRTMIN + n, 100 + n));
	pthread_barrier_wait(&set_up);
	cr_wait_go(child);
	CR_CHECK(child, !pthread_sigmask(SIG_SETMASK, NULL, &mask) && same_set(&mask, &set));
	CR_CHECK(child, !sigaltstack(NULL, &now) && now.ss_sp == stacks[n]);
	CR_CHECK(child, sigtimedwait(&set, &info, &none) == SIGRTMIN + n);
	CR_CHECK(child, info.si_value.sival_int == 100 + n);
	CR_CHECK(child, sigtimedwait(&set, &info, &none) == -1);
	return NULL;
}

static void thread_signals(struct cr_child *c)
{
	pthread_t thread[NR_THREADS];
	long i;

	child = c;
	pthread_barrier_init(&set_up, NULL, NR_THREADS + 1);
	for (i = 0; i < NR_THREADS; i++)
		CR_CHECK(c, !pthread_create(&thread[i], NULL, with_own_signals, (void *)i));
	pthread_barrier_wait(&set_up);
	cr_ready(c);
	for (i = 0; i < NR_THREADS; i++)
		CR_CHECK(c, !pthread_join(thread[i], NULL));
}

TEST(signals_of_threads)
{
	cr_both_ways(_metadata, thread_signals, 0);
}

TEST_HARNESS_MAIN
