// SPDX-License-Identifier: MIT
/**
 * TEST: coherent vmob badinput
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: vmob's ioctls with arguments that are wrong in any of their members: the
 *	errno that the header says, nothing kept, and the device as good as before.
 *
 * SUBTEST: getparam
 * Description: Unknown parameters: EINVAL
 *
 * SUBTEST: create
 * Description: Every member of a buffer's request: EINVAL
 *
 * SUBTEST: handles
 * Description: Unknown handles, to every ioctl: ENOENT
 *
 * SUBTEST: views
 * Description: Every member of a view's request: EINVAL
 *
 * SUBTEST: many-views
 * Description: C5: as many views as a buffer can have, and no more: ENOSPC
 *
 * SUBTEST: contexts
 * Description: Contexts: flags, unknown ones, too many
 *
 * SUBTEST: commands
 * Description: C3: a wrong command is refused, with all others, and loses no store
 *
 * SUBTEST: work
 * Description: As much as the commands of a submission may do, and more: EINVAL
 *
 * SUBTEST: submissions
 * Description: Counts, addresses and syncobjs
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xf86drm.h>
#include <drm/vmob_drm.h>

#include "coherent.h"
#include "igt_core.h"

IGT_TEST_DESCRIPTION("Coherent buffers of vmob: bad requests");

#define SIZE (16 * PAGE)
#define TOP_BIT (UINT64_C(1) << 63)

static int request(int fd, unsigned long nr, void *arg)
{
	return drmIoctl(fd, nr, arg) ? -errno : 0;
}

static int failures;

static void expect(const char *what, int ret, int want)
{
	if (ret == want)
		return;
	igt_warn("%s: %s, not %s\n", what, strerror(-ret), strerror(-want));
	failures++;
}

static void assert_works(struct egm_dev *dev, uint32_t handle)
{
	igt_assert_f(!failures, "%d requests did not get their errno\n", failures);
	coh_assert_works(dev, handle);
}

static uint64_t param(struct egm_dev *dev, uint64_t which)
{
	struct drm_vmob_getparam arg = { .param = which };

	igt_assert_eq(request(dev->fd, DRM_IOCTL_VMOB_GETPARAM, &arg), 0);
	return arg.value;
}

static void getparam(struct egm_dev *dev)
{
	const uint64_t bad[] = {
		DRM_VMOB_PARAM_MAX_BYTES + 1, UINT32_MAX, UINT64_MAX, TOP_BIT,
		(UINT64_C(1) << 32) + DRM_VMOB_PARAM_COHERENT,
	};
	struct drm_vmob_getparam arg;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = (struct drm_vmob_getparam){ .param = bad[i] };
		expect("an unknown parameter",
		       request(dev->fd, DRM_IOCTL_VMOB_GETPARAM, &arg), -EINVAL);
	}
	assert_works(dev, coh_free_handle(dev));
}

static void create(struct egm_dev *dev)
{
	const uint32_t both = DRM_VMOB_DOMAIN_MOB | DRM_VMOB_DOMAIN_VRAM;
	const uint32_t coherent = DRM_VMOB_BO_COHERENT;
	const struct {
		const char *what;
		struct drm_vmob_bo_create arg;
	} bad[] = {
		{ "size 0", { 0, coherent, both, 0, 0 } },
		{ "size 1", { 1, coherent, both, 0, 0 } },
		{ "size below a page", { PAGE - 1, coherent, both, 0, 0 } },
		{ "size above pages", { SIZE + 1, coherent, both, 0, 0 } },
		{ "size of the last page", { -PAGE, coherent, both, 0, 0 } },
		{ "size all ones", { UINT64_MAX, coherent, both, 0, 0 } },
		{ "size 2^63", { TOP_BIT, coherent, both, 0, 0 } },
		{ "a size that no domain has",
		  { UINT64_C(1) << 44, coherent, both, 0, 0 } },
		{ "a size that video memory has not",
		  { UINT64_C(1) << 32, coherent, DRM_VMOB_DOMAIN_VRAM, 0, 0 } },
		{ "an unknown flag", { SIZE, 1 << 2, both, 0, 0 } },
		{ "flags all ones", { SIZE, UINT32_MAX, both, 0, 0 } },
		{ "no domain", { SIZE, coherent, 0, 0, 0 } },
		{ "the system domain",
		  { SIZE, coherent, DRM_VMOB_DOMAIN_SYSTEM, 0, 0 } },
		{ "an unknown domain", { SIZE, coherent, both | 1 << 3, 0, 0 } },
		{ "domains all ones", { SIZE, coherent, UINT32_MAX, 0, 0 } },
		{ "padding", { SIZE, coherent, both, 0, 1 } },
	};
	uint32_t handle = coh_free_handle(dev);
	int tracked = coh_tracked_at_rest(dev);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct drm_vmob_bo_create arg = bad[i].arg;

		expect(bad[i].what,
		       request(dev->fd, DRM_IOCTL_VMOB_BO_CREATE, &arg), -EINVAL);
	}
	coh_assert_tracked(dev, tracked);
	assert_works(dev, handle);
}

static void handles(struct egm_dev *dev)
{
	struct egm_bo *bo = coh_create(dev, SIZE);
	const uint32_t bad[] = { 0, bo->handle + 1000, UINT32_MAX };
	struct drm_vmob_bo_wait padded = { .handle = bo->handle, .pad = 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct drm_vmob_bo_info info = { .handle = bad[i] };
		struct drm_vmob_bo_wait wait = { .handle = bad[i] };
		struct drm_vmob_view_create view = {
			.bo_handle = bad[i], .size = PAGE,
		};
		uint32_t list[2] = { bo->handle, bad[i] };

		expect("info of an unknown handle",
		       request(dev->fd, DRM_IOCTL_VMOB_BO_INFO, &info), -ENOENT);
		expect("wait for an unknown handle",
		       request(dev->fd, DRM_IOCTL_VMOB_BO_WAIT, &wait), -ENOENT);
		expect("view of an unknown handle",
		       request(dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &view),
		       -ENOENT);
		expect("submission of an unknown handle",
		       dev->drv->submit(dev->fd, NULL, 0, list, 2), -ENOENT);
	}
	expect("wait with padding",
	       request(dev->fd, DRM_IOCTL_VMOB_BO_WAIT, &padded), -EINVAL);
	i = bo->handle;
	egm_bo_destroy(bo);
	assert_works(dev, i);
}

static void views(struct egm_dev *dev)
{
	struct egm_bo *bo = coh_create(dev, SIZE);
	const struct {
		const char *what;
		struct drm_vmob_view_create arg;
	} bad[] = {
		{ "flags", { bo->handle, 1, 0, PAGE, 0, 0 } },
		{ "padding", { bo->handle, 0, 0, PAGE, 0, 1 } },
		{ "size 0", { bo->handle, 0, 0, 0, 0, 0 } },
		{ "size of no pages", { bo->handle, 0, 0, PAGE + 1, 0, 0 } },
		{ "size above", { bo->handle, 0, 0, SIZE + PAGE, 0, 0 } },
		{ "size all but the last page's",
		  { bo->handle, 0, 0, -PAGE, 0, 0 } },
		{ "offset of no page", { bo->handle, 0, 8, PAGE, 0, 0 } },
		{ "offset at the end", { bo->handle, 0, SIZE, PAGE, 0, 0 } },
		{ "end above", { bo->handle, 0, PAGE, SIZE, 0, 0 } },
		{ "offset and size that overflow",
		  { bo->handle, 0, -PAGE, 2 * PAGE, 0, 0 } },
		{ "offset 2^63", { bo->handle, 0, TOP_BIT, PAGE, 0, 0 } },
	};
	struct drm_vmob_view_create view = { .bo_handle = bo->handle, .size = PAGE };
	struct drm_vmob_view_create again;
	struct drm_vmob_bo_info info;
	uint32_t handle = coh_free_handle(dev);
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct drm_vmob_view_create arg = bad[i].arg;

		expect(bad[i].what,
		       request(dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &arg),
		       -EINVAL);
	}
	igt_assert_eq(request(dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &view), 0);
	again = (struct drm_vmob_view_create){
		.bo_handle = view.handle, .size = PAGE,
	};
	expect("a view of a view",
	       request(dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &again), -EINVAL);
	expect("export of a view", drmPrimeHandleToFD(dev->fd, view.handle,
	       DRM_CLOEXEC | DRM_RDWR, &fd) ? -errno : 0, -EINVAL);
	info = (struct drm_vmob_bo_info){ .handle = view.handle };
	igt_assert_eq(request(dev->fd, DRM_IOCTL_VMOB_BO_INFO, &info), 0);
	igt_assert_eq_u64(info.mmap_offset, 0);
	drmCloseBufferHandle(dev->fd, view.handle);
	assert_works(dev, handle);
	egm_bo_destroy(bo);
}

/*
 * Whatever is done for each copy of a buffer must have an end: no more views than
 * that, of this buffer, until one of them is closed.
 */
