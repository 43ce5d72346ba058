// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KUnit tests of the tracking of CPU writes to GEM objects.
 *
 * One long file: all cases are about the same object, and most of them are a
 * few lines.
 */

#include <linux/dma-resv.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/vmalloc.h>

#include <kunit/test.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem_dirty.h>
#include <drm/drm_gem_shmem_dirty.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_kunit_helpers.h>

#include "../drm_gem_dirty_internal.h"
#include "drm_gem_dirty_fixture.h"

#define CHUNK_BYTES	(DRM_GEM_DIRTY_CHUNK_PAGES * PAGE_SIZE)

/* Enough passes without a write to close every chunk. */
#define MANY_PASSES	32

struct test_device {
	struct drm_device drm;
	struct drm_gem_dirty_device dirty;
};

struct coherent_bo {
	struct drm_gem_shmem_object base;
	struct drm_gem_dirty_consumer device_copy;
	/* The copy, and how many pages and ranges were uploaded to it. */
	void *copy;
	unsigned long uploaded;
	unsigned long ranges;
	/* What reading back fails with. */
	int fail;
};

#define to_coherent_bo(obj) container_of(obj, struct coherent_bo, base.base)

static void coherent_bo_upload(struct coherent_bo *bo, pgoff_t first, pgoff_t nr)
{
	bo->uploaded += nr;
	bo->ranges++;
	for (; nr; nr--, first++)
		memcpy_from_page(bo->copy + first * PAGE_SIZE,
				 bo->base.pages[first], 0, PAGE_SIZE);
}

/*
 * The usage example of drm_gem_shmem_dirty.c, from here...
 */
static int coherent_bo_init(struct coherent_bo *bo,
			    struct drm_gem_dirty_device *ddev)
{
	struct drm_gem_object *obj = &bo->base.base;
	int ret;

	ret = drm_gem_shmem_dirty_init(&bo->base, ddev);
	if (ret)
		return ret;

	dma_resv_lock(obj->resv, NULL);
	ret = drm_gem_dirty_consumer_init(&bo->device_copy,
					  bo->base.dirty, 0,
					  obj->size >> PAGE_SHIFT, NULL);
	dma_resv_unlock(obj->resv);
	if (ret)
		drm_gem_shmem_dirty_fini(&bo->base);

	return ret;
}

static void coherent_bo_before_use(struct coherent_bo *bo)
{
	pgoff_t first, nr;

	dma_resv_assert_held(bo->base.base.resv);

	drm_gem_dirty_prepare(&bo->device_copy, 0, 0);
	while (drm_gem_dirty_next(&bo->device_copy, &first, &nr))
		coherent_bo_upload(bo, first, nr);
}

static void coherent_bo_free(struct coherent_bo *bo)
{
	struct drm_gem_object *obj = &bo->base.base;

	dma_resv_lock(obj->resv, NULL);
	drm_gem_dirty_consumer_fini(&bo->device_copy);
	dma_resv_unlock(obj->resv);
	drm_gem_shmem_dirty_fini(&bo->base);
	drm_gem_shmem_free(&bo->base);
}

/*
 * ... to here.
 */

static void test_bo_free(struct drm_gem_object *obj)
{
	struct coherent_bo *bo = to_coherent_bo(obj);

	vfree(bo->copy);
	coherent_bo_free(bo);
}

static const struct drm_gem_object_funcs test_bo_funcs = {
	.free = test_bo_free,
	.mmap = drm_gem_shmem_dirty_mmap,
	.vmap = drm_gem_shmem_dirty_vmap,
	.vunmap = drm_gem_shmem_dirty_vunmap,
	.vm_ops = &drm_gem_shmem_vm_ops,
};

static struct drm_gem_object *test_gem_create(struct drm_device *drm,
					      size_t size)
{
	struct coherent_bo *bo;

	bo = kzalloc_obj(*bo, GFP_KERNEL);
	if (!bo)
		return ERR_PTR(-ENOMEM);

	bo->base.base.funcs = &test_bo_funcs;

	return &bo->base.base;
}

static const struct drm_driver test_driver = {
	.driver_features = DRIVER_GEM,
	.gem_create_object = test_gem_create,
};

static struct test_device *test_device(struct kunit *test)
{
	struct dirty_fixture *fixture = test->priv;

	return container_of(fixture->drm, struct test_device, drm);
}

static struct coherent_bo *test_bo(struct kunit *test)
{
	struct dirty_fixture *fixture = test->priv;

	return to_coherent_bo(fixture->obj);
}

static struct drm_gem_dirty *tracker(struct kunit *test)
{
	return test_bo(test)->base.dirty;
}

static int gem_dirty_test_init(struct kunit *test)
{
	struct test_device *tdev;
	struct device *dev;

	dev = drm_kunit_helper_alloc_device(test);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	tdev = drm_kunit_helper_alloc_drm_device_with_driver
		(test, dev, struct test_device, drm, &test_driver);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tdev);
	KUNIT_ASSERT_EQ(test, 0,
			drmm_gem_dirty_device_init(&tdev->drm, &tdev->dirty));
	fixture_init(test, &tdev->drm);

	return 0;
}

static void create_bo(struct kunit *test, unsigned long nr_pages)
{
	struct test_device *tdev = test_device(test);
	struct drm_gem_shmem_object *shmem;
	struct coherent_bo *bo;

	shmem = drm_gem_shmem_create(&tdev->drm, nr_pages << PAGE_SHIFT);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, shmem);
	bo = to_coherent_bo(&shmem->base);
	KUNIT_ASSERT_EQ(test, 0, coherent_bo_init(bo, &tdev->dirty));
	bo->copy = vzalloc(shmem->base.size);
	KUNIT_ASSERT_NOT_NULL(test, bo->copy);
	fixture_set(test, &shmem->base, bo->copy);
}

/* What a submission does. Returns the number of pages that were uploaded. */
static unsigned long submit(struct kunit *test)
{
	struct coherent_bo *bo = test_bo(test);

	bo->uploaded = 0;
	bo->ranges = 0;

	dma_resv_lock(bo->base.base.resv, NULL);
	coherent_bo_before_use(bo);
	dma_resv_unlock(bo->base.base.resv);

	expect_copy(test);

	return bo->uploaded;
}

static void close_all(struct kunit *test)
{
	int i;

	for (i = 0; i < MANY_PASSES; i++)
		submit(test);
	KUNIT_ASSERT_EQ(test, 0, tracker(test)->nr_open);
}

