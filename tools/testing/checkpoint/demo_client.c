// SPDX-License-Identifier: GPL-2.0
/*
 * The demonstration's client of a Redis server: writes numbered keys one after
 * another and keeps, in memory until it ends, when each was sent and
 * acknowledged (CLOCK_MONOTONIC, nanoseconds).
 *
 * demo_client write PORT LOG FIRST: keys from k:<FIRST> on, until SIGTERM or until
 *	the connection breaks
 * demo_client gap LOG FROM TO: longest time without an acknowledgment
 * demo_client edges LOG START END: of the keys, counted from 1, the last one
 *	acknowledged before START, the first one sent after END, the last one sent
 * demo_client now: the time
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct entry {
	long long sent;
	long long acked;	/* 0: never */
};

static struct entry *entries;
static size_t nr_entries, room;
static int stopping;

static void die(const char *what)
{
	fprintf(stderr, "demo_client: %s: %s\n", what, strerror(errno));
	exit(2);
}

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static struct entry *new_entry(void)
{
	if (nr_entries == room) {
		room = room ? 2 * room : 1 << 20;
		entries = realloc(entries, room * sizeof(*entries));
		if (!entries)
			die("memory");
	}
	memset(&entries[nr_entries], 0, sizeof(*entries));
	return &entries[nr_entries++];
}

static void on_term(int sig)
{
	(void)sig;
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
}

static int connect_to(int port)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* SET k:<n> <n>; false if the connection broke. */
static bool set_key(int fd, size_t n)
{
	char key[32], value[32], text[128];
	struct entry *e = new_entry();
	int klen, vlen, len;
	ssize_t got = 0, r;

	klen = snprintf(key, sizeof(key), "k:%zu", n);
	vlen = snprintf(value, sizeof(value), "%zu", n);
	len = snprintf(text, sizeof(text), "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n",
		       klen, key, vlen, value);
	e->sent = now();
	if (send(fd, text, len, MSG_NOSIGNAL) != len)
		return false;
	while (got < 5) {
		r = recv(fd, text + got, sizeof(text) - got, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		got += r;
	}
	if (got != 5 || memcmp(text, "+OK\r\n", 5)) {
		fprintf(stderr, "demo_client: key %zu: %.*s\n", n, (int)got, text);
		exit(2);
	}
	e->acked = now();
	return true;
}

static int do_write(int port, const char *log, size_t first)
{
	struct sigaction sa = { .sa_handler = on_term };
	int fd = connect_to(port);
	FILE *f;
	size_t i;

	sigaction(SIGTERM, &sa, NULL);
	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED))
		if (!set_key(fd, first + nr_entries))
			break;
	f = fopen(log, "we");
	if (!f)
		die(log);
	for (i = 0; i < nr_entries; i++)
		fprintf(f, "%lld %lld\n", entries[i].sent, entries[i].acked);
	if (fclose(f))
		die(log);
	return 0;
}

static void read_log(const char *log)
{
	FILE *f = fopen(log, "re");
	struct entry e;

	if (!f)
		die(log);
	while (fscanf(f, "%lld %lld", &e.sent, &e.acked) == 2)
		*new_entry() = e;
	fclose(f);
}

/* Between two acknowledgments, both of them at least partly in the period. */
static int do_gap(long long from, long long to)
{
	long long longest = 0, last = 0;
	size_t i;

	for (i = 0; i < nr_entries && entries[i].acked; i++) {
		long long t = entries[i].acked;

		if (last && last <= to && t >= from && t - last > longest)
			longest = t - last;
		last = t;
	}
	printf("%lld\n", longest);
	return 0;
}

static int do_edges(long long start, long long end)
{
	size_t i, acked = 0, after = 0;

	for (i = 0; i < nr_entries; i++) {
		if (entries[i].acked && entries[i].acked < start)
			acked = i + 1;
		if (!after && entries[i].sent > end)
			after = i + 1;
	}
	printf("%zu %zu %zu\n", acked, after, nr_entries);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "now")) {
		printf("%lld\n", now());
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "write"))
		return do_write(atoi(argv[2]), argv[3], atoll(argv[4]));
	if (argc == 5) {
		read_log(argv[2]);
		if (!strcmp(argv[1], "gap"))
			return do_gap(atoll(argv[3]), atoll(argv[4]));
		if (!strcmp(argv[1], "edges"))
			return do_edges(atoll(argv[3]), atoll(argv[4]));
	}
	fprintf(stderr, "demo_client: wrong usage\n");
	return 2;
}
