// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: images with wrong page records. Each is refused, and
 * nothing is left behind; a page that comes twice is no error.
 */
#include <sys/mman.h>

#include "image_help.h"

#define PAGE	IMAGE_PAGE
#define NR	64
#define BASE	0x10000000UL

static void workload(struct cr_child *c)
{
	unsigned int *p, i;

	p = mmap((void *)BASE, NR * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CR_CHECK(c, p == (void *)BASE);
	for (i = 0; i < NR * PAGE / sizeof(*p); i++)
		p[i] = i + 1;
	cr_ready(c);
	for (i = 0; i < NR * PAGE / sizeof(*p); i++)
		CR_CHECK(c, p[i] == i + 1);
}

struct with_pages {
	struct cr_child c;
	struct image im;
	struct cr_img_rec *run;		/* the pages at BASE */
};

FIXTURE(pages) {
	struct with_pages w;
};

FIXTURE_SETUP(pages)
{
	make_image(_metadata, &self->w.c, workload, &self->w.im);
	self->w.run = image_run(&self->w.im, BASE);
	ASSERT_NE(NULL, self->w.run);
	ASSERT_EQ(BASE, image_pages(self->w.run)->start);
	ASSERT_EQ(NR, image_pages(self->w.run)->nr_pages);
}

FIXTURE_TEARDOWN(pages)
{
	free(self->w.im.data);
	cr_end(_metadata, &self->w.c);
}

static void refused(struct __test_metadata *_metadata, struct with_pages *w,
		    int expected)
{
	image_sign(w->run);
	EXPECT_EQ(expected, image_restart(_metadata, &w->c, &w->im)) {
		TH_LOG("%s", cr_reason());
	}
	EXPECT_NE(0, strlen(cr_reason()));
}

TEST_F(pages, hash)
{
	image_pages(self->w.run)->hash ^= 1;
	refused(_metadata, &self->w, EBADMSG);
}

TEST_F(pages, reserved_field)
{
	image_pages(self->w.run)->reserved = 1;
	refused(_metadata, &self->w, EINVAL);
}

TEST_F(pages, number)
{
	image_pages(self->w.run)->nr_pages = 0;
	refused(_metadata, &self->w, EINVAL);
	image_pages(self->w.run)->nr_pages = 513;
	refused(_metadata, &self->w, EINVAL);
	image_pages(self->w.run)->nr_pages = ~0U;
	refused(_metadata, &self->w, EINVAL);
}

TEST_F(pages, address)
{
	/* Unaligned; partly outside; no mapping; not for user space; wraps. */
	static const __u64 bad[] = { BASE + 1, BASE + PAGE, BASE / 2, 1UL << 47, -PAGE };
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		image_pages(self->w.run)->start = bad[i];
		refused(_metadata, &self->w, EINVAL);
	}
}

TEST_F(pages, no_such_object)
{
	struct cr_img_header *hdr = image_header(&self->w.im);
	unsigned int right = self->w.run->id, id;

	/* Whatever it is, there is no memory of it at BASE. */
	for (id = 0; id <= hdr->nr_objects + 1; id++) {
		if (id == right)
			continue;
		self->w.run->id = id;
		refused(_metadata, &self->w, EINVAL);
	}
	self->w.run->id = ~0U;
	refused(_metadata, &self->w, EINVAL);
}

TEST_F(pages, twice)
{
	struct cr_img_rec *end = image_run(&self->w.im, -1ULL);
	size_t size = image_run_size(self->w.run);

	ASSERT_NE(NULL, end);
	end = image_grow(_metadata, &self->w.im, end, size, NR);
	memcpy(end, image_run(&self->w.im, BASE), size);
	image_write(_metadata, &self->w.c, &self->w.im);
	cr_load(_metadata, &self->w.c, 0);
	cr_finish(_metadata, &self->w.c, "copy");
}

TEST_HARNESS_MAIN
