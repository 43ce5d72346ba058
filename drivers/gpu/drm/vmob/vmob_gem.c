// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_ttm_helper.h>
#include <drm/drm_prime.h>
#include <drm/drm_print.h>
#include <drm/drm_utils.h>
#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_bo_dirty.h>
#include <drm/ttm/ttm_tt.h>

#include "vmob_drv.h"

static struct vmob_bo *vmob_bo_of_gem(struct drm_gem_object *obj)
{
	return to_vmob_bo(container_of(obj, struct ttm_buffer_object, base));
}

static int vmob_copy_init(struct vmob_device *vmob, struct vmob_copy *copy,
			  struct vmob_bo *bo, u64 offset, u64 size)
{
	int ret = -ENOMEM;

	if (atomic64_add_return(size, &vmob->device_used) > vmob->device_size) {
		drm_dbg(&vmob->drm, "no room for a device copy of %llu bytes\n",
			size);
		goto err_size;
	}

	copy->vaddr = __vmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO |
				__GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!copy->vaddr)
		goto err_size;

	copy->bo = bo;
	copy->offset = offset;
	copy->size = size;

	if (bo->flags & DRM_VMOB_BO_COHERENT) {
		ret = bo->tracker->track(vmob, copy);
		if (ret)
			goto err_vaddr;
		copy->coherent = true;
	}

	return 0;

err_vaddr:
	vfree(copy->vaddr);
	copy->vaddr = NULL;
err_size:
	atomic64_sub(size, &vmob->device_used);
	return ret;
}

static void vmob_copy_fini(struct vmob_device *vmob, struct vmob_copy *copy)
{
	if (!copy->vaddr)
		return;

	if (copy->coherent)
		copy->bo->tracker->untrack(copy);
	vfree(copy->vaddr);
	atomic64_sub(copy->size, &vmob->device_used);
}

static void vmob_bo_destroy(struct ttm_buffer_object *tbo)
{
	ttm_bo_dirty_fini(&to_vmob_bo(tbo)->dirty);
	drm_gem_object_release(&tbo->base);
	kfree(to_vmob_bo(tbo));
}

/* &ttm_device_funcs.dirty */
struct ttm_bo_dirty *vmob_bo_dirty(struct ttm_buffer_object *tbo)
{
	return tbo->destroy == vmob_bo_destroy ? &to_vmob_bo(tbo)->dirty : NULL;
}

static void vmob_bo_free_now(struct vmob_bo *bo)
{
	struct vmob_device *vmob = to_vmob(bo->tbo.base.dev);

	mutex_lock(&vmob->bos_lock);
	list_del(&bo->link);
	mutex_unlock(&vmob->bos_lock);

	vmob_copy_fini(vmob, &bo->copy);
	ttm_bo_fini(&bo->tbo);
}

static void vmob_view_free_now(struct vmob_view *view)
{
	struct vmob_bo *bo = view->copy.bo;

	vmob_copy_fini(to_vmob(view->base.dev), &view->copy);
	drm_gem_object_release(&view->base);
	atomic_dec(&bo->views);
	drm_gem_object_put(&bo->tbo.base);
	kfree(view);
}

static int vmob_copy_settle(struct vmob_copy *copy)
{
	int ret;

	if (!copy->coherent || !copy->bo->tracker->settle)
		return 0;

	ret = copy->bo->tracker->settle(copy);
	if (ret && ret != -ERESTARTSYS)
		drm_dbg(copy->bo->tbo.base.dev,
			"what the device wrote is lost: %d\n", ret);

	return ret;
}

static void vmob_copy_free_work(struct work_struct *work)
{
	struct vmob_copy *copy = container_of(work, struct vmob_copy, free);

	vmob_copy_settle(copy);
	if (vmob_copy_is_view(copy))
		vmob_view_free_now(container_of(copy, struct vmob_view, copy));
	else
		vmob_bo_free_now(copy->bo);
}

/*
 * To settle can be to wait for jobs of others that use the buffer. A process that is
 * being killed leaves it, and the rest, to a worker.
 */
static bool vmob_copy_free_later(struct vmob_device *vmob,
				 struct vmob_copy *copy)
{
	if (vmob_copy_settle(copy) != -ERESTARTSYS)
		return false;

	INIT_WORK(&copy->free, vmob_copy_free_work);
	queue_work(vmob->cleanup, &copy->free);

	return true;
}

/* No handle and no job is left. There can be mmaps. */
static void vmob_bo_free(struct drm_gem_object *obj)
{
	struct vmob_bo *bo = vmob_bo_of_gem(obj);

	if (!vmob_copy_free_later(to_vmob(obj->dev), &bo->copy))
		vmob_bo_free_now(bo);
}

/* For other devices: the pages have to stay, and what they do is not seen. */
static int vmob_bo_pin(struct drm_gem_object *obj)
{
	struct ttm_operation_ctx ctx = { };
	struct vmob_bo *bo = vmob_bo_of_gem(obj);
	int ret;

	ret = vmob_ttm_validate(bo, DRM_VMOB_DOMAIN_MOB, &ctx);
	if (ret)
		return ret;

	ret = ttm_bo_dirty_read_back(&bo->tbo);
	if (ret)
		return ret;

	ttm_bo_dirty_unseen_begin(&bo->tbo);

	return 0;
}

