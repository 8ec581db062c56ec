// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: is a snapshot the memory that was there at the freeze?
 *
 * At the end of the dump, while nobody runs, every page that a process owns and
 * every page of shared anonymous memory is hashed where the processes have it.
 * Whenever the snapshot is used (written, restarted, rolled back to) its pages
 * are hashed as well, and the two lists must be the same. A page that is not
 * there counts as one of zeros, since the kernel may replace the one by the
 * other (it does so when it splits a huge page).
 *
 * Not looked at, because there is nothing to hash without a fault or because it
 * may change by itself: pages that are in swap or being migrated at the freeze,
 * memory that MADV_FREE has offered to the kernel and that was not written to
 * since, MAP_DROPPABLE.
 *
 * What writes to a stopped process from outside (ptrace, process_vm_writev)
 * between its snapshot and the end of the dump is taken for a difference.
 *
 * Locks: mmap_lock for reading, page table locks inside. Pages are hashed with a
 * reference and without a lock.
 */
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/pagewalk.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/sysctl.h>
#include <linux/xarray.h>
#include <linux/xxhash.h>

#include "internal.h"
#include "mm.h"

/* kernel.checkpoint_verify: it makes the frozen window several times as long. */
static unsigned int cr_verify_enabled = 1;

/**
 * struct entry - one page
 * @addr: its address, or offset in shared memory; SKIPPED: its contents are
 *        not known
 * @page: while pages are gathered under a lock: it, with a reference
 * @hash: XXH64 of it
 */
struct entry {
	u64 addr;
	union {
		struct page *page;
		u64 hash;
	};
};

#define SKIPPED		1ULL
#define CHUNK_SIZE	SZ_16K

struct chunk {
	struct list_head list;
	u32 nr;
	struct entry entries[];
};

#define PER_CHUNK	((CHUNK_SIZE - sizeof(struct chunk)) / sizeof(struct entry))

/* Pages of one page table go into one chunk. */
static_assert(PER_CHUNK >= PTRS_PER_PTE);

/**
 * struct cr_verify - hashes of an address space, or of shared memory
 * @pid: process that it is of; 0 of shared memory
 * @chunks: &struct chunk, ascending addresses
 * @nr: entries in all chunks
 */
struct cr_verify {
	pid_t pid;
	struct list_head chunks;
	u64 nr;
};

/* Where in a list one is. */
struct cursor {
	struct cr_verify *v;
	struct chunk *chunk;
	u32 i;
};

static void list_init(struct cr_verify *v)
{
	v->pid = 0;
	INIT_LIST_HEAD(&v->chunks);
	v->nr = 0;
}

static void list_free(struct cr_verify *v)
{
	struct chunk *c, *next;

	list_for_each_entry_safe(c, next, &v->chunks, list)
		kfree(c);
	INIT_LIST_HEAD(&v->chunks);
}

/* The chunk that has room for @n entries, a new one if need be. */
static struct chunk *chunk_for(struct cr_verify *v, u32 n)
{
	struct chunk *c;

	if (!list_empty(&v->chunks)) {
		c = list_last_entry(&v->chunks, struct chunk, list);
		if (PER_CHUNK - c->nr >= n)
			return c;
	}
	if (v->nr + n > CR_VERIFY_PAGES_MAX)
		return NULL;
	c = kmalloc(CHUNK_SIZE, GFP_KERNEL_ACCOUNT);
	if (!c)
		return NULL;
	c->nr = 0;
	list_add_tail(&c->list, &v->chunks);
	return c;
}

static u64 hash_page(struct page *page)
{
	const void *p = kmap_local_page(page);
	u64 hash = xxh64(p, PAGE_SIZE, 0);

	kunmap_local(p);
	return hash;
}

/* @page: NULL if there is one but it cannot be looked at. Takes a reference. */
static void add_page(struct chunk *c, u64 addr, struct page *page)
{
	struct entry *e = &c->entries[c->nr++];

	e->addr = page ? addr : addr | SKIPPED;
	e->page = page;
	if (page)
		get_page(page);
}

