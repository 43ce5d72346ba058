/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_MAPPING_DIRTY_H
#define _LINUX_MAPPING_DIRTY_H

#include <linux/bits.h>
#include <linux/types.h>

struct address_space;
struct vm_area_struct;

/* Make writable entries read-only. */
#define MAPPING_DIRTY_WRPROTECT	BIT(0)
/* Make dirty entries clean, and report them. */
#define MAPPING_DIRTY_CLEAN	BIT(1)

/**
 * struct mapping_dirty_pass - One pass over an address_space range
 * @flags: What to do with an entry, a combination of MAPPING_DIRTY_WRPROTECT
 * and MAPPING_DIRTY_CLEAN. Both together are one step: an entry is never seen
 * read-only and still dirty.
 * @report: Called for each run of neighbouring entries that were dirty and
 * have been cleaned, with the page offset of the first in the address_space
 * and their number. A page mapped more than once may be reported more than
 * once. Called under a page table lock: it must not sleep. May be NULL unless
 * MAPPING_DIRTY_CLEAN is set.
 * @scanned: Page-table entries looked at.
 * @wrprotected: Entries that were writable and are read-only now.
 * @cleaned: Entries that were dirty and are clean now.
 * @notifier_ranges: mmu_notifier ranges started.
 * @flushes: TLB range flushes.
 *
 * The caller sets @flags and @report and zeroes the counters, to which
 * mapping_dirty_harvest() adds.
 */
struct mapping_dirty_pass {
	unsigned int flags;
	void (*report)(struct mapping_dirty_pass *pass, pgoff_t pgoff,
		       pgoff_t nr);

	unsigned long scanned;
	unsigned long wrprotected;
	unsigned long cleaned;
	unsigned long notifier_ranges;
	unsigned long flushes;
};

void mapping_dirty_harvest(struct address_space *mapping, pgoff_t first,
			   pgoff_t nr, struct mapping_dirty_pass *pass);
unsigned long vma_make_writable(struct vm_area_struct *vma,
				unsigned long start, unsigned long end);

#endif
