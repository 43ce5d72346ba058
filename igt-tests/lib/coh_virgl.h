/* SPDX-License-Identifier: MIT */
/*
 * Streams of virgl commands, for tests: functions that are given the end of a stream
 * append a command to it, and return its new end.
 */
#ifndef COH_VIRGL_H
#define COH_VIRGL_H

#include <stdint.h>

#include <egm.h>
#include <virtgpu.h>

/* The type of a compute shader */
#define VIRGL_COMPUTE 5u
/* Words that one block of virgl_bind_numbers()'s shader writes */
#define VIRGL_GROUP_WORDS 64u

#define VIRGL_INLINE_LEN 256
#define VIRGL_INLINE_DATA 12
#define VIRGL_INLINE_DWORDS (VIRGL_INLINE_DATA + VIRGL_INLINE_LEN / 4)

/*
 * The command that brings its data along: VIRGL_INLINE_LEN bytes for the buffer, which
 * are to be stored at cmd + VIRGL_INLINE_DATA.
 */
void virgl_inline_write(uint32_t cmd[VIRGL_INLINE_DWORDS], const struct egm_bo *bo,
			uint64_t off);

uint32_t *virgl_command(uint32_t *end, uint32_t cmd, const uint32_t *words, int n);
/* A shader by which each word becomes its own number, counted from where it is bound */
uint32_t *virgl_bind_numbers(uint32_t *end);
/* What it writes */
uint32_t *virgl_bind_range(uint32_t *end, const struct egm_bo *bo, uint32_t off,
			   uint32_t words);
uint32_t *virgl_launch(uint32_t *end, uint32_t words);
/* Submits the stream, with a list of one buffer or of none. Returns 0 or -errno. */
int virgl_submit(struct egm_dev *dev, const uint32_t *cmds, const uint32_t *end,
		 const struct egm_bo *bo);

#endif /* COH_VIRGL_H */
