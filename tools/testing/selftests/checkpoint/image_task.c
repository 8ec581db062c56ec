// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: images with wrong records of tasks. Each is refused with
 * the errno that belongs to it, and nothing is left behind.
 */
#include "task_help.h"
#include "image_help.h"

#include <stddef.h>
#include <sys/time.h>

/* ---- a workload that has a record of every kind ---- */

static struct cr_child *child;
static pthread_barrier_t set_up;

static void *thread_main(void *arg)
{
	struct timespec ts = { 1000, 0 };

	raise(SIGRTMIN);
	pthread_barrier_wait(&set_up);
	for (;;)
		nanosleep(&ts, NULL);
	return NULL;
}

static void *futex_main(void *arg)
{
	static unsigned int word;
	struct timespec ts = { 1000, 0 };

	pthread_barrier_wait(&set_up);
	for (;;)
		syscall(SYS_futex, &word, 128, 0, &ts, NULL, 0);
	return NULL;
}

static void do_everything(struct cr_child *c)
{
	struct itimerval far = { { 1000, 0 }, { 1000, 0 } };
	pthread_t thread;
	sigset_t set;
	pid_t pid;

	child = c;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigqueue(getpid(), SIGRTMIN, (union sigval) { .sival_int = 1 });
	kill(getpid(), SIGUSR1);
	CR_CHECK(c, !setitimer(ITIMER_REAL, &far, NULL));
	CR_CHECK(c, !setitimer(ITIMER_PROF, &far, NULL));
	if (!must_fork(c)) {
		setpgid(0, 0);
		cr_wait_go(c);
		_exit(0);
	}
	pid = must_fork(c);
	if (!pid)
		_exit(5);
	wait_state(c, pid, 'Z');
	pthread_barrier_init(&set_up, NULL, 3);
	CR_CHECK(c, !pthread_create(&thread, NULL, thread_main, NULL));
	CR_CHECK(c, !pthread_create(&thread, NULL, futex_main, NULL));
	pthread_barrier_wait(&set_up);
	cr_sleep_ms(50);
	cr_ready(c);
}

/* ---- one wrong field each ---- */

/* Word @n of the registers; @size bytes at @offset of the data of the xstate. */
#define REG(what, n, value) \
	{ what, 0, { CR_IMG_X86_REGS, (n) * 8, 8 }, value, EINVAL }
#define XSTATE(what, offset, size, value, err) \
	{ what, 0, { CR_IMG_X86_XSTATE, 8 + (offset), size }, value, err }

