// SPDX-License-Identifier: GPL-2.0
/*
 * Whole trees; and checkpoints that end badly: a task of the tree or the caller
 * is killed, or the image cannot be written. All others must go on unharmed.
 */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "cr_selftest.h"

#define NR_CHILDREN	8
#define MEMORY		(256 * 1024)

static void fill(unsigned int *m, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < MEMORY / sizeof(*m); i++)
		m[i] = seed + i;
}

static bool filled(const unsigned int *m, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < MEMORY / sizeof(*m); i++)
		if (m[i] != seed + i)
			return false;
	return true;
}

static unsigned int *get_memory(struct cr_child *c)
{
	unsigned int *m = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CR_CHECK(c, m != MAP_FAILED);
	return m;
}

static void *busy_thread(void *arg)
{
	unsigned long *count = arg;

	for (;;)
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* One process below the root: memory of its own, a busy thread, one child. */
static void branch(struct cr_child *c, unsigned int seed, bool grandchild)
{
	static unsigned long count;
	pid_t pid = 0, parent = getppid();
	unsigned int *m = get_memory(c);
	unsigned long before;
	pthread_t thread;
	int status;

	fill(m, seed);
	if (grandchild) {
		pid = fork();
		CR_CHECK(c, pid >= 0);
		if (!pid) {
			branch(c, seed + 1000, false);
			_exit(seed & 0x7f);
		}
	} else {
		CR_CHECK(c, !pthread_create(&thread, NULL, busy_thread, &count));
	}
	cr_wait_go(c);
	CR_CHECK(c, getppid() == parent);
	CR_CHECK(c, filled(m, seed));
	if (grandchild) {
		CR_CHECK(c, waitpid(pid, &status, 0) == pid);
		CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == (seed & 0x7f));
	} else {
		before = __atomic_load_n(&count, __ATOMIC_RELAXED);
		while (__atomic_load_n(&count, __ATOMIC_RELAXED) == before)
			cr_sleep_ms(1);
	}
}

static void three_generations(struct cr_child *c)
{
	pid_t pid[NR_CHILDREN / 2];
	int i, status;

	for (i = 0; i < NR_CHILDREN / 2; i++) {
		pid[i] = fork();
		CR_CHECK(c, pid[i] >= 0);
		if (!pid[i]) {
			branch(c, i, true);
			_exit(i);
		}
	}
	cr_ready(c);
	for (i = 0; i < NR_CHILDREN / 2; i++) {
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i]);
		CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == i);
	}
	CR_CHECK(c, waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

TEST(whole_tree)
{
	cr_both_ways(_metadata, three_generations, 0);
}

/* A copy can be checkpointed in its turn, with all its pids. */
static void forks_all_the_time(struct cr_child *c)
{
	pid_t pid;

	while (access(c->go, F_OK)) {
		pid = fork();
		CR_CHECK(c, pid >= 0);
		if (!pid)
			_exit(0);
		CR_CHECK(c, waitpid(pid, NULL, 0) == pid);
	}
	_exit(0);
}

static void zombie_among_forks(struct cr_child *c)
{
	pid_t zombie = cr_zombie(c, 3), pid[3];
	int status, i;

	for (i = 0; i < 3; i++) {
		pid[i] = fork();
		CR_CHECK(c, pid[i] >= 0);
		if (!pid[i])
			forks_all_the_time(c);
	}
	cr_ready(c);
	for (i = 0; i < 3; i++)
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i] && !status);
	CR_CHECK(c, waitpid(zombie, &status, 0) == zombie && status == 3 << 8);
}

/* Passes over the tree that find new tasks find the zombie again, and it is no trouble. */
TEST(zombie_while_others_fork)
{
	struct cr_child c;
	int i, nr_good = 0;
	long crid;

	cr_begin(_metadata, &c, zombie_among_forks);
	for (i = 0; i < 40; i++) {
		crid = sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP);
		if (crid < 0) {
			EXPECT_NE(EBUSY, errno) {
				TH_LOG("%s", cr_reason());
			}
			continue;
		}
		EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
		nr_good++;
	}
	EXPECT_LT(0, nr_good);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST(copy_of_a_copy)
{
	struct cr_child c;
	int i;

	cr_begin(_metadata, &c, three_generations);
	for (i = 0; i < 3; i++) {
		ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
			TH_LOG("checkpoint %d: %s: %s", i, strerror(errno), cr_reason());
		}
		ASSERT_TRUE(cr_kill_tree(c.pid));
		cr_load(_metadata, &c, 0);
	}
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* ---- somebody is killed ---- */