/* A buffer without writes costs nothing, mapped and read or not. */
static void gem_dirty_test_idle(struct kunit *test)
{
	struct drm_gem_dirty_stats *stats;
	unsigned long map;

	create_bo(test, 4 * DRM_GEM_DIRTY_CHUNK_PAGES);
	stats = &tracker(test)->stats;
	map = map_bo(test);

	KUNIT_EXPECT_EQ(test, 0, submit(test));
	expect_page(test, map, 0);
	KUNIT_EXPECT_EQ(test, 0, submit(test));

	KUNIT_EXPECT_EQ(test, 2, stats->passes);
	KUNIT_EXPECT_EQ(test, 2, stats->passes_idle);
	KUNIT_EXPECT_EQ(test, 0, stats->faults);
	KUNIT_EXPECT_EQ(test, 0, stats->ptes_scanned);
	KUNIT_EXPECT_EQ(test, 0, stats->notifier_ranges);
	KUNIT_EXPECT_EQ(test, 0, stats->tlb_flushes);
}

/* The first store, one that does not fault, and no page too many. */
static void gem_dirty_test_store(struct kunit *test)
{
	struct drm_gem_dirty_stats *stats;
	unsigned long map;

	create_bo(test, 4 * DRM_GEM_DIRTY_CHUNK_PAGES);
	stats = &tracker(test)->stats;
	map = map_bo(test);

	store_page(test, map, 70);
	store_page(test, map, 80);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
	KUNIT_EXPECT_EQ(test, 1, stats->faults);

	store_page(test, map, 70);
	store_page(test, map, 71);
	store_page(test, map, 100);
	KUNIT_EXPECT_EQ(test, 3, submit(test));
	KUNIT_EXPECT_EQ(test, 2, test_bo(test)->ranges);
	KUNIT_EXPECT_EQ(test, 1, stats->faults);

	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

/* One fault opens a chunk, and not its neighbours. */
static void gem_dirty_test_chunk(struct kunit *test)
{
	struct drm_gem_dirty_stats *stats;
	unsigned long map, page;

	create_bo(test, 4 * DRM_GEM_DIRTY_CHUNK_PAGES);
	stats = &tracker(test)->stats;
	map = map_bo(test);

	for (page = 2 * DRM_GEM_DIRTY_CHUNK_PAGES;
	     page < 3 * DRM_GEM_DIRTY_CHUNK_PAGES; page++)
		store_page(test, map, page);
	KUNIT_EXPECT_EQ(test, 1, stats->faults);
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->nr_open);

	store_page(test, map, 2 * DRM_GEM_DIRTY_CHUNK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, 2, stats->faults);
	KUNIT_EXPECT_EQ(test, DRM_GEM_DIRTY_CHUNK_PAGES + 1, submit(test));
}

/* A quiet chunk closes, and a store after that faults and is not lost. */
static void gem_dirty_test_close(struct kunit *test)
{
	struct drm_gem_dirty_stats *stats;
	unsigned long map, scanned;

	create_bo(test, 4 * DRM_GEM_DIRTY_CHUNK_PAGES);
	stats = &tracker(test)->stats;
	map = map_bo(test);

	store_page(test, map, 0);
	store_page(test, map, 1);
	store_page(test, map, 200);
	store_page(test, map, 202);
	KUNIT_EXPECT_EQ(test, 4, submit(test));
	KUNIT_EXPECT_EQ(test, 2, tracker(test)->nr_open);

	close_all(test);
	KUNIT_EXPECT_EQ(test, 2, stats->chunks_closed);
	scanned = stats->ptes_scanned;
	KUNIT_EXPECT_EQ(test, 0, submit(test));
	KUNIT_EXPECT_EQ(test, scanned, stats->ptes_scanned);

	store_page(test, map, 201);
	KUNIT_EXPECT_EQ(test, 3, stats->faults);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
}

/*
 * A chunk with one dirty page is closed by the first pass, and the next time one
 * page of it is opened alone, until it turns out that there are more.
 */
static void gem_dirty_test_sparse(struct kunit *test)
{
	struct drm_gem_dirty_stats *stats;
	unsigned long map, other, page;
	u64 faults, scanned;

	create_bo(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	stats = &tracker(test)->stats;
	map = map_bo(test);
	other = map_bo(test);

	store_page(test, map, 70);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	KUNIT_EXPECT_EQ(test, 0, tracker(test)->nr_open);
	KUNIT_EXPECT_EQ(test, 0, submit(test));

	/* One page, and no other entry is read. */
	scanned = stats->ptes_scanned;
	store_page(test, map, 80);
	store_page(test, other, 80);
	store_page(test, map, 80);
	KUNIT_EXPECT_EQ(test, 3, stats->faults);
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->nr_open);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	KUNIT_EXPECT_EQ(test, 0, tracker(test)->nr_open);
	KUNIT_EXPECT_EQ(test, scanned + 2, stats->ptes_scanned);
	KUNIT_EXPECT_EQ(test, 0, submit(test));

	/* Two: then it is all of the chunk, through either mapping. */
	faults = stats->faults;
	store_page(test, map, 90);
	store_page(test, map, 91);
	KUNIT_EXPECT_EQ(test, faults + 2, stats->faults);
	for (page = 64; page < 128; page++)
		store_page(test, map, page);
	KUNIT_EXPECT_EQ(test, faults + 2, stats->faults);
	store_page(test, other, 80);
	store_page(test, other, 81);
	store_page(test, other, 82);
	KUNIT_EXPECT_EQ(test, faults + 4, stats->faults);
	KUNIT_EXPECT_EQ(test, 64, submit(test));
	store_page(test, map, 91);
	KUNIT_EXPECT_EQ(test, faults + 4, stats->faults);
	KUNIT_EXPECT_EQ(test, 1, submit(test));

	/* That was many pages, so it is all of it the next time as well. */
	close_all(test);
	faults = stats->faults;
	store_page(test, map, 70);
	store_page(test, map, 71);
	KUNIT_EXPECT_EQ(test, faults + 1, stats->faults);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
	close_all(test);
}

/*
 * A page that is written each time is soon written without a fault, and is all
 * that is looked at.
 */
