// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: checking and restoring an address space.
 *
 * A restored process moves into an empty address space as in execve() and maps
 * everything itself, with the code, the permissions and the limits of mmap().
 * Contents follow later, see fill.c; or, when a checkpoint in memory is
 * restarted, at once, see share.c.
 *
 * Refused: another vDSO than that of this kernel; an executable mapping whose
 * file is not what it was.
 *
 * Locks: exec_update_lock in exec_mmap(); mmap_lock for writing around each
 * mapping; restore_lock for files and shared memory, outside of both.
 */
#include <linux/binfmts.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/ksm.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mman.h>
#include <linux/personality.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/userfaultfd_k.h>
#include <linux/user_events.h>

#include "mm.h"
#include "objects.h"

/* Longest name of a mapping, and what prctl(PR_SET_VMA) does not allow in it. */
#define NAME_MAX_LEN	79
#define NAME_INVALID	"\\`$[]"

/* Flags that mmap() has no argument for but that need nothing else done. */
#define PLAIN_FLAGS	(CR_IMG_VMA_LOCKONFAULT | CR_IMG_VMA_DONTFORK | \
			 CR_IMG_VMA_WIPEONFORK | CR_IMG_VMA_DONTDUMP | \
			 CR_IMG_VMA_HUGEPAGE | CR_IMG_VMA_NOHUGEPAGE | \
			 CR_IMG_VMA_SEQ_READ | CR_IMG_VMA_RAND_READ)

/**
 * cr_mm_fields_ok() - could prctl(PR_SET_MM_MAP) have set these?
 * @img: an address space
 *
 * The kernel itself makes less sure of them than prctl() does; so only what it
 * relies on is looked at: brk() maps memory at @brk without looking at
 * vm.mmap_min_addr.
 *
 * Return: true if they can be restored.
 */
bool cr_mm_fields_ok(const struct cr_img_mm *img)
{
	const u64 ends[] = {
		img->end_code, img->end_data, img->brk, img->start_stack,
		img->arg_end, img->env_end,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		if (ends[i] >= TASK_SIZE_MAX)
			return false;
	}
	return img->start_code <= img->end_code &&
	       img->start_data <= img->end_data &&
	       img->start_brk <= img->brk && img->start_brk >= mmap_min_addr &&
	       img->arg_start <= img->arg_end &&
	       img->env_start <= img->env_end;
}

static bool mm_flags_ok(u32 flags)
{
	if (flags & ~CR_IMG_MM_ALL)
		return false;
	if ((flags & CR_IMG_MM_DUMPABLE_MASK) >> CR_IMG_MM_DUMPABLE_SHIFT > SUID_DUMP_ROOT)
		return false;
	if ((flags & CR_IMG_MM_LOCK_ONFAULT) && !(flags & CR_IMG_MM_LOCK_FUTURE))
		return false;
	return !(flags & CR_IMG_MM_MDWE_NO_INHERIT) || (flags & CR_IMG_MM_MDWE);
}

static u32 known_membarriers(void)
{
	const struct cr_membarrier *mb;
	u32 known = 0;

	for (mb = cr_membarriers; mb->cmd; mb++)
		known |= mb->cmd;
	return known;
}

/* Are there as many mappings as claimed, and the vDSO or not? */
static bool parts_ok(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_mm *img = rec->data;
	const struct cr_img_vma *vma;
	const struct cr_rec *part;
	u32 nr = 0, nr_vdso = 0;

	cr_for_each_part(ctx, part, rec) {
		if (part->type != CR_IMG_VMA)
			return false;
		vma = part->data;
		if (vma->kind == CR_IMG_VMA_VDSO || vma->kind == CR_IMG_VMA_VVAR)
			nr_vdso++;
		nr++;
	}
	return nr == img->nr_vmas && nr_vdso == (img->vdso ? 2 : 0);
}

