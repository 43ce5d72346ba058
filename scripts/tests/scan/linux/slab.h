/* SPDX-License-Identifier: GPL-2.0 */
#include <stdlib.h>
#include <linux/types.h>

#define GFP_KERNEL 0
#define GFP_KERNEL_ACCOUNT 0
#define kfree(p) free(p)

/* Whether an allocation fails now */
bool fail_allocation(void);

static inline void *kzalloc(size_t size, int flags)
{
	(void)flags;
	return fail_allocation() ? NULL : calloc(1, size);
}
