// SPDX-License-Identifier: MIT
/*
 * The commands: sizes are checked here, what they name where it is kept. The
 * first that is refused ends its buffer with SVGA_CB_STATUS_COMMAND_ERROR and
 * its offset.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "svga3.h"

#define SM4	(1 << 0)	/* needs SVGA_CAP_DX */
#define UPDATE	(1 << 1)	/* from guest memory to the device */

struct command {
	const char *name;
	u32 size;		/* of the body without what may follow */
	u32 flags;
	int (*run)(struct svga3 *s, struct cmdbuf *cb, const void *body,
		   u32 size);
};

/* -------------------------------------------------------- object tables */

static const u32 otable_entry_size[] = {
	[SVGA_OTABLE_MOB] = sizeof(SVGAOTableMobEntry),
	[SVGA_OTABLE_SURFACE] = sizeof(SVGAOTableSurfaceEntry),
	[SVGA_OTABLE_CONTEXT] = sizeof(SVGAOTableContextEntry),
	[SVGA_OTABLE_SHADER] = sizeof(SVGAOTableShaderEntry),
	[SVGA_OTABLE_SCREENTARGET] = sizeof(SVGAOTableScreenTargetEntry),
	[SVGA_OTABLE_DXCONTEXT] = sizeof(SVGAOTableDXContextEntry),
};

/* The tables are the device's to fill, and it has no need to. */
static int set_otable(struct svga3 *s, u32 type, u32 size, u32 depth)
{
	if (type >= (s->sm4 ? SVGA_OTABLE_DX_MAX : SVGA_OTABLE_DX9_MAX))
		return -EINVAL;
	if (size && (depth >= SVGA3D_MOBFMT_PREDX_MAX ||
		     depth == SVGA3D_MOBFMT_PT_2 ||
		     depth == SVGA3D_MOBFMT_PT64_2))
		return -EINVAL;
	s->otable_entries[type] = size / otable_entry_size[type];
	return 0;
}

static int set_otable_base(struct svga3 *s, struct cmdbuf *cb,
			   const void *body, u32 size)
{
	const SVGA3dCmdSetOTableBase *c = body;

	return set_otable(s, c->type, c->sizeInBytes, c->ptDepth);
}

static int set_otable_base64(struct svga3 *s, struct cmdbuf *cb,
			     const void *body, u32 size)
{
	const SVGA3dCmdSetOTableBase64 *c = body;

	return set_otable(s, c->type, c->sizeInBytes, c->ptDepth);
}

static int readback_otable(struct svga3 *s, struct cmdbuf *cb,
			   const void *body, u32 size)
{
	const SVGA3dCmdReadbackOTable *c = body;

	return c->type < SVGA_OTABLE_DX_MAX ? 0 : -EINVAL;
}

/* ------------------------------------------------------------------- mobs */

static int define_gb_mob(struct svga3 *s, struct cmdbuf *cb, const void *body,
			 u32 size)
{
	const SVGA3dCmdDefineGBMob *c = body;

	return mob_define(s, c->mobid, c->ptDepth, c->base, c->sizeInBytes);
}

static int define_gb_mob64(struct svga3 *s, struct cmdbuf *cb,
			   const void *body, u32 size)
{
	const SVGA3dCmdDefineGBMob64 *c = body;

	return mob_define(s, c->mobid, c->ptDepth, c->base, c->sizeInBytes);
}

static int redefine_gb_mob64(struct svga3 *s, struct cmdbuf *cb,
			     const void *body, u32 size)
{
	int ret = mob_destroy(s, ((const SVGA3dCmdRedefineGBMob64 *)body)->mobid);

	return ret ?: define_gb_mob64(s, cb, body, size);
}

static int destroy_gb_mob(struct svga3 *s, struct cmdbuf *cb, const void *body,
			  u32 size)
{
	return mob_destroy(s, ((const SVGA3dCmdDestroyGBMob *)body)->mobid);
}

static int update_gb_mob_mapping(struct svga3 *s, struct cmdbuf *cb,
				 const void *body, u32 size)
{
	const SVGA3dCmdUpdateGBMobMapping *c = body;

	return mob_get(s, c->mobid) ? 0 : -ENOENT;
}

