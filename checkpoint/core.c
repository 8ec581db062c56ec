// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: the phases of checkpoint().
 *
 * Lifetime of a cr_ctx: the caller has a reference, every task that was asked
 * to park or was created for a restart has one until it is done with it. The
 * last one frees everything.
 */
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/ktime.h>
#include <linux/pid_namespace.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/checkpoint.h>

/*
 * What a killed task gets from the functions it calls. The system call itself
 * cannot be made again: an image that was read cannot be read twice.
 */
static int without_restart(int err)
{
	switch (err) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		return -EINTR;
	}
	return err;
}

/**
 * cr_fail() - tell why a checkpoint or restart fails
 * @ctx: which
 * @err: negative errno
 * @fmt: reason in words, without a newline
 *
 * The first call wins. During a restart everybody who waits is woken up.
 *
 * Context: Any but hard interrupt.
 * Return: @err; -EINTR if it asks for the system call to be made again.
 */
int cr_fail(struct cr_ctx *ctx, int err, const char *fmt, ...)
{
	va_list args;
	bool first;

	err = without_restart(err);
	spin_lock(&ctx->lock);
	first = !ctx->err && !ctx->decided;
	if (first) {
		va_start(args, fmt);
		vscnprintf(ctx->report.reason, sizeof(ctx->report.reason), fmt, args);
		va_end(args);
		WRITE_ONCE(ctx->err, err);
	}
	spin_unlock(&ctx->lock);
	if (first) {
		trace_checkpoint_error(err, ctx->report.reason);
		wake_up_all(&ctx->wait);
		if (ctx->recs)
			wake_up_all(&ctx->task_wait);
	}
	return err;
}

/**
 * cr_decide() - from here on a restored task that is killed fails nothing
 * @ctx: the restart
 * @decided: false: it does again
 *
 * It dies as one that runs, and the others run.
 *
 * Return: false if something has failed before.
 */
bool cr_decide(struct cr_ctx *ctx, bool decided)
{
	bool ok;

	spin_lock(&ctx->lock);
	ok = !decided || !ctx->err;
	if (ok)
		ctx->decided = decided;
	spin_unlock(&ctx->lock);
	return ok;
}

/**
 * cr_set_where() - name what is being dumped, for messages
 * @ctx: the checkpoint
 * @fmt: "pid 12 fd 7"
 */
void cr_set_where(struct cr_ctx *ctx, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(ctx->where, sizeof(ctx->where), fmt, args);
	va_end(args);
}

const char *cr_where(struct cr_ctx *ctx)
{
	return ctx->where;
}

/**
 * cr_ctx_alloc() - a checkpoint or restart of the calling thread
 * @call: "checkpoint" or "restart"
 * @flags: of the system call
 *
 * Return: The context with one reference; NULL without memory.
 */
struct cr_ctx *cr_ctx_alloc(const char *call, unsigned long flags)
{
	struct cr_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);

	if (!ctx)
		return NULL;
	refcount_set(&ctx->refs, 1);
	refcount_set(&ctx->tree_refs, 1);
	ctx->flags = flags;
	ctx->caller = current;
	ctx->phase_start_ns = ktime_get_ns();
	ctx->report.call = call;
	cr_hbuf_init(&ctx->hb, CR_HBUF_CAP);
	spin_lock_init(&ctx->lock);
	mutex_init(&ctx->restore_lock);
	mutex_init(&ctx->use_lock);
	ctx->maker = get_current_cred();
	INIT_LIST_HEAD(&ctx->tasks);
	INIT_LIST_HEAD(&ctx->spares);
	INIT_LIST_HEAD(&ctx->snaps);
	init_waitqueue_head(&ctx->wait);
	init_waitqueue_head(&ctx->task_wait);
	return ctx;
}

void cr_ctx_get(struct cr_ctx *ctx)
{
	refcount_inc(&ctx->refs);
}

/**
 * cr_ctx_put() - drop a reference; the last one frees everything
 * @ctx: the context
 *
 * Context: Process context, may sleep.
 */
void cr_ctx_put(struct cr_ctx *ctx)
{
	if (!refcount_dec_and_test(&ctx->refs))
		return;
	cr_objs_free(ctx);
	cr_snaps_free(ctx);
	cr_objref_free(ctx);
	cr_tree_free(ctx);
	kvfree(ctx->recs);
	kvfree(ctx->heads);
	kvfree(ctx->late);
	cr_hbuf_free(&ctx->hb);
	cr_rollback_free(ctx);
	if (ctx->from)
		cr_ctx_put(ctx->from);
	path_put(&ctx->root_path);
	if (ctx->pid_ns)
		put_pid_ns(ctx->pid_ns);
	if (ctx->user_ns)
		put_user_ns(ctx->user_ns);
	put_cred(ctx->maker);
	kfree(ctx);
}

