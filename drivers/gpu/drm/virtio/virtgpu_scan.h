/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef VIRTGPU_SCAN_H
#define VIRTGPU_SCAN_H

#include <linux/types.h>

/**
 * struct virtio_gpu_scan - What there is to know of a command stream
 * @writes: Called for each resource that is named for writing, as often as it
 * is. The id is what the stream says: it can be 0, or of no resource there is.
 * @is_coherent: Whether no command may transfer the guest memory of a resource
 * @unknown: Returns whether there is something in the stream that is not
 * understood: it may write any resource.
 */
struct virtio_gpu_scan {
	void (*writes)(struct virtio_gpu_scan *scan, u32 res_id);
	bool (*is_coherent)(struct virtio_gpu_scan *scan, u32 res_id);
	bool unknown;
};

int virtio_gpu_scan(struct virtio_gpu_scan *scan, u32 *dwords,
		    size_t nr_dwords);

#endif
