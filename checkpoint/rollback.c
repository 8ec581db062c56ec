// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: putting a live tree back to what it was.
 *
 * The tree of the checkpoint is made beside the live one, with any pids, up to
 * where nothing is missing but to let it run; the live one knows nothing of it.
 * Then the live tree is stopped, and under tasklist_lock the restored tasks
 * take the pids, the parent, the sessions and groups, and the live tasks lose
 * them (rollback_switch.c). What can fail fails before that. Afterwards the
 * old tasks are killed; as children of kthreadd nobody waits for them or hears
 * of it. When they are gone the restored tree is released.
 *
 * The restored tasks live in the namespaces and the cgroup of the live root.
 *
 * A checkpoint cannot bring back the other end of a TCP connection, nor can a
 * port be bound twice. But a socket that the live tree still has and that no
 * data has gone through since is what it was: it goes on being used. With what
 * is set on it now: options are not part of what is put back.
 *
 * Refused: a live tree that has another user namespace than the caller, or
 * changed its namespaces; one that is being traced; one that acquired a
 * controlling terminal or POSIX timers since.
 *
 * Locks: those of its parts, one at a time.
 */
#include <linux/cgroup.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/sock_diag.h>
#include <linux/syscalls.h>
#include <linux/tcp.h>
#include <linux/user_namespace.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "rollback.h"
#include "socket.h"

/* ---- checkpoint: what must be known later ---- */

static struct sock *tcp_of(struct file *file)
{
	struct socket *sock = sock_from_file(file);

	return sock && sock->sk && sk_is_tcp(sock->sk) ? sock->sk : NULL;
}

/* All but the id; false if it is in use. The counters wrap after 2^64 bytes. */
static bool look_at_sock(struct sock *sk, struct cr_past_sock *s)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (!cr_sock_lock(sk))
		return false;
	s->state = sk->sk_state;
	s->cookie = sock_gen_cookie(sk);
	s->consumed = tp->bytes_received - (u32)(tp->rcv_nxt - tp->copied_seq);
	s->written = tp->bytes_acked + (u32)(tp->write_seq - tp->snd_una);
	release_sock(sk);
	return true;
}

/* The next TCP socket among what was dumped, or NULL. */
static struct sock *next_sock(struct cr_ctx *ctx, u32 *slot, u32 *id)
{
	struct cr_objref *ref = &ctx->objref;

	while (*slot < ref->nr_slots) {
		const struct cr_objref_entry *e = &ref->slots[(*slot)++];
		struct sock *sk = NULL;

		if (e->obj && e->type == CR_IMG_FILE)
			sk = tcp_of((struct file *)e->obj);
		*id = e->id;
		if (sk)
			return sk;
	}
	return NULL;
}

/**
 * cr_past_take() - remember of the tree what a rollback must know
 * @ctx: the checkpoint; everything is dumped, nobody released
 *
 * Return: 0; -ENOMEM or -EBUSY as told.
 */
int cr_past_take(struct cr_ctx *ctx)
{
	struct task_struct *root = ctx->root->task;
	u32 slot = 0, nr = 0, id;
	struct cr_past *past;
	struct sock *sk;

	while (next_sock(ctx, &slot, &id))
		nr++;
	past = kvzalloc(struct_size(past, socks, nr), GFP_KERNEL_ACCOUNT);
	if (!past)
		return cr_fail(ctx, -ENOMEM, "no memory to keep the checkpoint");
	past->nr_socks = nr;
	for (slot = 0, nr = 0; (sk = next_sock(ctx, &slot, &id)); nr++) {
		past->socks[nr].id = id;
		if (!look_at_sock(sk, &past->socks[nr])) {
			kvfree(past);
			return cr_fail(ctx, -EBUSY,
				       "a socket is in use outside the tree; try again");
		}
	}
	past->root = get_task_pid(root, PIDTYPE_TGID);
	past->pgrp = get_task_pid(root, PIDTYPE_PGID);
	past->session = get_task_pid(root, PIDTYPE_SID);
	past->root_path = ctx->root_path;
	path_get(&past->root_path);
	ctx->past = past;
	return 0;
}

