// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_vma_manager.h>

#include "drm_gem_dirty_internal.h"
#include "drm_gem_dirty_trace.h"

/**
 * DOC: read back
 *
 * If the device writes to its copy, the driver gives drm_gem_dirty_consumer_init() a
 * function to read back, and tells drm_gem_dirty_prepare() what the device may
 * write. These chunks are revoked: they have no page-table entries and are pending.
 * An access by the CPU faults, waits for the fences in the dma_resv, calls the
 * driver to read back what may have been written of the chunk, and maps it. While
 * the device may write a page the CPU can't, so neither overwrites the other's
 * data. What is read back from one copy is dirty for the others.
 */

int gem_dirty_read_back_init(struct drm_gem_dirty_consumer *consumer)
{
	struct drm_gem_dirty *dirty = consumer->dirty;

	if (!dirty->pending) {
		dirty->pending = kvcalloc(BITS_TO_LONGS(dirty->nr_chunks),
					  sizeof(*dirty->pending),
					  GFP_KERNEL_ACCOUNT);
		if (!dirty->pending)
			return -ENOMEM;
		dirty->ready_end = dirty->nr_chunks;
	}

	consumer->written = kvcalloc(BITS_TO_LONGS(consumer->page +
						   consumer->nr_pages -
						   consumer->base),
				     sizeof(*consumer->written),
				     GFP_KERNEL_ACCOUNT);

	return consumer->written ? 0 : -ENOMEM;
}

/* The device of a consumer may write pages, of the consumer's or beyond. */
static void gem_dirty_set_written(struct drm_gem_dirty_consumer *consumer,
				  pgoff_t first, pgoff_t end)
{
	first = max(first, consumer->page);
	end = min(end, consumer->page + consumer->nr_pages);
	if (first < end)
		bitmap_set(consumer->written, first - consumer->base,
			   end - first);
}

/* Chunks that are closed lose their page-table entries. */
static void gem_dirty_set_pending(struct drm_gem_dirty *dirty,
				  unsigned long chunk, unsigned long end)
{
	pgoff_t first = gem_dirty_chunk_page(dirty, chunk);

	unmap_mapping_pages(dirty->obj->dev->anon_inode->i_mapping,
			    drm_vma_node_start(&dirty->obj->vma_node) + first,
			    gem_dirty_chunk_page(dirty, end) - first, false);
	bitmap_set(dirty->pending, chunk, end - chunk);
	dirty->nr_pending += end - chunk;
	dirty->stats.chunks_revoked += end - chunk;
	trace_drm_gem_dirty_revoke(dirty, chunk, end - chunk);
}

/*
 * Take pages from the CPU because the device is to write them. Their chunks are
 * closed. Those that were not accessed since the last time cost nothing.
 */
void gem_dirty_revoke(struct drm_gem_dirty_consumer *consumer, pgoff_t first,
		      pgoff_t nr)
{
	struct drm_gem_dirty *dirty = consumer->dirty;
	unsigned long chunk = first / DRM_GEM_DIRTY_CHUNK_PAGES;
	unsigned long last = DIV_ROUND_UP(first + nr, DRM_GEM_DIRTY_CHUNK_PAGES);
	bool all = first <= consumer->page &&
		first + nr >= consumer->page + consumer->nr_pages;
	/* All that is pending is known to be written. */
	bool whole = all && consumer->whole && consumer->whole == dirty->revoked;
	unsigned long end;

	if (!dirty->nr_pending)
		dirty->writer = consumer;
	else if (dirty->writer != consumer)
		dirty->writer = NULL;

	chunk = max(chunk, dirty->ready_first);
	last = min(last, dirty->ready_end);
	for_each_clear_bitrange_from(chunk, end, dirty->pending, last) {
		gem_dirty_set_pending(dirty, chunk, end);
		dirty->revoked++;
		if (whole)
			gem_dirty_set_written(consumer,
					      gem_dirty_chunk_page(dirty, chunk),
					      gem_dirty_chunk_page(dirty, end));
	}
	if (dirty->nr_pending == dirty->nr_chunks) {
		dirty->ready_first = dirty->nr_chunks;
		dirty->ready_end = 0;
	}

	/* What the driver brings up to date by itself is not to be read back. */
	if (dirty->unseen && consumer->queues_read_back) {
		dirty->revoked++;
		return;
	}
	if (!whole)
		gem_dirty_set_written(consumer, first, first + nr);
	if (all)
		consumer->whole = dirty->revoked;
}

