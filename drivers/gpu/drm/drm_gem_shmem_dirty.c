// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/mapping_dirty.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>

#include <drm/drm_device.h>
#include <drm/drm_gem_dirty.h>
#include <drm/drm_gem_dirty_vm.h>
#include <drm/drm_gem_shmem_dirty.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_print.h>

#include "drm_gem_dirty_internal.h"

/**
 * DOC: dirty tracking
 *
 * This connects shmem objects to drm_gem_dirty. The driver calls
 * drm_gem_shmem_dirty_init() when it has created an object, and
 * drm_gem_shmem_dirty_fini() before it frees the object. Its
 * &drm_gem_object_funcs have drm_gem_shmem_dirty_mmap(),
 * drm_gem_shmem_dirty_vmap() and drm_gem_shmem_dirty_vunmap(). For objects that
 * are not tracked these do the same as the helpers' own.
 *
 * This example is compiled and run by the KUnit test. The device embeds a
 * &drm_gem_dirty_device, for which it calls drmm_gem_dirty_device_init() once::
 *
 *	static int coherent_bo_init(struct coherent_bo *bo,
 *				    struct drm_gem_dirty_device *ddev)
 *	{
 *		struct drm_gem_object *obj = &bo->base.base;
 *		int ret;
 *
 *		ret = drm_gem_shmem_dirty_init(&bo->base, ddev);
 *		if (ret)
 *			return ret;
 *
 *		dma_resv_lock(obj->resv, NULL);
 *		ret = drm_gem_dirty_consumer_init(&bo->device_copy,
 *						  bo->base.dirty, 0,
 *						  obj->size >> PAGE_SHIFT, NULL);
 *		dma_resv_unlock(obj->resv);
 *		if (ret)
 *			drm_gem_shmem_dirty_fini(&bo->base);
 *
 *		return ret;
 *	}
 *
 *	static void coherent_bo_before_use(struct coherent_bo *bo)
 *	{
 *		pgoff_t first, nr;
 *
 *		dma_resv_assert_held(bo->base.base.resv);
 *
 *		drm_gem_dirty_prepare(&bo->device_copy, 0, 0);
 *		while (drm_gem_dirty_next(&bo->device_copy, &first, &nr))
 *			coherent_bo_upload(bo, first, nr);
 *	}
 *
 *	static void coherent_bo_free(struct coherent_bo *bo)
 *	{
 *		struct drm_gem_object *obj = &bo->base.base;
 *
 *		dma_resv_lock(obj->resv, NULL);
 *		drm_gem_dirty_consumer_fini(&bo->device_copy);
 *		dma_resv_unlock(obj->resv);
 *		drm_gem_shmem_dirty_fini(&bo->base);
 *		drm_gem_shmem_free(&bo->base);
 *	}
 */

/*
 * A submitter can hold the dma_resv while it waits for room in a command
 * queue. Don't hold what a fault holds while waiting for it.
 */
static vm_fault_t shmem_dirty_reserve(struct drm_gem_object *obj,
				      struct vm_fault *vmf)
{
	if (dma_resv_trylock(obj->resv))
		return 0;

	if (vmf->flags & FAULT_FLAG_ALLOW_RETRY) {
		if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
			return VM_FAULT_RETRY;

		drm_gem_object_get(obj);
		release_fault_lock(vmf);
		if (!dma_resv_lock_interruptible(obj->resv, NULL))
			dma_resv_unlock(obj->resv);
		drm_gem_object_put(obj);

		return VM_FAULT_RETRY;
	}

	/* On a signal back to user space, where the store faults again. */
	if (dma_resv_lock_interruptible(obj->resv, NULL))
		return VM_FAULT_NOPAGE;

	return 0;
}

/*
 * If the device may have written the page, wait for it and read the page back.
 * VM_FAULT_RETRY: the dma_resv has been released as well, but for
 * FAULT_FLAG_RETRY_NOWAIT.
 */
static vm_fault_t shmem_dirty_read_back(struct drm_gem_object *obj,
					struct drm_gem_dirty *dirty,
					struct vm_fault *vmf)
{
	pgoff_t page = drm_gem_dirty_page(obj, vmf->pgoff);
	int ret;

	ret = drm_gem_dirty_vm_pending(dirty, vmf);
	if (ret != -EAGAIN)
		return ret ? vmf_error(ret) : 0;

	if (vmf->flags & FAULT_FLAG_ALLOW_RETRY) {
		if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
			return VM_FAULT_RETRY;

		drm_gem_object_get(obj);
		dma_resv_unlock(obj->resv);
		release_fault_lock(vmf);

		/* If anything is wrong the fault that comes again finds it. */
		if (!drm_gem_dirty_vm_wait(obj, vmf) &&
		    !dma_resv_lock_interruptible(obj->resv, NULL)) {
			drm_gem_dirty_read_around(dirty, page);
			dma_resv_unlock(obj->resv);
		}
		drm_gem_object_put(obj);

		return VM_FAULT_RETRY;
	}

