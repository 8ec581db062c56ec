// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: what processes are refused for, each by its name. */
#include "task_help.h"

#include <asm/ldt.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/io.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <termios.h>

/* A child that does @fn, waits to be told to go on and exits. */
static pid_t child_with(struct cr_child *c, void (*fn)(struct cr_child *))
{
	struct point p;
	pid_t pid;

	point_init(c, &p);
	pid = must_fork(c);
	if (!pid) {
		fn(c);
		point_arrive(c, &p);
		cr_wait_go(c);
		_exit(0);
	}
	point_wait(c, &p, 1);
	return pid;
}

static void in_child(struct cr_child *c, void (*fn)(struct cr_child *))
{
	pid_t pid = child_with(c, fn);

	cr_ready(c);
	must_exit(c, pid, 0);
}

static struct {
	struct cr_child *c;
	pthread_barrier_t set_up;
	void (*fn)(struct cr_child *c);
	pthread_mutex_t mutex;
	pid_t tid;
} g;

static void *thread_main(void *arg)
{
	g.fn(g.c);
	pthread_barrier_wait(&g.set_up);
	cr_wait_go(g.c);
	return NULL;
}

static void in_thread(struct cr_child *c, void (*fn)(struct cr_child *))
{
	pthread_t thread;

	g.c = c;
	g.fn = fn;
	pthread_barrier_init(&g.set_up, NULL, 2);
	CR_CHECK(c, !pthread_create(&thread, NULL, thread_main, NULL));
	pthread_barrier_wait(&g.set_up);
	cr_ready(c);
	CR_CHECK(c, !pthread_join(thread, NULL));
}

/* ---- who watches ---- */

static void traced(struct cr_child *c)
{
	CR_CHECK(c, !ptrace(PTRACE_TRACEME, 0, 0, 0));
}

static void do_traced(struct cr_child *c)
{
	in_child(c, traced);
}

TEST(traced_by_a_process_of_the_tree)
{
	cr_refused(_metadata, do_traced, EOPNOTSUPP, "trac");
}

static void do_nothing(struct cr_child *c)
{
	cr_ready(c);
}

