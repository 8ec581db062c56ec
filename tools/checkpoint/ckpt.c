// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt: checkpoint a process tree to an image or in the kernel, restart it.
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
"    ckpt checkpoint PID {-o IMAGE [--kill] | --keep [-o IMAGE]}\n"
"                 [--progress] [-v]\n"
"    ckpt restart {IMAGE | --id CRID} [--pidns] [--netns] [--conn-reset]\n"
"                 [--frozen] [--wait] [--progress] [-v]\n"
"    ckpt write CRID -o IMAGE [--keep] [--progress] [-v]\n"
"    ckpt undo CRID [--conn-reset] [--frozen] [-v]\n"
"    ckpt discard CRID\n"
"    ckpt list\n"
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
"    write CRID\n"
"        Write the checkpoint with this id, which was kept in the kernel. Then\n"
"        it is no longer kept, unless --keep says so or writing fails.\n"
"    undo CRID\n"
"        Put the live tree back to what it was at this kept checkpoint, with\n"
"        the same pids and the same parent. What it has done since is lost,\n"
"        except to files and to others. The checkpoint stays kept.\n"
"    discard CRID\n"
"        Forget a kept checkpoint.\n"
"    list\n"
"        Show the checkpoints that this PID namespace keeps.\n"
"\n"
"OPTIONS\n"
"    -o, --output=IMAGE  Where to write the image; \"-\" is standard output.\n"
"                        A file appears only when it is complete, and can be\n"
"                        read by its owner only.\n"
"    -k, --kill          Keep the tree stopped until the image is complete,\n"
"                        then kill it. It goes on if writing fails.\n"
"    -K, --keep          Keep the checkpoint in the kernel, as well as writing it\n"
"                        if there is an IMAGE.\n"
"    -i, --id=CRID       Restart a kept checkpoint. It stays kept.\n"
"    -p, --pidns         Restart in a new PID namespace, where all pids are free.\n"
"                        ckpt leaves an init there, unless the root was pid 1\n"
"                        itself; from a pipe it must not have been. When the\n"
"                        root ends, all in the namespace do. The pid printed is\n"
"                        the one that the caller sees.\n"
"    -n, --netns         Restart in a new network namespace, which has nothing\n"
"                        but loopback: ports that are in use here are free there.\n"
"    -c, --conn-reset    Connections to peers that are not in the image come\n"
"                        back as reset by the peer, instead of being refused.\n"
"    -f, --frozen        Leave the restored tree stopped until SIGCONT.\n"
"    -w, --wait          Wait for the first process of the image to end.\n"
"    -P, --progress      Tell on standard error how much of an image is written or\n"
"                        read, at which rate, and how long it will take; the last\n"
"                        not of one that comes through a pipe. So it is without\n"
"                        this option if standard error is a terminal.\n"
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
"    ckpt checkpoint 1234 --keep\n"
"    ckpt restart --id 1 --pidns --netns     (as often as you like)\n"
"\n"
"SEE ALSO\n"
"    Documentation/checkpoint/ in the kernel's source\n";

static const struct option long_options[] = {
	{ "output",	required_argument,	NULL, 'o' },
	{ "kill",	no_argument,		NULL, 'k' },
	{ "keep",	no_argument,		NULL, 'K' },
	{ "id",		required_argument,	NULL, 'i' },
	{ "pidns",	no_argument,		NULL, 'p' },
	{ "netns",	no_argument,		NULL, 'n' },
	{ "conn-reset",	no_argument,		NULL, 'c' },
	{ "frozen",	no_argument,		NULL, 'f' },
	{ "wait",	no_argument,		NULL, 'w' },
	{ "progress",	no_argument,		NULL, 'P' },
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
	{ "checkpoint",	"okKPv",		"PID",		ckpt_checkpoint },
	{ "restart",	"ipncfwPv",	"IMAGE",	ckpt_restart },
	{ "write",	"oKPv",		"CRID",		ckpt_write },
	{ "undo",	"cfv",		"CRID",		ckpt_undo },
	{ "discard",	"",		"CRID",		ckpt_discard },
	{ "list",	"",		NULL,		ckpt_list },
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

static int parse_number(const char *text, const char *what)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n <= 0 || n > INT_MAX)
		usage_error("\"%s\" is not a %s", text, what);
	return n;
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

	while ((c = getopt_long(argc, argv, "o:kKi:pncfwPvhV", long_options, NULL)) != -1) {
		switch (c) {
		case 'o':
			opt->image = optarg;
			break;
		case 'k':
			opt->flags |= CHECKPOINT_KILL;
			break;
		case 'K':
			opt->flags |= CHECKPOINT_KEEP;
			break;
		case 'i':
			opt->id = parse_number(optarg, "CRID");
			break;
		case 'p':
			opt->pidns = true;
			break;
		case 'n':
			opt->netns = true;
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
		case 'P':
			opt->progress = true;
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
	int c, nr_arguments;
	u64 seen;

	seen = parse_options(argc, argv, &opt);
	if (optind == argc)
		usage_error("what is to be done?");
	cmd = find_command(argv[optind++]);
	for (c = 'A'; c <= 'z'; c++)
		if (seen & (1ULL << (c - 'A')) && !strchr(cmd->options, c))
			usage_error("--%s means nothing to %s", long_name(c), cmd->name);
	nr_arguments = cmd->argument && !(cmd->run == ckpt_restart && opt.id);
	if (argc - optind != nr_arguments && nr_arguments)
		usage_error("%s needs one %s", cmd->name, cmd->argument);
	if (argc - optind != nr_arguments)
		usage_error("\"%s\" is too much", argv[optind]);

	if (cmd->run == ckpt_restart)
		opt.image = argv[optind];
	else if (nr_arguments)
		opt.id = parse_number(argv[optind], cmd->argument);
	if (cmd->run == ckpt_checkpoint && !opt.image && !(opt.flags & CHECKPOINT_KEEP))
		usage_error("%s needs -o IMAGE or --keep", cmd->name);
	if (opt.flags == (CHECKPOINT_KEEP | CHECKPOINT_KILL) && cmd->run == ckpt_checkpoint)
		usage_error("--keep and --kill exclude each other");
	if (cmd->run == ckpt_write && !opt.image)
		usage_error("%s needs -o IMAGE", cmd->name);
	return cmd->run(&opt);
}
