/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef __DRM_GEM_SHMEM_DIRTY_H__
#define __DRM_GEM_SHMEM_DIRTY_H__

struct drm_gem_dirty_device;
struct drm_gem_object;
struct drm_gem_shmem_object;
struct iosys_map;
struct vm_area_struct;

int drm_gem_shmem_dirty_init(struct drm_gem_shmem_object *shmem,
			     struct drm_gem_dirty_device *ddev);
void drm_gem_shmem_dirty_fini(struct drm_gem_shmem_object *shmem);
int drm_gem_shmem_dirty_mmap(struct drm_gem_object *obj,
			     struct vm_area_struct *vma);
int drm_gem_shmem_dirty_vmap(struct drm_gem_object *obj, struct iosys_map *map);
void drm_gem_shmem_dirty_vunmap(struct drm_gem_object *obj,
				struct iosys_map *map);

#endif
