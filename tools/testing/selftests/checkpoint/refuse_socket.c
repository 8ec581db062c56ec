// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: sockets and options that are refused, each by its name.
 * checkpoint() fails, says so, and the original goes on.
 */
#include "socket_help.h"

#include <linux/filter.h>
#include <linux/if_alg.h>
#include <linux/netlink.h>
#include <linux/userfaultfd.h>
#include <sys/mman.h>

#define PORT	7003

FIXTURE(refuse) {
};

FIXTURE_SETUP(refuse)
{
	sk_own_net(_metadata);
}

FIXTURE_TEARDOWN(refuse)
{
}

/* ---- kinds ---- */

static const struct kind {
	const char *name;
	int family;
	int type;
	int protocol;
} kinds[] = {
	{ "UDP", AF_INET, SOCK_DGRAM, 0 },
	{ "UDP", AF_INET6, SOCK_DGRAM, 0 },
	{ "UDP-Lite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ "ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
	{ "raw IPv4", AF_INET, SOCK_RAW, IPPROTO_ICMP },
	{ "raw IPv6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6 },
	{ "MPTCP", AF_INET, SOCK_STREAM, 262 },
	{ "SCTP", AF_INET, SOCK_STREAM, 132 },
	{ "packet", AF_PACKET, SOCK_RAW, 0 },
	{ "netlink", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE },
	{ "alg", AF_ALG, SOCK_SEQPACKET, 0 },
	{ "vsock", AF_VSOCK, SOCK_STREAM, 0 },
	{ "unix datagram", AF_UNIX, SOCK_DGRAM, 0 },
};

static const struct kind *kind;

static void kind_workload(struct cr_child *c)
{
	int fd = socket(kind->family, kind->type, kind->protocol);

	CR_CHECK(c, fd == 3);
	cr_ready(c);
	CR_CHECK(c, sk_get(fd, SOL_SOCKET, SO_TYPE) == kind->type);
}

TEST_F(refuse, kinds)
{
	char reason[80];
	unsigned int i;
	int fd;

	/* of this network namespace: root may have ping sockets */
	fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
	EXPECT_TRUE(fd < 0 || write(fd, "0 0", 3) == 3);
	close(fd);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		kind = &kinds[i];
		fd = socket(kind->family, kind->type, kind->protocol);
		if (fd < 0) {
			TH_LOG("this kernel has no %s sockets", kind->name);
			continue;
		}
		close(fd);
		snprintf(reason, sizeof(reason), "fd 3: socket: %s: not supported",
			 kind->name);
		cr_refused(_metadata, kind_workload, EOPNOTSUPP, reason);
	}
}

/* ---- unix ---- */

static int bind_unix(int type, const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	memcpy(un.sun_path, name, strlen(name));
	return bind(fd, (struct sockaddr *)&un, sizeof(un)) ? -1 : fd;
}

static void unix_bound(struct cr_child *c)
{
	CR_CHECK(c, bind_unix(SOCK_STREAM, "name") == 3);
	cr_ready(c);
}

static void unix_listening(struct cr_child *c)
{
	int fd = bind_unix(SOCK_STREAM, "name");

	CR_CHECK(c, fd >= 0 && !listen(fd, 5));
	cr_ready(c);
	CR_CHECK(c, sk_get(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1);
}

static void unix_pair(struct cr_child *c)
{
	int fd[2];

	CR_CHECK(c, !socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	CR_CHECK(c, sk_send(fd[0]));
	cr_ready(c);
	CR_CHECK(c, sk_recv(fd[1]) && sk_send(fd[1]) && sk_recv(fd[0]));
}

/* A descriptor is in flight to itself, the other end is closed. */
static void unix_scm_rights(struct cr_child *c)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int))];
	} cmsg = {};
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &cmsg, .msg_controllen = sizeof(cmsg),
	};
	int fd[2], zero = 0;

	CR_CHECK(c, !socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	cmsg.hdr.cmsg_level = SOL_SOCKET;
	cmsg.hdr.cmsg_type = SCM_RIGHTS;
	cmsg.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&cmsg.hdr), &zero, sizeof(zero));
	CR_CHECK(c, sendmsg(fd[0], &msg, 0) == 1);
	close(fd[0]);
	cr_ready(c);
	CR_CHECK(c, recvmsg(fd[1], &msg, 0) == 1 && msg.msg_controllen > 0);
}

TEST_F(refuse, unix_bound)
{
	cr_refused(_metadata, unix_bound, EOPNOTSUPP,
		   "fd 3: socket: unix, bound and not connected: not supported");
}

static void unix_device(struct cr_child *c)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	CR_CHECK(c, fd == 3 && !setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	cr_ready(c);
}

TEST_F(refuse, unix_bound_to_device)
{
	cr_refused(_metadata, unix_device, EOPNOTSUPP,
		   "fd 3: socket: unix, bound to an interface (SO_BINDTODEVICE): not supported");
}

