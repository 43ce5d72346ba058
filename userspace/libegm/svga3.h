/* SPDX-License-Identifier: MIT */
/* vmwgfx's submissions, and svga3-model's knobs and counters: userspace/svga3/svga3_ctl.h. */
#ifndef EGM_SVGA3_H
#define EGM_SVGA3_H

#include <stdint.h>

#include "svga3_ctl.h"

/* 0 or -errno; its fence is for the caller to drop, if that asks for it. */
int egm_svga3_submit(int fd, const void *cmds, uint32_t size, uint32_t *fence);

/*
 * The config space of the model below a file of vmwgfx, for the others, or
 * -errno; -ENODEV if it is another device.
 */
int egm_svga3_open(int fd);
int egm_svga3_get(int config, enum svga3_ctl which, uint64_t *value);
int egm_svga3_set(int config, enum svga3_ctl which, uint32_t value);

#endif /* EGM_SVGA3_H */
