// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: pipes.
 *
 * Saved: the size of the ring, what is in it, buffer by buffer, and which of
 * the buffers are packets. Each end is an open file that refers to the pipe.
 *
 * Refused: pipes with an end outside the tree, notification pipes, buffers that
 * are larger than a page or still being read from disk (splice(2)), packets
 * after the first 1024 buffers. Named pipes have no row in the table.
 *
 * Locks: pipe->mutex while looking at the ring, by trylock: nobody in the tree
 * holds it. Restoring: restore_lock, and pipe->mutex inside.
 */
#include <linux/bitmap.h>
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pipe_fs_i.h>
#include <linux/slab.h>

#include "objects.h"

#define PACKET_BITS	(16 * 64)

/**
 * struct cr_pipe - a pipe that is being restored
 * @path: to open more files of it
 * @end: read and write end, until the file is restored that it is for
 */
struct cr_pipe {
	struct path path;
	struct file *end[2];
};

bool cr_pipe_end_match(struct file *file)
{
	return file_inode(file)->i_sb->s_magic == PIPEFS_MAGIC &&
	       get_pipe_info(file, false);
}

int cr_pipe_end_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct file *file = obj;
	struct pipe_inode_info *pipe = get_pipe_info(file, true);
	struct cr_img_file_pipe img = {};

	if (!pipe)
		return cr_fail(ctx, -EOPNOTSUPP, "%s: notification pipe: not supported",
			       cr_where(ctx));
	img.pipe_id = cr_obj_dump(ctx, CR_IMG_PIPE, pipe);
	if (!img.pipe_id)
		return ctx->err;

	return cr_file_head_add(ctx, file, id, CR_IMG_FILE_PIPE) ?:
	       cr_rec_add(ctx, CR_IMG_FILE_PIPE, id, &img, sizeof(img));
}

/* Counts the buffers with something in them and tells which are packets. */
static int pipe_dump_head(struct cr_ctx *ctx, struct pipe_inode_info *pipe,
			  struct cr_img_pipe *img)
{
	unsigned int i;

	img->nr_slots = pipe->ring_size;
	img->readers = pipe->readers;
	img->writers = pipe->writers;
	if (img->nr_slots > CR_PIPE_SLOTS_MAX)
		return cr_fail(ctx, -EOPNOTSUPP, "%s: pipe of %u pages: not supported",
			       cr_where(ctx), img->nr_slots);

	for (i = pipe->tail; i != pipe->head; i++) {
		const struct pipe_buffer *buf = pipe_buf(pipe, i);

		if (!buf->len)
			continue;
		if (buf->len > CR_PIPE_BUF_MAX)
			return cr_fail(ctx, -EOPNOTSUPP,
				       "%s: pipe with a buffer of %u bytes: not supported",
				       cr_where(ctx), buf->len);
		if (buf->ops->confirm && !PageUptodate(buf->page))
			return cr_fail(ctx, -EBUSY, "%s: pipe is waiting for a disk",
				       cr_where(ctx));
		if (buf->flags & PIPE_BUF_FLAG_PACKET) {
			if (img->nr_bufs >= PACKET_BITS)
				return cr_fail(ctx, -EOPNOTSUPP,
					       "%s: pipe with over %u packets: not supported",
					       cr_where(ctx), PACKET_BITS);
			img->packets[img->nr_bufs / 64] |= 1ULL << (img->nr_bufs % 64);
		}
		img->nr_bufs++;
	}
	return 0;
}

/* A buffer may begin in the middle of a page and, if compound, end in the next. */
static void pipe_copy_buf(u8 *to, const struct pipe_buffer *buf)
{
	struct page *page = buf->page + (buf->offset >> PAGE_SHIFT);
	size_t offset = offset_in_page(buf->offset);
	size_t len = min_t(size_t, buf->len, PAGE_SIZE - offset);

	memcpy_from_page(to, page, offset, len);
	if (len < buf->len)
		memcpy_from_page(to + len, page + 1, 0, buf->len - len);
}

static int pipe_dump_bufs(struct cr_ctx *ctx, struct pipe_inode_info *pipe, u32 id)
{
	unsigned int i;

	for (i = pipe->tail; i != pipe->head; i++) {
		const struct pipe_buffer *buf = pipe_buf(pipe, i);
		u8 *room;

		if (!buf->len)
			continue;
		room = cr_rec_get(ctx, CR_IMG_PIPE_DATA, id, buf->len);
		if (!room)
			return ctx->err;
		pipe_copy_buf(room, buf);
		cr_rec_put(ctx, room, buf->len);
	}
	return 0;
}

int cr_pipe_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct pipe_inode_info *pipe = obj;
	struct cr_img_pipe img = {};
	int ret;

	if (!mutex_trylock(&pipe->mutex))
		return cr_fail(ctx, -EBUSY, "%s: pipe is in use outside the tree",
			       cr_where(ctx));
	ret = pipe_dump_head(ctx, pipe, &img);
	if (!ret)
		ret = cr_rec_add(ctx, CR_IMG_PIPE, id, &img, sizeof(img));
	if (!ret)
		ret = pipe_dump_bufs(ctx, pipe, id);
	mutex_unlock(&pipe->mutex);
	return ret;
}

