// SPDX-License-Identifier: GPL-2.0
/*
 * The processes that the benchmark measures, and questions to them.
 *
 * bench_proc start MIB small|huge TASKS: start a tree of TASKS processes (a
 *	root and its children) in a session of its own, each with MIB MiB of
 *	private memory full of data that does not compress, in 4 KiB pages or
 *	in huge ones. Prints "pid checksum MiB-in-huge-pages".
 * bench_proc ask PID sum|touch|spoil|fork: have the tree do that, and print the
 *	checksum of all its data; 0; 0; the time in ns that fork() took the
 *	processes, all together
 * bench_proc end PID: kill the tree and wait until its pids are free
 *
 * Questions and answers are queued signals, so there is nothing besides memory
 * in a process to be measured.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define MIB		(1024 * 1024UL)
#define HUGE_PAGE	(2 * MIB)
#define ANSWER_SECONDS	600
#define END_SECONDS	120

#define ANSWER		SIGRTMIN
#define QUESTION(i)	(SIGRTMIN + 1 + (int)(i))

static __u64 *data;
static size_t data_bytes;
static pid_t *children;
static int nr_children;

static void die(const char *what)
{
	fprintf(stderr, "bench_proc: %s: %s\n", what, strerror(errno));
	exit(1);
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static __u64 sum(void)
{
	__u64 h = 0xcbf29ce484222325ULL;
	size_t i;

	for (i = 0; i < data_bytes / sizeof(*data); i++)
		h = (h ^ data[i]) * 0x100000001b3ULL;
	return h;
}

/* Writes to every page and changes nothing. */
static __u64 touch(void)
{
	size_t i;

	for (i = 0; i < data_bytes / sizeof(*data); i += PAGE / sizeof(*data))
		__atomic_fetch_add(&data[i], 0, __ATOMIC_RELAXED);
	return 0;
}

static __u64 spoil(void)
{
	size_t i;

	for (i = 0; i < data_bytes / sizeof(*data); i += PAGE / sizeof(*data))
		data[i]++;
	return 0;
}

static __u64 time_fork(void)
{
	__u64 start = now_ns(), end;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	end = now_ns();
	if (pid < 0)
		return 0;
	waitpid(pid, NULL, 0);
	return end - start;
}

static const struct {
	const char *name;
	__u64 (*answer)(void);
} questions[] = {
	{ "sum",	sum },
	{ "touch",	touch },
	{ "spoil",	spoil },
	{ "fork",	time_fork },
};

#define NR_QUESTIONS	(sizeof(questions) / sizeof(questions[0]))

static bool tell(pid_t pid, int sig, __u64 value)
{
	union sigval v = { .sival_ptr = (void *)value };

	return !sigqueue(pid, sig, v);
}

/* The answer of @pid, or of anybody if it is 0; a child that dies is the end. */
static __u64 hear(pid_t pid)
{
	struct timespec patience = { .tv_sec = ANSWER_SECONDS };
	siginfo_t info;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, ANSWER);
	if (!pid)
		sigaddset(&set, SIGCHLD);
	do {
		sig = sigtimedwait(&set, &info, &patience);
	} while ((sig < 0 && errno == EINTR) || (sig == ANSWER && pid && info.si_pid != pid));
	if (sig == SIGCHLD)
		errno = ECHILD;
	if (sig != ANSWER)
		die("no answer");
	return (uintptr_t)info.si_value.sival_ptr;
}

static void block_signals(void)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	sigaddset(&set, ANSWER);
	sigaddset(&set, SIGCHLD);
	for (i = 0; i < NR_QUESTIONS; i++)
		sigaddset(&set, QUESTION(i));
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static __u64 ask(pid_t pid, int sig)
{
	if (!tell(pid, sig, 0))
		die("ask");
	return hear(pid);
}