/* Whether what a device wrote to a page was not read back yet. */
bool gem_dirty_is_written(struct drm_gem_dirty *dirty, pgoff_t page)
{
	struct drm_gem_dirty_consumer *consumer;

	list_for_each_entry(consumer, &dirty->consumers, link)
		if (consumer->written && page >= consumer->page &&
		    page < consumer->page + consumer->nr_pages &&
		    test_bit(page - consumer->base, consumer->written))
			return true;

	return false;
}

/* What is in memory is newer than what devices have written. */
void gem_dirty_unwrite(struct drm_gem_dirty *dirty, pgoff_t first, pgoff_t nr)
{
	struct drm_gem_dirty_consumer *consumer;

	list_for_each_entry(consumer, &dirty->consumers, link) {
		pgoff_t from = max(first, consumer->page);
		pgoff_t end = min(first + nr,
				  consumer->page + consumer->nr_pages);

		if (consumer->written && from < end)
			bitmap_clear(consumer->written, from - consumer->base,
				     end - from);
	}
	dirty->revoked++;
}

static int gem_dirty_wait(struct drm_gem_object *obj, struct dma_fence *fence,
			  bool intr)
{
	long ret;

	do {
		ret = intr ? dma_fence_wait_timeout(fence, true, HZ) :
			     dma_fence_wait_killable_timeout(fence, HZ);
		if (!ret && drm_dev_is_unplugged(obj->dev))
			ret = -ENODEV;
	} while (!ret);

	return ret < 0 ? ret : min(dma_fence_get_status(fence), 0);
}

/**
 * drm_gem_dirty_wait - Wait for a fence, as a page fault has to
 * @obj: The object that is accessed
 * @fence: The fence
 *
 * The wait ends if the process is being killed. Other signals do not end it: the
 * kernel's own access can't be interrupted. It also ends if the device was
 * unplugged, whose fences may never signal.
 *
 * Context: Process context, may sleep. May be called with the object's dma_resv
 * held.
 * Return: 0, -ERESTARTSYS when killed, -ENODEV, or the error of the fence.
 */
int drm_gem_dirty_wait(struct drm_gem_object *obj, struct dma_fence *fence)
{
	return gem_dirty_wait(obj, fence, false);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_wait);

static int gem_dirty_wait_idle(struct drm_gem_object *obj, bool intr)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	bool waited = false;
	int ret = 0;

	dma_resv_iter_begin(&cursor, obj->resv, DMA_RESV_USAGE_WRITE);
	dma_resv_for_each_fence_unlocked(&cursor, fence) {
		if (waited && dma_resv_iter_is_restarted(&cursor))
			break;
		ret = gem_dirty_wait(obj, fence, intr);
		if (ret == -ERESTARTSYS || ret == -ENODEV)
			break;
		ret = 0;
		waited = true;
	}
	dma_resv_iter_end(&cursor);

	return ret;
}

/**
 * drm_gem_dirty_wait_idle - Wait until the device has written
 * @obj: The object that is accessed
 *
 * Without the dma_resv new fences can come all the time: this waits for the
 * first ones only, and drm_gem_dirty_read_around() does the rest. An error of a
 * submission is no error of the access.
 *
 * Context: As drm_gem_dirty_wait(), with the object's dma_resv held or not.
 * Return: 0, -ERESTARTSYS when killed, or -ENODEV.
 */
int drm_gem_dirty_wait_idle(struct drm_gem_object *obj)
{
	return gem_dirty_wait_idle(obj, false);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_wait_idle);

/**
 * drm_gem_dirty_vm_wait - Wait until the device has written, in a page fault
 * @obj: The object that is accessed
 * @vmf: The fault, which is going to be retried
 *
 * As drm_gem_dirty_wait_idle(). But if it is user space's own access, and not the
 * kernel's on its behalf, any signal ends the wait: user space handles the signal,
 * and repeats the access.
 *
 * Context: Process context, without the fault's lock and without the object's
 * dma_resv. @vmf's VMA may be gone.
 * Return: 0, -ERESTARTSYS for a signal, or -ENODEV.
 */
