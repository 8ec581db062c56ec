// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: making the tree of an image.
 *
 * Every process is created by its parent and every thread by its leader, with
 * kernel_clone() and the pid it had. What it was is restored in its own
 * context: in task work, at its boundary to user mode, where it goes on from
 * when all are done. Until then nobody has run a single instruction.
 *
 *	caller				each restored task
 *	------				------------------
 *	read and check the image
 *	create the root			create own children
 *		<- CR_BARRIER_BORN: every process exists ->
 *					credentials are prepared, session and
 *					group, memory map, files, threads
 *		<- CR_BARRIER_BUILT: every thread exists ->
 *	fill memory			(wait)
 *					signals, timers, limits, epoll entries
 *		<- CR_BARRIER_FINAL ->
 *					credentials
 *		<- CR_BARRIER_READY ->
 *	registers			(wait)
 *	release				return to user mode
 *
 * A failure anywhere makes cr_fail() wake all of them up. Then each process
 * waits for its children, and ends; the caller waits for the root. Nothing is
 * left for anybody else to reap.
 */
#include <linux/binfmts.h>
#include <linux/fs_struct.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/task_work.h>
#include <linux/user_namespace.h>
#include <linux/wait.h>
#include <uapi/linux/wait.h>

#include <trace/events/checkpoint.h>

#include "internal.h"
#include "objects.h"

/* How many tasks come to @barrier. */
static u32 expected(struct cr_ctx *ctx, enum cr_barrier barrier)
{
	if (barrier == CR_BARRIER_BORN)
		return ctx->nr_processes;
	return ctx->nr_tasks - ctx->nr_zombies;
}

static int was_killed(struct cr_task *t)
{
	return cr_fail(t->ctx, -EINTR, "pid %d: was killed while being restored", t->tid);
}

/* Has the caller opened it, or will it never? */
static bool is_settled(const struct cr_ctx *ctx, enum cr_barrier barrier)
{
	return READ_ONCE(ctx->opened) > barrier || READ_ONCE(ctx->err);
}

/* A restored task: wait for all the others, and for the caller to open. */
static int barrier_wait(struct cr_task *t, enum cr_barrier barrier)
{
	struct cr_ctx *ctx = t->ctx;

	if (atomic_inc_return(&ctx->nr_arrived[barrier]) == expected(ctx, barrier))
		wake_up(&ctx->wait);
	if (wait_event_killable(ctx->task_wait, is_settled(ctx, barrier))) {
		was_killed(t);
		/* or too late to fail the restart: the others run, and it must let them */
		wait_event(ctx->task_wait, is_settled(ctx, barrier));
	}
	return READ_ONCE(ctx->opened) > barrier ? 0 : ctx->err;
}

/* The caller: wait until all are there. */
static int barrier_meet(struct cr_ctx *ctx, enum cr_barrier barrier)
{
	if (wait_event_killable(ctx->wait,
				atomic_read(&ctx->nr_arrived[barrier]) ==
					expected(ctx, barrier) || READ_ONCE(ctx->err)))
		return cr_fail(ctx, -EINTR, "killed while restoring");
	return READ_ONCE(ctx->err);
}

static void barrier_open(struct cr_ctx *ctx, enum cr_barrier barrier)
{
	WRITE_ONCE(ctx->opened, barrier + 1);
	wake_up_all(&ctx->task_wait);
}

/* Words for a row that has none of its own; the first reason told wins. */
static int row_failed(struct cr_task *t, const struct cr_obj_ops *ops, int err)
{
	return cr_fail(t->ctx, err, "pid %d: %s: cannot be restored (error %d)",
		       t->tid, ops->name, -err);
}

/* Run the rows of one stage over the parts of @head. */
static int run_stage(struct cr_task *t, const struct cr_rec *head, enum cr_stage stage)
{
	struct cr_ctx *ctx = t->ctx;
	const struct cr_rec *rec;

	for (rec = head; rec; rec = cr_rec_sibling(ctx, rec)) {
		const struct cr_obj_ops *ops = cr_obj_ops(rec->type);
		int err;

		if (ops->stage != stage || !ops->restore)
			continue;
		trace_restart_object(rec->id, ops->name, t->tid);
		err = ops->restore(ctx, t, rec);
		if (err)
			return row_failed(t, ops, err);
	}
	return 0;
}

