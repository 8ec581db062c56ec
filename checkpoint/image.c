// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: building records, and writing the image.
 *
 * Records are built in the hbuf while the tree is frozen. Checksums are added
 * when the image is written, after the thaw.
 */
#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/dcache.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/utsname.h>
#include <linux/uuid.h>

#include "internal.h"

/* The format: a change of any of these sizes is a new revision. */
static_assert(sizeof(struct cr_img_header) == 112);
static_assert(sizeof(struct cr_img_rec) == 16);
static_assert(sizeof(struct cr_img_process) == 56);
static_assert(sizeof(struct cr_img_thread) == 88);
static_assert(sizeof(struct cr_img_cred) == 80);
static_assert(sizeof(struct cr_img_sched) == 32);
static_assert(sizeof(struct cr_img_sigaction) == 64 * 32);
static_assert(sizeof(struct cr_img_sigstate) == 40);
static_assert(sizeof(struct cr_img_siginfo) == 56);
static_assert(sizeof(struct cr_img_rlimit) == 16 * 16);
static_assert(sizeof(struct cr_img_itimer) == 3 * 16);
static_assert(sizeof(struct cr_img_restart_block) == 56);
static_assert(sizeof(struct cr_img_x86_regs) == 30 * 8);
static_assert(sizeof(struct cr_img_mm) == 128 + 8 * CR_IMG_AUXV_WORDS);
static_assert(sizeof(struct cr_img_vma) == 48);
static_assert(sizeof(struct cr_img_shmem) == 16);
static_assert(sizeof(struct cr_img_fs) == 16);
static_assert(sizeof(struct cr_img_files) == 8);
static_assert(sizeof(struct cr_img_fd) == 16);
static_assert(sizeof(struct cr_img_file) == 16);
static_assert(sizeof(struct cr_img_file_path) == 56);
static_assert(sizeof(struct cr_img_file_pipe) == 8);
static_assert(sizeof(struct cr_img_pipe) == 144);
static_assert(sizeof(struct cr_img_file_eventfd) == 16);
static_assert(sizeof(struct cr_img_file_epoll) == 8);
static_assert(sizeof(struct cr_img_epoll_item) == 24);
static_assert(sizeof(struct cr_img_file_socket) == 176);
static_assert(sizeof(struct cr_img_pages) == 24);
static_assert(sizeof(struct cr_img_pages_ref) == 16);
static_assert(sizeof(struct cr_img_end) == 32);

/**
 * cr_crc() - the checksum of the format
 * @seed: ~0U, or the checksum of what stands before
 * @p: bytes
 * @n: how many
 *
 * Return: CRC32C (Castagnoli), not inverted at the end.
 */
u32 cr_crc(u32 seed, const void *p, size_t n)
{
	return crc32c(seed, p, n);
}

/**
 * cr_rec_crc() - checksum of a record
 * @rec: its head; the checksum in it is taken as zero
 * @payload: @rec->len bytes
 *
 * Return: what belongs into @rec->crc.
 */
u32 cr_rec_crc(const struct cr_img_rec *rec, const void *payload)
{
	struct cr_img_rec head = *rec;

	head.crc = 0;
	return cr_crc(cr_crc(~0U, &head, sizeof(head)), payload, rec->len);
}

static int hbuf_failed(struct cr_ctx *ctx)
{
	int err = ctx->hb.err;

	if (err == -E2BIG)
		return cr_fail(ctx, err, "metadata of the image exceeds %zu MiB",
			       ctx->hb.cap >> 20);
	return cr_fail(ctx, err, "no memory for the metadata of the image");
}

/**
 * cr_rec_get() - room for one record
 * @ctx: the checkpoint
 * @type: CR_IMG_*, with a row in the table
 * @id: object it belongs to
 * @len: bytes of payload, at most the max_len of the row
 *
 * Context: While the tree is frozen. May sleep when the buffer grows; call
 * cr_hbuf_reserve() before if it must not.
 * Return: The zeroed payload; NULL with the error in ctx->err and told.
 */
void *cr_rec_get(struct cr_ctx *ctx, u32 type, u32 id, size_t len)
{
	const struct cr_obj_ops *ops = cr_obj_ops(type);
	struct cr_img_rec *rec;

	if (ctx->err)
		return NULL;
	if (WARN_ON_ONCE(!ops || !id)) {
		cr_fail(ctx, -EINVAL, "record of unknown type %u", type);
		return NULL;
	}
	if (len < ops->min_len || len > ops->max_len) {
		cr_fail(ctx, -E2BIG, "%s: %s of %zu bytes does not fit into a record",
			cr_where(ctx), ops->name, len);
		return NULL;
	}
	rec = cr_hbuf_get(&ctx->hb, sizeof(*rec) + len);
	if (!rec) {
		hbuf_failed(ctx);
		return NULL;
	}
	rec->type = type;
	rec->id = id;
	rec->len = len;
	return rec + 1;
}

