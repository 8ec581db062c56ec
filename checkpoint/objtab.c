// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: THE table. One row per kind of record; what has no row
 * is not part of the format. See struct cr_obj_ops for what a row says, and
 * Documentation/checkpoint/objects.rst for how to add one.
 */
#include <linux/array_size.h>
#include <linux/nospec.h>

#include "objects.h"

#define FIXED(type)	.min_len = sizeof(type), .max_len = sizeof(type)

static const struct cr_obj_ops cr_obj_table[] = {
	[CR_IMG_STRING] = {
		.name		= "string",
		.min_len	= 1,
		.max_len	= CR_STRING_MAX,
		.level		= CR_LVL_SHARED,
		.check		= cr_string_check,
	},

	/* Tasks. They are dumped, and so restored within a stage, in this order. */
	[CR_IMG_PROCESS] = {
		.name		= "process",
		FIXED(struct cr_img_process),
		.level		= CR_LVL_PROCESS,
		.stage		= CR_STAGE_IDENT,
		.dump		= cr_process_dump,
		.check		= cr_process_check,
		.restore	= cr_process_restore,
	},
	[CR_IMG_THREAD] = {
		.name		= "thread",
		FIXED(struct cr_img_thread),
		.level		= CR_LVL_THREAD,
		.stage		= CR_STAGE_STATE,
		.dump		= cr_thread_dump,
		.check		= cr_thread_check,
		.restore	= cr_thread_restore,
	},
	[CR_IMG_CRED] = {
		.name		= "credentials",
		.min_len	= sizeof(struct cr_img_cred),
		.max_len	= sizeof(struct cr_img_cred) + CR_GROUPS_MAX * sizeof(u32),
		.level		= CR_LVL_THREAD,
		.required	= true,
		.of_zombies	= true,
		.stage		= CR_STAGE_CRED,
		.dump		= cr_cred_dump,
		.check		= cr_cred_check,
		.restore	= cr_cred_restore,
	},
	[CR_IMG_SCHED] = {
		.name		= "scheduling",
		.min_len	= sizeof(struct cr_img_sched),
		.max_len	= sizeof(struct cr_img_sched) + CR_CPUS_MAX / BITS_PER_BYTE,
		.level		= CR_LVL_THREAD,
		.required	= true,
		.stage		= CR_STAGE_STATE,
		.dump		= cr_sched_dump,
		.check		= cr_sched_check,
		.restore	= cr_sched_restore,
	},
	[CR_IMG_SIGACTION] = {
		.name		= "signal handlers",
		FIXED(struct cr_img_sigaction),
		.level		= CR_LVL_PROCESS,
		.required	= true,
		.stage		= CR_STAGE_FINAL,
		.dump		= cr_sigaction_dump,
		.check		= cr_sigaction_check,
		.restore	= cr_sigaction_restore,
	},
	[CR_IMG_SIGSTATE] = {
		.name		= "signal mask",
		FIXED(struct cr_img_sigstate),
		.level		= CR_LVL_THREAD,
		.required	= true,
		.stage		= CR_STAGE_FINAL,
		.dump		= cr_sigstate_dump,
		.check		= cr_sigstate_check,
		.restore	= cr_sigstate_restore,
	},
	[CR_IMG_SIGINFO_SHARED] = {
		.name		= "pending signal of a process",
		FIXED(struct cr_img_siginfo),
		.level		= CR_LVL_PROCESS,
		.many		= true,
		.stage		= CR_STAGE_FINAL,
		.dump		= cr_siginfo_shared_dump,
		.check		= cr_siginfo_check,
		.restore	= cr_siginfo_shared_restore,
	},
	[CR_IMG_SIGINFO] = {
		.name		= "pending signal of a thread",
		FIXED(struct cr_img_siginfo),
		.level		= CR_LVL_THREAD,
		.many		= true,
		.stage		= CR_STAGE_FINAL,
		.dump		= cr_siginfo_dump,
		.check		= cr_siginfo_check,
		.restore	= cr_siginfo_restore,
	},
	[CR_IMG_RLIMIT] = {
		.name		= "resource limits",
		FIXED(struct cr_img_rlimit),
		.level		= CR_LVL_PROCESS,
		.required	= true,
		.stage		= CR_STAGE_FINAL,
		.dump		= cr_rlimit_dump,
		.check		= cr_rlimit_check,
		.restore	= cr_rlimit_restore,
	},
	[CR_IMG_ITIMER] = {
		.name		= "interval timers",
		FIXED(struct cr_img_itimer),
		.level		= CR_LVL_PROCESS,
		.required	= true,
		.stage		= CR_STAGE_FINAL,
		/* Written together with CR_IMG_SIGINFO_SHARED. */
		.check		= cr_itimer_check,
		.restore	= cr_itimer_restore,
	},
	[CR_IMG_RESTART_BLOCK] = {
		.name		= "interrupted system call",
		FIXED(struct cr_img_restart_block),
		.level		= CR_LVL_THREAD,
		.stage		= CR_STAGE_FINAL,
		.dump		= cr_restart_block_dump,
		.check		= cr_restart_block_check,
		.restore	= cr_restart_block_restore,
	},

	/* x86: put into the waiting task by the caller, as ptrace does. */
	[CR_IMG_X86_REGS] = {
		.name		= "registers",
		FIXED(struct cr_img_x86_regs),
		.level		= CR_LVL_THREAD,
		.required	= true,
		.dump		= cr_arch_regs_dump,
		.check		= cr_arch_regs_check,
	},
	[CR_IMG_X86_XSTATE] = {
		.name		= "extended registers",
		.min_len	= sizeof(struct cr_img_x86_xstate) + 512,
		.max_len	= CR_XSTATE_MAX,
		.level		= CR_LVL_THREAD,
		.required	= true,
		.dump		= cr_arch_xstate_dump,
		.check		= cr_arch_xstate_check,
	},

	/* Memory. */
	[CR_IMG_MM] = {
		.name		= "address space",
		FIXED(struct cr_img_mm),
		.level		= CR_LVL_SHARED,
		.dump		= cr_mm_dump,
		.check		= cr_mm_check,
		.restore	= cr_mm_restore,
		.free		= cr_mm_free,
	},
	[CR_IMG_VMA] = {
		.name		= "mapping",
		FIXED(struct cr_img_vma),
		.level		= CR_LVL_PART,
		.head		= CR_IMG_MM,
		.check		= cr_vma_check,
	},
	[CR_IMG_SHMEM] = {
		.name		= "shared memory",
		FIXED(struct cr_img_shmem),
		.level		= CR_LVL_SHARED,
		.dump		= cr_shmem_dump,
		.check		= cr_shmem_check,
		.restore	= cr_shmem_restore,
		.free		= cr_shmem_free,
	},

	/* Files. */
	[CR_IMG_FS] = {
		.name		= "root and working directory",
		FIXED(struct cr_img_fs),
		.level		= CR_LVL_SHARED,
		.dump		= cr_fs_dump,
		.check		= cr_fs_check,
		.restore	= cr_fs_restore,
	},
	[CR_IMG_FILES] = {
		.name		= "descriptor table",
		FIXED(struct cr_img_files),
		.level		= CR_LVL_SHARED,
		.dump		= cr_files_dump,
		.check		= cr_files_check,
		.restore	= cr_files_restore,
	},
	[CR_IMG_FD] = {
		.name		= "descriptor",
		FIXED(struct cr_img_fd),
		.level		= CR_LVL_PART,
		.head		= CR_IMG_FILES,
		.check		= cr_fd_check,
	},
	[CR_IMG_FILE] = {
		.name		= "open file",
		FIXED(struct cr_img_file),
		.level		= CR_LVL_SHARED,
		.dump		= cr_file_dump,
		.check		= cr_file_check,
		.restore	= cr_file_restore,
		.free		= cr_file_free,
	},
	[CR_IMG_FILE_PATH] = {
		.name		= "file",
		FIXED(struct cr_img_file_path),
		.level		= CR_LVL_FILE,
		.match		= cr_path_match,
		.dump		= cr_path_dump,
		.check		= cr_path_check,
		.restore	= cr_path_restore,
	},
	[CR_IMG_FILE_PIPE] = {
		.name		= "end of a pipe",
		FIXED(struct cr_img_file_pipe),
		.level		= CR_LVL_FILE,
		.match		= cr_pipe_end_match,
		.dump		= cr_pipe_end_dump,
		.check		= cr_pipe_end_check,
		.restore	= cr_pipe_end_restore,
	},
	[CR_IMG_FILE_EVENTFD] = {
		.name		= "eventfd",
		FIXED(struct cr_img_file_eventfd),
		.level		= CR_LVL_FILE,
		.match		= cr_eventfd_match,
		.dump		= cr_eventfd_dump,
		.check		= cr_eventfd_check,
		.restore	= cr_eventfd_restore,
	},
	[CR_IMG_FILE_EPOLL] = {
		.name		= "epoll",
		FIXED(struct cr_img_file_epoll),
		.level		= CR_LVL_FILE,
		.match		= cr_epoll_match,
		.dump		= cr_epoll_dump,
		.check		= cr_epoll_check,
		.restore	= cr_epoll_restore,
		.late		= cr_epoll_late,
	},
	[CR_IMG_FILE_SOCKET] = {
		.name		= "socket",
		FIXED(struct cr_img_file_socket),
		.level		= CR_LVL_FILE,
		.match		= cr_socket_match,
		.dump		= cr_socket_dump,
		.check		= cr_socket_check,
		.restore	= cr_socket_restore,
	},
	[CR_IMG_PIPE] = {
		.name		= "pipe",
		FIXED(struct cr_img_pipe),
		.level		= CR_LVL_SHARED,
		.dump		= cr_pipe_dump,
		.check		= cr_pipe_check,
		.restore	= cr_pipe_restore,
		.free		= cr_pipe_free,
	},
	[CR_IMG_PIPE_DATA] = {
		.name		= "pipe buffer",
		.min_len	= 1,
		.max_len	= CR_PIPE_BUF_MAX,
		.level		= CR_LVL_PART,
		.head		= CR_IMG_PIPE,
		.check		= cr_pipe_data_check,
	},
	[CR_IMG_EPOLL_ITEM] = {
		.name		= "epoll entry",
		FIXED(struct cr_img_epoll_item),
		.level		= CR_LVL_PART,
		.head		= CR_IMG_FILE,
		.check		= cr_epoll_item_check,
	},
};

const struct cr_obj_ops *cr_obj_ops(u32 type)
{
	const struct cr_obj_ops *ops;

	if (type >= ARRAY_SIZE(cr_obj_table))
		return NULL;
	ops = &cr_obj_table[array_index_nospec(type, ARRAY_SIZE(cr_obj_table))];
	return ops->name ? ops : NULL;
}

#include "tests/objtab-kunit.h"