static int run_late(struct cr_task *t)
{
	struct cr_ctx *ctx = t->ctx;
	u32 i;

	for (i = 0; i < ctx->nr_late; i++) {
		const struct cr_rec *rec = &ctx->recs[ctx->late[i]];
		const struct cr_obj_ops *ops = cr_obj_ops(rec->type);
		int err = ops->late(ctx, t, rec);

		if (err)
			return row_failed(t, ops, err);
		/* each of them looks through all descriptors */
		cond_resched();
		if (READ_ONCE(ctx->err))
			return ctx->err;
		if (fatal_signal_pending(current))
			return was_killed(t);
	}
	return 0;
}

static int run_object(struct cr_task *t, u32 id, u32 type)
{
	const struct cr_obj_ops *ops = cr_obj_ops(type);
	int err;

	trace_restart_object(id, ops->name, t->tid);
	err = ops->restore(t->ctx, t, cr_obj_head(t->ctx, id, type));
	if (err)
		return row_failed(t, ops, err);
	return 0;
}

static void task_restore(struct callback_head *work);

/* First thing a created task does: go to its boundary to user mode. */
static int task_main(void *arg)
{
	struct cr_task *t = arg;

	init_task_work(&t->work, task_restore);
	/* cannot fail: current is not exiting */
	WARN_ON_ONCE(task_work_add(current, &t->work, TWA_SIGNAL));
	return 0;
}

/*
 * All but SIGKILL. SIGSTOP, too: kernel_clone() and wait4() fail when a signal is
 * pending, and would be right to if they could be called again.
 */
static void block_signals(sigset_t *old)
{
	sigset_t all;

	*old = current->blocked;
	siginitsetinv(&all, sigmask(SIGKILL));
	__set_current_blocked(&all);
}

/*
 * A task that is being reaped is gone for kill() and in /proc a moment before its
 * pid is free. Who has seen it go, on another CPU, may have that pid at once.
 */
static pid_t clone_as(struct kernel_clone_args *args)
{
	pid_t pid = kernel_clone(args);

	if (pid != -EEXIST)
		return pid;
	/* release_task() holds it from the one to the other */
	read_lock(&tasklist_lock);
	read_unlock(&tasklist_lock);
	return kernel_clone(args);
}

/*
 * Create @t, a process or a thread of current. The signals that the creator
 * may have are blocked.
 */
static int spawn(struct cr_task *t)
{
	struct cr_ctx *ctx = t->ctx;
	struct kernel_clone_args args = {
		.flags		= CLONE_VM | CLONE_UNTRACED,
		.set_tid	= &t->tid,
		.set_tid_size	= 1,
		.fn		= task_main,
		.fn_arg		= t,
	};
	struct nsproxy *ns = NULL;
	pid_t pid;

	if (ctx->rollback)
		args.set_tid_size = 0;
	if (t == ctx->root)
		ns = cr_rollback_ns(ctx);
	if (t->leader != t)
		args.flags |= CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			      CLONE_SYSVSEM;
	cr_ctx_get(ctx);
	atomic_inc(&ctx->nr_alive);
	pid = clone_as(&args);
	cr_rollback_ns_end(ns);
	if (pid >= 0)
		return 0;

	if (atomic_dec_and_test(&ctx->nr_alive))
		wake_up(&ctx->wait);
	cr_ctx_put(ctx);
	/* killed; or the process, or its cgroup, is about to be stopped as a whole */
	if (pid == -ERESTARTNOINTR)
		return cr_fail(ctx, pid, "pid %d: interrupted before it could be created",
			       t->tid);
	if (pid == -EEXIST)
		return cr_fail(ctx, pid, "pid %d: is in use", t->tid);
	if (pid == -EPERM)
		return cr_fail(ctx, pid,
			       "pid %d: to choose a pid needs CAP_CHECKPOINT_RESTORE in the PID namespace",
			       t->tid);
	if (pid == -EINVAL)
		return cr_fail(ctx, pid,
			       "pid %d: not possible in this PID namespace (is there an init, is it below pid_max?)",
			       t->tid);
	return cr_fail(ctx, pid, "pid %d: cannot be created (error %d)", t->tid, -pid);
}

