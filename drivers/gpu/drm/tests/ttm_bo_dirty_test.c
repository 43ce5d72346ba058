// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KUnit tests of the tracking of CPU writes to TTM buffer objects: what TTM
 * does to a buffer object between a store and the use of it.
 *
 * As in drm_gem_dirty_test.c the stores are real ones, and a device copy that
 * is kept up to date by nothing but the tracker's reports is compared with
 * what was stored. It is read from wherever the buffer object is at the time.
 *
 * One long file: nearly half of it is the device that all cases share.
 */

#include <linux/anon_inodes.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
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
#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_bo_dirty.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_range_manager.h>
#include <drm/ttm/ttm_tt.h>

#include "../drm_gem_dirty_internal.h"

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

struct test_priv {
	struct test_device *tdev;
	struct test_bo *bo;
	struct file *file;
	/* What the tests have stored, to compare the device copy with. */
	u32 *expect;
	u32 value;
};

static struct test_device *to_tdev(struct ttm_device *bdev)
{
	return container_of(bdev, struct test_device, ttm);
}

static struct test_bo *to_test_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct test_bo, tbo.base);
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

static int test_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct drm_gem_object *obj = file->private_data;

	return drm_gem_mmap_obj(obj, obj->size, vma);
}

static int test_file_release(struct inode *inode, struct file *file)
{
	struct drm_gem_object *obj = file->private_data;
	struct drm_device *drm = obj->dev;

	drm_gem_object_put(obj);
	drm_dev_put(drm);

	return 0;
}

/* It outlives the test, as in drm_gem_dirty_test.c. */
static const struct file_operations test_fops = {
	.mmap = test_file_mmap,
	.release = test_file_release,
};

static const struct drm_driver test_driver = {
	.driver_features = DRIVER_GEM,
};

KUNIT_DEFINE_ACTION_WRAPPER(put_object, drm_gem_object_put,
			    struct drm_gem_object *);
KUNIT_DEFINE_ACTION_WRAPPER(put_file, fput, struct file *);
KUNIT_DEFINE_ACTION_WRAPPER(free_expect, vfree, const void *);

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
	struct test_priv *priv = test->priv;
	struct ttm_buffer_object *tbo = &priv->bo->tbo;
	struct ttm_operation_ctx ctx = { };

	dma_resv_lock(tbo->base.resv, NULL);
	KUNIT_EXPECT_EQ(test, 0, ttm_bo_validate(tbo, &placement, &ctx));
	dma_resv_unlock(tbo->base.resv);
}

static int add_consumer(struct test_priv *priv,
			struct drm_gem_dirty_consumer *consumer,
			int (*read_back)(struct drm_gem_dirty_consumer *consumer,
					 pgoff_t first, pgoff_t nr))
{
	struct ttm_buffer_object *tbo = &priv->bo->tbo;
	int ret;

	dma_resv_lock(tbo->base.resv, NULL);
	ret = ttm_bo_dirty_add(tbo, &priv->tdev->dirty, consumer, 0, NR_PAGES,
			       read_back);
	dma_resv_unlock(tbo->base.resv);

	return ret;
}

static void track(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	struct test_bo *bo = priv->bo;

	KUNIT_ASSERT_EQ(test, 0, add_consumer(priv, &bo->consumer, NULL));
	bo->tracked = true;
}

/* It becomes the one that the tests are about. */
static struct test_bo *create_bo(struct kunit *test, enum ttm_bo_type type)
{
	const struct ttm_place system = { .mem_type = TTM_PL_SYSTEM };
	struct ttm_placement placement = {
		.placement = &system,
		.num_placement = 1,
	};
	struct test_priv *priv = test->priv;
	struct test_device *tdev = priv->tdev;
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
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_object,
							   &bo->tbo.base));
	priv->bo = bo;

	return bo;
}

