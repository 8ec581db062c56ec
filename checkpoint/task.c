// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: processes and threads as such.
 *
 * Saved of a process: pid, parent, process group, session, exit signal, exit
 * code of a zombie, subreaper, oom_score_adj, and which memory, descriptor
 * table and fs_struct it has. Saved of a thread: tid, name, personality, the
 * pointers that exit and the scheduler use in its memory (clear_child_tid,
 * robust list, rseq), parent death signal, timer slack, no_new_privs.
 *
 * Refused: see refuse.c; further a controlling terminal of a session in the
 * tree, and a session or process group whose leader is gone while its id
 * belonged to the tree.
 *
 * A group or session outside the tree is recorded as 0; then it must be the
 * one of the tree's root, and at restart it is the restarting caller's.
 *
 * Locking: tasklist_lock around changes of groups and sessions, oom_adj_mutex
 * around oom_score_adj; never both.
 */
#include <linux/bits.h>
#include <linux/capability.h>
#include <linux/fdtable.h>
#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pid_namespace.h>
#include <linux/rseq.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/threads.h>
#include <linux/tty.h>

#include "objects.h"

/* ---- checkpoint ---- */

/*
 * Group or session @pid of @t as the image has it: 0 if it is that of the
 * tree's root, @outside, and its leader is not in the tree.
 */
static int ident(struct cr_ctx *ctx, struct cr_task *t, struct pid *pid,
		 struct pid *outside, const char *what, s32 *nr)
{
	struct task_struct *task;
	bool inside;

	rcu_read_lock();
	task = pid_task(pid, PIDTYPE_TGID);
	inside = task && cr_in_tree(ctx, task);
	*nr = inside ? pid_nr_ns(pid, ctx->pid_ns) : 0;
	rcu_read_unlock();
	if (!inside && pid != outside)
		return cr_fail(ctx, -EOPNOTSUPP,
			       "pid %d (%s): %s %d has no leader in the tree: not supported",
			       t->tid, t->task->comm, what, pid_nr_ns(pid, ctx->pid_ns));
	return 0;
}

/* Sessions and groups change only in system calls, and the tree is frozen. */
static int dump_ident(struct cr_ctx *ctx, struct cr_task *t, struct cr_img_process *img)
{
	struct task_struct *root = ctx->root->task, *task = t->task;
	struct pid *sid, *pgid, *root_sid, *root_pgid;

	read_lock(&tasklist_lock);
	sid = get_pid(task_session(task));
	pgid = get_pid(task_pgrp(task));
	root_sid = get_pid(task_session(root));
	root_pgid = get_pid(task_pgrp(root));
	read_unlock(&tasklist_lock);

	if (!ident(ctx, t, sid, root_sid, "session", &img->sid))
		ident(ctx, t, pgid, root_pgid, "process group", &img->pgid);
	put_pid(sid);
	put_pid(pgid);
	put_pid(root_sid);
	put_pid(root_pgid);
	if (ctx->err)
		return ctx->err;

	if (img->sid && READ_ONCE(task->signal->tty))
		return cr_fail(ctx, -EOPNOTSUPP,
			       "pid %d (%s): controlling terminal: not supported",
			       t->tid, task->comm);
	return 0;
}

static void get_fs(struct fs_struct *fs)
{
	spin_lock(&fs->lock);
	fs->users++;
	spin_unlock(&fs->lock);
}

static void put_fs(struct fs_struct *fs)
{
	int left;

	spin_lock(&fs->lock);
	left = --fs->users;
	spin_unlock(&fs->lock);
	if (!left)
		free_fs_struct(fs);
}

static int hold_process(struct cr_ctx *ctx, struct cr_task *t)
{
	struct task_struct *task = t->task;

	t->mm = get_task_mm(task);
	task_lock(task);
	t->files = task->files;
	if (t->files)
		atomic_inc(&t->files->count);
	t->fs = task->fs;
	if (t->fs)
		get_fs(t->fs);
	task_unlock(task);
	if (t->mm && t->files && t->fs)
		return 0;
	return cr_task_gone(ctx, t);
}

/**
 * cr_tree_hold() - nothing of the tree goes away while it is dumped
 * @ctx: the checkpoint; nobody moves, but who is in a job control stop may be killed
 *
 * That a killed task holds its open files no longer is found out at the end
 * only, and by then pointers to them are in the object table. Undo it with
 * cr_tree_unhold(), also on error.
 *
 * Return: 0, or -ESRCH as told.
 */
int cr_tree_hold(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->leader == t && t->hold != CR_HOLD_ZOMBIE && hold_process(ctx, t))
			return ctx->err;
	}
	return 0;
}

