// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/types.h>

#include "virtgpu_scan.h"
#include "virtgpu_virgl.h"

/*
 * Which resources a command stream may have the host write. The stream comes
 * from user space, and nothing in it is believed: no field is read that is not
 * within its command, and no command that is not within the stream. What is not
 * understood may write anything.
 *
 * A resource can be named in one submission and written by later ones: by a
 * stream-out target that is created from it, or a shader buffer that stays
 * bound. To tell when that ends would be to keep all of the host's state here,
 * for each sub-context. So what was named once is written from then on, for the
 * caller to remember.
 *
 * It is about the host's copy of a resource. Commands by which the host stores
 * into the guest's memory, such as the result of a query object or of
 * GET_MEMORY_INFO, leave that copy alone. Nothing is to be fetched from it then.
 *
 * Two commands go between the host's copy and guest memory, as the ioctls for
 * transfers do. Of a coherent buffer the kernel alone knows which of the two is
 * the newer one, for each page, and it brings both up to date by itself. So there
 * is nothing left to do for a TRANSFER3D, and it is taken out of the stream. A
 * COPY_TRANSFER3D has a second resource, whose guest memory it is about. If that
 * is a coherent buffer it is refused: there is nobody who wants it.
 */

/*
 * Where a command names the resources it may write, if it is known. With a
 * @step, the field @first is that of the first element of an array, each of
 * which has @step fields, and which ends with the command. A @first of 0 is
 * none.
 */
struct scan_rule {
	u8 known:1;
	u8 first:4;
	u8 step:3;
};

#define NONE			{ .known = 1 }
#define ONE(field)		{ .known = 1, .first = (field) }
#define EACH(field, size)	{ .known = 1, .first = (field), .step = (size) }

static const struct scan_rule scan_object_rules[] = {
	[VIRGL_OBJECT_BLEND]		= NONE,
	[VIRGL_OBJECT_RASTERIZER]	= NONE,
	[VIRGL_OBJECT_DSA]		= NONE,
	[VIRGL_OBJECT_SHADER]		= NONE,
	[VIRGL_OBJECT_VERTEX_ELEMENTS]	= NONE,
	[VIRGL_OBJECT_SAMPLER_VIEW]	= NONE,
	[VIRGL_OBJECT_SAMPLER_STATE]	= NONE,
	[VIRGL_OBJECT_SURFACE]		= ONE(VIRGL_OBJ_SURFACE_RES_HANDLE),
	[VIRGL_OBJECT_QUERY]		= NONE,
	[VIRGL_OBJECT_STREAMOUT_TARGET]	= ONE(VIRGL_OBJ_STREAMOUT_RES_HANDLE),
	[VIRGL_OBJECT_MSAA_SURFACE]	= ONE(VIRGL_OBJ_SURFACE_RES_HANDLE),
};

/*
 * Commands that act on what is bound, such as DRAW_VBO, CLEAR and LAUNCH_GRID,
 * write what was named when it was bound, or when the object was created that
 * is bound. CREATE_OBJECT and the transfers are looked at more closely.
 */
