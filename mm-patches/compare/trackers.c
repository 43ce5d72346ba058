// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Trackers to compare with: vmob's buffers get the one that was asked for on
 * /dev/vmob_compare. Mainline's is mainline's own file, with what is around it
 * in vmwgfx_bo.h.
 */

#include <linux/delay.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cacheflush.h>
#include <asm/tlbflush.h>

#include <drm/drm_gem_dirty.h>
#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_bo_dirty.h>
#include <drm/ttm/ttm_tt.h>

#include "../internal.h"
#include "../../drivers/gpu/drm/drm_gem_dirty_internal.h"
#include "vmwgfx_page_dirty.c"

#define COMPARE_MAX_RANGES	BIT(20)

/* As unprotected as stock_count. */
static struct compare_stats compare_stats;

/* Protects compare_open and compare_memory. */
static DEFINE_MUTEX(compare_lock);
static bool compare_open;
static u64 compare_memory;
static bool compare_timed;

static const struct vmob_tracker compare_trackers[COMPARE_HUGE + 1];

static unsigned int compare_kind(const struct vmob_bo *bo)
{
	return bo->tracker - compare_trackers;
}

static struct vmw_bo *compare_bo(struct vmob_copy *copy)
{
	return container_of(copy->bo, struct vmw_bo, vmob);
}

/*
 * As it is allocated by ttm_bo_dirty.c and drm_gem_dirty.c for a buffer with
 * one consumer.
 */
static size_t compare_our_size(const struct drm_gem_dirty *dirty)
{
	return sizeof(*dirty) + 2 * sizeof(long) +
		dirty->nr_chunks * sizeof(*dirty->chunks) + sizeof(long) * (BITS_TO_LONGS(dirty->nr_chunks) +
				2 * BITS_TO_LONGS(dirty->nr_pages));
}

static int compare_track_mainline(struct vmw_bo *vbo, unsigned int kind)
{
	struct dma_resv *resv = vbo->tbo.base.resv;
	int ret;

	dma_resv_lock(resv, NULL);
	ret = vmw_bo_dirty_add(vbo);
	if (!ret && kind == COMPARE_PAGETABLE)
		vbo->dirty->method = VMW_BO_DIRTY_PAGETABLE;
	if (!ret && kind == COMPARE_MKWRITE)
		vbo->dirty->method = VMW_BO_DIRTY_MKWRITE;
	dma_resv_unlock(resv);
	if (ret)
		return ret;

	vbo->memory = sizeof(*vbo->dirty) + sizeof(long) *
		BITS_TO_LONGS(vbo->dirty->bitmap_size);

	return 0;
}

static int compare_track(struct vmob_device *vmob, struct vmob_copy *copy)
{
	struct vmw_bo *vbo = compare_bo(copy);
	unsigned int kind = compare_kind(copy->bo);
	int ret = 0;

	/* Only ours knows views. */
	if (vbo->tracked)
		return -EINVAL;

	switch (kind) {
	case COMPARE_OURS:
	case COMPARE_HUGE:
		ret = vmob_copy_track(vmob, copy, NULL);
		if (!ret)
			vbo->memory = compare_our_size(vbo->vmob.dirty.tracker);
		break;
	case COMPARE_MAINLINE:
	case COMPARE_PAGETABLE:
	case COMPARE_MKWRITE:
		ret = compare_track_mainline(vbo, kind);
		break;
	}
	if (ret)
		return ret;

	mutex_lock(&compare_lock);
	compare_memory += vbo->memory;
	mutex_unlock(&compare_lock);
	vbo->tracked = true;

	return 0;
}

static void compare_untrack(struct vmob_copy *copy)
{
	struct vmw_bo *vbo = compare_bo(copy);

	if (vbo->vmob.dirty.tracker)
		vmob_copy_untrack(copy);

	dma_resv_lock(vbo->tbo.base.resv, NULL);
	vmw_bo_dirty_release(vbo);
	kvfree(vbo->told);
	vbo->told = NULL;
	vbo->nr_told = 0;
	vbo->tracked = false;
	dma_resv_unlock(vbo->tbo.base.resv);

	mutex_lock(&compare_lock);
	compare_memory -= vbo->memory;
	mutex_unlock(&compare_lock);
}

