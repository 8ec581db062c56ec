// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: descriptor tables, and what all open files have in
 * common.
 *
 * Saved: number and FD_CLOEXEC of every descriptor; kind, F_GETFL flags and
 * offset of every open file. An open file that several descriptors or processes
 * share is one object and is shared again.
 *
 * Refused: kinds without a row in the table, each with its name; leases, file
 * locks held by the tree, F_SETOWN, F_SETSIG, O_ASYNC and directory
 * notifications.
 *
 * Locks: the tree is frozen, so its tables do not change and its files stay
 * open; flc_lock while looking at locks. Restoring: restore_lock is held in
 * cr_file_restore(), and file->f_lock inside.
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "objects.h"

/* F_GETFL flags that mean something when the file is opened again. */
#define FILE_FLAGS	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT | \
			 O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | \
			 O_CLOEXEC | O_PATH)

/* Those that fcntl(F_SETFL) can change. */
#define FILE_SETFL	(O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

/* ---- checkpoint: the table ---- */

static struct file_lock_context *file_locks(struct file *file)
{
	return file->f_mode & FMODE_PATH ? NULL : locks_inode_context(file_inode(file));
}

/* POSIX locks belong to the table and not to the open file. */
static bool has_posix_lock(struct files_struct *files, struct file *file)
{
	struct file_lock_context *flctx = file_locks(file);
	struct file_lock_core *lock;
	bool found = false;

	if (!flctx)
		return false;
	spin_lock(&flctx->flc_lock);
	list_for_each_entry(lock, &flctx->flc_posix, flc_list)
		found |= lock->flc_owner == files;
	spin_unlock(&flctx->flc_lock);
	return found;
}

/* Dumps the open files; returns the number of descriptors or -errno. */
static int files_dump_refs(struct cr_ctx *ctx, struct files_struct *files)
{
	struct fdtable *fdt = rcu_dereference_raw(files->fdt);
	unsigned int fd;
	int nr = 0;

	for_each_set_bit(fd, fdt->open_fds, fdt->max_fds) {
		struct file *file = rcu_dereference_raw(fdt->fd[fd]);

		if (!file)
			continue;
		cr_set_where(ctx, "pid %d fd %u", ctx->where_pid, fd);
		if (has_posix_lock(files, file))
			return cr_fail(ctx, -EOPNOTSUPP, "%s: POSIX file lock: not supported",
				       cr_where(ctx));
		if (!cr_obj_dump(ctx, CR_IMG_FILE, file))
			return ctx->err;
		nr++;
	}
	return nr;
}

