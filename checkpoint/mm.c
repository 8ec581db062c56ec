// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: dumping an address space.
 *
 * Saved: every mapping with its protection, its file or shared memory, and what
 * madvise(), mlock() and prctl() have said about it; the numbers in /proc that
 * describe the program; auxiliary vector; executable; the position of the vDSO;
 * membarrier() registrations. Contents: see snapshot.c and flush.c.
 *
 * Not saved: which pages are soft-dirty, and contents of MAP_DROPPABLE memory,
 * which the kernel may drop at any time and which must not be the same in two
 * processes (it is used for random numbers).
 *
 * Refused: huge TLB pages, System V shared memory, memory of devices and of
 * sockets, of perf, io_uring and AIO, DAX, memfd_secret(), userfaultfd(),
 * protection keys, shadow stacks, mseal(), NUMA policies, uprobes. memfd and
 * deleted files are refused when the file is dumped.
 *
 * Locks: mmap_lock for reading around the walks over the mappings; files and
 * shared memory are dumped under it. It is not held for the snapshot.
 */
#include <linux/dax.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pkeys.h>
#include <linux/rmap.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/secretmem.h>
#include <linux/shmem_fs.h>
#include <linux/string.h>
#include <linux/userfaultfd_k.h>
#include <uapi/linux/membarrier.h>

#include "mm.h"
#include "objects.h"

const struct cr_vma_flag cr_vma_flags[] = {
	{ CR_IMG_VMA_READ,		VM_READ },
	{ CR_IMG_VMA_WRITE,		VM_WRITE },
	{ CR_IMG_VMA_EXEC,		VM_EXEC },
	{ CR_IMG_VMA_SHARED,		VM_MAYSHARE },
	{ CR_IMG_VMA_GROWSDOWN,		VM_GROWSDOWN },
	{ CR_IMG_VMA_NORESERVE,		VM_NORESERVE },
	{ CR_IMG_VMA_LOCKED,		VM_LOCKED },
	{ CR_IMG_VMA_LOCKONFAULT,	VM_LOCKONFAULT },
	{ CR_IMG_VMA_DONTFORK,		VM_DONTCOPY },
	{ CR_IMG_VMA_WIPEONFORK,	VM_WIPEONFORK },
	{ CR_IMG_VMA_DONTDUMP,		VM_DONTDUMP },
	{ CR_IMG_VMA_HUGEPAGE,		VM_HUGEPAGE },
	{ CR_IMG_VMA_NOHUGEPAGE,	VM_NOHUGEPAGE },
	{ CR_IMG_VMA_MERGEABLE,		VM_MERGEABLE },
	{ CR_IMG_VMA_SEQ_READ,		VM_SEQ_READ },
	{ CR_IMG_VMA_RAND_READ,		VM_RAND_READ },
	{ CR_IMG_VMA_ACCOUNT,		VM_ACCOUNT },
	{ CR_IMG_VMA_DROPPABLE,		VM_DROPPABLE },
	{ 0 }
};

const struct cr_membarrier cr_membarriers[] = {
#ifdef CONFIG_MEMBARRIER
	{ MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
	  MEMBARRIER_STATE_GLOBAL_EXPEDITED,
	  MEMBARRIER_STATE_GLOBAL_EXPEDITED_READY },
	{ MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
	  MEMBARRIER_STATE_PRIVATE_EXPEDITED,
	  MEMBARRIER_STATE_PRIVATE_EXPEDITED_READY },
	{ MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
	  MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE,
	  MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE_READY },
	{ MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
	  MEMBARRIER_STATE_PRIVATE_EXPEDITED_RSEQ,
	  MEMBARRIER_STATE_PRIVATE_EXPEDITED_RSEQ_READY },
#endif
	{ 0 }
};

/* Flags that follow from others, or that say nothing about the program. */
#define IMPLIED_FLAGS	(VM_SHARED | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | \
			 VM_SOFTDIRTY)
/* Flags of the vDSO; it is mapped by the same code again. */
#define VDSO_FLAGS	(VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP)

