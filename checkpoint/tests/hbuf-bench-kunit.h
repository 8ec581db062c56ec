/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a record costs in the image buffer, against an allocation for each
 * record, and against a temporary buffer that is copied from.
 *
 * All three come to the same end: every record is in memory, in the order of
 * the image, zeroed before it was filled, charged to the memory cgroup, and at
 * last all is freed. So nobody can use the same hot memory for every record.
 * What is measured is all of that, with the memory that is allocated:
 *
 * - hbuf: cr_hbuf_get(), fill, cr_hbuf_put(); cr_hbuf_free().
 * - kmalloc: kzalloc(), fill; a kfree() for each. The order is kept in an array
 *   that is there already, which costs less than the list that one would need.
 * - copy: one temporary buffer; zeroed, filled, appended to an image that grows
 *   by chunks as large as those of hbuf. Appending is inline, with no more than
 *   a comparison and a memcpy(); the chunks are not zeroed. It has no cap, no
 *   sticky error and no check of use, which hbuf has.
 *
 * No checksum is made: it would be the same for all. The ways take turns, and a
 * first round is not counted, so that none pays for memory that the machine, or
 * its host, has not used before. The figures are printed, medians and ranges;
 * nothing depends on them.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST

#include <linux/ktime.h>
#include <linux/sort.h>

/* What a kernel with these takes for a record says nothing, and that slowly. */
#if defined(CONFIG_KASAN) || defined(CONFIG_PROVE_LOCKING) || defined(CONFIG_DEBUG_KMEMLEAK)
#define BENCH_ROUNDS	1
#define BENCH_SHARE	100
#else
#define BENCH_ROUNDS	21
#define BENCH_SHARE	1
#endif

/* The record is written once, as a dump function does. */
static void bench_fill(void *record, size_t len, u32 n)
{
	memset(record, n, len);
	OPTIMIZER_HIDE_VAR(record);
}

static bool bench_hbuf(size_t len, u32 nr, void **records)
{
	struct cr_hbuf hb;
	u32 i;

	cr_hbuf_init(&hb, CR_HBUF_CAP);
	for (i = 0; i < nr; i++) {
		void *room = cr_hbuf_get(&hb, len);

		if (!room)
			break;
		bench_fill(room, len, i);
		cr_hbuf_put(&hb, room, len);
	}
	cr_hbuf_free(&hb);
	return i == nr;
}

static bool bench_kmalloc(size_t len, u32 nr, void **records)
{
	u32 i, n;

	for (i = 0; i < nr; i++) {
		records[i] = kzalloc(len, GFP_KERNEL_ACCOUNT);
		if (!records[i])
			break;
		bench_fill(records[i], len, i);
	}
	for (n = 0; n < i; n++)
		kfree(records[n]);
	return i == nr;
}

struct bench_image {
	void **chunks;
	u32 nr_chunks;
	u8 *pos;
	u8 *end;
};

static noinline bool bench_grow(struct bench_image *image)
{
	u8 *chunk = kvmalloc(CR_HBUF_CHUNK, GFP_KERNEL_ACCOUNT);

	if (!chunk)
		return false;
	image->chunks[image->nr_chunks++] = chunk;
	image->pos = chunk;
	image->end = chunk + CR_HBUF_CHUNK;
	return true;
}

static inline bool bench_append(struct bench_image *image, const void *data, size_t len)
{
	if (unlikely(image->end - image->pos < len) && !bench_grow(image))
		return false;
	memcpy(image->pos, data, len);
	image->pos += len;
	return true;
}

static bool bench_copy(size_t len, u32 nr, void **records)
{
	struct bench_image image = { .chunks = records };
	void *tmp = kmalloc(len, GFP_KERNEL_ACCOUNT);
	u32 i;

	for (i = 0; tmp && i < nr; i++) {
		memset(tmp, 0, len);
		bench_fill(tmp, len, i);
		if (!bench_append(&image, tmp, len))
			break;
	}
	while (image.nr_chunks)
		kvfree(image.chunks[--image.nr_chunks]);
	kfree(tmp);
	return tmp && i == nr;
}

static const struct bench_way {
	const char *name;
	bool (*run)(size_t len, u32 nr, void **records);
} bench_ways[] = {
	{ "hbuf",	bench_hbuf },
	{ "kmalloc",	bench_kmalloc },
	{ "copy",	bench_copy },
};

#define BENCH_WAYS	ARRAY_SIZE(bench_ways)

static int bench_cmp(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Every way once in each round, each round beginning with another one. */
static bool bench_rounds(size_t len, u32 nr, void **records, u64 ns[][BENCH_ROUNDS])
{
	bool ok = true;
	u32 round, i;

	for (round = 0; round <= BENCH_ROUNDS; round++) {
		for (i = 0; i < BENCH_WAYS; i++) {
			u32 way = (round + i) % BENCH_WAYS;
			ktime_t start = ktime_get();

			ok &= bench_ways[way].run(len, nr, records);
			if (round)
				ns[way][round - 1] = ktime_to_ns(ktime_sub(ktime_get(), start));
			cond_resched();
		}
	}
	return ok;
}

static void bench_print(struct kunit *test, size_t len, u32 nr, u64 ns[][BENCH_ROUNDS])
{
	u32 way;

	for (way = 0; way < BENCH_WAYS; way++) {
		sort(ns[way], BENCH_ROUNDS, sizeof(ns[way][0]), bench_cmp, NULL);
		kunit_info(test, "%4zu bytes, %-7s %5llu ns per record (%llu to %llu)",
			   len, bench_ways[way].name, ns[way][BENCH_ROUNDS / 2] / nr,
			   ns[way][0] / nr, ns[way][BENCH_ROUNDS - 1] / nr);
	}
}

static void hbuf_benchmark(struct kunit *test)
{
	/* enough that a last chunk which is not full does not matter */
	static const struct {
		size_t len;
		u32 nr;
	} sizes[] = { { 32, 20000 }, { 256, 8000 }, { 4096, 2000 } };
	u64 (*ns)[BENCH_ROUNDS] = kunit_kcalloc(test, BENCH_WAYS, sizeof(*ns), GFP_KERNEL);
	void **records = kunit_kcalloc(test, sizes[0].nr, sizeof(void *), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, ns);
	KUNIT_ASSERT_NOT_NULL(test, records);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u32 nr = sizes[i].nr / BENCH_SHARE;

		KUNIT_EXPECT_TRUE(test, bench_rounds(sizes[i].len, nr, records, ns));
		bench_print(test, sizes[i].len, nr, ns);
	}
}

static struct kunit_case hbuf_bench_cases[] = {
	KUNIT_CASE_SLOW(hbuf_benchmark),
	{}
};

static struct kunit_suite hbuf_bench_suite = {
	.name = "checkpoint_hbuf_benchmark",
	.test_cases = hbuf_bench_cases,
};

kunit_test_suites(&hbuf_test_suite, &hbuf_bench_suite);

#endif /* CONFIG_CHECKPOINT_KUNIT_TEST */
