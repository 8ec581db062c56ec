/* SPDX-License-Identifier: GPL-2.0 */
/*
 * torture_random: what is tried with a tree.
 */
#ifndef _RANDOM_OPS_H
#define _RANDOM_OPS_H

#include "random_tree.h"

#define MAX_DEPTH	2

static void drive(struct tree *t, double seconds);
static int finish(struct tree *t);
static bool output_is_good(struct tree *t);

/* ---- system calls ---- */

static void reason_text(char *text, size_t size)
{
	char report[2048], *p;
	size_t n = 0;

	read_text("/proc/thread-self/checkpoint", report, sizeof(report));
	p = strstr(report, "reason:");
	p = p ? p + 7 : report;
	/* numbers do not make it another reason */
	for (; *p && *p != '\n' && n + 1 < size; p++) {
		if (isxdigit(*p) && (isdigit(*p) || (n && text[n - 1] == '#'))) {
			if (!n || text[n - 1] != '#')
				text[n++] = '#';
		} else if (*p != ' ' || n) {
			text[n++] = *p;
		}
	}
	text[n] = '\0';
}

/* Counted; told the first time that it is met. */
static void count_refusal(struct tree *t, const char *call, int err)
{
	char text[REASON_LEN], reason[REASON_LEN - 64];
	uint32_t i;

	count(&stats->refused);
	reason_text(reason, sizeof(reason));
	snprintf(text, sizeof(text), "%s: %s: %s", call, strerror(err), reason);
	while (__atomic_exchange_n(&stats->lock, 1, __ATOMIC_ACQUIRE))
		usleep(100);
	for (i = 0; i < stats->nr_reasons; i++)
		if (!strcmp(stats->reasons[i], text))
			break;
	if (i == stats->nr_reasons && i < MAX_REASONS) {
		memcpy(stats->reasons[stats->nr_reasons++], text, sizeof(text));
		printf("refused: %s: %s\n", t->program->name, text);
		fflush(stdout);
	}
	__atomic_store_n(&stats->lock, 0, __ATOMIC_RELEASE);
}

/* Is that nobody's fault? It is told, and the tree goes on as it is. */
static bool is_refusal(const char *call, int err)
{
	switch (err) {
	case EOPNOTSUPP:
	case EBUSY:
	case EAGAIN:
	case ESRCH:
		return true;
	case EEXIST:
		/* who has lost its parent may live on for a while, outside of the tree */
		return !strcmp(call, "rollback");
	}
	return false;
}

static long call_failed(struct tree *t, const char *call, int err)
{
	char report[2048];

	step(t, "%s=%s", call, strerrorname_np(err));
	if (is_refusal(call, err)) {
		count_refusal(t, call, err);
	} else {
		read_text("/proc/thread-self/checkpoint", report, sizeof(report));
		tell_wrong(t, "%s: %s; %s", call, strerror(err), report);
	}
	return -err;
}

static long do_checkpoint(struct tree *t, long pid, int fd, unsigned long flags)
{
	long ret = sys_checkpoint((pid_t)pid, fd, flags);

	if (ret < 0)
		return call_failed(t, "checkpoint", errno);
	if (!(flags & (CHECKPOINT_WRITE | CHECKPOINT_DISCARD)))
		count(&stats->checkpoints);
	return ret;
}

static long do_restart(struct tree *t, long crid, int fd, unsigned long flags)
{
	bool back = flags & RESTART_ROLLBACK;
	long ret = sys_restart((int)crid, fd, flags | t->program->restart_flags);

	if (ret < 0)
		return call_failed(t, back ? "rollback" : "restart", errno);
	if (back)
		count(&stats->rollbacks);
	else
		count(&stats->restarts);
	t->root = ret;
	if (flags & RESTART_FROZEN)
		usleep(rnd(20000));
	continue_tree(t);
	return ret;
}

/* ---- images and kept checkpoints ---- */

static int new_image(void)
{
	int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd < 0)
		die("image");
	return fd;
}

/* Another description of it, at its beginning: two may read it at a time. */
static int again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die("%s", path);
	return fd;
}

static void set_image(struct tree *t, int i, int fd)
{
	if (t->image[i] >= 0)
		close(t->image[i]);
	t->image[i] = fd;
}

