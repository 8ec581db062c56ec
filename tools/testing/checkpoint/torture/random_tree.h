/* SPDX-License-Identifier: GPL-2.0 */
/*
 * torture_random: a tree of processes in namespaces of its own, what is tried
 * with it is in random_ops.h.
 *
 * The process that drives a tree stays outside of the tree's PID namespace, but
 * its child, the root of the tree, is in there, as is a small init, the agent,
 * which kills and reaps whatever the tree leaves behind. So no pid of the tree
 * is ever taken by anybody else.
 */
#ifndef _RANDOM_TREE_H
#define _RANDOM_TREE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../selftests/checkpoint/cr_call.h"
#include "splitmix.h"

#define SLOTS		3	/* images, and kept checkpoints, of one tree */
#define COPIES		2	/* of one tree at a time */
#define MAX_ARGS	16
#define MAX_REASONS	64
#define REASON_LEN	200

/* A tree that has been told to stop, or has little to do, must end in this time. */
#define END_SECONDS	400

struct tree;

/**
 * struct program - what the root of a tree executes
 * @name: for messages
 * @argv: how; "SEED" is replaced
 * @own: works until it is told to stop
 * @output: what it prints must be what it prints undisturbed
 * @ready: if not NULL: called once, before anything is tried; false: no use
 * @stop: tells it to stop; NULL: by a file "stop"
 * @restart_flags: that every restart has
 */
struct program {
	const char *name;
	const char *argv[MAX_ARGS];
	bool own;
	bool output;
	bool (*ready)(struct tree *t);
	void (*stop)(struct tree *t);
	unsigned long restart_flags;
};

/* Shared by all processes of torture_random, not by the trees. */
struct stats {
	uint32_t checkpoints, restarts, rollbacks, copies, refused, wrong, trees, killed;
	uint32_t lock, nr_reasons;
	char reasons[MAX_REASONS][REASON_LEN];
};

static struct stats *stats;
static uint64_t rng;

struct tree {
	const struct program *program;
	uint64_t seed;
	int depth;		/* 0: the original, 1: a copy, 2: a copy of a copy */
	char dir[64];		/* where it works; a tmpfs of its own */
	pid_t agent;
	int ask, answer;	/* pipes to and from the agent */
	int outer_ns, inner_ns;
	pid_t root;		/* 0: it is not there */
	int status;		/* of the root, when it ended */
	bool lost;		/* it cannot go on, for a reason that was told */
	int image[SLOTS];	/* descriptors; -1: none */
	long kept[SLOTS];	/* ids; 0: none */
	pid_t life[SLOTS];	/* the root that each of @kept is of */
	pid_t copy[COPIES];
	char digest[64];	/* of the data of a program that has some */
	char steps[512];	/* the last things that were done */
};

static void count(uint32_t *what)
{
	__atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

static inline uint64_t rnd(uint64_t n)
{
	rng += SPLITMIX_STEP;
	return mix(rng) % n;
}

static __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	fprintf(stderr, "torture_random: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(err));
	count(&stats->wrong);
	exit(1);
}

static size_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? n : 0;
}

/* Where the tasks of the tree are, for one that does not end. */
static void tell_tasks(const struct tree *t)
{
	static const char *const files[] = { "cmdline", "wchan", "syscall", "stack" };
	struct dirent *de;
	char path[300], text[2000], ns[64], mine[64];
	DIR *dir = opendir("/proc");
	size_t i;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", t->agent);
	n = readlink(path, mine, sizeof(mine) - 1);
	mine[n > 0 ? n : 0] = '\0';
	while (dir && (de = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/ns/pid", de->d_name);
		n = readlink(path, ns, sizeof(ns) - 1);
		ns[n > 0 ? n : 0] = '\0';
		if (!isdigit(de->d_name[0]) || n <= 0 || strcmp(ns, mine))
			continue;
		for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
			snprintf(path, sizeof(path), "/proc/%s/%s", de->d_name, files[i]);
			if (read_text(path, text, sizeof(text)))
				printf("  %s: %s\n", path, text);
		}
	}
	if (dir)
		closedir(dir);
}

/* Something is not as it should be: all that helps to see it again. */
static __attribute__((format(printf, 2, 3)))
void tell_wrong(struct tree *t, const char *fmt, ...)
{
	char path[128], text[4096];
	va_list ap;

	count(&stats->wrong);
	printf("WRONG: %s (tree 0x%llx, depth %d): ", t->program->name,
	       (unsigned long long)t->seed, t->depth);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n  steps:%s\n", t->steps);
	snprintf(path, sizeof(path), "%s/wrong", t->dir);
	if (read_text(path, text, sizeof(text)))
		printf("  %s", text);
	snprintf(path, sizeof(path), "%s/out", t->dir);
	if (read_text(path, text, sizeof(text)))
		printf("  output: %s\n", text);
	fflush(stdout);
}

/* Remembers what was done, the oldest is forgotten. */
static __attribute__((format(printf, 2, 3))) void step(struct tree *t, const char *fmt, ...)
{
	size_t len = strlen(t->steps);
	char text[64] = " ";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + 1, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (len + strlen(text) >= sizeof(t->steps)) {
		memmove(t->steps, t->steps + sizeof(t->steps) / 2, len - sizeof(t->steps) / 2 + 1);
		len = strlen(t->steps);
	}
	memcpy(t->steps + len, text, strlen(text) + 1);
}

