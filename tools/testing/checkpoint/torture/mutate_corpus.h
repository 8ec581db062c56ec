/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The good images that are changed: small trees which together own an object
 * of every kind that the kernel knows a record for.
 */
#ifndef _MUTATE_CORPUS_H
#define _MUTATE_CORPUS_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#include "mutate_identity.h"

/* One place, so that an image of one run means the same in the next one. */
#define DIRECTORY	"/tmp/torture_mutate.d"
#define PROGRAM		DIRECTORY "/program"
/* Pids up to here are for those who restart. */
#define LAST_PID	"16"
#define PEER_FD		20

/* ---- workloads: run in a fresh program image, so that they are small ---- */

#define MUST(x) do { \
	if (!(x)) { \
		fprintf(stderr, "workload: %s: %s\n", #x, strerror(errno)); \
		_exit(1); \
	} \
} while (0)

static int must_open(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0666);

	MUST(fd >= 0);
	return fd;
}

/* In the directory of the workload; the maker waits for it. */
static void ready_and_wait(void)
{
	struct timespec ts = { 1000, 0 };

	close(must_open("ready", O_WRONLY | O_CREAT));
	for (;;)
		nanosleep(&ts, NULL);
}

static void do_plain(int port)
{
	(void)port;
	ready_and_wait();
}

static void with_memory(void)
{
	int fd = must_open("mapped", O_RDWR | O_CREAT);
	char *p;

	MUST(!ftruncate(fd, 2 * PAGE));
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED);
	memcpy(p + PAGE, "shared", 6);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(p != MAP_FAILED);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	MUST(p != MAP_FAILED);
	memcpy(p, "own copy", 8);
	p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED);
	memcpy(p, "private", 7);
	madvise(p, PAGE, MADV_DONTFORK);
	madvise(p + PAGE, PAGE, MADV_DONTDUMP);
	mlock2(p + 2 * PAGE, PAGE, MLOCK_ONFAULT);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, PAGE, "named");
	MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_NORESERVE, -1, 0) !=
	     MAP_FAILED);
}

static void with_pipes(int ep)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = 7 };
	int a[2], b[2], fd = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);

	MUST(!pipe(a) && !pipe2(b, O_DIRECT | O_NONBLOCK) && fd >= 0);
	MUST(write(a[1], "in the pipe", 11) == 11);
	MUST(write(b[1], "one", 3) == 3 && write(b[1], "two", 3) == 3);
	MUST(!epoll_ctl(ep, EPOLL_CTL_ADD, a[0], &ev));
	ev.events = EPOLLIN | EPOLLONESHOT;
	MUST(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	close(b[0]);
}

static void with_sockets(int port, int ep)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port + 1) };
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 8 };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	MUST(!bind(fd, (struct sockaddr *)&in, sizeof(in)) && !listen(fd, 4));
	MUST(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	MUST(fd >= 0 && !bind(fd, (struct sockaddr *)&in6, sizeof(in6)));
	MUST(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0 || errno == EPERM);
	MUST(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	MUST(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	MUST(socket(AF_UNIX, SOCK_SEQPACKET, 0) >= 0);
}

static void do_files(int port)
{
	int ep = epoll_create1(0), fd = must_open("file", O_RDWR | O_CREAT | O_APPEND);

	MUST(ep >= 0 && write(fd, "content", 7) == 7 && lseek(fd, 3, SEEK_SET) == 3);
	MUST(fcntl(fd, F_DUPFD, 50) == 50);
	must_open(".", O_RDONLY | O_DIRECTORY);
	must_open("/dev/zero", O_RDWR);
	with_memory();
	with_pipes(ep);
	with_sockets(port, ep);
	ready_and_wait();
}

/* Connections to the maker: alive, with data, and one that is over. */
static void do_reset(int port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port + 2) };
	int fd, i, pair[2];

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (i = 0; i < 2; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		MUST(fd >= 0 && !connect(fd, (struct sockaddr *)&in, sizeof(in)));
		MUST(write(fd, "hello", 5) == 5);
	}
	shutdown(fd, SHUT_WR);
	MUST(write(PEER_FD, "hello", 5) == 5);
	MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && !close(pair[0]));
	ready_and_wait();
}

static void *sleeper(void *arg)
{
	struct timespec ts = { 1000, 0 };
	static unsigned int word;

	raise(SIGRTMIN);
	pthread_barrier_wait(arg);
	for (;;)
		syscall(SYS_futex, &word, 128, 0, &ts, NULL, 0);
	return NULL;
}

