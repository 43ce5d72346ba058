// SPDX-License-Identifier: GPL-2.0
#include <linux/anon_inodes.h>
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "pfn_device.h"

static unsigned long pfn_device_pfn(struct pfn_device *dev, pgoff_t pgoff)
{
	return page_to_pfn(dev->pages[pgoff % dev->nr]);
}

static vm_fault_t pfn_device_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct pfn_device *dev = vma->vm_private_data;
	pgprot_t prot = vma->vm_page_prot;
	vm_fault_t ret;

	/* Writable and clean: the store that follows sets the dirty bit. */
	if (vmf->flags & FAULT_FLAG_WRITE)
		prot = vm_get_page_prot(vma->vm_flags);

	mutex_lock(&dev->lock);
	dev->faults++;
	ret = vmf_insert_pfn_prot(vma, vmf->address,
				  pfn_device_pfn(dev, vmf->pgoff), prot);
	mutex_unlock(&dev->lock);

	return ret;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static vm_fault_t pfn_device_huge_fault(struct vm_fault *vmf,
					unsigned int order)
{
	struct pfn_device *dev = vmf->vma->vm_private_data;
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	vm_fault_t ret = VM_FAULT_FALLBACK;
	unsigned long addr = vmf->address & ~((PAGE_SIZE << order) - 1);
	unsigned long pfn;

	if (dev->order != order || addr < vmf->vma->vm_start ||
	    addr + (PAGE_SIZE << order) > vmf->vma->vm_end)
		return VM_FAULT_FALLBACK;

	pfn = pfn_device_pfn(dev, linear_page_index(vmf->vma, addr));
	mutex_lock(&dev->lock);
	dev->faults++;
	if (order == PMD_ORDER)
		ret = vmf_insert_pfn_pmd(vmf, pfn, write);
#ifdef CONFIG_HAVE_ARCH_TRANSPARENT_HUGEPAGE_PUD
	else if (order == PUD_ORDER)
		ret = vmf_insert_pfn_pud(vmf, pfn, write);
#endif
	mutex_unlock(&dev->lock);

	return ret;
}
#endif

static vm_fault_t pfn_device_mkwrite(struct vm_fault *vmf)
{
	struct pfn_device *dev = vmf->vma->vm_private_data;

	mutex_lock(&dev->lock);
	dev->mkwrites++;
	vmf_make_writable(vmf);
	mutex_unlock(&dev->lock);

	return VM_FAULT_NOPAGE;
}

static void pfn_device_opened(struct pfn_device *dev,
			      struct vm_area_struct *vma, bool again)
{
	spin_lock(&dev->vmas_lock);
	dev->vmas++;
	dev->seq++;
	dev->end = max(dev->end, vma->vm_pgoff + vma_pages(vma));
	dev->opened |= again && dev->order;
	spin_unlock(&dev->vmas_lock);
}

static void pfn_device_open(struct vm_area_struct *vma)
{
	pfn_device_opened(vma->vm_private_data, vma, true);
}

/* Its entries are gone and its TLB entries too. What they were is not known. */
static void pfn_device_close(struct vm_area_struct *vma)
{
	struct pfn_device *dev = vma->vm_private_data;
	unsigned long nr = min(vma_pages(vma), dev->nr);
	pgoff_t pgoff = vma->vm_pgoff;

	if (dev->close_delay)
		usleep_range(dev->close_delay, 2 * dev->close_delay);

	spin_lock(&dev->vmas_lock);
	for (; nr; nr--, pgoff++)
		__set_bit(pgoff % dev->nr, dev->closed);
	dev->vmas--;
	dev->seq++;
	spin_unlock(&dev->vmas_lock);
}

static const struct vm_operations_struct pfn_device_vm_ops = {
	.open = pfn_device_open,
	.close = pfn_device_close,
	.fault = pfn_device_fault,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	.huge_fault = pfn_device_huge_fault,
#endif
	.pfn_mkwrite = pfn_device_mkwrite,
};

static int pfn_device_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pfn_device *dev = file->private_data;

	vm_flags_set(vma, dev->vm_flags | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = dev;
	vma->vm_ops = &pfn_device_vm_ops;
	pfn_device_opened(dev, vma, false);

	return 0;
}

