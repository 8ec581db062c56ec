// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: general registers of x86-64 tasks.
 *
 * Saved: what PTRACE_GETREGS shows, and what the frame of a signal for the last
 * fault would show. A system call that was interrupted is seen
 * in them as its number and -ERESTART*, and is restarted by the kernel's own
 * code when the copy goes on.
 *
 * Refused: 32-bit code and x32; an LDT, TLS segments, I/O permissions, hardware
 * breakpoints, single stepping; shadow stacks, tagged addresses, AMX, disabled
 * TSC or CPUID, speculation controls, system call user dispatch.
 *
 * Restored values are sanitized by the regset code that ptrace uses; what it
 * would refuse is refused when the image is checked.
 *
 * Locking: task_lock() while the mm of a task is looked at. Registers are
 * written while the task is known to be off its CPU.
 */
#include <linux/elf.h>
#include <linux/mmu_context.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/thread_info.h>
#include <linux/user.h>

#include <asm/fpu/types.h>
#include <asm/fpu/xstate.h>
#include <asm/io_bitmap.h>
#include <asm/segment.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include "internal.h"

static_assert(sizeof(((struct cr_img_x86_regs *)NULL)->r) == sizeof(struct user_regs_struct));

/**
 * cr_x86_regset() - find a regset of 64-bit tasks
 * @note: NT_*
 *
 * The caller of checkpoint() and of restart() is 64-bit code, and so is every
 * task that is restored: its view is theirs.
 *
 * Return: the regset, or NULL if this CPU does not have these registers.
 */
const struct user_regset *cr_x86_regset(unsigned int note)
{
	const struct user_regset_view *view = task_user_regset_view(current);
	unsigned int i;

	for (i = 0; i < view->n; i++)
		if (view->regsets[i].core_note_type == note)
			return view->regsets[i].n ? &view->regsets[i] : NULL;
	return NULL;
}

/* ---- checkpoint ---- */

/* What belongs to the address space. Call it with task_lock() held. */
static const char *mm_refused(struct task_struct *task)
{
	struct mm_struct *mm = task->mm;

	if (!mm)
		return NULL;
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	if (READ_ONCE(mm->context.ldt))
		return "LDT (modify_ldt)";
#endif
#ifdef CONFIG_ADDRESS_MASKING
	if (mm_lam_cr3_mask(mm))
		return "tagged addresses (LAM)";
#endif
	return NULL;
}

static const char *mode_refused(struct task_struct *task)
{
	struct pt_regs *regs = task_pt_regs(task);

	if (test_tsk_thread_flag(task, TIF_ADDR32) || !user_64bit_mode(regs) ||
	    (READ_ONCE(task_thread_info(task)->status) & TS_COMPAT))
		return "32-bit code";
	if (regs->cs != __USER_CS || regs->ss != __USER_DS)
		return "segment registers of its own";
	if (memchr_inv(task->thread.tls_array, 0, sizeof(task->thread.tls_array)))
		return "TLS segments (set_thread_area)";
	if (test_tsk_thread_flag(task, TIF_SINGLESTEP) ||
	    test_tsk_thread_flag(task, TIF_FORCED_TF) ||
	    test_tsk_thread_flag(task, TIF_BLOCKSTEP))
		return "single stepping";
	if (memchr_inv(task->thread.ptrace_bps, 0, sizeof(task->thread.ptrace_bps)))
		return "hardware breakpoints";
	return NULL;
}

/**
 * cr_arch_inherited() - what no image can have, and a task has from its parent
 * @task: any
 *
 * Return: its name, or NULL.
 */
const char *cr_arch_inherited(struct task_struct *task)
{
	if (test_tsk_thread_flag(task, TIF_NOTSC))
		return "disabled TSC (PR_SET_TSC)";
	if (test_tsk_thread_flag(task, TIF_NOCPUID))
		return "disabled CPUID (ARCH_SET_CPUID)";
	if (task_spec_ssb_disable(task) || task_spec_ssb_noexec(task) ||
	    task_spec_ssb_force_disable(task) || task_spec_ib_disable(task) ||
	    task_spec_ib_force_disable(task) ||
	    test_tsk_thread_flag(task, TIF_SPEC_L1D_FLUSH))
		return "speculation control (PR_SET_SPECULATION_CTRL)";
	return NULL;
}

static const char *feature_refused(struct task_struct *task)
{
	if (test_tsk_thread_flag(task, TIF_IO_BITMAP) || task->thread.iopl_emul)
		return "I/O port permissions (ioperm, iopl)";
	if (test_task_syscall_work(task, SYSCALL_USER_DISPATCH))
		return "system call user dispatch";
	if (task->group_leader->thread.fpu.perm.__state_perm & XFEATURE_MASK_USER_DYNAMIC)
		return "AMX (ARCH_REQ_XCOMP_PERM)";
#ifdef CONFIG_X86_USER_SHADOW_STACK
	if (task->thread.features)
		return "shadow stack";
#endif
	return cr_arch_inherited(task);
}

