// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoint/restart: credentials of a thread.
 *
 * Saved: user and group ids, supplementary groups, capability sets, securebits.
 * Ids are those of the user namespace of the tree's root.
 *
 * Refused: another user namespace, ids that have no mapping in it, a Landlock
 * domain (there is no way to bring it back, and without it the copy could do
 * more than the original).
 *
 * Restart gives nobody what they could not have had: each difference to the
 * credentials of the restarting caller needs what setresuid(), setresgid(),
 * setfsuid(), setfsgid(), setgroups(), capset() and prctl() need for it. The
 * new credentials are prepared first, are what files are opened with, and come
 * into force last.
 *
 * Not saved: keyrings. The copy has the session keyring of the restarting
 * caller if it is of the same user, else none: possessing one is a permission.
 *
 * Locking: RCU while the credentials of another task are read.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/key.h>
#include <linux/overflow.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/securebits.h>
#include <linux/security.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#ifdef CONFIG_SECURITY_LANDLOCK
#include "../security/landlock/cred.h"
#endif

#include "objects.h"

/* ---- checkpoint ---- */

static bool is_landlocked(const struct cred *cred)
{
#ifdef CONFIG_SECURITY_LANDLOCK
	return landlock_initialized && landlock_cred(cred)->domain;
#else
	return false;
#endif
}

/* As for ptrace(): a sandbox does not reach what was made outside of it. */
static bool landlock_covers(const struct cred *maker)
{
#ifdef CONFIG_SECURITY_LANDLOCK
	const struct landlock_ruleset *mine, *theirs;
	const struct landlock_hierarchy *h;

	if (!landlock_initialized)
		return true;
	mine = landlock_cred(current_cred())->domain;
	if (!mine)
		return true;
	theirs = landlock_cred(maker)->domain;
	for (h = theirs ? theirs->hierarchy : NULL; h; h = h->parent)
		if (h == mine->hierarchy)
			return true;
	return false;
#else
	return true;
#endif
}

/**
 * cr_cred_may_use() - may current use a kept checkpoint?
 * @maker: credentials of the one who made it
 *
 * It contains memory that the maker was permitted to read. So the same user is
 * not enough, as it is not enough for ptrace(): current must have the
 * capabilities that the maker had, too. Another user needs
 * CAP_CHECKPOINT_RESTORE, where the PID namespace belongs and where the maker
 * lived; these differ if somebody has come in from outside.
 *
 * Return: true if it may.
 */
bool cr_cred_may_use(const struct cred *maker)
{
	const struct cred *cred = current_cred();

	if (!landlock_covers(maker))
		return false;
	if (uid_eq(maker->euid, cred->euid) && maker->user_ns == cred->user_ns &&
	    cap_issubset(maker->cap_permitted, cred->cap_permitted))
		return true;
	if (!checkpoint_restore_ns_capable(maker->user_ns))
		return false;
	return uid_eq(maker->euid, cred->euid) ||
	       checkpoint_restore_ns_capable(task_active_pid_ns(current)->user_ns);
}

static u32 uid_of(struct cr_ctx *ctx, kuid_t uid, bool *unmapped)
{
	u32 nr = from_kuid(ctx->user_ns, uid);

	*unmapped |= nr == (u32)-1;
	return nr;
}

static u32 gid_of(struct cr_ctx *ctx, kgid_t gid, bool *unmapped)
{
	u32 nr = from_kgid(ctx->user_ns, gid);

	*unmapped |= nr == (u32)-1;
	return nr;
}

/* Returns false if an id has no mapping. */
static bool fill_ids(struct cr_ctx *ctx, const struct cred *cred, struct cr_img_cred *img)
{
	bool unmapped = false;
	u32 i;

	img->uid[0] = uid_of(ctx, cred->uid, &unmapped);
	img->uid[1] = uid_of(ctx, cred->euid, &unmapped);
	img->uid[2] = uid_of(ctx, cred->suid, &unmapped);
	img->uid[3] = uid_of(ctx, cred->fsuid, &unmapped);
	img->gid[0] = gid_of(ctx, cred->gid, &unmapped);
	img->gid[1] = gid_of(ctx, cred->egid, &unmapped);
	img->gid[2] = gid_of(ctx, cred->sgid, &unmapped);
	img->gid[3] = gid_of(ctx, cred->fsgid, &unmapped);
	for (i = 0; i < img->nr_groups; i++)
		img->groups[i] = gid_of(ctx, cred->group_info->gid[i], &unmapped);
	return !unmapped;
}

