// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: process trees, groups, sessions, zombies, and prctl(). */
#include "task_help.h"

#include <sys/personality.h>

/* ---- pids, parents, groups, sessions ---- */

struct ids {
	pid_t pid, ppid, pgid, sid;
};

static struct ids own_ids(void)
{
	return (struct ids) { getpid(), getppid(), getpgrp(), getsid(0) };
}

static void ids_check(struct cr_child *c, const struct ids *ids)
{
	CR_CHECK(c, getpid() == ids->pid);
	CR_CHECK(c, getppid() == ids->ppid);
	CR_CHECK(c, getpgrp() == ids->pgid);
	CR_CHECK(c, getsid(0) == ids->sid);
}

enum { SAME, OWN_GROUP, OWN_SESSION };

/* A process with @below generations of children, each of another kind. */
static int node(struct cr_child *c, struct point *p, int kind, int below)
{
	struct ids ids;
	pid_t pid[3];
	int i;

	if (kind == OWN_GROUP)
		CR_CHECK(c, !setpgid(0, 0));
	if (kind == OWN_SESSION)
		CR_CHECK(c, setsid() == getpid());
	ids = own_ids();
	for (i = 0; below && i < 3; i++) {
		pid[i] = must_fork(c);
		if (!pid[i])
			_exit(node(c, p, i, below - 1));
	}
	point_arrive(c, p);
	cr_wait_go(c);
	ids_check(c, &ids);
	for (i = 0; below && i < 3; i++)
		must_exit(c, pid[i], i);
	ids_check(c, &ids);
	return kind;
}

static void three_generations(struct cr_child *c)
{
	struct ids ids = own_ids();
	struct point p;
	pid_t pid[3];
	int i;

	point_init(c, &p);
	for (i = 0; i < 3; i++) {
		pid[i] = must_fork(c);
		if (!pid[i])
			_exit(node(c, &p, i, 2));
	}
	/* 3 children, 9 grandchildren, 27 below them */
	point_wait(c, &p, 39);
	cr_ready(c);
	CR_CHECK(c, getpid() == ids.pid && getpgrp() == ids.pgid && getsid(0) == ids.sid);
	for (i = 0; i < 3; i++)
		must_exit(c, pid[i], i);
}

TEST(groups_and_sessions)
{
	cr_both_ways(_metadata, three_generations, 0);
}

/* Signals for a group reach all of the group and nobody else. */
static int got_usr1, got_usr2;

static void on_usr1(int sig)
{
	INCREMENT(got_usr1);
}

static void on_usr2(int sig)
{
	INCREMENT(got_usr2);
}

static void group_signal(struct cr_child *c)
{
	pid_t group = 0, pid[4];
	struct point p;
	int i, n;

	signal(SIGUSR1, on_usr1);
	signal(SIGUSR2, on_usr2);
	point_init(c, &p);
	for (i = 0; i < 4; i++) {
		pid[i] = must_fork(c);
		if (pid[i] && i == 1)
			group = pid[i];
		if (!pid[i]) {
			/* 1, 2, 3 are one group */
			if (i)
				CR_CHECK(c, !setpgid(0, group));
			point_arrive(c, &p);
			cr_wait_go(c);
			/* 0 lives until the others have got theirs */
			for (n = 0; n < CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
				if (LOAD(*(i ? &got_usr1 : &got_usr2)))
					break;
				cr_sleep_ms(CR_POLL_MS);
			}
			_exit(LOAD(got_usr1));
		}
		/* both sides, as shells do, so that the group is there */
		if (i)
			setpgid(pid[i], group);
	}
	point_wait(c, &p, 4);
	cr_ready(c);
	CR_CHECK(c, !kill(-group, SIGUSR1));
	for (i = 1; i < 4; i++)
		must_exit(c, pid[i], 1);
	CR_CHECK(c, !kill(pid[0], SIGUSR2));
	must_exit(c, pid[0], 0);
	CR_CHECK(c, !LOAD(got_usr1));
}

TEST(signal_to_a_group)
{
	cr_both_ways(_metadata, group_signal, 0);
}

/* ---- zombies ---- */

static int got_chld;

static void on_chld(int sig)
{
	INCREMENT(got_chld);
}

