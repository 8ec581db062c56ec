/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who restarts an image, and the namespaces that it happens in: the first
 * process of a PID namespace, which stays as powerful as it is, is the warden;
 * what it forks takes the identity.
 */
#ifndef _MUTATE_IDENTITY_H
#define _MUTATE_IDENTITY_H

#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "mutate_ops.h"
#include "torture.h"

#define NOBODY		65534
#define CGROUP		"/sys/fs/cgroup/torture_mutate"

enum identity {
	AS_ROOT,	/* all capabilities */
	AS_CAP,		/* nobody, with nothing but CAP_CHECKPOINT_RESTORE */
	AS_USERNS,	/* nobody, root in a user namespace of its own */
	AS_NOBODY,	/* nobody, who may choose no pid */
	NR_IDENTITIES,
};

static const char *const identity_names[] = { "root", "cap", "userns", "nobody" };

static void set_caps(uint64_t mask)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct set[2] = {
		{ .permitted = mask, .effective = mask },
		{ .permitted = mask >> 32, .effective = mask >> 32 },
	};

	if (syscall(SYS_capset, &hdr, set))
		torture_die("capset");
}

/* For good. In the warden's child; a user namespace is entered before that. */
static void become(enum identity who)
{
	uint64_t caps = who == AS_CAP ? 1ULL << CAP_CHECKPOINT_RESTORE : 0;
	int cap;

	if (who == AS_ROOT || who == AS_USERNS)
		return;
	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(caps >> cap & 1) && prctl(PR_CAPBSET_DROP, cap))
			torture_die("PR_CAPBSET_DROP");
	if (prctl(PR_SET_KEEPCAPS, 1) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		torture_die("setresuid");
	set_caps(caps);
	prctl(PR_SET_KEEPCAPS, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		torture_die("PR_SET_NO_NEW_PRIVS");
	/* /proc/thread-self/checkpoint stays ours */
	prctl(PR_SET_DUMPABLE, 1);
}

static void enter_namespaces(enum identity who)
{
	if (setgroups(0, NULL))
		torture_die("setgroups");
	if (who == AS_USERNS) {
		if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
			torture_die("setresuid");
		prctl(PR_SET_DUMPABLE, 1);
	}
	if (unshare((who == AS_USERNS ? CLONE_NEWUSER : 0) | CLONE_NEWNS | CLONE_NEWPID |
		    CLONE_NEWNET))
		torture_die("unshare");
	if (who == AS_USERNS &&
	    (!torture_write("/proc/self/setgroups", "deny") ||
	     !torture_write("/proc/self/uid_map", "0 65534 1") ||
	     !torture_write("/proc/self/gid_map", "0 65534 1")))
		torture_die("uid_map");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		torture_die("private mounts");
}

/* In a network of its own: boxes at work side by side may have the same ports. */
static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		torture_die("lo");
	close(fd);
}

/*
 * Run @warden(@arg) as the first process of a PID namespace, in the cgroup
 * with the limits. Returns the pid of its parent, which ends as it does.
 */
static pid_t start_box(enum identity who, int (*warden)(void *arg), void *arg)
{
	pid_t box, pid;
	int status;

	/* what is in the buffer is not the box's to write */
	fflush(stdout);
	box = fork();
	if (box)
		return box;
	if (!torture_write(CGROUP "/cgroup.procs", "0"))
		torture_die("%s", CGROUP);
	enter_namespaces(who);
	pid = fork();
	if (pid < 0)
		torture_die("fork");
	if (!pid) {
		if (mount("proc", "/proc", "proc", 0, NULL))
			torture_die("/proc");
		loopback_up();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		exit(warden(arg));
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			torture_die("waitpid");
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

#endif /* _MUTATE_IDENTITY_H */