/*
 * Reap the children of current, all of which are dying. Nobody else would know of
 * them, so neither a kill nor a stop that is to come ends this.
 */
static void reap(pid_t pid)
{
	bool notified = false;
	sigset_t old;
	int ret;

	block_signals(&old);
	do {
		if (test_thread_flag(TIF_NOTIFY_SIGNAL)) {
			clear_notify_signal();
			notified = true;
		}
		ret = kernel_wait4(pid, NULL, __WALL, NULL);
		/* does not sleep any more for a signal that cannot be blocked */
		if (ret == -ERESTARTSYS)
			schedule_timeout_uninterruptible(1);
	} while (ret > 0 ? pid == -1 : ret == -ERESTARTSYS);
	__set_current_blocked(&old);
	if (notified)
		set_notify_signal(current);
}

/*
 * What was queued before task_restore() would run after it, if it returned: a
 * checkpoint may have asked the task to park as soon as it existed.
 */
static void queue_again(struct callback_head *work)
{
	struct callback_head *next;

	for (; work; work = next) {
		next = work->next;
		/* cannot fail: current is not exiting yet */
		WARN_ON_ONCE(task_work_add(current, work, TWA_NONE));
	}
}

static void __noreturn task_end(struct cr_task *t, long code)
{
	struct cr_ctx *ctx = t->ctx;
	bool leader = t->leader == t;

	queue_again(t->work.next);
	/* nobody waits for it to end, but the live tree may have the same memory */
	current->clear_child_tid = NULL;
#ifdef CONFIG_FUTEX
	current->robust_list = NULL;
#endif
	if (leader && code == SIGKILL)
		reap(-1);
	if (atomic_dec_and_test(&ctx->nr_alive))
		wake_up(&ctx->wait);
	cr_ctx_put(ctx);
	if (leader)
		do_group_exit(code);
	do_exit(code);
}

/*
 * As do_group_exit() begins: a kill that was earlier would give the zombie another
 * status, and one that comes later has none to give.
 */
static int begin_exit(struct cr_task *t, int code)
{
	struct signal_struct *signal = current->signal;
	bool killed;

	spin_lock_irq(&cr_sighand()->siglock);
	killed = signal->flags & SIGNAL_GROUP_EXIT;
	if (!killed) {
		signal->group_exit_code = code;
		signal->flags = SIGNAL_GROUP_EXIT;
	}
	spin_unlock_irq(&cr_sighand()->siglock);
	return killed ? was_killed(t) : 0;
}

/*
 * Who it was is seen in /proc and by waitid(). The address space is still that
 * of the caller, whom a change of credentials here must not make undumpable.
 */
static int become_zombie(struct cr_task *t)
{
	const struct cr_img_process *p = cr_img_process(t);

	if (run_stage(t, t->rec, CR_STAGE_CRED) || cr_mm_leave(t->ctx, t) ||
	    begin_exit(t, p->exit_code))
		return t->ctx->err;
	cr_cred_commit(t);
	write_lock_irq(&tasklist_lock);
	current->exit_signal = p->exit_signal;
	write_unlock_irq(&tasklist_lock);
	task_end(t, p->exit_code);
}

/* Everything of a process up to where its threads exist. */
static int build_process(struct cr_task *t)
{
	const struct cr_img_process *p = cr_img_process(t);
	struct cr_task *other;

	/* what the caller handles or ignores must not show in waiting for children */
	flush_signal_handlers(current, 1);
	if (cr_rollback_enter(t))
		return t->ctx->err;
	list_for_each_entry(other, &t->children, sibling) {
		if (spawn(other))
			return t->ctx->err;
	}
	if (barrier_wait(t, CR_BARRIER_BORN))
		return t->ctx->err;
	if (run_stage(t, t->process_rec, CR_STAGE_IDENT))
		return t->ctx->err;
	if (cr_img_is_zombie(t))
		return become_zombie(t);

	if (run_stage(t, t->rec, CR_STAGE_CRED) ||
	    run_object(t, p->mm_id, CR_IMG_MM) ||
	    run_object(t, p->fs_id, CR_IMG_FS) ||
	    run_object(t, p->files_id, CR_IMG_FILES))
		return t->ctx->err;
	list_for_each_entry(other, &t->threads, sibling) {
		if (spawn(other))
			return t->ctx->err;
	}
	return 0;
}