static bool owns_pages(const struct vm_area_struct *vma)
{
	return vma->anon_vma && !(vma->vm_flags & VM_DROPPABLE);
}

/* The mappings that may own pages. */
struct owners {
	u32 nr;
	u64 pages;
};

static void count_owner(struct owners *o, struct vm_area_struct *vma)
{
	if (owns_pages(vma)) {
		o->nr++;
		o->pages += vma_pages(vma);
	}
}

static u32 vma_image_flags(const struct vm_area_struct *vma)
{
	const struct cr_vma_flag *f;
	u32 flags = 0;

	for (f = cr_vma_flags; f->image; f++) {
		if (vma->vm_flags & f->kernel)
			flags |= f->image;
	}
	if (owns_pages(vma))
		flags |= CR_IMG_VMA_HAS_ANON;
	return flags;
}

static u64 unknown_flags(const struct vm_area_struct *vma)
{
	/* protection keys are refused by name, but for that of PROT_EXEC */
	u64 flags = vma->vm_flags & ~(IMPLIED_FLAGS | ARCH_VM_PKEY_FLAGS);
	const struct cr_vma_flag *f;

	for (f = cr_vma_flags; f->image; f++)
		flags &= ~f->kernel;
	return flags;
}

static u32 vma_kind(struct vm_area_struct *vma)
{
	u32 kind = cr_arch_vma_kind(vma);

	if (kind)
		return kind;
	if (!vma->vm_file)
		return CR_IMG_VMA_ANON;
	return cr_shmem_is_anon(vma->vm_file) ? CR_IMG_VMA_SHMEM : CR_IMG_VMA_FILE;
}

/* Is the file of a mapping one that restart() can map again? */
static const char *file_refusal(struct vm_area_struct *vma)
{
	struct file *file = vma->vm_file;
	struct inode *inode = file_inode(file);

	if (cr_shmem_is_anon(file))
		return vma->vm_flags & VM_SHARED ? NULL : "private view of shared memory";
	if (shmem_mapping(file->f_mapping) && IS_PRIVATE(inode))
		return "System V shared memory";
	if (shmem_mapping(file->f_mapping) && (inode->i_sb->s_flags & SB_KERNMOUNT))
		return "memfd";
	if (vma_is_secretmem(vma))
		return "memfd_secret()";
	if (vma_is_dax(vma) || (vma->vm_flags & VM_SYNC))
		return "DAX";
	/* of /dev/zero */
	if (vma_is_anonymous(vma) || S_ISREG(inode->i_mode))
		return NULL;
	if (S_ISCHR(inode->i_mode) || S_ISBLK(inode->i_mode))
		return "mapped device";
	if (S_ISSOCK(inode->i_mode))
		return "mapped socket";
	return "mapped kernel object";
}

static bool vdso_is_changed(struct vm_area_struct *vma)
{
	u64 flags = VM_READ;

	if (cr_arch_vma_kind(vma) == CR_IMG_VMA_VDSO)
		flags |= VM_EXEC;
	return (vma->vm_flags & ~(VDSO_FLAGS | IMPLIED_FLAGS)) != flags;
}

static const char *vma_refusal(struct vm_area_struct *vma)
{
	const char *why;

	if (cr_arch_vma_kind(vma))
		return vdso_is_changed(vma) ? "changed vDSO" : NULL;
	if (is_vm_hugetlb_page(vma))
		return "huge TLB pages (hugetlb)";
	if (userfaultfd_armed(vma))
		return "userfaultfd()";
	if (vma->vm_flags & VM_SHADOW_STACK)
		return "shadow stack";
	if (vma->vm_flags & VM_SEALED)
		return "sealed mapping (mseal)";
	if (cr_arch_vma_has_pkey(vma))
		return "protection key";
	if (vma_policy(vma))
		return "NUMA policy (mbind)";
	if (vma->vm_file) {
		why = file_refusal(vma);
		if (why)
			return why;
	} else if (vma->vm_ops) {
		return vma->vm_ops->name ? vma->vm_ops->name(vma) : "special mapping";
	}
	if (vma->vm_flags & (VM_PFNMAP | VM_IO | VM_MIXEDMAP))
		return "device memory";
	if (anon_vma_name(vma) && !*anon_vma_name(vma)->name)
		return "empty name (PR_SET_VMA_ANON_NAME)";
	if (unknown_flags(vma))
		return "mapping of unknown kind";
	return NULL;
}

