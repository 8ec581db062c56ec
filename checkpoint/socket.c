// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: sockets.
 *
 * Saved: TCP sockets over IPv4 and IPv6 that are listening, or not connected
 * and bound or not, with their options. A TCP connection, and a connected
 * AF_UNIX stream or seqpacket socket, whose peer is outside the tree: only that
 * it was one. It comes back as reset by the peer, and only if restart() is told
 * so (RESTART_CONN_RESET); what was not read, not sent, or not accepted yet is
 * lost with it, as after any reset. A connection that was over already comes
 * back as it was, except that it keeps no port reserved.
 *
 * Refused by name: everything else: other address families and protocols,
 * connections between two sockets of the tree (known only when all of it was
 * dumped, see cr_sockets_check_peers()), AF_UNIX sockets that have or want a
 * name, descriptors in flight, sockets of another network namespace, and
 * options that are not recorded. Options that only matter for packets are not
 * asked of a connection that comes back dead.
 *
 * Privilege: a restored socket belongs to the uid of the restored task, but it
 * is bound, and gets its options, with the credentials of the caller of
 * restart(): the original may have dropped its own after bind(), and the caller
 * could have done the same and handed the socket down. The checks are those of
 * the system calls, with the LSM and BPF hooks.
 *
 * Locks: cr_sock_lock(); inside it nothing but leaf spinlocks of the networking
 * code. Restoring runs under ctx->restore_lock; RTNL may be taken inside it.
 */
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/sched/task.h>
#include <net/net_namespace.h>

#include "objects.h"
#include "socket.h"

/* Names of what is not supported; 0 in @type and @protocol is any. */
static const struct {
	int family;
	int type;
	int protocol;
	const char *name;
} unsupported[] = {
	{ AF_INET,	SOCK_DGRAM,	IPPROTO_UDP,	"UDP" },
	{ AF_INET,	SOCK_DGRAM,	IPPROTO_UDPLITE, "UDP-Lite" },
	{ AF_INET,	SOCK_DGRAM,	IPPROTO_ICMP,	"ping" },
	{ AF_INET,	SOCK_RAW,	0,		"raw IPv4" },
	{ AF_INET,	0,		IPPROTO_MPTCP,	"MPTCP" },
	{ AF_INET,	0,		IPPROTO_SCTP,	"SCTP" },
	{ AF_INET,	0,		IPPROTO_DCCP,	"DCCP" },
	{ AF_INET,	0,		256,		"SMC" },
	{ AF_INET,	0,		0,		"protocol over IPv4" },
	{ AF_INET6,	SOCK_DGRAM,	IPPROTO_UDP,	"UDP" },
	{ AF_INET6,	SOCK_DGRAM,	IPPROTO_UDPLITE, "UDP-Lite" },
	{ AF_INET6,	SOCK_DGRAM,	IPPROTO_ICMPV6,	"ping" },
	{ AF_INET6,	SOCK_RAW,	0,		"raw IPv6" },
	{ AF_INET6,	0,		IPPROTO_MPTCP,	"MPTCP" },
	{ AF_INET6,	0,		IPPROTO_SCTP,	"SCTP" },
	{ AF_INET6,	0,		IPPROTO_DCCP,	"DCCP" },
	{ AF_INET6,	0,		256,		"SMC" },
	{ AF_INET6,	0,		0,		"protocol over IPv6" },
	{ AF_UNIX,	SOCK_DGRAM,	0,		"unix datagram" },
	{ AF_UNIX,	0,		0,		"unix" },
	{ AF_PACKET,	0,		0,		"packet" },
	{ AF_NETLINK,	0,		0,		"netlink" },
	{ AF_VSOCK,	0,		0,		"vsock" },
	{ AF_ALG,	0,		0,		"alg" },
	{ AF_XDP,	0,		0,		"XDP" },
	{ AF_SMC,	0,		0,		"SMC" },
	{ AF_BLUETOOTH,	0,		0,		"Bluetooth" },
	{ AF_CAN,	0,		0,		"CAN" },
	{ AF_TIPC,	0,		0,		"TIPC" },
	{ AF_RDS,	0,		0,		"RDS" },
	{ AF_KEY,	0,		0,		"PF_KEY" },
	{ AF_PPPOX,	0,		0,		"PPPoX" },
	{ AF_KCM,	0,		0,		"KCM" },
	{ AF_QIPCRTR,	0,		0,		"QRTR" },
};

static bool is_tcp(int family, int type, int protocol)
{
	return (family == AF_INET || family == AF_INET6) &&
	       type == SOCK_STREAM && protocol == IPPROTO_TCP;
}

static bool is_unix(int family, int type, int protocol)
{
	return family == AF_UNIX && !protocol &&
	       (type == SOCK_STREAM || type == SOCK_SEQPACKET);
}

