// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation fails once, and so does every copy from and to user space:
 * in checkpoint() and restart(), in the caller and in the tasks that restart()
 * makes.
 *
 * For each of several series the number of faults that can be met is found by
 * trying; then each of them, in an order that the seed tells, is let happen,
 * until all have been or the time is over. After each one: the call has failed
 * with an error of its own and a reason, or has succeeded in spite of it and
 * done all of its work; a tree that was alive is as it was; one that was to be
 * restarted is there as a whole or not at all.
 *
 *	--series I --nth N	only this one, with the stack of the fault on the
 *				console: for a failure that is to be understood
 */
#include "torture_tree.h"
#include "torture_inject.h"
#include "torture_order.h"

#define QUANTUM		24	/* calls before a tree is made anew */
/* Restored tasks must not run and meet the fault before it is called off. */
#define RESTART_FLAGS	(RESTART_CONN_RESET | RESTART_FROZEN)
#define NTH_MAX		1000000
/* A series whose first report cannot be allocated has no words for it. */
#define WORDLESS_MAX	6

enum op { OP_IMAGE, OP_KEEP, OP_WRITE, OP_ROLLBACK, OP_RESTART, OP_UNDO };

/**
 * struct series - faults of one kind in calls of one kind
 * @op: the call
 * @method: how the fault is made
 * @name: for messages
 * @hit: the largest number that was met, while the end is being looked for
 * @miss: the least number that was not met; 0: none yet
 * @at: the number that is being tried
 * @order: faults that there are, once that is known
 * @injected: faults that happened
 * @survived: calls that succeeded in spite of it
 * @wordless: failures without a reason
 */
static struct series {
	enum op op;
	enum inject_method method;
	const char *name;
	unsigned int hit, miss, at;
	struct torture_order order;
	unsigned long calls, injected, survived, wordless;
} series[] = {
	{ .op = OP_IMAGE, .method = INJECT_NTH, .name = "checkpoint to a file" },
	{ .op = OP_KEEP, .method = INJECT_NTH, .name = "checkpoint that is kept" },
	{ .op = OP_WRITE, .method = INJECT_NTH, .name = "write a kept one" },
	{ .op = OP_ROLLBACK, .method = INJECT_SLAB, .name = "rollback, slab" },
	{ .op = OP_ROLLBACK, .method = INJECT_PAGE, .name = "rollback, pages" },
	{ .op = OP_ROLLBACK, .method = INJECT_COPY, .name = "rollback, copies" },
	{ .op = OP_RESTART, .method = INJECT_SLAB, .name = "restart, slab" },
	{ .op = OP_RESTART, .method = INJECT_PAGE, .name = "restart, pages" },
	{ .op = OP_RESTART, .method = INJECT_COPY, .name = "restart, copies" },
	{ .op = OP_UNDO, .method = INJECT_SLAB, .name = "restart from memory, slab" },
	{ .op = OP_UNDO, .method = INJECT_PAGE, .name = "restart from memory, pages" },
	{ .op = OP_UNDO, .method = INJECT_COPY, .name = "restart from memory, copies" },
};

#define NR_SERIES	(sizeof(series) / sizeof(series[0]))

static unsigned long only_series = NR_SERIES, only_nth;
static struct tree tree;
static bool retire;		/* the tree is to be made anew */

static bool needs_tree(const struct series *s)
{
	return s->op <= OP_ROLLBACK;
}

/* ---- one call with one fault ---- */

/* @image: for the caller to close, when no fault can happen any more. */
static long call(const struct series *s, int *image)
{
	int fd = -1;
	long ret = -1;

	if (s->op == OP_IMAGE || s->op == OP_WRITE)
		fd = torture_open("tried", O_RDWR | O_CREAT | O_TRUNC);
	else if (s->op == OP_RESTART)
		fd = torture_open("image", O_RDONLY);
	*image = fd;
	inject_arm(s->method, s->at);
	switch (s->op) {
	case OP_IMAGE:
		ret = sys_checkpoint(tree.pid, fd, 0);
		break;
	case OP_KEEP:
		ret = sys_checkpoint(tree.pid, -1, CHECKPOINT_KEEP);
		break;
	case OP_WRITE:
		ret = sys_checkpoint(tree.kept, fd, CHECKPOINT_WRITE | CHECKPOINT_KEEP);
		break;
	case OP_ROLLBACK:
		ret = sys_restart(tree.kept, -1, RESTART_ROLLBACK | RESTART_FLAGS);
		break;
	case OP_RESTART:
		ret = sys_restart(0, fd, RESTART_FLAGS);
		break;
	case OP_UNDO:
		ret = sys_restart(tree.kept, -1, RESTART_FLAGS);
		break;
	}
	return ret;
}