static const struct scan_rule scan_rules[] = {
	[VIRGL_CCMD_NOP]			= NONE,
	[VIRGL_CCMD_BIND_OBJECT]		= NONE,
	[VIRGL_CCMD_DESTROY_OBJECT]		= NONE,
	[VIRGL_CCMD_SET_VIEWPORT_STATE]		= NONE,
	[VIRGL_CCMD_SET_FRAMEBUFFER_STATE]	= NONE,
	[VIRGL_CCMD_SET_VERTEX_BUFFERS]		= NONE,
	[VIRGL_CCMD_CLEAR]			= NONE,
	[VIRGL_CCMD_DRAW_VBO]			= NONE,
	[VIRGL_CCMD_RESOURCE_INLINE_WRITE]	= ONE(VIRGL_RESOURCE_IW_RES_HANDLE),
	[VIRGL_CCMD_SET_SAMPLER_VIEWS]		= NONE,
	[VIRGL_CCMD_SET_INDEX_BUFFER]		= NONE,
	[VIRGL_CCMD_SET_CONSTANT_BUFFER]	= NONE,
	[VIRGL_CCMD_SET_STENCIL_REF]		= NONE,
	[VIRGL_CCMD_SET_BLEND_COLOR]		= NONE,
	[VIRGL_CCMD_SET_SCISSOR_STATE]		= NONE,
	[VIRGL_CCMD_BLIT]			= ONE(VIRGL_CMD_BLIT_DST_RES_HANDLE),
	[VIRGL_CCMD_RESOURCE_COPY_REGION]	= ONE(VIRGL_CMD_RCR_DST_RES_HANDLE),
	[VIRGL_CCMD_BIND_SAMPLER_STATES]	= NONE,
	[VIRGL_CCMD_BEGIN_QUERY]		= NONE,
	[VIRGL_CCMD_END_QUERY]			= NONE,
	[VIRGL_CCMD_GET_QUERY_RESULT]		= NONE,
	[VIRGL_CCMD_SET_POLYGON_STIPPLE]	= NONE,
	[VIRGL_CCMD_SET_CLIP_STATE]		= NONE,
	[VIRGL_CCMD_SET_SAMPLE_MASK]		= NONE,
	[VIRGL_CCMD_SET_STREAMOUT_TARGETS]	= NONE,
	[VIRGL_CCMD_SET_RENDER_CONDITION]	= NONE,
	[VIRGL_CCMD_SET_UNIFORM_BUFFER]		= NONE,
	[VIRGL_CCMD_SET_SUB_CTX]		= NONE,
	[VIRGL_CCMD_CREATE_SUB_CTX]		= NONE,
	[VIRGL_CCMD_DESTROY_SUB_CTX]		= NONE,
	[VIRGL_CCMD_BIND_SHADER]		= NONE,
	[VIRGL_CCMD_SET_TESS_STATE]		= NONE,
	[VIRGL_CCMD_SET_MIN_SAMPLES]		= NONE,
	[VIRGL_CCMD_SET_SHADER_BUFFERS]		=
		EACH(VIRGL_SET_SHADER_BUFFER_RES_HANDLE,
		     VIRGL_SET_SHADER_BUFFER_ELEMENT_SIZE),
	[VIRGL_CCMD_SET_SHADER_IMAGES]		=
		EACH(VIRGL_SET_SHADER_IMAGE_RES_HANDLE,
		     VIRGL_SET_SHADER_IMAGE_ELEMENT_SIZE),
	[VIRGL_CCMD_MEMORY_BARRIER]		= NONE,
	[VIRGL_CCMD_LAUNCH_GRID]		= NONE,
	[VIRGL_CCMD_SET_FRAMEBUFFER_STATE_NO_ATTACH] = NONE,
	[VIRGL_CCMD_TEXTURE_BARRIER]		= NONE,
	[VIRGL_CCMD_SET_ATOMIC_BUFFERS]		=
		EACH(VIRGL_SET_ATOMIC_BUFFER_RES_HANDLE,
		     VIRGL_SET_ATOMIC_BUFFER_ELEMENT_SIZE),
	[VIRGL_CCMD_SET_DEBUG_FLAGS]		= NONE,
	[VIRGL_CCMD_GET_QUERY_RESULT_QBO]	= ONE(VIRGL_QUERY_RESULT_QBO_QBO_HANDLE),
	[VIRGL_CCMD_TRANSFER3D]			= NONE,
	[VIRGL_CCMD_END_TRANSFERS]		= NONE,
	[VIRGL_CCMD_COPY_TRANSFER3D]		= ONE(VIRGL_RESOURCE_IW_RES_HANDLE),
	[VIRGL_CCMD_SET_TWEAKS]			= NONE,
	[VIRGL_CCMD_CLEAR_TEXTURE]		= ONE(VIRGL_TEXTURE_HANDLE),
	[VIRGL_CCMD_PIPE_RESOURCE_CREATE]	= NONE,
	[VIRGL_CCMD_PIPE_RESOURCE_SET_TYPE]	= NONE,
	[VIRGL_CCMD_GET_MEMORY_INFO]		= NONE,
	[VIRGL_CCMD_SEND_STRING_MARKER]		= NONE,
	[VIRGL_CCMD_LINK_SHADER]		= NONE,
	[VIRGL_CCMD_CREATE_VIDEO_CODEC]		= NONE,
	[VIRGL_CCMD_DESTROY_VIDEO_CODEC]	= NONE,
	[VIRGL_CCMD_CREATE_VIDEO_BUFFER]	=
		EACH(VIRGL_CREATE_VIDEO_BUFFER_RES_BASE, 1),
	[VIRGL_CCMD_DESTROY_VIDEO_BUFFER]	= NONE,
	[VIRGL_CCMD_BEGIN_FRAME]		= NONE,
	[VIRGL_CCMD_DECODE_MACROBLOCK]		= NONE,
	[VIRGL_CCMD_DECODE_BITSTREAM]		= NONE,
	[VIRGL_CCMD_ENCODE_BITSTREAM]		= ONE(VIRGL_ENCODE_BS_DEST_HANDLE),
	[VIRGL_CCMD_END_FRAME]			= NONE,
	[VIRGL_CCMD_CLEAR_SURFACE]		= NONE,
	[VIRGL_CCMD_GET_PIPE_RESOURCE_LAYOUT]	= NONE,
};

