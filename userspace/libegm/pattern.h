/* SPDX-License-Identifier: MIT */
/*
 * Content that tells where and when it was written.
 *
 * Every 64-bit word written is a reversible hash of its position in the buffer
 * and of a generation that grows with each write. A pattern remembers the
 * last word written to each position; comparing it with what the device has
 * finds lost, stale and misplaced pages, and says which it is. Words that were
 * never written are not compared: the contract says nothing about them.
 *
 * A pattern lives in memory shared with forked children, who may write (other
 * words than their siblings) and compare too.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of the machine's pages, always the same */
uint64_t page_size(void) __attribute__((const));

#define PAGE page_size()
#define KiB(n) ((n) * UINT64_C(1024))
#define MiB(n) KiB((n) * UINT64_C(1024))

struct pattern {
	uint64_t size;
	uint64_t key;
	_Atomic uint32_t generation;
	uint64_t want[];
};

/* What a comparison found: ranges of bytes that differ, in order. */
struct pattern_diff {
	int n_ranges;
	uint64_t bytes;
	struct {
		uint64_t start, end;
	} range[16];
};

/*
 * Patterns with different keys have no word in common. Returns NULL without
 * memory for it.
 */
struct pattern *pattern_create(uint64_t size, uint64_t key);
void pattern_free(struct pattern *p);

/*
 * Write new content through a mapping; base is where offset 0 of the buffer is
 * or would be. Offsets and lengths are in bytes, and multiples of 8 except for
 * pattern_poke(), which changes len bytes of words already written.
 */
void pattern_fill(struct pattern *p, void *base, uint64_t off, uint64_t len);
void pattern_poke(struct pattern *p, void *base, uint64_t off, uint64_t len);
/* New content for the same range, without writing it anywhere. */
void pattern_make(struct pattern *p, void *dst, uint64_t off, uint64_t len);
/* Says that the range has now the content of another pattern. */
void pattern_copied(struct pattern *p, uint64_t off,
		    const struct pattern *src, uint64_t src_off, uint64_t len);

/* got is what is at offset off. Returns whether all of it is as written. */
bool pattern_compare(const struct pattern *p, const void *got, uint64_t off,
		     uint64_t len, struct pattern_diff *diff);
/* Range @i of what a comparison found, in words: what, and what was expected. */
void pattern_describe(const struct pattern *p, const void *got, uint64_t off,
		      const struct pattern_diff *diff, int i, char *text,
		      size_t size);

/* Random numbers that can be had again from the seed. */
struct rng {
	uint64_t state;
};

/* A new seed, never 0. */
uint64_t seed_new(void);
/* Independent of every other stream of the same seed. */
struct rng rng_seeded(uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *r);
/* 0 .. below - 1 */
uint64_t rng_below(struct rng *r, uint64_t below);

#endif /* PATTERN_H */