/*
 * Children whose pids stand in files; each may be killed, but nothing else may
 * happen to it.
 */
static void may_be_killed(struct cr_child *c)
{
	pid_t pid[NR_CHILDREN];
	unsigned int *m;
	int i, fd, status;

	for (i = 0; i < NR_CHILDREN; i++) {
		pid[i] = fork();
		CR_CHECK(c, pid[i] >= 0);
		if (!pid[i]) {
			m = get_memory(c);
			fill(m, i);
			cr_wait_go(c);
			CR_CHECK(c, filled(m, i));
			_exit(0);
		}
	}
	fd = open("pids", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CR_CHECK(c, write(fd, pid, sizeof(pid)) == sizeof(pid));
	CR_CHECK(c, close(fd) == 0);
	cr_ready(c);
	for (i = 0; i < NR_CHILDREN; i++) {
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i]);
		CR_CHECK(c, status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	}
}

/* It has been killed, and need not be told to end. */
static void wait_zombie(struct __test_metadata *_metadata, pid_t pid)
{
	pid_t ppid, sid;
	char state;
	int n;

	for (n = 0; cr_stat(pid, &state, &ppid, &sid) && state != 'Z'; n++) {
		ASSERT_LT(n, CR_WAIT_S * 1000 / CR_POLL_MS) {
			TH_LOG("pid %d was killed, and is in state %c", pid, state);
		}
		cr_sleep_ms(CR_POLL_MS);
	}
}

static void read_pids(struct __test_metadata *_metadata, struct cr_child *c, pid_t *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/pids", c->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)(NR_CHILDREN * sizeof(*pid)),
		  read(fd, pid, NR_CHILDREN * sizeof(*pid)));
	close(fd);
}

static void kill_after_us(pid_t pid, unsigned int us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000L };

	nanosleep(&ts, NULL);
	kill(pid, SIGKILL);
}

static unsigned long long number(const char *key)
{
	return strtoull(cr_report(key), NULL, 10);
}

/* How long a checkpoint takes until the tree is thawed, microseconds. */
static unsigned int time_to_thaw(void)
{
	return (number("prepare_ns") + number("freeze_ns") + number("dump_ns")) / 1000;
}

/* It may come out either way, but it must come out, and with a reason. */
static void either_way(struct __test_metadata *_metadata, struct cr_child *c, int fd)
{
	long ret = sys_checkpoint(c->pid, fd, 0);

	EXPECT_TRUE(ret > 0 || *cr_reason());
}

