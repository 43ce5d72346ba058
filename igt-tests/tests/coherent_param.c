// SPDX-License-Identifier: MIT
/**
 * TEST: coherent param
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: The module parameter: off, a file opened afterwards has what the stock
 *	driver has; files opened before, and the buffers they share, keep working. On, the
 *	capset says that buffers can be coherent, whatever the host says.
 *
 * SUBTEST: off
 * Description: Off: parameters and errors as in the stock driver
 *
 * SUBTEST: old-file
 * Description: C1: a file opened before it was turned off
 *
 * SUBTEST: shared
 * Description: C1: a buffer imported by a file that cannot create any
 *
 * SUBTEST: on-again
 * Description: C1: a file opened after it was turned on again
 *
 * SUBTEST: caps
 * Description: The bit of the capset for coherent buffers, and no other
 *
 * SUBTEST: shown
 * Description: What is in force can be seen
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "coherent.h"
#include "igt_core.h"
#include <virtgpu.h>

IGT_TEST_DESCRIPTION("Coherent buffers of virtio-gpu: the module parameter");

#define PARAM "/sys/module/virtio_gpu/parameters/coherent"
#define SIZE KiB(256)

static void param_write(const char *value)
{
	int fd = open(PARAM, O_WRONLY | O_CLOEXEC);

	igt_assert_f(fd >= 0, "%s: %s\n", PARAM, strerror(errno));
	igt_assert(write(fd, value, 1) == 1);
	close(fd);
}

/* Also when the program is killed: later tests need it on. */
static void restore(int sig)
{
	int fd = open(PARAM, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? write(fd, "Y", 1) : 0;

	(void)n;
	(void)sig;
}

/* Whatever a failed subtest has left. */
static struct egm_dev *open_on(void)
{
	param_write("Y");
	return coh_open(&egm_virtio_gpu);
}

static int getparam(int fd, uint64_t param)
{
	int value;

	igt_assert_eq(virtgpu_getparam(fd, param, &value), 0);
	return value;
}

static void assert_on(int fd)
{
	igt_assert_eq(getparam(fd, VIRTGPU_PARAM_RESOURCE_BLOB), 1);
	igt_assert_eq(getparam(fd, VIRTGPU_PARAM_HOST_VISIBLE), 1);
}

/* The device may have blobs; not such that can be mapped. */
static void assert_off(const struct egm_dev *dev, int fd)
{
	struct virtgpu_blob blob;

	igt_assert_eq(getparam(fd, VIRTGPU_PARAM_RESOURCE_BLOB),
		      coh_feature(dev, "blob resources", "yes"));
	igt_assert_eq(getparam(fd, VIRTGPU_PARAM_HOST_VISIBLE), 0);
	virtgpu_blob_init(&blob, SIZE);
	igt_assert_eq(virtgpu_blob_create(fd, &blob), -EINVAL);
}

static void assert_coherent(struct egm_bo *bo)
{
	struct egm_bo *snap = coh_create_plain(bo->dev, SIZE);
	struct pattern *p = pattern_new(SIZE);
	int i;

	for (i = 0; i < 4; i++) {
		pattern_fill(p, bo->map, i * PAGE, SIZE - i * PAGE);
		coh_snapshot(bo, snap);
		pattern_assert(p, coh_fetch(snap), 0, SIZE);
	}
	egm_bo_destroy(snap);
	pattern_free(p);
}

static void off(void)
{
	struct egm_dev *dev = open_on();
	int fd;

	param_write("N");
	fd = coh_open_node(dev->drv->name, O_RDWR);
	assert_off(dev, fd);
	close(fd);
	param_write("Y");
	coh_close(dev);
}

static void old_file(void)
{
	struct egm_dev *dev = open_on();
	struct egm_bo *bo = coh_create(dev, SIZE);

	param_write("N");
	assert_on(dev->fd);
	assert_coherent(bo);
	egm_bo_destroy(bo);
	bo = coh_create(dev, SIZE);
	assert_coherent(bo);
	param_write("Y");
	coh_close(dev);
}

static void shared(void)
{
	struct egm_dev *dev = open_on(), *other;
	struct egm_bo *bo = coh_create(dev, SIZE), *theirs;
	int fd = coh_export(bo);

	param_write("N");
	other = coh_open_again(dev);
	assert_off(dev, other->fd);
	theirs = coh_import(other, fd);
	close(fd);
	assert_coherent(theirs);
	assert_coherent(bo);
	coh_close(dev);
	assert_coherent(theirs);
	param_write("Y");
	coh_close(other);
}

static void on_again(void)
{
	struct egm_dev *dev = open_on();
	int i, fd;

	for (i = 0; i < 10; i++) {
		param_write("N");
		fd = coh_open_node(dev->drv->name, O_RDWR);
		assert_off(dev, fd);
		param_write("Y");
		coh_close(dev);
		dev = coh_open(&egm_virtio_gpu);
		assert_on(dev->fd);
		assert_coherent(coh_create(dev, SIZE));
		/* not what it is now, but what it was when it was opened */
		assert_off(dev, fd);
		close(fd);
	}
	coh_close(dev);
}

static int get_caps(int fd, uint32_t set, void *caps, uint32_t size)
{
	struct drm_virtgpu_get_caps arg = {
		.cap_set_id = set,
		.addr = (uintptr_t)caps,
		.size = size,
	};

	return drmIoctl(fd, DRM_IOCTL_VIRTGPU_GET_CAPS, &arg) ? -errno : 0;
}

/* Of any size, one bit and no byte more */
static void caps(void)
{
	const uint32_t end = (VIRGL_CAPS_BITS + 1) * sizeof(uint32_t);
	const uint32_t sizes[] = {
		1, 308, end - 4, end - 3, end - 1, end, end + 1, end + 4, KiB(8),
	};
	/* longer than any capset */
	uint32_t host[KiB(8) / 4], want[KiB(8) / 4], got[KiB(8) / 4];
	struct egm_dev *dev = open_on();
	unsigned int i;
	char *map;
	int fd;

	param_write("N");
	fd = coh_open_node(dev->drv->name, O_RDWR);
	param_write("Y");
	memset(host, 0xa5, sizeof(host));
	igt_assert_eq(get_caps(fd, VIRGL_CAPSET2, host, sizeof(host)), 0);
	igt_info("the host says %s\n",
		 host[VIRGL_CAPS_BITS] & VIRGL_CAP_ARB_BUFFER_STORAGE ? "yes" : "no");

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(got, 0xa5, sizeof(got));
		memset(want, 0xa5, sizeof(want));
		memcpy(want, host, sizes[i]);
		igt_assert_eq(get_caps(fd, VIRGL_CAPSET2, got, sizes[i]), 0);
		igt_assert_f(!memcmp(got, want, sizeof(got)), "%u bytes, off\n", sizes[i]);

		if (sizes[i] >= end)
			want[VIRGL_CAPS_BITS] |= VIRGL_CAP_ARB_BUFFER_STORAGE;
		igt_assert_eq(get_caps(dev->fd, VIRGL_CAPSET2, got, sizes[i]), 0);
		igt_assert_f(!memcmp(got, want, sizeof(got)), "%u bytes, on\n", sizes[i]);
	}

	/* the other capset has no such bit */
	memset(want, 0xa5, sizeof(want));
	memset(got, 0xa5, sizeof(got));
	igt_assert_eq(get_caps(fd, VIRGL_CAPSET, want, sizeof(want)), 0);
	igt_assert_eq(get_caps(dev->fd, VIRGL_CAPSET, got, sizeof(got)), 0);
	igt_assert(!memcmp(got, want, sizeof(got)));

	/* the bit is where nothing can be stored */
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	igt_assert(map != MAP_FAILED);
	igt_assert_eq(munmap(map + PAGE, PAGE), 0);
	igt_assert_eq(get_caps(dev->fd, VIRGL_CAPSET2, map + PAGE - end + 1, end), -EFAULT);
	igt_assert_eq(get_caps(dev->fd, VIRGL_CAPSET2, map + PAGE - end, end), 0);
	igt_assert_eq(munmap(map, PAGE), 0);

	close(fd);
	coh_close(dev);
}

