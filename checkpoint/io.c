// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: writing to and reading from the descriptor of an image.
 *
 * It may be a file, a pipe or a socket, blocking or not, and is never seeked.
 * Short transfers are continued.
 *
 * Locks: the system call holds f_pos_lock where the file has a position.
 */
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/mm.h>
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
static loff_t *file_position(struct file *file)
{
	return file->f_mode & FMODE_STREAM ? NULL : &file->f_pos;
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
		n = vfs_iter_write(out->file, iter, file_position(out->file), 0);
		if (n > 0) {
			out->bytes += n;
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
		n = vfs_iter_read(in->file, iter, file_position(in->file), 0);
		if (n > 0) {
			in->bytes += n;
			continue;
		}
		if (!n)
			return cr_fail(ctx, -EINVAL, "image ends early, after %llu bytes",
				       in->bytes);
		err = io_retry(in->file, n, EPOLLIN);
		if (err)
			return cr_fail(ctx, err, "image: error %d after %llu bytes",
				       err, in->bytes);
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
