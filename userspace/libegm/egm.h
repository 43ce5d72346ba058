/* SPDX-License-Identifier: MIT */
/*
 * libegm: coherent buffers of any DRM driver that has them.
 *
 * A coherent buffer is memory that the CPU writes through mappings and of
 * which the device has a copy of its own. A snapshot is an ordinary buffer
 * that the device copies a coherent buffer into, in a submission, and that is
 * then fetched by a way which has nothing to do with coherent memory. So its
 * reader sees exactly what the submission saw:
 *
 *	egm_bo_create(dev, size, true, &bo);
 *	egm_bo_create(dev, size, false, &snap);
 *	memcpy(bo->map, data, size);
 *	egm_snapshot(bo, snap);
 *	egm_fetch(snap, size);
 *	memcmp(snap->map, data, size);
 *
 * Functions return 0 or -errno. Those that take an @err leave a line for the
 * user in it when they fail. egm_submit() and what is made of it, egm_fetch()
 * and egm_wait() may be called from any thread; creating and destroying
 * buffers is for one thread of a device.
 */
#ifndef EGM_H
#define EGM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EGM_VERSION "1.0"
#define EGM_ERR 256

/* ---- nodes ------------------------------------------------------------- */

struct egm_node {
	char path[128];
	char driver[32];	/* of the kernel; "" if it could not be opened */
	char device[64];	/* the kernel's name of the device */
	int minor;		/* of the primary node: debugfs goes by it */
	int error;		/* 0, or why it could not be opened: -errno */
};

/* Everything of a node but its path and error, from an open file of it. */
int egm_node_identify(struct egm_node *node, int fd);
/* Opens it; returns the file or -errno, -ENOTTY if it is no DRM node. */
int egm_node_open(struct egm_node *node, const char *path, int flags);
/* All render nodes, at most @max; returns their number. */
int egm_nodes(struct egm_node *nodes, int max);

/* ---- drivers ----------------------------------------------------------- */

struct egm_bo;
struct egm_counters;

struct egm_copy {
	const struct egm_bo *dst, *src;
	uint64_t dst_off, src_off, len;
};

/* What a driver brings. All of these return 0 or -errno. */
struct egm_driver {
	const char *name;
	/* what turns coherent buffers on and off, or NULL */
	const char *parameter;
	/* below /sys/kernel/debug/dri/<minor>/: "name value" lines */
	const char *const *counter_files;
	/* counters from elsewhere, or NULL */
	void (*counters)(const struct egm_node *node, struct egm_counters *c);
	/*
	 * whether and how the device can be made to lose its next @n uploads;
	 * NULL if that is the fault injection "fail_upload" beside the counters
	 */
	bool (*can_lose)(const struct egm_node *node);
	int (*lose)(const struct egm_node *node, unsigned int n,
		    char err[EGM_ERR]);
	/*
	 * beside them: what to write to which file to have buffers evicted and
	 * moved, up to one without a file; or NULL
	 */
	const struct egm_disturbance {
		const char *file, *text;
	} *disturbances;

	/*
	 * -ENODEV, with what is missing, if it cannot copy buffers or, when
	 * those are asked for, has no coherent ones
	 */
	int (*probe)(int fd, bool coherent, const char **missing);
	/*
	 * whether the coherent ones are guest memory whose writes the kernel
	 * tracks, and not the host's own; NULL if they are that at all times
	 */
	bool (*emulated)(int fd);
	/* @res: the device's name of it, or a handle of the memory behind it */
	int (*create)(int fd, uint64_t size, uint32_t *handle, uint32_t *res);
	int (*create_plain)(int fd, uint64_t size, uint32_t *handle,
			    uint32_t *res);
	/* NULL if the handle is a GEM object's, and @res not a handle */
	void (*close)(int fd, uint32_t handle, uint32_t res);
	int (*info)(int fd, uint32_t handle, uint32_t *res, uint64_t *size);
	int (*mmap_offset)(int fd, uint32_t handle, uint64_t *offset);
	int (*submit)(int fd, const struct egm_copy *copies, int n_copies,
		      const uint32_t *handles, int n_handles);
	/* a plain buffer's memory, or more, into the device's copy, and back */
	int (*push)(int fd, uint32_t handle, uint64_t offset, uint64_t len);
	int (*fetch)(int fd, uint32_t handle, uint64_t offset, uint64_t len);
	int (*wait)(int fd, uint32_t handle);
};

