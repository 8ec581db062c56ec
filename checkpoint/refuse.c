// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: what a process may not have or be.
 *
 * Saved: nothing. Refused, by name: a tracer or a tracee; seccomp; POSIX
 * timers; io_uring; perf events; probes; System V semaphore undo lists; held
 * PI futexes with waiters; namespaces other than those of the tree's root;
 * memory, descriptors, root directory or signal handlers that are shared
 * between processes, or not shared between threads; a vfork() child that has
 * not called execve(); a main thread that ended before the others; a core dump
 * in progress; memory policies, core scheduling and the like.
 *
 * Not kept and not refused, because nothing in the process depends on it or
 * because it belongs to where the tree is restarted: cgroups, keyrings, audit
 * session, used CPU time, autogroup.
 *
 * Locking: the tree is frozen, so what only a task itself changes is stable.
 * A task that is stopped by job control may still be killed; so siglock,
 * task_lock() and RCU are taken as for any other task, one at a time.
 */
#include <linux/fdtable.h>
#include <linux/fs_struct.h>
#include <linux/io_uring_types.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/oom.h>
#include <linux/perf_event.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seccomp.h>
#include <linux/sem.h>
#include <linux/uprobes.h>

#include "internal.h"

/* What prctl(PR_SET_IO_FLUSHER) sets. */
#define CR_IO_FLUSHER	(PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE)

static int refuse(struct cr_ctx *ctx, struct cr_task *t, const char *what)
{
	return cr_fail(ctx, -EOPNOTSUPP, "pid %d (%s): %s: not supported",
		       t->tid, t->task->comm, what);
}

static const struct {
	const char *name;
	size_t offset;
} namespaces[] = {
	{ "UTS namespace",		offsetof(struct nsproxy, uts_ns) },
	{ "IPC namespace",		offsetof(struct nsproxy, ipc_ns) },
	{ "mount namespace",		offsetof(struct nsproxy, mnt_ns) },
	{ "PID namespace for children",	offsetof(struct nsproxy, pid_ns_for_children) },
	{ "network namespace",		offsetof(struct nsproxy, net_ns) },
	{ "time namespace",		offsetof(struct nsproxy, time_ns) },
	{ "time namespace for children", offsetof(struct nsproxy, time_ns_for_children) },
	{ "cgroup namespace",		offsetof(struct nsproxy, cgroup_ns) },
};

static const void *ns_of(const struct nsproxy *ns, unsigned int i)
{
	return *(const void **)((const char *)ns + namespaces[i].offset);
}

/* With a reference; NULL if the task has exited. */
static struct nsproxy *get_namespaces(struct task_struct *task)
{
	struct nsproxy *ns;

	task_lock(task);
	ns = task->nsproxy;
	if (ns)
		get_nsproxy(ns);
	task_unlock(task);
	return ns;
}

static const char *other_ns(struct cr_ctx *ctx, const struct nsproxy *ns,
			    const struct nsproxy *root)
{
	unsigned int i;

	if (ns->pid_ns_for_children != ctx->pid_ns)
		return "PID namespace for children";
	if (ns->time_ns != ns->time_ns_for_children)
		return "time namespace for children";
	if (ns == root)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(namespaces); i++)
		if (ns_of(ns, i) != ns_of(root, i))
			return namespaces[i].name;
	return NULL;
}

static int refuse_namespaces(struct cr_ctx *ctx, struct cr_task *t)
{
	struct task_struct *task = t->task;
	struct nsproxy *ns = get_namespaces(task), *root = get_namespaces(ctx->root->task);
	struct pid_namespace *pid_ns = task_active_pid_ns(task);
	bool gone = !ns || !root || !pid_ns;
	const char *what = gone ? NULL : other_ns(ctx, ns, root);

	if (ns)
		put_nsproxy(ns);
	if (root)
		put_nsproxy(root);
	if (gone)
		return cr_task_gone(ctx, t);
	if (pid_ns != ctx->pid_ns)
		return refuse(ctx, t, "nested PID namespace");
	if (what)
		return cr_fail(ctx, -EOPNOTSUPP,
			       "pid %d (%s): %s differs from that of the tree's root: not supported",
			       t->tid, task->comm, what);
	return 0;
}