/*
 * What went wrong: no memory, or a bad address. Without memory a socket or a pipe
 * is ENFILE, and a port is EADDRINUSE when there is none to note it down.
 */
static bool error_is_right(const struct series *s, int err)
{
	return err == ENOMEM || err == ENOBUFS || err == ENFILE ||
	       (err == EADDRINUSE && s->op >= OP_ROLLBACK) ||
	       (err == EAGAIN && strstr(cr_report("reason"), "no memory")) ||
	       (err == EFAULT && (s->method == INJECT_COPY || s->method == INJECT_NTH));
}

static void check_words(struct series *s, const char *what, int err)
{
	if (atol(cr_report("result")) == -err && *cr_report("reason"))
		return;
	/* no memory for the report itself, or for what would have been told */
	if (err == ENOMEM && ++s->wordless <= WORDLESS_MAX)
		return;
	torture_fail("%s: errno %d without a reason", what, err);
}

/* A tree that is restored is complete, one that could not be is not there. */
static void check_restored(const char *what, bool ok)
{
	pid_t left;

	if (ok) {
		tree_ask(&tree, what);
		tree_kill(&tree, what);
		return;
	}
	left = tree_left(&tree);
	if (left)
		torture_fail("%s: failed, but pid %d is there, state %c", what, left,
			     tree_task_state(left) ?: '-');
	if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD)
		torture_fail("%s: failed, but left a child", what);
	tree_kill(&tree, what);
}

/* An image that was written in spite of a fault must be as good as any. */
static void check_image(const char *what)
{
	int fd = torture_open("tried", O_RDONLY);

	tree_kill(&tree, what);
	retire = true;
	if (sys_restart(0, fd, RESTART_CONN_RESET) < 0)
		torture_fail("%s: succeeded, but the image is bad: errno %d, %s", what, errno,
			     cr_report("reason"));
	else
		check_restored(what, true);
	close(fd);
}

static void check_rollback(const char *what, bool ok, uint32_t rounds)
{
	if (!tree_ask(&tree, what)) {
		retire = true;
		return;
	}
	if (ok && tree_rounds() >= rounds)
		torture_fail("%s: succeeded, but memory is that of now", what);
	if (!ok && tree_rounds() != rounds + 1)
		torture_fail("%s: failed, but memory has changed", what);
	/* so that it can be told which of the two it is, next time */
	while (tree_rounds() < 6 && tree_ask(&tree, what))
		;
}

static void judge(struct series *s, const char *what, long ret, bool hit, uint32_t rounds)
{
	bool ok = ret >= 0;

	s->injected += hit;
	s->survived += hit && ok;
	if (s->op == OP_KEEP && ok && sys_checkpoint(ret, -1, CHECKPOINT_DISCARD))
		torture_fail("%s: succeeded, but is not kept", what);
	switch (s->op) {
	case OP_KEEP:
	case OP_IMAGE:
	case OP_WRITE:
		if (!tree_ask(&tree, what))
			retire = true;
		else if (s->op != OP_KEEP && ok && hit && !torture_below(4))
			check_image(what);
		break;
	case OP_ROLLBACK:
		check_rollback(what, ok, rounds);
		break;
	case OP_RESTART:
	case OP_UNDO:
		check_restored(what, ok);
		break;
	}
}

/* The next number of the series; returns whether there was such a fault. */
static bool one(struct series *s)
{
	uint32_t rounds = tree_rounds();
	char what[128];
	int err, image;
	long ret;
	bool hit;

	snprintf(what, sizeof(what), "series %d (%s) nth %u", (int)(s - series), s->name, s->at);
	ret = call(s, &image);
	err = ret < 0 ? errno : 0;
	hit = inject_disarm(s->method);
	if (ret >= 0 && s->op >= OP_ROLLBACK)
		tree_continue(&tree);
	if (image >= 0)
		close(image);
	s->calls++;
	if (only_nth)
		torture_say("%s: fault %s, returned %ld, errno %d, reason: %s", what,
			    hit ? "met" : "not met", ret, err, cr_report("reason"));
	if (ret < 0 && !hit)
		torture_fail("%s: without a fault: errno %d, %s", what, err,
			     cr_report("reason"));
	else if (ret < 0 && !error_is_right(s, err))
		torture_fail("%s: errno %d, %s", what, err, cr_report("reason"));
	else if (ret < 0)
		check_words(s, what, err);
	judge(s, what, ret, hit, rounds);
	return hit;
}

