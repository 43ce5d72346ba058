// SPDX-License-Identifier: MIT
/*
 * The PCI function, its control capability, and SVGA's registers: BAR 0, each
 * 4 bytes wide. BAR 2 is video memory, which nobody looks at.
 */
#include <string.h>

#include <linux/pci_regs.h>

#include "svga3.h"

#define BAR0_SIZE 0x8000u

static const struct {
	unsigned int offset;
	u32 size;
} bars[] = {
	{ PCI_BASE_ADDRESS_0, BAR0_SIZE },
	{ PCI_BASE_ADDRESS_2, VRAM_SIZE },
};

static u32 get_le(const u8 *from, unsigned int len)
{
	u32 val = 0;

	memcpy(&val, from, len);
	return val;
}

/* ---------------------------------------------------- control capability */

static u64 ctl_get(struct svga3 *s, u32 which)
{
	if (which < SVGA3_NUM_KNOBS)
		return atomic_load(&s->knob[which]);
	switch (which) {
	case SVGA3_COUNTERS ... SVGA3_COUNTERS_END - 1:
		return atomic_load(&s->counter[which - SVGA3_COUNTERS]);
	}
	return 0;
}

static void ctl_set(struct svga3 *s, u32 which, u32 val)
{
	if (which >= SVGA3_NUM_KNOBS)
		return;
	say(s, "knob %u is %u", which, val);
	atomic_store(&s->knob[which], val);
	cmdbuf_wake(s);
}

/* ---------------------------------------------------------- config space */

static bool config_bad(struct svga3 *s, u32 addr, unsigned int len)
{
	if ((len == 1 || len == 2 || len == 4) &&
	    addr < sizeof(s->config) && addr + len <= sizeof(s->config))
		return false;
	return true;
}

u32 config_read(struct svga3 *s, u32 addr, unsigned int len)
{
	if (config_bad(s, addr, len))
		return U32_MAX;
	return get_le(s->config + addr, len);
}

void config_write(struct svga3 *s, u32 addr, u32 val, unsigned int len)
{
	unsigned int i;
	u64 ctl;

	if (config_bad(s, addr, len))
		return;
	switch (addr) {
	case PCI_COMMAND:
		val &= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		       PCI_COMMAND_INTX_DISABLE;
		memcpy(s->config + addr, &val, 2);
		break;
	case PCI_INTERRUPT_LINE:
		s->config[addr] = val;
		break;
	case SVGA3_CTL_SELECT:
		if (len != 4)
			break;
		memcpy(s->config + addr, &val, 4);
		ctl = ctl_get(s, val);
		memcpy(s->config + SVGA3_CTL_LOW, &ctl, sizeof(ctl));
		break;
	case SVGA3_CTL_LOW:
		if (len == 4)
			ctl_set(s, get_le(s->config + SVGA3_CTL_SELECT, 4),
				val);
		break;
	default:
		for (i = 0; i < ARRAY_SIZE(bars); i++) {
			if (addr != bars[i].offset || len != 4)
				continue;
			val &= ~(bars[i].size - 1);
			memcpy(s->config + addr, &val, 4);
		}
	}
}

static void config_reset(struct svga3 *s)
{
	static const u8 init[] = {
		[PCI_VENDOR_ID] = 0xad, 0x15,
		[PCI_DEVICE_ID] = 0x06, 0x04,
		[PCI_STATUS] = PCI_STATUS_CAP_LIST,
		[PCI_CLASS_DEVICE] = 0x00, 0x03,
		[PCI_SUBSYSTEM_VENDOR_ID] = 0xad, 0x15,
		[PCI_SUBSYSTEM_ID] = 0x06, 0x04,
		[PCI_CAPABILITY_LIST] = SVGA3_CTL_CAP,
		[SVGA3_CTL_CAP] = PCI_CAP_ID_VNDR, 0, SVGA3_CTL_SIZE,
		[SVGA3_CTL_MAGIC] = 'S', 'V', 'G', '3',
	};

	memset(s->config, 0, sizeof(s->config));
	memcpy(s->config, init, sizeof(init));
	if (s->irq_fd >= 0)
		s->config[PCI_INTERRUPT_PIN] = 1;
}

/* -------------------------------------------------------------- registers */

