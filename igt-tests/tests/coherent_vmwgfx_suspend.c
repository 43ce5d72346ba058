// SPDX-License-Identifier: MIT
/*
 * vmwgfx's coherent surfaces and a suspend to idle, on the SVGA3 model. For a
 * guest whose files are in memory: scripts/in-memory.
 */
#include <stdio.h>
#include <string.h>

#include "coherent.h"
#include "igt_core.h"
#include "igt_vmwgfx.h"

IGT_TEST_DESCRIPTION("vmwgfx's coherent surfaces and a suspend");

#define SMALL KiB(64)

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

/* Written by the CPU, and by the device, when it goes to sleep */
static void idle(struct vmw *vmw)
{
	struct vmw_buf b, device;
	struct vmw_surf *src;

	igt_require_f(root_survives_suspend(),
		      "the root is on 9p, which does not survive a suspend: use scripts/in-memory\n");
	/* resumes by itself when all devices are suspended */
	igt_require_f(!coh_write("/sys/power/pm_test", "devices"),
		      "the kernel has no CONFIG_PM_DEBUG\n");
	b = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	device = vmw_buf_warm(vmw_buffer(vmw, SMALL, true));
	src = vmw_buffer(vmw, SMALL, false);
	pattern_fill(b.p, b.surf->map, 5 * PAGE, 2 * PAGE);
	pattern_fill(device.p, src->map, 0, SMALL);
	vmw_update(src);
	vmw_device_write(device.surf, src);

	igt_assert(!coh_write("/sys/power/state", "freeze"));

	pattern_assert(device.p, device.surf->map, 0, SMALL);
	vmw_buf_check(&b);
	vmw_buf_check(&device);
	pattern_fill(b.p, b.surf->map, 6 * PAGE, 2 * PAGE);
	vmw_buf_check(&b);
	coh_write("/sys/power/pm_test", "none");
	vmw_surf_destroy(src);
	vmw_buf_destroy(&device);
	vmw_buf_destroy(&b);
}

igt_main
{
	igt_describe("C1, C2, C3: what was written before is there after a suspend to idle");
	igt_subtest("idle") {
		struct vmw *vmw = vmw_open();

		idle(vmw);
		vmw_close(vmw);
	}
}
