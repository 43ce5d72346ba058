// SPDX-License-Identifier: MIT
/*
 * vmwgfx: a buffer is a guest-backed surface of bytes. Its handle is the
 * surface's, and what is called its name here is the handle of its memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xf86drm.h>
#include <svga3d_reg.h>

#include "egm.h"
#include "svga3.h"
#include "vmwgfx_drm.h"

#define WAIT_US (120 * UINT64_C(1000000))
/* The kernel takes what its command buffers have room for. */
#define MAX_CMDS 16384

struct copy_cmd {
	SVGA3dCmdHeader header;
	SVGA3dCmdSurfaceCopy body;
	SVGA3dCopyBox box;
};

/* An update of nothing */
struct touch_cmd {
	SVGA3dCmdHeader header;
	SVGA3dCmdUpdateGBImage body;
};

static int vmwgfx_probe(int fd, bool coherent, const char **missing)
{
	struct drm_vmw_getparam_arg arg = { .param = DRM_VMW_PARAM_MAX_MOB_MEMORY };
	drmVersionPtr version;
	bool has;

	if (drmCommandWriteRead(fd, DRM_VMW_GET_PARAM, &arg, sizeof(arg)) ||
	    !arg.value) {
		*missing = "a device with guest-backed objects";
		return -ENODEV;
	}
	/* As Mesa asks. */
	version = drmGetVersion(fd);
	has = version && version->version_major == 2 &&
	      version->version_minor >= 16;
	drmFreeVersion(version);
	if (coherent && !has) {
		*missing = "a vmwgfx of version 2.16, which has coherent surfaces";
		return -ENODEV;
	}
	return 0;
}

static int surface_create(int fd, uint64_t size, uint32_t flags, uint32_t *handle,
			  uint32_t *memory)
{
	union drm_vmw_gb_surface_create_arg arg = {
		.req = {
			.format = SVGA3D_BUFFER,
			.mip_levels = 1,
			.drm_surface_flags = drm_vmw_surface_flag_shareable |
				drm_vmw_surface_flag_create_buffer | flags,
			.buffer_handle = SVGA3D_INVALID_ID,
			.base_size = { .width = size, .height = 1, .depth = 1 },
		},
	};
	int ret;

	if (size > UINT32_MAX)
		return -EINVAL;
	ret = drmCommandWriteRead(fd, DRM_VMW_GB_SURFACE_CREATE, &arg, sizeof(arg));
	*handle = arg.rep.handle;
	*memory = arg.rep.buffer_handle;
	return ret;
}

static int vmwgfx_create(int fd, uint64_t size, uint32_t *handle, uint32_t *res)
{
	return surface_create(fd, size, drm_vmw_surface_flag_coherent, handle, res);
}

static int vmwgfx_create_plain(int fd, uint64_t size, uint32_t *handle,
			       uint32_t *res)
{
	return surface_create(fd, size, 0, handle, res);
}

static int surface_unref(int fd, uint32_t handle)
{
	struct drm_vmw_surface_arg arg = { .sid = handle };

	return drmCommandWrite(fd, DRM_VMW_UNREF_SURFACE, &arg, sizeof(arg));
}

static void vmwgfx_close(int fd, uint32_t handle, uint32_t res)
{
	surface_unref(fd, handle);
	drmCloseBufferHandle(fd, res);
}

/* Makes one more handle of its memory, and a reference to the surface. */
static int surface_ref(int fd, uint32_t handle,
		       union drm_vmw_gb_surface_reference_arg *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->req.sid = handle;
	arg->req.handle_type = DRM_VMW_HANDLE_LEGACY;
	return drmCommandWriteRead(fd, DRM_VMW_GB_SURFACE_REF, arg, sizeof(*arg));
}

static int vmwgfx_info(int fd, uint32_t handle, uint32_t *res, uint64_t *size)
{
	union drm_vmw_gb_surface_reference_arg arg;
	int ret = surface_ref(fd, handle, &arg);

	if (ret)
		return ret;
	*res = arg.rep.crep.buffer_handle;
	*size = arg.rep.creq.base_size.width;
	return surface_unref(fd, handle);
}

static int vmwgfx_mmap_offset(int fd, uint32_t handle, uint64_t *offset)
{
	union drm_vmw_gb_surface_reference_arg arg;
	int ret = surface_ref(fd, handle, &arg);

	if (ret)
		return ret;
	*offset = arg.rep.crep.buffer_map_handle;
	vmwgfx_close(fd, handle, arg.rep.crep.buffer_handle);
	return 0;
}

