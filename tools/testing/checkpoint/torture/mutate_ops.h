/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is done to an image: each op is one small change that knows what it
 * changes. All that is random comes from struct rng, so that an image is a
 * function of the corpus and of the seed.
 */
#ifndef _MUTATE_OPS_H
#define _MUTATE_OPS_H

#include <limits.h>

#include "mutate_image.h"
#include "splitmix.h"

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define USER_END	0x7ffffffff000ULL

struct rng {
	uint64_t state;
};

static uint64_t rnd(struct rng *r)
{
	return splitmix(&r->state);
}

static uint64_t below(struct rng *r, uint64_t n)
{
	return n ? rnd(r) % n : 0;
}

static bool chance(struct rng *r, unsigned int percent)
{
	return below(r, 100) < percent;
}

/* ---- which fields mean something to others ---- */

struct field {
	uint32_t type;
	uint16_t offset;
};

#define FIELD(type, s, f) { type, offsetof(struct s, f) }

static const struct field refs[] = {
	FIELD(CR_IMG_PROCESS, cr_img_process, mm_id),
	FIELD(CR_IMG_PROCESS, cr_img_process, fs_id),
	FIELD(CR_IMG_PROCESS, cr_img_process, files_id),
	FIELD(CR_IMG_THREAD, cr_img_thread, process_id),
	FIELD(CR_IMG_MM, cr_img_mm, exe_id),
	FIELD(CR_IMG_VMA, cr_img_vma, file_id),
	FIELD(CR_IMG_VMA, cr_img_vma, name_id),
	FIELD(CR_IMG_FS, cr_img_fs, root_id),
	FIELD(CR_IMG_FS, cr_img_fs, cwd_id),
	FIELD(CR_IMG_FD, cr_img_fd, file_id),
	FIELD(CR_IMG_FILE_PATH, cr_img_file_path, path_id),
	FIELD(CR_IMG_FILE_PIPE, cr_img_file_pipe, pipe_id),
	FIELD(CR_IMG_EPOLL_ITEM, cr_img_epoll_item, file_id),
	FIELD(CR_IMG_FILE_SOCKET, cr_img_file_socket, name_id),
	FIELD(CR_IMG_FILE_SOCKET, cr_img_file_socket, device_id),
};

static const struct field pids[] = {
	FIELD(CR_IMG_PROCESS, cr_img_process, pid),
	FIELD(CR_IMG_PROCESS, cr_img_process, ppid),
	FIELD(CR_IMG_PROCESS, cr_img_process, pgid),
	FIELD(CR_IMG_PROCESS, cr_img_process, sid),
	FIELD(CR_IMG_THREAD, cr_img_thread, tid),
};

static const struct field addresses[] = {
	FIELD(CR_IMG_VMA, cr_img_vma, start),
	FIELD(CR_IMG_VMA, cr_img_vma, end),
	FIELD(CR_IMG_VMA, cr_img_vma, offset),
	FIELD(CR_IMG_MM, cr_img_mm, vdso),
	FIELD(CR_IMG_MM, cr_img_mm, mmap_base),
	FIELD(CR_IMG_MM, cr_img_mm, start_brk),
	FIELD(CR_IMG_MM, cr_img_mm, brk),
	FIELD(CR_IMG_MM, cr_img_mm, start_stack),
	FIELD(CR_IMG_THREAD, cr_img_thread, clear_child_tid),
	FIELD(CR_IMG_THREAD, cr_img_thread, robust_list),
	FIELD(CR_IMG_THREAD, cr_img_thread, rseq),
	FIELD(CR_IMG_SIGSTATE, cr_img_sigstate, altstack_sp),
	FIELD(CR_IMG_RESTART_BLOCK, cr_img_restart_block, uaddr),
	FIELD(CR_IMG_SHMEM, cr_img_shmem, size),
};

