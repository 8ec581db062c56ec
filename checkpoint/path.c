// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: open files that are found again by their name: regular
 * files, directories, and the memory devices null, zero, full, random, urandom.
 * Also O_PATH descriptors of these.
 *
 * Saved: the path from the container's root, type, device number and, to tell
 * what changed, size, time and inode number. Not the content: the file is the
 * content.
 *
 * Refused: files without a name (unlinked, O_TMPFILE, memfd, secretmem), files
 * of kernel file systems whose content is made up when it is read (/proc, /sys,
 * …), files in a place that the container's root does not reach. Only what is
 * in memory is looked at: whether the name has been given to another file with
 * a mount on top is found at restart, by its type only.
 *
 * Locks: none. The tree is frozen; a rename by somebody else is as good before
 * as after.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/mount.h>
#include <linux/slab.h>

#include "objects.h"

/* File systems that invent their content; a position in it means nothing. */
static const struct {
	unsigned long magic;
	const char *name;
} kernel_fs[] = {
	{ PROC_SUPER_MAGIC,	"file of proc" },
	{ SYSFS_MAGIC,		"file of sysfs" },
	{ DEBUGFS_MAGIC,	"file of debugfs" },
	{ TRACEFS_MAGIC,	"file of tracefs" },
	{ CGROUP_SUPER_MAGIC,	"file of cgroup" },
	{ CGROUP2_SUPER_MAGIC,	"file of cgroup2" },
	{ RDTGROUP_SUPER_MAGIC,	"file of resctrl" },
	{ SECURITYFS_MAGIC,	"file of securityfs" },
	{ SELINUX_MAGIC,	"file of selinuxfs" },
	{ SMACK_MAGIC,		"file of smackfs" },
	{ AAFS_MAGIC,		"file of apparmorfs" },
	{ BPF_FS_MAGIC,		"file of bpf" },
	{ BINFMTFS_MAGIC,	"file of binfmt_misc" },
	{ BINDERFS_SUPER_MAGIC,	"file of binder" },
	{ AUTOFS_SUPER_MAGIC,	"file of autofs" },
	{ EFIVARFS_MAGIC,	"file of efivarfs" },
	{ PSTOREFS_MAGIC,	"file of pstore" },
	{ DEVPTS_SUPER_MAGIC,	"file of devpts" },
	{ 0x62656570,		"file of configfs" },
	{ 0x19800202,		"message queue" },
	{ HUGETLBFS_MAGIC,	"file of hugetlbfs" },
	{ NSFS_MAGIC,		"namespace" },
	{ PID_FS_MAGIC,		"pidfd" },
	{ SECRETMEM_MAGIC,	"secret memory" },
	{ DMA_BUF_MAGIC,	"dma-buf" },
};

bool cr_path_device(const struct inode *inode)
{
	if (!S_ISCHR(inode->i_mode) || imajor(inode) != MEM_MAJOR)
		return false;
	switch (iminor(inode)) {
	case 3: /* null */
	case 5: /* zero */
	case 7: /* full */
	case 8: /* random */
	case 9: /* urandom */
		return true;
	}
	return false;
}

bool cr_path_match(struct file *file)
{
	struct inode *inode = file_inode(file);

	return S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode) || cr_path_device(inode);
}

