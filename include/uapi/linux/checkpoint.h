/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Checkpoint/restart: system call flags and the image format.
 *
 * See Documentation/checkpoint/format.rst.
 */
#ifndef _UAPI_LINUX_CHECKPOINT_H
#define _UAPI_LINUX_CHECKPOINT_H

#include <linux/types.h>

/**
 * DOC: checkpoint() flags
 *
 * CHECKPOINT_KEEP
 *     Keep the checkpoint in the kernel under its id (crid).
 * CHECKPOINT_KILL
 *     Keep the tree frozen until the image is complete, then kill it. If the
 *     image cannot be written the tree is thawed instead.
 * CHECKPOINT_WRITE
 *     The first argument is a crid: write that kept checkpoint.
 * CHECKPOINT_DISCARD
 *     The first argument is a crid: forget that kept checkpoint.
 */
#define CHECKPOINT_KEEP			(1UL << 0)
#define CHECKPOINT_KILL			(1UL << 1)
#define CHECKPOINT_WRITE		(1UL << 2)
#define CHECKPOINT_DISCARD		(1UL << 3)

/**
 * DOC: restart() flags
 *
 * RESTART_FROZEN
 *     Leave the restored tree stopped until SIGCONT.
 * RESTART_CONN_RESET
 *     Connections whose peer is outside the tree come back as reset by their
 *     peer. Without this flag restart() refuses such an image.
 * RESTART_ROLLBACK
 *     Put the live tree back to the state of a kept checkpoint.
 */
#define RESTART_FROZEN			(1UL << 0)
#define RESTART_CONN_RESET		(1UL << 1)
#define RESTART_ROLLBACK		(1UL << 2)

/*
 * Image format. Little endian, fixed-width fields, no pointers; every reserved
 * field and all padding is zero and is checked to be zero. An image is
 *
 *	struct cr_img_header
 *	metadata records	(header.meta_bytes)
 *	page records, each followed by its pages
 *	one CR_IMG_END record
 *
 * and is never seeked in, so it can be a pipe or a socket.
 */

/* "CRIMAGE\0" read as a little-endian number. */
#define CR_IMG_MAGIC			0x004547414d495243ULL
#define CR_IMG_REVISION			2

/* cr_img_header.arch: the ELF machine number. */
#define CR_IMG_ARCH_X86_64		62

/**
 * struct cr_img_header - start of every image
 * @magic: CR_IMG_MAGIC
 * @revision: CR_IMG_REVISION; changes when old readers could misread
 * @arch: CR_IMG_ARCH_*
 * @compat: features that a reader may ignore when it does not know them
 * @incompat: features that a reader must refuse when it does not know them
 * @page_size: bytes of one page in page records
 * @nr_objects: highest object id in use; ids are 1 .. @nr_objects
 * @time_ns: CLOCK_REALTIME at the freeze, nanoseconds
 * @monotonic_ns: CLOCK_MONOTONIC at the freeze, nanoseconds
 * @meta_bytes: bytes of all metadata records, with their heads and padding
 * @nr_records: number of metadata records
 * @release_id: object id of the string with the kernel's release
 * @uuid: of this image
 * @parent_uuid: of the image this one is a difference to, else zero
 * @crc: CRC32C of this structure with @crc zero
 * @reserved: zero
 */
struct cr_img_header {
	__u64 magic;
	__u32 revision;
	__u32 arch;
	__u64 compat;
	__u64 incompat;
	__u32 page_size;
	__u32 nr_objects;
	__u64 time_ns;
	__u64 monotonic_ns;
	__u64 meta_bytes;
	__u32 nr_records;
	__u32 release_id;
	__u8 uuid[16];
	__u8 parent_uuid[16];
	__u32 crc;
	__u32 reserved;
};

/**
 * struct cr_img_rec - head of every record
 * @type: CR_IMG_* of &enum cr_img_type
 * @len: bytes of the payload, without the zero padding to 8 that follows it
 * @id: object this record belongs to; consecutive records of one id are one
 *      object, the first of them is its head
 * @crc: CRC32C of this head with @crc zero, and of the payload
 */
struct cr_img_rec {
	__u32 type;
	__u32 len;
	__u32 id;
	__u32 crc;
};