static const struct wrong wrongs[] = {
	WRONG("process flags", CR_IMG_PROCESS, 0, cr_img_process, flags, 1 << 30, EINVAL),
	WRONG("process reserved", CR_IMG_PROCESS, 0, cr_img_process, reserved, 1, EINVAL),
	WRONG("pid 0", CR_IMG_PROCESS, 0, cr_img_process, pid, 0, EINVAL),
	WRONG("pid too large", CR_IMG_PROCESS, 0, cr_img_process, pid, 1 << 30, EINVAL),
	WRONG("negative pid", CR_IMG_PROCESS, 1, cr_img_process, pid, -5, EINVAL),
	WRONG("session of nobody", CR_IMG_PROCESS, 1, cr_img_process, sid, 31999, EINVAL),
	WRONG("session of init", CR_IMG_PROCESS, 1, cr_img_process, sid, 1, EINVAL),
	WRONG("group of nobody", CR_IMG_PROCESS, 1, cr_img_process, pgid, 31999, EINVAL),
	WRONG("group of init", CR_IMG_PROCESS, 1, cr_img_process, pgid, 1, EINVAL),
	WRONG("group outside a session", CR_IMG_PROCESS, 1, cr_img_process, pgid, 0, EINVAL),
	WRONG("root session 0", CR_IMG_PROCESS, 0, cr_img_process, sid, 0, EINVAL),
	WRONG("exit signal", CR_IMG_PROCESS, 1, cr_img_process, exit_signal, 65, EINVAL),
	WRONG("exit code", CR_IMG_PROCESS, 0, cr_img_process, exit_code, 1, EINVAL),
	WRONG("exit code", CR_IMG_PROCESS, 2, cr_img_process, exit_code, 1 << 16, EINVAL),
	WRONG("oom_score_adj", CR_IMG_PROCESS, 0, cr_img_process, oom_score_adj, 1001, EINVAL),
	WRONG("no threads", CR_IMG_PROCESS, 0, cr_img_process, nr_threads, 0, EINVAL),
	WRONG("more threads", CR_IMG_PROCESS, 0, cr_img_process, nr_threads, 4, EINVAL),
	WRONG("no memory", CR_IMG_PROCESS, 0, cr_img_process, mm_id, 0, EINVAL),
	WRONG("memory of no such object", CR_IMG_PROCESS, 0, cr_img_process, mm_id, 99999,
	      EINVAL),
	WRONG("files for memory", CR_IMG_PROCESS, 0, cr_img_process, files_id, 1, EINVAL),
	WRONG("thread flags", CR_IMG_THREAD, 0, cr_img_thread, flags, 1 << 30, EINVAL),
	WRONG("thread reserved", CR_IMG_THREAD, 0, cr_img_thread, reserved, 1, EINVAL),
	WRONG("tid 0", CR_IMG_THREAD, 1, cr_img_thread, tid, 0, EINVAL),
	WRONG("thread of no process", CR_IMG_THREAD, 0, cr_img_thread, process_id, 0, EINVAL),
	WRONG("not the leader", CR_IMG_THREAD, 0, cr_img_thread, flags, 0, EINVAL),
	WRONG("parent death signal", CR_IMG_THREAD, 0, cr_img_thread, pdeath_signal, 65, EINVAL),
	WRONG("rseq alignment", CR_IMG_THREAD, 0, cr_img_thread, rseq, 0x10001, EINVAL),
	WRONG("rseq in the kernel", CR_IMG_THREAD, 0, cr_img_thread, rseq,
	      0xffff800000000000, EINVAL),
	WRONG("rseq length", CR_IMG_THREAD, 0, cr_img_thread, rseq_len, 1 << 20, EINVAL),
	WRONG("unmapped uid", CR_IMG_CRED, 0, cr_img_cred, uid[0], -1, EINVAL),
	WRONG("unmapped gid", CR_IMG_CRED, 0, cr_img_cred, gid[3], -1, EINVAL),
	WRONG("more groups", CR_IMG_CRED, 0, cr_img_cred, nr_groups, 60000, EINVAL),
	WRONG("most groups", CR_IMG_CRED, 0, cr_img_cred, nr_groups, -1, EINVAL),
	WRONG("securebits", CR_IMG_CRED, 0, cr_img_cred, securebits, 1 << 20, EINVAL),
	WRONG("capability", CR_IMG_CRED, 0, cr_img_cred, cap_bounding, -1, EINVAL),
	WRONG("effective", CR_IMG_CRED, 0, cr_img_cred, cap_permitted, 0, EINVAL),
	WRONG("ambient", CR_IMG_CRED, 0, cr_img_cred, cap_ambient, 1, EINVAL),
	WRONG("deadline", CR_IMG_SCHED, 0, cr_img_sched, policy, 6, EINVAL),
	WRONG("policy", CR_IMG_SCHED, 0, cr_img_sched, policy, 100, EINVAL),
	WRONG("nice", CR_IMG_SCHED, 0, cr_img_sched, nice, -21, EINVAL),
	WRONG("priority", CR_IMG_SCHED, 0, cr_img_sched, rt_priority, 5, EINVAL),
	WRONG("flags", CR_IMG_SCHED, 0, cr_img_sched, flags, 0x80, EINVAL),
	WRONG("more CPUs", CR_IMG_SCHED, 0, cr_img_sched, nr_cpus, 64, EINVAL),
	WRONG("most CPUs", CR_IMG_SCHED, 0, cr_img_sched, nr_cpus, -1, EINVAL),
	WRONG("I/O class", CR_IMG_SCHED, 0, cr_img_sched, ioprio, 7 << 13, EINVAL),
	WRONG("SA flags", CR_IMG_SIGACTION, 0, cr_img_sigaction, action[9].flags, 1 << 23,
	      EINVAL),
	WRONG("handler of SIGKILL", CR_IMG_SIGACTION, 0, cr_img_sigaction,
	      action[8].handler, 1, EINVAL),
	WRONG("alternate stack", CR_IMG_SIGSTATE, 0, cr_img_sigstate, altstack_size, 1, EINVAL),
	WRONG("alternate stack", CR_IMG_SIGSTATE, 0, cr_img_sigstate, altstack_flags, 8, EINVAL),
	WRONG("mask flags", CR_IMG_SIGSTATE, 0, cr_img_sigstate, flags, 2, EINVAL),
	WRONG("saved mask", CR_IMG_SIGSTATE, 0, cr_img_sigstate, saved_mask, 2, EINVAL),
	WRONG("signal 0", CR_IMG_SIGINFO_SHARED, 0, cr_img_siginfo, signo, 0, EINVAL),
	WRONG("signal 65", CR_IMG_SIGINFO_SHARED, 0, cr_img_siginfo, signo, 65, EINVAL),
	WRONG("SIGKILL", CR_IMG_SIGINFO_SHARED, 0, cr_img_siginfo, signo, 9, EINVAL),
	WRONG("other signal", CR_IMG_SIGINFO, 0, cr_img_siginfo, signo, 33, EINVAL),
	WRONG("no siginfo", CR_IMG_SIGINFO, 0, cr_img_siginfo, has_info, 0, EINVAL),
	WRONG("siginfo", CR_IMG_SIGINFO, 0, cr_img_siginfo, has_info, 2, EINVAL),
	WRONG("limit", CR_IMG_RLIMIT, 0, cr_img_rlimit, limit[7].max, 1, EINVAL),
	WRONG("open files", CR_IMG_RLIMIT, 0, cr_img_rlimit, limit[7].max, -1, EPERM),
	WRONG("timer", CR_IMG_ITIMER, 0, cr_img_itimer, timer[0].value_ns, -1, EINVAL),
	WRONG("interval", CR_IMG_ITIMER, 0, cr_img_itimer, timer[2].interval_ns, 1ULL << 63,
	      EINVAL),
	WRONG("no restart", CR_IMG_RESTART_BLOCK, 0, cr_img_restart_block, kind, 0, EINVAL),
	WRONG("other restart", CR_IMG_RESTART_BLOCK, 0, cr_img_restart_block, kind, 77, EINVAL),
	WRONG("clock", CR_IMG_RESTART_BLOCK, 0, cr_img_restart_block, clockid, 2, EINVAL),
	WRONG("CPU clock", CR_IMG_RESTART_BLOCK, 0, cr_img_restart_block, clockid, -6, EINVAL),
	WRONG("flags", CR_IMG_RESTART_BLOCK, 0, cr_img_restart_block, flags, 0x80, EINVAL),
	WRONG("timeout", CR_IMG_RESTART_BLOCK, 0, cr_img_restart_block, has_timeout, 0, EINVAL),
	/* cs, ss, ds, gs, bases, flags as in struct user_regs_struct */
	REG("kernel cs", 17, 0x10),
	REG("32-bit cs", 17, 0x23),
	REG("null ss", 20, 0),
	REG("kernel ds", 23, 0x18),
	REG("wide gs", 26, 1 << 16),
	REG("fs base", 21, 0xffff888000000000),
	REG("gs base", 22, 0x8000000000000000),
	REG("flags", 18, 1ULL << 40),
	/* legacy area, then the header at 512 */
	WRONG("xstate reserved", CR_IMG_X86_XSTATE, 0, cr_img_x86_xstate, reserved, 1, EINVAL),
	WRONG("layout", CR_IMG_X86_XSTATE, 0, cr_img_x86_xstate, layout, 1, EOPNOTSUPP),
	XSTATE("MXCSR", 24, 4, 1 << 31, EINVAL),
	XSTATE("xfeatures", 512, 8, 1ULL << 62, EOPNOTSUPP),
	XSTATE("xcomp_bv", 520, 8, 1ULL << 63, EINVAL),
	XSTATE("header reserved", 528, 8, 1, EINVAL),
};