static int path_refuse(struct cr_ctx *ctx, struct file *file)
{
	/* a mapped file of an overlay is that of a layer; its name is the overlay's */
	const struct path *path = file_user_path(file);
	const struct dentry *dentry = path->dentry;
	const struct inode *inode = file_inode(file);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kernel_fs); i++) {
		if (inode->i_sb->s_magic == kernel_fs[i].magic)
			return cr_fail(ctx, -EOPNOTSUPP, "%s: %s (%pD2): not supported",
				       cr_where(ctx), kernel_fs[i].name, file);
	}

	/* memfd_create() and shared memory live in mounts nobody else sees */
	if (path->mnt->mnt_flags & MNT_INTERNAL)
		return cr_fail(ctx, -EOPNOTSUPP, "%s: %s (%pD): not supported", cr_where(ctx),
			       strncmp(dentry->d_name.name, "memfd:", 6) ?
			       "file without a mount" : "memfd", file);

	if (d_unlinked(dentry) || !inode->i_nlink ||
	    (dentry->d_flags & DCACHE_NFSFS_RENAMED))
		return cr_fail(ctx, -EOPNOTSUPP, "%s: %s (%pD): not supported", cr_where(ctx),
			       file->f_flags & __O_TMPFILE ? "O_TMPFILE file without a name" :
			       "unlinked file", file);
	/* a copy would not be told of it */
	if ((file->f_mode & FMODE_WRITE) &&
	    errseq_check(&file->f_mapping->wb_err, file->f_wb_err))
		return cr_fail(ctx, -EOPNOTSUPP,
			       "%s: write error that fsync() has not told yet (%pD): not supported",
			       cr_where(ctx), file);
	return 0;
}

int cr_path_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct file *file = obj;
	const struct inode *inode = file_inode(file);
	struct timespec64 mtime = inode_get_mtime(inode);
	struct cr_img_file_path img = {
		.mode		= inode->i_mode,
		.size		= i_size_read(inode),
		.mtime_sec	= mtime.tv_sec,
		.mtime_nsec	= mtime.tv_nsec,
		.dev		= new_encode_dev(inode->i_sb->s_dev),
		.ino		= inode->i_ino,
	};
	int ret;

	ret = path_refuse(ctx, file);
	if (ret)
		return ret;
	if (S_ISCHR(inode->i_mode))
		img.rdev = new_encode_dev(inode->i_rdev);
	img.path_id = cr_path_add(ctx, file_user_path(file));
	if (!img.path_id)
		return ctx->err;

	return cr_file_head_add(ctx, file, id, CR_IMG_FILE_PATH) ?:
	       cr_rec_add(ctx, CR_IMG_FILE_PATH, id, &img, sizeof(img));
}

int cr_path_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_path *img = rec->data;

	if (!cr_file_head(ctx, rec))
		return -EINVAL;
	if (img->mode & ~(S_IFMT | S_IALLUGO) || img->reserved ||
	    img->mtime_nsec >= NSEC_PER_SEC || (img->rdev && !S_ISCHR(img->mode)))
		return cr_fail(ctx, -EINVAL, "file: bad mode %#o, time, device or reserved field",
			       img->mode);
	return cr_check_ref(ctx, rec, img->path_id, CR_IMG_STRING, false);
}

static bool same_type(const struct cr_img_file_path *img, const struct inode *inode)
{
	return ((img->mode ^ inode->i_mode) & S_IFMT) == 0 &&
	       (!S_ISCHR(inode->i_mode) || img->rdev == new_encode_dev(inode->i_rdev));
}

static int path_seek(struct file *file, loff_t pos)
{
	loff_t ret;

	if (S_ISCHR(file_inode(file)->i_mode) || file->f_pos == pos)
		return 0;
	ret = vfs_llseek(file, pos, SEEK_SET);
	if (ret < 0)
		return ret;
	return ret == pos ? 0 : -EINVAL;
}

int cr_path_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_file *head = cr_file_head(ctx, rec);
	const struct cr_img_file_path *img = rec->data;
	struct file *file;
	char *name;
	int ret = 0;

	name = cr_string_dup(ctx, img->path_id);
	if (IS_ERR(name))
		return PTR_ERR(name);

	file = cr_open(ctx, t, name, head->flags);
	if (IS_ERR(file)) {
		ret = PTR_ERR(file);
		goto out;
	}
	if (!same_type(img, file_inode(file)))
		ret = cr_fail(ctx, -EINVAL, "%s: is not of the type it was", name);
	if (!ret && !(head->flags & O_PATH)) {
		ret = path_seek(file, head->pos);
		if (ret)
			cr_fail(ctx, ret, "%s: offset %llu cannot be set", name, head->pos);
	}
	if (ret)
		fput(file);
	else
		cr_obj_set(ctx, rec->id, file);
out:
	kfree(name);
	return ret;
}
