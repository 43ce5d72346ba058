// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the page-table walks for device memory: apply_to_pfn_range()
 * and mapping_dirty_harvest().
 *
 * Stores are made with put_user(), so that the CPU faults and sets dirty bits
 * as for a user program. See pfn_device.h for the device that is mapped.
 *
 * One long file: two suites of short cases on the same helpers.
 */

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/prandom.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/uaccess.h>

#include <asm/ptrace.h>
#include <asm/tlbflush.h>

#include <kunit/test.h>

#include "../pfn_range.h"
#include "pfn_device.h"

#define RW	(PROT_READ | PROT_WRITE)

/* Where tests map that care for the alignment. Below 4 GiB, above NULL. */
#define BASE	0x40000000UL

static void store(struct kunit *test, unsigned long addr, u32 value)
{
	KUNIT_ASSERT_EQ(test, 0, put_user(value, (u32 __user *)addr));
}

static void store_page(struct kunit *test, unsigned long map,
		       unsigned long page, u32 value)
{
	store(test, map + (page << PAGE_SHIFT), value);
}

static u32 load(struct kunit *test, unsigned long addr)
{
	u32 value = 0;

	KUNIT_ASSERT_EQ(test, 0, get_user(value, (u32 __user *)addr));

	return value;
}

/* A pass reports these pages, in ascending order, and no others. */
static void expect_reported(struct kunit *test, struct pfn_device *dev,
			    const unsigned long *pages, unsigned int n)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, n, bitmap_weight(dev->reported, dev->nr));
	for (i = 0; i < n; i++)
		KUNIT_EXPECT_TRUE_MSG(test, test_bit(pages[i], dev->reported),
				      "page %lu is not reported", pages[i]);
	KUNIT_EXPECT_TRUE_MSG(test, pfn_device_current(dev),
			      "the device misses a store");
}

#define EXPECT_REPORTED(test, dev, ...) do {				\
	const unsigned long pages[] = { __VA_ARGS__ };			\
									\
	expect_reported(test, dev, pages, ARRAY_SIZE(pages));		\
} while (0)

#define EXPECT_PASS(test, dev, wrprotect, first, nr)			\
	KUNIT_EXPECT_EQ(test, 0, pfn_device_pass(dev, wrprotect, first, nr))

static void expect_entry(struct kunit *test, unsigned long addr, bool write,
			 bool dirty)
{
	pte_t pte = pfn_device_pte(current->mm, addr);

	KUNIT_EXPECT_TRUE(test, pte_present(pte));
	KUNIT_EXPECT_EQ(test, write, !!pte_write(pte));
	KUNIT_EXPECT_EQ(test, dirty, !!pte_dirty(pte));
}

/* After a pass that write-protects no entry is read-only and dirty. */
static void expect_exact(struct kunit *test, struct mm_struct *mm,
			 unsigned long map, unsigned long nr)
{
	unsigned long i, inexact = 0;

	mmap_read_lock(mm);
	for (i = 0; i < nr; i++) {
		pte_t pte = pfn_device_pte(mm, map + (i << PAGE_SHIFT));

		inexact += pte_present(pte) && !pte_write(pte) &&
			   pte_dirty(pte);
	}
	mmap_read_unlock(mm);
	KUNIT_EXPECT_EQ(test, 0, inexact);
}

/* MAP_SHARED of a file that is open for reading: never writable. */
static unsigned long map_readonly(struct kunit *test, struct pfn_device *dev,
				  unsigned long nr)
{
	unsigned long map;

	dev->file->f_mode &= ~FMODE_WRITE;
	map = pfn_device_map(test, dev, 0, nr, 0, PROT_READ, MAP_SHARED);
	dev->file->f_mode |= FMODE_WRITE;

	return map;
}

/* A pass over nothing, or over clean entries, calls no notifier. */
static void test_nothing(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct pfn_notifier *notifier = NULL;
	unsigned int i;

	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_PASS(test, dev, true, 0, 64);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.scanned);

	/* Present, but read-only and clean; without a notifier and with one */
	load(test, map + 5 * PAGE_SIZE);
	for (i = 0; i < 4; i++) {
		if (i == 2) {
			notifier = pfn_notifier_create(test, current->mm, map,
						       64);
			pfn_notifier_begin(notifier);
		}
		EXPECT_PASS(test, dev, i % 2, 0, 64);
		KUNIT_EXPECT_EQ(test, 64, dev->pass.scanned);
		KUNIT_EXPECT_EQ(test, 0, dev->pass.notifier_ranges);
		KUNIT_EXPECT_EQ(test, 0, dev->pass.flushes);
		KUNIT_EXPECT_EQ(test, 1, dev->pass.vmas);
		KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));
	}
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, 0, notifier->ranges);
}

/* Cleaned entries stay writable, and a later store is seen again. */
static void test_clean(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	unsigned long faults;

	store_page(test, map, 3, 1);
	store_page(test, map, 4, 1);
	store_page(test, map, 50, 1);
	load(test, map + 20 * PAGE_SIZE);
	faults = dev->faults + dev->mkwrites;

	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 3, 4, 50);
	KUNIT_EXPECT_EQ(test, 3, dev->pass.cleaned);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.flushes);
	expect_entry(test, map + 4 * PAGE_SIZE, true, false);

	EXPECT_PASS(test, dev, false, 0, 64);
	KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));

	/* The flush: without it the CPU would not set the bit once more. */
	store_page(test, map, 4, 2);
	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 4);
	KUNIT_EXPECT_EQ(test, faults, dev->faults + dev->mkwrites);
}

/* Another thread may have changed an entry without a flush: the pass flushes. */
static void test_flush_for_others(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct pfn_notifier *notifier = NULL;
	unsigned int i;

	/* Without a notifier and with one, which need not hear of it */
	for (i = 0; i < 2; i++) {
		if (i)
			notifier = pfn_notifier_create(test, current->mm, map,
						       64);
		store_page(test, map, 5, 1 + i);
		EXPECT_PASS(test, dev, false, 0, 64);
		if (notifier)
			pfn_notifier_begin(notifier);
		EXPECT_PASS(test, dev, false, 0, 64);
		KUNIT_EXPECT_EQ(test, 0, dev->pass.flushes);

		inc_tlb_flush_pending(current->mm);
		EXPECT_PASS(test, dev, false, 0, 64);
		dec_tlb_flush_pending(current->mm);
		KUNIT_EXPECT_EQ(test, 1, dev->pass.flushes);
		KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));
	}
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, 0, notifier->ranges);
}

/* Clean and read-only in one step. A store after that faults, and is found. */
static void test_wrprotect(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);

	store_page(test, map, 7, 1);
	store_page(test, map, 9, 1);
	EXPECT_PASS(test, dev, true, 0, 64);
	EXPECT_REPORTED(test, dev, 7, 9);
	KUNIT_EXPECT_EQ(test, 2, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 2, dev->pass.cleaned);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.flushes);
	expect_entry(test, map + 7 * PAGE_SIZE, false, false);

	KUNIT_EXPECT_EQ(test, 0, dev->mkwrites);
	store_page(test, map, 9, 2);
	KUNIT_EXPECT_EQ(test, 1, dev->mkwrites);
	EXPECT_PASS(test, dev, true, 0, 64);
	EXPECT_REPORTED(test, dev, 9);

	/* Writable and clean: read-only after it, and nothing to report. */
	store_page(test, map, 11, 3);
	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 11);
	expect_entry(test, map + 11 * PAGE_SIZE, true, false);
	EXPECT_PASS(test, dev, true, 0, 64);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));
	expect_entry(test, map + 11 * PAGE_SIZE, false, false);
}

/* With a notifier writable is dirty, and is read-only after any pass. */
static void test_notified(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct pfn_notifier *notifier;
	unsigned int i;

	/* What passes left before there was one: page 30, writable and clean */
	store_page(test, map, 30, 1);
	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 30);
	store_page(test, map, 3, 1);
	store_page(test, map, 50, 1);
	load(test, map + 20 * PAGE_SIZE);

	notifier = pfn_notifier_create(test, current->mm, map, 64);
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, false, 0, 64);
	pfn_notifier_check(test, notifier);
	EXPECT_REPORTED(test, dev, 3, 30, 50);
	KUNIT_EXPECT_EQ(test, 3, dev->pass.cleaned);
	KUNIT_EXPECT_EQ(test, 3, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.flushes);

	/* One range, from the first entry that changes to the last. */
	KUNIT_EXPECT_EQ(test, 1, notifier->ranges);
	KUNIT_EXPECT_EQ(test, map + 3 * PAGE_SIZE, notifier->start);
	KUNIT_EXPECT_EQ(test, map + 51 * PAGE_SIZE, notifier->end);
	expect_entry(test, map + 3 * PAGE_SIZE, false, false);
	expect_entry(test, map + 30 * PAGE_SIZE, false, false);
	expect_entry(test, map + 50 * PAGE_SIZE, false, false);

	for (i = 0; i < 2; i++) {
		EXPECT_PASS(test, dev, i, 0, 64);
		KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));
		store_page(test, map, 50, 2 + i);
		KUNIT_EXPECT_EQ(test, i + 1, dev->mkwrites);
		pfn_notifier_begin(notifier);
		EXPECT_PASS(test, dev, i, 0, 64);
		pfn_notifier_check(test, notifier);
		EXPECT_REPORTED(test, dev, 50);
		expect_entry(test, map + 50 * PAGE_SIZE, false, false);
	}
}

