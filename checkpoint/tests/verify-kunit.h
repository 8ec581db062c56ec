/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of the hashes of memory. Included at the end of verify.c. They stop
 * short of cr_verify_check(), which warns by design.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST
#include <kunit/test.h>
#include <linux/mman.h>

#define TEST_PAGES	700U	/* more than a chunk of a page table */

/* Two lists of the same memory. */
struct verify_test {
	struct cr_verify was;
	struct cr_verify now;
	struct xarray pages;
	unsigned long addr;
};

static int verify_test_init(struct kunit *test)
{
	struct verify_test *vt = kunit_kzalloc(test, sizeof(*vt), GFP_KERNEL);

	if (!vt)
		return -ENOMEM;
	list_init(&vt->was);
	list_init(&vt->now);
	xa_init(&vt->pages);
	test->priv = vt;
	return 0;
}

static void verify_test_exit(struct kunit *test)
{
	struct verify_test *vt = test->priv;
	unsigned long index;
	struct page *page;

	if (!vt)
		return;
	list_free(&vt->was);
	list_free(&vt->now);
	xa_for_each(&vt->pages, index, page)
		__free_page(page);
	xa_destroy(&vt->pages);
}

/* What compare() says of the memory of current as it is now. */
static int compare_now(struct verify_test *vt, u64 *addr)
{
	int err;

	list_free(&vt->now);
	list_init(&vt->now);
	err = take_mm(&vt->now, current->mm);
	return err ?: compare(&vt->was, &vt->now, current->mm, addr);
}

static void put_byte(struct kunit *test, unsigned long addr, u8 byte)
{
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((u8 __user *)addr, &byte, 1));
}

/* An address space of its own with every second page written to. */
static void make_memory(struct kunit *test, unsigned long flags)
{
	struct verify_test *vt = test->priv;
	unsigned int i;

	vt->addr = kunit_vm_mmap(test, NULL, 0, TEST_PAGES * PAGE_SIZE,
				 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, 0);
	KUNIT_ASSERT_NE(test, 0UL, vt->addr);
	for (i = 0; i < TEST_PAGES; i += 2)
		put_byte(test, vt->addr + i * PAGE_SIZE + i, i + 1);
	KUNIT_ASSERT_EQ(test, 0, take_mm(&vt->was, current->mm));
	KUNIT_ASSERT_GE(test, vt->was.nr, (u64)TEST_PAGES / 2);
}

/* Any byte of any page that is changed is found, and where; none is imagined. */
static void verify_test_changed_byte(struct kunit *test)
{
	static const unsigned int pages[] = { 0, 2, 510, 512, TEST_PAGES - 2 };
	struct verify_test *vt = test->priv;
	unsigned int i;
	u64 addr;

	make_memory(test, 0);
	KUNIT_EXPECT_EQ(test, 0, compare_now(vt, &addr));
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		unsigned long page = vt->addr + pages[i] * PAGE_SIZE;

		put_byte(test, page + PAGE_SIZE - 1, 1);
		KUNIT_EXPECT_EQ(test, 1, compare_now(vt, &addr));
		KUNIT_EXPECT_EQ(test, (u64)page, addr);
		put_byte(test, page + PAGE_SIZE - 1, 0);
		KUNIT_EXPECT_EQ(test, 0, compare_now(vt, &addr));
	}
}

/* A page that came or went is found, unless it is all zero. */
static void verify_test_page_more_or_less(struct kunit *test)
{
	struct verify_test *vt = test->priv;
	unsigned long last;
	u64 addr;

	make_memory(test, 0);
	put_byte(test, vt->addr + PAGE_SIZE, 0);
	KUNIT_EXPECT_EQ(test, 0, compare_now(vt, &addr));
	put_byte(test, vt->addr + PAGE_SIZE, 7);
	KUNIT_EXPECT_EQ(test, 1, compare_now(vt, &addr));
	KUNIT_EXPECT_EQ(test, (u64)vt->addr + PAGE_SIZE, addr);
	put_byte(test, vt->addr + PAGE_SIZE, 0);
	KUNIT_EXPECT_EQ(test, 0, compare_now(vt, &addr));

	last = vt->addr + (TEST_PAGES - 2) * PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(last, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, compare_now(vt, &addr));
	KUNIT_EXPECT_EQ(test, (u64)last, addr);
}

/* A page whose contents were not known is not compared; the one behind it is. */
static void verify_test_skipped(struct kunit *test)
{
	struct verify_test *vt = test->priv;
	struct cursor c;
	u64 addr;

	make_memory(test, 0);
	put_byte(test, vt->addr, 99);
	cursor_start(&c, &vt->was)->addr |= SKIPPED;
	KUNIT_EXPECT_EQ(test, 0, compare_now(vt, &addr));
	put_byte(test, vt->addr + 2 * PAGE_SIZE, 99);
	KUNIT_EXPECT_EQ(test, 1, compare_now(vt, &addr));
	KUNIT_EXPECT_EQ(test, (u64)vt->addr + 2 * PAGE_SIZE, addr);
}

