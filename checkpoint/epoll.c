// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: epoll.
 *
 * Saved: the interest list: number, open file, events and data of each entry,
 * and whether it may have something to report. What is ready is found again by
 * asking the files, as EPOLL_CTL_ADD does.
 *
 * Refused: entries whose descriptor was closed while the open file lives on
 * under another number, because EPOLL_CTL_ADD could not make them again;
 * busy polling set with EPIOCSPARAMS.
 *
 * Entries are added when all processes have their files, each in the first
 * process that has both the epoll instance and the descriptor.
 *
 * A thread that waits in epoll_wait(2) goes on waiting, for what is left of its
 * time: cr_epoll_wait_dump() and cr_epoll_wait_restore(), for timer.c.
 *
 * Locks: the mutex of one epoll instance at a time, in fs/eventpoll.c.
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
/* needs the two above */
#include <linux/eventpoll.h>

#include "objects.h"

/* The kernel allows this many epoll instances in each other. */
#define EPOLL_DEPTH_MAX		5

bool cr_epoll_match(struct file *file)
{
	return eventpoll_file_is(file);
}

static bool has_file(struct files_struct *files, const struct file *file)
{
	unsigned int fd, max = rcu_dereference_raw(files->fdt)->max_fds;

	for (fd = 0; fd < max; fd++) {
		if (files_lookup_fd_raw(files, fd) == file)
			return true;
	}
	return false;
}

/* Looked for only once, as there may be many entries and many descriptors. */
static bool has_epoll(struct cr_task *t, const struct file *epoll)
{
	if (t->epoll != epoll) {
		t->epoll = epoll;
		t->has_epoll = has_file(t->files, epoll);
	}
	return t->has_epoll;
}

/* Somebody who has @item open as it was added, and the epoll instance too. */
static struct cr_task *item_owner(struct cr_ctx *ctx, const struct file *epoll,
				  const struct eventpoll_item *item, struct cr_task *last)
{
	struct cr_task *t;

	if (last && files_lookup_fd_raw(last->files, item->fd) == item->file)
		return last;
	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->files && files_lookup_fd_raw(t->files, item->fd) == item->file &&
		    has_epoll(t, epoll))
			return t;
	}
	return NULL;
}

/* Dumps what is watched; returns the number of entries or -errno. */
static int epoll_dump_refs(struct cr_ctx *ctx, struct file *file)
{
	struct eventpoll_item item = {};
	struct cr_task *owner = NULL;
	int ret, nr = 0;

	while ((ret = eventpoll_next_item(file, &item)) > 0) {
		cond_resched();
		if (fatal_signal_pending(current))
			return cr_fail(ctx, -EINTR, "interrupted");
		/* item.file may be trusted only if an owner was found */
		owner = item_owner(ctx, file, &item, owner);
		if (!owner)
			return cr_fail(ctx, -EOPNOTSUPP,
				       "%s: epoll: entry for fd %d that is no longer open there: not supported",
				       cr_where(ctx), item.fd);
		if (cr_obj_id(ctx, CR_IMG_FILE, item.file)) {
			nr++;
			continue;
		}
		cr_set_where(ctx, "pid %d fd %d", cr_pid(owner), item.fd);
		if (!cr_obj_dump(ctx, CR_IMG_FILE, item.file))
			return ctx->err;
		nr++;
	}
	return ret ?: nr;
}

static int epoll_dump_items(struct cr_ctx *ctx, struct file *file, u32 id, int nr)
{
	struct eventpoll_item item = {};
	int ret;

	while ((ret = eventpoll_next_item(file, &item)) > 0) {
		struct cr_img_epoll_item img = {
			.fd		= item.fd,
			.file_id	= cr_obj_id(ctx, CR_IMG_FILE, item.file),
			.events		= (__force u32)item.event.events,
			.flags		= item.ready ? CR_IMG_EPOLL_READY : 0,
			.data		= item.event.data,
		};

		if (!img.file_id || nr-- == 0)
			break;
		ret = cr_rec_add(ctx, CR_IMG_EPOLL_ITEM, id, &img, sizeof(img));
		if (ret)
			return ret;
	}
	if (ret || nr)
		return cr_fail(ctx, -EBUSY, "%s: epoll is in use outside the tree",
			       cr_where(ctx));
	return 0;
}

