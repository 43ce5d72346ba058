/* SPDX-License-Identifier: MIT */
/*
 * libegm's patterns and random numbers, for tests: from one seed, which is
 * printed. EGM_SEED=seed in the environment replays it.
 */
#ifndef IGT_PATTERN_H
#define IGT_PATTERN_H

#include <pattern.h>

uint64_t seed_get(void);
struct rng rng_new(uint64_t stream);
struct pattern *pattern_new(uint64_t size);
void pattern_assert(const struct pattern *p, const void *got, uint64_t off,
		    uint64_t len);

#endif /* IGT_PATTERN_H */