static void __attribute__((noreturn)) serve(void)
{
	siginfo_t info;
	sigset_t set;
	__u64 value;
	int sig, i;

	sigemptyset(&set);
	for (i = 0; i < (int)NR_QUESTIONS; i++)
		sigaddset(&set, QUESTION(i));
	for (;;) {
		sig = sigwaitinfo(&set, &info);
		if (sig < 0)
			continue;
		value = questions[sig - QUESTION(0)].answer();
		for (i = 0; i < nr_children; i++)
			value += ask(children[i], sig);
		tell(info.si_pid, ANSWER, value);
	}
}

/* xorshift64*, other data for each @seed. */
static void make_data(size_t bytes, bool huge, __u64 seed)
{
	__u64 x = (seed + 1) * 0x9e3779b97f4a7c15ULL;
	char *p = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (p == MAP_FAILED)
		die("mmap");
	p += HUGE_PAGE - ((uintptr_t)p & (HUGE_PAGE - 1));
	if (madvise(p, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("madvise");
	data = (__u64 *)p;
	data_bytes = bytes;
	for (i = 0; i < bytes / sizeof(*data); i++) {
		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		data[i] = x * 0x2545f4914f6cdd1dULL;
	}
}

static void __attribute__((noreturn)) be_tree(pid_t starter, size_t mib, bool huge, int tasks)
{
	sigset_t set;
	pid_t root;
	int null, i;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	null = open("/dev/null", O_RDWR);
	if (setsid() < 0 || null < 0 || chdir("/"))
		die("session");
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	root = getpid();
	children = calloc(tasks, sizeof(*children));
	if (!children)
		die("memory");
	for (i = 1; i < tasks; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			nr_children = 0;
			make_data(mib * MIB, huge, i);
			dup2(null, STDERR_FILENO);
			close(null);
			tell(root, ANSWER, 0);
			serve();
		}
		hear(pid);
		children[nr_children++] = pid;
	}
	make_data(mib * MIB, huge, 0);
	dup2(null, STDERR_FILENO);
	close(null);
	tell(starter, ANSWER, 0);
	serve();
}

static unsigned long huge_mib(pid_t pid)
{
	unsigned long kib = 0;
	char name[64], line[256];
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/smaps_rollup", pid);
	f = fopen(name, "re");
	if (!f)
		die(name);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			break;
	fclose(f);
	return kib / 1024;
}

static int do_start(size_t mib, bool huge, int tasks)
{
	pid_t starter = getpid(), pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		be_tree(starter, mib, huge, tasks);
	hear(0);
	printf("%d %llu %lu\n", pid, ask(pid, QUESTION(0)), huge_mib(pid));
	return 0;
}

static int do_ask(pid_t pid, const char *what)
{
	size_t i;

	for (i = 0; i < NR_QUESTIONS; i++) {
		if (strcmp(what, questions[i].name))
			continue;
		printf("%llu\n", ask(pid, QUESTION(i)));
		return 0;
	}
	errno = EINVAL;
	die(what);
	return 1;
}

/* Zombies count: their pids are not free yet. */
static int do_end(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	__u64 start = now_ns();

	if (kill(-pid, SIGKILL))
		die("kill");
	while (!kill(-pid, 0)) {
		if (now_ns() - start > END_SECONDS * 1000000000ULL) {
			errno = ETIMEDOUT;
			die("processes do not end");
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	block_signals();
	if (argc == 5 && !strcmp(argv[1], "start"))
		return do_start(strtoul(argv[2], NULL, 10), !strcmp(argv[3], "huge"),
				atoi(argv[4]));
	if (argc == 4 && !strcmp(argv[1], "ask"))
		return do_ask(atoi(argv[2]), argv[3]);
	if (argc == 3 && !strcmp(argv[1], "end") && atoi(argv[2]) > 1)
		return do_end(atoi(argv[2]));
	fprintf(stderr, "usage: bench_proc start MIB small|huge TASKS | ask PID WHAT | end PID\n");
	return 2;
}