static void compare_update_mainline(struct vmw_bo *vbo, unsigned int kind,
				    struct vmob_job *job, u32 index)
{
	struct vmw_resource res = {
		.guest_memory_bo = vbo,
		.guest_memory_size = vbo->tbo.base.size,
		.job = job,
		.index = index,
	};

	/* Without hysteresis it keeps its method. */
	if (kind != COMPARE_MAINLINE)
		vbo->dirty->change_count = 0;

	vmw_bo_dirty_scan(vbo);
	vmw_bo_dirty_transfer_to_res(&res);
}

/* Clean the entries of a run of pages, of which every one is there. */
static void compare_clean(struct vm_area_struct *vma, unsigned long addr,
			  unsigned long end)
{
	while (addr < end) {
		unsigned long next = pmd_addr_end(addr, end);
		pmd_t *pmd = mm_find_pmd(vma->vm_mm, addr);
		pte_t *pte, *first;
		spinlock_t *ptl;	/* of the page table */

		first = pmd ? pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl) :
			NULL;
		if (!first) {
			addr = next;
			continue;
		}

		stock_count.entries += (next - addr) >> PAGE_SHIFT;
		for (pte = first; addr < next; pte++, addr += PAGE_SIZE) {
			pte_t old = ptep_modify_prot_start(vma, addr, pte);

			ptep_modify_prot_commit(vma, addr, pte, old,
						pte_mkclean(old));
		}
		pte_unmap_unlock(first, ptl);
	}
}

/* What cannot be avoided, in the VMA that was written through. */
static void compare_clean_told(struct vmw_bo *vbo, struct vm_area_struct *vma)
{
	unsigned long base = vma->vm_start -
		((vma->vm_pgoff - drm_vma_node_start(&vbo->tbo.base.vma_node)) <<
		 PAGE_SHIFT);
	const struct compare_range *last = &vbo->told[vbo->nr_told - 1];
	unsigned long start = base + (vbo->told[0].first << PAGE_SHIFT);
	unsigned long end = base + ((last->first + last->nr) << PAGE_SHIFT);
	bool notify = mm_has_notifiers(vma->vm_mm);
	struct mmu_notifier_range range;
	u32 i;

	if (start < vma->vm_start || end > vma->vm_end)
		return;

	if (notify) {
		mmu_notifier_range_init(&range, MMU_NOTIFY_PROTECTION_PAGE, 0,
					vma->vm_mm, start, end);
		mmu_notifier_invalidate_range_start(&range);
		stock_count.ranges++;
	}
	flush_cache_range(vma, start, end);
	inc_tlb_flush_pending(vma->vm_mm);

	for (i = 0; i < vbo->nr_told; i++) {
		unsigned long addr = base + (vbo->told[i].first << PAGE_SHIFT);

		compare_clean(vma, addr, addr + (vbo->told[i].nr << PAGE_SHIFT));
	}

	flush_tlb_range(vma, start, end);
	stock_count.flushes++;
	dec_tlb_flush_pending(vma->vm_mm);
	if (notify)
		mmu_notifier_invalidate_range_end(&range);
}

static void compare_update_oracle(struct vmw_bo *vbo, struct vmob_job *job,
				  u32 index)
{
	struct address_space *mapping = vbo->tbo.bdev->dev_mapping;
	pgoff_t first = drm_vma_node_start(&vbo->tbo.base.vma_node);
	struct vm_area_struct *vma;
	u32 i;

	if (!vbo->nr_told)
		return;

	i_mmap_lock_read(mapping);
	vma_interval_tree_foreach(vma, &mapping->i_mmap, first,
				  first + PFN_UP(vbo->tbo.base.size) - 1) {
		if (vma->vm_mm == vbo->told_mm &&
		    vma->vm_start == vbo->told_addr) {
			compare_clean_told(vbo, vma);
			break;
		}
	}
	i_mmap_unlock_read(mapping);

	for (i = 0; i < vbo->nr_told; i++)
		vmob_job_upload(job, index, vbo->told[i].first,
				vbo->told[i].nr);
	vbo->nr_told = 0;
}

