// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint everything, all the time.
 *
 *	torture_random --seed N --seconds S [--jobs N] [--only NAME]
 *
 * runs trees of processes, a few at a time: a random mix of workers that verify
 * all they have (cr_worker), stress-ng, and real programs whose output is known
 * from an undisturbed run. At random moments a tree is checkpointed in some way,
 * killed, restarted from an image or from memory, rolled back, and copied into
 * namespaces of their own, where the copies get the same treatment.
 *
 * What checkpoint() refuses is told once for each reason, and the tree must go
 * on unharmed. What is wrong is told with the seed and what was done before.
 *
 * What is tried is a function of the seed; when it happens is not.
 */
#include "random_tree.h"
#include "random_ops.h"
#include "random_redis.h"

#define JOBS		3
#define MAX_JOBS	16
#define SECONDS_MIN	3
#define SECONDS_MAX	9

/*
 * One way to run stress-ng: its stressor and how many operations. None that makes
 * files (madvise, mmapfork, shm): it does that once more when it is restarted from before,
 * and what it has made is still there.
 */
static const char *const stressors[][2] = {
	{ "--vm", "60" }, { "--pipe", "20000" }, { "--futex", "3000" }, { "--sigq", "3000" },
	{ "--fork", "200" }, { "--mmap", "4" }, { "--pthread", "300" }, { "--malloc", "4000" },
	{ "--qsort", "2" }, { "--mremap", "40" }, { "--switch", "5000" }, { "--poll", "2000" },
	{ "--nanosleep", "300" }, { "--sem", "20000" },
	{ "--matrix", "20" }, { "--cpu", "20" }, { "--wait", "500" }, { "--itimer", "500" },
	{ "--memcpy", "5" }, { "--mlock", "20" }, { "--brk", "5000" }, { "--stack", "20" },
	{ "--sigfd", "500" }, { "--timer", "500" }, { "--eventfd", "3000" },
	{ "--pipeherd", "500" }, { "--sigsuspend", "500" }, { "--vm-splice", "500" },
};

#define NR_STRESSORS	(sizeof(stressors) / sizeof(stressors[0]))

static const struct program scripts[] = {
	{ "sh-pipes", { "sh", "-c",
	  "i=0\n"
	  "while [ $i -lt 8 ]; do\n"
	  "	seq $i 2500 | sort -rn | gzip -c | gzip -dc | sha256sum\n"
	  "	i=$((i + 1))\n"
	  "done\n" }, .output = true },
	{ "bash", { "bash", "-c",
	  "declare -A a\n"
	  "s=1\n"
	  "for i in {1..1500}; do\n"
	  "	s=$(((s * 1103515245 + 12345) % 2147483648))\n"
	  "	a[$((s % 97))]=$s\n"
	  "	[ $((i % 250)) = 0 ] || continue\n"
	  "	echo $i $s $(echo ${a[@]} | tr ' ' '\\n' | sort | cksum)\n"
	  "done\n" }, .output = true },
	{ "python3", { "python3", "-S", "-E", "-c",
	  "import hashlib, zlib\n"
	  "d = {}\n"
	  "x = 1\n"
	  "for i in range(40000):\n"
	  "    x = x * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1\n"
	  "    d[x % 5000] = d.get(x % 5000, '') + chr(97 + i % 26)\n"
	  "    if i % 4000 == 3999:\n"
	  "        s = repr(sorted(d.items())).encode()\n"
	  "        z = zlib.compress(s)\n"
	  "        assert zlib.decompress(z) == s\n"
	  "        print(i, hashlib.sha256(s).hexdigest(), flush=True)\n" }, .output = true },
	{ "perl", { "perl", "-e",
	  "$x = 7;\n"
	  "for $i (1 .. 60000) {\n"
	  "	$x = ($x * 16807) % 2147483647;\n"
	  "	$h{$x % 3000} .= chr(65 + $i % 26);\n"
	  "	next if $i % 6000;\n"
	  "	print \"$i \", unpack('%32C*', join ',', map { \"$_$h{$_}\" } sort keys %h), \"\\n\";\n"
	  "}\n" }, .output = true },
	{ "awk", { "awk",
	  "BEGIN {\n"
	  "	x = 1\n"
	  "	for (i = 1; i <= 120000; i++) {\n"
	  "		x = (x * 16807) % 2147483647\n"
	  "		a[x % 1000] += i\n"
	  "		if (i % 12000)\n"
	  "			continue\n"
	  "		s = 0\n"
	  "		for (k = 0; k < 1000; k++)\n"
	  "			s = (s * 31 + a[k]) % 1000003\n"
	  "		print i, x, s\n"
	  "	}\n"
	  "}\n" }, .output = true },
};

