// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KUnit tests of the tracking of CPU writes to TTM buffer objects: what TTM
 * does to a buffer object between a store and the use of it.
 *
 * The device copy is read from wherever the buffer object is at the time.
 *
 * One long file: more than a third of it is the device that all cases share.
 */

#include <linux/dma-resv.h>
#include <linux/highmem.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <kunit/test.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_dirty.h>
#include <drm/drm_gem_ttm_helper.h>
#include <drm/drm_kunit_helpers.h>
#include <drm/drm_managed.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_bo_dirty.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_range_manager.h>
#include <drm/ttm/ttm_tt.h>

#include "../drm_gem_dirty_internal.h"
#include "drm_gem_dirty_fixture.h"

#define NR_PAGES	(3 * DRM_GEM_DIRTY_CHUNK_PAGES + 5)
#define VRAM_PAGES	(2 * NR_PAGES)

struct test_device {
	struct drm_device drm;
	struct ttm_device ttm;
	struct drm_gem_dirty_device dirty;
	void *vram;
};

struct test_bo {
	struct ttm_buffer_object tbo;
	struct ttm_bo_dirty dirty;
	struct drm_gem_dirty_consumer consumer;
	bool tracked;
	/* The copy, and how many pages were uploaded to it. */
	void *copy;
	unsigned long uploaded;
};

static struct test_device *to_tdev(struct ttm_device *bdev)
{
	return container_of(bdev, struct test_device, ttm);
}

static struct test_bo *to_test_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct test_bo, tbo.base);
}

static struct test_bo *test_bo(struct kunit *test)
{
	struct dirty_fixture *fixture = test->priv;

	return to_test_bo(fixture->obj);
}

static struct drm_gem_dirty *tracker(struct kunit *test)
{
	return test_bo(test)->dirty.tracker;
}

static struct ttm_tt *test_tt_create(struct ttm_buffer_object *tbo,
				     u32 page_flags)
{
	struct ttm_tt *tt = kzalloc_obj(*tt, GFP_KERNEL);

	if (tt && ttm_tt_init(tt, tbo, page_flags, ttm_cached, 0)) {
		kfree(tt);
		return NULL;
	}

	return tt;
}

static void test_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt)
{
	ttm_tt_fini(tt);
	kfree(tt);
}

static void test_evict_flags(struct ttm_buffer_object *tbo,
			     struct ttm_placement *placement)
{
	static const struct ttm_place place = { .mem_type = TTM_PL_SYSTEM };

	placement->placement = &place;
	placement->num_placement = 1;
}

static int test_move(struct ttm_buffer_object *tbo, bool evict,
		     struct ttm_operation_ctx *ctx, struct ttm_resource *new,
		     struct ttm_place *hop)
{
	if (!tbo->resource || (tbo->resource->mem_type != TTM_PL_VRAM &&
			       new->mem_type != TTM_PL_VRAM)) {
		ttm_bo_move_null(tbo, new);
		return 0;
	}

	return ttm_bo_move_memcpy(tbo, ctx, new);
}

static int test_io_mem_reserve(struct ttm_device *bdev,
			       struct ttm_resource *res)
{
	if (res->mem_type == TTM_PL_VRAM) {
		res->bus.addr = to_tdev(bdev)->vram + (res->start << PAGE_SHIFT);
		res->bus.is_iomem = true;
		res->bus.caching = ttm_cached;
	}

	return 0;
}

static void *test_vram(struct ttm_buffer_object *tbo, unsigned long page)
{
	return to_tdev(tbo->bdev)->vram +
		((tbo->resource->start + page) << PAGE_SHIFT);
}

static unsigned long test_io_mem_pfn(struct ttm_buffer_object *tbo,
				     unsigned long page_offset)
{
	return vmalloc_to_pfn(test_vram(tbo, page_offset));
}

static void test_bo_destroy(struct ttm_buffer_object *tbo)
{
	struct test_bo *bo = container_of(tbo, struct test_bo, tbo);

	ttm_bo_dirty_fini(&bo->dirty);
	drm_gem_object_release(&tbo->base);
	kfree(bo);
}

