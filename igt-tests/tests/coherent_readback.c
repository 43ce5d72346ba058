// SPDX-License-Identifier: MIT
/*
 * Contract C2, GPU to CPU: what the device has written is what the CPU loads,
 * however it does that; C4, both write to one page; C5, buffers that the device
 * never writes don't pay for those that it does.
 *
 * The device writes by copying from another coherent buffer, which only the CPU
 * writes. Fences that take as long as a test wants are from sw_sync.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <drm/vmob_drm.h>
#include <virtgpu.h>
#include <xf86drm.h>

#include "coherent.h"
#include "igt_core.h"

IGT_TEST_DESCRIPTION("Coherent buffers: what the device writes is read by the CPU");

#define RW (PROT_READ | PROT_WRITE)

/* Several chunks at any chunk size, and not a multiple of one. */
#define SIZE (517 * PAGE)
#define PAGES (SIZE / PAGE)

/* What the device writes to, what it copies from, and what both should be. */
struct buf {
	struct egm_dev *dev;
	struct egm_bo *bo, *src;
	struct pattern *p, *from;
};

static struct buf setup(struct egm_dev *dev)
{
	struct buf b = {
		.dev = dev,
		.bo = coh_create(dev, SIZE),
		.src = coh_create(dev, SIZE),
		.p = pattern_new(SIZE),
		.from = pattern_new(SIZE),
	};

	pattern_fill(b.p, b.bo->map, 0, SIZE);
	return b;
}

static void teardown(struct buf *b)
{
	egm_bo_destroy(b->bo);
	egm_bo_destroy(b->src);
	pattern_free(b->p);
	pattern_free(b->from);
}

/* Has the device write new content to a range of the buffer. */
static void device_fill(struct buf *b, uint64_t off, uint64_t len)
{
	struct egm_copy copy = {
		.dst = b->bo,
		.dst_off = off,
		.src = b->src,
		.src_off = SIZE - off - len,
		.len = len,
	};

	pattern_fill(b->from, b->src->map, copy.src_off, len);
	coh_submit(b->dev, &copy, 1, NULL, 0);
	pattern_copied(b->p, off, b->from, copy.src_off, len);
}

static void device_fill_wait(struct buf *b, uint64_t off, uint64_t len)
{
	device_fill(b, off, len);
	coh_wait(b->bo);
}

static void fill(struct buf *b, uint64_t off, uint64_t len)
{
	pattern_fill(b->p, b->bo->map, off, len);
}

static void check_map(struct buf *b, const void *map, uint64_t off, uint64_t len)
{
	pattern_assert(b->p, (const char *)map + off, off, len);
}

static void check(struct buf *b)
{
	check_map(b, b->bo->map, 0, SIZE);
}

/* The device's copy is the same, by a way that has nothing to do with ours. */
static void check_device(struct buf *b)
{
	struct egm_bo *snap = coh_create_plain(b->dev, SIZE);

	coh_snapshot(b->bo, snap);
	pattern_assert(b->p, coh_fetch(snap), 0, SIZE);
	egm_bo_destroy(snap);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static pid_t child_start(void)
{
	pid_t pid = fork();

	igt_assert(pid >= 0);
	return pid;
}

static int child_wait(pid_t pid)
{
	int status;

	igt_assert(waitpid(pid, &status, 0) == pid);
	return status;
}

/* For parent and child: one of them says when, the other waits for it. */
struct turn {
	int fd[2];
};

static struct turn turn_new(void)
{
	struct turn t;

	igt_assert(!pipe(t.fd));
	return t;
}

static void turn_pass(const struct turn *t)
{
	igt_assert(write(t->fd[1], "", 1) == 1);
}

static void turn_await(const struct turn *t)
{
	char c;

	igt_assert(read(t->fd[0], &c, 1) == 1);
}

static void turn_free(const struct turn *t)
{
	close(t->fd[0]);
	close(t->fd[1]);
}

static void copy(struct egm_dev *dev)
{
	const uint64_t len[] = { 8, 64, PAGE, PAGE + 8, KiB(256), MiB(1) };
	struct buf b = setup(dev);
	struct rng r = rng_new(1);
	size_t i, j;

	for (i = 0; i < 10; i++)
		for (j = 0; j < ARRAY_SIZE(len); j++) {
			uint64_t off = rng_below(&r, (SIZE - len[j]) / 8) * 8;

			device_fill_wait(&b, off, len[j]);
			/* all of it at times, else there is nothing stale */
			check_map(&b, b.bo->map, off, len[j]);
			if (j == i % ARRAY_SIZE(len))
				check(&b);
		}
	check(&b);
	check_device(&b);
	teardown(&b);
}

/* The first and the last byte, and all of it, mapped for reading only. */
static void read_only(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	void *map = coh_map(b.bo, PROT_READ, SIZE);

	device_fill_wait(&b, 0, 8);
	check_map(&b, map, 0, SIZE);
	device_fill_wait(&b, SIZE - 8, 8);
	check_map(&b, map, 0, SIZE);
	device_fill_wait(&b, 0, SIZE);
	check_map(&b, map, 0, SIZE);
	munmap(map, SIZE);
	teardown(&b);
}

/* Without a wait the load itself waits. */
static void unwaited(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i;

	for (i = 0; i < 20; i++) {
		device_fill(&b, KiB(8) * i, MiB(1));
		check(&b);
	}
	teardown(&b);
}

/* As of Linux 6.6; Debian's libdrm has no more than the first half. */
struct virtgpu_execbuffer_synced {
	uint32_t flags;
	uint32_t size;
	uint64_t command;
	uint64_t bo_handles;
	uint32_t num_bo_handles;
	int32_t fence_fd;
	uint32_t ring_idx;
	uint32_t syncobj_stride;
	uint32_t num_in_syncobjs;
	uint32_t num_out_syncobjs;
	uint64_t in_syncobjs;
	uint64_t out_syncobjs;
};

struct virtgpu_syncobj {
	uint32_t handle;
	uint32_t flags;
	uint64_t point;
};

#define INLINE_LEN 256
#define INLINE_DWORDS (12 + INLINE_LEN / 4)

/* The command that brings its data along, with new content for the buffer */
static void inline_command(struct buf *b, uint64_t off, uint32_t cmd[INLINE_DWORDS])
{
	memset(cmd, 0, 12 * sizeof(*cmd));
	cmd[0] = VIRGL_CMD(9, INLINE_DWORDS - 1);
	cmd[1] = b->bo->res;
	cmd[6] = off;
	cmd[9] = INLINE_LEN;
	cmd[10] = 1;
	cmd[11] = 1;
	pattern_make(b->p, cmd + 12, off, INLINE_LEN);
}

static int virtgpu_fill_synced(struct buf *b, uint64_t off, uint32_t syncobj)
{
	const struct virtgpu_syncobj out = { .handle = syncobj };
	uint32_t cmd[INLINE_DWORDS];
	struct virtgpu_execbuffer_synced arg = {
		.size = sizeof(cmd),
		.command = (uintptr_t)cmd,
		.bo_handles = (uintptr_t)&b->bo->handle,
		.num_bo_handles = 1,
		.syncobj_stride = sizeof(out),
		.num_out_syncobjs = 1,
		.out_syncobjs = (uintptr_t)&out,
	};

	inline_command(b, off, cmd);
	return drmIoctl(b->dev->fd, DRM_IOWR(DRM_COMMAND_BASE + DRM_VIRTGPU_EXECBUFFER,
					     struct virtgpu_execbuffer_synced), &arg);
}

static int vmob_fill_synced(struct buf *b, uint64_t off, uint32_t syncobj)
{
	const uint32_t handles[] = { b->bo->handle, b->src->handle };
	const struct drm_vmob_sync out = { .handle = syncobj };
	const struct drm_vmob_cmd cmds[] = {
		{ .op = DRM_VMOB_CMD_DELAY, .value = 20000 },
		{ .op = DRM_VMOB_CMD_COPY, .dst = 0, .src = 1, .dst_offset = off,
		  .src_offset = off, .size = INLINE_LEN },
	};
	struct drm_vmob_submit arg = {
		.cmds = (uintptr_t)cmds,
		.cmd_count = ARRAY_SIZE(cmds),
		.bo_handles = (uintptr_t)handles,
		.bo_count = ARRAY_SIZE(handles),
		.out_syncs = (uintptr_t)&out,
		.out_sync_count = 1,
	};

	pattern_fill(b->from, b->src->map, off, INLINE_LEN);
	pattern_copied(b->p, off, b->from, off, INLINE_LEN);
	return drmIoctl(b->dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg);
}

/* Waited for by a syncobj, and by poll() for the file of its fence */
static void syncobj(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	uint32_t handle;
	int i;

	igt_require_f(dev->drv == &egm_vmob || dev->drv == &egm_virtio_gpu,
		      "%s has no syncobjs\n", dev->drv->name);
	igt_assert(!drmSyncobjCreate(dev->fd, 0, &handle));
	for (i = 0; i < 10; i++) {
		const uint64_t off = (90 + i) * PAGE + 64;
		struct pollfd p = { .events = POLLIN };

		igt_assert_eq(dev->drv == &egm_vmob ?
			      vmob_fill_synced(&b, off, handle) :
			      virtgpu_fill_synced(&b, off, handle), 0);
		if (i & 1) {
			igt_assert_eq(drmSyncobjWait(dev->fd, &handle, 1, INT64_MAX,
						     0, NULL), 0);
		} else {
			igt_assert_eq(drmSyncobjExportSyncFile(dev->fd, handle,
							       &p.fd), 0);
			igt_assert_eq(poll(&p, 1, 60000), 1);
			close(p.fd);
		}
		check(&b);
	}
	check_device(&b);
	drmSyncobjDestroy(dev->fd, handle);
	teardown(&b);
}

static void second_vma(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	void *map = coh_map(b.bo, RW, SIZE);
	int i;

	for (i = 0; i < 5; i++) {
		check_map(&b, map, 0, SIZE);
		device_fill_wait(&b, 3 * PAGE * i, 9 * PAGE);
		check_map(&b, i & 1 ? map : b.bo->map, 0, SIZE);
		check_map(&b, i & 1 ? b.bo->map : map, 0, SIZE);
	}
	munmap(map, SIZE);
	teardown(&b);
}

/* A process that has the mapping by fork(), and mapped what is stale then. */
static void inherited(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i;

	for (i = 0; i < 5; i++) {
		struct turn ready = turn_new(), go = turn_new();

		igt_fork(child, 1) {
			check(&b);
			turn_pass(&ready);
			turn_await(&go);
			check(&b);
			/* and the other way round */
			fill(&b, 77 * PAGE, 3 * PAGE);
		}
		turn_await(&ready);
		device_fill_wait(&b, 50 * PAGE, 30 * PAGE);
		turn_pass(&go);
		igt_waitchildren();
		check(&b);
		check_device(&b);
		turn_free(&ready);
		turn_free(&go);
	}
	teardown(&b);
}

/* A process with a device file, a context and a handle of its own. */
static void other_process(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	struct turn ready = turn_new(), go = turn_new();
	int fd = coh_export(b.bo);

	igt_fork(child, 1) {
		struct egm_dev *mine = coh_open_again(dev);
		struct egm_bo *bo = coh_import(mine, fd);

		check_map(&b, bo->map, 0, SIZE);
		turn_pass(&ready);
		turn_await(&go);
		check_map(&b, bo->map, 0, SIZE);
	}
	turn_await(&ready);
	device_fill_wait(&b, 100 * PAGE, 100 * PAGE);
	turn_pass(&go);
	igt_waitchildren();
	turn_free(&ready);
	turn_free(&go);
	close(fd);
	teardown(&b);
}

/* With and without the ioctl that brackets an access, and a poll for the fence. */
static void dmabuf(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int fd = coh_export_mappable(b.bo), i;
	void *map = coh_map_dmabuf(fd, SIZE);

	for (i = 0; i < 6; i++) {
		struct dma_buf_sync sync = {
			.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW,
		};
		struct pollfd p = { .fd = fd, .events = POLLIN };

		device_fill(&b, 10 * i * PAGE, 20 * PAGE);
		if (i & 1) {
			igt_assert(!ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync));
		} else {
			igt_assert(poll(&p, 1, 10000) == 1);
			igt_assert(p.revents & POLLIN);
		}
		check_map(&b, map, 0, SIZE);
		pattern_fill(b.p, map, 10 * i * PAGE, PAGE);
		if (i & 1) {
			sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
			igt_assert(!ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync));
		}
	}
	check(&b);
	check_device(&b);
	munmap(map, SIZE);
	close(fd);
	teardown(&b);
}

