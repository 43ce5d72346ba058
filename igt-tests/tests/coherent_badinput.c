// SPDX-License-Identifier: MIT
/**
 * TEST: coherent badinput
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Requests for coherent buffers that are wrong in any of their words: the
 *	right errno, nothing kept, and the device as good as before.
 *
 * SUBTEST: words
 * Description: Every word of the request: EINVAL if it is wrong
 *
 * SUBTEST: good
 * Description: C1: words that differ from the usual and are right
 *
 * SUBTEST: largest
 * Description: C1: a buffer of 2 GiB less a page
 *
 * SUBTEST: pointers
 * Description: The command's address: EFAULT if it is wrong
 *
 * SUBTEST: handles
 * Description: Handles: ENOENT if there is no such buffer
 *
 * SUBTEST: requests
 * Description: C3: the other requests, wrong, lose no store
 *
 * SUBTEST: leak
 * Description: Wrong requests, 200 times each: nothing is kept
 *
 * SUBTEST: fuzz
 * Description: Random requests: refused, or a buffer that keeps C1
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"
#include <virtgpu.h>

IGT_TEST_DESCRIPTION("Coherent buffers of virtio-gpu: bad requests");

#define SIZE (16 * PAGE)

/* Which word of a valid request for SIZE bytes is replaced. */
enum field {
	DWORD,		/* + enum virtgpu_blob_dword */
	ARG = 100,	/* + offset in the ioctl's argument */
};

#define DW(name) (DWORD + BLOB_##name)
#define ARG32(name) \
	(ARG + offsetof(struct drm_virtgpu_resource_create_blob, name)), 4
#define ARG64(name) \
	(ARG + offsetof(struct drm_virtgpu_resource_create_blob, name)), 8
#define HEADER(cmd, len) DW(HEADER), 4, VIRGL_CMD(cmd, len)
#define CREATE VIRGL_CCMD_PIPE_RESOURCE_CREATE
#define LEN VIRGL_PIPE_RESOURCE_CREATE_LEN

struct word {
	const char *what;
	unsigned int field, bytes;
	uint64_t value;
};

/* A valid request, with room for what a too large cmd_size asks to be read. */
struct request {
	struct virtgpu_blob blob;
	uint8_t more[];
};

static struct request *request_new(void)
{
	struct request *req = calloc(1, sizeof(*req) + 2 * PAGE);

	igt_assert(req);
	return req;
}

static void request_init(struct request *req)
{
	virtgpu_blob_init(&req->blob, SIZE);
	/* what "two commands" has as its second */
	memcpy(req->more, req->blob.cmd, sizeof(req->blob.cmd));
}

static int request_with(int fd, struct request *req, const struct word *word)
{
	request_init(req);
	if (word->field < ARG)
		req->blob.cmd[word->field - DWORD] = word->value;
	else
		memcpy((char *)&req->blob.arg + word->field - ARG, &word->value,
		       word->bytes);
	return virtgpu_blob_create(fd, &req->blob);
}

static struct egm_dev *open_virtgpu(void)
{
	return coh_open(&egm_virtio_gpu);
}

