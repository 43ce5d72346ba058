// SPDX-License-Identifier: MIT
/**
 * TEST: coherent vmwgfx
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: vmwgfx's coherent surfaces, on the SVGA3 model. The numbers of the
 *	defects are those of mainline 6.12's own tracker: Documentation/svga3.rst has the
 *	table of which subtest shows which.
 *
 * SUBTEST: first-small
 * Description: C1, C3: written before the first submission, 64 KiB (defect V1)
 *
 * SUBTEST: first-large
 * Description: C1, C3: written before the first submission, 4 MiB (defect V1)
 *
 * SUBTEST: rounds-small
 * Description: C1: random pages of a small buffer
 *
 * SUBTEST: rounds-large
 * Description: C1: random pages of a large buffer
 *
 * SUBTEST: rounds-image
 * Description: C1: random pages of an image
 *
 * SUBTEST: rounds-mips
 * Description: C1: random pages of an image with mip levels
 *
 * SUBTEST: rounds-volume
 * Description: C1: random pages of a volume (defect 7)
 *
 * SUBTEST: rounds-compressed
 * Description: C1: random pages of blocks of 4 by 4 pixels
 *
 * SUBTEST: rounds-array
 * Description: C1: random pages of an array with mip levels
 *
 * SUBTEST: rounds-samples
 * Description: C1: random pages of images with several samples (defect 7)
 *
 * SUBTEST: rounds-planes
 * Description: C1: random pages of planar images (defect 7)
 *
 * SUBTEST: unmapped-small
 * Description: C3: unmapped between write and submission, 64 KiB (defect V2)
 *
 * SUBTEST: unmapped-large
 * Description: C3: unmapped between write and submission, 4 MiB (defect V2)
 *
 * SUBTEST: mprotect-small
 * Description: C3: made read-only and writable again, 64 KiB (defect 5)
 *
 * SUBTEST: mprotect-large
 * Description: C3: made read-only and writable again, 4 MiB (defect 5)
 *
 * SUBTEST: two-surfaces-behind
 * Description: C3: pages behind the first surface of a buffer (defect 6)
 *
 * SUBTEST: two-surfaces-same
 * Description: C3: pages that two surfaces of a buffer have (defect 6)
 *
 * SUBTEST: box-left
 * Description: C3: dirty pages to the left and below (defect 7)
 *
 * SUBTEST: box-up
 * Description: C3: dirty pages above in the next slice (defect 7)
 *
 * SUBTEST: clean-window
 * Description: C2: nothing is read back that was not asked for (defect 11)
 *
 * SUBTEST: read-back-small
 * Description: C2: what the device wrote, 64 KiB
 *
 * SUBTEST: read-back-large
 * Description: C2: what the device wrote, 4 MiB
 *
 * SUBTEST: one-page-small
 * Description: C5: a page written is a page uploaded, 64 KiB
 *
 * SUBTEST: one-page-large
 * Description: C5: a page written is a page uploaded, 4 MiB
 *
 * SUBTEST: drop-update
 * Description: Sensitivity: an update that the device drops
 *
 * SUBTEST: later
 * Description: C2: fences of a device that is slow, or out of order
 *
 * SUBTEST: device-error
 * Description: C3: a command that the device refuses
 *
 * SUBTEST: mesa-asks
 * Description: C1: what Mesa wants to know before it uses them
 *
 * SUBTEST: race
 * Description: C1: stores in the middle of passes over page tables (defect 1)
 *
 * SUBTEST: backoff
 * Description: C3: a submission that fails stops no tracking (defect 8)
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"
#include "coh_vmwgfx.h"

IGT_TEST_DESCRIPTION("Coherent surfaces of vmwgfx, on a model of its device");

#define RW (PROT_READ | PROT_WRITE)

/*
 * The 6.12 tracker scans page tables for buffers of less than 512 pages, and
 * counts write faults for larger ones: both have defects of their own.
 */
#define SMALL KiB(64)
#define LARGE MiB(4)

static void fill(struct vmw_buf *b, void *map, uint64_t page, uint64_t n)
{
	pattern_fill(b->p, map, page * PAGE, n * PAGE);
}

