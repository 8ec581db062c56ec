/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint/restart: types and prototypes private to checkpoint/ and
 * arch/x86/checkpoint/.
 */
#ifndef _CHECKPOINT_INTERNAL_H
#define _CHECKPOINT_INTERNAL_H

#include <linux/atomic.h>
#include <linux/checkpoint.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/path.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/task_work.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <uapi/linux/checkpoint.h>

#include "hbuf.h"
#include "limits.h"

struct anon_vma;
struct bio_vec;
struct cr_ctx;
struct cr_past;
struct cr_rollback;
struct cr_task;
struct cr_verify;

/* ---- image.c: records ---- */

/*
 * Room for one record with @len bytes of zeroed payload; returns the payload,
 * or NULL with the error in ctx->err. cr_rec_put() commits the first @len
 * bytes of it (cr_rec_drop() gives all of it back). Records nest like hbuf
 * rooms: the outer one comes first in the image and cannot shrink any more
 * once an inner one was committed. Checksums are added when it is written.
 */
void *cr_rec_get(struct cr_ctx *ctx, u32 type, u32 id, size_t len);
void cr_rec_put(struct cr_ctx *ctx, void *payload, size_t len);
void cr_rec_drop(struct cr_ctx *ctx, void *payload);

u32 cr_crc(u32 seed, const void *p, size_t n);
u32 cr_rec_crc(const struct cr_img_rec *rec, const void *payload);

/* get + memcpy + put, for a record that is ready elsewhere. 0 or -errno. */
int cr_rec_add(struct cr_ctx *ctx, u32 type, u32 id, const void *data, size_t len);

/* Writes a string record, returns its object id, or 0 with ctx->err set. */
u32 cr_string_add(struct cr_ctx *ctx, const char *s, size_t len);

/* Path of @path seen from the container's root as a string object; id or 0. */
u32 cr_path_add(struct cr_ctx *ctx, const struct path *path);

/* The next record, in image order, of a checkpoint that is in memory. */
struct cr_hbuf_pos {
	struct cr_hbuf_chunk *chunk;
	u32 offset;
};

struct cr_img_rec *cr_rec_next(struct cr_hbuf *hb, struct cr_hbuf_pos *pos);

/**
 * struct cr_rec - a record of the image that is being restarted
 * @type: CR_IMG_*; has a row in the table
 * @id: object id, 1 .. nr_objects
 * @len: bytes of @data; within the bounds of the row
 * @index: position among all records
 * @data: payload, aligned to 8
 */
struct cr_rec {
	u32 type;
	u32 id;
	u32 len;
	u32 index;
	const void *data;
};

/* Head record of object @id if its type is @type; else NULL. */
const struct cr_rec *cr_obj_head(struct cr_ctx *ctx, u32 id, u32 type);

/* The record after @rec if it belongs to the same object; else NULL. */
const struct cr_rec *cr_rec_sibling(struct cr_ctx *ctx, const struct cr_rec *rec);

#define cr_for_each_part(ctx, rec, head) \
	for ((rec) = cr_rec_sibling(ctx, head); (rec); (rec) = cr_rec_sibling(ctx, rec))

/*
 * For check functions: @id must be an object of @type (or, @optional, 0).
 * Returns 0, or -EINVAL with the reason told.
 */
int cr_check_ref(struct cr_ctx *ctx, const struct cr_rec *rec, u32 id, u32 type,
		 bool optional);

/* A checked string object as a NUL-terminated copy for kfree(); or ERR_PTR. */
char *cr_string_dup(struct cr_ctx *ctx, u32 id);

/* ---- objtab.c: the table ---- */

/**
 * enum cr_level - what a kind of record belongs to
 * @CR_LVL_PROCESS: once per thread group; dump() gets the struct cr_task of its
 *                  leader; restore() runs in the restored leader
 * @CR_LVL_THREAD: once per thread; dump() gets its struct cr_task; restore()
 *                 runs in the restored thread
 * @CR_LVL_SHARED: head of an object that others refer to by id; dump() gets the
 *                 object; restore() makes it and calls cr_obj_set()
 * @CR_LVL_FILE: kind-specific part of an open file; dump() gets struct file
 * @CR_LVL_PART: written and read by its object's head, never by the core
 */
enum cr_level {
	CR_LVL_PROCESS = 1,
	CR_LVL_THREAD,
	CR_LVL_SHARED,
	CR_LVL_FILE,
	CR_LVL_PART,
};

