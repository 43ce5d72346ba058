/* SPDX-License-Identifier: GPL-2.0 */
/* What drivers/gpu/drm/virtio/virtgpu_scan.c needs of the kernel. */
#ifndef SCAN_LINUX_TYPES_H
#define SCAN_LINUX_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#endif