/* Returns how many of them were not refused with EINVAL. */
static int request_bad_words(int fd, struct request *req)
{
	const struct word bad_words[] = {
		{ "size 0", ARG64(size), 0 },
		{ "size below the width", ARG64(size), SIZE - PAGE },
		{ "size below the width by a byte", ARG64(size), SIZE - 1 },
		{ "size all ones", ARG64(size), UINT64_MAX },
		{ "size that overflows when rounded to pages", ARG64(size),
		  UINT64_MAX - PAGE + 2 },
		{ "size of the last page", ARG64(size), -PAGE },
		{ "size 2^63", ARG64(size), UINT64_C(1) << 63 },
		{ "size 2^31", ARG64(size), UINT64_C(1) << 31 },
		{ "a size that rounds to 2^31", ARG64(size),
		  (UINT64_C(1) << 31) - PAGE + 1 },
		{ "size 2^32 less a page", ARG64(size), (UINT64_C(1) << 32) - PAGE },
		{ "size 2^32", ARG64(size), UINT64_C(1) << 32 },
		{ "size that is good in its low 32 bits", ARG64(size),
		  (UINT64_C(1) << 32) + SIZE },
		{ "size 2^32 - 1, that rounds to 2^32", ARG64(size), UINT32_MAX },

		{ "cmd_size 0", ARG32(cmd_size), 0 },
		{ "cmd_size of the header", ARG32(cmd_size), 4 },
		{ "cmd_size of a dword less", ARG32(cmd_size), 44 },
		{ "cmd_size of a byte less", ARG32(cmd_size), 47 },
		{ "cmd_size of a byte more", ARG32(cmd_size), 49 },
		{ "cmd_size of a dword more", ARG32(cmd_size), 52 },
		{ "cmd_size of two commands", ARG32(cmd_size), 96 },
		{ "cmd_size of a page", ARG32(cmd_size), PAGE },
		{ "cmd_size 2^31", ARG32(cmd_size), 1u << 31 },
		{ "cmd_size near 2^32", ARG32(cmd_size), UINT32_MAX - 3 },
		{ "cmd_size all ones", ARG32(cmd_size), UINT32_MAX },

		{ "header 0", DW(HEADER), 4, 0 },
		{ "header all ones", DW(HEADER), 4, UINT32_MAX },
		{ "another command", HEADER(VIRGL_CCMD_RESOURCE_COPY_REGION, LEN) },
		{ "an unknown command", HEADER(0xff, LEN) },
		{ "command length 0", HEADER(CREATE, 0) },
		{ "command length below", HEADER(CREATE, LEN - 1) },
		{ "command length above", HEADER(CREATE, LEN + 1) },
		{ "command length at its most", HEADER(CREATE, 0xffff) },
		{ "an object type in the header",
		  HEADER(CREATE | 1 << 8, LEN) },

		{ "a 1D texture", DW(TARGET), 4, 1 },
		{ "a 2D texture", DW(TARGET), 4, PIPE_TEXTURE_2D },
		{ "a 3D texture", DW(TARGET), 4, 3 },
		{ "a cube array", DW(TARGET), 4, 8 },
		{ "an unknown target", DW(TARGET), 4, 9 },
		{ "target all ones", DW(TARGET), 4, UINT32_MAX },

		{ "bind depth and stencil", DW(BIND), 4, 1 << 0 },
		{ "bind render target", DW(BIND), 4, VIRGL_BIND_RENDER_TARGET },
		{ "bind undefined bit 2", DW(BIND), 4, 1 << 2 },
		{ "bind display target", DW(BIND), 4, 1 << 7 },
		{ "bind cursor", DW(BIND), 4, 1 << 16 },
		{ "bind custom", DW(BIND), 4, 1 << 17 },
		{ "bind scanout", DW(BIND), 4, 1 << 18 },
		{ "bind staging", DW(BIND), 4, 1 << 19 },
		{ "bind shared", DW(BIND), 4, 1 << 20 },
		{ "bind to vertices and indices", DW(BIND), 4, 1 << 4 | 1 << 5 },
		{ "bind the highest bit", DW(BIND), 4, 1u << 31 },
		{ "bind all ones", DW(BIND), 4, UINT32_MAX },

		{ "width 0", DW(WIDTH), 4, 0 },
		{ "width above the size", DW(WIDTH), 4, SIZE + 1 },
		{ "width 2^31", DW(WIDTH), 4, 1u << 31 },
		{ "width all ones", DW(WIDTH), 4, UINT32_MAX },
		{ "height 0", DW(HEIGHT), 4, 0 },
		{ "height 2", DW(HEIGHT), 4, 2 },
		{ "height all ones", DW(HEIGHT), 4, UINT32_MAX },
		{ "depth 0", DW(DEPTH), 4, 0 },
		{ "depth 2", DW(DEPTH), 4, 2 },
		{ "depth all ones", DW(DEPTH), 4, UINT32_MAX },
		{ "array size 0", DW(ARRAY_SIZE), 4, 0 },
		{ "array size 2", DW(ARRAY_SIZE), 4, 2 },
		{ "array size all ones", DW(ARRAY_SIZE), 4, UINT32_MAX },
		{ "last level 1", DW(LAST_LEVEL), 4, 1 },
		{ "last level all ones", DW(LAST_LEVEL), 4, UINT32_MAX },
		{ "4 samples", DW(NR_SAMPLES), 4, 4 },
		{ "samples all ones", DW(NR_SAMPLES), 4, UINT32_MAX },
		{ "flag y-0-top", DW(FLAGS), 4, 1 | VIRGL_FLAG_MAP_PERSISTENT },
		{ "an unknown flag", DW(FLAGS), 4, 1 << 3 | VIRGL_FLAG_MAP_COHERENT },
		{ "flags all ones", DW(FLAGS), 4, UINT32_MAX },
		{ "another blob id in the command", DW(ID), 4, 2 },
		{ "another blob id in the request", ARG64(blob_id), 2 },
		{ "a blob id that is the same in its low 32 bits", ARG64(blob_id),
		  (UINT64_C(1) << 32) + 1 },

		{ "no blob flag", ARG32(blob_flags), 0 },
		{ "not mappable, shareable", ARG32(blob_flags), 2 },
		{ "not mappable, cross device", ARG32(blob_flags), 4 },
		{ "mappable and shareable", ARG32(blob_flags), 3 },
		{ "mappable and cross device", ARG32(blob_flags), 5 },
		{ "all blob flags", ARG32(blob_flags), 7 },
		{ "an unknown blob flag", ARG32(blob_flags), 1 | 8 },
		{ "blob flags all ones", ARG32(blob_flags), UINT32_MAX },

		{ "blob memory 0", ARG32(blob_mem), 0 },
		{ "blob memory of the guest", ARG32(blob_mem), VIRTGPU_BLOB_MEM_GUEST },
		{ "blob memory of both", ARG32(blob_mem),
		  VIRTGPU_BLOB_MEM_HOST3D_GUEST },
		{ "blob memory 99", ARG32(blob_mem), 99 },
		{ "blob memory all ones", ARG32(blob_mem), UINT32_MAX },
	};
	int failures = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad_words); i++) {
		int ret = request_with(fd, req, &bad_words[i]);

		if (ret == -EINVAL)
			continue;
		igt_warn("%s: %s\n", bad_words[i].what, strerror(-ret));
		failures++;
		if (!ret)
			drmCloseBufferHandle(fd, req->blob.arg.bo_handle);
	}
	return failures;
}