static struct ttm_bo_dirty *test_dirty(struct ttm_buffer_object *tbo)
{
	if (tbo->destroy != test_bo_destroy)
		return NULL;

	return &container_of(tbo, struct test_bo, tbo)->dirty;
}

static const struct ttm_device_funcs test_ttm_funcs = {
	.ttm_tt_create = test_tt_create,
	.ttm_tt_destroy = test_tt_destroy,
	.eviction_valuable = ttm_bo_eviction_valuable,
	.evict_flags = test_evict_flags,
	.move = test_move,
	.io_mem_reserve = test_io_mem_reserve,
	.io_mem_pfn = test_io_mem_pfn,
	.unmap_notify = ttm_bo_dirty_unmap,
	.dirty = test_dirty,
};

static void test_untrack(struct test_bo *bo)
{
	dma_resv_lock(bo->tbo.base.resv, NULL);
	ttm_bo_dirty_remove(&bo->tbo, &bo->consumer);
	dma_resv_unlock(bo->tbo.base.resv);
	bo->tracked = false;
}

static void test_bo_free(struct drm_gem_object *obj)
{
	struct test_bo *bo = to_test_bo(obj);

	if (bo->tracked)
		test_untrack(bo);
	vfree(bo->copy);
	ttm_bo_fini(&bo->tbo);
}

static const struct drm_gem_object_funcs test_bo_funcs = {
	.free = test_bo_free,
	.mmap = ttm_bo_dirty_mmap,
	.vm_ops = &ttm_bo_dirty_vm_ops,
};

static const struct drm_driver test_driver = {
	.driver_features = DRIVER_GEM,
};

static void test_ttm_fini(struct drm_device *drm, void *data)
{
	struct test_device *tdev = data;

	/* Has the imported buffer objects, which go later. */
	flush_workqueue(tdev->ttm.wq);
	ttm_range_man_fini(&tdev->ttm, TTM_PL_VRAM);
	ttm_range_man_fini(&tdev->ttm, TTM_PL_TT);
	ttm_device_fini(&tdev->ttm);
	vfree(tdev->vram);
}

static void place(struct kunit *test, u32 mem_type)
{
	const struct ttm_place place = { .mem_type = mem_type };
	struct ttm_placement placement = {
		.placement = &place,
		.num_placement = 1,
	};
	struct ttm_buffer_object *tbo = &test_bo(test)->tbo;
	struct ttm_operation_ctx ctx = { };

	dma_resv_lock(tbo->base.resv, NULL);
	KUNIT_EXPECT_EQ(test, 0, ttm_bo_validate(tbo, &placement, &ctx));
	dma_resv_unlock(tbo->base.resv);
}

/* Returns what is above 0 if something was swapped out. */
static int swap_out(struct kunit *test)
{
	struct ttm_operation_ctx ctx = { };

	return ttm_device_swapout(test_bo(test)->tbo.bdev, &ctx, GFP_KERNEL);
}

static int add_consumer(struct kunit *test,
			struct drm_gem_dirty_consumer *consumer,
			int (*read_back)(struct drm_gem_dirty_consumer *consumer,
					 pgoff_t first, pgoff_t nr))
{
	struct ttm_buffer_object *tbo = &test_bo(test)->tbo;
	int ret;

	dma_resv_lock(tbo->base.resv, NULL);
	ret = ttm_bo_dirty_add(tbo, &to_tdev(tbo->bdev)->dirty, consumer, 0,
			       NR_PAGES, read_back);
	dma_resv_unlock(tbo->base.resv);

	return ret;
}

static void track(struct kunit *test)
{
	struct test_bo *bo = test_bo(test);

	KUNIT_ASSERT_EQ(test, 0, add_consumer(test, &bo->consumer, NULL));
	bo->tracked = true;
}

