// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: the options of a socket that any protocol has
 * (SOL_SOCKET).
 *
 * Saved: see the names in cr_sock_opts_dump(). Refused by name, if they are
 * set: all others. Buffer sizes are restored if they were set and not sized by
 * the kernel; above the limit of the system only with CAP_NET_ADMIN, else they
 * are cut to it as setsockopt() cuts them.
 *
 * Locks: see socket.c.
 */
#include <linux/errno.h>
#include <linux/ktime.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <net/busy_poll.h>
#include <net/sock_reuseport.h>

#include "socket.h"

#define NSEC_PER_JIFFY	(NSEC_PER_SEC / HZ)

/* Options that are a flag of struct sock and are not recorded. */
static const struct {
	enum sock_flags flag;
	const char *name;
} refused_flags[] = {
	{ SOCK_DBG,			"SO_DEBUG" },
	{ SOCK_RCVTSTAMP,		"SO_TIMESTAMP" },
	{ SOCK_RCVTSTAMPNS,		"SO_TIMESTAMPNS" },
	{ SOCK_TIMESTAMPING_RX_SOFTWARE, "SO_TIMESTAMPING" },
	{ SOCK_LOCALROUTE,		"SO_DONTROUTE" },
	{ SOCK_RXQ_OVFL,		"SO_RXQ_OVFL" },
	{ SOCK_ZEROCOPY,		"SO_ZEROCOPY" },
	{ SOCK_WIFI_STATUS,		"SO_WIFI_STATUS" },
	{ SOCK_NOFCS,			"SO_NOFCS" },
	{ SOCK_FILTER_LOCKED,		"SO_LOCK_FILTER" },
	{ SOCK_SELECT_ERR_QUEUE,	"SO_SELECT_ERR_QUEUE" },
	{ SOCK_TXTIME,			"SO_TXTIME" },
	{ SOCK_RCVMARK,			"SO_RCVMARK" },
	{ SOCK_MEMALLOC,		"swap over this socket" },
};

/* Options that are a flag of struct sock and are recorded. */
static const struct {
	enum sock_flags flag;
	u32 img;
	int opt;
	const char *name;
} saved_flags[] = {
	{ SOCK_KEEPOPEN,  CR_IMG_SOCKET_KEEPALIVE, SO_KEEPALIVE, "SO_KEEPALIVE" },
	{ SOCK_BROADCAST, CR_IMG_SOCKET_BROADCAST, SO_BROADCAST, "SO_BROADCAST" },
	{ SOCK_URGINLINE, CR_IMG_SOCKET_OOBINLINE, SO_OOBINLINE, "SO_OOBINLINE" },
};

static bool has_reuseport_prog(struct sock *sk)
{
	struct sock_reuseport *reuse;
	bool has;

	rcu_read_lock();
	reuse = rcu_dereference(sk->sk_reuseport_cb);
	has = reuse && rcu_access_pointer(reuse->prog);
	rcu_read_unlock();
	return has;
}

/* What a program or policy of somebody else does with the socket. */
static const char *foreign_use(struct sock *sk)
{
	if (rcu_access_pointer(sk->sk_filter))
		return "SO_ATTACH_FILTER or SO_ATTACH_BPF";
	if (has_reuseport_prog(sk))
		return "SO_ATTACH_REUSEPORT_CBPF or _EBPF";
	if (rcu_access_pointer(__sk_user_data(sk)))
		return "used by a BPF map or by the kernel";
#ifdef CONFIG_BPF_SYSCALL
	if (rcu_access_pointer(sk->sk_bpf_storage))
		return "BPF storage";
#endif
#ifdef CONFIG_XFRM
	if (rcu_access_pointer(sk->sk_policy[0]) || rcu_access_pointer(sk->sk_policy[1]))
		return "IP_XFRM_POLICY";
#endif
	return NULL;
}

