/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What mainline's vmwgfx_page_dirty.c needs of vmwgfx, which is not here but
 * vmob: a buffer with one surface in it, that the device never writes to.
 */
#ifndef _MM_COMPARE_VMWGFX_BO_H
#define _MM_COMPARE_VMWGFX_BO_H

#include <linux/kref.h>
#include <linux/mm.h>

#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_bo.h>

#include "../../drivers/gpu/drm/vmob/vmob_drv.h"
#include "stock.h"
#include "trackers.h"

/* vmwgfx itself is in the same kernel. */
#define vmw_bo_dirty_scan		compare_bo_dirty_scan
#define vmw_bo_dirty_unmap		compare_bo_dirty_unmap
#define vmw_bo_dirty_add		compare_bo_dirty_add
#define vmw_bo_dirty_release		compare_bo_dirty_release
#define vmw_bo_dirty_transfer_to_res	compare_bo_dirty_transfer_to_res
#define vmw_bo_dirty_clear_res		compare_bo_dirty_clear_res
#define vmw_bo_vm_mkwrite		compare_bo_vm_mkwrite
#define vmw_bo_vm_fault			compare_bo_vm_fault

struct vmw_bo_dirty;

/**
 * struct vmw_bo - A buffer of vmob that has one of the trackers compared
 * @vmob: Base
 * @tbo: Its base
 * @dirty: Mainline's
 * @tracked: Whether track() was called for it, and untrack() not yet
 * @memory: Size of the tracker
 * @told: Ranges that the oracle has been told of
 * @nr_told: Number of them
 * @told_mm: The mm that wrote, to be compared only
 * @told_addr: Address of the VMA it wrote through
 */
struct vmw_bo {
	union {
		struct vmob_bo vmob;
		struct ttm_buffer_object tbo;
	};
	struct vmw_bo_dirty *dirty;

	bool tracked;
	size_t memory;
	struct compare_range *told;
	u32 nr_told;
	void *told_mm;
	unsigned long told_addr;
};

static inline struct vmw_bo *to_vmw_bo(struct drm_gem_object *gobj)
{
	return container_of(gobj, struct vmw_bo, tbo.base);
}

/**
 * struct vmw_resource - A surface, for as long as it takes to update it
 * @guest_memory_bo: The buffer
 * @guest_memory_offset: Where in it
 * @guest_memory_size: How much of it
 * @job: What uploads it
 * @index: The buffer's position in its list
 */
struct vmw_resource {
	struct vmw_bo *guest_memory_bo;
	unsigned long guest_memory_offset;
	unsigned long guest_memory_size;
	struct vmob_job *job;
	u32 index;
};

/*
 * vmwgfx takes the span from the first to the last of a buffer's ranges. Here
 * it is the ranges, as with ours.
 */
static inline void vmw_resource_dirty_update(struct vmw_resource *res,
					     pgoff_t start, pgoff_t end)
{
	vmob_job_upload(res->job, res->index, start, end - start);
}

/* Nothing to be read back. vmwgfx sends a fence here as well. */
static inline int vmw_resources_clean(struct vmw_bo *vbo, pgoff_t start,
				      pgoff_t end, pgoff_t *num_prefault)
{
	*num_prefault = PFN_UP(vbo->tbo.base.size) - start;

	return 0;
}

void vmw_bo_dirty_scan(struct vmw_bo *vbo);
void vmw_bo_dirty_unmap(struct vmw_bo *vbo, pgoff_t start, pgoff_t end);
int vmw_bo_dirty_add(struct vmw_bo *vbo);
void vmw_bo_dirty_release(struct vmw_bo *vbo);
void vmw_bo_dirty_transfer_to_res(struct vmw_resource *res);
void vmw_bo_dirty_clear_res(struct vmw_resource *res);
vm_fault_t vmw_bo_vm_mkwrite(struct vm_fault *vmf);
vm_fault_t vmw_bo_vm_fault(struct vm_fault *vmf);

#endif
