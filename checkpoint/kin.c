// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: pages that processes of an image share copy on write.
 *
 * A page that is shared must be found from all mappings that have it, by the
 * anon_vma it belongs to (rmap). fork() sees to that by its order; here the
 * mappings are made by processes that do not know of each other. So before the
 * first page comes, those of which the image says that they may share pages are
 * connected: all of the others as if they were forked from the first one. That
 * is what an image can do at most. Whether a page really can be shared is decided
 * by what the mappings are now, and if not it is copied.
 *
 * The image is hostile. Pages are taken from and given to mappings that it has
 * declared to own pages, and only pages that a restored process owns are taken,
 * never those of a file. References go to address spaces that stand before the
 * one that has them, so an address space is never both.
 *
 * Locks: mmap_lock of the earlier address space for writing, then that of the
 * later one, as in fork(); page table locks in the other order, also as there;
 * locks of pages are only tried inside of them.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include <asm/tlbflush.h>

#include "internal.h"
#include "mm.h"

/**
 * struct kin - mappings with the same anon_id
 * @nr: how many there are
 * @first_id: address space of the first one that was met, 0 if none
 * @last_id: address space of the last one
 * @first: an address in the first one
 * @last: an address in the first one of the last address space
 */
struct kin {
	u32 nr;
	u32 first_id;
	u32 last_id;
	u64 first;
	u64 last;
};

/* Mappings whose pages are the business of nobody else. */
static bool is_plain(const struct vm_area_struct *vma)
{
	return vma && is_cow_mapping(vma->vm_flags) &&
	       !(vma->vm_flags & (VM_SPECIAL | VM_HUGETLB));
}

/* Make @dst a part of what @src is a part of; they may be in one address space. */
static int connect_vmas(struct vm_area_struct *src, struct vm_area_struct *dst)
{
	int err;

	/* has got pages; or is one with a neighbour now, which was connected */
	if (!is_plain(src) || !is_plain(dst) || src == dst || dst->anon_vma)
		return 0;
	vma_start_write(src);
	vma_start_write(dst);
	err = anon_vma_prepare(src);
	if (err || src->vm_mm != dst->vm_mm)
		return err ?: anon_vma_fork(dst, src);
	/* as for the two halves of a mapping that was split */
	dst->anon_vma = src->anon_vma;
	return anon_vma_clone(dst, src);
}

static int connect_one(struct cr_ctx *ctx, struct kin *kin, u32 id, u64 addr)
{
	bool same = kin->last_id == id;
	u32 src_id = same ? id : kin->first_id;
	u64 from = same ? kin->last : kin->first;
	struct mm_struct *src = cr_obj_peek(ctx, src_id), *dst = cr_obj_peek(ctx, id);
	int err;

	if (mmap_write_lock_killable(src))
		return -EINTR;
	if (src != dst)
		mmap_write_lock_nested(dst, SINGLE_DEPTH_NESTING);
	err = connect_vmas(vma_lookup(src, from), vma_lookup(dst, addr));
	if (src != dst)
		mmap_write_unlock(dst);
	mmap_write_unlock(src);
	return err;
}

static int connect_mm(struct cr_ctx *ctx, struct kin *kins, const struct cr_rec *head)
{
	const struct cr_rec *part;
	int err = 0;

	cr_for_each_part(ctx, part, head) {
		const struct cr_img_vma *vma = part->data;
		struct kin *kin = &kins[vma->anon_id];

		if (!vma->anon_id || kin->nr < 2)
			continue;
		if (kin->first_id)
			err = connect_one(ctx, kin, head->id, vma->start);
		if (err)
			return cr_fail(ctx, err, "mapping at 0x%llx: error %d",
				       vma->start, err);
		if (!kin->first_id) {
			kin->first_id = head->id;
			kin->first = vma->start;
		}
		if (kin->last_id != head->id) {
			kin->last_id = head->id;
			kin->last = vma->start;
		}
		cond_resched();
	}
	return 0;
}