/**
 * enum cr_img_type - kinds of record
 * @CR_IMG_NONE: never written
 * @CR_IMG_STRING: bytes, no terminating NUL, none inside
 * @CR_IMG_PROCESS: &struct cr_img_process, head of a process
 * @CR_IMG_THREAD: &struct cr_img_thread, head of a thread
 * @CR_IMG_CRED: &struct cr_img_cred, part of a thread
 * @CR_IMG_SCHED: &struct cr_img_sched, part of a thread
 * @CR_IMG_SIGACTION: &struct cr_img_sigaction, part of a process
 * @CR_IMG_SIGSTATE: &struct cr_img_sigstate, part of a thread
 * @CR_IMG_SIGINFO_SHARED: &struct cr_img_siginfo, part of a process, in order
 * @CR_IMG_SIGINFO: &struct cr_img_siginfo, part of a thread, in order
 * @CR_IMG_RLIMIT: &struct cr_img_rlimit, part of a process
 * @CR_IMG_ITIMER: &struct cr_img_itimer, part of a process
 * @CR_IMG_RESTART_BLOCK: &struct cr_img_restart_block, part of a thread
 * @CR_IMG_X86_REGS: &struct cr_img_x86_regs, part of a thread
 * @CR_IMG_X86_XSTATE: &struct cr_img_x86_xstate, part of a thread
 * @CR_IMG_MM: &struct cr_img_mm, head of an address space
 * @CR_IMG_VMA: &struct cr_img_vma, part of an address space, ascending
 * @CR_IMG_SHMEM: &struct cr_img_shmem, head of shared anonymous memory
 * @CR_IMG_FS: &struct cr_img_fs, head of an fs_struct
 * @CR_IMG_FILES: &struct cr_img_files, head of a descriptor table
 * @CR_IMG_FD: &struct cr_img_fd, part of a descriptor table, ascending
 * @CR_IMG_FILE: &struct cr_img_file, head of an open file
 * @CR_IMG_FILE_PATH: &struct cr_img_file_path, part of a file
 * @CR_IMG_FILE_PIPE: &struct cr_img_file_pipe, part of a file
 * @CR_IMG_FILE_EVENTFD: &struct cr_img_file_eventfd, part of a file
 * @CR_IMG_FILE_EPOLL: &struct cr_img_file_epoll, part of a file
 * @CR_IMG_FILE_SOCKET: &struct cr_img_file_socket, part of a file
 * @CR_IMG_PIPE: &struct cr_img_pipe, head of a pipe
 * @CR_IMG_PIPE_DATA: bytes of one pipe buffer, part of a pipe, in order
 * @CR_IMG_EPOLL_ITEM: &struct cr_img_epoll_item, part of an epoll file
 * @CR_IMG_PAGES: &struct cr_img_pages, followed by the pages
 * @CR_IMG_PAGES_REF: &struct cr_img_pages_ref, among those
 * @CR_IMG_END: &struct cr_img_end, the last record
 */
enum cr_img_type {
	CR_IMG_NONE			= 0,
	CR_IMG_STRING			= 1,

	CR_IMG_PROCESS			= 16,
	CR_IMG_THREAD			= 17,
	CR_IMG_CRED			= 18,
	CR_IMG_SCHED			= 19,
	CR_IMG_SIGACTION		= 20,
	CR_IMG_SIGSTATE			= 21,
	CR_IMG_SIGINFO_SHARED		= 22,
	CR_IMG_SIGINFO			= 23,
	CR_IMG_RLIMIT			= 24,
	CR_IMG_ITIMER			= 25,
	CR_IMG_RESTART_BLOCK		= 26,

	CR_IMG_X86_REGS			= 40,
	CR_IMG_X86_XSTATE		= 41,

	CR_IMG_MM			= 48,
	CR_IMG_VMA			= 49,
	CR_IMG_SHMEM			= 50,

	CR_IMG_FS			= 64,
	CR_IMG_FILES			= 65,
	CR_IMG_FD			= 66,
	CR_IMG_FILE			= 67,
	CR_IMG_FILE_PATH		= 68,
	CR_IMG_FILE_PIPE		= 69,
	CR_IMG_FILE_EVENTFD		= 70,
	CR_IMG_FILE_EPOLL		= 71,
	CR_IMG_FILE_SOCKET		= 72,
	CR_IMG_PIPE			= 73,
	CR_IMG_PIPE_DATA		= 74,
	CR_IMG_EPOLL_ITEM		= 75,

	CR_IMG_PAGES			= 96,
	CR_IMG_END			= 97,
	CR_IMG_PAGES_REF		= 98,
};

