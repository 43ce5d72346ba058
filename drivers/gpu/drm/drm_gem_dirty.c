// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/mapping_dirty.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_dirty.h>
#include <drm/drm_managed.h>
#include <drm/drm_vma_manager.h>

#define CREATE_TRACE_POINTS
#include "drm_gem_dirty_trace.h"

/**
 * DOC: Overview
 *
 * Some devices have a copy of a buffer of their own and do not see what the
 * CPU stores into it. This component finds out which pages user space has
 * written since the device was last told, so that the driver can tell it,
 * and user space can be promised a persistent, coherent mapping.
 *
 * The buffer is cut into chunks of &DRM_GEM_DIRTY_CHUNK_PAGES pages. A chunk
 * is closed at first: no page-table entry of any VMA that maps it is
 * writable. The first store to a closed chunk faults, which opens it: its
 * entries become writable and clean, the page that was written is marked, and
 * further stores leave their trace in the entries' dirty bits without
 * faulting. drm_gem_dirty_pass(), called before the device is to use the
 * buffer, collects the dirty bits of the open chunks, and closes a chunk that
 * has stayed clean for some passes. So a pass costs what the writers have
 * touched lately, whatever the size of the buffer, and nothing at all if
 * that was nothing.
 *
 * A writer that opens one chunk after the other in order has the ones ahead
 * opened as well, more of them each time. Where writes are rare, to wait for more
 * of them costs more than the next fault: a chunk of which the first pass finds a
 * single page dirty is closed by that pass, and the next time opened for one page
 * only. So is any chunk if this was the way of the last ones. A store to a second
 * page opens all of it. What is written again at once stays open, the page alone
 * if it is the same one.
 *
 * Where there is no certainty a page counts as dirty. A dirty entry that is
 * zapped, by munmap(), exit or mmap() over it, is remembered. Nothing is
 * allocated after drm_gem_dirty_create() and drm_gem_dirty_consumer_init(),
 * so nothing can fail when it is too late.
 *
 * The object's dma_resv is what makes opening, closing and passes exclude
 * each other. An entry becomes writable under it, never later: a fault handler
 * that left the last step to the core would make it writable when a pass has
 * already closed the chunk again, and the stores would be lost.
 *
 * An object may have several consumers, each of which gets all dirty pages.
 *
 * The other way, a device that writes to its copy, is for a driver that has
 * called drm_gem_dirty_read_back_init() for the consumer that is this copy. It
 * calls drm_gem_dirty_revoke() for what the device may write, under the dma_resv,
 * before it uploads what is dirty and lets the device go. From then on these
 * chunks have no page-table entries. An access by the CPU faults, waits for the
 * fences in the dma_resv, has the driver read back what may have been written of
 * the chunk, and maps it. While the device may be writing a page the CPU can't, so
 * neither overwrites what the other wrote. Where there are several copies, what
 * is read back from one is dirty for the others.
 *
 * Usage with the GEM shmem helpers, from the KUnit test, where it is compiled
 * and run. The device embeds a &drm_gem_dirty_device, for which it calls
 * drmm_gem_dirty_device_init() once::
 *
 *	static int coherent_bo_init(struct coherent_bo *bo,
 *				    struct drm_gem_dirty_device *ddev)
 *	{
 *		int ret;
 *
 *		ret = drm_gem_shmem_dirty_init(&bo->base, ddev);
 *		if (ret)
 *			return ret;
 *
 *		return drm_gem_dirty_consumer_init(&bo->device_copy,
 *						   bo->base.dirty);
 *	}
 *
 *	static int coherent_bo_mmap(struct drm_gem_object *obj,
 *				    struct vm_area_struct *vma)
 *	{
 *		return drm_gem_shmem_dirty_mmap(to_drm_gem_shmem_obj(obj), vma);
 *	}
 *
 *	static void coherent_bo_before_use(struct coherent_bo *bo)
 *	{
 *		pgoff_t first, nr;
 *
 *		dma_resv_assert_held(bo->base.base.resv);
 *
 *		drm_gem_shmem_dirty_pass(&bo->base);
 *		while (drm_gem_dirty_next(&bo->device_copy, &first, &nr))
 *			coherent_bo_upload(bo, first, nr);
 *	}
 *
 *	static void coherent_bo_free(struct coherent_bo *bo)
 *	{
 *		drm_gem_dirty_consumer_fini(&bo->device_copy);
 *		drm_gem_shmem_dirty_fini(&bo->base);
 *		drm_gem_shmem_free(&bo->base);
 *	}
 *
 * A driver with other memory below its objects calls the drm_gem_dirty_vm
 * functions from its own &vm_operations_struct, as drm_gem_shmem_dirty.c does.
 */

/*
 * Passes that a chunk has to stay clean before it is closed. To look at it so often
 * takes about as long as to close it and to open it again, and a ring of some frames
 * comes round before that.
 */
#define QUIET_PASSES	20

/* The same after a single page: it takes no more to have that fault again. */
#define QUIET_SINGLE	3

/* Passes in a row for which a chunk is opened only to be closed by them. */
#define BRIEF_PASSES	3

/* Of &drm_gem_dirty_chunk.closed */
#define CLOSED_MODULO	128

/*
 * The confidence that the next chunk will have but one page written, which grows
 * with each of which that was true, and from where on it is acted upon.
 */
#define SPARSE_MAX	3
#define SPARSE_LIKELY	2

/*
 * Over how many closed chunks a walk goes on to the next open one. To pass over a page
 * table is a twentieth of what another walk takes, without what its flush costs
 * others: 32 MiB of 4 KiB pages.
 */
#define SCAN_GAP_CHUNKS	128

/*
 * The most that is opened ahead of a streaming writer, or read back ahead of such
 * a reader: 4 MiB of 4 KiB pages.
 */
#define STREAM_CHUNKS_MAX	16

static void gem_dirty_stats_add(struct drm_gem_dirty_stats *sum,
				const struct drm_gem_dirty_stats *stats)
{
	sum->passes += stats->passes;
	sum->passes_idle += stats->passes_idle;
	sum->faults += stats->faults;
	sum->pages_marked += stats->pages_marked;
	sum->chunks_opened += stats->chunks_opened;
	sum->chunks_closed += stats->chunks_closed;
	sum->ptes_scanned += stats->ptes_scanned;
	sum->notifier_ranges += stats->notifier_ranges;
	sum->tlb_flushes += stats->tlb_flushes;
	sum->pages_harvested += stats->pages_harvested;
	sum->chunks_revoked += stats->chunks_revoked;
	sum->read_backs += stats->read_backs;
	sum->pages_read_back += stats->pages_read_back;
}

/*
 * The counters are read without the objects' locks, which a submitter can
 * hold for long. Each is a number of its own, none is used for a decision.
 */