/* ---- namespaces ---- */

static void enter(int ns)
{
	if (setns(ns, CLONE_NEWPID))
		die("setns");
}

/* A process outside of the tree's namespaces; it dies with its parent. */
static pid_t fork_outside(struct tree *t)
{
	pid_t parent = getpid(), pid;

	fflush(stdout);
	enter(t->outer_ns);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		rng = mix(rng);
		return 0;
	}
	rng++;
	enter(t->inner_ns);
	return pid;
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("lo");
	close(fd);
}

#define ASK_KILL	'k'	/* kill all others, and wait until they are gone */
#define ASK_CONTINUE	'c'	/* SIGCONT for all others */

/* Init of the tree's namespace. */
static void agent_main(int ask, int answer)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "agent");
	signal(SIGCHLD, SIG_IGN);
	while (read(ask, &byte, 1) == 1) {
		if (byte == ASK_CONTINUE)
			kill(-1, SIGCONT);
		while (byte == ASK_KILL && !kill(-1, SIGKILL))
			usleep(2000);
		if (write(answer, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static void make_world(struct tree *t)
{
	int ask[2], answer[2];
	char path[64];

	t->outer_ns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (t->outer_ns < 0 || pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
		die("world");
	if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET))
		die("unshare");
	loopback_up();
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tree", t->dir, "tmpfs", 0, NULL))
		die("mount %s", t->dir);
	t->agent = fork();
	if (t->agent < 0)
		die("fork");
	if (!t->agent) {
		dup2(ask[0], 0);
		dup2(answer[1], 1);
		close_range(3, ~0U, 0);
		agent_main(0, 1);
	}
	close(ask[0]);
	close(answer[1]);
	t->ask = ask[1];
	t->answer = answer[0];
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", t->agent);
	t->inner_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (t->inner_ns < 0)
		die("%s", path);
}

static void leave_world(struct tree *t)
{
	close(t->ask);
	kill(t->agent, SIGKILL);
	waitpid(t->agent, NULL, 0);
	close(t->answer);
	close(t->inner_ns);
	close(t->outer_ns);
}

/* ---- the processes ---- */

static void exec_program(struct tree *t)
{
	const char *argv[MAX_ARGS + 1];
	char seed[32];
	int i, fd;

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)t->seed % 1000000007);
	for (i = 0; i < MAX_ARGS && t->program->argv[i]; i++)
		argv[i] = strcmp(t->program->argv[i], "SEED") ? t->program->argv[i] : seed;
	argv[i] = NULL;
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (chdir(t->dir))
		_exit(126);
	close_range(0, 2, 0);
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	fd = open("/dev/null", O_RDONLY);
	if (fd || open("out", O_WRONLY | O_CREAT | O_TRUNC, 0666) != 1 || dup(1) != 2)
		_exit(126);
	execvp(argv[0], (char **)argv);
	_exit(127);
}

/* Returns when it executes its program: before, it is a copy of the driver. */
static void start_tree(struct tree *t)
{
	int p[2];
	char byte;

	if (pipe2(p, O_CLOEXEC))
		die("pipe");
	t->root = fork();
	if (t->root < 0)
		die("fork");
	if (!t->root)
		exec_program(t);
	close(p[1]);
	if (read(p[0], &byte, 1))
		die("start");
	close(p[0]);
}

/* Has the root ended by itself? */
static bool has_ended(struct tree *t)
{
	if (t->root && waitpid(t->root, &t->status, WNOHANG) == t->root)
		t->root = 0;
	return !t->root;
}

/* What was stopped when it was checkpointed, or by RESTART_FROZEN, goes on. */
static void continue_tree(struct tree *t)
{
	char byte = ASK_CONTINUE;

	if (write(t->ask, &byte, 1) != 1 || read(t->answer, &byte, 1) != 1)
		die("agent");
}

/* Nobody of the tree is left afterwards. */
static void kill_tree(struct tree *t)
{
	char byte = ASK_KILL;

	if (write(t->ask, &byte, 1) != 1)
		die("agent");
	if (t->root) {
		waitpid(t->root, &t->status, 0);
		t->root = 0;
	}
	if (read(t->answer, &byte, 1) != 1)
		die("agent");
}

static bool wait_end(struct tree *t)
{
	int n;

	for (n = 0; !has_ended(t); n++) {
		if (n == END_SECONDS * 50)
			return false;
		usleep(20000);
	}
	return true;
}

static void tell_stop(struct tree *t)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/stop", t->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		die("%s", path);
	close(fd);
}

/* Every file of directory @from, a descriptor, to where the tree works. */
static void copy_files(int from, const char *to)
{
	DIR *dir = fdopendir(from);
	struct dirent *de;
	char path[400], buf[65536];
	ssize_t n;

	while (dir && (de = readdir(dir))) {
		int in = openat(from, de->d_name, O_RDONLY | O_CLOEXEC), out;
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", to, de->d_name);
		if (in >= 0 && !fstat(in, &st) && S_ISREG(st.st_mode) &&
		    strcmp(de->d_name, "stop")) {
			out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, st.st_mode & 0777);
			while (out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
				if (write(out, buf, n) != n)
					die("%s", path);
			close(out);
		}
		if (in >= 0)
			close(in);
	}
	closedir(dir);
}

#endif /* _RANDOM_TREE_H */