/* cr_img_process.flags */
#define CR_IMG_PROCESS_SESSION_LEADER	(1U << 0)
#define CR_IMG_PROCESS_SUBREAPER	(1U << 1)
#define CR_IMG_PROCESS_ZOMBIE		(1U << 2)
#define CR_IMG_PROCESS_NO_MM		(1U << 3)
#define CR_IMG_PROCESS_FORKNOEXEC	(1U << 4)	/* has not called execve() */
#define CR_IMG_PROCESS_ALL		0x1fU

/**
 * struct cr_img_process - a thread group
 * @pid: in the tree's PID namespace
 * @ppid: pid of the parent, 0 for the root of the tree
 * @pgid: process group; 0 if it is outside the tree
 * @sid: session; 0 if it is outside the tree
 * @flags: CR_IMG_PROCESS_*
 * @exit_signal: sent to the parent on exit
 * @exit_code: of a zombie, as in task_struct
 * @nr_threads: number of CR_IMG_THREAD objects that name this process
 * @mm_id: address space
 * @fs_id: root, cwd, umask
 * @files_id: descriptor table
 * @oom_score_adj: -1000 .. 1000
 * @reserved: zero
 */
struct cr_img_process {
	__s32 pid;
	__s32 ppid;
	__s32 pgid;
	__s32 sid;
	__u32 flags;
	__u32 exit_signal;
	__u32 exit_code;
	__u32 nr_threads;
	__u32 mm_id;
	__u32 fs_id;
	__u32 files_id;
	__s32 oom_score_adj;
	__u64 reserved;
};

/* cr_img_thread.flags */
#define CR_IMG_THREAD_LEADER		(1U << 0)
#define CR_IMG_THREAD_SELF		(1U << 1)	/* called checkpoint() */
#define CR_IMG_THREAD_STOPPED		(1U << 2)	/* by job control */
#define CR_IMG_THREAD_NO_NEW_PRIVS	(1U << 3)
#define CR_IMG_THREAD_ALL		0xfU

/**
 * struct cr_img_thread - a thread
 * @tid: in the tree's PID namespace
 * @process_id: object id of its process
 * @flags: CR_IMG_THREAD_*
 * @pdeath_signal: prctl(PR_SET_PDEATHSIG)
 * @personality: personality(2)
 * @reserved: zero
 * @clear_child_tid: set_tid_address(2)
 * @robust_list: set_robust_list(2)
 * @rseq: rseq(2) area, 0 if none is registered
 * @rseq_len: bytes of it
 * @rseq_sig: its signature
 * @timer_slack_ns: prctl(PR_SET_TIMERSLACK)
 * @default_timer_slack_ns: what prctl(PR_SET_TIMERSLACK, 0) sets it to
 * @comm: name, zero padded
 */
struct cr_img_thread {
	__s32 tid;
	__u32 process_id;
	__u32 flags;
	__u32 pdeath_signal;
	__u32 personality;
	__u32 reserved;
	__u64 clear_child_tid;
	__u64 robust_list;
	__u64 rseq;
	__u32 rseq_len;
	__u32 rseq_sig;
	__u64 timer_slack_ns;
	__u64 default_timer_slack_ns;
	__u8 comm[16];
};

/**
 * struct cr_img_cred - credentials of a thread
 * @uid: real, effective, saved and file system user id, in the user namespace
 *       of the tree's root
 * @gid: the same for the group id
 * @securebits: prctl(PR_SET_SECUREBITS)
 * @nr_groups: supplementary groups that follow
 * @cap_inheritable: capability set, bit n is capability n
 * @cap_permitted: capability set
 * @cap_effective: capability set
 * @cap_bounding: capability set
 * @cap_ambient: capability set
 * @groups: supplementary groups
 */
struct cr_img_cred {
	__u32 uid[4];
	__u32 gid[4];
	__u32 securebits;
	__u32 nr_groups;
	__u64 cap_inheritable;
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_bounding;
	__u64 cap_ambient;
	__u32 groups[];
};

/**
 * struct cr_img_sched - scheduling of a thread
 * @policy: SCHED_*
 * @nice: -20 .. 19
 * @rt_priority: 0 or 1 .. 99
 * @flags: SCHED_FLAG_* of sched_setattr(2)
 * @ioprio: ioprio_set(2)
 * @nr_cpus: number of bits in @cpus that mean something; 0 if
 *           sched_setaffinity(2) was not called
 * @slice_ns: sched_attr.sched_runtime of SCHED_OTHER and SCHED_BATCH, 0 if not
 *            set, nanoseconds
 * @cpus: affinity mask, bit n is CPU n
 */
