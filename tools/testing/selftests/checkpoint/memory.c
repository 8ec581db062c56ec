// SPDX-License-Identifier: GPL-2.0
/*
 * Private memory: contents, heap and stack, what madvise(), mlock() and prctl()
 * have said, and what /proc shows. And mappings that cannot be restored.
 */
#include <linux/aio_abi.h>
#include <linux/membarrier.h>
#include <linux/userfaultfd.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>

#include "cr_selftest.h"
#include "swap_help.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 8
#endif
#ifndef __NR_mseal
#define __NR_mseal 462
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif
#ifndef MEMBARRIER_CMD_GET_REGISTRATIONS
#define MEMBARRIER_CMD_GET_REGISTRATIONS 512
#endif

#define PAGE	4096UL
#define MIB	(1024 * 1024UL)
#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)

static char *get(struct cr_child *c, size_t size, int prot, int flags)
{
	char *p = mmap(NULL, size, prot, flags, -1, 0);

	CR_CHECK(c, p != MAP_FAILED);
	return p;
}

/* A few words in every page, different in all of them. */
static void fill(char *p, size_t size, unsigned long seed)
{
	size_t i, j;

	for (i = 0; i < size; i += PAGE)
		for (j = 0; j < PAGE; j += 512)
			*(unsigned long *)(p + i + j) = seed + i + j + 1;
}

static bool filled(const char *p, size_t size, unsigned long seed)
{
	size_t i, j;

	for (i = 0; i < size; i += PAGE)
		for (j = 0; j < PAGE; j += 512)
			if (*(unsigned long *)(p + i + j) != seed + i + j + 1)
				return false;
	return true;
}

static bool zero(const char *p, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += sizeof(long))
		if (*(long *)(p + i))
			return false;
	return true;
}

static void do_contents(struct cr_child *c)
{
	char *rw = get(c, 64 * PAGE, RW, ANON);
	char *none = get(c, 16 * PAGE, PROT_NONE, ANON);
	char *ro = get(c, 16 * PAGE, RW, ANON);
	char *was = get(c, 16 * PAGE, RW, ANON);
	char *nores = get(c, 1024 * MIB, RW, ANON | MAP_NORESERVE);
	int i;

	fill(rw, 16 * PAGE, 1);
	/* one page in two, and one that is read only */
	for (i = 16; i < 48; i += 2)
		fill(rw + i * PAGE, PAGE, i);
	CR_CHECK(c, zero(rw + 48 * PAGE, 4 * PAGE));
	fill(ro, 16 * PAGE, 2);
	CR_CHECK(c, !mprotect(ro, 16 * PAGE, PROT_READ));
	fill(was, 16 * PAGE, 3);
	CR_CHECK(c, !mprotect(was, 16 * PAGE, PROT_NONE));
	fill(nores + 512 * MIB, 8 * PAGE, 4);

	cr_ready(c);

	CR_CHECK(c, filled(rw, 16 * PAGE, 1));
	for (i = 16; i < 48; i++)
		CR_CHECK(c, i % 2 ? zero(rw + i * PAGE, PAGE) : filled(rw + i * PAGE, PAGE, i));
	CR_CHECK(c, zero(rw + 48 * PAGE, 16 * PAGE));
	CR_CHECK(c, filled(ro, 16 * PAGE, 2));
	CR_CHECK(c, !mprotect(none, 16 * PAGE, RW) && zero(none, 16 * PAGE));
	CR_CHECK(c, !mprotect(was, 16 * PAGE, RW) && filled(was, 16 * PAGE, 3));
	CR_CHECK(c, !mprotect(ro, 16 * PAGE, RW));
	fill(ro, 16 * PAGE, 5);
	CR_CHECK(c, filled(ro, 16 * PAGE, 5));
	CR_CHECK(c, filled(nores + 512 * MIB, 8 * PAGE, 4));
	CR_CHECK(c, zero(nores, 16 * PAGE));
}

TEST(contents)
{
	cr_both_ways(_metadata, do_contents, 0);
}

static void do_large(struct cr_child *c)
{
	char *p = get(c, 128 * MIB, RW, ANON);

	fill(p, 128 * MIB, 7);
	cr_ready(c);
	CR_CHECK(c, filled(p, 128 * MIB, 7));
}

TEST(large)
{
	cr_both_ways(_metadata, do_large, 0);
}

