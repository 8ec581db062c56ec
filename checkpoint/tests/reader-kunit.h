/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of reading and checking images. Included at the end of reader.c.
 *
 * A small image is made as checkpoint() makes it, is damaged in all ways, and
 * must be refused with the right error; or, damaged at random with checksums
 * that match, must do no harm.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST
#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/shmem_fs.h>
#include <linux/unaligned.h>

#define TEST_RECS	7

/**
 * struct test_image - an image as bytes
 * @buf: header and metadata, CR_IMG_END, room for 64 bytes more
 * @len: bytes of it
 * @meta_end: where the metadata ends
 * @rec: where the records are
 */
struct test_image {
	u8 *buf;
	size_t len;
	size_t meta_end;
	u32 rec[TEST_RECS];
};

/*
 * 0: STRING	 object 1
 * 1: FILE	 object 2
 * 2: EVENTFD	 object 2
 * 3: FILES	 object 3
 * 4: FD 0	 object 3
 * 5: FD 7	 object 3
 * 6: STRING	 object 4, the kernel's release
 */
static void test_fill(struct kunit *test, struct cr_ctx *ctx)
{
	struct cr_img_file file = { .kind = CR_IMG_FILE_EVENTFD, .flags = O_RDWR };
	struct cr_img_file_eventfd eventfd = { .count = 5 };
	struct cr_img_files files = { .nr_fds = 2 };
	struct cr_img_fd fd = { .fd = 0, .file_id = 2 };

	KUNIT_ASSERT_EQ(test, cr_string_add(ctx, "hello", 5), 1);
	KUNIT_ASSERT_EQ(test, cr_obj_new_id(ctx), 2);
	cr_rec_add(ctx, CR_IMG_FILE, 2, &file, sizeof(file));
	cr_rec_add(ctx, CR_IMG_FILE_EVENTFD, 2, &eventfd, sizeof(eventfd));
	KUNIT_ASSERT_EQ(test, cr_obj_new_id(ctx), 3);
	cr_rec_add(ctx, CR_IMG_FILES, 3, &files, sizeof(files));
	cr_rec_add(ctx, CR_IMG_FD, 3, &fd, sizeof(fd));
	fd.fd = 7;
	cr_rec_add(ctx, CR_IMG_FD, 3, &fd, sizeof(fd));
	KUNIT_ASSERT_EQ(test, cr_image_seal(ctx), 0);
	KUNIT_ASSERT_EQ(test, ctx->err, 0);
}

static struct test_image *test_make(struct kunit *test)
{
	struct test_image *img = kunit_kzalloc(test, sizeof(*img), GFP_KERNEL);
	struct cr_ctx *ctx = cr_ctx_alloc("test", 0);
	struct cr_out out = {};
	loff_t pos = 0;
	u32 i, at = sizeof(struct cr_img_header);

	KUNIT_ASSERT_NOT_NULL(test, img);
	KUNIT_ASSERT_NOT_NULL(test, ctx);
	out.file = shmem_kernel_file_setup("checkpoint-test", 0, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, out.file);
	test_fill(test, ctx);
	KUNIT_ASSERT_EQ(test, cr_image_write(ctx, &out), 0);

	img->len = out.bytes;
	img->meta_end = at + ctx->hdr.meta_bytes;
	img->buf = kunit_kzalloc(test, img->len + 64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, img->buf);
	KUNIT_ASSERT_EQ(test, kernel_read(out.file, img->buf, img->len, &pos), img->len);
	for (i = 0; i < TEST_RECS; i++) {
		struct cr_img_rec *rec = (struct cr_img_rec *)(img->buf + at);

		img->rec[i] = at;
		at += sizeof(*rec) + ALIGN(rec->len, 8);
	}
	KUNIT_ASSERT_EQ(test, at, img->meta_end);
	fput(out.file);
	cr_ctx_put(ctx);
	return img;
}

/* Make all checksums match again; a length that is out of the image stays bad. */
static void test_fix(struct test_image *img, u8 *buf)
{
	struct cr_img_header *hdr = (struct cr_img_header *)buf;
	int i;

	for (i = 0; i < TEST_RECS; i++) {
		struct cr_img_rec *rec = (struct cr_img_rec *)(buf + img->rec[i]);

		if (rec->len <= img->len - img->rec[i] - sizeof(*rec))
			rec->crc = cr_rec_crc(rec, rec + 1);
	}
	hdr->crc = 0;
	hdr->crc = cr_crc(~0U, hdr, sizeof(*hdr));
}

