// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: which tasks make up the tree.
 *
 * At checkpoint they are found by walking the children of the root again and
 * again until a whole pass meets nobody new. At restart they are built from
 * the image, and the shape of the tree is checked.
 *
 * Locking: tasklist_lock (read) for one pass; nothing is allocated under it.
 */
#include <linux/cred.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <linux/xarray.h>

#include "internal.h"

#define CR_TASK_HASH_BITS	10

static struct cr_task *task_alloc(struct cr_ctx *ctx)
{
	struct cr_task *t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);

	if (!t)
		return NULL;
	t->ctx = ctx;
	INIT_LIST_HEAD(&t->children);
	INIT_LIST_HEAD(&t->threads);
	INIT_LIST_HEAD(&t->sibling);
	INIT_LIST_HEAD(&t->list);
	return t;
}

static void task_free(struct cr_task *t)
{
	cr_task_unhold(t);
	if (t->has_stack)
		put_task_stack(t->task);
	if (t->task)
		put_task_struct(t->task);
	if (t->cred)
		put_cred(t->cred);
	kfree(t);
}

/**
 * cr_tree_free() - forget all tasks of the tree
 * @ctx: the checkpoint or restart
 */
void cr_tree_free(struct cr_ctx *ctx)
{
	struct cr_task *t, *next;

	list_for_each_entry_safe(t, next, &ctx->tasks, list)
		task_free(t);
	list_for_each_entry_safe(t, next, &ctx->spares, list)
		task_free(t);
	INIT_LIST_HEAD(&ctx->tasks);
	INIT_LIST_HEAD(&ctx->spares);
	kvfree(ctx->task_hash);
	ctx->task_hash = NULL;
}

/**
 * cr_tree_put() - done with the tasks of a checkpoint
 * @ctx: the checkpoint; it may live on, kept, but its tasks are forgotten when
 *       the last of them has left cr_park(), which uses its &struct cr_task
 */
void cr_tree_put(struct cr_ctx *ctx)
{
	if (refcount_dec_and_test(&ctx->tree_refs))
		cr_tree_free(ctx);
}

static struct hlist_head *task_bucket(struct cr_ctx *ctx, const struct task_struct *task)
{
	return &ctx->task_hash[hash_ptr(task, CR_TASK_HASH_BITS)];
}

static struct cr_task *task_find(struct cr_ctx *ctx, const struct task_struct *task)
{
	struct cr_task *t;

	hlist_for_each_entry(t, task_bucket(ctx, task), node) {
		if (t->task == task)
			return t;
	}
	return NULL;
}

/**
 * cr_in_tree() - is this a task of the tree that is being checkpointed?
 * @ctx: the checkpoint
 * @task: any thread
 *
 * Context: While the tree is frozen.
 * Return: true if it is.
 */
bool cr_in_tree(struct cr_ctx *ctx, const struct task_struct *task)
{
	return task_find(ctx, task);
}

/**
 * cr_task_remove() - a task has gone while the tree was being frozen
 * @ctx: the checkpoint
 * @t: without children and threads that are still there; freed
 */
void cr_task_remove(struct cr_ctx *ctx, struct cr_task *t)
{
	hlist_del(&t->node);
	list_del(&t->list);
	list_del(&t->sibling);
	if (t->leader != t)
		t->leader->nr_threads--;
	ctx->nr_tasks--;
	task_free(t);
}

/* Take a spare for @task. False if there is none. */
static bool task_add(struct cr_ctx *ctx, struct task_struct *task,
		     struct cr_task *leader, struct cr_task *parent)
{
	struct cr_task *t;

