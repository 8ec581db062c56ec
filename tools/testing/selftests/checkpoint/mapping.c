// SPDX-License-Identifier: GPL-2.0
/*
 * Mapped files: private ones with and without changes, shared ones, what may be
 * done with them later; and files that cannot be mapped again.
 */
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/prctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "fill_help.h"

#define NR	16

/* A file of NR pages in the workload's directory. */
static int make_file(struct cr_child *c, const char *name, unsigned long seed)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0700);
	char page[PAGE];
	int i;

	CR_CHECK(c, fd >= 0);
	memset(page, 0, PAGE);
	for (i = 0; i < NR; i++) {
		fill(page, PAGE, seed + i * PAGE);
		CR_CHECK(c, write(fd, page, PAGE) == PAGE);
	}
	return fd;
}

static char *map(struct cr_child *c, int fd, int prot, int flags)
{
	char *p = mmap(NULL, NR * PAGE, prot, flags, fd, 0);

	CR_CHECK(c, p != MAP_FAILED);
	return p;
}

static void do_private_file(struct cr_child *c)
{
	int fd = make_file(c, "file", 1);
	char *p = map(c, fd, RW, MAP_PRIVATE);
	char *ro = map(c, fd, RW, MAP_PRIVATE);
	char *part = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 4 * PAGE);

	CR_CHECK(c, part != MAP_FAILED);
	close(fd);
	fill(p + 2 * PAGE, PAGE, 100);
	/* zero, but not what the file has */
	memset(p + 4 * PAGE, 0, PAGE);
	fill(ro, NR * PAGE, 200);
	CR_CHECK(c, !mprotect(ro, NR * PAGE, PROT_READ));

	cr_ready(c);

	CR_CHECK(c, filled(p, 2 * PAGE, 1));
	CR_CHECK(c, filled(p + 2 * PAGE, PAGE, 100));
	CR_CHECK(c, filled(p + 3 * PAGE, PAGE, 1 + 3 * PAGE));
	CR_CHECK(c, !p[4 * PAGE] && !p[5 * PAGE - 1]);
	CR_CHECK(c, filled(p + 5 * PAGE, (NR - 5) * PAGE, 1 + 5 * PAGE));
	CR_CHECK(c, filled(ro, NR * PAGE, 200));
	CR_CHECK(c, filled(part, 4 * PAGE, 1 + 4 * PAGE));
	fill(p, NR * PAGE, 300);
	CR_CHECK(c, filled(part, 4 * PAGE, 1 + 4 * PAGE));
}

TEST(private_file)
{
	cr_both_ways(_metadata, do_private_file, 0);
}

/* The file is the content: what is written later is in it. */
static void do_shared_file(struct cr_child *c)
{
	int fd = make_file(c, "file", 1);
	char *p = map(c, fd, RW, MAP_SHARED);
	char page[PAGE];

	close(fd);
	fill(p + PAGE, PAGE, 50);
	cr_ready(c);
	CR_CHECK(c, filled(p, PAGE, 1));
	CR_CHECK(c, filled(p + PAGE, PAGE, 50));
	fill(p + 3 * PAGE, PAGE, 70);
	fd = open("file", O_RDONLY);
	CR_CHECK(c, fd >= 0);
	CR_CHECK(c, pread(fd, page, PAGE, 3 * PAGE) == PAGE && filled(page, PAGE, 70));
	close(fd);
}

TEST(shared_file)
{
	cr_both_ways(_metadata, do_shared_file, 0);
}

/* What mprotect() may do depends on how the file was opened. */
static void do_may_write(struct cr_child *c)
{
	char *rw, *ro;
	int fd;

	fd = make_file(c, "file", 1);
	rw = map(c, fd, PROT_READ, MAP_SHARED);
	close(fd);
	fd = open("file", O_RDONLY);
	CR_CHECK(c, fd >= 0);
	ro = map(c, fd, PROT_READ, MAP_SHARED);
	close(fd);
	cr_ready(c);
	CR_CHECK(c, mprotect(ro, PAGE, RW) && errno == EACCES);
	CR_CHECK(c, !mprotect(rw, PAGE, RW));
	rw[8] = 5;
	CR_CHECK(c, ro[8] == 5);
	rw[8] = 0;
}