static void fill_caps(const struct cred *cred, struct cr_img_cred *img)
{
	img->securebits = cred->securebits;
	img->cap_inheritable = cred->cap_inheritable.val;
	img->cap_permitted = cred->cap_permitted.val;
	img->cap_effective = cred->cap_effective.val;
	img->cap_bounding = cred->cap_bset.val;
	img->cap_ambient = cred->cap_ambient.val;
}

/**
 * cr_cred_dump() - record the credentials of a thread
 * @ctx: the checkpoint
 * @obj: its struct cr_task
 * @id: object id of the thread
 *
 * Return: 0 or -errno as told.
 */
int cr_cred_dump(struct cr_ctx *ctx, void *obj, u32 id)
{
	struct cr_task *t = obj;
	const struct cred *cred = get_task_cred(t->task);
	struct cr_img_cred *img;
	const char *what = NULL;
	size_t len;

	len = struct_size(img, groups, cred->group_info->ngroups);
	img = cr_rec_get(ctx, CR_IMG_CRED, id, len);
	if (!img)
		goto out;
	img->nr_groups = cred->group_info->ngroups;
	fill_caps(cred, img);
	if (cred->user_ns != ctx->user_ns)
		what = "user namespace of its own";
	else if (!fill_ids(ctx, cred, img))
		what = "user or group id without a mapping";
	/* whoever does nothing any more need not be kept from anything */
	else if (is_landlocked(cred) && t->hold != CR_HOLD_ZOMBIE)
		what = "Landlock domain";
	cr_rec_put(ctx, img, len);
	if (what)
		cr_fail(ctx, -EOPNOTSUPP, "pid %d (%s): %s: not supported",
			t->tid, t->task->comm, what);
out:
	put_cred(cred);
	return ctx->err;
}

/* ---- check ---- */

static const char *cred_bad(const struct cr_img_cred *img, u32 len)
{
	u64 caps = img->cap_inheritable | img->cap_permitted | img->cap_effective |
		   img->cap_bounding | img->cap_ambient;
	u32 i;

	if (img->nr_groups > CR_GROUPS_MAX || len != struct_size(img, groups, img->nr_groups))
		return "number of groups";
	for (i = 0; i < 4; i++)
		if (img->uid[i] == (u32)-1 || img->gid[i] == (u32)-1)
			return "id";
	for (i = 0; i < img->nr_groups; i++)
		if (img->groups[i] == (u32)-1)
			return "group";
	if (img->securebits & ~(SECURE_ALL_BITS | SECURE_ALL_LOCKS))
		return "securebits";
	if (caps & ~CAP_VALID_MASK)
		return "capability";
	if ((img->cap_effective & ~img->cap_permitted) ||
	    (img->cap_ambient & ~(img->cap_permitted & img->cap_inheritable)))
		return "capability sets";
	return NULL;
}

/**
 * cr_cred_check() - check credentials; the permission is checked in restore
 * @ctx: the restart
 * @rec: CR_IMG_CRED
 *
 * Return: 0, or -EINVAL as told.
 */
int cr_cred_check(struct cr_ctx *ctx, const struct cr_rec *rec)
{
	const char *what = cred_bad(rec->data, rec->len);

	if (what)
		return cr_fail(ctx, -EINVAL, "record %u: credentials: bad %s", rec->index, what);
	return 0;
}

/* ---- restart ---- */

static bool uid_among(kuid_t uid, const struct cred *c)
{
	return uid_eq(uid, c->uid) || uid_eq(uid, c->euid) || uid_eq(uid, c->suid);
}

static bool gid_among(kgid_t gid, const struct cred *c)
{
	return gid_eq(gid, c->gid) || gid_eq(gid, c->egid) || gid_eq(gid, c->sgid);
}

/* What a login does for another user; unlike setuid(), it is not forgotten here. */
static void drop_keyrings(struct cred *new, const struct cred *old)
{
#ifdef CONFIG_KEYS
	if (uid_eq(new->uid, old->uid) && uid_eq(new->euid, old->euid))
		return;
	key_put(new->session_keyring);
	new->session_keyring = NULL;
	key_put(new->request_key_auth);
	new->request_key_auth = NULL;
#endif
}

