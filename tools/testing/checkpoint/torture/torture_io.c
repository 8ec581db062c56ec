// SPDX-License-Identifier: GPL-2.0
/*
 * Writing and reading of the image fails at any place: before, in and after
 * every record.
 *
 * Written to: a pipe or socket whose reader goes away after so many bytes, a
 * file that reaches its size limit, a full file system; by a checkpoint, by one
 * that is to kill the tree, and for a kept checkpoint. Read from: a file that
 * ends early, a pipe or socket whose writer goes away. Each time: an error that
 * says so, and a reason; the tree that was to be saved goes on as it was; a
 * kept checkpoint can be written elsewhere; nothing is left of a restart.
 */
#include "torture_tree.h"

#include <sys/mount.h>

#define QUANTUM		32	/* calls before a tree is made anew */

enum op { OP_CHECKPOINT, OP_KILL, OP_WRITE, NR_WRITE_OPS };
enum sink { SINK_PIPE, SINK_SOCKET, SINK_LIMIT, SINK_DISK, NR_SINKS };
enum source { SOURCE_FILE, SOURCE_PIPE, SOURCE_SOCKET, NR_SOURCES };

static const char * const op_name[] = { "checkpoint", "checkpoint and kill", "write kept" };
static const char * const sink_name[] = { "pipe", "socket", "file size", "disk" };
static const char * const source_name[] = { "file", "pipe", "socket" };

static struct tree tree;
static pid_t helper;		/* the other end of a pipe or socket */
static char *image;
static size_t image_bytes;
static size_t *places;		/* where records begin, and where their payload does */
static size_t nr_places;
static unsigned long writes, reads, failed;

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

static void load_image(void)
{
	int fd = torture_open("image", O_RDONLY);
	ssize_t n;

	free(image);
	image_bytes = lseek(fd, 0, SEEK_END);
	image = malloc(image_bytes);
	n = image ? pread(fd, image, image_bytes, 0) : -1;
	if (n != (ssize_t)image_bytes)
		torture_die("image");
	close(fd);
	find_places();
}

static void make_tree(void)
{
	tree_make(&tree);
	load_image();
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

/* A process that reads @bytes from the other end of the result, and goes. */
static int short_reader(bool socket, size_t bytes)
{
	char buf[4096];
	ssize_t n;
	int end;

	helper = torture_channel(socket, false, &end);
	if (helper)
		return end;
	for (; bytes; bytes -= n) {
		n = read(end, buf, bytes < sizeof(buf) ? bytes : sizeof(buf));
		if (n <= 0)
			break;
	}
	_exit(0);
}

/* A file on a file system for @bytes, rounded down to pages, but at least one. */
static int small_disk(size_t bytes)
{
	char options[32];
	int fd;

	snprintf(options, sizeof(options), "size=%zu", (bytes / TREE_PAGE ?: 1) * TREE_PAGE);
	mkdir("disk", 0700);
	if (mount("torture", "disk", "tmpfs", 0, options))
		torture_die("tmpfs");
	fd = torture_open("disk/image", O_RDWR | O_CREAT);
	umount2("disk", MNT_DETACH);
	return fd;
}

static int open_sink(enum sink sink, size_t bytes)
{
	struct rlimit rl = { bytes, RLIM_INFINITY };

	switch (sink) {
	case SINK_PIPE:
	case SINK_SOCKET:
		return short_reader(sink == SINK_SOCKET, bytes);
	case SINK_LIMIT:
		if (setrlimit(RLIMIT_FSIZE, &rl))
			torture_die("rlimit");
		return torture_open("tried", O_RDWR | O_CREAT | O_TRUNC);
	default:
		return small_disk(bytes);
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
	case SINK_LIMIT:
		return err == EFBIG;
	default:
		return err == ENOSPC;
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
	/* the next image may be a little shorter, and a disk has whole pages */
	if (op == OP_KILL && at + 65536 > image_bytes)
		at = torture_below(image_bytes / 2);
	snprintf(what, sizeof(what), "%s to %s of %zu of %zu bytes", op_name[op],
		 sink_name[sink], at, image_bytes);
	fd = open_sink(sink, at);
	ret = op == OP_CHECKPOINT ? sys_checkpoint(tree.pid, fd, 0) :
	      op == OP_KILL ? sys_checkpoint(tree.pid, fd, CHECKPOINT_KILL) :
	      sys_checkpoint(tree.kept, fd, CHECKPOINT_WRITE | CHECKPOINT_KEEP);
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
	pid_t left;
	long ret;

	snprintf(what, sizeof(what), "restart from %s of %zu of %zu bytes",
		 source_name[source], at, image_bytes);
	fd = open_source(source, at);
	ret = sys_restart(0, fd, RESTART_CONN_RESET);
	err = errno;
	close_end(fd);
	reads++;
	failed += ret < 0;
	if (ret < 0 ? whole : !whole)
		torture_fail("%s: returned %ld, errno %d, reason: %s", what, ret, err,
			     cr_report("reason"));
	else if (ret < 0 && (err != EINVAL || !*cr_report("reason")))
		torture_fail("%s: errno %d, reason: %s", what, err, cr_report("reason"));
	if (ret < 0) {
		left = tree_left(&tree);
		if (left)
			torture_fail("%s: failed, but pid %d is there", what, left);
	} else {
		tree_ask(&tree, what);
	}
	tree_kill(&tree, what);
}

int main(int argc, char **argv)
{
	struct torture_counts before;
	int i;

	torture_begin("torture_io", argc, argv, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	tree_init(&tree);
	make_tree();
	tree_end(&tree);
	torture_counts_take(&before);
	while (torture_time_left()) {
		make_tree();
		for (i = 0; i < QUANTUM && torture_time_left() && one_write(); i++)
			;
		tree_kill(&tree, "original");
		for (i = 0; i < QUANTUM && torture_time_left(); i++)
			one_read();
		tree_end(&tree);
		torture_counts_check(&before, 8, "after a round");
	}
	torture_figure("writes=%lu reads=%lu failed=%lu places=%zu", writes, reads, failed,
		       nr_places);
	return torture_end();
}