/**
 * cr_arch_task_refuse() - refuse what the architecture cannot restore
 * @ctx: the checkpoint
 * @t: a thread; not a zombie
 *
 * Return: 0, or -EOPNOTSUPP as told.
 */
int cr_arch_task_refuse(struct cr_ctx *ctx, struct cr_task *t)
{
	struct task_struct *task = t->task;
	const char *what;

	task_lock(task);
	what = mm_refused(task);
	task_unlock(task);
	if (!what)
		what = mode_refused(task);
	if (!what)
		what = feature_refused(task);
	if (what)
		return cr_fail(ctx, -EOPNOTSUPP, "pid %d (%s): %s: not supported",
			       t->tid, task->comm, what);
	return 0;
}

/* A call that gives -EINTR whatever wakes it, and that has no timeout. */
static bool begins_again(const struct pt_regs *regs)
{
	switch (regs->orig_ax) {
	case __NR_rt_sigtimedwait:
		return !regs->dx;
	case __NR_semop:
		return true;
	case __NR_semtimedop:
		return !regs->r10;
	case __NR_io_getevents:
		return !regs->r8;
	}
	return false;
}

/**
 * cr_arch_park() - current is about to be parked
 *
 * Most system calls that are woken up to be parked ask to be restarted. For
 * those that do not it is done here: they have done nothing yet, and nothing
 * but this has happened. With a timeout they return -EINTR, as after SIGCONT,
 * because nobody knows how much of it is left.
 */
void cr_arch_park(void)
{
	struct pt_regs *regs = current_pt_regs();

	if (task_sigpending(current) || !user_64bit_mode(regs) ||
	    (current_thread_info()->status & TS_COMPAT))
		return;
	if (regs->ax == (unsigned long)-EINTR && begins_again(regs))
		regs->ax = -ERESTARTNOHAND;
}

/**
 * cr_arch_regs_self() - registers of the caller in the copy: it returns 0
 * @regs: registers in the middle of the system call
 */
void cr_arch_regs_self(struct cr_img_x86_regs *regs)
{
	struct user_regs_struct *r = (void *)regs->r;

	r->ax = 0;
	/* Not in a system call that could be restarted. */
	r->orig_ax = -1;
}

static bool selector_bad(u64 value)
{
	return value > U16_MAX || (value && (value & SEGMENT_RPL_MASK) != USER_RPL);
}

/* Loading a null selector keeps its low bits; all of them mean the same. */
static void fold_null(unsigned long *selector)
{
	if (!(*selector & ~3UL))
		*selector = 0;
}

/*
 * What the regset code would refuse to set. Instruction and stack pointer may be
 * anything, as with ptrace: a bad one gives the copy a signal.
 */
static const char *regs_bad(const struct user_regs_struct *r)
{
	if (r->cs != __USER_CS || r->ss != __USER_DS || selector_bad(r->ds) ||
	    selector_bad(r->es) || selector_bad(r->fs) || selector_bad(r->gs))
		return "segment register";
	if (r->fs_base >= TASK_SIZE_MAX || r->gs_base >= TASK_SIZE_MAX)
		return "segment base";
	if (r->flags >> 22)
		return "flags";
	return NULL;
}

/**
 * cr_arch_regs_dump() - record the general registers of a thread
 * @ctx: the checkpoint
 * @obj: its struct cr_task
 * @id: object id of the thread
 *
 * Return: 0 or -errno as told.
 */
int cr_arch_regs_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	const struct user_regset *set = cr_x86_regset(NT_PRSTATUS);
	struct cr_task *t = obj;
	struct cr_img_x86_regs *img;
	struct user_regs_struct *r;
	const char *what;
	int err;

	if (t->hold == CR_HOLD_ZOMBIE)
		return 0;
	img = cr_rec_get(ctx, CR_IMG_X86_REGS, id, sizeof(*img));
	if (!img)
		return ctx->err;
	/* Parked tasks were waited for; one that has just stopped was not. */
	if (t->hold == CR_HOLD_STOPPED)
		wait_task_inactive(t->task, __TASK_STOPPED);
	r = (void *)img->r;
	err = set->regset_get(t->task, set, (struct membuf){ .p = r, .left = sizeof(*r) });
	if (t->hold == CR_HOLD_CALLER)
		cr_arch_regs_self(img);
	fold_null(&r->ds);
	fold_null(&r->es);
	fold_null(&r->fs);
	fold_null(&r->gs);
	img->cr2 = t->task->thread.cr2;
	img->trap_nr = t->task->thread.trap_nr;
	img->error_code = t->task->thread.error_code;
	what = regs_bad(r);
	cr_rec_put(ctx, img, sizeof(*img));
	if (err < 0)
		return cr_fail(ctx, err, "pid %d: registers cannot be read", t->tid);
	if (what)
		return cr_fail(ctx, -EOPNOTSUPP, "pid %d (%s): this %s: not supported",
			       t->tid, t->task->comm, what);
	return 0;
}

