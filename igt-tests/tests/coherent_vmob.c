// SPDX-License-Identifier: MIT
/**
 * TEST: coherent vmob
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: What vmob has beside coherent buffers, and what those rely on: its
 *	commands, the order in which they are executed, its fences, jobs that end early, and
 *	moves of buffers that wait for them.
 *
 * SUBTEST: commands
 * Description: C1: each command, on what the CPU has stored, against a model
 *
 * SUBTEST: writes
 * Description: C5: many commands that write to one buffer
 *
 * SUBTEST: order
 * Description: C1: submissions of five contexts to one buffer
 *
 * SUBTEST: syncobjs
 * Description: C1: syncobjs that a submission signals, binary and timeline
 *
 * SUBTEST: pending
 * Description: C3: context, handles, file and process gone before the job is executed
 *
 * SUBTEST: timeout
 * Description: C3: a command that takes too long is cut short, and no store is lost
 *
 * SUBTEST: killed
 * Description: C3: so are those of a process that is killed
 *
 * SUBTEST: closed
 * Description: C3: so they are some time after it has ended
 *
 * SUBTEST: killed-closing
 * Description: C2: killed while a copy that goes waits for what others write
 *
 * SUBTEST: queue-bounded
 * Description: C5: a process can't queue work for the device without end
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
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <xf86drm.h>
#include <drm/vmob_drm.h>

#include "coherent.h"
#include "igt_core.h"

IGT_TEST_DESCRIPTION("Coherent buffers of vmob: commands, fences, moves");

#define SIZE KiB(64)
#define SECOND INT64_C(1000000000)

/* A submission's arrays, and their lengths as far as they are not 0 */
struct submission {
	uint32_t ctx;
	const struct drm_vmob_cmd *cmds;
	uint32_t n_cmds;
	const uint32_t *handles;
	uint32_t n_handles;
	const struct drm_vmob_sync *out;
	uint32_t n_out;
};

static void submit(struct egm_dev *dev, const struct submission *s)
{
	struct drm_vmob_submit arg = {
		.ctx_id = s->ctx,
		.cmds = (uintptr_t)s->cmds,
		.bo_handles = (uintptr_t)s->handles,
		.out_syncs = (uintptr_t)s->out,
		.cmd_count = s->n_cmds,
		.bo_count = s->n_handles,
		.out_sync_count = s->n_out,
	};

	igt_assert_f(!drmIoctl(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg),
		     "submission: %s\n", strerror(errno));
}

static uint32_t ctx_create(struct egm_dev *dev)
{
	struct drm_vmob_ctx_create arg = { 0 };

	igt_assert(!drmIoctl(dev->fd, DRM_IOCTL_VMOB_CTX_CREATE, &arg));
	return arg.ctx_id;
}

