// SPDX-License-Identifier: GPL-2.0
/*
 * Signals at any moment of checkpoint() and restart(): SIGKILL, one that is
 * handled, a stop that goes on; to the caller, or to a task of the tree while
 * it is being parked, saved, restored or put back.
 *
 * Each time: the call returns, with an error and a reason or with success, or
 * its caller is dead. Whoever was not killed is as it was. A restored tree is
 * there as a whole, but for whom the signal killed, or not at all. Nobody stays
 * parked, and nothing is left behind.
 */
#include "torture_tree.h"

#define QUANTUM		12	/* calls before a tree is made anew */

enum op {
	OP_FILE, OP_SLOW, OP_KEEP, OP_ROLLBACK, OP_RESTART, OP_RESTART_SLOW, OP_UNDO, NR_OPS
};

static const char * const op_name[NR_OPS] = {
	"checkpoint to a file", "checkpoint to a slow pipe", "checkpoint that is kept",
	"rollback", "restart", "restart from a slow pipe", "restart from memory",
};

enum kind { KIND_KILL, KIND_HANDLED, KIND_STOP, NR_KINDS };

static const char * const kind_name[NR_KINDS] = { "SIGKILL", "a handled signal", "a stop" };

/* What the caller tells about its call. */
struct outcome {
	long ret;
	int err;
	double seconds;
	char reason[200];
};

static struct tree tree;
static double duration[NR_OPS];
static unsigned long calls[NR_OPS], refused, killed, gone;
static pid_t helper;

static bool needs_tree(enum op op)
{
	return op <= OP_ROLLBACK;
}

/* ---- the caller, a process of its own ---- */

/*
 * The far end of a pipe: takes (@file < 0) or gives the image, a page at a time
 * and with pauses, so that the call takes long.
 */
static int slow_pipe(int file)
{
	char page[TREE_PAGE];
	ssize_t n;
	int end;

	helper = torture_channel(false, file >= 0, &end);
	if (helper)
		return end;
	signal(SIGPIPE, SIG_IGN);
	while ((n = read(file < 0 ? end : file, page, sizeof(page))) > 0) {
		if (file >= 0 && write(end, page, n) != n)
			break;
		torture_sleep_us(200);
	}
	_exit(0);
}

/* What the call reads or writes; -1 if it does neither. */
static int open_end(enum op op)
{
	int file, fd;

	switch (op) {
	case OP_FILE:
		return torture_open("tried", O_RDWR | O_CREAT | O_TRUNC);
	case OP_SLOW:
		return slow_pipe(-1);
	case OP_RESTART:
		return torture_open("image", O_RDONLY);
	case OP_RESTART_SLOW:
		file = torture_open("image", O_RDONLY);
		fd = slow_pipe(file);
		close(file);
		return fd;
	default:
		return -1;
	}
}

static long call(enum op op, int fd)
{
	switch (op) {
	case OP_FILE:
	case OP_SLOW:
		return sys_checkpoint(tree.pid, fd, 0);
	case OP_KEEP:
		return sys_checkpoint(tree.pid, -1, CHECKPOINT_KEEP);
	case OP_ROLLBACK:
		return sys_restart(tree.kept, -1, RESTART_ROLLBACK | RESTART_CONN_RESET);
	case OP_UNDO:
		return sys_restart(tree.kept, -1, RESTART_CONN_RESET);
	default:
		return sys_restart(0, fd, RESTART_CONN_RESET);
	}
}

static void on_signal(int sig)
{
	(void)sig;
}

/* Says when it begins, and what became of it. */
static void __attribute__((noreturn)) caller(enum op op, int fd, int tell)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct outcome o = { };
	double start;

	sigaction(SIGUSR1, &sa, NULL);
	if (write(tell, "", 1) != 1)
		_exit(1);
	start = torture_now();
	o.ret = call(op, fd);
	o.err = o.ret < 0 ? errno : 0;
	o.seconds = torture_now() - start;
	snprintf(o.reason, sizeof(o.reason), "%s", cr_report("reason"));
	_exit(write(tell, &o, sizeof(o)) != sizeof(o));
}