static void many_views(struct egm_dev *dev)
{
	uint64_t most = param(dev, DRM_VMOB_PARAM_MAX_VIEWS), n;
	struct egm_bo *bo = coh_create(dev, SIZE), *other = coh_create(dev, SIZE);
	uint32_t handle = coh_free_handle(dev);
	struct drm_vmob_view_create view = { .bo_handle = bo->handle, .size = PAGE };
	uint32_t *views = calloc(most, sizeof(*views));

	igt_assert(views);
	for (n = 0; n < most; n++) {
		igt_assert_eq(request(dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &view), 0);
		views[n] = view.handle;
	}
	expect("a view too many",
	       request(dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &view), -ENOSPC);
	view.bo_handle = other->handle;
	igt_assert_eq(request(dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &view), 0);
	drmCloseBufferHandle(dev->fd, view.handle);

	drmCloseBufferHandle(dev->fd, views[0]);
	view.bo_handle = bo->handle;
	igt_assert_eq(request(dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &view), 0);
	views[0] = view.handle;
	expect("a view too many again",
	       request(dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &view), -ENOSPC);
	while (n)
		drmCloseBufferHandle(dev->fd, views[--n]);
	free(views);
	assert_works(dev, handle);
	egm_bo_destroy(bo);
	egm_bo_destroy(other);
}

