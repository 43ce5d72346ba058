// SPDX-License-Identifier: GPL-2.0
#include <linux/cacheflush.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/mapping_dirty.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <asm/tlbflush.h>

#include "internal.h"
#include "pfn_range.h"

/**
 * DOC: dirty bits of device memory
 *
 * A driver whose device does not see CPU stores can find the pages of a buffer
 * that were written in the page tables of all processes that have mmapped it.
 * mapping_dirty_harvest() does that for a range of an address_space. It cleans and
 * reports dirty entries. On request it write-protects in the same step, so that
 * the next store faults.
 *
 * .. warning::
 *
 *    It is for shared mmaps of device memory, VM_PFNMAP, whose owner handles
 *    pfn_mkwrite(). It does not know anonymous memory, page cache, COW, hugetlb
 *    or transparent huge pages of ordinary memory, and nothing tells the owners
 *    of such memory that their dirty bits were taken away.
 *
 * i_mmap_rwsem is held for the whole pass, so that fork() and mremap() can't
 * copy or move an entry past it: they put the new VMA behind the old one in the
 * interval tree. In each VMA the order is
 *
 * 1. If the mm has mmu_notifiers: scan, under the page table locks only. Reading
 *    entries needs no notifier, and a VMA in which nothing changes disturbs no
 *    secondary MMU. Then start a range, from the first entry to the last that changes.
 * 2. Change the entries, each with clear, read, set. An entry's hardware bits
 *    can't change while it is clear.
 * 3. Flush the TLB, which reaches secondary TLBs on the architectures that have
 *    them. A store that came before the flush is in memory now, for the caller
 *    to read; one that comes later sets the dirty bit or faults.
 * 4. Scan entries again that were writable and clean when they were
 *    write-protected: until the flush a processor could still set the dirty
 *    bit in the entry that is read-only already.
 * 5. End the range.
 *
 * A secondary MMU, as that of KVM, maps what it finds writable and does not set
 * the dirty bit here. So in an mm with mmu_notifiers a writable entry counts as
 * dirty, and is write-protected in each pass.
 *
 * A huge entry counts as dirty, all of it, and is split.
 *
 * munmap(), exit() and others remove dirty bits before a pass can harvest them.
 * The pass counts the VMAs that it meets and that are not being removed. An owner
 * that counts its VMAs too, in mmap(), open() and close(), compares the two. If they
 * differ, a VMA is between the removal of its entries and its close(), and all
 * writable pages have to count as dirty. In close(), when the TLB entries are gone,
 * pages that were writable in that VMA have to count as dirty once more.
 *
 * When the core splits a VMA or moves a part of one, it removes huge entries after
 * open() of the new VMA. An owner that maps huge entries has to count them all as
 * dirty from open() until a pass meets all VMAs.
 *
 * Lock order: mmap_lock, dma_resv, i_mmap_rwsem, mmu_notifier, page table
 * lock.
 */

/**
 * struct dirty_walk - State of a pass in a VMA
 * @apply: Calls the pass for the entries
 * @pass: What the caller wants, and the counters
 * @part: The part that was last named, or all of the range if there are no others
 * @asked: Page offset from which on it is the first one
 * @none: No part begins at or after this page offset
 * @wrprotect: Whether entries of the current part are write-protected
 * @secondary: Whether the mm has notifiers: writable counts as dirty
 * @again: An entry was writable and clean, and was write-protected
 * @second: Parts that were write-protected are scanned again
 * @start: Address of the first entry that was found or changed
 * @end: Address after the last one
 */
struct dirty_walk {
	struct pfn_range_apply apply;
	struct mapping_dirty_pass *pass;
	struct mapping_dirty_range part;
	pgoff_t asked;
	pgoff_t none;
	bool wrprotect;
	bool secondary;
	bool again;
	bool second;
	unsigned long start;
	unsigned long end;
};

static void dirty_found(struct dirty_walk *dw, unsigned long start,
			unsigned long end)
{
	dw->start = min(dw->start, start);
	dw->end = max(dw->end, end);
}

/* Whether an entry is to be changed, if it is present. */
static __always_inline bool dirty_may_want(pte_t *pte, bool wrprotect)
{
	pte_t entry = ptep_get(pte);

	return pte_dirty(entry) | (wrprotect && pte_write(entry));
}

