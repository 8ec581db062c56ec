// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: scheduling of threads, resource limits. */
#include "task_help.h"

#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/time.h>

#define NR_THREADS	6

static struct {
	struct cr_child *c;
	pthread_barrier_t set_up;
} g;

static const struct how {
	int policy;
	int nice;
	int priority;
} hows[NR_THREADS] = {
	{ SCHED_OTHER, 7, 0 },
	{ SCHED_OTHER, -5, 0 },
	{ SCHED_BATCH, 3, 0 },
	{ SCHED_IDLE, 0, 0 },
	{ SCHED_FIFO | SCHED_RESET_ON_FORK, 4, 11 },
	{ SCHED_RR, 0, 1 },
};

static void *scheduled(void *arg)
{
	const struct how *how = arg;
	struct sched_param param = { .sched_priority = how->priority };

	CR_CHECK(g.c, !setpriority(PRIO_PROCESS, 0, how->nice));
	CR_CHECK(g.c, !sched_setscheduler(0, how->policy, &param));
	pthread_barrier_wait(&g.set_up);
	cr_wait_go(g.c);
	errno = 0;
	CR_CHECK(g.c, getpriority(PRIO_PROCESS, 0) == how->nice && !errno);
	CR_CHECK(g.c, sched_getscheduler(0) == how->policy);
	CR_CHECK(g.c, !sched_getparam(0, &param) && param.sched_priority == how->priority);
	return NULL;
}

static void do_policies(struct cr_child *c)
{
	pthread_t thread[NR_THREADS];
	int i;

	g.c = c;
	pthread_barrier_init(&g.set_up, NULL, NR_THREADS + 1);
	for (i = 0; i < NR_THREADS; i++)
		CR_CHECK(c, !pthread_create(&thread[i], NULL, scheduled, (void *)&hows[i]));
	pthread_barrier_wait(&g.set_up);
	cr_ready(c);
	CR_CHECK(c, sched_getscheduler(0) == SCHED_OTHER);
	for (i = 0; i < NR_THREADS; i++)
		CR_CHECK(c, !pthread_join(thread[i], NULL));
}

TEST(policies)
{
	cr_both_ways(_metadata, do_policies, 0);
}

static void do_affinity(struct cr_child *c)
{
	cpu_set_t set, now;
	int cpu;

	CR_CHECK(c, !sched_getaffinity(0, sizeof(set), &set));
	for (cpu = CPU_SETSIZE - 1; !CPU_ISSET(cpu, &set); cpu--)
		;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CR_CHECK(c, !sched_setaffinity(0, sizeof(set), &set));
	cr_ready(c);
	CR_CHECK(c, !sched_getaffinity(0, sizeof(now), &now));
	CR_CHECK(c, CPU_EQUAL(&set, &now));
	CR_CHECK(c, sched_getcpu() == cpu);
}

TEST(affinity)
{
	cr_both_ways(_metadata, do_affinity, 0);
}

static void do_io_priority(struct cr_child *c)
{
	int prio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);

	CR_CHECK(c, !syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, prio));
	cr_ready(c);
	CR_CHECK(c, syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) == prio);
}

TEST(io_priority)
{
	cr_both_ways(_metadata, do_io_priority, 0);
}

/* ---- resource limits ---- */

static void do_limits(struct cr_child *c)
{
	struct rlimit set[RLIM_NLIMITS], now;
	int i;

	for (i = 0; i < RLIM_NLIMITS; i++) {
		CR_CHECK(c, !getrlimit(i, &set[i]));
		/* Each a little below what it was; nothing that stops us. */
		if (set[i].rlim_max == RLIM_INFINITY)
			set[i].rlim_max = 1ULL << 40;
		else if (set[i].rlim_max > 100)
			set[i].rlim_max -= i;
		if (set[i].rlim_cur > set[i].rlim_max)
			set[i].rlim_cur = set[i].rlim_max;
		else if (set[i].rlim_cur > 100)
			set[i].rlim_cur -= 1;
		CR_CHECK(c, !setrlimit(i, &set[i]));
	}
	cr_ready(c);
	for (i = 0; i < RLIM_NLIMITS; i++) {
		CR_CHECK(c, !getrlimit(i, &now));
		CR_CHECK(c, now.rlim_cur == set[i].rlim_cur && now.rlim_max == set[i].rlim_max);
	}
}

TEST(limits)
{
	cr_both_ways(_metadata, do_limits, 0);
}

/* The limit is that of the copy from the start, with its CPU time. */
static int over;

static void on_xcpu(int sig)
{
	STORE(over, 1);
}

static void do_cpu_limit(struct cr_child *c)
{
	struct rlimit limit = { 1, 60 };

	signal(SIGXCPU, on_xcpu);
	CR_CHECK(c, !setrlimit(RLIMIT_CPU, &limit));
	cr_ready(c);
	while (!LOAD(over))
		;
}

TEST(cpu_time_limit)
{
	cr_both_ways(_metadata, do_cpu_limit, 0);
}

/* Who may not raise a limit gets no process that has a higher one. */
TEST(limit_above_that_of_the_caller)
{
	struct rlimit low = { 512, 512 };
	struct cr_child c;
	int fd, status;
	pid_t pid;

	cr_begin_image(_metadata, &c, do_limits);
	fd = open(c.image, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct caps caps;

		/* Everything but this capability, in the image too. */
		if (setrlimit(RLIMIT_NOFILE, &low) || caps_get(&caps))
			_exit(10);
		caps.set[0].effective &= ~(1U << CAP_SYS_RESOURCE);
		if (caps_set(&caps))
			_exit(10);
		if (sys_restart(0, fd, 0) != -1)
			_exit(11);
		if (errno != EPERM || !strstr(cr_reason(), "resource limit")) {
			TH_LOG("%s: %s", strerror(errno), cr_reason());
			_exit(12);
		}
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(fd);
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
