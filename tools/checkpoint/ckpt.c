// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt: checkpoint a process tree to an image, restart it from one.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <linux/kernel.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt.h"

#define CKPT_VERSION	"0.1"

static const char help_text[] =
"ckpt - checkpoint and restart process trees\n"
"\n"
"SYNOPSIS\n"
"    ckpt checkpoint PID -o IMAGE [--kill] [-v]\n"
"    ckpt restart IMAGE [--conn-reset] [--frozen] [--wait] [-v]\n"
"    ckpt --help | --version\n"
"\n"
"COMMANDS\n"
"    checkpoint PID\n"
"        Write the state of process PID, all its descendants and all their\n"
"        threads to IMAGE. They go on running; they are stopped only while\n"
"        their state is copied inside the kernel, not while it is written.\n"
"        Prints the id of the checkpoint (to standard error if the image goes\n"
"        to standard output). What cannot be restored later is refused now,\n"
"        with its name.\n"
"    restart IMAGE\n"
"        Make the processes of IMAGE again, with the pids they had, and let\n"
"        them run. Prints the pid of the first one, which is adopted by init.\n"
"\n"
"OPTIONS\n"
"    -o, --output=IMAGE  Where to write the image; \"-\" is standard output.\n"
"                        A file appears only when it is complete, and can be\n"
"                        read by its owner only.\n"
"    -k, --kill          Keep the tree stopped until the image is complete,\n"
"                        then kill it. It goes on if writing fails.\n"
"    -c, --conn-reset    Connections to peers that are not in the image come\n"
"                        back as reset by the peer, instead of being refused.\n"
"    -f, --frozen        Leave the restored tree stopped until SIGCONT.\n"
"    -w, --wait          Wait for the first process of the image to end.\n"
"    -v, --verbose       Tell on standard error what the kernel reports: time\n"
"                        (ns) in each phase and frozen, tasks, records, bytes,\n"
"                        pages.\n"
"    -h, --help          This text.\n"
"    -V, --version       The version.\n"
"    An IMAGE of \"-\" is standard input for restart.\n"
"\n"
"EXIT STATUS\n"
"    0    done\n"
"    1    refused or failed; the processes are as they were, and there is\n"
"         neither a half image nor a half restored tree\n"
"    2    wrong usage\n"
"    With --wait: the status of the restored process, 128 + n if signal n\n"
"    ended it, 125 if it could not be restarted.\n"
"\n"
"EXAMPLES\n"
"    ckpt checkpoint 1234 -o app.img\n"
"    ckpt restart app.img\n"
"    ckpt checkpoint 1234 -o - --kill | ssh other ckpt restart -\n"
"\n"
"SEE ALSO\n"
"    Documentation/checkpoint/ in the kernel's source\n";

static const struct option long_options[] = {
	{ "output",	required_argument,	NULL, 'o' },
	{ "kill",	no_argument,		NULL, 'k' },
	{ "conn-reset",	no_argument,		NULL, 'c' },
	{ "frozen",	no_argument,		NULL, 'f' },
	{ "wait",	no_argument,		NULL, 'w' },
	{ "verbose",	no_argument,		NULL, 'v' },
	{ "help",	no_argument,		NULL, 'h' },
	{ "version",	no_argument,		NULL, 'V' },
	{ }
};

/* One row for each command, with the options that mean something to it. */
static const struct command {
	const char *name;
	const char *options;
	const char *argument;
	int (*run)(const struct ckpt_options *opt);
} commands[] = {
	{ "checkpoint",	"okvhV",	"PID",		ckpt_checkpoint },
	{ "restart",	"cfwvhV",	"IMAGE",	ckpt_restart },
};

static void __noreturn __printf(1, 2) usage_error(const char *fmt, ...)
{
	va_list ap;

	fputs("ckpt: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; see \"ckpt --help\"\n", stderr);
	exit(CKPT_USAGE);
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	usage_error("unknown command \"%s\"", name);
}

static pid_t parse_pid(const char *text)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(text, &end, 10);
	if (errno || end == text || *end || pid <= 0 || pid > INT_MAX)
		usage_error("\"%s\" is not a pid", text);
	return pid;
}

static const char *long_name(int c)
{
	const struct option *o;

	for (o = long_options; o->name && o->val != c; o++)
		;
	return o->name ? o->name : "";
}

/* The options, from anywhere on the command line; bit 'x' - 'A' for each seen. */
static u64 parse_options(int argc, char **argv, struct ckpt_options *opt)
{
	u64 seen = 0;
	int c;

	while ((c = getopt_long(argc, argv, "o:kcfwvhV", long_options, NULL)) != -1) {
		switch (c) {
		case 'o':
			opt->image = optarg;
			break;
		case 'k':
			opt->flags |= CHECKPOINT_KILL;
			break;
		case 'c':
			opt->flags |= RESTART_CONN_RESET;
			break;
		case 'f':
			opt->flags |= RESTART_FROZEN;
			break;
		case 'w':
			opt->wait = true;
			break;
		case 'v':
			opt->verbose = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			exit(0);
		case 'V':
			puts("ckpt " CKPT_VERSION);
			exit(0);
		default:
			/* getopt_long() has told why. */
			exit(CKPT_USAGE);
		}
		seen |= 1ULL << (c - 'A');
	}
	return seen;
}

int main(int argc, char **argv)
{
	struct ckpt_options opt = { };
	const struct command *cmd;
	u64 seen;
	int c;

	seen = parse_options(argc, argv, &opt);
	if (optind == argc)
		usage_error("what is to be done?");
	cmd = find_command(argv[optind++]);
	for (c = 'A'; c <= 'z'; c++)
		if (seen & (1ULL << (c - 'A')) && !strchr(cmd->options, c))
			usage_error("--%s means nothing to %s", long_name(c), cmd->name);
	if (argc - optind != 1)
		usage_error("%s needs one %s", cmd->name, cmd->argument);

	if (cmd->run == ckpt_checkpoint) {
		opt.pid = parse_pid(argv[optind]);
		if (!opt.image || !*opt.image)
			usage_error("%s needs -o IMAGE", cmd->name);
	} else {
		opt.image = argv[optind];
	}
	return cmd->run(&opt);
}
