/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef __DRM_GEM_DIRTY_INTERNAL_H__
#define __DRM_GEM_DIRTY_INTERNAL_H__

#include <linux/bitmap.h>
#include <linux/mapping_dirty.h>

#include <drm/drm_gem.h>
#include <drm/drm_gem_dirty.h>
#include <drm/drm_gem_dirty_vm.h>

/* The most that is opened ahead of a writer, or read back ahead of a reader. */
#define GEM_DIRTY_STREAM_MAX	16

/**
 * struct drm_gem_dirty_stats - What tracking has cost so far
 * @passes: Passes over a buffer
 * @passes_idle: Passes of these that found no open chunk and did nothing
 * @passes_unsure: Passes of these that met a VMA on its way out, and took all
 * open chunks for dirty
 * @faults: Write faults
 * @pages_marked: Pages marked dirty by a write fault, a VMA's end or the driver
 * @chunks_opened: Chunks opened for writing
 * @chunks_closed: Chunks closed
 * @ptes_scanned: Page-table entries read by passes
 * @notifier_ranges: mmu_notifier ranges of passes
 * @tlb_flushes: TLB range flushes made by passes
 * @pages_harvested: Dirty page-table entries found, and cleaned
 * @chunks_revoked: Chunks taken from the CPU because the device was to write
 * @read_backs: Ranges read back for the CPU
 * @pages_read_back: Pages of these
 */
struct drm_gem_dirty_stats {
	u64 passes;
	u64 passes_idle;
	u64 passes_unsure;
	u64 faults;
	u64 pages_marked;
	u64 chunks_opened;
	u64 chunks_closed;
	u64 ptes_scanned;
	u64 notifier_ranges;
	u64 tlb_flushes;
	u64 pages_harvested;
	u64 chunks_revoked;
	u64 read_backs;
	u64 pages_read_back;
};

/**
 * struct drm_gem_dirty_chunk - What is known of the writes to a chunk
 * @page: The one page of it that is open, with @single, or that was last found
 * dirty, from the start of the chunk
 * @found: Dirty pages found since it was opened, or what is the most of that
 * @closed: The pass that closed it because of a single page, modulo 64
 * @quiet: Passes since it was last found dirty, while it is open
 * @again: Passes in a row that did so and were followed by a store at once
 * @single: While it is open: only @page of it is. After that: @page is all that
 * was found dirty
 * @fresh: While it is open: to be closed soon if there is but a single page
 * @ending: The pass that goes on write-protects it, and closes it then
 */
struct drm_gem_dirty_chunk {
	u8 page;
	u8 found;
	u16 closed:6;
	u16 quiet:5;
	u16 again:2;
	u16 single:1;
	u16 fresh:1;
	u16 ending:1;
};

/**
 * struct drm_gem_dirty - CPU write tracking of a GEM object
 *
 * Everything is protected by the object's dma_resv unless noted otherwise.
 */