/*
 * What a secondary MMU gets to know of an address, as KVM asks for it: whether
 * it may store there.
 */
static bool secondary_map(struct kunit *test, unsigned long addr,
			  unsigned long pfn)
{
	struct follow_pfnmap_args args = { .address = addr };
	struct mm_struct *mm = current->mm;
	bool writable = false;

	mmap_read_lock(mm);
	args.vma = find_vma(mm, addr);
	if (!follow_pfnmap_start(&args)) {
		KUNIT_EXPECT_EQ(test, pfn, args.pfn);
		writable = args.writable;
		follow_pfnmap_end(&args);
	}
	mmap_read_unlock(mm);

	return writable;
}

/* Its stores leave no dirty bit in the entries that are read. */
static void secondary_store(struct pfn_device *dev, unsigned long page,
			    u32 value)
{
	u32 *p = kmap_local_page(dev->pages[page]);

	WRITE_ONCE(*p, value);
	kunmap_local(p);
}

/* A store by way of a secondary MMU is found, and it has to ask after that. */
static void test_secondary(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	unsigned long addr = map + 7 * PAGE_SIZE;
	unsigned long pfn = page_to_pfn(dev->pages[7]);
	struct mm_struct *mm = current->mm;
	struct pfn_notifier *notifier;
	u32 value;

	/* Writable and clean before there is a secondary MMU */
	store(test, addr, 1);
	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 7);
	notifier = pfn_notifier_create(test, mm, map, 64);
	KUNIT_EXPECT_TRUE(test, secondary_map(test, addr, pfn));
	secondary_store(dev, 7, 2);
	expect_entry(test, addr, true, false);
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, false, 0, 64);
	pfn_notifier_check(test, notifier);
	EXPECT_REPORTED(test, dev, 7);
	KUNIT_EXPECT_EQ(test, 1, notifier->ranges);

	/* Opened by a store of the CPU */
	KUNIT_EXPECT_FALSE(test, secondary_map(test, addr, pfn));
	store(test, addr, 3);
	KUNIT_EXPECT_TRUE(test, secondary_map(test, addr, pfn));
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, false, 0, 64);
	pfn_notifier_check(test, notifier);
	EXPECT_REPORTED(test, dev, 7);
	expect_entry(test, addr, false, false);
	KUNIT_EXPECT_EQ(test, 1, notifier->ranges);
	KUNIT_EXPECT_EQ(test, addr, notifier->start);
	KUNIT_EXPECT_EQ(test, addr + PAGE_SIZE, notifier->end);

	/* Opened by a fault for it, as fixup_user_fault() makes them */
	for (value = 4; value < 8; value++) {
		KUNIT_EXPECT_FALSE(test, secondary_map(test, addr, pfn));
		mmap_read_lock(mm);
		KUNIT_EXPECT_EQ(test, 0, fixup_user_fault(mm, addr,
							  FAULT_FLAG_WRITE,
							  NULL));
		mmap_read_unlock(mm);
		KUNIT_EXPECT_TRUE(test, secondary_map(test, addr, pfn));
		expect_entry(test, addr, true, false);
		secondary_store(dev, 7, value);
		pfn_notifier_begin(notifier);
		EXPECT_PASS(test, dev, value % 2, 0, 64);
		pfn_notifier_check(test, notifier);
		EXPECT_REPORTED(test, dev, 7);
		expect_entry(test, addr, false, false);
		KUNIT_EXPECT_EQ(test, 1, notifier->ranges);
		EXPECT_PASS(test, dev, value % 2, 0, 64);
		KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));
	}
}

/* Only what is in the range, in VMAs that start before it, end after it, ... */
static void test_range(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 128, 0);
	/* ... are outside of it, or have only a part of it. */
	static const struct {
		unsigned long first, nr;
	} vmas[] = { { 0, 128 }, { 10, 40 }, { 60, 60 }, { 40, 8 }, { 0, 32 },
		     { 96, 32 }, { 31, 2 }, { 95, 1 } };
	unsigned long map[ARRAY_SIZE(vmas)], page;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vmas); i++) {
		map[i] = pfn_device_map(test, dev, 0, vmas[i].nr, vmas[i].first,
					RW, MAP_SHARED);
		for (page = 0; page < vmas[i].nr; page++)
			store_page(test, map[i], page, 1);
	}

	EXPECT_PASS(test, dev, true, 32, 64);
	KUNIT_EXPECT_EQ(test, 64, bitmap_weight(dev->reported, 128));
	KUNIT_EXPECT_EQ(test, 32, find_first_bit(dev->reported, 128));
	for (i = 0; i < ARRAY_SIZE(vmas); i++) {
		for (page = 0; page < vmas[i].nr; page++) {
			bool in = vmas[i].first + page >= 32 &&
				  vmas[i].first + page < 96;
			pte_t pte = pfn_device_pte(current->mm, map[i] +
						   (page << PAGE_SHIFT));

			KUNIT_EXPECT_EQ(test, in, !pte_dirty(pte));
			KUNIT_EXPECT_EQ(test, in, !pte_write(pte));
		}
	}

	EXPECT_PASS(test, dev, true, 0, 128);
	KUNIT_EXPECT_EQ(test, 64, bitmap_weight(dev->reported, 128));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

static struct mapping_dirty_range parts[4];

/* In the first page table, from there into the next, in the last of six. */
static void set_parts(void)
{
	parts[0] = (struct mapping_dirty_range) { 3, 1, true };
	parts[1] = (struct mapping_dirty_range) { 10, 6, false };
	parts[2] = (struct mapping_dirty_range) { PTRS_PER_PTE - 12, 30, true };
	parts[3] = (struct mapping_dirty_range) { 5 * PTRS_PER_PTE, 1, false };
}

static bool next_part(struct mapping_dirty_pass *pass, pgoff_t pgoff,
		      struct mapping_dirty_range *range)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (parts[i].first + parts[i].nr <= pgoff)
			continue;
		*range = parts[i];

		return true;
	}

	return false;
}

static const struct mapping_dirty_range *part_of(unsigned long page)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		if (page >= parts[i].first &&
		    page < parts[i].first + parts[i].nr)
			return &parts[i];

	return NULL;
}

struct part_vma {
	unsigned long first, nr, map;
};

/* Store to all pages of the VMAs, and make a pass scan some. */
static void pass_parts(struct kunit *test, struct pfn_device *dev,
		       const struct part_vma vmas[3], bool secondary, u32 value)
{
	unsigned long page;
	unsigned int i;

	for (i = 0; i < 3; i++)
		for (page = 0; page < vmas[i].nr; page++)
			store_page(test, vmas[i].map, page, value);

	EXPECT_PASS(test, dev, true, 0, 6 * PTRS_PER_PTE);

	/* The VMA that none of it is in is not disturbed. */
	KUNIT_EXPECT_EQ(test, 2, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, 2, dev->pass.flushes);
	KUNIT_EXPECT_EQ(test, 3, dev->pass.vmas);
	KUNIT_EXPECT_EQ(test, 38 + 20, dev->pass.cleaned);
	KUNIT_EXPECT_EQ(test, (secondary ? 38 : 31) + 20,
			dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 38, bitmap_weight(dev->reported, dev->nr));

	for (i = 0; i < 3; i++) {
		for (page = 0; page < vmas[i].nr; page++) {
			unsigned long pgoff = vmas[i].first + page;
			const struct mapping_dirty_range *part = part_of(pgoff);
			pte_t pte = pfn_device_pte(current->mm, vmas[i].map +
						   (page << PAGE_SHIFT));

			KUNIT_EXPECT_EQ(test, !part, !!pte_dirty(pte));
			KUNIT_EXPECT_EQ(test, !part ||
					!(part->wrprotect || secondary),
					!!pte_write(pte));
			KUNIT_EXPECT_TRUE(test, !part ||
					  test_bit(pgoff % dev->nr,
						   dev->reported));
		}
	}
}

/*
 * Parts of a range, some of them to be write-protected: one notifier range and
 * one flush. With so many pages no two parts have any in common.
 */
