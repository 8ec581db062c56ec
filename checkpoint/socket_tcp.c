// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: TCP over IPv4 and IPv6.
 *
 * Saved: address, port and backlog of a socket that has no connection, and the
 * options of the IP and TCP level that servers use. Of one with a connection:
 * both addresses, for getsockname() and for messages. Refused by name: MPTCP,
 * upper layer protocols (TLS), repair mode, signed connections; options that
 * are not recorded of a socket that can still send or accept; connections with
 * both ends in the tree, accepted or not.
 *
 * Locks: lock_sock() while dumping; when looking for peers rskq_lock, RCU and
 * the lockless lookup of established sockets.
 */
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <net/addrconf.h>
#include <net/inet6_hashtables.h>
#include <net/inet_ecn.h>
#include <net/inet_hashtables.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/mptcp.h>
#include <net/tcp.h>

#include "socket.h"

/* Options that are a bit of inet_flags and are not recorded. */
static const struct {
	int flag;
	const char *name;
} refused_flags[] = {
	{ INET_FLAGS_PKTINFO,		"IP_PKTINFO" },
	{ INET_FLAGS_TTL,		"IP_RECVTTL" },
	{ INET_FLAGS_TOS,		"IP_RECVTOS" },
	{ INET_FLAGS_RECVOPTS,		"IP_RECVOPTS" },
	{ INET_FLAGS_RETOPTS,		"IP_RETOPTS" },
	{ INET_FLAGS_PASSSEC,		"IP_PASSSEC" },
	{ INET_FLAGS_ORIGDSTADDR,	"IP_RECVORIGDSTADDR" },
	{ INET_FLAGS_CHECKSUM,		"IP_CHECKSUM" },
	{ INET_FLAGS_RECVERR,		"IP_RECVERR" },
	{ INET_FLAGS_RECVERR_RFC4884,	"IP_RECVERR_RFC4884" },
	{ INET_FLAGS_RECVERR6,		"IPV6_RECVERR" },
	{ INET_FLAGS_RECVERR6_RFC4884,	"IPV6_RECVERR_RFC4884" },
	{ INET_FLAGS_AUTOFLOWLABEL_SET,	"IPV6_AUTOFLOWLABEL" },
	{ INET_FLAGS_DONTFRAG,		"IPV6_DONTFRAG" },
	{ INET_FLAGS_RTALERT,		"IP_ROUTER_ALERT" },
	{ INET_FLAGS_RTALERT_ISOLATE,	"IPV6_ROUTER_ALERT_ISOLATE" },
	{ INET_FLAGS_SNDFLOW,		"IPV6_FLOWINFO_SEND" },
};

static const char *unsupported_ip(struct sock *sk)
{
	struct inet_sock *inet = inet_sk(sk);
	bool no_pmtu = READ_ONCE(sock_net(sk)->ipv4.sysctl_ip_no_pmtu_disc);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused_flags); i++) {
		if (test_bit(refused_flags[i].flag, &inet->inet_flags))
			return refused_flags[i].name;
	}
	if (rcu_access_pointer(inet->inet_opt))
		return "IP_OPTIONS";
	if (inet->uc_ttl != -1)
		return "IP_TTL";
	if (inet->min_ttl)
		return "IP_MINTTL";
	if (inet->uc_index)
		return "IP_UNICAST_IF";
	if (inet->local_port_range)
		return "IP_LOCAL_PORT_RANGE";
	if (inet->pmtudisc != (no_pmtu ? IP_PMTUDISC_DONT : IP_PMTUDISC_WANT))
		return "IP_MTU_DISCOVER";
	return NULL;
}

/* Is there, or will there be, a connection of this socket to lose? */
static bool is_alive(const struct cr_img_file_socket *s)
{
	return s->state == CR_IMG_SOCKET_UNCONNECTED || s->state == CR_IMG_SOCKET_LISTEN;
}

#if IS_ENABLED(CONFIG_IPV6)

