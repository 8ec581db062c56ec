/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checkpoint/restart selftests: what those of Documentation/checkpoint/security.rst
 * have in common. They are run by root, who plays the others.
 */
#ifndef _SECURITY_HELP_H
#define _SECURITY_HELP_H

#include "task_help.h"
#include "image_help.h"

#include <linux/landlock.h>

/* The one who tries; may choose pids, or no image would come any further. */
#define USER		1000
#define OTHER_USER	1001
#define CHOOSE_PIDS	CAP(CAP_CHECKPOINT_RESTORE)
#define ALL_CAPS	(~0ULL >> (63 - CAP_LAST_CAP))

/* What attempt() returns if it is not an errno. */
enum {
	NO_SETUP = 201,
	BAD_COPY,
	BAD_REASON,
};

/**
 * struct attempt - somebody tries to restart
 * @uid: who
 * @caps: and with which capabilities
 * @prepare: if not NULL, run before as root; not 0 if it failed
 * @crid: kept checkpoint; 0 is the workload's image
 * @reason: part of the reason if it is refused; may be NULL
 */
struct attempt {
	uid_t uid;
	unsigned long long caps;
	int (*prepare)(struct cr_child *c);
	long crid;
	const char *reason;
};

static inline __noreturn void attempt_child(struct __test_metadata *_metadata,
					    struct cr_child *c, const struct attempt *a,
					    int fd)
{
	int status, err;
	long ret;

	if ((a->prepare && a->prepare(c)) || become(a->uid, a->caps))
		_exit(NO_SETUP);
	ret = sys_restart(a->crid, a->crid ? -1 : fd, 0);
	err = errno;
	if (ret > 0) {
		close(open(c->go, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
		_exit(waitpid(ret, &status, 0) != ret || status ? BAD_COPY : 0);
	}
	if (a->reason && !strstr(cr_reason(), a->reason)) {
		TH_LOG("%s: %s", strerror(err), cr_reason());
		_exit(BAD_REASON);
	}
	_exit(err);
}

/*
 * Returns the errno of restart(), with nothing left of it; 0 if the copy ran and
 * came to a good end.
 */
static inline int attempt(struct __test_metadata *_metadata, struct cr_child *c,
			  const struct attempt *a)
{
	int fd = open(c->image, O_RDONLY | O_CREAT | O_CLOEXEC, 0600), status = -1;
	pid_t pid;

	ASSERT_LE(0, fd);
	unlink(c->go);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		attempt_child(_metadata, c, a, fd);
	close(fd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == BAD_COPY)
		cr_tell(_metadata, c);
	EXPECT_EQ(-1, kill(c->pid, 0));
	return WEXITSTATUS(status);
}

/* Somebody else than root, with nothing special. */
static inline void do_user(struct cr_child *c)
{
	CR_CHECK(c, !become(USER, 0));
	cr_ready(c);
}

/* Runs @fn in a child as @uid with @caps; returns its exit code. */
static inline int run_as(struct __test_metadata *_metadata, uid_t uid,
			 unsigned long long caps, int (*fn)(void *), void *arg)
{
	int status = -1;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(become(uid, caps) ? NO_SETUP : fn(arg));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The same ids for users and groups, of the user namespace that @pid is in. */
static inline bool map_ids(pid_t pid, const char *map)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	if (!cr_write_file(path, map))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	return cr_write_file(path, map);
}

/* Become root of a user namespace of root, in which @map says who is who. */
static inline void enter_user_namespace(struct cr_child *c, const char *map)
{
	pid_t pid, self = getpid();
	int up[2], down[2];
	char byte;

	CR_CHECK(c, !pipe(up) && !pipe(down));
	pid = must_fork(c);
	if (!pid) {
		CR_CHECK(c, read(up[0], &byte, 1) == 1 && map_ids(self, map));
		_exit(write(down[1], "", 1) != 1);
	}
	CR_CHECK(c, !unshare(CLONE_NEWUSER));
	CR_CHECK(c, write(up[1], "", 1) == 1 && read(down[0], &byte, 1) == 1);
	must_exit(c, pid, 0);
	CR_CHECK(c, !close(up[0]) && !close(up[1]) && !close(down[0]) && !close(down[1]));
	CR_CHECK(c, !setgroups(0, NULL) && !setresgid(0, 0, 0) && !setresuid(0, 0, 0));
	CR_CHECK(c, !prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

/* In a Landlock domain that forbids to make directories, and nothing else. */
static inline int enter_landlock(void)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_DIR,
	};
	int fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (fd < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_landlock_restrict_self, fd, 0))
		return -1;
	close(fd);
	return 0;
}

/* Whether the kernel has Landlock, and it is in use. */
static inline bool have_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
		       LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

/*
 * Yama would refuse most of what others must refuse too. Returns what it was;
 * 0 without Yama.
 */
#define YAMA	"/proc/sys/kernel/yama/ptrace_scope"

static inline char yama_set(char scope)
{
	char old[8] = "0", text[2] = { scope, '\0' };

	if (cr_read_file(YAMA, old, sizeof(old)) && !cr_write_file(YAMA, text))
		return '?';
	return old[0];
}

#endif /* _SECURITY_HELP_H */