#ifdef CONFIG_UPROBES
/* Of a task that is not parked but stopped it may be freed at any time. */
static bool is_probed(struct cr_task *t)
{
	struct uprobe_task *utask = t->task->utask;

	if (!utask || t->hold == CR_HOLD_STOPPED)
		return utask;
	return utask->active_uprobe || utask->return_instances;
}
#endif

/* What other parts of the kernel watch or drive the task with. */
static const char *watched(struct cr_task *t)
{
	struct task_struct *task = t->task;

	if (task->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER))
		return "kernel thread";
	if (task->ptrace)
		return "being traced (ptrace)";
	if (!list_empty_careful(&task->ptraced))
		return "tracing another process (ptrace)";
#ifdef CONFIG_SECCOMP
	if (task->seccomp.mode)
		return "seccomp";
#endif
#ifdef CONFIG_IO_URING
	if (task->io_uring && !xa_empty(&task->io_uring->xa))
		return "io_uring";
#endif
#ifdef CONFIG_PERF_EVENTS
	if (!list_empty_careful(&task->perf_event_list))
		return "perf events";
#endif
#ifdef CONFIG_UPROBES
	if (is_probed(t))
		return "user space probe (uprobes)";
#endif
	return NULL;
}

/* State that the kernel keeps for the task itself, and gives to its children. */
static const char *has_attribute(struct task_struct *task)
{
#ifdef CONFIG_SCHED_CORE
	if (task->core_cookie)
		return "core scheduling (PR_SCHED_CORE)";
#endif
#ifdef CONFIG_NUMA
	if (task->mempolicy)
		return "memory policy (set_mempolicy)";
#endif
#ifdef CONFIG_UCLAMP_TASK
	if (task->uclamp_req[UCLAMP_MIN].user_defined ||
	    task->uclamp_req[UCLAMP_MAX].user_defined)
		return "utilization clamps (sched_setattr)";
#endif
	/* The one who calls checkpoint() may be in a scope that sets one of them. */
	if ((task->flags & CR_IO_FLUSHER) == CR_IO_FLUSHER)
		return "PR_SET_IO_FLUSHER";
	if (task->flags & PF_MCE_PROCESS)
		return "PR_MCE_KILL";
	return NULL;
}

static const char *has_state(struct task_struct *task)
{
	if (sem_has_undo(task))
		return "System V semaphore with SEM_UNDO";
#ifdef CONFIG_FUTEX
	if (!list_empty_careful(&task->pi_state_list))
		return "PI futex with waiters";
#endif
	return has_attribute(task);
}

/**
 * cr_caller_refuse() - refuse what restored tasks would have from the caller
 * @ctx: the restart
 *
 * They are born as its copies, and no image can tell them to be without it.
 *
 * Return: 0, or -EOPNOTSUPP as told.
 */
int cr_caller_refuse(struct cr_ctx *ctx)
{
	const char *what = has_attribute(current);

	if (!what)
		what = cr_arch_inherited(current);
	if (!what)
		return 0;
	return cr_fail(ctx, -EOPNOTSUPP,
		       "the caller of restart() has %s, which the restored would inherit: not supported",
		       what);
}

static int refuse_thread(struct cr_ctx *ctx, struct cr_task *t)
{
	struct task_struct *leader = t->leader->task, *task = t->task;
	const char *what = watched(t);

	if (!what)
		what = has_state(task);
	if (!what && task->files != leader->files)
		what = "descriptors that are not shared with the other threads";
	if (!what && task->fs != leader->fs)
		what = "working directory that is not shared with the other threads";
	if (what)
		return refuse(ctx, t, what);
	return refuse_namespaces(ctx, t);
}

