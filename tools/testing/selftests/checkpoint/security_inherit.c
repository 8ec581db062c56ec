// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: what a restored process has from the one who restarts it.
 * Restrictions stay, permissions that are not in the image do not.
 */
#include "security_help.h"

#include <asm/prctl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/io.h>

/* ---- no_new_privs ---- */

static void do_has_nnp(struct cr_child *c)
{
	do_user(c);
	CR_CHECK(c, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void do_sets_nnp(struct cr_child *c)
{
	CR_CHECK(c, !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	do_user(c);
	CR_CHECK(c, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static int set_nnp(struct cr_child *c)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

FIXTURE(inherit) {
	struct cr_child c;
	struct image im;
};

FIXTURE_SETUP(inherit)
{
	if (geteuid())
		SKIP(return, "not root");
}

FIXTURE_TEARDOWN(inherit)
{
	free(self->im.data);
	cr_end(_metadata, &self->c);
}

TEST_F(inherit, no_new_privs_of_the_caller)
{
	struct attempt a = { USER, CHOOSE_PIDS, set_nnp };

	make_image(_metadata, &self->c, do_has_nnp, &self->im);
	EXPECT_EQ(0, attempt(_metadata, &self->c, &a));
	/* It is the caller's and not the image's. */
	a.prepare = NULL;
	EXPECT_EQ(BAD_COPY, attempt(_metadata, &self->c, &a));
}

TEST_F(inherit, no_new_privs_of_the_image)
{
	struct attempt a = { USER, CHOOSE_PIDS };

	make_image(_metadata, &self->c, do_sets_nnp, &self->im);
	EXPECT_EQ(0, attempt(_metadata, &self->c, &a));
}

/* ---- seccomp ---- */

static void do_cannot_sync(struct cr_child *c)
{
	do_user(c);
	CR_CHECK(c, prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER);
	CR_CHECK(c, syscall(SYS_sync) == -1 && errno == EDOM);
}

static int forbid_sync(struct cr_child *c)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sync, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
}

TEST_F(inherit, seccomp_of_the_caller)
{
	struct attempt a = { USER, CHOOSE_PIDS, forbid_sync };

	make_image(_metadata, &self->c, do_cannot_sync, &self->im);
	EXPECT_EQ(0, attempt(_metadata, &self->c, &a));
}

/* ---- Landlock ---- */

static void do_cannot_mkdir(struct cr_child *c)
{
	char path[64];

	do_user(c);
	snprintf(path, sizeof(path), "%s/new", c->dir);
	CR_CHECK(c, mkdir(path, 0700) == -1 && errno == EACCES);
}

static int forbid_mkdir(struct cr_child *c)
{
	return enter_landlock();
}

TEST_F(inherit, landlock_of_the_caller)
{
	struct attempt a = { USER, CHOOSE_PIDS, forbid_mkdir };

	if (!have_landlock())
		SKIP(return, "no Landlock");
	make_image(_metadata, &self->c, do_cannot_mkdir, &self->im);
	EXPECT_EQ(0, attempt(_metadata, &self->c, &a));
}

/* ---- ports ---- */

static sigjmp_buf out_failed;

static void on_segv(int sig)
{
	siglongjmp(out_failed, 1);
}

/* The port of POST codes; nobody minds. */
static bool can_out(void)
{
	signal(SIGSEGV, on_segv);
	if (sigsetjmp(out_failed, 1))
		return false;
	outb(0, 0x80);
	return true;
}

static void do_cannot_out(struct cr_child *c)
{
	do_user(c);
	CR_CHECK(c, !can_out());
}

/* So the check above can fail. */
static int take_port(struct cr_child *c)
{
	return ioperm(0x80, 1, 1) || !can_out();
}

static int take_all_ports(struct cr_child *c)
{
	return iopl(3) || !can_out();
}

TEST_F(inherit, io_ports)
{
	struct attempt a = { 0, ALL_CAPS };

	make_image(_metadata, &self->c, do_cannot_out, &self->im);
	a.prepare = take_port;
	EXPECT_EQ(0, attempt(_metadata, &self->c, &a));
	a.prepare = take_all_ports;
	EXPECT_EQ(0, attempt(_metadata, &self->c, &a));
}

/* ---- what no image can have ---- */

static int without_tsc(struct cr_child *c)
{
	return prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
}

static int without_cpuid(struct cr_child *c)
{
	return syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
}

static int mce_killed(struct cr_child *c)
{
	return prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
}

static int flushes_io(struct cr_child *c)
{
	return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
}

TEST_F(inherit, attributes_of_the_caller)
{
	static const struct {
		int (*prepare)(struct cr_child *c);
		const char *reason;
	} tries[] = {
		{ without_tsc, "has disabled TSC" },
		{ without_cpuid, "has disabled CPUID" },
		{ mce_killed, "has PR_MCE_KILL" },
		{ flushes_io, "has PR_SET_IO_FLUSHER" },
	};
	struct attempt a = { 0, ALL_CAPS };
	unsigned int i;
	int err;

	make_image(_metadata, &self->c, do_user, &self->im);
	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		a.prepare = tries[i].prepare;
		a.reason = tries[i].reason;
		err = attempt(_metadata, &self->c, &a);
		/* CPUID cannot be disabled on every processor */
		EXPECT_TRUE(err == EOPNOTSUPP ||
			    (err == NO_SETUP && a.prepare == without_cpuid)) {
			TH_LOG("%s: %d", a.reason, err);
		}
	}
	a.prepare = NULL;
	EXPECT_EQ(0, attempt(_metadata, &self->c, &a));
}

/* ---- keys ---- */

static void key_file(struct cr_child *c, char path[64])
{
	snprintf(path, 64, "%s/key", c->dir);
}

/* A key that only possession gives access to, in a keyring for this session. */
static int add_key(struct cr_child *c)
{
	const unsigned long possessor_all = 0x3f000000;
	char path[64], text[24];
	long key;
	int fd;

	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0)
		return -1;
	key = syscall(SYS_add_key, "user", "checkpoint", "secret", 6,
		      KEY_SPEC_SESSION_KEYRING);
	if (key < 0 || syscall(SYS_keyctl, KEYCTL_SETPERM, key, possessor_all))
		return -1;
	snprintf(text, sizeof(text), "%ld", key);
	key_file(c, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || fchmod(fd, 0666) || write(fd, text, strlen(text)) < 0)
		return -1;
	return close(fd);
}

/* 0 if the secret can be read, else errno; -1 if there is none */
static int read_key(struct cr_child *c)
{
	char path[64], text[24], secret[8];

	key_file(c, path);
	if (!cr_read_file(path, text, sizeof(text)))
		return -1;
	return syscall(SYS_keyctl, KEYCTL_READ, atol(text), secret, 6) == 6 ? 0 : errno;
}

static void do_read_key(struct cr_child *c)
{
	do_user(c);
	CR_CHECK(c, !read_key(c));
}

static void do_cannot_read_key(struct cr_child *c)
{
	do_user(c);
	CR_CHECK(c, read_key(c) == EACCES);
}

TEST_F(inherit, session_keyring_of_the_same_user)
{
	struct attempt a = { USER, CHOOSE_PIDS, add_key };

	make_image(_metadata, &self->c, do_read_key, &self->im);
	EXPECT_EQ(0, attempt(_metadata, &self->c, &a));
}

TEST_F(inherit, session_keyring_of_another_user)
{
	struct attempt a = { 0, ALL_CAPS, add_key };

	make_image(_metadata, &self->c, do_cannot_read_key, &self->im);
	EXPECT_EQ(0, attempt(_metadata, &self->c, &a));
}

TEST_HARNESS_MAIN