static void huge(struct cr_child *c)
{
	char *p = get(c, 18 * MIB, RW, ANON);

	p = (char *)(((unsigned long)p + 2 * MIB - 1) & -(2 * MIB));
	CR_CHECK(c, !madvise(p, 16 * MIB, MADV_HUGEPAGE));
	fill(p, 8 * MIB, 1);
	/* a hole in a huge page, and a huge page that is mapped in pieces */
	CR_CHECK(c, !madvise(p + 3 * MIB, PAGE, MADV_DONTNEED));
	CR_CHECK(c, !mprotect(p + 5 * MIB, PAGE, PROT_READ));
	/* zero all over */
	CR_CHECK(c, zero(p + 8 * MIB, 2 * MIB));
	p[10 * MIB] = 0;

	cr_ready(c);

	CR_CHECK(c, filled(p, 3 * MIB, 1));
	CR_CHECK(c, zero(p + 3 * MIB, PAGE));
	CR_CHECK(c, filled(p + 3 * MIB + PAGE, 5 * MIB - PAGE, 1 + 3 * MIB + PAGE));
	CR_CHECK(c, zero(p + 8 * MIB, 8 * MIB));
	fill(p, 5 * MIB, 2);
	CR_CHECK(c, filled(p, 5 * MIB, 2));
}

TEST(huge_pages)
{
	cr_both_ways(_metadata, huge, 0);
}

static void pieces(struct cr_child *c)
{
	char *p = get(c, 4096 * PAGE, RW, ANON);
	int i;

	for (i = 0; i < 4096; i += 2) {
		fill(p + i * PAGE, PAGE, i);
		CR_CHECK(c, !mprotect(p + i * PAGE, PAGE, PROT_READ));
	}
	cr_ready(c);
	for (i = 0; i < 4096; i++)
		CR_CHECK(c, i % 2 ? zero(p + i * PAGE, PAGE) : filled(p + i * PAGE, PAGE, i));
}

TEST(many_mappings)
{
	cr_both_ways(_metadata, pieces, 0);
}

static void do_heap(struct cr_child *c)
{
	char *start = sbrk(0), *p;

	p = sbrk(MIB);
	CR_CHECK(c, p == start);
	fill(p, MIB & -PAGE, 1);
	cr_ready(c);
	CR_CHECK(c, filled(p, MIB & -PAGE, 1));
	CR_CHECK(c, sbrk(0) == start + MIB);
	CR_CHECK(c, sbrk(4 * MIB) == start + MIB);
	CR_CHECK(c, zero(start + MIB, 4 * MIB));
	fill(start + MIB, 4 * MIB, 2);
	CR_CHECK(c, filled(p, MIB, 1) && filled(start + MIB, 4 * MIB, 2));
	CR_CHECK(c, sbrk(-5 * (long)MIB) == start + 5 * MIB);
}

TEST(heap)
{
	cr_both_ways(_metadata, do_heap, 0);
}

static unsigned long deep(unsigned int n)
{
	unsigned char frame[4000];

	memset(frame, n, sizeof(frame));
	/* must be on the stack */
	asm volatile("" : : "r" (frame) : "memory");
	return n ? deep(n - 1) + frame[3999] : 0;
}

static void do_stack(struct cr_child *c)
{
	unsigned long local[512];
	int i;

	for (i = 0; i < 512; i++)
		local[i] = i * 3;
	asm volatile("" : : "r" (local) : "memory");
	cr_ready(c);
	for (i = 0; i < 512; i++)
		CR_CHECK(c, local[i] == i * 3);
	/* 2 MiB more than there ever was */
	CR_CHECK(c, deep(512) == 256 * 255 / 2 * 2);
}

TEST(stack)
{
	cr_both_ways(_metadata, do_stack, 0);
}

/*
 * All the time the pages before the current one are of this round and the
 * others of the one before. A copy of another moment for each page would not be.
 */
static void one_moment(struct cr_child *c)
{
	unsigned long round, i, n = 4096;
	char *p = get(c, n * PAGE, RW, ANON);

	for (round = 1; ; round++) {
		for (i = 0; i < n; i++) {
			unsigned long *word = (void *)(p + i * PAGE);

			CR_CHECK(c, __atomic_load_n(word, __ATOMIC_RELAXED) == round - 1);
			__atomic_store_n(word, round, __ATOMIC_RELAXED);
		}
		if (round == 1)
			cr_say_ready(c);
		else if (!access(c->go, F_OK))
			break;
	}
	for (i = 0; i < n; i++)
		CR_CHECK(c, *(unsigned long *)(p + i * PAGE) == round);
}