static const char *unsupported_option(struct sock *sk)
{
	unsigned long flags = sk->sk_socket->flags;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused_flags); i++) {
		if (sock_flag(sk, refused_flags[i].flag))
			return refused_flags[i].name;
	}
	if (sk->sk_tsflags)
		return "SO_TIMESTAMPING";
	if (sk->sk_peek_off >= 0)
		return "SO_PEEK_OFF";
	if (sk->sk_max_pacing_rate != ~0UL)
		return "SO_MAX_PACING_RATE";
	if (sk->sk_reserved_mem)
		return "SO_RESERVE_MEM";
	if (sk->sk_no_check_tx)
		return "SO_NO_CHECK";
	if (!sk->sk_rcvtimeo || !sk->sk_sndtimeo)
		return "SO_RCVTIMEO or SO_SNDTIMEO below zero";
	if (sk_is_inet(sk) && sk->sk_txrehash != READ_ONCE(sock_net(sk)->core.sysctl_txrehash))
		return "SO_TXREHASH";
	if (test_bit(SOCK_PASSSEC, &flags))
		return "SO_PASSSEC";
	if (test_bit(SOCK_PASSPIDFD, &flags))
		return "SO_PASSPIDFD";
#ifdef CONFIG_NET_RX_BUSY_POLL
	if (sk->sk_ll_usec != READ_ONCE(sysctl_net_busy_read) ||
	    sk->sk_prefer_busy_poll || sk->sk_busy_poll_budget)
		return "SO_BUSY_POLL";
#endif
	return foreign_use(sk);
}

static u64 timeo_to_ns(long timeo)
{
	if (timeo >= S64_MAX / NSEC_PER_JIFFY)
		return 0;
	return (u64)timeo * NSEC_PER_JIFFY;
}

int cr_sock_opts_dump(struct cr_ctx *ctx, struct sock *sk,
		      struct cr_img_file_socket *s)
{
	const char *what = unsupported_option(sk);
	unsigned int i;

	if (what)
		return cr_sock_refuse(ctx, what);
	for (i = 0; i < ARRAY_SIZE(saved_flags); i++) {
		if (sock_flag(sk, saved_flags[i].flag))
			s->flags |= saved_flags[i].img;
	}
	if (sk->sk_reuse)
		s->flags |= CR_IMG_SOCKET_REUSEADDR;
	if (sk->sk_reuseport)
		s->flags |= CR_IMG_SOCKET_REUSEPORT;
	if (test_bit(SOCK_PASSCRED, &sk->sk_socket->flags))
		s->flags |= CR_IMG_SOCKET_PASSCRED;
	if (sock_flag(sk, SOCK_LINGER)) {
		s->flags |= CR_IMG_SOCKET_LINGER;
		s->linger_sec = min_t(unsigned long, sk->sk_lingertime / HZ, INT_MAX);
	}
	if (sk->sk_userlocks & SOCK_SNDBUF_LOCK)
		s->flags |= CR_IMG_SOCKET_SNDBUF_LOCK;
	if (sk->sk_userlocks & SOCK_RCVBUF_LOCK)
		s->flags |= CR_IMG_SOCKET_RCVBUF_LOCK;
	s->sndbuf = sk->sk_sndbuf;
	s->rcvbuf = sk->sk_rcvbuf;
	s->rcvlowat = sk->sk_rcvlowat;
	s->priority = sk->sk_priority;
	s->mark = sk->sk_mark;
	s->rcvtimeo_ns = timeo_to_ns(sk->sk_rcvtimeo);
	s->sndtimeo_ns = timeo_to_ns(sk->sk_sndtimeo);
	return 0;
}

int cr_sock_opts_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_socket *s = rec->data;

	if (s->sndbuf > INT_MAX || s->rcvbuf > INT_MAX ||
	    !s->rcvlowat || s->rcvlowat > INT_MAX || s->linger_sec > INT_MAX ||
	    s->rcvtimeo_ns > S64_MAX || s->sndtimeo_ns > S64_MAX)
		return cr_fail(ctx, -EINVAL, "record %u: socket: bad size or time",
			       rec->index);
	if (s->linger_sec && !(s->flags & CR_IMG_SOCKET_LINGER))
		return cr_fail(ctx, -EINVAL, "record %u: socket: time without SO_LINGER",
			       rec->index);
	return 0;
}

static int restore_timeo(struct cr_ctx *ctx, struct socket *sock, int opt,
			 const char *name, u64 ns)
{
	struct __kernel_sock_timeval tv = {
		.tv_sec = ns / NSEC_PER_SEC,
		.tv_usec = ns % NSEC_PER_SEC / NSEC_PER_USEC,
	};
	int err;

	if (!ns)
		return 0;
	err = do_sock_setsockopt(sock, false, SOL_SOCKET, opt, KERNEL_SOCKPTR(&tv),
				 sizeof(tv));
	if (err)
		return cr_fail(ctx, err, "socket: %s cannot be set (%d)", name, err);
	return 0;
}

