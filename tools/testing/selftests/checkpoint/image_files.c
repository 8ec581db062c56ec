// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: images with wrong records of memory, files and sockets.
 * Each is refused with the errno that belongs to it.
 */
#include "image_help.h"
#include "socket_help.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define PAGE	4096UL
#define PORT	7301

/* As struct cr_img_vma has them. */
#define SHARED		CR_IMG_VMA_SHARED
#define LOCKED		CR_IMG_VMA_LOCKED
#define ACCOUNT		CR_IMG_VMA_ACCOUNT
#define DROPPABLE	CR_IMG_VMA_DROPPABLE

/* ---- memory: the first mapping is that of a file, as the program is one ---- */

static void do_memory(struct cr_child *c)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CR_CHECK(c, p != MAP_FAILED);
	p[PAGE] = 1;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CR_CHECK(c, p != MAP_FAILED);
	p[0] = 1;
	cr_ready(c);
}

#define MM(what, f, value, err)		WRONG(what, CR_IMG_MM, 0, cr_img_mm, f, value, err)
#define VMA(what, nth, f, value)	WRONG(what, CR_IMG_VMA, nth, cr_img_vma, f, value, EINVAL)

static const struct wrong wrong_memory[] = {
	MM("flags", flags, 1U << 31, EINVAL),
	MM("dumpable", flags, 3 << 4, EINVAL),
	MM("mlockall on fault of nothing", flags, CR_IMG_MM_LOCK_ONFAULT, EINVAL),
	MM("inherits no MDWE", flags, CR_IMG_MM_MDWE_NO_INHERIT, EINVAL),
	MM("coredump filter", dump_filter, 1 << 20, EINVAL),
	MM("membarrier", membarrier, 1U << 31, EOPNOTSUPP),
	MM("brk", brk, 0x7ffffffff000, EINVAL),
	MM("start of brk", start_brk, 0x7fffffff0000, EINVAL),
	MM("brk at 0", start_brk, 0, EINVAL),
	MM("code", start_code, -1, EINVAL),
	MM("arguments", arg_end, -1, EINVAL),
	MM("mmap() base", mmap_base, 0x7fff00000001, EINVAL),
	MM("mmap() base 0", mmap_base, 0, EINVAL),
	MM("no mappings", nr_vmas, 0, EINVAL),
	MM("more mappings", nr_vmas, -1, EINVAL),
	MM("no executable", exe_id, 0, EINVAL),
	MM("other vDSO", vdso_crc, 1, EOPNOTSUPP),
	MM("vDSO at another place", vdso, 0x7000000, EINVAL),
	MM("vDSO in the kernel", vdso, 0xffff800000000000, EINVAL),
	MM("no vDSO", vdso, 0, EINVAL),
	VMA("unaligned", 0, start, 1),
	VMA("empty", 0, end, 0),
	VMA("in the kernel", 0, end, 0xffff800000000000),
	VMA("unaligned offset", 0, offset, 1),
	VMA("offset beyond a file", 0, offset, 0x7ffffffffffff000),
	VMA("not in order", 1, start, 0x10000),
	VMA("flags", 0, flags, 1U << 31),
	VMA("shared and accounted", 0, flags, SHARED | ACCOUNT),
	VMA("locked on fault", 0, flags, CR_IMG_VMA_LOCKONFAULT),
	VMA("huge and not", 0, flags, CR_IMG_VMA_HUGEPAGE | CR_IMG_VMA_NOHUGEPAGE),
	VMA("not accounted and accounted", 0, flags, CR_IMG_VMA_NORESERVE | ACCOUNT),
	VMA("file that grows down", 0, flags, CR_IMG_VMA_GROWSDOWN),
	VMA("droppable file", 0, flags, DROPPABLE),
	VMA("no kind", 0, kind, 0),
	VMA("unknown kind", 0, kind, 6),
	VMA("private memory of a file", 0, kind, CR_IMG_VMA_ANON),
	VMA("file for shared memory", 0, kind, CR_IMG_VMA_SHMEM),
	VMA("the vDSO elsewhere", 0, kind, CR_IMG_VMA_VDSO),
	VMA("file of no object", 0, file_id, 0),
	VMA("file with a name", 0, name_id, 1),
	WRONG("shared memory size", CR_IMG_SHMEM, 0, cr_img_shmem, size, 1ULL << 63, EINVAL),
	WRONG("shared memory flags", CR_IMG_SHMEM, 0, cr_img_shmem, flags, 1, EINVAL),
	WRONG("shared memory reserved", CR_IMG_SHMEM, 0, cr_img_shmem, reserved, 1, EINVAL),
	WRONG("smaller shared memory", CR_IMG_SHMEM, 0, cr_img_shmem, size, PAGE, EINVAL),
};

