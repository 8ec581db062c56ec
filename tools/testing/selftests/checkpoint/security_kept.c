// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: who may use a checkpoint that is kept in the kernel. Other
 * users, other PID namespaces and the limit are in kept.c.
 */
#include "security_help.h"

#include <sys/mman.h>

/* ---- the three uses ---- */

struct uses {
	long crid;
	int (*enter)(void);	/* a sandbox, or NULL */
};

/*
 * 0 if all of them are permitted, but for rollback, which may need more; the errno if
 * none is; else 255.
 */
static int use_it(void *arg)
{
	struct uses *u = arg;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), got, err;

	if (u->enter && u->enter())
		return NO_SETUP;
	err = sys_checkpoint(u->crid, null, CHECKPOINT_WRITE | CHECKPOINT_KEEP) > 0 ? 0 : errno;
	got = sys_restart(u->crid, -1, 0) < 0 ? errno : 0;
	/* who is permitted may not choose pids, or finds that they are in use */
	if (!err && got != EEXIST && !strstr(cr_reason(), "to choose a pid"))
		return 255;
	if (err) {
		if (got != err)
			return 255;
		got = sys_restart(u->crid, -1, RESTART_ROLLBACK) < 0 ? errno : 0;
		if (got != err)
			return 255;
	}
	got = sys_checkpoint(u->crid, -1, CHECKPOINT_DISCARD) ? errno : 0;
	return got == err ? err : 255;
}

struct keeping {
	pid_t pid;
	long *crid;
};

static int keep_it(void *arg)
{
	struct keeping *k = arg;

	*k->crid = sys_checkpoint(k->pid, -1, CHECKPOINT_KEEP);
	return *k->crid > 0 ? 0 : errno;
}

FIXTURE(kept) {
	struct cr_child c;
	struct keeping k;
	char yama;
};

FIXTURE_SETUP(kept)
{
	if (geteuid())
		SKIP(return, "not root");
	self->yama = yama_set('0');
	self->k.crid = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	ASSERT_NE(MAP_FAILED, self->k.crid);
	cr_begin(_metadata, &self->c, do_user);
	self->k.pid = self->c.pid;
}

FIXTURE_TEARDOWN(kept)
{
	sys_checkpoint(*self->k.crid, -1, CHECKPOINT_DISCARD);
	cr_finish(_metadata, &self->c, "original");
	cr_end(_metadata, &self->c);
	yama_set(self->yama);
}

/* USER, who has @caps, keeps a checkpoint of it; the id. */
static long keep_as(struct __test_metadata *_metadata, struct keeping *k,
		    unsigned long long caps)
{
	ASSERT_EQ(0, run_as(_metadata, USER, caps, keep_it, k));
	return *k->crid;
}

TEST_F(kept, same_user)
{
	struct uses u = { keep_as(_metadata, &self->k, 0) };

	EXPECT_EQ(0, run_as(_metadata, USER, 0, use_it, &u));
}

TEST_F(kept, other_user)
{
	struct uses u = { keep_as(_metadata, &self->k, 0) };

	EXPECT_EQ(EPERM, run_as(_metadata, OTHER_USER, 0, use_it, &u));
	EXPECT_EQ(EPERM, run_as(_metadata, OTHER_USER, CAP(CAP_SYS_PTRACE), use_it, &u));
}

/* What CAP_SYS_PTRACE has got is not for those without it. */
TEST_F(kept, fewer_capabilities)
{
	struct uses u = { keep_as(_metadata, &self->k, CAP(CAP_SYS_PTRACE)) };

	EXPECT_EQ(EPERM, run_as(_metadata, USER, 0, use_it, &u));
	EXPECT_EQ(EPERM, run_as(_metadata, USER, CAP(CAP_NET_RAW), use_it, &u));
}

TEST_F(kept, checkpoint_restore)
{
	struct uses u = { keep_as(_metadata, &self->k, CAP(CAP_SYS_PTRACE)) };

	EXPECT_EQ(0, run_as(_metadata, OTHER_USER, CHOOSE_PIDS, use_it, &u));
}

TEST_F(kept, from_a_landlock_domain)
{
	struct uses u = { .enter = enter_landlock };

	if (!have_landlock())
		SKIP(return, "no Landlock");
	u.crid = keep_as(_metadata, &self->k, 0);
	EXPECT_EQ(EPERM, run_as(_metadata, USER, 0, use_it, &u));
}

static int leave_user_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

