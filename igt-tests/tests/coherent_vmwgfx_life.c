// SPDX-License-Identifier: MIT
/**
 * TEST: coherent vmwgfx life
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: What happens to a coherent surface of vmwgfx and to its buffer between a
 *	store and a submission, on the SVGA3 model: other buffers, other surfaces, too little
 *	memory, and the end of the process.
 *
 * SUBTEST: switch-mapped
 * Description: C1, C3: a buffer that was written to becomes the surface's
 *
 * SUBTEST: switch-unmapped
 * Description: C1, C3: as switch-mapped, through a mapping that is gone
 *
 * SUBTEST: switch-written
 * Description: C1, C3: as switch-mapped, with a surface the device wrote to
 *
 * SUBTEST: switch-and-write
 * Description: C2: a submission binds a buffer and has the device write
 *
 * SUBTEST: swap-buffers
 * Description: C1, C3: two surfaces exchange their buffers
 *
 * SUBTEST: three-surfaces
 * Description: C2: the device wrote to the largest surface of a buffer
 *
 * SUBTEST: not-coherent
 * Description: C1: a surface that shares a coherent surface's buffer
 *
 * SUBTEST: evict
 * Description: C1, C3: more buffers than the device can address
 *
 * SUBTEST: swapout
 * Description: C1, C3: more buffers than TTM may have memory for
 *
 * SUBTEST: close-busy
 * Description: C3: the process ends with work in flight
 *
 * SUBTEST: slow
 * Description: C1, C2, C4: a device that is slower than the CPU
 *
 * SUBTEST: dumb-buffer
 * Description: C1, C5: a dumb buffer on a screen
 *
 * SUBTEST: flip
 * Description: C5: a page flip leaves the buffers to the CPU
 *
 * SUBTEST: present
 * Description: C1, C2: a surface is copied to the one that is shown
 *
 * SUBTEST: present-readback
 * Description: C1, C2: the kernel copies a buffer to the screen, and the screen to it
 *
 * SUBTEST: cursor
 * Description: C2: what the device has drawn is the cursor
 *
 * SUBTEST: cursor-image
 * Description: C1, C5: a cursor is sent when its image was written
 *
 * SUBTEST: cursor-shared
 * Description: C1: a cursor's buffer is a surface's as well
 *
 * SUBTEST: cursor-first
 * Description: C3: a cursor's buffer becomes a surface's
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <drm_fourcc.h>
#include <xf86drmMode.h>

#include "coherent.h"
#include "igt_core.h"
#include "coh_vmwgfx.h"

IGT_TEST_DESCRIPTION("The life of vmwgfx's coherent surfaces and their buffers");

#define SMALL KiB(64)

/* ------------------------------------------------------- changing buffers */

/* What was written to the new buffer before it was the surface's */
static void switch_buffer(struct vmw *vmw, bool mapped, bool written)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	struct vmw_mob mob = vmw_mob_create(vmw, SMALL);
	void *map = vmw_mob_mmap(vmw, &mob);
	struct vmw_bind bind = vmw_bind(b.surf, mob.bo);
	struct vmw_surf *src = vmw_buffer(vmw, SMALL, false);

	/* the device has something else, which is not wanted any more */
	if (written) {
		memset(src->map, 0x5a, SMALL);
		vmw_update(src);
		vmw_device_write(b.surf, src);
	}
	pattern_fill(b.p, map, 0, SMALL);
	if (!mapped)
		munmap(map, SMALL);
	vmw_exec(b.surf->vmw, &bind, sizeof(bind));
	vmw_surf_moved(b.surf, &mob);
	vmw_buf_check(&b);

	/* and it is tracked */
	pattern_fill(b.p, mapped ? map : b.surf->map, 3 * PAGE, 2 * PAGE);
	vmw_buf_check(&b);
	if (mapped)
		munmap(map, SMALL);
	vmw_surf_destroy(src);
	vmw_buf_destroy(&b);
}

static void switch_mapped(struct vmw *vmw)
{
	switch_buffer(vmw, true, false);
}

static void switch_unmapped(struct vmw *vmw)
{
	switch_buffer(vmw, false, false);
}

static void switch_written(struct vmw *vmw)
{
	switch_buffer(vmw, true, true);
}