/* A task that uses @mm, if one is in the tree then that one. Under RCU. */
static struct task_struct *mm_task(struct cr_ctx *ctx, struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	return rcu_dereference(mm->owner);
#else
	struct cr_task *t;

	list_for_each_entry(t, &ctx->tasks, list) {
		if (t->task->mm == mm)
			return t->task;
	}
	return NULL;
#endif
}

/**
 * cr_mm_in_tree() - do only tasks of the tree use an address space?
 * @ctx: the checkpoint
 * @mm: an address space; that processes do not share theirs is checked elsewhere
 *
 * Return: true if so, or if it is used no more.
 */
bool cr_mm_in_tree(struct cr_ctx *ctx, struct mm_struct *mm)
{
	struct task_struct *task;

	guard(rcu)();
	task = mm_task(ctx, mm);
	return task ? cr_in_tree(ctx, task) : !atomic_read(&mm->mm_users);
}

/* For messages: which process is it? */
static pid_t mm_pid(struct cr_ctx *ctx, struct mm_struct *mm)
{
	struct task_struct *task;

	guard(rcu)();
	task = mm_task(ctx, mm);
	return task ? task_tgid_nr_ns(task, ctx->pid_ns) : 0;
}

static void where(struct cr_ctx *ctx, struct vm_area_struct *vma)
{
	cr_set_where(ctx, "pid %d address 0x%lx", mm_pid(ctx, vma->vm_mm), vma->vm_start);
}

static int refuse_vma(struct cr_ctx *ctx, struct vm_area_struct *vma)
{
	const char *why = vma_refusal(vma);

	if (!why)
		return 0;
	where(ctx, vma);
	if (vma->vm_file)
		return cr_fail(ctx, -EOPNOTSUPP, "%s: %pD: %s: not supported",
			       cr_where(ctx), vma->vm_file, why);
	return cr_fail(ctx, -EOPNOTSUPP, "%s: %s: not supported", cr_where(ctx), why);
}

static int refuse_mm(struct cr_ctx *ctx, struct mm_struct *mm)
{
	const char *why = cr_arch_mm_refusal(mm);

#ifdef CONFIG_AIO
	/* an address space that has done AIO once is not told from one that does */
	if (!why && rcu_access_pointer(mm->ioctx_table))
		why = "asynchronous I/O (io_setup)";
#endif
	/* its breakpoints would be in the image */
	if (!why && test_bit(MMF_HAS_UPROBES, &mm->flags))
		why = "uprobes (perf, ftrace, bpf)";
	if (!why)
		return 0;
	return cr_fail(ctx, -EOPNOTSUPP, "pid %d: %s: not supported", mm_pid(ctx, mm), why);
}

/* What stands behind a mapping: the pointer that its object is known by. */
static u32 vma_object(struct vm_area_struct *vma, void **obj)
{
	switch (vma_kind(vma)) {
	case CR_IMG_VMA_FILE:
		*obj = vma->vm_file;
		return CR_IMG_FILE;
	case CR_IMG_VMA_SHMEM:
		*obj = file_inode(vma->vm_file);
		return CR_IMG_SHMEM;
	default:
		return CR_IMG_NONE;
	}
}

/* Refuse, or dump what the mapping refers to. */
static int dump_referred(struct cr_ctx *ctx, struct vm_area_struct *vma)
{
	void *obj;
	u32 type;

	if (refuse_vma(ctx, vma))
		return ctx->err;
	type = vma_object(vma, &obj);
	if (type == CR_IMG_NONE || cr_obj_id(ctx, type, obj))
		return 0;
	where(ctx, vma);
	return cr_obj_dump(ctx, type, obj) ? 0 : ctx->err;
}

