// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: pipes. */
#include "cr_selftest.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* Byte @i of what goes through a pipe. */
static unsigned char pattern(size_t i)
{
	return i * 7 + i / 256 + i / 65536;
}

static size_t fill(struct cr_child *c, int fd, size_t from, size_t len)
{
	unsigned char buf[1024];
	size_t done = 0, i, n;
	ssize_t ret;

	while (done < len) {
		n = len - done < sizeof(buf) ? len - done : sizeof(buf);
		for (i = 0; i < n; i++)
			buf[i] = pattern(from + done + i);
		ret = write(fd, buf, n);
		if (ret < 0 && errno == EAGAIN)
			break;
		CR_CHECK(c, ret > 0);
		done += ret;
	}
	return done;
}

/* Reads @len bytes or, if there are not so many, until EAGAIN or the end. */
static size_t drain(struct cr_child *c, int fd, size_t from, size_t len)
{
	unsigned char buf[777];
	size_t done = 0, n;
	ssize_t ret, i;

	while (done < len) {
		n = len - done < sizeof(buf) ? len - done : sizeof(buf);
		ret = read(fd, buf, n);
		if (!ret || (ret < 0 && errno == EAGAIN))
			break;
		CR_CHECK(c, ret > 0);
		for (i = 0; i < ret; i++)
			CR_CHECK(c, buf[i] == pattern(from + done + i));
		done += ret;
	}
	return done;
}

