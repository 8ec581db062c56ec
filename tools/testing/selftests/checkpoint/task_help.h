/* SPDX-License-Identifier: GPL-2.0 */
/* Checkpoint/restart selftests: helpers for workloads with several tasks. */
#ifndef _TASK_HELP_H
#define _TASK_HELP_H

#include "cr_selftest.h"

#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* For what a signal handler or another thread changes. */
#define LOAD(x)		__atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)
#define INCREMENT(x)	__atomic_add_fetch(&(x), 1, __ATOMIC_SEQ_CST)

/* State letter of a task of this process or of another process; 0 if gone. */
static inline char task_state(pid_t tid)
{
	pid_t ppid, sid;
	char state = 0;

	return cr_stat(tid, &state, &ppid, &sid) ? state : 0;
}

/* Waits until @tid sleeps in system call @nr, or goes on with it after a stop. */
static inline void wait_in_syscall(struct cr_child *c, pid_t tid, long nr)
{
	char path[64], text[256];
	int n;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	for (n = 0; n < CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
		if (cr_read_file(path, text, sizeof(text)) &&
		    text[0] != 'r' && task_state(tid) == 'S' &&
		    (atol(text) == nr || atol(text) == SYS_restart_syscall))
			return;
		cr_sleep_ms(CR_POLL_MS);
	}
	CR_CHECK(c, !"the task sleeps in the system call");
}

static inline void wait_state(struct cr_child *c, pid_t tid, char state)
{
	int n;

	for (n = 0; n < CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
		if (task_state(tid) == state)
			return;
		cr_sleep_ms(CR_POLL_MS);
	}
	CR_CHECK(c, !"the task is in the expected state");
}

/* A point that processes, or threads, of a workload come to: set up. */
struct point {
	int fd[2];
};

static inline void point_init(struct cr_child *c, struct point *p)
{
	CR_CHECK(c, !pipe2(p->fd, O_CLOEXEC));
}

/* In the child: arrived. Closes its descriptors. */
static inline void point_arrive(struct cr_child *c, struct point *p)
{
	close(p->fd[0]);
	CR_CHECK(c, write(p->fd[1], "", 1) == 1);
	close(p->fd[1]);
}

/* In the parent: wait for @nr arrivals. */
static inline void point_wait(struct cr_child *c, struct point *p, int nr)
{
	char byte;

	while (nr--)
		CR_CHECK(c, read(p->fd[0], &byte, 1) == 1);
	close(p->fd[0]);
	close(p->fd[1]);
}

/* Waits for @pid, which must exit with @code. */
static inline void must_exit(struct cr_child *c, pid_t pid, int code)
{
	int status = -1;

	CR_CHECK(c, waitpid(pid, &status, __WALL) == pid);
	CR_CHECK(c, WIFEXITED(status) && WEXITSTATUS(status) == code);
}

static inline pid_t must_fork(struct cr_child *c)
{
	pid_t pid = fork();

	CR_CHECK(c, pid >= 0);
	return pid;
}

#define CAP(n)		(1ULL << (n))

struct caps {
	struct __user_cap_data_struct set[_LINUX_CAPABILITY_U32S_3];
};

static inline int caps_get(struct caps *caps)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };

	return syscall(SYS_capget, &hdr, caps->set);
}

static inline int caps_set(const struct caps *caps)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };

	return syscall(SYS_capset, &hdr, caps->set);
}

/* Permitted and effective are @mask, inheritable is empty. */
static inline int caps_only(unsigned long long mask)
{
	struct caps caps;
	int i;

	memset(&caps, 0, sizeof(caps));
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		caps.set[i].permitted = mask >> (32 * i);
		caps.set[i].effective = mask >> (32 * i);
	}
	return caps_set(&caps);
}

/*
 * Become user @uid, in no group but the one of this number, with only @caps.
 * Can still be traced by others of that user, and read its own report in /proc.
 */
static inline int become(uid_t uid, unsigned long long caps)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(0, NULL) ||
	    setresgid(uid, uid, uid) || setresuid(uid, uid, uid) || caps_only(caps) ||
	    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))
		return -1;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

#endif /* _TASK_HELP_H */
