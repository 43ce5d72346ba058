// SPDX-License-Identifier: GPL-2.0
#include <linux/bitmap.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/mapping_dirty.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/pagewalk.h>
#include <linux/pfn_range.h>

#include "internal.h"

/**
 * DOC: overview
 *
 * A driver whose device does not see a CPU store when it happens can find
 * out afterwards which pages of a buffer were written, from the page tables
 * of everybody who has mmapped it. These helpers do that for a range of an
 * address_space: write-protect, so that the next store faults; clean and
 * report what the hardware marked dirty; or both in one step.
 *
 * .. warning::
 *
 *    They are for shared mmaps of device memory, VM_PFNMAP or VM_MIXEDMAP,
 *    whose owner handles pfn_mkwrite(). They do not know anonymous memory,
 *    page cache, COW, hugetlb or transparent huge pages of ordinary memory,
 *    and nothing tells the owners of such memory that their dirty bits were
 *    taken away.
 *
 * The VMAs are found by walk_page_mapping(), and their entries changed as by
 * apply_to_pfn_range(). If there are mmu_notifiers a VMA is first only looked
 * at, under its page table locks, which needs none of them. Only if there is
 * something to change is a notifier range started, for the span from the first
 * to the last such entry, and those page tables of the span walked again that
 * have one. Then the TLB is flushed, which on the architectures that have them
 * includes secondary TLBs, and the range ended. Where only parts of a VMA are
 * looked at it is still one notifier range and one flush for all of them.
 *
 * All of that happens within one unbroken hold of i_mmap_rwsem, so that fork()
 * and mremap() can't copy or move an entry past the walk: they put the new
 * VMA behind the old one in the interval tree. Page offsets are kept by both,
 * which is why a long range can be walked in pieces, and i_mmap_rwsem dropped
 * between them. A hold ends with about &HOLD_WORK of work, unless a piece of
 * &PIECE_MIN pages is mapped by so many VMAs that they alone are more: as in
 * any rmap walk, the VMAs of one page are not to be had in parts.
 *
 * Lock order: mmap_lock, dma_resv, i_mmap_rwsem, mmu_notifier, page table
 * lock.
 */

/*
 * When to end a hold of i_mmap_rwsem, in entries looked at; what changing one
 * adds to that; and what it takes to go to a VMA and walk to its entries.
 */
#define HOLD_WORK	(9 * 32768)
#define WORK_CHANGE	7
#define WORK_VMA	64

/* The most and the least that is walked in one hold, in pages. */
#define PIECE_MAX	(8UL * 32768)
#define PIECE_MIN	64UL

/* Page tables that a piece can have in a VMA, which need not be aligned. */
#define PIECE_TABLES	(PIECE_MAX / PTRS_PER_PTE + 2)

/**
 * struct dirty_walk - State of a pass
 * @change: Changes what there is to change
 * @pass: What the caller wants, and the counters
 * @range: The part that is being walked, or all of the caller's range
 * @asked: Between this page offset and the end of @range there is no other part
 * @work: What has been done in this hold of i_mmap_rwsem
 * @divisible: Whether the hold may be ended before all of the piece is done
 * @err: What to return in the end
 * @look: What is known of the VMA, or NULL if it was not looked at before
 */
struct dirty_walk {
	struct pfn_range_apply change;
	struct mapping_dirty_pass *pass;
	struct mapping_dirty_range range;
	pgoff_t asked;
	unsigned long work;
	bool divisible;
	int err;
	const struct dirty_look *look;
};

/**
 * struct dirty_look - What there is to do in a VMA
 * @base: Finds it out
 * @dw: The pass
 * @origin: Number of the first page table of the VMA's part of the range
 * @tables: Page tables that have something to change, from @origin
 * @start: Address of the first entry with something to change
 * @end: Address after the last such entry
 */
struct dirty_look {
	struct pfn_range_apply base;
	struct dirty_walk *dw;
	unsigned long origin;
	DECLARE_BITMAP(tables, PIECE_TABLES);
	unsigned long start;
	unsigned long end;
};

/*
 * Whether an entry may have something to change: it has, if it is present. The
 * flags are constants where this is used.
 */