static void nonblock(struct cr_child *c, int fd)
{
	CR_CHECK(c, !fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

static void do_both_ends(struct cr_child *c)
{
	int p[2], fl[2];
	char byte;

	CR_CHECK(c, !pipe2(p, O_CLOEXEC));
	nonblock(c, p[0]);
	CR_CHECK(c, fill(c, p[1], 0, 5000) == 5000);
	CR_CHECK(c, drain(c, p[0], 0, 100) == 100);
	CR_CHECK(c, fill(c, p[1], 5000, 11) == 11);
	fl[0] = fcntl(p[0], F_GETFL);
	fl[1] = fcntl(p[1], F_GETFL);
	cr_ready(c);

	CR_CHECK(c, fcntl(p[0], F_GETFL) == fl[0] && fcntl(p[1], F_GETFL) == fl[1]);
	CR_CHECK(c, fcntl(p[0], F_GETFD) == FD_CLOEXEC);
	CR_CHECK(c, fill(c, p[1], 5011, 20) == 20);
	CR_CHECK(c, drain(c, p[0], 100, 10000) == 4931);
	CR_CHECK(c, read(p[0], &byte, 1) == -1 && errno == EAGAIN);
	CR_CHECK(c, write(p[0], "x", 1) == -1 && errno == EBADF);
	CR_CHECK(c, !close(p[1]));
	CR_CHECK(c, read(p[0], &byte, 1) == 0);
}

static void do_empty(struct cr_child *c)
{
	int p[2];

	CR_CHECK(c, !pipe2(p, O_NONBLOCK));
	cr_ready(c);
	CR_CHECK(c, drain(c, p[0], 0, 1) == 0 && errno == EAGAIN);
	CR_CHECK(c, fill(c, p[1], 0, 10) == 10 && drain(c, p[0], 0, 10) == 10);
}

static void do_full(struct cr_child *c)
{
	size_t all;
	int p[2];

	CR_CHECK(c, !pipe2(p, O_NONBLOCK));
	all = fill(c, p[1], 0, ~0UL);
	CR_CHECK(c, all >= 4096);
	cr_ready(c);
	CR_CHECK(c, write(p[1], "x", 1) == -1 && errno == EAGAIN);
	CR_CHECK(c, drain(c, p[0], 0, ~0UL) == all);
	CR_CHECK(c, fill(c, p[1], 0, ~0UL) == all);
}

static void resized(struct cr_child *c, int size)
{
	size_t all;
	int p[2];

	CR_CHECK(c, !pipe2(p, O_NONBLOCK));
	CR_CHECK(c, fcntl(p[1], F_SETPIPE_SZ, size) == size);
	all = fill(c, p[1], 0, size / 8 * 7);
	CR_CHECK(c, all > 0);
	cr_ready(c);
	CR_CHECK(c, fcntl(p[0], F_GETPIPE_SZ) == size);
	CR_CHECK(c, drain(c, p[0], 0, ~0UL) == all);
}

static void do_large(struct cr_child *c)
{
	resized(c, 512 << 10);
}

static void do_small(struct cr_child *c)
{
	resized(c, 4096);
}

/* More than can be a merged buffer: single bytes that were never merged. */
static void do_packets(struct cr_child *c)
{
	char buf[4096] = "";
	int p[2];

	CR_CHECK(c, !pipe2(p, O_DIRECT));
	CR_CHECK(c, write(p[1], "a", 1) == 1 && write(p[1], "bcd", 3) == 3);
	CR_CHECK(c, write(p[1], buf, sizeof(buf)) == sizeof(buf));
	CR_CHECK(c, write(p[1], "tail", 4) == 4);
	/* the rest of a packet that is read in part is lost */
	CR_CHECK(c, write(p[1], "longer", 6) == 6 && write(p[1], "z", 1) == 1);
	cr_ready(c);

	CR_CHECK(c, fcntl(p[1], F_GETFL) & O_DIRECT);
	CR_CHECK(c, write(p[1], "new", 3) == 3);
	CR_CHECK(c, read(p[0], buf, 100) == 1 && buf[0] == 'a');
	CR_CHECK(c, read(p[0], buf, 100) == 3 && buf[2] == 'd');
	CR_CHECK(c, read(p[0], buf, sizeof(buf)) == sizeof(buf));
	CR_CHECK(c, read(p[0], buf, 100) == 4 && buf[0] == 't');
	CR_CHECK(c, read(p[0], buf, 2) == 2 && buf[0] == 'l');
	CR_CHECK(c, read(p[0], buf, 100) == 1 && buf[0] == 'z');
	CR_CHECK(c, read(p[0], buf, 100) == 3 && buf[0] == 'n');
}

static void do_writer_closed(struct cr_child *c)
{
	char byte;
	int p[2];

	CR_CHECK(c, !pipe2(p, O_NONBLOCK) && fill(c, p[1], 0, 100) == 100);
	CR_CHECK(c, !close(p[1]));
	cr_ready(c);
	CR_CHECK(c, drain(c, p[0], 0, 100) == 100);
	CR_CHECK(c, read(p[0], &byte, 1) == 0);
}

static void do_reader_closed(struct cr_child *c)
{
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	CR_CHECK(c, !pipe(p) && !close(p[0]));
	cr_ready(c);
	CR_CHECK(c, write(p[1], "x", 1) == -1 && errno == EPIPE);
}

static void do_blocked_reader(struct cr_child *c)
{
	int p[2], status;
	pid_t pid;

	CR_CHECK(c, !pipe(p));
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		CR_CHECK(c, !close(p[1]));
		/* waits here when the checkpoint is made */
		CR_CHECK(c, drain(c, p[0], 0, ~0UL) == 70000);
		_exit(0);
	}
	CR_CHECK(c, !close(p[0]));
	cr_sleep_ms(100);
	cr_ready(c);
	CR_CHECK(c, fill(c, p[1], 0, 70000) == 70000 && !close(p[1]));
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
}

static void do_blocked_writer(struct cr_child *c)
{
	int p[2], status;
	pid_t pid;

	CR_CHECK(c, !pipe(p));
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		CR_CHECK(c, !close(p[0]));
		CR_CHECK(c, fill(c, p[1], 0, 200000) == 200000);
		_exit(0);
	}
	CR_CHECK(c, !close(p[1]));
	cr_sleep_ms(100);
	cr_ready(c);
	CR_CHECK(c, drain(c, p[0], 0, ~0UL) == 200000);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
}

/* The end of a pipe comes when the last of its writers is gone. */
static void do_shared_end(struct cr_child *c)
{
	int p[2], status;
	char byte;
	pid_t pid;

	CR_CHECK(c, !pipe(p));
	nonblock(c, p[0]);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		cr_wait_go(c);
		/* O_NONBLOCK belongs to the open file: it shows in the parent */
		nonblock(c, p[1]);
		_exit(0);
	}
	cr_ready(c);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	CR_CHECK(c, fcntl(p[1], F_GETFL) & O_NONBLOCK);
	CR_CHECK(c, read(p[0], &byte, 1) == -1 && errno == EAGAIN);
	CR_CHECK(c, !close(p[1]) && read(p[0], &byte, 1) == 0);
}

