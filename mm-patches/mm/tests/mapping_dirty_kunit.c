// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the page-table walks for device memory: apply_to_pfn_range()
 * and mapping_dirty_harvest().
 *
 * Stores are made with put_user(), so that the CPU faults and sets dirty bits
 * as for a user program. See pfn_device.h for the device that is mapped.
 */

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/pfn_range.h>
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

#include "pfn_device.h"

#define RW	(PROT_READ | PROT_WRITE)
#define WP	MAPPING_DIRTY_WRPROTECT
#define CLEAN	MAPPING_DIRTY_CLEAN

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

#define EXPECT_PASS(test, dev, flags, first, nr)			\
	KUNIT_EXPECT_EQ(test, 0, pfn_device_pass(dev, flags, first, nr))

/* A pass over nothing, or over what is clean, disturbs nobody. */
static void test_nothing(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct pfn_notifier *notifier =
		pfn_notifier_create(test, current->mm, map, 64);
	unsigned int flags;

	pfn_notifier_begin(notifier);
	for (flags = WP; flags <= (WP | CLEAN); flags++)
		EXPECT_PASS(test, dev, flags, 0, 64);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.scanned);

	/* Present, but read-only and clean */
	load(test, map + 5 * PAGE_SIZE);
	pfn_notifier_begin(notifier);
	for (flags = WP; flags <= (WP | CLEAN); flags++) {
		EXPECT_PASS(test, dev, flags, 0, 64);
		KUNIT_EXPECT_EQ(test, 64, dev->pass.scanned);
		KUNIT_EXPECT_EQ(test, 0, dev->pass.notifier_ranges);
		KUNIT_EXPECT_EQ(test, 0, dev->pass.flushes);
	}
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, 0, notifier->ranges);
}

/* Cleaned entries stay writable, and a later store is seen again. */
static void test_clean(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct pfn_notifier *notifier =
		pfn_notifier_create(test, current->mm, map, 64);
	unsigned long faults;

	store_page(test, map, 3, 1);
	store_page(test, map, 4, 1);
	store_page(test, map, 50, 1);
	load(test, map + 20 * PAGE_SIZE);
	faults = dev->faults + dev->mkwrites;

	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	pfn_notifier_check(test, notifier);
	EXPECT_REPORTED(test, dev, 3, 4, 50);
	KUNIT_EXPECT_EQ(test, 3, dev->pass.cleaned);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.flushes);

	/* One range, from the first entry that changes to the last. */
	KUNIT_EXPECT_EQ(test, 1, notifier->ranges);
	KUNIT_EXPECT_EQ(test, map + 3 * PAGE_SIZE, notifier->start);
	KUNIT_EXPECT_EQ(test, map + 51 * PAGE_SIZE, notifier->end);

	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));

	/* The flush: without it the CPU would not set the bit once more. */
	store_page(test, map, 4, 2);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 4);
	KUNIT_EXPECT_EQ(test, faults, dev->faults + dev->mkwrites);
}

/* Write-protected entries keep their dirty bit, and the next store faults. */
static void test_wrprotect(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct pfn_notifier *notifier =
		pfn_notifier_create(test, current->mm, map, 64);

	store_page(test, map, 7, 1);
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, WP, 0, 64);
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));
	KUNIT_EXPECT_FALSE(test, pte_write(pfn_device_pte(current->mm, map +
							  7 * PAGE_SIZE)));

	KUNIT_EXPECT_EQ(test, 0, dev->mkwrites);
	store_page(test, map, 7, 2);
	KUNIT_EXPECT_EQ(test, 1, dev->mkwrites);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 7);
}

/* Who has changed an entry may not have flushed yet: it is done for them. */
static void test_flush_for_others(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);

	store_page(test, map, 5, 1);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.flushes);

	inc_tlb_flush_pending(current->mm);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	dec_tlb_flush_pending(current->mm);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.flushes);
	KUNIT_EXPECT_EQ(test, 0, bitmap_weight(dev->reported, 64));
}

/* Both in one step. A store after that faults, and is found. */
static void test_both(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	pte_t pte;

	store_page(test, map, 7, 1);
	store_page(test, map, 9, 1);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 7, 9);
	KUNIT_EXPECT_EQ(test, 2, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 2, dev->pass.cleaned);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, 1, dev->pass.flushes);
	pte = pfn_device_pte(current->mm, map + 7 * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, pte_present(pte));
	KUNIT_EXPECT_FALSE(test, pte_write(pte) || pte_dirty(pte));

	store_page(test, map, 9, 2);
	KUNIT_EXPECT_EQ(test, 1, dev->mkwrites);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 9);
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

	EXPECT_PASS(test, dev, WP | CLEAN, 32, 64);
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

	EXPECT_PASS(test, dev, WP | CLEAN, 0, 128);
	KUNIT_EXPECT_EQ(test, 64, bitmap_weight(dev->reported, 128));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

