/* SPDX-License-Identifier: MIT */
/*
 * A model of VMware's SVGA3 device, as much of it as vmwgfx needs for
 * guest-backed objects: see Documentation/svga3.rst.
 *
 * Two threads: one answers QEMU (proxy.c, regs.c, and the submission in
 * cmdbuf.c), the other executes commands (cmdbuf.c, commands.c and all
 * objects). What both use is under svga3::lock, the map of guest memory
 * under its own.
 */
#ifndef SVGA3_H
#define SVGA3_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

#include <svga3d_reg.h>

#include "svga3_ctl.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define MAX_MOBS	(1 << 17)
#define MAX_SURFACES	SVGA3D_HB_MAX_SURFACE_IDS
#define MAX_CONTEXTS	SVGA3D_HB_MAX_CONTEXT_IDS
#define MAX_SHADERS	SVGA3D_MAX_SIMULTANEOUS_SHADERS
#define MAX_SCREENS	8
#define MAX_MOB_SIZE	(1UL << 30)
#define MAX_TEXTURE	8192
#define MAX_VOLUME	2048
#define MAX_MIPS	24
#define MAX_SAMPLES	32

#define VRAM_SIZE	(4 << 20)

struct gmem_region {
	u64 gpa, size;
	u8 *host;
};

/* Guest memory, as QEMU described it last */
struct gmem {
	pthread_rwlock_t lock;
	struct gmem_region region[8];
	unsigned int n;
};

struct mob {
	SVGAMobFormat format;
	u64 base;		/* guest page number */
	u32 size;
};

/* Of an image. Only YUV formats have more than one. */
struct plane {
	u32 bytes, rows;	/* of a block: rows of so many bytes each */
};

struct mip {
	SVGA3dSize size;	/* in pixels */
	u32 across, rows;	/* of blocks, in each slice */
	u64 row, bytes;		/* in bytes */
	u64 offset;		/* in its layer */
};

struct surface {
	SVGA3dSize block;	/* in pixels */
	u32 block_bytes;
	struct plane plane[3];
	u32 planes;
	SVGA3dSurfaceAllFlags flags;
	SVGA3dSurfaceFormat format;
	struct mip mip[MAX_MIPS];
	u32 mips, layers, sheets;	/* a sheet for each sample */
	u64 layer_bytes, sheet_bytes, bytes;
	SVGAMobId mobid;
	u8 *data;		/* the device's own copy */
};

struct screen {
	bool defined;
	u32 width, height;
	SVGA3dSurfaceImageId image;
	u32 *pixels;		/* XRGB8888, what has been shown */
};

/* A command buffer from its submission to its completion */
struct cmdbuf {
	struct cmdbuf *next;
	u64 header_pa;
	SVGACBHeader header;
	u8 *data;
	u64 due;		/* ns */
	u32 status, error_offset;
	u32 fence;
	bool has_fence;
};

struct cmdbuf_queue {
	struct cmdbuf *head, **tail;
	unsigned int n;
	bool started;
};

struct svga3 {
	/* options, not changed later */
	bool sm4;
	u64 mob_memory;
	const char *capture_dir;
	FILE *log;
	u32 option[SVGA3_NUM_KNOBS];

	struct gmem gmem;
	_Atomic u32 knob[SVGA3_NUM_KNOBS];
	_Atomic u64 counter[SVGA3_COUNTERS_END - SVGA3_COUNTERS];

	/* PCI, used by the thread that answers QEMU only */
	u8 config[256];
	u64 ctl_value;
	u8 vram[VRAM_SIZE];
	u32 devcap_index, command_high;

	pthread_mutex_t lock;
	pthread_cond_t wake;		/* for the executing thread */
	pthread_cond_t idle;		/* from it */
	u32 reg[SVGA_PALETTE_BASE + SVGA_NUM_PALETTE_REGS];
	u32 irq_status, irq_mask;
	int irq_fd;
	unsigned int irq_gsi;
	bool irq_level;
	unsigned int irq_sent, irq_acked;
	struct cmdbuf_queue queue[SVGA_CB_CONTEXT_MAX];
	u32 cursor_mob;			/* where the guest has put a cursor */
	bool cursor_waits;		/* ... that was not looked at yet */
	struct cmdbuf *finished;	/* held back to be reordered */
	unsigned int n_finished;
	bool executing, stopping, quit;
	pthread_t thread;

	/* The objects, of the executing thread while it is executing */
	u32 otable_entries[SVGA_OTABLE_MAX];
	struct mob *mob[MAX_MOBS];
	struct surface *surface[MAX_SURFACES];
	u64 surface_bytes;
	u8 context[MAX_CONTEXTS], dx_context[MAX_CONTEXTS];
	u8 shader[MAX_SHADERS];
	struct screen screen[MAX_SCREENS];
};

