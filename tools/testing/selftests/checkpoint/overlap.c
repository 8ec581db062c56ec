// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoints at the same time that want the same tasks: none may wait for the
 * other, and each is right.
 */
#include <pthread.h>

#include "cr_selftest.h"

#define CHILDREN	6
#define ROUNDS		12
#define NR_DEAD		30

/* A child that ends with @code when the workload is told to go on. */
static pid_t waiting_child(struct cr_child *c, int code)
{
	pid_t pid = fork();

	CR_CHECK(c, pid >= 0);
	if (!pid) {
		cr_wait_go(c);
		_exit(code);
	}
	return pid;
}

/* Its processes are asked one after the other, so each caller gets some first. */
static void family(struct cr_child *c)
{
	pid_t pid[CHILDREN];
	int i, status;

	for (i = 0; i < CHILDREN; i++)
		pid[i] = waiting_child(c, 20 + i);
	cr_ready(c);
	for (i = 0; i < CHILDREN; i++) {
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i]);
		CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == 20 + i);
	}
}

struct caller {
	pthread_barrier_t *barrier;
	pid_t pid;
	long crid[ROUNDS];
	int err;
	char reason[300];
};

static void *keep_many(void *arg)
{
	struct caller *me = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(me->barrier);
		me->crid[i] = sys_checkpoint(me->pid, -1, CHECKPOINT_KEEP);
		if (me->crid[i] < 0 && !me->err) {
			me->err = errno;
			snprintf(me->reason, sizeof(me->reason), "%s", cr_reason());
		}
	}
	return NULL;
}

/* Three callers, one tree; all succeed, and what they have can be restarted. */
TEST(one_tree_several_callers)
{
	enum { CALLERS = 3 };
	struct caller caller[CALLERS] = { 0 };
	pthread_t thread[CALLERS];
	pthread_barrier_t barrier;
	struct cr_child c;
	int i, k;

	cr_begin(_metadata, &c, family);
	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, CALLERS));
	for (i = 0; i < CALLERS; i++) {
		caller[i].barrier = &barrier;
		caller[i].pid = c.pid;
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, keep_many, &caller[i]));
	}
	for (i = 0; i < CALLERS; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
		EXPECT_EQ(0, caller[i].err) {
			TH_LOG("%s: %s", strerror(caller[i].err), caller[i].reason);
		}
	}
	cr_finish(_metadata, &c, "original");
	for (i = 0; i < CALLERS; i++) {
		ASSERT_LT(0, caller[i].crid[ROUNDS - 1]);
		cr_load_from(_metadata, &c, caller[i].crid[ROUNDS - 1], -1, 0);
		cr_finish(_metadata, &c, "copy");
		for (k = 0; k < ROUNDS; k++)
			EXPECT_EQ(0, sys_checkpoint(caller[i].crid[k], -1, CHECKPOINT_DISCARD));
	}
	cr_end(_metadata, &c);
}

/* Checkpoints its own child, and then puts it back, all the time. */
static void guard(struct cr_child *c, pid_t pid)
{
	bool ready = false;
	int status;
	long crid;

	while (access(c->go, F_OK)) {
		crid = sys_checkpoint(pid, -1, CHECKPOINT_KEEP);
		/* it may end at any time once told to go on */
		if (crid < 0)
			CR_CHECK(c, !access(c->go, F_OK));
		else if (sys_restart(crid, -1, RESTART_ROLLBACK) < 0)
			CR_CHECK(c, !access(c->go, F_OK));
		if (crid > 0)
			CR_CHECK(c, !sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
		if (!ready)
			cr_say_ready(c);
		ready = true;
	}
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
}

static void guardian(struct cr_child *c)
{
	guard(c, waiting_child(c, 0));
}

/* Of a child whose own children have ended. */
static void guardian_of_dead(struct cr_child *c)
{
	pid_t pid = fork();
	int i;

	CR_CHECK(c, pid >= 0);
	if (pid) {
		guard(c, pid);
		return;
	}
	for (i = 0; i < NR_DEAD; i++)
		cr_zombie(c, 0);
	cr_wait_go(c);
	_exit(0);
}

static void keep_while_it_does(struct __test_metadata *_metadata,
			       void (*work)(struct cr_child *), int rounds)
{
	struct cr_child c;

	cr_begin(_metadata, &c, work);
	cr_keep_often(_metadata, &c, rounds, 0);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* Who checkpoints, and whom it checkpoints, are checkpointed by another one. */
TEST(caller_in_the_tree_of_another)
{
	keep_while_it_does(_metadata, guardian, ROUNDS);
}

/* What is restored as a zombie has been asked to park before it is one. */
TEST(zombies_restored_meanwhile)
{
	keep_while_it_does(_metadata, guardian_of_dead, 10 * ROUNDS);
}

/* Checkpoints the tree that it is in, all the time. */
static void one_of_two(struct cr_child *c, pid_t root)
{
	while (access(c->go, F_OK)) {
		long crid = sys_checkpoint(root, -1, CHECKPOINT_KEEP);

		/* 0: this is a copy. A copy does not have what the original has kept */
		CR_CHECK(c, crid >= 0);
		if (crid > 0)
			sys_checkpoint(crid, -1, CHECKPOINT_DISCARD);
	}
	_exit(0);
}

static void two_of_a_tree(struct cr_child *c)
{
	pid_t root = getpid(), pid[2];
	int i, status;

	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		CR_CHECK(c, pid[i] >= 0);
		if (!pid[i])
			one_of_two(c, root);
	}
	cr_ready(c);
	for (i = 0; i < 2; i++)
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i] && !status);
}

/* Each waits for the other to park, and a third one for both. */
TEST(callers_of_the_same_tree)
{
	struct cr_child c;
	long crid;

	cr_begin(_metadata, &c, two_of_a_tree);
	cr_keep_often(_metadata, &c, ROUNDS, 0);
	crid = cr_keep(_metadata, &c);
	cr_finish(_metadata, &c, "original");
	cr_load_from(_metadata, &c, crid, -1, 0);
	cr_finish(_metadata, &c, "copy");
	ASSERT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &c);
}

/* As guardian(), but it does not mind what becomes of its calls. */
static void parent(struct cr_child *c)
{
	pid_t pid = waiting_child(c, 0);
	siginfo_t info;
	int status;
	long crid;

	cr_say_ready(c);
	while (access(c->go, F_OK)) {
		crid = sys_checkpoint(pid, -1, CHECKPOINT_KEEP);
		if (crid > 0) {
			sys_restart(crid, -1, RESTART_ROLLBACK);
			sys_checkpoint(crid, -1, CHECKPOINT_DISCARD);
		}
		/* it is its child all the time, with the pid it has always had */
		CR_CHECK(c, !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT));
	}
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
}

/*
 * A child that is rolled back while its parent is checkpointed is found with the
 * pid that it has for a moment. In a copy it must have the one that its parent
 * knows.
 */
TEST(rolled_back_meanwhile)
{
	long crid[ROUNDS];
	struct cr_child c;
	int i;

	cr_begin(_metadata, &c, parent);
	for (i = 0; i < ROUNDS; i++)
		crid[i] = cr_keep(_metadata, &c);
	cr_finish(_metadata, &c, "original");
	for (i = 0; i < ROUNDS; i++) {
		cr_load_from(_metadata, &c, crid[i], -1, 0);
		cr_finish(_metadata, &c, "copy");
		ASSERT_EQ(0, sys_checkpoint(crid[i], -1, CHECKPOINT_DISCARD));
	}
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
