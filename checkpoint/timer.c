// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: interval timers, and system calls with a timeout that are
 * continued.
 *
 * Saved: time left and interval of ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF;
 * what nanosleep(), clock_nanosleep(), poll(), epoll_wait() and futex() with
 * FUTEX_WAIT keep in the restart block of a thread. The time left is that of the freeze: time
 * does not pass for the copy while it is an image.
 *
 * Refused: other restart blocks (clock_nanosleep() on a CPU time or alarm
 * clock). POSIX timers are refused in refuse.c. The time left on a clock that
 * a copy reads itself may disagree with it, as after a suspend.
 *
 * Locking: siglock around interval timers.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/poll.h>
#include <linux/posix-timers.h>
#include <linux/restart_block.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

#include "../kernel/futex/futex.h"
#include "objects.h"

/* ---- interval timers ---- */

static void read_cpu_timer(struct task_struct *task, unsigned int clock,
			   struct cr_img_itimer *img, unsigned int i)
{
	struct cpu_itimer *it = &task->signal->it[clock];
	u64 samples[CPUCLOCK_MAX];

	img->timer[i].interval_ns = it->incr;
	if (!it->expires)
		return;
	thread_group_sample_cputime(task, samples);
	img->timer[i].value_ns = it->expires > samples[clock] ?
				 it->expires - samples[clock] : 1;
}

/**
 * cr_itimer_read() - read the interval timers of a process
 * @task: any thread of it
 * @img: zeroed
 *
 * Context: siglock is held, so ITIMER_REAL cannot send its signal meanwhile.
 */
void cr_itimer_read(struct task_struct *task, struct cr_img_itimer *img)
{
	struct signal_struct *signal = task->signal;
	s64 left;

	img->timer[ITIMER_REAL].interval_ns = signal->it_real_incr;
	if (hrtimer_active(&signal->real_timer)) {
		left = ktime_to_ns(hrtimer_get_remaining(&signal->real_timer));
		/* About to expire: in the copy it does so at once. */
		img->timer[ITIMER_REAL].value_ns = max(left, 1);
	}
	read_cpu_timer(task, CPUCLOCK_VIRT, img, ITIMER_VIRTUAL);
	read_cpu_timer(task, CPUCLOCK_PROF, img, ITIMER_PROF);
}

/**
 * cr_itimer_check() - check interval timers
 * @ctx: the restart
 * @rec: CR_IMG_ITIMER
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_itimer_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_itimer *img = rec->data;
	unsigned int i;

	/* Half of the range: adding the time that it is now cannot overflow. */
	for (i = 0; i < ARRAY_SIZE(img->timer); i++)
		if (img->timer[i].value_ns > KTIME_MAX || img->timer[i].interval_ns > KTIME_MAX)
			return cr_fail(ctx, -EINVAL, "record %u: interval timer %u out of range",
				       rec->index, i);
	return 0;
}

static void restore_cpu_timer(unsigned int clock, u64 value, u64 interval)
{
	struct cpu_itimer *it = &current->signal->it[clock];
	u64 old = 0;

	/* Makes an absolute time of it. */
	if (value)
		set_process_cpu_timer(current, clock, &value, &old);
	it->expires = value;
	it->incr = interval;
}

/**
 * cr_itimer_restore() - interval timers
 * @ctx: the restart
 * @t: leader of the process, current
 * @rec: CR_IMG_ITIMER
 *
 * Return: 0.
 */
int cr_itimer_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_itimer *img = rec->data;
	u64 value = img->timer[ITIMER_REAL].value_ns;

	spin_lock_irq(&cr_sighand()->siglock);
	/* Without a value it begins again when the pending SIGALRM is taken. */
	current->signal->it_real_incr = img->timer[ITIMER_REAL].interval_ns;
	if (value)
		hrtimer_start(&current->signal->real_timer, value, HRTIMER_MODE_REL);
	restore_cpu_timer(CPUCLOCK_VIRT, img->timer[ITIMER_VIRTUAL].value_ns,
			  img->timer[ITIMER_VIRTUAL].interval_ns);
	restore_cpu_timer(CPUCLOCK_PROF, img->timer[ITIMER_PROF].value_ns,
			  img->timer[ITIMER_PROF].interval_ns);
	spin_unlock_irq(&cr_sighand()->siglock);
	return 0;
}

/* ---- system calls that are continued ---- */

