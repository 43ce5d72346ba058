// SPDX-License-Identifier: MIT
/* vmob, the driver without hardware: see Documentation/vmob.rst. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <xf86drm.h>
#include <drm/vmob_drm.h>

#include "egm.h"
#include "pattern.h"

#define WAIT_SECONDS 120

static int vmob_ioctl(int fd, unsigned long request, void *arg)
{
	return drmIoctl(fd, request, arg) ? -errno : 0;
}

static int vmob_probe(int fd, bool coherent, const char **missing)
{
	struct drm_vmob_getparam arg = { .param = DRM_VMOB_PARAM_COHERENT };

	if (coherent && (vmob_ioctl(fd, DRM_IOCTL_VMOB_GETPARAM, &arg) ||
			 !arg.value)) {
		*missing = "a vmob with coherent buffers";
		return -ENODEV;
	}
	return 0;
}

static int vmob_bo_create(int fd, uint64_t size, uint32_t flags, uint32_t *handle,
			  uint32_t *res)
{
	struct drm_vmob_bo_create arg = {
		.size = (size + PAGE - 1) & ~(PAGE - 1),
		.flags = flags,
		.domains = DRM_VMOB_DOMAIN_MOB | DRM_VMOB_DOMAIN_VRAM,
	};
	int ret = vmob_ioctl(fd, DRM_IOCTL_VMOB_BO_CREATE, &arg);

	*handle = *res = arg.handle;
	return ret;
}

static int vmob_create(int fd, uint64_t size, uint32_t *handle, uint32_t *res)
{
	return vmob_bo_create(fd, size, DRM_VMOB_BO_COHERENT, handle, res);
}

static int vmob_create_plain(int fd, uint64_t size, uint32_t *handle,
			     uint32_t *res)
{
	return vmob_bo_create(fd, size, 0, handle, res);
}

static int vmob_info(int fd, uint32_t handle, uint32_t *res, uint64_t *size)
{
	struct drm_vmob_bo_info arg = { .handle = handle };
	int ret = vmob_ioctl(fd, DRM_IOCTL_VMOB_BO_INFO, &arg);

	*res = handle;
	*size = arg.size;
	return ret;
}

static int vmob_mmap_offset(int fd, uint32_t handle, uint64_t *offset)
{
	struct drm_vmob_bo_info arg = { .handle = handle };
	int ret = vmob_ioctl(fd, DRM_IOCTL_VMOB_BO_INFO, &arg);

	*offset = arg.mmap_offset;
	return ret;
}

static int submit(int fd, const struct drm_vmob_cmd *cmds, int n_cmds,
		  const uint32_t *handles, int n_handles)
{
	struct drm_vmob_submit arg = {
		.cmds = (uintptr_t)cmds,
		.bo_handles = (uintptr_t)handles,
		.cmd_count = n_cmds,
		.bo_count = n_handles,
	};

	return vmob_ioctl(fd, DRM_IOCTL_VMOB_SUBMIT, &arg);
}

static uint32_t position(const uint32_t *handles, int n, uint32_t handle)
{
	int i;

	for (i = 0; i < n && handles[i] != handle; i++)
		;
	return i;
}

static int vmob_submit(int fd, const struct egm_copy *copies, int n_copies,
		       const uint32_t *handles, int n_handles)
{
	struct drm_vmob_cmd *cmds = calloc(n_copies + 1, sizeof(*cmds));
	int i, ret;

	if (!cmds)
		return -ENOMEM;
	for (i = 0; i < n_copies; i++) {
		const struct egm_copy *c = &copies[i];

		cmds[i] = (struct drm_vmob_cmd){
			.op = DRM_VMOB_CMD_COPY,
			.dst = position(handles, n_handles, c->dst->handle),
			.src = position(handles, n_handles, c->src->handle),
			.dst_offset = c->dst_off,
			.src_offset = c->src_off,
			.size = c->len,
		};
	}
	ret = submit(fd, cmds, n_copies, handles, n_handles);
	free(cmds);
	return ret;
}

static int vmob_wait(int fd, uint32_t handle)
{
	struct drm_vmob_bo_wait arg = { .handle = handle };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	arg.timeout_ns = (now.tv_sec + WAIT_SECONDS) * INT64_C(1000000000);
	return vmob_ioctl(fd, DRM_IOCTL_VMOB_BO_WAIT, &arg);
}

/* Between a buffer's memory and the device's copy of it */
static int transfer(int fd, uint32_t op, uint32_t handle, uint64_t offset,
		    uint64_t len)
{
	const struct drm_vmob_cmd cmd = {
		.op = op,
		.dst_offset = offset,
		.size = len,
	};
	int ret = submit(fd, &cmd, 1, &handle, 1);

	return ret ? ret : vmob_wait(fd, handle);
}

static int vmob_push(int fd, uint32_t handle, uint64_t offset, uint64_t len)
{
	return transfer(fd, DRM_VMOB_CMD_UPLOAD, handle, offset, len);
}

static int vmob_fetch(int fd, uint32_t handle, uint64_t offset, uint64_t len)
{
	return transfer(fd, DRM_VMOB_CMD_READBACK, handle, offset, len);
}

static const char *const vmob_counter_files[] = { "gem_dirty", "vmob", NULL };

static const struct egm_disturbance vmob_disturbances[] = {
	{ "evict", "1" }, { "swapout", "1" },
	{ "move", "system" }, { "move", "mob" }, { "move", "vram" },
	{ 0 }
};

const struct egm_driver egm_vmob = {
	.name = "vmob",
	.counter_files = vmob_counter_files,
	.disturbances = vmob_disturbances,
	.probe = vmob_probe,
	.create = vmob_create,
	.create_plain = vmob_create_plain,
	.info = vmob_info,
	.mmap_offset = vmob_mmap_offset,
	.submit = vmob_submit,
	.push = vmob_push,
	.fetch = vmob_fetch,
	.wait = vmob_wait,
};