/* As setresuid() and setfsuid(). */
static const char *set_uids(struct cr_ctx *ctx, const struct cr_img_cred *img,
			    struct cred *new, const struct cred *old, int *err)
{
	struct user_namespace *ns = new->user_ns;
	struct user_struct *user;

	new->uid = make_kuid(ns, img->uid[0]);
	new->euid = make_kuid(ns, img->uid[1]);
	new->suid = make_kuid(ns, img->uid[2]);
	new->fsuid = make_kuid(ns, img->uid[3]);
	*err = -EINVAL;
	if (!uid_valid(new->uid) || !uid_valid(new->euid) || !uid_valid(new->suid) ||
	    !uid_valid(new->fsuid))
		return "a user id has no mapping here";

	*err = -EPERM;
	if ((!uid_among(new->uid, old) || !uid_among(new->euid, old) ||
	     !uid_among(new->suid, old) ||
	     !(uid_among(new->fsuid, old) || uid_eq(new->fsuid, old->fsuid))) &&
	    !ns_capable_setid(ns, CAP_SETUID))
		return "other user ids need CAP_SETUID";

	*err = -EAGAIN;
	if (!uid_eq(new->uid, old->uid)) {
		user = alloc_uid(new->uid);
		if (!user)
			return "no memory for a user";
		free_uid(new->user);
		new->user = user;
	}
	*err = security_task_fix_setuid(new, old, LSM_SETID_RES);
	if (*err)
		return "other user ids are not permitted";
	drop_keyrings(new, old);
	*err = set_cred_ucounts(new);
	return *err ? "no memory for a user" : NULL;
}

/* As setresgid() and setfsgid(). */
static const char *set_gids(struct cr_ctx *ctx, const struct cr_img_cred *img,
			    struct cred *new, const struct cred *old, int *err)
{
	struct user_namespace *ns = new->user_ns;

	new->gid = make_kgid(ns, img->gid[0]);
	new->egid = make_kgid(ns, img->gid[1]);
	new->sgid = make_kgid(ns, img->gid[2]);
	new->fsgid = make_kgid(ns, img->gid[3]);
	*err = -EINVAL;
	if (!gid_valid(new->gid) || !gid_valid(new->egid) || !gid_valid(new->sgid) ||
	    !gid_valid(new->fsgid))
		return "a group id has no mapping here";

	*err = -EPERM;
	if ((!gid_among(new->gid, old) || !gid_among(new->egid, old) ||
	     !gid_among(new->sgid, old) ||
	     !(gid_among(new->fsgid, old) || gid_eq(new->fsgid, old->fsgid))) &&
	    !ns_capable_setid(ns, CAP_SETGID))
		return "other group ids need CAP_SETGID";
	*err = security_task_fix_setgid(new, old, LSM_SETID_RES);
	return *err ? "other group ids are not permitted" : NULL;
}

static bool groups_equal(const struct group_info *a, const struct group_info *b)
{
	int i;

	if (a->ngroups != b->ngroups)
		return false;
	for (i = 0; i < a->ngroups; i++)
		if (!gid_eq(a->gid[i], b->gid[i]))
			return false;
	return true;
}

/* As setgroups(). */
static const char *set_supplementary(struct cr_ctx *ctx, const struct cr_img_cred *img,
				     struct cred *new, const struct cred *old, int *err)
{
	struct group_info *info = groups_alloc(img->nr_groups);
	const char *what = NULL;
	u32 i;

	*err = -ENOMEM;
	if (!info)
		return "no memory for groups";
	*err = -EINVAL;
	for (i = 0; i < img->nr_groups; i++) {
		info->gid[i] = make_kgid(new->user_ns, img->groups[i]);
		if (!gid_valid(info->gid[i])) {
			what = "a supplementary group has no mapping here";
			goto out;
		}
	}
	groups_sort(info);
	*err = 0;
	if (groups_equal(info, old->group_info))
		goto out;
	*err = -EPERM;
	what = "other supplementary groups need CAP_SETGID";
	if (!may_setgroups())
		goto out;
	set_groups(new, info);
	*err = security_task_fix_setgroups(new, old);
	what = *err ? "other supplementary groups are not permitted" : NULL;
out:
	put_group_info(info);
	return what;
}

static bool subset(u64 a, u64 b)
{
	return !(a & ~b);
}

