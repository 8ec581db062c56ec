// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt restart --pidns, --netns: the copy gets namespaces of its own.
 *
 * The id of a kept checkpoint is known only in the PID namespace of the caller,
 * which ckpt stays in; it is the restored root that is made in the fresh one,
 * as a child of ckpt. A PID namespace needs a pid 1 before any other. If the
 * root was that itself, nothing more is needed. Else ckpt leaves a small init
 * there, which ends when the root has ended; all that is in the namespace ends
 * with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ckpt.h"

union fd_message {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int))];
};

static int send_fd(int sock, int fd)
{
	union fd_message control = { };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.room, .msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* -1 if the other end was closed without sending any. */
static int receive_fd(int sock)
{
	union fd_message control = { };
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.room, .msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *cmsg;
	ssize_t n;
	int fd;

	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	cmsg = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/* The pid 1 that the tree had somewhere else. It has nothing of the caller's. */
static void __noreturn init_main(int sock)
{
	struct pollfd p = { .events = POLLIN };

	prctl(PR_SET_NAME, "ckpt-init");
	setsid();
	/* Orphans of the tree leave no zombies. */
	signal(SIGCHLD, SIG_IGN);
	if (dup2(sock, 3) != 3 || close_range(4, ~0U, 0))
		_exit(1);
	close_range(0, 2, 0);
	if (open("/dev/null", O_RDWR) || dup(0) != 1 || dup(0) != 2 || chdir("/"))
		_exit(1);
	p.fd = receive_fd(3);
	close(3);
	while (p.fd >= 0 && poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/* The first process in the namespace. */
static int start_init(struct ckpt_pidns *ns)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	ns->init = fork();
	if (!ns->init)
		init_main(pair[1]);
	close(pair[1]);
	ns->sock = pair[0];
	return ns->init < 0 ? -1 : 0;
}

/* From now on it ends when @root does. */
static int init_watches(struct ckpt_pidns *ns, pid_t root)
{
	int fd = syscall(__NR_pidfd_open, root, 0), ret, err;

	if (fd < 0)
		return -1;
	ret = send_fd(ns->sock, fd);
	err = errno;
	close(fd);
	close(ns->sock);
	ns->sock = -1;
	errno = err;
	return ret;
}

void ckpt_pidns_wait(struct ckpt_pidns *ns)
{
	if (ns->sock >= 0)
		close(ns->sock);
	ns->sock = -1;
	while (ns->init > 0 && waitpid(ns->init, NULL, 0) < 0 && errno == EINTR)
		;
}

long ckpt_pidns_restart(struct ckpt_pidns *ns, const struct ckpt_options *opt, int fd)
{
	off_t start = fd < 0 ? 0 : lseek(fd, 0, SEEK_CUR);
	long pid;
	int err;

	if (unshare(CLONE_NEWPID)) {
		ns->what = "a new PID namespace";
		return -1;
	}
	/*
	 * Only the kernel knows whether the root was pid 1: without an init any
	 * other is EINVAL. From a pipe there is no second try.
	 */
	if (start >= 0) {
		pid = syscall(__NR_restart, opt->id, fd, opt->flags);
		if (pid >= 0 || errno != EINVAL)
			return pid;
		if (fd >= 0 && lseek(fd, start, SEEK_SET) < 0)
			return -1;
	}
	if (start_init(ns)) {
		ns->what = "an init for the new PID namespace";
		return -1;
	}
	pid = syscall(__NR_restart, opt->id, fd, opt->flags);
	if (pid > 0 && init_watches(ns, pid)) {
		/* The tree has an init that goes away: so must all of it. */
		ns->what = "watching the restored process";
		err = errno;
		kill(ns->init, SIGKILL);
		waitpid(pid, NULL, 0);
		errno = err;
		return -1;
	}
	return pid;
}

int ckpt_netns(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd, ret;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	ret = ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return ret;
}
