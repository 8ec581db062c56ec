/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Images as streams: something to remember, who reads them, and callers that
 * wait for that.
 */
#ifndef _STREAM_HELP_H
#define _STREAM_HELP_H

#include "cr_selftest.h"

#define MEMORY	(512 * 1024)

/* Something to verify in memory, with more than one run of pages. */
static inline void remember(struct cr_child *c)
{
	unsigned int *m = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	CR_CHECK(c, m != MAP_FAILED);
	for (i = 0; i < MEMORY / sizeof(*m); i++)
		m[i] = i * 2654435761U;
	cr_ready(c);
	for (i = 0; i < MEMORY / sizeof(*m); i++)
		CR_CHECK(c, m[i] == i * 2654435761U);
}

/* Copies everything from @in to @out, at most @piece bytes at a time. */
static inline int copy_all(int in, int out, size_t piece, unsigned int pause_ms, size_t pauses)
{
	char buf[65536];
	ssize_t n, done, m;

	while ((n = read(in, buf, piece)) > 0) {
		for (done = 0; done < n; done += m) {
			m = write(out, buf + done, n - done);
			if (m < 0)
				return 1;
		}
		if (pauses) {
			pauses--;
			cr_sleep_ms(pause_ms);
		}
	}
	return n ? 1 : 0;
}

/*
 * A process that calls checkpoint() for @id and exits with the errno. It does not
 * have @not_fd, the reader's end.
 */
static inline pid_t begin_call(struct __test_metadata *_metadata, int id, int fd,
			       unsigned long flags, int not_fd)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		close(not_fd);
		_exit(sys_checkpoint(id, fd, flags) < 0 ? errno : 0);
	}
	return pid;
}

/* A number that the first thread of @pid reports of its call. */
static inline unsigned long long number_of(pid_t pid, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/checkpoint", pid, pid);
	return strtoull(cr_report_at(path, key), NULL, 10);
}

/* Until @caller has written something: then the tree runs, unless it is to die. */
static inline void wait_writing(struct __test_metadata *_metadata, pid_t caller)
{
	int n;

	for (n = 0; !number_of(caller, "bytes"); n++) {
		ASSERT_LT(n, CR_WAIT_S * 1000 / CR_POLL_MS) {
			TH_LOG("no byte was written");
		}
		cr_sleep_ms(CR_POLL_MS);
	}
}

/* What @pid exits with, -1 if a signal has killed it. */
static inline int exit_of(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif /* _STREAM_HELP_H */
