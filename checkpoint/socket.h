/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint/restart: what the files about sockets share.
 */
#ifndef _CHECKPOINT_SOCKET_H
#define _CHECKPOINT_SOCKET_H

#include <linux/net.h>
#include <net/sock.h>

#include "internal.h"

/* "pid 12 fd 7: socket: <what>: not supported" */
int cr_sock_refuse(struct cr_ctx *ctx, const char *what);

/*
 * As lock_sock(), but it does not wait for long: who has the lock outside of the
 * tree may sleep in a page fault, as long as it likes. False without the lock.
 */
bool cr_sock_lock(struct sock *sk);

/* Is @sk an open file of the tree? For peers, which nothing else keeps open. */
bool cr_sock_in_tree(struct cr_ctx *ctx, struct sock *sk);

/* setsockopt() of an int while restoring. 0, or -errno as told. */
int cr_sock_set(struct cr_ctx *ctx, struct socket *sock, int level, int opt,
		const char *name, int val);

/* socket_opts.c: SOL_SOCKET. Dumping: the socket is locked. */
int cr_sock_opts_dump(struct cr_ctx *ctx, struct sock *sk,
		      struct cr_img_file_socket *s);
int cr_sock_opts_check(struct cr_ctx *ctx, const struct cr_rec *rec);
int cr_sock_opts_restore(struct cr_ctx *ctx, struct socket *sock,
			 const struct cr_img_file_socket *s);

/*
 * socket_tcp.c. Dumping: the socket is locked; check_peer: it is not. The latter
 * returns what is wrong with the peer, or NULL.
 */
int cr_tcp_dump(struct cr_ctx *ctx, struct sock *sk, struct cr_img_file_socket *s);
int cr_tcp_check(struct cr_ctx *ctx, const struct cr_rec *rec);
int cr_tcp_restore(struct cr_ctx *ctx, struct socket *sock,
		   const struct cr_img_file_socket *s);
const char *cr_tcp_check_peer(struct cr_ctx *ctx, struct sock *sk);
void cr_tcp_name(const struct cr_img_file_socket *s, char *buf, size_t size);

/* socket_unix.c. Dumping: the socket is locked. */
int cr_unix_dump(struct cr_ctx *ctx, struct sock *sk, struct cr_img_file_socket *s);
u32 cr_unix_name_add(struct cr_ctx *ctx, struct sock *sk);
int cr_unix_check(struct cr_ctx *ctx, const struct cr_rec *rec);
int cr_unix_restore(struct cr_ctx *ctx, struct cr_task *t, struct socket *sock,
		    const struct cr_img_file_socket *s);
const char *cr_unix_check_peer(struct cr_ctx *ctx, struct sock *sk);

#endif /* _CHECKPOINT_SOCKET_H */