/* Copied pages of shared memory, every third one. */
static void make_pages(struct kunit *test)
{
	struct verify_test *vt = test->priv;
	struct page *page;
	unsigned long i;

	for (i = 3; i < 3 * PER_CHUNK; i += 3) {
		page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, page);
		memset(page_address(page), (u8)i | 1, 100);
		KUNIT_ASSERT_EQ(test, 0, xa_err(xa_store(&vt->pages, i, page, GFP_KERNEL)));
	}
	KUNIT_ASSERT_EQ(test, 0, take_xarray(&vt->was, &vt->pages));
}

static void change_page(struct verify_test *vt, unsigned long index)
{
	u8 *p = page_address(xa_load(&vt->pages, index));

	p[200] ^= 0x10;
}

/* The copied pages of shared memory, through the same list. */
static void verify_test_copied_pages(struct kunit *test)
{
	struct verify_test *vt = test->priv;
	u64 addr;

	make_pages(test);
	KUNIT_ASSERT_EQ(test, 0, take_xarray(&vt->now, &vt->pages));
	KUNIT_EXPECT_EQ(test, 0, compare(&vt->was, &vt->now, NULL, &addr));

	change_page(vt, 300);
	list_free(&vt->now);
	list_init(&vt->now);
	KUNIT_ASSERT_EQ(test, 0, take_xarray(&vt->now, &vt->pages));
	KUNIT_EXPECT_EQ(test, 1, compare(&vt->was, &vt->now, NULL, &addr));
	KUNIT_EXPECT_EQ(test, 300ULL << PAGE_SHIFT, addr);
}

/* What check_snap() says of @snap, and tells as the reason; @reason NULL: nothing. */
static void expect_told(struct kunit *test, struct cr_snap *snap, u64 where,
			const char *reason)
{
	struct cr_ctx *ctx = cr_ctx_alloc("test", 0);
	u64 addr = 0;

	KUNIT_ASSERT_NOT_NULL(test, ctx);
	KUNIT_EXPECT_EQ(test, reason ? 1 : 0, check_snap(ctx, snap, &addr));
	KUNIT_EXPECT_EQ(test, reason ? -EIO : 0, ctx->err);
	KUNIT_EXPECT_STREQ(test, reason ?: "", ctx->report.reason);
	if (reason)
		KUNIT_EXPECT_EQ(test, where, addr);
	cr_ctx_put(ctx);
}

/* A snapshot with a wrong byte makes the call fail, and the place is told. */
static void verify_test_told(struct kunit *test)
{
	struct verify_test *vt = test->priv;
	struct cr_snap snap = { .id = 9, .verify = &vt->was };
	char *reason = kunit_kzalloc(test, CR_REASON_MAX, GFP_KERNEL);
	u64 where;

	KUNIT_ASSERT_NOT_NULL(test, reason);
	make_memory(test, 0);
	snap.mm = current->mm;
	vt->was.pid = 12;
	expect_told(test, &snap, 0, NULL);
	where = vt->addr + 510 * PAGE_SIZE;
	put_byte(test, where + 1, 1);
	scnprintf(reason, CR_REASON_MAX,
		  "pid 12 address 0x%llx (object 9): the snapshot is not what was there at the freeze",
		  where);
	expect_told(test, &snap, where, reason);
}

static void verify_test_told_of_shared(struct kunit *test)
{
	struct verify_test *vt = test->priv;
	struct cr_snap snap = { .id = 9, .verify = &vt->was, .pages = &vt->pages };

	make_pages(test);
	expect_told(test, &snap, 0, NULL);
	change_page(vt, 300);
	expect_told(test, &snap, 300ULL << PAGE_SHIFT,
		    "shared memory (object 9) offset 0x12c000: the snapshot is not what was there at the freeze");
}

static struct kunit_case verify_test_cases[] = {
	KUNIT_CASE(verify_test_changed_byte),
	KUNIT_CASE(verify_test_page_more_or_less),
	KUNIT_CASE(verify_test_skipped),
	KUNIT_CASE(verify_test_copied_pages),
	KUNIT_CASE(verify_test_told),
	KUNIT_CASE(verify_test_told_of_shared),
	{}
};

static struct kunit_suite verify_test_suite = {
	.name = "checkpoint_verify",
	.init = verify_test_init,
	.exit = verify_test_exit,
	.test_cases = verify_test_cases,
};

kunit_test_suite(verify_test_suite);

#endif /* CONFIG_CHECKPOINT_KUNIT_TEST */
