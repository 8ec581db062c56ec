// SPDX-License-Identifier: GPL-2.0
/* Checkpoint/restart: interval timers. */
#include "task_help.h"

#include <sys/time.h>

static int ticks;

static void on_tick(int sig)
{
	INCREMENT(ticks);
}

static long long us(struct timeval tv)
{
	return tv.tv_sec * 1000000LL + tv.tv_usec;
}

/* Far from expiring: what is left never grows and does not jump. */
static void far_away(struct cr_child *c)
{
	static const int which[] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
	struct itimerval set[3], now;
	int i;

	for (i = 0; i < 3; i++) {
		set[i].it_value.tv_sec = 5000 + i;
		set[i].it_value.tv_usec = 0;
		set[i].it_interval.tv_sec = 100 + i;
		set[i].it_interval.tv_usec = 17;
		CR_CHECK(c, !setitimer(which[i], &set[i], NULL));
	}
	for (i = 0; i < 3; i++)
		CR_CHECK(c, !getitimer(which[i], &set[i]));
	cr_ready(c);
	for (i = 0; i < 3; i++) {
		CR_CHECK(c, !getitimer(which[i], &now));
		CR_CHECK(c, us(now.it_value) <= us(set[i].it_value));
		CR_CHECK(c, us(now.it_value) > us(set[i].it_value) - 1000 * 1000000LL);
		CR_CHECK(c, us(now.it_interval) == us(set[i].it_interval));
	}
}

TEST(what_is_left)
{
	cr_both_ways(_metadata, far_away, 0);
}

static void do_not_armed(struct cr_child *c)
{
	struct itimerval now;
	int which;

	cr_ready(c);
	for (which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
		CR_CHECK(c, !getitimer(which, &now));
		CR_CHECK(c, !us(now.it_value) && !us(now.it_interval));
	}
}

TEST(not_armed)
{
	cr_both_ways(_metadata, do_not_armed, 0);
}

static void burn_until(int nr)
{
	while (LOAD(ticks) < nr)
		;
}

/* Expires again and again, during the checkpoint too. */
static void periodic(struct cr_child *c, int which, int sig)
{
	struct itimerval every_ms = { { 0, 10000 }, { 0, 10000 } };
	int before;

	signal(sig, on_tick);
	CR_CHECK(c, !setitimer(which, &every_ms, NULL));
	burn_until(2);
	cr_ready(c);
	before = LOAD(ticks);
	burn_until(before + 6);
}

static void do_periodic_real(struct cr_child *c)
{
	periodic(c, ITIMER_REAL, SIGALRM);
}

static void do_periodic_virtual(struct cr_child *c)
{
	periodic(c, ITIMER_VIRTUAL, SIGVTALRM);
}

static void do_periodic_prof(struct cr_child *c)
{
	periodic(c, ITIMER_PROF, SIGPROF);
}

TEST(periodic_real)
{
	cr_both_ways(_metadata, do_periodic_real, 0);
}

TEST(periodic_virtual)
{
	cr_both_ways(_metadata, do_periodic_virtual, 0);
}

TEST(periodic_prof)
{
	cr_both_ways(_metadata, do_periodic_prof, 0);
}

/* Expired, its signal blocked: the next interval begins when it is taken. */
static void do_expired_and_blocked(struct cr_child *c)
{
	struct itimerval soon = { { 0, 20000 }, { 0, 1000 } }, now;
	sigset_t set, got;
	int before;

	signal(SIGALRM, on_tick);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CR_CHECK(c, !sigprocmask(SIG_BLOCK, &set, NULL));
	CR_CHECK(c, !setitimer(ITIMER_REAL, &soon, NULL));
	do
		CR_CHECK(c, !sigpending(&got));
	while (!sigismember(&got, SIGALRM));
	cr_ready(c);
	CR_CHECK(c, !LOAD(ticks));
	CR_CHECK(c, !getitimer(ITIMER_REAL, &now));
	CR_CHECK(c, us(now.it_interval) == 20000);
	CR_CHECK(c, !sigprocmask(SIG_UNBLOCK, &set, NULL));
	CR_CHECK(c, LOAD(ticks) >= 1);
	before = LOAD(ticks);
	burn_until(before + 3);
}

TEST(expired_and_blocked)
{
	cr_both_ways(_metadata, do_expired_and_blocked, 0);
}

/* Once: exactly one signal, in the original and in the copy. */
static void do_one_shot(struct cr_child *c)
{
	struct itimerval once = { { 0, 0 }, { 0, 300000 } };
	int n;

	signal(SIGALRM, on_tick);
	CR_CHECK(c, !setitimer(ITIMER_REAL, &once, NULL));
	cr_ready(c);
	for (n = 0; !LOAD(ticks) && n < 4000; n++)
		cr_sleep_ms(5);
	cr_sleep_ms(20);
	CR_CHECK(c, LOAD(ticks) == 1);
}

TEST(one_shot)
{
	cr_both_ways(_metadata, do_one_shot, 0);
}

TEST_HARNESS_MAIN
