// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/slab.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_vma_manager.h>

#include "drm_gem_dirty_internal.h"

#define CREATE_TRACE_POINTS
#include "drm_gem_dirty_trace.h"

/**
 * DOC: Overview
 *
 * Some devices have a copy of a buffer of their own and do not see the CPU's
 * stores. This component finds the pages that user space has written since the
 * last submission. The driver uploads them, and can promise user space a
 * persistent, coherent mapping.
 *
 * A buffer is divided into chunks of &DRM_GEM_DIRTY_CHUNK_PAGES pages. A new
 * chunk is closed: no page-table entry of any VMA that maps it is writable. The
 * first store to it faults and opens the chunk: its entries become writable and
 * clean, and the page that was written is marked. Further stores set the
 * entries' dirty bits without a fault. drm_gem_dirty_prepare(), called before the
 * device uses the buffer, harvests the dirty bits of the open chunks, and closes
 * a chunk that has stayed clean for some time. So the cost depends on the recent
 * writes and not on the size of the buffer. Without writes it is nothing.
 *
 * If a writer opens chunks in order, the next ones are opened ahead. If writes are
 * sparse, a chunk with a single dirty page is closed soon, and the next fault
 * opens one page only. A store to a second page opens the whole chunk.
 *
 * When the tracker cannot be sure, it treats a page as dirty. munmap(), exit, or
 * mmap() over a mapping removes dirty bits before a pass can harvest them. So the
 * tracker counts VMAs. If a pass meets fewer than it has counted, one of them is
 * between the removal of its entries and its close(): all open chunks count as
 * dirty and stay open. After close(), the open chunks of that VMA count as dirty
 * once more, for stores that came after the removal. A closed chunk has nothing
 * to lose.
 *
 * Nothing is allocated after drm_gem_dirty_consumer_init(), so nothing can
 * fail when it is too late.
 *
 * The object's dma_resv makes opening, closing and passes exclude each other. An
 * entry becomes writable under it, never later. If a fault handler left that step
 * to the core, a pass could close the chunk in between, and the stores would be
 * lost.
 *
 * An object may have several consumers. Each gets all dirty pages of its part of
 * the buffer.
 *
 * drm_gem_shmem_dirty.c has an example. For a device that writes to its copy see
 * drm_gem_dirty_read_back.c. Drivers with another memory manager use
 * drm_gem_dirty_vm.h, as drm_gem_shmem_dirty.c does.
 */

/*
 * Passes that a chunk has to stay clean before it is closed. So many scans cost about
 * as much as closing and reopening the chunk once, and a ring of a few frames wraps
 * sooner than that.
 */
#define QUIET_PASSES	20

/* The same after a single page: it takes no more to have that fault again. */
#define QUIET_SINGLE	3

/* Passes in a row for which a chunk is opened only to be closed by them. */
#define BRIEF_PASSES	3

/* Of &drm_gem_dirty_chunk.closed */
#define CLOSED_MODULO	64

/*
 * The confidence that the next chunk will have but one page written, which grows
 * with each of which that was true, and from where on it is acted upon.
 */
#define SPARSE_MAX	3
#define SPARSE_LIKELY	2

/**
 * drm_gem_dirty_create - Track the CPU writes to an object
 * @obj: The object. It must have its mmap offset.
 * @vmas: Its VMAs, or NULL if it was not mapped yet: then the tracker counts them
 * @ddev: The device's accounts
 *
 * Nothing is dirty: a consumer that does not have the object's first contents
 * needs drm_gem_dirty_mark(). If the object is mapped already,
 * drm_gem_dirty_close() must follow, which harvests.
 *
 * Context: Process context, may sleep. Memory is charged to the caller.
 * Return: The tracker, or ERR_PTR(-ENOMEM).
 */
struct drm_gem_dirty *drm_gem_dirty_create(struct drm_gem_object *obj,
					   struct drm_gem_dirty_vmas *vmas,
					   struct drm_gem_dirty_device *ddev)
{
	struct drm_gem_dirty *dirty;