/* The same submission binds the buffer, and has the device write. */
static void switch_and_write(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	struct vmw_mob mob = vmw_mob_create(vmw, SMALL);
	struct vmw_surf *src = vmw_buffer(vmw, SMALL, false);
	const volatile uint64_t *map = vmw_mob_mmap(vmw, &mob);
	struct {
		struct vmw_bind bind;
		SVGA3dCmdHeader header;
		SVGA3dCmdSurfaceCopy body;
		SVGA3dCopyBox box;
	} c = {
		vmw_bind(b.surf, mob.bo),
		{ SVGA_3D_CMD_SURFACE_COPY, sizeof(c.body) + sizeof(c.box) },
		{ { src->handle, 0, 0 }, { b.surf->handle, 0, 0 } },
		{ .w = SMALL, .h = 1, .d = 1 },
	};

	/* its pages are there, and not what the surface will be */
	igt_assert_eq(map[0], 0);
	pattern_fill(b.p, src->map, 0, SMALL);
	vmw_update(src);
	vmw_exec(vmw, &c, sizeof(c));
	vmw_surf_moved(b.surf, &mob);
	pattern_assert(b.p, (void *)map, 0, SMALL);
	vmw_buf_check(&b);
	munmap((void *)map, SMALL);
	vmw_surf_destroy(src);
	vmw_buf_destroy(&b);
}

/* Two surfaces, two buffers, to and fro */
static void swap_buffers(struct vmw *vmw)
{
	struct vmw_buf b[2];
	struct vmw_bind bind[2];
	struct rng r = rng_new(7);
	uint32_t bo;
	void *map;
	int i, j;

	for (i = 0; i < 2; i++)
		b[i] = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	for (j = 0; j < 20; j++) {
		struct pattern *p = b[0].p;

		/* before and after, the one and the other */
		pattern_fill(b[j & 1].p, b[j & 1].surf->map,
			     rng_below(&r, SMALL / PAGE) * PAGE, PAGE);
		b[0].p = b[1].p;
		b[1].p = p;
		bo = b[0].surf->bo;
		map = b[0].surf->map;
		b[0].surf->bo = b[1].surf->bo;
		b[0].surf->map = b[1].surf->map;
		b[1].surf->bo = bo;
		b[1].surf->map = map;
		for (i = 0; i < 2; i++)
			bind[i] = vmw_bind(b[i].surf, b[i].surf->bo);
		vmw_exec(vmw, bind, sizeof(bind));
		pattern_fill(b[0].p, b[0].surf->map,
			     rng_below(&r, SMALL / PAGE) * PAGE, PAGE);
		vmw_buf_check(&b[1]);
		vmw_buf_check(&b[0]);
	}
	for (i = 0; i < 2; i++)
		vmw_buf_destroy(&b[i]);
}

/* ------------------------------------------------------- several surfaces */

/* The device has written to the largest of three. */
static void three_surfaces(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, MiB(1), true));
	struct vmw_surf *src = vmw_buffer(vmw, MiB(1), false);
	struct vmw_surf *other[2];
	int i;

	for (i = 0; i < 2; i++) {
		other[i] = vmw_surf_share(b.surf, SMALL, true);
		vmw_touch(other[i]);
	}
	pattern_fill(b.p, src->map, 0, MiB(1));
	vmw_update(src);
	vmw_device_write(b.surf, src);
	/* first where only it is */
	pattern_assert(b.p, b.surf->map + SMALL * 4, SMALL * 4, SMALL);
	pattern_assert(b.p, b.surf->map, 0, MiB(1));
	for (i = 0; i < 2; i++)
		vmw_surf_destroy(other[i]);
	vmw_buf_check(&b);
	vmw_surf_destroy(src);
	vmw_buf_destroy(&b);
}

/* One that is not coherent by itself is, as long as the other is there. */
static void not_coherent(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	struct vmw_surf *other = vmw_surf_share(b.surf, SMALL, false);
	struct vmw_surf *snap = vmw_snap_create(other);
	uint64_t before;
	struct vmw_mob mob;
	void *map;

	vmw_update(other);
	vmw_touch(other);
	pattern_fill(b.p, b.surf->map, 2 * PAGE, 3 * PAGE);
	vmw_snapshot(other, snap);
	pattern_assert(b.p, snap->map, 0, SMALL);
	vmw_buf_check(&b);

	/* the coherent one leaves: nothing is uploaded any more */
	mob = vmw_mob_create(vmw, SMALL);
	map = vmw_surf_mmap(b.surf, PROT_READ | PROT_WRITE);
	{
		struct vmw_bind bind = vmw_bind(b.surf, mob.bo);

		vmw_exec(vmw, &bind, sizeof(bind));
	}
	memset(map, 0x11, SMALL);
	vmw_touch(other);
	before = vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES);
	memset(map, 0x22, SMALL);
	vmw_touch(other);
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES), before);
	munmap(map, SMALL);
	vmw_surf_destroy(other);
	vmw_surf_destroy(snap);
	vmw_surf_moved(b.surf, &mob);
	vmw_buf_destroy(&b);
}

/* -------------------------------------------------------- memory pressure */

