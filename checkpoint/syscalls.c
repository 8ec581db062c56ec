// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: the system calls. Arguments are checked here, and
 * nothing else happens here.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/syscalls.h>

#include "internal.h"

/* So that the report is not that of the call before. */
static long bad_arguments(const char *call, long err)
{
	if (cr_report_begin(call, 0))
		return -ENOMEM;
	return cr_report_simple(err, err == -EBADF ?
				"fd: no descriptor, or not open for what is asked" :
				"unknown flags, or flags, id and fd that do not go together");
}

/**
 * sys_checkpoint - checkpoint a tree of processes
 * @pid: root of the tree, as the caller sees it; 0 is the calling process. With
 *       CHECKPOINT_WRITE and CHECKPOINT_DISCARD: id of a kept checkpoint
 * @fd: where the image goes: a file, a pipe or a socket, open for writing. It
 *      is written from its current position on and never seeked in. -1 with
 *      CHECKPOINT_KEEP: nowhere, and with CHECKPOINT_DISCARD
 * @flags: one of 0, CHECKPOINT_KEEP, CHECKPOINT_KILL, CHECKPOINT_WRITE,
 *	   CHECKPOINT_WRITE | CHECKPOINT_KEEP, CHECKPOINT_DISCARD
 *
 * The tree is the process @pid, its descendants and all their threads. It is
 * stopped while its metadata is copied and its memory is marked copy-on-write,
 * and runs on while the image is written. With CHECKPOINT_KILL it stays stopped
 * until the image is complete, and is then killed; if the image cannot be
 * written it runs on.
 *
 * With CHECKPOINT_KEEP the checkpoint stays in the kernel, until it is written
 * with CHECKPOINT_WRITE without CHECKPOINT_KEEP, discarded, or the init of the
 * caller's PID namespace dies. If it was kept and only the writing failed, it
 * is still there; its id stands in /proc/thread-self/checkpoint.
 *
 * A failure leaves the tree running and unharmed. Why it failed stands in words
 * in /proc/thread-self/checkpoint.
 *
 * The caller needs what ptrace(PTRACE_ATTACH) of every task of the tree needs.
 * It may be in the tree itself: then the restarted copy returns 0 from this
 * call.
 *
 * Context: Process context, sleeps.
 *
 * Return: The id of the checkpoint, greater than 0, unique in the caller's PID
 * namespace; 0 in the restarted copy of the caller; or
 *
 * - -EINVAL: unknown @flags, or a combination without a meaning; @fd is a kind
 *   of file that an image cannot be written to: of packets, or for data from
 *   user space only
 * - -EBADF: @fd is no descriptor, or not open for writing
 * - -ESRCH: there is no process @pid, or no checkpoint with this id, or a task
 *   of the tree was killed meanwhile
 * - -EPERM: the caller may not trace a task of the tree; or has not made the
 *   kept checkpoint, or has fewer capabilities than who made it, and does not
 *   have CAP_CHECKPOINT_RESTORE
 * - -EOPNOTSUPP: something in the tree is not supported; the reason names it
 * - -EBUSY: a task does not come to rest in kernel.checkpoint_freeze_timeout_ms,
 *   waits in vfork() or writes a core dump; or a pipe, a socket or an epoll
 *   instance of the tree is being used outside of it
 * - -EAGAIN: a stopped task was continued meanwhile, a task has left the tree or
 *   executed a program, or memory was changed from outside, each time that it was
 *   tried
 * - -E2BIG: a limit of checkpoint/limits.h was reached
 * - -ENOMEM: out of memory, or of what the memory cgroup allows
 * - -EINTR: the caller was killed
 * - -ENOSPC: as many are kept as kernel.checkpoint_max_kept allows
 * - -ENOSPC, -EIO, -EPIPE, -EFBIG, …: what writing to @fd returned
 */
SYSCALL_DEFINE3(checkpoint, pid_t, pid, int, fd, unsigned long, flags)
{
	switch (flags) {
	case CHECKPOINT_DISCARD:
		if (fd != -1 || pid <= 0)
			return bad_arguments("checkpoint", -EINVAL);
		return cr_do_discard(pid);
	case CHECKPOINT_WRITE:
	case CHECKPOINT_WRITE | CHECKPOINT_KEEP:
		if (pid <= 0)
			return bad_arguments("checkpoint", -EINVAL);
		break;
	case CHECKPOINT_KEEP:
		if (fd == -1 && pid >= 0)
			return cr_do_checkpoint(pid, NULL, flags);
		fallthrough;
	case 0:
	case CHECKPOINT_KILL:
		if (pid < 0)
			return bad_arguments("checkpoint", -EINVAL);
		break;
	default:
		return bad_arguments("checkpoint", -EINVAL);
	}

	CLASS(fd, f)(fd);

	if (!fd_file(f) || !(fd_file(f)->f_mode & FMODE_WRITE))
		return bad_arguments("checkpoint", -EBADF);
	if (flags & CHECKPOINT_WRITE)
		return cr_do_write(pid, fd_file(f), flags);
	return cr_do_checkpoint(pid, fd_file(f), flags);
}

