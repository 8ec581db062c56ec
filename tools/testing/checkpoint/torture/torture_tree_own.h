/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The processes of torture_tree.h: what they own, and how they see that it is
 * as it was. To look must not change anything, and must not need a descriptor
 * that could not be checkpointed: it may happen at the same time.
 */
#ifndef _TORTURE_TREE_OWN_H
#define _TORTURE_TREE_OWN_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define TREE_PAGE		4096
#define TREE_PORT_OUTSIDE	7000
#define TREE_PORT_OWN		7001

#define TREE_LOAD(x)		__atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define TREE_STORE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)

/* tree_control.mode: a connection to the outside is lost in a copy. */
enum { TREE_ORIGINAL, TREE_COPY };

/* Slots: those that answer come first. */
enum {
	TREE_ROOT, TREE_THREAD, TREE_CHILD, TREE_CHILD_THREAD, TREE_GRANDCHILD,
	TREE_NR_ANSWERS,
	TREE_STOPPED = TREE_NR_ANSWERS, TREE_ZOMBIE, TREE_NR,
};

/**
 * struct tree_slot - what one thread says
 * @answer: the last question that it has answered
 * @rounds: how many questions it has answered, by its own memory
 * @tid: who it is
 * @line: where it saw that something is wrong; 0 if nothing is
 * @error: errno there
 */
struct tree_slot {
	uint32_t answer;
	uint32_t rounds;
	int32_t tid;
	int32_t line;
	int32_t error;
};

static struct tree_control {
	uint32_t ask;
	uint32_t mode;
	struct tree_slot slot[TREE_NR];
} *tree_control;

static __thread struct tree_slot *tree_slot;

/* Something is not as it was: say so, as answer to any question. */
#define TREE_CHECK(expr) do { \
	if (!(expr) && !tree_slot->line) { \
		tree_slot->error = errno; \
		TREE_STORE(tree_slot->line, __LINE__); \
	} \
} while (0)

/* Answers questions for ever. */
static inline void __attribute__((noreturn)) tree_serve(void (*verify)(void))
{
	uint32_t seen = 0, ask, rounds = 0;

	tree_slot->tid = syscall(SYS_gettid);
	for (;;) {
		while ((ask = TREE_LOAD(tree_control->ask)) == seen)
			syscall(SYS_futex, &tree_control->ask, FUTEX_WAIT, seen, NULL, NULL, 0);
		seen = ask;
		verify();
		rounds++;
		TREE_STORE(tree_slot->rounds, rounds);
		TREE_STORE(tree_slot->answer, ask);
	}
}

/* ---- memory ---- */

#define TREE_PRIVATE	48
#define TREE_SHARED	16
#define TREE_READ_ONLY	4

static uint64_t *tree_private, *tree_shared, *tree_read_only, *tree_file_memory;

/* Every fourth page is never touched. */
static inline void tree_pattern(uint64_t *m, int pages, uint64_t salt)
{
	int i, words = TREE_PAGE / sizeof(*m);

	for (i = 0; i < pages * words; i++)
		if ((i / words) % 4 != 3)
			m[i] = salt + i * 0x9e3779b97f4a7c15ULL;
}

static inline bool tree_pattern_is(const uint64_t *m, int from, int to, uint64_t salt)
{
	int i, words = TREE_PAGE / sizeof(*m);

	for (i = from * words; i < to * words; i++)
		if (m[i] != ((i / words) % 4 == 3 ? 0 : salt + i * 0x9e3779b97f4a7c15ULL))
			return false;
	return true;
}

static inline void *tree_map(int pages, int prot, int flags, int fd)
{
	void *m = mmap(NULL, (size_t)pages * TREE_PAGE, prot, flags, fd, 0);

	if (m == MAP_FAILED)
		_exit(101);
	return m;
}

