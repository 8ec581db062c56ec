/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of the image buffer. Included at the end of hbuf.c.
 *
 * Wrong use (a put out of order, or of something else) warns by design and so
 * cannot be tested here without a warning in the log.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST
#include <kunit/test.h>

static void hbuf_test_get_put(struct kunit *test)
{
	struct cr_hbuf hb;
	u8 *a, *b;

	cr_hbuf_init(&hb, SZ_1M);
	a = cr_hbuf_get(&hb, 13);
	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)a, 8));
	KUNIT_EXPECT_NULL(test, memchr_inv(a, 0, 16));
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), 16);
	KUNIT_EXPECT_EQ(test, hb.depth, 1);
	memset(a, 0xff, 16);
	cr_hbuf_put(&hb, a, 13);
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), 16);
	KUNIT_EXPECT_EQ(test, hb.depth, 0);

	b = cr_hbuf_get(&hb, 8);
	KUNIT_EXPECT_PTR_EQ(test, b, a + 16);
	cr_hbuf_put(&hb, b, 8);
	KUNIT_EXPECT_EQ(test, a[15], 0xff);
	cr_hbuf_put(&hb, NULL, 8);
	KUNIT_EXPECT_EQ(test, hb.err, 0);

	cr_hbuf_free(&hb);
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), 0);
	KUNIT_EXPECT_EQ(test, hb.allocated, 0);
	KUNIT_EXPECT_NOT_NULL(test, cr_hbuf_get(&hb, 1));
	cr_hbuf_free(&hb);
}

static void hbuf_test_shrink(struct kunit *test)
{
	struct cr_hbuf hb;
	u8 *a, *b;

	cr_hbuf_init(&hb, SZ_1M);
	a = cr_hbuf_get(&hb, 1000);
	KUNIT_ASSERT_NOT_NULL(test, a);
	memset(a, 0xff, 1000);
	cr_hbuf_put(&hb, a, 20);
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), 24);

	/* What was given back comes again, zeroed. */
	b = cr_hbuf_get(&hb, 1000);
	KUNIT_ASSERT_PTR_EQ(test, b, a + 24);
	KUNIT_EXPECT_NULL(test, memchr_inv(b, 0, 1000));
	cr_hbuf_put(&hb, b, 0);
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), 24);
	cr_hbuf_free(&hb);
}

static void hbuf_test_nesting(struct kunit *test)
{
	void *room[CR_HBUF_NEST];
	struct cr_hbuf hb;
	int i;

	cr_hbuf_init(&hb, SZ_1M);
	for (i = 0; i < CR_HBUF_NEST; i++) {
		room[i] = cr_hbuf_get(&hb, 64);
		KUNIT_ASSERT_NOT_NULL(test, room[i]);
	}
	/* The outer one stands first, and the innermost goes first. */
	for (i = 1; i < CR_HBUF_NEST; i++)
		KUNIT_EXPECT_PTR_EQ(test, room[i], room[i - 1] + 64);
	for (i = CR_HBUF_NEST - 1; i >= 0; i--) {
		KUNIT_EXPECT_EQ(test, hb.depth, i + 1);
		cr_hbuf_put(&hb, room[i], 64);
	}
	KUNIT_EXPECT_EQ(test, hb.err, 0);
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), 64 * CR_HBUF_NEST);
	cr_hbuf_free(&hb);
}