static void compare_update(struct vmob_copy *copy, struct vmob_job *job,
			   u32 index)
{
	unsigned int kind = compare_kind(copy->bo);
	struct vmw_bo *vbo = compare_bo(copy);
	u64 begun = 0;

	dma_resv_assert_held(vbo->tbo.base.resv);

	if (compare_timed)
		begun = ktime_get_ns();

	switch (kind) {
	case COMPARE_OURS:
	case COMPARE_HUGE:
		vmob_copy_update(copy, job, index);
		break;
	case COMPARE_MAINLINE:
	case COMPARE_PAGETABLE:
	case COMPARE_MKWRITE:
		compare_update_mainline(vbo, kind, job, index);
		break;
	case COMPARE_ORACLE:
		compare_update_oracle(vbo, job, index);
		break;
	}

	if (compare_timed)
		compare_stats.ns += ktime_get_ns() - begun;
	compare_stats.passes++;
}

static const struct vm_operations_struct compare_vmw_vm_ops = {
	.open = ttm_bo_vm_open,
	.close = ttm_bo_vm_close,
	.fault = vmw_bo_vm_fault,
	.pfn_mkwrite = vmw_bo_vm_mkwrite,
	.page_mkwrite = vmw_bo_vm_mkwrite,
};

/* All entries are writable. */
static const struct vm_operations_struct compare_ttm_vm_ops = {
	.open = ttm_bo_vm_open,
	.close = ttm_bo_vm_close,
	.fault = ttm_bo_vm_fault,
};

/*
 * A huge entry is read-only, so all it maps has to be closed. A store to it comes
 * here as well, and the core splits it then, which for device memory is to remove
 * it: the store faults once more, for its chunk.
 */
static vm_fault_t compare_insert_huge(struct ttm_buffer_object *bo,
				      struct vm_fault *vmf)
{
	unsigned long addr = vmf->address & PMD_MASK;
	struct drm_gem_dirty *dirty = to_vmob_bo(bo)->dirty.tracker;
	struct vm_area_struct *vma = vmf->vma;
	unsigned long first, chunk, end, pfn;

	if (addr < vma->vm_start || addr + PMD_SIZE > vma->vm_end ||
	    !dirty || dirty->nr_pending || bo->resource->bus.is_iomem ||
	    !ttm_tt_is_populated(bo->ttm))
		return VM_FAULT_FALLBACK;

	first = linear_page_index(vma, addr) -
		drm_vma_node_start(&bo->base.vma_node);
	chunk = first / DRM_GEM_DIRTY_CHUNK_PAGES;
	end = DIV_ROUND_UP(first + HPAGE_PMD_NR, DRM_GEM_DIRTY_CHUNK_PAGES);
	if (first + HPAGE_PMD_NR > dirty->nr_pages ||
	    find_next_bit(dirty->open, end, chunk) < end)
		return VM_FAULT_FALLBACK;

	/* TTM's blocks are aligned: if both ends fit it is one. */
	pfn = page_to_pfn(bo->ttm->pages[first]);
	if (pfn % HPAGE_PMD_NR ||
	    page_to_pfn(bo->ttm->pages[first + HPAGE_PMD_NR - 1]) !=
	    pfn + HPAGE_PMD_NR - 1)
		return VM_FAULT_FALLBACK;

	return vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV), false);
}

