// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: pages from the snapshots to the descriptor.
 *
 * Saved: pages that an address space owns (anonymous, also where they replaced
 * pages of a privately mapped file), and pages of shared anonymous memory. Not
 * what was never touched or never changed, and not what is all zero where
 * fresh memory is zero as well.
 *
 * A page that processes share copy on write is written once; for the others a
 * record says where it stands (flush_kin.c).
 *
 * Pages are written from where they are, together with the heads of their
 * records, 2 MiB at a time unless there is less. A huge page is not divided, so
 * that it can be made a huge page again as it is read.
 *
 * Locks: mmap_lock of the snapshot for reading while pages are gathered; never
 * while writing.
 */
#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <linux/xarray.h>
#include <linux/xxhash.h>

#include "flush.h"
#include "internal.h"
#include "mm.h"

/* Pages in one write: one record if they are contiguous. */
#define NR_PAGES	CR_PAGES_RUN_MAX

/* What stands before a run of pages in the image, or instead of it. */
struct run_head {
	struct cr_img_rec rec;
	union {
		struct cr_img_pages pages;
		struct cr_img_pages_ref ref;
	};
};

static_assert(sizeof(struct run_head) == 40);

#define HEADS_SIZE	(NR_PAGES * sizeof(struct run_head))

/**
 * struct batch - what goes into one write
 * @ctx: the checkpoint
 * @out: where to
 * @id: object that the pages belong to
 * @nr: entries of @got in use
 * @got: the pages, ascending
 * @next: address that gathering goes on with
 * @absent: the page at @next is not present (swap, migration)
 * @heads: heads of the records; whole pages, for sockets
 * @hash: of the pages of the last record
 * @bvec: heads and pages, in the order of the image
 */
struct batch {
	struct cr_ctx *ctx;
	struct cr_out *out;
	u32 id;
	unsigned int nr;
	struct cr_gathered got[NR_PAGES];
	unsigned long next;
	bool absent;
	struct run_head *heads;
	struct xxh64_state hash;
	struct bio_vec bvec[2 * NR_PAGES];
};

/* Takes a reference; false if there is no room. */
static bool add_page(struct batch *b, struct page *page, u64 start, bool elide)
{
	struct cr_gathered *g = &b->got[b->nr];

	if (b->nr == NR_PAGES)
		return false;
	get_page(page);
	g->page = page;
	g->start = start;
	g->from_id = 0;
	g->elide = elide;
	b->nr++;
	return true;
}

/* Ends the walk; it is taken up at @addr. */
static int stop_at(struct batch *b, unsigned long addr, bool absent)
{
	b->next = addr;
	b->absent = absent;
	return 1;
}

static int gather_huge(struct batch *b, struct vm_area_struct *vma, pmd_t pmd,
		       unsigned long addr, unsigned long end)
{
	bool elide = vma_is_anonymous(vma);
	struct page *page;

	if (!pmd_present(pmd))
		return stop_at(b, addr, true);
	page = pmd_page(pmd);
	if (is_huge_zero_pmd(pmd) || !PageAnon(page))
		return 0;
	if (b->nr && (end - addr) >> PAGE_SHIFT > NR_PAGES - b->nr)
		return stop_at(b, addr, false);
	page += (addr & ~PMD_MASK) >> PAGE_SHIFT;
	for (; addr < end; addr += PAGE_SIZE, page++) {
		if (!add_page(b, page, addr, elide))
			return stop_at(b, addr, false);
	}
	return 0;
}

static int gather_one(struct batch *b, struct vm_area_struct *vma, pte_t pte,
		      unsigned long addr)
{
	struct page *page;

	if (pte_none(pte))
		return 0;
	if (!pte_present(pte))
		return stop_at(b, addr, true);
	page = vm_normal_page(vma, addr, pte);
	if (!page || !PageAnon(page))
		return 0;
	if (!add_page(b, page, addr, vma_is_anonymous(vma)))
		return stop_at(b, addr, false);
	return 0;
}