/**
 * enum cr_stage - when restore() of a PROCESS or THREAD row runs
 * @CR_STAGE_CRED: first: t->cred is prepared and checked, not yet in force
 * @CR_STAGE_IDENT: pids exist: sessions, process groups
 * @CR_STAGE_MM: the address space (leader only)
 * @CR_STAGE_FILES: fs_struct, descriptors (leader only)
 * @CR_STAGE_STATE: anything else; threads exist, memory is not filled yet
 * @CR_STAGE_FINAL: memory is filled; nothing that can be seen from outside the
 *                  tree; last is what cannot be taken back or lowers privilege
 *
 * Within a stage rows run in the order of the records, which is that of the table in
 * an image that checkpoint() has made.
 */
enum cr_stage {
	CR_STAGE_CRED = 1,
	CR_STAGE_IDENT,
	CR_STAGE_MM,
	CR_STAGE_FILES,
	CR_STAGE_STATE,
	CR_STAGE_FINAL,
};

/**
 * struct cr_obj_ops - one row of the table: one kind of record
 * @name: for messages: "pipe", "mapping"
 * @min_len: least payload, bytes; the core refuses less before check()
 * @max_len: largest payload, bytes
 * @level: &enum cr_level
 * @stage: &enum cr_stage, PROCESS and THREAD rows only
 * @head: PART rows only: type of the head that they follow
 * @required: PROCESS and THREAD rows: every object has it, but not zombies
 * @of_zombies: THREAD rows: zombies have it, too
 * @many: PROCESS and THREAD rows: an object may have several
 * @match: FILE rows only: is this open file of this kind? Must not sleep.
 * @dump: while frozen: writes the record(s). For PROCESS, THREAD and FILE rows
 *        @id is that of the object they are a part of, for SHARED rows a new id.
 *        Must not do I/O. Returns 0 or -errno, with the reason told (cr_fail()).
 *        NULL for rows that another row writes.
 * @check: before anything is created: is the payload sane, do references
 *         resolve? Looks only at the image. Returns 0 or -errno (cr_fail()).
 * @restore: makes it. @t is the task in whose context it runs. 0 or -errno.
 * @late: at the end of CR_STAGE_FINAL: called for every record of this kind in
 *        every restored leader, for what needs all tasks' files to exist
 *        (epoll). May be NULL.
 * @free: SHARED and FILE rows: drops the reference taken by cr_obj_set()
 */
struct cr_obj_ops {
	const char *name;
	u32 min_len;
	u32 max_len;
	u8 level;
	u8 stage;
	u32 head;
	bool required;
	bool of_zombies;
	bool many;
	bool (*match)(struct file *file);
	int (*dump)(struct cr_ctx *ctx, void *obj, u32 id);
	int (*check)(struct cr_ctx *ctx, const struct cr_rec *rec);
	int (*restore)(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec);
	int (*late)(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec);
	void (*free)(void *obj);
};

/* Types are below this; for loops over the table. */
#define CR_NR_TYPES	CR_IMG_PAGES

/* Row of @type, or NULL if there is none. Safe for any @type (nospec). */
const struct cr_obj_ops *cr_obj_ops(u32 type);

/* What the architecture puts into @t while it waits; all of it was checked. */
int cr_arch_task_restore(struct cr_ctx *ctx, struct cr_task *t);

/* Current is about to be restored: drop what it was born with from its creator. */
void cr_arch_task_begin(void);

/* What a task has from its parent and no image can have: its name, or NULL. */
const char *cr_arch_inherited(struct task_struct *task);

/* Refuse, by name, what the architecture cannot dump of @t yet (LDT, …). */
int cr_arch_task_refuse(struct cr_ctx *ctx, struct cr_task *t);

/* Current is about to be parked, on its way to user mode. */
void cr_arch_park(void);

/* The general registers that a system call about to return gives user space. */
void cr_arch_regs_self(struct cr_img_x86_regs *regs);

/* ---- objref.c: shared object <-> id ---- */

struct cr_objref_entry {
	const void *obj;
	u32 type;
	u32 id;
};

struct cr_objref {
	struct cr_objref_entry *slots;
	u32 nr_slots;
	u32 nr_used;
};

int cr_objref_init(struct cr_ctx *ctx, u32 hint);
void cr_objref_free(struct cr_ctx *ctx);

/*
 * Dumping. The id of shared object @obj, which is dumped (its row's dump()) if
 * this is the first time it is met. Returns 0 with ctx->err set on failure.
 * The tree is frozen, so @obj stays alive while this matters.
 */