static inline void tree_memory_make(int data)
{
	tree_private = tree_map(TREE_PRIVATE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1);
	tree_shared = tree_map(TREE_SHARED, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1);
	tree_read_only = tree_map(TREE_READ_ONLY, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1);
	tree_map(2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	tree_file_memory = tree_map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE, data);
	tree_pattern(tree_private, TREE_PRIVATE, 1);
	tree_pattern(tree_shared, TREE_SHARED, 2);
	tree_pattern(tree_read_only, TREE_READ_ONLY, 3);
	mprotect(tree_read_only, TREE_READ_ONLY * TREE_PAGE, PROT_READ);
	/* one page of its own, the others are those of the file */
	tree_file_memory[TREE_PAGE / sizeof(*tree_file_memory)] = 4;
}

static inline void tree_memory_verify(void)
{
	TREE_CHECK(tree_pattern_is(tree_private, 0, TREE_PRIVATE, 1));
	TREE_CHECK(tree_pattern_is(tree_shared, 0, TREE_SHARED / 2, 2));
	TREE_CHECK(tree_pattern_is(tree_read_only, 0, TREE_READ_ONLY, 3));
	TREE_CHECK(tree_file_memory[0] == 0x6161616161616161ULL);
	TREE_CHECK(tree_file_memory[TREE_PAGE / sizeof(*tree_file_memory)] == 4);
}

/* ---- files, pipes, eventfd, epoll ---- */

#define TREE_PIPE_BYTES	10000
#define TREE_OFFSET	1234

static int tree_data, tree_data_dup, tree_append, tree_dir, tree_event, tree_epoll;
static int tree_pipe[2], tree_packets[2], tree_to_child[2];