static void set_kept(struct tree *t, int i, long crid)
{
	if (t->kept[i] && do_checkpoint(t, t->kept[i], -1, CHECKPOINT_DISCARD) < 0)
		tell_wrong(t, "checkpoint %ld cannot be discarded", t->kept[i]);
	t->kept[i] = crid;
	t->life[i] = t->root;
}

static void pour(int in, int out)
{
	static char buf[65536];
	ssize_t n, k, done;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		for (done = 0; done < n; done += k) {
			k = write(out, buf + done, n - done);
			/* the reader has read to the end of the image, or failed */
			if (k <= 0)
				return;
		}
}

static bool same_contents(int a, int b)
{
	static char x[65536], y[65536];
	off_t at = 0;
	ssize_t n;

	do {
		n = pread(a, x, sizeof(x), at);
		if (n < 0 || pread(b, y, sizeof(y), at) != n || memcmp(x, y, n))
			return false;
		at += n;
	} while (n);
	return true;
}

static void op_image(struct tree *t)
{
	int fd = new_image(), i = rnd(SLOTS);

	step(t, "image%d", i);
	if (do_checkpoint(t, t->root, fd, 0) < 0)
		close(fd);
	else
		set_image(t, i, fd);
}

static void op_pipe(struct tree *t)
{
	int fd = new_image(), p[2], i = rnd(SLOTS);
	long ret;
	pid_t pid;

	step(t, "pipe%d", i);
	if (pipe2(p, O_CLOEXEC))
		die("pipe");
	pid = fork_outside(t);
	if (!pid) {
		close(p[1]);
		pour(p[0], fd);
		_exit(0);
	}
	close(p[0]);
	ret = do_checkpoint(t, t->root, p[1], 0);
	close(p[1]);
	waitpid(pid, NULL, 0);
	if (ret < 0)
		close(fd);
	else
		set_image(t, i, fd);
}

static void op_keep(struct tree *t)
{
	int i = rnd(SLOTS), fd = rnd(2) ? new_image() : -1, later;
	long crid;

	step(t, "keep%d%s", i, fd >= 0 ? "+image" : "");
	crid = do_checkpoint(t, t->root, fd, CHECKPOINT_KEEP);
	if (crid > 0)
		set_kept(t, i, crid);
	if (crid > 0 && fd >= 0 && rnd(2)) {
		/* what is written later is what was written at once */
		usleep(rnd(100000));
		later = new_image();
		if (do_checkpoint(t, crid, later, CHECKPOINT_WRITE | CHECKPOINT_KEEP) > 0 &&
		    !same_contents(fd, later))
			tell_wrong(t, "an image that was written later is another one");
		close(later);
	}
	if (crid > 0 && fd >= 0)
		set_image(t, rnd(SLOTS), fd);
	else if (fd >= 0)
		close(fd);
}

static void op_write(struct tree *t)
{
	int i = rnd(SLOTS), k = rnd(SLOTS), fd;
	unsigned long flags = CHECKPOINT_WRITE | (rnd(2) ? CHECKPOINT_KEEP : 0);

	if (!t->kept[i])
		return;
	step(t, "write%d>%d", i, k);
	fd = new_image();
	if (do_checkpoint(t, t->kept[i], fd, flags) < 0) {
		close(fd);
		return;
	}
	set_image(t, k, fd);
	if (!(flags & CHECKPOINT_KEEP))
		t->kept[i] = 0;
}

/* ---- back to life ---- */

static long restart_image(struct tree *t, int image, unsigned long flags)
{
	int in = again(image, O_RDONLY), p[2];
	pid_t pid = 0;
	long ret;

	if (rnd(3) == 0) {
		if (pipe2(p, O_CLOEXEC))
			die("pipe");
		pid = fork_outside(t);
		if (!pid) {
			signal(SIGPIPE, SIG_IGN);
			close(p[0]);
			pour(in, p[1]);
			_exit(0);
		}
		close(p[1]);
		close(in);
		in = p[0];
	}
	ret = do_restart(t, 0, in, flags);
	close(in);
	if (pid)
		waitpid(pid, NULL, 0);
	return ret;
}