static u32 dump_exe(struct cr_ctx *ctx, struct mm_struct *mm)
{
	struct file *exe = get_mm_exe_file(mm);
	u32 id;

	if (!exe) {
		cr_fail(ctx, -EOPNOTSUPP, "pid %d: no executable", mm_pid(ctx, mm));
		return 0;
	}
	cr_set_where(ctx, "pid %d exe", mm_pid(ctx, mm));
	id = cr_obj_dump(ctx, CR_IMG_FILE, exe);
	/* the address space keeps it */
	fput(exe);
	return id;
}

/*
 * Names of anonymous mappings are strings of their own. They get consecutive
 * ids, the first of which is returned, so that nothing needs to be remembered.
 */
static u32 dump_names(struct cr_ctx *ctx, struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct anon_vma_name *name;
	struct vm_area_struct *vma;
	u32 id, first = 0;

	for_each_vma(vmi, vma) {
		name = anon_vma_name(vma);
		if (!name)
			continue;
		id = cr_string_add(ctx, name->name, strlen(name->name));
		if (!id)
			return 0;
		if (!first)
			first = id;
	}
	return first;
}

static int dump_vmas(struct cr_ctx *ctx, struct mm_struct *mm, u32 id, u32 name_id,
		     struct owners *owners)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	struct cr_img_vma *img;
	void *obj;
	u32 type;

	for_each_vma(vmi, vma) {
		img = cr_rec_get(ctx, CR_IMG_VMA, id, sizeof(*img));
		if (!img)
			return ctx->err;
		img->start = vma->vm_start;
		img->end = vma->vm_end;
		img->kind = vma_kind(vma);
		img->flags = vma_image_flags(vma);
		if (vma->vm_file)
			img->offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
		type = vma_object(vma, &obj);
		if (type != CR_IMG_NONE)
			img->file_id = cr_obj_id(ctx, type, obj);
		if (anon_vma_name(vma))
			img->name_id = name_id++;
		if (img->flags & CR_IMG_VMA_HAS_ANON)
			img->anon_id = cr_anon_id(ctx, vma->anon_vma->root);
		cr_rec_put(ctx, img, sizeof(*img));
		count_owner(owners, vma);
	}
	return 0;
}

static u32 mm_image_flags(struct mm_struct *mm)
{
	u32 flags = get_dumpable(mm) << CR_IMG_MM_DUMPABLE_SHIFT;

	if (test_bit(MMF_DISABLE_THP, &mm->flags))
		flags |= CR_IMG_MM_THP_DISABLE;
	if (mm->def_flags & VM_LOCKED)
		flags |= CR_IMG_MM_LOCK_FUTURE;
	if (mm->def_flags & VM_LOCKONFAULT)
		flags |= CR_IMG_MM_LOCK_ONFAULT;
	if (test_bit(MMF_HAS_MDWE, &mm->flags))
		flags |= CR_IMG_MM_MDWE;
	if (test_bit(MMF_HAS_MDWE_NO_INHERIT, &mm->flags))
		flags |= CR_IMG_MM_MDWE_NO_INHERIT;
	if (test_bit(MMF_VM_MERGE_ANY, &mm->flags))
		flags |= CR_IMG_MM_MERGE_ANY;
	if (!test_bit(MMF_TOPDOWN, &mm->flags))
		flags |= CR_IMG_MM_BOTTOM_UP;
	return flags;
}

static u32 mm_membarrier(struct mm_struct *mm)
{
	u32 cmds = 0;
#ifdef CONFIG_MEMBARRIER
	int state = atomic_read(&mm->membarrier_state);
	const struct cr_membarrier *mb;

	for (mb = cr_membarriers; mb->cmd; mb++) {
		if (state & mb->ready)
			cmds |= mb->cmd;
	}
#endif
	return cmds;
}