static u32 devcap(struct svga3 *s, u32 index)
{
	switch (index) {
	case SVGA3D_DEVCAP_3D:
		return 1;
	case SVGA3D_DEVCAP_MAX_TEXTURE_WIDTH:
	case SVGA3D_DEVCAP_MAX_TEXTURE_HEIGHT:
		return MAX_TEXTURE;
	case SVGA3D_DEVCAP_MAX_VOLUME_EXTENT:
		return MAX_VOLUME;
	case SVGA3D_DEVCAP_MAX_CONTEXT_IDS:
		return MAX_CONTEXTS;
	case SVGA3D_DEVCAP_MAX_SURFACE_IDS:
		return MAX_SURFACES;
	case SVGA3D_DEVCAP_DXCONTEXT:
	case SVGA3D_DEVCAP_SM41:
	case SVGA3D_DEVCAP_SM5:
		return s->sm4;
	}
	return 0;
}

static u32 reg_read(struct svga3 *s, u32 reg)
{
	switch (reg) {
	case SVGA_REG_BUSY:
		return cmdbuf_busy(s);
	case SVGA_REG_DEV_CAP:
		return devcap(s, s->devcap_index);
	case SVGA_REG_IRQ_STATUS:
		return s->irq_status;
	case SVGA_REG_IRQMASK:
		return s->irq_mask;
	}
	return reg < ARRAY_SIZE(s->reg) ? s->reg[reg] : 0;
}

static void reg_write(struct svga3 *s, u32 reg, u32 val)
{
	switch (reg) {
	case SVGA_REG_DEV_CAP:
		s->devcap_index = val;
		break;
	case SVGA_REG_COMMAND_HIGH:
		s->command_high = val;
		break;
	case SVGA_REG_COMMAND_LOW:
		cmdbuf_submit(s, (u64)s->command_high << 32 |
			      (val & ~SVGA_CB_CONTEXT_MASK),
			      val & SVGA_CB_CONTEXT_MASK);
		break;
	case SVGA_REG_CURSOR_MOBID:
		s->cursor_mob = val;
		s->cursor_waits = val != SVGA3D_INVALID_ID;
		pthread_cond_signal(&s->wake);
		break;
	case SVGA_REG_IRQ_STATUS:
		s->irq_status &= ~val;
		irq_update(s);
		break;
	case SVGA_REG_IRQMASK:
		s->irq_mask = val;
		s->irq_status &= val;
		irq_update(s);
		break;
	case SVGA_REG_ENABLE:
	case SVGA_REG_WIDTH:
	case SVGA_REG_HEIGHT:
	case SVGA_REG_CONFIG_DONE:
	case SVGA_REG_GUEST_ID:
	case SVGA_REG_CURSOR_X:
	case SVGA_REG_CURSOR_Y:
	case SVGA_REG_CURSOR_ON:
	case SVGA_REG_TRACES:
	case SVGA_REG_PITCHLOCK:
	case SVGA_REG_FENCE_GOAL:
	case SVGA_REG_CURSOR4_ON ... SVGA_REG_CURSOR4_SCREEN_ID:
	case SVGA_PALETTE_BASE ... SVGA_PALETTE_BASE + SVGA_NUM_PALETTE_REGS - 1:
		s->reg[reg] = val;
		break;
	}
}

/* With s->lock held: an interrupt is latched only if it is not masked. */
void irq_raise(struct svga3 *s, u32 flags)
{
	s->irq_status |= flags & s->irq_mask;
	irq_update(s);
}

