// SPDX-License-Identifier: MIT
/**
 * TEST: coherent vmwgfx limits
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: What vmwgfx's coherent surfaces cost, and where their limits are: bytes
 *	that are uploaded, commands, memory, and what user space must not be able to do. On
 *	the SVGA3 model.
 *
 * SUBTEST: both-ends
 * Description: C5: a page at each end is two pages to upload
 *
 * SUBTEST: sparse-buffer
 * Description: C5: what is uploaded of pages here and there
 *
 * SUBTEST: sparse-images
 * Description: C5: the same of images
 *
 * SUBTEST: sparse-contents
 * Description: C1: the boxes of images are those that were written
 *
 * SUBTEST: subresources
 * Description: C5: commands for thousands of images
 *
 * SUBTEST: new-buffer
 * Description: C5: what is uploaded of a new buffer
 *
 * SUBTEST: track-off
 * Description: C1, C2: the parameter that turns the tracking off
 *
 * SUBTEST: refused-buffer
 * Description: Memory of surfaces that are refused
 *
 * SUBTEST: gone-surface
 * Description: A surface goes before it was used
 *
 * SUBTEST: larger-than-pool
 * Description: Nothing waits for ever: too many commands
 *
 * SUBTEST: bind-nothing
 * Description: A buffer is bound to no surface
 *
 * SUBTEST: subresources-most
 * Description: Nothing waits for ever: 49152 images
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"
#include "coh_vmwgfx.h"

IGT_TEST_DESCRIPTION("Cost and limits of vmwgfx's coherent surfaces");

#define LARGE MiB(64)

/* --------------------------------------------------------- what is uploaded */

struct cost {
	uint64_t bytes, updates;
};

static struct cost cost_now(struct vmw *vmw)
{
	return (struct cost){
		vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES),
		vmw_ctl_get(vmw, SVGA3_UPDATES),
	};
}

static struct cost cost_since(struct vmw *vmw, struct cost before)
{
	struct cost now = cost_now(vmw);

	return (struct cost){
		now.bytes - before.bytes, now.updates - before.updates,
	};
}

/* A surface that the device has, and that nobody has written to for long */
static struct vmw_surf *quiet(struct vmw_surf *surf)
{
	int i;

	memset(surf->map, 1, surf->size);
	for (i = 0; i < 25; i++)
		vmw_touch(surf);
	return surf;
}

/* Writes n pages, and says what that has cost with the next use. */
static struct cost sparse(struct vmw_surf *surf, uint64_t n, uint64_t seed)
{
	struct rng r = rng_new(seed);
	uint64_t pages = surf->size / PAGE, i;
	char *was = calloc(pages, 1);
	struct cost before;

	igt_assert(was);
	for (i = 0; i < n;) {
		uint64_t page = rng_below(&r, pages);

		if (was[page])
			continue;
		was[page] = 1;
		((volatile char *)surf->map)[page * PAGE + i % PAGE]++;
		i++;
	}
	free(was);
	before = cost_now(surf->vmw);
	vmw_touch(surf);
	before = cost_since(surf->vmw, before);
	before.updates--;	/* that of the touch is one of nothing */
	return before;
}

/* A row of a table, and whether it is what was written and at most a tenth more */
static bool sparse_row(const char *what, struct vmw_surf *surf, uint64_t n)
{
	struct cost cost = sparse(surf, n, n);

	igt_info("%-22s %8" PRIu64 " KiB written %8" PRIu64
		 " KiB uploaded %6" PRIu64 " commands\n", what,
		 n * PAGE / 1024, cost.bytes / 1024, cost.updates);
	return cost.bytes >= n * PAGE && cost.bytes <= n * PAGE + n * PAGE / 10;
}

