// SPDX-License-Identifier: MIT
/**
 * TEST: coherent vmob move
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C1 and C3 for buffers that vmob moves, evicts and swaps out while its
 *	engine is at work with them.
 *
 * SUBTEST: move-waits
 * Description: C3: a move waits for the engine
 *
 * SUBTEST: move-cost
 * Description: C5: a buffer moved while dirty is uploaded once
 *
 * SUBTEST: swapout-busy
 * Description: C3: who is short of memory does not wait for jobs
 *
 * SUBTEST: vram-only
 * Description: C3: submissions that evict each other's buffers
 *
 * SUBTEST: write-combined
 * Description: C1, C3: a write-combined buffer that is moved about; refused but on x86
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vmob.h"

IGT_TEST_DESCRIPTION("Coherent buffers of vmob: moves");

static const struct {
	const char *from;
	struct egm_disturbance to;
} moves[] = {
	{ "mob", { "move", "system" } }, { "mob", { "move", "vram" } },
	{ "vram", { "move", "mob" } }, { "vram", { "move", "system" } },
	{ "mob", { "evict", "1" } }, { "vram", { "evict", "1" } },
	{ "mob", { "swapout", "1" } },
};

/*
 * The engine reads a buffer's memory where the submission has found it. A move
 * has to wait until it has, and what is stored meanwhile goes to where the
 * buffer is then.
 */
static void move_waits(struct egm_dev *dev)
{
	struct egm_bo *bo = coh_create(dev, MiB(1));
	struct egm_bo *snap = coh_create_plain(dev, MiB(1));
	struct pattern *p = pattern_new(MiB(1));
	struct drm_vmob_sync out = { .handle = syncobj_create(dev) };
	int early = 0;
	char us[16];
	size_t i;

	igt_require_f(!debugfs_write(dev, "delay_upload_us", "0"),
		      "no delay_upload_us in debugfs\n");
	snprintf(us, sizeof(us), "%d", DELAY_US);
	pattern_fill(p, bo->map, 0, bo->size);
	coh_touch(bo);
	for (i = 0; i < ARRAY_SIZE(moves); i++) {
		const struct egm_disturbance *to = &moves[i].to;
		bool late;

		igt_assert(!debugfs_write(dev, "move", moves[i].from));
		pattern_fill(p, bo->map, 0, KiB(64));
		igt_assert(!debugfs_write(dev, "delay_upload_us", us));
		submit(dev, &(struct submission){
			.handles = &bo->handle, .n_handles = 1,
			.out = &out, .n_out = 1,
		});
		igt_assert_eq(bo_domain(bo), !strcmp(moves[i].from, "vram") ?
			      DRM_VMOB_DOMAIN_VRAM : DRM_VMOB_DOMAIN_MOB);
		late = signalled(dev, out.handle);
		igt_assert(!debugfs_write(dev, to->file, to->text));
		igt_assert_f(signalled(dev, out.handle),
			     "from %s, %s %s ended before the engine\n",
			     moves[i].from, to->file, to->text);
		early += !late;
		igt_assert(!debugfs_write(dev, "delay_upload_us", "0"));

		pattern_fill(p, bo->map, KiB(32), KiB(64));
		coh_snapshot(bo, snap);
		pattern_assert(p, coh_fetch(snap), 0, bo->size);
	}
	igt_info("%d of %zu moves began before the upload had ended\n", early, i);
	igt_assert(early);
	drmSyncobjDestroy(dev->fd, out.handle);
	pattern_free(p);
}

