// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: TCP sockets that have no connection: listening, bound,
 * fresh; their options; who waits in accept().
 */
#include "socket_help.h"
#include <sys/wait.h>

#define PORT	7001

FIXTURE(listen) {
};

FIXTURE_SETUP(listen)
{
	sk_own_net(_metadata);
}

FIXTURE_TEARDOWN(listen)
{
}

/*
 * As cr_both_ways(), with @nr clients that come when the original, or the copy,
 * waits for them: each says something and must hear it again.
 */
static void serve_both_ways(struct __test_metadata *_metadata,
			    void (*workload)(struct cr_child *), const char *ip, int nr)
{
	struct cr_child c;
	int copy, i, fd[4];

	cr_begin(_metadata, &c, workload);
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	for (copy = 0; copy < 2; copy++) {
		if (copy)
			cr_load(_metadata, &c, 0);
		for (i = 0; i < nr; i++) {
			fd[i] = sk_connect(ip, PORT);
			ASSERT_LE(0, fd[i]);
			ASSERT_TRUE(sk_send(fd[i]));
		}
		cr_finish(_metadata, &c, copy ? "restarted copy" : "original");
		for (i = 0; i < nr; i++) {
			ASSERT_TRUE(sk_recv(fd[i]));
			close(fd[i]);
		}
	}
	cr_end(_metadata, &c);
}

static int backlog_of(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? -1 : (int)info.tcpi_sacked;
}

static void listen_on(struct cr_child *c, const char *ip, int v6only)
{
	bool v6 = strchr(ip, ':');
	union sk_addr before, after;
	socklen_t len = sizeof(after);
	int fd;

	sk_make(&before, ip, PORT);
	fd = socket(before.sa.sa_family, SOCK_STREAM, 0);
	CR_CHECK(c, fd >= 0);
	CR_CHECK(c, !sk_set(fd, SOL_SOCKET, SO_REUSEADDR, 1));
	if (v6)
		CR_CHECK(c, !sk_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only));
	CR_CHECK(c, !bind(fd, &before.sa, v6 ? sizeof(before.in6) : sizeof(before.in)));
	CR_CHECK(c, !listen(fd, 17));
	cr_ready(c);

	CR_CHECK(c, sk_get(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1);
	CR_CHECK(c, !getsockname(fd, &after.sa, &len));
	CR_CHECK(c, !memcmp(&before, &after, len));
	CR_CHECK(c, backlog_of(fd) == 17);
	if (v6)
		CR_CHECK(c, sk_get(fd, IPPROTO_IPV6, IPV6_V6ONLY) == v6only);
	CR_CHECK(c, fcntl(fd, F_GETFL) == O_RDWR);
	CR_CHECK(c, sk_serve(fd));
}

static void on_v4(struct cr_child *c)
{
	listen_on(c, "127.0.0.1", 0);
}

static void on_v4_any(struct cr_child *c)
{
	listen_on(c, "0.0.0.0", 0);
}

static void on_v6(struct cr_child *c)
{
	listen_on(c, "::1", 1);
}

static void on_v6_any(struct cr_child *c)
{
	listen_on(c, "::", 0);
}

static void on_v6_mapped(struct cr_child *c)
{
	listen_on(c, "::ffff:127.0.0.1", 0);
}

/* Both families on one port: works only if each keeps to its own. */
static void on_v6_only(struct cr_child *c)
{
	int v4 = sk_listen("0.0.0.0", PORT, 1);

	CR_CHECK(c, v4 >= 0);
	listen_on(c, "::", 1);
}

TEST_F(listen, v4)
{
	serve_both_ways(_metadata, on_v4, "127.0.0.1", 1);
}

TEST_F(listen, v4_any)
{
	serve_both_ways(_metadata, on_v4_any, "127.0.0.2", 1);
}

TEST_F(listen, v6)
{
	serve_both_ways(_metadata, on_v6, "::1", 1);
}

TEST_F(listen, v6_any)
{
	serve_both_ways(_metadata, on_v6_any, "127.0.0.1", 1);
}

TEST_F(listen, v6_mapped)
{
	serve_both_ways(_metadata, on_v6_mapped, "127.0.0.1", 1);
}

TEST_F(listen, v6_only)
{
	serve_both_ways(_metadata, on_v6_only, "::1", 1);
}

