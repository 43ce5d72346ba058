// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"
#include "coh_vmwgfx.h"
#include "svga3.h"

#define MAX_COPIES 512

static void ctl_reset(struct vmw *vmw)
{
	int i;

	for (i = 0; vmw->config >= 0 && i < SVGA3_NUM_KNOBS; i++)
		if (i != SVGA3_TRACE && vmw_ctl_get(vmw, i))
			vmw_ctl_set(vmw, i, 0);
}

uint64_t vmw_param(struct vmw *vmw, uint32_t param)
{
	struct drm_vmw_getparam_arg arg = { .param = param };

	igt_assert(!drmCommandWriteRead(vmw->fd, DRM_VMW_GET_PARAM, &arg,
					sizeof(arg)));
	return arg.value;
}

struct vmw *vmw_open(void)
{
	struct vmw *vmw = calloc(1, sizeof(*vmw));

	igt_assert(vmw);
	vmw->fd = coh_open_node("vmwgfx", O_RDWR | O_CLOEXEC);
	igt_require_f(vmw_param(vmw, DRM_VMW_PARAM_MAX_MOB_MEMORY),
		      "the device has no guest-backed objects\n");
	vmw->sm4 = vmw_param(vmw, DRM_VMW_PARAM_DX);
	vmw->config = egm_svga3_open(vmw->fd);
	ctl_reset(vmw);
	return vmw;
}

void vmw_close(struct vmw *vmw)
{
	ctl_reset(vmw);
	if (vmw->config >= 0)
		close(vmw->config);
	close(vmw->fd);
	free(vmw);
}

void vmw_subtests(const struct vmw_subtest *tests, size_t n)
{
	static size_t i;

	for (i = 0; i < n; i++) {
		igt_describe(tests[i].description);
		igt_subtest(tests[i].name) {
			struct vmw *vmw = vmw_open();

			tests[i].run(vmw);
			vmw_close(vmw);
		}
	}
}

/* --------------------------------------------------------------- surfaces */

struct vmw_surf *vmw_surf_create(struct vmw *vmw,
				 const struct vmw_surf_info *info)
{
	struct vmw_surf *surf = calloc(1, sizeof(*surf));
	union drm_vmw_gb_surface_create_ext_arg arg = {
		.req = {
			.base = {
				.format = info->format,
				.mip_levels = info->mips ?: 1,
				.drm_surface_flags =
					drm_vmw_surface_flag_shareable |
					(info->coherent ?
					 drm_vmw_surface_flag_coherent : 0) |
					(info->scanout ?
					 drm_vmw_surface_flag_scanout : 0) |
					(info->bo ? 0 :
					 drm_vmw_surface_flag_create_buffer),
				.multisample_count = info->samples,
				.buffer_handle = info->bo ?: SVGA3D_INVALID_ID,
				.array_size = info->array,
				.base_size = {
					.width = info->width ?: 1,
					.height = info->height ?: 1,
					.depth = info->depth ?: 1,
				},
			},
			.version = drm_vmw_gb_surface_v1,
			.svga3d_flags_upper_32_bits = info->samples ?
				SVGA3D_SURFACE_MULTISAMPLE >> 32 : 0,
			.multisample_pattern = info->samples ?
				SVGA3D_MS_PATTERN_STANDARD :
				SVGA3D_MS_PATTERN_NONE,
		},
	};
	int ret;

	igt_assert(surf);
	surf->vmw = vmw;
	surf->format = info->format;
	surf->width = info->width ?: 1;
	surf->height = info->height ?: 1;
	surf->depth = info->depth ?: 1;
	surf->mips = info->mips ?: 1;
	surf->layers = info->array ?: 1;
	surf->samples = info->samples;
	ret = drmCommandWriteRead(vmw->fd, DRM_VMW_GB_SURFACE_CREATE_EXT, &arg,
				  sizeof(arg));
	igt_assert_f(!ret, "surface of %ux%ux%u: %s\n", surf->width,
		     surf->height, surf->depth, strerror(-ret));
	surf->handle = arg.rep.handle;
	surf->bo = arg.rep.buffer_handle;
	surf->shared = info->bo;
	surf->size = arg.rep.backup_size;
	surf->map_size = arg.rep.buffer_size;
	surf->map_offset = arg.rep.buffer_map_handle;
	surf->map = vmw_surf_mmap(surf, PROT_READ | PROT_WRITE);
	return surf;
}