TEST(memory)
{
	refuse_each(_metadata, do_memory, wrong_memory, ARRAY_SIZE(wrong_memory), 0);
}

/* ---- files ---- */

static void do_files(struct cr_child *c)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = open("file", O_RDWR | O_CREAT, 0600), ep = epoll_create1(0), ev_fd, p[2];

	CR_CHECK(c, fd >= 0 && ep >= 0 && !pipe(p) && write(p[1], "in it", 5) == 5);
	ev_fd = eventfd(1, 0);
	CR_CHECK(c, ev_fd >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, ev_fd, &ev));
	cr_ready(c);
}

#define FS(what, f, value)	WRONG(what, CR_IMG_FS, 0, cr_img_fs, f, value, EINVAL)
#define FD(what, nth, f, value, err) \
	WRONG(what, CR_IMG_FD, nth, cr_img_fd, f, value, err)
#define PATH(what, f, value) \
	WRONG(what, CR_IMG_FILE_PATH, 0, cr_img_file_path, f, value, EINVAL)
#define PIPE(what, f, value)	WRONG(what, CR_IMG_PIPE, 0, cr_img_pipe, f, value, EINVAL)
#define ITEM(what, f, value) \
	WRONG(what, CR_IMG_EPOLL_ITEM, 0, cr_img_epoll_item, f, value, EINVAL)

/* Descriptors: 0, 1, 2, the file, the epoll, two ends of the pipe, the eventfd. */
#define LAST_FD	7

static const struct wrong wrong_files[] = {
	FS("umask", umask, 01000),
	FS("reserved", reserved, 1),
	FS("no root", root_id, 0),
	FS("no directory", cwd_id, 99999),
	WRONG("number", CR_IMG_FILES, 0, cr_img_files, nr_fds, 0, EINVAL),
	WRONG("reserved", CR_IMG_FILES, 0, cr_img_files, reserved, 1, EINVAL),
	FD("negative", LAST_FD, fd, -1, EINVAL),
	FD("not in order", 1, fd, 0, EINVAL),
	FD("above all limits", LAST_FD, fd, 1 << 30, EMFILE),
	FD("cloexec", 0, cloexec, 2, EINVAL),
	FD("reserved", 0, reserved, 1, EINVAL),
	FD("of no file", 0, file_id, 0, EINVAL),
	FD("of what comes later", 0, file_id, 99999, EINVAL),
	WRONG("file of no kind", CR_IMG_FILE, 0, cr_img_file, kind, 0, EINVAL),
	WRONG("file of another kind", CR_IMG_FILE, 0, cr_img_file, kind,
	      CR_IMG_FILE_EVENTFD, EINVAL),
	WRONG("file flags", CR_IMG_FILE, 0, cr_img_file, flags, 1U << 31, EINVAL),
	WRONG("file offset", CR_IMG_FILE, 0, cr_img_file, pos, 1ULL << 63, EINVAL),
	PATH("mode", mode, 1 << 20),
	PATH("reserved", reserved, 1),
	PATH("time", mtime_nsec, 1000000000),
	PATH("type", mode, 060600),
	PATH("no name", path_id, 0),
	WRONG("end reserved", CR_IMG_FILE_PIPE, 0, cr_img_file_pipe, reserved, 1, EINVAL),
	WRONG("end of no pipe", CR_IMG_FILE_PIPE, 0, cr_img_file_pipe, pipe_id, 1, EINVAL),
	PIPE("no slots", nr_slots, 0),
	PIPE("3 slots", nr_slots, 3),
	PIPE("slots", nr_slots, 1 << 30),
	PIPE("less buffers", nr_bufs, 0),
	PIPE("more buffers", nr_bufs, 2),
	PIPE("more than slots", nr_bufs, 1 << 20),
	PIPE("packet that is none", packets[15], 1ULL << 63),
	WRONG("eventfd flags", CR_IMG_FILE_EVENTFD, 0, cr_img_file_eventfd, flags, 2, EINVAL),
	WRONG("eventfd reserved", CR_IMG_FILE_EVENTFD, 0, cr_img_file_eventfd, reserved, 1,
	      EINVAL),
	WRONG("epoll entries", CR_IMG_FILE_EPOLL, 0, cr_img_file_epoll, nr_items, 0, EINVAL),
	WRONG("epoll reserved", CR_IMG_FILE_EPOLL, 0, cr_img_file_epoll, reserved, 1, EINVAL),
	ITEM("negative", fd, -1),
	ITEM("flags", flags, 2),
	ITEM("of no file", file_id, 0),
	ITEM("not open", fd, 12345),
	ITEM("of another file", fd, 0),
};