/* In the first page table, from there into the next, in the last of six. */
static const struct mapping_dirty_range parts[] = {
	{ .first = 3, .nr = 1, .flags = WP | CLEAN },
	{ .first = 10, .nr = 6, .flags = CLEAN },
	{ .first = 500, .nr = 30, .flags = WP | CLEAN },
	{ .first = 2560, .nr = 1, .flags = CLEAN },
};

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

/* Store to all pages of VMAs, and have a pass look at some. */
static void pass_parts(struct kunit *test, struct pfn_device *dev,
		       const unsigned long *map, const unsigned long *first,
		       const unsigned long *nr, u32 value)
{
	unsigned long page;
	unsigned int i;

	for (i = 0; i < 3; i++)
		for (page = 0; page < nr[i]; page++)
			store_page(test, map[i], page, value);

	EXPECT_PASS(test, dev, WP, 0, 3072);

	/* The VMA that none of it is in is not disturbed. */
	KUNIT_EXPECT_EQ(test, 2, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, 2, dev->pass.flushes);
	KUNIT_EXPECT_EQ(test, 38 + 20, dev->pass.cleaned);
	KUNIT_EXPECT_EQ(test, 31 + 20, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, 38, bitmap_weight(dev->reported, 3072));

	for (i = 0; i < 3; i++) {
		for (page = 0; page < nr[i]; page++) {
			const struct mapping_dirty_range *part =
				part_of(first[i] + page);
			pte_t pte = pfn_device_pte(current->mm, map[i] +
						   (page << PAGE_SHIFT));

			KUNIT_EXPECT_EQ(test, !part, pte_dirty(pte));
			KUNIT_EXPECT_EQ(test, !part || !(part->flags & WP),
					pte_write(pte));
			KUNIT_EXPECT_TRUE(test, !part ||
					  test_bit(first[i] + page,
						   dev->reported));
		}
	}
}

/* Parts of a range, each with flags of its own: one notifier range and one flush. */
static void test_parts(struct kunit *test)
{
	static const unsigned long first[] = { 0, 510, 600 };
	static const unsigned long nr[] = { 3072, 20, 1900 };
	struct pfn_device *dev = pfn_device_create(test, 3072, 0);
	struct pfn_notifier *notifier;
	unsigned long map[3], page;
	unsigned int i;

	dev->next = next_part;
	for (i = 0; i < 3; i++)
		map[i] = pfn_device_map(test, dev, i ? 0 : BASE, nr[i],
					first[i], RW, MAP_SHARED);
	pass_parts(test, dev, map, first, nr, 1);

	/* With somebody to be spared: from the first entry to the last. */
	for (page = 0; page < nr[0]; page++)
		store_page(test, map[0], page, 2);
	notifier = pfn_notifier_create(test, current->mm, map[0], nr[0]);
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, WP, 0, 3072);
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, 1, notifier->ranges);
	KUNIT_EXPECT_EQ(test, map[0] + 3 * PAGE_SIZE, notifier->start);
	KUNIT_EXPECT_EQ(test, map[0] + 2561 * PAGE_SIZE, notifier->end);
	pass_parts(test, dev, map, first, nr, 3);

	/* A range that starts and ends within parts, and one between them. */
	for (page = 0; page < nr[0]; page++)
		store_page(test, map[0], page, 4);
	EXPECT_PASS(test, dev, WP, 12, 490);
	KUNIT_EXPECT_EQ(test, 4 + 2, bitmap_weight(dev->reported, 3072));
	KUNIT_EXPECT_EQ(test, 12, find_first_bit(dev->reported, 3072));
	EXPECT_PASS(test, dev, WP, 530, 2030);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.scanned);

	dev->next = NULL;
	EXPECT_PASS(test, dev, CLEAN, 0, 3072);
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
	dev->next = next_part;
	for (i = 0; i < 6; i++)
		store_page(test, map, (i << PMD_ORDER) + 100, 1);
	KUNIT_ASSERT_TRUE(test, pte_none(pfn_device_pte(current->mm, map)));

	EXPECT_PASS(test, dev, MAPPING_DIRTY_SPLIT, 0, 6 << PMD_ORDER);
	KUNIT_EXPECT_EQ(test, 3 << PMD_ORDER,
			bitmap_weight(dev->reported, dev->nr));
	for (i = 0; i < 6; i++) {
		bool in = i < 2 || i == 5;

		KUNIT_EXPECT_EQ(test, in, test_bit((i << PMD_ORDER) + 100,
						   dev->reported));
		KUNIT_EXPECT_EQ(test, in,
				!pfn_device_entry(current->mm, map +
						  (PMD_SIZE * i)));
	}

	dev->next = NULL;
	EXPECT_PASS(test, dev, CLEAN, 0, 6 << PMD_ORDER);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

