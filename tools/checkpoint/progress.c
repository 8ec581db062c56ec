// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt: how far an image is written or read, on standard error.
 *
 * While the system call runs, a thread looks at what the kernel tells about it in
 * /proc/<pid>/task/<tid>/checkpoint. So a pipe or a socket is no different from a
 * file. How large an image will be is known before only roughly: pages that are
 * all zero are not written. How large one is that comes through a pipe nobody
 * knows before its end.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "ckpt.h"

/* Nobody needs it for a small image. */
#define FIRST_MS	1000
#define NEXT_MS		500

#define MIB		(1024.0 * 1024.0)

/* What the kernel says about the call of the main thread. */
static void read_bytes(u64 *done, u64 *total)
{
	char path[64], line[512];
	FILE *f;

	*done = 0;
	*total = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/checkpoint", getpid(), getpid());
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "bytes:", 6))
			*done = strtoull(line + 6, NULL, 10);
		else if (!strncmp(line, "expected_bytes:", 15))
			*total = strtoull(line + 15, NULL, 10);
	}
	if (f)
		fclose(f);
}

/* Nothing is told before the first byte: then the processes are being stopped. */
static void show(struct ckpt_progress *p, bool over)
{
	u64 done, total, now = ckpt_now_ns();
	double rate;

	read_bytes(&done, &total);
	if (!done)
		return;
	p->shown = true;
	rate = done * 1e9 / (now - p->start_ns);
	fprintf(stderr, "%sckpt: %s %.0f MiB", p->terminal ? "\r" : "", p->what, done / MIB);
	/* What was only estimated may turn out to be wrong. */
	if (total >= done && !over)
		fprintf(stderr, " of %s%.0f MiB (%.0f %%), %.0f MiB/s, %.0f s left",
			p->exact ? "" : "about ", total / MIB, 100.0 * done / total,
			rate / MIB, (total - done) / rate);
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
			show(p, false);
		timeout = NEXT_MS;
	}
	return NULL;
}

bool ckpt_progress_wanted(const struct ckpt_options *opt, int fd)
{
	return (opt->progress || isatty(STDERR_FILENO)) && fd >= 0;
}

void ckpt_progress_start(struct ckpt_progress *p, const char *what, bool exact)
{
	p->what = what;
	p->exact = exact;
	p->terminal = isatty(STDERR_FILENO);
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
		show(p, true);
		if (p->terminal)
			fputc('\n', stderr);
	}
	close(p->stop);
	p->running = false;
}
