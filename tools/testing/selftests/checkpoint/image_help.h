/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checkpoint/restart selftests: an image in memory, to look at it, to change
 * it so that all its checksums are right again, and to restart it.
 */
#ifndef _IMAGE_HELP_H
#define _IMAGE_HELP_H

#include "cr_selftest.h"
#include "image_sums.h"

#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#define IMAGE_PAGE	4096UL

struct image {
	unsigned char *data;
	size_t size;
};

/* ---- checksums ---- */

/* Make the checksum of a record right. */
static inline void image_sign(struct cr_img_rec *rec)
{
	rec->crc = 0;
	rec->crc = crc32c(~0U, (void *)rec, sizeof(*rec) + rec->len);
}

static inline struct cr_img_header *image_header(struct image *im)
{
	return (void *)im->data;
}

static inline void image_sign_header(struct image *im)
{
	struct cr_img_header *hdr = image_header(im);

	hdr->crc = 0;
	hdr->crc = crc32c(~0U, im->data, sizeof(*hdr));
}

/* ---- the file ---- */

/* Reads the workload's image. */
static inline void image_read(struct __test_metadata *_metadata, struct cr_child *c,
			      struct image *im)
{
	struct stat st;
	int fd;

	fd = open(c->image, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	im->size = st.st_size;
	im->data = malloc(im->size);
	ASSERT_NE(NULL, im->data);
	ASSERT_EQ((ssize_t)im->size, read(fd, im->data, im->size));
	close(fd);
}

/* Starts the workload, and kills it when it is an image, which is then in @im. */
static inline void make_image(struct __test_metadata *_metadata, struct cr_child *c,
			      void (*workload)(struct cr_child *), struct image *im)
{
	cr_begin_image(_metadata, c, workload);
	image_read(_metadata, c, im);
}

static inline void image_write(struct __test_metadata *_metadata, struct cr_child *c,
			       struct image *im)
{
	int fd = open(c->image, O_WRONLY | O_TRUNC | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)im->size, write(fd, im->data, im->size));
	close(fd);
}

/* Returns what restart() does; 0 if it succeeded, and the copy is gone again. */
static inline int image_restart_flags(struct __test_metadata *_metadata, struct cr_child *c,
				      struct image *im, unsigned long flags)
{
	int fd, err;
	long ret;

	image_write(_metadata, c, im);
	fd = open(c->image, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ret = sys_restart(0, fd, flags);
	err = errno;
	close(fd);
	if (ret > 0) {
		ASSERT_TRUE(cr_kill_tree(ret));
		return 0;
	}
	/* Nothing is left of the attempt: no zombie, and not its root. */
	EXPECT_TRUE(waitpid(-1, NULL, WNOHANG | __WALL) <= 0);
	EXPECT_EQ(-1, kill(c->pid, 0));
	return err;
}

static inline int image_restart(struct __test_metadata *_metadata, struct cr_child *c,
				struct image *im)
{
	return image_restart_flags(_metadata, c, im, 0);
}

/* ---- metadata ---- */

static inline size_t image_meta_end(struct image *im)
{
	return sizeof(struct cr_img_header) + image_header(im)->meta_bytes;
}

/* Bytes of a record in the image, with what it is padded with. */
static inline size_t image_rec_size(const struct cr_img_rec *rec)
{
	return sizeof(*rec) + (rec->len + 7) / 8 * 8;
}

/* The record behind @rec, the first one for NULL; NULL at the end of the metadata. */
static inline struct cr_img_rec *image_next(struct image *im, struct cr_img_rec *rec)
{
	unsigned char *p = im->data + sizeof(struct cr_img_header);

	if (rec)
		p = (unsigned char *)rec + image_rec_size(rec);
	return p < im->data + image_meta_end(im) ? (void *)p : NULL;
}

/* The @nth record of @type. */
static inline struct cr_img_rec *image_find(struct image *im, unsigned int type, int nth)
{
	struct cr_img_rec *rec = NULL;

	while ((rec = image_next(im, rec)))
		if (rec->type == type && !nth--)
			return rec;
	return NULL;
}

/* A field of the records of a type. */
struct field {
	unsigned int type;
	size_t offset;
	size_t size;
};

/* Field @f of records of @type, which are a struct @s. */
#define FIELD(type, s, f) \
	{ type, offsetof(struct s, f), sizeof(((struct s *)0)->f) }

static inline void *field_of(struct cr_img_rec *rec, const struct field *f)
{
	return (char *)(rec + 1) + f->offset;
}

static inline void image_set(struct cr_img_rec *rec, const struct field *f, const void *value)
{
	memcpy(field_of(rec, f), value, f->size);
	image_sign(rec);
}

/* ---- pages ---- */

static inline struct cr_img_pages *image_pages(struct cr_img_rec *rec)
{
	return (void *)(rec + 1);
}

static inline unsigned char *image_page_data(struct cr_img_rec *rec)
{
	return (void *)(image_pages(rec) + 1);
}

/* Bytes of a run of pages: record and pages, which shared ones do not have. */
static inline size_t image_run_size(struct cr_img_rec *rec)
{
	size_t len = sizeof(*rec) + rec->len;

	return rec->type == CR_IMG_PAGES ? len + image_pages(rec)->nr_pages * IMAGE_PAGE : len;
}

/* The run with the page at @start; or, for -1, the trailer. */
static inline struct cr_img_rec *image_run(struct image *im, __u64 start)
{
	struct cr_img_rec *rec = (void *)(im->data + image_meta_end(im));

	for (; rec->type != CR_IMG_END; rec = (void *)rec + image_run_size(rec))
		if (rec->type == CR_IMG_PAGES && start - image_pages(rec)->start <
		    image_pages(rec)->nr_pages * IMAGE_PAGE)
			return rec;
	return start == -1ULL && rec->type == CR_IMG_END ? rec : NULL;
}

/* The reference to shared pages at @start. */
static inline struct cr_img_rec *image_ref(struct image *im, __u64 start)
{
	struct cr_img_rec *rec = (void *)(im->data + image_meta_end(im));
	struct cr_img_pages_ref *ref;

	for (; rec->type != CR_IMG_END; rec = (void *)rec + image_run_size(rec)) {
		ref = (void *)(rec + 1);
		if (rec->type == CR_IMG_PAGES_REF && ref->start == start)
			return rec;
	}
	return NULL;
}

/* The image has got @bytes more, with @nr_pages pages: make the trailer right. */
static inline void image_end_grow(struct image *im, long bytes, unsigned int nr_pages)
{
	struct cr_img_end *end = (void *)(im->data + im->size - sizeof(*end));

	end->nr_pages += nr_pages;
	end->total_bytes += bytes;
	image_sign((struct cr_img_rec *)end - 1);
}

/* Take a record of the metadata out. */
static inline void image_remove(struct image *im, struct cr_img_rec *rec)
{
	size_t len = image_rec_size(rec);
	unsigned char *end = (unsigned char *)rec + len;

	memmove(rec, end, im->data + im->size - end);
	im->size -= len;
	image_header(im)->meta_bytes -= len;
	image_header(im)->nr_records--;
	image_sign_header(im);
	image_end_grow(im, -(long)len, 0);
}

/*
 * Makes room for @size bytes with @nr_pages pages at @at, with the trailer made
 * right. Returns it; all other pointers into the image are void.
 */
static inline void *image_grow(struct __test_metadata *_metadata, struct image *im,
			       void *at, size_t size, unsigned int nr_pages)
{
	size_t offset = (unsigned char *)at - im->data;

	im->data = realloc(im->data, im->size + size);
	ASSERT_NE(NULL, im->data);
	at = im->data + offset;
	memmove(at + size, at, im->size - offset);
	im->size += size;
	image_end_grow(im, size, nr_pages);
	return at;
}

/* Put a record of the metadata there a second time, behind itself. */
static inline void image_double(struct __test_metadata *_metadata, struct image *im,
				struct cr_img_rec *rec)
{
	size_t len = image_rec_size(rec);