static void test_parts(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 1088, 0);
	/* All of it, some of one part, and nothing of the parts */
	struct part_vma vmas[3] = {
		{ 0, 6 * PTRS_PER_PTE },
		{ PTRS_PER_PTE - 2, 20 },
		{ PTRS_PER_PTE + 88, 4 * PTRS_PER_PTE - 148 },
	};
	struct pfn_notifier *notifier;
	unsigned long map, page;
	unsigned int i;

	set_parts();
	dev->next = next_part;
	for (i = 0; i < 3; i++)
		vmas[i].map = pfn_device_map(test, dev, i ? 0 : BASE,
					     vmas[i].nr, vmas[i].first, RW,
					     MAP_SHARED);
	map = vmas[0].map;
	pass_parts(test, dev, vmas, false, 1);

	/* A range that starts and ends within parts, and one between them. */
	for (page = 0; page < vmas[0].nr; page++)
		store_page(test, map, page, 2);
	EXPECT_PASS(test, dev, true, 12, PTRS_PER_PTE - 22);
	KUNIT_EXPECT_EQ(test, 4 + 2, bitmap_weight(dev->reported, dev->nr));
	KUNIT_EXPECT_EQ(test, 12, find_first_bit(dev->reported, dev->nr));
	EXPECT_PASS(test, dev, true, PTRS_PER_PTE + 18, 4 * PTRS_PER_PTE - 18);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.scanned);

	/* With a notifier: from the first entry to the last. */
	for (page = 0; page < vmas[0].nr; page++)
		store_page(test, map, page, 3);
	notifier = pfn_notifier_create(test, current->mm, map, vmas[0].nr);
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, true, 0, 6 * PTRS_PER_PTE);
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, 1, notifier->ranges);
	KUNIT_EXPECT_EQ(test, map + 3 * PAGE_SIZE, notifier->start);
	KUNIT_EXPECT_EQ(test, map + (5 * PTRS_PER_PTE + 1) * PAGE_SIZE,
			notifier->end);
	pass_parts(test, dev, vmas, true, 4);

	dev->next = NULL;
	EXPECT_PASS(test, dev, false, 0, 6 * PTRS_PER_PTE);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

/* A huge entry is harvested if a part of it is to be, and left alone if none is. */
static void test_parts_pmd(struct kunit *test)
{
	struct pfn_device *dev;
	unsigned long map;
	unsigned int i;

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP))
		kunit_skip(test, "no huge PMDs of device memory here");

	dev = pfn_device_create(test, 6 << PMD_ORDER, PMD_ORDER);
	map = pfn_device_map(test, dev, BASE, 6 << PMD_ORDER, 0, RW,
			     MAP_SHARED);
	set_parts();
	dev->next = next_part;
	for (i = 0; i < 6; i++)
		store_page(test, map, (i << PMD_ORDER) + 100, 1);
	KUNIT_ASSERT_TRUE(test, pte_none(pfn_device_pte(current->mm, map)));

	EXPECT_PASS(test, dev, false, 0, 6 << PMD_ORDER);
	KUNIT_EXPECT_EQ(test, 3 << PMD_ORDER,
			bitmap_weight(dev->reported, dev->nr));
	KUNIT_EXPECT_EQ(test, 1, dev->pass.notifier_ranges);
	for (i = 0; i < 6; i++) {
		bool in = i < 2 || i == 5;

		KUNIT_EXPECT_EQ(test, in, test_bit((i << PMD_ORDER) + 100,
						   dev->reported));
		KUNIT_EXPECT_EQ(test, in,
				!pfn_device_entry(current->mm, map +
						  (PMD_SIZE * i)));
	}

	dev->next = NULL;
	EXPECT_PASS(test, dev, false, 0, 6 << PMD_ORDER);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

/* VMAs that can't be written hide nothing behind them. */
static void test_unfit_first(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map;

	/* Lower in the tree: same page offset, and there before. */
	pfn_device_map(test, dev, 0, 64, 0, RW, MAP_PRIVATE);
	pfn_device_map(test, dev, 0, 64, 0, PROT_READ, MAP_SHARED);

	map_readonly(test, dev, 64);
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store_page(test, map, 0, 1);
	store_page(test, map, 63, 1);
	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 0, 63);
	KUNIT_EXPECT_EQ(test, 4, dev->pass.vmas);
}

/* Several mms, each with its own notifier. */
static void test_mms(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	struct pfn_notifier *notifier[4];
	struct mm_struct *mm[4], *back;
	unsigned long map;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		mm[i] = pfn_device_mm(test);
		back = pfn_device_enter(mm[i]);
		map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
		/* One has nothing to be found. */
		if (i != 2)
			store_page(test, map, 10 * i + 1, i + 1);
		else
			load(test, map);
		pfn_device_leave(mm[i], back);
		notifier[i] = pfn_notifier_create(test, mm[i], map, 64);
		pfn_notifier_begin(notifier[i]);
	}

	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 1, 11, 31);
	KUNIT_EXPECT_EQ(test, 3, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 4, dev->pass.vmas);
	for (i = 0; i < 4; i++) {
		pfn_notifier_check(test, notifier[i]);
		KUNIT_EXPECT_EQ(test, i != 2, notifier[i]->ranges);
	}
}

/* Dirty entries that go with a VMA or an mm are not lost, nor in place. */
static void test_zap(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	struct mm_struct *mm, *back;
	unsigned long map;

	/* munmap() of a part: all of that is dirty, and of the rest what was. */
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store_page(test, map, 1, 1);
	store_page(test, map, 9, 1);
	load(test, map + 2 * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map, 8 * PAGE_SIZE));
	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 0, 1, 2, 3, 4, 5, 6, 7, 9);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.vmas);
	EXPECT_PASS(test, dev, false, 0, 64);
	KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));

	/* MAP_FIXED over it */
	store_page(test, map, 10, 2);
	map = pfn_device_map(test, dev, map + 8 * PAGE_SIZE, 56, 8, RW,
			     MAP_SHARED);
	EXPECT_PASS(test, dev, false, 0, 64);
	KUNIT_EXPECT_EQ(test, 56, bitmap_weight(dev->reported, 64));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));

	/* A driver that moves its buffer asks first, and is asked then. */
	store_page(test, map, 11, 3);
	EXPECT_PASS(test, dev, true, 0, 64);
	EXPECT_REPORTED(test, dev, 19);
	unmap_mapping_range(dev->mapping, 0, 64 << PAGE_SHIFT, 1);
	KUNIT_EXPECT_TRUE(test, pte_none(pfn_device_pte(current->mm, map +
							11 * PAGE_SIZE)));
	store_page(test, map, 11, 4);
	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 19);

	/* The end of an mm, as by exit and exec */
	mm = pfn_device_mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, mm);
	back = pfn_device_enter(mm);
	map = pfn_device_map(test, dev, 0, 32, 0, RW, MAP_SHARED);
	store_page(test, map, 12, 5);
	pfn_device_leave(mm, back);
	mmput(mm);
	EXPECT_PASS(test, dev, false, 0, 64);
	KUNIT_EXPECT_EQ(test, 32, bitmap_weight(dev->reported, 64));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
	KUNIT_EXPECT_EQ(test, 0, dev->unmet);
}

/* An entry that is not present may have such bits: it is not ours. */
static void test_not_present(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	unsigned long addr = map + 3 * PAGE_SIZE;
	pte_t *pte, odd = __pte(0);
	unsigned long offset;
	spinlock_t *ptl;	/* of the page table */

	store_page(test, map, 3, 1);
	EXPECT_PASS(test, dev, false, 0, 64);

	for (offset = 1; offset; offset <<= 1) {
		odd = swp_entry_to_pte(swp_entry(0, offset));
		if (!pte_present(odd) && (pte_dirty(odd) || pte_write(odd)))
			break;
	}
	if (!offset)
		kunit_skip(test, "no swap entry looks dirty here");

	pte = get_locked_pte(current->mm, addr, &ptl);
	KUNIT_ASSERT_NOT_NULL(test, pte);
	ptep_get_and_clear(current->mm, addr, pte);
	set_pte_at(current->mm, addr, pte, odd);
	pte_unmap_unlock(pte, ptl);

	EXPECT_PASS(test, dev, true, 0, 64);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.notifier_ranges);
	/* One beside it is no reason to change it either. */
	store_page(test, map, 2, 2);
	store_page(test, map, 4, 2);
	EXPECT_PASS(test, dev, true, 0, 64);
	EXPECT_REPORTED(test, dev, 2, 4);
	KUNIT_EXPECT_TRUE(test, pte_same(pfn_device_pte(current->mm, addr),
					 odd));

	pte = get_locked_pte(current->mm, addr, &ptl);
	KUNIT_ASSERT_NOT_NULL(test, pte);
	pte_clear(current->mm, addr, pte);
	pte_unmap_unlock(pte, ptl);
}

