// SPDX-License-Identifier: GPL-2.0
/*
 * Give restart() images that were changed with knowledge of the format, as a
 * powerful and as a powerless user, and see that each is refused, or gives a
 * process that the user could have had anyway; that nothing is left behind;
 * and that the kernel has no complaint.
 *
 * Image number i of seed S is a function of the corpus, S and i, and the corpus
 * is nearly the same in every run: "--seed S --image I" tries that one again.
 * An image that did something wrong is written to a file whose name says who
 * restarted it and with which flags; "--replay FILE", as the last option, does
 * that again.
 */
#define _GNU_SOURCE
#include "mutate_corpus.h"
#include "mutate_look.h"

#define BATCH		256
#define MOST_MEMORY	"402653184"
#define MOST_PIDS	"400"
#define NR_ERRNOS	140
/* Objects that others in the machine, and the last batch, may need. */
#define SLACK		200

static struct {
	unsigned long first, count;
	const char *replay;		/* only this file */
} opt;

/* What one image is, and what is done with it. */
struct trial {
	enum identity who;
	const struct seed_image *base;
	bool pristine;
	bool through_pipe;
	unsigned long flags;
	size_t size;
};

/* What a box tells the others while it works. */
struct slot {
	long current;			/* the image being tried; -1: none */
	long next;			/* where to go on */
	double started;
	long images, restored, pristine;
	long by_errno[NR_ERRNOS];
	long restored_bases[NR_IDENTITIES];
	char bad[256];
};

static struct slot *slots;		/* one for each identity, shared */
static unsigned char *image_bytes;
static struct image *work;

/* ---- image number i ---- */

static enum identity identity_of(struct rng *r)
{
	static const enum identity share[] = {
		AS_ROOT, AS_ROOT, AS_ROOT, AS_ROOT, AS_CAP, AS_CAP, AS_CAP,
		AS_USERNS, AS_USERNS, AS_NOBODY,
	};

	return share[below(r, ARRAY_LEN(share))];
}

static const struct seed_image *pick_base(struct rng *r, enum identity who)
{
	/* who may choose no pids made none; another's image is more foreign */
	enum identity made_by = who == AS_NOBODY ? AS_CAP : who;

	if (chance(r, 5))
		made_by = below(r, AS_NOBODY);
	return &corpus[made_by * NR_WORKLOADS + below(r, NR_WORKLOADS)];
}

static struct trial start_trial(long index, struct rng *r)
{
	struct trial t = {};

	r->state = torture.seed * 0x9e3779b97f4a7c15ULL + index;
	rnd(r);
	t.who = identity_of(r);
	t.pristine = index % 50 == 0;
	t.through_pipe = chance(r, 12);
	t.base = pick_base(r, t.who);
	if (t.pristine)
		t.base = &corpus[(t.who % AS_NOBODY) * NR_WORKLOADS + below(r, NR_WORKLOADS)];
	t.flags = chance(r, 20) ? RESTART_FROZEN : 0;
	if (workloads[t.base->workload].reset ? t.pristine || chance(r, 90) : chance(r, 10))
		t.flags |= RESTART_CONN_RESET;
	return t;
}

/* Makes image @index in image_bytes. */
static struct trial make_trial(long index)
{
	struct rng r;
	struct trial t = start_trial(index, &r);
	unsigned int n = 1 + (chance(&r, 40) ? below(&r, 5) : 0);

	arena.used = 0;
	memcpy(work, &t.base->im, offsetof(struct image, rec) +
	       t.base->im.nr * sizeof(work->rec[0]));
	work->nr = t.base->im.nr;
	work->nr_meta = t.base->im.nr_meta;
	work->repair = t.pristine || chance(&r, 95);
	work->lie_header = false;
	work->lie_trailer = false;
	while (!t.pristine && n--)
		mutate_once(work, &r, (struct image *)&corpus[below(&r, nr_corpus)].im);
	t.size = image_build(work, image_bytes);
	if (!t.pristine)
		t.size = mutate_bytes(image_bytes, t.size, &r);
	return t;
}

