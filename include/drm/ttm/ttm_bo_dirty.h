/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef _TTM_BO_DIRTY_H_
#define _TTM_BO_DIRTY_H_

#include <linux/mm_types.h>

#include <drm/drm_gem_dirty_vm.h>

struct drm_gem_dirty_consumer;
struct drm_gem_dirty_device;
struct drm_gem_object;
struct ttm_buffer_object;
struct vm_fault;

/**
 * struct ttm_bo_dirty - The tracking of a buffer object, embedded in the driver's
 */
struct ttm_bo_dirty {
	/** @vmas: The VMAs that map it, counted whether it is tracked or not */
	struct drm_gem_dirty_vmas vmas;
	/** @tracker: The tracker, or NULL. Protected by the dma_resv. */
	struct drm_gem_dirty *tracker;
	/** @unseen: Calls of ttm_bo_dirty_unseen_begin(). As @tracker. */
	unsigned int unseen;
	/** @lost: See ttm_bo_dirty_is_known(). As @tracker. */
	bool lost;
};

void ttm_bo_dirty_init(struct ttm_bo_dirty *dirty);
void ttm_bo_dirty_fini(struct ttm_bo_dirty *dirty);
int ttm_bo_dirty_add(struct ttm_buffer_object *bo,
		     struct drm_gem_dirty_device *ddev,
		     struct drm_gem_dirty_consumer *consumer,
		     pgoff_t first, pgoff_t nr,
		     int (*read_back)(struct drm_gem_dirty_consumer *consumer,
				      pgoff_t first, pgoff_t nr));
void ttm_bo_dirty_remove(struct ttm_buffer_object *bo,
			 struct drm_gem_dirty_consumer *consumer);
bool ttm_bo_dirty_is_known(struct ttm_buffer_object *bo);
int ttm_bo_dirty_read_back(struct ttm_buffer_object *bo);
void ttm_bo_dirty_mark(struct ttm_buffer_object *bo, pgoff_t first, pgoff_t nr);
void ttm_bo_dirty_unmap(struct ttm_buffer_object *bo);

void ttm_bo_dirty_unseen_begin(struct ttm_buffer_object *bo);
void ttm_bo_dirty_unseen_end(struct ttm_buffer_object *bo);

int ttm_bo_dirty_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma);
vm_fault_t ttm_bo_dirty_vm_fault(struct vm_fault *vmf);
vm_fault_t ttm_bo_dirty_vm_pfn_mkwrite(struct vm_fault *vmf);
void ttm_bo_dirty_vm_open(struct vm_area_struct *vma);
void ttm_bo_dirty_vm_close(struct vm_area_struct *vma);

extern const struct vm_operations_struct ttm_bo_dirty_vm_ops;

#endif
