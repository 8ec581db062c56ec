// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: signals.
 *
 * Saved: dispositions of a process; mask, the mask that an interrupted
 * sigsuspend(), ppoll(), … puts back, and alternate stack of a thread; the
 * signals that are pending, in order, with their siginfo, for the process and
 * for each thread. Interval timers are read at the same moment (timer.c), so
 * that a SIGALRM is neither lost nor doubled.
 *
 * Refused: nothing. Signals of POSIX timers cannot be there, because the timers
 * are refused (refuse.c).
 *
 * Locking: siglock of the process, for all of it. Room in the image is reserved
 * before it is taken.
 */
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/string.h>

#include "objects.h"

#define CR_SIG_KERNEL_ONLY	(sigmask(SIGKILL) | sigmask(SIGSTOP))

static_assert(_NSIG_WORDS == 1 && sizeof(sigset_t) == sizeof(u64));
static_assert(sizeof(((struct cr_img_siginfo *)NULL)->info) == sizeof(struct kernel_siginfo));
static_assert(ARRAY_SIZE(((struct cr_img_sigaction *)NULL)->action) == _NSIG);

static void set_mask(sigset_t *set, u64 mask)
{
	set->sig[0] = mask & ~CR_SIG_KERNEL_ONLY;
}

/* ---- dispositions ---- */

/**
 * cr_sigaction_dump() - record the signal dispositions of a process
 * @ctx: the checkpoint
 * @obj: struct cr_task of its leader
 * @id: object id of the process
 *
 * Return: 0 or -errno as told.
 */
int cr_sigaction_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_task *t = obj;
	struct cr_img_sigaction *img;
	struct sighand_struct *sighand;
	unsigned long flags;
	int i;

	if (t->hold == CR_HOLD_ZOMBIE)
		return 0;
	img = cr_rec_get(ctx, CR_IMG_SIGACTION, id, sizeof(*img));
	if (!img)
		return ctx->err;
	sighand = lock_task_sighand(t->task, &flags);
	if (!sighand) {
		cr_rec_drop(ctx, img);
		return cr_task_gone(ctx, t);
	}
	for (i = 0; i < _NSIG; i++) {
		const struct sigaction *sa = &sighand->action[i].sa;

		img->action[i].handler = (__force unsigned long)sa->sa_handler;
		img->action[i].flags = sa->sa_flags & UAPI_SA_FLAGS;
		img->action[i].restorer = (__force unsigned long)sa->sa_restorer;
		img->action[i].mask = sa->sa_mask.sig[0];
	}
	spin_unlock_irqrestore(&sighand->siglock, flags);
	cr_rec_put(ctx, img, sizeof(*img));
	return 0;
}

/**
 * cr_sigaction_check() - check signal dispositions
 * @ctx: the restart
 * @rec: CR_IMG_SIGACTION
 *
 * Handlers may be any address, as for sigaction(): a bad one gives SIGSEGV.
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_sigaction_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_sigaction *img = rec->data;
	int i;

	for (i = 0; i < _NSIG; i++) {
		if (img->action[i].flags & ~(u64)UAPI_SA_FLAGS)
			return cr_fail(ctx, -EINVAL, "record %u: signal %d: unknown flags 0x%llx",
				       rec->index, i + 1, img->action[i].flags);
		if (sig_kernel_only(i + 1) && img->action[i].handler)
			return cr_fail(ctx, -EINVAL, "record %u: signal %d has a handler",
				       rec->index, i + 1);
	}
	return 0;
}

/* Signals that restored zombies sent when they became that. */
static u64 zombie_signals(struct cr_task *t)
{
	struct cr_task *child;
	u64 mask = 0;

	list_for_each_entry(child, &t->children, sibling) {
		const struct cr_img_process *img = cr_img_process(child);

		if (cr_img_is_zombie(child) && img->exit_signal)
			mask |= sigmask(img->exit_signal) | sigmask(SIGCHLD);
	}
	return mask & ~CR_SIG_KERNEL_ONLY;
}

