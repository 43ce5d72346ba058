// SPDX-License-Identifier: GPL-2.0
#include <linux/export.h>
#include <linux/cacheflush.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/pagewalk.h>
#include <linux/pfn_range.h>
#include <linux/pfn_t.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <asm/tlbflush.h>

#include "internal.h"

/**
 * DOC: overview
 *
 * apply_to_pfn_range() calls a function for the page-table entries of a part
 * of a VMA. It is a front end of pagewalk that adds what every such user would
 * have to write for itself, and could get wrong: the page table lock and the
 * retry without a table, filling in tables, huge entries, the mmu_notifier
 * range, the flush.
 *
 * .. warning::
 *
 *    It is for mmaps of device memory only: VM_PFNMAP or VM_MIXEDMAP, and
 *    shared. Anything else has owners who must be told, reference counts and
 *    reverse maps to keep, entries that are not present and mean something,
 *    and its page tables change under locks that are not held here. Such a
 *    VMA is refused.
 *
 * The mmu_notifier range is held, and the TLB flushed before it ends, unless
 * the caller promises with PFN_RANGE_WIDEN that its callbacks take nothing
 * away from an entry. With CONFIG_DEBUG_VM the promise is checked.
 *
 * The rule for a huge entry, a PMD or PUD that maps memory itself: it is given
 * to pmd_leaf() or pud_leaf() as a whole, even if only a part of it is in the
 * range, and passed over if there is no such callback. With PFN_RANGE_SPLIT it
 * is split afterwards. For device memory a split is a zap: the entry is gone,
 * pfn_zap_dirty() is told if it was dirty, and what follows sees a missing
 * page table, to be filled in or skipped.
 */

/* Whether there is another part, that begins behind @part_end. */
static bool pfn_range_more(struct pfn_range_apply *closure,
			   struct vm_area_struct *vma, unsigned long end,
			   unsigned long *part, unsigned long *part_end)
{
	return closure->part && *part_end < end &&
		closure->part(closure, vma, *part_end, end, part, part_end);
}

/* A huge PUD. Out of line: most walks come to none. */
static noinline int pfn_range_huge_pud(pud_t *pud, unsigned long addr,
				       unsigned long end, struct mm_walk *walk)
{
	struct pfn_range_apply *closure = walk->private;
	struct vm_area_struct *vma = walk->vma;
	unsigned long part = addr, part_end = end;
	spinlock_t *ptl;	/* of the page table */
	bool wanted;
	int err = 0;

	ptl = pud_trans_huge_lock(pud, vma);
	if (!ptl)
		return 0;

	wanted = !closure->part ||
		closure->part(closure, vma, addr, end, &part, &part_end);
	if (wanted && closure->pud_leaf) {
		do {
			err = closure->pud_leaf(closure, vma, pud,
						addr & PUD_MASK);
		} while (!err && pfn_range_more(closure, vma, end, &part,
						&part_end));
	}
	spin_unlock(ptl);

	walk->action = ACTION_CONTINUE;
	if (!err && wanted && (closure->flags & PFN_RANGE_SPLIT)) {
		split_huge_pud(vma, pud, addr);
		walk->action = ACTION_AGAIN;
	}

	return err;
}

/* mm_walk_ops.pud_entry, for a walk that has the closure as its private data. */
int pfn_range_pud(pud_t *pud, unsigned long addr, unsigned long end,
		  struct mm_walk *walk)
{
	pud_t entry = pudp_get(pud);

	if (!pud_trans_huge(entry) && !pud_devmap(entry))
		return 0;

	return pfn_range_huge_pud(pud, addr, end, walk);
}

/* Anything but a widening, other than what hardware does to an entry. */
static bool pfn_range_narrowed(pte_t old, pte_t new)
{
	if (!pte_present(old))
		return false;

	return !pte_present(new) || pte_pfn(old) != pte_pfn(new) ||
	       (pte_write(old) && !pte_write(new)) ||
	       (pte_dirty(old) && !pte_dirty(new));
}

static int pfn_range_call(struct pfn_range_apply *closure,
			  struct vm_area_struct *vma, pte_t *pte,
			  unsigned long addr, unsigned long nr)
{
	unsigned long i;
	int err;

	if (!IS_ENABLED(CONFIG_DEBUG_VM) || !closure->before)
		return closure->ptes(closure, vma, pte, addr, nr);

	for (i = 0; i < nr; i++)
		closure->before[i] = ptep_get(pte + i);
	err = closure->ptes(closure, vma, pte, addr, nr);
	for (i = 0; i < nr; i++)
		WARN_ONCE(pfn_range_narrowed(closure->before[i],
					     ptep_get(pte + i)),
			  "%pS takes from an entry without an mmu_notifier range\n",
			  closure->ptes);

	return err;
}