int cr_files_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct files_struct *files = obj;
	struct fdtable *fdt = rcu_dereference_raw(files->fdt);
	struct cr_img_files head = {};
	unsigned int fd;
	int ret;

	ret = files_dump_refs(ctx, files);
	if (ret < 0)
		return ret;
	head.nr_fds = ret;
	ret = cr_rec_add(ctx, CR_IMG_FILES, id, &head, sizeof(head));
	if (ret)
		return ret;

	for_each_set_bit(fd, fdt->open_fds, fdt->max_fds) {
		struct file *file = rcu_dereference_raw(fdt->fd[fd]);
		struct cr_img_fd img = { .fd = fd };

		if (!file)
			continue;
		img.file_id = cr_obj_id(ctx, CR_IMG_FILE, file);
		img.cloexec = test_bit(fd, fdt->close_on_exec);
		ret = cr_rec_add(ctx, CR_IMG_FD, id, &img, sizeof(img));
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- checkpoint: one open file ---- */

static bool is_terminal(dev_t dev)
{
	unsigned int major = MAJOR(dev);

	return major == TTY_MAJOR || major == TTYAUX_MAJOR ||
	       (major >= UNIX98_PTY_MASTER_MAJOR &&
		major < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT);
}

/* "fifo /run/x", "character device 10:200 /dev/net/tun", "io_uring" */
static int refuse_kind(struct cr_ctx *ctx, struct file *file)
{
	struct inode *inode = file_inode(file);
	const char *kind, *name;
	char dev[24] = "";
	char buf[96];

	switch (inode->i_sb->s_magic) {
	case ANON_INODE_FS_MAGIC:
		/* named "[timerfd]", and some without the brackets */
		strscpy(buf, file->f_path.dentry->d_name.name);
		name = strim(strreplace(strreplace(buf, '[', ' '), ']', ' '));
		return cr_fail(ctx, -EOPNOTSUPP, "%s: %s: not supported", cr_where(ctx), name);
	case SOCKFS_MAGIC:
		return cr_fail(ctx, -EOPNOTSUPP, "%s: socket: not supported", cr_where(ctx));
	}

	switch (inode->i_mode & S_IFMT) {
	case S_IFCHR:
		kind = is_terminal(inode->i_rdev) ? "terminal" : "character device";
		break;
	case S_IFBLK:
		kind = "block device";
		break;
	case S_IFIFO:
		kind = "fifo";
		break;
	case S_IFLNK:
		kind = "symbolic link";
		break;
	case S_IFSOCK:
		kind = "name of a socket";
		break;
	default:
		kind = "file of an unknown type";
	}
	if (S_ISCHR(inode->i_mode) || S_ISBLK(inode->i_mode))
		snprintf(dev, sizeof(dev), " %u:%u", imajor(inode), iminor(inode));
	name = d_path(&file->f_path, buf, sizeof(buf));
	return cr_fail(ctx, -EOPNOTSUPP, "%s: %s%s %s: not supported", cr_where(ctx), kind,
		       dev, IS_ERR(name) ? "with a long name" : name);
}

/* Locks that belong to the open file: flock(2), OFD locks, leases. */
static const char *file_lock_kind(struct file *file)
{
	struct file_lock_context *flctx = file_locks(file);
	struct file_lock_core *lock;
	const char *kind = NULL;

	if (!flctx)
		return NULL;
	spin_lock(&flctx->flc_lock);
	list_for_each_entry(lock, &flctx->flc_flock, flc_list) {
		if (lock->flc_file == file)
			kind = "flock() lock";
	}
	list_for_each_entry(lock, &flctx->flc_posix, flc_list) {
		if (lock->flc_owner == file)
			kind = "open file description lock";
	}
	list_for_each_entry(lock, &flctx->flc_lease, flc_list) {
		if (lock->flc_file == file)
			kind = "lease";
	}
	spin_unlock(&flctx->flc_lock);
	return kind;
}

static int file_refuse(struct cr_ctx *ctx, struct file *file)
{
	const char *kind = file_lock_kind(file);
	struct fown_struct *owner = file_f_owner(file);

	if (!kind && (file->f_flags & FASYNC))
		kind = "O_ASYNC";
	/* directory notifications have an owner too */
	if (!kind && owner && (READ_ONCE(owner->pid) || READ_ONCE(owner->signum)))
		kind = "signal on input (F_SETOWN, F_SETSIG)";
	if (kind)
		return cr_fail(ctx, -EOPNOTSUPP, "%s: %s: not supported", cr_where(ctx), kind);
	return 0;
}

int cr_file_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct file *file = obj;
	u32 type;
	int ret;

	ret = file_refuse(ctx, file);
	if (ret)
		return ret;

	for (type = 0; type < CR_NR_TYPES; type++) {
		const struct cr_obj_ops *ops = cr_obj_ops(type);

		if (ops && ops->level == CR_LVL_FILE && ops->match(file))
			return ops->dump(ctx, file, id);
	}
	return refuse_kind(ctx, file);
}

int cr_file_head_add(struct cr_ctx *ctx, struct file *file, u32 id, u32 kind)
{
	struct cr_img_file img = {
		.kind	= kind,
		.flags	= file->f_flags & FILE_FLAGS,
		.pos	= file->f_pos,
	};

	return cr_rec_add(ctx, CR_IMG_FILE, id, &img, sizeof(img));
}

/* ---- restart ---- */