/* The first mapping of the image from the @i-th record on, in @i; or NULL. */
static const struct cr_img_vma *vma_from(struct cr_ctx *ctx, u32 *i)
{
	while (*i < ctx->nr_records && ctx->recs[*i].type != CR_IMG_VMA)
		++*i;
	return *i < ctx->nr_records ? ctx->recs[*i].data : NULL;
}

#define for_each_vma_of_image(ctx, i, vma) \
	for ((i) = 0; ((vma) = vma_from(ctx, &(i))); (i)++)

/* How many mappings have each number; the numbers were checked to be in range. */
static struct kin *count_kin(struct cr_ctx *ctx)
{
	const struct cr_img_vma *vma;
	struct kin *kins;
	u32 i, max = 0;

	for_each_vma_of_image(ctx, i, vma)
		max = max(max, vma->anon_id);
	kins = kvcalloc(max + 1, sizeof(*kins), GFP_KERNEL_ACCOUNT);
	if (!kins)
		return NULL;
	for_each_vma_of_image(ctx, i, vma)
		kins[vma->anon_id].nr++;
	return kins;
}

/**
 * cr_kin_connect() - make it possible that mappings share pages
 * @ctx: the restart, of an image; all mappings exist, and none has got its pages
 *
 * Context: the caller of restart(); all restored processes wait.
 * Return: 0, or -errno as told.
 */
int cr_kin_connect(struct cr_ctx *ctx)
{
	struct kin *kins;
	int err = 0;
	u32 i;

	kins = count_kin(ctx);
	if (!kins)
		return cr_fail(ctx, -ENOMEM, "no memory for the mappings of the image");
	for (i = 0; !err && i < ctx->nr_records; i++) {
		/* an address space that no process has is not made */
		if (ctx->recs[i].type == CR_IMG_MM && cr_obj_peek(ctx, ctx->recs[i].id))
			err = connect_mm(ctx, kins, &ctx->recs[i]);
	}
	kvfree(kins);
	return err;
}

/**
 * struct share - pages that are being shared
 * @ctx: the restart
 * @start: address of the first
 * @end: one past the last
 * @src_mm: the address space that has them; locked for writing
 * @dst_mm: the one that gets them; the same
 * @todo: bit n: the n-th page was not shared, and is no hole
 */
struct share {
	struct cr_ctx *ctx;
	unsigned long start;
	unsigned long end;
	struct mm_struct *src_mm;
	struct mm_struct *dst_mm;
	DECLARE_BITMAP(todo, CR_PAGES_RUN_MAX);
};

static unsigned int page_nr(const struct share *s, unsigned long addr)
{
	return (addr - s->start) >> PAGE_SHIFT;
}

static bool in_chain(struct vm_area_struct *vma, const struct anon_vma *anon_vma)
{
	struct anon_vma_chain *avc;

	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
		if (avc->anon_vma == anon_vma)
			return true;
	}
	return false;
}

/* What the page belongs to; NULL for a merged one (KSM). */
static struct anon_vma *folio_family(struct folio *folio)
{
	unsigned long mapping = (unsigned long)READ_ONCE(folio->mapping);

	if ((mapping & PAGE_MAPPING_FLAGS) != PAGE_MAPPING_ANON)
		return NULL;
	return (void *)(mapping - PAGE_MAPPING_ANON);
}

/*
 * Will the page be found from @dst, too? If it belongs to what @src has by itself,
 * it can be given to what both have from their common ancestor, as pages that
 * come from swap are. Under the lock of the page table of @src.
 */
static bool rmap_covers(struct folio *folio, struct vm_area_struct *src,
			struct vm_area_struct *dst)
{
	struct anon_vma *anon_vma = folio_family(folio), *root;

