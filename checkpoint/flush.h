/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint/restart: pages on their way into the image.
 */
#ifndef _CHECKPOINT_FLUSH_H
#define _CHECKPOINT_FLUSH_H

#include <linux/types.h>

struct cr_ctx;
struct cr_snap;
struct page;

/**
 * struct cr_gathered - one page that is to be written
 * @page: referenced
 * @start: its address, or offset in shared memory
 * @from_id: address space that has it there as well and stands in the image
 *           already; 0 if there is none
 * @elide: it need not be written if it is all zero
 */
struct cr_gathered {
	struct page *page;
	u64 start;
	u32 from_id;
	bool elide;
};

void cr_flush_find_kin(struct cr_ctx *ctx, struct cr_snap *snap,
		       struct cr_gathered *got, unsigned int nr);

#endif /* _CHECKPOINT_FLUSH_H */