/* The same for mm_walk_ops.pmd_entry, which is to reach page tables as well. */
int pfn_range_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
		  struct mm_walk *walk)
{
	struct pfn_range_apply *closure = walk->private;
	struct vm_area_struct *vma = walk->vma;
	unsigned long part = addr, part_end = end;
	spinlock_t *ptl;	/* of the page table */
	pte_t *pte;
	int err = 0;

	if (closure->part &&
	    !closure->part(closure, vma, addr, end, &part, &part_end))
		return 0;

	ptl = pmd_trans_huge_lock(pmd, vma);
	if (ptl) {
		if (closure->pmd_leaf && pmd_present(pmdp_get(pmd))) {
			do {
				err = closure->pmd_leaf(closure, vma, pmd,
							addr & PMD_MASK);
			} while (!err && pfn_range_more(closure, vma, end,
							&part, &part_end));
		}
		spin_unlock(ptl);

		walk->action = ACTION_CONTINUE;
		if (!err && (closure->flags & PFN_RANGE_SPLIT)) {
			split_huge_pmd(vma, pmd, addr);
			walk->action = ACTION_AGAIN;
		}

		return err;
	}

	pte = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	if (!pte) {
		walk->action = ACTION_AGAIN;
		return 0;
	}

	arch_enter_lazy_mmu_mode();
	do {
		err = pfn_range_call(closure, vma,
				     pte + ((part - addr) >> PAGE_SHIFT), part,
				     (part_end - part) >> PAGE_SHIFT);
	} while (!err && pfn_range_more(closure, vma, end, &part, &part_end));
	arch_leave_lazy_mmu_mode();
	pte_unmap_unlock(pte, ptl);
	/* When the walk goes on to another table. */
	if (IS_ALIGNED(end, PMD_SIZE))
		cond_resched();

	return err;
}

static const struct mm_walk_ops pfn_range_ops = {
	.pud_entry = pfn_range_pud,
	.pmd_entry = pfn_range_pmd,
	.walk_lock = PGWALK_FAULT,
};

static const struct mm_walk_ops pfn_range_alloc_ops = {
	.pud_entry = pfn_range_pud,
	.pmd_entry = pfn_range_pmd,
	.walk_lock = PGWALK_FAULT,
	.fill_tables = true,
};

static const struct mm_walk_ops pfn_range_i_mmap_ops = {
	.pud_entry = pfn_range_pud,
	.pmd_entry = pfn_range_pmd,
	.walk_lock = PGWALK_I_MMAP,
};

/* Say, once, who has asked for what pfn_range_allowed() does not allow. */
void pfn_range_refuse(struct pfn_range_apply *closure)
{
	pr_err_once("%pS: entries of a VMA that is no shared mmap of device memory: refused\n",
		    closure->ptes);
}

/* Before the walk. Must be followed by pfn_range_end(). */
void pfn_range_begin(struct pfn_range_apply *closure,
		     struct vm_area_struct *vma, unsigned long addr,
		     unsigned long end)
{
	closure->changed_start = ULONG_MAX;
	closure->changed_end = 0;
	closure->flushed = false;
	closure->before = NULL;

	if (closure->flags & PFN_RANGE_WIDEN) {
		if (IS_ENABLED(CONFIG_DEBUG_VM))
			closure->before = kmalloc_array(PTRS_PER_PTE,
							sizeof(pte_t),
							GFP_NOWAIT |
							__GFP_NOWARN);
		return;
	}

	mmu_notifier_range_init(&closure->range, MMU_NOTIFY_CLEAR, 0,
				vma->vm_mm, addr, end);
	mmu_notifier_invalidate_range_start(&closure->range);
	flush_cache_range(vma, addr, end);
	/*
	 * Not tlb_gather_mmu(): it is for pages that are freed, and flushes by
	 * its own idea of the range.
	 */
	inc_tlb_flush_pending(vma->vm_mm);
}

/*
 * After the walk: flush, before the notifier range ends, and before the caller
 * reads what the entries map. An entry that somebody else has changed, whose
 * flush is still to come, counts as ours.
 */
void pfn_range_end(struct pfn_range_apply *closure, struct vm_area_struct *vma)
{
	if (closure->flags & PFN_RANGE_WIDEN) {
		kfree(closure->before);
		return;
	}

	if (mm_tlb_flush_nested(vma->vm_mm))
		pfn_range_changed(closure, closure->range.start,
				  closure->range.end);
	if (closure->changed_end > closure->changed_start) {
		flush_tlb_range(vma, closure->changed_start,
				closure->changed_end);
		closure->flushed = true;
	}
	mmu_notifier_invalidate_range_end(&closure->range);
	dec_tlb_flush_pending(vma->vm_mm);
}

