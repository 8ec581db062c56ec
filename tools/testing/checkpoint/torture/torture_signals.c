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
 *
 * Where the kernel has signal_at, every moment has its turn: the end of each
 * phase, and before each object that is saved or restored. A series is one kind
 * of signal to one receiver in one kind of call; how many moments there are is
 * counted in a call that nobody disturbs. Their order is random, and so is who of
 * the tree gets a signal that is for a task.
 *
 * In some rounds, and in all when every moment has been tried, signals are sent
 * after a random time. These reach what is between two moments: tasks on their way
 * to be parked, writing and reading (pipes with a slow other end make it take
 * long), the switch of a rollback, the end of those who are killed.
 *
 *	--series I --nth N	only this moment, for a failure that is to be understood
 */
#include "torture_tree.h"
#include "torture_order.h"
#include "signal_at.h"

#define QUANTUM		12	/* calls before a tree is made anew, and a round ends */
#define RANDOM_ROUNDS	4	/* one of so many is random */

enum op {
	OP_FILE, OP_SLOW, OP_KEEP, OP_WRITE, OP_ROLLBACK, OP_KILL,
	OP_RESTART, OP_RESTART_SLOW, OP_UNDO, NR_OPS
};

static const char * const op_name[NR_OPS] = {
	"checkpoint to a file", "checkpoint to a slow pipe", "checkpoint that is kept",
	"write a kept one", "rollback", "checkpoint and kill", "restart",
	"restart from a slow pipe", "restart from memory",
};

enum kind { KIND_KILL, KIND_HANDLED, KIND_STOP, NR_KINDS };

static const char * const kind_name[NR_KINDS] = { "SIGKILL", "a handled signal", "a stop" };

/* Who gets the signal; from 0 on it is a slot of the tree. */
enum { A_TASK = 0, CALLER = -1, IN_PLACE = -2, NOBODY = -3 };

/**
 * struct trial - one call, and what is done to it
 * @op: the call
 * @kind: of signal
 * @victim: slot; or CALLER; IN_PLACE: whoever the moment is in; NOBODY
 * @nr: moment; 0: after a time
 * @after: that time, seconds
 * @what: all that, for messages
 */
struct trial {
	enum op op;
	enum kind kind;
	int victim;
	unsigned int nr;
	double after;
	char what[256];
};

/* What the caller tells about its call. */
struct outcome {
	long ret;
	int err;
	double seconds;
	char reason[200];
};

/**
 * struct result - what became of a trial
 * @o: only if @told
 * @told: the caller was there to tell
 * @met: the signal was sent to somebody
 * @to_caller: who was the caller
 * @pid: caller
 * @status: its wait status
 * @moments: up to the signal; all, if there was none
 */
struct result {
	struct outcome o;
	bool told, met, to_caller;
	pid_t pid;
	int status;
	unsigned int moments;
};

/**
 * struct series - the same signal, to the same receiver, at every moment of a call
 * @op: the call
 * @kind: of signal
 * @to: CALLER, IN_PLACE or A_TASK
 * @order: moments
 * @met: at so many somebody got it
 */
static struct series {
	enum op op;
	enum kind kind;
	int to;
	struct torture_order order;
	unsigned long met;
} series[NR_OPS * 3 * NR_KINDS];

static unsigned long nr_series, only_series = ~0UL, only_nth;
static struct tree tree;
static double duration[NR_OPS];
static unsigned int moments[NR_OPS];
static unsigned long calls[NR_OPS], refused, killed, gone;
static pid_t helper;

static bool needs_tree(enum op op)
{
	return op <= OP_KILL;
}

/* Tasks are made in it. */
static bool restores(enum op op)
{
	return op >= OP_RESTART || op == OP_ROLLBACK;
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
	case OP_WRITE:
	case OP_KILL:
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
	case OP_WRITE:
		return sys_checkpoint(tree.kept, fd, CHECKPOINT_WRITE | CHECKPOINT_KEEP);
	case OP_KILL:
		return sys_checkpoint(tree.pid, fd, CHECKPOINT_KILL);
	case OP_ROLLBACK:
		return sys_restart(tree.kept, -1, RESTART_ROLLBACK | RESTART_CONN_RESET);
	case OP_UNDO:
		return sys_restart(tree.kept, -1, RESTART_CONN_RESET);
	default:
		return sys_restart(0, fd, RESTART_CONN_RESET);
	}
}