#define NR_SCRIPTS	(sizeof(scripts) / sizeof(scripts[0]))

static const char *const kinds[] = {
	"mem", "map", "file", "fpu", "pipe", "futex", "shm", "event", "signal", "timer", "fork",
};

#define NR_KINDS	(sizeof(kinds) / sizeof(kinds[0]))

/* What each script prints undisturbed: shared, 0 as long as nobody knows. */
static uint64_t *expected;

static const char *only = "";

/* ---- which program ---- */

static void pick_workers(struct program *p)
{
	int n = 0, nr = 1 + rnd(4), first = rnd(NR_KINDS);

	*p = (struct program) { .name = "cr_worker", .own = true };
	p->argv[n++] = "cr_worker";
	p->argv[n++] = "SEED";
	/* two of a kind would share their files */
	for (; nr; nr--, first++)
		p->argv[n++] = kinds[first % NR_KINDS];
	if (rnd(5) == 0)
		p->argv[n++] = rnd(2) ? "nest_mem" : "nest_pipe";
}

static void pick_stress(struct program *p)
{
	static char ops[MAX_ARGS];
	const char *const *s = stressors[rnd(NR_STRESSORS)];

	snprintf(ops, sizeof(ops), "%s-ops", s[0]);
	*p = (struct program) {
		.name = s[0],
		.argv = { "stress-ng", "--seed", "SEED", "--verify", "--timeout", "60s",
			  "--temp-path", ".", "--vm-bytes", "4M", s[0], "1", ops, s[1] },
	};
}

static void pick(struct program *p)
{
	unsigned int i = rnd(10);

	if (!strcmp(only, "stress-ng") || (!*only && i >= 8))
		pick_stress(p);
	else if (!strcmp(only, "redis") || (!*only && i == 7))
		*p = redis;
	else if (!strcmp(only, "scripts") || (!*only && i >= 5))
		*p = scripts[rnd(NR_SCRIPTS)];
	else
		pick_workers(p);
}

/* ---- what it prints ---- */

static uint64_t hash_output(const struct tree *t)
{
	static char text[65536];
	char path[96];
	size_t len, i;
	uint64_t h = 1;

	snprintf(path, sizeof(path), "%s/out", t->dir);
	len = read_text(path, text, sizeof(text));
	for (i = 0; i < len; i++)
		h = mix(h + (uint8_t)text[i]);
	return h | 1;
}

static size_t script_index(const struct tree *t)
{
	size_t i;

	for (i = 0; strcmp(scripts[i].name, t->program->name); i++)
		;
	return i;
}

static bool output_is_good(struct tree *t)
{
	return hash_output(t) == expected[script_index(t)];
}

/* Undisturbed; false if it does not work even so. */
static bool run_undisturbed(struct tree *t)
{
	start_tree(t);
	if (!wait_end(t) || t->status) {
		tell_wrong(t, "undisturbed: status 0x%x", t->status);
		return false;
	}
	kill_tree(t);
	expected[script_index(t)] = hash_output(t);
	return true;
}

/* ---- one tree ---- */