int cr_mm_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_mm *img = rec->data;
	u64 start, end;

	if (cr_check_ref(ctx, rec, img->exe_id, CR_IMG_FILE, false))
		return ctx->err;
	if (!mm_flags_ok(img->flags) ||
	    img->dump_filter & ~(MMF_DUMP_FILTER_MASK >> MMF_DUMP_FILTER_SHIFT))
		return cr_fail(ctx, -EINVAL, "record %u: address space: flags 0x%x, 0x%x",
			       rec->index, img->flags, img->dump_filter);
	if (img->membarrier & ~known_membarriers())
		return cr_fail(ctx, -EOPNOTSUPP,
			       "record %u: address space: membarrier 0x%x",
			       rec->index, img->membarrier);
	if (!cr_mm_fields_ok(img) || !PAGE_ALIGNED(img->mmap_base) ||
	    img->mmap_base >= TASK_SIZE_MAX || img->mmap_base < mmap_min_addr)
		return cr_fail(ctx, -EINVAL, "record %u: address space: bad address",
			       rec->index);
	if (!parts_ok(ctx, rec))
		return cr_fail(ctx, -EINVAL, "record %u: address space: not %u mappings",
			       rec->index, img->nr_vmas);
	if (!img->vdso)
		return img->vdso_crc ? cr_fail(ctx, -EINVAL, "record %u: no vDSO",
					       rec->index) : 0;
	if (img->vdso_crc != cr_arch_vdso_crc())
		return cr_fail(ctx, -EOPNOTSUPP, "the vDSO is not that of this kernel");
	if (!cr_arch_vdso_range(CR_IMG_VMA_VDSO, img->vdso, &start, &end))
		return cr_fail(ctx, -EINVAL, "record %u: vDSO at 0x%llx",
			       rec->index, img->vdso);
	return 0;
}

/* Can mmap() and madvise() lead to these? */
static bool vma_flags_ok(const struct cr_img_vma *vma)
{
	const u32 anon_only = CR_IMG_VMA_GROWSDOWN | CR_IMG_VMA_WIPEONFORK |
			      CR_IMG_VMA_DROPPABLE;
	const u32 private_only = anon_only | CR_IMG_VMA_ACCOUNT | CR_IMG_VMA_HAS_ANON;
	u32 f = vma->flags;

	if (f & ~CR_IMG_VMA_ALL)
		return false;
	if (vma->kind != CR_IMG_VMA_ANON && (f & anon_only))
		return false;
	if ((f & CR_IMG_VMA_SHARED) && (f & private_only))
		return false;
	if ((f & CR_IMG_VMA_LOCKONFAULT) && !(f & CR_IMG_VMA_LOCKED))
		return false;
	if ((f & CR_IMG_VMA_HUGEPAGE) && (f & CR_IMG_VMA_NOHUGEPAGE))
		return false;
	if ((f & CR_IMG_VMA_NORESERVE) && (f & CR_IMG_VMA_ACCOUNT))
		return false;
	return !(f & CR_IMG_VMA_DROPPABLE) ||
	       !(f & (CR_IMG_VMA_LOCKED | CR_IMG_VMA_GROWSDOWN | CR_IMG_VMA_ACCOUNT |
		      CR_IMG_VMA_HAS_ANON));
}

/* Kind by kind: what it is a mapping of. */
static int check_kind(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_vma *vma = rec->data;
	const struct cr_img_mm *mm = cr_obj_head(ctx, rec->id, CR_IMG_MM)->data;
	bool shared = vma->flags & CR_IMG_VMA_SHARED;
	u64 start, end;

	switch (vma->kind) {
	case CR_IMG_VMA_ANON:
		if (shared || vma->file_id || vma->offset)
			break;
		return 0;
	case CR_IMG_VMA_FILE:
		if (vma->name_id)
			break;
		return cr_check_ref(ctx, rec, vma->file_id, CR_IMG_FILE, false);
	case CR_IMG_VMA_SHMEM:
		if (!shared)
			break;
		return cr_check_ref(ctx, rec, vma->file_id, CR_IMG_SHMEM, false);
	case CR_IMG_VMA_VVAR:
	case CR_IMG_VMA_VDSO:
		if (shared || vma->file_id || vma->offset || vma->name_id ||
		    !cr_arch_vdso_range(vma->kind, mm->vdso, &start, &end) ||
		    vma->start != start || vma->end != end)
			break;
		return 0;
	}
	return cr_fail(ctx, -EINVAL, "record %u: mapping of kind %u, flags 0x%x",
		       rec->index, vma->kind, vma->flags);
}

