// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: images go into a user namespace and out of it. The ids in
 * them are numbers, and mean what they mean where the image is restarted.
 */
#include "security_help.h"

/* Its root, and one more user, are these outside. */
#define MAP	"0 100000 1\n1 100001 1\n"

static void do_root(struct cr_child *c)
{
	cr_ready(c);
	CR_CHECK(c, !getuid() && !getgid());
}

static void do_uid(struct cr_child *c, uid_t uid)
{
	CR_CHECK(c, !become(uid, 0));
	cr_ready(c);
	CR_CHECK(c, getuid() == uid && getgid() == uid);
}

static void do_first_user(struct cr_child *c)
{
	do_uid(c, 1);
}

/* The init of a container restarts the image in @fd: the errno, or as of attempt(). */
static int container_init(struct cr_child *c, int fd)
{
	int status, err;
	long ret;

	if (setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
		return NO_SETUP;
	ret = sys_restart(0, fd, 0);
	err = errno;
	if (ret < 0)
		return err;
	close(open(c->go, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
	return waitpid(ret, &status, 0) != ret || status ? BAD_COPY : 0;
}

/* In a user namespace and a PID namespace of its own, whose ids root has mapped. */
static int in_container(struct __test_metadata *_metadata, struct cr_child *c)
{
	int fd = open(c->image, O_RDONLY | O_CLOEXEC), up[2], down[2], status = -1;
	pid_t outer, pid;
	char byte;

	ASSERT_LE(0, fd);
	unlink(c->go);
	ASSERT_EQ(0, pipe2(up, O_CLOEXEC) || pipe2(down, O_CLOEXEC));
	outer = fork();
	ASSERT_LE(0, outer);
	if (!outer) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWPID) || write(up[1], "", 1) != 1 ||
		    read(down[0], &byte, 1) != 1)
			_exit(NO_SETUP);
		pid = fork();
		if (!pid)
			_exit(container_init(c, fd));
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : NO_SETUP);
	}
	ASSERT_EQ(1, read(up[0], &byte, 1));
	ASSERT_TRUE(map_ids(outer, MAP));
	ASSERT_EQ(1, write(down[1], "", 1));
	ASSERT_EQ(outer, waitpid(outer, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	close(fd);
	return WEXITSTATUS(status);
}

static int import(struct __test_metadata *_metadata, void (*workload)(struct cr_child *))
{
	struct cr_child c;
	struct image im;
	int ret;

	make_image(_metadata, &c, workload, &im);
	free(im.data);
	ret = in_container(_metadata, &c);
	if (ret == BAD_COPY)
		cr_tell(_metadata, &c);
	cr_end(_metadata, &c);
	return ret;
}

/* Root of the host becomes root of the container, which is less. */
TEST(root_into_a_container)
{
	if (geteuid())
		SKIP(return, "not root");
	EXPECT_EQ(0, import(_metadata, do_root));
}

TEST(user_into_a_container)
{
	if (geteuid())
		SKIP(return, "not root");
	EXPECT_EQ(0, import(_metadata, do_first_user));
}

/* This one is nobody there. */
TEST(unmapped_user_into_a_container)
{
	if (geteuid())
		SKIP(return, "not root");
	EXPECT_EQ(EINVAL, import(_metadata, do_user));
}

/* ---- out of one ---- */

static void do_container(struct cr_child *c)
{
	enter_user_namespace(c, MAP);
	do_root(c);
}

/* Its root is a number. Who may not be root here cannot make it one. */
TEST(root_out_of_a_container)
{
	struct attempt a = { USER, CHOOSE_PIDS, .reason = "CAP_SETUID" };
	struct attempt root = { 0, ALL_CAPS };
	struct cr_child c;
	struct image im;

	if (geteuid())
		SKIP(return, "not root");
	make_image(_metadata, &c, do_container, &im);
	EXPECT_EQ(EPERM, attempt(_metadata, &c, &a));
	/* It says that it is root, and root restarts it: then it is. */
	EXPECT_EQ(0, attempt(_metadata, &c, &root));
	free(im.data);
	cr_end(_metadata, &c);
}

/* ---- a container's root as a caller ---- */

/* It may choose pids in its own PID namespace only. */
static int restart_here(void *arg)
{
	struct cr_child *c = arg;
	int fd = open(c->image, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || unshare(CLONE_NEWUSER) || !cr_write_file("/proc/self/setgroups", "deny") ||
	    !cr_write_file("/proc/self/uid_map", "1000 1000 1") ||
	    !cr_write_file("/proc/self/gid_map", "1000 1000 1"))
		return NO_SETUP;
	return sys_restart(0, fd, 0) > 0 ? 0 : errno;
}

TEST(pids_of_the_namespace_outside)
{
	struct cr_child c;
	struct image im;

	if (geteuid())
		SKIP(return, "not root");
	make_image(_metadata, &c, do_user, &im);
	free(im.data);
	ASSERT_EQ(0, chmod(c.image, 0644));
	EXPECT_EQ(EPERM, run_as(_metadata, USER, CHOOSE_PIDS, restart_here, &c));
	EXPECT_EQ(-1, kill(c.pid, 0));
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