TEST(wrong_fields)
{
	refuse_each(_metadata, do_everything, wrongs, ARRAY_SIZE(wrongs), 0);
}

/* Nobody would create such a process, and restart() would wait without end. */
TEST(parent_of_itself)
{
	struct cr_img_process *process;
	struct cr_img_rec *rec;
	struct cr_child c;
	struct image im;

	make_image(_metadata, &c, do_everything, &im);
	rec = image_find(&im, CR_IMG_PROCESS, 1);
	ASSERT_NE(NULL, rec);
	process = (void *)(rec + 1);
	process->ppid = process->pid;
	image_sign(rec);
	EXPECT_EQ(EINVAL, image_restart(_metadata, &c, &im));
	cr_end(_metadata, &c);
}

/* The first record of @type is twice there, or not at all: the errno. */
static int restart_with(struct __test_metadata *_metadata, struct cr_child *c,
			const struct image *whole, unsigned int type, bool twice)
{
	struct image im = { .size = whole->size };
	struct cr_img_rec *rec;
	int err;

	im.data = malloc(im.size);
	ASSERT_NE(NULL, im.data);
	memcpy(im.data, whole->data, im.size);
	rec = image_find(&im, type, 0);
	ASSERT_NE(NULL, rec);
	if (twice)
		image_double(_metadata, &im, rec);
	else
		image_remove(&im, rec);
	err = image_restart(_metadata, c, &im);
	free(im.data);
	TH_LOG("type %u %s: %s", type, twice ? "twice" : "missing", cr_reason());
	/* that it is as long as the trailer says has been seen to */
	EXPECT_EQ(NULL, strstr(cr_reason(), "trailer"));
	return err;
}