int cr_sock_refuse(struct cr_ctx *ctx, const char *what)
{
	return cr_fail(ctx, -EOPNOTSUPP, "%s: socket: %s: not supported",
		       cr_where(ctx), what);
}

static int refuse_kind(struct cr_ctx *ctx, const struct sock *sk)
{
	unsigned int i;

	if (is_tcp(sk->sk_family, sk->sk_type, sk->sk_protocol) ||
	    is_unix(sk->sk_family, sk->sk_type, sk->sk_protocol))
		return 0;
	for (i = 0; i < ARRAY_SIZE(unsupported); i++) {
		if (unsupported[i].family == sk->sk_family &&
		    (!unsupported[i].type || unsupported[i].type == sk->sk_type) &&
		    (!unsupported[i].protocol || unsupported[i].protocol == sk->sk_protocol))
			return cr_sock_refuse(ctx, unsupported[i].name);
	}
	return cr_fail(ctx, -EOPNOTSUPP, "%s: socket: address family %d: not supported",
		       cr_where(ctx), sk->sk_family);
}

/* All tasks of the tree share the network namespace of its root. */
static bool in_tree_netns(struct cr_ctx *ctx, const struct sock *sk)
{
	struct task_struct *task = ctx->root->task;
	bool same;

	task_lock(task);
	same = task->nsproxy && net_eq(task->nsproxy->net_ns, sock_net(sk));
	task_unlock(task);
	return same;
}

static bool sock_trylock(struct sock *sk)
{
	bool locked = false;

	spin_lock_bh(&sk->sk_lock.slock);
	if (!sock_owned_by_user_nocheck(sk)) {
		sk->sk_lock.owned = 1;
		locked = true;
	}
	spin_unlock_bh(&sk->sk_lock.slock);
	if (locked)
		mutex_acquire(&sk->sk_lock.dep_map, 0, 1, _RET_IP_);
	return locked;
}

bool cr_sock_lock(struct sock *sk)
{
	int ticks = 10;

	while (!sock_trylock(sk)) {
		if (!ticks-- || fatal_signal_pending(current))
			return false;
		schedule_timeout_killable(1);
	}
	return true;
}

bool cr_sock_in_tree(struct cr_ctx *ctx, struct sock *sk)
{
	struct file *file = NULL;

	/* Against sock_orphan(): outside the tree anybody may close it now. */
	read_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_socket)
		file = sk->sk_socket->file;
	read_unlock_bh(&sk->sk_callback_lock);
	return file && cr_obj_id(ctx, CR_IMG_FILE, file);
}

bool cr_socket_match(struct file *file)
{
	return sock_from_file(file);
}

/* Sets s->device_id. Interfaces have other numbers in another namespace. */
static int dump_device(struct cr_ctx *ctx, struct sock *sk,
		       struct cr_img_file_socket *s)
{
	int ifindex = READ_ONCE(sk->sk_bound_dev_if);
	struct net_device *dev;
	char name[IFNAMSIZ];

	if (!ifindex)
		return 0;
	rcu_read_lock();
	dev = dev_get_by_index_rcu(sock_net(sk), ifindex);
	if (dev)
		netdev_copy_name(dev, name);
	rcu_read_unlock();
	if (!dev)
		return cr_sock_refuse(ctx, "bound to an interface that is gone");
	s->device_id = cr_string_add(ctx, name, strlen(name));
	return s->device_id ? 0 : ctx->err;
}

int cr_socket_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct socket *sock = sock_from_file(obj);
	struct cr_img_file_socket s = {};
	struct sock *sk = sock->sk;
	int err;

	if (!sk)
		return cr_sock_refuse(ctx, "without a protocol");
	err = refuse_kind(ctx, sk);
	if (err)
		return err;
	if (!in_tree_netns(ctx, sk))
		return cr_sock_refuse(ctx, "of another network namespace");

	if (!cr_sock_lock(sk))
		return cr_fail(ctx, -EBUSY, "%s: socket is in use outside the tree; try again",
			       cr_where(ctx));
	s.family = sk->sk_family;
	s.type = sk->sk_type;
	s.protocol = sk->sk_protocol;
	s.ss_state = sock->state;
	s.shutdown = sk->sk_shutdown;
	s.err = sk->sk_err;
	err = cr_sock_opts_dump(ctx, sk, &s);
	if (!err && s.family == AF_UNIX)
		err = cr_unix_dump(ctx, sk, &s);
	else if (!err)
		err = cr_tcp_dump(ctx, sk, &s);
	release_sock(sk);

	if (!err)
		err = dump_device(ctx, sk, &s);
	if (!err && s.family == AF_UNIX) {
		s.name_id = cr_unix_name_add(ctx, sk);
		err = ctx->err;
	}
	if (!err)
		err = cr_file_head_add(ctx, obj, id, CR_IMG_FILE_SOCKET);
	return err ?: cr_rec_add(ctx, CR_IMG_FILE_SOCKET, id, &s, sizeof(s));
}

