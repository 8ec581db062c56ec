/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of object ids. Included at the end of objref.c.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST
#include <kunit/test.h>

#define NR_TEST_OBJS	5000

/* Never looked at: only the addresses count. */
static const void *test_obj(int i)
{
	return (const void *)(PAGE_OFFSET + i * 64UL);
}

static int objref_test_init(struct kunit *test)
{
	struct cr_ctx *ctx = cr_ctx_alloc("test", 0);

	test->priv = ctx;
	return ctx ? cr_objref_init(ctx, 1) : -ENOMEM;
}

static void objref_test_exit(struct kunit *test)
{
	if (test->priv)
		cr_ctx_put(test->priv);
}

static void objref_test_ids(struct kunit *test)
{
	struct cr_ctx *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, cr_obj_new_id(ctx), 1);
	KUNIT_EXPECT_EQ(test, cr_obj_new_id(ctx), 2);
	KUNIT_EXPECT_EQ(test, ctx->nr_objects, 2);
	ctx->nr_objects = CR_OBJS_MAX;
	cr_obj_new_id(ctx);
	KUNIT_EXPECT_EQ(test, ctx->err, -E2BIG);
	KUNIT_EXPECT_EQ(test, ctx->nr_objects, CR_OBJS_MAX);
}

static void objref_test_grow(struct kunit *test)
{
	struct cr_ctx *ctx = test->priv;
	u32 slots = ctx->objref.nr_slots;
	int i;

	for (i = 0; i < NR_TEST_OBJS; i++) {
		KUNIT_ASSERT_EQ(test, cr_obj_id(ctx, CR_IMG_FILE, test_obj(i)), 0);
		KUNIT_ASSERT_EQ(test, objref_add(ctx, CR_IMG_FILE, test_obj(i), i + 1), 0);
	}
	KUNIT_EXPECT_GT(test, ctx->objref.nr_slots, slots);
	KUNIT_EXPECT_GT(test, ctx->objref.nr_slots, NR_TEST_OBJS);
	KUNIT_EXPECT_EQ(test, ctx->objref.nr_used, NR_TEST_OBJS);
	for (i = 0; i < NR_TEST_OBJS; i++)
		KUNIT_ASSERT_EQ(test, cr_obj_id(ctx, CR_IMG_FILE, test_obj(i)), i + 1);
	KUNIT_EXPECT_EQ(test, cr_obj_id(ctx, CR_IMG_FILE, test_obj(i)), 0);
	KUNIT_EXPECT_EQ(test, ctx->err, 0);
}

/* One address may be two objects: a structure and its first member. */
static void objref_test_types(struct kunit *test)
{
	struct cr_ctx *ctx = test->priv;

	KUNIT_ASSERT_EQ(test, objref_add(ctx, CR_IMG_FILE, test_obj(1), 7), 0);
	KUNIT_EXPECT_EQ(test, cr_obj_id(ctx, CR_IMG_PIPE, test_obj(1)), 0);
	KUNIT_ASSERT_EQ(test, objref_add(ctx, CR_IMG_PIPE, test_obj(1), 8), 0);
	KUNIT_EXPECT_EQ(test, cr_obj_id(ctx, CR_IMG_FILE, test_obj(1)), 7);
	KUNIT_EXPECT_EQ(test, cr_obj_id(ctx, CR_IMG_PIPE, test_obj(1)), 8);
	KUNIT_EXPECT_EQ(test, cr_obj_dump(ctx, CR_IMG_PIPE, (void *)test_obj(1)), 8);
}

static struct kunit_case objref_test_cases[] = {
	KUNIT_CASE(objref_test_ids),
	KUNIT_CASE(objref_test_grow),
	KUNIT_CASE(objref_test_types),
	{}
};

static struct kunit_suite objref_test_suite = {
	.name = "checkpoint_objref",
	.init = objref_test_init,
	.exit = objref_test_exit,
	.test_cases = objref_test_cases,
};

kunit_test_suite(objref_test_suite);

#endif /* CONFIG_CHECKPOINT_KUNIT_TEST */
