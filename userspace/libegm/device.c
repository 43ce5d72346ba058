// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xf86drm.h>

#include "egm.h"

#define RENDER_FIRST 128
#define RENDER_END 192

const struct egm_driver *const egm_drivers[] = {
	&egm_virtio_gpu,
	&egm_vmob,
	&egm_vmwgfx,
	NULL
};

const struct egm_driver *egm_driver_find(const char *name)
{
	const struct egm_driver *const *drv = egm_drivers;

	while (*drv && strcmp((*drv)->name, name))
		drv++;
	return *drv;
}

/* ---- nodes ------------------------------------------------------------- */

int egm_node_identify(struct egm_node *node, int fd)
{
	char link[64], target[PATH_MAX];
	drmVersionPtr version;
	drmDevicePtr info;
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st))
		return -errno;
	version = drmGetVersion(fd);
	if (!version)
		return -ENOTTY;
	snprintf(node->driver, sizeof(node->driver), "%s", version->name);
	drmFreeVersion(version);

	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u/device",
		 major(st.st_rdev), minor(st.st_rdev));
	len = readlink(link, target, sizeof(target) - 1);
	if (len >= 0) {
		target[len] = 0;
		snprintf(node->device, sizeof(node->device), "%.63s", basename(target));
	}

	node->minor = minor(st.st_rdev);
	if (!drmGetDevice2(fd, 0, &info)) {
		if (info->available_nodes & 1 << DRM_NODE_PRIMARY &&
		    !stat(info->nodes[DRM_NODE_PRIMARY], &st))
			node->minor = minor(st.st_rdev);
		drmFreeDevice(&info);
	}
	return 0;
}

int egm_node_open(struct egm_node *node, const char *path, int flags)
{
	int fd;

	memset(node, 0, sizeof(*node));
	snprintf(node->path, sizeof(node->path), "%s", path);
	fd = open(path, flags | O_CLOEXEC);
	node->error = fd < 0 ? -errno : egm_node_identify(node, fd);
	if (!node->error)
		return fd;
	if (fd >= 0)
		close(fd);
	return node->error;
}

int egm_nodes(struct egm_node *nodes, int max)
{
	char path[32];
	int i, fd, n = 0;

	for (i = RENDER_FIRST; i < RENDER_END && n < max; i++) {
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", i);
		fd = egm_node_open(&nodes[n], path, O_RDWR);
		if (fd != -ENOENT)
			n++;
		if (fd >= 0)
			close(fd);
	}
	return n;
}

/* ---- devices ----------------------------------------------------------- */

/* Whether the node can be used, with the reason in @err if not. */
static int dev_open(struct egm_dev *dev, const char *path, bool coherent,
		    char err[EGM_ERR])
{
	const char *missing;
	int fd, ret;

	fd = egm_node_open(&dev->node, path, O_RDWR);
	if (fd < 0) {
		snprintf(err, EGM_ERR, "%s: %s", dev->node.path,
			 fd == -ENOTTY ? "not a DRM node" : strerror(-fd));
		return fd;
	}
	dev->drv = egm_driver_find(dev->node.driver);
	if (!dev->drv) {
		snprintf(err, EGM_ERR, "%s: driver %s is not supported",
			 dev->node.path, dev->node.driver);
		close(fd);
		return -ENODEV;
	}
	ret = dev->drv->probe(fd, coherent, &missing);
	if (ret) {
		snprintf(err, EGM_ERR, "%s (%s): needs %s", dev->node.path,
			 dev->drv->name, missing);
		close(fd);
		return ret;
	}
	dev->fd = fd;
	return 0;
}

static int dev_open_any(struct egm_dev *dev, bool coherent, char err[EGM_ERR])
{
	struct egm_node nodes[RENDER_END - RENDER_FIRST];
	int i, n = egm_nodes(nodes, RENDER_END - RENDER_FIRST), ret = -ENODEV;
	const struct egm_driver *const *drv;
	bool said = false;

	snprintf(err, EGM_ERR, "no DRM render node below /dev/dri");
	for (drv = egm_drivers; *drv; drv++) {
		for (i = 0; i < n; i++) {
			if (strcmp(nodes[i].driver, (*drv)->name))
				continue;
			/* what the first of them wants is what is said */
			ret = dev_open(dev, nodes[i].path, coherent,
				       said ? (char[EGM_ERR]){ 0 } : err);
			if (!ret)
				return 0;
			said = true;
		}
	}
	if (n && !said)
		ret = dev_open(dev, nodes[0].path, coherent, err);
	return ret;
}