static int gather_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
		      struct mm_walk *walk)
{
	struct batch *b = walk->private;
	pte_t *start_pte, *pte;
	spinlock_t *ptl;	/* of the page table */
	int stop = 0;

	ptl = pmd_trans_huge_lock(pmd, walk->vma);
	if (ptl) {
		__acquire(ptl);	/* sparse does not see that it was taken */
		stop = gather_huge(b, walk->vma, *pmd, addr, end);
		spin_unlock(ptl);
		return stop;
	}
	start_pte = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	if (!start_pte) {
		walk->action = ACTION_AGAIN;
		return 0;
	}
	__acquire(ptl);
	for (pte = start_pte; !stop && addr < end; pte++, addr += PAGE_SIZE)
		stop = gather_one(b, walk->vma, ptep_get(pte), addr);
	pte_unmap_unlock(start_pte, ptl);
	cond_resched();
	return stop;
}

static const struct mm_walk_ops gather_ops = {
	.pmd_entry = gather_pmd,
	.walk_lock = PGWALK_RDLOCK,
};

/* Bring the page at b->next in, and go on behind it. */
static int gather_absent(struct batch *b, struct mm_struct *mm)
{
	struct vm_area_struct *vma = find_vma(mm, b->next);
	struct page *page;

	page = cr_get_user_page(mm, b->next, 0);
	if (IS_ERR(page))
		return cr_fail(b->ctx, PTR_ERR(page),
			       "page at 0x%lx cannot be read: error %ld", b->next,
			       -PTR_ERR(page));
	if (PageAnon(page))
		add_page(b, page, b->next, vma_is_anonymous(vma));
	put_page(page);
	b->next += PAGE_SIZE;
	return 0;
}

/* Fill the batch, from b->next on. */
static int gather(struct batch *b, struct mm_struct *mm)
{
	int err;

	if (mmap_read_lock_killable(mm))
		return cr_fail(b->ctx, -EINTR, "interrupted");
	do {
		b->absent = false;
		err = walk_page_range(mm, b->next, TASK_SIZE_MAX, &gather_ops, b);
		if (!err)
			b->next = TASK_SIZE_MAX;
		else if (b->absent && b->nr < NR_PAGES)
			err = gather_absent(b, mm);
		else
			b->absent = false;
	} while (err >= 0 && b->absent && b->next < TASK_SIZE_MAX);
	mmap_read_unlock(mm);
	return min(err, 0);
}

static bool page_is_zero(struct page *page)
{
	const void *p = kmap_local_page(page);
	bool zero = !memchr_inv(p, 0, PAGE_SIZE);

	kunmap_local(p);
	return zero;
}

static void hash_page(struct xxh64_state *hash, struct page *page)
{
	const void *p = kmap_local_page(page);

	xxh64_update(hash, p, PAGE_SIZE);
	kunmap_local(p);
}

static void close_run(struct batch *b, struct run_head *head)
{
	if (!head)
		return;
	if (head->rec.type == CR_IMG_PAGES)
		head->pages.hash = xxh64_digest(&b->hash);
	head->rec.crc = cr_rec_crc(&head->rec, &head->pages);
}

/* Begin a run with page @g; returns the bytes that it has in the image. */
static size_t open_run(struct batch *b, struct run_head *head,
		       const struct cr_gathered *g)
{
	memset(head, 0, sizeof(*head));
	head->rec.id = b->id;
	if (g->from_id) {
		head->rec.type = CR_IMG_PAGES_REF;
		head->rec.len = sizeof(head->ref);
		head->ref.start = g->start;
		head->ref.from_id = g->from_id;
	} else {
		xxh64_reset(&b->hash, 0);
		head->rec.type = CR_IMG_PAGES;
		head->rec.len = sizeof(head->pages);
		head->pages.start = g->start;
	}
	return sizeof(head->rec) + head->rec.len;
}

