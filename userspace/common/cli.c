// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

const char *program;

/* ---- messages ---------------------------------------------------------- */

static void say(const char *format, va_list args)
{
	fprintf(stderr, "%s: ", program);
	vfprintf(stderr, format, args);
}

void usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	fprintf(stderr, " (see %s --help)\n", program);
	exit(EXIT_USAGE);
}

void failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILED);
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

int finish(int status)
{
	bool lost = ferror(stdout);

	if (!fclose(stdout) && !lost)
		return status;
	fprintf(stderr, "%s: writing the output: %s\n", program, strerror(errno));
	return status ? status : EXIT_CANNOT;
}

/* ---- arguments --------------------------------------------------------- */

int next_option(int argc, char **argv, const struct option *longs, const char *help)
{
	/* Up to the first argument: what follows may be another program's */
	int c = getopt_long(argc, argv, "+:h", longs, NULL);
	const char *last = argv[optind - 1];

	switch (c) {
	case 'h':
		fputs(help, stdout);
		exit(finish(0));
	case ':':
		usage("%s needs a value", last);
	case '?':
		/* of -xyz it is still in the middle */
		if (optopt && !strchr(last, '='))
			usage("unknown option -%c", optopt);
		usage("unknown option %s", last);
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
		usage("%s: \"%s\" is not a number from %llu to %llu", option, string,
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
		usage("%s: \"%s\" is not a size from %lluK to %lluM", option, string,
		      (unsigned long long)min >> 10, (unsigned long long)max >> 20);
	return value << shift;
}

double seconds(const char *option, const char *string, double min, double max)
{
	double value;
	char *end;

	value = strtod(string, &end);
	if (end == string || *end || !(value >= min && value <= max))
		usage("%s: \"%s\" is not a time from %g to %g seconds", option, string, min, max);
	return value;
}

void size_name(char *out, size_t size, uint64_t bytes)
{
	if (bytes >= 1 << 30)
		snprintf(out, size, "%.4g GiB", bytes / 1073741824.0);
	else if (bytes >= 1 << 20)
		snprintf(out, size, "%.4g MiB", bytes / 1048576.0);
	else
		snprintf(out, size, "%.4g KiB", bytes / 1024.0);
}

/* ---- times ------------------------------------------------------------- */

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread spread_of(double *values, size_t n)
{
	double sum = 0;

	qsort(values, n, sizeof(*values), compare_double);
	for (size_t i = 0; i < n; i++)
		sum += values[i];
	return (struct spread){
		.mean = sum / n,
		.median = (values[(n - 1) / 2] + values[n / 2]) / 2,
		.p99 = values[(n * 99 + 99) / 100 - 1],
		.least = values[0],
		.most = values[n - 1],
	};
}

json_t *spread_json(struct spread s)
{
	return json_pack("{s:f, s:f, s:f}", "median", s.median, "least", s.least, "most", s.most);
}

void write_json_file(const char *dir, const char *name, json_t *json)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.json", dir, name);
	if (json_dump_file(json, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)))
		cannot("cannot write %s", path);
	json_decref(json);
}