/* VMAs that can't be written hide nothing behind them. */
static void test_unfit_first(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	struct file *readonly;
	unsigned long map;

	/* Lower in the tree: same page offset, and there before. */
	pfn_device_map(test, dev, 0, 64, 0, RW, MAP_PRIVATE);
	pfn_device_map(test, dev, 0, 64, 0, PROT_READ, MAP_SHARED);

	/* MAP_SHARED of a file that is open for reading: never writable. */
	readonly = dev->file;
	readonly->f_mode &= ~FMODE_WRITE;
	pfn_device_map(test, dev, 0, 64, 0, PROT_READ, MAP_SHARED);
	readonly->f_mode |= FMODE_WRITE;

	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store_page(test, map, 0, 1);
	store_page(test, map, 63, 1);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 0, 63);
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

	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 1, 11, 31);
	for (i = 0; i < 4; i++) {
		pfn_notifier_check(test, notifier[i]);
		KUNIT_EXPECT_EQ(test, i != 2, notifier[i]->ranges);
	}
}

/* Dirty entries that go with an mm, a VMA, or in place are not lost. */
static void test_zap(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	struct mm_struct *mm, *back;
	unsigned long map;

	/* munmap() of a part */
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store_page(test, map, 1, 1);
	store_page(test, map, 9, 1);
	load(test, map + 2 * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map, 8 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, dev->zaps);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 1, 9);

	/* MAP_FIXED over it */
	store_page(test, map, 10, 2);
	map = pfn_device_map(test, dev, map + 8 * PAGE_SIZE, 56, 0, RW,
			     MAP_SHARED);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 10);

	/* A truncation, or a driver that moves its buffer */
	store_page(test, map, 11, 3);
	unmap_mapping_range(dev->mapping, 0, 64 << PAGE_SHIFT, 1);
	KUNIT_EXPECT_TRUE(test, pte_none(pfn_device_pte(current->mm, map +
							11 * PAGE_SIZE)));
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 11);

	/* The end of an mm, as by exit and exec */
	mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, mm);
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	back = pfn_device_enter(mm);
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store_page(test, map, 12, 4);
	pfn_device_leave(mm, back);
	mmput(mm);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 12);
}

/* An entry that is not present may look dirty and writable: it is not ours. */
static void test_not_present(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	unsigned long addr = map + 3 * PAGE_SIZE;
	pte_t *pte, odd = __pte(0);
	unsigned long offset;
	spinlock_t *ptl;	/* of the page table */

	store_page(test, map, 3, 1);
	EXPECT_PASS(test, dev, CLEAN, 0, 64);

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
	set_pte(pte, odd);
	pte_unmap_unlock(pte, ptl);

	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.notifier_ranges);
	/* One beside it is no reason to change it either. */
	store_page(test, map, 2, 2);
	store_page(test, map, 4, 2);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 2, 4);
	KUNIT_EXPECT_TRUE(test, pte_same(pfn_device_pte(current->mm, addr),
					 odd));

	pte = get_locked_pte(current->mm, addr, &ptl);
	KUNIT_ASSERT_NOT_NULL(test, pte);
	set_pte(pte, __pte(0));
	pte_unmap_unlock(pte, ptl);
}

/* Ordinary memory below a shared mapping: refused, and the rest is done. */
static void test_refused(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map;

	dev->no_pfnmap = true;
	pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	dev->no_pfnmap = false;
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store_page(test, map, 5, 1);

	KUNIT_EXPECT_EQ(test, -EINVAL, pfn_device_pass(dev, CLEAN, 0, 64));
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

#ifdef CONFIG_X86_64
/* There is no kernel function for these: by the system call's own. */
asmlinkage long __x64_sys_mprotect(const struct pt_regs *regs);
asmlinkage long __x64_sys_mremap(const struct pt_regs *regs);

static long test_mprotect(unsigned long addr, size_t len, unsigned long prot)
{
	struct pt_regs regs = { .di = addr, .si = len, .dx = prot };

	return __x64_sys_mprotect(&regs);
}

static long test_mremap(unsigned long addr, size_t len, unsigned long to)
{
	struct pt_regs regs = { .di = addr, .si = len, .dx = len,
				.r10 = MREMAP_MAYMOVE | MREMAP_FIXED,
				.r8 = to };

	return __x64_sys_mremap(&regs);
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
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 5);
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, PROT_READ));
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, RW));
	store_page(test, map, 5, 2);
	KUNIT_EXPECT_EQ(test, 1, dev->mkwrites);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 5);

	/* Dirty, read-only for a while, writable again: still dirty. */
	store_page(test, map, 6, 3);
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, PROT_READ));
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 6);
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, RW));
	store_page(test, map, 6, 4);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 6);
}