static int ttm_bo_dirty_test_init(struct kunit *test)
{
	struct test_device *tdev;
	struct test_priv *priv;
	struct drm_device *drm;
	struct device *dev;
	struct test_bo *bo;

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

	priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, priv);
	priv->tdev = tdev;
	test->priv = priv;

	bo = create_bo(test, ttm_bo_type_device);

	priv->expect = vzalloc(bo->tbo.base.size);
	KUNIT_ASSERT_NOT_NULL(test, priv->expect);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_expect,
							   priv->expect));

	priv->file = anon_inode_getfile("[ttm_bo_dirty_test]", &test_fops,
					&bo->tbo.base, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, priv->file);
	drm_gem_object_get(&bo->tbo.base);
	drm_dev_get(drm);
	priv->file->f_mapping = drm->anon_inode->i_mapping;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_file,
							   priv->file));

	return 0;
}

static unsigned long map_bo(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	struct drm_gem_object *obj = &priv->bo->tbo.base;
	unsigned long addr;

	addr = kunit_vm_mmap(test, priv->file, 0, obj->size,
			     PROT_READ | PROT_WRITE, MAP_SHARED,
			     drm_vma_node_offset_addr(&obj->vma_node));
	KUNIT_ASSERT_NE(test, 0, addr);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));

	return addr;
}

/* Store a value that was never stored before. */
static void store(struct kunit *test, unsigned long map, unsigned long page)
{
	struct test_priv *priv = test->priv;

	priv->value++;
	KUNIT_ASSERT_EQ(test, 0,
			put_user(priv->value,
				 (u32 __user *)(map + page * PAGE_SIZE)));
	priv->expect[page * PAGE_SIZE / sizeof(u32)] = priv->value;
}

static void load(struct kunit *test, unsigned long map, unsigned long page)
{
	struct test_priv *priv = test->priv;
	u32 value;

	KUNIT_ASSERT_EQ(test, 0,
			get_user(value, (u32 __user *)(map + page * PAGE_SIZE)));
	KUNIT_EXPECT_EQ(test, value,
			priv->expect[page * PAGE_SIZE / sizeof(u32)]);
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
	struct test_priv *priv = test->priv;
	struct test_bo *bo = priv->bo;
	pgoff_t first, nr;

	bo->uploaded = 0;

	dma_resv_lock(bo->tbo.base.resv, NULL);
	drm_gem_dirty_prepare(&bo->consumer, page, nr_pages);
	while (drm_gem_dirty_next(&bo->consumer, &first, &nr))
		for (; nr; nr--)
			upload(bo, first++);
	dma_resv_unlock(bo->tbo.base.resv);

	KUNIT_EXPECT_EQ_MSG(test, 0, memcmp(bo->copy, priv->expect,
					    bo->tbo.base.size),
			    "the device misses a store");

	return bo->uploaded;
}

static unsigned long submit(struct kunit *test)
{
	return submit_write(test, 0, 0);
}

/* Stores to two chunks, the second time without a fault. */
static void store_some(struct kunit *test, unsigned long map)
{
	store(test, map, 3);
	store(test, map, 7);
	store(test, map, NR_PAGES - 1);
}

static struct drm_gem_dirty *tracker(struct kunit *test)
{
	struct test_priv *priv = test->priv;

	return priv->bo->dirty.tracker;
}

/* C1 C5: nothing is done to the buffer object; no page or fault is too many. */
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
	store(test, map, 5);
	KUNIT_EXPECT_EQ(test, 2, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 1, submit(test));

	/* Mapped by a load, which must not let stores go by unseen. */
	load(test, map, DRM_GEM_DIRTY_CHUNK_PAGES);
	store(test, map, DRM_GEM_DIRTY_CHUNK_PAGES);
	store(test, map, DRM_GEM_DIRTY_CHUNK_PAGES + 1);
	KUNIT_EXPECT_EQ(test, 3, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
}

/* C3: moved between the store and the submission, there and back. */
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
		store(test, map, 7);
		KUNIT_EXPECT_EQ(test, 1, submit(test));
		KUNIT_EXPECT_EQ(test, 0, submit(test));
	}
}

