/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mainline's functions do not count what they do. For a VMA of which all page
 * tables are there this can be told from the calls that they make: it costs
 * some instructions a VMA, and none an entry.
 */
#ifndef _MM_COMPARE_COUNT_H
#define _MM_COMPARE_COUNT_H

#include <linux/hugetlb.h>
#include <linux/mmu_notifier.h>
#include <asm/tlbflush.h>

#include "stock.h"

static inline void
stock_count_range_start(struct mmu_notifier_range *range)
{
	stock_count.entries += (range->end - range->start) >> PAGE_SHIFT;
	stock_count.ranges++;
	mmu_notifier_invalidate_range_start(range);
}

static inline void stock_count_flush(struct vm_area_struct *vma,
				     unsigned long start, unsigned long end)
{
	stock_count.flushes++;
	flush_tlb_range(vma, start, end);
}

#define mmu_notifier_invalidate_range_start	stock_count_range_start
#undef flush_tlb_range
#define flush_tlb_range				stock_count_flush

#endif
