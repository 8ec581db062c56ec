// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: scheduling of a thread and resource limits of a process.
 *
 * Saved: policy, nice, real-time priority, time slice, reset-on-fork, I/O
 * priority, affinity if the thread has restricted it; all resource limits.
 *
 * Refused: SCHED_DEADLINE (bandwidth is admitted per machine). A policy,
 * priority or limit that the restarting caller may not set.
 *
 * An affinity mask without any CPU of this machine is not applied; the thread
 * then has that of the restarting caller, as with no restriction.
 *
 * Locking: task_lock() of the main thread around limits, as setrlimit().
 */
#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/iocontext.h>
#include <linux/ioprio.h>
#include <linux/posix-timers.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/security.h>
#include <uapi/linux/sched/types.h>

#include "objects.h"

#define CPU_WORDS(nr)	DIV_ROUND_UP(nr, 64)

/* ---- scheduling: checkpoint ---- */

static void fill_cpus(struct task_struct *task, struct cr_img_sched *img)
{
	unsigned int cpu;

	for_each_cpu(cpu, &task->cpus_mask)
		if (cpu < img->nr_cpus)
			img->cpus[cpu / 64] |= BIT_ULL(cpu % 64);
}

static u32 io_priority(struct task_struct *task)
{
	u32 prio = 0;

	task_lock(task);
	if (task->io_context)
		prio = task->io_context->ioprio;
	task_unlock(task);
	return prio;
}

/**
 * cr_sched_dump() - record how a thread is scheduled
 * @ctx: the checkpoint
 * @obj: its struct cr_task
 * @id: object id of the thread
 *
 * Return: 0, or -EOPNOTSUPP as told.
 */
int cr_sched_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_task *t = obj;
	struct task_struct *task = t->task;
	struct cr_img_sched *img;
	u32 nr_cpus = 0;
	size_t len;

	if (t->hold == CR_HOLD_ZOMBIE)
		return 0;
	if (task->policy == SCHED_DEADLINE)
		return cr_fail(ctx, -EOPNOTSUPP, "pid %d (%s): SCHED_DEADLINE: not supported",
			       t->tid, task->comm);
	/* Set by sched_setaffinity(), and not by a cpuset. */
	if (task->user_cpus_ptr)
		nr_cpus = min_t(u32, nr_cpu_ids, CR_CPUS_MAX);
	len = struct_size(img, cpus, CPU_WORDS(nr_cpus));
	img = cr_rec_get(ctx, CR_IMG_SCHED, id, len);
	if (!img)
		return ctx->err;
	img->policy = task->policy;
	img->nice = task_nice(task);
	img->rt_priority = task->rt_priority;
	if (task->sched_reset_on_fork)
		img->flags |= SCHED_FLAG_RESET_ON_FORK;
	if (task->se.custom_slice)
		img->slice_ns = task->se.slice;
	img->ioprio = io_priority(task);
	img->nr_cpus = nr_cpus;
	fill_cpus(task, img);
	cr_rec_put(ctx, img, len);
	return 0;
}

/* ---- scheduling: check ---- */

static const char *sched_bad(const struct cr_img_sched *img, u32 len)
{
	bool rt = img->policy == SCHED_FIFO || img->policy == SCHED_RR;

	if (img->nr_cpus > CR_CPUS_MAX ||
	    len != struct_size(img, cpus, CPU_WORDS(img->nr_cpus)))
		return "number of CPUs";
	if (img->policy == SCHED_DEADLINE || img->policy > SCHED_EXT || img->policy == 4)
		return "policy";
	if (img->nice < MIN_NICE || img->nice > MAX_NICE)
		return "nice value";
	if (img->rt_priority >= MAX_RT_PRIO || rt != !!img->rt_priority)
		return "real-time priority";
	if (img->flags & ~SCHED_FLAG_RESET_ON_FORK)
		return "flags";
	if (img->ioprio > U16_MAX)
		return "I/O priority";
	return NULL;
}