TEST_F(refuse, unix_listening)
{
	cr_refused(_metadata, unix_listening, EOPNOTSUPP,
		   "fd 3: socket: unix, listening: not supported");
}

TEST_F(refuse, unix_pair)
{
	cr_refused(_metadata, unix_pair, EOPNOTSUPP,
		   "socket: unix socketpair inside the tree: not supported");
}

TEST_F(refuse, unix_scm_rights)
{
	cr_refused(_metadata, unix_scm_rights, EOPNOTSUPP,
		   "fd 4: socket: unix, with descriptors in flight (SCM_RIGHTS): not supported");
}

/* ---- connections inside the tree ---- */

static const char *inside_ip;

static void tcp_inside(struct cr_child *c)
{
	int listener = sk_listen(inside_ip, PORT, 5);
	int client = sk_connect(inside_ip, PORT);
	int server = accept(listener, NULL, NULL);

	CR_CHECK(c, client >= 0 && server >= 0 && !close(listener));
	cr_ready(c);
	CR_CHECK(c, sk_send(client) && sk_recv(server));
}

static void tcp_unaccepted(struct cr_child *c)
{
	int listener = sk_listen(inside_ip, PORT, 5);
	int client = sk_connect(inside_ip, PORT), server;

	CR_CHECK(c, client >= 0);
	cr_ready(c);
	server = accept(listener, NULL, NULL);
	CR_CHECK(c, sk_send(client) && sk_recv(server));
}

#define INSIDE	"socket: TCP connection with both ends inside the tree: not supported"

TEST_F(refuse, tcp_inside_v4)
{
	inside_ip = "127.0.0.1";
	cr_refused(_metadata, tcp_inside, EOPNOTSUPP, INSIDE);
}

TEST_F(refuse, tcp_inside_v6)
{
	inside_ip = "::1";
	cr_refused(_metadata, tcp_inside, EOPNOTSUPP, INSIDE);
}

TEST_F(refuse, tcp_unaccepted_v4)
{
	inside_ip = "127.0.0.1";
	cr_refused(_metadata, tcp_unaccepted, EOPNOTSUPP, INSIDE);
}

TEST_F(refuse, tcp_unaccepted_v6)
{
	inside_ip = "::1";
	cr_refused(_metadata, tcp_unaccepted, EOPNOTSUPP, INSIDE);
}

/* ---- a socket of another network namespace ---- */

static void other_netns(struct cr_child *c)
{
	int fd;

	CR_CHECK(c, !unshare(CLONE_NEWNET));
	fd = open("/proc/self/ns/net", O_RDONLY);
	CR_CHECK(c, fd == 3 && !close(fd));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CR_CHECK(c, fd == 3);
	CR_CHECK(c, !unshare(CLONE_NEWNET));
	cr_ready(c);
	CR_CHECK(c, sk_get(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
}

TEST_F(refuse, other_netns)
{
	cr_refused(_metadata, other_netns, EOPNOTSUPP,
		   "fd 3: socket: of another network namespace: not supported");
}

/* ---- options ---- */

static const struct option {
	const char *name;
	int family;
	int level;
	int opt;
	int val;
} options[] = {
	{ "SO_DEBUG", AF_INET, SOL_SOCKET, SO_DEBUG, 1 },
	{ "SO_TIMESTAMP", AF_INET, SOL_SOCKET, SO_TIMESTAMP, 1 },
	{ "SO_DONTROUTE", AF_INET, SOL_SOCKET, SO_DONTROUTE, 1 },
	{ "SO_ZEROCOPY", AF_INET, SOL_SOCKET, SO_ZEROCOPY, 1 },
	{ "SO_MAX_PACING_RATE", AF_INET, SOL_SOCKET, SO_MAX_PACING_RATE, 12345 },
	{ "SO_INCOMING_CPU", AF_INET, SOL_SOCKET, SO_INCOMING_CPU, 0 },
	{ "SO_RXQ_OVFL", AF_INET, SOL_SOCKET, SO_RXQ_OVFL, 1 },
	{ "SO_PASSSEC", AF_UNIX, SOL_SOCKET, SO_PASSSEC, 1 },
	{ "SO_PEEK_OFF", AF_UNIX, SOL_SOCKET, SO_PEEK_OFF, 0 },
	{ "IP_TTL", AF_INET, IPPROTO_IP, IP_TTL, 33 },
	{ "IP_RECVTTL", AF_INET, IPPROTO_IP, IP_RECVTTL, 1 },
	{ "IP_RECVERR", AF_INET, IPPROTO_IP, IP_RECVERR, 1 },
	{ "IP_MTU_DISCOVER", AF_INET, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO },
	{ "IPV6_UNICAST_HOPS", AF_INET6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 33 },
	{ "IPV6_RECVERR", AF_INET6, IPPROTO_IPV6, IPV6_RECVERR, 1 },
	{ "TCP_FASTOPEN", AF_INET, IPPROTO_TCP, TCP_FASTOPEN, 5 },
	{ "TCP_SAVE_SYN", AF_INET, IPPROTO_TCP, TCP_SAVE_SYN, 1 },
	{ "TCP_INQ", AF_INET, IPPROTO_TCP, TCP_INQ, 1 },
	{ "TCP_LINGER2", AF_INET, IPPROTO_TCP, TCP_LINGER2, 7 },
	{ "TCP_WINDOW_CLAMP", AF_INET, IPPROTO_TCP, TCP_WINDOW_CLAMP, 10000 },
	{ "TCP_REPAIR", AF_INET, IPPROTO_TCP, TCP_REPAIR, 1 },
};

static const struct option *option;

static void option_workload(struct cr_child *c)
{
	int fd = socket(option->family, SOCK_STREAM, 0);

	CR_CHECK(c, fd == 3);
	CR_CHECK(c, !sk_set(fd, option->level, option->opt, option->val));
	cr_ready(c);
	CR_CHECK(c, sk_get(fd, option->level, option->opt) != -1);
}

TEST_F(refuse, options)
{
	char reason[80];
	unsigned int i;
	int fd, err;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		option = &options[i];
		fd = socket(option->family, SOCK_STREAM, 0);
		err = sk_set(fd, option->level, option->opt, option->val);
		close(fd);
		if (err) {
			TH_LOG("this kernel has no %s", option->name);
			continue;
		}
		snprintf(reason, sizeof(reason), "fd 3: socket: %s: not supported",
			 option->name);
		cr_refused(_metadata, option_workload, EOPNOTSUPP, reason);
	}
}

static void filter(struct cr_child *c)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0xffff);
	struct sock_fprog prog = { 1, &all };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CR_CHECK(c, !setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
	cr_ready(c);
}