static void two_zombies(struct cr_child *c)
{
	pid_t exited, killed;
	siginfo_t info;
	int status, seen;

	signal(SIGCHLD, on_chld);
	exited = must_fork(c);
	if (!exited) {
		prctl(PR_SET_NAME, "was_a_child");
		_exit(42);
	}
	wait_state(c, exited, 'Z');
	killed = must_fork(c);
	if (!killed)
		for (;;)
			pause();
	kill(killed, SIGKILL);
	wait_state(c, killed, 'Z');
	/* a zombie can be seen just before it has told its parent */
	while (LOAD(got_chld) < 2)
		cr_sleep_ms(1);
	seen = LOAD(got_chld);
	CR_CHECK(c, seen == 2);
	cr_ready(c);

	/* They have told their parent already. */
	CR_CHECK(c, LOAD(got_chld) == seen);
	CR_CHECK(c, task_state(exited) == 'Z' && task_state(killed) == 'Z');
	CR_CHECK(c, !waitid(P_PID, exited, &info, WEXITED | WNOWAIT));
	CR_CHECK(c, info.si_code == CLD_EXITED && info.si_status == 42);
	must_exit(c, exited, 42);
	CR_CHECK(c, waitpid(killed, &status, 0) == killed);
	CR_CHECK(c, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CR_CHECK(c, waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static void *end_process(void *arg)
{
	struct cr_child *c = arg;

	wait_state(c, getpid(), 'Z');
	syscall(SYS_exit_group, 3);
	return NULL;
}

/* It exits with what another thread says, when the main thread has ended with 0. */
static void ended_by_thread(struct cr_child *c)
{
	pid_t pid = must_fork(c);
	pthread_t thread;
	siginfo_t info;

	if (!pid) {
		CR_CHECK(c, !pthread_create(&thread, NULL, end_process, c));
		syscall(SYS_exit, 0);
	}
	CR_CHECK(c, !waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	cr_ready(c);
	must_exit(c, pid, 3);
}

TEST(zombie_that_a_thread_has_ended)
{
	cr_both_ways(_metadata, ended_by_thread, 0);
}

#define ZOMBIE_UID	4711

/* Who it was is told as it is waited for. */
static void foreign_zombie(struct cr_child *c)
{
	pid_t pid = must_fork(c);
	struct stat st;
	siginfo_t info;
	char path[32];

	if (!pid)
		_exit(setresuid(ZOMBIE_UID, ZOMBIE_UID, ZOMBIE_UID));
	wait_state(c, pid, 'Z');
	cr_ready(c);

	snprintf(path, sizeof(path), "/proc/%d", pid);
	CR_CHECK(c, !stat(path, &st) && st.st_uid == ZOMBIE_UID);
	CR_CHECK(c, !waitid(P_PID, pid, &info, WEXITED));
	CR_CHECK(c, info.si_uid == ZOMBIE_UID && info.si_status == 0);
}

TEST(zombie_of_another_user)
{
	int dumpable = prctl(PR_GET_DUMPABLE);

	cr_both_ways(_metadata, foreign_zombie, 0);
	/* its exit is none of the business of who has restarted it */
	EXPECT_EQ(dumpable, prctl(PR_GET_DUMPABLE));
}

TEST(zombies)
{
	cr_both_ways(_metadata, two_zombies, 0);
}

/* The same for one who will never be told, with the signal ignored meanwhile. */
static void zombie_ignored(struct cr_child *c)
{
	pid_t pid = cr_zombie(c, 3);

	signal(SIGCHLD, SIG_IGN);
	cr_ready(c);
	CR_CHECK(c, task_state(pid) == 'Z');
	must_exit(c, pid, 3);
}

TEST(zombie_of_a_parent_that_ignores_children)
{
	cr_both_ways(_metadata, zombie_ignored, 0);
}

/* ---- job control ---- */

static void stopped_child(struct cr_child *c)
{
	pid_t pid = must_fork(c);
	siginfo_t info;

	if (!pid) {
		raise(SIGSTOP);
		_exit(7);
	}
	CR_CHECK(c, !waitid(P_PID, pid, &info, WSTOPPED));
	cr_ready(c);
	wait_state(c, pid, 'T');
	cr_sleep_ms(50);
	CR_CHECK(c, task_state(pid) == 'T');
	CR_CHECK(c, !kill(pid, SIGCONT));
	must_exit(c, pid, 7);
}

TEST(stopped_process_stays_stopped)
{
	cr_both_ways(_metadata, stopped_child, 0);
}

/* ---- reparenting ---- */

static void any_must_exit(struct cr_child *c, int code)
{
	int status;

	CR_CHECK(c, waitpid(-1, &status, 0) > 0);
	CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == code);
}

static void subreaper(struct cr_child *c)
{
	pid_t root = getpid(), pid;
	struct point p;
	int value = 0;

	CR_CHECK(c, !prctl(PR_SET_CHILD_SUBREAPER, 1));
	point_init(c, &p);
	pid = must_fork(c);
	if (!pid) {
		if (!must_fork(c)) {
			pid_t parent = getppid();

			point_arrive(c, &p);
			cr_wait_go(c);
			while (getppid() == parent)
				cr_sleep_ms(CR_POLL_MS);
			_exit(getppid() == root ? 9 : 1);
		}
		cr_wait_go(c);
		_exit(8);
	}
	point_wait(c, &p, 1);
	cr_ready(c);
	CR_CHECK(c, !prctl(PR_GET_CHILD_SUBREAPER, &value) && value == 1);
	must_exit(c, pid, 8);
	any_must_exit(c, 9);
}

TEST(child_subreaper)
{
	cr_both_ways(_metadata, subreaper, 0);
}

/* ---- what a process and a thread have of their own ---- */

static void read_text(struct cr_child *c, const char *path, char *text, size_t size)
{
	CR_CHECK(c, cr_read_file(path, text, size));
}

static void properties(struct cr_child *c)
{
	char name[16] = "", text[32];
	int signal = 0;

	CR_CHECK(c, !prctl(PR_SET_NAME, "cr-name"));
	CR_CHECK(c, !prctl(PR_SET_PDEATHSIG, SIGUSR2));
	CR_CHECK(c, !prctl(PR_SET_TIMERSLACK, 123456));
	CR_CHECK(c, personality(ADDR_NO_RANDOMIZE | STICKY_TIMEOUTS) >= 0);
	CR_CHECK(c, cr_write_file("/proc/self/oom_score_adj", "321"));
	cr_ready(c);
	CR_CHECK(c, !prctl(PR_GET_NAME, name) && !strcmp(name, "cr-name"));
	CR_CHECK(c, !prctl(PR_GET_PDEATHSIG, &signal) && signal == SIGUSR2);
	CR_CHECK(c, prctl(PR_GET_TIMERSLACK) == 123456);
	CR_CHECK(c, personality(0xffffffff) == (ADDR_NO_RANDOMIZE | STICKY_TIMEOUTS));
	read_text(c, "/proc/self/oom_score_adj", text, sizeof(text));
	CR_CHECK(c, atoi(text) == 321);
	CR_CHECK(c, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	CR_CHECK(c, prctl(PR_GET_DUMPABLE) == 1);
}

TEST(process_properties)
{
	cr_both_ways(_metadata, properties, 0);
}

static void no_new_privs(struct cr_child *c)
{
	CR_CHECK(c, !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CR_CHECK(c, !prctl(PR_SET_DUMPABLE, 0));
	cr_ready(c);
	CR_CHECK(c, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CR_CHECK(c, prctl(PR_GET_DUMPABLE) == 0);
}

TEST(no_new_privs_and_not_dumpable)
{
	cr_both_ways(_metadata, no_new_privs, 0);
}

/* A process that checkpoints its own tree: 0 in the copy. */
TEST(checkpoint_of_itself)
{
	char path[] = "/tmp/cr-self.XXXXXX";
	int fd = mkstemp(path), status;
	pid_t pid;
	long ret;

	ASSERT_LE(0, fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		setsid();
		cr_unmap_shared();
		dup2(fd, 100);
		close_range(0, 99, 0);
		close_range(101, ~0U, 0);
		ret = sys_checkpoint(0, 100, 0);
		_exit(ret > 0 ? 11 : ret ? 1 : 22);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(11, WEXITSTATUS(status));
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	ret = sys_restart(0, fd, 0);
	ASSERT_EQ(pid, ret) {
		TH_LOG("restart: %s: %s", strerror(errno), cr_reason());
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(22, WEXITSTATUS(status));
	close(fd);
	unlink(path);
}

TEST_HARNESS_MAIN