/**
 * cr_task_unhold() - drop what cr_tree_hold() has taken, if that is not done yet
 * @t: any
 */
void cr_task_unhold(struct cr_task *t)
{
	if (t->fs)
		put_fs(t->fs);
	if (t->files)
		put_files_struct(t->files);
	if (t->mm)
		mmput_async(t->mm);
	t->fs = NULL;
	t->files = NULL;
	t->mm = NULL;
}

/**
 * cr_tree_unhold() - the tree has been dumped, or could not be
 * @ctx: the checkpoint; to be called before anybody runs again
 *
 * What a killed task has left behind is dropped when the others run again: its
 * files may take their time to be closed.
 */
void cr_tree_unhold(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->files == READ_ONCE(t->task->files))
			cr_task_unhold(t);
	}
}

static int dump_shared(struct cr_ctx *ctx, struct cr_task *t, struct cr_img_process *img)
{
	cr_set_where(ctx, "pid %d", t->tid);
	img->mm_id = cr_obj_dump(ctx, CR_IMG_MM, t->mm);
	if (img->mm_id)
		cr_snap_set_parent(ctx, img->mm_id, t->parent);
	if (img->mm_id)
		img->files_id = cr_obj_dump(ctx, CR_IMG_FILES, t->files);
	if (img->files_id)
		img->fs_id = cr_obj_dump(ctx, CR_IMG_FS, t->fs);
	return ctx->err;
}

/* As wait() tells it, whichever thread ended the process. */
static u32 exit_code(const struct task_struct *leader)
{
	const struct signal_struct *signal = leader->signal;

	return signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code :
						   leader->exit_code;
}

/*
 * A parent that has executed another program gets no signal but SIGCHLD. In the
 * copy nobody has executed one.
 */
static u32 exit_signal(const struct cr_task *t)
{
	const struct cr_task *parent = t->parent;

	if (parent && t->task->parent_exec_id != READ_ONCE(parent->task->self_exec_id))
		return SIGCHLD;
	return t->task->exit_signal;
}

static u32 process_flags(struct cr_task *t)
{
	struct signal_struct *signal = t->task->signal;
	u32 flags = 0;

	if (signal->leader)
		flags |= CR_IMG_PROCESS_SESSION_LEADER;
	if (signal->is_child_subreaper)
		flags |= CR_IMG_PROCESS_SUBREAPER;
	if (t->task->flags & PF_FORKNOEXEC)
		flags |= CR_IMG_PROCESS_FORKNOEXEC;
	if (t->hold == CR_HOLD_ZOMBIE)
		flags |= CR_IMG_PROCESS_ZOMBIE | CR_IMG_PROCESS_NO_MM;
	return flags;
}

/**
 * cr_process_dump() - record a process, and first of all what it refers to
 * @ctx: the checkpoint
 * @obj: struct cr_task of its leader
 * @id: object id of the process
 *
 * Return: 0 or -errno as told.
 */
int cr_process_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_task *t = obj;
	struct cr_img_process img = {
		.pid = t->tid,
		.ppid = t->parent ? t->parent->tid : 0,
		.nr_threads = t->nr_threads,
	};

	if (cr_process_refuse(ctx, t) || dump_ident(ctx, t, &img))
		return ctx->err;
	img.flags = process_flags(t);
	img.exit_signal = exit_signal(t);
	img.oom_score_adj = t->task->signal->oom_score_adj;
	if (t->hold == CR_HOLD_ZOMBIE)
		img.exit_code = exit_code(t->task);
	else if (dump_shared(ctx, t, &img))
		return ctx->err;
	return cr_rec_add(ctx, CR_IMG_PROCESS, id, &img, sizeof(img));
}

/* A parked thread may be about to join the stop of its group. */
static bool is_stopped(struct cr_task *t)
{
	struct signal_struct *signal = t->task->signal;

	return t->hold == CR_HOLD_STOPPED ||
	       (t->hold == CR_HOLD_PARKED &&
		(signal->group_stop_count || (signal->flags & SIGNAL_STOP_STOPPED)));
}

static void dump_user_pointers(struct task_struct *task, struct cr_img_thread *img)
{
	img->clear_child_tid = (unsigned long)task->clear_child_tid;
#ifdef CONFIG_FUTEX
	img->robust_list = (unsigned long)task->robust_list;
#endif
#ifdef CONFIG_RSEQ
	img->rseq = (unsigned long)task->rseq;
	img->rseq_len = task->rseq_len;
	img->rseq_sig = task->rseq_sig;
#endif
}