u32 cr_obj_dump(struct cr_ctx *ctx, u32 type, void *obj);

/* The id of @obj if it was dumped already; else 0. Does not set ctx->err. */
u32 cr_obj_id(struct cr_ctx *ctx, u32 type, const void *obj);

/* A new object id, for objects that nobody refers to by pointer. */
u32 cr_obj_new_id(struct cr_ctx *ctx);

/* cr_img_vma.anon_id of mappings whose anon_vmas have @root; 0 on failure. */
u32 cr_anon_id(struct cr_ctx *ctx, const struct anon_vma *root);

/*
 * Restoring. cr_obj_get(): the object with @id, made now (in the context of
 * @t) if it is not there yet; the table keeps the reference. ERR_PTR on error.
 * cr_obj_set(): publish what restore() of a SHARED or FILE row has made; takes
 * over the caller's reference (the row's free() drops it). cr_obj_peek(): what
 * is there, or NULL. All under ctx->restore_lock, which cr_obj_get() takes: a
 * restore() of a SHARED or FILE row runs with it held and uses
 * cr_obj_get_locked() for what it refers to itself.
 */
void *cr_obj_get(struct cr_ctx *ctx, struct cr_task *t, u32 id, u32 type);
void *cr_obj_get_locked(struct cr_ctx *ctx, struct cr_task *t, u32 id, u32 type);
void cr_obj_set(struct cr_ctx *ctx, u32 id, void *obj);
void *cr_obj_peek(struct cr_ctx *ctx, u32 id);

/* ---- core ---- */

/* How a task of the tree is held during a checkpoint. */
enum cr_hold {
	CR_HOLD_NONE,		/* asked to park, not there yet */
	CR_HOLD_PARKED,		/* waits in cr_park() */
	CR_HOLD_STOPPED,	/* job control stop; held as it is */
	CR_HOLD_ZOMBIE,
	CR_HOLD_CALLER,		/* is in checkpoint() itself */
	CR_HOLD_GONE,		/* exited while the tree was being frozen */
};

/**
 * struct cr_task - one thread of the tree, at checkpoint and at restart
 * @ctx: whose it is
 * @task: the thread; referenced
 * @has_stack: checkpoint: its kernel stack, where the user registers are, is
 *             referenced too; a stopped task may be killed while they are read
 * @tid: in the tree's PID namespace
 * @leader: of its thread group; points to itself in a leader
 * @parent: leader of the parent process; NULL in the root
 * @id: object id of the thread
 * @process_id: object id of the process
 * @node: checkpoint: in ctx->task_hash, by task pointer
 * @list: in ctx->tasks, parents before children, leaders before their threads
 * @children: leaders only: child processes, through @sibling
 * @threads: leaders only: the other threads, through @sibling
 * @sibling: in the parent's @children or the leader's @threads
 * @nr_threads: leaders only: threads in the group with the leader
 * @hold: checkpoint: &enum cr_hold
 * @parked: checkpoint: while the task is in cr_park(), see freeze.c
 * @queued: @work was given to the task, and holds a reference to @ctx
 * @work: checkpoint: parks it; restart: restores it; runs in its own context
 * @deferred: asked to park as a vfork() child, to be asked again; @work is free
 * @switches: context switches when it was found stopped
 * @mm: checkpoint: leaders only, while the tree is dumped; referenced, like @files
 *      and @fs, because a task that is stopped by job control may be killed
 * @files: as @mm; what is to be known of descriptors is read from here
 * @fs: as @mm
 * @epoll: the epoll instance that was last looked for in @files
 * @has_epoll: whether it is there
 * @rec: restart: CR_IMG_THREAD record
 * @process_rec: restart: CR_IMG_PROCESS record
 * @new_pid: rollback: reserved for it, because nobody had the number
 * @cred: restart: credentials it will have, made in CR_STAGE_CRED; opening
 *        files is done with these (cr_open())
 */
struct cr_task {
	struct cr_ctx *ctx;
	struct task_struct *task;
	bool has_stack;
	pid_t tid;
	struct cr_task *leader;
	struct cr_task *parent;
	u32 id;
	u32 process_id;
	struct hlist_node node;
	struct list_head list;
	struct list_head children;
	struct list_head threads;
	struct list_head sibling;
	u32 nr_threads;