struct cr_img_sched {
	__u32 policy;
	__s32 nice;
	__u32 rt_priority;
	__u32 flags;
	__u32 ioprio;
	__u32 nr_cpus;
	__u64 slice_ns;
	__u64 cpus[];
};

/**
 * struct cr_img_sigaction - signal dispositions of a process
 * @action: for signal n at index n - 1, as in struct kernel_sigaction
 */
struct cr_img_sigaction {
	struct {
		__u64 handler;
		__u64 flags;
		__u64 restorer;
		__u64 mask;
	} action[64];
};

/* cr_img_sigstate.flags */
#define CR_IMG_SIGSTATE_RESTORE_MASK	(1U << 0)	/* @saved_mask is to be put back */
#define CR_IMG_SIGSTATE_ALL		0x1U

/**
 * struct cr_img_sigstate - signal state of a thread
 * @blocked: mask in force
 * @saved_mask: mask that an interrupted ppoll(), sigsuspend(), … puts back
 * @altstack_sp: sigaltstack(2)
 * @altstack_size: bytes
 * @altstack_flags: SS_*
 * @flags: CR_IMG_SIGSTATE_*
 */
struct cr_img_sigstate {
	__u64 blocked;
	__u64 saved_mask;
	__u64 altstack_sp;
	__u64 altstack_size;
	__u32 altstack_flags;
	__u32 flags;
};

/**
 * struct cr_img_siginfo - one pending signal
 * @signo: 1 .. 64
 * @has_info: 0 if the signal is pending without a queued siginfo
 * @info: the kernel's part of siginfo_t
 */
struct cr_img_siginfo {
	__u32 signo;
	__u32 has_info;
	__u8 info[48];
};

/**
 * struct cr_img_rlimit - resource limits of a process
 * @limit: soft and hard limit, index RLIMIT_*; ~0 is unlimited
 */
struct cr_img_rlimit {
	struct {
		__u64 cur;
		__u64 max;
	} limit[16];
};

/**
 * struct cr_img_itimer - interval timers of a process
 * @timer: index ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF; nanoseconds until it
 *         expires (0: not armed, or SIGALRM is pending and the next interval
 *         begins when it is taken) and of the interval
 */
struct cr_img_itimer {
	struct {
		__u64 value_ns;
		__u64 interval_ns;
	} timer[3];
};

/**
 * enum cr_img_restart_kind - what an interrupted system call continues with
 * @CR_IMG_RESTART_NONE: nothing (gives -EINTR)
 * @CR_IMG_RESTART_NANOSLEEP: nanosleep(2), clock_nanosleep(2)
 * @CR_IMG_RESTART_FUTEX: futex(2) FUTEX_WAIT with a timeout
 * @CR_IMG_RESTART_POLL: poll(2)
 * @CR_IMG_RESTART_EPOLL: epoll_wait(2), epoll_pwait(2), epoll_pwait2(2)
 */
enum cr_img_restart_kind {
	CR_IMG_RESTART_NONE		= 0,
	CR_IMG_RESTART_NANOSLEEP	= 1,
	CR_IMG_RESTART_FUTEX		= 2,
	CR_IMG_RESTART_POLL		= 3,
	CR_IMG_RESTART_EPOLL		= 4,
};

/**
 * struct cr_img_restart_block - rest of an interrupted system call
 * @kind: &enum cr_img_restart_kind
 * @clockid: nanosleep: clock that @remaining_ns is measured on
 * @remaining_ns: time left at the freeze, may be negative; nanoseconds
 * @has_timeout: poll, epoll: 0 waits for ever
 * @flags: futex: FLAGS_* of the kernel's futex code
 * @val: futex: expected value; poll: number of descriptors; epoll: most events
 * @bitset: futex
 * @uaddr: futex: word; poll, epoll: array; nanosleep: where to store what is left
 * @sigmask: epoll: signal mask during the wait, if @has_sigmask
 * @epfd: epoll: descriptor
 * @has_sigmask: epoll: 1 for epoll_pwait(2) with a mask
 */
struct cr_img_restart_block {
	__u32 kind;
	__s32 clockid;
	__s64 remaining_ns;
	__u32 has_timeout;
	__u32 flags;
	__u32 val;
	__u32 bitset;
	__u64 uaddr;
	__u64 sigmask;
	__s32 epfd;
	__u32 has_sigmask;
};

