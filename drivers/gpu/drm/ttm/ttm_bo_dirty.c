// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/mapping_dirty.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem_dirty.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_bo_dirty.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_module.h"

/**
 * DOC: dirty tracking
 *
 * This connects TTM buffer objects to drm_gem_dirty, for a driver whose device has
 * a copy of its own of a buffer object and keeps it coherent with the CPU's
 * stores.
 *
 * The driver embeds a &struct ttm_bo_dirty in its buffer objects. It calls
 * ttm_bo_dirty_init() for each that it creates, and ttm_bo_dirty_fini() for each that
 * it destroys. &ttm_device_funcs.dirty finds the struct, and
 * &ttm_device_funcs.unmap_notify is ttm_bo_dirty_unmap(). The &drm_gem_object_funcs
 * have ttm_bo_dirty_mmap() and ttm_bo_dirty_vm_ops. For buffer objects that are not
 * tracked these do the same as TTM's own. The driver calls ttm_bo_dirty_add() for
 * each consumer, at any time: the first one begins the tracking. Ahead of each use of
 * the copy, under the dma_resv and when the buffer object has been validated, it
 * calls drm_gem_dirty_prepare(), and then drm_gem_dirty_next() until that returns
 * false. A driver with vm_operations of its own calls the ttm_bo_dirty_vm functions
 * from there.
 *
 * If a buffer object has several copies, and the device writes to them, the driver
 * calls ttm_bo_dirty_read_back() before it uses one for which
 * drm_gem_dirty_is_stale() is true, before a kernel mapping, and before it removes a
 * copy. The last moment to remove one is &ttm_device_funcs.release_notify.
 *
 * TTM may move, evict and swap out the buffer object as any other. Its entries are
 * harvested before ttm_bo_unmap_virtual() removes them, and come back by faults,
 * read-only until they are written to. Dirty pages stay dirty, wherever the data is
 * then.
 *
 * The lines that a driver needs besides::
 *
 *	int vmob_copy_track(struct vmob_device *vmob, struct vmob_copy *copy,
 *			    vmob_read_back_fn read_back)
 *	{
 *		struct ttm_buffer_object *bo = &copy->bo->tbo;
 *		int ret;
 *
 *		dma_resv_lock(bo->base.resv, NULL);
 *		ret = ttm_bo_dirty_add(bo, &vmob->dirty, &copy->consumer,
 *				       copy->offset >> PAGE_SHIFT,
 *				       copy->size >> PAGE_SHIFT, read_back);
 *		if (!ret && vmob_copy_is_view(copy))
 *			drm_gem_dirty_refill(&copy->consumer);
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
 *		drm_gem_dirty_prepare(&copy->consumer, 0, 0);
 *		while (drm_gem_dirty_next(&copy->consumer, &first, &nr))
 *			vmob_job_upload(job, index, first, nr);
 *	}
 */

static struct ttm_bo_dirty *bo_dirty(struct ttm_buffer_object *bo)
{
	return bo->bdev->funcs->dirty(bo);
}

/**
 * ttm_bo_dirty_init - Prepare a buffer object for tracking
 * @dirty: The tracking of it, in the driver's buffer object, which is new
 */
void ttm_bo_dirty_init(struct ttm_bo_dirty *dirty)
{
	drm_gem_dirty_vmas_init(&dirty->vmas);
	dirty->tracker = NULL;
	dirty->unseen = 0;
	dirty->lost = false;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_init);

/**
 * ttm_bo_dirty_fini - Undo ttm_bo_dirty_init()
 * @dirty: The tracking of a buffer object that is being destroyed
 */
void ttm_bo_dirty_fini(struct ttm_bo_dirty *dirty)
{
	/* Of something that can be mapped no more. */
	WARN_ON_ONCE(dirty->tracker);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_fini);

