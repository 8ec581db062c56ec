// SPDX-License-Identifier: GPL-2.0
/*
 * Writing and reading of the image fails at any place: before, in and after
 * every record.
 *
 * Where the kernel can let them fail, every single transfer of bytes from or
 * to a file, a pipe or a socket has its turn: with an error of the device, or with
 * one after which it is to be tried again. How many there are is counted in a
 * call in which none fails. A series is the transfers of one kind of call to one
 * kind of descriptor.
 *
 * That leaves transfers that are short, and what the other end does: a pipe or
 * socket whose reader goes away after so many bytes, a file that reaches its size
 * limit; a file that ends early, a pipe or socket whose writer goes away.
 *
 * Written to by a checkpoint, by one that is to kill the tree, and for a kept
 * checkpoint. Each time: an error that says so, and a reason; the tree that was to
 * be saved goes on as it was; a kept checkpoint can be written elsewhere; nothing
 * is left of a restart.
 *
 *	--series I --nth N	only this transfer, for a failure that is to be
 *				understood
 */
#include "torture_tree.h"
#include "torture_inject.h"
#include "torture_order.h"

#define QUANTUM		32	/* calls before a tree is made anew */
#define RANDOM_TURN	4	/* of so many calls one is random */

enum op { OP_CHECKPOINT, OP_KILL, OP_WRITE, NR_WRITE_OPS, OP_RESTART = NR_WRITE_OPS, NR_OPS };
enum sink { SINK_PIPE, SINK_SOCKET, SINK_LIMIT, NR_SINKS };
enum source { SOURCE_FILE, SOURCE_PIPE, SOURCE_SOCKET, NR_SOURCES };

static const char * const op_name[] = {
	"checkpoint", "checkpoint and kill", "write kept", "restart",
};

static const char * const sink_name[] = { "pipe", "socket", "file size" };
static const char * const source_name[] = { "file", "pipe", "socket" };

static struct tree tree;
static pid_t helper;		/* the other end of a pipe or socket */
static char *image;
static size_t image_bytes;
static size_t *places;		/* where records begin, and where their payload does */
static size_t nr_places;
static unsigned long writes, reads, failed;

/**
 * struct series - the transfers of one call, to or from one kind of descriptor
 * @op: the call
 * @end: the descriptor
 * @again: the error is one after which the transfer is tried again
 * @order: transfers
 * @met: so many failed
 */
static struct series {
	enum op op;
	enum source end;
	bool again;
	struct torture_order order;
	unsigned long met;
} series[NR_OPS * NR_SOURCES * 2];

static unsigned long nr_series, only_series = ~0UL, only_nth;

/* ---- the image ---- */

static bool write_all(int fd, const char *buf, size_t len)
{
	ssize_t n;

	for (; len; buf += n, len -= n) {
		n = write(fd, buf, len);
		if (n < 0)
			return false;
	}
	return true;
}

static void add_place(size_t offset)
{
	if (!(nr_places & (nr_places - 1))) {
		places = realloc(places, (nr_places ? nr_places * 2 : 1) * sizeof(*places));
		if (!places)
			torture_die("memory");
	}
	places[nr_places++] = offset;
}

/* A look at the image that was written; it ends with the trailer. */
static void find_places(void)
{
	size_t at = sizeof(struct cr_img_header);
	struct cr_img_pages pages;
	struct cr_img_rec rec;

	nr_places = 0;
	free(places);
	places = NULL;
	add_place(0);
	while (at + sizeof(rec) <= image_bytes) {
		memcpy(&rec, image + at, sizeof(rec));
		add_place(at);
		add_place(at + sizeof(rec));
		at += sizeof(rec);
		if (rec.type == CR_IMG_PAGES) {
			memcpy(&pages, image + at, sizeof(pages));
			at += (size_t)pages.nr_pages * TREE_PAGE;
		}
		at += (rec.len + 7) / 8 * 8;
	}
	if (at != image_bytes)
		torture_die("image of %zu bytes whose records end at %zu", image_bytes, at);
}

/* One of the places, or a byte beside it, or any; always before the end. */
static size_t any_place(void)
{
	size_t at = places[torture_below(nr_places)] + torture_below(3) - 1;

	return torture_below(4) && at < image_bytes ? at : torture_below(image_bytes);
}

/* A mapping of the file: in the heap, the next tree would have it too. */
static char *map_file(const char *name, size_t *bytes)
{
	int fd = torture_open(name, O_RDONLY);
	char *p;

	*bytes = lseek(fd, 0, SEEK_END);
	p = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		torture_die(name);
	close(fd);
	return p;
}