static int gem_dirty_show(struct seq_file *m, void *data)
{
	struct drm_debugfs_entry *entry = m->private;
	struct drm_gem_dirty_device *ddev = entry->file.data;
	struct drm_gem_dirty_stats sum;
	struct drm_gem_dirty *dirty;

	mutex_lock(&ddev->lock);

	sum = ddev->gone;
	list_for_each_entry(dirty, &ddev->buffers, link)
		gem_dirty_stats_add(&sum, &dirty->stats);

	seq_printf(m, "buffers_tracked %llu\n", ddev->buffers_tracked);
	seq_printf(m, "passes %llu\n", sum.passes);
	seq_printf(m, "passes_idle %llu\n", sum.passes_idle);
	seq_printf(m, "faults %llu\n", sum.faults);
	seq_printf(m, "pages_marked %llu\n", sum.pages_marked);
	seq_printf(m, "chunks_opened %llu\n", sum.chunks_opened);
	seq_printf(m, "chunks_closed %llu\n", sum.chunks_closed);
	seq_printf(m, "ptes_scanned %llu\n", sum.ptes_scanned);
	seq_printf(m, "notifier_ranges %llu\n", sum.notifier_ranges);
	seq_printf(m, "tlb_flushes %llu\n", sum.tlb_flushes);
	seq_printf(m, "pages_harvested %llu\n", sum.pages_harvested);
	seq_printf(m, "chunks_revoked %llu\n", sum.chunks_revoked);
	seq_printf(m, "read_backs %llu\n", sum.read_backs);
	seq_printf(m, "pages_read_back %llu\n", sum.pages_read_back);

	seq_printf(m, "\n%8s %14s %12s %8s %10s %10s %10s %10s %10s %10s %12s %10s %10s %10s %8s %10s %10s\n",
		   "buffer", "offset", "pages", "open", "passes", "idle",
		   "faults", "marked", "opened", "closed", "scanned",
		   "notifier", "flushes", "harvested", "pending", "revoked",
		   "readback");
	list_for_each_entry(dirty, &ddev->buffers, link)
		seq_printf(m, "%8llu %14llx %12lu %8lu %10llu %10llu %10llu %10llu %10llu %10llu %12llu %10llu %10llu %10llu %8lu %10llu %10llu\n",
			   dirty->id,
			   drm_vma_node_offset_addr(&dirty->obj->vma_node),
			   dirty->nr_pages, dirty->nr_open,
			   dirty->stats.passes, dirty->stats.passes_idle,
			   dirty->stats.faults, dirty->stats.pages_marked,
			   dirty->stats.chunks_opened,
			   dirty->stats.chunks_closed,
			   dirty->stats.ptes_scanned,
			   dirty->stats.notifier_ranges,
			   dirty->stats.tlb_flushes,
			   dirty->stats.pages_harvested,
			   dirty->nr_pending, dirty->stats.chunks_revoked,
			   dirty->stats.pages_read_back);

	mutex_unlock(&ddev->lock);

	return 0;
}

/**
 * drmm_gem_dirty_device_init - Prepare a device for tracked buffers
 * @dev: The DRM device
 * @ddev: Accounts of its tracked buffers, which live as long as the device
 *
 * To be called before the device is registered. Adds the file "gem_dirty" to
 * the device's debugfs directory: the sums of all counters of
 * &drm_gem_dirty_stats, then a line for each buffer, with its number as in
 * trace events and its mmap offset as in /proc/<pid>/maps.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int drmm_gem_dirty_device_init(struct drm_device *dev,
			       struct drm_gem_dirty_device *ddev)
{
	int ret;

	memset(ddev, 0, sizeof(*ddev));
	INIT_LIST_HEAD(&ddev->buffers);
	ret = drmm_mutex_init(dev, &ddev->lock);
	if (ret)
		return ret;

	drm_debugfs_add_file(dev, "gem_dirty", gem_dirty_show, ddev);

	return 0;
}
EXPORT_SYMBOL_GPL(drmm_gem_dirty_device_init);

/**
 * drm_gem_dirty_create - Track the CPU writes to an object
 * @obj: The object. It must have its mmap offset. If it has been mapped
 * already drm_gem_dirty_open() must follow.
 * @ddev: The device's accounts
 *
 * All chunks are closed. Nothing is dirty: a consumer that does not have the
 * contents the object starts with needs drm_gem_dirty_mark().
 *
 * Context: Process context, may sleep.
 * Return: The tracker, or ERR_PTR(-ENOMEM).
 */
struct drm_gem_dirty *drm_gem_dirty_create(struct drm_gem_object *obj,
					   struct drm_gem_dirty_device *ddev)
{
	struct drm_gem_dirty *dirty;

	dirty = kzalloc(sizeof(*dirty), GFP_KERNEL);
	if (!dirty)
		return ERR_PTR(-ENOMEM);

	dirty->obj = obj;
	dirty->ddev = ddev;
	INIT_LIST_HEAD(&dirty->consumers);
	dirty->nr_pages = obj->size >> PAGE_SHIFT;
	dirty->nr_chunks = DIV_ROUND_UP(dirty->nr_pages,
					DRM_GEM_DIRTY_CHUNK_PAGES);
	dirty->open = kvcalloc(BITS_TO_LONGS(dirty->nr_chunks),
			       sizeof(*dirty->open), GFP_KERNEL);
	dirty->chunks = kvcalloc(dirty->nr_chunks, sizeof(*dirty->chunks),
				 GFP_KERNEL);
	dirty->zapped = kvcalloc(BITS_TO_LONGS(dirty->nr_pages),
				 sizeof(*dirty->zapped), GFP_KERNEL);
	if (!dirty->open || !dirty->chunks || !dirty->zapped) {
		kvfree(dirty->zapped);
		kvfree(dirty->chunks);
		kvfree(dirty->open);
		kfree(dirty);
		return ERR_PTR(-ENOMEM);
	}

	mutex_lock(&ddev->lock);
	list_add_tail(&dirty->link, &ddev->buffers);
	dirty->id = ++ddev->buffers_tracked;
	mutex_unlock(&ddev->lock);

	return dirty;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_create);

/**
 * drm_gem_dirty_destroy - Stop tracking
 * @dirty: The tracker, without consumers. The object is not mapped any more.
 *
 * Context: Process context, may sleep.
 */
void drm_gem_dirty_destroy(struct drm_gem_dirty *dirty)
{
	struct drm_gem_dirty_device *ddev = dirty->ddev;

	WARN_ON(!list_empty(&dirty->consumers));

	mutex_lock(&ddev->lock);
	list_del(&dirty->link);
	gem_dirty_stats_add(&ddev->gone, &dirty->stats);
	mutex_unlock(&ddev->lock);

	kvfree(dirty->pending);
	kvfree(dirty->zapped);
	kvfree(dirty->chunks);
	kvfree(dirty->open);
	kfree(dirty);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_destroy);

/**
 * drm_gem_dirty_consumer_init_locked - Add a consumer of dirty pages
 * @consumer: The consumer
 * @dirty: The tracker
 *
 * The consumer gets the pages that become dirty from now on.
 *
 * Context: Process context, may sleep. Called with the object's dma_resv held.
 * Return: 0, or -ENOMEM.
 */
