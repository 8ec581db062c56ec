/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checkpoint/restart selftests: sockets. Every test has a network namespace of
 * its own, with nothing but lo, so ports are free and nobody else connects.
 */
#ifndef _SOCKET_HELP_H
#define _SOCKET_HELP_H

#include "cr_selftest.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

union sk_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static inline void sk_own_net(struct __test_metadata *_metadata)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd;

	if (geteuid())
		SKIP(exit(KSFT_SKIP), "needs root");
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags |= IFF_UP;
	ASSERT_EQ(0, ioctl(fd, SIOCSIFFLAGS, &ifr));
	close(fd);
}

static inline socklen_t sk_make(union sk_addr *a, const char *ip, int port)
{
	memset(a, 0, sizeof(*a));
	if (strchr(ip, ':')) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons(port);
		inet_pton(AF_INET6, ip, &a->in6.sin6_addr);
		return sizeof(a->in6);
	}
	a->in.sin_family = AF_INET;
	a->in.sin_port = htons(port);
	inet_pton(AF_INET, ip, &a->in.sin_addr);
	return sizeof(a->in);
}

static inline int sk_port(int fd)
{
	union sk_addr a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.sa, &len))
		return -1;
	return ntohs(a.sa.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
}

static inline int sk_get(int fd, int level, int opt)
{
	socklen_t len = sizeof(int);
	int val = 0;

	return getsockopt(fd, level, opt, &val, &len) ? -1 : val;
}

static inline int sk_set(int fd, int level, int opt, int val)
{
	return setsockopt(fd, level, opt, &val, sizeof(val));
}

/* Listening socket with SO_REUSEADDR; -1 on error. */
static inline int sk_listen(const char *ip, int port, int backlog)
{
	union sk_addr a;
	socklen_t len = sk_make(&a, ip, port);
	int fd = socket(a.sa.sa_family, SOCK_STREAM, 0);

	if (fd < 0 || sk_set(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
	    bind(fd, &a.sa, len) || listen(fd, backlog))
		return -1;
	return fd;
}

static inline int sk_connect(const char *ip, int port)
{
	struct timeval tv = { .tv_sec = CR_WAIT_S };
	union sk_addr a;
	socklen_t len = sk_make(&a, ip, port);
	int fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
			connect(fd, &a.sa, len))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The server's part of a client's visit. */
static inline bool sk_echo(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1;
}

static inline bool sk_serve(int listener)
{
	int fd = accept(listener, NULL, NULL);
	bool ok = fd >= 0 && sk_echo(fd);

	close(fd);
	return ok;
}

static inline bool sk_send(int fd)
{
	return send(fd, "x", 1, MSG_NOSIGNAL) == 1;
}

static inline bool sk_recv(int fd)
{
	char byte = 0;

	return recv(fd, &byte, 1, 0) == 1 && byte == 'x';
}

#endif /* _SOCKET_HELP_H */
