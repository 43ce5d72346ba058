/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef __DRM_GEM_DIRTY_H__
#define __DRM_GEM_DIRTY_H__

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct drm_device;
struct drm_gem_dirty;
struct drm_gem_dirty_stats;

/* The unit in which a buffer is open or closed to CPU stores, in pages. */
#define DRM_GEM_DIRTY_CHUNK_PAGES	64

/**
 * struct drm_gem_dirty_device - All tracked buffers of a device
 *
 * Embedded in the driver's device structure and initialized by
 * drmm_gem_dirty_device_init().
 */
struct drm_gem_dirty_device {
	/** @lock: Protects all other members */
	struct mutex lock;
	/** @buffers: List of all trackers */
	struct list_head buffers;
	/** @buffers_tracked: Buffers that have been tracked so far */
	u64 buffers_tracked;
	/** @gone: Counters of the buffers that are not tracked any more */
	struct drm_gem_dirty_stats *gone;
};

/**
 * struct drm_gem_dirty_consumer - A device copy that gets every dirty page
 *
 * A copy of all of a buffer, or of a part. Its members are private to the tracker,
 * except @queues_read_back, and protected by the object's dma_resv.
 */
struct drm_gem_dirty_consumer {
	/** @dirty: The tracker */
	struct drm_gem_dirty *dirty;
	/** @link: In the tracker's list */
	struct list_head link;
	/** @page: First page of the buffer that the copy has */
	pgoff_t page;
	/** @nr_pages: Number of pages that it has */
	pgoff_t nr_pages;
	/** @base: Page of bit 0 in @pages and @written: @page, word aligned */
	pgoff_t base;
	/** @pages: Pages that are dirty for this consumer */
	unsigned long *pages;
	/** @first: No page before this one is dirty */
	pgoff_t first;
	/** @end: Neither is this one or one after it */
	pgoff_t end;
	/** @read_back: See drm_gem_dirty_consumer_init() */
	int (*read_back)(struct drm_gem_dirty_consumer *consumer, pgoff_t first,
			 pgoff_t nr);
	/**
	 * @queues_read_back: The driver heeds what drm_gem_dirty_prepare()
	 * returns. For the driver to set, once.
	 */
	bool queues_read_back;
	/**
	 * @written: With @read_back: pages of this copy that the device may
	 * have written since they were last read back
	 */
	unsigned long *written;
	/**
	 * @whole: Value of the tracker's count of revocations for which all
	 * pages that the CPU can't access are @written
	 */
	u64 whole;
};

int drmm_gem_dirty_device_init(struct drm_device *dev,
			       struct drm_gem_dirty_device *ddev);

int drm_gem_dirty_consumer_init(struct drm_gem_dirty_consumer *consumer,
				struct drm_gem_dirty *dirty, pgoff_t first,
				pgoff_t nr,
				int (*read_back)(struct drm_gem_dirty_consumer *consumer,
						 pgoff_t first, pgoff_t nr));
void drm_gem_dirty_consumer_fini(struct drm_gem_dirty_consumer *consumer);

bool drm_gem_dirty_prepare(struct drm_gem_dirty_consumer *consumer,
			   pgoff_t first, pgoff_t nr);
bool drm_gem_dirty_next(struct drm_gem_dirty_consumer *consumer,
			pgoff_t *first, pgoff_t *nr);
void drm_gem_dirty_mark(struct drm_gem_dirty *dirty, pgoff_t first, pgoff_t nr);
int drm_gem_dirty_read_back(struct drm_gem_dirty *dirty, pgoff_t first,
			    pgoff_t nr);

#endif