int drm_gem_dirty_consumer_init_locked(struct drm_gem_dirty_consumer *consumer,
				       struct drm_gem_dirty *dirty)
{
	dma_resv_assert_held(dirty->obj->resv);

	consumer->pages = kvcalloc(BITS_TO_LONGS(dirty->nr_pages),
				   sizeof(*consumer->pages), GFP_KERNEL);
	if (!consumer->pages)
		return -ENOMEM;

	consumer->dirty = dirty;
	consumer->first = dirty->nr_pages;
	consumer->end = 0;
	consumer->read_back = NULL;
	consumer->written = NULL;
	list_add_tail(&consumer->link, &dirty->consumers);

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_consumer_init_locked);

/**
 * drm_gem_dirty_consumer_init - Add a consumer of dirty pages
 * @consumer: The consumer
 * @dirty: The tracker
 *
 * drm_gem_dirty_consumer_init_locked() for a caller without the dma_resv.
 *
 * Context: Process context, may sleep. Takes the object's dma_resv.
 * Return: 0, or -ENOMEM.
 */
int drm_gem_dirty_consumer_init(struct drm_gem_dirty_consumer *consumer,
				struct drm_gem_dirty *dirty)
{
	int ret;

	dma_resv_lock(dirty->obj->resv, NULL);
	ret = drm_gem_dirty_consumer_init_locked(consumer, dirty);
	dma_resv_unlock(dirty->obj->resv);

	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_consumer_init);

/**
 * drm_gem_dirty_consumer_fini_locked - Remove a consumer
 * @consumer: The consumer
 *
 * What the device has written to this copy, and has not been read back, is lost: if
 * the object can still be accessed drm_gem_dirty_read_back() comes first.
 *
 * Context: Process context, may sleep. Called with the object's dma_resv held.
 */
void drm_gem_dirty_consumer_fini_locked(struct drm_gem_dirty_consumer *consumer)
{
	dma_resv_assert_held(consumer->dirty->obj->resv);

	list_del(&consumer->link);
	kvfree(consumer->written);
	kvfree(consumer->pages);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_consumer_fini_locked);

/**
 * drm_gem_dirty_consumer_fini - Remove a consumer
 * @consumer: The consumer
 *
 * drm_gem_dirty_consumer_fini_locked() for a caller without the dma_resv.
 *
 * Context: Process context, may sleep. Takes the object's dma_resv.
 */
void drm_gem_dirty_consumer_fini(struct drm_gem_dirty_consumer *consumer)
{
	struct drm_gem_object *obj = consumer->dirty->obj;

	dma_resv_lock(obj->resv, NULL);
	drm_gem_dirty_consumer_fini_locked(consumer);
	dma_resv_unlock(obj->resv);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_consumer_fini);

/* Out of line: most buffers of a submission have nothing dirty. */
static noinline bool gem_dirty_next(struct drm_gem_dirty_consumer *consumer,
				    pgoff_t *first, pgoff_t *nr)
{
	unsigned long start, end;

	start = find_next_bit(consumer->pages, consumer->end, consumer->first);
	if (start >= consumer->end) {
		consumer->first = consumer->dirty->nr_pages;
		consumer->end = 0;
		return false;
	}

	end = start + 1;
	if (end < consumer->end && test_bit(end, consumer->pages)) {
		end = find_next_zero_bit(consumer->pages, consumer->end, end);
		bitmap_clear(consumer->pages, start, end - start);
	} else {
		__clear_bit(start, consumer->pages);
	}
	consumer->first = end;

	*first = start;
	*nr = end - start;
	trace_drm_gem_dirty_next(consumer->dirty, start, end - start);

	return true;
}

/**
 * drm_gem_dirty_next - Take a consumer's next range of dirty pages
 * @consumer: The consumer
 * @first: Returns the first page, in pages from the start of the buffer
 * @nr: Returns the number of pages
 *
 * The range is not dirty for this consumer any more: the caller brings the
 * consumer's copy up to date, or gives the pages back by
 * drm_gem_dirty_mark() if it can't.
 *
 * Context: Called with the object's dma_resv held.
 * Return: false if nothing is dirty.
 */
bool drm_gem_dirty_next(struct drm_gem_dirty_consumer *consumer,
			pgoff_t *first, pgoff_t *nr)
{
	dma_resv_assert_held(consumer->dirty->obj->resv);

	return consumer->first < consumer->end &&
		gem_dirty_next(consumer, first, nr);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_next);

/* Inlined for reports, of which a pass has one for each page that is alone. */
static __always_inline void
gem_dirty_set_for(struct drm_gem_dirty_consumer *consumer, unsigned long first,
		  unsigned long nr)
{
	/* Of writes here and there most are alone. */
	if (nr == 1)
		__set_bit(first, consumer->pages);
	else
		bitmap_set(consumer->pages, first, nr);
	consumer->first = min(consumer->first, first);
	consumer->end = max(consumer->end, first + nr);
}

/* For all consumers. Also called under page table locks: must not sleep. */
static void gem_dirty_set(struct drm_gem_dirty *dirty, unsigned long first,
			  unsigned long nr)
{
	struct drm_gem_dirty_consumer *consumer;

	list_for_each_entry(consumer, &dirty->consumers, link)
		gem_dirty_set_for(consumer, first, nr);
}

static bool gem_dirty_is_pending(struct drm_gem_dirty *dirty,
				 unsigned long chunk)
{
	return dirty->nr_pending && test_bit(chunk, dirty->pending);
}

/* Whether what the CPU would see of a page is older than what the device wrote. */
static bool gem_dirty_is_written(struct drm_gem_dirty *dirty, pgoff_t page)
{
	struct drm_gem_dirty_consumer *consumer;

	if (!gem_dirty_is_pending(dirty, page / DRM_GEM_DIRTY_CHUNK_PAGES))
		return false;

	list_for_each_entry(consumer, &dirty->consumers, link)
		if (consumer->written && test_bit(page, consumer->written))
			return true;

	return false;
}

/**
 * drm_gem_dirty_mark - Make pages dirty for all consumers
 * @dirty: The tracker
 * @first: First page, in pages from the start of the buffer
 * @nr: Number of pages, within the buffer
 *
 * For stores that the tracker can't see, such as those by the kernel itself.
 *
 * Pages that the device may have written, and that have not been read back, are
 * left out. They are older than the device's, and who stores to them has to
 * call drm_gem_dirty_read_back() first.
 *
 * Context: Called with the object's dma_resv held. Does not sleep.
 */
void drm_gem_dirty_mark(struct drm_gem_dirty *dirty, pgoff_t first, pgoff_t nr)
{
	pgoff_t end = first + nr;

	dma_resv_assert_held(dirty->obj->resv);

	if (!dirty->nr_pending) {
		gem_dirty_set(dirty, first, nr);
		dirty->stats.pages_marked += nr;
		return;
	}

	for (; first < end; first++) {
		if (gem_dirty_is_written(dirty, first))
			continue;
		gem_dirty_set(dirty, first, 1);
		dirty->stats.pages_marked++;
	}
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_mark);