static u32 pipe_ends(const struct file *file)
{
	return !!(file->f_mode & FMODE_READ) + !!(file->f_mode & FMODE_WRITE);
}

/* Tells of the first descriptor that is an end of @pipe. */
static int pipe_refuse(struct cr_ctx *ctx, const struct pipe_inode_info *pipe)
{
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		unsigned int fd, max = 0;

		if (t->files)
			max = rcu_dereference_raw(t->files->fdt)->max_fds;
		for (fd = 0; fd < max; fd++) {
			struct file *file = files_lookup_fd_raw(t->files, fd);

			if (file && cr_pipe_end_match(file) &&
			    file->private_data == pipe)
				return cr_fail(ctx, -EOPNOTSUPP,
					       "pid %d fd %u: pipe: other end is outside the tree",
					       cr_pid(t), fd);
		}
	}
	return cr_fail(ctx, -EOPNOTSUPP, "pipe: other end is outside the tree");
}

/* A pipe of which not all ends were dumped: tell of it, or that there is none. */
static int pipes_refuse(struct cr_ctx *ctx)
{
	const struct cr_objref *ref = &ctx->objref;
	const struct pipe_inode_info *missing = NULL;
	u32 *ends, i;

	/* by object id */
	ends = kvcalloc(ctx->nr_objects + 1, sizeof(*ends), GFP_KERNEL_ACCOUNT);
	if (!ends)
		return cr_fail(ctx, -ENOMEM, "no memory to look for the other end of a pipe");
	for (i = 0; i < ref->nr_slots; i++) {
		const struct file *file = ref->slots[i].obj;

		if (ref->slots[i].type == CR_IMG_FILE &&
		    cr_pipe_end_match((struct file *)file))
			ends[cr_obj_id(ctx, CR_IMG_PIPE, file->private_data)] += pipe_ends(file);
	}
	for (i = 0; i < ref->nr_slots && !missing; i++) {
		const struct pipe_inode_info *pipe = ref->slots[i].obj;

		if (ref->slots[i].type == CR_IMG_PIPE &&
		    pipe->readers + pipe->writers != ends[ref->slots[i].id])
			missing = pipe;
	}
	kvfree(ends);
	if (missing)
		return pipe_refuse(ctx, missing);
	return cr_fail(ctx, -EBUSY, "pipe: an end is being closed outside the tree");
}

/*
 * No pipe can have fewer ends than files of it were dumped, so it is enough to
 * compare the sums over all pipes; which pipe it is matters only if they differ.
 */
int cr_pipes_check_peers(struct cr_ctx *ctx)
{
	const struct cr_objref *ref = &ctx->objref;
	u64 have = 0, dumped = 0;
	u32 i;

	for (i = 0; i < ref->nr_slots; i++) {
		if (ref->slots[i].type == CR_IMG_PIPE) {
			const struct pipe_inode_info *pipe = ref->slots[i].obj;

			have += READ_ONCE(pipe->readers) + READ_ONCE(pipe->writers);
		} else if (ref->slots[i].type == CR_IMG_FILE &&
			   cr_pipe_end_match((struct file *)ref->slots[i].obj)) {
			dumped += pipe_ends(ref->slots[i].obj);
		}
	}
	return have == dumped ? 0 : pipes_refuse(ctx);
}

/* ---- restart ---- */

int cr_pipe_end_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_pipe *img = rec->data;
	const struct cr_img_file *head = cr_file_head(ctx, rec);

	if (!head)
		return -EINVAL;
	if ((head->flags & O_ACCMODE) == O_ACCMODE || (head->flags & O_PATH) ||
	    img->reserved)
		return cr_fail(ctx, -EINVAL, "end of a pipe with bad flags %#x or reserved field",
			       head->flags);
	return cr_check_ref(ctx, rec, img->pipe_id, CR_IMG_PIPE, false);
}

int cr_pipe_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_pipe *img = rec->data;
	const struct cr_rec *part;
	u32 i, nr = 0;

	if (img->nr_slots > CR_PIPE_SLOTS_MAX || !is_power_of_2(img->nr_slots) ||
	    img->nr_bufs > img->nr_slots)
		return cr_fail(ctx, -EINVAL, "pipe with %u of %u pages", img->nr_bufs,
			       img->nr_slots);
	for (i = img->nr_bufs; i < PACKET_BITS; i++) {
		if (img->packets[i / 64] & (1ULL << (i % 64)))
			return cr_fail(ctx, -EINVAL, "pipe with a packet too many");
	}
	cr_for_each_part(ctx, part, rec) {
		if (part->type != CR_IMG_PIPE_DATA)
			return cr_fail(ctx, -EINVAL, "pipe with a strange part");
		nr++;
	}
	if (nr != img->nr_bufs)
		return cr_fail(ctx, -EINVAL, "pipe with %u buffers instead of %u", nr,
			       img->nr_bufs);
	return 0;
}

