/* SPDX-License-Identifier: MIT */
#ifndef PICTURE_H
#define PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "scene.h"

/* What a frame cost; frame 0 is the setup. */
struct frame_cost {
	uint64_t dirty_bytes;	/* size of the pages written for it */
	uint64_t upload_bytes;	/* by the kernel's counter, if it has one */
	double seconds;		/* waiting, writing, drawing, reading back */
};

/* @pixels: R, G, B, A bytes, the bottom row first. Returns 0 or -1. */
int picture_frame(const char *path, const uint32_t *pixels, int width, int height);

/* Which pages of which buffer were dirty in which frame. Returns 0 or -1. */
int picture_dirty(const char *path, const struct scene *s, uint32_t frames,
		  const struct frame_cost *cost, bool uploads, const char *subtitle);

#endif