static __always_inline bool dirty_may_want(pte_t pte, unsigned int flags)
{
	return ((flags & MAPPING_DIRTY_CLEAN) && pte_dirty(pte)) |
	       ((flags & MAPPING_DIRTY_WRPROTECT) && pte_write(pte));
}

static __always_inline bool dirty_wants(pte_t pte, unsigned int flags)
{
	return dirty_may_want(pte, flags) && pte_present(pte);
}

static __always_inline bool dirty_four_may_want(pte_t *pte, unsigned int flags)
{
	return dirty_may_want(ptep_get(pte), flags) |
	       dirty_may_want(ptep_get(pte + 1), flags) |
	       dirty_may_want(ptep_get(pte + 2), flags) |
	       dirty_may_want(ptep_get(pte + 3), flags);
}

/*
 * Pass over entries that are clean, from @i on, in steps of eight. That is what
 * a pass spends its time with: out of line, with all registers to itself.
 */
static __always_inline unsigned long __dirty_skip(pte_t *pte, unsigned long i,
						  unsigned long nr,
						  unsigned int flags)
{
	while (i + 8 <= nr && !(dirty_four_may_want(pte + i, flags) |
				dirty_four_may_want(pte + i + 4, flags)))
		i += 8;

	return i;
}

static noinline unsigned long dirty_skip_clean(pte_t *pte, unsigned long i,
					       unsigned long nr)
{
	return __dirty_skip(pte, i, nr, MAPPING_DIRTY_CLEAN);
}

static noinline unsigned long dirty_skip_readonly(pte_t *pte, unsigned long i,
						  unsigned long nr)
{
	return __dirty_skip(pte, i, nr, MAPPING_DIRTY_WRPROTECT);
}

static noinline unsigned long dirty_skip_both(pte_t *pte, unsigned long i,
					      unsigned long nr)
{
	return __dirty_skip(pte, i, nr, MAPPING_DIRTY_WRPROTECT |
			    MAPPING_DIRTY_CLEAN);
}

/* The first entry from @i on with something to change; @nr or more if none has. */
static __always_inline unsigned long dirty_next(pte_t *pte, unsigned long i,
						unsigned long nr,
						unsigned int flags)
{
	while (i < nr) {
		unsigned long end = min(nr, (i | 3) + 1);

		if (end - i == 4 && !dirty_four_may_want(pte + i, flags)) {
			i = end;
			/* Not worth a call. */
			if (nr - i < 32)
				continue;
			if (flags == MAPPING_DIRTY_CLEAN)
				i = dirty_skip_clean(pte, i, nr);
			else if (flags == MAPPING_DIRTY_WRPROTECT)
				i = dirty_skip_readonly(pte, i, nr);
			else
				i = dirty_skip_both(pte, i, nr);
			continue;
		}

		do {
			if (dirty_wants(ptep_get(pte + i), flags))
				return i;
		} while (++i < end);
	}

	return i;
}

/* Find the first part that is to be looked at between two page offsets. */
static bool dirty_next_range(struct dirty_walk *dw, pgoff_t pgoff, pgoff_t end)
{
	struct mapping_dirty_range *range = &dw->range;

	if (pgoff < dw->asked || pgoff >= range->first + range->nr) {
		dw->asked = pgoff;
		if (!dw->pass->next(dw->pass, pgoff, range)) {
			range->first = ULONG_MAX;
			range->nr = 0;
		}
	}

	return range->first < end;
}

/* The same for two addresses. */
static bool dirty_part(struct dirty_walk *dw, struct vm_area_struct *vma,
		       unsigned long addr, unsigned long end,
		       unsigned long *part, unsigned long *part_end)
{
	const struct mapping_dirty_range *range = &dw->range;
	pgoff_t first = linear_page_index(vma, addr);
	pgoff_t last = first + ((end - addr) >> PAGE_SHIFT);

	if (!dirty_next_range(dw, first, last))
		return false;

	*part = addr + ((max(first, range->first) - first) << PAGE_SHIFT);
	*part_end = addr + ((min(last, range->first + range->nr) - first) <<
			    PAGE_SHIFT);

	return true;
}

/* Takes in what is to be changed, from @start up to and without @end. */
static void dirty_look_found(struct dirty_look *look, unsigned long start,
			     unsigned long end)
{
	look->start = min(look->start, start);
	look->end = max(look->end, end);
}

