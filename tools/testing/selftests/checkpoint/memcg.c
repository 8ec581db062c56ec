// SPDX-License-Identifier: GPL-2.0
/*
 * Kept checkpoints and memory cgroups: the pages stay charged to the container,
 * metadata and page tables to the one who made it. Out of memory in either
 * harms nobody else, and what was charged is given back at the end.
 */
#include <linux/limits.h>

#include "cr_selftest.h"

#define ROOT		"/sys/fs/cgroup"
#define OOM_SCORE_ADJ	"/proc/self/oom_score_adj"
#define KIB		1024L
#define MIB		(1024 * KIB)
/* What a container has in memory; a limit lets it be copied by half. */
#define MEMORY		(24 * MIB)
#define LIMIT		(MEMORY + MEMORY / 2)
/* Every other page is a mapping of its own: about 56 bytes of metadata each. */
#define NR_MAPPINGS	8000L
#define META		(NR_MAPPINGS * 50)

struct group {
	char path[64];
};

static struct group container;

static bool group_write(const struct group *g, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", g->path, name);
	return cr_write_file(path, text);
}

static bool group_limit(const struct group *g, long bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", bytes);
	return group_write(g, "memory.max", text);
}

/* A number of a file; of @key if that is not NULL. -1 if it is not there. */
static long group_number(const struct group *g, const char *name, const char *key)
{
	char path[128], text[4096], *p = text;

	snprintf(path, sizeof(path), "%s/%s", g->path, name);
	if (!cr_read_file(path, text, sizeof(text)))
		return -1;
	if (key) {
		p = strstr(text, key);
		if (!p)
			return -1;
		p += strlen(key);
	}
	return atol(p);
}

static long charged(const struct group *g)
{
	return group_number(g, "memory.current", NULL);
}

/* Until no more than @max is charged: some is given back late, in batches. */
static bool falls_to(const struct group *g, long max)
{
	int n;

	for (n = 0; charged(g) > max; n++) {
		if (n == CR_WAIT_S * 1000 / CR_POLL_MS)
			return false;
		cr_sleep_ms(CR_POLL_MS);
	}
	return true;
}

static bool group_make(struct group *g, const char *name)
{
	struct group root = { ROOT };

	snprintf(g->path, sizeof(g->path), "%s/cr-%d-%s", ROOT, getpid(), name);
	if (!group_write(&root, "cgroup.subtree_control", "+memory") || mkdir(g->path, 0755))
		return false;
	/* without swap, where that is accounted */
	group_write(g, "memory.swap.max", "0");
	if (charged(g) >= 0)
		return true;
	rmdir(g->path);
	return false;
}

/* Only when the last process has really left it. */
static bool group_remove(const struct group *g)
{
	int n;

	for (n = 0; rmdir(g->path); n++) {
		if (errno != EBUSY || n == CR_WAIT_S * 1000 / CR_POLL_MS)
			return false;
		cr_sleep_ms(CR_POLL_MS);
	}
	return true;
}

static bool group_join(const struct group *g)
{
	return group_write(g, "cgroup.procs", "0");
}

static void write_all(unsigned char *m, unsigned char seed)
{
	long i;

	for (i = 0; i < MEMORY; i += 512)
		m[i] = seed + i / 4096;
}

static bool all_written(const unsigned char *m, unsigned char seed)
{
	long i;

	for (i = 0; i < MEMORY; i += 512)
		if (m[i] != (unsigned char)(seed + i / 4096))
			return false;
	return true;
}

/* In the container: much memory, all of which is changed if it is told so. */
static void changes_all(struct cr_child *c)
{
	unsigned char *m;

	CR_CHECK(c, group_join(&container));
	m = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CR_CHECK(c, m != MAP_FAILED);
	write_all(m, 1);
	cr_ready(c);
	CR_CHECK(c, all_written(m, 1));
	if (!access("change", F_OK)) {
		write_all(m, 77);
		CR_CHECK(c, all_written(m, 77));
	}
}

