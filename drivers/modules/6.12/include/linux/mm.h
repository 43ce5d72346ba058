/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MODULES_LINUX_MM_H
#define _MODULES_LINUX_MM_H

#include_next <linux/mm.h>

#ifdef CONFIG_PER_VMA_LOCK
static inline bool vma_is_attached(struct vm_area_struct *vma)
{
	return !READ_ONCE(vma->detached);
}
#endif

static inline bool vma_is_cow_mapping(const struct vm_area_struct *vma)
{
	return is_cow_mapping(vma->vm_flags);
}

#endif
