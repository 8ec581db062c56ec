// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: credentials; and that restart gives none away. */
#include "task_help.h"

#include <linux/securebits.h>
#include <sys/fsuid.h>

static const gid_t groups[] = { 1005, 1002, 3000 };

static void groups_check(struct cr_child *c, const gid_t *want, int nr)
{
	gid_t got[8];
	int i, j;

	CR_CHECK(c, getgroups(8, got) == nr);
	for (i = 0; i < nr; i++) {
		for (j = 0; j < nr && got[j] != want[i]; j++)
			;
		CR_CHECK(c, j < nr);
	}
}

/* ---- an ordinary user ---- */

static void do_user(struct cr_child *c)
{
	uid_t r, e, s;
	struct caps caps;

	CR_CHECK(c, !setgroups(3, groups));
	CR_CHECK(c, !setresgid(1000, 1001, 1002));
	CR_CHECK(c, !setresuid(1000, 1001, 1002));
	CR_CHECK(c, setfsgid(1002) == 1001);
	CR_CHECK(c, setfsuid(1002) == 1001);
	/* Files are made with it: the directory is open to all. */
	cr_ready(c);
	CR_CHECK(c, !getresuid(&r, &e, &s) && r == 1000 && e == 1001 && s == 1002);
	CR_CHECK(c, !getresgid(&r, &e, &s) && r == 1000 && e == 1001 && s == 1002);
	CR_CHECK(c, setfsuid(-1) == 1002 && setfsgid(-1) == 1002);
	groups_check(c, groups, 3);
	CR_CHECK(c, !caps_get(&caps));
	CR_CHECK(c, !caps.set[0].permitted && !caps.set[1].permitted);
	CR_CHECK(c, prctl(PR_GET_DUMPABLE) == 0);
	CR_CHECK(c, setuid(0) == -1 && errno == EPERM);
}

TEST(user)
{
	cr_both_ways(_metadata, do_user, 0);
}

/* ---- capabilities ---- */

static void caps_check(struct cr_child *c, const struct caps *want)
{
	struct caps now;

	CR_CHECK(c, !caps_get(&now));
	CR_CHECK(c, !memcmp(&now, want, sizeof(now)));
}

static void do_capabilities(struct cr_child *c)
{
	struct caps caps;

	memset(&caps, 0, sizeof(caps));
	CR_CHECK(c, !prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT));
	CR_CHECK(c, !prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NOROOT |
						SECBIT_NOROOT_LOCKED));
	CR_CHECK(c, !setresgid(1000, 1000, 1000) && !setgroups(0, NULL));
	CR_CHECK(c, !setresuid(1000, 1000, 1000));
	caps.set[0].permitted = CAP(CAP_NET_RAW) | CAP(CAP_KILL) | CAP(CAP_CHOWN);
	caps.set[0].effective = CAP(CAP_CHOWN);
	caps.set[0].inheritable = CAP(CAP_KILL);
	CR_CHECK(c, !caps_set(&caps));
	CR_CHECK(c, !prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	cr_ready(c);
	caps_check(c, &caps);
	CR_CHECK(c, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0) == 1);
	CR_CHECK(c, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 0);
	CR_CHECK(c, prctl(PR_CAPBSET_READ, CAP_SYS_BOOT) == 0);
	CR_CHECK(c, prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 1);
	CR_CHECK(c, prctl(PR_GET_SECUREBITS) ==
		    (SECBIT_KEEP_CAPS | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED));
	groups_check(c, NULL, 0);
}

TEST(capabilities)
{
	cr_both_ways(_metadata, do_capabilities, 0);
}

static void do_root(struct cr_child *c)
{
	struct caps caps;

	CR_CHECK(c, !caps_get(&caps));
	cr_ready(c);
	caps_check(c, &caps);
	CR_CHECK(c, !getuid() && !geteuid());
	CR_CHECK(c, prctl(PR_GET_DUMPABLE) == 1);
}

