// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: AF_UNIX stream and seqpacket sockets.
 *
 * Saved: a socket that was never bound nor connected; that a socket was
 * connected to one outside the tree, which comes back as reset; and one whose
 * peer is gone. Refused by name: listening sockets, names, descriptors in
 * flight, and socketpairs of the tree, for which nobody could keep the other
 * end and what is in between.
 *
 * Locks: lock_sock(), inside it the unix state lock or that of the receive
 * queue.
 */
#include <linux/errno.h>
#include <linux/net.h>
#include <linux/security.h>
#include <linux/skbuff.h>
#include <net/af_unix.h>
#include <net/tcp_states.h>

#include "socket.h"

static struct unix_address *address(struct sock *sk)
{
	/* Pairs with the release in unix_bind_bsd() and the like. */
	return smp_load_acquire(&unix_sk(sk)->addr);
}

static bool has_descriptors(struct sock *sk)
{
	struct sk_buff *skb;
	bool has = false;

	spin_lock(&sk->sk_receive_queue.lock);
	skb_queue_walk(&sk->sk_receive_queue, skb) {
		if (UNIXCB(skb).fp)
			has = true;
	}
	spin_unlock(&sk->sk_receive_queue.lock);
	return has;
}

/* Did the peer close its end? */
static bool peer_is_gone(struct sock *sk)
{
	struct sock *peer = unix_peer_get(sk);
	bool gone = !peer || sock_flag(peer, SOCK_DEAD);

	if (peer)
		sock_put(peer);
	return gone;
}

int cr_unix_dump(struct cr_ctx *ctx, struct sock *sk, struct cr_img_file_socket *s)
{
	if (READ_ONCE(sk->sk_bound_dev_if))
		return cr_sock_refuse(ctx, "unix, bound to an interface (SO_BINDTODEVICE)");
	switch (READ_ONCE(sk->sk_state)) {
	case TCP_LISTEN:
		return cr_sock_refuse(ctx, "unix, listening");
	case TCP_CLOSE:
		if (address(sk))
			return cr_sock_refuse(ctx, "unix, bound and not connected");
		s->state = CR_IMG_SOCKET_UNCONNECTED;
		break;
	case TCP_ESTABLISHED:
		if (has_descriptors(sk))
			return cr_sock_refuse(ctx, "unix, with descriptors in flight (SCM_RIGHTS)");
		if (peer_is_gone(sk) && skb_queue_empty_lockless(&sk->sk_receive_queue))
			s->state = CR_IMG_SOCKET_CLOSED;
		else
			s->state = CR_IMG_SOCKET_RESET;
		break;
	default:
		return cr_sock_refuse(ctx, "unix, connecting");
	}
	if (s->state == CR_IMG_SOCKET_UNCONNECTED && s->ss_state != SS_UNCONNECTED)
		return cr_sock_refuse(ctx, "unix, connecting");
	return 0;
}

/*
 * A name to tell the connection by: that of the peer, or else its own, with
 * "@" in front if it is abstract. Returns a string object; 0 if there is none,
 * or with ctx->err set.
 */
u32 cr_unix_name_add(struct cr_ctx *ctx, struct sock *sk)
{
	struct sock *peer = unix_peer_get(sk);
	char name[UNIX_PATH_MAX];
	struct unix_address *addr;
	int i, len = 0;

	addr = peer ? address(peer) : NULL;
	if (!addr)
		addr = address(sk);
	if (addr)
		len = min_t(int, addr->len - offsetof(struct sockaddr_un, sun_path),
			    UNIX_PATH_MAX);
	if (len > 0) {
		memcpy(name, addr->name->sun_path, len);
		if (name[0])
			len = strnlen(name, len);
	}
	if (peer)
		sock_put(peer);
	for (i = 0; i < len; i++) {
		if (!name[i])
			name[i] = '@';
	}
	return len > 0 ? cr_string_add(ctx, name, len) : 0;
}

const char *cr_unix_check_peer(struct cr_ctx *ctx, struct sock *sk)
{
	struct sock *peer = unix_peer_get(sk);
	bool inside;

	if (!peer)
		return NULL;
	inside = cr_sock_in_tree(ctx, peer);
	sock_put(peer);
	return inside ? "unix socketpair inside the tree" : NULL;
}

int cr_unix_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_socket *s = rec->data;
	size_t from = offsetof(struct cr_img_file_socket, keepidle);
	size_t to = offsetof(struct cr_img_file_socket, name_id);

	if (s->state == CR_IMG_SOCKET_LISTEN || s->device_id ||
	    memchr_inv(rec->data + from, 0, to - from))
		return cr_fail(ctx, -EINVAL, "record %u: socket: bad unix socket", rec->index);
	return 0;
}

/*
 * SO_PEERCRED of a restored connection is that of no process, and not of the one
 * who made the pair: a server would take itself for its client.
 */
static void forget_peer(struct sock *sk)
{
	const struct cred *cred;
	struct pid *pid;

	spin_lock(&sk->sk_peer_lock);
	pid = sk->sk_peer_pid;
	cred = sk->sk_peer_cred;
	sk->sk_peer_pid = NULL;
	sk->sk_peer_cred = NULL;
	spin_unlock(&sk->sk_peer_lock);
	put_pid(pid);
	put_cred(cred);
}

int cr_unix_restore(struct cr_ctx *ctx, struct cr_task *t, struct socket *sock,
		    const struct cr_img_file_socket *s)
{
	const struct cred *old;
	struct socket *peer;
	int err = cr_sock_opts_restore(ctx, sock, s);

	if (err || s->state == CR_IMG_SOCKET_UNCONNECTED)
		return err;

	old = override_creds(t->cred);
	err = sock_create(s->family, s->type, s->protocol, &peer);
	if (!err) {
		err = security_socket_socketpair(sock, peer);
		if (!err)
			err = READ_ONCE(sock->ops)->socketpair(sock, peer);
		sock_release(peer);
	}
	revert_creds(old);
	forget_peer(sock->sk);
	if (err)
		return cr_fail(ctx, err, "socket: no unix socketpair can be made (%d)", err);
	return 0;
}
