// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/mapping_dirty.h>
#include <linux/mm.h>
#include <linux/pfn_range.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem_dirty.h>
#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_bo_dirty.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_module.h"

/**
 * DOC: dirty tracking
 *
 * For a driver whose device has a copy of its own of a buffer object's
 * contents, and that promises user space to keep it coherent with what the
 * CPU stores to the buffer object. What vmwgfx has in private, on top of
 * drm_gem_dirty, see there.
 *
 * The driver has ttm_bo_dirty_vm_ops as &drm_gem_object_funcs.vm_ops of its
 * objects, which is as good as TTM's own for those that are not tracked. It calls
 * ttm_bo_dirty_add() for each copy, at any time: a buffer object is tracked from
 * the first one on. Ahead of each use of the copy, under the dma_resv and when the
 * buffer object has been validated, it calls ttm_bo_dirty_pass() and then
 * drm_gem_dirty_next() until that returns false. A driver with other operations of
 * its own for its mmaps calls the ttm_bo_dirty_vm functions from there.
 *
 * For a copy that the device writes there is drm_gem_dirty_read_back_init(), and
 * drm_gem_dirty_revoke() for what a submission may write, ahead of
 * ttm_bo_dirty_pass(). Faults and debuggers then wait for the device and have it
 * read back. Before the device may use a copy for which drm_gem_dirty_is_stale(),
 * before a kernel mapping, and before a consumer is removed,
 * ttm_bo_dirty_read_back() does.
 *
 * The buffer object may be moved, evicted and swapped out as any other. Its
 * entries are harvested before ttm_bo_unmap_virtual() removes them, and come
 * back by faults, read-only until they are written to. What was dirty stays
 * it, wherever the data is then.
 *
 * The lines a driver needs, from vmob::
 *
 *	int vmob_copy_track(struct vmob_device *vmob, struct vmob_copy *copy)
 *	{
 *		struct ttm_buffer_object *bo = &copy->bo->tbo;
 *		int ret;
 *
 *		dma_resv_lock(bo->base.resv, NULL);
 *		ret = ttm_bo_dirty_add(bo, &vmob->dirty, &copy->consumer);
 *		dma_resv_unlock(bo->base.resv);
 *
 *		return ret;
 *	}
 *
 *	void vmob_copy_untrack(struct vmob_copy *copy)
 *	{
 *		struct ttm_buffer_object *bo = &copy->bo->tbo;
 *
 *		dma_resv_lock(bo->base.resv, NULL);
 *		ttm_bo_dirty_remove(bo, &copy->consumer);
 *		dma_resv_unlock(bo->base.resv);
 *	}
 *
 *	void vmob_copy_update(struct vmob_copy *copy, struct vmob_job *job, u32 index)
 *	{
 *		pgoff_t first, nr;
 *
 *		dma_resv_assert_held(copy->bo->tbo.base.resv);
 *
 *		ttm_bo_dirty_pass(&copy->bo->tbo);
 *		while (drm_gem_dirty_next(&copy->consumer, &first, &nr))
 *			vmob_job_upload(job, index, first, nr);
 *	}
 */

/**
 * ttm_bo_dirty_add - Track the CPU writes to a buffer object, for a consumer
 * @bo: The buffer object, of type ttm_bo_type_device, whose mmaps have
 * ttm_bo_dirty_vm_ops
 * @ddev: The device's accounts
 * @consumer: The consumer, which is set up
 *
 * The consumer gets the pages that become dirty from now on. If the buffer object
 * was not tracked before, what has been written through the entries that it is
 * mapped with now is dirty. What was written through others is not known: a
 * consumer that does not have the contents the buffer object starts with needs
 * drm_gem_dirty_mark(). Undone by ttm_bo_dirty_remove().
 *
 * &ttm_buffer_object.dirty is the tracker from now on.
 *
 * Context: Process context, may sleep. Called with the dma_resv held.
 * Return: 0, -EINVAL for imported objects, whose exporter handles the faults,
 * or -ENOMEM.
 */
int ttm_bo_dirty_add(struct ttm_buffer_object *bo,
		     struct drm_gem_dirty_device *ddev,
		     struct drm_gem_dirty_consumer *consumer)
{
	struct drm_gem_dirty *tracker = bo->dirty;
	int ret;

	dma_resv_assert_held(bo->base.resv);

	if (tracker)
		return drm_gem_dirty_consumer_init_locked(consumer, tracker);

	if (bo->type != ttm_bo_type_device)
		return -EINVAL;

