/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint/restart: every maximum, each with its reason.
 *
 * An image is hostile input; none of these may depend on what it says.
 */
#ifndef _CHECKPOINT_LIMITS_H
#define _CHECKPOINT_LIMITS_H

#include <linux/limits.h>
#include <linux/sizes.h>

/* Room in the image comes in chunks of this size; a larger record has its own. */
#define CR_HBUF_CHUNK		SZ_128K

/* Metadata of one checkpoint; 1000 tasks with 10000 mappings need about 700 MiB. */
#define CR_HBUF_CAP		SZ_1G

/* Depth of cr_hbuf_get() without cr_hbuf_put(); objects nest task > mm > file. */
#define CR_HBUF_NEST		8

/* The largest payload of one record: a pipe buffer or an xstate are far below. */
#define CR_REC_MAX		SZ_1M

/* Records of one image: bounds the index that restart() allocates. */
#define CR_RECS_MAX		(16U << 20)

/* Objects have ids 1 .. CR_OBJS_MAX, and each has at least one record. */
#define CR_OBJS_MAX		CR_RECS_MAX

/* Tasks of one tree: PID_MAX_LIMIT is 4 Mi, but each costs a kernel stack. */
#define CR_TASKS_MAX		(128U << 10)

/* How often a checkpoint is tried if the tree changes while it is being stopped. */
#define CR_TRIES_MAX		10

/* A path as the kernel can give it. */
#define CR_STRING_MAX		PATH_MAX

/* NGROUPS_MAX of the kernel. */
#define CR_GROUPS_MAX		NGROUPS_MAX

/* XSAVE area: AVX-512 and AMX together are below 12 KiB; the CPU tells less. */
#define CR_XSTATE_MAX		SZ_16K

/* sched_setaffinity() masks: far above any NR_CPUS. */
#define CR_CPUS_MAX		8192U

/* One run of pages; 512 pages are 2 MiB, one huge page. */
#define CR_PAGES_RUN_MAX	512U

/* Pages of one address space that are hashed: 64 GiB; hashes of it take 256 MiB. */
#define CR_VERIFY_PAGES_MAX	(16U << 20)

/* One pipe buffer is a page; a packet of a pipe never exceeds it. */
#define CR_PIPE_BUF_MAX		PAGE_SIZE

/* fcntl(F_SETPIPE_SZ) allows a privileged process 2^31 bytes; we stop at 64 MiB. */
#define CR_PIPE_SLOTS_MAX	(SZ_64M / PAGE_SIZE)

/* The reason of a failure in words. */
#define CR_REASON_MAX		256

#endif /* _CHECKPOINT_LIMITS_H */
