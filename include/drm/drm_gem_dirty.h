/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef __DRM_GEM_DIRTY_H__
#define __DRM_GEM_DIRTY_H__

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct dma_fence;
struct drm_device;
struct drm_gem_object;
struct vm_fault;

/* The unit in which a buffer is open or closed to CPU stores, in pages. */
#define DRM_GEM_DIRTY_CHUNK_PAGES	64

/**
 * struct drm_gem_dirty_stats - What tracking has cost so far
 * @passes: Passes over a buffer
 * @passes_idle: Passes of these that found no open chunk and did nothing
 * @faults: Write faults
 * @pages_marked: Pages marked dirty by a write fault, a zap or the driver
 * @chunks_opened: Chunks opened for writing
 * @chunks_closed: Chunks closed because they had become quiet, or had a single
 * page open
 * @ptes_scanned: Page-table entries looked at by passes
 * @notifier_ranges: mmu_notifier ranges started by passes
 * @tlb_flushes: TLB range flushes made by passes
 * @pages_harvested: Dirty page-table entries found, and cleaned
 * @chunks_revoked: Chunks taken from the CPU because the device was to write
 * @read_backs: Ranges read back for the CPU
 * @pages_read_back: Pages of these
 */
struct drm_gem_dirty_stats {
	u64 passes;
	u64 passes_idle;
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
 * struct drm_gem_dirty_device - All tracked buffers of a device
 *
 * Embedded in the driver's device structure and initialized by
 * drmm_gem_dirty_device_init().
 */
struct drm_gem_dirty_device {
	/** @lock: Protects all other members */
	struct mutex lock;
	/** @buffers: List of &drm_gem_dirty.link */
	struct list_head buffers;
	/** @buffers_tracked: Buffers that have been tracked so far */
	u64 buffers_tracked;
	/** @gone: Sums of the buffers that are not tracked any more */
	struct drm_gem_dirty_stats gone;
};

/**
 * struct drm_gem_dirty_chunk - What is known of the writes to a chunk
 * @page: The one page of it that is open, with @single, or that was last found
 * dirty, from the start of the chunk
 * @found: Dirty pages found since it was opened, or what is the most of that
 * @closed: The pass that closed it because of a single page, modulo 128
 * @quiet: Passes since it was last found dirty, while it is open
 * @again: Passes in a row that did so and were followed by a store at once
 * @single: While it is open: only @page of it is. After that: @page is all that
 * was found dirty
 * @fresh: While it is open: the next pass closes it if there is but a single page
 */
struct drm_gem_dirty_chunk {
	u8 page;
	u8 found;
	u16 closed:7;
	u16 quiet:5;
	u16 again:2;
	u16 single:1;
	u16 fresh:1;
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
	/** @nr_open: Number of bits set in @open */
	unsigned long nr_open;
	/** @first_open: No chunk before this one is open; stale if none is */
	unsigned long first_open;
	/** @open: Chunks that can have writable page-table entries */
	unsigned long *open;
	/** @chunks: How each chunk is being written */
	struct drm_gem_dirty_chunk *chunks;
	/** @sparse: How likely the next chunk has but one page written */
	int sparse;
	/** @next_chunk: Where a writer that goes on in order faults next */
	unsigned long next_chunk;
	/** @stream: Number of chunks opened at once for such a writer */
	unsigned long stream;
	/**
	 * @zapped: Pages whose dirty page-table entry was zapped by a VMA
	 * that has not been closed yet. Bits are set atomically, under a page
	 * table lock and without the dma_resv.
	 */
	unsigned long *zapped;
	/** @any_zapped: Bit 0 is set after a bit in @zapped. Atomic. */
	unsigned long any_zapped;
	/**
	 * @pending: Chunks that the device may have written since they were
	 * last read back, or NULL without drm_gem_dirty_read_back_init(). They
	 * have no page-table entries, and no page of them becomes dirty.
	 */
	unsigned long *pending;
	/** @nr_pending: Number of bits set in @pending */
	unsigned long nr_pending;
	/** @next_read: Where a reader that goes on in order faults next */
	unsigned long next_read;
	/** @read_stream: Number of chunks read back at once for such a reader */
	unsigned long read_stream;
	/** @stats: Counters */
	struct drm_gem_dirty_stats stats;
};

/**
 * struct drm_gem_dirty_consumer - Somebody who is to see every dirty page
 *
 * A copy of the buffer's contents that is to be kept up to date, the host's
 * or the device's. Protected by the object's dma_resv.
 */
struct drm_gem_dirty_consumer {
	/** @dirty: The tracker */
	struct drm_gem_dirty *dirty;
	/** @link: In &drm_gem_dirty.consumers */
	struct list_head link;
	/** @pages: Pages that are dirty for this consumer */
	unsigned long *pages;
	/** @first: No page before this one is dirty */
	unsigned long first;
	/** @end: Neither is this one or one after it */
	unsigned long end;
	/**
	 * @read_back: Brings pages of the buffer up to date with this copy, or
	 * NULL, see drm_gem_dirty_read_back_init()
	 */
	int (*read_back)(struct drm_gem_dirty_consumer *consumer, pgoff_t first,
			 pgoff_t nr);
	/**
	 * @written: With @read_back: pages of this copy that the device may
	 * have written since they were last read back, all of them in
	 * &drm_gem_dirty.pending chunks
	 */
	unsigned long *written;
};

/**
 * struct drm_gem_dirty_map - What a fault handler should map
 * @first: First page, in pages from the start of the buffer
 * @nr: Number of pages, all of them within the VMA and the buffer
 * @addr: Address of the first page
 * @prot: The protection to map them with
 */
struct drm_gem_dirty_map {
	pgoff_t first;
	pgoff_t nr;
	unsigned long addr;
	pgprot_t prot;
};

int drmm_gem_dirty_device_init(struct drm_device *dev,
			       struct drm_gem_dirty_device *ddev);

struct drm_gem_dirty *drm_gem_dirty_create(struct drm_gem_object *obj,
					   struct drm_gem_dirty_device *ddev);
void drm_gem_dirty_destroy(struct drm_gem_dirty *dirty);

int drm_gem_dirty_consumer_init_locked(struct drm_gem_dirty_consumer *consumer,
				       struct drm_gem_dirty *dirty);
int drm_gem_dirty_consumer_init(struct drm_gem_dirty_consumer *consumer,
				struct drm_gem_dirty *dirty);
void drm_gem_dirty_consumer_fini_locked(struct drm_gem_dirty_consumer *consumer);
void drm_gem_dirty_consumer_fini(struct drm_gem_dirty_consumer *consumer);
bool drm_gem_dirty_next(struct drm_gem_dirty_consumer *consumer,
			pgoff_t *first, pgoff_t *nr);

void drm_gem_dirty_mark(struct drm_gem_dirty *dirty, pgoff_t first, pgoff_t nr);
void drm_gem_dirty_pass(struct drm_gem_dirty *dirty);
void drm_gem_dirty_open(struct drm_gem_dirty *dirty);
void drm_gem_dirty_close(struct drm_gem_dirty *dirty);

int drm_gem_dirty_read_back_init(struct drm_gem_dirty_consumer *consumer,
				 int (*read_back)(struct drm_gem_dirty_consumer *consumer,
						  pgoff_t first, pgoff_t nr));
void drm_gem_dirty_revoke(struct drm_gem_dirty_consumer *consumer,
			  pgoff_t first, pgoff_t nr);
bool drm_gem_dirty_is_stale(struct drm_gem_dirty_consumer *consumer);
int drm_gem_dirty_read_back(struct drm_gem_dirty *dirty, pgoff_t first,
			    pgoff_t nr);
int drm_gem_dirty_read_around(struct drm_gem_dirty *dirty, pgoff_t page);
int drm_gem_dirty_wait(struct drm_gem_object *obj, struct dma_fence *fence);
int drm_gem_dirty_wait_idle(struct drm_gem_object *obj);

bool drm_gem_dirty_vm_is_pending(struct drm_gem_dirty *dirty,
				 struct vm_fault *vmf);
vm_fault_t drm_gem_dirty_vm_read_back(struct drm_gem_dirty *dirty,
				      struct vm_fault *vmf);
void drm_gem_dirty_vm_fault(struct drm_gem_dirty *dirty, struct vm_fault *vmf,
			    struct drm_gem_dirty_map *map);
void drm_gem_dirty_vm_pfn_mkwrite(struct drm_gem_dirty *dirty,
				  struct vm_fault *vmf);
void drm_gem_dirty_vm_zap(struct drm_gem_dirty *dirty,
			  struct vm_area_struct *vma, unsigned long addr,
			  unsigned long size);
void drm_gem_dirty_vm_close(struct drm_gem_dirty *dirty,
			    struct vm_area_struct *vma);

#endif
