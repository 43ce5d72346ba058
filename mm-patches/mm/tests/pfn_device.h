/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device for tests of what walks the page tables of device memory: a file
 * whose mmaps map pages by their PFNs, and a copy of those pages that is kept
 * up to date by nothing but the reports of passes and the count of VMAs.
 */
#ifndef _MM_TESTS_PFN_DEVICE_H
#define _MM_TESTS_PFN_DEVICE_H

#include <linux/mapping_dirty.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

struct kunit;

/**
 * struct pfn_device - The device
 * @file: What to mmap. Holds the device: mappings can go later than the test.
 * @mapping: Its address_space
 * @lock: Held by passes and faults, as a driver would its buffer's dma_resv
 * @nr: Number of pages. A mapping may be larger, the pages repeat.
 * @order: What a fault maps: a page, a PMD or a PUD
 * @vm_flags: What VMAs are, VM_PFNMAP unless a test says otherwise
 * @harvest_only: Only what passes report counts as dirty: for tests in which
 * entries move and no VMA goes with an entry that is dirty
 * @close_delay: How long close() waits before it counts, in us
 * @pages: The pages
 * @copy: What the device thinks that the first word of each page is
 * @reported: Pages that the last pass reported, or that had to count as dirty
 * @faults: Calls of fault() and huge_fault()
 * @mkwrites: Calls of pfn_mkwrite()
 * @vmas_lock: Protects what follows, up to @opened
 * @vmas: VMAs between mmap() or open() and the end of close()
 * @seq: Changes of @vmas
 * @end: Page offset after the last that was ever mapped
 * @closed: Pages of VMAs that were closed since the last pass
 * @opened: VMAs were opened since the last pass that met them all. The core
 * removes huge entries where it splits a VMA or moves a part.
 * @unmet: Passes that did not meet all VMAs, so that all pages were dirty
 * @next: The parts that passes scan, see &struct mapping_dirty_pass
 * @pass: Counters of the last pass
 */
struct pfn_device {
	struct file *file;
	struct address_space *mapping;
	struct mutex lock;	/* taken after mmap_lock, before i_mmap_rwsem */
	unsigned long nr;
	unsigned int order;
	vm_flags_t vm_flags;
	bool harvest_only;
	unsigned int close_delay;
	struct page **pages;
	u32 *copy;
	unsigned long *reported;
	unsigned long faults;
	unsigned long mkwrites;
	spinlock_t vmas_lock;	/* taken last */
	unsigned long vmas;
	unsigned long seq;
	pgoff_t end;
	unsigned long *closed;
	bool opened;
	unsigned long unmet;
	bool (*next)(struct mapping_dirty_pass *pass, pgoff_t pgoff,
		     struct mapping_dirty_range *range);
	struct mapping_dirty_pass pass;
};

struct pfn_device *pfn_device_create(struct kunit *test, unsigned long nr,
				     unsigned int order);

/* Map @nr pages from @pgoff on, anywhere if @addr is 0. Asserts that it works. */
unsigned long pfn_device_map(struct kunit *test, struct pfn_device *dev,
			     unsigned long addr, unsigned long nr,
			     pgoff_t pgoff, unsigned long prot,
			     unsigned long flags);

/*
 * One pass, after which the copy has all that is dirty. One over a part of what is
 * mapped can't tell from a count of VMAs whether it met all.
 */
int pfn_device_pass(struct pfn_device *dev, bool wrprotect, pgoff_t first,
		    pgoff_t nr);
/* The same with other helpers than mapping_dirty_harvest(). */
void pfn_device_begin(struct pfn_device *dev);
void pfn_device_end(struct pfn_device *dev);

/* The first word of a page, by way of the page itself. */
u32 pfn_device_word(struct pfn_device *dev, unsigned long page);
/* Whether the device has all that was stored. */
bool pfn_device_current(struct pfn_device *dev);

/* Another mm than the test's. Work in it is between enter and leave. */
struct mm_struct *pfn_device_mm(struct kunit *test);
/* One that the caller ends with mmput(), or NULL. */
struct mm_struct *pfn_device_mm_alloc(void);
struct mm_struct *pfn_device_enter(struct mm_struct *mm);
void pfn_device_leave(struct mm_struct *mm, struct mm_struct *back);

/* The PMD of an address; NULL if there is none, with a huge PUD in @leaf. */
pmd_t *pfn_device_pmd(struct mm_struct *mm, unsigned long addr, u64 *leaf);
/* A page-table entry, of whatever level, or 0. */
u64 pfn_device_entry(struct mm_struct *mm, unsigned long addr);
/* The entry of a page as such, none if there is no page table. */
pte_t pfn_device_pte(struct mm_struct *mm, unsigned long addr);

/**
 * struct pfn_notifier - Watches whether the rules for notifiers are kept
 * @mn: The notifier
 * @mm: The mm it is registered with
 * @addr: Start of what is watched
 * @nr: Number of pages
 * @shadow: The entries as they may be
 * @open: Ranges that have been started and not been ended
 * @flushes: Count of TLB flushes when the first of those that are open began
 * @ranges: Ranges so far
 * @start: Start of the last one
 * @end: Its end
 * @errors: Rules broken
 */
struct pfn_notifier {
	struct mmu_notifier mn;
	struct mm_struct *mm;
	unsigned long addr;
	unsigned long nr;
	u64 *shadow;
	int open;
	u64 flushes;
	unsigned int ranges;
	unsigned long start;
	unsigned long end;
	unsigned int errors;
};

struct pfn_notifier *pfn_notifier_create(struct kunit *test,
					 struct mm_struct *mm,
					 unsigned long addr, unsigned long nr);
/* What has happened so far, by stores and faults, is in order. */
void pfn_notifier_begin(struct pfn_notifier *notifier);
/* Whether nothing has changed since then but within a range. */
void pfn_notifier_check(struct kunit *test, struct pfn_notifier *notifier);

#endif