	t = list_first_entry_or_null(&ctx->spares, struct cr_task, list);
	if (!t)
		return false;
	ctx->nr_spares--;
	list_move_tail(&t->list, &ctx->tasks);
	hlist_add_head(&t->node, task_bucket(ctx, task));
	t->task = get_task_struct(task);
	t->has_stack = try_get_task_stack(task);
	t->tid = task_pid_nr_ns(task, ctx->pid_ns);
	t->leader = leader ?: t;
	t->parent = parent;
	t->leader->nr_threads++;
	if (leader)
		list_add_tail(&t->sibling, &leader->threads);
	else if (parent)
		list_add_tail(&t->sibling, &parent->children);
	if (task == ctx->caller)
		t->hold = CR_HOLD_CALLER;
	ctx->nr_tasks++;
	return true;
}

/* All threads of @leader, and their children's leaders, that are not known yet. */
static bool walk_process(struct cr_ctx *ctx, struct cr_task *leader)
{
	struct task_struct *thread, *child;

	/* A leader that was reaped meanwhile has neither. */
	if (!pid_alive(leader->task))
		return true;
	for_each_thread(leader->task, thread) {
		if (!task_find(ctx, thread) && !task_add(ctx, thread, leader, NULL))
			return false;
		list_for_each_entry(child, &thread->children, sibling) {
			if (child != ctx->hidden && !task_find(ctx, child) &&
			    !task_add(ctx, child, NULL, leader))
				return false;
		}
	}
	return true;
}

static bool walk_once(struct cr_ctx *ctx)
{
	struct cr_task *t;
	bool done = true;

	read_lock(&tasklist_lock);
	/* The list grows at its end, so this is breadth first. */
	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->leader == t && !walk_process(ctx, t)) {
			done = false;
			break;
		}
	}
	read_unlock(&tasklist_lock);
	return done;
}

static int add_spares(struct cr_ctx *ctx, u32 n)
{
	struct cr_task *t;

	while (ctx->nr_spares < n) {
		t = task_alloc(ctx);
		if (!t)
			return cr_fail(ctx, -ENOMEM, "no memory for %u tasks", ctx->nr_tasks);
		list_add(&t->list, &ctx->spares);
		ctx->nr_spares++;
	}
	return 0;
}

/* Is it in the namespace, but was put there from outside? tasklist_lock is held. */
static bool is_stray(struct cr_ctx *ctx, struct task_struct *p)
{
	struct task_struct *parent;

	if (task_active_pid_ns(p) != ctx->pid_ns || same_thread_group(p, ctx->root->task))
		return false;
	parent = rcu_dereference_protected(p->real_parent, lockdep_tasklist_lock_is_held());
	return task_active_pid_ns(parent) != ctx->pid_ns;
}

/*
 * If the root is the init of a PID namespace, everything in there belongs to it. Who
 * has a parent in there is a descendant, if only of one that is not known yet.
 */
static int check_namespace(struct cr_ctx *ctx)
{
	struct task_struct *p;
	pid_t pid = 0;

	if (ctx->pid_ns->child_reaper != ctx->root->task || ctx->hidden)
		return 0;
	read_lock(&tasklist_lock);
	for_each_process(p) {
		if (is_stray(ctx, p)) {
			pid = task_pid_nr_ns(p, ctx->pid_ns);
			break;
		}
	}
	read_unlock(&tasklist_lock);
	if (pid)
		return cr_fail(ctx, -EOPNOTSUPP,
			       "pid %d: is in the PID namespace, but its parent is outside: not supported",
			       pid);
	return 0;
}

static int check_task(struct cr_ctx *ctx, struct cr_task *t)
{
	if (t->task->flags & PF_IO_WORKER)
		return cr_fail(ctx, -EOPNOTSUPP, "pid %d (%s): io_uring: not supported",
			       cr_pid(t), t->task->comm);
	if (t->task->flags & (PF_KTHREAD | PF_USER_WORKER))
		return cr_fail(ctx, -EOPNOTSUPP, "pid %d (%s): kernel thread: not supported",
			       t->tid, t->task->comm);
	/* Yama says no to everybody for who is gone; cr_freeze() notices that */
	if (!ptrace_may_access(t->task, PTRACE_MODE_ATTACH_REALCREDS) && pid_alive(t->task))
		return cr_fail(ctx, -EPERM,
			       "pid %d (%s): you may not trace it, so not checkpoint it",
			       t->tid, t->task->comm);
	return 0;
}