static void both_ends(struct vmw *vmw)
{
	struct vmw_surf *surf = quiet(vmw_buffer(vmw, LARGE, true));
	struct cost cost;

	((volatile char *)surf->map)[1] = 2;
	((volatile char *)surf->map)[LARGE - 1] = 2;
	cost = cost_now(vmw);
	vmw_touch(surf);
	cost = cost_since(vmw, cost);
	igt_info("2 pages at the ends of 64 MiB: %" PRIu64 " bytes\n",
		 cost.bytes);
	igt_assert_eq_u64(cost.bytes, 2 * PAGE);
	vmw_surf_destroy(surf);
}

static void sparse_buffer(struct vmw *vmw)
{
	struct vmw_surf *surf = quiet(vmw_buffer(vmw, LARGE, true));
	bool ok;

	ok = sparse_row("64 MiB, 1 page", surf, 1);
	ok &= sparse_row("64 MiB, 0.1 %", surf, 16);
	ok &= sparse_row("64 MiB, 1 %", surf, 164);
	ok &= sparse_row("64 MiB, 10 %", surf, 1638);
	ok &= sparse_row("64 MiB, half", surf, 8192);
	igt_assert(ok);
	vmw_surf_destroy(surf);
}

/* Rows of 8 KiB, rows that are no multiple of a page, slices, mip levels, blocks */
static void sparse_images(struct vmw *vmw)
{
	static const struct {
		const char *name;
		struct vmw_surf_info info;
	} images[] = {
		{ "image 2048x2048", {
			.format = SVGA3D_A8R8G8B8, .width = 2048,
			.height = 2048,
		} },
		{ "image 1000x1000", {
			.format = SVGA3D_A8R8G8B8, .width = 1000,
			.height = 1000,
		} },
		{ "volume 100x100x100", {
			.format = SVGA3D_A8R8G8B8, .width = 100,
			.height = 100, .depth = 100,
		} },
		{ "mip levels of 1024", {
			.format = SVGA3D_A8R8G8B8, .width = 1024,
			.height = 1024, .mips = 11,
		} },
		{ "blocks, 2048x2048", {
			.format = SVGA3D_DXT5, .width = 2048, .height = 2048,
		} },
	};
	bool ok = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(images); i++) {
		struct vmw_surf_info info = images[i].info;
		struct vmw_surf *surf;

		info.coherent = true;
		surf = quiet(vmw_surf_create(vmw, &info));
		ok &= sparse_row(images[i].name, surf, 1);
		ok &= sparse_row(images[i].name, surf,
				 surf->size / PAGE / 100 + 2);
		ok &= sparse_row(images[i].name, surf, surf->size / PAGE / 10);
		vmw_surf_destroy(surf);
	}
	igt_assert(ok);
}

/* The same with contents: boxes of all kinds, and their neighbours */
static void sparse_contents(struct vmw *vmw)
{
	static const struct vmw_surf_info images[] = {
		{ .format = SVGA3D_BUFFER, .width = KiB(800) + 100 },
		{ .format = SVGA3D_A8R8G8B8, .width = 333, .height = 100 },
		{ .format = SVGA3D_R5G6B5, .width = 77, .height = 55,
		  .depth = 33 },
		{ .format = SVGA3D_A8R8G8B8, .width = 300, .height = 200,
		  .mips = 9 },
		{ .format = SVGA3D_DXT1, .width = 601, .height = 333,
		  .mips = 10 },
		{ .format = SVGA3D_DXT5, .width = 30, .height = 50,
		  .depth = 70 },
	};
	struct rng r = rng_new(5);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(images); i++) {
		struct vmw_surf_info info = images[i];
		struct vmw_buf b;
		uint64_t pages, page;
		int j, k;

		info.coherent = true;
		b = vmw_buf_warm(vmw_surf_create(vmw, &info));
		pages = b.p->size / PAGE;
		for (j = 0; j < 12; j++) {
			for (k = rng_below(&r, 8); k >= 0; k--) {
				page = rng_below(&r, pages);
				pattern_fill(b.p, b.surf->map, page * PAGE,
					     PAGE * (1 + rng_below(&r, pages - page)));
			}
			vmw_buf_check(&b);
		}
		vmw_buf_destroy(&b);
	}
}