struct vmw_surf *vmw_buffer(struct vmw *vmw, uint64_t size, bool coherent)
{
	return vmw_surf_create(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_BUFFER,
		.width = size,
		.coherent = coherent,
	});
}

struct vmw_surf *vmw_buffer_on(struct vmw *vmw, const struct vmw_mob *mob)
{
	return vmw_surf_create(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_BUFFER,
		.width = mob->size,
		.bo = mob->bo,
		.coherent = true,
	});
}

struct vmw_surf *vmw_image(struct vmw *vmw, uint32_t width, uint32_t height,
			   bool coherent)
{
	return vmw_surf_create(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_A8R8G8B8,
		.width = width,
		.height = height,
		.coherent = coherent,
	});
}

void *vmw_surf_mmap(const struct vmw_surf *surf, int prot)
{
	void *map = mmap(NULL, surf->map_size, prot, MAP_SHARED, surf->vmw->fd,
			 surf->map_offset);

	igt_assert_f(map != MAP_FAILED, "mmap: %s\n", strerror(errno));
	return map;
}

void vmw_surf_destroy(struct vmw_surf *surf)
{
	struct drm_vmw_surface_arg arg = { .sid = surf->handle };

	if (surf->map)
		munmap(surf->map, surf->map_size);
	igt_assert(!drmCommandWrite(surf->vmw->fd, DRM_VMW_UNREF_SURFACE, &arg,
				    sizeof(arg)));
	if (!surf->shared)
		drmCloseBufferHandle(surf->vmw->fd, surf->bo);
	free(surf);
}

/* ------------------------------------------------------------- submission */

int vmw_submit(struct vmw *vmw, const void *cmds, uint32_t size,
	       uint32_t *fence)
{
	return egm_svga3_submit(vmw->fd, cmds, size, fence);
}

int vmw_fence_wait(struct vmw *vmw, uint32_t fence, uint64_t us)
{
	struct drm_vmw_fence_wait_arg arg = {
		.handle = fence,
		.timeout_us = us,
		.flags = DRM_VMW_FENCE_FLAG_EXEC,
	};

	return drmCommandWriteRead(vmw->fd, DRM_VMW_FENCE_WAIT, &arg,
				   sizeof(arg));
}

bool vmw_fence_signaled(struct vmw *vmw, uint32_t fence)
{
	struct drm_vmw_fence_signaled_arg arg = {
		.handle = fence,
		.flags = DRM_VMW_FENCE_FLAG_EXEC,
	};

	igt_assert(!drmCommandWriteRead(vmw->fd, DRM_VMW_FENCE_SIGNALED, &arg,
					sizeof(arg)));
	return arg.signaled;
}

void vmw_fence_unref(struct vmw *vmw, uint32_t fence)
{
	struct drm_vmw_fence_arg arg = { .handle = fence };

	igt_assert(!drmCommandWrite(vmw->fd, DRM_VMW_FENCE_UNREF, &arg,
				    sizeof(arg)));
}

void vmw_exec(struct vmw *vmw, const void *cmds, uint32_t size)
{
	uint32_t fence;
	int ret = vmw_submit(vmw, cmds, size, &fence);

	igt_assert_f(!ret, "submission: %s\n", strerror(-ret));
	ret = vmw_fence_wait(vmw, fence, 60000000);
	igt_assert_f(!ret, "fence: %s\n", strerror(-ret));
	vmw_fence_unref(vmw, fence);
}

struct copy_cmd {
	SVGA3dCmdHeader header;
	SVGA3dCmdSurfaceCopy body;
	SVGA3dCopyBox box;
};

struct readback_cmd {
	SVGA3dCmdHeader header;
	SVGA3dCmdReadbackGBSurface body;
};

struct region_cmd {
	SVGA3dCmdHeader header;
	SVGA3dCmdDXPredCopyRegion body;
};

