// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: eventfd. */
#include "cr_selftest.h"

#include <sys/eventfd.h>
#include <sys/wait.h>

static void do_counters(struct cr_child *c)
{
	int zero = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), some = eventfd(3, EFD_NONBLOCK);
	int most = eventfd(0, EFD_NONBLOCK), blocking = eventfd(1, 0);
	uint64_t val;

	CR_CHECK(c, zero >= 0 && some >= 0 && most >= 0 && blocking >= 0);
	CR_CHECK(c, !eventfd_write(some, 1ULL << 40));
	CR_CHECK(c, !eventfd_write(most, ~0ULL - 1));
	cr_ready(c);

	CR_CHECK(c, eventfd_read(zero, &val) == -1 && errno == EAGAIN);
	CR_CHECK(c, fcntl(zero, F_GETFD) == FD_CLOEXEC);
	CR_CHECK(c, !eventfd_read(some, &val) && val == (1ULL << 40) + 3);
	CR_CHECK(c, eventfd_write(most, 1) == -1 && errno == EAGAIN);
	CR_CHECK(c, !eventfd_read(most, &val) && val == ~0ULL - 1);
	CR_CHECK(c, !(fcntl(blocking, F_GETFL) & O_NONBLOCK));
	CR_CHECK(c, !eventfd_read(blocking, &val) && val == 1);
	CR_CHECK(c, !eventfd_write(zero, 5) && !eventfd_read(zero, &val) && val == 5);
}

static void do_semaphore(struct cr_child *c)
{
	int fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	uint64_t val;

	CR_CHECK(c, fd >= 0);
	cr_ready(c);
	CR_CHECK(c, !eventfd_read(fd, &val) && val == 1);
	CR_CHECK(c, !eventfd_read(fd, &val) && val == 1);
	CR_CHECK(c, eventfd_read(fd, &val) == -1 && errno == EAGAIN);
}

static void do_blocked_reader(struct cr_child *c)
{
	int fd = eventfd(0, 0), status;
	uint64_t val;
	pid_t pid;

	CR_CHECK(c, fd >= 0);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		/* waits here when the checkpoint is made */
		CR_CHECK(c, !eventfd_read(fd, &val) && val == 7);
		_exit(0);
	}
	cr_sleep_ms(100);
	cr_ready(c);
	CR_CHECK(c, !eventfd_write(fd, 7));
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
}

TEST(counters) { cr_both_ways(_metadata, do_counters, 0); }
TEST(semaphore) { cr_both_ways(_metadata, do_semaphore, 0); }
TEST(blocked_reader) { cr_both_ways(_metadata, do_blocked_reader, 0); }

TEST_HARNESS_MAIN
