// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: who may checkpoint whom. What is refused is refused before
 * anybody is stopped, and leaves the tree unharmed.
 */
#include "security_help.h"

#include <sys/ptrace.h>

/* ---- whose task it is ---- */

static void do_other_user(struct cr_child *c)
{
	CR_CHECK(c, !become(OTHER_USER, 0));
	cr_ready(c);
}

static void do_nothing(struct cr_child *c)
{
	cr_ready(c);
}

static void do_undumpable(struct cr_child *c)
{
	CR_CHECK(c, !become(USER, 0) && !prctl(PR_SET_DUMPABLE, 0));
	cr_ready(c);
}

static void do_capable(struct cr_child *c)
{
	CR_CHECK(c, !become(USER, CAP(CAP_NET_RAW)));
	cr_ready(c);
}

static void do_saved_uid(struct cr_child *c)
{
	CR_CHECK(c, !setresgid(USER, USER, USER) && !setresuid(USER, USER, 0));
	CR_CHECK(c, !prctl(PR_SET_DUMPABLE, 1));
	cr_ready(c);
}

/* One child of @uid; the root is of USER. */
static void with_child_of(struct cr_child *c, uid_t uid)
{
	struct point up;
	pid_t pid;

	point_init(c, &up);
	pid = must_fork(c);
	if (!pid) {
		CR_CHECK(c, !become(uid, 0));
		point_arrive(c, &up);
		cr_wait_go(c);
		_exit(0);
	}
	point_wait(c, &up, 1);
	CR_CHECK(c, !become(USER, 0));
	cr_ready(c);
	must_exit(c, pid, 0);
}

static void do_child_of_other(struct cr_child *c)
{
	with_child_of(c, OTHER_USER);
}

static void do_child_of_same(struct cr_child *c)
{
	with_child_of(c, USER);
}

/* Of the user, but with all capabilities in a user namespace that root has made. */
static void do_user_namespace(struct cr_child *c)
{
	enter_user_namespace(c, "0 1000 1\n");
	cr_ready(c);
}

struct target {
	pid_t pid;
	int fd;
};

static int try_checkpoint(void *arg)
{
	struct target *t = arg;

	return sys_checkpoint(t->pid, t->fd, 0) > 0 ? 0 : errno;
}

FIXTURE(trace) {
	char yama;
	int null;
};

FIXTURE_VARIANT(trace) {
	void (*workload)(struct cr_child *c);
	unsigned long long caps;	/* of the caller, who is USER */
	int err;
};

FIXTURE_SETUP(trace)
{
	if (geteuid())
		SKIP(return, "not root");
	self->yama = yama_set('0');
	ASSERT_NE('?', self->yama);
	self->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, self->null);
}

FIXTURE_TEARDOWN(trace)
{
	close(self->null);
	yama_set(self->yama);
}

/* Without these nothing that is refused would mean anything. */
FIXTURE_VARIANT_ADD(trace, same_user) { do_user, 0, 0 };
FIXTURE_VARIANT_ADD(trace, tree_of_same_user) { do_child_of_same, 0, 0 };
FIXTURE_VARIANT_ADD(trace, with_the_same_capabilities) { do_capable, CAP(CAP_NET_RAW), 0 };
FIXTURE_VARIANT_ADD(trace, undumpable_with_ptrace) { do_undumpable, CAP(CAP_SYS_PTRACE), 0 };
FIXTURE_VARIANT_ADD(trace, user_namespace_with_ptrace) {
	do_user_namespace, CAP(CAP_SYS_PTRACE), 0
};

FIXTURE_VARIANT_ADD(trace, other_user) { do_other_user, 0, EPERM };
FIXTURE_VARIANT_ADD(trace, root) { do_nothing, 0, EPERM };
FIXTURE_VARIANT_ADD(trace, undumpable) { do_undumpable, 0, EPERM };
FIXTURE_VARIANT_ADD(trace, more_capabilities) { do_capable, 0, EPERM };
FIXTURE_VARIANT_ADD(trace, saved_uid) { do_saved_uid, 0, EPERM };
FIXTURE_VARIANT_ADD(trace, child_of_other_user) { do_child_of_other, 0, EPERM };
FIXTURE_VARIANT_ADD(trace, other_user_namespace) { do_user_namespace, 0, EPERM };

TEST_F(trace, task)
{
	struct target t = { .fd = self->null };
	struct cr_child c;

	cr_begin(_metadata, &c, variant->workload);
	t.pid = c.pid;
	EXPECT_EQ(variant->err, run_as(_metadata, USER, variant->caps, try_checkpoint, &t));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* ---- others ---- */

FIXTURE(others) {
	struct target t;
};

FIXTURE_SETUP(others)
{
	if (geteuid())
		SKIP(return, "not root");
	self->t.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, self->t.fd);
}

FIXTURE_TEARDOWN(others)
{
	close(self->t.fd);
}

TEST_F(others, init)
{
	self->t.pid = 1;
	EXPECT_EQ(EPERM, run_as(_metadata, USER, 0, try_checkpoint, &self->t));
	EXPECT_EQ(EOPNOTSUPP, try_checkpoint(&self->t));
	TH_LOG("%s", cr_reason());
}

TEST_F(others, kernel_thread)
{
	self->t.pid = 2;
	EXPECT_EQ(EOPNOTSUPP, run_as(_metadata, USER, 0, try_checkpoint, &self->t));
	EXPECT_EQ(EOPNOTSUPP, try_checkpoint(&self->t));
	EXPECT_NE(NULL, strstr(cr_reason(), "kernel thread"));
}

/* The init of a container has no name for a process outside. */
TEST_F(others, outside_the_pid_namespace)
{
	struct cr_child c;
	int status = -1;
	pid_t pid;

	cr_begin(_metadata, &c, do_nothing);
	self->t.pid = c.pid;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (unshare(CLONE_NEWPID))
			_exit(NO_SETUP);
		pid = fork();
		if (!pid)
			_exit(try_checkpoint(&self->t));
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : NO_SETUP);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(ESRCH, WEXITSTATUS(status));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* As with ptrace(): only who is allowed by the process, or may trace all. */
TEST_F(others, yama)
{
	struct cr_child c;
	char old;

	if (access(YAMA, F_OK))
		SKIP(return, "no Yama");
	old = yama_set('1');
	ASSERT_NE('?', old);
	cr_begin(_metadata, &c, do_user);
	self->t.pid = c.pid;
	EXPECT_EQ(EPERM, run_as(_metadata, USER, 0, try_checkpoint, &self->t));
	EXPECT_EQ(0, run_as(_metadata, USER, CAP(CAP_SYS_PTRACE), try_checkpoint, &self->t));
	yama_set('0');
	EXPECT_EQ(0, run_as(_metadata, USER, 0, try_checkpoint, &self->t));
	yama_set(old);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

static int try_landlocked(void *arg)
{
	return enter_landlock() ? NO_SETUP : try_checkpoint(arg);
}

TEST_F(others, landlock)
{
	struct cr_child c;

	if (!have_landlock())
		SKIP(return, "no Landlock");
	cr_begin(_metadata, &c, do_nothing);
	self->t.pid = c.pid;
	EXPECT_EQ(EPERM, run_as(_metadata, 0, ALL_CAPS, try_landlocked, &self->t));
	EXPECT_EQ(0, try_checkpoint(&self->t));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