/* Returns the most that tmpfs had meanwhile. */
static uint64_t pressure(struct vmw *vmw, uint64_t n)
{
	struct rng r = rng_new(3);
	struct vmw_buf *b;
	uint64_t i, now, shmem = 0;
	int round;

	b = calloc(n, sizeof(*b));
	igt_assert(b);
	for (i = 0; i < n; i++)
		b[i] = vmw_buf_warm(vmw_buffer(vmw, MiB(1), true));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < n; i++) {
			uint64_t page = rng_below(&r, MiB(1) / PAGE - 2);

			pattern_fill(b[i].p, b[i].surf->map, page * PAGE,
				     2 * PAGE);
		}
		for (i = 0; i < n; i++) {
			vmw_buf_check(&b[rng_below(&r, n)]);
			now = coh_meminfo("Shmem:");
			shmem = now > shmem ? now : shmem;
		}
	}
	for (i = 0; i < n; i++) {
		vmw_buf_check(&b[i]);
		vmw_buf_destroy(&b[i]);
	}
	free(b);
	return shmem;
}

/* More than the device can address at a time */
static void evict(struct vmw *vmw)
{
	uint64_t limit = vmw_param(vmw, DRM_VMW_PARAM_MAX_MOB_MEMORY);

	igt_require_f(limit <= MiB(64),
		      "the device's memory is not limited to 64 MiB: scripts/vm --svga3='--mob-memory 16'\n");
	pressure(vmw, limit / MiB(1) * 3 / 2);
}

#define PAGES_LIMIT "/sys/module/ttm/parameters/pages_limit"
#define SWAP_BUFS 8

static char pages_limit[32];

static void pages_limit_restore(int sig)
{
	if (pages_limit[0])
		coh_write(PAGES_LIMIT, pages_limit);
	(void)sig;
}

/*
 * TTM may have 4 MiB for buffers of 16, and swaps out others to tmpfs, where
 * what the buffers should hold is, too. It does not insist: when it finds none
 * that it can swap out it goes over the limit. So it gets more than one chance.
 */
static void swapout(struct vmw *vmw)
{
	uint64_t before = coh_meminfo("Shmem:"), most = 0;
	FILE *f = fopen(PAGES_LIMIT, "r");
	int tries;

	igt_require_f(f, "no %s\n", PAGES_LIMIT);
	igt_assert(fgets(pages_limit, sizeof(pages_limit), f));
	fclose(f);
	igt_assert(!coh_write(PAGES_LIMIT, "1024\n"));
	for (tries = 0; tries < 8 &&
	     most < before + SWAP_BUFS * MiB(1) + MiB(2); tries++)
		most = pressure(vmw, SWAP_BUFS);
	pages_limit_restore(0);
	igt_require_f(before + SWAP_BUFS * MiB(1) + MiB(2) <= most,
		      "TTM has swapped out none of the buffers\n");
}

/* The process ends with stores that were not submitted, and work in flight. */
static void close_busy(struct vmw *vmw)
{
	struct vmw_surf *mine = vmw_buffer(vmw, SMALL, true);
	uint64_t surfaces;
	int status, i;
	pid_t pid;

	vmw_touch(mine);
	surfaces = vmw_ctl_get(vmw, SVGA3_SURFACES);
	vmw_ctl_set(vmw, SVGA3_DELAY_US, 200000);
	pid = fork();
	igt_assert(pid >= 0);
	if (!pid) {
		struct vmw own = *vmw;
		struct vmw_surf *surf;

		own.fd = coh_open_node("vmwgfx", O_RDWR | O_CLOEXEC);
		for (i = 0; i < 4; i++) {
			surf = vmw_buffer(&own, MiB(1), true);
			memset(surf->map, i, MiB(1));
			vmw_touch_nowait(surf);
			memset(surf->map, i + 1, MiB(1) / 2);
			vmw_touch_nowait(surf);
			memset(surf->map, i + 2, MiB(1) / 4);
		}
		_exit(0);
	}
	igt_assert(waitpid(pid, &status, 0) == pid);
	igt_assert(WIFEXITED(status) && !WEXITSTATUS(status));
	vmw_ctl_set(vmw, SVGA3_DELAY_US, 0);
	/*
	 * A command to destroy a surface is not sent to the device at once, but
	 * with the next submission of anyone.
	 */
	for (i = 0; i < 100; i++) {
		vmw_touch(mine);
		if (vmw_ctl_get(vmw, SVGA3_SURFACES) <= surfaces)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	}
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_SURFACES), surfaces);
	vmw_surf_destroy(mine);
}

/*
 * The CPU does not wait for the device, which is behind by some submissions. In the
 * pages of one chunk it stores to one, and the device writes another.
 */