static int mob_fence(struct svga3 *s, u32 mobid, u32 offset, const void *val,
		     u32 len)
{
	struct mob *mob = mob_get(s, mobid);

	return mob ? mob_write(s, mob, offset, val, len) : -ENOENT;
}

static int gb_mob_fence(struct svga3 *s, struct cmdbuf *cb, const void *body,
			u32 size)
{
	const SVGA3dCmdGBMobFence *c = body;

	return mob_fence(s, c->mobId, c->mobOffset, &c->value,
			 sizeof(c->value));
}

static int dx_mob_fence_64(struct svga3 *s, struct cmdbuf *cb,
			   const void *body, u32 size)
{
	const SVGA3dCmdDXMobFence64 *c = body;

	return mob_fence(s, c->mobId, c->mobOffset, &c->value,
			 sizeof(c->value));
}

/* --------------------------------------------------------------- surfaces */

static int define_gb_surface(struct svga3 *s, struct cmdbuf *cb,
			     const void *body, u32 size)
{
	const SVGA3dCmdDefineGBSurface *c = body;
	const struct surface_info info = {
		.flags = c->surfaceFlags,
		.format = c->format,
		.mips = c->numMipLevels,
		.samples = c->multisampleCount,
		.size = c->size,
	};

	return surface_define(s, c->sid, &info);
}

static int define_gb_surface_v2(struct svga3 *s, struct cmdbuf *cb,
				const void *body, u32 size)
{
	const SVGA3dCmdDefineGBSurface_v2 *c = body;
	const struct surface_info info = {
		.flags = c->surfaceFlags,
		.format = c->format,
		.mips = c->numMipLevels,
		.samples = c->multisampleCount,
		.array = c->arraySize,
		.size = c->size,
	};

	return surface_define(s, c->sid, &info);
}

/* V4 has a stride of structures in a buffer behind that. */
static int define_gb_surface_v3(struct svga3 *s, struct cmdbuf *cb,
				const void *body, u32 size)
{
	const SVGA3dCmdDefineGBSurface_v3 *c = body;
	const struct surface_info info = {
		.flags = c->surfaceFlags,
		.format = c->format,
		.mips = c->numMipLevels,
		.samples = c->multisampleCount,
		.array = c->arraySize,
		.size = c->size,
	};

	return surface_define(s, c->sid, &info);
}

static int destroy_gb_surface(struct svga3 *s, struct cmdbuf *cb,
			      const void *body, u32 size)
{
	return surface_destroy(s, ((const SVGA3dCmdDestroyGBSurface *)body)->sid);
}

static int bind_gb_surface(struct svga3 *s, struct cmdbuf *cb,
			   const void *body, u32 size)
{
	const SVGA3dCmdBindGBSurface *c = body;

	return surface_bind(s, c->sid, c->mobid);
}

static int cond_bind_gb_surface(struct svga3 *s, struct cmdbuf *cb,
				const void *body, u32 size)
{
	const SVGA3dCmdCondBindGBSurface *c = body;
	struct surface *surf = surface_get(s, c->sid);
	int ret = 0;

	if (!surf)
		return -ENOENT;
	if (surf->mobid != c->testMobid)
		return 0;
	if (c->flags & SVGA3D_COND_BIND_GB_SURFACE_FLAG_READBACK)
		ret = surface_readback(s, c->sid);
	if (!ret)
		ret = surface_bind(s, c->sid, c->mobid);
	if (!ret && c->flags & SVGA3D_COND_BIND_GB_SURFACE_FLAG_UPDATE)
		ret = surface_update(s, c->sid);
	return ret;
}

/* The number of a subresource that is named by its face and mip level */
static int image_sub(struct svga3 *s, const SVGA3dSurfaceImageId *image,
		     u32 *sub)
{
	struct surface *surf = surface_get(s, image->sid);
	s64 n = surface_sub(surf, image->face, image->mipmap);

	if (n < 0)
		return surf ? -EINVAL : -ENOENT;
	*sub = n;
	return 0;
}