/* @now is what the first attempt, without privilege, came to. */
static int restore_buf(struct cr_ctx *ctx, struct socket *sock, int opt, int force,
		       const char *name, u32 want, const int *now)
{
	int err = cr_sock_set(ctx, sock, SOL_SOCKET, opt, name, want / 2);

	if (err || *now >= want)
		return err;
	want /= 2;
	do_sock_setsockopt(sock, false, SOL_SOCKET, force, KERNEL_SOCKPTR(&want),
			   sizeof(want));
	return 0;
}

static int restore_bufs(struct cr_ctx *ctx, struct socket *sock,
			const struct cr_img_file_socket *s)
{
	int err = 0;

	if (s->flags & CR_IMG_SOCKET_SNDBUF_LOCK)
		err = restore_buf(ctx, sock, SO_SNDBUF, SO_SNDBUFFORCE, "SO_SNDBUF",
				  s->sndbuf, &sock->sk->sk_sndbuf);
	if (!err && (s->flags & CR_IMG_SOCKET_RCVBUF_LOCK))
		err = restore_buf(ctx, sock, SO_RCVBUF, SO_RCVBUFFORCE, "SO_RCVBUF",
				  s->rcvbuf, &sock->sk->sk_rcvbuf);
	if (!err && s->rcvlowat != sock->sk->sk_rcvlowat)
		err = cr_sock_set(ctx, sock, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT",
				  s->rcvlowat);
	return err;
}

static int restore_flags(struct cr_ctx *ctx, struct socket *sock, u32 flags)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < ARRAY_SIZE(saved_flags); i++) {
		if (flags & saved_flags[i].img)
			err = cr_sock_set(ctx, sock, SOL_SOCKET, saved_flags[i].opt,
					  saved_flags[i].name, 1);
	}
	if (!err && (flags & CR_IMG_SOCKET_REUSEADDR))
		err = cr_sock_set(ctx, sock, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", 1);
	if (!err && (flags & CR_IMG_SOCKET_REUSEPORT))
		err = cr_sock_set(ctx, sock, SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", 1);
	if (!err && (flags & CR_IMG_SOCKET_PASSCRED))
		err = cr_sock_set(ctx, sock, SOL_SOCKET, SO_PASSCRED, "SO_PASSCRED", 1);
	return err;
}

static int restore_linger(struct cr_ctx *ctx, struct socket *sock, u32 sec)
{
	struct linger linger = { .l_onoff = 1, .l_linger = sec };
	int err = do_sock_setsockopt(sock, false, SOL_SOCKET, SO_LINGER,
				     KERNEL_SOCKPTR(&linger), sizeof(linger));

	return err ? cr_fail(ctx, err, "socket: SO_LINGER cannot be set (%d)", err) : 0;
}

/* Before bind() and after IP_TOS, which sets a priority too. */
int cr_sock_opts_restore(struct cr_ctx *ctx, struct socket *sock,
			 const struct cr_img_file_socket *s)
{
	int err = restore_flags(ctx, sock, s->flags) ?: restore_bufs(ctx, sock, s);

	if (!err && (s->flags & CR_IMG_SOCKET_LINGER))
		err = restore_linger(ctx, sock, s->linger_sec);
	if (!err && s->priority != sock->sk->sk_priority)
		err = cr_sock_set(ctx, sock, SOL_SOCKET, SO_PRIORITY, "SO_PRIORITY",
				  s->priority);
	if (!err && s->mark)
		err = cr_sock_set(ctx, sock, SOL_SOCKET, SO_MARK, "SO_MARK", s->mark);
	if (!err)
		err = restore_timeo(ctx, sock, SO_RCVTIMEO_NEW, "SO_RCVTIMEO",
				    s->rcvtimeo_ns);
	if (!err)
		err = restore_timeo(ctx, sock, SO_SNDTIMEO_NEW, "SO_SNDTIMEO",
				    s->sndtimeo_ns);
	return err;
}
