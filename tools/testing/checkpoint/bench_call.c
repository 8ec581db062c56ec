// SPDX-License-Identifier: GPL-2.0
/*
 * One call of checkpoint() or restart(), its time, and what the kernel tells
 * about it in /proc/thread-self/checkpoint.
 *
 * bench_call checkpoint PID IMAGE: write an image, a new file
 * bench_call restart IMAGE: restart it
 * bench_call keep PID: checkpoint that stays in the kernel
 * bench_call recall CRID: restart a kept one
 * bench_call rollback CRID: put the live tree back to a kept one
 * bench_call discard CRID: forget a kept one
 *
 * Exit status 3: the kernel does not know such a call (EINVAL without a reason).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/checkpoint/cr_call.h"

#define UNKNOWN_CALL	3

/* The first argument of the system call is @argv[2] if @takes_id, else 0. */
static const struct call {
	const char *name;
	long nr;
	unsigned long flags;
	bool takes_id;
	int open_flags;		/* of the image; 0: no image */
} calls[] = {
	{ "checkpoint",	__NR_checkpoint, 0, true, O_WRONLY | O_CREAT | O_EXCL },
	{ "restart",	__NR_restart, 0, false, O_RDONLY | O_CLOEXEC },
	{ "keep",	__NR_checkpoint, CHECKPOINT_KEEP, true, 0 },
	{ "recall",	__NR_restart, 0, true, 0 },
	{ "rollback",	__NR_restart, RESTART_ROLLBACK, true, 0 },
	{ "discard",	__NR_checkpoint, CHECKPOINT_DISCARD, true, 0 },
};

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int run(const struct call *call, long id, const char *image)
{
	char report[CR_REPORT_MAX];
	const char *reason;
	__u64 start;
	int fd = -1, err;
	long ret;

	if (image) {
		fd = open(image, call->open_flags, 0600);
		if (fd < 0) {
			fprintf(stderr, "%s: %s\n", image, strerror(errno));
			return 1;
		}
	}
	start = now_ns();
	ret = syscall(call->nr, id, fd, call->flags);
	err = errno;
	printf("whole_ns: %llu\n", now_ns() - start);
	cr_report_text(CR_REPORT, report);
	fputs(report, stdout);
	if (ret >= 0)
		return 0;
	reason = cr_report("reason");
	fprintf(stderr, "%s: %s%s%s\n", call->name, strerror(err), *reason ? ": " : "", reason);
	return err == EINVAL && !image && !*reason ? UNKNOWN_CALL : 1;
}

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc > 2 && i < sizeof(calls) / sizeof(calls[0]); i++) {
		const struct call *c = &calls[i];

		if (strcmp(argv[1], c->name))
			continue;
		if (argc != 2 + c->takes_id + !!c->open_flags)
			break;
		return run(c, c->takes_id ? atol(argv[2]) : 0,
			   c->open_flags ? argv[argc - 1] : NULL);
	}
	fprintf(stderr, "usage: bench_call checkpoint PID IMAGE | restart IMAGE | keep PID |\n"
		"       recall CRID | rollback CRID | discard CRID\n");
	return 2;
}