	enum cr_hold hold;
	struct hlist_node parked;
	bool queued;
	struct callback_head work;
	bool deferred;
	unsigned long switches;
	struct mm_struct *mm;
	struct files_struct *files;
	struct fs_struct *fs;
	const struct file *epoll;
	bool has_epoll;

	const struct cr_rec *rec;
	const struct cr_rec *process_rec;
	struct pid *new_pid;
	struct cred *cred;
};

/* Phases of checkpoint(), then those of restart(). */
enum cr_phase {
	CR_PHASE_PREPARE,
	CR_PHASE_FREEZE,
	CR_PHASE_DUMP,
	CR_PHASE_THAW,
	CR_PHASE_FLUSH,
	CR_PHASE_READ,
	CR_PHASE_BUILD,
	CR_PHASE_FILL,
	CR_PHASE_FINISH,
	CR_NR_PHASES,
};

struct cr_out;
struct cr_in;

/* image.c, reader.c: whole images */
int cr_image_seal(struct cr_ctx *ctx);
u64 cr_image_expected(struct cr_ctx *ctx);
int cr_image_write(struct cr_ctx *ctx, struct cr_out *out);
int cr_image_read(struct cr_ctx *ctx, struct cr_in *in);
int cr_image_adopt(struct cr_ctx *ctx);
void cr_objs_free(struct cr_ctx *ctx);

/* tree.c: which tasks there are */
int cr_tree_find(struct cr_ctx *ctx, pid_t pid);
int cr_tree_walk(struct cr_ctx *ctx);
int cr_tree_changed(struct cr_ctx *ctx, const struct cr_task *t);
int cr_tree_rehome(struct cr_ctx *ctx);
int cr_tree_recheck(struct cr_ctx *ctx);
int cr_tree_build(struct cr_ctx *ctx);
void cr_tree_free(struct cr_ctx *ctx);
void cr_tree_put(struct cr_ctx *ctx);
void cr_task_remove(struct cr_ctx *ctx, struct cr_task *t);

/* freeze.c */
extern unsigned int cr_freeze_timeout_ms;
int cr_root_gone(struct cr_ctx *ctx);
int cr_freeze(struct cr_ctx *ctx);
int cr_freeze_verify(struct cr_ctx *ctx);
void cr_thaw(struct cr_ctx *ctx);
void cr_kill(struct cr_ctx *ctx);
void cr_unlock_door(struct cr_ctx *ctx);

/* core.c */
struct cr_ctx *cr_ctx_alloc(const char *call, unsigned long flags);
void cr_ctx_get(struct cr_ctx *ctx);
void cr_ctx_put(struct cr_ctx *ctx);
long cr_do_checkpoint(pid_t pid, struct file *file, unsigned long flags);
long cr_do_write(int crid, struct file *file, unsigned long flags);
long cr_do_discard(int crid);
long cr_do_restart(int crid, struct file *file, unsigned long flags);

void cr_phase_end(struct cr_ctx *ctx, enum cr_phase phase);
int cr_dumps_lock(struct cr_ctx *ctx);
void cr_dumps_unlock(void);
int cr_pos_lock(struct cr_ctx *ctx, struct file *file);
void cr_pos_unlock(struct file *file);

/* store.c */
int cr_store_reserve(struct cr_ctx *ctx);
void cr_store_publish(struct cr_ctx *ctx);
int cr_store_drop(struct cr_ctx *ctx);
struct cr_ctx *cr_store_find(int crid);
long cr_store_refused(long err);

/*
 * rollback.c: into the place of the live tree. cr_rollback_file(), _ns(), and
 * _enter() do nothing in a restart that is no rollback.
 */
int cr_past_take(struct cr_ctx *ctx);
int cr_rollback_begin(struct cr_ctx *ctx);
int cr_rollback_commit(struct cr_ctx *ctx);
void cr_rollback_free(struct cr_ctx *ctx);
struct file *cr_rollback_file(struct cr_ctx *ctx, u32 id);
struct nsproxy *cr_rollback_ns(struct cr_ctx *ctx);
void cr_rollback_ns_end(struct nsproxy *old);
int cr_rollback_enter(struct cr_task *t);

/* report.c */
extern const char * const cr_phase_names[CR_NR_PHASES];
int cr_report_begin(const char *call, int crid);
void cr_report_update(struct cr_ctx *ctx);
void cr_report_bytes(u64 bytes);
long cr_report_end(struct cr_ctx *ctx, long result);
long cr_report_simple(long result, const char *reason);

