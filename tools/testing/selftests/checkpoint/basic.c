// SPDX-License-Identifier: GPL-2.0
/*
 * The two system calls themselves: arguments, permissions, what they return,
 * what /proc/thread-self/checkpoint says.
 */
#include <grp.h>
#include <limits.h>
#include <sys/prctl.h>

#include "cr_selftest.h"

#define ALL_CHECKPOINT	(CHECKPOINT_KEEP | CHECKPOINT_KILL | CHECKPOINT_WRITE | \
			 CHECKPOINT_DISCARD)
#define ALL_RESTART	(RESTART_FROZEN | RESTART_CONN_RESET | RESTART_ROLLBACK)

static void idle(struct cr_child *c)
{
	cr_ready(c);
}

/* Room for an image that nobody keeps. */
static int scratch(struct __test_metadata *_metadata, int flags)
{
	char path[] = "/tmp/cr-room.XXXXXX";
	int fd = mkstemp(path), fd2;

	ASSERT_LE(0, fd);
	fd2 = open(path, flags | O_CLOEXEC);
	ASSERT_LE(0, fd2);
	close(fd);
	unlink(path);
	return fd2;
}

static pid_t unused_pid(void)
{
	pid_t pid = 30000;

	while (!kill(pid, 0) || errno != ESRCH)
		pid--;
	return pid;
}

TEST(unknown_flags)
{
	int in = scratch(_metadata, O_RDONLY), out = scratch(_metadata, O_WRONLY);
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		unsigned long flag = 1UL << bit;

		if (!(flag & ALL_CHECKPOINT)) {
			EXPECT_EQ(-1, sys_checkpoint(getpid(), out, flag));
			EXPECT_EQ(EINVAL, errno);
		}
		if (!(flag & ALL_RESTART)) {
			EXPECT_EQ(-1, sys_restart(0, in, flag));
			EXPECT_EQ(EINVAL, errno);
		}
	}
}

TEST(bad_descriptor)
{
	int in = scratch(_metadata, O_RDONLY), out = scratch(_metadata, O_WRONLY);
	int path = scratch(_metadata, O_PATH), closed = dup(in);
	const int bad_out[] = { -1, closed, in, path, INT_MAX, INT_MIN };
	const int bad_in[] = { -1, closed, out, path, INT_MAX, INT_MIN };
	struct cr_child c;
	size_t i;

	cr_begin(_metadata, &c, idle);
	close(closed);
	for (i = 0; i < ARRAY_SIZE(bad_out); i++) {
		EXPECT_EQ(-1, sys_checkpoint(c.pid, bad_out[i], 0));
		EXPECT_EQ(EBADF, errno) {
			TH_LOG("case %zu: %s: %s", i, strerror(errno), cr_reason());
		}
		EXPECT_EQ(-1, sys_restart(0, bad_in[i], 0));
		EXPECT_EQ(EBADF, errno) {
			TH_LOG("case %zu: %s: %s", i, strerror(errno), cr_reason());
		}
	}
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST(no_such_process)
{
	int out = scratch(_metadata, O_WRONLY);

	EXPECT_EQ(-1, sys_checkpoint(unused_pid(), out, 0));
	EXPECT_EQ(ESRCH, errno);
	EXPECT_EQ(-1, sys_checkpoint(-1, out, 0));
	EXPECT_TRUE(errno == ESRCH || errno == EINVAL);
	/* Refused without a byte written. */
	EXPECT_EQ(0, lseek(out, 0, SEEK_CUR));
}

TEST(kernel_thread)
{
	int out = scratch(_metadata, O_WRONLY);
	char comm[32];

	if (!cr_read_file("/proc/2/comm", comm, sizeof(comm)) || strcmp(comm, "kthreadd\n"))
		SKIP(return, "pid 2 is not kthreadd here");
	EXPECT_EQ(-1, sys_checkpoint(2, out, 0));
	EXPECT_TRUE(errno == EPERM || errno == EOPNOTSUPP || errno == EINVAL) {
		TH_LOG("%s", strerror(errno));
	}
	EXPECT_STRNE("", cr_reason());
}

/* Runs @fn as a user without any privilege; its exit status. */
static int as_nobody(struct cr_child *c, int (*fn)(struct cr_child *, int), int fd)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(99);
		prctl(PR_SET_DUMPABLE, 1);
		_exit(fn(c, fd));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 98;
	return WEXITSTATUS(status);
}

static int nobody_checkpoints(struct cr_child *c, int fd)
{
	return sys_checkpoint(c->pid, fd, 0) < 0 ? errno : 0;
}

