/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM checkpoint

#if !defined(_TRACE_CHECKPOINT_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_CHECKPOINT_H

#include <linux/tracepoint.h>

/**
 * checkpoint_phase - called at the end of each phase of checkpoint(), restart()
 * @pid: root of the tree, in the caller's PID namespace; 0 if not known yet
 * @phase: 0 prepare, 1 freeze, 2 dump, 3 thaw, 4 flush of checkpoint();
 *	   5 read, 6 build, 7 fill, 8 finish of restart()
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
				   { 2, "dump" }, { 3, "thaw" }, { 4, "flush" },
				   { 5, "read" }, { 6, "build" },
				   { 7, "fill" }, { 8, "finish" }),
		  __entry->ns)
);

/**
 * checkpoint_object - called before an object is dumped, while frozen
 * @id: its object id in the image
 * @name: its kind, as in the table
 */
TRACE_EVENT(checkpoint_object,
	TP_PROTO(u32 id, const char *name),
	TP_ARGS(id, name),
	TP_STRUCT__entry(
		__field(u32, id)
		__string(name, name)
	),
	TP_fast_assign(
		__entry->id = id;
		__assign_str(name);
	),
	TP_printk("id=%u kind=\"%s\"", __entry->id, __get_str(name))
);

/**
 * restart_object - called before a record is restored, in the restored task
 * @id: object id in the image that it belongs to
 * @name: its kind, as in the table
 * @tid: thread id the task had
 */
TRACE_EVENT(restart_object,
	TP_PROTO(u32 id, const char *name, pid_t tid),
	TP_ARGS(id, name, tid),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(pid_t, tid)
		__string(name, name)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->tid = tid;
		__assign_str(name);
	),
	TP_printk("id=%u kind=\"%s\" tid=%d", __entry->id, __get_str(name),
		  __entry->tid)
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
