// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/bitmap.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "drm_gem_dirty_internal.h"
#include "drm_gem_dirty_trace.h"

/**
 * DOC: consumers
 *
 * A pass records dirty pages, also under page table locks, in one bitmap of the
 * buffer. When a consumer asks for dirty pages, or is new, each consumer gets those of
 * its part of the buffer. From then on consumers are independent of each other.
 */

/* Give what was found to a consumer, words of the bitmap at a time. */
static void gem_dirty_give_to(struct drm_gem_dirty_consumer *consumer,
			      unsigned long word, unsigned long end_word)
{
	struct drm_gem_dirty *dirty = consumer->dirty;
	unsigned long base = consumer->base / BITS_PER_LONG;
	pgoff_t end = consumer->page + consumer->nr_pages;
	unsigned long last = (end - 1) / BITS_PER_LONG;

	word = max(word, base);
	end_word = min(end_word, last + 1);
	if (word >= end_word)
		return;

	for (; word < end_word; word++)
		consumer->pages[word - base] |= dirty->found[word];
	consumer->pages[0] &= BITMAP_FIRST_WORD_MASK(consumer->page);
	consumer->pages[last - base] &= BITMAP_LAST_WORD_MASK(end);

	consumer->first = max(min(consumer->first, dirty->found_first),
			      consumer->page);
	consumer->end = min(max(consumer->end, dirty->found_end), end);
}

/* Give what was found to all consumers, or to all but one. */
static void gem_dirty_give(struct drm_gem_dirty *dirty,
			   const struct drm_gem_dirty_consumer *but)
{
	unsigned long word = dirty->found_first / BITS_PER_LONG;
	unsigned long end = BITS_TO_LONGS(dirty->found_end);
	struct drm_gem_dirty_consumer *consumer;

	list_for_each_entry(consumer, &dirty->consumers, link) {
		if (consumer != but)
			gem_dirty_give_to(consumer, word, end);
		cond_resched();
	}
	memset(dirty->found + word, 0, (end - word) * sizeof(*dirty->found));
	gem_dirty_found_none(dirty);
}

static void gem_dirty_distribute(struct drm_gem_dirty *dirty)
{
	if (dirty->found_first < dirty->found_end)
		gem_dirty_give(dirty, NULL);
}

/**
 * drm_gem_dirty_consumer_init - Add a consumer of dirty pages
 * @consumer: The consumer
 * @dirty: The tracker
 * @first: First page of the buffer that the copy has
 * @nr: Number of pages, within the buffer
 * @read_back: Copies @nr pages from @first on from the device copy to the buffer, or
 * NULL if the device does not write it. Called with the dma_resv held, one slot of
 * it reserved, and all its fences of &DMA_RESV_USAGE_WRITE or before signalled.
 * Pages of the range that are dirty for @consumer have to be uploaded first. It
 * returns when the data is there, or an error.
 *
 * The consumer gets the pages that become dirty from now on.
 *
 * Context: Process context, may sleep. Called with the object's dma_resv held.
 * Memory is charged to the caller, and is as large as the copy's part.
 * Return: 0, or -ENOMEM.
 */
int drm_gem_dirty_consumer_init(struct drm_gem_dirty_consumer *consumer,
				struct drm_gem_dirty *dirty, pgoff_t first,
				pgoff_t nr,
				int (*read_back)(struct drm_gem_dirty_consumer *consumer,
						 pgoff_t first, pgoff_t nr))
{
	dma_resv_assert_held(dirty->obj->resv);

	consumer->dirty = dirty;
	consumer->page = first;
	consumer->nr_pages = nr;
	consumer->base = round_down(first, BITS_PER_LONG);
	consumer->first = first + nr;
	consumer->end = 0;
	consumer->read_back = read_back;
	consumer->queues_read_back = false;
	consumer->written = NULL;
	consumer->whole = 0;
	consumer->pages = kvcalloc(BITS_TO_LONGS(first + nr - consumer->base),
				   sizeof(*consumer->pages),
				   GFP_KERNEL_ACCOUNT);
	if (!consumer->pages)
		return -ENOMEM;

	if (read_back && gem_dirty_read_back_init(consumer)) {
		kvfree(consumer->pages);
		return -ENOMEM;
	}

	gem_dirty_distribute(dirty);
	list_add_tail(&consumer->link, &dirty->consumers);

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_consumer_init);

/**
 * drm_gem_dirty_consumer_fini - Remove a consumer
 * @consumer: The consumer
 *
 * Device writes to this copy that were not read back are lost: call
 * drm_gem_dirty_read_back() first if the object can still be accessed.
 *
 * Context: Process context, may sleep. Called with the object's dma_resv held.
 */
void drm_gem_dirty_consumer_fini(struct drm_gem_dirty_consumer *consumer)
{
	dma_resv_assert_held(consumer->dirty->obj->resv);

	if (consumer->dirty->writer == consumer)
		consumer->dirty->writer = NULL;
	list_del(&consumer->link);
	kvfree(consumer->written);
	kvfree(consumer->pages);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_consumer_fini);

