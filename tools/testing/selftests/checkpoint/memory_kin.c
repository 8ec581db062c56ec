// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that processes share since fork() are in an image once, and are shared
 * again after a restart from it; and what one of them writes then, or that one
 * of them ends, is nothing to the others.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "cr_selftest.h"
#include "swap_help.h"

#define PAGE		4096UL
#define MIB		(1024 * 1024UL)
#define NR_PARTS	8

enum who { PARENT, FIRST, SECOND, GRANDCHILD, NR_MEMBERS };

/*
 * What each has in each part of the memory. 1 is what the parent wrote before
 * it had children, other numbers were written between one fork() and the next.
 */
static const unsigned long seeds[NR_MEMBERS][NR_PARTS] = {
	[PARENT]	= { 1, 3, 1, 1, 1, 7, 1, 1 },
	[FIRST]		= { 2, 1, 1, 1, 6, 1, 1, 1 },
	[SECOND]	= { 1, 3, 4, 1, 1, 1, 1, 1 },
	[GRANDCHILD]	= { 2, 1, 1, 5, 1, 1, 1, 1 },
};

/* Different contents in a part, all parts added up. */
#define NR_DIFFERENT	14
/* Changed by everybody after the restart. */
#define LATE_PART	6

/* In memory that all of them share. */
struct meeting {
	int made;		/* members that stand in their final state */
	int arrived;		/* later: at all meeting points together */
	int left;		/* members that have ended */
};

static size_t size, part_size;
static int huge;
/* Of little memory, that of the program itself would be too large a part. */
static const char *pss;
static int order[NR_MEMBERS];	/* who ends when */
static char *memory;
static struct meeting *meeting;
/* A byte for each member; looking for a file again and again takes CPU time. */
static int go[2];

static void write_part(int part, unsigned long seed)
{
	char *p = memory + part * part_size;
	size_t i;

	for (i = 0; i < part_size; i += PAGE)
		*(unsigned long *)(p + i) = seed << 40 | (p + i - memory);
}

static bool part_is(int part, unsigned long seed)
{
	char *p = memory + part * part_size;
	size_t i;

	for (i = 0; i < part_size; i += PAGE)
		if (*(unsigned long *)(p + i) != (seed << 40 | (p + i - memory)))
			return false;
	return true;
}

static void check_parts(struct cr_child *c, enum who who, bool late)
{
	int part;

	for (part = 0; part < NR_PARTS; part++)
		CR_CHECK(c, part_is(part, late && part == LATE_PART ? 10 + who :
					  seeds[who][part]));
}

static void wait_for(struct cr_child *c, int *count, int n)
{
	int i;

	for (i = 0; __atomic_load_n(count, __ATOMIC_SEQ_CST) < n; i++) {
		CR_CHECK(c, i < CR_WAIT_S * 1000 / CR_POLL_MS);
		cr_sleep_ms(CR_POLL_MS);
	}
}

static void add_one(int *count)
{
	__atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
}

static void made(struct cr_child *c)
{
	char byte;

	add_one(&meeting->made);
	CR_CHECK(c, read(go[0], &byte, 1) == 1);
}

static pid_t fork_member(struct cr_child *c)
{
	pid_t pid = fork();

	CR_CHECK(c, pid >= 0);
	return pid;
}

/* What every member does when it is told to go on. */
static void live_and_end(struct cr_child *c, enum who who)
{
	int status;
	pid_t pid;

	check_parts(c, who, false);
	add_one(&meeting->arrived);
	wait_for(c, &meeting->arrived, NR_MEMBERS);
	write_part(LATE_PART, 10 + who);
	add_one(&meeting->arrived);
	wait_for(c, &meeting->arrived, 2 * NR_MEMBERS);
	check_parts(c, who, true);
	/* what was shared can be shared further */
	pid = fork_member(c);
	if (!pid) {
		check_parts(c, who, true);
		write_part(NR_PARTS - 1, 20);
		_exit(0);
	}
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	/* out to swap, where there is any */
	CR_CHECK(c, !madvise(memory, size, MADV_PAGEOUT));
	wait_for(c, &meeting->left, order[who]);
	check_parts(c, who, true);
	add_one(&meeting->left);
	_exit(0);
}

