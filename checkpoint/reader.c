// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: reading an image and checking all of its metadata.
 *
 * The image is hostile. Nothing is created before everything here has passed,
 * and nothing here allocates more than a small multiple of what was read.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/utsname.h>
#include <linux/xarray.h>

#include "objects.h"

/* Metadata is read in blocks of this size. */
#define CR_READ_BLOCK	SZ_64K

/**
 * struct cr_meta - the metadata part of an image while it is read
 * @ctx: the restart
 * @in: where from
 * @left: bytes of metadata that were not read yet
 * @buf: block of CR_READ_BLOCK bytes
 * @pos: next byte in @buf
 * @end: end of what is in @buf
 * @nr_alloc: entries that ctx->recs has room for
 */
struct cr_meta {
	struct cr_ctx *ctx;
	struct cr_in *in;
	u64 left;
	u8 *buf;
	u32 pos;
	u32 end;
	u32 nr_alloc;
};

static int check_header(struct cr_ctx *ctx)
{
	struct cr_img_header hdr = ctx->hdr;
	u32 crc = hdr.crc;

	if (hdr.magic != CR_IMG_MAGIC)
		return cr_fail(ctx, -EINVAL, "not a checkpoint image");
	hdr.crc = 0;
	if (cr_crc(~0U, &hdr, sizeof(hdr)) != crc)
		return cr_fail(ctx, -EBADMSG, "image header: bad checksum");
	if (hdr.revision != CR_IMG_REVISION)
		return cr_fail(ctx, -EINVAL, "image has revision %u, this kernel reads %u",
			       hdr.revision, CR_IMG_REVISION);
	if (hdr.incompat)
		return cr_fail(ctx, -EOPNOTSUPP, "image needs unknown features 0x%llx",
			       hdr.incompat);
	if (hdr.arch != CR_IMG_ARCH_X86_64)
		return cr_fail(ctx, -EINVAL, "image is of another architecture (ELF machine %u)",
			       hdr.arch);
	if (hdr.page_size != PAGE_SIZE)
		return cr_fail(ctx, -EINVAL, "image has pages of %u bytes", hdr.page_size);
	if (hdr.reserved || memchr_inv(hdr.parent_uuid, 0, sizeof(hdr.parent_uuid)))
		return cr_fail(ctx, -EINVAL, "image header: reserved field in use");
	if (hdr.meta_bytes > CR_HBUF_CAP || hdr.nr_records > CR_RECS_MAX ||
	    hdr.nr_records > hdr.meta_bytes / sizeof(struct cr_img_rec))
		return cr_fail(ctx, -E2BIG, "image claims %u records in %llu bytes",
			       hdr.nr_records, hdr.meta_bytes);
	if (!hdr.nr_objects || hdr.nr_objects > hdr.nr_records)
		return cr_fail(ctx, -EINVAL, "image claims %u objects in %u records",
			       hdr.nr_objects, hdr.nr_records);
	return 0;
}

static int meta_read(struct cr_meta *m, void *to, size_t len)
{
	while (len) {
		size_t n;

		if (m->pos == m->end) {
			n = min_t(u64, m->left, CR_READ_BLOCK);
			if (!n)
				return cr_fail(m->ctx, -EINVAL,
					       "image: a record goes beyond the metadata");
			if (cr_in_bytes(m->ctx, m->in, m->buf, n))
				return m->ctx->err;
			m->left -= n;
			m->pos = 0;
			m->end = n;
		}
		n = min_t(size_t, len, m->end - m->pos);
		memcpy(to, m->buf + m->pos, n);
		m->pos += n;
		to += n;
		len -= n;
	}
	return 0;
}

static int add_rec(struct cr_ctx *ctx, u32 *nr_alloc, const struct cr_img_rec *rec,
		   const void *data)
{
	struct cr_rec *r;

	if (ctx->nr_records == *nr_alloc) {
		u32 n = max(256U, *nr_alloc * 2);

		r = kvrealloc(ctx->recs, array_size(n, sizeof(*r)), GFP_KERNEL_ACCOUNT);
		if (!r)
			return cr_fail(ctx, -ENOMEM, "no memory for %u records", n);
		ctx->recs = r;
		*nr_alloc = n;
	}
	r = &ctx->recs[ctx->nr_records];
	r->type = rec->type;
	r->id = rec->id;
	r->len = rec->len;
	r->index = ctx->nr_records++;
	r->data = data;
	return 0;
}