/* The parent has got them before the checkpoint, or they are in the image. */
static void drop_signals(struct sigpending *pending, u64 mask, struct list_head *dropped)
{
	struct sigqueue *q, *next;

	list_for_each_entry_safe(q, next, &pending->list, list)
		if (sigmask(q->info.si_signo) & mask)
			list_move_tail(&q->list, dropped);
	pending->signal.sig[0] &= ~mask;
}

/**
 * cr_signals_forget() - nothing has been sent to the process of current yet
 *
 * For a restored process that was, until now, in a group of others. SIGKILL stays.
 */
void cr_signals_forget(void)
{
	struct sigpending dropped;

	init_sigpending(&dropped);
	spin_lock_irq(&cr_sighand()->siglock);
	drop_signals(&current->signal->shared_pending, ~sigmask(SIGKILL), &dropped.list);
	spin_unlock_irq(&cr_sighand()->siglock);
	flush_sigqueue(&dropped);
}

/**
 * cr_sigaction_restore() - signal dispositions
 * @ctx: the restart
 * @t: leader of the process, current
 * @rec: CR_IMG_SIGACTION
 *
 * Unlike sigaction() it does not discard pending signals that are ignored: they
 * can be pending while blocked, and threads may have restored theirs by now.
 *
 * Return: 0.
 */
int cr_sigaction_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_sigaction *img = rec->data;
	struct sigpending dropped;
	int i;

	init_sigpending(&dropped);
	spin_lock_irq(&cr_sighand()->siglock);
	for (i = 0; i < _NSIG; i++) {
		struct sigaction *sa = &cr_sighand()->action[i].sa;

		if (sig_kernel_only(i + 1))
			continue;
		sa->sa_handler = (__force __sighandler_t)(unsigned long)img->action[i].handler;
		sa->sa_flags = img->action[i].flags;
		sa->sa_restorer = (__force __sigrestore_t)(unsigned long)img->action[i].restorer;
		set_mask(&sa->sa_mask, img->action[i].mask);
	}
	drop_signals(&current->signal->shared_pending, zombie_signals(t), &dropped.list);
	spin_unlock_irq(&cr_sighand()->siglock);
	flush_sigqueue(&dropped);
	return 0;
}

/* ---- mask and alternate stack ---- */

/* What sigaltstack() can have left behind, in user space. */
static bool altstack_bad(const struct cr_img_sigstate *img)
{
	u32 mode = img->altstack_flags & ~SS_FLAG_BITS;

	if (!img->altstack_size)
		return img->altstack_sp || (mode && mode != SS_DISABLE);
	if (mode && mode != SS_ONSTACK)
		return true;
	return img->altstack_size < MINSIGSTKSZ || img->altstack_size > TASK_SIZE_MAX ||
	       img->altstack_sp > TASK_SIZE_MAX - img->altstack_size;
}

/**
 * cr_sigstate_dump() - record signal mask and alternate stack of a thread
 * @ctx: the checkpoint
 * @obj: its struct cr_task
 * @id: object id of the thread
 *
 * Return: 0 or -errno as told.
 */
int cr_sigstate_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_task *t = obj;
	struct task_struct *task = t->task;
	struct cr_img_sigstate img = {};

	if (t->hold == CR_HOLD_ZOMBIE)
		return 0;
	/* Only the thread itself changes these. */
	img.blocked = task->blocked.sig[0];
	if (test_tsk_restore_sigmask(task)) {
		img.flags |= CR_IMG_SIGSTATE_RESTORE_MASK;
		img.saved_mask = task->saved_sigmask.sig[0];
	}
	img.altstack_sp = task->sas_ss_sp;
	img.altstack_size = task->sas_ss_size;
	img.altstack_flags = task->sas_ss_flags;
	if (altstack_bad(&img))
		return cr_fail(ctx, -EOPNOTSUPP,
			       "pid %d (%s): alternate signal stack outside user space: not supported",
			       t->tid, task->comm);
	return cr_rec_add(ctx, CR_IMG_SIGSTATE, id, &img, sizeof(img));
}

