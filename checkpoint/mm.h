/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint/restart: what dumping and restoring of an address space share.
 */
#ifndef _CHECKPOINT_MM_H
#define _CHECKPOINT_MM_H

#include <linux/mm_types.h>
#include <uapi/linux/checkpoint.h>

struct cr_ctx;
struct cr_rec;
struct cr_task;

/* A flag of the format and the VM_* flag it stands for. */
struct cr_vma_flag {
	u32 image;
	u64 kernel;
};

extern const struct cr_vma_flag cr_vma_flags[];

/* MEMBARRIER_CMD_REGISTER_* and the MEMBARRIER_STATE_* it leads to. */
struct cr_membarrier {
	u32 cmd;
	int registered;
	int ready;
};

extern const struct cr_membarrier cr_membarriers[];

/*
 * Restart from memory: a new mapping has this flag, which no other has, until
 * it has got its pages. It keeps it from being merged with its neighbours.
 */
#define CR_VM_UNSHARED	VM_SEALED

struct mm_struct *cr_mm_share_from(struct cr_ctx *ctx, u32 id);
int cr_mm_share_lock(struct mm_struct *from);
void cr_mm_share_unlock(struct mm_struct *from);
int cr_mm_share(struct mm_struct *from, const struct cr_img_vma *img);
int cr_mm_share_mlock(const struct cr_img_vma *img);

/*
 * fill.c: are @nr_pages at @start in mappings that the image has declared to own
 * pages? @start is aligned, the rest any numbers. Tells why not.
 */
int cr_fill_check_range(struct cr_ctx *ctx, const struct cr_rec *head, u64 start,
			u32 nr_pages);

/* Tells why @mm has no pages at @start: @err, from a fault or from memory. */
int cr_fill_failed(struct cr_ctx *ctx, struct mm_struct *mm, int err, u64 start);

struct page *cr_get_user_page(struct mm_struct *mm, unsigned long addr,
			      unsigned int flags);

/* The entry for @addr, with all tables above it made. Under mmap_lock. */
pmd_t *cr_make_pmd(struct mm_struct *mm, unsigned long addr);

bool cr_mm_in_tree(struct cr_ctx *ctx, struct mm_struct *mm);

/* Could prctl(PR_SET_MM_MAP) have set these? */
bool cr_mm_fields_ok(const struct cr_img_mm *img);

#endif /* _CHECKPOINT_MM_H */