/* ---- victims ---- */

/* Slots of the same process. */
static bool same_process(int a, int b)
{
	return a == b || (a <= TREE_THREAD && b <= TREE_THREAD) ||
	       (a >= TREE_CHILD && a <= TREE_CHILD_THREAD &&
		b >= TREE_CHILD && b <= TREE_CHILD_THREAD);
}

/* Slot of a task, or -1 for the caller. The zombie has nothing to lose. */
static int any_victim(void)
{
	int slot = torture_below(TREE_ZOMBIE + 2);

	return slot < TREE_ZOMBIE ? slot : -1;
}

/* Returns whether there was somebody to get it. */
static bool send_to(enum kind kind, int victim, pid_t pid)
{
	pid_t tid = victim < 0 ? pid : tree.tid[victim];

	switch (kind) {
	case KIND_KILL:
		return !syscall(SYS_tkill, tid, SIGKILL);
	case KIND_HANDLED:
		/* those that have no handler ignore another one */
		return !syscall(SYS_tkill, tid, victim <= TREE_THREAD ? SIGUSR1 : SIGWINCH);
	default:
		if (syscall(SYS_tkill, tid, SIGSTOP))
			return false;
		torture_sleep_us(torture_below(20000));
		return !syscall(SYS_tkill, tid, SIGCONT);
	}
}

/* ---- what must be so afterwards ---- */

/* The wait status of @pid; gives up on it when it takes too long. */
static int wait_for(pid_t pid, const char *what)
{
	double end = torture_now() + TORTURE_WAIT_S;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (torture_now() > end) {
			tree_tell(&tree);
			torture_fail("%s: the caller does not return", what);
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
		torture_sleep_us(500);
	}
	return status;
}

/* Killed callers may have left some in the kernel; ours is not to be touched. */
static void discard_others(void)
{
	static char text[1 << 16];
	char *line;
	int crid;

	if (!torture_read("/proc/checkpoints", text, sizeof(text)))
		torture_die("/proc/checkpoints");
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		crid = atoi(line);
		if (crid > 0 && crid != tree.kept && sys_checkpoint(crid, -1, CHECKPOINT_DISCARD))
			torture_fail("checkpoint %d cannot be discarded", crid);
	}
}

/*
 * The caller was killed, so nobody knows how far it came: wait until the tree
 * is gone, or answers as a whole.
 */
