/* SPDX-License-Identifier: MIT */
/* A buffer in which some pages are written, through one mapping or another. */
#ifndef MMAP_H
#define MMAP_H

#include <sys/mman.h>

#include "coherent.h"
#include "igt_core.h"

#define RW (PROT_READ | PROT_WRITE)

/*
 * Several chunks at any chunk size, and not a multiple of one. Most writes go
 * to few of its pages, so that chunks in all states are beside them.
 */
#define SIZE (1029 * PAGE)

/* The device has what was written, and so has memory. */
static inline void check(struct coh_buf *b)
{
	coh_buf_check(b);
	pattern_assert(b->p, b->bo->map, 0, SIZE);
}

static inline void settle(struct coh_buf *b)
{
	int i;

	for (i = 0; i < 40; i++)
		coh_touch(b->bo);
}

/* Writes n pages from page on through a mapping whose first page is first. */
static inline void fill(struct coh_buf *b, void *map, uint64_t first, uint64_t page,
			uint64_t n)
{
	pattern_fill(b->p, (char *)map - first * PAGE, page * PAGE, n * PAGE);
}

static inline void unmap_pages(void *map, uint64_t n)
{
	if (n)
		igt_assert(!munmap(map, n * PAGE));
}

/* A mapping of some pages: what is left when the others are unmapped. */
static inline void *map_pages(const struct egm_bo *bo, int prot, uint64_t first,
			      uint64_t n)
{
	char *map = coh_map(bo, prot, SIZE);

	unmap_pages(map, first);
	unmap_pages(map + (first + n) * PAGE, SIZE / PAGE - first - n);
	return map + first * PAGE;
}

#endif /* MMAP_H */