/**
 * cr_rec_put() - commit a record
 * @ctx: the checkpoint
 * @payload: what cr_rec_get() returned
 * @len: bytes of it to keep, at least the min_len of the row
 */
void cr_rec_put(struct cr_ctx *ctx, void *payload, size_t len)
{
	struct cr_img_rec *rec = (struct cr_img_rec *)payload - 1;

	rec->len = len;
	memset(payload + len, 0, ALIGN(len, 8) - len);
	cr_hbuf_put(&ctx->hb, rec, sizeof(*rec) + len);
}

/**
 * cr_rec_drop() - give a record back, with all that was nested in it
 * @ctx: the checkpoint
 * @payload: what cr_rec_get() returned
 */
void cr_rec_drop(struct cr_ctx *ctx, void *payload)
{
	cr_hbuf_put(&ctx->hb, (struct cr_img_rec *)payload - 1, 0);
}

/**
 * cr_rec_add() - a record whose payload is ready elsewhere
 * @ctx: the checkpoint
 * @type: CR_IMG_*
 * @id: object it belongs to
 * @data: payload
 * @len: bytes of it
 *
 * Return: 0, or -errno as told.
 */
int cr_rec_add(struct cr_ctx *ctx, u32 type, u32 id, const void *data, size_t len)
{
	void *payload = cr_rec_get(ctx, type, id, len);

	if (!payload)
		return ctx->err;
	memcpy(payload, data, len);
	cr_rec_put(ctx, payload, len);
	return 0;
}

/**
 * cr_string_add() - a string object
 * @ctx: the checkpoint
 * @s: bytes, no NUL inside
 * @len: how many, at least 1
 *
 * Return: its object id; 0 with the error in ctx->err.
 */
u32 cr_string_add(struct cr_ctx *ctx, const char *s, size_t len)
{
	u32 id = cr_obj_new_id(ctx);

	if (cr_rec_add(ctx, CR_IMG_STRING, id, s, len))
		return 0;
	return id;
}

/**
 * cr_path_add() - a path as the container sees it, as a string object
 * @ctx: the checkpoint
 * @path: must be reachable from the container's root and not deleted
 *
 * The name is made in the room of its own record; no buffer is needed.
 *
 * Return: its object id; 0 with the error in ctx->err.
 */
u32 cr_path_add(struct cr_ctx *ctx, const struct path *path)
{
	char *room, *name;
	size_t len;
	u32 id;

	if (d_unlinked(path->dentry)) {
		cr_fail(ctx, -EOPNOTSUPP, "%s: %pd: deleted: not supported",
			cr_where(ctx), path->dentry);
		return 0;
	}
	id = cr_obj_new_id(ctx);
	room = cr_rec_get(ctx, CR_IMG_STRING, id, CR_STRING_MAX);
	if (!room)
		return 0;
	name = __d_path(path, &ctx->root_path, room, CR_STRING_MAX);
	if (IS_ERR_OR_NULL(name)) {
		cr_rec_drop(ctx, room);
		cr_fail(ctx, name ? PTR_ERR(name) : -EOPNOTSUPP,
			"%s: %pd: not reachable from the root directory of the container",
			cr_where(ctx), path->dentry);
		return 0;
	}
	len = strlen(name);
	memmove(room, name, len);
	cr_rec_put(ctx, room, len);
	return id;
}

/**
 * cr_rec_next() - walk the records of a checkpoint in memory
 * @hb: the buffer
 * @pos: where to go on; zeroed to begin
 *
 * Return: The next record, its payload behind it; NULL after the last.
 */
struct cr_img_rec *cr_rec_next(struct cr_hbuf *hb, struct cr_hbuf_pos *pos)
{
	struct cr_img_rec *rec;

	if (!hb->cur)
		return NULL;
	if (!pos->chunk)
		pos->chunk = list_first_entry(&hb->chunks, struct cr_hbuf_chunk, list);
	while (pos->offset == cr_hbuf_chunk_used(hb, pos->chunk)) {
		if (pos->chunk == hb->cur)
			return NULL;
		pos->chunk = list_next_entry(pos->chunk, list);
		pos->offset = 0;
	}
	rec = (struct cr_img_rec *)(pos->chunk->data + pos->offset);
	pos->offset += sizeof(*rec) + ALIGN(rec->len, 8);
	return rec;
}

