// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: room in the image.
 *
 * Dump functions fill their records in place in a chain of large chunks, so
 * nothing is allocated, copied or freed per record. The chain goes as a whole,
 * on success, error and abort alike; no error path can leak a record.
 *
 * Rooms nest: the one that was handed out first stands first in the image. A
 * room can shrink when it is put as long as nothing behind it was committed,
 * and can be given back whole at any time; then what was nested in it goes too.
 *
 * What is handed out is zero. A chunk is zeroed when it is allocated, and what
 * is given back when that happens, so a record costs no memset().
 *
 * Locking: none of its own. One context fills a buffer.
 */
#include <linux/bug.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "internal.h"

#define CR_HBUF_ALIGN	8

/*
 * What is not handed out is poisoned, so a use of room that was given back is
 * found as a use of freed slab memory would be. KASAN lets us do that to parts
 * of a vmalloc area only.
 */
static void hbuf_poison(void *p, size_t len)
{
	kasan_poison_vmalloc(p, len);
}

static struct cr_hbuf_chunk *chunk_alloc(size_t size)
{
	struct cr_hbuf_chunk *chunk;
	size_t bytes = struct_size(chunk, data, size);

	if (IS_ENABLED(CONFIG_KASAN_VMALLOC))
		chunk = __vmalloc(bytes, GFP_KERNEL_ACCOUNT);
	else
		chunk = kvmalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return NULL;
	memset(chunk, 0, bytes);
	chunk->size = size;
	hbuf_poison(chunk->data, size);
	return chunk;
}

/**
 * cr_hbuf_init() - make an empty buffer
 * @hb: the buffer
 * @cap: most bytes it may allocate; more is -E2BIG
 *
 * Context: Any. Allocates nothing.
 */
void cr_hbuf_init(struct cr_hbuf *hb, size_t cap)
{
	memset(hb, 0, sizeof(*hb));
	INIT_LIST_HEAD(&hb->chunks);
	hb->cap = cap;
}

/**
 * cr_hbuf_free() - free every room of a buffer at once
 * @hb: the buffer; empty afterwards and usable again
 *
 * Context: Process context, may sleep (chunks may come from vmalloc).
 */
void cr_hbuf_free(struct cr_hbuf *hb)
{
	struct cr_hbuf_chunk *chunk, *next;

	list_for_each_entry_safe(chunk, next, &hb->chunks, list)
		kvfree(chunk);
	cr_hbuf_init(hb, hb->cap);
}

static int hbuf_fail(struct cr_hbuf *hb, int err)
{
	if (!hb->err)
		hb->err = err;
	return hb->err;
}

static u32 chunk_room(const struct cr_hbuf_chunk *chunk)
{
	return chunk->size - chunk->used;
}

/* Put a new chunk that holds at least @len behind the current one. */
static int hbuf_grow(struct cr_hbuf *hb, size_t len)
{
	size_t size = max_t(size_t, len, CR_HBUF_CHUNK - sizeof(struct cr_hbuf_chunk));
	struct cr_hbuf_chunk *chunk;

	if (size > hb->cap - min(hb->cap, hb->allocated))
		return hbuf_fail(hb, -E2BIG);
	chunk = chunk_alloc(size);
	if (!chunk)
		return hbuf_fail(hb, -ENOMEM);
	hb->allocated += size;
	if (hb->cur)
		list_add(&chunk->list, &hb->cur->list);
	else
		list_add(&chunk->list, &hb->chunks);
	return 0;
}

static struct cr_hbuf_chunk *next_chunk(struct cr_hbuf *hb)
{
	if (!hb->cur)
		return list_first_entry_or_null(&hb->chunks, struct cr_hbuf_chunk, list);
	if (list_is_last(&hb->cur->list, &hb->chunks))
		return NULL;
	return list_next_entry(hb->cur, list);
}

/**
 * cr_hbuf_reserve() - make sure that room can be had without allocating
 * @hb: the buffer
 * @len: bytes
 *
 * Afterwards one cr_hbuf_get() of up to @len bytes, or several whose sizes,
 * rounded up to 8, sum up to that, do not allocate and so do not sleep. Call it
 * before taking a spinlock under which a record is filled.
 *
 * Context: Process context, may sleep.
 * Return: 0; -ENOMEM; -E2BIG if the cap is reached; or the sticky error.
 */
int cr_hbuf_reserve(struct cr_hbuf *hb, size_t len)
{
	struct cr_hbuf_chunk *next;

	if (hb->err)
		return hb->err;
	if (len > hb->cap)
		return hbuf_fail(hb, -E2BIG);
	len = ALIGN(len, CR_HBUF_ALIGN);
	if (hb->cur && chunk_room(hb->cur) >= len)
		return 0;
	next = next_chunk(hb);
	if (next && next->size >= len)
		return 0;
	return hbuf_grow(hb, len);
}

/* Go on in the next chunk. Out of line: this is once in thousands of records. */
static noinline int hbuf_advance(struct cr_hbuf *hb, size_t len)
{
	int err = cr_hbuf_reserve(hb, len);

	if (!err)
		hb->cur = next_chunk(hb);
	return err;
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
void *cr_hbuf_get(struct cr_hbuf *hb, size_t len)
{
	struct cr_hbuf_open *open;
	void *room;

	if (hb->err)
		return NULL;
	if (WARN_ON_ONCE(!len || len > hb->cap || hb->depth == CR_HBUF_NEST)) {
		hbuf_fail(hb, -EINVAL);
		return NULL;
	}
	len = ALIGN(len, CR_HBUF_ALIGN);
	if (unlikely(!hb->cur || chunk_room(hb->cur) < len) && hbuf_advance(hb, len))
		return NULL;

	open = &hb->open[hb->depth++];
	open->chunk = hb->cur;
	open->offset = hb->cur->used;
	open->len = len;
	room = hb->cur->data + open->offset;
	hb->cur->used += len;
	hb->used += len;
	kasan_unpoison_range(room, len);
	return room;
}

/* Take back what was handed out of @chunk from @offset on. */
static void chunk_truncate(struct cr_hbuf *hb, struct cr_hbuf_chunk *chunk, u32 offset)
{
	u32 len = chunk->used - offset;

	memset(chunk->data + offset, 0, len);
	hbuf_poison(chunk->data + offset, len);
	chunk->used = offset;
	hb->used -= len;
}

/* Give back everything from @offset in @chunk on. */
static void hbuf_truncate(struct cr_hbuf *hb, struct cr_hbuf_chunk *chunk, u32 offset)
{
	while (hb->cur != chunk) {
		chunk_truncate(hb, hb->cur, 0);
		hb->cur = list_prev_entry(hb->cur, list);
	}
	chunk_truncate(hb, chunk, offset);
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
void cr_hbuf_put(struct cr_hbuf *hb, void *room, size_t used)
{
	struct cr_hbuf_open *open;
	bool last;

	if (!room)
		return;
	open = &hb->open[hb->depth - 1];
	used = ALIGN(used, CR_HBUF_ALIGN);
	if (WARN_ON_ONCE(!hb->depth || room != open->chunk->data + open->offset ||
			 used > open->len)) {
		hbuf_fail(hb, -EINVAL);
		return;
	}
	hb->depth--;
	if (likely(used == open->len))
		return;
	last = hb->cur == open->chunk && hb->cur->used == open->offset + open->len;
	if (WARN_ON_ONCE(used && !last)) {
		hbuf_fail(hb, -EINVAL);
		return;
	}
	hbuf_truncate(hb, open->chunk, open->offset + used);
}

#include "tests/hbuf-kunit.h"
#include "tests/hbuf-bench-kunit.h"