static inline void count(struct svga3 *s, enum svga3_ctl which, u64 n)
{
	atomic_fetch_add_explicit(&s->counter[which - SVGA3_COUNTERS], n,
				  memory_order_relaxed);
}

/* util.c */
__attribute__((format(printf, 2, 3)))
void say(struct svga3 *s, const char *fmt, ...);
struct svga3 *svga3_new(void);
u64 now_ns(void);

/* proxy.c: QEMU's end */
int proxy_run(struct svga3 *s, int fd);
void irq_update(struct svga3 *s);
void irq_wait(struct svga3 *s, unsigned int sent);
int gmem_read(struct svga3 *s, u64 gpa, void *to, u64 len);
int gmem_write(struct svga3 *s, u64 gpa, const void *from, u64 len);
void gmem_clear(struct svga3 *s);
int gmem_add(struct svga3 *s, u64 gpa, u64 size, int fd, off_t offset);

/* regs.c: PCI and the registers */
void regs_reset(struct svga3 *s);
u32 config_read(struct svga3 *s, u32 addr, unsigned int len);
void config_write(struct svga3 *s, u32 addr, u32 val, unsigned int len);
u64 bar_read(struct svga3 *s, u64 addr, unsigned int size);
void bar_write(struct svga3 *s, u64 addr, u64 val, unsigned int size);
void irq_raise(struct svga3 *s, u32 flags);

/* cmdbuf.c: queues of command buffers */
void cmdbuf_init(struct svga3 *s);
void cmdbuf_submit(struct svga3 *s, u64 pa, u32 context);
bool cmdbuf_busy(struct svga3 *s);
void cmdbuf_wake(struct svga3 *s);
void cmdbuf_reset(struct svga3 *s);
void cmdbuf_fini(struct svga3 *s);

/* commands.c: what is in them */
bool commands_run(struct svga3 *s, struct cmdbuf *cb);

/* mob.c: memory objects */
void mob_reset(struct svga3 *s);
int mob_define(struct svga3 *s, SVGAMobId id, SVGAMobFormat format, u64 base,
	       u32 size);
int mob_destroy(struct svga3 *s, SVGAMobId id);
struct mob *mob_get(struct svga3 *s, SVGAMobId id);
int mob_read(struct svga3 *s, struct mob *mob, u64 offset, void *to, u64 len);
int mob_write(struct svga3 *s, struct mob *mob, u64 offset, const void *from,
	      u64 len);

/* surface.c: the device's copies, and all that moves data */
struct surface_info {
	SVGA3dSurfaceAllFlags flags;
	SVGA3dSurfaceFormat format;
	u32 mips, samples, array;
	SVGA3dSize size;
};

void surface_reset(struct svga3 *s);
int surface_define(struct svga3 *s, u32 sid, const struct surface_info *info);
int surface_destroy(struct svga3 *s, u32 sid);
struct surface *surface_get(struct svga3 *s, u32 sid);
int surface_bind(struct svga3 *s, u32 sid, SVGAMobId mobid);
int surface_update(struct svga3 *s, u32 sid);
int surface_update_box(struct svga3 *s, u32 sid, u32 sub, const SVGA3dBox *box);
int surface_readback(struct svga3 *s, u32 sid);
int surface_readback_box(struct svga3 *s, u32 sid, u32 sub,
			 const SVGA3dBox *box);
int surface_invalidate(struct svga3 *s, u32 sid);
int surface_invalidate_sub(struct svga3 *s, u32 sid, u32 sub);
int surface_copy(struct svga3 *s, u32 dst, u32 dst_sub, u32 src, u32 src_sub,
		 const SVGA3dCopyBox *box);
int surface_copy_whole(struct svga3 *s, u32 dst, u32 src);
int surface_from_buffer(struct svga3 *s,
			const SVGA3dCmdDXTransferFromBuffer *c);
/* The number of a subresource, or -1 */
s64 surface_sub(struct surface *surf, u32 layer, u32 mip);
const u8 *surface_image(struct surface *surf, u32 sub, const struct mip **mip);

/* screen.c: screen targets, and the cursor */
void screen_reset(struct svga3 *s);
int screen_define(struct svga3 *s, const SVGA3dCmdDefineGBScreenTarget *c);
int screen_destroy(struct svga3 *s, u32 stid);
int screen_bind(struct svga3 *s, const SVGA3dCmdBindGBScreenTarget *c);
int screen_update(struct svga3 *s, u32 stid, const SVGA3dRect *rect);
void screen_capture(struct svga3 *s, u32 stid);
int cursor_define(struct svga3 *s, u32 width, u32 height, const u8 *pixels);
void cursor_from_mob(struct svga3 *s, SVGAMobId mobid);

#endif /* SVGA3_H */