static void gem_dirty_test_often(struct kunit *test)
{
	struct drm_gem_dirty_stats *stats;
	unsigned long map;
	u64 faults, scanned;
	int i;

	create_bo(test, DRM_GEM_DIRTY_CHUNK_PAGES);
	stats = &tracker(test)->stats;
	map = map_bo(test);
	store_page(test, map, 5);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	close_all(test);
	KUNIT_EXPECT_EQ(test, 0, submit(test));

	faults = stats->faults;
	scanned = stats->ptes_scanned;
	for (i = 0; i < 20; i++) {
		store_page(test, map, 6);
		KUNIT_EXPECT_EQ(test, 1, submit(test));
	}
	KUNIT_EXPECT_EQ(test, faults + 2, stats->faults);
	KUNIT_EXPECT_EQ(test, scanned + 20, stats->ptes_scanned);

	close_all(test);
	store_page(test, map, 6);
	KUNIT_EXPECT_EQ(test, faults + 3, stats->faults);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
}

/* So is a chunk of which another page is written each time. */
static void gem_dirty_test_often_another(struct kunit *test)
{
	unsigned long map;
	int i;

	create_bo(test, DRM_GEM_DIRTY_CHUNK_PAGES);
	map = map_bo(test);
	for (i = 0; i < 20; i++) {
		store_page(test, map, i * 3);
		KUNIT_EXPECT_EQ(test, 1, submit(test));
	}
	KUNIT_EXPECT_EQ(test, 4, tracker(test)->stats.faults);
}

/*
 * Where the last chunks had but one page written each, the others are opened for
 * one page as well, until some have more.
 */
static void gem_dirty_test_habit(struct kunit *test)
{
	const unsigned long nr = 12, page_of_chunk = 7;
	struct drm_gem_dirty_stats *stats;
	unsigned long map, i, page;
	u64 faults, scanned, opened;

	create_bo(test, nr * DRM_GEM_DIRTY_CHUNK_PAGES);
	stats = &tracker(test)->stats;
	map = map_bo(test);
	for (page = 0; page < nr * DRM_GEM_DIRTY_CHUNK_PAGES; page++)
		store_page(test, map, page);
	submit(test);
	close_all(test);

	/* From back to front, which is no stream, beside a chunk that is busy. */
	store_page(test, map, 0);
	store_page(test, map, 1);
	submit(test);
	for (i = nr - 1; i; i--) {
		faults = stats->faults;
		scanned = stats->ptes_scanned;
		store_page(test, map, 0);
		store_page(test, map, 1);
		store_page(test, map, i * DRM_GEM_DIRTY_CHUNK_PAGES + page_of_chunk);
		KUNIT_EXPECT_EQ(test, 3, submit(test));
		KUNIT_EXPECT_EQ(test, 1, tracker(test)->nr_open);
		KUNIT_EXPECT_EQ(test, faults + 1, stats->faults);
		if (i < nr - 2)
			KUNIT_EXPECT_EQ(test, scanned + DRM_GEM_DIRTY_CHUNK_PAGES + 1,
					stats->ptes_scanned);
	}

	/* One page each is no stream. */
	opened = stats->chunks_opened;
	for (i = 2; i < 5; i++)
		store_page(test, map, i * DRM_GEM_DIRTY_CHUNK_PAGES + page_of_chunk);
	KUNIT_EXPECT_EQ(test, opened + 3, stats->chunks_opened);
	KUNIT_EXPECT_EQ(test, 3, submit(test));

	/* Each chunk with more takes a fault more, until that is expected. */
	submit(test);
	faults = stats->faults;
	for (i = nr - 1; i; i--) {
		page = i * DRM_GEM_DIRTY_CHUNK_PAGES;
		store_page(test, map, page + 10);
		store_page(test, map, page + 20);
		store_page(test, map, page + 30);
		KUNIT_EXPECT_EQ(test, 3, submit(test));
	}
	faults = stats->faults - faults;
	KUNIT_EXPECT_EQ(test, 2 * (nr - 1), faults);
	close_all(test);

	faults = stats->faults;
	for (i = nr - 1; i; i--) {
		page = i * DRM_GEM_DIRTY_CHUNK_PAGES;
		store_page(test, map, page + 10);
		store_page(test, map, page + 20);
		KUNIT_EXPECT_EQ(test, 2, submit(test));
	}
	KUNIT_EXPECT_EQ(test, faults + nr - 1, stats->faults);
}

/* Pages here and there are one flush, also if they are far apart. */
static void gem_dirty_test_apart(struct kunit *test)
{
	const unsigned long chunk = DRM_GEM_DIRTY_CHUNK_PAGES;
	struct drm_gem_dirty_stats *stats;
	u64 flushes, scanned;
	unsigned long map, i;

	create_bo(test, 140 * chunk);
	stats = &tracker(test)->stats;
	map = map_bo(test);
	store_page(test, map, 0);
	store_page(test, map, 20 * chunk);
	KUNIT_EXPECT_EQ(test, 2, submit(test));

	flushes = stats->tlb_flushes;
	scanned = stats->ptes_scanned;
	for (i = 2; i < 20; i += 3)
		store_page(test, map, i * chunk + i);
	KUNIT_EXPECT_EQ(test, 6, submit(test));
	KUNIT_EXPECT_EQ(test, flushes + 1, stats->tlb_flushes);
	KUNIT_EXPECT_EQ(test, scanned + 6, stats->ptes_scanned);

	/* A chunk that is open as a whole beside such, before and behind it */
	for (i = 21; i < 30; i += 2)
		store_page(test, map, i * chunk + i);
	store_page(test, map, 25 * chunk);
	store_page(test, map, 25 * chunk + 63);
	KUNIT_EXPECT_EQ(test, 7, submit(test));
	KUNIT_EXPECT_EQ(test, flushes + 2, stats->tlb_flushes);
	KUNIT_EXPECT_EQ(test, scanned + 6 + 4 + chunk, stats->ptes_scanned);
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->nr_open);
	close_all(test);

	flushes = stats->tlb_flushes;
	store_page(test, map, 1 * chunk);
	store_page(test, map, 139 * chunk);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
	KUNIT_EXPECT_EQ(test, flushes + 1, stats->tlb_flushes);
}

/* A load maps read-only what is beside the page that is open alone. */
static void gem_dirty_test_sparse_load(struct kunit *test)
{
	struct drm_gem_dirty *dirty;
	unsigned long map;

	create_bo(test, DRM_GEM_DIRTY_CHUNK_PAGES);
	dirty = tracker(test);
	map = map_bo(test);
	store_page(test, map, 5);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	close_all(test);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map, dirty->obj->size));

	map = map_bo(test);
	store_page(test, map, 7);
	expect_page(test, map, 5);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	KUNIT_EXPECT_EQ(test, 0, dirty->nr_open);

	/* Were it writable this would not be seen. */
	store_page(test, map, 5);
	store_page(test, map, 6);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
}