/* Of thousands of images one, some and all */
static void subresources(struct vmw *vmw)
{
	struct vmw_surf_info info = {
		.format = SVGA3D_R8G8B8A8_UNORM,
		.width = 64,
		.height = 16,
		.mips = 7,
		.array = 512,
		.coherent = true,
	};
	struct vmw_surf *surf;
	struct cost cost;

	igt_require_f(vmw->sm4, "the device has no SM4, and so no arrays\n");
	surf = quiet(vmw_surf_create(vmw, &info));
	memset(surf->map, 2, surf->size);
	cost = cost_now(vmw);
	vmw_touch(surf);
	cost = cost_since(vmw, cost);
	igt_info("%" PRIu64 " commands for 3584 images\n", cost.updates - 1);
	igt_assert_eq_u64(cost.bytes, surf->size);
	igt_assert_eq_u64(cost.updates, 2);

	memset(surf->map + 10 * PAGE, 3, surf->size - 20 * PAGE);
	cost = cost_now(vmw);
	vmw_touch(surf);
	cost = cost_since(vmw, cost);
	igt_assert_lte(surf->size - 20 * PAGE, cost.bytes);
	igt_assert_lte(cost.bytes, surf->size - 18 * PAGE);
	vmw_surf_destroy(surf);
}

/* A buffer that nobody has mapped, or that is new and has a page written */
static void new_buffer(struct vmw *vmw)
{
	struct vmw_surf *surf = quiet(vmw_buffer(vmw, LARGE, true)), *other;
	struct vmw_mob mob[2] = {
		vmw_mob_create(vmw, LARGE), vmw_mob_create(vmw, LARGE),
	};
	struct vmw_bind bind = vmw_bind(surf, mob[0].bo);
	volatile char *map = vmw_mob_mmap(vmw, &mob[1]);
	struct cost cost = cost_now(vmw);

	vmw_exec(vmw, &bind, sizeof(bind));
	vmw_touch(surf);
	cost = cost_since(vmw, cost);
	igt_info("not mapped: %" PRIu64 " bytes\n", cost.bytes);
	igt_assert_eq_u64(cost.bytes, 0);

	map[5 * PAGE] = 7;
	bind = vmw_bind(surf, mob[1].bo);
	cost = cost_now(vmw);
	vmw_exec(vmw, &bind, sizeof(bind));
	vmw_touch(surf);
	cost = cost_since(vmw, cost);
	igt_info("a page written: %" PRIu64 " bytes\n", cost.bytes);
	igt_assert_eq_u64(cost.bytes, PAGE);
	munmap((void *)map, LARGE);
	vmw_surf_moved(surf, &mob[1]);
	vmw_surf_destroy(surf);
	vmw_mob_destroy(vmw, &mob[0]);

	/* a surface that is made with a buffer */
	mob[0] = vmw_mob_create(vmw, LARGE);
	map = vmw_mob_mmap(vmw, &mob[0]);
	map[9 * PAGE] = 1;
	other = vmw_buffer_on(vmw, &mob[0]);
	cost = cost_now(vmw);
	vmw_touch(other);
	cost = cost_since(vmw, cost);
	igt_assert_eq_u64(cost.bytes, PAGE);
	munmap((void *)map, LARGE);
	vmw_surf_destroy(other);
	vmw_mob_destroy(vmw, &mob[0]);
}

#define TRACK_WRITES "/sys/module/vmwgfx/parameters/track_writes"

static void track_writes_on(int sig)
{
	coh_write(TRACK_WRITES, "Y\n");
	(void)sig;
}