static int update_gb_image(struct svga3 *s, struct cmdbuf *cb,
			   const void *body, u32 size)
{
	const SVGA3dCmdUpdateGBImage *c = body;
	u32 sub;

	return image_sub(s, &c->image, &sub) ?:
	       surface_update_box(s, c->image.sid, sub, &c->box);
}

static int update_gb_surface(struct svga3 *s, struct cmdbuf *cb,
			     const void *body, u32 size)
{
	return surface_update(s, ((const SVGA3dCmdUpdateGBSurface *)body)->sid);
}

static int readback_gb_image(struct svga3 *s, struct cmdbuf *cb,
			     const void *body, u32 size)
{
	const SVGA3dCmdReadbackGBImage *c = body;
	u32 sub;

	return image_sub(s, &c->image, &sub) ?:
	       surface_readback_box(s, c->image.sid, sub, NULL);
}

static int readback_gb_image_partial(struct svga3 *s, struct cmdbuf *cb,
				     const void *body, u32 size)
{
	const SVGA3dCmdReadbackGBImagePartial *c = body;
	u32 sub;

	if (c->invertBox)
		return -EOPNOTSUPP;
	return image_sub(s, &c->image, &sub) ?:
	       surface_readback_box(s, c->image.sid, sub, &c->box);
}

static int readback_gb_surface(struct svga3 *s, struct cmdbuf *cb,
			       const void *body, u32 size)
{
	return surface_readback(s, ((const SVGA3dCmdReadbackGBSurface *)body)->sid);
}

static int invalidate_gb_image(struct svga3 *s, struct cmdbuf *cb,
			       const void *body, u32 size)
{
	const SVGA3dCmdInvalidateGBImage *c = body;
	u32 sub;

	return image_sub(s, &c->image, &sub) ?:
	       surface_invalidate_sub(s, c->image.sid, sub);
}

static int invalidate_gb_surface(struct svga3 *s, struct cmdbuf *cb,
				 const void *body, u32 size)
{
	const SVGA3dCmdInvalidateGBSurface *c = body;

	return surface_invalidate(s, c->sid);
}

static int dx_update_subresource(struct svga3 *s, struct cmdbuf *cb,
				 const void *body, u32 size)
{
	const SVGA3dCmdDXUpdateSubResource *c = body;

	return surface_update_box(s, c->sid, c->subResource, &c->box);
}

static int dx_buffer_update(struct svga3 *s, struct cmdbuf *cb,
			    const void *body, u32 size)
{
	const SVGA3dCmdDXBufferUpdate *c = body;
	const SVGA3dBox box = { .x = c->x, .w = c->width, .h = 1, .d = 1 };
	struct surface *surf = surface_get(s, c->sid);

	if (!surf || surf->format != SVGA3D_BUFFER)
		return surf ? -EINVAL : -ENOENT;
	return surface_update_box(s, c->sid, 0, &box);
}

static int dx_readback_subresource(struct svga3 *s, struct cmdbuf *cb,
				   const void *body, u32 size)
{
	const SVGA3dCmdDXReadbackSubResource *c = body;

	return surface_readback_box(s, c->sid, c->subResource, NULL);
}

static int dx_invalidate_subresource(struct svga3 *s, struct cmdbuf *cb,
				     const void *body, u32 size)
{
	const SVGA3dCmdDXInvalidateSubResource *c = body;

	return surface_invalidate_sub(s, c->sid, c->subResource);
}

/* ----------------------------------------------------------------- copies */

static int surface_copy_cmd(struct svga3 *s, struct cmdbuf *cb,
			    const void *body, u32 size)
{
	const SVGA3dCmdSurfaceCopy *c = body;
	const SVGA3dCopyBox *box = (const void *)(c + 1);
	u32 n = (size - sizeof(*c)) / sizeof(*box), src, dst;
	int ret;

	if (size != sizeof(*c) + n * sizeof(*box))
		return -EINVAL;
	ret = image_sub(s, &c->src, &src) ?: image_sub(s, &c->dest, &dst);
	for (; n && !ret; n--)
		ret = surface_copy(s, c->dest.sid, dst, c->src.sid, src, box++);
	return ret;
}

