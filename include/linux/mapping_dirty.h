/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_MAPPING_DIRTY_H
#define _LINUX_MAPPING_DIRTY_H

#include <linux/pgtable.h>
#include <linux/types.h>

struct address_space;
struct page;
struct vm_area_struct;
struct vm_fault;

/**
 * struct mapping_dirty_range - A part of the range of a pass
 * @first: First page offset
 * @nr: Number of page offsets
 * @wrprotect: Whether to make the entries read-only as well
 */
struct mapping_dirty_range {
	pgoff_t first;
	pgoff_t nr;
	bool wrprotect;
};

/**
 * struct mapping_dirty_pass - One pass over an address_space range
 * @wrprotect: Without @next: whether to make entries read-only as well. Cleaning
 * and this are one step: an entry is not left read-only and dirty.
 * @next: Names the parts of the range to scan, or NULL for all of it. Returns in
 * @range the first part that ends behind @pgoff, or false if there is none. The parts
 * stay the same during the pass. Called more than once, with i_mmap_rwsem held.
 * @report: Called for each run of neighbouring pages whose entries were dirty
 * and have been cleaned, with the page offset of the first in the address_space
 * and their number. A page mapped more than once may be reported more than
 * once. A huge entry is reported as a whole, also beyond the range. Can be called
 * under a page table lock: it must not sleep.
 * @scanned: Page-table entries read.
 * @wrprotected: Pages whose entries were writable and are read-only now.
 * @cleaned: Pages that were reported, and whose entries are clean now.
 * @notifier_ranges: VMAs in which entries were changed, one mmu_notifier range
 * each.
 * @flushes: TLB range flushes.
 * @vmas: VMAs of the range that stayed during the scan, with entries in it or not:
 * their entries were not being removed.
 *
 * The caller sets @wrprotect, @next and @report and zeroes the counters, to which
 * mapping_dirty_harvest() adds.
 */
struct mapping_dirty_pass {
	bool wrprotect;
	bool (*next)(struct mapping_dirty_pass *pass, pgoff_t pgoff,
		     struct mapping_dirty_range *range);
	void (*report)(struct mapping_dirty_pass *pass, pgoff_t pgoff,
		       pgoff_t nr);

	unsigned long scanned;
	unsigned long wrprotected;
	unsigned long cleaned;
	unsigned long notifier_ranges;
	unsigned long flushes;
	unsigned long vmas;
};

int mapping_dirty_harvest(struct address_space *mapping, pgoff_t first,
			  pgoff_t nr, struct mapping_dirty_pass *pass);
int vma_make_writable(struct vm_area_struct *vma, unsigned long start,
		      unsigned long end);
void vmf_make_writable(struct vm_fault *vmf);
int vma_insert_page_pfns(struct vm_area_struct *vma, unsigned long addr,
			 struct page **pages, unsigned long nr, pgprot_t prot);

#endif
