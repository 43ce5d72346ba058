// SPDX-License-Identifier: MIT
/**
 * TEST: coherent vmwgfx shared
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Coherent surfaces of vmwgfx whose memory others have as well: two
 *	surfaces of a buffer, two buffers of a surface, and commands that say where data goes
 *	between memory and device. On the SVGA3 model.
 *
 * SUBTEST: two-written
 * Description: C2: the device writes two surfaces of a buffer
 *
 * SUBTEST: two-written-unseen
 * Description: C2: as two-written, with the CPU to look last
 *
 * SUBTEST: two-in-turns
 * Description: C1, C2: CPU and device write two surfaces in turns
 *
 * SUBTEST: other-used
 * Description: C2: what the device wrote to a surface is used by another's name
 *
 * SUBTEST: gone-shared
 * Description: C2, C3: a surface goes, and another has its memory
 *
 * SUBTEST: gone-unseen
 * Description: C5: nothing is read back that nobody can see
 *
 * SUBTEST: switch-old
 * Description: C2: what the device wrote is in the buffer the surface had
 *
 * SUBTEST: switch-write-mapped
 * Description: C1, C2: a submission binds a buffer with stores, and the device writes
 *
 * SUBTEST: switch-write-unmapped
 * Description: C2, C3: as switch-write-mapped, through a mapping that is gone
 *
 * SUBTEST: switch-write-late
 * Description: C1, C2, C3: as both, after another use
 *
 * SUBTEST: switch-used
 * Description: C1: a submission binds a buffer and uses it
 *
 * SUBTEST: switch-between
 * Description: C1: a submission uses one buffer and then another
 *
 * SUBTEST: switch-written-between
 * Description: C1, C2: as switch-between, with the device to write
 *
 * SUBTEST: switch-last
 * Description: C1, C5: a submission ends with a new buffer
 *
 * SUBTEST: switch-last-written
 * Description: C2: as switch-last, and the device has written by then
 *
 * SUBTEST: switch-often
 * Description: C1: two buffers in turns, in a submission
 *
 * SUBTEST: switch-fails
 * Description: C3: a submission that binds a buffer fails
 *
 * SUBTEST: read-back-surface
 * Description: C4: the device is told to write memory, and the CPU stores to it
 *
 * SUBTEST: read-back-image
 * Description: C4: the same for an image
 *
 * SUBTEST: read-back-subresource
 * Description: C4: the same for a subresource
 *
 * SUBTEST: update-command
 * Description: C2: the device is told to read memory
 *
 * SUBTEST: becomes-tracked
 * Description: C1, C2: a surface that the device wrote is tracked from then on
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"
#include "coh_vmwgfx.h"

IGT_TEST_DESCRIPTION("vmwgfx's coherent surfaces that share memory, or change it");

#define SIZE MiB(1)
#define PAGES (SIZE / PAGE)

/* The device writes to a part of a surface, what @p should hold from then on. */
static void device_store(struct pattern *p, struct vmw_surf *dst,
			 struct vmw_surf *src, uint64_t page, uint64_t n)
{
	struct vmw_copy c = vmw_copy(dst, src, page * PAGE, n * PAGE);

	pattern_fill(p, src->map, page * PAGE, n * PAGE);
	vmw_update(src);
	vmw_exec(dst->vmw, &c, sizeof(c));
}

/* ------------------------------------------------- two surfaces, one buffer */

struct pair {
	struct vmw_buf a, b;		/* of the same memory: one pattern */
	struct vmw_surf *src;
};

static struct pair pair_create(struct vmw *vmw)
{
	struct pair pair = {
		.a = vmw_buf_warm(vmw_buffer(vmw, SIZE, true)),
		.src = vmw_buffer(vmw, SIZE, false),
	};

	pair.b.surf = vmw_surf_share(pair.a.surf, SIZE, true);
	pair.b.snap = vmw_snap_create(pair.b.surf);
	pair.b.p = pair.a.p;
	vmw_touch(pair.b.surf);
	return pair;
}