/**
 * cr_sigstate_check() - check signal mask and alternate stack
 * @ctx: the restart
 * @rec: CR_IMG_SIGSTATE
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_sigstate_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_sigstate *img = rec->data;

	if (img->flags & ~CR_IMG_SIGSTATE_ALL)
		return cr_fail(ctx, -EINVAL, "record %u: signal mask: unknown flags 0x%x",
			       rec->index, img->flags);
	if (img->saved_mask && !(img->flags & CR_IMG_SIGSTATE_RESTORE_MASK))
		return cr_fail(ctx, -EINVAL, "record %u: signal mask: unused field", rec->index);
	if (altstack_bad(img))
		return cr_fail(ctx, -EINVAL, "record %u: bad alternate signal stack", rec->index);
	return 0;
}

/**
 * cr_sigstate_restore() - signal mask and alternate stack
 * @ctx: the restart
 * @t: the thread, current
 * @rec: CR_IMG_SIGSTATE
 *
 * Return: 0; -EINVAL if the CPU needs a larger alternate stack.
 */
int cr_sigstate_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_sigstate *img = rec->data;
	sigset_t set;
	bool fits = true;

	spin_lock_irq(&cr_sighand()->siglock);
	if (img->altstack_size)
		fits = sigaltstack_size_valid(img->altstack_size);
	current->sas_ss_sp = img->altstack_sp;
	current->sas_ss_size = img->altstack_size;
	current->sas_ss_flags = img->altstack_flags;
	spin_unlock_irq(&cr_sighand()->siglock);
	if (!fits)
		return cr_fail(ctx, -EINVAL,
			       "pid %d: alternate signal stack of %llu bytes is too small here",
			       t->tid, img->altstack_size);

	set_mask(&set, img->blocked);
	set_current_blocked(&set);
	if (img->flags & CR_IMG_SIGSTATE_RESTORE_MASK) {
		set_mask(&current->saved_sigmask, img->saved_mask);
		set_restore_sigmask();
	}
	return 0;
}

/* ---- pending signals ---- */

/* Bytes in the image for one pending signal. */
#define CR_SIGINFO_ROOM	ALIGN(sizeof(struct cr_img_rec) + sizeof(struct cr_img_siginfo), 8)

static size_t room_needed(struct sigpending *pending)
{
	/* Each signal may also be pending without an entry in the queue. */
	return (list_count_nodes(&pending->list) + _NSIG) * CR_SIGINFO_ROOM;
}

static int add_siginfo(struct cr_ctx *ctx, u32 type, u32 id, u32 signo,
		       const struct kernel_siginfo *info)
{
	struct cr_img_siginfo *img = cr_rec_get(ctx, type, id, sizeof(*img));

	if (!img)
		return ctx->err;
	img->signo = signo;
	if (info) {
		img->has_info = 1;
		memcpy(img->info, info, sizeof(img->info));
	}
	cr_rec_put(ctx, img, sizeof(*img));
	return 0;
}

static int dump_queue(struct cr_ctx *ctx, struct sigpending *pending, u32 type, u32 id)
{
	u64 rest = pending->signal.sig[0];
	struct sigqueue *q;
	int sig;

	list_for_each_entry(q, &pending->list, list) {
		if (add_siginfo(ctx, type, id, q->info.si_signo, &q->info))
			return ctx->err;
		rest &= ~sigmask(q->info.si_signo);
	}
	/* SIGKILL is for this process, not for its copy. */
	rest &= ~sigmask(SIGKILL);
	for (sig = 1; sig <= _NSIG; sig++)
		if ((rest & sigmask(sig)) && add_siginfo(ctx, type, id, sig, NULL))
			return ctx->err;
	return 0;
}

/* The tree is frozen, but others may go on to send signals to it. */
static int dump_pending(struct cr_ctx *ctx, struct cr_task *t, bool shared, u32 id,
			struct cr_img_itimer *itimer)
{
	struct task_struct *task = t->task;
	struct sigpending *pending = shared ? &task->signal->shared_pending : &task->pending;
	u32 type = shared ? CR_IMG_SIGINFO_SHARED : CR_IMG_SIGINFO;
	size_t need = _NSIG * CR_SIGINFO_ROOM, room;
	struct sighand_struct *sighand;
	unsigned long flags;

