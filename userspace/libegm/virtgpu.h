/* SPDX-License-Identifier: MIT */
/*
 * virtio-gpu: the requests libdrm's header does not have yet, the few virgl
 * commands that are used here, and thin wrappers that return 0 or -errno.
 */
#ifndef VIRTGPU_H
#define VIRTGPU_H

#include <stdint.h>
#include <xf86drm.h>
#include <virtgpu_drm.h>

#ifndef DRM_VIRTGPU_CONTEXT_INIT
#define DRM_VIRTGPU_CONTEXT_INIT 0x0b

#define VIRTGPU_CONTEXT_PARAM_CAPSET_ID 0x0001

struct drm_virtgpu_context_set_param {
	__u64 param;
	__u64 value;
};

struct drm_virtgpu_context_init {
	__u32 num_params;
	__u32 pad;
	__u64 ctx_set_params;
};

#define DRM_IOCTL_VIRTGPU_CONTEXT_INIT					\
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VIRTGPU_CONTEXT_INIT,		\
		 struct drm_virtgpu_context_init)
#endif

#ifndef DRM_VIRTGPU_RESOURCE_CREATE_BLOB
#define DRM_VIRTGPU_RESOURCE_CREATE_BLOB 0x0a

#define VIRTGPU_PARAM_RESOURCE_BLOB 3
#define VIRTGPU_PARAM_HOST_VISIBLE 4

#define VIRTGPU_BLOB_MEM_GUEST 1
#define VIRTGPU_BLOB_MEM_HOST3D 2
#define VIRTGPU_BLOB_MEM_HOST3D_GUEST 3

#define VIRTGPU_BLOB_FLAG_USE_MAPPABLE 1
#define VIRTGPU_BLOB_FLAG_USE_SHAREABLE 2
#define VIRTGPU_BLOB_FLAG_USE_CROSS_DEVICE 4

struct drm_virtgpu_resource_create_blob {
	__u32 blob_mem;
	__u32 blob_flags;
	__u32 bo_handle;
	__u32 res_handle;
	__u64 size;
	__u32 pad;
	__u32 cmd_size;
	__u64 cmd;
	__u64 blob_id;
};

#define DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB				\
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VIRTGPU_RESOURCE_CREATE_BLOB,	\
		 struct drm_virtgpu_resource_create_blob)
#endif

/* virgl: a command is a header dword and its payload */
#define VIRGL_CMD(cmd, len) ((uint32_t)(cmd) | (uint32_t)(len) << 16)
#define VIRGL_CCMD_CREATE_OBJECT 1
#define VIRGL_OBJECT_SHADER 4
#define VIRGL_OBJECT_STREAMOUT_TARGET 10
#define VIRGL_CCMD_DESTROY_OBJECT 3
#define VIRGL_CCMD_DRAW_VBO 8
#define VIRGL_CCMD_RESOURCE_INLINE_WRITE 9
#define VIRGL_CCMD_RESOURCE_COPY_REGION 17
#define VIRGL_COPY_REGION_LEN 13
#define VIRGL_CCMD_CREATE_SUB_CTX 29
#define VIRGL_CCMD_DESTROY_SUB_CTX 30
#define VIRGL_CCMD_BIND_SHADER 31
#define VIRGL_CCMD_SET_SHADER_BUFFERS 34
#define VIRGL_CCMD_LAUNCH_GRID 37
#define VIRGL_CCMD_TRANSFER3D 43
#define VIRGL_TRANSFER_TO_HOST 1
#define VIRGL_TRANSFER_FROM_HOST 2
#define VIRGL_CCMD_COPY_TRANSFER3D 45
#define VIRGL_COPY_TRANSFER_FROM_HOST (1 << 1)
#define VIRGL_CCMD_CLEAR_TEXTURE 47
#define VIRGL_CCMD_PIPE_RESOURCE_CREATE 48
#define VIRGL_PIPE_RESOURCE_CREATE_LEN 11

#define VIRGL_FORMAT_R8_UNORM 64
#define VIRGL_BIND_RENDER_TARGET (1 << 1)
#define VIRGL_BIND_SAMPLER_VIEW (1 << 3)
#define VIRGL_BIND_VERTEX_BUFFER (1 << 4)
#define VIRGL_FLAG_MAP_PERSISTENT (1 << 1)
#define VIRGL_FLAG_MAP_COHERENT (1 << 2)

/* the capset VIRGL2, by dwords */
#define VIRGL_CAPSET 1
#define VIRGL_CAPSET2 2
#define VIRGL_CAPS_BITS 98
#define VIRGL_CAP_ARB_BUFFER_STORAGE (UINT32_C(1) << 31)

#define PIPE_BUFFER 0
#define PIPE_TEXTURE_2D 2

/* The command embedded in a RESOURCE_CREATE_BLOB, dword by dword. */
enum virtgpu_blob_dword {
	BLOB_HEADER,
	BLOB_TARGET,
	BLOB_FORMAT,
	BLOB_BIND,
	BLOB_WIDTH,
	BLOB_HEIGHT,
	BLOB_DEPTH,
	BLOB_ARRAY_SIZE,
	BLOB_LAST_LEVEL,
	BLOB_NR_SAMPLES,
	BLOB_FLAGS,
	BLOB_ID,
	BLOB_DWORDS
};

/* A complete, valid request for a coherent buffer; arg->cmd points to cmd. */
struct virtgpu_blob {
	struct drm_virtgpu_resource_create_blob arg;
	uint32_t cmd[BLOB_DWORDS];
};

void virtgpu_blob_init(struct virtgpu_blob *blob, uint64_t size);
int virtgpu_blob_create(int fd, struct virtgpu_blob *blob);
int virtgpu_getparam(int fd, uint64_t param, int *value);
int virtgpu_transfer_from_host(int fd, uint32_t handle, uint32_t offset,
			       uint32_t len);
int virtgpu_execbuffer(int fd, const uint32_t *cmd, uint32_t size,
		       const uint32_t *handles, uint32_t n_handles);

#endif /* VIRTGPU_H */