static int intra_surface_copy(struct svga3 *s, struct cmdbuf *cb,
			      const void *body, u32 size)
{
	const SVGA3dCmdIntraSurfaceCopy *c = body;
	u32 sub;

	return image_sub(s, &c->surface, &sub) ?:
	       surface_copy(s, c->surface.sid, sub, c->surface.sid, sub,
			    &c->box);
}

static int whole_surface_copy(struct svga3 *s, struct cmdbuf *cb,
			      const void *body, u32 size)
{
	const SVGA3dCmdWholeSurfaceCopy *c = body;

	return surface_copy_whole(s, c->destSid, c->srcSid);
}

static int dx_pred_copy_region(struct svga3 *s, struct cmdbuf *cb,
			       const void *body, u32 size)
{
	const SVGA3dCmdDXPredCopyRegion *c = body;

	return surface_copy(s, c->dstSid, c->dstSubResource, c->srcSid,
			    c->srcSubResource, &c->box);
}

static int dx_pred_copy(struct svga3 *s, struct cmdbuf *cb, const void *body,
			u32 size)
{
	const SVGA3dCmdDXPredCopy *c = body;

	return surface_copy_whole(s, c->dstSid, c->srcSid);
}

static int dx_buffer_copy(struct svga3 *s, struct cmdbuf *cb, const void *body,
			  u32 size)
{
	const SVGA3dCmdDXBufferCopy *c = body;
	const SVGA3dCopyBox box = {
		.x = c->destX, .srcx = c->srcX, .w = c->width, .h = 1, .d = 1,
	};
	struct surface *dst = surface_get(s, c->dest);

	if (dst && dst->format != SVGA3D_BUFFER)
		return -EINVAL;
	return surface_copy(s, c->dest, 0, c->src, 0, &box);
}

static int dx_transfer_from_buffer(struct svga3 *s, struct cmdbuf *cb,
				   const void *body, u32 size)
{
	return surface_from_buffer(s, body);
}

/* ----------------------------------------------------------- screen targets */

static int define_gb_screentarget(struct svga3 *s, struct cmdbuf *cb,
				  const void *body, u32 size)
{
	return screen_define(s, body);
}

static int destroy_gb_screentarget(struct svga3 *s, struct cmdbuf *cb,
				   const void *body, u32 size)
{
	const SVGA3dCmdDestroyGBScreenTarget *c = body;

	return screen_destroy(s, c->stid);
}

static int bind_gb_screentarget(struct svga3 *s, struct cmdbuf *cb,
				const void *body, u32 size)
{
	return screen_bind(s, body);
}

static int update_gb_screentarget(struct svga3 *s, struct cmdbuf *cb,
				  const void *body, u32 size)
{
	const SVGA3dCmdUpdateGBScreenTarget *c = body;

	return screen_update(s, c->stid, &c->rect);
}

/* ------------------------------- contexts and shaders: that they exist only */

static int define_id(u8 *ids, u32 max, u32 id)
{
	if (id >= max || ids[id])
		return -EINVAL;
	ids[id] = 1;
	return 0;
}

static int destroy_id(u8 *ids, u32 max, u32 id)
{
	if (id >= max || !ids[id])
		return -ENOENT;
	ids[id] = 0;
	return 0;
}

static int use_id(u8 *ids, u32 max, u32 id)
{
	return id < max && ids[id] ? 0 : -ENOENT;
}

static int bind_id(struct svga3 *s, u8 *ids, u32 max, u32 id, u32 mobid)
{
	if (mobid != SVGA3D_INVALID_ID && !mob_get(s, mobid))
		return -ENOENT;
	return use_id(ids, max, id);
}

static int define_gb_context(struct svga3 *s, struct cmdbuf *cb,
			     const void *body, u32 size)
{
	return define_id(s->context, MAX_CONTEXTS, *(const u32 *)body);
}

static int destroy_gb_context(struct svga3 *s, struct cmdbuf *cb,
			      const void *body, u32 size)
{
	return destroy_id(s->context, MAX_CONTEXTS, *(const u32 *)body);
}

static int use_gb_context(struct svga3 *s, struct cmdbuf *cb,
			  const void *body, u32 size)
{
	return use_id(s->context, MAX_CONTEXTS, *(const u32 *)body);
}