int cr_fd_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_fd *img = rec->data;

	if (!cr_obj_head(ctx, rec->id, CR_IMG_FILES) || img->fd > INT_MAX ||
	    img->cloexec > 1 || img->reserved)
		return cr_fail(ctx, -EINVAL, "descriptor %u: bad number, flag or reserved field",
			       img->fd);
	return cr_check_ref(ctx, rec, img->file_id, CR_IMG_FILE, false);
}

int cr_files_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_files *img = rec->data;
	const struct cr_rec *part;
	s64 last = -1;
	u32 nr = 0;

	cr_for_each_part(ctx, part, rec) {
		const struct cr_img_fd *fd = part->data;

		if (part->type != CR_IMG_FD || fd->fd <= last)
			return cr_fail(ctx, -EINVAL, "descriptors out of order");
		last = fd->fd;
		nr++;
	}
	if (nr != img->nr_fds)
		return cr_fail(ctx, -EINVAL, "%u descriptors instead of %u", nr, img->nr_fds);
	if (img->reserved)
		return cr_fail(ctx, -EINVAL, "descriptor table: reserved field is not zero");
	return 0;
}

int cr_file_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file *img = rec->data;
	const struct cr_obj_ops *ops = cr_obj_ops(img->kind);
	const struct cr_rec *part = cr_rec_sibling(ctx, rec);

	if (!ops || ops->level != CR_LVL_FILE || !part || part->type != img->kind)
		return cr_fail(ctx, -EINVAL, "open file of unknown kind %u", img->kind);
	if (img->flags & ~FILE_FLAGS || img->pos > S64_MAX)
		return cr_fail(ctx, -EINVAL, "open file with bad flags %#x or offset",
			       img->flags);
	return 0;
}

const struct cr_img_file *cr_file_head(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_rec *head = cr_obj_head(ctx, rec->id, CR_IMG_FILE);
	const struct cr_img_file *img = head ? head->data : NULL;

	if (!img || img->kind != rec->type || cr_rec_sibling(ctx, head) != rec) {
		cr_fail(ctx, -EINVAL, "record %u belongs to no open file", rec->index);
		return NULL;
	}
	return img;
}

int cr_lookup(struct cr_ctx *ctx, struct cr_task *t, const char *name,
	      unsigned int flags, struct path *path)
{
	const struct cred *old = override_creds(t->cred);
	int ret;

	ret = vfs_path_lookup(ctx->root_path.dentry, ctx->root_path.mnt, name,
			      flags | LOOKUP_FOLLOW | LOOKUP_NO_MAGICLINKS, path);
	revert_creds(old);
	return ret;
}

/* Opening one of these has no side effects and does not block. */
static bool may_reopen(const struct inode *inode)
{
	return S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode) ||
	       cr_path_device(inode);
}

struct file *cr_open(struct cr_ctx *ctx, struct cr_task *t, const char *name,
		     int flags)
{
	const struct cred *old;
	struct file *file;
	struct path path;
	int ret;

	ret = cr_lookup(ctx, t, name, 0, &path);
	if (!ret && !may_reopen(d_backing_inode(path.dentry))) {
		path_put(&path);
		cr_fail(ctx, -EOPNOTSUPP, "%s: neither a file nor a directory", name);
		return ERR_PTR(-EOPNOTSUPP);
	}
	if (!ret) {
		/* an empty name opens just what has been looked at */
		old = override_creds(t->cred);
		file = file_open_root(&path, "", (flags & FILE_FLAGS) | O_NOCTTY, 0);
		revert_creds(old);
		path_put(&path);
		if (!IS_ERR(file))
			return file;
		ret = PTR_ERR(file);
	}
	cr_fail(ctx, ret, "%s: cannot be opened (error %d)", name, -ret);
	return ERR_PTR(ret);
}