static void with_signals(void)
{
	struct itimerval far = { { 1000, 0 }, { 1000, 0 } };
	struct rlimit rl;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	MUST(!sigprocmask(SIG_SETMASK, &set, NULL));
	sigqueue(getpid(), SIGRTMIN, (union sigval) { .sival_int = 1 });
	kill(getpid(), SIGUSR1);
	MUST(!setitimer(ITIMER_REAL, &far, NULL) && !setitimer(ITIMER_PROF, &far, NULL));
	MUST(!getrlimit(RLIMIT_NPROC, &rl));
	setpriority(PRIO_PROCESS, 0, 5);
}

static void do_tasks(int port)
{
	pthread_barrier_t barrier;
	char stack[PAGE];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	cpu_set_t cpus;
	pthread_t thread;
	pid_t pid;

	(void)port;
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	MUST(!sched_setaffinity(0, sizeof(cpus), &cpus) && !sigaltstack(&ss, NULL));
	with_signals();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (!pid) {
		setsid();
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		for (;;)
			poll(NULL, 0, 1000000);
	}
	MUST(pid > 0);
	pid = fork();
	if (!pid)
		_exit(5);
	MUST(pid > 0 && !waitid(P_PID, pid, &(siginfo_t) { 0 }, WEXITED | WNOWAIT));
	pthread_barrier_init(&barrier, NULL, 2);
	MUST(!pthread_create(&thread, NULL, sleeper, &barrier));
	pthread_barrier_wait(&barrier);
	usleep(100000);
	ready_and_wait();
}

/* Checkpoints itself; its copy waits as well. */
static void do_self(int port)
{
	int fd = must_open("image", O_WRONLY | O_CREAT | O_TRUNC);

	(void)port;
	MUST(sys_checkpoint(0, fd, 0) >= 0);
	ready_and_wait();
}

static const struct workload {
	const char *name;
	void (*main)(int port);
	bool reset;		/* comes back only with RESTART_CONN_RESET */
	bool self;		/* makes its image itself */
} workloads[] = {
	{ "plain", do_plain, false, false },
	{ "files", do_files, false, false },
	{ "tasks", do_tasks, false, false },
	{ "reset", do_reset, true, false },
	{ "self", do_self, false, true },
};

#define NR_WORKLOADS	ARRAY_LEN(workloads)

/* In the program that was executed: argv is --workload number identity. */
static int workload_main(char **argv)
{
	unsigned int n = atoi(argv[2]), who = atoi(argv[3]);

	MUST(n < NR_WORKLOADS && who < NR_IDENTITIES);
	become(who);
	workloads[n].main(20000 + 100 * who + 10 * n);
	return 1;
}

/* ---- making images of them ---- */

struct making {
	enum identity who;
	unsigned int workload;
	char dir[64];
};

static int listen_for_peers(int port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&in, sizeof(in)) || listen(fd, 8))
		torture_die("a port for the peers");
	return fd;
}

static void exec_workload(struct making *m, int peer)
{
	char program[] = "program", option[] = "--workload", n[8], who[8];
	char *argv[5] = { program, option, n, who, NULL };

	snprintf(n, sizeof(n), "%u", m->workload);
	snprintf(who, sizeof(who), "%u", m->who);
	setsid();
	if (chdir(m->dir) || dup2(peer, PEER_FD) != PEER_FD)
		torture_die("%s", m->dir);
	if (!workloads[m->workload].reset)
		close(PEER_FD);
	close_range(0, PEER_FD - 1, 0);
	close_range(PEER_FD + 1, ~0U, 0);
	if (open("/dev/null", O_RDWR) || dup(0) != 1 ||
	    open("log", O_RDWR | O_CREAT | O_APPEND, 0666) != 2 || fchmod(2, 0666))
		_exit(1);
	personality(ADDR_NO_RANDOMIZE);
	execve(PROGRAM, argv, argv + 4);
	torture_die("%s", PROGRAM);
}

static void say_reason(const char *what)
{
	int err = errno;

	torture_say("%s: %s: %.200s", what, strerror(err), cr_report("reason"));
}