TEST(traced_from_outside)
{
	struct cr_child c;

	cr_begin(_metadata, &c, do_nothing);
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, c.pid, 0, 0));
	EXPECT_EQ(-1, cr_save(_metadata, &c, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "traced")) {
		TH_LOG("%s", cr_reason());
	}
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, c.pid, 0, 0));
	ASSERT_EQ(c.pid, waitpid(c.pid, NULL, 0));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, c.pid, 0, 0));
	/* And now it is possible. */
	EXPECT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("%s", cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

static void use_seccomp(struct cr_child *c)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };

	CR_CHECK(c, !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CR_CHECK(c, !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

static void do_seccomp(struct cr_child *c)
{
	in_thread(c, use_seccomp);
}

TEST(seccomp)
{
	cr_refused(_metadata, do_seccomp, EOPNOTSUPP, "seccomp");
}

/* It may only read, write and end; it is told to go on by the end of a pipe. */
static void do_strict(struct cr_child *c)
{
	struct point p;
	int go[2];
	pid_t pid;
	char byte;

	CR_CHECK(c, !pipe(go));
	point_init(c, &p);
	pid = must_fork(c);
	if (!pid) {
		close(go[1]);
		close(p.fd[0]);
		CR_CHECK(c, !prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		syscall(SYS_write, p.fd[1], "", 1);
		syscall(SYS_exit, (int)syscall(SYS_read, go[0], &byte, 1));
	}
	point_wait(c, &p, 1);
	cr_ready(c);
	close(go[1]);
	must_exit(c, pid, 0);
}

TEST(seccomp_strict)
{
	cr_refused(_metadata, do_strict, EOPNOTSUPP, "seccomp");
}

static void use_landlock(struct cr_child *c)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SOCK };
	int fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	CR_CHECK(c, fd >= 0);
	CR_CHECK(c, !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CR_CHECK(c, !syscall(SYS_landlock_restrict_self, fd, 0));
	close(fd);
}

static void do_landlock(struct cr_child *c)
{
	use_landlock(c);
	cr_ready(c);
}

TEST(landlock)
{
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0)
		SKIP(return, "no Landlock");
	cr_refused(_metadata, do_landlock, EOPNOTSUPP, "Landlock");
}

/* ---- timers, rings, counters ---- */

static void do_posix_timer(struct cr_child *c)
{
	timer_t timer;

	CR_CHECK(c, !timer_create(CLOCK_MONOTONIC, NULL, &timer));
	cr_ready(c);
	CR_CHECK(c, !timer_delete(timer));
}

TEST(posix_timer)
{
	cr_refused(_metadata, do_posix_timer, EOPNOTSUPP, "POSIX timer");
}

/* No system call but clone() takes one that there is not. */
static void do_exit_signal(struct cr_child *c)
{
	pid_t pid = syscall(SYS_clone, 100, NULL, NULL, NULL, NULL);

	CR_CHECK(c, pid >= 0);
	if (!pid) {
		cr_wait_go(c);
		_exit(0);
	}
	cr_ready(c);
	CR_CHECK(c, waitpid(pid, NULL, __WALL) == pid);
}

TEST(exit_signal)
{
	cr_refused(_metadata, do_exit_signal, EOPNOTSUPP, "signal at exit that there is not");
}

/* Nobody looks at the address before it is used. */
static void do_altstack(struct cr_child *c)
{
	stack_t nowhere = { .ss_sp = (void *)-65536L, .ss_size = 65536 };

	CR_CHECK(c, !sigaltstack(&nowhere, NULL));
	cr_ready(c);
}

TEST(alternate_stack)
{
	cr_refused(_metadata, do_altstack, EOPNOTSUPP, "alternate signal stack outside");
}

static void do_io_uring(struct cr_child *c)
{
	char params[120] = "";

	CR_CHECK(c, syscall(SYS_io_uring_setup, 4, params) >= 0);
	cr_ready(c);
}

TEST(io_uring)
{
	cr_refused(_metadata, do_io_uring, EOPNOTSUPP, "io_uring");
}

static void do_perf(struct cr_child *c)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
	};

	CR_CHECK(c, syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0);
	cr_ready(c);
}

TEST(perf_event)
{
	cr_refused(_metadata, do_perf, EOPNOTSUPP, "perf");
}

static void *cpu_sleeper(void *arg)
{
	struct timespec ts = { 1000, 0 };

	STORE(g.tid, gettid());
	clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &ts, NULL);
	return NULL;
}

static void do_cpu_clock(struct cr_child *c)
{
	pthread_t thread;

	CR_CHECK(c, !pthread_create(&thread, NULL, cpu_sleeper, NULL));
	while (!LOAD(g.tid))
		cr_sleep_ms(1);
	wait_in_syscall(c, g.tid, SYS_clock_nanosleep);
	cr_ready(c);
}

TEST(sleep_on_a_cpu_clock)
{
	cr_refused(_metadata, do_cpu_clock, EOPNOTSUPP, "interrupted system call");
}

/* ---- what processes share ---- */

static void do_vfork(struct cr_child *c)
{
	pid_t pid = must_fork(c);

	if (!pid) {
		/* The child runs in the memory of its parent, which waits. */
		pid = vfork();
		if (!pid) {
			cr_wait_go(c);
			_exit(0);
		}
		must_exit(c, pid, 0);
		_exit(0);
	}
	wait_state(c, pid, 'D');
	cr_ready(c);
	must_exit(c, pid, 0);
}

TEST(vfork_without_execve)
{
	cr_refused(_metadata, do_vfork, EBUSY, "vfork");
}

static int sharer(void *arg)
{
	cr_wait_go(arg);
	return 0;
}

static void shared(struct cr_child *c, int flags)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t pid = clone(sharer, stack + sizeof(stack), flags | SIGCHLD, c);

	CR_CHECK(c, pid > 0);
	cr_ready(c);
	must_exit(c, pid, 0);
}

static void do_share_files(struct cr_child *c)
{
	shared(c, CLONE_FILES);
}