/**
 * struct cr_img_x86_regs - general registers of a thread
 * @r: as struct user_regs_struct (NT_PRSTATUS), 27 words
 * @cr2: of the last fault, for the frame of a signal that is pending for it
 * @trap_nr: "
 * @error_code: "
 */
struct cr_img_x86_regs {
	__u64 r[27];
	__u64 cr2;
	__u64 trap_nr;
	__u64 error_code;
};

/**
 * struct cr_img_x86_xstate - floating point and vector registers of a thread
 * @layout: CRC32C of number, offset and size (32 bits each) of the components
 *          from 2 on that are in use, as CPUID leaf 0xd tells them; not all CPUs
 *          have the same
 * @reserved: zero
 * @data: XSAVE standard format as NT_X86_XSTATE; or the 512 bytes of FXSAVE if
 *        the CPU has no XSAVE
 */
struct cr_img_x86_xstate {
	__u32 layout;
	__u32 reserved;
	__u8 data[];
};

/* cr_img_mm.flags */
#define CR_IMG_MM_THP_DISABLE		(1U << 0)
#define CR_IMG_MM_DUMPABLE_MASK		(3U << 4)
#define CR_IMG_MM_DUMPABLE_SHIFT	4
#define CR_IMG_MM_LOCK_FUTURE		(1U << 6)	/* mlockall(MCL_FUTURE) */
#define CR_IMG_MM_LOCK_ONFAULT		(1U << 7)
#define CR_IMG_MM_MDWE			(1U << 8)	/* prctl(PR_SET_MDWE) */
#define CR_IMG_MM_MDWE_NO_INHERIT	(1U << 9)
#define CR_IMG_MM_MERGE_ANY		(1U << 10)	/* prctl(PR_SET_MEMORY_MERGE) */
#define CR_IMG_MM_BOTTOM_UP		(1U << 11)	/* mmap() searches upwards */
#define CR_IMG_MM_ALL			0xff1U

#define CR_IMG_AUXV_WORDS		64

/**
 * struct cr_img_mm - an address space
 * @flags: CR_IMG_MM_*
 * @nr_vmas: CR_IMG_VMA records that follow
 * @exe_id: file object of /proc/<pid>/exe, 0 if none
 * @vdso_crc: CRC32C of the vDSO image; code may stand in it, so it must match
 * @vdso: address of the vDSO, 0 if not mapped
 * @mmap_base: where mmap() starts looking
 * @start_code: as in /proc/<pid>/stat and prctl(PR_SET_MM)
 * @end_code: "
 * @start_data: "
 * @end_data: "
 * @start_brk: "
 * @brk: "
 * @start_stack: "
 * @arg_start: "
 * @arg_end: "
 * @env_start: "
 * @env_end: "
 * @dump_filter: coredump_filter bits as /proc/<pid>/coredump_filter shows them
 * @membarrier: MEMBARRIER_CMD_REGISTER_* that are in force
 * @auxv: saved auxiliary vector
 */
struct cr_img_mm {
	__u32 flags;
	__u32 nr_vmas;
	__u32 exe_id;
	__u32 vdso_crc;
	__u64 vdso;
	__u64 mmap_base;
	__u64 start_code;
	__u64 end_code;
	__u64 start_data;
	__u64 end_data;
	__u64 start_brk;
	__u64 brk;
	__u64 start_stack;
	__u64 arg_start;
	__u64 arg_end;
	__u64 env_start;
	__u64 env_end;
	__u32 dump_filter;
	__u32 membarrier;
	__u64 auxv[CR_IMG_AUXV_WORDS];
};

/**
 * enum cr_img_vma_kind - what stands behind a mapping
 * @CR_IMG_VMA_ANON: private anonymous
 * @CR_IMG_VMA_FILE: file @file_id, private or shared
 * @CR_IMG_VMA_SHMEM: shared anonymous, object @file_id is a CR_IMG_SHMEM
 * @CR_IMG_VMA_VVAR: the kernel's data pages of the vDSO
 * @CR_IMG_VMA_VDSO: the vDSO
 */
enum cr_img_vma_kind {
	CR_IMG_VMA_ANON			= 1,
	CR_IMG_VMA_FILE			= 2,
	CR_IMG_VMA_SHMEM		= 3,
	CR_IMG_VMA_VVAR			= 4,
	CR_IMG_VMA_VDSO			= 5,
};