static void reuseport(struct cr_child *c)
{
	union sk_addr a;
	socklen_t len = sk_make(&a, "127.0.0.1", PORT);
	struct pollfd p[2];
	int i;

	for (i = 0; i < 2; i++) {
		p[i].fd = socket(AF_INET, SOCK_STREAM, 0);
		p[i].events = POLLIN;
		CR_CHECK(c, !sk_set(p[i].fd, SOL_SOCKET, SO_REUSEADDR, 1));
		CR_CHECK(c, !sk_set(p[i].fd, SOL_SOCKET, SO_REUSEPORT, 1));
		CR_CHECK(c, !bind(p[i].fd, &a.sa, len));
		CR_CHECK(c, !listen(p[i].fd, 5));
	}
	cr_ready(c);
	CR_CHECK(c, sk_get(p[0].fd, SOL_SOCKET, SO_REUSEPORT) == 1);
	CR_CHECK(c, sk_get(p[1].fd, SOL_SOCKET, SO_REUSEPORT) == 1);
	CR_CHECK(c, poll(p, 2, CR_WAIT_S * 1000) == 1);
	CR_CHECK(c, sk_serve(p[p[0].revents ? 0 : 1].fd));
}

TEST_F(listen, reuseport)
{
	serve_both_ways(_metadata, reuseport, "127.0.0.1", 1);
}

