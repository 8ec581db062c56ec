// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: park all tasks of the tree, and release them.
 *
 * A task parks in task work on its way to user mode: its registers are in
 * pt_regs, it holds no lock, and an interrupted system call has already decided
 * how it will be restarted. A task in a job control stop or a zombie is held as
 * it is; the task work waits for it, should it wake up. A vfork() child runs on
 * until it has executed a program or has exited, for its parent cannot park before.
 *
 * cr_task.hold goes from NONE to PARKED (by the task), to STOPPED or ZOMBIE (by
 * the caller) or to GONE (by the task, when it dies), under ctx->lock. Once
 * ctx->dumping is set no task leaves, not even killed; that window is short.
 *
 * Several checkpoints may want the same task at a time, and its caller may be in
 * the tree of another one. None of them may wait for another, or they would wait
 * in a circle. So a task that is parked for one counts for all whose task work it
 * has: it goes from one to the next without seeing user mode in between. And of
 * two whose callers are in each other's tree the one that began later gives way:
 * it lets its tree go, and its system call begins again when it has been parked.
 */
#include <linux/freezer.h>
#include <linux/hashtable.h>
#include <linux/kallsyms.h>
#include <linux/ktime.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>

#include "internal.h"

/* How long a task may take to park; kernel.checkpoint_freeze_timeout_ms. */
unsigned int cr_freeze_timeout_ms = 10 * MSEC_PER_SEC;

/* Every &struct cr_task whose task is in cr_park(), by task. */
static DEFINE_HASHTABLE(cr_parked, 8);
static DEFINE_SPINLOCK(cr_parked_lock);

/* Who is in cr_freeze(). */
static LIST_HEAD(cr_freezing);
static DEFINE_SPINLOCK(cr_freezing_lock);
static u64 cr_last_rank;

/* A rollback cannot begin again, as its tree is restored already. They come first. */
static void freezing_add(struct cr_ctx *ctx)
{
	spin_lock(&cr_freezing_lock);
	ctx->rank = ++cr_last_rank;
	if (!ctx->hidden)
		ctx->rank |= BIT_ULL(63);
	list_add(&ctx->freezing, &cr_freezing);
	spin_unlock(&cr_freezing_lock);
}

static void freezing_del(struct cr_ctx *ctx)
{
	spin_lock(&cr_freezing_lock);
	list_del(&ctx->freezing);
	spin_unlock(&cr_freezing_lock);
}

/* @task does not park. Is that since it waits for tasks of its own, perhaps for us? */
static void claim(const struct cr_ctx *ctx, const struct task_struct *task)
{
	struct cr_ctx *other;

	spin_lock(&cr_freezing_lock);
	list_for_each_entry(other, &cr_freezing, freezing) {
		if (other->caller == task && other->rank > ctx->rank)
			WRITE_ONCE(other->give_way, true);
	}
	spin_unlock(&cr_freezing_lock);
}

static void parked_add(struct cr_task *t)
{
	spin_lock(&cr_parked_lock);
	hash_add(cr_parked, &t->parked, (unsigned long)t->task);
	spin_unlock(&cr_parked_lock);
}

static void parked_del(struct cr_task *t)
{
	spin_lock(&cr_parked_lock);
	hash_del(&t->parked);
	spin_unlock(&cr_parked_lock);
}

/* Is it in cr_park(), for whomever? Then what is queued now runs before user mode. */
static bool is_parked(const struct task_struct *task)
{
	struct cr_task *t;
	bool found = false;

	spin_lock(&cr_parked_lock);
	hash_for_each_possible(cr_parked, t, parked, (unsigned long)task) {
		if (t->task == task)
			found = true;
	}
	spin_unlock(&cr_parked_lock);
	return found;
}

static unsigned long switches(const struct task_struct *task)
{
	return READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw);
}

/* The task is where it will stay. */
static void arrive(struct cr_ctx *ctx)
{
	if (atomic_dec_and_test(&ctx->nr_running))
		wake_up(&ctx->wait);
}

/* Change @t->hold if it is @from. */
static bool set_hold(struct cr_task *t, enum cr_hold from, enum cr_hold to)
{
	struct cr_ctx *ctx = t->ctx;
	bool ok;

	spin_lock(&ctx->lock);
	ok = t->hold == from;
	if (ok)
		t->hold = to;
	spin_unlock(&ctx->lock);
	return ok;
}