/* A process outside of the group of @task that uses @mm, or 0. */
static pid_t mm_sharer(struct cr_ctx *ctx, struct task_struct *task, struct mm_struct *mm)
{
	struct task_struct *p;
	pid_t pid = 0;

	rcu_read_lock();
	for_each_process(p) {
		if (same_thread_group(p, task) || (p->flags & PF_KTHREAD) ||
		    !process_shares_mm(p, mm))
			continue;
		pid = task_pid_nr_ns(p, ctx->pid_ns) ?: -1;
		break;
	}
	rcu_read_unlock();
	return pid;
}

static int refuse_shared_mm(struct cr_ctx *ctx, struct cr_task *t)
{
	pid_t pid = 0;

	/* Others than tasks hold references too; look only if one may be a task. */
	if (atomic_read(&t->mm->mm_users) - 1 > get_nr_threads(t->task))
		pid = mm_sharer(ctx, t->task, t->mm);
	if (pid)
		return cr_fail(ctx, -EOPNOTSUPP,
			       "pid %d (%s): memory shared with pid %d (CLONE_VM): not supported",
			       t->tid, t->task->comm, pid);
	return 0;
}

/* By another process, descriptors or directories; the task_lock of @task is held. */
static const char *used_outside(struct task_struct *task)
{
	struct task_struct *p, *other;
	const char *what = NULL;

	rcu_read_lock();
	for_each_process_thread(p, other) {
		if (same_thread_group(other, task))
			continue;
		if (task->files && READ_ONCE(other->files) == task->files)
			what = "descriptors shared with another process (CLONE_FILES)";
		else if (task->fs && READ_ONCE(other->fs) == task->fs)
			what = "working directory shared with another process (CLONE_FS)";
		/* break would leave the inner of its two loops only */
		if (what)
			goto out;
	}
out:
	rcu_read_unlock();
	return what;
}

/*
 * Shared with another process. This checkpoint holds references to files and
 * directories, and another one or a rollback may as well: look only if one may
 * be of a task.
 */
static const char *shared_outside(struct cr_task *t)
{
	struct task_struct *task = t->task;
	struct sighand_struct *sighand;
	const char *what = NULL;
	unsigned long flags;
	int nr = get_nr_threads(task);

	task_lock(task);
	if (atomic_read(&t->files->count) - 1 > nr || t->fs->users - 1 > nr)
		what = used_outside(task);
	task_unlock(task);
	if (what)
		return what;

	sighand = lock_task_sighand(task, &flags);
	if (!sighand)
		return NULL;
	if (refcount_read(&sighand->count) > nr)
		what = "signal handlers shared with another process (CLONE_SIGHAND)";
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return what;
}

/**
 * cr_process_refuse() - refuse what cannot be restored, before it is dumped
 * @ctx: the checkpoint
 * @t: leader of a process
 *
 * Return: 0, or -EOPNOTSUPP as told.
 */
int cr_process_refuse(struct cr_ctx *ctx, struct cr_task *t)
{
	struct signal_struct *signal = t->task->signal;
	struct cr_task *thread;
	const char *what;

	if (t->hold == CR_HOLD_ZOMBIE) {
		if (t->task->ptrace)
			return refuse(ctx, t, "being traced (ptrace)");
		if (t->nr_threads > 1)
			return refuse(ctx, t, "main thread that ended before the others");
		return 0;
	}
	if (t->task->vfork_done)
		return refuse(ctx, t, "vfork() child before its execve()");
	if (signal->core_state)
		return refuse(ctx, t, "core dump in progress");
	if (t->task->exit_signal > _NSIG)
		return refuse(ctx, t, "signal at exit that there is not (clone)");
	if (!hlist_empty(&signal->posix_timers))
		return refuse(ctx, t, "POSIX timer (timer_create)");
	if (refuse_thread(ctx, t))
		return ctx->err;
	list_for_each_entry(thread, &t->threads, sibling)
		if (refuse_thread(ctx, thread))
			return ctx->err;
	if (refuse_shared_mm(ctx, t))
		return ctx->err;
	what = shared_outside(t);
	return what ? refuse(ctx, t, what) : 0;
}