/* A moved mapping is found where it went, with its dirty bits. */
static void test_move(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 2048, 0);
	unsigned long size = 2048 << PAGE_SHIFT;
	unsigned long map = pfn_device_map(test, dev, BASE, 2048, 0, RW,
					   MAP_SHARED);

	/* Whole page tables are moved as such, in parts entry by entry. */
	store_page(test, map, 3, 1);
	store_page(test, map, 600, 1);
	KUNIT_ASSERT_EQ(test, BASE + 2 * size,
			test_mremap(map, size, BASE + 2 * size));
	map = BASE + 2 * size;
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 2048);
	EXPECT_REPORTED(test, dev, 3, 600);
	store_page(test, map, 600, 2);
	KUNIT_ASSERT_EQ(test, BASE + PAGE_SIZE,
			test_mremap(map, size, BASE + PAGE_SIZE));
	map = BASE + PAGE_SIZE;
	store_page(test, map, 3, 2);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 2048);
	EXPECT_REPORTED(test, dev, 3, 600);
}

struct fork_args {
	unsigned long map;
	int err;
};

static void fork_store(void *data)
{
	struct fork_args *args = data;

	args->err = put_user(2, (u32 __user *)(args->map + 1 * PAGE_SIZE)) ?:
		    put_user(2, (u32 __user *)(args->map + 7 * PAGE_SIZE));
}

/* The child's stores count, to what the parent had dirtied or not. */
static void test_fork_child(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	struct fork_args args = {};

	args.map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store_page(test, args.map, 1, 1);
	store_page(test, args.map, 2, 1);
	test_fork(test, fork_store, &args);
	KUNIT_EXPECT_EQ(test, 0, args.err);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 1, 2, 7);

	/* After a pass that closed them, both have to ask. */
	test_fork(test, fork_store, &args);
	KUNIT_EXPECT_EQ(test, 0, args.err);
	store_page(test, args.map, 2, 3);
	KUNIT_EXPECT_GE(test, dev->mkwrites, 2);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 1, 2, 7);
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

/* Stores, moves, and stores again. */
static int mover_fn(void *data)
{
	static const unsigned long at[] = { BASE, BASE + 0x1000000,
					    BASE + 0x2000000 + PAGE_SIZE };
	struct mover *mover = data;
	struct rnd_state rnd;
	unsigned int i, n;

	prandom_seed_state(&rnd, 1);
	kthread_use_mm(mover->mm);
	for (i = 0; i < mover->rounds && !mover->err; i++) {
		unsigned long map = at[i % ARRAY_SIZE(at)];
		unsigned long to = at[(i + 1) % ARRAY_SIZE(at)];

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
	unsigned int passes = 0;

	KUNIT_ASSERT_NOT_NULL(test, before);
	mover.stored = kunit_kcalloc(test, 1024, sizeof(u32), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mover.stored);
	pfn_device_map(test, dev, BASE, 1024, 0, RW, MAP_SHARED);
	mover.mm = current->mm;
	init_completion(&mover.done);
	thread = kthread_run(mover_fn, &mover, "mover");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));

	while (!completion_done(&mover.done)) {
		snapshot(before, mover.stored, 1024);
		EXPECT_PASS(test, dev, passes++ % 2 ? CLEAN : WP | CLEAN, 0,
			    1024);
		expect_stored(test, dev, before);
	}
	KUNIT_EXPECT_EQ(test, 0, mover.err);
	KUNIT_EXPECT_GT(test, passes, 10);
	EXPECT_PASS(test, dev, CLEAN, 0, 1024);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

static void fork_nothing(void *data)
{
}

/* A huge PMD in the child is what the parent's is when it is copied. */
static void test_fork_pmd(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 512, PMD_ORDER);
	struct fork_args args = {};

	if (PMD_SIZE >> PAGE_SHIFT != 512)
		kunit_skip(test, "PMDs of 512 pages are assumed");
	args.map = pfn_device_map(test, dev, BASE, 512, 0, RW, MAP_SHARED);
	store_page(test, args.map, 100, 1);
	test_fork(test, fork_store, &args);
	KUNIT_EXPECT_EQ(test, 0, args.err);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 512);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));

	/* Closed: neither has a writable entry. */
	test_fork(test, fork_nothing, NULL);
	test_fork(test, fork_store, &args);
	KUNIT_EXPECT_EQ(test, 0, args.err);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, 512);
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
	struct pfn_device *dev = pfn_device_create(test, 512, PMD_ORDER);
	struct late_fork late = {};
	struct task_struct *thread;
	spinlock_t *ptl;	/* of the page table */
	pmd_t *pmd;
	u64 leaf;
	int i;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	late.map = pfn_device_map(test, dev, BASE, 512, 0, RW, MAP_SHARED);
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
	for (value = 1; value <= writer->count && !writer->err; value++) {
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
static void test_writers(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 1024, 0);
	u32 *before = kunit_kcalloc(test, 1024, sizeof(u32), GFP_KERNEL);
	u32 *stored = kunit_kcalloc(test, 1024, sizeof(u32), GFP_KERNEL);
	struct mm_struct *other = pfn_device_mm(test), *back;
	struct writer writers[3] = {};
	unsigned int i, passes = 0;
	unsigned long map[2];

	KUNIT_ASSERT_NOT_NULL(test, before);
	KUNIT_ASSERT_NOT_NULL(test, stored);
	map[0] = pfn_device_map(test, dev, 0, 1024, 0, RW, MAP_SHARED);
	back = pfn_device_enter(other);
	map[1] = pfn_device_map(test, dev, 0, 1024, 0, RW, MAP_SHARED);
	pfn_device_leave(other, back);

	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i] = (struct writer) {
			.mm = i % 2 ? other : current->mm,
			.map = map[i % 2],
			.first = 300 * i,
			.nr = 300,
			.count = 6000,
			.seed = i + 1,
			.stored = stored,
		};
		init_completion(&writers[i].done);
		KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(writer_fn,
							    &writers[i],
							    "writer")));
	}
	for (i = 0; i < ARRAY_SIZE(writers);) {
		snapshot(before, stored, 1024);
		EXPECT_PASS(test, dev, passes++ % 4 ? CLEAN : WP | CLEAN,
			    0, 1024);
		expect_stored(test, dev, before);
		while (i < ARRAY_SIZE(writers) &&
		       completion_done(&writers[i].done))
			KUNIT_EXPECT_EQ(test, 0, writers[i++].err);
	}
	EXPECT_PASS(test, dev, CLEAN, 0, 1024);
	expect_stored(test, dev, stored);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
	KUNIT_EXPECT_GT(test, passes, 10);
	kunit_info(test, "18000 stores, %u passes", passes);
}