/* All of cr_image_read() except that there must be processes. */
static int test_read(struct kunit *test, const u8 *buf, size_t len, char *reason)
{
	struct cr_ctx *ctx = cr_ctx_alloc("test", 0);
	struct cr_in in = {};
	loff_t pos = 0;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, ctx);
	in.file = shmem_kernel_file_setup("checkpoint-test", 0, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, in.file);
	KUNIT_ASSERT_EQ(test, kernel_write(in.file, buf, len, &pos), len);
	err = cr_in_bytes(ctx, &in, &ctx->hdr, sizeof(ctx->hdr)) ?:
	      check_header(ctx) ?:
	      read_recs(ctx, &in) ?:
	      index_objects(ctx) ?:
	      check_release(ctx) ?:
	      check_records(ctx);
	KUNIT_EXPECT_EQ(test, err, ctx->err);
	KUNIT_EXPECT_EQ(test, !err, !ctx->report.reason[0]);
	if (!err) {
		KUNIT_EXPECT_EQ(test, ctx->nr_records, ctx->hdr.nr_records);
		KUNIT_EXPECT_EQ(test, in.bytes, sizeof(ctx->hdr) + ctx->hdr.meta_bytes);
	}
	if (reason)
		strscpy(reason, ctx->report.reason, CR_REASON_MAX);
	fput(in.file);
	cr_ctx_put(ctx);
	return err;
}

#define HEADER	-1
#define HDR(field)		{ HEADER, offsetof(struct cr_img_header, field) }
#define HEAD(rec, field)	{ rec, offsetof(struct cr_img_rec, field) }
#define BODY(rec, offset)	{ rec, sizeof(struct cr_img_rec) + (offset) }

/* One 32-bit word is changed, and what the reader must say to that. */
static const struct test_damage {
	const char *name;
	struct {
		int rec;
		size_t offset;
	} at;
	u32 value;
	bool keep_crc;
	int err;
} test_damages[] = {
	{ "nothing",		HDR(nr_records), TEST_RECS, false, 0 },
	{ "magic",		HDR(magic), 1, false, -EINVAL },
	{ "header checksum",	HDR(time_ns), 1, true, -EBADMSG },
	{ "revision",		HDR(revision), CR_IMG_REVISION + 1, false, -EINVAL },
	{ "arch",		HDR(arch), 183, false, -EINVAL },
	{ "compat",		HDR(compat), 0x80000000, false, 0 },
	{ "incompat",		HDR(incompat), 0x80000000, false, -EOPNOTSUPP },
	{ "page size",		HDR(page_size), 65536, false, -EINVAL },
	{ "parent",		HDR(parent_uuid), 1, false, -EINVAL },
	{ "reserved",		HDR(reserved), 1, false, -EINVAL },
	{ "too many records",	HDR(nr_records), U32_MAX, false, -E2BIG },
	{ "too much metadata",	HDR(meta_bytes), U32_MAX, false, -E2BIG },
	{ "one record less",	HDR(nr_records), TEST_RECS - 1, false, -EINVAL },
	{ "one record more",	HDR(nr_records), TEST_RECS + 1, false, -EINVAL },
	{ "no objects",		HDR(nr_objects), 0, false, -EINVAL },
	{ "too many objects",	HDR(nr_objects), TEST_RECS + 1, false, -EINVAL },
	{ "too few objects",	HDR(nr_objects), 3, false, -EINVAL },
	{ "no release",		HDR(release_id), 0, false, -EINVAL },
	{ "other release",	HDR(release_id), 1, false, -EINVAL },
	{ "release no string",	HDR(release_id), 2, false, -EINVAL },

	{ "type unknown",	HEAD(0, type), 95, false, -EINVAL },
	{ "type huge",		HEAD(0, type), U32_MAX, false, -EINVAL },
	{ "type none",		HEAD(0, type), CR_IMG_NONE, false, -EINVAL },
	{ "type pages",		HEAD(0, type), CR_IMG_PAGES, false, -EINVAL },
	{ "empty",		HEAD(0, len), 0, false, -EINVAL },
	{ "too long",		HEAD(0, len), CR_STRING_MAX + 1, false, -EINVAL },
	{ "length huge",	HEAD(0, len), U32_MAX, false, -EINVAL },
	{ "fixed length",	HEAD(4, len), 8, false, -EINVAL },
	{ "beyond the end",	HEAD(6, len), CR_STRING_MAX, false, -EINVAL },
	{ "object 0",		HEAD(0, id), 0, false, -EINVAL },
	{ "object beyond",	HEAD(0, id), 5, false, -EINVAL },
	{ "checksum",		HEAD(3, crc), 1, true, -EBADMSG },
	{ "checksum of data",	BODY(2, 0), 6, true, -EBADMSG },
	{ "padding",		BODY(0, 4), 'o' | 1 << 8, false, -EINVAL },

	{ "two heads",		HEAD(6, id), 1, false, -EINVAL },
	{ "not contiguous",	HEAD(5, id), 1, false, -EINVAL },
	{ "part as a head",	HEAD(4, id), 1, false, -EINVAL },
	{ "part of another",	HEAD(3, type), CR_IMG_FD, false, -EINVAL },
	{ "no kind",		BODY(1, 0), 0, false, -EINVAL },
	{ "another kind",	BODY(1, 0), CR_IMG_FILE_EPOLL, false, -EINVAL },
	{ "kind no file",	BODY(1, 0), CR_IMG_PIPE, false, -EINVAL },
	{ "kind huge",		BODY(1, 0), U32_MAX, false, -EINVAL },

	{ "NUL in a string",	BODY(0, 0), 0, false, -EINVAL },
	{ "unknown flag",	BODY(2, 8), 0x80000000, false, -EINVAL },
	{ "reserved field",	BODY(2, 12), 1, false, -EINVAL },
	{ "one part more",	BODY(3, 0), 3, false, -EINVAL },
	{ "one part less",	BODY(3, 0), 1, false, -EINVAL },
	{ "parts out of order",	BODY(4, 0), 8, false, -EINVAL },
	{ "parts twice",	BODY(4, 0), 7, false, -EINVAL },
	{ "reference to none",	BODY(4, 4), 0, false, -EINVAL },
	{ "reference beyond",	BODY(4, 4), 5, false, -EINVAL },
	{ "reference huge",	BODY(4, 4), U32_MAX, false, -EINVAL },
	{ "reference to itself", BODY(4, 4), 3, false, -EINVAL },
	{ "reference to a later one", BODY(4, 4), 4, false, -EINVAL },
	{ "reference to a string", BODY(4, 4), 1, false, -EINVAL },
};

