// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: what belongs to no process and is not part of an image, or
 * is that of the caller of restart(): System V queues and semaphores, hostname,
 * clock, cgroup, a session and group that are led from outside of the tree.
 */
#include "cr_selftest.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/wait.h>

/* ---- System V IPC ---- */

#define KEY	0x43524f55

struct message {
	long type;
	char text[8];
};

/* Nothing of it is a mapping, a descriptor or an undo list of the process. */
static void do_ipc(struct cr_child *c)
{
	int queue = msgget(KEY, 0), sem = semget(KEY, 1, 0);
	struct sembuf up = { 0, 1, 0 };
	struct msqid_ds ds;

	CR_CHECK(c, queue >= 0 && sem >= 0);
	cr_ready(c);
	CR_CHECK(c, !msgctl(queue, IPC_STAT, &ds) && ds.msg_qnum == 1);
	CR_CHECK(c, semctl(sem, 0, GETVAL) >= 3 && !semop(sem, &up, 1));
}

TEST(system_v_ipc)
{
	struct message m = { 1, "outside" };
	int queue = msgget(KEY, IPC_CREAT | 0600), sem = semget(KEY, 1, IPC_CREAT | 0600);

	ASSERT_LE(0, queue);
	ASSERT_LE(0, sem);
	ASSERT_EQ(0, msgsnd(queue, &m, sizeof(m.text), 0));
	ASSERT_EQ(0, semctl(sem, 0, SETVAL, 3));
	cr_both_ways(_metadata, do_ipc, 0);
	/* one original that ended, and three copies; nothing is undone */
	EXPECT_EQ(3 + 4, semctl(sem, 0, GETVAL));
	memset(m.text, 0, sizeof(m.text));
	EXPECT_EQ((ssize_t)sizeof(m.text), msgrcv(queue, &m, sizeof(m.text), 0, IPC_NOWAIT));
	EXPECT_STREQ("outside", m.text);
	EXPECT_EQ(0, msgctl(queue, IPC_RMID, NULL));
	EXPECT_EQ(0, semctl(sem, 0, IPC_RMID));
}

/* ---- what the workload saw, when it was told to go on ---- */