static int one_tree(uint64_t seed, int job, double seconds)
{
	struct tree t = { .seed = seed };
	struct program program;
	size_t len = 0;
	int i;

	rng = seed;
	pick(&program);
	t.program = &program;
	for (i = 0; i < SLOTS; i++)
		t.image[i] = -1;
	snprintf(t.dir, sizeof(t.dir), "/tmp/torture_random.%d.%d", getppid(), job);
	if (mkdir(t.dir, 0777) && errno != EEXIST)
		die("%s", t.dir);
	make_world(&t);
	count(&stats->trees);
	for (i = 0; program.own && program.argv[i]; i++)
		len += snprintf(t.steps + len, sizeof(t.steps) - len, " %s", program.argv[i]);
	if (program.output && !expected[script_index(&t)] && !run_undisturbed(&t)) {
		leave_world(&t);
		return 1;
	}
	start_tree(&t);
	if (program.ready && !program.ready(&t))
		t.lost = true;
	drive(&t, seconds);
	i = finish(&t);
	rmdir(t.dir);
	return i;
}

static pid_t start_job(uint64_t seed, int job)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		double seconds = SECONDS_MIN + mix(seed) % (SECONDS_MAX - SECONDS_MIN);
		int status = one_tree(seed, job, seconds);

		fflush(stdout);
		_exit(status);
	}
	return pid;
}

/* ---- all trees ---- */

/* Nothing may be left in the kernel. */
static void look_for_leftovers(void)
{
	char text[4096], *p;

	read_text("/proc/checkpoints", text, sizeof(text));
	p = strchr(text, '\n');
	if (p && p[1]) {
		count(&stats->wrong);
		printf("WRONG: checkpoints are left:\n%s", text);
	}
}

static void run(uint64_t seed, double seconds, int jobs)
{
	double start = now(), told = start;
	pid_t pid[MAX_JOBS] = { 0 };
	int running = 0, status, i;
	uint64_t nr = 0;

	for (;;) {
		for (i = 0; i < jobs && now() - start < seconds; i++) {
			if (pid[i])
				continue;
			pid[i] = start_job(mix(seed + nr++), i);
			running++;
		}
		if (!running)
			break;
		pid_t ended = waitpid(-1, &status, 0);

		for (i = 0; i < jobs; i++) {
			if (pid[i] != ended)
				continue;
			pid[i] = 0;
			running--;
			if (!WIFEXITED(status)) {
				count(&stats->wrong);
				printf("WRONG: driver of a tree: status 0x%x\n", status);
			}
		}
		if (now() - told > 60) {
			told = now();
			printf("%.0f s: %u trees, %u checkpoints, %u refused, %u wrong\n",
			       told - start, stats->trees, stats->checkpoints, stats->refused,
			       stats->wrong);
			fflush(stdout);
		}
	}
}

int main(int argc, char **argv)
{
	double seconds = 60, start;
	unsigned long long seed = 1;
	int jobs = JOBS, i;

	for (i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--seconds"))
			seconds = atof(argv[i + 1]);
		else if (!strcmp(argv[i], "--jobs"))
			jobs = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--only"))
			only = argv[i + 1];
		else
			break;
	}
	if (i < argc || jobs < 1 || jobs > MAX_JOBS) {
		fprintf(stderr, "usage: torture_random [--seed N] [--seconds S] [--jobs N]\n"
			"	[--only cr_worker|stress-ng|scripts|redis]\n");
		return 2;
	}
	stats = mmap(NULL, sizeof(*stats) + sizeof(scripts), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stats == MAP_FAILED) {
		perror("torture_random");
		return 1;
	}
	expected = (uint64_t *)(stats + 1);
	signal(SIGPIPE, SIG_IGN);
	start = now();
	printf("torture_random: seed %llu, %d trees at a time\n", seed, jobs);
	run(seed, seconds, jobs);
	look_for_leftovers();
	if (stats->wrong)
		printf("torture_random: again with --seed %llu\n", seed);
	printf("figures: trees=%u checkpoints=%u restarts=%u ", stats->trees,
	       stats->checkpoints, stats->restarts);
	printf("rollbacks=%u copies=%u killed=%u ", stats->rollbacks, stats->copies,
	       stats->killed);
	printf("refused=%u wrong=%u seconds=%.0f\n", stats->refused, stats->wrong,
	       now() - start);
	return stats->wrong ? 1 : 0;
}