int egm_open(struct egm_dev **dev, const char *path, bool coherent,
	     char err[EGM_ERR])
{
	struct egm_dev *d = calloc(1, sizeof(*d));
	int ret;

	if (!d) {
		snprintf(err, EGM_ERR, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	ret = path ? dev_open(d, path, coherent, err) :
		     dev_open_any(d, coherent, err);
	if (ret)
		free(d);
	else
		*dev = d;
	return ret;
}

void egm_close(struct egm_dev *dev)
{
	while (dev->bos)
		egm_bo_destroy(dev->bos);
	close(dev->fd);
	free(dev);
}

/* ---- buffers ----------------------------------------------------------- */

static void handle_close(struct egm_dev *dev, uint32_t handle, uint32_t res)
{
	if (dev->drv->close)
		dev->drv->close(dev->fd, handle, res);
	else
		drmCloseBufferHandle(dev->fd, handle);
}

static int bo_new(struct egm_dev *dev, uint32_t handle, uint32_t res,
		  uint64_t size, struct egm_bo **out)
{
	struct egm_bo *bo = calloc(1, sizeof(*bo));

	if (!bo) {
		handle_close(dev, handle, res);
		return -ENOMEM;
	}
	bo->dev = dev;
	bo->handle = handle;
	bo->res = res;
	bo->size = size;
	bo->next = dev->bos;
	dev->bos = bo;

	bo->map = egm_bo_mmap(bo, PROT_READ | PROT_WRITE, MAP_SHARED, size);
	if (bo->map == MAP_FAILED) {
		int ret = -errno;

		bo->map = NULL;
		egm_bo_destroy(bo);
		return ret;
	}
	*out = bo;
	return 0;
}

int egm_bo_create(struct egm_dev *dev, uint64_t size, bool coherent,
		  struct egm_bo **bo)
{
	uint32_t handle, res;
	int ret;

	ret = coherent ? dev->drv->create(dev->fd, size, &handle, &res) :
			 dev->drv->create_plain(dev->fd, size, &handle, &res);
	return ret ? ret : bo_new(dev, handle, res, size, bo);
}

int egm_bo_import(struct egm_dev *dev, int dmabuf, struct egm_bo **bo)
{
	uint32_t handle, res = 0;
	uint64_t size;
	int ret;

	if (drmPrimeFDToHandle(dev->fd, dmabuf, &handle))
		return -errno;
	ret = dev->drv->info(dev->fd, handle, &res, &size);
	if (ret) {
		handle_close(dev, handle, res);
		return ret;
	}
	return bo_new(dev, handle, res, size, bo);
}

int egm_bo_export(const struct egm_bo *bo)
{
	int fd;

	if (drmPrimeHandleToFD(bo->dev->fd, bo->handle,
			       DRM_CLOEXEC | DRM_RDWR, &fd))
		return -errno;
	return fd;
}

void *egm_bo_mmap(const struct egm_bo *bo, int prot, int flags, uint64_t len)
{
	uint64_t offset;
	int ret = bo->dev->drv->mmap_offset(bo->dev->fd, bo->handle, &offset);

	if (ret) {
		errno = -ret;
		return MAP_FAILED;
	}
	return mmap(NULL, len, prot, flags, bo->dev->fd, offset);
}

void egm_bo_unmap(struct egm_bo *bo)
{
	if (bo->map)
		munmap(bo->map, bo->size);
	bo->map = NULL;
}

void egm_bo_close_handle(struct egm_bo *bo)
{
	if (bo->handle)
		handle_close(bo->dev, bo->handle, bo->res);
	bo->handle = 0;
}

void egm_bo_destroy(struct egm_bo *bo)
{
	struct egm_bo **p = &bo->dev->bos;

	egm_bo_unmap(bo);
	egm_bo_close_handle(bo);
	while (*p != bo)
		p = &(*p)->next;
	*p = bo->next;
	free(bo);
}

static int add_handle(uint32_t *handles, int n, const struct egm_bo *bo)
{
	int i;

	for (i = 0; i < n; i++)
		if (handles[i] == bo->handle)
			return n;
	handles[n] = bo->handle;
	return n + 1;
}

int egm_submit(struct egm_dev *dev, const struct egm_copy *copies,
	       int n_copies, struct egm_bo *const *also, int n_also)
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

int egm_touch(struct egm_bo *bo)
{
	return egm_submit(bo->dev, NULL, 0, &bo, 1);
}

int egm_snapshot(const struct egm_bo *bo, const struct egm_bo *snap)
{
	const struct egm_copy copy = {
		.dst = snap,
		.src = bo,
		.len = bo->size < snap->size ? bo->size : snap->size,
	};

	return egm_submit(bo->dev, &copy, 1, NULL, 0);
}

int egm_fetch(const struct egm_bo *snap, uint64_t len)
{
	return snap->dev->drv->fetch(snap->dev->fd, snap->handle, 0, len);
}

int egm_wait(const struct egm_bo *bo)
{
	return bo->dev->drv->wait(bo->dev->fd, bo->handle);
}