/* Things that are true of a huge entry of either level. */
static void huge_leaf(struct kunit *test, unsigned int order)
{
	unsigned long nr = 1UL << order, size = PAGE_SIZE << order;
	struct pfn_device *dev = pfn_device_create(test, nr, order);
	unsigned long map = pfn_device_map(test, dev, BASE, nr, 0, RW,
					   MAP_SHARED);
	struct pfn_notifier *notifier =
		pfn_notifier_create(test, current->mm, map, nr);
	struct mm_struct *mm = current->mm;
	unsigned long faults;
	u64 leaf;

	store_page(test, map, 100, 1);
	faults = dev->faults;
	KUNIT_ASSERT_TRUE_MSG(test, pte_none(pfn_device_pte(mm, map)),
			      "there is a page table below");
	KUNIT_ASSERT_NE(test, 0, pfn_device_entry(mm, map));

	/* Harvested as a whole, and writable still. */
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, CLEAN, 0, nr);
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, 1, notifier->ranges);
	KUNIT_EXPECT_EQ(test, map, notifier->start);
	KUNIT_EXPECT_EQ(test, map + size, notifier->end);
	KUNIT_EXPECT_EQ(test, nr, bitmap_weight(dev->reported, nr));
	KUNIT_EXPECT_EQ(test, nr, dev->pass.cleaned);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));

	/* Clean: nothing to do. */
	EXPECT_PASS(test, dev, CLEAN, 0, nr);
	KUNIT_EXPECT_EQ(test, 0, dev->pass.notifier_ranges);

	/* The hardware sets the bit again, without a fault; a part will do. */
	store_page(test, map, 7, 2);
	KUNIT_EXPECT_EQ(test, faults, dev->faults);
	EXPECT_PASS(test, dev, CLEAN, 64, 64);
	KUNIT_EXPECT_EQ(test, nr, bitmap_weight(dev->reported, nr));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));

	/* Clipped: reported as far as it is asked for, and not cleaned. */
	store_page(test, map, 70, 3);
	EXPECT_PASS(test, dev, CLEAN | MAPPING_DIRTY_CLIP, 64, 64);
	KUNIT_EXPECT_EQ(test, 64, bitmap_weight(dev->reported, nr));
	KUNIT_EXPECT_EQ(test, 64, find_first_bit(dev->reported, nr));
	EXPECT_PASS(test, dev, CLEAN | MAPPING_DIRTY_CLIP, 0, nr);
	KUNIT_EXPECT_EQ(test, nr, bitmap_weight(dev->reported, nr));

	/* Both in one step. The next store faults. */
	store_page(test, map, 8, 4);
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, WP | CLEAN, 0, nr);
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, nr, dev->pass.wrprotected);
	KUNIT_EXPECT_EQ(test, nr, dev->pass.cleaned);
	leaf = pfn_device_entry(mm, map);
	KUNIT_ASSERT_NE(test, 0, leaf);

	/* It is not made writable in passing. */
	mmap_read_lock(mm);
	KUNIT_EXPECT_EQ(test, 0, vma_make_writable(find_vma(mm, map), map,
						   map + 64 * PAGE_SIZE));
	mmap_read_unlock(mm);
	KUNIT_EXPECT_EQ(test, leaf, pfn_device_entry(mm, map));
	store_page(test, map, 8, 5);
	KUNIT_EXPECT_EQ(test, faults + 1, dev->faults);

	/* Split on request, with what was dirty reported. */
	pfn_notifier_begin(notifier);
	EXPECT_PASS(test, dev, CLEAN | MAPPING_DIRTY_SPLIT, 0, nr);
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, 0, dev->zaps);
	KUNIT_EXPECT_EQ(test, nr, bitmap_weight(dev->reported, nr));
	KUNIT_EXPECT_EQ(test, 0, pfn_device_entry(mm, map));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));

	/* A split that the core makes is a zap, and tells so; here a munmap(). */
	store_page(test, map, 9, 6);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(map + size - PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, dev->zaps);
	EXPECT_PASS(test, dev, CLEAN, 0, nr);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));

	/* A page is mapped now, beside the hole. A zap of a whole entry: */
	pfn_device_map(test, dev, map, nr, 0, RW, MAP_SHARED);
	store_page(test, map, 10, 7);
	KUNIT_ASSERT_TRUE(test, pte_none(pfn_device_pte(mm, map)));
	unmap_mapping_range(dev->mapping, 0, size, 1);
	KUNIT_EXPECT_GE(test, dev->zaps, 2);
	EXPECT_PASS(test, dev, CLEAN, 0, nr);
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