TEST(all_of_one_moment)
{
	cr_both_ways(_metadata, one_moment, 0);
}

/* Pages that processes share by fork() are each one's own. */
static void after_fork(struct cr_child *c)
{
	char *p = get(c, 64 * PAGE, RW, ANON);
	int status;
	pid_t pid;

	fill(p, 64 * PAGE, 1);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		fill(p, 16 * PAGE, 2);
		cr_wait_go(c);
		CR_CHECK(c, filled(p, 16 * PAGE, 2));
		CR_CHECK(c, filled(p + 16 * PAGE, 48 * PAGE, 1 + 16 * PAGE));
		fill(p, 64 * PAGE, 3);
		_exit(0);
	}
	cr_ready(c);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	CR_CHECK(c, filled(p, 64 * PAGE, 1));
}

TEST(private_after_fork)
{
	cr_both_ways(_metadata, after_fork, 0);
}

/* ---- in swap ---- */

/* How many pages of these are not in memory. */
static int absent(struct cr_child *c, char *p, int nr)
{
	unsigned long entry;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), i, n = 0;

	CR_CHECK(c, fd >= 0);
	for (i = 0; i < nr; i++) {
		CR_CHECK(c, pread(fd, &entry, 8, ((unsigned long)p / PAGE + i) * 8) == 8);
		/* bit 62: swapped, bit 63: present */
		n += (entry >> 62) == 1;
	}
	close(fd);
	return n;
}

static void swapped(struct cr_child *c, int flags)
{
	char *p = get(c, 1024 * PAGE, RW, flags);

	fill(p, 1024 * PAGE, 1);
	CR_CHECK(c, !madvise(p, 700 * PAGE, MADV_PAGEOUT));
	if (flags & MAP_PRIVATE)
		CR_CHECK(c, absent(c, p, 700) > 100);
	/* some are back, so that there are pages of both kinds side by side */
	CR_CHECK(c, filled(p + 300 * PAGE, 10 * PAGE, 1 + 300 * PAGE));
	cr_ready(c);
	CR_CHECK(c, filled(p, 1024 * PAGE, 1));
}

static void use_swap_private(struct cr_child *c)
{
	swapped(c, ANON);
}

static void use_swap_shared(struct cr_child *c)
{
	swapped(c, MAP_SHARED | MAP_ANONYMOUS);
}