static bool run_goes_on(const struct run_head *head, const struct cr_gathered *g)
{
	bool ref = head->rec.type == CR_IMG_PAGES_REF;
	u64 start = ref ? head->ref.start : head->pages.start;
	u32 nr_pages = ref ? head->ref.nr_pages : head->pages.nr_pages;

	return g->start == start + nr_pages * PAGE_SIZE &&
	       g->from_id == (ref ? head->ref.from_id : 0);
}

/* Make records of the batch; returns the number of entries in b->bvec. */
static unsigned int make_records(struct batch *b, size_t *bytes)
{
	unsigned int i, runs = 0, nr_bvec = 0;
	struct run_head *head = NULL;
	size_t len;

	*bytes = 0;
	for (i = 0; i < b->nr; i++) {
		struct cr_gathered *g = &b->got[i];
		bool first;

		if (!g->from_id && g->elide && page_is_zero(g->page))
			continue;
		first = !head || !run_goes_on(head, g);
		if (first) {
			close_run(b, head);
			head = &b->heads[runs++];
			len = open_run(b, head, g);
			bvec_set_virt(&b->bvec[nr_bvec++], head, len);
			*bytes += len;
		}
		if (g->from_id) {
			head->ref.nr_pages++;
			continue;
		}
		head->pages.nr_pages++;
		if (first || !cr_bvec_join(&b->bvec[nr_bvec - 1], g->page))
			bvec_set_page(&b->bvec[nr_bvec++], g->page, PAGE_SIZE, 0);
		hash_page(&b->hash, g->page);
		*bytes += PAGE_SIZE;
		b->out->pages++;
	}
	close_run(b, head);
	return nr_bvec;
}

static int write_batch(struct batch *b)
{
	unsigned int nr_bvec;
	struct iov_iter iter;
	size_t bytes;

	nr_bvec = make_records(b, &bytes);
	iov_iter_bvec(&iter, ITER_SOURCE, b->bvec, nr_bvec, bytes);
	return cr_out_iter(b->out, &iter);
}

static void empty_batch(struct batch *b)
{
	unsigned int i;

	for (i = 0; i < b->nr; i++)
		put_page(b->got[i].page);
	b->nr = 0;
	cond_resched();
}

static int flush_mm(struct batch *b, struct cr_snap *snap)
{
	int err = 0;

	b->next = 0;
	while (!err && b->next < TASK_SIZE_MAX) {
		err = gather(b, snap->mm);
		if (!err) {
			cr_flush_find_kin(b->ctx, snap, b->got, b->nr);
			err = write_batch(b);
		}
		empty_batch(b);
	}
	return err;
}

static int flush_xarray(struct batch *b, struct xarray *pages)
{
	unsigned long index;
	struct page *page;
	int err = 0;

	xa_for_each(pages, index, page) {
		add_page(b, page, (u64)index << PAGE_SHIFT, true);
		if (b->nr < NR_PAGES)
			continue;
		err = write_batch(b);
		empty_batch(b);
		if (err)
			return err;
	}
	err = write_batch(b);
	empty_batch(b);
	return err;
}

/**
 * cr_flush_pages() - write all pages of a checkpoint
 * @ctx: the checkpoint
 * @out: the image; its metadata is written
 *
 * Context: The tree runs again.
 * Return: 0; what @out returned, which is not told; or -errno as told.
 */
int cr_flush_pages(struct cr_ctx *ctx, struct cr_out *out)
{
	struct cr_snap *snap;
	struct batch *b;
	int err = 0;

	b = kvzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return cr_fail(ctx, -ENOMEM, "no memory to write the image");
	b->ctx = ctx;
	b->out = out;
	b->heads = alloc_pages_exact(HEADS_SIZE, GFP_KERNEL);
	if (!b->heads)
		err = cr_fail(ctx, -ENOMEM, "no memory to write the image");

	list_for_each_entry(snap, &ctx->snaps, list) {
		if (err)
			break;
		b->id = snap->id;
		err = snap->mm ? flush_mm(b, snap) : flush_xarray(b, snap->pages);
	}
	if (b->heads)
		free_pages_exact(b->heads, HEADS_SIZE);
	kvfree(b);
	return err ?: cr_verify_check(ctx, ctx);
}
