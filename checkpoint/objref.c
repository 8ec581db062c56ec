// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: shared objects and their ids.
 *
 * Checkpoint: an open-addressing hash from (type, pointer) to id. It is sized
 * before the tree is frozen and grows by doubling, so no object costs an
 * allocation of its own.
 *
 * Restart: what has been made, by id. restore_lock is taken outside of every
 * lock that a restore function takes.
 */
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <trace/events/checkpoint.h>

#include "internal.h"

#define CR_OBJREF_MIN	256U

static struct cr_objref_entry *objref_slot(const struct cr_objref *ref, u32 type,
					   const void *obj)
{
	u32 mask = ref->nr_slots - 1;
	u32 i = hash_ptr(obj, 32) & mask;

	while (ref->slots[i].obj &&
	       (ref->slots[i].obj != obj || ref->slots[i].type != type))
		i = (i + 1) & mask;
	return &ref->slots[i];
}

static int objref_resize(struct cr_objref *ref, u32 nr_slots)
{
	struct cr_objref old = *ref;
	u32 i;

	ref->slots = kvcalloc(nr_slots, sizeof(*ref->slots), GFP_KERNEL_ACCOUNT);
	if (!ref->slots) {
		ref->slots = old.slots;
		return -ENOMEM;
	}
	ref->nr_slots = nr_slots;
	for (i = 0; i < old.nr_slots; i++) {
		if (old.slots[i].obj)
			*objref_slot(ref, old.slots[i].type, old.slots[i].obj) =
				old.slots[i];
	}
	kvfree(old.slots);
	return 0;
}

/**
 * cr_objref_init() - make room for the objects of a checkpoint
 * @ctx: the checkpoint
 * @hint: how many objects there may be; more is possible
 *
 * Return: 0 or -ENOMEM.
 */
int cr_objref_init(struct cr_ctx *ctx, u32 hint)
{
	hint = clamp(hint, CR_OBJREF_MIN, CR_OBJS_MAX / 2);
	return objref_resize(&ctx->objref, roundup_pow_of_two(hint * 2));
}

void cr_objref_free(struct cr_ctx *ctx)
{
	kvfree(ctx->objref.slots);
	memset(&ctx->objref, 0, sizeof(ctx->objref));
}

static int objref_add(struct cr_ctx *ctx, u32 type, const void *obj, u32 id)
{
	struct cr_objref *ref = &ctx->objref;
	struct cr_objref_entry *slot;

	if (ref->nr_used >= ref->nr_slots / 4 * 3 &&
	    objref_resize(ref, ref->nr_slots * 2))
		return cr_fail(ctx, -ENOMEM, "no memory for %u objects", ref->nr_used);
	slot = objref_slot(ref, type, obj);
	slot->obj = obj;
	slot->type = type;
	slot->id = id;
	ref->nr_used++;
	return 0;
}

/**
 * cr_obj_new_id() - an id for an object that nobody refers to by pointer
 * @ctx: the checkpoint
 *
 * Return: The id.
 */
u32 cr_obj_new_id(struct cr_ctx *ctx)
{
	if (ctx->nr_objects == CR_OBJS_MAX)
		cr_fail(ctx, -E2BIG, "more than %u objects", CR_OBJS_MAX);
	else
		ctx->nr_objects++;
	return ctx->nr_objects;
}

/**
 * cr_obj_id() - look a shared object up
 * @ctx: the checkpoint
 * @type: CR_IMG_* of its head
 * @obj: the object
 *
 * Return: its id; 0 if it was not dumped.
 */
u32 cr_obj_id(struct cr_ctx *ctx, u32 type, const void *obj)
{
	return objref_slot(&ctx->objref, type, obj)->id;
}

/**
 * cr_obj_dump() - dump a shared object once
 * @ctx: the checkpoint
 * @type: CR_IMG_* of its head, a row with CR_LVL_SHARED
 * @obj: the object; alive as long as the tree is frozen
 *
 * The id is known before its dump() runs, so an object that is met again from
 * within its own dump is referred to and not dumped twice.
 *
 * Return: its id; 0 with the error in ctx->err.
 */
