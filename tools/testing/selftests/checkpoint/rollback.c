// SPDX-License-Identifier: GPL-2.0
/*
 * A live tree is put back to a checkpoint that was kept: with its pids, its
 * parent and its sockets, again and again, from outside and from within; and
 * is left alone when that is not possible.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cr_selftest.h"

#define NR_PAGES	64

struct clone3_args {
	unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack,
			   stack_size, tls, set_tid, set_tid_size, cgroup;
};

/* ---- the workload's side; its working directory is its own ---- */

static void touch(struct cr_child *c, const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	CR_CHECK(c, fd >= 0);
	close(fd);
}

static void put_number(struct cr_child *c, const char *name, int n)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	CR_CHECK(c, fd >= 0 && write(fd, &n, sizeof(n)) == sizeof(n));
	close(fd);
}

/* Its state has changed: tell, and wait for being put back. */
static void changed(struct cr_child *c)
{
	touch(c, "changed");
	for (;;)
		pause();
}

/* Told to go on: is this the one that is to end? */
static bool last_time(void)
{
	return !access("last", F_OK);
}

/* ---- the test's side ---- */

struct tree {
	struct cr_child c;
	pid_t root;
	int crid;
	int pidfd;
};

static void make_file(struct tree *t, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", t->c.dir, name);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
}

static int get_number(struct tree *t, const char *name)
{
	char path[64];
	int n = -1, fd;

	snprintf(path, sizeof(path), "%s/%s", t->c.dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &n, sizeof(n)) != sizeof(n))
		n = -1;
	close(fd);
	return n;
}

static void wait_changed(struct __test_metadata *_metadata, struct tree *t)
{
	char path[64];
	int n;

	snprintf(path, sizeof(path), "%s/changed", t->c.dir);
	for (n = 0; access(path, F_OK); n++) {
		if (n == CR_WAIT_S * 1000 / CR_POLL_MS) {
			cr_tell(_metadata, &t->c);
			ASSERT_EQ(0, 1) TH_LOG("the workload does not change");
		}
		cr_sleep_ms(CR_POLL_MS);
	}
	unlink(path);
}

static void keep(struct __test_metadata *_metadata, struct tree *t)
{
	t->crid = sys_checkpoint(t->root, -1, CHECKPOINT_KEEP);
	ASSERT_LT(0, t->crid) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
}

/* Starts @workload, keeps a checkpoint of it, lets it change. */
static void begin(struct __test_metadata *_metadata, struct tree *t,
		  void (*workload)(struct cr_child *))
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	cr_begin(_metadata, &t->c, workload);
	t->root = t->c.pid;
	t->pidfd = syscall(SYS_pidfd_open, t->root, 0);
	ASSERT_LE(0, t->pidfd);
	keep(_metadata, t);
	make_file(t, ".go");
	wait_changed(_metadata, t);
}

/* Nothing must be seen of it by the parent of the tree, which this is. */
static void rollback(struct __test_metadata *_metadata, struct tree *t, unsigned long flags)
{
	struct pollfd pfd = { .fd = t->pidfd, .events = POLLIN };
	sigset_t set;

	ASSERT_EQ(t->root, sys_restart(t->crid, -1, RESTART_ROLLBACK | flags)) {
		TH_LOG("rollback: %s: %s", strerror(errno), cr_reason());
	}
	EXPECT_EQ(0, sigpending(&set));
	EXPECT_FALSE(sigismember(&set, SIGCHLD));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_EQ(0, kill(t->root, 0));
}

static void refused(struct __test_metadata *_metadata, struct tree *t, int err, const char *why)
{
	EXPECT_EQ(-1, sys_restart(t->crid, -1, RESTART_ROLLBACK));
	EXPECT_EQ(err, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), why)) {
		TH_LOG("reason: %s", cr_reason());
	}
}

/* Puts the tree back for the last time, and requires that it ends well. */
static void finish(struct __test_metadata *_metadata, struct tree *t, unsigned long flags)
{
	make_file(t, "last");
	rollback(_metadata, t, flags);
	cr_finish(_metadata, &t->c, "tree");
	EXPECT_EQ(0, sys_checkpoint(t->crid, -1, CHECKPOINT_DISCARD));
	close(t->pidfd);
	cr_end(_metadata, &t->c);
}

/* ---- one process ---- */

