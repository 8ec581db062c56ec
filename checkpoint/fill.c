// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: pages from the descriptor into the restored memory.
 *
 * The caller of restart() reads them straight into the pages where they belong;
 * the processes that own them wait. The image decides the address, so each run
 * must lie in mappings that the image itself has declared to own pages: writing
 * goes past the protection of a mapping, which must never reach a file.
 *
 * Locks: mmap_lock of the target for reading while pages are faulted in; none
 * while reading.
 */
#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "internal.h"

/**
 * struct run - pages that are being read
 * @ctx: the restart
 * @start: address, or offset in shared memory, of the first
 * @wanted: how many there are
 * @nr: how many are in @pages, each with a reference
 * @pages: where to
 * @bvec: for reading
 */
struct run {
	struct cr_ctx *ctx;
	u64 start;
	unsigned int wanted;
	unsigned int nr;
	struct page *pages[CR_PAGES_RUN_MAX];
	struct bio_vec bvec[CR_PAGES_RUN_MAX];
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

static int check_range(struct run *r, const struct cr_rec *head)
{
	u64 addr = r->start, end = addr + r->wanted * PAGE_SIZE;
	const struct cr_img_vma *vma;

	if (end < addr)
		goto bad;
	while (addr < end) {
		vma = find_mapping(r->ctx, head, addr);
		if (!vma || !(vma->flags & CR_IMG_VMA_HAS_ANON))
			goto bad;
		addr = vma->end;
	}
	return 0;
bad:
	return cr_fail(r->ctx, -EINVAL,
		       "object %u: pages at 0x%llx, where the image has no memory",
		       head->id, r->start);
}

static int get_mm_pages(struct run *r, struct mm_struct *mm)
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
			return cr_fail(r->ctx, n ?: -EFAULT,
				       "no memory for pages at 0x%llx: error %ld",
				       r->start, n);
		r->nr += n;
	}
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

static int get_pages(struct run *r, u32 id)
{
	const struct cr_rec *head;
	void *obj = cr_obj_peek(r->ctx, id);

	head = cr_obj_head(r->ctx, id, CR_IMG_MM);
	if (head && obj)
		return check_range(r, head) ?: get_mm_pages(r, obj);
	head = cr_obj_head(r->ctx, id, CR_IMG_SHMEM);
	if (head && obj)
		return get_shmem_pages(r, obj);
	return cr_fail(r->ctx, -EINVAL, "pages for object %u, which has no memory", id);
}

static int read_pages(struct run *r, struct cr_in *in, u32 crc)
{
	struct iov_iter iter;
	unsigned int i;
	u32 got = ~0U;

	for (i = 0; i < r->nr; i++)
		bvec_set_page(&r->bvec[i], r->pages[i], PAGE_SIZE, 0);
	iov_iter_bvec(&iter, ITER_DEST, r->bvec, r->nr, r->nr * PAGE_SIZE);
	if (cr_in_iter(r->ctx, in, &iter))
		return r->ctx->err;
	for (i = 0; i < r->nr; i++) {
		const void *p = kmap_local_page(r->pages[i]);

		got = cr_crc(got, p, PAGE_SIZE);
		kunmap_local(p);
	}
	if (got != crc)
		return cr_fail(r->ctx, -EBADMSG, "pages at 0x%llx: bad checksum", r->start);
	return 0;
}

static void put_pages(struct run *r)
{
	unsigned int i;

	for (i = 0; i < r->nr; i++) {
		set_page_dirty_lock(r->pages[i]);
		put_page(r->pages[i]);
	}
}

/**
 * cr_fill_pages() - read a run of pages to where they belong
 * @ctx: the restart
 * @in: the image; the pages come next
 * @id: object that they belong to, any number
 * @pg: where they belong, how many, their checksum; any numbers
 *
 * Context: the caller of restart(); all restored processes wait.
 * Return: 0, or -errno as told.
 */
int cr_fill_pages(struct cr_ctx *ctx, struct cr_in *in, u32 id,
		  const struct cr_img_pages *pg)
{
	struct run *r;
	int err;

	if (!pg->nr_pages || pg->nr_pages > CR_PAGES_RUN_MAX || !PAGE_ALIGNED(pg->start))
		return cr_fail(ctx, -EINVAL, "%u pages at 0x%llx", pg->nr_pages, pg->start);
	r = kvmalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return cr_fail(ctx, -ENOMEM, "no memory to read the image");
	r->ctx = ctx;
	r->start = pg->start;
	r->wanted = pg->nr_pages;
	r->nr = 0;
	err = get_pages(r, id);
	if (!err)
		err = read_pages(r, in, pg->crc);
	put_pages(r);
	kvfree(r);
	cond_resched();
	return err;
}
