/* SPDX-License-Identifier: MIT */
/* vmob's own requests, for tests of what only it has. */
#ifndef VMOB_H
#define VMOB_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <drm/vmob_drm.h>
#include <xf86drm.h>

#include "coherent.h"
#include "igt_core.h"

#define SIZE KiB(64)
#define SECOND INT64_C(1000000000)

/* Longer than it takes to look at what is not done yet */
#define DELAY_US 300000
/* Longer than any test waits for what ends early */
#define LONG_US 9000000
/* As long as it takes at most, on a slow machine, when it ends at once */
#define SOON_MS 4000

/* A submission's arrays, and their lengths as far as they are not 0 */
struct submission {
	uint32_t ctx;
	const struct drm_vmob_cmd *cmds;
	uint32_t n_cmds;
	const uint32_t *handles;
	uint32_t n_handles;
	const struct drm_vmob_sync *out;
	uint32_t n_out;
};

static inline void submit(struct egm_dev *dev, const struct submission *s)
{
	struct drm_vmob_submit arg = {
		.ctx_id = s->ctx,
		.cmds = (uintptr_t)s->cmds,
		.bo_handles = (uintptr_t)s->handles,
		.out_syncs = (uintptr_t)s->out,
		.cmd_count = s->n_cmds,
		.bo_count = s->n_handles,
		.out_sync_count = s->n_out,
	};

	igt_assert_f(!drmIoctl(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg),
		     "submission: %s\n", strerror(errno));
}

static inline uint32_t ctx_create(struct egm_dev *dev)
{
	struct drm_vmob_ctx_create arg = { 0 };

	igt_assert(!drmIoctl(dev->fd, DRM_IOCTL_VMOB_CTX_CREATE, &arg));
	return arg.ctx_id;
}

static inline void ctx_destroy(struct egm_dev *dev, uint32_t ctx)
{
	struct drm_vmob_ctx_destroy arg = { .ctx_id = ctx };

	igt_assert(!drmIoctl(dev->fd, DRM_IOCTL_VMOB_CTX_DESTROY, &arg));
}

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static inline uint32_t syncobj_create(struct egm_dev *dev)
{
	uint32_t handle;

	igt_assert(!drmSyncobjCreate(dev->fd, 0, &handle));
	return handle;
}

static inline bool signalled(struct egm_dev *dev, uint32_t syncobj)
{
	int ret = drmSyncobjWait(dev->fd, &syncobj, 1, 0, 0, NULL);

	igt_assert_f(!ret || ret == -ETIME, "%s\n", strerror(-ret));
	return !ret;
}

static inline void syncobj_wait(struct egm_dev *dev, uint32_t syncobj)
{
	igt_assert_eq(drmSyncobjWait(dev->fd, &syncobj, 1, now_ns() + 30 * SECOND,
				     0, NULL), 0);
}

static inline bool bo_idle(struct egm_bo *bo)
{
	struct drm_vmob_bo_wait arg = { .handle = bo->handle };
	int ret = drmIoctl(bo->dev->fd, DRM_IOCTL_VMOB_BO_WAIT, &arg);

	igt_assert_f(!ret || errno == ETIME, "%s\n", strerror(errno));
	return !ret;
}

static inline uint32_t bo_domain(struct egm_bo *bo)
{
	struct drm_vmob_bo_info arg = { .handle = bo->handle };

	igt_assert(!drmIoctl(bo->dev->fd, DRM_IOCTL_VMOB_BO_INFO, &arg));
	return arg.domain;
}

/* libegm's, of buffers that it has no way to ask for */
static inline struct egm_bo *create(struct egm_dev *dev, uint64_t size, uint32_t flags,
			     uint32_t domains)
{
	struct drm_vmob_bo_create arg = {
		.size = size, .flags = flags, .domains = domains,
	};
	struct egm_bo *bo;
	int fd;

	igt_assert_f(!drmIoctl(dev->fd, DRM_IOCTL_VMOB_BO_CREATE, &arg), "%s\n",
		     strerror(errno));
	igt_assert(!drmPrimeHandleToFD(dev->fd, arg.handle,
				       DRM_CLOEXEC | DRM_RDWR, &fd));
	/* has the same handle */
	bo = coh_import(dev, fd);
	close(fd);
	return bo;
}

static inline int debugfs_write(struct egm_dev *dev, const char *file, const char *text)
{
	FILE *f = egm_debugfs_open(&dev->node, file, true);

	if (!f)
		return -errno;
	fputs(text, f);
	return fclose(f) ? -errno : 0;
}

/* What tests set in debugfs, as it is at first, on all of vmob's devices */
static inline void debugfs_defaults(void)
{
	struct egm_node nodes[64];
	int i, n = egm_nodes(nodes, ARRAY_SIZE(nodes));

	for (i = 0; i < n; i++)
		if (!strcmp(nodes[i].driver, egm_vmob.name)) {
			struct egm_dev dev = { .node = nodes[i] };

			debugfs_write(&dev, "delay_upload_us", "0");
			debugfs_write(&dev, "timeout_ms", "30000");
		}
}

#endif /* VMOB_H */