/**
 * cr_tree_walk() - find the tasks of the tree that are not known yet
 * @ctx: the checkpoint
 *
 * Return: how many are new; -EPERM, -EOPNOTSUPP, -E2BIG, -ENOMEM as told.
 */
int cr_tree_walk(struct cr_ctx *ctx)
{
	u32 old = ctx->nr_tasks;
	struct cr_task *t;
	u32 i = 0;

	while (!walk_once(ctx)) {
		if (ctx->nr_tasks > CR_TASKS_MAX)
			return cr_fail(ctx, -E2BIG, "more than %u tasks", CR_TASKS_MAX);
		if (add_spares(ctx, max(ctx->nr_tasks, 16U)))
			return ctx->err;
	}
	list_for_each_entry(t, &ctx->tasks, list) {
		if (i++ >= old && check_task(ctx, t))
			return ctx->err;
	}
	return ctx->nr_tasks - old;
}

/* Is its parent another one than when it was found? tasklist_lock is held. */
static bool has_moved(struct cr_ctx *ctx, struct cr_task *t, struct cr_task **parent)
{
	const struct task_struct *now;

	if (!t->parent || !pid_alive(t->task))
		return false;
	now = rcu_dereference_protected(t->task->real_parent,
					lockdep_tasklist_lock_is_held());
	if (now->group_leader == t->parent->task)
		return false;
	*parent = task_find(ctx, now->group_leader);
	/* a thread that has become the leader is not what it was found as */
	if (*parent && (*parent)->leader != *parent)
		*parent = NULL;
	return true;
}

/**
 * cr_tree_changed() - the tree is not what it was when its tasks were found
 * @ctx: the checkpoint; begins again, a few times
 * @t: whose place has changed
 *
 * Return: -EAGAIN, as told.
 */
int cr_tree_changed(struct cr_ctx *ctx, const struct cr_task *t)
{
	ctx->unsteady = true;
	return cr_fail(ctx, -EAGAIN, "pid %d (%s): has left the tree meanwhile; try again",
		       t->tid, t->task->comm);
}

/**
 * cr_tree_rehome() - give children of processes that have exited to their parents
 * @ctx: the checkpoint
 *
 * That is an ancestor, a subreaper or the init of the namespace. If it is of the
 * tree it was found before them, and the order of the tasks stays right. Else
 * they have left the tree.
 *
 * Return: 0, or -EAGAIN as told.
 */
int cr_tree_rehome(struct cr_ctx *ctx)
{
	struct cr_task *t, *parent, *lost = NULL;

	read_lock(&tasklist_lock);
	list_for_each_entry(t, &ctx->tasks, list) {
		if (!has_moved(ctx, t, &parent))
			continue;
		if (!parent) {
			lost = t;
			break;
		}
		t->parent = parent;
		list_move_tail(&t->sibling, &parent->children);
	}
	read_unlock(&tasklist_lock);
	return lost ? cr_tree_changed(ctx, lost) : 0;
}

/**
 * cr_tree_recheck() - is the tree what it was when its tasks were found?
 * @ctx: the checkpoint; every task holds still
 *
 * They were running, and may have executed a setuid program since. Who has lost
 * his parent may not even belong to the tree any more. A rollback of a part of
 * the tree, by one of its own processes, has given restored tasks other pids than
 * they were found with.
 *
 * Return: 0; -EPERM; or what cr_tree_rehome() returns.
 */
int cr_tree_recheck(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (check_task(ctx, t))
			return ctx->err;
	}
	if (cr_tree_rehome(ctx))
		return ctx->err;
	list_for_each_entry(t, &ctx->tasks, list) {
		pid_t tid = task_pid_nr_ns(t->task, ctx->pid_ns);

		if (!tid)
			return cr_tree_changed(ctx, t);
		t->tid = tid;
	}
	return 0;
}

