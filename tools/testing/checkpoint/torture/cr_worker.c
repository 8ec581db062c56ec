// SPDX-License-Identifier: GPL-2.0
/*
 * A program that works and verifies all the time what it works with; for others
 * to checkpoint, kill, restart and roll back.
 *
 *	cr_worker SEED KIND...
 *
 * does each kind of work in a process of its own, or in this one if it is only
 * one, until there is a file "stop" in the working directory. Exit status 0; 3
 * if something was wrong, which is told in the file "wrong"; 2 for bad usage.
 */
#include "worker.h"
#include "worker_memory.h"
#include "worker_ipc.h"
#include "worker_tasks.h"

#define MAX_KINDS	16

static void nest_mem(void)
{
	work_nest(work_mem);
}

static void nest_pipe(void)
{
	work_nest(work_pipe);
}

static const struct {
	const char *name;
	void (*work)(void);
} kinds[] = {
	{ "mem", work_mem }, { "map", work_map }, { "file", work_file }, { "fpu", work_fpu },
	{ "pipe", work_pipe }, { "futex", work_futex }, { "shm", work_shm },
	{ "event", work_event }, { "signal", work_signal }, { "timer", work_timer },
	{ "fork", work_fork }, { "nest_mem", nest_mem }, { "nest_pipe", nest_pipe },
};

#define NR_KINDS	(sizeof(kinds) / sizeof(kinds[0]))

static size_t find_kind(const char *name)
{
	size_t i;

	for (i = 0; i < NR_KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return i;
	fprintf(stderr, "cr_worker: no kind %s\n", name);
	exit(2);
}

static void do_kind(size_t kind)
{
	kind_name = kinds[kind].name;
	kinds[kind].work();
}

int main(int argc, char **argv)
{
	size_t kind[MAX_KINDS];
	int nr = argc - 2, i;
	pid_t pid[MAX_KINDS];

	if (nr < 1 || nr > MAX_KINDS) {
		fprintf(stderr, "usage: cr_worker SEED KIND...\n");
		return 2;
	}
	rng = strtoull(argv[1], NULL, 0);
	for (i = 0; i < nr; i++)
		kind[i] = find_kind(argv[2 + i]);
	if (nr == 1) {
		do_kind(kind[0]);
		return 0;
	}
	for (i = 0; i < nr; i++) {
		pid[i] = start();
		if (!pid[i]) {
			do_kind(kind[i]);
			_exit(0);
		}
	}
	for (i = 0; i < nr; i++)
		reap(pid[i], 0);
	return 0;
}
