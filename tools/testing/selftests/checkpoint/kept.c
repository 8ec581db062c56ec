// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoints that stay in the kernel: kept, written, restarted, discarded; and
 * who may do so.
 */
#include <limits.h>
#include <sys/prctl.h>

#include "cr_selftest.h"

#define MEMORY	(256 * 1024)

/* Counts in a file how often it went on; verifies private and shared memory. */
static void remember(struct cr_child *c)
{
	unsigned int *priv, *shared, i;
	int status;
	pid_t pid;

	priv = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CR_CHECK(c, priv != MAP_FAILED && shared != MAP_FAILED);
	for (i = 0; i < MEMORY / sizeof(*priv); i++) {
		priv[i] = i + 1;
		shared[i] = i * 3;
	}
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		cr_wait_go(c);
		for (i = 0; i < MEMORY / sizeof(*priv); i++)
			CR_CHECK(c, priv[i] == i + 1);
		shared[0] = 12345;
		_exit(7);
	}
	cr_ready(c);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid);
	CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == 7);
	CR_CHECK(c, shared[0] == 12345);
	for (i = 1; i < MEMORY / sizeof(*priv); i++) {
		CR_CHECK(c, priv[i] == i + 1);
		CR_CHECK(c, shared[i] == i * 3);
	}
	/* Must not be seen by the next copy. */
	memset(priv, 0xff, MEMORY);
	memset(shared, 0xff, MEMORY);
}

static long keep(struct __test_metadata *_metadata, struct cr_child *c, int fd)
{
	long crid = sys_checkpoint(c->pid, fd, CHECKPOINT_KEEP);

	EXPECT_LT(0, crid) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	return crid;
}

static void discard(struct __test_metadata *_metadata, long crid)
{
	EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD)) {
		TH_LOG("%s", strerror(errno));
	}
	EXPECT_STREQ("", cr_reason());
	EXPECT_EQ(-1, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	EXPECT_EQ(ESRCH, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "no such checkpoint"));
}

TEST(restarted_from_memory)
{
	struct cr_child c;
	long crid;
	int i;

	cr_begin(_metadata, &c, remember);
	crid = keep(_metadata, &c, -1);
	cr_finish(_metadata, &c, "original");
	for (i = 0; i < 3; i++) {
		cr_load_from(_metadata, &c, crid, -1, 0);
		cr_finish(_metadata, &c, "copy");
	}
	discard(_metadata, crid);
	EXPECT_EQ(-1, sys_restart(crid, -1, 0));
	EXPECT_EQ(ESRCH, errno);
	cr_end(_metadata, &c);
}

TEST(discarded_while_a_copy_runs)
{
	struct cr_child c;
	long crid;

	cr_begin(_metadata, &c, remember);
	crid = keep(_metadata, &c, -1);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	cr_load_from(_metadata, &c, crid, -1, 0);
	discard(_metadata, crid);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST(written_later)
{
	struct cr_child c;
	long crid;
	int fd;

	cr_begin(_metadata, &c, remember);
	crid = keep(_metadata, &c, -1);
	/* It is the state of then, not of now. */
	cr_finish(_metadata, &c, "original");
	cr_save_kept(_metadata, &c, crid, CHECKPOINT_KEEP);
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");

	/* Twice is no different; then it is gone. */
	fd = cr_open_image(_metadata, &c);
	EXPECT_EQ(crid, sys_checkpoint(crid, fd, CHECKPOINT_WRITE));
	EXPECT_EQ(-1, sys_checkpoint(crid, fd, CHECKPOINT_WRITE));
	EXPECT_EQ(ESRCH, errno);
	close(fd);
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "second copy");
	cr_end(_metadata, &c);
}

TEST(written_and_kept)
{
	struct cr_child c;
	long crid;
	int fd;

	cr_begin(_metadata, &c, remember);
	fd = cr_open_image(_metadata, &c);
	crid = keep(_metadata, &c, fd);
	close(fd);
	cr_finish_kept(_metadata, &c, crid);
	discard(_metadata, crid);
	cr_end(_metadata, &c);
}