/* C3: swapped out between the store and the submission. */
static void ttm_bo_dirty_test_swapout(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	struct ttm_operation_ctx ctx = { };
	unsigned long map;

	track(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);

	store_some(test, map);
	KUNIT_ASSERT_GT(test, ttm_device_swapout(&priv->tdev->ttm, &ctx,
						 GFP_KERNEL), 0);
	KUNIT_ASSERT_FALSE(test, ttm_tt_is_populated(priv->bo->tbo.ttm));
	place(test, TTM_PL_TT);
	KUNIT_EXPECT_EQ(test, 3, submit(test));
	store(test, map, 3);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
}

/* C3: the mapping goes, too, before or after the move. */
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

/* C3: tracking begins and ends while there are writable entries. */
static void ttm_bo_dirty_test_begin_end(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	unsigned long map;

	place(test, TTM_PL_TT);
	map = map_bo(test);

	/* In an entry that is dirty, in one that was, and in none */
	store(test, map, 9);
	track(test);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	store(test, map, 9);
	KUNIT_EXPECT_EQ(test, 1, submit(test));

	store(test, map, 10);
	test_untrack(priv->bo);
	store(test, map, 10);
	store(test, map, 11);
	memcpy(priv->bo->copy, priv->expect, priv->bo->tbo.base.size);
	place(test, TTM_PL_VRAM);
	store(test, map, 12);

	track(test);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	store(test, map, 12);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map, NR_PAGES * PAGE_SIZE));
}

/* C3: tracking begins, and what the entries know of earlier stores counts. */
static void ttm_bo_dirty_test_add(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	struct test_bo *bo = priv->bo;
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
	store(test, map, 7);
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 1, submit(test));

	/* Another consumer gets what becomes dirty from now on. */
	KUNIT_ASSERT_EQ(test, 0, add_consumer(priv, &consumer, NULL));
	store(test, map, 8);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	dma_resv_lock(bo->tbo.base.resv, NULL);
	KUNIT_EXPECT_TRUE(test, drm_gem_dirty_next(&consumer, &first, &nr));
	KUNIT_EXPECT_EQ(test, 8, first);
	KUNIT_EXPECT_EQ(test, 1, nr);
	KUNIT_EXPECT_FALSE(test, drm_gem_dirty_next(&consumer, &first, &nr));
	ttm_bo_dirty_remove(&bo->tbo, &consumer);
	dma_resv_unlock(bo->tbo.base.resv);
	store(test, map, 9);
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

	store(test, map, 4);
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->stats.faults);
	store(test, map, 5);
	KUNIT_EXPECT_EQ(test, 2, tracker(test)->stats.faults);
	store(test, map, 5);
	KUNIT_EXPECT_EQ(test, 2, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->nr_open);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
}

/* It is the last consumer that counts. */
static void ttm_bo_dirty_test_users(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	struct ttm_buffer_object *tbo = &priv->bo->tbo;
	struct drm_gem_dirty_consumer other;
	unsigned long map;

	track(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);

	KUNIT_ASSERT_EQ(test, 0, add_consumer(priv, &other, NULL));
	store(test, map, 1);
	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_remove(tbo, &other);
	dma_resv_unlock(tbo->base.resv);
	store(test, map, 2);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
}

/* C1: a debugger's writes, and writes without page faults. */
static void ttm_bo_dirty_test_unseen(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	struct ttm_buffer_object *tbo = &priv->bo->tbo;
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
	priv->expect[4 * PAGE_SIZE / sizeof(u32)] = value;
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
	test_untrack(priv->bo);
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
	struct test_priv *priv = test->priv;
	struct ttm_buffer_object *tbo = &priv->bo->tbo;
	struct ttm_operation_ctx ctx = { };

	place(test, TTM_PL_TT);
	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_begin(tbo);
	dma_resv_unlock(tbo->base.resv);
	KUNIT_EXPECT_EQ(test, 0, ttm_device_swapout(&priv->tdev->ttm, &ctx,
						    GFP_KERNEL));
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_populated(tbo->ttm));

	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_end(tbo);
	dma_resv_unlock(tbo->base.resv);
	KUNIT_EXPECT_GT(test, ttm_device_swapout(&priv->tdev->ttm, &ctx,
						 GFP_KERNEL), 0);
}

