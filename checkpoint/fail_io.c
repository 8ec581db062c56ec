// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: reading and writing of images that fails, for tests.
 *
 * debugfs has fail_checkpoint_io, with the attributes that all kinds of faults
 * have (Documentation/fault-injection/): each transfer of bytes from or to the
 * descriptor of an image counts 1 of "space". "errno" there is what it fails with,
 * before anything has moved.
 *
 * It is not left to fail_function, which decides in a breakpoint: lockdep
 * complains of the random number that is made there.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/minmax.h>

#include "internal.h"

static DECLARE_FAULT_ATTR(fail_checkpoint_io);
static u32 fail_errno = EIO;

/**
 * cr_fail_io() - shall this transfer fail?
 *
 * fail-nth of a task does not count it, unless it is turned on: those who fail
 * allocations expect no other errors.
 *
 * Return: 0, or -errno.
 */
int cr_fail_io(void)
{
	if (!fail_checkpoint_io.probability || !should_fail(&fail_checkpoint_io, 1))
		return 0;
	return -(int)clamp(READ_ONCE(fail_errno), 1U, (u32)MAX_ERRNO);
}

static int __init cr_fail_io_init(void)
{
	struct dentry *dir = fault_create_debugfs_attr("fail_checkpoint_io", NULL,
						       &fail_checkpoint_io);

	if (IS_ERR(dir))
		return PTR_ERR(dir);
	debugfs_create_u32("errno", 0600, dir, &fail_errno);
	return 0;
}
late_initcall(cr_fail_io_init);
