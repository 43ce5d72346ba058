// SPDX-License-Identifier: MIT
/**
 * TEST: coherent blob
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: A device that has blobs and cannot map those of the host: QEMU since 9.2
 *	with blob=on and without hostmem. The blobs that it has stay what they are, beside
 *	coherent buffers that are emulated.
 *
 * SUBTEST: guest
 * Description: A blob in guest memory is not tracked
 *
 * SUBTEST: host-guest
 * Description: C1: one in the host's memory, with guest memory too
 *
 * SUBTEST: host
 * Description: One in the host's memory only, and what can't be had
 *
 * SUBTEST: create-transfer
 * Description: C2: a transfer in the commands that create a blob
 *
 * SUBTEST: create-names
 * Description: C2: a buffer that the commands which create a blob write
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "coherent.h"
#include "igt_core.h"
#include <virtgpu.h>

IGT_TEST_DESCRIPTION("Coherent buffers of virtio-gpu beside real blobs");

#define SIZE (64 * PAGE)
#define TRANSFER_DWORDS 14
#define COPY_DWORDS (1 + VIRGL_COPY_REGION_LEN)

static struct egm_dev *open_with_blobs(void)
{
	struct egm_dev *dev = coh_open(&egm_virtio_gpu);

	igt_require_f(coh_feature(dev, "blob resources", "yes"),
		      "a device with blobs (QEMU since 9.2: blob=on)\n");
	return dev;
}

/* A blob of @memory; for the host's with a buffer of all of it behind @before. */
static int blob_create(struct egm_dev *dev, uint32_t memory, uint32_t flags,
		       const uint32_t *before, int n, struct egm_bo *bo)
{
	uint32_t cmd[COPY_DWORDS + BLOB_DWORDS];
	struct virtgpu_blob blob;
	int ret;

	virtgpu_blob_init(&blob, SIZE);
	blob.arg.blob_mem = memory;
	blob.arg.blob_flags = flags;
	blob.cmd[BLOB_FLAGS] = 0;
	if (n)
		memcpy(cmd, before, n * sizeof(*cmd));
	memcpy(cmd + n, blob.cmd, sizeof(blob.cmd));
	blob.arg.cmd = (uintptr_t)cmd;
	blob.arg.cmd_size = n * sizeof(*cmd) + sizeof(blob.cmd);
	if (memory == VIRTGPU_BLOB_MEM_GUEST)
		blob.arg.cmd_size = blob.arg.blob_id = 0;

	ret = virtgpu_blob_create(dev->fd, &blob);
	*bo = (struct egm_bo) {
		.dev = dev,
		.handle = blob.arg.bo_handle,
		.res = blob.arg.res_handle,
		.size = SIZE,
	};
	return ret;
}

static void blob_map(struct egm_bo *bo)
{
	bo->map = egm_bo_mmap(bo, PROT_READ | PROT_WRITE, MAP_SHARED, SIZE);
	igt_assert(bo->map != MAP_FAILED);
}

static void blob_close(struct egm_bo *bo)
{
	if (bo->map)
		munmap(bo->map, SIZE);
	drmCloseBufferHandle(bo->dev->fd, bo->handle);
}

static uint32_t blob_memory(const struct egm_bo *bo)
{
	/* The last member is "stride" or "blob_mem", by the age of libdrm's header */
	union {
		struct drm_virtgpu_resource_info info;
		uint32_t words[4];
	} arg = { .info.bo_handle = bo->handle };

	igt_assert_eq(drmIoctl(bo->dev->fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &arg.info), 0);
	igt_assert_eq(arg.info.res_handle, bo->res);
	igt_assert_eq_u64(arg.info.size, SIZE);
	return arg.words[3];
}

/* Guest memory that the kernel does not track */
static void guest(void)
{
	struct egm_dev *dev = open_with_blobs();
	struct pattern *p = pattern_new(SIZE);
	struct egm_bo bo;

	igt_assert_eq(blob_create(dev, VIRTGPU_BLOB_MEM_GUEST,
				  VIRTGPU_BLOB_FLAG_USE_MAPPABLE, NULL, 0, &bo), 0);
	igt_assert_eq(blob_memory(&bo), VIRTGPU_BLOB_MEM_GUEST);
	coh_assert_tracked(dev, 0);
	blob_map(&bo);
	pattern_fill(p, bo.map, 0, SIZE);
	coh_touch(&bo);
	coh_wait(&bo);
	pattern_assert(p, bo.map, 0, SIZE);
	blob_close(&bo);
	pattern_free(p);
	coh_close(dev);
}

/* The host's with guest memory, which the device copies to and from as any other */
static void host_guest(void)
{
	struct egm_dev *dev = open_with_blobs();
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	struct egm_copy copy[2] = { { .len = SIZE }, { .len = SIZE } };
	struct egm_bo bo;
	int i;

	igt_assert_eq(blob_create(dev, VIRTGPU_BLOB_MEM_HOST3D_GUEST,
				  VIRTGPU_BLOB_FLAG_USE_MAPPABLE, NULL, 0, &bo), 0);
	igt_assert_eq(blob_memory(&bo), VIRTGPU_BLOB_MEM_HOST3D_GUEST);
	coh_assert_tracked(dev, 1);
	blob_map(&bo);
	copy[0].src = b.bo;
	copy[0].dst = copy[1].src = &bo;
	copy[1].dst = b.snap;
	for (i = 0; i < 4; i++) {
		pattern_fill(b.p, b.bo->map, i * PAGE, 9 * PAGE);
		memset(bo.map, i, SIZE);
		coh_submit(dev, copy, 2, NULL, 0);
		pattern_assert(b.p, coh_fetch(b.snap), 0, SIZE);
		igt_assert_eq(((char *)bo.map)[SIZE - 1], i);
	}
	blob_close(&bo);
	coh_buf_destroy(&b);
	coh_close(dev);
}

