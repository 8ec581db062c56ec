// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: which pages stand in the image already.
 *
 * Processes share pages since fork(), nearly always at the same address. So
 * the page tables of two snapshots are compared, address by address; nothing is
 * remembered for each page. With whom: the snapshots of the ancestors, and of
 * the elder children of the same parent, the nearest first, since they share
 * what the parent has changed since. Both are bounded. What is shared with
 * another relative only, or at another address (mremap() after fork()), is
 * written once more.
 *
 * That two snapshots have the same page says that the contents are the same: a
 * page that a snapshot has is not written to any more.
 *
 * Locks: mmap_lock of the other snapshot for reading, page table locks inside.
 */
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "flush.h"
#include "internal.h"

/* With how many of each a batch of pages is compared, at most. */
#define NR_ANCESTORS	8
#define NR_SIBLINGS	8
/* How far to look for siblings, which mostly stand side by side. */
#define SIBLINGS_STEPS	32

/**
 * struct search - pages of one snapshot that are looked for in another
 * @got: the pages, ascending
 * @nr: how many
 * @i: the first that is not behind what has been walked
 * @nr_left: how many have not been found yet
 * @id: the other snapshot
 */
struct search {
	struct cr_gathered *got;
	unsigned int nr;
	unsigned int i;
	unsigned int nr_left;
	u32 id;
};

static void found(struct search *s, struct cr_gathered *g)
{
	g->from_id = s->id;
	s->nr_left--;
}

/* The next page of the search below @end that was not found yet. */
static struct cr_gathered *next_below(struct search *s, unsigned long end)
{
	while (s->i < s->nr && s->got[s->i].start < end) {
		struct cr_gathered *g = &s->got[s->i++];

		if (!g->from_id)
			return g;
	}
	return NULL;
}

/* Under the lock of the page table, so an entry keeps its place in swap. */
static bool is_same(struct page *page, pte_t pte)
{
	struct folio *folio = page_folio(page);

	if (pte_present(pte))
		return pte_pfn(pte) == page_to_pfn(page);
	return is_swap_pte(pte) && !non_swap_entry(pte_to_swp_entry(pte)) &&
	       folio_test_swapcache(folio) &&
	       page_swap_entry(page).val == pte_to_swp_entry(pte).val;
}

static void match_huge(struct search *s, pmd_t pmd, bool elide, unsigned long end)
{
	struct cr_gathered *g;

	if (!pmd_present(pmd))
		return;
	while ((g = next_below(s, end))) {
		unsigned long nr = (g->start & ~PMD_MASK) >> PAGE_SHIFT;

		if (g->elide == elide && pmd_pfn(pmd) + nr == page_to_pfn(g->page))
			found(s, g);
	}
}

static int match_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
		     struct mm_walk *walk)
{
	/* what is zero may be left out for both, or for none */
	bool elide = vma_is_anonymous(walk->vma);
	struct search *s = walk->private;
	pte_t *start_pte, pte;
	struct cr_gathered *g;
	spinlock_t *ptl;	/* of the page table */

	while (s->i < s->nr && s->got[s->i].start < addr)
		s->i++;
	ptl = pmd_trans_huge_lock(pmd, walk->vma);
	if (ptl) {
		__acquire(ptl);	/* sparse does not see that it was taken */
		match_huge(s, *pmd, elide, end);
		spin_unlock(ptl);
		return 0;
	}
	start_pte = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	if (!start_pte)
		return 0;
	__acquire(ptl);
	while ((g = next_below(s, end))) {
		pte = ptep_get(start_pte + ((g->start - addr) >> PAGE_SHIFT));
		if (g->elide == elide && is_same(g->page, pte))
			found(s, g);
	}
	pte_unmap_unlock(start_pte, ptl);
	return 0;
}

static const struct mm_walk_ops match_ops = {
	.pmd_entry = match_pmd,
	.walk_lock = PGWALK_RDLOCK,
};

static void search_in(struct search *s, struct cr_snap *other)
{
	if (!s->nr_left || mmap_read_lock_killable(other->mm))
		return;
	s->i = 0;
	s->id = other->id;
	walk_page_range(other->mm, s->got[0].start, s->got[s->nr - 1].start + PAGE_SIZE,
			&match_ops, s);
	mmap_read_unlock(other->mm);
}

static struct cr_snap *parent_of(struct cr_ctx *ctx, struct cr_snap *snap)
{
	struct cr_snap *parent = cr_snap_find(ctx, snap->parent_id);

	/* only what is in the image already */
	return parent && parent->mm && parent->id < snap->id ? parent : NULL;
}

/**
 * cr_flush_find_kin() - find out which pages are in the image already
 * @ctx: the checkpoint
 * @snap: the address space that is being written; those before it are
 * @got: pages of it, ascending; gets from_id
 * @nr: how many
 *
 * Context: May sleep. A fatal signal makes it find less.
 */
void cr_flush_find_kin(struct cr_ctx *ctx, struct cr_snap *snap,
		       struct cr_gathered *got, unsigned int nr)
{
	struct search s = { .got = got, .nr = nr, .nr_left = nr };
	struct cr_snap *other = snap;
	unsigned int i, siblings = 0;

	if (!nr)
		return;
	for (i = 0; i < NR_ANCESTORS; i++) {
		other = parent_of(ctx, other);
		if (!other)
			break;
		search_in(&s, other);
	}
	other = snap;
	for (i = 0; s.nr_left && snap->parent_id && i < SIBLINGS_STEPS; i++) {
		if (list_is_first(&other->list, &ctx->snaps))
			break;
		other = list_prev_entry(other, list);
		if (!other->mm || other->parent_id != snap->parent_id)
			continue;
		search_in(&s, other);
		if (++siblings == NR_SIBLINGS)
			break;
	}
}