extern const struct egm_driver egm_virtio_gpu, egm_vmob, egm_vmwgfx;

/* In order of preference, up to a NULL. */
extern const struct egm_driver *const egm_drivers[];

const struct egm_driver *egm_driver_find(const char *name);

/* ---- devices ----------------------------------------------------------- */

struct egm_dev {
	const struct egm_driver *drv;
	struct egm_bo *bos;
	struct egm_node node;
	int fd;
};

/*
 * Opens the node at @path, or with NULL the first one of the preferred driver
 * that can copy buffers and, if @coherent, has coherent ones.
 */
int egm_open(struct egm_dev **dev, const char *path, bool coherent,
	     char err[EGM_ERR]);
/* With its buffers. */
void egm_close(struct egm_dev *dev);

/* ---- buffers ----------------------------------------------------------- */

struct egm_bo {
	struct egm_dev *dev;
	struct egm_bo *next;
	uint32_t handle;
	uint32_t res;		/* the driver's other name of it, see create */
	uint64_t size;
	void *map;		/* all of it, read-write */
};

int egm_bo_create(struct egm_dev *dev, uint64_t size, bool coherent,
		  struct egm_bo **bo);
int egm_bo_import(struct egm_dev *dev, int dmabuf, struct egm_bo **bo);
/* Returns a dma-buf that can be mapped read-write, or -errno. */
int egm_bo_export(const struct egm_bo *bo);
/*
 * A mapping besides bo->map; returns what mmap() returns. DRM has mappings
 * start at the start of the buffer.
 */
void *egm_bo_mmap(const struct egm_bo *bo, int prot, int flags, uint64_t len);
void egm_bo_unmap(struct egm_bo *bo);
/* Closes the handle and keeps the mapping. */
void egm_bo_close_handle(struct egm_bo *bo);
void egm_bo_destroy(struct egm_bo *bo);

/* @also: buffers that are in the submission without being copied */
int egm_submit(struct egm_dev *dev, const struct egm_copy *copies,
	       int n_copies, struct egm_bo *const *also, int n_also);
/* A submission that only lists the buffer. */
int egm_touch(struct egm_bo *bo);
int egm_snapshot(const struct egm_bo *bo, const struct egm_bo *snap);
int egm_fetch(const struct egm_bo *snap, uint64_t len);
int egm_wait(const struct egm_bo *bo);

/* ---- debugfs ----------------------------------------------------------- */

/* Monotonic totals of the device, in the kernel's names. */
struct egm_counters {
	int n;
	struct {
		char name[40];
		uint64_t value;
	} c[48];
};

/* The tracked buffers: the kernel's table, column by column. */
struct egm_table {
	int n_columns, n_rows;
	char column[24][24];
	uint64_t (*row)[24];
};

/* A file of the device's debugfs directory, or NULL with errno. */
FILE *egm_debugfs_open(const struct egm_node *node, const char *file,
		       bool write);
int egm_counters_read(const struct egm_node *node, struct egm_counters *c,
		      char err[EGM_ERR]);
void egm_counter_add(struct egm_counters *c, const char *name, uint64_t value);
/* NULL if there is no such counter. */
const uint64_t *egm_counter(const struct egm_counters *c, const char *name);
/* Column @name of a row, or 0 if there is none. */
uint64_t egm_table_get(const struct egm_table *t, int row, const char *name);
int egm_table_read(const struct egm_node *node, struct egm_table *t,
		   char err[EGM_ERR]);
void egm_table_free(struct egm_table *t);
/* Has the device lose the next @n uploads, if it can; 0 ends it. */
bool egm_can_lose(const struct egm_node *node);
int egm_lose_uploads(const struct egm_node *node, unsigned int n,
		     char err[EGM_ERR]);
/* The number of disturbances the driver has, and one of them. */
unsigned int egm_disturbances(const struct egm_node *node);
int egm_disturb(const struct egm_node *node, unsigned int which,
		char err[EGM_ERR]);

#endif /* EGM_H */
