// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: ids of checkpoints, and those that stay in the kernel.
 *
 * Every PID namespace has a store of its own: ids are unique in there, and a
 * caller sees only what was made in its own PID namespace. The store is made
 * when it is first used and released when the init of the namespace dies;
 * then nobody is left in there who could use it.
 *
 * A kept checkpoint holds its metadata, charged to the memory cgroup of who
 * made it, and the snapshot's pages, which stay charged to the container; the
 * snapshot keeps mapped files and their mounts busy. All of that goes when it
 * is discarded.
 *
 * Locks: cr_store.lock protects the table. cr_ctx.use_lock, outside of all
 * others, serialises the writing of one checkpoint. Whoever works on one has a
 * reference, so discarding it meanwhile only makes it unknown.
 */
#include <linux/cred.h>
#include <linux/init.h>
#include <linux/pid_namespace.h>
#include <linux/proc_fs.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sysctl.h>
#include <linux/xarray.h>

#include "internal.h"

/* How many a PID namespace may keep; kernel.checkpoint_max_kept. */
static unsigned int cr_max_kept = 1024;

/**
 * struct cr_store - the checkpoints of one PID namespace
 * @kept: by crid; its lock protects @nr_kept as well
 * @nr_kept: entries of @kept
 * @last: last id that was given out
 */
struct cr_store {
	struct xarray kept;
	u32 nr_kept;
	u32 last;
};

/* By inode number of the namespace, which is unique while it lives. */
static DEFINE_XARRAY(cr_stores);

static struct cr_store *store_find(void)
{
	return xa_load(&cr_stores, task_active_pid_ns(current)->ns.inum);
}

static struct cr_store *store_get(void)
{
	struct cr_store *store = store_find(), *old;

	if (store)
		return store;
	store = kzalloc(sizeof(*store), GFP_KERNEL_ACCOUNT);
	if (!store)
		return NULL;
	xa_init_flags(&store->kept, XA_FLAGS_ALLOC1);
	old = xa_cmpxchg(&cr_stores, task_active_pid_ns(current)->ns.inum, NULL, store,
			 GFP_KERNEL_ACCOUNT);
	if (!old)
		return store;
	kfree(store);
	return xa_is_err(old) ? NULL : old;
}

/**
 * cr_store_reserve() - an id for a checkpoint of the caller
 * @ctx: the checkpoint; gets ctx->crid
 *
 * With CHECKPOINT_KEEP the id is taken until cr_store_drop(); without it, it is
 * only not given to another one soon.
 *
 * Return: 0; -ENOMEM; -ENOSPC if the namespace keeps as many as it may.
 */
int cr_store_reserve(struct cr_ctx *ctx)
{
	struct cr_store *store = store_get();
	u32 id;
	int err;

	if (!store)
		return cr_fail(ctx, -ENOMEM, "no memory for an id");
	xa_lock(&store->kept);
	if ((ctx->flags & CHECKPOINT_KEEP) && store->nr_kept >= READ_ONCE(cr_max_kept)) {
		xa_unlock(&store->kept);
		return cr_fail(ctx, -ENOSPC,
			       "%u checkpoints are kept already (kernel.checkpoint_max_kept)",
			       store->nr_kept);
	}
	/* the entry is NULL, so it cannot be found, until it is published */
	err = __xa_alloc_cyclic(&store->kept, &id, NULL, XA_LIMIT(1, INT_MAX),
				&store->last, GFP_KERNEL_ACCOUNT);
	if (err >= 0 && (ctx->flags & CHECKPOINT_KEEP))
		store->nr_kept++;
	else if (err >= 0)
		__xa_erase(&store->kept, id);
	xa_unlock(&store->kept);
	if (err < 0)
		return cr_fail(ctx, err, "no memory for an id");
	ctx->crid = id;
	return 0;
}

/**
 * cr_store_publish() - from now on a kept checkpoint can be found
 * @ctx: complete; the store gets a reference of its own
 */
void cr_store_publish(struct cr_ctx *ctx)
{
	struct cr_store *store = store_find();

	cr_ctx_get(ctx);
	ctx->published = true;
	/* the entry was allocated, so this needs no memory */
	xa_store(&store->kept, ctx->crid, ctx, 0);
}