/**
 * cr_sched_check() - check how a thread is to be scheduled
 * @ctx: the restart
 * @rec: CR_IMG_SCHED
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_sched_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const char *what = sched_bad(rec->data, rec->len);

	if (what)
		return cr_fail(ctx, -EINVAL, "record %u: scheduling: bad %s", rec->index, what);
	return 0;
}

/* ---- scheduling: restart ---- */

/* As setpriority() and sched_setattr(), which both check for permission. */
static int restore_policy(struct cr_ctx *ctx, struct cr_task *t,
			  const struct cr_img_sched *img)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = img->policy,
		.sched_flags = img->flags,
		.sched_nice = img->nice,
		.sched_priority = img->rt_priority,
		.sched_runtime = img->slice_ns,
	};
	int err;

	/* A real-time thread has a nice value too, for when it ceases to be one. */
	if (img->nice != task_nice(current)) {
		if (img->nice < task_nice(current) && !can_nice(current, img->nice))
			return cr_fail(ctx, -EPERM,
				       "pid %d: nice %d needs CAP_SYS_NICE or RLIMIT_NICE",
				       t->tid, img->nice);
		err = security_task_setnice(current, img->nice);
		if (err)
			return cr_fail(ctx, err, "pid %d: nice %d", t->tid, img->nice);
		set_user_nice(current, img->nice);
	}
	err = sched_setattr(current, &attr);
	if (err)
		return cr_fail(ctx, err, "pid %d: scheduling policy %u, priority %u: %s",
			       t->tid, img->policy, img->rt_priority,
			       err == -EPERM ? "needs CAP_SYS_NICE or RLIMIT_RTPRIO" :
					       "not possible here");
	return 0;
}

static int restore_affinity(struct cr_ctx *ctx, struct cr_task *t,
			    const struct cr_img_sched *img)
{
	cpumask_var_t mask;
	unsigned int cpu;
	int err = 0;

	if (!img->nr_cpus)
		return 0;
	if (!zalloc_cpumask_var(&mask, GFP_KERNEL))
		return cr_fail(ctx, -ENOMEM, "no memory for a CPU mask");
	for_each_online_cpu(cpu)
		if (cpu < img->nr_cpus && img->cpus[cpu / 64] & BIT_ULL(cpu % 64))
			cpumask_set_cpu(cpu, mask);
	if (!cpumask_empty(mask))
		err = sched_setaffinity(0, mask);
	free_cpumask_var(mask);
	/* -EINVAL: the cpuset has none of these CPUs. */
	if (err && err != -EINVAL)
		return cr_fail(ctx, err, "pid %d: CPU affinity", t->tid);
	return 0;
}

static int restore_ioprio(struct cr_ctx *ctx, struct cr_task *t,
			  const struct cr_img_sched *img)
{
#ifdef CONFIG_BLOCK
	int err;

	if (img->ioprio == io_priority(current))
		return 0;
	err = ioprio_check_cap(img->ioprio);
	if (!err)
		err = set_task_ioprio(current, img->ioprio);
	if (err)
		return cr_fail(ctx, err, "pid %d: I/O priority 0x%x", t->tid, img->ioprio);
#endif
	return 0;
}

/**
 * cr_sched_restore() - how the thread is scheduled
 * @ctx: the restart
 * @t: the thread, current
 * @rec: CR_IMG_SCHED
 *
 * Return: 0 or -errno as told.
 */
int cr_sched_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_sched *img = rec->data;

	if (restore_ioprio(ctx, t, img) || restore_affinity(ctx, t, img))
		return ctx->err;
	return restore_policy(ctx, t, img);
}

/* ---- resource limits ---- */

static_assert(ARRAY_SIZE(((struct cr_img_rlimit *)NULL)->limit) == RLIM_NLIMITS);
static_assert(RLIM_INFINITY == (unsigned long)~0ULL);

/**
 * cr_rlimit_dump() - record the resource limits of a process
 * @ctx: the checkpoint
 * @obj: struct cr_task of its leader
 * @id: object id of the process
 *
 * Return: 0 or -errno as told.
 */