static void single(struct cr_child *c)
{
	size_t i, n = NR_PAGES * 4096 / sizeof(unsigned int);
	unsigned int *mem = malloc(n * sizeof(*mem));
	int fd = open("data", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	pid_t ppid = getppid();
	char text[8] = "";

	CR_CHECK(c, mem && fd > 2 && write(fd, "abcdef", 6) == 6);
	CR_CHECK(c, lseek(fd, 2, SEEK_SET) == 2);
	for (i = 0; i < n; i++)
		mem[i] = i * 2654435761U;
	cr_ready(c);
	for (i = 0; i < n; i++)
		CR_CHECK(c, mem[i] == i * 2654435761U);
	CR_CHECK(c, read(fd, text, 2) == 2 && !memcmp(text, "cd", 2));
	CR_CHECK(c, fcntl(fd + 1, F_GETFD) < 0 && errno == EBADF);
	CR_CHECK(c, getpid() == c->pid && getppid() == ppid && getsid(0) == c->pid);
	CR_CHECK(c, signal(SIGUSR1, SIG_IGN) == SIG_DFL);
	if (last_time())
		return;
	memset(mem, 0x55, n * sizeof(*mem));
	CR_CHECK(c, open("/dev/null", O_RDONLY) == fd + 1);
	close(fd);
	CR_CHECK(c, mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		    MAP_FAILED);
	changed(c);
}

TEST(one_process_again_and_again)
{
	struct tree t;
	int i;

	begin(_metadata, &t, single);
	for (i = 0; i < 4; i++) {
		rollback(_metadata, &t, 0);
		wait_changed(_metadata, &t);
	}
	finish(_metadata, &t, 0);
}

/* ---- a tree ---- */

static void family(struct cr_child *c)
{
	pid_t kept = fork(), lost, dead;
	siginfo_t info = {};
	int status;

	if (!kept)
		for (;;)
			pause();
	lost = fork();
	if (!lost) {
		setpgid(0, 0);
		if (!fork())
			for (;;)
				pause();
		for (;;)
			pause();
	}
	dead = fork();
	if (!dead)
		_exit(3);
	CR_CHECK(c, !waitid(P_PID, dead, &info, WEXITED | WNOWAIT));
	while (getpgid(lost) != lost)
		cr_sleep_ms(CR_POLL_MS);
	cr_ready(c);
	CR_CHECK(c, !kill(kept, 0) && !kill(lost, 0) && getpgid(lost) == lost);
	CR_CHECK(c, waitpid(dead, &status, 0) == dead && WEXITSTATUS(status) == 3);
	CR_CHECK(c, !kill(-lost, SIGKILL));
	CR_CHECK(c, waitpid(lost, &status, 0) == lost && WTERMSIG(status) == SIGKILL);
	if (last_time()) {
		CR_CHECK(c, !kill(kept, SIGTERM));
		CR_CHECK(c, waitpid(kept, &status, 0) == kept && WTERMSIG(status) == SIGTERM);
		CR_CHECK(c, waitpid(-1, &status, 0) < 0 && errno == ECHILD);
		return;
	}
	/* more of them: a daemon, a zombie */
	if (!fork()) {
		setsid();
		put_number(c, "daemon", getpid());
		if (!fork())
			_exit(0);
		changed(c);
	}
	for (;;)
		pause();
}

TEST(tree_that_grew_and_shrank)
{
	struct tree t;
	pid_t daemon;
	int i;

	begin(_metadata, &t, family);
	for (i = 0; i < 2; i++) {
		daemon = get_number(&t, "daemon");
		ASSERT_LT(0, daemon);
		EXPECT_EQ(0, kill(daemon, 0));
		rollback(_metadata, &t, 0);
		EXPECT_EQ(-1, kill(daemon, 0));
		EXPECT_EQ(ESRCH, errno);
		wait_changed(_metadata, &t);
	}
	finish(_metadata, &t, 0);
}

/* ---- threads ---- */

static pid_t thread_tid;

static void *thread_main(void *arg)
{
	struct cr_child *c = arg;

	__atomic_store_n(&thread_tid, gettid(), __ATOMIC_RELEASE);
	cr_wait_go(c);
	CR_CHECK(c, gettid() == thread_tid && getpid() == c->pid);
	return arg;
}

static void *thread_pause(void *arg)
{
	changed(arg);
	return NULL;
}

static void threads(struct cr_child *c)
{
	pthread_t thread;
	void *ret;

	CR_CHECK(c, !pthread_create(&thread, NULL, thread_main, c));
	while (!__atomic_load_n(&thread_tid, __ATOMIC_ACQUIRE))
		cr_sleep_ms(CR_POLL_MS);
	cr_ready(c);
	CR_CHECK(c, !pthread_join(thread, &ret) && ret == c);
	if (last_time())
		return;
	CR_CHECK(c, !pthread_create(&thread, NULL, thread_pause, c));
	for (;;)
		pause();
}

TEST(threads_that_came_and_went)
{
	struct tree t;

	begin(_metadata, &t, threads);
	rollback(_metadata, &t, 0);
	wait_changed(_metadata, &t);
	finish(_metadata, &t, 0);
}

/* ---- a parent that waits meanwhile; its group and session are outside ---- */

static void waiting_parent(struct cr_child *c)
{
	pid_t root = fork();
	int status;

	if (!root) {
		pid_t pgrp = getpgrp(), sid = getsid(0);

		put_number(c, "root", getpid());
		cr_ready(c);
		CR_CHECK(c, getpgrp() == pgrp && getsid(0) == sid && getppid() == c->pid);
		if (last_time())
			_exit(42);
		CR_CHECK(c, setsid() > 0);
		changed(c);
	}
	CR_CHECK(c, waitpid(root, &status, 0) == root);
	CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

TEST(parent_waits)
{
	struct tree t;

	cr_begin(_metadata, &t.c, waiting_parent);
	t.root = get_number(&t, "root");
	ASSERT_LT(0, t.root);
	t.pidfd = syscall(SYS_pidfd_open, t.root, 0);
	keep(_metadata, &t);
	make_file(&t, ".go");
	wait_changed(_metadata, &t);
	rollback(_metadata, &t, 0);
	wait_changed(_metadata, &t);
	finish(_metadata, &t, 0);
}

/* ---- from within ---- */

struct outside {
	int crid;
	int times;
};

static void go_back(struct cr_child *c, struct outside *shared, int *private)
{
	long ret = sys_checkpoint(0, -1, CHECKPOINT_KEEP);

	CR_CHECK(c, ret >= 0);
	if (ret > 0)
		shared->crid = ret;
	CR_CHECK(c, __atomic_load_n(private, __ATOMIC_SEQ_CST) == 7);
	__atomic_store_n(private, 8, __ATOMIC_SEQ_CST);
	if (++shared->times < 4) {
		sys_restart(shared->crid, -1, RESTART_ROLLBACK);
		cr_log(c, "rollback: %s: %s", strerror(errno), cr_reason());
		_exit(1);
	}
	CR_CHECK(c, sys_checkpoint(shared->crid, -1, CHECKPOINT_DISCARD) == 0);
}

static struct outside *map_outside(struct cr_child *c)
{
	int fd = open("shared", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct outside *shared;

	CR_CHECK(c, fd >= 0 && !ftruncate(fd, 4096));
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CR_CHECK(c, shared != MAP_FAILED);
	close(fd);
	return shared;
}

static void self(struct cr_child *c)
{
	struct outside *shared = map_outside(c);
	int private = 7;

	go_back(c, shared, &private);
	CR_CHECK(c, shared->times == 4 && getpid() == c->pid);
	cr_ready(c);
}

TEST(from_within)
{
	struct cr_child c;

	cr_begin(_metadata, &c, self);
	cr_finish(_metadata, &c, "workload");
	cr_end(_metadata, &c);
}

struct self_thread {
	struct cr_child *c;
	struct outside *shared;
	int private;
};

static void *self_thread(void *arg)
{
	struct self_thread *s = arg;

	go_back(s->c, s->shared, &s->private);
	return arg;
}

/* The caller is a thread of a child of the root. */
static void self_deep(struct cr_child *c)
{
	struct self_thread s = { c, map_outside(c), 7 };
	pthread_t thread;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		CR_CHECK(c, !pthread_create(&thread, NULL, self_thread, &s));
		CR_CHECK(c, !pthread_join(thread, NULL));
		_exit(5);
	}
	CR_CHECK(c, waitpid(pid, &status, 0) == pid);
	CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == 5 && s.shared->times == 4);
	cr_ready(c);
}

TEST(from_a_thread_of_a_child)
{
	struct cr_child c;

	cr_begin(_metadata, &c, self_deep);
	cr_finish(_metadata, &c, "workload");
	cr_end(_metadata, &c);
}

/* ---- what is in the way ---- */

static void loses_child(struct cr_child *c)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	put_number(c, "child", pid);
	cr_ready(c);
	CR_CHECK(c, !kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
	if (!last_time())
		changed(c);
}

TEST(pid_taken_by_another)
{
	struct clone3_args args = { .exit_signal = SIGCHLD, .set_tid_size = 1 };
	struct tree t;
	int status;
	pid_t pid;

	begin(_metadata, &t, loses_child);
	pid = get_number(&t, "child");
	ASSERT_LT(0, pid);
	args.set_tid = (unsigned long)&pid;
	if (!syscall(SYS_clone3, &args, sizeof(args)))
		for (;;)
			pause();
	ASSERT_EQ(0, kill(pid, 0));
	refused(_metadata, &t, EEXIST, "is in use");
	/* both are unharmed */
	EXPECT_EQ(0, waitpid(-1, &status, WNOHANG));
	EXPECT_EQ(0, kill(t.root, 0));
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	/* no SIGCHLD of its own may hide one of the tree */
	signal(SIGCHLD, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	finish(_metadata, &t, 0);
}

TEST(root_has_ended)
{
	struct clone3_args args = { .exit_signal = SIGCHLD, .set_tid_size = 1 };
	struct tree t;

	begin(_metadata, &t, single);
	EXPECT_EQ(0, kill(t.root, SIGKILL));
	EXPECT_EQ(0, waitid(P_PID, t.root, &(siginfo_t){}, WEXITED | WNOWAIT));
	refused(_metadata, &t, ESRCH, "ended");
	EXPECT_EQ(t.root, waitpid(t.root, NULL, 0));
	refused(_metadata, &t, ESRCH, "ended");
	/* another process with its pid */
	args.set_tid = (unsigned long)&t.root;
	if (!syscall(SYS_clone3, &args, sizeof(args)))
		for (;;)
			pause();
	refused(_metadata, &t, ESRCH, "ended");
	EXPECT_EQ(0, kill(t.root, SIGKILL));
	EXPECT_EQ(t.root, waitpid(t.root, NULL, 0));
	EXPECT_EQ(0, sys_checkpoint(t.crid, -1, CHECKPOINT_DISCARD));
	close(t.pidfd);
	cr_end(_metadata, &t.c);
}

TEST(arguments)
{
	struct tree t;

	begin(_metadata, &t, single);
	EXPECT_EQ(-1, sys_restart(0, t.pidfd, RESTART_ROLLBACK));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sys_restart(t.crid, t.pidfd, RESTART_ROLLBACK));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sys_restart(t.crid + 1000, -1, RESTART_ROLLBACK));
	EXPECT_EQ(ESRCH, errno);
	finish(_metadata, &t, 0);
}

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
	put_number(c, "port", ntohs(addr.sin_port));
	cr_ready(c);
	conn = accept(fd, NULL, NULL);
	CR_CHECK(c, conn >= 0);
	touch(c, "changed");
	/* the checkpoint is made here */
	while (access("go2", F_OK))
		cr_sleep_ms(CR_POLL_MS);
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
				    .sin_port = htons(get_number(t, "port")),
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
	make_file(t, "go2");
	return fd;
}

