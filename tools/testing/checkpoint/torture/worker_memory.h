/* SPDX-License-Identifier: GPL-2.0 */
/*
 * cr_worker: memory, mappings, files, registers.
 */
#ifndef _WORKER_MEMORY_H
#define _WORKER_MEMORY_H

#include "worker.h"

/* Pages that are verified and rewritten all the time. */
static void work_mem(void)
{
	size_t nr = 64 + rnd(448), i;
	uint64_t *memory = map_new(nr * PAGE, MAP_PRIVATE);
	uint64_t *gen = calloc(nr, sizeof(*gen));
	uint64_t seed = rng, sum = 0, again;
	unsigned int round;

	MUST(gen);
	for (i = 0; i < nr; i++)
		fill(memory + i * PAGE_WORDS, PAGE_WORDS, mix(seed + i));
	for (round = 0; round % 64 || !stopped(); round++) {
		uint64_t *p;

		i = rnd(nr);
		p = memory + i * PAGE_WORDS;
		verify("memory", p, PAGE_WORDS, mix(seed + i + gen[i] * 65536));
		sum -= mix(gen[i] + i);
		gen[i]++;
		sum += mix(gen[i] + i);
		fill(p, PAGE_WORDS, mix(seed + i + gen[i] * 65536));
	}
	for (i = 0, again = 0; i < nr; i++) {
		verify("memory", memory + i * PAGE_WORDS, PAGE_WORDS,
		       mix(seed + i + gen[i] * 65536));
		again += mix(gen[i] + i) - mix(i);
	}
	same("sum of the generations", again, sum);
}

/* ---- mappings that come, move, change and go ---- */

#define MAP_REGIONS	24
#define MAP_PAGES	24

struct region {
	uint64_t *p;
	size_t pages;
	uint64_t key[MAP_PAGES];	/* of each page; 0: it is all zero */
};

static struct region regions[MAP_REGIONS];

static void region_verify(struct region *r)
{
	size_t i;

	for (i = 0; i < r->pages; i++) {
		uint64_t *p = r->p + i * PAGE_WORDS;

		if (r->key[i])
			verify("mapping", p, PAGE_WORDS, r->key[i]);
		else
			verify_zero("mapping", p);
	}
}

static void region_new(struct region *r)
{
	r->pages = 1 + rnd(MAP_PAGES);
	r->p = map_new(r->pages * PAGE, MAP_PRIVATE | (rnd(4) ? 0 : MAP_NORESERVE));
	memset(r->key, 0, sizeof(r->key));
}

static void region_write(struct region *r, size_t i)
{
	r->key[i] = rnd(~0ULL) | 1;
	fill(r->p + i * PAGE_WORDS, PAGE_WORDS, r->key[i]);
}

/*
 * Growing fails if the kernel has not joined the parts again that mprotect()
 * made, which it need not.
 */
static void region_resize(struct region *r)
{
	size_t pages = 1 + rnd(MAP_PAGES), i;
	void *p, *hole;

	if (pages <= r->pages) {
		if (pages < r->pages)
			MUST(!munmap(r->p + pages * PAGE_WORDS, (r->pages - pages) * PAGE));
		r->pages = pages;
		return;
	}
	hole = mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(hole != MAP_FAILED);
	p = mremap(r->p, r->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hole);
	if (p == MAP_FAILED && errno == EFAULT)
		return;
	MUST(p == hole);
	for (i = r->pages; i < pages; i++)
		r->key[i] = 0;
	r->p = p;
	r->pages = pages;
}

/* After MADV_FREE a page is as it was, or all zero; after a write it stays. */
static void region_offer(struct region *r)
{
	size_t i;

	MUST(!madvise(r->p, r->pages * PAGE, MADV_FREE));
	for (i = 0; i < r->pages; i++) {
		uint64_t *p = r->p + i * PAGE_WORDS;

		/* the write first: it may not vanish between two looks at it */
		__atomic_fetch_or(p, 0, __ATOMIC_SEQ_CST);
		if (!*p)
			r->key[i] = 0;
	}
}

static void region_advise(struct region *r)
{
	static const int advice[] = {
		MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_SEQUENTIAL, MADV_NORMAL,
		MADV_MERGEABLE, MADV_UNMERGEABLE,
	};

	MUST(!madvise(r->p, r->pages * PAGE, advice[rnd(sizeof(advice) / sizeof(*advice))]));
}

