/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checkpoint/restart selftests: swap space.
 */
#ifndef _SWAP_HELP_H
#define _SWAP_HELP_H

#include <sys/swap.h>

#include "cr_selftest.h"

/* Not where the tests run: that may be tmpfs, which cannot have swap space. */
#define SWAP_FILE	"/var/tmp/checkpoint-swap"
#define SWAP_PAGES	8192
#define SWAP_PAGE	4096

/* Swap space; false if there can be none. */
static inline bool swap_begin(struct __test_metadata *_metadata)
{
	unsigned int head[3] = { 1, SWAP_PAGES - 1, 0 };
	char page[SWAP_PAGE];
	int fd, i;

	fd = open(SWAP_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	memset(page, 0, SWAP_PAGE);
	for (i = 0; i < SWAP_PAGES; i++)
		ASSERT_EQ((ssize_t)SWAP_PAGE, write(fd, page, SWAP_PAGE));
	ASSERT_EQ((ssize_t)sizeof(head), pwrite(fd, head, sizeof(head), 1024));
	ASSERT_EQ(10, pwrite(fd, "SWAPSPACE2", 10, SWAP_PAGE - 10));
	ASSERT_EQ(0, fsync(fd));
	close(fd);
	if (!swapon(SWAP_FILE, 0))
		return true;
	unlink(SWAP_FILE);
	return false;
}

static inline void swap_end(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, swapoff(SWAP_FILE));
	unlink(SWAP_FILE);
}

#endif /* _SWAP_HELP_H */
