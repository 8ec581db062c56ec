// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: epoll. */
#include "task_help.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#define DATA 0x1122334455667788ULL

static int new_epoll(struct cr_child *c, int flags)
{
	int fd = epoll_create1(flags);

	CR_CHECK(c, fd >= 0);
	return fd;
}

static int new_eventfd(struct cr_child *c, int count)
{
	int fd = eventfd(count, EFD_NONBLOCK);

	CR_CHECK(c, fd >= 0);
	return fd;
}

static void add(struct cr_child *c, int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	CR_CHECK(c, !epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
}

/* Exactly one event, or none if @data is 0. */
static void expect(struct cr_child *c, int ep, uint32_t events, uint64_t data)
{
	struct epoll_event ev[4] = {};
	int n = epoll_wait(ep, ev, 4, 0);

	CR_CHECK(c, n == !!data);
	CR_CHECK(c, !n || ev[0].data.u64 == data);
	CR_CHECK(c, !n || ev[0].events == events);
}

static void do_level(struct cr_child *c)
{
	int ep = new_epoll(c, EPOLL_CLOEXEC), a = new_eventfd(c, 1), b = new_eventfd(c, 0);
	struct epoll_event ev;
	uint64_t val;

	add(c, ep, a, EPOLLIN, DATA);
	add(c, ep, b, EPOLLIN, 2);
	expect(c, ep, EPOLLIN, DATA);
	cr_ready(c);

	CR_CHECK(c, fcntl(ep, F_GETFD) == FD_CLOEXEC);
	expect(c, ep, EPOLLIN, DATA);
	expect(c, ep, EPOLLIN, DATA);
	CR_CHECK(c, !eventfd_read(a, &val));
	expect(c, ep, 0, 0);
	CR_CHECK(c, !eventfd_write(b, 1));
	expect(c, ep, EPOLLIN, 2);
	/* the entries are known by the numbers they were added with */
	CR_CHECK(c, epoll_ctl(ep, EPOLL_CTL_ADD, a, &ev) == -1 && errno == EEXIST);
	CR_CHECK(c, !epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL));
	expect(c, ep, 0, 0);
}

static void do_edge(struct cr_child *c)
{
	int ep = new_epoll(c, 0), seen = new_eventfd(c, 1), unseen = new_eventfd(c, 0);

	add(c, ep, seen, EPOLLIN | EPOLLET, 1);
	expect(c, ep, EPOLLIN, 1);
	add(c, ep, unseen, EPOLLIN | EPOLLET, 2);
	CR_CHECK(c, !eventfd_write(unseen, 1));
	cr_ready(c);

	/* what was reported is not reported again; what was not is, once */
	expect(c, ep, EPOLLIN, 2);
	expect(c, ep, 0, 0);
	CR_CHECK(c, !eventfd_write(seen, 1));
	expect(c, ep, EPOLLIN, 1);
	expect(c, ep, 0, 0);
}

static void do_oneshot(struct cr_child *c)
{
	int ep = new_epoll(c, 0), armed = new_eventfd(c, 0), p[2];
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = 1 };

	CR_CHECK(c, !pipe(p) && write(p[1], "x", 1) == 1);
	add(c, ep, p[0], EPOLLIN | EPOLLONESHOT, 1);
	expect(c, ep, EPOLLIN, 1);
	add(c, ep, armed, EPOLLIN | EPOLLONESHOT, 2);
	cr_ready(c);

	/* what has fired stays silent, even when the other end is closed */
	expect(c, ep, 0, 0);
	CR_CHECK(c, !close(p[1]));
	expect(c, ep, 0, 0);
	CR_CHECK(c, !eventfd_write(armed, 1));
	expect(c, ep, EPOLLIN, 2);
	expect(c, ep, 0, 0);
	CR_CHECK(c, !epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
	expect(c, ep, EPOLLIN | EPOLLHUP, 1);
}

static void do_exclusive(struct cr_child *c)
{
	int ep = new_epoll(c, 0), fd = new_eventfd(c, 1);
	struct epoll_event ev = { .events = EPOLLIN };

	add(c, ep, fd, EPOLLIN | EPOLLEXCLUSIVE, DATA);
	cr_ready(c);
	expect(c, ep, EPOLLIN, DATA);
	/* the kernel leaves such an entry as it is */
	ev.events |= EPOLLEXCLUSIVE;
	CR_CHECK(c, epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev) == -1 && errno == EINVAL);
}

static void do_nested(struct cr_child *c)
{
	int outer = new_epoll(c, 0), inner = new_epoll(c, 0), fd = new_eventfd(c, 0);
	struct epoll_event ev = { .events = EPOLLIN };

	add(c, outer, inner, EPOLLIN, 1);
	add(c, inner, fd, EPOLLIN, 2);
	cr_ready(c);
	expect(c, outer, 0, 0);
	CR_CHECK(c, !eventfd_write(fd, 1));
	expect(c, outer, EPOLLIN, 1);
	expect(c, inner, EPOLLIN, 2);
	CR_CHECK(c, epoll_ctl(inner, EPOLL_CTL_ADD, outer, &ev) == -1 && errno == ELOOP);
}