static void make_tree(void)
{
	if (image)
		munmap(image, image_bytes);
	tree_make(&tree);
	image = map_file("image", &image_bytes);
	find_places();
}

static bool needs_tree(enum op op)
{
	return op != OP_RESTART;
}

static long call(enum op op, int fd)
{
	switch (op) {
	case OP_CHECKPOINT:
		return sys_checkpoint(tree.pid, fd, 0);
	case OP_KILL:
		return sys_checkpoint(tree.pid, fd, CHECKPOINT_KILL);
	case OP_WRITE:
		return sys_checkpoint(tree.kept, fd, CHECKPOINT_WRITE | CHECKPOINT_KEEP);
	default:
		return sys_restart(0, fd, RESTART_CONN_RESET);
	}
}

/* ---- writing ---- */

/* The helper goes when our end is closed. */
static void close_end(int fd)
{
	close(fd);
	if (helper)
		waitpid(helper, NULL, 0);
	helper = 0;
}

/* A process that reads @bytes from the other end of the result, to @file, and goes. */
static int short_reader(bool socket, size_t bytes, int file)
{
	char buf[4096];
	ssize_t n;
	int end;

	helper = torture_channel(socket, false, &end);
	if (helper)
		return end;
	for (; bytes; bytes -= n) {
		n = read(end, buf, bytes < sizeof(buf) ? bytes : sizeof(buf));
		if (n <= 0 || (file >= 0 && !write_all(file, buf, n)))
			break;
	}
	_exit(0);
}

static int open_sink(enum sink sink, size_t bytes)
{
	struct rlimit rl = { bytes, RLIM_INFINITY };

	switch (sink) {
	case SINK_PIPE:
	case SINK_SOCKET:
		return short_reader(sink == SINK_SOCKET, bytes, -1);
	default:
		if (setrlimit(RLIMIT_FSIZE, &rl))
			torture_die("rlimit");
		return torture_open("tried", O_RDWR | O_CREAT | O_TRUNC);
	}
}

static void close_sink(int fd)
{
	struct rlimit rl = { RLIM_INFINITY, RLIM_INFINITY };

	close_end(fd);
	setrlimit(RLIMIT_FSIZE, &rl);
}

static bool right_error(enum sink sink, int err)
{
	switch (sink) {
	case SINK_PIPE:
		return err == EPIPE;
	case SINK_SOCKET:
		return err == EPIPE || err == ECONNRESET;
	default:
		return err == EFBIG;
	}
}

/* It may still be written to a better place. */
static void write_well(const char *what)
{
	int fd = torture_open("again", O_RDWR | O_CREAT | O_TRUNC);

	if (sys_checkpoint(tree.kept, fd, CHECKPOINT_WRITE | CHECKPOINT_KEEP) != tree.kept)
		torture_fail("%s: cannot be written any more: errno %d, %s", what, errno,
			     cr_report("reason"));
	else if (lseek(fd, 0, SEEK_END) != (off_t)image_bytes)
		torture_fail("%s: %ld bytes instead of %zu", what,
			     (long)lseek(fd, 0, SEEK_END), image_bytes);
	close(fd);
}

static bool one_write(void)
{
	/* what fits into the buffers of a channel is as good as read */
	bool channel;
	enum op op = torture_below(NR_WRITE_OPS);
	enum sink sink = torture_below(NR_SINKS);
	size_t at = any_place();
	char what[128];
	long ret;
	int fd, err;

	channel = sink == SINK_PIPE || sink == SINK_SOCKET;
	if (channel && op == OP_KILL)
		op = OP_CHECKPOINT;
	/* the next image may be a little shorter */
	if (op == OP_KILL && at + 65536 > image_bytes)
		at = torture_below(image_bytes / 2);
	snprintf(what, sizeof(what), "%s to %s of %zu of %zu bytes", op_name[op],
		 sink_name[sink], at, image_bytes);
	fd = open_sink(sink, at);
	ret = call(op, fd);
	err = errno;
	writes++;
	failed += ret < 0;
	if (ret >= 0 && !channel &&
	    atol(cr_report("bytes")) > (long)(at / TREE_PAGE + 1) * TREE_PAGE)
		torture_fail("%s: succeeded", what);
	else if (ret < 0 && (!right_error(sink, err) || !*cr_report("reason")))
		torture_fail("%s: errno %d, reason: %s", what, err, cr_report("reason"));
	close_sink(fd);
	if (!torture_below(8))
		write_well(what);
	return tree_ask(&tree, what);
}

/* ---- reading ---- */

