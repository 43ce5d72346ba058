/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The names by which mainline's functions go here, those of any 6.12.y.
 */
#ifndef _MM_COMPARE_STOCK_H
#define _MM_COMPARE_STOCK_H

#define folio_walk_start		stock_folio_walk_start
#define walk_kernel_page_table_range	stock_walk_kernel_page_table_range
#define walk_page_mapping		stock_walk_page_mapping
#define walk_page_range			stock_walk_page_range
#define walk_page_range_debug		stock_walk_page_range_debug
#define walk_page_range_novma		stock_walk_page_range_novma
#define walk_page_range_vma		stock_walk_page_range_vma
#define walk_page_vma			stock_walk_page_vma
#define wp_shared_mapping_range		stock_wp_shared_mapping_range
#define clean_record_shared_mapping_range	\
	stock_clean_record_shared_mapping_range

#include <linux/types.h>

struct address_space;

unsigned long stock_wp_shared_mapping_range(struct address_space *mapping,
					    pgoff_t first_index, pgoff_t nr);
unsigned long
stock_clean_record_shared_mapping_range(struct address_space *mapping,
					pgoff_t first_index, pgoff_t nr,
					pgoff_t bitmap_pgoff,
					unsigned long *bitmap, pgoff_t *start,
					pgoff_t *end);

/**
 * struct stock_count - What trackers other than ours have done
 * @entries: Page-table entries of the ranges that were walked
 * @ranges: mmu_notifier ranges
 * @flushes: TLB range flushes
 *
 * Not protected: a benchmark makes one pass at a time.
 */
struct stock_count {
	unsigned long entries;
	unsigned long ranges;
	unsigned long flushes;
};

extern struct stock_count stock_count;

#endif
