// SPDX-License-Identifier: GPL-2.0
/*
 * The image is written while the workload runs on: slowly, not at all, or only
 * in part. Whatever happens, the workload is unharmed, and a checkpoint that was
 * kept can be written elsewhere.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "stream_help.h"

/* Where reading stops: in the pages, behind what fits into a pipe. */
#define SOME	200000

static void on_signal(int sig)
{
}

/* ---- slowly ---- */

/* The original even ends while its image is stuck; @signals meanwhile. */
static void read_slowly(struct __test_metadata *_metadata, int pipe_flags, int signals)
{
	struct sigaction sa = { .sa_handler = on_signal };
	int fd[2], out, i;
	struct cr_child c;
	struct stat st;
	pid_t caller;

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	ASSERT_EQ(0, fcntl(fd[1], F_SETFL, pipe_flags));
	cr_begin(_metadata, &c, remember);
	caller = begin_call(_metadata, c.pid, fd[1], 0, fd[0]);
	close(fd[1]);
	wait_writing(_metadata, caller);
	for (i = 0; i < signals; i++) {
		ASSERT_EQ(0, kill(caller, SIGUSR1));
		cr_sleep_ms(2);
	}
	cr_finish(_metadata, &c, "original");
	EXPECT_EQ(0, waitpid(caller, NULL, WNOHANG));

	/* How far it is can be seen meanwhile. */
	EXPECT_EQ(1, number_of(caller, "running"));
	EXPECT_LT(0, number_of(caller, "bytes"));
	EXPECT_GT(MEMORY, number_of(caller, "bytes"));
	EXPECT_LE(MEMORY, number_of(caller, "expected_bytes"));
	EXPECT_LT(0, number_of(caller, "dump_ns"));

	out = cr_open_image(_metadata, &c);
	EXPECT_EQ(0, copy_all(fd[0], out, 5000, 1, 50));
	EXPECT_EQ(0, exit_of(_metadata, caller));
	ASSERT_EQ(0, fstat(out, &st));
	EXPECT_LT(MEMORY, st.st_size);
	close(out);
	close(fd[0]);
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST(slow_reader)
{
	read_slowly(_metadata, 0, 0);
}

TEST(slow_reader_nonblocking)
{
	read_slowly(_metadata, O_NONBLOCK, 0);
}

TEST(signals_while_writing)
{
	read_slowly(_metadata, 0, 30);
}

TEST(signals_while_writing_nonblocking)
{
	read_slowly(_metadata, O_NONBLOCK, 30);
}

/* Half an image, then a look at what restart() in @caller has read, then the rest. */
static int feed_and_look(int out, const char *image, off_t size, pid_t caller)
{
	int in = open(image, O_RDONLY | O_CLOEXEC), n;
	static char buf[2 * MEMORY];
	ssize_t half = size / 2;

	if (in < 0 || size > (off_t)sizeof(buf) || read(in, buf, size) != size)
		return 1;
	if (write(out, buf, half) != half)
		return 2;
	for (n = 0; number_of(caller, "bytes") != (unsigned long long)half; n++) {
		if (n == CR_WAIT_S * 1000 / CR_POLL_MS)
			return 3;
		cr_sleep_ms(CR_POLL_MS);
	}
	/* it cannot know how much will come */
	if (number_of(caller, "running") != 1 || number_of(caller, "expected_bytes"))
		return 4;
	return write(out, buf + half, size - half) == size - half ? 0 : 5;
}

TEST(slow_writer)
{
	struct cr_child c;
	struct stat st;
	pid_t writer;
	int fd[2];

	cr_begin_image(_metadata, &c, remember);
	ASSERT_EQ(0, stat(c.image, &st));
	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	writer = fork();
	ASSERT_LE(0, writer);
	if (!writer) {
		close(fd[0]);
		_exit(feed_and_look(fd[1], c.image, st.st_size, getppid()));
	}
	close(fd[1]);
	cr_load_from(_metadata, &c, 0, fd[0], 0);
	EXPECT_EQ(0, number_of(getpid(), "running"));
	EXPECT_EQ((unsigned long long)st.st_size, number_of(getpid(), "bytes"));
	EXPECT_EQ((unsigned long long)st.st_size, number_of(getpid(), "expected_bytes"));
	EXPECT_EQ(0, exit_of(_metadata, writer));
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* ---- not to the end ---- */

/* A pipe or socket whose reader takes @want bytes and goes; the writing end. */
static int half_read(struct __test_metadata *_metadata, int fd[2], size_t want)
{
	char buf[4096];
	pid_t reader = fork();
	ssize_t n = 1;

	ASSERT_LE(0, reader);
	if (!reader) {
		close(fd[1]);
		for (; want && n > 0; want -= n)
			n = read(fd[0], buf, want < sizeof(buf) ? want : sizeof(buf));
		_exit(0);
	}
	close(fd[0]);
	/* nobody waits for the reader: it ends when it likes */
	return fd[1];
}

static int pipe_output(struct __test_metadata *_metadata, size_t want)
{
	int fd[2];

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	return half_read(_metadata, fd, want);
}

static int unix_output(struct __test_metadata *_metadata, size_t want)
{
	int fd[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	return half_read(_metadata, fd, want);
}

/* With small buffers: what they take is written, whoever leaves then. */
static int tcp_output(struct __test_metadata *_metadata, size_t want)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	const int small = 16384;
	socklen_t len = sizeof(addr);
	int listener, fd[2];

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	ASSERT_EQ(0, bind(listener, (struct sockaddr *)&addr, len));
	ASSERT_EQ(0, listen(listener, 1));
	ASSERT_EQ(0, getsockname(listener, (struct sockaddr *)&addr, &len));
	fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_LE(0, fd[1]);
	ASSERT_EQ(0, setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	ASSERT_EQ(0, connect(fd[1], (struct sockaddr *)&addr, len));
	fd[0] = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd[0]);
	close(listener);
	return half_read(_metadata, fd, want);
}

static int disk_output(struct __test_metadata *_metadata, size_t want)
{
	return cr_small_disk();
}

FIXTURE(fails)
{
	struct cr_child c;
	int out;
};

FIXTURE_VARIANT(fails)
{
	int (*output)(struct __test_metadata *_metadata, size_t want);
	size_t want;
	int err[2];
};

FIXTURE_VARIANT_ADD(fails, disk_full)
{
	.output = disk_output, .err = { ENOSPC },
};

FIXTURE_VARIANT_ADD(fails, closed_pipe)
{
	.output = pipe_output, .err = { EPIPE },
};

FIXTURE_VARIANT_ADD(fails, reader_of_pipe_leaves)
{
	.output = pipe_output, .want = SOME, .err = { EPIPE },
};

FIXTURE_VARIANT_ADD(fails, reader_of_socket_leaves)
{
	.output = unix_output, .want = SOME, .err = { EPIPE, ECONNRESET },
};

FIXTURE_VARIANT_ADD(fails, reader_of_tcp_leaves)
{
	.output = tcp_output, .want = SOME, .err = { EPIPE, ECONNRESET },
};

FIXTURE_SETUP(fails)
{
	signal(SIGPIPE, SIG_IGN);
	self->out = variant->output(_metadata, variant->want);
	if (self->out < 0)
		SKIP(return, "cannot mount a tmpfs");
	cr_begin(_metadata, &self->c, remember);
}

FIXTURE_TEARDOWN(fails)
{
	close(self->out);
	cr_end(_metadata, &self->c);
}

/* With one of two errnos; the disk stays full, the reader stays away. */
static void must_fail(struct __test_metadata *_metadata, const int err[2], long ret)
{
	int now = errno;

	EXPECT_EQ(-1, ret);
	EXPECT_TRUE(now == err[0] || now == err[1]) {
		TH_LOG("%s: %s", strerror(now), cr_reason());
	}
	EXPECT_NE(NULL, strstr(cr_reason(), "cannot be written"));
}

TEST_F(fails, nothing_is_kept)
{
	must_fail(_metadata, variant->err, sys_checkpoint(self->c.pid, self->out, 0));
	cr_finish(_metadata, &self->c, "original");
}

/* The tree dies for a whole image only. */
TEST_F(fails, kill)
{
	must_fail(_metadata, variant->err, sys_checkpoint(self->c.pid, self->out, CHECKPOINT_KILL));
	cr_finish(_metadata, &self->c, "original");
}

TEST_F(fails, written_elsewhere)
{
	long pages;
	int crid;

	must_fail(_metadata, variant->err, sys_checkpoint(self->c.pid, self->out, CHECKPOINT_KEEP));
	crid = atoi(cr_report("crid"));
	ASSERT_LT(0, crid);
	pages = cr_kept_pages(crid);
	EXPECT_LE(MEMORY / 4096, pages);
	must_fail(_metadata, variant->err, sys_checkpoint(crid, self->out, CHECKPOINT_WRITE));
	EXPECT_EQ(pages, cr_kept_pages(crid));
	cr_finish(_metadata, &self->c, "original");

	cr_save_kept(_metadata, &self->c, crid, 0);
	EXPECT_EQ(-1, cr_kept_pages(crid));
	cr_load(_metadata, &self->c, 0);
	cr_finish(_metadata, &self->c, "copy");
}

/* As write() does it: SIGPIPE, which kills a caller that does not expect it. */
TEST(sigpipe)
{
	struct cr_child c;
	int fd[2], status;
	pid_t caller;

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	cr_begin(_metadata, &c, remember);
	close(fd[0]);
	caller = begin_call(_metadata, c.pid, fd[1], 0, -1);
	ASSERT_EQ(caller, waitpid(caller, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) {
		TH_LOG("status 0x%x", status);
	}
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* Who made it was killed while writing it; somebody else goes on. */
TEST(caller_is_killed)
{
	int crid, fd[2];
	struct cr_child c;
	pid_t caller;

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	cr_begin(_metadata, &c, remember);
	caller = begin_call(_metadata, c.pid, fd[1], CHECKPOINT_KEEP, fd[0]);
	wait_writing(_metadata, caller);
	crid = number_of(caller, "crid");
	ASSERT_LT(0, crid);
	ASSERT_EQ(0, kill(caller, SIGKILL));
	EXPECT_EQ(-1, exit_of(_metadata, caller));
	close(fd[0]);
	close(fd[1]);

	cr_save_kept(_metadata, &c, crid, CHECKPOINT_KEEP);
	cr_finish_kept(_metadata, &c, crid);
	EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &c);
}

/* It lives until the last byte is taken. */
TEST(killed_at_the_end)
{
	struct cr_child c;
	pid_t caller;
	int fd[2], out;

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	cr_begin(_metadata, &c, remember);
	caller = begin_call(_metadata, c.pid, fd[1], CHECKPOINT_KILL, fd[0]);
	close(fd[1]);
	wait_writing(_metadata, caller);
	cr_sleep_ms(200);
	EXPECT_EQ(0, waitpid(c.pid, NULL, WNOHANG));
	EXPECT_EQ(1, number_of(caller, "running"));
	out = cr_open_image(_metadata, &c);
	EXPECT_EQ(0, copy_all(fd[0], out, 65536, 0, 0));
	close(out);
	EXPECT_EQ(0, exit_of(_metadata, caller));
	EXPECT_EQ(-1, exit_of(_metadata, c.pid));
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* Killed itself while the tree waits for its image: the tree goes on. */
TEST(killer_is_killed)
{
	struct cr_child c;
	pid_t caller;
	int fd[2];

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	cr_begin(_metadata, &c, remember);
	caller = begin_call(_metadata, c.pid, fd[1], CHECKPOINT_KILL, fd[0]);
	wait_writing(_metadata, caller);
	ASSERT_EQ(0, kill(caller, SIGKILL));
	EXPECT_EQ(-1, exit_of(_metadata, caller));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
	close(fd[0]);
	close(fd[1]);
}

/* ---- descriptors that are not for images ---- */

/* EINVAL, in words, and nothing was stopped. */
static void unsuitable(struct __test_metadata *_metadata, int fd, const char *what)
{
	struct cr_child c;
	int crid;

	ASSERT_LE(0, fd);
	cr_begin(_metadata, &c, remember);
	EXPECT_EQ(-1, sys_checkpoint(c.pid, fd, 0));
	EXPECT_EQ(EINVAL, errno) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	EXPECT_NE(NULL, strstr(cr_reason(), what)) {
		TH_LOG("reason: %s", cr_reason());
	}
	EXPECT_STREQ("0", cr_report("freeze_ns"));
	EXPECT_STREQ("0", cr_report("frozen_ns"));
	EXPECT_EQ(-1, sys_checkpoint(c.pid, fd, CHECKPOINT_KILL));
	EXPECT_EQ(EINVAL, errno);

	crid = cr_keep(_metadata, &c);
	EXPECT_EQ(-1, sys_checkpoint(crid, fd, CHECKPOINT_WRITE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), what));
	EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
	close(fd);
}

TEST(device_full)
{
	unsuitable(_metadata, open("/dev/full", O_WRONLY | O_CLOEXEC), "cannot take");
}

TEST(an_eventfd)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	unsuitable(_metadata, dup(fd), "cannot take");
	close(fd);
}

TEST(packets_in_a_pipe)
{
	int fd[2];

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC | O_DIRECT));
	unsuitable(_metadata, fd[1], "packets");
}