/* What fcntl(F_SETFL) would do; @file is new and nobody else uses it. */
static int file_set_flags(struct file *file, u32 flags)
{
	struct inode *inode = file_inode(file);

	flags &= FILE_SETFL;
	if (flags == (file->f_flags & FILE_SETFL))
		return 0;
	if (((flags ^ file->f_flags) & O_APPEND) && IS_APPEND(inode))
		return -EPERM;
	if ((flags & ~file->f_flags & O_NOATIME) &&
	    !inode_owner_or_capable(file_mnt_idmap(file), inode))
		return -EPERM;
	if (!S_ISFIFO(inode->i_mode) && (flags & ~file->f_flags & O_DIRECT))
		return -EINVAL;

	spin_lock(&file->f_lock);
	file->f_flags = flags | (file->f_flags & ~FILE_SETFL);
	file->f_iocb_flags = iocb_flags(file);
	spin_unlock(&file->f_lock);
	return 0;
}

int cr_file_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_file *img = rec->data;
	const struct cred *old;
	struct file *file;
	int ret;

	ret = cr_obj_ops(img->kind)->restore(ctx, t, cr_rec_sibling(ctx, rec));
	if (ret)
		return ret;
	file = cr_obj_peek(ctx, rec->id);
	if (WARN_ON_ONCE(!file))
		return cr_fail(ctx, -EIO, "open file %u was not made", rec->id);

	if ((img->flags & O_PATH) || cr_rollback_file(ctx, rec->id))
		return 0;
	if ((img->flags ^ file->f_flags) & O_ACCMODE)
		return cr_fail(ctx, -EINVAL, "%s: bad access mode",
			       cr_obj_ops(img->kind)->name);
	old = override_creds(t->cred);
	ret = file_set_flags(file, img->flags);
	revert_creds(old);
	if (ret)
		return cr_fail(ctx, ret, "%s: flags %#o are not permitted",
			       cr_obj_ops(img->kind)->name, img->flags);
	return 0;
}

/*
 * At once and not when the caller returns to user mode: the restored processes
 * must not see that the last copy of their file is still open.
 */
void cr_file_free(void *obj)
{
	__fput_sync(obj);
}

/*
 * Descriptors above the soft limit are legal: it was lowered later. The caller
 * must be permitted to raise it for that, as setrlimit(2) would.
 */
static int files_raise_limit(struct cr_ctx *ctx, struct cr_task *t, u32 nr)
{
	struct rlimit *rlim = current->signal->rlim + RLIMIT_NOFILE;

	if (nr <= rlim->rlim_cur)
		return 0;
	if (nr > rlim->rlim_max && !capable(CAP_SYS_RESOURCE))
		return cr_fail(ctx, -EMFILE, "pid %d fd %u: above the limit of open files",
			       cr_pid(t), nr - 1);
	task_lock(current->group_leader);
	rlim->rlim_cur = nr;
	task_unlock(current->group_leader);
	return 0;
}

static int files_install(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_rec *part;

	cr_for_each_part(ctx, part, rec) {
		const struct cr_img_fd *img = part->data;
		struct file *file;
		int ret;

		file = cr_obj_get(ctx, t, img->file_id, CR_IMG_FILE);
		if (IS_ERR(file))
			return PTR_ERR(file);
		ret = files_raise_limit(ctx, t, img->fd + 1);
		if (ret)
			return ret;
		ret = replace_fd(img->fd, file, img->cloexec ? O_CLOEXEC : 0);
		if (ret)
			return cr_fail(ctx, ret, "pid %d fd %u: cannot be opened (error %d)",
				       cr_pid(t), img->fd, -ret);
	}
	return 0;
}

int cr_files_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	struct rlimit *rlim = current->signal->rlim + RLIMIT_NOFILE;
	unsigned long soft = rlim->rlim_cur;
	int ret;

	/* what was copied from the caller */
	ret = __close_range(0, UINT_MAX, 0);
	if (ret)
		return cr_fail(ctx, ret, "pid %d: descriptors cannot be closed", cr_pid(t));

	ret = files_install(ctx, t, rec);

	task_lock(current->group_leader);
	rlim->rlim_cur = soft;
	task_unlock(current->group_leader);
	return ret;
}