/* Waits for i_mmap_rwsem again and again, as who maps or unmaps does. */
struct contender {
	struct address_space *mapping;
	unsigned int holds;
	bool stop;
	struct completion done;
};

static int contender_fn(void *data)
{
	struct contender *contender = data;

	while (!READ_ONCE(contender->stop)) {
		i_mmap_lock_write(contender->mapping);
		WRITE_ONCE(contender->holds, contender->holds + 1);
		i_mmap_unlock_write(contender->mapping);
		cond_resched();
	}
	complete(&contender->done);

	return 0;
}

/*
 * 10,000 VMAs that map the same 256 pages: others get at the mapping while
 * they are walked, and what is found is right.
 */
static void test_many_vmas(struct kunit *test)
{
	const unsigned int n = 10000;
	struct pfn_device *dev = pfn_device_create(test, 256, 0);
	struct contender contender = { .mapping = dev->mapping };
	unsigned int i, holds;
	unsigned long map;

	for (i = 0; i < n; i++) {
		map = pfn_device_map(test, dev, 0, 256, 0, RW, MAP_SHARED);
		if (i % 100 == 0)
			store_page(test, map, i / 100, i + 1);
	}

	init_completion(&contender.done);
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(contender_fn, &contender,
						    "contender")));
	while (!READ_ONCE(contender.holds))
		usleep_range(100, 200);
	EXPECT_PASS(test, dev, CLEAN, 0, 256);
	/* In four pieces of 64 pages, and the attempts with larger ones. */
	KUNIT_EXPECT_GE(test, dev->pass.holds, 4);
	KUNIT_EXPECT_LE(test, dev->pass.holds, 8);
	KUNIT_EXPECT_EQ(test, 100, bitmap_weight(dev->reported, 256));
	KUNIT_EXPECT_EQ(test, 100, dev->pass.notifier_ranges);
	KUNIT_EXPECT_EQ(test, 100, dev->pass.flushes);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));

	/* A writer that has waited for some ms is next, see rwsem. */
	holds = READ_ONCE(contender.holds);
	for (i = 0; i < 10; i++)
		EXPECT_PASS(test, dev, CLEAN, 0, 256);
	holds = READ_ONCE(contender.holds) - holds;
	KUNIT_EXPECT_GE(test, holds, 3);
	WRITE_ONCE(contender.stop, true);
	wait_for_completion(&contender.done);
}

/* A large range, in pieces; they are bounded by the number of entries too. */
static void test_pieces(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long pages = 1UL << 18, i;
	unsigned long map[3];

	for (i = 0; i < ARRAY_SIZE(map); i++)
		map[i] = pfn_device_map(test, dev, 0, pages, 0, RW, MAP_SHARED);
	for (i = 0; i < pages; i += 512) {
		load(test, map[0] + (i << PAGE_SHIFT));
		load(test, map[1] + (i << PAGE_SHIFT));
	}
	store_page(test, map[1], pages - 1, 1);
	store_page(test, map[2], pages / 2, 1);

	EXPECT_PASS(test, dev, CLEAN, 0, pages);
	EXPECT_REPORTED(test, dev, 0, 63);
	/* One that is too long, and then several. */
	KUNIT_EXPECT_GE(test, dev->pass.holds, 4);
	KUNIT_EXPECT_LE(test, dev->pass.holds, 16);
	KUNIT_EXPECT_EQ(test, 2, dev->pass.notifier_ranges);
}

struct apply_test {
	struct pfn_range_apply base;
	unsigned int calls;
	unsigned int leaves;
	unsigned long first;
	unsigned long nr;
	unsigned long none;
	unsigned int fail_at;
};