/**
 * sys_restart - bring a checkpointed tree back
 * @crid: id of a kept checkpoint in the caller's PID namespace, which stays
 *        kept and can be restarted again; 0: from an image
 * @fd: the image: a file, a pipe or a socket, open for reading. It is read from
 *      its current position to the end of the image and never seeked in. -1
 *      with @crid
 * @flags: RESTART_FROZEN, RESTART_CONN_RESET, and with @crid RESTART_ROLLBACK
 *
 * All metadata is read and checked before anything is created. The tasks get
 * the pids they had, in the PID namespace that children of the caller would
 * live in; so the caller needs CAP_CHECKPOINT_RESTORE there. They live in the
 * caller's other namespaces, root directory and cgroup. They get no
 * credentials, limits or priorities that the caller could not set, and open
 * files with their own credentials.
 *
 * With RESTART_ROLLBACK the tree takes the place of the live one, of which
 * nothing is left: with the parent that it has, its pids, namespaces and cgroup,
 * whatever the live tree has done since; its parent notices nothing. The caller
 * needs what checkpoint() needs, CAP_CHECKPOINT_RESTORE only for a pid of a task
 * that has ended since, and may be in the tree itself: then it does not return,
 * but its checkpoint() returns 0 again. What the tree has done to files and to
 * anybody outside is not undone.
 *
 * Either the whole tree comes back and runs, or nothing does. Why it failed
 * stands in words in /proc/thread-self/checkpoint.
 *
 * Context: Process context, sleeps.
 *
 * Return: The pid of the root of the tree, a child of the caller; or
 *
 * - -EINVAL: unknown @flags or @crid, or the image is malformed or from another
 *   kernel, or @fd is a kind of file that it cannot be read from
 * - -EBADF: @fd is no descriptor, or not open for reading
 * - -EBADMSG: a checksum in the image is wrong
 * - -EOPNOTSUPP: the image needs what this kernel or CPU does not have; or the
 *   caller has what the tree would inherit, and no image can have
 * - -E2BIG: a limit of checkpoint/limits.h was reached
 * - -EEXIST: a pid of the tree is in use
 * - -ESRCH: no checkpoint with this id; RESTART_ROLLBACK: the root of the live
 *   tree has ended, or a task of it was killed meanwhile
 * - -EBUSY: RESTART_ROLLBACK: a task of the live tree cannot be stopped, or is
 *   being traced; or a checkpoint of any tree takes too long to be made
 * - -EAGAIN: RLIMIT_NPROC, RLIMIT_MEMLOCK or a limit of the pids cgroup.
 *   RESTART_ROLLBACK: a stopped task of the live tree was continued meanwhile, or a
 *   task has left it, or the caller is in a tree of which the same is being done
 * - -EMFILE: a descriptor above RLIMIT_NOFILE of the image, or fs.nr_open
 * - -EPERM, -EACCES: the caller may not give the tree what it had, or may not
 *   trace the live one
 * - -ECONNRESET: connections have lost their peer and RESTART_CONN_RESET was
 *   not given
 * - -ESTALE: a file that is mapped as code has changed
 * - -ENOENT, …: what opening a file of the tree returned
 * - -EADDRINUSE, -EADDRNOTAVAIL: an address that the tree listens on
 * - -ENOMEM: out of memory, or of what the memory cgroup allows
 * - -EINTR: the caller, or a task while it was being restored, was killed
 * - -EIO, …: what reading from @fd returned
 */
SYSCALL_DEFINE3(restart, int, crid, int, fd, unsigned long, flags)
{
	if ((flags & ~(RESTART_FROZEN | RESTART_CONN_RESET | RESTART_ROLLBACK)) ||
	    crid < 0 || ((flags & RESTART_ROLLBACK) && !crid) || (crid && fd != -1))
		return bad_arguments("restart", -EINVAL);
	if (crid)
		return cr_do_restart(crid, NULL, flags);

	CLASS(fd, f)(fd);

	if (!fd_file(f) || !(fd_file(f)->f_mode & FMODE_READ))
		return bad_arguments("restart", -EBADF);
	return cr_do_restart(0, fd_file(f), flags);
}