TEST_F(refuse, filter)
{
	cr_refused(_metadata, filter, EOPNOTSUPP, "fd 3: socket: SO_ATTACH_FILTER");
}

static void congestion(struct cr_child *c)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CR_CHECK(c, !setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	cr_ready(c);
}

TEST_F(refuse, congestion)
{
	cr_refused(_metadata, congestion, EOPNOTSUPP, "fd 3: socket: TCP_CONGESTION");
}

/* ---- in use outside the tree ---- */

static void connected(struct cr_child *c)
{
	int fd = sk_connect("127.0.0.1", PORT);

	CR_CHECK(c, fd == 3);
	cr_ready(c);
}

/* Memory that nobody provides before it is told to. */
static int missing_page(struct __test_metadata *_metadata, struct uffdio_register *reg)
{
	struct uffdio_api api = { .api = UFFD_API };
	/* poll() of one that may block only says POLLERR */
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	void *page;

	if (fd < 0)
		SKIP(return -1, "no userfaultfd");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	reg->range.start = (unsigned long)page;
	reg->range.len = 4096;
	reg->mode = UFFDIO_REGISTER_MODE_MISSING;
	ASSERT_EQ(0, ioctl(fd, UFFDIO_REGISTER, reg));
	return fd;
}

struct sender {
	int fd;
	void *page;
	long sent;
};

static void *send_page(void *arg)
{
	struct sender *s = arg;

	s->sent = send(s->fd, s->page, 4096, MSG_NOSIGNAL);
	return NULL;
}

/* Its lock is held by a fault that may last as long as it likes. */
TEST_F(refuse, locked_outside)
{
	int listener = sk_listen("127.0.0.1", PORT, 5), peer, pidfd, uffd;
	struct uffdio_zeropage zero = {};
	struct uffdio_register reg = {};
	struct sender s = {};
	struct pollfd fault;
	pthread_t thread;
	struct cr_child c;
	long crid;

	ASSERT_LE(0, listener);
	fcntl(listener, F_SETFD, FD_CLOEXEC);
	uffd = missing_page(_metadata, &reg);
	if (uffd < 0)
		return;
	cr_begin(_metadata, &c, connected);
	peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ASSERT_LE(0, peer);
	pidfd = syscall(SYS_pidfd_open, c.pid, 0);
	s.fd = syscall(SYS_pidfd_getfd, pidfd, 3, 0);
	ASSERT_LE(0, s.fd);
	s.page = (void *)reg.range.start;
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_page, &s));
	fault = (struct pollfd){ .fd = uffd, .events = POLLIN };
	ASSERT_EQ(1, poll(&fault, 1, CR_WAIT_S * 1000));
	ASSERT_EQ(POLLIN, fault.revents);

	EXPECT_EQ(-1, sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "fd 3: socket is in use outside the tree")) {
		TH_LOG("%s", cr_reason());
	}

	zero.range = reg.range;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(4096, s.sent);
	crid = cr_keep(_metadata, &c);
	EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
	munmap(s.page, 4096);
	close(uffd);
	close(s.fd);
	close(pidfd);
	close(peer);
	close(listener);
}

TEST_HARNESS_MAIN