int cr_rlimit_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_task *t = obj;
	struct cr_img_rlimit *img;
	unsigned int i;

	if (t->hold == CR_HOLD_ZOMBIE)
		return 0;
	img = cr_rec_get(ctx, CR_IMG_RLIMIT, id, sizeof(*img));
	if (!img)
		return ctx->err;
	/* prlimit() of another process may change them meanwhile. */
	task_lock(t->task);
	for (i = 0; i < RLIM_NLIMITS; i++) {
		img->limit[i].cur = t->task->signal->rlim[i].rlim_cur;
		img->limit[i].max = t->task->signal->rlim[i].rlim_max;
	}
	task_unlock(t->task);
	cr_rec_put(ctx, img, sizeof(*img));
	return 0;
}

/**
 * cr_rlimit_check() - check resource limits
 * @ctx: the restart
 * @rec: CR_IMG_RLIMIT
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_rlimit_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_rlimit *img = rec->data;
	unsigned int i;

	for (i = 0; i < RLIM_NLIMITS; i++)
		if (img->limit[i].cur > img->limit[i].max)
			return cr_fail(ctx, -EINVAL,
				       "record %u: resource limit %u: soft above hard",
				       rec->index, i);
	return 0;
}

/* As setrlimit(). */
static int restore_limit(struct rlimit *rlim, unsigned int i, struct rlimit *new)
{
	int err = 0;

	if (new->rlim_cur == rlim->rlim_cur && new->rlim_max == rlim->rlim_max)
		return 0;
	if (i == RLIMIT_NOFILE && new->rlim_max > sysctl_nr_open)
		return -EPERM;
	task_lock(current->group_leader);
	if (new->rlim_max > rlim->rlim_max && !capable(CAP_SYS_RESOURCE))
		err = -EPERM;
	if (!err)
		err = security_task_setrlimit(current, i, new);
	/* signals that are pending may be more than it allows by now */
	if (!err && i != RLIMIT_SIGPENDING)
		*rlim = *new;
	task_unlock(current->group_leader);

	if (!err && i == RLIMIT_CPU && new->rlim_cur != RLIM_INFINITY)
		update_rlimit_cpu(current->group_leader, new->rlim_cur);
	return err;
}

/**
 * cr_rlimit_restore() - resource limits
 * @ctx: the restart
 * @t: leader of the process, current
 * @rec: CR_IMG_RLIMIT
 *
 * Return: 0; -EPERM if the caller could not have set them.
 */
int cr_rlimit_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_rlimit *img = rec->data;
	unsigned int i;

	for (i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit new = { img->limit[i].cur, img->limit[i].max };
		int err = restore_limit(current->signal->rlim + i, i, &new);

		if (err)
			return cr_fail(ctx, err,
				       "pid %d: resource limit %u to %lld: needs CAP_SYS_RESOURCE",
				       t->tid, i, (s64)img->limit[i].max);
	}
	return 0;
}

/**
 * cr_rlimit_late() - the limit that is for signals to come
 * @ctx: the restart; no task runs, all signals that are pending have been queued
 */
void cr_rlimit_late(struct cr_ctx *ctx)
{
	const struct cr_img_rlimit *img;
	const struct cr_rec *part;
	struct rlimit *rlim;
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		/* as for all other records that a zombie need not have */
		if (t->leader != t || cr_img_is_zombie(t))
			continue;
		cr_for_each_part(ctx, part, t->process_rec) {
			if (part->type != CR_IMG_RLIMIT)
				continue;
			img = part->data;
			rlim = t->task->signal->rlim + RLIMIT_SIGPENDING;
			task_lock(t->task);
			rlim->rlim_cur = img->limit[RLIMIT_SIGPENDING].cur;
			rlim->rlim_max = img->limit[RLIMIT_SIGPENDING].max;
			task_unlock(t->task);
		}
	}
}
