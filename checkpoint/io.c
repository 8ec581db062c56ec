// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: writing to and reading from the descriptor of an image.
 *
 * It may be a file, a pipe or a socket, blocking or not, and is never seeked.
 * Short transfers are continued. What carries no stream of bytes, or takes
 * them from user space only, is refused before anything is done.
 *
 * O_DIRECT of a file is ignored: heads of records are not aligned to sectors.
 *
 * Locks: the system call holds f_pos_lock where the file has a position.
 */
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "internal.h"

/* A missed wakeup costs no more than this. */
#define POLL_TIMEOUT	(HZ / 10)

static void wait_ready(struct file *file, __poll_t events)
{
	struct poll_wqueues table;

	poll_initwait(&table);
	table.pt._key = events | EPOLLERR | EPOLLHUP;
	if (!(vfs_poll(file, &table.pt) & table.pt._key)) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!table.triggered)
			schedule_timeout(POLL_TIMEOUT);
		__set_current_state(TASK_RUNNING);
	}
	poll_freewait(&table);
}

/*
 * Go on after a transfer that moved nothing? 0 to try again, now; or -errno.
 *
 * A descriptor with O_NONBLOCK is waited for. Signals that do not kill the
 * caller do not end the transfer; while one is pending, files do not sleep.
 */
static int io_retry(struct file *file, ssize_t err, __poll_t events)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	switch (err) {
	case -EAGAIN:
		if (!signal_pending(current)) {
			wait_ready(file, events);
			return 0;
		}
		fallthrough;
	case -EINTR:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		schedule_timeout_killable(1);
		return 0;
	default:
		return err;
	}
}

/* Pipes and sockets have no position. */
static bool has_position(struct file *file)
{
	return !(file->f_mode & FMODE_STREAM);
}

static ssize_t transfer(struct file *file, struct iov_iter *iter,
			ssize_t (*io)(struct file *, struct kiocb *, struct iov_iter *))
{
	struct kiocb iocb;
	ssize_t n = cr_fail_io();

	if (n)
		return n;
	init_sync_kiocb(&iocb, file);
	iocb.ki_flags &= ~IOCB_DIRECT;
	iocb.ki_pos = has_position(file) ? file->f_pos : 0;
	n = io(file, &iocb, iter);
	if (n > 0 && has_position(file))
		file->f_pos = iocb.ki_pos;
	return n;
}

static bool is_stream(struct file *file, bool out)
{
	struct socket *sock = sock_from_file(file);

	if (sock)
		return sock->type == SOCK_STREAM;
	/* a pipe with O_DIRECT makes a packet of each write */
	return !out || !S_ISFIFO(file_inode(file)->i_mode) || !(file->f_flags & O_DIRECT);
}

/**
 * cr_out_check() - can an image be written to this file?
 * @ctx: the checkpoint
 * @file: open for writing
 *
 * Context: Before anything is stopped.
 * Return: 0, or -EINVAL as told.
 */
int cr_out_check(struct cr_ctx *ctx, struct file *file)
{
	if (!is_stream(file, true))
		return cr_fail(ctx, -EINVAL, "the image needs a stream of bytes, not of packets");
	if (!(file->f_mode & FMODE_CAN_WRITE) || !file->f_op->write_iter)
		return cr_fail(ctx, -EINVAL, "this kind of file cannot take an image");
	return 0;
}

/**
 * cr_in_check() - can an image be read from this file?
 * @ctx: the restart
 * @file: open for reading
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_in_check(struct cr_ctx *ctx, struct file *file)
{
	if (!is_stream(file, false))
		return cr_fail(ctx, -EINVAL, "the image needs a stream of bytes, not of packets");
	if (!(file->f_mode & FMODE_CAN_READ) || !file->f_op->read_iter)
		return cr_fail(ctx, -EINVAL, "this kind of file cannot hold an image");
	return 0;
}

/**
 * cr_bvec_join() - take pages together that are one large page
 * @bv: pages, all of one folio
 * @page: to be added behind them
 *
 * Return: true if @page was the next of the same folio and is part of @bv now.
 */
bool cr_bvec_join(struct bio_vec *bv, struct page *page)
{
	struct page *last = bv->bv_page + (bv->bv_len >> PAGE_SHIFT) - 1;

	if (page_folio(page) != page_folio(last) || page != last + 1)
		return false;
	bv->bv_len += PAGE_SIZE;
	return true;
}

/**
 * cr_out_iter() - write to the image
 * @out: the image
 * @iter: what
 *
 * Return: 0 when all is written; -EINTR on a fatal signal; or -errno. Tells
 * no reason.
 */
int cr_out_iter(struct cr_out *out, struct iov_iter *iter)
{
	ssize_t n;
	int err;

	while (iov_iter_count(iter)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		n = transfer(out->file, iter, vfs_iocb_iter_write);
		if (n > 0) {
			out->bytes += n;
			cr_report_bytes(out->bytes);
			continue;
		}
		err = io_retry(out->file, n ?: -EIO, EPOLLOUT);
		if (err)
			return err;
	}
	return 0;
}

/**
 * cr_out_bytes() - write to the image
 * @out: the image
 * @buf: bytes in kernel memory
 * @len: how many
 *
 * Return: 0 when all are written; -EINTR on a fatal signal; or -errno. Tells
 * no reason.
 */
int cr_out_bytes(struct cr_out *out, const void *buf, size_t len)
{
	struct kvec kvec = { .iov_base = (void *)buf, .iov_len = len };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_SOURCE, &kvec, 1, len);
	return cr_out_iter(out, &iter);
}

/**
 * cr_in_iter() - read from the image
 * @ctx: the restart
 * @in: the image
 * @iter: where to
 *
 * Return: 0 when @iter is full; or -errno as told.
 */
int cr_in_iter(struct cr_ctx *ctx, struct cr_in *in, struct iov_iter *iter)
{
	ssize_t n;
	int err;

	while (iov_iter_count(iter)) {
		if (fatal_signal_pending(current))
			return cr_fail(ctx, -EINTR, "interrupted");
		n = transfer(in->file, iter, vfs_iocb_iter_read);
		if (n > 0) {
			in->bytes += n;
			cr_report_bytes(in->bytes);
			continue;
		}
		if (!n)
			return cr_fail(ctx, -EINVAL, "image ends early, after %llu bytes",
				       in->bytes);
		err = io_retry(in->file, n, EPOLLIN);
		if (err)
			return cr_fail(ctx, err,
				       "the image cannot be read: error %d after %llu bytes",
				       -err, in->bytes);
	}
	return 0;
}

/**
 * cr_in_bytes() - read from the image
 * @ctx: the restart
 * @in: the image
 * @buf: kernel memory
 * @len: bytes
 *
 * Return: 0 when all are read; or -errno as told.
 */
int cr_in_bytes(struct cr_ctx *ctx, struct cr_in *in, void *buf, size_t len)
{
	struct kvec kvec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_DEST, &kvec, 1, len);
	return cr_in_iter(ctx, in, &iter);
}
