/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An image taken apart into its header and records, and put together again
 * with sums that are right.
 */
#ifndef _MUTATE_IMAGE_H
#define _MUTATE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/checkpoint.h>

#include "../../selftests/checkpoint/image_sums.h"

#define PAGE		4096UL
#define MAX_RECS	4096
/* The largest image that is made; larger ones are cut. */
#define MAX_IMAGE	(8UL << 20)

/* ---- records ---- */

struct rec {
	struct cr_img_rec head;
	unsigned char *data;		/* payload with its padding */
	size_t room;			/* bytes of it */
	unsigned char *pages;		/* of CR_IMG_PAGES */
	size_t page_bytes;
	bool changed;			/* its CRC must be made anew */
	bool pages_changed;		/* and its hash */
};

struct image {
	struct cr_img_header hdr;
	struct rec rec[MAX_RECS];
	unsigned int nr;		/* records */
	unsigned int nr_meta;		/* of them metadata */
	bool repair;			/* make the sums right */
	bool lie_header;		/* the counts in the header stay as they are */
	bool lie_trailer;		/* those in the trailer do */
};

/* Memory for what is changed in one image. */
static struct {
	unsigned char *mem;
	size_t used, size;
} arena;

static void *arena_get(size_t n)
{
	void *p = arena.mem + arena.used;

	n = (n + 7) & ~7UL;
	if (n > arena.size - arena.used)
		return NULL;
	arena.used += n;
	memset(p, 0, n);
	return p;
}

/* Make the payload of @r its own, with @room bytes. False without memory. */
static bool rec_own(struct rec *r, size_t room)
{
	unsigned char *p = arena_get(room);

	if (!p)
		return false;
	memcpy(p, r->data, room < r->room ? room : r->room);
	r->data = p;
	r->room = room;
	r->changed = true;
	return true;
}

static const char *rec_parse(struct rec *r, unsigned char *p, size_t left, bool meta)
{
	const struct cr_img_pages *pg;

	memset(r, 0, sizeof(*r));
	if (left < sizeof(r->head))
		return "no room for a record";
	memcpy(&r->head, p, sizeof(r->head));
	r->room = (r->head.len + 7UL) & ~7UL;
	if (r->room > left - sizeof(r->head))
		return "a record is too long";
	r->data = p + sizeof(r->head);
	if (meta)
		return NULL;
	if (r->head.type == CR_IMG_PAGES) {
		pg = (const void *)r->data;
		r->pages = r->data + r->room;
		r->page_bytes = pg->nr_pages * PAGE;
		if (r->page_bytes > left - sizeof(r->head) - r->room)
			return "pages are too many";
		if (pg->hash != xxh64_pages(r->pages, r->page_bytes))
			return "the hash of pages is not ours";
	}
	return NULL;
}

/* Take a good image at @p apart. Returns what is wrong with it, or NULL. */
static const char *image_parse(struct image *im, unsigned char *p, size_t size)
{
	size_t at = sizeof(im->hdr), meta_end;
	const char *bad;

	memset(im, 0, offsetof(struct image, rec));
	im->nr = 0;
	im->nr_meta = 0;
	if (size < sizeof(im->hdr))
		return "no header";
	memcpy(&im->hdr, p, sizeof(im->hdr));
	meta_end = sizeof(im->hdr) + im->hdr.meta_bytes;
	while (at < size) {
		struct rec *r = &im->rec[im->nr];
		uint32_t crc;

		if (im->nr == MAX_RECS)
			return "too many records";
		bad = rec_parse(r, p + at, size - at, at < meta_end);
		if (bad)
			return bad;
		crc = r->head.crc;
		r->head.crc = 0;
		if (crc32c(crc32c(~0U, &r->head, sizeof(r->head)), r->data,
			   r->head.len) != crc)
			return "the CRC of a record is not ours";
		r->head.crc = crc;
		im->nr_meta += at < meta_end;
		im->nr++;
		at += sizeof(r->head) + r->room + r->page_bytes;
	}
	im->repair = true;
	im->lie_header = false;
	im->lie_trailer = false;
	return im->nr && im->rec[im->nr - 1].head.type == CR_IMG_END ? NULL : "no trailer";
}

/* ---- together again ---- */

static void rec_sign(struct rec *r)
{
	struct cr_img_pages *pg = (void *)r->data;
	size_t len = r->head.len < r->room ? r->head.len : r->room;

	if (r->pages_changed && r->room >= sizeof(*pg)) {
		pg->hash = xxh64_pages(r->pages, r->page_bytes);
		r->changed = true;
	}
	if (!r->changed)
		return;
	r->head.crc = 0;
	r->head.crc = crc32c(crc32c(~0U, &r->head, sizeof(r->head)), r->data, len);
}

static size_t rec_size(const struct rec *r)
{
	return sizeof(r->head) + r->room + r->page_bytes;
}

/* Counts and sums of the whole. */
static void image_repair(struct image *im)
{
	uint64_t meta = 0, total = sizeof(im->hdr), pages = 0;
	uint32_t ids = im->hdr.nr_objects;
	unsigned int i;

	for (i = 0; i < im->nr; i++) {
		struct rec *r = &im->rec[i];
		struct cr_img_end *end = (void *)r->data;

		total += rec_size(r);
		if (i < im->nr_meta) {
			meta += rec_size(r);
			/* only near ones: a wild id is a mutation, not an object */
			if (r->head.id == ids + 1)
				ids++;
		}
		pages += r->page_bytes / PAGE;
		if (r->head.type == CR_IMG_END && i >= im->nr_meta && !im->lie_trailer &&
		    r->room >= sizeof(*end) && rec_own(r, r->room)) {
			end = (void *)r->data;
			end->nr_pages = pages;
			end->total_bytes = total;
			memcpy(end->uuid, im->hdr.uuid, sizeof(end->uuid));
		}
		rec_sign(r);
	}
	if (!im->lie_header) {
		im->hdr.meta_bytes = meta;
		im->hdr.nr_records = im->nr_meta;
		im->hdr.nr_objects = ids;
	}
	im->hdr.crc = 0;
	im->hdr.crc = crc32c(~0U, &im->hdr, sizeof(im->hdr));
}

/* Write the image to @out, of MAX_IMAGE bytes. Returns its size. */
static size_t image_build(struct image *im, unsigned char *out)
{
	size_t at = sizeof(im->hdr);
	unsigned int i;

	if (im->repair)
		image_repair(im);
	memcpy(out, &im->hdr, sizeof(im->hdr));
	for (i = 0; i < im->nr; i++) {
		struct rec *r = &im->rec[i];

		if (rec_size(r) > MAX_IMAGE - at)
			break;
		memcpy(out + at, &r->head, sizeof(r->head));
		at += sizeof(r->head);
		memcpy(out + at, r->data, r->room);
		at += r->room;
		if (r->page_bytes)
			memcpy(out + at, r->pages, r->page_bytes);
		at += r->page_bytes;
	}
	return at;
}

#endif /* _MUTATE_IMAGE_H */
