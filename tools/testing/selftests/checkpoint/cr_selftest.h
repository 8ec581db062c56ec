/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checkpoint/restart selftests: a workload sets up some state, is checkpointed
 * and restarted from outside, and then looks whether it can tell.
 *
 * The workload runs in a session of its own and in a fresh directory, with
 * descriptors 0, 1 and 2 (all /dev/null) and nothing else open, and with none
 * of the harness's shared memory. It calls cr_ready() when its state stands,
 * verifies with CR_CHECK() afterwards and ends with _exit(0) (or returns).
 * It may fork and start threads; cr_ready() is for the one that leads them.
 *
 * A guard process outside the test kills the workload and removes its
 * directory if the test is killed or fails, so nothing is left behind.
 */
#ifndef _CR_SELFTEST_H
#define _CR_SELFTEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "../kselftest_harness.h"
#include "cr_call.h"

/* Emulated machines and debug kernels are slow; only a hang may take this long. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 1500

/* How long one step of a workload may take, and between two looks at it. */
#define CR_WAIT_S	60
#define CR_POLL_MS	5

#define CR_MAX_PIDS	1024
/* Pids of a kernel as it is by default. */
#define CR_PID_MAX	32768
/* In the flags of /proc/<pid>/stat. */
#define CR_PF_KTHREAD	0x00200000

/* ---- what was done ---- */

/* Why this thread's last checkpoint() or restart() failed, in words. */
static inline const char *cr_reason(void)
{
	return cr_report("reason");
}

/* How many are kept; to @pages, if that is not NULL, those of @crid, or -1. */
static inline int cr_kept(int crid, long *pages)
{
	FILE *f = fopen("/proc/checkpoints", "re");
	char line[512];
	int n = 0, id;
	long nr;

	if (pages)
		*pages = -1;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%d %*d %*u %*u %*u %ld", &id, &nr) != 2)
			continue;
		n++;
		if (pages && id == crid)
			*pages = nr;
	}
	if (f)
		fclose(f);
	return n;
}

static inline int cr_nr_kept(void)
{
	return cr_kept(0, NULL);
}

/* As /proc/checkpoints tells; -1 if it is not kept. */
static inline long cr_kept_pages(int crid)
{
	long pages;

	cr_kept(crid, &pages);
	return pages;
}

/* ---- the workload's side ---- */

struct cr_child {
	pid_t pid;		/* root of the workload, or of its copy */
	pid_t guard;
	int guard_fd;		/* the guard acts when this is closed */
	char dir[32];		/* the workload's directory */
	char go[48];		/* file: go on */
	char ready[48];		/* file: state is set up */
	char log[48];		/* file: what went wrong */
	char image[48];		/* file: the image */
};

struct clone3_args {
	unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack,
			   stack_size, tls, set_tid, set_tid_size, cgroup;
};

static inline void cr_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* Appends a line to the workload's log. */
static inline __printf(2, 3)
void cr_log(struct cr_child *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int fd, n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	fd = open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	if (write(fd, text, n) < 0)
		n = 0;
	close(fd);
}

#define CR_CHECK(c, expr) do { \
	if (!(expr)) { \
		cr_log(c, "%s:%d: pid %d: not true: %s (errno %d: %s)", __FILE__, \
		       __LINE__, getpid(), #expr, errno, strerror(errno)); \
		_exit(1); \
	} \
} while (0)

/* Until told to go on; for further processes and threads of a workload. */
static inline void cr_wait_go(struct cr_child *c)
{
	int n;

	/* the test may have much to do before that */
	for (n = 0; n < 5 * CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
		if (!access(c->go, F_OK))
			return;
		cr_sleep_ms(CR_POLL_MS);
	}
	cr_log(c, "pid %d: was never told to go on", getpid());
	_exit(1);
}

/* State is set up, but the workload does not wait. */
static inline void cr_say_ready(struct cr_child *c)
{
	/* not by open(): who sees the file may be faster than close() */
	CR_CHECK(c, !mknod(c->ready, S_IFREG | 0666, 0) || errno == EEXIST);
}