	ret = drm_gem_dirty_read_around(dirty, page);
	if (ret == -ERESTARTSYS)
		return VM_FAULT_NOPAGE;

	return ret ? vmf_error(ret) : 0;
}

static bool shmem_dirty_in_bounds(struct drm_gem_object *obj,
				  struct vm_fault *vmf)
{
	return drm_gem_dirty_page(obj, vmf->pgoff) < obj->size >> PAGE_SHIFT;
}

static vm_fault_t shmem_dirty_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct drm_gem_object *obj = vma->vm_private_data;
	struct drm_gem_shmem_object *shmem = to_drm_gem_shmem_obj(obj);
	struct drm_gem_dirty_map map;
	vm_fault_t ret;
	pgoff_t page;

	ret = shmem_dirty_reserve(obj, vmf);
	if (ret)
		return ret;

	if (!shmem_dirty_in_bounds(obj, vmf) ||
	    drm_WARN_ON_ONCE(obj->dev, !shmem->pages)) {
		ret = VM_FAULT_SIGBUS;
		goto out_unlock;
	}

	ret = shmem_dirty_read_back(obj, shmem->dirty, vmf);
	/* Then it has waited, and released the dma_resv. */
	if (ret == VM_FAULT_RETRY && !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return ret;
	if (ret)
		goto out_unlock;

	drm_gem_dirty_vm_fault(shmem->dirty, vmf, &map);

	ret = VM_FAULT_NOPAGE;
	/* Only the page of the fault has to succeed, the rest is a favour. */
	if (vma_insert_page_pfns(vma, map.addr, &shmem->pages[map.first],
				 map.nr, map.prot)) {
		page = drm_gem_dirty_page(obj, vmf->pgoff);
		ret = vmf_insert_pfn_prot(vma, vmf->address,
					  page_to_pfn(shmem->pages[page]),
					  map.prot);
	}

out_unlock:
	dma_resv_unlock(obj->resv);

	return ret;
}

static vm_fault_t shmem_dirty_pfn_mkwrite(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;
	struct drm_gem_shmem_object *shmem = to_drm_gem_shmem_obj(obj);
	vm_fault_t ret;

	ret = shmem_dirty_reserve(obj, vmf);
	if (ret)
		return ret;

	if (shmem_dirty_in_bounds(obj, vmf))
		drm_gem_dirty_vm_pfn_mkwrite(shmem->dirty, vmf);
	else
		ret = VM_FAULT_SIGBUS;

	dma_resv_unlock(obj->resv);

	return ret ?: VM_FAULT_NOPAGE;
}

/* A debugger's access, by ptrace() or /proc/pid/mem. */
static int shmem_dirty_access(struct vm_area_struct *vma, unsigned long addr,
			      void *buf, int len, int write)
{
	struct drm_gem_object *obj = vma->vm_private_data;
	struct drm_gem_shmem_object *shmem = to_drm_gem_shmem_obj(obj);
	pgoff_t page = drm_gem_dirty_page(obj, linear_page_index(vma, addr));
	pgoff_t end;
	int done = 0;
	int ret;

	if (write && !(vma->vm_flags & VM_WRITE))
		return -EACCES;

	if (dma_resv_lock_interruptible(obj->resv, NULL))
		return -EINTR;

	/* What is behind the end of the VMA is for another call. */
	len = min_t(unsigned long, len, vma->vm_end - addr);
	end = min(page + PFN_UP(offset_in_page(addr) + len),
		  obj->size >> PAGE_SHIFT);
	ret = page < end ?
		drm_gem_dirty_read_back(shmem->dirty, page, end - page) : 0;

	for (; !ret && page < end; page++) {
		size_t offset = offset_in_page(addr + done);
		size_t bytes = min_t(size_t, len - done, PAGE_SIZE - offset);

		if (write) {
			memcpy_to_page(shmem->pages[page], offset, buf + done,
				       bytes);
			drm_gem_dirty_mark(shmem->dirty, page, 1);
		} else {
			memcpy_from_page(buf + done, shmem->pages[page],
					 offset, bytes);
		}
		done += bytes;
	}

	dma_resv_unlock(obj->resv);

	return done ?: ret ?: -EFAULT;
}

/*
 * The pages are pinned as long as the object is tracked: unlike the helpers' own
 * these two have no count to keep, and so no dma_resv to wait for.
 */
static void shmem_dirty_vm_open(struct vm_area_struct *vma)
{
	struct drm_gem_object *obj = vma->vm_private_data;

	drm_gem_dirty_vmas_open(to_drm_gem_shmem_obj(obj)->dirty->vmas);
	drm_gem_vm_open(vma);
}

static void shmem_dirty_vm_close(struct vm_area_struct *vma)
{
	struct drm_gem_object *obj = vma->vm_private_data;

	drm_gem_dirty_vmas_close(to_drm_gem_shmem_obj(obj)->dirty->vmas, obj,
				 vma);
	drm_gem_vm_close(vma);
}