static const char *unsupported_ipv6(struct sock *sk)
{
	struct ipv6_pinfo *np = inet6_sk(sk);

	if (rcu_access_pointer(np->opt))
		return "IPv6 extension headers";
	if (rcu_access_pointer(inet_sk(sk)->ipv6_fl_list))
		return "IPV6_FLOWLABEL_MGR";
	if (np->hop_limit != -1)
		return "IPV6_UNICAST_HOPS";
	if (np->min_hopcount)
		return "IPV6_MINHOPCOUNT";
	if (np->frag_size)
		return "IPV6_MTU";
	if (np->ucast_oif)
		return "IPV6_UNICAST_IF";
	if (np->pmtudisc != IPV6_PMTUDISC_WANT)
		return "IPV6_MTU_DISCOVER";
	if (np->rxopt.all)
		return "IPV6_RECVPKTINFO or another ancillary option";
	if (np->srcprefs)
		return "IPV6_ADDR_PREFERENCES";
	if (np->sticky_pktinfo.ipi6_ifindex || !ipv6_addr_any(&np->sticky_pktinfo.ipi6_addr))
		return "IPV6_PKTINFO";
	return NULL;
}

static void dump_ipv6(struct sock *sk, struct cr_img_file_socket *s)
{
	struct in6_addr *local = &sk->sk_v6_rcv_saddr;

	if (!is_alive(s) && ipv6_addr_any(local))
		local = &inet6_sk(sk)->saddr;
	memcpy(s->local, local, sizeof(*local));
	if (!is_alive(s))
		memcpy(s->remote, &sk->sk_v6_daddr, sizeof(s->remote));
	s->tclass = inet6_sk(sk)->tclass & ~INET_ECN_MASK;
}

static void restore_dead_ipv6(struct sock *sk, const struct cr_img_file_socket *s)
{
	memcpy(&sk->sk_v6_rcv_saddr, s->local, sizeof(sk->sk_v6_rcv_saddr));
	memcpy(&inet6_sk(sk)->saddr, s->local, sizeof(inet6_sk(sk)->saddr));
	memcpy(&sk->sk_v6_daddr, s->remote, sizeof(sk->sk_v6_daddr));
}

static struct sock *find_peer_ipv6(struct sock *sk, struct inet_hashinfo *hashinfo, int dif)
{
	struct inet_sock *inet = inet_sk(sk);

	return __inet6_lookup_established(sock_net(sk), hashinfo, &sk->sk_v6_rcv_saddr,
					  inet->inet_sport, &sk->sk_v6_daddr,
					  ntohs(inet->inet_dport), dif, 0);
}

/* Of an IPv6 socket whose packets are IPv4. */
static bool is_mapped(const struct sock *sk)
{
	return ipv6_addr_v4mapped(&sk->sk_v6_daddr);
}

#else /* there is no such socket */

static const char *unsupported_ipv6(struct sock *sk)
{
	return NULL;
}

static void dump_ipv6(struct sock *sk, struct cr_img_file_socket *s)
{
}

static void restore_dead_ipv6(struct sock *sk, const struct cr_img_file_socket *s)
{
}

static struct sock *find_peer_ipv6(struct sock *sk, struct inet_hashinfo *hashinfo, int dif)
{
	return NULL;
}

static bool is_mapped(const struct sock *sk)
{
	return false;
}

#endif

/* A listener may get a queue for TCP fast open from the system's settings. */
static bool has_fastopen(struct sock *sk)
{
	int system = READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_fastopen);
	struct fastopen_queue *q = &inet_csk(sk)->icsk_accept_queue.fastopenq;

	if (rcu_access_pointer(q->ctx))
		return true;
	return q->max_qlen && !((system & TFO_SERVER_WO_SOCKOPT1) &&
				(system & TFO_SERVER_ENABLE));
}