TEST(may_write)
{
	cr_both_ways(_metadata, do_may_write, 0);
}

/* A process maps a file that its parent shares with it by fork() only. */
static void after_fork(struct cr_child *c)
{
	int fd = make_file(c, "file", 1), status;
	char *p = map(c, fd, RW, MAP_SHARED);
	char *q = map(c, fd, RW, MAP_PRIVATE);
	pid_t pid;

	close(fd);
	fill(q, PAGE, 40);
	pid = fork();
	CR_CHECK(c, pid >= 0);
	if (!pid) {
		fill(q + PAGE, PAGE, 60);
		cr_wait_go(c);
		CR_CHECK(c, filled(q, PAGE, 40) && filled(q + PAGE, PAGE, 60));
		p[3] = 9;
		_exit(0);
	}
	cr_ready(c);
	CR_CHECK(c, waitpid(pid, &status, 0) == pid && !status);
	CR_CHECK(c, p[3] == 9);
	CR_CHECK(c, filled(q, PAGE, 40) && filled(q + PAGE, PAGE, 1 + PAGE));
	p[3] = 0;
}

TEST(mapped_by_fork)
{
	cr_both_ways(_metadata, after_fork, 0);
}

static void do_dev_zero(struct cr_child *c)
{
	int fd = open("/dev/zero", O_RDWR);
	char *p = map(c, fd, RW, MAP_PRIVATE);
	char *q = map(c, fd, RW, MAP_SHARED);

	close(fd);
	fill(p, 4 * PAGE, 1);
	fill(q, 4 * PAGE, 2);
	cr_ready(c);
	CR_CHECK(c, filled(p, 4 * PAGE, 1) && !p[5 * PAGE]);
	CR_CHECK(c, filled(q, 4 * PAGE, 2) && !q[5 * PAGE]);
}

TEST(dev_zero)
{
	cr_both_ways(_metadata, do_dev_zero, 0);
}

/* Code that is mapped from a file, and is run after the restart. */
static const unsigned char return_42[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 };

static void run_code(struct cr_child *c)
{
	int fd = open("code", O_RDWR | O_CREAT | O_TRUNC, 0700);
	int (*f)(void);

	CR_CHECK(c, fd >= 0 && write(fd, return_42, sizeof(return_42)) == sizeof(return_42));
	close(fd);
	fd = open("code", O_RDONLY);
	f = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	CR_CHECK(c, f != MAP_FAILED && f() == 42);
	close(fd);
	cr_ready(c);
	CR_CHECK(c, f() == 42);
}

TEST(code)
{
	cr_both_ways(_metadata, run_code, 0);
}

TEST(code_has_changed)
{
	char name[64];
	struct cr_child c;
	int fd;

	cr_begin_image(_metadata, &c, run_code);
	snprintf(name, sizeof(name), "%s/code", c.dir);
	fd = open(name, O_WRONLY | O_APPEND);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, write(fd, "x", 1));
	close(fd);
	cr_load_refused(_metadata, &c, ESTALE, "code has changed");
	cr_end(_metadata, &c);
}

/* In an overlay what is mapped is the file of a layer. */
static void in_overlay(struct cr_child *c)
{
	CR_CHECK(c, !mkdir("lower", 0700) && !mkdir("upper", 0700));
	CR_CHECK(c, !mkdir("work", 0700) && !mkdir("merged", 0700));
	CR_CHECK(c, !mount("overlay", "merged", "overlay", 0,
			   "lowerdir=lower,upperdir=upper,workdir=work"));
	CR_CHECK(c, !chdir("merged"));
	run_code(c);
}

TEST(overlay)
{
	char merged[64];
	struct cr_child c;

	cr_begin(_metadata, &c, in_overlay);
	ASSERT_LT(0, cr_save(_metadata, &c, 0)) {
		TH_LOG("checkpoint: %s: %s", strerror(errno), cr_reason());
	}
	cr_finish(_metadata, &c, "original");
	cr_load(_metadata, &c, 0);
	cr_finish(_metadata, &c, "restarted copy");
	snprintf(merged, sizeof(merged), "%s/merged", c.dir);
	EXPECT_EQ(0, umount2(merged, MNT_DETACH));
	cr_end(_metadata, &c);
}