static void pair_destroy(struct pair *pair)
{
	vmw_surf_destroy(pair->b.surf);
	vmw_surf_destroy(pair->b.snap);
	vmw_surf_destroy(pair->src);
	vmw_buf_destroy(&pair->a);
}

static void pair_check(struct pair *pair)
{
	const struct pattern *p = pair->a.p;

	pattern_assert(p, pair->a.surf->map + 100 * PAGE, 100 * PAGE, PAGE);
	pattern_assert(p, pair->a.surf->map, 0, SIZE);
	vmw_buf_check(&pair->a);
	vmw_buf_check(&pair->b);
	vmw_buf_check(&pair->a);
}

static void two_written(struct vmw *vmw)
{
	struct pair pair = pair_create(vmw);

	device_store(pair.a.p, pair.a.surf, pair.src, 0, 1);
	device_store(pair.a.p, pair.b.surf, pair.src, 100, 1);
	pair_check(&pair);
	pair_destroy(&pair);
}

/* The CPU looks at it when all is over. */
static void two_written_unseen(struct vmw *vmw)
{
	struct pair pair = pair_create(vmw);
	int i;

	for (i = 0; i < 3; i++) {
		device_store(pair.a.p, pair.a.surf, pair.src, i, 1);
		device_store(pair.a.p, pair.b.surf, pair.src, 100 - i, 1);
	}
	vmw_buf_check_device(&pair.a);
	vmw_buf_check_device(&pair.b);
	pair_check(&pair);
	pair_destroy(&pair);
}

/* In turns, with stores of the CPU between them */
static void two_in_turns(struct vmw *vmw)
{
	struct pair pair = pair_create(vmw);
	struct rng r = rng_new(11);
	uint64_t page;
	int i;

	for (i = 0; i < 40; i++) {
		page = rng_below(&r, PAGES - 4);
		switch (rng_below(&r, 4)) {
		case 0:
			device_store(pair.a.p, pair.a.surf, pair.src, page, 3);
			break;
		case 1:
			device_store(pair.a.p, pair.b.surf, pair.src, page, 3);
			break;
		case 2:
			pattern_fill(pair.a.p, pair.a.surf->map, page * PAGE,
				     2 * PAGE);
			break;
		case 3:
			vmw_buf_check_device(rng_below(&r, 2) ? &pair.a :
								&pair.b);
			break;
		}
	}
	pair_check(&pair);
	pair_destroy(&pair);
}

/* What was written to one is used by way of the other. */
static void other_used(struct vmw *vmw)
{
	struct pair pair = pair_create(vmw);

	device_store(pair.a.p, pair.a.surf, pair.src, 7, 30);
	vmw_buf_check_device(&pair.b);
	device_store(pair.a.p, pair.b.surf, pair.src, 20, 30);
	vmw_buf_check_device(&pair.a);
	pair_check(&pair);
	pair_destroy(&pair);
}

/* One goes, and the other is what is left. */
static void gone_shared(struct vmw *vmw)
{
	struct pair pair = pair_create(vmw);

	device_store(pair.a.p, pair.b.surf, pair.src, 5, 20);
	vmw_surf_destroy(pair.b.surf);
	vmw_buf_check_device(&pair.a);
	vmw_buf_check(&pair.a);
	vmw_surf_destroy(pair.b.snap);
	vmw_surf_destroy(pair.src);
	vmw_buf_destroy(&pair.a);
}