static void fill_all(struct vmw_buf *b)
{
	pattern_fill(b->p, b->surf->map, 0, b->p->size);
}

/* ------------------------------------------------------- what has to work */

static void first(struct vmw *vmw, uint64_t size)
{
	struct vmw_buf b = vmw_buf_of(vmw_buffer(vmw, size, true));

	fill_all(&b);
	vmw_buf_check(&b);
	vmw_buf_destroy(&b);
}

static void first_small(struct vmw *vmw)
{
	first(vmw, SMALL);
}

static void first_large(struct vmw *vmw)
{
	first(vmw, LARGE);
}

static void rounds(struct vmw_surf *surf)
{
	struct vmw_buf b = vmw_buf_warm(surf);
	uint64_t pages = b.p->size / PAGE;
	struct rng r = rng_new(1);
	int i, j;

	for (i = 0; i < 30; i++) {
		for (j = rng_below(&r, 4); j >= 0; j--)
			fill(&b, surf->map, rng_below(&r, pages), 1);
		vmw_buf_check(&b);
		if (i % 8 == 7)
			for (j = 0; j < 5; j++)
				vmw_touch(surf);
	}
	vmw_buf_destroy(&b);
}

static void rounds_small(struct vmw *vmw)
{
	rounds(vmw_buffer(vmw, SMALL, true));
}

static void rounds_large(struct vmw *vmw)
{
	rounds(vmw_buffer(vmw, LARGE, true));
}

static void rounds_image(struct vmw *vmw)
{
	rounds(vmw_image(vmw, 256, 256, true));
}

static void rounds_mips(struct vmw *vmw)
{
	rounds(vmw_surf_create(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_A8R8G8B8,
		.width = 256,
		.height = 256,
		.mips = 9,
		.coherent = true,
	}));
}

static void rounds_volume(struct vmw *vmw)
{
	rounds(vmw_surf_create(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_A8R8G8B8,
		.width = 64,
		.height = 64,
		.depth = 16,
		.coherent = true,
	}));
}

static void rounds_compressed(struct vmw *vmw)
{
	rounds(vmw_surf_create(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_DXT5,
		.width = 512,
		.height = 512,
		.coherent = true,
	}));
}

/* The samples of an image are one sheet after the other. */
static void rounds_samples(struct vmw *vmw)
{
	uint32_t samples;

	igt_require_f(vmw_param(vmw, DRM_VMW_PARAM_SM4_1),
		      "the device has no SM4.1, and so one sample only\n");
	for (samples = 2; samples <= 8; samples *= 2)
		rounds(vmw_surf_create(vmw, &(struct vmw_surf_info){
			.format = SVGA3D_A8R8G8B8,
			.width = 200,
			.height = 100,
			.samples = samples,
			.coherent = true,
		}));
}

/* So are the planes of such a format: brightness, then colors. */
static void rounds_planes(struct vmw *vmw)
{
	static const uint32_t formats[] = { SVGA3D_NV12, SVGA3D_YV12 };
	int i;

	for (i = 0; i < 2; i++)
		rounds(vmw_surf_create(vmw, &(struct vmw_surf_info){
			.format = formats[i],
			.width = 640,
			.height = 360,
			.coherent = true,
		}));
}

static void rounds_array(struct vmw *vmw)
{
	igt_require_f(vmw->sm4, "the device has no SM4, and so no arrays\n");
	rounds(vmw_surf_create(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_R8G8B8A8_UNORM,
		.width = 128,
		.height = 128,
		.mips = 8,
		.array = 5,
		.coherent = true,
	}));
}

/* ------------------------------------------------------------ the defects */

static void unmapped(struct vmw *vmw, uint64_t size)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, size, true));
	void *map = vmw_surf_mmap(b.surf, RW);

	fill(&b, map, 3, 5);
	munmap(map, b.surf->map_size);
	vmw_buf_check(&b);
	vmw_buf_destroy(&b);
}

static void unmapped_small(struct vmw *vmw)
{
	unmapped(vmw, SMALL);
}

static void unmapped_large(struct vmw *vmw)
{
	unmapped(vmw, LARGE);
}

