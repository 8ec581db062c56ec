// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt restart: the restored root is a child of ckpt and is adopted by init
 * when ckpt exits, unless ckpt is told to wait for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "ckpt.h"

/* The exit status as a shell would tell it. */
static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno == EINTR)
			continue;
		ckpt_error("cannot wait for %d: %s", pid, strerror(errno));
		return CKPT_WAIT_FAILED;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* For messages. */
static const char *source(const struct ckpt_options *opt)
{
	static char text[32];

	if (!opt->id)
		return strcmp(opt->image, "-") ? opt->image : "standard input";
	snprintf(text, sizeof(text), "checkpoint %d", opt->id);
	return text;
}

int ckpt_restart(const struct ckpt_options *opt)
{
	int failed = opt->wait ? CKPT_WAIT_FAILED : CKPT_FAILED;
	int fd = STDIN_FILENO, err;
	u64 start;
	long pid;

	if (opt->id) {
		fd = -1;
	} else if (strcmp(opt->image, "-")) {
		fd = open(opt->image, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			ckpt_error("cannot read %s: %s", opt->image, strerror(errno));
			return failed;
		}
	}

	start = ckpt_now_ns();
	pid = syscall(__NR_restart, opt->id, fd, opt->flags);
	err = errno;
	if (opt->verbose)
		ckpt_print_report(start, ckpt_now_ns());
	if (pid < 0) {
		ckpt_error("cannot restart %s: %s", source(opt),
			   opt->id && err == ESRCH ? "no such checkpoint" : ckpt_reason(err));
		return failed;
	}
	if (fd > 0)
		close(fd);
	printf("%ld\n", pid);
	fflush(stdout);
	return opt->wait ? wait_for(pid) : 0;
}