/* All of it is there, or nothing. */
static void check_restored(const char *what, long ret)
{
	pid_t left;

	if (ret < 0) {
		left = tree_left(&tree);
		if (left)
			torture_fail("%s: failed, but pid %d is there", what, left);
	} else {
		tree_ask(&tree, what);
	}
	tree_kill(&tree, what);
}

/* A process that writes the first @bytes of the image into the result, and goes. */
static int short_writer(bool socket, size_t bytes)
{
	int end;

	helper = torture_channel(socket, true, &end);
	if (helper)
		return end;
	signal(SIGPIPE, SIG_IGN);
	write_all(end, image, bytes);
	_exit(0);
}

static int open_source(enum source source, size_t bytes)
{
	int fd;

	if (source != SOURCE_FILE)
		return short_writer(source == SOURCE_SOCKET, bytes);
	fd = torture_open("tried", O_RDWR | O_CREAT | O_TRUNC);
	if (!write_all(fd, image, bytes) || lseek(fd, 0, SEEK_SET))
		torture_die("copy of the image");
	return fd;
}

static void one_read(void)
{
	enum source source = torture_below(NR_SOURCES);
	bool whole = !torture_below(32);
	size_t at = whole ? image_bytes : any_place();
	char what[128];
	int fd, err;
	long ret;

	snprintf(what, sizeof(what), "restart from %s of %zu of %zu bytes",
		 source_name[source], at, image_bytes);
	fd = open_source(source, at);
	ret = call(OP_RESTART, fd);
	err = errno;
	close_end(fd);
	reads++;
	failed += ret < 0;
	if (ret < 0 ? whole : !whole)
		torture_fail("%s: returned %ld, errno %d, reason: %s", what, ret, err,
			     cr_report("reason"));
	else if (ret < 0 && (err != EINVAL || !*cr_report("reason")))
		torture_fail("%s: errno %d, reason: %s", what, err, cr_report("reason"));
	check_restored(what, ret);
}

/* ---- every transfer ---- */

/* All that is written to it gets to the file "tried"; all of the image can be read. */
static int open_whole(enum op op, enum source end)
{
	int file, fd;

	if (op == OP_RESTART)
		return end == SOURCE_FILE ? torture_open("image", O_RDONLY) :
					    open_source(end, image_bytes);
	file = torture_open("tried", O_RDWR | O_CREAT | O_TRUNC);
	if (end == SOURCE_FILE)
		return file;
	fd = short_reader(end == SOURCE_SOCKET, SIZE_MAX, file);
	close(file);
	return fd;
}

/* The kept checkpoint is the image that was written at once. */
static void check_written(const char *what)
{
	size_t bytes;
	char *copy = map_file("tried", &bytes);

	if (bytes != image_bytes || memcmp(copy, image, bytes))
		torture_fail("%s: succeeded, but the image is another one", what);
	munmap(copy, bytes);
}

/* Returns whether the tree is as it was. */
static bool check_tree(const char *what, enum op op, long ret)
{
	switch (op) {
	case OP_RESTART:
		check_restored(what, ret);
		return true;
	case OP_KILL:
		if (ret < 0)
			return tree_ask(&tree, what);
		tree_kill(&tree, what);
		return false;
	case OP_WRITE:
		if (ret >= 0)
			check_written(what);
		else if (!torture_below(4))
			write_well(what);
		return tree_ask(&tree, what);
	default:
		return tree_ask(&tree, what);
	}
}

/* The @nr-th transfer fails; returns whether the tree is as it was. */
static bool one_transfer(struct series *s, unsigned int nr, unsigned int *seen)
{
	static const int errors[2][2] = { { EIO, ENOSPC }, { EINTR, EAGAIN } };
	int error = errors[s->again][torture_choice(s - series, nr, 2)], fd, err;
	char what[160];
	bool hit, good;
	long ret;

	snprintf(what, sizeof(what), "series %d nth %u of %u: %s, %s, errno %d",
		 (int)(s - series), nr, s->order.total, op_name[s->op], source_name[s->end],
		 error);
	fd = open_whole(s->op, s->end);
	inject_io_arm(nr, error);
	ret = call(s->op, fd);
	err = ret < 0 ? errno : 0;
	hit = inject_io_disarm(nr, seen);
	close_end(fd);
	s->met += hit;
	failed += ret < 0;
	if (only_nth)
		torture_say("%s: %s, returned %ld, errno %d, reason: %s", what,
			    hit ? "met" : "not met", ret, err, cr_report("reason"));
	if (hit && !s->again)
		good = err == error && *cr_report("reason");
	else
		good = ret >= 0;
	if (!good)
		torture_fail("%s: %s, returned %ld, errno %d, reason: %s", what,
			     hit ? "met" : "not met", ret, err, cr_report("reason"));
	return check_tree(what, s->op, ret);
}