/* From any slot; false if all are empty. */
static bool revive(struct tree *t)
{
	unsigned long flags = rnd(6) ? 0 : RESTART_FROZEN;
	int i, first = rnd(2 * SLOTS);
	long ret = 0;

	for (i = 0; i < 2 * SLOTS && !ret; i++) {
		int slot = (first + i) % (2 * SLOTS);

		if (slot < SLOTS && t->image[slot] >= 0) {
			step(t, "restart-image%d", slot);
			ret = restart_image(t, t->image[slot], flags);
		} else if (slot >= SLOTS && t->kept[slot - SLOTS]) {
			step(t, "restart-kept%d", slot - SLOTS);
			ret = do_restart(t, t->kept[slot - SLOTS], -1, flags);
		}
	}
	if (ret < 0)
		t->lost = true;
	return ret > 0;
}

static bool has_slot(const struct tree *t)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (t->image[i] >= 0 || t->kept[i])
			return true;
	return false;
}

static void op_kill(struct tree *t)
{
	if (!has_slot(t))
		return;
	step(t, "kill");
	kill_tree(t);
	count(&stats->killed);
	revive(t);
}

/* CHECKPOINT_KILL, and then from that image. */
static void op_move(struct tree *t)
{
	int fd = new_image(), i = rnd(SLOTS);

	step(t, "move%d", i);
	if (do_checkpoint(t, t->root, fd, CHECKPOINT_KILL) < 0) {
		close(fd);
		return;
	}
	kill_tree(t);
	set_image(t, i, fd);
	if (restart_image(t, fd, 0) < 0)
		t->lost = true;
}

static void op_rollback(struct tree *t)
{
	int i = rnd(SLOTS);
	long crid;

	/* what was killed cannot be rolled back: mostly there is none of this life */
	if (!t->kept[i] || t->life[i] != t->root) {
		crid = do_checkpoint(t, t->root, -1, CHECKPOINT_KEEP);
		if (crid < 0)
			return;
		set_kept(t, i, crid);
		usleep(rnd(100000));
	}
	step(t, "rollback%d", i);
	do_restart(t, t->kept[i], -1, RESTART_ROLLBACK);
}

static void op_stop(struct tree *t)
{
	step(t, "stop");
	kill(t->root, SIGSTOP);
	usleep(rnd(20000));
	if (rnd(2))
		op_keep(t);
	kill(t->root, SIGCONT);
}

/* ---- several at once ---- */

/* Two checkpoints of one tree at the same time. */
static void op_both(struct tree *t)
{
	pid_t pid;
	int fd;

	step(t, "both");
	pid = fork_outside(t);
	if (!pid) {
		fd = new_image();
		do_checkpoint(t, t->root, fd, 0);
		fflush(stdout);
		_exit(0);
	}
	op_keep(t);
	waitpid(pid, NULL, 0);
}

/* A process that has begun to checkpoint, and may have ended. */
static pid_t checkpoint_aside(struct tree *t)
{
	pid_t pid = fork_outside(t);

	if (!pid) {
		sys_checkpoint(t->root, new_image(), 0);
		_exit(0);
	}
	usleep(rnd(30000));
	return pid;
}

