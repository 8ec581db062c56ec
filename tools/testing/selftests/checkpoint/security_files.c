// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: root restarts the image of a user, in which another file
 * stands than the user had open. It is opened with the user's permissions, or not
 * at all.
 */
#include "security_help.h"

#include <sys/mman.h>
#include <sys/sysmacros.h>

/* Names of one length, so that one can be put in the place of another. */
#define OPENED	"dir-a/file-a"

static void make_files(struct cr_child *c)
{
	CR_CHECK(c, !mkdir("dir-a", 0755) && !mkdir("dir-b", 0700));
	umask(0);
	/* the one that is open */
	CR_CHECK(c, mknod(OPENED, S_IFREG | 0644, 0) == 0);
	CR_CHECK(c, mknod("dir-a/secret", S_IFREG | 0600, 0) == 0);
	CR_CHECK(c, mknod("dir-b/file-a", S_IFREG | 0644, 0) == 0);
	/* readable for all, to be run by root only */
	CR_CHECK(c, mknod("dir-a/roots-", S_IFREG | 0744, 0) == 0);
	CR_CHECK(c, mknod("dir-a/device", S_IFCHR | 0666, makedev(1, 1)) == 0);
	CR_CHECK(c, mknod("dir-a/disk-0", S_IFBLK | 0666, makedev(7, 0)) == 0);
	CR_CHECK(c, mknod("dir-a/fifo-a", S_IFIFO | 0666, 0) == 0);
	CR_CHECK(c, !symlink("/proc/1/mem", "dir-a/memory"));
	CR_CHECK(c, !symlink("/proc/self/fd/0", "dir-a/descri"));
	CR_CHECK(c, !symlink("/proc/self/cwd/" OPENED, "dir-a/curdir"));
	umask(022);
}

static void open_it(struct cr_child *c)
{
	make_files(c);
	CR_CHECK(c, !become(USER, 0));
	CR_CHECK(c, open(OPENED, O_RDONLY) == 3);
}

static void do_open(struct cr_child *c)
{
	open_it(c);
	cr_ready(c);
}

FIXTURE(files) {
	struct cr_child c;
	struct image im;
	struct cr_img_file *file;
	__u32 file_id;
};

FIXTURE_VARIANT(files) {
	const char *name;	/* instead of OPENED; NULL is the same */
	unsigned int flags;	/* besides those that it was opened with */
	int err;
};

/* Without this nothing that is refused would mean anything. */
FIXTURE_VARIANT_ADD(files, unchanged) { NULL, 0, 0 };

FIXTURE_VARIANT_ADD(files, of_root_only) { "dir-a/secret", 0, EACCES };
FIXTURE_VARIANT_ADD(files, in_a_closed_directory) { "dir-b/file-a", 0, EACCES };
FIXTURE_VARIANT_ADD(files, read_only) { NULL, O_RDWR, EACCES };
FIXTURE_VARIANT_ADD(files, noatime_of_another_owner) { NULL, O_NOATIME, EPERM };
FIXTURE_VARIANT_ADD(files, device) { "dir-a/device", 0, EOPNOTSUPP };
FIXTURE_VARIANT_ADD(files, block_device) { "dir-a/disk-0", 0, EOPNOTSUPP };
FIXTURE_VARIANT_ADD(files, fifo) { "dir-a/fifo-a", 0, EOPNOTSUPP };
FIXTURE_VARIANT_ADD(files, memory_of_init) { "dir-a/memory", 0, EACCES };
FIXTURE_VARIANT_ADD(files, descriptor_of_the_restarted) { "dir-a/descri", 0, ELOOP };
FIXTURE_VARIANT_ADD(files, directory_of_the_restarted) { "dir-a/curdir", 0, ELOOP };
FIXTURE_VARIANT_ADD(files, creating_is_no_flag) { NULL, O_CREAT, EINVAL };
FIXTURE_VARIANT_ADD(files, truncating_is_no_flag) { NULL, O_TRUNC, EINVAL };

FIXTURE_SETUP(files)
{
	struct cr_img_file_path *path = NULL;
	struct cr_img_rec *rec = NULL;
	const struct cr_img_fd *fd;

	if (geteuid())
		SKIP(return, "not root");
	make_image(_metadata, &self->c, do_open, &self->im);
	while ((rec = image_next(&self->im, rec))) {
		fd = (void *)(rec + 1);
		if (rec->type == CR_IMG_FD && fd->fd == 3)
			self->file_id = fd->file_id;
	}
	while ((rec = image_next(&self->im, rec))) {
		if (rec->id == self->file_id && rec->type == CR_IMG_FILE)
			self->file = (void *)(rec + 1);
		if (rec->id == self->file_id && rec->type == CR_IMG_FILE_PATH)
			path = (void *)(rec + 1);
	}
	ASSERT_NE(NULL, self->file);
	ASSERT_NE(NULL, path);
}

FIXTURE_TEARDOWN(files)
{
	free(self->im.data);
	cr_end(_metadata, &self->c);
}

/* Wherever OPENED stands in the image there is @name now. */
static void rename_in_image(struct __test_metadata *_metadata, struct image *im,
			    const char *name)
{
	size_t len = strlen(OPENED);
	struct cr_img_rec *rec = NULL;
	unsigned int found = 0;
	char *end;

	ASSERT_EQ(len, strlen(name));
	while ((rec = image_next(im, rec))) {
		end = (char *)(rec + 1) + rec->len - len;
		if (rec->type != CR_IMG_STRING || rec->len < len || memcmp(end, OPENED, len))
			continue;
		memcpy(end, name, len);
		image_sign(rec);
		found++;
	}
	ASSERT_EQ(1U, found);
}

TEST_F(files, opened)
{
	struct attempt a = { 0, ALL_CAPS };
	struct cr_img_rec *rec = (struct cr_img_rec *)self->file - 1;

	if (variant->name)
		rename_in_image(_metadata, &self->im, variant->name);
	if (variant->flags & O_ACCMODE)
		self->file->flags &= ~O_ACCMODE;
	self->file->flags |= variant->flags;
	image_sign(rec);
	image_write(_metadata, &self->c, &self->im);
	EXPECT_EQ(variant->err, attempt(_metadata, &self->c, &a));
}

/* ---- the executable ---- */

/* An address space can refer to it only if the file is mapped. */
static void do_map(struct cr_child *c)
{
	open_it(c);
	CR_CHECK(c, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) != MAP_FAILED);
	cr_ready(c);
}

/* Nobody could write to it any more. */
TEST(executable_of_root)
{
	struct attempt a = {
		.caps = ALL_CAPS,
		.reason = "cannot be its executable",
	};
	struct cr_img_rec *rec = NULL;
	const struct cr_img_fd *fd;
	struct cr_img_mm *mm;
	struct cr_child c;
	struct image im;

	if (geteuid())
		SKIP(return, "not root");
	make_image(_metadata, &c, do_map, &im);
	rename_in_image(_metadata, &im, "dir-a/roots-");
	image_write(_metadata, &c, &im);
	/* it may be opened */
	EXPECT_EQ(0, attempt(_metadata, &c, &a));
	mm = (void *)(image_find(&im, CR_IMG_MM, 0) + 1);
	while ((rec = image_next(&im, rec))) {
		fd = (void *)(rec + 1);
		if (rec->type == CR_IMG_FD && fd->fd == 3)
			mm->exe_id = fd->file_id;
	}
	image_sign((struct cr_img_rec *)mm - 1);
	image_write(_metadata, &c, &im);
	EXPECT_EQ(EACCES, attempt(_metadata, &c, &a));
	free(im.data);
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