/* Fields of many single bits: one bit at a time reaches the most. */
static const struct field bits[] = {
	FIELD(CR_IMG_PROCESS, cr_img_process, flags),
	FIELD(CR_IMG_THREAD, cr_img_thread, flags),
	FIELD(CR_IMG_CRED, cr_img_cred, securebits),
	FIELD(CR_IMG_CRED, cr_img_cred, cap_inheritable),
	FIELD(CR_IMG_CRED, cr_img_cred, cap_permitted),
	FIELD(CR_IMG_CRED, cr_img_cred, cap_effective),
	FIELD(CR_IMG_CRED, cr_img_cred, cap_bounding),
	FIELD(CR_IMG_CRED, cr_img_cred, cap_ambient),
	FIELD(CR_IMG_MM, cr_img_mm, flags),
	FIELD(CR_IMG_VMA, cr_img_vma, flags),
	FIELD(CR_IMG_VMA, cr_img_vma, kind),
	FIELD(CR_IMG_FILE, cr_img_file, flags),
	FIELD(CR_IMG_FILE_PATH, cr_img_file_path, mode),
	FIELD(CR_IMG_FILE_SOCKET, cr_img_file_socket, flags),
	FIELD(CR_IMG_FILE_SOCKET, cr_img_file_socket, state),
	FIELD(CR_IMG_EPOLL_ITEM, cr_img_epoll_item, events),
	FIELD(CR_IMG_RESTART_BLOCK, cr_img_restart_block, flags),
	FIELD(CR_IMG_RESTART_BLOCK, cr_img_restart_block, kind),
	FIELD(CR_IMG_SCHED, cr_img_sched, flags),
	FIELD(CR_IMG_PIPE, cr_img_pipe, packets),
};

/* ---- picking ---- */

/* A record of metadata: each kind is as likely as any other. */
static struct rec *pick_rec(struct image *im, struct rng *r)
{
	struct rec *any = &im->rec[below(r, im->nr_meta)], *p;
	uint32_t types[128] = {};
	unsigned int i, nr = 0, n;

	if (chance(r, 25))
		return any;
	for (i = 0; i < im->nr_meta; i++) {
		for (n = 0; n < nr && types[n] != im->rec[i].head.type; n++)
			;
		if (n == nr && nr < ARRAY_LEN(types))
			types[nr++] = im->rec[i].head.type;
	}
	n = types[below(r, nr)];
	i = below(r, im->nr_meta);
	for (p = &im->rec[i]; p->head.type != n; p = &im->rec[i])
		i = (i + 1) % im->nr_meta;
	return p;
}

static struct rec *pick_type(struct image *im, struct rng *r, uint32_t type)
{
	unsigned int i, at = below(r, im->nr_meta);

	for (i = 0; i < im->nr_meta; i++, at = (at + 1) % im->nr_meta)
		if (im->rec[at].head.type == type)
			return &im->rec[at];
	return NULL;
}

static struct rec *pick_field(struct image *im, struct rng *r, const struct field *f,
			      size_t nr, size_t *offset)
{
	struct rec *rec = NULL;
	unsigned int tries;

	for (tries = 0; !rec && tries < 16; tries++, *offset = f->offset) {
		const struct field *one = &f[below(r, nr)];

		rec = pick_type(im, r, one->type);
		if (rec && one->offset + 8UL <= rec->room) {
			*offset = one->offset;
			return rec_own(rec, rec->room) ? rec : NULL;
		}
		rec = NULL;
	}
	return NULL;
}

static uint32_t get32(const struct rec *r, size_t at)
{
	uint32_t v;

	memcpy(&v, r->data + at, 4);
	return v;
}

static uint64_t get64(const struct rec *r, size_t at)
{
	uint64_t v;

	memcpy(&v, r->data + at, 8);
	return v;
}

/* ---- values ---- */

static uint64_t odd_value(struct image *im, struct rng *r, uint64_t old)
{
	static const uint64_t fixed[] = {
		0, 1, 2, ~0ULL, INT_MAX, (uint32_t)INT_MIN, UINT_MAX, 1ULL << 32, LLONG_MAX,
		1ULL << 63, PAGE, PAGE - 1, PAGE + 1, 512, 513, 1024, 1025, 65535, 65536,
		65537, 1 << 20, 1 << 22, USER_END, USER_END - PAGE, USER_END + PAGE,
		0x800000000000ULL, 0xffff800000000000ULL, -PAGE, 1 << 30, 64, 65, 99, 100,
		1000000000, 9223372036ULL, 0x00100001, 040000, 0100000, 0140000,
	};
	struct rec *other;

	switch (below(r, 10)) {
	case 0:
		return old + 1;
	case 1:
		return old - 1;
	case 2:
		return old ^ 1ULL << below(r, 64);
	case 3:
		return old ^ 1ULL << below(r, 32);
	case 4:
		return below(r, im->hdr.nr_objects + 2);
	case 5:
		return below(r, 130);
	case 6:
		return chance(r, 50) ? old + PAGE : old - PAGE;
	case 7:
		other = pick_rec(im, r);
		if (other->room >= 8)
			return get64(other, below(r, other->room / 8) * 8);
		return old << 1;
	case 8:
		return rnd(r) >> below(r, 64);
	}
	return fixed[below(r, ARRAY_LEN(fixed))];
}