/* It becomes the one that the tests are about. */
static void create_bo(struct kunit *test, enum ttm_bo_type type)
{
	const struct ttm_place system = { .mem_type = TTM_PL_SYSTEM };
	struct ttm_placement placement = {
		.placement = &system,
		.num_placement = 1,
	};
	struct dirty_fixture *fixture = test->priv;
	struct test_device *tdev =
		container_of(fixture->drm, struct test_device, drm);
	struct test_bo *bo;

	bo = kzalloc_obj(*bo, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bo);
	ttm_bo_dirty_init(&bo->dirty);
	bo->tbo.base.funcs = &test_bo_funcs;
	drm_gem_private_object_init(&tdev->drm, &bo->tbo.base,
				    NR_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0,
			ttm_bo_init_validate(&tdev->ttm, &bo->tbo, type,
					     &placement, 0, false, NULL, NULL,
					     test_bo_destroy));
	bo->copy = vzalloc(bo->tbo.base.size);
	KUNIT_ASSERT_NOT_NULL(test, bo->copy);
	fixture_set(test, &bo->tbo.base, bo->copy);
}

static int ttm_bo_dirty_test_init(struct kunit *test)
{
	struct test_device *tdev;
	struct drm_device *drm;
	struct device *dev;

	dev = drm_kunit_helper_alloc_device(test);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	tdev = drm_kunit_helper_alloc_drm_device_with_driver
		(test, dev, struct test_device, drm, &test_driver);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tdev);
	drm = &tdev->drm;
	KUNIT_ASSERT_EQ(test, 0, drmm_gem_dirty_device_init(drm, &tdev->dirty));

	tdev->vram = vzalloc(VRAM_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, tdev->vram);
	KUNIT_ASSERT_EQ(test, 0,
			ttm_device_init(&tdev->ttm, &test_ttm_funcs, dev,
					drm->anon_inode->i_mapping,
					drm->vma_offset_manager, 0));
	KUNIT_ASSERT_EQ(test, 0, ttm_range_man_init(&tdev->ttm, TTM_PL_TT, true,
						    VRAM_PAGES));
	KUNIT_ASSERT_EQ(test, 0, ttm_range_man_init(&tdev->ttm, TTM_PL_VRAM,
						    false, VRAM_PAGES));
	KUNIT_ASSERT_EQ(test, 0,
			drmm_add_action_or_reset(drm, test_ttm_fini, tdev));

	fixture_init(test, drm);
	create_bo(test, ttm_bo_type_device);

	return 0;
}

static void upload(struct test_bo *bo, unsigned long page)
{
	void *dst = bo->copy + page * PAGE_SIZE;

	bo->uploaded++;
	if (bo->tbo.resource->mem_type == TTM_PL_VRAM)
		memcpy(dst, test_vram(&bo->tbo, page), PAGE_SIZE);
	else
		memcpy_from_page(dst, bo->tbo.ttm->pages[page], 0, PAGE_SIZE);
}

/*
 * What a submission does, where the buffer object is, by which the device may write
 * some pages. Returns the number of pages that were uploaded.
 */
static unsigned long submit_write(struct kunit *test, pgoff_t page,
				  pgoff_t nr_pages)
{
	struct test_bo *bo = test_bo(test);
	pgoff_t first, nr;

	bo->uploaded = 0;

	dma_resv_lock(bo->tbo.base.resv, NULL);
	drm_gem_dirty_prepare(&bo->consumer, page, nr_pages);
	while (drm_gem_dirty_next(&bo->consumer, &first, &nr))
		for (; nr; nr--)
			upload(bo, first++);
	dma_resv_unlock(bo->tbo.base.resv);

	expect_copy(test);

	return bo->uploaded;
}

static unsigned long submit(struct kunit *test)
{
	return submit_write(test, 0, 0);
}

/* Stores to two chunks, the second time without a fault. */
static void store_some(struct kunit *test, unsigned long map)
{
	store_page(test, map, 3);
	store_page(test, map, 7);
	store_page(test, map, NR_PAGES - 1);
}