static vm_fault_t compare_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct ttm_buffer_object *bo = vmf->vma->vm_private_data;
	vm_fault_t ret;

	if (order != PMD_ORDER || (vmf->flags & FAULT_FLAG_WRITE))
		return VM_FAULT_FALLBACK;

	ret = ttm_bo_vm_reserve(bo, vmf);
	if (ret)
		return ret;
	ret = compare_insert_huge(bo, vmf);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

static const struct vm_operations_struct compare_huge_vm_ops = {
	.open = ttm_bo_dirty_vm_open,
	.close = ttm_bo_dirty_vm_close,
	.fault = ttm_bo_dirty_vm_fault,
	.huge_fault = compare_huge_fault,
	.pfn_mkwrite = ttm_bo_dirty_vm_pfn_mkwrite,
};

#define COMPARE_TRACKER(_vm_ops)		\
	{					\
		.bo_size = sizeof(struct vmw_bo),	\
		.vm_ops = _vm_ops,		\
		.track = compare_track,		\
		.untrack = compare_untrack,	\
		.update = compare_update,	\
	}

static const struct vmob_tracker compare_trackers[COMPARE_HUGE + 1] = {
	[COMPARE_NONE] = COMPARE_TRACKER(&compare_ttm_vm_ops),
	[COMPARE_MAINLINE] = COMPARE_TRACKER(&compare_vmw_vm_ops),
	[COMPARE_PAGETABLE] = COMPARE_TRACKER(&compare_vmw_vm_ops),
	[COMPARE_MKWRITE] = COMPARE_TRACKER(&compare_vmw_vm_ops),
	[COMPARE_OURS] = COMPARE_TRACKER(&ttm_bo_dirty_vm_ops),
	[COMPARE_ORACLE] = COMPARE_TRACKER(&compare_ttm_vm_ops),
	[COMPARE_HUGE] = COMPARE_TRACKER(&compare_huge_vm_ops),
};

static int compare_select(const struct compare_select *select)
{
	if (select->tracker > COMPARE_HUGE ||
	    (select->flags & ~COMPARE_UNTIMED))
		return -EINVAL;

	WRITE_ONCE(compare_timed, !(select->flags & COMPARE_UNTIMED));
	WRITE_ONCE(vmob_tracker, &compare_trackers[select->tracker]);

	return 0;
}

/* In order, and within the buffer. */
static bool compare_ranges_valid(const struct vmw_bo *vbo,
				 const struct compare_range *ranges, u32 nr)
{
	u64 at = 0, end = PFN_UP(vbo->tbo.base.size);
	u32 i;

	for (i = 0; i < nr; i++) {
		if (ranges[i].first < at || ranges[i].first >= end ||
		    !ranges[i].nr || ranges[i].nr > end - ranges[i].first)
			return false;
		at = ranges[i].first + ranges[i].nr;
	}

	return true;
}

/* The buffer that is mapped there is the oracle's: replace what it knows. */
static int compare_tell_vma(struct vm_area_struct *vma,
			    struct compare_range **ranges, u32 nr)
{
	struct ttm_buffer_object *bo;
	struct vmw_bo *vbo;
	int ret = -EINVAL;

	if (!vma || vma->vm_ops != &compare_ttm_vm_ops)
		return -EINVAL;

	bo = vma->vm_private_data;
	vbo = to_vmw_bo(&bo->base);
	dma_resv_lock(bo->base.resv, NULL);
	if (vbo->tracked && compare_kind(&vbo->vmob) == COMPARE_ORACLE &&
	    compare_ranges_valid(vbo, *ranges, nr)) {
		swap(vbo->told, *ranges);
		vbo->nr_told = nr;
		vbo->told_mm = vma->vm_mm;
		vbo->told_addr = vma->vm_start;
		ret = 0;
	}
	dma_resv_unlock(bo->base.resv);

	return ret;
}

