/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/mapping_dirty: what to mmap and to harvest, to measure it.
 */
#ifndef _MAPPING_DIRTY_BENCH_H
#define _MAPPING_DIRTY_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

enum {
	/* mainline's clean_record_shared_mapping_range(), */
	BENCH_STOCK,
	/* and mapping_dirty_harvest() */
	BENCH_HARVEST,
};

/* Write-protect as well. Mainline needs wp_shared_mapping_range() for it. */
#define BENCH_WRPROTECT	1

/**
 * struct bench_pass - A pass over all that is mapped of the device
 * @which: Whose
 * @flags: BENCH_WRPROTECT or 0
 * @nr: Size of the range, from page offset 0 on, in pages
 * @ns: Returns how long it took
 * @dirty: Returns the number of pages that were dirty
 * @scanned: Returns the number of entries looked at
 * @ranges: Returns the number of mmu_notifier ranges
 * @flushes: Returns the number of TLB flushes
 *
 * Mainline does not count, and returns 0 for the last three.
 */
struct bench_pass {
	__u32 which;
	__u32 flags;
	__u64 nr;
	__u64 ns;
	__u64 dirty;
	__u64 scanned;
	__u64 ranges;
	__u64 flushes;
};

#define BENCH_IOCTL_PASS	_IOWR('B', 0, struct bench_pass)

#endif