static void mprotect_roundtrip(struct vmw *vmw, uint64_t size)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, size, true));
	char *map = b.surf->map;

	fill(&b, map, 5, 3);
	vmw_buf_check(&b);
	igt_assert(!mprotect(map + 5 * PAGE, 3 * PAGE, PROT_READ));
	igt_assert(!mprotect(map + 5 * PAGE, 3 * PAGE, RW));
	fill(&b, map, 5, 3);
	vmw_buf_check(&b);
	vmw_buf_destroy(&b);
}

static void mprotect_small(struct vmw *vmw)
{
	mprotect_roundtrip(vmw, SMALL);
}

static void mprotect_large(struct vmw *vmw)
{
	mprotect_roundtrip(vmw, LARGE);
}

/*
 * A thread stores to each page of a buffer once, in random order, while this
 * one submits: at any time, and before all others. A store between whose fault
 * and whose page table entry a pass comes is lost for good, so it is enough to
 * look at the end. Few pages a pass, since the 6.12 tracker has no such faults
 * when many are dirty.
 */
struct race {
	char *map;
	const uint32_t *order;
	uint32_t pages;
	uint64_t epoch;
	_Atomic uint32_t passes;
	_Atomic bool finished;
};

static void *race_writer(void *arg)
{
	struct race *r = arg;
	uint32_t i, pass = 0, n = 0;

	for (i = 0; i < r->pages; i++) {
		/* wait for the submitter when ahead, and then go on at once */
		while (n >= r->pages / 20 && atomic_load(&r->passes) == pass)
			sched_yield();
		if (atomic_load(&r->passes) != pass) {
			pass = atomic_load(&r->passes);
			n = 0;
		}
		*(volatile uint64_t *)(r->map + r->order[i] * PAGE) =
			r->epoch << 32 | r->order[i];
		n++;
	}
	atomic_store(&r->finished, true);
	return NULL;
}

/* Pages whose last store the device does not have */
static uint32_t race_lost(struct race *r, struct vmw_surf *surf,
			  struct vmw_surf *snap)
{
	uint32_t i, lost = 0;
	uint64_t got;

	vmw_snapshot(surf, snap);
	for (i = 0; i < r->pages; i++) {
		got = *(uint64_t *)((char *)snap->map + i * PAGE);
		if (got == (r->epoch << 32 | i))
			continue;
		if (!lost++)
			igt_warn("page %u: the device has round %" PRIu64
				 ", written was round %" PRIu64 "\n", i,
				 got >> 32, r->epoch);
	}
	return lost;
}

static void race(struct vmw *vmw)
{
	struct vmw_surf *surf = vmw_buffer(vmw, LARGE, true);
	struct vmw_surf *snap = vmw_snap_create(surf);
	struct race r = { .map = surf->map, .pages = LARGE / PAGE };
	uint32_t *order = malloc(r.pages * sizeof(*order)), i, j, k, lost;
	struct rng rng = rng_new(2);
	pthread_t thread;
	double end;

	igt_assert(order);
	/* a store's fault is to be interrupted wherever it is */
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK,
			   &(struct sched_param){ .sched_priority = 1 });
	r.order = order;
	for (i = 0; i < r.pages; i++)
		order[i] = i;
	vmw_touch(surf);
	end = coh_now() + (coh_counts.seconds ?: 30);
	do {
		for (i = r.pages - 1; i; i--) {
			j = rng_below(&rng, i + 1);
			k = order[i];
			order[i] = order[j];
			order[j] = k;
		}
		r.epoch++;
		atomic_store(&r.finished, false);
		igt_assert(!pthread_create(&thread, NULL, race_writer, &r));
		while (!atomic_load(&r.finished)) {
			usleep(100 + rng_below(&rng, 500));
			/*
			 * The device has read the pages before the thread goes
			 * on: what it stores then is for a later pass.
			 */
			vmw_touch_polled(surf);
			atomic_fetch_add(&r.passes, 1);
		}
		pthread_join(thread, NULL);
		lost = race_lost(&r, surf, snap);
	} while (!lost && coh_now() < end);
	sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ });
	igt_info("%" PRIu64 " rounds of %u stores, %u submissions\n", r.epoch,
		 r.pages, atomic_load(&r.passes));
	igt_assert_f(!lost, "%u stores lost\n", lost);
	free(order);
	vmw_surf_destroy(surf);
	vmw_surf_destroy(snap);
}

