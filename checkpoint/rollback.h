/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint/restart: putting a live tree back to what it was.
 */
#ifndef _CHECKPOINT_ROLLBACK_H
#define _CHECKPOINT_ROLLBACK_H

#include "internal.h"

/**
 * struct cr_past_sock - a TCP socket as it was when the checkpoint was made
 * @id: object id of the open file
 * @state: TCP_ESTABLISHED, ...
 * @cookie: names the socket, for as long as the machine runs
 * @consumed: bytes that the program has read from it
 * @written: bytes that the program has written to it
 */
struct cr_past_sock {
	u32 id;
	u32 state;
	u64 cookie;
	u64 consumed;
	u64 written;
};

/**
 * struct cr_past - what a kept checkpoint remembers of the live tree
 * @root: the root process; referenced, so no other process is mistaken for it
 * @pgrp: its process group
 * @session: its session
 * @root_path: its root directory
 * @nr_socks: entries of @socks
 * @socks: by id
 */
struct cr_past {
	struct pid *root;
	struct pid *pgrp;
	struct pid *session;
	struct path root_path;
	u32 nr_socks;
	struct cr_past_sock socks[] __counted_by(nr_socks);
};

/**
 * struct cr_rollback - one call of restart() with RESTART_ROLLBACK
 * @live: root of the tree as it is now; referenced
 * @files: of sockets that go on being used, by index of cr_past.socks, or NULL
 */
struct cr_rollback {
	struct task_struct *live;
	struct file *files[];
};

/* rollback_switch.c */
int cr_rollback_switch(struct cr_ctx *ctx, struct cr_ctx *live);

#endif /* _CHECKPOINT_ROLLBACK_H */
