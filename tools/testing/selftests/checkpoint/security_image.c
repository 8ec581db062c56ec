// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: an ordinary user changes an image so that the process in
 * it would have more than the user. Each is refused with what the system call
 * returns that sets the thing. That fields are well-formed is in image_task.c.
 */
#include "security_help.h"

#include <linux/ioprio.h>
#include <linux/securebits.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define LOW	0x20000UL	/* above what a user may map, and below all else */
#define PAGE	4096UL

/* Does nothing itself: what is tested is what the image says. */
static void do_plain(struct cr_child *c)
{
	CR_CHECK(c, mmap((void *)LOW, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
		    (void *)LOW);
	do_user(c);
}

FIXTURE(image) {
	struct cr_child c;
	struct image im;
};

/* Put into the first record that has this field. */
struct change {
	struct field field;
	unsigned long long value;
};

#define SET(type, s, f, value)	{ FIELD(type, s, f), value }

FIXTURE_VARIANT(image) {
	struct change set;
	unsigned long long caps;	/* of the user, besides CHOOSE_PIDS */
	int err;
	const char *reason;
};

FIXTURE_SETUP(image)
{
	if (geteuid())
		SKIP(return, "not root");
	make_image(_metadata, &self->c, do_plain, &self->im);
}

FIXTURE_TEARDOWN(image)
{
	free(self->im.data);
	cr_end(_metadata, &self->c);
}

/* The same value again: the image as it is, so that the others mean something. */
FIXTURE_VARIANT_ADD(image, unchanged) {
	SET(CR_IMG_CRED, cr_img_cred, uid[0], USER), 0, 0, NULL
};

/* ---- setresuid(), setresgid(), setfsuid(), setfsgid() ---- */

FIXTURE_VARIANT_ADD(image, uid) {
	SET(CR_IMG_CRED, cr_img_cred, uid[0], 0), 0, EPERM, "CAP_SETUID"
};

FIXTURE_VARIANT_ADD(image, euid) {
	SET(CR_IMG_CRED, cr_img_cred, uid[1], 0), 0, EPERM, "CAP_SETUID"
};

FIXTURE_VARIANT_ADD(image, suid) {
	SET(CR_IMG_CRED, cr_img_cred, uid[2], 0), 0, EPERM, "CAP_SETUID"
};

FIXTURE_VARIANT_ADD(image, fsuid) {
	SET(CR_IMG_CRED, cr_img_cred, uid[3], 0), 0, EPERM, "CAP_SETUID"
};

FIXTURE_VARIANT_ADD(image, fsgid) {
	SET(CR_IMG_CRED, cr_img_cred, gid[3], 0), CAP(CAP_SETUID), EPERM, "CAP_SETGID"
};

/* ---- capset(), prctl() ---- */

FIXTURE_VARIANT_ADD(image, permitted) {
	SET(CR_IMG_CRED, cr_img_cred, cap_permitted, CAP(CAP_SYS_ADMIN)), 0,
	EPERM, "permitted capabilities"
};

FIXTURE_VARIANT_ADD(image, inheritable) {
	SET(CR_IMG_CRED, cr_img_cred, cap_inheritable, CAP(CAP_SYS_ADMIN)), 0,
	EPERM, "inheritable capabilities"
};

FIXTURE_VARIANT_ADD(image, smaller_bounding_set) {
	SET(CR_IMG_CRED, cr_img_cred, cap_bounding, 0), 0, EPERM, "CAP_SETPCAP"
};

FIXTURE_VARIANT_ADD(image, securebits) {
	SET(CR_IMG_CRED, cr_img_cred, securebits, SECBIT_NOROOT), 0, EPERM, "CAP_SETPCAP"
};

/* That one may be set by everybody, until the next execve(). */
FIXTURE_VARIANT_ADD(image, keep_capabilities) {
	SET(CR_IMG_CRED, cr_img_cred, securebits, SECBIT_KEEP_CAPS), 0, 0, NULL
};

/* ---- nice(), sched_setattr(), ioprio_set(), /proc/self/oom_score_adj ---- */

FIXTURE_VARIANT_ADD(image, nice) {
	SET(CR_IMG_SCHED, cr_img_sched, nice, -5), 0, EPERM, "CAP_SYS_NICE"
};

FIXTURE_VARIANT_ADD(image, nice_with_capability) {
	SET(CR_IMG_SCHED, cr_img_sched, nice, -5), CAP(CAP_SYS_NICE), 0, NULL
};

FIXTURE_VARIANT_ADD(image, deadline) {
	SET(CR_IMG_SCHED, cr_img_sched, policy, 6), CAP(CAP_SYS_NICE), EINVAL, "policy"
};

FIXTURE_VARIANT_ADD(image, real_time_io) {
	SET(CR_IMG_SCHED, cr_img_sched, ioprio, IOPRIO_CLASS_RT << IOPRIO_CLASS_SHIFT), 0,
	EPERM, "I/O priority"
};

FIXTURE_VARIANT_ADD(image, oom_score_adj) {
	SET(CR_IMG_PROCESS, cr_img_process, oom_score_adj, -500), 0, EACCES, "oom_score_adj"
};

/* ---- setrlimit() ---- */

FIXTURE_VARIANT_ADD(image, open_files_of_nobody) {
	SET(CR_IMG_RLIMIT, cr_img_rlimit, limit[RLIMIT_NOFILE].max, ~0ULL),
	CAP(CAP_SYS_RESOURCE), EPERM, "resource limit"
};

/* ---- umask(), vDSO ---- */

FIXTURE_VARIANT_ADD(image, umask) {
	SET(CR_IMG_FS, cr_img_fs, umask, 01000), 0, EINVAL, "umask"
};

FIXTURE_VARIANT_ADD(image, vdso) {
	SET(CR_IMG_MM, cr_img_mm, vdso_crc, 0x12345678), 0, EOPNOTSUPP, "vDSO"
};

TEST_F(image, field)
{
	struct attempt a = {
		.uid = USER,
		.caps = CHOOSE_PIDS | variant->caps,
		.reason = variant->reason,
	};
	const struct change *set = &variant->set;
	struct cr_img_rec *rec = image_find(&self->im, set->field.type, 0);

	ASSERT_NE(NULL, rec);
	image_set(rec, &set->field, &set->value);
	image_write(_metadata, &self->c, &self->im);
	EXPECT_EQ(variant->err, attempt(_metadata, &self->c, &a));
}

/* ---- what one field is not enough for ---- */

struct hostile {
	struct cr_child c;
	struct image im;
	struct attempt a;
};

FIXTURE(hostile) {
	struct hostile h;
};

FIXTURE_SETUP(hostile)
{
	if (geteuid())
		SKIP(return, "not root");
	make_image(_metadata, &self->h.c, do_plain, &self->h.im);
	self->h.a.uid = USER;
	self->h.a.caps = CHOOSE_PIDS;
}

FIXTURE_TEARDOWN(hostile)
{
	free(self->h.im.data);
	cr_end(_metadata, &self->h.c);
}

/* Restart with @rec changed: the errno. */
static int changed(struct __test_metadata *_metadata, struct hostile *h,
		   struct cr_img_rec *rec)
{
	image_sign(rec);
	image_write(_metadata, &h->c, &h->im);
	return attempt(_metadata, &h->c, &h->a);
}

/* It is refused with @err and @reason; to the same user with @cap it is not. */
static void needs(struct __test_metadata *_metadata, struct hostile *h,
		  struct cr_img_rec *rec, int err, const char *reason,
		  unsigned long long cap)
{
	h->a.reason = reason;
	EXPECT_EQ(err, changed(_metadata, h, rec));
	h->a.caps |= cap;
	EXPECT_EQ(0, changed(_metadata, h, rec));
}

static void *payload(struct __test_metadata *_metadata, struct hostile *h,
		     unsigned int type)
{
	struct cr_img_rec *rec = image_find(&h->im, type, 0);

	ASSERT_NE(NULL, rec);
	return rec + 1;
}

#define REC(img)	((struct cr_img_rec *)(img) - 1)

TEST_F(hostile, larger_bounding_set)
{
	struct cr_img_cred *cred = payload(_metadata, &self->h, CR_IMG_CRED);

	ASSERT_EQ(0, prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT));
	self->h.a.reason = "bounding set";
	EXPECT_EQ(EPERM, changed(_metadata, &self->h, REC(cred)));
}