/* A process ends. Nobody can look at what the device has written. */
static void gone_unseen(struct vmw *vmw)
{
	struct vmw_surf *mine = vmw_buffer(vmw, PAGE, true);
	uint64_t before, surfaces;
	int status, i;
	pid_t pid;

	vmw_touch(mine);
	before = vmw_ctl_get(vmw, SVGA3_READBACKS);
	surfaces = vmw_ctl_get(vmw, SVGA3_SURFACES);
	pid = fork();
	igt_assert(pid >= 0);
	if (!pid) {
		struct vmw own = *vmw;
		struct vmw_surf *src, *dst;

		own.fd = coh_open_node("vmwgfx", O_RDWR | O_CLOEXEC);
		src = vmw_buffer(&own, SIZE, false);
		for (i = 0; i < 4; i++) {
			dst = vmw_buffer(&own, SIZE, true);
			memset(dst->map, i, SIZE);
			vmw_device_write(dst, src);
		}
		_exit(0);
	}
	igt_assert(waitpid(pid, &status, 0) == pid);
	igt_assert(WIFEXITED(status) && !WEXITSTATUS(status));
	for (i = 0; i < 100; i++) {
		vmw_touch(mine);
		if (vmw_ctl_get(vmw, SVGA3_SURFACES) <= surfaces)
			break;
		usleep(100000);
	}
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_SURFACES), surfaces);
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_READBACKS), before);
	vmw_surf_destroy(mine);
}

/* ------------------------------------------------- two buffers, one surface */

/* A surface, and the buffer that is to be its next */
struct change {
	struct vmw *vmw;
	struct vmw_buf b;
	struct vmw_mob mob;
	struct vmw_surf *src, *seen[2];	/* seen is what a submission saw of it */
	struct pattern *old;		/* what the old buffer holds, b.p is the new */
	void *map;
};

static struct change change_create(struct vmw *vmw)
{
	struct change c = {
		.vmw = vmw,
		.b = vmw_buf_warm(vmw_buffer(vmw, SIZE, true)),
		.mob = vmw_mob_create(vmw, SIZE),
		.src = vmw_buffer(vmw, SIZE, false),
		.seen = { vmw_buffer(vmw, SIZE, false),
			  vmw_buffer(vmw, SIZE, false) },
	};

	c.old = c.b.p;
	c.b.p = pattern_new(SIZE);
	c.map = vmw_mob_mmap(vmw, &c.mob);
	return c;
}

static void change_destroy(struct change *c)
{
	munmap(c->map, SIZE);
	vmw_surf_destroy(c->seen[0]);
	vmw_surf_destroy(c->seen[1]);
	vmw_surf_destroy(c->src);
	pattern_free(c->old);
	vmw_buf_destroy(&c->b);
}

/* What a copy in the submission has put there */
static void seen_assert(struct change *c, int which, const struct pattern *p)
{
	struct vmw_surf_cmd back = vmw_surf_cmd(SVGA_3D_CMD_READBACK_GB_SURFACE,
						c->seen[which]);

	vmw_exec(c->vmw, &back, sizeof(back));
	pattern_assert(p, c->seen[which]->map, 0, SIZE);
}

/* The new buffer holds what it should, for CPU and device, and is tracked. */
static void change_check(struct change *c)
{
	pattern_assert(c->b.p, c->map, 0, SIZE);
	vmw_surf_moved(c->b.surf, &c->mob);
	vmw_buf_check(&c->b);
	pattern_fill(c->b.p, c->map, 9 * PAGE, PAGE);
	vmw_buf_check(&c->b);
	device_store(c->b.p, c->b.surf, c->src, 3, 1);
	vmw_buf_check(&c->b);
}

/* What the device has written is in the buffer that the surface had. */
static void switch_old(struct vmw *vmw)
{
	struct change c = change_create(vmw);
	struct vmw_bind bind = vmw_bind(c.b.surf, c.mob.bo);

	device_store(c.old, c.b.surf, c.src, 10, 20);
	pattern_fill(c.b.p, c.map, 0, SIZE);
	vmw_exec(vmw, &bind, sizeof(bind));
	pattern_assert(c.old, c.b.surf->map, 0, SIZE);
	change_check(&c);
	change_destroy(&c);
}

