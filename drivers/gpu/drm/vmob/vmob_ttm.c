// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <drm/drm_print.h>
#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_range_manager.h>
#include <drm/ttm/ttm_tt.h>

#include "vmob_drv.h"

static unsigned int vram_mb = 16;
MODULE_PARM_DESC(vram_mb, "Size of the video memory in MiB (default: 16)");
module_param(vram_mb, uint, 0444);

static unsigned int mob_mb;
MODULE_PARM_DESC(mob_mb,
		 "Guest memory that the device can address at a time in MiB (default: half of the memory)");
module_param(mob_mb, uint, 0444);

static const struct ttm_place vmob_place_system = {
	.mem_type = TTM_PL_SYSTEM,
};

static const struct ttm_place vmob_place_mob = {
	.mem_type = VMOB_PL_MOB,
};

static const struct ttm_place vmob_place_vram = {
	.mem_type = TTM_PL_VRAM,
};

static struct vmob_device *vmob_of_bdev(struct ttm_device *bdev)
{
	return container_of(bdev, struct vmob_device, ttm);
}

static struct ttm_tt *vmob_tt_create(struct ttm_buffer_object *tbo,
				     u32 page_flags)
{
	struct vmob_bo *bo = to_vmob_bo(tbo);
	struct ttm_tt *tt;

	tt = kzalloc_obj(*tt, GFP_KERNEL_ACCOUNT);
	if (!tt)
		return NULL;

	if (ttm_tt_init(tt, tbo, page_flags,
			bo->flags & DRM_VMOB_BO_WC ? ttm_write_combined :
			ttm_cached, 0)) {
		kfree(tt);
		return NULL;
	}

	return tt;
}

static void vmob_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt)
{
	ttm_tt_fini(tt);
	kfree(tt);
}

/*
 * TTM also asks for another driver's process that is short of memory, which would
 * wait for our jobs, one buffer after the other. So only vmob's own waiter evicts
 * buffers that are in use. Video memory has no other users.
 */
static bool vmob_eviction_valuable(struct ttm_buffer_object *tbo,
				   const struct ttm_place *place)
{
	if (tbo->resource->mem_type != TTM_PL_VRAM &&
	    READ_ONCE(vmob_of_bdev(tbo->bdev)->waiter) != current &&
	    !dma_resv_test_signaled(tbo->base.resv, DMA_RESV_USAGE_BOOKKEEP))
		return false;

	return ttm_bo_eviction_valuable(tbo, place);
}

static void vmob_evict_flags(struct ttm_buffer_object *tbo,
			     struct ttm_placement *placement)
{
	static const struct ttm_place from_vram[] = {
		{ .mem_type = VMOB_PL_MOB },
		{ .mem_type = TTM_PL_SYSTEM },
	};

	if (tbo->resource->mem_type == TTM_PL_VRAM) {
		placement->placement = from_vram;
		placement->num_placement = ARRAY_SIZE(from_vram);
	} else {
		placement->placement = &vmob_place_system;
		placement->num_placement = 1;
	}
}

static int vmob_move(struct ttm_buffer_object *tbo, bool evict,
		     struct ttm_operation_ctx *ctx, struct ttm_resource *new,
		     struct ttm_place *hop)
{
	struct ttm_device *bdev = tbo->bdev;
	struct ttm_resource *old = tbo->resource;
	int ret;

	if (!old) {
		ttm_bo_move_null(tbo, new);
		return 0;
	}

	/* The engine uses the memory where it is. */
	ret = ttm_bo_wait_ctx(tbo, ctx);
	if (ret)
		return ret;

	if (ttm_manager_type(bdev, old->mem_type)->use_tt &&
	    ttm_manager_type(bdev, new->mem_type)->use_tt) {
		ttm_bo_move_null(tbo, new);
	} else {
		ret = ttm_bo_move_memcpy(tbo, ctx, new);
		if (ret)
			return ret;
	}

	atomic64_inc(&vmob_of_bdev(bdev)->moves);

	return 0;
}

static void vmob_swap_notify(struct ttm_buffer_object *tbo)
{
	atomic64_inc(&vmob_of_bdev(tbo->bdev)->swapouts);
}

static int vmob_io_mem_reserve(struct ttm_device *bdev,
			       struct ttm_resource *res)
{
	if (res->mem_type != TTM_PL_VRAM)
		return 0;

	res->bus.addr = vmob_of_bdev(bdev)->vram + ((u64)res->start << PAGE_SHIFT);
	res->bus.is_iomem = true;
	res->bus.caching = ttm_cached;

	return 0;
}

static unsigned long vmob_io_mem_pfn(struct ttm_buffer_object *tbo,
				     unsigned long page_offset)
{
	return vmalloc_to_pfn(vmob_ttm_vram(to_vmob_bo(tbo)) +
			      (page_offset << PAGE_SHIFT));
}

