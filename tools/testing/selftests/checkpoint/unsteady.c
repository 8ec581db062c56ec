// SPDX-License-Identifier: GPL-2.0
/*
 * Trees that change while they are being stopped.
 */
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
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

static void __noreturn reap_orphans(struct cr_child *c)
{
	int i;

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

/* Gets all orphans. */
static void reaper(struct cr_child *c)
{
	CR_CHECK(c, !prctl(PR_SET_CHILD_SUBREAPER, 1));
	reap_orphans(c);
}

TEST(orphans)
{
	struct cr_child c;

	cr_begin(_metadata, &c, reaper);
	cr_keep_often(_metadata, &c, ROUNDS, 0);
	cr_end(_metadata, &c);
}

/* So does the init of a PID namespace, to which all in there must belong. */
static void namespace_of_orphans(struct cr_child *c)
{
	pid_t pid;

	CR_CHECK(c, !unshare(CLONE_NEWPID));
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		setsid();
		cr_wait_go(c);
		reap_orphans(c);
	}
	cr_put_number(c, "init", pid);
	close(open(c->go, O_WRONLY | O_CREAT, 0600));
	CR_CHECK(c, waitpid(pid, NULL, 0) == pid);
}

TEST(orphans_of_a_namespace)
{
	struct cr_child c, init;

	if (geteuid())
		SKIP(return, "needs root");
	cr_begin(_metadata, &c, namespace_of_orphans);
	init = c;
	init.pid = cr_get_number(&c, "init");
	cr_keep_often(_metadata, &init, ROUNDS, 0);
	cr_end(_metadata, &c);
}

static void start_programs(struct cr_child *c)
{
	static char *const args[] = { "true", NULL };
	int status;
	pid_t pid;

	while (access(c->go, F_OK)) {
		CR_CHECK(c, !posix_spawn(&pid, "/bin/true", NULL, NULL, args, NULL));
		CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	}
}

/* As make and shells do: somebody waits in vfork() nearly all the time. */
static void starters(struct cr_child *c)
{
	pid_t pid[NR_MAKERS];
	int i, status;

	for (i = 0; i < NR_MAKERS; i++) {
		pid[i] = fork();
		CR_CHECK(c, pid[i] >= 0);
		if (!pid[i]) {
			start_programs(c);
			_exit(0);
		}
	}
	cr_say_ready(c);
	for (i = 0; i < NR_MAKERS; i++)
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i] && !status);
}

TEST(programs_are_started)
{
	struct cr_child c;
	long crid = -1;
	int i;

	cr_begin(_metadata, &c, starters);
	/* on a slow machine it may take longer than it is waited for */
	EXPECT_GT(ROUNDS, cr_keep_often(_metadata, &c, ROUNDS, EBUSY));
	for (i = 0; i < ROUNDS && crid < 0; i++) {
		crid = sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP);
		ASSERT_TRUE(crid > 0 || errno == EBUSY);
	}
	cr_finish(_metadata, &c, "original");
	cr_load_from(_metadata, &c, crid, -1, 0);
	cr_finish(_metadata, &c, "copy");
	EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &c);
}

static void *nothing(void *arg)
{
	return NULL;
}

/* Makes threads that end at once, all the time. */
static void *make_threads(void *arg)
{
	struct cr_child *c = arg;
	pthread_t thread;

	while (access(c->go, F_OK)) {
		CR_CHECK(c, !pthread_create(&thread, NULL, nothing, NULL));
		CR_CHECK(c, !pthread_join(thread, NULL));
	}
	return NULL;
}

static void thread_makers(struct cr_child *c)
{
	pthread_t thread[NR_MAKERS];
	int i;

	for (i = 0; i < NR_MAKERS; i++)
		CR_CHECK(c, !pthread_create(&thread[i], NULL, make_threads, c));
	cr_say_ready(c);
	for (i = 0; i < NR_MAKERS; i++)
		CR_CHECK(c, !pthread_join(thread[i], NULL));
}

TEST(threads_come_and_go)
{
	struct cr_child c;

	cr_begin(_metadata, &c, thread_makers);
	cr_keep_often(_metadata, &c, ROUNDS, 0);
	cr_finish(_metadata, &c, "original");
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
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!pid) {
		kill(c.pid, SIGSTOP);
		cr_sleep_ms(1);
		kill(c.pid, SIGCONT);
		cr_sleep_ms(1);
	}
	/* ten times in a row it may be continued too early */
	EXPECT_GT(ROUNDS, cr_keep_often(_metadata, &c, ROUNDS, EAGAIN));
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, kill(c.pid, SIGCONT));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* ---- execve() ---- */

#define EXECS_AGAIN	"executes-itself"

static char *const exec_args[] = { "unsteady", EXECS_AGAIN, NULL };

static void *exec_again(void *arg)
{
	usleep(rand() % 3000);
	execv("/proc/self/exe", exec_args);
	_exit(1);
}

/*
 * This program as the workload's child: a thread that is not the first one executes
 * it again, and is the first one then. It ends when the directory says so.
 */
__attribute__((constructor))
static void maybe_exec_again(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 2 || strcmp(argv[1], EXECS_AGAIN))
		return;
	if (!access("go", F_OK))
		_exit(0);
	srand(getpid() + clock());
	if (pthread_create(&thread, NULL, exec_again, NULL))
		_exit(2);
	for (;;)
		pause();
}

static pid_t start_execs(struct cr_child *c)
{
	pid_t pid = fork();

	CR_CHECK(c, pid >= 0);
	if (pid)
		return pid;
	execv("/proc/self/exe", exec_args);
	_exit(1);
}

static void with_execs(struct cr_child *c)
{
	pid_t pid = start_execs(c);
	int status;

	cr_ready(c);
	close(open("go", O_WRONLY | O_CREAT, 0600));
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
}

