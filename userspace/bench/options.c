// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "options.h"

/* An option's line in the help, with its default. */
static void describe(FILE *f, const struct bench_option *o)
{
	char head[32], value[32];

	snprintf(head, sizeof(head), "--%s %s", o->name, o->value ? o->value : "");
	fprintf(f, "  %-16s%s", head, o->help);
	if (o->number)
		fprintf(f, " (%u)", *o->number);
	if (o->seed)
		fprintf(f, " (%llu)", (unsigned long long)*o->seed);
	if (o->size) {
		size_name(value, sizeof(value), *o->size);
		fprintf(f, " (%s)", value);
	}
	fputc('\n', f);
}

static unsigned int choose(const struct bench_option *o)
{
	for (uint64_t i = 0; i < o->max; i++)
		if (!strcmp(optarg, o->choices[i]))
			return i;
	usage("there is no %s %s", o->name, optarg);
}

static void set(const struct bench_option *o)
{
	char name[32];

	snprintf(name, sizeof(name), "--%s", o->name);
	if (o->flag)
		*o->flag = true;
	else if (o->text)
		*o->text = optarg;
	else if (o->number)
		*o->number = number(name, optarg, o->min, o->max);
	else if (o->seed)
		*o->seed = number(name, optarg, 1, INT64_MAX);
	else if (o->size)
		*o->size = size(name, optarg, o->min, o->max);
	else
		*o->choice = choose(o);
}

void bench_options(int argc, char **argv, const char *about, const char *status,
		   const struct bench_option *options, int n)
{
	struct option *longs = calloc(n + 2, sizeof(*longs));
	size_t length;
	char *help;
	FILE *f = open_memstream(&help, &length);
	int c;

	if (!longs || !f)
		cannot("no memory");
	fprintf(f, "usage: %s [options]\n\n%s\n", program, about);
	for (int i = 0; i < n; i++) {
		describe(f, &options[i]);
		longs[i] = (struct option){
			options[i].name, options[i].value ? required_argument : no_argument, NULL, 256 + i
		};
	}
	fprintf(f, "  %-16s%s\n\nExit status: 0 done, 1 %s, 2 wrong usage, 77 cannot be measured here.\n",
		"--help", "this text", status);
	fclose(f);
	longs[n] = (struct option){ "help", no_argument, NULL, 'h' };
	while ((c = next_option(argc, argv, longs, help)) != -1)
		set(&options[c - 256]);
	no_arguments(argc, argv);
	free(help);
	free(longs);
}