/* A snapshot of one address space or of shared memory; see snapshot.c. */
struct cr_snap {
	struct list_head list;
	struct rb_node node;	/* in cr_ctx.snap_ids */
	u32 id;			/* object id of the mm or shmem object */
	u32 parent_id;		/* of an address space: that of the parent process, or 0 */
	struct mm_struct *mm;	/* of an address space, else NULL */
	struct xarray *pages;	/* of shared memory: copied pages by index, else NULL */
	u64 nr_pages;
	struct cr_verify *verify; /* hashes of the freeze, or NULL; see verify.c */
};

/**
 * struct cr_report - what a thread's last checkpoint() or restart() did, or does
 * @call: "checkpoint" or "restart"
 * @result: what the system call returned
 * @crid: of the checkpoint, 0 if it did not come that far
 * @pid: root of the tree, in the caller's PID namespace
 * @phase_ns: time in each phase of the call, nanoseconds
 * @frozen_ns: first task parked to last task released
 * @tasks: threads in the tree
 * @objects: objects in the image
 * @records: records in the image
 * @meta_bytes: bytes of metadata
 * @pages: pages in the image
 * @bytes: bytes of the whole image; so far, while the call is running
 * @expected_bytes: how many there will be; an estimate until the image has been
 *                  written once; 0 if nobody knows
 * @running: it has not returned yet
 * @reason: why it failed, in words; empty on success
 */
struct cr_report {
	const char *call;
	long result;
	int crid;
	pid_t pid;
	u64 phase_ns[CR_NR_PHASES];
	u64 frozen_ns;
	u32 tasks;
	u32 objects;
	u32 records;
	u64 meta_bytes;
	u64 pages;
	u64 bytes;
	u64 expected_bytes;
	bool running;
	char reason[CR_REASON_MAX];
};

/**
 * enum cr_barrier - where all restored tasks wait for each other
 * @CR_BARRIER_BORN: every process exists (processes)
 * @CR_BARRIER_BUILT: threads, mappings, files exist; the caller fills memory
 * @CR_BARRIER_FINAL: all state but credentials and registers is in place
 * @CR_BARRIER_READY: the caller puts registers in, then releases everybody
 */
enum cr_barrier {
	CR_BARRIER_BORN,
	CR_BARRIER_BUILT,
	CR_BARRIER_FINAL,
	CR_BARRIER_READY,
	CR_NR_BARRIERS,
};

/**
 * struct cr_ctx - one checkpoint, or one restart
 * @refs: the caller, and every task that has been asked to park or was created
 * @flags: CHECKPOINT_* or RESTART_*
 * @hb: metadata records
 * @err: first error; set by cr_fail()
 * @lock: protects @err, report.reason, @dumping and every cr_task.hold
 * @report: for /proc
 * @caller: of the system call
 * @pid_ns: that pids in the image are seen in
 * @user_ns: that ids in the image are seen in
 * @root_path: root directory that paths in the image start at
 * @hdr: the image's header
 * @phase_start_ns: when the phase began that is going on, CLOCK_MONOTONIC
 * @tasks: every &struct cr_task
 * @nr_tasks: entries of @tasks
 * @tree_refs: checkpoint: who may look at @tasks: the caller until it is done
 *             with them, and every task that was asked to park
 * @root: leader of the tree's root process
 * @wait: the caller waits here
 * @task_wait: parked and restored tasks wait here
 * @objref: checkpoint: pointer to id
 * @nr_objects: checkpoint: highest object id
 * @nr_anon: checkpoint: highest cr_img_vma.anon_id
 * @nr_records: restart: entries of @recs
 * @snaps: &struct cr_snap, in the order of their ids
 * @snap_ids: the same by id
 * @task_hash: checkpoint: @tasks by task pointer
 * @spares: checkpoint: unused &struct cr_task for the walk under a lock
 * @nr_spares: entries of @spares
 * @freeze_begin_ns: when cr_freeze() began, CLOCK_MONOTONIC
 * @freeze_start_ns: when the first task parked, CLOCK_MONOTONIC
 * @time_ns: CLOCK_REALTIME at the freeze
 * @monotonic_ns: CLOCK_MONOTONIC at the freeze
 * @nr_running: tasks that were asked to park and have not yet
 * @parking: tasks stay parked while this is set
 * @dumping: not even SIGKILL lets a parked task go
 * @disturbed: a task that was held has moved; what was dumped is void
 * @unsteady: it failed because the tree changed while it was being stopped
 * @freezing: among those that freeze
 * @rank: of those; who has a lower one comes first
 * @give_way: one that comes first waits for the caller to park
 * @gave_way: it failed for that, and the system call is to be restarted
 * @crid: id of the checkpoint
 * @maker: credentials of the one who made it
 * @comm: name of the root process
 * @published: it can be found, or could, in the store
 * @use_lock: one call at a time writes it
 * @where: what is being dumped, for messages
 * @where_pid: process that is being dumped, for messages
 * @epoll_depth: epoll files that are being dumped inside each other
 * @past: checkpoint that is kept: what a rollback must know
 * @from: restart: kept checkpoint that is restarted; NULL for an image
 * @rollback: restart: into the place of the live tree; see rollback.h
 * @hidden: rollback: root of another tree, which the walk must not find
 * @decided: restart: succeeds; nothing can fail any more
 * @recs: restart: all records
 * @heads: restart: index into @recs of each object's head by id, or U32_MAX
 * @objs: restart: what has been made, by id
 * @restore_lock: restart: serialises the making of shared objects
 * @late: restart: indices of records whose row has a late()
 * @nr_late: entries of @late
 * @nr_processes: restart: processes with zombies
 * @nr_zombies: restart: processes that are zombies
 * @opened: restart: number of barriers that have been opened
 * @nr_arrived: restart: tasks that arrived at each barrier
 * @nr_alive: restart: created tasks that still use this
 */