/* A debugger reads, and then writes, what the process has not read yet. */
static void debugger(struct egm_dev *dev)
{
	struct buf b;
	char path[32];
	int i, mem;
	pid_t pid;

	b = setup(dev);
	pid = child_start();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	igt_assert(WIFSTOPPED(child_wait(pid)));
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	igt_assert(mem >= 0);

	for (i = 0; i < 5; i++) {
		const uint64_t off = (70 + i) * PAGE, len = 3 * PAGE;
		char *map = b.bo->map, *data = malloc(len);
		uint64_t word;

		igt_assert(data);
		device_fill_wait(&b, off, len);
		if (i & 1) {
			errno = 0;
			igt_assert_eq_u64(ptrace(PTRACE_PEEKDATA, pid, map + off, NULL),
					  b.p->want[off / 8]);
			igt_assert_eq(errno, 0);
		}
		igt_assert(pread(mem, data, len, (uintptr_t)map + off) ==
			   (ssize_t)len);
		pattern_assert(b.p, data, off, len);
		free(data);

		device_fill_wait(&b, off, len);
		pattern_make(b.p, &word, off + 64, 8);
		igt_assert(!ptrace(PTRACE_POKEDATA, pid, map + off + 64, word));
		check_device(&b);
		check(&b);
	}
	close(mem);
	igt_assert(!ptrace(PTRACE_CONT, pid, NULL, NULL));
	igt_assert_eq(child_wait(pid), 0);
	teardown(&b);
}

/* The kernel's loads and stores: write(2) from the mapping, read(2) into it. */
static void syscalls(struct egm_dev *dev)
{
	const uint64_t off = 300 * PAGE + 512, len = 9 * PAGE;
	struct buf b = setup(dev);
	char *map = (char *)b.bo->map + off, *data = malloc(len);
	FILE *f = tmpfile();
	int i, pipes[2];

	igt_assert(f && data && !pipe(pipes));
	for (i = 0; i < 6; i++) {
		device_fill_wait(&b, off, len);
		igt_assert(pwrite(fileno(f), map, len, 0) == (ssize_t)len);
		igt_assert(pread(fileno(f), data, len, 0) == (ssize_t)len);
		pattern_assert(b.p, data, off, len);

		device_fill_wait(&b, off, PAGE);
		igt_assert(write(pipes[1], map, PAGE) == (ssize_t)PAGE);
		igt_assert(read(pipes[0], data, PAGE) == (ssize_t)PAGE);
		pattern_assert(b.p, data, off, PAGE);

		device_fill_wait(&b, off - 512, len);
		pattern_make(b.p, data, off, len);
		igt_assert(pwrite(fileno(f), data, len, 0) == (ssize_t)len);
		igt_assert(pread(fileno(f), map, len, 0) == (ssize_t)len);
		check(&b);
		check_device(&b);
	}
	close(pipes[0]);
	close(pipes[1]);
	free(data);
	fclose(f);
	teardown(&b);
}

/* Both write what the other has read, round after round. */
static void ping_pong(struct egm_dev *dev)
{
	const char *env = getenv("EGM_ROUNDS");
	int i, rounds = env ? atoi(env) : 300;
	struct buf b = setup(dev);
	struct rng r = rng_new(2);

	for (i = 0; i < rounds; i++) {
		uint64_t len = 8 + rng_below(&r, 3 * PAGE / 8) * 8;
		uint64_t off = rng_below(&r, (SIZE - len) / 8) * 8;
		struct egm_copy back = {
			.dst = b.src, .src = b.bo, .len = len,
			.dst_off = off, .src_off = off,
		};

		if (i & 1)
			fill(&b, off, len);
		else
			device_fill(&b, off, len);
		coh_submit(dev, &back, 1, NULL, 0);
		pattern_copied(b.from, off, b.p, off, len);
		if (i & 2)
			coh_wait(b.src);
		pattern_assert(b.from, (char *)b.src->map + off, off, len);
		check_map(&b, b.bo->map, off, len);
		if (i % 50 == 0)
			check(&b);
	}
	check(&b);
	check_device(&b);
	teardown(&b);
}

/*
 * While the device is at work on one part of each page, the CPU writes the
 * other: nothing of either is lost.
 */
static void neighbours(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i, page;

	for (i = 0; i < 10; i++) {
		const uint64_t first = 20 * i;
		struct egm_copy copies[8];

		for (page = 0; page < 8; page++) {
			const uint64_t off = (first + page) * PAGE;

			copies[page] = (struct egm_copy){
				.dst = b.bo, .dst_off = off + 64,
				.src = b.src, .src_off = off, .len = 64,
			};
			pattern_fill(b.from, b.src->map, off, 64);
			if (i & 1)
				fill(&b, off, 64);
		}
		coh_submit(dev, copies, 8, NULL, 0);
		for (page = 0; page < 8; page++) {
			const uint64_t off = (first + page) * PAGE;

			pattern_copied(b.p, off + 64, b.from, off, 64);
			fill(&b, off, 64);
			fill(&b, off + 128, 64);
		}
		if (i & 2)
			coh_wait(b.bo);
		check(&b);
		check_device(&b);
	}
	teardown(&b);
}