static void slow(struct vmw *vmw)
{
	enum { ROUNDS = 40, CPU = 3, DEVICE = 9, BACK = 12 };
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	struct vmw_surf *src = vmw_buffer(vmw, SMALL, false);
	struct vmw_copy copy = vmw_copy(b.surf, src, DEVICE * PAGE, PAGE);
	struct vmw_surf_cmd update =
		vmw_surf_cmd(SVGA_3D_CMD_UPDATE_GB_SURFACE, src);
	struct {
		struct vmw_surf_cmd update;
		struct vmw_copy copy;
		struct vmw_surf_cmd back;
	} cmds = {
		update, copy,
		vmw_surf_cmd(SVGA_3D_CMD_READBACK_GB_SURFACE, b.surf),
	};
	int i, ret;

	pattern_fill(b.p, src->map, DEVICE * PAGE, PAGE);
	vmw_ctl_set(vmw, SVGA3_SLOW_US, 3000);
	for (i = 0; i < ROUNDS; i++) {
		/* every third without the read-back that user space asks for */
		ret = vmw_submit(vmw, &cmds, sizeof(cmds) - (i % 3 ? 0 :
				 sizeof(cmds.back)), NULL);
		igt_assert_f(!ret, "submission: %s\n", strerror(-ret));
		pattern_fill(b.p, b.surf->map, CPU * PAGE + i * 64, 64);
		if (i % 5 == 4)
			vmw_buf_check(&b);
	}
	pattern_fill(b.p, b.surf->map, BACK * PAGE, PAGE);
	vmw_buf_check(&b);
	vmw_ctl_set(vmw, SVGA3_SLOW_US, 0);
	vmw_surf_destroy(src);
	vmw_buf_destroy(&b);
}

/* ---------------------------------------------------------------- display */

static uint32_t connected(int fd, drmModeModeInfo *mode, uint32_t *crtc)
{
	drmModeRes *res = drmModeGetResources(fd);
	uint32_t id = 0;
	int i;

	igt_require_f(res && res->count_crtcs, "the device has no CRTC\n");
	*crtc = res->crtcs[0];
	for (i = 0; i < res->count_connectors && !id; i++) {
		drmModeConnector *c =
			drmModeGetConnector(fd, res->connectors[i]);

		if (c && c->connection == DRM_MODE_CONNECTED && c->count_modes) {
			id = c->connector_id;
			*mode = c->modes[0];
		}
		drmModeFreeConnector(c);
	}
	drmModeFreeResources(res);
	igt_require_f(id, "no connector is connected\n");
	return id;
}

struct dumb {
	uint32_t fb;
	struct drm_mode_create_dumb dumb;
	char *map;
};

static void dumb_create(int fd, struct dumb *d, uint32_t width, uint32_t height)
{
	struct drm_mode_map_dumb where = { };

	d->dumb = (struct drm_mode_create_dumb){
		.bpp = 32, .width = width, .height = height,
	};
	igt_assert(!drmIoctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &d->dumb));
	where.handle = d->dumb.handle;
	igt_assert(!drmIoctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &where));
	d->map = mmap(NULL, d->dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, where.offset);
	igt_assert(d->map != MAP_FAILED);
}

static void dumb_destroy(int fd, struct dumb *d)
{
	munmap(d->map, d->dumb.size);
	drmCloseBufferHandle(fd, d->dumb.handle);
}

/* The model, and a file that is master: not a render node, as vmw->fd is */
static struct vmw open_master(struct vmw *vmw)
{
	struct vmw own = *vmw;

	own.fd = drmOpenWithType("vmwgfx", NULL, DRM_NODE_PRIMARY);
	igt_require_f(own.fd >= 0 && drmIsMaster(own.fd),
		      "another has the display\n");
	return own;
}

/* A screen, and dumb buffers to show on it */
struct shown {
	struct vmw own;
	uint32_t connector, crtc;
	drmModeModeInfo mode;
	struct dumb buf[2];
};

static struct shown shown_open(struct vmw *vmw)
{
	struct shown s = { .own = open_master(vmw) };
	int i;

	s.connector = connected(s.own.fd, &s.mode, &s.crtc);
	for (i = 0; i < 2; i++) {
		struct dumb *d = &s.buf[i];

		dumb_create(s.own.fd, d, s.mode.hdisplay, s.mode.vdisplay);
		memset(d->map, 0x40 + i, d->dumb.size);
		igt_assert(!drmModeAddFB(s.own.fd, d->dumb.width,
					 d->dumb.height, 24, 32, d->dumb.pitch,
					 d->dumb.handle, &d->fb));
	}
	return s;
}