/* Ordinary memory below a shared mapping: refused, and the rest is done. */
static void test_refused(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map;

	dev->vm_flags = 0;
	pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	dev->vm_flags = VM_MIXEDMAP;
	pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	dev->vm_flags = VM_PFNMAP;
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store_page(test, map, 5, 1);

	KUNIT_EXPECT_EQ(test, -EINVAL, pfn_device_pass(dev, false, 0, 64));
	KUNIT_EXPECT_EQ(test, 3, dev->pass.vmas);
	EXPECT_REPORTED(test, dev, 5);
}

/* Stores that completed before a pass are with the device after it. */
static void expect_stored(struct kunit *test, struct pfn_device *dev,
			  const u32 *before)
{
	unsigned long page, lost = 0;

	for (page = 0; page < dev->nr; page++)
		lost += (s32)(dev->copy[page] - before[page]) < 0;
	KUNIT_EXPECT_EQ_MSG(test, 0, lost, "stores to %lu pages are lost",
			    lost);
}

static void snapshot(u32 *to, const u32 *from, unsigned long nr)
{
	for (; nr; nr--) {
		/* What is seen here was stored: pairs with the writers. */
		*to++ = smp_load_acquire(from++);
	}
}

#if defined(CONFIG_X86_64) || defined(CONFIG_ARM64)
/* There is no kernel function for these: by the system call's own. */
#ifdef CONFIG_X86_64
#define TEST_SYSCALL(name)	__x64_sys_##name
#else
#define TEST_SYSCALL(name)	__arm64_sys_##name
#endif
#define HAVE_TEST_SYSCALL

asmlinkage long TEST_SYSCALL(mprotect)(const struct pt_regs *regs);
asmlinkage long TEST_SYSCALL(mremap)(const struct pt_regs *regs);

static struct pt_regs test_args(unsigned long a, unsigned long b,
				unsigned long c, unsigned long d,
				unsigned long e)
{
#ifdef CONFIG_X86_64
	return (struct pt_regs) {
		.di = a, .si = b, .dx = c, .r10 = d, .r8 = e
	};
#else
	/* Which of the two the first one comes from depends on the version. */
	return (struct pt_regs) { .orig_x0 = a, .regs = { a, b, c, d, e } };
#endif
}

static long test_mprotect(unsigned long addr, size_t len, unsigned long prot)
{
	struct pt_regs regs = test_args(addr, len, prot, 0, 0);

	return TEST_SYSCALL(mprotect)(&regs);
}

static long test_mremap(unsigned long addr, size_t len, unsigned long to)
{
	struct pt_regs regs = test_args(addr, len, len,
					MREMAP_MAYMOVE | MREMAP_FIXED, to);

	return TEST_SYSCALL(mremap)(&regs);
}

/*
 * A process of its own with a copy of the mm. It is not to return to user
 * space, where there is nothing for it.
 */
struct test_child {
	void (*fn)(void *data);
	void *data;
};

static int test_child(void *data)
{
	struct test_child *child = data;

	child->fn(child->data);
	do_exit(0);
}

static int fork_and_wait(void (*fn)(void *data), void *data)
{
	struct test_child child = { .fn = fn, .data = data };
	struct kernel_clone_args args = {
		.exit_signal = SIGCHLD,
		.fn = test_child,
		.fn_arg = &child,
	};
	int ret, stat;

	/* Or the child would be reaped by itself. */
	kernel_sigaction(SIGCHLD, SIG_DFL);
	ret = kernel_clone(&args);
	if (ret > 0)
		ret = kernel_wait(ret, &stat);
	kernel_sigaction(SIGCHLD, SIG_IGN);

	return min(ret, 0);
}

static void test_fork(struct kunit *test, void (*fn)(void *data), void *data)
{
	KUNIT_ASSERT_EQ(test, 0, fork_and_wait(fn, data));
}

/* mprotect() gives back no permission that a pass has taken. */
static void test_mprotect_after(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);

	store_page(test, map, 5, 1);
	EXPECT_PASS(test, dev, true, 0, 64);
	EXPECT_REPORTED(test, dev, 5);
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, PROT_READ));
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, RW));
	store_page(test, map, 5, 2);
	KUNIT_EXPECT_EQ(test, 1, dev->mkwrites);
	EXPECT_PASS(test, dev, true, 0, 64);
	EXPECT_REPORTED(test, dev, 5);

	/* Dirty, read-only for a while, writable again: still dirty. */
	store_page(test, map, 6, 3);
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, PROT_READ));
	EXPECT_PASS(test, dev, true, 0, 64);
	EXPECT_REPORTED(test, dev, 6);
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, RW));
	store_page(test, map, 6, 4);
	EXPECT_PASS(test, dev, true, 0, 64);
	EXPECT_REPORTED(test, dev, 6);
}

/* A moved mapping is found where it went, with its dirty bits. */
static void test_move(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 2048, 0);
	unsigned long nr = 4 * PTRS_PER_PTE, size = nr << PAGE_SHIFT;
	unsigned long map = pfn_device_map(test, dev, BASE, nr, 0, RW,
					   MAP_SHARED);
	unsigned long second = PTRS_PER_PTE + 88;
	unsigned long page = second % dev->nr;

	/* What goes with the old VMA is nothing: it is all in the new one. */
	dev->harvest_only = true;

	/* Whole page tables are moved as such, in parts entry by entry. */
	store_page(test, map, 3, 1);
	store_page(test, map, second, 1);
	KUNIT_ASSERT_EQ(test, BASE + 2 * size,
			test_mremap(map, size, BASE + 2 * size));
	map = BASE + 2 * size;
	EXPECT_PASS(test, dev, true, 0, nr);
	EXPECT_REPORTED(test, dev, 3, page);
	store_page(test, map, second, 2);
	KUNIT_ASSERT_EQ(test, BASE + PAGE_SIZE,
			test_mremap(map, size, BASE + PAGE_SIZE));
	map = BASE + PAGE_SIZE;
	store_page(test, map, 3, 2);
	EXPECT_PASS(test, dev, true, 0, nr);
	EXPECT_REPORTED(test, dev, 3, page);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.vmas);
}

struct fork_args {
	struct kunit *test;
	struct pfn_device *dev;
	unsigned long map;
};

/* A pass while the child is there: only what it finds counts as dirty. */
static void fork_store_and_pass(void *data)
{
	struct fork_args *args = data;
	struct kunit *test = args->test;
	struct pfn_device *dev = args->dev;

	KUNIT_EXPECT_EQ(test, 0, put_user(2, (u32 __user *)(args->map +
							    1 * PAGE_SIZE)));
	KUNIT_EXPECT_EQ(test, 0, put_user(2, (u32 __user *)(args->map +
							    7 * PAGE_SIZE)));
	dev->harvest_only = true;
	EXPECT_PASS(test, dev, true, 0, dev->nr);
	dev->harvest_only = false;
	KUNIT_EXPECT_EQ(test, 2, dev->pass.vmas);
	if (!dev->order)
		EXPECT_REPORTED(test, dev, 1, 2, 7);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

static void fork_store(void *data)
{
	struct fork_args *args = data;

	KUNIT_EXPECT_EQ(args->test, 0,
			put_user(4, (u32 __user *)(args->map + PAGE_SIZE)));
}

/* The child's stores count, to what the parent had dirtied or not. */
static void test_fork_child(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	struct fork_args args = { test, dev };

	args.map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store_page(test, args.map, 1, 1);
	store_page(test, args.map, 2, 1);
	test_fork(test, fork_store_and_pass, &args);

	/* After a pass that closed them, both have to ask. */
	store_page(test, args.map, 2, 3);
	KUNIT_EXPECT_EQ(test, 1, dev->mkwrites);
	test_fork(test, fork_store_and_pass, &args);
	KUNIT_EXPECT_GE(test, dev->mkwrites, 2);

	/* With the child goes what it has dirtied. */
	test_fork(test, fork_store, &args);
	EXPECT_PASS(test, dev, true, 0, 64);
	KUNIT_EXPECT_EQ(test, 64, bitmap_weight(dev->reported, 64));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

struct mover {
	struct mm_struct *mm;
	struct pfn_device *dev;
	unsigned long size;
	unsigned int rounds;
	u32 *stored;
	struct completion done;
	int err;
};

/* Where 1024 pages of up to 64 KiB have room; the last in parts of tables. */
static const unsigned long mover_at[] = {
	BASE, BASE + 0x10000000, BASE + 0x20000000 + PAGE_SIZE
};

/* Stores, moves, and stores again. */
static int mover_fn(void *data)
{
	struct mover *mover = data;
	struct rnd_state rnd;
	unsigned int i, n;

	prandom_seed_state(&rnd, 1);
	kthread_use_mm(mover->mm);
	for (i = 0; i < mover->rounds && !mover->err; i++) {
		unsigned long map = mover_at[i % ARRAY_SIZE(mover_at)];
		unsigned long to = mover_at[(i + 1) % ARRAY_SIZE(mover_at)];

		for (n = 0; n < 8; n++) {
			unsigned long page = prandom_u32_state(&rnd) %
				(mover->size >> PAGE_SHIFT);
			u32 value = i * 8 + n + 1;

			if (put_user(value, (u32 __user *)
				     (map + (page << PAGE_SHIFT))))
				mover->err = -EFAULT;
			/* Completed: a pass that starts now has to find it. */
			smp_store_release(&mover->stored[page], value);
		}
		if (test_mremap(map, mover->size, to) != to)
			mover->err = -EIO;
	}
	kthread_unuse_mm(mover->mm);
	complete(&mover->done);

	return 0;
}

/* Page tables and entries move while passes go on. */
static void test_move_during_pass(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 1024, 0);
	u32 *before = kunit_kcalloc(test, 1024, sizeof(u32), GFP_KERNEL);
	struct mover mover = { .dev = dev, .size = 1024 << PAGE_SHIFT,
			       .rounds = 300 };
	struct task_struct *thread;
	unsigned int passes, i;

	/* Passes have to find all, without a close(). */
	dev->harvest_only = true;
	KUNIT_ASSERT_NOT_NULL(test, before);
	mover.stored = kunit_kcalloc(test, 1024, sizeof(u32), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mover.stored);
	pfn_device_map(test, dev, BASE, 1024, 0, RW, MAP_SHARED);
	mover.mm = current->mm;
	init_completion(&mover.done);
	thread = kthread_run(mover_fn, &mover, "mover");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));

	for (passes = 0; !completion_done(&mover.done); passes++) {
		bool wrprotect = passes % 2 == 0;

		snapshot(before, mover.stored, 1024);
		EXPECT_PASS(test, dev, wrprotect, 0, 1024);
		expect_stored(test, dev, before);
		for (i = 0; wrprotect && i < ARRAY_SIZE(mover_at); i++)
			expect_exact(test, mover.mm, mover_at[i], 1024);
	}
	KUNIT_EXPECT_EQ(test, 0, mover.err);
	KUNIT_EXPECT_GT(test, passes, 10);
	EXPECT_PASS(test, dev, false, 0, 1024);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