	if (!anon_vma)
		return false;
	if (in_chain(dst, anon_vma))
		return true;
	root = anon_vma->root;
	if (!in_chain(src, root) || !in_chain(dst, root) || !folio_trylock(folio))
		return false;
	/* at once with the flag, as in folio_move_anon_rmap() */
	if (folio_family(folio) == anon_vma)
		WRITE_ONCE(folio->mapping, (void *)root + PAGE_MAPPING_ANON);
	folio_unlock(folio);
	return in_chain(dst, folio_family(folio));
}

/* Can @dst have pages of @src at all? For rmap, addresses follow from offsets. */
static bool can_share(struct vm_area_struct *src, struct vm_area_struct *dst,
		      unsigned long addr)
{
	return is_plain(src) && is_plain(dst) && src->anon_vma && dst->anon_vma &&
	       !((src->vm_flags | dst->vm_flags) & VM_DROPPABLE) &&
	       !(dst->vm_flags & VM_LOCKED) &&
	       !userfaultfd_armed(src) && !userfaultfd_armed(dst) &&
	       vma_is_anonymous(src) == vma_is_anonymous(dst) &&
	       linear_page_index(src, addr) == linear_page_index(dst, addr);
}

/* As copy_present_ptes() of fork() does. True if nothing is left to do. */
static bool share_pte(struct vm_area_struct *src, struct vm_area_struct *dst,
		      pte_t *src_pte, pte_t *dst_pte, unsigned long addr)
{
	pte_t pte = ptep_get(src_pte), new;
	struct folio *folio;
	struct page *page;

	/* a hole; but a private file would show through it */
	if (pte_none(pte))
		return vma_is_anonymous(dst);
	if (!pte_present(pte) || !pte_none(ptep_get(dst_pte)))
		return false;
	page = vm_normal_page(src, addr, pte);
	if (!page || !PageAnon(page))
		return false;
	folio = page_folio(page);
	if (!rmap_covers(folio, src, dst))
		return false;
	folio_get(folio);
	if (folio_try_dup_anon_rmap_pte(folio, page, src)) {
		/* pinned: whoever did that must keep it */
		folio_put(folio);
		return false;
	}
	if (pte_write(pte))
		ptep_set_wrprotect(src->vm_mm, addr, src_pte);
	new = mk_pte(page, dst->vm_page_prot);
	if (pte_dirty(pte))
		new = pte_mkdirty(new);
	set_pte_at(dst->vm_mm, addr, dst_pte, pte_mkold(new));
	inc_mm_counter(dst->vm_mm, MM_ANONPAGES);
	return true;
}

/* What is in one page table, as copy_pte_range() of fork() does. */
static int share_table(struct share *s, struct vm_area_struct *src,
		       struct vm_area_struct *dst, pmd_t *src_pmd, pmd_t *dst_pmd,
		       unsigned long addr, unsigned long end)
{
	spinlock_t *src_ptl, *dst_ptl;	/* of the page tables */
	pte_t *src_pte, *dst_pte;
	unsigned int i;

	if (pte_alloc(s->dst_mm, dst_pmd))
		return -ENOMEM;
	dst_pte = pte_offset_map_lock(s->dst_mm, dst_pmd, addr, &dst_ptl);
	if (!dst_pte)
		return 0;
	__acquire(dst_ptl);	/* sparse does not see that it was taken */
	src_pte = pte_offset_map_nolock(s->src_mm, src_pmd, addr, &src_ptl);
	if (src_pte) {
		spin_lock_nested(src_ptl, SINGLE_DEPTH_NESTING);
		__acquire(RCU);	/* nor this, by pte_offset_map_nolock() */
		for (i = 0; addr < end; i++, addr += PAGE_SIZE) {
			if (test_bit(page_nr(s, addr), s->todo) &&
			    share_pte(src, dst, src_pte + i, dst_pte + i, addr))
				__clear_bit(page_nr(s, addr), s->todo);
		}
		pte_unmap_unlock(src_pte, src_ptl);
	}
	pte_unmap_unlock(dst_pte, dst_ptl);
	return 0;
}

