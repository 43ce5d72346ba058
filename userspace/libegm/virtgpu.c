// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "egm.h"
#include "virtgpu.h"

static int virtgpu_ioctl(int fd, unsigned long request, void *arg)
{
	return drmIoctl(fd, request, arg) ? -errno : 0;
}

int virtgpu_getparam(int fd, uint64_t param, int *value)
{
	struct drm_virtgpu_getparam arg = {
		.param = param,
		.value = (uintptr_t)value,
	};

	*value = 0;
	return virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &arg);
}

/* The request as Mesa makes it for a persistent, coherent vertex buffer. */
void virtgpu_blob_init(struct virtgpu_blob *blob, uint64_t size)
{
	memset(blob, 0, sizeof(*blob));

	blob->cmd[BLOB_HEADER] = VIRGL_CMD(VIRGL_CCMD_PIPE_RESOURCE_CREATE,
					   VIRGL_PIPE_RESOURCE_CREATE_LEN);
	blob->cmd[BLOB_TARGET] = PIPE_BUFFER;
	blob->cmd[BLOB_FORMAT] = VIRGL_FORMAT_R8_UNORM;
	blob->cmd[BLOB_BIND] = VIRGL_BIND_VERTEX_BUFFER;
	blob->cmd[BLOB_WIDTH] = size;
	blob->cmd[BLOB_HEIGHT] = 1;
	blob->cmd[BLOB_DEPTH] = 1;
	blob->cmd[BLOB_ARRAY_SIZE] = 1;
	blob->cmd[BLOB_FLAGS] = VIRGL_FLAG_MAP_PERSISTENT |
				VIRGL_FLAG_MAP_COHERENT;
	blob->cmd[BLOB_ID] = 1;

	blob->arg.blob_mem = VIRTGPU_BLOB_MEM_HOST3D;
	blob->arg.blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE;
	blob->arg.size = size;
	blob->arg.cmd_size = sizeof(blob->cmd);
	blob->arg.cmd = (uintptr_t)blob->cmd;
	blob->arg.blob_id = 1;
}

int virtgpu_blob_create(int fd, struct virtgpu_blob *blob)
{
	return virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB,
			     &blob->arg);
}

int virtgpu_transfer_from_host(int fd, uint32_t handle, uint32_t offset,
			       uint32_t len)
{
	struct drm_virtgpu_3d_transfer_from_host arg = {
		.bo_handle = handle,
		.box = { .x = offset, .w = len, .h = 1, .d = 1 },
		.offset = offset,
	};

	return virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &arg);
}

int virtgpu_execbuffer(int fd, const uint32_t *cmd, uint32_t size,
		       const uint32_t *handles, uint32_t n_handles)
{
	struct drm_virtgpu_execbuffer arg = {
		.size = size,
		.command = (uintptr_t)cmd,
		.bo_handles = (uintptr_t)handles,
		.num_bo_handles = n_handles,
	};

	return virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_EXECBUFFER, &arg);
}

/*
 * The context, as Mesa asks for it. Linux 7.3 gives a file none before a command, on hosts
 * that know this, and what the file has until then is not in it. Others make it by
 * themselves, and refuse this.
 */
static void virtgpu_context_init(int fd)
{
	struct drm_virtgpu_context_set_param capset = {
		.param = VIRTGPU_CONTEXT_PARAM_CAPSET_ID,
		.value = VIRGL_CAPSET2,
	};
	struct drm_virtgpu_context_init arg = {
		.num_params = 1,
		.ctx_set_params = (uintptr_t)&capset,
	};

	virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_CONTEXT_INIT, &arg);
}

static int virtgpu_probe(int fd, bool coherent, const char **missing)
{
	int value;

	if (virtgpu_getparam(fd, VIRTGPU_PARAM_3D_FEATURES, &value) || !value) {
		*missing = "a host with virgl (QEMU: -device virtio-gpu-gl)";
		return -ENODEV;
	}
	virtgpu_context_init(fd);
	if (!coherent)
		return 0;
	if (virtgpu_getparam(fd, VIRTGPU_PARAM_RESOURCE_BLOB, &value) ||
	    !value ||
	    virtgpu_getparam(fd, VIRTGPU_PARAM_HOST_VISIBLE, &value) ||
	    !value) {
		*missing = "a kernel with coherent buffers (virtio_gpu.coherent=1)";
		return -ENODEV;
	}

	return 0;
}

/*
 * Two requests in one, neither in earnest. The emulation refuses a command of this
 * size, and does not read it. Real blobs can have any command, if it can be read.
 */