/*
 * The page table lock is held although nothing is changed: zapping an entry
 * and pfn_zap_dirty() are one hold of it, so who finds the entry gone can
 * rely on the owner having been told.
 */
static int dirty_look_ptes(struct pfn_range_apply *closure,
			   struct vm_area_struct *vma, pte_t *pte,
			   unsigned long addr, unsigned long nr)
{
	struct dirty_look *look = container_of(closure, struct dirty_look, base);
	struct dirty_walk *dw = look->dw;
	unsigned int flags = dw->range.flags;
	unsigned long first, end;

	/* Each has a loop of its own. */
	if (flags == MAPPING_DIRTY_CLEAN)
		first = dirty_next(pte, 0, nr, MAPPING_DIRTY_CLEAN);
	else if (flags == MAPPING_DIRTY_WRPROTECT)
		first = dirty_next(pte, 0, nr, MAPPING_DIRTY_WRPROTECT);
	else
		first = dirty_next(pte, 0, nr, MAPPING_DIRTY_WRPROTECT |
				   MAPPING_DIRTY_CLEAN);

	if (first < nr) {
		end = nr;
		while (!dirty_wants(ptep_get(pte + end - 1), flags))
			end--;
		__set_bit((addr >> PMD_SHIFT) - look->origin, look->tables);
		dirty_look_found(look, addr + (first << PAGE_SHIFT),
				 addr + (end << PAGE_SHIFT));
		nr = first + 1 + nr - end;
	}
	dw->pass->scanned += nr;
	dw->work += nr;

	return 0;
}

static bool dirty_look_part(struct pfn_range_apply *closure,
			    struct vm_area_struct *vma, unsigned long addr,
			    unsigned long end, unsigned long *part,
			    unsigned long *part_end)
{
	struct dirty_look *look = container_of(closure, struct dirty_look, base);

	return dirty_part(look->dw, vma, addr, end, part, part_end);
}

static void dirty_look_leaf(struct pfn_range_apply *closure, unsigned long addr,
			    unsigned long size, bool write, bool dirty)
{
	struct dirty_look *look = container_of(closure, struct dirty_look, base);
	struct dirty_walk *dw = look->dw;
	unsigned int flags = dw->range.flags;

	dw->pass->scanned++;
	dw->work++;
	if ((dw->pass->flags & MAPPING_DIRTY_SPLIT) ||
	    ((flags & MAPPING_DIRTY_WRPROTECT) && write) ||
	    ((flags & MAPPING_DIRTY_CLEAN) && dirty))
		dirty_look_found(look, addr, addr + size);
}

/* Change one entry, and return what it was. */
static __always_inline pte_t dirty_change_one(struct vm_area_struct *vma,
					      unsigned long addr, pte_t *pte,
					      unsigned int flags)
{
	pte_t old, new;

	/* From here on the hardware can't set the dirty bit. */
	old = ptep_modify_prot_start(vma, addr, pte);
	new = old;
	if (flags & MAPPING_DIRTY_WRPROTECT)
		new = pte_wrprotect(new);
	if (flags & MAPPING_DIRTY_CLEAN)
		new = pte_mkclean(new);
	ptep_modify_prot_commit(vma, addr, pte, old, new);

	return old;
}

/*
 * Change the run of entries from @i on with something to change, of which there
 * is one at least, and return its end.
 */
static __always_inline unsigned long
dirty_change_run(struct mapping_dirty_pass *pass, struct vm_area_struct *vma,
		 pte_t *pte, unsigned long addr, unsigned long i,
		 unsigned long nr, unsigned int flags)
{
	pgoff_t pgoff = linear_page_index(vma, addr);
	unsigned long start = i, dirty = 0;

	do {
		pte_t old = dirty_change_one(vma, addr + (i << PAGE_SHIFT),
					     pte + i, flags);

		if (flags == (MAPPING_DIRTY_WRPROTECT | MAPPING_DIRTY_CLEAN)) {
			pass->wrprotected += !!pte_write(old);
			/* Of those that are writable not all are dirty. */
			if (pte_dirty(old)) {
				dirty++;
			} else if (dirty) {
				pass->cleaned += dirty;
				pass->report(pass, pgoff + i - dirty, dirty);
				dirty = 0;
			}
		}
		i++;
	} while (i < nr && dirty_wants(ptep_get(pte + i), flags));

	if (flags == MAPPING_DIRTY_WRPROTECT)
		pass->wrprotected += i - start;
	if (flags == MAPPING_DIRTY_CLEAN)
		dirty = i - start;
	if (dirty) {
		pass->cleaned += dirty;
		pass->report(pass, pgoff + i - dirty, dirty);
	}

	return i;
}