/* C1: what is written to a buffer object of another device's is never seen. */
static void ttm_bo_dirty_test_imported(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	struct test_bo *bo = create_bo(test, ttm_bo_type_sg);
	u32 value;

	track(test);
	place(test, TTM_PL_TT);
	for (value = 0; value < NR_PAGES; value++)
		clear_highpage(bo->tbo.ttm->pages[value]);

	for (value = 1; value < 3; value++) {
		memcpy_to_page(bo->tbo.ttm->pages[5], 0, (const char *)&value,
			       sizeof(value));
		priv->expect[5 * PAGE_SIZE / sizeof(u32)] = value;
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
	struct test_priv *priv = test->priv;

	KUNIT_ASSERT_EQ(test, 0, add_consumer(priv, &priv->bo->consumer,
					      test_read_back));
	priv->bo->tracked = true;
}

static void device_writes(struct test_priv *priv, unsigned long page)
{
	u32 *p = priv->bo->copy + page * PAGE_SIZE;

	*p = ++priv->value;
	priv->expect[page * PAGE_SIZE / sizeof(u32)] = priv->value;
}

/* A submission by which the device writes to a page. */
static void device_store(struct kunit *test, unsigned long page)
{
	submit_write(test, page, 1);
	device_writes(test->priv, page);
}

/* C1: what the kernel stores is not skipped because the device has written too. */
static void ttm_bo_dirty_test_unseen_written(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	struct ttm_buffer_object *tbo = &priv->bo->tbo;
	u32 value = 0x12345678;
	unsigned long map;

	track_both(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);
	store(test, map, 3);

	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_begin(tbo);
	dma_resv_unlock(tbo->base.resv);
	device_store(test, 3);
	memcpy_to_page(tbo->ttm->pages[5], 8, (const char *)&value,
		       sizeof(value));
	priv->expect[5 * PAGE_SIZE / sizeof(u32) + 2] = value;
	KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	load(test, map, 3);
	load(test, map, 5);

	device_store(test, 6);
	dma_resv_lock(tbo->base.resv, NULL);
	ttm_bo_dirty_unseen_end(tbo);
	dma_resv_unlock(tbo->base.resv);
	KUNIT_EXPECT_EQ(test, NR_PAGES, submit(test));
	load(test, map, 6);
}

/* C2, C3: moved and swapped out before it is read back, and after. */
static void ttm_bo_dirty_test_read_back(struct kunit *test)
{
	static const u32 where[] = {
		TTM_PL_TT, TTM_PL_VRAM, TTM_PL_TT, TTM_PL_SYSTEM, TTM_PL_VRAM,
		TTM_PL_SYSTEM,
	};
	struct test_priv *priv = test->priv;
	struct ttm_operation_ctx ctx = { };
	unsigned long map;
	int i;

	track_both(test);
	map = map_bo(test);

	for (i = 0; i < ARRAY_SIZE(where); i++) {
		store_some(test, map);
		device_store(test, 7);
		place(test, where[i]);
		load(test, map, 3);
		load(test, map, 7);
		store(test, map, 7);
		device_store(test, 8);
		load(test, map, 8);
		KUNIT_EXPECT_EQ(test, 0, tracker(test)->nr_pending);
		KUNIT_EXPECT_EQ(test, 0, submit(test));
	}

	place(test, TTM_PL_TT);
	store(test, map, 9);
	device_store(test, 10);
	KUNIT_ASSERT_GT(test, ttm_device_swapout(&priv->tdev->ttm, &ctx,
						 GFP_KERNEL), 0);
	load(test, map, 10);
	load(test, map, 9);
	KUNIT_EXPECT_EQ(test, 0, submit(test));
	/* Two a round, and this one, of a page each */
	KUNIT_EXPECT_EQ(test, 2 * ARRAY_SIZE(where) + 1,
			tracker(test)->stats.pages_read_back);
}

/* C2: a debugger reads, and writes beside what the device wrote. */
static void ttm_bo_dirty_test_read_back_access(struct kunit *test)
{
	struct test_priv *priv = test->priv;
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
	KUNIT_EXPECT_EQ(test, priv->value, value);
	device_store(test, 4);
	value = 0x12345678;
	KUNIT_EXPECT_EQ(test, sizeof(value),
			vma->vm_ops->access(vma, map + 4 * PAGE_SIZE + 8, &value,
					    sizeof(value), FOLL_WRITE));
	mmap_read_unlock(current->mm);
	priv->expect[4 * PAGE_SIZE / sizeof(u32) + 2] = value;
	load(test, map, 4);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
}

/* C2, C6: what was written to one copy is uploaded to the other. */
static void ttm_bo_dirty_test_read_back_other(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	struct test_bo *bo = priv->bo;
	struct dma_resv *resv = bo->tbo.base.resv;
	struct drm_gem_dirty_consumer other;
	unsigned long map;
	pgoff_t first, nr;

	track_both(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);
	KUNIT_ASSERT_EQ(test, 0, add_consumer(priv, &other, NULL));

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

	load(test, map, 70);
	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

struct last_write {
	struct dma_fence fence;
	/* That of the fence. */
	spinlock_t lock;
	struct delayed_work work;
	struct kunit *test;
	unsigned long page;
};

static const char *last_write_name(struct dma_fence *fence)
{
	return "ttm_bo_dirty_test";
}

static const struct dma_fence_ops last_write_ops = {
	.get_driver_name = last_write_name,
	.get_timeline_name = last_write_name,
};

/* The device has written, and the tracking ends before anybody else can read. */
static void last_write_work(struct work_struct *work)
{
	struct last_write *w = container_of(work, struct last_write, work.work);
	struct test_priv *priv = w->test->priv;
	struct test_bo *bo = priv->bo;

	device_writes(priv, w->page);

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
	struct test_priv *priv = test->priv;
	struct test_bo *bo = priv->bo;
	struct dma_resv *resv = bo->tbo.base.resv;
	struct last_write *w;
	unsigned long map;

	track_both(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);
	store(test, map, 5);

	w = kzalloc_obj(*w, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, w);
	spin_lock_init(&w->lock);
	INIT_DELAYED_WORK(&w->work, last_write_work);
	w->test = test;
	w->page = 5;
	/* The last reference frees it. */
	dma_fence_init(&w->fence, &last_write_ops, &w->lock,
		       dma_fence_context_alloc(1), 1);

	dma_resv_lock(resv, NULL);
	KUNIT_EXPECT_EQ(test, 0, dma_resv_reserve_fences(resv, 1));
	drm_gem_dirty_prepare(&bo->consumer, 5, 1);
	dma_resv_add_fence(resv, &w->fence, DMA_RESV_USAGE_WRITE);
	dma_resv_unlock(resv);
	submit(test);

	schedule_delayed_work(&w->work, HZ / 5);
	load(test, map, 5);
	KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(&w->fence));
	flush_delayed_work(&w->work);
	KUNIT_EXPECT_FALSE(test, bo->tracked);
	load(test, map, 5);
	dma_fence_put(&w->fence);
}

/* A device that is gone is not waited for, and no access faults for ever. */
static void ttm_bo_dirty_test_unplug(struct kunit *test)
{
	struct test_priv *priv = test->priv;
	unsigned long map, page;
	u32 value;

	track_both(test);
	place(test, TTM_PL_TT);
	map = map_bo(test);
	/* Written, read, and not accessed yet */
	store(test, map, DRM_GEM_DIRTY_CHUNK_PAGES);
	load(test, map, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	/* Without entries, as the first chunk */
	device_store(test, 3);

	priv->tdev->drm.unplugged = true;
	for (page = 0; page < NR_PAGES; page++) {
		u32 __user *user = (u32 __user *)(map + page * PAGE_SIZE);

		KUNIT_EXPECT_EQ(test, 0, get_user(value, user));
		KUNIT_EXPECT_EQ(test, 0, put_user(page, user));
		KUNIT_EXPECT_EQ(test, 0, get_user(value, user));
		KUNIT_EXPECT_EQ(test, page, value);
	}
	priv->tdev->drm.unplugged = false;
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
