// SPDX-License-Identifier: GPL-2.0
/*
 * Refusals that have no program of their own: rarer kinds of descriptors, and
 * modes that a process can be in.
 */
#include <asm/prctl.h>
#include <linux/bpf.h>
#include <linux/mempolicy.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <stddef.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "task_help.h"

/* Of <linux/watch_queue.h>, which cannot be had together with <fcntl.h>. */
#define O_NOTIFICATION_PIPE	O_EXCL
/* Of the processor. */
#define XFEATURE_XTILE_DATA	18

#ifndef ARCH_ENABLE_TAGGED_ADDR
#define ARCH_ENABLE_TAGGED_ADDR	0x4002
#endif
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

/* ---- a vDSO that is not as the kernel makes it; partly unmapped: see memory.c ---- */

static char *find_vdso(struct cr_child *c, size_t *size)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	char line[512];

	CR_CHECK(c, f);
	do {
		CR_CHECK(c, fgets(line, sizeof(line), f));
	} while (!strstr(line, "[vdso]"));
	fclose(f);
	CR_CHECK(c, sscanf(line, "%lx-%lx", &start, &end) == 2);
	*size = end - start;
	return (char *)start;
}

/* As a debugger would that puts a breakpoint there. */
static void do_changed_vdso(struct cr_child *c)
{
	size_t size;
	char *p = find_vdso(c, &size);

	CR_CHECK(c, !mprotect(p, size, PROT_READ | PROT_WRITE | PROT_EXEC));
	cr_ready(c);
}

static void do_moved_vdso(struct cr_child *c)
{
	size_t size;
	char *p = find_vdso(c, &size), *to;

	to = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CR_CHECK(c, to != MAP_FAILED);
	CR_CHECK(c, mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	cr_ready(c);
}

TEST(vdso)
{
	cr_refused(_metadata, do_changed_vdso, EOPNOTSUPP, "changed vDSO");
	cr_refused(_metadata, do_moved_vdso, EOPNOTSUPP, "vDSO partly unmapped or moved");
}

/* ---- what few kernels and machines have ---- */

static long core_scheduling(void)
{
	return prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD, 0);
}

struct clamp_attr {
	__u32 size, policy;
	__u64 flags;
	__s32 nice;
	__u32 priority;
	__u64 runtime, deadline, period;
	__u32 min, max;
};

static long utilization_clamp(void)
{
	struct clamp_attr attr = {
		.size = sizeof(attr),
		.flags = SCHED_FLAG_KEEP_ALL | SCHED_FLAG_UTIL_CLAMP_MIN,
		.min = 100,
	};

	return syscall(SYS_sched_setattr, 0, &attr, 0);
}

static const unsigned long first_node = 1;

static long memory_policy(void)
{
	return syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &first_node, 8);
}

static long mapping_policy(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return syscall(SYS_mbind, p, 4096, MPOL_INTERLEAVE, &first_node, 8, 0);
}

static long notification_pipe(void)
{
	int p[2];

	return pipe2(p, O_NOTIFICATION_PIPE);
}

static long disabled_cpuid(void)
{
	return syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
}

static long tagged_addresses(void)
{
	return syscall(SYS_arch_prctl, ARCH_ENABLE_TAGGED_ADDR, 6);
}

static long amx(void)
{
	return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA);
}

static const struct rarity {
	const char *name;
	long (*get)(void);	/* 0 if this kernel and machine have it */
} rarities[] = {
	{ "core scheduling", core_scheduling },
	{ "utilization clamps", utilization_clamp },
	{ "memory policy", memory_policy },
	{ "NUMA policy", mapping_policy },
	{ "notification pipe", notification_pipe },
	{ "disabled CPUID", disabled_cpuid },
	{ "tagged addresses", tagged_addresses },
	{ "AMX", amx },
};

static const struct rarity *rarity;

static void do_rarity(struct cr_child *c)
{
	CR_CHECK(c, !rarity->get());
	cr_ready(c);
	/* what it calls to end may need it */
	if (rarity->get == disabled_cpuid)
		syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
}

/* In a process of its own: what it has is not to be inherited by the next one. */
static bool has_rarity(const struct rarity *r)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(!!r->get());
	return waitpid(pid, &status, 0) == pid && !status;
}

TEST(rare)
{
	unsigned int i, seen = 0;

	for (i = 0; i < ARRAY_SIZE(rarities); i++) {
		rarity = &rarities[i];
		if (!has_rarity(rarity)) {
			TH_LOG("not possible here: %s", rarity->name);
			continue;
		}
		cr_refused(_metadata, do_rarity, EOPNOTSUPP, rarity->name);
		seen++;
	}
	if (!seen)
		SKIP(return, "none of them is possible here");
}

/* Waits in a system call of the 32-bit kind, as a 64-bit program can. */
/* pause() of i386 */
#define NR_PAUSE_32	29

static void pause_32(void)
{
	long ret = NR_PAUSE_32;

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
	wait_in_syscall(c, pid, NR_PAUSE_32);
	cr_ready(c);
	CR_CHECK(c, !kill(pid, SIGKILL));
	CR_CHECK(c, waitpid(pid, NULL, 0) == pid);
}

TEST(compat_system_call)
{
	cr_refused(_metadata, do_compat_call, EOPNOTSUPP, "32-bit code");
}

TEST_HARNESS_MAIN
