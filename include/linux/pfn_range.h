/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_PFN_RANGE_H
#define _LINUX_PFN_RANGE_H

#include <linux/bits.h>
#include <linux/minmax.h>
#include <linux/mmu_notifier.h>
#include <linux/pgtable.h>
#include <linux/types.h>

struct page;
struct vm_area_struct;

/* Fill in page tables that are missing, rather than skip what they would map. */
#define PFN_RANGE_ALLOC		BIT(0)
/* Split huge entries, after the callback for them, if there is one. */
#define PFN_RANGE_SPLIT		BIT(1)
/*
 * The callbacks change nothing, or only widen: from none to present, from
 * read-only to writable. This needs neither mmu_notifier nor flush.
 */
#define PFN_RANGE_WIDEN		BIT(2)
/* Not mmap_lock but the i_mmap_rwsem of the file's mapping is held. */
#define PFN_RANGE_I_MMAP	BIT(3)

/**
 * struct pfn_range_apply - What apply_to_pfn_range() is to do
 * @flags: A combination of PFN_RANGE_ALLOC, PFN_RANGE_SPLIT, PFN_RANGE_WIDEN and
 * PFN_RANGE_I_MMAP
 * @part: If the callbacks are not wanted for all entries: returns in @part and
 * @part_end the first addresses, from @addr up to and without @end, that they are
 * wanted for, or false if there are none. Must not sleep. NULL for all entries.
 * @ptes: Called for neighbouring entries, all those of the range or part that are
 * in one page table: the first of them, its address and their number. Some may be
 * none. Called under the page table lock, in lazy MMU mode.
 * @pmd_leaf: Called for a present huge PMD that maps some of the range, with
 * the address where it starts, which can be before the range. Called under its
 * page table lock. Huge PMDs are passed over if this is NULL.
 * @pud_leaf: The same for a huge PUD
 * @changed_start: Address of the first entry that was changed; for callbacks to
 * set by pfn_range_changed()
 * @changed_end: Address after the last one. What is between them is flushed.
 * @flushed: Returns whether the TLB was flushed.
 *
 * The closure that the callbacks get, usually a part of something larger. A
 * callback returns 0 to go on, or an error that ends the walk.
 */
struct pfn_range_apply {
	unsigned int flags;
	bool (*part)(struct pfn_range_apply *closure,
		     struct vm_area_struct *vma, unsigned long addr,
		     unsigned long end, unsigned long *part,
		     unsigned long *part_end);
	int (*ptes)(struct pfn_range_apply *closure,
		    struct vm_area_struct *vma, pte_t *pte,
		    unsigned long addr, unsigned long nr);
	int (*pmd_leaf)(struct pfn_range_apply *closure,
			struct vm_area_struct *vma, pmd_t *pmd,
			unsigned long addr);
	int (*pud_leaf)(struct pfn_range_apply *closure,
			struct vm_area_struct *vma, pud_t *pud,
			unsigned long addr);
	unsigned long changed_start;
	unsigned long changed_end;
	bool flushed;
	/* private: */
	struct mmu_notifier_range range;
	pte_t *before;
};

/**
 * pfn_range_changed - Note what has to be flushed
 * @closure: The closure
 * @start: Address of an entry that was changed
 * @end: Address after it, or after the last one if there are more
 *
 * For a callback that takes something from an entry.
 */
static inline void pfn_range_changed(struct pfn_range_apply *closure,
				     unsigned long start, unsigned long end)
{
	closure->changed_start = min(closure->changed_start, start);
	closure->changed_end = max(closure->changed_end, end);
}

int apply_to_pfn_range(struct vm_area_struct *vma, unsigned long addr,
		       unsigned long size, struct pfn_range_apply *closure);
int vma_insert_page_pfns(struct vm_area_struct *vma, unsigned long addr,
			 struct page **pages, unsigned long nr, pgprot_t prot);

#endif