static void fork_nothing(void *data)
{
}

/* A huge PMD in the child is what the parent's is when it is copied. */
static void test_fork_pmd(struct kunit *test)
{
	struct pfn_device *dev;
	struct fork_args args;

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP))
		kunit_skip(test, "no huge PMDs of device memory here");

	dev = pfn_device_create(test, 1 << PMD_ORDER, PMD_ORDER);
	args = (struct fork_args) { test, dev };
	args.map = pfn_device_map(test, dev, BASE, dev->nr, 0, RW, MAP_SHARED);
	store_page(test, args.map, 100, 1);
	test_fork(test, fork_store_and_pass, &args);

	/* Closed: neither has a writable entry. */
	test_fork(test, fork_nothing, NULL);
	test_fork(test, fork_store_and_pass, &args);

	/* With the child goes what it has dirtied. */
	store_page(test, args.map, 101, 5);
	test_fork(test, fork_store, &args);
	EXPECT_PASS(test, dev, true, 0, dev->nr);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

struct late_fork {
	struct mm_struct *mm;
	unsigned long map;
	u64 entry;
	bool begun;
	int err;
	struct completion done;
};

static void late_fork_child(void *data)
{
	struct late_fork *late = data;

	late->entry = pfn_device_entry(current->mm, late->map);
}

static int late_fork_fn(void *data)
{
	struct late_fork *late = data;

	kthread_use_mm(late->mm);
	WRITE_ONCE(late->begun, true);
	late->err = fork_and_wait(late_fork_child, late);
	kthread_unuse_mm(late->mm);
	complete(&late->done);

	return 0;
}

/*
 * fork() has read a huge PMD and waits for its lock, while it is
 * write-protected by way of the mapping: the child gets it as it is then.
 */
static void test_fork_pmd_late(struct kunit *test)
{
	struct late_fork late = {};
	struct pfn_device *dev;
	struct task_struct *thread;
	spinlock_t *ptl;	/* of the page table */
	pmd_t *pmd;
	u64 leaf;
	int i;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP))
		kunit_skip(test, "no huge PMDs of device memory here");

	dev = pfn_device_create(test, 1 << PMD_ORDER, PMD_ORDER);
	late.map = pfn_device_map(test, dev, BASE, dev->nr, 0, RW, MAP_SHARED);
	store_page(test, late.map, 100, 1);
	pmd = pfn_device_pmd(current->mm, late.map, &leaf);
	KUNIT_ASSERT_NOT_NULL(test, pmd);
	KUNIT_ASSERT_TRUE(test, pmd_write(pmdp_get(pmd)));
	late.mm = current->mm;
	init_completion(&late.done);
	thread = kthread_create(late_fork_fn, &late, "late_fork");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));

	/* Not on this CPU, which will be busy. */
	migrate_disable();
	kthread_bind(thread, cpumask_any_but(cpu_online_mask,
					     raw_smp_processor_id()));
	ptl = pmd_lock(late.mm, pmd);
	wake_up_process(thread);
	for (i = 0; i < 5000 && !READ_ONCE(late.begun); i++)
		mdelay(1);
	/* Whether it waits for the lock can't be seen, but it is soon there. */
	mdelay(100);
	set_pmd_at(late.mm, late.map, pmd, pmd_wrprotect(pmdp_get(pmd)));
	spin_unlock(ptl);
	migrate_enable();
	wait_for_completion(&late.done);

	KUNIT_EXPECT_EQ(test, 0, late.err);
	KUNIT_EXPECT_NE(test, 0, late.entry);
	KUNIT_EXPECT_FALSE(test, pmd_write(__pmd(late.entry)));
}
#endif

struct writer {
	struct mm_struct *mm;
	unsigned long map;
	unsigned long first, nr;
	unsigned int count;
	u32 seed;
	u32 *stored;
	/* whether there were as many passes as there have to be */
	bool *enough;
	struct completion done;
	int err;
};

/* A writer has pages of its own, and may share a page table with others. */
static int writer_fn(void *data)
{
	struct writer *writer = data;
	struct rnd_state rnd;
	u32 value;

	prandom_seed_state(&rnd, writer->seed);
	kthread_use_mm(writer->mm);
	for (value = 1; (value <= writer->count || !READ_ONCE(*writer->enough)) &&
	     !writer->err; value++) {
		unsigned long page = writer->first +
			prandom_u32_state(&rnd) % writer->nr;

		if (put_user(value, (u32 __user *)(writer->map +
						   (page << PAGE_SHIFT))))
			writer->err = -EFAULT;
		/* Completed: a pass that starts now has to find it. */
		smp_store_release(&writer->stored[page], value);
		if (value % 64 == 0)
			cond_resched();
	}
	kthread_unuse_mm(writer->mm);
	complete(&writer->done);

	return 0;
}

/* Writers in two mms against passes of all kinds: every store arrives. */
static void writers_and_passes(struct kunit *test, bool notified)
{
	struct pfn_device *dev = pfn_device_create(test, 1024, 0);
	u32 *before = kunit_kcalloc(test, 1024, sizeof(u32), GFP_KERNEL);
	u32 *stored = kunit_kcalloc(test, 1024, sizeof(u32), GFP_KERNEL);
	struct mm_struct *other = pfn_device_mm(test), *back;
	struct writer writers[3] = {};
	bool enough = false;
	unsigned int i, passes;
	unsigned long map[2];

	KUNIT_ASSERT_NOT_NULL(test, before);
	KUNIT_ASSERT_NOT_NULL(test, stored);
	map[0] = pfn_device_map(test, dev, 0, 1024, 0, RW, MAP_SHARED);
	back = pfn_device_enter(other);
	map[1] = pfn_device_map(test, dev, 0, 1024, 0, RW, MAP_SHARED);
	pfn_device_leave(other, back);
	if (notified)
		pfn_notifier_create(test, other, map[1], 0);

	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i] = (struct writer) {
			.mm = i % 2 ? other : current->mm,
			.map = map[i % 2],
			.first = 300 * i,
			.nr = 300,
			.count = 6000,
			.seed = i + 1,
			.stored = stored,
			.enough = &enough,
		};
		init_completion(&writers[i].done);
		KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(writer_fn,
							    &writers[i],
							    "writer")));
	}
	for (i = 0, passes = 0; i < ARRAY_SIZE(writers); passes++) {
		bool wrprotect = passes % 4 == 0;

		WRITE_ONCE(enough, passes > 10);

		snapshot(before, stored, 1024);
		EXPECT_PASS(test, dev, wrprotect, 0, 1024);
		expect_stored(test, dev, before);
		if (wrprotect)
			expect_exact(test, current->mm, map[0], 1024);
		if (wrprotect || notified)
			expect_exact(test, other, map[1], 1024);
		while (i < ARRAY_SIZE(writers) &&
		       completion_done(&writers[i].done))
			KUNIT_EXPECT_EQ(test, 0, writers[i++].err);
	}
	EXPECT_PASS(test, dev, false, 0, 1024);
	expect_stored(test, dev, stored);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
	KUNIT_EXPECT_GT(test, passes, 10);
	/* Without it a page fault that holds mmap_lock looks like munmap(). */
	if (IS_ENABLED(CONFIG_PER_VMA_LOCK))
		KUNIT_EXPECT_EQ(test, 0, dev->unmet);
	kunit_info(test, "%u passes", passes);
}