/* Nothing is done to the buffer object; no page or fault is too many. */
static void ttm_bo_dirty_test_store(struct kunit *test)
{
	unsigned long map;

	track(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);

	KUNIT_EXPECT_EQ(test, 0, submit(test));
	store_some(test, map);
	KUNIT_EXPECT_EQ(test, 2, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 3, submit(test));
	KUNIT_EXPECT_EQ(test, 0, submit(test));
	store_page(test, map, 5);
	KUNIT_EXPECT_EQ(test, 2, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 1, submit(test));

	/* Mapped by a load, which must not let stores go by unseen. */
	expect_page(test, map, DRM_GEM_DIRTY_CHUNK_PAGES);
	store_page(test, map, DRM_GEM_DIRTY_CHUNK_PAGES);
	store_page(test, map, DRM_GEM_DIRTY_CHUNK_PAGES + 1);
	KUNIT_EXPECT_EQ(test, 3, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
}

/* Moved between the store and the submission, there and back. */
static void ttm_bo_dirty_test_move(struct kunit *test)
{
	static const u32 where[] = {
		TTM_PL_TT, TTM_PL_VRAM, TTM_PL_TT, TTM_PL_SYSTEM, TTM_PL_VRAM,
		TTM_PL_SYSTEM,
	};
	unsigned long map;
	int i;

	track(test);
	map = map_bo(test);

	for (i = 0; i < ARRAY_SIZE(where); i++) {
		store_some(test, map);
		place(test, where[i]);
		KUNIT_EXPECT_EQ(test, 0, tracker(test)->nr_open);
		KUNIT_EXPECT_EQ(test, 3, submit(test));
		/* The chunks are closed, so these fault. */
		store_page(test, map, 7);
		KUNIT_EXPECT_EQ(test, 1, submit(test));
		KUNIT_EXPECT_EQ(test, 0, submit(test));
	}
}

/* Swapped out between the store and the submission. */
static void ttm_bo_dirty_test_swapout(struct kunit *test)
{
	unsigned long map;

	track(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);

	store_some(test, map);
	KUNIT_ASSERT_GT(test, swap_out(test), 0);
	KUNIT_ASSERT_FALSE(test, ttm_tt_is_populated(test_bo(test)->tbo.ttm));
	place(test, TTM_PL_TT);
	KUNIT_EXPECT_EQ(test, 3, submit(test));
	store_page(test, map, 3);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
}

/* The mapping goes, too, before or after the move. */
static void ttm_bo_dirty_test_munmap(struct kunit *test)
{
	unsigned long map;

	track(test);
	place(test, TTM_PL_TT);

	map = map_bo(test);
	store_some(test, map);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map, NR_PAGES * PAGE_SIZE));
	place(test, TTM_PL_VRAM);
	/* The first chunk, and the last, which is not whole. */
	KUNIT_EXPECT_EQ(test, DRM_GEM_DIRTY_CHUNK_PAGES + 5, submit(test));

	map = map_bo(test);
	store_some(test, map);
	place(test, TTM_PL_TT);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map, NR_PAGES * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 3, submit(test));
	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

/* Tracking begins and ends while there are writable entries. */
static void ttm_bo_dirty_test_begin_end(struct kunit *test)
{
	struct dirty_fixture *fixture = test->priv;
	unsigned long map;

	place(test, TTM_PL_TT);
	map = map_bo(test);

	/* In an entry that is dirty, in one that was, and in none */
	store_page(test, map, 9);
	track(test);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	store_page(test, map, 9);
	KUNIT_EXPECT_EQ(test, 1, submit(test));

	store_page(test, map, 10);
	test_untrack(test_bo(test));
	store_page(test, map, 10);
	store_page(test, map, 11);
	memcpy(fixture->copy, fixture->expect, fixture->obj->size);
	place(test, TTM_PL_VRAM);
	store_page(test, map, 12);

	track(test);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	store_page(test, map, 12);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map, NR_PAGES * PAGE_SIZE));
}

