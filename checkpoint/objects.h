/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint/restart: the functions that the rows of the table name, by the
 * file that defines them.
 */
#ifndef _CHECKPOINT_OBJECTS_H
#define _CHECKPOINT_OBJECTS_H

#include "internal.h"

#define CR_DUMP(name)	 int name(struct cr_ctx *ctx, void *obj, u32 id)
#define CR_CHECK(name)	 int name(struct cr_ctx *ctx, const struct cr_rec *rec)
#define CR_RESTORE(name) int name(struct cr_ctx *ctx, struct cr_task *t, \
				  const struct cr_rec *rec)

/* image.c */
CR_CHECK(cr_string_check);

/* task.c */
CR_DUMP(cr_process_dump);
CR_CHECK(cr_process_check);
CR_RESTORE(cr_process_restore);
CR_DUMP(cr_thread_dump);
CR_CHECK(cr_thread_check);
CR_RESTORE(cr_thread_restore);

/* cred.c */
CR_DUMP(cr_cred_dump);
CR_CHECK(cr_cred_check);
CR_RESTORE(cr_cred_restore);

/* sched.c */
CR_DUMP(cr_sched_dump);
CR_CHECK(cr_sched_check);
CR_RESTORE(cr_sched_restore);
CR_DUMP(cr_rlimit_dump);
CR_CHECK(cr_rlimit_check);
CR_RESTORE(cr_rlimit_restore);

/* signal.c */
CR_DUMP(cr_sigaction_dump);
CR_CHECK(cr_sigaction_check);
CR_RESTORE(cr_sigaction_restore);
CR_DUMP(cr_sigstate_dump);
CR_CHECK(cr_sigstate_check);
CR_RESTORE(cr_sigstate_restore);
CR_DUMP(cr_siginfo_shared_dump);
CR_DUMP(cr_siginfo_dump);
CR_CHECK(cr_siginfo_check);
CR_RESTORE(cr_siginfo_shared_restore);
CR_RESTORE(cr_siginfo_restore);

/* timer.c */
CR_CHECK(cr_itimer_check);
CR_RESTORE(cr_itimer_restore);
CR_DUMP(cr_restart_block_dump);
CR_CHECK(cr_restart_block_check);
CR_RESTORE(cr_restart_block_restore);

/* arch/x86/checkpoint/regs.c, xstate.c */
CR_DUMP(cr_arch_regs_dump);
CR_CHECK(cr_arch_regs_check);
CR_DUMP(cr_arch_xstate_dump);
CR_CHECK(cr_arch_xstate_check);

/* mm.c */
CR_DUMP(cr_mm_dump);
CR_CHECK(cr_mm_check);
CR_RESTORE(cr_mm_restore);
void cr_mm_free(void *obj);
CR_CHECK(cr_vma_check);

/* shmem.c */
CR_DUMP(cr_shmem_dump);
CR_CHECK(cr_shmem_check);
CR_RESTORE(cr_shmem_restore);
void cr_shmem_free(void *obj);

/* fs.c */
CR_DUMP(cr_fs_dump);
CR_CHECK(cr_fs_check);
CR_RESTORE(cr_fs_restore);

/* files.c */
CR_DUMP(cr_files_dump);
CR_CHECK(cr_files_check);
CR_RESTORE(cr_files_restore);
CR_CHECK(cr_fd_check);
CR_DUMP(cr_file_dump);
CR_CHECK(cr_file_check);
CR_RESTORE(cr_file_restore);
void cr_file_free(void *obj);

/* path.c */
bool cr_path_match(struct file *file);
CR_DUMP(cr_path_dump);
CR_CHECK(cr_path_check);
CR_RESTORE(cr_path_restore);

/* pipe.c */
bool cr_pipe_end_match(struct file *file);
CR_DUMP(cr_pipe_end_dump);
CR_CHECK(cr_pipe_end_check);
CR_RESTORE(cr_pipe_end_restore);
CR_DUMP(cr_pipe_dump);
CR_CHECK(cr_pipe_check);
CR_RESTORE(cr_pipe_restore);
void cr_pipe_free(void *obj);
CR_CHECK(cr_pipe_data_check);

/* eventfd.c */
bool cr_eventfd_match(struct file *file);
CR_DUMP(cr_eventfd_dump);
CR_CHECK(cr_eventfd_check);
CR_RESTORE(cr_eventfd_restore);

/* epoll.c */
bool cr_epoll_match(struct file *file);
CR_DUMP(cr_epoll_dump);
CR_CHECK(cr_epoll_check);
CR_RESTORE(cr_epoll_restore);
CR_RESTORE(cr_epoll_late);
CR_CHECK(cr_epoll_item_check);

/* socket.c */
bool cr_socket_match(struct file *file);
CR_DUMP(cr_socket_dump);
CR_CHECK(cr_socket_check);
CR_RESTORE(cr_socket_restore);

#endif /* _CHECKPOINT_OBJECTS_H */