static int dump_rows(struct cr_ctx *ctx, struct cr_task *t, enum cr_level level,
		     u32 head, u32 id)
{
	bool zombie = t->hold == CR_HOLD_ZOMBIE;
	const struct cr_obj_ops *ops = cr_obj_ops(head);
	u32 type;

	trace_checkpoint_object(id, ops->name);
	if (ops->dump(ctx, t, id))
		return ctx->err;
	for (type = 0; type < CR_NR_TYPES; type++) {
		ops = cr_obj_ops(type);
		if (!ops || ops->level != level || type == head || !ops->dump ||
		    (zombie && !ops->of_zombies))
			continue;
		if (ops->dump(ctx, t, id))
			return ctx->err;
	}
	return 0;
}

static int dump_thread(struct cr_ctx *ctx, struct cr_task *t)
{
	cr_set_where(ctx, "pid %d thread %d", cr_pid(t), t->tid);
	t->process_id = t->leader->process_id;
	t->id = cr_obj_new_id(ctx);
	if (t->hold != CR_HOLD_ZOMBIE && cr_arch_task_refuse(ctx, t))
		return ctx->err;
	return dump_rows(ctx, t, CR_LVL_THREAD, CR_IMG_THREAD, t->id);
}

static int dump_process(struct cr_ctx *ctx, struct cr_task *leader)
{
	struct cr_task *t;

	ctx->where_pid = cr_pid(leader);
	cr_set_where(ctx, "pid %d", cr_pid(leader));
	leader->process_id = cr_obj_new_id(ctx);
	if (dump_rows(ctx, leader, CR_LVL_PROCESS, CR_IMG_PROCESS, leader->process_id) ||
	    dump_thread(ctx, leader))
		return ctx->err;
	list_for_each_entry(t, &leader->threads, sibling) {
		if (dump_thread(ctx, t))
			return ctx->err;
	}
	return 0;
}

static int phase_prepare(struct cr_ctx *ctx, pid_t pid)
{
	int err = cr_tree_find(ctx, pid);

	if (err)
		return err;
	ctx->report.pid = task_pid_vnr(ctx->root->task);
	get_task_comm(ctx->comm, ctx->root->task);
	task_lock(ctx->root->task);
	if (ctx->root->task->fs)
		get_fs_root(ctx->root->task->fs, &ctx->root_path);
	task_unlock(ctx->root->task);
	if (!ctx->root_path.mnt)
		return cr_root_gone(ctx);
	if (cr_objref_init(ctx, ctx->nr_tasks * 32))
		return cr_fail(ctx, -ENOMEM, "no memory for the objects of the tree");
	/* a task has about 4 KiB of records without its mappings and files */
	if (cr_hbuf_reserve(&ctx->hb, min_t(size_t, ctx->nr_tasks * SZ_8K, SZ_16M)))
		return cr_fail(ctx, ctx->hb.err, "no memory for the metadata of the image");
	return 0;
}

/*
 * Who is parked may be parked for several: a checkpoint must not see the tasks
 * that it dumps be replaced by a rollback.
 */
static DECLARE_RWSEM(cr_dump_sem);

/*
 * A rollback is about to take the place of tasks that are parked. It does not
 * queue: all later dumps, of any tree, would wait for one that is slow.
 */
int cr_dumps_lock(struct cr_ctx *ctx)
{
	ktime_t deadline = ktime_add_ms(ktime_get(), READ_ONCE(cr_freeze_timeout_ms));

	while (!down_write_trylock(&cr_dump_sem)) {
		if (ktime_after(ktime_get(), deadline))
			return cr_fail(ctx, -EBUSY, "another checkpoint is being made; try again");
		if (fatal_signal_pending(current))
			return cr_fail(ctx, -EINTR, "killed while restoring");
		schedule_timeout_killable(1);
	}
	return 0;
}

void cr_dumps_unlock(void)
{
	up_write(&cr_dump_sem);
}

static int dump_tree(struct cr_ctx *ctx)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->leader == t && dump_process(ctx, t))
			return ctx->err;
	}
	if (cr_pipes_check_peers(ctx) || cr_sockets_check_peers(ctx))
		return ctx->err;
	if ((ctx->flags & CHECKPOINT_KEEP) && cr_past_take(ctx))
		return ctx->err;
	if (cr_verify_take(ctx) || cr_freeze_verify(ctx))
		return ctx->err;
	return cr_image_seal(ctx);
}

