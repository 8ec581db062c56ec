// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint/restart: an image contains what the processes have, and nothing of
 * the kernel: padding and reserved fields are zero, no address of the kernel, no
 * memory that was not initialised.
 */
#include "security_help.h"

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

/* ---- a workload with many kinds of records ---- */

static void *thread_main(void *arg)
{
	raise(SIGRTMIN);
	pthread_barrier_wait(arg);
	for (;;)
		pause();
	return NULL;
}

static void open_some(struct cr_child *c)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int p[2], ep = epoll_create1(0);

	CR_CHECK(c, ep >= 0 && !pipe(p) && write(p[1], "abc", 3) == 3);
	CR_CHECK(c, !epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	CR_CHECK(c, eventfd(7, 0) >= 0 && socket(AF_INET, SOCK_STREAM, 0) >= 0);
	CR_CHECK(c, open(c->dir, O_RDONLY | O_DIRECTORY) >= 0);
	CR_CHECK(c, mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0) != MAP_FAILED);
}

static void do_many(struct cr_child *c)
{
	struct itimerval far = { { 1000, 0 }, { 1000, 0 } };
	pthread_barrier_t set_up;
	pthread_t thread;
	sigset_t set;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_SETMASK, &set, NULL);
	kill(getpid(), SIGUSR1);
	sigqueue(getpid(), SIGRTMIN, (union sigval) { .sival_int = 1 });
	CR_CHECK(c, !setitimer(ITIMER_REAL, &far, NULL));
	open_some(c);
	pid = must_fork(c);
	if (!pid)
		_exit(5);
	wait_state(c, pid, 'Z');
	pthread_barrier_init(&set_up, NULL, 2);
	CR_CHECK(c, !pthread_create(&thread, NULL, thread_main, &set_up));
	pthread_barrier_wait(&set_up);
	/* in no sleep whose rest may be negative, which looks like an address */
	cr_say_ready(c);
	for (;;)
		pause();
}

FIXTURE(leak) {
	struct cr_child c;
	struct image im;
};

FIXTURE_SETUP(leak)
{
	make_image(_metadata, &self->c, do_many, &self->im);
}

FIXTURE_TEARDOWN(leak)
{
	free(self->im.data);
	cr_end(_metadata, &self->c);
}

static bool is_zero(const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n && !*p) {
		p++;
		n--;
	}
	return !n;
}

/* ---- what must be zero ---- */

TEST_F(leak, padding_between_records)
{
	struct cr_img_rec *rec = NULL;
	unsigned int padded = 0;

	while ((rec = image_next(&self->im, rec))) {
		size_t used = sizeof(*rec) + rec->len;

		EXPECT_TRUE(is_zero((char *)rec + used, image_rec_size(rec) - used)) {
			TH_LOG("behind a record of type %u", rec->type);
		}
		padded += image_rec_size(rec) > used;
	}
	EXPECT_LT(0, padded);
}

static const struct field reserved[] = {
	FIELD(CR_IMG_PROCESS, cr_img_process, reserved),
	FIELD(CR_IMG_THREAD, cr_img_thread, reserved),
	FIELD(CR_IMG_X86_XSTATE, cr_img_x86_xstate, reserved),
	FIELD(CR_IMG_VMA, cr_img_vma, reserved),
	FIELD(CR_IMG_SHMEM, cr_img_shmem, reserved),
	FIELD(CR_IMG_FS, cr_img_fs, reserved),
	FIELD(CR_IMG_FILES, cr_img_files, reserved),
	FIELD(CR_IMG_FD, cr_img_fd, reserved),
	FIELD(CR_IMG_FILE_PATH, cr_img_file_path, reserved),
	FIELD(CR_IMG_FILE_PIPE, cr_img_file_pipe, reserved),
	FIELD(CR_IMG_FILE_EVENTFD, cr_img_file_eventfd, reserved),
	FIELD(CR_IMG_FILE_EPOLL, cr_img_file_epoll, reserved),
	FIELD(CR_IMG_FILE_SOCKET, cr_img_file_socket, reserved),
};

TEST_F(leak, reserved_fields)
{
	struct cr_img_rec *rec;
	unsigned int i;
	int n;

	EXPECT_EQ(0U, image_header(&self->im)->reserved);
	EXPECT_TRUE(is_zero(image_header(&self->im)->parent_uuid, 16));
	for (i = 0; i < ARRAY_SIZE(reserved); i++) {
		for (n = 0; (rec = image_find(&self->im, reserved[i].type, n)); n++) {
			EXPECT_TRUE(is_zero(field_of(rec, &reserved[i]), reserved[i].size)) {
				TH_LOG("type %u", reserved[i].type);
			}
		}
		EXPECT_LT(0, n) {
			TH_LOG("no record of type %u", reserved[i].type);
		}
	}
	rec = (void *)(self->im.data + image_meta_end(&self->im));
	for (; rec->type == CR_IMG_PAGES; rec = (void *)rec + image_run_size(rec))
		EXPECT_EQ(0U, image_pages(rec)->reserved);
}

