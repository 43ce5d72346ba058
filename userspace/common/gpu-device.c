// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpu-device.h"

const char *const gpu_counter_name[GPU_NUM_COUNTERS] = {
#define X(name) #name,
	GPU_COUNTERS(X)
#undef X
};

static int node_open(struct egm_node *node, const char *path)
{
	int fd = egm_node_open(node, path, O_RDWR);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* The first render node of virtio_gpu, or else the first there is. */
static void choose(struct gpu_device *dev)
{
	struct egm_node nodes[64];
	int n = egm_nodes(nodes, 64), i, first = -1;

	for (i = 0; i < n && strcmp(nodes[i].driver, "virtio_gpu"); i++)
		if (first < 0 && !nodes[i].error)
			first = i;
	if (i == n)
		i = first;
	if (i >= 0)
		dev->node = nodes[i];
}

int gpu_device_find(struct gpu_device *dev, const char *spec, char err[EGM_ERR])
{
	char *end;
	int ret;

	*dev = (struct gpu_device){ .node = { .driver = "software", .minor = -1 }, .fd = -1 };
	if (!spec) {
		choose(dev);
		return 0;
	}
	if (!strcmp(spec, "software"))
		return 0;
	if (!strncmp(spec, "fd:", 3)) {
		dev->fd = strtol(spec + 3, &end, 10);
		if (*end || end == spec + 3 || egm_node_identify(&dev->node, dev->fd)) {
			snprintf(err, EGM_ERR, "%s is not an open DRM node", spec);
			return -1;
		}
		snprintf(dev->node.path, sizeof(dev->node.path), "%s", spec);
		return 0;
	}
	ret = node_open(&dev->node, spec);
	if (ret) {
		snprintf(err, EGM_ERR, "cannot use %s: %s", spec,
			 ret == -ENOTTY ? "not a DRM node" : strerror(-ret));
		return -1;
	}
	return 0;
}

int gpu_device_open(const struct gpu_device *dev)
{
	if (dev->fd >= 0)
		return dev->fd;
	return open(dev->node.path, O_RDWR | O_CLOEXEC);
}

/* The file of the parameter, or -1 */
static int open_parameter(const struct gpu_device *dev, int flags)
{
	const struct egm_driver *drv = egm_driver_find(dev->node.driver);

	return drv && drv->parameter ? open(drv->parameter, flags | O_CLOEXEC) : -1;
}

int gpu_coherent_get(const struct gpu_device *dev)
{
	int fd = open_parameter(dev, O_RDONLY), ret = -1;
	char c;

	if (fd < 0)
		return -1;
	if (read(fd, &c, 1) == 1)
		ret = c == 'Y' || c == '1';
	close(fd);
	return ret;
}

int gpu_coherent_set(const struct gpu_device *dev, bool on)
{
	int fd, ret;

	if (gpu_coherent_get(dev) == on)
		return 0;
	fd = open_parameter(dev, O_WRONLY);
	if (fd < 0)
		return -1;
	ret = write(fd, on ? "Y" : "N", 1) == 1 ? 0 : -1;
	close(fd);
	return ret;
}

int gpu_counters_read(const struct gpu_device *dev, struct gpu_counters *c,
		      char err[EGM_ERR])
{
	struct egm_counters all;

	if (dev->node.minor < 0) {
		snprintf(err, EGM_ERR, "no kernel driver, so no kernel counters");
		return -1;
	}
	if (egm_counters_read(&dev->node, &all, err))
		return -1;
	for (int i = 0; i < GPU_NUM_COUNTERS; i++) {
		const uint64_t *value = egm_counter(&all, gpu_counter_name[i]);

		if (!value) {
			snprintf(err, EGM_ERR, "%s does not count %s", dev->node.driver,
				 gpu_counter_name[i]);
			return -1;
		}
		c->v[i] = *value;
	}
	return 0;
}