int drm_gem_dirty_vm_wait(struct drm_gem_object *obj, struct vm_fault *vmf)
{
	const unsigned int user = FAULT_FLAG_USER | FAULT_FLAG_INTERRUPTIBLE;

	return gem_dirty_wait_idle(obj, (vmf->flags & user) == user);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_vm_wait);

/* Read back what has been written from @first up to and without @end. */
static int gem_dirty_fetch(struct drm_gem_dirty_consumer *consumer,
			   pgoff_t first, pgoff_t end)
{
	struct drm_gem_dirty *dirty = consumer->dirty;
	pgoff_t base = consumer->base;
	unsigned long from, last;
	int ret;

	first = max(first, consumer->page);
	end = min(end, consumer->page + consumer->nr_pages);
	if (!consumer->written || first >= end)
		return 0;

	from = first - base;
	for_each_set_bitrange_from(from, last, consumer->written, end - base) {
		unsigned long nr = last - from;

		ret = dma_resv_reserve_fences(dirty->obj->resv, 1);
		if (ret)
			return ret;
		ret = consumer->read_back(consumer, base + from, nr);
		if (ret)
			return ret;

		bitmap_clear(consumer->written, from, nr);
		if (!list_is_singular(&dirty->consumers))
			gem_dirty_found_for_others(consumer, base + from, nr);
		dirty->stats.read_backs++;
		dirty->stats.pages_read_back += nr;
	}

	return 0;
}

/**
 * drm_gem_dirty_read_back - Read back what the device wrote to pages
 * @dirty: The tracker
 * @first: First page, in pages from the start of the buffer
 * @nr: Number of pages, within the buffer
 *
 * For accesses without page faults, such as by a debugger or through a kernel
 * mapping. Waits for the device, and reads back the chunks that it may have
 * written. If there are none it does nothing.
 *
 * Context: Process context, may sleep. Called with the object's dma_resv held.
 * Return: 0, -ERESTARTSYS if the process is being killed, -ENODEV if the device
 * is gone, -ENOMEM, or the driver's error. The pages are unchanged then.
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
			ret = gem_dirty_fetch(consumer,
					      gem_dirty_chunk_page(dirty, chunk),
					      gem_dirty_chunk_page(dirty, end));
			if (ret)
				return ret;
			cond_resched();
		}

		bitmap_clear(dirty->pending, chunk, end - chunk);
		dirty->nr_pending -= end - chunk;
		dirty->ready_first = min(dirty->ready_first, chunk);
		dirty->ready_end = max(dirty->ready_end, end);
		trace_drm_gem_dirty_read_back(dirty, chunk, end - chunk);
	}

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_read_back);

/**
 * drm_gem_dirty_read_around - Read back a page that is accessed, and its chunk
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
	unsigned long end;
	pgoff_t first;
	int ret;

	/* Another fault can have been here meanwhile. */
	if (!gem_dirty_is_pending(dirty, chunk))
		return 0;

	if (chunk && chunk == dirty->next_read)
		dirty->read_stream = min(2 * dirty->read_stream,
					 GEM_DIRTY_STREAM_MAX);
	else
		dirty->read_stream = 1;

	for (end = chunk; end < dirty->nr_chunks &&
	     end < chunk + dirty->read_stream &&
	     gem_dirty_is_pending(dirty, end); end++)
		;

	dirty->next_read = end;
	first = gem_dirty_chunk_page(dirty, chunk);

	ret = drm_gem_dirty_read_back(dirty, first,
				      gem_dirty_chunk_page(dirty, end) - first);
	/* For the fault that comes again, unless it is of no process. */
	dirty->read_error = ret == -ERESTARTSYS ? 0 : ret;
	dirty->error_chunk = chunk;

	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_read_around);

/**
 * drm_gem_dirty_is_stale - Whether the device may have written another copy
 * @consumer: The copy
 *
 * If so, call drm_gem_dirty_read_back() for all pages before the device uses this
 * copy. What is read back is dirty for it.
 *
 * Context: Called with the object's dma_resv held.
 * Return: true if it may have.
 */
bool drm_gem_dirty_is_stale(struct drm_gem_dirty_consumer *consumer)
{
	struct drm_gem_dirty *dirty = consumer->dirty;

	dma_resv_assert_held(dirty->obj->resv);

	return dirty->nr_pending && dirty->writer != consumer;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_is_stale);