static void words(void)
{
	struct egm_dev *dev = open_virtgpu();
	uint32_t handle = coh_free_handle(dev);
	struct request *req = request_new();
	int failures = request_bad_words(dev->fd, req);

	igt_assert_f(!failures, "%d requests were not refused with EINVAL\n",
		     failures);
	coh_assert_works(dev, handle);
	free(req);
	coh_close(dev);
}

/*
 * A request that was not refused must have given a working buffer of what
 * size and width say.
 */
static void assert_usable(struct egm_dev *dev, const struct virtgpu_blob *blob,
			  struct egm_bo *snap)
{
	const uint64_t size = blob->arg.size < snap->size ? blob->arg.size :
							    snap->size;
	uint64_t width = blob->cmd[BLOB_WIDTH];
	struct egm_bo bo = {
		.dev = dev,
		.handle = blob->arg.bo_handle,
		.res = blob->arg.res_handle,
	};
	struct pattern *p = pattern_new(snap->size);

	/* whole words that both the buffer and the snapshot have */
	width = (width < size ? width : size) & ~7ull;
	bo.size = width;
	bo.map = coh_map(&bo, PROT_READ | PROT_WRITE, size);
	((volatile char *)bo.map)[size - 1] = 1;
	if (width) {
		pattern_fill(p, bo.map, 0, width);
		coh_snapshot(&bo, snap);
		pattern_assert(p, coh_fetch(snap), 0, width);
	}
	munmap(bo.map, size);
	drmCloseBufferHandle(dev->fd, bo.handle);
	pattern_free(p);
}

