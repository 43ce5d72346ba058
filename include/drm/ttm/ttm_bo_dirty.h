/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef _TTM_BO_DIRTY_H_
#define _TTM_BO_DIRTY_H_

#include <linux/mm_types.h>

struct drm_gem_dirty_consumer;
struct drm_gem_dirty_device;
struct ttm_buffer_object;
struct vm_fault;

int ttm_bo_dirty_add(struct ttm_buffer_object *bo,
		     struct drm_gem_dirty_device *ddev,
		     struct drm_gem_dirty_consumer *consumer);
void ttm_bo_dirty_remove(struct ttm_buffer_object *bo,
			 struct drm_gem_dirty_consumer *consumer);

void ttm_bo_dirty_pass(struct ttm_buffer_object *bo);
int ttm_bo_dirty_read_back(struct ttm_buffer_object *bo);

void ttm_bo_dirty_blind_begin(struct ttm_buffer_object *bo);
void ttm_bo_dirty_blind_end(struct ttm_buffer_object *bo);

vm_fault_t ttm_bo_dirty_vm_fault(struct vm_fault *vmf);
vm_fault_t ttm_bo_dirty_vm_pfn_mkwrite(struct vm_fault *vmf);
void ttm_bo_dirty_vm_zap(struct vm_area_struct *vma, unsigned long addr,
			 unsigned long size);
void ttm_bo_dirty_vm_close(struct vm_area_struct *vma);

extern const struct vm_operations_struct ttm_bo_dirty_vm_ops;

#endif