static void shown_set(struct shown *s, int which)
{
	igt_assert(!drmModeSetCrtc(s->own.fd, s->crtc, s->buf[which].fb, 0, 0,
				   &s->connector, 1, &s->mode));
}

static void shown_close(struct shown *s)
{
	int i;

	igt_assert(!drmModeSetCrtc(s->own.fd, s->crtc, 0, 0, 0, NULL, 0, NULL));
	for (i = 0; i < 2; i++) {
		drmModeRmFB(s->own.fd, s->buf[i].fb);
		dumb_destroy(s->own.fd, &s->buf[i]);
	}
	drmClose(s->own.fd);
}

/* A dumb buffer is coherent: a page written is a page uploaded. */
static void dumb_buffer(struct vmw *vmw)
{
	struct shown s = shown_open(vmw);
	struct dumb *d = &s.buf[0];
	struct vmw_surf *sync = vmw_buffer(vmw, PAGE, false);
	drmModeClip clip = { .x2 = s.mode.hdisplay, .y2 = s.mode.vdisplay };
	uint64_t before, bytes;
	int i;

	before = vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES);
	shown_set(&s, 0);
	/* all of it was written before it was shown */
	vmw_touch(sync);
	bytes = vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES) - before;
	igt_assert_lte(d->dumb.pitch * d->dumb.height, bytes);

	for (i = 0; i < 5; i++)
		igt_assert(!drmModeDirtyFB(s.own.fd, d->fb, &clip, 1));
	vmw_touch(sync);
	before = vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES);
	memset(d->map + 8 * PAGE, 0x80, PAGE);
	igt_assert(!drmModeDirtyFB(s.own.fd, d->fb, &clip, 1));
	vmw_touch(sync);
	bytes = vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES) - before;
	igt_assert_eq_u64(bytes, PAGE);

	shown_close(&s);
	vmw_surf_destroy(sync);
}

/* A page flip is not something that the device writes. */
static void flip(struct vmw *vmw)
{
	struct shown s = shown_open(vmw);
	struct egm_dev *dev = coh_open(&egm_vmwgfx);
	struct egm_counters before, after;
	int i, ms, ret;

	shown_set(&s, 0);
	coh_counters(dev, &before);
	for (i = 1; i < 7; i++) {
		memset(s.buf[i & 1].map + i * PAGE, i, PAGE);
		/* until the one before is over */
		for (ms = 0; ms < 2000; ms += 10) {
			ret = drmModePageFlip(s.own.fd, s.crtc,
					      s.buf[i & 1].fb, 0, NULL);
			if (ret != -EBUSY)
				break;
			usleep(10000);
		}
		igt_assert_f(!ret, "page flip: %s\n", strerror(-ret));
	}
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "chunks_revoked"), 0);
	usleep(100000);
	shown_close(&s);
	coh_close(dev);
}

/* What is copied to the screen is in the buffer that is shown. */
static void present(struct vmw *vmw)
{
	struct shown s = shown_open(vmw);
	struct dumb *d = &s.buf[0];
	uint32_t row = s.mode.hdisplay * 4, y, rows = 8;
	struct vmw_surf *src = vmw_surf_create(&s.own, &(struct vmw_surf_info){
		.format = vmw->sm4 ? SVGA3D_B8G8R8X8_UNORM : SVGA3D_X8R8G8B8,
		.width = s.mode.hdisplay,
		.height = rows,
	});
	struct drm_vmw_rect clip = { .w = s.mode.hdisplay, .h = rows };
	struct drm_vmw_present_arg arg = {
		.fb_id = d->fb,
		.sid = src->handle,
		.dest_y = 3,
		.clips_ptr = (uintptr_t)&clip,
		.num_clips = 1,
	};
	char *want = malloc(row);
	int i;

	igt_assert(want);
	shown_set(&s, 0);
	for (i = 1; i < 4; i++) {
		memset(src->map, 0x10 * i, src->size);
		vmw_update(src);
		igt_assert(!drmCommandWrite(s.own.fd, DRM_VMW_PRESENT, &arg,
					    sizeof(arg)));
		/* neither is lost, the one for the other */
		memset(d->map, i, row);
		for (y = 0; y < 20; y++) {
			bool shown = y >= 3 && y < 3 + rows;

			memset(want, shown ? 0x10 * i : y ? 0x40 : i, row);
			igt_assert_f(!memcmp(d->map + y * d->dumb.pitch, want,
					     row), "round %d, row %u\n", i, y);
		}
	}
	free(want);
	vmw_surf_destroy(src);
	shown_close(&s);
}

/*
 * A framebuffer that is a plain buffer is copied to the screen and from it by the
 * kernel. It can be a coherent surface's, too.
 */
