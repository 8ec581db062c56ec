// SPDX-License-Identifier: GPL-2.0
/*
 * Refusals that have no program of their own: rarer kinds of descriptors, and
 * modes that a process can be in.
 */
#include <linux/bpf.h>
#include <linux/prctl.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <stddef.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "cr_selftest.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#endif
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH	59
#define PR_SYS_DISPATCH_ON		1
#endif

/*
 * @probe does it in the test itself, which is a process of its own: what this
 * kernel or machine does not have is skipped.
 */
static void refused(struct __test_metadata *_metadata, bool (*probe)(void),
		    void (*workload)(struct cr_child *), const char *reason)
{
	if (!probe())
		SKIP(return, "not possible here: %s", strerror(errno));
	cr_refused(_metadata, workload, EOPNOTSUPP, reason);
}

static bool try_mqueue(void)
{
	int fd = syscall(SYS_mq_open, "cr-selftest", O_RDWR | O_CREAT, 0600, NULL);

	syscall(SYS_mq_unlink, "cr-selftest");
	return fd >= 0;
}

static void do_mqueue(struct cr_child *c)
{
	CR_CHECK(c, try_mqueue());
	cr_ready(c);
}

TEST(message_queue)
{
	refused(_metadata, try_mqueue, do_mqueue, "message queue");
}

static bool try_fanotify(void)
{
	return fanotify_init(FAN_CLASS_NOTIF, O_RDONLY) >= 0;
}

static void do_fanotify(struct cr_child *c)
{
	CR_CHECK(c, try_fanotify());
	cr_ready(c);
}

TEST(fanotify)
{
	refused(_metadata, try_fanotify, do_fanotify, "fd 3: fanotify");
}

static bool try_bpf_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 1,
	};

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)) >= 0;
}

static void do_bpf_map(struct cr_child *c)
{
	CR_CHECK(c, try_bpf_map());
	cr_ready(c);
}

TEST(bpf_map)
{
	refused(_metadata, try_bpf_map, do_bpf_map, "fd 3: bpf-map");
}

static bool try_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY) >= 0;
}

static void do_userfaultfd(struct cr_child *c)
{
	CR_CHECK(c, try_userfaultfd());
	cr_ready(c);
}

TEST(userfaultfd)
{
	refused(_metadata, try_userfaultfd, do_userfaultfd, "fd 3: userfaultfd");
}

static bool try_io_flusher(void)
{
	return !prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
}

static void do_io_flusher(struct cr_child *c)
{
	CR_CHECK(c, try_io_flusher());
	cr_ready(c);
}

TEST(io_flusher)
{
	refused(_metadata, try_io_flusher, do_io_flusher, "PR_SET_IO_FLUSHER");
}

static bool try_mce_kill(void)
{
	return !prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
}

static void do_mce_kill(struct cr_child *c)
{
	CR_CHECK(c, try_mce_kill());
	cr_ready(c);
}

TEST(mce_kill)
{
	refused(_metadata, try_mce_kill, do_mce_kill, "PR_MCE_KILL");
}

static bool try_user_dispatch(void)
{
	static char allow;

	return !prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &allow);
}

static void do_user_dispatch(struct cr_child *c)
{
	CR_CHECK(c, try_user_dispatch());
	cr_ready(c);
}

TEST(user_dispatch)
{
	refused(_metadata, try_user_dispatch, do_user_dispatch, "system call user dispatch");
}

static bool try_speculation(void)
{
	return !prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE, 0, 0);
}

static void do_speculation(struct cr_child *c)
{
	CR_CHECK(c, try_speculation());
	cr_ready(c);
}

TEST(speculation_control)
{
	refused(_metadata, try_speculation, do_speculation, "speculation control");
}

/* A tracer that comes, sets a breakpoint, and goes. */
static int set_breakpoint(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) || waitpid(pid, &status, __WALL) != pid)
		return 1;
	if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[0]), &set_breakpoint) ||
	    ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[7]), 1))
		return 2;
	return ptrace(PTRACE_DETACH, pid, NULL, NULL) ? 3 : 0;
}

static void do_breakpoint(struct cr_child *c)
{
	pid_t pid, self = getpid();
	int status;

	CR_CHECK(c, !prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0) || errno == EINVAL);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid)
		_exit(set_breakpoint(self));
	CR_CHECK(c, waitpid(pid, &status, 0) == pid);
	CR_CHECK(c, status == 0);
	cr_ready(c);
}

TEST(hardware_breakpoint)
{
	cr_refused(_metadata, do_breakpoint, EOPNOTSUPP, "hardware breakpoints");
}

/* Waits in a system call of the 32-bit kind, as a 64-bit program can. */
static void pause_32(void)
{
	long ret = 29;

	asm volatile("int $0x80" : "+a" (ret) : : "memory", "r8", "r9", "r10", "r11");
}

static void do_compat_call(struct cr_child *c)
{
	pid_t pid = fork();

	CR_CHECK(c, pid >= 0);
	if (!pid) {
		for (;;)
			pause_32();
	}
	/* It has nothing to tell by when it is there. */
	cr_sleep_ms(200);
	cr_ready(c);
	CR_CHECK(c, !kill(pid, SIGKILL));
	CR_CHECK(c, waitpid(pid, NULL, 0) == pid);
}

TEST(compat_system_call)
{
	cr_refused(_metadata, do_compat_call, EOPNOTSUPP, "32-bit code");
}

TEST_HARNESS_MAIN