TEST(root)
{
	cr_both_ways(_metadata, do_root, 0);
}

/* ---- threads may differ; so may a user without privilege from another ---- */

static struct {
	struct cr_child *c;
	pthread_barrier_t set_up;
} g;

static void *as_user(void *arg)
{
	long uid = (long)arg;
	long r, e, s;

	/* Not by the C library, which would do it for all threads. */
	CR_CHECK(g.c, !syscall(SYS_setgroups, 0, NULL));
	CR_CHECK(g.c, !syscall(SYS_setresuid, uid, uid, uid));
	pthread_barrier_wait(&g.set_up);
	cr_wait_go(g.c);
	r = syscall(SYS_getuid);
	e = syscall(SYS_geteuid);
	s = getgroups(0, NULL);
	CR_CHECK(g.c, r == uid && e == uid && s == 0);
	return NULL;
}

static void do_threads(struct cr_child *c)
{
	pthread_t thread[3];
	long i;

	g.c = c;
	pthread_barrier_init(&g.set_up, NULL, 4);
	for (i = 0; i < 3; i++)
		CR_CHECK(c, !pthread_create(&thread[i], NULL, as_user, (void *)(2000 + i)));
	pthread_barrier_wait(&g.set_up);
	cr_ready(c);
	CR_CHECK(c, getuid() == 0);
	for (i = 0; i < 3; i++)
		CR_CHECK(c, !pthread_join(thread[i], NULL));
	CR_CHECK(c, prctl(PR_GET_DUMPABLE) == 0);
}

TEST(users_of_threads)
{
	cr_both_ways(_metadata, do_threads, 0);
}

/* ---- nobody gains anything ---- */

/* Restarts as @uid with only @caps; the reason must contain @text. */
static void denied(struct __test_metadata *_metadata, void (*workload)(struct cr_child *),
		   uid_t uid, unsigned long long caps, const char *text)
{
	int fd, status, err;
	struct cr_child c;
	pid_t pid;
	long ret;

	cr_begin_image(_metadata, &c, workload);
	fd = open(c.image, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (become(uid, caps))
			_exit(10);
		ret = sys_restart(0, fd, 0);
		err = errno;
		if (ret != -1)
			_exit(11);
		if (err != EPERM || !strstr(cr_reason(), text)) {
			TH_LOG("%s: %s", strerror(err), cr_reason());
			_exit(12);
		}
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(fd);
	/* Nothing is left of the attempt. */
	EXPECT_EQ(-1, kill(c.pid, 0));
	cr_end(_metadata, &c);
}

TEST(pids_need_a_capability)
{
	denied(_metadata, do_root, 1000, 0, "CAP_CHECKPOINT_RESTORE");
}

TEST(other_uids_need_a_capability)
{
	denied(_metadata, do_root, 1000, CAP(CAP_CHECKPOINT_RESTORE), "CAP_SETUID");
}

static void do_user_2000(struct cr_child *c)
{
	CR_CHECK(c, !setgroups(1, groups));
	CR_CHECK(c, !setresgid(2000, 2000, 2000));
	CR_CHECK(c, !setresuid(2000, 2000, 2000));
	cr_ready(c);
}

TEST(other_gids_need_a_capability)
{
	denied(_metadata, do_user_2000, 1000,
	       CAP(CAP_CHECKPOINT_RESTORE) | CAP(CAP_SETUID), "group ids need CAP_SETGID");
}

TEST(other_groups_need_a_capability)
{
	denied(_metadata, do_user_2000, 2000, CAP(CAP_CHECKPOINT_RESTORE),
	       "supplementary groups need CAP_SETGID");
}

TEST(more_capabilities_than_the_caller)
{
	denied(_metadata, do_root, 0,
	       CAP(CAP_CHECKPOINT_RESTORE) | CAP(CAP_SETUID) | CAP(CAP_SETGID) |
	       CAP(CAP_SETPCAP) | CAP(CAP_SYS_RESOURCE), "capabilities");
}

TEST_HARNESS_MAIN
