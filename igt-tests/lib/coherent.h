/* SPDX-License-Identifier: MIT */
/*
 * Coherent buffers of any driver, for tests: libegm with assertions.
 *
 *	pattern_fill(p, bo->map, 0, bo->size);
 *	coh_snapshot(bo, snap);
 *	pattern_assert(p, coh_fetch(snap), 0, bo->size);
 *
 * Functions named coh_* assert, or skip, and are for the main thread only.
 * Those of libegm, egm_*, return 0 or -errno.
 */
#ifndef COHERENT_H
#define COHERENT_H

#include <getopt.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <egm.h>

#include "coh_pattern.h"

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif

/*
 * Opens a device of the driver with coherent buffers, or skips the subtest
 * naming what is missing. Whatever an earlier, failed subtest left open is
 * closed first.
 */
struct egm_dev *coh_open(const struct egm_driver *drv);
/* The same for tests that need no coherent buffers. */
struct egm_dev *coh_open_plain(const struct egm_driver *drv);
/* One more file, with a context of its own, on the same device. */
struct egm_dev *coh_open_again(const struct egm_dev *dev);
/* A device of this driver, coherent buffers or not, or a skip. */
int coh_open_node(const char *driver, int flags);
void coh_close(struct egm_dev *dev);
/* Whether virtio-gpu's features in debugfs have this line, or a skip. */
bool coh_feature(const struct egm_dev *dev, const char *name, const char *value);

struct egm_bo *coh_create(struct egm_dev *dev, uint64_t size);
struct egm_bo *coh_create_plain(struct egm_dev *dev, uint64_t size);
struct egm_bo *coh_import(struct egm_dev *dev, int dmabuf);
int coh_export(const struct egm_bo *bo);
/* A dma-buf that can be mapped, or a skip. */
int coh_export_mappable(const struct egm_bo *bo);
/* A surface of vmwgfx as a dma-buf is a name for it, and no memory. */
bool coh_dmabuf_has_memory(const struct egm_dev *dev);
/* A mapping besides bo->map. */
void *coh_map(const struct egm_bo *bo, int prot, uint64_t len);
/* The same, of a dma-buf, to read and to write */
void *coh_map_dmabuf(int dmabuf, uint64_t len);

void coh_submit(struct egm_dev *dev, const struct egm_copy *copies,
		int n_copies, struct egm_bo *const *also, int n_also);
/* A submission that only lists the buffer. */
void coh_touch(struct egm_bo *bo);
void coh_snapshot(const struct egm_bo *bo, const struct egm_bo *snap);
const void *coh_fetch(const struct egm_bo *snap);

/* The lowest that is free, which the next buffer has */
uint32_t coh_free_handle(struct egm_dev *dev);
/* A buffer can be made, has that handle, and does what it should. */
void coh_assert_works(struct egm_dev *dev, uint32_t handle);
void coh_wait(const struct egm_bo *bo);

/* A coherent buffer, a snapshot of it, and what it should hold */
struct coh_buf {
	struct egm_dev *dev;
	struct egm_bo *bo, *snap;
	struct pattern *p;
};

/* Nothing has been written to it, and the device does not know it. */
struct coh_buf coh_buf_create(struct egm_dev *dev, uint64_t size);
/* The device has it in full, all written through bo->map. */
struct coh_buf coh_buf_warm(struct egm_dev *dev, uint64_t size);
/* Submits it, and compares all of it with what the submission saw. */
void coh_buf_check(struct coh_buf *b);
void coh_buf_destroy(struct coh_buf *b);

/*
 * What is on its way when a device goes, for a while or for ever: one buffer has stores
 * that no submission has seen, the other was written by the device, and nobody has
 * looked.
 */
struct coh_pending {
	struct coh_buf stored, written, src;
};

struct coh_pending coh_pending_create(struct egm_dev *dev);
/* All of it is there, and more can be done. */
void coh_pending_check(struct coh_pending *p);
/*
 * The device is gone: whatever is asked of it is ENODEV, and the end of its data is
 * SIGBUS, or EFAULT in a system call. What the CPU stored is still there.
 */
void coh_pending_check_gone(struct coh_pending *p);
void coh_pending_destroy(struct coh_pending *p);
/*
 * Children that store, submit and load, until one of these says that the device is gone,
 * each with a file of its own. They are at it when the first function returns. The
 * second waits for them, and asserts that it was said as it should be; the third, that
 * they are at it still, and ends them.
 */
#define COH_USERS 4

struct coh_users {
	pid_t pids[COH_USERS];
};

struct coh_users coh_users_start(struct egm_dev *dev);
void coh_users_check_gone(struct coh_users *users);
void coh_users_end(struct coh_users *users);

/*
 * Counters, by name. Reading them skips the subtest when the kernel has none;
 * asking for one that is not there does too.
 */
void coh_counters(const struct egm_dev *dev, struct egm_counters *c);
uint64_t coh_counter(const struct egm_counters *c, const char *name);
uint64_t coh_delta(const struct egm_counters *before,
		   const struct egm_counters *after, const char *name);
/*
 * Number of buffers the kernel tracks at the moment. One that was closed is
 * there until the device has answered, which the second and the third wait for.
 */
int coh_tracked(const struct egm_dev *dev);
int coh_tracked_at_rest(const struct egm_dev *dev);
void coh_assert_tracked(const struct egm_dev *dev, int n);
/* Makes the device lose the next n uploads, or skips. */
void coh_drop_uploads(const struct egm_dev *dev, unsigned int n);

struct coh_subtest {
	const char *name;
	const char *description;	/* begins with the clause it is about */
	void (*run)(struct egm_dev *dev);
};

/*
 * Options of all programs, so that one command line is good for many of them. --driver
 * is in coh_driver(), --seed in seed_get(), the others are here: how much to do. 0 stands
 * for the test's own number.
 */
struct coh_counts {
	unsigned long buffers, rounds, seconds, stores, unmaps;
};

extern struct coh_counts coh_counts;

extern const struct option coh_options[];
extern const char coh_help[];
int coh_option(int opt, int index, void *data);

/* The head of the main function */
#define coh_main() igt_main_args("", coh_options, coh_help, coh_option, NULL)

/* The drivers to test, up to a NULL: what --driver names, or all in libegm's table. */
const struct egm_driver *coh_driver(int i);

/*
 * Runs an array of subtests, each on all of these, as a dynamic subtest with the
 * driver's name and a device opened for it.
 */
void coh_subtests(const struct coh_subtest *tests, size_t n);
/* The same with what only one driver has. */
void coh_subtests_of(const struct egm_driver *drv,
		     const struct coh_subtest *tests, size_t n);

/* fork(), and waitpid()'s status. IGT does not know these children. */
pid_t coh_child_start(void);
int coh_child_wait(pid_t pid);

/* Seconds, of the monotonic clock */
double coh_now(void);
/* Writes to a file of the kernel's; 0 or -errno. */
int coh_write(const char *path, const char *text);
/* Free memory in bytes, for tests that depend on it; "name:" of meminfo. */
uint64_t coh_meminfo(const char *name);

#endif /* COHERENT_H */
