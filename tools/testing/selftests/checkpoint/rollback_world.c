// SPDX-License-Identifier: GPL-2.0
/*
 * What is around a tree that is put back to a checkpoint: its sockets, its
 * cgroup, its namespaces.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "rollback_help.h"

/* ---- sockets ---- */

static void server(struct cr_child *c)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), conn;
	socklen_t len = sizeof(addr);
	char text[8];

	CR_CHECK(c, !bind(fd, (void *)&addr, len) && !listen(fd, 4));
	CR_CHECK(c, !getsockname(fd, (void *)&addr, &len));
	cr_put_number(c, "port", ntohs(addr.sin_port));
	cr_ready(c);
	conn = accept(fd, NULL, NULL);
	CR_CHECK(c, conn >= 0);
	CR_CHECK(c, !unlink(c->go));
	touch(c, "changed");
	/* the checkpoint is made here */
	cr_wait_go(c);
	CR_CHECK(c, !fcntl(conn, F_GETOWN));
	if (!access("own", F_OK) && !last_time())
		CR_CHECK(c, !fcntl(conn, F_SETOWN, getpid()) && !fcntl(conn, F_SETFL, O_ASYNC));
	if (!last_time() && access("talk", F_OK))
		changed(c);
	if (access("reset", F_OK)) {
		CR_CHECK(c, read(conn, text, sizeof(text)) == 4);
		CR_CHECK(c, !memcmp(text, "ping", 4) && write(conn, "pong", 4) == 4);
	} else {
		CR_CHECK(c, read(conn, text, sizeof(text)) < 0 && errno == ECONNRESET);
	}
	close(conn);
	if (!last_time())
		changed(c);
	conn = accept(fd, NULL, NULL);
	CR_CHECK(c, conn >= 0 && write(conn, "new", 3) == 3);
}

static int connect_to(struct __test_metadata *_metadata, struct tree *t)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(cr_get_number(&t->c, "port")),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	EXPECT_EQ(0, connect(fd, (void *)&addr, sizeof(addr)));
	return fd;
}

/* Returns the test's end of the server's first connection. */
static int begin_server(struct __test_metadata *_metadata, struct tree *t)
{
	int fd;

	cr_begin(_metadata, &t->c, server);
	t->root = t->c.pid;
	t->pidfd = syscall(SYS_pidfd_open, t->root, 0);
	fd = connect_to(_metadata, t);
	make_file(t, ".go");
	wait_changed(_metadata, t);
	keep(_metadata, t);
	make_file(t, ".go");
	return fd;
}

static void talk(struct __test_metadata *_metadata, int fd)
{
	char text[8];

	EXPECT_EQ(4, write(fd, "ping", 4));
	EXPECT_EQ(4, read(fd, text, sizeof(text)));
	EXPECT_EQ(0, memcmp(text, "pong", 4));
}