/* Outside of locks: the pages that were added from the @from-th on. */
static void hash_added(struct cr_verify *v, struct chunk *c, u32 from)
{
	v->nr += c->nr - from;
	for (; from < c->nr; from++) {
		struct entry *e = &c->entries[from];
		struct page *page = e->page;

		if (e->addr & SKIPPED)
			continue;
		e->hash = hash_page(page);
		put_page(page);
	}
	cond_resched();
}

/* May reclaim drop it, since MADV_FREE? */
static bool may_vanish(struct page *page, bool dirty)
{
	return !dirty && !folio_test_swapbacked(page_folio(page));
}

static void take_huge(struct chunk *c, pmd_t pmd, unsigned long addr, unsigned long end)
{
	struct page *page = NULL;

	if (pmd_present(pmd)) {
		page = pmd_page(pmd);
		if (is_huge_zero_pmd(pmd) || !PageAnon(page))
			return;
		page = may_vanish(page, pmd_dirty(pmd)) ? NULL :
			page + ((addr & ~PMD_MASK) >> PAGE_SHIFT);
	}
	for (; addr < end; addr += PAGE_SIZE) {
		add_page(c, addr, page);
		if (page)
			page++;
	}
}

static void take_one(struct chunk *c, struct vm_area_struct *vma, pte_t pte,
		     unsigned long addr)
{
	struct page *page = NULL;

	if (pte_none(pte))
		return;
	if (pte_present(pte)) {
		page = vm_normal_page(vma, addr, pte);
		if (!page || !PageAnon(page))
			return;
		if (may_vanish(page, pte_dirty(pte)))
			page = NULL;
	}
	add_page(c, addr, page);
}

static int take_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
		    struct mm_walk *walk)
{
	struct chunk *c = chunk_for(walk->private, (end - addr) >> PAGE_SHIFT);
	pte_t *start_pte, *pte;
	spinlock_t *ptl;	/* of the page table */
	u32 from;

	if (!c)
		return -ENOMEM;
	from = c->nr;
	ptl = pmd_trans_huge_lock(pmd, walk->vma);
	if (ptl) {
		__acquire(ptl);	/* sparse does not see that it was taken */
		take_huge(c, *pmd, addr, end);
		spin_unlock(ptl);
	} else {
		start_pte = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
		if (!start_pte) {
			walk->action = ACTION_AGAIN;
			return 0;
		}
		__acquire(ptl);
		for (pte = start_pte; addr < end; pte++, addr += PAGE_SIZE)
			take_one(c, walk->vma, ptep_get(pte), addr);
		pte_unmap_unlock(start_pte, ptl);
	}
	hash_added(walk->private, c, from);
	return 0;
}

static int test_vma(unsigned long start, unsigned long end, struct mm_walk *walk)
{
	return !!(walk->vma->vm_flags & (VM_PFNMAP | VM_DROPPABLE));
}

static const struct mm_walk_ops take_ops = {
	.pmd_entry = take_pmd,
	.test_walk = test_vma,
	.walk_lock = PGWALK_RDLOCK,
};

static int take_mm(struct cr_verify *v, struct mm_struct *mm)
{
	int err;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	err = walk_page_range(mm, 0, TASK_SIZE_MAX, &take_ops, v);
	mmap_read_unlock(mm);
	return err;
}

static int take_page(struct cr_verify *v, pgoff_t index, struct page *page)
{
	struct chunk *c = chunk_for(v, 1);

	if (!c)
		return -ENOMEM;
	add_page(c, (u64)index << PAGE_SHIFT, page);
	hash_added(v, c, c->nr - 1);
	return 0;
}

static int take_shmem(struct cr_verify *v, struct address_space *mapping)
{
	pgoff_t index = 0;
	struct page *page;
	int err = 0;

	/* what swapped out since the snapshot was taken is an entry that is no page */
	for (; !err && xa_find(&mapping->i_pages, &index, ULONG_MAX, XA_PRESENT); index++) {
		page = find_get_page(mapping, index);
		err = take_page(v, index, page);
		if (page)
			put_page(page);
	}
	return err;
}