static char param_read(void)
{
	int fd = open(PARAM, O_RDONLY | O_CLOEXEC);
	char c;

	igt_assert(fd >= 0 && read(fd, &c, 1) == 1);
	close(fd);
	return c;
}

static void shown(void)
{
	struct egm_dev *dev = open_on();

	igt_assert_eq(param_read(), 'Y');
	igt_assert(coh_feature(dev, "coherent buffers", "emulated") ||
		   coh_feature(dev, "coherent buffers",
			       "emulated, on an OpenGL driver unknown to the host"));
	param_write("N");
	igt_assert_eq(param_read(), 'N');
	igt_assert(coh_feature(dev, "coherent buffers",
			       "not emulated, virtio_gpu.coherent is off"));
	/* of the file that was opened before */
	igt_assert(dev->drv->emulated(dev->fd));
	param_write("Y");
	coh_close(dev);
}

int coh_main()
{
	igt_fixture() {
		igt_require_f(!access(PARAM, W_OK),
			      "a kernel with virtio_gpu.coherent: %s\n",
			      strerror(errno));
		igt_install_exit_handler(restore);
	}

	igt_describe("Off: parameters and errors as in the stock driver");
	igt_subtest("off")
		off();

	igt_describe("C1: a file opened before it was turned off");
	igt_subtest("old-file")
		old_file();

	igt_describe("C1: a buffer imported by a file that cannot create any");
	igt_subtest("shared")
		shared();

	igt_describe("C1: a file opened after it was turned on again");
	igt_subtest("on-again")
		on_again();

	igt_describe("The bit of the capset for coherent buffers, and no other");
	igt_subtest("caps")
		caps();

	igt_describe("What is in force can be seen");
	igt_subtest("shown")
		shown();
}