/**
 * ttm_bo_dirty_add - Track the CPU writes to a buffer object, for a consumer
 * @bo: The buffer object, with ttm_bo_dirty_init()
 * @ddev: The device's accounts
 * @consumer: The consumer, which is set up
 * @first: First page that it has a copy of
 * @nr: Number of pages, within the buffer object
 * @read_back: See drm_gem_dirty_consumer_init()
 *
 * The consumer gets the pages that become dirty from now on. If the buffer object
 * was not tracked before, pages with a dirty entry are dirty. Stores through
 * entries that are gone are not known: a consumer that does not have the buffer
 * object's first contents needs drm_gem_dirty_mark(). Undone by
 * ttm_bo_dirty_remove().
 *
 * Writes to an imported buffer object leave no trace: all of it is dirty at each
 * drm_gem_dirty_prepare().
 *
 * Context: Process context, may sleep. Called with the dma_resv held. Memory is
 * charged to the caller.
 * Return: 0, -EINVAL for the kernel's own buffer objects, or -ENOMEM.
 */
int ttm_bo_dirty_add(struct ttm_buffer_object *bo,
		     struct drm_gem_dirty_device *ddev,
		     struct drm_gem_dirty_consumer *consumer,
		     pgoff_t first, pgoff_t nr,
		     int (*read_back)(struct drm_gem_dirty_consumer *consumer,
				      pgoff_t first, pgoff_t nr))
{
	struct ttm_bo_dirty *dirty = bo_dirty(bo);
	struct drm_gem_dirty *tracker = dirty->tracker;
	unsigned int i;
	int ret;

	dma_resv_assert_held(bo->base.resv);

	if (tracker)
		return drm_gem_dirty_consumer_init(consumer, tracker, first, nr,
						   read_back);

	if (bo->type == ttm_bo_type_kernel)
		return -EINVAL;
	/* Without it writes are lost when TTM moves the buffer object. */
	if (WARN_ON_ONCE(!bo->bdev->funcs->unmap_notify))
		return -EINVAL;

	tracker = drm_gem_dirty_create(&bo->base, &dirty->vmas, ddev);
	if (IS_ERR(tracker))
		return PTR_ERR(tracker);

	ret = drm_gem_dirty_consumer_init(consumer, tracker, first, nr,
					  read_back);
	if (ret) {
		drm_gem_dirty_destroy(tracker);
		return ret;
	}

	for (i = 0; i < dirty->unseen; i++)
		drm_gem_dirty_unseen(tracker, true);
	/* The exporter handles the faults. */
	if (bo->type == ttm_bo_type_sg)
		drm_gem_dirty_unseen(tracker, true);
	dirty->tracker = tracker;
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
	struct ttm_bo_dirty *dirty = bo_dirty(bo);
	struct drm_gem_dirty *tracker = dirty->tracker;

	drm_gem_dirty_consumer_fini(consumer);
	if (drm_gem_dirty_is_used(tracker))
		return;

	/* Pending chunks have no entries, and will get them without waiting. */
	dirty->tracker = NULL;
	dirty->lost = true;
	drm_gem_dirty_destroy(tracker);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_remove);

/**
 * ttm_bo_dirty_unseen_begin - Begin stores that take no page faults
 * @bo: The buffer object, tracked or not: tracking can begin and end meanwhile
 *
 * For a kernel mapping, or another device with its pages. See
 * drm_gem_dirty_unseen(). The buffer object is pinned, because its memory is used
 * where it is.
 *
 * Context: Called with the dma_resv held.
 */
void ttm_bo_dirty_unseen_begin(struct ttm_buffer_object *bo)
{
	struct ttm_bo_dirty *dirty = bo_dirty(bo);

	dma_resv_assert_held(bo->base.resv);

	ttm_bo_pin(bo);
	dirty->unseen++;
	if (dirty->tracker)
		drm_gem_dirty_unseen(dirty->tracker, true);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_unseen_begin);

/**
 * ttm_bo_dirty_unseen_end - End what ttm_bo_dirty_unseen_begin() has begun
 * @bo: The buffer object
 *
 * All pages are dirty once more.
 *
 * Context: Called with the dma_resv held.
 */
