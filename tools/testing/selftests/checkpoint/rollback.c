// SPDX-License-Identifier: GPL-2.0
/*
 * A live tree is put back to a checkpoint that was kept: with its pids and its
 * parent, again and again, from outside and from within; and is left alone when
 * that is not possible.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "rollback_help.h"

#define NR_PAGES	64

/* ---- one process ---- */

static void single(struct cr_child *c)
{
	unsigned int i, n = NR_PAGES * 4096 / sizeof(i);
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
		put_back(_metadata, &t, 0);
		wait_changed(_metadata, &t);
	}
	finish(_metadata, &t, 0);
}

/* ---- a tree ---- */

static void family(struct cr_child *c)
{
	pid_t kept = fork(), lost, dead;
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
	dead = cr_zombie(c, 3);
	while (getpgid(lost) != lost)
		cr_sleep_ms(CR_POLL_MS);
	cr_ready(c);
	CR_CHECK(c, !kill(kept, 0) && !kill(lost, 0) && getpgid(lost) == lost);
	CR_CHECK(c, waitpid(dead, &status, 0) == dead && WEXITSTATUS(status) == 3);
	CR_CHECK(c, !kill(-lost, SIGKILL));
	CR_CHECK(c, waitpid(lost, &status, 0) == lost && WTERMSIG(status) == SIGKILL);
	/* a child of it is init's now, and a rollback wants that pid */
	while (!kill(-lost, 0))
		cr_sleep_ms(1);
	if (last_time()) {
		CR_CHECK(c, !kill(kept, SIGTERM));
		CR_CHECK(c, waitpid(kept, &status, 0) == kept && WTERMSIG(status) == SIGTERM);
		CR_CHECK(c, waitpid(-1, &status, 0) < 0 && errno == ECHILD);
		return;
	}
	/* more of them: a daemon, a zombie */
	if (!fork()) {
		setsid();
		cr_put_number(c, "daemon", getpid());
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
		daemon = cr_get_number(&t.c, "daemon");
		ASSERT_LT(0, daemon);
		EXPECT_EQ(0, kill(daemon, 0));
		put_back(_metadata, &t, 0);
		EXPECT_EQ(-1, kill(daemon, 0));
		EXPECT_EQ(ESRCH, errno);
		wait_changed(_metadata, &t);
	}
	finish(_metadata, &t, 0);
}

/* A group that has lost its leader is still a group; its number is not free. */
static void group(struct cr_child *c)
{
	pid_t leader = fork(), member;

	if (!leader)
		for (;;)
			pause();
	CR_CHECK(c, !setpgid(leader, leader));
	cr_ready(c);
	CR_CHECK(c, !kill(leader, 0) && getpgid(leader) == leader);
	member = fork();
	if (!member)
		for (;;)
			pause();
	CR_CHECK(c, !setpgid(member, leader));
	CR_CHECK(c, !kill(leader, SIGKILL) && waitpid(leader, NULL, 0) == leader);
	CR_CHECK(c, !kill(-leader, 0));
	if (!last_time())
		changed(c);
	CR_CHECK(c, !kill(-leader, SIGKILL) && waitpid(member, NULL, 0) == member);
	CR_CHECK(c, waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
}

TEST(group_without_leader)
{
	struct tree t;

	begin(_metadata, &t, group);
	finish_again(_metadata, &t);
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
	struct clone3_args args = { .exit_signal = SIGCHLD, .set_tid_size = 1 };
	pthread_t thread;
	pid_t pid = -1;
	void *ret;

	CR_CHECK(c, !pthread_create(&thread, NULL, thread_main, c));
	while (!__atomic_load_n(&thread_tid, __ATOMIC_ACQUIRE))
		cr_sleep_ms(CR_POLL_MS);
	cr_ready(c);
	CR_CHECK(c, !pthread_join(thread, &ret) && ret == c);
	if (last_time())
		return;
	/* what was the tid of a thread is the pid of a process now */
	args.set_tid = (unsigned long)&thread_tid;
	/* who has joined a thread may be ahead of the end of it */
	while (!geteuid() && (pid = syscall(SYS_clone3, &args, sizeof(args))) < 0)
		CR_CHECK(c, errno == EEXIST && !sched_yield());
	if (!pid)
		for (;;)
			pause();
	CR_CHECK(c, geteuid() || pid == thread_tid);
	CR_CHECK(c, !pthread_create(&thread, NULL, thread_pause, c));
	for (;;)
		pause();
}

TEST(threads_that_came_and_went)
{
	struct tree t;

	begin(_metadata, &t, threads);
	finish_again(_metadata, &t);
}

/* ---- a parent that waits meanwhile; its group and session are outside ---- */

static void waiting_parent(struct cr_child *c)
{
	pid_t root = fork();
	int status;

	if (!root) {
		pid_t pgrp = getpgrp(), sid = getsid(0);

		cr_put_number(c, "root", getpid());
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
	begin_at(_metadata, &t, cr_get_number(&t.c, "root"));
	finish_again(_metadata, &t);
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
		cr_log(c, "restart: %s: %s", strerror(errno), cr_reason());
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
	cr_put_number(c, "child", pid);
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
	pid = cr_get_number(&t.c, "child");
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

static void gets_timer(struct cr_child *c)
{
	struct itimerspec often = { { 0, 1000000 }, { 0, 1000000 } };
	timer_t id;

	cr_ready(c);
	if (last_time())
		return;
	signal(SIGALRM, SIG_IGN);
	CR_CHECK(c, !timer_create(CLOCK_MONOTONIC, NULL, &id));
	CR_CHECK(c, !timer_settime(id, 0, &often, NULL));
	touch(c, "changed");
	while (access("drop", F_OK))
		cr_sleep_ms(CR_POLL_MS);
	CR_CHECK(c, !timer_delete(id));
	changed(c);
}

/* Its signals would be for whoever has the pid. */
TEST(posix_timer_since)
{
	struct tree t;

	begin(_metadata, &t, gets_timer);
	refused(_metadata, &t, EOPNOTSUPP, "has POSIX timers");
	make_file(&t, "drop");
	wait_changed(_metadata, &t);
	finish(_metadata, &t, 0);
}

/* While it is made it is no part of the group of who makes it. */
TEST(signals_for_the_group_of_the_caller)
{
	struct tree t;
	pid_t pid;
	int i;

	begin(_metadata, &t, family);
	/* the tree does not ignore it */
	signal(SIGUSR1, SIG_IGN);
	setpgid(0, 0);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		for (;;)
			kill(0, SIGUSR1);
	for (i = 0; i < 10; i++) {
		put_back(_metadata, &t, 0);
		wait_changed(_metadata, &t);
	}
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	signal(SIGCHLD, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	finish(_metadata, &t, 0);
}

/* Whenever it is killed: the tree is there, and is one of the two. */
TEST(caller_is_killed)
{
	struct tree t;
	pid_t pid;
	int i;

	begin(_metadata, &t, family);
	for (i = 0; i < 40; i++) {
		unlink(t.c.go);
		pid = fork();
		if (!pid) {
			sys_restart(t.crid, -1, RESTART_ROLLBACK);
			_exit(0);
		}
		usleep(i * 500);
		EXPECT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(pid, waitpid(pid, NULL, 0));
		EXPECT_EQ(0, waitpid(t.root, NULL, WNOHANG));
		EXPECT_EQ(0, kill(t.root, 0));
		make_file(&t, ".go");
	}
	signal(SIGCHLD, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	/* what is on its way must not see that it is the last time */
	finish_again(_metadata, &t);
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

TEST_HARNESS_MAIN