	dirty = kzalloc_obj(*dirty, GFP_KERNEL_ACCOUNT);
	if (!dirty)
		return ERR_PTR(-ENOMEM);

	dirty->obj = obj;
	dirty->ddev = ddev;
	INIT_LIST_HEAD(&dirty->consumers);
	drm_gem_dirty_vmas_init(&dirty->own_vmas);
	dirty->vmas = vmas ?: &dirty->own_vmas;
	dirty->nr_pages = obj->size >> PAGE_SHIFT;
	dirty->nr_chunks = DIV_ROUND_UP(dirty->nr_pages,
					DRM_GEM_DIRTY_CHUNK_PAGES);
	gem_dirty_found_none(dirty);
	dirty->open = kvcalloc(BITS_TO_LONGS(dirty->nr_chunks),
			       sizeof(*dirty->open), GFP_KERNEL_ACCOUNT);
	dirty->chunks = kvcalloc(dirty->nr_chunks, sizeof(*dirty->chunks),
				 GFP_KERNEL_ACCOUNT);
	dirty->found = kvcalloc(BITS_TO_LONGS(dirty->nr_pages),
				sizeof(*dirty->found), GFP_KERNEL_ACCOUNT);
	if (!dirty->open || !dirty->chunks || !dirty->found) {
		kvfree(dirty->found);
		kvfree(dirty->chunks);
		kvfree(dirty->open);
		kfree(dirty);
		return ERR_PTR(-ENOMEM);
	}

	/* Entries that it is mapped with can be writable and dirty. */
	if (vmas) {
		bitmap_fill(dirty->open, dirty->nr_chunks);
		dirty->nr_open = dirty->nr_chunks;
		dirty->stats.chunks_opened = dirty->nr_chunks;
	}
	gem_dirty_device_add(dirty);

	return dirty;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_create);

/**
 * drm_gem_dirty_destroy - Stop tracking
 * @dirty: The tracker, without consumers. The object can still be mapped, but no
 * fault may reach the tracker.
 *
 * Context: Process context, may sleep.
 */
void drm_gem_dirty_destroy(struct drm_gem_dirty *dirty)
{
	WARN_ON(!list_empty(&dirty->consumers));

	gem_dirty_device_remove(dirty);
	kvfree(dirty->pending);
	kvfree(dirty->found);
	kvfree(dirty->chunks);
	kvfree(dirty->open);
	kfree(dirty);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_destroy);

/**
 * drm_gem_dirty_is_used - Whether there are consumers
 * @dirty: The tracker
 *
 * Context: Called with the object's dma_resv held.
 * Return: true if there are.
 */
bool drm_gem_dirty_is_used(struct drm_gem_dirty *dirty)
{
	return !list_empty(&dirty->consumers);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_is_used);

/**
 * drm_gem_dirty_vmas_init - Prepare to count VMAs
 * @vmas: The count
 */
void drm_gem_dirty_vmas_init(struct drm_gem_dirty_vmas *vmas)
{
	spin_lock_init(&vmas->lock);
	vmas->nr = 0;
	vmas->seq = 0;
	vmas->first = ULONG_MAX;
	vmas->end = 0;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vmas_init);

/**
 * drm_gem_dirty_vmas_open - Count a VMA
 * @vmas: The count
 *
 * To be called when the object is mapped, and by &vm_operations_struct.open: before
 * others can find the VMA by way of the file's mapping.
 *
 * Context: Any.
 */
void drm_gem_dirty_vmas_open(struct drm_gem_dirty_vmas *vmas)
{
	spin_lock(&vmas->lock);
	vmas->nr++;
	vmas->seq++;
	spin_unlock(&vmas->lock);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vmas_open);

/**
 * drm_gem_dirty_vmas_close - Stop counting a VMA
 * @vmas: The count
 * @obj: The object
 * @vma: The VMA, whose entries are gone and whose TLB has been flushed
 *
 * To be called by &vm_operations_struct.close. Open chunks of the VMA count as
 * dirty at the next pass. It waits for nothing.
 *
 * Context: Any.
 */
