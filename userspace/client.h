/* SPDX-License-Identifier: MIT */
/* egm: what its commands share. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <getopt.h>
#include <jansson.h>

#include <egm.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_CANNOT 77

#define MIB 1048576.0
#define LENGTH(a) ((int)(sizeof(a) / sizeof((a)[0])))

struct command {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
	const char *help;
};

extern const struct command command_list, command_verify, command_watch,
	command_heatmap, command_bench;

/* Which of them runs, for the messages. */
extern const struct command *command;

/* A line for the user, and the end: wrong arguments, and not possible here. */
__attribute__((format(printf, 1, 2), noreturn))
void usage(const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn))
void cannot(const char *format, ...);

/*
 * The next option's short name, -1 after the last one. --help is done here, and
 * so are mistakes; arguments that are no options are left for the caller.
 */
int next_option(int argc, char **argv, const struct option *longs);
/* For commands that take none */
void no_arguments(int argc, char **argv);
uint64_t number(const char *option, const char *string, uint64_t min, uint64_t max);
/* With K, M or G behind it */
uint64_t size(const char *option, const char *string, uint64_t min, uint64_t max);
double seconds(const char *option, const char *string, double min, double max);

double now(void);
/* Becomes true with Ctrl-C or SIGTERM, once catch_stop() has been called. */
extern volatile bool stopped;
void catch_stop(void);

/* A device with coherent buffers, or cannot(). */
struct egm_dev *open_device(const char *path);
/* A node of which debugfs is to be read, or cannot(). */
void find_node(const char *path, struct egm_node *node);

/* Of a process that may have ended: then "?". ASCII, whatever it calls itself. */
void process_name(int pid, char *name, size_t size);

/* What was counted since @from, or null if either could not be read. */
struct counted {
	bool known;
	struct egm_counters c;
	char why[EGM_ERR];
};

void count(const struct egm_node *node, struct counted *counted);
json_t *counted_json(const struct counted *from, const struct counted *to);
uint64_t counted_since(const struct counted *from, const struct counted *to,
		       const char *name);

/* Prints and frees it, on one line or many. */
void print_json(json_t *json, bool one_line);

#endif