static bool virtgpu_emulated(int fd)
{
	struct virtgpu_blob blob;

	virtgpu_blob_init(&blob, 4096);
	blob.arg.cmd_size = sizeof(*blob.cmd);
	blob.arg.cmd = 0;
	return virtgpu_blob_create(fd, &blob) != -EFAULT;
}

static int virtgpu_create(int fd, uint64_t size, uint32_t *handle,
			  uint32_t *res)
{
	struct virtgpu_blob blob;
	int ret;

	virtgpu_blob_init(&blob, size);
	ret = virtgpu_blob_create(fd, &blob);
	*handle = blob.arg.bo_handle;
	*res = blob.arg.res_handle;
	return ret;
}

static int virtgpu_create_plain(int fd, uint64_t size, uint32_t *handle,
				uint32_t *res)
{
	struct drm_virtgpu_resource_create arg = {
		.target = PIPE_BUFFER,
		.format = VIRGL_FORMAT_R8_UNORM,
		.bind = VIRGL_BIND_VERTEX_BUFFER,
		.width = size,
		.height = 1,
		.depth = 1,
		.array_size = 1,
		.size = size,
	};
	int ret;

	ret = virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &arg);
	*handle = arg.bo_handle;
	*res = arg.res_handle;
	return ret;
}

static int virtgpu_info(int fd, uint32_t handle, uint32_t *res, uint64_t *size)
{
	struct drm_virtgpu_resource_info arg = { .bo_handle = handle };
	int ret;

	ret = virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &arg);
	*res = arg.res_handle;
	*size = arg.size;
	return ret;
}

static int virtgpu_mmap_offset(int fd, uint32_t handle, uint64_t *offset)
{
	struct drm_virtgpu_map arg = { .handle = handle };
	int ret;

	ret = virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_MAP, &arg);
	*offset = arg.offset;
	return ret;
}

static int virtgpu_submit(int fd, const struct egm_copy *copies, int n_copies,
			  const uint32_t *handles, int n_handles)
{
	const size_t dwords = 1 + VIRGL_COPY_REGION_LEN;
	uint32_t *cmd;
	int i, ret;

	/* An empty command stream is refused: start with a no-op. */
	cmd = calloc(1 + n_copies * dwords, sizeof(*cmd));
	if (!cmd)
		return -ENOMEM;

	for (i = 0; i < n_copies; i++) {
		const struct egm_copy *c = &copies[i];
		uint32_t *dw = cmd + 1 + i * dwords;

		dw[0] = VIRGL_CMD(VIRGL_CCMD_RESOURCE_COPY_REGION,
				  VIRGL_COPY_REGION_LEN);
		dw[1] = c->dst->res;
		dw[3] = c->dst_off;
		dw[6] = c->src->res;
		dw[8] = c->src_off;
		dw[11] = c->len;
		dw[12] = 1;
		dw[13] = 1;
	}

	ret = virtgpu_execbuffer(fd, cmd,
				 (1 + n_copies * dwords) * sizeof(*cmd),
				 handles, n_handles);
	free(cmd);
	return ret;
}

static int virtgpu_wait(int fd, uint32_t handle)
{
	struct drm_virtgpu_3d_wait arg = { .handle = handle };
	int ret, tries = 8;

	/* The kernel gives up after 15 s: not long with sanitizers. */
	do {
		ret = virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_WAIT, &arg);
	} while (ret == -EBUSY && --tries);

	return ret;
}

static int virtgpu_push(int fd, uint32_t handle, uint64_t offset, uint64_t len)
{
	struct drm_virtgpu_3d_transfer_to_host arg = {
		.bo_handle = handle,
		.box = { .x = offset, .w = len, .h = 1, .d = 1 },
		.offset = offset,
	};
	int ret;

	ret = virtgpu_ioctl(fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &arg);
	return ret ? ret : virtgpu_wait(fd, handle);
}

static int virtgpu_fetch(int fd, uint32_t handle, uint64_t offset, uint64_t len)
{
	int ret;

	ret = virtgpu_transfer_from_host(fd, handle, offset, len);
	return ret ? ret : virtgpu_wait(fd, handle);
}

static const char *const virtgpu_counter_files[] = {
	"gem_dirty", "virtio-gpu-coherent", NULL
};

const struct egm_driver egm_virtio_gpu = {
	.name = "virtio_gpu",
	.parameter = "/sys/module/virtio_gpu/parameters/coherent",
	.counter_files = virtgpu_counter_files,
	.probe = virtgpu_probe,
	.emulated = virtgpu_emulated,
	.create = virtgpu_create,
	.create_plain = virtgpu_create_plain,
	.info = virtgpu_info,
	.mmap_offset = virtgpu_mmap_offset,
	.submit = virtgpu_submit,
	.push = virtgpu_push,
	.fetch = virtgpu_fetch,
	.wait = virtgpu_wait,
};