static void op_field(struct image *im, struct rng *r)
{
	struct rec *rec = pick_rec(im, r);
	uint64_t v;
	size_t at;

	if (rec->room < 8 || !rec_own(rec, rec->room))
		return;
	/* mostly the first fields, where most of the meaning is */
	at = below(r, rec->room > 64 && chance(r, 70) ? 16 : rec->room / 4) * 4;
	if (at + 8 <= rec->room && at % 8 == 0 && chance(r, 50)) {
		v = odd_value(im, r, get64(rec, at));
		memcpy(rec->data + at, &v, 8);
	} else {
		v = odd_value(im, r, get32(rec, at));
		memcpy(rec->data + at, &v, 4);
	}
}

static void op_bit(struct image *im, struct rng *r)
{
	size_t at;
	struct rec *rec = pick_field(im, r, bits, ARRAY_LEN(bits), &at);

	if (rec)
		rec->data[at + below(r, chance(r, 70) ? 4 : 8)] ^= 1 << below(r, 8);
}

static void op_ref(struct image *im, struct rng *r)
{
	size_t at;
	struct rec *rec = pick_field(im, r, refs, ARRAY_LEN(refs), &at);
	uint32_t id;

	if (!rec)
		return;
	id = chance(r, 70) ? pick_rec(im, r)->head.id : odd_value(im, r, get32(rec, at));
	memcpy(rec->data + at, &id, 4);
}

static void op_pid(struct image *im, struct rng *r)
{
	static const int32_t odd[] = { 0, 1, 2, 3, -1, 32767, 32768, 4194303, 4194304, INT_MAX };
	struct rec *rec, *other;
	size_t at, from;
	int32_t pid;

	rec = pick_field(im, r, pids, ARRAY_LEN(pids), &at);
	other = rec ? pick_field(im, r, pids, ARRAY_LEN(pids), &from) : NULL;
	if (!other)
		return;
	pid = chance(r, 70) ? (int32_t)get32(other, from) : odd[below(r, ARRAY_LEN(odd))];
	memcpy(rec->data + at, &pid, 4);
}

static void op_address(struct image *im, struct rng *r)
{
	struct rec *rec, *other;
	size_t at, from;
	uint64_t v;

	rec = pick_field(im, r, addresses, ARRAY_LEN(addresses), &at);
	other = rec ? pick_field(im, r, addresses, ARRAY_LEN(addresses), &from) : NULL;
	if (!other)
		return;
	v = get64(chance(r, 50) ? rec : other, rec == other || chance(r, 50) ? at : from);
	switch (below(r, 5)) {
	case 0:
		v += PAGE;
		break;
	case 1:
		v -= PAGE;
		break;
	case 2:
		v += PAGE << below(r, 36);
		break;
	case 3:
		v = odd_value(im, r, v);
		break;
	}
	memcpy(rec->data + at, &v, 8);
}

/* Names that open() must have its say about. */
static void op_string(struct image *im, struct rng *r)
{
	static const char *const names[] = {
		"/", ".", "..", "", "/etc/shadow", "/proc/self/mem", "/proc/1/root", "/proc/1/mem",
		"/dev/null", "/dev/tty", "/dev/ptmx", "/dev/kmsg", "/dev", "/tmp",
		"/proc/self/fd/0", "/dev/vda", "/proc/kcore", "/nothing", "lo", "eth0",
		"/tmp/torture_mutate.d/secret", "/tmp/torture_mutate.d/fifo",
	};
	struct rec *rec = pick_type(im, r, CR_IMG_STRING), *other;
	const char *name = names[below(r, ARRAY_LEN(names))];
	size_t len = strlen(name);

	if (!rec)
		return;
	if (chance(r, 30)) {
		other = pick_type(im, r, CR_IMG_STRING);
		rec->head.len = other->head.len;
		rec->data = other->data;
		rec->room = other->room;
		rec->changed = true;
		return;
	}
	if (chance(r, 20) && rec_own(rec, rec->room)) {
		rec->data[below(r, rec->head.len)] = rnd(r);
		return;
	}
	if (chance(r, 10))
		len = PAGE - 1 - below(r, 3);
	if (!rec_own(rec, (len + 7) & ~7UL))
		return;
	memset(rec->data, 0, rec->room);
	memset(rec->data, '/', len);
	memcpy(rec->data, name, strlen(name) < len ? strlen(name) : len);
	rec->head.len = len;
}

