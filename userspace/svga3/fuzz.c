// SPDX-License-Identifier: MIT
/*
 * Feeds the model random registers, headers and commands, in the way of a
 * guest that has lost its mind, and of one that races with the device. Nothing
 * is asked of the model but to answer each command buffer with some status and
 * to go on; the sanitizers it is built with ask for the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "svga3.h"

#define RAM		(8u << 20)
#define BAR0		0xfe000000u
#define BAR2		0xfd000000u
#define HEADER		0x1000u		/* where headers and commands are */
#define COMMANDS	0x2000u
#define COMMANDS_SIZE	0x8000u

static u64 state;
static u8 *ram;

static u32 rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

static u32 below(u32 n)
{
	return rnd() % n;
}

/* A number as commands have them, often enough */
static u32 dword(void)
{
	static const u32 sizes[] = {
		16, 64, 256, 4096, 8192, 65536, 1 << 20, 16 << 20,
	};

	switch (below(12)) {
	case 0:
		return U32_MAX - below(3);
	case 1:
		return 1u << below(32);
	case 2:
		return rnd();
	case 3:
	case 4:
		return sizes[below(ARRAY_SIZE(sizes))];
	case 5:
		return SVGA3D_BUFFER;
	default:
		return below(8);
	}
}

static void reg(struct svga3 *s, u32 r, u32 val)
{
	bar_write(s, BAR0 + 4 * r, val, 4);
}

static u32 put(u32 at, const void *data, u32 len)
{
	memcpy(ram + at, data, len);
	return at + len;
}

static u32 put_command(u32 at, u32 id, const void *body, u32 size)
{
	const SVGA3dCmdHeader h = { id, size };

	return put(put(at, &h, sizeof(h)), body, size);
}

/* Commands without which all others are refused */
static u32 sane_commands(u32 at)
{
	SVGA3dCmdSetOTableBase64 otable = { .ptDepth = SVGA3D_MOBFMT_PT64_1 };
	SVGA3dCmdDefineGBMob64 mob;
	SVGA3dCmdDefineGBSurface surf;
	SVGA3dCmdBindGBSurface bind;
	u32 i;

	for (i = 0; i < SVGA_OTABLE_DX_MAX; i++) {
		otable.type = i;
		otable.sizeInBytes = 1 << 20;
		at = put_command(at, SVGA_3D_CMD_SET_OTABLE_BASE64, &otable,
				 sizeof(otable));
	}
	i = below(8);
	mob = (SVGA3dCmdDefineGBMob64){
		.mobid = i, .ptDepth = below(SVGA3D_MOBFMT_PREDX_MAX),
		.base = below(RAM >> PAGE_SHIFT),
		.sizeInBytes = 1 + below(1 << below(24)),
	};
	at = put_command(at, SVGA_3D_CMD_DEFINE_GB_MOB64, &mob, sizeof(mob));
	surf = (SVGA3dCmdDefineGBSurface){
		.sid = below(8), .format = below(160), .numMipLevels = below(9),
		.surfaceFlags = below(4) ? 0 : SVGA3D_SURFACE_CUBEMAP,
		.size = { 1 + below(300), 1 + below(30), 1 + below(3) },
	};
	at = put_command(at, SVGA_3D_CMD_DEFINE_GB_SURFACE, &surf,
			 sizeof(surf));
	bind = (SVGA3dCmdBindGBSurface){ surf.sid, mob.mobid };
	return put_command(at, SVGA_3D_CMD_BIND_GB_SURFACE, &bind,
			   sizeof(bind));
}

static u32 random_command(u32 at)
{
	static const u32 moving[] = {
		SVGA_3D_CMD_UPDATE_GB_IMAGE, SVGA_3D_CMD_UPDATE_GB_SURFACE,
		SVGA_3D_CMD_READBACK_GB_IMAGE, SVGA_3D_CMD_READBACK_GB_SURFACE,
		SVGA_3D_CMD_READBACK_GB_IMAGE_PARTIAL,
		SVGA_3D_CMD_INVALIDATE_GB_SURFACE, SVGA_3D_CMD_SURFACE_COPY,
		SVGA_3D_CMD_INTRA_SURFACE_COPY, SVGA_3D_CMD_WHOLE_SURFACE_COPY,
		SVGA_3D_CMD_DX_UPDATE_SUBRESOURCE, SVGA_3D_CMD_DX_BUFFER_COPY,
		SVGA_3D_CMD_DX_READBACK_SUBRESOURCE,
		SVGA_3D_CMD_DX_PRED_COPY_REGION, SVGA_3D_CMD_DX_PRED_COPY,
		SVGA_3D_CMD_DX_TRANSFER_FROM_BUFFER,
		SVGA_3D_CMD_DX_MOB_FENCE_64, SVGA_3D_CMD_DESTROY_GB_SURFACE,
		SVGA_3D_CMD_DESTROY_GB_MOB, SVGA_3D_CMD_DEFINE_GB_SCREENTARGET,
		SVGA_3D_CMD_BIND_GB_SCREENTARGET,
		SVGA_3D_CMD_UPDATE_GB_SCREENTARGET,
	};
	u32 body[40], i, size, id;

	for (i = 0; i < ARRAY_SIZE(body); i++)
		body[i] = dword();
	if (!below(8)) {
		id = below(SVGA_CMD_MAX);
		at = put(at, &id, sizeof(id));
		return put(at, body, 4 * below(8));
	}
	/* with as much as it needs, mostly */
	size = below(16) ? sizeof(body) - 4 * below(24) : dword();
	id = below(3) ? moving[below(ARRAY_SIZE(moving))] :
			SVGA_3D_CMD_BASE + below(SVGA_NUM_3D_CMD);
	at = put(at, &id, sizeof(id));
	at = put(at, &size, sizeof(size));
	return put(at, body, size < sizeof(body) ? size : sizeof(body));
}