TEST(files)
{
	refuse_each(_metadata, do_files, wrong_files, ARRAY_SIZE(wrong_files), 0);
}

/* ---- sockets: one that listens, a fresh one, a unix one ---- */

static void do_sockets(struct cr_child *c)
{
	CR_CHECK(c, sk_listen("127.0.0.1", PORT, 0) >= 0);
	CR_CHECK(c, socket(AF_INET6, SOCK_STREAM, 0) >= 0);
	CR_CHECK(c, socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	cr_ready(c);
}

enum { LISTENS, FRESH, UNIX };

#define SOCKET(what, nth, f, value, err) \
	WRONG(what, CR_IMG_FILE_SOCKET, nth, cr_img_file_socket, f, value, err)

static const struct wrong wrong_sockets[] = {
	SOCKET("flags", LISTENS, flags, 1U << 31, EINVAL),
	SOCKET("reserved", LISTENS, reserved, 1, EINVAL),
	SOCKET("family", LISTENS, family, 99, EINVAL),
	SOCKET("type", LISTENS, type, SOCK_RAW, EINVAL),
	SOCKET("protocol", LISTENS, protocol, 17, EINVAL),
	SOCKET("state", LISTENS, state, 0, EINVAL),
	SOCKET("state", LISTENS, state, 5, EINVAL),
	SOCKET("connected listener", LISTENS, ss_state, 3, EINVAL),
	SOCKET("not connected", FRESH, state, CR_IMG_SOCKET_CLOSED, EINVAL),
	SOCKET("shutdown", LISTENS, shutdown, 4, EINVAL),
	SOCKET("error", LISTENS, err, 512, EINVAL),
	SOCKET("backlog", FRESH, backlog, 1, EINVAL),
	SOCKET("pending", FRESH, nr_pending, 1, EINVAL),
	SOCKET("pending", LISTENS, nr_pending, 1, ECONNRESET),
	SOCKET("IPv4 address", LISTENS, local[4], 1, EINVAL),
	SOCKET("IPv4 class", LISTENS, tclass, 4, EINVAL),
	SOCKET("address", LISTENS, local[0], 8, EADDRNOTAVAIL),
	SOCKET("port", LISTENS, local_port, 65536, EINVAL),
	SOCKET("no port", LISTENS, local_port, 0, EINVAL),
	SOCKET("peer", LISTENS, remote_port, 1, EINVAL),
	SOCKET("peer", FRESH, remote[15], 1, EINVAL),
	SOCKET("keepidle", FRESH, keepidle, 32768, EINVAL),
	SOCKET("keepintvl", FRESH, keepintvl, 32768, EINVAL),
	SOCKET("keepcnt", FRESH, keepcnt, 128, EINVAL),
	SOCKET("syncnt", FRESH, syncnt, 128, EINVAL),
	SOCKET("user timeout", FRESH, user_timeout_ms, 1U << 31, EINVAL),
	SOCKET("segment size", FRESH, maxseg, 1, EINVAL),
	SOCKET("ECN", FRESH, tos, 3, EINVAL),
	SOCKET("name", FRESH, name_id, 1, EINVAL),
	SOCKET("send buffer", FRESH, sndbuf, 1U << 31, EINVAL),
	SOCKET("low water mark", FRESH, rcvlowat, 0, EINVAL),
	SOCKET("timeout", FRESH, rcvtimeo_ns, 1ULL << 63, EINVAL),
	SOCKET("linger", FRESH, linger_sec, 1, EINVAL),
	SOCKET("device", FRESH, device_id, 99999, EINVAL),
	SOCKET("no such device", FRESH, device_id, 1, EINVAL),
	SOCKET("unix listener", UNIX, state, CR_IMG_SOCKET_LISTEN, EINVAL),
	SOCKET("unix keepidle", UNIX, keepidle, 1, EINVAL),
	SOCKET("unix port", UNIX, local_port, 1, EINVAL),
	SOCKET("unix protocol", UNIX, protocol, 6, EINVAL),
	SOCKET("unix reset", UNIX, state, CR_IMG_SOCKET_RESET, EINVAL),
};

TEST(sockets)
{
	sk_own_net(_metadata);
	refuse_each(_metadata, do_sockets, wrong_sockets, ARRAY_SIZE(wrong_sockets), 0);
}

TEST_HARNESS_MAIN
