// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: regular files, O_PATH, flags, cwd, umask, chroot. */
#include "cr_selftest.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define TEXT "hello world"

static int make_file(struct cr_child *c, const char *name, int flags)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CR_CHECK(c, fd >= 0);
	CR_CHECK(c, write(fd, TEXT, strlen(TEXT)) == (ssize_t)strlen(TEXT));
	CR_CHECK(c, !close(fd));
	fd = open(name, flags);
	CR_CHECK(c, fd >= 0);
	return fd;
}

static void do_offsets(struct cr_child *c)
{
	int fd = make_file(c, "data", O_RDWR), same, other;
	char buf[32];

	CR_CHECK(c, lseek(fd, 5, SEEK_SET) == 5);
	same = dup(fd);
	other = open("data", O_RDONLY);
	CR_CHECK(c, same >= 0 && other >= 0);
	CR_CHECK(c, lseek(other, 2, SEEK_SET) == 2);
	cr_ready(c);

	CR_CHECK(c, lseek(fd, 0, SEEK_CUR) == 5);
	CR_CHECK(c, lseek(other, 0, SEEK_CUR) == 2);
	CR_CHECK(c, read(fd, buf, 1) == 1 && buf[0] == ' ');
	CR_CHECK(c, lseek(same, 0, SEEK_CUR) == 6);
	CR_CHECK(c, lseek(other, 0, SEEK_CUR) == 2);
	CR_CHECK(c, write(same, "w", 1) == 1);
	CR_CHECK(c, lseek(fd, 0, SEEK_CUR) == 7);
	CR_CHECK(c, pread(other, buf, sizeof(buf), 0) == (ssize_t)strlen(TEXT));
	CR_CHECK(c, !memcmp(buf, TEXT, strlen(TEXT)));
}

static void do_shared_with_child(struct cr_child *c)
{
	int fd = make_file(c, "data", O_RDONLY), status;
	pid_t pid;

	CR_CHECK(c, lseek(fd, 5, SEEK_SET) == 5);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		cr_wait_go(c);
		_exit(lseek(fd, 3, SEEK_SET) != 3);
	}
	cr_ready(c);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	CR_CHECK(c, lseek(fd, 0, SEEK_CUR) == 3);
}

static void do_flags(struct cr_child *c)
{
	static const int flag[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDONLY | O_NONBLOCK,
		O_WRONLY | O_SYNC, O_WRONLY | O_DSYNC, O_RDONLY | O_NOATIME,
		O_RDONLY | O_NOFOLLOW, O_RDWR | O_CLOEXEC, O_RDONLY | O_CLOEXEC,
	};
	int fd[ARRAY_SIZE(flag)], fl[ARRAY_SIZE(flag)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flag); i++) {
		fd[i] = make_file(c, "data", flag[i]);
		fl[i] = fcntl(fd[i], F_GETFL);
		CR_CHECK(c, fl[i] >= 0);
	}
	/* the bit belongs to the descriptor and not to the file */
	CR_CHECK(c, !fcntl(fd[0], F_SETFD, FD_CLOEXEC));
	CR_CHECK(c, !fcntl(fd[10], F_SETFD, 0));
	CR_CHECK(c, dup3(fd[1], 77, O_CLOEXEC) == 77);
	cr_ready(c);

	for (i = 0; i < ARRAY_SIZE(flag); i++)
		CR_CHECK(c, fcntl(fd[i], F_GETFL) == fl[i]);
	CR_CHECK(c, fcntl(fd[0], F_GETFD) == FD_CLOEXEC);
	CR_CHECK(c, fcntl(fd[1], F_GETFD) == 0);
	CR_CHECK(c, fcntl(fd[9], F_GETFD) == FD_CLOEXEC);
	CR_CHECK(c, fcntl(fd[10], F_GETFD) == 0);
	CR_CHECK(c, fcntl(77, F_GETFD) == FD_CLOEXEC);
	/* and nothing else is open */
	for (i = 0; i < 256; i++)
		CR_CHECK(c, i <= (unsigned int)fd[10] || i == 77 || fcntl(i, F_GETFD) == -1);
}

