// SPDX-License-Identifier: GPL-2.0
/*
 * Trees that change while they are being stopped.
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cr_selftest.h"

#define ROUNDS		100
#define NR_MAKERS	4

/* Leaves a process without a parent, all the time. */
static void make_orphans(void)
{
	pid_t pid;

	for (;;) {
		pid = fork();
		if (!pid) {
			if (!fork())
				cr_sleep_ms(1);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

/* Gets all orphans. */
static void reaper(struct cr_child *c)
{
	int i;

	CR_CHECK(c, !prctl(PR_SET_CHILD_SUBREAPER, 1));
	for (i = 0; i < NR_MAKERS; i++) {
		pid_t pid = fork();

		CR_CHECK(c, pid >= 0);
		if (!pid)
			make_orphans();
	}
	cr_say_ready(c);
	for (;;)
		CR_CHECK(c, wait(NULL) > 0);
}

TEST(orphans)
{
	struct cr_child c;

	cr_begin(_metadata, &c, reaper);
	cr_keep_often(_metadata, &c, ROUNDS, 0);
	cr_end(_metadata, &c);
}

#define NR_LIVES	400

/* Has nothing, not even descriptors, when this returns, and exits soon. */
static pid_t short_life(struct __test_metadata *_metadata, int us)
{
	int p[2];
	pid_t pid;
	char byte;

	ASSERT_EQ(0, pipe(p));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		setsid();
		cr_unmap_shared();
		close_range(0, ~0U, 0);
		usleep(us);
		_exit(3);
	}
	close(p[1]);
	ASSERT_EQ(0, read(p[0], &byte, 1));
	close(p[0]);
	return pid;
}

/* What has exited meanwhile was not checkpointed; what was can be restarted. */
TEST(root_exits)
{
	int i, status, gone = 0;
	long crid;
	pid_t pid;

	for (i = 0; i < NR_LIVES; i++) {
		pid = short_life(_metadata, i % 40 * 25);
		crid = sys_checkpoint(pid, -1, CHECKPOINT_KEEP);
		if (crid < 0) {
			ASSERT_EQ(ESRCH, errno) {
				TH_LOG("round %d: %s", i, cr_reason());
			}
			gone++;
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(3 << 8, status);
		if (crid < 0)
			continue;
		ASSERT_EQ(pid, sys_restart(crid, -1, 0)) {
			TH_LOG("round %d: %s: %s", i, strerror(errno), cr_reason());
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(3 << 8, status);
		ASSERT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	}
	TH_LOG("%d of %d had exited", gone, NR_LIVES);
}

static void waiter(struct cr_child *c)
{
	cr_ready(c);
}

/* Somebody outside stops it and continues it. */
TEST(stopped_and_continued)
{
	struct cr_child c;
	pid_t pid;

	cr_begin(_metadata, &c, waiter);
	pid = fork();
	ASSERT_LE(0, pid);
	while (!pid) {
		kill(c.pid, SIGSTOP);
		cr_sleep_ms(1);
		kill(c.pid, SIGCONT);
		cr_sleep_ms(1);
	}
	cr_keep_often(_metadata, &c, ROUNDS, 0);
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, kill(c.pid, SIGCONT));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* ---- too late ---- */

#define NR_WAITERS	40
#define TIMEOUT		"/proc/sys/kernel/checkpoint_freeze_timeout_ms"

/* A checkpoint that gives up has woken them up; they must not notice. */
static void signal_waiters(struct cr_child *c)
{
	pid_t pid[NR_WAITERS];
	siginfo_t info;
	sigset_t set;
	int i, status;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CR_CHECK(c, !sigprocmask(SIG_BLOCK, &set, NULL));
	for (i = 0; i < NR_WAITERS; i++) {
		pid[i] = fork();
		CR_CHECK(c, pid[i] >= 0);
		if (!pid[i]) {
			CR_CHECK(c, sigwaitinfo(&set, &info) == SIGUSR1);
			_exit(0);
		}
	}
	cr_ready(c);
	for (i = 0; i < NR_WAITERS; i++) {
		CR_CHECK(c, !kill(pid[i], SIGUSR1));
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i] && !status);
	}
}

static bool set_timeout(const char *ms)
{
	int fd = open(TIMEOUT, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, ms, strlen(ms)) == (ssize_t)strlen(ms);

	close(fd);
	return ok;
}

FIXTURE(hurry) {
	char before[32];
};

FIXTURE_SETUP(hurry)
{
	ASSERT_TRUE(cr_read_file(TIMEOUT, self->before, sizeof(self->before)));
	ASSERT_TRUE(set_timeout("1"));
}

FIXTURE_TEARDOWN(hurry)
{
	EXPECT_TRUE(set_timeout(self->before));
}

TEST_F(hurry, given_up)
{
	struct cr_child c;

	cr_begin(_metadata, &c, signal_waiters);
	cr_keep_often(_metadata, &c, ROUNDS, EBUSY);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
