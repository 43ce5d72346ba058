// SPDX-License-Identifier: GPL-2.0
/*
 * What mainline's functions get wrong, on the device of the KUnit tests for
 * ours. The cases have the names of those of suite mapping_dirty that pass;
 * these expect that mainline fails.
 */

#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/uaccess.h>

#include <kunit/test.h>

#include "../tests/pfn_device.h"
#include "stock.h"

#define RW	(PROT_READ | PROT_WRITE)

static unsigned long stock_clean(struct pfn_device *dev)
{
	pgoff_t start = 0, end = 0;
	unsigned long cleaned;

	pfn_device_begin(dev);
	cleaned = stock_clean_record_shared_mapping_range(dev->mapping, 0,
							  dev->nr, 0,
							  dev->reported, &start,
							  &end);
	pfn_device_end(dev);

	return cleaned;
}

static void store(struct kunit *test, unsigned long map, unsigned long page,
		  u32 value)
{
	KUNIT_ASSERT_EQ(test, 0, put_user(value, (u32 __user *)
					  (map + (page << PAGE_SHIFT))));
}

/* The control: a plain case works. */
static void test_clean(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);

	store(test, map, 5, 1);
	KUNIT_EXPECT_EQ(test, 1, stock_clean(dev));
	KUNIT_EXPECT_TRUE(test, pfn_device_current(dev));
}

/* A VMA that does not qualify ends the walk: the store is lost. */
static void test_unfit_first(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map;

	pfn_device_map(test, dev, 0, 64, 0, RW, MAP_PRIVATE);
	map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	store(test, map, 5, 1);
	KUNIT_EXPECT_EQ(test, 0, stock_clean(dev));
	KUNIT_EXPECT_FALSE(test, pfn_device_current(dev));
}

/* A pass over what is clean starts a notifier range over all of the VMA. */
static void test_nothing(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	struct pfn_notifier *notifier =
		pfn_notifier_create(test, current->mm, map, 64);

	stock_clean(dev);
	pfn_notifier_begin(notifier);
	KUNIT_EXPECT_EQ(test, 0, stock_clean(dev));
	KUNIT_EXPECT_EQ(test, 1, notifier->ranges);
	KUNIT_EXPECT_EQ(test, map, notifier->start);
	KUNIT_EXPECT_EQ(test, map + 64 * PAGE_SIZE, notifier->end);
}

/* An entry that is not present is taken for a dirty one, and changed. */
static void test_not_present(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);
	pte_t *pte, odd = __pte(0);
	unsigned long offset;
	spinlock_t *ptl;	/* of the page table */

	for (offset = 1; offset; offset <<= 1) {
		odd = swp_entry_to_pte(swp_entry(0, offset));
		if (!pte_present(odd) && pte_dirty(odd))
			break;
	}
	if (!offset)
		kunit_skip(test, "no swap entry looks dirty here");

	pte = get_locked_pte(current->mm, map, &ptl);
	KUNIT_ASSERT_NOT_NULL(test, pte);
	set_pte_at(current->mm, map, pte, odd);
	pte_unmap_unlock(pte, ptl);

	KUNIT_EXPECT_EQ(test, 1, stock_clean(dev));
	KUNIT_EXPECT_FALSE(test, pte_same(pfn_device_pte(current->mm, map),
					  odd));

	pte = get_locked_pte(current->mm, map, &ptl);
	KUNIT_ASSERT_NOT_NULL(test, pte);
	pte_clear(current->mm, map, pte);
	pte_unmap_unlock(pte, ptl);
}

#ifdef CONFIG_X86_64
asmlinkage long __x64_sys_mprotect(const struct pt_regs *regs);

static long test_mprotect(unsigned long addr, size_t len, unsigned long prot)
{
	struct pt_regs regs = { .di = addr, .si = len, .dx = prot };

	return __x64_sys_mprotect(&regs);
}

/* Read-only and still dirty: mprotect() makes it writable without a fault. */
static void test_mprotect_after(struct kunit *test)
{
	struct pfn_device *dev = pfn_device_create(test, 64, 0);
	unsigned long map = pfn_device_map(test, dev, 0, 64, 0, RW, MAP_SHARED);

	store(test, map, 5, 1);
	KUNIT_EXPECT_EQ(test, 1, stock_wp_shared_mapping_range(dev->mapping, 0,
							       64));
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, PROT_READ));
	KUNIT_ASSERT_EQ(test, 0, test_mprotect(map, 64 * PAGE_SIZE, RW));
	store(test, map, 5, 2);
	KUNIT_EXPECT_EQ(test, 0, dev->mkwrites);
}
#endif

static struct kunit_case stock_cases[] = {
	KUNIT_CASE(test_clean),
	KUNIT_CASE(test_unfit_first),
	KUNIT_CASE(test_nothing),
	KUNIT_CASE(test_not_present),
#ifdef CONFIG_X86_64
	KUNIT_CASE(test_mprotect_after),
#endif
	{}
};

static struct kunit_suite stock_suite = {
	.name = "mapping_dirty_stock",
	.test_cases = stock_cases,
};

kunit_test_suite(stock_suite);

MODULE_DESCRIPTION("KUnit tests that show what mainline's helpers get wrong");
MODULE_LICENSE("GPL");
