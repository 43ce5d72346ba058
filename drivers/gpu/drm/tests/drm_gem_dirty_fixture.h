/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the tests of the tracking of CPU writes share, whatever the buffer is.
 *
 * A buffer is mapped into the address space of the test's thread and stored to
 * with put_user(), so that the CPU faults and sets dirty bits as for a user
 * program. Each store is noted. The test compares them with a device copy that
 * is kept up to date by nothing but the tracker's reports.
 */
#ifndef _DRM_GEM_DIRTY_FIXTURE_H_
#define _DRM_GEM_DIRTY_FIXTURE_H_

#include <linux/anon_inodes.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <kunit/test.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_vma_manager.h>

/* test->priv */
struct dirty_fixture {
	struct drm_device *drm;
	struct drm_gem_object *obj;
	/* What is mapped. It holds object and device. */
	struct file *file;
	/* The device copy, which the object has. */
	void *copy;
	/* What CPU and device have stored, to compare the copy with. */
	u32 *expect;
	/* The last value that was stored */
	u32 value;
};

static inline void fixture_init(struct kunit *test, struct drm_device *drm)
{
	struct dirty_fixture *fixture;

	fixture = kunit_kzalloc(test, sizeof(*fixture), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fixture);
	fixture->drm = drm;
	test->priv = fixture;
}

static int fixture_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct drm_gem_object *obj = file->private_data;

	return drm_gem_mmap_obj(obj, obj->size, vma);
}

static int fixture_file_release(struct inode *inode, struct file *file)
{
	struct drm_gem_object *obj = file->private_data;
	struct drm_device *drm = obj->dev;

	drm_gem_object_put(obj);
	drm_dev_put(drm);

	return 0;
}

/*
 * A test's mappings go when its thread exits, and KUnit does not wait for that
 * before it cleans up. So the file, which they hold, holds object and device.
 */
static const struct file_operations fixture_fops = {
	.mmap = fixture_file_mmap,
	.release = fixture_file_release,
};

KUNIT_DEFINE_ACTION_WRAPPER(fixture_put_object, drm_gem_object_put,
			    struct drm_gem_object *);
KUNIT_DEFINE_ACTION_WRAPPER(fixture_put_file, fput, struct file *);
KUNIT_DEFINE_ACTION_WRAPPER(fixture_free, vfree, const void *);

/* @obj, with @copy all zero, becomes the buffer that the test is about. */
static inline void fixture_set(struct kunit *test, struct drm_gem_object *obj,
			       void *copy)
{
	struct dirty_fixture *fixture = test->priv;

	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fixture_put_object,
						  obj));
	fixture->obj = obj;
	fixture->copy = copy;

	fixture->expect = vzalloc(obj->size);
	KUNIT_ASSERT_NOT_NULL(test, fixture->expect);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fixture_free,
							   fixture->expect));

	fixture->file = anon_inode_getfile("[gem_dirty_test]", &fixture_fops,
					   obj, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fixture->file);
	drm_gem_object_get(obj);
	drm_dev_get(obj->dev);
	fixture->file->f_mapping = obj->dev->anon_inode->i_mapping;
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fixture_put_file,
						  fixture->file));
}

static inline unsigned long map_bo_prot(struct kunit *test, unsigned long prot)
{
	struct dirty_fixture *fixture = test->priv;
	struct drm_gem_object *obj = fixture->obj;
	unsigned long addr;

	addr = kunit_vm_mmap(test, fixture->file, 0, obj->size, prot,
			     MAP_SHARED,
			     drm_vma_node_offset_addr(&obj->vma_node));
	KUNIT_ASSERT_NE(test, 0, addr);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));

	return addr;
}

static inline unsigned long map_bo(struct kunit *test)
{
	return map_bo_prot(test, PROT_READ | PROT_WRITE);
}

/* Where the value is that a word of a page must have. */
static inline u32 *expected(struct kunit *test, unsigned long page,
			    unsigned int word)
{
	struct dirty_fixture *fixture = test->priv;

	return fixture->expect + page * (PAGE_SIZE / sizeof(u32)) + word;
}

/* A value that was never stored before, and is now to be stored there. */
static inline u32 new_value(struct kunit *test, unsigned long page,
			    unsigned int word)
{
	struct dirty_fixture *fixture = test->priv;

	fixture->value++;
	*expected(test, page, word) = fixture->value;

	return fixture->value;
}

static inline void store_word(struct kunit *test, unsigned long map,
			      unsigned long page, unsigned int word)
{
	u32 __user *p = (u32 __user *)(map + page * PAGE_SIZE) + word;
	u32 value = new_value(test, page, word);

	KUNIT_ASSERT_EQ(test, 0, put_user(value, p));
}

static inline void store_page(struct kunit *test, unsigned long map,
			      unsigned long page)
{
	store_word(test, map, page, 0);
}

static inline void expect_page(struct kunit *test, unsigned long map,
			       unsigned long page)
{
	u32 value;

	/* First: the device may be about to write. */
	KUNIT_ASSERT_EQ(test, 0, get_user(value, (u32 __user *)
					  (map + page * PAGE_SIZE)));
	KUNIT_EXPECT_EQ(test, *expected(test, page, 0), value);
}

/* To its copy */
static inline void device_writes(struct kunit *test, unsigned long page)
{
	struct dirty_fixture *fixture = test->priv;
	u32 *p = fixture->copy + page * PAGE_SIZE;

	WRITE_ONCE(*p, new_value(test, page, 0));
}

static inline void expect_copy(struct kunit *test)
{
	struct dirty_fixture *fixture = test->priv;

	KUNIT_EXPECT_EQ_MSG(test, 0, memcmp(fixture->copy, fixture->expect,
					    fixture->obj->size),
			    "the device misses a store");
}

/* A write of the device's that takes its time */
struct slow_write {
	struct dma_fence fence;
	/* That of the fence. */
	spinlock_t lock;
	struct delayed_work work;
	struct kunit *test;
	unsigned long page;
};

static inline struct slow_write *to_slow_write(struct work_struct *work)
{
	return container_of(work, struct slow_write, work.work);
}

static const char *slow_write_name(struct dma_fence *fence)
{
	return "gem_dirty_test";
}

static const struct dma_fence_ops slow_write_ops = {
	.get_driver_name = slow_write_name,
	.get_timeline_name = slow_write_name,
};

/*
 * The device is at work in @page, which a submission lets it write, until @work
 * has been run, which the caller schedules. Called with the dma_resv held.
 */
static inline struct slow_write *slow_write_begin(struct kunit *test,
						  unsigned long page,
						  work_func_t work)
{
	struct dirty_fixture *fixture = test->priv;
	struct dma_resv *resv = fixture->obj->resv;
	struct slow_write *w = kzalloc_obj(*w, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	spin_lock_init(&w->lock);
	INIT_DELAYED_WORK(&w->work, work);
	w->test = test;
	w->page = page;
	/* The last reference frees it. */
	dma_fence_init(&w->fence, &slow_write_ops, &w->lock,
		       dma_fence_context_alloc(1), 1);

	KUNIT_EXPECT_EQ(test, 0, dma_resv_reserve_fences(resv, 1));
	dma_resv_add_fence(resv, &w->fence, DMA_RESV_USAGE_WRITE);

	return w;
}

/* Also if it has not been run yet */
static inline void slow_write_end(struct slow_write *w)
{
	flush_delayed_work(&w->work);
	dma_fence_put(&w->fence);
}

#endif
