// SPDX-License-Identifier: GPL-2.0
/*
 * Signals at every moment of a call, one after the other; only on kernels with
 * CONFIG_CHECKPOINT_SIGNAL_AT. torture_signals does more of it.
 */
#include "cr_selftest.h"

#define SIGNAL_AT	"/sys/kernel/debug/checkpoint/signal_at"

/* A child in a job control stop, which nobody has to park. */
static void with_stopped_child(struct cr_child *c)
{
	pid_t child = fork();
	int status;

	CR_CHECK(c, child >= 0);
	while (!child)
		raise(SIGSTOP);
	CR_CHECK(c, waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	cr_ready(c);
	CR_CHECK(c, !kill(child, SIGKILL) && waitpid(child, &status, 0) == child);
	CR_CHECK(c, WIFSIGNALED(status));
}

static pid_t child_of(struct __test_metadata *_metadata, struct cr_child *c)
{
	static struct cr_pids pids;

	cr_tree_pids(c->pid, &pids);
	ASSERT_EQ(2, pids.nr);
	return pids.pid[0] == c->pid ? pids.pid[1] : pids.pid[0];
}

/*
 * One checkpoint whose @nr-th moment kills the child. It fails as it has to, or
 * came too late to notice; the root goes on in any case. False if there is no such
 * moment any more.
 */
static bool kill_child_at(struct __test_metadata *_metadata, int at, int nr)
{
	struct cr_child c;
	char text[128];
	long ret;
	int n;

	cr_begin(_metadata, &c, with_stopped_child);
	n = snprintf(text, sizeof(text), "%d %d %d", nr, SIGKILL, child_of(_metadata, &c));
	ASSERT_EQ(n, write(at, text, n));
	ret = cr_save(_metadata, &c, 0);
	if (ret < 0) {
		EXPECT_TRUE(errno == EAGAIN || errno == ESRCH || errno == EBUSY) {
			TH_LOG("moment %d: %s: %s", nr, strerror(errno), cr_reason());
		}
		EXPECT_STRNE("", cr_reason());
	}
	n = pread(at, text, sizeof(text) - 1, 0);
	ASSERT_LT(0, n);
	text[n] = '\0';
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
	if (!strncmp(text, "armed", 5)) {
		EXPECT_LT(0, ret);
		return false;
	}
	EXPECT_EQ(0, strncmp(text, "sent", 4)) {
		TH_LOG("%s", text);
	}
	return true;
}

TEST(stopped_task_is_killed)
{
	int at = open(SIGNAL_AT, O_RDWR | O_CLOEXEC), nr;

	if (at < 0)
		SKIP(return, "this kernel cannot choose the moment");
	for (nr = 1; kill_child_at(_metadata, at, nr); nr++)
		;
	/* a few phases, and the objects of two processes */
	EXPECT_LT(8, nr);
	close(at);
}

TEST_HARNESS_MAIN
