// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: what a thread's last call did, in
 * /proc/<pid>/task/<tid>/checkpoint.
 *
 * Locking: task_lock() protects task_struct.cr_report; only the thread itself
 * changes it.
 */
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "internal.h"

static const char * const phase_names[CR_NR_PHASES] = {
	[CR_PHASE_PREPARE]	= "prepare",
	[CR_PHASE_FREEZE]	= "freeze",
	[CR_PHASE_DUMP]		= "dump",
	[CR_PHASE_THAW]		= "thaw",
	[CR_PHASE_FLUSH]	= "flush",
	[CR_PHASE_READ]		= "read",
	[CR_PHASE_BUILD]	= "build",
	[CR_PHASE_FILL]		= "fill",
	[CR_PHASE_FINISH]	= "finish",
};

static void report_replace(struct task_struct *task, struct cr_report *report)
{
	task_lock(task);
	swap(task->cr_report, report);
	task_unlock(task);
	kfree(report);
}

/**
 * cr_report_store() - keep the report of a call that is about to return
 * @ctx: the checkpoint or restart of current
 * @result: what the system call returns
 *
 * Without memory for it the last report is dropped and nothing is kept.
 */
void cr_report_store(struct cr_ctx *ctx, long result)
{
	struct cr_report *report = kmalloc(sizeof(*report), GFP_KERNEL_ACCOUNT);

	if (report) {
		*report = ctx->report;
		report->result = result;
		/* a part may have failed and been undone by a later success */
		if (result >= 0)
			report->reason[0] = 0;
	}
	report_replace(current, report);
}

/**
 * cr_report_free() - drop the report of a task that is going away
 * @task: nobody else can look at it any more
 */
void cr_report_free(struct task_struct *task)
{
	kfree(task->cr_report);
	task->cr_report = NULL;
}

/**
 * proc_pid_checkpoint() - show /proc/<pid>/task/<tid>/checkpoint
 * @m: output
 * @ns: not used
 * @pid: not used
 * @task: whose
 *
 * Return: 0, or -ENOMEM.
 */
int proc_pid_checkpoint(struct seq_file *m, struct pid_namespace *ns,
			struct pid *pid, struct task_struct *task)
{
	struct cr_report *r = kmalloc(sizeof(*r), GFP_KERNEL);
	bool any;
	int i;

	if (!r)
		return -ENOMEM;
	task_lock(task);
	any = task->cr_report;
	if (any)
		*r = *task->cr_report;
	task_unlock(task);
	if (any) {
		seq_printf(m, "call: %s\nresult: %ld\ncrid: %d\npid: %d\n",
			   r->call, r->result, r->crid, r->pid);
		for (i = 0; i < CR_NR_PHASES; i++)
			seq_printf(m, "%s_ns: %llu\n", phase_names[i], r->phase_ns[i]);
		seq_printf(m, "frozen_ns: %llu\ntasks: %u\nobjects: %u\nrecords: %u\n",
			   r->frozen_ns, r->tasks, r->objects, r->records);
		seq_printf(m, "meta_bytes: %llu\npages: %llu\nbytes: %llu\nreason: %s\n",
			   r->meta_bytes, r->pages, r->bytes, r->reason);
	}
	kfree(r);
	return 0;
}
