// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: shared anonymous memory, mmap(MAP_SHARED | MAP_ANONYMOUS).
 *
 * Saved: size, whether it is accounted, contents. One object for one inode,
 * whoever maps it; fork() is the only way to share it.
 *
 * Refused: a process outside of the tree that maps it as well; a NUMA policy of
 * the memory; by others: memfd, System V shared memory.
 *
 * Locks: i_mmap_rwsem for reading, and page locks in snapshot.c; both under the
 * mmap_lock of the first process that maps it.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/string.h>

#include "mm.h"
#include "objects.h"

/* The name that shmem_zero_setup() gives. */
#define SHMEM_NAME	"dev/zero"

/**
 * cr_shmem_is_anon() - is a mapped file shared anonymous memory?
 * @file: the file
 *
 * Return: true if it is; false for memfd and System V shared memory.
 */
bool cr_shmem_is_anon(struct file *file)
{
	return shmem_mapping(file->f_mapping) && IS_PRIVATE(file_inode(file)) &&
	       !strcmp(file->f_path.dentry->d_name.name, SHMEM_NAME);
}

static bool has_policy(struct inode *inode)
{
#ifdef CONFIG_NUMA
	return !RB_EMPTY_ROOT(&SHMEM_I(inode)->policy.root);
#else
	return false;
#endif
}

/* Sharing with others would silently end with the copy. */
static bool used_outside(struct cr_ctx *ctx, struct inode *inode)
{
	struct address_space *mapping = inode->i_mapping;
	struct vm_area_struct *vma;
	bool outside = false;

	i_mmap_lock_read(mapping);
	vma_interval_tree_foreach(vma, &mapping->i_mmap, 0, ULONG_MAX) {
		outside = !cr_mm_in_tree(ctx, vma->vm_mm);
		if (outside)
			break;
	}
	i_mmap_unlock_read(mapping);
	return outside;
}

int cr_shmem_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct inode *inode = obj;
	struct cr_img_shmem *img;

	if (has_policy(inode))
		return cr_fail(ctx, -EOPNOTSUPP,
			       "%s: NUMA policy of shared memory: not supported",
			       cr_where(ctx));
	if (used_outside(ctx, inode))
		return cr_fail(ctx, -EOPNOTSUPP,
			       "%s: memory shared with a process outside of the tree: not supported",
			       cr_where(ctx));
	img = cr_rec_get(ctx, CR_IMG_SHMEM, id, sizeof(*img));
	if (!img)
		return ctx->err;
	img->size = i_size_read(inode);
	if (SHMEM_I(inode)->flags & VM_NORESERVE)
		img->flags = CR_IMG_VMA_NORESERVE;
	cr_rec_put(ctx, img, sizeof(*img));
	return cr_snap_shmem(ctx, inode, id);
}

int cr_shmem_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_shmem *img = rec->data;

	if (img->size > MAX_LFS_FILESIZE || img->reserved ||
	    (img->flags & ~CR_IMG_VMA_NORESERVE))
		return cr_fail(ctx, -EINVAL,
			       "record %u: shared memory of %llu bytes, flags 0x%x",
			       rec->index, img->size, img->flags);
	return 0;
}

int cr_shmem_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_shmem *img = rec->data;
	unsigned long flags = 0;
	struct file *file;

	if (img->flags & CR_IMG_VMA_NORESERVE)
		flags = VM_NORESERVE;
	file = shmem_kernel_file_setup(SHMEM_NAME, img->size, flags);
	/* shmem says ENOSPC, as if it were a disk, when there is no memory for the inode */
	if (file == ERR_PTR(-ENOSPC))
		file = ERR_PTR(-ENOMEM);
	if (IS_ERR(file))
		return cr_fail(ctx, PTR_ERR(file),
			       "pid %d: no shared memory of %llu bytes",
			       cr_pid(t), img->size);
	cr_obj_set(ctx, rec->id, file);
	return 0;
}

void cr_shmem_free(void *obj)
{
	fput(obj);
}
