/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint/restart: room in the image (hbuf.c).
 */
#ifndef _CHECKPOINT_HBUF_H
#define _CHECKPOINT_HBUF_H

#include <linux/align.h>
#include <linux/compiler.h>
#include <linux/kasan.h>
#include <linux/list.h>
#include <linux/string.h>
#include <linux/types.h>

#include "limits.h"

/**
 * struct cr_hbuf_chunk - memory that rooms are cut from
 * @list: in cr_hbuf.chunks
 * @size: bytes of @data
 * @used: bytes handed out, of a chunk before the current one
 * @clean: bytes of @data that are not as they came from the allocator: handed
 *         out or zeroed
 * @data: the rooms
 */
struct cr_hbuf_chunk {
	struct list_head list;
	u32 size;
	u32 used;
	u32 clean;
	u8 data[] __aligned(8);
};

/* A room that was handed out, and where it ends. */
struct cr_hbuf_open {
	u8 *room;
	u8 *end;
};

/**
 * struct cr_hbuf - a growing, bounded buffer that is freed as a whole
 * @pos: the next room
 * @end: what can be had at @pos without further ado: zeroed, in the current
 *       chunk; equal to @pos once there is an error
 * @depth: entries of @open in use
 * @err: sticky: the first error; every later cr_hbuf_get() fails with it
 * @open: rooms handed out and not yet put, innermost last
 * @chunks: in image order; chunks after @cur are empty spares
 * @cur: chunk that the next room comes from
 * @allocated: bytes of all chunks
 * @before: bytes handed out of the chunks before @cur
 * @cap: bound of @allocated
 */
struct cr_hbuf {
	u8 *pos;
	u8 *end;
	unsigned int depth;
	int err;
	struct cr_hbuf_open open[CR_HBUF_NEST];
	struct list_head chunks;
	struct cr_hbuf_chunk *cur;
	size_t allocated;
	size_t before;
	size_t cap;
};

#define CR_HBUF_ALIGN	8

void cr_hbuf_init(struct cr_hbuf *hb, size_t cap);
void cr_hbuf_free(struct cr_hbuf *hb);
int cr_hbuf_reserve(struct cr_hbuf *hb, size_t len);
void *cr_hbuf_get_slow(struct cr_hbuf *hb, size_t len);
void cr_hbuf_put_slow(struct cr_hbuf *hb, void *room, size_t used);

/* Bytes handed out of @chunk, which is not a spare one. */
static inline u32 cr_hbuf_chunk_used(const struct cr_hbuf *hb,
				     const struct cr_hbuf_chunk *chunk)
{
	return chunk == hb->cur ? hb->pos - chunk->data : chunk->used;
}

/* Bytes handed out and not given back. */
static inline size_t cr_hbuf_used(const struct cr_hbuf *hb)
{
	return hb->cur ? hb->before + cr_hbuf_chunk_used(hb, hb->cur) : 0;
}

/* Without KASAN_VMALLOC the shadow of a vmalloc area must not be written to. */
static inline void cr_hbuf_unpoison(const void *p, size_t len)
{
	if (IS_ENABLED(CONFIG_KASAN_VMALLOC))
		kasan_unpoison_range(p, len);
}

/* For cr_hbuf_get() only: there is room for @size bytes at hb->pos. */
static inline void *cr_hbuf_take(struct cr_hbuf *hb, size_t size)
{
	struct cr_hbuf_open *open = &hb->open[hb->depth++];

	open->room = hb->pos;
	hb->pos += size;
	open->end = hb->pos;
	cr_hbuf_unpoison(open->room, size);
	return open->room;
}

/**
 * cr_hbuf_get() - room in the image
 * @hb: the buffer
 * @len: bytes, at least 1; the room is a multiple of 8 and aligned to 8
 *
 * The room is zeroed. It belongs to the caller until cr_hbuf_put().
 *
 * Context: May sleep, unless cr_hbuf_reserve() was called for it.
 * Return: The room; NULL on error, which is then in hb->err and stays there:
 * -ENOMEM, -E2BIG, or -EINVAL for wrong use.
 */
static inline void *cr_hbuf_get(struct cr_hbuf *hb, size_t len)
{
	size_t size = ALIGN(len, CR_HBUF_ALIGN);

	/* one comparison: 0, and what wraps to 0, is too much as well */
	if (likely(size - 1 < hb->end - hb->pos && hb->depth < CR_HBUF_NEST))
		return cr_hbuf_take(hb, size);
	return cr_hbuf_get_slow(hb, len);
}

/**
 * cr_hbuf_put() - commit or give back the innermost room
 * @hb: the buffer
 * @room: what cr_hbuf_get() returned; NULL is ignored
 * @used: bytes to commit, rounded up to 8; 0 gives all of it back, together
 *        with everything that was committed behind it
 *
 * After an inner room was committed the outer one can be committed only whole.
 * Anything but the innermost room, or a wrong size, warns and sets the sticky
 * error -EINVAL.
 *
 * Context: Any.
 */
static inline void cr_hbuf_put(struct cr_hbuf *hb, void *room, size_t used)
{
	unsigned int last = hb->depth - 1;

	/* the common case: the innermost room, all of it */
	if (likely(last < CR_HBUF_NEST && room == hb->open[last].room &&
		   room + ALIGN(used, CR_HBUF_ALIGN) == hb->open[last].end))
		hb->depth = last;
	else
		cr_hbuf_put_slow(hb, room, used);
}

#endif /* _CHECKPOINT_HBUF_H */