/* Two surfaces of one buffer, both from its start: each is a consumer. */
struct pair {
	struct vmw_buf large, small;
};

static struct pair pair(struct vmw *vmw)
{
	struct pair p;

	p.large = vmw_buf_warm(vmw_buffer(vmw, KiB(512), true));
	p.small.surf = vmw_surf_create(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_BUFFER,
		.width = KiB(64),
		.bo = p.large.surf->bo,
		.coherent = true,
	});
	p.small.snap = vmw_snap_create(p.small.surf);
	/* the same bytes: one pattern */
	p.small.p = NULL;
	/* whatever tracking made of it, both have all of it now */
	vmw_update(p.small.surf);
	vmw_update(p.large.surf);
	return p;
}

/* In this order; the large one from a page on */
static void check_pair(struct pair *p, uint64_t page)
{
	vmw_snapshot(p->small.surf, p->small.snap);
	vmw_snapshot(p->large.surf, p->large.snap);
	pattern_assert(p->large.p, p->small.snap->map, 0, KiB(64));
	pattern_assert(p->large.p, (char *)p->large.snap->map + page * PAGE,
		       page * PAGE, KiB(256) - page * PAGE);
}

static void pair_done(struct pair *p)
{
	vmw_surf_destroy(p->small.surf);
	vmw_surf_destroy(p->small.snap);
	vmw_buf_destroy(&p->large);
}

/* What lies behind the end of the surface that is submitted first */
static void two_surfaces_behind(struct vmw *vmw)
{
	struct pair p = pair(vmw);

	fill(&p.large, p.large.surf->map, 2, 1);
	fill(&p.large, p.large.surf->map, 40, 3);
	check_pair(&p, KiB(64) / PAGE);
	pair_done(&p);
}

/* What both have */
static void two_surfaces_same(struct vmw *vmw)
{
	struct pair p = pair(vmw);

	fill(&p.large, p.large.surf->map, 2, 3);
	check_pair(&p, 0);
	pair_done(&p);
}

static void box(struct vmw *vmw, const struct vmw_surf_info *info,
		const uint64_t *pages, int n)
{
	struct vmw_buf b = vmw_buf_warm(vmw_surf_create(vmw, info));
	int i;

	for (i = 0; i < n; i++)
		fill(&b, b.surf->map, pages[i], 1);
	vmw_buf_check(&b);
	vmw_buf_destroy(&b);
}

/* Rows of two pages: the right half of one, then the left half of another */
static void box_left(struct vmw *vmw)
{
	static const uint64_t pages[] = { 1, 4 };

	box(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_A8R8G8B8,
		.width = 2048,
		.height = 16,
		.coherent = true,
	}, pages, ARRAY_SIZE(pages));
}

/* Slices of 16 rows, a page each: row 12 of the first, row 2 of the second */
static void box_up(struct vmw *vmw)
{
	static const uint64_t pages[] = { 12, 18 };

	box(vmw, &(struct vmw_surf_info){
		.format = SVGA3D_A8R8G8B8,
		.width = 1024,
		.height = 16,
		.depth = 4,
		.coherent = true,
	}, pages, ARRAY_SIZE(pages));
}

static void synccpu(struct vmw *vmw, uint32_t bo, enum drm_vmw_synccpu_op op)
{
	struct drm_vmw_synccpu_arg arg = {
		.op = op,
		.flags = drm_vmw_synccpu_read | drm_vmw_synccpu_write,
		.handle = bo,
	};

	igt_assert(!drmCommandWrite(vmw->fd, DRM_VMW_SYNCCPU, &arg,
				    sizeof(arg)));
}

/*
 * A submission that would move a coherent surface to another's buffer fails,
 * because that one is grabbed by the CPU. The other must still be tracked.
 * Where it is not the kernel crashes at the next look at it, so a child looks.
 */