/* One descriptor in two, with one open file: FD_CLOEXEC, O_NONBLOCK. */
static void nonblock(struct cr_child *c)
{
	int fd = sk_listen("127.0.0.1", PORT, 5), fd2;
	struct pollfd p = { .events = POLLIN };

	CR_CHECK(c, fd >= 0);
	fd2 = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	CR_CHECK(c, fd2 == 100);
	CR_CHECK(c, !fcntl(fd, F_SETFL, O_NONBLOCK));
	cr_ready(c);
	CR_CHECK(c, fcntl(fd2, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CR_CHECK(c, fcntl(fd, F_GETFD) == 0 && fcntl(fd2, F_GETFD) == FD_CLOEXEC);
	p.fd = fd2;
	CR_CHECK(c, poll(&p, 1, CR_WAIT_S * 1000) == 1);
	CR_CHECK(c, !fcntl(fd2, F_SETFL, 0));
	CR_CHECK(c, fcntl(fd, F_GETFL) == O_RDWR);
	CR_CHECK(c, sk_serve(fd));
}

TEST_F(listen, nonblock)
{
	serve_both_ways(_metadata, nonblock, "127.0.0.1", 1);
}

static int accept_fd;

static void *accept_thread(void *arg)
{
	return (void *)(long)sk_serve(accept_fd);
}

/* Two threads are in accept(), and go on in it. */
static void blocked(struct cr_child *c)
{
	pthread_t thread[2];
	void *ok;
	int i;

	accept_fd = sk_listen("127.0.0.1", PORT, 5);
	CR_CHECK(c, accept_fd >= 0);
	for (i = 0; i < 2; i++)
		CR_CHECK(c, !pthread_create(&thread[i], NULL, accept_thread, NULL));
	cr_sleep_ms(100);
	cr_ready(c);
	for (i = 0; i < 2; i++) {
		CR_CHECK(c, !pthread_join(thread[i], &ok));
		CR_CHECK(c, ok);
	}
}

TEST_F(listen, blocked_in_accept)
{
	serve_both_ways(_metadata, blocked, "127.0.0.1", 2);
}

/* A server of the old kind: children wait on the parent's socket. */
static void prefork(struct cr_child *c)
{
	int fd = sk_listen("127.0.0.1", PORT, 5), i, status;
	pid_t pid[3];

	CR_CHECK(c, fd >= 0);
	for (i = 0; i < 3; i++) {
		pid[i] = fork();
		CR_CHECK(c, pid[i] >= 0);
		if (!pid[i])
			_exit(sk_serve(fd) ? 0 : 3);
	}
	cr_sleep_ms(100);
	cr_ready(c);
	for (i = 0; i < 3; i++) {
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i]);
		CR_CHECK(c, status == 0);
	}
	/* The open file is still one: what the parent sets all had. */
	CR_CHECK(c, sk_get(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1);
}

TEST_F(listen, prefork)
{
	serve_both_ways(_metadata, prefork, "127.0.0.1", 3);
}

/* A port that the kernel chose stays the same; listen() without bind(). */
static void ephemeral(struct cr_child *c)
{
	union sk_addr a;
	socklen_t len = sk_make(&a, "127.0.0.1", 0);
	int bound = socket(AF_INET, SOCK_STREAM, 0);
	int unbound = socket(AF_INET6, SOCK_STREAM, 0);
	int ports[2], client, fd;

	CR_CHECK(c, !sk_set(bound, SOL_SOCKET, SO_REUSEADDR, 1));
	CR_CHECK(c, !sk_set(unbound, SOL_SOCKET, SO_REUSEADDR, 1));
	CR_CHECK(c, !bind(bound, &a.sa, len));
	CR_CHECK(c, !listen(unbound, 5));
	ports[0] = sk_port(bound);
	ports[1] = sk_port(unbound);
	CR_CHECK(c, ports[0] > 0 && ports[1] > 0);
	cr_ready(c);
	CR_CHECK(c, sk_port(bound) == ports[0]);
	CR_CHECK(c, sk_port(unbound) == ports[1]);

	/* A bound one can still be used either way: connect from that port. */
	len = sk_make(&a, "127.0.0.1", ports[1]);
	CR_CHECK(c, !connect(bound, &a.sa, len));
	len = sizeof(a);
	fd = accept(unbound, &a.sa, &len);
	CR_CHECK(c, fd >= 0 && ntohs(a.in6.sin6_port) == ports[0]);
	client = sk_connect("::1", ports[1]);
	CR_CHECK(c, client >= 0);
}

TEST_F(listen, ephemeral)
{
	cr_both_ways(_metadata, ephemeral, 0);
}

/* Never bound: nothing of it is in the network, but it must be usable. */
static void fresh(struct cr_child *c)
{
	int v4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int v6 = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int local = socket(AF_UNIX, SOCK_STREAM, 0);
	int seq = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	union sk_addr a;
	socklen_t len;
	int fd;

	CR_CHECK(c, v4 >= 0 && v6 >= 0 && local >= 0 && seq >= 0);
	CR_CHECK(c, sk_set(v4, IPPROTO_TCP, TCP_NODELAY, 1) == 0);
	cr_ready(c);
	CR_CHECK(c, fcntl(v4, F_GETFD) == FD_CLOEXEC && fcntl(v6, F_GETFD) == 0);
	CR_CHECK(c, fcntl(v6, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CR_CHECK(c, sk_port(v4) == 0 && sk_port(v6) == 0);
	CR_CHECK(c, sk_get(v4, IPPROTO_TCP, TCP_NODELAY) == 1);
	CR_CHECK(c, sk_get(local, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
	CR_CHECK(c, sk_get(seq, SOL_SOCKET, SO_TYPE) == SOCK_SEQPACKET);
	CR_CHECK(c, sk_get(local, SOL_SOCKET, SO_DOMAIN) == AF_UNIX);
	fd = sk_listen("::", PORT, 5);
	len = sk_make(&a, "127.0.0.1", PORT);
	CR_CHECK(c, !connect(v4, &a.sa, len));
	len = sk_make(&a, "::1", PORT);
	CR_CHECK(c, connect(v6, &a.sa, len) == 0 || errno == EINPROGRESS);
	CR_CHECK(c, accept(fd, NULL, NULL) >= 0 && accept(fd, NULL, NULL) >= 0);
}

TEST_F(listen, fresh)
{
	cr_both_ways(_metadata, fresh, 0);
}

static const struct {
	int family;
	int level;
	int opt;
	int val;
} options[] = {
	{ AF_INET,  SOL_SOCKET, SO_REUSEADDR, 1 },
	{ AF_INET,  SOL_SOCKET, SO_REUSEPORT, 1 },
	{ AF_INET,  SOL_SOCKET, SO_KEEPALIVE, 1 },
	{ AF_INET,  SOL_SOCKET, SO_BROADCAST, 1 },
	{ AF_INET,  SOL_SOCKET, SO_OOBINLINE, 1 },
	{ AF_INET,  SOL_SOCKET, SO_SNDBUF, 50000 },
	{ AF_INET,  SOL_SOCKET, SO_RCVBUF, 60000 },
	{ AF_INET,  SOL_SOCKET, SO_RCVLOWAT, 123 },
	{ AF_INET,  IPPROTO_IP, IP_TOS, 0x10 },
	{ AF_INET,  SOL_SOCKET, SO_PRIORITY, 5 },
	{ AF_INET,  SOL_SOCKET, SO_MARK, 0x1234 },
	{ AF_INET,  IPPROTO_IP, IP_FREEBIND, 1 },
	{ AF_INET,  IPPROTO_IP, IP_TRANSPARENT, 1 },
	{ AF_INET,  IPPROTO_TCP, TCP_NODELAY, 1 },
	{ AF_INET,  IPPROTO_TCP, TCP_CORK, 1 },
	{ AF_INET,  IPPROTO_TCP, TCP_KEEPIDLE, 55 },
	{ AF_INET,  IPPROTO_TCP, TCP_KEEPINTVL, 66 },
	{ AF_INET,  IPPROTO_TCP, TCP_KEEPCNT, 7 },
	{ AF_INET,  IPPROTO_TCP, TCP_USER_TIMEOUT, 12345 },
	{ AF_INET,  IPPROTO_TCP, TCP_DEFER_ACCEPT, 9 },
	{ AF_INET,  IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4096 },
	{ AF_INET,  IPPROTO_TCP, TCP_MAXSEG, 1000 },
	{ AF_INET,  IPPROTO_TCP, TCP_SYNCNT, 3 },
	{ AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, 1 },
	{ AF_INET6, IPPROTO_IPV6, IPV6_TCLASS, 0x20 },
	{ AF_INET6, IPPROTO_IP, IP_TOS, 0x08 },
	{ AF_INET6, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1 },
	{ AF_UNIX,  SOL_SOCKET, SO_PASSCRED, 1 },
	{ AF_UNIX,  SOL_SOCKET, SO_SNDBUF, 70000 },
};

/* Each option alone, and what getsockopt() says of all others with it. */
static void options_kept(struct cr_child *c)
{
	int fd[ARRAY_SIZE(options)], want[ARRAY_SIZE(options)];
	struct timeval tv = { .tv_sec = 3, .tv_usec = 500000 }, tv2;
	struct linger linger = { .l_onoff = 1, .l_linger = 44 }, linger2;
	socklen_t len;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		fd[i] = socket(options[i].family, SOCK_STREAM, 0);
		CR_CHECK(c, fd[i] >= 0);
		if (sk_set(fd[i], options[i].level, options[i].opt, options[i].val)) {
			cr_log(c, "option %u: %s", i, strerror(errno));
			_exit(1);
		}
		want[i] = sk_get(fd[i], options[i].level, options[i].opt);
	}
	CR_CHECK(c, !setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	CR_CHECK(c, !setsockopt(fd[1], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	CR_CHECK(c, !setsockopt(fd[2], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	CR_CHECK(c, !setsockopt(fd[3], SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	cr_ready(c);

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		int val = sk_get(fd[i], options[i].level, options[i].opt);

		if (val != want[i]) {
			cr_log(c, "option %u: %d and not %d", i, val, want[i]);
			_exit(1);
		}
	}
	len = sizeof(tv2);
	CR_CHECK(c, !getsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &tv2, &len));
	CR_CHECK(c, tv2.tv_sec == 3 && tv2.tv_usec == 500000);
	CR_CHECK(c, !getsockopt(fd[1], SOL_SOCKET, SO_SNDTIMEO, &tv2, &len));
	CR_CHECK(c, tv2.tv_sec == 3 && tv2.tv_usec == 500000);
	CR_CHECK(c, !getsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &tv2, &len));
	CR_CHECK(c, tv2.tv_sec == 0 && tv2.tv_usec == 0);
	len = sizeof(linger2);
	CR_CHECK(c, !getsockopt(fd[2], SOL_SOCKET, SO_LINGER, &linger2, &len));
	CR_CHECK(c, linger2.l_onoff && linger2.l_linger == 44);
	CR_CHECK(c, sk_get(fd[3], SOL_SOCKET, SO_BINDTOIFINDEX) == (int)if_nametoindex("lo"));
}

TEST_F(listen, options)
{
	cr_both_ways(_metadata, options_kept, 0);
}

/* Clients nobody has accepted are lost, which restart() must be told. */
static void idle_server(struct cr_child *c)
{
	int fd = sk_listen("127.0.0.1", PORT, 5);

	CR_CHECK(c, fd >= 0);
	cr_ready(c);
	CR_CHECK(c, sk_serve(fd));
}

TEST_F(listen, pending)
{
	struct cr_child c;
	int fd, early;

	cr_begin(_metadata, &c, idle_server);
	early = sk_connect("127.0.0.1", PORT);
	ASSERT_LE(0, early);
	ASSERT_TRUE(sk_send(early));
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	ASSERT_TRUE(sk_recv(early));
	close(early);

	cr_load_refused(_metadata, &c, ECONNRESET, "TCP listening on 127.0.0.1:7001");
	EXPECT_NE(NULL, strstr(cr_reason(), "RESTART_CONN_RESET"));

	cr_load(_metadata, &c, RESTART_CONN_RESET);
	fd = sk_connect("127.0.0.1", PORT);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(sk_send(fd));
	cr_finish(_metadata, &c, "restarted copy");
	ASSERT_TRUE(sk_recv(fd));
	close(fd);
	cr_end(_metadata, &c);
}

/* Somebody else has the port now. */
TEST_F(listen, port_in_use)
{
	struct cr_child c;
	int fd, other;

	cr_begin_image(_metadata, &c, idle_server);
	other = sk_listen("0.0.0.0", PORT, 1);
	ASSERT_LE(0, other);
	cr_load_refused(_metadata, &c, EADDRINUSE, "127.0.0.1:7001: address in use");
	close(other);

	/* And now nobody has. */
	cr_load(_metadata, &c, 0);
	fd = sk_connect("127.0.0.1", PORT);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(sk_send(fd));
	cr_finish(_metadata, &c, "restarted copy");
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
