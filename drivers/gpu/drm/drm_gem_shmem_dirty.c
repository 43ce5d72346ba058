// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pfn_range.h>

#include <drm/drm_device.h>
#include <drm/drm_gem_dirty.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_print.h>
#include <drm/drm_vma_manager.h>

/**
 * DOC: dirty tracking
 *
 * A driver that keeps a second copy of a shmem object up to date with what
 * user space stores to it calls drm_gem_shmem_dirty_init() when it has created
 * the object, uses drm_gem_shmem_dirty_mmap() for it in place of
 * drm_gem_shmem_mmap(), drm_gem_shmem_dirty_pass() before the copy is used,
 * and drm_gem_shmem_dirty_fini() before it frees the object. See
 * drm_gem_dirty.c for the rest.
 */

/*
 * A submitter can hold the dma_resv while it waits for room in a command
 * queue. Don't hold what a fault holds while waiting for it, if it can retry.
 */
static vm_fault_t shmem_dirty_reserve(struct drm_gem_object *obj,
				      struct vm_fault *vmf)
{
	if (dma_resv_trylock(obj->resv))
		return 0;

	if (fault_flag_allow_retry_first(vmf->flags)) {
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

static bool shmem_dirty_in_bounds(struct drm_gem_object *obj,
				  struct vm_fault *vmf)
{
	return vmf->pgoff - drm_vma_node_start(&obj->vma_node) <
		obj->size >> PAGE_SHIFT;
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

	ret = drm_gem_dirty_vm_read_back(shmem->dirty, vmf);
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
		page = vmf->pgoff - drm_vma_node_start(&obj->vma_node);
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

static void shmem_dirty_zap(struct vm_area_struct *vma, unsigned long addr,
			    unsigned long size)
{
	struct drm_gem_object *obj = vma->vm_private_data;

	drm_gem_dirty_vm_zap(to_drm_gem_shmem_obj(obj)->dirty, vma, addr, size);
}

/* A debugger's access, by ptrace() or /proc/pid/mem. */
static int shmem_dirty_access(struct vm_area_struct *vma, unsigned long addr,
			      void *buf, int len, int write)
{
	struct drm_gem_object *obj = vma->vm_private_data;
	struct drm_gem_shmem_object *shmem = to_drm_gem_shmem_obj(obj);
	pgoff_t page = linear_page_index(vma, addr) -
		drm_vma_node_start(&obj->vma_node);
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

static void shmem_dirty_vm_open(struct vm_area_struct *vma)
{
	drm_gem_shmem_vm_ops.open(vma);
}

static void shmem_dirty_vm_close(struct vm_area_struct *vma)
{
	struct drm_gem_object *obj = vma->vm_private_data;

	dma_resv_lock(obj->resv, NULL);
	drm_gem_dirty_vm_close(to_drm_gem_shmem_obj(obj)->dirty, vma);
	dma_resv_unlock(obj->resv);

	drm_gem_shmem_vm_ops.close(vma);
}

static const struct vm_operations_struct shmem_dirty_vm_ops = {
	.open = shmem_dirty_vm_open,
	.close = shmem_dirty_vm_close,
	.fault = shmem_dirty_fault,
	.pfn_mkwrite = shmem_dirty_pfn_mkwrite,
	.pfn_zap_dirty = shmem_dirty_zap,
	.access = shmem_dirty_access,
	.fault_vma_lock = true,
};

/**
 * drm_gem_shmem_dirty_init - Track the CPU writes to a shmem object
 * @shmem: The object, not imported and not mapped yet
 * @ddev: The device's accounts
 *
 * Context: Process context, may sleep.
 * Return: 0, -EINVAL for an imported object, or -ENOMEM.
 */
int drm_gem_shmem_dirty_init(struct drm_gem_shmem_object *shmem,
			     struct drm_gem_dirty_device *ddev)
{
	struct drm_gem_dirty *dirty;

	/* The exporter handles its faults. */
	if (shmem->base.import_attach)
		return -EINVAL;

	dirty = drm_gem_dirty_create(&shmem->base, ddev);
	if (IS_ERR(dirty))
		return PTR_ERR(dirty);

	shmem->dirty = dirty;

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_dirty_init);

/**
 * drm_gem_shmem_dirty_fini - Stop tracking
 * @shmem: The object, about to be freed
 *
 * Context: Process context, may sleep.
 */
void drm_gem_shmem_dirty_fini(struct drm_gem_shmem_object *shmem)
{
	drm_gem_dirty_destroy(shmem->dirty);
	shmem->dirty = NULL;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_dirty_fini);

/**
 * drm_gem_shmem_dirty_mmap - Map a tracked shmem object
 * @shmem: The object
 * @vma: The VMA
 *
 * Context: As drm_gem_shmem_mmap().
 * Return: 0 or a negative error code, as drm_gem_shmem_mmap().
 */
int drm_gem_shmem_dirty_mmap(struct drm_gem_shmem_object *shmem,
			     struct vm_area_struct *vma)
{
	int ret;

	ret = drm_gem_shmem_mmap(shmem, vma);
	if (ret)
		return ret;

	vma->vm_ops = &shmem_dirty_vm_ops;

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_dirty_mmap);

/**
 * drm_gem_shmem_dirty_pass - Find out what has been written to a shmem object
 * @shmem: The object
 *
 * drm_gem_dirty_pass(). In addition all pages count as dirty while the object
 * has a kernel mapping, which is not tracked; but for those that the device may
 * have written and that were not read back since. Who has such a mapping does
 * that, by drm_gem_dirty_read_back(), before it uses it.
 *
 * Context: As drm_gem_dirty_pass().
 */
void drm_gem_shmem_dirty_pass(struct drm_gem_shmem_object *shmem)
{
	drm_gem_dirty_pass(shmem->dirty);

	if (shmem->vmap_use_count)
		drm_gem_dirty_mark(shmem->dirty, 0, shmem->dirty->nr_pages);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_dirty_pass);
