// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: images with wrong page records. Each is refused, and
 * nothing is left behind; a page that comes twice is no error.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "cr_selftest.h"

#define PAGE	4096UL
#define NR	64
#define BASE	0x10000000UL

struct image {
	unsigned char *data;
	size_t size;
	struct cr_img_rec *run;		/* the pages at BASE */
	struct cr_img_rec *end;
};

static unsigned int crc32c(unsigned int crc, const unsigned char *p, size_t n)
{
	int bit;

	while (n--) {
		crc ^= *p++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static void sign(struct cr_img_rec *rec)
{
	rec->crc = 0;
	rec->crc = crc32c(~0U, (void *)rec, sizeof(*rec) + rec->len);
}

static struct cr_img_pages *pages(struct cr_img_rec *rec)
{
	return (void *)(rec + 1);
}

static size_t run_size(struct cr_img_rec *rec)
{
	return sizeof(*rec) + rec->len + pages(rec)->nr_pages * PAGE;
}

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

static void image_read(struct __test_metadata *_metadata, struct cr_child *c,
		       struct image *im)
{
	struct cr_img_header *hdr;
	struct cr_img_rec *rec;
	struct stat st;
	int fd;

	fd = open(c->image, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	im->size = st.st_size;
	/* Room for one run more. */
	im->data = malloc(im->size + (NR + 1) * PAGE);
	ASSERT_NE(NULL, im->data);
	ASSERT_EQ((ssize_t)im->size, read(fd, im->data, im->size));
	close(fd);
	hdr = (void *)im->data;
	im->run = NULL;
	rec = (void *)(im->data + sizeof(*hdr) + hdr->meta_bytes);
	for (; rec->type == CR_IMG_PAGES; rec = (void *)rec + run_size(rec))
		if (pages(rec)->start == BASE)
			im->run = rec;
	im->end = rec;
	ASSERT_EQ((unsigned int)CR_IMG_END, rec->type);
	ASSERT_NE(NULL, im->run);
	ASSERT_EQ(NR, pages(im->run)->nr_pages);
}

static void image_write(struct __test_metadata *_metadata, struct cr_child *c,
			struct image *im)
{
	int fd = open(c->image, O_WRONLY | O_TRUNC | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)im->size, write(fd, im->data, im->size));
	close(fd);
}

FIXTURE(pages) {
	struct cr_child c;
	struct image im;
};

FIXTURE_SETUP(pages)
{
	cr_begin(_metadata, &self->c, workload);
	ASSERT_LT(0, cr_save(_metadata, &self->c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	ASSERT_TRUE(cr_kill_tree(self->c.pid));
	image_read(_metadata, &self->c, &self->im);
}

FIXTURE_TEARDOWN(pages)
{
	free(self->im.data);
	cr_end(_metadata, &self->c);
}

static void refused(struct __test_metadata *_metadata, struct cr_child *c,
		    struct image *im, int expected)
{
	int fd;

	sign(im->run);
	image_write(_metadata, c, im);
	fd = open(c->image, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, sys_restart(0, fd, 0));
	EXPECT_EQ(expected, errno) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	EXPECT_NE(0, strlen(cr_reason()));
	close(fd);
	EXPECT_TRUE(waitpid(-1, NULL, WNOHANG | __WALL) <= 0);
}

TEST_F(pages, hash)
{
	pages(self->im.run)->hash ^= 1;
	refused(_metadata, &self->c, &self->im, EBADMSG);
}

TEST_F(pages, reserved_field)
{
	pages(self->im.run)->reserved = 1;
	refused(_metadata, &self->c, &self->im, EINVAL);
}

TEST_F(pages, number)
{
	pages(self->im.run)->nr_pages = 0;
	refused(_metadata, &self->c, &self->im, EINVAL);
	pages(self->im.run)->nr_pages = 513;
	refused(_metadata, &self->c, &self->im, EINVAL);
	pages(self->im.run)->nr_pages = ~0U;
	refused(_metadata, &self->c, &self->im, EINVAL);
}

TEST_F(pages, address)
{
	/* Unaligned; partly outside; no mapping; not for user space; wraps. */
	static const __u64 bad[] = { BASE + 1, BASE + PAGE, BASE / 2, 1UL << 47, -PAGE };
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pages(self->im.run)->start = bad[i];
		refused(_metadata, &self->c, &self->im, EINVAL);
	}
}

TEST_F(pages, no_such_object)
{
	struct cr_img_header *hdr = (void *)self->im.data;
	unsigned int right = self->im.run->id, id;

	/* Whatever it is, there is no memory of it at BASE. */
	for (id = 0; id <= hdr->nr_objects + 1; id++) {
		if (id == right)
			continue;
		self->im.run->id = id;
		refused(_metadata, &self->c, &self->im, EINVAL);
	}
	self->im.run->id = ~0U;
	refused(_metadata, &self->c, &self->im, EINVAL);
}

TEST_F(pages, twice)
{
	struct image *im = &self->im;
	size_t size = run_size(im->run);
	struct cr_img_end *end;

	memmove((void *)im->end + size, im->end, sizeof(*im->end) + im->end->len);
	memcpy(im->end, im->run, size);
	im->end = (void *)im->end + size;
	im->size += size;
	end = (void *)(im->end + 1);
	end->nr_pages += NR;
	end->total_bytes += size;
	sign(im->end);
	image_write(_metadata, &self->c, im);
	cr_load(_metadata, &self->c, 0);
	cr_finish(_metadata, &self->c, "copy");
}

TEST_HARNESS_MAIN
