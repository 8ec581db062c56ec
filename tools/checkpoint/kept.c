// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt discard, ckpt list: checkpoints that stay in the kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ckpt.h"

int ckpt_discard(const struct ckpt_options *opt)
{
	if (syscall(__NR_checkpoint, opt->id, -1, CHECKPOINT_DISCARD) >= 0)
		return 0;
	/* There is no report of such a call: it does nothing that can be slow. */
	ckpt_error("cannot discard checkpoint %d: %s", opt->id,
		   errno == ESRCH ? "no such checkpoint" : strerror(errno));
	return CKPT_FAILED;
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
