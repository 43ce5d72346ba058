// SPDX-License-Identifier: MIT
/*
 * The module parameter: off, a file opened afterwards has what the stock
 * driver has; files opened before, and the buffers they share, keep working.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

static void assert_off(int fd)
{
	struct virtgpu_blob blob;

	igt_assert_eq(getparam(fd, VIRTGPU_PARAM_RESOURCE_BLOB), 0);
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
	assert_off(fd);
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
	assert_off(other->fd);
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
		assert_off(fd);
		param_write("Y");
		coh_close(dev);
		dev = coh_open(&egm_virtio_gpu);
		assert_on(dev->fd);
		assert_coherent(coh_create(dev, SIZE));
		/* not what it is now, but what it was when it was opened */
		assert_off(fd);
		close(fd);
	}
	coh_close(dev);
}

igt_main
{
	igt_fixture {
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
}
