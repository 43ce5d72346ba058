// SPDX-License-Identifier: MIT
/**
 * TEST: coherent vmob
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: What vmob has beside coherent buffers, and what those rely on: its
 *	commands, the order in which they are executed, its fences, and jobs that end early.
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
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>

#include "vmob.h"

IGT_TEST_DESCRIPTION("Coherent buffers of vmob: commands, order and fences");

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

static void back_to_normal(int sig)
{
	debugfs_defaults();
	(void)sig;
}

static const struct coh_subtest subtests[] = {
	{ "commands",
	  "C1: each command, on what the CPU has stored, against a model",
	  commands },
	{ "writes", "C5: many commands that write to one buffer", writes },
	{ "order", "C1: submissions of five contexts to one buffer", order },
	{ "syncobjs", "C1: syncobjs that a submission signals, binary and timeline", syncobjs },
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
};

int coh_main()
{
	igt_fixture()
		igt_install_exit_handler(back_to_normal);

	coh_subtests_of(&egm_vmob, subtests, ARRAY_SIZE(subtests));
}
