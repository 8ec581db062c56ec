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
	unsigned int spinning;
	unsigned int go;
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
	while (LOAD(g.spinning) < (unsigned int)nr)
		cr_sleep_ms(1);
	/* into the loop itself */
	cr_sleep_ms(20);
	cr_ready(c);
	STORE(g.go, 1);
	for (i = 0; i < nr; i++)
		CR_CHECK(c, !pthread_join(thread[i], NULL));
}

/* ---- general registers ---- */

#define GPRS	"rax,rbx,rcx,rdx,rsi,r8,r9,r10,r11,r12,r13,r14,r15"

static void *general(void *arg)
{
	unsigned int *go = &g.go;
	struct regs set, *now = &set;
	unsigned long want[13];

	pattern(want, sizeof(want), (long)arg + 1);
	memcpy(set.gpr, want, sizeof(want));
	INCREMENT(g.spinning);
	asm volatile("sub $128, %%rsp\n"
		     "push %%rbp\n"
		     "mov %%rax, %%rbp\n"
		     ".set cr_offset, 0\n"
		     ".irp r," GPRS "\n"
		     "mov cr_offset(%%rdi), %%\\r\n"
		     ".set cr_offset, cr_offset + 8\n"
		     ".endr\n"
		     "1: pause\n"
		     "cmpl $0, (%%rbp)\n"
		     "je 1b\n"
		     ".set cr_offset, 0\n"
		     ".irp r," GPRS "\n"
		     "mov %%\\r, cr_offset(%%rdi)\n"
		     ".set cr_offset, cr_offset + 8\n"
		     ".endr\n"
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

#define ALL_16		"0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#define ALL_32		ALL_16 ",16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"
#define LOAD_VEC(insn, reg, all) \
	".irp n," all "\n" insn " 64*\\n(%[vec]), %%" reg "\\n\n.endr\n"
#define STORE_VEC(insn, reg, all) \
	".irp n," all "\n" insn " %%" reg "\\n, 64*\\n(%[vec])\n.endr\n"
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
	INCREMENT(g.spinning);
	asm volatile("stmxcsr %[mxcsr_old]\n"
		     "fnstcw %[cw_old]\n"
		     "fninit\n"
		     "fldcw %[cw]\n"
		     "ldmxcsr %[mxcsr]\n"
		     "fldl 56(%[x87])\nfldl 48(%[x87])\nfldl 40(%[x87])\nfldl 32(%[x87])\n"
		     "fldl 24(%[x87])\nfldl 16(%[x87])\nfldl 8(%[x87])\nfldl 0(%[x87])\n"
		     LOAD_VEC("movups", "xmm", ALL_16)
		     SPIN
		     STORE_VEC("movups", "xmm", ALL_16)
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
	INCREMENT(g.spinning);
	asm volatile(LOAD_VEC("vmovups", "ymm", ALL_16)
		     SPIN
		     STORE_VEC("vmovups", "ymm", ALL_16)
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
	INCREMENT(g.spinning);
	asm volatile(LOAD_VEC("vmovups", "zmm", ALL_32)
		     "kmovw 0(%[mask]), %%k1\n"
		     "kmovw 8(%[mask]), %%k7\n"
		     SPIN
		     STORE_VEC("vmovups", "zmm", ALL_32)
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
	INCREMENT(g.spinning);
	while (!LOAD(g.go))
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
	INCREMENT(g.spinning);
	while (!LOAD(g.go))
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
