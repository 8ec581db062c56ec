// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt: how far an image is written or read, on standard error.
 *
 * While the system call runs, a thread looks at the position of the descriptor.
 * A pipe or a socket has none, so there is nothing to tell about it. How large
 * an image will be is known before only roughly: its pages are what the
 * processes have in memory and in swap, but not those that are all zero.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "ckpt.h"

/* Nobody needs it for a small image. */
#define FIRST_MS	1000
#define NEXT_MS		500

#define MIB		(1024.0 * 1024.0)

static pid_t parent_of(pid_t pid)
{
	char path[64], line[512], *p;
	pid_t parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	/* The name may have anything in it, but what follows has no ')'. */
	if (fgets(line, sizeof(line), f)) {
		p = strrchr(line, ')');
		if (!p || sscanf(p + 1, " %*c %d", &parent) != 1)
			parent = 0;
	}
	fclose(f);
	return parent;
}

static bool is_below(pid_t pid, pid_t root)
{
	while (pid > 0 && pid != root)
		pid = parent_of(pid);
	return pid == root;
}

static u64 memory_of(pid_t pid)
{
	static const char *const keys[] = { "RssAnon:", "RssShmem:", "VmSwap:" };
	char path[64], line[256];
	u64 sum = 0;
	size_t i;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (!strncmp(line, keys[i], strlen(keys[i])))
				sum += strtoull(line + strlen(keys[i]), NULL, 10) * 1024;
	fclose(f);
	return sum;
}

u64 ckpt_progress_tree(pid_t root)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	u64 sum = 0;
	pid_t pid;

	while (dir && (de = readdir(dir))) {
		pid = atoi(de->d_name);
		if (pid > 0 && is_below(pid, root))
			sum += memory_of(pid);
	}
	if (dir)
		closedir(dir);
	return sum;
}

u64 ckpt_progress_kept(int crid)
{
	unsigned long long meta, pages;
	FILE *f = fopen("/proc/checkpoints", "re");
	char line[512];
	u64 sum = 0;
	int id;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%d %*d %*u %*u %llu %llu", &id, &meta, &pages) == 3 &&
		    id == crid && pages)
			sum = meta + pages * sysconf(_SC_PAGESIZE);
	if (f)
		fclose(f);
	return sum;
}

/* lseek() would wait for the system call to end. */
static u64 position(int fd)
{
	char path[64];
	unsigned long long pos = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "pos: %llu", &pos) != 1)
		pos = 0;
	fclose(f);
	return pos;
}

/* Nothing is told before the first byte: then the processes are being stopped. */
static void show(struct ckpt_progress *p)
{
	u64 done = position(p->fd) - p->start, now = ckpt_now_ns();
	double rate;

	if (!done)
		return;
	p->shown = true;
	rate = done * 1e9 / (now - p->start_ns);
	fprintf(stderr, "%sckpt: %s %.0f MiB", p->terminal ? "\r" : "", p->what, done / MIB);
	/* What was only estimated may turn out to be wrong. */
	if (p->total >= done)
		fprintf(stderr, " of %s%.0f MiB (%.0f %%), %.0f MiB/s, %.0f s left",
			p->exact ? "" : "about ", p->total / MIB, 100.0 * done / p->total,
			rate / MIB, (p->total - done) / rate);
	else
		fprintf(stderr, ", %.0f MiB/s", rate / MIB);
	fputs(p->terminal ? "\033[K" : "\n", stderr);
	fflush(stderr);
}

static void *progress_main(void *arg)
{
	struct ckpt_progress *p = arg;
	struct pollfd stop = { .fd = p->stop, .events = POLLIN };
	int timeout = FIRST_MS, n;

	while ((n = poll(&stop, 1, timeout)) <= 0) {
		if (!n)
			show(p);
		timeout = NEXT_MS;
	}
	return NULL;
}

bool ckpt_progress_wanted(const struct ckpt_options *opt, int fd)
{
	struct stat st;

	return (opt->progress || isatty(STDERR_FILENO)) &&
	       fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode);
}

void ckpt_progress_start(struct ckpt_progress *p, const char *what, int fd, u64 total,
			 bool exact)
{
	p->what = what;
	p->fd = fd;
	p->total = total;
	p->exact = exact;
	p->terminal = isatty(STDERR_FILENO);
	p->start = position(fd);
	p->start_ns = ckpt_now_ns();
	p->stop = eventfd(0, EFD_CLOEXEC);
	if (p->stop < 0)
		return;
	p->running = !pthread_create(&p->thread, NULL, progress_main, p);
	if (!p->running)
		close(p->stop);
}

void ckpt_progress_end(struct ckpt_progress *p)
{
	u64 one = 1;

	if (!p->running)
		return;
	if (write(p->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(p->thread, NULL);
	if (p->shown) {
		/* How much it was is known now. */
		p->total = 0;
		show(p);
		if (p->terminal)
			fputc('\n', stderr);
	}
	close(p->stop);
	p->running = false;
}