static void region_change(struct region *r)
{
	size_t first = rnd(r->pages), nr = 1 + rnd(r->pages - first), i;
	uint64_t *p = r->p + first * PAGE_WORDS;

	switch (rnd(8)) {
	case 0:
		MUST(!madvise(p, nr * PAGE, MADV_DONTNEED));
		for (i = first; i < first + nr; i++)
			r->key[i] = 0;
		break;
	case 1:
		MUST(!mprotect(p, nr * PAGE, PROT_READ));
		region_verify(r);
		MUST(!mprotect(p, nr * PAGE, PROT_READ | PROT_WRITE));
		break;
	case 2:
		MUST(!mprotect(p, nr * PAGE, PROT_NONE));
		usleep(rnd(500));
		MUST(!mprotect(p, nr * PAGE, PROT_READ | PROT_WRITE));
		break;
	case 3:
		region_resize(r);
		break;
	case 4:
		region_offer(r);
		break;
	case 5:
		region_advise(r);
		break;
	case 6:
		MUST(!mlock(p, nr * PAGE) && !munlock(p, nr * PAGE));
		break;
	default:
		for (i = first; i < first + nr; i++)
			region_write(r, i);
	}
}

static void work_map(void)
{
	unsigned int i, round;

	for (i = 0; i < MAP_REGIONS; i++)
		region_new(&regions[i]);
	for (round = 0; round % 32 || !stopped(); round++) {
		struct region *r = &regions[rnd(MAP_REGIONS)];

		region_verify(r);
		if (rnd(8)) {
			region_change(r);
			continue;
		}
		MUST(!munmap(r->p, r->pages * PAGE));
		region_new(r);
	}
	for (i = 0; i < MAP_REGIONS; i++)
		region_verify(&regions[i]);
}

/* ---- files ---- */

#define FILE_BLOCK	1536UL
#define FILE_BLOCKS	200

/*
 * One process writes blocks at its offset, tells their numbers through a pipe,
 * and the other reads them at its own offset. What a block contains depends on
 * where it is, so a copy that lives in another time writes the same.
 */
static void work_file(void)
{
	uint64_t block[FILE_BLOCK / 8], seed = rng, n;
	int out = open("blocks", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int in = open("blocks", O_RDONLY | O_CLOEXEC), p[2];
	pid_t pid;

	MUST(out >= 0 && in >= 0 && !pipe(p));
	pid = start();
	if (!pid) {
		uint64_t told;

		close(p[1]);
		for (n = 0; get(p[0], &told, sizeof(told)); n++) {
			same("number of the block", n, told);
			same("offset of the reader", n % FILE_BLOCKS * FILE_BLOCK,
			     lseek(in, 0, SEEK_CUR));
			MUST(get(in, block, FILE_BLOCK));
			verify("block of a file", block, FILE_BLOCK / 8,
			       mix(seed + n % FILE_BLOCKS));
			if (n % FILE_BLOCKS == FILE_BLOCKS - 1)
				MUST(!lseek(in, 0, SEEK_SET));
		}
		_exit(0);
	}
	close(p[0]);
	for (n = 0; n % 16 || !stopped(); n++) {
		same("offset of the writer", n % FILE_BLOCKS * FILE_BLOCK,
		     lseek(out, 0, SEEK_CUR));
		fill(block, FILE_BLOCK / 8, mix(seed + n % FILE_BLOCKS));
		put(out, block, FILE_BLOCK);
		put(p[1], &n, sizeof(n));
		if (n % FILE_BLOCKS == FILE_BLOCKS - 1)
			MUST(!lseek(out, 0, SEEK_SET));
	}
	close(p[1]);
	reap(pid, 0);
}

/* ---- registers ---- */

/* Values stay in registers for a while, in which the process is interrupted. */
static void work_fpu(void)
{
	unsigned __int128 in[2], out[2];
	uint64_t want[4], have[4], n, gpr;
	uint32_t mxcsr = 0x1f80, found, round;

	for (round = 0; round % 8 || !stopped(); round++) {
		fill(want, 4, rnd(~0ULL));
		memcpy(in, want, sizeof(in));
		gpr = want[3];
		n = 20000 + rnd(200000);
		/* rounding mode and flush to zero, with all exceptions masked */
		mxcsr = 0x1f80 | (rnd(4) << 13) | (rnd(2) << 15);
		asm volatile("ldmxcsr %[mxcsr]\n\t"
			     "movdqu %[in], %%xmm3\n\t"
			     "movdqu %[in2], %%xmm14\n\t"
			     "1: dec %[n]\n\t"
			     "jnz 1b\n\t"
			     "movdqu %%xmm3, %[out]\n\t"
			     "movdqu %%xmm14, %[out2]\n\t"
			     "stmxcsr %[found]\n\t"
			     : [n] "+r" (n), [out] "=m" (out[0]),
			       [out2] "=m" (out[1]), [found] "=m" (found),
			       [gpr] "+r" (gpr)
			     : [in] "m" (in[0]),
			       [in2] "m" (in[1]), [mxcsr] "m" (mxcsr)
			     : "xmm3", "xmm14", "cc");
		memcpy(have, out, sizeof(have));
		same("xmm3, low half", want[0], have[0]);
		same("xmm3, high half", want[1], have[1]);
		same("xmm14, low half", want[2], have[2]);
		same("xmm14, high half", want[3], have[3]);
		same("general register", want[3], gpr);
		same("mxcsr", mxcsr, found);
	}
}

#endif /* _WORKER_MEMORY_H */