/* Tracking begins, and what the entries know of earlier stores counts. */
static void ttm_bo_dirty_test_add(struct kunit *test)
{
	struct test_bo *bo = test_bo(test);
	struct drm_gem_dirty_consumer consumer;
	unsigned long map;
	pgoff_t first, nr;

	/* A buffer object that is not mapped */
	track(test);
	KUNIT_EXPECT_EQ(test, 0, tracker(test)->nr_open);
	KUNIT_EXPECT_EQ(test, 0, submit(test));
	test_untrack(bo);

	place(test, TTM_PL_TT);
	map = map_bo(test);
	store_some(test, map);
	track(test);
	KUNIT_EXPECT_EQ(test, 0, tracker(test)->nr_open);
	KUNIT_EXPECT_EQ(test, 3, submit(test));
	KUNIT_EXPECT_EQ(test, 0, submit(test));

	/* Writable no more */
	store_page(test, map, 7);
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 1, submit(test));

	/* Another consumer gets what becomes dirty from now on. */
	KUNIT_ASSERT_EQ(test, 0, add_consumer(test, &consumer, NULL));
	store_page(test, map, 8);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	dma_resv_lock(bo->tbo.base.resv, NULL);
	KUNIT_EXPECT_TRUE(test, drm_gem_dirty_next(&consumer, &first, &nr));
	KUNIT_EXPECT_EQ(test, 8, first);
	KUNIT_EXPECT_EQ(test, 1, nr);
	KUNIT_EXPECT_FALSE(test, drm_gem_dirty_next(&consumer, &first, &nr));
	ttm_bo_dirty_remove(&bo->tbo, &consumer);
	dma_resv_unlock(bo->tbo.base.resv);
	store_page(test, map, 9);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map, NR_PAGES * PAGE_SIZE));
}

/* A program that has said so has nothing mapped that it has not asked for. */
static void ttm_bo_dirty_test_random(struct kunit *test)
{
	struct vm_area_struct *vma;
	unsigned long map;

	track(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);

	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, map);
	vm_flags_set(vma, VM_RAND_READ);
	mmap_write_unlock(current->mm);

	store_page(test, map, 4);
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->stats.faults);
	store_page(test, map, 5);
	KUNIT_EXPECT_EQ(test, 2, tracker(test)->stats.faults);
	store_page(test, map, 5);
	KUNIT_EXPECT_EQ(test, 2, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->nr_open);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
}

/* It is the last consumer that counts. */
static void ttm_bo_dirty_test_users(struct kunit *test)
{
	struct ttm_buffer_object *tbo = &test_bo(test)->tbo;
	struct drm_gem_dirty_consumer other;
	unsigned long map;

	track(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);

	KUNIT_ASSERT_EQ(test, 0, add_consumer(test, &other, NULL));
	store_page(test, map, 1);
	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_remove(tbo, &other);
	dma_resv_unlock(tbo->base.resv);
	store_page(test, map, 2);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
}

/* A debugger's writes, and writes without page faults. */
static void ttm_bo_dirty_test_unseen(struct kunit *test)
{
	struct ttm_buffer_object *tbo = &test_bo(test)->tbo;
	struct vm_area_struct *vma;
	unsigned long map;
	u32 value = 0x12345678;

	track(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, map);
	KUNIT_EXPECT_EQ(test, sizeof(value),
			vma->vm_ops->access(vma, map + 4 * PAGE_SIZE, &value,
					    sizeof(value), FOLL_WRITE));
	mmap_read_unlock(current->mm);
	*expected(test, 4, 0) = value;
	KUNIT_EXPECT_EQ(test, 1, submit(test));

	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_begin(tbo);
	dma_resv_unlock(tbo->base.resv);
	KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_end(tbo);
	dma_resv_unlock(tbo->base.resv);
	KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	KUNIT_EXPECT_EQ(test, 0, submit(test));

	/* Begun before the tracking */
	test_untrack(test_bo(test));
	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_begin(tbo);
	dma_resv_unlock(tbo->base.resv);
	track(test);
	KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_end(tbo);
	dma_resv_unlock(tbo->base.resv);
	KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

/* With a kernel mapping it stays where it is. */
static void ttm_bo_dirty_test_unseen_stays(struct kunit *test)
{
	struct ttm_buffer_object *tbo = &test_bo(test)->tbo;

	place(test, TTM_PL_TT);
	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_begin(tbo);
	dma_resv_unlock(tbo->base.resv);
	KUNIT_EXPECT_EQ(test, 0, swap_out(test));
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_populated(tbo->ttm));

	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_end(tbo);
	dma_resv_unlock(tbo->base.resv);
	KUNIT_EXPECT_GT(test, swap_out(test), 0);
}