static void present_readback(struct vmw *vmw)
{
	struct shown s = shown_open(vmw);
	uint32_t row = s.mode.hdisplay * 4;
	uint64_t size = (uint64_t)row * s.mode.vdisplay, i;
	struct vmw_mob mob = vmw_mob_create(&s.own, size);
	struct vmw_surf *surf, *snap, *src;
	drmModeClip all = { .x2 = s.mode.hdisplay, .y2 = s.mode.vdisplay };
	struct drm_vmw_rect clip = { .w = s.mode.hdisplay, .h = 8 };
	struct drm_vmw_present_readback_arg arg = {
		.clips_ptr = (uintptr_t)&clip,
		.num_clips = 1,
	};
	uint8_t *map;
	uint32_t fb;

	igt_assert(!drmModeAddFB(s.own.fd, s.mode.hdisplay, s.mode.vdisplay, 24,
				 32, row, mob.bo, &fb));
	arg.fb_id = fb;
	surf = vmw_buffer_on(&s.own, &mob);
	snap = vmw_snap_create(surf);
	src = vmw_buffer(&s.own, size, false);
	map = surf->map;
	memset(map, 0x11, size);
	vmw_snapshot(surf, snap);
	igt_assert(!drmModeSetCrtc(s.own.fd, s.crtc, fb, 0, 0, &s.connector, 1,
				   &s.mode));

	/* What the kernel stores is for the device, too. */
	memset(map, 0x22, size);
	vmw_touch(surf);
	igt_assert(!drmCommandWrite(s.own.fd, DRM_VMW_PRESENT_READBACK, &arg,
				    sizeof(arg)));
	vmw_snapshot(surf, snap);
	for (i = 0; i < size; i += 4) {
		uint8_t want = i < 8 * row ? 0x11 : 0x22;

		igt_assert_eq(map[i], want);
		igt_assert_f(((uint8_t *)snap->map)[i] == want,
			     "what the screen had is not on the device: %#x at %#jx\n",
			     ((uint8_t *)snap->map)[i], (uintmax_t)i);
	}

	/* What the device wrote is what is shown, */
	memset(src->map, 0x33, size);
	vmw_update(src);
	vmw_device_write(surf, src);
	igt_assert(!drmModeDirtyFB(s.own.fd, fb, &all, 1));
	memset(map, 0x44, size);
	/* and it is not read back over what the kernel stores. */
	memset(src->map, 0x55, size);
	vmw_update(src);
	vmw_device_write(surf, src);
	igt_assert(!drmCommandWrite(s.own.fd, DRM_VMW_PRESENT_READBACK, &arg,
				    sizeof(arg)));
	vmw_snapshot(surf, snap);
	for (i = 0; i < size; i += 4) {
		uint8_t want = i < 8 * row ? 0x33 : 0x55;

		igt_assert_f(map[i] == want, "%#x at %#jx\n", map[i],
			     (uintmax_t)i);
		igt_assert_eq(((uint8_t *)snap->map)[i], want);
	}

	vmw_surf_destroy(surf);
	vmw_surf_destroy(snap);
	vmw_surf_destroy(src);
	shown_set(&s, 0);
	drmModeRmFB(s.own.fd, fb);
	vmw_mob_destroy(&s.own, &mob);
	shown_close(&s);
}

#define CURSOR 64

/* What the device has for a cursor is this pixel, all over. */
static void cursor_is(struct vmw *vmw, uint64_t cursors, uint32_t pixel)
{
	uint64_t sum;
	int ms;

	for (ms = 0; ms < 2000 && vmw_ctl_get(vmw, SVGA3_CURSORS) == cursors;
	     ms += 10)
		usleep(10000);
	igt_assert_lt(cursors, vmw_ctl_get(vmw, SVGA3_CURSORS));
	sum = vmw_ctl_get(vmw, SVGA3_CURSOR_SUM);
	igt_assert_f(sum == (uint64_t)CURSOR * CURSOR * pixel,
		     "the cursor is %#jx, %#x wanted\n",
		     (uintmax_t)sum / CURSOR / CURSOR, pixel);
}