static int read_rec(struct cr_meta *m)
{
	struct cr_ctx *ctx = m->ctx;
	const struct cr_obj_ops *ops;
	struct cr_img_rec rec;
	void *data;
	size_t room;

	if (ctx->nr_records == ctx->hdr.nr_records)
		return cr_fail(ctx, -EINVAL, "image has more than the %u records it claims",
			       ctx->nr_records);
	if (meta_read(m, &rec, sizeof(rec)))
		return ctx->err;
	ops = cr_obj_ops(rec.type);
	if (!ops)
		return cr_fail(ctx, -EINVAL, "record %u: unknown type %u",
			       ctx->nr_records, rec.type);
	if (rec.len < ops->min_len || rec.len > ops->max_len)
		return cr_fail(ctx, -EINVAL, "record %u: %s of %u bytes",
			       ctx->nr_records, ops->name, rec.len);
	if (!rec.id || rec.id > ctx->hdr.nr_objects)
		return cr_fail(ctx, -EINVAL, "record %u: %s with object id %u",
			       ctx->nr_records, ops->name, rec.id);

	room = ALIGN(rec.len, 8);
	data = cr_hbuf_get(&ctx->hb, room);
	if (!data)
		return cr_fail(ctx, ctx->hb.err, "no memory for the metadata of the image");
	cr_hbuf_put(&ctx->hb, data, room);
	if (meta_read(m, data, room))
		return ctx->err;
	if (cr_rec_crc(&rec, data) != rec.crc)
		return cr_fail(ctx, -EBADMSG, "record %u: %s: bad checksum",
			       ctx->nr_records, ops->name);
	if (memchr_inv(data + rec.len, 0, room - rec.len))
		return cr_fail(ctx, -EINVAL, "record %u: %s: padding is not zero",
			       ctx->nr_records, ops->name);
	return add_rec(ctx, &m->nr_alloc, &rec, data);
}

static int read_recs(struct cr_ctx *ctx, struct cr_in *in)
{
	struct cr_meta m = { .ctx = ctx, .in = in, .left = ctx->hdr.meta_bytes };
	int err = 0;

	m.buf = kvmalloc(CR_READ_BLOCK, GFP_KERNEL);
	if (!m.buf)
		return cr_fail(ctx, -ENOMEM, "no memory to read the image");
	while (!err && (m.left || m.pos < m.end))
		err = read_rec(&m);
	kvfree(m.buf);
	if (!err && ctx->nr_records != ctx->hdr.nr_records)
		err = cr_fail(ctx, -EINVAL, "image has %u records and claims %u",
			      ctx->nr_records, ctx->hdr.nr_records);
	return err;
}

/**
 * cr_obj_head() - find an object of the image
 * @ctx: the restart
 * @id: any number
 * @type: CR_IMG_* that it must be of
 *
 * Return: its head record; NULL if there is none of this id and type.
 */
const struct cr_rec *cr_obj_head(struct cr_ctx *ctx, u32 id, u32 type)
{
	const struct cr_rec *rec;

	if (!id || id > ctx->hdr.nr_objects || ctx->heads[id] == U32_MAX)
		return NULL;
	rec = &ctx->recs[ctx->heads[id]];
	return rec->type == type ? rec : NULL;
}

/**
 * cr_rec_sibling() - the next record of the same object
 * @ctx: the restart
 * @rec: a record
 *
 * Return: the record after @rec if it belongs to the same object; else NULL.
 */
const struct cr_rec *cr_rec_sibling(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_rec *next = rec + 1;

	if (next == ctx->recs + ctx->nr_records || next->id != rec->id)
		return NULL;
	return next;
}

/**
 * cr_check_ref() - check a reference from one object to another
 * @ctx: the restart
 * @rec: record that refers
 * @id: object id that it refers to
 * @type: CR_IMG_* that it must be of
 * @optional: 0 is no reference and allowed
 *
 * An object may refer only to objects that stand before it. So references have
 * no cycles, and making an object on demand ends.
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_check_ref(struct cr_ctx *ctx, const struct cr_rec *rec, u32 id, u32 type,
		 bool optional)
{
	const struct cr_rec *head;

	if (!id && optional)
		return 0;
	head = cr_obj_head(ctx, id, type);
	if (!head || head->index >= rec->index || head->id == rec->id)
		return cr_fail(ctx, -EINVAL, "record %u: %s refers to object %u, which is no %s",
			       rec->index, cr_obj_ops(rec->type)->name, id,
			       cr_obj_ops(type)->name);
	return 0;
}

/**
 * cr_string_check() - a string must have no NUL inside
 * @ctx: the restart
 * @rec: the record
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_string_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	if (memchr(rec->data, 0, rec->len))
		return cr_fail(ctx, -EINVAL, "record %u: NUL in a string", rec->index);
	return 0;
}

/**
 * cr_string_dup() - copy of a string of the image
 * @ctx: the restart
 * @id: checked object id of a string
 *
 * Return: NUL-terminated copy for kfree(); ERR_PTR(-ENOMEM).
 */