static void settle(const char *what)
{
	double end = torture_now() + TORTURE_WAIT_S;
	uint32_t ask = __atomic_add_fetch(&tree_control->ask, 1, __ATOMIC_SEQ_CST);

	syscall(SYS_futex, &tree_control->ask, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	while (tree_left(&tree)) {
		if (tree_answered(&tree, ask)) {
			tree_ask(&tree, what);
			return;
		}
		if (torture_now() > end) {
			tree_tell(&tree);
			torture_fail("%s: the tree is neither gone nor there", what);
			return;
		}
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			;
		torture_sleep_us(500);
		syscall(SYS_futex, &tree_control->ask, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	}
	gone++;
}

static void check_restart(const char *what, const struct outcome *o, bool told)
{
	pid_t left;

	if (!told) {
		settle(what);
	} else if (o->ret >= 0) {
		tree_ask(&tree, what);
	} else {
		gone++;
		left = tree_left(&tree);
		if (left)
			torture_fail("%s: failed, but pid %d is there, state %c", what, left,
				     tree_task_state(left) ?: '-');
	}
	tree_kill(&tree, what);
	memset(tree.lost, 0, sizeof(tree.lost));
}

static void check_outcome(const char *what, const struct outcome *o)
{
	if (o->ret >= 0)
		return;
	refused++;
	if (o->err != EINTR && o->err != EAGAIN && o->err != ESRCH && o->err != EBUSY)
		torture_fail("%s: errno %d: %s", what, o->err, o->reason);
	else if (!*o->reason)
		torture_fail("%s: errno %d without a reason", what, o->err);
}

/* ---- one call ---- */

/* False if the tree is not the same any more. */
static bool one(enum op op, bool calm)
{
	int victim = any_victim(), fd = open_end(op), tell[2], status, i;
	enum kind kind = torture_below(NR_KINDS);
	double at = duration[op] * torture_below(1100) / 1000 / (torture_below(2) ? 1 : 8);
	bool met = false, told;
	struct outcome o = { };
	char what[160], byte;
	pid_t pid;

	snprintf(what, sizeof(what), "%s, %s after %.0f us of %.0f to %s %d", op_name[op],
		 calm ? "no signal" : kind_name[kind], at * 1e6, duration[op] * 1e6,
		 victim < 0 ? "caller" : "slot", victim);
	if (pipe2(tell, O_CLOEXEC))
		torture_die("pipe");
	pid = fork();
	if (!pid)
		caller(op, fd, tell[1]);
	close(tell[1]);
	close(fd);
	if (read(tell[0], &byte, 1) == 1 && !calm) {
		torture_sleep_us(at * 1e6);
		met = send_to(kind, victim, pid);
	}
	status = wait_for(pid, what);
	told = read(tell[0], &o, sizeof(o)) == sizeof(o);
	close(tell[0]);
	if (helper)
		waitpid(helper, NULL, 0);
	helper = 0;
	calls[op]++;
	if (!told && !(WIFSIGNALED(status) && kind == KIND_KILL && victim < 0))
		torture_fail("%s: the caller ended with status 0x%x", what, status);
	if (told)
		check_outcome(what, &o);
	if (calm) {
		duration[op] = o.seconds;
		if (o.ret < 0)
			torture_fail("%s: errno %d: %s", what, o.err, o.reason);
	}
	if (met && kind == KIND_KILL) {
		killed++;
		for (i = 0; i < TREE_NR && victim >= 0; i++)
			tree.lost[i] |= same_process(i, victim);
	}
	discard_others();
	if (!needs_tree(op))
		check_restart(what, &o, told);
	else if (!tree_ask(&tree, what))
		return false;
	return !(met && kind == KIND_KILL && victim >= 0);
}

/* ---- */

/* How long each takes when nobody disturbs it. */
static void measure(void)
{
	enum op op;

	tree_make(&tree);
	for (op = 0; op < NR_OPS; op++) {
		if (op == OP_RESTART)
			tree_kill(&tree, "original");
		one(op, true);
		torture_say("%s: %.1f ms", op_name[op], duration[op] * 1e3);
	}
	tree_end(&tree);
}

int main(int argc, char **argv)
{
	struct torture_counts before;
	int i;

	torture_begin("torture_signals", argc, argv, NULL);
	tree_init(&tree);
	measure();
	torture_counts_take(&before);
	while (torture_time_left()) {
		tree_make(&tree);
		for (i = 0; i < QUANTUM && torture_time_left(); i++)
			if (!one(torture_below(OP_ROLLBACK + 1), false))
				break;
		tree_kill(&tree, "original");
		memset(tree.lost, 0, sizeof(tree.lost));
		for (i = 0; i < QUANTUM && torture_time_left(); i++)
			one(OP_RESTART + torture_below(NR_OPS - OP_RESTART), false);
		tree_end(&tree);
		torture_counts_check(&before, 8, "after a round");
	}
	for (i = 0; i < NR_OPS; i++)
		torture_say("%s: %lu calls", op_name[i], calls[i]);
	torture_figure("checkpoints=%lu rollbacks=%lu restarts=%lu", calls[OP_FILE] +
		       calls[OP_SLOW] + calls[OP_KEEP], calls[OP_ROLLBACK],
		       calls[OP_RESTART] + calls[OP_RESTART_SLOW] + calls[OP_UNDO]);
	torture_figure("killed=%lu refused=%lu trees_gone=%lu", killed, refused, gone);
	return torture_end();
}