/* What is written to a buffer object of another device's is never seen. */
static void ttm_bo_dirty_test_imported(struct kunit *test)
{
	struct page **pages;
	u32 value;

	create_bo(test, ttm_bo_type_sg);
	track(test);
	place(test, TTM_PL_TT);
	pages = test_bo(test)->tbo.ttm->pages;
	for (value = 0; value < NR_PAGES; value++)
		clear_highpage(pages[value]);

	for (value = 1; value < 3; value++) {
		memcpy_to_page(pages[5], 0, (const char *)&value,
			       sizeof(value));
		*expected(test, 5, 0) = value;
		KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	}
}

/* The device's copy to the guest's memory, wherever that is. */
static int test_read_back(struct drm_gem_dirty_consumer *consumer,
			  pgoff_t first, pgoff_t nr)
{
	struct test_bo *bo = container_of(consumer, struct test_bo, consumer);
	struct ttm_operation_ctx ctx = { };
	struct ttm_buffer_object *tbo = &bo->tbo;
	int ret;

	for (; nr; nr--, first++) {
		const void *src = bo->copy + first * PAGE_SIZE;

		if (tbo->resource->mem_type == TTM_PL_VRAM) {
			memcpy(test_vram(tbo, first), src, PAGE_SIZE);
			continue;
		}
		ret = ttm_bo_populate(tbo, &ctx);
		if (ret)
			return ret;
		memcpy_to_page(tbo->ttm->pages[first], 0, src, PAGE_SIZE);
	}

	return 0;
}

static void track_both(struct kunit *test)
{
	struct test_bo *bo = test_bo(test);

	KUNIT_ASSERT_EQ(test, 0, add_consumer(test, &bo->consumer,
					      test_read_back));
	bo->tracked = true;
}

/* A submission by which the device writes to a page. */
static void device_store(struct kunit *test, unsigned long page)
{
	submit_write(test, page, 1);
	device_writes(test, page);
}

/* What the kernel stores is not skipped because the device has written too. */
static void ttm_bo_dirty_test_unseen_written(struct kunit *test)
{
	struct ttm_buffer_object *tbo = &test_bo(test)->tbo;
	u32 value = 0x12345678;
	unsigned long map;

	track_both(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);
	store_page(test, map, 3);

	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_begin(tbo);
	dma_resv_unlock(tbo->base.resv);
	device_store(test, 3);
	memcpy_to_page(tbo->ttm->pages[5], 8, (const char *)&value,
		       sizeof(value));
	*expected(test, 5, 2) = value;
	KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	expect_page(test, map, 3);
	expect_page(test, map, 5);

	device_store(test, 6);
	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_end(tbo);
	dma_resv_unlock(tbo->base.resv);
	KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	expect_page(test, map, 6);
}