struct gem_dirty_pass {
	struct mapping_dirty_pass base;
	struct drm_gem_dirty *dirty;
	pgoff_t start;
	/* There are chunks to be closed. */
	bool quiet;
};

static __always_inline void gem_dirty_found(struct drm_gem_dirty_chunk *chunk,
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
		gem_dirty_found(chunk++, page, DRM_GEM_DIRTY_CHUNK_PAGES - page);
		nr -= DRM_GEM_DIRTY_CHUNK_PAGES - page;
	}
	gem_dirty_found(chunk, page, nr);
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

	gem_dirty_set(dirty, first, nr);
	if (page + nr > DRM_GEM_DIRTY_CHUNK_PAGES)
		gem_dirty_found_more(chunk, page, nr);
	else
		gem_dirty_found(chunk, page, nr);
}

/* Walk the pages from @first up to and without @end. */
static void gem_dirty_harvest(struct gem_dirty_pass *pass, pgoff_t first,
			      pgoff_t end)
{
	struct drm_gem_dirty *dirty = pass->dirty;
	struct address_space *mapping =
		dirty->obj->dev->anon_inode->i_mapping;

	/* A VMA that can't be looked at may have written anything. */
	if (mapping_dirty_harvest(mapping, pass->start + first, end - first,
				  &pass->base))
		drm_gem_dirty_mark(dirty, first, end - first);
}

/* The chunks from @first up to and without @end have no writable entries. */
static void gem_dirty_closed(struct drm_gem_dirty *dirty, unsigned long first,
			     unsigned long end)
{
	bitmap_clear(dirty->open, first, end - first);
	dirty->nr_open -= end - first;
	dirty->stats.chunks_closed += end - first;
	trace_drm_gem_dirty_close(dirty, first, end - first);
}

/*
 * Close the open chunks from @first up to and without @end. What has been
 * written since they were last scanned is harvested.
 */
static void gem_dirty_close(struct gem_dirty_pass *pass, unsigned long first,
			    unsigned long end)
{
	struct drm_gem_dirty *dirty = pass->dirty;

	pass->base.flags = MAPPING_DIRTY_WRPROTECT | MAPPING_DIRTY_CLEAN;
	gem_dirty_harvest(pass, first * DRM_GEM_DIRTY_CHUNK_PAGES,
			  min(end * DRM_GEM_DIRTY_CHUNK_PAGES,
			      dirty->nr_pages));
	gem_dirty_closed(dirty, first, end);
}

/* Close the run of quiet chunks that starts at @first, return its end. */
static unsigned long gem_dirty_close_quiet(struct gem_dirty_pass *pass,
					   unsigned long first)
{
	struct drm_gem_dirty *dirty = pass->dirty;
	unsigned long end = first;

	while (end < dirty->nr_chunks && test_bit(end, dirty->open) &&
	       dirty->chunks[end].quiet >= QUIET_PASSES)
		end++;

	gem_dirty_close(pass, first, end);

	return end;
}

/* A chunk is closed by the first pass since it was opened, for a single page. */
static void gem_dirty_brief(struct drm_gem_dirty *dirty,
			    struct drm_gem_dirty_chunk *chunk)
{
	chunk->single = true;
	chunk->closed = dirty->stats.passes % CLOSED_MODULO;
	dirty->sparse = min(dirty->sparse + 1, SPARSE_MAX);
}

/* There is more than one page to a chunk. */
static void gem_dirty_not_brief(struct drm_gem_dirty *dirty)
{
	dirty->sparse = max(dirty->sparse - 1, 0);
}

/* Whether a chunk of which a single page is open is closed by its scan. */
static bool gem_dirty_single_ends(const struct drm_gem_dirty_chunk *chunk)
{
	return chunk->single && (chunk->fresh || chunk->quiet >= QUIET_PASSES);
}

static unsigned int gem_dirty_scan_flags(const struct drm_gem_dirty_chunk *chunk)
{
	if (gem_dirty_single_ends(chunk))
		return MAPPING_DIRTY_WRPROTECT | MAPPING_DIRTY_CLEAN;

	return MAPPING_DIRTY_CLEAN;
}

/* The first scan of a chunk since it was opened tells how it is written. */
static void gem_dirty_judge(struct drm_gem_dirty *dirty,
			    struct drm_gem_dirty_chunk *chunk)
{
	chunk->fresh = false;
	if (chunk->found > 1) {
		gem_dirty_not_brief(dirty);
	} else if (chunk->found) {
		gem_dirty_brief(dirty, chunk);
		chunk->quiet = QUIET_PASSES;
	}
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

	return min(*first + DRM_GEM_DIRTY_CHUNK_PAGES, dirty->nr_pages);
}

/* What a scan of more than one chunk looks at: &mapping_dirty_pass.next. */
static bool gem_dirty_next_open(struct mapping_dirty_pass *base, pgoff_t pgoff,
				struct mapping_dirty_range *range)
{
	struct gem_dirty_pass *pass =
		container_of(base, struct gem_dirty_pass, base);
	struct drm_gem_dirty *dirty = pass->dirty;
	pgoff_t page = pgoff - pass->start;
	unsigned long i = page / DRM_GEM_DIRTY_CHUNK_PAGES;
	struct drm_gem_dirty_chunk *chunk;
	pgoff_t first, end, last;

	/* Of a chunk that @page is in it can be a page before that. */
	do {
		i = find_next_bit(dirty->open, dirty->nr_chunks, i);
		if (i >= dirty->nr_chunks)
			return false;
		chunk = &dirty->chunks[i];
		end = gem_dirty_open_pages(dirty, i++, &first);
	} while (end <= page);

	/* Whole chunks can be walked in one go. */
	for (; !chunk->single && i < dirty->nr_chunks &&
	     test_bit(i, dirty->open) && !dirty->chunks[i].single; i++)
		;
	end = gem_dirty_open_pages(dirty, i - 1, &last);

	range->first = pass->start + first;
	range->nr = end - first;
	range->flags = gem_dirty_scan_flags(chunk);

	return true;
}

/* What becomes of an open chunk that has been scanned. */
static void gem_dirty_scanned(struct gem_dirty_pass *pass, unsigned long i)
{
	struct drm_gem_dirty *dirty = pass->dirty;
	struct drm_gem_dirty_chunk *chunk = &dirty->chunks[i];

	if (gem_dirty_single_ends(chunk)) {
		if (chunk->fresh)
			gem_dirty_brief(dirty, chunk);
		gem_dirty_closed(dirty, i, i + 1);
	} else if (!chunk->single) {
		if (chunk->fresh)
			gem_dirty_judge(dirty, chunk);
		pass->quiet |= chunk->quiet >= QUIET_PASSES;
	}
}

/* The next open chunk, of which there has to be one. */
static unsigned long gem_dirty_open_after(struct drm_gem_dirty *dirty,
					  unsigned long i)
{
	i++;

	return test_bit(i, dirty->open) ? i :
		find_next_bit(dirty->open, dirty->nr_chunks, i);
}

