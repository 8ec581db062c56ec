/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What torture programs share: options, random numbers from a seed, saying what
 * happens, and counting what the kernel holds, to see that nothing stays.
 *
 * A program is called "torture_NAME --seed N --seconds S [own options]" as root
 * in an empty directory of its own. It calls torture_begin() first, works while
 * torture_time_left(), tells what went wrong with torture_fail(), prints its
 * figures with torture_figure() and returns torture_end().
 */
#ifndef _TORTURE_H
#define _TORTURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../selftests/checkpoint/cr_call.h"
#include "splitmix.h"

/* Exit status of a program that this kernel gives nothing to do. */
#define TORTURE_SKIPPED		4
/* What nothing may wait for any longer, seconds; only a hang takes this long. */
#define TORTURE_WAIT_S		120
/* Failures after which there is nothing more to learn. */
#define TORTURE_FAILURES_MAX	20

/**
 * struct torture_option - an option of one program, with a number
 * @name: without the dashes
 * @value: where it goes
 */
struct torture_option {
	const char *name;
	unsigned long *value;
};

static struct torture {
	const char *name;
	unsigned long seed;
	unsigned long seconds;
	uint64_t rng;
	double start;
	unsigned int failures;
	char figures[1024];
} torture;

static inline double torture_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static inline bool torture_time_left(void)
{
	return torture_now() - torture.start < torture.seconds &&
	       torture.failures < TORTURE_FAILURES_MAX;
}

static inline void torture_sleep_us(unsigned long us)
{
	struct timespec ts = { us / 1000000, (us % 1000000) * 1000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static inline uint64_t torture_random(void)
{
	return splitmix(&torture.rng);
}

/* 0 .. @n - 1; 0 for @n == 0. */
static inline uint64_t torture_below(uint64_t n)
{
	return n ? torture_random() % n : 0;
}

static inline void torture_vsay(const char *prefix, const char *fmt, va_list ap)
{
	printf("%6.1f %s", torture_now() - torture.start, prefix);
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
}

static inline __attribute__((format(printf, 1, 2)))
void torture_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	torture_vsay("", fmt, ap);
	va_end(ap);
}

/* Something is not as it must be; tell enough to see it again. */
static inline __attribute__((format(printf, 1, 2)))
void torture_fail(const char *fmt, ...)
{
	va_list ap;

	torture.failures++;
	va_start(ap, fmt);
	torture_vsay("FAILED: ", fmt, ap);
	va_end(ap);
}

/* The program itself cannot go on. */
static inline __attribute__((format(printf, 1, 2), noreturn))
void torture_die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	torture_vsay("cannot go on: ", fmt, ap);
	va_end(ap);
	printf("%s: seed %lu, errno %d: %s\n", torture.name, torture.seed, err, strerror(err));
	exit(1);
}

static inline __attribute__((format(printf, 1, 2)))
void torture_figure(const char *fmt, ...)
{
	size_t used = strlen(torture.figures);
	va_list ap;

	if (used + 1 < sizeof(torture.figures))
		torture.figures[used++] = ' ';
	va_start(ap, fmt);
	vsnprintf(torture.figures + used, sizeof(torture.figures) - used, fmt, ap);
	va_end(ap);
}

/* @more ends with a NULL name; may be NULL. */
static inline void torture_begin(const char *name, int argc, char **argv,
				 const struct torture_option *more)
{
	const struct torture_option common[] = {
		{ "seed", &torture.seed },
		{ "seconds", &torture.seconds },
		{ },
	}, *o;
	int i;

	torture.name = name;
	torture.seed = 1;
	torture.seconds = 60;
	torture.start = torture_now();
	for (i = 1; i + 1 < argc; i += 2) {
		const char *arg = argv[i] + strspn(argv[i], "-");

		for (o = common; o->name && strcmp(o->name, arg); o++)
			;
		if (!o->name && more)
			for (o = more; o->name && strcmp(o->name, arg); o++)
				;
		if (!o->name)
			break;
		*o->value = strtoul(argv[i + 1], NULL, 0);
	}
	if (i < argc) {
		fprintf(stderr, "usage: %s [--seed N] [--seconds N]", name);
		for (o = more; o && o->name; o++)
			fprintf(stderr, " [--%s N]", o->name);
		fprintf(stderr, "\n");
		exit(2);
	}
	torture.rng = torture.seed;
	torture_say("%s: seed %lu, %lu s", name, torture.seed, torture.seconds);
}

/* The exit status. */
static inline int torture_end(void)
{
	if (torture.failures)
		printf("%s: %u failures with --seed %lu --seconds %lu\n", torture.name,
		       torture.failures, torture.seed, torture.seconds);
	printf("figures:%s failures=%u seconds=%.0f\n", torture.figures, torture.failures,
	       torture_now() - torture.start);
	fflush(stdout);
	return torture.failures ? 1 : 0;
}

/* ---- small files ---- */

static inline int torture_open(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		torture_die("%s", name);
	return fd;
}

static inline bool torture_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (used + 1 < size && (n = read(fd, buf + used, size - 1 - used)) > 0)
		used += n;
	close(fd);
	buf[used] = '\0';
	return used > 0;
}