static void reader_test_damage(struct kunit *test)
{
	struct test_image *img = test_make(test);
	char *reason = kunit_kzalloc(test, CR_REASON_MAX, GFP_KERNEL);
	u8 *buf = kunit_kzalloc(test, img->len, GFP_KERNEL);
	int i, err;

	KUNIT_ASSERT_NOT_NULL(test, reason);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < ARRAY_SIZE(test_damages); i++) {
		const struct test_damage *d = &test_damages[i];
		size_t at = d->at.offset + (d->at.rec == HEADER ? 0 : img->rec[d->at.rec]);

		memcpy(buf, img->buf, img->len);
		put_unaligned(d->value, (u32 *)(buf + at));
		if (!d->keep_crc)
			test_fix(img, buf);
		err = test_read(test, buf, img->len, reason);
		KUNIT_EXPECT_EQ_MSG(test, err, d->err, "%s: %s", d->name, reason);
	}
}

/* The same objects come out, in order. */
static void reader_test_intact(struct kunit *test)
{
	struct test_image *img = test_make(test);

	KUNIT_EXPECT_EQ(test, test_read(test, img->buf, img->len, NULL), 0);
	/* What comes behind the metadata is none of its business. */
	KUNIT_EXPECT_EQ(test, test_read(test, img->buf, img->meta_end, NULL), 0);
}

static void reader_test_truncated(struct kunit *test)
{
	struct test_image *img = test_make(test);
	size_t len;

	for (len = 0; len < img->meta_end; len++)
		KUNIT_EXPECT_EQ_MSG(test, test_read(test, img->buf, len, NULL), -EINVAL,
				    "at %zu", len);
}

/* Metadata that claims to end elsewhere than between two records. */
static void reader_test_meta_bytes(struct kunit *test)
{
	struct test_image *img = test_make(test);
	struct cr_img_header *hdr = (struct cr_img_header *)img->buf;
	u64 meta_bytes = hdr->meta_bytes;
	int diff;

	for (diff = -40; diff <= 40; diff++) {
		hdr->meta_bytes = meta_bytes + diff;
		test_fix(img, img->buf);
		KUNIT_EXPECT_EQ_MSG(test, test_read(test, img->buf, img->len + 64, NULL),
				    diff ? -EINVAL : 0, "%d", diff);
	}
}

/* No byte of the metadata can change without being noticed. */
static void reader_test_flipped(struct kunit *test)
{
	struct test_image *img = test_make(test);
	size_t i;

	for (i = 0; i < img->meta_end; i++) {
		img->buf[i] ^= 0x40;
		KUNIT_EXPECT_NE_MSG(test, test_read(test, img->buf, img->len, NULL), 0,
				    "at %zu", i);
		img->buf[i] ^= 0x40;
	}
}

/* With checksums that match anything may come out, but nothing bad happens. */
static void reader_test_fuzz(struct kunit *test)
{
	static const u8 masks[] = { 0x01, 0x80, 0xff };
	struct test_image *img = test_make(test);
	u8 *buf = kunit_kzalloc(test, img->len, GFP_KERNEL);
	size_t i, m;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < img->meta_end; i++) {
		for (m = 0; m < ARRAY_SIZE(masks); m++) {
			memcpy(buf, img->buf, img->len);
			buf[i] ^= masks[m];
			test_fix(img, buf);
			err = test_read(test, buf, img->len, NULL);
			KUNIT_EXPECT_LE(test, err, 0);
			KUNIT_EXPECT_GE(test, err, -MAX_ERRNO);
		}
	}
}

static struct kunit_case reader_test_cases[] = {
	KUNIT_CASE(reader_test_intact),
	KUNIT_CASE(reader_test_damage),
	KUNIT_CASE(reader_test_truncated),
	KUNIT_CASE(reader_test_meta_bytes),
	KUNIT_CASE(reader_test_flipped),
	KUNIT_CASE_SLOW(reader_test_fuzz),
	{}
};

static struct kunit_suite reader_test_suite = {
	.name = "checkpoint_reader",
	.test_cases = reader_test_cases,
};

kunit_test_suite(reader_test_suite);

#endif /* CONFIG_CHECKPOINT_KUNIT_TEST */
