/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of the table. Included at the end of objtab.c.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST
#include <kunit/test.h>

/* No default: the compiler warns when a kind is added and not put here. */
static bool wants_row(enum cr_img_type type)
{
	switch (type) {
	case CR_IMG_NONE:
	case CR_IMG_PAGES:
	case CR_IMG_PAGES_REF:
	case CR_IMG_END:
		return false;
	case CR_IMG_STRING:
	case CR_IMG_PROCESS:
	case CR_IMG_THREAD:
	case CR_IMG_CRED:
	case CR_IMG_SCHED:
	case CR_IMG_SIGACTION:
	case CR_IMG_SIGSTATE:
	case CR_IMG_SIGINFO_SHARED:
	case CR_IMG_SIGINFO:
	case CR_IMG_RLIMIT:
	case CR_IMG_ITIMER:
	case CR_IMG_RESTART_BLOCK:
	case CR_IMG_X86_REGS:
	case CR_IMG_X86_XSTATE:
	case CR_IMG_MM:
	case CR_IMG_VMA:
	case CR_IMG_SHMEM:
	case CR_IMG_FS:
	case CR_IMG_FILES:
	case CR_IMG_FD:
	case CR_IMG_FILE:
	case CR_IMG_FILE_PATH:
	case CR_IMG_FILE_PIPE:
	case CR_IMG_FILE_EVENTFD:
	case CR_IMG_FILE_EPOLL:
	case CR_IMG_FILE_SOCKET:
	case CR_IMG_PIPE:
	case CR_IMG_PIPE_DATA:
	case CR_IMG_EPOLL_ITEM:
		return true;
	}
	return false;
}

static void objtab_test_complete(struct kunit *test)
{
	u32 type;

	for (type = 0; type < CR_NR_TYPES; type++)
		KUNIT_EXPECT_EQ_MSG(test, !!cr_obj_ops(type), wants_row(type),
				    "type %u", type);
	KUNIT_EXPECT_NULL(test, cr_obj_ops(CR_IMG_PAGES));
	KUNIT_EXPECT_NULL(test, cr_obj_ops(CR_IMG_PAGES_REF));
	KUNIT_EXPECT_NULL(test, cr_obj_ops(CR_IMG_END));
	KUNIT_EXPECT_NULL(test, cr_obj_ops(ARRAY_SIZE(cr_obj_table)));
	KUNIT_EXPECT_NULL(test, cr_obj_ops(U32_MAX));
}

static void objtab_test_bounds(struct kunit *test)
{
	u32 type;

	for (type = 0; type < CR_NR_TYPES; type++) {
		const struct cr_obj_ops *ops = cr_obj_ops(type);

		if (!ops)
			continue;
		KUNIT_EXPECT_NOT_NULL_MSG(test, ops->check, "%s", ops->name);
		KUNIT_EXPECT_GE_MSG(test, ops->min_len, 1, "%s", ops->name);
		KUNIT_EXPECT_LE_MSG(test, ops->min_len, ops->max_len, "%s", ops->name);
		KUNIT_EXPECT_LE_MSG(test, ops->max_len, CR_REC_MAX, "%s", ops->name);
	}
}

static void objtab_test_row(struct kunit *test, u32 type, const struct cr_obj_ops *ops)
{
	const struct cr_obj_ops *head;

	switch (ops->level) {
	case CR_LVL_PROCESS:
	case CR_LVL_THREAD:
		/* Another row may write it, but then somebody must. */
		KUNIT_EXPECT_TRUE_MSG(test, ops->dump || ops->required, "%s", ops->name);
		/* What the architecture puts into a waiting task has no stage. */
		KUNIT_EXPECT_EQ_MSG(test, !!ops->stage, !!ops->restore, "%s", ops->name);
		KUNIT_EXPECT_LE_MSG(test, ops->stage, CR_STAGE_FINAL, "%s", ops->name);
		break;
	case CR_LVL_SHARED:
		if (type == CR_IMG_STRING)
			break;
		KUNIT_EXPECT_NOT_NULL_MSG(test, ops->dump, "%s", ops->name);
		KUNIT_EXPECT_NOT_NULL_MSG(test, ops->restore, "%s", ops->name);
		break;
	case CR_LVL_FILE:
		KUNIT_EXPECT_NOT_NULL_MSG(test, ops->match, "%s", ops->name);
		KUNIT_EXPECT_NOT_NULL_MSG(test, ops->dump, "%s", ops->name);
		KUNIT_EXPECT_NOT_NULL_MSG(test, ops->restore, "%s", ops->name);
		break;
	case CR_LVL_PART:
		KUNIT_EXPECT_NULL_MSG(test, ops->dump, "%s", ops->name);
		head = cr_obj_ops(ops->head);
		KUNIT_ASSERT_NOT_NULL_MSG(test, head, "%s", ops->name);
		KUNIT_EXPECT_EQ_MSG(test, (int)head->level, CR_LVL_SHARED, "%s", ops->name);
		break;
	default:
		KUNIT_FAIL(test, "%s has no level", ops->name);
	}
	if (ops->level != CR_LVL_PROCESS && ops->level != CR_LVL_THREAD)
		KUNIT_EXPECT_EQ_MSG(test, (int)ops->stage, 0, "%s", ops->name);
	if (ops->level != CR_LVL_PART)
		KUNIT_EXPECT_EQ_MSG(test, (int)ops->head, 0, "%s", ops->name);
}

static void objtab_test_rows(struct kunit *test)
{
	u32 type;

	for (type = 0; type < CR_NR_TYPES; type++) {
		if (cr_obj_ops(type))
			objtab_test_row(test, type, cr_obj_ops(type));
	}
}

/* Messages tell kinds by their names. */
static void objtab_test_names(struct kunit *test)
{
	u32 a, b;

	for (a = 0; a < CR_NR_TYPES; a++) {
		for (b = a + 1; b < CR_NR_TYPES; b++) {
			if (cr_obj_ops(a) && cr_obj_ops(b))
				KUNIT_EXPECT_STRNEQ(test, cr_obj_ops(a)->name,
						    cr_obj_ops(b)->name);
		}
	}
}

static struct kunit_case objtab_test_cases[] = {
	KUNIT_CASE(objtab_test_complete),
	KUNIT_CASE(objtab_test_bounds),
	KUNIT_CASE(objtab_test_rows),
	KUNIT_CASE(objtab_test_names),
	{}
};

static struct kunit_suite objtab_test_suite = {
	.name = "checkpoint_objtab",
	.test_cases = objtab_test_cases,
};

kunit_test_suite(objtab_test_suite);

#endif /* CONFIG_CHECKPOINT_KUNIT_TEST */
