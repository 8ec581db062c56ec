/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a record costs in the image buffer, against an allocation for each
 * record, and against a temporary buffer that is copied from. All three hand
 * out zeroed room, charge it to the memory cgroup and keep all records until
 * the end. The figures are printed; nothing depends on them.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST

#include <linux/ktime.h>
#include <linux/sort.h>

#define BENCH_RECORDS	2048
#define BENCH_RUNS	7

/* The record is written once, as a dump function does. */
static void bench_fill(void *record, size_t len, u32 n)
{
	memset(record, n, len);
	OPTIMIZER_HIDE_VAR(record);
}

static bool bench_hbuf(size_t len, void **records)
{
	struct cr_hbuf hb;
	bool ok = true;
	u32 i;

	cr_hbuf_init(&hb, CR_HBUF_CAP);
	for (i = 0; ok && i < BENCH_RECORDS; i++) {
		void *room = cr_hbuf_get(&hb, len);

		ok = room;
		if (ok)
			bench_fill(room, len, i);
		cr_hbuf_put(&hb, room, len);
	}
	cr_hbuf_free(&hb);
	return ok;
}

static bool bench_kmalloc(size_t len, void **records)
{
	bool ok = true;
	u32 i;

	for (i = 0; i < BENCH_RECORDS; i++) {
		records[i] = kzalloc(len, GFP_KERNEL_ACCOUNT);
		if (records[i])
			bench_fill(records[i], len, i);
		else
			ok = false;
	}
	for (i = 0; i < BENCH_RECORDS; i++)
		kfree(records[i]);
	return ok;
}

/* The buffer that is copied to grows in chunks of the same size as hbuf's. */
static bool bench_copy(size_t len, void **records)
{
	u32 per_chunk = CR_HBUF_CHUNK / len, i, nr_chunks = 0;
	void *tmp = kmalloc(len, GFP_KERNEL_ACCOUNT);
	bool ok = tmp;

	for (i = 0; ok && i < BENCH_RECORDS; i++) {
		if (i % per_chunk == 0) {
			records[nr_chunks] = kvmalloc(CR_HBUF_CHUNK, GFP_KERNEL_ACCOUNT);
			ok = records[nr_chunks++];
			if (!ok)
				break;
		}
		memset(tmp, 0, len);
		bench_fill(tmp, len, i);
		memcpy(records[nr_chunks - 1] + i % per_chunk * len, tmp, len);
	}
	while (nr_chunks)
		kvfree(records[--nr_chunks]);
	kfree(tmp);
	return ok;
}

static int bench_cmp(const void *a, const void *b)
{
	return *(const u64 *)a < *(const u64 *)b ? -1 : 1;
}

/* Median of several runs, in ns for one record. */
static u64 bench(struct kunit *test, bool (*way)(size_t, void **), size_t len,
		 void **records)
{
	u64 ns[BENCH_RUNS];
	u32 i;

	for (i = 0; i < BENCH_RUNS; i++) {
		ktime_t start = ktime_get();

		KUNIT_EXPECT_TRUE(test, way(len, records));
		ns[i] = ktime_to_ns(ktime_sub(ktime_get(), start));
	}
	sort(ns, BENCH_RUNS, sizeof(ns[0]), bench_cmp, NULL);
	return ns[BENCH_RUNS / 2] / BENCH_RECORDS;
}

static void hbuf_benchmark(struct kunit *test)
{
	static const size_t lens[] = { 32, 256, 4096 };
	void **records = kunit_kcalloc(test, BENCH_RECORDS, sizeof(void *), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, records);
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		kunit_info(test, "%zu bytes, ns per record: hbuf %llu, kmalloc %llu, copy %llu",
			   lens[i], bench(test, bench_hbuf, lens[i], records),
			   bench(test, bench_kmalloc, lens[i], records),
			   bench(test, bench_copy, lens[i], records));
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