static __always_inline bool dirty_may_want_four(pte_t *pte, bool wrprotect)
{
	return dirty_may_want(pte, wrprotect) |
	       dirty_may_want(pte + 1, wrprotect) |
	       dirty_may_want(pte + 2, wrprotect) |
	       dirty_may_want(pte + 3, wrprotect);
}

/*
 * The first entry from @i on that is to be changed, or @nr. That is what a pass
 * spends its time with: most entries are clean, and are taken eight at a time.
 */
static __always_inline unsigned long
dirty_next(pte_t *pte, unsigned long i, unsigned long nr, bool wrprotect)
{
	while (i < nr) {
		unsigned long near = min(nr, i + 4);

		/* There is often another one near by. */
		for (; i < near; i++)
			if (dirty_may_want(pte + i, wrprotect) &&
			    pte_present(ptep_get(pte + i)))
				return i;
		while (i + 8 <= nr &&
		       !(dirty_may_want_four(pte + i, wrprotect) |
			 dirty_may_want_four(pte + i + 4, wrprotect)))
			i += 8;
	}

	return i;
}

/* Change the entries from @i on that are to be changed, up to one that is not. */
static __always_inline unsigned long
dirty_change_run(struct dirty_walk *dw, pte_t *pte, unsigned long addr,
		 unsigned long i, unsigned long nr, bool wrprotect)
{
	struct vm_area_struct *vma = dw->apply.vma;
	pgoff_t pgoff = linear_page_index(vma, addr);
	struct mapping_dirty_pass *pass = dw->pass;
	unsigned long dirty = 0;
	pte_t old, new;

	do {
		unsigned long at = addr + (i << PAGE_SHIFT);

		old = ptep_get_and_clear(vma->vm_mm, at, pte + i);
		new = wrprotect ? pte_wrprotect(old) : old;
		set_pte_at(vma->vm_mm, at, pte + i, pte_mkclean(new));

		if (wrprotect)
			pass->wrprotected += !!pte_write(old);
		if (!wrprotect || pte_dirty(old) || dw->secondary) {
			dirty++;
		} else {
			dw->again = true;
			if (dirty)
				pass->report(pass, pgoff + i - dirty, dirty);
			pass->cleaned += dirty;
			dirty = 0;
		}
		i++;
	} while (i < nr && dirty_may_want(pte + i, wrprotect) &&
		 pte_present(ptep_get(pte + i)));

	if (dirty)
		pass->report(pass, pgoff + i - dirty, dirty);
	pass->cleaned += dirty;

	return i;
}

static __always_inline void dirty_change(struct dirty_walk *dw, pte_t *pte,
					 unsigned long addr, unsigned long nr,
					 bool wrprotect)
{
	unsigned long i = dirty_next(pte, 0, nr, wrprotect);
	unsigned long first = i, end = 0;

	for (; i < nr; i = dirty_next(pte, end, nr, wrprotect))
		end = dirty_change_run(dw, pte, addr, i, nr, wrprotect);

	if (end)
		dirty_found(dw, addr + (first << PAGE_SHIFT),
			    addr + (end << PAGE_SHIFT));
}

static int dirty_change_ptes(struct pfn_range_apply *apply, pte_t *pte,
			     unsigned long addr, unsigned long nr)
{
	struct dirty_walk *dw = container_of(apply, struct dirty_walk, apply);

	dw->pass->scanned += nr;
	/* Each has a loop of its own. */
	if (dw->wrprotect)
		dirty_change(dw, pte, addr, nr, true);
	else
		dirty_change(dw, pte, addr, nr, false);

	return 0;
}

static bool dirty_change_huge(struct pfn_range_apply *apply,
			      unsigned long addr, unsigned long size)
{
	struct dirty_walk *dw = container_of(apply, struct dirty_walk, apply);
	unsigned long nr = size >> PAGE_SHIFT;

	dw->pass->scanned++;
	dw->pass->cleaned += nr;
	dw->pass->report(dw->pass, linear_page_index(apply->vma, addr), nr);
	dirty_found(dw, addr, addr + size);

	return true;
}

