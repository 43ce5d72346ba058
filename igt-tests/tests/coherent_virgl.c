// SPDX-License-Identifier: MIT
/**
 * TEST: coherent virgl
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C1 to C5 where it depends on what is in a virgl command stream:
 *	the kernel finds out by reading it what the device writes, and how memory is
 *	transferred.
 *
 * SUBTEST: inline-write
 * Description: C2: data that is in the command stream
 *
 * SUBTEST: written-once
 * Description: C5: what was written once is not taken away again
 *
 * SUBTEST: unknown-command
 * Description: C2: an unknown command may write
 *
 * SUBTEST: bound-unlisted
 * Description: C2: bound by a submission that does not list the buffer
 *
 * SUBTEST: written-unlisted
 * Description: C2: written by a submission that does not list the buffer
 *
 * SUBTEST: bound-by-others
 * Description: C2: bound by one thread, written by another one's submission
 *
 * SUBTEST: explicit-upload
 * Description: C1, C2: a transfer of what nobody knows of
 *
 * SUBTEST: failed-context
 * Description: C1: stores that were uploaded in a context that has failed
 *
 * SUBTEST: other-device
 * Description: C1, C2: another device can't have the memory
 *
 * SUBTEST: named-by-others
 * Description: C5: named by a process without a handle of the buffer
 *
 * SUBTEST: transfer3d-stale
 * Description: C2, C4: guest memory that is transferred is not older than the device's
 *
 * SUBTEST: transfer3d-from-host
 * Description: C1, C3: a transfer to the guest overwrites no store
 *
 * SUBTEST: transfer3d-map
 * Description: C2, C4: as old Mesa maps a persistent buffer
 *
 * SUBTEST: transfer3d-bad
 * Description: C3: a transfer to another place is refused
 *
 * SUBTEST: copy-transfer3d
 * Description: C1, C2: between the device's copy and another buffer's memory
 *
 * SUBTEST: copy-transfer3d-bad
 * Description: C2, C3: of a coherent buffer's memory: refused
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xf86drm.h>

#include "coh_virgl.h"
#include "readback.h"

IGT_TEST_DESCRIPTION("Coherent buffers of virtio-gpu: what virgl commands write and transfer");

/* The data of the command itself. */
static void inline_write(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i;

	for (i = 0; i < 5; i++) {
		const uint64_t off = (40 + i) * PAGE + 8;
		uint32_t cmd[VIRGL_INLINE_DWORDS];

		virgl_inline_write(cmd, b.bo, off);
		pattern_make(b.p, cmd + VIRGL_INLINE_DATA, off, VIRGL_INLINE_LEN);
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
	igt_assert_eq(virgl_submit(dev, cmds, virgl_bind_range(virgl_bind_numbers(cmds), b.bo, off,
							       words), NULL), 0);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "writes"), 0);

	check(&b);
	fill(&b, off, 20 * PAGE);
	igt_assert_eq(virgl_submit(dev, cmds, virgl_launch(cmds, words), b.bo), 0);
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
	igt_assert_eq(virgl_submit(dev, cmds,
				   virgl_launch(virgl_bind_range(virgl_bind_numbers(cmds), b.bo, 0, words),
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
		virgl_submit(b->dev, cmds, virgl_bind_range(cmds, b->bo, i % 8 * 64 * PAGE,
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
		.dev = dev, .bo = b.bo, .words = VIRGL_GROUP_WORDS, .stop = &stop,
	};
	uint32_t cmds[256];
	pthread_t thread;
	int round, i;

	igt_assert_eq(virgl_submit(dev, cmds, virgl_bind_range(virgl_bind_numbers(cmds), b.bo, 0,
							       VIRGL_GROUP_WORDS), NULL), 0);
	igt_assert(!pthread_create(&thread, NULL, binder_thread, &binder));
	for (round = 0; round < 60; round++) {
		fill(&b, 0, SIZE);
		for (i = 0; i < 3; i++)
			igt_assert_eq(virgl_submit(dev, cmds, virgl_launch(cmds, VIRGL_GROUP_WORDS),
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

	virgl_command(cmd, VIRGL_CCMD_SET_SHADER_BUFFERS, words, ARRAY_SIZE(words));
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

#define FAILED_BUFS 3

/*
 * A context that has failed takes no commands any more, uploads neither. Whoever gets the
 * buffers then sees all that was stored all the same.
 */
static void failed_context(struct egm_dev *dev)
{
	struct egm_dev *other = coh_open_again(dev);
	const uint32_t nop = VIRGL_CMD(0, 0);
	uint32_t bad[VIRGL_INLINE_DWORDS] = { }, handles[FAILED_BUFS];
	struct coh_buf b[FAILED_BUFS];
	struct egm_bo *mapped;
	int i, round, fd;

	for (i = 0; i < FAILED_BUFS; i++) {
		b[i] = coh_buf_warm(dev, 70 * PAGE);
		handles[i] = b[i].bo->handle;
	}

	virgl_inline_write(bad, b[0].bo, 0);
	bad[1] = UINT32_MAX;
	igt_assert_eq(virtgpu_execbuffer(dev->fd, bad, sizeof(bad), NULL, 0), 0);

	for (i = 0; i < FAILED_BUFS; i++)
		pattern_fill(b[i].p, b[i].bo->map, (1 + i) * PAGE, 2 * PAGE);
	igt_assert_eq(virtgpu_execbuffer(dev->fd, &nop, sizeof(nop), handles,
					 FAILED_BUFS), 0);

	for (i = 0; i < FAILED_BUFS; i++) {
		int dmabuf = coh_export(b[i].bo);
		struct egm_bo *bo = coh_import(other, dmabuf);
		struct egm_bo *snap = coh_create(other, bo->size);

		/* What was stored before, and what is stored from now on */
		for (round = 0; round < 2; round++) {
			coh_snapshot(bo, snap);
			pattern_assert(b[i].p, coh_fetch(snap), 0, bo->size);

			pattern_fill(b[i].p, b[i].bo->map, 69 * PAGE, PAGE);
			igt_assert_eq(virtgpu_execbuffer(dev->fd, &nop, sizeof(nop),
							 handles, FAILED_BUFS), 0);
		}
		egm_bo_destroy(snap);
		egm_bo_destroy(bo);
		close(dmabuf);
	}

	/* One is mapped still, but has no handle any more when another file gets one. */
	pattern_fill(b[0].p, b[0].bo->map, 0, PAGE);
	igt_assert_eq(virtgpu_execbuffer(dev->fd, &nop, sizeof(nop), handles, 1), 0);
	mapped = b[0].bo;
	fd = coh_export(mapped);
	egm_bo_close_handle(mapped);
	b[0].bo = coh_import(other, fd);
	close(fd);
	egm_bo_destroy(b[0].snap);
	b[0].snap = coh_create(other, b[0].bo->size);
	coh_buf_check(&b[0]);
	egm_bo_destroy(mapped);

	for (i = 0; i < FAILED_BUFS; i++)
		coh_buf_destroy(&b[i]);
	coh_close(other);
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

static const struct coh_subtest subtests[] = {
	{ "inline-write", "C2: data that is in the command stream", inline_write },
	{ "written-once", "C5: what was written once is not taken away again", written_once },
	{ "unknown-command", "C2: an unknown command may write", unknown_command },
	{ "bound-unlisted", "C2: bound by a submission that does not list the buffer", bound_unlisted },
	{ "written-unlisted", "C2: written by a submission that does not list the buffer", written_unlisted },
	{ "bound-by-others", "C2: bound by one thread, written by another one's submission", bound_by_others },
	{ "explicit-upload", "C1, C2: a transfer of what nobody knows of", explicit_upload },
	{ "failed-context", "C1: stores that were uploaded in a context that has failed", failed_context },
	{ "other-device", "C1, C2: another device can't have the memory", other_device },
	{ "named-by-others", "C5: named by a process without a handle of the buffer", named_by_others },
	{ "transfer3d-stale", "C2, C4: guest memory that is transferred is not older than the device's", transfer3d_stale },
	{ "transfer3d-from-host", "C1, C3: a transfer to the guest overwrites no store", transfer3d_from_host },
	{ "transfer3d-map", "C2, C4: as old Mesa maps a persistent buffer", transfer3d_map },
	{ "transfer3d-bad", "C3: a transfer to another place is refused", transfer3d_bad },
	{ "copy-transfer3d", "C1, C2: between the device's copy and another buffer's memory", copy_transfer3d },
	{ "copy-transfer3d-bad", "C2, C3: of a coherent buffer's memory: refused", copy_transfer3d_bad },
};

int coh_main()
{
	coh_subtests_of(&egm_virtio_gpu, subtests, ARRAY_SIZE(subtests));
}