/* cr_img_vma.flags: the format's own bits, not the kernel's VM_* */
#define CR_IMG_VMA_READ			(1U << 0)
#define CR_IMG_VMA_WRITE		(1U << 1)
#define CR_IMG_VMA_EXEC			(1U << 2)
#define CR_IMG_VMA_SHARED		(1U << 3)
#define CR_IMG_VMA_GROWSDOWN		(1U << 4)
#define CR_IMG_VMA_NORESERVE		(1U << 5)
#define CR_IMG_VMA_LOCKED		(1U << 6)
#define CR_IMG_VMA_LOCKONFAULT		(1U << 7)
#define CR_IMG_VMA_DONTFORK		(1U << 8)
#define CR_IMG_VMA_WIPEONFORK		(1U << 9)
#define CR_IMG_VMA_DONTDUMP		(1U << 10)
#define CR_IMG_VMA_HUGEPAGE		(1U << 11)
#define CR_IMG_VMA_NOHUGEPAGE		(1U << 12)
#define CR_IMG_VMA_MERGEABLE		(1U << 13)
#define CR_IMG_VMA_SEQ_READ		(1U << 14)
#define CR_IMG_VMA_RAND_READ		(1U << 15)
#define CR_IMG_VMA_ACCOUNT		(1U << 16)
#define CR_IMG_VMA_HAS_ANON		(1U << 17)	/* may own pages of its own */
#define CR_IMG_VMA_DROPPABLE		(1U << 18)	/* comes back empty */
#define CR_IMG_VMA_ALL			0x7ffffU

/**
 * struct cr_img_vma - one mapping
 * @start: first byte
 * @end: one past the last
 * @offset: bytes into the file (or the object) at @start
 * @kind: &enum cr_img_vma_kind
 * @flags: CR_IMG_VMA_*
 * @file_id: file or shared memory object, 0 if none
 * @name_id: string given with prctl(PR_SET_VMA_ANON_NAME), 0 if none
 * @anon_id: 0 without CR_IMG_VMA_HAS_ANON; else mappings with the same number, of
 *           whatever address space, may share pages copy on write, having been
 *           one before a fork() or a split
 * @reserved: zero
 */
struct cr_img_vma {
	__u64 start;
	__u64 end;
	__u64 offset;
	__u32 kind;
	__u32 flags;
	__u32 file_id;
	__u32 name_id;
	__u32 anon_id;
	__u32 reserved;
};

/**
 * struct cr_img_shmem - shared anonymous memory
 * @size: bytes
 * @flags: CR_IMG_VMA_NORESERVE or 0
 * @reserved: zero
 */