static void do_append(struct cr_child *c)
{
	int fd = make_file(c, "data", O_RDWR | O_APPEND);
	struct stat st, now;
	char last = 0;

	cr_ready(c);
	CR_CHECK(c, !fstat(fd, &st));
	CR_CHECK(c, write(fd, "x", 1) == 1);
	CR_CHECK(c, !fstat(fd, &now) && now.st_size == st.st_size + 1);
	CR_CHECK(c, pread(fd, &last, 1, st.st_size) == 1 && last == 'x');
	CR_CHECK(c, lseek(fd, 0, SEEK_CUR) == now.st_size);
}

/* Opened with O_TRUNC and O_CREAT: neither happens again. */
static void do_not_truncated(struct cr_child *c)
{
	int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char buf[16] = "";

	CR_CHECK(c, fd >= 0 && write(fd, "abcdef", 6) == 6);
	cr_ready(c);
	CR_CHECK(c, lseek(fd, 0, SEEK_CUR) == 6);
	CR_CHECK(c, pread(fd, buf, sizeof(buf), 0) == 6 && !strcmp(buf, "abcdef"));
}

static void do_past_the_end(struct cr_child *c)
{
	int fd = make_file(c, "data", O_RDONLY);
	off_t far = 1L << 40;
	char byte;

	CR_CHECK(c, lseek(fd, far, SEEK_SET) == far);
	cr_ready(c);
	CR_CHECK(c, lseek(fd, 0, SEEK_CUR) == far);
	CR_CHECK(c, read(fd, &byte, 1) == 0);
}

/* It is found by the name it has at the checkpoint; another one has the old name. */
static void do_renamed(struct cr_child *c)
{
	int fd = make_file(c, "data", O_RDWR), other;
	char buf[32];

	CR_CHECK(c, !mkdir("sub", 0755) && !rename("data", "sub/moved"));
	CR_CHECK(c, lseek(fd, 5, SEEK_SET) == 5);
	other = open("data", O_WRONLY | O_CREAT | O_EXCL, 0600);
	CR_CHECK(c, other >= 0 && write(other, "12345678901", 11) == 11 && !close(other));
	cr_ready(c);
	CR_CHECK(c, pread(fd, buf, sizeof(buf), 0) == (ssize_t)strlen(TEXT));
	CR_CHECK(c, !memcmp(buf, TEXT, strlen(TEXT)));
	CR_CHECK(c, lseek(fd, 0, SEEK_CUR) == 5);
}

static void do_o_path(struct cr_child *c)
{
	int file = make_file(c, "data", O_PATH), dir = open(".", O_PATH | O_DIRECTORY), fd;
	int file_flags = fcntl(file, F_GETFL), dir_flags = fcntl(dir, F_GETFL);
	struct stat st;
	char byte;

	CR_CHECK(c, dir >= 0 && file_flags & O_PATH && dir_flags & O_PATH);
	cr_ready(c);
	CR_CHECK(c, fcntl(file, F_GETFL) == file_flags && fcntl(dir, F_GETFL) == dir_flags);
	CR_CHECK(c, read(file, &byte, 1) == -1 && errno == EBADF);
	CR_CHECK(c, !fstat(file, &st) && S_ISREG(st.st_mode));
	fd = openat(dir, "data", O_RDONLY);
	CR_CHECK(c, fd >= 0 && read(fd, &byte, 1) == 1 && byte == 'h');
}

static void do_above_the_limit(struct cr_child *c)
{
	struct rlimit limit = { 300, 4096 };
	int fd = make_file(c, "data", O_RDONLY);

	CR_CHECK(c, !setrlimit(RLIMIT_NOFILE, &limit));
	CR_CHECK(c, dup2(fd, 299) == 299);
	limit.rlim_cur = 100;
	CR_CHECK(c, !setrlimit(RLIMIT_NOFILE, &limit));
	CR_CHECK(c, lseek(fd, 7, SEEK_SET) == 7);
	cr_ready(c);
	CR_CHECK(c, lseek(299, 0, SEEK_CUR) == 7);
	CR_CHECK(c, !getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur == 100);
}

