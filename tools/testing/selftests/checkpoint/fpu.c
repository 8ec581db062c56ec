// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: registers of x86-64. A thread loads them, spins without
 * any system call until it is told to go on, and compares.
 */
#include "task_help.h"

#include <asm/prctl.h>
#include <cpuid.h>

struct regs {
	unsigned long gpr[13];			/* rax rbx rcx rdx rsi r8 .. r15 */
	unsigned char vec[32][64];
	unsigned long mask[8];
	double x87[8];
	unsigned int mxcsr;
	unsigned short cw;
};

static struct {
	struct cr_child *c;
	pthread_barrier_t set_up;
	volatile unsigned int spinning;
	volatile unsigned int go;
} g;

static void pattern(void *p, size_t len, unsigned int seed)
{
	unsigned char *b = p;

	while (len--) {
		seed = seed * 1103515245 + 12345;
		*b++ = seed >> 16;
	}
}

static void start(pthread_t *thread, void *(*fn)(void *), long n)
{
	CR_CHECK(g.c, !pthread_create(thread, NULL, fn, (void *)n));
}

static void run(struct cr_child *c, void *(*fn)(void *), int nr)
{
	pthread_t thread[8];
	int i;

	memset(&g, 0, sizeof(g));
	g.c = c;
	for (i = 0; i < nr; i++)
		start(&thread[i], fn, i);
	while (g.spinning < (unsigned int)nr)
		cr_sleep_ms(1);
	/* into the loop itself */
	cr_sleep_ms(20);
	cr_ready(c);
	g.go = 1;
	for (i = 0; i < nr; i++)
		CR_CHECK(c, !pthread_join(thread[i], NULL));
}

/* ---- general registers ---- */

#define FOR_GPRS(x) \
	x(0, rax) x(1, rbx) x(2, rcx) x(3, rdx) x(4, rsi) x(5, r8) x(6, r9) \
	x(7, r10) x(8, r11) x(9, r12) x(10, r13) x(11, r14) x(12, r15)
#define LOAD_GPR(n, r)	"mov 8*" #n "(%%rdi), %%" #r "\n"
#define STORE_GPR(n, r)	"mov %%" #r ", 8*" #n "(%%rdi)\n"

static void *general(void *arg)
{
	volatile unsigned int *go = &g.go;
	struct regs set, *now = &set;
	unsigned long want[13];

	pattern(want, sizeof(want), (long)arg + 1);
	memcpy(set.gpr, want, sizeof(want));
	__atomic_fetch_add(&g.spinning, 1, __ATOMIC_SEQ_CST);
	asm volatile("sub $128, %%rsp\n"
		     "push %%rbp\n"
		     "mov %%rax, %%rbp\n"
		     FOR_GPRS(LOAD_GPR)
		     "1: pause\n"
		     "cmpl $0, (%%rbp)\n"
		     "je 1b\n"
		     FOR_GPRS(STORE_GPR)
		     "pop %%rbp\n"
		     "add $128, %%rsp\n"
		     : "+D" (now), "+a" (go)
		     :
		     : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12",
		       "r13", "r14", "r15", "memory", "cc");
	CR_CHECK(g.c, !memcmp(set.gpr, want, sizeof(want)));
	return NULL;
}

static void do_general(struct cr_child *c)
{
	run(c, general, 3);
}

TEST(general_registers)
{
	cr_both_ways(_metadata, do_general, 0);
}

/* ---- x87 and SSE ---- */

#define FOR_16(x) \
	x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) \
	x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)
#define FOR_HIGH_16(x) \
	x(16) x(17) x(18) x(19) x(20) x(21) x(22) x(23) \
	x(24) x(25) x(26) x(27) x(28) x(29) x(30) x(31)