/* Scan the open chunks from @first to @last. */
static void gem_dirty_scan_span(struct gem_dirty_pass *pass,
				unsigned long first, unsigned long last)
{
	struct drm_gem_dirty *dirty = pass->dirty;
	pgoff_t start, end, page;

	end = gem_dirty_open_pages(dirty, first, &start);
	pass->base.flags = gem_dirty_scan_flags(&dirty->chunks[first]);
	if (last > first) {
		end = gem_dirty_open_pages(dirty, last, &page);
		pass->base.next = gem_dirty_next_open;
	}
	gem_dirty_harvest(pass, start, end);
	pass->base.next = NULL;
}

/*
 * Scan all that is open. Where that is not far apart it is one walk, one mmu_notifier
 * range and one flush for each VMA.
 */
static void gem_dirty_scan(struct gem_dirty_pass *pass)
{
	struct drm_gem_dirty *dirty = pass->dirty;
	struct drm_gem_dirty_chunk *chunk;
	unsigned long left, first, last, next;
	bool changes = false;

	first = find_next_bit(dirty->open, dirty->nr_chunks, dirty->first_open);
	dirty->first_open = first;
	last = first;
	next = first;
	for (left = dirty->nr_open; ; next = gem_dirty_open_after(dirty, last)) {
		if (next - last > SCAN_GAP_CHUNKS) {
			gem_dirty_scan_span(pass, first, last);
			first = next;
		}
		chunk = &dirty->chunks[next];
		chunk->quiet++;
		changes |= chunk->single || chunk->fresh ||
			chunk->quiet >= QUIET_PASSES;
		last = next;
		if (!--left)
			break;
	}
	gem_dirty_scan_span(pass, first, last);

	/* None of them can have to be closed, or to be judged. */
	if (!changes)
		return;

	next = dirty->first_open;
	for (left = dirty->nr_open; ; next = gem_dirty_open_after(dirty, next)) {
		gem_dirty_scanned(pass, next);
		if (!--left)
			break;
	}
}

static void gem_dirty_account(struct gem_dirty_pass *pass)
{
	struct drm_gem_dirty_stats *stats = &pass->dirty->stats;

	stats->ptes_scanned += pass->base.scanned;
	stats->notifier_ranges += pass->base.notifier_ranges;
	stats->tlb_flushes += pass->base.flushes;
	stats->pages_harvested += pass->base.cleaned;
	trace_drm_gem_dirty_pass(pass->dirty, &pass->base);
}

/* Out of line: most passes have nothing to do. */
static noinline void gem_dirty_pass_open(struct drm_gem_dirty *dirty)
{
	struct gem_dirty_pass pass = {
		.base.report = gem_dirty_report,
		.dirty = dirty,
		.start = drm_vma_node_start(&dirty->obj->vma_node),
	};
	unsigned long first, page;

	if (dirty->nr_open)
		gem_dirty_scan(&pass);

	first = pass.quiet ? dirty->first_open : dirty->nr_chunks;
	for_each_set_bit_from(first, dirty->open, dirty->nr_chunks)
		if (dirty->chunks[first].quiet >= QUIET_PASSES)
			first = gem_dirty_close_quiet(&pass, first) - 1;

	/*
	 * After the walks, for entries that were zapped just before they came
	 * by. The bits stay: CPUs may still be writing through their TLBs.
	 */
	if (test_bit(0, &dirty->any_zapped))
		for_each_set_bit(page, dirty->zapped, dirty->nr_pages)
			drm_gem_dirty_mark(dirty, page, 1);

	gem_dirty_account(&pass);
}

/**
 * drm_gem_dirty_pass - Find out what has been written
 * @dirty: The tracker
 *
 * Afterwards every page that user space has stored to, with stores that
 * completed before the call and that no earlier pass found, is dirty for each
 * consumer, and its data can be read.
 *
 * If no chunk is open that is known without looking: no page table is walked,
 * no mmu_notifier called and no TLB flushed.
 *
 * Context: Process context, may sleep. Called with the object's dma_resv
 * held. Takes i_mmap_rwsem of the device's address_space.
 */
void drm_gem_dirty_pass(struct drm_gem_dirty *dirty)
{
	dma_resv_assert_held(dirty->obj->resv);

	dirty->stats.passes++;
	if (dirty->nr_open || test_bit(0, &dirty->any_zapped))
		gem_dirty_pass_open(dirty);
	else
		dirty->stats.passes_idle++;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_pass);

/**
 * drm_gem_dirty_open - Open all chunks
 * @dirty: The tracker
 *
 * For an object that was mapped before it was tracked: its entries can be
 * writable and dirty, and the next pass, or drm_gem_dirty_close(), has to look
 * at them.
 *
 * Context: Called with the object's dma_resv held. Does not sleep.
 */
void drm_gem_dirty_open(struct drm_gem_dirty *dirty)
{
	dma_resv_assert_held(dirty->obj->resv);

	dirty->stats.chunks_opened += dirty->nr_chunks - dirty->nr_open;
	bitmap_fill(dirty->open, dirty->nr_chunks);
	dirty->first_open = 0;
	memset(dirty->chunks, 0, dirty->nr_chunks * sizeof(*dirty->chunks));
	dirty->nr_open = dirty->nr_chunks;
	trace_drm_gem_dirty_open(dirty, 0, dirty->nr_chunks);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_open);

/**
 * drm_gem_dirty_close - Find out what has been written, and close all chunks
 * @dirty: The tracker
 *
 * To be called before unmap_mapping_range() removes the object's entries, when
 * it moves for example. Their dirty bits would be remembered by
 * drm_gem_dirty_vm_zap(), but only a VMA's end clears that memory, and the
 * pages would count as dirty in each pass until then. Afterwards no entry is
 * writable or dirty, and as long as the caller holds the dma_resv none can
 * become it.
 *
 * Context: As drm_gem_dirty_pass().
 */
void drm_gem_dirty_close(struct drm_gem_dirty *dirty)
{
	struct gem_dirty_pass pass = {
		.base.report = gem_dirty_report,
		.dirty = dirty,
		.start = drm_vma_node_start(&dirty->obj->vma_node),
	};
	unsigned long first, end;

	dma_resv_assert_held(dirty->obj->resv);

	if (!dirty->nr_open)
		return;

	for_each_set_bitrange(first, end, dirty->open, dirty->nr_chunks)
		gem_dirty_close(&pass, first, end);

	gem_dirty_account(&pass);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_close);

/**
 * drm_gem_dirty_read_back_init - Prepare for a device that writes
 * @consumer: The copy that it writes
 * @read_back: Brings @nr pages of the buffer from @first on up to date with the
 * copy. Called with the dma_resv held, one slot of it reserved, and all fences in
 * it signalled that are of &DMA_RESV_USAGE_WRITE or before. Pages of the range that
 * are dirty for @consumer have to be uploaded first. It returns when the data is
 * there, for which it may use drm_gem_dirty_wait(), or an error.
 *
 * Context: Process context, may sleep. Called with the object's dma_resv held, or
 * before the object can be used.
 * Return: 0, or -ENOMEM.
 */