static int compare_tell(const struct compare_tell *tell)
{
	struct compare_range *ranges;
	int ret;

	if (tell->pad || !tell->nr || tell->nr > COMPARE_MAX_RANGES)
		return -EINVAL;

	ranges = vmemdup_array_user(u64_to_user_ptr(tell->ranges), tell->nr,
				    sizeof(*ranges));
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);

	mmap_read_lock(current->mm);
	ret = compare_tell_vma(vma_lookup(current->mm, tell->addr), &ranges,
			       tell->nr);
	mmap_read_unlock(current->mm);
	kvfree(ranges);

	return ret;
}

static void compare_get_stats(struct compare_stats *stats)
{
	*stats = compare_stats;
	stats->entries = stock_count.entries;
	stats->ranges = stock_count.ranges;
	stats->flushes = stock_count.flushes;

	mutex_lock(&compare_lock);
	stats->memory = compare_memory;
	mutex_unlock(&compare_lock);
}

struct compare_watcher {
	struct mmu_notifier mn;
	u32 us;
};

static int compare_range_start(struct mmu_notifier *mn,
			       const struct mmu_notifier_range *range)
{
	udelay(container_of(mn, struct compare_watcher, mn)->us);

	return 0;
}

static const struct mmu_notifier_ops compare_watcher_ops = {
	.invalidate_range_start = compare_range_start,
};

static int compare_watch(struct file *file, const struct compare_notifier *args)
{
	struct compare_watcher *watcher;
	int ret;

	if (args->pad || args->us > 1000)
		return -EINVAL;

	watcher = kzalloc_obj(*watcher, GFP_KERNEL);
	if (!watcher)
		return -ENOMEM;
	watcher->mn.ops = &compare_watcher_ops;
	watcher->us = args->us;

	mutex_lock(&compare_lock);
	ret = file->private_data ? -EBUSY :
		mmu_notifier_register(&watcher->mn, current->mm);
	if (!ret)
		file->private_data = watcher;
	mutex_unlock(&compare_lock);
	if (ret)
		kfree(watcher);

	return ret;
}

static long compare_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	void __user *user = (void __user *)arg;
	union {
		struct compare_select select;
		struct compare_tell tell;
		struct compare_stats stats;
		struct compare_notifier notifier;
	} args;

	if ((_IOC_DIR(cmd) & _IOC_WRITE) &&
	    (_IOC_SIZE(cmd) > sizeof(args) ||
	     copy_from_user(&args, user, _IOC_SIZE(cmd))))
		return -EFAULT;

	switch (cmd) {
	case COMPARE_IOCTL_SELECT:
		return compare_select(&args.select);
	case COMPARE_IOCTL_TELL:
		return compare_tell(&args.tell);
	case COMPARE_IOCTL_STATS:
		compare_get_stats(&args.stats);
		return copy_to_user(user, &args.stats, sizeof(args.stats)) ?
			-EFAULT : 0;
	case COMPARE_IOCTL_NOTIFIER:
		return compare_watch(file, &args.notifier);
	default:
		return -ENOTTY;
	}
}

/* One at a time. */
static int compare_fop_open(struct inode *inode, struct file *file)
{
	int ret = 0;

	mutex_lock(&compare_lock);
	if (compare_open)
		ret = -EBUSY;
	compare_open = true;
	mutex_unlock(&compare_lock);
	file->private_data = NULL;

	return ret;
}

static int compare_fop_release(struct inode *inode, struct file *file)
{
	struct compare_watcher *watcher = file->private_data;

	if (watcher) {
		mmu_notifier_unregister(&watcher->mn, watcher->mn.mm);
		kfree(watcher);
	}

	WRITE_ONCE(vmob_tracker, &vmob_tracker_ttm);
	mutex_lock(&compare_lock);
	compare_open = false;
	mutex_unlock(&compare_lock);

	return 0;
}

static const struct file_operations compare_fops = {
	.owner = THIS_MODULE,
	.open = compare_fop_open,
	.release = compare_fop_release,
	.unlocked_ioctl = compare_ioctl,
};

static struct miscdevice compare_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vmob_compare",
	.fops = &compare_fops,
};

static int __init compare_init(void)
{
	return misc_register(&compare_device);
}
device_initcall(compare_init);
