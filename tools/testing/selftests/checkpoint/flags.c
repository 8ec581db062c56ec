// SPDX-License-Identifier: GPL-2.0
/*
 * CHECKPOINT_KILL, RESTART_FROZEN, and combinations that mean nothing.
 */
#include <pthread.h>

#include "cr_selftest.h"

#define NR_CHILDREN	3
#define NR_THREADS	8

static void family(struct cr_child *c)
{
	pid_t pid[NR_CHILDREN];
	int i, status;

	for (i = 0; i < NR_CHILDREN; i++) {
		pid[i] = fork();
		CR_CHECK(c, pid[i] >= 0);
		if (!pid[i]) {
			cr_wait_go(c);
			_exit(i);
		}
	}
	cr_ready(c);
	for (i = 0; i < NR_CHILDREN; i++) {
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i]);
		CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == i);
	}
}

/* Waits until every one of @p is gone. */
static bool all_gone(const struct cr_pids *p)
{
	int i, n, left = 1;

	for (n = 0; left && n < CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
		for (i = 0, left = 0; i < p->nr; i++)
			left += !kill(p->pid[i], 0);
		cr_sleep_ms(CR_POLL_MS);
	}
	return !left;
}

TEST(killed)
{
	static struct cr_pids p;
	struct cr_child c;
	int status;

	cr_begin(_metadata, &c, family);
	cr_tree_pids(c.pid, &p);
	EXPECT_EQ(1 + NR_CHILDREN, p.nr);
	ASSERT_LT(0, cr_save(_metadata, &c, CHECKPOINT_KILL)) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	ASSERT_EQ(c.pid, waitpid(c.pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		TH_LOG("status 0x%x", status);
	}
	EXPECT_TRUE(all_gone(&p));
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST(kill_only_if_written)
{
	int small = cr_small_disk();
	struct cr_child c;

	if (small < 0)
		SKIP(return, "cannot mount a tmpfs");
	cr_begin(_metadata, &c, family);
	EXPECT_EQ(-1, sys_checkpoint(c.pid, small, CHECKPOINT_KILL));
	EXPECT_EQ(ENOSPC, errno) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST(kill_with_bad_descriptor)
{
	struct cr_child c;

	cr_begin(_metadata, &c, family);
	EXPECT_EQ(-1, sys_checkpoint(c.pid, -1, CHECKPOINT_KILL));
	EXPECT_TRUE(errno == EBADF || errno == EINVAL);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

static bool all_stopped(const struct cr_pids *p)
{
	pid_t ppid, sid;
	char state;
	int i;

	for (i = 0; i < p->nr; i++)
		if (!cr_stat(p->pid[i], &state, &ppid, &sid) || state != 'T')
			return false;
	return true;
}

static void wait_all_stopped(struct __test_metadata *_metadata, const struct cr_pids *p)
{
	int n;

	for (n = 0; !all_stopped(p); n++) {
		ASSERT_LT(n, CR_WAIT_S * 1000 / CR_POLL_MS);
		cr_sleep_ms(CR_POLL_MS);
	}
}

TEST(frozen)
{
	static struct cr_pids p;
	struct cr_child c;
	int fd, status;

	cr_begin_image(_metadata, &c, family);
	cr_load(_metadata, &c, RESTART_FROZEN);
	cr_tree_pids(c.pid, &p);
	EXPECT_EQ(1 + NR_CHILDREN, p.nr);

	/* Told to go on, they do not: they are stopped. */
	fd = open(c.go, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	ASSERT_LE(0, fd);
	close(fd);
	wait_all_stopped(_metadata, &p);
	cr_sleep_ms(200);
	EXPECT_TRUE(all_stopped(&p));
	EXPECT_EQ(0, waitpid(c.pid, &status, WNOHANG));
	unlink(c.go);

	ASSERT_EQ(0, kill(-c.pid, SIGCONT));
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

static void *count_up(void *arg)
{
	unsigned long *count = arg;

	for (;;)
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Each has a count in a file, which does not go back with a restart. */
static void counting_threads(struct cr_child *c)
{
	int fd = open("counts", O_RDWR | O_CREAT | O_CLOEXEC, 0666), i;
	unsigned long *count;
	pthread_t thread;

	CR_CHECK(c, fd >= 0 && !ftruncate(fd, 4096));
	count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CR_CHECK(c, count != MAP_FAILED);
	for (i = 0; i < NR_THREADS; i++)
		CR_CHECK(c, !pthread_create(&thread, NULL, count_up, &count[i]));
	for (i = 0; i < NR_THREADS; i++)
		while (!__atomic_load_n(&count[i], __ATOMIC_RELAXED))
			cr_sleep_ms(1);
	cr_ready(c);
}

/* No thread runs before all are stopped, whoever is the first to be released. */
TEST(frozen_threads)
{
	unsigned long before[NR_THREADS], now[NR_THREADS];
	static struct cr_pids p;
	struct cr_child c;
	char path[64];
	int fd, i, n;

	cr_begin(_metadata, &c, counting_threads);
	snprintf(path, sizeof(path), "%s/counts", c.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	for (n = 0; n < 5; n++) {
		ASSERT_TRUE(cr_kill_tree(c.pid));
		ASSERT_EQ((ssize_t)sizeof(before), pread(fd, before, sizeof(before), 0));
		cr_load(_metadata, &c, RESTART_FROZEN);
		cr_tree_pids(c.pid, &p);
		wait_all_stopped(_metadata, &p);
		ASSERT_EQ((ssize_t)sizeof(now), pread(fd, now, sizeof(now), 0));
		for (i = 0; i < NR_THREADS; i++) {
			EXPECT_EQ(before[i], now[i]) {
				TH_LOG("thread %d has run", i);
			}
		}
	}
	close(fd);
	ASSERT_EQ(0, kill(c.pid, SIGCONT));
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST(meaningless)
{
	static const unsigned long bad[] = {
		CHECKPOINT_WRITE | CHECKPOINT_DISCARD,
		CHECKPOINT_WRITE | CHECKPOINT_KILL,
		CHECKPOINT_DISCARD | CHECKPOINT_KILL,
		CHECKPOINT_DISCARD | CHECKPOINT_KEEP,
	};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct cr_child c;
	size_t i;

	ASSERT_LE(0, null);
	cr_begin(_metadata, &c, family);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, sys_checkpoint(c.pid, null, bad[i]));
		EXPECT_EQ(EINVAL, errno) {
			TH_LOG("flags 0x%lx: %s", bad[i], strerror(errno));
		}
		EXPECT_NE(NULL, strstr(cr_reason(), "do not go together"));
	}
	/* From an image there is no live tree to put back. */
	EXPECT_EQ(-1, sys_restart(0, null, RESTART_ROLLBACK));
	EXPECT_EQ(EINVAL, errno);
	/* Negative ids are nobody's. */
	EXPECT_EQ(-1, sys_restart(-1, null, 0));
	EXPECT_EQ(EINVAL, errno);
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
