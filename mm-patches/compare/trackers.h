/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/vmob_compare: which tracker the buffers of vmob have.
 */
#ifndef _VMOB_COMPARE_H
#define _VMOB_COMPARE_H

#include <linux/ioctl.h>
#include <linux/types.h>

enum {
	/* nothing is tracked, and nothing uploaded */
	COMPARE_NONE,
	/* as vmwgfx does it in mainline */
	COMPARE_MAINLINE,
	/* of its two methods only the one that scans page tables, */
	COMPARE_PAGETABLE,
	/* and only the one that write-protects pages */
	COMPARE_MKWRITE,
	/* ttm_bo_dirty */
	COMPARE_OURS,
	/* what is dirty is known without looking: see &struct compare_tell */
	COMPARE_ORACLE,
	COMPARE_TRACKERS,
	/* measured by itself: ttm_bo_dirty, and what is only read by huge entries */
	COMPARE_HUGE = COMPARE_TRACKERS,
};

/* Do not measure &compare_stats.ns, which costs something itself. */
#define COMPARE_UNTIMED	1

/**
 * struct compare_select - What the buffers have that are created from now on
 * @tracker: COMPARE_*
 * @flags: COMPARE_UNTIMED or 0
 *
 * Closing the device undoes it.
 */
struct compare_select {
	__u32 tracker;
	__u32 flags;
};

/**
 * struct compare_range - Some pages of a buffer
 * @first: The first one
 * @nr: Their number
 */
struct compare_range {
	__u64 first;
	__u64 nr;
};

/**
 * struct compare_tell - What was written to a buffer, for COMPARE_ORACLE
 * @addr: Address of the mapping that it was written through
 * @ranges: Array of &struct compare_range, in order
 * @nr: Length of the array
 * @pad: 0
 *
 * For the next submission of the buffer. What is not told is not uploaded.
 */
struct compare_tell {
	__u64 addr;
	__u64 ranges;
	__u32 nr;
	__u32 pad;
};

/**
 * struct compare_stats - Sums over all buffers
 * @passes: How often a buffer was asked what is dirty
 * @ns: How long that took, with the upload's list
 * @entries: Page-table entries looked at
 * @ranges: mmu_notifier ranges
 * @flushes: TLB flushes
 * @memory: What the trackers take now, in bytes
 *
 * @entries, @ranges and @flushes are 0 for COMPARE_OURS and COMPARE_HUGE, which
 * have counters of their own in debugfs.
 */
struct compare_stats {
	__u64 passes;
	__u64 ns;
	__u64 entries;
	__u64 ranges;
	__u64 flushes;
	__u64 memory;
};

/**
 * struct compare_notifier - Have the caller's mm watched
 * @us: Microseconds that invalidate_range_start() is to take
 * @pad: 0
 *
 * Once, until the device is closed.
 */
struct compare_notifier {
	__u32 us;
	__u32 pad;
};

#define COMPARE_IOCTL_SELECT	_IOW('V', 0, struct compare_select)
#define COMPARE_IOCTL_TELL	_IOW('V', 1, struct compare_tell)
#define COMPARE_IOCTL_STATS	_IOR('V', 2, struct compare_stats)
#define COMPARE_IOCTL_NOTIFIER	_IOW('V', 3, struct compare_notifier)

#endif
