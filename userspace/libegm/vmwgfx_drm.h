/* SPDX-License-Identifier: MIT */
/* The kernel tree's, where libdrm has one that is older than coherent surfaces */
#include <drm/vmwgfx_drm.h>