static void touch(const char *dir, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/*
 * What a kept checkpoint holds counts for the container; so a container that
 * changes its memory meanwhile may reach its limit and is killed, as any. The
 * checkpoint is none the worse for that.
 */
TEST(container_out_of_memory)
{
	char change[64];
	struct cr_child c;
	int crid, status;

	if (!group_make(&container, "oom"))
		SKIP(return, "no memory controller, or not root");
	ASSERT_TRUE(group_limit(&container, LIMIT));
	cr_begin(_metadata, &c, changes_all);
	crid = cr_keep(_metadata, &c);
	touch(c.dir, "change");
	touch(c.dir, ".go");
	ASSERT_EQ(c.pid, waitpid(c.pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		TH_LOG("status 0x%x", status);
	}
	EXPECT_EQ(1, group_number(&container, "memory.events", "oom_kill "));
	EXPECT_LE(MEMORY, charged(&container));

	/* The copies are in the cgroup of this process. */
	snprintf(change, sizeof(change), "%s/change", c.dir);
	ASSERT_EQ(0, unlink(change));
	cr_load_from(_metadata, &c, crid, -1, 0);
	cr_save_kept(_metadata, &c, crid, CHECKPOINT_KEEP);
	cr_finish(_metadata, &c, "copy from memory");
	EXPECT_LE(MEMORY, charged(&container));
	EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	EXPECT_TRUE(falls_to(&container, 2 * MIB)) {
		TH_LOG("%ld bytes are still charged", charged(&container));
	}
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy of the image");
	cr_end(_metadata, &c);
	EXPECT_TRUE(group_remove(&container));
}

/* ---- the caller ---- */

static void many_mappings(struct cr_child *c)
{
	long i, len = NR_MAPPINGS * 4096;
	char *m = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CR_CHECK(c, m != MAP_FAILED);
	for (i = 0; i < len; i += 8192)
		CR_CHECK(c, !mprotect(m + i, 4096, PROT_READ | PROT_WRITE));
	for (i = 0; i < len; i += 64 * 8192)
		m[i] = i / 8192;
	cr_ready(c);
	for (i = 0; i < len; i += 8192) {
		CR_CHECK(c, m[i] == (char)(i % (64 * 8192) ? 0 : i / 8192));
		m[i] = 1;
	}
}

/*
 * To the exact number: a limit of nothing makes the kernel give back what it
 * holds for the next charge. There is no process in the group.
 */
static bool drains(const struct group *g)
{
	int n;

	for (n = 0; n < CR_WAIT_S * 1000 / CR_POLL_MS; n++) {
		if (!group_limit(g, 0))
			return false;
		if (charged(g) <= 128 * KIB)
			return true;
		cr_sleep_ms(CR_POLL_MS);
	}
	return false;
}

/*
 * checkpoint() by a process that may have @more bytes than it has: the errno, 0,
 * or -1 if it was killed. With a checkpoint that is kept its id goes to @crid.
 */
static int call_with(struct __test_metadata *_metadata, const struct group *g, pid_t pid,
		     long more, int *crid)
{
	int p[2], status, id = 0;
	pid_t caller;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_TRUE(group_write(g, "memory.max", "max"));
	caller = fork();
	ASSERT_LE(0, caller);
	if (!caller) {
		if (!group_join(g) || !group_limit(g, charged(g) + more))
			_exit(99);
		id = sys_checkpoint(pid, -1, CHECKPOINT_KEEP);
		if (id < 0)
			_exit(*cr_reason() ? errno : 98);
		_exit(write(p[1], &id, sizeof(id)) != sizeof(id));
	}
	close(p[1]);
	ASSERT_EQ(caller, waitpid(caller, &status, 0));
	if (read(p[0], &id, sizeof(id)) != sizeof(id))
		id = 0;
	close(p[0]);
	*crid = id;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(caller_out_of_memory)
{
	static const long too_little[] = { 0, 64 * KIB, 128 * KIB, 256 * KIB };
	int err, crid, before = cr_nr_kept();
	struct group g;
	struct cr_child c;
	size_t i;

	if (!group_make(&g, "caller"))
		SKIP(return, "no memory controller, or not root");
	cr_begin(_metadata, &c, many_mappings);
	for (i = 0; i < ARRAY_SIZE(too_little); i++) {
		err = call_with(_metadata, &g, c.pid, too_little[i], &crid);
		EXPECT_TRUE(err == ENOMEM || err == -1) {
			TH_LOG("%ld bytes: errno %d, checkpoint %d", too_little[i], err, crid);
		}
		EXPECT_EQ(before, cr_nr_kept());
		EXPECT_TRUE(drains(&g)) {
			TH_LOG("%ld bytes are still charged", charged(&g));
		}
	}

	/* With enough it is kept, at the expense of the caller, who has ended. */
	EXPECT_EQ(0, call_with(_metadata, &g, c.pid, 64 * MIB, &crid));
	ASSERT_LT(0, crid);
	EXPECT_LE(META, charged(&g));
	EXPECT_EQ(0, sys_checkpoint(crid, -1, CHECKPOINT_DISCARD));
	EXPECT_TRUE(drains(&g)) {
		TH_LOG("%ld bytes are still charged", charged(&g));
	}
	EXPECT_TRUE(group_remove(&g));

	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("%s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* ---- the restarted ---- */

/* Whoever is out of memory: this is killed. */
static void first_to_be_killed(struct cr_child *c)
{
	unsigned char *m;

	CR_CHECK(c, cr_write_file(OOM_SCORE_ADJ, "1000"));
	m = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CR_CHECK(c, m != MAP_FAILED);
	write_all(m, 1);
	cr_ready(c);
	CR_CHECK(c, all_written(m, 1));
}

/* restart() by a process that may have half of the memory, and is not killed: the errno. */
static int restart_with_half(struct __test_metadata *_metadata, const struct group *g,
			     struct cr_child *c)
{
	int fd, err, status;
	pid_t caller;

	caller = fork();
	ASSERT_LE(0, caller);
	if (!caller) {
		fd = open(c->image, O_RDONLY | O_CLOEXEC);
		if (!cr_write_file(OOM_SCORE_ADJ, "-1000") || !group_join(g) ||
		    !group_limit(g, charged(g) + MEMORY / 2))
			_exit(99);
		err = sys_restart(0, fd, 0) < 0 ? errno : 0;
		TH_LOG("%s: %s", strerror(err), cr_reason());
		_exit(!err || *cr_reason() ? err : 98);
	}
	ASSERT_EQ(caller, waitpid(caller, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* It is not the image's fault, and nothing is left; with more memory it is right. */
TEST(restarted_out_of_memory)
{
	struct group g;
	struct cr_child c;
	int err;

	if (!group_make(&g, "half"))
		SKIP(return, "no memory controller, or not root");
	cr_begin_image(_metadata, &c, first_to_be_killed);
	err = restart_with_half(_metadata, &g, &c);
	/* it depends on who is the first to notice */
	EXPECT_TRUE(err == ENOMEM || err == EINTR) {
		TH_LOG("errno %d", err);
	}
	EXPECT_LT(0, group_number(&g, "memory.events", "oom_kill "));
	EXPECT_EQ(-1, kill(c.pid, 0));
	EXPECT_TRUE(drains(&g)) {
		TH_LOG("%ld bytes are still charged", charged(&g));
	}
	EXPECT_TRUE(group_remove(&g));
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "copy");
	cr_end(_metadata, &c);
}

/* ---- a PID namespace that ends with checkpoints in it ---- */

/* They talk by SIGUSR1, which both have blocked: a pipe would be refused. */
static void worker(const sigset_t *usr1)
{
	unsigned char *m;
	int sig;

	close_range(0, ~0U, 0);
	m = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		_exit(1);
	write_all(m, 1);
	if (kill(getppid(), SIGUSR1) || sigwait(usr1, &sig))
		_exit(2);
	write_all(m, 77);
	_exit(0);
}

/* Keeps a checkpoint of a process that changes all its memory, and waits. */
static int namespace_init(int out, int in)
{
	int sig, status;
	sigset_t usr1;
	char byte = 0;
	pid_t pid;

	cr_unmap_shared();
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	if (!group_join(&container) || sigprocmask(SIG_BLOCK, &usr1, NULL))
		return 1;
	pid = fork();
	if (!pid)
		worker(&usr1);
	if (pid < 0 || sigwait(&usr1, &sig))
		return 2;
	if (sys_checkpoint(pid, -1, CHECKPOINT_KEEP) != 1)
		return 3;
	if (kill(pid, SIGUSR1) || waitpid(pid, &status, 0) != pid || status)
		return 4;
	if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 0)
		return 5;
	return 0;
}

TEST(namespace_ends)
{
	int out[2], in[2], status;
	pid_t pid;
	char byte;

	if (!group_make(&container, "namespace"))
		SKIP(return, "no memory controller, or not root");
	ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(out[0]);
		close(in[1]);
		_exit(namespace_init(out[1], in[0]));
	}
	close(out[1]);
	close(in[0]);
	EXPECT_EQ(1, read(out[0], &byte, 1));
	/* The process has gone; its memory is the checkpoint's. */
	EXPECT_LE(MEMORY, charged(&container));
	close(in[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(falls_to(&container, 2 * MIB)) {
		TH_LOG("%ld bytes are still charged", charged(&container));
	}
	EXPECT_TRUE(group_remove(&container));
}

TEST_HARNESS_MAIN
