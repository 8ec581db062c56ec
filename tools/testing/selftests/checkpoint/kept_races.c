// SPDX-License-Identifier: GPL-2.0
/*
 * Kept checkpoints: used by several threads at once, and gone with their PID
 * namespace.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "cr_selftest.h"

#define NR_PAGES	64

static void workload(struct cr_child *c)
{
	size_t i, n = NR_PAGES * 4096 / sizeof(unsigned int);
	unsigned int *mem = malloc(n * sizeof(*mem));

	CR_CHECK(c, mem);
	for (i = 0; i < n; i++)
		mem[i] = i * 2654435761U;
	cr_ready(c);
	for (i = 0; i < n; i++)
		CR_CHECK(c, mem[i] == (unsigned int)(i * 2654435761U));
	/* a second restart from the same memory must not see this */
	memset(mem, 0x55, n * sizeof(*mem));
}

static int begin_kept(struct __test_metadata *_metadata, struct cr_child *c)
{
	int crid;

	cr_begin(_metadata, c, workload);
	crid = sys_checkpoint(c->pid, -1, CHECKPOINT_KEEP);
	EXPECT_LT(0, crid) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	return crid;
}

/* In a new PID namespace: keeps checkpoints of a child and dies with them. */
static int namespace_init(void)
{
	sigset_t usr1;
	int i, sig;
	pid_t pid;

	cr_unmap_shared();
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &usr1, NULL))
		return 1;
	pid = fork();
	if (pid < 0)
		return 2;
	if (!pid) {
		/* what it has from outside would be refused */
		close_range(0, ~0U, 0);
		kill(getppid(), SIGUSR1);
		for (;;)
			pause();
	}
	if (sigwait(&usr1, &sig))
		return 3;
	for (i = 1; i <= 3; i++) {
		/* ids are the namespace's own */
		if (sys_checkpoint(pid, -1, CHECKPOINT_KEEP) != i)
			return 10 + i;
	}
	return 0;
}

TEST(gone_with_the_namespace)
{
	int status;
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (unshare(CLONE_NEWPID))
			_exit(100);
		pid = fork();
		if (!pid)
			_exit(namespace_init());
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 101);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status) {
		TH_LOG("status 0x%x", status);
	}
}

struct shared {
	int crid;
	pthread_barrier_t start;
	int errors;
	int discarded;
};

static void *write_it(void *arg)
{
	struct shared *s = arg;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	long ret;

	pthread_barrier_wait(&s->start);
	do {
		ret = sys_checkpoint(s->crid, fd, CHECKPOINT_WRITE | CHECKPOINT_KEEP);
	} while (ret == s->crid);
	if (errno != ESRCH)
		__atomic_fetch_add(&s->errors, 1, __ATOMIC_RELAXED);
	close(fd);
	return NULL;
}

static void *restart_it(void *arg)
{
	struct shared *s = arg;
	int status;
	long ret;

	pthread_barrier_wait(&s->start);
	do {
		ret = sys_restart(s->crid, -1, RESTART_FROZEN);
		if (ret > 0) {
			kill(ret, SIGKILL);
			waitpid(ret, &status, 0);
		}
	} while (ret > 0 || errno == EEXIST);
	if (errno != ESRCH) {
		fprintf(stderr, "# restart: %s: %s\n", strerror(errno), cr_reason());
		__atomic_fetch_add(&s->errors, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *discard_it(void *arg)
{
	struct shared *s = arg;

	pthread_barrier_wait(&s->start);
	usleep(rand() % 20000);
	if (!sys_checkpoint(s->crid, -1, CHECKPOINT_DISCARD))
		__atomic_fetch_add(&s->discarded, 1, __ATOMIC_RELAXED);
	else if (errno != ESRCH)
		__atomic_fetch_add(&s->errors, 1, __ATOMIC_RELAXED);
	return NULL;
}

TEST(many_threads_one_checkpoint)
{
	static void *(*const role[])(void *) = {
		write_it, write_it, restart_it, restart_it, discard_it, discard_it,
	};
	pthread_t thread[ARRAY_SIZE(role)];
	struct shared s = {};
	struct cr_child c;
	size_t i, round;

	for (round = 0; round < 10; round++) {
		s.crid = begin_kept(_metadata, &c);
		ASSERT_TRUE(cr_kill_tree(c.pid));
		s.discarded = 0;
		pthread_barrier_init(&s.start, NULL, ARRAY_SIZE(role));
		for (i = 0; i < ARRAY_SIZE(role); i++)
			ASSERT_EQ(0, pthread_create(&thread[i], NULL, role[i], &s));
		for (i = 0; i < ARRAY_SIZE(role); i++)
			pthread_join(thread[i], NULL);
		pthread_barrier_destroy(&s.start);
		EXPECT_EQ(1, s.discarded);
		EXPECT_EQ(0, s.errors);
		EXPECT_EQ(-1, cr_kept_pages(s.crid));
		cr_end(_metadata, &c);
	}
}

static pid_t reads_of;

/* Reads all that @reads_of has mapped, of files above all, all the time. */
static void *read_all(void *arg)
{
	static char buf[4096];
	struct iovec local = { buf, sizeof(buf) }, remote = { NULL, sizeof(buf) };
	unsigned long start, end;
	char line[256];
	FILE *maps;

	while (!__atomic_load_n((bool *)arg, __ATOMIC_RELAXED)) {
		snprintf(line, sizeof(line), "/proc/%d/maps", reads_of);
		maps = fopen(line, "re");
		while (maps && fgets(line, sizeof(line), maps)) {
			if (sscanf(line, "%lx-%lx", &start, &end) != 2)
				continue;
			for (; start < end; start += sizeof(buf)) {
				remote.iov_base = (void *)start;
				if (process_vm_readv(reads_of, &local, 1, &remote, 1, 0) < 0)
					break;
			}
		}
		if (maps)
			fclose(maps);
	}
	return NULL;
}

/* Somebody who looks at a process before it is complete brings no pages into it. */
TEST(read_while_restarted)
{
	bool over = false;
	pthread_t thread;
	struct cr_child c;
	int i, crid;

	crid = begin_kept(_metadata, &c);
	ASSERT_LT(0, crid);
	reads_of = c.pid;
	ASSERT_TRUE(cr_kill_tree(c.pid));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_all, &over));
	for (i = 0; i < 40; i++) {
		cr_load_from(_metadata, &c, crid, -1, 0);
		if (i % 4 == 0)
			cr_finish(_metadata, &c, "copy");
		else
			ASSERT_TRUE(cr_kill_tree(c.pid));
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