/* False if there is no such process. */
static bool find_root(struct cr_ctx *ctx, pid_t pid)
{
	struct task_struct *task;
	bool found = false;

	rcu_read_lock();
	/* by execve() another thread becomes the leader, under this lock */
	read_lock(&tasklist_lock);
	task = pid ? find_task_by_vpid(pid) : current->group_leader;
	if (task && thread_group_leader(task)) {
		ctx->pid_ns = get_pid_ns(task_active_pid_ns(task));
		ctx->user_ns = get_user_ns(__task_cred(task)->user_ns);
		found = task_add(ctx, task, NULL, NULL);
	}
	read_unlock(&tasklist_lock);
	rcu_read_unlock();
	if (found)
		ctx->root = list_first_entry(&ctx->tasks, struct cr_task, list);
	return found;
}

/**
 * cr_tree_find() - begin with the root of the tree
 * @ctx: the checkpoint; gets its root, namespaces and all tasks
 * @pid: in the caller's PID namespace; 0 is the caller's own process
 *
 * Return: 0; -ESRCH; or what cr_tree_walk() returns.
 */
int cr_tree_find(struct cr_ctx *ctx, pid_t pid)
{
	int err;

	ctx->task_hash = kvcalloc(1 << CR_TASK_HASH_BITS, sizeof(struct hlist_head),
				  GFP_KERNEL_ACCOUNT);
	if (!ctx->task_hash)
		return cr_fail(ctx, -ENOMEM, "no memory for tasks");
	if (add_spares(ctx, 16))
		return ctx->err;
	if (!find_root(ctx, pid))
		return cr_fail(ctx, -ESRCH, "pid %d: no such process", pid);
	if (check_task(ctx, ctx->root))
		return ctx->err;
	err = cr_tree_walk(ctx);
	return err < 0 ? err : check_namespace(ctx);
}

/* Every tid of the image is there once. */
static int index_task(struct cr_ctx *ctx, struct xarray *by_tid, struct cr_task *t)
{
	int err = xa_insert(by_tid, t->tid, t, GFP_KERNEL_ACCOUNT);

	if (err == -EBUSY)
		return cr_fail(ctx, -EINVAL, "%s %d: is in the image twice",
			       t->leader == t ? "pid" : "thread", t->tid);
	return err ? cr_fail(ctx, err, "no memory for tasks") : 0;
}

static int build_process(struct cr_ctx *ctx, struct xarray *by_tid, const struct cr_rec *rec)
{
	const struct cr_img_process *p = rec->data;
	struct cr_task *t = task_alloc(ctx);

	if (!t)
		return cr_fail(ctx, -ENOMEM, "no memory for tasks");
	list_add_tail(&t->list, &ctx->tasks);
	ctx->nr_tasks++;
	ctx->nr_processes++;
	if (p->flags & CR_IMG_PROCESS_ZOMBIE)
		ctx->nr_zombies++;
	t->leader = t;
	t->process_rec = rec;
	t->tid = p->pid;
	/* before it can be found itself: nobody is his own parent */
	t->parent = xa_load(by_tid, p->ppid);
	if (index_task(ctx, by_tid, t))
		return ctx->err;
	if (!p->ppid) {
		if (ctx->root)
			return cr_fail(ctx, -EINVAL, "pid %d: second root of the tree", t->tid);
		ctx->root = t;
		return 0;
	}
	if (!t->parent || t->parent->leader != t->parent)
		return cr_fail(ctx, -EINVAL, "pid %d: parent %d does not stand before it",
			       t->tid, p->ppid);
	if (cr_img_is_zombie(t->parent))
		return cr_fail(ctx, -EINVAL, "pid %d: parent %d is a zombie", t->tid, p->ppid);
	list_add_tail(&t->sibling, &t->parent->children);
	return 0;
}