static int check_name(struct cr_ctx *ctx, const struct cr_rec *rec, u32 id)
{
	const struct cr_rec *name;
	const char *s;
	u32 i;

	if (!id)
		return 0;
	if (cr_check_ref(ctx, rec, id, CR_IMG_STRING, false))
		return ctx->err;
	name = cr_obj_head(ctx, id, CR_IMG_STRING);
	s = name->data;
	for (i = 0; i < name->len; i++) {
		if (s[i] < ' ' || s[i] > '~' || strchr(NAME_INVALID, s[i]))
			break;
	}
	if (i < name->len || i > NAME_MAX_LEN)
		return cr_fail(ctx, -EINVAL, "record %u: name of a mapping", rec->index);
	if (!IS_ENABLED(CONFIG_ANON_VMA_NAME))
		return cr_fail(ctx, -EOPNOTSUPP,
			       "name of a mapping: not supported by this kernel");
	return 0;
}

int cr_vma_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_rec *before = &ctx->recs[rec->index - 1];
	const struct cr_img_vma *vma = rec->data, *prev = before->data;

	if (vma->start >= vma->end || vma->end > TASK_SIZE_MAX ||
	    !PAGE_ALIGNED(vma->start | vma->end | vma->offset) ||
	    vma->offset > MAX_LFS_FILESIZE - (vma->end - vma->start))
		return cr_fail(ctx, -EINVAL, "record %u: mapping 0x%llx-0x%llx, offset 0x%llx",
			       rec->index, vma->start, vma->end, vma->offset);
	if (before->type == CR_IMG_VMA && before->id == rec->id && prev->end > vma->start)
		return cr_fail(ctx, -EINVAL, "record %u: mapping at 0x%llx is not in order",
			       rec->index, vma->start);
	if (!vma_flags_ok(vma))
		return cr_fail(ctx, -EINVAL, "record %u: mapping with flags 0x%x",
			       rec->index, vma->flags);
	if (!vma->anon_id != !(vma->flags & CR_IMG_VMA_HAS_ANON) ||
	    vma->anon_id > ctx->nr_records || vma->reserved)
		return cr_fail(ctx, -EINVAL, "record %u: mapping with flags 0x%x, anon_id %u",
			       rec->index, vma->flags, vma->anon_id);
	if (check_kind(ctx, rec))
		return ctx->err;
	return check_name(ctx, rec, vma->name_id);
}

static int fail_vma(struct cr_ctx *ctx, struct cr_task *t, const struct cr_img_vma *vma,
		    const char *what, int err)
{
	return cr_fail(ctx, err, "pid %d address 0x%llx: %s: error %d",
		       cr_pid(t), vma->start, what, -err);
}

/* Code must be what it was: registers and return addresses point into it. */
static int check_unchanged(struct cr_ctx *ctx, struct cr_task *t,
			   const struct cr_img_vma *vma, struct file *file)
{
	const struct cr_img_file_path *was;
	struct inode *inode = file_inode(file);
	struct timespec64 mtime = inode_get_mtime(inode);
	const struct cr_rec *part;

	if (!S_ISREG(inode->i_mode))
		return 0;
	cr_for_each_part(ctx, part, cr_obj_head(ctx, vma->file_id, CR_IMG_FILE)) {
		if (part->type != CR_IMG_FILE_PATH)
			continue;
		was = part->data;
		if (was->size != i_size_read(inode) || was->mtime_sec != mtime.tv_sec ||
		    was->mtime_nsec != mtime.tv_nsec)
			return cr_fail(ctx, -ESTALE,
				       "pid %d address 0x%llx: %pD4 has changed since the checkpoint",
				       cr_pid(t), vma->start, file);
	}
	return 0;
}

/* The file to map, without a reference of its own; NULL for private memory. */
static struct file *vma_file(struct cr_ctx *ctx, struct cr_task *t,
			     const struct cr_img_vma *vma)
{
	struct file *file;

	switch (vma->kind) {
	case CR_IMG_VMA_FILE:
		file = cr_obj_get(ctx, t, vma->file_id, CR_IMG_FILE);
		break;
	case CR_IMG_VMA_SHMEM:
		return cr_obj_get(ctx, t, vma->file_id, CR_IMG_SHMEM);
	default:
		return NULL;
	}
	if (!IS_ERR(file) && (vma->flags & CR_IMG_VMA_EXEC) &&
	    check_unchanged(ctx, t, vma, file))
		return ERR_PTR(ctx->err);
	return file;
}