#define LOAD_XMM(n)	"movups 64*" #n "(%[vec]), %%xmm" #n "\n"
#define STORE_XMM(n)	"movups %%xmm" #n ", 64*" #n "(%[vec])\n"
#define LOAD_YMM(n)	"vmovups 64*" #n "(%[vec]), %%ymm" #n "\n"
#define STORE_YMM(n)	"vmovups %%ymm" #n ", 64*" #n "(%[vec])\n"
#define LOAD_ZMM(n)	"vmovups 64*" #n "(%[vec]), %%zmm" #n "\n"
#define STORE_ZMM(n)	"vmovups %%zmm" #n ", 64*" #n "(%[vec])\n"
#define SPIN		"1: pause\ncmpl $0, (%[go])\nje 1b\n"

static void *x87_and_sse(void *arg)
{
	unsigned int mxcsr = 0x9fc0, mxcsr_old, i;	/* FTZ, DAZ, all masked */
	unsigned short cw = 0x027f, cw_old;		/* double precision */
	struct regs set, want;

	pattern(&want, sizeof(want), (long)arg + 100);
	for (i = 0; i < 8; i++)
		want.x87[i] = 1.0 / (3 + i + (long)arg);
	memcpy(&set, &want, sizeof(set));
	__atomic_fetch_add(&g.spinning, 1, __ATOMIC_SEQ_CST);
	asm volatile("stmxcsr %[mxcsr_old]\n"
		     "fnstcw %[cw_old]\n"
		     "fninit\n"
		     "fldcw %[cw]\n"
		     "ldmxcsr %[mxcsr]\n"
		     "fldl 56(%[x87])\nfldl 48(%[x87])\nfldl 40(%[x87])\nfldl 32(%[x87])\n"
		     "fldl 24(%[x87])\nfldl 16(%[x87])\nfldl 8(%[x87])\nfldl 0(%[x87])\n"
		     FOR_16(LOAD_XMM)
		     SPIN
		     FOR_16(STORE_XMM)
		     "fstpl 0(%[x87])\nfstpl 8(%[x87])\nfstpl 16(%[x87])\nfstpl 24(%[x87])\n"
		     "fstpl 32(%[x87])\nfstpl 40(%[x87])\nfstpl 48(%[x87])\nfstpl 56(%[x87])\n"
		     "stmxcsr %[mxcsr]\n"
		     "fnstcw %[cw]\n"
		     "fldcw %[cw_old]\n"
		     "ldmxcsr %[mxcsr_old]\n"
		     : [mxcsr] "+m" (mxcsr), [cw] "+m" (cw), [mxcsr_old] "=m" (mxcsr_old),
		       [cw_old] "=m" (cw_old)
		     : [vec] "r" (set.vec), [x87] "r" (set.x87), [go] "r" (&g.go)
		     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
		       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		       "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
		       "st(7)");
	CR_CHECK(g.c, mxcsr == 0x9fc0 && cw == 0x027f);
	CR_CHECK(g.c, !memcmp(set.x87, want.x87, sizeof(set.x87)));
	for (i = 0; i < 16; i++)
		CR_CHECK(g.c, !memcmp(set.vec[i], want.vec[i], 16));
	return NULL;
}

static void do_x87_and_sse(struct cr_child *c)
{
	run(c, x87_and_sse, 3);
}

TEST(x87_and_sse_registers)
{
	cr_both_ways(_metadata, do_x87_and_sse, 0);
}

/* ---- AVX ---- */

static void *avx(void *arg)
{
	struct regs set, want;
	int i;

	pattern(&want, sizeof(want), (long)arg + 200);
	memcpy(&set, &want, sizeof(set));
	__atomic_fetch_add(&g.spinning, 1, __ATOMIC_SEQ_CST);
	asm volatile(FOR_16(LOAD_YMM)
		     SPIN
		     FOR_16(STORE_YMM)
		     "vzeroupper\n"
		     : : [vec] "r" (set.vec), [go] "r" (&g.go)
		     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
		       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		       "xmm15");
	for (i = 0; i < 16; i++)
		CR_CHECK(g.c, !memcmp(set.vec[i], want.vec[i], 32));
	return NULL;
}

static void do_avx(struct cr_child *c)
{
	run(c, avx, 3);
}