struct cr_ctx {
	refcount_t refs;
	unsigned long flags;
	struct cr_hbuf hb;
	int err;
	spinlock_t lock; /* err, report.reason, dumping, decided, every cr_task.hold */
	struct cr_report report;
	struct task_struct *caller;
	struct pid_namespace *pid_ns;
	struct user_namespace *user_ns;
	struct path root_path;
	struct cr_img_header hdr;
	u64 phase_start_ns;

	struct list_head tasks;
	u32 nr_tasks;
	refcount_t tree_refs;
	struct cr_task *root;
	wait_queue_head_t wait;
	wait_queue_head_t task_wait;

	/* checkpoint */
	struct cr_objref objref;
	u32 nr_objects;
	u32 nr_anon;
	u32 nr_records;
	struct list_head snaps;
	struct rb_root snap_ids;
	struct hlist_head *task_hash;
	struct list_head spares;
	u32 nr_spares;
	u64 freeze_begin_ns;
	u64 freeze_start_ns;
	u64 time_ns;
	u64 monotonic_ns;
	atomic_t nr_running;
	bool parking;
	bool dumping;
	bool disturbed;
	bool unsteady;
	struct list_head freezing;
	u64 rank;
	bool give_way;
	bool gave_way;
	int crid;
	const struct cred *maker;
	char comm[TASK_COMM_LEN];
	bool published;
	struct mutex use_lock; /* report.pages, report.bytes, checksums in hb */
	char where[64];
	pid_t where_pid;
	unsigned int epoll_depth;
	struct cr_past *past;

	/* restart */
	struct cr_ctx *from;
	struct cr_rollback *rollback;
	struct task_struct *hidden;
	bool decided;
	struct cr_rec *recs;
	u32 *heads;
	void **objs;
	struct mutex restore_lock; /* objs */
	u32 *late;
	u32 nr_late;
	u32 nr_processes;
	u32 nr_zombies;
	int opened;
	atomic_t nr_arrived[CR_NR_BARRIERS];
	atomic_t nr_alive;
};

/*
 * Tell why: the first call wins, sets ctx->err to @err and the reason to the
 * text. Returns @err (so "return cr_fail(...)"). Name process, descriptor and
 * kind, and what to do: "pid 12 fd 7: io_uring: not supported". No newline.
 */
__printf(3, 4) int cr_fail(struct cr_ctx *ctx, int err, const char *fmt, ...);

bool cr_decide(struct cr_ctx *ctx, bool decided);

/* The pid of @t as the message should show it. */
static inline pid_t cr_pid(const struct cr_task *t)
{
	return t->leader->tid;
}

/* It was killed while it was being dumped. */
static inline int cr_task_gone(struct cr_ctx *ctx, const struct cr_task *t)
{
	return cr_fail(ctx, -ESRCH, "pid %d (%s): was killed meanwhile", cr_pid(t),
		       t->task->comm);
}

/* Restart: the record of the process of @t. */
static inline const struct cr_img_process *cr_img_process(const struct cr_task *t)
{
	return t->process_rec->data;
}

static inline bool cr_img_is_zombie(const struct cr_task *t)
{
	return cr_img_process(t)->flags & CR_IMG_PROCESS_ZOMBIE;
}

