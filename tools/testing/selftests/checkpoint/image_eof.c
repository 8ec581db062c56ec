// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: pages for the part of a private mapping that lies behind
 * the end of its file. A fault there is SIGBUS, and no address that the caller
 * of restart() gave: if such pages cannot be had, the image is wrong.
 */
#include <sys/mman.h>

#include "image_help.h"

#define PAGE	IMAGE_PAGE
#define BASE	0x10000000UL

/* Two pages of a file that has one; the first is the process's own. */
static char *map_half(struct cr_child *c, unsigned int lock)
{
	int fd = open("data", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char *p;

	CR_CHECK(c, fd >= 0 && !ftruncate(fd, PAGE));
	p = mmap((void *)BASE, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
	CR_CHECK(c, p == (char *)BASE && !close(fd));
	CR_CHECK(c, !lock || !mlock2(p, 2 * PAGE, lock));
	p[0] = 1;
	return p;
}

/* Pages of locked memory are faulted in before they are read. */
static void do_locked(struct cr_child *c)
{
	char *p = map_half(c, MLOCK_ONFAULT);

	cr_ready(c);
	CR_CHECK(c, p[0] == 1);
}

static void do_plain(struct cr_child *c)
{
	char *p = map_half(c, 0);

	cr_ready(c);
	/* where the image says that it is; else a look at it is SIGBUS */
	CR_CHECK(c, p[0] == 1 || p[PAGE] == 1);
}

/* Of two processes with the page, the second one refers to the first. */
static void do_family(struct cr_child *c)
{
	char *p = map_half(c, 0);
	pid_t pid = fork();

	CR_CHECK(c, pid >= 0);
	if (pid)
		cr_ready(c);
	else
		cr_wait_go(c);
	CR_CHECK(c, p[0] == 1);
	CR_CHECK(c, !pid || waitpid(pid, NULL, 0) == pid);
}

FIXTURE(eof) {
	struct cr_child c;
	struct image im;
};

FIXTURE_VARIANT(eof) {
	void (*workload)(struct cr_child *c);
	bool shared;		/* refused is what the second process has */
	bool fits;		/* what needs no fault is simply put there */
};

FIXTURE_VARIANT_ADD(eof, locked) { .workload = do_locked };
FIXTURE_VARIANT_ADD(eof, shared) { .workload = do_family, .shared = true };
FIXTURE_VARIANT_ADD(eof, plain) { .workload = do_plain, .fits = true };

FIXTURE_SETUP(eof)
{
	make_image(_metadata, &self->c, variant->workload, &self->im);
	ASSERT_EQ(0, image_restart(_metadata, &self->c, &self->im)) {
		TH_LOG("unchanged: %s", cr_reason());
	}
}

FIXTURE_TEARDOWN(eof)
{
	free(self->im.data);
	cr_end(_metadata, &self->c);
}

/* The copy is right, or there is none, and the reason says why. */
static void outcome(struct __test_metadata *_metadata, struct cr_child *c,
		    struct image *im, bool fits)
{
	if (fits) {
		image_write(_metadata, c, im);
		cr_load(_metadata, c, 0);
		cr_finish(_metadata, c, "copy");
		return;
	}
	EXPECT_EQ(EINVAL, image_restart(_metadata, c, im));
	EXPECT_NE(NULL, strstr(cr_reason(), "where there can be none")) {
		TH_LOG("reason: %s", cr_reason());
	}
}

/* The page at BASE is one page further on. */
TEST_F(eof, moved)
{
	struct cr_img_rec *rec = variant->shared ? image_ref(&self->im, BASE) :
						   image_run(&self->im, BASE);

	ASSERT_NE(NULL, rec);
	/* where it belongs is the first field of both */
	ASSERT_EQ(BASE, image_pages(rec)->start);
	image_pages(rec)->start += PAGE;
	image_sign(rec);
	outcome(_metadata, &self->c, &self->im, variant->fits);
}

/* After the page at BASE comes another one. */
TEST_F(eof, one_more)
{
	struct cr_img_rec *rec = variant->shared ? image_ref(&self->im, BASE) :
						   image_run(&self->im, BASE);
	struct cr_img_pages_ref *ref = (void *)(rec + 1);
	void *page;

	ASSERT_NE(NULL, rec);
	if (variant->shared) {
		ref->nr_pages = 2;
		image_sign(rec);
	} else {
		page = image_page_data(rec) + PAGE;
		page = image_grow(_metadata, &self->im, page, PAGE, 1);
		memset(page, 1, PAGE);
		rec = image_run(&self->im, BASE);
		image_pages(rec)->nr_pages = 2;
		image_sign_run(rec);
	}
	outcome(_metadata, &self->c, &self->im, variant->fits);
}

TEST_HARNESS_MAIN