/**
 * apply_to_pfn_range - Call a function for the entries of a part of a VMA
 * @vma: A shared mmap of device memory
 * @addr: Address of the first entry, page aligned
 * @size: Size of the range in bytes, page aligned, within the VMA
 * @closure: The function, and what there is to know about it
 *
 * Modelled on apply_to_page_range(), which is for the kernel's own mappings.
 *
 * Context: Called with mmap_lock or the VMA's lock held, as from a fault handler, or
 * instead with i_mmap_rwsem of the file's mapping and PFN_RANGE_I_MMAP, which excludes
 * PFN_RANGE_ALLOC. May sleep, the callbacks may not.
 * Return: 0; what a callback returned; -ENOMEM if a page table could not be
 * allocated, when callbacks may have been called already; -EINVAL for a VMA
 * that is not an mmap of device memory or a range that is not within it.
 */
int apply_to_pfn_range(struct vm_area_struct *vma, unsigned long addr,
		       unsigned long size, struct pfn_range_apply *closure)
{
	const struct mm_walk_ops *ops = &pfn_range_ops;
	unsigned long end = addr + size;
	int err;

	might_sleep();

	if (!pfn_range_allowed(closure, vma))
		return -EINVAL;

	if (addr < vma->vm_start || end > vma->vm_end || addr >= end ||
	    !PAGE_ALIGNED(addr | end))
		return -EINVAL;

	if (closure->flags & PFN_RANGE_I_MMAP)
		ops = &pfn_range_i_mmap_ops;
	if (closure->flags & PFN_RANGE_ALLOC) {
		/* To reclaim memory for tables could need i_mmap_rwsem. */
		if (closure->flags & PFN_RANGE_I_MMAP)
			return -EINVAL;
		ops = &pfn_range_alloc_ops;
	}

	pfn_range_begin(closure, vma, addr, end);
	err = walk_page_range_vma(vma, addr, end, ops, closure);
	pfn_range_end(closure, vma);

	return err;
}
EXPORT_SYMBOL_GPL(apply_to_pfn_range);

struct insert_pages {
	struct pfn_range_apply base;
	unsigned long start;
	struct page **pages;
	pgprot_t prot;
};

static int insert_ptes(struct pfn_range_apply *closure,
		       struct vm_area_struct *vma, pte_t *pte,
		       unsigned long addr, unsigned long nr)
{
	struct insert_pages *insert =
		container_of(closure, struct insert_pages, base);
	struct page **page =
		insert->pages + ((addr - insert->start) >> PAGE_SHIFT);

	for (; nr; nr--, pte++, page++, addr += PAGE_SIZE) {
		unsigned long pfn = page_to_pfn(*page);
		pgprot_t prot = insert->prot;

		if (!pte_none(ptep_get(pte)))
			continue;
		if (!pfn_modify_allowed(pfn, prot))
			return -EACCES;

		track_pfn_insert(vma, &prot, __pfn_to_pfn_t(pfn, PFN_DEV));
		set_pte_at(vma->vm_mm, addr, pte,
			   pte_mkspecial(pfn_pte(pfn, prot)));
		update_mmu_cache(vma, addr, pte);
	}

	return 0;
}

/**
 * vma_insert_page_pfns - Map the pages of an array by their PFNs
 * @vma: A shared VM_PFNMAP VMA
 * @addr: Address of the first page, page aligned
 * @pages: The pages, of which neither references nor maps are counted
 * @nr: Their number, all of them within the VMA
 * @prot: The protection to map them with
 *
 * vmf_insert_pfn_prot() for many pages, with one walk and one hold of the lock
 * for each page table. Entries that are not none are left as they are.
 *
 * Context: Called with mmap_lock or the VMA's lock held, from a fault handler. May
 * sleep.
 * Return: 0; -ENOMEM for want of a page table; -EACCES if a PFN may not be
 * mapped; -EINVAL for another kind of VMA or a range that is not within it. In
 * case of an error some pages may have been inserted.
 */
int vma_insert_page_pfns(struct vm_area_struct *vma, unsigned long addr,
			 struct page **pages, unsigned long nr, pgprot_t prot)
{
	struct insert_pages insert = {
		.base.flags = PFN_RANGE_ALLOC | PFN_RANGE_WIDEN,
		.base.ptes = insert_ptes,
		.start = addr,
		.pages = pages,
		.prot = prot,
	};

	/* As in vmf_insert_pfn_prot(): a mixed map has no PFNs of pages. */
	if (!(vma->vm_flags & VM_PFNMAP))
		return -EINVAL;

	return apply_to_pfn_range(vma, addr, nr << PAGE_SHIFT, &insert.base);
}
EXPORT_SYMBOL_GPL(vma_insert_page_pfns);
