/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ckpt: what its files share.
 */
#ifndef _CKPT_H
#define _CKPT_H

#include <linux/checkpoint.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef __NR_checkpoint
#define __NR_checkpoint 548
#endif
#ifndef __NR_restart
#define __NR_restart 549
#endif

/* Exit statuses; "ckpt restart --wait" else exits as the restored process does. */
#define CKPT_FAILED	1
#define CKPT_USAGE	2
#define CKPT_WAIT_FAILED 125

struct ckpt_options {
	int id;			/* pid, or id of a kept checkpoint */
	const char *image;	/* "-" is a standard stream; NULL: none */
	unsigned long flags;	/* CHECKPOINT_* or RESTART_* */
	bool wait;
	bool verbose;
};

/* All return the exit status. */
int ckpt_checkpoint(const struct ckpt_options *opt);
int ckpt_write(const struct ckpt_options *opt);
int ckpt_discard(const struct ckpt_options *opt);
int ckpt_list(const struct ckpt_options *opt);
int ckpt_restart(const struct ckpt_options *opt);

/* "ckpt: ..." on standard error. */
void __printf(1, 2) ckpt_error(const char *fmt, ...);

/*
 * Why the system call that just failed with @err did so: the kernel's words if
 * it left any, else those for the errno. Valid until the next call.
 */
const char *ckpt_reason(int err);

/* What the kernel tells about the last call, and when it was made, to stderr. */
void ckpt_print_report(u64 start_ns, u64 end_ns);

/* CLOCK_MONOTONIC */
u64 ckpt_now_ns(void);

#endif /* _CKPT_H */