/* It is always there, with the same pid, so nobody has to wait for it. */
TEST(thread_executes)
{
	static struct cr_pids p;
	struct cr_child c;
	long crid;
	pid_t pid;
	int i;

	cr_begin(_metadata, &c, with_execs);
	cr_keep_often(_metadata, &c, ROUNDS, EAGAIN);
	cr_tree_pids(c.pid, &p);
	ASSERT_EQ(2, p.nr);
	pid = p.pid[0] == c.pid ? p.pid[1] : p.pid[0];
	for (i = 0; i < ROUNDS; i++) {
		crid = sys_checkpoint(pid, -1, CHECKPOINT_KEEP);
		EXPECT_TRUE(crid > 0 || errno == EAGAIN) {
			TH_LOG("round %d: %s: %s", i, strerror(errno), cr_reason());
		}
		if (crid > 0)
			EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	}
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* ---- core dump ---- */

#define CORE_PATTERN	"/proc/sys/kernel/core_pattern"
#define CORE_BYTES	(16 << 20)

FIXTURE(core) {
	char before[128];
	char dir[32];
};

FIXTURE_SETUP(core)
{
	char path[64], text[256];
	int fd;

	if (geteuid())
		SKIP(return, "needs root");
	snprintf(self->dir, sizeof(self->dir), "/tmp/cr-core.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(path, sizeof(path), "%s/take", self->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	ASSERT_LE(0, fd);
	/* the pipe is full until it begins to read */
	dprintf(fd, "#!/bin/sh\ntouch %s/begun\n"
		"while [ ! -e %s/read ]; do sleep 0.1; done\nwc -c >%s/size.new\n"
		"mv %s/size.new %s/size\n", self->dir, self->dir, self->dir, self->dir, self->dir);
	close(fd);
	ASSERT_TRUE(cr_read_file(CORE_PATTERN, self->before, sizeof(self->before)));
	snprintf(text, sizeof(text), "|%s", path);
	ASSERT_TRUE(cr_write_file(CORE_PATTERN, text));
}

FIXTURE_TEARDOWN(core)
{
	static const char *const names[] = { "take", "begun", "read", "size" };
	char path[64];
	unsigned int i;

	EXPECT_TRUE(cr_write_file(CORE_PATTERN, self->before));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", self->dir, names[i]);
		unlink(path);
	}
	EXPECT_EQ(0, rmdir(self->dir));
}

static void crashes(struct cr_child *c)
{
	pid_t pid = fork();
	int status;

	CR_CHECK(c, pid >= 0);
	if (!pid) {
		char *m = mmap(NULL, CORE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CR_CHECK(c, m != MAP_FAILED && !prctl(PR_SET_DUMPABLE, 1));
		memset(m, 1, CORE_BYTES);
		abort();
	}
	cr_ready(c);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid);
	CR_CHECK(c, WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
}

static void wait_file(struct __test_metadata *_metadata, const char *dir, const char *name)
{
	char path[64];
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (n = 0; access(path, F_OK); n++) {
		ASSERT_LT(n, CR_WAIT_S * 1000 / CR_POLL_MS);
		cr_sleep_ms(CR_POLL_MS);
	}
}

/* It is not cut off, and nobody stands still for it. */
TEST_F(core, is_whole)
{
	char path[64], size[32];
	struct cr_child c;
	int i;

	cr_begin(_metadata, &c, crashes);
	wait_file(_metadata, self->dir, "begun");
	snprintf(path, sizeof(path), "%s/read", self->dir);
	EXPECT_EQ(-1, sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "core dump")) {
		TH_LOG("%s", cr_reason());
	}
	for (i = 0; i < 20; i++) {
		sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP);
		if (i == 10)
			EXPECT_EQ(0, mknod(path, S_IFREG | 0600, 0));
	}
	wait_file(_metadata, self->dir, "size");
	snprintf(path, sizeof(path), "%s/size", self->dir);
	ASSERT_TRUE(cr_read_file(path, size, sizeof(size)));
	EXPECT_LE(CORE_BYTES, atol(size)) {
		TH_LOG("the core dump is cut off after %s bytes", size);
	}
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* ---- too late ---- */

#define NR_WAITERS	40
#define TIMEOUT		"/proc/sys/kernel/checkpoint_freeze_timeout_ms"

/* In a system call that takes long, nearly always. */
static void populate(void)
{
	const size_t size = 64 << 20;

	for (;;)
		munmap(mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0), size);
}

/* A checkpoint that gives up has woken them up; they must not notice. */
static void signal_waiters(struct cr_child *c)
{
	pid_t pid[NR_WAITERS], busy;
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
	/* the last one, so that the others have been asked before */
	busy = fork();
	CR_CHECK(c, busy >= 0);
	if (!busy)
		populate();
	cr_ready(c);
	CR_CHECK(c, !kill(busy, SIGKILL) && waitpid(busy, &status, 0) == busy);
	for (i = 0; i < NR_WAITERS; i++) {
		CR_CHECK(c, !kill(pid[i], SIGUSR1));
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i] && !status);
	}
}

FIXTURE(hurry) {
	char before[32];
};

FIXTURE_SETUP(hurry)
{
	ASSERT_TRUE(cr_read_file(TIMEOUT, self->before, sizeof(self->before)));
	ASSERT_TRUE(cr_write_file(TIMEOUT, "1"));
}

FIXTURE_TEARDOWN(hurry)
{
	EXPECT_TRUE(cr_write_file(TIMEOUT, self->before));
}

TEST_F(hurry, given_up)
{
	struct cr_child c;

	cr_begin(_metadata, &c, signal_waiters);
	EXPECT_LT(0, cr_keep_often(_metadata, &c, ROUNDS, EBUSY));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