static int finish_task(struct cr_task *t)
{
	bool leader = t->leader == t;

	if (leader && run_stage(t, t->process_rec, CR_STAGE_FINAL))
		return t->ctx->err;
	if (run_stage(t, t->rec, CR_STAGE_FINAL))
		return t->ctx->err;
	if (leader && run_late(t))
		return t->ctx->err;
	if (barrier_wait(t, CR_BARRIER_FINAL))
		return t->ctx->err;
	cr_task_final(t->ctx, t);
	if (leader && cr_mm_final(t->ctx, t))
		return t->ctx->err;
	return barrier_wait(t, CR_BARRIER_READY);
}

/* Task work of a created task; returns into user mode, or not at all. */
static void task_restore(struct callback_head *work)
{
	struct cr_task *t = container_of(work, struct cr_task, work);
	struct cr_ctx *ctx = t->ctx;
	sigset_t old;

	t->task = get_task_struct(current);
	cr_arch_task_begin();
	/* until its own mask is put in place nothing is delivered */
	block_signals(&old);
	if (t->leader == t ? build_process(t) : run_stage(t, t->rec, CR_STAGE_CRED))
		task_end(t, SIGKILL);
	if (run_stage(t, t->rec, CR_STAGE_STATE) ||
	    barrier_wait(t, CR_BARRIER_BUILT) || finish_task(t))
		task_end(t, SIGKILL);

	if (atomic_dec_and_test(&ctx->nr_alive))
		wake_up(&ctx->wait);
	cr_ctx_put(ctx);
	/* look at the restored registers and signals on the way out */
	set_notify_signal(current);
}

/* What stands behind the metadata. */
struct page_rec {
	struct cr_img_rec rec;
	union {
		struct cr_img_pages pages;
		struct cr_img_pages_ref ref;
		struct cr_img_end end;
	};
};

static int read_page_rec(struct cr_ctx *ctx, struct cr_in *in, struct page_rec *r)
{
	u32 len;

	if (cr_in_bytes(ctx, in, &r->rec, sizeof(r->rec)))
		return ctx->err;
	switch (r->rec.type) {
	case CR_IMG_PAGES:
		len = sizeof(r->pages);
		break;
	case CR_IMG_PAGES_REF:
		len = sizeof(r->ref);
		break;
	case CR_IMG_END:
		len = sizeof(r->end);
		break;
	default:
		return cr_fail(ctx, -EINVAL, "record of type %u among the pages",
			       r->rec.type);
	}
	if (r->rec.len != len)
		return cr_fail(ctx, -EINVAL, "page record of %u bytes", r->rec.len);
	if (cr_in_bytes(ctx, in, &r->pages, len))
		return ctx->err;
	if (cr_rec_crc(&r->rec, &r->pages) != r->rec.crc)
		return cr_fail(ctx, -EBADMSG, "page record: bad checksum");
	return 0;
}

static int read_pages(struct cr_ctx *ctx, struct cr_in *in)
{
	struct page_rec r;
	u64 nr_pages = 0;

	if (cr_kin_connect(ctx))
		return ctx->err;
	for (;;) {
		/* a task may have failed, or be killed: they do not need the rest */
		if (read_page_rec(ctx, in, &r) || READ_ONCE(ctx->err))
			return ctx->err;
		if (r.rec.type == CR_IMG_END)
			break;
		if (r.rec.type == CR_IMG_PAGES_REF) {
			if (cr_kin_share(ctx, r.rec.id, &r.ref))
				return ctx->err;
			continue;
		}
		if (cr_fill_pages(ctx, in, r.rec.id, &r.pages))
			return ctx->err;
		nr_pages += r.pages.nr_pages;
	}
	if (r.rec.id || r.end.nr_pages != nr_pages || r.end.total_bytes != in->bytes ||
	    memcmp(r.end.uuid, ctx->hdr.uuid, sizeof(r.end.uuid)))
		return cr_fail(ctx, -EINVAL, "trailer is of another image");
	ctx->report.pages = nr_pages;
	ctx->report.expected_bytes = in->bytes;
	return 0;
}