/* Was it parked for another checkpoint when this one came to look? */
static bool is_held_parked(struct cr_task *t)
{
	bool parked;

	spin_lock(&t->ctx->lock);
	parked = t->hold == CR_HOLD_PARKED;
	spin_unlock(&t->ctx->lock);
	return parked;
}

/* A parked task got SIGKILL: may it leave? Not while its state is being read. */
static bool may_leave(struct cr_task *t)
{
	struct cr_ctx *ctx = t->ctx;
	bool leave;

	spin_lock(&ctx->lock);
	leave = !ctx->dumping;
	if (leave)
		t->hold = CR_HOLD_GONE;
	spin_unlock(&ctx->lock);
	return leave;
}

static void wait_parked(struct cr_task *t)
{
	struct cr_ctx *ctx = t->ctx;
	DEFINE_WAIT(wait);

	/* state first: the caller looks for a sleeping task after arrive() */
	prepare_to_wait(&ctx->task_wait, &wait, TASK_KILLABLE);
	if (set_hold(t, CR_HOLD_NONE, CR_HOLD_PARKED))
		arrive(ctx);
	else if (!is_held_parked(t))
		WRITE_ONCE(ctx->disturbed, true);
	while (READ_ONCE(ctx->parking)) {
		if (fatal_signal_pending(current)) {
			if (may_leave(t))
				break;
			/* SIGKILL stays pending; do not spin on it */
			prepare_to_wait(&ctx->task_wait, &wait, TASK_IDLE);
			if (!READ_ONCE(ctx->parking))
				break;
		}
		schedule();
		prepare_to_wait(&ctx->task_wait, &wait, TASK_KILLABLE);
	}
	finish_wait(&ctx->task_wait, &wait);
}

/* A task that was asked to park is done with it. */
static void let_go(struct cr_ctx *ctx)
{
	cr_tree_put(ctx);
	cr_ctx_put(ctx);
}

/* Task work: runs in the task, at its boundary to user mode or when it exits. */
static void cr_park(struct callback_head *work)
{
	struct cr_task *t = container_of(work, struct cr_task, work);
	struct cr_ctx *ctx = t->ctx;

	/*
	 * The newest work runs first. A task that is being restored inside the tree
	 * has that to do before, or the caller of restart() would never come to rest.
	 */
	if (work->next && !task_work_add(current, work, TWA_NONE))
		return;
	if (((current->flags & PF_EXITING) || fatal_signal_pending(current)) &&
	    !is_held_parked(t)) {
		if (set_hold(t, CR_HOLD_NONE, CR_HOLD_GONE))
			arrive(ctx);
		else
			WRITE_ONCE(ctx->disturbed, true);
	} else if (READ_ONCE(current->vfork_done)) {
		cr_arch_park();
		/* @t is that of look_at() from here on, which asks again */
		smp_store_release(&t->deferred, true);
	} else {
		u64 now = ktime_get_ns();

		cmpxchg64(&ctx->freeze_start_ns, 0, now);
		cr_arch_park();
		parked_add(t);
		wait_parked(t);
		parked_del(t);
	}
	let_go(ctx);
}

/*
 * Who writes a core dump must not be woken up: it would be cut off. It parks no
 * more, but exits.
 */
static enum task_work_notify_mode how_to_ask(const struct cr_task *t)
{
	return READ_ONCE(t->task->signal->core_state) ? TWA_NONE : TWA_SIGNAL;
}

static void give_work(struct cr_ctx *ctx, struct cr_task *t)
{
	init_task_work(&t->work, cr_park);
	cr_ctx_get(ctx);
	refcount_inc(&ctx->tree_refs);
	t->queued = true;
	if (task_work_add(t->task, &t->work, how_to_ask(t))) {
		/* exiting, or has */
		t->queued = false;
		let_go(ctx);
		if (set_hold(t, CR_HOLD_NONE, CR_HOLD_GONE))
			arrive(ctx);
	}
}

static void ask_to_park(struct cr_ctx *ctx, struct cr_task *t)
{
	/* what was found to be exiting in an earlier pass is not asked again */
	if (t->queued || READ_ONCE(t->hold) != CR_HOLD_NONE)
		return;
	atomic_inc(&ctx->nr_running);
	give_work(ctx, t);
}