static void test_writers(struct kunit *test)
{
	writers_and_passes(test, false);
}

static void test_writers_notified(struct kunit *test)
{
	writers_and_passes(test, true);
}

/* How a VMA goes, with what was stored by way of it */
enum unmap { UNMAP_MUNMAP, UNMAP_FIXED, UNMAP_MOVE, UNMAP_EXIT, UNMAPS };

struct unmapper {
	struct pfn_device *dev;
	unsigned long first, nr;
	unsigned int rounds;
	bool twice;
	u32 *stored;
	struct completion done;
	int err;
};

/* Maps all pages once or twice, and stores to its own. */
static int unmapper_stores(struct unmapper *unmapper, unsigned long map,
			   struct rnd_state *rnd, u32 value)
{
	unsigned long size = unmapper->dev->nr << PAGE_SHIFT;
	unsigned int i, n;

	for (i = 0; i <= unmapper->twice; i++)
		if (vm_mmap(unmapper->dev->file, map + i * size, size, RW,
			    MAP_SHARED | MAP_FIXED, 0) != map + i * size)
			return -ENOMEM;

	for (n = 0; n < 8; n++, value++) {
		unsigned long page = unmapper->first +
			prandom_u32_state(rnd) % unmapper->nr;
		unsigned long addr = map + (page << PAGE_SHIFT);

		if (unmapper->twice && n % 2)
			addr += size;
		if (put_user(value, (u32 __user *)addr))
			return -EFAULT;
		/* Completed: a pass that starts now has to find it. */
		smp_store_release(&unmapper->stored[page], value);
	}

	return 0;
}

static int unmapper_unmap(struct unmapper *unmapper, unsigned long map,
			  enum unmap how)
{
	unsigned long size = unmapper->dev->nr << PAGE_SHIFT;
	unsigned long both = unmapper->twice ? 2 * size : size;

	switch (how) {
	case UNMAP_MUNMAP:
		return vm_munmap(map, both);
	case UNMAP_FIXED:
		if (vm_mmap(NULL, map, both, PROT_READ, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_FIXED, 0) != map)
			return -EIO;
		return 0;
	case UNMAP_MOVE:
#ifdef HAVE_TEST_SYSCALL
		/* Over the other, if there are two */
		if (test_mremap(map, size, map + size) != map + size)
			return -EIO;
		return 0;
#else
		return vm_munmap(map, both);
#endif
	default:
		return 0;
	}
}

static int unmapper_fn(void *data)
{
	struct unmapper *unmapper = data;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, unmapper->first + 1);
	for (i = 0; i < unmapper->rounds && !unmapper->err; i++) {
		struct mm_struct *mm = pfn_device_mm_alloc();

		if (!mm) {
			unmapper->err = -ENOMEM;
			break;
		}
		kthread_use_mm(mm);
		unmapper->err = unmapper_stores(unmapper, BASE, &rnd,
						i * 8 + 1) ?:
				unmapper_unmap(unmapper, BASE, i % UNMAPS);
		kthread_unuse_mm(mm);
		mmput(mm);
	}
	complete(&unmapper->done);

	return 0;
}

/*
 * VMAs go in two mms, with a wide window between the removal of their entries and
 * the end of close(), while passes go on: every store arrives.
 */
static void unmap_during_passes(struct kunit *test, bool twice)
{
	const unsigned long nr = 64;
	struct pfn_device *dev = pfn_device_create(test, nr, 0);
	u32 *before = kunit_kcalloc(test, nr, sizeof(u32), GFP_KERNEL);
	u32 *stored = kunit_kcalloc(test, nr, sizeof(u32), GFP_KERNEL);
	struct unmapper unmappers[2] = {};
	unsigned int i, passes;
	unsigned long page;

	KUNIT_ASSERT_NOT_NULL(test, before);
	KUNIT_ASSERT_NOT_NULL(test, stored);
	/* A VMA that stays */
	pfn_device_map(test, dev, 0, nr, 0, RW, MAP_SHARED);
	dev->close_delay = 500;
	for (i = 0; i < ARRAY_SIZE(unmappers); i++) {
		unmappers[i] = (struct unmapper) {
			.dev = dev,
			.first = i * nr / 2,
			.nr = nr / 2,
			.rounds = 200,
			.twice = twice,
			.stored = stored,
		};
		init_completion(&unmappers[i].done);
		KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(unmapper_fn,
							    &unmappers[i],
							    "unmapper")));
	}
	for (i = 0, passes = 0; i < ARRAY_SIZE(unmappers); passes++) {
		snapshot(before, stored, nr);
		EXPECT_PASS(test, dev, passes % 2, 0, nr);
		expect_stored(test, dev, before);
		cond_resched();
		while (i < ARRAY_SIZE(unmappers) &&
		       completion_done(&unmappers[i].done))
			KUNIT_EXPECT_EQ(test, 0, unmappers[i++].err);
	}
	KUNIT_EXPECT_GT(test, dev->unmet, 0);
	kunit_info(test, "%u passes, %lu of them did not meet all VMAs", passes,
		   dev->unmet);

	/* When all is quiet a pass meets all that there is, and knows. */
	dev->unmet = 0;
	EXPECT_PASS(test, dev, false, 0, nr);
	KUNIT_EXPECT_EQ(test, 0, dev->unmet);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.vmas);
	for (page = 0; page < nr; page++)
		KUNIT_EXPECT_EQ(test, stored[page], dev->copy[page]);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

static void test_unmap_during_pass(struct kunit *test)
{
	unmap_during_passes(test, false);
}

/* Two VMAs that map a page go at once. */
static void test_unmap_both_during_pass(struct kunit *test)
{
	unmap_during_passes(test, true);
}

/* Things that are true of a huge entry of either level. */
static void huge_leaf(struct kunit *test, unsigned int order)
{
	unsigned long nr = 1UL << order, size = PAGE_SIZE << order;
	struct pfn_device *dev = pfn_device_create(test, nr, order);
	unsigned long map = pfn_device_map(test, dev, BASE, nr, 0, RW,
					   MAP_SHARED);
	struct mm_struct *mm = current->mm;
	struct pfn_notifier *notifier;
	unsigned long faults;
	unsigned int i;
	u64 leaf;

	store_page(test, map, 100, 1);
	faults = dev->faults;
	KUNIT_ASSERT_TRUE_MSG(test, pte_none(pfn_device_pte(mm, map)),
			      "there is a page table below");
	KUNIT_ASSERT_NE(test, 0, pfn_device_entry(mm, map));

	/* Reported as a whole, and split: nothing is mapped after it. */
	EXPECT_PASS(test, dev, false, 0, nr);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, nr, bitmap_weight(dev->reported, nr));
	KUNIT_EXPECT_EQ(test, nr, dev->pass.cleaned);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.vmas);
	KUNIT_EXPECT_EQ(test, 0, pfn_device_entry(mm, map));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
	EXPECT_PASS(test, dev, false, 0, nr);
	KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, nr));
	KUNIT_EXPECT_EQ(test, 0, dev->pass.notifier_ranges);

	/* The next store faults; a part of the range will do. */
	notifier = pfn_notifier_create(test, mm, map, nr);
	for (i = 0; i < 2; i++) {
		store_page(test, map, 7, 2 + i);
		KUNIT_EXPECT_EQ(test, ++faults, dev->faults);
		pfn_notifier_begin(notifier);
		EXPECT_PASS(test, dev, i, 64, 64);
		pfn_notifier_check(test, notifier);
		KUNIT_EXPECT_EQ(test, 1, dev->pass.notifier_ranges);
		KUNIT_EXPECT_GE(test, notifier->ranges, 1);
		KUNIT_EXPECT_EQ(test, map, notifier->start);
		KUNIT_EXPECT_EQ(test, map + size, notifier->end);
		KUNIT_EXPECT_EQ(test, nr, bitmap_weight(dev->reported, nr));
		KUNIT_EXPECT_EQ(test, 0, pfn_device_entry(mm, map));
		KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
	}

	/* It is not made writable in passing. */
	load(test, map + 8 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, ++faults, dev->faults);
	leaf = pfn_device_entry(mm, map);
	KUNIT_ASSERT_NE(test, 0, leaf);
	mmap_read_lock(mm);
	KUNIT_EXPECT_EQ(test, 0, vma_make_writable(find_vma(mm, map), map,
						   map + 64 * PAGE_SIZE));
	mmap_read_unlock(mm);
	KUNIT_EXPECT_EQ(test, leaf, pfn_device_entry(mm, map));
	store_page(test, map, 8, 5);
	KUNIT_EXPECT_EQ(test, ++faults, dev->faults);

	/* The core splits the entry with the VMA, here in munmap() of a part. */
	KUNIT_ASSERT_TRUE(test, pte_none(pfn_device_pte(mm, map)));
	store_page(test, map, 9, 6);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map + size - PAGE_SIZE, PAGE_SIZE));
	EXPECT_PASS(test, dev, false, 0, nr);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));

	/* A page is mapped now, beside the hole. A zap of a whole entry: */
	pfn_device_map(test, dev, map, nr, 0, RW, MAP_SHARED);
	store_page(test, map, 10, 7);
	KUNIT_ASSERT_TRUE(test, pte_none(pfn_device_pte(mm, map)));
	pfn_device_map(test, dev, map, nr, 0, RW, MAP_SHARED);
	KUNIT_EXPECT_EQ(test, 0, pfn_device_entry(mm, map));
	EXPECT_PASS(test, dev, false, 0, nr);
	KUNIT_EXPECT_EQ(test, nr, bitmap_weight(dev->reported, nr));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

