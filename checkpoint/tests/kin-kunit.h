/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of what a reference to pages may say. Included at the end of kin.c.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST
#include <kunit/test.h>

#define TEST_BASE	0x100000ULL

/*
 * 0: MM	object 1
 * 1: VMA	object 1	0x100000 - 0x110000, owns pages
 * 2: MM	object 2
 * 3: VMA	object 2	0x100000 - 0x104000, owns pages
 * 4: VMA	object 2	0x104000 - 0x108000, owns none
 * 5: VMA	object 2	0x108000 - 0x10c000, owns pages
 * 6: MM	object 3, not made
 */
struct kin_test {
	struct cr_ctx *ctx;
	struct cr_img_mm mm[3];
	struct cr_img_vma vma[4];
	struct cr_rec recs[7];
	u32 heads[4];
	void *objs[4];
};

static void test_rec(struct kin_test *k, u32 index, u32 type, u32 id, const void *data)
{
	k->recs[index] = (struct cr_rec) {
		.type = type, .id = id, .index = index, .data = data,
	};
	if (type == CR_IMG_MM)
		k->heads[id] = index;
}

static void test_vma(struct kin_test *k, u32 n, u64 offset, u64 len, u32 anon_id)
{
	k->vma[n] = (struct cr_img_vma) {
		.start = TEST_BASE + offset,
		.end = TEST_BASE + offset + len,
		.kind = CR_IMG_VMA_ANON,
		.flags = anon_id ? CR_IMG_VMA_HAS_ANON : 0,
		.anon_id = anon_id,
	};
}

static int kin_test_init(struct kunit *test)
{
	struct kin_test *k = kunit_kzalloc(test, sizeof(*k), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, k);
	k->ctx = cr_ctx_alloc("test", 0);
	KUNIT_ASSERT_NOT_NULL(test, k->ctx);
	test_vma(k, 0, 0, 0x10000, 1);
	test_vma(k, 1, 0, 0x4000, 1);
	test_vma(k, 2, 0x4000, 0x4000, 0);
	test_vma(k, 3, 0x8000, 0x4000, 7);
	k->mm[0].nr_vmas = 1;
	k->mm[1].nr_vmas = 3;
	test_rec(k, 0, CR_IMG_MM, 1, &k->mm[0]);
	test_rec(k, 1, CR_IMG_VMA, 1, &k->vma[0]);
	test_rec(k, 2, CR_IMG_MM, 2, &k->mm[1]);
	test_rec(k, 3, CR_IMG_VMA, 2, &k->vma[1]);
	test_rec(k, 4, CR_IMG_VMA, 2, &k->vma[2]);
	test_rec(k, 5, CR_IMG_VMA, 2, &k->vma[3]);
	test_rec(k, 6, CR_IMG_MM, 3, &k->mm[2]);
	/* never looked into by what is tested */
	k->objs[1] = &k->mm[0];
	k->objs[2] = &k->mm[1];
	k->ctx->hdr.nr_objects = 3;
	k->ctx->nr_records = ARRAY_SIZE(k->recs);
	k->ctx->recs = k->recs;
	k->ctx->heads = k->heads;
	k->ctx->objs = k->objs;
	test->priv = k;
	return 0;
}

static void kin_test_exit(struct kunit *test)
{
	struct kin_test *k = test->priv;

	if (!k)
		return;
	k->ctx->recs = NULL;
	k->ctx->heads = NULL;
	k->ctx->objs = NULL;
	cr_ctx_put(k->ctx);
}

static const struct kin_damage {
	const char *name;
	u32 id;
	u32 from_id;
	u64 start;
	u32 nr_pages;
	int err;
} kin_damages[] = {
	{ "all of a mapping",	2, 1, TEST_BASE, 4, 0 },
	{ "one page",		2, 1, TEST_BASE + 0xb000, 1, 0 },
	{ "no page",		2, 1, TEST_BASE, 0, -EINVAL },
	{ "over the end",	2, 1, TEST_BASE + 0xb000, 2, -EINVAL },
	{ "into another",	2, 1, TEST_BASE, 5, -EINVAL },
	{ "owns no page",	2, 1, TEST_BASE + 0x4000, 1, -EINVAL },
	{ "too many",		2, 1, TEST_BASE, CR_PAGES_RUN_MAX + 1, -EINVAL },
	{ "most",		2, 1, TEST_BASE, U32_MAX, -EINVAL },
	{ "unaligned",		2, 1, TEST_BASE + 8, 1, -EINVAL },
	{ "below",		2, 1, TEST_BASE - PAGE_SIZE, 1, -EINVAL },
	{ "wraps",		2, 1, -PAGE_SIZE, 2, -EINVAL },
	{ "from itself",	2, 2, TEST_BASE, 1, -EINVAL },
	{ "from a later one",	1, 2, TEST_BASE, 1, -EINVAL },
	{ "from none",		2, 0, TEST_BASE, 1, -EINVAL },
	{ "from beyond",	2, 4, TEST_BASE, 1, -EINVAL },
	{ "from huge",		2, U32_MAX, TEST_BASE, 1, -EINVAL },
	{ "for none",		0, 1, TEST_BASE, 1, -EINVAL },
	{ "for huge",		U32_MAX, 1, TEST_BASE, 1, -EINVAL },
	{ "for one not made",	3, 1, TEST_BASE, 1, -EINVAL },
};

static void kin_test_refs(struct kunit *test)
{
	struct kin_test *k = test->priv;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(kin_damages); i++) {
		const struct kin_damage *d = &kin_damages[i];
		struct cr_img_pages_ref ref = {
			.start = d->start, .nr_pages = d->nr_pages, .from_id = d->from_id,
		};
		const struct cr_rec *head = cr_obj_head(k->ctx, d->id, CR_IMG_MM);

		k->ctx->err = 0;
		KUNIT_EXPECT_EQ_MSG(test, check_ref(k->ctx, head, d->id, &ref), d->err,
				    "%s", d->name);
		KUNIT_EXPECT_EQ_MSG(test, k->ctx->err, d->err, "%s", d->name);
	}
}

static void kin_test_count(struct kunit *test)
{
	struct kin_test *k = test->priv;
	struct kin *kins = count_kin(k->ctx);

	KUNIT_ASSERT_NOT_NULL(test, kins);
	KUNIT_EXPECT_EQ(test, kins[1].nr, 2);
	KUNIT_EXPECT_EQ(test, kins[7].nr, 1);
	KUNIT_EXPECT_EQ(test, kins[2].nr, 0);
	kvfree(kins);
}

static struct kunit_case kin_test_cases[] = {
	KUNIT_CASE(kin_test_refs),
	KUNIT_CASE(kin_test_count),
	{}
};

static struct kunit_suite kin_test_suite = {
	.name = "checkpoint_kin",
	.init = kin_test_init,
	.exit = kin_test_exit,
	.test_cases = kin_test_cases,
};

kunit_test_suite(kin_test_suite);

#endif /* CONFIG_CHECKPOINT_KUNIT_TEST */
