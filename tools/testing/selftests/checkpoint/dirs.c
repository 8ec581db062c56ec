// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: open directories, one of them read half-way. */
#include "cr_selftest.h"

#define NR_ENTRIES	60

struct dent {
	__u64 ino;
	__s64 off;
	unsigned short len;
	unsigned char type;
	char name[];
};

/* Reads up to @max buffers and counts each name; returns the last result. */
static long read_some(struct cr_child *c, int fd, int *seen, int max)
{
	char buf[200];
	long n = 1, pos;
	int nr;

	while (max-- && (n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
		for (pos = 0; pos < n; pos += ((struct dent *)(buf + pos))->len) {
			const char *name = ((struct dent *)(buf + pos))->name;

			if (sscanf(name, "entry%d", &nr) == 1) {
				CR_CHECK(c, nr >= 0 && nr < NR_ENTRIES);
				seen[nr]++;
			}
		}
	CR_CHECK(c, n >= 0);
	return n;
}

static int make_dir(struct cr_child *c)
{
	char name[32];
	int i, fd;

	CR_CHECK(c, !mkdir("dir", 0755));
	for (i = 0; i < NR_ENTRIES; i++) {
		snprintf(name, sizeof(name), "dir/entry%d", i);
		fd = open(name, O_WRONLY | O_CREAT, 0644);
		CR_CHECK(c, fd >= 0 && !close(fd));
	}
	fd = open("dir", O_RDONLY | O_DIRECTORY);
	CR_CHECK(c, fd >= 0);
	return fd;
}

static void do_half_way(struct cr_child *c)
{
	int seen[NR_ENTRIES] = {}, again[NR_ENTRIES] = {};
	int fd = make_dir(c), i;
	off_t pos;

	CR_CHECK(c, read_some(c, fd, seen, 4) > 0);
	pos = lseek(fd, 0, SEEK_CUR);
	cr_ready(c);

	CR_CHECK(c, lseek(fd, 0, SEEK_CUR) == pos);
	CR_CHECK(c, read_some(c, fd, seen, -1) == 0);
	for (i = 0; i < NR_ENTRIES; i++)
		CR_CHECK(c, seen[i] == 1);

	CR_CHECK(c, lseek(fd, 0, SEEK_SET) == 0);
	CR_CHECK(c, read_some(c, fd, again, -1) == 0);
	for (i = 0; i < NR_ENTRIES; i++)
		CR_CHECK(c, again[i] == 1);
}

static void do_at_the_end(struct cr_child *c)
{
	int seen[NR_ENTRIES] = {};
	int fd = make_dir(c);

	CR_CHECK(c, read_some(c, fd, seen, -1) == 0);
	cr_ready(c);
	CR_CHECK(c, read_some(c, fd, seen, -1) == 0);
}

static void do_used_by_openat(struct cr_child *c)
{
	int fd = make_dir(c), file;

	cr_ready(c);
	file = openat(fd, "entry7", O_RDONLY);
	CR_CHECK(c, file >= 0);
	CR_CHECK(c, openat(fd, "../.ready", O_RDONLY) >= 0);
	CR_CHECK(c, !fchdir(fd) && !access("entry0", F_OK));
}

TEST(half_way) { cr_both_ways(_metadata, do_half_way, 0); }
TEST(at_the_end) { cr_both_ways(_metadata, do_at_the_end, 0); }
TEST(used_by_openat) { cr_both_ways(_metadata, do_used_by_openat, 0); }

TEST_HARNESS_MAIN
