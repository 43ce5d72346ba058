/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What a memory manager needs to have its objects tracked by drm_gem_dirty, in
 * addition to what drivers do. The GEM shmem helpers and TTM use it.
 */
#ifndef __DRM_GEM_DIRTY_VM_H__
#define __DRM_GEM_DIRTY_VM_H__

#include <linux/mm_types.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <drm/drm_gem.h>

struct dma_fence;
struct drm_gem_dirty;
struct drm_gem_dirty_consumer;
struct drm_gem_dirty_device;
struct vm_fault;

/**
 * struct drm_gem_dirty_vmas - The VMAs that map an object
 *
 * &vm_operations_struct and mmap count them, also while the object is not tracked.
 */
struct drm_gem_dirty_vmas {
	/** @lock: Protects all members */
	spinlock_t lock;
	/** @nr: VMAs that were opened and not closed yet */
	unsigned long nr;
	/** @seq: How often @nr has changed */
	u64 seq;
	/** @first: First page of those that went away with VMAs */
	pgoff_t first;
	/** @end: Page after the last one */
	pgoff_t end;
};

/**
 * struct drm_gem_dirty_map - What a fault handler should map
 * @first: First page, in pages from the start of the buffer
 * @nr: Number of pages, all of them within the VMA and the buffer
 * @addr: Address of the first page
 * @prot: The protection to map them with
 */
struct drm_gem_dirty_map {
	pgoff_t first;
	pgoff_t nr;
	unsigned long addr;
	pgprot_t prot;
};

/* The page of an object that is at an offset of the device's address_space. */
static inline pgoff_t drm_gem_dirty_page(const struct drm_gem_object *obj,
					 pgoff_t pgoff)
{
	return pgoff - drm_vma_node_start(&obj->vma_node);
}

void drm_gem_dirty_vmas_init(struct drm_gem_dirty_vmas *vmas);
void drm_gem_dirty_vmas_open(struct drm_gem_dirty_vmas *vmas);
void drm_gem_dirty_vmas_close(struct drm_gem_dirty_vmas *vmas,
			      struct drm_gem_object *obj,
			      struct vm_area_struct *vma);
bool drm_gem_dirty_vmas_all(struct drm_gem_dirty_vmas *vmas);

struct drm_gem_dirty *drm_gem_dirty_create(struct drm_gem_object *obj,
					   struct drm_gem_dirty_vmas *vmas,
					   struct drm_gem_dirty_device *ddev);
void drm_gem_dirty_destroy(struct drm_gem_dirty *dirty);
bool drm_gem_dirty_is_used(struct drm_gem_dirty *dirty);
void drm_gem_dirty_close(struct drm_gem_dirty *dirty);
void drm_gem_dirty_unseen(struct drm_gem_dirty *dirty, bool unseen);

void drm_gem_dirty_refill(struct drm_gem_dirty_consumer *consumer);
bool drm_gem_dirty_is_stale(struct drm_gem_dirty_consumer *consumer);
int drm_gem_dirty_wait(struct drm_gem_object *obj, struct dma_fence *fence);
int drm_gem_dirty_wait_idle(struct drm_gem_object *obj);
int drm_gem_dirty_vm_wait(struct drm_gem_object *obj, struct vm_fault *vmf);
int drm_gem_dirty_read_around(struct drm_gem_dirty *dirty, pgoff_t page);

int drm_gem_dirty_vm_pending(struct drm_gem_dirty *dirty, struct vm_fault *vmf);
void drm_gem_dirty_vm_fault(struct drm_gem_dirty *dirty, struct vm_fault *vmf,
			    struct drm_gem_dirty_map *map);
void drm_gem_dirty_vm_pfn_mkwrite(struct drm_gem_dirty *dirty,
				  struct vm_fault *vmf);

#endif