static void contexts(struct egm_dev *dev)
{
	struct drm_vmob_ctx_create ctx = { .flags = 1 };
	struct drm_vmob_ctx_destroy destroy = { .ctx_id = 0 };
	struct drm_vmob_submit submit = { 0 };
	uint32_t first;
	int ret, n;

	expect("context flags",
	       request(dev->fd, DRM_IOCTL_VMOB_CTX_CREATE, &ctx), -EINVAL);
	expect("destroying context 0",
	       request(dev->fd, DRM_IOCTL_VMOB_CTX_DESTROY, &destroy), -ENOENT);
	ctx.flags = 0;
	igt_assert_eq(request(dev->fd, DRM_IOCTL_VMOB_CTX_CREATE, &ctx), 0);
	first = ctx.ctx_id;
	igt_assert(first);
	destroy.ctx_id = first;
	destroy.pad = 1;
	expect("padding", request(dev->fd, DRM_IOCTL_VMOB_CTX_DESTROY, &destroy),
	       -EINVAL);
	destroy.pad = 0;
	submit.ctx_id = first;
	igt_assert_eq(request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &submit), 0);
	igt_assert_eq(request(dev->fd, DRM_IOCTL_VMOB_CTX_DESTROY, &destroy), 0);
	expect("destroyed twice",
	       request(dev->fd, DRM_IOCTL_VMOB_CTX_DESTROY, &destroy), -ENOENT);
	expect("submission to a context that is gone",
	       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &submit), -ENOENT);
	submit.ctx_id = UINT32_MAX;
	expect("submission to an unknown context",
	       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &submit), -ENOENT);

	/* as many as there can be, and closing the file takes them along */
	for (n = 0; n < 100000; n++) {
		ret = request(dev->fd, DRM_IOCTL_VMOB_CTX_CREATE, &ctx);
		if (ret)
			break;
	}
	expect("one context too many", ret, -ENOSPC);
	igt_info("%d contexts\n", n);
	assert_works(dev, coh_free_handle(dev));
}