static void test_pmd(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP))
		kunit_skip(test, "no huge PMDs of device memory here");

	huge_leaf(test, PMD_ORDER);
}

static void test_pud(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PUD_PFNMAP))
		kunit_skip(test, "no huge PUDs of device memory here");
	if (!IS_ENABLED(CONFIG_CONTIG_ALLOC))
		kunit_skip(test, "a PUD of memory needs CONFIG_CONTIG_ALLOC");

	huge_leaf(test, PUD_ORDER);
}

/* 10,000 VMAs that map the same 256 pages: what is found is right. */
static void test_many_vmas(struct kunit *test)
{
	const unsigned int n = 10000;
	struct pfn_device *dev = pfn_device_create(test, 256, 0);
	unsigned long map;
	unsigned int i;

	for (i = 0; i < n; i++) {
		map = pfn_device_map(test, dev, 0, 256, 0, RW, MAP_SHARED);
		if (i % 100 == 0)
			store_page(test, map, i / 100, i + 1);
	}

	EXPECT_PASS(test, dev, false, 0, 256);
	KUNIT_EXPECT_EQ(test, 100, bitmap_weight(dev->reported, 256));
	KUNIT_EXPECT_EQ(test, 100, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, 100, dev->pass.flushes);
	KUNIT_EXPECT_EQ(test, n, dev->pass.vmas);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

/* A large range, of which there are pages in all page tables. */
static void test_large(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long pages = 1UL << 18, i;
	unsigned long map[3];

	for (i = 0; i < ARRAY_SIZE(map); i++)
		map[i] = pfn_device_map(test, dev, 0, pages, 0, RW, MAP_SHARED);
	for (i = 0; i < pages; i += PTRS_PER_PTE) {
		load(test, map[0] + (i << PAGE_SHIFT));
		load(test, map[1] + (i << PAGE_SHIFT));
	}
	store_page(test, map[1], pages - 1, 1);
	store_page(test, map[2], pages / 2, 1);

	EXPECT_PASS(test, dev, false, 0, pages);
	EXPECT_REPORTED(test, dev, 0, 63);
	KUNIT_EXPECT_EQ(test, 2, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, 3, dev->pass.vmas);
}

struct apply_test {
	struct pfn_range_apply base;
	unsigned int calls;
	unsigned long first;
	unsigned long nr;
	unsigned long none;
	unsigned int fail_at;
	unsigned int huge;
	unsigned long size;
	bool split;
};

static int apply_count(struct pfn_range_apply *closure, pte_t *pte,
		       unsigned long addr, unsigned long nr)
{
	struct apply_test *at = container_of(closure, struct apply_test, base);
	unsigned long i;

	if (!at->calls++)
		at->first = addr;
	at->nr += nr;
	for (i = 0; i < nr; i++)
		at->none += pte_none(ptep_get(pte + i));

	return at->calls == at->fail_at ? -EDOM : 0;
}

static bool apply_huge(struct pfn_range_apply *closure, unsigned long addr,
		       unsigned long size)
{
	struct apply_test *at = container_of(closure, struct apply_test, base);

	at->huge++;
	at->first = addr;
	at->size = size;

	return at->split;
}

static int apply(struct kunit *test, unsigned long addr, unsigned long nr,
		 struct apply_test *at)
{
	struct vm_area_struct *vma;
	int ret;

	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, addr);
	at->base.vma = vma;
	if (vma && at->base.i_mmap)
		i_mmap_lock_read(vma->vm_file->f_mapping);
	ret = vma ? apply_to_pfn_range(&at->base, addr, nr << PAGE_SHIFT) :
		-EFAULT;
	if (vma && at->base.i_mmap)
		i_mmap_unlock_read(vma->vm_file->f_mapping);
	mmap_read_unlock(current->mm);

	return ret;
}

/* What is absent is skipped, or filled in; errors end the walk. */
static void test_apply(struct kunit *test)
{
	const unsigned long nr = 4 * PTRS_PER_PTE;
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, BASE, nr, 0, RW,
					   MAP_SHARED);
	struct apply_test skip = { .base.ptes = apply_count };
	struct apply_test fill = { .base.alloc = true,
				   .base.ptes = apply_count };
	struct apply_test fail = { .base.i_mmap = true,
				   .base.ptes = apply_count, .fail_at = 2 };

	KUNIT_EXPECT_EQ(test, 0, apply(test, map, nr, &skip));
	KUNIT_EXPECT_EQ(test, 0, skip.calls);

	store_page(test, map, PTRS_PER_PTE + 88, 1);
	KUNIT_EXPECT_EQ(test, 0, apply(test, map, nr, &skip));
	KUNIT_EXPECT_EQ(test, 1, skip.calls);
	KUNIT_EXPECT_EQ(test, PTRS_PER_PTE, skip.nr);
	KUNIT_EXPECT_EQ(test, PTRS_PER_PTE - 1, skip.none);
	KUNIT_EXPECT_EQ(test, map + PMD_SIZE, skip.first);

	KUNIT_EXPECT_EQ(test, 0, apply(test, map + 10 * PAGE_SIZE, nr - 48,
				       &fill));
	KUNIT_EXPECT_EQ(test, 4, fill.calls);
	KUNIT_EXPECT_EQ(test, nr - 48, fill.nr);
	KUNIT_EXPECT_EQ(test, nr - 49, fill.none);
	KUNIT_EXPECT_EQ(test, map + 10 * PAGE_SIZE, fill.first);

	/* The tables are there now. */
	KUNIT_EXPECT_EQ(test, -EDOM, apply(test, map, nr, &fail));
	KUNIT_EXPECT_EQ(test, 2, fail.calls);
}

/* Nothing but mmaps of device memory, and nothing outside of the VMA. */
static void test_apply_refuses(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	struct apply_test at = { .base.ptes = apply_count };
	struct apply_test locks = { .base.alloc = true, .base.i_mmap = true,
				    .base.ptes = apply_count };
	unsigned long map;

	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_PRIVATE);
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 64, &at));
	map = pfn_device_map(test, dev, 0, 64, 0, PROT_READ, MAP_PRIVATE);
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 64, &at));
	dev->vm_flags = 0;
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 64, &at));
	dev->vm_flags = VM_MIXEDMAP;
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 64, &at));
	dev->vm_flags = VM_PFNMAP;
	map = vm_mmap(NULL, 0, 64 << PAGE_SHIFT, RW,
		      MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(map));
	store(test, map, 1);
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 64, &at));

	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 65, &at));
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 0, &at));
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map + 8, 1, &at));
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map + PAGE_SIZE, ULONG_MAX >>
					     PAGE_SHIFT, &at));
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 64, &locks));
	KUNIT_EXPECT_EQ(test, 0, at.calls + locks.calls);

	/* Read-only for good is no reason. */
	map = map_readonly(test, dev, 64);
	load(test, map);
	KUNIT_EXPECT_EQ(test, 0, apply(test, map, 64, &at));
	KUNIT_EXPECT_EQ(test, 1, at.calls);
}

