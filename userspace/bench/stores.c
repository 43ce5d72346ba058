// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/resource.h>

#include <pattern.h>

#include "cli.h"
#include "stores.h"

const char *const pattern_name[PATTERNS] = {
	"first touch", "idle", "one page", "0.1 % random", "ring, 1/16", "10 % random", "dense",
	"one, later", "0.1 %, later", "phases",
};

const enum pattern_kind phases[MAX_SERIES] = {
	IDLE, IDLE, IDLE, IDLE, DENSE, DENSE, DENSE, SPARSE, SPARSE, SPARSE, SPARSE, SPARSE,
};

struct plan plan_new(uint64_t pages)
{
	struct plan p = {
		.pages = pages,
		.page = calloc(pages, sizeof(*p.page)), .order = calloc(pages, sizeof(*p.order)),
		.range = calloc(pages, sizeof(*p.range)),
	};

	if (!p.page || !p.order || !p.range)
		cannot("%s", strerror(ENOMEM));
	return p;
}

void plan_free(struct plan *p)
{
	free(p->page);
	free(p->order);
	free(p->range);
}

static void plan_add(struct plan *p, uint32_t page)
{
	if (p->n_ranges && p->range[p->n_ranges - 1].first + p->range[p->n_ranges - 1].nr == page)
		p->range[p->n_ranges - 1].nr++;
	else
		p->range[p->n_ranges++] = (struct compare_range){ .first = page, .nr = 1 };
	p->page[p->n++] = page;
}

void plan_make(struct plan *p, enum pattern_kind pattern, uint64_t seed, uint32_t turn)
{
	const uint64_t pages = p->pages;
	struct rng rng = rng_seeded(seed, turn);
	uint64_t n = 0, first = 0;

	p->n = p->n_ranges = 0;
	switch (pattern) {
	case ONE:
	case LATER_ONE:
		plan_add(p, pages / 2);
		break;
	case SPARSE:
	case LATER_SPARSE:
	case TENTH:
		/* somewhere in each nth of the buffer, so no page twice */
		n = pages / (pattern == TENTH ? 10 : 1000);
		n = n ? n : 1;
		for (uint64_t i = 0; i < n; i++)
			plan_add(p, i * (pages / n) + rng_below(&rng, pages / n));
		break;
	case RING:
		n = pages / 16;
		first = turn % 16 * n;
		for (uint64_t i = 0; i < n; i++)
			plan_add(p, first + i);
		break;
	case FIRST:
	case DENSE:
		for (uint64_t i = 0; i < pages; i++)
			plan_add(p, i);
		break;
	default:
		break;
	}
	memcpy(p->order, p->page, p->n * sizeof(*p->page));
	if (pattern != RING && pattern != FIRST && pattern != DENSE)
		for (uint32_t i = p->n; i > 1; i--) {
			uint32_t j = rng_below(&rng, i), swap = p->order[j];

			p->order[j] = p->order[i - 1];
			p->order[i - 1] = swap;
		}
}

void how_many(uint64_t size, enum pattern_kind pattern, unsigned int *settle,
	      unsigned int *submissions)
{
	bool much = pattern == DENSE && size > 4 << 20;

	*settle = much ? 4 : 24;	/* ours closes what is quiet after 20 */
	*submissions = much ? 4 : 16;
	if (pattern == PHASES)
		*settle = *submissions = MAX_SERIES;
	if (pattern == FIRST) {
		*settle = 0;
		*submissions = 1;
	}
}

double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

uint64_t faults_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}
