/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MODULES_LINUX_PGTABLE_H
#define _MODULES_LINUX_PGTABLE_H

#include_next <linux/pgtable.h>

/* For x86's own a symbol is not exported. Its callers here only add rights. */
#undef pgprot_modify
#define pgprot_modify(old, new)	__pgprot(pgprot_val(old) | pgprot_val(new))

#endif