void drm_gem_dirty_vmas_close(struct drm_gem_dirty_vmas *vmas,
			      struct drm_gem_object *obj,
			      struct vm_area_struct *vma)
{
	pgoff_t first = drm_gem_dirty_page(obj, vma->vm_pgoff);

	spin_lock(&vmas->lock);
	vmas->nr--;
	vmas->seq++;
	vmas->first = min(vmas->first, first);
	vmas->end = max(vmas->end, first + vma_pages(vma));
	spin_unlock(&vmas->lock);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vmas_close);

/**
 * drm_gem_dirty_vmas_all - Whether no VMA was ever closed
 * @vmas: The count
 *
 * Context: Any.
 */
bool drm_gem_dirty_vmas_all(struct drm_gem_dirty_vmas *vmas)
{
	bool all;

	spin_lock(&vmas->lock);
	all = vmas->seq == vmas->nr;
	spin_unlock(&vmas->lock);

	return all;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vmas_all);

struct gem_dirty_pass {
	struct mapping_dirty_pass base;
	struct drm_gem_dirty *dirty;
	pgoff_t start;
	/* The last open chunk. */
	unsigned long last;
	/* Look at no others than those that are to be closed. */
	bool ending;
};

static __always_inline void gem_dirty_found_in(struct drm_gem_dirty_chunk *chunk,
					       unsigned long page,
					       unsigned long nr)
{
	if (nr > 1)
		chunk->quiet = 0;
	else if (chunk->quiet > QUIET_PASSES - QUIET_SINGLE)
		chunk->quiet = QUIET_PASSES - QUIET_SINGLE;
	chunk->found = min(chunk->found + nr, U8_MAX);
	chunk->page = page;
}

/* Pages of more than one chunk. */
static noinline void gem_dirty_found_more(struct drm_gem_dirty_chunk *chunk,
					  unsigned long page, unsigned long nr)
{
	for (; page + nr > DRM_GEM_DIRTY_CHUNK_PAGES; page = 0) {
		gem_dirty_found_in(chunk++, page,
				   DRM_GEM_DIRTY_CHUNK_PAGES - page);
		nr -= DRM_GEM_DIRTY_CHUNK_PAGES - page;
	}
	gem_dirty_found_in(chunk, page, nr);
}

static void gem_dirty_report(struct mapping_dirty_pass *base, pgoff_t pgoff,
			     pgoff_t nr)
{
	struct gem_dirty_pass *pass =
		container_of(base, struct gem_dirty_pass, base);
	struct drm_gem_dirty *dirty = pass->dirty;
	unsigned long first = pgoff - pass->start;
	unsigned long page = first % DRM_GEM_DIRTY_CHUNK_PAGES;
	struct drm_gem_dirty_chunk *chunk =
		&dirty->chunks[first / DRM_GEM_DIRTY_CHUNK_PAGES];

	gem_dirty_found(dirty, first, nr);
	if (page + nr > DRM_GEM_DIRTY_CHUNK_PAGES)
		gem_dirty_found_more(chunk, page, nr);
	else
		gem_dirty_found_in(chunk, page, nr);
}

/* The open pages of a chunk that is open: from @first up to and without those returned. */
static pgoff_t gem_dirty_open_pages(struct drm_gem_dirty *dirty,
				    unsigned long chunk, pgoff_t *first)
{
	*first = chunk * DRM_GEM_DIRTY_CHUNK_PAGES;
	if (dirty->chunks[chunk].single) {
		*first += dirty->chunks[chunk].page;
		return *first + 1;
	}

	return gem_dirty_chunk_page(dirty, chunk + 1);
}

/* The next open chunk, from @i on. */
static unsigned long gem_dirty_next_chunk(struct drm_gem_dirty *dirty,
					  unsigned long i)
{
	return i < dirty->nr_chunks && test_bit(i, dirty->open) ? i :
		find_next_bit(dirty->open, dirty->nr_chunks, i);
}