static inline bool torture_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/*
 * A process at the other end of a pipe or a stream socket, which it writes to if
 * @gives, or reads from. *@end is the end that each of the two has; its pid, or 0
 * in the process itself.
 */
static inline pid_t torture_channel(bool socket, bool gives, int *end)
{
	pid_t pid;
	int fd[2], mine;

	if (socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) :
		     pipe2(fd, O_CLOEXEC))
		torture_die("channel");
	pid = fork();
	if (pid < 0)
		torture_die("fork");
	mine = gives == !pid;
	close(fd[!mine]);
	*end = fd[mine];
	return pid;
}

/* ---- what the kernel holds ---- */

/* Kernel objects that a lost reference shows in. */
static const char * const torture_slabs[] = {
	"task_struct", "mm_struct", "vm_area_struct", "anon_vma", "anon_vma_chain",
	"files_cache", "fs_cache", "signal_cache", "sighand_cache", "cred_jar", "pid",
	"filp", "eventpoll_epi", "eventpoll_pwq", "TCP", "UNIX", "sock_inode_cache",
	"nsproxy", "sigqueue",
};

#define TORTURE_NR_SLABS	(sizeof(torture_slabs) / sizeof(torture_slabs[0]))

/**
 * struct torture_counts - what there is at one moment
 * @tasks: threads of user space in the whole machine
 * @fds: open descriptors of the caller
 * @kept: checkpoints kept in the caller's PID namespace
 * @slab: objects in use, of torture_slabs[]; -1 if the kernel does not tell
 */
struct torture_counts {
	long tasks;
	long fds;
	long kept;
	long slab[TORTURE_NR_SLABS];
};

static inline long torture_count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *de;
	long n = 0;

	while (dir && (de = readdir(dir)))
		n += isdigit(de->d_name[0]) ? 1 : 0;
	if (dir)
		closedir(dir);
	return n;
}

/* Kernel threads come and go as they like; they have no command line area. */
static inline bool torture_is_kthread(const char *pid)
{
	char path[300], text[1024], *p;
	unsigned int flags = 0;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if (!torture_read(path, text, sizeof(text)))
		return true;
	p = strrchr(text, ')');
	/* state ppid pgrp session tty tpgid flags */
	return !p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1 ||
	       (flags & 0x00200000);	/* PF_KTHREAD */
}

static inline long torture_count_tasks(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	char path[300];
	long n = 0;

	while (dir && (de = readdir(dir))) {
		if (!isdigit(de->d_name[0]) || torture_is_kthread(de->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task", de->d_name);
		n += torture_count_entries(path);
	}
	if (dir)
		closedir(dir);
	return n;
}

/*
 * Objects of one cache. Shrinking it first makes what KASAN keeps back for a
 * while really free. With SLUB's debugging, which turns the lists of each CPU
 * off, the number is exact; without it, it is not told.
 */
static inline long torture_count_slab(const char *name)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/sanity_checks", name);
	if (!torture_read(path, text, sizeof(text)) || atoi(text) != 1)
		return -1;
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
	torture_write(path, "1");
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", name);
	return torture_read(path, text, sizeof(text)) ? atol(text) : -1;
}

static inline long torture_count_kept(void)
{
	static char text[1 << 16];
	long n = -1;
	char *p;

	if (!torture_read("/proc/checkpoints", text, sizeof(text)))
		return -1;
	for (p = text; (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

static inline void torture_counts_take(struct torture_counts *c)
{
	size_t i;

	c->tasks = torture_count_tasks();
	c->fds = torture_count_entries("/proc/self/fd");
	c->kept = torture_count_kept();
	for (i = 0; i < TORTURE_NR_SLABS; i++)
		c->slab[i] = torture_count_slab(torture_slabs[i]);
}

/* More than before? What else runs in the machine may need a few objects. */
static inline bool torture_counts_more(const struct torture_counts *before,
				       const struct torture_counts *now, long slack, bool tell)
{
	bool more = false;
	size_t i;

	if (now->tasks > before->tasks || now->fds > before->fds || now->kept != before->kept) {
		more = true;
		if (tell)
			torture_say("tasks %ld (%ld), descriptors %ld (%ld), kept %ld (%ld)",
				    now->tasks, before->tasks, now->fds, before->fds,
				    now->kept, before->kept);
	}
	for (i = 0; i < TORTURE_NR_SLABS; i++) {
		if (now->slab[i] <= before->slab[i] + slack)
			continue;
		more = true;
		if (tell)
			torture_say("%s: %ld objects, were %ld", torture_slabs[i],
				    now->slab[i], before->slab[i]);
	}
	return more;
}

/*
 * Require that no more is there than in @before, but for @slack objects of each
 * cache. Much is freed only after a grace period, or by a worker, so this waits.
 */
static inline bool torture_counts_check(const struct torture_counts *before, long slack,
					const char *when)
{
	struct torture_counts now;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		torture_counts_take(&now);
		if (!torture_counts_more(before, &now, slack, false))
			return true;
		torture_sleep_us(200000);
	}
	torture_counts_more(before, &now, slack, true);
	torture_fail("something was left behind: %s", when);
	return false;
}

#endif /* _TORTURE_H */