int egm_svga3_submit(int fd, const void *cmds, uint32_t size, uint32_t *fence)
{
	struct drm_vmw_fence_rep rep = { .error = -EFAULT };
	struct drm_vmw_execbuf_arg arg = {
		.commands = (uintptr_t)cmds,
		.command_size = size,
		.fence_rep = fence ? (uintptr_t)&rep : 0,
		.version = DRM_VMW_EXECBUF_VERSION,
		.context_handle = SVGA3D_INVALID_ID,
		.imported_fence_fd = -1,
	};

	/* Not the number that drmCommandWrite() makes of it */
	if (drmIoctl(fd, DRM_IOW(DRM_COMMAND_BASE + DRM_VMW_EXECBUF,
				 struct drm_vmw_execbuf_arg), &arg))
		return -errno;
	if (!fence)
		return 0;
	*fence = rep.handle;
	return rep.error;
}

static int submit_and_wait(int fd, const void *cmds, uint32_t size)
{
	struct drm_vmw_fence_wait_arg wait = {
		.timeout_us = WAIT_US,
		.flags = DRM_VMW_FENCE_FLAG_EXEC,
		.wait_options = DRM_VMW_WAIT_OPTION_UNREF,
	};
	int ret = egm_svga3_submit(fd, cmds, size, &wait.handle);

	if (ret)
		return ret;
	return drmCommandWriteRead(fd, DRM_VMW_FENCE_WAIT, &wait, sizeof(wait));
}

static bool is_copied(uint32_t handle, const struct egm_copy *copies, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (copies[i].len && (copies[i].dst->handle == handle ||
				      copies[i].src->handle == handle))
			return true;
	return false;
}

static int flush(int fd, char *cmds, uint32_t *used, uint32_t more)
{
	int ret;

	if (*used + more <= MAX_CMDS)
		return 0;
	ret = egm_svga3_submit(fd, cmds, *used, NULL);
	*used = 0;
	return ret;
}

static int vmwgfx_submit(int fd, const struct egm_copy *copies, int n_copies,
			 const uint32_t *handles, int n_handles)
{
	char cmds[MAX_CMDS];
	uint32_t used = 0;
	int i, ret = 0;

	for (i = 0; i < n_handles && !ret; i++) {
		const struct touch_cmd touch = {
			{ SVGA_3D_CMD_UPDATE_GB_IMAGE, sizeof(touch.body) },
			{ .image.sid = handles[i] },
		};

		if (is_copied(handles[i], copies, n_copies))
			continue;
		ret = flush(fd, cmds, &used, sizeof(touch));
		memcpy(cmds + used, &touch, sizeof(touch));
		used += sizeof(touch);
	}
	for (i = 0; i < n_copies && !ret; i++) {
		const struct egm_copy *c = &copies[i];
		const struct copy_cmd copy = {
			{ SVGA_3D_CMD_SURFACE_COPY,
			  sizeof(copy.body) + sizeof(copy.box) },
			{ .src.sid = c->src->handle, .dest.sid = c->dst->handle },
			{ .x = c->dst_off, .w = c->len, .h = 1, .d = 1,
			  .srcx = c->src_off },
		};

		if (!c->len)
			continue;
		ret = flush(fd, cmds, &used, sizeof(copy));
		memcpy(cmds + used, &copy, sizeof(copy));
		used += sizeof(copy);
	}
	return ret || !used ? ret : egm_svga3_submit(fd, cmds, used, NULL);
}

/* Between a surface's memory and the device's copy: UPDATE or READBACK */
static int transfer(int fd, uint32_t id, uint32_t handle)
{
	/* Both commands have the surface and nothing else. */
	const struct {
		SVGA3dCmdHeader header;
		SVGA3dCmdUpdateGBSurface body;
	} cmd = { { id, sizeof(cmd.body) }, { handle } };

	return submit_and_wait(fd, &cmd, sizeof(cmd));
}

static int vmwgfx_push(int fd, uint32_t handle, uint64_t offset, uint64_t len)
{
	(void)offset;
	(void)len;
	return transfer(fd, SVGA_3D_CMD_UPDATE_GB_SURFACE, handle);
}

static int vmwgfx_fetch(int fd, uint32_t handle, uint64_t offset, uint64_t len)
{
	(void)offset;
	(void)len;
	return transfer(fd, SVGA_3D_CMD_READBACK_GB_SURFACE, handle);
}