/* The kernel takes the image of a cursor from the memory of its surface. */
static void cursor(struct vmw *vmw)
{
	struct shown s = shown_open(vmw);
	const struct vmw_surf_info info = {
		.format = SVGA3D_A8R8G8B8, .width = CURSOR, .height = CURSOR,
		.coherent = true, .scanout = true,
	};
	struct vmw_surf *surf = vmw_surf_create(&s.own, &info);
	struct vmw_surf *src = vmw_image(&s.own, CURSOR, CURSOR, false);
	uint64_t cursors;
	int i, ret;

	shown_set(&s, 0);
	for (i = 1; i < 4; i++) {
		memset(surf->map, i, surf->size);
		cursors = vmw_ctl_get(vmw, SVGA3_CURSORS);
		ret = drmModeSetCursor(s.own.fd, s.crtc, surf->handle, CURSOR,
				       CURSOR);
		igt_assert_f(!ret, "cursor: %s\n", strerror(-ret));
		cursor_is(vmw, cursors, i * 0x01010101);
		igt_assert(!drmModeSetCursor(s.own.fd, s.crtc, 0, 0, 0));

		memset(src->map, 0x10 + i, src->size);
		vmw_update(src);
		vmw_device_write(surf, src);
		cursors = vmw_ctl_get(vmw, SVGA3_CURSORS);
		igt_assert(!drmModeSetCursor(s.own.fd, s.crtc, surf->handle,
					     CURSOR, CURSOR));
		cursor_is(vmw, cursors, (0x10 + i) * 0x01010101);
		igt_assert(!drmModeSetCursor(s.own.fd, s.crtc, 0, 0, 0));
	}
	vmw_surf_destroy(surf);
	vmw_surf_destroy(src);
	shown_close(&s);
}

/* A cursor, and a surface with which the device can be waited for */
struct cursor {
	struct vmw own;
	uint32_t crtc;
	struct dumb image;
	struct vmw_surf *sync;
};

static struct cursor cursor_open(struct vmw *vmw)
{
	struct cursor c = { .own = open_master(vmw) };
	drmModeModeInfo mode;

	connected(c.own.fd, &mode, &c.crtc);
	dumb_create(c.own.fd, &c.image, CURSOR, CURSOR);
	memset(c.image.map, 0x11, c.image.dumb.size);
	c.sync = vmw_buffer(vmw, PAGE, false);
	return c;
}

static void cursor_set(struct cursor *c, uint32_t handle)
{
	igt_assert(!drmModeSetCursor(c->own.fd, c->crtc, handle, CURSOR,
				     CURSOR));
}

static void cursor_close(struct cursor *c)
{
	cursor_set(c, 0);
	vmw_surf_destroy(c->sync);
	dumb_destroy(c->own.fd, &c->image);
	drmClose(c->own.fd);
}

/* So many images were sent, and the last is as in memory. */
static void cursor_expect(struct cursor *c, uint64_t *cursors, uint64_t images)
{
	const uint32_t *pixels = (const uint32_t *)c->image.map;
	struct vmw *vmw = c->sync->vmw;
	uint64_t sum = 0;
	int i;

	vmw_touch(c->sync);
	for (i = 0; i < CURSOR * CURSOR; i++)
		sum += pixels[i];
	*cursors += images;
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_CURSORS), *cursors);
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_CURSOR_SUM), sum);
}

/* It is sent when it was written, and not when it is only moved. */
static void cursor_image(struct vmw *vmw)
{
	drmVersion *version = drmGetVersion(vmw->fd);
	int minor = version->version_minor, i;
	struct cursor c;
	uint64_t cursors;

	drmFreeVersion(version);
	igt_require_f(minor >= 21, "version 2.%d of the driver does not look at it\n",
		      minor);
	c = cursor_open(vmw);
	cursor_set(&c, c.image.dumb.handle);
	/* what was written before may be taken for news */
	igt_assert(!drmModeMoveCursor(c.own.fd, c.crtc, 0, 0));
	vmw_touch(c.sync);
	cursors = vmw_ctl_get(vmw, SVGA3_CURSORS);
	for (i = 1; i < 9; i++) {
		igt_assert(!drmModeMoveCursor(c.own.fd, c.crtc, i, i));
		cursor_expect(&c, &cursors, 0);
		if (i & 1)
			memset(c.image.map + i * 1024, i, 4);
		else
			memset(c.image.map, i, c.image.dumb.size);
		igt_assert(!drmModeMoveCursor(c.own.fd, c.crtc, i, 0));
		cursor_expect(&c, &cursors, 1);
	}
	cursor_set(&c, 0);
	cursor_expect(&c, &cursors, 0);
	cursor_set(&c, c.image.dumb.handle);
	cursor_expect(&c, &cursors, 1);
	cursor_close(&c);
}