/* It was put back for the last time: it accepts once more and ends. */
static void end_server(struct __test_metadata *_metadata, struct tree *t, int fd)
{
	int new = connect_to(_metadata, t);
	char text[8];

	EXPECT_EQ(3, read(new, text, sizeof(text)));
	cr_finish(_metadata, &t->c, "server");
	close(fd);
	close(new);
	EXPECT_EQ(0, sys_checkpoint(t->crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &t->c);
}

/* Twice; @meanwhile, if not NULL, tells it what to do in between. */
static void put_back_server(struct __test_metadata *_metadata, const char *meanwhile)
{
	struct tree t;
	int fd = begin_server(_metadata, &t);

	wait_changed(_metadata, &t);
	if (meanwhile)
		make_file(&t, meanwhile);
	put_back(_metadata, &t, 0);
	wait_changed(_metadata, &t);
	make_file(&t, "last");
	put_back(_metadata, &t, 0);
	talk(_metadata, fd);
	end_server(_metadata, &t, fd);
}

/* A connection that nothing has gone through since is what it was. */
TEST(sockets_go_on)
{
	put_back_server(_metadata, NULL);
}

/* Whom they signal since is not what was put back, though it has its pid. */
TEST(sockets_signal_nobody)
{
	put_back_server(_metadata, "own");
}

/* One that data has gone through comes back as reset, if that is wanted. */
TEST(connection_that_moved_on)
{
	struct tree t;
	int fd = begin_server(_metadata, &t);

	wait_changed(_metadata, &t);
	make_file(&t, "talk");
	put_back(_metadata, &t, 0);
	talk(_metadata, fd);
	wait_changed(_metadata, &t);
	refused(_metadata, &t, ECONNRESET, "RESTART_CONN_RESET");
	EXPECT_EQ(0, kill(t.root, 0));
	make_file(&t, "reset");
	make_file(&t, "last");
	put_back(_metadata, &t, RESTART_CONN_RESET);
	end_server(_metadata, &t, fd);
}

/* ---- cgroup ---- */

/* Tells where it is, and ends when it is told to. */
static void quiet(struct cr_child *c)
{
	cr_ready(c);
	if (!last_time())
		changed(c);
}

static void file_user(struct cr_child *c)
{
	CR_CHECK(c, open("data", O_RDWR | O_CREAT | O_CLOEXEC, 0600) > 2);
	CR_CHECK(c, fork() || pause());
	cr_ready(c);
	changed(c);
}

#define CHILDREN	"/proc/thread-self/children"

/* It fails when the restored processes exist already: nothing of them is left. */
TEST(file_has_gone)
{
	char before[64], after[64], path[64];
	struct tree t;
	int status;

	begin(_metadata, &t, file_user);
	ASSERT_TRUE(cr_read_file(CHILDREN, before, sizeof(before)));
	snprintf(path, sizeof(path), "%s/data", t.c.dir);
	EXPECT_EQ(0, unlink(path));
	refused(_metadata, &t, ENOENT, "data");
	EXPECT_EQ(0, waitpid(-1, &status, WNOHANG | __WALL));
	EXPECT_EQ(0, kill(t.root, 0));
	ASSERT_TRUE(cr_read_file(CHILDREN, after, sizeof(after)));
	EXPECT_STREQ(before, after);
	EXPECT_EQ(0, sys_checkpoint(t.crid, -1, CHECKPOINT_DISCARD));
	close(t.pidfd);
	cr_end(_metadata, &t.c);
}

TEST(cgroup)
{
	char path[64], text[256], dir[] = "/tmp/cr-cgroup.XXXXXX";
	struct tree t;

	if (!mkdtemp(dir) || mount("none", dir, "cgroup2", 0, NULL))
		SKIP(return, "cannot mount cgroup2");
	begin(_metadata, &t, quiet);
	snprintf(path, sizeof(path), "%s/cr-rollback", dir);
	ASSERT_EQ(0, mkdir(path, 0755));
	snprintf(path, sizeof(path), "%s/cr-rollback/cgroup.procs", dir);
	snprintf(text, sizeof(text), "%d", t.root);
	ASSERT_TRUE(cr_write_file(path, text));
	put_back(_metadata, &t, 0);
	wait_changed(_metadata, &t);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", t.root);
	EXPECT_TRUE(cr_read_file(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "0::/cr-rollback\n"));
	finish(_metadata, &t, 0);
	snprintf(path, sizeof(path), "%s/cr-rollback", dir);
	EXPECT_EQ(0, rmdir(path));
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

/* ---- init of a PID namespace, put back from outside of it ---- */

static void init_of_namespace(struct cr_child *c)
{
	pid_t pid;
	int status;

	CR_CHECK(c, !unshare(CLONE_NEWPID | CLONE_NEWUTS));
	pid = fork();
	if (!pid) {
		pid_t child;

		CR_CHECK(c, getpid() == 1 && setsid() == 1);
		child = fork();
		if (!child)
			for (;;)
				pause();
		CR_CHECK(c, child == 2 && !sethostname("was", 3));
		cr_ready(c);
		CR_CHECK(c, getpid() == 1 && !kill(2, SIGTERM) && waitpid(-1, NULL, 0) == 2);
		if (last_time())
			_exit(9);
		if (!fork())
			for (;;)
				pause();
		changed(c);
	}
	cr_put_number(c, "root", pid);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid);
	CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

TEST(init_of_pid_namespace)
{
	struct tree t;

	if (geteuid())
		SKIP(return, "needs root");
	cr_begin(_metadata, &t.c, init_of_namespace);
	while (cr_get_number(&t.c, "root") <= 0)
		cr_sleep_ms(CR_POLL_MS);
	begin_at(_metadata, &t, cr_get_number(&t.c, "root"));
	finish_again(_metadata, &t);
}

TEST_HARNESS_MAIN
