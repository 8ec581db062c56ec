// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: what x86 adds to an address space.
 *
 * Saved: where the vDSO is, and the checksum of its code. The vDSO comes back at
 * the same address, and only if the code is the same: a thread may stand in it,
 * and callers remember the addresses of its functions.
 *
 * Refused: protection keys, linear address masking, a vDSO in pieces.
 *
 * Locks: callers hold mmap_lock, except for cr_arch_vdso_map(), which takes it.
 */
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/pkeys.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <linux/mmu_context.h>
#include <asm/vdso.h>

#include "../../../checkpoint/internal.h"

static u64 vdso_size(void)
{
	return vdso_image_64.size;
}

static u64 vvar_size(void)
{
	return -vdso_image_64.sym_vvar_start;
}

#ifdef CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS
/* The key of PROT_EXEC mappings is the kernel's own; mmap() picks it again. */
static bool is_exec_only(struct mm_struct *mm, int pkey)
{
	return pkey == mm->context.execute_only_pkey;
}

static bool pkeys_in_use(struct mm_struct *mm)
{
	int pkey;

	for (pkey = 1; pkey < arch_max_pkey(); pkey++) {
		if (mm_pkey_is_allocated(mm, pkey))
			return true;
	}
	return false;
}
#else
static bool is_exec_only(struct mm_struct *mm, int pkey)
{
	return false;
}

static bool pkeys_in_use(struct mm_struct *mm)
{
	return false;
}
#endif

/**
 * cr_arch_vma_has_pkey() - is a mapping under a protection key of the program?
 * @vma: the mapping
 *
 * Return: true if it is.
 */
bool cr_arch_vma_has_pkey(struct vm_area_struct *vma)
{
	int pkey = vma_pkey(vma);

	return pkey && !is_exec_only(vma->vm_mm, pkey);
}

/**
 * cr_arch_vma_kind() - is a mapping a part of the vDSO?
 * @vma: a mapping without a file
 *
 * Return: CR_IMG_VMA_VVAR, CR_IMG_VMA_VDSO, or 0.
 */
u32 cr_arch_vma_kind(struct vm_area_struct *vma)
{
	const char *name = NULL;

	if (vma->vm_file || !vma->vm_ops || !vma->vm_ops->name)
		return 0;
	name = vma->vm_ops->name(vma);
	if (!name)
		return 0;
	if (!strcmp(name, "[vdso]"))
		return CR_IMG_VMA_VDSO;
	if (!strcmp(name, "[vvar]"))
		return CR_IMG_VMA_VVAR;
	return 0;
}

/* The vDSO is mapped whole with its data before it, or not at all. */
static bool vdso_is_whole(struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	u64 vdso = cr_arch_vdso_addr(mm);
	unsigned int found = 0, wanted = vdso ? 2 : 0;
	struct vm_area_struct *vma;
	u64 start, end;
	u32 kind;

	for_each_vma(vmi, vma) {
		kind = cr_arch_vma_kind(vma);
		if (!kind)
			continue;
		if (!cr_arch_vdso_range(kind, vdso, &start, &end) ||
		    vma->vm_start != start || vma->vm_end != end)
			return false;
		found++;
	}
	return found == wanted;
}

/**
 * cr_arch_mm_refusal() - can x86 bring an address space back?
 * @mm: the address space
 *
 * Return: NULL if it can, else what it has that stands against it.
 */
const char *cr_arch_mm_refusal(struct mm_struct *mm)
{
	if (pkeys_in_use(mm))
		return "protection keys (pkey_alloc)";
	if (mm_lam_cr3_mask(mm))
		return "linear address masking (ARCH_ENABLE_TAGGED_ADDR)";
	if (mm->context.vdso_image && mm->context.vdso_image != &vdso_image_64)
		return "vDSO of another ABI";
	if (!vdso_is_whole(mm))
		return "vDSO partly unmapped or moved";
	return NULL;
}

/**
 * cr_arch_vdso_crc() - tells one vDSO from another
 *
 * Return: CRC32C of its code, with the alternatives that this CPU has chosen.
 */
u32 cr_arch_vdso_crc(void)
{
	return cr_crc(~0U, vdso_image_64.data, vdso_image_64.size);
}

/**
 * cr_arch_vdso_addr() - where the vDSO is
 * @mm: the address space
 *
 * Return: its address; 0 if it is not mapped.
 */
u64 cr_arch_vdso_addr(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	u64 vdso = (__force u64)mm->context.vdso;

	if (!vdso)
		return 0;
	/* the address stays when the vDSO is unmapped */
	vma = find_vma(mm, vdso);
	if (!vma || vma->vm_start != vdso || cr_arch_vma_kind(vma) != CR_IMG_VMA_VDSO)
		return 0;
	return vdso;
}

/**
 * cr_arch_vdso_range() - where a part of the vDSO must be
 * @kind: CR_IMG_VMA_VVAR or CR_IMG_VMA_VDSO
 * @vdso: address of the vDSO, any number
 * @start: first byte of that part
 * @end: one past the last
 *
 * Return: false if there is no such place.
 */
bool cr_arch_vdso_range(u32 kind, u64 vdso, u64 *start, u64 *end)
{
	if (!PAGE_ALIGNED(vdso) || vdso <= vvar_size() ||
	    vdso >= TASK_SIZE_MAX - vdso_size())
		return false;
	if (kind == CR_IMG_VMA_VDSO) {
		*start = vdso;
		*end = vdso + vdso_size();
	} else {
		*start = vdso - vvar_size();
		*end = vdso;
	}
	return true;
}

/**
 * cr_arch_vdso_map() - map the vDSO into the new address space of current
 * @vdso: address of the vDSO; cr_arch_vdso_range() has accepted it
 *
 * Context: Nothing else is mapped yet, so that the wanted place is free.
 * Return: 0 or -errno.
 */
int cr_arch_vdso_map(u64 vdso)
{
	int err = map_vdso_once(&vdso_image_64, vdso - vvar_size());

	if (err)
		return err;
	return (__force u64)current->mm->context.vdso == vdso ? 0 : -EBUSY;
}

/**
 * cr_arch_mm_setup() - what execve() sets in a new address space
 * @mm: the address space; that of current
 */
void cr_arch_mm_setup(struct mm_struct *mm)
{
	mm->context.flags = BIT(MM_CONTEXT_HAS_VSYSCALL);
	mm->task_size = TASK_SIZE;
}
