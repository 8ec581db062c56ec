/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests of RESTART_ROLLBACK: a workload is checkpointed when it is ready,
 * changes when it is told to go on, and is put back. It looks for what changed,
 * and ends when it is put back for the last time.
 */
#ifndef _ROLLBACK_HELP_H
#define _ROLLBACK_HELP_H

#include <poll.h>

#include "cr_selftest.h"

/* ---- the workload's side; its working directory is its own ---- */

static inline void touch(struct cr_child *c, const char *name)
{
	/* no descriptor: the file may be seen, and unlinked, before that is closed */
	CR_CHECK(c, !mknod(name, S_IFREG | 0666, 0) || errno == EEXIST);
}

/* Its state has changed: tell, and wait for being put back. */
static inline void changed(struct cr_child *c)
{
	touch(c, "changed");
	for (;;)
		pause();
}

/* Told to go on: is this the one that is to end? */
static inline bool last_time(void)
{
	return !access("last", F_OK);
}

/* ---- the test's side ---- */

struct tree {
	struct cr_child c;
	pid_t root;
	int crid;
	int pidfd;
};

/* A file of the workload's directory. */
static inline const char *tree_file(const struct tree *t, const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", t->c.dir, name);
	return path;
}

static inline void make_file(struct tree *t, const char *name)
{
	close(open(tree_file(t, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
}

static inline void remove_file(struct tree *t, const char *name)
{
	unlink(tree_file(t, name));
}

static inline void wait_changed(struct __test_metadata *_metadata, struct tree *t)
{
	int n;

	for (n = 0; access(tree_file(t, "changed"), F_OK); n++) {
		if (n == CR_WAIT_S * 1000 / CR_POLL_MS) {
			cr_tell(_metadata, &t->c);
			ASSERT_EQ(0, 1) TH_LOG("the workload does not change");
		}
		cr_sleep_ms(CR_POLL_MS);
	}
	remove_file(t, "changed");
}

static inline void keep(struct __test_metadata *_metadata, struct tree *t)
{
	t->crid = sys_checkpoint(t->root, -1, CHECKPOINT_KEEP);
	ASSERT_LT(0, t->crid) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
}

/* Keeps a checkpoint of the tree with root @root, which is ready, and lets it change. */
static inline void begin_at(struct __test_metadata *_metadata, struct tree *t, pid_t root)
{
	ASSERT_LT(0, root);
	t->root = root;
	t->pidfd = syscall(SYS_pidfd_open, root, 0);
	ASSERT_LE(0, t->pidfd);
	keep(_metadata, t);
	make_file(t, ".go");
	wait_changed(_metadata, t);
}

/* Starts @workload, keeps a checkpoint of it, lets it change. */
static inline void begin(struct __test_metadata *_metadata, struct tree *t,
			 void (*workload)(struct cr_child *))
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	cr_begin(_metadata, &t->c, workload);
	begin_at(_metadata, t, t->c.pid);
}

/* Nothing must be seen of it by the parent of the tree, which this is. */
static inline void put_back(struct __test_metadata *_metadata, struct tree *t, unsigned long flags)
{
	struct pollfd pfd = { .fd = t->pidfd, .events = POLLIN };
	sigset_t set;

	unlink(t->c.go);
	ASSERT_EQ(t->root, sys_restart(t->crid, -1, RESTART_ROLLBACK | flags)) {
		TH_LOG("restart: %s: %s", strerror(errno), cr_reason());
	}
	EXPECT_EQ(0, sigpending(&set));
	EXPECT_FALSE(sigismember(&set, SIGCHLD));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_EQ(0, kill(t->root, 0));
	/* of one that was not waited for */
	remove_file(t, "changed");
	make_file(t, ".go");
}

static inline void refused(struct __test_metadata *_metadata, struct tree *t, int err,
			   const char *why)
{
	EXPECT_EQ(-1, sys_restart(t->crid, -1, RESTART_ROLLBACK));
	EXPECT_EQ(err, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), why)) {
		TH_LOG("reason: %s", cr_reason());
	}
}

/* Puts the tree back for the last time, and requires that it ends well. */
static inline void finish(struct __test_metadata *_metadata, struct tree *t, unsigned long flags)
{
	make_file(t, "last");
	put_back(_metadata, t, flags);
	cr_finish(_metadata, &t->c, "tree");
	EXPECT_EQ(0, sys_checkpoint(t->crid, -1, CHECKPOINT_DISCARD));
	close(t->pidfd);
	cr_end(_metadata, &t->c);
}

/* Puts the tree back, lets it change again, and puts it back for the last time. */
static inline void finish_again(struct __test_metadata *_metadata, struct tree *t)
{
	put_back(_metadata, t, 0);
	wait_changed(_metadata, t);
	finish(_metadata, t, 0);
}

#endif /* _ROLLBACK_HELP_H */