static int nobody_restarts(struct cr_child *c, int fd)
{
	return sys_restart(0, fd, 0) < 0 ? errno : 0;
}

TEST(not_permitted)
{
	int out = scratch(_metadata, O_WRONLY), in;
	struct cr_child c;

	if (getuid())
		SKIP(return, "not root");
	cr_begin(_metadata, &c, idle);
	EXPECT_EQ(EPERM, as_nobody(&c, nobody_checkpoints, out));
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");

	/* The image is of root's process, with a chosen pid: twice not theirs. */
	in = open(c.image, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, in);
	EXPECT_EQ(EPERM, as_nobody(&c, nobody_restarts, in));
	EXPECT_EQ(-1, kill(c.pid, 0));
	cr_end(_metadata, &c);
}

/* Returns twice, as fork() does. */
static void self(struct cr_child *c)
{
	int fd;
	long ret;

	cr_ready(c);
	fd = open(c->image, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CR_CHECK(c, fd >= 0);
	ret = sys_checkpoint(0, fd, 0);
	CR_CHECK(c, ret >= 0);
	CR_CHECK(c, close(open(ret ? "original" : "copy", O_CREAT | O_EXCL, 0600)) == 0);
	CR_CHECK(c, close(fd) == 0);
}

TEST(self_checkpoint)
{
	char path[64];
	struct cr_child c;

	cr_begin(_metadata, &c, self);
	cr_finish(_metadata, &c, "original");
	snprintf(path, sizeof(path), "%s/original", c.dir);
	EXPECT_EQ(0, unlink(path));
	snprintf(path, sizeof(path), "%s/copy", c.dir);
	EXPECT_EQ(-1, unlink(path));

	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	EXPECT_EQ(0, unlink(path));
	cr_end(_metadata, &c);
}

/* By its own pid it is the same as by 0. */
static void self_by_pid(struct cr_child *c)
{
	int fd = open(c->image, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	long ret;

	CR_CHECK(c, fd >= 0);
	ret = sys_checkpoint(getpid(), fd, 0);
	CR_CHECK(c, ret >= 0);
	CR_CHECK(c, close(fd) == 0);
	if (ret)
		cr_ready(c);
}

TEST(self_checkpoint_by_pid)
{
	struct cr_child c;

	cr_begin(_metadata, &c, self_by_pid);
	cr_finish(_metadata, &c, "original");
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST(pid_in_use)
{
	char number[16];
	struct cr_child c;

	cr_begin(_metadata, &c, idle);
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	snprintf(number, sizeof(number), "%d", c.pid);
	cr_load_refused(_metadata, &c, EEXIST, number);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

static unsigned long long report_number(const char *key)
{
	return strtoull(cr_report(key), NULL, 10);
}

TEST(report_of_checkpoint)
{
	struct cr_child c;
	struct stat st;
	long crid;

	cr_begin(_metadata, &c, idle);
	crid = cr_save(_metadata, &c, 0);
	ASSERT_LT(0, crid);
	ASSERT_EQ(0, stat(c.image, &st));
	EXPECT_STREQ("checkpoint", cr_report("call"));
	EXPECT_EQ((unsigned long long)crid, report_number("result"));
	EXPECT_EQ((unsigned long long)c.pid, report_number("pid"));
	EXPECT_EQ((unsigned long long)st.st_size, report_number("bytes"));
	EXPECT_EQ(1, report_number("tasks"));
	EXPECT_LT(0, report_number("objects"));
	EXPECT_LT(0, report_number("records"));
	EXPECT_LT(0, report_number("pages"));
	EXPECT_LT(0, report_number("meta_bytes"));
	EXPECT_LT(0, report_number("frozen_ns"));
	EXPECT_LT(0, report_number("dump_ns"));
	EXPECT_LT(0, report_number("flush_ns"));
	EXPECT_EQ((unsigned long long)st.st_size, report_number("expected_bytes"));
	EXPECT_STREQ("0", cr_report("running"));
	EXPECT_STREQ("", cr_reason());
	cr_finish(_metadata, &c, "original");

	cr_load(_metadata, &c, 0);
	EXPECT_STREQ("restart", cr_report("call"));
	EXPECT_EQ((unsigned long long)c.pid, report_number("result"));
	EXPECT_EQ((unsigned long long)st.st_size, report_number("bytes"));
	EXPECT_EQ(1, report_number("tasks"));
	EXPECT_STREQ("", cr_reason());
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