/* The one who checkpoints is killed in the middle. */
static void op_abort(struct tree *t)
{
	pid_t pid;

	step(t, "abort");
	pid = checkpoint_aside(t);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The tree is killed in the middle of a checkpoint. */
static void op_kill_amid(struct tree *t)
{
	pid_t pid;

	if (!has_slot(t))
		return;
	step(t, "kill-amid");
	pid = checkpoint_aside(t);
	kill_tree(t);
	count(&stats->killed);
	waitpid(pid, NULL, 0);
	revive(t);
}

static void reap_copies(struct tree *t, bool all)
{
	int i, status;

	for (i = 0; i < COPIES; i++) {
		if (!t->copy[i] || waitpid(t->copy[i], &status, all ? 0 : WNOHANG) != t->copy[i])
			continue;
		t->copy[i] = 0;
		/* it has told what; but not if it died */
		if (!WIFEXITED(status))
			tell_wrong(t, "driver of a copy ended with status 0x%x", status);
	}
}

/* In the child: a world of its own, with the tree of one slot in it. */
static int live_copy(struct tree *from, long kept, int image)
{
	struct tree t = { .program = from->program, .seed = from->seed, .depth = from->depth + 1 };
	int files = open(from->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), i;
	long ret;

	memcpy(t.dir, from->dir, sizeof(t.dir));
	memcpy(t.digest, from->digest, sizeof(t.digest));
	snprintf(t.steps, sizeof(t.steps), " (%.200s) copy", from->steps + strlen(from->steps) -
		 (strlen(from->steps) > 200 ? 200 : strlen(from->steps)));
	for (i = 0; i < SLOTS; i++)
		t.image[i] = -1;
	if (files < 0)
		die("%s", from->dir);
	make_world(&t);
	copy_files(files, t.dir);
	if (image >= 0)
		ret = restart_image(&t, image, 0);
	else
		ret = do_restart(&t, kept, -1, 0);
	if (ret > 0) {
		count(&stats->copies);
		drive(&t, 1 + rnd(4));
		return finish(&t);
	}
	leave_world(&t);
	return 0;
}

static void op_copy(struct tree *t)
{
	int slot = rnd(2 * SLOTS), i;
	long kept = slot < SLOTS ? t->kept[slot] : 0;
	int image = slot < SLOTS ? -1 : t->image[slot - SLOTS];
	pid_t pid;

	for (i = 0; i < COPIES && t->copy[i]; i++)
		;
	if (i == COPIES || t->depth == MAX_DEPTH || (!kept && image < 0))
		return;
	step(t, "copy%d", slot);
	pid = fork_outside(t);
	if (!pid) {
		int status = live_copy(t, kept, image);

		fflush(stdout);
		_exit(status);
	}
	t->copy[i] = pid;
}

/* ---- all of it ---- */

static const struct {
	void (*op)(struct tree *t);
	int weight;
} ops[] = {
	{ op_image, 10 }, { op_pipe, 5 }, { op_keep, 12 }, { op_write, 5 }, { op_kill, 8 },
	{ op_move, 5 }, { op_rollback, 10 }, { op_stop, 4 }, { op_both, 5 }, { op_abort, 6 },
	{ op_kill_amid, 4 }, { op_copy, 8 },
};

#define NR_OPS	(sizeof(ops) / sizeof(ops[0]))

static void random_op(struct tree *t)
{
	int sum = 0, at;
	size_t i;

	for (i = 0; i < NR_OPS; i++)
		sum += ops[i].weight;
	at = rnd(sum);
	for (i = 0; at >= ops[i].weight; i++)
		at -= ops[i].weight;
	ops[i].op(t);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void drive(struct tree *t, double seconds)
{
	double end = now() + seconds;

	while (now() < end && !t->lost) {
		usleep(rnd(150000));
		reap_copies(t, false);
		if (!has_ended(t)) {
			random_op(t);
			continue;
		}
		/* what works until it is told to stop must not end by itself */
		if (t->program->own || t->status || !rnd(2) || !has_slot(t))
			break;
		step(t, "ended");
		kill_tree(t);
		revive(t);
	}
}

/* Let it end, and look whether all was well. Returns 0, or 1 if it was not. */
static int finish(struct tree *t)
{
	bool ended_early = !t->lost && has_ended(t) && t->program->own;
	int i, bad = 0;

	step(t, "finish");
	if (t->program->stop && !t->lost && !ended_early)
		t->program->stop(t);
	else
		tell_stop(t);
	if (!t->lost && !wait_end(t)) {
		tell_wrong(t, "the tree does not end");
		tell_tasks(t);
		bad = 1;
	} else if (!t->lost && (t->status || ended_early)) {
		tell_wrong(t, "status 0x%x%s", t->status, ended_early ? ", too early" : "");
		bad = 1;
	} else if (!t->lost && t->program->output && !output_is_good(t)) {
		tell_wrong(t, "other output than without checkpoints");
		bad = 1;
	}
	kill_tree(t);
	reap_copies(t, true);
	for (i = 0; i < SLOTS; i++) {
		set_image(t, i, -1);
		set_kept(t, i, 0);
	}
	leave_world(t);
	return bad;
}

#endif /* _RANDOM_OPS_H */