TEST(writing_fails)
{
	int small = cr_small_disk();
	struct cr_child c;
	long crid;

	if (small < 0)
		SKIP(return, "cannot mount a tmpfs");
	cr_begin(_metadata, &c, remember);
	crid = keep(_metadata, &c, -1);
	EXPECT_EQ(-1, sys_checkpoint(crid, small, CHECKPOINT_WRITE));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_STRNE("", cr_reason());
	/* It can be written elsewhere. */
	cr_save_kept(_metadata, &c, crid, 0);
	cr_finish(_metadata, &c, "original");
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* Kept, and only the writing failed: the id stands in the report. */
TEST(keeping_succeeds_writing_fails)
{
	int small = cr_small_disk();
	struct cr_child c;
	long crid;

	if (small < 0)
		SKIP(return, "cannot mount a tmpfs");
	cr_begin(_metadata, &c, remember);
	EXPECT_EQ(-1, sys_checkpoint(c.pid, small, CHECKPOINT_KEEP));
	EXPECT_EQ(ENOSPC, errno);
	crid = atol(cr_report("crid"));
	EXPECT_LT(0, crid);
	cr_finish(_metadata, &c, "original");
	cr_load_from(_metadata, &c, crid, -1, 0);
	cr_finish(_metadata, &c, "copy");
	discard(_metadata, crid);
	cr_end(_metadata, &c);
}

/* What cannot be checkpointed leaves nothing that is kept. */
static void with_signalfd(struct cr_child *c)
{
	sigset_t set;

	sigemptyset(&set);
	CR_CHECK(c, syscall(SYS_signalfd4, -1, &set, 8, 0) >= 0);
	cr_ready(c);
}

TEST(refused_is_not_kept)
{
	struct cr_child c;
	int before = cr_nr_kept();

	cr_begin(_metadata, &c, with_signalfd);
	EXPECT_EQ(-1, sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(before, cr_nr_kept());
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST(list)
{
	char text[4096], want[64];
	int before = cr_nr_kept();
	struct cr_child c;
	long crid;

	cr_begin(_metadata, &c, remember);
	crid = keep(_metadata, &c, -1);
	EXPECT_EQ(before + 1, cr_nr_kept());
	EXPECT_TRUE(cr_read_file("/proc/checkpoints", text, sizeof(text)));
	snprintf(want, sizeof(want), "\n%ld %d ", crid, c.pid);
	EXPECT_NE(NULL, strstr(text, want)) {
		TH_LOG("%s", text);
	}
	cr_finish(_metadata, &c, "original");
	discard(_metadata, crid);
	EXPECT_EQ(before, cr_nr_kept());
	cr_end(_metadata, &c);
}

/* ---- who may ---- */

static int errno_of(long ret)
{
	return ret < 0 ? errno : 0;
}

TEST(of_another_user)
{
	struct cr_child c;
	int status, null;
	long crid;
	pid_t pid;

	if (getuid())
		SKIP(return, "not root");
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	cr_begin(_metadata, &c, remember);
	crid = keep(_metadata, &c, -1);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(1);
		if (errno_of(sys_checkpoint(crid, null, CHECKPOINT_WRITE)) != EPERM)
			_exit(2);
		if (errno_of(sys_checkpoint(crid, -1, CHECKPOINT_DISCARD)) != EPERM)
			_exit(3);
		if (errno_of(sys_restart(crid, -1, 0)) != EPERM)
			_exit(4);
		/* of setresuid() its own files in /proc are root's */
		if (prctl(PR_SET_DUMPABLE, 1) || !strstr(cr_reason(), "another user"))
			_exit(5);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	cr_finish(_metadata, &c, "original");
	discard(_metadata, crid);
	cr_end(_metadata, &c);
}

/* In another PID namespace it is unknown. */
TEST(of_another_pid_namespace)
{
	struct cr_child c;
	int status, null;
	long crid;
	pid_t pid;

	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	cr_begin(_metadata, &c, remember);
	crid = keep(_metadata, &c, -1);
	if (unshare(CLONE_NEWPID)) {
		cr_end(_metadata, &c);
		SKIP(return, "no PID namespace: %s", strerror(errno));
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (errno_of(sys_checkpoint(crid, null, CHECKPOINT_WRITE)) != ESRCH)
			_exit(2);
		if (errno_of(sys_checkpoint(crid, -1, CHECKPOINT_DISCARD)) != ESRCH)
			_exit(3);
		if (errno_of(sys_restart(crid, -1, 0)) != ESRCH)
			_exit(4);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	cr_finish(_metadata, &c, "original");
	discard(_metadata, crid);
	cr_end(_metadata, &c);
}

TEST(limit)
{
	static const char knob[] = "/proc/sys/kernel/checkpoint_max_kept";
	char old[32], now[32];
	struct cr_child c;
	long crid;
	int fd;

	fd = open(knob, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "cannot change the limit");
	ASSERT_TRUE(cr_read_file(knob, old, sizeof(old)));
	cr_begin(_metadata, &c, remember);
	snprintf(now, sizeof(now), "%d\n", cr_nr_kept() + 1);
	ASSERT_LT(0, pwrite(fd, now, strlen(now), 0));
	crid = keep(_metadata, &c, -1);
	EXPECT_EQ(-1, sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP));
	EXPECT_EQ(ENOSPC, errno);
	discard(_metadata, crid);
	crid = keep(_metadata, &c, -1);
	ASSERT_LT(0, pwrite(fd, old, strlen(old), 0));
	discard(_metadata, crid);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST(meaningless)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct cr_child c;
	long crid;

	cr_begin(_metadata, &c, remember);
	crid = keep(_metadata, &c, -1);
	EXPECT_EQ(-1, sys_checkpoint(crid, null, CHECKPOINT_DISCARD));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sys_checkpoint(0, -1, CHECKPOINT_DISCARD));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sys_checkpoint(crid, -1, CHECKPOINT_WRITE));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, sys_checkpoint(c.pid, null, CHECKPOINT_KEEP | CHECKPOINT_KILL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sys_checkpoint(INT_MAX, null, CHECKPOINT_WRITE));
	EXPECT_EQ(ESRCH, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "no such checkpoint"));
	EXPECT_EQ(-1, sys_restart(crid, null, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sys_restart(INT_MAX, -1, 0));
	EXPECT_EQ(ESRCH, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "no such checkpoint"));
	discard(_metadata, crid);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* ---- several at once ---- */

/* Waits for another file each round, so that each state is told from the others. */
static void rounds(struct cr_child *c)
{
	static int round;
	char name[16];
	int n;

	cr_ready(c);
	while (round < 3) {
		round++;
		snprintf(name, sizeof(name), "is%d", round);
		CR_CHECK(c, !mknod(name, S_IFREG | 0600, 0) || errno == EEXIST);
		snprintf(name, sizeof(name), "next%d", round);
		for (n = 0; access(name, F_OK); n++) {
			CR_CHECK(c, n < CR_WAIT_S * 1000 / CR_POLL_MS);
			cr_sleep_ms(CR_POLL_MS);
		}
	}
}

static void touch(struct cr_child *c, const char *name, int n)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s%d", c->dir, name, n);
	close(open(path, O_CREAT | O_WRONLY, 0600));
}