static void do_share_fs(struct cr_child *c)
{
	shared(c, CLONE_FS);
}

static void do_share_vm(struct cr_child *c)
{
	shared(c, CLONE_VM);
}

TEST(descriptors_shared_between_processes)
{
	cr_refused(_metadata, do_share_files, EOPNOTSUPP, "CLONE_FILES");
}

TEST(working_directory_shared_between_processes)
{
	cr_refused(_metadata, do_share_fs, EOPNOTSUPP, "CLONE_FS");
}

TEST(memory_shared_between_processes)
{
	cr_refused(_metadata, do_share_vm, EOPNOTSUPP, "CLONE_VM");
}

static void unshare_files(struct cr_child *c)
{
	CR_CHECK(c, !unshare(CLONE_FILES));
}

static void do_unshare_files(struct cr_child *c)
{
	in_thread(c, unshare_files);
}

TEST(thread_with_descriptors_of_its_own)
{
	cr_refused(_metadata, do_unshare_files, EOPNOTSUPP, "not shared with the other threads");
}

static void unshare_fs(struct cr_child *c)
{
	CR_CHECK(c, !unshare(CLONE_FS));
}

static void do_unshare_fs(struct cr_child *c)
{
	in_thread(c, unshare_fs);
}

TEST(thread_with_a_working_directory_of_its_own)
{
	cr_refused(_metadata, do_unshare_fs, EOPNOTSUPP, "not shared with the other threads");
}

static void *last_thread(void *arg)
{
	cr_wait_go(arg);
	exit(0);
}

static void do_main_thread_ends(struct cr_child *c)
{
	pid_t pid = must_fork(c);
	pthread_t thread;

	if (!pid) {
		CR_CHECK(c, !pthread_create(&thread, NULL, last_thread, c));
		syscall(SYS_exit, 0);
	}
	wait_state(c, pid, 'Z');
	cr_ready(c);
	must_exit(c, pid, 0);
}

TEST(main_thread_that_ended)
{
	cr_refused(_metadata, do_main_thread_ends, EOPNOTSUPP, "main thread");
}

/* ---- namespaces, sessions ---- */

static const struct namespace {
	int flag;
	const char *name;
} namespaces[] = {
	{ CLONE_NEWUTS, "UTS namespace" },
	{ CLONE_NEWNS, "mount namespace" },
	{ CLONE_NEWIPC, "IPC namespace" },
	{ CLONE_NEWNET, "network namespace" },
	{ CLONE_NEWCGROUP, "cgroup namespace" },
	{ CLONE_NEWTIME, "time namespace" },
	{ CLONE_NEWUSER, "user namespace" },
};

static int new_namespace;

static void enter_namespace(struct cr_child *c)
{
	CR_CHECK(c, !unshare(new_namespace));
}

static void do_namespace(struct cr_child *c)
{
	in_child(c, enter_namespace);
}

TEST(namespace_of_its_own)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(namespaces); i++) {
		new_namespace = namespaces[i].flag;
		cr_refused(_metadata, do_namespace, EOPNOTSUPP, namespaces[i].name);
	}
}

static void new_pid(struct cr_child *c)
{
	CR_CHECK(c, !unshare(CLONE_NEWPID));
}

static void do_new_pid(struct cr_child *c)
{
	in_child(c, new_pid);
}

TEST(pid_namespace_for_children)
{
	cr_refused(_metadata, do_new_pid, EOPNOTSUPP, "PID namespace");
}

/* The first of its children is the init, the second one was put beside it. */
static void beside_init(struct cr_child *c)
{
	pid_t pid[2];
	int i;

	new_pid(c);
	for (i = 0; i < 2; i++) {
		pid[i] = must_fork(c);
		while (!pid[i])
			pause();
	}
	cr_put_number(c, "init", pid[0]);
	cr_ready(c);
	for (i = 0; i < 2; i++) {
		CR_CHECK(c, !waitpid(pid[1 - i], NULL, WNOHANG));
		CR_CHECK(c, !kill(pid[1 - i], SIGKILL));
		CR_CHECK(c, waitpid(pid[1 - i], NULL, 0) == pid[1 - i]);
	}
}