/* State is set up; returns when told to go on, in the original and in a copy. */
static inline void cr_ready(struct cr_child *c)
{
	cr_say_ready(c);
	cr_wait_go(c);
}

/* ---- killing a tree, whatever has become of it ---- */

struct cr_pids {
	int nr;
	pid_t pid[CR_MAX_PIDS];
};

static inline bool cr_pids_has(const struct cr_pids *p, pid_t pid)
{
	int i;

	for (i = 0; i < p->nr; i++)
		if (p->pid[i] == pid)
			return true;
	return false;
}

static inline bool cr_read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* To a file that is there: of proc, sysfs or a cgroup. */
static inline bool cr_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text);
}

/*
 * Parent and session of @pid from /proc/<pid>/stat; false also for a kernel
 * thread. Those are most of /proc: one look at each is enough, for pids are
 * used again only after CR_PID_MAX others.
 */
static inline bool cr_stat(pid_t pid, char *state, pid_t *ppid, pid_t *sid)
{
	static bool kthread[CR_PID_MAX];
	char path[64], text[1024], *p;
	unsigned int flags;

	if (pid < CR_PID_MAX && kthread[pid])
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!cr_read_file(path, text, sizeof(text)))
		return false;
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %c %d %*d %d %*d %*d %u", state, ppid, sid, &flags) != 4)
		return false;
	if (pid < CR_PID_MAX && (flags & CR_PF_KTHREAD))
		kthread[pid] = true;
	return !(flags & CR_PF_KTHREAD);
}

/* Adds children of those in @p and members of session @root. True if any. */
static inline bool cr_pids_grow(struct cr_pids *p, pid_t root)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	bool grown = false;

	while (dir && (de = readdir(dir))) {
		pid_t pid = atoi(de->d_name), ppid, sid;
		char state;

		if (pid <= 0 || pid == getpid() || cr_pids_has(p, pid) ||
		    p->nr == CR_MAX_PIDS || !cr_stat(pid, &state, &ppid, &sid))
			continue;
		if (pid == root || sid == root || cr_pids_has(p, ppid)) {
			p->pid[p->nr++] = pid;
			grown = true;
		}
	}
	if (dir)
		closedir(dir);
	return grown;
}

/* @root, its descendants, and whoever is left of its session. */
static inline void cr_tree_pids(pid_t root, struct cr_pids *p)
{
	p->nr = 0;
	if (root > 0)
		while (cr_pids_grow(p, root))
			;
}

/* SIGKILL for the tree; returns when its pids are free. False if they stay. */
static inline bool cr_kill_tree(pid_t root)
{
	static struct cr_pids p;
	int i, n, left = 0;

	if (root <= 0)
		return true;
	cr_tree_pids(root, &p);
	for (n = 0; n < CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
		for (i = 0, left = 0; i < p.nr; i++) {
			left += !kill(p.pid[i], SIGKILL);
			waitpid(p.pid[i], NULL, WNOHANG);
		}
		if (!cr_pids_grow(&p, root) && !left)
			return true;
		cr_sleep_ms(CR_POLL_MS);
	}
	return false;
}

static inline int cr_remove_one(const char *path, const struct stat *st, int type,
				struct FTW *ftw)
{
	remove(path);
	return 0;
}

/*
 * Of another session, so that what kills the test does not kill it too. It
 * cleans up when the test has gone without cr_end(). It learns the workload's
 * pid through the pipe.
 */