static __always_inline void dirty_change_runs(struct dirty_walk *dw,
					      struct vm_area_struct *vma,
					      pte_t *pte, unsigned long addr,
					      unsigned long nr,
					      unsigned int flags)
{
	unsigned long i, first, end = 0;

	dw->pass->scanned += nr;
	dw->work += nr;

	first = dirty_next(pte, 0, nr, flags);
	if (first >= nr)
		return;

	for (i = first; i < nr; i = dirty_next(pte, end + 1, nr, flags)) {
		end = dirty_change_run(dw->pass, vma, pte, addr, i, nr, flags);
		dw->work += (end - i) * WORK_CHANGE;
	}
	pfn_range_changed(&dw->change, addr + (first << PAGE_SHIFT),
			  addr + (end << PAGE_SHIFT));
}

static noinline int dirty_change_table(struct dirty_walk *dw,
				       struct vm_area_struct *vma, pte_t *pte,
				       unsigned long addr, unsigned long nr,
				       unsigned int flags)
{
	if (dw->look) {
		unsigned long table = (addr >> PMD_SHIFT) - dw->look->origin;

		if (table >= PIECE_TABLES || !test_bit(table, dw->look->tables))
			return 0;
	}
	if (dw->work >= HOLD_WORK && dw->divisible)
		return -EAGAIN;

	if (flags == MAPPING_DIRTY_CLEAN)
		dirty_change_runs(dw, vma, pte, addr, nr, MAPPING_DIRTY_CLEAN);
	else if (flags == MAPPING_DIRTY_WRPROTECT)
		dirty_change_runs(dw, vma, pte, addr, nr,
				  MAPPING_DIRTY_WRPROTECT);
	else
		dirty_change_runs(dw, vma, pte, addr, nr,
				  MAPPING_DIRTY_WRPROTECT |
				  MAPPING_DIRTY_CLEAN);

	return 0;
}

static int dirty_change_ptes(struct pfn_range_apply *closure,
			     struct vm_area_struct *vma, pte_t *pte,
			     unsigned long addr, unsigned long nr)
{
	struct dirty_walk *dw = container_of(closure, struct dirty_walk, change);
	unsigned int flags = dw->range.flags;

	/* A single page that many map and few write to: most of its entries. */
	if (nr == 1 && !dirty_wants(ptep_get(pte), flags)) {
		dw->pass->scanned++;
		dw->work++;
		return 0;
	}

	return dirty_change_table(dw, vma, pte, addr, nr, flags);
}

static bool dirty_change_part(struct pfn_range_apply *closure,
			      struct vm_area_struct *vma, unsigned long addr,
			      unsigned long end, unsigned long *part,
			      unsigned long *part_end)
{
	struct dirty_walk *dw = container_of(closure, struct dirty_walk, change);

	return dirty_part(dw, vma, addr, end, part, part_end);
}

/*
 * Decide what becomes of a huge entry: MAPPING_DIRTY_WRPROTECT,
 * MAPPING_DIRTY_CLEAN, both or nothing.
 */
static unsigned int dirty_change_leaf(struct dirty_walk *dw,
				      struct vm_area_struct *vma,
				      unsigned long addr, unsigned long size,
				      bool write, bool dirty)
{
	const struct mapping_dirty_range *range = &dw->range;
	pgoff_t first = linear_page_index(vma, addr);
	pgoff_t end = first + (size >> PAGE_SHIFT);
	unsigned int flags = range->flags;

	/* What is outside the notifier range has come after the look. */
	if (dw->look && (addr < dw->look->start || addr + size > dw->look->end))
		return 0;

	/* It goes away: nobody can have its dirty bit later. */
	if (dw->pass->flags & MAPPING_DIRTY_SPLIT)
		flags |= MAPPING_DIRTY_WRPROTECT | MAPPING_DIRTY_CLEAN;

	if ((dw->pass->flags & MAPPING_DIRTY_CLIP) && dirty) {
		pgoff_t in_first = max(first, range->first);
		pgoff_t in_end = min(end, range->first + range->nr);

		if (in_first > first || in_end < end) {
			dw->pass->report(dw->pass, in_first, in_end - in_first);
			return 0;
		}
	}

	if (!write)
		flags &= ~MAPPING_DIRTY_WRPROTECT;
	if (!dirty)
		flags &= ~MAPPING_DIRTY_CLEAN;

	return flags;
}