static int vmwgfx_wait(int fd, uint32_t handle)
{
	union drm_vmw_gb_surface_reference_arg ref;
	struct drm_vmw_synccpu_arg arg = {
		.op = drm_vmw_synccpu_grab,
		.flags = drm_vmw_synccpu_read | drm_vmw_synccpu_write |
			 drm_vmw_synccpu_allow_cs,
	};
	int ret = surface_ref(fd, handle, &ref);

	if (ret)
		return ret;
	arg.handle = ref.rep.crep.buffer_handle;
	ret = drmCommandWrite(fd, DRM_VMW_SYNCCPU, &arg, sizeof(arg));
	vmwgfx_close(fd, handle, arg.handle);
	return ret;
}

/* ---- the model --------------------------------------------------------- */

int egm_svga3_open(int fd)
{
	uint32_t magic;
	drmDevicePtr dev;
	char path[80];
	int config;

	if (drmGetDevice2(fd, 0, &dev))
		return -ENODEV;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%04x:%02x:%02x.%d/config",
		 dev->businfo.pci->domain, dev->businfo.pci->bus,
		 dev->businfo.pci->dev, dev->businfo.pci->func);
	drmFreeDevice(&dev);
	config = open(path, O_RDWR | O_CLOEXEC);
	if (config < 0)
		return -errno;
	if (pread(config, &magic, 4, SVGA3_CTL_MAGIC) != 4 ||
	    magic != SVGA3_CTL_MAGIC_VALUE) {
		close(config);
		return -ENODEV;
	}
	return config;
}

static int ctl_select(int config, uint32_t which)
{
	return pwrite(config, &which, 4, SVGA3_CTL_SELECT) == 4 ? 0 : -EIO;
}

int egm_svga3_get(int config, enum svga3_ctl which, uint64_t *value)
{
	uint32_t low, high;

	if (ctl_select(config, which) ||
	    pread(config, &low, 4, SVGA3_CTL_LOW) != 4 ||
	    pread(config, &high, 4, SVGA3_CTL_HIGH) != 4)
		return -EIO;
	*value = (uint64_t)high << 32 | low;
	return 0;
}

int egm_svga3_set(int config, enum svga3_ctl which, uint32_t value)
{
	if (ctl_select(config, which) ||
	    pwrite(config, &value, 4, SVGA3_CTL_LOW) != 4)
		return -EIO;
	return 0;
}

static int model_open(const struct egm_node *node)
{
	struct egm_node again;
	int config, fd = egm_node_open(&again, node->path, O_RDWR);

	if (fd < 0)
		return fd;
	config = egm_svga3_open(fd);
	close(fd);
	return config;
}

static bool vmwgfx_can_lose(const struct egm_node *node)
{
	int config = model_open(node);

	if (config >= 0)
		close(config);
	return config >= 0;
}

static int vmwgfx_lose(const struct egm_node *node, unsigned int n,
		       char err[EGM_ERR])
{
	int config = model_open(node), ret;

	if (config < 0) {
		snprintf(err, EGM_ERR, "%s: only svga3-model loses uploads: %s",
			 node->path, strerror(-config));
		return config;
	}
	ret = egm_svga3_set(config, SVGA3_DROP_COMMAND, 0);
	if (!ret)
		ret = egm_svga3_set(config, SVGA3_DROP_COUNT, n);
	if (ret)
		snprintf(err, EGM_ERR, "%s: %s", node->path, strerror(-ret));
	close(config);
	return ret;
}

/* The kernel does not count these; of all devices only the model does. */
static void vmwgfx_counters(const struct egm_node *node, struct egm_counters *c)
{
	int config = model_open(node);
	uint64_t value;

	if (config < 0)
		return;
	if (!egm_svga3_get(config, SVGA3_UPDATES, &value))
		egm_counter_add(c, "uploads", value);
	if (!egm_svga3_get(config, SVGA3_UPDATE_BYTES, &value))
		egm_counter_add(c, "upload_bytes", value);
	close(config);
}

static const char *const vmwgfx_counter_files[] = { "gem_dirty", NULL };

const struct egm_driver egm_vmwgfx = {
	.name = "vmwgfx",
	.counter_files = vmwgfx_counter_files,
	.counters = vmwgfx_counters,
	.can_lose = vmwgfx_can_lose,
	.lose = vmwgfx_lose,
	.probe = vmwgfx_probe,
	.create = vmwgfx_create,
	.create_plain = vmwgfx_create_plain,
	.close = vmwgfx_close,
	.info = vmwgfx_info,
	.mmap_offset = vmwgfx_mmap_offset,
	.submit = vmwgfx_submit,
	.push = vmwgfx_push,
	.fetch = vmwgfx_fetch,
	.wait = vmwgfx_wait,
};