static void grandchild(struct cr_child *c)
{
	write_part(3, 5);
	made(c);
	live_and_end(c, GRANDCHILD);
}

static void first_child(struct cr_child *c)
{
	write_part(0, 2);
	if (!fork_member(c))
		grandchild(c);
	write_part(4, 6);
	made(c);
	live_and_end(c, FIRST);
}

static void second_child(struct cr_child *c)
{
	write_part(2, 4);
	made(c);
	live_and_end(c, SECOND);
}

static void parent(struct cr_child *c)
{
	int part;

	for (part = 0; part < NR_PARTS; part++)
		write_part(part, 1);
	if (!fork_member(c))
		first_child(c);
	write_part(1, 3);
	if (!fork_member(c))
		second_child(c);
	write_part(5, 7);
	made(c);
	live_and_end(c, PARENT);
}

/* The root only waits for the family, whose parent may end first. */
static void family(struct cr_child *c)
{
	int status, n = 0;
	char *room;

	meeting = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	room = mmap(NULL, size + 2 * MIB, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CR_CHECK(c, meeting != MAP_FAILED && room != MAP_FAILED);
	memory = (char *)(((unsigned long)room + 2 * MIB - 1) & -(2 * MIB));
	if (huge)
		CR_CHECK(c, !madvise(memory, size, MADV_HUGEPAGE));
	CR_CHECK(c, !pipe(go) && !prctl(PR_SET_CHILD_SUBREAPER, 1));
	if (!fork_member(c))
		parent(c);
	wait_for(c, &meeting->made, NR_MEMBERS);
	cr_ready(c);
	CR_CHECK(c, write(go[1], "1234", NR_MEMBERS) == NR_MEMBERS);
	while (wait(&status) > 0) {
		CR_CHECK(c, !status);
		n++;
	}
	/* Those whose parent had ended already when they did. */
	CR_CHECK(c, errno == ECHILD && n >= 1 && meeting->left == NR_MEMBERS);
}

/* A value of /proc/<pid>/smaps_rollup of all processes together, in KiB. */
static unsigned long sum_of(struct __test_metadata *_metadata, pid_t root, const char *key)
{
	unsigned long sum = 0, kb;
	struct cr_pids pids = {};
	char path[64], line[256];
	size_t len = strlen(key);
	int i;
	FILE *f;

	cr_tree_pids(root, &pids);
	ASSERT_EQ(NR_MEMBERS + 1, pids.nr);
	for (i = 0; i < pids.nr; i++) {
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pids.pid[i]);
		f = fopen(path, "re");
		ASSERT_NE(NULL, f);
		while (fgets(line, sizeof(line), f))
			if (!strncmp(line, key, len) && line[len] == ':' &&
			    sscanf(line + len + 1, "%lu", &kb) == 1)
				sum += kb;
		fclose(f);
	}
	return sum;
}

/* Copies all of @from to @to in a process of its own, and ends. */
static pid_t pump(struct __test_metadata *_metadata, int from, int to, int other)
{
	static char buf[1 << 16];
	pid_t pid = fork();
	ssize_t n, m, at;

	ASSERT_LE(0, pid);
	if (pid)
		return pid;
	close(other);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		for (at = 0; at < n; at += m) {
			m = write(to, buf + at, n - at);
			if (m <= 0)
				_exit(1);
		}
	_exit(n < 0);
}