/**
 * cr_store_drop() - forget a kept checkpoint, or one that has failed
 * @ctx: the checkpoint; the caller has a reference
 *
 * Context: In the PID namespace of whoever made it.
 * Return: 0; -ESRCH if somebody else has done so before.
 */
int cr_store_drop(struct cr_ctx *ctx)
{
	struct cr_store *store = store_find();
	struct cr_ctx *old;
	bool gone;

	xa_lock(&store->kept);
	old = xa_load(&store->kept, ctx->crid);
	gone = old ? old != ctx : ctx->published;
	if (!gone) {
		__xa_erase(&store->kept, ctx->crid);
		store->nr_kept--;
	}
	xa_unlock(&store->kept);
	if (gone)
		return -ESRCH;
	if (old)
		cr_ctx_put(ctx);
	return 0;
}

/**
 * cr_store_find() - a kept checkpoint by its id
 * @crid: id, in the caller's PID namespace
 *
 * Return: The checkpoint with a reference; ERR_PTR(-ESRCH) if there is none;
 * ERR_PTR(-EPERM) if cr_cred_may_use() says so.
 */
struct cr_ctx *cr_store_find(int crid)
{
	struct cr_store *store = store_find();
	struct cr_ctx *ctx;

	if (!store)
		return ERR_PTR(-ESRCH);
	xa_lock(&store->kept);
	ctx = xa_load(&store->kept, crid);
	if (ctx)
		cr_ctx_get(ctx);
	xa_unlock(&store->kept);
	if (!ctx)
		return ERR_PTR(-ESRCH);
	if (!cr_cred_may_use(ctx->maker)) {
		cr_ctx_put(ctx);
		return ERR_PTR(-EPERM);
	}
	return ctx;
}

/**
 * cr_store_refused() - tell why cr_store_find() or cr_store_drop() failed
 * @err: what it returned
 *
 * Return: @err.
 */
long cr_store_refused(long err)
{
	return cr_report_simple(err, err == -EPERM ?
				"another user has made the checkpoint" :
				"no such checkpoint is kept in this PID namespace");
}

/**
 * cr_store_release() - a PID namespace is dying
 * @ns: its init is the last task in it
 */
void cr_store_release(struct pid_namespace *ns)
{
	struct cr_store *store = xa_erase(&cr_stores, ns->ns.inum);
	struct cr_ctx *ctx;
	unsigned long crid;

	if (!store)
		return;
	xa_for_each(&store->kept, crid, ctx)
		cr_ctx_put(ctx);
	xa_destroy(&store->kept);
	kfree(store);
}

/* One line for each checkpoint that the reader's PID namespace keeps. */
static int checkpoints_show(struct seq_file *m, void *v)
{
	struct cr_store *store = store_find();
	struct cr_ctx *ctx;
	unsigned long crid;

	seq_puts(m, "crid pid uid time_ns meta_bytes pages frozen_ns name\n");
	if (!store)
		return 0;
	xa_lock(&store->kept);
	xa_for_each(&store->kept, crid, ctx) {
		seq_printf(m, "%lu %d %u %llu %llu %llu %llu ", crid, ctx->report.pid,
			   from_kuid_munged(seq_user_ns(m), ctx->maker->euid), ctx->time_ns,
			   ctx->report.meta_bytes, ctx->report.pages,
			   ctx->report.frozen_ns);
		seq_escape(m, ctx->comm, " \t\n\\");
		seq_putc(m, '\n');
	}
	xa_unlock(&store->kept);
	return 0;
}

static struct ctl_table cr_sysctls[] = {
	{
		.procname	= "checkpoint_freeze_timeout_ms",
		.data		= &cr_freeze_timeout_ms,
		.maxlen		= sizeof(cr_freeze_timeout_ms),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ONE,
	},
	{
		.procname	= "checkpoint_max_kept",
		.data		= &cr_max_kept,
		.maxlen		= sizeof(cr_max_kept),
		.mode		= 0644,
		.proc_handler	= proc_douintvec,
	},
};

static int __init cr_store_init(void)
{
	register_sysctl("kernel", cr_sysctls);
	proc_create_single("checkpoints", 0444, NULL, checkpoints_show);
	return 0;
}
late_initcall(cr_store_init);