struct lone_writer {
	volatile uint64_t *word;
	atomic_bool stop;
	uint64_t stores, undone;
};

static void *lone_writer_thread(void *arg)
{
	struct lone_writer *w = arg;

	while (!atomic_load(&w->stop)) {
		*w->word = ++w->stores;
		w->undone += *w->word != w->stores;
	}
	return NULL;
}

/*
 * A thread stores to a chunk that nobody else has to do with, while others are
 * read back, each on its own.
 */
static void lone_writer(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	struct lone_writer w = { .word = (uint64_t *)b.bo->map + 9 };
	const int chunk = 64;
	pthread_t thread;
	int i, page;

	igt_assert(!pthread_create(&thread, NULL, lone_writer_thread, &w));
	for (i = 0; i < 30; i++) {
		device_fill_wait(&b, chunk * PAGE, SIZE - chunk * PAGE);
		for (page = PAGES - 1; page >= chunk; page -= chunk)
			check_map(&b, b.bo->map, page * PAGE, PAGE);
	}
	atomic_store(&w.stop, true);
	igt_assert(!pthread_join(thread, NULL));
	igt_info("%" PRIu64 " stores\n", w.stores);
	igt_assert_f(!w.undone, "%" PRIu64 " of %" PRIu64 " stores undone\n",
		     w.undone, w.stores);
	b.p->want[9] = w.stores;
	check(&b);
	check_device(&b);
	teardown(&b);
}

/* The pages are elsewhere when the data comes, or have to be made again. */
static void moved(struct egm_dev *dev)
{
	unsigned int n = egm_disturbances(&dev->node), i;
	struct buf b = setup(dev);
	struct rng r = rng_new(3);
	char err[EGM_ERR];

	igt_require_f(n, "%s has no way to have its buffers moved\n",
		      dev->drv->name);
	for (i = 0; i < 12 * n; i++) {
		uint64_t off = rng_below(&r, PAGES - 70) * PAGE;

		/* on its way, then there, then not all of it read */
		device_fill(&b, off, 70 * PAGE);
		if (i & 1)
			coh_wait(b.bo);
		if (i & 2)
			check_map(&b, b.bo->map, off, PAGE);
		igt_assert_f(!egm_disturb(&dev->node, i % n, err), "%s\n", err);
		if (i & 4)
			fill(&b, off + 64 * PAGE, 3 * PAGE);
		check(&b);
		check_device(&b);
	}
	teardown(&b);
}

/* The mapping is all that is left of the buffer. */
static void closed(struct egm_dev *dev)
{
	int i;

	for (i = 0; i < 8; i++) {
		struct buf b = setup(dev);

		device_fill(&b, 3 * PAGE + 8, i & 1 ? SIZE - 9 * PAGE : 64);
		if (i & 2)
			check_map(&b, b.bo->map, 3 * PAGE, PAGE);
		if (i & 4)
			coh_wait(b.bo);
		egm_bo_close_handle(b.bo);
		check(&b);
		teardown(&b);
	}
}

/* C1 and C3 at the same time: stores through mappings that are gone by then. */
static void unmapped_stores(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i;

	for (i = 0; i < 10; i++) {
		void *map = coh_map(b.bo, RW, SIZE);

		pattern_fill(b.p, map, (100 + 10 * i) * PAGE, 4 * PAGE);
		if (i & 1)
			munmap(map, SIZE);
		device_fill(&b, (102 + 10 * i) * PAGE + 8, PAGE);
		if (!(i & 1))
			munmap(map, SIZE);
		check(&b);
		check_device(&b);
	}
	teardown(&b);
}

/* The data of the command itself. */
static void inline_write(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i;

	for (i = 0; i < 5; i++) {
		uint32_t cmd[INLINE_DWORDS];

		inline_command(&b, (40 + i) * PAGE + 8, cmd);
		igt_assert_eq(virtgpu_execbuffer(dev->fd, cmd, sizeof(cmd),
						 &b.bo->handle, 1), 0);
		coh_wait(b.bo);
		check(&b);
	}
	check_device(&b);
	teardown(&b);
}

/* ---- transfers in the command stream ------------------------------------ */

#define TRANSFER_DWORDS 14
#define COPY_TRANSFER_DWORDS 15

/* All but one word of a transfer: what TRANSFER3D and COPY_TRANSFER3D begin with */
static void transfer_box(uint32_t *cmd, uint32_t res, uint64_t off, uint64_t len)
{
	memset(cmd, 0, TRANSFER_DWORDS * sizeof(*cmd));
	cmd[1] = res;
	cmd[6] = off;
	cmd[9] = len;
	cmd[10] = 1;
	cmd[11] = 1;
}

/* Between a range of the resource and @from, an offset in its guest memory */
static void transfer_command(uint32_t cmd[TRANSFER_DWORDS], const struct egm_bo *bo,
			     uint64_t off, uint64_t len, uint64_t from,
			     uint32_t direction)
{
	transfer_box(cmd, bo->res, off, len);
	cmd[0] = VIRGL_CMD(VIRGL_CCMD_TRANSFER3D, TRANSFER_DWORDS - 1);
	cmd[12] = from;
	cmd[13] = direction;
}

/* Between a range of the resource and the same range of @memory's guest memory */
static void copy_transfer_command(uint32_t cmd[COPY_TRANSFER_DWORDS],
				  const struct egm_bo *bo, uint64_t off,
				  uint64_t len, const struct egm_bo *memory,
				  uint32_t flags)
{
	transfer_box(cmd, bo->res, off, len);
	cmd[0] = VIRGL_CMD(VIRGL_CCMD_COPY_TRANSFER3D, COPY_TRANSFER_DWORDS - 1);
	cmd[12] = memory->res;
	cmd[13] = off;
	cmd[14] = flags;
}

static int submit_transfer(struct egm_dev *dev, const uint32_t *cmd, int n,
			   const struct egm_bo *a, const struct egm_bo *b)
{
	const uint32_t handles[] = { a->handle, b ? b->handle : 0 };

	return virtgpu_execbuffer(dev->fd, cmd, n * sizeof(*cmd), handles, b ? 2 : 1);
}

/*
 * What the device has written, and nobody has read yet, is not replaced by what
 * the guest's memory had before.
 */
static void transfer3d_stale(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct buf b = setup(dev);
	uint32_t cmd[TRANSFER_DWORDS];
	int i;

	for (i = 0; i < 4; i++) {
		const uint64_t off = i & 1 ? 0 : 100 * PAGE, len = SIZE - 2 * off;

		device_fill(&b, 0, SIZE);
		if (i & 2)
			check_map(&b, b.bo->map, 150 * PAGE, PAGE);
		transfer_command(cmd, b.bo, off, len, off, VIRGL_TRANSFER_TO_HOST);
		coh_counters(dev, &before);
		igt_assert_eq(submit_transfer(dev, cmd, TRANSFER_DWORDS, b.bo, NULL), 0);
		coh_counters(dev, &after);
		igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 0);
		check_device(&b);
		check(&b);
	}
	teardown(&b);
}

/* In the other direction it is the CPU's stores that count. */
static void transfer3d_from_host(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct buf b = setup(dev);
	uint32_t cmd[TRANSFER_DWORDS];
	int i;

	for (i = 0; i < 4; i++) {
		coh_counters(dev, &before);
		transfer_command(cmd, b.bo, 0, SIZE, 0, VIRGL_TRANSFER_FROM_HOST);
		fill(&b, 40 * PAGE, 3 * PAGE);
		igt_assert_eq(submit_transfer(dev, cmd, TRANSFER_DWORDS, b.bo, NULL), 0);
		/* at the same time as the host is at it */
		fill(&b, 43 * PAGE, 3 * PAGE);
		check(&b);
		check_device(&b);
		coh_counters(dev, &after);
		igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 0);
		if (i & 1)
			device_fill(&b, 10 * PAGE, 100 * PAGE);
	}
	teardown(&b);
}

/*
 * Mesa 22.0, for a map without MAP_PERSISTENT of a persistent buffer
 * that a shader wrote: fetch it, store a word, and on unmap transfer the map's range.
 */
static void transfer3d_map(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	uint32_t cmd[TRANSFER_DWORDS];

	device_fill(&b, 0, SIZE);
	igt_assert_eq(virtgpu_transfer_from_host(dev->fd, b.bo->handle, 0, SIZE), 0);
	coh_wait(b.bo);
	fill(&b, 70 * PAGE, 8);
	transfer_command(cmd, b.bo, 0, SIZE, 0, VIRGL_TRANSFER_TO_HOST);
	igt_assert_eq(submit_transfer(dev, cmd, TRANSFER_DWORDS, b.bo, NULL), 0);
	check_device(&b);
	check(&b);
	teardown(&b);
}

