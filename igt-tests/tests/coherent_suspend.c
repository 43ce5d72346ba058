// SPDX-License-Identifier: MIT
/**
 * TEST: coherent suspend
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Coherent buffers and a suspend to idle, for a guest whose files are in
 *	memory: scripts/in-memory.
 *
 * SUBTEST: idle
 * Description: C1, C2, C3: after a suspend to idle all is there, or the device is gone
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"

IGT_TEST_DESCRIPTION("Coherent buffers and a suspend");

/*
 * The transport of 9p over virtio has no code for it: the device is reset, and
 * nothing can be read after that.
 */
static bool root_survives_suspend(void)
{
	char line[1024], type[32];
	bool survives = true;
	FILE *mounts;

	mounts = fopen("/proc/mounts", "r");
	igt_assert(mounts);
	while (fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%*s %*s %31s", type) == 1 &&
		    !strcmp(type, "9p"))
			survives = false;
	fclose(mounts);

	return survives;
}

/* A PCI device that is not reset when it comes out of D3hot */
static bool no_soft_reset(const char *device)
{
	char path[160];
	uint8_t config[256];
	unsigned int at, caps;
	uint16_t control;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", device);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	igt_assert(fd >= 0);
	igt_assert_eq(read(fd, config, sizeof(config)), sizeof(config));
	close(fd);

	at = config[PCI_CAPABILITY_LIST];
	for (caps = 0; at && caps < 48; caps++, at = config[at + PCI_CAP_LIST_NEXT])
		if (config[at + PCI_CAP_LIST_ID] == PCI_CAP_ID_PM) {
			memcpy(&control, config + at + PCI_PM_CTRL, sizeof(control));
			return control & PCI_PM_CTRL_NO_SOFT_RESET;
		}
	return false;
}

/* The virtio bus resets other devices, and virtio-gpu's has forgotten all then. */
static bool keeps_its_state(const struct egm_dev *dev)
{
	return dev->drv != &egm_virtio_gpu || no_soft_reset(dev->node.device);
}

/* Written by the CPU, and by the device, when it goes to sleep; and others are at work */
static void idle(struct egm_dev *dev)
{
	struct coh_users users;
	struct coh_pending p;
	bool kept;

	igt_require_f(root_survives_suspend(),
		      "the root is on 9p, which does not survive a suspend: use scripts/in-memory\n");
	/* resumes by itself when all devices are suspended */
	igt_require_f(!coh_write("/sys/power/pm_test", "devices"),
		      "the kernel has no CONFIG_PM_DEBUG\n");
	/* after a second, and not five */
	coh_write("/sys/module/suspend/parameters/pm_test_delay", "1");
	kept = keeps_its_state(dev);
	users = coh_users_start(dev);
	p = coh_pending_create(dev);

	igt_assert(!coh_write("/sys/power/state", "freeze"));

	igt_info("the device %s its state\n", kept ? "keeps" : "loses");
	if (kept) {
		coh_pending_check(&p);
		coh_users_end(&users);
	} else {
		coh_pending_check_gone(&p);
		coh_users_check_gone(&users);
	}
	coh_write("/sys/power/pm_test", "none");
	coh_pending_destroy(&p);
}

static const struct coh_subtest subtests[] = {
	{ "idle", "C1, C2, C3: after a suspend to idle all is there, or the device is gone",
	  idle },
};

int coh_main()
{
	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