static void good(void)
{
	/*
	 * Words that differ from those of coh_assert_works(), and are as good. The
	 * format is in Mesa's own numbering, of which the kernel knows nothing.
	 */
	const struct word good_words[] = {
		{ "an odd size, below a page", ARG64(size), SIZE + 1 },
		{ "a size above the width", ARG64(size), SIZE + PAGE },
		{ "format 0", DW(FORMAT), 4, 0 },
		{ "another format", DW(FORMAT), 4, 49 },
		{ "bind to nothing", DW(BIND), 4, 0 },
		{ "bind to indices", DW(BIND), 4, 1 << 5 },
		{ "bind to constants", DW(BIND), 4, 1 << 6 },
		{ "bind to command arguments", DW(BIND), 4, 1 << 8 },
		{ "bind to stream output", DW(BIND), 4, 1 << 11 },
		{ "bind to shader storage", DW(BIND), 4, 1 << 14 },
		{ "bind to textures", DW(BIND), 4, VIRGL_BIND_SAMPLER_VIEW },
		{ "bind to pixels, as Mesa has it", DW(BIND), 4,
		  VIRGL_BIND_SAMPLER_VIEW | VIRGL_BIND_RENDER_TARGET },
		{ "bind to textures and vertices", DW(BIND), 4,
		  VIRGL_BIND_SAMPLER_VIEW | VIRGL_BIND_VERTEX_BUFFER },
		{ "width 1", DW(WIDTH), 4, 1 },
		{ "width below the size, not of whole pages", DW(WIDTH), 4, 5000 },
		{ "persistent only", DW(FLAGS), 4, VIRGL_FLAG_MAP_PERSISTENT },
		{ "coherent only", DW(FLAGS), 4, VIRGL_FLAG_MAP_COHERENT },
	};
	struct egm_dev *dev = open_virtgpu();
	struct egm_bo *snap = coh_create_plain(dev, KiB(256));
	struct request *req = request_new();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good_words); i++) {
		int ret = request_with(dev->fd, req, &good_words[i]);

		igt_debug("%s\n", good_words[i].what);
		igt_assert_f(!ret, "%s: %s\n", good_words[i].what,
			     strerror(-ret));
		assert_usable(dev, &req->blob, snap);
	}
	free(req);
	coh_close(dev);
}

/* The largest that there can be: what is stored at both ends is seen. */
static void largest(void)
{
	const uint64_t size = (UINT64_C(1) << 31) - PAGE;
	struct egm_dev *dev = open_virtgpu();
	struct egm_copy copies[3] = {
		{ .src_off = 0 }, { .src_off = size / 2 }, { .src_off = size - PAGE },
	};
	struct egm_bo *bo, *snap;
	struct pattern *p;
	size_t i;

	igt_require_f(coh_meminfo("MemAvailable:") > size + MiB(512),
		      "needs 2.5 GiB of free memory\n");
	bo = coh_create(dev, size);
	snap = coh_create_plain(dev, MiB(1));
	p = pattern_new(ARRAY_SIZE(copies) * PAGE);
	for (i = 0; i < ARRAY_SIZE(copies); i++) {
		pattern_make(p, (char *)bo->map + copies[i].src_off, i * PAGE, PAGE);
		copies[i].src = bo;
		copies[i].dst = snap;
		copies[i].dst_off = i * PAGE;
		copies[i].len = PAGE;
	}
	coh_submit(dev, copies, ARRAY_SIZE(copies), NULL, 0);
	pattern_assert(p, coh_fetch(snap), 0, ARRAY_SIZE(copies) * PAGE);
	pattern_free(p);
	coh_close(dev);
}

static void pointers(void)
{
	struct egm_dev *dev = open_virtgpu();
	uint32_t handle = coh_free_handle(dev);
	struct virtgpu_blob blob;
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t bad[] = {
		0, 8, UINT64_MAX - 3, UINT64_C(0xffff888000000000),
		(uintptr_t)page + PAGE, (uintptr_t)page + PAGE - 44,
	};
	size_t i;

	igt_assert(page != MAP_FAILED && !munmap(page + PAGE, PAGE));
	virtgpu_blob_init(&blob, SIZE);
	memcpy(page + PAGE - 44, blob.cmd, 44);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		blob.arg.cmd = bad[i];
		igt_assert_eq(virtgpu_blob_create(dev->fd, &blob), -EFAULT);
	}

	/* as good as any, though not aligned and at the end of memory */
	blob.arg.cmd = (uintptr_t)page + PAGE - sizeof(blob.cmd) - 1;
	memcpy(page + PAGE - sizeof(blob.cmd) - 1, blob.cmd, sizeof(blob.cmd));
	igt_assert_eq(virtgpu_blob_create(dev->fd, &blob), 0);
	drmCloseBufferHandle(dev->fd, blob.arg.bo_handle);

	munmap(page, PAGE);
	coh_assert_works(dev, handle);
	coh_close(dev);
}