/**
 * cr_image_seal() - finish the header when everything is dumped
 * @ctx: the checkpoint; no record may be added any more
 *
 * Context: While frozen or later; short.
 * Return: 0, or -errno as told.
 */
int cr_image_seal(struct cr_ctx *ctx)
{
	struct cr_img_header *hdr = &ctx->hdr;
	const char *release = init_utsname()->release;

	hdr->release_id = cr_string_add(ctx, release, strlen(release));
	if (!hdr->release_id)
		return ctx->err;
	hdr->magic = CR_IMG_MAGIC;
	hdr->revision = CR_IMG_REVISION;
	hdr->arch = CR_IMG_ARCH_X86_64;
	hdr->page_size = PAGE_SIZE;
	hdr->nr_objects = ctx->nr_objects;
	hdr->time_ns = ctx->time_ns;
	hdr->monotonic_ns = ctx->monotonic_ns;
	hdr->meta_bytes = cr_hbuf_used(&ctx->hb);
	generate_random_uuid(hdr->uuid);
	return 0;
}

static void add_checksums(struct cr_ctx *ctx)
{
	struct cr_img_header *hdr = &ctx->hdr;
	struct cr_hbuf_pos pos = {};
	struct cr_img_rec *rec;

	hdr->nr_records = 0;
	while ((rec = cr_rec_next(&ctx->hb, &pos))) {
		rec->crc = cr_rec_crc(rec, rec + 1);
		hdr->nr_records++;
	}
	hdr->crc = 0;
	hdr->crc = cr_crc(~0U, hdr, sizeof(*hdr));
}

static int write_meta(struct cr_ctx *ctx, struct cr_out *out)
{
	struct cr_hbuf_chunk *chunk;
	int err;

	list_for_each_entry(chunk, &ctx->hb.chunks, list) {
		err = cr_out_bytes(out, chunk->data, cr_hbuf_chunk_used(&ctx->hb, chunk));
		if (err || chunk == ctx->hb.cur)
			return err;
	}
	return 0;
}

static int write_end(struct cr_ctx *ctx, struct cr_out *out)
{
	struct {
		struct cr_img_rec rec;
		struct cr_img_end end;
	} e = {
		.rec.type = CR_IMG_END,
		.rec.len = sizeof(e.end),
		.end.nr_pages = out->pages,
		.end.total_bytes = out->bytes + sizeof(e),
	};

	memcpy(e.end.uuid, ctx->hdr.uuid, sizeof(e.end.uuid));
	e.rec.crc = cr_rec_crc(&e.rec, &e.end);
	return cr_out_bytes(out, &e, sizeof(e));
}

/**
 * cr_image_expected() - how large an image will be
 * @ctx: the sealed checkpoint
 *
 * Pages that are all zero are not written, and the heads of records are not
 * counted, so this is an estimate until the image has been written once.
 *
 * Return: bytes.
 */
u64 cr_image_expected(struct cr_ctx *ctx)
{
	return ctx->report.expected_bytes ?:
	       sizeof(ctx->hdr) + cr_hbuf_used(&ctx->hb) + cr_snaps_pages(ctx) * PAGE_SIZE +
	       sizeof(struct cr_img_rec) + sizeof(struct cr_img_end);
}

/**
 * cr_image_write() - write a checkpoint to its descriptor
 * @ctx: the sealed checkpoint
 * @out: where to; no more than the bytes of the image are written, in order
 *
 * Context: Process context, after the thaw; sleeps as long as the reader wants.
 * Return: 0; -EINTR after a fatal signal; or what the file returned.
 */
int cr_image_write(struct cr_ctx *ctx, struct cr_out *out)
{
	int err;

	add_checksums(ctx);
	ctx->report.records = ctx->hdr.nr_records;
	err = cr_out_bytes(out, &ctx->hdr, sizeof(ctx->hdr));
	if (!err)
		err = write_meta(ctx, out);
	if (!err)
		err = cr_flush_pages(ctx, out);
	if (!err)
		err = write_end(ctx, out);
	ctx->report.bytes = out->bytes;
	if (!err) {
		ctx->report.pages = out->pages;
		ctx->report.expected_bytes = out->bytes;
	}
	return err;
}

#include "tests/image-kunit.h"