TEST(wrong_records)
{
	static const unsigned int required[] = {
		CR_IMG_CRED, CR_IMG_SCHED, CR_IMG_SIGACTION, CR_IMG_SIGSTATE, CR_IMG_RLIMIT,
		CR_IMG_ITIMER, CR_IMG_X86_REGS, CR_IMG_X86_XSTATE,
	};
	struct cr_child c;
	struct image im;
	size_t i;

	make_image(_metadata, &c, do_everything, &im);
	for (i = 0; i < ARRAY_SIZE(required); i++) {
		EXPECT_EQ(EINVAL, restart_with(_metadata, &c, &im, required[i], false));
		EXPECT_EQ(EINVAL, restart_with(_metadata, &c, &im, required[i], true));
	}
	cr_end(_metadata, &c);
}

/* A child that is to end with SIGUSR1, of a parent that executes a program then. */
static void __noreturn execute(void)
{
	struct clone3_args args = { .exit_signal = SIGUSR1 };

	setsid();
	cr_unmap_shared();
	close_range(0, ~0U, 0);
	if (!syscall(SYS_clone3, &args, sizeof(args)))
		for (;;)
			pause();
	execl("/bin/sleep", "sleep", "1000", NULL);
	_exit(1);
}

static void wait_comm(struct __test_metadata *_metadata, pid_t pid, const char *comm)
{
	char path[64], text[32] = "";
	int n;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	for (n = 0; !cr_read_file(path, text, sizeof(text)) || strcmp(text, comm); n++) {
		ASSERT_LT(n, CR_WAIT_S * 1000 / CR_POLL_MS);
		cr_sleep_ms(CR_POLL_MS);
	}
}

/* The kernel sends SIGCHLD instead, and does so in a copy. */
TEST(exit_signal_after_execve)
{
	struct cr_img_process *process;
	struct cr_child c = {};
	struct cr_img_rec *rec;
	struct image im = {};
	pid_t pid;
	int fd;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		execute();
	wait_comm(_metadata, pid, "sleep\n");
	snprintf(c.image, sizeof(c.image), "exit-signal.img");
	fd = open(c.image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, sys_checkpoint(pid, fd, 0)) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	close(fd);
	EXPECT_TRUE(cr_kill_tree(pid));
	image_read(_metadata, &c, &im);
	rec = image_find(&im, CR_IMG_PROCESS, 1);
	ASSERT_NE(NULL, rec);
	process = (void *)(rec + 1);
	EXPECT_EQ(pid, process->ppid);
	EXPECT_EQ((unsigned int)SIGCHLD, process->exit_signal);
	unlink(c.image);
	free(im.data);
}

TEST_HARNESS_MAIN
