/* SPDX-License-Identifier: MIT */
/* egm: what its commands share. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include <egm.h>

#include "cli.h"

struct command {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
	const char *help;
};

extern const struct command command_list, command_doctor, command_verify,
	command_watch, command_heatmap, command_bench;

/* What all of them have. */
extern struct common {
	const char *command, *help;
	const char *device;	/* a path, or NULL */
	bool json;
} common;

#define DEVICE_OPTION { "device", required_argument, NULL, 'd' }
#define JSON_OPTION { "json", no_argument, NULL, 'j' }
#define HELP_OPTION { "help", no_argument, NULL, 'h' }

/* next_option() for the command's own options */
int next(int argc, char **argv, const struct option *longs);

/* Becomes true with Ctrl-C, SIGTERM or SIGHUP, once catch_stop() has been called. */
extern volatile bool stopped;
void catch_stop(void);

/* The device that was asked for, or the first with coherent buffers, or cannot(). */
struct egm_dev *open_device(void);
/* The node of it, to read debugfs. */
struct egm_node find_node(void);

/* Makes @text one that a terminal and a picture can show: ASCII, "?" for the rest. */
void printable(char *text);
/*
 * What a node needs for coherent buffers, or NULL: then it has them, *@emulated or the
 * host's own.
 */
const char *node_needs(const struct egm_node *node, bool *emulated);

/* The first line of a file without its end, or false. */
bool first_line(const char *path, char *line, size_t size);
/* Of a process that may have ended: then "?". Printable. */
void process_name(int pid, char *name, size_t size);

/* What was counted since @from, or null if either could not be read. */
struct counted {
	bool known;
	struct egm_counters c;
	char why[EGM_ERR];
};

void count(const struct egm_node *node, struct counted *counted);
/* All of them as they are */
json_t *counters_json(const struct egm_counters *c);
json_t *counted_json(const struct counted *from, const struct counted *to);
/* 0 if there is no such counter */
uint64_t counted_since(const struct egm_counters *from, const struct egm_counters *to,
		       const char *name);

/*
 * Prints an object and frees it, on one line or many, behind what all of them
 * begin with: egm's version and the command.
 */
void print_json(json_t *json, bool one_line);

#endif
