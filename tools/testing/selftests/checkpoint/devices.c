// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: /dev/null and the other devices without state. */
#include "cr_selftest.h"

#include <sys/sysmacros.h>

static void check_rdev(struct cr_child *c, int fd, unsigned int nr)
{
	struct stat st;

	CR_CHECK(c, !fstat(fd, &st) && S_ISCHR(st.st_mode));
	CR_CHECK(c, st.st_rdev == makedev(1, nr));
}

static void do_devices(struct cr_child *c)
{
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
	int full = open("/dev/full", O_RDWR), rnd = open("/dev/random", O_RDONLY | O_NONBLOCK);
	int urnd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	static const char none[16];
	char buf[16];

	CR_CHECK(c, null >= 0 && zero >= 0 && full >= 0 && rnd >= 0 && urnd >= 0);
	cr_ready(c);

	check_rdev(c, null, 3);
	check_rdev(c, zero, 5);
	check_rdev(c, full, 7);
	check_rdev(c, rnd, 8);
	check_rdev(c, urnd, 9);
	check_rdev(c, 0, 3);

	CR_CHECK(c, read(null, buf, sizeof(buf)) == 0);
	CR_CHECK(c, write(null, buf, sizeof(buf)) == sizeof(buf));
	memset(buf, 1, sizeof(buf));
	CR_CHECK(c, read(zero, buf, sizeof(buf)) == sizeof(buf));
	CR_CHECK(c, !memcmp(buf, none, sizeof(buf)));
	CR_CHECK(c, write(full, buf, 1) == -1 && errno == ENOSPC);
	CR_CHECK(c, read(urnd, buf, sizeof(buf)) == sizeof(buf));
	CR_CHECK(c, memcmp(buf, none, sizeof(buf)));
	CR_CHECK(c, fcntl(rnd, F_GETFL) & O_NONBLOCK);
	CR_CHECK(c, fcntl(urnd, F_GETFD) == FD_CLOEXEC);
}

static void kernel_log(struct cr_child *c)
{
	CR_CHECK(c, open("/dev/kmsg", O_RDONLY) >= 0);
	cr_ready(c);
}

static void terminal(struct cr_child *c)
{
	CR_CHECK(c, open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0);
	cr_ready(c);
}

TEST(devices) { cr_both_ways(_metadata, do_devices, 0); }

TEST(refuse_kmsg)
{
	if (access("/dev/kmsg", R_OK))
		SKIP(return, "no /dev/kmsg");
	cr_refused(_metadata, kernel_log, EOPNOTSUPP, "character device 1:11");
}

TEST(refuse_terminal)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	if (fd < 0)
		SKIP(return, "no /dev/ptmx");
	close(fd);
	cr_refused(_metadata, terminal, EOPNOTSUPP, "terminal");
}

TEST_HARNESS_MAIN