/* One file under two numbers, one number for two files in its time. */
static void do_same_file_twice(struct cr_child *c)
{
	int ep = new_epoll(c, 0), fd = new_eventfd(c, 0), again = dup(fd);
	struct epoll_event ev[4];

	CR_CHECK(c, again >= 0);
	add(c, ep, fd, EPOLLIN, 1);
	add(c, ep, again, EPOLLIN, 2);
	cr_ready(c);
	CR_CHECK(c, epoll_wait(ep, ev, 4, 0) == 0);
	CR_CHECK(c, !eventfd_write(fd, 1));
	CR_CHECK(c, epoll_wait(ep, ev, 4, 0) == 2);
	CR_CHECK(c, ev[0].data.u64 + ev[1].data.u64 == 3);
}

/* Only the child still has the descriptor that an entry was added with. */
static void do_shared(struct cr_child *c)
{
	int ep = new_epoll(c, 0), fd = new_eventfd(c, 0), mine, status;
	pid_t pid;

	add(c, ep, fd, EPOLLIN, 1);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		cr_wait_go(c);
		CR_CHECK(c, !eventfd_write(fd, 1));
		expect(c, ep, EPOLLIN, 1);
		_exit(0);
	}
	CR_CHECK(c, !close(fd));
	mine = new_eventfd(c, 1);
	CR_CHECK(c, mine == fd);
	cr_ready(c);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	expect(c, ep, 0, 0);
}

/* Waits when the checkpoint is made, and is not interrupted by it. */
static void waiter(struct cr_child *c, int timeout_ms, const sigset_t *mask, bool wake)
{
	int ep = new_epoll(c, 0), fd = new_eventfd(c, 0), status;
	struct epoll_event ev = {};
	pid_t pid;

	add(c, ep, fd, EPOLLIN, DATA);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		int n = epoll_pwait(ep, &ev, 1, timeout_ms, mask);

		CR_CHECK(c, n == wake);
		CR_CHECK(c, !wake || ev.data.u64 == DATA);
		if (mask) {
			sigset_t now;

			CR_CHECK(c, !sigprocmask(SIG_BLOCK, NULL, &now));
			CR_CHECK(c, !sigismember(&now, SIGUSR1));
			CR_CHECK(c, sigismember(&now, SIGUSR2));
		}
		_exit(0);
	}
	wait_in_syscall(c, pid, SYS_epoll_pwait);
	cr_ready(c);
	cr_sleep_ms(50);
	/* a timeout may have come to its end, if this took long */
	CR_CHECK(c, !wake || waitpid(pid, &status, WNOHANG) == 0);
	if (mask)
		CR_CHECK(c, !kill(pid, SIGUSR1));
	cr_sleep_ms(50);
	if (wake)
		CR_CHECK(c, !eventfd_write(fd, 1));
	CR_CHECK(c, waitpid(pid, &status, 0) == pid);
	CR_CHECK(c, mask && !wake ? WIFSIGNALED(status) : !status);
}

static void do_wait_for_ever(struct cr_child *c)
{
	waiter(c, -1, NULL, true);
}

static void do_wait_long(struct cr_child *c)
{
	waiter(c, CR_WAIT_S * 1000, NULL, true);
}

static void do_wait_out(struct cr_child *c)
{
	waiter(c, 4000, NULL, false);
}

static void do_nothing(int sig)
{
}

/* SIGUSR1 is blocked only while waiting, SIGUSR2 only before and after. */
static void do_wait_masked(struct cr_child *c)
{
	sigset_t during, normal;

	sigemptyset(&normal);
	sigaddset(&normal, SIGUSR2);
	CR_CHECK(c, !sigprocmask(SIG_SETMASK, &normal, NULL));
	/* a mask that is lost would let it in, and the wait end with EINTR */
	signal(SIGUSR1, do_nothing);
	sigemptyset(&during);
	sigaddset(&during, SIGUSR1);
	waiter(c, -1, &during, true);
}

static void closed_entry(struct cr_child *c)
{
	int ep = new_epoll(c, 0), fd = new_eventfd(c, 0), again = dup(fd);

	add(c, ep, fd, EPOLLIN, 1);
	CR_CHECK(c, again >= 0 && !close(fd));
	cr_ready(c);
	CR_CHECK(c, !eventfd_write(again, 1));
	expect(c, ep, EPOLLIN, 1);
}

TEST(level) { cr_both_ways(_metadata, do_level, 0); }
TEST(edge) { cr_both_ways(_metadata, do_edge, 0); }
TEST(oneshot) { cr_both_ways(_metadata, do_oneshot, 0); }
TEST(exclusive) { cr_both_ways(_metadata, do_exclusive, 0); }
TEST(nested) { cr_both_ways(_metadata, do_nested, 0); }
TEST(same_file_twice) { cr_both_ways(_metadata, do_same_file_twice, 0); }
TEST(shared) { cr_both_ways(_metadata, do_shared, 0); }
TEST(wait_for_ever) { cr_both_ways(_metadata, do_wait_for_ever, 0); }
TEST(wait_long) { cr_both_ways(_metadata, do_wait_long, 0); }
TEST(wait_out) { cr_both_ways(_metadata, do_wait_out, 0); }
TEST(wait_masked) { cr_both_ways(_metadata, do_wait_masked, 0); }

TEST(refuse_closed_entry)
{
	cr_refused(_metadata, closed_entry, EOPNOTSUPP, "no longer open there");
}

TEST_HARNESS_MAIN