static int take_xarray(struct cr_verify *v, struct xarray *pages)
{
	unsigned long index;
	struct page *page;
	int err = 0;

	xa_for_each(pages, index, page) {
		err = take_page(v, index, page);
		if (err)
			break;
	}
	return err;
}

static struct cr_verify *verify_alloc(struct cr_ctx *ctx, u32 id)
{
	struct cr_snap *snap = cr_snap_find(ctx, id);

	if (!snap)
		return NULL;
	snap->verify = kmalloc(sizeof(*snap->verify), GFP_KERNEL_ACCOUNT);
	if (snap->verify)
		list_init(snap->verify);
	else
		cr_fail(ctx, -ENOMEM, "no memory for hashes (kernel.checkpoint_verify)");
	return snap->verify;
}

static int take_failed(struct cr_ctx *ctx, int err)
{
	if (err == -EINTR)
		return cr_fail(ctx, err, "interrupted");
	if (err == -ENOMEM)
		return cr_fail(ctx, err, "no memory for hashes (kernel.checkpoint_verify)");
	return cr_fail(ctx, err, "a page of the snapshot cannot be read: error %d", -err);
}

static int take_process(struct cr_ctx *ctx, struct cr_task *t)
{
	struct cr_verify *v;
	int err = 0;

	/* a zombie */
	if (!t->mm)
		return 0;
	v = verify_alloc(ctx, cr_obj_id(ctx, CR_IMG_MM, t->mm));
	if (v) {
		v->pid = cr_pid(t);
		err = take_mm(v, t->mm);
	}
	return err ? take_failed(ctx, err) : ctx->err;
}

/**
 * cr_verify_take() - hash all memory of a tree
 * @ctx: the checkpoint; everything is dumped, nobody released
 *
 * Return: 0, or -errno as told.
 */
int cr_verify_take(struct cr_ctx *ctx)
{
	struct cr_task *t;
	u32 i;

	if (!READ_ONCE(cr_verify_enabled))
		return 0;
	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->leader == t && take_process(ctx, t))
			return ctx->err;
	}
	for (i = 0; i < ctx->objref.nr_slots; i++) {
		const struct cr_objref_entry *e = &ctx->objref.slots[i];
		const struct inode *inode = e->obj;
		struct cr_verify *v;
		int err;

		if (!inode || e->type != CR_IMG_SHMEM)
			continue;
		v = verify_alloc(ctx, e->id);
		if (!v)
			return ctx->err;
		err = take_shmem(v, inode->i_mapping);
		if (err)
			return take_failed(ctx, err);
	}
	return 0;
}

static struct entry *cursor_start(struct cursor *c, struct cr_verify *v)
{
	c->v = v;
	c->chunk = list_first_entry_or_null(&v->chunks, struct chunk, list);
	c->i = 0;
	while (c->chunk && !c->chunk->nr) {
		if (list_is_last(&c->chunk->list, &v->chunks))
			return NULL;
		c->chunk = list_next_entry(c->chunk, list);
	}
	return c->chunk ? &c->chunk->entries[0] : NULL;
}

static struct entry *cursor_next(struct cursor *c)
{
	while (++c->i >= c->chunk->nr) {
		if (list_is_last(&c->chunk->list, &c->v->chunks))
			return NULL;
		c->chunk = list_next_entry(c->chunk, list);
		c->i = -1;
	}
	return &c->chunk->entries[c->i];
}

/* A page of the snapshot was in swap, or such, when it was looked for. */
static int bring_in(struct mm_struct *mm, struct entry *e)
{
	u64 addr = e->addr & ~SKIPPED;
	struct page *page;

	if (!mm)
		return -EFAULT;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	page = cr_get_user_page(mm, addr, 0);
	mmap_read_unlock(mm);
	if (IS_ERR(page))
		return PTR_ERR(page);
	e->addr = addr;
	e->hash = hash_page(page);
	put_page(page);
	return 0;
}