/*
 * Stores to entries that are present and read-only when their chunk is opened:
 * those of the other VMA fault on their own, and all are seen.
 */
static void gem_dirty_test_two_vmas(struct kunit *test)
{
	unsigned long map, other, page;

	create_bo(test, DRM_GEM_DIRTY_CHUNK_PAGES);
	map = map_bo(test);
	other = map_bo(test);

	for (page = 0; page < DRM_GEM_DIRTY_CHUNK_PAGES; page++)
		store_page(test, page & 1 ? map : other, page);
	KUNIT_EXPECT_EQ(test, DRM_GEM_DIRTY_CHUNK_PAGES, submit(test));

	close_all(test);
	for (page = 0; page < DRM_GEM_DIRTY_CHUNK_PAGES; page++)
		store_page(test, page & 1 ? other : map, page);
	KUNIT_EXPECT_EQ(test, DRM_GEM_DIRTY_CHUNK_PAGES, submit(test));
	KUNIT_EXPECT_EQ(test, 4, tracker(test)->stats.faults);
}

/* A VMA that can't be written does not hide the one behind it. */
static void gem_dirty_test_readonly_first(struct kunit *test)
{
	struct dirty_fixture *fixture = test->priv;
	unsigned long map;

	create_bo(test, DRM_GEM_DIRTY_CHUNK_PAGES);

	/* Without write access to the file a mapping lacks VM_MAYWRITE. */
	fixture->file->f_mode &= ~FMODE_WRITE;
	map = map_bo_prot(test, PROT_READ);
	fixture->file->f_mode |= FMODE_WRITE;
	expect_page(test, map, 0);

	map = map_bo(test);
	store_page(test, map, 3);
	store_page(test, map, 4);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
	store_page(test, map, 3);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	KUNIT_EXPECT_EQ(test, 1, tracker(test)->stats.faults);
}

/* What was stored through a mapping that is gone. */
static void gem_dirty_test_munmap(struct kunit *test)
{
	unsigned long map;

	create_bo(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	map = map_bo(test);

	/* The second one leaves nothing but a dirty bit. */
	store_page(test, map, 9);
	store_page(test, map, 10);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map, tracker(test)->obj->size));
	/* Which pages it was is not known, only which chunk. */
	KUNIT_EXPECT_EQ(test, DRM_GEM_DIRTY_CHUNK_PAGES, submit(test));
	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

/* The same for a mapping that another one was put on top of. */
static void gem_dirty_test_map_fixed(struct kunit *test)
{
	unsigned long map;

	create_bo(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	map = map_bo(test);

	store_page(test, map, 9);
	store_page(test, map, 10);
	store_page(test, map, 11);
	KUNIT_ASSERT_EQ(test, map + 10 * PAGE_SIZE,
			vm_mmap(NULL, map + 10 * PAGE_SIZE, PAGE_SIZE,
				PROT_READ | PROT_WRITE,
				MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, 0));
	KUNIT_EXPECT_EQ(test, DRM_GEM_DIRTY_CHUNK_PAGES, submit(test));
	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

/*
 * While a VMA is on its way out, as counted but not to be found, what is open is
 * dirty at each submission, and stays open. When it is gone it is dirty once more.
 */
static void gem_dirty_test_leaving(struct kunit *test)
{
	struct drm_gem_dirty *dirty;
	struct vm_area_struct *vma;
	unsigned long map;
	int i;

	create_bo(test, 3 * DRM_GEM_DIRTY_CHUNK_PAGES);
	dirty = tracker(test);
	map = map_bo(test);
	store_page(test, map, 5);
	store_page(test, map, 6);
	store_page(test, map, 2 * DRM_GEM_DIRTY_CHUNK_PAGES + 1);
	store_page(test, map, 2 * DRM_GEM_DIRTY_CHUNK_PAGES + 2);
	KUNIT_EXPECT_EQ(test, 4, submit(test));
	KUNIT_EXPECT_EQ(test, 0, dirty->stats.passes_unsure);

	drm_gem_dirty_vmas_open(dirty->vmas);
	for (i = 0; i < MANY_PASSES; i++)
		KUNIT_EXPECT_EQ(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES,
				submit(test));
	KUNIT_EXPECT_EQ(test, 2, dirty->nr_open);
	KUNIT_EXPECT_EQ(test, MANY_PASSES, dirty->stats.passes_unsure);

	/* A closed chunk has nothing to lose, whatever is mapped or unmapped. */
	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, map);
	drm_gem_dirty_vmas_close(dirty->vmas, dirty->obj, vma);
	mmap_read_unlock(current->mm);
	KUNIT_EXPECT_EQ(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES, submit(test));
	KUNIT_EXPECT_EQ(test, 0, submit(test));
	close_all(test);
	drm_gem_dirty_vmas_open(dirty->vmas);
	KUNIT_EXPECT_EQ(test, 0, submit(test));

	/* What the device is to write is closed all the same. */
	store_page(test, map, 7);
	dma_resv_lock(dirty->obj->resv, NULL);
	drm_gem_dirty_close(dirty);
	dma_resv_unlock(dirty->obj->resv);
	KUNIT_EXPECT_EQ(test, 0, dirty->nr_open);
	KUNIT_EXPECT_EQ(test, DRM_GEM_DIRTY_CHUNK_PAGES, submit(test));

	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, map);
	drm_gem_dirty_vmas_close(dirty->vmas, dirty->obj, vma);
	mmap_read_unlock(current->mm);
	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

/* What is left of a split VMA maps the pages that belong there. */
static void gem_dirty_test_split(struct kunit *test)
{
	unsigned long map;

	create_bo(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	map = map_bo(test);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map + 1 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map + 68 * PAGE_SIZE, PAGE_SIZE));
	store_page(test, map, 0);
	store_page(test, map, 3);
	store_page(test, map, 67);
	store_page(test, map, 69);
	KUNIT_EXPECT_EQ(test, 4, submit(test));
}

