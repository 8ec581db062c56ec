// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: memory as it is at the freeze.
 *
 * Private memory of an address space is shared with a snapshot copy on write,
 * as by fork(); no page is copied while the tree is frozen. Shared anonymous
 * memory can be written by everyone who maps it, so its pages are copied.
 *
 * Refused: nothing; mm.c and shmem.c have done so before.
 *
 * Locks: dup_mm_snapshot() takes mmap_lock for writing. Shared memory is read
 * through the page cache, a page lock at a time.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "internal.h"
#include "mm.h"

static bool snap_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct cr_snap, node)->id < rb_entry(b, struct cr_snap, node)->id;
}

static int snap_cmp(const void *key, const struct rb_node *node)
{
	u32 id = *(const u32 *)key, other = rb_entry(node, struct cr_snap, node)->id;

	return id < other ? -1 : id > other;
}

static struct cr_snap *add_snap(struct cr_ctx *ctx, u32 id)
{
	struct cr_snap *snap = kzalloc(sizeof(*snap), GFP_KERNEL_ACCOUNT);

	if (!snap) {
		cr_fail(ctx, -ENOMEM, "%s: no memory for a snapshot", cr_where(ctx));
		return NULL;
	}
	snap->id = id;
	list_add_tail(&snap->list, &ctx->snaps);
	rb_add(&snap->node, &ctx->snap_ids, snap_less);
	return snap;
}

/**
 * cr_snap_find() - the snapshot of an object
 * @from: a checkpoint that is complete
 * @id: object id of an address space or of shared memory
 *
 * Return: the snapshot, NULL if there is none.
 */
struct cr_snap *cr_snap_find(struct cr_ctx *from, u32 id)
{
	struct rb_node *node = rb_find(&id, &from->snap_ids, snap_cmp);

	return node ? rb_entry(node, struct cr_snap, node) : NULL;
}

/**
 * cr_snap_mm() - take a snapshot of the private memory of an address space
 * @ctx: the checkpoint
 * @mm: the address space; frozen; the caller does not hold its mmap_lock
 * @id: its object id
 *
 * Return: 0, or -errno as told.
 */
int cr_snap_mm(struct cr_ctx *ctx, struct mm_struct *mm, u32 id)
{
	struct cr_snap *snap = add_snap(ctx, id);

	if (!snap)
		return ctx->err;
	snap->mm = dup_mm_snapshot(mm);
	if (snap->mm)
		return 0;
	if (fatal_signal_pending(current))
		return cr_fail(ctx, -EINTR, "interrupted");
	return cr_fail(ctx, -ENOMEM, "%s: no memory for a snapshot of %lu MiB",
		       cr_where(ctx), mm->total_vm >> (20 - PAGE_SHIFT));
}

/**
 * cr_snap_set_parent() - tell what process the memory was probably forked from
 * @ctx: the checkpoint
 * @id: address space of which there is a snapshot
 * @parent: leader of the parent process, or NULL
 */
void cr_snap_set_parent(struct cr_ctx *ctx, u32 id, struct cr_task *parent)
{
	struct cr_snap *snap = cr_snap_find(ctx, id);

	if (snap && parent && parent->mm)
		snap->parent_id = cr_obj_id(ctx, CR_IMG_MM, parent->mm);
}

/**
 * cr_get_user_page() - one page, as a fault would find or make it
 * @mm: address space; its mmap_lock is held
 * @addr: where
 * @flags: FOLL_WRITE if it is to be written to, else 0
 *
 * Whatever the mapping allows the process itself.
 *
 * Return: the page, with a reference; ERR_PTR(-errno).
 */
struct page *cr_get_user_page(struct mm_struct *mm, unsigned long addr,
			      unsigned int flags)
{
	struct page *page;
	long n;

	n = get_user_pages_remote(mm, addr, 1, flags | FOLL_FORCE, &page, NULL);
	return n == 1 ? page : ERR_PTR(n ?: -EFAULT);
}

/* Copy the page of @mapping at @index, which is present or in swap. */
static int copy_shmem_page(struct cr_snap *snap, struct address_space *mapping,
			   pgoff_t index)
{
	struct page *from, *to;
	int err;

	from = shmem_read_mapping_page(mapping, index);
	if (IS_ERR(from))
		return PTR_ERR(from);
	to = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);
	if (!to) {
		put_page(from);
		return -ENOMEM;
	}
	copy_highpage(to, from);
	put_page(from);
	err = xa_err(xa_store(snap->pages, index, to, GFP_KERNEL_ACCOUNT));
	if (err)
		__free_page(to);
	else
		snap->nr_pages++;
	return err;
}

/**
 * cr_snap_shmem() - copy shared anonymous memory
 * @ctx: the checkpoint
 * @inode: the memory; all who map it are frozen
 * @id: its object id
 *
 * Holes stay holes. What is in swap is read back.
 *
 * Return: 0, or -errno as told.
 */
int cr_snap_shmem(struct cr_ctx *ctx, struct inode *inode, u32 id)
{
	struct address_space *mapping = inode->i_mapping;
	struct cr_snap *snap = add_snap(ctx, id);
	unsigned long index = 0, max;
	int err = 0;

	if (!snap)
		return ctx->err;
	snap->pages = kmalloc(sizeof(*snap->pages), GFP_KERNEL_ACCOUNT);
	if (!snap->pages)
		return cr_fail(ctx, -ENOMEM, "%s: no memory for a snapshot", cr_where(ctx));
	xa_init(snap->pages);
	if (!i_size_read(inode))
		return 0;

	max = (i_size_read(inode) - 1) >> PAGE_SHIFT;
	while (!err && xa_find(&mapping->i_pages, &index, max, XA_PRESENT)) {
		err = fatal_signal_pending(current) ? -EINTR :
			copy_shmem_page(snap, mapping, index);
		cond_resched();
		if (index++ == max)
			break;
	}
	if (err)
		return cr_fail(ctx, err, "%s: shared memory of %lld bytes cannot be copied",
			       cr_where(ctx), i_size_read(inode));
	return 0;
}

/**
 * cr_snaps_pages() - how many pages a checkpoint holds
 * @ctx: the checkpoint
 *
 * Return: pages, in memory or in swap; those that processes share count in each.
 */
u64 cr_snaps_pages(struct cr_ctx *ctx)
{
	struct cr_snap *snap;
	u64 nr_pages = 0;

	list_for_each_entry(snap, &ctx->snaps, list) {
		if (snap->mm)
			nr_pages += get_mm_counter(snap->mm, MM_ANONPAGES) +
				    get_mm_counter(snap->mm, MM_SWAPENTS);
		else
			nr_pages += snap->nr_pages;
	}
	return nr_pages;
}

static void free_snap(struct cr_snap *snap)
{
	unsigned long index;
	struct page *page;

	cr_verify_free(snap);
	if (snap->mm)
		mmput(snap->mm);
	if (snap->pages) {
		xa_for_each(snap->pages, index, page)
			__free_page(page);
		xa_destroy(snap->pages);
		kfree(snap->pages);
	}
	kfree(snap);
}

/**
 * cr_snaps_free() - let go of all memory of a checkpoint
 * @ctx: the checkpoint
 */
void cr_snaps_free(struct cr_ctx *ctx)
{
	struct cr_snap *snap, *next;

	list_for_each_entry_safe(snap, next, &ctx->snaps, list) {
		list_del(&snap->list);
		free_snap(snap);
		cond_resched();
	}
}