static int signal_of(const struct trial *t)
{
	switch (t->kind) {
	case KIND_KILL:
		return SIGKILL;
	case KIND_STOP:
		return SIGSTOP;
	default:
		/* those that have no handler ignore another one */
		return t->victim == CALLER || t->victim == TREE_ROOT ||
		       t->victim == TREE_THREAD ? SIGUSR1 : SIGWINCH;
	}
}

static void arm(const struct trial *t)
{
	if (t->victim == NOBODY)
		signal_at_arm(SIGNAL_AT_NEVER, SIGWINCH, 0);
	else
		signal_at_arm(t->nr, signal_of(t), t->victim == CALLER ? getpid() :
			      t->victim == IN_PLACE ? 0 : tree.tid[t->victim]);
}

static void on_signal(int sig)
{
	(void)sig;
}

/* Says when it begins, and what became of it. */
static void __attribute__((noreturn)) caller(const struct trial *t, int fd, int tell)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct outcome o = { };
	double start;

	sigaction(SIGUSR1, &sa, NULL);
	if (write(tell, "", 1) != 1)
		_exit(1);
	if (t->nr)
		arm(t);
	start = torture_now();
	o.ret = call(t->op, fd);
	o.err = o.ret < 0 ? errno : 0;
	o.seconds = torture_now() - start;
	snprintf(o.reason, sizeof(o.reason), "%s", cr_report("reason"));
	_exit(write(tell, &o, sizeof(o)) != sizeof(o));
}

/* After a time; returns whether there was somebody to get it. */
static bool send_now(const struct trial *t, pid_t pid)
{
	pid_t tid = t->victim < 0 ? pid : tree.tid[t->victim];

	torture_sleep_us(t->after * 1e6);
	if (syscall(SYS_tkill, tid, signal_of(t)))
		return false;
	if (t->kind != KIND_STOP)
		return true;
	torture_sleep_us(torture_below(20000));
	return !syscall(SYS_tkill, tid, SIGCONT);
}

/* The wait status of the caller; gives up on it when it takes too long. */
static int wait_for(const struct trial *t, pid_t pid)
{
	double end = torture_now() + TORTURE_WAIT_S;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (torture_now() > end) {
			tree_tell(&tree);
			torture_fail("%s: the caller does not return", t->what);
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
		/* not before it has stopped: that would take the signal away from the call */
		if (t->kind == KIND_STOP && tree_task_state(pid) == 'T')
			kill(pid, SIGCONT);
		torture_sleep_us(500);
	}
	return status;
}

/* What was done at the moment, also into the messages. */
static void look_back(struct trial *t, struct result *r)
{
	size_t used = strlen(t->what);
	struct signal_at at;

	signal_at_look(&at);
	r->moments = at.nr;
	if (!strcmp(at.state, "armed"))
		return;
	r->met = signal_at_sent(&at);
	r->to_caller = r->met && at.pid == r->pid;
	snprintf(t->what + used, sizeof(t->what) - used, " (%s %s, %s to pid %d)", at.event,
		 at.what, at.state, at.pid);
}

static void run(struct trial *t, struct result *r)
{
	int fd = open_end(t->op), tell[2];
	char byte;

	memset(r, 0, sizeof(*r));
	if (pipe2(tell, O_CLOEXEC))
		torture_die("pipe");
	r->pid = fork();
	if (!r->pid)
		caller(t, fd, tell[1]);
	close(tell[1]);
	if (fd >= 0)
		close(fd);
	if (read(tell[0], &byte, 1) == 1 && !t->nr && t->victim != NOBODY) {
		r->met = send_now(t, r->pid);
		r->to_caller = r->met && t->victim == CALLER;
	}
	r->status = wait_for(t, r->pid);
	r->told = read(tell[0], &r->o, sizeof(r->o)) == sizeof(r->o);
	close(tell[0]);
	if (helper)
		waitpid(helper, NULL, 0);
	helper = 0;
	if (t->nr)
		look_back(t, r);
	calls[t->op]++;
}

