/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _X86_CHECKPOINT_INTERNAL_H
#define _X86_CHECKPOINT_INTERNAL_H

#include <linux/regset.h>

#include "../../../checkpoint/objects.h"

/* The regset of 64-bit tasks with this note type; NULL if this CPU has none. */
const struct user_regset *cr_x86_regset(unsigned int note);

/* Puts the floating point and vector registers into @task, which sleeps. */
int cr_x86_xstate_restore(struct cr_ctx *ctx, struct task_struct *task,
			  const struct cr_rec *rec);

#endif /* _X86_CHECKPOINT_INTERNAL_H */