/* Options that matter only as long as packets can be sent or accepted. */
static const char *unsupported_option(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);
	const char *what;

	if (inet_csk(sk)->icsk_ca_setsockopt)
		return "TCP_CONGESTION";
	if (has_fastopen(sk))
		return "TCP_FASTOPEN";
	if (tp->fastopen_connect)
		return "TCP_FASTOPEN_CONNECT";
	if (tp->fastopen_no_cookie)
		return "TCP_FASTOPEN_NO_COOKIE";
	if (tp->save_syn)
		return "TCP_SAVE_SYN";
	if (tp->recvmsg_inq)
		return "TCP_INQ";
	if (tp->thin_lto)
		return "TCP_THIN_LINEAR_TIMEOUTS";
	if (tp->tcp_tx_delay)
		return "TCP_TX_DELAY";
	if (tp->linger2)
		return "TCP_LINGER2";
	if (tp->window_clamp)
		return "TCP_WINDOW_CLAMP";
	if (sk->sk_incoming_cpu != -1)
		return "SO_INCOMING_CPU";
	what = unsupported_ip(sk);
	if (!what && sk->sk_family == AF_INET6)
		what = unsupported_ipv6(sk);
	return what;
}

static const char *unsupported_kind(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (sk_is_mptcp(sk))
		return "MPTCP";
	if (inet_csk(sk)->icsk_ulp_ops)
		return "TCP_ULP";
	if (tp->repair)
		return "TCP_REPAIR";
	if (inet_test_bit(DEFER_CONNECT, sk))
		return "TCP_FASTOPEN_CONNECT";
#ifdef CONFIG_TCP_MD5SIG
	if (rcu_access_pointer(tp->md5sig_info))
		return "TCP_MD5SIG";
#endif
#ifdef CONFIG_TCP_AO
	if (rcu_access_pointer(tp->ao_info))
		return "TCP_AO";
#endif
	return NULL;
}

static u32 state_of(struct sock *sk, u32 ss_state)
{
	if (sk->sk_state == TCP_LISTEN)
		return CR_IMG_SOCKET_LISTEN;
	if (sk->sk_state != TCP_CLOSE || !skb_queue_empty_lockless(&sk->sk_receive_queue))
		return CR_IMG_SOCKET_RESET;
	return ss_state == SS_UNCONNECTED ? CR_IMG_SOCKET_UNCONNECTED :
					    CR_IMG_SOCKET_CLOSED;
}

static void dump_addresses(struct sock *sk, struct cr_img_file_socket *s)
{
	struct inet_sock *inet = inet_sk(sk);

	if (s->family == AF_INET6) {
		dump_ipv6(sk, s);
	} else {
		__be32 local = inet->inet_rcv_saddr;

		if (!is_alive(s) && !local)
			local = inet->inet_saddr;
		memcpy(s->local, &local, sizeof(local));
		if (!is_alive(s))
			memcpy(s->remote, &inet->inet_daddr, sizeof(inet->inet_daddr));
	}
	if (is_alive(s)) {
		s->local_port = inet->inet_num;
	} else {
		s->local_port = ntohs(inet->inet_sport);
		s->remote_port = ntohs(inet->inet_dport);
	}
}

static u32 dump_flags(struct sock *sk)
{
	u32 flags = 0;

	if (tcp_sk(sk)->nonagle & TCP_NAGLE_OFF)
		flags |= CR_IMG_SOCKET_NODELAY;
	if (tcp_sk(sk)->nonagle & TCP_NAGLE_CORK)
		flags |= CR_IMG_SOCKET_CORK;
	if (sk->sk_family == AF_INET6 && ipv6_only_sock(sk))
		flags |= CR_IMG_SOCKET_V6ONLY;
	if (sk->sk_userlocks & SOCK_BINDADDR_LOCK)
		flags |= CR_IMG_SOCKET_BOUND_ADDR;
	if (sk->sk_userlocks & SOCK_BINDPORT_LOCK)
		flags |= CR_IMG_SOCKET_BOUND_PORT;
	if (inet_test_bit(FREEBIND, sk))
		flags |= CR_IMG_SOCKET_FREEBIND;
	if (inet_test_bit(TRANSPARENT, sk))
		flags |= CR_IMG_SOCKET_TRANSPARENT;
	if (inet_test_bit(BIND_ADDRESS_NO_PORT, sk))
		flags |= CR_IMG_SOCKET_NO_PORT;
	return flags;
}