/* A futex restart block that futex_wait() can have made has these flags. */
#define CR_FUTEX_FLAGS	(FLAGS_SIZE_32 | FLAGS_SHARED | FLAGS_CLOCKRT | FLAGS_HAS_TIMEOUT)

static bool clock_ok(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC ||
	       clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
}

static s64 clock_now(clockid_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
		return ktime_get_real_ns();
	case CLOCK_BOOTTIME:
		return ktime_get_boottime_ns();
	case CLOCK_TAI:
		return ktime_get_clocktai_ns();
	default:
		return ktime_get_ns();
	}
}

/* Time left until @expires at the freeze. */
static s64 time_left(struct cr_ctx *ctx, clockid_t clock, s64 expires)
{
	s64 frozen_for = ktime_get_ns() - ctx->monotonic_ns;

	return expires - (clock_now(clock) - frozen_for);
}

static s64 time_end(clockid_t clock, s64 left)
{
	s64 now = clock_now(clock);

	return left > 0 ? ktime_add_safe(now, left) : now;
}

static clockid_t futex_clock(u32 flags)
{
	return flags & FLAGS_CLOCKRT ? CLOCK_REALTIME : CLOCK_MONOTONIC;
}

/*
 * May the block be used, now or by the restart_syscall() that comes next? The
 * number of that is in its register already, and the task may have been in user
 * mode for the moment before it calls it.
 */
static bool uses_block(struct task_struct *task)
{
	struct pt_regs *regs = task_pt_regs(task);

	if (syscall_get_return_value(task, regs) == __NR_restart_syscall)
		return true;
	return syscall_get_nr(task, regs) != -1 &&
	       syscall_get_error(task, regs) == -ERESTART_RESTARTBLOCK;
}

static void fill_poll(struct cr_ctx *ctx, const struct restart_block *rb,
		      struct cr_img_restart_block *img)
{
	struct timespec64 end = { rb->poll.tv_sec, rb->poll.tv_nsec };

	img->kind = CR_IMG_RESTART_POLL;
	img->clockid = CLOCK_MONOTONIC;
	img->uaddr = (unsigned long)rb->poll.ufds;
	img->val = rb->poll.nfds;
	img->has_timeout = !!rb->poll.has_timeout;
	if (img->has_timeout)
		img->remaining_ns = time_left(ctx, CLOCK_MONOTONIC, timespec64_to_ns(&end));
}

static void fill_futex(struct cr_ctx *ctx, const struct restart_block *rb,
		       struct cr_img_restart_block *img)
{
	img->kind = CR_IMG_RESTART_FUTEX;
	img->clockid = futex_clock(rb->futex.flags);
	img->uaddr = (unsigned long)rb->futex.uaddr;
	img->val = rb->futex.val;
	img->flags = rb->futex.flags;
	img->bitset = rb->futex.bitset;
	img->has_timeout = 1;
	img->remaining_ns = time_left(ctx, img->clockid, rb->futex.time);
}

static void fill_nanosleep(struct cr_ctx *ctx, const struct restart_block *rb,
			   struct cr_img_restart_block *img)
{
	img->kind = CR_IMG_RESTART_NANOSLEEP;
	img->clockid = rb->nanosleep.clockid;
	if (rb->nanosleep.type == TT_NATIVE)
		img->uaddr = (unsigned long)rb->nanosleep.rmtp;
	img->has_timeout = 1;
	img->remaining_ns = time_left(ctx, img->clockid, rb->nanosleep.expires);
}

/**
 * cr_restart_block_dump() - record what an interrupted system call goes on with
 * @ctx: the checkpoint
 * @obj: struct cr_task of the thread
 * @id: object id of the thread
 *
 * Return: 0, or -EOPNOTSUPP as told.
 */
int cr_restart_block_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_task *t = obj;
	const struct restart_block *rb = &t->task->restart_block;
	struct cr_img_restart_block img = {};

	if (t->hold == CR_HOLD_ZOMBIE || t->hold == CR_HOLD_CALLER || !uses_block(t->task))
		return 0;
	if (rb->fn == do_no_restart_syscall)
		return 0;
	if (rb->fn == hrtimer_nanosleep_restart)
		fill_nanosleep(ctx, rb, &img);
	else if (rb->fn == futex_wait_restart)
		fill_futex(ctx, rb, &img);
	else if (rb->fn == do_restart_poll)
		fill_poll(ctx, rb, &img);
	else if (!cr_epoll_wait_dump(ctx, rb, &img))
		return cr_fail(ctx, -EOPNOTSUPP,
			       "pid %d (%s): interrupted system call that continues with %ps: not supported",
			       t->tid, t->task->comm, rb->fn);
	return cr_rec_add(ctx, CR_IMG_RESTART_BLOCK, id, &img, sizeof(img));
}