/* Is @task (any thread) in the tree? While frozen; for owners and peers. */
bool cr_in_tree(struct cr_ctx *ctx, const struct task_struct *task);

/* ---- refuse.c, task.c, cred.c, timer.c ---- */

/* Signal handlers of current, which do not go away or change. */
static inline struct sighand_struct *cr_sighand(void)
{
	return rcu_dereference_raw(current->sighand);
}

/* signal.c; current is being restored */
void cr_signals_forget(void);

/* Before a process is dumped: refuse, by name, what cannot be restored. */
int cr_process_refuse(struct cr_ctx *ctx, struct cr_task *t);

/* Before anything is restored: refuse, by name, what the tree would inherit. */
int cr_caller_refuse(struct cr_ctx *ctx);

/* While the tree is dumped: memory, files and directories do not go away. */
int cr_tree_hold(struct cr_ctx *ctx);
void cr_tree_unhold(struct cr_ctx *ctx);
void cr_task_unhold(struct cr_task *t);

/* In the caller of restart(), last: the limit that is for signals to come. */
void cr_rlimit_late(struct cr_ctx *ctx);

/*
 * The last thing each restored thread does: credentials come into force, and
 * what a change of them clears or an exit of the task would use. Cannot fail.
 */
void cr_task_final(struct cr_ctx *ctx, struct cr_task *t);
void cr_cred_commit(struct cr_task *t);
bool cr_cred_may_use(const struct cred *maker);

/* Under siglock, with the pending signals: nothing may expire in between. */
void cr_itimer_read(struct task_struct *task, struct cr_img_itimer *img);

/* ---- snapshot.c, flush.c, mm.c, shmem.c ---- */

/* Called by mm.c's dump: snapshot of @mm for object @id. */
int cr_snap_mm(struct cr_ctx *ctx, struct mm_struct *mm, u32 id);
int cr_snap_shmem(struct cr_ctx *ctx, struct inode *inode, u32 id);
struct cr_snap *cr_snap_find(struct cr_ctx *from, u32 id);
void cr_snap_set_parent(struct cr_ctx *ctx, u32 id, struct cr_task *parent);
void cr_snaps_free(struct cr_ctx *ctx);
u64 cr_snaps_pages(struct cr_ctx *ctx);
bool cr_shmem_is_anon(struct file *file);	/* shared anonymous memory? */

/* ---- verify.c: is a snapshot what was there at the freeze? ---- */

#ifdef CONFIG_CHECKPOINT_VERIFY
int cr_verify_take(struct cr_ctx *ctx);
int cr_verify_check(struct cr_ctx *ctx, struct cr_ctx *from);
void cr_verify_free(struct cr_snap *snap);
#else
static inline int cr_verify_take(struct cr_ctx *ctx)
{
	return 0;
}

static inline int cr_verify_check(struct cr_ctx *ctx, struct cr_ctx *from)
{
	return 0;
}

static inline void cr_verify_free(struct cr_snap *snap)
{
}
#endif

/*
 * In each restored leader when its credentials are in force and its memory is
 * filled: what of the address space depends on either.
 */
int cr_mm_final(struct cr_ctx *ctx, struct cr_task *t);

/* For set_dumpable(), which a change of credentials has called with another. */
int cr_mm_dumpable(const struct cr_img_mm *img);

/* arch/x86/checkpoint/mm.c: the architecture's part of an address space */
const char *cr_arch_mm_refusal(struct mm_struct *mm);	/* why not, or NULL */
bool cr_arch_vma_has_pkey(struct vm_area_struct *vma);
u32 cr_arch_vma_kind(struct vm_area_struct *vma);	/* CR_IMG_VMA_V*, or 0 */
u32 cr_arch_vdso_crc(void);
u64 cr_arch_vdso_addr(struct mm_struct *mm);
bool cr_arch_vdso_range(u32 kind, u64 vdso, u64 *start, u64 *end);
int cr_arch_vdso_map(u64 vdso);
void cr_arch_mm_setup(struct mm_struct *mm);

/* Sequential, unseekable output that counts bytes and continues short writes. */
struct cr_out {
	struct file *file;
	u64 bytes;
	u64 pages;
};

bool cr_bvec_join(struct bio_vec *bv, struct page *page);
int cr_out_check(struct cr_ctx *ctx, struct file *file);
int cr_out_bytes(struct cr_out *out, const void *buf, size_t len);
int cr_out_iter(struct cr_out *out, struct iov_iter *iter);
int cr_flush_pages(struct cr_ctx *ctx, struct cr_out *out);