void ttm_bo_dirty_unseen_end(struct ttm_buffer_object *bo)
{
	struct ttm_bo_dirty *dirty = bo_dirty(bo);

	dma_resv_assert_held(bo->base.resv);

	dirty->unseen--;
	dirty->lost = true;
	if (dirty->tracker)
		drm_gem_dirty_unseen(dirty->tracker, false);
	ttm_bo_unpin(bo);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_unseen_end);

/**
 * ttm_bo_dirty_is_known - Whether all earlier stores are known
 * @bo: The buffer object
 *
 * Ahead of a ttm_bo_dirty_add(). If true, that finds all that the CPU has stored so
 * far, and the other pages have their first contents. If not, a mapping of it is
 * gone, and the copy needs all pages.
 *
 * Context: Called with the dma_resv held.
 */
bool ttm_bo_dirty_is_known(struct ttm_buffer_object *bo)
{
	struct ttm_bo_dirty *dirty = bo_dirty(bo);

	dma_resv_assert_held(bo->base.resv);

	return !dirty->tracker && !dirty->lost && !dirty->unseen &&
		drm_gem_dirty_vmas_all(&dirty->vmas);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_is_known);

/**
 * ttm_bo_dirty_read_back - Read back what the device wrote to a buffer object
 * @bo: The buffer object, tracked or not
 *
 * drm_gem_dirty_read_back() for all of it.
 *
 * Context: As drm_gem_dirty_read_back().
 * Return: As drm_gem_dirty_read_back().
 */
int ttm_bo_dirty_read_back(struct ttm_buffer_object *bo)
{
	struct drm_gem_dirty *tracker = bo_dirty(bo)->tracker;

	dma_resv_assert_held(bo->base.resv);

	return tracker ? drm_gem_dirty_read_back(tracker, 0,
						 PFN_UP(bo->base.size)) : 0;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_read_back);

/**
 * ttm_bo_dirty_mark - Mark pages that the kernel has stored to
 * @bo: The buffer object, tracked or not
 * @first: First page
 * @nr: Number of pages, within the buffer object
 *
 * For stores outside of tracked mappings. What the device wrote to these pages has
 * to be read back before, by ttm_bo_dirty_read_back(), with the dma_resv held from
 * then on.
 *
 * Context: Called with the dma_resv held.
 */
void ttm_bo_dirty_mark(struct ttm_buffer_object *bo, pgoff_t first, pgoff_t nr)
{
	struct ttm_bo_dirty *dirty = bo_dirty(bo);

	dma_resv_assert_held(bo->base.resv);

	if (dirty->tracker)
		drm_gem_dirty_mark(dirty->tracker, first, nr);
	else
		dirty->lost = true;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_mark);

/**
 * ttm_bo_dirty_unmap - Harvest before a buffer object is unmapped
 * @bo: The buffer object, tracked or not
 *
 * &ttm_device_funcs.unmap_notify. Afterwards no entry is writable or dirty, and
 * none can become so while the caller holds the dma_resv.
 *
 * Context: Process context, may sleep. Called with the dma_resv held if the buffer
 * object is tracked.
 */
void ttm_bo_dirty_unmap(struct ttm_buffer_object *bo)
{
	struct ttm_bo_dirty *dirty = bo_dirty(bo);

	if (!dirty)
		return;

	if (dirty->tracker)
		drm_gem_dirty_close(dirty->tracker);
	else if (READ_ONCE(dirty->vmas.nr))
		dirty->lost = true;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_unmap);

/*
 * If the device may have written the page, wait for it and read the page back.
 * VM_FAULT_RETRY: the dma_resv has been released as well, but for
 * FAULT_FLAG_RETRY_NOWAIT. An mmap can outlive the object's last handle, and the
 * tracking can end while this waits.
 */
static vm_fault_t bo_dirty_vm_read_back(struct ttm_buffer_object *bo,
					struct vm_fault *vmf)
{
	struct ttm_bo_dirty *dirty = bo_dirty(bo);
	pgoff_t page = drm_gem_dirty_page(&bo->base, vmf->pgoff);
	int ret;

	if (!dirty->tracker)
		return 0;