int drm_gem_dirty_read_back_init(struct drm_gem_dirty_consumer *consumer,
				 int (*read_back)(struct drm_gem_dirty_consumer *consumer,
						  pgoff_t first, pgoff_t nr))
{
	struct drm_gem_dirty *dirty = consumer->dirty;

	consumer->written = kvcalloc(BITS_TO_LONGS(dirty->nr_pages),
				     sizeof(*consumer->written), GFP_KERNEL);
	if (!consumer->written)
		return -ENOMEM;

	if (!dirty->pending)
		dirty->pending = kvcalloc(BITS_TO_LONGS(dirty->nr_chunks),
					  sizeof(*dirty->pending), GFP_KERNEL);
	if (!dirty->pending)
		return -ENOMEM;

	consumer->read_back = read_back;

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_read_back_init);

/* Take the chunks from @first up to and without @end from the CPU. */
static void gem_dirty_revoke(struct gem_dirty_pass *pass, unsigned long first,
			     unsigned long end)
{
	struct drm_gem_dirty *dirty = pass->dirty;
	unsigned long open = first, open_end;
	unsigned long page = first * DRM_GEM_DIRTY_CHUNK_PAGES;
	unsigned long end_page = min(end * DRM_GEM_DIRTY_CHUNK_PAGES,
				     dirty->nr_pages);

	for_each_set_bitrange_from(open, open_end, dirty->open, end)
		gem_dirty_close(pass, open, open_end);

	unmap_mapping_pages(dirty->obj->dev->anon_inode->i_mapping,
			    pass->start + page, end_page - page, false);

	/* Those of a VMA that goes away at this moment: not later, see mark. */
	if (test_bit(0, &dirty->any_zapped))
		for_each_set_bit_from(page, dirty->zapped, end_page)
			drm_gem_dirty_mark(dirty, page, 1);

	bitmap_set(dirty->pending, first, end - first);
	dirty->nr_pending += end - first;
	dirty->stats.chunks_revoked += end - first;
	trace_drm_gem_dirty_revoke(dirty, first, end - first);
}

/**
 * drm_gem_dirty_revoke - Take pages from the CPU, because the device writes them
 * @consumer: The copy that it writes, with drm_gem_dirty_read_back_init()
 * @first: First page, in pages from the start of the buffer
 * @nr: Number of pages, within the buffer
 *
 * To be called for what the device may write, before that is queued, and before
 * drm_gem_dirty_pass() and drm_gem_dirty_next(): what the CPU has stored becomes
 * dirty. The fence of what is queued then must be in the dma_resv, with
 * &DMA_RESV_USAGE_WRITE, before that is released.
 *
 * The CPU loses whole chunks, of which only these pages are read back. Chunks that
 * have not been accessed since they were last revoked cost nothing.
 *
 * Context: As drm_gem_dirty_pass().
 */
void drm_gem_dirty_revoke(struct drm_gem_dirty_consumer *consumer,
			  pgoff_t first, pgoff_t nr)
{
	struct drm_gem_dirty *dirty = consumer->dirty;
	struct gem_dirty_pass pass = {
		.base.report = gem_dirty_report,
		.dirty = dirty,
		.start = drm_vma_node_start(&dirty->obj->vma_node),
	};
	unsigned long chunk = first / DRM_GEM_DIRTY_CHUNK_PAGES;
	unsigned long last = DIV_ROUND_UP(first + nr, DRM_GEM_DIRTY_CHUNK_PAGES);
	unsigned long end;

	dma_resv_assert_held(dirty->obj->resv);

	bitmap_set(consumer->written, first, nr);
	if (dirty->nr_pending == dirty->nr_chunks)
		return;

	for_each_clear_bitrange_from(chunk, end, dirty->pending, last)
		gem_dirty_revoke(&pass, chunk, end);

	gem_dirty_account(&pass);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_revoke);

struct gem_dirty_wait {
	struct dma_fence_cb base;
	struct completion done;
};

static void gem_dirty_wait_done(struct dma_fence *fence,
				struct dma_fence_cb *base)
{
	complete(&container_of(base, struct gem_dirty_wait, base)->done);
}

/**
 * drm_gem_dirty_wait - Wait for a fence, as a page fault has to
 * @obj: The object that is accessed
 * @fence: The fence
 *
 * A process that is being killed does not wait any longer. Other signals have to:
 * the access can't be interrupted when it is the kernel's. A device that was
 * unplugged is not waited for.
 *
 * Context: Process context, may sleep. May be called with the object's dma_resv
 * and mmap_lock held.
 * Return: 0, -ERESTARTSYS when killed, -ENODEV, or the error of the fence.
 */
int drm_gem_dirty_wait(struct drm_gem_object *obj, struct dma_fence *fence)
{
	/* Those of vmwgfx are brought to an end by nothing else. */
	bool own = fence->ops->wait;
	struct gem_dirty_wait wait;
	long ret;

	init_completion(&wait.done);
	if (!own && dma_fence_add_callback(fence, &wait.base,
					   gem_dirty_wait_done))
		return min(dma_fence_get_status(fence), 0);

	/* dma_fence_wait_timeout() is not killable. */
	do {
		if (own)
			ret = dma_fence_wait_timeout(fence, false, HZ);
		else
			ret = wait_for_completion_killable_timeout(&wait.done,
								   HZ);
		if (!ret && fatal_signal_pending(current))
			ret = -ERESTARTSYS;
		if (!ret && drm_dev_is_unplugged(obj->dev))
			ret = -ENODEV;
	} while (!ret);

	/* A callback that can't be removed has been called. */
	if (ret < 0 && (own || dma_fence_remove_callback(fence, &wait.base)))
		return ret;

	return min(dma_fence_get_status(fence), 0);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_wait);

/**
 * drm_gem_dirty_wait_idle - Wait until the device has written, as a page fault has to
 * @obj: The object that is accessed
 *
 * Without the dma_resv there can be more to wait for all the time: then only what
 * there is at first counts, and drm_gem_dirty_read_around() does the rest. An error
 * of a submission is not that of the CPU that reads what came of it.
 *
 * Context: As drm_gem_dirty_wait(), with the object's dma_resv held or not.
 * Return: 0, -ERESTARTSYS when killed, or -ENODEV.
 */
int drm_gem_dirty_wait_idle(struct drm_gem_object *obj)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	bool waited = false;
	int ret = 0;

	dma_resv_iter_begin(&cursor, obj->resv, DMA_RESV_USAGE_WRITE);
	dma_resv_for_each_fence_unlocked(&cursor, fence) {
		if (waited && dma_resv_iter_is_restarted(&cursor))
			break;
		ret = drm_gem_dirty_wait(obj, fence);
		if (ret == -ERESTARTSYS || ret == -ENODEV)
			break;
		ret = 0;
		waited = true;
	}
	dma_resv_iter_end(&cursor);

	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_wait_idle);