static struct page *pfn_device_alloc_pages(unsigned int order)
{
	if (order <= MAX_PAGE_ORDER)
		return alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
#ifdef CONFIG_CONTIG_ALLOC
	return alloc_contig_pages(1UL << order, GFP_KERNEL, 0, NULL);
#else
	return NULL;
#endif
}

static void pfn_device_free_pages(struct page *page, unsigned int order)
{
	if (order <= MAX_PAGE_ORDER)
		__free_pages(page, order);
#ifdef CONFIG_CONTIG_ALLOC
	else
		free_contig_range(page_to_pfn(page), 1UL << order);
#endif
}

static void pfn_device_free(struct pfn_device *dev)
{
	unsigned long i;

	for (i = 0; dev->pages && i < dev->nr; i += 1UL << dev->order)
		if (dev->pages[i])
			pfn_device_free_pages(dev->pages[i], dev->order);
	bitmap_free(dev->closed);
	bitmap_free(dev->reported);
	vfree(dev->copy);
	vfree(dev->pages);
	kfree(dev);
}

static int pfn_device_release(struct inode *inode, struct file *file)
{
	pfn_device_free(file->private_data);

	return 0;
}

static const struct file_operations pfn_device_fops = {
	.mmap = pfn_device_mmap,
	.release = pfn_device_release,
};

static bool pfn_device_alloc(struct pfn_device *dev)
{
	struct page *page;
	unsigned long i, j;

	dev->pages = vcalloc(dev->nr, sizeof(*dev->pages));
	dev->copy = vcalloc(dev->nr, sizeof(*dev->copy));
	dev->reported = bitmap_zalloc(dev->nr, GFP_KERNEL);
	dev->closed = bitmap_zalloc(dev->nr, GFP_KERNEL);
	if (!dev->pages || !dev->copy || !dev->reported || !dev->closed)
		return false;

	for (i = 0; i < dev->nr; i += 1UL << dev->order) {
		page = pfn_device_alloc_pages(dev->order);
		if (!page)
			return false;
		for (j = 0; j < 1UL << dev->order; j++) {
			dev->pages[i + j] = page + j;
			dev->copy[i + j] = pfn_device_word(dev, i + j);
		}
	}

	return true;
}

KUNIT_DEFINE_ACTION_WRAPPER(put_file, fput, struct file *);

struct pfn_device *pfn_device_create(struct kunit *test, unsigned long nr,
				     unsigned int order)
{
	struct pfn_device *dev;

	if (order && nr > totalram_pages() / 2)
		kunit_skip(test, "%lu MiB for huge entries: boot with more memory",
			   nr >> (20 - PAGE_SHIFT));

	dev = kzalloc_obj(*dev, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	mutex_init(&dev->lock);
	spin_lock_init(&dev->vmas_lock);
	dev->nr = nr;
	dev->order = order;
	dev->vm_flags = VM_PFNMAP;
	if (!pfn_device_alloc(dev)) {
		pfn_device_free(dev);
		if (order > MAX_PAGE_ORDER)
			kunit_skip(test, "no contiguous memory for huge entries: boot with more");
		KUNIT_ASSERT_TRUE_MSG(test, false, "no memory");
	}

	/* An inode of its own, and so an address_space. */
	dev->file = anon_inode_create_getfile("[pfn_device]", &pfn_device_fops,
					      dev, O_RDWR, NULL);
	if (IS_ERR(dev->file)) {
		pfn_device_free(dev);
		KUNIT_ASSERT_TRUE_MSG(test, false, "no file");
	}
	dev->mapping = dev->file->f_mapping;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_file,
							   dev->file));

	return dev;
}

unsigned long pfn_device_map(struct kunit *test, struct pfn_device *dev,
			     unsigned long addr, unsigned long nr,
			     pgoff_t pgoff, unsigned long prot,
			     unsigned long flags)
{
	unsigned long ret;

	if (!current->mm) {
		struct mm_struct *mm = pfn_device_mm(test);

		/* The thread's exit drops this one. */
		mmget(mm);
		kthread_use_mm(mm);
	}

	ret = vm_mmap(dev->file, addr, nr << PAGE_SHIFT, prot,
		      flags | (addr ? MAP_FIXED : 0), pgoff << PAGE_SHIFT);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(ret));

	return ret;
}

static void pfn_device_report(struct mapping_dirty_pass *pass, pgoff_t pgoff,
			      pgoff_t nr)
{
	struct pfn_device *dev = container_of(pass, struct pfn_device, pass);

	for (; nr; nr--, pgoff++)
		set_bit(pgoff % dev->nr, dev->reported);
}