/* Stores to the new one, and then the device writes between them. */
static void switch_stores(struct vmw *vmw, bool mapped, bool late)
{
	struct change c = change_create(vmw);
	struct {
		struct vmw_copy first;
		struct vmw_bind bind;
		struct vmw_copy copy;
	} cmds;

	pattern_fill(c.b.p, c.map, 0, SIZE);
	if (!mapped)
		munmap(c.map, SIZE);
	pattern_fill(c.b.p, c.src->map, 50 * PAGE, PAGE);
	vmw_update(c.src);
	cmds.first = vmw_copy(c.seen[0], c.b.surf, 0, SIZE);
	cmds.bind = vmw_bind(c.b.surf, c.mob.bo);
	cmds.copy = vmw_copy(c.b.surf, c.src, 50 * PAGE, PAGE);
	if (late)
		vmw_exec(vmw, &cmds, sizeof(cmds));
	else
		vmw_exec(vmw, &cmds.bind,
			 sizeof(cmds) - offsetof(typeof(cmds), bind));
	if (!mapped)
		c.map = vmw_mob_mmap(vmw, &c.mob);
	if (late)
		seen_assert(&c, 0, c.old);
	change_check(&c);
	change_destroy(&c);
}

static void switch_write_mapped(struct vmw *vmw)
{
	switch_stores(vmw, true, false);
}

static void switch_write_unmapped(struct vmw *vmw)
{
	switch_stores(vmw, false, false);
}

static void switch_write_late(struct vmw *vmw)
{
	switch_stores(vmw, true, true);
	switch_stores(vmw, false, true);
}

/* A command of the same submission uses what was stored to the new one. */
static void switch_use(struct vmw *vmw, bool before, bool write)
{
	struct change c = change_create(vmw);
	struct {
		struct vmw_copy write, before;
		struct vmw_bind bind;
		struct vmw_copy after;
	} cmds;
	uint64_t start = write ? 0 : before ? offsetof(typeof(cmds), before) :
					      offsetof(typeof(cmds), bind);

	if (write) {
		pattern_fill(c.old, c.src->map, 17 * PAGE, 4 * PAGE);
		vmw_update(c.src);
	}
	pattern_fill(c.b.p, c.map, 0, SIZE);
	cmds.write = vmw_copy(c.b.surf, c.src, 17 * PAGE, 4 * PAGE);
	cmds.before = vmw_copy(c.seen[0], c.b.surf, 0, SIZE);
	cmds.bind = vmw_bind(c.b.surf, c.mob.bo);
	cmds.after = vmw_copy(c.seen[1], c.b.surf, 0, SIZE);
	vmw_exec(vmw, (char *)&cmds + start, sizeof(cmds) - start);
	if (before)
		seen_assert(&c, 0, c.old);
	seen_assert(&c, 1, c.b.p);
	pattern_assert(c.old, c.b.surf->map, 0, SIZE);
	change_check(&c);
	change_destroy(&c);
}

static void switch_used(struct vmw *vmw)
{
	switch_use(vmw, false, false);
}

static void switch_between(struct vmw *vmw)
{
	switch_use(vmw, true, false);
}

static void switch_written_between(struct vmw *vmw)
{
	switch_use(vmw, true, true);
}

/*
 * The end of the submission, as Mesa has it: an update, or nothing. That is one
 * submission to the device, unless it has written to the surface.
 */
static void switch_end(struct vmw *vmw, bool update, bool write)
{
	struct change c = change_create(vmw);
	struct {
		struct vmw_copy use;
		struct vmw_bind bind;
		struct vmw_surf_cmd update;
	} cmds = {
		write ? vmw_copy(c.b.surf, c.src, 17 * PAGE, PAGE) :
			vmw_copy(c.seen[0], c.b.surf, 0, SIZE),
		vmw_bind(c.b.surf, c.mob.bo),
		vmw_surf_cmd(SVGA_3D_CMD_UPDATE_GB_SURFACE, c.b.surf),
	};
	uint64_t fences;

	if (write) {
		pattern_fill(c.old, c.src->map, 17 * PAGE, PAGE);
		vmw_update(c.src);
	}
	pattern_fill(c.b.p, c.map, 0, SIZE);
	fences = vmw_ctl_get(vmw, SVGA3_FENCES);
	vmw_exec(vmw, &cmds, update ? sizeof(cmds) :
				      offsetof(typeof(cmds), update));
	if (!write)
		igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_FENCES) - fences, 1);
	if (!write)
		seen_assert(&c, 0, c.old);
	pattern_assert(c.old, c.b.surf->map, 0, SIZE);
	change_check(&c);
	change_destroy(&c);
}

