// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: images that say wrong things about pages that address
 * spaces share. They are refused; or, where only the sharing is wrong, every
 * process still has its own contents.
 */
#include <sys/mman.h>

#include "image_help.h"

#define PAGE	4096UL
#define NR	64
#define BASE	0x10000000UL

static void check(struct cr_child *c, unsigned int *p)
{
	unsigned int i;

	for (i = 0; i < NR * PAGE / sizeof(*p); i++)
		CR_CHECK(c, p[i] == i + 1);
}

/* Parent and child share NR pages at BASE. */
static void workload(struct cr_child *c)
{
	unsigned int *p, i;
	int status;
	pid_t pid;

	p = mmap((void *)BASE, NR * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CR_CHECK(c, p == (void *)BASE);
	for (i = 0; i < NR * PAGE / sizeof(*p); i++)
		p[i] = i + 1;
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		cr_wait_go(c);
		check(c, p);
		memset(p, 0, NR * PAGE);
		_exit(0);
	}
	cr_ready(c);
	check(c, p);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	check(c, p);
	memset(p, 0, NR * PAGE);
}

FIXTURE(kin) {
	struct cr_child c;
	struct image im;
	struct cr_img_rec *rec;
	struct cr_img_pages_ref *ref;
};

FIXTURE_SETUP(kin)
{
	make_image(_metadata, &self->c, workload, &self->im);
	self->rec = image_ref(&self->im, BASE);
	ASSERT_NE(NULL, self->rec);
	self->ref = (void *)(self->rec + 1);
	ASSERT_EQ(NR, self->ref->nr_pages);
}

FIXTURE_TEARDOWN(kin)
{
	free(self->im.data);
	cr_end(_metadata, &self->c);
}

static void refused(struct __test_metadata *_metadata, struct cr_child *c,
		    struct image *im, struct cr_img_rec *rec)
{
	image_sign(rec);
	EXPECT_EQ(EINVAL, image_restart(_metadata, c, im)) {
		TH_LOG("%s", cr_reason());
	}
	EXPECT_NE(0, strlen(cr_reason()));
}

/* None, objects of other kinds, the address space itself, one that is not there. */
TEST_F(kin, from)
{
	struct cr_img_header *hdr = (void *)self->im.data;
	unsigned int right = self->ref->from_id, id;

	for (id = 0; id <= hdr->nr_objects + 1; id++) {
		if (id == right || (id % 8 && id != self->rec->id && id <= hdr->nr_objects))
			continue;
		self->ref->from_id = id;
		refused(_metadata, &self->c, &self->im, self->rec);
	}
	self->ref->from_id = ~0U;
	refused(_metadata, &self->c, &self->im, self->rec);
}

/* The parent from the child, the child from itself, and nobody. */
TEST_F(kin, direction)
{
	unsigned int child = self->rec->id;

	self->rec->id = self->ref->from_id;
	refused(_metadata, &self->c, &self->im, self->rec);
	self->ref->from_id = child;
	refused(_metadata, &self->c, &self->im, self->rec);
	self->rec->id = 0;
	refused(_metadata, &self->c, &self->im, self->rec);
	self->rec->id = ~0U;
	refused(_metadata, &self->c, &self->im, self->rec);
}

TEST_F(kin, number)
{
	static const unsigned int bad[] = { 0, NR + 1, 512, 513, 1 << 20, ~0U };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		self->ref->nr_pages = bad[i];
		refused(_metadata, &self->c, &self->im, self->rec);
	}
}

TEST_F(kin, address)
{
	static const __u64 bad[] = { BASE + 1, BASE + PAGE, BASE / 2, 1UL << 47, -PAGE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		self->ref->start = bad[i];
		refused(_metadata, &self->c, &self->im, self->rec);
	}
}

static struct cr_img_vma *find_vma(struct image *im, __u64 start, int nth,
				   struct cr_img_rec **rec)
{
	struct cr_img_vma *vma;

	for (*rec = NULL; (*rec = image_next(im, *rec));) {
		vma = (void *)(*rec + 1);
		if ((*rec)->type == CR_IMG_VMA && vma->start == start && !nth--)
			return vma;
	}
	return NULL;
}

TEST_F(kin, number_of_family)
{
	static const unsigned int bad[] = { 0, 1 << 20, ~0U };
	struct cr_img_rec *rec;
	struct cr_img_vma *vma;
	unsigned int i, right;

	vma = find_vma(&self->im, BASE, 1, &rec);
	ASSERT_NE(NULL, vma);
	right = vma->anon_id;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		vma->anon_id = bad[i];
		refused(_metadata, &self->c, &self->im, rec);
	}
	vma->anon_id = right;
	vma->reserved = 1;
	refused(_metadata, &self->c, &self->im, rec);
}

static void restarted(struct __test_metadata *_metadata, struct cr_child *c,
		      struct image *im)
{
	image_write(_metadata, c, im);
	cr_load(_metadata, c, 0);
	cr_finish(_metadata, c, "copy");
}

TEST_F(kin, not_related)
{
	struct cr_img_rec *rec;
	struct cr_img_vma *vma;

	vma = find_vma(&self->im, BASE, 1, &rec);
	ASSERT_NE(NULL, vma);
	/* one that no other has; no image has as many mappings as records */
	vma->anon_id = ((struct cr_img_header *)self->im.data)->nr_records;
	image_sign(rec);
	restarted(_metadata, &self->c, &self->im);
}

TEST_F(kin, all_related)
{
	struct cr_img_rec *rec = NULL;
	struct cr_img_vma *vma;

	while ((rec = image_next(&self->im, rec))) {
		vma = (void *)(rec + 1);
		if (rec->type != CR_IMG_VMA || !vma->anon_id)
			continue;
		vma->anon_id = 1;
		image_sign(rec);
	}
	restarted(_metadata, &self->c, &self->im);
}

/* The same pages twice: what is there already gets the same contents. */
TEST_F(kin, twice)
{
	struct image *im = &self->im;
	size_t len = image_run_size(self->rec);
	void *copy = image_grow(_metadata, im, self->rec, len, 0);

	memcpy(copy, copy + len, len);
	restarted(_metadata, &self->c, im);
}

TEST_HARNESS_MAIN