/* The parts that a pass scans: &mapping_dirty_pass.next. */
static bool gem_dirty_next_open(struct mapping_dirty_pass *base, pgoff_t pgoff,
				struct mapping_dirty_range *range)
{
	struct gem_dirty_pass *pass =
		container_of(base, struct gem_dirty_pass, base);
	struct drm_gem_dirty *dirty = pass->dirty;
	pgoff_t page = pgoff - pass->start;
	unsigned long i = max(page / DRM_GEM_DIRTY_CHUNK_PAGES,
			      dirty->first_open);
	struct drm_gem_dirty_chunk *chunk;
	pgoff_t first, end, last;

	/* Of a chunk that @page is in it can be a page before that. */
	do {
		if (i > pass->last)
			return false;
		i = gem_dirty_next_chunk(dirty, i);
		if (i > pass->last)
			return false;
		chunk = &dirty->chunks[i];
		end = gem_dirty_open_pages(dirty, i++, &first);
	} while (end <= page || (pass->ending && !chunk->ending));

	/* Whole chunks can be walked in one go. */
	if (!chunk->single) {
		for (; i <= pass->last && test_bit(i, dirty->open) &&
		     !dirty->chunks[i].single &&
		     dirty->chunks[i].ending == chunk->ending; i++)
			;
		end = gem_dirty_open_pages(dirty, i - 1, &last);
	}

	range->first = pass->start + first;
	range->nr = end - first;
	range->wrprotect = chunk->ending;

	return true;
}

/* What is open of the pages from @first up to and without @end counts as dirty. */
static void gem_dirty_mark_open(struct drm_gem_dirty *dirty, pgoff_t first,
				pgoff_t end)
{
	unsigned long i = first / DRM_GEM_DIRTY_CHUNK_PAGES;
	unsigned long last = min(DIV_ROUND_UP(end, DRM_GEM_DIRTY_CHUNK_PAGES),
				 dirty->nr_chunks);

	for_each_set_bit_from(i, dirty->open, last) {
		pgoff_t page = gem_dirty_chunk_page(dirty, i);
		pgoff_t nr = gem_dirty_chunk_page(dirty, i + 1) - page;

		gem_dirty_found(dirty, page, nr);
		dirty->stats.pages_marked += nr;
		dirty->chunks[i].quiet = 0;
	}
}

/*
 * Look at all that is open. Returns whether nothing can have been missed. If a VMA
 * was on its way out, all that is open counts as dirty.
 */
static bool gem_dirty_harvest(struct gem_dirty_pass *pass)
{
	struct drm_gem_dirty *dirty = pass->dirty;
	struct drm_gem_dirty_stats *stats = &dirty->stats;
	struct drm_gem_dirty_vmas *vmas = dirty->vmas;
	pgoff_t first, end;
	bool sure;
	u64 seq;
	int err;

	spin_lock(&vmas->lock);
	seq = vmas->seq;
	spin_unlock(&vmas->lock);

	pass->base = (struct mapping_dirty_pass) {
		.report = gem_dirty_report,
		.next = gem_dirty_next_open,
	};
	pass->start = drm_vma_node_start(&dirty->obj->vma_node);
	/* A VMA that can't be scanned may have written anything. */
	err = mapping_dirty_harvest(dirty->obj->dev->anon_inode->i_mapping,
				    pass->start, dirty->nr_pages, &pass->base);

	/*
	 * If the count is the same as before the walk, it is the same VMAs:
	 * as many as were met means that none of them was missed.
	 */
	spin_lock(&vmas->lock);
	sure = !err && vmas->seq == seq && vmas->nr == pass->base.vmas;
	first = vmas->first;
	end = vmas->end;
	vmas->first = ULONG_MAX;
	vmas->end = 0;
	spin_unlock(&vmas->lock);

	if (!sure) {
		gem_dirty_mark_open(dirty, 0, dirty->nr_pages);
		stats->passes_unsure++;
	} else if (first < end) {
		gem_dirty_mark_open(dirty, first, end);
	}

	stats->ptes_scanned += pass->base.scanned;
	stats->notifier_ranges += pass->base.notifier_ranges;
	stats->tlb_flushes += pass->base.flushes;
	stats->pages_harvested += pass->base.cleaned;
	trace_drm_gem_dirty_pass(dirty, &pass->base);

	return sure;
}

