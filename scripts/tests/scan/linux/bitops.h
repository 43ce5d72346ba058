/* SPDX-License-Identifier: GPL-2.0 */
#include <strings.h>

#define BIT(n) (1ul << (n))
