// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt: what /proc/thread-self/checkpoint says about the last call, for people.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ckpt.h"

void ckpt_error(const char *fmt, ...)
{
	va_list ap;

	fputs("ckpt: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

u64 ckpt_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/*
 * The report as the kernel writes it, "key: value" lines; "" if there is none;
 * NULL if this kernel has no such thing.
 */
static char *read_report(void)
{
	static char text[4096];
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = open("/proc/thread-self/checkpoint", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	close(fd);
	text[len] = '\0';
	return text;
}

const char *ckpt_reason(int err)
{
	static char full[1024];
	char *text = read_report(), *end;

	if (!text && !access("/proc/thread-self", F_OK))
		return "this kernel has no checkpoint/restart (CONFIG_CHECKPOINT)";
	if (text)
		text = strstr(text, "\nreason:");
	if (!text)
		return strerror(err);
	text += strlen("\nreason:");
	text += strspn(text, " ");
	end = strchr(text, '\n');
	if (end)
		*end = '\0';
	if (!*text)
		return strerror(err);
	/* "not supported" stands there already, with what is not */
	if (err == EOPNOTSUPP)
		return text;
	snprintf(full, sizeof(full), "%s (%s)", text, strerror(err));
	return full;
}

void ckpt_print_report(u64 start_ns, u64 end_ns)
{
	const char *text = read_report();

	fprintf(stderr, "call_start_ns: %llu\ncall_end_ns: %llu\n%s",
		(unsigned long long)start_ns, (unsigned long long)end_ns, text ? text : "");
}