/* An open chunk has no writable entries any more. */
static void gem_dirty_closed(struct drm_gem_dirty *dirty, unsigned long i)
{
	struct drm_gem_dirty_chunk *chunk = &dirty->chunks[i];

	/* There was a single page to it. */
	if (chunk->fresh && (chunk->single || chunk->found <= 1)) {
		chunk->single = true;
		chunk->closed = dirty->stats.passes % CLOSED_MODULO;
		dirty->sparse = min(dirty->sparse + 1, SPARSE_MAX);
	}

	__clear_bit(i, dirty->open);
	dirty->nr_open--;
	dirty->stats.chunks_closed++;
	trace_drm_gem_dirty_close(dirty, i, 1);
}

/* There is more than one page to a chunk. */
static void gem_dirty_not_brief(struct drm_gem_dirty *dirty,
				struct drm_gem_dirty_chunk *chunk)
{
	chunk->fresh = false;
	dirty->sparse = max(dirty->sparse - 1, 0);
}

/*
 * The first scan of a chunk since all of it was opened tells how it is written.
 * With a single dirty page it is to be closed.
 */
static void gem_dirty_judge(struct drm_gem_dirty *dirty,
			    struct drm_gem_dirty_chunk *chunk)
{
	if (chunk->found > 1)
		gem_dirty_not_brief(dirty, chunk);
	chunk->ending = chunk->found == 1;
	chunk->fresh = chunk->ending;
}

/*
 * Scan all that is open, in one walk, or two if new chunks turn out to have a single
 * dirty page. The chunks from @first up to and without @end are closed by it, others
 * if that seems best.
 */
static void gem_dirty_scan(struct drm_gem_dirty *dirty, unsigned long first,
			   unsigned long end)
{
	struct gem_dirty_pass pass = { .dirty = dirty };
	struct drm_gem_dirty_chunk *chunk;
	unsigned long left, i;
	bool changes = false;
	bool again, sure;

	i = gem_dirty_next_chunk(dirty, dirty->first_open);
	dirty->first_open = i;
	for (left = dirty->nr_open; left; left--) {
		i = gem_dirty_next_chunk(dirty, i);
		chunk = &dirty->chunks[i];
		chunk->quiet++;
		chunk->ending = chunk->quiet >= QUIET_PASSES ||
			(chunk->single && chunk->fresh);
		if (i >= first && i < end) {
			chunk->ending = true;
			chunk->fresh = false;
		}
		changes |= chunk->ending || chunk->fresh;
		pass.last = i++;
	}

	do {
		sure = gem_dirty_harvest(&pass);

		/* None of them can have to be closed, or to be judged. */
		if (!changes)
			return;

		again = false;
		i = dirty->first_open;
		for (left = dirty->nr_open; left; left--, i++) {
			i = gem_dirty_next_chunk(dirty, i);
			chunk = &dirty->chunks[i];
			if (chunk->ending) {
				if (sure || (i >= first && i < end))
					gem_dirty_closed(dirty, i);
			} else if (chunk->fresh && !chunk->single && sure) {
				gem_dirty_judge(dirty, chunk);
				again |= chunk->ending;
			}
		}
		pass.ending = true;
	} while (again && sure);
}

/* Out of line: most buffers of a submission have nothing open. */
static noinline bool gem_dirty_prepare(struct drm_gem_dirty_consumer *consumer,
				       pgoff_t first, pgoff_t nr)
{
	struct drm_gem_dirty *dirty = consumer->dirty;
	unsigned long end = nr ? DIV_ROUND_UP(first + nr,
					      DRM_GEM_DIRTY_CHUNK_PAGES) : 0;

	if (dirty->nr_open)
		gem_dirty_scan(dirty, first / DRM_GEM_DIRTY_CHUNK_PAGES, end);

	if (dirty->unseen && consumer->queues_read_back)
		drm_gem_dirty_mark(dirty, 0, dirty->nr_pages);
	else if (dirty->unseen)
		gem_dirty_mark_unseen(dirty);
	if (nr)
		gem_dirty_revoke(consumer, first, nr);

	return nr && dirty->unseen && consumer->queues_read_back;
}