/**
 * cr_arch_regs_check() - check general registers
 * @ctx: the restart
 * @rec: CR_IMG_X86_REGS
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_arch_regs_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_x86_regs *img = rec->data;
	const char *what = regs_bad((const void *)img->r);

	if (what)
		return cr_fail(ctx, -EINVAL, "record %u: registers: bad %s", rec->index, what);
	return 0;
}

/* ---- restart ---- */

/**
 * cr_arch_task_begin() - current is about to be restored
 *
 * It was born as a copy of the caller. What no image can have is dropped: access
 * to I/O ports and TLS segments. And the caller's registers: when the restored
 * credentials are in force their owner can see them in /proc/<pid>/syscall,
 * until those of the image are put in.
 */
void cr_arch_task_begin(void)
{
	struct pt_regs *regs = current_pt_regs();

#ifdef CONFIG_X86_IOPL_IOPERM
	current->thread.iopl_emul = 0;
#endif
	io_bitmap_exit(current);
	memset(current->thread.tls_array, 0, sizeof(current->thread.tls_array));
	memset(regs, 0, offsetof(struct pt_regs, ip));
	/* in no system call */
	regs->orig_ax = -1;
}

static int set_registers(struct cr_ctx *ctx, struct cr_task *t,
			 const struct cr_rec *regs, const struct cr_rec *xstate)
{
	const struct user_regset *set = cr_x86_regset(NT_PRSTATUS);
	const struct cr_img_x86_regs *img = regs->data;
	int err = cr_x86_xstate_restore(ctx, t->task, xstate);

	if (err)
		return err;
	t->task->thread.cr2 = img->cr2;
	t->task->thread.trap_nr = img->trap_nr;
	t->task->thread.error_code = img->error_code;
	return set->set(t->task, set, 0, sizeof(img->r), img->r, NULL);
}

/*
 * The task waits for the barrier, but others that come there may wake it up for
 * a moment. Segment bases are in the CPU while it runs and are written back when
 * it does no longer, so it counts only if it has not run meanwhile.
 */
static int set_while_asleep(struct cr_ctx *ctx, struct cr_task *t,
			    const struct cr_rec *regs, const struct cr_rec *xstate)
{
	unsigned long before, after = 0;
	int err;

	for (;;) {
		before = wait_task_inactive(t->task, TASK_UNINTERRUPTIBLE);
		if (before && before == after)
			return 0;
		if (READ_ONCE(ctx->err) || fatal_signal_pending(current) ||
		    (t->task->flags & PF_EXITING))
			return cr_fail(ctx, -EINTR, "pid %d: killed while being restored", t->tid);
		if (before) {
			err = set_registers(ctx, t, regs, xstate);
			if (err)
				return err;
		} else {
			schedule_timeout_uninterruptible(1);
		}
		after = before;
	}
}

/**
 * cr_arch_task_restore() - put registers into a restored thread
 * @ctx: the restart; runs in the caller
 * @t: a thread that waits to be released; has no shared FPU or segment state
 *
 * Return: 0 or -errno as told.
 */
int cr_arch_task_restore(struct cr_ctx *ctx, struct cr_task *t)
{
	const struct cr_rec *rec, *regs = NULL, *xstate = NULL;
	int err;

	cr_for_each_part(ctx, rec, t->rec) {
		if (rec->type == CR_IMG_X86_REGS)
			regs = rec;
		else if (rec->type == CR_IMG_X86_XSTATE)
			xstate = rec;
	}
	/* The reader has made sure of it. */
	if (WARN_ON_ONCE(!regs || !xstate))
		return cr_fail(ctx, -EINVAL, "pid %d: no registers", t->tid);
#ifdef CONFIG_X86_USER_SHADOW_STACK
	if (t->task->thread.features)
		return cr_fail(ctx, -EOPNOTSUPP,
			       "restart() from a process with a shadow stack: not supported");
#endif
	if (!try_get_task_stack(t->task))
		return cr_fail(ctx, -EINTR, "pid %d: killed while being restored", t->tid);
	err = set_while_asleep(ctx, t, regs, xstate);
	put_task_stack(t->task);
	if (err)
		return cr_fail(ctx, err, "pid %d: registers cannot be set", t->tid);
	return 0;
}
