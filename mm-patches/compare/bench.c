// SPDX-License-Identifier: GPL-2.0
/*
 * A device whose mmaps are harvested on request, by mainline's functions or by
 * mapping_dirty_harvest(), with the time that takes. All its mappings map the
 * same few pages over and over: it is about page tables, and a gigabyte needs
 * no memory but theirs.
 */

#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/mapping_dirty.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "bench.h"
#include "stock.h"

#define BENCH_PAGES	512
#define BENCH_MAX	BIT(22)	/* 16 GiB */

struct stock_count stock_count;

static struct page *bench_pages[BENCH_PAGES];
static DEFINE_MUTEX(bench_lock);

/* Maps ahead to the last of the pages, writable and clean. */
static vm_fault_t bench_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long first = vmf->pgoff % BENCH_PAGES;
	unsigned long nr = min(BENCH_PAGES - first,
			       (vma->vm_end - vmf->address) >> PAGE_SHIFT);
	int err;

	mutex_lock(&bench_lock);
	err = vma_insert_page_pfns(vma, vmf->address & PAGE_MASK,
				   bench_pages + first, nr,
				   vm_get_page_prot(vma->vm_flags));
	mutex_unlock(&bench_lock);

	return err ? vmf_error(err) : VM_FAULT_NOPAGE;
}

static vm_fault_t bench_mkwrite(struct vm_fault *vmf)
{
	mutex_lock(&bench_lock);
	vmf_make_writable(vmf);
	mutex_unlock(&bench_lock);

	return VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct bench_vm_ops = {
	.fault = bench_fault,
	.pfn_mkwrite = bench_mkwrite,
};

static int bench_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;

	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &bench_vm_ops;

	return 0;
}

struct bench_harvest {
	struct mapping_dirty_pass base;
	unsigned long *bitmap;
};

static void bench_report(struct mapping_dirty_pass *base, pgoff_t pgoff,
			 pgoff_t nr)
{
	unsigned long *bitmap =
		container_of(base, struct bench_harvest, base)->bitmap;

	if (nr == 1)
		__set_bit(pgoff, bitmap);
	else
		bitmap_set(bitmap, pgoff, nr);
}

static void bench_pass(struct address_space *mapping, struct bench_pass *pass,
		       unsigned long *bitmap)
{
	struct bench_harvest harvest = {
		.base.wrprotect = pass->flags & BENCH_WRPROTECT,
		.base.report = bench_report,
		.bitmap = bitmap,
	};
	pgoff_t start = 0, end = 0;
	u64 begun;

	mutex_lock(&bench_lock);
	begun = ktime_get_ns();
	if (pass->which == BENCH_HARVEST) {
		mapping_dirty_harvest(mapping, 0, pass->nr, &harvest.base);
	} else {
		if (pass->flags & BENCH_WRPROTECT)
			stock_wp_shared_mapping_range(mapping, 0, pass->nr);
		stock_clean_record_shared_mapping_range(mapping, 0, pass->nr,
							0, bitmap, &start,
							&end);
	}
	pass->ns = ktime_get_ns() - begun;
	mutex_unlock(&bench_lock);

	pass->dirty = bitmap_weight(bitmap, pass->nr);
	pass->scanned = harvest.base.scanned;
	pass->ranges = harvest.base.notifier_ranges;
	pass->flushes = harvest.base.flushes;
}

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct bench_pass pass;
	unsigned long *bitmap;

	if (cmd != BENCH_IOCTL_PASS)
		return -ENOTTY;
	if (copy_from_user(&pass, user, sizeof(pass)))
		return -EFAULT;
	if (pass.which > BENCH_HARVEST || (pass.flags & ~BENCH_WRPROTECT) ||
	    !pass.nr || pass.nr > BENCH_MAX)
		return -EINVAL;

	bitmap = kvcalloc(BITS_TO_LONGS(pass.nr), sizeof(*bitmap), GFP_KERNEL);
	if (!bitmap)
		return -ENOMEM;
	bench_pass(file->f_mapping, &pass, bitmap);
	kvfree(bitmap);

	return copy_to_user(user, &pass, sizeof(pass)) ? -EFAULT : 0;
}

static const struct file_operations bench_fops = {
	.owner = THIS_MODULE,
	.mmap = bench_mmap,
	.unlocked_ioctl = bench_ioctl,
};

static struct miscdevice bench_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mapping_dirty",
	.fops = &bench_fops,
};

static int __init bench_init(void)
{
	unsigned int i;

	for (i = 0; i < BENCH_PAGES; i++) {
		bench_pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!bench_pages[i])
			goto fail;
	}

	if (!misc_register(&bench_device))
		return 0;

fail:
	while (i--)
		__free_page(bench_pages[i]);

	return -ENOMEM;
}
device_initcall(bench_init);
