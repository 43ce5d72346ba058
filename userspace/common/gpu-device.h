/* SPDX-License-Identifier: MIT */
/*
 * The DRM node a GL program runs on, and what its kernel driver tells about
 * coherent buffers: the module parameter and the counters in debugfs.
 */
#ifndef GPU_DEVICE_H
#define GPU_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <egm.h>

struct gpu_device {
	struct egm_node node;	/* path "" and driver "software": software rendering */
	int fd;			/* given with fd:N, or -1: gpu_device_open() opens path */
};

/*
 * @spec is NULL (choose), "software", "fd:N" or the path of a node. Returns 0,
 * or -1 with the reason in @err.
 */
int gpu_device_find(struct gpu_device *dev, const char *spec, char err[EGM_ERR]);

/* A new open file of the node: coherent is a property of the open file. */
int gpu_device_open(const struct gpu_device *dev);

/*
 * The parameter that turns coherent buffers off: 1 on, 0 off, -1 the driver
 * has none.
 */
int gpu_coherent_get(const struct gpu_device *dev);
int gpu_coherent_set(const struct gpu_device *dev, bool on);

/* Monotonic totals of the device, in the kernel's names. */
#define GPU_COUNTERS(X)							\
	X(buffers_tracked) X(passes) X(passes_idle) X(faults)		\
	X(pages_marked) X(chunks_opened) X(chunks_closed)		\
	X(ptes_scanned) X(notifier_ranges) X(tlb_flushes)		\
	X(pages_harvested)						\
	X(uploads) X(upload_bytes) X(upload_ranges)

enum gpu_counter {
#define X(name) GPU_##name,
	GPU_COUNTERS(X)
#undef X
	GPU_NUM_COUNTERS
};

extern const char *const gpu_counter_name[GPU_NUM_COUNTERS];

struct gpu_counters {
	uint64_t v[GPU_NUM_COUNTERS];
};

/* Returns 0, or -1 with the reason in @err. */
int gpu_counters_read(const struct gpu_device *dev, struct gpu_counters *c,
		      char err[EGM_ERR]);

#endif