/* Open files of one pipe that pipe(2) did not make. */
static void do_opened_again(struct cr_child *c)
{
	int p[2], r, w, rw;
	char name[64], byte;

	CR_CHECK(c, !pipe2(p, O_NONBLOCK));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
	r = open(name, O_RDONLY);
	w = open(name, O_WRONLY);
	rw = open(name, O_RDWR | O_NONBLOCK);
	CR_CHECK(c, r >= 0 && w >= 0 && rw >= 0);
	CR_CHECK(c, write(w, "ab", 2) == 2);
	cr_ready(c);

	CR_CHECK(c, (fcntl(rw, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK));
	CR_CHECK(c, !(fcntl(r, F_GETFL) & O_NONBLOCK));
	CR_CHECK(c, write(rw, "c", 1) == 1);
	CR_CHECK(c, read(r, &byte, 1) == 1 && byte == 'a');
	CR_CHECK(c, read(p[0], &byte, 1) == 1 && byte == 'b');
	CR_CHECK(c, read(rw, &byte, 1) == 1 && byte == 'c');
	CR_CHECK(c, !close(p[1]) && !close(w));
	CR_CHECK(c, read(p[0], &byte, 1) == -1 && errno == EAGAIN);
	CR_CHECK(c, !close(rw) && read(p[0], &byte, 1) == 0);
}

/* Pages of a file, in the middle of one, and of the process itself: their contents. */
static void do_spliced(struct cr_child *c)
{
	int file = open("data", O_RDWR | O_CREAT, 0600), p[2];
	static unsigned char own[100];
	struct iovec iov = { own, sizeof(own) };
	loff_t from = 5000;
	size_t i;

	CR_CHECK(c, file >= 0 && fill(c, file, 0, 30000) == 30000 && !pipe2(p, O_NONBLOCK));
	CR_CHECK(c, splice(file, &from, p[1], NULL, 9000, 0) == 9000);
	for (i = 0; i < sizeof(own); i++)
		own[i] = pattern(14000 + i);
	CR_CHECK(c, vmsplice(p[1], &iov, 1, 0) == sizeof(own));
	CR_CHECK(c, fill(c, p[1], 14100, 50) == 50);
	cr_ready(c);
	CR_CHECK(c, drain(c, p[0], 5000, ~0UL) == 9150);
}

/* A socket has more than a page in one piece, which splice() puts there as it is. */
static bool splice_large(int p[2])
{
	static const char data[65536];
	bool done;
	int fd[2];

	if (pipe(p) || socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		return false;
	done = write(fd[0], data, sizeof(data)) == sizeof(data) &&
	       splice(fd[1], NULL, p[1], NULL, sizeof(data), 0) == sizeof(data);
	close(fd[0]);
	close(fd[1]);
	return done;
}

static void do_spliced_large(struct cr_child *c)
{
	int p[2];

	CR_CHECK(c, splice_large(p));
	cr_ready(c);
}

TEST(both_ends) { cr_both_ways(_metadata, do_both_ends, 0); }
TEST(empty) { cr_both_ways(_metadata, do_empty, 0); }
TEST(full) { cr_both_ways(_metadata, do_full, 0); }
TEST(large) { cr_both_ways(_metadata, do_large, 0); }
TEST(small) { cr_both_ways(_metadata, do_small, 0); }
TEST(packets) { cr_both_ways(_metadata, do_packets, 0); }
TEST(writer_closed) { cr_both_ways(_metadata, do_writer_closed, 0); }
TEST(reader_closed) { cr_both_ways(_metadata, do_reader_closed, 0); }
TEST(blocked_reader) { cr_both_ways(_metadata, do_blocked_reader, 0); }
TEST(blocked_writer) { cr_both_ways(_metadata, do_blocked_writer, 0); }
TEST(shared_end) { cr_both_ways(_metadata, do_shared_end, 0); }
TEST(opened_again) { cr_both_ways(_metadata, do_opened_again, 0); }
TEST(spliced) { cr_both_ways(_metadata, do_spliced, 0); }

TEST(spliced_large)
{
	cr_refused(_metadata, do_spliced_large, EOPNOTSUPP, "pipe with a buffer of ");
}

TEST_HARNESS_MAIN