static unsigned long vma_prot(const struct cr_img_vma *vma)
{
	unsigned long prot = PROT_NONE;

	if (vma->flags & CR_IMG_VMA_READ)
		prot |= PROT_READ;
	if (vma->flags & CR_IMG_VMA_WRITE)
		prot |= PROT_WRITE;
	if (vma->flags & CR_IMG_VMA_EXEC)
		prot |= PROT_EXEC;
	return prot;
}

static unsigned long vma_map_flags(const struct cr_img_vma *vma)
{
	unsigned long flags = MAP_FIXED_NOREPLACE;

	if (vma->flags & CR_IMG_VMA_DROPPABLE)
		flags |= MAP_DROPPABLE;
	else
		flags |= vma->flags & CR_IMG_VMA_SHARED ? MAP_SHARED : MAP_PRIVATE;
	if (vma->kind == CR_IMG_VMA_ANON)
		flags |= MAP_ANONYMOUS;
	if (vma->flags & CR_IMG_VMA_GROWSDOWN)
		flags |= MAP_GROWSDOWN;
	if (vma->flags & CR_IMG_VMA_NORESERVE)
		flags |= MAP_NORESERVE;
	if (vma->flags & CR_IMG_VMA_LOCKED)
		flags |= MAP_LOCKED;
	return flags;
}

static vm_flags_t vma_plain_flags(const struct cr_img_vma *vma)
{
	const struct cr_vma_flag *f;
	vm_flags_t flags = 0;

	for (f = cr_vma_flags; f->image; f++) {
		if (vma->flags & PLAIN_FLAGS & f->image)
			flags |= f->kernel;
	}
	return flags;
}

/* Do the pages of the mapping come from a snapshot? */
static bool is_shared(struct cr_ctx *ctx, const struct cr_img_vma *vma)
{
	return ctx->from && (vma->flags & CR_IMG_VMA_HAS_ANON);
}

/* As mmap() does, with flags that it does not know. The mmap_lock is held. */
static int map_locked(const struct cr_img_vma *vma, struct file *file,
		      unsigned long flags, vm_flags_t vm_flags,
		      unsigned long *populate, struct list_head *uf)
{
	u64 len = vma->end - vma->start;
	unsigned long addr, charge = 0;
	int err;

	/* was writable and is not any more, but stays accounted */
	if ((vma->flags & CR_IMG_VMA_ACCOUNT) && !(vma->flags & CR_IMG_VMA_WRITE)) {
		charge = len >> PAGE_SHIFT;
		err = security_vm_enough_memory_mm(current->mm, charge);
		if (err)
			return err;
		vm_flags |= VM_ACCOUNT;
	}
	addr = do_mmap(file, vma->start, len, vma_prot(vma), flags, vm_flags,
		       vma->offset >> PAGE_SHIFT, populate, uf);
	if (!IS_ERR_VALUE(addr))
		return 0;
	vm_unacct_memory(charge);
	return addr;
}

static int map_file(struct cr_ctx *ctx, u32 id, const struct cr_img_vma *vma,
		    struct file *file)
{
	unsigned long flags = vma_map_flags(vma), populate = 0;
	vm_flags_t vm_flags = vma_plain_flags(vma);
	struct mm_struct *mm = current->mm, *from = NULL;
	LIST_HEAD(uf);
	int err;

	if (is_shared(ctx, vma)) {
		flags &= ~MAP_LOCKED;
		vm_flags |= CR_VM_UNSHARED;
		from = cr_mm_share_from(ctx, id);
		if (!from)
			return -EFAULT;
	}
	err = security_mmap_file(file, vma_prot(vma), flags);
	if (!err)
		err = cr_mm_share_lock(from);
	if (err)
		return err;
	err = map_locked(vma, file, flags, vm_flags, &populate, &uf);
	/* before anybody can read it, and so bring pages in */
	if (!err && from)
		err = cr_mm_share(from, vma);
	cr_mm_share_unlock(from);
	userfaultfd_unmap_complete(mm, &uf);
	if (!err && populate)
		mm_populate(vma->start, populate);
	if (!err && from && (vma->flags & CR_IMG_VMA_LOCKED))
		err = cr_mm_share_mlock(vma);
	return err;
}