/* A transfer to another place, or half of one, is refused with the stream it is in. */
static void transfer3d_bad(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	uint32_t cmd[2 * TRANSFER_DWORDS];
	int i;

	device_fill(&b, 0, SIZE);
	for (i = 0; i < 4; i++) {
		const uint32_t direction = i & 1 ? VIRGL_TRANSFER_FROM_HOST :
						   VIRGL_TRANSFER_TO_HOST;

		/* behind one that is right */
		transfer_command(cmd, b.bo, 0, PAGE, 0, VIRGL_TRANSFER_TO_HOST);
		transfer_command(cmd + TRANSFER_DWORDS, b.bo, 0, PAGE, 9 * PAGE,
				 direction);
		if (i & 2)
			cmd[TRANSFER_DWORDS] = VIRGL_CMD(VIRGL_CCMD_TRANSFER3D, 12);
		igt_assert_eq(submit_transfer(dev, cmd, 2 * TRANSFER_DWORDS - i / 2,
					      b.bo, NULL), -EINVAL);
	}
	check_device(&b);
	check(&b);
	teardown(&b);
}

/* With the guest memory of another buffer, one that is not coherent. */
static void copy_transfer3d(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	struct egm_bo *plain = coh_create_plain(dev, SIZE);
	uint32_t cmd[COPY_TRANSFER_DWORDS];
	int i;

	for (i = 0; i < 4; i++) {
		const uint64_t off = (100 + i) * PAGE, len = 70 * PAGE;

		/* into the device's copy of the coherent buffer */
		if (i & 1)
			device_fill(&b, 0, SIZE);
		fill(&b, off + len, PAGE);
		pattern_make(b.p, (char *)plain->map + off, off, len);
		copy_transfer_command(cmd, b.bo, off, len, plain, 1);
		igt_assert_eq(submit_transfer(dev, cmd, COPY_TRANSFER_DWORDS, b.bo,
					      plain), 0);
		check(&b);
		check_device(&b);

		/* and from it */
		device_fill(&b, off + PAGE, len);
		memset(plain->map, 0, SIZE);
		copy_transfer_command(cmd, b.bo, off, len, plain,
				      VIRGL_COPY_TRANSFER_FROM_HOST);
		igt_assert_eq(submit_transfer(dev, cmd, COPY_TRANSFER_DWORDS, b.bo,
					      plain), 0);
		coh_wait(b.bo);
		check_map(&b, plain->map, off, len);
		check(&b);
	}
	egm_bo_destroy(plain);
	teardown(&b);
}

/*
 * With the guest memory of a coherent buffer, which can be older than what the
 * device wrote, or be written without the kernel's knowledge: refused.
 */
static void copy_transfer3d_bad(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	struct egm_bo *plain = coh_create_plain(dev, SIZE);
	uint32_t cmd[COPY_TRANSFER_DWORDS];
	int i;

	device_fill(&b, 0, SIZE);
	for (i = 0; i < 4; i++) {
		const struct egm_bo *other = i & 2 ? plain : b.src;

		copy_transfer_command(cmd, other, 0, SIZE, b.bo,
				      i & 1 ? VIRGL_COPY_TRANSFER_FROM_HOST : 0);
		igt_assert_eq(submit_transfer(dev, cmd, COPY_TRANSFER_DWORDS, b.bo,
					      other), -EINVAL);
	}
	check_device(&b);
	check(&b);
	pattern_assert(b.from, b.src->map, 0, SIZE);
	egm_bo_destroy(plain);
	teardown(&b);
}

/* C5: a copy writes its range, and that once. */
static void written_once(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct buf b = setup(dev);
	int i;

	coh_counters(dev, &before);
	device_fill_wait(&b, 100 * PAGE + 64, PAGE);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 1);
	igt_assert_eq_u64(coh_delta(&before, &after, "write_bytes"), PAGE);
	check(&b);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "pages_read_back"), 2);

	before = after;
	for (i = 0; i < 100; i++) {
		fill(&b, (50 + i) * PAGE, 3 * PAGE);
		coh_touch(b.bo);
		check_map(&b, b.bo->map, (49 + i) * PAGE, 5 * PAGE);
	}
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 0);
	igt_assert_eq_u64(coh_delta(&before, &after, "chunks_revoked"), 0);
	igt_assert_eq_u64(coh_delta(&before, &after, "read_backs"), 0);
	check(&b);
	check_device(&b);
	teardown(&b);
}

/* A command that the kernel does not know can write whatever is in the list. */
static void unknown_command(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct buf b = setup(dev);
	const uint32_t cmd = VIRGL_CMD(0xff, 0), nop = VIRGL_CMD(0, 0);
	/* the host gives up on the context */
	struct egm_dev *other = coh_open_again(dev);
	int fd = coh_export(b.bo);
	struct egm_bo *theirs = coh_import(other, fd);

	coh_counters(dev, &before);
	igt_assert_eq(virtgpu_execbuffer(other->fd, &cmd, sizeof(cmd),
					 &theirs->handle, 1), 0);
	coh_wait(b.bo);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "contexts_lost"), 1);
	igt_assert_eq_u64(coh_delta(&before, &after, "write_bytes"), SIZE);
	/* and so from then on, as far as that context is concerned */
	before = after;
	check(&b);
	coh_touch(b.bo);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 0);
	igt_assert_eq(virtgpu_execbuffer(other->fd, &nop, sizeof(nop),
					 &theirs->handle, 1), 0);
	coh_wait(b.bo);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "contexts_lost"), 0);
	igt_assert_eq_u64(coh_delta(&before, &after, "write_bytes"), SIZE);
	check(&b);
	check_device(&b);
	coh_close(other);
	close(fd);
	teardown(&b);
}

/* Appends a command's words behind its header; returns what is behind them. */
static uint32_t *command(uint32_t *at, uint32_t cmd, const uint32_t *words, int n)
{
	*at = VIRGL_CMD(cmd, n);
	memcpy(at + 1, words, n * sizeof(*words));
	return at + 1 + n;
}

/* A shader by which each word becomes its own number, counted from where it is bound */
#define COMPUTE 5u
#define GROUP_WORDS 64u

static uint32_t *bind_numbers(uint32_t *end)
{
	static const char text[] =
		"COMP\n"
		"PROPERTY CS_FIXED_BLOCK_WIDTH 64\n"
		"PROPERTY CS_FIXED_BLOCK_HEIGHT 1\n"
		"PROPERTY CS_FIXED_BLOCK_DEPTH 1\n"
		"DCL SV[0], BLOCK_ID\n"
		"DCL SV[1], THREAD_ID\n"
		"DCL BUFFER[0]\n"
		"DCL TEMP[0..1]\n"
		"IMM[0] UINT32 {64, 4, 0, 0}\n"
		"  0: UMAD TEMP[0].x, SV[0].xxxx, IMM[0].xxxx, SV[1].xxxx\n"
		"  1: UMUL TEMP[1].x, TEMP[0].xxxx, IMM[0].yyyy\n"
		"  2: STORE BUFFER[0].x, TEMP[1].xxxx, TEMP[0].xxxx\n"
		"  3: END\n";
	const uint32_t shader = 1, bind[] = { shader, COMPUTE };
	uint32_t create[5 + (sizeof(text) + 3) / 4] = {
		shader, COMPUTE, sizeof(text), 300, 0,
	};

	memcpy(create + 5, text, sizeof(text));
	end = command(end, VIRGL_CCMD_CREATE_OBJECT | VIRGL_OBJECT_SHADER << 8,
		      create, ARRAY_SIZE(create));
	return command(end, VIRGL_CCMD_BIND_SHADER, bind, ARRAY_SIZE(bind));
}

static uint32_t *bind_range(uint32_t *end, const struct egm_bo *bo, uint32_t off,
			    uint32_t words)
{
	const uint32_t ssbo[] = { COMPUTE, 0, off, words * 4, bo->res };

	return command(end, VIRGL_CCMD_SET_SHADER_BUFFERS, ssbo, ARRAY_SIZE(ssbo));
}

static uint32_t *launch(uint32_t *end, uint32_t words)
{
	const uint32_t grid[] = { GROUP_WORDS, 1, 1, words / GROUP_WORDS, 1, 1, 0, 0 };

	return command(end, VIRGL_CCMD_LAUNCH_GRID, grid, ARRAY_SIZE(grid));
}

static int submit_words(struct egm_dev *dev, const uint32_t *cmds, const uint32_t *end,
			const struct egm_bo *bo)
{
	return virtgpu_execbuffer(dev->fd, cmds, (end - cmds) * sizeof(*cmds),
				  bo ? &bo->handle : NULL, bo ? 1 : 0);
}

/*
 * What is bound by one submission is written by another one, which names nothing.
 * Only that has the buffer in its list.
 */
