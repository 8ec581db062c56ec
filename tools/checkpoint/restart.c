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

/* Where the image comes from; -1 if that was told to be impossible. */
static int input_open(const struct ckpt_options *opt)
{
	int fd;

	if (!strcmp(opt->image, "-"))
		return STDIN_FILENO;
	fd = open(opt->image, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		ckpt_error("cannot read %s: %s", opt->image, strerror(errno));
	return fd;
}

/* Why it failed. @ns tells if it was not restart() that did. */
static void tell_failure(const struct ckpt_options *opt, const struct ckpt_pidns *ns, int err)
{
	if (ns->what)
		ckpt_error("cannot restart %s: %s: %s", source(opt), ns->what, strerror(err));
	else
		ckpt_error("cannot restart %s: %s", source(opt), ckpt_reason(err));
}

int ckpt_restart(const struct ckpt_options *opt)
{
	int failed = opt->wait ? CKPT_WAIT_FAILED : CKPT_FAILED;
	struct ckpt_progress progress = { };
	struct ckpt_pidns ns = { .sock = -1 };
	int fd = -1, err, status = 0;
	long pid = -1;
	u64 start;

	if (!opt->id) {
		fd = input_open(opt);
		if (fd < 0)
			return failed;
	}
	/* First: no thread can be made once children get another PID namespace. */
	if (ckpt_progress_wanted(opt, fd))
		ckpt_progress_start(&progress, "read", true);
	start = ckpt_now_ns();
	if (opt->netns && ckpt_netns())
		ns.what = "a new network namespace";
	else if (opt->pidns)
		pid = ckpt_pidns_restart(&ns, opt, fd);
	else
		pid = syscall(__NR_restart, opt->id, fd, opt->flags);
	err = errno;
	ckpt_progress_end(&progress);
	if (opt->verbose)
		ckpt_print_report(start, ckpt_now_ns());
	if (pid < 0) {
		tell_failure(opt, &ns, err);
		ckpt_pidns_wait(&ns);
		return failed;
	}
	if (fd > 0)
		close(fd);
	printf("%ld\n", pid);
	fflush(stdout);
	if (opt->wait) {
		status = wait_for(pid);
		ckpt_pidns_wait(&ns);
	}
	return status;
}