/* The pages of the vDSO that have been changed. */
static int share_vdso(struct cr_ctx *ctx, u32 id, const struct cr_img_vma *vma)
{
	struct mm_struct *from = cr_mm_share_from(ctx, id);
	struct vm_area_struct *dst;
	int err = from ? cr_mm_share_lock(from) : -EFAULT;

	if (err)
		return err;
	dst = vma_lookup(current->mm, vma->start);
	if (dst)
		zap_vma_pages(dst);
	err = cr_mm_share(from, vma);
	cr_mm_share_unlock(from);
	return err;
}

static int set_name(struct cr_ctx *ctx, const struct cr_img_vma *vma)
{
	struct anon_vma_name *anon_name;
	char *name;
	int err;

	name = cr_string_dup(ctx, vma->name_id);
	if (IS_ERR(name))
		return PTR_ERR(name);
	anon_name = anon_vma_name_alloc(name);
	kfree(name);
	if (!anon_name)
		return -ENOMEM;
	mmap_write_lock(current->mm);
	err = madvise_set_anon_name(current->mm, vma->start, vma->end - vma->start,
				    anon_name);
	mmap_write_unlock(current->mm);
	anon_vma_name_put(anon_name);
	return err;
}

static int map_vma(struct cr_ctx *ctx, struct cr_task *t, u32 id,
		   const struct cr_img_vma *vma)
{
	const u32 huge = CR_IMG_VMA_HUGEPAGE | CR_IMG_VMA_NOHUGEPAGE;
	struct file *file;
	int err;

	if (vma->kind == CR_IMG_VMA_VDSO || vma->kind == CR_IMG_VMA_VVAR) {
		err = is_shared(ctx, vma) ? share_vdso(ctx, id, vma) : 0;
		return err ? fail_vma(ctx, t, vma, "vDSO", err) : 0;
	}
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) && (vma->flags & huge))
		return fail_vma(ctx, t, vma, "huge pages", -EOPNOTSUPP);
	file = vma_file(ctx, t, vma);
	if (IS_ERR(file))
		return fail_vma(ctx, t, vma, "file of the mapping", PTR_ERR(file));
	err = map_file(ctx, id, vma, file);
	if (err)
		return fail_vma(ctx, t, vma, err == -ESTALE ?
				"the mapped file is not that of the checkpoint" :
				"cannot be mapped", err);
	if (vma->flags & CR_IMG_VMA_MERGEABLE) {
		err = do_madvise(current->mm, vma->start, vma->end - vma->start,
				 MADV_MERGEABLE);
		if (err)
			return fail_vma(ctx, t, vma, "merging of pages", err);
	}
	if (vma->name_id) {
		err = set_name(ctx, vma);
		if (err)
			return fail_vma(ctx, t, vma, "name of the mapping", err);
	}
	return 0;
}

/* Nobody can write to an executable: it must be one for who will run it. */
static int may_execute(struct cr_task *t, struct file *file)
{
	const struct cred *old = override_creds(t->cred);
	int err = file_permission(file, MAY_EXEC);

	revert_creds(old);
	return err;
}

/* The same conditions as for prctl(PR_SET_MM_EXE_FILE). */
static int set_exe(struct cr_ctx *ctx, struct cr_task *t, u32 exe_id,
		   struct inode *own_exe)
{
	struct file *file = cr_obj_get(ctx, t, exe_id, CR_IMG_FILE);
	int err;

	if (IS_ERR(file))
		return cr_fail(ctx, PTR_ERR(file), "pid %d: executable cannot be opened",
			       cr_pid(t));
	if (!S_ISREG(file_inode(file)->i_mode) || path_noexec(&file->f_path))
		return cr_fail(ctx, -EACCES, "pid %d: %pD4 is no executable",
			       cr_pid(t), file);
	if (file_inode(file) != own_exe &&
	    !checkpoint_restore_ns_capable(current_user_ns()))
		return cr_fail(ctx, -EPERM,
			       "pid %d: CAP_CHECKPOINT_RESTORE is needed to be %pD4",
			       cr_pid(t), file);
	err = may_execute(t, file);
	if (!err)
		err = set_mm_exe_file(current->mm, file);
	if (err)
		return cr_fail(ctx, err, "pid %d: %pD4 cannot be its executable: error %d",
			       cr_pid(t), file, -err);
	return 0;
}