static inline void tree_files_make(void)
{
	char page[TREE_PAGE];
	int i;

	memset(page, 'a', sizeof(page));
	tree_data = open("data", O_RDWR | O_CREAT | O_TRUNC, 0666);
	for (i = 0; i < 4; i++)
		if (write(tree_data, page, sizeof(page)) != sizeof(page))
			_exit(102);
	lseek(tree_data, TREE_OFFSET, SEEK_SET);
	tree_data_dup = dup(tree_data);
	tree_append = open("append", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	tree_dir = open(".", O_RDONLY | O_DIRECTORY);
	tree_event = eventfd(5, EFD_NONBLOCK);
	tree_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (pipe2(tree_pipe, O_NONBLOCK) || pipe2(tree_packets, O_NONBLOCK | O_DIRECT) ||
	    pipe(tree_to_child))
		_exit(103);
	for (i = 0; i < TREE_PIPE_BYTES; i += 1000)
		if (write(tree_pipe[1], page, 1000) != 1000)
			_exit(104);
	if (write(tree_packets[1], "one", 3) != 3 || write(tree_packets[1], "four", 4) != 4 ||
	    write(tree_to_child[1], "x", 1) != 1)
		_exit(105);
	epoll_ctl(tree_epoll, EPOLL_CTL_ADD, tree_event,
		  &(struct epoll_event) { .events = EPOLLIN, .data.u32 = 11 });
	epoll_ctl(tree_epoll, EPOLL_CTL_ADD, tree_pipe[0],
		  &(struct epoll_event) { .events = EPOLLIN, .data.u32 = 12 });
}

static inline void tree_files_verify(void)
{
	struct epoll_event ev[4];
	char buf[TREE_PIPE_BYTES];
	struct stat st;
	uint64_t count;
	int i;

	TREE_CHECK(lseek(tree_data, 0, SEEK_CUR) == TREE_OFFSET);
	/* the dup shares the offset */
	TREE_CHECK(lseek(tree_data_dup, 1, SEEK_CUR) == TREE_OFFSET + 1);
	TREE_CHECK(lseek(tree_data, -1, SEEK_CUR) == TREE_OFFSET);
	TREE_CHECK(pread(tree_data, buf, 1, 0) == 1 && buf[0] == 'a');
	TREE_CHECK(fcntl(tree_append, F_GETFL) & O_APPEND);
	TREE_CHECK(fcntl(tree_append, F_GETFD) == FD_CLOEXEC);
	TREE_CHECK(!fstat(tree_dir, &st) && S_ISDIR(st.st_mode));
	TREE_CHECK(epoll_wait(tree_epoll, ev, 4, 0) == 2);
	TREE_CHECK(ev[0].data.u32 + ev[1].data.u32 == 23);

	/* taken out and put back */
	TREE_CHECK(read(tree_event, &count, sizeof(count)) == sizeof(count) && count == 5);
	TREE_CHECK(write(tree_event, &count, sizeof(count)) == sizeof(count));
	TREE_CHECK(read(tree_pipe[0], buf, sizeof(buf)) == sizeof(buf));
	for (i = 0; i < TREE_PIPE_BYTES; i++)
		TREE_CHECK(buf[i] == 'a');
	TREE_CHECK(write(tree_pipe[1], buf, sizeof(buf)) == sizeof(buf));
	TREE_CHECK(read(tree_packets[0], buf, 100) == 3 && !memcmp(buf, "one", 3));
	TREE_CHECK(read(tree_packets[0], buf, 100) == 4 && !memcmp(buf, "four", 4));
	TREE_CHECK(write(tree_packets[1], "one", 3) == 3);
	TREE_CHECK(write(tree_packets[1], "four", 4) == 4);
}

/* ---- sockets ---- */

static int tree_listener, tree_connection, tree_unix;

static inline void tree_sockets_make(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(TREE_PORT_OWN),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int one = 1;

	tree_listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(tree_listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(tree_listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(tree_listener, 3))
		_exit(106);
	tree_connection = socket(AF_INET, SOCK_STREAM, 0);
	addr.sin_port = htons(TREE_PORT_OUTSIDE);
	if (connect(tree_connection, (struct sockaddr *)&addr, sizeof(addr)))
		_exit(107);
	tree_unix = socket(AF_UNIX, SOCK_STREAM, 0);
}

static inline int tree_tcp_state(int fd)
{
	struct tcp_info info = { };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? -1 : info.tcpi_state;
}

static inline void tree_sockets_verify(void)
{
	bool copy = TREE_LOAD(tree_control->mode) == TREE_COPY;
	struct stat st;

	TREE_CHECK(tree_tcp_state(tree_listener) == TCP_LISTEN);
	TREE_CHECK(tree_tcp_state(tree_connection) == (copy ? TCP_CLOSE : TCP_ESTABLISHED));
	TREE_CHECK(!fstat(tree_unix, &st) && S_ISSOCK(st.st_mode));
}

/* ---- signals and timers ---- */

static char tree_stack[16384];

static inline void tree_on_usr1(int sig)
{
	(void)sig;
}

static inline void tree_signals_make(void)
{
	struct sigaction sa = { .sa_handler = tree_on_usr1, .sa_flags = SA_RESTART };
	struct itimerval far = { { 5, 0 }, { 1000000, 0 } };
	stack_t ss = { .ss_sp = tree_stack, .ss_size = sizeof(tree_stack) };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaltstack(&ss, NULL);
	setitimer(ITIMER_REAL, &far, NULL);
	setitimer(ITIMER_PROF, &far, NULL);
	sigqueue(getpid(), SIGUSR2, (union sigval) { .sival_int = 77 });
	syscall(SYS_tkill, syscall(SYS_gettid), SIGRTMIN);
}

static inline void tree_signals_verify(void)
{
	struct itimerval it;
	struct sigaction sa;
	sigset_t set;
	stack_t ss;

	TREE_CHECK(!sigpending(&set) && sigismember(&set, SIGUSR2) && sigismember(&set, SIGRTMIN));
	TREE_CHECK(!sigaction(SIGUSR1, NULL, &sa) && sa.sa_handler == tree_on_usr1);
	TREE_CHECK(!sigaltstack(NULL, &ss) && ss.ss_sp == tree_stack);
	TREE_CHECK(!getitimer(ITIMER_REAL, &it) && it.it_value.tv_sec > 900000);
	TREE_CHECK(!getitimer(ITIMER_PROF, &it) && it.it_value.tv_sec > 900000);
}

/* ---- the processes ---- */

static pid_t tree_zombie, tree_stopped;
static __thread uint64_t tree_local;

static inline void tree_thread_verify(void)
{
	sigset_t set;

	TREE_CHECK(tree_local == 4711);
	TREE_CHECK(!sigpending(&set) && !sigprocmask(SIG_BLOCK, NULL, &set));
	TREE_CHECK(sigismember(&set, SIGHUP));
}

static inline void *tree_thread(void *slot)
{
	sigset_t set;

	tree_slot = slot;
	tree_local = 4711;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	tree_serve(tree_thread_verify);
}

static inline void tree_thread_start(int slot)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, tree_thread, &tree_control->slot[slot]))
		_exit(108);
}