/* In the caller: what the mappings of all tasks contain. */
static int fill_memory(struct cr_ctx *ctx, struct cr_in *in)
{
	return ctx->from ? cr_fill_from_memory(ctx) : read_pages(ctx, in);
}

/* Zombies tell their parents; that must be over before signals are restored. */
static int wait_zombies(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->leader != t || !cr_img_is_zombie(t))
			continue;
		while (!READ_ONCE(t->task->exit_state)) {
			if (fatal_signal_pending(current))
				return cr_fail(ctx, -EINTR, "killed while restoring");
			schedule_timeout_uninterruptible(1);
		}
	}
	/* a zombie can be seen just before it has told its parent */
	read_lock(&tasklist_lock);
	read_unlock(&tasklist_lock);
	return 0;
}

static int put_registers(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		int err;

		if (cr_img_is_zombie(t->leader))
			continue;
		err = cr_arch_task_restore(ctx, t);
		if (err)
			return cr_fail(ctx, err, "thread %d: registers cannot be restored", t->tid);
	}
	return 0;
}

/*
 * Only now: nobody is to be told of a process that could not be restored. But
 * before any of them runs: wait4() does not see children without SIGCHLD. The
 * caller has not asked for another signal than that of any child.
 */
static void set_exit_signals(struct cr_ctx *ctx)
{
	struct cr_task *t;

	write_lock_irq(&tasklist_lock);
	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->leader == t && !cr_img_is_zombie(t))
			t->task->exit_signal = t == ctx->root && !ctx->rollback ?
					       SIGCHLD : cr_img_process(t)->exit_signal;
	}
	write_unlock_irq(&tasklist_lock);
}

/*
 * Stopped tasks, or with RESTART_FROZEN all of them, stop before they run. Each
 * thread has to find a signal on its way to user mode: the leader, which would
 * tell the others to stop, may come to it later than they do.
 */
static void stop_tasks(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		const struct cr_img_thread *leader = t->leader->rec->data;

		if (!cr_img_is_zombie(t->leader) &&
		    ((ctx->flags & RESTART_FROZEN) || (leader->flags & CR_IMG_THREAD_STOPPED)))
			send_sig(SIGSTOP, t->task, 1);
	}
}

/* Another thread of the caller may have done so. */
static void reap_root(struct cr_ctx *ctx)
{
	pid_t pid = ctx->root->task ? task_pid_vnr(ctx->root->task) : 0;

	if (pid)
		reap(pid);
}

static int restore_steps(struct cr_ctx *ctx, struct cr_in *in)
{
	if (spawn(ctx->root) || barrier_meet(ctx, CR_BARRIER_BORN))
		return ctx->err;
	barrier_open(ctx, CR_BARRIER_BORN);
	if (barrier_meet(ctx, CR_BARRIER_BUILT))
		return ctx->err;
	cr_phase_end(ctx, CR_PHASE_BUILD);
	if (fill_memory(ctx, in) || wait_zombies(ctx))
		return ctx->err;
	cr_phase_end(ctx, CR_PHASE_FILL);
	barrier_open(ctx, CR_BARRIER_BUILT);
	if (barrier_meet(ctx, CR_BARRIER_FINAL) || cr_epoll_check_done(ctx))
		return ctx->err;
	barrier_open(ctx, CR_BARRIER_FINAL);
	if (barrier_meet(ctx, CR_BARRIER_READY) || put_registers(ctx))
		return ctx->err;
	cr_rlimit_late(ctx);
	/* the tree alone holds its files now: closing one must have its effect */
	cr_objs_free(ctx);
	return 0;
}