/**
 * cr_rollback_free() - a checkpoint, or a rollback, is over
 * @ctx: either
 */
void cr_rollback_free(struct cr_ctx *ctx)
{
	struct cr_past *past = ctx->past;
	struct cr_rollback *rb = ctx->rollback;
	u32 i;

	if (rb) {
		for (i = 0; i < ctx->from->past->nr_socks; i++) {
			if (rb->files[i])
				fput(rb->files[i]);
		}
		if (rb->live)
			put_task_struct(rb->live);
		kvfree(rb);
		ctx->rollback = NULL;
	}
	if (past) {
		put_pid(past->root);
		put_pid(past->pgrp);
		put_pid(past->session);
		path_put(&past->root_path);
		kvfree(past);
		ctx->past = NULL;
	}
}

/* ---- restart: the sockets that are still there ---- */

static int sock_cmp(u64 cookie, struct file *file)
{
	struct sock *sk = tcp_of(file);

	return sk && sock_gen_cookie(sk) == cookie;
}

/* For iterate_fd(); files_struct.file_lock is held. */
static int take_file(const void *arg, struct file *file, unsigned int fd)
{
	struct cr_ctx *ctx = (struct cr_ctx *)arg;
	const struct cr_past *past = ctx->from->past;
	u32 i;

	if (!tcp_of(file))
		return 0;
	for (i = 0; i < past->nr_socks; i++) {
		if (!ctx->rollback->files[i] && sock_cmp(past->socks[i].cookie, file))
			ctx->rollback->files[i] = get_file(file);
	}
	return 0;
}

/* Has nothing happened to it that the checkpoint does not know? */
static bool sock_unchanged(const struct cr_past_sock *was, struct file *file)
{
	struct cr_past_sock now;
	struct sock *sk = tcp_of(file);

	if (!look_at_sock(sk, &now) || now.state != was->state)
		return false;
	switch (now.state) {
	case TCP_LISTEN:
		return true;
	case TCP_CLOSE:
		/* only for the port */
		return inet_sk(sk)->inet_num;
	case TCP_ESTABLISHED:
		return now.consumed == was->consumed && now.written == was->written &&
		       !READ_ONCE(sk->sk_err) && !READ_ONCE(sk->sk_shutdown);
	default:
		return false;
	}
}

static void take_sockets(struct cr_ctx *ctx, struct cr_ctx *live)
{
	const struct cr_past *past = ctx->from->past;
	struct cr_rollback *rb = ctx->rollback;
	struct cr_task *t;
	u32 i;

	list_for_each_entry(t, &live->tasks, list) {
		struct files_struct *files;

		if (t->leader != t || !past->nr_socks)
			continue;
		task_lock(t->task);
		files = t->task->files;
		if (files)
			atomic_inc(&files->count);
		task_unlock(t->task);
		if (files) {
			iterate_fd(files, 0, take_file, ctx);
			put_files_struct(files);
		}
	}
	for (i = 0; i < past->nr_socks; i++) {
		if (rb->files[i] && !sock_unchanged(&past->socks[i], rb->files[i])) {
			fput(rb->files[i]);
			rb->files[i] = NULL;
		}
	}
}

/**
 * cr_rollback_file() - does an open file of the checkpoint go on being used?
 * @ctx: any restart
 * @id: object id of the open file
 *
 * Return: The file, without a reference; NULL if it must be made.
 */
struct file *cr_rollback_file(struct cr_ctx *ctx, u32 id)
{
	u32 i;

	for (i = 0; ctx->rollback && i < ctx->from->past->nr_socks; i++) {
		if (ctx->from->past->socks[i].id == id)
			return ctx->rollback->files[i];
	}
	return NULL;
}

/* ---- restart: into the place of the live tree ---- */

/* Why there is no live tree, if @live does not tell. */
static int no_live(struct cr_ctx *ctx, struct cr_ctx *live)
{
	if (live->err && live->err != -ESRCH)
		return cr_fail(ctx, live->err, "%s", live->report.reason);
	return cr_fail(ctx, -ESRCH, "the root of the tree, pid %d, has ended",
		       ctx->from->report.pid);
}

