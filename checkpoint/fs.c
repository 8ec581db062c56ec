// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: root directory, working directory, umask.
 *
 * Saved: both directories as paths from the container's root, and the umask.
 * Refused: a directory that was removed or cannot be reached from that root
 * (cr_path_add() does it); at restart, a root directory of its own without
 * CAP_SYS_CHROOT, as chroot(2) does.
 * Locks: fs->lock, for taking references only.
 */
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/security.h>
#include <linux/slab.h>

#include "objects.h"

int cr_fs_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct fs_struct *fs = obj;
	struct cr_img_fs img = { .umask = fs->umask };
	struct path path;

	cr_set_where(ctx, "pid %d root directory", ctx->where_pid);
	get_fs_root(fs, &path);
	img.root_id = cr_path_add(ctx, &path);
	path_put(&path);
	if (!img.root_id)
		return ctx->err;

	cr_set_where(ctx, "pid %d working directory", ctx->where_pid);
	get_fs_pwd(fs, &path);
	img.cwd_id = cr_path_add(ctx, &path);
	path_put(&path);
	if (!img.cwd_id)
		return ctx->err;

	return cr_rec_add(ctx, CR_IMG_FS, id, &img, sizeof(img));
}

int cr_fs_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_fs *img = rec->data;

	if (img->umask & ~0777U || img->reserved)
		return cr_fail(ctx, -EINVAL, "bad umask %#o or reserved field", img->umask);
	return cr_check_ref(ctx, rec, img->root_id, CR_IMG_STRING, false) ?:
	       cr_check_ref(ctx, rec, img->cwd_id, CR_IMG_STRING, false);
}

/* A directory that @t may enter. */
static int fs_lookup(struct cr_ctx *ctx, struct cr_task *t, u32 id, struct path *path)
{
	const struct cred *old;
	char *name;
	int ret;

	name = cr_string_dup(ctx, id);
	if (IS_ERR(name))
		return PTR_ERR(name);

	ret = cr_lookup(ctx, t, name, LOOKUP_DIRECTORY, path);
	if (!ret) {
		old = override_creds(t->cred);
		ret = path_permission(path, MAY_EXEC | MAY_CHDIR);
		revert_creds(old);
		if (ret)
			path_put(path);
	}
	if (ret)
		cr_fail(ctx, ret, "pid %d: directory %s cannot be entered (error %d)",
			cr_pid(t), name, -ret);
	kfree(name);
	return ret;
}

static int fs_set_root(struct cr_ctx *ctx, struct cr_task *t, const struct path *path)
{
	int ret;

	if (path_equal(path, &current->fs->root))
		return 0;
	if (!ns_capable(current_user_ns(), CAP_SYS_CHROOT))
		return cr_fail(ctx, -EPERM, "pid %d: its root directory needs CAP_SYS_CHROOT",
			       cr_pid(t));
	ret = security_path_chroot(path);
	if (ret)
		return cr_fail(ctx, ret, "pid %d: its root directory is not permitted",
			       cr_pid(t));
	set_fs_root(current->fs, path);
	return 0;
}

int cr_fs_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_fs *img = rec->data;
	struct path path;
	int ret;

	ret = fs_lookup(ctx, t, img->root_id, &path);
	if (ret)
		return ret;
	ret = fs_set_root(ctx, t, &path);
	path_put(&path);
	if (ret)
		return ret;

	ret = fs_lookup(ctx, t, img->cwd_id, &path);
	if (ret)
		return ret;
	set_fs_pwd(current->fs, &path);
	path_put(&path);

	current->fs->umask = img->umask;
	return 0;
}