/* Walks all records: of the image at restart, of the buffer at checkpoint. */
struct walk {
	struct cr_hbuf_pos pos;
	u32 index;
	u32 type;
	u32 id;
	const void *data;
};

static bool walk_next(struct cr_ctx *ctx, struct walk *w)
{
	if (ctx->recs) {
		const struct cr_rec *rec = ctx->recs + w->index;

		if (w->index == ctx->nr_records)
			return false;
		w->index++;
		w->type = rec->type;
		w->id = rec->id;
		w->data = rec->data;
	} else {
		struct cr_img_rec *rec = cr_rec_next(&ctx->hb, &w->pos);

		if (!rec)
			return false;
		w->type = rec->type;
		w->id = rec->id;
		w->data = rec + 1;
	}
	return true;
}

/*
 * "pid 12 fd 7" of an open file, for messages when it is not the descriptor
 * being dumped. Called on failure only, so it may take its time.
 */
static void name_file(struct cr_ctx *ctx, u32 file_id, char *buf, size_t size)
{
	struct walk w = {};
	u32 files_id = 0, fd = 0;

	snprintf(buf, size, "object %u", file_id);
	while (!files_id && walk_next(ctx, &w)) {
		const struct cr_img_fd *d = w.data;

		if (w.type == CR_IMG_FD && d->file_id == file_id) {
			fd = d->fd;
			files_id = w.id;
		}
	}
	memset(&w, 0, sizeof(w));
	while (files_id && walk_next(ctx, &w)) {
		const struct cr_img_process *p = w.data;

		if (w.type == CR_IMG_PROCESS && p->files_id == files_id) {
			snprintf(buf, size, "pid %d fd %u", p->pid, fd);
			return;
		}
	}
}

int cr_sockets_check_peers(struct cr_ctx *ctx)
{
	u32 i;

	for (i = 0; i < ctx->objref.nr_slots; i++) {
		const struct cr_objref_entry *e = &ctx->objref.slots[i];
		struct socket *sock;
		const char *what;
		char where[32];

		if (!e->obj || e->type != CR_IMG_FILE)
			continue;
		sock = sock_from_file((struct file *)e->obj);
		if (!sock || !sock->sk)
			continue;
		if (sock->sk->sk_family == AF_UNIX)
			what = cr_unix_check_peer(ctx, sock->sk);
		else
			what = cr_tcp_check_peer(ctx, sock->sk);
		if (!what)
			continue;
		name_file(ctx, e->id, where, sizeof(where));
		return cr_fail(ctx, -EOPNOTSUPP, "%s: socket: %s: not supported",
			       where, what);
	}
	return 0;
}

static bool is_lost(const struct cr_img_file_socket *s)
{
	return s->state == CR_IMG_SOCKET_RESET || s->nr_pending;
}

/* Without RESTART_CONN_RESET: say which connection stands in the way, and how many. */
static int refuse_reset(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_socket *s = rec->data;
	struct walk w = {};
	char where[32], name[128];
	u32 nr = 0;

	while (walk_next(ctx, &w))
		nr += w.type == CR_IMG_FILE_SOCKET && is_lost(w.data);
	name_file(ctx, rec->id, where, sizeof(where));
	if (s->family != AF_UNIX) {
		cr_tcp_name(s, name, sizeof(name));
	} else {
		const struct cr_rec *str = cr_obj_head(ctx, s->name_id, CR_IMG_STRING);

		snprintf(name, sizeof(name), "unix connection%s%.*s", str ? " " : "",
			 str ? (int)str->len : 0, str ? (const char *)str->data : "");
	}
	if (s->nr_pending)
		return cr_fail(ctx, -ECONNRESET,
			       "%s: %s has %u connections that were not accepted yet (%u sockets like this); RESTART_CONN_RESET drops them",
			       where, name, s->nr_pending, nr);
	return cr_fail(ctx, -ECONNRESET,
		       "%s: %s has its peer outside the image (%u sockets like this); RESTART_CONN_RESET brings it back as reset",
		       where, name, nr);
}

static int invalid(struct cr_ctx *ctx, const struct cr_rec *rec, const char *what)
{
	return cr_fail(ctx, -EINVAL, "record %u: socket: bad %s", rec->index, what);
}

