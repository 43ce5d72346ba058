// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xf86drm.h>

#include "coherent.h"
#include "igt_core.h"
#include "pattern.h"

/* The drivers with coherent buffers, in order of preference. */
static const struct coh_driver *const coh_drivers[] = {
	&coh_virtio_gpu,
};

static struct coh_dev *coh_devs;

static bool node_is(int fd, const char *driver)
{
	drmVersionPtr version = drmGetVersion(fd);
	bool match = version && !strcmp(version->name, driver);

	drmFreeVersion(version);
	return match;
}

static int find_node(const char *driver, int flags)
{
	char path[32];
	int fd, i;

	for (i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", 128 + i);
		fd = open(path, flags | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (node_is(fd, driver))
			return fd;
		close(fd);
	}

	return -1;
}

int coh_open_node(const char *driver, int flags)
{
	int fd = find_node(driver, flags);

	igt_require_f(fd >= 0, "no %s render node below /dev/dri\n", driver);
	return fd;
}

static int primary_minor(int fd)
{
	drmDevicePtr info;
	struct stat st;
	int minor = -1;

	if (drmGetDevice2(fd, 0, &info))
		return -1;
	if (info->available_nodes & 1 << DRM_NODE_PRIMARY &&
	    !stat(info->nodes[DRM_NODE_PRIMARY], &st))
		minor = minor(st.st_rdev);
	drmFreeDevice(&info);
	return minor;
}

static struct coh_dev *dev_new(const struct coh_driver *drv, int fd)
{
	struct coh_dev *dev = calloc(1, sizeof(*dev));

	igt_assert(dev);
	dev->drv = drv;
	dev->fd = fd;
	dev->minor = primary_minor(fd);
	dev->next = coh_devs;
	coh_devs = dev;
	return dev;
}

static struct coh_dev *open_first(bool coherent)
{
	const char *missing = "a device with coherent buffers";
	size_t i;

	while (coh_devs)
		coh_close(coh_devs);

	for (i = 0; i < ARRAY_SIZE(coh_drivers); i++) {
		int fd = find_node(coh_drivers[i]->name, O_RDWR);

		if (fd < 0)
			continue;
		if (!coh_drivers[i]->probe(fd, coherent, &missing))
			return dev_new(coh_drivers[i], fd);
		close(fd);
	}

	igt_skip("needs %s\n", missing);
}

struct coh_dev *coh_open(void)
{
	return open_first(true);
}

struct coh_dev *coh_open_plain(void)
{
	return open_first(false);
}

struct coh_dev *coh_open_again(const struct coh_dev *dev)
{
	return dev_new(dev->drv, coh_open_node(dev->drv->name, O_RDWR));
}

void coh_close(struct coh_dev *dev)
{
	struct coh_dev **p = &coh_devs;

	while (dev->bos)
		coh_destroy(dev->bos);
	while (*p != dev)
		p = &(*p)->next;
	*p = dev->next;
	close(dev->fd);
	free(dev);
}

static struct coh_bo *bo_new(struct coh_dev *dev, uint32_t handle,
			     uint32_t res, uint64_t size)
{
	struct coh_bo *bo = calloc(1, sizeof(*bo));

	igt_assert(bo);
	bo->dev = dev;
	bo->handle = handle;
	bo->res = res;
	bo->size = size;
	bo->next = dev->bos;
	dev->bos = bo;

	bo->map = coh_map(bo, PROT_READ | PROT_WRITE, size);
	return bo;
}

static struct coh_bo *bo_create(struct coh_dev *dev, const char *what,
				uint64_t size,
				int (*create)(int fd, uint64_t size,
					      uint32_t *handle, uint32_t *res))
{
	uint32_t handle, res;
	int ret = create(dev->fd, size, &handle, &res);

	igt_assert_f(!ret, "%s buffer of %" PRIu64 " bytes: %s\n", what, size,
		     strerror(-ret));
	return bo_new(dev, handle, res, size);
}

struct coh_bo *coh_create(struct coh_dev *dev, uint64_t size)
{
	return bo_create(dev, "coherent", size, dev->drv->create);
}

struct coh_bo *coh_create_plain(struct coh_dev *dev, uint64_t size)
{
	return bo_create(dev, "plain", size, dev->drv->create_plain);
}

struct coh_bo *coh_import(struct coh_dev *dev, int dmabuf)
{
	uint32_t handle, res;
	uint64_t size;
	int ret;

	igt_assert_f(!drmPrimeFDToHandle(dev->fd, dmabuf, &handle),
		     "import: %s\n", strerror(errno));
	ret = dev->drv->info(dev->fd, handle, &res, &size);
	igt_assert_f(!ret, "info: %s\n", strerror(-ret));
	return bo_new(dev, handle, res, size);
}

int coh_export(const struct coh_bo *bo)
{
	int fd;

	igt_assert_f(!drmPrimeHandleToFD(bo->dev->fd, bo->handle,
					 DRM_CLOEXEC | DRM_RDWR, &fd),
		     "export: %s\n", strerror(errno));
	return fd;
}

void *coh_mmap(const struct coh_bo *bo, int prot, int flags, uint64_t len)
{
	uint64_t node;
	int ret = bo->dev->drv->mmap_offset(bo->dev->fd, bo->handle, &node);

	igt_assert_f(!ret, "mmap offset: %s\n", strerror(-ret));
	return mmap(NULL, len, prot, flags, bo->dev->fd, node);
}

void *coh_map(const struct coh_bo *bo, int prot, uint64_t len)
{
	void *map = coh_mmap(bo, prot, MAP_SHARED, len);

	igt_assert_f(map != MAP_FAILED, "mmap of %" PRIu64 " bytes: %s\n", len,
		     strerror(errno));
	return map;
}

void coh_unmap(struct coh_bo *bo)
{
	if (bo->map)
		munmap(bo->map, bo->size);
	bo->map = NULL;
}

void coh_close_handle(struct coh_bo *bo)
{
	struct drm_gem_close arg = { .handle = bo->handle };

	if (bo->handle)
		drmIoctl(bo->dev->fd, DRM_IOCTL_GEM_CLOSE, &arg);
	bo->handle = 0;
}

void coh_destroy(struct coh_bo *bo)
{
	struct coh_bo **p = &bo->dev->bos;

	coh_unmap(bo);
	coh_close_handle(bo);
	while (*p != bo)
		p = &(*p)->next;
	*p = bo->next;
	free(bo);
}

static int add_handle(uint32_t *handles, int n, const struct coh_bo *bo)
{
	int i;

	for (i = 0; i < n; i++)
		if (handles[i] == bo->handle)
			return n;
	handles[n] = bo->handle;
	return n + 1;
}

int coh_try_submit(struct coh_dev *dev, const struct coh_copy *copies,
		   int n_copies, struct coh_bo *const *also, int n_also)
{
	uint32_t *handles;
	int i, n = 0, ret;

	handles = calloc(2 * n_copies + n_also + 1, sizeof(*handles));
	if (!handles)
		return -ENOMEM;

	for (i = 0; i < n_copies; i++) {
		n = add_handle(handles, n, copies[i].dst);
		n = add_handle(handles, n, copies[i].src);
	}
	for (i = 0; i < n_also; i++)
		n = add_handle(handles, n, also[i]);

	ret = dev->drv->submit(dev->fd, copies, n_copies, handles, n);
	free(handles);
	return ret;
}

void coh_submit(struct coh_dev *dev, const struct coh_copy *copies,
		int n_copies, struct coh_bo *const *also, int n_also)
{
	int ret = coh_try_submit(dev, copies, n_copies, also, n_also);

	igt_assert_f(!ret, "submission: %s\n", strerror(-ret));
}

void coh_touch(struct coh_bo *bo)
{
	coh_submit(bo->dev, NULL, 0, &bo, 1);
}

int coh_try_snapshot(const struct coh_bo *bo, const struct coh_bo *snap)
{
	const struct coh_copy copy = {
		.dst = snap,
		.src = bo,
		.len = bo->size < snap->size ? bo->size : snap->size,
	};

	return coh_try_submit(bo->dev, &copy, 1, NULL, 0);
}

void coh_snapshot(const struct coh_bo *bo, const struct coh_bo *snap)
{
	int ret = coh_try_snapshot(bo, snap);

	igt_assert_f(!ret, "snapshot: %s\n", strerror(-ret));
}

int coh_try_fetch(const struct coh_bo *snap, uint64_t len)
{
	return snap->dev->drv->fetch(snap->dev->fd, snap->handle, 0, len);
}

const void *coh_fetch(const struct coh_bo *snap)
{
	int ret = coh_try_fetch(snap, snap->size);

	igt_assert_f(!ret, "fetch: %s\n", strerror(-ret));
	return snap->map;
}

void coh_wait(const struct coh_bo *bo)
{
	int ret = bo->dev->drv->wait(bo->dev->fd, bo->handle);

	igt_assert_f(!ret, "wait: %s\n", strerror(-ret));
}

static FILE *debugfs_open(const struct coh_dev *dev, const char *file,
			  bool write)
{
	char path[128];
	int fd;

	/* fopen() would try to create what it is to write */
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%d/%s", dev->minor,
		 file);
	fd = open(path, (write ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	igt_require_f(fd >= 0, "%s: %s\n", path, strerror(errno));
	return fdopen(fd, write ? "w" : "r");
}

/* Whether the line is one of the totals; the table after them is not. */
static bool parse_total(const char *line, char *name, uint64_t *value)
{
	int end = 0;

	return sscanf(line, "%39[a-z0-9_] %" SCNu64 " %n", name, value,
		      &end) == 2 && !line[end];
}

void coh_counters(const struct coh_dev *dev, struct coh_counters *c)
{
	const int max = ARRAY_SIZE(c->c);
	const char *const *file;
	char line[256];

	c->n = 0;
	for (file = dev->drv->counter_files; *file; file++) {
		FILE *f = debugfs_open(dev, *file, false);

		while (c->n < max && fgets(line, sizeof(line), f) &&
		       parse_total(line, c->c[c->n].name, &c->c[c->n].value))
			c->n++;
		fclose(f);
	}
}

uint64_t coh_counter(const struct coh_counters *c, const char *name)
{
	int i;

	for (i = 0; i < c->n; i++)
		if (!strcmp(c->c[i].name, name))
			return c->c[i].value;
	igt_skip("no counter \"%s\" in debugfs\n", name);
}

uint64_t coh_delta(const struct coh_counters *before,
		   const struct coh_counters *after, const char *name)
{
	return coh_counter(after, name) - coh_counter(before, name);
}

int coh_tracked(const struct coh_dev *dev)
{
	FILE *f = debugfs_open(dev, dev->drv->counter_files[0], false);
	char line[256], name[40];
	uint64_t value;
	int n = 0;

	while (fgets(line, sizeof(line), f))
		if (!parse_total(line, name, &value) && line[0] != '\n')
			n++;
	fclose(f);
	return n;
}

void coh_assert_tracked(const struct coh_dev *dev, int n)
{
	int ms;

	for (ms = 0; ms < 5000 && coh_tracked(dev) != n; ms += 10)
		usleep(10000);
	igt_assert_eq(coh_tracked(dev), n);
}

void coh_drop_uploads(const struct coh_dev *dev, unsigned int n)
{
	const struct {
		const char *name;
		unsigned int value;
	} attr[] = {
		{ "probability", 100 },
		{ "interval", 1 },
		{ "space", 0 },
		/* a message would look like trouble to who reads the log */
		{ "verbose", 0 },
		{ "times", n },
	};
	char file[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attr); i++) {
		FILE *f;

		snprintf(file, sizeof(file), "%s/%s", dev->drv->fail_upload,
			 attr[i].name);
		f = debugfs_open(dev, file, true);
		igt_assert(fprintf(f, "%u\n", attr[i].value) > 0);
		igt_assert_f(!fclose(f), "%s: %s\n", file, strerror(errno));
	}
}

void coh_subtests(const struct coh_subtest *tests, size_t n)
{
	/* survives the jump out of a failing subtest */
	static size_t i;

	for (i = 0; i < n; i++) {
		igt_describe(tests[i].description);
		igt_subtest(tests[i].name) {
			struct coh_dev *dev = coh_open();

			tests[i].run(dev);
			coh_close(dev);
		}
	}
}

uint64_t coh_meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "r");
	uint64_t kib, found = 0;
	char line[128], key[40];

	igt_assert(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%39s %" SCNu64, key, &kib) == 2 &&
		    !strcmp(key, name))
			found = kib * 1024;
	fclose(f);
	return found;
}
