/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef _TTM_BO_DIRTY_H_
#define _TTM_BO_DIRTY_H_

struct drm_gem_dirty;
struct drm_gem_dirty_device;
struct ttm_buffer_object;

int ttm_bo_dirty_attach(struct ttm_buffer_object *bo,
			struct drm_gem_dirty_device *ddev);
void ttm_bo_dirty_detach(struct ttm_buffer_object *bo);

struct drm_gem_dirty *ttm_bo_dirty_tracker(struct ttm_buffer_object *bo);
void ttm_bo_dirty_pass(struct ttm_buffer_object *bo);

void ttm_bo_dirty_blind_begin(struct ttm_buffer_object *bo);
void ttm_bo_dirty_blind_end(struct ttm_buffer_object *bo);

extern const struct vm_operations_struct ttm_bo_dirty_vm_ops;

#endif