static void handles(void)
{
	struct egm_dev *dev = open_virtgpu();
	struct egm_bo *bo = coh_create(dev, SIZE);
	const uint32_t bad[] = { 0, bo->handle + 1000, UINT32_MAX };
	uint32_t nop = 0, closed;
	uint64_t offset;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		uint32_t list[2] = { bo->handle, bad[i] };

		igt_assert_eq(virtgpu_execbuffer(dev->fd, &nop, 4, list, 2),
			      -ENOENT);
		igt_assert_eq(virtgpu_transfer_from_host(dev->fd, bad[i], 0,
							 PAGE), -ENOENT);
		igt_assert_eq(dev->drv->mmap_offset(dev->fd, bad[i], &offset),
			      -ENOENT);
	}

	closed = bo->handle;
	egm_bo_destroy(bo);
	igt_assert_eq(virtgpu_execbuffer(dev->fd, &nop, 4, &closed, 1),
		      -ENOENT);
	igt_assert(drmCloseBufferHandle(dev->fd, closed) && errno == EINVAL);
	coh_assert_works(dev, closed);
	coh_close(dev);
}

static int request(int fd, unsigned long nr, void *arg)
{
	return drmIoctl(fd, nr, arg) ? -errno : 0;
}

/*
 * The other requests that take a buffer, wrong, with stores that nobody has
 * seen yet: those are not forgotten.
 */
static void requests(void)
{
	struct egm_dev *dev = open_virtgpu();
	struct egm_bo *bo = coh_create(dev, SIZE);
	struct egm_bo *snap = coh_create_plain(dev, SIZE);
	const uint32_t bad[] = { 0, bo->handle + 1000, UINT32_MAX };
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t unmapped[] = {
		0, 8, UINT64_MAX - 3, UINT64_C(0xffff888000000000),
		(uintptr_t)page + PAGE, (uintptr_t)page + PAGE - 2,
	};
	struct pattern *p = pattern_new(SIZE);
	struct drm_virtgpu_3d_transfer_to_host to;
	struct drm_virtgpu_execbuffer exec;
	uint32_t nop = 0;
	size_t i;

	igt_assert(page != MAP_FAILED && !munmap(page + PAGE, PAGE));
	pattern_fill(p, bo->map, 0, SIZE);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct drm_virtgpu_3d_wait wait = { .handle = bad[i] };
		struct drm_virtgpu_resource_info info = { .bo_handle = bad[i] };

		to = (struct drm_virtgpu_3d_transfer_to_host){
			.bo_handle = bad[i], .box = { .w = 1, .h = 1, .d = 1 },
		};
		igt_assert_eq(request(dev->fd, DRM_IOCTL_VIRTGPU_WAIT, &wait),
			      -ENOENT);
		igt_assert_eq(request(dev->fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO,
				      &info), -ENOENT);
		igt_assert_eq(request(dev->fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST,
				      &to), -ENOENT);
	}

	for (i = 0; i < ARRAY_SIZE(unmapped); i++) {
		exec = (struct drm_virtgpu_execbuffer){
			.command = (uintptr_t)&nop, .size = 4,
			.bo_handles = unmapped[i], .num_bo_handles = 1,
		};
		igt_assert_eq(request(dev->fd, DRM_IOCTL_VIRTGPU_EXECBUFFER,
				      &exec), -EFAULT);
		exec = (struct drm_virtgpu_execbuffer){
			.command = unmapped[i], .size = 4,
			.bo_handles = (uintptr_t)&bo->handle, .num_bo_handles = 1,
		};
		igt_assert_eq(request(dev->fd, DRM_IOCTL_VIRTGPU_EXECBUFFER,
				      &exec), -EFAULT);
	}
	exec = (struct drm_virtgpu_execbuffer){
		.flags = 1u << 31, .command = (uintptr_t)&nop, .size = 4,
		.bo_handles = (uintptr_t)&bo->handle, .num_bo_handles = 1,
	};
	igt_assert_eq(request(dev->fd, DRM_IOCTL_VIRTGPU_EXECBUFFER, &exec),
		      -EINVAL);
	exec.flags = VIRTGPU_EXECBUF_FENCE_FD_IN;
	exec.fence_fd = -1;
	igt_assert_eq(request(dev->fd, DRM_IOCTL_VIRTGPU_EXECBUFFER, &exec),
		      -EINVAL);

	coh_snapshot(bo, snap);
	pattern_assert(p, coh_fetch(snap), 0, SIZE);
	munmap(page, PAGE);
	pattern_free(p);
	coh_close(dev);
}

/* Every GEM object has a file of its own: a leaked one shows here. */
static long open_files(void)
{
	FILE *f = fopen("/proc/sys/fs/file-nr", "r");
	long n;

	igt_assert(f && fscanf(f, "%ld", &n) == 1);
	fclose(f);
	return n;
}