/* A transfer between the guest memory and the host's copy of a coherent buffer. */
static int scan_transfer(u32 *cmd, u32 len)
{
	/* Each byte has its place. */
	if (len < VIRGL_TRANSFER3D_SIZE ||
	    cmd[VIRGL_TRANSFER3D_DATA_OFFSET] != cmd[VIRGL_RESOURCE_IW_X])
		return -EINVAL;

	cmd[0] = VIRGL_CMD0(VIRGL_CCMD_NOP, 0, len);

	return 0;
}

/* What a command does with the guest memory of a resource. */
static int scan_memory(struct virtio_gpu_scan *scan, u32 *cmd, u32 len)
{
	switch (cmd[0] & 0xff) {
	case VIRGL_CCMD_TRANSFER3D:
		if (len >= VIRGL_RESOURCE_IW_RES_HANDLE &&
		    scan->is_coherent(scan, cmd[VIRGL_RESOURCE_IW_RES_HANDLE]))
			return scan_transfer(cmd, len);
		break;
	case VIRGL_CCMD_COPY_TRANSFER3D:
		if (len >= VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE &&
		    scan->is_coherent(scan, cmd[VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE]))
			return -EINVAL;
		break;
	}

	return 0;
}

/* What one writes: its header, and the @len dwords that there are behind it. */
static bool scan_writes(struct virtio_gpu_scan *scan, const u32 *cmd, u32 len)
{
	const struct scan_rule *rules = scan_rules;
	u32 nr = ARRAY_SIZE(scan_rules);
	struct scan_rule rule;
	u32 index, field;

	index = cmd[0] & 0xff;
	if (index == VIRGL_CCMD_CREATE_OBJECT) {
		rules = scan_object_rules;
		nr = ARRAY_SIZE(scan_object_rules);
		index = (cmd[0] >> 8) & 0xff;
	}

	if (index >= nr)
		return false;
	rule = rules[index];
	if (!rule.known)
		return false;
	if (!rule.first)
		return true;

	if (rule.step) {
		for (field = rule.first; field <= len; field += rule.step)
			scan->writes(scan, cmd[field]);
	} else {
		/* Then there is nothing the host could make of it either. */
		if (rule.first > len)
			return false;
		scan->writes(scan, cmd[rule.first]);
	}

	return true;
}

/**
 * virtio_gpu_scan - Find out what a virgl command stream may write
 * @scan: Where to report it
 * @dwords: The stream, in memory that user space can't change. Transfers of
 * coherent buffers' guest memory are replaced by no-ops of the same length.
 * @nr_dwords: Its length
 *
 * Context: Process context, without a lock that others need: there is no limit to
 * the length of a stream.
 * Return: 0; -EINVAL for a transfer that can't be had: the stream must not be
 * executed; -EINTR if the process is being killed.
 */
int virtio_gpu_scan(struct virtio_gpu_scan *scan, u32 *dwords,
		    size_t nr_dwords)
{
	int ret;

	scan->unknown = false;
	while (nr_dwords) {
		u32 len = dwords[0] >> 16;

		/* The host ends there as well. */
		if (len >= nr_dwords) {
			scan->unknown = true;
			return 0;
		}

		if (!scan_writes(scan, dwords, len))
			scan->unknown = true;
		ret = scan_memory(scan, dwords, len);
		if (ret)
			return ret;

		dwords += 1 + len;
		nr_dwords -= 1 + len;

		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}

	return 0;
}
