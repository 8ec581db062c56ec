/* SPDX-License-Identifier: GPL-2.0 */
/*
 * torture_random: Redis as a tree. It is alone in its network namespace, which
 * the driver is in as well.
 */
#ifndef _RANDOM_REDIS_H
#define _RANDOM_REDIS_H

#include <netinet/in.h>

#include "random_tree.h"

#define REDIS_PORT	6399
#define REDIS_TRIES	2000

static int redis_connect(void)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(REDIS_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd, n;

	for (n = 0; n < REDIS_TRIES; n++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			die("socket");
		if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
			return fd;
		close(fd);
		usleep(50000);
	}
	return -1;
}

/* One command, and the first line of the answer; false if there is none. */
static bool redis_ask(const char *command, char *answer, size_t size)
{
	int fd = redis_connect();
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return false;
	dprintf(fd, "%s\r\n", command);
	answer[0] = '\0';
	while (n > 0 && len + 1 < size && !strchr(answer, '\n')) {
		n = read(fd, answer + len, size - 1 - len);
		if (n > 0)
			len += n;
		answer[len] = '\0';
	}
	close(fd);
	answer[strcspn(answer, "\r\n")] = '\0';
	return len;
}

/* Known data; what its digest is. */
static bool redis_ready(struct tree *t)
{
	char ok[64];

	if (redis_ask("DEBUG POPULATE 3000 key 100", ok, sizeof(ok)) && !strcmp(ok, "+OK") &&
	    redis_ask("DEBUG DIGEST", t->digest, sizeof(t->digest)))
		return true;
	tell_wrong(t, "undisturbed: Redis does not answer: %s", ok);
	return false;
}

/* It must still have all of its data; then it may end. */
static void redis_stop(struct tree *t)
{
	char digest[64];

	if (!redis_ask("DEBUG DIGEST", digest, sizeof(digest)))
		tell_wrong(t, "Redis does not answer");
	else if (strcmp(digest, t->digest))
		tell_wrong(t, "digest of the data: expected %s, found %s", t->digest, digest);
	redis_ask("SHUTDOWN NOSAVE", digest, sizeof(digest));
}

static const struct program redis = {
	.name = "redis",
	.argv = { "redis-server", "--port", "6399", "--save", "", "--appendonly", "no",
		  "--enable-debug-command", "yes", "--hz", "50" },
	.own = true,
	.ready = redis_ready,
	.stop = redis_stop,
	/* a client of the driver may be gone without Redis knowing it yet */
	.restart_flags = RESTART_CONN_RESET,
};

#endif /* _RANDOM_REDIS_H */