/* Moved while dirty, it is uploaded once, and then costs nothing again. */
static void move_cost(struct egm_dev *dev)
{
	struct egm_bo *bo = coh_create(dev, MiB(4));
	struct egm_bo *snap = coh_create_plain(dev, MiB(4));
	struct pattern *p = pattern_new(MiB(4));
	struct egm_counters before, moved, after;
	size_t i;
	int j;

	pattern_fill(p, bo->map, 0, bo->size);
	coh_snapshot(bo, snap);
	coh_fetch(snap);
	for (i = 0; i < ARRAY_SIZE(moves); i++) {
		igt_assert(!debugfs_write(dev, "move", moves[i].from));
		for (j = 0; j < 8; j++)
			coh_touch(bo);
		coh_wait(bo);
		coh_counters(dev, &before);
		pattern_fill(p, bo->map, MiB(1), 20 * PAGE);
		igt_assert(!debugfs_write(dev, moves[i].to.file,
					  moves[i].to.text));
		coh_snapshot(bo, snap);
		pattern_assert(p, coh_fetch(snap), 0, bo->size);
		coh_counters(dev, &moved);
		igt_assert_eq_u64(coh_delta(&before, &moved, "upload_bytes"),
				  20 * PAGE);
		for (j = 0; j < 20; j++)
			coh_touch(bo);
		coh_wait(bo);
		coh_counters(dev, &after);
		igt_assert_eq_u64(coh_delta(&moved, &after, "upload_bytes"), 0);
		igt_assert_eq_u64(coh_delta(&moved, &after, "ptes_scanned"), 0);
	}
	pattern_free(p);
}

#define PAGES_LIMIT "/sys/module/ttm/parameters/pages_limit"

static char pages_limit[32];

static void pages_limit_restore(void)
{
	if (pages_limit[0])
		coh_write(PAGES_LIMIT, pages_limit);
}

/*
 * TTM has more memory than it may, and looks for something to swap out. Who asks for
 * memory then does not wait for jobs, as a process of another driver must not.
 */
static void swapout_busy(struct egm_dev *dev)
{
	const struct drm_vmob_cmd cmd = {
		.op = DRM_VMOB_CMD_DELAY, .value = LONG_US,
	};
	enum { COUNT = 3 };
	struct egm_bo *bo[COUNT], *other = coh_create(dev, MiB(4));
	struct egm_bo *snap = coh_create_plain(dev, MiB(4));
	FILE *f = fopen(PAGES_LIMIT, "r");
	uint32_t handles[COUNT];
	struct pattern *p[COUNT + 1];
	int64_t begun;
	int i;

	igt_require_f(f, "no %s\n", PAGES_LIMIT);
	igt_assert(fgets(pages_limit, sizeof(pages_limit), f));
	fclose(f);
	for (i = 0; i < COUNT; i++) {
		bo[i] = create(dev, MiB(4), DRM_VMOB_BO_COHERENT,
			       DRM_VMOB_DOMAIN_MOB);
		handles[i] = bo[i]->handle;
		p[i] = pattern_new(MiB(4));
		pattern_fill(p[i], bo[i]->map, 0, MiB(4));
	}
	p[COUNT] = pattern_new(MiB(4));
	/* all but one */
	submit(dev, &(struct submission){
		.cmds = &cmd, .n_cmds = 1,
		.handles = handles, .n_handles = COUNT - 1,
	});

	begun = now_ns();
	igt_assert(!coh_write(PAGES_LIMIT, "1024\n"));
	pattern_fill(p[COUNT], other->map, 0, MiB(4));
	pages_limit_restore();
	igt_assert_lt((now_ns() - begun) / (SECOND / 1000), SOON_MS);
	igt_assert(!bo_idle(bo[0]));

	for (i = 0; i <= COUNT; i++) {
		coh_snapshot(i < COUNT ? bo[i] : other, snap);
		pattern_assert(p[i], coh_fetch(snap), 0, MiB(4));
		pattern_free(p[i]);
	}
}