/* Copies of all images, then a read-back if wanted; returns the size. */
static uint32_t copy_all(void *cmds, struct vmw_surf *dst, struct vmw_surf *src,
			 bool readback)
{
	uint32_t layer, mip, n = 0;
	char *p = cmds;

	for (layer = 0; layer < src->layers; layer++) {
		for (mip = 0; mip < src->mips; mip++) {
			const SVGA3dCopyBox box = {
				.w = src->width >> mip ?: 1,
				.h = src->height >> mip ?: 1,
				.d = src->depth >> mip ?: 1,
			};

			igt_assert(n++ < MAX_COPIES);
			/* SURFACE_COPY knows faces, but no layers */
			if (src->layers > 1) {
				struct region_cmd c = {
					{ SVGA_3D_CMD_DX_PRED_COPY_REGION,
					  sizeof(c.body) },
					{ dst->handle, layer * src->mips + mip,
					  src->handle, layer * src->mips + mip,
					  box },
				};

				memcpy(p, &c, sizeof(c));
				p += sizeof(c);
			} else {
				struct copy_cmd c = {
					{ SVGA_3D_CMD_SURFACE_COPY,
					  sizeof(c.body) + sizeof(c.box) },
					{ { src->handle, 0, mip },
					  { dst->handle, 0, mip } },
					box,
				};

				memcpy(p, &c, sizeof(c));
				p += sizeof(c);
			}
		}
	}
	if (readback) {
		struct readback_cmd c = {
			{ SVGA_3D_CMD_READBACK_GB_SURFACE, sizeof(c.body) },
			{ dst->handle },
		};

		memcpy(p, &c, sizeof(c));
		p += sizeof(c);
	}
	return p - (char *)cmds;
}

static char commands[MAX_COPIES * sizeof(struct copy_cmd) +
		     sizeof(struct readback_cmd)];

void vmw_snapshot(struct vmw_surf *surf, struct vmw_surf *snap)
{
	vmw_exec(surf->vmw, commands, copy_all(commands, snap, surf, true));
}

void vmw_device_write(struct vmw_surf *dst, struct vmw_surf *src)
{
	vmw_exec(dst->vmw, commands, copy_all(commands, dst, src, false));
}

struct vmw_surf *vmw_snap_create(struct vmw_surf *surf)
{
	return vmw_surf_create(surf->vmw, &(struct vmw_surf_info){
		.format = surf->format,
		.width = surf->width,
		.height = surf->height,
		.depth = surf->depth,
		.mips = surf->mips,
		.array = surf->layers > 1 ? surf->layers : 0,
		.samples = surf->samples,
	});
}

void vmw_update(struct vmw_surf *surf)
{
	struct {
		SVGA3dCmdHeader header;
		SVGA3dCmdUpdateGBSurface body;
	} c = {
		{ SVGA_3D_CMD_UPDATE_GB_SURFACE, sizeof(c.body) },
		{ surf->handle },
	};

	vmw_exec(surf->vmw, &c, sizeof(c));
}

/* An update of nothing */
struct touch_cmd {
	SVGA3dCmdHeader header;
	SVGA3dCmdUpdateGBImage body;
};

static struct touch_cmd touch_cmd(struct vmw_surf *surf)
{
	return (struct touch_cmd){
		{ SVGA_3D_CMD_UPDATE_GB_IMAGE, sizeof(SVGA3dCmdUpdateGBImage) },
		{ .image.sid = surf->handle },
	};
}

void vmw_touch(struct vmw_surf *surf)
{
	struct touch_cmd c = touch_cmd(surf);

	vmw_exec(surf->vmw, &c, sizeof(c));
}

int vmw_touch_nowait(struct vmw_surf *surf)
{
	struct touch_cmd c = touch_cmd(surf);

	return vmw_submit(surf->vmw, &c, sizeof(c), NULL);
}

void vmw_touch_polled(struct vmw_surf *surf)
{
	struct touch_cmd c = touch_cmd(surf);
	uint32_t fence;
	int ret = vmw_submit(surf->vmw, &c, sizeof(c), &fence);

	igt_assert_f(!ret, "submission: %s\n", strerror(-ret));
	while (!vmw_fence_signaled(surf->vmw, fence))
		;
	vmw_fence_unref(surf->vmw, fence);
}

/* ---------------------------------------------------- surfaces and buffers */

struct vmw_surf *vmw_surf_share(struct vmw_surf *surf, uint64_t size,
				bool coherent)
{
	return vmw_surf_create(surf->vmw, &(struct vmw_surf_info){
		.format = SVGA3D_BUFFER,
		.width = size,
		.bo = surf->bo,
		.coherent = coherent,
	});
}

