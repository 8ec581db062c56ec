/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of checking socket records. Included at the end of socket.c.
 */
#ifdef CONFIG_CHECKPOINT_KUNIT_TEST
#include <kunit/test.h>

/* An image of one open file that is a socket: records, and the index of them. */
struct socket_test {
	struct cr_img_file file;
	struct cr_img_file_socket s;
	struct cr_rec recs[2];
	u32 heads[2];
	struct cr_ctx *ctx;
};

/* 127.0.0.1:80, listening: a sane record, which the cases then change. */
static int socket_test_init(struct kunit *test)
{
	struct socket_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	test->priv = t;
	t->file.kind = CR_IMG_FILE_SOCKET;
	t->file.flags = O_RDWR;
	t->s.family = AF_INET;
	t->s.type = SOCK_STREAM;
	t->s.protocol = IPPROTO_TCP;
	t->s.state = CR_IMG_SOCKET_LISTEN;
	t->s.ss_state = SS_UNCONNECTED;
	t->s.backlog = 128;
	t->s.rcvlowat = 1;
	t->s.local[0] = 127;
	t->s.local[3] = 1;
	t->s.local_port = 80;
	t->recs[0] = (struct cr_rec) {
		.type = CR_IMG_FILE, .id = 1, .len = sizeof(t->file), .data = &t->file,
	};
	t->recs[1] = (struct cr_rec) {
		.type = CR_IMG_FILE_SOCKET, .id = 1, .index = 1, .len = sizeof(t->s),
		.data = &t->s,
	};
	return 0;
}

/* 0 or -errno; the reason goes to @reason if it is wanted. */
static int socket_test_check(struct kunit *test, unsigned long flags, char *reason)
{
	struct socket_test *t = test->priv;
	struct cr_ctx *ctx = cr_ctx_alloc("test", flags);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, ctx);
	ctx->recs = t->recs;
	ctx->heads = t->heads;
	ctx->nr_records = 2;
	ctx->hdr.nr_objects = 1;
	err = cr_socket_check(ctx, &t->recs[1]);
	KUNIT_EXPECT_EQ(test, err, ctx->err);
	if (reason)
		strscpy(reason, ctx->report.reason, CR_REASON_MAX);
	ctx->recs = NULL;
	ctx->heads = NULL;
	cr_ctx_put(ctx);
	return err;
}

#define FIELD(name)	offsetof(struct cr_img_file_socket, name)

/* One 32-bit field of the listening socket is changed: refused, or not. */
static const struct {
	size_t at;
	u32 value;
	int err;
} socket_test_fields[] = {
	{ FIELD(family), AF_INET, 0 },
	{ FIELD(family), AF_UNIX, -EINVAL },
	{ FIELD(family), AF_PACKET, -EINVAL },
	{ FIELD(family), U32_MAX, -EINVAL },
	{ FIELD(type), SOCK_DGRAM, -EINVAL },
	{ FIELD(type), SOCK_STREAM | SOCK_NONBLOCK, -EINVAL },
	{ FIELD(protocol), 0, -EINVAL },
	{ FIELD(protocol), IPPROTO_UDP, -EINVAL },
	{ FIELD(state), 0, -EINVAL },
	{ FIELD(state), CR_IMG_SOCKET_RESET, -EINVAL },
	{ FIELD(state), CR_IMG_SOCKET_CLOSED, -EINVAL },
	{ FIELD(state), CR_IMG_SOCKET_CLOSED + 1, -EINVAL },
	{ FIELD(ss_state), SS_FREE, -EINVAL },
	{ FIELD(ss_state), SS_CONNECTED, -EINVAL },
	{ FIELD(shutdown), SHUTDOWN_MASK, 0 },
	{ FIELD(shutdown), SHUTDOWN_MASK + 1, -EINVAL },
	{ FIELD(err), ECONNRESET, 0 },
	{ FIELD(err), ERESTARTSYS, -EINVAL },
	{ FIELD(err), U32_MAX, -EINVAL },
	{ FIELD(flags), CR_IMG_SOCKET_ALL & ~CR_IMG_SOCKET_V6ONLY, 0 },
	{ FIELD(flags), CR_IMG_SOCKET_V6ONLY, -EINVAL },
	{ FIELD(flags), CR_IMG_SOCKET_ALL + 1, -EINVAL },
	{ FIELD(backlog), U32_MAX, 0 },
	{ FIELD(sndbuf), INT_MAX, 0 },
	{ FIELD(sndbuf), U32_MAX, -EINVAL },
	{ FIELD(rcvbuf), U32_MAX, -EINVAL },
	{ FIELD(rcvlowat), 0, -EINVAL },
	{ FIELD(rcvlowat), U32_MAX, -EINVAL },
	{ FIELD(linger_sec), 1, -EINVAL },
	{ FIELD(rcvtimeo_ns) + 4, INT_MAX, 0 },
	{ FIELD(rcvtimeo_ns) + 4, U32_MAX, -EINVAL },
	{ FIELD(sndtimeo_ns) + 4, U32_MAX, -EINVAL },
	{ FIELD(keepidle), 32767, 0 },
	{ FIELD(keepidle), 32768, -EINVAL },
	{ FIELD(keepintvl), 32768, -EINVAL },
	{ FIELD(keepcnt), 128, -EINVAL },
	{ FIELD(syncnt), 128, -EINVAL },
	{ FIELD(user_timeout_ms), U32_MAX, -EINVAL },
	{ FIELD(defer_accept), U32_MAX, -EINVAL },
	{ FIELD(maxseg), 1, -EINVAL },
	{ FIELD(maxseg), 1460, 0 },
	{ FIELD(maxseg), 32768, -EINVAL },
	{ FIELD(tos), 0xfc, 0 },
	{ FIELD(tos), 0x02, -EINVAL },
	{ FIELD(tos), 0x100, -EINVAL },
	{ FIELD(tclass), 0x20, -EINVAL },
	{ FIELD(local) + 4, 1, -EINVAL },
	{ FIELD(remote), 1, -EINVAL },
	{ FIELD(local_port), 0, -EINVAL },
	{ FIELD(local_port), 65535, 0 },
	{ FIELD(local_port), 65536, -EINVAL },
	{ FIELD(remote_port), 1, -EINVAL },
	{ FIELD(name_id), 1, -EINVAL },
	{ FIELD(device_id), 1, -EINVAL },
	{ FIELD(device_id), U32_MAX, -EINVAL },
	{ FIELD(reserved), 1, -EINVAL },
};