/* ---- records as a whole ---- */

static void rec_delete(struct image *im, unsigned int i)
{
	memmove(&im->rec[i], &im->rec[i + 1], (im->nr - i - 1) * sizeof(im->rec[0]));
	im->nr_meta -= i < im->nr_meta;
	im->nr--;
}

static bool rec_insert(struct image *im, unsigned int i, const struct rec *r)
{
	struct rec copy = *r;

	if (im->nr == MAX_RECS)
		return false;
	memmove(&im->rec[i + 1], &im->rec[i], (im->nr - i) * sizeof(im->rec[0]));
	im->rec[i] = copy;
	im->nr_meta += i <= im->nr_meta;
	im->nr++;
	return true;
}

/* The object that record @i belongs to: its first record and how many it has. */
static unsigned int object_of(struct image *im, unsigned int *i)
{
	uint32_t id = im->rec[*i].head.id;
	unsigned int n = 1;

	while (*i && im->rec[*i - 1].head.id == id)
		--*i;
	while (*i + n < im->nr_meta && im->rec[*i + n].head.id == id)
		n++;
	return n;
}

static void op_delete(struct image *im, struct rng *r)
{
	unsigned int i = pick_rec(im, r) - im->rec, n = 1;

	if (chance(r, 30))
		n = object_of(im, &i);
	while (n-- && im->nr_meta > 1)
		rec_delete(im, i);
}

static void op_duplicate(struct image *im, struct rng *r)
{
	unsigned int i = pick_rec(im, r) - im->rec, to = i + 1, n = 1, k;
	bool renumber = chance(r, 50);
	struct rec copy;

	if (chance(r, 40)) {
		n = object_of(im, &i);
		to = i + n;
	}
	if (chance(r, 30))
		to = below(r, im->nr_meta);
	for (k = 0; k < n; k++) {
		copy = im->rec[i + k + (to <= i ? k : 0)];
		if (renumber) {
			copy.head.id = im->hdr.nr_objects + 1;
			copy.changed = true;
		}
		if (!rec_insert(im, to + k, &copy))
			return;
	}
}

static void op_swap(struct image *im, struct rng *r)
{
	unsigned int i = pick_rec(im, r) - im->rec, j = pick_rec(im, r) - im->rec;
	struct rec keep = im->rec[i];
	uint32_t id;

	if (chance(r, 30)) {
		j = (i + 1) % im->nr_meta;
		keep = im->rec[i];
	}
	im->rec[i] = im->rec[j];
	im->rec[j] = keep;
	if (chance(r, 30)) {
		/* only what is in them changes places */
		id = im->rec[i].head.id;
		im->rec[i].head.id = im->rec[j].head.id;
		im->rec[j].head.id = id;
		im->rec[i].changed = true;
		im->rec[j].changed = true;
	}
}

/* Records of another image: in the place of one of that type, or put between. */
static void op_splice(struct image *im, struct rng *r, struct image *from)
{
	unsigned int i = pick_rec(from, r) - from->rec, n = 1, to, k;
	struct rec *like;

	if (chance(r, 40))
		n = object_of(from, &i);
	like = pick_type(im, r, from->rec[i].head.type);
	to = below(r, im->nr_meta);
	if (like && chance(r, 80))
		to = like - im->rec;
	for (k = 0; k < n; k++) {
		struct rec copy = from->rec[i + k];

		copy.head.id = im->rec[to < im->nr_meta ? to : 0].head.id;
		copy.changed = true;
		if (like && n == 1)
			im->rec[to] = copy;
		else if (!rec_insert(im, to + k, &copy))
			return;
	}
}

static void op_type(struct image *im, struct rng *r)
{
	struct rec *rec = pick_rec(im, r);

	rec->head.type = chance(r, 70) ? pick_rec(im, r)->head.type : odd_value(im, r, 98);
	rec->changed = true;
}

static void op_id(struct image *im, struct rng *r)
{
	struct rec *rec = pick_rec(im, r);

	rec->head.id = chance(r, 60) ? pick_rec(im, r)->head.id :
				       odd_value(im, r, im->hdr.nr_objects);
	rec->changed = true;
}

static void op_length(struct image *im, struct rng *r)
{
	static const uint32_t lies[] = { 0, 1, 7, 1 << 20, (1 << 20) + 1, INT_MAX, UINT_MAX, -7 };
	struct rec *rec = pick_rec(im, r);
	size_t len;

	rec->changed = true;
	if (chance(r, 20)) {
		rec->head.len = lies[below(r, ARRAY_LEN(lies))];
		return;
	}
	len = chance(r, 60) ? rec->head.len + below(r, 33) - 16 : below(r, 70000);
	if (len > 70000 || !rec_own(rec, (len + 7) & ~7UL))
		return;
	rec->head.len = len;
}