int cr_tcp_dump(struct cr_ctx *ctx, struct sock *sk, struct cr_img_file_socket *s)
{
	struct tcp_sock *tp = tcp_sk(sk);
	const char *what = unsupported_kind(sk);
	int defer = 0, len = sizeof(defer);

	s->state = state_of(sk, s->ss_state);
	if (!what && is_alive(s))
		what = unsupported_option(sk);
	if (what)
		return cr_sock_refuse(ctx, what);

	s->flags |= dump_flags(sk);
	dump_addresses(sk, s);
	if (s->state == CR_IMG_SOCKET_LISTEN) {
		s->backlog = sk->sk_max_ack_backlog;
		s->nr_pending = sk->sk_ack_backlog;
	}
	do_tcp_getsockopt(sk, SOL_TCP, TCP_DEFER_ACCEPT, KERNEL_SOCKPTR(&defer),
			  KERNEL_SOCKPTR(&len));
	s->defer_accept = defer;
	s->keepidle = tp->keepalive_time / HZ;
	s->keepintvl = tp->keepalive_intvl / HZ;
	s->keepcnt = tp->keepalive_probes;
	s->user_timeout_ms = inet_csk(sk)->icsk_user_timeout;
	s->notsent_lowat = tp->notsent_lowat;
	s->maxseg = tp->rx_opt.user_mss;
	s->syncnt = inet_csk(sk)->icsk_syn_retries;
	s->tos = inet_sk(sk)->tos & ~INET_ECN_MASK;
	return 0;
}

/*
 * The other end of @sk if it is in this network namespace: a socket, or one
 * that is still on its way into a listener's queue. Needs sock_gen_put().
 */
static struct sock *find_peer(struct sock *sk)
{
	struct inet_hashinfo *hashinfo = sock_net(sk)->ipv4.tcp_death_row.hashinfo;
	int dif = READ_ONCE(sk->sk_bound_dev_if) ?: LOOPBACK_IFINDEX;
	struct inet_sock *inet = inet_sk(sk);

	if (sk->sk_family == AF_INET6 && !is_mapped(sk))
		return find_peer_ipv6(sk, hashinfo, dif);
	return __inet_lookup_established(sock_net(sk), hashinfo, inet->inet_rcv_saddr,
					 inet->inet_sport, inet->inet_daddr,
					 ntohs(inet->inet_dport), dif, 0);
}

static bool peer_in_tree(struct cr_ctx *ctx, struct sock *sk)
{
	struct sock *peer;
	bool inside = false;

	rcu_read_lock();
	peer = find_peer(sk);
	if (peer) {
		if (peer->sk_state == TCP_NEW_SYN_RECV)
			inside = cr_sock_in_tree(ctx, inet_reqsk(peer)->rsk_listener);
		else if (peer->sk_state != TCP_TIME_WAIT)
			inside = cr_sock_in_tree(ctx, peer);
		sock_gen_put(peer);
	}
	rcu_read_unlock();
	return inside;
}

/* Does a client of the tree wait in the queue of this listener? */
static bool client_in_tree(struct cr_ctx *ctx, struct sock *sk)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	struct request_sock *req;
	bool inside = false;

	spin_lock_bh(&queue->rskq_lock);
	for (req = queue->rskq_accept_head; req && !inside; req = req->dl_next)
		inside = req->sk && peer_in_tree(ctx, req->sk);
	spin_unlock_bh(&queue->rskq_lock);
	return inside;
}

const char *cr_tcp_check_peer(struct cr_ctx *ctx, struct sock *sk)
{
	bool inside;

	if (READ_ONCE(sk->sk_state) == TCP_LISTEN)
		inside = client_in_tree(ctx, sk);
	else
		inside = READ_ONCE(sk->sk_state) != TCP_CLOSE && peer_in_tree(ctx, sk);
	return inside ? "TCP connection with both ends inside the tree" : NULL;
}

static int make_addr(const struct cr_img_file_socket *s, const u8 *ip, u32 port,
		     struct sockaddr_storage *addr)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)addr;
	struct sockaddr_in *sin = (struct sockaddr_in *)addr;

	memset(addr, 0, sizeof(*addr));
	addr->ss_family = s->family;
	if (s->family == AF_INET6) {
		memcpy(&sin6->sin6_addr, ip, sizeof(sin6->sin6_addr));
		sin6->sin6_port = htons(port);
		return sizeof(*sin6);
	}
	memcpy(&sin->sin_addr, ip, sizeof(sin->sin_addr));
	sin->sin_port = htons(port);
	return sizeof(*sin);
}