static void ended_well(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* Through a pipe into the image file. */
static long save_piped(struct __test_metadata *_metadata, struct cr_child *c)
{
	int fd = open(c->image, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), p[2];
	pid_t pid;
	long ret;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	pid = pump(_metadata, p[0], fd, p[1]);
	close(p[0]);
	close(fd);
	ret = sys_checkpoint(c->pid, p[1], 0);
	close(p[1]);
	ended_well(_metadata, pid);
	return ret;
}

/* From the image file through a socket. */
static void load_socket(struct __test_metadata *_metadata, struct cr_child *c)
{
	int fd = open(c->image, O_RDONLY | O_CLOEXEC), s[2];
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
	pid = pump(_metadata, fd, s[1], s[0]);
	close(s[1]);
	close(fd);
	cr_load_from(_metadata, c, 0, s[0], 0);
	close(s[0]);
	ended_well(_metadata, pid);
}

static void init(size_t mib, int use_huge, int rank_parent, int rank_first,
		 int rank_second, int rank_grandchild)
{
	size = mib * MIB;
	part_size = size / NR_PARTS;
	huge = use_huge;
	pss = mib < 16 ? "Pss_Anon" : "Pss";
	order[PARENT] = rank_parent;
	order[FIRST] = rank_first;
	order[SECOND] = rank_second;
	order[GRANDCHILD] = rank_grandchild;
}

/* The bytes that there are, and not much more. */
static void check_size(struct __test_metadata *_metadata, struct cr_child *c)
{
	size_t bytes = NR_DIFFERENT * part_size;
	struct stat st;

	ASSERT_EQ(0, stat(c->image, &st));
	EXPECT_LE(bytes, (size_t)st.st_size);
	EXPECT_GE(bytes / 100 * 103 + MIB, (size_t)st.st_size) {
		TH_LOG("image of %lld KiB for %zu KiB", (long long)st.st_size / 1024,
		       bytes / 1024);
	}
	EXPECT_LE(bytes / PAGE, strtoul(cr_report("pages"), NULL, 10));
	EXPECT_GE(st.st_size / PAGE, strtoul(cr_report("pages"), NULL, 10));
}

static void check_pss(struct __test_metadata *_metadata, pid_t root, unsigned long before)
{
	unsigned long after = sum_of(_metadata, root, pss);

	EXPECT_LT(before / 100 * 95, after);
	EXPECT_GT(before / 100 * 105, after) {
		TH_LOG("Pss %lu KiB before, %lu KiB after", before, after);
	}
}

static void round_trip(struct __test_metadata *_metadata, bool piped)
{
	unsigned long before;
	struct cr_child c;

	cr_begin(_metadata, &c, family);
	before = sum_of(_metadata, c.pid, pss);
	ASSERT_LT(0, piped ? save_piped(_metadata, &c) : cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	check_size(_metadata, &c);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	if (piped)
		load_socket(_metadata, &c);
	else
		cr_load(_metadata, &c, 0);
	check_pss(_metadata, c.pid, before);
	/* a copy can be saved, and its copy is as good */
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	check_size(_metadata, &c);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	cr_load(_metadata, &c, 0);
	check_pss(_metadata, c.pid, before);
	if (huge)
		EXPECT_LT(0, sum_of(_metadata, c.pid, "AnonHugePages"));
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

TEST(file)
{
	init(8, 0, 3, 0, 1, 2);
	round_trip(_metadata, false);
}

TEST(pipe_and_socket)
{
	init(4, 0, 0, 1, 2, 3);
	round_trip(_metadata, true);
}

TEST(huge_pages)
{
	init(16, 1, 1, 3, 0, 2);
	round_trip(_metadata, false);
}

/* Kept, then written, after the original has gone; and killed when written. */
TEST(written_later)
{
	unsigned long before;
	struct cr_child c;
	long crid;

	init(4, 0, 2, 0, 3, 1);
	cr_begin(_metadata, &c, family);
	before = sum_of(_metadata, c.pid, pss);
	crid = cr_keep(_metadata, &c);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	cr_save_kept(_metadata, &c, crid, 0);
	check_size(_metadata, &c);
	cr_load(_metadata, &c, 0);
	check_pss(_metadata, c.pid, before);
	ASSERT_LT(0, cr_save(_metadata, &c, CHECKPOINT_KILL));
	check_size(_metadata, &c);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	cr_load(_metadata, &c, 0);
	check_pss(_metadata, c.pid, before);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

#define CGROUPS	"/sys/fs/cgroup"

static bool cgroup_write(const char *group, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", group, file);
	return cr_write_file(path, text);
}

static unsigned long used_swap_kb(void)
{
	struct sysinfo info;

	sysinfo(&info);
	return (info.totalswap - info.freeswap) * info.mem_unit / 1024;
}

static unsigned long swapped_of(struct __test_metadata *_metadata, struct cr_child *c)
{
	return c ? sum_of(_metadata, c->pid, "SwapPss") : used_swap_kb();
}

/*
 * A quarter of what they have, at least, as a kept checkpoint has its share of the
 * same pages; @c NULL: of what nobody has but the kernel.
 */
static void swap_out(struct __test_metadata *_metadata, const char *group, struct cr_child *c)
{
	unsigned long want = NR_DIFFERENT * part_size / 1024 / 4;
	int n;

	if (!c)
		want += used_swap_kb();
	for (n = 0; swapped_of(_metadata, c) < want; n++) {
		ASSERT_GT(CR_WAIT_S * 1000 / CR_POLL_MS, n) {
			TH_LOG("%lu KiB in swap instead of %lu", swapped_of(_metadata, c), want);
		}
		/* fails if it cannot do all of it, as while pages are being written */
		cgroup_write(group, "memory.reclaim", "64M swappiness=200");
		cr_sleep_ms(CR_POLL_MS);
	}
}

/*
 * What is shared can be in swap, before and after. A page goes there only when
 * it was found in all processes that have it, which takes what the kernel knows
 * of its whereabouts.
 */
static void swap_trip(struct __test_metadata *_metadata, const char *group)
{
	struct cr_child c;

	cr_begin(_metadata, &c, family);
	swap_out(_metadata, group, &c);
	ASSERT_LT(0, cr_save(_metadata, &c, 0));
	check_size(_metadata, &c);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	cr_load(_metadata, &c, 0);
	swap_out(_metadata, group, &c);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* So can the memory of a kept checkpoint, which no process has any more. */
static void swap_kept(struct __test_metadata *_metadata, const char *group)
{
	struct cr_child c;
	long crid;

	cr_begin(_metadata, &c, family);
	crid = cr_keep(_metadata, &c);
	ASSERT_TRUE(cr_kill_tree(c.pid));
	swap_out(_metadata, group, NULL);
	cr_save_kept(_metadata, &c, crid, CHECKPOINT_KEEP);
	check_size(_metadata, &c);
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy of the image");
	cr_load_from(_metadata, &c, crid, -1, 0);
	swap_out(_metadata, group, &c);
	cr_finish(_metadata, &c, "copy from memory");
	ASSERT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	cr_end(_metadata, &c);
}

FIXTURE(swap) {
	char group[32];
};

FIXTURE_SETUP(swap)
{
	char path[64];

	snprintf(self->group, sizeof(self->group), "cr-kin.%d", getpid());
	snprintf(path, sizeof(path), CGROUPS "/%s", self->group);
	if (mkdir(path, 0755) || !swap_begin(_metadata)) {
		rmdir(path);
		SKIP(return, "no control group or swap space here");
	}
	ASSERT_TRUE(cgroup_write(self->group, "cgroup.procs", "0"));
	init(4, 0, 3, 2, 1, 0);
}

FIXTURE_TEARDOWN(swap)
{
	char path[64];

	snprintf(path, sizeof(path), CGROUPS "/%s", self->group);
	EXPECT_TRUE(cgroup_write("", "cgroup.procs", "0"));
	swap_end(_metadata);
	EXPECT_EQ(0, rmdir(path));
}

TEST_F(swap, of_processes)
{
	swap_trip(_metadata, self->group);
}

TEST_F(swap, of_a_kept_checkpoint)
{
	swap_kept(_metadata, self->group);
}

TEST_HARNESS_MAIN