static int bind_gb_context(struct svga3 *s, struct cmdbuf *cb,
			   const void *body, u32 size)
{
	const SVGA3dCmdBindGBContext *c = body;

	return bind_id(s, s->context, MAX_CONTEXTS, c->cid, c->mobid);
}

static int define_gb_shader(struct svga3 *s, struct cmdbuf *cb,
			    const void *body, u32 size)
{
	return define_id(s->shader, MAX_SHADERS, *(const u32 *)body);
}

static int destroy_gb_shader(struct svga3 *s, struct cmdbuf *cb,
			     const void *body, u32 size)
{
	return destroy_id(s->shader, MAX_SHADERS, *(const u32 *)body);
}

static int bind_gb_shader(struct svga3 *s, struct cmdbuf *cb, const void *body,
			  u32 size)
{
	const SVGA3dCmdBindGBShader *c = body;

	return bind_id(s, s->shader, MAX_SHADERS, c->shid, c->mobid);
}

static int dx_define_context(struct svga3 *s, struct cmdbuf *cb,
			     const void *body, u32 size)
{
	return define_id(s->dx_context, MAX_CONTEXTS, *(const u32 *)body);
}

static int dx_destroy_context(struct svga3 *s, struct cmdbuf *cb,
			      const void *body, u32 size)
{
	return destroy_id(s->dx_context, MAX_CONTEXTS, *(const u32 *)body);
}

static int use_dx_context(struct svga3 *s, struct cmdbuf *cb, const void *body,
			  u32 size)
{
	return use_id(s->dx_context, MAX_CONTEXTS, *(const u32 *)body);
}

static int dx_bind_context(struct svga3 *s, struct cmdbuf *cb,
			   const void *body, u32 size)
{
	const SVGA3dCmdDXBindContext *c = body;

	return bind_id(s, s->dx_context, MAX_CONTEXTS, c->cid, c->mobid);
}

static int dx_set_cotable(struct svga3 *s, struct cmdbuf *cb, const void *body,
			  u32 size)
{
	const SVGA3dCmdDXSetCOTable *c = body;

	if ((u32)c->type >= SVGA_COTABLE_MAX)
		return -EINVAL;
	return bind_id(s, s->dx_context, MAX_CONTEXTS, c->cid, c->mobid);
}

/* No query is ever begun, so each wait is over. */
static int wait_for_gb_query(struct svga3 *s, struct cmdbuf *cb,
			     const void *body, u32 size)
{
	const SVGA3dCmdWaitForGBQuery *c = body;

	return mob_get(s, c->mobid) ? 0 : -ENOENT;
}

static int nop(struct svga3 *s, struct cmdbuf *cb, const void *body, u32 size)
{
	return 0;
}

static int nop_error(struct svga3 *s, struct cmdbuf *cb, const void *body,
		     u32 size)
{
	return -EINVAL;
}

