/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef VIRTGPU_SCAN_H
#define VIRTGPU_SCAN_H

#include <linux/types.h>

/**
 * struct virtio_gpu_scan - What a command stream may have the host write
 * @writes: Called for each resource that is named for writing, as often as it
 * is. The id is what the stream says: it can be 0, or of no resource there is.
 */
struct virtio_gpu_scan {
	void (*writes)(struct virtio_gpu_scan *scan, u32 res_id);
};

bool virtio_gpu_scan(struct virtio_gpu_scan *scan, const u32 *dwords,
		     size_t nr_dwords);

#endif
