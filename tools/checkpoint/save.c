// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt checkpoint, ckpt write: the image is written aside and renamed when it is
 * complete, so whatever happens there is the old file or a whole image under
 * its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ckpt.h"

struct output {
	int fd;
	const char *name;
	char aside[PATH_MAX];	/* "" when written in place */
};

/* A device, a pipe or standard output is written to, not replaced. */
static bool in_place(const char *name)
{
	struct stat st;

	return !stat(name, &st) && !S_ISREG(st.st_mode);
}

static int output_open(struct output *out, const char *name)
{
	int n;

	out->name = name;
	out->aside[0] = '\0';
	if (!strcmp(name, "-")) {
		out->fd = STDOUT_FILENO;
	} else if (in_place(name)) {
		out->fd = open(name, O_WRONLY | O_CLOEXEC);
	} else {
		n = snprintf(out->aside, sizeof(out->aside), "%s.XXXXXX", name);
		if (n >= (int)sizeof(out->aside)) {
			errno = ENAMETOOLONG;
			out->fd = -1;
		} else {
			/* Created with mode 0600. */
			out->fd = mkostemp(out->aside, O_CLOEXEC);
		}
	}
	if (out->fd < 0)
		ckpt_error("cannot write %s: %s", name, strerror(errno));
	return out->fd < 0 ? -1 : 0;
}

static void output_drop(struct output *out)
{
	if (out->aside[0])
		unlink(out->aside);
}

static int sync_dir(const char *name)
{
	char path[PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), "%s", name);
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = fsync(fd);
	close(fd);
	return ret;
}

/* The image is complete: let it have its name, and survive a power cut. */
static int output_commit(struct output *out)
{
	if (!out->aside[0])
		return 0;
	if (fsync(out->fd) || close(out->fd) || rename(out->aside, out->name) ||
	    sync_dir(out->name)) {
		ckpt_error("cannot write %s: %s", out->name, strerror(errno));
		output_drop(out);
		return -1;
	}
	return 0;
}

/* @what is "checkpoint" or "write checkpoint", for messages. */
static int save(const struct ckpt_options *opt, unsigned long flags, const char *what)
{
	struct output out = { .fd = -1 };
	struct ckpt_progress progress = { };
	u64 start;
	long crid;
	int err;

	if (opt->image && !strcmp(opt->image, "-") && isatty(STDOUT_FILENO)) {
		ckpt_error("will not write an image to a terminal");
		return CKPT_USAGE;
	}
	if (opt->image && output_open(&out, opt->image))
		return CKPT_FAILED;

	if (ckpt_progress_wanted(opt, out.fd))
		ckpt_progress_start(&progress, "written", false);
	start = ckpt_now_ns();
	crid = syscall(__NR_checkpoint, opt->id, out.fd, flags);
	err = errno;
	ckpt_progress_end(&progress);
	if (opt->verbose)
		ckpt_print_report(start, ckpt_now_ns());
	if (crid < 0) {
		ckpt_error("cannot %s %d: %s", what, opt->id, ckpt_reason(err));
		output_drop(&out);
		return CKPT_FAILED;
	}
	if (output_commit(&out))
		return CKPT_FAILED;
	fprintf(out.fd == STDOUT_FILENO ? stderr : stdout, "%ld\n", crid);
	return 0;
}

int ckpt_checkpoint(const struct ckpt_options *opt)
{
	return save(opt, opt->flags, "checkpoint");
}

int ckpt_write(const struct ckpt_options *opt)
{
	return save(opt, opt->flags | CHECKPOINT_WRITE, "write checkpoint");
}
