// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: memory of a checkpoint that is restarted from memory.
 *
 * Private pages are shared with the snapshot copy on write, as after fork(), so
 * a restart copies none and pages that processes shared before are shared again.
 * Shared anonymous memory is copied: what the processes write to it must not
 * show in the checkpoint.
 *
 * Refused: a mapped file that is not the one of the checkpoint any more, if
 * pages of the mapping were changed; the others would not be its pages.
 *
 * Locks: mmap_lock of the snapshot for writing, since several restarts may run
 * at a time, and then that of the new address space, as in fork().
 */
#include <linux/capability.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/xarray.h>

#include "mm.h"
#include "objects.h"

static bool is_mapping(const struct vm_area_struct *vma, const struct cr_img_vma *img)
{
	return vma && vma->vm_start == img->start && vma->vm_end == img->end &&
	       is_cow_mapping(vma->vm_flags);
}

/* The memory that address space @id of a restart from memory shares; or NULL. */
struct mm_struct *cr_mm_share_from(struct cr_ctx *ctx, u32 id)
{
	struct cr_snap *snap = cr_snap_find(ctx->from, id);

	return snap ? snap->mm : NULL;
}

/* For changes to current->mm, and to @from if that is not NULL. */
int cr_mm_share_lock(struct mm_struct *from)
{
	if (!from)
		return mmap_write_lock_killable(current->mm);
	if (mmap_write_lock_killable(from))
		return -EINTR;
	mmap_write_lock_nested(current->mm, SINGLE_DEPTH_NESTING);
	return 0;
}

void cr_mm_share_unlock(struct mm_struct *from)
{
	mmap_write_unlock(current->mm);
	if (from)
		mmap_write_unlock(from);
}

static int share_area(struct vm_area_struct *dst, struct vm_area_struct *src,
		      const struct cr_img_vma *img)
{
	int err;

	if (!is_mapping(src, img) || !is_mapping(dst, img) || dst->anon_vma)
		return -EFAULT;
	vma_start_write(src);
	vma_start_write(dst);
	if (vma_is_anonymous(src) && vma_is_anonymous(dst)) {
		/* was mremap()ed; rmap finds its pages by this */
		dst->vm_pgoff = src->vm_pgoff;
	} else if (!src->vm_file != !dst->vm_file || src->vm_pgoff != dst->vm_pgoff ||
		   (src->vm_file && src->vm_file->f_mapping != dst->vm_file->f_mapping)) {
		return -ESTALE;
	}
	err = anon_vma_fork(dst, src);
	if (!err)
		err = copy_page_range(dst, src);
	vm_flags_clear(dst, CR_VM_UNSHARED);
	return err;
}

/**
 * cr_mm_share() - give a new mapping of current->mm the pages of a snapshot
 * @from: the snapshot
 * @img: the mapping; made with CR_VM_UNSHARED, and without pages, under the lock
 *       that is held
 *
 * Page tables of @from have no write access that anybody's TLB could remember:
 * no task has ever run in it.
 *
 * Context: cr_mm_share_lock() is held since before the mapping was made.
 * Return: 0; -ESTALE if the mapped file is another one; -EFAULT; -ENOMEM.
 */
int cr_mm_share(struct mm_struct *from, const struct cr_img_vma *img)
{
	return share_area(vma_lookup(current->mm, img->start),
			  vma_lookup(from, img->start), img);
}

/* As mlock() does: what is written to needs a copy of its own for that. */
int cr_mm_share_mlock(const struct cr_img_vma *img)
{
	unsigned long len = img->end - img->start, nr = len >> PAGE_SHIFT;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int err = 0;

	if (!can_do_mlock())
		return -EPERM;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, img->start);
	if (mm->locked_vm + nr > rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT &&
	    !capable(CAP_IPC_LOCK)) {
		err = -EAGAIN;
	} else if (!is_mapping(vma, img)) {
		err = -EFAULT;
	} else {
		vm_flags_set(vma, VM_LOCKED);
		mm->locked_vm += nr;
	}
	mmap_write_unlock(mm);
	if (!err)
		mm_populate(img->start, len);
	return err;
}

static int copy_shmem(struct cr_ctx *ctx, struct cr_snap *snap)
{
	struct page *from, *to;
	unsigned long index;
	struct file *file;

	if (!cr_obj_head(ctx, snap->id, CR_IMG_SHMEM))
		return -EINVAL;
	file = cr_obj_peek(ctx, snap->id);
	if (!file)
		return -EINVAL;
	xa_for_each(snap->pages, index, from) {
		if (fatal_signal_pending(current))
			return -EINTR;
		to = shmem_read_mapping_page(file->f_mapping, index);
		if (IS_ERR(to))
			return PTR_ERR(to);
		copy_highpage(to, from);
		set_page_dirty_lock(to);
		put_page(to);
		cond_resched();
	}
	return 0;
}

/**
 * cr_fill_from_memory() - what cr_mm_share() has not brought back
 * @ctx: the restart, from memory
 *
 * Context: the caller of restart(); all restored processes wait.
 * Return: 0, or -errno as told.
 */
int cr_fill_from_memory(struct cr_ctx *ctx)
{
	struct cr_snap *snap;
	int err = cr_verify_check(ctx, ctx->from);

	if (err)
		return err;
	list_for_each_entry(snap, &ctx->from->snaps, list) {
		if (snap->mm) {
			ctx->report.pages += get_mm_counter(snap->mm, MM_ANONPAGES);
			continue;
		}
		err = copy_shmem(ctx, snap);
		if (err)
			return cr_fail(ctx, err,
				       "shared memory (object %u) cannot be copied: error %d",
				       snap->id, -err);
		ctx->report.pages += snap->nr_pages;
	}
	return 0;
}