static int apply_count(struct pfn_range_apply *closure,
		       struct vm_area_struct *vma, pte_t *pte,
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

static int apply_clean(struct pfn_range_apply *closure,
		       struct vm_area_struct *vma, pte_t *pte,
		       unsigned long addr, unsigned long nr)
{
	for (; nr; nr--, pte++, addr += PAGE_SIZE) {
		pte_t old;

		if (!pte_present(ptep_get(pte)))
			continue;
		old = ptep_modify_prot_start(vma, addr, pte);
		ptep_modify_prot_commit(vma, addr, pte, old, pte_mkclean(old));
		pfn_range_changed(closure, addr, addr + PAGE_SIZE);
	}

	return apply_count(closure, vma, pte, addr, 0);
}

static int apply_pmd_leaf(struct pfn_range_apply *closure,
			  struct vm_area_struct *vma, pmd_t *pmd,
			  unsigned long addr)
{
	struct apply_test *at = container_of(closure, struct apply_test, base);

	at->leaves++;
	at->first = addr;

	return 0;
}

static int apply(struct kunit *test, unsigned long addr, unsigned long nr,
		 struct apply_test *at)
{
	struct vm_area_struct *vma;
	int ret;

	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, addr);
	ret = vma ? apply_to_pfn_range(vma, addr, nr << PAGE_SHIFT, &at->base) :
		-EFAULT;
	mmap_read_unlock(current->mm);

	return ret;
}

/* What is absent is skipped, or filled in; errors end the walk. */
static void test_apply(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, BASE, 2048, 0, RW,
					   MAP_SHARED);
	struct apply_test skip = { .base.flags = PFN_RANGE_WIDEN,
				   .base.ptes = apply_count };
	struct apply_test fill = { .base.flags = PFN_RANGE_WIDEN |
						 PFN_RANGE_ALLOC,
				   .base.ptes = apply_count };
	struct apply_test fail = { .base.flags = PFN_RANGE_WIDEN,
				   .base.ptes = apply_count, .fail_at = 2 };

	KUNIT_EXPECT_EQ(test, 0, apply(test, map, 2048, &skip));
	KUNIT_EXPECT_EQ(test, 0, skip.calls);

	store_page(test, map, 600, 1);
	KUNIT_EXPECT_EQ(test, 0, apply(test, map, 2048, &skip));
	KUNIT_EXPECT_EQ(test, 1, skip.calls);
	KUNIT_EXPECT_EQ(test, 512, skip.nr);
	KUNIT_EXPECT_EQ(test, 511, skip.none);
	KUNIT_EXPECT_EQ(test, map + (512 << PAGE_SHIFT), skip.first);

	KUNIT_EXPECT_EQ(test, 0, apply(test, map + 10 * PAGE_SIZE, 2000, &fill));
	KUNIT_EXPECT_EQ(test, 4, fill.calls);
	KUNIT_EXPECT_EQ(test, 2000, fill.nr);
	KUNIT_EXPECT_EQ(test, 1999, fill.none);
	KUNIT_EXPECT_EQ(test, map + 10 * PAGE_SIZE, fill.first);

	/* The tables are there now. */
	KUNIT_EXPECT_EQ(test, -EDOM, apply(test, map, 2048, &fail));
	KUNIT_EXPECT_EQ(test, 2, fail.calls);
}

/* Nothing but shared mmaps of device memory, and nothing outside of the VMA. */
static void test_apply_refuses(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	struct apply_test at = { .base.flags = PFN_RANGE_WIDEN,
				 .base.ptes = apply_count };
	struct apply_test locks = { .base.flags = PFN_RANGE_ALLOC |
						  PFN_RANGE_I_MMAP,
				    .base.ptes = apply_count };
	unsigned long map;

	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_PRIVATE);
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 64, &at));
	dev->no_pfnmap = true;
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	KUNIT_EXPECT_EQ(test, -EINVAL, apply(test, map, 64, &at));
	dev->no_pfnmap = false;
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
}

/* A callback that takes from entries runs within a range, and a flush follows. */
static void test_apply_notifies(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct pfn_notifier *notifier =
		pfn_notifier_create(test, current->mm, map, 64);
	struct apply_test clean = { .base.ptes = apply_clean };
	struct apply_test look = { .base.ptes = apply_count };

	store_page(test, map, 5, 1);
	pfn_notifier_begin(notifier);
	KUNIT_EXPECT_EQ(test, 0, apply(test, map + PAGE_SIZE, 32, &clean));
	pfn_notifier_check(test, notifier);
	KUNIT_EXPECT_EQ(test, 1, notifier->ranges);
	KUNIT_EXPECT_EQ(test, map + PAGE_SIZE, notifier->start);
	KUNIT_EXPECT_EQ(test, map + 33 * PAGE_SIZE, notifier->end);
	KUNIT_EXPECT_TRUE(test, clean.base.flushed);
	store_page(test, map, 5, 2);
	KUNIT_EXPECT_TRUE(test, pte_dirty(pfn_device_pte(current->mm, map +
							 5 * PAGE_SIZE)));

	/* Nothing changed, nothing flushed. */
	KUNIT_EXPECT_EQ(test, 0, apply(test, map, 64, &look));
	KUNIT_EXPECT_FALSE(test, look.base.flushed);
}