/* Commands on a list of two buffers of SIZE bytes */
static void commands(struct egm_dev *dev)
{
	enum { FILL, COPY, ADD, SUM, SCATTER, DELAY, UPLOAD, READBACK };
	const struct {
		const char *what;
		struct drm_vmob_cmd cmd;
	} bad[] = {
		/* op, flags, dst, src, dst_offset, src_offset, size, value */
		{ "an unknown operation", { 8, 0, 0, 1, 0, 0, 8, 0 } },
		{ "operation all ones", { UINT32_MAX, 0, 0, 1, 0, 0, 8, 0 } },
		{ "flags", { COPY, 1, 0, 1, 0, 0, 8, 0 } },

		{ "copy to no buffer", { COPY, 0, 2, 1, 0, 0, 8, 0 } },
		{ "copy from no buffer", { COPY, 0, 0, UINT32_MAX, 0, 0, 8, 0 } },
		{ "copy of nothing", { COPY, 0, 0, 1, 0, 0, 0, 0 } },
		{ "copy of too much", { COPY, 0, 0, 1, 0, 0, SIZE + 1, 0 } },
		{ "copy beyond the end", { COPY, 0, 0, 1, 8, 0, SIZE, 0 } },
		{ "copy from beyond the end", { COPY, 0, 0, 1, 0, 8, SIZE, 0 } },
		{ "copy behind the end", { COPY, 0, 0, 1, SIZE, 0, 1, 0 } },
		{ "copy with an end that overflows",
		  { COPY, 0, 0, 1, -PAGE, 0, 2 * PAGE, 0 } },
		{ "copy from an end that overflows",
		  { COPY, 0, 0, 1, 0, -PAGE, 2 * PAGE, 0 } },
		{ "copy of all ones", { COPY, 0, 0, 1, 0, 0, UINT64_MAX, 0 } },
		{ "copy with a value", { COPY, 0, 0, 1, 0, 0, 8, 1 } },

		{ "fill of half a word", { FILL, 0, 0, 0, 0, 0, 6, 0 } },
		{ "fill in a word", { FILL, 0, 0, 0, 2, 0, 8, 0 } },
		{ "fill with too much", { FILL, 0, 0, 0, 0, 0, 8, 1ull << 32 } },
		{ "fill from a buffer", { FILL, 0, 0, 1, 0, 0, 8, 0 } },
		{ "fill from an offset", { FILL, 0, 0, 0, 0, 8, 8, 0 } },
		{ "fill beyond the end", { FILL, 0, 0, 0, 4, 0, SIZE, 0 } },
		{ "fill no buffer", { FILL, 0, 2, 0, 0, 0, 8, 0 } },

		{ "add of half a word", { ADD, 0, 0, 1, 0, 0, 6, 0 } },
		{ "add from inside a word", { ADD, 0, 0, 1, 0, 2, 8, 0 } },
		{ "add beyond the end", { ADD, 0, 0, 1, 4, 0, SIZE, 0 } },

		{ "sum into half a double word", { SUM, 0, 0, 1, 4, 0, 8, 0 } },
		{ "sum behind the end", { SUM, 0, 0, 1, SIZE, 0, 8, 0 } },
		{ "sum of too much", { SUM, 0, 0, 1, 0, 4, SIZE, 0 } },
		{ "sum of half a word", { SUM, 0, 0, 1, 0, 0, 2, 0 } },

		{ "scatter into itself", { SCATTER, 0, 1, 1, 0, 0, 8, 1 } },
		{ "scatter of half a pair", { SCATTER, 0, 0, 1, 0, 0, 12, 1 } },
		{ "scatter beyond the end",
		  { SCATTER, 0, 0, 1, 0, 0, 8, SIZE / 4 + 1 } },
		{ "scatter from an offset beyond the end",
		  { SCATTER, 0, 0, 1, SIZE, 0, 8, 1 } },
		{ "scatter to words that overflow",
		  { SCATTER, 0, 0, 1, 0, 0, 8, 1ull << 62 } },
		{ "scatter of too much", { SCATTER, 0, 0, 1, 0, 8, SIZE, 1 } },

		{ "delay of a buffer", { DELAY, 0, 1, 0, 0, 0, 0, 1 } },
		{ "delay with a size", { DELAY, 0, 0, 0, 0, 0, 8, 1 } },
		{ "delay for ever", { DELAY, 0, 0, 0, 0, 0, 0, UINT64_MAX } },

		{ "upload of too much", { UPLOAD, 0, 0, 0, 0, 0, SIZE + 1, 0 } },
		{ "upload with a source", { UPLOAD, 0, 0, 1, 0, 0, 8, 0 } },
		{ "upload of no buffer", { UPLOAD, 0, 2, 0, 0, 0, 8, 0 } },
		{ "readback beyond the end", { READBACK, 0, 0, 0, 8, 0, SIZE, 0 } },
		{ "readback of nothing", { READBACK, 0, 0, 0, 0, 0, 0, 0 } },
	};
	struct egm_bo *a = coh_create(dev, SIZE), *b = coh_create(dev, SIZE);
	struct egm_bo *snap = coh_create_plain(dev, SIZE);
	uint32_t list[2] = { a->handle, b->handle };
	struct pattern *p = pattern_new(SIZE);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* a good one ahead, which must not be executed either */
		const struct drm_vmob_cmd cmds[2] = {
			{ .op = DRM_VMOB_CMD_FILL, .size = SIZE, .value = 7 },
			bad[i].cmd,
		};
		struct drm_vmob_submit arg = {
			.cmds = (uintptr_t)cmds,
			.bo_handles = (uintptr_t)list,
			.cmd_count = 2,
			.bo_count = 2,
		};

		pattern_fill(p, a->map, (i % (SIZE / PAGE)) * PAGE, PAGE);
		expect(bad[i].what,
		       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -EINVAL);
	}
	/* and what was stored before the refused ones is not forgotten */
	coh_snapshot(a, snap);
	pattern_assert(p, coh_fetch(snap), 0, SIZE);
	pattern_free(p);
	assert_works(dev, coh_free_handle(dev));
}