/* More than fits into video memory: each submission evicts what others wrote. */
static void vram_only(struct egm_dev *dev)
{
	enum { COUNT = 5 };
	const uint64_t size = MiB(6);
	struct egm_bo *bo[COUNT], *snap = coh_create_plain(dev, size);
	struct drm_vmob_getparam vram = { .param = DRM_VMOB_PARAM_VRAM_SIZE };
	struct egm_counters before, after;
	struct pattern *p[COUNT];
	struct rng r = rng_new(3);
	int i, round;

	igt_assert(!drmIoctl(dev->fd, DRM_IOCTL_VMOB_GETPARAM, &vram));
	igt_require_f(vram.value >= size && vram.value < COUNT * size,
		      "video memory of %llu bytes is too large or too small\n",
		      vram.value);
	for (i = 0; i < COUNT; i++) {
		bo[i] = create(dev, size, DRM_VMOB_BO_COHERENT,
			       DRM_VMOB_DOMAIN_VRAM);
		p[i] = pattern_new(size);
		pattern_fill(p[i], bo[i]->map, 0, size);
	}
	coh_counters(dev, &before);
	for (round = 0; round < 30; round++) {
		int which = rng_below(&r, COUNT);

		for (i = 0; i < COUNT; i++)
			pattern_fill(p[i], bo[i]->map,
				     rng_below(&r, size / PAGE) * PAGE, PAGE);
		coh_snapshot(bo[which], snap);
		pattern_assert(p[which], coh_fetch(snap), 0, size);
	}
	coh_counters(dev, &after);
	igt_info("%" PRIu64 " moves\n", coh_delta(&before, &after, "moves"));
	igt_assert(coh_delta(&before, &after, "moves") >= COUNT);
	for (i = 0; i < COUNT; i++) {
		coh_snapshot(bo[i], snap);
		pattern_assert(p[i], coh_fetch(snap), 0, size);
		pattern_free(p[i]);
	}
}

#ifdef __x86_64__
/* Write-combined where that is, and the same as any other buffer. */
static void write_combined(struct egm_dev *dev)
{
	struct egm_bo *bo = create(dev, MiB(1),
				   DRM_VMOB_BO_COHERENT | DRM_VMOB_BO_WC,
				   DRM_VMOB_DOMAIN_MOB | DRM_VMOB_DOMAIN_VRAM);
	struct egm_bo *snap = coh_create_plain(dev, MiB(1));
	struct pattern *p = pattern_new(MiB(1));
	struct rng r = rng_new(4);
	char err[EGM_ERR];
	int i, j;

	pattern_fill(p, bo->map, 0, bo->size);
	for (i = 0; i < 30; i++) {
		igt_require_f(!egm_disturb(&dev->node,
					   i % egm_disturbances(&dev->node), err),
			      "%s\n", err);
		for (j = 0; j < 6; j++)
			pattern_fill(p, bo->map,
				     rng_below(&r, bo->size / PAGE) * PAGE, 64);
		if (i % 3 == 0)
			coh_touch(bo);
		coh_snapshot(bo, snap);
		pattern_assert(p, coh_fetch(snap), 0, bo->size);
	}
	pattern_free(p);
}
#else
/* Refused, where user space would not see what the kernel's mapping has. */
static void write_combined(struct egm_dev *dev)
{
	struct drm_vmob_bo_create arg = {
		.size = MiB(1),
		.flags = DRM_VMOB_BO_COHERENT | DRM_VMOB_BO_WC,
		.domains = DRM_VMOB_DOMAIN_MOB,
	};

	igt_assert_eq(drmIoctl(dev->fd, DRM_IOCTL_VMOB_BO_CREATE, &arg), -1);
	igt_assert_eq(errno, EOPNOTSUPP);
	arg.flags = DRM_VMOB_BO_COHERENT;
	igt_assert_eq(drmIoctl(dev->fd, DRM_IOCTL_VMOB_BO_CREATE, &arg), 0);
}
#endif

static void back_to_normal(int sig)
{
	debugfs_defaults();
	pages_limit_restore();
	(void)sig;
}

static const struct coh_subtest subtests[] = {
	{ "move-waits", "C3: a move waits for the engine", move_waits },
	{ "move-cost", "C5: a buffer moved while dirty is uploaded once", move_cost },
	{ "swapout-busy", "C3: who is short of memory does not wait for jobs", swapout_busy },
	{ "vram-only", "C3: submissions that evict each other's buffers", vram_only },
	{ "write-combined",
	  "C1, C3: a write-combined buffer that is moved about; refused but on x86",
	  write_combined },
};

int coh_main()
{
	igt_fixture()
		igt_install_exit_handler(back_to_normal);

	coh_subtests_of(&egm_vmob, subtests, ARRAY_SIZE(subtests));
}
