/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint/restart: what the rest of the kernel sees of it.
 */
#ifndef _LINUX_CHECKPOINT_H
#define _LINUX_CHECKPOINT_H

#include <linux/types.h>

struct seq_file;
struct pid_namespace;
struct pid;
struct task_struct;

#ifdef CONFIG_CHECKPOINT

/* Drops what @task's last checkpoint() or restart() reported; on exit. */
void cr_report_free(struct task_struct *task);

/* /proc/<pid>/task/<tid>/checkpoint */
int proc_pid_checkpoint(struct seq_file *m, struct pid_namespace *ns,
			struct pid *pid, struct task_struct *task);

/* The init of @ns has died: release its checkpoints. */
void cr_store_release(struct pid_namespace *ns);

#else

static inline void cr_store_release(struct pid_namespace *ns)
{
}

static inline void cr_report_free(struct task_struct *task)
{
}

#endif /* CONFIG_CHECKPOINT */

#endif /* _LINUX_CHECKPOINT_H */