static void device_command(struct svga3 *s, u32 id)
{
	const u32 cmd[] = { id, id == SVGA_DC_CMD_START_STOP_CONTEXT, 0 };
	const SVGACBHeader h = {
		.length = sizeof(cmd), .ptr.pa = HEADER + 0x100,
	};

	put(HEADER + 0x100, cmd, sizeof(cmd));
	put(HEADER + 0x80, &h, sizeof(h));
	reg(s, SVGA_REG_COMMAND_HIGH, 0);
	reg(s, SVGA_REG_COMMAND_LOW, (HEADER + 0x80) | SVGA_CB_CONTEXT_DEVICE);
}

/* Returns false if the model has not answered. */
static bool submit(struct svga3 *s)
{
	volatile SVGACBHeader *at = (void *)(ram + HEADER);
	SVGACBHeader h = { .ptr.pa = COMMANDS };
	u32 end = COMMANDS, i, n = 1 + below(4);
	u64 give_up;

	if (!below(3))
		end = sane_commands(end);
	for (i = 0; i < n && end < COMMANDS + COMMANDS_SIZE - 512; i++)
		end = random_command(end);
	h.length = end - COMMANDS;
	if (!below(20))
		((u32 *)&h)[below(sizeof(h) / 4)] = dword();
	h.status = SVGA_CB_STATUS_NONE;
	put(HEADER, &h, sizeof(h));
	reg(s, SVGA_REG_COMMAND_HIGH, 0);
	reg(s, SVGA_REG_COMMAND_LOW, HEADER | (below(50) ? 0 : below(64)));

	/* a guest that goes on writing */
	if (!below(4))
		for (i = 0; i < 100; i++)
			((volatile u32 *)ram)[(COMMANDS + below(COMMANDS_SIZE)) / 4] =
				dword();
	give_up = now_ns() + 20000000000ull;
	while (at->status == SVGA_CB_STATUS_NONE) {
		if (now_ns() > give_up)
			return false;
		usleep(10);
	}
	if (at->status != SVGA_CB_STATUS_COMPLETED) {
		if (below(2))
			device_command(s, SVGA_DC_CMD_PREEMPT);
		device_command(s, SVGA_DC_CMD_START_STOP_CONTEXT);
	}
	return true;
}

static unsigned long long counter(struct svga3 *s, enum svga3_ctl which)
{
	return atomic_load(&s->counter[which - SVGA3_COUNTERS]);
}

int main(int argc, char **argv)
{
	u64 n = argc > 1 ? strtoull(argv[1], NULL, 0) : 20000, i;
	u64 seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (u64)time(NULL);
	struct svga3 *s = svga3_new();
	int fd = memfd_create("ram", 0);
	u32 j;

	if (!s || fd < 0 || ftruncate(fd, RAM) || gmem_add(s, 0, RAM, fd, 0)) {
		perror("fuzz");
		return 1;
	}
	ram = s->gmem.region[0].host;
	s->log = NULL;
	s->capture_dir = "/dev/null";
	state = seed * 0x9e3779b97f4a7c15ull | 1;
	printf("seed %llu\n", (unsigned long long)seed);
	cmdbuf_init(s);
	for (i = 0; i < n; i++) {
		if (i % 500 == 0) {
			/* page tables that lead somewhere, mostly */
			for (j = 0; j < RAM / 8; j++)
				((u64 *)ram)[j] = below(100) ?
					below(RAM >> PAGE_SHIFT) : rnd();
			s->sm4 = below(4);
			regs_reset(s);
			config_write(s, PCI_BASE_ADDRESS_0, BAR0, 4);
			config_write(s, PCI_BASE_ADDRESS_2, BAR2, 4);
			reg(s, SVGA_REG_IRQMASK, 0x3f);
			device_command(s, SVGA_DC_CMD_START_STOP_CONTEXT);
		}
		if (!submit(s)) {
			printf("no answer to command buffer %llu\n",
			       (unsigned long long)i);
			return 1;
		}
		for (j = below(4); j; j--) {
			u32 r = below(100) ? below(100) : rnd() >> 17;

			/* those have been dealt with */
			if (r != SVGA_REG_COMMAND_LOW)
				reg(s, r, dword());
			bar_read(s, BAR0 + below(1 << 16), 1 << below(4));
			bar_read(s, BAR2 + below(VRAM_SIZE), 1 << below(4));
			bar_write(s, BAR2 + below(VRAM_SIZE), rnd(),
				  1 << below(4));
			config_read(s, below(300), below(9));
			config_write(s, SVGA3_CTL_SELECT, dword(), 4);
			/* a knob that stops everything is not for here */
			config_write(s, 0x60 + below(300), dword(), below(5));
		}
	}
	cmdbuf_fini(s);
	printf("%llu command buffers, %llu commands executed, %llu refused, updates of %llu bytes, read-backs of %llu, copies of %llu\n",
	       (unsigned long long)n, counter(s, SVGA3_COMMANDS),
	       counter(s, SVGA3_ERRORS), counter(s, SVGA3_UPDATE_BYTES),
	       counter(s, SVGA3_READBACK_BYTES), counter(s, SVGA3_COPY_BYTES));
	cmdbuf_reset(s);
	gmem_clear(s);
	free(s);
	return 0;
}
