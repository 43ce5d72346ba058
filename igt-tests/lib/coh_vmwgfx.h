/* SPDX-License-Identifier: MIT */
/*
 * vmwgfx's guest-backed surfaces, for tests, and the SVGA3 model below them.
 * Functions assert, or skip, and are for the main thread only, but for
 * vmw_submit().
 */
#ifndef COH_VMWGFX_H
#define COH_VMWGFX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xf86drm.h>
#include <svga3d_reg.h>

#include "coh_pattern.h"
#include "svga3_ctl.h"
#include "vmwgfx_drm.h"

struct vmw {
	int fd;
	int config;		/* the device's PCI config space */
	bool sm4;
};

struct vmw_surf {
	struct vmw *vmw;
	uint32_t handle, bo;
	bool shared;		/* bo is another's */
	uint32_t format, width, height, depth, mips, layers, samples;
	uint64_t size;		/* of its contents */
	uint64_t map_size;	/* of its buffer */
	uint64_t map_offset;
	void *map;
};

/* What to create; 0 stands for 1 of width and so on, and for no buffer. */
struct vmw_surf_info {
	uint32_t format, width, height, depth, mips, array, samples, bo;
	bool coherent, scanout;
};

struct vmw_subtest {
	const char *name;
	const char *description;	/* begins with the clause it is about */
	void (*run)(struct vmw *vmw);
};

struct vmw *vmw_open(void);
void vmw_close(struct vmw *vmw);
/* Runs an array of subtests, each with the device opened for it. */
void vmw_subtests(const struct vmw_subtest *tests, size_t n);
/* One of DRM_VMW_PARAM_* */
uint64_t vmw_param(struct vmw *vmw, uint32_t param);

struct vmw_surf *vmw_surf_create(struct vmw *vmw,
				 const struct vmw_surf_info *info);
/* A buffer of so many bytes, or an image of 32 bits a pixel */
struct vmw_surf *vmw_buffer(struct vmw *vmw, uint64_t size, bool coherent);
struct vmw_surf *vmw_image(struct vmw *vmw, uint32_t width, uint32_t height,
			   bool coherent);
void vmw_surf_destroy(struct vmw_surf *surf);
void *vmw_surf_mmap(const struct vmw_surf *surf, int prot);

/*
 * A submission. Returns 0 or -errno, and the fence's handle if there is a
 * pointer for it.
 */
int vmw_submit(struct vmw *vmw, const void *cmds, uint32_t size,
	       uint32_t *fence);
int vmw_fence_wait(struct vmw *vmw, uint32_t fence, uint64_t us);
bool vmw_fence_signaled(struct vmw *vmw, uint32_t fence);
void vmw_fence_unref(struct vmw *vmw, uint32_t fence);
/* Submit, and wait for it. */
void vmw_exec(struct vmw *vmw, const void *cmds, uint32_t size);

/*
 * What the device has: a copy of it by the device into another surface, which
 * is then read back. Only returns when it is done.
 */
void vmw_snapshot(struct vmw_surf *surf, struct vmw_surf *snap);
/* A surface of the same shape for it */
struct vmw_surf *vmw_snap_create(struct vmw_surf *surf);
/* All of its memory into the device's copy, asked for by name */
void vmw_update(struct vmw_surf *surf);
/*
 * Have the kernel look at it, with a command that does nothing; the second does
 * not wait for the device, the third never sleeps while it does.
 */
void vmw_touch(struct vmw_surf *surf);
int vmw_touch_nowait(struct vmw_surf *surf);
void vmw_touch_polled(struct vmw_surf *surf);
/* The device writes all of the surface, from another of the same shape. */
void vmw_device_write(struct vmw_surf *dst, struct vmw_surf *src);

/* Another surface of the same buffer, of so many bytes */
struct vmw_surf *vmw_surf_share(struct vmw_surf *surf, uint64_t size,
				bool coherent);

/* A buffer that no surface has */
struct vmw_mob {
	uint32_t bo;
	uint64_t size, offset;
};

struct vmw_mob vmw_mob_create(struct vmw *vmw, uint64_t size);
/* A coherent surface of SVGA3D_BUFFER, all of a buffer object */
struct vmw_surf *vmw_buffer_on(struct vmw *vmw, const struct vmw_mob *mob);
void vmw_mob_destroy(struct vmw *vmw, const struct vmw_mob *mob);
void *vmw_mob_mmap(struct vmw *vmw, const struct vmw_mob *mob);
/* The surface has it now: let go of the old one, and map it there. */
void vmw_surf_moved(struct vmw_surf *surf, const struct vmw_mob *mob);

/* Commands */
struct vmw_bind {
	SVGA3dCmdHeader header;
	SVGA3dCmdBindGBSurface body;
};

struct vmw_copy {
	SVGA3dCmdHeader header;
	SVGA3dCmdSurfaceCopy body;
	SVGA3dCopyBox box;
};

struct vmw_surf_cmd {
	SVGA3dCmdHeader header;
	uint32_t sid;
};

struct vmw_bind vmw_bind(const struct vmw_surf *surf, uint32_t bo);
/* Bytes of a buffer, at the same place in both */
struct vmw_copy vmw_copy(const struct vmw_surf *dst, const struct vmw_surf *src,
			 uint64_t off, uint64_t len);
/* UPDATE_GB_SURFACE, READBACK_GB_SURFACE */
struct vmw_surf_cmd vmw_surf_cmd(uint32_t id, const struct vmw_surf *surf);

/* A coherent surface, a snapshot of it, and what it should hold */
struct vmw_buf {
	struct vmw_surf *surf, *snap;
	struct pattern *p;
};

struct vmw_buf vmw_buf_of(struct vmw_surf *surf);
/* One that the device knows, and that is written in full */
struct vmw_buf vmw_buf_warm(struct vmw_surf *surf);
/* The device has what was written, and so has memory. */
void vmw_buf_check(struct vmw_buf *b);
/* The device does */
void vmw_buf_check_device(struct vmw_buf *b);
void vmw_buf_destroy(struct vmw_buf *b);

/* The model's knobs and counters; skips if the device is not the model. */
uint64_t vmw_ctl_get(struct vmw *vmw, enum svga3_ctl which);
void vmw_ctl_set(struct vmw *vmw, enum svga3_ctl which, uint32_t val);

#endif /* COH_VMWGFX_H */