/* ---- pages, header, trailer ---- */

static void op_pages(struct image *im, struct rng *r)
{
	unsigned int n = im->nr - im->nr_meta, i;
	struct cr_img_pages *pg;
	struct rec *rec;

	if (n < 2)
		return;
	i = im->nr_meta + below(r, n - 1);
	rec = &im->rec[i];
	if (rec->head.type != CR_IMG_PAGES || !rec_own(rec, rec->room))
		return;
	pg = (void *)rec->data;
	switch (below(r, 9)) {
	case 0:
		pg->start = odd_value(im, r, pg->start);
		break;
	case 1:
		pg->start += (below(r, 64) - 32) * PAGE;
		break;
	case 2:
		pg->nr_pages = odd_value(im, r, pg->nr_pages);
		break;
	case 3:
		rec->head.id = chance(r, 60) ? pick_rec(im, r)->head.id :
					       odd_value(im, r, rec->head.id);
		break;
	case 4:
		rec_delete(im, i);
		break;
	case 5:
		rec_insert(im, im->nr_meta + below(r, n), rec);
		break;
	case 6:
		/* less of them, or more than there are */
		rec->page_bytes = below(r, rec->page_bytes / PAGE + 1) * PAGE;
		if (chance(r, 80))
			pg->nr_pages = rec->page_bytes / PAGE;
		rec->pages_changed = true;
		break;
	case 7:
		rec = pick_type(im, r, CR_IMG_VMA);
		if (rec && rec->room >= 8)
			pg->start = get64(rec, 0) + below(r, 3) * PAGE - PAGE;
		break;
	default:
		pg->hash ^= chance(r, 50);
		pg->reserved = chance(r, 50) ? odd_value(im, r, 0) : 0;
		break;
	}
}

static void op_header(struct image *im, struct rng *r)
{
	uint32_t *words = (void *)&im->hdr;
	size_t n = below(r, sizeof(im->hdr) / 4);

	im->lie_header = chance(r, 80);
	words[n] = odd_value(im, r, words[n]);
}

static void op_trailer(struct image *im, struct rng *r)
{
	struct rec *end = &im->rec[im->nr - 1];
	uint64_t v;
	size_t at;

	if (!rec_own(end, end->room) || end->room < 8)
		return;
	switch (below(r, 4)) {
	case 0:
		rec_insert(im, im->nr_meta + below(r, im->nr - im->nr_meta), end);
		return;
	case 1:
		rec_delete(im, im->nr - 1);
		return;
	case 2:
		end->head.id = odd_value(im, r, 0);
		return;
	}
	im->lie_trailer = true;
	at = below(r, end->room / 8) * 8;
	v = odd_value(im, r, get64(end, at));
	memcpy(end->data + at, &v, 8);
}

/* ---- all together ---- */

static const struct {
	unsigned int weight;
	void (*op)(struct image *im, struct rng *r);
} ops[] = {
	{ 24, op_field }, { 14, op_bit }, { 10, op_ref }, { 6, op_pid }, { 9, op_address },
	{ 5, op_string }, { 5, op_delete }, { 5, op_duplicate }, { 4, op_swap }, { 3, op_type },
	{ 2, op_id }, { 3, op_length }, { 6, op_pages }, { 2, op_header }, { 2, op_trailer },
};

static void mutate_once(struct image *im, struct rng *r, struct image *other)
{
	unsigned int at = below(r, 105), i;

	for (i = 0; i < ARRAY_LEN(ops) && at >= ops[i].weight; i++)
		at -= ops[i].weight;
	if (!im->nr_meta)
		return;
	if (i < ARRAY_LEN(ops))
		ops[i].op(im, r);
	else
		op_splice(im, r, other);
}

/* Change the bytes that were written. Returns the new size. */
static size_t mutate_bytes(unsigned char *p, size_t size, struct rng *r)
{
	unsigned int n;

	switch (below(r, 40)) {
	case 0:
		return below(r, size);
	case 1:
		return size - 1 - below(r, 64);
	case 2:
		for (n = 1 + below(r, 4); n; n--)
			p[below(r, size)] ^= 1 << below(r, 8);
		break;
	}
	return size;
}

#endif /* _MUTATE_OPS_H */