static void do_cwd_and_umask(struct cr_child *c)
{
	char buf[256], want[256];

	CR_CHECK(c, !mkdir("sub", 0755) && !chdir("sub"));
	umask(027);
	CR_CHECK(c, getcwd(want, sizeof(want)));
	cr_ready(c);
	CR_CHECK(c, getcwd(buf, sizeof(buf)) && !strcmp(buf, want));
	CR_CHECK(c, umask(0) == 027);
}

static void do_chrooted(struct cr_child *c)
{
	int p[2], status;
	char buf[64];
	pid_t pid;

	CR_CHECK(c, !mkdir("jail", 0755) && !mkdir("jail/in", 0755) && !pipe(p));
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		CR_CHECK(c, !close(p[1]) && !chroot("jail") && !chdir("/in"));
		/* ends when the parent closes the other end */
		if (read(p[0], buf, 1) != 0 || !getcwd(buf, sizeof(buf)))
			_exit(3);
		if (strcmp(buf, "/in") || access("/in", F_OK) || !access("/tmp", F_OK))
			_exit(4);
		_exit(0);
	}
	CR_CHECK(c, !close(p[0]));
	cr_sleep_ms(100);
	cr_ready(c);
	CR_CHECK(c, !access("jail", F_OK) && !close(p[1]));
	CR_CHECK(c, waitpid(pid, &status, 0) == pid);
	CR_CHECK(c, !status);
}

/* Somebody may have put another file in its place while the tree was an image. */
static void do_read_later(struct cr_child *c)
{
	const char *text = TEXT;
	char buf[32];
	int fd = make_file(c, "data", O_RDONLY);

	CR_CHECK(c, lseek(fd, 3, SEEK_SET) == 3);
	cr_ready(c);
	if (!access("replaced", F_OK))
		text = "another text";
	CR_CHECK(c, read(fd, buf, sizeof(buf)) == (ssize_t)strlen(text) - 3);
	CR_CHECK(c, !memcmp(buf, text + 3, strlen(text) - 3));
}

/* What is there now is opened, at the same offset. */
TEST(replaced)
{
	char data[64], replaced[64];
	struct cr_child c;
	int fd;

	cr_begin_image(_metadata, &c, do_read_later);
	snprintf(data, sizeof(data), "%s/data", c.dir);
	snprintf(replaced, sizeof(replaced), "%s/replaced", c.dir);
	fd = open(replaced, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ASSERT_LE(0, fd);
	ASSERT_EQ(12, write(fd, "another text", 12));
	close(fd);
	ASSERT_EQ(0, unlink(data));
	ASSERT_EQ(0, link(replaced, data));
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST(replaced_by_another_type)
{
	struct cr_child c;
	char data[64];

	cr_begin_image(_metadata, &c, do_read_later);
	snprintf(data, sizeof(data), "%s/data", c.dir);
	ASSERT_EQ(0, unlink(data));
	ASSERT_EQ(0, mkdir(data, 0755));
	cr_load_refused(_metadata, &c, EINVAL, "data: is not of the type it was");
	cr_end(_metadata, &c);
}

TEST(offsets) { cr_both_ways(_metadata, do_offsets, 0); }
TEST(shared_with_child) { cr_both_ways(_metadata, do_shared_with_child, 0); }
TEST(flags) { cr_both_ways(_metadata, do_flags, 0); }
TEST(append) { cr_both_ways(_metadata, do_append, 0); }
TEST(not_truncated) { cr_both_ways(_metadata, do_not_truncated, 0); }
TEST(past_the_end) { cr_both_ways(_metadata, do_past_the_end, 0); }
TEST(renamed) { cr_both_ways(_metadata, do_renamed, 0); }
TEST(o_path) { cr_both_ways(_metadata, do_o_path, 0); }
TEST(above_the_limit) { cr_both_ways(_metadata, do_above_the_limit, 0); }
TEST(cwd_and_umask) { cr_both_ways(_metadata, do_cwd_and_umask, 0); }
TEST(chrooted) { cr_both_ways(_metadata, do_chrooted, 0); }

TEST_HARNESS_MAIN
