/* SPDX-License-Identifier: MIT */
/*
 * A coherent buffer that the device writes, by copying from another one, which only the
 * CPU writes.
 */
#ifndef READBACK_H
#define READBACK_H

#include <sys/mman.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"

#define RW (PROT_READ | PROT_WRITE)

/* Several chunks at any chunk size, and not a multiple of one. */
#define SIZE (517 * PAGE)
#define PAGES (SIZE / PAGE)

/* What the device writes to, what it copies from, and what both should be. */
struct buf {
	struct egm_dev *dev;
	struct egm_bo *bo, *src;
	struct pattern *p, *from;
};

static inline struct buf setup(struct egm_dev *dev)
{
	struct buf b = {
		.dev = dev,
		.bo = coh_create(dev, SIZE),
		.src = coh_create(dev, SIZE),
		.p = pattern_new(SIZE),
		.from = pattern_new(SIZE),
	};

	pattern_fill(b.p, b.bo->map, 0, SIZE);
	return b;
}

static inline void teardown(struct buf *b)
{
	egm_bo_destroy(b->bo);
	egm_bo_destroy(b->src);
	pattern_free(b->p);
	pattern_free(b->from);
}

/* Has the device write new content to a range of the buffer. */
static inline void device_fill(struct buf *b, uint64_t off, uint64_t len)
{
	struct egm_copy copy = {
		.dst = b->bo,
		.dst_off = off,
		.src = b->src,
		.src_off = SIZE - off - len,
		.len = len,
	};

	pattern_fill(b->from, b->src->map, copy.src_off, len);
	coh_submit(b->dev, &copy, 1, NULL, 0);
	pattern_copied(b->p, off, b->from, copy.src_off, len);
}

static inline void device_fill_wait(struct buf *b, uint64_t off, uint64_t len)
{
	device_fill(b, off, len);
	coh_wait(b->bo);
}

static inline void fill(struct buf *b, uint64_t off, uint64_t len)
{
	pattern_fill(b->p, b->bo->map, off, len);
}

static inline void check_map(struct buf *b, const void *map, uint64_t off, uint64_t len)
{
	pattern_assert(b->p, (const char *)map + off, off, len);
}

static inline void check(struct buf *b)
{
	check_map(b, b->bo->map, 0, SIZE);
}

/* The device's copy is the same, by a way that has nothing to do with ours. */
static inline void check_device(struct buf *b)
{
	struct egm_bo *snap = coh_create_plain(b->dev, SIZE);

	coh_snapshot(b->bo, snap);
	pattern_assert(b->p, coh_fetch(snap), 0, SIZE);
	egm_bo_destroy(snap);
}

/* For parent and child: one of them says when, the other waits for it. */
struct turn {
	int fd[2];
};

static inline struct turn turn_new(void)
{
	struct turn t;

	igt_assert(!pipe(t.fd));
	return t;
}

static inline void turn_pass(const struct turn *t)
{
	igt_assert(write(t->fd[1], "", 1) == 1);
}

static inline void turn_await(const struct turn *t)
{
	char c;

	igt_assert(read(t->fd[0], &c, 1) == 1);
}

static inline void turn_free(const struct turn *t)
{
	close(t->fd[0]);
	close(t->fd[1]);
}

#endif /* READBACK_H */