static void bound_unlisted(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct buf b = setup(dev);
	/* behind the first page */
	const uint32_t off = PAGE, words = 20 * PAGE / 4;
	uint32_t cmds[256], i;

	coh_counters(dev, &before);
	igt_assert_eq(submit_words(dev, cmds, bind_range(bind_numbers(cmds), b.bo, off,
							 words), NULL), 0);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 0);

	check(&b);
	fill(&b, off, 20 * PAGE);
	igt_assert_eq(submit_words(dev, cmds, launch(cmds, words), b.bo), 0);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 1);
	igt_assert_eq_u64(coh_delta(&before, &after, "write_bytes"), words * 4);
	for (i = 0; i < words; i += 2)
		b.p->want[(off / 4 + i) / 2] = i | (uint64_t)(i + 1) << 32;
	coh_wait(b.bo);
	check(&b);
	check_device(&b);
	teardown(&b);
}

/* A submission that does not list what it writes: from then on all is written. */
static void written_unlisted(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct buf b = setup(dev);
	const uint32_t words = PAGE / 4;
	uint32_t cmds[256], i;

	check_device(&b);
	coh_counters(dev, &before);
	igt_assert_eq(submit_words(dev, cmds,
				   launch(bind_range(bind_numbers(cmds), b.bo, 0, words),
					  words), NULL), 0);
	for (i = 0; i < words; i += 2)
		b.p->want[i / 2] = i | (uint64_t)(i + 1) << 32;
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "contexts_lost"), 1);
	igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 0);
	coh_touch(b.bo);
	coh_wait(b.bo);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "write_bytes"), SIZE);
	check(&b);
	check_device(&b);
	teardown(&b);
}

struct binder {
	struct egm_dev *dev;
	const struct egm_bo *bo;
	uint32_t words;
	atomic_bool *stop;
};

/* To one place after the other */
static void *binder_thread(void *arg)
{
	struct binder *b = arg;
	uint32_t cmds[16], i;

	for (i = 0; !atomic_load(b->stop); i++)
		submit_words(b->dev, cmds, bind_range(cmds, b->bo, i % 8 * 64 * PAGE,
						      b->words), NULL);
	return NULL;
}

/*
 * One thread binds, another has the device write what is bound: which is known only
 * in the order in which the host gets to see it.
 */
static void bound_by_others(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	struct egm_bo *plain = coh_create_plain(dev, SIZE);
	atomic_bool stop = false;
	struct binder binder = {
		.dev = dev, .bo = b.bo, .words = GROUP_WORDS, .stop = &stop,
	};
	uint32_t cmds[256];
	pthread_t thread;
	int round, i;

	igt_assert_eq(submit_words(dev, cmds, bind_range(bind_numbers(cmds), b.bo, 0,
							 GROUP_WORDS), NULL), 0);
	igt_assert(!pthread_create(&thread, NULL, binder_thread, &binder));
	for (round = 0; round < 60; round++) {
		fill(&b, 0, SIZE);
		for (i = 0; i < 3; i++)
			igt_assert_eq(submit_words(dev, cmds, launch(cmds, GROUP_WORDS),
						   b.bo), 0);
		coh_snapshot(b.bo, plain);
		igt_assert_f(!memcmp(b.bo->map, coh_fetch(plain), SIZE),
			     "round %d: the device has something else\n", round);
	}
	atomic_store(&stop, true);
	igt_assert(!pthread_join(thread, NULL));
	egm_bo_destroy(plain);
	teardown(&b);
}

/* Somebody else's buffer can be named. The host has nothing of it, nor have we. */
static void named_by_others(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct buf b = setup(dev);
	struct egm_dev *other = coh_open_again(dev);
	const uint32_t words[] = { 5, 0, 0, PAGE, b.bo->res };
	const uint32_t unknown = VIRGL_CMD(0xff, 0);
	uint32_t cmd[1 + ARRAY_SIZE(words)];

	command(cmd, VIRGL_CCMD_SET_SHADER_BUFFERS, words, ARRAY_SIZE(words));
	coh_counters(dev, &before);
	igt_assert_eq(virtgpu_execbuffer(other->fd, cmd, sizeof(cmd), NULL, 0), 0);
	igt_assert_eq(virtgpu_execbuffer(other->fd, &unknown, 4, NULL, 0), 0);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 0);
	coh_close(other);
	check_device(&b);
	check(&b);
	teardown(&b);
}

/* Longer streams are not followed. */
#define LONGEST (128 * 1024)

struct submitter {
	struct egm_dev *dev;
	const uint32_t *cmds;
	size_t dwords;
	uint32_t handle;
	atomic_bool done;
	double time;
};

static void *submitter_thread(void *arg)
{
	struct submitter *s = arg;
	double begun = now();

	virtgpu_execbuffer(s->dev->fd, s->cmds, s->dwords * 4, &s->handle, 1);
	s->time = now() - begun;
	atomic_store(&s->done, true);
	return NULL;
}

/*
 * To find out what a long stream may write takes time. Stores to a buffer of its
 * list that fault meanwhile, one to a chunk, wait for that a bounded time only: the
 * longest that is followed is this one.
 */
static void long_stream(struct egm_dev *dev)
{
	const uint64_t size = MiB(64), chunk = KiB(256);
	const size_t dwords = LONGEST, len = 2 + 3 * 32;
	struct egm_bo *bo = coh_create(dev, size), *theirs;
	/* the host gives up on the context */
	struct egm_dev *other = coh_open_again(dev);
	struct submitter s = { .dev = other, .dwords = dwords };
	uint32_t *cmds = calloc(dwords, sizeof(*cmds));
	int fd = coh_export(bo), round;
	uint64_t at = size;
	bool free = false;
	size_t i;

	igt_assert(cmds);
	theirs = coh_import(other, fd);
	for (i = 0; i + len < dwords; i += 1 + len) {
		size_t field;

		cmds[i] = VIRGL_CMD(VIRGL_CCMD_SET_SHADER_BUFFERS, len);
		for (field = 5; field <= len; field += 3)
			cmds[i + field] = 0x7fff0000 + field;
	}
	s.cmds = cmds;
	s.handle = theirs->handle;

	/* The host of this machine is busy at times, but not always. */
	for (round = 0; round < 10 && !free; round++) {
		double longest = 0;
		pthread_t thread;

		atomic_store(&s.done, false);
		igt_assert(!pthread_create(&thread, NULL, submitter_thread, &s));
		while (!atomic_load(&s.done)) {
			double begun = now();

			/* each time a page of a chunk that is not open */
			at = (at ? at : size) - chunk;
			*(volatile uint64_t *)((char *)bo->map + at + round * PAGE) = at;
			if (now() - begun > longest)
				longest = now() - begun;
		}
		igt_assert(!pthread_join(thread, NULL));
		igt_debug("%.3f s, the longest store %.3f s\n", s.time, longest);
		free = longest < 0.1;
	}
	igt_assert_f(free, "stores wait for a tenth of a second and more\n");
	close(fd);
	coh_close(other);
	egm_bo_destroy(bo);
}

/*
 * Makes the stream of this number, of LONGEST dwords at most, in a context of its own, and
 * returns its length, or 0: there is none any more.
 */
typedef size_t make_stream(uint32_t *cmds, int i, const struct egm_bo *theirs);

/* Handles of all magnitudes, each once */
static uint32_t handle_of(int n)
{
	return (n + 1) * 0x9e3779b1u;
}

static uint32_t *create_target(uint32_t *end, int n)
{
	const uint32_t words[] = { handle_of(n), 0, 0, 64 };

	return command(end, VIRGL_CCMD_CREATE_OBJECT | VIRGL_OBJECT_STREAMOUT_TARGET << 8,
		       words, ARRAY_SIZE(words));
}

static uint32_t *destroy_target(uint32_t *end, int n)
{
	const uint32_t handle = handle_of(n);

	return command(end, VIRGL_CCMD_DESTROY_OBJECT, &handle, 1);
}

/* As many as a stream may create, a few less, and no more than that: for comparison */
#define STREAM_TARGETS 3900

static size_t make_some(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds;
	int n;

	(void)theirs;
	for (n = 0; n < STREAM_TARGETS && i < 2; n++)
		end = create_target(end, i * STREAM_TARGETS + n);
	return end - cmds;
}

static size_t make_created(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds;
	int n;

	(void)theirs;
	for (n = 0; end - cmds + 5 <= LONGEST; n++)
		end = create_target(end, n);
	return i ? 0 : end - cmds;
}

static size_t make_created_again(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds;
	int n;

	(void)theirs;
	for (n = 0; end - cmds + 7 <= LONGEST; n++)
		end = destroy_target(create_target(end, n), n);
	return i ? 0 : end - cmds;
}

static size_t make_subs(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds, id;
	int n;

	(void)theirs;
	for (n = 0; end - cmds + 4 <= LONGEST; n++) {
		id = handle_of(n);
		end = command(end, VIRGL_CCMD_CREATE_SUB_CTX, &id, 1);
		end = command(end, VIRGL_CCMD_DESTROY_SUB_CTX, &id, 1);
	}
	return i ? 0 : end - cmds;
}