static void leak(void)
{
	struct egm_dev *dev = open_virtgpu();
	int tracked = coh_tracked_at_rest(dev);
	uint32_t handle = coh_free_handle(dev);
	struct request *req = request_new();
	long files = 0, shmem = 0, repeat;

	/* the first round is for what is allocated once and for all */
	for (repeat = 0; repeat <= 200; repeat++) {
		request_bad_words(dev->fd, req);
		if (!repeat) {
			files = open_files();
			shmem = coh_meminfo("Shmem:");
		}
	}
	/* far fewer than one for each of the repeated requests */
	igt_assert_lt(open_files() - files, 100);
	coh_assert_tracked(dev, tracked);
	igt_assert(coh_meminfo("Shmem:") < shmem + MiB(1));
	coh_assert_works(dev, handle);
	free(req);
	coh_close(dev);
}

static uint64_t random_word(struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0:
		return rng_below(r, 4);
	case 1:
		return UINT64_MAX - rng_below(r, 4);
	case 2:
		return 1ull << rng_below(r, 64);
	case 3:
		return (1ull << rng_below(r, 26)) - rng_below(r, 3);
	case 4:
		return rng_below(r, MiB(4));
	default:
		return rng_next(r);
	}
}

static void fuzz(void)
{
	struct egm_dev *dev = open_virtgpu();
	struct egm_bo *snap = coh_create_plain(dev, KiB(256));
	uint32_t handle = coh_free_handle(dev);
	struct request *req = request_new();
	struct rng r = rng_new(1);
	int i, made = 0;

	for (i = 0; i < 3000; i++) {
		struct drm_virtgpu_resource_create_blob *arg = &req->blob.arg;
		unsigned int n = 1 + rng_below(&r, 3);
		int ret;

		request_init(req);
		while (n--) {
			uint64_t word = random_word(&r);
			unsigned int which = rng_below(&r, BLOB_DWORDS + 5);

			if (which < BLOB_DWORDS)
				req->blob.cmd[which] = word;
			else if (which == BLOB_DWORDS)
				arg->size = word;
			else if (which == BLOB_DWORDS + 1)
				arg->blob_id = word;
			else if (which == BLOB_DWORDS + 2)
				arg->blob_flags = word;
			else if (which == BLOB_DWORDS + 3)
				arg->blob_mem = word;
			else
				arg->size = req->blob.cmd[BLOB_WIDTH] = word;
		}
		/* sizes that a kernel may well try to find the memory for */
		if (arg->size > MiB(64) && arg->size < UINT64_C(1) << 34)
			continue;

		ret = virtgpu_blob_create(dev->fd, &req->blob);
		if (ret) {
			igt_assert_f(ret == -EINVAL || ret == -ENOMEM,
				     "request %d: %s; --seed 0x%" PRIx64 "\n",
				     i, strerror(-ret), seed_get());
			continue;
		}
		igt_debug("request %d: size %llu, width %u, bind 0x%x, flags 0x%x\n",
			  i, arg->size, req->blob.cmd[BLOB_WIDTH],
			  req->blob.cmd[BLOB_BIND], req->blob.cmd[BLOB_FLAGS]);
		assert_usable(dev, &req->blob, snap);
		made++;
	}
	igt_info("%d of %d requests made a buffer\n", made, i);
	coh_assert_works(dev, handle);
	free(req);
	coh_close(dev);
}

int coh_main()
{
	igt_describe("Every word of the request: EINVAL if it is wrong");
	igt_subtest("words")
		words();

	igt_describe("C1: words that differ from the usual and are right");
	igt_subtest("good")
		good();

	igt_describe("C1: a buffer of 2 GiB less a page");
	igt_subtest("largest")
		largest();

	igt_describe("The command's address: EFAULT if it is wrong");
	igt_subtest("pointers")
		pointers();

	igt_describe("Handles: ENOENT if there is no such buffer");
	igt_subtest("handles")
		handles();

	igt_describe("C3: the other requests, wrong, lose no store");
	igt_subtest("requests")
		requests();

	igt_describe("Wrong requests, 200 times each: nothing is kept");
	igt_subtest("leak")
		leak();

	igt_describe("Random requests: refused, or a buffer that keeps C1");
	igt_subtest("fuzz")
		fuzz();
}
