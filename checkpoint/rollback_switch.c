// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: restored tasks take the place of live ones.
 *
 * As when a thread that is not the leader calls execve() (de_thread()), two
 * tasks exchange their struct pid, so that whoever holds one, in a pidfd or in
 * wait4(), does not notice. It is looked first whether all of it is possible;
 * then it is done; all under tasklist_lock, so nobody sees anything in between
 * but a kill(), for which one of the two gets the signal.
 *
 * A number that nobody has is allocated beforehand. A struct pid whose task is
 * gone may still be the process group or session of others: then it is used.
 *
 * The old tasks get what the restored had: pids that nobody knows. They become
 * children of kthreadd, which ignores SIGCHLD: they are reaped as they die.
 *
 * Locks: tasklist_lock (write); inside it siglock.
 */
#include <linux/kthread.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/tty.h>

#include "rollback.h"

/* Why not; told when tasklist_lock is released. */
struct obstacle {
	int err;
	pid_t pid;
	const char *what;
};

static int in_the_way(struct obstacle *o, int err, pid_t pid, const char *what)
{
	o->err = err;
	o->pid = pid;
	o->what = what;
	return err;
}

/* tasklist_lock is held, and @task was not reaped. */
static struct sighand_struct *sighand_of(struct task_struct *task)
{
	return rcu_dereference_protected(task->sighand, lockdep_tasklist_lock_is_held());
}

static bool pid_in_use(struct pid *pid)
{
	enum pid_type type;

	for (type = 0; type < PIDTYPE_MAX; type++) {
		if (pid_has_task(pid, type))
			return true;
	}
	return false;
}

static bool is_restored(struct cr_ctx *ctx, const struct task_struct *task)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->task == task)
			return true;
	}
	return false;
}

/* Numbers that nobody has. What somebody takes meanwhile is noticed later. */
static int reserve_pids(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		struct pid *pid;

		rcu_read_lock();
		pid = t->new_pid ?: find_pid_ns(t->tid, ctx->pid_ns);
		rcu_read_unlock();
		if (pid)
			continue;
		pid = alloc_pid(ctx->pid_ns, &t->tid, 1);
		if (pid == ERR_PTR(-EEXIST))
			continue;
		if (pid == ERR_PTR(-EPERM))
			return cr_fail(ctx, -EPERM,
				       "pid %d: is free, to choose it needs CAP_CHECKPOINT_RESTORE in the PID namespace",
				       t->tid);
		if (IS_ERR(pid))
			return cr_fail(ctx, PTR_ERR(pid), "pid %d: cannot be taken (error %ld)",
				       t->tid, -PTR_ERR(pid));
		t->new_pid = pid;
	}
	return 0;
}

static void release_pids(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->new_pid)
			free_pid(t->new_pid);
		t->new_pid = NULL;
	}
}

static struct pid *wanted_pid(struct cr_ctx *ctx, struct cr_task *t)
{
	return t->new_pid ?: find_pid_ns(t->tid, ctx->pid_ns);
}

static int check_restored(struct cr_ctx *ctx, struct cr_ctx *live, struct cr_task *t,
			  struct obstacle *o)
{
	struct pid *pid = wanted_pid(ctx, t);
	struct task_struct *holder;

	if (!cr_img_is_zombie(t->leader) && (t->task->exit_state || (t->task->flags & PF_EXITING)))
		return in_the_way(o, -EINTR, t->tid, "was killed while being restored");
	if (!pid)
		return in_the_way(o, -EAGAIN, t->tid, "has just become free");
	if (pid->level != ctx->pid_ns->level)
		return in_the_way(o, -EEXIST, t->tid, "is in use in another PID namespace");
	holder = pid_task(pid, PIDTYPE_PID);
	if (holder && !cr_in_tree(live, holder) && !is_restored(ctx, holder))
		return in_the_way(o, -EEXIST, t->tid,
				  "is in use by a process that is not part of the tree");
	/* a fork() that has its pid already and is not seen yet */
	if (!t->new_pid && !pid_in_use(pid))
		return in_the_way(o, -EAGAIN, t->tid, "is being taken by somebody");
	return 0;
}

