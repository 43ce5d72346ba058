/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_MAPPING_DIRTY_H
#define _LINUX_MAPPING_DIRTY_H

#include <linux/bits.h>
#include <linux/types.h>

struct address_space;
struct vm_area_struct;
struct vm_fault;

/* Make writable entries read-only. */
#define MAPPING_DIRTY_WRPROTECT	BIT(0)
/* Make dirty entries clean, and report them. */
#define MAPPING_DIRTY_CLEAN	BIT(1)
/* Make huge entries clean, report them, and remove them. */
#define MAPPING_DIRTY_SPLIT	BIT(2)
/* Report nothing outside the range. */
#define MAPPING_DIRTY_CLIP	BIT(3)

/**
 * struct mapping_dirty_range - A part of what a pass is over
 * @first: First page offset
 * @nr: Number of page offsets
 * @flags: What to do with an entry there, MAPPING_DIRTY_WRPROTECT,
 * MAPPING_DIRTY_CLEAN or both
 */
struct mapping_dirty_range {
	pgoff_t first;
	pgoff_t nr;
	unsigned int flags;
};

/**
 * struct mapping_dirty_pass - One pass over an address_space range
 * @flags: What to do with an entry, a combination of MAPPING_DIRTY_WRPROTECT
 * and MAPPING_DIRTY_CLEAN. Both together are one step: an entry is never seen
 * read-only and still dirty. MAPPING_DIRTY_SPLIT has huge entries removed, so
 * that faults map small pages in their place. MAPPING_DIRTY_CLIP keeps a report
 * within the range: a huge entry that reaches beyond it is reported for the
 * part within, and not cleaned.
 * @next: If not all of the range is to be looked at: returns in @range the first
 * part that is and that ends behind @pgoff, or false if there is none. Each part
 * has flags of its own in place of @flags. Called for each VMA, also under a page
 * table lock: it must not sleep. Page tables between parts are passed over. NULL
 * for all of the range.
 * @report: Called for each run of neighbouring pages whose entries were dirty
 * and have been cleaned, with the page offset of the first in the address_space
 * and their number. A page mapped more than once may be reported more than
 * once, and a huge entry is reported as a whole. Called under a page table
 * lock: it must not sleep. May be NULL if nothing is to be cleaned.
 * @scanned: Page-table entries looked at.
 * @wrprotected: Pages whose entries were writable and are read-only now.
 * @cleaned: Pages whose entries were dirty and are clean now.
 * @notifier_ranges: mmu_notifier ranges started.
 * @flushes: TLB range flushes.
 * @holds: Times that i_mmap_rwsem was taken.
 *
 * The caller sets @flags, @next and @report and zeroes the counters, to which
 * mapping_dirty_harvest() adds.
 */
struct mapping_dirty_pass {
	unsigned int flags;
	bool (*next)(struct mapping_dirty_pass *pass, pgoff_t pgoff,
		     struct mapping_dirty_range *range);
	void (*report)(struct mapping_dirty_pass *pass, pgoff_t pgoff,
		       pgoff_t nr);

	unsigned long scanned;
	unsigned long wrprotected;
	unsigned long cleaned;
	unsigned long notifier_ranges;
	unsigned long flushes;
	unsigned long holds;
};

int mapping_dirty_harvest(struct address_space *mapping, pgoff_t first,
			  pgoff_t nr, struct mapping_dirty_pass *pass);
long vma_make_writable(struct vm_area_struct *vma, unsigned long start,
		       unsigned long end);
void vmf_make_writable(struct vm_fault *vmf);

#endif