/* As many commands of a kind as one submission may have, and one byte or more above. */
static void work(struct egm_dev *dev)
{
	enum { FILL, COPY, ADD, SUM, SCATTER, DELAY, UPLOAD, READBACK };
	const uint64_t size = MiB(16);
	const struct {
		const char *what;
		struct drm_vmob_cmd cmd;
		uint64_t bytes;
	} kinds[] = {
		/* op, flags, dst, src, dst_offset, src_offset, size, value */
		{ "fills", { FILL, 0, 0, 0, 0, 0, size, 0 }, size },
		{ "copies", { COPY, 0, 0, 1, 0, 0, size, 0 }, 2 * size },
		{ "adds", { ADD, 0, 0, 1, 0, 0, size, 0 }, 2 * size },
		{ "sums", { SUM, 0, 0, 1, 0, 0, size - 8, 0 }, size },
		{ "scatters", { SCATTER, 0, 0, 1, 0, 0, 8, size / 4 - 2 }, size },
		{ "uploads", { UPLOAD, 0, 0, 0, 0, 0, size, 0 }, 2 * size },
		{ "readbacks", { READBACK, 0, 0, 0, 0, 0, size, 0 }, 2 * size },
	};
	uint64_t most = param(dev, DRM_VMOB_PARAM_MAX_BYTES);
	struct egm_bo *a = coh_create(dev, size), *b = coh_create(dev, size);
	uint32_t list[2] = { a->handle, b->handle }, handle = coh_free_handle(dev);
	uint64_t n = most / size + 1;
	struct drm_vmob_cmd *cmds = calloc(n + 1, sizeof(*cmds));
	size_t i, j;

	igt_assert(cmds);
	igt_assert_eq_u64(most % size, 0);
	/* a byte, if the limit is a multiple of all */
	cmds[0] = (struct drm_vmob_cmd){ .op = FILL, .size = 4 };
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct drm_vmob_submit arg = {
			.cmds = (uintptr_t)cmds,
			.bo_handles = (uintptr_t)list,
			.cmd_count = most / kinds[i].bytes + 1,
			.bo_count = 2,
		};

		for (j = 1; j < arg.cmd_count; j++)
			cmds[j] = kinds[i].cmd;
		expect(kinds[i].what,
		       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -EINVAL);
	}
	/* nothing was done of it, but what is within the limit is */
	cmds[0].size = size;
	igt_assert_eq(dev->drv->submit(dev->fd, NULL, 0, list, 2), 0);
	igt_assert_eq(((uint32_t *)a->map)[0], 0);
	free(cmds);
	assert_works(dev, handle);
	egm_bo_destroy(a);
	egm_bo_destroy(b);
}