/* What the user has may become ambient; not if that is locked. */
static int no_ambient(struct cr_child *c)
{
	return prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE |
		     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED);
}

TEST_F(hostile, ambient)
{
	struct cr_img_cred *cred = payload(_metadata, &self->h, CR_IMG_CRED);

	cred->cap_permitted = CHOOSE_PIDS;
	cred->cap_inheritable = CHOOSE_PIDS;
	cred->cap_ambient = CHOOSE_PIDS;
	EXPECT_EQ(0, changed(_metadata, &self->h, REC(cred)));
	cred->securebits = SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	self->h.a.prepare = no_ambient;
	self->h.a.reason = "ambient";
	EXPECT_EQ(EPERM, changed(_metadata, &self->h, REC(cred)));
}

/* Locks stay, whatever the caller may set. */
static int locked_noroot(struct cr_child *c)
{
	return prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NOROOT_LOCKED);
}

TEST_F(hostile, locked_securebits)
{
	const __u32 locks = SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NOROOT_LOCKED;
	struct cr_img_cred *cred = payload(_metadata, &self->h, CR_IMG_CRED);
	struct hostile *h = &self->h;

	h->a.caps |= CAP(CAP_SETPCAP);
	h->a.reason = "securebits";
	cred->securebits = SECBIT_NOROOT;
	EXPECT_EQ(0, changed(_metadata, h, REC(cred)));
	h->a.prepare = locked_noroot;
	EXPECT_EQ(EPERM, changed(_metadata, h, REC(cred)));
	/* with the bit as it is locked, but without the lock */
	cred->securebits = SECBIT_NO_SETUID_FIXUP_LOCKED;
	EXPECT_EQ(EPERM, changed(_metadata, h, REC(cred)));
	cred->securebits = locks | SECBIT_NOROOT;
	EXPECT_EQ(EPERM, changed(_metadata, h, REC(cred)));
	cred->securebits = locks;
	EXPECT_EQ(0, changed(_metadata, h, REC(cred)));
}

