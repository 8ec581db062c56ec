// SPDX-License-Identifier: GPL-2.0
/*
 * Signals at every moment of a call, one after the other; only on kernels with
 * CONFIG_CHECKPOINT_SIGNAL_AT. torture_signals does more of it.
 */
#include "cr_selftest.h"

#include <netinet/in.h>
#include <sys/epoll.h>

#define SIGNAL_AT	"/sys/kernel/debug/checkpoint/signal_at"

/* What nobody else has, and is gone with it. */
static void own_descriptors(struct cr_child *c)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0), tcp = socket(AF_INET, SOCK_STREAM, 0), i, p[2];

	CR_CHECK(c, ep >= 0 && tcp >= 0 && !bind(tcp, (struct sockaddr *)&any, sizeof(any)));
	CR_CHECK(c, !listen(tcp, 1) && socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	for (i = 0; i < 8; i++)
		CR_CHECK(c, !pipe(p) && !epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
}

/*
 * A child in a job control stop, which nobody has to park, with descriptors of its
 * own; and another one, which is dumped after it.
 */
static void with_stopped_child(struct cr_child *c)
{
	pid_t child = fork(), other;
	int status;

	CR_CHECK(c, child >= 0);
	if (!child)
		own_descriptors(c);
	while (!child)
		raise(SIGSTOP);
	CR_CHECK(c, waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	other = fork();
	CR_CHECK(c, other >= 0);
	if (!other) {
		cr_wait_go(c);
		_exit(0);
	}
	cr_ready(c);
	CR_CHECK(c, !kill(child, SIGKILL) && waitpid(child, &status, 0) == child);
	CR_CHECK(c, WIFSIGNALED(status));
	CR_CHECK(c, waitpid(other, &status, 0) == other && !status);
}

/* The first one that it made. */
static pid_t child_of(struct __test_metadata *_metadata, struct cr_child *c, int nr)
{
	static struct cr_pids pids;
	pid_t child = 0;
	int i;

	cr_tree_pids(c->pid, &pids);
	ASSERT_EQ(1 + nr, pids.nr);
	for (i = 0; i < pids.nr; i++) {
		if (pids.pid[i] != c->pid && (!child || pids.pid[i] < child))
			child = pids.pid[i];
	}
	return child;
}

/* Whom the signal is to go to, and at which moment. */
static void arm(struct __test_metadata *_metadata, int at, int nr, pid_t pid)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%d %d %d", nr, SIGKILL, pid);

	ASSERT_EQ(n, write(at, text, n));
}

/* What became of it: "armed ..." if there was no such moment. */
static const char *look(struct __test_metadata *_metadata, int at)
{
	static char text[128];
	ssize_t n = pread(at, text, sizeof(text) - 1, 0);

	ASSERT_LT(0, n);
	text[n] = '\0';
	return text;
}

/*
 * One checkpoint whose @nr-th moment kills the child. It fails as it has to, or
 * came too late to notice; the root goes on in any case. False if there is no such
 * moment any more.
 */
static bool kill_child_at(struct __test_metadata *_metadata, int at, int nr)
{
	struct cr_child c;
	const char *text;
	long ret;

	cr_begin(_metadata, &c, with_stopped_child);
	arm(_metadata, at, nr, child_of(_metadata, &c, 2));
	ret = sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP);
	if (ret < 0) {
		EXPECT_TRUE(errno == EAGAIN || errno == ESRCH) {
			TH_LOG("moment %d: %s: %s", nr, strerror(errno), cr_reason());
		}
		EXPECT_STRNE("", cr_reason());
	} else {
		EXPECT_EQ(0, sys_checkpoint(ret, -1, CHECKPOINT_DISCARD));
	}
	text = look(_metadata, at);
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
	/* a few phases, and the objects of three processes */
	EXPECT_LT(20, nr);
	close(at);
}

static void with_zombie(struct cr_child *c)
{
	pid_t child = cr_zombie(c, 3);
	int status;

	cr_ready(c);
	CR_CHECK(c, waitpid(child, &status, 0) == child && status == 3 << 8);
}

/*
 * One restart whose @nr-th moment kills what is to be a zombie. It fails, or the
 * zombie has the status that it had.
 */
static bool kill_zombie_at(struct __test_metadata *_metadata, struct cr_child *c,
			   pid_t zombie, int at, int nr)
{
	int fd = open(c->image, O_RDONLY | O_CLOEXEC);
	const char *text;
	long ret;

	ASSERT_LE(0, fd);
	unlink(c->go);
	arm(_metadata, at, nr, zombie);
	ret = sys_restart(0, fd, 0);
	text = look(_metadata, at);
	close(fd);
	if (ret > 0) {
		EXPECT_EQ(c->pid, ret);
		cr_finish(_metadata, c, text);
	} else {
		EXPECT_EQ(EINTR, errno) {
			TH_LOG("%s: %s: %s", text, strerror(errno), cr_reason());
		}
		EXPECT_NE(0, kill(zombie, 0));
		EXPECT_NE(0, kill(c->pid, 0));
	}
	return strncmp(text, "armed", 5);
}

TEST(zombie_is_killed_before_it_is_one)
{
	int at = open(SIGNAL_AT, O_RDWR | O_CLOEXEC), nr;
	struct cr_child c;
	pid_t zombie;

	if (at < 0)
		SKIP(return, "this kernel cannot choose the moment");
	cr_begin(_metadata, &c, with_zombie);
	ASSERT_LT(0, cr_save(_metadata, &c, 0));
	zombie = child_of(_metadata, &c, 1);
	cr_finish(_metadata, &c, "original");
	for (nr = 1; kill_zombie_at(_metadata, &c, zombie, at, nr); nr++)
		;
	EXPECT_LT(8, nr);
	cr_end(_metadata, &c);
	close(at);
}

TEST_HARNESS_MAIN