/* Is it a huge page that can be shared as one? Else it is mapped in pieces. */
static bool share_huge(struct share *s, struct vm_area_struct *src,
		       struct vm_area_struct *dst, pmd_t *src_pmd, pmd_t *dst_pmd,
		       unsigned long addr, unsigned long end)
{
	bool whole = false;
	spinlock_t *ptl;	/* of the huge page */

	ptl = pmd_trans_huge_lock(src_pmd, src);
	if (!ptl)
		return false;
	__acquire(ptl);	/* sparse does not see that it was taken */
	if (pmd_present(*src_pmd) && pmd_none(*dst_pmd) && end - addr == PMD_SIZE &&
	    vma_is_anonymous(dst) &&
	    pgprot_val(src->vm_page_prot) == pgprot_val(dst->vm_page_prot)) {
		struct folio *folio = page_folio(pmd_page(*src_pmd));

		whole = folio_test_anon(folio) && rmap_covers(folio, src, dst);
	}
	spin_unlock(ptl);
	if (whole && !copy_huge_pmd(s->dst_mm, s->src_mm, dst_pmd, src_pmd, addr, dst, src))
		return true;
	split_huge_pmd(src, src_pmd, addr);
	return false;
}

/* What lies within one page table, and in one mapping of each. */
static int share_piece(struct share *s, struct vm_area_struct *src,
		       struct vm_area_struct *dst, unsigned long addr, unsigned long end)
{
	unsigned int first = page_nr(s, addr), last = page_nr(s, end);
	pmd_t *src_pmd, *dst_pmd;

	if (find_next_bit(s->todo, last, first) == last)
		return 0;
	src_pmd = cr_make_pmd(s->src_mm, addr);
	dst_pmd = cr_make_pmd(s->dst_mm, addr);
	if (!src_pmd || !dst_pmd)
		return -ENOMEM;
	if (share_huge(s, src, dst, src_pmd, dst_pmd, addr, end)) {
		bitmap_clear(s->todo, first, last - first);
		return 0;
	}
	if (pmd_none(*src_pmd)) {
		if (vma_is_anonymous(dst))
			bitmap_clear(s->todo, first, last - first);
		return 0;
	}
	return share_table(s, src, dst, src_pmd, dst_pmd, addr, end);
}

/* Share what can be shared; s->todo tells what is left. */
static int share_range(struct share *s)
{
	struct vm_area_struct *src = NULL, *dst;
	unsigned long addr, end;
	int err = 0;

	/* for page_needs_cow_for_dma(), as in copy_page_range() */
	raw_write_seqcount_begin(&s->src_mm->write_protect_seq);
	for (addr = s->start; !err && addr < s->end; addr = end) {
		src = vma_lookup(s->src_mm, addr);
		dst = vma_lookup(s->dst_mm, addr);
		if (!src || !dst) {
			err = -EFAULT;
			break;
		}
		end = min3(s->end, src->vm_end, dst->vm_end);
		end = min(end, (addr | ~PMD_MASK) + 1);
		if (!can_share(src, dst, addr))
			continue;
		vma_start_write(src);
		vma_start_write(dst);
		err = share_piece(s, src, dst, addr, end);
	}
	raw_write_seqcount_end(&s->src_mm->write_protect_seq);
	/* nobody has run in it, but its kernel side may have looked at it */
	if (src)
		flush_tlb_range(src, s->start, s->end);
	return err;
}

/* What a page of the source has been swapped for, brought back. */
static int bring_in(struct share *s)
{
	struct page *page;
	unsigned int i;

	for_each_set_bit(i, s->todo, page_nr(s, s->end)) {
		page = cr_get_user_page(s->src_mm, s->start + i * PAGE_SIZE, 0);
		if (IS_ERR(page))
			return PTR_ERR(page);
		put_page(page);
	}
	return 0;
}