static void socket_test_bounds(struct kunit *test)
{
	struct socket_test *t = test->priv;
	struct cr_img_file_socket sane = t->s;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(socket_test_fields); i++) {
		t->s = sane;
		*(u32 *)((u8 *)&t->s + socket_test_fields[i].at) = socket_test_fields[i].value;
		KUNIT_EXPECT_EQ_MSG(test, socket_test_check(test, 0, NULL),
				    socket_test_fields[i].err, "case %u: %u at %zu", i,
				    socket_test_fields[i].value, socket_test_fields[i].at);
	}
}

static void socket_test_ipv6(struct kunit *test)
{
	struct socket_test *t = test->priv;

	t->s.family = AF_INET6;
	t->s.flags = CR_IMG_SOCKET_V6ONLY;
	t->s.tclass = 0x20;
	t->s.local[15] = 1;
	KUNIT_EXPECT_EQ(test, socket_test_check(test, 0, NULL), 0);
}

static void socket_test_unix(struct kunit *test)
{
	struct socket_test *t = test->priv;

	memset(&t->s, 0, sizeof(t->s));
	t->s.family = AF_UNIX;
	t->s.type = SOCK_SEQPACKET;
	t->s.state = CR_IMG_SOCKET_UNCONNECTED;
	t->s.ss_state = SS_UNCONNECTED;
	t->s.rcvlowat = 1;
	KUNIT_EXPECT_EQ(test, socket_test_check(test, 0, NULL), 0);
	t->s.remote[15] = 1;
	KUNIT_EXPECT_EQ(test, socket_test_check(test, 0, NULL), -EINVAL);
	t->s.remote[15] = 0;
	t->s.state = CR_IMG_SOCKET_LISTEN;
	KUNIT_EXPECT_EQ(test, socket_test_check(test, 0, NULL), -EINVAL);
	t->s.state = CR_IMG_SOCKET_UNCONNECTED;
	t->s.type = SOCK_DGRAM;
	KUNIT_EXPECT_EQ(test, socket_test_check(test, 0, NULL), -EINVAL);
}

/* What is lost needs the flag, and the reason says what it is. */
static void socket_test_lost(struct kunit *test)
{
	char *reason = kunit_kzalloc(test, CR_REASON_MAX, GFP_KERNEL);
	struct socket_test *t = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, reason);
	t->s.nr_pending = 3;
	KUNIT_EXPECT_EQ(test, socket_test_check(test, RESTART_CONN_RESET, NULL), 0);
	KUNIT_EXPECT_EQ(test, socket_test_check(test, 0, reason), -ECONNRESET);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(reason, "on 127.0.0.1:80 has 3 connections"),
				  "%s", reason);

	t->s.nr_pending = 0;
	t->s.backlog = 0;
	t->s.state = CR_IMG_SOCKET_RESET;
	t->s.ss_state = SS_CONNECTED;
	t->s.remote[0] = 127;
	t->s.remote[3] = 2;
	t->s.remote_port = 4321;
	KUNIT_EXPECT_EQ(test, socket_test_check(test, RESTART_CONN_RESET, NULL), 0);
	KUNIT_EXPECT_EQ(test, socket_test_check(test, 0, reason), -ECONNRESET);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(reason, "127.0.0.1:80 <-> 127.0.0.2:4321"),
				  "%s", reason);
	t->s.state = CR_IMG_SOCKET_CLOSED;
	KUNIT_EXPECT_EQ(test, socket_test_check(test, 0, NULL), 0);
}

static struct kunit_case socket_test_cases[] = {
	KUNIT_CASE(socket_test_bounds),
	KUNIT_CASE(socket_test_ipv6),
	KUNIT_CASE(socket_test_unix),
	KUNIT_CASE(socket_test_lost),
	{}
};

static struct kunit_suite socket_test_suite = {
	.name = "checkpoint_socket",
	.init = socket_test_init,
	.test_cases = socket_test_cases,
};

kunit_test_suite(socket_test_suite);

#endif /* CONFIG_CHECKPOINT_KUNIT_TEST */
