// SPDX-License-Identifier: GPL-2.0
/*
 * The image as a stream: through pipes and sockets, in pieces of any size; and
 * images that are not whole or not what was written, which must be refused and
 * leave no process behind.
 */
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "stream_help.h"

enum channel { PIPE, SOCKET, NONBLOCK };

/* Do signals come all the time during the system calls? */
static bool disturbed;

static void disturb(bool on)
{
	struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = {};

	if (disturbed)
		setitimer(ITIMER_REAL, on ? &often : &never, NULL);
}

static void make_channel(struct __test_metadata *_metadata, enum channel kind, int fd[2])
{
	int ret;

	if (kind != SOCKET)
		ret = pipe2(fd, O_CLOEXEC | (kind == NONBLOCK ? O_NONBLOCK : 0));
	else
		ret = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd);
	ASSERT_EQ(0, ret);
}

static void save_through(struct __test_metadata *_metadata, struct cr_child *c,
			 enum channel kind)
{
	int fd[2], out, status;
	pid_t reader;
	long ret;

	make_channel(_metadata, kind, fd);
	reader = fork();
	ASSERT_LE(0, reader);
	if (!reader) {
		close(fd[1]);
		fcntl(fd[0], F_SETFL, 0);
		out = open(c->image, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		_exit(out < 0 || copy_all(fd[0], out, 5000, 1, 100));
	}
	close(fd[0]);
	disturb(true);
	ret = sys_checkpoint(c->pid, fd[1], 0);
	disturb(false);
	ASSERT_LT(0, ret) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	close(fd[1]);
	ASSERT_EQ(reader, waitpid(reader, &status, 0));
	ASSERT_EQ(0, status);
}

static void load_through(struct __test_metadata *_metadata, struct cr_child *c,
			 enum channel kind, size_t piece)
{
	int fd[2], in, status;
	pid_t writer, was = c->pid;
	long ret;