static int build_thread(struct cr_ctx *ctx, struct xarray *by_tid, const struct cr_rec *rec)
{
	const struct cr_img_thread *th = rec->data;
	const struct cr_rec *process = cr_obj_head(ctx, th->process_id, CR_IMG_PROCESS);
	const struct cr_img_process *p = process->data;
	struct cr_task *t, *leader = xa_load(by_tid, p->pid);

	if (!leader || leader->process_rec->id != th->process_id)
		return cr_fail(ctx, -EINVAL, "thread %d: its process does not stand before it",
			       th->tid);
	leader->nr_threads++;
	if (th->tid == p->pid) {
		if (leader->rec || !(th->flags & CR_IMG_THREAD_LEADER))
			return cr_fail(ctx, -EINVAL, "thread %d: is in the image twice", th->tid);
		leader->rec = rec;
		return 0;
	}
	if (th->flags & CR_IMG_THREAD_LEADER)
		return cr_fail(ctx, -EINVAL, "thread %d: is no leader", th->tid);
	t = task_alloc(ctx);
	if (!t)
		return cr_fail(ctx, -ENOMEM, "no memory for tasks");
	list_add_tail(&t->list, &ctx->tasks);
	ctx->nr_tasks++;
	t->leader = leader;
	t->rec = rec;
	t->process_rec = leader->process_rec;
	t->tid = th->tid;
	list_add_tail(&t->sibling, &leader->threads);
	return index_task(ctx, by_tid, t);
}

/* Restore functions of these run once, in the one process that has them. */
static int check_exclusive(struct cr_ctx *ctx, const struct cr_img_process *p,
			   unsigned long *used)
{
	u32 ids[] = { p->mm_id, p->fs_id, p->files_id };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		if (ids[i] && __test_and_set_bit(ids[i], used))
			return cr_fail(ctx, -EINVAL, "pid %d: object %u belongs to two processes",
				       p->pid, ids[i]);
	}
	return 0;
}

static int check_tasks(struct cr_ctx *ctx)
{
	unsigned long *used = bitmap_zalloc(ctx->hdr.nr_objects + 1, GFP_KERNEL_ACCOUNT);
	struct cr_task *t;
	int err = 0;

	if (!used)
		return cr_fail(ctx, -ENOMEM, "no memory to check the image");
	list_for_each_entry(t, &ctx->tasks, list) {
		const struct cr_img_process *p = cr_img_process(t);

		if (t->leader != t)
			continue;
		err = check_exclusive(ctx, p, used);
		if (!err && (!t->rec || t->nr_threads != p->nr_threads))
			err = cr_fail(ctx, -EINVAL, "pid %d: has %u threads and claims %u",
				      t->tid, t->nr_threads, p->nr_threads);
		if (!err && cr_img_is_zombie(t) && t->nr_threads != 1)
			err = cr_fail(ctx, -EINVAL, "pid %d: zombie with threads", t->tid);
		if (err)
			break;
	}
	bitmap_free(used);
	return err;
}

/**
 * cr_tree_build() - the tasks of an image
 * @ctx: the restart; all records have been checked one by one
 *
 * Return: 0; -EINVAL, -E2BIG or -ENOMEM as told.
 */
int cr_tree_build(struct cr_ctx *ctx)
{
	struct xarray by_tid;
	u32 i;

	xa_init(&by_tid);
	for (i = 0; i < ctx->nr_records && !ctx->err; i++) {
		const struct cr_rec *rec = &ctx->recs[i];

		if (ctx->nr_tasks > CR_TASKS_MAX)
			cr_fail(ctx, -E2BIG, "more than %u tasks", CR_TASKS_MAX);
		else if (rec->type == CR_IMG_PROCESS)
			build_process(ctx, &by_tid, rec);
		else if (rec->type == CR_IMG_THREAD)
			build_thread(ctx, &by_tid, rec);
	}
	xa_destroy(&by_tid);
	if (!ctx->err && !ctx->root)
		cr_fail(ctx, -EINVAL, "image has no process");
	if (!ctx->err && cr_img_is_zombie(ctx->root))
		cr_fail(ctx, -EINVAL, "root of the tree is a zombie");
	return ctx->err ?: check_tasks(ctx);
}
