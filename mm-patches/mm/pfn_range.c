// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/sched.h>

#include "internal.h"
#include "pfn_range.h"

/**
 * DOC: page-table walks for device memory
 *
 * apply_to_pfn_range() calls a function for the page-table entries of a part
 * of a VMA. It is a front end of pagewalk that takes the page table lock,
 * retries where a page table went away, and fills in page tables or skips
 * absent ones.
 *
 * .. warning::
 *
 *    It is for mmaps of device memory only: VM_PFNMAP, and not COW. Other
 *    memory has owners to notify, reference counts, reverse maps, and entries
 *    that are not present and mean something. Its page tables change under locks
 *    that are not held here: THP, hugetlbfs, migration. Any other VMA is refused,
 *    and the log names the first caller.
 *
 * The callbacks run under a page table lock, where no mmu_notifier can be
 * called. If the callbacks take something away from an entry (write permission,
 * the dirty bit, the entry itself), the caller starts an mmu_notifier range before
 * the call, flushes the TLB after it, and then ends the range. A caller that only
 * widens (none to present, read-only to writable) needs neither: a CPU or device
 * with the old entry cached faults, and finds the new one.
 *
 * A huge entry, a PMD or PUD that maps memory itself, is handed over as a whole,
 * even if only a part of it is in the range. It can be skipped or split. For
 * device memory a split removes the entry, and the next access faults.
 */

/**
 * pfn_range_allowed - Whether a VMA is an mmap of device memory
 * @vma: The VMA
 *
 * Logs the first refusal.
 *
 * Return: true if it is.
 */
bool pfn_range_allowed(struct vm_area_struct *vma)
{
	vm_flags_t flags = READ_ONCE(vma->vm_flags);

	if ((flags & VM_PFNMAP) && !(flags & VM_HUGETLB) &&
	    !vma_is_cow_mapping(vma))
		return true;

	pr_err_once("pfn_range: %pS: not an mmap of device memory, refused\n",
		    __builtin_return_address(0));

	return false;
}

/* A lock under which neither the VMA nor its page tables go away. */
static void pfn_range_assert_locked(const struct pfn_range_apply *closure)
{
	struct vm_area_struct *vma = closure->vma;

	if (closure->i_mmap)
		lockdep_assert_held(&vma->vm_file->f_mapping->i_mmap_rwsem);
	else
		vma_assert_stabilised(vma);
}

static bool pfn_range_huge(struct mm_walk *walk, unsigned long addr,
			   unsigned long size)
{
	struct pfn_range_apply *closure = walk->private;

	/* After a split nothing is mapped here. */
	walk->action = ACTION_CONTINUE;

	return closure->huge && closure->huge(closure, addr & -size, size);
}

static int pfn_range_pud(pud_t *pud, unsigned long addr, unsigned long end,
			 struct mm_walk *walk)
{
	if (pud_leaf(pudp_get(pud)) && pfn_range_huge(walk, addr, PUD_SIZE))
		split_huge_pud(walk->vma, pud, addr & PUD_MASK);

	return 0;
}

/* The entries in one page table. Returns false if there is no table, or not any more. */
static bool pfn_range_ptes(struct pfn_range_apply *closure, pmd_t *pmd,
			   unsigned long addr, unsigned long end, int *err)
{
	spinlock_t *ptl;	/* of the page table */
	pte_t *pte = pte_offset_map_lock(closure->vma->vm_mm, pmd, addr, &ptl);

	if (!pte)
		return false;

	lazy_mmu_mode_enable();
	*err = closure->ptes(closure, pte, addr, (end - addr) >> PAGE_SHIFT);
	lazy_mmu_mode_disable();
	pte_unmap_unlock(pte, ptl);

	return true;
}

static int pfn_range_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
			 struct mm_walk *walk)
{
	int err = 0;

	if (pmd_leaf(pmdp_get_lockless(pmd))) {
		if (pfn_range_huge(walk, addr, PMD_SIZE))
			split_huge_pmd(walk->vma, pmd, addr & PMD_MASK);
		return 0;
	}

	if (!pfn_range_ptes(walk->private, pmd, addr, end, &err))
		walk->action = ACTION_AGAIN;

	/* When the walk goes on to another table. */
	if (IS_ALIGNED(end, PMD_SIZE))
		cond_resched();

	return err;
}

static const struct mm_walk_ops pfn_range_ops = {
	.pud_entry = pfn_range_pud,
	.pmd_entry = pfn_range_pmd,
	.walk_lock = PGWALK_STABLE,
};

/* Page tables for each entry from @addr up to and without @end. */
static int pfn_range_fill(struct mm_struct *mm, unsigned long addr,
			  unsigned long end)
{
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	for (; addr < end; addr = pmd_addr_end(addr, end)) {
		p4d = p4d_alloc(mm, pgd_offset(mm, addr), addr);
		pud = p4d ? pud_alloc(mm, p4d, addr) : NULL;
		if (!pud)
			return -ENOMEM;
		if (pud_leaf(pudp_get(pud)))
			continue;
		pmd = pmd_alloc(mm, pud, addr);
		if (!pmd || pte_alloc(mm, pmd))
			return -ENOMEM;
	}

	return 0;
}

/**
 * apply_to_pfn_range - Call a function for the entries of a part of a VMA
 * @closure: The VMA, the function, and what it works with
 * @addr: Address of the first entry, page aligned
 * @size: Size of the range in bytes, page aligned, within the VMA
 *
 * Modelled on apply_to_page_range(), which is for the kernel's own mappings.
 *
 * .. warning::
 *
 *    For mmaps of device memory only. The caller holds an mmu_notifier range
 *    and flushes, unless the callbacks only widen: see the overview.
 *
 * Context: Called with mmap_lock or the VMA's lock held, as from a fault
 * handler, or with i_mmap_rwsem of the file's mapping and @closure->i_mmap. May
 * sleep, @closure->ptes may not.
 * Return: 0; what a callback returned; -ENOMEM if a page table could not be
 * allocated; -EINVAL for a VMA that is not an mmap of device memory or a range
 * that is not within it.
 */
int apply_to_pfn_range(struct pfn_range_apply *closure, unsigned long addr,
		       unsigned long size)
{
	struct vm_area_struct *vma = closure->vma;
	unsigned long end = addr + size;
	pmd_t *pmd;
	int err;

	might_sleep();
	pfn_range_assert_locked(closure);

	if (!pfn_range_allowed(vma) || !PAGE_ALIGNED(addr | size) ||
	    addr < vma->vm_start || end > vma->vm_end || addr >= end)
		return -EINVAL;

	if (closure->alloc) {
		/* To reclaim memory for tables could need i_mmap_rwsem. */
		if (closure->i_mmap)
			return -EINVAL;
		err = pfn_range_fill(vma->vm_mm, addr, end);
		if (err)
			return err;
	}

	/* Most ranges are within one table: a third of the way to it. */
	if (addr >> PMD_SHIFT == (end - 1) >> PMD_SHIFT) {
		pmd = mm_find_pmd(vma->vm_mm, addr);
		if (pmd && pfn_range_ptes(closure, pmd, addr, end, &err))
			return err;
	}

	return walk_page_range_vma(vma, addr, end, &pfn_range_ops, closure);
}