/* Find out what there is to change. */
static int dirty_look_ptes(struct pfn_range_apply *apply, pte_t *pte,
			   unsigned long addr, unsigned long nr)
{
	struct dirty_walk *dw = container_of(apply, struct dirty_walk, apply);
	unsigned long first = dirty_next(pte, 0, nr, true);
	unsigned long end = nr;

	dw->pass->scanned += nr;
	if (first >= nr)
		return 0;

	while (dirty_next(pte, end - 1, end, true) == end)
		end--;
	dirty_found(dw, addr + (first << PAGE_SHIFT),
		    addr + (end << PAGE_SHIFT));

	return 0;
}

static bool dirty_look_huge(struct pfn_range_apply *apply, unsigned long addr,
			    unsigned long size)
{
	dirty_found(container_of(apply, struct dirty_walk, apply), addr,
		    addr + size);

	return false;
}

/*
 * The first part that ends behind @at. Where many VMAs map the same pages the
 * answers are those that there were for the VMA before.
 */
static bool dirty_next_part(struct dirty_walk *dw, pgoff_t at)
{
	struct mapping_dirty_range *part = &dw->part;

	if (at >= dw->none)
		return false;
	if (at >= dw->asked && at < part->first + part->nr)
		return true;

	dw->asked = at;
	if (dw->pass->next(dw->pass, at, part))
		return true;

	dw->none = at;

	return false;
}

/* Walk those parts that are asked for, between two addresses of the VMA. */
static void dirty_walk_parts(struct dirty_walk *dw, unsigned long start,
			     unsigned long end)
{
	struct vm_area_struct *vma = dw->apply.vma;
	pgoff_t at = linear_page_index(vma, start);
	pgoff_t last = at + ((end - start) >> PAGE_SHIFT);

	dw->start = ULONG_MAX;
	dw->end = 0;
	while (at < last && dirty_next_part(dw, at)) {
		pgoff_t part_end = min(last, dw->part.first + dw->part.nr);

		at = max(at, dw->part.first);
		if (at >= part_end)
			break;

		dw->wrprotect = dw->part.wrprotect || dw->secondary;
		if (!dw->second || dw->wrprotect)
			apply_to_pfn_range(&dw->apply, vma->vm_start +
					   ((at - vma->vm_pgoff) << PAGE_SHIFT),
					   (part_end - at) << PAGE_SHIFT);
		at = part_end;
	}
}

/* Change what is to be changed, and flush. */
static void dirty_change_parts(struct dirty_walk *dw, unsigned long start,
			       unsigned long end)
{
	struct vm_area_struct *vma = dw->apply.vma;

	dirty_walk_parts(dw, start, end);
	/* Another thread may have changed entries, and not flushed yet. */
	if (mm_tlb_flush_nested(vma->vm_mm))
		dirty_found(dw, start, end);
	if (dw->start < dw->end) {
		flush_tlb_range(vma, dw->start, dw->end);
		dw->pass->flushes++;
	}
}

static void dirty_harvest_vma(struct dirty_walk *dw, unsigned long start,
			      unsigned long end)
{
	struct vm_area_struct *vma = dw->apply.vma;
	struct mapping_dirty_pass *pass = dw->pass;
	struct mm_struct *mm = vma->vm_mm;
	unsigned long flushes = pass->flushes;
	struct mmu_notifier_range range;

	/*
	 * A notifier that is about to be registered waits for i_mmap_rwsem,
	 * see mm_take_all_locks().
	 */
	dw->secondary = mm_has_notifiers(mm);
	dw->again = false;
	dw->second = false;
	if (dw->secondary) {
		dw->apply.ptes = dirty_look_ptes;
		dw->apply.huge = dirty_look_huge;
		dirty_walk_parts(dw, start, end);
		if (dw->start >= dw->end) {
			/* Others may have changed entries, and not flushed yet. */
			if (mm_tlb_flush_pending(mm)) {
				flush_tlb_range(vma, start, end);
				pass->flushes++;
			}
			return;
		}

		/* A huge entry can reach beyond the range. */
		start = max(dw->start, start);
		end = min(dw->end, end);
		mmu_notifier_range_init(&range, MMU_NOTIFY_PROTECTION_PAGE, 0,
					mm, dw->start, dw->end);
		mmu_notifier_invalidate_range_start(&range);
	}

	dw->apply.ptes = dirty_change_ptes;
	dw->apply.huge = dirty_change_huge;
	flush_cache_range(vma, start, end);
	inc_tlb_flush_pending(mm);
	dirty_change_parts(dw, start, end);
	if (dw->again) {
		dw->second = true;
		dirty_change_parts(dw, start, end);
	}
	dec_tlb_flush_pending(mm);

	if (dw->secondary)
		mmu_notifier_invalidate_range_end(&range);
	if (pass->flushes != flushes)
		pass->notifier_ranges++;
}