static void backoff(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	struct vmw_surf *mover = vmw_buffer(vmw, SMALL, true);
	struct {
		SVGA3dCmdHeader header;
		SVGA3dCmdBindGBSurface body;
	} bind = {
		{ SVGA_3D_CMD_BIND_GB_SURFACE, sizeof(bind.body) },
		{ mover->handle, b.surf->bo },
	};
	int status, ret;
	pid_t pid;

	vmw_touch(mover);
	synccpu(vmw, b.surf->bo, drm_vmw_synccpu_grab);
	ret = vmw_submit(vmw, &bind, sizeof(bind), NULL);
	igt_assert_f(ret == -EBUSY, "bind to a grabbed buffer: %s\n",
		     strerror(-ret));
	synccpu(vmw, b.surf->bo, drm_vmw_synccpu_release);

	pid = fork();
	igt_assert(pid >= 0);
	if (!pid) {
		fill(&b, b.surf->map, 3, 2);
		vmw_touch(b.surf);
		_exit(0);
	}
	igt_assert(waitpid(pid, &status, 0) == pid);
	igt_assert_f(!WIFSIGNALED(status),
		     "the kernel crashed, and killed the process with %s\n",
		     strsignal(WTERMSIG(status)));
	vmw_buf_check(&b);
	vmw_surf_destroy(mover);
	vmw_buf_destroy(&b);
}

/*
 * Defect 11 is a range of 4096 pages where one page is meant: a CPU access
 * would have surfaces read back that are nowhere near. It takes a surface that
 * starts behind the page, but all surfaces start with their buffers.
 */
static void clean_window(struct vmw *vmw)
{
	struct pair p = pair(vmw);
	struct vmw_surf *src = vmw_buffer(vmw, KiB(64), false);
	uint64_t before;
	volatile char *map = p.large.surf->map;

	memset(src->map, 0x5a, KiB(64));
	vmw_update(src);
	vmw_device_write(p.small.surf, src);
	before = vmw_ctl_get(vmw, SVGA3_READBACKS);
	/* far enough from it for any fault-around */
	(void)map[80 * PAGE];
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_READBACKS), before);
	/* and where it is, it is read back */
	igt_assert_eq(map[2 * PAGE], 0x5a);
	igt_assert_lt(before, vmw_ctl_get(vmw, SVGA3_READBACKS));
	vmw_surf_destroy(src);
	pair_done(&p);
}

/* -------------------------------------------------- the device's direction */

static void read_back(struct vmw *vmw, uint64_t size)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, size, true));
	struct vmw_surf *src = vmw_buffer(vmw, size, false);
	int i;

	for (i = 0; i < 5; i++) {
		struct pattern *p = pattern_new(size);

		pattern_fill(p, src->map, 0, size);
		vmw_update(src);
		vmw_device_write(b.surf, src);
		pattern_assert(p, b.surf->map, 0, size);
		pattern_free(p);
		/* and the CPU's turn */
		fill_all(&b);
		vmw_buf_check(&b);
	}
	vmw_surf_destroy(src);
	vmw_buf_destroy(&b);
}

static void read_back_small(struct vmw *vmw)
{
	read_back(vmw, SMALL);
}

static void read_back_large(struct vmw *vmw)
{
	read_back(vmw, LARGE);
}

/* ------------------------------------------------------- cost, sensitivity */

static void one_page(struct vmw *vmw, uint64_t size)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, size, true));
	uint64_t before;
	int i;

	for (i = 0; i < 10; i++)
		vmw_touch(b.surf);
	before = vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES);
	vmw_touch(b.surf);
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES), before);
	fill(&b, b.surf->map, 7, 1);
	vmw_touch(b.surf);
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_UPDATE_BYTES) - before, PAGE);
	vmw_buf_check(&b);
	vmw_buf_destroy(&b);
}

static void one_page_small(struct vmw *vmw)
{
	one_page(vmw, SMALL);
}

static void one_page_large(struct vmw *vmw)
{
	one_page(vmw, LARGE);
}

