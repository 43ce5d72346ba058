/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a host does with a virgl command stream, as far as it writes buffers: the
 * rules of virglrenderer, executed. It knows what is written, not what may be.
 */
#ifndef SCAN_MODEL_H
#define SCAN_MODEL_H

#include <linux/types.h>

struct model;

/* @writes is called for each range that is written. */
struct model *model_create(void (*writes)(void *data, u32 res_id, u32 offset, u32 len),
			   bool (*exists)(u32 res_id), void *data);
void model_destroy(struct model *m);

/* Executes a stream. After an error nothing is executed any more. */
void model_execute(struct model *m, const u32 *dwords, size_t nr);

#endif
