// SPDX-License-Identifier: MIT
/*
 * egm: coherent buffers of DRM devices, from the command line. A command is a
 * file beside this one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

static const struct command *const commands[] = {
	&command_list, &command_verify, &command_bench, &command_watch, &command_heatmap,
};

const struct command *command;
volatile bool stopped;

/* ---- messages ---------------------------------------------------------- */

static void say(const char *format, va_list args)
{
	fprintf(stderr, "egm%s%s: ", command ? " " : "", command ? command->name : "");
	vfprintf(stderr, format, args);
}

void usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	fprintf(stderr, " (see egm %s%s--help)\n", command ? command->name : "",
		command ? " " : "");
	exit(EXIT_USAGE);
}

void cannot(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_CANNOT);
}

/* ---- options ----------------------------------------------------------- */

int next_option(int argc, char **argv, const struct option *longs)
{
	/* Up to the first argument: what follows may be another program's */
	int c = getopt_long(argc, argv, "+:", longs, NULL);

	switch (c) {
	case 'h':
		fputs(command->help, stdout);
		exit(0);
	case ':':
		usage("%s needs a value", argv[optind - 1]);
	case '?':
		usage("unknown option %s", argv[optind - 1]);
	default:
		return c;
	}
}

void no_arguments(int argc, char **argv)
{
	if (optind < argc)
		usage("unexpected argument \"%s\"", argv[optind]);
}

uint64_t number(const char *option, const char *string, uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(string, &end, 0);
	if (end == string || *end || *string == '-' || errno || value < min || value > max)
		usage("%s: \"%s\" is no number from %llu to %llu", option, string,
		      (unsigned long long)min, (unsigned long long)max);
	return value;
}

uint64_t size(const char *option, const char *string, uint64_t min, uint64_t max)
{
	const char *unit = "KMG", *found = NULL;
	unsigned long long value;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	value = strtoull(string, &end, 0);
	if (*end)
		found = strchr(unit, *end);
	if (found) {
		shift = 10 * (found - unit + 1);
		end++;
	}
	if (end == string || *end || *string == '-' || errno || value > max >> shift ||
	    value << shift < min)
		usage("%s: \"%s\" is no size from %lluK to %lluM", option, string,
		      (unsigned long long)min >> 10, (unsigned long long)max >> 20);
	return value << shift;
}

double seconds(const char *option, const char *string, double min, double max)
{
	double value;
	char *end;

	value = strtod(string, &end);
	if (end == string || *end || !(value >= min && value <= max))
		usage("%s: \"%s\" is no time from %g to %g seconds", option, string, min, max);
	return value;
}

/* ---- time -------------------------------------------------------------- */

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void stop(int sig)
{
	(void)sig;
	stopped = true;
}

void catch_stop(void)
{
	struct sigaction action = { .sa_handler = stop };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- devices and counters ---------------------------------------------- */

struct egm_dev *open_device(const char *path)
{
	struct egm_dev *dev;
	char err[EGM_ERR];

	if (egm_open(&dev, path, true, err))
		cannot("%s", err);
	return dev;
}

void find_node(const char *path, struct egm_node *node)
{
	struct egm_node nodes[64];
	int i, fd, n;

	if (path) {
		fd = egm_node_open(node, path, O_RDWR);
		if (fd < 0)
			cannot("%s: %s", path,
			       fd == -ENOTTY ? "not a DRM node" : strerror(-fd));
		close(fd);
		return;
	}
	n = egm_nodes(nodes, LENGTH(nodes));
	for (i = 0; i < n && !egm_driver_find(nodes[i].driver); i++)
		;
	if (i == n && n && nodes[0].error)
		cannot("%s: %s", nodes[0].path, strerror(-nodes[0].error));
	if (i == n)
		cannot(n ? "no device with coherent buffers, see egm list" :
		       "no DRM render node below /dev/dri");
	*node = nodes[i];
}

void process_name(int pid, char *name, size_t size)
{
	char path[32];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(name, size, f))
		snprintf(name, size, "?");
	if (f)
		fclose(f);
	name[strcspn(name, "\n")] = 0;
	for (; *name; name++)
		if (*name < ' ' || *name > '~')
			*name = '?';
}

void count(const struct egm_node *node, struct counted *counted)
{
	counted->known = !egm_counters_read(node, &counted->c, counted->why);
}

uint64_t counted_since(const struct counted *from, const struct counted *to,
		       const char *name)
{
	const uint64_t *before = egm_counter(&from->c, name);
	const uint64_t *after = egm_counter(&to->c, name);

	return before && after ? *after - *before : 0;
}

json_t *counted_json(const struct counted *from, const struct counted *to)
{
	json_t *json;
	int i;

	if (!from->known || !to->known)
		return json_null();
	json = json_object();
	for (i = 0; i < to->c.n; i++) {
		const char *name = to->c.c[i].name;

		json_object_set_new(json, name, json_integer(counted_since(from, to, name)));
	}
	return json;
}