static inline void tree_grandchild_verify(void)
{
	TREE_CHECK(tree_pattern_is(tree_private, 0, TREE_PRIVATE, 1));
	TREE_CHECK(getuid() == 65534);
}

static inline void tree_child_verify(void)
{
	struct rlimit rl;
	cpu_set_t cpus;
	int bytes = 0;

	TREE_CHECK(getuid() == 65534 && geteuid() == 65534 && getgid() == 65534);
	TREE_CHECK(getgroups(0, NULL) == 1);
	TREE_CHECK(!getrlimit(RLIMIT_NOFILE, &rl) && rl.rlim_cur == 100 && rl.rlim_max == 200);
	TREE_CHECK(getpriority(PRIO_PROCESS, 0) == 5);
	TREE_CHECK(!sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) == 1);
	TREE_CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	TREE_CHECK(tree_pattern_is(tree_shared, TREE_SHARED / 2, TREE_SHARED, 2));
	TREE_CHECK(!ioctl(tree_to_child[0], FIONREAD, &bytes) && bytes == 1);
}

static inline void __attribute__((noreturn)) tree_child(void)
{
	struct rlimit rl = { 100, 200 };
	gid_t group = 65534;
	cpu_set_t cpus;

	tree_slot = &tree_control->slot[TREE_CHILD];
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	if (setpriority(PRIO_PROCESS, 0, 5) || setrlimit(RLIMIT_NOFILE, &rl) ||
	    sched_setaffinity(0, sizeof(cpus), &cpus) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || setgroups(1, &group) ||
	    setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		_exit(109);
	if (!fork()) {
		tree_slot = &tree_control->slot[TREE_GRANDCHILD];
		tree_serve(tree_grandchild_verify);
	}
	tree_thread_start(TREE_CHILD_THREAD);
	tree_serve(tree_child_verify);
}

static inline void tree_root_verify(void)
{
	siginfo_t si = { };

	tree_memory_verify();
	tree_files_verify();
	tree_sockets_verify();
	tree_signals_verify();
	TREE_CHECK(!waitid(P_PID, tree_zombie, &si, WEXITED | WNOHANG | WNOWAIT));
	TREE_CHECK(si.si_pid == tree_zombie && si.si_status == 23);
	TREE_CHECK(!kill(tree_stopped, 0));
}

static inline void __attribute__((noreturn)) tree_root(void)
{
	siginfo_t si;

	setsid();
	close_range(0, ~0U, 0);
	if (chdir("tree") || open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
		_exit(110);
	tree_slot = &tree_control->slot[TREE_ROOT];
	tree_files_make();
	tree_memory_make(tree_data);
	tree_zombie = fork();
	if (!tree_zombie)
		_exit(23);
	tree_stopped = fork();
	if (!tree_stopped)
		for (;;)
			raise(SIGSTOP);
	waitid(P_PID, tree_zombie, &si, WEXITED | WNOWAIT);
	waitid(P_PID, tree_stopped, &si, WSTOPPED);
	tree_control->slot[TREE_ZOMBIE].tid = tree_zombie;
	tree_control->slot[TREE_STOPPED].tid = tree_stopped;
	if (!fork())
		tree_child();
	tree_sockets_make();
	tree_signals_make();
	tree_thread_start(TREE_THREAD);
	tree_serve(tree_root_verify);
}

#endif /* _TORTURE_TREE_OWN_H */