#define CMD(id, type, run, flags)					\
	[SVGA_3D_CMD_##id - SVGA_3D_CMD_BASE] = { #id, sizeof(type), flags, run }

static const struct command commands[SVGA_NUM_3D_CMD] = {
	CMD(SURFACE_COPY, SVGA3dCmdSurfaceCopy, surface_copy_cmd, 0),
	CMD(SET_OTABLE_BASE, SVGA3dCmdSetOTableBase, set_otable_base, 0),
	CMD(SET_OTABLE_BASE64, SVGA3dCmdSetOTableBase64, set_otable_base64, 0),
	CMD(READBACK_OTABLE, SVGA3dCmdReadbackOTable, readback_otable, 0),
	CMD(DEFINE_GB_MOB, SVGA3dCmdDefineGBMob, define_gb_mob, 0),
	CMD(DEFINE_GB_MOB64, SVGA3dCmdDefineGBMob64, define_gb_mob64, 0),
	CMD(REDEFINE_GB_MOB64, SVGA3dCmdRedefineGBMob64, redefine_gb_mob64, 0),
	CMD(DESTROY_GB_MOB, SVGA3dCmdDestroyGBMob, destroy_gb_mob, 0),
	CMD(UPDATE_GB_MOB_MAPPING, SVGA3dCmdUpdateGBMobMapping,
	    update_gb_mob_mapping, 0),
	CMD(GB_MOB_FENCE, SVGA3dCmdGBMobFence, gb_mob_fence, 0),
	CMD(DEFINE_GB_SURFACE, SVGA3dCmdDefineGBSurface, define_gb_surface, 0),
	CMD(DEFINE_GB_SURFACE_V2, SVGA3dCmdDefineGBSurface_v2,
	    define_gb_surface_v2, 0),
	CMD(DEFINE_GB_SURFACE_V3, SVGA3dCmdDefineGBSurface_v3,
	    define_gb_surface_v3, SM4),
	CMD(DEFINE_GB_SURFACE_V4, SVGA3dCmdDefineGBSurface_v4,
	    define_gb_surface_v3, SM4),
	CMD(DESTROY_GB_SURFACE, SVGA3dCmdDestroyGBSurface, destroy_gb_surface,
	    0),
	CMD(BIND_GB_SURFACE, SVGA3dCmdBindGBSurface, bind_gb_surface, 0),
	CMD(COND_BIND_GB_SURFACE, SVGA3dCmdCondBindGBSurface,
	    cond_bind_gb_surface, 0),
	CMD(UPDATE_GB_IMAGE, SVGA3dCmdUpdateGBImage, update_gb_image, UPDATE),
	CMD(UPDATE_GB_SURFACE, SVGA3dCmdUpdateGBSurface, update_gb_surface,
	    UPDATE),
	CMD(READBACK_GB_IMAGE, SVGA3dCmdReadbackGBImage, readback_gb_image, 0),
	CMD(READBACK_GB_IMAGE_PARTIAL, SVGA3dCmdReadbackGBImagePartial,
	    readback_gb_image_partial, 0),
	CMD(READBACK_GB_SURFACE, SVGA3dCmdReadbackGBSurface,
	    readback_gb_surface, 0),
	CMD(INVALIDATE_GB_IMAGE, SVGA3dCmdInvalidateGBImage,
	    invalidate_gb_image, 0),
	CMD(INVALIDATE_GB_SURFACE, SVGA3dCmdInvalidateGBSurface,
	    invalidate_gb_surface, 0),
	CMD(INTRA_SURFACE_COPY, SVGA3dCmdIntraSurfaceCopy, intra_surface_copy,
	    0),
	CMD(WHOLE_SURFACE_COPY, SVGA3dCmdWholeSurfaceCopy, whole_surface_copy,
	    0),
	CMD(DEFINE_GB_SCREENTARGET, SVGA3dCmdDefineGBScreenTarget,
	    define_gb_screentarget, 0),
	CMD(DESTROY_GB_SCREENTARGET, SVGA3dCmdDestroyGBScreenTarget,
	    destroy_gb_screentarget, 0),
	CMD(BIND_GB_SCREENTARGET, SVGA3dCmdBindGBScreenTarget,
	    bind_gb_screentarget, 0),
	CMD(UPDATE_GB_SCREENTARGET, SVGA3dCmdUpdateGBScreenTarget,
	    update_gb_screentarget, 0),
	CMD(DEFINE_GB_CONTEXT, SVGA3dCmdDefineGBContext, define_gb_context, 0),
	CMD(DESTROY_GB_CONTEXT, SVGA3dCmdDestroyGBContext, destroy_gb_context,
	    0),
	CMD(BIND_GB_CONTEXT, SVGA3dCmdBindGBContext, bind_gb_context, 0),
	CMD(READBACK_GB_CONTEXT, SVGA3dCmdReadbackGBContext, use_gb_context, 0),
	CMD(INVALIDATE_GB_CONTEXT, SVGA3dCmdInvalidateGBContext,
	    use_gb_context, 0),
	CMD(DEFINE_GB_SHADER, SVGA3dCmdDefineGBShader, define_gb_shader, 0),
	CMD(DESTROY_GB_SHADER, SVGA3dCmdDestroyGBShader, destroy_gb_shader, 0),
	CMD(BIND_GB_SHADER, SVGA3dCmdBindGBShader, bind_gb_shader, 0),
	CMD(WAIT_FOR_GB_QUERY, SVGA3dCmdWaitForGBQuery, wait_for_gb_query, 0),
	CMD(NOP, u8[0], nop, 0),
	CMD(NOP_ERROR, u8[0], nop_error, 0),
	CMD(DX_DEFINE_CONTEXT, SVGA3dCmdDXDefineContext, dx_define_context,
	    SM4),
	CMD(DX_DESTROY_CONTEXT, SVGA3dCmdDXDestroyContext, dx_destroy_context,
	    SM4),
	CMD(DX_BIND_CONTEXT, SVGA3dCmdDXBindContext, dx_bind_context, SM4),
	CMD(DX_READBACK_CONTEXT, SVGA3dCmdDXReadbackContext, use_dx_context,
	    SM4),
	CMD(DX_INVALIDATE_CONTEXT, SVGA3dCmdDXInvalidateContext,
	    use_dx_context, SM4),
	CMD(DX_SET_COTABLE, SVGA3dCmdDXSetCOTable, dx_set_cotable, SM4),
	CMD(DX_READBACK_COTABLE, SVGA3dCmdDXReadbackCOTable, use_dx_context,
	    SM4),
	CMD(DX_READBACK_ALL_QUERY, SVGA3dCmdDXReadbackAllQuery,
	    use_dx_context, SM4),
	CMD(DX_UPDATE_SUBRESOURCE, SVGA3dCmdDXUpdateSubResource,
	    dx_update_subresource, SM4 | UPDATE),
	CMD(DX_BUFFER_UPDATE, SVGA3dCmdDXBufferUpdate, dx_buffer_update,
	    SM4 | UPDATE),
	CMD(DX_READBACK_SUBRESOURCE, SVGA3dCmdDXReadbackSubResource,
	    dx_readback_subresource, SM4),
	CMD(DX_INVALIDATE_SUBRESOURCE, SVGA3dCmdDXInvalidateSubResource,
	    dx_invalidate_subresource, SM4),
	CMD(DX_PRED_COPY_REGION, SVGA3dCmdDXPredCopyRegion,
	    dx_pred_copy_region, SM4),
	CMD(DX_PRED_COPY, SVGA3dCmdDXPredCopy, dx_pred_copy, SM4),
	CMD(DX_BUFFER_COPY, SVGA3dCmdDXBufferCopy, dx_buffer_copy, SM4),
	CMD(DX_TRANSFER_FROM_BUFFER, SVGA3dCmdDXTransferFromBuffer,
	    dx_transfer_from_buffer, SM4),
	CMD(DX_MOB_FENCE_64, SVGA3dCmdDXMobFence64, dx_mob_fence_64, SM4),
};

/* ---------------------------------------------------------------- dispatch */

/* A log line: the command, and the numbers of its body */
static void trace(struct svga3 *s, u32 offset, const char *name,
		  const void *body, u32 size)
{
	char line[256];
	u32 i, val;
	int n = 0;

	if (!atomic_load(&s->knob[SVGA3_TRACE]))
		return;
	line[0] = '\0';
	for (i = 0; i + 4 <= size && n < (int)sizeof(line) - 12; i += 4) {
		memcpy(&val, (const u8 *)body + i, 4);
		n += snprintf(line + n, sizeof(line) - n,
			      val < 0x1000000 ? " %u" : " %#x", val);
	}
	say(s, "%5u: %s%s%s", offset, name, line, i < size ? " ..." : "");
}

static bool drop(struct svga3 *s, u32 id, const struct command *c)
{
	u32 which = atomic_load(&s->knob[SVGA3_DROP_COMMAND]);
	u32 n = atomic_load(&s->knob[SVGA3_DROP_COUNT]);

	if (!n || (which ? which != id : !(c->flags & UPDATE)))
		return false;
	atomic_compare_exchange_strong(&s->knob[SVGA3_DROP_COUNT], &n, n - 1);
	count(s, SVGA3_DROPPED, 1);
	say(s, "%s dropped", c->name);
	return true;
}

/* Commands of the 2D device have no size in their header. */
static int run_2d(struct svga3 *s, struct cmdbuf *cb, u32 offset, u32 *size)
{
	const u8 *body = cb->data + offset + sizeof(u32);
	u64 left = cb->header.length - offset - sizeof(u32), need;
	SVGAFifoCmdDefineAlphaCursor alpha;
	SVGAFifoCmdEscape escape;
	u32 id;

	memcpy(&id, cb->data + offset, sizeof(id));
	switch (id) {
	case SVGA_CMD_FENCE:
		need = sizeof(SVGAFifoCmdFence);
		if (left < need)
			return -EINVAL;
		memcpy(&cb->fence, body, sizeof(cb->fence));
		cb->has_fence = true;
		count(s, SVGA3_FENCES, 1);
		trace(s, offset, "FENCE", body, need);
		break;
	case SVGA_CMD_UPDATE:
		need = sizeof(SVGAFifoCmdUpdate);
		break;
	case SVGA_CMD_NOP:
		need = 0;
		break;
	case SVGA_CMD_DEFINE_ALPHA_CURSOR:
		need = sizeof(alpha);
		if (left < need)
			return -EINVAL;
		memcpy(&alpha, body, sizeof(alpha));
		need += 4ull * alpha.width * alpha.height;
		if (left < need ||
		    cursor_define(s, alpha.width, alpha.height,
				  body + sizeof(alpha)))
			return -EINVAL;
		break;
	case SVGA_CMD_ESCAPE:
		need = sizeof(escape);
		if (left < need)
			return -EINVAL;
		memcpy(&escape, body, sizeof(escape));
		need += escape.size;
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (need > left)
		return -EINVAL;
	*size = sizeof(u32) + need;
	return 0;
}

static int run_3d(struct svga3 *s, struct cmdbuf *cb, u32 offset, u32 *size)
{
	u32 left = cb->header.length - offset;
	const struct command *c;
	SVGA3dCmdHeader h;
	void *body;
	int ret;

	if (left < sizeof(h))
		return -EINVAL;
	memcpy(&h, cb->data + offset, sizeof(h));
	left -= sizeof(h);
	if (h.size > left || h.id < SVGA_3D_CMD_BASE || h.id >= SVGA_3D_CMD_MAX)
		return -EINVAL;
	c = &commands[h.id - SVGA_3D_CMD_BASE];
	if (!c->run || (c->flags & SM4 && !s->sm4))
		return -EOPNOTSUPP;
	if (h.size < c->size)
		return -EINVAL;
	trace(s, offset, c->name, cb->data + offset + sizeof(h), h.size);
	*size = sizeof(h) + h.size;
	if (drop(s, h.id, c))
		return 0;
	/* A device that is slower than the CPU */
	usleep(atomic_load(&s->knob[SVGA3_SLOW_US]));
	/* Aligned, and of its size exactly for the sanitizers */
	body = malloc(h.size ?: 1);
	if (!body)
		return -ENOMEM;
	memcpy(body, cb->data + offset + sizeof(h), h.size);
	ret = c->run(s, cb, body, h.size);
	free(body);
	return ret;
}

bool commands_run(struct svga3 *s, struct cmdbuf *cb)
{
	u32 offset = cb->header.offset, id, size = 0;
	int ret;

	for (; offset < cb->header.length; offset += size) {
		ret = -EINVAL;
		id = 0;
		if (cb->header.length - offset >= sizeof(id)) {
			memcpy(&id, cb->data + offset, sizeof(id));
			ret = id < SVGA_CMD_MAX ?
			      run_2d(s, cb, offset, &size) :
			      run_3d(s, cb, offset, &size);
		}
		if (ret) {
			const char *name = "unknown command";

			if (id >= SVGA_3D_CMD_BASE && id < SVGA_3D_CMD_MAX &&
			    commands[id - SVGA_3D_CMD_BASE].name)
				name = commands[id - SVGA_3D_CMD_BASE].name;
			say(s, "refused: %s (%u) at %u of %u bytes: %s", name,
			    id, offset, cb->header.length, strerror(-ret));
			cb->error_offset = offset;
			return false;
		}
		count(s, SVGA3_COMMANDS, 1);
	}
	return true;
}