static uint32_t cursor_plane(int fd)
{
	drmModePlaneRes *planes;
	uint32_t id = 0, i, j;

	igt_assert(!drmSetClientCap(fd, DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1));
	planes = drmModeGetPlaneResources(fd);
	igt_assert(planes);
	for (i = 0; i < planes->count_planes && !id; i++) {
		drmModeObjectProperties *props =
			drmModeObjectGetProperties(fd, planes->planes[i],
						   DRM_MODE_OBJECT_PLANE);

		for (j = 0; props && j < props->count_props; j++) {
			drmModePropertyRes *prop =
				drmModeGetProperty(fd, props->props[j]);

			if (prop && !strcmp(prop->name, "type") &&
			    props->prop_values[j] == DRM_PLANE_TYPE_CURSOR)
				id = planes->planes[i];
			drmModeFreeProperty(prop);
		}
		drmModeFreeObjectProperties(props);
	}
	drmModeFreePlaneResources(planes);
	igt_assert(id);
	return id;
}

/*
 * It takes nothing from a surface that has the same buffer. The framebuffer is of the
 * buffer, which has no surface yet.
 */
static void cursor_shared(struct vmw *vmw)
{
	struct cursor c = cursor_open(vmw);
	struct vmw_mob mob = vmw_mob_create(&c.own, c.image.dumb.size);
	uint32_t plane = cursor_plane(c.own.fd), fb, i;
	struct vmw_buf b;

	igt_assert(!drmModeAddFB2(c.own.fd, CURSOR, CURSOR, DRM_FORMAT_ARGB8888,
				  (uint32_t[4]){ mob.bo },
				  (uint32_t[4]){ CURSOR * 4 },
				  (uint32_t[4]){ }, &fb, 0));
	b = vmw_buf_warm(vmw_buffer_on(&c.own, &mob));
	vmw_buf_check(&b);
	for (i = 0; i < 8; i++) {
		pattern_fill(b.p, b.surf->map, i % 4 * PAGE, PAGE);
		igt_assert(!drmModeSetPlane(c.own.fd, plane, c.crtc, fb, 0, i, i,
					    CURSOR, CURSOR, 0, 0, CURSOR << 16,
					    CURSOR << 16));
		vmw_buf_check(&b);
	}
	cursor_set(&c, 0);
	drmModeRmFB(c.own.fd, fb);
	vmw_buf_destroy(&b);
	vmw_mob_destroy(&c.own, &mob);
	cursor_close(&c);
}

/* It is pinned where the device can have it for a surface, too. */
static void cursor_first(struct vmw *vmw)
{
	struct cursor c = cursor_open(vmw);
	struct vmw_mob mob = vmw_mob_create(&c.own, c.image.dumb.size);
	struct vmw_buf b;

	cursor_set(&c, mob.bo);
	b = vmw_buf_warm(vmw_buffer_on(&c.own, &mob));
	vmw_buf_check(&b);
	vmw_buf_destroy(&b);
	vmw_mob_destroy(&c.own, &mob);
	cursor_close(&c);
}

static const struct vmw_subtest subtests[] = {
	{ "switch-mapped",
	  "C1, C3: a buffer that was written to becomes the surface's",
	  switch_mapped },
	{ "switch-unmapped",
	  "C1, C3: as switch-mapped, through a mapping that is gone",
	  switch_unmapped },
	{ "switch-written",
	  "C1, C3: as switch-mapped, with a surface the device wrote to",
	  switch_written },
	{ "switch-and-write",
	  "C2: a submission binds a buffer and has the device write",
	  switch_and_write },
	{ "swap-buffers", "C1, C3: two surfaces exchange their buffers",
	  swap_buffers },
	{ "three-surfaces",
	  "C2: the device wrote to the largest surface of a buffer",
	  three_surfaces },
	{ "not-coherent",
	  "C1: a surface that shares a coherent surface's buffer",
	  not_coherent },
	{ "evict", "C1, C3: more buffers than the device can address", evict },
	{ "swapout", "C1, C3: more buffers than TTM may have memory for",
	  swapout },
	{ "close-busy", "C3: the process ends with work in flight",
	  close_busy },
	{ "slow", "C1, C2, C4: a device that is slower than the CPU", slow },
	{ "dumb-buffer", "C1, C5: a dumb buffer on a screen", dumb_buffer },
	{ "flip", "C5: a page flip leaves the buffers to the CPU", flip },
	{ "present", "C1, C2: a surface is copied to the one that is shown",
	  present },
	{ "present-readback",
	  "C1, C2: the kernel copies a buffer to the screen, and the screen to it",
	  present_readback },
	{ "cursor", "C2: what the device has drawn is the cursor", cursor },
	{ "cursor-image", "C1, C5: a cursor is sent when its image was written",
	  cursor_image },
	{ "cursor-shared",
	  "C1: a cursor's buffer is a surface's as well", cursor_shared },
	{ "cursor-first", "C3: a cursor's buffer becomes a surface's",
	  cursor_first },
};

int coh_main()
{
	igt_fixture()
		igt_install_exit_handler(pages_limit_restore);

	vmw_subtests(subtests, ARRAY_SIZE(subtests));
}
