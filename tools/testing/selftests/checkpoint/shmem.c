// SPDX-License-Identifier: GPL-2.0
/*
 * Shared anonymous memory: what processes of the tree share is still shared in
 * the copy, with the contents it had.
 */
#include "fill_help.h"

#define MIB	(1024 * 1024UL)
#define SHARED	(MAP_SHARED | MAP_ANONYMOUS)

static void *get(struct cr_child *c, size_t size, int flags)
{
	void *p = mmap(NULL, size, RW, flags, -1, 0);

	CR_CHECK(c, p != MAP_FAILED);
	return p;
}

static bool zero(const char *p, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (p[i])
			return false;
	return true;
}

/* Waits until *@word has become @value. */
static void await(struct cr_child *c, int *word, int value)
{
	int n;

	for (n = 0; __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; n++) {
		CR_CHECK(c, n < CR_WAIT_S * 1000);
		cr_sleep_ms(1);
	}
}

static void do_contents(struct cr_child *c)
{
	char *p = get(c, 64 * MIB, SHARED | MAP_NORESERVE);
	char *q = get(c, 16 * PAGE, SHARED);
	char *view;

	fill(p, 4 * MIB, 1);
	fill(p + 32 * MIB, PAGE, 2);
	fill(q, 16 * PAGE, 3);
	/* a second view of the same memory, from its third page on */
	view = mremap(q + 2 * PAGE, 0, 4 * PAGE, MREMAP_MAYMOVE);
	CR_CHECK(c, view != MAP_FAILED);
	CR_CHECK(c, !mprotect(q, PAGE, PROT_READ));

	cr_ready(c);

	CR_CHECK(c, filled(p, 4 * MIB, 1));
	CR_CHECK(c, zero(p + 4 * MIB, MIB));
	CR_CHECK(c, filled(p + 32 * MIB, PAGE, 2));
	CR_CHECK(c, zero(p + 63 * MIB, MIB));
	CR_CHECK(c, filled(q, 16 * PAGE, 3));
	fill(view, 4 * PAGE, 4);
	CR_CHECK(c, filled(q + 2 * PAGE, 4 * PAGE, 4));
	CR_CHECK(c, filled(q + 6 * PAGE, 10 * PAGE, 3 + 6 * PAGE));
	CR_CHECK(c, !mprotect(q, PAGE, RW));
	q[0] = 1;
}

TEST(contents)
{
	cr_both_ways(_metadata, do_contents, 0);
}

static void child_side(struct cr_child *c, char *p)
{
	int *turn = (int *)p;

	await(c, turn, 1);
	CR_CHECK(c, filled(p + PAGE, 15 * PAGE, 10));
	fill(p + PAGE, 15 * PAGE, 20);
	__atomic_store_n(turn, 2, __ATOMIC_RELEASE);
	await(c, turn, 3);
	CR_CHECK(c, filled(p + PAGE, 15 * PAGE, 30));
	_exit(0);
}

static void do_parent_and_child(struct cr_child *c)
{
	char *p = get(c, 16 * PAGE, SHARED);
	int *turn = (int *)p;
	int status;
	pid_t pid;

	fill(p + PAGE, 15 * PAGE, 10);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid)
		child_side(c, p);
	cr_ready(c);
	__atomic_store_n(turn, 1, __ATOMIC_RELEASE);
	await(c, turn, 2);
	CR_CHECK(c, filled(p + PAGE, 15 * PAGE, 20));
	fill(p + PAGE, 15 * PAGE, 30);
	__atomic_store_n(turn, 3, __ATOMIC_RELEASE);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
}

TEST(parent_and_child)
{
	cr_both_ways(_metadata, do_parent_and_child, 0);
}

/* The one who made it has unmapped it; others still share it. */
static void do_only_children(struct cr_child *c)
{
	char *p = get(c, 4 * PAGE, SHARED);
	int *word = (int *)p;
	int i, status;
	pid_t pid[4];

	for (i = 0; i < 4; i++) {
		pid[i] = fork();
		CR_CHECK(c, pid[i] >= 0);
		if (!pid[i]) {
			cr_wait_go(c);
			/* each in its turn */
			await(c, word, i);
			__atomic_store_n(word, i + 1, __ATOMIC_RELEASE);
			await(c, word, 4);
			_exit(0);
		}
	}
	CR_CHECK(c, !munmap(p, 4 * PAGE));
	cr_ready(c);
	for (i = 0; i < 4; i++)
		CR_CHECK(c, waitpid(pid[i], &status, 0) == pid[i] && !status);
}

TEST(only_children)
{
	cr_both_ways(_metadata, do_only_children, 0);
}

/* Two pieces of shared memory must not become one. */
static void do_two_objects(struct cr_child *c)
{
	char *p = get(c, 4 * PAGE, SHARED), *q = get(c, 4 * PAGE, SHARED);

	fill(p, 4 * PAGE, 1);
	fill(q, 4 * PAGE, 2);
	cr_ready(c);
	CR_CHECK(c, filled(p, 4 * PAGE, 1) && filled(q, 4 * PAGE, 2));
	fill(p, 4 * PAGE, 3);
	CR_CHECK(c, filled(q, 4 * PAGE, 2));
}

TEST(two_objects)
{
	cr_both_ways(_metadata, do_two_objects, 0);
}

/* ---- refused ---- */

static void use_outside(struct cr_child *c)
{
	char *p = get(c, 4 * PAGE, SHARED);
	pid_t pid, sub;

	/* a grandchild that is nobody's child in the tree any more */
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		sub = fork();
		if (!sub) {
			cr_wait_go(c);
			_exit(0);
		}
		_exit(sub < 0);
	}
	CR_CHECK(c, waitpid(pid, NULL, 0) == pid);
	fill(p, 4 * PAGE, 1);
	cr_ready(c);
	CR_CHECK(c, filled(p, 4 * PAGE, 1));
}

TEST(refused_shared_outside)
{
	cr_refused(_metadata, use_outside, EOPNOTSUPP, "outside of the tree");
}

TEST_HARNESS_MAIN