/* For messages. */
void cr_tcp_name(const struct cr_img_file_socket *s, char *buf, size_t size)
{
	struct sockaddr_storage local, remote;

	make_addr(s, s->local, s->local_port, &local);
	make_addr(s, s->remote, s->remote_port, &remote);
	if (s->state == CR_IMG_SOCKET_LISTEN)
		snprintf(buf, size, "TCP listening on %pISpc", &local);
	else
		snprintf(buf, size, "TCP connection %pISpc <-> %pISpc", &local, &remote);
}

int cr_tcp_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const struct cr_img_file_socket *s = rec->data;
	const char *what = NULL;

	if (s->family == AF_INET &&
	    (memchr_inv(s->local + 4, 0, 12) || memchr_inv(s->remote + 4, 0, 12) ||
	     s->tclass || (s->flags & CR_IMG_SOCKET_V6ONLY)))
		what = "IPv4 address or option";
	else if (s->local_port > U16_MAX || s->remote_port > U16_MAX)
		what = "port";
	else if (is_alive(s) && (s->remote_port || memchr_inv(s->remote, 0, 16)))
		what = "peer of a socket without one";
	else if (s->state == CR_IMG_SOCKET_LISTEN && !s->local_port)
		what = "port to listen on";
	else if (s->keepidle > MAX_TCP_KEEPIDLE || s->keepintvl > MAX_TCP_KEEPINTVL ||
		 s->keepcnt > MAX_TCP_KEEPCNT || s->syncnt > MAX_TCP_SYNCNT)
		what = "number of probes or time between them";
	else if (s->user_timeout_ms > INT_MAX || s->defer_accept > INT_MAX)
		what = "timeout";
	else if (s->maxseg && (s->maxseg < TCP_MIN_MSS || s->maxseg > MAX_TCP_WINDOW))
		what = "segment size";
	else if ((s->tos | s->tclass) & ~(U8_MAX & ~INET_ECN_MASK))
		what = "traffic class";
	else if (s->name_id)
		what = "name";
	if (what)
		return cr_fail(ctx, -EINVAL, "record %u: socket: bad %s", rec->index, what);
	return 0;
}

static int restore_ip_opts(struct cr_ctx *ctx, struct socket *sock,
			   const struct cr_img_file_socket *s)
{
	int err = 0;

	/* The default depends on the system. */
	if (s->family == AF_INET6)
		err = cr_sock_set(ctx, sock, SOL_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY",
				  !!(s->flags & CR_IMG_SOCKET_V6ONLY));
	if (!err && (s->flags & CR_IMG_SOCKET_FREEBIND))
		err = cr_sock_set(ctx, sock, SOL_IP, IP_FREEBIND, "IP_FREEBIND", 1);
	if (!err && (s->flags & CR_IMG_SOCKET_TRANSPARENT))
		err = cr_sock_set(ctx, sock, SOL_IP, IP_TRANSPARENT, "IP_TRANSPARENT", 1);
	if (!err && (s->flags & CR_IMG_SOCKET_NO_PORT))
		err = cr_sock_set(ctx, sock, SOL_IP, IP_BIND_ADDRESS_NO_PORT,
				  "IP_BIND_ADDRESS_NO_PORT", 1);
	if (!err && s->tos)
		err = cr_sock_set(ctx, sock, SOL_IP, IP_TOS, "IP_TOS", s->tos);
	if (!err && s->tclass)
		err = cr_sock_set(ctx, sock, SOL_IPV6, IPV6_TCLASS, "IPV6_TCLASS", s->tclass);
	return err;
}

