// SPDX-License-Identifier: MIT
/*
 * Measures passes over page tables: mapping_dirty_harvest() against mainline's
 * functions, in turn, on the same mappings of /dev/mapping_dirty. For each
 * size and pattern of dirty pages: a line in a table, and in JSON.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <jansson.h>

#include "cli.h"
#include "options.h"
#include "../../mm-patches/compare/bench.h"

#define DEVICE "/dev/mapping_dirty"
#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))
#define MAX_REPEAT 99

static const uint64_t sizes[] = {
	64ul << 10, 1ul << 20, 16ul << 20, 256ul << 20, 1ul << 30
};

enum pattern { IDLE, ONE, SPREAD, RANDOM, RING, TENTH, DENSE, PATTERNS };

static const char *const pattern_name[PATTERNS] = {
	"idle", "one page", "64 pages", "0.1 % random", "ring, 1/16",
	"10 % random", "dense"
};

struct cell {
	uint64_t size;
	enum pattern pattern;
	bool wrprotect;
	uint64_t dirty, scanned, ranges, flushes;
	double stock, ours;		/* median, in seconds */
	struct spread ratio;		/* of each pair */
};

static struct cell cells[LENGTH(sizes) * PATTERNS * 2];
static unsigned int n_cells;
static unsigned int repeat = 9;
static uint64_t seed = 1;
static const char *out_dir;

/* xorshift64*: the pages of a cell are the same for both. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static void write_pages(volatile uint8_t *map, uint64_t pages,
			enum pattern pattern, unsigned int round)
{
	uint64_t random = seed + round * 0x9e3779b97f4a7c15ull;
	uint64_t n = 0;

	switch (pattern) {
	case ONE:
		map[next_random(&random) % pages * PAGE]++;
		break;
	case SPREAD:
		for (uint64_t i = 0; i < 64; i++)
			map[i * pages / 64 * PAGE]++;
		break;
	case RING:
		for (uint64_t i = 0; i < pages / 16; i++)
			map[(round * (pages / 16) + i) % pages * PAGE]++;
		break;
	case DENSE:
		for (uint64_t i = 0; i < pages; i++)
			map[i * PAGE]++;
		break;
	case RANDOM:
		n = pages / 1000 + 1;
		break;
	case TENTH:
		n = pages / 10 + 1;
		break;
	default:
		break;
	}
	for (uint64_t i = 0; i < n; i++)
		map[next_random(&random) % pages * PAGE]++;
}

static struct bench_pass pass(int fd, uint64_t pages, unsigned int which,
			      bool wrprotect)
{
	struct bench_pass p = {
		.which = which, .flags = wrprotect ? BENCH_WRPROTECT : 0,
		.nr = pages,
	};

	if (ioctl(fd, BENCH_IOCTL_PASS, &p))
		failed("the pass fails: %s", strerror(errno));
	return p;
}

static void measure(int fd, volatile uint8_t *map, uint64_t size,
		    enum pattern pattern, bool wrprotect)
{
	struct cell *cell = &cells[n_cells++];
	double stock[MAX_REPEAT], ours[MAX_REPEAT], ratio[MAX_REPEAT];
	uint64_t pages = size / PAGE;

	*cell = (struct cell){
		.size = size, .pattern = pattern, .wrprotect = wrprotect
	};
	/* All present; and all as a pass leaves it. */
	for (uint64_t i = 0; i < pages; i++)
		(void)map[i * PAGE];
	pass(fd, pages, BENCH_HARVEST, wrprotect);

	for (unsigned int i = 0; i < repeat; i++) {
		struct bench_pass p[2];

		/* Which goes first takes turns */
		for (unsigned int j = 0; j < 2; j++) {
			unsigned int which = (i + j) % 2;

			write_pages(map, pages, pattern, i);
			p[which] = pass(fd, pages, which, wrprotect);
		}
		if (p[0].dirty != p[1].dirty)
			failed("%s, %llu KiB: mainline finds %llu dirty pages, ours %llu",
			       pattern_name[pattern], (unsigned long long)size >> 10,
			       (unsigned long long)p[0].dirty,
			       (unsigned long long)p[1].dirty);
		stock[i] = p[BENCH_STOCK].ns / 1e9;
		ours[i] = p[BENCH_HARVEST].ns / 1e9;
		ratio[i] = stock[i] / ours[i];
		cell->dirty = p[BENCH_HARVEST].dirty;
		cell->scanned = p[BENCH_HARVEST].scanned;
		cell->ranges = p[BENCH_HARVEST].ranges;
		cell->flushes = p[BENCH_HARVEST].flushes;
	}
	cell->stock = spread_of(stock, repeat).median;
	cell->ours = spread_of(ours, repeat).median;
	cell->ratio = spread_of(ratio, repeat);
}

static void print_cell(const struct cell *c)
{
	char size[32];

	size_name(size, sizeof(size), c->size);
	printf("%8s  %-12s  %8llu  %10.1f  %10.1f  %6.2f  %5.2f..%-6.2f  %8llu  %3llu  %3llu\n",
	       size, pattern_name[c->pattern],
	       (unsigned long long)c->dirty, c->stock * 1e6, c->ours * 1e6,
	       c->ratio.median, c->ratio.least, c->ratio.most, (unsigned long long)c->scanned,
	       (unsigned long long)c->ranges, (unsigned long long)c->flushes);
	fflush(stdout);
}

static void print_head(bool wrprotect)
{
	printf("\n%s\n\n%8s  %-12s  %8s  %10s  %10s  %6s  %13s  %8s  %3s  %3s\n",
	       wrprotect ?
	       "write-protect and clean (mainline: two functions)" :
	       "clean", "size", "pattern", "dirty", "mainline us", "ours us",
	       "ratio", "least..most", "entries", "rng", "tlb");
}