/* A writer that goes from front to back faults less and less. */
static void gem_dirty_test_stream(struct kunit *test)
{
	const unsigned long nr_pages = 64 * DRM_GEM_DIRTY_CHUNK_PAGES;
	unsigned long map, page;

	create_bo(test, nr_pages);
	map = map_bo(test);

	for (page = 0; page < nr_pages; page++)
		store_page(test, map, page);

	/* 64 chunks, opened by 1, 2, 4, 8, 16, 16, 16, and the last one. */
	KUNIT_EXPECT_EQ(test, 8, tracker(test)->stats.faults);
	KUNIT_EXPECT_EQ(test, 64, tracker(test)->stats.chunks_opened);
	KUNIT_EXPECT_EQ(test, nr_pages, submit(test));
	KUNIT_EXPECT_EQ(test, 1, test_bo(test)->ranges);
}

/* Each of several consumers gets everything, whenever it asks. */
static void gem_dirty_test_consumers(struct kunit *test)
{
	struct drm_gem_dirty_consumer other;
	struct dma_resv *resv;
	unsigned long map;
	pgoff_t first, nr;

	create_bo(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	resv = tracker(test)->obj->resv;
	map = map_bo(test);
	dma_resv_lock(resv, NULL);
	KUNIT_ASSERT_EQ(test, 0,
			drm_gem_dirty_consumer_init(&other, tracker(test), 0,
						    tracker(test)->nr_pages,
						    NULL));
	dma_resv_unlock(resv);

	store_page(test, map, 5);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	store_page(test, map, 6);
	store_page(test, map, 127);
	KUNIT_EXPECT_EQ(test, 2, submit(test));

	dma_resv_lock(resv, NULL);
	KUNIT_EXPECT_TRUE(test, drm_gem_dirty_next(&other, &first, &nr));
	KUNIT_EXPECT_EQ(test, 5, first);
	KUNIT_EXPECT_EQ(test, 2, nr);
	KUNIT_EXPECT_TRUE(test, drm_gem_dirty_next(&other, &first, &nr));
	KUNIT_EXPECT_EQ(test, 127, first);
	KUNIT_EXPECT_EQ(test, 1, nr);
	KUNIT_EXPECT_FALSE(test, drm_gem_dirty_next(&other, &first, &nr));

	/* A range that could not be dealt with comes again, for both. */
	drm_gem_dirty_mark(tracker(test), 127, 1);
	KUNIT_EXPECT_TRUE(test, drm_gem_dirty_next(&other, &first, &nr));
	KUNIT_EXPECT_EQ(test, 127, first);
	dma_resv_unlock(resv);
	KUNIT_EXPECT_EQ(test, 1, submit(test));

	dma_resv_lock(resv, NULL);
	drm_gem_dirty_consumer_fini(&other);
	dma_resv_unlock(resv);
}

/* A consumer of a part gets that part, at any bit of a word, and no more. */
static void gem_dirty_test_consumer_part(struct kunit *test)
{
	static const struct {
		pgoff_t first, nr;
	} parts[] = { { 0, 1 }, { 63, 2 }, { 65, 1 }, { 70, 100 }, { 191, 1 } };
	const unsigned long nr_pages = 3 * DRM_GEM_DIRTY_CHUNK_PAGES;
	struct drm_gem_dirty_consumer other;
	struct dma_resv *resv;
	unsigned long map, page;
	pgoff_t first, nr;
	int i;

	create_bo(test, nr_pages);
	resv = tracker(test)->obj->resv;
	map = map_bo(test);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		dma_resv_lock(resv, NULL);
		KUNIT_ASSERT_EQ(test, 0,
				drm_gem_dirty_consumer_init(&other, tracker(test),
							    parts[i].first,
							    parts[i].nr, NULL));
		KUNIT_EXPECT_FALSE(test, drm_gem_dirty_next(&other, &first, &nr));
		dma_resv_unlock(resv);

		for (page = 0; page < nr_pages; page++)
			store_page(test, map, page);
		KUNIT_EXPECT_EQ(test, nr_pages, submit(test));

		dma_resv_lock(resv, NULL);
		KUNIT_EXPECT_TRUE(test, drm_gem_dirty_next(&other, &first, &nr));
		KUNIT_EXPECT_EQ(test, parts[i].first, first);
		KUNIT_EXPECT_EQ(test, parts[i].nr, nr);
		KUNIT_EXPECT_FALSE(test, drm_gem_dirty_next(&other, &first, &nr));
		drm_gem_dirty_refill(&other);
		KUNIT_EXPECT_TRUE(test, drm_gem_dirty_next(&other, &first, &nr));
		KUNIT_EXPECT_EQ(test, parts[i].first, first);
		KUNIT_EXPECT_EQ(test, parts[i].nr, nr);
		drm_gem_dirty_consumer_fini(&other);
		dma_resv_unlock(resv);
	}
}

/* A size that is no multiple of a chunk: nothing behind the end. */
static void gem_dirty_test_odd_size(struct kunit *test)
{
	const unsigned long nr_pages = DRM_GEM_DIRTY_CHUNK_PAGES + 1;
	unsigned long map;

	create_bo(test, nr_pages);
	map = map_bo(test);

	store_page(test, map, nr_pages - 1);
	store_page(test, map, nr_pages - 2);
	KUNIT_EXPECT_EQ(test, 2, submit(test));
	close_all(test);
	store_page(test, map, nr_pages - 1);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
}

static void vmap_bo(struct kunit *test, struct iosys_map *vmap)
{
	struct drm_gem_object *obj = tracker(test)->obj;
	int ret;

	dma_resv_lock(obj->resv, NULL);
	ret = obj->funcs->vmap(obj, vmap);
	dma_resv_unlock(obj->resv);
	KUNIT_ASSERT_EQ(test, 0, ret);
}

static void vunmap_bo(struct kunit *test, struct iosys_map *vmap)
{
	struct drm_gem_object *obj = tracker(test)->obj;

	dma_resv_lock(obj->resv, NULL);
	obj->funcs->vunmap(obj, vmap);
	dma_resv_unlock(obj->resv);
}

static void kernel_store(struct kunit *test, struct iosys_map *vmap,
			 unsigned long page, unsigned int word)
{
	u32 value = new_value(test, page, word);

	iosys_map_wr(vmap, page * PAGE_SIZE + word * sizeof(u32), u32, value);
}