/* What kill() says about itself is a pid and a user, behind three numbers. */
TEST_F(leak, rest_of_siginfo)
{
	struct cr_img_siginfo *img;
	struct cr_img_rec *rec;
	int n, found = 0;

	for (n = 0; (rec = image_find(&self->im, CR_IMG_SIGINFO_SHARED, n)); n++) {
		img = (void *)(rec + 1);
		if (img->signo != SIGUSR1)
			continue;
		found++;
		EXPECT_TRUE(is_zero(img->info + 12, 4));
		EXPECT_TRUE(is_zero(img->info + 24, sizeof(img->info) - 24));
	}
	EXPECT_EQ(1, found);
}

TEST_F(leak, rest_of_names)
{
	const struct cr_img_thread *img;
	struct cr_img_rec *rec;
	size_t len;
	int n;

	for (n = 0; (rec = image_find(&self->im, CR_IMG_THREAD, n)); n++) {
		img = (void *)(rec + 1);
		len = strnlen((const char *)img->comm, sizeof(img->comm));
		ASSERT_GT(sizeof(img->comm), len);
		EXPECT_TRUE(is_zero(img->comm + len, sizeof(img->comm) - len));
	}
	EXPECT_LT(1, n);
}

/* ---- what must not be there ---- */

/* The direct map, vmalloc and vmemmap; kernel text and modules. Not errnos, masks. */
static bool is_kernel_address(__u64 v)
{
	return (v >= 0xffff800000000000ULL && v < 0xfffff00000000000ULL) ||
	       (v >= 0xffffffff80000000ULL && v < 0xffffffffff000000ULL);
}

/* What the debugging of the slab and page allocators writes into free memory. */
static bool is_poison(__u64 v)
{
	static const unsigned char bytes[] = { 0x6b, 0x5a, 0xa5, 0xaa, 0xbb, 0xcc };
	unsigned int i;

	for (i = 0; i < sizeof(bytes); i++)
		if (v == bytes[i] * 0x0101010101010101ULL)
			return true;
	return false;
}

/* In all metadata: 8 bytes at any multiple of 4. */
TEST_F(leak, kernel_memory)
{
	struct cr_img_rec *rec = NULL;
	unsigned int words = 0;
	size_t i;
	__u64 v;

	while ((rec = image_next(&self->im, rec))) {
		for (i = 0; i + 8 <= rec->len; i += 4, words++) {
			memcpy(&v, (char *)(rec + 1) + i, 8);
			EXPECT_FALSE(is_poison(v)) {
				TH_LOG("type %u offset %zu: 0x%llx", rec->type, i, v);
			}
			EXPECT_FALSE(i % 8 == 0 && is_kernel_address(v)) {
				TH_LOG("type %u offset %zu: 0x%llx", rec->type, i, v);
			}
		}
	}
	EXPECT_LT(1000, words);
}

/* Does not even wake up to see whether it is to go on. */
static void do_pause(struct cr_child *c)
{
	cr_say_ready(c);
	for (;;)
		pause();
}

/* Two images of a process that has done nothing in between do not differ. */
TEST(nothing_random)
{
	struct cr_img_rec *a = NULL, *b = NULL;
	struct image first, second;
	struct cr_child c;
	unsigned int n = 0;

	cr_begin(_metadata, &c, do_pause);
	while (task_state(c.pid) != 'S')
		cr_sleep_ms(CR_POLL_MS);
	ASSERT_LT(0, cr_save(_metadata, &c, 0));
	image_read(_metadata, &c, &first);
	/* the call that was interrupted has begun again */
	while (task_state(c.pid) != 'S')
		cr_sleep_ms(CR_POLL_MS);
	ASSERT_LT(0, cr_save(_metadata, &c, 0));
	image_read(_metadata, &c, &second);
	ASSERT_EQ(image_header(&first)->nr_records, image_header(&second)->nr_records);
	for (; (a = image_next(&first, a)) && (b = image_next(&second, b)); n++) {
		ASSERT_EQ(a->type, b->type);
		ASSERT_EQ(a->len, b->len);
		EXPECT_EQ(0, memcmp(a, b, sizeof(*a) + a->len)) {
			TH_LOG("type %u", a->type);
		}
	}
	EXPECT_EQ(image_header(&first)->nr_records, n);
	free(first.data);
	free(second.data);
	cr_end(_metadata, &c);
}

/* ---- who can read it ---- */

/* The kernel leaves the mode of the file alone; the caller has chosen it. */
TEST_F(leak, mode_of_the_file)
{
	struct stat st;

	ASSERT_EQ(0, stat(self->c.image, &st));
	EXPECT_EQ(0600U, st.st_mode & 07777);
}

TEST_HARNESS_MAIN