struct cr_img_shmem {
	__u64 size;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct cr_img_fs - root, working directory, umask
 * @root_id: path string; "/" when it is the container's root
 * @cwd_id: path string
 * @umask: umask(2)
 * @reserved: zero
 */
struct cr_img_fs {
	__u32 root_id;
	__u32 cwd_id;
	__u32 umask;
	__u32 reserved;
};

/**
 * struct cr_img_files - a descriptor table
 * @nr_fds: CR_IMG_FD records that follow
 * @reserved: zero
 */
struct cr_img_files {
	__u32 nr_fds;
	__u32 reserved;
};

/**
 * struct cr_img_fd - one descriptor
 * @fd: its number
 * @file_id: the open file
 * @cloexec: 1 if FD_CLOEXEC
 * @reserved: zero
 */
struct cr_img_fd {
	__u32 fd;
	__u32 file_id;
	__u32 cloexec;
	__u32 reserved;
};

/**
 * struct cr_img_file - an open file ("open file description")
 * @kind: CR_IMG_FILE_*: type of the record of the same id that follows
 * @flags: O_* as fcntl(F_GETFL) returns them
 * @pos: file offset
 */
struct cr_img_file {
	__u32 kind;
	__u32 flags;
	__u64 pos;
};

/**
 * struct cr_img_file_path - a file that is found by its name
 * @path_id: path string, from the container's root
 * @mode: st_mode; the type must be the same at restart
 * @rdev: st_rdev of a device, else 0; must be the same at restart
 * @reserved: zero
 * @size: st_size
 * @mtime_sec: st_mtim; with @size and @mtime_nsec checked at restart for files
 *             that are mapped executable, not for others
 * @mtime_nsec: "
 * @dev: st_dev, to tell what changed
 * @ino: st_ino, to tell what changed
 */
struct cr_img_file_path {
	__u32 path_id;
	__u32 mode;
	__u32 rdev;
	__u32 reserved;
	__u64 size;
	__s64 mtime_sec;
	__u64 mtime_nsec;
	__u64 dev;
	__u64 ino;
};

/**
 * struct cr_img_file_pipe - an end of a pipe
 * @pipe_id: the pipe; which end it is follows from the O_ACCMODE of the file
 * @reserved: zero
 */
struct cr_img_file_pipe {
	__u32 pipe_id;
	__u32 reserved;
};

/**
 * struct cr_img_pipe - a pipe
 * @nr_slots: size of the ring in buffers (fcntl(F_GETPIPE_SZ) / page size)
 * @nr_bufs: CR_IMG_PIPE_DATA records that follow
 * @readers: open files that can read it; with none, its readers are gone
 * @writers: open files that can write to it
 * @packets: bit n set: buffer n is a packet of its own (O_DIRECT), for the
 *           first 1024 buffers; no other can be one
 */
struct cr_img_pipe {
	__u32 nr_slots;
	__u32 nr_bufs;
	__u32 readers;
	__u32 writers;
	__u64 packets[16];
};

/* cr_img_file_eventfd.flags */
#define CR_IMG_EVENTFD_SEMAPHORE	(1U << 0)

/**
 * struct cr_img_file_eventfd - an eventfd
 * @count: its counter
 * @flags: CR_IMG_EVENTFD_*
 * @reserved: zero
 */
struct cr_img_file_eventfd {
	__u64 count;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct cr_img_file_epoll - an epoll instance
 * @nr_items: CR_IMG_EPOLL_ITEM records that follow
 * @reserved: zero
 */
struct cr_img_file_epoll {
	__u32 nr_items;
	__u32 reserved;
};

/* cr_img_epoll_item.flags */
#define CR_IMG_EPOLL_READY		(1U << 0)

/**
 * struct cr_img_epoll_item - one entry of an interest list
 * @fd: number it was added with
 * @file_id: the open file it was added with
 * @events: EPOLL*, as the kernel keeps them: an entry with EPOLLONESHOT that
 *          has fired has no event left
 * @flags: CR_IMG_EPOLL_READY: it may have an event to report; matters for
 *         EPOLLET, which must not report the same event again
 * @data: epoll_data
 */
struct cr_img_epoll_item {
	__u32 fd;
	__u32 file_id;
	__u32 events;
	__u32 flags;
	__u64 data;
};

/**
 * enum cr_img_socket_state - what a socket is brought back as
 * @CR_IMG_SOCKET_UNCONNECTED: created, options set, bound if it was
 * @CR_IMG_SOCKET_LISTEN: the same, listening
 * @CR_IMG_SOCKET_RESET: has a peer outside the tree, or data of it that was not
 *                       read; comes back as reset by the peer
 * @CR_IMG_SOCKET_CLOSED: had a connection that was over, nothing left to read
 */
enum cr_img_socket_state {
	CR_IMG_SOCKET_UNCONNECTED	= 1,
	CR_IMG_SOCKET_LISTEN		= 2,
	CR_IMG_SOCKET_RESET		= 3,
	CR_IMG_SOCKET_CLOSED		= 4,
};

/* cr_img_file_socket.flags */
#define CR_IMG_SOCKET_REUSEADDR		(1U << 0)
#define CR_IMG_SOCKET_REUSEPORT		(1U << 1)
#define CR_IMG_SOCKET_KEEPALIVE		(1U << 2)
#define CR_IMG_SOCKET_BROADCAST		(1U << 3)
#define CR_IMG_SOCKET_OOBINLINE		(1U << 4)
#define CR_IMG_SOCKET_LINGER		(1U << 5)
#define CR_IMG_SOCKET_V6ONLY		(1U << 6)
#define CR_IMG_SOCKET_NODELAY		(1U << 7)
#define CR_IMG_SOCKET_SNDBUF_LOCK	(1U << 8)
#define CR_IMG_SOCKET_RCVBUF_LOCK	(1U << 9)
#define CR_IMG_SOCKET_BOUND_ADDR	(1U << 10)
#define CR_IMG_SOCKET_BOUND_PORT	(1U << 11)
#define CR_IMG_SOCKET_FREEBIND		(1U << 12)
#define CR_IMG_SOCKET_TRANSPARENT	(1U << 13)
#define CR_IMG_SOCKET_CORK		(1U << 14)
#define CR_IMG_SOCKET_NO_PORT		(1U << 15)	/* IP_BIND_ADDRESS_NO_PORT */
#define CR_IMG_SOCKET_PASSCRED		(1U << 16)
#define CR_IMG_SOCKET_ALL		0x1ffffU

/**
 * struct cr_img_file_socket - a socket
 * @family: AF_INET, AF_INET6 or AF_UNIX
 * @type: SOCK_*
 * @protocol: IPPROTO_TCP; 0 for AF_UNIX
 * @state: &enum cr_img_socket_state
 * @ss_state: SS_UNCONNECTED, ... of <linux/net.h>; what connect() says
 * @shutdown: 1: no more reading, 2: no more writing
 * @err: SO_ERROR, not yet told
 * @flags: CR_IMG_SOCKET_*
 * @backlog: of listen()
 * @nr_pending: connections in the accept queue, lost at restart
 * @sndbuf: SO_SNDBUF as the kernel keeps it (twice what was set)
 * @rcvbuf: SO_RCVBUF as the kernel keeps it (twice what was set)
 * @rcvlowat: SO_RCVLOWAT
 * @priority: SO_PRIORITY
 * @mark: SO_MARK
 * @linger_sec: seconds of SO_LINGER
 * @rcvtimeo_ns: SO_RCVTIMEO, nanoseconds, 0 is none
 * @sndtimeo_ns: SO_SNDTIMEO, nanoseconds, 0 is none
 * @keepidle: TCP_KEEPIDLE, seconds; here and below 0 is the system's default
 * @keepintvl: TCP_KEEPINTVL, seconds
 * @keepcnt: TCP_KEEPCNT
 * @user_timeout_ms: TCP_USER_TIMEOUT, milliseconds
 * @defer_accept: TCP_DEFER_ACCEPT, seconds
 * @notsent_lowat: TCP_NOTSENT_LOWAT
 * @maxseg: TCP_MAXSEG
 * @syncnt: TCP_SYNCNT
 * @tos: IP_TOS without the ECN bits
 * @tclass: IPV6_TCLASS without the ECN bits
 * @local: local address, IPv4 in the first four bytes; network order
 * @remote: address of the peer
 * @local_port: host order
 * @remote_port: host order
 * @name_id: AF_UNIX: string with the peer's or own name, for messages, 0 if none
 * @device_id: string with the name of the interface it is bound to, 0 if none
 * @reserved: zero
 */
struct cr_img_file_socket {
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 state;
	__u32 ss_state;
	__u32 shutdown;
	__u32 err;
	__u32 flags;
	__u32 backlog;
	__u32 nr_pending;
	__u32 sndbuf;
	__u32 rcvbuf;
	__u32 rcvlowat;
	__u32 priority;
	__u32 mark;
	__u32 linger_sec;
	__u64 rcvtimeo_ns;
	__u64 sndtimeo_ns;
	__u32 keepidle;
	__u32 keepintvl;
	__u32 keepcnt;
	__u32 user_timeout_ms;
	__u32 defer_accept;
	__u32 notsent_lowat;
	__u32 maxseg;
	__u32 syncnt;
	__u32 tos;
	__u32 tclass;
	__u8 local[16];
	__u8 remote[16];
	__u32 local_port;
	__u32 remote_port;
	__u32 name_id;
	__u32 device_id;
	__u64 reserved;
};

/**
 * struct cr_img_pages - a run of pages; @nr_pages * page_size bytes follow
 * @start: address (of an address space) or offset (of shared memory) in bytes
 * @nr_pages: 1 .. 512
 * @reserved: zero
 * @hash: XXH64 of the pages, with seed 0
 */
struct cr_img_pages {
	__u64 start;
	__u32 nr_pages;
	__u32 reserved;
	__u64 hash;
};

/**
 * struct cr_img_pages_ref - pages that another address space has as well
 * @start: address in bytes, the same in both
 * @nr_pages: 1 .. 512
 * @from_id: address space that stands before this one in the image; what it has
 *           at @start is shared copy on write; what it does not have there, as
 *           pages that are all zero, is not had here either
 */
struct cr_img_pages_ref {
	__u64 start;
	__u32 nr_pages;
	__u32 from_id;
};

/**
 * struct cr_img_end - the trailer; an image without it is not complete
 * @nr_pages: pages in the image, each counted once
 * @total_bytes: of the image, with this record
 * @uuid: that of the header
 */
struct cr_img_end {
	__u64 nr_pages;
	__u64 total_bytes;
	__u8 uuid[16];
};

#endif /* _UAPI_LINUX_CHECKPOINT_H */