/* A saved image: its name ends in .IDENTITY.FLAGS.img */
static struct trial load_trial(void)
{
	struct trial t = { .base = corpus };
	const char *p = strstr(opt.replay, ".as-");
	int fd = open(opt.replay, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, image_bytes, MAX_IMAGE);

	if (n < 0 || !p)
		torture_die("%s", opt.replay);
	close(fd);
	t.size = n;
	p += 4;
	while (t.who < NR_IDENTITIES - 1 &&
	       strncmp(p, identity_names[t.who], strlen(identity_names[t.who])))
		t.who++;
	t.flags = strtoul(value_of(p, ".flags-"), NULL, 0);
	return t;
}

/* To the share if there is one. */
static void save_image(long index)
{
	struct trial t = opt.replay ? load_trial() : make_trial(index);
	const char *dir = access("/host", W_OK) ? "." : "/host";
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/mutate-%lu-%ld.as-%s.flags-%lu.img", dir,
		 torture.seed, index, identity_names[t.who], t.flags);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, image_bytes, t.size) != (ssize_t)t.size)
		torture_say("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	torture_say("image %ld of seed %lu, a \"%s\" restarted as %s, is saved: %s", index,
		    torture.seed, workloads[t.base->workload].name, identity_names[t.who], path);
}

/* ---- the kernel's log ---- */