	tracker = drm_gem_dirty_create(&bo->base, ddev);
	if (IS_ERR(tracker))
		return PTR_ERR(tracker);

	ret = drm_gem_dirty_consumer_init_locked(consumer, tracker);
	if (ret) {
		drm_gem_dirty_destroy(tracker);
		return ret;
	}

	/*
	 * From here on zaps are heard of, so there is no gap. Pairs with
	 * READ_ONCE() in ttm_bo_dirty_vm_zap().
	 */
	smp_store_release(&bo->dirty, tracker);
	drm_gem_dirty_open(tracker);
	drm_gem_dirty_close(tracker);

	return 0;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_add);

/**
 * ttm_bo_dirty_remove - Undo a ttm_bo_dirty_add()
 * @bo: The buffer object
 * @consumer: The consumer
 *
 * With the last consumer the tracking ends. The buffer object can still be mapped.
 *
 * Context: Process context, may sleep. Called with the dma_resv held.
 */
void ttm_bo_dirty_remove(struct ttm_buffer_object *bo,
			 struct drm_gem_dirty_consumer *consumer)
{
	struct drm_gem_dirty *tracker = bo->dirty;

	drm_gem_dirty_consumer_fini_locked(consumer);
	if (!list_empty(&tracker->consumers))
		return;

	/*
	 * With no dirty entry left ttm_bo_dirty_vm_zap() is not called any
	 * more. One that is being zapped at this moment is waited for: the
	 * page table lock is taken for each page table of each VMA, and a VMA
	 * is found until its entries have been zapped.
	 */
	ttm_bo_unmap_virtual(bo);
	WRITE_ONCE(bo->dirty, NULL);

	drm_gem_dirty_destroy(tracker);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_remove);

static void bo_dirty_mark_all(struct drm_gem_dirty *tracker)
{
	drm_gem_dirty_mark(tracker, 0, tracker->nr_pages);
}

/**
 * ttm_bo_dirty_pass - Find out what has been written to a buffer object
 * @bo: The buffer object, which is tracked
 *
 * drm_gem_dirty_pass(). In addition all pages are dirty between
 * ttm_bo_dirty_blind_begin() and ttm_bo_dirty_blind_end().
 *
 * Context: As drm_gem_dirty_pass().
 */
void ttm_bo_dirty_pass(struct ttm_buffer_object *bo)
{
	drm_gem_dirty_pass(bo->dirty);

	if (bo->dirty_blind)
		bo_dirty_mark_all(bo->dirty);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_pass);

/**
 * ttm_bo_dirty_blind_begin - There can be writes that are not seen
 * @bo: The buffer object, tracked or not: tracking can begin and end meanwhile
 *
 * For a kernel mapping, or another device that has been given its pages.
 *
 * Context: Called with the dma_resv held.
 */
void ttm_bo_dirty_blind_begin(struct ttm_buffer_object *bo)
{
	dma_resv_assert_held(bo->base.resv);

	bo->dirty_blind++;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_blind_begin);

/**
 * ttm_bo_dirty_blind_end - End what ttm_bo_dirty_blind_begin() has begun
 * @bo: The buffer object
 *
 * All pages are dirty once more.
 *
 * Context: Called with the dma_resv held.
 */
void ttm_bo_dirty_blind_end(struct ttm_buffer_object *bo)
{
	dma_resv_assert_held(bo->base.resv);

	bo->dirty_blind--;
	if (bo->dirty)
		bo_dirty_mark_all(bo->dirty);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_blind_end);

/**
 * ttm_bo_dirty_read_back - Bring a buffer object up to date with what the device wrote
 * @bo: The buffer object, tracked or not
 *
 * drm_gem_dirty_read_back() for all of it.
 *
 * Context: As drm_gem_dirty_read_back().
 * Return: As drm_gem_dirty_read_back().
 */
int ttm_bo_dirty_read_back(struct ttm_buffer_object *bo)
{
	dma_resv_assert_held(bo->base.resv);

	if (!bo->dirty)
		return 0;

	return drm_gem_dirty_read_back(bo->dirty, 0, bo->dirty->nr_pages);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_read_back);

/* Called before the entries of a tracked buffer object are removed. */
void ttm_bo_dirty_unmap(struct ttm_buffer_object *bo)
{
	drm_gem_dirty_close(bo->dirty);
}