void print_json(json_t *json, bool one_line)
{
	/* whole numbers are exact, this is for times */
	json_dumpf(json, stdout, JSON_REAL_PRECISION(9) |
		   (one_line ? JSON_COMPACT : JSON_INDENT(2)));
	putchar('\n');
	fflush(stdout);
	json_decref(json);
}

/* ---- list -------------------------------------------------------------- */

static const char help_list[] =
"usage: egm list [--json]\n"
"\n"
"Lists the DRM render nodes, and what coherent buffers they have.\n"
"\n"
"  --json   print an array with an object for each node\n"
"  --help   this text\n"
"\n"
"Exit status: 0 there is a device with coherent buffers, 1 there is none, 2 wrong usage.\n";

/* NULL if it has them, or what is missing. */
static const char *missing(const struct egm_node *node)
{
	const struct egm_driver *drv = egm_driver_find(node->driver);
	const char *missing = NULL;
	struct egm_node again;
	int fd;

	if (node->error)
		return strerror(-node->error);
	if (!drv)
		return "a driver that has them";
	fd = egm_node_open(&again, node->path, O_RDWR);
	if (fd < 0)
		return strerror(-fd);
	if (!drv->probe(fd, true, &missing))
		missing = NULL;
	close(fd);
	return missing;
}

static bool can_lose(const struct egm_node *node)
{
	const struct egm_driver *drv = egm_driver_find(node->driver);
	char file[64];
	FILE *f;

	if (!drv)
		return false;
	snprintf(file, sizeof(file), "%s/times", drv->fail_upload);
	f = egm_debugfs_open(node, file, true);
	if (f)
		fclose(f);
	return f;
}

static int run_list(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct egm_node nodes[64];
	json_t *all = json_array();
	bool json = false, any = false;
	int i, n;

	while (next_option(argc, argv, longs) != -1)
		json = true;
	no_arguments(argc, argv);

	n = egm_nodes(nodes, LENGTH(nodes));
	for (i = 0; i < n; i++) {
		const struct egm_node *node = &nodes[i];
		const char *wants = missing(node);
		bool lose = can_lose(node), tracked;
		struct egm_table table;
		char err[EGM_ERR];

		any |= !wants;
		tracked = !egm_table_read(node, &table, err);
		json_array_append_new(all, json_pack(
			"{s:s, s:s, s:s, s:b, s:s?, s:o, s:s?, s:b}",
			"node", node->path, "driver", node->driver, "device", node->device,
			"coherent", !wants, "needs", wants,
			"buffers", tracked ? json_integer(table.n_rows) : json_null(),
			"no_counters", tracked ? NULL : err, "can_lose", lose));
		if (!json) {
			printf("%s  %s  %s\n", node->path,
			       node->driver[0] ? node->driver : "?", node->device);
			printf("    coherent buffers  %s%s\n", !wants ? "yes" : node->error ?
			       "unknown: " : "no, needs ", wants ? wants : "");
			if (tracked)
				printf("    counters          yes, %d buffer%s tracked now\n",
				       table.n_rows, table.n_rows == 1 ? "" : "s");
			else
				printf("    counters          no: %s\n", err);
			printf("    lost uploads      %s\n",
			       lose ? "can be asked for (verify --lose)" :
			       "cannot be asked for: no fault injection");
		}
		if (tracked)
			egm_table_free(&table);
	}
	if (json)
		print_json(all, false);
	else
		json_decref(all);
	if (!n)
		fprintf(stderr, "egm list: no DRM render node below /dev/dri\n");
	return any ? 0 : EXIT_FAILED;
}

const struct command command_list = {
	.name = "list", .summary = "devices, and what they support",
	.run = run_list, .help = help_list,
};

/* ---- main -------------------------------------------------------------- */

static void help(void)
{
	printf("usage: egm COMMAND [options]\n\n"
	       "Coherent buffers of DRM devices: mapped once, written by the CPU while the device\n"
	       "uses them, with no flush call.\n\n");
	for (int i = 0; i < LENGTH(commands); i++)
		printf("  %-10s%s\n", commands[i]->name, commands[i]->summary);
	printf("\n"
	       "egm COMMAND --help has the options of a command; each can print JSON.\n"
	       "\n"
	       "Exit status: 0 all is well, 1 something is wrong with what was looked at, 2 wrong\n"
	       "usage, 77 cannot be done here, with a line that says why.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2)
		usage("which command?");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		help();
		return 0;
	}
	for (int i = 0; i < LENGTH(commands); i++) {
		if (strcmp(argv[1], commands[i]->name))
			continue;
		command = commands[i];
		return command->run(argc - 1, argv + 1);
	}
	usage("there is no command \"%s\"", argv[1]);
}
