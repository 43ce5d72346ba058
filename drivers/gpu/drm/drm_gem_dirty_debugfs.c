// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/export.h>
#include <linux/seq_file.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_device.h>
#include <drm/drm_file.h>
#include <drm/drm_managed.h>
#include <drm/drm_vma_manager.h>

#include "drm_gem_dirty_internal.h"

/* The counters, all of them u64, with their names as sums and as columns. */
#define COUNTER(member, column) \
	{ offsetof(struct drm_gem_dirty_stats, member), #member, column }

static const struct {
	size_t offset;
	const char *sum;
	const char *column;
} counters[] = {
	COUNTER(passes, "passes"),
	COUNTER(passes_idle, "idle"),
	COUNTER(passes_unsure, "unsure"),
	COUNTER(faults, "faults"),
	COUNTER(pages_marked, "marked"),
	COUNTER(chunks_opened, "opened"),
	COUNTER(chunks_closed, "closed"),
	COUNTER(ptes_scanned, "scanned"),
	COUNTER(notifier_ranges, "notifier"),
	COUNTER(tlb_flushes, "flushes"),
	COUNTER(pages_harvested, "harvested"),
	COUNTER(chunks_revoked, "revoked"),
	COUNTER(read_backs, "readbacks"),
	COUNTER(pages_read_back, "readback"),
};

static u64 *gem_dirty_counter(struct drm_gem_dirty_stats *stats, int i)
{
	return (void *)stats + counters[i].offset;
}

static void gem_dirty_stats_add(struct drm_gem_dirty_stats *sum,
				struct drm_gem_dirty_stats *stats)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(counters); i++)
		*gem_dirty_counter(sum, i) +=
			READ_ONCE(*gem_dirty_counter(stats, i));
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
	int i;

	mutex_lock(&ddev->lock);

	sum = *ddev->gone;
	list_for_each_entry(dirty, &ddev->buffers, link)
		gem_dirty_stats_add(&sum, &dirty->stats);

	seq_printf(m, "buffers_tracked %llu\n", ddev->buffers_tracked);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		seq_printf(m, "%s %llu\n", counters[i].sum,
			   *gem_dirty_counter(&sum, i));

	seq_printf(m, "\n%8s %14s %12s %8s %8s", "buffer", "offset", "pages",
		   "open", "pending");
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		seq_printf(m, " %10s", counters[i].column);
	seq_putc(m, '\n');
	list_for_each_entry(dirty, &ddev->buffers, link) {
		seq_printf(m, "%8llu %14llx %12lu %8lu %8lu", dirty->id,
			   drm_vma_node_offset_addr(&dirty->obj->vma_node),
			   dirty->nr_pages, READ_ONCE(dirty->nr_open),
			   READ_ONCE(dirty->nr_pending));
		for (i = 0; i < ARRAY_SIZE(counters); i++)
			seq_printf(m, " %10llu",
				   READ_ONCE(*gem_dirty_counter(&dirty->stats, i)));
		seq_putc(m, '\n');
	}

	mutex_unlock(&ddev->lock);

	return 0;
}

void gem_dirty_device_add(struct drm_gem_dirty *dirty)
{
	struct drm_gem_dirty_device *ddev = dirty->ddev;

	mutex_lock(&ddev->lock);
	list_add_tail(&dirty->link, &ddev->buffers);
	dirty->id = ++ddev->buffers_tracked;
	mutex_unlock(&ddev->lock);
}

void gem_dirty_device_remove(struct drm_gem_dirty *dirty)
{
	struct drm_gem_dirty_device *ddev = dirty->ddev;

	mutex_lock(&ddev->lock);
	list_del(&dirty->link);
	gem_dirty_stats_add(ddev->gone, &dirty->stats);
	mutex_unlock(&ddev->lock);
}

/**
 * drmm_gem_dirty_device_init - Prepare a device for tracked buffers
 * @dev: The DRM device
 * @ddev: Accounts of its tracked buffers, which live as long as the device
 *
 * To be called before the device is registered. Adds the file "gem_dirty" to
 * the device's debugfs directory: the sums of all counters, then a line for each
 * buffer, with its number as in trace events and its mmap offset as in
 * /proc/<pid>/maps.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int drmm_gem_dirty_device_init(struct drm_device *dev,
			       struct drm_gem_dirty_device *ddev)
{
	ddev->buffers_tracked = 0;
	INIT_LIST_HEAD(&ddev->buffers);
	ddev->gone = drmm_kzalloc(dev, sizeof(*ddev->gone), GFP_KERNEL);
	if (!ddev->gone)
		return -ENOMEM;

	drm_debugfs_add_file(dev, "gem_dirty", gem_dirty_show, ddev);

	return drmm_mutex_init(dev, &ddev->lock);
}
EXPORT_SYMBOL_GPL(drmm_gem_dirty_device_init);
