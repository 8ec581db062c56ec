// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: floating point and vector registers, protection keys.
 *
 * Saved: the XSAVE area in standard format, as ptrace and core dumps have it;
 * on a CPU without XSAVE the FXSAVE area.
 *
 * Refused: at checkpoint AMX (regs.c); at restart an image with components that
 * this CPU does not have, or has at other places.
 *
 * Locking: none. The task is current, or off its CPU so that its registers are
 * in memory.
 */
#include <linux/cpufeature.h>
#include <linux/elf.h>
#include <linux/init.h>
#include <linux/mm.h>

#include <asm/cpuid.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xstate.h>
#include <asm/pkru.h>

#include "../kernel/fpu/legacy.h"
#include "internal.h"

#define XSTATE_CPUID_LEAF	0xd

/* Where the components are in the standard format; CPUID is slow in a guest. */
static struct {
	u32 nr;
	u32 offset;
	u32 size;
} components[XFEATURE_MAX] __ro_after_init;

static int __init find_components(void)
{
	u32 i, eax, ebx, ecx, edx;

	if (!cpu_feature_enabled(X86_FEATURE_XSAVE))
		return 0;
	for (i = FIRST_EXTENDED_XFEATURE; i < XFEATURE_MAX; i++) {
		if (!(fpu_user_cfg.max_features & BIT_ULL(i)))
			continue;
		cpuid_count(XSTATE_CPUID_LEAF, i, &eax, &ebx, &ecx, &edx);
		components[i].nr = i;
		components[i].offset = ebx;
		components[i].size = eax;
	}
	return 0;
}
late_initcall(find_components);

static u32 layout(u64 xfeatures)
{
	u32 i, crc = ~0U;

	for (i = FIRST_EXTENDED_XFEATURE; i < XFEATURE_MAX; i++)
		if (xfeatures & BIT_ULL(i))
			crc = cr_crc(crc, &components[i], sizeof(components[i]));
	return crc;
}

static const struct user_regset *fpu_regset(void)
{
	return cr_x86_regset(NT_X86_XSTATE) ?: cr_x86_regset(NT_PRFPREG);
}

static u32 regset_size(const struct user_regset *set)
{
	return set->n * set->size;
}

/* NULL if @data is of FXSAVE. */
static const struct xstate_header *xheader(const void *data, u32 len)
{
	return len > FXSAVE_SIZE ? data + FXSAVE_SIZE : NULL;
}

/**
 * cr_arch_xstate_dump() - record the floating point and vector registers
 * @ctx: the checkpoint
 * @obj: struct cr_task of the thread
 * @id: object id of the thread
 *
 * Return: 0 or -errno as told.
 */
int cr_arch_xstate_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	const struct user_regset *set = fpu_regset();
	const struct xstate_header *header;
	struct cr_img_x86_xstate *img;
	struct cr_task *t = obj;
	u32 size = regset_size(set);
	size_t len = struct_size(img, data, size);
	int err;

	if (t->hold == CR_HOLD_ZOMBIE)
		return 0;
	img = cr_rec_get(ctx, CR_IMG_X86_XSTATE, id, len);
	if (!img)
		return ctx->err;
	/* The regset takes these rights from here, where they are put by a switch. */
	if (t->task == current)
		current->thread.pkru = read_pkru();
	err = set->regset_get(t->task, set, (struct membuf){ .p = img->data, .left = size });
	header = xheader(img->data, size);
	img->layout = layout(header ? header->xfeatures : 0);
	cr_rec_put(ctx, img, len);
	if (err < 0)
		return cr_fail(ctx, err, "pid %d: extended registers cannot be read", t->tid);
	return 0;
}

static int check_features(struct cr_ctx *ctx, const struct cr_rec *rec, u64 xfeatures)
{
	const char *name = "unknown registers";

	if (!(xfeatures & ~fpu_user_cfg.default_features))
		return 0;
	/* Names one; those that the CPU has but that need a permission are AMX. */
	if (cpu_has_xfeatures(xfeatures, &name))
		name = "AMX";
	return cr_fail(ctx, -EOPNOTSUPP,
		       "record %u: the image needs %s (xfeatures 0x%llx), this CPU has 0x%llx",
		       rec->index, name, xfeatures, fpu_user_cfg.default_features);
}

static bool components_fit(u64 xfeatures, u32 len)
{
	u32 i;

	for (i = FIRST_EXTENDED_XFEATURE; i < XFEATURE_MAX; i++)
		if ((xfeatures & BIT_ULL(i)) &&
		    components[i].offset + components[i].size > len)
			return false;
	return true;
}

static bool mxcsr_bad(const struct fxregs_state *fx, u64 xfeatures)
{
	return (xfeatures & (XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM)) &&
	       (fx->mxcsr & ~mxcsr_feature_mask);
}

/**
 * cr_arch_xstate_check() - check floating point and vector registers
 * @ctx: the restart
 * @rec: CR_IMG_X86_XSTATE
 *
 * Return: 0; -EINVAL if malformed; -EOPNOTSUPP if this CPU cannot have them.
 */
int cr_arch_xstate_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_x86_xstate *img = rec->data;
	u32 len = rec->len - sizeof(*img);
	const struct xstate_header *header = xheader(img->data, len);
	u64 xfeatures = header ? header->xfeatures : XFEATURE_MASK_FPSSE;

	if (img->reserved || (header && len < FXSAVE_SIZE + sizeof(*header)) || len % 8)
		return cr_fail(ctx, -EINVAL, "record %u: extended registers of %u bytes",
			       rec->index, len);
	if (header && !cr_x86_regset(NT_X86_XSTATE))
		return cr_fail(ctx, -EOPNOTSUPP,
			       "record %u: the image needs XSAVE, which this CPU does not have",
			       rec->index);
	if (header && (header->xcomp_bv ||
		       memchr_inv(header->reserved, 0, sizeof(header->reserved))))
		return cr_fail(ctx, -EINVAL, "record %u: extended registers: reserved field in use",
			       rec->index);
	if (check_features(ctx, rec, xfeatures))
		return ctx->err;
	if (img->layout != layout(xfeatures))
		return cr_fail(ctx, -EOPNOTSUPP,
			       "record %u: this CPU lays out XSAVE components 0x%llx differently",
			       rec->index, xfeatures);
	if (!components_fit(xfeatures, len) || mxcsr_bad((const void *)img->data, xfeatures))
		return cr_fail(ctx, -EINVAL, "record %u: bad extended registers", rec->index);
	return 0;
}

/**
 * cr_x86_xstate_restore() - put the registers into a task
 * @ctx: the restart
 * @task: off its CPU
 * @rec: CR_IMG_X86_XSTATE, checked
 *
 * Return: 0 or -errno.
 */
int cr_x86_xstate_restore(struct cr_ctx *ctx, struct task_struct *task,
			  const struct cr_rec *rec)
{
	const struct cr_img_x86_xstate *img = rec->data;
	u32 len = rec->len - sizeof(*img);
	const struct user_regset *set;
	u32 size;
	void *buf;
	int err;

	set = xheader(img->data, len) ? cr_x86_regset(NT_X86_XSTATE) :
					cr_x86_regset(NT_PRFPREG);
	/* The regset wants all of what the CPU has, and the image may have less. */
	size = regset_size(set);
	buf = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	memcpy(buf, img->data, min(len, size));
	err = set->set(task, set, 0, size, buf, NULL);
	kvfree(buf);
	return err;
}
