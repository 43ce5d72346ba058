/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_PFN_RANGE_H
#define _MM_PFN_RANGE_H

#include <linux/pgtable.h>
#include <linux/types.h>

struct vm_area_struct;

/**
 * struct pfn_range_apply - What apply_to_pfn_range() is to do
 * @vma: The mmap of device memory
 * @alloc: Fill in page tables that are missing, rather than skip what they
 * would map
 * @i_mmap: i_mmap_rwsem of the file's mapping is held. Without it mmap_lock or
 * the VMA's lock is held. Excludes @alloc.
 * @ptes: Called once for each page table, with its first entry of the range, that
 * entry's address, and the number of entries. Entries can be none. Called under
 * the page table lock, in lazy MMU mode. An error ends the walk.
 * @huge: Called for each huge entry that maps some of the range, with the address
 * where that entry starts, which can be before the range, and its size. Called
 * with no page table lock held. Returns true to have the entry split, which for
 * device memory removes it. NULL to skip huge entries.
 *
 * The closure, embedded in what the callbacks work with.
 */
struct pfn_range_apply {
	struct vm_area_struct *vma;
	bool alloc;
	bool i_mmap;
	int (*ptes)(struct pfn_range_apply *closure, pte_t *pte,
		    unsigned long addr, unsigned long nr);
	bool (*huge)(struct pfn_range_apply *closure, unsigned long addr,
		     unsigned long size);
};

bool pfn_range_allowed(struct vm_area_struct *vma);
int apply_to_pfn_range(struct pfn_range_apply *closure, unsigned long addr,
		       unsigned long size);

#endif