static int set_fields(struct cr_ctx *ctx, struct cr_task *t, const struct cr_img_mm *img)
{
	struct mm_struct *mm = current->mm;
	unsigned int i;

	if (check_data_rlimit(rlimit(RLIMIT_DATA), img->brk, img->start_brk,
			      img->end_data, img->start_data))
		return cr_fail(ctx, -ENOMEM, "pid %d: RLIMIT_DATA", cr_pid(t));

	mmap_write_lock(mm);
	mm->mmap_base = img->mmap_base;
	spin_lock(&mm->arg_lock);
	mm->start_code = img->start_code;
	mm->end_code = img->end_code;
	mm->start_data = img->start_data;
	mm->end_data = img->end_data;
	mm->start_brk = img->start_brk;
	mm->brk = img->brk;
	mm->start_stack = img->start_stack;
	mm->arg_start = img->arg_start;
	mm->arg_end = img->arg_end;
	mm->env_start = img->env_start;
	mm->env_end = img->env_end;
	spin_unlock(&mm->arg_lock);
	for (i = 0; i < ARRAY_SIZE(mm->saved_auxv); i++)
		mm->saved_auxv[i] = img->auxv[i];
	/* as the specification requires */
	mm->saved_auxv[AT_VECTOR_SIZE - 2] = AT_NULL;
	mm->saved_auxv[AT_VECTOR_SIZE - 1] = AT_NULL;
	mmap_write_unlock(mm);
	return 0;
}

/* Nobody else runs in it yet, so registering takes effect at once. */
static void set_membarrier(const struct cr_img_mm *img)
{
#ifdef CONFIG_MEMBARRIER
	const struct cr_membarrier *mb;
	int state = 0;

	for (mb = cr_membarriers; mb->cmd; mb++) {
		if (img->membarrier & mb->cmd)
			state |= mb->registered | mb->ready;
	}
	preempt_disable();
	atomic_or(state, &current->mm->membarrier_state);
	membarrier_update_current_mm(current->mm);
	preempt_enable();
#endif
}

static struct mm_struct *make_mm(const struct cr_img_mm *img)
{
	struct rlimit stack = {
		.rlim_cur = rlimit(RLIMIT_STACK),
		.rlim_max = rlimit_max(RLIMIT_STACK),
	};
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		return NULL;
	/* mm_alloc() has taken flags over from the caller of restart() */
	mm->def_flags = 0;
	mm->flags &= ~(MMF_DUMP_FILTER_MASK | MMF_DISABLE_THP_MASK | MMF_VM_MERGE_ANY_MASK);
	mm->flags |= (unsigned long)img->dump_filter << MMF_DUMP_FILTER_SHIFT;
	if (img->flags & CR_IMG_MM_THP_DISABLE)
		set_bit(MMF_DISABLE_THP, &mm->flags);
	arch_pick_mmap_layout(mm, &stack);
	if (img->flags & CR_IMG_MM_BOTTOM_UP)
		clear_bit(MMF_TOPDOWN, &mm->flags);
	else
		set_bit(MMF_TOPDOWN, &mm->flags);
	return mm;
}

/* Let current run in @mm, or nowhere if there was no memory for it. */
static int switch_to_mm(struct cr_ctx *ctx, struct cr_task *t, struct mm_struct *mm)
{
	int err;

	if (!mm)
		return cr_fail(ctx, -ENOMEM, "pid %d: no memory", cr_pid(t));
	sched_mm_cid_before_execve(current);
	err = exec_mmap(mm);
	sched_mm_cid_after_execve(current);
	if (err) {
		mmput(mm);
		return cr_fail(ctx, err, "pid %d: interrupted", cr_pid(t));
	}
	up_write(&current->signal->exec_update_lock);
	/* those of the caller are written to its memory */
	user_events_execve(current);
	return 0;
}

/**
 * cr_mm_leave() - leave the address space of the caller of restart()
 * @ctx: the restart
 * @t: a leader that is about to exit; current
 *
 * Return: 0, or -errno as told.
 */
int cr_mm_leave(struct cr_ctx *ctx, struct cr_task *t)
{
	return switch_to_mm(ctx, t, mm_alloc());
}