/* What is read back from one copy is new to the others. */
static void gem_dirty_set_others(struct drm_gem_dirty_consumer *consumer,
				 unsigned long first, unsigned long nr)
{
	struct drm_gem_dirty_consumer *other;

	list_for_each_entry(other, &consumer->dirty->consumers, link)
		if (other != consumer)
			gem_dirty_set_for(other, first, nr);
}

/* Read back what has been written from @first up to and without @end. */
static int gem_dirty_fetch(struct drm_gem_dirty_consumer *consumer,
			   unsigned long first, unsigned long end)
{
	struct drm_gem_dirty *dirty = consumer->dirty;
	unsigned long last;
	int ret;

	for_each_set_bitrange_from(first, last, consumer->written, end) {
		unsigned long nr = last - first;

		ret = dma_resv_reserve_fences(dirty->obj->resv, 1);
		if (ret)
			return ret;
		ret = consumer->read_back(consumer, first, nr);
		if (ret)
			return ret;

		bitmap_clear(consumer->written, first, nr);
		gem_dirty_set_others(consumer, first, nr);
		dirty->stats.read_backs++;
		dirty->stats.pages_read_back += nr;
	}

	return 0;
}

/**
 * drm_gem_dirty_read_back - Bring pages up to date with what the device wrote
 * @dirty: The tracker
 * @first: First page, in pages from the start of the buffer
 * @nr: Number of pages, within the buffer
 *
 * For accesses other than by page faults, such as by a debugger or through a
 * kernel mapping. Waits for the device, and has those chunks read back that it
 * may have written. If there are none it does nothing.
 *
 * Context: Process context, may sleep. Called with the object's dma_resv held.
 * Return: 0, -ERESTARTSYS if the process is being killed, -ENODEV if the device
 * is gone, -ENOMEM, or the driver's error. The pages are as out of date as
 * before then.
 */
int drm_gem_dirty_read_back(struct drm_gem_dirty *dirty, pgoff_t first,
			    pgoff_t nr)
{
	unsigned long chunk = first / DRM_GEM_DIRTY_CHUNK_PAGES;
	unsigned long last = DIV_ROUND_UP(first + nr, DRM_GEM_DIRTY_CHUNK_PAGES);
	struct drm_gem_dirty_consumer *consumer;
	unsigned long end;
	int ret;

	dma_resv_assert_held(dirty->obj->resv);

	if (!dirty->nr_pending || find_next_bit(dirty->pending, last, chunk) >= last)
		return 0;

	ret = drm_gem_dirty_wait_idle(dirty->obj);
	if (ret)
		return ret;

	for_each_set_bitrange_from(chunk, end, dirty->pending, last) {
		list_for_each_entry(consumer, &dirty->consumers, link) {
			if (!consumer->written)
				continue;
			ret = gem_dirty_fetch(consumer,
					      chunk * DRM_GEM_DIRTY_CHUNK_PAGES,
					      min(end * DRM_GEM_DIRTY_CHUNK_PAGES,
						  dirty->nr_pages));
			if (ret)
				return ret;
		}

		bitmap_clear(dirty->pending, chunk, end - chunk);
		dirty->nr_pending -= end - chunk;
		trace_drm_gem_dirty_read_back(dirty, chunk, end - chunk);
	}

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_read_back);

/**
 * drm_gem_dirty_read_around - Bring a page that is accessed up to date
 * @dirty: The tracker
 * @page: The page, in pages from the start of the buffer
 *
 * drm_gem_dirty_read_back() for the page's chunk, and if the accesses are in order
 * for some more.
 *
 * Context: As drm_gem_dirty_read_back().
 * Return: As drm_gem_dirty_read_back().
 */
int drm_gem_dirty_read_around(struct drm_gem_dirty *dirty, pgoff_t page)
{
	unsigned long chunk = page / DRM_GEM_DIRTY_CHUNK_PAGES;
	unsigned long first, end, nr;

	/* Another fault can have been here meanwhile. */
	if (!gem_dirty_is_pending(dirty, chunk))
		return 0;

	if (chunk && chunk == dirty->next_read)
		dirty->read_stream = min(2 * dirty->read_stream,
					 STREAM_CHUNKS_MAX);
	else
		dirty->read_stream = 1;

	for (end = chunk; end < dirty->nr_chunks &&
	     end < chunk + dirty->read_stream &&
	     gem_dirty_is_pending(dirty, end); end++)
		;

	dirty->next_read = end;
	first = chunk * DRM_GEM_DIRTY_CHUNK_PAGES;
	nr = min(end * DRM_GEM_DIRTY_CHUNK_PAGES, dirty->nr_pages) - first;

	return drm_gem_dirty_read_back(dirty, first, nr);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_read_around);

/**
 * drm_gem_dirty_is_stale - Whether something else was written to another copy
 * @consumer: The copy
 *
 * If so drm_gem_dirty_read_back() has to be called, for all pages, before the device
 * may use this copy: then that is dirty for it.
 *
 * Context: Called with the object's dma_resv held.
 */
bool drm_gem_dirty_is_stale(struct drm_gem_dirty_consumer *consumer)
{
	struct drm_gem_dirty *dirty = consumer->dirty;
	struct drm_gem_dirty_consumer *other;

	dma_resv_assert_held(dirty->obj->resv);

	if (!dirty->nr_pending)
		return false;

	list_for_each_entry(other, &dirty->consumers, link)
		if (other != consumer && other->written &&
		    !bitmap_empty(other->written, dirty->nr_pages))
			return true;

	return false;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_is_stale);