void pfn_device_begin(struct pfn_device *dev)
{
	mutex_lock(&dev->lock);
	bitmap_zero(dev->reported, dev->nr);
}

void pfn_device_end(struct pfn_device *dev)
{
	unsigned long page;

	for_each_set_bit(page, dev->reported, dev->nr)
		dev->copy[page] = pfn_device_word(dev, page);
	mutex_unlock(&dev->lock);
}

/*
 * A VMA that was not met is between the removal of its entries and the end of its
 * close(), or on its way in: what was dirty in it is not known.
 */
static void pfn_device_count(struct pfn_device *dev, unsigned long seq,
			     bool whole)
{
	bool met;

	spin_lock(&dev->vmas_lock);
	met = whole && dev->seq == seq && dev->pass.vmas == dev->vmas;
	if (dev->opened || (whole && !met))
		bitmap_fill(dev->reported, dev->nr);
	else
		bitmap_or(dev->reported, dev->reported, dev->closed, dev->nr);
	bitmap_zero(dev->closed, dev->nr);
	if (met)
		dev->opened = false;
	dev->unmet += whole && !met;
	spin_unlock(&dev->vmas_lock);
}

int pfn_device_pass(struct pfn_device *dev, bool wrprotect, pgoff_t first,
		    pgoff_t nr)
{
	unsigned long seq;
	bool whole;
	int ret;

	pfn_device_begin(dev);
	spin_lock(&dev->vmas_lock);
	seq = dev->seq;
	whole = !first && nr >= dev->end;
	spin_unlock(&dev->vmas_lock);

	dev->pass = (struct mapping_dirty_pass) {
		.wrprotect = wrprotect,
		.next = dev->next,
		.report = pfn_device_report,
	};
	ret = mapping_dirty_harvest(dev->mapping, first, nr, &dev->pass);
	if (!dev->harvest_only)
		pfn_device_count(dev, seq, whole);
	pfn_device_end(dev);

	return ret;
}

u32 pfn_device_word(struct pfn_device *dev, unsigned long page)
{
	u32 *p = kmap_local_page(dev->pages[page]);
	u32 word = READ_ONCE(*p);

	kunmap_local(p);

	return word;
}

bool pfn_device_current(struct pfn_device *dev)
{
	unsigned long page;

	for (page = 0; page < dev->nr; page++)
		if (dev->copy[page] != pfn_device_word(dev, page))
			return false;

	return true;
}

KUNIT_DEFINE_ACTION_WRAPPER(put_mm, mmput, struct mm_struct *);

struct mm_struct *pfn_device_mm_alloc(void)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		return NULL;
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);

	return mm;
}

struct mm_struct *pfn_device_mm(struct kunit *test)
{
	struct mm_struct *mm = pfn_device_mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_mm, mm));

	return mm;
}

struct mm_struct *pfn_device_enter(struct mm_struct *mm)
{
	struct mm_struct *back = current->mm;

	if (back)
		kthread_unuse_mm(back);
	kthread_use_mm(mm);

	return back;
}

void pfn_device_leave(struct mm_struct *mm, struct mm_struct *back)
{
	kthread_unuse_mm(mm);
	if (back)
		kthread_use_mm(back);
}

pmd_t *pfn_device_pmd(struct mm_struct *mm, unsigned long addr, u64 *leaf)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	*leaf = 0;
	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(p4dp_get(p4d)))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(pudp_get(pud)))
		return NULL;
	if (pud_leaf(pudp_get(pud))) {
		*leaf = pud_val(pudp_get(pud));
		return NULL;
	}

	return pmd_offset(pud, addr);
}

pte_t pfn_device_pte(struct mm_struct *mm, unsigned long addr)
{
	u64 leaf;
	pmd_t *pmd = pfn_device_pmd(mm, addr, &leaf);
	pte_t pte = __pte(0);
	spinlock_t *ptl;	/* of the page table */
	pte_t *p;

	if (!pmd || pmd_none(pmdp_get_lockless(pmd)) ||
	    pmd_leaf(pmdp_get_lockless(pmd)))
		return pte;

	p = pte_offset_map_lock(mm, pmd, addr, &ptl);
	if (p) {
		pte = ptep_get(p);
		pte_unmap_unlock(p, ptl);
	}

	return pte;
}