/* Called when ttm_bo_vm_access() is about to access a tracked buffer object. */
int ttm_bo_dirty_access_begin(struct ttm_buffer_object *bo,
			      unsigned long offset, unsigned long len)
{
	pgoff_t first = offset >> PAGE_SHIFT;

	return drm_gem_dirty_read_back(bo->dirty, first,
				       PFN_UP(offset + len) - first);
}

/* Called when ttm_bo_vm_access() has written to a tracked buffer object. */
void ttm_bo_dirty_access(struct ttm_buffer_object *bo, unsigned long offset,
			 unsigned long len)
{
	pgoff_t first = offset >> PAGE_SHIFT;

	drm_gem_dirty_mark(bo->dirty, first, PFN_UP(offset + len) - first);
}

/*
 * drm_gem_dirty_vm_read_back(), with the difference that an mmap can outlive the
 * object's last handle, and the tracking can end, while it waits.
 */
static vm_fault_t bo_dirty_vm_read_back(struct ttm_buffer_object *bo,
					struct vm_fault *vmf)
{
	pgoff_t page = vmf->pgoff - drm_vma_node_start(&bo->base.vma_node);

	if (!fault_flag_allow_retry_first(vmf->flags) ||
	    vmf->flags & FAULT_FLAG_RETRY_NOWAIT ||
	    !drm_gem_dirty_vm_is_pending(bo->dirty, vmf))
		return drm_gem_dirty_vm_read_back(bo->dirty, vmf);

	ttm_bo_get(bo);
	dma_resv_unlock(bo->base.resv);
	release_fault_lock(vmf);

	/* If anything is wrong the fault that comes again finds it. */
	if (!drm_gem_dirty_wait_idle(&bo->base) &&
	    !dma_resv_lock_interruptible(bo->base.resv, NULL)) {
		if (bo->dirty)
			drm_gem_dirty_read_around(bo->dirty, page);
		dma_resv_unlock(bo->base.resv);
	}
	ttm_bo_put(bo);

	return VM_FAULT_RETRY;
}

/* Insert the entries of @map, or after madvise(MADV_RANDOM) that of the fault. */
static vm_fault_t bo_dirty_vm_insert(struct ttm_buffer_object *bo,
				     struct vm_fault *vmf,
				     const struct drm_gem_dirty_map *map)
{
	struct vm_area_struct *vma = vmf->vma;
	bool all = !(vma->vm_flags & VM_RAND_READ);
	vm_fault_t ret;

	/* Only the page of the fault has to succeed, the rest is a favour. */
	if (all && !bo->resource->bus.is_iomem) {
		if (!vma_insert_page_pfns(vma, map->addr,
					  &bo->ttm->pages[map->first], map->nr,
					  ttm_io_prot(bo, bo->resource,
						      map->prot)))
			return VM_FAULT_NOPAGE;
		all = false;
	}

	ret = ttm_bo_vm_insert(bo, vma, vmf->address, map->prot, 1);
	if (ret == VM_FAULT_NOPAGE && all)
		ttm_bo_vm_insert(bo, vma, map->addr, map->prot, map->nr);

	return ret;
}

/* ttm_bo_vm_fault_reserved() for buffer objects that are, or are not, tracked. */
static vm_fault_t bo_dirty_vm_fault_reserved(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ttm_buffer_object *bo = vma->vm_private_data;
	struct drm_gem_dirty_map map;
	vm_fault_t ret;

	if (bo->dirty) {
		ret = bo_dirty_vm_read_back(bo, vmf);
		if (ret)
			return ret;
	}

	ret = ttm_bo_vm_fault_prepare(bo, vmf);
	if (ret)
		return ret;

	/* With pfn_mkwrite() the core leaves write permission out. */
	if (!bo->dirty)
		return ttm_bo_vm_insert(bo, vma, vmf->address,
					pgprot_modify(vma->vm_page_prot,
						      vm_get_page_prot(vma->vm_flags)),
					vma->vm_flags & VM_RAND_READ ?
					1 : TTM_BO_VM_NUM_PREFAULT);

	drm_gem_dirty_vm_fault(bo->dirty, vmf, &map);

	return bo_dirty_vm_insert(bo, vmf, &map);
}

/**
 * ttm_bo_dirty_vm_fault - What ttm_bo_dirty_vm_ops do with a fault
 * @vmf: The fault
 *
 * &vm_operations_struct.fault of a driver with other operations of its own. As
 * ttm_bo_vm_fault(), for buffer objects that are, or are not, tracked. Waits for a
 * device that may have written the page. After madvise(MADV_RANDOM) only the page
 * of the fault is mapped.
 *
 * Return: As ttm_bo_vm_reserve(), ttm_bo_vm_fault_reserved() or
 * drm_gem_dirty_vm_read_back().
 */