	rec = image_grow(_metadata, im, rec, len, 0);
	memcpy(rec, (char *)rec + len, len);
	image_header(im)->meta_bytes += len;
	image_header(im)->nr_records++;
	image_sign_header(im);
}

static inline void image_sign_run(struct cr_img_rec *rec)
{
	struct cr_img_pages *pages = image_pages(rec);

	pages->hash = xxh64_pages(image_page_data(rec), pages->nr_pages * IMAGE_PAGE);
	image_sign(rec);
}

/* ---- one wrong field each ---- */

struct wrong {
	const char *what;
	int nth;
	struct field field;
	unsigned long long value;
	int err;
};

/* Field @f of the @nth record, which is a struct @s, must not be @value. */
#define WRONG(what, type, nth, s, f, value, err) \
	{ what, nth, FIELD(type, s, f), value, err }

/*
 * Each of @wrongs alone makes an image of @workload be refused with the errno
 * that belongs to it; without, it is restarted.
 */
static inline void refuse_each(struct __test_metadata *_metadata,
			       void (*workload)(struct cr_child *),
			       const struct wrong *wrongs, size_t nr, unsigned long flags)
{
	struct cr_img_rec *rec;
	struct image im;
	struct cr_child c;
	unsigned char old[8];
	size_t i;
	int err;

	make_image(_metadata, &c, workload, &im);
	ASSERT_EQ(0, image_restart_flags(_metadata, &c, &im, flags)) {
		TH_LOG("unchanged: %s", cr_reason());
	}
	for (i = 0; i < nr; i++) {
		const struct wrong *w = &wrongs[i];

		rec = image_find(&im, w->field.type, w->nth);
		ASSERT_NE(NULL, rec) {
			TH_LOG("%s: there is no record of type %u", w->what, w->field.type);
		}
		memcpy(old, field_of(rec, &w->field), w->field.size);
		image_set(rec, &w->field, &w->value);
		err = image_restart_flags(_metadata, &c, &im, flags);
		EXPECT_EQ(w->err, err) {
			TH_LOG("%s (type %u): %s", w->what, w->field.type, cr_reason());
		}
		EXPECT_TRUE(!err || *cr_reason());
		image_set(rec, &w->field, old);
	}
	EXPECT_EQ(0, image_restart_flags(_metadata, &c, &im, flags));
	cr_end(_metadata, &c);
}

#endif /* _IMAGE_HELP_H */