TEST(put_into_the_pid_namespace)
{
	struct cr_child c;

	cr_begin(_metadata, &c, beside_init);
	EXPECT_EQ(-1, sys_checkpoint(cr_get_number(&c, "init"), -1, CHECKPOINT_KEEP));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "its parent is outside")) {
		TH_LOG("%s", cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

static void do_nested_pid(struct cr_child *c)
{
	pid_t pid = must_fork(c);

	if (!pid) {
		new_pid(c);
		pid = child_with(c, do_nothing);
		must_exit(c, pid, 0);
		_exit(0);
	}
	cr_wait_go(c);
	must_exit(c, pid, 0);
}

TEST(nested_pid_namespace)
{
	cr_refused(_metadata, do_nested_pid, EOPNOTSUPP, "PID namespace");
}

static void do_terminal(struct cr_child *c)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;

	CR_CHECK(c, master >= 0 && !grantpt(master) && !unlockpt(master));
	slave = open(ptsname(master), O_RDWR);
	CR_CHECK(c, slave >= 0 && tcgetsid(slave) == getpid());
	close(slave);
	cr_ready(c);
	signal(SIGHUP, SIG_IGN);
}

TEST(controlling_terminal)
{
	cr_refused(_metadata, do_terminal, EOPNOTSUPP, "controlling terminal");
}

static int own_group(void)
{
	return setpgid(0, 0);
}

static int own_session(void)
{
	return setsid() > 0 ? 0 : -1;
}

/* What @make makes has lost its leader, but not its member, within the tree. */
static void orphans(struct cr_child *c, int (*make)(void))
{
	struct point p;
	pid_t pid;

	CR_CHECK(c, !prctl(PR_SET_CHILD_SUBREAPER, 1));
	point_init(c, &p);
	pid = must_fork(c);
	if (!pid) {
		pid_t leader = getpid();

		CR_CHECK(c, !make());
		if (!must_fork(c)) {
			while (getppid() == leader)
				cr_sleep_ms(1);
			point_arrive(c, &p);
			cr_wait_go(c);
			_exit(0);
		}
		_exit(0);
	}
	must_exit(c, pid, 0);
	point_wait(c, &p, 1);
	cr_ready(c);
	CR_CHECK(c, waitpid(-1, NULL, 0) > 0);
}

static void do_session(struct cr_child *c)
{
	orphans(c, own_session);
}

static void do_group(struct cr_child *c)
{
	orphans(c, own_group);
}

TEST(session_without_its_leader)
{
	cr_refused(_metadata, do_session, EOPNOTSUPP, "): session ");
}

TEST(group_without_its_leader)
{
	cr_refused(_metadata, do_group, EOPNOTSUPP, "): process group ");
}

/* ---- System V, futexes, scheduling ---- */

static void do_sem_undo(struct cr_child *c)
{
	struct sembuf up = { 0, 1, SEM_UNDO };
	int id = semget(IPC_PRIVATE, 1, 0600);

	CR_CHECK(c, id >= 0);
	CR_CHECK(c, !semop(id, &up, 1));
	cr_ready(c);
	CR_CHECK(c, !semctl(id, 0, IPC_RMID));
}

TEST(semaphore_undo)
{
	cr_refused(_metadata, do_sem_undo, EOPNOTSUPP, "SEM_UNDO");
}

static void *pi_waiter(void *arg)
{
	STORE(g.tid, gettid());
	CR_CHECK(g.c, !pthread_mutex_lock(&g.mutex));
	CR_CHECK(g.c, !pthread_mutex_unlock(&g.mutex));
	return NULL;
}

static void do_pi_futex(struct cr_child *c)
{
	pthread_mutexattr_t attr;
	pthread_t thread;

	g.c = c;
	pthread_mutexattr_init(&attr);
	CR_CHECK(c, !pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT));
	CR_CHECK(c, !pthread_mutex_init(&g.mutex, &attr));
	CR_CHECK(c, !pthread_mutex_lock(&g.mutex));
	CR_CHECK(c, !pthread_create(&thread, NULL, pi_waiter, NULL));
	while (!LOAD(g.tid))
		cr_sleep_ms(1);
	wait_in_syscall(c, g.tid, SYS_futex);
	cr_ready(c);
	CR_CHECK(c, !pthread_mutex_unlock(&g.mutex));
	CR_CHECK(c, !pthread_join(thread, NULL));
}

