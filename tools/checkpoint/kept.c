// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt discard, ckpt list, ckpt undo: checkpoints that stay in the kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ckpt.h"

int ckpt_discard(const struct ckpt_options *opt)
{
	if (syscall(__NR_checkpoint, opt->id, -1, CHECKPOINT_DISCARD) >= 0)
		return 0;
	ckpt_error("cannot discard checkpoint %d: %s", opt->id, ckpt_reason(errno));
	return CKPT_FAILED;
}

/* Why undo failed. Too old a kernel refuses the flag and leaves no reason. */
static const char *undo_reason(int err)
{
	const char *reason = ckpt_reason(err);

	if (err == EINVAL && !strcmp(reason, strerror(err)))
		return "this kernel cannot put a live tree back";
	return reason;
}

int ckpt_undo(const struct ckpt_options *opt)
{
	u64 start = ckpt_now_ns();
	long pid = syscall(__NR_restart, opt->id, -1, opt->flags | RESTART_ROLLBACK);
	int err = errno;

	if (opt->verbose)
		ckpt_print_report(start, ckpt_now_ns());
	if (pid < 0) {
		ckpt_error("cannot undo to checkpoint %d: %s", opt->id, undo_reason(err));
		return CKPT_FAILED;
	}
	printf("%ld\n", pid);
	return 0;
}

int ckpt_list(const struct ckpt_options *opt)
{
	FILE *f = fopen("/proc/checkpoints", "re");
	char line[512];

	(void)opt;
	if (!f) {
		ckpt_error("cannot read /proc/checkpoints: %s", strerror(errno));
		return CKPT_FAILED;
	}
	while (fgets(line, sizeof(line), f))
		fputs(line, stdout);
	fclose(f);
	return 0;
}