static int restore_tcp_opts(struct cr_ctx *ctx, struct socket *sock,
			    const struct cr_img_file_socket *s)
{
	const struct {
		int opt;
		const char *name;
		u32 val;
	} opts[] = {
		{ TCP_NODELAY, "TCP_NODELAY", !!(s->flags & CR_IMG_SOCKET_NODELAY) },
		{ TCP_CORK, "TCP_CORK", !!(s->flags & CR_IMG_SOCKET_CORK) },
		{ TCP_KEEPIDLE, "TCP_KEEPIDLE", s->keepidle },
		{ TCP_KEEPINTVL, "TCP_KEEPINTVL", s->keepintvl },
		{ TCP_KEEPCNT, "TCP_KEEPCNT", s->keepcnt },
		{ TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT", s->user_timeout_ms },
		{ TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT", s->defer_accept },
		{ TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT", s->notsent_lowat },
		{ TCP_MAXSEG, "TCP_MAXSEG", s->maxseg },
		{ TCP_SYNCNT, "TCP_SYNCNT", s->syncnt },
	};
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < ARRAY_SIZE(opts); i++) {
		if (opts[i].val)
			err = cr_sock_set(ctx, sock, SOL_TCP, opts[i].opt, opts[i].name,
					  opts[i].val);
	}
	return err;
}

static int restore_bind(struct cr_ctx *ctx, struct socket *sock,
			const struct cr_img_file_socket *s)
{
	struct sock *sk = sock->sk;
	struct sockaddr_storage addr;
	int len, err;

	if (!s->local_port && !(s->flags & CR_IMG_SOCKET_BOUND_ADDR))
		return 0;
	len = make_addr(s, s->local, s->local_port, &addr);
	/* A link-local address has the interface that the socket is bound to. */
	if (s->family == AF_INET6)
		((struct sockaddr_in6 *)&addr)->sin6_scope_id = sk->sk_bound_dev_if;
	err = __sys_bind_socket(sock, &addr, len);
	if (err)
		return cr_fail(ctx, err, "socket: cannot be bound to %pISpc: %s (%d)", &addr,
			       err == -EADDRINUSE ? "address in use" :
			       err == -EADDRNOTAVAIL ? "no such address here" :
			       err == -EACCES ? "not permitted" : "error", err);

	/* If the kernel had chosen the port it is still not the user's choice. */
	lock_sock(sk);
	sk->sk_userlocks &= ~(SOCK_BINDADDR_LOCK | SOCK_BINDPORT_LOCK);
	if (s->flags & CR_IMG_SOCKET_BOUND_ADDR)
		sk->sk_userlocks |= SOCK_BINDADDR_LOCK;
	if (s->flags & CR_IMG_SOCKET_BOUND_PORT)
		sk->sk_userlocks |= SOCK_BINDPORT_LOCK;
	release_sock(sk);
	if (s->state != CR_IMG_SOCKET_LISTEN)
		return 0;
	err = __sys_listen_socket(sock, s->backlog);
	if (err)
		return cr_fail(ctx, err, "socket: cannot listen on %pISpc: %s (%d)", &addr,
			       err == -EADDRINUSE ? "address in use" : "error", err);
	return 0;
}

/*
 * What tcp_reset() leaves of a connection: not hashed, holding no port,
 * TCP_CLOSE, but still with its addresses. A fresh socket lacks only these;
 * sk_err and sk_shutdown are set by the caller.
 */
static void restore_dead(struct socket *sock, const struct cr_img_file_socket *s)
{
	struct sock *sk = sock->sk;
	struct inet_sock *inet = inet_sk(sk);

	lock_sock(sk);
	sock->state = s->ss_state;
	inet->inet_sport = htons(s->local_port);
	inet->inet_dport = htons(s->remote_port);
	if (s->family == AF_INET6) {
		restore_dead_ipv6(sk, s);
	} else {
		memcpy(&inet->inet_rcv_saddr, s->local, sizeof(inet->inet_rcv_saddr));
		memcpy(&inet->inet_saddr, s->local, sizeof(inet->inet_saddr));
		memcpy(&inet->inet_daddr, s->remote, sizeof(inet->inet_daddr));
	}
	release_sock(sk);
}

int cr_tcp_restore(struct cr_ctx *ctx, struct socket *sock,
		   const struct cr_img_file_socket *s)
{
	int err = restore_ip_opts(ctx, sock, s) ?:
		  cr_sock_opts_restore(ctx, sock, s) ?:
		  restore_tcp_opts(ctx, sock, s);

	if (err)
		return err;
	if (is_alive(s))
		return restore_bind(ctx, sock, s);
	restore_dead(sock, s);
	return 0;
}
