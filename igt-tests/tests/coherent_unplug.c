// SPDX-License-Identifier: MIT
/**
 * TEST: coherent unplug
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: A virtio-gpu that is taken away while its coherent buffers are mapped:
 *	from its driver, or out of the machine. Each test brings it back, for the next one.
 *
 * SUBTEST: unbind
 * Description: C3: SIGBUS and ENODEV when the driver is unbound
 *
 * SUBTEST: remove
 * Description: C3: the same when the device is removed
 *
 * SUBTEST: only-mapped
 * Description: C3: only a mapping is left when the driver is unbound
 *
 * SUBTEST: busy
 * Description: C3: unbound and removed while it is in use
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"

IGT_TEST_DESCRIPTION("Coherent buffers on a device that is taken away");

/* How to take it, and to bring it back: what to write to which file */
struct away {
	char take[128], give[128];
	char text[32];
};

/* The virtio device behind the PCI device, from its driver */
static struct away unbind_driver(const struct egm_dev *dev)
{
	struct away away = {
		.take = "/sys/bus/virtio/drivers/virtio_gpu/unbind",
		.give = "/sys/bus/virtio/drivers/virtio_gpu/bind",
	};
	struct dirent *entry;
	char path[128];
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", dev->node.device);
	dir = opendir(path);
	igt_assert(dir);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "virtio", 6))
			snprintf(away.text, sizeof(away.text), "%.31s", entry->d_name);
	closedir(dir);
	igt_assert(away.text[0]);
	return away;
}

/* As when QEMU asks for it with device_del: the guest takes it out in good order. */
static struct away remove_device(const struct egm_dev *dev)
{
	struct away away = {
		.give = "/sys/bus/pci/rescan",
		.text = "1",
	};

	snprintf(away.take, sizeof(away.take), "/sys/bus/pci/devices/%.60s/remove",
		 dev->node.device);
	return away;
}

static void take(const struct away *away)
{
	igt_assert_eq(coh_write(away->take, away->text), 0);
}

static void give(const struct away *away)
{
	igt_assert_eq(coh_write(away->give, away->text), 0);
}

/* The same driver's, new: it works. */
static void check_new(const struct egm_driver *drv)
{
	struct egm_dev *dev = coh_open(drv);
	struct coh_pending p = coh_pending_create(dev);

	coh_pending_check(&p);
	coh_pending_destroy(&p);
	coh_close(dev);
}

static void mapped(struct egm_dev *dev, struct away away)
{
	const struct egm_driver *drv = dev->drv;
	struct coh_pending p = coh_pending_create(dev);
	struct pollfd poll_written = {
		.fd = coh_export(p.written.bo), .events = POLLIN,
	};
	void *map = coh_map_dmabuf(poll_written.fd, p.written.bo->size);
	char err[EGM_ERR];
	struct egm_dev *again;

	take(&away);
	coh_pending_check_gone(&p);
	igt_assert(egm_open(&again, dev->node.path, false, err));
	/* nobody waits for what it does not do any more */
	igt_assert_eq(poll(&poll_written, 1, 10000), 1);
	munmap(map, p.written.bo->size);
	close(poll_written.fd);
	coh_pending_destroy(&p);
	coh_close(dev);
	give(&away);
	check_new(drv);
}

static void unbind(struct egm_dev *dev)
{
	mapped(dev, unbind_driver(dev));
}

static void remove_mapped(struct egm_dev *dev)
{
	mapped(dev, remove_device(dev));
}

/* The device's files are closed, and the mapping is all that is left. */
static void only_mapped(struct egm_dev *dev)
{
	const struct egm_driver *drv = dev->drv;
	struct away away = unbind_driver(dev);
	struct coh_buf b = coh_buf_warm(dev, MiB(1));
	uint64_t *map = b.bo->map;

	pattern_fill(b.p, map, 5 * PAGE, 2 * PAGE);
	b.bo->map = NULL;
	coh_close(dev);
	take(&away);
	pattern_assert(b.p, map, 0, MiB(1));
	pattern_fill(b.p, map, 0, MiB(1));
	pattern_assert(b.p, map, 0, MiB(1));
	munmap(map, MiB(1));
	pattern_free(b.p);
	give(&away);
	check_new(drv);
}

/* While several processes are at all they can do with it */
static void busy(struct egm_dev *dev)
{
	const struct egm_driver *drv = dev->drv;
	struct coh_users users;
	int round;

	for (round = 0; round < 2; round++) {
		struct away away = round & 1 ? remove_device(dev) : unbind_driver(dev);

		users = coh_users_start(dev);
		usleep(50000 * round);
		take(&away);
		coh_users_check_gone(&users);
		coh_close(dev);
		give(&away);
		dev = coh_open(drv);
	}
	coh_close(dev);
	check_new(drv);
}

/* Opens the devices itself: those that it is given are gone when it ends. */
static void run(void (*test)(struct egm_dev *dev))
{
	test(coh_open(&egm_virtio_gpu));
}

int coh_main()
{
	igt_describe("C3: SIGBUS and ENODEV when the driver is unbound");
	igt_subtest("unbind")
		run(unbind);

	igt_describe("C3: the same when the device is removed");
	igt_subtest("remove")
		run(remove_mapped);

	igt_describe("C3: only a mapping is left when the driver is unbound");
	igt_subtest("only-mapped")
		run(only_mapped);

	igt_describe("C3: unbound and removed while it is in use");
	igt_subtest("busy")
		run(busy);
}