static void submissions(struct egm_dev *dev)
{
	struct egm_bo *bo = coh_create(dev, SIZE);
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t bad[] = {
		0, 8, UINT64_MAX - 3, UINT64_C(0xffff888000000000),
		(uintptr_t)page + PAGE, (uintptr_t)page + PAGE - 2,
	};
	const struct {
		const char *what;
		struct drm_vmob_submit arg;
		int want;
	} counts[] = {
		{ "flags", { .flags = 1 }, -EINVAL },
		{ "commands 2^32 - 1", { .cmd_count = UINT32_MAX }, -EINVAL },
		{ "buffers 2^32 - 1", { .bo_count = UINT32_MAX }, -EINVAL },
		{ "syncobjs in 2^32 - 1", { .in_sync_count = UINT32_MAX }, -EINVAL },
		{ "syncobjs out 2^31", { .out_sync_count = 1u << 31 }, -EINVAL },
	};
	struct drm_vmob_sync sync = { .handle = 1000 };
	struct drm_vmob_submit arg;
	uint32_t syncobj;
	size_t i;

	igt_assert(page != MAP_FAILED && !munmap(page + PAGE, PAGE));
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		arg = counts[i].arg;
		expect(counts[i].what,
		       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg),
		       counts[i].want);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = (struct drm_vmob_submit){ .cmds = bad[i], .cmd_count = 1 };
		expect("address of the commands",
		       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -EFAULT);
		arg = (struct drm_vmob_submit){ .bo_handles = bad[i], .bo_count = 1 };
		expect("address of the buffers",
		       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -EFAULT);
		arg = (struct drm_vmob_submit){
			.in_syncs = bad[i], .in_sync_count = 1,
		};
		expect("address of the syncobjs to wait for",
		       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -EFAULT);
		arg = (struct drm_vmob_submit){
			.out_syncs = bad[i], .out_sync_count = 1,
		};
		expect("address of the syncobjs to signal",
		       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -EFAULT);
	}

	arg = (struct drm_vmob_submit){
		.in_syncs = (uintptr_t)&sync, .in_sync_count = 1,
	};
	expect("an unknown syncobj to wait for",
	       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -ENOENT);
	igt_assert(!drmSyncobjCreate(dev->fd, 0, &syncobj));
	sync.handle = syncobj;
	expect("a syncobj that nobody will signal",
	       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -EINVAL);
	sync.flags = 1;
	expect("flags of a syncobj",
	       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -EINVAL);
	sync = (struct drm_vmob_sync){ .handle = 1000 };
	arg = (struct drm_vmob_submit){
		.out_syncs = (uintptr_t)&sync, .out_sync_count = 1,
	};
	expect("an unknown syncobj to signal",
	       request(dev->fd, DRM_IOCTL_VMOB_SUBMIT, &arg), -ENOENT);
	drmSyncobjDestroy(dev->fd, syncobj);

	munmap(page, PAGE);
	i = bo->handle;
	egm_bo_destroy(bo);
	assert_works(dev, i);
}

static const struct coh_subtest subtests[] = {
	{ "getparam", "Unknown parameters: EINVAL", getparam },
	{ "create", "Every member of a buffer's request: EINVAL", create },
	{ "handles", "Unknown handles, to every ioctl: ENOENT", handles },
	{ "views", "Every member of a view's request: EINVAL", views },
	{ "many-views", "C5: as many views as a buffer can have, and no more: ENOSPC",
	  many_views },
	{ "contexts", "Contexts: flags, unknown ones, too many", contexts },
	{ "commands",
	  "C3: a wrong command is refused, with all others, and loses no store",
	  commands },
	{ "work", "As much as the commands of a submission may do, and more: EINVAL",
	  work },
	{ "submissions", "Counts, addresses and syncobjs", submissions },
};

int coh_main()
{
	coh_subtests_of(&egm_vmob, subtests, ARRAY_SIZE(subtests));
}
