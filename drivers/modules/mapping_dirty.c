// SPDX-License-Identifier: GPL-2.0

#include <linux/bitmap.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/interval_tree_generic.h>
#include <linux/mapping_dirty.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>

/**
 * DOC: in a module
 *
 * mm/mapping_dirty.c in a module, for a kernel that does not have it: with what a
 * kernel exports, and the inline functions of its headers.
 *
 * clean_record_shared_mapping_range() and wp_shared_mapping_range() change entries,
 * flush the TLB and start the mmu_notifier ranges. They do not tell everything that a
 * pass has to know:
 *
 * * They stop at the first VMA that is not shared or can never be writable. So the
 *   VMAs of the range are looked at before and after. With such a VMA the entries of
 *   the range are removed, and what was present where it may be written counts
 *   as dirty.
 * * What a secondary MMU stores leaves no trace in the entries that they look at. With
 *   an mm that has mmu_notifiers the pass changes nothing, and fails: then all that is
 *   open counts as dirty, and stays open. To remove entries is not for this one:
 *   KVM fails where one has gone between its fault and its look.
 * * An entry that one of them has write-protected is still dirty until the other has
 *   cleaned it. An mprotect() that comes between makes it writable without a fault.
 *   So both are repeated until neither finds anything to change. An entry that was
 *   read-only when the first one saw it, and clean when the second one did, can be
 *   written by nobody: mprotect() makes only dirty ones writable.
 *
 * A huge entry is not for them either. The GEM shmem helpers map none in
 * objects that are tracked.
 */

/* What a pass does at a time, for the bitmap is on the stack. */
#define PIECE_PAGES	2048

/* How often mprotect() can come between before the entries are removed. */
#define MAX_ROUNDS	4

static inline pgoff_t vma_first(struct vm_area_struct *vma)
{
	return vma->vm_pgoff;
}