static bool is_late(const struct cr_ctx *ctx, unsigned int ms)
{
	return ktime_get_ns() - ctx->freeze_begin_ns > (u64)ms * NSEC_PER_MSEC;
}

/*
 * Its parent waits in vfork() until it executes a program. That is short, as a rule,
 * but everybody else stands still; so it does not get all of the time.
 */
static void look_at_vfork_child(struct cr_ctx *ctx, struct cr_task *t)
{
	if (task_is_stopped(t->task) || is_late(ctx, READ_ONCE(cr_freeze_timeout_ms) / 10))
		cr_fail(ctx, -EBUSY,
			"pid %d (%s): its parent waits in vfork() for it: not supported; try again",
			cr_pid(t), t->task->comm);
}

/* Has @t come to rest without parking? Then hold it as it is. */
static void look_at(struct cr_ctx *ctx, struct cr_task *t)
{
	if (READ_ONCE(t->task->vfork_done)) {
		look_at_vfork_child(ctx, t);
		return;
	}
	if (t->hold != CR_HOLD_NONE)
		return;
	/* cr_park() is done with @t */
	if (smp_load_acquire(&t->deferred)) {
		t->deferred = false;
		give_work(ctx, t);
		return;
	}
	/* nobody is to stand still for the time that takes */
	if (READ_ONCE(t->task->signal->core_state)) {
		cr_fail(ctx, -EBUSY, "pid %d (%s): its core dump is being written; try again",
			cr_pid(t), t->task->comm);
	} else if (task_is_stopped(t->task)) {
		t->switches = switches(t->task);
		if (set_hold(t, CR_HOLD_NONE, CR_HOLD_STOPPED))
			arrive(ctx);
	} else if (is_parked(t->task)) {
		if (set_hold(t, CR_HOLD_NONE, CR_HOLD_PARKED))
			arrive(ctx);
	} else if (task_is_traced(t->task)) {
		cr_fail(ctx, -EOPNOTSUPP, "pid %d (%s): is being traced: not supported",
			cr_pid(t), t->task->comm);
	} else {
		claim(ctx, t->task);
	}
}

static int too_late(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		unsigned long wchan;

		if (t->hold != CR_HOLD_NONE)
			continue;
		wchan = get_wchan(t->task);
		if (wchan)
			return cr_fail(ctx, -EBUSY,
				       "pid %d (%s): cannot be stopped, it sleeps in %ps; try again",
				       cr_pid(t), t->task->comm, (void *)wchan);
		return cr_fail(ctx, -EBUSY,
			       "pid %d (%s): cannot be stopped, it is busy in the kernel or gets no CPU time; try again",
			       cr_pid(t), t->task->comm);
	}
	return cr_fail(ctx, -EBUSY, "the tree cannot be stopped; try again");
}

static int wait_for_all(struct cr_ctx *ctx)
{
	struct cr_task *t;

	for (;;) {
		list_for_each_entry(t, &ctx->tasks, list)
			look_at(ctx, t);
		if (ctx->err)
			return ctx->err;
		if (!atomic_read(&ctx->nr_running))
			return 0;
		if (READ_ONCE(ctx->give_way)) {
			ctx->gave_way = true;
			return cr_fail(ctx, -EAGAIN,
				       "the caller is in a tree that is being stopped; try again");
		}
		if (is_late(ctx, READ_ONCE(cr_freeze_timeout_ms)))
			return too_late(ctx);
		if (wait_event_killable_timeout(ctx->wait, !atomic_read(&ctx->nr_running),
						1) == -ERESTARTSYS)
			return cr_fail(ctx, -EINTR, "killed while freezing the tree");
	}
}

/**
 * cr_root_gone() - the first task of the tree is not there any more
 * @ctx: the checkpoint
 *
 * When another thread calls execve(), the first one dies, and the other one takes
 * its pid: then somebody is there who is to be looked for again.
 *
 * Return: -ESRCH, or -EAGAIN as cr_tree_changed(), as told.
 */