/*
 * The waiter leaves the queue to be parked, and with it the last trace in the
 * kernel goes; so this works as often as not, and must never go wrong.
 */
TEST(pi_futex_with_a_waiter)
{
	struct cr_child c;
	long ret;

	cr_begin(_metadata, &c, do_pi_futex);
	ret = cr_save(_metadata, &c, 0);
	if (ret < 0) {
		EXPECT_EQ(EOPNOTSUPP, errno);
		EXPECT_NE(NULL, strstr(cr_reason(), "PI futex")) {
			TH_LOG("%s", cr_reason());
		}
	}
	cr_finish(_metadata, &c, "original");
	if (ret > 0) {
		cr_load(_metadata, &c, 0);
		cr_finish(_metadata, &c, "copy");
	}
	cr_end(_metadata, &c);
}

struct deadline_attr {
	__u32 size, policy;
	__u64 flags;
	__s32 nice;
	__u32 priority;
	__u64 runtime, deadline, period;
};

static void do_deadline(struct cr_child *c)
{
	struct deadline_attr attr = {
		.size = sizeof(attr),
		.policy = SCHED_DEADLINE,
		.runtime = 500000000,
		.deadline = 1000000000,
		.period = 1000000000,
	};

	CR_CHECK(c, !syscall(SYS_sched_setattr, 0, &attr, 0));
	cr_ready(c);
}

TEST(deadline_scheduling)
{
	cr_refused(_metadata, do_deadline, EOPNOTSUPP, "SCHED_DEADLINE");
}

/* ---- x86 ---- */

static void do_ldt(struct cr_child *c)
{
	struct user_desc desc = { .entry_number = 0, .limit = 0xfff, .seg_32bit = 1 };

	CR_CHECK(c, !syscall(SYS_modify_ldt, 1, &desc, sizeof(desc)));
	cr_ready(c);
}

TEST(ldt)
{
	cr_refused(_metadata, do_ldt, EOPNOTSUPP, "LDT");
}

/* A 64-bit program gets to it as well; what it points to has 32 bits. */
static void do_tls(struct cr_child *c)
{
	struct user_desc *desc = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long ret = 243;	/* set_thread_area() */

	CR_CHECK(c, desc != MAP_FAILED);
	*desc = (struct user_desc){ .entry_number = -1, .limit = 0xfff, .seg_32bit = 1 };
	asm volatile("int $0x80" : "+a" (ret) : "b" (desc) : "memory", "r8", "r9", "r10", "r11");
	CR_CHECK(c, !ret);
	cr_ready(c);
}

TEST(tls_segments)
{
	cr_refused(_metadata, do_tls, EOPNOTSUPP, "TLS segments");
}

static void do_ioperm(struct cr_child *c)
{
	CR_CHECK(c, !ioperm(0x80, 1, 1));
	cr_ready(c);
}

TEST(io_ports)
{
	cr_refused(_metadata, do_ioperm, EOPNOTSUPP, "I/O port");
}

static void do_iopl(struct cr_child *c)
{
	CR_CHECK(c, !iopl(3));
	cr_ready(c);
}

TEST(all_io_ports)
{
	cr_refused(_metadata, do_iopl, EOPNOTSUPP, "I/O port");
}

static void do_no_tsc(struct cr_child *c)
{
	CR_CHECK(c, !prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	cr_ready(c);
	CR_CHECK(c, !prctl(PR_SET_TSC, PR_TSC_ENABLE));
}

TEST(disabled_tsc)
{
	cr_refused(_metadata, do_no_tsc, EOPNOTSUPP, "TSC");
}

TEST_HARNESS_MAIN
