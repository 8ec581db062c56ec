/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ckpt: what its files share.
 */
#ifndef _CKPT_H
#define _CKPT_H

#include <linux/checkpoint.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include <pthread.h>
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
	bool pidns;
	bool netns;
	bool progress;
};

/* All return the exit status. */
int ckpt_checkpoint(const struct ckpt_options *opt);
int ckpt_write(const struct ckpt_options *opt);
int ckpt_discard(const struct ckpt_options *opt);
int ckpt_list(const struct ckpt_options *opt);
int ckpt_undo(const struct ckpt_options *opt);
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

/* pidns.c: a fresh PID namespace and its init, { .sock = -1 } at first. */
struct ckpt_pidns {
	pid_t init;		/* 0: none was needed */
	int sock;		/* the init ends when this is closed too early */
	const char *what;	/* what failed if not restart(), for messages */
};

/* As restart(), with the copy in a fresh PID namespace. */
long ckpt_pidns_restart(struct ckpt_pidns *ns, const struct ckpt_options *opt, int fd);

/* Until the init has ended: after the restored root, or after a failure. */
void ckpt_pidns_wait(struct ckpt_pidns *ns);

/* A fresh network namespace, with its loopback up. 0, or -1 and errno. */
int ckpt_netns(void);

/* progress.c; all zero at first */
struct ckpt_progress {
	const char *what;
	bool exact;		/* the total is not an estimate */
	bool terminal;
	bool running;
	bool shown;
	u64 start_ns;
	int stop;
	pthread_t thread;
};

bool ckpt_progress_wanted(const struct ckpt_options *opt, int fd);
void ckpt_progress_start(struct ckpt_progress *p, const char *what, bool exact);
void ckpt_progress_end(struct ckpt_progress *p);

#endif /* _CKPT_H */