struct vmw_mob vmw_mob_create(struct vmw *vmw, uint64_t size)
{
	union drm_vmw_alloc_dmabuf_arg arg = { .req.size = size };

	igt_assert(!drmCommandWriteRead(vmw->fd, DRM_VMW_ALLOC_DMABUF, &arg,
					sizeof(arg)));
	return (struct vmw_mob){ arg.rep.handle, size, arg.rep.map_handle };
}

void vmw_mob_destroy(struct vmw *vmw, const struct vmw_mob *mob)
{
	drmCloseBufferHandle(vmw->fd, mob->bo);
}

void *vmw_mob_mmap(struct vmw *vmw, const struct vmw_mob *mob)
{
	void *map = mmap(NULL, mob->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vmw->fd, mob->offset);

	igt_assert_f(map != MAP_FAILED, "mmap: %s\n", strerror(errno));
	return map;
}

void vmw_surf_moved(struct vmw_surf *surf, const struct vmw_mob *mob)
{
	munmap(surf->map, surf->map_size);
	drmCloseBufferHandle(surf->vmw->fd, surf->bo);
	surf->bo = mob->bo;
	surf->map_size = mob->size;
	surf->map_offset = mob->offset;
	surf->map = vmw_surf_mmap(surf, PROT_READ | PROT_WRITE);
}

struct vmw_bind vmw_bind(const struct vmw_surf *surf, uint32_t bo)
{
	return (struct vmw_bind){
		{ SVGA_3D_CMD_BIND_GB_SURFACE, sizeof(SVGA3dCmdBindGBSurface) },
		{ surf->handle, bo },
	};
}

struct vmw_copy vmw_copy(const struct vmw_surf *dst, const struct vmw_surf *src,
			 uint64_t off, uint64_t len)
{
	return (struct vmw_copy){
		{ SVGA_3D_CMD_SURFACE_COPY,
		  sizeof(SVGA3dCmdSurfaceCopy) + sizeof(SVGA3dCopyBox) },
		{ { src->handle, 0, 0 }, { dst->handle, 0, 0 } },
		{ .x = off, .srcx = off, .w = len, .h = 1, .d = 1 },
	};
}

struct vmw_surf_cmd vmw_surf_cmd(uint32_t id, const struct vmw_surf *surf)
{
	return (struct vmw_surf_cmd){ { id, sizeof(uint32_t) }, surf->handle };
}

/* ------------------------------------------------- surfaces with contents */

struct vmw_buf vmw_buf_of(struct vmw_surf *surf)
{
	return (struct vmw_buf){
		.surf = surf,
		.snap = vmw_snap_create(surf),
		.p = pattern_new(surf->size & ~UINT64_C(7)),
	};
}

struct vmw_buf vmw_buf_warm(struct vmw_surf *surf)
{
	struct vmw_buf b = vmw_buf_of(surf);

	vmw_touch(surf);
	pattern_fill(b.p, surf->map, 0, b.p->size);
	vmw_buf_check(&b);
	return b;
}

void vmw_buf_check_device(struct vmw_buf *b)
{
	vmw_snapshot(b->surf, b->snap);
	pattern_assert(b->p, b->snap->map, 0, b->p->size);
}

void vmw_buf_check(struct vmw_buf *b)
{
	vmw_buf_check_device(b);
	pattern_assert(b->p, b->surf->map, 0, b->p->size);
}

void vmw_buf_destroy(struct vmw_buf *b)
{
	vmw_surf_destroy(b->surf);
	vmw_surf_destroy(b->snap);
	pattern_free(b->p);
}

/* -------------------------------------------------------------- the model */

uint64_t vmw_ctl_get(struct vmw *vmw, enum svga3_ctl which)
{
	uint64_t value;

	igt_require_f(vmw->config >= 0, "the device is not svga3-model\n");
	igt_assert(!egm_svga3_get(vmw->config, which, &value));
	return value;
}

void vmw_ctl_set(struct vmw *vmw, enum svga3_ctl which, uint32_t val)
{
	igt_require_f(vmw->config >= 0, "the device is not svga3-model\n");
	igt_assert(!egm_svga3_set(vmw->config, which, val));
}
