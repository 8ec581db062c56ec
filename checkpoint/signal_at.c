// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: a signal at the N-th moment, to test what it does.
 *
 * debugfs has a file checkpoint/signal_at. Written to it:
 *
 *	N SIGNAL PID
 *
 * Of the trace events checkpoint_phase, checkpoint_object and restart_object the
 * N-th from now on sends SIGNAL, once, to the thread PID of the writer's PID
 * namespace; with 0 as PID to the thread that the event happens in. Only events
 * in the process of the writer and in its descendants count, so what others do
 * at the same time changes nothing: restored tasks are children of who restarts.
 * What is read tells what became of it, in one line:
 *
 *	off				nothing was written yet
 *	armed SEEN			after SEEN events it has not come to it
 *	sent N PID EVENT WHAT		at this one; WHAT is the phase or the kind of
 *					object, PID who got the signal
 *	missed N PID EVENT WHAT		there was no such thread then
 *
 * Every opening of the file is one of its own, and what belongs to it goes when
 * it is closed: there is no more of them than root has open files. It holds the
 * struct pid of the writer, which keeps nothing but its number and namespace.
 *
 * Context: the probes run where the trace events are called, in process context
 * with preemption off. No lock is held there inside of which a siglock could not
 * be taken, so the signal is sent at once.
 *
 * Locks: signal_at.lock, alone.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <trace/events/checkpoint.h>

#include "internal.h"

/* Of what is written, and of what is read. */
#define LINE_MAX	128

enum state { OFF, ARMED, SENDING, SENT, MISSED };

/**
 * struct signal_at - one signal to be sent
 * @lock: protects all of it
 * @state: ARMED until the event comes, SENDING for the one who found it
 * @nr: number of the event at which to send
 * @seen: events so far
 * @sig: signal
 * @to: thread, in the writer's PID namespace; 0: where the event happens. When it
 *	was sent: who got it
 * @writer: process whose events count, with a reference; NULL if @state is OFF
 * @event: the trace event at which it was sent
 * @what: name of the phase, or kind of object, in the table
 */
struct signal_at {
	spinlock_t lock;	/* for all that follows */
	enum state state;
	unsigned int nr;
	unsigned int seen;
	int sig;
	pid_t to;
	struct pid *writer;
	const char *event;
	const char *what;
};

/* Does current belong to @writer? RCU keeps the ancestors. */
static bool descends_from(struct pid *writer)
{
	struct task_struct *task;
	bool found = false;

	rcu_read_lock();
	for (task = current; task->pid && !found; task = rcu_dereference(task->real_parent))
		found = task_tgid(task) == writer;
	rcu_read_unlock();
	return found;
}

/* Is it now? Then nobody else may touch @sa until sent() was called. */
static bool is_due(struct signal_at *sa, const char *event, const char *what)
{
	bool due = false;

	spin_lock(&sa->lock);
	if (sa->state == ARMED && descends_from(sa->writer)) {
		due = ++sa->seen == sa->nr;
		if (due) {
			sa->state = SENDING;
			sa->event = event;
			sa->what = what;
		}
	}
	spin_unlock(&sa->lock);
	return due;
}

static void sent(struct signal_at *sa, pid_t to, bool ok)
{
	spin_lock(&sa->lock);
	sa->to = to;
	sa->state = ok ? SENT : MISSED;
	spin_unlock(&sa->lock);
}

static void at_event(struct signal_at *sa, const char *event, const char *what)
{
	struct task_struct *task = current;
	struct pid_namespace *ns;
	bool ok = false;
	pid_t to;

	if (!is_due(sa, event, what))
		return;
	ns = ns_of_pid(sa->writer);
	to = sa->to;
	rcu_read_lock();
	if (to)
		task = pid_task(find_pid_ns(to, ns), PIDTYPE_PID);
	else
		to = task_pid_nr_ns(task, ns);
	if (task)
		ok = !do_send_sig_info(sa->sig, SEND_SIG_PRIV, task, PIDTYPE_PID);
	rcu_read_unlock();
	sent(sa, to, ok);
}

