// SPDX-License-Identifier: GPL-2.0
/*
 * Restart from memory: pages are shared with the checkpoint and between the
 * processes as they were, whatever the program has done to its mappings.
 */
#include <sys/wait.h>

#include "fill_help.h"

#define SIZE	(8UL << 20)

static char *get(struct cr_child *c, size_t size)
{
	char *p = mmap(NULL, size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CR_CHECK(c, p != MAP_FAILED);
	return p;
}

/*
 * An area that has moved knows its pages by where they were; next to it there
 * is one that has not, and one that owns no page.
 */
static void moved(struct cr_child *c)
{
	char *room = get(c, 4 * SIZE), *from = get(c, SIZE), *p = room + SIZE;
	int status;
	pid_t pid;

	fill(from, SIZE, 1);
	fill(room, SIZE, 2);
	CR_CHECK(c, mremap(from, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		cr_wait_go(c);
		CR_CHECK(c, filled(p, SIZE, 1));
		fill(p, SIZE / 2, 3);
		_exit(0);
	}
	cr_ready(c);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	/* Reclaim, as far as there is any, goes by what it knows of the pages. */
	CR_CHECK(c, !madvise(p, SIZE, MADV_PAGEOUT));
	CR_CHECK(c, filled(room, SIZE, 2));
	CR_CHECK(c, filled(p, SIZE, 1));
	CR_CHECK(c, !munmap(p + SIZE / 2, PAGE));
	fill(p, SIZE / 4, 4);
	CR_CHECK(c, filled(p, SIZE / 4, 4));
	CR_CHECK(c, p[SIZE] == 0 && p[2 * SIZE - 1] == 0);
}

TEST(moved_area)
{
	cr_both_ways(_metadata, moved, 0);
}

static void family(struct cr_child *c)
{
	char *p = get(c, SIZE);
	int i, status, *written;

	written = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CR_CHECK(c, written != MAP_FAILED);
	fill(p, SIZE, 5);
	for (i = 0; i < 3; i++) {
		pid_t pid = fork();

		CR_CHECK(c, pid >= 0);
		if (!pid) {
			fill(p, SIZE / 8, i);
			__atomic_add_fetch(written, 1, __ATOMIC_SEQ_CST);
			cr_wait_go(c);
			CR_CHECK(c, filled(p, SIZE / 8, i));
			CR_CHECK(c, filled(p + SIZE / 8, SIZE / 8 * 7, 5 + SIZE / 8));
			_exit(0);
		}
	}
	while (__atomic_load_n(written, __ATOMIC_SEQ_CST) < 3)
		cr_sleep_ms(CR_POLL_MS);
	cr_ready(c);
	while (wait(&status) > 0)
		CR_CHECK(c, !status);
	CR_CHECK(c, errno == ECHILD && filled(p, SIZE, 5));
}

/* Of all processes together, so that what they share counts once; in KiB. */
static unsigned long tree_pss(struct __test_metadata *_metadata, pid_t root)
{
	unsigned long sum = 0, kb;
	struct cr_pids pids = {};
	char path[64], line[256];
	unsigned int i;
	FILE *f;

	cr_tree_pids(root, &pids);
	ASSERT_EQ(4, pids.nr);
	for (i = 0; i < pids.nr; i++) {
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pids.pid[i]);
		f = fopen(path, "re");
		ASSERT_NE(NULL, f);
		while (fgets(line, sizeof(line), f))
			if (sscanf(line, "Pss_Anon: %lu", &kb) == 1)
				sum += kb;
		fclose(f);
	}
	return sum;
}

TEST(family_stays_shared)
{
	unsigned long before, after;
	struct cr_child c;
	long crid;

	cr_begin(_metadata, &c, family);
	before = tree_pss(_metadata, c.pid);
	/* One full copy, and an eighth for each child. */
	EXPECT_LT(before, SIZE / 1024 * 3 / 2);
	crid = cr_keep(_metadata, &c);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	cr_load_from(_metadata, &c, crid, -1, 0);
	/* Half of each page is the checkpoint's. */
	EXPECT_LT(tree_pss(_metadata, c.pid), before * 8 / 10);
	ASSERT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	after = tree_pss(_metadata, c.pid);
	EXPECT_LT(before * 95 / 100, after);
	EXPECT_LT(after, before * 105 / 100);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* One page of a file is changed in memory, the others are the file's. */
static void file_page(struct cr_child *c)
{
	int fd = open("mapped", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char *p;

	CR_CHECK(c, fd >= 0 && !ftruncate(fd, 4 * PAGE));
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CR_CHECK(c, p != MAP_FAILED && p[0] == 0 && p[PAGE] == 0);
	p[2 * PAGE] = 1;
	close(fd);
	cr_ready(c);
	CR_CHECK(c, p[0] == 0 && p[PAGE] == 0 && p[2 * PAGE] == 1);
}

TEST(mapped_file)
{
	cr_both_ways(_metadata, file_page, 0);
}

TEST(refused_another_file)
{
	char path[64];
	struct cr_child c;
	long crid;
	int fd;

	cr_begin(_metadata, &c, file_page);
	crid = cr_keep(_metadata, &c);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	snprintf(path, sizeof(path), "%s/mapped", c.dir);
	ASSERT_EQ(0, unlink(path));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE));
	close(fd);
	EXPECT_EQ(-1, sys_restart(crid, -1, 0));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_NE(NULL, strstr(cr_reason(), "not that of the checkpoint")) {
		TH_LOG("%s", cr_reason());
	}
	EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
