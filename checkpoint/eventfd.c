// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: eventfd.
 *
 * Saved: the counter, and whether it is a semaphore. Nothing is refused.
 * Locks: that of the eventfd, in eventfd_file_state().
 */
#include <linux/eventfd.h>
#include <linux/fs.h>

#include "objects.h"

bool cr_eventfd_match(struct file *file)
{
	return is_file_eventfd(file);
}

int cr_eventfd_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct file *file = obj;
	struct cr_img_file_eventfd img = {};
	unsigned int flags;

	eventfd_file_state(file, &img.count, &flags);
	if (flags & EFD_SEMAPHORE)
		img.flags |= CR_IMG_EVENTFD_SEMAPHORE;

	return cr_file_head_add(ctx, file, id, CR_IMG_FILE_EVENTFD) ?:
	       cr_rec_add(ctx, CR_IMG_FILE_EVENTFD, id, &img, sizeof(img));
}

int cr_eventfd_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_eventfd *img = rec->data;

	if (!cr_file_head(ctx, rec))
		return -EINVAL;
	if (img->flags & ~CR_IMG_EVENTFD_SEMAPHORE || img->reserved)
		return cr_fail(ctx, -EINVAL, "eventfd with bad flags %#x or reserved field",
			       img->flags);
	return 0;
}

int cr_eventfd_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_file_eventfd *img = rec->data;
	struct file *file;

	file = eventfd_file_create(img->count, img->flags & CR_IMG_EVENTFD_SEMAPHORE ?
				   EFD_SEMAPHORE : 0);
	if (IS_ERR(file))
		return cr_fail(ctx, PTR_ERR(file), "eventfd cannot be made (error %ld)",
			       -PTR_ERR(file));
	cr_obj_set(ctx, rec->id, file);
	return 0;
}