/* Without tracking all of it goes up and down, and is as right. */
static void track_off(struct vmw *vmw)
{
	struct vmw_surf *src = vmw_buffer(vmw, MiB(1), false);
	struct vmw_buf b;
	struct cost cost;
	uint64_t readbacks;

	igt_require_f(!access(TRACK_WRITES, F_OK), "no " TRACK_WRITES "\n");
	igt_assert(!coh_write(TRACK_WRITES, "N\n"));
	b = vmw_buf_warm(vmw_buffer(vmw, MiB(1), true));
	pattern_fill(b.p, b.surf->map, 7 * PAGE, PAGE);
	cost = cost_now(vmw);
	vmw_buf_check(&b);
	igt_assert_eq_u64(cost_since(vmw, cost).bytes, MiB(1));

	/* memory has what the device wrote without being asked for it */
	pattern_fill(b.p, src->map, 0, MiB(1));
	vmw_update(src);
	readbacks = vmw_ctl_get(vmw, SVGA3_READBACKS);
	vmw_device_write(b.surf, src);
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_READBACKS), readbacks + 1);
	pattern_assert(b.p, b.surf->map, 0, MiB(1));
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_READBACKS), readbacks + 1);
	pattern_fill(b.p, b.surf->map, 9 * PAGE, 3 * PAGE);
	vmw_buf_check(&b);
	vmw_buf_destroy(&b);

	track_writes_on(0);
	b = vmw_buf_warm(vmw_buffer(vmw, MiB(1), true));
	pattern_fill(b.p, b.surf->map, 7 * PAGE, PAGE);
	cost = cost_now(vmw);
	vmw_buf_check(&b);
	igt_assert_eq_u64(cost_since(vmw, cost).bytes, PAGE);
	vmw_buf_destroy(&b);
	vmw_surf_destroy(src);
}

/* ------------------------------------------------------------------- limits */

/* Exit status of a child, or -1 if it is not over after so many seconds */
static int wait_child(pid_t pid, int seconds)
{
	int status, ms;

	for (ms = 0; ms < 1000 * seconds; ms += 20) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
		usleep(20000);
	}
	/* A child that hangs in the kernel does not end: do not wait for it. */
	kill(pid, SIGKILL);
	for (ms = 0; ms < 1000 && waitpid(pid, NULL, WNOHANG) != pid; ms += 20)
		usleep(20000);
	return -1;
}

/* Commands that do nothing, in pieces that are not too large for a command */
static void *nops(uint64_t size)
{
	uint64_t piece = KiB(128), off;
	char *cmds = calloc(1, size);

	igt_assert(cmds);
	for (off = 0; off < size; off += piece) {
		SVGA3dCmdHeader h = { SVGA_3D_CMD_NOP, piece - sizeof(h) };

		memcpy(cmds + off, &h, sizeof(h));
	}
	return cmds;
}

/* A child that submits, and ends with the error number */
static pid_t submitting(struct vmw *vmw, const void *cmds, uint32_t size)
{
	pid_t pid = fork();

	igt_assert(pid >= 0);
	if (!pid)
		_exit(-vmw_submit(vmw, cmds, size, NULL));
	return pid;
}

/* More commands than there is room for, and others that are not to wait for it */
static void larger_than_pool(struct vmw *vmw)
{
	static const uint64_t sizes[] = { MiB(1), MiB(2), MiB(4) };
	struct vmw_surf *surf = vmw_buffer(vmw, PAGE, false);
	void *small = nops(KiB(128));
	int ret, other;
	size_t i;
	pid_t pid[2];

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *cmds = nops(sizes[i]);

		pid[0] = submitting(vmw, cmds, sizes[i]);
		usleep(100000);
		pid[1] = submitting(vmw, small, KiB(128));
		ret = wait_child(pid[0], 5);
		other = wait_child(pid[1], 5);
		igt_assert_f(ret == E2BIG, "%" PRIu64 " MiB: %s\n",
			     sizes[i] / MiB(1),
			     ret < 0 ? "waits for ever" : strerror(ret));
		igt_assert_eq(other, 0);
		free(cmds);
	}
	vmw_touch(surf);
	free(small);
	vmw_surf_destroy(surf);
}

/* What the kernel has in its slabs, in bytes */
static uint64_t slabs(void)
{
	return coh_meminfo("SUnreclaim:");
}

