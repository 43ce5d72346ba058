/* SPDX-License-Identifier: MIT */
/* The options of a benchmark: one table of them is parsed, and is what --help prints. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct bench_option {
	const char *name, *value;	/* of --name VALUE; a switch has none */
	const char *help;
	/* What it sets: one of these */
	bool *flag;
	const char **text;
	unsigned int *number;		/* from @min to @max */
	uint64_t *seed;
	uint64_t *size;			/* from @min to @max, with K, M or G behind it */
	unsigned int *choice;		/* the index of one of the @max @choices */
	const char *const *choices;
	uint64_t min, max;
};

#define OPTION_OUT(to, file) { "out", "DIR", "also write " file " there", .text = (to) }
#define OPTION_ROUNDS(to, most) \
	{ "rounds", "N", "measure each so many times, in turn", .number = (to), .min = 1, .max = (most) }
#define OPTION_SEED(to) { "seed", "N", "for the random pages", .seed = (to) }
#define OPTION_SIZE(to, least, most) \
	{ "max", "SIZE", "of the memory", .size = (to), .min = (least), .max = (most) }
#define OPTION_LOSE(to, name, what) { name, NULL, what ": must be noticed", .flag = (to) }

/*
 * Parses the arguments of @program. @about: what it does; @status: what exit status 1 says.
 */
void bench_options(int argc, char **argv, const char *about, const char *status,
		   const struct bench_option *options, int n);

#endif