/**
 * drm_gem_dirty_prepare - Prepare for the use of a copy by the device
 * @consumer: The copy
 * @first: First page of those that the device may write, within the copy
 * @nr: Their number, or 0 as for a copy that can't be read back
 *
 * Afterwards every page with a store that completed before the call is dirty, and
 * its data can be read. The driver takes the dirty pages with
 * drm_gem_dirty_next(), and uploads them ahead of the commands that use them.
 *
 * If no chunk is open, no page table is walked, no mmu_notifier called and no TLB
 * flushed.
 *
 * Chunks that the device may write are revoked as a whole. Of these only the pages
 * given here are read back. The fence of the commands must be in the dma_resv,
 * with &DMA_RESV_USAGE_WRITE, before that is released.
 *
 * Context: Process context, may sleep. Called with the object's dma_resv
 * held. Takes i_mmap_rwsem of the device's address_space.
 * Return: With &drm_gem_dirty_consumer.queues_read_back: whether the driver has to
 * queue a read-back of these pages behind the commands that write them, because
 * they are accessed without page faults. The data must be there when the fence
 * signals. For other drivers the pages are read back before the next use of the
 * buffer.
 */
bool drm_gem_dirty_prepare(struct drm_gem_dirty_consumer *consumer,
			   pgoff_t first, pgoff_t nr)
{
	struct drm_gem_dirty *dirty = consumer->dirty;

	dma_resv_assert_held(dirty->obj->resv);

	if (WARN_ON_ONCE(nr && !consumer->read_back))
		nr = 0;

	dirty->stats.passes++;
	if (!dirty->nr_open)
		dirty->stats.passes_idle++;

	return (dirty->nr_open || dirty->unseen || nr) &&
		gem_dirty_prepare(consumer, first, nr);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_prepare);

/**
 * drm_gem_dirty_close - Harvest and close all chunks
 * @dirty: The tracker
 *
 * To be called before unmap_mapping_range() removes the object's entries with
 * their dirty bits, when it moves for example. Afterwards no entry is writable
 * or dirty, and none can become so while the caller holds the dma_resv.
 *
 * Context: As drm_gem_dirty_prepare().
 */
void drm_gem_dirty_close(struct drm_gem_dirty *dirty)
{
	dma_resv_assert_held(dirty->obj->resv);

	if (dirty->nr_open)
		gem_dirty_scan(dirty, 0, dirty->nr_chunks);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_close);

static pgoff_t gem_dirty_page(struct drm_gem_dirty *dirty, pgoff_t pgoff)
{
	return drm_gem_dirty_page(dirty->obj, pgoff);
}

/* The page of a fault alone. */
static void gem_dirty_map_one(struct drm_gem_dirty *dirty, struct vm_fault *vmf,
			      struct drm_gem_dirty_map *map)
{
	map->first = gem_dirty_page(dirty, vmf->pgoff);
	map->nr = 1;
	map->addr = vmf->address & PAGE_MASK;
}

/* The part of the chunks from @first up to and without @end in a VMA. */
static void gem_dirty_clip(struct drm_gem_dirty *dirty,
			   struct vm_area_struct *vma, unsigned long first,
			   unsigned long end, struct drm_gem_dirty_map *map)
{
	pgoff_t vma_first = gem_dirty_page(dirty, vma->vm_pgoff);

	first *= DRM_GEM_DIRTY_CHUNK_PAGES;
	end = gem_dirty_chunk_page(dirty, end);

	map->first = max(first, vma_first);
	map->nr = min(end, vma_first + vma_pages(vma)) - map->first;
	map->addr = vma->vm_start + ((map->first - vma_first) << PAGE_SHIFT);
}

/* How to open a chunk that is written for no other reason than a store to @page. */
static void gem_dirty_choose(struct drm_gem_dirty *dirty,
			     struct drm_gem_dirty_chunk *chunk, pgoff_t page)
{
	/* Closed by the pass before. */
	if (!chunk->single ||
	    chunk->closed != dirty->stats.passes % CLOSED_MODULO)
		chunk->again = 0;
	else if (chunk->again < BRIEF_PASSES)
		chunk->again++;