static int phase_dump(struct cr_ctx *ctx)
{
	int err;

	if (down_read_killable(&cr_dump_sem))
		return cr_fail(ctx, -EINTR, "interrupted");
	/* a rollback may have been quicker */
	err = cr_freeze_verify(ctx) ?: cr_tree_hold(ctx) ?: dump_tree(ctx);
	cr_tree_unhold(ctx);
	up_read(&cr_dump_sem);
	return err;
}

/*
 * As read(2) and write(2) do, but not while the tree is stopped. Whoever has the
 * same open file may have it for as long as a whole image takes.
 */
int cr_pos_lock(struct cr_ctx *ctx, struct file *file)
{
	if ((file->f_mode & FMODE_ATOMIC_POS) && mutex_lock_killable(&file->f_pos_lock))
		return cr_fail(ctx, -EINTR, "interrupted");
	return 0;
}

void cr_pos_unlock(struct file *file)
{
	if (file->f_mode & FMODE_ATOMIC_POS)
		mutex_unlock(&file->f_pos_lock);
}

/* Does it stay when the machine goes down? */
static bool is_storage(struct file *file)
{
	umode_t mode = file_inode(file)->i_mode;

	return (S_ISREG(mode) || S_ISBLK(mode)) && file->f_op->fsync;
}

static int phase_flush(struct cr_ctx *ctx, struct file *file)
{
	struct cr_out out = { .file = file };
	int err;

	ctx->report.expected_bytes = cr_image_expected(ctx);
	ctx->report.bytes = 0;
	cr_report_update(ctx);
	if (cr_pos_lock(ctx, file))
		return ctx->err;
	err = cr_image_write(ctx, &out);
	cr_pos_unlock(file);
	/* the tree dies for this image: it must be safe first */
	if (!err && (ctx->flags & CHECKPOINT_KILL) && is_storage(file))
		err = vfs_fsync(file, 0);
	if (err)
		cr_fail(ctx, err, "the image cannot be written: error %d after %llu bytes",
			-err, out.bytes);
	return err;
}

/**
 * cr_phase_end() - a phase ends here, and the next one begins
 * @ctx: the checkpoint or restart
 * @phase: that ends
 */
void cr_phase_end(struct cr_ctx *ctx, enum cr_phase phase)
{
	u64 now = ktime_get_ns(), ns = now - ctx->phase_start_ns;

	ctx->report.phase_ns[phase] += ns;
	trace_checkpoint_phase(ctx->report.pid, phase, ns);
	ctx->phase_start_ns = now;
	cr_report_update(ctx);
}

/* The part in which tasks stand still. With CHECKPOINT_KILL also the flush. */
static int frozen_phases(struct cr_ctx *ctx, struct file *file)
{
	int err = cr_freeze(ctx);

	cr_phase_end(ctx, CR_PHASE_FREEZE);
	if (!err) {
		err = phase_dump(ctx);
		cr_phase_end(ctx, CR_PHASE_DUMP);
	}
	if (!err && (ctx->flags & CHECKPOINT_KILL)) {
		cr_unlock_door(ctx);
		err = phase_flush(ctx, file);
		cr_phase_end(ctx, CR_PHASE_FLUSH);
		if (!err)
			cr_kill(ctx);
	}
	cr_thaw(ctx);
	cr_phase_end(ctx, CR_PHASE_THAW);
	return err;
}

/*
 * What is needed to write or restart a checkpoint stays, the rest goes. Above
 * all the PID namespace: a checkpoint kept in it must not keep it.
 */
static void settle(struct cr_ctx *ctx)
{
	ctx->report.tasks = ctx->nr_tasks;
	ctx->report.objects = ctx->nr_objects;
	ctx->report.meta_bytes = cr_hbuf_used(&ctx->hb);
	/* what was written already has been counted, without what is shared */
	if (!(ctx->flags & CHECKPOINT_KILL))
		ctx->report.pages = cr_snaps_pages(ctx);
	ctx->report.crid = ctx->crid;
	cr_tree_put(ctx);
	cr_objref_free(ctx);
	path_put(&ctx->root_path);
	memset(&ctx->root_path, 0, sizeof(ctx->root_path));
	if (ctx->pid_ns)
		put_pid_ns(ctx->pid_ns);
	ctx->pid_ns = NULL;
}