static void vmob_bo_unpin(struct drm_gem_object *obj)
{
	ttm_bo_dirty_unseen_end(&vmob_bo_of_gem(obj)->tbo);
}

static struct sg_table *vmob_bo_get_sg_table(struct drm_gem_object *obj)
{
	struct ttm_tt *tt = vmob_bo_of_gem(obj)->tbo.ttm;

	return drm_prime_pages_to_sg(obj->dev, tt->pages, tt->num_pages);
}

static int vmob_bo_vmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	int ret;

	ret = vmob_bo_pin(obj);
	if (ret)
		return ret;

	ret = drm_gem_ttm_vmap(obj, map);
	if (ret)
		vmob_bo_unpin(obj);

	return ret;
}

static void vmob_bo_vunmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	drm_gem_ttm_vunmap(obj, map);
	vmob_bo_unpin(obj);
}

static int vmob_bo_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	vma->vm_ops = vmob_bo_of_gem(obj)->tracker->vm_ops;

	return ttm_bo_dirty_mmap(obj, vma);
}

static const struct drm_gem_object_funcs vmob_bo_funcs = {
	.free = vmob_bo_free,
	.pin = vmob_bo_pin,
	.unpin = vmob_bo_unpin,
	.get_sg_table = vmob_bo_get_sg_table,
	.vmap = vmob_bo_vmap,
	.vunmap = vmob_bo_vunmap,
	.mmap = vmob_bo_mmap,
};

static struct vmob_bo *vmob_bo_create(struct vmob_device *vmob,
				      const struct drm_vmob_bo_create *args)
{
	static const struct ttm_place place = { .mem_type = TTM_PL_SYSTEM };
	struct ttm_placement placement = {
		.placement = &place,
		.num_placement = 1,
	};
	const struct vmob_tracker *tracker = READ_ONCE(vmob_tracker);
	struct vmob_bo *bo;
	int ret;

	bo = kzalloc(tracker->bo_size, GFP_KERNEL_ACCOUNT);
	if (!bo)
		return ERR_PTR(-ENOMEM);

	bo->tracker = tracker;
	bo->flags = args->flags;
	bo->domains = args->domains;
	ttm_bo_dirty_init(&bo->dirty);
	bo->tbo.base.funcs = &vmob_bo_funcs;
	drm_gem_private_object_init(&vmob->drm, &bo->tbo.base, args->size);

	/* Destroys it when it fails */
	ret = ttm_bo_init_validate(&vmob->ttm, &bo->tbo, ttm_bo_type_device,
				   &placement, 0, true, NULL, NULL,
				   vmob_bo_destroy);
	if (ret)
		return ERR_PTR(ret);

	mutex_lock(&vmob->bos_lock);
	list_add_tail(&bo->link, &vmob->bos);
	mutex_unlock(&vmob->bos_lock);

	ret = vmob_copy_init(vmob, &bo->copy, bo, 0, args->size);
	if (ret) {
		drm_gem_object_put(&bo->tbo.base);
		return ERR_PTR(ret);
	}

	return bo;
}

int vmob_bo_create_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file)
{
	struct vmob_device *vmob = to_vmob(drm);
	struct drm_vmob_bo_create *args = data;
	const char *wrong = NULL;
	struct vmob_bo *bo;
	u64 most = 0;
	int ret;

	if (args->domains & DRM_VMOB_DOMAIN_MOB)
		most = vmob->mob_size;
	if (args->domains & DRM_VMOB_DOMAIN_VRAM)
		most = max(most, vmob->vram_size);
	/* The device copy is mapped as a whole */
	most = min_t(u64, most, SIZE_MAX);

	if (args->flags & ~(DRM_VMOB_BO_COHERENT | DRM_VMOB_BO_WC))
		wrong = "flags";
	else if (args->domains & ~(DRM_VMOB_DOMAIN_MOB | DRM_VMOB_DOMAIN_VRAM))
		wrong = "domains";
	else if (args->pad)
		wrong = "padding";
	else if (!args->size || !PAGE_ALIGNED(args->size))
		wrong = "size";
	else if (args->size > most)
		wrong = "too large for its domains";
	if (wrong) {
		drm_dbg(drm, "buffer refused: %s\n", wrong);
		return -EINVAL;
	}
	/*
	 * TTM changes the kernel's own mapping of the pages, through which the
	 * engine works, on x86 only. Elsewhere that stays cached, and may have
	 * other contents than user space's.
	 */
	if ((args->flags & DRM_VMOB_BO_WC) && !IS_ENABLED(CONFIG_X86)) {
		drm_dbg(drm, "buffer refused: no write-combining here\n");
		return -EOPNOTSUPP;
	}

	bo = vmob_bo_create(vmob, args);
	if (IS_ERR(bo))
		return PTR_ERR(bo);

	ret = drm_gem_handle_create(file, &bo->tbo.base, &args->handle);
	drm_gem_object_put(&bo->tbo.base);

	return ret;
}

