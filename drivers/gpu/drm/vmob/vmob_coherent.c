// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-resv.h>

#include <drm/ttm/ttm_bo_dirty.h>

#include "vmob_drv.h"

/*
 * This is all that it takes to be coherent, but for ttm_bo_dirty_vm_ops.
 * The usage example in ttm_bo_dirty.c, from here
 */
int vmob_copy_track(struct vmob_device *vmob, struct vmob_copy *copy)
{
	struct ttm_buffer_object *bo = &copy->bo->tbo;
	int ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = ttm_bo_dirty_attach(bo, &vmob->dirty);
	dma_resv_unlock(bo->base.resv);
	if (ret)
		return ret;

	ret = drm_gem_dirty_consumer_init(&copy->consumer,
					  ttm_bo_dirty_tracker(bo));
	if (ret) {
		dma_resv_lock(bo->base.resv, NULL);
		ttm_bo_dirty_detach(bo);
		dma_resv_unlock(bo->base.resv);
	}

	return ret;
}

void vmob_copy_untrack(struct vmob_copy *copy)
{
	struct ttm_buffer_object *bo = &copy->bo->tbo;

	drm_gem_dirty_consumer_fini(&copy->consumer);

	dma_resv_lock(bo->base.resv, NULL);
	ttm_bo_dirty_detach(bo);
	dma_resv_unlock(bo->base.resv);
}

void vmob_copy_update(struct vmob_copy *copy, struct vmob_job *job, u32 index)
{
	pgoff_t first, nr;

	dma_resv_assert_held(copy->bo->tbo.base.resv);

	ttm_bo_dirty_pass(&copy->bo->tbo);
	while (drm_gem_dirty_next(&copy->consumer, &first, &nr))
		vmob_job_upload(job, index, first, nr);
}

/* ... to here. */

const struct vmob_tracker vmob_tracker_ttm = {
	.bo_size = sizeof(struct vmob_bo),
	.vm_ops = &ttm_bo_dirty_vm_ops,
	.track = vmob_copy_track,
	.untrack = vmob_copy_untrack,
	.update = vmob_copy_update,
};

/* The one that new buffers have. */
const struct vmob_tracker *vmob_tracker = &vmob_tracker_ttm;