static inline void cr_guard(struct cr_child *c, int fd)
{
	pid_t pid, root = 0;
	sigset_t all;

	setsid();
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	dup2(fd, 0);
	/* Also 1 and 2: somebody may wait for the end of the test's output. */
	close_range(1, ~0U, 0);
	while (read(0, &pid, sizeof(pid)) == sizeof(pid))
		root = pid;
	cr_kill_tree(root);
	nftw(c->dir, cr_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	_exit(0);
}

/* ---- the test's side, step by step ---- */

/* What the workload wrote about itself, and where its tasks are. */
static inline void cr_tell(struct __test_metadata *_metadata, struct cr_child *c)
{
	static const char *const files[] = { "status", "wchan", "syscall", "stack" };
	static struct cr_pids p;
	char path[64], text[4096];
	char *line;
	size_t f;
	int i;

	if (cr_read_file(c->log, text, sizeof(text)))
		TH_LOG("log of the workload: %s", text);
	cr_tree_pids(c->pid, &p);
	for (i = 0; i < p.nr && i < 16; i++)
		for (f = 0; f < ARRAY_SIZE(files); f++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", p.pid[i], files[f]);
			if (!cr_read_file(path, text, sizeof(text)))
				continue;
			/* Of status the first lines will do. */
			line = f ? NULL : strstr(text, "\nTgid");
			if (line)
				*line = '\0';
			TH_LOG("%s: %s", path, text);
		}
}

/* In the workload: tells the test a number. */
static inline void cr_put_number(struct cr_child *c, const char *name, int n)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	CR_CHECK(c, fd >= 0 && write(fd, &n, sizeof(n)) == sizeof(n));
	close(fd);
}

/* In the test: -1 if it has not been told yet. */
static inline int cr_get_number(const struct cr_child *c, const char *name)
{
	char path[64];
	int fd, n = -1;

	snprintf(path, sizeof(path), "%s/%s", c->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &n, sizeof(n)) != sizeof(n))
		n = -1;
	close(fd);
	return n;
}