	chunk->fresh = true;
	if (chunk->again && chunk->page == page) {
		chunk->fresh = false;
	} else if (chunk->again == BRIEF_PASSES) {
		chunk->fresh = false;
		chunk->single = false;
	} else if (dirty->sparse >= SPARSE_LIKELY) {
		chunk->single = true;
	}
	chunk->page = page;
}

/* With no chunk open nothing can have gone with a VMA. */
static void gem_dirty_forget_gone(struct drm_gem_dirty_vmas *vmas)
{
	if (!READ_ONCE(vmas->end))
		return;

	spin_lock(&vmas->lock);
	vmas->first = ULONG_MAX;
	vmas->end = 0;
	spin_unlock(&vmas->lock);
}

/*
 * Open the chunk that is being written, or of one that is written rarely the
 * page alone, and if to go on is a habit, some more.
 */
static unsigned long gem_dirty_open(struct drm_gem_dirty *dirty,
				    unsigned long chunk, pgoff_t page)
{
	/* A chunk left after a single page does not continue a stream. */
	bool stream = chunk && chunk == dirty->next_chunk &&
		!dirty->chunks[chunk - 1].single;
	unsigned long end;

	if (!dirty->nr_open)
		gem_dirty_forget_gone(dirty->vmas);

	dirty->stream = stream ?
		min(2 * dirty->stream, GEM_DIRTY_STREAM_MAX) : 1;
	for (end = chunk; end < dirty->nr_chunks &&
	     end < chunk + dirty->stream && !test_bit(end, dirty->open) &&
	     !gem_dirty_is_pending(dirty, end); end++) {
		struct drm_gem_dirty_chunk *c = &dirty->chunks[end];

		__set_bit(end, dirty->open);
		c->quiet = 0;
		c->found = 0;
		if (stream) {
			c->fresh = false;
			c->single = false;
		} else {
			gem_dirty_choose(dirty, c,
					 page % DRM_GEM_DIRTY_CHUNK_PAGES);
		}
	}

	dirty->next_chunk = end;
	if (!dirty->nr_open || chunk < dirty->first_open)
		dirty->first_open = chunk;
	dirty->nr_open += end - chunk;
	dirty->stats.chunks_opened += end - chunk;
	trace_drm_gem_dirty_open(dirty, chunk, end - chunk);

	return end;
}

/* A store has faulted. Returns in @map the range that stores may go to now. */
static void gem_dirty_write(struct drm_gem_dirty *dirty, struct vm_fault *vmf,
			    struct drm_gem_dirty_map *map)
{
	pgoff_t page = gem_dirty_page(dirty, vmf->pgoff);
	unsigned long i = page / DRM_GEM_DIRTY_CHUNK_PAGES;
	struct drm_gem_dirty_chunk *chunk = &dirty->chunks[i];
	unsigned long end = i + 1;

	dirty->stats.faults++;
	dirty->stats.pages_marked++;
	gem_dirty_found(dirty, page, 1);

	if (!test_bit(i, dirty->open))
		end = gem_dirty_open(dirty, i, page);

	if (chunk->single && chunk->page == page % DRM_GEM_DIRTY_CHUNK_PAGES) {
		gem_dirty_map_one(dirty, vmf, map);
		return;
	}

	/* A second page: from now on it is all of the chunk. */
	if (chunk->single) {
		chunk->single = false;
		gem_dirty_not_brief(dirty, chunk);
	}

	/* What is writable counts as dirty there: see mapping_dirty_harvest(). */
	if (mm_has_notifiers(vmf->vma->vm_mm))
		gem_dirty_map_one(dirty, vmf, map);
	else
		gem_dirty_clip(dirty, vmf->vma, i, end, map);
}