static void at_phase(void *data, pid_t pid, int phase, u64 ns)
{
	at_event(data, "checkpoint_phase", cr_phase_names[phase]);
}

static void at_dump(void *data, u32 id, const char *name)
{
	at_event(data, "checkpoint_object", name);
}

static void at_restore(void *data, u32 id, const char *name, pid_t tid)
{
	at_event(data, "restart_object", name);
}

static int add_probes(struct signal_at *sa)
{
	int err;

	err = register_trace_checkpoint_phase(at_phase, sa);
	if (err)
		return err;
	err = register_trace_checkpoint_object(at_dump, sa);
	if (err)
		goto no_dump;
	err = register_trace_restart_object(at_restore, sa);
	if (err)
		goto no_restore;
	return 0;

no_restore:
	unregister_trace_checkpoint_object(at_dump, sa);
no_dump:
	unregister_trace_checkpoint_phase(at_phase, sa);
	tracepoint_synchronize_unregister();
	return err;
}

static int signal_at_open(struct inode *inode, struct file *file)
{
	struct signal_at *sa = kzalloc(sizeof(*sa), GFP_KERNEL_ACCOUNT);
	int err;

	if (!sa)
		return -ENOMEM;
	spin_lock_init(&sa->lock);
	err = add_probes(sa);
	if (err) {
		kfree(sa);
		return err;
	}
	file->private_data = sa;
	return 0;
}

static int signal_at_release(struct inode *inode, struct file *file)
{
	struct signal_at *sa = file->private_data;

	unregister_trace_restart_object(at_restore, sa);
	unregister_trace_checkpoint_object(at_dump, sa);
	unregister_trace_checkpoint_phase(at_phase, sa);
	tracepoint_synchronize_unregister();
	put_pid(sa->writer);
	kfree(sa);
	return 0;
}

static ssize_t signal_at_write(struct file *file, const char __user *buf, size_t count,
			       loff_t *ppos)
{
	struct signal_at *sa = file->private_data;
	struct pid *writer;
	char line[LINE_MAX];
	unsigned int nr;
	bool busy;
	int sig;
	pid_t to;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, count))
		return -EFAULT;
	line[count] = '\0';
	if (sscanf(line, "%u %d %d", &nr, &sig, &to) != 3)
		return -EINVAL;
	if (!nr || sig < 1 || !valid_signal(sig) || to < 0)
		return -EINVAL;

	writer = get_pid(task_tgid(current));
	spin_lock(&sa->lock);
	busy = sa->state == SENDING;
	if (!busy) {
		swap(sa->writer, writer);
		sa->state = ARMED;
		sa->nr = nr;
		sa->seen = 0;
		sa->sig = sig;
		sa->to = to;
	}
	spin_unlock(&sa->lock);
	put_pid(writer);
	return busy ? -EBUSY : count;
}

static ssize_t signal_at_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)
{
	struct signal_at *sa = file->private_data;
	char line[LINE_MAX];
	int len;

	spin_lock(&sa->lock);
	if (sa->state == OFF)
		len = scnprintf(line, sizeof(line), "off\n");
	else if (sa->state == ARMED || sa->state == SENDING)
		len = scnprintf(line, sizeof(line), "armed %u\n", sa->seen);
	else
		len = scnprintf(line, sizeof(line), "%s %u %d %s %s\n",
				sa->state == SENT ? "sent" : "missed", sa->seen, sa->to,
				sa->event, sa->what);
	spin_unlock(&sa->lock);
	return simple_read_from_buffer(buf, count, ppos, line, len);
}

static const struct file_operations signal_at_fops = {
	.owner		= THIS_MODULE,
	.open		= signal_at_open,
	.release	= signal_at_release,
	.read		= signal_at_read,
	.write		= signal_at_write,
	.llseek		= default_llseek,
};

static int __init signal_at_init(void)
{
	debugfs_create_file("signal_at", 0600, debugfs_create_dir("checkpoint", NULL), NULL,
			    &signal_at_fops);
	return 0;
}
late_initcall(signal_at_init);