/**
 * cr_thread_dump() - record a thread
 * @ctx: the checkpoint
 * @obj: its struct cr_task
 * @id: object id of the thread
 *
 * Return: 0 or -errno as told.
 */
int cr_thread_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_task *t = obj;
	struct task_struct *task = t->task;
	struct cr_img_thread *img = cr_rec_get(ctx, CR_IMG_THREAD, id, sizeof(*img));
	char comm[TASK_COMM_LEN];

	if (!img)
		return ctx->err;
	img->tid = t->tid;
	img->process_id = t->process_id;
	if (t == t->leader)
		img->flags |= CR_IMG_THREAD_LEADER;
	if (t->hold == CR_HOLD_CALLER)
		img->flags |= CR_IMG_THREAD_SELF;
	if (is_stopped(t))
		img->flags |= CR_IMG_THREAD_STOPPED;
	if (task_no_new_privs(task))
		img->flags |= CR_IMG_THREAD_NO_NEW_PRIVS;
	img->personality = task->personality;
	BUILD_BUG_ON(sizeof(img->comm) != TASK_COMM_LEN);
	get_task_comm(comm, task);
	strscpy_pad((char *)img->comm, comm, sizeof(img->comm));
	if (t->hold != CR_HOLD_ZOMBIE) {
		img->pdeath_signal = task->pdeath_signal;
		img->timer_slack_ns = task->timer_slack_ns;
		img->default_timer_slack_ns = task->default_timer_slack_ns;
		dump_user_pointers(task, img);
	}
	cr_rec_put(ctx, img, sizeof(*img));
	return 0;
}

/* ---- check ---- */

static bool pid_ok(s32 pid)
{
	return pid > 0 && pid <= PID_MAX_LIMIT;
}

static const char *process_bad(const struct cr_img_process *img)
{
	bool zombie = img->flags & CR_IMG_PROCESS_ZOMBIE;
	bool leads_session = img->sid == img->pid;

	if (img->flags & ~CR_IMG_PROCESS_ALL || img->reserved)
		return "unknown flags";
	if (!pid_ok(img->pid) || (img->ppid && !pid_ok(img->ppid)) ||
	    (img->pgid && !pid_ok(img->pgid)) || (img->sid && !pid_ok(img->sid)))
		return "pid out of range";
	if (!!(img->flags & CR_IMG_PROCESS_SESSION_LEADER) != leads_session)
		return "session";
	if (leads_session && img->pgid != img->pid)
		return "process group of a session leader";
	if (img->sid && !img->pgid)
		return "process group";
	if (img->exit_signal > _NSIG)
		return "exit signal";
	if (img->exit_code > 0xffff || (img->exit_code && !zombie))
		return "exit code";
	if (img->oom_score_adj < OOM_SCORE_ADJ_MIN || img->oom_score_adj > OOM_SCORE_ADJ_MAX)
		return "oom_score_adj";
	if (!img->nr_threads || img->nr_threads > CR_TASKS_MAX)
		return "number of threads";
	if (!zombie != !(img->flags & CR_IMG_PROCESS_NO_MM))
		return "flags";
	if (zombie && (img->nr_threads != 1 || img->mm_id || img->fs_id || img->files_id))
		return "zombie";
	return NULL;
}

/**
 * cr_process_check() - check the fields of a process; the tree comes later
 * @ctx: the restart
 * @rec: CR_IMG_PROCESS
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_process_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_process *img = rec->data;
	const char *what = process_bad(img);
	bool none = img->flags & CR_IMG_PROCESS_NO_MM;

	if (what)
		return cr_fail(ctx, -EINVAL, "record %u: process %d: bad %s",
			       rec->index, img->pid, what);
	if (cr_check_ref(ctx, rec, img->mm_id, CR_IMG_MM, none) ||
	    cr_check_ref(ctx, rec, img->files_id, CR_IMG_FILES, none) ||
	    cr_check_ref(ctx, rec, img->fs_id, CR_IMG_FS, none))
		return ctx->err;
	return 0;
}

/* What rseq(2) would refuse. */
static bool rseq_bad(const struct cr_img_thread *img)
{
#ifdef CONFIG_RSEQ
	if (img->rseq) {
		u32 align = __alignof__(struct rseq);

		/* The length of the first version; its alignment is the same. */
		if (img->rseq_len != 32 && img->rseq_len < offsetof(struct rseq, end))
			return true;
		if (img->rseq_len == 32)
			align = 32;
		return img->rseq_len > PAGE_SIZE || !IS_ALIGNED(img->rseq, align) ||
		       img->rseq >= TASK_SIZE_MAX - img->rseq_len;
	}
#endif
	return img->rseq || img->rseq_len || img->rseq_sig;
}