static bool wait_file(struct cr_child *c, const char *name, int n)
{
	char path[64];
	int i;

	snprintf(path, sizeof(path), "%s/%s%d", c->dir, name, n);
	for (i = 0; i < CR_WAIT_S * 1000 / CR_POLL_MS; i++) {
		if (!access(path, F_OK))
			return !unlink(path);
		cr_sleep_ms(CR_POLL_MS);
	}
	return false;
}

static void remove_next(struct cr_child *c, int n)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/next%d", c->dir, n);
	unlink(path);
}

TEST(three_states_of_one_process)
{
	long crid[4] = { };
	struct cr_child c;
	int i, status;

	cr_begin(_metadata, &c, rounds);
	close(open(c.go, O_CREAT | O_WRONLY, 0600));
	for (i = 1; i <= 3; i++) {
		ASSERT_TRUE(wait_file(&c, "is", i));
		crid[i] = keep(_metadata, &c, -1);
		if (i < 3)
			touch(&c, "next", i);
	}
	for (i = 2; i <= 3; i++)
		EXPECT_LT(crid[i - 1], crid[i]);
	ASSERT_TRUE(cr_kill_tree(c.pid));

	/* Backwards: each goes on from where it was. */
	for (i = 3; i >= 1; i--) {
		remove_next(&c, 1);
		remove_next(&c, 2);
		remove_next(&c, 3);
		ASSERT_EQ(c.pid, sys_restart(crid[i], -1, 0)) {
			TH_LOG("restart: %s: %s", strerror(errno), cr_reason());
		}
		touch(&c, "next", i);
		if (i < 3) {
			EXPECT_TRUE(wait_file(&c, "is", i + 1));
			ASSERT_TRUE(cr_kill_tree(c.pid));
		} else {
			ASSERT_EQ(c.pid, waitpid(c.pid, &status, 0));
			EXPECT_EQ(0, status);
		}
		discard(_metadata, crid[i]);
	}
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
