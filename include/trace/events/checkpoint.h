/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM checkpoint

#if !defined(_TRACE_CHECKPOINT_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_CHECKPOINT_H

#include <linux/tracepoint.h>

/**
 * checkpoint_phase - called at the end of each phase of checkpoint()
 * @pid: root of the tree, in the caller's PID namespace
 * @phase: 0 prepare, 1 freeze, 2 dump, 3 thaw, 4 flush
 * @ns: how long it took, nanoseconds
 */
TRACE_EVENT(checkpoint_phase,
	TP_PROTO(pid_t pid, int phase, u64 ns),
	TP_ARGS(pid, phase, ns),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(int, phase)
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->phase = phase;
		__entry->ns = ns;
	),
	TP_printk("pid=%d phase=%s ns=%llu", __entry->pid,
		  __print_symbolic(__entry->phase,
				   { 0, "prepare" }, { 1, "freeze" },
				   { 2, "dump" }, { 3, "thaw" }, { 4, "flush" }),
		  __entry->ns)
);

/**
 * checkpoint_error - called when a checkpoint or a restart fails
 * @err: negative errno
 * @reason: in words
 */
TRACE_EVENT(checkpoint_error,
	TP_PROTO(int err, const char *reason),
	TP_ARGS(err, reason),
	TP_STRUCT__entry(
		__field(int, err)
		__string(reason, reason)
	),
	TP_fast_assign(
		__entry->err = err;
		__assign_str(reason);
	),
	TP_printk("err=%d reason=\"%s\"", __entry->err, __get_str(reason))
);

#endif /* _TRACE_CHECKPOINT_H */

#include <trace/define_trace.h>