static int copy_one(struct share *s, unsigned long addr)
{
	struct page *from, *to;

	from = cr_get_user_page(s->src_mm, addr, 0);
	if (IS_ERR(from))
		return PTR_ERR(from);
	if (!PageAnon(from)) {
		bool zero = is_zero_page(from) || is_huge_zero_folio(page_folio(from));

		put_page(from);
		/* a page of a file is not the image's to give */
		return zero && vma_is_anonymous(vma_lookup(s->dst_mm, addr)) ? 0 : -EINVAL;
	}
	to = cr_get_user_page(s->dst_mm, addr, FOLL_WRITE);
	if (!IS_ERR(to)) {
		copy_highpage(to, from);
		set_page_dirty_lock(to);
		put_page(to);
	}
	put_page(from);
	return PTR_ERR_OR_ZERO(to);
}

/* Right, but not shared. */
static int copy_rest(struct share *s)
{
	unsigned int i;
	int err;

	for_each_set_bit(i, s->todo, page_nr(s, s->end)) {
		err = copy_one(s, s->start + i * PAGE_SIZE);
		if (err)
			return err;
	}
	return 0;
}

static int share_locked(struct share *s)
{
	int err;

	bitmap_fill(s->todo, page_nr(s, s->end));
	err = share_range(s);
	if (err || bitmap_empty(s->todo, page_nr(s, s->end)))
		return err;
	return bring_in(s) ?: share_range(s) ?: copy_rest(s);
}

/* Is the source an address space that has its pages before @head gets any? */
static int check_ref(struct cr_ctx *ctx, const struct cr_rec *head, u32 id,
		     const struct cr_img_pages_ref *ref)
{
	const struct cr_rec *from = cr_obj_head(ctx, ref->from_id, CR_IMG_MM);

	if (!ref->nr_pages || ref->nr_pages > CR_PAGES_RUN_MAX || !PAGE_ALIGNED(ref->start))
		return cr_fail(ctx, -EINVAL, "%u shared pages at 0x%llx", ref->nr_pages,
			       ref->start);
	if (!head || !from || from->index >= head->index ||
	    !cr_obj_peek(ctx, id) || !cr_obj_peek(ctx, ref->from_id))
		return cr_fail(ctx, -EINVAL, "pages for object %u, shared with object %u",
			       id, ref->from_id);
	return cr_fill_check_range(ctx, head, ref->start, ref->nr_pages) ?:
	       cr_fill_check_range(ctx, from, ref->start, ref->nr_pages);
}

/**
 * cr_kin_share() - let an address space share pages with an earlier one
 * @ctx: the restart, of an image
 * @id: the address space, any number
 * @ref: where, how many, with which; any numbers
 *
 * Context: the caller of restart(); all restored processes wait.
 * Return: 0, or -errno as told.
 */
int cr_kin_share(struct cr_ctx *ctx, u32 id, const struct cr_img_pages_ref *ref)
{
	const struct cr_rec *head = cr_obj_head(ctx, id, CR_IMG_MM);
	struct share s = { .ctx = ctx };
	int err;

	if (check_ref(ctx, head, id, ref))
		return ctx->err;
	s.start = ref->start;
	s.end = ref->start + ref->nr_pages * PAGE_SIZE;
	s.src_mm = cr_obj_peek(ctx, ref->from_id);
	s.dst_mm = cr_obj_peek(ctx, id);
	if (mmap_write_lock_killable(s.src_mm))
		return cr_fail(ctx, -EINTR, "interrupted");
	mmap_write_lock_nested(s.dst_mm, SINGLE_DEPTH_NESTING);
	err = share_locked(&s);
	mmap_write_unlock(s.dst_mm);
	mmap_write_unlock(s.src_mm);
	if (err)
		return cr_fill_failed(ctx, check_stable_address_space(s.src_mm) ?
				      s.src_mm : s.dst_mm, err, ref->start);
	cond_resched();
	return 0;
}

#include "tests/kin-kunit.h"