/**
 * cr_restore_tree() - make the tree of a checked image, and let it run
 * @ctx: the restart
 * @in: where the pages come from
 *
 * Return: pid of the root, a child of current; or -errno as told, and then no
 * task is left.
 */
static int cr_restore_tree(struct cr_ctx *ctx, struct cr_in *in)
{
	pid_t pid = 0;
	sigset_t old;
	int err;

	/* an image on a pipe cannot be read twice: no signal restarts this */
	block_signals(&old);
	err = restore_steps(ctx, in);
	if (!err && ctx->rollback)
		err = cr_rollback_commit(ctx);
	else if (!err && !cr_decide(ctx, true))
		err = ctx->err;
	if (!err) {
		pid = task_pid_vnr(ctx->root->task);
		set_exit_signals(ctx);
		stop_tasks(ctx);
		barrier_open(ctx, CR_BARRIER_READY);
	}
	/* one of them may wait for a file to be opened, for ever */
	if (err)
		cr_kill(ctx);
	/* they need nothing but CPU time now, so this ends */
	wait_event(ctx->wait, !atomic_read(&ctx->nr_alive));
	if (err)
		reap_root(ctx);
	set_current_blocked(&old);
	return err ?: pid;
}

/* How much there is to read, if that can be known. */
static u64 bytes_left(struct file *file)
{
	loff_t size = i_size_read(file_inode(file));

	return S_ISREG(file_inode(file)->i_mode) && size > file->f_pos ? size - file->f_pos : 0;
}

static int restart_phases(struct cr_ctx *ctx, struct file *file)
{
	struct cr_in in = { .file = file };
	int ret;

	if (cr_caller_refuse(ctx))
		return ctx->err;
	if ((ctx->flags & RESTART_ROLLBACK) && cr_rollback_begin(ctx))
		return ctx->err;
	if (!ctx->from && cr_in_check(ctx, file))
		return ctx->err;
	if (!ctx->from) {
		if (cr_pos_lock(ctx, file))
			return ctx->err;
		ctx->report.expected_bytes = bytes_left(file);
		cr_report_update(ctx);
	}
	ret = ctx->from ? cr_image_adopt(ctx) : cr_image_read(ctx, &in);
	ctx->report.bytes = in.bytes;
	cr_phase_end(ctx, CR_PHASE_READ);
	if (!ret) {
		ret = cr_restore_tree(ctx, &in);
		ctx->report.bytes = in.bytes;
		cr_phase_end(ctx, CR_PHASE_FINISH);
	}
	if (!ctx->from)
		cr_pos_unlock(file);
	return ret;
}

/**
 * cr_do_restart() - restart a tree
 * @crid: kept checkpoint, or 0
 * @file: the image, open for reading; NULL with @crid
 * @flags: checked RESTART_*
 *
 * Return: As restart().
 */
long cr_do_restart(int crid, struct file *file, unsigned long flags)
{
	struct cr_ctx *ctx, *from = NULL;
	long ret;

	if (cr_report_begin("restart", crid))
		return -ENOMEM;
	if (crid) {
		from = cr_store_find(crid);
		if (IS_ERR(from))
			return cr_store_refused(PTR_ERR(from));
	}
	ctx = cr_ctx_alloc("restart", flags);
	if (!ctx) {
		if (from)
			cr_ctx_put(from);
		return cr_report_simple(-ENOMEM, "no memory for a restart");
	}
	ctx->from = from;
	ctx->report.crid = crid;
	ctx->pid_ns = get_pid_ns(current->nsproxy->pid_ns_for_children);
	ctx->user_ns = get_user_ns(current_user_ns());
	get_fs_root(current->fs, &ctx->root_path);
	ret = restart_phases(ctx, file);
	if (ret > 0)
		ctx->report.pid = ret;
	ctx->report.tasks = ctx->nr_tasks;
	ctx->report.objects = ctx->hdr.nr_objects;
	ctx->report.records = ctx->nr_records;
	ctx->report.meta_bytes = ctx->hdr.meta_bytes;
	cr_report_end(ctx, ret);
	cr_ctx_put(ctx);
	return ret;
}