static const struct vm_operations_struct shmem_dirty_vm_ops = {
	.open = shmem_dirty_vm_open,
	.close = shmem_dirty_vm_close,
	.fault = shmem_dirty_fault,
	.pfn_mkwrite = shmem_dirty_pfn_mkwrite,
	.access = shmem_dirty_access,
	.may_fault_under_vma_lock = true,
};

/**
 * drm_gem_shmem_dirty_init - Track the CPU writes to a shmem object
 * @shmem: The object, not imported and not mapped yet
 * @ddev: The device's accounts
 *
 * Pins the pages.
 *
 * Context: Process context, may sleep. Takes the dma_resv.
 * Return: 0, -EINVAL for an imported object, or -ENOMEM.
 */
int drm_gem_shmem_dirty_init(struct drm_gem_shmem_object *shmem,
			     struct drm_gem_dirty_device *ddev)
{
	struct drm_gem_dirty *dirty;
	int ret;

	/* The exporter handles its faults. */
	if (drm_gem_is_imported(&shmem->base))
		return -EINVAL;

	ret = drm_gem_shmem_pin(shmem);
	if (ret)
		return ret;

	dirty = drm_gem_dirty_create(&shmem->base, NULL, ddev);
	if (IS_ERR(dirty)) {
		drm_gem_shmem_unpin(shmem);
		return PTR_ERR(dirty);
	}

	shmem->dirty = dirty;
	/* Dirty bits go from the page tables to the tracker, and not to folios. */
	shmem->pages_mark_dirty_on_put = true;

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_dirty_init);

/**
 * drm_gem_shmem_dirty_fini - Stop tracking
 * @shmem: The object, about to be freed
 *
 * Context: Process context, may sleep. Takes the dma_resv.
 */
void drm_gem_shmem_dirty_fini(struct drm_gem_shmem_object *shmem)
{
	drm_gem_dirty_destroy(shmem->dirty);
	shmem->dirty = NULL;
	drm_gem_shmem_unpin(shmem);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_dirty_fini);

/**
 * drm_gem_shmem_dirty_mmap - Map a shmem object that may be tracked
 * @obj: The object
 * @vma: The VMA
 *
 * &drm_gem_object_funcs.mmap
 *
 * Context: As drm_gem_shmem_mmap().
 * Return: 0 or a negative error code, as drm_gem_shmem_mmap().
 */
int drm_gem_shmem_dirty_mmap(struct drm_gem_object *obj,
			     struct vm_area_struct *vma)
{
	struct drm_gem_shmem_object *shmem = to_drm_gem_shmem_obj(obj);

	if (!shmem->dirty)
		return drm_gem_shmem_mmap(shmem, vma);

	if (vma_is_cow_mapping(vma))
		return -EINVAL;

	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	if (shmem->map_wc)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	vma->vm_ops = &shmem_dirty_vm_ops;
	drm_gem_dirty_vmas_open(shmem->dirty->vmas);

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_dirty_mmap);

/**
 * drm_gem_shmem_dirty_vmap - Map a shmem object that may be tracked into the kernel
 * @obj: The object
 * @map: Returns the address
 *
 * &drm_gem_object_funcs.vmap. What the device has written is read back first. Until
 * drm_gem_shmem_dirty_vunmap() all pages count as dirty at each use.
 *
 * Context: As drm_gem_shmem_vmap(), with the dma_resv held.
 * Return: As drm_gem_shmem_vmap() or drm_gem_dirty_read_back().
 */
int drm_gem_shmem_dirty_vmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	struct drm_gem_shmem_object *shmem = to_drm_gem_shmem_obj(obj);
	int ret;

	if (shmem->dirty) {
		ret = drm_gem_dirty_read_back(shmem->dirty, 0,
					      obj->size >> PAGE_SHIFT);
		if (ret)
			return ret;
	}

	ret = drm_gem_shmem_object_vmap(obj, map);
	if (!ret && shmem->dirty)
		drm_gem_dirty_unseen(shmem->dirty, true);

	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_dirty_vmap);

/**
 * drm_gem_shmem_dirty_vunmap - Undo drm_gem_shmem_dirty_vmap()
 * @obj: The object
 * @map: The address
 *
 * &drm_gem_object_funcs.vunmap
 *
 * Context: As drm_gem_shmem_vunmap(), with the dma_resv held.
 */
void drm_gem_shmem_dirty_vunmap(struct drm_gem_object *obj,
				struct iosys_map *map)
{
	struct drm_gem_shmem_object *shmem = to_drm_gem_shmem_obj(obj);

	if (shmem->dirty)
		drm_gem_dirty_unseen(shmem->dirty, false);
	drm_gem_shmem_object_vunmap(obj, map);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_dirty_vunmap);

MODULE_DESCRIPTION("CPU write tracking for GEM shmem objects");
MODULE_LICENSE("Dual MIT/GPL");