TEST_F(hostile, real_time)
{
	struct cr_img_sched *sched = payload(_metadata, &self->h, CR_IMG_SCHED);

	sched->policy = SCHED_FIFO;
	sched->rt_priority = 1;
	needs(_metadata, &self->h, REC(sched), EPERM, "RLIMIT_RTPRIO", CAP(CAP_SYS_NICE));
}

/* A limit of 25 allows -5 and not -6. */
static int nice_to_minus_5(struct cr_child *c)
{
	struct rlimit allowed = { 25, 25 };

	return setrlimit(RLIMIT_NICE, &allowed);
}

TEST_F(hostile, nice_with_limit)
{
	struct cr_img_rlimit *limits = payload(_metadata, &self->h, CR_IMG_RLIMIT);
	struct cr_img_sched *sched = payload(_metadata, &self->h, CR_IMG_SCHED);

	limits->limit[RLIMIT_NICE].cur = 25;
	limits->limit[RLIMIT_NICE].max = 25;
	image_sign(REC(limits));
	self->h.a.prepare = nice_to_minus_5;
	sched->nice = -5;
	EXPECT_EQ(0, changed(_metadata, &self->h, REC(sched)));
	sched->nice = -6;
	self->h.a.reason = "CAP_SYS_NICE";
	EXPECT_EQ(EPERM, changed(_metadata, &self->h, REC(sched)));
}

static int lower_limit(struct cr_child *c)
{
	struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_MSGQUEUE, &none);
}

TEST_F(hostile, hard_limit)
{
	struct cr_img_rlimit *limits = payload(_metadata, &self->h, CR_IMG_RLIMIT);

	ASSERT_LT(0, limits->limit[RLIMIT_MSGQUEUE].max);
	self->h.a.prepare = lower_limit;
	needs(_metadata, &self->h, REC(limits), EPERM, "resource limit",
	      CAP(CAP_SYS_RESOURCE));
}

/* Its working directory as its root. */
TEST_F(hostile, root_directory)
{
	struct cr_img_fs *fs = payload(_metadata, &self->h, CR_IMG_FS);

	fs->root_id = fs->cwd_id;
	self->h.a.reason = "CAP_SYS_CHROOT";
	EXPECT_EQ(EPERM, changed(_metadata, &self->h, REC(fs)));
}

static struct cr_img_vma *low_mapping(struct __test_metadata *_metadata,
				      struct hostile *h)
{
	struct cr_img_vma *vma = payload(_metadata, h, CR_IMG_VMA);

	ASSERT_EQ(LOW, vma->start);
	return vma;
}

TEST_F(hostile, lowest_addresses)
{
	struct cr_img_vma *vma = low_mapping(_metadata, &self->h);

	vma->start = 0;
	vma->end = PAGE;
	self->h.a.reason = "cannot be mapped";
	EXPECT_EQ(EPERM, changed(_metadata, &self->h, REC(vma)));
}

static int lock_nothing(struct cr_child *c)
{
	struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_MEMLOCK, &none);
}

static int lock_half_a_page(struct cr_child *c)
{
	struct rlimit less = { PAGE / 2, PAGE / 2 };

	return setrlimit(RLIMIT_MEMLOCK, &less);
}

TEST_F(hostile, locked_memory)
{
	struct cr_img_vma *vma = low_mapping(_metadata, &self->h);
	struct cr_img_rlimit *limits = payload(_metadata, &self->h, CR_IMG_RLIMIT);

	limits->limit[RLIMIT_MEMLOCK].cur = 0;
	limits->limit[RLIMIT_MEMLOCK].max = 0;
	image_sign(REC(limits));
	vma->flags |= CR_IMG_VMA_LOCKED;
	self->h.a.prepare = lock_nothing;
	self->h.a.reason = "cannot be mapped";
	EXPECT_EQ(EPERM, changed(_metadata, &self->h, REC(vma)));
	self->h.a.prepare = lock_half_a_page;
	needs(_metadata, &self->h, REC(vma), EAGAIN, "cannot be mapped", CAP(CAP_IPC_LOCK));
}