char *cr_string_dup(struct cr_ctx *ctx, u32 id)
{
	const struct cr_rec *rec = cr_obj_head(ctx, id, CR_IMG_STRING);
	char *s;

	if (WARN_ON_ONCE(!rec))
		return ERR_PTR(-EINVAL);
	s = kmemdup_nul(rec->data, rec->len, GFP_KERNEL_ACCOUNT);
	return s ?: ERR_PTR(cr_fail(ctx, -ENOMEM, "no memory for a string"));
}

/* May a record of this row be the first of an object? */
static bool can_head(u32 type, const struct cr_obj_ops *ops)
{
	return ops->level == CR_LVL_SHARED ||
	       type == CR_IMG_PROCESS || type == CR_IMG_THREAD;
}

/* May a record of row @ops follow the head @head in its object? */
static bool can_follow(const struct cr_rec *head, u32 type, const struct cr_obj_ops *ops)
{
	switch (ops->level) {
	case CR_LVL_PROCESS:
		return head->type == CR_IMG_PROCESS && type != CR_IMG_PROCESS;
	case CR_LVL_THREAD:
		return head->type == CR_IMG_THREAD && type != CR_IMG_THREAD;
	case CR_LVL_FILE:
		return head->type == CR_IMG_FILE &&
		       ((const struct cr_img_file *)head->data)->kind == type;
	case CR_LVL_PART:
		return head->type == ops->head;
	default:
		return false;
	}
}

static bool is_zombie(struct cr_ctx *ctx, const struct cr_rec *head)
{
	const struct cr_img_process *p = head->data;

	if (head->type == CR_IMG_THREAD) {
		const struct cr_img_thread *t = head->data;

		head = cr_obj_head(ctx, t->process_id, CR_IMG_PROCESS);
		p = head ? head->data : NULL;
	}
	return p && (p->flags & CR_IMG_PROCESS_ZOMBIE);
}

/* All that an object must have is there. */
static int check_complete(struct cr_ctx *ctx, const struct cr_rec *head,
			  const unsigned long *seen)
{
	u32 type, level = cr_obj_ops(head->type)->level;
	bool zombie;

	if (head->type == CR_IMG_FILE) {
		type = ((const struct cr_img_file *)head->data)->kind;
		if (type >= CR_NR_TYPES || !test_bit(type, seen))
			return cr_fail(ctx, -EINVAL, "object %u: open file of no kind", head->id);
	}
	if (level != CR_LVL_PROCESS && level != CR_LVL_THREAD)
		return 0;
	zombie = is_zombie(ctx, head);
	for (type = 0; type < CR_NR_TYPES; type++) {
		const struct cr_obj_ops *ops = cr_obj_ops(type);

		if (ops && ops->level == level && ops->required && !test_bit(type, seen) &&
		    (!zombie || ops->of_zombies))
			return cr_fail(ctx, -EINVAL, "object %u: %s without %s", head->id,
				       cr_obj_ops(head->type)->name, ops->name);
	}
	return 0;
}