u32 cr_obj_dump(struct cr_ctx *ctx, u32 type, void *obj)
{
	const struct cr_obj_ops *ops = cr_obj_ops(type);
	u32 id = cr_obj_id(ctx, type, obj);

	if (id)
		return id;
	id = cr_obj_new_id(ctx);
	if (ctx->err || objref_add(ctx, type, obj, id))
		return 0;
	trace_checkpoint_object(id, ops->name);
	if (ops->dump(ctx, obj, id) || ctx->err) {
		/* dump() has told why; an error without words is still one */
		cr_fail(ctx, -EIO, "%s: %s cannot be dumped", cr_where(ctx), ops->name);
		return 0;
	}
	return id;
}

/**
 * cr_anon_id() - number of the mappings that may share pages copy on write
 * @ctx: the checkpoint
 * @root: root of the anon_vmas of a mapping; fork() and a split keep it
 *
 * Return: 1 and up, in the order in which they are met; 0 with the error in
 * ctx->err.
 */
u32 cr_anon_id(struct cr_ctx *ctx, const struct anon_vma *root)
{
	u32 id = cr_obj_id(ctx, CR_IMG_VMA, root);

	if (id)
		return id;
	if (objref_add(ctx, CR_IMG_VMA, root, ctx->nr_anon + 1))
		return 0;
	return ++ctx->nr_anon;
}

/**
 * cr_obj_peek() - what has been made for an id
 * @ctx: the restart
 * @id: checked object id
 *
 * Return: The object without a reference of its own; NULL if it is not there.
 */
void *cr_obj_peek(struct cr_ctx *ctx, u32 id)
{
	return READ_ONCE(ctx->objs[id]);
}

/**
 * cr_obj_set() - publish a restored object
 * @ctx: the restart
 * @id: its id; nothing has been set for it yet
 * @obj: the object; the caller's reference goes to the table
 */
void cr_obj_set(struct cr_ctx *ctx, u32 id, void *obj)
{
	WARN_ON_ONCE(ctx->objs[id]);
	WRITE_ONCE(ctx->objs[id], obj);
}

/**
 * cr_obj_get_locked() - cr_obj_get() from within a restore function
 * @ctx: the restart
 * @t: task in whose context this is
 * @id: object id
 * @type: CR_IMG_* of its head
 *
 * References in an image can be nested only as deep as cr_check_ref() allowed:
 * to objects that stand earlier, so this ends.
 *
 * Context: ctx->restore_lock is held.
 * Return: As cr_obj_get().
 */
void *cr_obj_get_locked(struct cr_ctx *ctx, struct cr_task *t, u32 id, u32 type)
{
	const struct cr_rec *head = cr_obj_head(ctx, id, type);
	int err;

	lockdep_assert_held(&ctx->restore_lock);
	if (!head)
		return ERR_PTR(cr_fail(ctx, -EINVAL, "object %u: no such %s", id,
				       cr_obj_ops(type)->name));
	if (!ctx->objs[id]) {
		trace_restart_object(id, cr_obj_ops(type)->name, t->tid);
		err = cr_obj_ops(type)->restore(ctx, t, head);
		if (err)
			return ERR_PTR(err);
	}
	if (WARN_ON_ONCE(!ctx->objs[id]))
		return ERR_PTR(-EINVAL);
	return ctx->objs[id];
}

/**
 * cr_obj_get() - a shared object, made if it is not there yet
 * @ctx: the restart
 * @t: task in whose context this is
 * @id: object id
 * @type: CR_IMG_* of its head
 *
 * Context: Process context of @t; takes ctx->restore_lock.
 * Return: The object, its reference belongs to the table; ERR_PTR on error.
 */
void *cr_obj_get(struct cr_ctx *ctx, struct cr_task *t, u32 id, u32 type)
{
	void *obj;

	if (mutex_lock_killable(&ctx->restore_lock))
		return ERR_PTR(-EINTR);
	obj = cr_obj_get_locked(ctx, t, id, type);
	mutex_unlock(&ctx->restore_lock);
	return obj;
}

/**
 * cr_objs_free() - drop the table's references to all that was made
 * @ctx: the restart
 */
void cr_objs_free(struct cr_ctx *ctx)
{
	u32 id;

	for (id = 1; ctx->objs && id <= ctx->hdr.nr_objects; id++) {
		const struct cr_obj_ops *ops;

		if (!ctx->objs[id])
			continue;
		ops = cr_obj_ops(ctx->recs[ctx->heads[id]].type);
		if (ops->free)
			ops->free(ctx->objs[id]);
	}
	kvfree(ctx->objs);
	ctx->objs = NULL;
}

#include "tests/objref-kunit.h"