/*
 * Whether the entries of a VMA that was just walked were all there: they are
 * removed later than it is marked as detached, or than the last user of the mm is
 * gone.
 */
static bool dirty_vma_stays(struct vm_area_struct *vma)
{
	/*
	 * What is read here must not be older than the entries. Pairs with the
	 * page table locks between that mark and an entry's removal.
	 */
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
 * mapping_dirty_harvest - Clean the entries of a range, and report dirty ones
 * @mapping: The address_space
 * @first: First page offset of the range
 * @nr: Number of page offsets
 * @pass: What to do, where to report it, and counters
 *
 * Goes over the page-table entries by which any VMA of any mm maps the range, or
 * those parts of it that @pass->next() names. Shared VMAs that may be writable
 * take part, others are passed over, and so is an entry that is not present.
 *
 * When this returns there is no guarantee that a CPU has not dirtied further
 * entries, unless the pass write-protects and the caller holds off
 * pfn_mkwrite() with a lock of its own. It is guaranteed that
 *
 * * an entry that was dirty when the function was called has been reported, or
 *   was removed with a VMA that @pass->vmas does not count, or was a huge one that
 *   the core has split;
 * * an entry dirtied later is reported, or stays dirty, or both;
 * * the data that was stored through a reported entry can be read when the
 *   function returns, and a store after that sets the dirty bit again or faults;
 * * an entry that was write-protected is read-only and clean.
 *
 * Context: Process context, may sleep. Takes i_mmap_rwsem for read, and starts
 * mmu_notifier ranges inside it. May be called with a dma_resv held, and must not
 * be called with anything held that is taken inside i_mmap_rwsem.
 * Return: 0, or -EINVAL if a VMA of the range is no mmap of device memory. It
 * was left alone, and the others were done.
 */
int mapping_dirty_harvest(struct address_space *mapping, pgoff_t first,
			  pgoff_t nr, struct mapping_dirty_pass *pass)
{
	struct dirty_walk dw = {
		.apply.i_mmap = true,
		.pass = pass,
		.part = { first, pass->next ? 0 : nr, pass->wrprotect },
		.none = first + nr,
	};
	const vm_flags_t shared = VM_SHARED | VM_MAYWRITE;
	struct vm_area_struct *vma;
	int err = 0;

	if (!nr)
		return 0;

	i_mmap_lock_read(mapping);
	mapping_rmap_tree_foreach(vma, mapping, first, first + nr - 1) {
		unsigned long start = vma->vm_start, end = vma->vm_end;

		if (first > vma->vm_pgoff)
			start += (first - vma->vm_pgoff) << PAGE_SHIFT;
		if (nr < vma->vm_pgoff + vma_pages(vma) - first)
			end = vma->vm_start +
				((first + nr - vma->vm_pgoff) << PAGE_SHIFT);

		/* Of private and read-only ones nothing is to be had. */
		if ((READ_ONCE(vma->vm_flags) & shared) == shared) {
			dw.apply.vma = vma;
			if (pfn_range_allowed(vma))
				dirty_harvest_vma(&dw, start, end);
			else
				err = -EINVAL;
		}
		pass->vmas += dirty_vma_stays(vma);
	}
	i_mmap_unlock_read(mapping);

	return err;
}
EXPORT_SYMBOL_GPL(mapping_dirty_harvest);

static void make_writable(struct vm_area_struct *vma, unsigned long addr,
			  pte_t *pte)
{
	pte_t entry = pte_mkwrite(ptep_get(pte), vma);

	if (ptep_set_access_flags(vma, addr, pte, entry, 1))
		update_mmu_cache(vma, addr, pte);
}

static int make_writable_ptes(struct pfn_range_apply *apply, pte_t *pte,
			      unsigned long addr, unsigned long nr)
{
	for (; nr; nr--, pte++, addr += PAGE_SIZE) {
		pte_t entry = ptep_get(pte);

		if (pte_present(entry) && !pte_write(entry))
			make_writable(apply->vma, addr, pte);
	}

	return 0;
}

/**
 * vma_make_writable - Make the present entries of a range writable
 * @vma: A shared, writable mmap of device memory
 * @start: First address of the range, page aligned
 * @end: Address after the range, page aligned, within the VMA
 *
 * Gives write permission to the entries of the range that are present and
 * read-only, and leaves their dirty bits as they are: after
 * mapping_dirty_harvest() has write-protected and cleaned them they are
 * writable and clean, so that stores don't fault and can be harvested later.
 * Huge entries stay as they are, and stores through them fault.
 *
 * Permissions are only widened: no TLB flush and no mmu_notifier is needed, a
 * CPU or device that has the old entry cached faults and finds the new one.
 *
 * Context: Called with mmap_lock or the VMA's lock held, as from a fault handler.
 * Return: 0, or -EINVAL if the VMA is not of the kind this is for.
 */
int vma_make_writable(struct vm_area_struct *vma, unsigned long start,
		      unsigned long end)
{
	struct pfn_range_apply apply = {
		.vma = vma,
		.ptes = make_writable_ptes,
	};

	if (!(vma->vm_flags & VM_WRITE))
		return -EINVAL;

	return apply_to_pfn_range(&apply, start, end - start);
}
EXPORT_SYMBOL_GPL(vma_make_writable);

/**
 * vmf_make_writable - Make the entry writable that a store has faulted at
 * @vmf: The fault, as &vm_operations_struct.pfn_mkwrite has it
 *
 * vma_make_writable() for this entry. Modelled on what the core does when
 * pfn_mkwrite() returns 0, for a handler that has to do it under a lock of its own
 * and returns VM_FAULT_NOPAGE then. An entry that is not the one that has faulted is
 * left alone: the store faults again, or does not have to.
 *
 * Context: Called with mmap_lock or the VMA's lock held, from pfn_mkwrite().
 */
void vmf_make_writable(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = vmf->address & PAGE_MASK;
	spinlock_t *ptl;	/* of the page table */
	pte_t *pte;

	pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, addr, &ptl);
	if (!pte)
		return;

	if (pte_same(ptep_get(pte), vmf->orig_pte))
		make_writable(vma, addr, pte);
	pte_unmap_unlock(pte, ptl);
}
EXPORT_SYMBOL_GPL(vmf_make_writable);

