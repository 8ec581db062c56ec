/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checkpoint/restart selftests: images that are changed before a restart.
 */
#ifndef _IMAGE_HELP_H
#define _IMAGE_HELP_H

#include <sys/wait.h>

#include "cr_selftest.h"

struct image {
	unsigned char *data;
	size_t size;
	size_t meta_end;
};

static inline unsigned int crc32c(unsigned int crc, const unsigned char *p, size_t n)
{
	int bit;

	while (n--) {
		crc ^= *p++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static inline void image_read(struct __test_metadata *_metadata, struct cr_child *c,
			      struct image *im)
{
	struct cr_img_header *hdr;
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
	hdr = (void *)im->data;
	im->meta_end = sizeof(*hdr) + hdr->meta_bytes;
}

static inline struct cr_img_rec *next_rec(struct image *im, struct cr_img_rec *rec)
{
	unsigned char *p = im->data + sizeof(struct cr_img_header);

	if (rec)
		p = (unsigned char *)(rec + 1) + (rec->len + 7) / 8 * 8;
	return p < im->data + im->meta_end ? (void *)p : NULL;
}

/* The @nth record of @type. */
static inline struct cr_img_rec *find_rec(struct image *im, unsigned int type, int nth)
{
	struct cr_img_rec *rec = NULL;

	while ((rec = next_rec(im, rec)))
		if (rec->type == type && !nth--)
			return rec;
	return NULL;
}

static inline void sign(struct cr_img_rec *rec)
{
	rec->crc = 0;
	rec->crc = crc32c(~0U, (void *)rec, sizeof(*rec) + rec->len);
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
static inline int try_restart(struct __test_metadata *_metadata, struct cr_child *c,
			      struct image *im)
{
	int fd, err;
	long ret;

	image_write(_metadata, c, im);
	fd = open(c->image, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ret = sys_restart(0, fd, 0);
	err = errno;
	close(fd);
	if (ret > 0) {
		ASSERT_TRUE(cr_kill_tree(ret));
		return 0;
	}
	/* Nothing is left of the attempt. */
	EXPECT_TRUE(waitpid(-1, NULL, WNOHANG | __WALL) <= 0);
	return err;
}

#endif /* _IMAGE_HELP_H */
