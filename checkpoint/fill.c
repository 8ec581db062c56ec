// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: pages from the descriptor into the restored memory.
 *
 * The processes that own the memory wait. The image decides the address, so
 * each run must lie in mappings that the image itself has declared to own
 * pages: writing goes past the protection of a mapping, which must never reach
 * a file.
 *
 * Private memory is read into new pages, which are then put into the page
 * tables a run at a time: no fault and no clearing for each. A run that fills a
 * huge page is read into one, if a fault would make one there. Where else the
 * kernel would use a larger page, or where a page is already, the caller of
 * restart() reads straight into what a fault has made.
 *
 * Locks: mmap_lock of the target for reading, page table locks inside; none
 * while reading.
 */
#include <linux/bvec.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/khugepaged.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pgalloc.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/uio.h>
#include <linux/userfaultfd_k.h>
#include <linux/xxhash.h>

#include "internal.h"
#include "mm.h"

/**
 * struct run - pages that are being read
 * @ctx: the restart
 * @start: address, or offset in shared memory, of the first
 * @wanted: how many there are
 * @nr: how many are in @pages, each with a reference
 * @fresh: they are new and in no page table
 * @huge: they are those of this one, with one reference; or NULL
 * @pages: where to
 * @bvec: for reading
 */
struct run {
	struct cr_ctx *ctx;
	u64 start;
	unsigned int wanted;
	unsigned int nr;
	bool fresh;
	struct folio *huge;
	struct page **pages;
	struct bio_vec bvec[];
};

/* The mapping record that covers @addr, of the address space with head @head. */
static const struct cr_img_vma *find_mapping(struct cr_ctx *ctx,
					     const struct cr_rec *head, u64 addr)
{
	const struct cr_img_mm *mm = head->data;
	u32 lo = 0, hi = mm->nr_vmas;

	/* ascending, without overlaps, contiguous after the head: all checked */
	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;
		const struct cr_img_vma *vma = ctx->recs[head->index + 1 + mid].data;

		if (addr < vma->start)
			hi = mid;
		else if (addr >= vma->end)
			lo = mid + 1;
		else
			return vma;
	}
	return NULL;
}

/*
 * A mapping that an image has declared to own pages need not be one that can:
 * there are no pages behind the end of a file. That is the image's mistake and
 * no bad address of the caller. But a process that is out of memory has none either.
 */
int cr_fill_failed(struct cr_ctx *ctx, struct mm_struct *mm, int err, u64 start)
{
	if (err == -EFAULT && check_stable_address_space(mm))
		err = -ENOMEM;
	if (err == -EFAULT)
		return cr_fail(ctx, -EINVAL, "pages at 0x%llx, where there can be none", start);
	return cr_fail(ctx, err, "no memory for pages at 0x%llx: error %d", start, -err);
}

int cr_fill_check_range(struct cr_ctx *ctx, const struct cr_rec *head, u64 start,
			u32 nr_pages)
{
	u64 addr = start, end = addr + nr_pages * PAGE_SIZE;
	const struct cr_img_vma *vma;

	if (end < addr)
		goto bad;
	while (addr < end) {
		vma = find_mapping(ctx, head, addr);
		if (!vma || !(vma->flags & CR_IMG_VMA_HAS_ANON))
			goto bad;
		addr = vma->end;
	}
	return 0;
bad:
	return cr_fail(ctx, -EINVAL,
		       "object %u: pages at 0x%llx, where the image has no memory",
		       head->id, start);
}

/* Can a new page of one's own simply be put into this mapping? */
static bool takes_fresh(struct vm_area_struct *vma)
{
	return vma && is_cow_mapping(vma->vm_flags) && !userfaultfd_armed(vma) &&
	       !(vma->vm_flags & (VM_LOCKED | VM_SPECIAL | VM_HUGETLB)) &&
	       (vma_is_anonymous(vma) || vma->vm_file);
}

