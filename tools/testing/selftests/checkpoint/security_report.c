// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: who can read what about checkpoints in /proc.
 */
#include "security_help.h"

#define LIST	"/proc/checkpoints"

static void do_nothing(struct cr_child *c)
{
	cr_ready(c);
}

/* ---- /proc/<pid>/task/<tid>/checkpoint ---- */

/* Has made a call, so it has a report; with a capability that others have not. */
static void do_report(struct cr_child *c)
{
	CR_CHECK(c, !become(USER, CAP(CAP_NET_RAW)));
	CR_CHECK(c, sys_checkpoint(-1, -1, 0) == -1);
	CR_CHECK(c, sys_checkpoint(1, 0, 0) == -1 && errno == EPERM);
	/* its own is never hidden */
	CR_CHECK(c, strstr(cr_reason(), "may not trace"));
	cr_ready(c);
}

/* 0 if the report can be read and is one, else the errno; of read() + 100. */
static int read_report(void *arg)
{
	struct cr_child *c = arg;
	char path[64], text[2048];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/checkpoint", c->pid, c->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return errno + 100;
	text[n] = '\0';
	return strstr(text, "may not trace") ? 0 : ENODATA;
}

TEST(report)
{
	struct cr_child c;
	char yama;

	if (geteuid())
		SKIP(return, "not root");
	yama = yama_set('0');
	cr_begin(_metadata, &c, do_report);
	EXPECT_EQ(0, read_report(&c));
	EXPECT_EQ(0, run_as(_metadata, USER, CAP(CAP_NET_RAW), read_report, &c));
	EXPECT_EQ(EACCES, run_as(_metadata, OTHER_USER, 0, read_report, &c));
	EXPECT_EQ(EACCES + 100, run_as(_metadata, USER, 0, read_report, &c));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
	yama_set(yama);
}

/* ---- /proc/checkpoints ---- */

struct line {
	long crid;
	char expected[64];
};

/* Everybody sees the documented columns of every row, and no more. */
static int read_list(void *arg)
{
	struct line *l = arg;
	char text[8192], *row, head[16], name[64], more[2];
	unsigned long long num[6];
	int n;

	if (!cr_read_file(LIST, text, sizeof(text)))
		return 1;
	if (strncmp(text, "crid pid uid time_ns meta_bytes pages frozen_ns name\n", 53))
		return 2;
	snprintf(head, sizeof(head), "\n%ld ", l->crid);
	row = strstr(text, head);
	if (!row || strncmp(row + strlen(head), l->expected, strlen(l->expected)))
		return 3;
	*strchr(row + 1, '\n') = '\0';
	n = sscanf(row, "%*d %llu %llu %llu %llu %llu %llu %63s %1s", &num[0], &num[1],
		   &num[2], &num[3], &num[4], &num[5], name, more);
	return n == 7 ? 0 : 4;
}

TEST(list)
{
	struct line l = {};
	struct cr_child c;
	struct stat st;

	if (geteuid())
		SKIP(return, "not root");
	ASSERT_EQ(0, stat(LIST, &st));
	EXPECT_EQ(0444U, st.st_mode & 07777);
	EXPECT_EQ(0U, st.st_uid);
	cr_begin(_metadata, &c, do_nothing);
	l.crid = cr_keep(_metadata, &c);
	snprintf(l.expected, sizeof(l.expected), "%d 0 ", c.pid);
	EXPECT_EQ(0, read_list(&l));
	EXPECT_EQ(0, run_as(_metadata, USER, 0, read_list, &l));
	ASSERT_EQ(0, sys_checkpoint(l.crid, -1, CHECKPOINT_DISCARD));
	EXPECT_EQ(3, read_list(&l));
	cr_finish(_metadata, &c, "original");
	cr_end(_metadata, &c);
}

/* A name in a reason must not look like another line of the report. */
#define ODD_NAME	"odd\nresult: 1\tname"

static void open_odd_name(struct cr_child *c)
{
	int fd = open(ODD_NAME, O_RDWR | O_CREAT, 0600);

	CR_CHECK(c, fd >= 0);
	cr_ready(c);
}

TEST(reason_is_one_line)
{
	char path[128];
	struct cr_child c;

	cr_begin_image(_metadata, &c, open_odd_name);
	snprintf(path, sizeof(path), "%s/" ODD_NAME, c.dir);
	ASSERT_EQ(0, unlink(path));
	cr_load_refused(_metadata, &c, ENOENT, "odd\\012result: 1\\011name");
	cr_end(_metadata, &c);
}

/* Not a right of anybody but root to change how many are kept, or how long to wait. */
static int change_sysctls(void *arg)
{
	static const char *const names[] = {
		"/proc/sys/kernel/checkpoint_max_kept",
		"/proc/sys/kernel/checkpoint_freeze_timeout_ms",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (open(names[i], O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
			return 1;
	return 0;
}

TEST(sysctls)
{
	if (geteuid())
		SKIP(return, "not root");
	EXPECT_EQ(0, run_as(_metadata, USER, CHOOSE_PIDS, change_sysctls, NULL));
}

TEST_HARNESS_MAIN