/**
 * drm_gem_dirty_vm_pending - Whether a fault has to wait for the device
 * @dirty: The tracker
 * @vmf: The fault, at a page within the buffer
 *
 * If so, the handler releases the dma_resv and the fault's lock, if it may. It calls
 * drm_gem_dirty_vm_wait(), takes the dma_resv, calls drm_gem_dirty_read_around() and
 * returns VM_FAULT_RETRY. If it may not release the locks it does so with both held.
 *
 * Context: Called with a fault's locks, and the object's dma_resv.
 * Return: 0; -EAGAIN if it has to wait; -ENODEV or the driver's error if that was
 * tried, and failed.
 */
int drm_gem_dirty_vm_pending(struct drm_gem_dirty *dirty, struct vm_fault *vmf)
{
	unsigned long chunk = gem_dirty_page(dirty, vmf->pgoff) /
		DRM_GEM_DIRTY_CHUNK_PAGES;
	int ret = dirty->read_error;

	dma_resv_assert_held(dirty->obj->resv);

	if (!gem_dirty_is_pending(dirty, chunk))
		return 0;
	if (drm_dev_is_unplugged(dirty->obj->dev))
		return -ENODEV;
	if (!ret || dirty->error_chunk != chunk)
		return -EAGAIN;

	dirty->read_error = 0;

	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vm_pending);

/**
 * drm_gem_dirty_vm_fault - Handle a fault on an entry that is not present
 * @dirty: The tracker
 * @vmf: The fault, at a page within the buffer
 * @map: Returns what to map, with which protection
 *
 * To be called by the driver's &vm_operations_struct.fault handler, which
 * then inserts the entries of @map that are not present, before it releases
 * the dma_resv. The page of the fault is one of them. Stores through other
 * entries that are present and read-only fault on their own.
 *
 * Context: Called with a fault's locks, and the object's dma_resv.
 */
void drm_gem_dirty_vm_fault(struct drm_gem_dirty *dirty, struct vm_fault *vmf,
			    struct drm_gem_dirty_map *map)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long chunk = gem_dirty_page(dirty, vmf->pgoff) /
		DRM_GEM_DIRTY_CHUNK_PAGES;

	dma_resv_assert_held(dirty->obj->resv);

	if (vmf->flags & FAULT_FLAG_WRITE)
		gem_dirty_write(dirty, vmf, map);
	else
		gem_dirty_clip(dirty, vma, chunk, chunk + 1, map);

	/*
	 * With pfn_mkwrite() the core leaves write permission out of
	 * vm_page_prot. Caching is as there.
	 */
	map->prot = vma->vm_page_prot;
	if (vmf->flags & FAULT_FLAG_WRITE ||
	    (test_bit(chunk, dirty->open) && !dirty->chunks[chunk].single &&
	     !mm_has_notifiers(vma->vm_mm)))
		map->prot = pgprot_modify(vma->vm_page_prot,
					  vm_get_page_prot(vma->vm_flags));
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vm_fault);

/**
 * drm_gem_dirty_vm_pfn_mkwrite - Handle a store through a read-only entry
 * @dirty: The tracker
 * @vmf: The fault, at a page within the buffer
 *
 * To be called by the driver's &vm_operations_struct.pfn_mkwrite handler, which
 * then returns VM_FAULT_NOPAGE. Either the entry is writable, and the core has
 * nothing left to do without the dma_resv, or it was revoked, and the access
 * faults again.
 *
 * Context: Called with a fault's locks, and the object's dma_resv.
 */
void drm_gem_dirty_vm_pfn_mkwrite(struct drm_gem_dirty *dirty,
				  struct vm_fault *vmf)
{
	struct drm_gem_dirty_map map;

	if (drm_gem_dirty_vm_pending(dirty, vmf))
		return;

	gem_dirty_write(dirty, vmf, &map);
	if (map.nr == 1)
		vmf_make_writable(vmf);
	else
		vma_make_writable(vmf->vma, map.addr,
				  map.addr + (map.nr << PAGE_SHIFT));
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vm_pfn_mkwrite);

MODULE_DESCRIPTION("DRM GEM dirty page tracking");
MODULE_LICENSE("Dual MIT/GPL");