static void switch_last(struct vmw *vmw)
{
	switch_end(vmw, false, false);
	switch_end(vmw, true, false);
}

static void switch_last_written(struct vmw *vmw)
{
	switch_end(vmw, false, true);
	switch_end(vmw, true, true);
}

/* To and fro within a submission, what each copy sees is in order. */
static void switch_often(struct vmw *vmw)
{
	struct change c = change_create(vmw);
	struct {
		struct vmw_copy copy;
		struct vmw_bind bind;
	} cmds[9];
	uint32_t bo[2] = { c.b.surf->bo, c.mob.bo };
	int i;

	pattern_fill(c.b.p, c.map, 0, SIZE);
	for (i = 0; i < 9; i++) {
		cmds[i].copy = vmw_copy(c.seen[i & 1], c.b.surf, 0, SIZE);
		cmds[i].bind = vmw_bind(c.b.surf, bo[~i & 1]);
	}
	vmw_exec(vmw, cmds, sizeof(cmds));
	seen_assert(&c, 0, c.old);
	seen_assert(&c, 1, c.b.p);
	change_check(&c);
	change_destroy(&c);
}

/*
 * The submission fails when the surface has its new buffer already, for want of
 * memory, at one place after the other.
 */
static void switch_fails(struct vmw *vmw)
{
	struct change c = change_create(vmw);
	struct {
		struct vmw_bind bind;
		struct vmw_copy copy;
	} cmds = {
		vmw_bind(c.b.surf, c.mob.bo),
		vmw_copy(c.seen[0], c.b.surf, 0, SIZE),
	};
	static const char *const injection[] = {
		"/proc/thread-self/fail-nth",
		"/sys/kernel/debug/failslab/ignore-gfp-wait",
		"/sys/kernel/debug/failslab/verbose",
		"/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait",
		"/sys/kernel/debug/fail_page_alloc/min-order",
		"/sys/kernel/debug/fail_page_alloc/verbose",
	};
	struct vmw_buf old = { c.b.surf, c.b.snap, c.old };
	struct vmw_bind back = vmw_bind(c.b.surf, c.b.surf->bo);
	int i, fd, ret, left, failed = 0;
	char nth[16];

	for (i = 0; i < (int)ARRAY_SIZE(injection); i++)
		igt_require_f(!coh_write(injection[i], "0\n"),
			      "no fault injection in this kernel: %s\n",
			      injection[i]);
	pattern_fill(c.b.p, c.map, 0, SIZE);
	fd = open(injection[0], O_RDWR | O_CLOEXEC);
	igt_assert(fd >= 0);
	for (i = 1, left = 0; !left; i++) {
		pattern_fill(c.old, c.b.surf->map, i % PAGES * PAGE, PAGE);
		snprintf(nth, sizeof(nth), "%d\n", i);
		igt_assert(pwrite(fd, nth, strlen(nth), 0) > 0);
		ret = vmw_submit(vmw, &cmds, sizeof(cmds), NULL);
		memset(nth, 0, sizeof(nth));
		igt_assert(pread(fd, nth, sizeof(nth) - 1, 0) > 0);
		igt_assert(pwrite(fd, "0\n", 2, 0) == 2);
		left = atoi(nth);
		failed += !!ret;
		/* some that fail are not needed */
		if (!ret && !left)
			vmw_exec(vmw, &back, sizeof(back));
		else if (ret)
			igt_assert_eq(ret, -ENOMEM);
		if (!left)
			vmw_buf_check(&old);
	}
	close(fd);
	igt_info("%d allocations, %d failures\n", i - 2, failed);
	igt_assert_lt(3, failed);
	seen_assert(&c, 0, c.b.p);
	change_check(&c);
	change_destroy(&c);
}