/* The warden of a box: start a workload, checkpoint it, kill it. */
static int make_image(void *arg)
{
	struct making *m = arg;
	int pair[2], listener, fd, n;
	char log[512] = "";
	pid_t pid;

	if (!torture_write("/proc/sys/kernel/ns_last_pid", LAST_PID))
		torture_die("ns_last_pid");
	if (chdir(m->dir) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		torture_die("%s", m->dir);
	listener = listen_for_peers(20000 + 100 * m->who + 10 * m->workload + 2);
	pid = fork();
	if (!pid)
		exec_workload(m, pair[1]);
	close(pair[1]);
	for (n = 0; access("ready", F_OK); n++) {
		if (waitpid(pid, NULL, WNOHANG) == pid || n == 6000) {
			torture_read("log", log, sizeof(log));
			torture_say("workload %s as %s is not ready: %s",
				    workloads[m->workload].name, identity_names[m->who], log);
			return 1;
		}
		usleep(10000);
	}
	if (!workloads[m->workload].self) {
		fd = open("image", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0)
			torture_die("image");
		if (sys_checkpoint(pid, fd, 0) < 0) {
			say_reason(workloads[m->workload].name);
			return 1;
		}
		close(fd);
	}
	close(listener);
	kill(pid, SIGKILL);
	return 0;
}

static struct seed_image {
	enum identity who;
	unsigned int workload;
	struct image im;
} *corpus;

static unsigned int nr_corpus;

static void load_image(struct making *m)
{
	struct seed_image *s = &corpus[nr_corpus++];
	char path[80];
	unsigned char *p = malloc(MAX_IMAGE);
	const char *bad;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/image", m->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 || !p ? -1 : read(fd, p, MAX_IMAGE);
	if (n < 0)
		torture_die("%s", path);
	close(fd);
	s->who = m->who;
	s->workload = m->workload;
	bad = image_parse(&s->im, p, n);
	if (bad)
		torture_die("%s: %s", path, bad);
	printf("corpus: %-6s %-6s %7zd bytes, %u records\n", identity_names[m->who],
	       workloads[m->workload].name, n, s->im.nr);
}

/* A copy of this program, the same in every run. */
static void copy_program(void)
{
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), out;
	static char buf[1 << 16];
	ssize_t n;

	unlink(PROGRAM);
	out = open(PROGRAM, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			torture_die("%s", PROGRAM);
	if (in < 0 || out < 0 || futimens(out, times) || fchmod(out, 0755))
		torture_die("%s", PROGRAM);
	close(in);
	close(out);
	/* what the unprivileged must never get at */
	out = open(DIRECTORY "/secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (out < 0 || write(out, "secret", 6) != 6 || mkfifo(DIRECTORY "/fifo", 0666))
		torture_die("secret");
	close(out);
}

static void make_corpus(void)
{
	struct making m;
	int status;

	if (mkdir(DIRECTORY, 0755))
		torture_die("%s", DIRECTORY);
	copy_program();
	corpus = calloc(NR_IDENTITIES * NR_WORKLOADS, sizeof(*corpus));
	if (!corpus)
		torture_die("corpus");
	for (m.who = AS_ROOT; m.who < AS_NOBODY; m.who++)
		for (m.workload = 0; m.workload < NR_WORKLOADS; m.workload++) {
			snprintf(m.dir, sizeof(m.dir), DIRECTORY "/%s-%s",
				 identity_names[m.who], workloads[m.workload].name);
			if (mkdir(m.dir, 0777) || chmod(m.dir, 0777))
				torture_die("%s", m.dir);
			if (waitpid(start_box(m.who, make_image, &m), &status, 0) < 0 || status)
				torture_die("no image of %s", m.dir);
			load_image(&m);
		}
}

/* ---- is every kind of record there? ---- */

/* An image of one record of no bytes: does the kernel know its type? */
static bool kernel_knows(uint32_t type)
{
	struct {
		struct cr_img_header hdr;
		struct cr_img_rec rec;
	} im = { .hdr = corpus[0].im.hdr, .rec = { .type = type, .id = 1 } };
	char text[4096];
	int p[2];

	im.hdr.meta_bytes = sizeof(im.rec);
	im.hdr.nr_records = 1;
	im.hdr.nr_objects = 1;
	im.hdr.crc = 0;
	im.hdr.crc = crc32c(~0U, &im.hdr, sizeof(im.hdr));
	im.rec.crc = crc32c(~0U, &im.rec, sizeof(im.rec));
	if (pipe(p) || write(p[1], &im, sizeof(im)) != sizeof(im))
		torture_die("pipe");
	if (sys_restart(0, p[0], 0) >= 0 || errno != EINVAL)
		torture_die("an image of one record is no error");
	close(p[0]);
	close(p[1]);
	if (!torture_read("/proc/thread-self/checkpoint", text, sizeof(text)))
		torture_die("/proc/thread-self/checkpoint");
	if (!strstr(text, "record 0"))
		torture_die("no reason for a wrong record");
	return !strstr(text, "unknown type");
}

static void check_corpus(void)
{
	unsigned int count[1024] = {}, type, i, n, known = 0;

	for (i = 0; i < nr_corpus; i++)
		for (n = 0; n < corpus[i].im.nr; n++)
			if (corpus[i].im.rec[n].head.type < ARRAY_LEN(count))
				count[corpus[i].im.rec[n].head.type]++;
	printf("corpus: type:records");
	for (type = 0; type < ARRAY_LEN(count); type++) {
		bool must = type == CR_IMG_PAGES || type == CR_IMG_END || kernel_knows(type);

		known += must;
		if (must)
			printf(" %u:%u", type, count[type]);
		if (must && !count[type])
			torture_die("no record of type %u in the corpus", type);
	}
	printf("\ncorpus: all %u types\n", known);
}

#endif /* _MUTATE_CORPUS_H */