static void packet_socket(struct __test_metadata *_metadata, int type)
{
	int fd[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd));
	EXPECT_EQ(-1, sys_restart(0, fd[0], 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "packets"));
	unsuitable(_metadata, fd[1], "packets");
}

TEST(datagram_socket)
{
	packet_socket(_metadata, SOCK_DGRAM);
}

TEST(seqpacket_socket)
{
	packet_socket(_metadata, SOCK_SEQPACKET);
}

/* It is ignored: heads of records are not aligned to sectors. */
static int in_dir(struct __test_metadata *_metadata, const char *dir)
{
	struct cr_child c;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/cr-direct.XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0)
		return 0;
	close(fd);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	unlink(path);
	if (fd < 0)
		return 0;
	cr_begin(_metadata, &c, remember);
	EXPECT_LT(0, sys_checkpoint(c.pid, fd, CHECKPOINT_KILL)) {
		TH_LOG("%s: %s: %s", dir, strerror(errno), cr_reason());
	}
	EXPECT_EQ(-1, exit_of(_metadata, c.pid));
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	cr_load_from(_metadata, &c, 0, fd, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
	close(fd);
	return 1;
}

TEST(o_direct)
{
	/* the last is a disk in most machines, the first is not in many */
	int n = in_dir(_metadata, "/tmp") + in_dir(_metadata, "/var/tmp");

	if (!n)
		SKIP(return, "no file system with O_DIRECT");
}

TEST_HARNESS_MAIN
