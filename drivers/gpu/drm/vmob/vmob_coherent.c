// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-resv.h>

#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo_dirty.h>

#include "vmob_drv.h"

/*
 * This is all that it takes to be coherent, but for ttm_bo_dirty_vm_ops, with a
 * device that only reads.
 * The usage example in ttm_bo_dirty.c, from here
 */
int vmob_copy_track(struct vmob_device *vmob, struct vmob_copy *copy,
		    vmob_read_back_fn read_back)
{
	struct ttm_buffer_object *bo = &copy->bo->tbo;
	int ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = ttm_bo_dirty_add(bo, &vmob->dirty, &copy->consumer,
			       copy->offset >> PAGE_SHIFT,
			       copy->size >> PAGE_SHIFT, read_back);
	if (!ret && vmob_copy_is_view(copy))
		drm_gem_dirty_refill(&copy->consumer);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

void vmob_copy_untrack(struct vmob_copy *copy)
{
	struct ttm_buffer_object *bo = &copy->bo->tbo;

	dma_resv_lock(bo->base.resv, NULL);
	ttm_bo_dirty_remove(bo, &copy->consumer);
	dma_resv_unlock(bo->base.resv);
}

void vmob_copy_update(struct vmob_copy *copy, struct vmob_job *job, u32 index)
{
	pgoff_t first, nr;

	dma_resv_assert_held(copy->bo->tbo.base.resv);

	drm_gem_dirty_prepare(&copy->consumer, 0, 0);
	while (drm_gem_dirty_next(&copy->consumer, &first, &nr))
		vmob_job_upload(job, index, first, nr);
}

/* ... to here. From here on it is for one that writes. */

static int vmob_copy_read_back(struct drm_gem_dirty_consumer *consumer,
			       pgoff_t first, pgoff_t nr)
{
	struct vmob_copy *copy = container_of(consumer, struct vmob_copy,
					      consumer);

	return vmob_engine_read_back(copy, ((u64)first << PAGE_SHIFT) -
				     copy->offset, (u64)nr << PAGE_SHIFT);
}

static int vmob_copy_track_both(struct vmob_device *vmob,
				struct vmob_copy *copy)
{
	int ret;

	ret = vmob_copy_track(vmob, copy, vmob_copy_read_back);
	if (!ret)
		copy->consumer.queues_read_back = true;

	return ret;
}

/* The buffer can be mapped still, and is all that is left of the data. */
static int vmob_copy_settle(struct vmob_copy *copy)
{
	struct ttm_buffer_object *bo = &copy->bo->tbo;
	int ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = ttm_bo_dirty_read_back(bo);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

static bool vmob_copy_write(struct vmob_copy *copy, u64 offset, u64 size)
{
	pgoff_t first = (copy->offset + offset) >> PAGE_SHIFT;
	pgoff_t end = PFN_UP(copy->offset + offset + size);

	return drm_gem_dirty_prepare(&copy->consumer, first, end - first);
}

static void vmob_copy_take(struct vmob_copy *copy, struct vmob_job *job,
			   u32 index)
{
	pgoff_t first, nr;

	while (drm_gem_dirty_next(&copy->consumer, &first, &nr))
		vmob_job_upload(job, index, first, nr);
}

static int vmob_copy_refresh(struct vmob_copy *copy)
{
	struct ttm_buffer_object *bo = &copy->bo->tbo;
	long ret;

	if (!drm_gem_dirty_is_stale(&copy->consumer))
		return 0;

	/* Here signals count. */
	ret = dma_resv_wait_timeout(bo->base.resv, DMA_RESV_USAGE_WRITE, true,
				    MAX_SCHEDULE_TIMEOUT);
	if (ret < 0)
		return ret;

	return ttm_bo_dirty_read_back(bo);
}

const struct vmob_tracker vmob_tracker_ttm = {
	.bo_size = sizeof(struct vmob_bo),
	.vm_ops = &ttm_bo_dirty_vm_ops,
	.track = vmob_copy_track_both,
	.settle = vmob_copy_settle,
	.untrack = vmob_copy_untrack,
	.refresh = vmob_copy_refresh,
	.write = vmob_copy_write,
	.take = vmob_copy_take,
	.update = vmob_copy_update,
};

/* The one that new buffers have. */
const struct vmob_tracker *vmob_tracker = &vmob_tracker_ttm;