static const char *thread_bad(struct cr_ctx *ctx, const struct cr_img_thread *img)
{
	const struct cr_rec *head = cr_obj_head(ctx, img->process_id, CR_IMG_PROCESS);
	const struct cr_img_process *process = head->data;
	bool leader = img->tid == process->pid;

	if (img->flags & ~CR_IMG_THREAD_ALL || img->reserved)
		return "unknown flags";
	if (!pid_ok(img->tid))
		return "tid";
	if (!!(img->flags & CR_IMG_THREAD_LEADER) != leader)
		return "leader flag";
	if ((process->flags & CR_IMG_PROCESS_ZOMBIE) &&
	    (img->flags & (CR_IMG_THREAD_SELF | CR_IMG_THREAD_STOPPED)))
		return "zombie";
	if (img->pdeath_signal > _NSIG)
		return "parent death signal";
	if (rseq_bad(img))
		return "rseq";
	if (!memchr(img->comm, 0, sizeof(img->comm)))
		return "name";
	return NULL;
}

/**
 * cr_thread_check() - check the fields of a thread
 * @ctx: the restart
 * @rec: CR_IMG_THREAD
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_thread_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_thread *img = rec->data;
	const char *what;

	if (cr_check_ref(ctx, rec, img->process_id, CR_IMG_PROCESS, false))
		return ctx->err;
	what = thread_bad(ctx, img);
	if (what)
		return cr_fail(ctx, -EINVAL, "record %u: thread %d: bad %s",
			       rec->index, img->tid, what);
	return 0;
}

/* ---- restart ---- */

/* The process with @pid in the image. */
static const struct cr_img_process *find_process(struct cr_ctx *ctx, struct cr_task *t,
						 pid_t pid)
{
	struct cr_task *p;

	/* Nearly always it is the process itself or an ancestor. */
	for (p = t; p; p = p->parent)
		if (p->tid == pid)
			return cr_img_process(p);
	list_for_each_entry(p, &ctx->tasks, list)
		if (p == p->leader && p->tid == pid)
			return cr_img_process(p);
	return NULL;
}

/* Only ids of the tree itself, and a group is within one session. */
static int ident_check(struct cr_ctx *ctx, struct cr_task *t,
		       const struct cr_img_process *img)
{
	const struct cr_img_process *leader;

	if (img->sid) {
		leader = find_process(ctx, t, img->sid);
		if (!leader || leader->sid != img->sid)
			return cr_fail(ctx, -EINVAL, "pid %d: session %d has no leader",
				       img->pid, img->sid);
	}
	if (img->pgid) {
		leader = find_process(ctx, t, img->pgid);
		if (!leader || leader->sid != img->sid)
			return cr_fail(ctx, -EINVAL,
				       "pid %d: process group %d is of another session",
				       img->pid, img->pgid);
	}
	return 0;
}

/*
 * All processes exist, so all pids do. They change places in any order; what
 * setsid() and setpgid() make sure of was checked in the image.
 */
static int restore_ident(struct cr_ctx *ctx, const struct cr_img_process *img)
{
	struct pid *sid, *pgid;
	int err = 0;

	write_lock_irq(&tasklist_lock);
	sid = img->sid ? find_pid_ns(img->sid, ctx->pid_ns) : task_session(current);
	pgid = img->pgid ? find_pid_ns(img->pgid, ctx->pid_ns) : task_pgrp(current);
	if (!sid || !pgid) {
		err = -EINVAL;
		goto out;
	}
	if (task_session(current) != sid) {
		change_pid(current, PIDTYPE_SID, sid);
		proc_clear_tty(current);
	}
	if (task_pgrp(current) != pgid)
		change_pid(current, PIDTYPE_PGID, pgid);
	current->signal->leader = !!(img->flags & CR_IMG_PROCESS_SESSION_LEADER);
out:
	write_unlock_irq(&tasklist_lock);
	if (err)
		return cr_fail(ctx, err, "pid %d: session %d or process group %d is not there",
			       img->pid, img->sid, img->pgid);
	return 0;
}

/* The same as writing to /proc/self/oom_score_adj. */
static int restore_oom(struct cr_ctx *ctx, const struct cr_img_process *img)
{
	struct signal_struct *signal = current->signal;
	int err = 0;

	mutex_lock(&oom_adj_mutex);
	if (img->oom_score_adj < signal->oom_score_adj_min && !capable(CAP_SYS_RESOURCE)) {
		err = -EACCES;
	} else if (img->oom_score_adj != signal->oom_score_adj) {
		signal->oom_score_adj = img->oom_score_adj;
		if (has_capability_noaudit(current, CAP_SYS_RESOURCE))
			signal->oom_score_adj_min = img->oom_score_adj;
	}
	mutex_unlock(&oom_adj_mutex);
	if (err)
		return cr_fail(ctx, err,
			       "pid %d: lowering oom_score_adj to %d needs CAP_SYS_RESOURCE",
			       img->pid, img->oom_score_adj);
	return 0;
}