static inline pgoff_t vma_last(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

/* The iterator of mm/interval_tree.c, which is not exported. */
INTERVAL_TREE_DEFINE(struct vm_area_struct, shared.rb, unsigned long,
		     shared.rb_subtree_last, vma_first, vma_last, static inline,
		     mapped_by)

#define for_each_vma_of(vma, mapping, first, last)			\
	for (vma = mapped_by_iter_first(&(mapping)->i_mmap, first, last); \
	     vma; vma = mapped_by_iter_next(vma, first, last))

static bool vma_can_be_written(struct vm_area_struct *vma)
{
	const vm_flags_t shared = VM_SHARED | VM_MAYWRITE;

	return (READ_ONCE(vma->vm_flags) & shared) == shared;
}

/* As in mm/mapping_dirty.c: whether a VMA's entries were all there until now. */
static bool vma_stays(struct vm_area_struct *vma)
{
	/* What is read here must not be older than the entries. */
	smp_rmb();
	if (!atomic_read(&vma->vm_mm->mm_users))
		return false;
#ifdef CONFIG_PER_VMA_LOCK
	return vma_is_attached(vma);
#else
	return !rwsem_is_locked(&vma->vm_mm->mmap_lock);
#endif
}

/**
 * struct look - What the VMAs of a range are like
 * @unfit: One of them is not for the kernel's helpers
 * @secondary: The mm of one of them has mmu_notifiers
 * @stay: How many of them are not on their way out
 */
struct look {
	bool unfit;
	bool secondary;
	unsigned long stay;
};

static struct look look_at_vmas(struct address_space *mapping, pgoff_t first,
				pgoff_t nr)
{
	struct vm_area_struct *vma;
	struct look look = {};

	i_mmap_lock_read(mapping);
	for_each_vma_of(vma, mapping, first, first + nr - 1) {
		look.unfit |= !vma_can_be_written(vma);
		look.secondary |= mm_has_notifiers(vma->vm_mm);
		look.stay += vma_stays(vma);
	}
	i_mmap_unlock_read(mapping);

	return look;
}

/* Whether a page is mapped by an entry of the VMA. */
static bool page_is_present(struct vm_area_struct *vma, pgoff_t pgoff)
{
	struct follow_pfnmap_args args = {
		.vma = vma,
		.address = vma->vm_start +
			((pgoff - vma->vm_pgoff) << PAGE_SHIFT),
	};

	if (follow_pfnmap_start(&args))
		return false;
	follow_pfnmap_end(&args);

	return true;
}

static void report(struct mapping_dirty_pass *pass, pgoff_t pgoff, pgoff_t nr)
{
	pass->report(pass, pgoff, nr);
	pass->cleaned += nr;
}

/* Report what is present where it can be written, and remove it. */
static void harvest_present(struct address_space *mapping, pgoff_t first,
			    pgoff_t nr, struct mapping_dirty_pass *pass)
{
	DECLARE_BITMAP(present, PIECE_PAGES);
	struct vm_area_struct *vma;
	unsigned int start, end;
	pgoff_t pgoff, last;

	bitmap_zero(present, nr);
	i_mmap_lock_read(mapping);
	for_each_vma_of(vma, mapping, first, first + nr - 1) {
		if (!vma_can_be_written(vma))
			continue;
		last = min(vma_last(vma), first + nr - 1);
		for (pgoff = max(vma_first(vma), first); pgoff <= last; pgoff++)
			if (!test_bit(pgoff - first, present) &&
			    page_is_present(vma, pgoff))
				__set_bit(pgoff - first, present);
		cond_resched();
	}
	i_mmap_unlock_read(mapping);

	for_each_set_bitrange(start, end, present, nr)
		report(pass, first + start, end - start);

	unmap_mapping_pages(mapping, first, nr, false);
	pass->scanned += nr;
	pass->notifier_ranges++;
	pass->flushes++;
}

/* Returns false if there is no end to it. */
static bool harvest_dirty(struct address_space *mapping, pgoff_t first,
			  pgoff_t nr, bool wrprotect,
			  struct mapping_dirty_pass *pass)
{
	DECLARE_BITMAP(dirty, PIECE_PAGES);
	unsigned int round, start, end;
	unsigned long changed;

	bitmap_zero(dirty, nr);
	for (round = 0; round < MAX_ROUNDS; round++) {
		pgoff_t none = 0, unused = 0;

		changed = wrprotect ?
			wp_shared_mapping_range(mapping, first, nr) : 0;
		pass->wrprotected += changed;
		changed += clean_record_shared_mapping_range(mapping, first, nr,
							     first, dirty,
							     &none, &unused);
		pass->scanned += nr;
		if (!changed)
			break;
		pass->notifier_ranges++;
		pass->flushes++;
		if (!wrprotect)
			break;
	}

	for_each_set_bitrange(start, end, dirty, nr)
		report(pass, first + start, end - start);

	return round < MAX_ROUNDS;
}

static void harvest(struct address_space *mapping, pgoff_t first, pgoff_t nr,
		    struct mapping_dirty_pass *pass, bool unfit)
{
	struct mapping_dirty_range part = { first, nr, pass->wrprotect };
	pgoff_t at, end;

	for (at = first; at < first + nr; at = part.first + part.nr) {
		if (pass->next && (!pass->next(pass, at, &part) ||
				   part.first >= first + nr))
			break;

		part.nr = min(part.first + part.nr, first + nr);
		part.first = max(part.first, at);
		part.nr -= part.first;
		for (at = part.first; at < part.first + part.nr; at = end) {
			end = min(at + PIECE_PAGES, part.first + part.nr);
			if (unfit || !harvest_dirty(mapping, at, end - at,
						    part.wrprotect, pass))
				harvest_present(mapping, at, end - at, pass);
			cond_resched();
		}
	}
}

/* See mm/mapping_dirty.c. Here -EBUSY means that there is a secondary MMU. */
int mapping_dirty_harvest(struct address_space *mapping, pgoff_t first,
			  pgoff_t nr, struct mapping_dirty_pass *pass)
{
	struct look before, after;

	if (!nr)
		return 0;

	before = look_at_vmas(mapping, first, nr);
	if (before.secondary)
		return -EBUSY;

	harvest(mapping, first, nr, pass, before.unfit);
	after = look_at_vmas(mapping, first, nr);
	/* A VMA that is new can have hidden others. */
	if (after.unfit && !before.unfit && !after.secondary) {
		harvest(mapping, first, nr, pass, true);
		after = look_at_vmas(mapping, first, nr);
	}
	pass->vmas += after.stay;

	return after.secondary ? -EBUSY : 0;
}
EXPORT_SYMBOL_GPL(mapping_dirty_harvest);

/*
 * The page table that maps an address, or NULL. Those of device memory go only
 * with their VMA, whose lock or mmap_lock is held.
 */
static pmd_t *find_table(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	if (!pgd_present(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (!p4d_present(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (!pud_present(*pud) || pud_leaf(*pud))
		return NULL;
	pmd = pmd_offset(pud, addr);

	return pmd_present(*pmd) && !pmd_leaf(*pmd) ? pmd : NULL;
}

static void make_writable(struct vm_area_struct *vma, unsigned long addr,
			  pte_t *pte)
{
	set_pte_at(vma->vm_mm, addr, pte, pte_mkwrite_novma(ptep_get(pte)));
	update_mmu_cache(vma, addr, pte);
}

/* See mm/mapping_dirty.c */
int vma_make_writable(struct vm_area_struct *vma, unsigned long start,
		      unsigned long end)
{
	struct mm_struct *mm = vma->vm_mm;
	unsigned long addr, table_end;
	spinlock_t *ptl;	/* of the page table */
	pte_t *pte;
	pmd_t *pmd;

	if (!(vma->vm_flags & VM_WRITE))
		return -EINVAL;

	for (addr = start; addr < end; addr = table_end) {
		table_end = pmd_addr_end(addr, end);
		pmd = find_table(mm, addr);
		if (!pmd)
			continue;

		ptl = pte_lockptr(mm, pmd);
		spin_lock(ptl);
		pte = pte_offset_kernel(pmd, addr);
		for (; addr < table_end; addr += PAGE_SIZE, pte++)
			if (pte_present(ptep_get(pte)) &&
			    !pte_write(ptep_get(pte)))
				make_writable(vma, addr, pte);
		spin_unlock(ptl);
	}

	return 0;
}
EXPORT_SYMBOL_GPL(vma_make_writable);

/* See mm/mapping_dirty.c */
void vmf_make_writable(struct vm_fault *vmf)
{
	unsigned long addr = vmf->address & PAGE_MASK;
	spinlock_t *ptl = pte_lockptr(vmf->vma->vm_mm, vmf->pmd);
	pte_t *pte;

	spin_lock(ptl);
	pte = pte_offset_kernel(vmf->pmd, addr);
	if (pte_same(ptep_get(pte), vmf->orig_pte))
		make_writable(vmf->vma, addr, pte);
	spin_unlock(ptl);
}
EXPORT_SYMBOL_GPL(vmf_make_writable);

/* See mm/mapping_dirty.c */
int vma_insert_page_pfns(struct vm_area_struct *vma, unsigned long addr,
			 struct page **pages, unsigned long nr, pgprot_t prot)
{
	for (; nr; nr--, pages++, addr += PAGE_SIZE)
		if (vmf_insert_pfn_prot(vma, addr, page_to_pfn(*pages), prot) !=
		    VM_FAULT_NOPAGE)
			return -ENOMEM;

	return 0;
}
EXPORT_SYMBOL_GPL(vma_insert_page_pfns);