static void drop_update(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	struct pattern_diff diff;

	vmw_touch(b.surf);
	fill(&b, b.surf->map, 4, 2);
	vmw_ctl_set(vmw, SVGA3_DROP_COMMAND,
		    vmw->sm4 ? SVGA_3D_CMD_DX_UPDATE_SUBRESOURCE :
			       SVGA_3D_CMD_UPDATE_GB_IMAGE);
	vmw_ctl_set(vmw, SVGA3_DROP_COUNT, 1);
	vmw_snapshot(b.surf, b.snap);
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_DROP_COUNT), 0);
	igt_assert(!pattern_compare(b.p, b.snap->map, 0, SMALL, &diff));
	igt_assert_eq(diff.n_ranges, 1);
	igt_assert_eq_u64(diff.range[0].start, 4 * PAGE);
	igt_assert_eq_u64(diff.range[0].end, 6 * PAGE);
	vmw_buf_destroy(&b);
}

static void later(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	struct {
		SVGA3dCmdHeader header;
		SVGA3dCmdUpdateGBSurface body;
	} c = {
		{ SVGA_3D_CMD_UPDATE_GB_SURFACE, sizeof(c.body) },
		{ b.surf->handle },
	};
	uint32_t fence[8];
	int i, ret;

	/* many in flight, and none is over before the device gets to it */
	vmw_ctl_set(vmw, SVGA3_HOLD, 1);
	for (i = 0; i < 8; i++) {
		ret = vmw_submit(vmw, &c, sizeof(c), &fence[i]);
		igt_assert_f(!ret, "submission: %s\n", strerror(-ret));
	}
	for (i = 0; i < 8; i++)
		igt_assert_eq(vmw_fence_wait(vmw, fence[i], 1000), -EBUSY);
	vmw_ctl_set(vmw, SVGA3_HOLD, 0);
	for (i = 7; i >= 0; i--) {
		igt_assert_eq(vmw_fence_wait(vmw, fence[i], 30000000), 0);
		vmw_fence_unref(vmw, fence[i]);
	}

	/* completions in another order, and late */
	vmw_ctl_set(vmw, SVGA3_REORDER, 3);
	vmw_ctl_set(vmw, SVGA3_DELAY_US, 20000);
	for (i = 0; i < 8; i++) {
		ret = vmw_submit(vmw, &c, sizeof(c), &fence[i]);
		igt_assert_f(!ret, "submission: %s\n", strerror(-ret));
	}
	for (i = 0; i < 8; i++) {
		igt_assert_eq(vmw_fence_wait(vmw, fence[i], 30000000), 0);
		vmw_fence_unref(vmw, fence[i]);
	}
	vmw_ctl_set(vmw, SVGA3_REORDER, 0);
	vmw_ctl_set(vmw, SVGA3_DELAY_US, 0);
	fill(&b, b.surf->map, 1, 1);
	vmw_buf_check(&b);
	vmw_buf_destroy(&b);
}

/*
 * The device refuses a command. The kernel goes on behind it, and what the CPU
 * has written is not a part of what is left out.
 */
static void device_error(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	const struct {
		SVGA3dCmdHeader header;
		SVGA3dCmdSurfaceCopy body;
		SVGA3dCopyBox box;
	} beyond = {
		{ SVGA_3D_CMD_SURFACE_COPY,
		  sizeof(beyond.body) + sizeof(beyond.box) },
		{ .src.sid = b.surf->handle, .dest.sid = b.snap->handle },
		{ .w = 2 * SMALL, .h = 1, .d = 1 },
	};
	uint64_t errors = vmw_ctl_get(vmw, SVGA3_ERRORS);
	int i;

	for (i = 1; i <= 5; i++) {
		fill(&b, b.surf->map, i, 3);
		vmw_exec(vmw, &beyond, sizeof(beyond));
		igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_ERRORS), errors + i);
		if (i & 1)
			fill(&b, b.surf->map, i + 1, 1);
		vmw_buf_check(&b);
	}
	vmw_buf_destroy(&b);
}