/* Moved and swapped out before it is read back, and after. */
static void ttm_bo_dirty_test_read_back(struct kunit *test)
{
	static const u32 where[] = {
		TTM_PL_TT, TTM_PL_VRAM, TTM_PL_TT, TTM_PL_SYSTEM, TTM_PL_VRAM,
		TTM_PL_SYSTEM,
	};
	unsigned long map;
	int i;

	track_both(test);
	map = map_bo(test);

	for (i = 0; i < ARRAY_SIZE(where); i++) {
		store_some(test, map);
		device_store(test, 7);
		place(test, where[i]);
		expect_page(test, map, 3);
		expect_page(test, map, 7);
		store_page(test, map, 7);
		device_store(test, 8);
		expect_page(test, map, 8);
		KUNIT_EXPECT_EQ(test, 0, tracker(test)->nr_pending);
		KUNIT_EXPECT_EQ(test, 0, submit(test));
	}

	place(test, TTM_PL_TT);
	store_page(test, map, 9);
	device_store(test, 10);
	KUNIT_ASSERT_GT(test, swap_out(test), 0);
	expect_page(test, map, 10);
	expect_page(test, map, 9);
	KUNIT_EXPECT_EQ(test, 0, submit(test));
	/* Two a round, and this one, of a page each */
	KUNIT_EXPECT_EQ(test, 2 * ARRAY_SIZE(where) + 1,
			tracker(test)->stats.pages_read_back);
}

/* A debugger reads, and writes beside what the device wrote. */
static void ttm_bo_dirty_test_read_back_access(struct kunit *test)
{
	struct dirty_fixture *fixture = test->priv;
	struct vm_area_struct *vma;
	unsigned long map;
	u32 value = 0;

	track_both(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);
	device_store(test, 4);

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, map);
	KUNIT_EXPECT_EQ(test, sizeof(value),
			vma->vm_ops->access(vma, map + 4 * PAGE_SIZE, &value,
					    sizeof(value), 0));
	KUNIT_EXPECT_EQ(test, fixture->value, value);
	device_store(test, 4);
	value = 0x12345678;
	KUNIT_EXPECT_EQ(test, sizeof(value),
			vma->vm_ops->access(vma, map + 4 * PAGE_SIZE + 8, &value,
					    sizeof(value), FOLL_WRITE));
	mmap_read_unlock(current->mm);
	*expected(test, 4, 2) = value;
	expect_page(test, map, 4);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
}

/* What was written to one copy is uploaded to the other. */
static void ttm_bo_dirty_test_read_back_other(struct kunit *test)
{
	struct test_bo *bo = test_bo(test);
	struct dma_resv *resv = bo->tbo.base.resv;
	struct drm_gem_dirty_consumer other;
	unsigned long map;
	pgoff_t first, nr;

	track_both(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);
	KUNIT_ASSERT_EQ(test, 0, add_consumer(test, &other, NULL));

	device_store(test, 70);
	dma_resv_lock(resv, NULL);
	KUNIT_EXPECT_FALSE(test, drm_gem_dirty_is_stale(&bo->consumer));
	KUNIT_EXPECT_TRUE(test, drm_gem_dirty_is_stale(&other));
	/* A new copy has nothing yet. */
	drm_gem_dirty_refill(&other);
	KUNIT_EXPECT_TRUE(test, drm_gem_dirty_next(&other, &first, &nr));
	KUNIT_EXPECT_EQ(test, 0, first);
	KUNIT_EXPECT_EQ(test, NR_PAGES, nr);
	KUNIT_EXPECT_FALSE(test, drm_gem_dirty_next(&other, &first, &nr));

	KUNIT_EXPECT_EQ(test, 0, ttm_bo_dirty_read_back(&bo->tbo));
	KUNIT_EXPECT_FALSE(test, drm_gem_dirty_is_stale(&other));
	KUNIT_EXPECT_TRUE(test, drm_gem_dirty_next(&other, &first, &nr));
	KUNIT_EXPECT_EQ(test, 70, first);
	KUNIT_EXPECT_EQ(test, 1, nr);
	KUNIT_EXPECT_FALSE(test, drm_gem_dirty_next(&other, &first, &nr));
	drm_gem_dirty_consumer_fini(&other);
	dma_resv_unlock(resv);

	expect_page(test, map, 70);
	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

/* The device has written, and the tracking ends before anybody else can read. */
static void last_write_work(struct work_struct *work)
{
	struct slow_write *w = to_slow_write(work);
	struct test_bo *bo = test_bo(w->test);

	device_writes(w->test, w->page);

	dma_resv_lock(bo->tbo.base.resv, NULL);
	dma_fence_signal(&w->fence);
	KUNIT_EXPECT_EQ(w->test, 0, ttm_bo_dirty_read_back(&bo->tbo));
	ttm_bo_dirty_remove(&bo->tbo, &bo->consumer);
	bo->tracked = false;
	dma_resv_unlock(bo->tbo.base.resv);
}

/* A fault waits for the device with nothing that keeps the tracker. */
static void ttm_bo_dirty_test_read_back_ended(struct kunit *test)
{
	struct test_bo *bo = test_bo(test);
	struct slow_write *w;
	unsigned long map;

	track_both(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);
	store_page(test, map, 5);

	dma_resv_lock(bo->tbo.base.resv, NULL);
	drm_gem_dirty_prepare(&bo->consumer, 5, 1);
	w = slow_write_begin(test, 5, last_write_work);
	dma_resv_unlock(bo->tbo.base.resv);
	submit(test);

	schedule_delayed_work(&w->work, HZ / 5);
	expect_page(test, map, 5);
	KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(&w->fence));
	flush_delayed_work(&w->work);
	KUNIT_EXPECT_FALSE(test, bo->tracked);
	expect_page(test, map, 5);
	dma_fence_put(&w->fence);
}