static void write_json(void)
{
	json_t *all = json_array();

	for (unsigned int i = 0; i < n_cells; i++) {
		const struct cell *c = &cells[i];

		json_array_append_new(all, json_pack(
			"{s:I, s:s, s:b, s:I, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I}",
			"size", (json_int_t)c->size, "pattern", pattern_name[c->pattern],
			"wrprotect", c->wrprotect, "dirty", (json_int_t)c->dirty,
			"mainline_seconds", c->stock, "ours_seconds", c->ours,
			"ratio", c->ratio.median, "ratio_least", c->ratio.least,
			"ratio_most", c->ratio.most, "entries", (json_int_t)c->scanned,
			"notifier_ranges", (json_int_t)c->ranges,
			"flushes", (json_int_t)c->flushes));
	}
	write_json_file(out_dir, "walk",
			json_pack("{s:I, s:i, s:o}", "seed", (json_int_t)seed, "repeat", repeat,
				  "cells", all));
}

/* Of a child that does nothing: its page tables are made, and taken down. */
static double fork_time(void)
{
	double begun = now();
	pid_t pid = fork();
	int status;

	if (pid < 0)
		cannot("fork: %s", strerror(errno));
	if (!pid)
		_exit(0);
	waitpid(pid, &status, 0);
	return now() - begun;
}

/* What fork() and munmap() take, of a mapping of each kind of memory. */
static void measure_zaps(void)
{
	static const struct {
		const char *name;
		bool device, anonymous, dirty;
	} kinds[] = {
		{ "anonymous", .anonymous = true, .dirty = true },
		{ "file", .dirty = true },
		{ "device, clean", .device = true },
		{ "device, dirty", .device = true, .dirty = true },
	};
	const uint64_t size = 64ul << 20;
	json_t *all = json_array();

	printf("64 MiB, ns a page, median of %u\n\n%-14s  %8s  %8s\n", repeat, "memory", "fork",
	       "munmap");
	for (unsigned int i = 0; i < LENGTH(kinds); i++) {
		int flags = kinds[i].anonymous ? MAP_PRIVATE | MAP_ANONYMOUS :
			MAP_SHARED;
		double forks[MAX_REPEAT], zaps[MAX_REPEAT];
		double forked, zapped;
		int fd = -1;

		if (kinds[i].device)
			fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		else if (!kinds[i].anonymous)
			fd = memfd_create("egm-walk", MFD_CLOEXEC);
		if (fd < 0 && !kinds[i].anonymous) {
			printf("%-14s  %s\n", kinds[i].name, strerror(errno));
			continue;
		}
		if (fd >= 0 && !kinds[i].device && ftruncate(fd, size))
			cannot("ftruncate: %s", strerror(errno));
		for (unsigned int j = 0; j < repeat; j++) {
			double begun;
			volatile uint8_t *map = mmap(NULL, size,
						     PROT_READ | PROT_WRITE,
						     flags, fd, 0);

			if (map == MAP_FAILED)
				cannot("mmap: %s", strerror(errno));
			for (uint64_t at = 0; at < size; at += PAGE) {
				if (kinds[i].dirty)
					map[at] = 1;
				else
					(void)map[at];
			}
			forks[j] = fork_time();
			begun = now();
			munmap((void *)map, size);
			zaps[j] = now() - begun;
		}
		forked = spread_of(forks, repeat).median * 1e9 / (size / PAGE);
		zapped = spread_of(zaps, repeat).median * 1e9 / (size / PAGE);
		printf("%-14s  %8.2f  %8.2f\n", kinds[i].name, forked, zapped);
		json_array_append_new(all, json_pack("{s:s, s:f, s:f}", "memory", kinds[i].name,
						     "fork_ns", forked, "munmap_ns", zapped));
		if (fd >= 0)
			close(fd);
	}
	if (out_dir)
		write_json_file(out_dir, "zap", all);
	else
		json_decref(all);
}

int main(int argc, char **argv)
{
	bool zap = false;
	int fd;
	const struct bench_option options[] = {
		OPTION_OUT(&out_dir, "walk.json, or zap.json,"),
		OPTION_ROUNDS(&repeat, MAX_REPEAT),
		OPTION_SEED(&seed),
		{ "zap", NULL, "measure fork() and munmap() instead, by kind of memory", .flag = &zap },
	};

	program = "egm-walk";
	bench_options(argc, argv,
		      "Times passes over page tables on " DEVICE ", mainline's functions and\n"
		      "mapping_dirty_harvest() in turn, for sizes from 64 KiB to 1 GiB.\n",
		      "the two find different pages dirty", options, LENGTH(options));

	if (zap) {
		measure_zaps();
		return finish(0);
	}

	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		cannot("%s: %s (a kernel with CONFIG_MAPPING_DIRTY_COMPARE has it)",
		       DEVICE, strerror(errno));

	printf("seed %llu, each %u times\n", (unsigned long long)seed, repeat);
	for (unsigned int wrprotect = 0; wrprotect < 2; wrprotect++) {
		print_head(wrprotect);
		for (unsigned int i = 0; i < LENGTH(sizes); i++) {
			uint8_t *map = mmap(NULL, sizes[i],
					    PROT_READ | PROT_WRITE, MAP_SHARED,
					    fd, 0);

			if (map == MAP_FAILED)
				cannot("mmap of %llu KiB: %s", (unsigned long long)sizes[i] >> 10,
				       strerror(errno));
			for (unsigned int p = 0; p < PATTERNS; p++) {
				measure(fd, map, sizes[i], p, wrprotect);
				print_cell(&cells[n_cells - 1]);
			}
			munmap(map, sizes[i]);
		}
	}
	if (out_dir)
		write_json();
	return finish(0);
}