struct drm_gem_dirty {
	/** @obj: The object */
	struct drm_gem_object *obj;
	/** @ddev: The device's accounts */
	struct drm_gem_dirty_device *ddev;
	/** @id: Number of the object on its device, for debugfs and traces */
	u64 id;
	/** @link: In &drm_gem_dirty_device.buffers, protected by its lock */
	struct list_head link;
	/** @consumers: List of &drm_gem_dirty_consumer.link */
	struct list_head consumers;
	/** @nr_pages: The object's size in pages */
	unsigned long nr_pages;
	/** @nr_chunks: The object's size in chunks */
	unsigned long nr_chunks;
	/** @vmas: The VMAs that map it, with a lock of their own. */
	struct drm_gem_dirty_vmas *vmas;
	/** @own_vmas: @vmas, if the memory manager has none */
	struct drm_gem_dirty_vmas own_vmas;
	/**
	 * @found: Pages that are dirty for all consumers, and that these have
	 * not been given yet
	 */
	unsigned long *found;
	/** @found_first: No page before this one is in @found */
	unsigned long found_first;
	/** @found_end: Neither is this one or one after it */
	unsigned long found_end;
	/** @open: Chunks that can have writable page-table entries */
	unsigned long *open;
	/** @nr_open: Number of bits set in @open */
	unsigned long nr_open;
	/** @first_open: No chunk before this one is open; stale if none is */
	unsigned long first_open;
	/** @chunks: How each chunk is being written */
	struct drm_gem_dirty_chunk *chunks;
	/** @sparse: How likely the next chunk has but one page written */
	int sparse;
	/** @next_chunk: Where a writer that goes on in order faults next */
	unsigned long next_chunk;
	/** @stream: Number of chunks opened at once for such a writer */
	unsigned long stream;
	/** @unseen: Writers without page faults, see drm_gem_dirty_unseen() */
	unsigned int unseen;
	/**
	 * @pending: Chunks that the device may have written since they were
	 * last read back, or NULL if it never does. They have no page-table
	 * entries.
	 */
	unsigned long *pending;
	/** @nr_pending: Number of bits set in @pending */
	unsigned long nr_pending;
	/** @ready_first: All chunks before this one are pending */
	unsigned long ready_first;
	/** @ready_end: So are this one and all after it */
	unsigned long ready_end;
	/** @revoked: How often chunks became pending */
	u64 revoked;
	/** @writer: Whose device has written, or NULL if there are several */
	struct drm_gem_dirty_consumer *writer;
	/** @read_error: Why the last reading back for a fault failed, or 0 */
	int read_error;
	/** @error_chunk: The chunk it was for */
	unsigned long error_chunk;
	/** @next_read: Where a reader that goes on in order faults next */
	unsigned long next_read;
	/** @read_stream: Number of chunks read back at once for such a reader */
	unsigned long read_stream;
	/** @stats: Counters */
	struct drm_gem_dirty_stats stats;
};

static inline bool gem_dirty_is_pending(const struct drm_gem_dirty *dirty,
					unsigned long chunk)
{
	return dirty->nr_pending && test_bit(chunk, dirty->pending);
}

/* The first page of a chunk, or the end of the buffer. */
static inline pgoff_t gem_dirty_chunk_page(const struct drm_gem_dirty *dirty,
					   unsigned long chunk)
{
	return min(chunk * DRM_GEM_DIRTY_CHUNK_PAGES, dirty->nr_pages);
}

static inline void gem_dirty_found_none(struct drm_gem_dirty *dirty)
{
	dirty->found_first = dirty->nr_pages;
	dirty->found_end = 0;
}

/* Dirty for all consumers, when they ask. Called under page table locks too. */
static __always_inline void gem_dirty_found(struct drm_gem_dirty *dirty,
					    pgoff_t first, pgoff_t nr)
{
	/* Of writes here and there most are alone. */
	if (nr == 1)
		__set_bit(first, dirty->found);
	else
		bitmap_set(dirty->found, first, nr);
	dirty->found_first = min(dirty->found_first, first);
	dirty->found_end = max(dirty->found_end, first + nr);
}

/* drm_gem_dirty_consumer.c */
void gem_dirty_found_for_others(struct drm_gem_dirty_consumer *consumer,
				pgoff_t first, pgoff_t nr);
void gem_dirty_mark_unseen(struct drm_gem_dirty *dirty);

/* drm_gem_dirty_read_back.c */
int gem_dirty_read_back_init(struct drm_gem_dirty_consumer *consumer);
void gem_dirty_revoke(struct drm_gem_dirty_consumer *consumer, pgoff_t first,
		      pgoff_t nr);
bool gem_dirty_is_written(struct drm_gem_dirty *dirty, pgoff_t page);
void gem_dirty_unwrite(struct drm_gem_dirty *dirty, pgoff_t first, pgoff_t nr);

/* drm_gem_dirty_debugfs.c */
void gem_dirty_device_add(struct drm_gem_dirty *dirty);
void gem_dirty_device_remove(struct drm_gem_dirty *dirty);

#endif