int cr_epoll_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct file *file = obj;
	struct cr_img_file_epoll img = {};
	int nr;

	if (eventpoll_has_params(file))
		return cr_fail(ctx, -EOPNOTSUPP, "%s: epoll with busy polling: not supported",
			       cr_where(ctx));
	if (ctx->epoll_depth == EPOLL_DEPTH_MAX)
		return cr_fail(ctx, -EOPNOTSUPP, "%s: epoll nested too deep", cr_where(ctx));

	ctx->epoll_depth++;
	nr = epoll_dump_refs(ctx, file);
	ctx->epoll_depth--;
	if (nr == -EAGAIN)
		return cr_fail(ctx, -EBUSY, "%s: epoll is in use outside the tree",
			       cr_where(ctx));
	if (nr < 0)
		return nr;

	img.nr_items = nr;
	return cr_file_head_add(ctx, file, id, CR_IMG_FILE_EPOLL) ?:
	       cr_rec_add(ctx, CR_IMG_FILE_EPOLL, id, &img, sizeof(img)) ?:
	       epoll_dump_items(ctx, file, id, nr);
}

/* ---- restart ---- */

int cr_epoll_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_epoll *img = rec->data;
	const struct cr_rec *part;
	u32 nr = 0;

	if (!cr_file_head(ctx, rec))
		return -EINVAL;
	cr_for_each_part(ctx, part, rec) {
		if (part->type != CR_IMG_EPOLL_ITEM)
			return cr_fail(ctx, -EINVAL, "epoll with a strange part");
		nr++;
	}
	if (nr != img->nr_items)
		return cr_fail(ctx, -EINVAL, "epoll with %u entries instead of %u", nr,
			       img->nr_items);
	if (img->reserved)
		return cr_fail(ctx, -EINVAL, "epoll: reserved field is not zero");
	return 0;
}

int cr_epoll_item_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_epoll_item *img = rec->data;
	const struct cr_rec *head = cr_obj_head(ctx, rec->id, CR_IMG_FILE);
	const struct cr_img_file *file = head ? head->data : NULL;

	if (!file || file->kind != CR_IMG_FILE_EPOLL)
		return cr_fail(ctx, -EINVAL, "epoll entry without an epoll");
	if (img->fd > INT_MAX || img->flags & ~CR_IMG_EPOLL_READY)
		return cr_fail(ctx, -EINVAL, "epoll entry for fd %u: bad number or flags",
			       img->fd);
	return cr_check_ref(ctx, rec, img->file_id, CR_IMG_FILE, false);
}

int cr_epoll_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cred *old;
	struct file *file;

	/* its entries are charged to the user that the process will be */
	old = override_creds(t->cred);
	file = eventpoll_file_create(0);
	revert_creds(old);
	if (IS_ERR(file))
		return cr_fail(ctx, PTR_ERR(file), "epoll cannot be made (error %ld)",
			       -PTR_ERR(file));
	cr_obj_set(ctx, rec->id, file);
	return 0;
}

/*
 * Files whose state is brought back exactly, so that an edge that was seen does
 * not have to be reported again. For any other kind one event too many is what
 * a program must expect, one too few is what it cannot survive.
 */
static bool is_exact(struct cr_ctx *ctx, u32 file_id)
{
	const struct cr_rec *head = cr_obj_head(ctx, file_id, CR_IMG_FILE);
	const struct cr_img_file *img = head->data;

	return img->kind == CR_IMG_FILE_PIPE || img->kind == CR_IMG_FILE_EVENTFD;
}