/* A surface that is refused for its buffer leaves nothing behind. */
static void refused_buffer(struct vmw *vmw)
{
	struct vmw_mob mob = vmw_mob_create(vmw, PAGE);
	union drm_vmw_gb_surface_create_arg arg;
	uint64_t before = 0, after;
	int i, ret;

	for (i = 0; i < 21000; i++) {
		/* those at first are for what the slabs keep anyway */
		if (i == 1000)
			before = slabs();
		memset(&arg, 0, sizeof(arg));
		arg.req.format = SVGA3D_BUFFER;
		arg.req.mip_levels = 1;
		arg.req.buffer_handle = mob.bo;
		arg.req.base_size.width = 2 * PAGE;
		arg.req.base_size.height = 1;
		arg.req.base_size.depth = 1;
		ret = drmCommandWriteRead(vmw->fd, DRM_VMW_GB_SURFACE_CREATE,
					  &arg, sizeof(arg));
		igt_assert_eq(ret, -EINVAL);
	}
	after = slabs();
	igt_info("slabs: %" PRId64 " KiB more\n",
		 (int64_t)(after - before) / 1024);
	igt_assert_lt(after, before + MiB(4));
	vmw_mob_destroy(vmw, &mob);
}

/*
 * Surfaces go before they were used. Their buffers do not know them any more. The
 * kernel frees their memory some seconds later, and KASAN knows of it then.
 */
static void gone_surface(struct vmw *vmw)
{
	struct drm_vmw_surface_arg unref = { };
	struct vmw_surf *surf;
	uint32_t bo[32];
	int i, fd, ret;

	for (i = 0; i < 32; i++) {
		surf = vmw_buffer(vmw, PAGE, i & 1);
		bo[i] = surf->bo;
		unref.sid = surf->handle;
		munmap(surf->map, surf->map_size);
		free(surf);
		igt_assert(!drmCommandWrite(vmw->fd, DRM_VMW_UNREF_SURFACE,
					    &unref, sizeof(unref)));
	}
	sleep(8);
	for (i = 0; i < 32; i++) {
		/* of the buffer, as there is no surface */
		ret = drmPrimeHandleToFD(vmw->fd, bo[i], DRM_CLOEXEC | DRM_RDWR,
					 &fd);
		igt_assert_f(!ret, "dma-buf: %s\n", strerror(errno));
		close(fd);
		drmCloseBufferHandle(vmw->fd, bo[i]);
	}
}

/* A buffer for no surface. Where that crashes the kernel a child is the victim. */
static void bind_nothing(struct vmw *vmw)
{
	struct vmw_mob mob = vmw_mob_create(vmw, PAGE);
	struct vmw_surf none = { .handle = SVGA3D_INVALID_ID };
	struct vmw_bind bind = vmw_bind(&none, mob.bo);
	int ret = wait_child(submitting(vmw, &bind, sizeof(bind)), 10);

	igt_assert_f(ret == EINVAL, "%s\n", ret == 200 ?
		     "the kernel crashed, and killed the process" :
		     strerror(ret));
	vmw_mob_destroy(vmw, &mob);
}