/* All that Mesa's svga asks before it makes a coherent buffer. */
static void mesa_asks(struct vmw *vmw)
{
	drmVersionPtr version = drmGetVersion(vmw->fd);

	igt_assert(version);
	igt_assert(!strcmp(version->name, "vmwgfx"));
	igt_assert_eq(version->version_major, 2);
	igt_assert_lte(16, version->version_minor);
	drmFreeVersion(version);
	igt_assert_eq_u64(vmw_param(vmw, DRM_VMW_PARAM_3D), 1);
	igt_assert(vmw_param(vmw, DRM_VMW_PARAM_HW_CAPS) & SVGA_CAP_GBOBJECTS);
	igt_assert(vmw_param(vmw, DRM_VMW_PARAM_MAX_MOB_MEMORY));
	igt_assert(vmw_param(vmw, DRM_VMW_PARAM_MAX_MOB_SIZE));
	igt_assert(vmw_param(vmw, DRM_VMW_PARAM_MAX_SURF_MEMORY));
	vmw_surf_destroy(vmw_buffer(vmw, SMALL, true));
}

static const struct vmw_subtest subtests[] = {
	{ "first-small",
	  "C1, C3: written before the first submission, 64 KiB (defect V1)",
	  first_small },
	{ "first-large",
	  "C1, C3: written before the first submission, 4 MiB (defect V1)",
	  first_large },
	{ "rounds-small", "C1: random pages of a small buffer", rounds_small },
	{ "rounds-large", "C1: random pages of a large buffer", rounds_large },
	{ "rounds-image", "C1: random pages of an image", rounds_image },
	{ "rounds-mips", "C1: random pages of an image with mip levels",
	  rounds_mips },
	{ "rounds-volume", "C1: random pages of a volume (defect 7)",
	  rounds_volume },
	{ "rounds-compressed", "C1: random pages of blocks of 4 by 4 pixels",
	  rounds_compressed },
	{ "rounds-array", "C1: random pages of an array with mip levels",
	  rounds_array },
	{ "rounds-samples",
	  "C1: random pages of images with several samples (defect 7)",
	  rounds_samples },
	{ "rounds-planes", "C1: random pages of planar images (defect 7)",
	  rounds_planes },
	{ "unmapped-small",
	  "C3: unmapped between write and submission, 64 KiB (defect V2)",
	  unmapped_small },
	{ "unmapped-large",
	  "C3: unmapped between write and submission, 4 MiB (defect V2)",
	  unmapped_large },
	{ "mprotect-small",
	  "C3: made read-only and writable again, 64 KiB (defect 5)",
	  mprotect_small },
	{ "mprotect-large",
	  "C3: made read-only and writable again, 4 MiB (defect 5)",
	  mprotect_large },
	{ "two-surfaces-behind",
	  "C3: pages behind the first surface of a buffer (defect 6)",
	  two_surfaces_behind },
	{ "two-surfaces-same",
	  "C3: pages that two surfaces of a buffer have (defect 6)",
	  two_surfaces_same },
	{ "box-left", "C3: dirty pages to the left and below (defect 7)",
	  box_left },
	{ "box-up", "C3: dirty pages above in the next slice (defect 7)",
	  box_up },
	{ "clean-window",
	  "C2: nothing is read back that was not asked for (defect 11)",
	  clean_window },
	{ "read-back-small", "C2: what the device wrote, 64 KiB",
	  read_back_small },
	{ "read-back-large", "C2: what the device wrote, 4 MiB",
	  read_back_large },
	{ "one-page-small", "C5: a page written is a page uploaded, 64 KiB",
	  one_page_small },
	{ "one-page-large", "C5: a page written is a page uploaded, 4 MiB",
	  one_page_large },
	{ "drop-update", "Sensitivity: an update that the device drops",
	  drop_update },
	{ "later", "C2: fences of a device that is slow, or out of order",
	  later },
	{ "device-error", "C3: a command that the device refuses",
	  device_error },
	{ "mesa-asks", "C1: what Mesa wants to know before it uses them",
	  mesa_asks },
	{ "race",
	  "C1: stores in the middle of passes over page tables (defect 1)",
	  race },
	/* Last, since it can crash the kernel */
	{ "backoff",
	  "C3: a submission that fails stops no tracking (defect 8)",
	  backoff },
};

int coh_main()
{
	vmw_subtests(subtests, ARRAY_SIZE(subtests));
}