static int check_place(struct cr_ctx *ctx, struct cr_ctx *live)
{
	struct task_struct *root = live->root->task;
	const struct nsproxy *ns;
	bool gone, other;

	if (ctx->user_ns != ctx->from->user_ns)
		return cr_fail(ctx, -EOPNOTSUPP,
			       "the tree lives in another user namespace than the caller: not supported");
	task_lock(root);
	ns = root->nsproxy;
	gone = !ns;
	other = ns && (ns->pid_ns_for_children != ctx->pid_ns ||
		       ns->time_ns_for_children != ns->time_ns);
	task_unlock(root);
	if (gone) {
		cr_root_gone(live);
		return no_live(ctx, live);
	}
	if (other)
		return cr_fail(ctx, -EOPNOTSUPP,
			       "pid %d (%s): has another namespace for its children: not supported",
			       task_pid_vnr(root), root->comm);
	return 0;
}

/* The live tree as a context of its own, whose reason is that of @ctx. */
static struct cr_ctx *find_live(struct cr_ctx *ctx)
{
	struct pid *root = ctx->from->past->root;
	struct cr_ctx *live = cr_ctx_alloc("restart", 0);
	pid_t pid = pid_vnr(root);

	if (!live) {
		cr_fail(ctx, -ENOMEM, "no memory for tasks");
		return NULL;
	}
	/* the restored tree is a child of the caller, which may be in the live one */
	live->hidden = ctx->root ? ctx->root->task : NULL;
	if (!pid || cr_tree_find(live, pid) || task_tgid(live->root->task) != root ||
	    (READ_ONCE(live->root->task->exit_state) && cr_root_gone(live))) {
		no_live(ctx, live);
		cr_ctx_put(live);
		return NULL;
	}
	return live;
}

/**
 * cr_rollback_begin() - look at the live tree, before anything is made
 * @ctx: the restart, from a kept checkpoint; gets the namespaces and the root
 *       directory of the live tree
 *
 * Return: 0; -ESRCH if the root of the tree has ended; -EPERM if the caller may
 * not trace all of it; -EOPNOTSUPP or -ENOMEM as told.
 */
int cr_rollback_begin(struct cr_ctx *ctx)
{
	const struct cr_past *past = ctx->from->past;
	struct cr_ctx *live;
	int err;

	ctx->rollback = kvzalloc(struct_size(ctx->rollback, files, past->nr_socks),
				 GFP_KERNEL_ACCOUNT);
	if (!ctx->rollback)
		return cr_fail(ctx, -ENOMEM, "no memory for a rollback");
	live = find_live(ctx);
	if (!live)
		return ctx->err;
	ctx->rollback->live = get_task_struct(live->root->task);
	put_pid_ns(ctx->pid_ns);
	ctx->pid_ns = get_pid_ns(live->pid_ns);
	path_put(&ctx->root_path);
	ctx->root_path = past->root_path;
	path_get(&ctx->root_path);
	err = check_place(ctx, live);
	if (!err)
		take_sockets(ctx, live);
	cr_ctx_put(live);
	return err;
}

/**
 * cr_rollback_ns() - the namespaces that the restored root is created in
 * @ctx: any restart
 *
 * Return: What current had, for cr_rollback_ns_end(); NULL if it is no rollback
 * or nothing was changed.
 */
struct nsproxy *cr_rollback_ns(struct cr_ctx *ctx)
{
	struct nsproxy *ns, *old = current->nsproxy;
	struct task_struct *root;

	if (!ctx->rollback)
		return NULL;
	root = ctx->rollback->live;
	task_lock(root);
	ns = root->nsproxy;
	if (ns)
		get_nsproxy(ns);
	task_unlock(root);
	if (!ns)
		return NULL;
	get_nsproxy(old);
	switch_task_namespaces(current, ns);
	return old;
}

void cr_rollback_ns_end(struct nsproxy *old)
{
	if (old)
		switch_task_namespaces(current, old);
}