/* Sequential input; a short read is -EINVAL ("image ends early"). */
struct cr_in {
	struct file *file;
	u64 bytes;
};

int cr_in_check(struct cr_ctx *ctx, struct file *file);
int cr_in_bytes(struct cr_ctx *ctx, struct cr_in *in, void *buf, size_t len);
int cr_in_iter(struct cr_ctx *ctx, struct cr_in *in, struct iov_iter *iter);

/* fail_io.c */
#ifdef CONFIG_CHECKPOINT_FAIL_IO
int cr_fail_io(void);
#else
static inline int cr_fail_io(void)
{
	return 0;
}
#endif

/*
 * Caller of restart(): @pg was read and checked; reads its pages from @in
 * straight into address space or shared memory object @id, checks their hash.
 */
int cr_fill_pages(struct cr_ctx *ctx, struct cr_in *in, u32 id,
		  const struct cr_img_pages *pg);

/*
 * Caller of restart() from an image. Before the first page: makes it possible
 * that mappings share pages. Then: @ref was read, nothing of it was checked;
 * lets address space @id share its pages.
 */
int cr_kin_connect(struct cr_ctx *ctx);
int cr_kin_share(struct cr_ctx *ctx, u32 id, const struct cr_img_pages_ref *ref);

/* Current, which shares the address space of the caller, is about to exit. */
int cr_mm_leave(struct cr_ctx *ctx, struct cr_task *t);

/* Caller of restart() from memory: what cr_mm_restore() has not brought back. */
int cr_fill_from_memory(struct cr_ctx *ctx);

/* ---- files.c ---- */

/*
 * Open a path of the image with the credentials that @t will have, from the
 * root that the restarting caller has; O_CREAT, O_EXCL, O_TRUNC never.
 */
struct file *cr_open(struct cr_ctx *ctx, struct cr_task *t, const char *path,
		     int flags);

/* The lookup that cr_open() does; the caller drops @path. No reason is told. */
int cr_lookup(struct cr_ctx *ctx, struct cr_task *t, const char *name,
	      unsigned int flags, struct path *path);

/* One of the devices null, zero, full, random, urandom? (path.c) */
bool cr_path_device(const struct inode *inode);

/*
 * Head of the open file that @rec is the FILE row's record of; NULL, with the
 * reason told, if it is not. For check(); it was checked in restore().
 */
const struct cr_img_file *cr_file_head(struct cr_ctx *ctx, const struct cr_rec *rec);

/*
 * For the dump() of FILE rows, which writes the whole object: first dump what
 * the file refers to, then call this for the CR_IMG_FILE head, then add the
 * row's own record (and parts). @kind is the row's type. 0 or -errno.
 */
int cr_file_head_add(struct cr_ctx *ctx, struct file *file, u32 id, u32 kind);

/*
 * End of the dump: a pipe end that is open outside the tree is refused here,
 * because all ends of the tree have been met only now.
 */
int cr_pipes_check_peers(struct cr_ctx *ctx);

/*
 * End of the dump: a connection with both ends in the tree is refused here,
 * because all sockets of the tree have been met only now.
 */
int cr_sockets_check_peers(struct cr_ctx *ctx);

/*
 * Restart, after every late(): -EINVAL if an epoll entry could not be added in
 * any process. Safe to call when there is no epoll file.
 */
int cr_epoll_check_done(struct cr_ctx *ctx);

/*
 * For timer.c: the restart block of an interrupted epoll_wait(2). dump() is
 * false if @block is of something else; restore() sets that of current, and is
 * for CR_IMG_RESTART_EPOLL only.
 */
bool cr_epoll_wait_dump(struct cr_ctx *ctx, const struct restart_block *block,
			struct cr_img_restart_block *img);
int cr_epoll_wait_check(struct cr_ctx *ctx, const struct cr_img_restart_block *img);
void cr_epoll_wait_restore(const struct cr_img_restart_block *img);

/*
 * While dumping descriptors: "pid 12 fd 7", the descriptor being dumped (or
 * "pid 12 address 0x…" for a mapped file), for messages of file kinds.
 */
const char *cr_where(struct cr_ctx *ctx);
void cr_set_where(struct cr_ctx *ctx, const char *fmt, ...) __printf(2, 3);

#endif /* _CHECKPOINT_INTERNAL_H */
