// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: connections whose peer is outside the tree. The original
 * keeps them; the copy finds them reset, if restart() was told so.
 */
#include "socket_help.h"

#define PORT	7002
#define PATH	"@cr-socket-reset"

FIXTURE(reset) {
};

FIXTURE_SETUP(reset)
{
	sk_own_net(_metadata);
}

FIXTURE_TEARDOWN(reset)
{
}

static bool is_copy(struct cr_child *c)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/.copy", c->dir);
	return !access(path, F_OK);
}

static void tell_copy(struct __test_metadata *_metadata, struct cr_child *c)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/.copy", c->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	ASSERT_LE(0, fd);
	close(fd);
}

/* restart() without the flag must say what stands in the way. */
static void needs_flag(struct __test_metadata *_metadata, struct cr_child *c,
		       const char *reason)
{
	cr_load_refused(_metadata, c, ECONNRESET, reason);
	EXPECT_NE(NULL, strstr(cr_reason(), "RESTART_CONN_RESET"));
}

/* What a process sees of a connection that its peer has reset. */
static void check_reset(struct cr_child *c, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP };
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP | POLLOUT };
	int ep = epoll_create1(0);
	union sk_addr a;
	socklen_t len = sizeof(a);
	char byte;

	CR_CHECK(c, poll(&p, 1, 0) == 1);
	CR_CHECK(c, (p.revents & (POLLIN | POLLHUP | POLLERR | POLLRDHUP)) ==
		    (POLLIN | POLLHUP | POLLERR | POLLRDHUP));
	CR_CHECK(c, !epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	CR_CHECK(c, epoll_wait(ep, &ev, 1, 0) == 1);
	CR_CHECK(c, (ev.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) ==
		    (EPOLLIN | EPOLLHUP | EPOLLERR));
	CR_CHECK(c, recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET);
	CR_CHECK(c, recv(fd, &byte, 1, 0) == 0);
	CR_CHECK(c, send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	CR_CHECK(c, sk_get(fd, SOL_SOCKET, SO_ERROR) == 0);
	if (sk_get(fd, SOL_SOCKET, SO_DOMAIN) != AF_UNIX)
		CR_CHECK(c, getpeername(fd, &a.sa, &len) == -1 && errno == ENOTCONN);
	CR_CHECK(c, !close(fd));
}

/* A server with a client, over IPv4 and IPv6. */
static const char *server_ip;

static void server(struct cr_child *c)
{
	int listener = sk_listen(server_ip, PORT, 5), fd, port;

	CR_CHECK(c, listener >= 0);
	cr_ready(c);			/* for the client, see below */
	fd = accept(listener, NULL, NULL);
	CR_CHECK(c, fd >= 0);
	CR_CHECK(c, !sk_set(fd, IPPROTO_TCP, TCP_NODELAY, 1));
	port = sk_port(fd);
	CR_CHECK(c, sk_echo(fd));
	unlink(c->go);
	cr_ready(c);

	CR_CHECK(c, sk_port(fd) == port);
	CR_CHECK(c, sk_get(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
	if (is_copy(c))
		check_reset(c, fd);
	else
		CR_CHECK(c, sk_echo(fd));
	/* The listener next to it is as good as ever. */
	CR_CHECK(c, sk_serve(listener));
}

static int open_go(struct cr_child *c)
{
	return open(c->go, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
}

static void wait_file(struct __test_metadata *_metadata, const char *path, bool there)
{
	int n;

	for (n = 0; !access(path, F_OK) != there; n++) {
		ASSERT_LT(n, CR_WAIT_S * 1000 / CR_POLL_MS);
		cr_sleep_ms(CR_POLL_MS);
	}
}

static void test_server(struct __test_metadata *_metadata, const char *ip, const char *reason)
{
	struct cr_child c;
	int client, second;

	server_ip = ip;
	cr_begin(_metadata, &c, server);
	client = sk_connect(ip, PORT);
	ASSERT_LE(0, client);
	unlink(c.ready);
	close(open_go(&c));
	ASSERT_TRUE(sk_send(client));
	ASSERT_TRUE(sk_recv(client));
	wait_file(_metadata, c.go, false);
	wait_file(_metadata, c.ready, true);

	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	ASSERT_TRUE(sk_send(client));
	second = sk_connect(ip, PORT);
	ASSERT_LE(0, second);
	ASSERT_TRUE(sk_send(second));
	cr_finish(_metadata, &c, "original");
	ASSERT_TRUE(sk_recv(client));
	ASSERT_TRUE(sk_recv(second));
	close(client);
	close(second);

	needs_flag(_metadata, &c, reason);
	tell_copy(_metadata, &c);
	cr_load(_metadata, &c, RESTART_CONN_RESET);
	client = sk_connect(ip, PORT);
	ASSERT_LE(0, client);
	ASSERT_TRUE(sk_send(client));
	cr_finish(_metadata, &c, "restarted copy");
	ASSERT_TRUE(sk_recv(client));
	close(client);
	cr_end(_metadata, &c);
}

TEST_F(reset, server_v4)
{
	test_server(_metadata, "127.0.0.1", "TCP connection 127.0.0.1:7002 <-> 127.0.0.1:");
}

TEST_F(reset, server_v6)
{
	test_server(_metadata, "::1", "TCP connection [::1]:7002 <-> [::1]:");
}

/* A client whose server is outside; a thread is in recv() all the time. */
static int client_fd;
static ssize_t recv_ret;
static int recv_errno;

static void *recv_thread(void *arg)
{
	char byte;

	recv_ret = recv(client_fd, &byte, 1, 0);
	recv_errno = errno;
	return NULL;
}

static void client(struct cr_child *c)
{
	pthread_t thread;
	union sk_addr a;
	socklen_t len = sk_make(&a, "127.0.0.1", PORT);

	client_fd = socket(AF_INET, SOCK_STREAM, 0);
	CR_CHECK(c, !connect(client_fd, &a.sa, len));
	CR_CHECK(c, !pthread_create(&thread, NULL, recv_thread, NULL));
	cr_sleep_ms(100);
	cr_ready(c);
	CR_CHECK(c, !pthread_join(thread, NULL));
	if (is_copy(c)) {
		CR_CHECK(c, recv_ret == -1 && recv_errno == ECONNRESET);
		CR_CHECK(c, recv(client_fd, &a, 1, 0) == 0);
	} else {
		CR_CHECK(c, recv_ret == 1);
	}
}

TEST_F(reset, blocked_in_recv)
{
	int listener = sk_listen("127.0.0.1", PORT, 5), fd;
	struct cr_child c;

	ASSERT_LE(0, listener);
	fcntl(listener, F_SETFD, FD_CLOEXEC);
	cr_begin(_metadata, &c, client);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	ASSERT_TRUE(sk_send(fd));
	cr_finish(_metadata, &c, "original");
	needs_flag(_metadata, &c, "<-> 127.0.0.1:7002");
	tell_copy(_metadata, &c);
	cr_load(_metadata, &c, RESTART_CONN_RESET);
	cr_finish(_metadata, &c, "restarted copy");
	cr_end(_metadata, &c);
	close(fd);
	close(listener);
}

/* connect() in progress: the backlog of the server is full. */
static void connecting(struct cr_child *c)
{
	union sk_addr a;
	socklen_t len = sk_make(&a, "127.0.0.1", PORT);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	CR_CHECK(c, connect(fd, &a.sa, len) == -1 && errno == EINPROGRESS);
	cr_ready(c);
	if (is_copy(c)) {
		CR_CHECK(c, poll(&p, 1, 0) == 1);
		CR_CHECK(c, sk_get(fd, SOL_SOCKET, SO_ERROR) == ECONNRESET);
		CR_CHECK(c, connect(fd, &a.sa, len) == -1 && errno == ECONNABORTED);
	} else {
		CR_CHECK(c, poll(&p, 1, 0) == 0);
		CR_CHECK(c, connect(fd, &a.sa, len) == -1 && errno == EALREADY);
	}
}

TEST_F(reset, connecting)
{
	int listener = sk_listen("127.0.0.1", PORT, 0), fd;
	struct cr_child c;

	ASSERT_LE(0, listener);
	fcntl(listener, F_SETFD, FD_CLOEXEC);
	fd = sk_connect("127.0.0.1", PORT);
	ASSERT_LE(0, fd);
	cr_begin(_metadata, &c, connecting);
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	needs_flag(_metadata, &c, "<-> 127.0.0.1:7002");
	tell_copy(_metadata, &c);
	cr_load(_metadata, &c, RESTART_CONN_RESET);
	cr_finish(_metadata, &c, "restarted copy");
	cr_end(_metadata, &c);
	close(fd);
	close(listener);
}

/*
 * A reset sets the error of a socket before its state: poll() in between
 * finds POLLERR alone, and only the next one POLLHUP.
 */
static int hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	do {
		if (poll(&p, 1, CR_WAIT_S * 1000) != 1)
			return 0;
	} while (!(p.revents & POLLHUP));
	return 1;
}

/* Over before the checkpoint: comes back without the flag, error and all. */
static void over(struct cr_child *c)
{
	int told = sk_connect("127.0.0.1", PORT);
	int untold = sk_connect("127.0.0.1", PORT);
	char byte;

	CR_CHECK(c, told >= 0 && untold >= 0);
	CR_CHECK(c, sk_send(told) && sk_send(untold));
	CR_CHECK(c, hung_up(told) && hung_up(untold));
	CR_CHECK(c, recv(told, &byte, 1, 0) == -1 && errno == ECONNRESET);
	cr_ready(c);
	CR_CHECK(c, recv(told, &byte, 1, 0) == 0);
	CR_CHECK(c, send(told, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	check_reset(c, untold);
}

static void *resetting_server(void *arg)
{
	struct linger linger = { .l_onoff = 1 };
	char byte;
	int fd;

	/* close() with SO_LINGER of no time sends a reset */
	while ((fd = accept4((int)(long)arg, NULL, NULL, SOCK_CLOEXEC)) >= 0 &&
	       read(fd, &byte, 1) == 1) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(fd);
	}
	return NULL;
}

TEST_F(reset, over_already)
{
	int listener = sk_listen("127.0.0.1", PORT, 5);
	pthread_t thread;

	ASSERT_LE(0, listener);
	fcntl(listener, F_SETFD, FD_CLOEXEC);
	ASSERT_EQ(0, pthread_create(&thread, NULL, resetting_server, (void *)(long)listener));
	cr_both_ways(_metadata, over, 0);
}

/* AF_UNIX: a client of a server outside, such as a system's log. */
static int unix_type;

static socklen_t unix_addr(struct sockaddr_un *un)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, PATH, strlen(PATH));
	un->sun_path[0] = '\0';
	return offsetof(struct sockaddr_un, sun_path) + strlen(PATH);
}

/* Nobody is at the other end of a copy's connection, above all not the copy itself. */
static void check_peer(struct cr_child *c, int fd, bool there)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	gid_t groups[32];

	CR_CHECK(c, !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len));
	CR_CHECK(c, there ? peer.pid != getpid() : !peer.pid);
	CR_CHECK(c, peer.uid == (there ? 0 : (uid_t)-1) && peer.gid == (there ? 0 : (gid_t)-1));
	len = sizeof(groups);
	CR_CHECK(c, !getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == there);
}