int cr_pipe_data_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	if (!cr_obj_head(ctx, rec->id, CR_IMG_PIPE))
		return cr_fail(ctx, -EINVAL, "pipe buffer without a pipe");
	return 0;
}

/*
 * The ring is filled directly: write() would merge buffers that were not
 * merged, and needs a reader.
 */
static int pipe_fill(struct cr_ctx *ctx, struct pipe_inode_info *pipe,
		     const struct cr_rec *rec)
{
	const struct cr_img_pipe *img = rec->data;
	const struct cr_rec *part;
	int ret = 0;
	u32 i = 0;

	pipe_lock(pipe);
	cr_for_each_part(ctx, part, rec) {
		struct page *page = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);
		bool packet = i < PACKET_BITS &&
			      (img->packets[i / 64] & (1ULL << (i % 64)));

		if (!page) {
			ret = cr_fail(ctx, -ENOMEM, "no memory for what is in a pipe");
			break;
		}
		memcpy_to_page(page, 0, part->data, part->len);
		*pipe_head_buf(pipe) = (struct pipe_buffer) {
			.page	= page,
			.len	= part->len,
			.ops	= &nosteal_pipe_buf_ops,
			.flags	= packet ? PIPE_BUF_FLAG_PACKET : PIPE_BUF_FLAG_CAN_MERGE,
		};
		pipe->head++;
		i++;
	}
	pipe_unlock(pipe);
	return ret;
}

static int pipe_make(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec,
		     struct cr_pipe *p)
{
	const struct cr_img_pipe *img = rec->data;
	struct pipe_inode_info *pipe;
	const struct cred *old;
	long size;
	int ret;

	/* it belongs to, and is charged to, the user that the process will be */
	old = override_creds(t->cred);
	ret = create_pipe_files(p->end, 0);
	revert_creds(old);
	if (ret) {
		p->end[0] = NULL;
		p->end[1] = NULL;
		return cr_fail(ctx, ret, "pipe cannot be made (error %d)", -ret);
	}
	p->end[0]->f_mode |= FMODE_NOWAIT;
	p->end[1]->f_mode |= FMODE_NOWAIT;
	p->path = p->end[0]->f_path;
	path_get(&p->path);

	pipe = get_pipe_info(p->end[0], false);
	if (img->nr_slots != pipe->ring_size) {
		size = pipe_fcntl(p->end[0], F_SETPIPE_SZ, img->nr_slots * PAGE_SIZE);
		if (size < 0)
			return cr_fail(ctx, size, "pipe of %lu bytes: not permitted",
				       img->nr_slots * PAGE_SIZE);
	}
	return pipe_fill(ctx, pipe, rec);
}

static void pipe_drop_end(struct cr_pipe *p, int end)
{
	/* at once, see cr_file_free() */
	if (p->end[end])
		__fput_sync(p->end[end]);
	p->end[end] = NULL;
}

void cr_pipe_free(void *obj)
{
	struct cr_pipe *p = obj;

	pipe_drop_end(p, 0);
	pipe_drop_end(p, 1);
	path_put(&p->path);
	kfree(p);
}

int cr_pipe_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_pipe *img = rec->data;
	struct cr_pipe *p;
	int ret;

	p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (!p)
		return cr_fail(ctx, -ENOMEM, "no memory for a pipe");
	ret = pipe_make(ctx, t, rec, p);
	if (ret) {
		cr_pipe_free(p);
		return ret;
	}

	/* nobody must wait for an end that was closed */
	if (!img->readers)
		pipe_drop_end(p, 0);
	if (!img->writers)
		pipe_drop_end(p, 1);
	cr_obj_set(ctx, rec->id, p);
	return 0;
}

int cr_pipe_end_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_file_pipe *img = rec->data;
	const struct cr_img_file *head = cr_file_head(ctx, rec);
	int mode = head->flags & O_ACCMODE;
	struct file *file = NULL;
	struct cr_pipe *p;

	p = cr_obj_get_locked(ctx, t, img->pipe_id, CR_IMG_PIPE);
	if (IS_ERR(p))
		return PTR_ERR(p);

	/* the first file is the one that pipe(2) makes, any other is opened */
	if (mode == O_RDONLY)
		swap(file, p->end[0]);
	else if (mode == O_WRONLY)
		swap(file, p->end[1]);
	if (!file)
		file = dentry_open(&p->path, mode, t->cred);
	if (IS_ERR(file))
		return cr_fail(ctx, PTR_ERR(file), "end of a pipe cannot be opened (error %ld)",
			       -PTR_ERR(file));
	cr_obj_set(ctx, rec->id, file);
	return 0;
}