/* Some layers of the device's copy, by way of another surface, are memory's. */
static void layers_check(struct vmw_surf *surf)
{
	enum { LAYERS = 40 };
	struct {
		struct {
			SVGA3dCmdHeader header;
			SVGA3dCmdDXPredCopyRegion body;
		} copy[LAYERS * 24];
		struct vmw_surf_cmd readback;
	} *c = calloc(1, sizeof(*c));
	struct vmw_surf *snap = vmw_snap_create(surf);
	size_t size = surf->size / surf->layers;
	uint32_t i, n = LAYERS * surf->mips;
	char *end;

	igt_assert(c);
	for (i = 0; i < n; i++) {
		uint32_t layer = i / surf->mips * (surf->layers / LAYERS);
		uint32_t sub = layer * surf->mips + i % surf->mips;

		c->copy[i].header = (SVGA3dCmdHeader){
			SVGA_3D_CMD_DX_PRED_COPY_REGION,
			sizeof(c->copy[i].body),
		};
		c->copy[i].body = (SVGA3dCmdDXPredCopyRegion){
			snap->handle, sub, surf->handle, sub,
			{ .w = 1, .h = 1, .d = 1 },
		};
	}
	c->readback = vmw_surf_cmd(SVGA_3D_CMD_READBACK_GB_SURFACE, snap);
	end = (char *)&c->copy[n];
	memmove(end, &c->readback, sizeof(c->readback));
	vmw_exec(surf->vmw, c, end + sizeof(c->readback) - (char *)c);
	for (i = 0; i < LAYERS; i++) {
		size_t at = i * (surf->layers / LAYERS) * size;

		igt_assert_f(!memcmp(snap->map + at, surf->map + at, size),
			     "layer %u\n", i * (surf->layers / LAYERS));
	}
	vmw_surf_destroy(snap);
	free(c);
}

/*
 * As many images as a surface can have. A command for each needs more space than
 * there is. Where the kernel waits for that for ever it does so with everything locked.
 */
static void subresources_most(struct vmw *vmw)
{
	const struct vmw_surf_info info = {
		.format = SVGA3D_R8G8B8A8_UNORM,
		.mips = DRM_VMW_MAX_MIP_LEVELS,
		.array = SVGA3D_SM5_MAX_SURFACE_ARRAYSIZE,
		.coherent = true,
	};
	struct cost *cost = mmap(NULL, sizeof(*cost), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct vmw_surf *surf;
	pid_t pid;

	igt_assert(cost != MAP_FAILED);
	igt_require_f(vmw_param(vmw, DRM_VMW_PARAM_SM5),
		      "the device has no SM5, and so no arrays of 2048\n");
	surf = quiet(vmw_surf_create(vmw, &info));
	memset(surf->map, 2, 20 * PAGE);
	memset(surf->map + 21 * PAGE, 3, surf->size - 21 * PAGE);
	pid = fork();
	igt_assert(pid >= 0);
	if (!pid) {
		*cost = cost_now(vmw);
		vmw_touch(surf);
		*cost = cost_since(vmw, *cost);
		_exit(0);
	}
	igt_assert_f(!wait_child(pid, 20), "it waits for ever\n");
	igt_info("%" PRIu64 " commands, %" PRIu64 " bytes\n", cost->updates - 1,
		 cost->bytes);
	igt_assert_eq_u64(cost->bytes, surf->size - PAGE);
	layers_check(surf);
	munmap(cost, sizeof(*cost));
	vmw_surf_destroy(surf);
}

static const struct vmw_subtest subtests[] = {
	{ "both-ends", "C5: a page at each end is two pages to upload",
	  both_ends },
	{ "sparse-buffer", "C5: what is uploaded of pages here and there",
	  sparse_buffer },
	{ "sparse-images", "C5: the same of images", sparse_images },
	{ "sparse-contents", "C1: the boxes of images are those that were written",
	  sparse_contents },
	{ "subresources", "C5: commands for thousands of images", subresources },
	{ "new-buffer", "C5: what is uploaded of a new buffer", new_buffer },
	{ "track-off", "C1, C2: the parameter that turns the tracking off",
	  track_off },
	{ "refused-buffer", "Memory of surfaces that are refused",
	  refused_buffer },
	{ "gone-surface", "A surface goes before it was used", gone_surface },
	{ "larger-than-pool", "Nothing waits for ever: too many commands",
	  larger_than_pool },
	/* Last, since these can bring down the kernel */
	{ "bind-nothing", "A buffer is bound to no surface", bind_nothing },
	{ "subresources-most", "Nothing waits for ever: 49152 images",
	  subresources_most },
};

int coh_main()
{
	igt_fixture()
		igt_install_exit_handler(track_writes_on);

	vmw_subtests(subtests, ARRAY_SIZE(subtests));
}