/* Account for what was done to a huge entry. */
static void dirty_changed_leaf(struct dirty_walk *dw,
			       struct vm_area_struct *vma, unsigned long addr,
			       unsigned long size, bool write, bool dirty)
{
	pgoff_t nr = size >> PAGE_SHIFT;

	pfn_range_changed(&dw->change, addr, addr + size);
	dw->work += WORK_CHANGE;
	if (write)
		dw->pass->wrprotected += nr;
	if (dirty) {
		dw->pass->cleaned += nr;
		dw->pass->report(dw->pass, linear_page_index(vma, addr), nr);
	}
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static int dirty_look_pmd_leaf(struct pfn_range_apply *closure,
			       struct vm_area_struct *vma, pmd_t *pmd,
			       unsigned long addr)
{
	pmd_t entry = pmdp_get(pmd);

	dirty_look_leaf(closure, addr, PMD_SIZE, pmd_write(entry), pmd_dirty(entry));

	return 0;
}

static int dirty_change_pmd_leaf(struct pfn_range_apply *closure,
				 struct vm_area_struct *vma, pmd_t *pmd,
				 unsigned long addr)
{
	struct dirty_walk *dw = container_of(closure, struct dirty_walk, change);
	pmd_t old = pmdp_get(pmd), new;
	unsigned int flags;

	flags = dirty_change_leaf(dw, vma, addr, PMD_SIZE, pmd_write(old),
				  pmd_dirty(old));
	if (!flags)
		return 0;

	/* It must not become none, zapping would pass it over. */
	old = pmdp_invalidate_ad(vma, addr, pmd);
	new = old;
	if (flags & MAPPING_DIRTY_WRPROTECT)
		new = pmd_wrprotect(new);
	if (flags & MAPPING_DIRTY_CLEAN)
		new = pmd_mkclean(new);
	set_pmd_at(vma->vm_mm, addr, pmd, new);
	dirty_changed_leaf(dw, vma, addr, PMD_SIZE,
			   flags & MAPPING_DIRTY_WRPROTECT,
			   (flags & MAPPING_DIRTY_CLEAN) && pmd_dirty(old));

	return 0;
}
#else
#define dirty_look_pmd_leaf	NULL
#define dirty_change_pmd_leaf	NULL
#endif

#ifdef CONFIG_HAVE_ARCH_TRANSPARENT_HUGEPAGE_PUD
static int dirty_look_pud_leaf(struct pfn_range_apply *closure,
			       struct vm_area_struct *vma, pud_t *pud,
			       unsigned long addr)
{
	pud_t entry = pudp_get(pud);

	dirty_look_leaf(closure, addr, PUD_SIZE, pud_write(entry), pud_dirty(entry));

	return 0;
}

static int dirty_change_pud_leaf(struct pfn_range_apply *closure,
				 struct vm_area_struct *vma, pud_t *pud,
				 unsigned long addr)
{
	struct dirty_walk *dw = container_of(closure, struct dirty_walk, change);
	pud_t old = pudp_get(pud), new;
	unsigned int flags;

	flags = dirty_change_leaf(dw, vma, addr, PUD_SIZE, pud_write(old),
				  pud_dirty(old));
	if (!flags)
		return 0;

	old = pudp_invalidate(vma, addr, pud);
	new = old;
	if (flags & MAPPING_DIRTY_WRPROTECT)
		new = pud_wrprotect(new);
	if (flags & MAPPING_DIRTY_CLEAN)
		new = pud_mkclean(new);
	set_pud_at(vma->vm_mm, addr, pud, new);
	dirty_changed_leaf(dw, vma, addr, PUD_SIZE,
			   flags & MAPPING_DIRTY_WRPROTECT,
			   (flags & MAPPING_DIRTY_CLEAN) && pud_dirty(old));

	return 0;
}
#else
#define dirty_look_pud_leaf	NULL
#define dirty_change_pud_leaf	NULL
#endif

/*
 * What there is to do in a VMA that has notifiers, and whose part of the range
 * goes from @start to @end.
 */
static int dirty_look_and_change(struct dirty_walk *dw,
				 struct vm_area_struct *vma,
				 unsigned long start, unsigned long end)
{
	struct dirty_look look = {
		.base.flags = PFN_RANGE_I_MMAP | PFN_RANGE_WIDEN,
		.base.part = dw->change.part ? dirty_look_part : NULL,
		.base.ptes = dirty_look_ptes,
		.base.pmd_leaf = dirty_look_pmd_leaf,
		.base.pud_leaf = dirty_look_pud_leaf,
		.dw = dw,
		.origin = start >> PMD_SHIFT,
		.start = ULONG_MAX,
	};
	int err;

	err = apply_to_pfn_range(vma, start, end - start, &look.base);
	if (err || look.start >= look.end)
		return err;

	dw->look = &look;
	err = apply_to_pfn_range(vma, look.start, look.end - look.start,
				 &dw->change);
	dw->look = NULL;
	dw->pass->notifier_ranges++;
	dw->pass->flushes += dw->change.flushed;

	return err;
}

/*
 * Returns 0 for a VMA in which pagewalk is to change what it finds, before it calls
 * dirty_post_vma(), and 1 for one that is to be left alone, or was done.
 */
static int dirty_harvest_vma(unsigned long start, unsigned long end,
			     struct mm_walk *walk)
{
	struct dirty_walk *dw = container_of(walk->private, struct dirty_walk,
					     change);
	struct vm_area_struct *vma = walk->vma;
	unsigned long vm_flags = READ_ONCE(vma->vm_flags);
	pgoff_t pgoff = linear_page_index(vma, start);

	if (dw->work >= HOLD_WORK && dw->divisible)
		return -EAGAIN;
	dw->work += WORK_VMA;

	/* COW, and read-only for ever: nothing that is written is shared. */
	if ((vm_flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE))
		return 1;

	if (!pfn_range_allowed(&dw->change, vma)) {
		dw->err = -EINVAL;
		return 1;
	}

	if (dw->pass->next &&
	    !dirty_next_range(dw, pgoff, pgoff + ((end - start) >> PAGE_SHIFT)))
		return 1;

	/*
	 * Without notifiers there is nobody who could be spared. One that is
	 * about to be registered waits for i_mmap_rwsem, see
	 * mm_take_all_locks().
	 */
	if (mm_has_notifiers(vma->vm_mm))
		return dirty_look_and_change(dw, vma, start, end) ?: 1;

	pfn_range_begin(&dw->change, vma, start, end);

	return 0;
}

static void dirty_post_vma(struct mm_walk *walk)
{
	struct dirty_walk *dw = container_of(walk->private, struct dirty_walk,
					     change);

	pfn_range_end(&dw->change, walk->vma);
	/* A range in which nothing changed counts for none: nobody was told. */
	dw->pass->notifier_ranges += dw->change.flushed;
	dw->pass->flushes += dw->change.flushed;
}

static const struct mm_walk_ops dirty_harvest_ops = {
	.test_walk = dirty_harvest_vma,
	.post_vma = dirty_post_vma,
	.pud_entry = pfn_range_pud,
	.pmd_entry = pfn_range_pmd,
};

/**
 * mapping_dirty_harvest - Write-protect and clean the entries of a range
 * @mapping: The address_space
 * @first: First page offset of the range
 * @nr: Number of page offsets
 * @pass: What to do, where to report it, and counters
 *
 * Goes over the page-table entries by which any VMA of any mm maps the range, or
 * those parts of it that @pass->next() names. Shared VMAs that may be writable
 * take part, others are passed over, and so is an entry that is not present.
 *
 * A huge entry is write-protected and cleaned as a whole, and reported as a
 * whole, even if only a part of it is in the range.
 *
 * When this returns there is no guarantee that a CPU has not dirtied further
 * entries, unless the pass write-protects and the caller holds off
 * pfn_mkwrite() with a lock of its own. It is guaranteed that
 *
 * * an entry that was dirty when the function was called has been reported,
 *   or its dirty bit was taken by pfn_zap_dirty() before the return;
 * * an entry dirtied later is reported, or stays dirty, or both;
 * * the data that was stored through a reported entry can be read when the
 *   function returns, and a store after that sets the dirty bit again.
 *
 * Context: Process context, may sleep. Takes i_mmap_rwsem for read, more than
 * once if the range is large; starts mmu_notifier ranges inside it. May be
 * called with a dma_resv held, and must not be called with anything held that
 * is taken inside i_mmap_rwsem.
 * Return: 0, or -EINVAL if a VMA of the range is no mmap of device memory. It
 * was left alone, and the others were done.
 */
int mapping_dirty_harvest(struct address_space *mapping, pgoff_t first,
			  pgoff_t nr, struct mapping_dirty_pass *pass)
{
	/* Most passes are short: all of it is set, but nothing twice. */
	struct dirty_walk dw __uninitialized;
	pgoff_t piece = PIECE_MAX;

	dw.change.flags = PFN_RANGE_I_MMAP;
	if (pass->flags & MAPPING_DIRTY_SPLIT)
		dw.change.flags |= PFN_RANGE_SPLIT;
	dw.change.part = pass->next ? dirty_change_part : NULL;
	dw.change.ptes = dirty_change_ptes;
	dw.change.pmd_leaf = dirty_change_pmd_leaf;
	dw.change.pud_leaf = dirty_change_pud_leaf;
	dw.pass = pass;
	dw.range.first = first;
	dw.range.nr = pass->next ? 0 : nr;
	dw.asked = first;
	dw.range.flags = pass->flags & (MAPPING_DIRTY_WRPROTECT |
					MAPPING_DIRTY_CLEAN);
	dw.err = 0;
	dw.look = NULL;

	while (nr) {
		pgoff_t now = min(nr, piece);
		int err;

		dw.work = 0;
		dw.divisible = now > PIECE_MIN;

		i_mmap_lock_read(mapping);
		err = walk_page_mapping(mapping, first, now,
					&dirty_harvest_ops, &dw.change);
		i_mmap_unlock_read(mapping);
		pass->holds++;

		/*
		 * Too much for one hold: start over with less. What was found
		 * so far has been reported and cleaned.
		 */
		if (err) {
			piece = max(now / 8, PIECE_MIN);
			continue;
		}

		first += now;
		nr -= now;
		if (dw.work < HOLD_WORK / 4)
			piece = min(2 * piece, PIECE_MAX);
	}

	return dw.err;
}
EXPORT_SYMBOL_GPL(mapping_dirty_harvest);

static void make_writable(struct vm_area_struct *vma, unsigned long addr,
			  pte_t *pte)
{
	pte_t entry = pte_mkwrite(ptep_get(pte), vma);

	if (ptep_set_access_flags(vma, addr, pte, entry, 1))
		update_mmu_cache(vma, addr, pte);
}

struct make_writable {
	struct pfn_range_apply base;
	unsigned long total;
};

static int make_writable_ptes(struct pfn_range_apply *closure,
			      struct vm_area_struct *vma, pte_t *pte,
			      unsigned long addr, unsigned long nr)
{
	struct make_writable *mw =
		container_of(closure, struct make_writable, base);

	for (; nr; nr--, pte++, addr += PAGE_SIZE) {
		pte_t entry = ptep_get(pte);

		if (!pte_present(entry) || pte_write(entry))
			continue;

		make_writable(vma, addr, pte);
		mw->total++;
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
 * Return: The number of entries made writable, or -EINVAL if the VMA is not of
 * the kind this is for.
 */
long vma_make_writable(struct vm_area_struct *vma, unsigned long start,
		       unsigned long end)
{
	struct make_writable mw = {
		.base.flags = PFN_RANGE_WIDEN,
		.base.ptes = make_writable_ptes,
	};
	int err;

	if (!(vma->vm_flags & VM_WRITE))
		return -EINVAL;

	err = apply_to_pfn_range(vma, start, end - start, &mw.base);

	return err ?: mw.total;
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