/* prctl(PR_SET_VMA_ANON_NAME): in /proc/<pid>/maps, of anonymous memory alone. */
static bool is_named(const char *p, const char *name)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		if (strtoul(line, NULL, 16) == (unsigned long)p)
			found = strstr(line, name);
	if (f)
		fclose(f);
	return found;
}

static void do_names(struct cr_child *c)
{
	char *p = mmap(NULL, 6 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CR_CHECK(c, p != MAP_FAILED);
	fill(p, 2 * PAGE, 1);
	CR_CHECK(c, !prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, 2 * PAGE, "first name"));
	/* never touched */
	CR_CHECK(c, !prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p + 4 * PAGE, 2 * PAGE, "2nd"));

	cr_ready(c);

	CR_CHECK(c, is_named(p, "[anon:first name]") && filled(p, 2 * PAGE, 1));
	CR_CHECK(c, is_named(p + 2 * PAGE, "") && !is_named(p + 2 * PAGE, "anon:"));
	CR_CHECK(c, is_named(p + 4 * PAGE, "[anon:2nd]"));
	CR_CHECK(c, !prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, 2 * PAGE, NULL));
	CR_CHECK(c, !is_named(p, "[anon:"));
}

TEST(names)
{
	cr_both_ways(_metadata, do_names, 0);
}

/* ---- refused ---- */

static void use_empty_name(struct cr_child *c)
{
	char *p = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CR_CHECK(c, p != MAP_FAILED);
	CR_CHECK(c, !prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, PAGE, ""));
	cr_ready(c);
	CR_CHECK(c, is_named(p, "[anon:]"));
}

TEST(refused_empty_name)
{
	cr_refused(_metadata, use_empty_name, EOPNOTSUPP, "empty name (PR_SET_VMA_ANON_NAME)");
}

static void use_unlinked(struct cr_child *c)
{
	int fd = make_file(c, "file", 1);
	char *p = map(c, fd, RW, MAP_SHARED);

	close(fd);
	CR_CHECK(c, !unlink("file"));
	cr_ready(c);
	CR_CHECK(c, filled(p, NR * PAGE, 1));
}

TEST(refused_unlinked)
{
	cr_refused(_metadata, use_unlinked, EOPNOTSUPP, "unlinked");
}

static void use_io_uring(struct cr_child *c)
{
	struct io_uring_params params = { 0 };
	int fd = syscall(__NR_io_uring_setup, 4, &params);
	char *p;

	CR_CHECK(c, fd >= 0);
	p = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
	CR_CHECK(c, p != MAP_FAILED);
	close(fd);
	cr_ready(c);
}

TEST(refused_io_uring)
{
	cr_refused(_metadata, use_io_uring, EOPNOTSUPP, "io_uring");
}

/* The first page that firmware has its tables in. */
static void use_device(struct cr_child *c)
{
	int fd = open("/dev/mem", O_RDONLY);
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0xf0000);

	CR_CHECK(c, p != MAP_FAILED);
	close(fd);
	cr_ready(c);
}

TEST(refused_device)
{
	if (access("/dev/mem", R_OK))
		SKIP(return, "no /dev/mem");
	cr_refused(_metadata, use_device, EOPNOTSUPP, "mapped device");
}

/* The ring of a packet socket, which lives on in its mapping. */
static bool map_socket(void)
{
	struct tpacket_req req = {
		.tp_block_size = PAGE, .tp_block_nr = 1,
		.tp_frame_size = PAGE, .tp_frame_nr = 1,
	};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	bool mapped;

	mapped = !setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) &&
		 mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) != MAP_FAILED;
	close(fd);
	return mapped;
}

static void use_socket(struct cr_child *c)
{
	CR_CHECK(c, map_socket());
	cr_ready(c);
}

TEST(refused_socket)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0)
		SKIP(return, "no packet sockets");
	close(fd);
	cr_refused(_metadata, use_socket, EOPNOTSUPP, "mapped socket");
}

TEST_HARNESS_MAIN
