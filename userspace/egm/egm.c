// SPDX-License-Identifier: MIT
/*
 * egm: coherent buffers of DRM devices, from the command line. A command is a
 * file beside this one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

static const struct command *const commands[] = {
	&command_list, &command_doctor, &command_verify, &command_bench, &command_watch,
	&command_heatmap,
};

struct common common;
volatile bool stopped;

/* ---- options and signals ----------------------------------------------- */

int next(int argc, char **argv, const struct option *longs)
{
	int c;

	while ((c = next_option(argc, argv, longs, common.help)) != -1) {
		if (c == 'd')
			common.device = optarg;
		else if (c == 'j')
			common.json = true;
		else
			break;
	}
	return c;
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
	sigaction(SIGHUP, &action, NULL);
}

/* ---- devices and counters ---------------------------------------------- */

struct egm_dev *open_device(void)
{
	struct egm_dev *dev;
	char err[EGM_ERR];

	if (egm_open(&dev, common.device, true, err))
		cannot("%s", err);
	return dev;
}

struct egm_node find_node(void)
{
	struct egm_dev *dev = open_device();
	struct egm_node node = dev->node;

	egm_close(dev);
	return node;
}

void printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

bool first_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool got = f && fgets(line, size, f);

	if (got)
		line[strcspn(line, "\n")] = 0;
	if (f)
		fclose(f);
	return got;
}

void process_name(int pid, char *name, size_t size)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (!first_line(path, name, size))
		snprintf(name, size, "?");
	printable(name);
}

void count(const struct egm_node *node, struct counted *counted)
{
	counted->known = !egm_counters_read(node, &counted->c, counted->why);
}

uint64_t counted_since(const struct egm_counters *from, const struct egm_counters *to,
		       const char *name)
{
	const uint64_t *before = egm_counter(from, name);
	const uint64_t *after = egm_counter(to, name);

	return before && after ? *after - *before : 0;
}

json_t *counters_json(const struct egm_counters *c)
{
	json_t *json = json_object();

	for (int i = 0; i < c->n; i++)
		json_object_set_new(json, c->c[i].name, json_integer(c->c[i].value));
	return json;
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

		json_object_set_new(json, name, json_integer(counted_since(&from->c, &to->c, name)));
	}
	return json;
}

void print_json(json_t *json, bool one_line)
{
	json_t *all = json_pack("{s:s, s:s}", "egm", EGM_VERSION, "command", common.command);

	json_object_update(all, json);
	json_decref(json);
	/* whole numbers are exact, this is for times */
	json_dumpf(all, stdout, JSON_REAL_PRECISION(9) |
		   (one_line ? JSON_COMPACT : JSON_INDENT(2)));
	putchar('\n');
	fflush(stdout);
	json_decref(all);
}

/* ---- list -------------------------------------------------------------- */

static const char help_list[] =
"usage: egm list [--json]\n"
"\n"
"Lists the DRM render nodes, and what coherent buffers they have.\n"
"\n"
"  --json   print an object: \"nodes\" has one for each node\n"
"  --help   this text\n"
"\n"
"Exit status: 0 there is a device with coherent buffers, 1 there is none, 2 wrong usage.\n";

const char *node_needs(const struct egm_node *node, bool *emulated)
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
	if (!drv->probe(fd, true, &missing)) {
		missing = NULL;
		*emulated = !drv->emulated || drv->emulated(fd);
	}
	close(fd);
	return missing;
}

static int run_list(int argc, char **argv)
{
	static const struct option longs[] = {
		JSON_OPTION, HELP_OPTION, { 0 }
	};
	struct egm_node nodes[64];
	json_t *all = json_array();
	bool any = false;
	int i, n;

	while (next(argc, argv, longs) != -1)
		;
	no_arguments(argc, argv);

	n = egm_nodes(nodes, LENGTH(nodes));
	for (i = 0; i < n; i++) {
		const struct egm_node *node = &nodes[i];
		bool lose = egm_can_lose(node), emulated = false, tracked;
		const char *wants = node_needs(node, &emulated);
		struct egm_table table;
		char err[EGM_ERR];

		any |= !wants;
		tracked = !egm_table_read(node, &table, err);
		json_array_append_new(all, json_pack(
			"{s:s, s:s, s:s, s:b, s:o, s:s?, s:o, s:s?, s:b}",
			"node", node->path, "driver", node->driver, "device", node->device,
			"coherent", !wants,
			"emulated", wants ? json_null() : json_boolean(emulated), "needs", wants,
			"buffers", tracked ? json_integer(table.n_rows) : json_null(),
			"no_counters", tracked ? NULL : err, "can_lose", lose));
		if (!common.json) {
			printf("%s  %s  %s\n", node->path,
			       node->driver[0] ? node->driver : "?", node->device);
			printf("    coherent buffers  %s%s\n", !wants ? "yes, " : node->error ?
			       "unknown: " : "no, needs ", wants ? wants : emulated ?
			       "emulated" : "the host's own");
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
	if (common.json)
		print_json(json_pack("{s:o}", "nodes", all), false);
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
	       "Emulated graphics memory: coherent buffers of DRM devices, mapped once, written by\n"
	       "the CPU while the device uses them, with no flush call.\n\n");
	for (int i = 0; i < LENGTH(commands); i++)
		printf("  %-10s%s\n", commands[i]->name, commands[i]->summary);
	printf("\n"
	       "egm help COMMAND has the options of a command; each can print JSON.\n"
	       "egm --version prints the version.\n"
	       "\n"
	       "Exit status: 0 all is well, 1 something is wrong, 2 wrong usage, 77 cannot run\n"
	       "here, with a line that says why.\n");
}

static const struct command *find_command(const char *name)
{
	for (int i = 0; i < LENGTH(commands); i++)
		if (!strcmp(name, commands[i]->name))
			return commands[i];
	usage("unknown command \"%s\"", name);
}

/* word, --word or the letter */
static bool is(const char *arg, const char *word, const char *letter)
{
	return !strcmp(arg, letter) || !strcmp(strncmp(arg, "--", 2) ? arg : arg + 2, word);
}

int main(int argc, char **argv)
{
	const struct command *command;
	char name[32];

	program = "egm";
	if (argc < 2)
		usage("a command is missing");
	if (is(argv[1], "version", "-V")) {
		printf("egm %s\n", EGM_VERSION);
		return finish(0);
	}
	if (is(argv[1], "help", "-h")) {
		if (argc > 2)
			fputs(find_command(argv[2])->help, stdout);
		else
			help();
		return finish(0);
	}
	command = find_command(argv[1]);
	snprintf(name, sizeof(name), "egm %s", command->name);
	program = name;
	common.command = command->name;
	common.help = command->help;
	return finish(command->run(argc - 1, argv + 1));
}