/*
 * Are the pages of a snapshot, @now, those of the freeze, @was? @mm: what @now
 * was taken of, NULL of shared memory. Returns 0; 1 with the address of the first
 * difference; -errno.
 */
static int compare(struct cr_verify *was, struct cr_verify *now, struct mm_struct *mm,
		   u64 *addr)
{
	const u64 zero = hash_page(ZERO_PAGE(0));
	struct cursor a, b;
	struct entry *w = cursor_start(&a, was), *n = cursor_start(&b, now);
	int err;

	while (w || n) {
		u64 w_addr = w ? w->addr & ~SKIPPED : U64_MAX;
		u64 n_addr = n ? n->addr & ~SKIPPED : U64_MAX;
		bool has_w = w_addr <= n_addr, has_n = n_addr <= w_addr;

		*addr = min(w_addr, n_addr);
		if (!has_w || !(w->addr & SKIPPED)) {
			if (has_n && (n->addr & SKIPPED)) {
				err = bring_in(mm, n);
				if (err)
					return err;
			}
			if ((has_w ? w->hash : zero) != (has_n ? n->hash : zero))
				return 1;
		}
		if (has_w)
			w = cursor_next(&a);
		if (has_n)
			n = cursor_next(&b);
	}
	return 0;
}

/* As compare(); a difference is told, and the caller's to warn of. */
static int check_snap(struct cr_ctx *ctx, struct cr_snap *snap, u64 *addr)
{
	struct cr_verify now;
	int err;

	list_init(&now);
	err = snap->mm ? take_mm(&now, snap->mm) : take_xarray(&now, snap->pages);
	if (!err)
		err = compare(snap->verify, &now, snap->mm, addr);
	list_free(&now);
	if (err < 0)
		return take_failed(ctx, err);
	if (!err)
		return 0;
	if (snap->mm)
		cr_fail(ctx, -EIO,
			"pid %d address 0x%llx (object %u): the snapshot is not what was there at the freeze",
			snap->verify->pid, *addr, snap->id);
	else
		cr_fail(ctx, -EIO,
			"shared memory (object %u) offset 0x%llx: the snapshot is not what was there at the freeze",
			snap->id, *addr);
	return err;
}

/**
 * cr_verify_check() - is a checkpoint's memory what it was at the freeze?
 * @ctx: the checkpoint or restart; gets the reason
 * @from: whose snapshots; one that was made with kernel.checkpoint_verify 0 has
 *        nothing to be compared with
 *
 * Context: Process context, sleeps.
 * Return: 0; -EIO, with a warning, if it is not; or -errno as told.
 */
int cr_verify_check(struct cr_ctx *ctx, struct cr_ctx *from)
{
	struct cr_snap *snap;
	u64 addr = 0;
	int err;

	list_for_each_entry(snap, &from->snaps, list) {
		if (!snap->verify)
			continue;
		err = check_snap(ctx, snap, &addr);
		WARN(err > 0, "checkpoint: pid %d object %u address 0x%llx: wrong snapshot\n",
		     snap->verify->pid, snap->id, addr);
		if (err)
			return ctx->err;
	}
	return 0;
}

/**
 * cr_verify_free() - forget the hashes of a snapshot
 * @snap: the snapshot
 */
void cr_verify_free(struct cr_snap *snap)
{
	if (!snap->verify)
		return;
	list_free(snap->verify);
	kfree(snap->verify);
	snap->verify = NULL;
}

static struct ctl_table cr_verify_sysctls[] = {
	{
		.procname	= "checkpoint_verify",
		.data		= &cr_verify_enabled,
		.maxlen		= sizeof(cr_verify_enabled),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static int __init cr_verify_init(void)
{
	register_sysctl("kernel", cr_verify_sysctls);
	return 0;
}
late_initcall(cr_verify_init);

#include "tests/verify-kunit.h"