static void fill_mm(struct cr_img_mm *img, struct mm_struct *mm)
{
	unsigned int i;

	BUILD_BUG_ON(ARRAY_SIZE(mm->saved_auxv) > CR_IMG_AUXV_WORDS);

	img->flags = mm_image_flags(mm);
	img->nr_vmas = mm->map_count;
	img->vdso = cr_arch_vdso_addr(mm);
	if (img->vdso)
		img->vdso_crc = cr_arch_vdso_crc();
	img->mmap_base = mm->mmap_base;
	spin_lock(&mm->arg_lock);
	img->start_code = mm->start_code;
	img->end_code = mm->end_code;
	img->start_data = mm->start_data;
	img->end_data = mm->end_data;
	img->start_brk = mm->start_brk;
	img->brk = mm->brk;
	img->start_stack = mm->start_stack;
	img->arg_start = mm->arg_start;
	img->arg_end = mm->arg_end;
	img->env_start = mm->env_start;
	img->env_end = mm->env_end;
	spin_unlock(&mm->arg_lock);
	img->dump_filter = (mm->flags & MMF_DUMP_FILTER_MASK) >> MMF_DUMP_FILTER_SHIFT;
	img->membarrier = mm_membarrier(mm);
	for (i = 0; i < ARRAY_SIZE(mm->saved_auxv); i++)
		img->auxv[i] = mm->saved_auxv[i];
}

/* Under mmap_lock. */
static int dump_locked(struct cr_ctx *ctx, struct mm_struct *mm, u32 id,
		       struct owners *owners)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	struct cr_img_mm *img;
	u32 exe_id, name_id;

	if (refuse_mm(ctx, mm))
		return ctx->err;
	for_each_vma(vmi, vma) {
		if (dump_referred(ctx, vma))
			return ctx->err;
	}
	exe_id = dump_exe(ctx, mm);
	name_id = dump_names(ctx, mm);
	if (ctx->err)
		return ctx->err;

	img = cr_rec_get(ctx, CR_IMG_MM, id, sizeof(*img));
	if (!img)
		return ctx->err;
	fill_mm(img, mm);
	img->exe_id = exe_id;
	if (!cr_mm_fields_ok(img)) {
		cr_rec_drop(ctx, img);
		return cr_fail(ctx, -EOPNOTSUPP, "pid %d: odd values of prctl(PR_SET_MM)",
			       mm_pid(ctx, mm));
	}
	cr_rec_put(ctx, img, sizeof(*img));
	return dump_vmas(ctx, mm, id, name_id, owners) ?: ctx->err;
}

static struct owners owners_of(struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	struct owners o = {};

	for_each_vma(vmi, vma)
		count_owner(&o, vma);
	return o;
}

/*
 * The mmap_lock was free between the records and the snapshot, so somebody outside
 * of the tree may have written to memory that had no pages of its own, or have
 * set a breakpoint.
 */
static int compare_snap(struct cr_ctx *ctx, struct mm_struct *mm, u32 id,
			const struct owners *was)
{
	struct mm_struct *snap = cr_snap_find(ctx, id)->mm;
	struct owners now;

	mmap_read_lock(snap);
	now = owners_of(snap);
	mmap_read_unlock(snap);
	if (now.nr == was->nr && now.pages == was->pages &&
	    !test_bit(MMF_HAS_UPROBES, &mm->flags))
		return 0;
	ctx->unsteady = true;
	return cr_fail(ctx, -EAGAIN, "%s: memory was changed from outside the tree; try again",
		       cr_where(ctx));
}

int cr_mm_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct mm_struct *mm = obj;
	struct owners owners = {};
	int err;

	if (mmap_read_lock_killable(mm))
		return cr_fail(ctx, -EINTR, "interrupted");
	err = dump_locked(ctx, mm, id, &owners);
	mmap_read_unlock(mm);
	if (err)
		return err;
	cr_set_where(ctx, "pid %d", mm_pid(ctx, mm));
	return cr_snap_mm(ctx, mm, id) ?: compare_snap(ctx, mm, id, &owners);
}
