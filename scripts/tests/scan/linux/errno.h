/* SPDX-License-Identifier: GPL-2.0 */
/* It is in front of the C library's, which <errno.h> needs. */
#include_next <linux/errno.h>