/* Behind it there is nothing any more. */
static void use_swap_last(struct cr_child *c)
{
	char *last = (char *)0x7ffffffff000 - PAGE;
	char *p = mmap(last, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	int n;

	CR_CHECK(c, p == last);
	/* a page that another CPU still has in a batch is passed over */
	for (n = 0; n < 100 && absent(c, p, 1) != 1; n++) {
		CR_CHECK(c, !madvise(p, PAGE, MADV_DONTNEED));
		fill(p, PAGE, 1);
		CR_CHECK(c, !madvise(p, PAGE, MADV_PAGEOUT));
	}
	CR_CHECK(c, absent(c, p, 1) == 1);
	cr_ready(c);
	CR_CHECK(c, filled(p, PAGE, 1));
}

TEST(in_swap)
{
	if (!swap_begin(_metadata))
		SKIP(return, "no swap space here");
	cr_both_ways(_metadata, use_swap_last, 0);
	cr_both_ways(_metadata, use_swap_private, 0);
	cr_both_ways(_metadata, use_swap_shared, 0);
	swap_end(_metadata);
}

/* ---- /proc and flags ---- */

#define TEXT_MAX	(256 * 1024)

static char before[TEXT_MAX], after[TEXT_MAX];

static void slurp(struct cr_child *c, const char *path, char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, got = 0;

	CR_CHECK(c, fd >= 0);
	memset(text, 0, TEXT_MAX);
	while ((n = read(fd, text + got, TEXT_MAX - 1 - got)) > 0)
		got += n;
	CR_CHECK(c, n == 0 && got > 0 && got < TEXT_MAX - 1);
	close(fd);
}

/*
 * Ranges and VmFlags of /proc/self/smaps, without the numbers between, and
 * without "sd": what is soft-dirty is about the past.
 */
static void slurp_flags(struct cr_child *c, char *text)
{
	char *from, *to, *end, *sd;

	slurp(c, "/proc/self/smaps", text);
	for (from = text, to = text; *from; from = end) {
		end = strchrnul(from, '\n');
		end += *end == '\n';
		if (!strncmp(from, "VmFlags:", 8) || (*from >= '0' && *from <= '9') ||
		    (*from >= 'a' && *from <= 'f')) {
			memmove(to, from, end - from);
			to += end - from;
		}
	}
	*to = '\0';
	while ((sd = strstr(text, " sd ")))
		memmove(sd, sd + 3, strlen(sd + 3) + 1);
	memset(text + strlen(text), 0, TEXT_MAX - strlen(text));
}

static void same_text(struct cr_child *c, const char *what)
{
	char *p, *q;
	int i;

	for (i = 0; i < TEXT_MAX && before[i] == after[i]; i++)
		;
	if (i == TEXT_MAX)
		return;
	for (p = before + i, q = after + i; i && p[-1] != '\n'; i--, p--, q--)
		;
	cr_log(c, "%s: was: %.200s", what, p);
	cr_log(c, "%s: is:  %.200s", what, q);
	_exit(1);
}

#define SAME_FILE(name)							\
static void same_##name(struct cr_child *c)				\
{									\
	slurp(c, "/proc/self/" #name, before);				\
	cr_ready(c);							\
	slurp(c, "/proc/self/" #name, after);				\
	same_text(c, #name);						\
}									\
									\
TEST(proc_##name)							\
{									\
	cr_both_ways(_metadata, same_##name, 0);			\
}

SAME_FILE(cmdline)
SAME_FILE(environ)
SAME_FILE(auxv)
SAME_FILE(maps)
SAME_FILE(coredump_filter)

static void same_exe(struct cr_child *c)
{
	char was[4096] = "", is[4096] = "";

	CR_CHECK(c, readlink("/proc/self/exe", was, sizeof(was) - 1) > 0);
	cr_ready(c);
	CR_CHECK(c, readlink("/proc/self/exe", is, sizeof(is) - 1) > 0);
	CR_CHECK(c, !strcmp(was, is));
}

TEST(proc_exe)
{
	cr_both_ways(_metadata, same_exe, 0);
}

static void do_flags(struct cr_child *c)
{
	static const int advice[] = {
		MADV_DONTFORK, MADV_WIPEONFORK, MADV_DONTDUMP, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_MERGEABLE, MADV_SEQUENTIAL, MADV_RANDOM,
	};
	unsigned int i;
	char *p;

	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		p = get(c, 8 * PAGE, RW, ANON);
		CR_CHECK(c, !madvise(p + 2 * PAGE, 4 * PAGE, advice[i]));
		fill(p, 8 * PAGE, i);
	}
	get(c, 8 * PAGE, RW, ANON | MAP_NORESERVE);
	get(c, 8 * PAGE, RW, ANON | MAP_GROWSDOWN);
	get(c, 8 * PAGE, PROT_READ | PROT_EXEC, ANON);
	get(c, 8 * PAGE, PROT_NONE, ANON);
	get(c, 8 * PAGE, RW, ANON | MAP_LOCKED);
	p = get(c, 8 * PAGE, RW, ANON);
	CR_CHECK(c, !syscall(__NR_mlock2, p, 8 * PAGE, 1));
	/* was accounted when it was writable */
	p = get(c, 8 * PAGE, RW, ANON);
	CR_CHECK(c, !mprotect(p, 8 * PAGE, PROT_READ));

	slurp_flags(c, before);
	cr_ready(c);
	slurp_flags(c, after);
	same_text(c, "smaps");
}

TEST(flags)
{
	cr_both_ways(_metadata, do_flags, 0);
}

/* Not for the checkpoint, but again for fork() in the copy. */
static void for_fork(struct cr_child *c)
{
	char *dont = get(c, 8 * PAGE, RW, ANON), *wipe = get(c, 8 * PAGE, RW, ANON);
	int status;
	pid_t pid;

	CR_CHECK(c, !madvise(dont, 8 * PAGE, MADV_DONTFORK));
	CR_CHECK(c, !madvise(wipe, 8 * PAGE, MADV_WIPEONFORK));
	fill(dont, 8 * PAGE, 1);
	fill(wipe, 8 * PAGE, 2);
	cr_ready(c);
	CR_CHECK(c, filled(dont, 8 * PAGE, 1));
	CR_CHECK(c, filled(wipe, 8 * PAGE, 2));
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		CR_CHECK(c, zero(wipe, 8 * PAGE));
		CR_CHECK(c, msync(dont, PAGE, MS_ASYNC) && errno == ENOMEM);
		_exit(0);
	}
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
}

TEST(dontfork_and_wipeonfork)
{
	cr_both_ways(_metadata, for_fork, 0);
}

static void do_droppable(struct cr_child *c)
{
	char *p = mmap(NULL, 8 * PAGE, RW, MAP_ANONYMOUS | MAP_DROPPABLE, -1, 0);
	pid_t *pid = (pid_t *)get(c, PAGE, RW, ANON);

	CR_CHECK(c, p != MAP_FAILED);
	fill(p, 8 * PAGE, 1);
	*pid = getpid();
	slurp_flags(c, before);
	cr_ready(c);
	slurp_flags(c, after);
	same_text(c, "smaps");
	/* the copy has nothing, the original still all of it */
	CR_CHECK(c, zero(p, 8 * PAGE) || filled(p, 8 * PAGE, 1));
}

TEST(droppable)
{
	cr_both_ways(_metadata, do_droppable, 0);
}

static unsigned long status_kb(struct cr_child *c, const char *key)
{
	char *p;

	slurp(c, "/proc/self/status", after);
	p = strstr(after, key);
	CR_CHECK(c, p);
	return strtoul(p + strlen(key), NULL, 10);
}

static void do_locked(struct cr_child *c)
{
	char *p = get(c, 64 * PAGE, RW, ANON), *q;
	unsigned long kb;

	fill(p, 64 * PAGE, 1);
	CR_CHECK(c, !mlock(p, 32 * PAGE));
	CR_CHECK(c, !mlockall(MCL_FUTURE));
	kb = status_kb(c, "VmLck:");
	CR_CHECK(c, kb >= 128);
	cr_ready(c);
	CR_CHECK(c, status_kb(c, "VmLck:") == kb);
	CR_CHECK(c, filled(p, 64 * PAGE, 1));
	q = get(c, 16 * PAGE, RW, ANON);
	CR_CHECK(c, status_kb(c, "VmLck:") == kb + 64);
	CR_CHECK(c, !munmap(q, 16 * PAGE));
}

TEST(locked)
{
	cr_both_ways(_metadata, do_locked, 0);
}

static void do_settings(struct cr_child *c)
{
	int registered = syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	char *p;

	CR_CHECK(c, !registered);
	CR_CHECK(c, !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	CR_CHECK(c, !prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	CR_CHECK(c, !prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0));
	registered = syscall(__NR_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0);
	cr_ready(c);
	CR_CHECK(c, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CR_CHECK(c, prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
	CR_CHECK(c, prctl(PR_GET_MDWE, 0, 0, 0, 0) == PR_MDWE_REFUSE_EXEC_GAIN);
	p = mmap(NULL, PAGE, RW | PROT_EXEC, ANON, -1, 0);
	CR_CHECK(c, p == MAP_FAILED && errno == EACCES);
	CR_CHECK(c, syscall(__NR_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0) ==
		    registered);
	CR_CHECK(c, !syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
}

TEST(settings)
{
	cr_both_ways(_metadata, do_settings, 0);
}

static void do_vdso(struct cr_child *c)
{
	const unsigned char *elf = (void *)getauxval(AT_SYSINFO_EHDR);
	struct timespec was, now;
	int i;

	CR_CHECK(c, elf);
	clock_gettime(CLOCK_REALTIME, &was);
	cr_ready(c);
	CR_CHECK(c, !memcmp(elf, "\177ELF", 4));
	for (i = 0; i < 1000; i++) {
		CR_CHECK(c, !clock_gettime(CLOCK_REALTIME, &now));
		CR_CHECK(c, now.tv_sec >= was.tv_sec);
		CR_CHECK(c, now.tv_sec > was.tv_sec || now.tv_nsec >= was.tv_nsec);
		was = now;
	}
}

TEST(vdso)
{
	cr_both_ways(_metadata, do_vdso, 0);
}

/* New mappings go where they would have gone. */
static void do_next_mapping(struct cr_child *c)
{
	char *p = get(c, 8 * PAGE, RW, ANON), *q;

	CR_CHECK(c, !munmap(p, 8 * PAGE));
	cr_ready(c);
	q = get(c, 8 * PAGE, RW, ANON);
	CR_CHECK(c, q == p);
}

TEST(next_mapping)
{
	cr_both_ways(_metadata, do_next_mapping, 0);
}

/* ---- refused ---- */

static void use_hugetlb(struct cr_child *c)
{
	char *p = get(c, 2 * MIB, RW, ANON | MAP_HUGETLB);

	p[0] = 1;
	cr_ready(c);
	CR_CHECK(c, p[0] == 1);
}

TEST(refused_hugetlb)
{
	int fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY);

	if (fd < 0 || write(fd, "4", 1) != 1)
		SKIP(return, "no huge TLB pages");
	cr_refused(_metadata, use_hugetlb, EOPNOTSUPP, "huge TLB pages");
	EXPECT_EQ(1, pwrite(fd, "0", 1, 0));
	close(fd);
}

static void use_sysv(struct cr_child *c)
{
	int id = shmget(IPC_PRIVATE, 4 * PAGE, IPC_CREAT | 0600);
	char *p;

	CR_CHECK(c, id >= 0);
	p = shmat(id, NULL, 0);
	CR_CHECK(c, !shmctl(id, IPC_RMID, NULL));
	CR_CHECK(c, p != (void *)-1);
	p[0] = 1;
	cr_ready(c);
	CR_CHECK(c, p[0] == 1);
}

TEST(refused_sysv_shm)
{
	cr_refused(_metadata, use_sysv, EOPNOTSUPP, "System V shared memory");
}

static void use_memfd(struct cr_child *c)
{
	int fd = memfd_create("test", 0);
	char *p;

	CR_CHECK(c, fd >= 0 && !ftruncate(fd, PAGE));
	p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	CR_CHECK(c, p != MAP_FAILED);
	close(fd);
	p[0] = 1;
	cr_ready(c);
	CR_CHECK(c, p[0] == 1);
}

TEST(refused_memfd)
{
	cr_refused(_metadata, use_memfd, EOPNOTSUPP, "memfd");
}

static void use_uffd(struct cr_child *c)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };
	char *p = get(c, 4 * PAGE, RW, ANON);
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	CR_CHECK(c, fd >= 0);
	CR_CHECK(c, !ioctl(fd, UFFDIO_API, &api));
	reg.range.start = (unsigned long)p;
	reg.range.len = 4 * PAGE;
	CR_CHECK(c, !ioctl(fd, UFFDIO_REGISTER, &reg));
	cr_ready(c);
}

TEST(refused_userfaultfd)
{
	cr_refused(_metadata, use_uffd, EOPNOTSUPP, "userfaultfd");
}

static void use_mseal(struct cr_child *c)
{
	char *p = get(c, 4 * PAGE, RW, ANON);

	CR_CHECK(c, !syscall(__NR_mseal, p, 4 * PAGE, 0));
	cr_ready(c);
}

TEST(refused_mseal)
{
	cr_refused(_metadata, use_mseal, EOPNOTSUPP, "mseal");
}

static void use_aio(struct cr_child *c)
{
	aio_context_t aio = 0;

	CR_CHECK(c, !syscall(__NR_io_setup, 4, &aio));
	cr_ready(c);
}

TEST(refused_aio)
{
	cr_refused(_metadata, use_aio, EOPNOTSUPP, "asynchronous I/O");
}

static void use_pkey(struct cr_child *c)
{
	CR_CHECK(c, pkey_alloc(0, 0) >= 0);
	cr_ready(c);
}

TEST(refused_pkey)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		SKIP(return, "no protection keys");
	pkey_free(key);
	cr_refused(_metadata, use_pkey, EOPNOTSUPP, "protection keys");
}

/* Without its code, which can only be unmapped as a whole, but with its data. */
static void use_broken_vdso(struct cr_child *c)
{
	char *p = (char *)getauxval(AT_SYSINFO_EHDR);
	int n = 1;

	CR_CHECK(c, p);
	while (munmap(p, n * PAGE))
		CR_CHECK(c, ++n < 16);
	cr_ready(c);
}

TEST(refused_broken_vdso)
{
	cr_refused(_metadata, use_broken_vdso, EOPNOTSUPP, "vDSO");
}

TEST_HARNESS_MAIN