TEST_F(kept, from_a_user_namespace)
{
	struct uses u = { .enter = leave_user_namespace };

	u.crid = keep_as(_metadata, &self->k, 0);
	EXPECT_EQ(EPERM, run_as(_metadata, USER, 0, use_it, &u));
}

/* ---- in the PID namespace of a container ---- */

/*
 * The init of a container of USER makes room for root of the host, who comes in
 * and keeps a checkpoint of its own process there; then it tries to use it.
 */
static int container(void *arg)
{
	int *fd = arg, status;
	struct uses u = {};
	char byte;
	pid_t pid;

	if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
		return NO_SETUP;
	pid = fork();
	if (!pid) {
		if (write(fd[1], "", 1) != 1 || read(fd[2], &byte, 1) != 1)
			_exit(NO_SETUP);
		u.crid = byte;
		_exit(use_it(&u));
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) :
								    NO_SETUP;
}

/* In the PID namespace of @init, and nowhere else in it. */
static int visitor(pid_t init)
{
	char path[64];
	int fd, status;
	long crid;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid_for_children", init);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWPID))
		return 0;
	pid = fork();
	if (!pid) {
		close_range(0, ~0U, 0);
		cr_unmap_shared();
		pid = fork();
		if (!pid)
			for (;;)
				pause();
		crid = sys_checkpoint(pid, -1, CHECKPOINT_KEEP);
		_exit(crid > 0 ? crid : 0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

TEST(of_root_in_a_container)
{
	int up[2], down[2], status = -1;
	pid_t outer, pid;
	char byte;

	if (geteuid())
		SKIP(return, "not root");
	ASSERT_EQ(0, pipe(up));
	ASSERT_EQ(0, pipe(down));
	outer = fork();
	ASSERT_LE(0, outer);
	if (!outer) {
		int fd[] = { up[0], up[1], down[0] };

		_exit(become(USER, 0) ? NO_SETUP : container(fd));
	}
	ASSERT_EQ(1, read(up[0], &byte, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(visitor(outer));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status));
	byte = WEXITSTATUS(status);
	ASSERT_EQ(1, write(down[1], &byte, 1));
	ASSERT_EQ(outer, waitpid(outer, &status, 0));
	EXPECT_EQ(EPERM, WEXITSTATUS(status));
}

/* ---- rollback ---- */

static int roll_back(void *arg)
{
	struct uses *u = arg;

	return sys_restart(u->crid, -1, RESTART_ROLLBACK) > 0 ? 0 : errno;
}

static void do_becomes_undumpable(struct cr_child *c)
{
	char path[64];
	int n;

	CR_CHECK(c, !become(USER, 0));
	cr_ready(c);
	CR_CHECK(c, !prctl(PR_SET_DUMPABLE, 0));
	snprintf(path, sizeof(path), "%s/hidden", c->dir);
	CR_CHECK(c, !mkdir(path, 0777));
	snprintf(path, sizeof(path), "%s/end", c->dir);
	for (n = 0; access(path, F_OK) && n < CR_WAIT_S * 1000 / CR_POLL_MS; n++)
		cr_sleep_ms(CR_POLL_MS);
}

/* To keep a checkpoint is not to keep the right to undo what has happened since. */
TEST(rollback_of_who_may_not_be_traced)
{
	struct keeping k = {};
	struct uses u = {};
	struct cr_child c;
	char path[64], yama;
	int n;

	if (geteuid())
		SKIP(return, "not root");
	yama = yama_set('0');
	k.crid = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, k.crid);
	cr_begin(_metadata, &c, do_becomes_undumpable);
	k.pid = c.pid;
	u.crid = keep_as(_metadata, &k, 0);
	close(open(c.go, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
	snprintf(path, sizeof(path), "%s/hidden", c.dir);
	for (n = 0; access(path, F_OK); n++) {
		ASSERT_GT(CR_WAIT_S * 1000 / CR_POLL_MS, n);
		cr_sleep_ms(CR_POLL_MS);
	}
	EXPECT_EQ(EPERM, run_as(_metadata, USER, 0, roll_back, &u));
	EXPECT_EQ(EPERM, run_as(_metadata, OTHER_USER, 0, roll_back, &u));
	/* It is still the one that goes on. */
	EXPECT_EQ(0, kill(c.pid, 0));
	snprintf(path, sizeof(path), "%s/end", c.dir);
	ASSERT_EQ(0, mkdir(path, 0777));
	cr_finish(_metadata, &c, "original");
	ASSERT_EQ(0, sys_checkpoint(u.crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &c);
	yama_set(yama);
}

TEST_HARNESS_MAIN