static int vmob_access_memory(struct ttm_buffer_object *tbo,
			      unsigned long offset, void *buf, int len,
			      int write)
{
	void *vram = vmob_ttm_vram(to_vmob_bo(tbo)) + offset;

	if (write)
		memcpy(vram, buf, len);
	else
		memcpy(buf, vram, len);

	return len;
}

static const struct ttm_device_funcs vmob_ttm_funcs = {
	.ttm_tt_create = vmob_tt_create,
	.ttm_tt_destroy = vmob_tt_destroy,
	.eviction_valuable = vmob_eviction_valuable,
	.evict_flags = vmob_evict_flags,
	.move = vmob_move,
	.swap_notify = vmob_swap_notify,
	.io_mem_reserve = vmob_io_mem_reserve,
	.io_mem_pfn = vmob_io_mem_pfn,
	.access_memory = vmob_access_memory,
	.unmap_notify = ttm_bo_dirty_unmap,
	.dirty = vmob_bo_dirty,
};

/* Where a buffer in video memory is in the kernel's address space. */
void *vmob_ttm_vram(struct vmob_bo *bo)
{
	return vmob_of_bdev(bo->tbo.bdev)->vram +
		((u64)bo->tbo.resource->start << PAGE_SHIFT);
}

/* Where a buffer is, as DRM_VMOB_DOMAIN_*. Called with its dma_resv held. */
u32 vmob_ttm_domain(struct vmob_bo *bo)
{
	switch (bo->tbo.resource->mem_type) {
	case VMOB_PL_MOB:
		return DRM_VMOB_DOMAIN_MOB;
	case TTM_PL_VRAM:
		return DRM_VMOB_DOMAIN_VRAM;
	default:
		return DRM_VMOB_DOMAIN_SYSTEM;
	}
}

/*
 * Have a buffer in one of the domains, video memory first. It stays where it
 * is if that will do. Called with its dma_resv held.
 */
int vmob_ttm_validate(struct vmob_bo *bo, u32 domains,
		      struct ttm_operation_ctx *ctx)
{
	struct ttm_place places[3];
	struct ttm_placement placement = { .placement = places };

	/* It can't move, and the engine gets at it anywhere. */
	if (bo->tbo.pin_count)
		return 0;

	if (domains & DRM_VMOB_DOMAIN_VRAM)
		places[placement.num_placement++] = vmob_place_vram;
	if (domains & DRM_VMOB_DOMAIN_MOB)
		places[placement.num_placement++] = vmob_place_mob;
	if (domains & DRM_VMOB_DOMAIN_SYSTEM)
		places[placement.num_placement++] = vmob_place_system;

	return ttm_bo_validate(&bo->tbo, &placement, ctx);
}

/*
 * Begin to make room at the expense of buffers that are in use, when no submission
 * holds any. One process at a time.
 */
int vmob_ttm_wait_begin(struct vmob_device *vmob)
{
	int ret = down_write_killable(&vmob->validate);

	if (!ret)
		WRITE_ONCE(vmob->waiter, current);

	return ret;
}

void vmob_ttm_wait_end(struct vmob_device *vmob)
{
	WRITE_ONCE(vmob->waiter, NULL);
	up_write(&vmob->validate);
}

int vmob_ttm_init(struct vmob_device *vmob)
{
	u64 ram = (u64)totalram_pages() << PAGE_SHIFT;
	int ret;

	vmob->vram_size = (u64)vram_mb << 20;
	vmob->mob_size = mob_mb ? (u64)mob_mb << 20 : PAGE_ALIGN(ram / 2);
	vmob->device_size = PAGE_ALIGN(ram / 3);

	if (!vmob->vram_size || vmob->vram_size > ram / 4) {
		drm_err(&vmob->drm, "no %u MiB of video memory\n", vram_mb);
		return -EINVAL;
	}

	vmob->vram = vzalloc(vmob->vram_size);
	if (!vmob->vram)
		return -ENOMEM;

	ret = ttm_device_init(&vmob->ttm, &vmob_ttm_funcs, vmob->drm.dev,
			      vmob->drm.anon_inode->i_mapping,
			      vmob->drm.vma_offset_manager, 0);
	if (ret)
		goto err_vram;

	ret = ttm_range_man_init(&vmob->ttm, VMOB_PL_MOB, true,
				 vmob->mob_size >> PAGE_SHIFT);
	if (ret)
		goto err_ttm;

	ret = ttm_range_man_init(&vmob->ttm, TTM_PL_VRAM, false,
				 vmob->vram_size >> PAGE_SHIFT);
	if (ret)
		goto err_mob;

	return 0;

err_mob:
	ttm_range_man_fini(&vmob->ttm, VMOB_PL_MOB);
err_ttm:
	ttm_device_fini(&vmob->ttm);
err_vram:
	vfree(vmob->vram);
	return ret;
}

void vmob_ttm_fini(struct vmob_device *vmob)
{
	ttm_range_man_fini(&vmob->ttm, TTM_PL_VRAM);
	ttm_range_man_fini(&vmob->ttm, VMOB_PL_MOB);
	ttm_device_fini(&vmob->ttm);
	vfree(vmob->vram);
}