/* From here on current has an address space of its own, and it is empty. */
static int enter_mm(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	struct linux_binfmt *binfmt = current->mm->binfmt;
	struct mm_struct *mm = make_mm(rec->data);
	int err = switch_to_mm(ctx, t, mm);

	if (err)
		return err;
	set_binfmt(binfmt);
	cr_arch_mm_setup(mm);
	current->personality &= ~READ_IMPLIES_EXEC;

	mutex_lock(&ctx->restore_lock);
	if (cr_obj_peek(ctx, rec->id)) {
		err = cr_fail(ctx, -EINVAL, "pid %d: address space of two processes",
			      cr_pid(t));
	} else {
		mmget(mm);
		cr_obj_set(ctx, rec->id, mm);
	}
	mutex_unlock(&ctx->restore_lock);
	return err;
}

static int fill_in(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec,
		   struct inode *own_exe)
{
	const struct cr_img_mm *img = rec->data;
	const struct cr_rec *part;
	int err;

	if ((img->flags & CR_IMG_MM_LOCK_FUTURE) && !can_do_mlock())
		return cr_fail(ctx, -EPERM, "pid %d: mlockall()", cr_pid(t));
	if (img->vdso) {
		err = cr_arch_vdso_map(img->vdso);
		if (err)
			return cr_fail(ctx, err, "pid %d: vDSO at 0x%llx: error %d",
				       cr_pid(t), img->vdso, -err);
	}
	cr_for_each_part(ctx, part, rec) {
		if (map_vma(ctx, t, rec->id, part->data))
			return ctx->err;
		cond_resched();
	}
	if (set_exe(ctx, t, img->exe_id, own_exe) || set_fields(ctx, t, img))
		return ctx->err;
	set_membarrier(img);
	return 0;
}

int cr_mm_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	struct file *own_exe = get_mm_exe_file(current->mm);
	int err;

	err = enter_mm(ctx, t, rec);
	if (!err)
		err = fill_in(ctx, t, rec, own_exe ? file_inode(own_exe) : NULL);
	if (own_exe)
		fput(own_exe);
	return err;
}

/* A kernel that makes no core dumps for root makes none for an image either. */
int cr_mm_dumpable(const struct cr_img_mm *img)
{
	int value = (img->flags & CR_IMG_MM_DUMPABLE_MASK) >> CR_IMG_MM_DUMPABLE_SHIFT;

	if (value == SUID_DUMP_ROOT && suid_dumpable != SUID_DUMP_ROOT)
		return SUID_DUMP_DISABLE;
	return value;
}

/**
 * cr_mm_final() - what must wait until memory and credentials are restored
 * @ctx: the restart
 * @t: a leader; current
 *
 * New credentials reset whether the process can be traced. What prctl() and
 * mlockall() have said about mappings to come must not be about those of the
 * image, and merging of pages is better begun when they have contents.
 *
 * Return: 0, or -errno as told.
 */
int cr_mm_final(struct cr_ctx *ctx, struct cr_task *t)
{
	const struct cr_img_process *process = cr_img_process(t);
	const struct cr_rec *rec = cr_obj_head(ctx, process->mm_id, CR_IMG_MM);
	struct mm_struct *mm = current->mm;
	const struct cr_img_mm *img;
	int err = 0;

	if (!rec)
		return 0;
	img = rec->data;
	mmap_write_lock(mm);
	if (img->flags & CR_IMG_MM_LOCK_FUTURE)
		mm->def_flags |= VM_LOCKED;
	if (img->flags & CR_IMG_MM_LOCK_ONFAULT)
		mm->def_flags |= VM_LOCKONFAULT;
	if (img->flags & CR_IMG_MM_MDWE)
		set_bit(MMF_HAS_MDWE, &mm->flags);
	if (img->flags & CR_IMG_MM_MDWE_NO_INHERIT)
		set_bit(MMF_HAS_MDWE_NO_INHERIT, &mm->flags);
	if (img->flags & CR_IMG_MM_MERGE_ANY)
		err = ksm_enable_merge_any(mm);
	mmap_write_unlock(mm);
	set_dumpable(mm, cr_mm_dumpable(img));
	if (err)
		return cr_fail(ctx, err, "pid %d: prctl(PR_SET_MEMORY_MERGE): error %d",
			       cr_pid(t), -err);
	return 0;
}

void cr_mm_free(void *obj)
{
	mmput(obj);
}