/* In the workload: a child that has ended with @code and was not waited for. */
static inline pid_t cr_zombie(struct cr_child *c, int code)
{
	siginfo_t info;
	pid_t pid = fork();

	CR_CHECK(c, pid >= 0);
	if (!pid)
		_exit(code);
	CR_CHECK(c, !waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	return pid;
}

/* Shared mappings of the harness are none of the workload's state. */
static inline void cr_unmap_shared(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	/* The harness has one for each test of the program. */
	unsigned long start[256], end[256];
	char line[512], perm[8];
	int n = 0;

	while (f && n < 256 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %7s", &start[n], &end[n], perm) == 3 &&
		    perm[3] == 's')
			n++;
	if (f)
		fclose(f);
	while (n--)
		munmap((void *)start[n], end[n] - start[n]);
}

static inline void cr_run_workload(struct cr_child *c, void (*workload)(struct cr_child *))
{
	setsid();
	close_range(0, ~0U, 0);
	if (chdir(c->dir) || open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
		_exit(2);
	cr_unmap_shared();
	c->guard_fd = -1;
	c->pid = getpid();
	workload(c);
	_exit(0);
}

/* Starts the workload; returns when it is ready. */
static inline void cr_begin(struct __test_metadata *_metadata, struct cr_child *c,
			    void (*workload)(struct cr_child *))
{
	int p[2], n, status;

	memset(c, 0, sizeof(*c));
	snprintf(c->dir, sizeof(c->dir), "/tmp/cr.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(c->dir));
	ASSERT_EQ(0, chmod(c->dir, 0777));
	snprintf(c->go, sizeof(c->go), "%s/.go", c->dir);
	snprintf(c->ready, sizeof(c->ready), "%s/.ready", c->dir);
	snprintf(c->log, sizeof(c->log), "%s/.log", c->dir);
	snprintf(c->image, sizeof(c->image), "%s/.image", c->dir);

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	c->guard = fork();
	ASSERT_LE(0, c->guard);
	if (!c->guard)
		cr_guard(c, p[0]);
	close(p[0]);
	c->guard_fd = p[1];

	c->pid = fork();
	ASSERT_LE(0, c->pid);
	if (!c->pid)
		cr_run_workload(c, workload);
	ASSERT_EQ((ssize_t)sizeof(c->pid), write(c->guard_fd, &c->pid, sizeof(c->pid)));

	for (n = 0; access(c->ready, F_OK); n++) {
		if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
			cr_tell(_metadata, c);
			ASSERT_EQ(0, 1) TH_LOG("workload ended early, status 0x%x", status);
		}
		if (n == CR_WAIT_S * 1000 / CR_POLL_MS) {
			cr_tell(_metadata, c);
			ASSERT_EQ(0, 1) TH_LOG("workload was never ready");
		}
		cr_sleep_ms(CR_POLL_MS);
	}
}

/* Kills what is left of the workload and cleans up. */
static inline void cr_end(struct __test_metadata *_metadata, struct cr_child *c)
{
	EXPECT_TRUE(cr_kill_tree(c->pid));
	close(c->guard_fd);
	waitpid(c->guard, NULL, 0);
	c->pid = 0;
}

/* The image file of the workload, empty. */
static inline int cr_open_image(struct __test_metadata *_metadata, struct cr_child *c)
{
	int fd = open(c->image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ASSERT_LE(0, fd);
	return fd;
}

/* Checkpoints the workload to its image file. Returns what checkpoint() does. */
static inline long cr_save(struct __test_metadata *_metadata, struct cr_child *c,
			   unsigned long flags)
{
	int fd = cr_open_image(_metadata, c);
	long ret;
	int err;

	ret = sys_checkpoint(c->pid, fd, flags);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

/* Writes what is kept, and stays so with CHECKPOINT_KEEP, to the image file. */
static inline void cr_save_kept(struct __test_metadata *_metadata, struct cr_child *c,
				long crid, unsigned long flags)
{
	int fd = cr_open_image(_metadata, c);

	EXPECT_EQ(crid, sys_checkpoint(crid, fd, CHECKPOINT_WRITE | flags)) {
		TH_LOG("write: %s: %s", strerror(errno), cr_reason());
	}
	close(fd);
}

/* Keeps a checkpoint of the workload in the kernel; returns its id. */
static inline long cr_keep(struct __test_metadata *_metadata, struct cr_child *c)
{
	long crid = sys_checkpoint(c->pid, -1, CHECKPOINT_KEEP);

	ASSERT_LT(0, crid) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	return crid;
}

/* Checkpoints that are kept and forgotten; @may_fail: an errno that some may give, or 0. */
static inline int cr_keep_often(struct __test_metadata *_metadata, struct cr_child *c,
				int rounds, int may_fail)
{
	int i, failed = 0;
	long crid;

	for (i = 0; i < rounds; i++) {
		crid = sys_checkpoint(c->pid, -1, CHECKPOINT_KEEP);
		if (crid < 0 && may_fail && errno == may_fail) {
			failed++;
			continue;
		}
		ASSERT_LT(0, crid) {
			TH_LOG("round %d: %s: %s", i, strerror(errno), cr_reason());
		}
		ASSERT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	}
	return failed;
}

/* Restarts, with the workload told to wait again. */
static inline void cr_load_from(struct __test_metadata *_metadata, struct cr_child *c,
				long crid, int fd, unsigned long flags)
{
	pid_t was = c->pid;
	long ret;

	unlink(c->go);
	ret = sys_restart(crid, fd, flags);
	ASSERT_LT(0, ret) {
		TH_LOG("restart: %s: %s", strerror(errno), cr_reason());
	}
	c->pid = ret;
	ASSERT_EQ(was, c->pid);
}

/* Restarts from the image file. */
static inline void cr_load(struct __test_metadata *_metadata, struct cr_child *c,
			   unsigned long flags)
{
	int fd = open(c->image, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	cr_load_from(_metadata, c, 0, fd, flags);
	close(fd);
}

/* restart() must refuse the image file, and say why. */
static inline void cr_load_refused(struct __test_metadata *_metadata, struct cr_child *c,
				   int expected_errno, const char *reason_part)
{
	int fd = open(c->image, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, sys_restart(0, fd, 0));
	EXPECT_EQ(expected_errno, errno) {
		TH_LOG("%s", strerror(errno));
	}
	EXPECT_NE(NULL, strstr(cr_reason(), reason_part)) {
		TH_LOG("'%s' is not in the reason: %s", reason_part, cr_reason());
	}
	close(fd);
}

/* Tells the workload, or its copy, to go on, and requires that it exits with 0. */
static inline void cr_finish(struct __test_metadata *_metadata, struct cr_child *c,
			     const char *who)
{
	int fd, n, status = -1;

	fd = open(c->go, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	ASSERT_LE(0, fd);
	close(fd);
	for (n = 0; waitpid(c->pid, &status, WNOHANG) != c->pid; n++) {
		if (n == CR_WAIT_S * 1000 / CR_POLL_MS) {
			cr_tell(_metadata, c);
			ASSERT_EQ(0, 1) TH_LOG("the %s did not end", who);
		}
		cr_sleep_ms(CR_POLL_MS);
	}
	if (status)
		cr_tell(_metadata, c);
	ASSERT_EQ(0, status) {
		TH_LOG("the %s ended with status 0x%x", who, status);
	}
	/* Its pids are needed again: nobody of it may be left. */
	ASSERT_TRUE(cr_kill_tree(c->pid));
}

/* The original, a copy of its image file, and one of what is kept: all end well. */
static inline void cr_finish_kept(struct __test_metadata *_metadata, struct cr_child *c,
				  long crid)
{
	cr_finish(_metadata, c, "original");
	cr_load(_metadata, c, 0);
	cr_finish(_metadata, c, "copy of the image");
	cr_load_from(_metadata, c, crid, -1, 0);
	cr_finish(_metadata, c, "copy from memory");
}

/* A file on a file system of 64 KiB that is gone with it; -1 if that needs root. */
static inline int cr_small_disk(void)
{
	char dir[] = "/tmp/cr-small.XXXXXX", path[64];
	int fd = -1;

	if (!mkdtemp(dir))
		return -1;
	if (!mount("small", dir, "tmpfs", 0, "size=64k")) {
		snprintf(path, sizeof(path), "%s/file", dir);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
	return fd;
}

/* ---- what most tests use ---- */

/* Starts the workload, and kills it when its image file is written. */
static inline void cr_begin_image(struct __test_metadata *_metadata, struct cr_child *c,
				  void (*workload)(struct cr_child *))
{
	cr_begin(_metadata, c, workload);
	ASSERT_LT(0, cr_save(_metadata, c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	ASSERT_TRUE(cr_kill_tree(c->pid));
}

/*
 * The original is not harmed by a checkpoint, and a copy restarted after it
 * has ended is right; then the same with an original that is killed; then with
 * a checkpoint that stays in the kernel.
 */
static inline void cr_both_ways(struct __test_metadata *_metadata,
				void (*workload)(struct cr_child *), unsigned long restart_flags)
{
	enum { ENDS, KILLED, KEPT, NR_WAYS } way;
	struct cr_child c;
	long crid;

	for (way = ENDS; way < NR_WAYS; way++) {
		cr_begin(_metadata, &c, workload);
		crid = way == KEPT ? sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP) :
				     cr_save(_metadata, &c, 0);
		ASSERT_LT(0, crid) {
			TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
		}
		if (way == ENDS)
			cr_finish(_metadata, &c, "original");
		ASSERT_TRUE(cr_kill_tree(c.pid));
		if (way == KEPT)
			cr_load_from(_metadata, &c, crid, -1, restart_flags);
		else
			cr_load(_metadata, &c, restart_flags);
		cr_finish(_metadata, &c, "restarted copy");
		if (way == KEPT)
			ASSERT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
		cr_end(_metadata, &c);
	}
}

/* checkpoint() must refuse the workload, say why, and leave it unharmed. */
static inline void cr_refused(struct __test_metadata *_metadata,
			      void (*workload)(struct cr_child *), int expected_errno,
			      const char *reason_part)
{
	struct cr_child c;
	long ret;
	int err;

	cr_begin(_metadata, &c, workload);
	ret = cr_save(_metadata, &c, 0);
	err = errno;
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(expected_errno, err) {
		TH_LOG("%s, reason: %s", strerror(err), cr_reason());
	}
	EXPECT_NE(NULL, strstr(cr_reason(), reason_part)) {
		TH_LOG("'%s' is not in the reason: %s", reason_part, cr_reason());
	}
	cr_finish(_metadata, &c, "refused original");
	cr_end(_metadata, &c);
}

#endif /* _CR_SELFTEST_H */