/* A device that is gone is not waited for, and no access faults for ever. */
static void ttm_bo_dirty_test_unplug(struct kunit *test)
{
	struct dirty_fixture *fixture = test->priv;
	unsigned long map, page;
	u32 value;

	track_both(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);
	/* Written, read, and not accessed yet */
	store_page(test, map, DRM_GEM_DIRTY_CHUNK_PAGES);
	expect_page(test, map, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	/* Without entries, as the first chunk */
	device_store(test, 3);

	fixture->drm->unplugged = true;
	for (page = 0; page < NR_PAGES; page++) {
		u32 __user *user = (u32 __user *)(map + page * PAGE_SIZE);

		KUNIT_EXPECT_EQ(test, 0, get_user(value, user));
		KUNIT_EXPECT_EQ(test, 0, put_user(page, user));
		KUNIT_EXPECT_EQ(test, 0, get_user(value, user));
		KUNIT_EXPECT_EQ(test, page, value);
	}
	fixture->drm->unplugged = false;
}

static struct kunit_case ttm_bo_dirty_tests[] = {
	KUNIT_CASE(ttm_bo_dirty_test_store),
	KUNIT_CASE(ttm_bo_dirty_test_move),
	KUNIT_CASE(ttm_bo_dirty_test_swapout),
	KUNIT_CASE(ttm_bo_dirty_test_munmap),
	KUNIT_CASE(ttm_bo_dirty_test_begin_end),
	KUNIT_CASE(ttm_bo_dirty_test_add),
	KUNIT_CASE(ttm_bo_dirty_test_random),
	KUNIT_CASE(ttm_bo_dirty_test_users),
	KUNIT_CASE(ttm_bo_dirty_test_unseen),
	KUNIT_CASE(ttm_bo_dirty_test_unseen_written),
	KUNIT_CASE(ttm_bo_dirty_test_unseen_stays),
	KUNIT_CASE(ttm_bo_dirty_test_imported),
	KUNIT_CASE(ttm_bo_dirty_test_read_back),
	KUNIT_CASE(ttm_bo_dirty_test_read_back_access),
	KUNIT_CASE(ttm_bo_dirty_test_read_back_other),
	KUNIT_CASE(ttm_bo_dirty_test_read_back_ended),
	KUNIT_CASE(ttm_bo_dirty_test_unplug),
	{ }
};

static struct kunit_suite ttm_bo_dirty_test_suite = {
	.name = "ttm_bo_dirty",
	.init = ttm_bo_dirty_test_init,
	.test_cases = ttm_bo_dirty_tests,
};

kunit_test_suite(ttm_bo_dirty_test_suite);

MODULE_DESCRIPTION("KUnit tests of the tracking of CPU writes to TTM buffer objects");
MODULE_LICENSE("Dual MIT/GPL");