static void vmob_view_free(struct drm_gem_object *obj)
{
	struct vmob_view *view = container_of(obj, struct vmob_view, base);

	if (!vmob_copy_free_later(to_vmob(obj->dev), &view->copy))
		vmob_view_free_now(view);
}

static struct dma_buf *vmob_view_export(struct drm_gem_object *obj, int flags)
{
	return ERR_PTR(-EINVAL);
}

static const struct drm_gem_object_funcs vmob_view_funcs = {
	.free = vmob_view_free,
	.export = vmob_view_export,
};

/* The device copy that belongs to a handle. */
struct vmob_copy *vmob_copy_of(struct drm_gem_object *obj)
{
	if (obj->funcs == &vmob_view_funcs)
		return &container_of(obj, struct vmob_view, base)->copy;

	return &vmob_bo_of_gem(obj)->copy;
}

/* Takes over the reference to the buffer. */
static struct vmob_view *vmob_view_create(struct vmob_device *vmob,
					  struct vmob_bo *bo, u64 offset,
					  u64 size)
{
	struct vmob_view *view;
	int ret;

	if (!atomic_add_unless(&bo->views, 1, VMOB_MAX_VIEWS)) {
		drm_dbg(&vmob->drm, "view refused: too many of its buffer\n");
		ret = -ENOSPC;
		goto err_put;
	}

	ret = -ENOMEM;
	view = kzalloc_obj(*view, GFP_KERNEL_ACCOUNT);
	if (!view)
		goto err_views;

	view->base.funcs = &vmob_view_funcs;
	view->base.resv = bo->tbo.base.resv;
	view->copy.bo = bo;
	drm_gem_private_object_init(&vmob->drm, &view->base, size);

	ret = vmob_copy_init(vmob, &view->copy, bo, offset, size);
	if (ret) {
		drm_gem_object_put(&view->base);
		return ERR_PTR(ret);
	}

	return view;

err_views:
	atomic_dec(&bo->views);
err_put:
	drm_gem_object_put(&bo->tbo.base);
	return ERR_PTR(ret);
}

int vmob_view_create_ioctl(struct drm_device *drm, void *data,
			   struct drm_file *file)
{
	struct drm_vmob_view_create *args = data;
	const char *wrong = NULL;
	struct drm_gem_object *obj;
	struct vmob_view *view;
	int ret;

	obj = drm_gem_object_lookup(file, args->bo_handle);
	if (!obj)
		return -ENOENT;

	if (args->flags || args->pad)
		wrong = "flags or padding";
	else if (obj->funcs != &vmob_bo_funcs)
		wrong = "not of a buffer";
	else if (!PAGE_ALIGNED(args->offset) || !PAGE_ALIGNED(args->size))
		wrong = "alignment";
	else if (!args->size || args->offset > obj->size ||
		 args->size > obj->size - args->offset)
		wrong = "range";
	if (wrong) {
		drm_dbg(drm, "view refused: %s\n", wrong);
		drm_gem_object_put(obj);
		return -EINVAL;
	}

	view = vmob_view_create(to_vmob(drm), vmob_bo_of_gem(obj), args->offset,
				args->size);
	if (IS_ERR(view))
		return PTR_ERR(view);

	ret = drm_gem_handle_create(file, &view->base, &args->handle);
	drm_gem_object_put(&view->base);

	return ret;
}

int vmob_bo_info_ioctl(struct drm_device *drm, void *data,
		       struct drm_file *file)
{
	struct drm_vmob_bo_info *args = data;
	struct drm_gem_object *obj;
	struct vmob_bo *bo;
	int ret;

	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;
	bo = vmob_copy_of(obj)->bo;

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		goto out;
	args->domain = vmob_ttm_domain(bo);
	dma_resv_unlock(obj->resv);

	args->flags = bo->flags;
	args->domains = bo->domains;
	args->size = obj->size;
	args->mmap_offset = 0;
	if (obj->funcs == &vmob_bo_funcs)
		args->mmap_offset = drm_vma_node_offset_addr(&obj->vma_node);
out:
	drm_gem_object_put(obj);
	return ret;
}

int vmob_bo_wait_ioctl(struct drm_device *drm, void *data,
		       struct drm_file *file)
{
	struct drm_vmob_bo_wait *args = data;
	struct drm_gem_object *obj;
	long ret;

	if (args->pad) {
		drm_dbg(drm, "wait refused: padding\n");
		return -EINVAL;
	}

	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;

	ret = dma_resv_wait_timeout(obj->resv, DMA_RESV_USAGE_BOOKKEEP, true,
				    drm_timeout_abs_to_jiffies(args->timeout_ns));
	drm_gem_object_put(obj);

	if (ret < 0)
		return ret;

	return ret ? 0 : -ETIME;
}
