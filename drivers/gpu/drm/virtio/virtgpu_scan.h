/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef VIRTGPU_SCAN_H
#define VIRTGPU_SCAN_H

#include <linux/types.h>
#include <linux/xarray.h>

struct scan_object;
struct virtio_gpu_scan_sub;

/**
 * struct virtio_gpu_scan - Callbacks for what is in a command stream
 * @writes: Called for each range of a resource that the host may write. The id
 * and the range are what the stream says: it can be of no resource there is, or
 * go beyond its end.
 * @is_coherent: Whether a resource is a coherent buffer
 */
struct virtio_gpu_scan {
	void (*writes)(struct virtio_gpu_scan *scan, u32 res_id, u32 offset,
		       u32 len);
	bool (*is_coherent)(struct virtio_gpu_scan *scan, u32 res_id);
};

/**
 * struct virtio_gpu_bindings - What is bound in a context
 * @subs: Its sub-contexts, by their ids
 * @sub: The current one
 * @submissions: Number of streams so far
 * @nr_subs: Number of sub-contexts
 * @nr_objects: Number of shaders and stream-out targets in all of them
 * @memory: What the tables have got of it in this stream, or were refused
 * @dead_objects: Shaders and stream-out targets that are to be freed
 * @dead_subs: Sub-contexts that are to be freed
 * @lost: There was something that is not understood, or too much of something:
 * from then on anything may be bound
 */
struct virtio_gpu_bindings {
	struct xarray subs;
	struct virtio_gpu_scan_sub *sub;
	u64 submissions;
	u32 nr_subs;
	u32 nr_objects;
	size_t memory;
	struct scan_object *dead_objects;
	struct virtio_gpu_scan_sub *dead_subs;
	bool lost;
};

void virtio_gpu_bindings_init(struct virtio_gpu_bindings *bindings, bool follow);
void virtio_gpu_bindings_fini(struct virtio_gpu_bindings *bindings);
void virtio_gpu_bindings_lose(struct virtio_gpu_bindings *bindings);
void virtio_gpu_bindings_reap(struct virtio_gpu_bindings *bindings);

int virtio_gpu_scan_transfers(struct virtio_gpu_scan *scan, u32 *dwords,
			      size_t nr_dwords);
bool virtio_gpu_scan_writes(struct virtio_gpu_scan *scan,
			    struct virtio_gpu_bindings *bindings,
			    const u32 *dwords, size_t nr_dwords);

#endif