TEST(avx_registers)
{
	if (!__builtin_cpu_supports("avx"))
		SKIP(return, "no AVX");
	cr_both_ways(_metadata, do_avx, 0);
}

static void *avx512(void *arg)
{
	struct regs set, want;
	int i;

	pattern(&want, sizeof(want), (long)arg + 300);
	memcpy(&set, &want, sizeof(set));
	__atomic_fetch_add(&g.spinning, 1, __ATOMIC_SEQ_CST);
	asm volatile(FOR_16(LOAD_ZMM)
		     FOR_HIGH_16(LOAD_ZMM)
		     "kmovw 0(%[mask]), %%k1\n"
		     "kmovw 8(%[mask]), %%k7\n"
		     SPIN
		     FOR_16(STORE_ZMM)
		     FOR_HIGH_16(STORE_ZMM)
		     "kmovw %%k1, 0(%[mask])\n"
		     "kmovw %%k7, 8(%[mask])\n"
		     "vzeroupper\n"
		     : : [vec] "r" (set.vec), [mask] "r" (set.mask), [go] "r" (&g.go)
		     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
		       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		       "xmm15");
	for (i = 0; i < 32; i++)
		CR_CHECK(g.c, !memcmp(set.vec[i], want.vec[i], 64));
	CR_CHECK(g.c, !memcmp(set.mask, want.mask, sizeof(set.mask)));
	return NULL;
}

static void do_avx512(struct cr_child *c)
{
	run(c, avx512, 3);
}

TEST(avx512_registers)
{
	if (!__builtin_cpu_supports("avx512f"))
		SKIP(return, "no AVX-512");
	cr_both_ways(_metadata, do_avx512, 0);
}

/* ---- segment bases, protection keys ---- */

static void *gs_base(void *arg)
{
	unsigned long there = 0, value[2] = { 0x1122334455667788UL + (long)arg, 0 };
	unsigned long seen;

	CR_CHECK(g.c, !syscall(SYS_arch_prctl, ARCH_SET_GS, value));
	__atomic_fetch_add(&g.spinning, 1, __ATOMIC_SEQ_CST);
	while (!g.go)
		;
	asm volatile("mov %%gs:0, %0" : "=r" (seen));
	CR_CHECK(g.c, seen == value[0]);
	CR_CHECK(g.c, !syscall(SYS_arch_prctl, ARCH_GET_GS, &there));
	CR_CHECK(g.c, there == (unsigned long)value);
	CR_CHECK(g.c, !syscall(SYS_arch_prctl, ARCH_GET_FS, &there));
	CR_CHECK(g.c, there == (unsigned long)__builtin_thread_pointer());
	return NULL;
}

static void do_gs_base(struct cr_child *c)
{
	run(c, gs_base, 4);
}

TEST(segment_bases)
{
	cr_both_ways(_metadata, do_gs_base, 0);
}

static unsigned int rdpkru(void)
{
	unsigned int eax, edx;

	asm volatile(".byte 0x0f,0x01,0xee" : "=a" (eax), "=d" (edx) : "c" (0));
	return eax;
}

static void wrpkru(unsigned int pkru)
{
	asm volatile(".byte 0x0f,0x01,0xef" : : "a" (pkru), "c" (0), "d" (0));
}

static void *protection_keys(void *arg)
{
	unsigned int pkru = 0x55555550 - ((long)arg << 8);

	wrpkru(pkru);
	__atomic_fetch_add(&g.spinning, 1, __ATOMIC_SEQ_CST);
	while (!g.go)
		;
	CR_CHECK(g.c, rdpkru() == pkru);
	return NULL;
}

static void do_protection_keys(struct cr_child *c)
{
	run(c, protection_keys, 3);
}

TEST(protection_key_rights)
{
	unsigned int eax, ebx, ecx = 0, edx;

	__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
	if (!(ecx & (1 << 4)))
		SKIP(return, "no protection keys");
	cr_both_ways(_metadata, do_protection_keys, 0);
}

TEST_HARNESS_MAIN