static int check_state(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_socket *s = rec->data;

	switch (s->state) {
	case CR_IMG_SOCKET_UNCONNECTED:
	case CR_IMG_SOCKET_LISTEN:
		if (s->ss_state != SS_UNCONNECTED)
			return invalid(ctx, rec, "state of the connection");
		break;
	case CR_IMG_SOCKET_RESET:
	case CR_IMG_SOCKET_CLOSED:
		if (s->ss_state < SS_CONNECTING || s->ss_state > SS_DISCONNECTING)
			return invalid(ctx, rec, "state of the connection");
		break;
	default:
		return invalid(ctx, rec, "state");
	}
	if (s->shutdown > SHUTDOWN_MASK || s->err >= ERESTARTSYS)
		return invalid(ctx, rec, "shutdown or error");
	if (s->state != CR_IMG_SOCKET_LISTEN && (s->backlog || s->nr_pending))
		return invalid(ctx, rec, "backlog");
	return 0;
}

int cr_socket_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_socket *s = rec->data;
	const struct cr_rec *device;
	int err;

	if (!cr_file_head(ctx, rec))
		return ctx->err;
	if ((s->flags & ~CR_IMG_SOCKET_ALL) || s->reserved)
		return invalid(ctx, rec, "flags or reserved field");
	err = check_state(ctx, rec) ?: cr_sock_opts_check(ctx, rec);
	if (err)
		return err;
	if (is_tcp(s->family, s->type, s->protocol))
		err = cr_tcp_check(ctx, rec);
	else if (is_unix(s->family, s->type, s->protocol))
		err = cr_unix_check(ctx, rec);
	else
		err = invalid(ctx, rec, "family, type or protocol");
	if (err)
		return err;

	err = cr_check_ref(ctx, rec, s->name_id, CR_IMG_STRING, true) ?:
	      cr_check_ref(ctx, rec, s->device_id, CR_IMG_STRING, true);
	if (err)
		return err;
	device = cr_obj_head(ctx, s->device_id, CR_IMG_STRING);
	if (device && device->len >= IFNAMSIZ)
		return invalid(ctx, rec, "name of an interface");
	if (is_lost(s) && !(ctx->flags & RESTART_CONN_RESET) &&
	    !cr_rollback_file(ctx, rec->id))
		return refuse_reset(ctx, rec);
	return 0;
}

int cr_sock_set(struct cr_ctx *ctx, struct socket *sock, int level, int opt,
		const char *name, int val)
{
	int err = do_sock_setsockopt(sock, false, level, opt, KERNEL_SOCKPTR(&val),
				     sizeof(val));

	if (err)
		return cr_fail(ctx, err, "socket: %s cannot be set to %d (%d)", name, val, err);
	return 0;
}

static int restore_device(struct cr_ctx *ctx, struct socket *sock,
			  const struct cr_img_file_socket *s)
{
	const struct cr_rec *device = cr_obj_head(ctx, s->device_id, CR_IMG_STRING);
	int err;

	if (!device)
		return 0;
	err = do_sock_setsockopt(sock, false, SOL_SOCKET, SO_BINDTODEVICE,
				 KERNEL_SOCKPTR((void *)device->data), device->len);
	if (err)
		return cr_fail(ctx, err, "socket: cannot be bound to interface %.*s (%d)",
			       (int)device->len, (const char *)device->data, err);
	return 0;
}

/* What shutdown() and the peer have done to it. */
static void restore_end(struct sock *sk, const struct cr_img_file_socket *s)
{
	bool reset = s->state == CR_IMG_SOCKET_RESET;

	lock_sock(sk);
	WRITE_ONCE(sk->sk_err, reset ? ECONNRESET : s->err);
	WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | (reset ? SHUTDOWN_MASK : s->shutdown));
	release_sock(sk);
}

int cr_socket_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	const struct cr_img_file *f = cr_file_head(ctx, rec);
	const struct cr_img_file_socket *s = rec->data;
	const struct cred *old;
	struct socket *sock;
	struct file *file;
	int err;

	if (!f)
		return ctx->err;
	file = cr_rollback_file(ctx, rec->id);
	if (file) {
		cr_obj_set(ctx, rec->id, get_file(file));
		return 0;
	}
	/* The owner of the socket is the restored task, the rest see above. */
	old = override_creds(t->cred);
	err = sock_create(s->family, s->type, s->protocol, &sock);
	revert_creds(old);
	if (err)
		return cr_fail(ctx, err, "socket %u,%u,%u: cannot be made (%d)",
			       s->family, s->type, s->protocol, err);

	err = restore_device(ctx, sock, s);
	if (!err && s->family == AF_UNIX)
		err = cr_unix_restore(ctx, t, sock, s);
	else if (!err)
		err = cr_tcp_restore(ctx, sock, s);
	if (err) {
		sock_release(sock);
		return err;
	}
	restore_end(sock->sk, s);

	old = override_creds(t->cred);
	file = sock_alloc_file(sock, f->flags, NULL);	/* releases it on error */
	revert_creds(old);
	if (IS_ERR(file))
		return cr_fail(ctx, PTR_ERR(file), "no memory for a socket");
	cr_obj_set(ctx, rec->id, file);
	return 0;
}

#include "tests/socket-kunit.h"