	ret = drm_gem_dirty_vm_pending(dirty->tracker, vmf);
	if (ret != -EAGAIN)
		return ret ? vmf_error(ret) : 0;

	if (vmf->flags & FAULT_FLAG_ALLOW_RETRY) {
		if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
			return VM_FAULT_RETRY;

		drm_gem_object_get(&bo->base);
		dma_resv_unlock(bo->base.resv);
		release_fault_lock(vmf);

		/* If anything is wrong the fault that comes again finds it. */
		if (!drm_gem_dirty_vm_wait(&bo->base, vmf) &&
		    !dma_resv_lock_interruptible(bo->base.resv, NULL)) {
			if (dirty->tracker)
				drm_gem_dirty_read_around(dirty->tracker, page);
			dma_resv_unlock(bo->base.resv);
		}
		drm_gem_object_put(&bo->base);

		return VM_FAULT_RETRY;
	}

	ret = drm_gem_dirty_read_around(dirty->tracker, page);
	if (ret == -ERESTARTSYS)
		return VM_FAULT_NOPAGE;

	return ret ? vmf_error(ret) : 0;
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

/* With pfn_mkwrite() the core leaves write permission out. */
static pgprot_t bo_dirty_vm_prot(struct vm_area_struct *vma)
{
	return pgprot_modify(vma->vm_page_prot, vm_get_page_prot(vma->vm_flags));
}

/* ttm_bo_vm_fault_reserved() for buffer objects that are, or are not, tracked. */
static vm_fault_t bo_dirty_vm_fault_reserved(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ttm_buffer_object *bo = vma->vm_private_data;
	struct ttm_bo_dirty *dirty = bo_dirty(bo);
	struct drm_gem_dirty_map map;
	vm_fault_t ret;

	ret = bo_dirty_vm_read_back(bo, vmf);
	if (ret)
		return ret;

	ret = ttm_bo_vm_fault_prepare(bo, vmf);
	if (ret)
		return ret;

	if (!dirty->tracker)
		return ttm_bo_vm_insert(bo, vma, vmf->address,
					bo_dirty_vm_prot(vma),
					vma->vm_flags & VM_RAND_READ ?
					1 : TTM_BO_VM_NUM_PREFAULT);

	drm_gem_dirty_vm_fault(dirty->tracker, vmf, &map);

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
 * Return: As ttm_bo_vm_reserve() or ttm_bo_vm_fault_reserved().
 */
vm_fault_t ttm_bo_dirty_vm_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ttm_buffer_object *bo = vma->vm_private_data;
	vm_fault_t ret;
	int idx;

	/* Each try may be followed by another: none waits with mmap_lock held. */
	vmf->flags &= ~FAULT_FLAG_TRIED;
	ret = ttm_bo_vm_reserve(bo, vmf);
	if (ret)
		return ret;

	if (drm_dev_enter(bo->base.dev, &idx)) {
		ret = bo_dirty_vm_fault_reserved(vmf);
		drm_dev_exit(idx);
	} else {
		ret = ttm_bo_vm_dummy_page(vmf, bo_dirty_vm_prot(vma));
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
	struct ttm_bo_dirty *dirty = bo_dirty(bo);
	vm_fault_t ret;
	int idx;

	vmf->flags &= ~FAULT_FLAG_TRIED;
	ret = ttm_bo_vm_reserve(bo, vmf);
	if (ret)
		return ret;

	/*
	 * The core would do the latter when tracking may have begun. Without a
	 * device there is nothing to be tracked.
	 */
	if (dirty->tracker && drm_dev_enter(bo->base.dev, &idx)) {
		drm_gem_dirty_vm_pfn_mkwrite(dirty->tracker, vmf);
		drm_dev_exit(idx);
	} else {
		vmf_make_writable(vmf);
	}

	dma_resv_unlock(bo->base.resv);

	return VM_FAULT_NOPAGE;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_vm_pfn_mkwrite);

/**
 * ttm_bo_dirty_vm_open - What ttm_bo_dirty_vm_ops do with a new VMA
 * @vma: The VMA
 *
 * &vm_operations_struct.open of a driver with other operations of its own.
 */
void ttm_bo_dirty_vm_open(struct vm_area_struct *vma)
{
	struct ttm_buffer_object *bo = vma->vm_private_data;

	drm_gem_dirty_vmas_open(&bo_dirty(bo)->vmas);
	ttm_bo_vm_open(vma);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_vm_open);

/**
 * ttm_bo_dirty_vm_close - What ttm_bo_dirty_vm_ops do when a VMA is closed
 * @vma: The VMA
 *
 * &vm_operations_struct.close of a driver with other operations of its own. Waits
 * for nothing.
 */
void ttm_bo_dirty_vm_close(struct vm_area_struct *vma)
{
	struct ttm_buffer_object *bo = vma->vm_private_data;

	drm_gem_dirty_vmas_close(&bo_dirty(bo)->vmas, &bo->base, vma);
	ttm_bo_vm_close(vma);
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_vm_close);

/**
 * ttm_bo_dirty_mmap - Map a buffer object that can be tracked
 * @obj: The GEM object of it
 * @vma: The VMA
 *
 * &drm_gem_object_funcs.mmap, as drm_gem_ttm_mmap().
 *
 * Return: As ttm_bo_mmap_obj().
 */
int ttm_bo_dirty_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	struct ttm_buffer_object *bo =
		container_of(obj, struct ttm_buffer_object, base);
	int ret;

	ret = ttm_bo_mmap_obj(vma, bo);
	if (ret)
		return ret;

	/* TTM has a reference of its own for the VMA. */
	drm_gem_object_put(obj);
	drm_gem_dirty_vmas_open(&bo_dirty(bo)->vmas);

	return 0;
}
EXPORT_SYMBOL_GPL(ttm_bo_dirty_mmap);

/*
 * A debugger's access, by ptrace() or /proc/pid/mem. It can't write where the program
 * itself could not.
 */
static int bo_dirty_vm_access(struct vm_area_struct *vma, unsigned long addr,
			      void *buf, int len, int write)
{
	struct ttm_buffer_object *bo = vma->vm_private_data;
	pgoff_t first = drm_gem_dirty_page(&bo->base,
					   linear_page_index(vma, addr));
	unsigned long offset = (first << PAGE_SHIFT) + offset_in_page(addr);
	struct ttm_bo_dirty *dirty = bo_dirty(bo);
	int ret;

	if (write && !(vma->vm_flags & VM_WRITE))
		return -EACCES;
	if (len < 1 || offset + len > bo->base.size)
		return -EIO;

	ret = ttm_bo_reserve(bo, true, false, NULL);
	if (ret)
		return ret;

	if (dirty->tracker)
		ret = drm_gem_dirty_read_back(dirty->tracker, first,
					      PFN_UP(offset + len) - first);
	if (ret)
		goto out_unreserve;

	ret = ttm_bo_vm_access_reserved(bo, offset, buf, len, write);
	/* Also after an error, which can come after some pages. */
	if (write)
		ttm_bo_dirty_mark(bo, first, PFN_UP(offset + len) - first);

out_unreserve:
	ttm_bo_unreserve(bo);

	return ret;
}

/*
 * The operations of mmaps: &drm_gem_object_funcs.vm_ops of all objects that
 * can be tracked some day. For those that are not they do what TTM's own do.
 */
const struct vm_operations_struct ttm_bo_dirty_vm_ops = {
	.open = ttm_bo_dirty_vm_open,
	.close = ttm_bo_dirty_vm_close,
	.fault = ttm_bo_dirty_vm_fault,
	.pfn_mkwrite = ttm_bo_dirty_vm_pfn_mkwrite,
	.access = bo_dirty_vm_access,
	.may_fault_under_vma_lock = true,
};
EXPORT_SYMBOL_GPL(ttm_bo_dirty_vm_ops);

MODULE_DESCRIPTION("CPU write tracking for TTM buffer objects");
MODULE_LICENSE("Dual MIT/GPL");