/* ---- series ---- */

/* Look for the end: twice as far while faults are met, then in between. */
static void look_for_end(struct series *s)
{
	s->at = s->miss ? s->hit + (s->miss - s->hit) / 2 : s->hit ? s->hit * 2 : 1;
	if (one(s))
		s->hit = s->at;
	else
		s->miss = s->at;
	if (s->hit >= NTH_MAX)
		torture_die("series %s has no end", s->name);
	if (s->miss && s->miss - s->hit <= 1 + s->hit / 64) {
		torture_order_make(&s->order, s->miss);
		torture_say("series %d (%s): %u faults", (int)(s - series), s->name, s->miss);
	}
}

static bool finished(const struct series *s)
{
	return s->order.nr && !torture_order_left(&s->order);
}

static void step(struct series *s)
{
	if (!s->order.nr) {
		look_for_end(s);
		return;
	}
	s->at = torture_order_next(&s->order);
	one(s);
}

/* A few calls of the series that need a living tree, or of those that do not. */
static void quantum(bool living)
{
	static unsigned int turn[2];
	unsigned int i, tried;

	for (i = 0; i < QUANTUM && torture_time_left() && !retire; i++) {
		struct series *s = NULL;

		for (tried = 0; tried < NR_SERIES && !s; tried++) {
			s = &series[turn[living]++ % NR_SERIES];
			if (needs_tree(s) != living || finished(s))
				s = NULL;
		}
		if (!s)
			return;
		step(s);
	}
}

/* ---- */

static void make_tree(void)
{
	tree_make(&tree);
	retire = false;
	while (tree_rounds() < 6 && tree_ask(&tree, "after the first checkpoint"))
		;
}

static void only_one(struct series *s, unsigned int n)
{
	make_tree();
	s->at = n;
	if (!needs_tree(s))
		tree_kill(&tree, "original");
	one(s);
	tree_end(&tree);
}

static bool all_finished(void)
{
	size_t i;

	for (i = 0; i < NR_SERIES; i++)
		if (!finished(&series[i]))
			return false;
	return true;
}

static void figures(void)
{
	unsigned long calls = 0, injected = 0, survived = 0, known = 0, done = 0;
	size_t i;

	for (i = 0; i < NR_SERIES; i++) {
		struct series *s = &series[i];

		torture_say("series %zu (%s): %u of %u, %lu calls, %lu faults, survived %lu",
			    i, s->name, s->order.done, s->order.total, s->calls,
			    s->injected, s->survived);
		calls += s->calls;
		injected += s->injected;
		survived += s->survived;
		known += s->order.total;
		done += s->order.done;
	}
	torture_figure("calls=%lu faults_injected=%lu survived=%lu places=%lu places_tried=%lu",
		       calls, injected, survived, known, done);
}

int main(int argc, char **argv)
{
	const struct torture_option options[] = {
		{ "series", &only_series },
		{ "nth", &only_nth },
		{ },
	};
	struct torture_counts before;

	torture_begin("torture_faults", argc, argv, options);
	if (!inject_init(only_nth ? 2 : 0)) {
		torture_say("this kernel has no fault injection: skipped");
		return TORTURE_SKIPPED;
	}
	tree_init(&tree);
	/* what is made once and stays is there before it is counted */
	make_tree();
	tree_end(&tree);
	torture_counts_take(&before);
	if (only_nth && only_series < NR_SERIES)
		only_one(&series[only_series], only_nth);
	while (!only_nth && torture_time_left() && !all_finished()) {
		make_tree();
		quantum(true);
		tree_kill(&tree, "original");
		retire = false;
		quantum(false);
		tree_end(&tree);
		torture_counts_check(&before, 8, "after a round");
	}
	figures();
	return torture_end();
}