static bool block_bad(const struct cr_img_restart_block *img)
{
	/* What a futex alone has. */
	bool futex = img->kind == CR_IMG_RESTART_FUTEX;

	if (img->has_timeout > 1 || (!img->has_timeout && img->remaining_ns))
		return true;
	if (!futex && (img->flags || img->bitset))
		return true;
	if (img->epfd || img->has_sigmask || img->sigmask)
		return true;
	switch (img->kind) {
	case CR_IMG_RESTART_NANOSLEEP:
		return !clock_ok(img->clockid) || !img->has_timeout || img->val;
	case CR_IMG_RESTART_FUTEX:
		return (img->flags & ~CR_FUTEX_FLAGS) || !(img->flags & FLAGS_HAS_TIMEOUT) ||
		       (img->flags & FLAGS_SIZE_MASK) != FLAGS_SIZE_32 ||
		       img->clockid != futex_clock(img->flags) ||
		       !img->has_timeout || !img->bitset;
	case CR_IMG_RESTART_POLL:
		/* The call itself compares it with RLIMIT_NOFILE. */
		return img->clockid != CLOCK_MONOTONIC || img->val > INT_MAX;
	}
	return true;
}

/**
 * cr_restart_block_check() - check what an interrupted system call goes on with
 * @ctx: the restart
 * @rec: CR_IMG_RESTART_BLOCK
 *
 * User pointers may be anything: the calls check them when they use them.
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_restart_block_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_restart_block *img = rec->data;

	if (img->kind == CR_IMG_RESTART_EPOLL)
		return cr_epoll_wait_check(ctx, img);
	if (block_bad(img))
		return cr_fail(ctx, -EINVAL, "record %u: bad restart of a system call",
			       rec->index);
	return 0;
}

static void restore_poll(const struct cr_img_restart_block *img, struct restart_block *rb)
{
	struct timespec64 end;

	rb->poll.ufds = (struct pollfd __user *)(unsigned long)img->uaddr;
	rb->poll.nfds = img->val;
	rb->poll.has_timeout = img->has_timeout;
	if (img->has_timeout) {
		end = ns_to_timespec64(time_end(CLOCK_MONOTONIC, img->remaining_ns));
		rb->poll.tv_sec = end.tv_sec;
		rb->poll.tv_nsec = end.tv_nsec;
	}
	rb->fn = do_restart_poll;
}

static void restore_futex(const struct cr_img_restart_block *img, struct restart_block *rb)
{
	rb->futex.uaddr = (u32 __user *)(unsigned long)img->uaddr;
	rb->futex.val = img->val;
	rb->futex.flags = img->flags;
	rb->futex.bitset = img->bitset;
	rb->futex.time = time_end(img->clockid, img->remaining_ns);
	rb->fn = futex_wait_restart;
}

static void restore_nanosleep(const struct cr_img_restart_block *img,
			      struct restart_block *rb)
{
	rb->nanosleep.clockid = img->clockid;
	rb->nanosleep.type = img->uaddr ? TT_NATIVE : TT_NONE;
	rb->nanosleep.rmtp = (struct __kernel_timespec __user *)(unsigned long)img->uaddr;
	rb->nanosleep.expires = time_end(img->clockid, img->remaining_ns);
	rb->fn = hrtimer_nanosleep_restart;
}

/**
 * cr_restart_block_restore() - what the interrupted system call goes on with
 * @ctx: the restart
 * @t: the thread, current
 * @rec: CR_IMG_RESTART_BLOCK
 *
 * A thread without such a record has do_no_restart_syscall() since it was made.
 *
 * Return: 0.
 */
int cr_restart_block_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_restart_block *img = rec->data;
	struct restart_block *rb = &current->restart_block;

	/* arch_data is zero: the call was not one of 32-bit code. */
	memset(rb, 0, sizeof(*rb));
	switch (img->kind) {
	case CR_IMG_RESTART_NANOSLEEP:
		restore_nanosleep(img, rb);
		break;
	case CR_IMG_RESTART_FUTEX:
		restore_futex(img, rb);
		break;
	case CR_IMG_RESTART_EPOLL:
		cr_epoll_wait_restore(img);
		break;
	default:
		restore_poll(img, rb);
		break;
	}
	return 0;
}