static void add_series(enum op op, enum source end, unsigned int transfers)
{
	int again;

	/* one that goes on kills the tree, and is otherwise as without that */
	for (again = 0; again < (op == OP_KILL ? 1 : 2); again++) {
		struct series *s = &series[nr_series++];

		s->op = op;
		s->end = end;
		s->again = again;
		torture_order_make(&s->order, transfers);
	}
}

/* Count the transfers of calls in which none fails. */
static void make_series(void)
{
	unsigned int nr[NR_OPS][NR_SOURCES];
	enum source end;
	enum op op;

	for (op = 0; op < NR_OPS; op++) {
		if (op == OP_RESTART)
			tree_kill(&tree, "original");
		for (end = 0; end < NR_SOURCES; end++) {
			struct series s = { .op = op, .end = end };

			if (op == OP_KILL)
				nr[op][end] = nr[OP_CHECKPOINT][end];
			else
				one_transfer(&s, INJECT_NEVER, &nr[op][end]);
			torture_say("%s, %s: %u transfers", op_name[op], source_name[end],
				    nr[op][end]);
		}
	}
	for (op = 0; op < NR_OPS; op++)
		for (end = 0; end < NR_SOURCES; end++)
			add_series(op, end, nr[op][end]);
}

static bool is_left(const struct series *s, bool living)
{
	return needs_tree(s->op) == living && torture_order_left(&s->order);
}

static bool any_left(bool living)
{
	unsigned long i;

	for (i = 0; i < nr_series; i++)
		if (is_left(&series[i], living))
			return true;
	return false;
}

/* The next series of the calls that need a living tree or not; NULL if they are through. */
static struct series *next_series(bool living)
{
	static unsigned int turn[2];
	unsigned long i;

	for (i = 0; i < nr_series; i++) {
		struct series *s = &series[turn[living]++ % nr_series];

		if (is_left(s, living))
			return s;
	}
	return NULL;
}

/* Mostly a transfer that had no turn yet; false if the tree is changed. */
static bool one_call(bool living, int i)
{
	struct series *s = i % RANDOM_TURN ? next_series(living) : NULL;
	unsigned int seen;

	if (s)
		return one_transfer(s, torture_order_next(&s->order), &seen);
	if (living)
		return one_write();
	one_read();
	return true;
}

/* ---- */

static void only_one(struct series *s)
{
	unsigned int seen;

	make_tree();
	if (!needs_tree(s->op))
		tree_kill(&tree, "original");
	one_transfer(s, only_nth, &seen);
	tree_end(&tree);
}

static void some_calls(bool living)
{
	int i, nr = any_left(living) ? QUANTUM : QUANTUM / RANDOM_TURN;

	for (i = 0; i < nr && torture_time_left(); i++)
		if (!one_call(living, i))
			break;
}

static void one_round(void)
{
	make_tree();
	some_calls(true);
	tree_kill(&tree, "original");
	some_calls(false);
	tree_end(&tree);
}

static void figures(void)
{
	unsigned long known = 0, done = 0, met = 0, i;

	for (i = 0; i < nr_series; i++) {
		struct series *s = &series[i];

		torture_say("series %lu (%s, %s%s): %u of %u, met %lu", i, op_name[s->op],
			    source_name[s->end], s->again ? ", tried again" : "",
			    s->order.done, s->order.total, s->met);
		known += s->order.total;
		done += s->order.done;
		met += s->met;
	}
	torture_figure("writes=%lu reads=%lu failed=%lu places=%zu", writes, reads, failed,
		       nr_places);
	torture_figure("transfers=%lu transfers_tried=%lu transfers_met=%lu", known, done, met);
}

int main(int argc, char **argv)
{
	const struct torture_option options[] = {
		{ "series", &only_series },
		{ "nth", &only_nth },
		{ },
	};
	struct torture_counts before;
	bool can_fail;

	torture_begin("torture_io", argc, argv, options);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	can_fail = inject_io_init();
	if (!can_fail)
		torture_say("this kernel cannot let a transfer fail: only short ones");
	tree_init(&tree);
	make_tree();
	if (can_fail)
		make_series();
	tree_end(&tree);
	torture_counts_take(&before);
	if (only_nth && only_series < nr_series)
		only_one(&series[only_series]);
	while (!only_nth && torture_time_left()) {
		one_round();
		torture_counts_check(&before, 8, "after a round");
	}
	figures();
	return torture_end();
}
