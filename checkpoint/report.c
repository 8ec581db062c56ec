// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: what a thread's last call did, or has done so far, in
 * /proc/<pid>/task/<tid>/checkpoint.
 *
 * Locking: task_lock() protects task_struct.cr_report and what it points to;
 * only the thread itself changes either, so it may follow the pointer without.
 */
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "internal.h"

const char * const cr_phase_names[CR_NR_PHASES] = {
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

/* A reason is one line: these are shown in octal, as in /proc/<pid>/maps. */
#define CONTROL_CHARACTERS \
	"\001\002\003\004\005\006\a\b\t\n\v\f\r\016\017\020\021\022\023\024\025\026\027" \
	"\030\031\032\033\034\035\036\037\177\\"

static void report_replace(struct task_struct *task, struct cr_report *report)
{
	task_lock(task);
	swap(task->cr_report, report);
	task_unlock(task);
	kfree(report);
}

/**
 * cr_report_begin() - a call begins
 * @call: "checkpoint" or "restart"
 * @crid: kept checkpoint it is about, or 0
 *
 * The report of the last call is dropped.
 *
 * Return: 0, or -ENOMEM.
 */
int cr_report_begin(const char *call, int crid)
{
	struct cr_report *report = kzalloc(sizeof(*report), GFP_KERNEL_ACCOUNT);

	if (report) {
		report->call = call;
		report->crid = crid;
		report->running = true;
	}
	report_replace(current, report);
	return report ? 0 : -ENOMEM;
}

/**
 * cr_report_update() - show what is known about the call that is running
 * @ctx: the checkpoint or restart of current
 *
 * Not the reason, which another task may be writing.
 */
void cr_report_update(struct cr_ctx *ctx)
{
	struct cr_report *report = current->cr_report;

	task_lock(current);
	memcpy(report, &ctx->report, offsetof(struct cr_report, reason));
	report->running = true;
	task_unlock(current);
}

/**
 * cr_report_bytes() - show how far the call that is running has come
 * @bytes: of the image, written or read
 */
void cr_report_bytes(u64 bytes)
{
	struct cr_report *report = current->cr_report;

	/* unit tests read images outside of any call */
	if (!report)
		return;
	task_lock(current);
	report->bytes = bytes;
	task_unlock(current);
}

/**
 * cr_report_end() - keep the report of a call that is about to return
 * @ctx: the checkpoint or restart of current; everybody else is done with it
 * @result: what the system call returns
 *
 * Return: @result.
 */
long cr_report_end(struct cr_ctx *ctx, long result)
{
	struct cr_report *report = current->cr_report;

	task_lock(current);
	*report = ctx->report;
	report->running = false;
	report->result = result;
	/* a part may have failed and been undone by a later success */
	if (result >= 0)
		report->reason[0] = 0;
	task_unlock(current);
	return result;
}

/**
 * cr_report_simple() - the same, of a call that needed no context
 * @result: what the system call returns
 * @reason: in words; NULL if it did not fail
 *
 * Return: @result.
 */
long cr_report_simple(long result, const char *reason)
{
	struct cr_report *report = current->cr_report;

	task_lock(current);
	report->running = false;
	report->result = result;
	strscpy(report->reason, reason ?: "");
	task_unlock(current);
	return result;
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
 * The reason names files and addresses of the tree, and with a descriptor that
 * was opened before the task has executed a setuid program it would be read by
 * somebody who may not.
 *
 * Return: 0; -EACCES if the reader could not look at the task with ptrace();
 * -ENOMEM.
 */
int proc_pid_checkpoint(struct seq_file *m, struct pid_namespace *ns,
			struct pid *pid, struct task_struct *task)
{
	struct cr_report *r;
	bool any;
	int i;

	if (!ptrace_may_access(task, PTRACE_MODE_READ_FSCREDS))
		return -EACCES;
	r = kmalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	task_lock(task);
	any = task->cr_report;
	if (any)
		*r = *task->cr_report;
	task_unlock(task);
	if (any) {
		seq_printf(m, "call: %s\nrunning: %d\nresult: %ld\ncrid: %d\npid: %d\n",
			   r->call, r->running, r->result, r->crid, r->pid);
		for (i = 0; i < CR_NR_PHASES; i++)
			seq_printf(m, "%s_ns: %llu\n", cr_phase_names[i], r->phase_ns[i]);
		seq_printf(m, "frozen_ns: %llu\ntasks: %u\nobjects: %u\nrecords: %u\n",
			   r->frozen_ns, r->tasks, r->objects, r->records);
		seq_printf(m, "meta_bytes: %llu\npages: %llu\nbytes: %llu\n",
			   r->meta_bytes, r->pages, r->bytes);
		seq_printf(m, "expected_bytes: %llu\nreason: ", r->expected_bytes);
		/* names in it come from an image, or from a file system */
		seq_escape(m, r->reason, CONTROL_CHARACTERS);
		seq_putc(m, '\n');
	}
	kfree(r);
	return 0;
}