static pgoff_t gem_dirty_page(struct drm_gem_dirty *dirty, pgoff_t pgoff)
{
	return pgoff - drm_vma_node_start(&dirty->obj->vma_node);
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
	end = min(end * DRM_GEM_DIRTY_CHUNK_PAGES, dirty->nr_pages);

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

/*
 * Open the chunk that is being written, or of one that is written rarely the
 * page alone, and if to go on is a habit, some more.
 */
static unsigned long gem_dirty_open(struct drm_gem_dirty *dirty,
				    unsigned long chunk, pgoff_t page)
{
	/* Who leaves a chunk after a single page does not go on from it. */
	bool stream = chunk && chunk == dirty->next_chunk &&
		!dirty->chunks[chunk - 1].single;
	unsigned long end;

	dirty->stream = stream ? min(2 * dirty->stream, STREAM_CHUNKS_MAX) : 1;
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
	drm_gem_dirty_mark(dirty, page, 1);

	if (!test_bit(i, dirty->open))
		end = gem_dirty_open(dirty, i, page);

	if (chunk->single && chunk->page == page % DRM_GEM_DIRTY_CHUNK_PAGES) {
		gem_dirty_map_one(dirty, vmf, map);
		return;
	}

	/* A second page: from now on it is all of the chunk. */
	if (chunk->single) {
		chunk->single = false;
		chunk->fresh = false;
		gem_dirty_not_brief(dirty);
	}
	gem_dirty_clip(dirty, vmf->vma, i, end, map);
}

/**
 * drm_gem_dirty_vm_is_pending - Whether a fault has to wait for the device
 * @dirty: The tracker
 * @vmf: The fault, at a page within the buffer
 *
 * Context: Called with what a fault holds, and the object's dma_resv.
 */
bool drm_gem_dirty_vm_is_pending(struct drm_gem_dirty *dirty,
				 struct vm_fault *vmf)
{
	dma_resv_assert_held(dirty->obj->resv);

	return gem_dirty_is_pending(dirty, gem_dirty_page(dirty, vmf->pgoff) /
				    DRM_GEM_DIRTY_CHUNK_PAGES);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vm_is_pending);

/**
 * drm_gem_dirty_vm_read_back - Bring what is accessed up to date in a fault
 * @dirty: The tracker
 * @vmf: The fault, at a page within the buffer
 *
 * To be called by the driver's &vm_operations_struct.fault handler before
 * drm_gem_dirty_vm_fault(). If the device may have written the page, waits for
 * it and reads the page back, with some others; and with neither the fault's lock
 * nor the dma_resv held for as long as the device is at work, if the fault can be
 * retried. Then it has nothing but a reference to the object, and the tracker has
 * to exist as long as that.
 *
 * Context: Called with what a fault holds, and the object's dma_resv.
 * Return: 0 to go on. VM_FAULT_RETRY: both locks have been released, unless
 * &FAULT_FLAG_RETRY_NOWAIT is set. VM_FAULT_NOPAGE: the process is being killed.
 * VM_FAULT_SIGBUS: there is no device, or it failed. VM_FAULT_OOM. The handler
 * returns these, and releases the dma_resv if it is held still.
 */
vm_fault_t drm_gem_dirty_vm_read_back(struct drm_gem_dirty *dirty,
				      struct vm_fault *vmf)
{
	pgoff_t page = gem_dirty_page(dirty, vmf->pgoff);
	struct drm_gem_object *obj = dirty->obj;
	int ret;

	if (!drm_gem_dirty_vm_is_pending(dirty, vmf))
		return 0;

	if (fault_flag_allow_retry_first(vmf->flags)) {
		if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
			return VM_FAULT_RETRY;

		drm_gem_object_get(obj);
		dma_resv_unlock(obj->resv);
		release_fault_lock(vmf);

		/* If anything is wrong the fault that comes again finds it. */
		if (!drm_gem_dirty_wait_idle(obj) &&
		    !dma_resv_lock_interruptible(obj->resv, NULL)) {
			drm_gem_dirty_read_around(dirty, page);
			dma_resv_unlock(obj->resv);
		}
		drm_gem_object_put(obj);

		return VM_FAULT_RETRY;
	}

	ret = drm_gem_dirty_read_around(dirty, page);
	if (ret == -ERESTARTSYS)
		return VM_FAULT_NOPAGE;

	return ret ? vmf_error(ret) : 0;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vm_read_back);

/**
 * drm_gem_dirty_vm_fault - Handle a fault on an entry that is not present
 * @dirty: The tracker
 * @vmf: The fault, at a page within the buffer
 * @map: Returns what to map, with which protection
 *
 * To be called by the driver's &vm_operations_struct.fault handler, which
 * then inserts the entries of @map that are not present, before it releases
 * the dma_resv. The page of the fault is one of them. Stores to others that are
 * present and read-only fault on their own.
 *
 * Context: Called with what a fault holds, and the object's dma_resv.
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
	if (test_bit(chunk, dirty->open) &&
	    (vmf->flags & FAULT_FLAG_WRITE || !dirty->chunks[chunk].single))
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
 * then returns VM_FAULT_NOPAGE: the entry is writable, and the core has nothing
 * left to do that it would do without the dma_resv; or it was revoked, and the
 * access faults again.
 *
 * Context: Called with what a fault holds, and the object's dma_resv.
 */
void drm_gem_dirty_vm_pfn_mkwrite(struct drm_gem_dirty *dirty,
				  struct vm_fault *vmf)
{
	struct drm_gem_dirty_map map;

	if (drm_gem_dirty_vm_is_pending(dirty, vmf))
		return;

	gem_dirty_write(dirty, vmf, &map);
	if (map.nr == 1)
		vmf_make_writable(vmf);
	else
		vma_make_writable(vmf->vma, map.addr,
				  map.addr + (map.nr << PAGE_SHIFT));
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vm_pfn_mkwrite);

/**
 * drm_gem_dirty_vm_zap - Remember the dirty bit of an entry that goes away
 * @dirty: The tracker
 * @vma: The VMA
 * @addr: The entry's address
 * @size: What it mapped, in bytes
 *
 * To be called by the driver's &vm_operations_struct.pfn_zap_dirty handler.
 *
 * Context: Any, called under a page table lock.
 */
void drm_gem_dirty_vm_zap(struct drm_gem_dirty *dirty,
			  struct vm_area_struct *vma, unsigned long addr,
			  unsigned long size)
{
	pgoff_t page = gem_dirty_page(dirty, linear_page_index(vma, addr));
	pgoff_t nr = size >> PAGE_SHIFT;

	if (WARN_ON_ONCE(page >= dirty->nr_pages ||
			 nr > dirty->nr_pages - page))
		return;

	for (; nr; nr--, page++)
		set_bit(page, dirty->zapped);
	/* Who sees the flag finds the bits: pairs with test_bit() in the pass. */
	smp_mb__after_atomic();
	set_bit(0, &dirty->any_zapped);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vm_zap);

/**
 * drm_gem_dirty_vm_close - Account for what went away with a VMA
 * @dirty: The tracker
 * @vma: The VMA, whose entries are gone and whose TLB has been flushed
 *
 * To be called by the driver's &vm_operations_struct.close handler. Pages
 * that drm_gem_dirty_vm_zap() remembered become dirty once more, for stores
 * that came after the zap, and are forgotten.
 *
 * Context: Called with the object's dma_resv held.
 */
void drm_gem_dirty_vm_close(struct drm_gem_dirty *dirty,
			    struct vm_area_struct *vma)
{
	pgoff_t page = gem_dirty_page(dirty, vma->vm_pgoff);
	pgoff_t end = min(page + vma_pages(vma), dirty->nr_pages);

	dma_resv_assert_held(dirty->obj->resv);

	if (!test_and_clear_bit(0, &dirty->any_zapped))
		return;

	for_each_set_bit_from(page, dirty->zapped, end) {
		clear_bit(page, dirty->zapped);
		drm_gem_dirty_mark(dirty, page, 1);
	}

	/* Other VMAs may be on their way out. */
	if (!bitmap_empty(dirty->zapped, dirty->nr_pages))
		set_bit(0, &dirty->any_zapped);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vm_close);

MODULE_DESCRIPTION("DRM GEM dirty page tracking");
MODULE_LICENSE("Dual MIT/GPL");
