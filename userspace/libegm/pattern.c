// SPDX-License-Identifier: MIT
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "pattern.h"

#define WORD sizeof(uint64_t)

uint64_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* A bijection on 64 bits, each output bit depending on each input bit. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* The inverse: the multipliers' inverses modulo 2^64, in reverse order. */
static uint64_t unmix(uint64_t x)
{
	x = (x ^ x >> 31 ^ x >> 62) * 0x319642b2d24d8ec3ull;
	x = (x ^ x >> 27 ^ x >> 54) * 0x96de1b173f119089ull;
	return x ^ x >> 30 ^ x >> 60;
}

uint64_t seed_new(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		abort();
	return seed | 1;
}

struct rng rng_seeded(uint64_t seed, uint64_t stream)
{
	return (struct rng){ .state = seed ^ mix(stream + 1) };
}

uint64_t rng_next(struct rng *r)
{
	r->state += 0x9e3779b97f4a7c15ull;
	return mix(r->state);
}

uint64_t rng_below(struct rng *r, uint64_t below)
{
	return rng_next(r) % below;
}

static size_t pattern_bytes(uint64_t size)
{
	return sizeof(struct pattern) + size;
}

struct pattern *pattern_create(uint64_t size, uint64_t key)
{
	struct pattern *p;

	p = mmap(NULL, pattern_bytes(size), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	p->size = size;
	p->key = mix(key);
	return p;
}

void pattern_free(struct pattern *p)
{
	munmap(p, pattern_bytes(p->size));
}

static uint64_t pattern_word(const struct pattern *p, uint64_t index,
			     uint32_t generation)
{
	return mix(((uint64_t)generation << 32 | index) ^ p->key);
}

static void pattern_range(const struct pattern *p, uint64_t off, uint64_t len)
{
	assert(off % WORD == 0 && len % WORD == 0);
	assert(off + len <= p->size);
}

/* The store of a word must be one store, for other readers of the page. */
static void put_word(void *base, uint64_t index, uint64_t word)
{
	((volatile uint64_t *)base)[index] = word;
}

void pattern_fill(struct pattern *p, void *base, uint64_t off, uint64_t len)
{
	uint32_t gen = atomic_fetch_add(&p->generation, 1) + 1;
	uint64_t i;

	pattern_range(p, off, len);
	for (i = off / WORD; i < (off + len) / WORD; i++) {
		uint64_t word = pattern_word(p, i, gen);

		p->want[i] = word;
		put_word(base, i, word);
	}
}

void pattern_make(struct pattern *p, void *dst, uint64_t off, uint64_t len)
{
	pattern_fill(p, (char *)dst - off, off, len);
}

void pattern_poke(struct pattern *p, void *base, uint64_t off, uint64_t len)
{
	uint8_t *want = (uint8_t *)p->want;
	volatile uint8_t *to = base;
	uint64_t i;

	assert(off + len <= p->size);
	for (i = off; i < off + len; i++) {
		want[i] += 1 + (pattern_word(p, i, 0) & 0x7f);
		to[i] = want[i];
	}
}

void pattern_copied(struct pattern *p, uint64_t off,
		    const struct pattern *src, uint64_t src_off, uint64_t len)
{
	pattern_range(p, off, len);
	pattern_range(src, src_off, len);
	memcpy((char *)p->want + off, (const char *)src->want + src_off, len);
}

/* got is page-aligned with the buffer: the word of offset off is got[0]. */
bool pattern_compare(const struct pattern *p, const void *got, uint64_t off,
		     uint64_t len, struct pattern_diff *diff)
{
	const uint64_t *want = p->want + off / WORD, *have = got;
	uint64_t i, n = len / WORD, step = PAGE / WORD;

	pattern_range(p, off, len);
	memset(diff, 0, sizeof(*diff));

	for (i = 0; i < n; i++) {
		uint64_t start = off + i * WORD;
		int last = diff->n_ranges - 1;

		if (i % step == 0 && n - i >= step &&
		    !memcmp(want + i, have + i, PAGE)) {
			i += step - 1;
			continue;
		}
		if (!want[i] || want[i] == have[i])
			continue;

		diff->bytes += WORD;
		if (last >= 0 && diff->range[last].end == start) {
			diff->range[last].end += WORD;
		} else if (last < 15) {
			diff->range[last + 1].start = start;
			diff->range[last + 1].end = start + WORD;
			diff->n_ranges++;
		}
	}

	return !diff->bytes;
}

/* Where and when a word was written that was found at off. */
static void describe(const struct pattern *p, uint64_t off, uint64_t word,
		     char *buf, size_t size)
{
	uint64_t x = unmix(word) ^ p->key;
	uint64_t from = (x & UINT32_MAX) * WORD;
	uint32_t gen = x >> 32;

	if (!word)
		snprintf(buf, size, "zero");
	else if (from >= p->size || !gen || gen > p->generation)
		snprintf(buf, size, "0x%" PRIx64 ", not of this buffer", word);
	else if (from == off)
		snprintf(buf, size, "this word of write %u", gen);
	else
		snprintf(buf, size, "offset 0x%" PRIx64 " of write %u", from,
			 gen);
}

void pattern_describe(const struct pattern *p, const void *got, uint64_t off,
		      const struct pattern_diff *diff, int i, char *text,
		      size_t size)
{
	uint64_t start = diff->range[i].start;
	char is[80], was[80];

	describe(p, start, ((const uint64_t *)got)[(start - off) / WORD], is,
		 sizeof(is));
	describe(p, start, p->want[start / WORD], was, sizeof(was));
	snprintf(text, size, "0x%" PRIx64 "-0x%" PRIx64 " (page %" PRIu64
		 "): found %s, expected %s", start, diff->range[i].end,
		 start / PAGE, is, was);
}
