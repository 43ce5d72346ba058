// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <xf86drm.h>

#include "gpu-device.h"

#define PARAMETER "/sys/module/virtio_gpu/parameters/coherent"
#define DEBUGFS "/sys/kernel/debug/dri"

const char *const gpu_counter_name[GPU_NUM_COUNTERS] = {
#define X(name) #name,
	GPU_COUNTERS(X)
#undef X
};

static int identify(struct gpu_device *dev, int fd)
{
	drmVersionPtr version = drmGetVersion(fd);
	drmDevicePtr device;
	struct stat st;

	if (!version)
		return -1;
	snprintf(dev->driver, sizeof(dev->driver), "%s", version->name);
	drmFreeVersion(version);

	if (fstat(fd, &st))
		return -1;
	dev->minor = minor(st.st_rdev);
	if (!drmGetDevice2(fd, 0, &device)) {
		if (device->available_nodes & (1 << DRM_NODE_PRIMARY) &&
		    !stat(device->nodes[DRM_NODE_PRIMARY], &st))
			dev->minor = minor(st.st_rdev);
		drmFreeDevice(&device);
	}
	return 0;
}

static int identify_path(struct gpu_device *dev, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -1;
	ret = identify(dev, fd);
	close(fd);
	if (!ret)
		snprintf(dev->path, sizeof(dev->path), "%s", path);
	else
		errno = ENOTTY;
	return ret;
}

/* The first render node of virtio_gpu, or else the first there is. */
static void choose(struct gpu_device *dev)
{
	struct gpu_device other = *dev;

	for (int i = 128; i < 192; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/dev/dri/renderD%d", i);
		if (identify_path(&other, path))
			continue;
		if (!strcmp(other.driver, "virtio_gpu")) {
			*dev = other;
			return;
		}
		if (!dev->path[0])
			*dev = other;
	}
}

int gpu_device_find(struct gpu_device *dev, const char *spec, char *err, size_t size)
{
	char *end;

	*dev = (struct gpu_device){ .driver = "software", .fd = -1, .minor = -1 };
	if (!spec) {
		choose(dev);
		return 0;
	}
	if (!strcmp(spec, "software"))
		return 0;
	if (!strncmp(spec, "fd:", 3)) {
		dev->fd = strtol(spec + 3, &end, 10);
		if (*end || end == spec + 3 || identify(dev, dev->fd)) {
			snprintf(err, size, "%s is not an open DRM node", spec);
			return -1;
		}
		snprintf(dev->path, sizeof(dev->path), "%s", spec);
		return 0;
	}
	if (identify_path(dev, spec)) {
		snprintf(err, size, "cannot use %s: %s", spec,
			 errno == ENOTTY ? "not a DRM node" : strerror(errno));
		return -1;
	}
	return 0;
}

int gpu_device_open(const struct gpu_device *dev)
{
	if (dev->fd >= 0)
		return dev->fd;
	return open(dev->path, O_RDWR | O_CLOEXEC);
}

int gpu_coherent_get(const struct gpu_device *dev)
{
	int fd, ret = -1;
	char c;

	if (strcmp(dev->driver, "virtio_gpu"))
		return -1;
	fd = open(PARAMETER, O_RDONLY | O_CLOEXEC);
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
	fd = open(PARAMETER, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = write(fd, on ? "Y" : "N", 1) == 1 ? 0 : -1;
	close(fd);
	return ret;
}

static int parse(const struct gpu_device *dev, const char *file,
		 struct gpu_counters *c, uint32_t *seen, char *err, size_t size)
{
	char path[128], line[256], name[64];
	uint64_t value;
	FILE *f;

	snprintf(path, sizeof(path), DEBUGFS "/%d/%s", dev->minor, file);
	f = fopen(path, "re");
	if (!f) {
		snprintf(err, size, "%s: %s", path, strerror(errno));
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		/* The totals come first; the table of buffers follows. */
		if (sscanf(line, "%63s %" SCNu64, name, &value) != 2)
			continue;
		for (int i = 0; i < GPU_NUM_COUNTERS; i++) {
			if (!(*seen & 1u << i) && !strcmp(name, gpu_counter_name[i])) {
				c->v[i] = value;
				*seen |= 1u << i;
			}
		}
	}
	fclose(f);
	return 0;
}

int gpu_counters_read(const struct gpu_device *dev, struct gpu_counters *c,
		      char *err, size_t size)
{
	uint32_t seen = 0;

	if (dev->minor < 0) {
		snprintf(err, size, "no kernel driver, so no kernel counters");
		return -1;
	}
	if (parse(dev, "gem_dirty", c, &seen, err, size) ||
	    parse(dev, "virtio-gpu-coherent", c, &seen, err, size))
		return -1;
	for (int i = 0; i < GPU_NUM_COUNTERS; i++) {
		if (!(seen & 1u << i)) {
			snprintf(err, size, DEBUGFS "/%d does not count %s",
				 dev->minor, gpu_counter_name[i]);
			return -1;
		}
	}
	return 0;
}
