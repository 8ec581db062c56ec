/* SPDX-License-Identifier: GPL-2.0 */
/*
 * cr_worker: what all kinds of work share.
 *
 * A worker verifies what it has, all the time. The first wrong byte is told in
 * the file "wrong" of the working directory, and the worker exits with 3. It
 * ends when there is a file "stop". Nothing in it is to depend on a clock, or on
 * what a file had before: it may be put back to any moment that it lived through,
 * or live on in several copies.
 */
#ifndef _WORKER_H
#define _WORKER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "splitmix.h"

#define PAGE		4096UL
#define PAGE_WORDS	(PAGE / sizeof(uint64_t))

/* What should take no time at all is lost if it takes that long. */
#define LOST_SECONDS	200

#define WRONG_STATUS	3

static const char *kind_name = "cr_worker";
static uint64_t rng;

static inline uint64_t rnd(uint64_t n)
{
	rng += SPLITMIX_STEP;
	return mix(rng) % n;
}

static inline __attribute__((noreturn, format(printf, 1, 2)))
void wrong(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n, fd;

	n = snprintf(text, 128, "%s pid %d: ", kind_name, getpid());
	va_start(ap, fmt);
	n += vsnprintf(text + n, sizeof(text) - n - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	fd = open("wrong", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, text, n) != n)
		_exit(WRONG_STATUS + 1);
	_exit(WRONG_STATUS);
}

/* A system call that cannot fail did. Also with EINTR: nobody may notice. */
#define MUST(expr) do { \
	if (!(expr)) \
		wrong("line %d: %s: %s", __LINE__, #expr, strerror(errno)); \
} while (0)

static inline void same(const char *what, uint64_t expected, uint64_t found)
{
	if (expected != found)
		wrong("%s: expected %llu, found %llu", what, (unsigned long long)expected,
		      (unsigned long long)found);
}

static inline bool stopped(void)
{
	return !access("stop", F_OK);
}

static inline void fill(uint64_t *p, size_t words, uint64_t key)
{
	size_t i;

	for (i = 0; i < words; i++)
		p[i] = mix(key + i);
}

/* The first wrong byte of @words words that fill() has written. */
static inline void verify(const char *what, const uint64_t *p, size_t words, uint64_t key)
{
	size_t i, byte = 0;
	uint64_t expected;

	for (i = 0; i < words; i++) {
		expected = mix(key + i);
		if (p[i] == expected)
			continue;
		while (((p[i] ^ expected) >> (8 * byte) & 0xff) == 0)
			byte++;
		wrong("%s: address %p byte %zu: expected 0x%02x, found 0x%02x (key 0x%llx)",
		      what, p, i * sizeof(*p) + byte, (uint8_t)(expected >> (8 * byte)),
		      (uint8_t)(p[i] >> (8 * byte)), (unsigned long long)key);
	}
}

static inline void verify_zero(const char *what, const void *page)
{
	const uint8_t *p = page;
	size_t i;

	for (i = 0; i < PAGE; i++)
		if (p[i])
			wrong("%s: address %p byte %zu: expected 0, found 0x%02x", what, page,
			      i, p[i]);
}

static inline void put(int fd, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		MUST(n > 0);
		buf = (const char *)buf + n;
		len -= n;
	}
}

/* False at the end of file, which must not come in the middle. */
static inline bool get(int fd, void *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)buf + got, len - got);

		MUST(n >= 0);
		if (!n && !got)
			return false;
		MUST(n > 0);
		got += n;
	}
	return true;
}

static inline void reap(pid_t pid, int expected)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid);
	if (status == expected)
		return;
	/* it has told itself */
	if (status == (WRONG_STATUS << 8))
		_exit(WRONG_STATUS);
	wrong("pid %d: expected status 0x%x, found 0x%x", pid, expected, status);
}

static inline pid_t start(void)
{
	pid_t pid = fork();

	MUST(pid >= 0);
	if (!pid)
		rng = mix(rng);
	else
		rng++;
	return pid;
}

static inline void *map_new(size_t len, int flags)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED);
	return p;
}

static inline void futex_wake_all(uint32_t *word)
{
	MUST(syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0) >= 0);
}

/* Until *word is not @value any more; a wakeup that never comes is told. */
static inline void futex_wait_change(uint32_t *word, uint32_t value)
{
	struct timespec ts = { .tv_sec = LOST_SECONDS };

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
		if (!syscall(SYS_futex, word, FUTEX_WAIT, value, &ts, NULL, 0))
			continue;
		if (errno == EAGAIN)
			continue;
		wrong("futex stays %u: %s", value, strerror(errno));
	}
}

#endif /* _WORKER_H */