/* As prctl(PR_SET_CHILD_SUBREAPER) does: the children were made before. */
static int mark_descendant(struct task_struct *p, void *data)
{
	if (p->signal->has_child_subreaper || is_child_reaper(task_pid(p)))
		return 0;
	p->signal->has_child_subreaper = 1;
	return 1;
}

static void set_comm(struct cr_task *t)
{
	const struct cr_img_thread *img = t->rec->data;
	char comm[TASK_COMM_LEN];

	strscpy_pad(comm, (const char *)img->comm, sizeof(comm));
	set_task_comm(current, comm);
}

/**
 * cr_process_restore() - who the process is
 * @ctx: the restart
 * @t: its leader, current
 * @rec: CR_IMG_PROCESS
 *
 * Return: 0 or -errno as told.
 */
int cr_process_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_process *img = rec->data;

	if (ident_check(ctx, t, img) || restore_oom(ctx, img))
		return ctx->err;
	/* A rollback does this when the pids are those of the image. */
	if (!ctx->rollback && restore_ident(ctx, img))
		return ctx->err;
	/* A zombie comes no further than here. */
	set_comm(t);
	if (img->flags & CR_IMG_PROCESS_FORKNOEXEC)
		current->flags |= PF_FORKNOEXEC;
	else
		current->flags &= ~PF_FORKNOEXEC;
	if (img->flags & CR_IMG_PROCESS_SUBREAPER) {
		current->signal->is_child_subreaper = 1;
		walk_process_tree(current, mark_descendant, NULL);
	}
	return 0;
}

/**
 * cr_thread_restore() - name and personality; the rest is in cr_task_final()
 * @ctx: the restart
 * @t: the thread, current
 * @rec: CR_IMG_THREAD
 *
 * Return: 0.
 */
int cr_thread_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_thread *img = rec->data;

	set_comm(t);
	current->personality = img->personality;
	/* Inherited; a CR_IMG_RESTART_BLOCK sets it later. */
	current->restart_block.fn = do_no_restart_syscall;
	return 0;
}

/*
 * Not before everything else has succeeded: an exit of the task writes to where
 * these point, and that may be memory or a file that is shared with others.
 */
static void set_user_pointers(const struct cr_img_thread *img)
{
	current->clear_child_tid = (int __user *)(unsigned long)img->clear_child_tid;
#ifdef CONFIG_FUTEX
	current->robust_list = (struct robust_list_head __user *)(unsigned long)img->robust_list;
#endif
#ifdef CONFIG_RSEQ
	current->rseq = (struct rseq __user *)(unsigned long)img->rseq;
	current->rseq_len = img->rseq_len;
	current->rseq_sig = img->rseq_sig;
	/*
	 * It was preempted and runs on another CPU: the area is written, and a
	 * critical section aborted, on the way to user mode.
	 */
	preempt_disable();
	rseq_preempt(current);
	rseq_migrate(current);
	preempt_enable();
#endif
}

/* Changing credentials also hides the process; each of its threads does that. */
static void restore_dumpable(struct cr_ctx *ctx, struct cr_task *t)
{
	const struct cr_img_process *process = cr_img_process(t->leader);
	const struct cr_rec *mm = cr_obj_head(ctx, process->mm_id, CR_IMG_MM);

	set_dumpable(current->mm, cr_mm_dumpable(mm->data));
}

/**
 * cr_task_final() - the last thing that a restored thread does before it waits
 * @ctx: the restart
 * @t: the thread, current
 *
 * Takes over t->cred. Cannot fail and cannot be taken back.
 */
void cr_task_final(struct cr_ctx *ctx, struct cr_task *t)
{
	const struct cr_img_thread *img = t->rec->data;

	cr_cred_commit(t);
	restore_dumpable(ctx, t);
	/* Changing credentials clears it. */
	current->pdeath_signal = img->pdeath_signal;
	if (img->flags & CR_IMG_THREAD_NO_NEW_PRIVS)
		task_set_no_new_privs(current);
	/* A real-time policy has cleared it. */
	current->timer_slack_ns = img->timer_slack_ns;
	current->default_timer_slack_ns = img->default_timer_slack_ns;
	set_user_pointers(img);
	/* Look for pending signals, which others may have queued for us. */
	set_thread_flag(TIF_SIGPENDING);
}