/* Would a fault somewhere in the range make more than a page? */
static bool wants_large(struct vm_area_struct *vma, u64 start, u64 end)
{
	unsigned long orders;
	u64 addr;

	if (!vma_is_anonymous(vma))
		return false;
	orders = thp_vma_allowable_orders(vma, vma->vm_flags,
					  TVA_IN_PF | TVA_ENFORCE_SYSFS,
					  THP_ORDERS_ALL_ANON);
	if (orders & ~BIT(PMD_ORDER))
		return true;
	for (addr = start; orders && addr < end; addr = (addr | ~PMD_MASK) + 1) {
		if (thp_vma_suitable_orders(vma, addr, orders))
			return true;
	}
	return false;
}

/* Under mmap_lock. */
static bool range_takes_fresh(struct mm_struct *mm, u64 addr, u64 end)
{
	struct vm_area_struct *vma;
	u64 next;

	for (; addr < end; addr = next) {
		vma = vma_lookup(mm, addr);
		if (!takes_fresh(vma))
			return false;
		next = min_t(u64, end, vma->vm_end);
		if (wants_large(vma, addr, next))
			return false;
	}
	return true;
}

pmd_t *cr_make_pmd(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d = p4d_alloc(mm, pgd, addr);
	pud_t *pud = p4d ? pud_alloc(mm, p4d, addr) : NULL;

	return pud ? pmd_alloc(mm, pud, addr) : NULL;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* Under mmap_lock: a new huge page if the run is all of one, and a fault would. */
static struct folio *alloc_huge(struct run *r, struct mm_struct *mm)
{
	struct vm_area_struct *vma = vma_lookup(mm, r->start);
	struct folio *folio;

	if (r->wanted != HPAGE_PMD_NR || !takes_fresh(vma) || !vma_is_anonymous(vma) ||
	    !IS_ALIGNED(r->start, HPAGE_PMD_SIZE) ||
	    !thp_vma_suitable_order(vma, r->start, PMD_ORDER) ||
	    !thp_vma_allowable_order(vma, vma->vm_flags, TVA_IN_PF | TVA_ENFORCE_SYSFS,
				     PMD_ORDER))
		return NULL;
	folio = vma_alloc_folio(vma_thp_gfp_mask(vma), HPAGE_PMD_ORDER, vma, r->start,
				true);
	if (folio && mem_cgroup_charge(folio, mm, GFP_KERNEL)) {
		folio_put(folio);
		return NULL;
	}
	return folio;
}

/* As a fault does. -EEXIST if there is something already. */
static int set_huge(struct run *r, struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->vm_mm;
	pmd_t entry, *pmd = cr_make_pmd(mm, r->start);
	pgtable_t table = pmd ? pte_alloc_one(mm) : NULL;
	int err = -EEXIST;
	spinlock_t *ptl;	/* of the entry */

	if (!table)
		return -ENOMEM;
	ptl = pmd_lock(mm, pmd);
	if (check_stable_address_space(mm)) {
		err = -EFAULT;
	} else if (pmd_none(*pmd)) {
		entry = pmd_mkdirty(mk_huge_pmd(&r->huge->page, vma->vm_page_prot));
		if (vma->vm_flags & VM_WRITE)
			entry = pmd_mkwrite(entry, vma);
		folio_add_new_anon_rmap(r->huge, vma, r->start, RMAP_EXCLUSIVE);
		folio_add_lru_vma(r->huge, vma);
		pgtable_trans_huge_deposit(mm, pmd, table);
		set_pmd_at(mm, r->start, pmd, entry);
		update_mmu_cache_pmd(vma, r->start, pmd);
		add_mm_counter(mm, MM_ANONPAGES, HPAGE_PMD_NR);
		mm_inc_nr_ptes(mm);
		err = 0;
	}
	spin_unlock(ptl);
	if (err)
		pte_free(mm, table);
	return err;
}
#else
static struct folio *alloc_huge(struct run *r, struct mm_struct *mm)
{
	return NULL;
}

static int set_huge(struct run *r, struct vm_area_struct *vma)
{
	return -EEXIST;
}
#endif

/* As a fault of current would: its NUMA policy counts. */
static unsigned int alloc_some(unsigned int n, struct page **pages)
{
	const gfp_t gfp = GFP_HIGHUSER_MOVABLE;

#ifdef CONFIG_NUMA
	return alloc_pages_bulk_array_mempolicy(gfp, n, pages);
#else
	return alloc_pages_bulk_array(gfp, n, pages);
#endif
}

static int alloc_fresh(struct run *r, struct mm_struct *mm)
{
	unsigned int i, n;

	memset(r->pages, 0, r->wanted * sizeof(*r->pages));
	while (r->nr < r->wanted) {
		n = alloc_some(r->wanted - r->nr, r->pages + r->nr);
		if (!n)
			goto nomem;
		r->nr += n;
	}
	for (i = 0; i < r->nr; i++) {
		if (mem_cgroup_charge(page_folio(r->pages[i]), mm, GFP_KERNEL))
			goto nomem;
	}
	return 0;
nomem:
	return cr_fail(r->ctx, -ENOMEM, "no memory for pages at 0x%llx", r->start);
}

/* What a fault would find or make there. */
static int fault_in(struct run *r, struct mm_struct *mm)
{
	long n;

	while (r->nr < r->wanted) {
		if (mmap_read_lock_killable(mm))
			return cr_fail(r->ctx, -EINTR, "interrupted");
		n = get_user_pages_remote(mm, r->start + r->nr * PAGE_SIZE,
					  r->wanted - r->nr, FOLL_WRITE | FOLL_FORCE,
					  r->pages + r->nr, NULL);
		mmap_read_unlock(mm);
		if (n <= 0)
			return cr_fill_failed(r->ctx, mm, n ?: -EFAULT, r->start);
		r->nr += n;
	}
	return 0;
}

static int get_mm_pages(struct run *r, struct mm_struct *mm)
{
	if (mmap_read_lock_killable(mm))
		return cr_fail(r->ctx, -EINTR, "interrupted");
	r->huge = alloc_huge(r, mm);
	r->fresh = r->huge ||
		   range_takes_fresh(mm, r->start, r->start + r->wanted * PAGE_SIZE);
	mmap_read_unlock(mm);
	if (r->huge) {
		for (; r->nr < r->wanted; r->nr++)
			r->pages[r->nr] = folio_page(r->huge, r->nr);
		return 0;
	}
	return r->fresh ? alloc_fresh(r, mm) : fault_in(r, mm);
}

/* Under the lock of the page table; it takes the reference over. */
static void set_fresh(struct vm_area_struct *vma, struct page *page,
		      unsigned long addr, pte_t *pte)
{
	struct folio *folio = page_folio(page);
	pte_t entry = mk_pte(page, vma->vm_page_prot);

	entry = pte_mkdirty(pte_sw_mkyoung(entry));
	if (vma->vm_flags & VM_WRITE)
		entry = pte_mkwrite(entry, vma);
	folio_add_new_anon_rmap(folio, vma, addr, RMAP_EXCLUSIVE);
	folio_add_lru_vma(folio, vma);
	set_pte_at(vma->vm_mm, addr, pte, entry);
	update_mmu_cache(vma, addr, pte);
}

/*
 * Put pages from the @i-th on into one page table; where there is something
 * already they stay in r->pages. Returns how many were looked at, or -errno.
 */
static int map_table(struct run *r, struct vm_area_struct *vma, unsigned int i,
		     unsigned int n)
{
	unsigned long addr = r->start + i * PAGE_SIZE;
	struct mm_struct *mm = vma->vm_mm;
	pmd_t *pmd = cr_make_pmd(mm, addr);
	unsigned int k, mapped = 0;
	pte_t *start_pte, *pte;
	spinlock_t *ptl;	/* of the page table */

	if (!pmd || pte_alloc(mm, pmd))
		return -ENOMEM;
	start_pte = pte_offset_map_lock(mm, pmd, addr, &ptl);
	if (!start_pte)
		return n;
	__acquire(ptl);	/* sparse does not see that it was taken */
	if (check_stable_address_space(mm)) {
		pte_unmap_unlock(start_pte, ptl);
		return -EFAULT;
	}
	for (k = 0, pte = start_pte; k < n; k++, pte++, addr += PAGE_SIZE) {
		if (!pte_none(ptep_get(pte)))
			continue;
		set_fresh(vma, r->pages[i + k], addr, pte);
		r->pages[i + k] = NULL;
		mapped++;
	}
	add_mm_counter(mm, MM_ANONPAGES, mapped);
	pte_unmap_unlock(start_pte, ptl);
	return n;
}

/* There was something already: an image may well name a page twice. */
static int copy_rest(struct run *r, struct mm_struct *mm, unsigned int i, unsigned int n)
{
	struct page *page;

	for (; n; i++, n--) {
		if (!r->pages[i])
			continue;
		page = cr_get_user_page(mm, r->start + i * PAGE_SIZE, FOLL_WRITE);
		if (IS_ERR(page))
			return PTR_ERR(page);
		copy_highpage(page, r->pages[i]);
		set_page_dirty_lock(page);
		put_page(page);
	}
	return 0;
}

/* Put the new pages, with their contents, into the address space. */
static int map_fresh(struct run *r, struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	unsigned long addr, end;
	unsigned int i;
	int n, err = 0;

	for (i = 0; i < r->nr; i++)
		__folio_mark_uptodate(page_folio(r->pages[i]));
	if (mmap_read_lock_killable(mm))
		return cr_fail(r->ctx, -EINTR, "interrupted");
	for (i = 0; !err && i < r->nr; i += n) {
		addr = r->start + i * PAGE_SIZE;
		vma = vma_lookup(mm, addr);
		err = takes_fresh(vma) ? anon_vma_prepare(vma) : -EFAULT;
		if (err)
			break;
		end = min3(r->start + r->nr * PAGE_SIZE, (u64)vma->vm_end,
			   (u64)(addr | ~PMD_MASK) + 1);
		n = map_table(r, vma, i, (end - addr) >> PAGE_SHIFT);
		err = n < 0 ? n : copy_rest(r, mm, i, n);
	}
	mmap_read_unlock(mm);
	if (err)
		return cr_fill_failed(r->ctx, mm, err, r->start);
	return 0;
}

/* The same with a huge page. */
static int map_huge(struct run *r, struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	int err = -EFAULT;

	__folio_mark_uptodate(r->huge);
	if (mmap_read_lock_killable(mm))
		return cr_fail(r->ctx, -EINTR, "interrupted");
	vma = vma_lookup(mm, r->start);
	if (takes_fresh(vma) && vma_is_anonymous(vma) &&
	    thp_vma_suitable_order(vma, r->start, PMD_ORDER)) {
		khugepaged_enter_vma(vma, vma->vm_flags);
		err = anon_vma_prepare(vma) ?: set_huge(r, vma);
	}
	if (!err) {
		/* the page table has the reference now */
		r->huge = NULL;
		r->nr = 0;
	} else if (err == -EEXIST) {
		err = copy_rest(r, mm, 0, r->nr);
	}
	mmap_read_unlock(mm);
	if (err)
		return cr_fill_failed(r->ctx, mm, err, r->start);
	return 0;
}

static int get_shmem_pages(struct run *r, struct file *file)
{
	u64 size = PAGE_ALIGN(i_size_read(file_inode(file)));
	pgoff_t index = r->start >> PAGE_SHIFT;
	struct page *page;

	if (r->start > size || r->wanted > (size - r->start) >> PAGE_SHIFT)
		return cr_fail(r->ctx, -EINVAL,
			       "pages at 0x%llx of shared memory of 0x%llx bytes",
			       r->start, size);
	while (r->nr < r->wanted) {
		page = shmem_read_mapping_page(file->f_mapping, index + r->nr);
		if (IS_ERR(page))
			return cr_fail(r->ctx, PTR_ERR(page),
				       "no memory for pages of shared memory");
		r->pages[r->nr++] = page;
	}
	return 0;
}

static int read_run(struct run *r, struct cr_in *in, u64 hash)
{
	unsigned int i, nr_bvec = 0;
	struct xxh64_state state;
	struct iov_iter iter;

	for (i = 0; i < r->nr; i++) {
		if (!nr_bvec || !cr_bvec_join(&r->bvec[nr_bvec - 1], r->pages[i]))
			bvec_set_page(&r->bvec[nr_bvec++], r->pages[i], PAGE_SIZE, 0);
	}
	iov_iter_bvec(&iter, ITER_DEST, r->bvec, nr_bvec, r->nr * PAGE_SIZE);
	if (cr_in_iter(r->ctx, in, &iter))
		return r->ctx->err;
	xxh64_reset(&state, 0);
	for (i = 0; i < r->nr; i++) {
		const void *p = kmap_local_page(r->pages[i]);

		xxh64_update(&state, p, PAGE_SIZE);
		kunmap_local(p);
	}
	if (xxh64_digest(&state) != hash)
		return cr_fail(r->ctx, -EBADMSG, "pages at 0x%llx: bad checksum", r->start);
	return 0;
}

static int fill_run(struct run *r, struct cr_in *in, u32 id, u64 hash)
{
	const struct cr_rec *head = cr_obj_head(r->ctx, id, CR_IMG_MM);
	bool shmem = cr_obj_head(r->ctx, id, CR_IMG_SHMEM);
	/* nothing but those two has said yet that there is such an object */
	void *obj = head || shmem ? cr_obj_peek(r->ctx, id) : NULL;
	int err;

	if (obj && head) {
		err = cr_fill_check_range(r->ctx, head, r->start, r->wanted) ?:
		      get_mm_pages(r, obj) ?: read_run(r, in, hash);
		if (err || !r->fresh)
			return err;
		return r->huge ? map_huge(r, obj) : map_fresh(r, obj);
	}
	if (obj)
		return get_shmem_pages(r, obj) ?: read_run(r, in, hash);
	return cr_fail(r->ctx, -EINVAL, "pages for object %u, which has no memory", id);
}

static void put_pages(struct run *r)
{
	struct folio *last = NULL, *folio;
	unsigned int i;

	if (r->huge) {
		folio_put(r->huge);
		return;
	}
	for (i = 0; i < r->nr; i++) {
		if (!r->pages[i])
			continue;
		folio = page_folio(r->pages[i]);
		if (!r->fresh && folio != last)
			set_page_dirty_lock(r->pages[i]);
		last = folio;
		put_page(r->pages[i]);
	}
}

/**
 * cr_fill_pages() - read a run of pages to where they belong
 * @ctx: the restart
 * @in: the image; the pages come next
 * @id: object that they belong to, any number
 * @pg: where they belong, how many, their hash; any numbers
 *
 * Context: the caller of restart(); all restored processes wait.
 * Return: 0, or -errno as told.
 */
int cr_fill_pages(struct cr_ctx *ctx, struct cr_in *in, u32 id,
		  const struct cr_img_pages *pg)
{
	struct run *r;
	int err;

	if (!pg->nr_pages || pg->nr_pages > CR_PAGES_RUN_MAX ||
	    !PAGE_ALIGNED(pg->start) || pg->reserved)
		return cr_fail(ctx, -EINVAL, "%u pages at 0x%llx", pg->nr_pages, pg->start);
	r = kvmalloc(struct_size(r, bvec, pg->nr_pages) +
		     pg->nr_pages * sizeof(*r->pages), GFP_KERNEL);
	if (!r)
		return cr_fail(ctx, -ENOMEM, "no memory to read the image");
	r->ctx = ctx;
	r->start = pg->start;
	r->wanted = pg->nr_pages;
	r->nr = 0;
	r->fresh = false;
	r->huge = NULL;
	r->pages = (struct page **)&r->bvec[pg->nr_pages];
	err = fill_run(r, in, id, pg->hash);
	put_pages(r);
	kvfree(r);
	cond_resched();
	return err;
}