/**
 * drm_gem_dirty_refill - Make all pages dirty for one consumer
 * @consumer: The consumer, whose copy has nothing of the buffer
 *
 * Context: Called with the object's dma_resv held. Does not sleep.
 */
void drm_gem_dirty_refill(struct drm_gem_dirty_consumer *consumer)
{
	dma_resv_assert_held(consumer->dirty->obj->resv);

	bitmap_set(consumer->pages, consumer->page - consumer->base,
		   consumer->nr_pages);
	consumer->first = consumer->page;
	consumer->end = consumer->page + consumer->nr_pages;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_refill);

static noinline bool gem_dirty_next(struct drm_gem_dirty_consumer *consumer,
				    pgoff_t *first, pgoff_t *nr)
{
	unsigned long size, start, end;

	gem_dirty_distribute(consumer->dirty);

	if (consumer->first >= consumer->end)
		return false;

	size = consumer->end - consumer->base;
	start = find_next_bit(consumer->pages, size,
			      consumer->first - consumer->base);
	if (start >= size) {
		consumer->first = consumer->page + consumer->nr_pages;
		consumer->end = 0;
		return false;
	}

	end = start + 1;
	if (end < size && test_bit(end, consumer->pages)) {
		end = find_next_zero_bit(consumer->pages, size, end);
		bitmap_clear(consumer->pages, start, end - start);
	} else {
		__clear_bit(start, consumer->pages);
	}
	consumer->first = consumer->base + end;

	*first = consumer->base + start;
	*nr = end - start;
	trace_drm_gem_dirty_next(consumer->dirty, *first, *nr);

	return true;
}

/**
 * drm_gem_dirty_next - Take a consumer's next range of dirty pages
 * @consumer: The consumer
 * @first: Returns the first page, in pages from the start of the buffer
 * @nr: Returns the number of pages
 *
 * The range is no longer dirty for this consumer: the caller uploads it, or
 * returns the pages with drm_gem_dirty_mark() if it can't.
 *
 * Context: Called with the object's dma_resv held. May sleep.
 * Return: false if nothing is dirty.
 */
bool drm_gem_dirty_next(struct drm_gem_dirty_consumer *consumer,
			pgoff_t *first, pgoff_t *nr)
{
	struct drm_gem_dirty *dirty = consumer->dirty;

	dma_resv_assert_held(dirty->obj->resv);

	return (dirty->found_first < dirty->found_end ||
		consumer->first < consumer->end) &&
		gem_dirty_next(consumer, first, nr);
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_next);

/* What was read back from one consumer's copy is new to the others. */
void gem_dirty_found_for_others(struct drm_gem_dirty_consumer *consumer,
				pgoff_t first, pgoff_t nr)
{
	gem_dirty_distribute(consumer->dirty);
	gem_dirty_found(consumer->dirty, first, nr);
	gem_dirty_give(consumer->dirty, consumer);
}

/**
 * drm_gem_dirty_mark - Make pages dirty for all consumers
 * @dirty: The tracker
 * @first: First page, in pages from the start of the buffer
 * @nr: Number of pages, within the buffer
 *
 * For stores that the tracker can't see, such as those by the kernel itself.
 * Memory counts as newer than what the device has written: before a store to a
 * part of a page call drm_gem_dirty_read_back().
 *
 * Context: Called with the object's dma_resv held. Does not sleep.
 */
void drm_gem_dirty_mark(struct drm_gem_dirty *dirty, pgoff_t first, pgoff_t nr)
{
	dma_resv_assert_held(dirty->obj->resv);

	if (dirty->nr_pending)
		gem_dirty_unwrite(dirty, first, nr);
	gem_dirty_found(dirty, first, nr);
	dirty->stats.pages_marked += nr;
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_mark);

/*
 * What is written without page faults can be anywhere. If the device has written
 * meanwhile, and that was not brought up to date at once, it has to be now.
 */
void gem_dirty_mark_unseen(struct drm_gem_dirty *dirty)
{
	pgoff_t page;

	if (!drm_gem_dirty_read_back(dirty, 0, dirty->nr_pages)) {
		drm_gem_dirty_mark(dirty, 0, dirty->nr_pages);
		return;
	}

	/* What could not be read back is newer than what is in memory. */
	for (page = 0; page < dirty->nr_pages; page++)
		if (!gem_dirty_is_written(dirty, page))
			drm_gem_dirty_mark(dirty, page, 1);
}

/**
 * drm_gem_dirty_unseen - Begin or end stores that take no page faults
 * @dirty: The tracker
 * @unseen: Whether it begins
 *
 * For a kernel mapping, or another device with the pages. Until it ends, all
 * pages are dirty at each drm_gem_dirty_prepare(), and once more when it ends.
 * Before it begins, drm_gem_dirty_read_back() brings the pages up to date.
 *
 * Context: Called with the object's dma_resv held. May sleep when it ends.
 */
void drm_gem_dirty_unseen(struct drm_gem_dirty *dirty, bool unseen)
{
	dma_resv_assert_held(dirty->obj->resv);

	if (unseen) {
		dirty->unseen++;
	} else {
		gem_dirty_mark_unseen(dirty);
		dirty->unseen--;
	}
}
EXPORT_SYMBOL_GPL(drm_gem_dirty_unseen);