static void ctx_destroy(struct egm_dev *dev, uint32_t ctx)
{
	struct drm_vmob_ctx_destroy arg = { .ctx_id = ctx };

	igt_assert(!drmIoctl(dev->fd, DRM_IOCTL_VMOB_CTX_DESTROY, &arg));
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static uint32_t syncobj_create(struct egm_dev *dev)
{
	uint32_t handle;

	igt_assert(!drmSyncobjCreate(dev->fd, 0, &handle));
	return handle;
}

static bool signalled(struct egm_dev *dev, uint32_t syncobj)
{
	int ret = drmSyncobjWait(dev->fd, &syncobj, 1, 0, 0, NULL);

	igt_assert_f(!ret || ret == -ETIME, "%s\n", strerror(-ret));
	return !ret;
}

static void syncobj_wait(struct egm_dev *dev, uint32_t syncobj)
{
	igt_assert_eq(drmSyncobjWait(dev->fd, &syncobj, 1, now_ns() + 30 * SECOND,
				     0, NULL), 0);
}

static bool bo_idle(struct egm_bo *bo)
{
	struct drm_vmob_bo_wait arg = { .handle = bo->handle };
	int ret = drmIoctl(bo->dev->fd, DRM_IOCTL_VMOB_BO_WAIT, &arg);

	igt_assert_f(!ret || errno == ETIME, "%s\n", strerror(errno));
	return !ret;
}

static uint32_t bo_domain(struct egm_bo *bo)
{
	struct drm_vmob_bo_info arg = { .handle = bo->handle };

	igt_assert(!drmIoctl(bo->dev->fd, DRM_IOCTL_VMOB_BO_INFO, &arg));
	return arg.domain;
}

/* libegm's, of buffers that it has no way to ask for */
static struct egm_bo *create(struct egm_dev *dev, uint64_t size, uint32_t flags,
			     uint32_t domains)
{
	struct drm_vmob_bo_create arg = {
		.size = size, .flags = flags, .domains = domains,
	};
	struct egm_bo *bo;
	int fd;

	igt_assert_f(!drmIoctl(dev->fd, DRM_IOCTL_VMOB_BO_CREATE, &arg), "%s\n",
		     strerror(errno));
	igt_assert(!drmPrimeHandleToFD(dev->fd, arg.handle,
				       DRM_CLOEXEC | DRM_RDWR, &fd));
	/* has the same handle */
	bo = coh_import(dev, fd);
	close(fd);
	return bo;
}

static int debugfs_write(struct egm_dev *dev, const char *file, const char *text)
{
	FILE *f = egm_debugfs_open(&dev->node, file, true);

	if (!f)
		return -errno;
	fputs(text, f);
	return fclose(f) ? -errno : 0;
}

/* ---- commands ----------------------------------------------------------- */

/* What the device has, by a program that does the same with arrays. */
enum { COHERENT, PLAIN, OTHER, BUFS };

struct model {
	struct egm_bo *bo[BUFS];
	uint8_t *device[BUFS], *guest[BUFS];
};

static void model_add(uint8_t *dst, const uint8_t *src, uint64_t size)
{
	uint32_t *d = (uint32_t *)dst;
	const uint32_t *s = (const uint32_t *)src;
	uint64_t i;

	for (i = 0; i < size / 4; i++)
		d[i] += s[i];
}

static uint64_t model_checksum(const uint8_t *src, uint64_t size)
{
	const uint32_t *s = (const uint32_t *)src;
	uint64_t sum = UINT64_C(0xcbf29ce484222325), i;

	for (i = 0; i < size / 4; i++)
		sum = (sum ^ s[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static void model_scatter(uint8_t *dst, uint64_t words, const uint8_t *src,
			  uint64_t size)
{
	uint32_t *d = (uint32_t *)dst;
	const uint32_t *s = (const uint32_t *)src;
	uint64_t i;

	for (i = 0; i < size / 4; i += 2)
		if (s[i] < words)
			d[s[i]] = s[i + 1];
}

static void model_execute(struct model *m, const struct drm_vmob_cmd *cmd)
{
	uint8_t *dst = m->device[cmd->dst] + cmd->dst_offset;
	uint8_t *src = m->device[cmd->src] + cmd->src_offset;
	uint64_t i, sum;

	switch (cmd->op) {
	case DRM_VMOB_CMD_FILL:
		for (i = 0; i < cmd->size / 4; i++)
			((uint32_t *)dst)[i] = cmd->value;
		break;
	case DRM_VMOB_CMD_COPY:
		memmove(dst, src, cmd->size);
		break;
	case DRM_VMOB_CMD_ADD:
		model_add(dst, src, cmd->size);
		break;
	case DRM_VMOB_CMD_CHECKSUM:
		sum = model_checksum(src, cmd->size);
		memcpy(dst, &sum, sizeof(sum));
		break;
	case DRM_VMOB_CMD_SCATTER:
		model_scatter(dst, cmd->value, src, cmd->size);
		break;
	case DRM_VMOB_CMD_UPLOAD:
		/* Does nothing to a coherent buffer. */
		if (cmd->dst != COHERENT)
			memcpy(dst, m->guest[cmd->dst] + cmd->dst_offset, cmd->size);
		break;
	case DRM_VMOB_CMD_READBACK:
		memcpy(m->guest[cmd->dst] + cmd->dst_offset, dst, cmd->size);
		break;
	}
}

/* Any command at any offset that is allowed. */
static struct drm_vmob_cmd random_cmd(struct rng *r)
{
	struct drm_vmob_cmd cmd = {
		.op = rng_below(r, DRM_VMOB_CMD_READBACK + 1),
		.dst = rng_below(r, BUFS),
		.size = 8 * (1 + rng_below(r, rng_below(r, 2) ? SIZE / 8 : 64)),
	};
	uint64_t align = cmd.op == DRM_VMOB_CMD_COPY ? 1 : 8;
	uint64_t room = (SIZE - cmd.size) / align + 1;

	cmd.dst_offset = rng_below(r, room) * align;
	switch (cmd.op) {
	case DRM_VMOB_CMD_FILL:
		cmd.value = (uint32_t)rng_next(r);
		break;
	case DRM_VMOB_CMD_SCATTER:
		/* words behind the offset, some of them beyond the pairs' reach */
		cmd.value = rng_below(r, (SIZE - cmd.dst_offset) / 4);
		/* fall through */
	case DRM_VMOB_CMD_COPY:
	case DRM_VMOB_CMD_ADD:
	case DRM_VMOB_CMD_CHECKSUM:
		cmd.src = rng_below(r, BUFS);
		cmd.src_offset = rng_below(r, room) * align;
		if (cmd.op == DRM_VMOB_CMD_SCATTER && cmd.src == cmd.dst)
			cmd.src = (cmd.dst + 1) % BUFS;
		break;
	case DRM_VMOB_CMD_DELAY:
		cmd = (struct drm_vmob_cmd){
			.op = DRM_VMOB_CMD_DELAY, .value = rng_below(r, 500),
		};
		break;
	}
	return cmd;
}

/* Pairs whose first words are low enough to be of use to SCATTER, mostly */
static void store(struct model *m, int which, struct rng *r)
{
	uint32_t *map = m->bo[which]->map, *guest = (uint32_t *)m->guest[which];
	uint64_t first = rng_below(r, SIZE / 4 - 64), i;

	for (i = first; i < first + 64; i++)
		guest[i] = map[i] = i & 1 ? rng_next(r) :
					    rng_below(r, SIZE / 4 + 100);
}

static void compare(const char *what, int which, const void *got,
		    const uint8_t *want, int round)
{
	uint64_t i;

	for (i = 0; i < SIZE && ((const uint8_t *)got)[i] == want[i]; i++)
		;
	igt_assert_f(i == SIZE,
		     "round %d: %s of buffer %d differs from byte %" PRIu64
		     " on; --seed 0x%" PRIx64 "\n", round, what, which, i,
		     seed_get());
}

static void commands(struct egm_dev *dev)
{
	struct egm_bo *snap = coh_create_plain(dev, SIZE);
	struct rng r = rng_new(1);
	struct model m;
	int round, i;

	for (i = 0; i < BUFS; i++) {
		m.bo[i] = i == COHERENT ? coh_create(dev, SIZE) :
					  coh_create_plain(dev, SIZE);
		m.device[i] = calloc(1, SIZE);
		m.guest[i] = calloc(1, SIZE);
		igt_assert(m.device[i] && m.guest[i]);
	}

	for (round = 0; round < 400; round++) {
		const uint32_t handles[] = {
			m.bo[0]->handle, m.bo[1]->handle, m.bo[2]->handle,
		};
		struct drm_vmob_cmd cmds[6];
		int n = 1 + rng_below(&r, ARRAY_SIZE(cmds));

		for (i = 0; i < BUFS; i++)
			store(&m, i, &r);
		memcpy(m.device[COHERENT], m.guest[COHERENT], SIZE);
		for (i = 0; i < n; i++) {
			cmds[i] = random_cmd(&r);
			model_execute(&m, &cmds[i]);
		}
		memcpy(m.guest[COHERENT], m.device[COHERENT], SIZE);
		submit(dev, &(struct submission){
			.cmds = cmds, .n_cmds = n,
			.handles = handles, .n_handles = BUFS,
		});
		for (i = 0; i < BUFS; i++) {
			coh_snapshot(m.bo[i], snap);
			compare("the device copy", i, coh_fetch(snap),
				m.device[i], round);
			compare("the memory", i, m.bo[i]->map, m.guest[i], round);
		}
	}
	for (i = 0; i < BUFS; i++) {
		free(m.device[i]);
		free(m.guest[i]);
	}
}

/*
 * However many commands write to a buffer, it is looked at once, or once for each range
 * that is apart from the others.
 */
static void writes(struct egm_dev *dev)
{
	enum { COUNT = 1000 };
	const uint64_t size = (COUNT + 1) * PAGE;
	struct drm_vmob_cmd cmds[COUNT];
	struct egm_bo *bo = coh_create(dev, size);
	struct egm_counters before, after;
	struct rng r = rng_new(5);
	uint32_t *map = bo->map;
	int i, step;

	for (step = 1; step <= 100; step += 99) {
		/* all pages in any order, or one in a hundred */
		for (i = 0; i < COUNT; i++)
			cmds[i] = (struct drm_vmob_cmd){
				.op = DRM_VMOB_CMD_FILL,
				.dst_offset = i / step * step * PAGE,
				.size = step > 1 ? PAGE / 2 : PAGE,
				.value = step * 10000 + i / step * step,
			};
		for (i = COUNT - 1; i > 0; i--) {
			struct drm_vmob_cmd cmd = cmds[i];
			int other = rng_below(&r, i + 1);

			cmds[i] = cmds[other];
			cmds[other] = cmd;
		}
		coh_wait(bo);
		for (i = 0; i <= COUNT; i++)
			map[i * PAGE / 4] = i;

		coh_counters(dev, &before);
		submit(dev, &(struct submission){
			.cmds = cmds, .n_cmds = COUNT,
			.handles = &bo->handle, .n_handles = 1,
		});
		coh_counters(dev, &after);
		igt_assert_eq_u64(coh_delta(&before, &after, "passes"),
				  step == 1 ? 1 : COUNT / step);
		for (i = 0; i <= COUNT; i++)
			igt_assert_eq(map[i * PAGE / 4], i < COUNT && !(i % step) ?
				      step * 10000 + i : i);
		coh_counters(dev, &after);
		igt_assert_eq_u64(coh_delta(&before, &after, "pages_read_back"),
				  COUNT / step);
	}
}

/* ---- order and fences --------------------------------------------------- */

/*
 * Contexts take turns in doubling a number and adding another: any two in the
 * wrong order show in the result.
 */
static void order(struct egm_dev *dev)
{
	struct egm_bo *acc = coh_create_plain(dev, PAGE);
	struct egm_bo *in = coh_create(dev, PAGE);
	const uint32_t handles[] = { acc->handle, in->handle };
	volatile uint32_t *word = in->map;
	uint32_t ctx[5] = { 0 }, want = 0;
	struct rng r = rng_new(2);
	int i;

	for (i = 1; i < 5; i++)
		ctx[i] = ctx_create(dev);
	for (i = 0; i < 500; i++) {
		const struct drm_vmob_cmd cmds[] = {
			{ .op = DRM_VMOB_CMD_ADD, .size = 4 },
			{ .op = DRM_VMOB_CMD_ADD, .src = 1, .size = 4 },
			{ .op = DRM_VMOB_CMD_DELAY, .value = rng_below(&r, 200) },
		};

		/* the store of this submission, or still the one before */
		if (!(i % 8)) {
			coh_wait(in);
			*word = i + 1;
		}
		want = 2 * want + *word;
		submit(dev, &(struct submission){
			.ctx = ctx[rng_below(&r, 5)],
			.cmds = cmds, .n_cmds = 3, .handles = handles,
			.n_handles = 2,
		});
	}
	igt_assert_eq_u64(*(const uint32_t *)coh_fetch(acc), want);
}

/* Longer than it takes to look at what is not done yet */
#define DELAY_US 300000

static void syncobjs(struct egm_dev *dev)
{
	struct egm_bo *bo = coh_create(dev, SIZE);
	struct egm_bo *snap = coh_create_plain(dev, SIZE);
	const struct drm_vmob_cmd cmds[] = {
		{ .op = DRM_VMOB_CMD_DELAY, .value = DELAY_US },
		{ .op = DRM_VMOB_CMD_COPY, .dst = 1, .size = SIZE },
	};
	const uint32_t handles[] = { bo->handle, snap->handle };
	uint32_t done = syncobj_create(dev), line = syncobj_create(dev);
	struct pattern *p = pattern_new(SIZE);
	uint64_t point, reached;
	int early = 0;

	pattern_fill(p, bo->map, 0, SIZE);
	for (point = 10; point < 50; point += 10) {
		const struct drm_vmob_sync out[] = {
			{ .handle = done }, { .handle = line, .point = point },
		};

		pattern_fill(p, bo->map, point * 1024, KiB(4));
		submit(dev, &(struct submission){
			.ctx = point == 30 ? ctx_create(dev) : 0,
			.cmds = cmds, .n_cmds = 2,
			.handles = handles, .n_handles = 2,
			.out = out, .n_out = 2,
		});
		/* if one of them has not signalled, none had before */
		igt_assert_eq(drmSyncobjQuery(dev->fd, &line, &reached, 1), 0);
		if (!bo_idle(bo) && !signalled(dev, done)) {
			igt_assert_eq_u64(reached, point == 10 ? 0 : point - 10);
			early++;
		}

		syncobj_wait(dev, done);
		igt_assert_eq(drmSyncobjTimelineWait(dev->fd, &line, &point, 1,
						     now_ns() + 30 * SECOND, 0,
						     NULL), 0);
		coh_wait(bo);
		igt_assert(bo_idle(bo));
		pattern_assert(p, coh_fetch(snap), 0, SIZE);
	}
	igt_assert(early);
	drmSyncobjDestroy(dev->fd, done);
	drmSyncobjDestroy(dev->fd, line);
	pattern_free(p);
}

/*
 * Submitted, and then everything that the submission is from goes away: the
 * context, the mapping, the handles, the file or the process.
 */
static void pending(struct egm_dev *dev)
{
	struct egm_bo *snap = coh_create_plain(dev, SIZE);
	struct pattern *p = pattern_new(SIZE);
	int fd = coh_export(snap), i, early = 0;

	for (i = 0; i < 4; i++) {
		igt_fork(child, 1) {
			struct egm_dev *mine = coh_open_again(dev);
			struct egm_bo *to = coh_import(mine, fd);
			struct egm_bo *bo = coh_create(mine, SIZE);
			const struct drm_vmob_cmd cmds[] = {
				{ .op = DRM_VMOB_CMD_DELAY, .value = DELAY_US },
				{ .op = DRM_VMOB_CMD_COPY, .dst = 1, .size = SIZE },
			};
			const uint32_t handles[] = { bo->handle, to->handle };
			uint32_t ctx = ctx_create(mine);

			pattern_fill(p, bo->map, 0, SIZE);
			submit(mine, &(struct submission){
				.ctx = ctx, .cmds = cmds, .n_cmds = 2,
				.handles = handles, .n_handles = 2,
			});
			if (i & 1)
				ctx_destroy(mine, ctx);
			if (i & 2) {
				egm_bo_destroy(bo);
				coh_close(mine);
			}
			_exit(0);
		}
		igt_waitchildren();
		early += !bo_idle(snap);
		pattern_assert(p, coh_fetch(snap), 0, SIZE);
	}
	igt_info("%d of %d were not executed yet\n", early, i);
	close(fd);
	pattern_free(p);
}

/* ---- jobs that end early ------------------------------------------------- */

/* Longer than any test waits for what ends early */
#define LONG_US 9000000
/* As long as it takes at most, on a slow machine, when it ends at once */
#define SOON_MS 4000

/* Waits until it has signalled, or for so long; returns whether it has. */
static bool fence_wait(int fence, int ms)
{
	struct pollfd p = { .fd = fence, .events = POLLIN };
	int ret = poll(&p, 1, ms);

	igt_assert_lte(0, ret);
	return ret;
}

/* 1, or the error that it has signalled with */
static int fence_status(int fence)
{
	struct sync_file_info info = { 0 };

	igt_assert(!ioctl(fence, SYNC_IOC_FILE_INFO, &info));
	return info.status;
}

/* That of all that was submitted with a buffer */
static int bo_fence(int dmabuf)
{
	struct dma_buf_export_sync_file arg = { .flags = DMA_BUF_SYNC_RW, .fd = -1 };

	igt_assert_f(!ioctl(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &arg), "%s\n",
		     strerror(errno));
	return arg.fd;
}

static void timeout_set(struct egm_dev *dev, const char *ms)
{
	igt_require_f(!debugfs_write(dev, "timeout_ms", ms),
		      "no timeout_ms in debugfs\n");
}

/*
 * One command of each kind that takes too long is cut short. What the CPU has stored
 * is uploaded, and the next submission works.
 */
static void timeout(struct egm_dev *dev)
{
	const uint64_t size = MiB(64);
	const struct drm_vmob_cmd cmds[] = {
		{ .op = DRM_VMOB_CMD_DELAY, .value = LONG_US },
		{ .op = DRM_VMOB_CMD_FILL, .dst = 1, .size = size, .value = 7 },
		{ .op = DRM_VMOB_CMD_COPY, .dst = 1, .src = 2, .size = size },
		{ .op = DRM_VMOB_CMD_COPY, .dst = 1, .src = 1, .dst_offset = 8,
		  .size = size - 8 },
		{ .op = DRM_VMOB_CMD_ADD, .dst = 1, .src = 2, .size = size },
		{ .op = DRM_VMOB_CMD_CHECKSUM, .dst = 1, .src = 2, .size = size },
		{ .op = DRM_VMOB_CMD_SCATTER, .dst = 1, .src = 2, .size = size,
		  .value = size / 4 },
		{ .op = DRM_VMOB_CMD_UPLOAD, .dst = 1, .size = size },
		{ .op = DRM_VMOB_CMD_READBACK, .dst = 1, .size = size },
	};
	struct egm_bo *bo = coh_create(dev, SIZE);
	struct egm_bo *snap = coh_create_plain(dev, SIZE);
	struct egm_bo *big[2] = {
		coh_create_plain(dev, size), coh_create_plain(dev, size),
	};
	const uint32_t handles[] = { bo->handle, big[0]->handle, big[1]->handle };
	struct drm_vmob_sync out = { .handle = syncobj_create(dev) };
	struct pattern *p = pattern_new(SIZE);
	size_t i;
	int fence;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		pattern_fill(p, bo->map, i * KiB(4), KiB(4));
		timeout_set(dev, i ? "1" : "300");
		submit(dev, &(struct submission){
			.cmds = &cmds[i], .n_cmds = 1,
			.handles = handles, .n_handles = 3,
			.out = &out, .n_out = 1,
		});
		igt_assert_eq(drmSyncobjExportSyncFile(dev->fd, out.handle, &fence), 0);
		igt_assert(fence_wait(fence, SOON_MS));
		timeout_set(dev, "30000");
		igt_assert_f(fence_status(fence) == -ETIME,
			     "command %zu ended with %d\n", i, fence_status(fence));
		close(fence);
		coh_snapshot(bo, snap);
		pattern_assert(p, coh_fetch(snap), 0, SIZE);
	}
	drmSyncobjDestroy(dev->fd, out.handle);
	pattern_free(p);
}

/*
 * A process that has stored to a buffer and submitted it, with commands that take
 * very long, and ends then, or waits for that.
 */
static pid_t start_long(struct egm_dev *dev, int dmabuf, struct pattern *p, bool exits)
{
	int done[2];
	pid_t pid;
	char c;

	igt_assert(!pipe(done));
	pid = fork();
	igt_assert_lte(0, pid);
	if (!pid) {
		const struct drm_vmob_cmd cmds[] = {
			{ .op = DRM_VMOB_CMD_DELAY, .value = LONG_US },
			{ .op = DRM_VMOB_CMD_FILL, .size = SIZE, .value = 7 },
		};
		struct egm_dev *mine = coh_open_again(dev);
		struct egm_bo *bo = coh_import(mine, dmabuf);
		uint32_t ctx = ctx_create(mine);
		int i;

		pattern_fill(p, bo->map, 0, SIZE);
		/* no more than can be queued */
		for (i = 0; i < 4; i++)
			submit(mine, &(struct submission){
				.ctx = i & 1 ? ctx : 0, .cmds = cmds, .n_cmds = 2,
				.handles = &bo->handle, .n_handles = 1,
			});
		ctx_destroy(mine, ctx);
		if (write(done[1], "", 1) == 1 && !exits)
			pause();
		_exit(0);
	}
	close(done[1]);
	igt_assert_eq(read(done[0], &c, 1), 1);
	close(done[0]);
	return pid;
}

/* Jobs of a process that is gone end soon, with nothing lost that it has stored. */
static void gone(struct egm_dev *dev, bool exits, int ms)
{
	struct egm_bo *bo = coh_create(dev, SIZE);
	struct egm_bo *snap = coh_create_plain(dev, SIZE);
	struct pattern *p = pattern_new(SIZE);
	int dmabuf = coh_export(bo), fence, status;
	pid_t pid = start_long(dev, dmabuf, p, exits);

	fence = bo_fence(dmabuf);
	if (!exits)
		igt_assert(!kill(pid, SIGKILL));
	igt_assert(fence_wait(fence, ms));
	igt_assert_eq(fence_status(fence), -ECANCELED);
	igt_assert_eq(waitpid(pid, &status, 0), pid);
	pattern_assert(p, bo->map, 0, SIZE);
	coh_snapshot(bo, snap);
	pattern_assert(p, coh_fetch(snap), 0, SIZE);
	close(fence);
	close(dmabuf);
	pattern_free(p);
}

static void killed(struct egm_dev *dev)
{
	gone(dev, false, SOON_MS);
}

static void closed(struct egm_dev *dev)
{
	/* The header has 5 seconds. */
	gone(dev, true, 5000 + SOON_MS);
}

/*
 * A copy goes while a job of another process writes to the same buffer. Who is killed
 * does not wait for that job, and what it writes arrives.
 */
static void killed_closing(struct egm_dev *dev)
{
	const struct drm_vmob_cmd cmds[] = {
		{ .op = DRM_VMOB_CMD_FILL, .size = PAGE, .value = 7 },
		{ .op = DRM_VMOB_CMD_DELAY, .value = LONG_US },
	};
	struct egm_bo *bo = coh_create(dev, SIZE);
	int dmabuf = coh_export(bo), go[2], ready[2], i, status;
	pid_t pid;
	char c;

	igt_assert(!pipe(go) && !pipe(ready));
	pid = fork();
	igt_assert_lte(0, pid);
	if (!pid) {
		struct egm_dev *mine = coh_open_again(dev);
		struct egm_bo *theirs = coh_import(mine, dmabuf);
		struct drm_vmob_view_create view = {
			.bo_handle = theirs->handle, .size = SIZE,
		};

		igt_assert(!drmIoctl(mine->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &view));
		if (write(ready[1], "", 1) == 1 && read(go[0], &c, 1) == 1)
			drmCloseBufferHandle(mine->fd, view.handle);
		_exit(0);
	}
	close(ready[1]);
	igt_assert_eq(read(ready[0], &c, 1), 1);
	submit(dev, &(struct submission){
		.cmds = cmds, .n_cmds = 2, .handles = &bo->handle, .n_handles = 1,
	});
	igt_assert_eq(write(go[1], "", 1), 1);
	usleep(500000);
	igt_assert_eq(waitpid(pid, &status, WNOHANG), 0);

	igt_assert(!kill(pid, SIGKILL));
	for (i = 0; i < SOON_MS / 10 && !waitpid(pid, &status, WNOHANG); i++)
		usleep(10000);
	igt_assert_lt(i, SOON_MS / 10);
	igt_assert(!bo_idle(bo));
	igt_assert_eq(((volatile uint32_t *)bo->map)[PAGE / 4 - 1], 7);
	close(ready[0]);
	close(go[0]);
	close(go[1]);
	close(dmabuf);
}

/*
 * A file can't have the device work for it for more than some submissions ahead. Who
 * submits more waits, and a signal ends that. Others do not wait for it.
 */
static void queue_bounded(struct egm_dev *dev)
{
	const struct drm_vmob_cmd cmds[] = {
		{ .op = DRM_VMOB_CMD_DELAY, .value = LONG_US },
		{ .op = DRM_VMOB_CMD_CHECKSUM, .size = MiB(64) },
		{ .op = DRM_VMOB_CMD_FILL, .size = 4 },
	};
	static const unsigned int most[] = { 4, 256, 1024 };
	volatile unsigned int *n;
	unsigned int kind, i;
	int status;
	pid_t pid;

	n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	igt_assert(n != MAP_FAILED);
	for (kind = 0; kind < ARRAY_SIZE(cmds); kind++) {
		*n = 0;
		pid = fork();
		igt_assert_lte(0, pid);
		if (!pid) {
			struct egm_dev *mine = coh_open_again(dev);
			struct egm_bo *bo = coh_create_plain(mine, MiB(64));

			/* nothing that comes after it is done soon */
			submit(mine, &(struct submission){
				.cmds = cmds, .n_cmds = 1,
				.handles = &bo->handle, .n_handles = 1,
			});
			for (*n = 1; *n < 2048; ++*n)
				submit(mine, &(struct submission){
					.cmds = &cmds[kind], .n_cmds = 1,
					.handles = &bo->handle, .n_handles = 1,
				});
			_exit(0);
		}
		/* until nothing more comes */
		do {
			i = *n;
			usleep(1000000);
		} while (i != *n || !i);
		igt_info("kind %u: %u submissions\n", kind, i);
		igt_assert_f(i <= most[kind], "%u submissions, %u wanted\n", i,
			     most[kind]);
		/* a file that has nothing queued does not wait */
		coh_touch(coh_create(dev, SIZE));

		igt_assert(!kill(pid, SIGKILL));
		for (i = 0; i < SOON_MS / 10 &&
		     waitpid(pid, &status, WNOHANG) != pid; i++)
			usleep(10000);
		igt_assert_lt(i, SOON_MS / 10);
		igt_assert(WIFSIGNALED(status));
	}
	munmap((void *)n, sizeof(*n));
}

/* ---- moves -------------------------------------------------------------- */

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
	struct egm_node nodes[64];
	int i, n = egm_nodes(nodes, ARRAY_SIZE(nodes));

	for (i = 0; i < n; i++)
		if (!strcmp(nodes[i].driver, egm_vmob.name)) {
			struct egm_dev dev = { .node = nodes[i] };

			debugfs_write(&dev, "delay_upload_us", "0");
			debugfs_write(&dev, "timeout_ms", "30000");
		}
	pages_limit_restore();
	(void)sig;
}

static const struct coh_subtest subtests[] = {
	{ "commands", "C1: each command, on what the CPU has stored, against a model",
	  commands },
	{ "writes", "C5: many commands that write to one buffer", writes },
	{ "order", "C1: submissions of five contexts to one buffer", order },
	{ "syncobjs",
	  "C1: syncobjs that a submission signals, binary and timeline", syncobjs },
	{ "pending",
	  "C3: context, handles, file and process gone before the job is executed",
	  pending },
	{ "timeout",
	  "C3: a command that takes too long is cut short, and no store is lost",
	  timeout },
	{ "killed", "C3: so are those of a process that is killed", killed },
	{ "closed", "C3: so they are some time after it has ended", closed },
	{ "killed-closing",
	  "C2: killed while a copy that goes waits for what others write",
	  killed_closing },
	{ "queue-bounded",
	  "C5: a process can't queue work for the device without end",
	  queue_bounded },
	{ "move-waits", "C3: a move waits for the engine", move_waits },
	{ "move-cost", "C5: a buffer moved while dirty is uploaded once", move_cost },
	{ "swapout-busy", "C3: who is short of memory does not wait for jobs",
	  swapout_busy },
	{ "vram-only", "C3: submissions that evict each other's buffers",
	  vram_only },
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
