/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tree of processes that owns something of every supported kind, and can be
 * asked at any time whether it still is as it was made. This is the side of the
 * program; the tree itself is in torture_tree_own.h.
 *
 * Questions and answers are in a mapped file, which a restored tree finds where
 * it was. Every thread that can run has a slot with its answer.
 */
#ifndef _TORTURE_TREE_H
#define _TORTURE_TREE_H

#include "torture.h"
#include "torture_tree_own.h"

#include <net/if.h>
#include <sys/ioctl.h>

/**
 * struct tree - the tree as its maker sees it
 * @pid: of the root, also in a copy
 * @tid: of all its threads, as recorded when it was made
 * @lost: may be dead, and is not asked
 * @peer: our end of its connection; -1 if there is none
 * @listener: where it connects to
 * @kept: id of a checkpoint of it, kept in the kernel; 0 if there is none
 */
struct tree {
	pid_t pid;
	pid_t tid[TREE_NR];
	bool lost[TREE_NR];
	int peer;
	int listener;
	int kept;
};

static inline void tree_loopback(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (unshare(CLONE_NEWNET))
		torture_die("network namespace");
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		torture_die("lo");
	close(fd);
}

/* Once in a program, before the first tree. */
static inline void tree_init(struct tree *t)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(TREE_PORT_OUTSIDE),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd, one = 1;

	memset(t, 0, sizeof(*t));
	t->peer = -1;
	tree_loopback();
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		torture_die("subreaper");
	/* some of the tree is not root */
	umask(0);
	if (chmod(".", 0711) || mkdir("tree", 0777) || chmod("tree", 0777))
		torture_die("directory");
	fd = open("tree/control", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, TREE_PAGE))
		torture_die("control file");
	tree_control = mmap(NULL, TREE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (tree_control == MAP_FAILED)
		torture_die("control file");
	close(fd);
	t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(t->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(t->listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(t->listener, 5))
		torture_die("listening socket");
}

/* State letter of a task; 0 if there is no such task. */
static inline char tree_task_state(pid_t tid)
{
	char path[64], text[1024], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	if (!torture_read(path, text, sizeof(text)))
		return 0;
	p = strrchr(text, ')');
	return p ? p[2] : 0;
}

/* Where its tasks are, for whoever has to find out. */
static inline void tree_tell(struct tree *t)
{
	static const char * const files[] = { "wchan", "syscall", "stack" };
	char path[64], text[2048];
	size_t f;
	int i;

	for (i = 0; i < TREE_NR; i++) {
		struct tree_slot *slot = &tree_control->slot[i];

		torture_say("slot %d tid %d state %c answer %u of %u", i, t->tid[i],
			    tree_task_state(t->tid[i]) ?: '-', slot->answer,
			    tree_control->ask);
		for (f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", t->tid[i], files[f]);
			if (torture_read(path, text, sizeof(text)))
				torture_say("  %s: %s", files[f], text);
		}
	}
}

/* The threads that can run, and have not been lost, answer. */
static inline bool tree_answered(const struct tree *t, uint32_t ask)
{
	int i;

	for (i = 0; i < TREE_NR_ANSWERS; i++)
		if (!t->lost[i] && TREE_LOAD(tree_control->slot[i].answer) != ask)
			return false;
	return true;
}

/*
 * What the tree must find from now on. Before a restart: the copy looks for
 * itself as soon as it runs, as the question is not the one that it has seen.
 */
static inline void tree_expect(uint32_t mode)
{
	int i;

	TREE_STORE(tree_control->mode, mode);
	for (i = 0; i < TREE_NR; i++)
		tree_control->slot[i].line = 0;
}

/* A slot whose thread will never answer, or -1. */
static inline int tree_dead(const struct tree *t)
{
	char state;
	int i;

	for (i = 0; i < TREE_NR_ANSWERS; i++) {
		state = !t->lost[i] && t->tid[i] ? tree_task_state(t->tid[i]) : 'R';
		if (!state || state == 'Z' || state == 'X')
			return i;
	}
	return -1;
}

/* False, with a failure told, if the tree is not as it was made. */
static inline bool tree_ask(struct tree *t, const char *when)
{
	double end = torture_now() + TORTURE_WAIT_S;
	int i, looks = 0;
	uint32_t ask;

	ask = __atomic_add_fetch(&tree_control->ask, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &tree_control->ask, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	while (!tree_answered(t, ask)) {
		if (torture_now() > end || (++looks % 256 == 0 && tree_dead(t) >= 0)) {
			tree_tell(t);
			torture_fail("%s: the tree does not answer (dead slot: %d)", when,
				     tree_dead(t));
			return false;
		}
		torture_sleep_us(500);
	}
	for (i = 0; i < TREE_NR_ANSWERS; i++) {
		struct tree_slot *slot = &tree_control->slot[i];

		if (t->lost[i] || !slot->line)
			continue;
		torture_fail("%s: slot %d: not as it was: torture_tree_own.h:%d, errno %d",
			     when, i, slot->line, slot->error);
		return false;
	}
	/* a process that was stopped gets there in its own time */
	while (t->tid[TREE_STOPPED] && !t->lost[TREE_STOPPED] &&
	       tree_task_state(t->tid[TREE_STOPPED]) != 'T') {
		if (torture_now() > end) {
			torture_fail("%s: the stopped process is in state %c", when,
				     tree_task_state(t->tid[TREE_STOPPED]) ?: '-');
			return false;
		}
		torture_sleep_us(500);
	}
	return true;
}

/* How often the root has answered; this is memory that a rollback puts back. */
static inline uint32_t tree_rounds(void)
{
	return TREE_LOAD(tree_control->slot[TREE_ROOT].rounds);
}

static inline void tree_start(struct tree *t)
{
	int i;

	memset(tree_control, 0, TREE_PAGE);
	tree_expect(TREE_ORIGINAL);
	t->pid = fork();
	if (t->pid < 0)
		torture_die("fork");
	if (!t->pid)
		tree_root();
	memset(t->tid, 0, sizeof(t->tid));
	memset(t->lost, 0, sizeof(t->lost));
	t->peer = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
	if (t->peer < 0)
		torture_die("accept");
	if (!tree_ask(t, "new tree"))
		torture_die("the tree was never right");
	for (i = 0; i < TREE_NR; i++)
		t->tid[i] = tree_control->slot[i].tid;
}

/* After RESTART_FROZEN; but for who was stopped anyway. */
static inline void tree_continue(struct tree *t)
{
	kill(t->tid[TREE_ROOT], SIGCONT);
	kill(t->tid[TREE_CHILD], SIGCONT);
	kill(t->tid[TREE_GRANDCHILD], SIGCONT);
}

/* The first of its threads that is there; 0 if none is. */
static inline pid_t tree_left(struct tree *t)
{
	int i;

	for (i = 0; i < TREE_NR; i++)
		if (t->tid[i] > 0 && syscall(SYS_tkill, t->tid[i], 0) == 0)
			return t->tid[i];
	return 0;
}

/* Kills it, reaps it, and returns when its pids are free; what comes now are copies. */
static inline bool tree_kill(struct tree *t, const char *when)
{
	double end = torture_now() + TORTURE_WAIT_S;
	pid_t left;
	int i;

	for (;;) {
		for (i = 0; i < TREE_NR; i++)
			if (t->tid[i] > 0)
				kill(t->tid[i], SIGKILL);
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			;
		left = tree_left(t);
		if (!left)
			break;
		if (torture_now() > end) {
			tree_tell(t);
			torture_fail("%s: pid %d cannot be killed", when, left);
			return false;
		}
		torture_sleep_us(500);
	}
	if (t->peer >= 0)
		close(t->peer);
	t->peer = -1;
	tree_expect(TREE_COPY);
	return true;
}

/* A new tree, and a checkpoint of it: kept, and in the file "image". */
static inline void tree_make(struct tree *t)
{
	int fd = torture_open("image", O_RDWR | O_CREAT | O_TRUNC);

	tree_start(t);
	t->kept = sys_checkpoint(t->pid, fd, CHECKPOINT_KEEP);
	if (t->kept < 0)
		torture_die("checkpoint: %s", cr_report("reason"));
	close(fd);
}

/* Neither the tree nor its checkpoint are needed any more. */
static inline void tree_end(struct tree *t)
{
	tree_kill(t, "end");
	if (sys_checkpoint(t->kept, -1, CHECKPOINT_DISCARD))
		torture_fail("the kept checkpoint is gone");
	t->kept = 0;
}

#endif /* _TORTURE_TREE_H */
