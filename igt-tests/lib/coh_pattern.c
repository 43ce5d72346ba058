// SPDX-License-Identifier: MIT
#include <inttypes.h>
#include <stdlib.h>

#include "igt_core.h"
#include "coh_pattern.h"

static uint64_t seed;

void seed_set(uint64_t value)
{
	seed = value;
}

uint64_t seed_get(void)
{
	static bool said;

	if (!seed)
		seed = seed_new();
	if (!said)
		igt_info("--seed 0x%" PRIx64 "\n", seed);
	said = true;
	return seed;
}

struct rng rng_new(uint64_t stream)
{
	return rng_seeded(seed_get(), stream);
}

struct pattern *pattern_new(uint64_t size)
{
	static uint64_t count;
	struct pattern *p;

	/* no two patterns of a program have a word in common */
	p = pattern_create(size, seed_get() ^ ++count);
	igt_assert_f(p, "no memory for a pattern of %" PRIu64 " bytes\n", size);
	return p;
}

void pattern_assert(const struct pattern *p, const void *got, uint64_t off,
		    uint64_t len)
{
	struct pattern_diff diff;
	char text[256];
	int i;

	if (pattern_compare(p, got, off, len, &diff))
		return;

	for (i = 0; i < diff.n_ranges; i++) {
		pattern_describe(p, got, off, &diff, i, text, sizeof(text));
		igt_warn("%s\n", text);
	}
	igt_assert_f(false, "%" PRIu64 " of %" PRIu64
		     " bytes are not what was written; latest write %u; --seed 0x%"
		     PRIx64 "\n", diff.bytes, len, p->generation, seed_get());
}
