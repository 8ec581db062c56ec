/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of building records. Included at the end of image.c.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST
#include <kunit/test.h>

static int image_test_init(struct kunit *test)
{
	test->priv = cr_ctx_alloc("test", 0);
	return test->priv ? 0 : -ENOMEM;
}

static void image_test_exit(struct kunit *test)
{
	if (test->priv)
		cr_ctx_put(test->priv);
}

/* Records of all lengths, over several chunks, come back as they were put. */
static void image_test_round_trip(struct kunit *test)
{
	struct cr_ctx *ctx = test->priv;
	struct cr_hbuf_pos pos = {};
	struct cr_img_rec *rec;
	u32 len;

	for (len = 1; len <= CR_STRING_MAX; len += 7) {
		u8 *s = cr_rec_get(ctx, CR_IMG_STRING, len, CR_STRING_MAX);

		KUNIT_ASSERT_NOT_NULL(test, s);
		KUNIT_ASSERT_NULL(test, memchr_inv(s, 0, CR_STRING_MAX));
		memset(s, 0xff, CR_STRING_MAX);
		memset(s, (u8)len, len);
		cr_rec_put(ctx, s, len);
	}
	for (len = 1; len <= CR_STRING_MAX; len += 7) {
		u8 *s;

		rec = cr_rec_next(&ctx->hb, &pos);
		KUNIT_ASSERT_NOT_NULL(test, rec);
		s = (u8 *)(rec + 1);
		KUNIT_ASSERT_EQ(test, rec->type, CR_IMG_STRING);
		KUNIT_ASSERT_EQ(test, rec->id, len);
		KUNIT_ASSERT_EQ(test, rec->len, len);
		KUNIT_ASSERT_NULL(test, memchr_inv(s, (u8)len, len));
		KUNIT_ASSERT_NULL(test, memchr_inv(s + len, 0, ALIGN(len, 8) - len));
	}
	KUNIT_EXPECT_NULL(test, cr_rec_next(&ctx->hb, &pos));
	KUNIT_EXPECT_EQ(test, ctx->err, 0);
}

/* The outer record stands before what was nested in it. */
static void image_test_nested(struct kunit *test)
{
	struct cr_ctx *ctx = test->priv;
	struct cr_hbuf_pos pos = {};
	struct cr_img_rec *rec;
	void *outer;

	outer = cr_rec_get(ctx, CR_IMG_STRING, 1, 8);
	KUNIT_ASSERT_NOT_NULL(test, outer);
	KUNIT_ASSERT_EQ(test, cr_rec_add(ctx, CR_IMG_STRING, 2, "inner", 5), 0);
	memcpy(outer, "outer...", 8);
	cr_rec_put(ctx, outer, 8);

	rec = cr_rec_next(&ctx->hb, &pos);
	KUNIT_ASSERT_NOT_NULL(test, rec);
	KUNIT_EXPECT_EQ(test, rec->id, 1);
	rec = cr_rec_next(&ctx->hb, &pos);
	KUNIT_ASSERT_NOT_NULL(test, rec);
	KUNIT_EXPECT_EQ(test, rec->id, 2);
	KUNIT_EXPECT_EQ(test, memcmp(rec + 1, "inner", 5), 0);
	KUNIT_EXPECT_NULL(test, cr_rec_next(&ctx->hb, &pos));
}

static void image_test_drop(struct kunit *test)
{
	struct cr_ctx *ctx = test->priv;
	struct cr_hbuf_pos pos = {};
	void *outer;

	KUNIT_EXPECT_NULL(test, cr_rec_next(&ctx->hb, &pos));
	outer = cr_rec_get(ctx, CR_IMG_STRING, 1, 100);
	KUNIT_ASSERT_NOT_NULL(test, outer);
	KUNIT_ASSERT_EQ(test, cr_rec_add(ctx, CR_IMG_STRING, 2, "inner", 5), 0);
	cr_rec_drop(ctx, outer);
	KUNIT_EXPECT_NULL(test, cr_rec_next(&ctx->hb, &pos));
	KUNIT_EXPECT_EQ(test, cr_hbuf_used(&ctx->hb), 0);
}

/* A row's bounds are kept when writing, too; the reason is told. */
static void image_test_bounds(struct kunit *test)
{
	struct cr_ctx *ctx = test->priv;

	cr_set_where(ctx, "pid 12 fd 7");
	KUNIT_EXPECT_NULL(test, cr_rec_get(ctx, CR_IMG_STRING, 1, CR_STRING_MAX + 1));
	KUNIT_EXPECT_EQ(test, ctx->err, -E2BIG);
	KUNIT_EXPECT_NOT_NULL(test, strstr(ctx->report.reason, "pid 12 fd 7: string of"));

	/* The first reason stays. */
	KUNIT_EXPECT_EQ(test, cr_string_add(ctx, "x", 1), 0);
	KUNIT_EXPECT_EQ(test, cr_fail(ctx, -EIO, "something else"), -EIO);
	KUNIT_EXPECT_EQ(test, ctx->err, -E2BIG);
}

static void image_test_cap(struct kunit *test)
{
	struct cr_ctx *ctx = test->priv;

	ctx->hb.cap = 2 * CR_HBUF_CHUNK;
	while (cr_string_add(ctx, "hello", 5))
		;
	KUNIT_EXPECT_EQ(test, ctx->err, -E2BIG);
	KUNIT_EXPECT_EQ(test, ctx->hb.err, -E2BIG);
}

/* Test vectors of RFC 3720, B.4, there with the last inversion. */
static void image_test_crc(struct kunit *test)
{
	u8 bytes[32] = {};

	KUNIT_EXPECT_EQ(test, cr_crc(~0U, bytes, 32), ~0x8a9136aaU);
	memset(bytes, 0xff, 32);
	KUNIT_EXPECT_EQ(test, cr_crc(~0U, bytes, 32), ~0x62a8ab43U);
	KUNIT_EXPECT_EQ(test, cr_crc(cr_crc(~0U, bytes, 5), bytes + 5, 27), ~0x62a8ab43U);
}

static struct kunit_case image_test_cases[] = {
	KUNIT_CASE(image_test_round_trip),
	KUNIT_CASE(image_test_nested),
	KUNIT_CASE(image_test_drop),
	KUNIT_CASE(image_test_bounds),
	KUNIT_CASE(image_test_cap),
	KUNIT_CASE(image_test_crc),
	{}
};

static struct kunit_suite image_test_suite = {
	.name = "checkpoint_image",
	.init = image_test_init,
	.exit = image_test_exit,
	.test_cases = image_test_cases,
};

kunit_test_suite(image_test_suite);

#endif /* CONFIG_CHECKPOINT_KUNIT_TEST */
