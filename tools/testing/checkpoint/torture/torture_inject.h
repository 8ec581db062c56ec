/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Let the n-th fault happen. See Documentation/fault-injection.
 *
 * fail-nth counts all kinds of faults, but only of the task that asked. What
 * happens in the tasks that restart() makes is reached by the attributes in
 * debugfs instead: they apply to tasks with make-it-fail, which a new task has
 * from its creator. With interval=n, times=1 the first check fails at which
 * their count, that nobody can set, is a multiple of n. So the count is brought
 * there first; the n-th check after that is the one that fails.
 *
 * Transfers of an image have an attribute of their own, which fail-nth does not
 * count: each takes 1 from "space", and the one that finds no more there fails.
 */
#ifndef _TORTURE_INJECT_H
#define _TORTURE_INJECT_H

#include <sys/mman.h>

#include "torture.h"

#define INJECT_DIR	"/sys/kernel/debug/"

enum inject_method { INJECT_NTH, INJECT_SLAB, INJECT_PAGE, INJECT_COPY, INJECT_METHODS };

static const char * const inject_attr[INJECT_METHODS] = {
	[INJECT_SLAB] = "failslab",
	[INJECT_PAGE] = "fail_page_alloc",
	[INJECT_COPY] = "fail_usercopy",
};

static int inject_nth_fd = -1;
static int inject_task_fd = -1;

static inline void inject_set(const char *attr, const char *file, unsigned long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), INJECT_DIR "%s/%s", attr, file);
	snprintf(text, sizeof(text), "%lu", value);
	if (!torture_write(path, text))
		torture_die("%s", path);
}

static inline unsigned long inject_get(const char *attr, const char *file)
{
	char path[128], text[32];
	int tries;

	snprintf(path, sizeof(path), INJECT_DIR "%s/%s", attr, file);
	/* this may itself meet the fault that was asked for */
	for (tries = 0; tries < 5; tries++)
		if (torture_read(path, text, sizeof(text)))
			return strtoul(text, NULL, 0);
	torture_die("%s", path);
}

static inline void inject_flag(const char *attr, const char *file, bool on)
{
	char path[128];

	snprintf(path, sizeof(path), INJECT_DIR "%s/%s", attr, file);
	if (!torture_write(path, on ? "Y" : "N"))
		torture_die("%s", path);
}

/*
 * All caches but those of kmemleak, which has a reserve. It allocates something
 * for every object, so half of the faults would be wasted on it.
 */
static inline void inject_caches(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *de;
	char path[512];

	while (dir && (de = readdir(dir))) {
		if (de->d_name[0] == '.' || !strncmp(de->d_name, "kmemleak", 8))
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab", de->d_name);
		torture_write(path, "1");
	}
	if (dir)
		closedir(dir);
	inject_flag("failslab", "cache-filter", true);
}

/* False if the kernel has no fault injection. @verbose: as in debugfs. */
static inline bool inject_init(unsigned long verbose)
{
	int m;

	inject_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	inject_task_fd = open("/proc/self/make-it-fail", O_RDWR | O_CLOEXEC);
	if (inject_nth_fd < 0 || inject_task_fd < 0 || access(INJECT_DIR "failslab", F_OK))
		return false;
	for (m = INJECT_SLAB; m < INJECT_METHODS; m++) {
		inject_set(inject_attr[m], "probability", 0);
		inject_set(inject_attr[m], "verbose", verbose);
		inject_set(inject_attr[m], "space", 0);
		inject_flag(inject_attr[m], "task-filter", true);
	}
	/* also what may wait for memory, and pages of any size and use */
	inject_caches();
	inject_flag("failslab", "ignore-gfp-wait", false);
	inject_flag("fail_page_alloc", "ignore-gfp-wait", false);
	inject_flag("fail_page_alloc", "ignore-gfp-highmem", false);
	inject_set("fail_page_alloc", "min-order", 0);
	return true;
}

/* Allocates nothing. False if this itself met the fault. */
static inline bool inject_tasks(bool on)
{
	bool met = false;

	while (pwrite(inject_task_fd, on ? "1" : "0", 1, 0) != 1) {
		if (met || errno != EFAULT)
			torture_die("make-it-fail");
		met = true;
	}
	return !met;
}

/* Something that allocates objects and pages, and copies. May fail. */
static inline void inject_work(void)
{
	char *m = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	char buf[16];
	size_t i;

	if (m != MAP_FAILED) {
		for (i = 0; i < 65536; i += 4096)
			m[i] = 1;
		munmap(m, 65536);
	}
	for (i = 0; i < 16; i++)
		if (pread(fd, buf, sizeof(buf), 0) < 0)
			break;
	if (fd >= 0)
		close(fd);
}

/* The @n-th check of @method from here on fails. */
static inline void inject_arm(enum inject_method method, unsigned int n)
{
	const char *attr = inject_attr[method];
	char text[32];

	if (method == INJECT_NTH) {
		snprintf(text, sizeof(text), "%u", n);
		if (pwrite(inject_nth_fd, text, strlen(text), 0) < 0)
			torture_die("fail-nth");
		return;
	}
	inject_set(attr, "interval", n);
	inject_set(attr, "times", 1);
	inject_set(attr, "probability", 100);
	/* with interval 1 there is no count */
	if (n > 1) {
		inject_tasks(true);
		while (inject_get(attr, "times"))
			inject_work();
		inject_tasks(false);
		inject_set(attr, "times", 1);
	}
	inject_tasks(true);
}

/* Returns whether it failed. */
static inline bool inject_disarm(enum inject_method method)
{
	const char *attr = inject_attr[method];
	char text[32] = "";
	bool hit;

	if (method == INJECT_NTH) {
		/* fails only if the fault was still to come */
		hit = pread(inject_nth_fd, text, sizeof(text) - 1, 0) > 0 && atol(text) == 0;
		while (pwrite(inject_nth_fd, "0", 1, 0) != 1)
			;
		return hit;
	}
	hit = inject_tasks(false);
	hit &= !inject_get(attr, "times");
	inject_set(attr, "probability", 0);
	return hit;
}

/* ---- transfers ---- */

#define INJECT_IO	"fail_checkpoint_io"
#define INJECT_NEVER	1000000

/* False if the kernel cannot let transfers fail. */
static inline bool inject_io_init(void)
{
	if (access(INJECT_DIR INJECT_IO, F_OK))
		return false;
	inject_set(INJECT_IO, "times", 0);
	inject_set(INJECT_IO, "verbose", 0);
	inject_set(INJECT_IO, "interval", 1);
	return true;
}

/* The @n-th transfer from here on fails with @err. */
static inline void inject_io_arm(unsigned int n, int err)
{
	inject_set(INJECT_IO, "errno", err);
	inject_set(INJECT_IO, "space", n);
	inject_set(INJECT_IO, "times", 1);
	inject_set(INJECT_IO, "probability", 100);
}

/* Returns whether it failed; to @seen, how many there were up to then. */
static inline bool inject_io_disarm(unsigned int n, unsigned int *seen)
{
	bool hit = !inject_get(INJECT_IO, "times");

	inject_set(INJECT_IO, "probability", 0);
	*seen = hit ? n : n - inject_get(INJECT_IO, "space");
	return hit;
}

#endif /* _TORTURE_INJECT_H */