vm_fault_t ttm_bo_dirty_vm_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ttm_buffer_object *bo = vma->vm_private_data;
	vm_fault_t ret;
	int idx;

	ret = ttm_bo_vm_reserve(bo, vmf);
	if (ret)
		return ret;

	if (drm_dev_enter(bo->base.dev, &idx)) {
		ret = bo_dirty_vm_fault_reserved(vmf);
		drm_dev_exit(idx);
	} else {
		ret = ttm_bo_vm_dummy_page(vmf, vma->vm_page_prot);
	}

	/* Then it has waited, and released the dma_resv. */
	if (ret == VM_FAULT_RETRY && !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return ret;

	dma_resv_unlock(bo->base.resv);

	return ret;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_vm_fault);

/**
 * ttm_bo_dirty_vm_pfn_mkwrite - What ttm_bo_dirty_vm_ops do with a store
 * @vmf: The fault
 *
 * &vm_operations_struct.pfn_mkwrite of a driver with other operations of its own.
 *
 * Return: As ttm_bo_vm_reserve(), or VM_FAULT_NOPAGE.
 */
vm_fault_t ttm_bo_dirty_vm_pfn_mkwrite(struct vm_fault *vmf)
{
	struct ttm_buffer_object *bo = vmf->vma->vm_private_data;
	vm_fault_t ret;

	ret = ttm_bo_vm_reserve(bo, vmf);
	if (ret)
		return ret;

	/* The core would do the latter when tracking may have begun. */
	if (bo->dirty)
		drm_gem_dirty_vm_pfn_mkwrite(bo->dirty, vmf);
	else
		vmf_make_writable(vmf);

	dma_resv_unlock(bo->base.resv);

	return VM_FAULT_NOPAGE;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_vm_pfn_mkwrite);

/**
 * ttm_bo_dirty_vm_zap - What ttm_bo_dirty_vm_ops do with a dirty entry that goes
 * @vma: The VMA
 * @addr: The entry's address
 * @size: What it mapped, in bytes
 *
 * &vm_operations_struct.pfn_zap_dirty of a driver with other operations of its own.
 *
 * Context: Any, called under a page table lock.
 */
void ttm_bo_dirty_vm_zap(struct vm_area_struct *vma, unsigned long addr,
			 unsigned long size)
{
	struct ttm_buffer_object *bo = vma->vm_private_data;
	/* Without the dma_resv: see ttm_bo_dirty_remove(). */
	struct drm_gem_dirty *tracker = READ_ONCE(bo->dirty);

	if (tracker)
		drm_gem_dirty_vm_zap(tracker, vma, addr, size);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_vm_zap);

/**
 * ttm_bo_dirty_vm_close - What ttm_bo_dirty_vm_ops do when a VMA goes
 * @vma: The VMA
 *
 * &vm_operations_struct.close of a driver with other operations of its own.
 *
 * Context: Takes the dma_resv.
 */
void ttm_bo_dirty_vm_close(struct vm_area_struct *vma)
{
	struct ttm_buffer_object *bo = vma->vm_private_data;

	dma_resv_lock(bo->base.resv, NULL);
	if (bo->dirty)
		drm_gem_dirty_vm_close(bo->dirty, vma);
	dma_resv_unlock(bo->base.resv);

	ttm_bo_vm_close(vma);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_vm_close);

/* A debugger can't write where the program itself could not. */
static int bo_dirty_vm_access(struct vm_area_struct *vma, unsigned long addr,
			      void *buf, int len, int write)
{
	if (write && !(vma->vm_flags & VM_WRITE))
		return -EACCES;

	return ttm_bo_vm_access(vma, addr, buf, len, write);
}

/*
 * The operations of mmaps: &drm_gem_object_funcs.vm_ops of all objects that
 * can be tracked some day. For those that are not they do what TTM's own do.
 */
const struct vm_operations_struct ttm_bo_dirty_vm_ops = {
	.open = ttm_bo_vm_open,
	.close = ttm_bo_dirty_vm_close,
	.fault = ttm_bo_dirty_vm_fault,
	.pfn_mkwrite = ttm_bo_dirty_vm_pfn_mkwrite,
	.pfn_zap_dirty = ttm_bo_dirty_vm_zap,
	.access = bo_dirty_vm_access,
	.fault_vma_lock = true,
};
EXPORT_SYMBOL_GPL(ttm_bo_dirty_vm_ops);