static int epoll_add(struct cr_ctx *ctx, struct cr_task *t, struct file *epoll, int epfd,
		     const struct cr_img_epoll_item *img)
{
	struct file *file = fget(img->fd);
	struct eventpoll_item item = {
		.file	= file,
		.fd	= img->fd,
		.ready	= true,
		.event	= {
			.events	= (__force __poll_t)img->events,
			.data	= img->data,
		},
	};
	struct epoll_event event = item.event;
	int ret = 0;

	/* not in this process; cr_epoll_check_done() sees if in none */
	if (!file || file != cr_obj_peek(ctx, img->file_id))
		goto out;

	if ((img->events & (__force u32)EPOLLET) && is_exact(ctx, img->file_id))
		item.ready = img->flags & CR_IMG_EPOLL_READY;
	ret = do_epoll_ctl(epfd, EPOLL_CTL_ADD, img->fd, &event, false);
	if (!ret)
		ret = eventpoll_set_item(epoll, &item);
	else if (ret == -EEXIST)
		ret = 0;	/* another process was first */
	if (ret)
		cr_fail(ctx, ret, "pid %d: epoll: fd %u cannot be added (error %d)",
			cr_pid(t), img->fd, -ret);
out:
	if (file)
		fput(file);
	return ret;
}

/* iterate_fd() stops at what is not 0, and 0 is a descriptor */
static int match_file(const void *wanted, struct file *file, unsigned int fd)
{
	return file == wanted ? fd + 1 : 0;
}

int cr_epoll_late(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	struct file *epoll = cr_obj_peek(ctx, rec->id);
	const struct cr_rec *part;
	int epfd, ret;

	if (!epoll)
		return 0;
	epfd = iterate_fd(current->files, 0, match_file, epoll) - 1;
	if (epfd < 0)
		return 0;
	cr_for_each_part(ctx, part, rec) {
		ret = epoll_add(ctx, t, epoll, epfd, part->data);
		if (ret)
			return ret;
	}
	return 0;
}

int cr_epoll_check_done(struct cr_ctx *ctx)
{
	u32 i;

	for (i = 0; i < ctx->nr_late; i++) {
		const struct cr_rec *rec = &ctx->recs[ctx->late[i]];
		const struct cr_img_file_epoll *img = rec->data;
		struct eventpoll_item item = {};
		struct file *file;
		u32 nr = 0;

		if (rec->type != CR_IMG_FILE_EPOLL)
			continue;
		file = cr_obj_peek(ctx, rec->id);
		if (!file)
			continue;
		while (eventpoll_next_item(file, &item) > 0)
			nr++;
		if (nr != img->nr_items)
			return cr_fail(ctx, -EINVAL,
				       "epoll: %u of %u entries are not open anywhere",
				       img->nr_items - nr, img->nr_items);
	}
	return 0;
}

/* ---- epoll_wait(2) that was interrupted ---- */

bool cr_epoll_wait_dump(struct cr_ctx *ctx, const struct restart_block *block,
			struct cr_img_restart_block *img)
{
	if (block->fn != do_epoll_restart)
		return false;
	img->kind = CR_IMG_RESTART_EPOLL;
	img->uaddr = (unsigned long)block->epoll.events;
	img->val = block->epoll.maxevents;
	img->epfd = block->epoll.epfd;
	if (block->epoll.expires != KTIME_MAX) {
		img->has_timeout = 1;
		img->remaining_ns = block->epoll.expires - ctx->monotonic_ns;
	}
	if (block->epoll.has_sigmask) {
		img->has_sigmask = 1;
		img->sigmask = block->epoll.sigmask;
	}
	return true;
}

int cr_epoll_wait_check(struct cr_ctx *ctx, const struct cr_img_restart_block *img)
{
	if (img->clockid || img->flags || img->bitset || img->epfd < 0 ||
	    img->val > INT_MAX || img->has_timeout > 1 || img->has_sigmask > 1 ||
	    (!img->has_timeout && img->remaining_ns) ||
	    (!img->has_sigmask && img->sigmask))
		return cr_fail(ctx, -EINVAL, "bad epoll_wait() to go on with");
	return 0;
}

void cr_epoll_wait_restore(const struct cr_img_restart_block *img)
{
	struct restart_block *block = &current->restart_block;
	s64 remaining = max(img->remaining_ns, 0LL);

	block->epoll.events = (void __user *)img->uaddr;
	block->epoll.maxevents = img->val;
	block->epoll.epfd = img->epfd;
	block->epoll.expires = img->has_timeout ?
			       ktime_add_safe(ktime_get(), remaining) : KTIME_MAX;
	block->epoll.has_sigmask = img->has_sigmask;
	block->epoll.sigmask = img->sigmask;
	set_restart_fn(block, do_epoll_restart);
}
