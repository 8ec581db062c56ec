// SPDX-License-Identifier: GPL-2.0
/*
 * First process of the test machine: mounts what a program may expect, runs
 * one command, reaps whatever is orphaned meanwhile, hands the exit status
 * to the host and switches the machine off.
 *
 * The host leaves "mode" (run or shell), "cmd" and optionally "winsize" in
 * the 9p share mounted at /ctl and finds "status" there afterwards. In mode
 * run the output goes through a pipe of ours to a virtio port, byte for byte;
 * in mode shell the command has /dev/hvc0 as its controlling terminal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NINEP	"trans=virtio,version=9p2000.L,msize=262144,cache="
#define SEARCH_PATH	"/opt/checkpoint/bin:/usr/local/sbin:/usr/local/bin:" \
			"/usr/sbin:/usr/bin:/sbin:/bin"
/* How long the output of children left behind is waited for. */
#define DRAIN_MS	100

static const struct {
	const char *source, *target, *type, *data;
	bool optional;
} mounts[] = {
	{ "proc", "/proc", "proc", NULL, false },
	{ "sysfs", "/sys", "sysfs", NULL, false },
	{ "devpts", "/dev/pts", "devpts", "ptmxmode=0666,gid=5,mode=620", false },
	{ "tmpfs", "/dev/shm", "tmpfs", "mode=1777", false },
	{ "tmpfs", "/tmp", "tmpfs", "mode=1777", false },
	{ "tmpfs", "/run", "tmpfs", "mode=755", false },
	{ "mqueue", "/dev/mqueue", "mqueue", NULL, false },
	{ "hugetlbfs", "/dev/hugepages", "hugetlbfs", NULL, false },
	{ "cgroup2", "/sys/fs/cgroup", "cgroup2", NULL, false },
	{ "debugfs", "/sys/kernel/debug", "debugfs", NULL, false },
	{ "tracefs", "/sys/kernel/tracing", "tracefs", NULL, false },
	{ "ctl", "/ctl", "9p", NINEP "none", false },
	{ "host", "/host", "9p", NINEP "mmap", true },
};

static void complain(const char *fmt, ...)
{
	va_list ap;
	FILE *f = fopen("/dev/kmsg", "w");

	if (!f)
		return;
	fputs("vm-init: ", f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static void mount_all(void)
{
	size_t i;

	for (i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].target, 0755);
		if (mount(mounts[i].source, mounts[i].target, mounts[i].type, 0,
			  mounts[i].data) && !mounts[i].optional)
			complain("mount %s: %s", mounts[i].target, strerror(errno));
	}
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		complain("%s: %s", path, strerror(errno));
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

static char *read_file(const char *path)
{
	size_t room = 1 << 20;
	char *text = calloc(1, room);
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && text)
		n = read(fd, text, room - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		complain("lo: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void environment(void)
{
	sethostname("vm", 2);
	clearenv();
	setenv("PATH", SEARCH_PATH, 1);
	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("TERM", "xterm", 1);
	setenv("SHELL", "/bin/bash", 1);
	if (chdir("/root"))
		complain("/root: %s", strerror(errno));
}

/*
 * Open what appears only once the driver and the host have shaken hands. A
 * pattern, as the name of a port has the number of its virtio device in it.
 */
static int open_late(const char *pattern, int flags)
{
	int fd = -1, tries;
	glob_t found;

	for (tries = 0; fd < 0 && tries < 500; tries++) {
		if (tries)
			usleep(10000);
		if (!glob(pattern, 0, NULL, &found)) {
			fd = open(found.gl_pathv[0], flags | O_CLOEXEC);
			globfree(&found);
		}
	}
	return fd;
}

/* The child's side; @out is -1 for an interactive shell. */
static void run_command(const char *cmd, int out)
{
	int in = open_late(out < 0 ? "/dev/hvc0" : "/dev/null", O_RDWR);
	struct winsize ws = {};
	char *size;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (out < 0) {
		ioctl(in, TIOCSCTTY, 0);
		size = read_file("/ctl/winsize");
		if (size && sscanf(size, "%hu %hu", &ws.ws_row, &ws.ws_col) == 2)
			ioctl(in, TIOCSWINSZ, &ws);
		out = in;
	}
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	/* Nothing of ours may be found open in a process to be checkpointed. */
	close_range(3, ~0U, 0);
	if (cmd)
		execl("/bin/bash", "bash", "-c", cmd, NULL);
	else
		execl("/bin/bash", "bash", "-l", NULL);
	_exit(127);
}

/* Returns true once @main was reaped, with its wait status in @status. */
static bool reap(pid_t main, int *status)
{
	bool found = false;
	int st;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid == main) {
			*status = st;
			found = true;
		}
	}
	return found;
}

/* Pass on what is in the pipe; false at its end. */
static bool copy(int from, int to)
{
	static char buf[65536];
	ssize_t n = read(from, buf, sizeof(buf)), done = 0, m;

	if (n <= 0)
		return false;
	while (done < n) {
		m = write(to, buf + done, n - done);
		if (m < 0 && errno != EINTR) {
			complain("output: %s", strerror(errno));
			return false;
		}
		done += m > 0 ? m : 0;
	}
	return true;
}

static int supervise(const char *cmd, bool shell)
{
	int pipefd[2] = { -1, -1 }, out = -1, status = 0;
	struct pollfd fds[2];
	sigset_t mask;
	pid_t pid;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	if (!shell) {
		out = open_late("/dev/vport*p1", O_WRONLY);
		if (out < 0 || pipe2(pipefd, O_CLOEXEC)) {
			complain("no output port: %s", strerror(errno));
			return 125;
		}
	}
	pid = fork();
	if (!pid)
		run_command(shell ? NULL : cmd, pipefd[1]);
	if (!shell)
		close(pipefd[1]);
	fds[0].fd = signalfd(-1, &mask, SFD_CLOEXEC);
	fds[1].fd = pipefd[0];
	fds[0].events = POLLIN;
	fds[1].events = POLLIN;
	for (;;) {
		struct signalfd_siginfo si;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents && !copy(pipefd[0], out))
			fds[1].fd = -1;
		if (fds[0].revents && read(fds[0].fd, &si, sizeof(si)) > 0 &&
		    reap(pid, &status))
			break;
	}
	while (fds[1].fd >= 0 && poll(&fds[1], 1, DRAIN_MS) > 0)
		if (!copy(pipefd[0], out))
			break;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void)
{
	char *mode, *cmd, text[16];
	bool shell;

	mount_all();
	environment();
	loopback_up();
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +memory +pids +cpuset");
	mode = read_file("/ctl/mode");
	cmd = read_file("/ctl/cmd");
	shell = mode && !strncmp(mode, "shell", 5);
	if (!cmd) {
		complain("nothing to run");
		cmd = "exit 125";
	}
	snprintf(text, sizeof(text), "%d\n", supervise(cmd, shell));
	write_file("/ctl/status", text);
	kill(-1, SIGKILL);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