struct insert_pages {
	struct pfn_range_apply apply;
	unsigned long start;
	struct page **pages;
	pgprot_t prot;
};

static int insert_ptes(struct pfn_range_apply *apply, pte_t *pte,
		       unsigned long addr, unsigned long nr)
{
	struct insert_pages *insert =
		container_of(apply, struct insert_pages, apply);
	struct page **page =
		insert->pages + ((addr - insert->start) >> PAGE_SHIFT);
	struct vm_area_struct *vma = apply->vma;

	for (; nr; nr--, pte++, page++, addr += PAGE_SIZE) {
		unsigned long pfn = page_to_pfn(*page);
		pgprot_t prot = insert->prot;

		if (!pte_none(ptep_get(pte)))
			continue;
		if (!pfn_modify_allowed(pfn, prot))
			return -EACCES;

		pfnmap_setup_cachemode_pfn(pfn, &prot);
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
 * vmf_insert_pfn_prot() for many pages. The walk is done and the lock is taken once
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
		.apply.vma = vma,
		.apply.alloc = true,
		.apply.ptes = insert_ptes,
		.start = addr,
		.pages = pages,
		.prot = prot,
	};

	return apply_to_pfn_range(&insert.apply, addr, nr << PAGE_SHIFT);
}
EXPORT_SYMBOL_GPL(vma_insert_page_pfns);