static int check_live(struct cr_task *t, struct obstacle *o)
{
	struct task_struct *task = t->task;

	if (!pid_alive(task))
		return 0;
	if (task->ptrace)
		return in_the_way(o, -EBUSY, t->tid, "is being traced");
	if (t->hold != CR_HOLD_ZOMBIE && __fatal_signal_pending(task))
		return in_the_way(o, -ESRCH, t->tid, "was killed meanwhile");
	if (task->signal->leader && (task->signal->tty || task->signal->tty_old_pgrp))
		return in_the_way(o, -EOPNOTSUPP, t->tid,
				  "has a controlling terminal: not supported");
#ifdef CONFIG_POSIX_TIMERS
	/* their signals go to whoever has the pid */
	if (!hlist_empty(&task->signal->posix_timers))
		return in_the_way(o, -EOPNOTSUPP, t->tid, "has POSIX timers: not supported");
#endif
	return 0;
}

static int check_all(struct cr_ctx *ctx, struct cr_ctx *live, struct obstacle *o)
{
	const struct cr_past *past = ctx->from->past;
	struct task_struct *root = live->root->task;
	struct cr_task *t;

	if (!pid_alive(root) || root->exit_state || task_tgid(root) != past->root)
		return in_the_way(o, -ESRCH, ctx->root->tid, "has ended");
	if (!pid_in_use(past->pgrp) || !pid_in_use(past->session))
		return in_the_way(o, -ESRCH, ctx->root->tid,
				  "its process group or session outside the tree has ended");
	list_for_each_entry(t, &live->tasks, list) {
		if (check_live(t, o))
			return o->err;
	}
	list_for_each_entry(t, &ctx->tasks, list) {
		if (check_restored(ctx, live, t, o))
			return o->err;
	}
	return 0;
}

/* ---- what cannot fail ---- */

static void copy_age(struct task_struct *task, const struct task_struct *old)
{
	task->start_time = old->start_time;
	task->start_boottime = old->start_boottime;
}

/* The thread gets its pid; whoever has it gets what the thread has now. */
static void take_pid(struct cr_ctx *ctx, struct cr_task *t)
{
	struct pid *pid = wanted_pid(ctx, t);
	struct task_struct *holder = pid_task(pid, PIDTYPE_PID);

	if (holder == t->task)
		return;
	if (holder) {
		if (thread_group_leader(holder) == thread_group_leader(t->task))
			copy_age(t->task, holder);
		exchange_tids(t->task, holder);
		return;
	}
	change_pid(t->task, PIDTYPE_PID, pid);
	WRITE_ONCE(t->task->pid, pid_nr(pid));
	t->new_pid = NULL;
}

/* A leader's thread group is named as the leader is. */
static void follow_pid(struct task_struct *leader)
{
	struct pid *pid = task_pid(leader);
	struct task_struct *thread;

	if (task_tgid(leader) != pid)
		change_pid(leader, PIDTYPE_TGID, pid);
	for_each_thread(leader, thread)
		WRITE_ONCE(thread->tgid, pid_nr(pid));
}

static void join(struct task_struct *leader, enum pid_type type, struct pid *pid)
{
	if (leader->signal->pids[type] != pid)
		change_pid(leader, type, pid);
}

static void set_tty(struct task_struct *task, struct tty_struct *tty)
{
	struct tty_struct *old;

	spin_lock(&sighand_of(task)->siglock);
	old = task->signal->tty;
	task->signal->tty = tty_kref_get(tty);
	spin_unlock(&sighand_of(task)->siglock);
	tty_kref_put(old);
}

/* Session and group as in the image, or those of the live root outside of it. */
static void take_ident(struct cr_ctx *ctx, struct cr_task *t)
{
	const struct cr_img_process *img = cr_img_process(t);
	const struct cr_past *past = ctx->from->past;
	struct task_struct *live = ctx->rollback->live;
	struct tty_struct *tty = NULL;

	join(t->task, PIDTYPE_SID, img->sid ? find_pid_ns(img->sid, ctx->pid_ns) : past->session);
	join(t->task, PIDTYPE_PGID, img->pgid ? find_pid_ns(img->pgid, ctx->pid_ns) : past->pgrp);
	t->task->signal->leader = !!(img->flags & CR_IMG_PROCESS_SESSION_LEADER);
	if (!img->sid && task_session(live) == past->session)
		tty = live->signal->tty;
	set_tty(t->task, tty);
	if (live->signal->has_child_subreaper)
		t->task->signal->has_child_subreaper = 1;
	if (!cr_img_is_zombie(t))
		t->task->exit_signal = img->exit_signal;
}