/* A connection that nothing has gone through since is what it was. */
TEST(sockets_go_on)
{
	struct tree t;
	char text[8];
	int fd = begin_server(_metadata, &t), new;

	wait_changed(_metadata, &t);
	rollback(_metadata, &t, 0);
	wait_changed(_metadata, &t);
	make_file(&t, "last");
	rollback(_metadata, &t, 0);
	EXPECT_EQ(4, write(fd, "ping", 4));
	EXPECT_EQ(4, read(fd, text, sizeof(text)));
	EXPECT_EQ(0, memcmp(text, "pong", 4));
	new = connect_to(_metadata, &t);
	EXPECT_EQ(3, read(new, text, sizeof(text)));
	cr_finish(_metadata, &t.c, "server");
	close(fd);
	close(new);
	EXPECT_EQ(0, sys_checkpoint(t.crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &t.c);
}

/* One that data has gone through comes back as reset, if that is wanted. */
TEST(connection_that_moved_on)
{
	struct tree t;
	char text[8];
	int fd, new;

	fd = begin_server(_metadata, &t);
	wait_changed(_metadata, &t);
	make_file(&t, "talk");
	rollback(_metadata, &t, 0);
	EXPECT_EQ(4, write(fd, "ping", 4));
	EXPECT_EQ(4, read(fd, text, sizeof(text)));
	wait_changed(_metadata, &t);
	refused(_metadata, &t, ECONNRESET, "RESTART_CONN_RESET");
	EXPECT_EQ(0, kill(t.root, 0));
	make_file(&t, "reset");
	make_file(&t, "last");
	rollback(_metadata, &t, RESTART_CONN_RESET);
	new = connect_to(_metadata, &t);
	EXPECT_EQ(3, read(new, text, sizeof(text)));
	cr_finish(_metadata, &t.c, "server");
	close(fd);
	close(new);
	EXPECT_EQ(0, sys_checkpoint(t.crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &t.c);
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
	put_number(c, "root", pid);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid);
	CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

TEST(init_of_pid_namespace)
{
	struct tree t;

	if (geteuid())
		SKIP(return, "needs root");
	cr_begin(_metadata, &t.c, init_of_namespace);
	while ((t.root = get_number(&t, "root")) <= 0)
		cr_sleep_ms(CR_POLL_MS);
	t.pidfd = syscall(SYS_pidfd_open, t.root, 0);
	keep(_metadata, &t);
	make_file(&t, ".go");
	wait_changed(_metadata, &t);
	rollback(_metadata, &t, 0);
	wait_changed(_metadata, &t);
	finish(_metadata, &t, 0);
}

TEST_HARNESS_MAIN