/* Index the objects: every id has one head, and its parts follow it. */
static int index_objects(struct cr_ctx *ctx)
{
	DECLARE_BITMAP(seen, CR_NR_TYPES);
	const struct cr_rec *head = NULL;
	u32 i, nr_objects = ctx->hdr.nr_objects;

	ctx->heads = kvmalloc_array(nr_objects + 1, sizeof(u32), GFP_KERNEL_ACCOUNT);
	ctx->objs = kvcalloc(nr_objects + 1, sizeof(void *), GFP_KERNEL_ACCOUNT);
	if (!ctx->heads || !ctx->objs)
		return cr_fail(ctx, -ENOMEM, "no memory for %u objects", nr_objects);
	memset32(ctx->heads, U32_MAX, nr_objects + 1);

	for (i = 0; i < ctx->nr_records; i++) {
		const struct cr_rec *rec = &ctx->recs[i];
		const struct cr_obj_ops *ops = cr_obj_ops(rec->type);

		if (!head || rec->id != head->id) {
			if (head && check_complete(ctx, head, seen))
				return ctx->err;
			if (!can_head(rec->type, ops) || ctx->heads[rec->id] != U32_MAX)
				return cr_fail(ctx, -EINVAL, "record %u: %s cannot begin object %u",
					       i, ops->name, rec->id);
			ctx->heads[rec->id] = i;
			bitmap_zero(seen, CR_NR_TYPES);
			head = rec;
		} else if (!can_follow(head, rec->type, ops) ||
			   (ops->level != CR_LVL_PART && !ops->many &&
			    test_bit(rec->type, seen))) {
			return cr_fail(ctx, -EINVAL, "record %u: %s cannot be part of object %u",
				       i, ops->name, rec->id);
		}
		__set_bit(rec->type, seen);
		if (ops->late)
			ctx->nr_late++;
	}
	return head ? check_complete(ctx, head, seen) : 0;
}

static int check_records(struct cr_ctx *ctx)
{
	u32 i, n = 0;

	ctx->late = kvcalloc(ctx->nr_late + 1, sizeof(u32), GFP_KERNEL_ACCOUNT);
	if (!ctx->late)
		return cr_fail(ctx, -ENOMEM, "no memory to check the image");
	for (i = 0; i < ctx->nr_records; i++) {
		const struct cr_rec *rec = &ctx->recs[i];
		const struct cr_obj_ops *ops = cr_obj_ops(rec->type);
		int err = ops->check(ctx, rec);

		if (err)
			return cr_fail(ctx, err, "record %u: bad %s", i, ops->name);
		if (ops->late)
			ctx->late[n++] = i;
		cond_resched();
		if (fatal_signal_pending(current))
			return cr_fail(ctx, -EINTR, "killed while checking the image");
	}
	return 0;
}

/* Code may stand in the vDSO, and restart blocks are the kernel's own. */
static int check_release(struct cr_ctx *ctx)
{
	const char *release = init_utsname()->release;
	const struct cr_rec *rec;

	rec = cr_obj_head(ctx, ctx->hdr.release_id, CR_IMG_STRING);
	if (!rec)
		return cr_fail(ctx, -EINVAL, "image does not name its kernel");
	if (rec->len != strlen(release) || memcmp(rec->data, release, rec->len))
		return cr_fail(ctx, -EINVAL, "image was made by kernel %.*s, this is %s",
			       rec->len, (const char *)rec->data, release);
	return 0;
}

static int check_all(struct cr_ctx *ctx)
{
	if (index_objects(ctx) || check_release(ctx) || check_records(ctx))
		return ctx->err;
	return cr_tree_build(ctx);
}

/**
 * cr_image_read() - read and check the metadata of an image
 * @ctx: the restart; gets the records
 * @in: where from; exactly the header and the metadata are read
 *
 * Context: Process context; sleeps as long as the writer wants.
 * Return: 0; -EINVAL for a malformed image; -EBADMSG for a wrong checksum;
 * -EOPNOTSUPP for what this kernel does not have; -E2BIG; -ENOMEM; -EINTR; or
 * what the file returned. The reason is told.
 */
int cr_image_read(struct cr_ctx *ctx, struct cr_in *in)
{
	if (cr_in_bytes(ctx, in, &ctx->hdr, sizeof(ctx->hdr)))
		return ctx->err;
	if (check_header(ctx) || read_recs(ctx, in))
		return ctx->err;
	return check_all(ctx);
}

/**
 * cr_image_adopt() - take the metadata of a kept checkpoint instead
 * @ctx: the restart; ctx->from is the checkpoint, and stays referenced
 *
 * The records are used where they are. They are checked like those of an image,
 * for what depends on who restarts them.
 *
 * Return: 0, or -errno as told.
 */
int cr_image_adopt(struct cr_ctx *ctx)
{
	struct cr_hbuf_pos pos = {};
	struct cr_img_rec *rec;
	u32 nr_alloc = 0;

	ctx->hdr = ctx->from->hdr;
	while ((rec = cr_rec_next(&ctx->from->hb, &pos))) {
		if (add_rec(ctx, &nr_alloc, rec, rec + 1))
			return ctx->err;
	}
	return check_all(ctx);
}

#include "tests/reader-kunit.h"
