// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: open files that are refused, each by its name. */
#include "cr_selftest.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif

#define DISK_KIB	4096
#define ROOM_KIB	512
#define WRITE_KIB	1024

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

static int secret_memory(void)
{
	return syscall(__NR_memfd_secret, 0);
}

static void do_secret_memory(struct cr_child *c)
{
	CR_CHECK(c, secret_memory() >= 0);
	cr_ready(c);
}

static void do_secret_mapping(struct cr_child *c)
{
	int fd = secret_memory();
	char *p;

	CR_CHECK(c, fd >= 0 && !ftruncate(fd, 4096));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CR_CHECK(c, p != MAP_FAILED && !close(fd));
	p[0] = 1;
	cr_ready(c);
	CR_CHECK(c, p[0] == 1);
}

static void do_block_device(struct cr_child *c)
{
	CR_CHECK(c, open("/dev/loop0", O_RDONLY) >= 0);
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

/* File systems that make their contents up, and where they are most often. */
static const struct kernel_fs {
	const char *path;
	unsigned long magic;
	const char *reason;
} kernel_fs[] = {
	{ "/sys", SYSFS_MAGIC, "file of sysfs" },
	{ "/sys/fs/cgroup", CGROUP2_SUPER_MAGIC, "file of cgroup2" },
	{ "/sys/kernel/debug", DEBUGFS_MAGIC, "file of debugfs" },
	{ "/sys/kernel/tracing", TRACEFS_MAGIC, "file of tracefs" },
	{ "/sys/kernel/security", SECURITYFS_MAGIC, "file of securityfs" },
	{ "/dev/pts", DEVPTS_SUPER_MAGIC, "file of devpts" },
	{ "/proc/sys/fs/binfmt_misc", BINFMTFS_MAGIC, "file of binfmt_misc" },
};

static const char *kernel_path;

static void do_kernel_fs(struct cr_child *c)
{
	CR_CHECK(c, open(kernel_path, O_RDONLY | O_DIRECTORY) >= 0);
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

static void do_dnotify(struct cr_child *c)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);

	CR_CHECK(c, fd >= 0 && !fcntl(fd, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
	signal(SIGIO, SIG_IGN);
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

/* ---- a write error ---- */

/* A file on a disk that takes no more; the workload finds it by its name. */
static char bad_file[64];

static int write_bad_file(struct cr_child *c)
{
	static const char text[WRITE_KIB << 10];
	int fd = open(bad_file, O_RDWR | O_CREAT, 0600);

	CR_CHECK(c, fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text));
	return fd;
}

static void do_write_error(struct cr_child *c)
{
	int fd = write_bad_file(c);

	cr_ready(c);
	/* It is told, once. */
	CR_CHECK(c, fsync(fd) < 0);
	CR_CHECK(c, !fsync(fd));
}

static void do_told_write_error(struct cr_child *c)
{
	int fd = write_bad_file(c);

	CR_CHECK(c, fsync(fd) < 0);
	cr_ready(c);
}

/* A disk of DISK_KIB at @dir/mnt, of which a memory file system holds the start only. */
static bool make_bad_disk(const char *dir)
{
	static const char script[] =
		"mount -t tmpfs -o size=%uk none %s && cd %s && mkdir mnt && truncate -s %uK disk";
	char cmd[256];

	snprintf(cmd, sizeof(cmd), script, ROOM_KIB, dir, dir, DISK_KIB);
	if (system(cmd))
		return false;
	snprintf(cmd, sizeof(cmd), "cd %s && mkfs.minix disk >/dev/null && mount -o loop disk mnt",
		 dir);
	return !system(cmd);
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
TEST(dnotify) { cr_refused(_metadata, do_dnotify, EOPNOTSUPP, "F_SETSIG"); }
TEST(async) { cr_refused(_metadata, do_async, EOPNOTSUPP, "O_ASYNC"); }
TEST(removed_cwd) { cr_refused(_metadata, do_removed_cwd, EOPNOTSUPP, "deleted"); }

TEST(secret)
{
	int fd = secret_memory();

	if (fd < 0)
		SKIP(return, "no memfd_secret(): %s", strerror(errno));
	close(fd);
	cr_refused(_metadata, do_secret_memory, EOPNOTSUPP, "fd 3: secret memory");
	cr_refused(_metadata, do_secret_mapping, EOPNOTSUPP, "memfd_secret()");
}

TEST(block_device)
{
	if (access("/dev/loop0", R_OK))
		SKIP(return, "no /dev/loop0");
	cr_refused(_metadata, do_block_device, EOPNOTSUPP, "fd 3: block device 7:0");
}

TEST(kernel_file_systems)
{
	struct statfs fs;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kernel_fs); i++) {
		kernel_path = kernel_fs[i].path;
		if (statfs(kernel_path, &fs) || (unsigned long)fs.f_type != kernel_fs[i].magic) {
			TH_LOG("not mounted: %s", kernel_path);
			continue;
		}
		cr_refused(_metadata, do_kernel_fs, EOPNOTSUPP, kernel_fs[i].reason);
	}
}

TEST(pipe_outside)
{
	cr_refused(_metadata, do_pipe_outside, EOPNOTSUPP, "pipe: other end is outside the tree");
}

TEST(write_error)
{
	char dir[] = "/tmp/cr-bad.XXXXXX";
	struct cr_child c;
	int fd;

	ASSERT_NE(NULL, mkdtemp(dir));
	if (!make_bad_disk(dir)) {
		umount2(dir, MNT_DETACH);
		rmdir(dir);
		SKIP(return, "no disk in a file of its own");
	}
	snprintf(bad_file, sizeof(bad_file), "%s/mnt/data", dir);

	cr_begin(_metadata, &c, do_write_error);
	fd = open(bad_file, O_RDONLY | O_CLOEXEC);
	syncfs(fd);
	EXPECT_EQ(-1, cr_save(_metadata, &c, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "fd 3: write error that fsync() has not told yet")) {
		TH_LOG("reason: %s", cr_reason());
	}
	cr_finish(_metadata, &c, "refused original");
	cr_end(_metadata, &c);
	close(fd);

	cr_both_ways(_metadata, do_told_write_error, 0);
	snprintf(bad_file, sizeof(bad_file), "%s/mnt", dir);
	EXPECT_EQ(0, umount(bad_file));
	EXPECT_EQ(0, umount(dir));
	EXPECT_EQ(0, rmdir(dir));
}

TEST_HARNESS_MAIN