static int few_processes(struct cr_child *c)
{
	struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_NPROC, &none);
}

/* Making processes is fork(). */
TEST_F(hostile, number_of_processes)
{
	struct cr_img_rlimit *limits = payload(_metadata, &self->h, CR_IMG_RLIMIT);

	limits->limit[RLIMIT_NPROC].cur = 0;
	limits->limit[RLIMIT_NPROC].max = 0;
	self->h.a.prepare = few_processes;
	needs(_metadata, &self->h, REC(limits), EAGAIN, "cannot be created",
	      CAP(CAP_SYS_RESOURCE));
}

/* ---- what a user may do ---- */

static void do_not_dumpable(struct cr_child *c)
{
	do_plain(c);
	CR_CHECK(c, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

/* "Dumpable as root" is for the kernel to say (fs.suid_dumpable). */
TEST(dumpable_as_root)
{
	struct attempt a = { USER, CHOOSE_PIDS };
	struct cr_img_rec *rec;
	struct cr_img_mm *mm;
	struct cr_child c;
	struct image im;

	if (geteuid())
		SKIP(return, "not root");
	make_image(_metadata, &c, do_not_dumpable, &im);
	rec = image_find(&im, CR_IMG_MM, 0);
	ASSERT_NE(NULL, rec);
	mm = (void *)(rec + 1);
	ASSERT_EQ(1U, (mm->flags & CR_IMG_MM_DUMPABLE_MASK) >> CR_IMG_MM_DUMPABLE_SHIFT);
	image_write(_metadata, &c, &im);
	EXPECT_EQ(BAD_COPY, attempt(_metadata, &c, &a));
	mm->flags &= ~CR_IMG_MM_DUMPABLE_MASK;
	mm->flags |= 2 << CR_IMG_MM_DUMPABLE_SHIFT;
	image_sign(rec);
	image_write(_metadata, &c, &im);
	EXPECT_EQ(0, attempt(_metadata, &c, &a));
	free(im.data);
	cr_end(_metadata, &c);
}

static void do_forged(struct cr_child *c)
{
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_SETMASK, &set, NULL);
	CR_CHECK(c, !become(USER, 0));
	sigqueue(getpid(), SIGUSR1, (union sigval) { .sival_int = 5 });
	cr_ready(c);
	CR_CHECK(c, sigwaitinfo(&set, &info) == SIGUSR1);
	CR_CHECK(c, info.si_code == SI_KERNEL && info.si_pid == 1 && info.si_uid == 0);
}

/* A process may send itself any siginfo, and the image can only do the same. */
TEST(forged_siginfo)
{
	struct attempt a = { USER, CHOOSE_PIDS };
	struct cr_img_siginfo *img;
	struct cr_img_rec *rec;
	siginfo_t *info;
	struct cr_child c;
	struct image im;

	if (geteuid())
		SKIP(return, "not root");
	make_image(_metadata, &c, do_forged, &im);
	rec = image_find(&im, CR_IMG_SIGINFO_SHARED, 0);
	ASSERT_NE(NULL, rec);
	img = (void *)(rec + 1);
	info = (void *)img->info;
	ASSERT_EQ(SI_QUEUE, info->si_code);
	info->si_code = SI_KERNEL;
	info->si_pid = 1;
	info->si_uid = 0;
	image_sign(rec);
	image_write(_metadata, &c, &im);
	EXPECT_EQ(0, attempt(_metadata, &c, &a));
	free(im.data);
	cr_end(_metadata, &c);
}

static unsigned int *secret;

static void do_remember(struct cr_child *c)
{
	secret = mmap((void *)LOW, PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CR_CHECK(c, secret == (void *)LOW);
	*secret = 1;
	do_user(c);
	CR_CHECK(c, *secret == 2);
}

/* Checksums find accidents. They are no signature: who can write can sign. */
TEST(checksums_are_no_signature)
{
	struct attempt a = { USER, CHOOSE_PIDS };
	struct cr_img_rec *run;
	struct cr_child c;
	struct image im;
	unsigned int *word;

	if (geteuid())
		SKIP(return, "not root");
	make_image(_metadata, &c, do_remember, &im);
	run = image_run(&im, LOW);
	ASSERT_NE(NULL, run);
	word = (void *)(image_page_data(run) + LOW - image_pages(run)->start);
	ASSERT_EQ(1U, *word);
	*word = 2;
	image_write(_metadata, &c, &im);
	EXPECT_EQ(EBADMSG, attempt(_metadata, &c, &a));
	image_sign_run(run);
	image_write(_metadata, &c, &im);
	EXPECT_EQ(0, attempt(_metadata, &c, &a));
	free(im.data);
	cr_end(_metadata, &c);
}

TEST_HARNESS_MAIN