u64 pfn_device_entry(struct mm_struct *mm, unsigned long addr)
{
	u64 leaf;
	pmd_t *pmd = pfn_device_pmd(mm, addr, &leaf);

	if (pmd && pmd_leaf(pmdp_get_lockless(pmd)))
		return pmd_val(pmdp_get_lockless(pmd));

	return leaf ?: pte_val(pfn_device_pte(mm, addr));
}

/* Counts the flushes of an mm's TLB entries, where that is to be had. */
static u64 pfn_notifier_flushes(struct pfn_notifier *notifier)
{
#ifdef CONFIG_X86
	return atomic64_read(&notifier->mm->context.tlb_gen);
#else
	return 0;
#endif
}

/* Whether any entry has changed. Outside of @start to @end that is an error. */
static bool pfn_notifier_compare(struct pfn_notifier *notifier,
				 unsigned long start, unsigned long end)
{
	unsigned long addr = notifier->addr;
	bool changed = false;
	unsigned long i;

	for (i = 0; i < notifier->nr; i++, addr += PAGE_SIZE) {
		u64 entry = pfn_device_entry(notifier->mm, addr);

		if (entry == notifier->shadow[i])
			continue;
		if (addr < start || addr >= end)
			notifier->errors++;
		notifier->shadow[i] = entry;
		changed = true;
	}

	return changed;
}

static int pfn_notifier_start(struct mmu_notifier *mn,
			      const struct mmu_notifier_range *range)
{
	struct pfn_notifier *notifier =
		container_of(mn, struct pfn_notifier, mn);

	/* It may sleep, and does. */
	if (!mmu_notifier_range_blockable(range))
		notifier->errors++;
	usleep_range(10, 20);

	notifier->open++;
	notifier->ranges++;
	notifier->start = range->start;
	notifier->end = range->end;
	if (range->event != MMU_NOTIFY_CLEAR &&
	    range->event != MMU_NOTIFY_PROTECTION_PAGE)
		notifier->errors++;
	/* Whatever changed before this changed without a range. */
	if (notifier->open == 1) {
		pfn_notifier_compare(notifier, 0, 0);
		notifier->flushes = pfn_notifier_flushes(notifier);
	}

	return 0;
}

static void pfn_notifier_end(struct mmu_notifier *mn,
			     const struct mmu_notifier_range *range)
{
	struct pfn_notifier *notifier =
		container_of(mn, struct pfn_notifier, mn);

	if (--notifier->open < 0)
		notifier->errors++;
	/* What was changed is flushed by now. */
	if (!notifier->open &&
	    pfn_notifier_compare(notifier, range->start, range->end) &&
	    IS_ENABLED(CONFIG_X86) &&
	    pfn_notifier_flushes(notifier) == notifier->flushes)
		notifier->errors++;
}

static const struct mmu_notifier_ops pfn_notifier_ops = {
	.invalidate_range_start = pfn_notifier_start,
	.invalidate_range_end = pfn_notifier_end,
};

static void pfn_notifier_destroy(void *data)
{
	struct pfn_notifier *notifier = data;

	mmu_notifier_unregister(&notifier->mn, notifier->mm);
	mmdrop(notifier->mm);
	kvfree(notifier->shadow);
	kfree(notifier);
}

struct pfn_notifier *pfn_notifier_create(struct kunit *test,
					 struct mm_struct *mm,
					 unsigned long addr, unsigned long nr)
{
	struct pfn_notifier *notifier = kzalloc_obj(*notifier, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, notifier);
	notifier->mn.ops = &pfn_notifier_ops;
	notifier->mm = mm;
	notifier->addr = addr;
	notifier->nr = nr;
	notifier->shadow = kvcalloc(nr, sizeof(*notifier->shadow), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, notifier->shadow);
	mmgrab(mm);
	KUNIT_ASSERT_EQ(test, 0, mmu_notifier_register(&notifier->mn, mm));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, pfn_notifier_destroy,
						  notifier));

	return notifier;
}

void pfn_notifier_begin(struct pfn_notifier *notifier)
{
	pfn_notifier_compare(notifier, 0, ULONG_MAX);
	notifier->ranges = 0;
	notifier->errors = 0;
}

void pfn_notifier_check(struct kunit *test, struct pfn_notifier *notifier)
{
	pfn_notifier_compare(notifier, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, notifier->open);
	KUNIT_EXPECT_EQ(test, 0, notifier->errors);
}