/* The host's, which nobody can map */
static void host(void)
{
	struct egm_dev *dev = open_with_blobs();
	struct egm_bo bo;

	igt_assert_eq(blob_create(dev, VIRTGPU_BLOB_MEM_HOST3D, 0, NULL, 0, &bo), 0);
	igt_assert_eq(blob_memory(&bo), VIRTGPU_BLOB_MEM_HOST3D);
	coh_assert_tracked(dev, 0);
	igt_assert(egm_bo_mmap(&bo, PROT_READ, MAP_SHARED, SIZE) == MAP_FAILED);
	blob_close(&bo);

	/* and what cannot be had: to be mapped and more than that */
	igt_assert_eq(blob_create(dev, VIRTGPU_BLOB_MEM_HOST3D,
				  VIRTGPU_BLOB_FLAG_USE_MAPPABLE |
				  VIRTGPU_BLOB_FLAG_USE_SHAREABLE, NULL, 0, &bo), -EINVAL);
	igt_assert_eq(blob_create(dev, VIRTGPU_BLOB_MEM_GUEST, 1 << 3, NULL, 0, &bo), -EINVAL);
	igt_assert_eq(blob_create(dev, 0, 0, NULL, 0, &bo), -EINVAL);
	coh_close(dev);
}

/*
 * A coherent buffer that the device has written, and nobody has read back; @from
 * tells what.
 */
static struct coh_buf device_written(struct egm_dev *dev, struct egm_bo **src,
				     struct pattern **from)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	struct egm_copy copy = { .dst = b.bo, .len = SIZE };

	copy.src = *src = coh_create(dev, SIZE);
	*from = pattern_new(SIZE);
	pattern_fill(*from, (*src)->map, 0, SIZE);
	coh_submit(dev, &copy, 1, NULL, 0);
	pattern_copied(b.p, 0, *from, 0, SIZE);
	return b;
}

/* A blob comes with any commands: a transfer among them has nothing left to do. */
static void create_transfer(void)
{
	struct egm_dev *dev = open_with_blobs();
	struct pattern *from;
	struct egm_bo *src, bo;
	struct coh_buf b = device_written(dev, &src, &from);
	const uint32_t cmd[TRANSFER_DWORDS] = {
		[0] = VIRGL_CMD(VIRGL_CCMD_TRANSFER3D, TRANSFER_DWORDS - 1),
		[1] = b.bo->res,
		[9] = SIZE,
		[10] = 1,
		[11] = 1,
		[13] = VIRGL_TRANSFER_TO_HOST,
	};
	uint32_t elsewhere[TRANSFER_DWORDS];

	igt_assert_eq(blob_create(dev, VIRTGPU_BLOB_MEM_HOST3D_GUEST, 0, cmd,
				  TRANSFER_DWORDS, &bo), 0);
	pattern_assert(b.p, b.bo->map, 0, SIZE);
	coh_buf_check(&b);
	blob_close(&bo);

	/* to another place: refused, and nothing of it is done */
	memcpy(elsewhere, cmd, sizeof(cmd));
	elsewhere[12] = PAGE;
	igt_assert_eq(blob_create(dev, VIRTGPU_BLOB_MEM_HOST3D_GUEST, 0, elsewhere,
				  TRANSFER_DWORDS, &bo), -EINVAL);
	coh_buf_check(&b);
	coh_buf_destroy(&b);
	egm_bo_destroy(src);
	pattern_free(from);
	coh_close(dev);
}

/* What such commands write is in no list: all is taken by what comes next. */
static void create_names(void)
{
	struct egm_dev *dev = open_with_blobs();
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	struct coh_buf src = coh_buf_warm(dev, SIZE);
	const uint32_t cmd[COPY_DWORDS] = {
		[0] = VIRGL_CMD(VIRGL_CCMD_RESOURCE_COPY_REGION, VIRGL_COPY_REGION_LEN),
		[1] = b.bo->res,
		[6] = src.bo->res,
		[11] = SIZE,
		[12] = 1,
		[13] = 1,
	};
	struct egm_counters before, after;
	struct egm_bo bo;

	coh_counters(dev, &before);
	igt_assert_eq(blob_create(dev, VIRTGPU_BLOB_MEM_HOST3D_GUEST, 0, cmd, COPY_DWORDS,
				  &bo), 0);
	coh_counters(dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "contexts_lost"), 1);
	coh_touch(b.bo);
	pattern_copied(b.p, 0, src.p, 0, SIZE);
	pattern_assert(b.p, b.bo->map, 0, SIZE);
	coh_buf_check(&b);
	blob_close(&bo);
	coh_buf_destroy(&src);
	coh_buf_destroy(&b);
	coh_close(dev);
}

int coh_main()
{
	igt_describe("A blob in guest memory is not tracked");
	igt_subtest("guest")
		guest();

	igt_describe("C1: one in the host's memory, with guest memory too");
	igt_subtest("host-guest")
		host_guest();

	igt_describe("One in the host's memory only, and what can't be had");
	igt_subtest("host")
		host();

	igt_describe("C2: a transfer in the commands that create a blob");
	igt_subtest("create-transfer")
		create_transfer();

	igt_describe("C2: a buffer that the commands which create a blob write");
	igt_subtest("create-names")
		create_names();
}