/* Its directory is its own. */
static void tell(struct cr_child *c, const char *text)
{
	int fd = open("seen", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CR_CHECK(c, fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void saw(struct __test_metadata *_metadata, struct cr_child *c, const char *text)
{
	char path[64], seen[256] = "";

	snprintf(path, sizeof(path), "%s/seen", c->dir);
	EXPECT_TRUE(cr_read_file(path, seen, sizeof(seen)));
	EXPECT_STREQ(text, seen);
}

/* ---- hostname, of the namespaces that all of the tree is in ---- */

static void do_hostname(struct cr_child *c)
{
	char name[64] = "";

	CR_CHECK(c, !gethostname(name, sizeof(name)) && !strcmp(name, "before"));
	cr_ready(c);
	CR_CHECK(c, !gethostname(name, sizeof(name)));
	tell(c, name);
}

TEST(hostname)
{
	struct cr_child c;

	if (unshare(CLONE_NEWUTS))
		SKIP(return, "no UTS namespace: %s", strerror(errno));
	ASSERT_EQ(0, sethostname("before", 6));
	cr_begin_image(_metadata, &c, do_hostname);
	ASSERT_EQ(0, unshare(CLONE_NEWUTS));
	ASSERT_EQ(0, sethostname("after", 5));
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	saw(_metadata, &c, "after");
	cr_end(_metadata, &c);
}

/* ---- the clock is not set back ---- */

static double uptime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void do_clock(struct cr_child *c)
{
	char text[32];

	cr_ready(c);
	snprintf(text, sizeof(text), "%.9f", uptime());
	tell(c, text);
}

TEST(monotonic_clock)
{
	char path[64], text[32] = "";
	double before, shown, after;
	struct cr_child c;

	cr_begin_image(_metadata, &c, do_clock);
	before = uptime();
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	after = uptime();
	snprintf(path, sizeof(path), "%s/seen", c.dir);
	EXPECT_TRUE(cr_read_file(path, text, sizeof(text)));
	shown = strtod(text, NULL);
	EXPECT_TRUE(before <= shown && shown <= after) {
		TH_LOG("%.9f, between %.9f and %.9f", shown, before, after);
	}
	cr_end(_metadata, &c);
}

/* ---- cgroup ---- */

/* Where they are mounted. */
static char cgroups[32];

static bool join_cgroup(const char *name)
{
	char path[64];
	int fd;
	bool done;

	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", cgroups, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	done = fd >= 0 && write(fd, "0", 1) == 1;
	close(fd);
	return done;
}

static void do_cgroup(struct cr_child *c)
{
	char text[1024];

	CR_CHECK(c, join_cgroup("cr-was"));
	cr_ready(c);
	CR_CHECK(c, cr_read_file("/proc/self/cgroup", text, sizeof(text)));
	tell(c, strstr(text, "0::"));
}

static void make_cgroup(struct __test_metadata *_metadata, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", cgroups, name);
	ASSERT_EQ(0, mkdir(path, 0755));
}

static void remove_cgroup(struct __test_metadata *_metadata, const char *name)
{
	char path[64];
	int n;

	snprintf(path, sizeof(path), "%s/%s", cgroups, name);
	/* busy until the last process has really left it */
	for (n = 0; rmdir(path); n++) {
		ASSERT_EQ(EBUSY, errno);
		ASSERT_GT(CR_WAIT_S * 1000 / CR_POLL_MS, n);
		cr_sleep_ms(CR_POLL_MS);
	}
}

TEST(cgroup)
{
	struct cr_child c;

	snprintf(cgroups, sizeof(cgroups), "/tmp/cr-cgroup.XXXXXX");
	if (!mkdtemp(cgroups) || mount("none", cgroups, "cgroup2", 0, NULL))
		SKIP(return, "cannot mount cgroup2: %s", strerror(errno));
	make_cgroup(_metadata, "cr-was");
	make_cgroup(_metadata, "cr-caller");
	cr_begin_image(_metadata, &c, do_cgroup);
	ASSERT_TRUE(join_cgroup("cr-caller"));
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	saw(_metadata, &c, "0::/cr-caller\n");
	cr_end(_metadata, &c);
	ASSERT_TRUE(join_cgroup(""));
	remove_cgroup(_metadata, "cr-was");
	remove_cgroup(_metadata, "cr-caller");
	umount2(cgroups, MNT_DETACH);
	rmdir(cgroups);
}

/* ---- session and group that are led from outside ---- */

/* The child is the tree; the workload's root leads what it is in. */
static void do_led(struct cr_child *c)
{
	char text[64];
	pid_t pid = fork();

	CR_CHECK(c, pid >= 0);
	if (pid) {
		while (!cr_read_file("seen", text, sizeof(text)))
			cr_sleep_ms(CR_POLL_MS);
		cr_ready(c);
		CR_CHECK(c, waitpid(pid, NULL, 0) == pid);
		return;
	}
	CR_CHECK(c, getsid(0) == c->pid && getpgrp() == c->pid);
	snprintf(text, sizeof(text), "%d", getpid());
	tell(c, text);
	cr_wait_go(c);
	snprintf(text, sizeof(text), "session %d group %d", getsid(0), getpgrp());
	tell(c, text);
}

TEST(session_and_group)
{
	char path[64], text[64];
	struct cr_child c;
	pid_t child;
	int fd;

	cr_begin(_metadata, &c, do_led);
	snprintf(path, sizeof(path), "%s/seen", c.dir);
	ASSERT_TRUE(cr_read_file(path, text, sizeof(text)));
	child = atoi(text);
	ASSERT_LT(0, child);
	fd = cr_open_image(_metadata, &c);
	ASSERT_LT(0, sys_checkpoint(child, fd, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	close(fd);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	c.pid = child;
	cr_load(_metadata, &c, 0);
	snprintf(text, sizeof(text), "session %d group %d", getsid(0), getpgrp());
	cr_finish(_metadata, &c, "copy");
	saw(_metadata, &c, text);
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
