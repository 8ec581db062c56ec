/* SPDX-License-Identifier: GPL-2.0 */
/*
 * checkpoint() and restart(), and what the kernel tells about them. For all
 * programs that test or measure them, not only the selftests.
 */
#ifndef _CR_CALL_H
#define _CR_CALL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/checkpoint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef __NR_checkpoint
#define __NR_checkpoint 548
#endif
#ifndef __NR_restart
#define __NR_restart 549
#endif

/* Of the thread's last call. */
#define CR_REPORT	"/proc/thread-self/checkpoint"
#define CR_REPORT_MAX	4096

static inline long sys_checkpoint(pid_t pid, int fd, unsigned long flags)
{
	return syscall(__NR_checkpoint, pid, fd, flags);
}

static inline long sys_restart(int crid, int fd, unsigned long flags)
{
	return syscall(__NR_restart, crid, fd, flags);
}

/* The report at @path as it is; "" if there is none. Keeps errno. */
static inline void cr_report_text(const char *path, char text[CR_REPORT_MAX])
{
	int err = errno, fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, CR_REPORT_MAX - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	errno = err;
}

/*
 * A value of a report at @path ("frozen_ns", "reason", ...); "" if there is none.
 * Valid until the thread's next call. Keeps errno.
 */
static inline const char *cr_report_at(const char *path, const char *key)
{
	static __thread char text[CR_REPORT_MAX];
	size_t len = strlen(key);
	char *line, *end;

	cr_report_text(path, text);
	for (line = text; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		if (!strncmp(line, key, len) && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " ");
	}
	return "";
}

/* Of this thread's last call. */
static inline const char *cr_report(const char *key)
{
	return cr_report_at(CR_REPORT, key);
}

#endif /* _CR_CALL_H */
