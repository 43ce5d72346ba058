/* SPDX-License-Identifier: MIT */
/*
 * libegm's patterns and random numbers, for tests: from one seed, which is
 * printed. --seed repeats it.
 */
#ifndef COH_PATTERN_H
#define COH_PATTERN_H

#include <pattern.h>

void seed_set(uint64_t value);
uint64_t seed_get(void);
struct rng rng_new(uint64_t stream);
struct pattern *pattern_new(uint64_t size);
void pattern_assert(const struct pattern *p, const void *got, uint64_t off,
		    uint64_t len);

#endif /* COH_PATTERN_H */