	do {
		room = need;
		if (cr_hbuf_reserve(&ctx->hb, room))
			return cr_fail(ctx, ctx->hb.err, "no memory for pending signals");
		sighand = lock_task_sighand(task, &flags);
		if (!sighand)
			return cr_task_gone(ctx, t);
		need = room_needed(pending);
		if (need > room)
			spin_unlock_irqrestore(&sighand->siglock, flags);
	} while (need > room);

	dump_queue(ctx, pending, type, id);
	if (itimer)
		cr_itimer_read(task, itimer);
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return ctx->err;
}

/**
 * cr_siginfo_shared_dump() - record pending signals and timers of a process
 * @ctx: the checkpoint
 * @obj: struct cr_task of its leader
 * @id: object id of the process
 *
 * Also writes CR_IMG_ITIMER.
 *
 * Return: 0 or -errno as told.
 */
int cr_siginfo_shared_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_img_itimer itimer = {};
	struct cr_task *t = obj;

	if (t->hold == CR_HOLD_ZOMBIE)
		return 0;
	if (dump_pending(ctx, t, true, id, &itimer))
		return ctx->err;
	return cr_rec_add(ctx, CR_IMG_ITIMER, id, &itimer, sizeof(itimer));
}

/**
 * cr_siginfo_dump() - record the signals that are pending for a thread
 * @ctx: the checkpoint
 * @obj: its struct cr_task
 * @id: object id of the thread
 *
 * Return: 0 or -errno as told.
 */
int cr_siginfo_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_task *t = obj;

	if (t->hold == CR_HOLD_ZOMBIE)
		return 0;
	return dump_pending(ctx, t, false, id, NULL);
}

/**
 * cr_siginfo_check() - check a pending signal
 * @ctx: the restart
 * @rec: CR_IMG_SIGINFO or CR_IMG_SIGINFO_SHARED
 *
 * A process may send itself any siginfo (rt_sigqueueinfo), so it is not looked
 * into; the kernel only copies it to user space.
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_siginfo_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_siginfo *img = rec->data;
	const struct kernel_siginfo *info = (const void *)img->info;

	if (!img->signo || img->signo > _NSIG || img->signo == SIGKILL || img->has_info > 1)
		return cr_fail(ctx, -EINVAL, "record %u: bad pending signal %u",
			       rec->index, img->signo);
	if (img->has_info ? info->si_signo != img->signo :
			    !!memchr_inv(img->info, 0, sizeof(img->info)))
		return cr_fail(ctx, -EINVAL, "record %u: siginfo is not of signal %u",
			       rec->index, img->signo);
	return 0;
}

/*
 * Put the signal into the queue as it was. Sending it would let the kernel
 * decide about it now, with masks of other threads that are not restored yet.
 */
static int queue_signal(struct cr_ctx *ctx, struct cr_task *t, struct sigpending *pending,
			const struct cr_img_siginfo *img)
{
	struct sigqueue *q = NULL;

	if (img->has_info) {
		q = sigqueue_alloc();
		if (!q)
			return cr_fail(ctx, -EAGAIN,
				       "pid %d: pending signal %u: no memory, or RLIMIT_SIGPENDING",
				       t->tid, img->signo);
		/* Not that of a timer: it is freed when it is delivered. */
		q->flags = 0;
		memcpy(&q->info, img->info, sizeof(q->info));
	}
	spin_lock_irq(&cr_sighand()->siglock);
	if (q)
		list_add_tail(&q->list, &pending->list);
	sigaddset(&pending->signal, img->signo);
	spin_unlock_irq(&cr_sighand()->siglock);
	return 0;
}

/**
 * cr_siginfo_shared_restore() - a pending signal of the process
 * @ctx: the restart
 * @t: leader of the process, current
 * @rec: CR_IMG_SIGINFO_SHARED
 *
 * Return: 0 or -EAGAIN as told.
 */
int cr_siginfo_shared_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	return queue_signal(ctx, t, &current->signal->shared_pending, rec->data);
}

/**
 * cr_siginfo_restore() - a pending signal of the thread
 * @ctx: the restart
 * @t: the thread, current
 * @rec: CR_IMG_SIGINFO
 *
 * Return: 0 or -EAGAIN as told.
 */
int cr_siginfo_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	return queue_signal(ctx, t, &current->pending, rec->data);
}
