/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* vmwgfx_bo.h has all that there is. */