	make_channel(_metadata, kind, fd);
	unlink(c->go);
	writer = fork();
	ASSERT_LE(0, writer);
	if (!writer) {
		close(fd[0]);
		fcntl(fd[1], F_SETFL, 0);
		in = open(c->image, O_RDONLY | O_CLOEXEC);
		_exit(in < 0 || copy_all(in, fd[1], piece, 1, 300));
	}
	close(fd[1]);
	disturb(true);
	ret = sys_restart(0, fd[0], 0);
	disturb(false);
	ASSERT_LT(0, ret) {
		TH_LOG("restart: %s: %s", strerror(errno), cr_reason());
	}
	close(fd[0]);
	ASSERT_EQ(writer, waitpid(writer, &status, 0));
	ASSERT_EQ(0, status);
	c->pid = ret;
	ASSERT_EQ(was, c->pid);
}

static void through(struct __test_metadata *_metadata, enum channel kind, size_t piece)
{
	struct cr_child c;

	cr_begin(_metadata, &c, remember);
	save_through(_metadata, &c, kind);
	cr_finish(_metadata, &c, "original");
	load_through(_metadata, &c, kind, piece);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST(through_pipe)
{
	through(_metadata, PIPE, 65536);
}

TEST(pipe_in_small_pieces)
{
	through(_metadata, PIPE, 13);
}

/* The system calls wait where the descriptor would not. */
TEST(pipe_that_does_not_block)
{
	through(_metadata, NONBLOCK, 3000);
}

static void no_handler(int sig)
{
}

/* Signals that are caught do not end the writing nor the reading. */
TEST(pipe_and_signals)
{
	struct sigaction sa = { .sa_handler = no_handler };

	ASSERT_EQ(0, sigaction(SIGALRM, &sa, NULL));
	disturbed = true;
	through(_metadata, PIPE, 3000);
	through(_metadata, NONBLOCK, 3000);
}

TEST(unix_socket)
{
	through(_metadata, SOCKET, 65536);
}

TEST(unix_socket_in_small_pieces)
{
	through(_metadata, SOCKET, 1021);
}

static bool send_bytes(int in, int out, long bytes)
{
	ssize_t n;

	for (; bytes > 0; bytes -= n) {
		n = sendfile(out, in, NULL, bytes);
		if (n <= 0)
			return false;
	}
	return true;
}

/* @pid goes on once it has stopped. */
static bool let_go_on(pid_t pid)
{
	pid_t ppid, sid;
	char state;
	int n;

	for (n = 0; n < CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
		if (cr_stat(pid, &state, &ppid, &sid) && state == 'T')
			return !kill(pid, SIGCONT);
		cr_sleep_ms(CR_POLL_MS);
	}
	return false;
}

/* Waits until nothing is left in the pipe. */
static bool was_read(int fd)
{
	int n, left;

	for (n = 0; n < CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
		if (ioctl(fd, FIONREAD, &left))
			return false;
		if (!left)
			return true;
		cr_sleep_ms(CR_POLL_MS);
	}
	return false;
}

/* It stops when the tree is restored: what was read cannot be read again. */
TEST(caller_is_stopped)
{
	int fd[2], in, status;
	struct cr_child c;
	struct stat st;
	pid_t writer;
	long ret;

	cr_begin(_metadata, &c, remember);
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	unlink(c.go);
	ASSERT_EQ(0, stat(c.image, &st));
	make_channel(_metadata, PIPE, fd);
	writer = fork();
	ASSERT_LE(0, writer);
	if (!writer) {
		close(fd[0]);
		in = open(c.image, O_RDONLY | O_CLOEXEC);
		/* it has to wait for the rest of the header when the signal comes */
		_exit(in < 0 || !send_bytes(in, fd[1], 16) || !was_read(fd[1]) ||
		      kill(getppid(), SIGSTOP) ||
		      !send_bytes(in, fd[1], st.st_size - 16) || !let_go_on(getppid()));
	}
	close(fd[1]);
	ret = sys_restart(0, fd[0], 0);
	EXPECT_EQ(c.pid, ret) {
		TH_LOG("restart: %s: %s", strerror(errno), cr_reason());
	}
	close(fd[0]);
	ASSERT_EQ(writer, waitpid(writer, &status, 0));
	ASSERT_EQ(0, status);
	if (ret > 0)
		cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* A descriptor's own position is where the image begins. */
TEST(at_an_offset)
{
	char junk[100] = "not an image";
	struct cr_child c;
	long ret;
	int fd;

	cr_begin(_metadata, &c, remember);
	fd = open(c.image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)sizeof(junk), write(fd, junk, sizeof(junk)));
	ASSERT_LT(0, sys_checkpoint(c.pid, fd, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	ASSERT_LT((ssize_t)sizeof(junk), lseek(fd, 0, SEEK_CUR));
	cr_finish(_metadata, &c, "original");

	unlink(c.go);
	ASSERT_EQ((ssize_t)sizeof(junk), lseek(fd, sizeof(junk), SEEK_SET));
	ret = sys_restart(0, fd, 0);
	ASSERT_EQ(c.pid, ret) {
		TH_LOG("restart: %s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* ---- images that must be refused ---- */

/* Children of this test other than the guard, dead or alive. */
static int nr_children(struct cr_child *c)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	pid_t ppid, sid;
	char state;
	int n = 0;

	while (dir && (de = readdir(dir))) {
		pid_t pid = atoi(de->d_name);

		if (pid > 0 && pid != c->guard && cr_stat(pid, &state, &ppid, &sid))
			n += ppid == getpid();
	}
	if (dir)
		closedir(dir);
	return n;
}

static void must_refuse(struct __test_metadata *_metadata, struct cr_child *c,
			const char *path, const char *what, long where)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long ret;

	ASSERT_LE(0, fd);
	ret = sys_restart(0, fd, 0);
	EXPECT_EQ(-1, ret) {
		TH_LOG("%s %ld was taken for an image", what, where);
	}
	close(fd);
	if (ret > 0) {
		kill(ret, SIGKILL);
		waitpid(ret, NULL, 0);
		return;
	}
	EXPECT_STRNE("", cr_reason()) {
		TH_LOG("%s %ld: no reason given", what, where);
	}
	EXPECT_EQ(-1, kill(c->pid, 0)) {
		TH_LOG("%s %ld: pid %d is there: %s", what, where, c->pid, cr_reason());
	}
	EXPECT_EQ(0, nr_children(c)) {
		TH_LOG("%s %ld: a child was left", what, where);
	}
}

/* A good image of a workload that is gone; its size. */
static long good_image(struct __test_metadata *_metadata, struct cr_child *c)
{
	struct stat st;

	cr_begin_image(_metadata, c, remember);
	ASSERT_EQ(0, stat(c->image, &st));
	return st.st_size;
}

/* It was the damage that was refused, not the image: undamaged it is fine. */
static void still_good(struct __test_metadata *_metadata, struct cr_child *c)
{
	cr_load(_metadata, c, 0);
	cr_finish(_metadata, c, "copy");
	cr_end(_metadata, c);
}

#define MAX_OFFSETS	512

/* Offsets to try in an image: every one at both ends, a sample between. */
static int pick_offsets(long size, long at[MAX_OFFSETS])
{
	const long head = 128, tail = 48, steps = 100;
	long pos = 0;
	int n = 0;

	while (pos < size && n < MAX_OFFSETS) {
		at[n++] = pos;
		if (pos < head || pos >= size - tail)
			pos++;
		else if (pos + (size - head) / steps < size - tail)
			pos += (size - head) / steps;
		else
			pos = size - tail;
	}
	return n;
}

TEST(truncated)
{
	long size, at[MAX_OFFSETS];
	struct cr_child c;
	char part[64];
	off_t from = 0;
	int in, out, n;

	size = good_image(_metadata, &c);
	snprintf(part, sizeof(part), "%s/part", c.dir);
	in = open(c.image, O_RDONLY | O_CLOEXEC);
	out = open(part, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	while (from < size)
		ASSERT_LT(0, sendfile(out, in, &from, size - from));
	close(in);
	for (n = pick_offsets(size, at); n--;) {
		ASSERT_EQ(0, ftruncate(out, at[n]));
		must_refuse(_metadata, &c, part, "image cut at", at[n]);
	}
	close(out);
	unlink(part);
	still_good(_metadata, &c);
}

TEST(flipped)
{
	long size, at[MAX_OFFSETS];
	unsigned char byte, bad;
	struct cr_child c;
	int fd, n;

	size = good_image(_metadata, &c);
	fd = open(c.image, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	for (n = pick_offsets(size, at); n--;) {
		ASSERT_EQ(1, pread(fd, &byte, 1, at[n]));
		bad = byte ^ (1 << at[n] % 8);
		ASSERT_EQ(1, pwrite(fd, &bad, 1, at[n]));
		must_refuse(_metadata, &c, c.image, "image with a wrong bit at", at[n]);
		ASSERT_EQ(1, pwrite(fd, &byte, 1, at[n]));
	}
	close(fd);
	still_good(_metadata, &c);
}

static void remember_with_child(struct cr_child *c)
{
	pid_t child = fork();

	CR_CHECK(c, child >= 0);
	while (!child)
		pause();
	remember(c);
	CR_CHECK(c, !kill(child, SIGKILL) && waitpid(child, NULL, 0) == child);
}

/* Kills the root as soon as everybody is there; returns whether it died. */
static bool kill_root(struct cr_child *c, const struct cr_pids *pids)
{
	pid_t ppid, sid;
	int n, i = 0;
	char state;

	for (n = 0; n < CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
		while (i < pids->nr && !kill(pids->pid[i], 0))
			i++;
		if (i == pids->nr) {
			kill(c->pid, SIGKILL);
			if (!cr_stat(c->pid, &state, &ppid, &sid) || state == 'Z')
				return true;
		}
		cr_sleep_ms(CR_POLL_MS);
	}
	return false;
}

/* While its memory is read; its child must go with it, and stay with nobody. */
TEST(root_is_killed)
{
	static struct cr_pids pids;
	int fd[2], in, status;
	struct cr_child c;
	struct stat st;
	pid_t writer;

	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	cr_begin(_metadata, &c, remember_with_child);
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	cr_tree_pids(c.pid, &pids);
	ASSERT_EQ(2, pids.nr);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	ASSERT_EQ(0, stat(c.image, &st));
	make_channel(_metadata, PIPE, fd);
	writer = fork();
	ASSERT_LE(0, writer);
	if (!writer) {
		close(fd[0]);
		in = open(c.image, O_RDONLY | O_CLOEXEC);
		/* without the trailer nobody is released */
		_exit(in < 0 || !send_bytes(in, fd[1], st.st_size - 16) ||
		      !kill_root(&c, &pids));
	}
	close(fd[1]);
	ASSERT_EQ(-1, sys_restart(0, fd[0], 0));
	EXPECT_EQ(EINTR, errno) {
		TH_LOG("%s", cr_reason());
	}
	close(fd[0]);
	ASSERT_EQ(writer, waitpid(writer, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(0, nr_children(&c)) {
		TH_LOG("a child was left");
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	still_good(_metadata, &c);
}

#define LEASE_BREAK	"/proc/sys/fs/lease-break-time"

static void opens_a_file(struct cr_child *c)
{
	int fd = open("leased", O_RDWR | O_CREAT, 0600);

	CR_CHECK(c, fd >= 0);
	cr_ready(c);
	CR_CHECK(c, write(fd, "x", 1) == 1);
}

/* Whoever opens it has to wait, for longer than any test may take. */
static int lease(struct __test_metadata *_metadata, struct cr_child *c)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/leased", c->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fcntl(fd, F_SETLEASE, F_WRLCK));
	return fd;
}

/* It ends, and the task that waits for the file with it. */
TEST(caller_is_killed_while_a_file_is_opened)
{
	const struct timespec wait = { CR_WAIT_S, 0 };
	char before[32];
	struct cr_child c;
	int fd, in, n, status;
	sigset_t io;
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_TRUE(cr_read_file(LEASE_BREAK, before, sizeof(before)));
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &io, NULL));
	cr_begin_image(_metadata, &c, opens_a_file);
	fd = lease(_metadata, &c);
	ASSERT_TRUE(cr_write_file(LEASE_BREAK, "100000"));
	in = open(c.image, O_RDONLY | O_CLOEXEC);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(sys_restart(0, in, 0) < 0 ? errno : 0);
	/* the holder of the lease is told when somebody waits for it */
	EXPECT_EQ(SIGIO, sigtimedwait(&io, NULL, &wait));
	EXPECT_EQ(0, kill(pid, SIGKILL));
	for (n = 0; waitpid(pid, &status, WNOHANG) != pid; n++) {
		if (n == CR_WAIT_S * 1000 / CR_POLL_MS)
			break;
		cr_sleep_ms(CR_POLL_MS);
	}
	EXPECT_GT(CR_WAIT_S * 1000 / CR_POLL_MS, n) {
		TH_LOG("the caller of restart() cannot be killed");
	}
	EXPECT_EQ(0, fcntl(fd, F_SETLEASE, F_UNLCK));
	EXPECT_TRUE(cr_write_file(LEASE_BREAK, before));
	EXPECT_EQ(-1, kill(c.pid, 0));
	close(fd);
	close(in);
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST(no_image_at_all)
{
	static unsigned char noise[256 * 1024];
	struct cr_child c = { .guard = -1, .pid = INT_MAX };
	char path[] = "/tmp/cr-noise.XXXXXX";
	unsigned int i, seed = 1;
	int fd = mkstemp(path);

	ASSERT_LE(0, fd);
	must_refuse(_metadata, &c, path, "empty file", 0);
	must_refuse(_metadata, &c, "/dev/null", "/dev/null", 0);
	must_refuse(_metadata, &c, "/dev/zero", "/dev/zero", 0);
	must_refuse(_metadata, &c, "/proc/self/exe", "a program", 0);
	must_refuse(_metadata, &c, "/", "a directory", 0);
	for (i = 0; i < sizeof(noise); i++) {
		seed = seed * 1103515245 + 12345;
		noise[i] = seed >> 16;
	}
	ASSERT_EQ((ssize_t)sizeof(noise), write(fd, noise, sizeof(noise)));
	must_refuse(_metadata, &c, path, "noise", 0);
	/* With a right beginning. */
	memcpy(noise, "CRIMAGE", 8);
	ASSERT_EQ((ssize_t)sizeof(noise), pwrite(fd, noise, sizeof(noise), 0));
	must_refuse(_metadata, &c, path, "noise with the magic number", 0);
	close(fd);
	unlink(path);
}

TEST_HARNESS_MAIN