int cr_root_gone(struct cr_ctx *ctx)
{
	const struct task_struct *task = ctx->root->task;

	if (READ_ONCE(task->signal->group_exec_task) || READ_ONCE(task->group_leader) != task)
		return cr_tree_changed(ctx, ctx->root);
	return cr_fail(ctx, -ESRCH, "pid %d: has exited", ctx->root->tid);
}

/*
 * @t does not exist any more. Has something become of those who were of it that
 * cannot be followed: a thread, perhaps not known yet, has executed a program and
 * is what @t was, or a zombie has been reaped?
 */
static bool is_in_disorder(const struct cr_task *t)
{
	const struct cr_task *child;

	/* in execve() alone the leader goes before the others of its group */
	if (t->leader == t && get_nr_threads(t->task))
		return true;
	list_for_each_entry(child, &t->children, sibling) {
		if (!pid_alive(child->task) && child->hold != CR_HOLD_GONE)
			return true;
	}
	return false;
}

/*
 * @t does not exist any more. Returns 0; 1 if others that were of it do not either,
 * and have not been forgotten yet; or -errno.
 */
static int forget_gone(struct cr_ctx *ctx, struct cr_task *t)
{
	if (is_in_disorder(t))
		return cr_tree_changed(ctx, t);
	if (t == ctx->root)
		return cr_root_gone(ctx);
	if (!list_empty(&t->children) && cr_tree_rehome(ctx))
		return ctx->err;
	if (!list_empty(&t->children) || !list_empty(&t->threads))
		return 1;
	cr_task_remove(ctx, t);
	return 0;
}

/*
 * A task that said GONE becomes a zombie or disappears, soon. Returns the number
 * of tasks of which neither can be said yet, or -errno.
 */
static int settle_gone(struct cr_ctx *ctx)
{
	struct cr_task *t, *next;
	int unsettled = 0, n;

	list_for_each_entry_safe_reverse(t, next, &ctx->tasks, list) {
		int state = READ_ONCE(t->task->exit_state);

		if (t->hold != CR_HOLD_GONE)
			continue;
		if (state == EXIT_ZOMBIE && t->leader == t) {
			t->hold = CR_HOLD_ZOMBIE;
		} else {
			n = pid_alive(t->task) ? 1 : forget_gone(ctx, t);
			if (n < 0)
				return n;
			unsettled += n;
		}
	}
	return unsettled;
}

static int wait_settled(struct cr_ctx *ctx)
{
	int n;

	while ((n = settle_gone(ctx)) > 0) {
		if (is_late(ctx, READ_ONCE(cr_freeze_timeout_ms)))
			return cr_fail(ctx, -EBUSY, "%d tasks are exiting and do not end", n);
		if (fatal_signal_pending(current))
			return cr_fail(ctx, -EINTR, "killed while freezing the tree");
		schedule_timeout_uninterruptible(1);
	}
	return n;
}

/* From here on nobody leaves. False if somebody has. */
static bool close_door(struct cr_ctx *ctx)
{
	struct cr_task *t;
	bool ok = true;

	spin_lock(&ctx->lock);
	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->hold == CR_HOLD_GONE || t->hold == CR_HOLD_NONE)
			ok = false;
	}
	ctx->dumping = ok;
	spin_unlock(&ctx->lock);
	return ok;
}

/*
 * Registers are in memory only when the task is off its CPU. It is about to
 * sleep, so this is short. That it has been switched away from is enough, it may
 * still be on the run queue: all it does when it runs again is to go to sleep,
 * and its user registers are loaded on the way to user mode only.
 * wait_task_inactive() would sleep a whole tick for such a task.
 */
static void wait_off_cpu(struct cr_ctx *ctx)
{
#ifdef CONFIG_SMP
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->hold == CR_HOLD_PARKED)
			smp_cond_load_acquire(&t->task->on_cpu, !VAL);
	}
#endif
}

/* Until nobody is new, and nobody can leave. */
static int park_all(struct cr_ctx *ctx)
{
	struct cr_task *t;
	int found;

	ctx->freeze_begin_ns = ktime_get_ns();
	do {
		list_for_each_entry(t, &ctx->tasks, list)
			ask_to_park(ctx, t);
		if (wait_for_all(ctx) || wait_settled(ctx))
			return ctx->err;
		found = cr_tree_walk(ctx);
		if (found < 0)
			return found;
	} while (found || !close_door(ctx));
	return 0;
}