/* The rule for huge entries. */
static void test_apply_huge(struct kunit *test)
{
	unsigned long nr = PMD_SIZE >> PAGE_SHIFT;
	struct pfn_device *dev;
	struct apply_test skip = { .base.flags = PFN_RANGE_WIDEN,
				   .base.ptes = apply_count };
	struct apply_test leaf = { .base.flags = PFN_RANGE_WIDEN,
				   .base.ptes = apply_count,
				   .base.pmd_leaf = apply_pmd_leaf };
	struct apply_test split = { .base.flags = PFN_RANGE_SPLIT |
						  PFN_RANGE_ALLOC,
				    .base.ptes = apply_count };
	unsigned long map;

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP))
		kunit_skip(test, "no huge PMDs of device memory here");

	dev = pfn_device_create(test, nr, PMD_ORDER);
	map = pfn_device_map(test, dev, BASE, nr, 0, RW, MAP_SHARED);
	store_page(test, map, 100, 1);
	KUNIT_EXPECT_EQ(test, 0, apply(test, map, nr, &skip));
	KUNIT_EXPECT_EQ(test, 0, skip.calls);
	KUNIT_EXPECT_EQ(test, 0, apply(test, map + 64 * PAGE_SIZE, 64, &leaf));
	KUNIT_EXPECT_EQ(test, 0, leaf.calls);
	KUNIT_EXPECT_EQ(test, 1, leaf.leaves);
	KUNIT_EXPECT_EQ(test, map, leaf.first);

	/* A split is a zap, and the owner hears of what was dirty. */
	KUNIT_EXPECT_EQ(test, 0, apply(test, map, nr, &split));
	KUNIT_EXPECT_EQ(test, 1, split.calls);
	KUNIT_EXPECT_EQ(test, nr, split.none);
	KUNIT_EXPECT_EQ(test, 1, dev->zaps);
	EXPECT_PASS(test, dev, CLEAN, 0, nr);
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

/* Widening: the entries of the range that are there, and no others. */
static void test_make_writable(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct pfn_notifier *notifier =
		pfn_notifier_create(test, current->mm, map, 64);
	struct mm_struct *mm = current->mm;
	unsigned long page;

	for (page = 0; page < 64; page += 2)
		load(test, map + (page << PAGE_SHIFT));
	pfn_notifier_begin(notifier);
	mmap_read_lock(mm);
	KUNIT_EXPECT_EQ(test, 8, vma_make_writable(find_vma(mm, map),
						   map + 16 * PAGE_SIZE,
						   map + 32 * PAGE_SIZE));
	mmap_read_unlock(mm);
	KUNIT_EXPECT_EQ(test, 0, notifier->ranges);
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
	EXPECT_PASS(test, dev, CLEAN, 0, 64);
	EXPECT_REPORTED(test, dev, 20);

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

static struct kunit_case mapping_dirty_cases[] = {
	KUNIT_CASE(test_nothing),
	KUNIT_CASE(test_clean),
	KUNIT_CASE(test_wrprotect),
	KUNIT_CASE(test_flush_for_others),
	KUNIT_CASE(test_both),
	KUNIT_CASE(test_range),
	KUNIT_CASE(test_parts),
	KUNIT_CASE(test_parts_pmd),
	KUNIT_CASE(test_unfit_first),
	KUNIT_CASE(test_mms),
	KUNIT_CASE(test_zap),
	KUNIT_CASE(test_not_present),
	KUNIT_CASE(test_refused),
#ifdef CONFIG_X86_64
	KUNIT_CASE(test_mprotect_after),
	KUNIT_CASE(test_move),
	KUNIT_CASE(test_fork_child),
	KUNIT_CASE_SLOW(test_move_during_pass),
	KUNIT_CASE(test_fork_pmd),
	KUNIT_CASE(test_fork_pmd_late),
#endif
	KUNIT_CASE_SLOW(test_writers),
	KUNIT_CASE(test_pmd),
	KUNIT_CASE_SLOW(test_pud),
	KUNIT_CASE_SLOW(test_many_vmas),
	KUNIT_CASE_SLOW(test_pieces),
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
	KUNIT_CASE(test_apply_notifies),
	KUNIT_CASE(test_apply_huge),
	KUNIT_CASE(test_insert_page_pfns),
	{}
};

static struct kunit_suite pfn_range_suite = {
	.name = "pfn_range",
	.test_cases = pfn_range_cases,
};

kunit_test_suites(&mapping_dirty_suite, &pfn_range_suite);

MODULE_DESCRIPTION("KUnit tests of the page-table walks for device memory");
MODULE_LICENSE("GPL");