static bool is_splat(const char *line)
{
	static const char *const words[] = {
		"WARNING:", "BUG:", "KASAN", "UBSAN", "KCSAN", "cut here", "Oops", "refcount_t:",
		"possible recursive", "possible circular", "possible irq", "possible deadlock",
		"Bad page", "unable to handle", "INFO: task", "rcu: INFO", "lockdep is turned off",
		"general protection fault", "inconsistent lock", "sleeping function",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(words); i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

/* Has the kernel complained since the last look? */
static bool log_is_clean(int fd, struct watch *w)
{
	char line[1024];
	ssize_t n;

	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return true;
		line[n] = '\0';
		if (is_splat(line))
			return wrong(w, "kernel: %.200s", value_of(line, ";"));
	}
}

/* ---- the caller of restart() ---- */

struct pipes {
	int ask[2], answer[2];		/* caller to warden and back */
};

static char ask_warden(struct pipes *p, char what)
{
	char answer = 0;

	if (write(p->ask[1], &what, 1) != 1 || read(p->answer[0], &answer, 1) != 1)
		exit(1);
	return answer;
}

/* The image as a descriptor to read from. */
static int image_fd(const struct trial *t, int file)
{
	int p[2];

	if (t->through_pipe && t->size < 1 << 20 && !pipe(p)) {
		if (fcntl(p[1], F_SETPIPE_SZ, 1 << 20) >= (int)t->size &&
		    write(p[1], image_bytes, t->size) == (ssize_t)t->size) {
			close(p[1]);
			return p[0];
		}
		close(p[0]);
		close(p[1]);
	}
	if (pwrite(file, image_bytes, t->size, 0) != (ssize_t)t->size ||
	    ftruncate(file, t->size) || lseek(file, 0, SEEK_SET))
		torture_die("image file");
	return file;
}

/* Refused: then there is nobody, not even for a moment. */
static bool check_refused(struct watch *w, const struct trial *t, int err)
{
	const char *reason = cr_report("reason");

	if (!kill(-1, 0) || errno != ESRCH)
		return wrong(w, "refused with errno %d, and there is a process", err);
	if (waitpid(-1, NULL, WNOHANG | __WALL) >= 0 || errno != ECHILD)
		return wrong(w, "refused with errno %d, and there is a child", err);
	if (err >= NR_ERRNOS || err == ENOSYS || err == EFAULT || !*reason)
		return wrong(w, "refused with errno %d, reason: %.150s", err, reason);
	if (t->pristine && !(t->who == AS_NOBODY && err == EPERM))
		return wrong(w, "unchanged %s: errno %d: %.150s",
			     workloads[t->base->workload].name, err, reason);
	return true;
}

/* Restarted: the warden looks at it and kills it, and all of it must go. */
static bool check_restored(struct watch *w, struct pipes *p, const struct trial *t)
{
	if (t->who == AS_NOBODY)
		wrong(w, "restarted without a right to choose pids");
	if (ask_warden(p, t->flags & RESTART_FROZEN ? 'F' : 'L') != 'K')
		return false;
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
	return ask_warden(p, 'R') == 'D';
}

static bool try_image(struct watch *w, struct pipes *p, long index, int file, int log)
{
	struct slot *s = &slots[w->who];
	struct trial t = opt.replay ? load_trial() : make_trial(index);
	char name[16];
	long ret;
	int fd, err;
	bool ok;

	snprintf(name, sizeof(name), "m%ld", index);
	prctl(PR_SET_NAME, name);
	fd = image_fd(&t, file);
	s->started = torture_now();
	__atomic_store_n(&s->current, index, __ATOMIC_RELEASE);
	ret = sys_restart(0, fd, t.flags);
	err = errno;
	if (fd != file)
		close(fd);
	if (opt.replay || opt.count == 1)
		say_reason("restart");
	s->images++;
	s->pristine += t.pristine;
	if (ret > 0)
		s->restored++;
	else if (err < NR_ERRNOS)
		s->by_errno[err]++;
	ok = ret > 0 ? check_restored(w, p, &t) : check_refused(w, &t, err);
	ok = log_is_clean(log, w) && ok;
	s->next = index + 1;
	s->current = -1;
	return ok;
}

static int caller_main(struct watch *w, struct pipes *p)
{
	int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct slot *s = &slots[w->who];
	long i, end = opt.first + opt.count;
	struct rng r;

	if (file < 0 || log < 0 || lseek(log, 0, SEEK_END) < 0)
		torture_die("/dev/kmsg");
	become(w->who);
	w->caller = getpid();
	if (ask_warden(p, 'S') != 'S')
		return 1;
	if (opt.replay)
		return !try_image(w, p, 0, file, log);
	for (i = s->next; i < end && torture_time_left(); i++) {
		if (start_trial(i, &r).who == w->who && !try_image(w, p, i, file, log))
			return 1;
		if (i % BATCH == BATCH - 1)
			break;
	}
	return 0;
}

/* ---- the first process of a box ---- */

static void let_run(struct watch *w, bool frozen)
{
	if (frozen)
		each_process(w, continue_process);
	/* for a moment: whatever comes of it is not looked at */
	usleep(1000);
}

static void kill_all(struct watch *w)
{
	while (each_process(w, kill_process)) {
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			;
		usleep(500);
	}
}

static void serve(struct watch *w, struct pipes *p)
{
	char what, answer, path[64];

	while (read(p->ask[0], &what, 1) == 1) {
		switch (what) {
		case 'S':
			snprintf(path, sizeof(path), "/proc/%d/status", w->caller);
			if (!read_privileges(path, &w->most))
				torture_die("%s", path);
			answer = 'S';
			break;
		case 'R':
			kill_all(w);
			answer = 'D';
			break;
		default:
			each_process(w, check_process);
			let_run(w, what == 'F');
			each_process(w, kill_process);
			answer = 'K';
			break;
		}
		if (write(p->answer[1], &answer, 1) != 1)
			return;
	}
}

static int warden_main(void *arg)
{
	struct slot *s = arg;
	struct watch w = { .who = s - slots, .bad = s->bad };
	struct pipes p;
	int status;

	if (pipe2(p.ask, O_CLOEXEC) || pipe2(p.answer, O_CLOEXEC))
		torture_die("pipe");
	w.caller = fork();
	if (!w.caller) {
		close(p.ask[0]);
		close(p.answer[1]);
		exit(caller_main(&w, &p));
	}
	close(p.ask[1]);
	close(p.answer[0]);
	serve(&w, &p);
	while (waitpid(w.caller, &status, 0) < 0)
		if (errno != EINTR)
			torture_die("the caller");
	if (WIFSIGNALED(status))
		return 100;
	return *s->bad ? 1 : WEXITSTATUS(status);
}

/* ---- batches ---- */

static long number_in(const char *path, const char *key)
{
	char text[1024];

	if (!torture_read(path, text, sizeof(text)))
		return -1;
	return strtol(value_of(text, key), NULL, 10);
}

static void tell_tasks(void)
{
	static char text[1 << 16];
	char path[64], pids[4096], *p, *save;

	if (!torture_read(CGROUP "/cgroup.procs", pids, sizeof(pids)))
		return;
	for (p = strtok_r(pids, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
		snprintf(path, sizeof(path), "/proc/%s/stack", p);
		if (torture_read(path, text, sizeof(text)))
			printf("%s:\n%s", path, text);
	}
}

/* True if no box has been at one image for too long. */
static bool all_alive(void)
{
	int who;

	for (who = 0; who < NR_IDENTITIES; who++) {
		long current = __atomic_load_n(&slots[who].current, __ATOMIC_ACQUIRE);

		if (current < 0 || torture_now() - slots[who].started < TORTURE_WAIT_S)
			continue;
		torture_fail("image %ld hangs", current);
		tell_tasks();
		save_image(current);
		return false;
	}
	return true;
}

/*
 * A box has ended with @status. The caller may be killed when memory is short,
 * or by what an image made run wild; then the rest is for another one.
 */
static bool box_ended(int who, int status, long *lost, bool *again)
{
	struct slot *s = &slots[who];

	*again = false;
	if (!*s->bad && (status == 100 || status == 128 + SIGKILL) && s->current >= 0) {
		s->next = s->current + 1;
		s->current = -1;
		++*lost;
		*again = s->next % BATCH && s->next < (long)(opt.first + opt.count) &&
			 !opt.replay;
		return true;
	}
	if (!status)
		return true;
	torture_fail("as %s: status %d: %s", identity_names[who], status,
		     *s->bad ? s->bad : "ended early");
	save_image(s->current >= 0 ? s->current : s->next - 1);
	return false;
}

static bool run_batch(long first, long *lost)
{
	pid_t box[NR_IDENTITIES], pid;
	int who, left = 0, status;
	bool again;

	for (who = 0; who < NR_IDENTITIES; who++) {
		box[who] = 0;
		slots[who].next = first;
		slots[who].current = -1;
		if (opt.replay && load_trial().who != (enum identity)who)
			continue;
		box[who] = start_box(who, warden_main, &slots[who]);
		left++;
	}
	while (left) {
		pid = waitpid(-1, &status, WNOHANG);
		if (!pid) {
			if (!all_alive())
				return false;
			usleep(10000);
			continue;
		}
		for (who = 0; who < NR_IDENTITIES && box[who] != pid; who++)
			;
		if (pid < 0 || who == NR_IDENTITIES)
			torture_die("waitpid");
		left--;
		if (!box_ended(who, WIFEXITED(status) ? WEXITSTATUS(status) :
				    128 + WTERMSIG(status), lost, &again))
			return false;
		if (again) {
			box[who] = start_box(who, warden_main, &slots[who]);
			left++;
		}
	}
	return true;
}

/* Nobody is left of a batch, in any state. */
static bool box_is_empty(void)
{
	long n = 0;
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		n = number_in(CGROUP "/pids.current", "");
		if (!n)
			return true;
		usleep(10000);
	}
	torture_fail("%ld tasks are left of a batch", n);
	tell_tasks();
	return false;
}

/* ---- all of it ---- */

static void set_limits(void)
{
	torture_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids");
	rmdir(CGROUP);
	if (mkdir(CGROUP, 0755) || !torture_write(CGROUP "/memory.max", MOST_MEMORY) ||
	    !torture_write(CGROUP "/pids.max", MOST_PIDS))
		torture_die("%s", CGROUP);
	/* a process with wild registers is nothing to talk about, nor to keep */
	torture_write("/proc/sys/debug/exception-trace", "0");
	torture_write("/proc/sys/kernel/core_pattern", "\n");
}

static void remove_all(void)
{
	rmdir(CGROUP);
	if (system("rm -rf " DIRECTORY))
		torture_say("%s: %s", DIRECTORY, strerror(errno));
}

static void tell_figures(long lost)
{
	long images = 0, restored = 0, pristine = 0, n;
	int who, err;

	for (who = 0; who < NR_IDENTITIES; who++) {
		images += slots[who].images;
		restored += slots[who].restored;
		pristine += slots[who].pristine;
		torture_say("as %s: %ld images, %ld restored", identity_names[who],
			    slots[who].images, slots[who].restored);
	}
	torture_figure("images=%ld refused=%ld restored=%ld pristine=%ld lost=%ld oom=%ld",
		       images, images - restored, restored, pristine, lost,
		       number_in(CGROUP "/memory.events", "oom_kill "));
	torture_figure("peak_mib=%ld", number_in(CGROUP "/memory.peak", "") >> 20);
	for (err = 0; err < NR_ERRNOS; err++) {
		for (n = 0, who = 0; who < NR_IDENTITIES; who++)
			n += slots[who].by_errno[err];
		if (n)
			torture_figure("%s=%ld", strerrorname_np(err) ?: "?", n);
	}
}

/* Numbers are for torture_begin(); only the name of a file is not. */
static void begin(int argc, char **argv)
{
	unsigned long image = ULONG_MAX;
	const struct torture_option more[] = {
		{ "count", &opt.count }, { "first", &opt.first }, { "image", &image }, { },
	};

	if (argc > 2 && !strcmp(argv[argc - 2], "--replay")) {
		opt.replay = argv[argc - 1];
		opt.count = 1;
		argc -= 2;
	}
	torture_begin("torture_mutate", argc, argv, more);
	if (image != ULONG_MAX) {
		opt.first = image;
		opt.count = 1;
	}
	/* with a number of images the time does not matter, and the other way round */
	if (opt.count)
		torture.seconds = LONG_MAX;
	else
		opt.count = LONG_MAX / 2;
}

static void get_memory(void)
{
	slots = mmap(NULL, NR_IDENTITIES * sizeof(*slots), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	arena.size = 64 << 20;
	arena.mem = mmap(NULL, arena.size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	image_bytes = malloc(MAX_IMAGE);
	work = malloc(sizeof(*work));
	if (slots == MAP_FAILED || arena.mem == MAP_FAILED || !image_bytes || !work)
		torture_die("memory");
}

int main(int argc, char **argv)
{
	struct torture_counts before;
	long at, end, lost = 0;
	bool ok = true;

	if (argc == 4 && !strcmp(argv[1], "--workload"))
		return workload_main(argv);
	begin(argc, argv);
	umask(0);
	get_memory();
	set_limits();
	make_corpus();
	check_corpus();

	end = opt.first + opt.count;
	for (at = opt.first; ok && at < end; at += BATCH - at % BATCH) {
		if (at != (long)opt.first && !torture_time_left())
			break;
		ok = run_batch(at, &lost) && box_is_empty();
		/* the first has made what is made once */
		if (at == (long)opt.first)
			torture_counts_take(&before);
	}
	if (ok)
		torture_counts_check(&before, SLACK, "by hostile images");
	tell_figures(lost);
	remove_all();
	return torture_end();
}