/**
 * cr_freeze() - park every task of the tree
 * @ctx: the checkpoint; the tasks known so far are in ctx->tasks
 *
 * Bounded by cr_freeze_timeout_ms. On error some are parked: call cr_thaw(). If
 * ctx->gave_way is set then the system call is to be restarted.
 *
 * Context: Process context, sleeps.
 * Return: 0; -EBUSY when a task does not park in time; -EAGAIN when another
 * checkpoint comes first; -ESRCH when the root has exited; -EINTR; -EOPNOTSUPP;
 * or what cr_tree_walk() and cr_tree_recheck() return.
 */
int cr_freeze(struct cr_ctx *ctx)
{
	int err;

	WRITE_ONCE(ctx->parking, true);
	freezing_add(ctx);
	err = park_all(ctx);
	freezing_del(ctx);
	if (err)
		return err;
	if (ctx->root->hold == CR_HOLD_ZOMBIE && ctx->root->nr_threads == 1)
		return cr_root_gone(ctx);

	if (!ctx->freeze_start_ns)
		ctx->freeze_start_ns = ktime_get_ns();
	if (cr_tree_recheck(ctx))
		return ctx->err;
	wait_off_cpu(ctx);
	ctx->time_ns = ktime_get_real_ns();
	ctx->monotonic_ns = ktime_get_ns();
	return 0;
}

/**
 * cr_freeze_verify() - did all that was dumped hold still?
 * @ctx: the checkpoint; everything is dumped, nobody released
 *
 * Return: 0; -EAGAIN if a stopped task was continued meanwhile; -ESRCH if a
 * task was killed.
 */
int cr_freeze_verify(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->hold == CR_HOLD_PARKED && __fatal_signal_pending(t->task))
			return cr_task_gone(ctx, t);
		if (t->hold == CR_HOLD_STOPPED &&
		    (READ_ONCE(ctx->disturbed) || !task_is_stopped(t->task) ||
		     switches(t->task) != t->switches)) {
			ctx->unsteady = true;
			return cr_fail(ctx, -EAGAIN,
				       "pid %d (%s): was continued meanwhile; try again",
				       cr_pid(t), t->task->comm);
		}
	}
	return 0;
}

/**
 * cr_unlock_door() - all is dumped: parked tasks may be killed again
 * @ctx: the checkpoint
 *
 * For CHECKPOINT_KILL, where the tree stays parked while the image is written.
 */
void cr_unlock_door(struct cr_ctx *ctx)
{
	spin_lock(&ctx->lock);
	ctx->dumping = false;
	spin_unlock(&ctx->lock);
	wake_up_all(&ctx->task_wait);
}

/**
 * cr_thaw() - release every task
 * @ctx: the checkpoint; may be frozen, or half frozen after an error
 *
 * Context: Process context.
 */
void cr_thaw(struct cr_ctx *ctx)
{
	struct cr_task *t;

	spin_lock(&ctx->lock);
	ctx->dumping = false;
	WRITE_ONCE(ctx->parking, false);
	spin_unlock(&ctx->lock);
	wake_up_all(&ctx->task_wait);
	if (ctx->freeze_start_ns)
		ctx->report.frozen_ns = ktime_get_ns() - ctx->freeze_start_ns;

	/*
	 * Who is stopped need not come any more, which may be for long. Who has been
	 * woken up and is on the way must: what the call that it leaves shall return
	 * is put right there.
	 */
	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->queued && READ_ONCE(t->hold) != CR_HOLD_NONE &&
		    task_work_cancel(t->task, &t->work))
			let_go(ctx);
		t->queued = false;
	}
}

/**
 * cr_kill() - kill the whole tree
 * @ctx: a checkpoint, frozen, to be released afterwards; the live tree of a
 *       rollback; or a restart, of whose tasks some may not have been made
 *
 * Context: Process context. A caller in the tree gets the signal as well.
 */
void cr_kill(struct cr_ctx *ctx)
{
	struct task_struct *task;
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		task = READ_ONCE(t->task);
		if (task && t->leader == t)
			do_send_sig_info(SIGKILL, SEND_SIG_PRIV, task, PIDTYPE_TGID);
	}
}