static int checkpoint_phases(struct cr_ctx *ctx, pid_t pid, struct file *file)
{
	int err;

	if (file && cr_out_check(ctx, file))
		return ctx->err;
	err = phase_prepare(ctx, pid);
	if (!err)
		err = cr_store_reserve(ctx);
	cr_phase_end(ctx, CR_PHASE_PREPARE);
	if (err)
		return err;

	err = frozen_phases(ctx, file);
	settle(ctx);
	/* a task that is still on its way to be parked may keep the context */
	if (err)
		cr_hbuf_free(&ctx->hb);
	if (ctx->flags & CHECKPOINT_KEEP) {
		if (err)
			cr_store_drop(ctx);
		else
			cr_store_publish(ctx);
	}
	if (!err && file && !(ctx->flags & CHECKPOINT_KILL)) {
		mutex_lock(&ctx->use_lock);
		err = phase_flush(ctx, file);
		mutex_unlock(&ctx->use_lock);
		cr_phase_end(ctx, CR_PHASE_FLUSH);
	}
	return err;
}

/**
 * cr_do_checkpoint() - checkpoint a tree, write it to a file or keep it
 * @pid: root of the tree, 0 is the calling process
 * @file: where to, open for writing; NULL to keep it only
 * @flags: checked CHECKPOINT_*
 *
 * A tree that changes while it is being stopped is let go, and all begins again.
 * So does the system call, if an earlier checkpoint waits for its caller to park.
 *
 * Return: As checkpoint(), or -ERESTARTNOINTR.
 */
long cr_do_checkpoint(pid_t pid, struct file *file, unsigned long flags)
{
	struct cr_ctx *ctx = NULL;
	unsigned int tries = 0;
	long ret;

	if (cr_report_begin("checkpoint", 0))
		return -ENOMEM;
	do {
		if (ctx)
			cr_ctx_put(ctx);
		ctx = cr_ctx_alloc("checkpoint", flags);
		if (!ctx)
			return cr_report_simple(-ENOMEM, "no memory for a checkpoint");
		ret = checkpoint_phases(ctx, pid, file) ?: ctx->crid;
	} while (ctx->unsteady && ++tries < CR_TRIES_MAX && !fatal_signal_pending(current));
	cr_report_end(ctx, ret);
	if (ctx->gave_way) {
		ret = -ERESTARTNOINTR;
		/* is there already, unless that other checkpoint has given up */
		set_notify_signal(current);
	}
	cr_ctx_put(ctx);
	return ret;
}

/**
 * cr_do_write() - write a kept checkpoint
 * @crid: its id
 * @file: where to; open for writing
 * @flags: CHECKPOINT_WRITE, and CHECKPOINT_KEEP if it is to be kept
 *
 * If it cannot be written it stays, and can be written elsewhere.
 *
 * Return: As checkpoint().
 */
long cr_do_write(int crid, struct file *file, unsigned long flags)
{
	struct cr_ctx *ctx;
	long ret;

	if (cr_report_begin("checkpoint", crid))
		return -ENOMEM;
	ctx = cr_store_find(crid);
	if (IS_ERR(ctx))
		return cr_store_refused(PTR_ERR(ctx));
	if (mutex_lock_killable(&ctx->use_lock)) {
		cr_ctx_put(ctx);
		return cr_report_simple(-EINTR, "interrupted");
	}
	/* what went wrong with another file is forgotten */
	ctx->err = 0;
	ctx->report.reason[0] = 0;
	ctx->report.phase_ns[CR_PHASE_FLUSH] = 0;
	ctx->phase_start_ns = ktime_get_ns();
	ret = cr_out_check(ctx, file) ?: phase_flush(ctx, file);
	cr_phase_end(ctx, CR_PHASE_FLUSH);
	if (!ret) {
		ret = crid;
		if (!(flags & CHECKPOINT_KEEP))
			cr_store_drop(ctx);
	}
	cr_report_end(ctx, ret);
	mutex_unlock(&ctx->use_lock);
	cr_ctx_put(ctx);
	return ret;
}

/**
 * cr_do_discard() - forget a kept checkpoint
 * @crid: its id
 *
 * Return: As checkpoint().
 */
long cr_do_discard(int crid)
{
	struct cr_ctx *ctx;
	int err;

	if (cr_report_begin("checkpoint", crid))
		return -ENOMEM;
	ctx = cr_store_find(crid);
	if (IS_ERR(ctx))
		return cr_store_refused(PTR_ERR(ctx));
	err = cr_store_drop(ctx);
	cr_ctx_put(ctx);
	return err ? cr_store_refused(err) : cr_report_simple(0, NULL);
}