/* As prctl(PR_SET_SECUREBITS), and PR_SET_KEEPCAPS, which needs no capability. */
static bool securebits_ok(const struct cr_img_cred *img, const struct cred *old, bool setpcap)
{
	u32 locked = (old->securebits & SECURE_ALL_LOCKS) >> 1;
	u32 changed = old->securebits ^ img->securebits;

	if (changed & locked)
		return false;
	if (!(changed & ~issecure_mask(SECURE_KEEP_CAPS)))
		return true;
	return setpcap && subset(old->securebits & SECURE_ALL_LOCKS, img->securebits);
}

/* As capset(), prctl(PR_CAPBSET_DROP) and prctl(PR_CAP_AMBIENT). */
static const char *caps_denied(const struct cr_img_cred *img, const struct cred *old,
			       bool setpcap)
{
	if (!securebits_ok(img, old, setpcap))
		return "other securebits need CAP_SETPCAP, and locks stay";
	if (!subset(img->cap_bounding, old->cap_bset.val))
		return "bounding set is larger than that of the caller";
	if (img->cap_bounding != old->cap_bset.val && !setpcap)
		return "a smaller bounding set needs CAP_SETPCAP";
	if (!subset(img->cap_permitted, old->cap_permitted.val))
		return "permitted capabilities that the caller does not have";
	if (!subset(img->cap_inheritable, old->cap_inheritable.val | old->cap_bset.val) ||
	    (!setpcap &&
	     !subset(img->cap_inheritable, old->cap_inheritable.val | old->cap_permitted.val)))
		return "inheritable capabilities that the caller could not set";
	if (!subset(img->cap_ambient, old->cap_ambient.val) &&
	    (old->securebits & issecure_mask(SECURE_NO_CAP_AMBIENT_RAISE)))
		return "ambient capabilities that the caller could not raise";
	return NULL;
}

static const char *set_caps(struct cr_ctx *ctx, const struct cr_img_cred *img,
			    struct cred *new, const struct cred *old, int *err)
{
	bool setpcap = ns_capable(old->user_ns, CAP_SETPCAP);
	const char *what = caps_denied(img, old, setpcap);
	kernel_cap_t effective = { img->cap_effective };
	kernel_cap_t inheritable = { img->cap_inheritable };
	kernel_cap_t permitted = { img->cap_permitted };

	*err = -EPERM;
	if (what)
		return what;
	/* Fixing up the user ids has cleared or raised some: now it is exact. */
	*err = security_capset(new, old, &effective, &inheritable, &permitted);
	if (*err)
		return "capabilities are not permitted";
	new->cap_ambient.val = img->cap_ambient;
	new->cap_bset.val = img->cap_bounding;
	new->securebits = img->securebits;
	return NULL;
}

/**
 * cr_cred_restore() - prepare the credentials of a thread in t->cred
 * @ctx: the restart
 * @t: the thread, current; has the credentials of the restarting caller
 * @rec: CR_IMG_CRED
 *
 * Return: 0; -EPERM if the caller could not have got them; -errno.
 */
int cr_cred_restore(struct cr_ctx *ctx, struct cr_task *t, const struct cr_rec *rec)
{
	static const char *(*const steps[])(struct cr_ctx *ctx, const struct cr_img_cred *img,
					    struct cred *new, const struct cred *old,
					    int *err) = {
		set_uids, set_gids, set_supplementary, set_caps,
	};
	const struct cred *old = current_cred();
	struct cred *new = prepare_creds();
	const char *what;
	unsigned int i;
	int err = 0;

	if (!new)
		return cr_fail(ctx, -ENOMEM, "no memory for credentials");
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		what = steps[i](ctx, rec->data, new, old, &err);
		if (what) {
			abort_creds(new);
			return cr_fail(ctx, err, "pid %d: %s", t->tid, what);
		}
	}
	t->cred = new;
	return 0;
}

/**
 * cr_cred_commit() - put the prepared credentials in force
 * @t: the thread, current
 *
 * Takes over t->cred; does nothing if there are none. They are prepared before
 * anything that could change those of current, so they are based on them.
 */
void cr_cred_commit(struct cr_task *t)
{
	struct cred *new = t->cred;

	if (!new)
		return;
	t->cred = NULL;
	/* As setuid(): too many processes of that user make its execve() fail. */
	if (new->ucounts != current_ucounts() && new->user != INIT_USER &&
	    is_rlimit_overlimit(new->ucounts, UCOUNT_RLIMIT_NPROC, rlimit(RLIMIT_NPROC)))
		current->flags |= PF_NPROC_EXCEEDED;
	commit_creds(new);
}