/* The rule for huge entries. */
static void test_apply_huge(struct kunit *test)
{
	const unsigned long nr = 1UL << PMD_ORDER;
	struct pfn_device *dev;
	struct apply_test skip = { .base.alloc = true,
				   .base.ptes = apply_count };
	struct apply_test look = { .base.ptes = apply_count,
				   .base.huge = apply_huge };
	struct apply_test split = { .base.ptes = apply_count,
				    .base.huge = apply_huge, .split = true };
	unsigned long map;

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP))
		kunit_skip(test, "no huge PMDs of device memory here");

	dev = pfn_device_create(test, nr, PMD_ORDER);
	map = pfn_device_map(test, dev, BASE, nr, 0, RW, MAP_SHARED);
	store_page(test, map, 100, 1);
	KUNIT_EXPECT_EQ(test, 0, apply(test, map, nr, &skip));
	KUNIT_EXPECT_EQ(test, 0, skip.calls);
	KUNIT_EXPECT_NE(test, 0, pfn_device_entry(current->mm, map));

	/* All of it for a part, and it stays. */
	KUNIT_EXPECT_EQ(test, 0, apply(test, map + 64 * PAGE_SIZE, 64, &look));
	KUNIT_EXPECT_EQ(test, 0, look.calls);
	KUNIT_EXPECT_EQ(test, 1, look.huge);
	KUNIT_EXPECT_EQ(test, map, look.first);
	KUNIT_EXPECT_EQ(test, PMD_SIZE, look.size);
	KUNIT_EXPECT_NE(test, 0, pfn_device_entry(current->mm, map));

	/* A split removes it. */
	KUNIT_EXPECT_EQ(test, 0, apply(test, map + 64 * PAGE_SIZE, 64, &split));
	KUNIT_EXPECT_EQ(test, 0, split.calls);
	KUNIT_EXPECT_EQ(test, 1, split.huge);
	KUNIT_EXPECT_EQ(test, 0, pfn_device_entry(current->mm, map));
	KUNIT_EXPECT_EQ(test, 0, apply(test, map, nr, &split));
	KUNIT_EXPECT_EQ(test, 1, split.huge);
}

/* Widening: the entries of the range that are there, and no others. */
static void test_make_writable(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct mm_struct *mm = current->mm;
	struct pfn_notifier *notifier;
	unsigned long page;

	for (page = 0; page < 64; page += 2)
		load(test, map + (page << PAGE_SHIFT));
	mmap_read_lock(mm);
	KUNIT_EXPECT_EQ(test, 0, vma_make_writable(find_vma(mm, map),
						   map + 16 * PAGE_SIZE,
						   map + 32 * PAGE_SIZE));
	mmap_read_unlock(mm);
	for (page = 0; page < 64; page++) {
		pte_t pte = pfn_device_pte(mm, map + (page << PAGE_SHIFT));

		KUNIT_EXPECT_EQ(test, page % 2, pte_none(pte));
		KUNIT_EXPECT_EQ(test, !(page % 2) && page >= 16 && page < 32,
				!!pte_write(pte));
		KUNIT_EXPECT_FALSE(test, pte_dirty(pte));
	}

	/* Stores don't fault, and are found. */
	store_page(test, map, 20, 1);
	KUNIT_EXPECT_EQ(test, 0, dev->mkwrites);
	EXPECT_PASS(test, dev, false, 0, 64);
	EXPECT_REPORTED(test, dev, 20);

	/* No notifier hears of it. For a pass with one writable is dirty. */
	notifier = pfn_notifier_create(test, mm, map, 64);
	pfn_notifier_begin(notifier);
	mmap_read_lock(mm);
	KUNIT_EXPECT_EQ(test, 0, vma_make_writable(find_vma(mm, map),
						   map + 24 * PAGE_SIZE,
						   map + 40 * PAGE_SIZE));
	mmap_read_unlock(mm);
	KUNIT_EXPECT_EQ(test, 0, notifier->ranges);
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, false, 0, 64);
	pfn_notifier_check(test, notifier);
	EXPECT_REPORTED(test, dev, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36,
			38);

	map = pfn_device_map(test, dev, 0, 64, 0, PROT_READ, MAP_SHARED);
	mmap_read_lock(mm);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			vma_make_writable(find_vma(mm, map), map,
					  map + 64 * PAGE_SIZE));
	mmap_read_unlock(mm);
}

/* Entries where there are none; others stay as they are. */
static void test_insert_page_pfns(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned long page;
	pte_t before;

	store_page(test, map, 9, 1);
	before = pfn_device_pte(mm, map + 9 * PAGE_SIZE);
	mmap_read_lock(mm);
	vma = find_vma(mm, map);
	KUNIT_EXPECT_EQ(test, 0,
			vma_insert_page_pfns(vma, map + 8 * PAGE_SIZE,
					     dev->pages + 8, 16,
					     vma->vm_page_prot));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			vma_insert_page_pfns(vma, map + 56 * PAGE_SIZE,
					     dev->pages, 9,
					     vma->vm_page_prot));
	mmap_read_unlock(mm);

	for (page = 0; page < 64; page++) {
		pte_t pte = pfn_device_pte(mm, map + (page << PAGE_SHIFT));

		KUNIT_EXPECT_EQ(test, page < 8 || page >= 24, pte_none(pte));
		if (page == 9) {
			KUNIT_EXPECT_TRUE(test, pte_same(pte, before));
		} else if (!pte_none(pte)) {
			KUNIT_EXPECT_EQ(test, page_to_pfn(dev->pages[page]),
					pte_pfn(pte));
			KUNIT_EXPECT_FALSE(test, pte_write(pte) ||
					   pte_dirty(pte));
		}
	}
	KUNIT_EXPECT_EQ(test, 0, load(test, map + 10 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, dev->faults);
}

/* A mapping of a file that is open for reading only is never to be written. */
static void test_insert_readonly(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = map_readonly(test, dev, 64);
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned long page;

	secondary_store(dev, 9, 7);
	mmap_read_lock(mm);
	vma = find_vma(mm, map);
	KUNIT_EXPECT_FALSE(test, vma->vm_flags & (VM_SHARED | VM_MAYWRITE));
	KUNIT_EXPECT_EQ(test, 0,
			vma_insert_page_pfns(vma, map, dev->pages, 64,
					     vma->vm_page_prot));
	KUNIT_EXPECT_EQ(test, -EINVAL, vma_make_writable(vma, map, map +
							 64 * PAGE_SIZE));
	mmap_read_unlock(mm);

	for (page = 0; page < 64; page++)
		expect_entry(test, map + (page << PAGE_SHIFT), false, false);
	KUNIT_EXPECT_EQ(test, 7, load(test, map + 9 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, dev->faults);
	KUNIT_EXPECT_EQ(test, -EFAULT, put_user(1, (u32 __user *)map));
}

static struct kunit_case mapping_dirty_cases[] = {
	KUNIT_CASE(test_nothing),
	KUNIT_CASE(test_clean),
	KUNIT_CASE(test_wrprotect),
	KUNIT_CASE(test_flush_for_others),
	KUNIT_CASE(test_notified),
	KUNIT_CASE(test_secondary),
	KUNIT_CASE(test_range),
	KUNIT_CASE(test_parts),
	KUNIT_CASE(test_parts_pmd),
	KUNIT_CASE(test_unfit_first),
	KUNIT_CASE(test_mms),
	KUNIT_CASE(test_zap),
	KUNIT_CASE(test_not_present),
	KUNIT_CASE(test_refused),
#ifdef HAVE_TEST_SYSCALL
	KUNIT_CASE(test_mprotect_after),
	KUNIT_CASE(test_move),
	KUNIT_CASE(test_fork_child),
	KUNIT_CASE_SLOW(test_move_during_pass),
	KUNIT_CASE(test_fork_pmd),
	KUNIT_CASE(test_fork_pmd_late),
#endif
	KUNIT_CASE_SLOW(test_writers),
	KUNIT_CASE_SLOW(test_writers_notified),
	KUNIT_CASE_SLOW(test_unmap_during_pass),
	KUNIT_CASE_SLOW(test_unmap_both_during_pass),
	KUNIT_CASE(test_pmd),
	KUNIT_CASE_SLOW(test_pud),
	KUNIT_CASE_SLOW(test_many_vmas),
	KUNIT_CASE_SLOW(test_large),
	KUNIT_CASE(test_make_writable),
	{}
};

static struct kunit_suite mapping_dirty_suite = {
	.name = "mapping_dirty",
	.test_cases = mapping_dirty_cases,
};

static struct kunit_case pfn_range_cases[] = {
	KUNIT_CASE(test_apply),
	KUNIT_CASE(test_apply_refuses),
	KUNIT_CASE(test_apply_huge),
	KUNIT_CASE(test_insert_page_pfns),
	KUNIT_CASE(test_insert_readonly),
	{}
};

static struct kunit_suite pfn_range_suite = {
	.name = "pfn_range",
	.test_cases = pfn_range_cases,
};

kunit_test_suites(&mapping_dirty_suite, &pfn_range_suite);

MODULE_DESCRIPTION("KUnit tests of the page-table walks for device memory");
MODULE_LICENSE("GPL");
