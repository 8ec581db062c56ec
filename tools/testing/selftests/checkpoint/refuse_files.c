// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: open files that are refused, each by its name. */
#include "cr_selftest.h"

#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

static int new_file(struct cr_child *c)
{
	int fd = open("data", O_RDWR | O_CREAT, 0644);

	CR_CHECK(c, fd >= 0);
	return fd;
}

static void do_unlinked(struct cr_child *c)
{
	new_file(c);
	CR_CHECK(c, !unlink("data"));
	cr_ready(c);
}

static void do_o_tmpfile(struct cr_child *c)
{
	CR_CHECK(c, open(".", O_TMPFILE | O_RDWR, 0600) >= 0);
	cr_ready(c);
}

static void do_memfd(struct cr_child *c)
{
	CR_CHECK(c, memfd_create("test", 0) >= 0);
	cr_ready(c);
}

static void do_fifo(struct cr_child *c)
{
	CR_CHECK(c, !mkfifo("fifo", 0644) && open("fifo", O_RDWR) >= 0);
	cr_ready(c);
}

static void do_timerfd(struct cr_child *c)
{
	CR_CHECK(c, timerfd_create(CLOCK_MONOTONIC, 0) >= 0);
	cr_ready(c);
}

static void do_signals(struct cr_child *c)
{
	sigset_t set;

	sigemptyset(&set);
	CR_CHECK(c, signalfd(-1, &set, 0) >= 0);
	cr_ready(c);
}

static void do_inotify(struct cr_child *c)
{
	CR_CHECK(c, inotify_init1(0) >= 0);
	cr_ready(c);
}

static void do_pidfd(struct cr_child *c)
{
	CR_CHECK(c, syscall(SYS_pidfd_open, getpid(), 0) >= 0);
	cr_ready(c);
}

static void do_proc_file(struct cr_child *c)
{
	CR_CHECK(c, open("/proc/self/status", O_RDONLY) >= 0);
	cr_ready(c);
}

static void do_namespace_file(struct cr_child *c)
{
	CR_CHECK(c, open("/proc/self/ns/mnt", O_RDONLY) >= 0);
	cr_ready(c);
}

static void do_symlink_path(struct cr_child *c)
{
	CR_CHECK(c, !symlink("data", "link"));
	CR_CHECK(c, open("link", O_PATH | O_NOFOLLOW) >= 0);
	cr_ready(c);
}

static void do_flock_lock(struct cr_child *c)
{
	CR_CHECK(c, !flock(new_file(c), LOCK_EX));
	cr_ready(c);
}

static void do_posix_lock(struct cr_child *c)
{
	struct flock lock = { .l_type = F_WRLCK };

	CR_CHECK(c, !fcntl(new_file(c), F_SETLK, &lock));
	cr_ready(c);
}

static void do_ofd_lock(struct cr_child *c)
{
	struct flock lock = { .l_type = F_WRLCK };

	CR_CHECK(c, !fcntl(new_file(c), F_OFD_SETLK, &lock));
	cr_ready(c);
}

static void do_lease(struct cr_child *c)
{
	CR_CHECK(c, !fcntl(new_file(c), F_SETLEASE, F_WRLCK));
	cr_ready(c);
}

static void do_owner(struct cr_child *c)
{
	int p[2];

	CR_CHECK(c, !pipe(p) && !fcntl(p[0], F_SETOWN, getpid()));
	cr_ready(c);
}

static void do_async(struct cr_child *c)
{
	int p[2];

	CR_CHECK(c, !pipe(p) && !fcntl(p[0], F_SETFL, O_ASYNC));
	cr_ready(c);
}

static void do_removed_cwd(struct cr_child *c)
{
	CR_CHECK(c, !mkdir("gone", 0755) && !chdir("gone") && !rmdir("../gone"));
	cr_ready(c);
}

/* Somebody whose parent is not in the tree any more has the other end. */
static void do_pipe_outside(struct cr_child *c)
{
	int p[2], status;
	pid_t pid;

	CR_CHECK(c, !pipe(p));
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		if (!fork())
			cr_wait_go(c);
		_exit(0);
	}
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	CR_CHECK(c, !close(p[1]));
	cr_ready(c);
}

TEST(unlinked) { cr_refused(_metadata, do_unlinked, EOPNOTSUPP, "unlinked file"); }
TEST(o_tmpfile) { cr_refused(_metadata, do_o_tmpfile, EOPNOTSUPP, "O_TMPFILE"); }
TEST(memfd) { cr_refused(_metadata, do_memfd, EOPNOTSUPP, "memfd"); }
TEST(fifo) { cr_refused(_metadata, do_fifo, EOPNOTSUPP, "fifo"); }
TEST(timerfd) { cr_refused(_metadata, do_timerfd, EOPNOTSUPP, "timerfd"); }
TEST(signals) { cr_refused(_metadata, do_signals, EOPNOTSUPP, "signalfd"); }
TEST(inotify) { cr_refused(_metadata, do_inotify, EOPNOTSUPP, "inotify"); }
TEST(pidfd) { cr_refused(_metadata, do_pidfd, EOPNOTSUPP, "pidfd"); }
TEST(proc_file) { cr_refused(_metadata, do_proc_file, EOPNOTSUPP, "file of proc"); }
TEST(namespace_file) { cr_refused(_metadata, do_namespace_file, EOPNOTSUPP, "namespace"); }
TEST(symlink_path) { cr_refused(_metadata, do_symlink_path, EOPNOTSUPP, "symbolic link"); }
TEST(flock_lock) { cr_refused(_metadata, do_flock_lock, EOPNOTSUPP, "flock() lock"); }
TEST(posix_lock) { cr_refused(_metadata, do_posix_lock, EOPNOTSUPP, "POSIX file lock"); }
TEST(ofd_lock) { cr_refused(_metadata, do_ofd_lock, EOPNOTSUPP, "open file description lock"); }
TEST(lease) { cr_refused(_metadata, do_lease, EOPNOTSUPP, "lease"); }
TEST(owner) { cr_refused(_metadata, do_owner, EOPNOTSUPP, "F_SETOWN"); }
TEST(async) { cr_refused(_metadata, do_async, EOPNOTSUPP, "O_ASYNC"); }
TEST(removed_cwd) { cr_refused(_metadata, do_removed_cwd, EOPNOTSUPP, "deleted"); }

TEST(pipe_outside)
{
	cr_refused(_metadata, do_pipe_outside, EOPNOTSUPP, "pipe: other end is outside the tree");
}

TEST_HARNESS_MAIN