/* What the kernel stores through its own mapping, while it lasts and after. */
static void gem_dirty_test_vmap(struct kunit *test)
{
	const unsigned long nr_pages = 2 * DRM_GEM_DIRTY_CHUNK_PAGES;
	struct iosys_map vmap;

	create_bo(test, nr_pages);
	vmap_bo(test, &vmap);
	kernel_store(test, &vmap, 7, 0);
	KUNIT_EXPECT_EQ(test, nr_pages, submit(test));

	kernel_store(test, &vmap, 8, 0);
	vunmap_bo(test, &vmap);
	KUNIT_EXPECT_EQ(test, nr_pages, submit(test));
	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

/* Many rounds of stores to pages drawn from a seed, mapped twice. */
static void gem_dirty_test_random(struct kunit *test)
{
	const unsigned long nr_pages = 9 * DRM_GEM_DIRTY_CHUNK_PAGES + 5;
	unsigned long map[2];
	u32 seed = get_random_u32();
	u64 state = seed;
	int round, i;

	kunit_info(test, "seed %u", seed);
	create_bo(test, nr_pages);
	map[0] = map_bo(test);
	map[1] = map_bo(test);

	for (round = 0; round < 200; round++) {
		unsigned int stores;

		/* Now and then nothing, for long enough to close chunks. */
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		stores = (state >> 60) < 8 ? 0 : (u32)(state >> 40) % 40;
		for (i = 0; i < stores; i++) {
			state = state * 6364136223846793005ULL +
				1442695040888963407ULL;
			store_page(test, map[state >> 63],
				   (u32)(state >> 33) % nr_pages);
		}
		KUNIT_ASSERT_LE(test, submit(test), stores);
	}
}

/* The device's copy, for the CPU. */
static int test_bo_read_back(struct drm_gem_dirty_consumer *device_copy,
			     pgoff_t first, pgoff_t nr)
{
	struct coherent_bo *bo =
		container_of(device_copy, struct coherent_bo, device_copy);
	pgoff_t dirty, nr_dirty;

	if (bo->fail)
		return bo->fail;

	while (drm_gem_dirty_next(&bo->device_copy, &dirty, &nr_dirty))
		coherent_bo_upload(bo, dirty, nr_dirty);

	for (; nr; nr--, first++)
		memcpy_to_page(bo->base.pages[first], 0,
			       bo->copy + first * PAGE_SIZE, PAGE_SIZE);

	return 0;
}

/* A buffer that the device can write, too. */
static void create_written_bo(struct kunit *test, unsigned long nr_pages)
{
	struct drm_gem_dirty_consumer *device_copy;

	create_bo(test, nr_pages);
	device_copy = &test_bo(test)->device_copy;
	dma_resv_lock(tracker(test)->obj->resv, NULL);
	drm_gem_dirty_consumer_fini(device_copy);
	KUNIT_ASSERT_EQ(test, 0,
			drm_gem_dirty_consumer_init(device_copy, tracker(test),
						    0, nr_pages,
						    test_bo_read_back));
	dma_resv_unlock(tracker(test)->obj->resv);
}

/* Ahead of a submission by which the device writes some pages. */
static bool before_write(struct coherent_bo *bo, pgoff_t page, pgoff_t nr_pages)
{
	pgoff_t first, nr;
	bool ret;

	ret = drm_gem_dirty_prepare(&bo->device_copy, page, nr_pages);
	while (drm_gem_dirty_next(&bo->device_copy, &first, &nr))
		coherent_bo_upload(bo, first, nr);

	return ret;
}

/* A submission by which the device writes into a page. */
static void device_store(struct kunit *test, unsigned long page)
{
	struct coherent_bo *bo = test_bo(test);

	dma_resv_lock(bo->base.base.resv, NULL);
	if (before_write(bo, page, 1)) {
		device_writes(test, page);
		memcpy_to_page(bo->base.pages[page], 0,
			       bo->copy + page * PAGE_SIZE, PAGE_SIZE);
	} else {
		device_writes(test, page);
	}
	dma_resv_unlock(bo->base.base.resv);
}

/* What the device wrote is seen, also after an earlier read of the page. */
static void gem_dirty_test_device_store(struct kunit *test)
{
	struct drm_gem_dirty_stats *stats;
	unsigned long map, other;
	int i;

	create_written_bo(test, 3 * DRM_GEM_DIRTY_CHUNK_PAGES);
	stats = &tracker(test)->stats;
	map = map_bo(test);
	other = map_bo(test);

	for (i = 0; i < 5; i++) {
		expect_page(test, map, 70);
		expect_page(test, other, 70);
		device_store(test, 70);
		KUNIT_EXPECT_EQ(test, 1, tracker(test)->nr_pending);
		expect_page(test, map, 70);
		KUNIT_EXPECT_EQ(test, 0, tracker(test)->nr_pending);
		expect_page(test, other, 70);
		KUNIT_EXPECT_EQ(test, 0, submit(test));
	}
	KUNIT_EXPECT_EQ(test, 5, stats->chunks_revoked);
	KUNIT_EXPECT_EQ(test, 5, stats->read_backs);
	KUNIT_EXPECT_EQ(test, 5, stats->pages_read_back);
}

/*
 * What the CPU stores before the device writes, and after, in the same
 * page and beside it, is not lost by reading back.
 */
static void gem_dirty_test_both(struct kunit *test)
{
	unsigned long map, round;

	create_written_bo(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	map = map_bo(test);

	for (round = 0; round < 10; round++) {
		/* Another word of the page that the device is to write. */
		store_word(test, map, 3, 2);
		store_page(test, map, 4);
		device_store(test, 3);
		store_word(test, map, 3, 4);
		store_page(test, map, 5);
		expect_page(test, map, 3);
		expect_page(test, map, 4);
		KUNIT_EXPECT_EQ(test, 2, submit(test));
	}
}

/*
 * A VMA is on its way out when the device is to write a page that is open there:
 * what can have been stored is uploaded first.
 */
static void gem_dirty_test_leaving_written(struct kunit *test)
{
	struct drm_gem_dirty *dirty;
	struct coherent_bo *bo;
	unsigned long map;

	create_written_bo(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	bo = test_bo(test);
	dirty = tracker(test);
	map = map_bo(test);
	store_page(test, map, 5);
	store_page(test, map, 6);
	KUNIT_EXPECT_EQ(test, 2, submit(test));

	drm_gem_dirty_vmas_open(dirty->vmas);
	bo->uploaded = 0;
	device_store(test, 6);
	KUNIT_EXPECT_EQ(test, DRM_GEM_DIRTY_CHUNK_PAGES, bo->uploaded);
	KUNIT_EXPECT_EQ(test, 0, dirty->nr_open);
	expect_page(test, map, 6);
	expect_page(test, map, 5);
}

/* Marking marks, also what the device has written: the memory is newer then. */
static void gem_dirty_test_pending_mark(struct kunit *test)
{
	const unsigned long nr_pages = 3 * DRM_GEM_DIRTY_CHUNK_PAGES;
	struct dirty_fixture *fixture = test->priv;
	struct dma_resv *resv;
	struct iosys_map vmap;
	unsigned long map;
	u32 before;

	create_written_bo(test, nr_pages);
	resv = tracker(test)->obj->resv;
	map = map_bo(test);

	store_page(test, map, 70);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	before = fixture->value;
	device_store(test, 70);
	device_store(test, 71);
	dma_resv_lock(resv, NULL);
	drm_gem_dirty_mark(tracker(test), 70, 1);
	dma_resv_unlock(resv);
	*expected(test, 70, 0) = before;
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	expect_page(test, map, 70);
	expect_page(test, map, 71);

	/* A kernel mapping is up to date when it is made. */
	device_store(test, 71);
	vmap_bo(test, &vmap);
	KUNIT_EXPECT_EQ(test, 0, tracker(test)->nr_pending);
	KUNIT_EXPECT_EQ(test, fixture->value,
			iosys_map_rd(&vmap, 71 * PAGE_SIZE, u32));
	vunmap_bo(test, &vmap);
	KUNIT_EXPECT_EQ(test, nr_pages, submit(test));
}

/*
 * What the kernel stores through its own mapping is not skipped because the
 * device writes too: before its submission, and after it where it has written.
 */
static void vmap_written(struct kunit *test, bool queues)
{
	const unsigned long nr_pages = 3 * DRM_GEM_DIRTY_CHUNK_PAGES;
	struct dirty_fixture *fixture = test->priv;
	struct iosys_map vmap;
	unsigned long map;
	int round;

	create_written_bo(test, nr_pages);
	test_bo(test)->device_copy.queues_read_back = queues;
	map = map_bo(test);
	vmap_bo(test, &vmap);
	for (round = 0; round < 3; round++) {
		kernel_store(test, &vmap, 80, 3);
		store_page(test, map, 81);
		device_store(test, 80);
		submit(test);

		/* The driver has put it there, or the submission has. */
		KUNIT_EXPECT_EQ(test, fixture->value,
				iosys_map_rd(&vmap, 80 * PAGE_SIZE, u32));
		device_store(test, 90);
		if (queues)
			kernel_store(test, &vmap, 90, 4);
		kernel_store(test, &vmap, 91, 5);
		submit(test);
		expect_page(test, map, 80);
		expect_page(test, map, 90);
	}
	device_store(test, 100);
	vunmap_bo(test, &vmap);
	submit(test);
	expect_page(test, map, 100);
}

static void gem_dirty_test_vmap_written(struct kunit *test)
{
	vmap_written(test, false);
}

static void gem_dirty_test_vmap_queued(struct kunit *test)
{
	vmap_written(test, true);
}

/* A submission that writes all of a buffer that is not read has no work. */
static void gem_dirty_test_written_idle(struct kunit *test)
{
	const unsigned long nr_pages = 8 * DRM_GEM_DIRTY_CHUNK_PAGES;
	struct drm_gem_dirty *dirty;
	struct coherent_bo *bo;
	unsigned long map, page;
	int i;

	create_written_bo(test, nr_pages);
	bo = test_bo(test);
	dirty = tracker(test);
	map = map_bo(test);
	for (i = 0; i < 5; i++) {
		dma_resv_lock(dirty->obj->resv, NULL);
		before_write(bo, 0, nr_pages);
		/* No bit of the bitmap is set again. */
		KUNIT_EXPECT_EQ(test, nr_pages,
				bitmap_weight(bo->device_copy.written, nr_pages));
		bitmap_clear(bo->device_copy.written, 0, nr_pages);
		before_write(bo, 0, nr_pages);
		KUNIT_EXPECT_TRUE(test, bitmap_empty(bo->device_copy.written,
						     nr_pages));
		bitmap_set(bo->device_copy.written, 0, nr_pages);
		for (page = 0; page < nr_pages; page++)
			device_writes(test, page);
		dma_resv_unlock(dirty->obj->resv);
		KUNIT_EXPECT_EQ(test, dirty->nr_chunks, dirty->nr_pending);

		/* What is accessed is up to date, and is all that is taken again. */
		expect_page(test, map, 70 + i);
		expect_page(test, map, 7 * DRM_GEM_DIRTY_CHUNK_PAGES + 1);
		KUNIT_EXPECT_EQ(test, dirty->nr_chunks - 2, dirty->nr_pending);
	}
	KUNIT_EXPECT_EQ(test, dirty->nr_chunks + 2 * 4,
			dirty->stats.chunks_revoked);
	for (page = 0; page < nr_pages; page++)
		expect_page(test, map, page);
}

/* Nothing is revoked twice, and a reader in order faults less and less. */
static void gem_dirty_test_read_stream(struct kunit *test)
{
	const unsigned long nr_pages = 64 * DRM_GEM_DIRTY_CHUNK_PAGES - 3;
	struct drm_gem_dirty_stats *stats;
	unsigned long map, page;
	int i;

	create_written_bo(test, nr_pages);
	stats = &tracker(test)->stats;
	map = map_bo(test);

	dma_resv_lock(tracker(test)->obj->resv, NULL);
	for (i = 0; i < 3; i++)
		before_write(test_bo(test), 0, nr_pages);
	for (page = 0; page < nr_pages; page++)
		device_writes(test, page);
	dma_resv_unlock(tracker(test)->obj->resv);
	KUNIT_EXPECT_EQ(test, 64, stats->chunks_revoked);
	KUNIT_EXPECT_EQ(test, 0, stats->notifier_ranges);

	for (page = 0; page < nr_pages; page++)
		expect_page(test, map, page);
	/* 1, 2, 4, 8, 16, 16, 16, and the last one. */
	KUNIT_EXPECT_EQ(test, 8, stats->read_backs);
	KUNIT_EXPECT_EQ(test, nr_pages, stats->pages_read_back);
	KUNIT_EXPECT_EQ(test, 0, submit(test));
}

static void written(struct work_struct *work)
{
	struct slow_write *w = to_slow_write(work);

	device_writes(w->test, w->page);
	dma_fence_signal(&w->fence);
}

/* The device is at work in @page until the work item has been run. */
static struct slow_write *device_store_begin(struct kunit *test,
					     unsigned long page)
{
	struct coherent_bo *bo = test_bo(test);
	struct slow_write *w;

	dma_resv_lock(bo->base.base.resv, NULL);
	before_write(bo, page, 1);
	w = slow_write_begin(test, page, written);
	dma_resv_unlock(bo->base.base.resv);

	return w;
}

/* An access waits until the device has written, and a store does as well. */
static void gem_dirty_test_wait(struct kunit *test)
{
	struct slow_write *w;
	unsigned long map;

	create_written_bo(test, DRM_GEM_DIRTY_CHUNK_PAGES);
	map = map_bo(test);

	store_page(test, map, 3);
	w = device_store_begin(test, 3);
	schedule_delayed_work(&w->work, HZ / 5);
	expect_page(test, map, 3);
	KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(&w->fence));
	slow_write_end(w);
	KUNIT_EXPECT_EQ(test, 0, submit(test));

	w = device_store_begin(test, 4);
	schedule_delayed_work(&w->work, HZ / 5);
	store_word(test, map, 4, 2);
	KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(&w->fence));
	slow_write_end(w);
	KUNIT_EXPECT_EQ(test, 1, submit(test));
	expect_page(test, map, 4);
}

/* No data, no access: and when the device is back, nothing has been lost. */
static void gem_dirty_test_read_back_fails(struct kunit *test)
{
	struct coherent_bo *bo;
	struct slow_write *w;
	unsigned long map;
	u32 __maybe_unused value;

	create_written_bo(test, 2 * DRM_GEM_DIRTY_CHUNK_PAGES);
	bo = test_bo(test);
	map = map_bo(test);

	store_page(test, map, 1);
	device_store(test, 0);
	bo->fail = -EIO;
	KUNIT_EXPECT_EQ(test, -EFAULT, get_user(value, (u32 __user *)map));
	KUNIT_EXPECT_EQ(test, -EFAULT, put_user(0, (u32 __user *)map));
	expect_page(test, map, DRM_GEM_DIRTY_CHUNK_PAGES);
	bo->fail = 0;
	expect_page(test, map, 0);
	expect_page(test, map, 1);

	/* A device that is gone never signals. */
	w = device_store_begin(test, 0);
	bo->base.base.dev->unplugged = true;
	KUNIT_EXPECT_EQ(test, -EFAULT, get_user(value, (u32 __user *)map));
	bo->base.base.dev->unplugged = false;
	schedule_delayed_work(&w->work, 0);
	slow_write_end(w);
	expect_page(test, map, 0);
}

/*
 * Many rounds of stores by both, at pages drawn from a seed, mapped twice: each
 * sees what the other has written last.
 */
static void gem_dirty_test_ping_pong(struct kunit *test)
{
	const unsigned long nr_pages = 5 * DRM_GEM_DIRTY_CHUNK_PAGES + 5;
	unsigned long map[2];
	u32 seed = get_random_u32();
	u64 state = seed;
	int round, i;

	kunit_info(test, "seed %u", seed);
	create_written_bo(test, nr_pages);
	map[0] = map_bo(test);
	map[1] = map_bo(test);

	for (round = 0; round < 1000; round++) {
		for (i = 0; i < 4; i++) {
			unsigned long page;

			state = state * 6364136223846793005ULL +
				1442695040888963407ULL;
			page = (u32)(state >> 33) % nr_pages;
			if (i & 1)
				device_store(test, page);
			else
				store_page(test, map[state >> 63], page);
			expect_page(test, map[state >> 62 & 1], page);
		}
		if (round % 8 == 0)
			submit(test);
	}
	submit(test);
	for (i = 0; i < nr_pages; i++)
		expect_page(test, map[i & 1], i);
}

static struct kunit_case gem_dirty_tests[] = {
	KUNIT_CASE(gem_dirty_test_idle),
	KUNIT_CASE(gem_dirty_test_store),
	KUNIT_CASE(gem_dirty_test_chunk),
	KUNIT_CASE(gem_dirty_test_close),
	KUNIT_CASE(gem_dirty_test_sparse),
	KUNIT_CASE(gem_dirty_test_often),
	KUNIT_CASE(gem_dirty_test_often_another),
	KUNIT_CASE(gem_dirty_test_habit),
	KUNIT_CASE(gem_dirty_test_apart),
	KUNIT_CASE(gem_dirty_test_sparse_load),
	KUNIT_CASE(gem_dirty_test_two_vmas),
	KUNIT_CASE(gem_dirty_test_readonly_first),
	KUNIT_CASE(gem_dirty_test_munmap),
	KUNIT_CASE(gem_dirty_test_map_fixed),
	KUNIT_CASE(gem_dirty_test_leaving),
	KUNIT_CASE(gem_dirty_test_split),
	KUNIT_CASE(gem_dirty_test_stream),
	KUNIT_CASE(gem_dirty_test_consumers),
	KUNIT_CASE(gem_dirty_test_consumer_part),
	KUNIT_CASE(gem_dirty_test_odd_size),
	KUNIT_CASE(gem_dirty_test_vmap),
	KUNIT_CASE_SLOW(gem_dirty_test_random),
	KUNIT_CASE(gem_dirty_test_device_store),
	KUNIT_CASE(gem_dirty_test_both),
	KUNIT_CASE(gem_dirty_test_leaving_written),
	KUNIT_CASE(gem_dirty_test_pending_mark),
	KUNIT_CASE(gem_dirty_test_vmap_written),
	KUNIT_CASE(gem_dirty_test_vmap_queued),
	KUNIT_CASE(gem_dirty_test_written_idle),
	KUNIT_CASE(gem_dirty_test_read_stream),
	KUNIT_CASE(gem_dirty_test_wait),
	KUNIT_CASE_SLOW(gem_dirty_test_read_back_fails),
	KUNIT_CASE_SLOW(gem_dirty_test_ping_pong),
	{ }
};

static struct kunit_suite gem_dirty_suite = {
	.name = "gem_dirty",
	.init = gem_dirty_test_init,
	.test_cases = gem_dirty_tests,
};

kunit_test_suite(gem_dirty_suite);

MODULE_DESCRIPTION("KUnit tests of DRM GEM dirty page tracking");
MODULE_LICENSE("Dual MIT/GPL");