static size_t make_text(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	static const char text[] = "STORE BUFFER[1].x, TEMP[0], TEMP[1]\n";
	const size_t len = 0xffff;
	uint32_t *end = cmds;
	size_t n, at;

	(void)theirs;
	for (n = 0; n < 2; n++, end += 1 + len) {
		const uint32_t words[] = { 1 + n, COMPUTE, 4 * (len - 5), 300, 0 };

		end[0] = VIRGL_CMD(VIRGL_CCMD_CREATE_OBJECT | VIRGL_OBJECT_SHADER << 8, len);
		memcpy(end + 1, words, sizeof(words));
		for (at = 0; at < 4 * (len - 5); at++)
			((char *)(end + 6))[at] = text[at % (sizeof(text) - 1)];
	}
	return i ? 0 : end - cmds;
}

static size_t make_bound(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = bind_numbers(cmds);

	while (end - cmds + 6 + 9 <= LONGEST)
		end = launch(bind_range(end, theirs, 0, GROUP_WORDS), GROUP_WORDS);
	return i ? 0 : end - cmds;
}

/* Buffers that are somebody else's */
static size_t make_named(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds;

	while (end - cmds + 2 <= LONGEST)
		end = command(end, VIRGL_CCMD_CLEAR_TEXTURE, &theirs->res, 1);
	return i ? 0 : end - cmds;
}

/* Many objects, by streams of which none is more than it may be, for what is last */
#define TARGET_STREAMS 8

static uint32_t *many_targets(uint32_t *cmds, int i)
{
	const uint32_t id = 1;
	uint32_t *end = cmds;
	int n;

	if (!i)
		end = command(end, VIRGL_CCMD_CREATE_SUB_CTX, &id, 1);
	for (n = 0; n < STREAM_TARGETS && i < TARGET_STREAMS; n++)
		end = create_target(end, i * STREAM_TARGETS + n);
	return end;
}

static size_t make_destroyed(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = many_targets(cmds, i);
	int n;

	(void)theirs;
	for (n = 0; n < TARGET_STREAMS * STREAM_TARGETS && i == TARGET_STREAMS; n++)
		end = destroy_target(end, n);
	return end - cmds;
}

static size_t make_sub_destroyed(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = many_targets(cmds, i);
	const uint32_t id = 1;

	(void)theirs;
	if (i == TARGET_STREAMS)
		end = command(end, VIRGL_CCMD_DESTROY_SUB_CTX, &id, 1);
	return end - cmds;
}

static size_t make_lost(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = many_targets(cmds, i);

	(void)theirs;
	if (i == TARGET_STREAMS)
		*end++ = VIRGL_CMD(0xff, 0);
	return end - cmds;
}

/* Two processes with a buffer in common, each in a context of its own */
struct contention {
	atomic_bool at_work, stop;
	_Atomic uint64_t longest_ns, submissions;
};

/* How long a submission takes at most while the other process is at work */
static void submit_until_stopped(struct contention *c, struct egm_bo *bo)
{
	while (!atomic_load(&c->stop)) {
		bool at_work = atomic_load(&c->at_work);
		double begun = now();
		uint64_t ns;

		coh_touch(bo);
		ns = (now() - begun) * 1e9;
		at_work |= atomic_load(&c->at_work);
		if (at_work && ns > atomic_load(&c->longest_ns))
			atomic_store(&c->longest_ns, ns);
		atomic_fetch_add(&c->submissions, 1);
	}
}

/* All of a kind's streams: how long the other process waited at most, in seconds */
static double hold_up(struct egm_dev *dev, struct contention *c, make_stream *make,
		      uint32_t *cmds, int fd, const struct egm_bo *theirs)
{
	struct egm_dev *other = coh_open_again(dev);
	struct egm_bo *bo = coh_import(other, fd);
	/* There is none: the host gives up on the context, and does none of the work. */
	const uint32_t none[] = { COMPUTE, 0, 0, 64, 0x7fff0000 };
	size_t len;
	int i;

	len = command(cmds, VIRGL_CCMD_SET_SHADER_BUFFERS, none, ARRAY_SIZE(none)) - cmds;
	igt_assert_eq(submit_words(other, cmds, cmds + len, bo), 0);
	coh_wait(bo);
	atomic_store(&c->longest_ns, 0);
	for (i = 0; (len = make(cmds, i, theirs)); i++) {
		uint64_t submissions = atomic_load(&c->submissions);

		atomic_store(&c->at_work, true);
		igt_assert_eq(submit_words(other, cmds, cmds + len, bo), 0);
		/* until the one that may have waited is counted */
		while (atomic_load(&c->submissions) < submissions + 2)
			usleep(100);
		atomic_store(&c->at_work, false);
	}
	coh_close(other);
	return atomic_load(&c->longest_ns) / 1e9;
}

/*
 * Whatever is in a stream, who needs one of its buffers waits no more than some times as
 * long as for one in which there is as much as it may have.
 */
static void hostile_streams(struct egm_dev *dev)
{
	static const struct {
		const char *name;
		make_stream *make;
	} kinds[] = {
		{ "created", make_created },
		{ "created and destroyed", make_created_again },
		{ "sub-contexts", make_subs },
		{ "text", make_text },
		{ "bound", make_bound },
		{ "named", make_named },
		{ "destroyed", make_destroyed },
		{ "sub-context destroyed", make_sub_destroyed },
		{ "lost", make_lost },
	};
	const double times = 4;
	struct contention *c = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t *cmds = malloc(LONGEST * sizeof(*cmds));
	struct egm_bo *bo = coh_create(dev, PAGE), *theirs = coh_create(dev, PAGE);
	int fd = coh_export(bo), round;
	double some, longest;
	size_t i;

	igt_assert(cmds && c != MAP_FAILED);
	igt_fork(child, 1) {
		struct egm_dev *mine = coh_open_again(dev);

		submit_until_stopped(c, coh_import(mine, fd));
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* The host of this machine is busy at times, but not always. */
		for (round = 0; round < 5; round++) {
			some = hold_up(dev, c, make_some, cmds, fd, theirs);
			longest = hold_up(dev, c, kinds[i].make, cmds, fd, theirs);
			igt_info("%s: %.1f ms, %d created: %.1f ms\n", kinds[i].name,
				 longest * 1e3, STREAM_TARGETS, some * 1e3);
			if (longest < times * some)
				break;
		}
		igt_assert_f(round < 5, "%s: a submission waits %.0f times as long as it should\n",
			     kinds[i].name, longest / some);
	}
	atomic_store(&c->stop, true);
	igt_waitchildren();
	munmap(c, PAGE);
	free(cmds);
	close(fd);
	egm_bo_destroy(theirs);
	egm_bo_destroy(bo);
}

/*
 * What the tracker does not know of: here that an upload was lost, elsewhere what
 * another device has stored. An explicit transfer is how to tell. It brings the
 * host's copy nothing that is older than what is there.
 */
static void explicit_upload(struct egm_dev *dev)
{
	struct buf b = setup(dev);

	check_device(&b);
	fill(&b, 70 * PAGE, 2 * PAGE);
	coh_drop_uploads(dev, 1);
	coh_touch(b.bo);
	coh_drop_uploads(dev, 0);
	igt_assert_eq(dev->drv->push(dev->fd, b.bo->handle, 70 * PAGE, 2 * PAGE), 0);
	check_device(&b);

	device_fill(&b, 0, SIZE);
	check_map(&b, b.bo->map, 100 * PAGE, PAGE);
	igt_assert_eq(dev->drv->push(dev->fd, b.bo->handle, 0, SIZE), 0);
	check_device(&b);
	check(&b);
	teardown(&b);
}

/* A device of the same driver that is another one, or a skip */
static int open_other_device(const struct egm_dev *dev)
{
	struct egm_node nodes[16], node;
	int i, n = egm_nodes(nodes, ARRAY_SIZE(nodes)), fd = -1;

	for (i = 0; i < n && fd < 0; i++)
		if (!strcmp(nodes[i].driver, dev->node.driver) &&
		    strcmp(nodes[i].device, dev->node.device))
			fd = egm_node_open(&node, nodes[i].path, O_RDWR);
	igt_require_f(fd >= 0, "needs a second GPU: scripts/vm --qemu \"-device virtio-gpu-pci\"\n");
	return fd;
}

/*
 * What another device reads could be stale, and nobody would know what it writes.
 * That importing any other buffer ends with ENODEV is the other driver's decision.
 */
static void other_device(struct egm_dev *dev)
{
	int other = open_other_device(dev), fd;
	struct buf b = setup(dev);
	struct egm_bo *plain = coh_create_plain(dev, SIZE);
	uint32_t handle;

	fd = coh_export(plain);
	igt_assert_eq(drmPrimeFDToHandle(other, fd, &handle) ? -errno : 0, -ENODEV);
	close(fd);
	fd = coh_export(b.bo);
	igt_assert_eq(drmPrimeFDToHandle(other, fd, &handle) ? -errno : 0, -EOPNOTSUPP);
	close(fd);
	close(other);
	check(&b);
	egm_bo_destroy(plain);
	teardown(&b);
}

