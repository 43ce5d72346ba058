// SPDX-License-Identifier: MIT
/**
 * TEST: coherent readback
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C2, GPU to CPU: what the device has written is what the CPU
 *	loads, however it does that; C4, both write to one page; C5, buffers that the device
 *	never writes don't pay for those that it does.
 *
 * SUBTEST: copy
 * Description: C2: loads after a wait see what the device copied
 *
 * SUBTEST: read-only
 * Description: C2: the same through a mapping that can't be written
 *
 * SUBTEST: unwaited
 * Description: C2: a load without a wait waits itself
 *
 * SUBTEST: syncobj
 * Description: C2: waited for by a syncobj, and by poll() for its fence
 *
 * SUBTEST: second-vma
 * Description: C2: two mappings in one process
 *
 * SUBTEST: inherited
 * Description: C2: a mapping from before fork()
 *
 * SUBTEST: other-process
 * Description: C2: a process with its own device file
 *
 * SUBTEST: dmabuf
 * Description: C2: the dma-buf's mapping; SYNC ioctl and poll for the fence
 *
 * SUBTEST: debugger
 * Description: C2, C1: PTRACE_PEEKDATA, POKEDATA and /proc/pid/mem
 *
 * SUBTEST: syscalls
 * Description: C2, C1: write(2) from the mapping and read(2) into it
 *
 * SUBTEST: ping-pong
 * Description: C1, C2: each writes what the other has read
 *
 * SUBTEST: neighbours
 * Description: C4: CPU and device write different bytes of a page
 *
 * SUBTEST: lone-writer
 * Description: C1, C3: a thread stores while others' chunks are read back
 *
 * SUBTEST: moved
 * Description: C2, C3: the buffer is moved before the CPU reads
 *
 * SUBTEST: closed
 * Description: C2, C3: only the mapping is left when the CPU reads
 *
 * SUBTEST: unmapped-stores
 * Description: C3: stores through mappings that are gone
 *
 * SUBTEST: never-written
 * Description: C5: buffers that are only read are never revoked
 *
 * SUBTEST: idle
 * Description: C5: what nobody accesses is revoked once and not read back
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
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <drm/vmob_drm.h>
#include <xf86drm.h>

#include "coh_virgl.h"
#include "readback.h"

IGT_TEST_DESCRIPTION("Coherent buffers: what the device writes is read by the CPU");

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

static int virtgpu_fill_synced(struct buf *b, uint64_t off, uint32_t syncobj)
{
	const struct virtgpu_syncobj out = { .handle = syncobj };
	uint32_t cmd[VIRGL_INLINE_DWORDS];
	struct virtgpu_execbuffer_synced arg = {
		.size = sizeof(cmd),
		.command = (uintptr_t)cmd,
		.bo_handles = (uintptr_t)&b->bo->handle,
		.num_bo_handles = 1,
		.syncobj_stride = sizeof(out),
		.num_out_syncobjs = 1,
		.out_syncobjs = (uintptr_t)&out,
	};

	virgl_inline_write(cmd, b->bo, off);
	pattern_make(b->p, cmd + VIRGL_INLINE_DATA, off, VIRGL_INLINE_LEN);
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
		  .src_offset = off, .size = VIRGL_INLINE_LEN },
	};
	struct drm_vmob_submit arg = {
		.cmds = (uintptr_t)cmds,
		.cmd_count = ARRAY_SIZE(cmds),
		.bo_handles = (uintptr_t)handles,
		.bo_count = ARRAY_SIZE(handles),
		.out_syncs = (uintptr_t)&out,
		.out_sync_count = 1,
	};

	pattern_fill(b->from, b->src->map, off, VIRGL_INLINE_LEN);
	pattern_copied(b->p, off, b->from, off, VIRGL_INLINE_LEN);
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
	pid = coh_child_start();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	igt_assert(WIFSTOPPED(coh_child_wait(pid)));
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
	igt_assert_eq(coh_child_wait(pid), 0);
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
	int i, rounds = coh_counts.rounds ?: 300;
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

static const struct coh_subtest subtests[] = {
	{ "copy", "C2: loads after a wait see what the device copied", copy },
	{ "read-only", "C2: the same through a mapping that can't be written", read_only },
	{ "unwaited", "C2: a load without a wait waits itself", unwaited },
	{ "syncobj", "C2: waited for by a syncobj, and by poll() for its fence", syncobj },
	{ "second-vma", "C2: two mappings in one process", second_vma },
	{ "inherited", "C2: a mapping from before fork()", inherited },
	{ "other-process", "C2: a process with its own device file", other_process },
	{ "dmabuf", "C2: the dma-buf's mapping; SYNC ioctl and poll for the fence", dmabuf },
	{ "debugger", "C2, C1: PTRACE_PEEKDATA, POKEDATA and /proc/pid/mem", debugger },
	{ "syscalls", "C2, C1: write(2) from the mapping and read(2) into it", syscalls },
	{ "ping-pong", "C1, C2: each writes what the other has read", ping_pong },
	{ "neighbours", "C4: CPU and device write different bytes of a page", neighbours },
	{ "lone-writer", "C1, C3: a thread stores while others' chunks are read back", lone_writer },
	{ "moved", "C2, C3: the buffer is moved before the CPU reads", moved },
	{ "closed", "C2, C3: only the mapping is left when the CPU reads", closed },
	{ "unmapped-stores", "C3: stores through mappings that are gone", unmapped_stores },
	{ "never-written", "C5: buffers that are only read are never revoked", never_written },
	{ "idle", "C5: what nobody accesses is revoked once and not read back", idle },
};

int coh_main()
{
	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