TEST(task_of_the_tree_is_killed)
{
	pid_t pid[NR_CHILDREN], killer;
	unsigned int whole;
	struct cr_child c;
	int i, null;

	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	cr_begin(_metadata, &c, may_be_killed);
	read_pids(_metadata, &c, pid);
	ASSERT_LT(0, sys_checkpoint(c.pid, null, 0)) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	whole = time_to_thaw();
	for (i = 0; i < NR_CHILDREN - 1; i++) {
		killer = fork();
		ASSERT_LE(0, killer);
		if (!killer) {
			kill_after_us(pid[i], whole * i / (NR_CHILDREN - 2));
			_exit(0);
		}
		either_way(_metadata, &c, null);
		ASSERT_EQ(killer, waitpid(killer, NULL, 0));
		wait_zombie(_metadata, pid[i]);
	}
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST(root_of_the_tree_is_killed)
{
	unsigned int whole, i;
	struct cr_child c;
	int null, status;
	pid_t killer;

	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (i = 0; i < 5; i++) {
		cr_begin(_metadata, &c, may_be_killed);
		ASSERT_LT(0, sys_checkpoint(c.pid, null, 0));
		whole = time_to_thaw();
		killer = fork();
		ASSERT_LE(0, killer);
		if (!killer) {
			kill_after_us(c.pid, whole * i / 4);
			_exit(0);
		}
		either_way(_metadata, &c, null);
		ASSERT_EQ(killer, waitpid(killer, NULL, 0));
		ASSERT_EQ(c.pid, waitpid(c.pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		cr_end(_metadata, &c);
	}
}

/* A process that checkpoints to @fd and is killed @us later; its wait status. */
static int killed_caller(struct __test_metadata *_metadata, struct cr_child *c, int fd,
			 unsigned int us)
{
	pid_t caller = fork();
	int n, status;

	ASSERT_LE(0, caller);
	if (!caller)
		_exit(sys_checkpoint(c->pid, fd, 0) < 0);
	kill_after_us(caller, us);
	for (n = 0; waitpid(caller, &status, WNOHANG) != caller; n++) {
		ASSERT_LT(n, CR_WAIT_S * 1000 / CR_POLL_MS) {
			TH_LOG("caller killed after %u us is still there", us);
		}
		cr_sleep_ms(CR_POLL_MS);
	}
	return status;
}

TEST(caller_is_killed)
{
	unsigned int whole, i;
	struct cr_child c;
	int null, status;

	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	cr_begin(_metadata, &c, may_be_killed);
	ASSERT_LT(0, sys_checkpoint(c.pid, null, 0));
	whole = time_to_thaw();
	for (i = 0; i <= 10; i++) {
		status = killed_caller(_metadata, &c, null, whole * i / 8);
		/* it may have been through before */
		EXPECT_TRUE(!status || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
			TH_LOG("killed after %u us: status 0x%x", whole * i / 8, status);
		}
	}
	/* Nobody is left parked: it can be checkpointed, and goes on. */
	ASSERT_LT(0, sys_checkpoint(c.pid, null, 0)) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* While it waits for somebody to read the image, the tree runs. */
TEST(caller_is_killed_while_writing)
{
	struct cr_child c;
	int fd[2], status;

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	cr_begin(_metadata, &c, three_generations);
	status = killed_caller(_metadata, &c, fd[1], 500000);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

static void on_alarm(int sig)
{
}

/* A signal that does not kill is no reason for a broken image. */
TEST(caller_gets_a_signal_while_writing)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval every_ms = { { 0, 1000 }, { 0, 1000 } }, off = { };
	struct cr_child c;
	long ret;

	cr_begin(_metadata, &c, three_generations);
	ASSERT_EQ(0, sigaction(SIGALRM, &sa, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &every_ms, NULL));
	ret = cr_save(_metadata, &c, 0);
	ASSERT_LT(0, ret) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &off, NULL));
	cr_finish(_metadata, &c, "original");
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* ---- the image cannot be written ---- */

static void write_fails(struct __test_metadata *_metadata, int fd, int expected)
{
	struct cr_child c;

	ASSERT_LE(0, fd);
	cr_begin(_metadata, &c, three_generations);
	EXPECT_EQ(-1, sys_checkpoint(c.pid, fd, 0));
	EXPECT_EQ(expected, errno) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	EXPECT_STRNE("", cr_reason());
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST(disk_full)
{
	int fd = cr_small_disk();

	if (fd < 0)
		SKIP(return, "cannot mount a tmpfs");
	write_fails(_metadata, fd, ENOSPC);
}

/* A device that takes data from user space only. */
TEST(unsuitable_device)
{
	write_fails(_metadata, open("/dev/full", O_WRONLY | O_CLOEXEC), EINVAL);
}

TEST(reader_is_gone)
{
	int fd[2];

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	close(fd[0]);
	write_fails(_metadata, fd[1], EPIPE);
}

TEST(file_size_limit)
{
	struct rlimit old, small = { 32768, RLIM_INFINITY };
	char path[] = "/tmp/cr-limit.XXXXXX";
	struct cr_child c;
	int fd;

	fd = mkstemp(path);
	ASSERT_LE(0, fd);
	unlink(path);
	signal(SIGXFSZ, SIG_IGN);
	cr_begin(_metadata, &c, three_generations);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &small));
	EXPECT_EQ(-1, sys_checkpoint(c.pid, fd, 0));
	EXPECT_EQ(EFBIG, errno);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