/* ------------------------------------------------ commands between the two */

struct storing {
	struct vmw_buf *b;
	void *map;
};

static void *store(void *arg)
{
	struct storing *s = arg;

	pattern_fill(s->b->p, s->map, 3 * PAGE, PAGE);
	return NULL;
}

/*
 * The device is told to write the surface's memory. A store of the CPU at the
 * same time, to another page, comes before that or after, and stays.
 */
static void read_back_cmd(struct vmw *vmw, const void *cmds, uint32_t size,
			  struct vmw_buf *b)
{
	struct storing s = { b, vmw_surf_mmap(b->surf, PROT_READ | PROT_WRITE) };
	pthread_t thread;
	uint32_t fence;
	int ret;

	/* the entries are there, and nothing is left for an upload to read late */
	pattern_fill(b->p, s.map, 3 * PAGE, PAGE);
	pattern_fill(b->p, b->surf->map, 4 * PAGE, PAGE);
	vmw_touch(b->surf);
	vmw_ctl_set(vmw, SVGA3_HOLD, 1);
	ret = vmw_submit(vmw, cmds, size, &fence);
	igt_assert_f(!ret, "submission: %s\n", strerror(-ret));
	igt_assert(!pthread_create(&thread, NULL, store, &s));
	usleep(200000);
	vmw_ctl_set(vmw, SVGA3_HOLD, 0);
	pthread_join(thread, NULL);
	igt_assert_eq(vmw_fence_wait(vmw, fence, 30000000), 0);
	vmw_fence_unref(vmw, fence);
	munmap(s.map, b->surf->map_size);
	pattern_assert(b->p, b->surf->map, 0, b->p->size);
	vmw_buf_check(b);
}

static void read_back_surface(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SIZE, true));
	struct vmw_surf *src = vmw_buffer(vmw, SIZE, false);
	struct {
		struct vmw_copy copy;
		struct vmw_surf_cmd back;
	} cmds = {
		vmw_copy(b.surf, src, 30 * PAGE, PAGE),
		vmw_surf_cmd(SVGA_3D_CMD_READBACK_GB_SURFACE, b.surf),
	};
	uint64_t readbacks;

	pattern_fill(b.p, src->map, 30 * PAGE, PAGE);
	vmw_update(src);
	readbacks = vmw_ctl_get(vmw, SVGA3_READBACKS);
	read_back_cmd(vmw, &cmds, sizeof(cmds), &b);
	/* that one, and the snapshot's */
	igt_assert_eq_u64(vmw_ctl_get(vmw, SVGA3_READBACKS) - readbacks, 2);
	vmw_surf_destroy(src);
	vmw_buf_destroy(&b);
}

static void read_back_image(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SIZE, true));
	struct {
		SVGA3dCmdHeader header;
		SVGA3dCmdReadbackGBImage body;
	} back = {
		{ SVGA_3D_CMD_READBACK_GB_IMAGE, sizeof(back.body) },
		{ .image.sid = b.surf->handle },
	};

	read_back_cmd(vmw, &back, sizeof(back), &b);
	vmw_buf_destroy(&b);
}

static void read_back_subresource(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SIZE, true));
	struct {
		SVGA3dCmdHeader header;
		SVGA3dCmdDXReadbackSubResource body;
	} back = {
		{ SVGA_3D_CMD_DX_READBACK_SUBRESOURCE, sizeof(back.body) },
		{ .sid = b.surf->handle },
	};

	igt_require_f(vmw->sm4, "the device has no SM4\n");
	read_back_cmd(vmw, &back, sizeof(back), &b);
	vmw_buf_destroy(&b);
}

