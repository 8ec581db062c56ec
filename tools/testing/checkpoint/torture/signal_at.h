/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Let the kernel send a signal at the N-th moment of a call; see
 * checkpoint/signal_at.c.
 */
#ifndef _SIGNAL_AT_H
#define _SIGNAL_AT_H

#include "torture.h"

#define SIGNAL_AT	"/sys/kernel/debug/checkpoint/signal_at"
/* A moment that does not come. */
#define SIGNAL_AT_NEVER	1000000

static int signal_at_fd = -1;

/**
 * struct signal_at - what became of it
 * @state: "armed" as long as nothing happened, "sent", or "missed": no such thread
 * @nr: events so far; or the one at which it was sent
 * @pid: who got it
 * @event: the trace event
 * @what: name of the phase, or the kind of object
 */
struct signal_at {
	char state[8];
	unsigned int nr;
	pid_t pid;
	char event[24];
	char what[40];
};

/* False if the kernel cannot do that. */
static inline bool signal_at_init(void)
{
	signal_at_fd = open(SIGNAL_AT, O_RDWR | O_CLOEXEC);
	return signal_at_fd >= 0;
}

/* At the @nr-th event in the calling process, or in what it restores; @pid 0: there. */
static inline void signal_at_arm(unsigned int nr, int sig, pid_t pid)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%u %d %d", nr, sig, pid);

	if (write(signal_at_fd, text, n) != n)
		torture_die(SIGNAL_AT);
}

static inline void signal_at_look(struct signal_at *at)
{
	char text[128];
	ssize_t n = pread(signal_at_fd, text, sizeof(text) - 1, 0);

	memset(at, 0, sizeof(*at));
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%7s %u %d %23s %39[^\n]", at->state, &at->nr, &at->pid, at->event,
		   at->what) < 2)
		torture_die(SIGNAL_AT ": %s", text);
}

static inline bool signal_at_sent(const struct signal_at *at)
{
	return !strcmp(at->state, "sent");
}

#endif /* _SIGNAL_AT_H */
