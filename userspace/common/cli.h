/* SPDX-License-Identifier: MIT */
/* What the programs have in common: messages, arguments, times. */
#ifndef CLI_H
#define CLI_H

#include <getopt.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_CANNOT 77

#define MIB 1048576.0
#define LENGTH(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* The name in messages, which main() sets. */
extern const char *program;

/* A line for the user, and the end: wrong arguments, an error, not possible here. */
__attribute__((format(printf, 1, 2), noreturn))
void usage(const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn))
void failed(const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn))
void cannot(const char *format, ...);

/*
 * The exit status for main(): @status, or if that is 0 and what was printed did
 * not get where it should, EXIT_CANNOT.
 */
int finish(int status);

/*
 * The next option's short name, -1 after the last one. --help and -h are done here,
 * and so are mistakes; arguments that are no options are left for the caller.
 */
int next_option(int argc, char **argv, const struct option *longs, const char *help);
/* For those that take none */
void no_arguments(int argc, char **argv);
uint64_t number(const char *option, const char *string, uint64_t min, uint64_t max);
/* With K, M or G behind it */
uint64_t size(const char *option, const char *string, uint64_t min, uint64_t max);
/* 4096 as "4 KiB" */
void size_name(char *out, size_t size, uint64_t bytes);
double seconds(const char *option, const char *string, double min, double max);

/* In seconds */
double now(void);

struct spread {
	double mean, median, p99, least, most;
};

/* Sorts @values, of which there is at least one. */
struct spread spread_of(double *values, size_t n);
/* Its median, least and most */
json_t *spread_json(struct spread s);
/* Writes DIR/NAME.json, and drops @json. */
void write_json_file(const char *dir, const char *name, json_t *json);

#endif