static void set_parent(struct task_struct *leader, struct task_struct *parent)
{
	struct task_struct *thread;

	for_each_thread(leader, thread) {
		RCU_INIT_POINTER(thread->real_parent, parent);
		if (!thread->ptrace)
			RCU_INIT_POINTER(thread->parent, parent);
	}
}

static void take_parent(struct task_struct *root, struct task_struct *live)
{
	struct pid_namespace *ns = task_active_pid_ns(live);

	set_parent(root, rcu_dereference_protected(live->real_parent,
						   lockdep_tasklist_lock_is_held()));
	list_move(&root->sibling, &live->sibling);
	root->parent_exec_id = live->parent_exec_id;
	if (ns->child_reaper != live)
		return;
	ns->child_reaper = root;
	spin_lock(&sighand_of(root)->siglock);
	root->signal->flags |= SIGNAL_UNKILLABLE;
	spin_unlock(&sighand_of(root)->siglock);
	spin_lock(&sighand_of(live)->siglock);
	live->signal->flags &= ~SIGNAL_UNKILLABLE;
	spin_unlock(&sighand_of(live)->siglock);
}

/* An old process vanishes unseen. Those that are dead already go to @dead. */
static void let_go(struct task_struct *leader, struct list_head *dead)
{
	struct task_struct *thread;

	join(leader, PIDTYPE_PGID, task_pid(leader));
	join(leader, PIDTYPE_SID, task_pid(leader));
	leader->signal->leader = 0;
	leader->exit_signal = SIGCHLD;
	set_parent(leader, kthreadd_task);
	list_move_tail(&leader->sibling, &kthreadd_task->children);
	/* may be in memory that the restored tree uses as well */
	for_each_thread(leader, thread)
		thread->clear_child_tid = NULL;
	if (leader->exit_state == EXIT_ZOMBIE && thread_group_empty(leader)) {
		leader->exit_state = EXIT_DEAD;
		list_add(&leader->ptrace_entry, dead);
	}
}

static void switch_all(struct cr_ctx *ctx, struct cr_ctx *live, struct list_head *dead)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list)
		take_pid(ctx, t);
	list_for_each_entry(t, &live->tasks, list) {
		if (t->leader == t && pid_alive(t->task))
			follow_pid(t->task);
	}
	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->leader == t)
			follow_pid(t->task);
	}
	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->leader == t)
			take_ident(ctx, t);
	}
	take_parent(ctx->root->task, live->root->task);
	list_for_each_entry(t, &live->tasks, list) {
		if (t->leader == t && pid_alive(t->task))
			let_go(t->task, dead);
	}
}

static void reap_dead(struct list_head *dead)
{
	struct task_struct *task, *next;

	list_for_each_entry_safe(task, next, dead, ptrace_entry) {
		list_del_init(&task->ptrace_entry);
		release_task(task);
	}
}

static int try_switch(struct cr_ctx *ctx, struct cr_ctx *live, struct obstacle *o)
{
	LIST_HEAD(dead);

	o->err = 0;
	if (reserve_pids(ctx))
		return ctx->err;
	if (!cr_decide(ctx, true))
		return ctx->err;
	write_lock_irq(&tasklist_lock);
	if (!check_all(ctx, live, o))
		switch_all(ctx, live, &dead);
	write_unlock_irq(&tasklist_lock);
	if (o->err)
		cr_decide(ctx, false);
	reap_dead(&dead);
	return o->err;
}

/**
 * cr_rollback_switch() - restored tasks take the place of live ones
 * @ctx: the restart; every task waits to be released
 * @live: the live tree; frozen
 *
 * Return: 0; or -errno as told, and nothing has changed.
 */
int cr_rollback_switch(struct cr_ctx *ctx, struct cr_ctx *live)
{
	struct obstacle o = {};
	int tries = 10, err;

	while ((err = try_switch(ctx, live, &o)) == -EAGAIN && o.err && --tries)
		schedule_timeout_uninterruptible(1);
	release_pids(ctx);
	if (o.err)
		return cr_fail(ctx, o.err, "pid %d: %s", o.pid, o.what);
	return err;
}
