/* SPDX-License-Identifier: MIT */
/*
 * Coherent buffers of any driver: the little that a test needs of a device.
 *
 * A coherent buffer (struct coh_bo) is memory that the CPU writes through
 * mappings and of which the device has a copy of its own. A snapshot is an
 * ordinary buffer that the device copies a coherent buffer into, in a
 * submission, and that is then fetched by a way which has nothing to do with
 * coherent memory. So a test sees exactly what a submission saw:
 *
 *	pattern_fill(p, bo->map, 0, bo->size);
 *	coh_snapshot(bo, snap);
 *	pattern_assert(p, coh_fetch(snap), 0, bo->size);
 *
 * Functions named coh_try_* return 0 or -errno and may be called from any
 * thread; the others assert, from the main thread only.
 */
#ifndef COHERENT_H
#define COHERENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct coh_bo {
	struct coh_dev *dev;
	struct coh_bo *next;
	uint32_t handle;
	uint32_t res;		/* the device's name of it */
	uint64_t size;
	void *map;		/* all of it, read-write */
};

struct coh_copy {
	const struct coh_bo *dst, *src;
	uint64_t dst_off, src_off, len;
};

/* What a driver brings. All of these return 0 or -errno. */
struct coh_driver {
	const char *name;
	/* below /sys/kernel/debug/dri/<minor>/: "name value" lines */
	const char *const *counter_files;
	/* beside them: the fault injection that drops uploads */
	const char *fail_upload;

	/*
	 * -ENODEV, with what is missing, if it cannot copy buffers or, when
	 * those are asked for, has no coherent ones
	 */
	int (*probe)(int fd, bool coherent, const char **missing);
	int (*create)(int fd, uint64_t size, uint32_t *handle, uint32_t *res);
	int (*create_plain)(int fd, uint64_t size, uint32_t *handle,
			    uint32_t *res);
	int (*info)(int fd, uint32_t handle, uint32_t *res, uint64_t *size);
	int (*mmap_offset)(int fd, uint32_t handle, uint64_t *offset);
	int (*submit)(int fd, const struct coh_copy *copies, int n_copies,
		      const uint32_t *handles, int n_handles);
	/* a plain buffer's memory into the device's copy, and back */
	int (*push)(int fd, uint32_t handle, uint64_t offset, uint64_t len);
	int (*fetch)(int fd, uint32_t handle, uint64_t offset, uint64_t len);
	int (*wait)(int fd, uint32_t handle);
};

extern const struct coh_driver coh_virtio_gpu;

struct coh_dev {
	const struct coh_driver *drv;
	struct coh_dev *next;
	struct coh_bo *bos;
	int fd;
	int minor;		/* of the primary node: debugfs goes by it */
};

/*
 * Opens a device with coherent buffers, or skips the subtest naming what is
 * missing. Whatever an earlier, failed subtest left open is closed first.
 */
struct coh_dev *coh_open(void);
/* The same for tests that need no coherent buffers. */
struct coh_dev *coh_open_plain(void);
/* One more file, with a context of its own, on the same device. */
struct coh_dev *coh_open_again(const struct coh_dev *dev);
/* A device of this driver, coherent buffers or not, or a skip. */
int coh_open_node(const char *driver, int flags);
void coh_close(struct coh_dev *dev);

struct coh_bo *coh_create(struct coh_dev *dev, uint64_t size);
struct coh_bo *coh_create_plain(struct coh_dev *dev, uint64_t size);
struct coh_bo *coh_import(struct coh_dev *dev, int dmabuf);
int coh_export(const struct coh_bo *bo);
/*
 * A mapping besides bo->map; returns what mmap() returns. DRM has mappings
 * start at the start of the buffer.
 */
void *coh_mmap(const struct coh_bo *bo, int prot, int flags, uint64_t len);
void *coh_map(const struct coh_bo *bo, int prot, uint64_t len);
void coh_unmap(struct coh_bo *bo);
void coh_destroy(struct coh_bo *bo);
/* Closes the handle and keeps the mapping. */
void coh_close_handle(struct coh_bo *bo);

int coh_try_submit(struct coh_dev *dev, const struct coh_copy *copies,
		   int n_copies, struct coh_bo *const *also, int n_also);
void coh_submit(struct coh_dev *dev, const struct coh_copy *copies,
		int n_copies, struct coh_bo *const *also, int n_also);
/* A submission that only lists the buffer. */
void coh_touch(struct coh_bo *bo);
int coh_try_snapshot(const struct coh_bo *bo, const struct coh_bo *snap);
void coh_snapshot(const struct coh_bo *bo, const struct coh_bo *snap);
int coh_try_fetch(const struct coh_bo *snap, uint64_t len);
const void *coh_fetch(const struct coh_bo *snap);
void coh_wait(const struct coh_bo *bo);

/*
 * Counters, by name. Reading them skips the subtest when the kernel has none;
 * asking for one that is not there does too.
 */
struct coh_counters {
	int n;
	struct {
		char name[40];
		uint64_t value;
	} c[48];
};

void coh_counters(const struct coh_dev *dev, struct coh_counters *c);
uint64_t coh_counter(const struct coh_counters *c, const char *name);
uint64_t coh_delta(const struct coh_counters *before,
		   const struct coh_counters *after, const char *name);
/*
 * Number of buffers the kernel tracks at the moment. One that was closed is
 * there until the device has answered, which the second waits for.
 */
int coh_tracked(const struct coh_dev *dev);
void coh_assert_tracked(const struct coh_dev *dev, int n);
/* Makes the device lose the next n uploads, or skips. */
void coh_drop_uploads(const struct coh_dev *dev, unsigned int n);

struct coh_subtest {
	const char *name;
	const char *description;	/* begins with the clause it is about */
	void (*run)(struct coh_dev *dev);
};

/* Runs an array of subtests, each on a device opened for it. */
void coh_subtests(const struct coh_subtest *tests, size_t n);

/* Free memory in bytes, for tests that depend on it; "name:" of meminfo. */
uint64_t coh_meminfo(const char *name);

#endif /* COHERENT_H */