/* An outer room that is given back takes all with it, over chunks. */
static void hbuf_test_give_back(struct kunit *test)
{
	struct cr_hbuf hb;
	void *outer, *inner;
	size_t allocated;
	int i;

	cr_hbuf_init(&hb, 16 * CR_HBUF_CHUNK);
	cr_hbuf_put(&hb, cr_hbuf_get(&hb, 40), 40);
	outer = cr_hbuf_get(&hb, 100);
	KUNIT_ASSERT_NOT_NULL(test, outer);
	for (i = 0; i < 10; i++) {
		inner = cr_hbuf_get(&hb, CR_HBUF_CHUNK / 3);
		KUNIT_ASSERT_NOT_NULL(test, inner);
		cr_hbuf_put(&hb, inner, CR_HBUF_CHUNK / 3);
	}
	allocated = hb.allocated;
	cr_hbuf_put(&hb, outer, 0);
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), 40);
	KUNIT_EXPECT_EQ(test, hb.err, 0);

	/* The chunks are kept and used again. */
	KUNIT_EXPECT_PTR_EQ(test, cr_hbuf_get(&hb, 100), outer);
	for (i = 0; i < 2; i++)
		cr_hbuf_get(&hb, CR_HBUF_CHUNK / 3);
	KUNIT_EXPECT_EQ(test, hb.allocated, allocated);
	cr_hbuf_free(&hb);
}

/*
 * An inner room did not fit into the chunk and was given back: the outer one is
 * the last again and may shrink.
 */
static void hbuf_test_inner_dropped(struct kunit *test)
{
	struct cr_hbuf hb;
	u8 *outer, *inner;

	cr_hbuf_init(&hb, SZ_1M);
	outer = cr_hbuf_get(&hb, CR_HBUF_CHUNK - 200);
	KUNIT_ASSERT_NOT_NULL(test, outer);
	inner = cr_hbuf_get(&hb, 1000);
	KUNIT_ASSERT_NOT_NULL(test, inner);
	KUNIT_ASSERT_PTR_NE(test, inner, outer + CR_HBUF_CHUNK - 200);
	memset(inner, 0xff, 1000);
	cr_hbuf_put(&hb, inner, 0);
	cr_hbuf_put(&hb, outer, 64);
	KUNIT_EXPECT_EQ(test, hb.err, 0);
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), 64);

	/* The next one goes where there is room, and the spare comes again, zeroed. */
	KUNIT_EXPECT_PTR_EQ(test, cr_hbuf_get(&hb, CR_HBUF_CHUNK / 2), outer + 64);
	KUNIT_EXPECT_PTR_EQ(test, cr_hbuf_get(&hb, CR_HBUF_CHUNK / 2 + 1000), inner);
	KUNIT_EXPECT_NULL(test, memchr_inv(inner, 0, CR_HBUF_CHUNK / 2 + 1000));
	cr_hbuf_free(&hb);
}

/* Room that is zero, and is not any more. */
static u8 *get_and_spoil(struct kunit *test, struct cr_hbuf *hb, size_t len)
{
	u8 *room = cr_hbuf_get(hb, len);

	KUNIT_ASSERT_NOT_NULL(test, room);
	KUNIT_EXPECT_NULL(test, memchr_inv(room, 0, len));
	memset(room, 0xff, len);
	return room;
}

/* Rooms of all sizes, each given back and taken again: always zero, never lost. */
static void hbuf_test_always_zero(struct kunit *test)
{
	struct cr_hbuf hb;
	size_t len, sum = 0;

	cr_hbuf_init(&hb, SZ_64M);
	for (len = 1; len < 3 * SZ_4K; len = len * 9 / 8 + 1) {
		cr_hbuf_put(&hb, get_and_spoil(test, &hb, len), 0);
		cr_hbuf_put(&hb, get_and_spoil(test, &hb, len), len);
		sum += ALIGN(len, 8);
		KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), sum);
	}
	cr_hbuf_free(&hb);
}

/* After an error nothing is handed out, also of what was given back since. */
static void hbuf_test_sticky(struct kunit *test)
{
	struct cr_hbuf hb;
	void *room;

	cr_hbuf_init(&hb, SZ_1M);
	room = cr_hbuf_get(&hb, 1000);
	KUNIT_ASSERT_NOT_NULL(test, room);
	KUNIT_EXPECT_EQ(test, cr_hbuf_reserve(&hb, SZ_2M), -E2BIG);
	cr_hbuf_put(&hb, room, 0);
	KUNIT_EXPECT_NULL(test, cr_hbuf_get(&hb, 8));
	KUNIT_EXPECT_EQ(test, hb.err, -E2BIG);
	cr_hbuf_free(&hb);
}