/* ---- what must be so afterwards ---- */

/* Slots of the same process. */
static bool same_process(int a, int b)
{
	return a == b || (a <= TREE_THREAD && b <= TREE_THREAD) ||
	       (a >= TREE_CHILD && a <= TREE_CHILD_THREAD &&
		b >= TREE_CHILD && b <= TREE_CHILD_THREAD);
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
 * The caller was killed, so nobody knows how far it came, or the tree was: wait
 * until it is gone, or answers as a whole. Returns whether it is gone.
 */
static bool settle(const char *what)
{
	double end = torture_now() + TORTURE_WAIT_S;
	uint32_t ask = __atomic_add_fetch(&tree_control->ask, 1, __ATOMIC_SEQ_CST);

	syscall(SYS_futex, &tree_control->ask, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	while (tree_left(&tree)) {
		if (tree_answered(&tree, ask)) {
			tree_ask(&tree, what);
			return false;
		}
		if (torture_now() > end) {
			tree_tell(&tree);
			torture_fail("%s: the tree is neither gone nor there", what);
			return true;
		}
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			;
		torture_sleep_us(500);
		syscall(SYS_futex, &tree_control->ask, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	}
	gone++;
	return true;
}

static void check_restart(const char *what, const struct result *r)
{
	pid_t left;

	if (!r->told) {
		settle(what);
	} else if (r->o.ret >= 0) {
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

/* Alive after an error, or dead and with an image that is good. Returns the former. */
static bool check_kill(const char *what, const struct result *r)
{
	int fd;

	if (r->told && r->o.ret < 0)
		return tree_ask(&tree, what);
	if (!settle(what)) {
		if (r->told)
			torture_fail("%s: succeeded, but the tree is not dead", what);
		return true;
	}
	tree_kill(&tree, what);
	/* who was killed in time is not in it */
	fd = torture_open("tried", O_RDONLY);
	if (sys_restart(0, fd, RESTART_CONN_RESET) < 0) {
		torture_fail("%s: the tree is dead, but its image is bad: errno %d, %s", what,
			     errno, cr_report("reason"));
	} else {
		/* a stop may be part of the image */
		tree_continue(&tree);
		tree_ask(&tree, what);
	}
	close(fd);
	tree_kill(&tree, what);
	memset(tree.lost, 0, sizeof(tree.lost));
	return false;
}

/* Whose parent was killed belongs to the tree no more, and has a pid of it. */
static bool may_be_in_the_way(const struct trial *t)
{
	return t->op == OP_ROLLBACK && t->kind == KIND_KILL && t->victim >= 0;
}

/* And what shares memory, a session or a socket with it cannot be saved without it. */
static bool may_be_refused(const struct trial *t)
{
	return needs_tree(t->op) && t->kind == KIND_KILL && t->victim >= 0;
}

static void check_outcome(const struct trial *t, const struct outcome *o)
{
	const char *what = t->what;

	if (o->ret >= 0)
		return;
	refused++;
	if (o->err != EINTR && o->err != EAGAIN && o->err != ESRCH && o->err != EBUSY &&
	    !(o->err == EEXIST && may_be_in_the_way(t)) &&
	    !(o->err == EOPNOTSUPP && may_be_refused(t)))
		torture_fail("%s: errno %d: %s", what, o->err, o->reason);
	else if (!*o->reason)
		torture_fail("%s: errno %d without a reason", what, o->err);
}

/* The caller, and what it said. */
static void check_caller(const struct trial *t, const struct result *r)
{
	bool dead = WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGKILL;

	if (r->told)
		check_outcome(t, &r->o);
	else if (!dead || t->kind != KIND_KILL || !r->to_caller)
		torture_fail("%s: the caller ended with status 0x%x", t->what, r->status);
	if (t->victim == NOBODY && r->o.ret < 0)
		torture_fail("%s: errno %d: %s", t->what, r->o.err, r->o.reason);
	if (!t->nr || !r->met || t->kind != KIND_KILL || !r->told)
		return;
	if (r->to_caller)
		torture_fail("%s: the caller was killed, but went on", t->what);
	else if (t->victim == IN_PLACE && r->o.ret >= 0)
		torture_fail("%s: succeeded with a task that was killed", t->what);
}

/* One call. False if the tree is not the same any more. */
static bool one(struct trial *t, struct result *r)
{
	bool same = true;
	int i;

	run(t, r);
	check_caller(t, r);
	if (r->met && t->kind == KIND_KILL) {
		killed++;
		for (i = 0; i < TREE_NR && t->victim >= 0; i++)
			tree.lost[i] |= same_process(i, t->victim);
	}
	if (r->met && t->kind == KIND_STOP)
		tree_continue(&tree);
	discard_others();
	if (!needs_tree(t->op)) {
		check_restart(t->what, r);
		return true;
	}
	same = t->op == OP_KILL ? check_kill(t->what, r) : tree_ask(&tree, t->what);
	return same && !(r->met && t->kind == KIND_KILL && t->victim >= 0);
}

/* ---- moments ---- */

static const char *receiver(int victim)
{
	static char text[32];

	if (victim >= 0)
		snprintf(text, sizeof(text), "slot %d", victim);
	return victim == CALLER ? "the caller" : victim == IN_PLACE ? "whoever is there" : text;
}

static void add_series(enum op op, int to, enum kind kind)
{
	struct series *s = &series[nr_series++];

	s->op = op;
	s->to = to;
	s->kind = kind;
	torture_order_make(&s->order, moments[op]);
}

static void make_series(void)
{
	enum kind kind;
	enum op op;

	for (op = 0; op < NR_OPS; op++) {
		/* their moments are those of the quick ones */
		if (op == OP_SLOW || op == OP_RESTART_SLOW)
			continue;
		for (kind = 0; kind < NR_KINDS; kind++) {
			add_series(op, CALLER, kind);
			if (op != OP_WRITE)
				add_series(op, A_TASK, kind);
			if (restores(op) && kind != KIND_HANDLED)
				add_series(op, IN_PLACE, kind);
		}
	}
}

static bool one_moment(struct series *s, unsigned int nr)
{
	/* the same task for --series and --nth */
	int slot = torture_choice(s - series, nr, TREE_ZOMBIE);
	struct trial t = {
		.op = s->op,
		.kind = s->kind,
		.victim = s->to == A_TASK ? slot : s->to,
		.nr = nr,
	};
	struct result r;
	bool same;

	snprintf(t.what, sizeof(t.what), "series %d nth %u of %u: %s, %s to %s",
		 (int)(s - series), nr, s->order.total, op_name[t.op], kind_name[t.kind],
		 receiver(t.victim));
	same = one(&t, &r);
	s->met += r.met;
	if (only_nth)
		torture_say("%s: returned %ld, errno %d, reason: %s", t.what, r.o.ret, r.o.err,
			    r.o.reason);
	return same;
}

/* The next series that has something left, of those that need a living tree or not. */
static struct series *next_series(bool living)
{
	static unsigned int turn[2];
	unsigned long tried;
	struct series *s;

	for (tried = 0; tried < nr_series; tried++) {
		s = &series[turn[living]++ % nr_series];
		if (needs_tree(s->op) == living && torture_order_left(&s->order))
			return s;
	}
	return NULL;
}

static bool moments_left(void)
{
	unsigned long i;

	for (i = 0; i < nr_series; i++)
		if (torture_order_left(&series[i].order))
			return true;
	return false;
}

static void renew_tree(void)
{
	tree_end(&tree);
	tree_make(&tree);
}

static void some_moments(bool living)
{
	struct series *s;
	bool same = true;
	int i;

	for (i = 0; i < QUANTUM && torture_time_left(); i++) {
		s = next_series(living);
		if (!s)
			return;
		if (!same)
			renew_tree();
		same = one_moment(s, torture_order_next(&s->order));
	}
}

/* ---- random times ---- */

/* The zombie has nothing to lose. */
static int any_victim(void)
{
	int slot = torture_below(TREE_ZOMBIE + 2);

	return slot < TREE_ZOMBIE ? slot : CALLER;
}

static bool one_random(enum op op)
{
	struct trial t = { .op = op, .victim = any_victim(), .kind = torture_below(NR_KINDS) };
	struct result r;

	t.after = duration[op] * torture_below(1100) / 1000 / (torture_below(2) ? 1 : 8);
	snprintf(t.what, sizeof(t.what), "%s, %s after %.0f us of %.0f to %s", op_name[op],
		 kind_name[t.kind], t.after * 1e6, duration[op] * 1e6, receiver(t.victim));
	return one(&t, &r);
}

static void some_random(bool living)
{
	enum op first = living ? 0 : OP_RESTART;
	int i;

	for (i = 0; i < QUANTUM && torture_time_left(); i++)
		if (!one_random(first + torture_below((living ? OP_RESTART : NR_OPS) - first)))
			break;
}

/* ---- */

/* How long each takes, and how many moments it has, when nobody disturbs it. */
static void measure(bool can_choose)
{
	struct result r;
	enum op op;

	tree_make(&tree);
	for (op = 0; op < NR_OPS; op++) {
		struct trial t = { .op = op, .victim = NOBODY };

		t.nr = can_choose ? SIGNAL_AT_NEVER : 0;
		snprintf(t.what, sizeof(t.what), "%s, no signal", op_name[op]);
		if (op == OP_RESTART)
			tree_kill(&tree, "original");
		one(&t, &r);
		duration[op] = r.o.seconds;
		moments[op] = r.moments;
		torture_say("%s: %.1f ms, %u moments", op_name[op], duration[op] * 1e3,
			    moments[op]);
	}
	tree_end(&tree);
}

static void only_one(struct series *s)
{
	tree_make(&tree);
	if (!needs_tree(s->op))
		tree_kill(&tree, "original");
	one_moment(s, only_nth);
	tree_end(&tree);
}

static void figures(void)
{
	unsigned long known = 0, done = 0, met = 0, i;

	for (i = 0; i < NR_OPS; i++)
		torture_say("%s: %lu calls", op_name[i], calls[i]);
	for (i = 0; i < nr_series; i++) {
		struct series *s = &series[i];

		torture_say("series %lu (%s, %s to %s): %u of %u, met %lu", i, op_name[s->op],
			    kind_name[s->kind], s->to == A_TASK ? "a task" : receiver(s->to),
			    s->order.done, s->order.total, s->met);
		known += s->order.total;
		done += s->order.done;
		met += s->met;
	}
	torture_figure("checkpoints=%lu rollbacks=%lu restarts=%lu", calls[OP_FILE] +
		       calls[OP_SLOW] + calls[OP_KEEP] + calls[OP_WRITE] + calls[OP_KILL],
		       calls[OP_ROLLBACK],
		       calls[OP_RESTART] + calls[OP_RESTART_SLOW] + calls[OP_UNDO]);
	torture_figure("killed=%lu refused=%lu trees_gone=%lu", killed, refused, gone);
	torture_figure("moments=%lu moments_tried=%lu moments_met=%lu", known, done, met);
}

int main(int argc, char **argv)
{
	const struct torture_option options[] = {
		{ "series", &only_series },
		{ "nth", &only_nth },
		{ },
	};
	struct torture_counts before;
	bool can_choose, choose;
	unsigned int round;

	torture_begin("torture_signals", argc, argv, options);
	can_choose = signal_at_init();
	if (!can_choose)
		torture_say("this kernel cannot choose the moment: random times only");
	tree_init(&tree);
	measure(can_choose);
	torture_counts_take(&before);
	if (can_choose)
		make_series();
	if (only_nth && only_series < nr_series)
		only_one(&series[only_series]);
	for (round = 0; !only_nth && torture_time_left(); round++) {
		choose = round % RANDOM_ROUNDS < RANDOM_ROUNDS - 1 && moments_left();
		tree_make(&tree);
		if (choose)
			some_moments(true);
		else
			some_random(true);
		tree_kill(&tree, "original");
		memset(tree.lost, 0, sizeof(tree.lost));
		if (choose)
			some_moments(false);
		else
			some_random(false);
		tree_end(&tree);
		torture_counts_check(&before, 8, "after a round");
	}
	figures();
	return torture_end();
}
