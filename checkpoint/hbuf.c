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
 * What is handed out is zero. A chunk is zeroed some records ahead, and what is
 * given back when that happens, so a small record costs no memset() of its own.
 *
 * The common case, a room that fits and is committed whole, is inline in
 * internal.h: two pointers are moved, and the room is noted.
 *
 * Locking: none of its own. One context fills a buffer.
 */
#include <linux/bug.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "internal.h"

/* Zeroed at a time: what is filled soon is in the cache then. */
#define CLEAN_STEP	SZ_4K

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
	chunk->size = size;
	chunk->used = 0;
	chunk->clean = 0;
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

/* Room that needs no more than to be taken: none when there is an error. */
static void hbuf_set_end(struct cr_hbuf *hb)
{
	hb->end = hb->err || !hb->cur ? hb->pos : hb->cur->data + hb->cur->clean;
}

static int hbuf_fail(struct cr_hbuf *hb, int err)
{
	if (!hb->err)
		hb->err = err;
	hbuf_set_end(hb);
	return hb->err;
}

/* What is left in the current chunk. */
static size_t hbuf_room(const struct cr_hbuf *hb)
{
	return hb->cur ? hb->cur->size - cr_hbuf_chunk_used(hb, hb->cur) : 0;
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
	if (hbuf_room(hb) >= len)
		return 0;
	next = next_chunk(hb);
	if (next && next->size >= len)
		return 0;
	return hbuf_grow(hb, len);
}

/* Go on in the next chunk. */
static int hbuf_advance(struct cr_hbuf *hb, size_t size)
{
	int err = cr_hbuf_reserve(hb, size);

	if (err)
		return err;
	if (hb->cur) {
		hb->cur->used = cr_hbuf_chunk_used(hb, hb->cur);
		hb->before += hb->cur->used;
	}
	hb->cur = next_chunk(hb);
	hb->pos = hb->cur->data;
	hbuf_set_end(hb);
	return 0;
}

/* The current chunk has room for @size bytes: let that, and more, be zero. */
static void hbuf_clean(struct cr_hbuf *hb, size_t size)
{
	struct cr_hbuf_chunk *chunk = hb->cur;
	u8 *from = chunk->data + chunk->clean;
	size_t clean = cr_hbuf_chunk_used(hb, chunk) + max_t(size_t, size, CLEAN_STEP);

	clean = min_t(size_t, clean, chunk->size);
	cr_hbuf_unpoison(from, clean - chunk->clean);
	memset(from, 0, clean - chunk->clean);
	hbuf_poison(from, clean - chunk->clean);
	chunk->clean = clean;
	hbuf_set_end(hb);
}

/**
 * cr_hbuf_get_slow() - what cr_hbuf_get() cannot do at once
 * @hb: the buffer
 * @len: bytes
 *
 * Out of line: this is once in many records, or wrong use.
 *
 * Context: As cr_hbuf_get().
 * Return: As cr_hbuf_get().
 */
void *cr_hbuf_get_slow(struct cr_hbuf *hb, size_t len)
{
	size_t size = ALIGN(len, CR_HBUF_ALIGN);

	if (hb->err)
		return NULL;
	if (WARN_ON_ONCE(!len || len > hb->cap || hb->depth == CR_HBUF_NEST)) {
		hbuf_fail(hb, -EINVAL);
		return NULL;
	}
	if (hbuf_room(hb) < size && hbuf_advance(hb, size))
		return NULL;
	if (hb->end - hb->pos < size)
		hbuf_clean(hb, size);
	return cr_hbuf_take(hb, size);
}

/* Give back what was handed out of the current chunk from @to on. */
static void chunk_truncate(struct cr_hbuf *hb, u8 *to)
{
	memset(to, 0, hb->pos - to);
	hbuf_poison(to, hb->pos - to);
	hb->pos = to;
}

static bool chunk_is_first(const struct cr_hbuf *hb)
{
	return list_is_first(&hb->cur->list, &hb->chunks);
}

/* Nothing is left in the current chunk: go on in the one before it. */
static void hbuf_step_back(struct cr_hbuf *hb)
{
	hb->cur = list_prev_entry(hb->cur, list);
	hb->pos = hb->cur->data + hb->cur->used;
	hb->before -= hb->cur->used;
}

/* Give back everything from @to on. */
static void hbuf_truncate(struct cr_hbuf *hb, u8 *to)
{
	while ((size_t)(to - hb->cur->data) >= hb->cur->size) {
		chunk_truncate(hb, hb->cur->data);
		hbuf_step_back(hb);
	}
	chunk_truncate(hb, to);
	/* else an outer room that ends in that chunk would not look like the last */
	if (to == hb->cur->data && !chunk_is_first(hb))
		hbuf_step_back(hb);
	hbuf_set_end(hb);
}

/**
 * cr_hbuf_put_slow() - what is not the common case of cr_hbuf_put()
 * @hb: the buffer
 * @room: what cr_hbuf_get() returned; NULL is ignored
 * @used: bytes to commit
 *
 * Context: Any.
 */
void cr_hbuf_put_slow(struct cr_hbuf *hb, void *room, size_t used)
{
	struct cr_hbuf_open *open;
	size_t size = ALIGN(used, CR_HBUF_ALIGN);

	if (!room)
		return;
	open = hb->depth ? &hb->open[hb->depth - 1] : NULL;
	if (WARN_ON_ONCE(!open || room != open->room || used > open->end - open->room)) {
		hbuf_fail(hb, -EINVAL);
		return;
	}
	hb->depth--;
	if (WARN_ON_ONCE(size && hb->pos != open->end)) {
		hbuf_fail(hb, -EINVAL);
		return;
	}
	hbuf_truncate(hb, room + size);
}

#include "tests/hbuf-kunit.h"
#include "tests/hbuf-bench-kunit.h"