static void hbuf_test_large(struct kunit *test)
{
	struct cr_hbuf hb;
	u8 *small;

	cr_hbuf_init(&hb, SZ_8M);
	small = cr_hbuf_get(&hb, 8);
	cr_hbuf_put(&hb, small, 8);
	cr_hbuf_put(&hb, get_and_spoil(test, &hb, CR_REC_MAX), CR_REC_MAX);
	small = cr_hbuf_get(&hb, 8);
	KUNIT_EXPECT_NOT_NULL(test, small);
	cr_hbuf_put(&hb, small, 8);
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&hb), CR_REC_MAX + 16);
	cr_hbuf_free(&hb);
}

static void hbuf_test_reserve(struct kunit *test)
{
	struct cr_hbuf hb;
	size_t allocated;
	int i;

	cr_hbuf_init(&hb, SZ_8M);
	KUNIT_ASSERT_NOT_NULL(test, cr_hbuf_get(&hb, CR_HBUF_CHUNK / 2));
	cr_hbuf_put(&hb, hb.cur->data, CR_HBUF_CHUNK / 2);
	KUNIT_ASSERT_EQ(test, cr_hbuf_reserve(&hb, CR_HBUF_CHUNK - 4096), 0);
	allocated = hb.allocated;
	for (i = 0; i < 8; i++) {
		void *room = cr_hbuf_get(&hb, (CR_HBUF_CHUNK - 4096) / 8);

		KUNIT_ASSERT_NOT_NULL(test, room);
		cr_hbuf_put(&hb, room, (CR_HBUF_CHUNK - 4096) / 8);
	}
	KUNIT_EXPECT_EQ(test, hb.allocated, allocated);
	cr_hbuf_free(&hb);
}

static void hbuf_test_cap(struct kunit *test)
{
	struct cr_hbuf hb;
	void *room;
	int nr = 0;

	cr_hbuf_init(&hb, 4 * CR_HBUF_CHUNK);
	while ((room = cr_hbuf_get(&hb, 1000))) {
		cr_hbuf_put(&hb, room, 1000);
		nr++;
	}
	KUNIT_EXPECT_EQ(test, hb.err, -E2BIG);
	KUNIT_EXPECT_GT(test, nr, 3 * CR_HBUF_CHUNK / 1000);
	KUNIT_EXPECT_LE(test, hb.allocated, hb.cap);

	/* The error stays, also for what would fit. */
	KUNIT_EXPECT_NULL(test, cr_hbuf_get(&hb, 8));
	KUNIT_EXPECT_EQ(test, cr_hbuf_reserve(&hb, 8), -E2BIG);
	cr_hbuf_free(&hb);
	KUNIT_EXPECT_EQ(test, hb.err, 0);

	KUNIT_EXPECT_EQ(test, cr_hbuf_reserve(&hb, SIZE_MAX), -E2BIG);
	cr_hbuf_free(&hb);
}

static struct kunit_case hbuf_test_cases[] = {
	KUNIT_CASE(hbuf_test_get_put),
	KUNIT_CASE(hbuf_test_shrink),
	KUNIT_CASE(hbuf_test_nesting),
	KUNIT_CASE(hbuf_test_give_back),
	KUNIT_CASE(hbuf_test_inner_dropped),
	KUNIT_CASE(hbuf_test_always_zero),
	KUNIT_CASE(hbuf_test_sticky),
	KUNIT_CASE(hbuf_test_large),
	KUNIT_CASE(hbuf_test_reserve),
	KUNIT_CASE(hbuf_test_cap),
	{}
};

static struct kunit_suite hbuf_test_suite = {
	.name = "checkpoint_hbuf",
	.test_cases = hbuf_test_cases,
};

#endif /* CONFIG_CHECKPOINT_KUNIT_TEST */