/* C5: streaming to the device costs what it did. */
static void never_written(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct buf b = setup(dev);
	struct egm_bo *plain = coh_create_plain(dev, SIZE);
	int i;

	coh_counters(dev, &before);
	for (i = 0; i < 100; i++) {
		fill(&b, i * PAGE, 3 * PAGE);
		coh_snapshot(b.bo, plain);
		if (i % 10 == 0)
			pattern_assert(b.p, coh_fetch(plain), 0, SIZE);
	}
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "chunks_revoked"), 0);
	igt_assert_eq_u64(coh_delta(&before, &after, "read_backs"), 0);
	egm_bo_destroy(plain);
	teardown(&b);
}

/* C5: what nobody reads is taken away once, and never fetched. */
static void idle(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct buf b = setup(dev);
	int i;

	device_fill_wait(&b, 0, SIZE);
	coh_counters(dev, &before);
	for (i = 0; i < 100; i++)
		coh_touch(b.bo);
	coh_wait(b.bo);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "chunks_revoked"), 0);
	igt_assert_eq_u64(coh_delta(&before, &after, "read_backs"), 0);
	igt_assert_eq_u64(coh_delta(&before, &after, "ptes_scanned"), 0);
	igt_assert_eq_u64(coh_delta(&before, &after, "passes_idle"),
			  coh_delta(&before, &after, "passes"));

	/* and a word in the middle costs no more than what is around it */
	check_map(&b, b.bo->map, MiB(1), 8);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "read_backs"), 1);
	igt_assert_lte_u64(coh_delta(&before, &after, "pages_read_back"), 64);
	check(&b);
	teardown(&b);
}

/* ---- a device that takes its time -------------------------------------- */

struct sw_sync_create_fence {
	uint32_t value;
	char name[32];
	int32_t fence;
};

#define SW_SYNC_CREATE_FENCE _IOWR('W', 0, struct sw_sync_create_fence)
#define SW_SYNC_INC _IOW('W', 1, uint32_t)

struct import_sync_file {
	uint32_t flags;
	int32_t fd;
};

#ifndef DMA_BUF_IOCTL_IMPORT_SYNC_FILE
#define DMA_BUF_IOCTL_IMPORT_SYNC_FILE _IOW(DMA_BUF_BASE, 3, struct import_sync_file)
#endif

/* The buffer is busy, as with a device that writes it, until the timeline moves. */
static int make_busy(struct buf *b)
{
	int timeline = open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC);
	struct sw_sync_create_fence create = { .value = 1, .name = "test" };
	struct import_sync_file import = { .flags = DMA_BUF_SYNC_WRITE };
	int fd;

	igt_require_f(timeline >= 0, "needs CONFIG_SW_SYNC: %s\n",
		      strerror(errno));
	igt_assert(!ioctl(timeline, SW_SYNC_CREATE_FENCE, &create));
	import.fd = create.fence;
	fd = coh_export_mappable(b->bo);
	igt_assert(!ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import));
	close(fd);
	close(create.fence);
	return timeline;
}

static void end_busy(int timeline)
{
	uint32_t one = 1;

	igt_assert(!ioctl(timeline, SW_SYNC_INC, &one));
	close(timeline);
}

/* Whether the child does not come to an end by itself. */
static bool is_blocked(pid_t pid)
{
	usleep(300000);
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void fence(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i;

	for (i = 0; i < 4; i++) {
		const uint64_t off = (60 + i) * PAGE;
		int timeline;
		pid_t pid;

		device_fill(&b, off, PAGE);
		timeline = make_busy(&b);
		pid = child_start();
		if (!pid) {
			volatile uint64_t *word = (uint64_t *)b.bo->map + off / 8;

			/* a store waits, too, or it would be overwritten */
			if (i & 1)
				*word = 1;
			_exit(*word != (i & 1 ? 1 : b.p->want[off / 8]));
		}
		igt_assert(is_blocked(pid));
		/* it waits without the lock of the address space */
		end_busy(timeline);
		igt_assert_eq(child_wait(pid), 0);
		if (i & 1)
			b.p->want[off / 8] = 1;
		check(&b);
	}
	check_device(&b);
	teardown(&b);
}

static void killed(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i, pipes[2], timeline;

	igt_assert(!pipe(pipes));
	device_fill(&b, 60 * PAGE, PAGE);
	timeline = make_busy(&b);
	for (i = 0; i < 3; i++) {
		const char *map = (char *)b.bo->map + 60 * PAGE;
		pid_t pid = child_start();
		double begun;
		int status;

		if (!pid) {
			if (i == 0)
				_exit(*(volatile char *)map);
			if (i == 1)
				*(volatile char *)map = 0;
			/* the kernel's access for it */
			_exit(write(pipes[1], map, 16) != 16);
		}
		igt_assert(is_blocked(pid));
		begun = now();
		kill(pid, SIGKILL);
		status = child_wait(pid);
		igt_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		igt_assert_f(now() - begun < 5, "killed after %.1f s\n",
			     now() - begun);
	}
	end_busy(timeline);
	check(&b);
	check_device(&b);
	close(pipes[0]);
	close(pipes[1]);
	teardown(&b);
}

/* Signals that a process has handled, in memory that its parent sees */
static _Atomic int *handled;

static void count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(handled, 1);
}

static void handle_signals(int sig)
{
	const struct sigaction act = {
		.sa_handler = count_signal,
		.sa_flags = SA_RESTART,
	};

	igt_assert(!sigaction(sig, &act, NULL));
}

static bool has_handled(int n)
{
	int ms;

	for (ms = 0; ms < 5000 && atomic_load(handled) < n; ms += 10)
		usleep(10000);
	return atomic_load(handled) >= n;
}

/*
 * Whose load or store waits handles its signals, and waits again. Whose system call
 * does, handles them when that is done: it is not cut short.
 */
static void signals(struct egm_dev *dev)
{
	enum { LOAD, STORE, SYSCALL } access;
	struct buf b = setup(dev);
	int pipes[2];

	handled = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	igt_assert(handled != MAP_FAILED && !pipe(pipes));
	for (access = LOAD; access <= SYSCALL; access++) {
		const uint64_t at = (60 + access) * PAGE / 8;
		volatile uint64_t *word = (uint64_t *)b.bo->map + at;
		uint64_t copy = 1;
		int timeline, i;
		pid_t pid;

		device_fill(&b, at * 8, PAGE);
		timeline = make_busy(&b);
		atomic_store(handled, 0);
		pid = child_start();
		if (!pid) {
			handle_signals(SIGUSR1);
			if (access == SYSCALL)
				_exit(write(pipes[1], (const void *)word, 8) != 8 ||
				      !atomic_load(handled));
			if (access == STORE)
				*word = copy;
			_exit(*word != (access == STORE ? copy : b.p->want[at]));
		}
		igt_assert(is_blocked(pid));
		for (i = 1; i <= 2; i++) {
			kill(pid, SIGUSR1);
			igt_assert(access == SYSCALL || has_handled(i));
		}
		igt_assert(is_blocked(pid));
		end_busy(timeline);
		igt_assert_eq(child_wait(pid), 0);
		if (access == STORE)
			b.p->want[at] = copy;
		if (access == SYSCALL) {
			igt_assert_eq(read(pipes[0], &copy, 8), 8);
			igt_assert_eq_u64(copy, b.p->want[at]);
		}
		check(&b);
	}
	check_device(&b);
	munmap((void *)handled, PAGE);
	close(pipes[0]);
	close(pipes[1]);
	teardown(&b);
}

/* However often they come, what is waited for is got. */
static void signals_often(struct egm_dev *dev)
{
	const struct itimerval on = { { 0, 2000 }, { 0, 2000 } }, off = { };
	struct buf b = setup(dev);
	int i;

	handled = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	igt_assert(handled != MAP_FAILED);
	handle_signals(SIGALRM);
	igt_assert(!setitimer(ITIMER_REAL, &on, NULL));
	for (i = 0; i < 20; i++) {
		device_fill(&b, KiB(8) * i, MiB(1));
		if (i & 1)
			fill(&b, KiB(8) * i + MiB(1) / 2, PAGE);
		check(&b);
	}
	igt_assert(!setitimer(ITIMER_REAL, &off, NULL));
	igt_info("%d signals\n", atomic_load(handled));
	igt_assert_lt(0, atomic_load(handled));
	signal(SIGALRM, SIG_DFL);
	check_device(&b);
	munmap((void *)handled, PAGE);
	teardown(&b);
}

static void *reader(void *arg)
{
	return (void *)(uintptr_t)*(volatile uint64_t *)arg;
}

static void *end_busy_soon(void *arg)
{
	sleep(1);
	end_busy(*(int *)arg);
	return NULL;
}

/*
 * Who waits is the last one to know the buffer: mappings and handle are gone, and
 * with them what it would have read. The buffer goes when the wait is over.
 */