/* The device reads memory that is to have what it has written. */
static void update_cmd(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_warm(vmw_buffer(vmw, SIZE, true));
	struct vmw_surf *src = vmw_buffer(vmw, SIZE, false);

	device_store(b.p, b.surf, src, 12, 34);
	vmw_update(b.surf);
	vmw_buf_check(&b);
	device_store(b.p, b.surf, src, 3, 14);
	vmw_touch(b.surf);
	vmw_buf_check_device(&b);
	vmw_buf_check(&b);
	vmw_surf_destroy(src);
	vmw_buf_destroy(&b);
}

/*
 * A surface that is not coherent, and that the device has written to, becomes
 * tracked: another on its buffer is.
 */
static void becomes_tracked(struct vmw *vmw)
{
	struct vmw_buf b = vmw_buf_of(vmw_buffer(vmw, SIZE, false));
	struct vmw_surf *src = vmw_buffer(vmw, SIZE, false), *other;

	pattern_fill(b.p, b.surf->map, 0, SIZE);
	vmw_update(b.surf);
	device_store(b.p, b.surf, src, 40, 10);
	other = vmw_surf_share(b.surf, SIZE, true);
	vmw_touch(b.surf);
	pattern_assert(b.p, b.surf->map, 0, SIZE);
	pattern_fill(b.p, b.surf->map, 60 * PAGE, PAGE);
	vmw_buf_check(&b);
	vmw_surf_destroy(other);
	vmw_surf_destroy(src);
	vmw_buf_destroy(&b);
}

static const struct vmw_subtest subtests[] = {
	{ "two-written", "C2: the device writes two surfaces of a buffer",
	  two_written },
	{ "two-written-unseen",
	  "C2: as two-written, with the CPU to look last", two_written_unseen },
	{ "two-in-turns", "C1, C2: CPU and device write two surfaces in turns",
	  two_in_turns },
	{ "other-used",
	  "C2: what the device wrote to a surface is used by another's name",
	  other_used },
	{ "gone-shared", "C2, C3: a surface goes, and another has its memory",
	  gone_shared },
	{ "gone-unseen", "C5: nothing is read back that nobody can see",
	  gone_unseen },
	{ "switch-old",
	  "C2: what the device wrote is in the buffer the surface had",
	  switch_old },
	{ "switch-write-mapped",
	  "C1, C2: a submission binds a buffer with stores, and the device writes",
	  switch_write_mapped },
	{ "switch-write-unmapped",
	  "C2, C3: as switch-write-mapped, through a mapping that is gone",
	  switch_write_unmapped },
	{ "switch-write-late", "C1, C2, C3: as both, after another use",
	  switch_write_late },
	{ "switch-used", "C1: a submission binds a buffer and uses it",
	  switch_used },
	{ "switch-between", "C1: a submission uses one buffer and then another",
	  switch_between },
	{ "switch-written-between",
	  "C1, C2: as switch-between, with the device to write",
	  switch_written_between },
	{ "switch-last", "C1, C5: a submission ends with a new buffer",
	  switch_last },
	{ "switch-last-written",
	  "C2: as switch-last, and the device has written by then",
	  switch_last_written },
	{ "switch-often", "C1: two buffers in turns, in a submission",
	  switch_often },
	{ "switch-fails", "C3: a submission that binds a buffer fails",
	  switch_fails },
	{ "read-back-surface",
	  "C4: the device is told to write memory, and the CPU stores to it",
	  read_back_surface },
	{ "read-back-image", "C4: the same for an image", read_back_image },
	{ "read-back-subresource", "C4: the same for a subresource",
	  read_back_subresource },
	{ "update-command", "C2: the device is told to read memory", update_cmd },
	{ "becomes-tracked",
	  "C1, C2: a surface that the device wrote is tracked from then on",
	  becomes_tracked },
};

int coh_main()
{
	vmw_subtests(subtests, ARRAY_SIZE(subtests));
}