static int unix_connect(struct cr_child *c)
{
	struct sockaddr_un un;
	socklen_t len = unix_addr(&un);
	int fd = socket(AF_UNIX, unix_type, 0);

	CR_CHECK(c, !connect(fd, (struct sockaddr *)&un, len));
	return fd;
}

static void unix_client(struct cr_child *c)
{
	int fd = unix_connect(c);

	cr_ready(c);
	check_peer(c, fd, !is_copy(c));
	if (is_copy(c))
		check_reset(c, fd);
	else
		CR_CHECK(c, sk_echo(fd));
}

static void unix_left_alone(struct cr_child *c)
{
	int fd = unix_connect(c);
	char byte;

	CR_CHECK(c, read(fd, &byte, 1) == 0);
	cr_ready(c);
	check_peer(c, fd, !is_copy(c));
	CR_CHECK(c, read(fd, &byte, 1) == 0);
}

static int unix_listener(struct __test_metadata *_metadata, int type)
{
	struct sockaddr_un un;
	socklen_t len = unix_addr(&un);
	int listener = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	unix_type = type;
	ASSERT_EQ(0, bind(listener, (struct sockaddr *)&un, len));
	ASSERT_EQ(0, listen(listener, 5));
	return listener;
}

static void test_unix(struct __test_metadata *_metadata, int type)
{
	int listener = unix_listener(_metadata, type), fd;
	struct cr_child c;

	cr_begin(_metadata, &c, unix_client);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(sk_send(fd));
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	ASSERT_TRUE(sk_recv(fd));
	needs_flag(_metadata, &c, "unix connection " PATH);
	tell_copy(_metadata, &c);
	cr_load(_metadata, &c, RESTART_CONN_RESET);
	cr_finish(_metadata, &c, "restarted copy");
	cr_end(_metadata, &c);
	close(fd);
	close(listener);
}

TEST_F(reset, unix_stream)
{
	test_unix(_metadata, SOCK_STREAM);
}

TEST_F(reset, unix_seqpacket)
{
	test_unix(_metadata, SOCK_SEQPACKET);
}

static void *accept_and_leave(void *arg)
{
	close(accept4((int)(long)arg, NULL, NULL, SOCK_CLOEXEC));
	return NULL;
}

/* It is over already, so nobody has to permit anything. */
TEST_F(reset, unix_peer_is_gone)
{
	int listener = unix_listener(_metadata, SOCK_STREAM);
	pthread_t thread;
	struct cr_child c;

	ASSERT_EQ(0, pthread_create(&thread, NULL, accept_and_leave, (void *)(long)listener));
	cr_begin(_metadata, &c, unix_left_alone);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	tell_copy(_metadata, &c);
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "restarted copy");
	cr_end(_metadata, &c);
	close(listener);
}

TEST_HARNESS_MAIN