void regs_reset(struct svga3 *s)
{
	u32 i;

	cmdbuf_reset(s);
	pthread_mutex_lock(&s->lock);
	for (i = 0; i < SVGA3_NUM_KNOBS; i++)
		atomic_store(&s->knob[i], s->option[i]);
	config_reset(s);
	memset(s->reg, 0, sizeof(s->reg));
	s->devcap_index = 0;
	s->command_high = 0;
	s->irq_status = 0;
	s->irq_mask = 0;
	irq_update(s);
	s->reg[SVGA_REG_ID] = SVGA_ID_3;
	s->reg[SVGA_REG_WIDTH] = 1280;
	s->reg[SVGA_REG_HEIGHT] = 800;
	s->reg[SVGA_REG_MAX_WIDTH] = MAX_TEXTURE;
	s->reg[SVGA_REG_MAX_HEIGHT] = MAX_TEXTURE;
	s->reg[SVGA_REG_DEPTH] = 24;
	s->reg[SVGA_REG_BITS_PER_PIXEL] = 32;
	s->reg[SVGA_REG_HOST_BITS_PER_PIXEL] = 32;
	s->reg[SVGA_REG_VRAM_SIZE] = VRAM_SIZE;
	s->reg[SVGA_REG_NUM_DISPLAYS] = MAX_SCREENS;
	s->reg[SVGA_REG_CAPABILITIES] =
		SVGA_CAP_3D | SVGA_CAP_DISPLAY_TOPOLOGY |
		SVGA_CAP_COMMAND_BUFFERS | SVGA_CAP_CMD_BUFFERS_2 |
		SVGA_CAP_GBOBJECTS | SVGA_CAP_NO_BB_RESTRICTION |
		SVGA_CAP_CAP2_REGISTER;
	if (s->irq_fd >= 0)
		s->reg[SVGA_REG_CAPABILITIES] |= SVGA_CAP_IRQMASK;
	if (s->sm4)
		s->reg[SVGA_REG_CAPABILITIES] |= SVGA_CAP_DX;
	s->reg[SVGA_REG_CAP2] =
		SVGA_CAP2_INTRA_SURFACE_COPY | SVGA_CAP2_EXTRA_REGS |
		SVGA_CAP2_CB_MAX_SIZE_4MB | SVGA_CAP2_GB_MEMSIZE_2;
	if (s->sm4)
		s->reg[SVGA_REG_CAP2] |= SVGA_CAP2_DX2 | SVGA_CAP2_DX3 |
					 SVGA_CAP2_CURSOR_MOB;
	s->reg[SVGA_REG_MAX_PRIMARY_MEM] = 4 * MAX_TEXTURE * MAX_TEXTURE;
	s->reg[SVGA_REG_MOB_MAX_SIZE] = MAX_MOB_SIZE;
	s->reg[SVGA_REG_GBOBJECT_MEM_SIZE_KB] = s->mob_memory >> 10;
	s->reg[SVGA_REG_SUGGESTED_GBOBJECT_MEM_SIZE_KB] = s->mob_memory >> 10;
	s->reg[SVGA_REG_SCREENTARGET_MAX_WIDTH] = MAX_TEXTURE;
	s->reg[SVGA_REG_SCREENTARGET_MAX_HEIGHT] = MAX_TEXTURE;
	s->reg[SVGA_REG_CURSOR_MAX_BYTE_SIZE] = SVGA_MAX_CURSOR_CMD_BYTES;
	s->reg[SVGA_REG_CURSOR_MAX_DIMENSION] = SVGA_MAX_CURSOR_CMD_DIMENSION;
	pthread_mutex_unlock(&s->lock);
}

/* ------------------------------------------------------------------- BARs */

/* QEMU gives absolute addresses. */
static int bar_find(struct svga3 *s, u64 addr, unsigned int size, u32 *offset)
{
	unsigned int i;

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return -1;
	for (i = 0; i < ARRAY_SIZE(bars); i++) {
		u32 base = get_le(s->config + bars[i].offset, 4);

		if (addr >= base && addr - base < bars[i].size &&
		    addr - base + size <= bars[i].size) {
			*offset = addr - base;
			return i;
		}
	}
	return -1;
}

u64 bar_read(struct svga3 *s, u64 addr, unsigned int size)
{
	u64 val = U64_MAX;
	u32 offset;

	switch (bar_find(s, addr, size, &offset)) {
	case 0:
		if (size != 4 || offset & 3)
			break;
		pthread_mutex_lock(&s->lock);
		val = reg_read(s, offset / 4);
		pthread_mutex_unlock(&s->lock);
		break;
	case 1:
		val = 0;
		memcpy(&val, s->vram + offset, size);
		break;
	}
	return val;
}

void bar_write(struct svga3 *s, u64 addr, u64 val, unsigned int size)
{
	unsigned int sent;
	u32 offset;

	switch (bar_find(s, addr, size, &offset)) {
	case 0:
		if (size != 4 || offset & 3)
			break;
		pthread_mutex_lock(&s->lock);
		reg_write(s, offset / 4, val);
		sent = s->irq_sent;
		pthread_mutex_unlock(&s->lock);
		/* The line must be low before the guest ends its interrupt */
		if (offset / 4 == SVGA_REG_IRQ_STATUS ||
		    offset / 4 == SVGA_REG_IRQMASK)
			irq_wait(s, sent);
		break;
	case 1:
		memcpy(s->vram + offset, &val, size);
		break;
	}
}