/**
 * cr_rollback_enter() - the restored root leaves its creator's surroundings
 * @t: current; before it has children and memory
 *
 * It joins the cgroup of the live root. And until cr_rollback_switch() it has a
 * session of its own, or ^C in the terminal of the caller would be for the tree.
 *
 * Return: 0; -EPERM, or what writing to cgroup.procs would have returned, as told.
 */
int cr_rollback_enter(struct cr_task *t)
{
	struct cr_ctx *ctx = t->ctx;
	int err = 0;

	if (!ctx->rollback || t != ctx->root)
		return 0;
	/* a thread of the creator, its parent, could have made it lead a group */
	if (ksys_setsid() < 0)
		return cr_fail(ctx, -EPERM, "pid %d: was put into a group meanwhile",
			       ctx->root->tid);
	cr_signals_forget();
#ifdef CONFIG_CGROUPS
	if (rcu_access_pointer(ctx->rollback->live->cgroups) !=
	    rcu_access_pointer(current->cgroups))
		err = cgroup_attach_task_all(ctx->rollback->live, current);
#endif
	if (err)
		return cr_fail(ctx, err, "pid %d: its cgroup cannot be joined (error %d)",
			       ctx->root->tid, -err);
	return 0;
}

/*
 * Of sockets that go on being used; the old tree does not care any more. Whom they
 * signal now would be the restored process, by the pid.
 */
static void put_file_flags(struct cr_ctx *ctx)
{
	u32 i;

	for (i = 0; i < ctx->from->past->nr_socks; i++) {
		const struct cr_rec *head = cr_obj_head(ctx, ctx->from->past->socks[i].id,
							CR_IMG_FILE);
		struct file *file = ctx->rollback->files[i];
		const struct cr_img_file *img;

		if (!file || !head)
			continue;
		img = head->data;
		spin_lock(&file->f_lock);
		file->f_flags = (file->f_flags & ~O_NONBLOCK) | (img->flags & O_NONBLOCK);
		file->f_iocb_flags = iocb_flags(file);
		spin_unlock(&file->f_lock);
		if (file_f_owner(file))
			f_delown(file);
		fput(file);
		ctx->rollback->files[i] = NULL;
	}
}

/*
 * What they hold, file locks above all, the restored tree may want at once. But
 * there is no way back: do not wait for ever for one whose file system hangs.
 */
static void wait_live_gone(struct cr_ctx *live)
{
	ktime_t deadline = ktime_add_ms(ktime_get(), READ_ONCE(cr_freeze_timeout_ms));
	struct cr_task *t;

	list_for_each_entry(t, &live->tasks, list) {
		while (!same_thread_group(t->task, current) && pid_alive(t->task) &&
		       ktime_before(ktime_get(), deadline))
			schedule_timeout_uninterruptible(1);
	}
}

/*
 * No checkpoint is dumping the live tree. The kill tells those who have it
 * parked as well, for another rollback or a checkpoint, that it is not what it was.
 */
static int switch_and_kill(struct cr_ctx *ctx, struct cr_ctx *live)
{
	int err = cr_freeze_verify(live);

	if (err)
		return cr_fail(ctx, err, "%s", live->report.reason);
	err = cr_rollback_switch(ctx, live);
	if (!err)
		cr_kill(live);
	return err;
}

/**
 * cr_rollback_commit() - put the restored tree in the place of the live one
 * @ctx: the restart; every task waits to be released
 *
 * If the caller is in the live tree, it is killed when it returns to user mode.
 *
 * Return: 0, and nothing may fail afterwards; or -errno as told, and nothing has
 * happened to the live tree.
 */
int cr_rollback_commit(struct cr_ctx *ctx)
{
	struct cr_ctx *live = find_live(ctx);
	int err;

	if (!live)
		return ctx->err;
	err = cr_freeze(live);
	if (!err)
		err = cr_dumps_lock(live);
	if (err) {
		cr_fail(ctx, err, "%s", live->report.reason);
	} else {
		err = switch_and_kill(ctx, live);
		cr_dumps_unlock();
	}
	if (!err)
		put_file_flags(ctx);
	cr_thaw(live);
	if (!err)
		wait_live_gone(live);
	cr_ctx_put(live);
	return err;
}
