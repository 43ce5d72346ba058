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
 */
#include <errno.h>
#include <fcntl.h>
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
};

int coh_main()
{
	igt_fixture()
		igt_install_exit_handler(pages_limit_restore);

	vmw_subtests(subtests, ARRAY_SIZE(subtests));
}
