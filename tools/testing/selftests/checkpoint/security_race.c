// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: a task of the tree executes a setuid program after the
 * caller's permission was looked at and before it is stopped.
 *
 * It is held up in execve() by a page of its arguments that userfaultfd provides
 * only when the other task of the tree is parked already.
 */
#include "security_help.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGE	4096UL

/* Both in the workload's directory: a program, and "pid fd address" of who runs it. */
static void name_of(struct cr_child *c, const char *what, char path[64])
{
	snprintf(path, 64, "%s/%s", c->dir, what);
}

/* A page that is not there before somebody provides it. */
static char *late_page(struct cr_child *c, int *uffd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *page;

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CR_CHECK(c, page != MAP_FAILED);
	*uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	CR_CHECK(c, *uffd >= 0 && !ioctl(*uffd, UFFDIO_API, &api));
	reg.range.start = (unsigned long)page;
	reg.range.len = PAGE;
	CR_CHECK(c, !ioctl(*uffd, UFFDIO_REGISTER, &reg));
	return page;
}

static __noreturn void execute(struct cr_child *c)
{
	char path[64], told[64];
	char *page;
	int uffd;
	FILE *f;

	page = late_page(c, &uffd);
	name_of(c, "told", told);
	f = fopen(told, "we");
	CR_CHECK(c, f && fprintf(f, "%d %d %lu", getpid(), uffd, (unsigned long)page) > 0);
	CR_CHECK(c, !fclose(f) && !become(USER, 0));
	name_of(c, "setuid", path);
	execl(path, path, page, NULL);
	CR_CHECK(c, !"execve() returns");
	_exit(1);
}

static bool copy_program(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			break;
	close(in);
	close(out);
	return !n && !chmod(to, 04755);
}

/* The root runs in user mode all the time, its child waits in execve(). */
static void do_execute(struct cr_child *c)
{
	int spin = 1;
	char path[64];

	name_of(c, "setuid", path);
	CR_CHECK(c, copy_program("/bin/sleep", path));
	if (!must_fork(c))
		execute(c);
	CR_CHECK(c, !become(USER, 0));
	cr_say_ready(c);
	while (LOAD(spin))
		;
}

/* The descriptor of the late page, when the child waits for it. */
static int fault_of(struct __test_metadata *_metadata, struct cr_child *c, pid_t *pid,
		    unsigned long *page)
{
	char told[64], text[64] = "";
	struct uffd_msg msg;
	int n, fd, uffd, pidfd;

	name_of(c, "told", told);
	for (n = 0; !cr_read_file(told, text, sizeof(text)); n++) {
		ASSERT_GT(CR_WAIT_S * 1000 / CR_POLL_MS, n);
		cr_sleep_ms(CR_POLL_MS);
	}
	ASSERT_EQ(3, sscanf(text, "%d %d %lu", pid, &fd, page));
	pidfd = syscall(SYS_pidfd_open, *pid, 0);
	ASSERT_LE(0, pidfd);
	uffd = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	ASSERT_LE(0, uffd) {
		TH_LOG("pidfd_getfd: %s", strerror(errno));
	}
	close(pidfd);
	ASSERT_EQ((ssize_t)sizeof(msg), read(uffd, &msg, sizeof(msg)));
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
	return uffd;
}

static bool runs_as_root(pid_t pid)
{
	char path[64], text[4096];
	char *line;
	int real, eff;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (!cr_read_file(path, text, sizeof(text)))
		return false;
	line = strstr(text, "\nUid:");
	return line && sscanf(line, "\nUid: %d %d", &real, &eff) == 2 && real == USER && !eff;
}

static void wait_until(struct __test_metadata *_metadata, pid_t pid, char state)
{
	int n;

	for (n = 0; task_state(pid) != state; n++) {
		ASSERT_GT(CR_WAIT_S * 1000 / CR_POLL_MS, n);
		cr_sleep_ms(CR_POLL_MS);
	}
}

TEST(setuid_program_while_freezing)
{
	static char argument[PAGE] = "1000";
	struct uffdio_copy copy = { .src = (unsigned long)argument, .len = PAGE };
	unsigned long page = 0;
	pid_t child = 0, caller;
	int uffd, status = -1;
	struct cr_child c;
	char yama;

	if (geteuid())
		SKIP(return, "not root");
	yama = yama_set('0');
	cr_begin(_metadata, &c, do_execute);
	uffd = fault_of(_metadata, &c, &child, &page);

	caller = fork();
	ASSERT_LE(0, caller);
	if (!caller) {
		if (become(USER, 0))
			_exit(NO_SETUP);
		_exit(sys_checkpoint(c.pid, -1, CHECKPOINT_KEEP) > 0 ? 0 : errno);
	}
	/* Parked; so the permission for both was looked at. */
	wait_until(_metadata, c.pid, 'D');
	EXPECT_FALSE(runs_as_root(child));
	copy.dst = page;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_COPY, &copy));
	ASSERT_EQ(caller, waitpid(caller, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EPERM, WEXITSTATUS(status));
	EXPECT_TRUE(runs_as_root(child));
	close(uffd);
	yama_set(yama);
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
