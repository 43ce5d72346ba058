/* SPDX-License-Identifier: MIT */
/*
 * What the benchmarks of trackers write to a buffer between two submissions, and
 * what that takes.
 */
#ifndef STORES_H
#define STORES_H

#include <stdint.h>

#include "../../mm-patches/compare/trackers.h"

#define MAX_SERIES 12

/*
 * In the order in which they are measured: LATER_ONE and LATER_SPARSE are ONE and
 * SPARSE once more, in a buffer that has been written to as a whole before.
 */
enum pattern_kind {
	FIRST, IDLE, ONE, SPARSE, RING, TENTH, DENSE, LATER_ONE, LATER_SPARSE, PHASES, PATTERNS
};

extern const char *const pattern_name[PATTERNS];

/* Idle, dense, sparse: what each of the submissions of PHASES is like. */
extern const enum pattern_kind phases[MAX_SERIES];

/* The pages to write: in the order of the buffer, and in that of the stores. */
struct plan {
	uint64_t pages;		/* of the buffer */
	uint32_t *page, *order;
	struct compare_range *range;
	uint32_t n, n_ranges;
};

struct plan plan_new(uint64_t pages);
void plan_free(struct plan *p);
/* @turn: counts submissions. The same pages for all trackers. */
void plan_make(struct plan *p, enum pattern_kind pattern, uint64_t seed, uint32_t turn);

/* A pattern's mean is over so many submissions; those before let it settle. */
void how_many(uint64_t size, enum pattern_kind pattern, unsigned int *settle,
	      unsigned int *submissions);

/* What this thread has had of a CPU: not what others of the process had meanwhile. */
double cpu_ns(void);
/* And of page faults */
uint64_t faults_now(void);

#endif