static void last_reference(struct egm_dev *dev)
{
	int before = coh_tracked(dev), i;

	for (i = 0; i < 5; i++) {
		struct buf b = setup(dev);
		struct turn gone = turn_new();
		int timeline, status;
		pthread_t thread;
		pid_t pid;

		device_fill(&b, 60 * PAGE, PAGE);
		timeline = make_busy(&b);
		pid = child_start();
		if (!pid) {
			signal(SIGSEGV, SIG_DFL);
			if (pthread_create(&thread, NULL, reader,
					   (char *)b.bo->map + 60 * PAGE))
				_exit(1);
			usleep(300000);
			munmap(b.bo->map, SIZE);
			turn_pass(&gone);
			pthread_join(thread, NULL);
			_exit(2);
		}
		turn_await(&gone);
		/* vmob waits for the device when a buffer is closed */
		igt_assert(!pthread_create(&thread, NULL, end_busy_soon, &timeline));
		teardown(&b);
		igt_assert(!pthread_join(thread, NULL));
		status = child_wait(pid);
		igt_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		turn_free(&gone);
		coh_assert_tracked(dev, before);
	}
}

/* Other threads go on while one waits: it does not hold mmap_lock. */
static void mmap_meanwhile(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	const uint64_t off = 60 * PAGE;
	double begun;
	pthread_t thread;
	void *value;
	int i, timeline;

	device_fill(&b, off, PAGE);
	timeline = make_busy(&b);
	igt_assert(!pthread_create(&thread, NULL, reader,
				   (char *)b.bo->map + off));
	usleep(300000);
	begun = now();
	for (i = 0; i < 100; i++) {
		void *map = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);

		igt_assert(map != MAP_FAILED);
		igt_assert(!munmap(map, PAGE));
		pattern_fill(b.from, b.src->map, 0, PAGE);
		igt_assert_f(now() - begun < 5, "mmap_lock is held\n");
	}
	end_busy(timeline);
	igt_assert(!pthread_join(thread, &value));
	igt_assert_eq_u64((uintptr_t)value, b.p->want[off / 8]);
	check(&b);
	teardown(&b);
}

/* A submitter with the same buffer is not held up by somebody who waits for it. */
static void submit_meanwhile(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	const uint64_t off = 60 * PAGE;
	int i, timeline;
	double begun;
	pid_t pid;

	device_fill(&b, off, PAGE);
	timeline = make_busy(&b);
	pid = child_start();
	if (!pid)
		_exit(*((volatile uint64_t *)b.bo->map + off / 8) !=
		      b.p->want[off / 8]);
	igt_assert(is_blocked(pid));
	begun = now();
	for (i = 0; i < 20; i++) {
		device_fill(&b, (100 + i) * PAGE, PAGE);
		igt_assert_f(now() - begun < 10, "the submitter waits\n");
	}
	igt_assert(is_blocked(pid));
	end_busy(timeline);
	igt_assert_eq(child_wait(pid), 0);
	check(&b);
	teardown(&b);
}

/* ---- a device that fails ----------------------------------------------- */

static void fail_read_backs(const struct egm_dev *dev, bool fail)
{
	static const char *const name[] = {
		"interval", "space", "verbose", "times", "probability"
	};
	const int value[] = { 1, 0, 0, -1, fail ? 100 : 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(name); i++) {
		char file[64];
		FILE *f;

		snprintf(file, sizeof(file), "fail_read_back/%s", name[i]);
		f = egm_debugfs_open(&dev->node, file, true);
		igt_require_f(f, "needs CONFIG_FAULT_INJECTION_DEBUG_FS: %s: %s\n",
			      file, strerror(errno));
		igt_assert(fprintf(f, "%d\n", value[i]) > 0 && !fclose(f));
	}
}

/* No stale data: an access fails, and nothing is lost for later. */
static void device_error(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	volatile uint64_t *word = (uint64_t *)b.bo->map + 60 * PAGE / 8;
	int i, pipes[2];

	igt_assert(!pipe(pipes));
	fill(&b, 61 * PAGE, PAGE);
	device_fill_wait(&b, 60 * PAGE, PAGE);
	fail_read_backs(dev, true);
	for (i = 0; i < 2; i++) {
		pid_t pid = child_start();
		int status;

		if (!pid) {
			signal(SIGBUS, SIG_DFL);
			if (i)
				*word = 0;
			_exit(*word == 0);
		}
		status = child_wait(pid);
		igt_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	}
	igt_assert_eq(write(pipes[1], (void *)word, 8), -1);
	igt_assert_eq(errno, EFAULT);
	fail_read_backs(dev, false);
	check(&b);
	check_device(&b);
	close(pipes[0]);
	close(pipes[1]);
	teardown(&b);
}

static const struct coh_subtest subtests[] = {
	{ "copy", "C2: loads after a wait see what the device copied", copy },
	{ "read-only", "C2: the same through a mapping that can't be written",
	  read_only },
	{ "unwaited", "C2: a load without a wait waits itself", unwaited },
	{ "syncobj", "C2: waited for by a syncobj, and by poll() for its fence",
	  syncobj },
	{ "second-vma", "C2: two mappings in one process", second_vma },
	{ "inherited", "C2: a mapping from before fork()", inherited },
	{ "other-process", "C2: a process with its own device file",
	  other_process },
	{ "dmabuf", "C2: the dma-buf's mapping; SYNC ioctl and poll for the fence",
	  dmabuf },
	{ "debugger", "C2, C1: PTRACE_PEEKDATA, POKEDATA and /proc/pid/mem",
	  debugger },
	{ "syscalls", "C2, C1: write(2) from the mapping and read(2) into it",
	  syscalls },
	{ "ping-pong", "C1, C2: each writes what the other has read", ping_pong },
	{ "neighbours", "C4: CPU and device write different bytes of a page",
	  neighbours },
	{ "lone-writer", "C1, C3: a thread stores while others' chunks are read back",
	  lone_writer },
	{ "moved", "C2, C3: the buffer is moved before the CPU reads", moved },
	{ "closed", "C2, C3: only the mapping is left when the CPU reads", closed },
	{ "unmapped-stores", "C3: stores through mappings that are gone",
	  unmapped_stores },
	{ "never-written", "C5: buffers that are only read are never revoked",
	  never_written },
	{ "idle", "C5: what nobody accesses is revoked once and not read back",
	  idle },
	{ "fence", "C2: loads and stores wait for a fence that takes long", fence },
	{ "killed", "C2: who waits can be killed", killed },
	{ "signals", "C2: who waits handles signals", signals },
	{ "signals-often", "C2: more signals than waits", signals_often },
	{ "last-reference", "C3: all but the one who waits have given the buffer up",
	  last_reference },
	{ "mmap-meanwhile", "C2: who waits does not hold mmap_lock",
	  mmap_meanwhile },
	{ "submit-meanwhile", "C2: who waits does not hold up a submitter",
	  submit_meanwhile },
	{ "device-error", "C2: SIGBUS or EFAULT if the device fails",
	  device_error },
};

/* What a command stream does is found out by reading it. */
static const struct coh_subtest virgl_subtests[] = {
	{ "inline-write", "C2: data that is in the command stream", inline_write },
	{ "written-once", "C5: what was written once is not taken away again",
	  written_once },
	{ "unknown-command", "C2: an unknown command may write", unknown_command },
	{ "bound-unlisted", "C2: bound by a submission that does not list the buffer",
	  bound_unlisted },
	{ "written-unlisted", "C2: written by a submission that does not list the buffer",
	  written_unlisted },
	{ "bound-by-others", "C2: bound by one thread, written by another one's submission",
	  bound_by_others },
	{ "explicit-upload", "C1, C2: a transfer of what nobody knows of",
	  explicit_upload },
	{ "other-device", "C1, C2: another device can't have the memory", other_device },
	{ "long-stream", "C5: stores do not wait until a long stream was read",
	  long_stream },
	{ "hostile-streams", "C5: submissions of another process do not wait for what is in a stream",
	  hostile_streams },
	{ "named-by-others", "C5: named by who has no handle of the buffer",
	  named_by_others },
	{ "transfer3d-stale", "C2, C4: guest memory that is transferred is not older than the device's",
	  transfer3d_stale },
	{ "transfer3d-from-host", "C1, C3: a transfer to the guest overwrites no store",
	  transfer3d_from_host },
	{ "transfer3d-map", "C2, C4: as old Mesa maps a persistent buffer", transfer3d_map },
	{ "transfer3d-bad", "C3: a transfer to another place is refused", transfer3d_bad },
	{ "copy-transfer3d", "C1, C2: between the device's copy and another buffer's memory",
	  copy_transfer3d },
	{ "copy-transfer3d-bad", "C2, C3: of a coherent buffer's memory: refused",
	  copy_transfer3d_bad },
};

igt_main
{
	coh_subtests(subtests, ARRAY_SIZE(subtests));
	coh_subtests_of(&egm_virtio_gpu, virgl_subtests,
			ARRAY_SIZE(virgl_subtests));
}
