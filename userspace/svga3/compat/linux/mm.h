/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's vmwgfx/device_include headers take from the kernel, for
 * programs in user space.
 */
#ifndef COMPAT_LINUX_MM_H
#define COMPAT_LINUX_MM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int8_t s8;
typedef uint8_t u8;
typedef int16_t s16;
typedef uint16_t u16;
typedef int32_t s32;
typedef uint32_t u32;
typedef int64_t s64;
typedef uint64_t u64;

typedef struct {
	s64 counter;
} atomic64_t;

#define U16_MAX UINT16_MAX
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PFN_UP(x) (((x) + PAGE_SIZE - 1) >> PAGE_SHIFT)

#endif /* COMPAT_LINUX_MM_H */
