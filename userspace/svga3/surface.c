// SPDX-License-Identifier: MIT
/*
 * Surfaces. Guest memory and the device's copy have the same layout: a sheet for
 * each sample, in each the layers, in each the mip levels, in each slices of rows
 * of blocks, tightly packed. An image of a planar format is one plane after the
 * other, of which each has a part of each block. A command moves exactly what it
 * names, of all samples, and a box that is not within its image is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "svga3.h"

#include <svga3d_surfacedefs.h>

#define MAX_SURFACE_MEMORY (4ull << 30)

/* What an invalidated surface holds */
#define POISON 0xd5

struct blocks {
	u32 x, y, z, w, h, d;
};

static bool id_valid(struct svga3 *s, u32 sid)
{
	return sid < MAX_SURFACES &&
	       sid < s->otable_entries[SVGA_OTABLE_SURFACE];
}

struct surface *surface_get(struct svga3 *s, u32 sid)
{
	return id_valid(s, sid) ? s->surface[sid] : NULL;
}

/* --------------------------------------------------------------- lifetime */

static u32 mip_dim(u32 dim, u32 mip)
{
	return dim >> mip ?: 1;
}

static bool size_valid(const struct surface_info *info)
{
	const SVGA3dSize *size = &info->size;

	if (!size->width || !size->height || !size->depth)
		return false;
	if (info->format == SVGA3D_BUFFER)
		return size->width <= MAX_MOB_SIZE && size->height == 1 &&
		       size->depth == 1 && info->mips <= 1;
	return size->width <= MAX_TEXTURE && size->height <= MAX_TEXTURE &&
	       size->depth <= MAX_VOLUME;
}

static bool info_valid(struct svga3 *s, const struct surface_info *info)
{
	if (!size_valid(info) || info->mips > MAX_MIPS)
		return false;
	if (info->array && (!s->sm4 ||
			    info->array > SVGA3D_SM5_MAX_SURFACE_ARRAYSIZE))
		return false;
	if (info->samples > 1 && (!s->sm4 || info->samples > MAX_SAMPLES ||
				  info->samples & (info->samples - 1) ||
				  info->format == SVGA3D_BUFFER))
		return false;
	return info->format < ARRAY_SIZE(g_SVGA3dSurfaceDescs) &&
	       g_SVGA3dSurfaceDescs[info->format].blockDesc !=
			SVGA3DBLOCKDESC_NONE;
}

/* What is where in a block */
static int set_planes(struct surface *surf, const SVGA3dSurfaceDesc *desc,
		      u32 depth)
{
	static const struct plane nv12[] = { { 2, 2 }, { 2, 1 } };
	static const struct plane yv12[] = { { 2, 2 }, { 1, 1 }, { 1, 1 } };

	if (!(desc->blockDesc & SVGA3DBLOCKDESC_PLANAR_YUV)) {
		surf->plane[0] = (struct plane){ desc->bytesPerBlock, 1 };
		surf->planes = 1;
		return 0;
	}
	/* Both are of 2 x 2 pixels: four of brightness, and a color */
	if (depth > 1 || desc->bytesPerBlock != 6)
		return -EINVAL;
	if (desc->blockDesc & SVGA3DBLOCKDESC_2PLANAR_YUV) {
		memcpy(surf->plane, nv12, sizeof(nv12));
		surf->planes = ARRAY_SIZE(nv12);
	} else {
		memcpy(surf->plane, yv12, sizeof(yv12));
		surf->planes = ARRAY_SIZE(yv12);
	}
	return 0;
}

int surface_define(struct svga3 *s, u32 sid, const struct surface_info *info)
{
	const SVGA3dSurfaceDesc *desc;
	struct surface *surf;
	u32 i;

	if (!id_valid(s, sid) || s->surface[sid] || !info_valid(s, info))
		return -EINVAL;
	desc = &g_SVGA3dSurfaceDescs[info->format];

	surf = calloc(1, sizeof(*surf));
	if (!surf)
		return -ENOMEM;
	if (set_planes(surf, desc, info->size.depth)) {
		free(surf);
		return -EINVAL;
	}
	surf->block = desc->blockSize;
	surf->block_bytes = desc->bytesPerBlock;
	surf->flags = info->flags;
	surf->format = info->format;
	surf->mobid = SVGA3D_INVALID_ID;
	surf->mips = info->mips ?: 1;
	surf->sheets = info->samples ?: 1;
	surf->layers = info->array ?:
		       info->flags & SVGA3D_SURFACE_CUBEMAP ?
		       SVGA3D_MAX_SURFACE_FACES : 1;
	for (i = 0; i < surf->mips; i++) {
		struct mip *mip = &surf->mip[i];

		mip->size.width = mip_dim(info->size.width, i);
		mip->size.height = mip_dim(info->size.height, i);
		mip->size.depth = mip_dim(info->size.depth, i);
		mip->across = (mip->size.width + desc->blockSize.width - 1) /
			      desc->blockSize.width;
		mip->rows = (mip->size.height + desc->blockSize.height - 1) /
			    desc->blockSize.height;
		mip->row = (u64)mip->across * desc->bytesPerBlock;
		mip->bytes = mip->row * mip->rows * mip->size.depth;
		mip->offset = surf->layer_bytes;
		surf->layer_bytes += mip->bytes;
	}
	surf->sheet_bytes = surf->layer_bytes * surf->layers;
	surf->bytes = surf->sheet_bytes * surf->sheets;
	if (surf->bytes <= MAX_MOB_SIZE &&
	    s->surface_bytes + surf->bytes <= MAX_SURFACE_MEMORY)
		surf->data = calloc(1, surf->bytes);
	if (!surf->data) {
		free(surf);
		return -ENOMEM;
	}
	s->surface_bytes += surf->bytes;
	s->surface[sid] = surf;
	count(s, SVGA3_SURFACES, 1);
	return 0;
}

static void surface_free(struct svga3 *s, u32 sid)
{
	struct surface *surf = s->surface[sid];

	s->surface_bytes -= surf->bytes;
	s->surface[sid] = NULL;
	free(surf->data);
	free(surf);
	count(s, SVGA3_SURFACES, -1);
}

int surface_destroy(struct svga3 *s, u32 sid)
{
	if (!surface_get(s, sid))
		return -ENOENT;
	surface_free(s, sid);
	return 0;
}

void surface_reset(struct svga3 *s)
{
	unsigned int i;

	for (i = 0; i < MAX_SURFACES; i++)
		if (s->surface[i])
			surface_free(s, i);
}

int surface_bind(struct svga3 *s, u32 sid, SVGAMobId mobid)
{
	struct surface *surf = surface_get(s, sid);

	if (!surf)
		return -ENOENT;
	if (mobid != SVGA3D_INVALID_ID && !mob_get(s, mobid))
		return -ENOENT;
	surf->mobid = mobid;
	return 0;
}

/* ----------------------------------------------------------------- layout */

s64 surface_sub(struct surface *surf, u32 layer, u32 mip)
{
	if (!surf || layer >= surf->layers || mip >= surf->mips)
		return -1;
	return (u64)layer * surf->mips + mip;
}

static const struct mip *find_sub(struct surface *surf, u32 sub, u64 *offset)
{
	const struct mip *mip;

	if (sub >= surf->layers * surf->mips)
		return NULL;
	mip = &surf->mip[sub % surf->mips];
	*offset = sub / surf->mips * surf->layer_bytes + mip->offset;
	return mip;
}

const u8 *surface_image(struct surface *surf, u32 sub, const struct mip **mip)
{
	u64 offset;

	*mip = find_sub(surf, sub, &offset);
	return *mip ? surf->data + offset : NULL;
}

static bool dim_to_blocks(u32 *x, u32 *w, u32 block, u32 size)
{
	u64 end = (u64)*x + *w;

	if (end > size || *x % block || (end % block && end != size))
		return false;
	*w = (end + block - 1) / block - *x / block;
	*x /= block;
	return true;
}

/* A box of pixels in blocks, if it is within the image and on their edges */
static int box_to_blocks(struct surface *surf, const struct mip *mip,
			 const SVGA3dBox *box, struct blocks *b)
{
	const SVGA3dSize *block = &surf->block;

	*b = (struct blocks){ box->x, box->y, box->z, box->w, box->h, box->d };
	if (!dim_to_blocks(&b->x, &b->w, block->width, mip->size.width) ||
	    !dim_to_blocks(&b->y, &b->h, block->height, mip->size.height) ||
	    !dim_to_blocks(&b->z, &b->d, block->depth, mip->size.depth))
		return -ERANGE;
	return 0;
}

/* Calls a function for each piece of memory that a box of blocks is. */
static int each_row(struct surface *surf, u32 sub, const struct blocks *b,
		    int (*fn)(void *arg, u64 offset, u64 len), void *arg)
{
	u32 sheet, i, z, y;
	u64 at = 0, row, slice;
	int ret = 0;

	for (sheet = 0; sheet < surf->sheets; sheet++) {
		const struct mip *mip = find_sub(surf, sub, &at);

		at += sheet * surf->sheet_bytes;
		for (i = 0; i < surf->planes; i++) {
			const struct plane *plane = &surf->plane[i];

			row = (u64)mip->across * plane->bytes;
			slice = row * mip->rows * plane->rows;
			for (z = b->z; z < b->z + b->d && !ret; z++)
				for (y = b->y * plane->rows;
				     y < (b->y + b->h) * plane->rows && !ret; y++)
					ret = fn(arg, at + z * slice + y * row +
						 (u64)b->x * plane->bytes,
						 (u64)b->w * plane->bytes);
			at += slice;
		}
	}
	return ret;
}

static struct blocks all_blocks(struct surface *surf, const struct mip *mip)
{
	return (struct blocks){ .w = mip->across, .h = mip->rows,
				.d = mip->size.depth / surf->block.depth };
}

/* ------------------------------------------------- between guest and copy */

static int transfer(struct svga3 *s, struct surface *surf, u64 offset, u64 len,
		    bool readback)
{
	struct mob *mob = mob_get(s, surf->mobid);
	int ret;

	if (!mob)
		return -ENOENT;
	ret = readback ? mob_write(s, mob, offset, surf->data + offset, len) :
			 mob_read(s, mob, offset, surf->data + offset, len);
	if (!ret)
		count(s, readback ? SVGA3_READBACK_BYTES : SVGA3_UPDATE_BYTES,
		      len);
	return ret;
}

static int transfer_all(struct svga3 *s, u32 sid, bool readback)
{
	struct surface *surf = surface_get(s, sid);

	if (!surf)
		return -ENOENT;
	count(s, readback ? SVGA3_READBACKS : SVGA3_UPDATES, 1);
	return transfer(s, surf, 0, surf->bytes, readback);
}

struct row_transfer {
	struct svga3 *s;
	struct surface *surf;
	bool readback;
};

static int transfer_row(void *arg, u64 offset, u64 len)
{
	struct row_transfer *t = arg;

	return transfer(t->s, t->surf, offset, len, t->readback);
}

static int transfer_box(struct svga3 *s, u32 sid, u32 sub, const SVGA3dBox *box,
			bool readback)
{
	struct surface *surf = surface_get(s, sid);
	struct row_transfer t = { s, surf, readback };
	const struct mip *mip;
	struct blocks b;
	u64 at;
	int ret;

	if (!surf)
		return -ENOENT;
	mip = find_sub(surf, sub, &at);
	if (!mip)
		return -EINVAL;
	count(s, readback ? SVGA3_READBACKS : SVGA3_UPDATES, 1);
	if (!box) {
		b = all_blocks(surf, mip);
	} else {
		ret = box_to_blocks(surf, mip, box, &b);
		if (ret)
			return ret;
	}
	return each_row(surf, sub, &b, transfer_row, &t);
}

int surface_update(struct svga3 *s, u32 sid)
{
	return transfer_all(s, sid, false);
}

int surface_update_box(struct svga3 *s, u32 sid, u32 sub, const SVGA3dBox *box)
{
	return transfer_box(s, sid, sub, box, false);
}

int surface_readback(struct svga3 *s, u32 sid)
{
	return transfer_all(s, sid, true);
}

int surface_readback_box(struct svga3 *s, u32 sid, u32 sub,
			 const SVGA3dBox *box)
{
	return transfer_box(s, sid, sub, box, true);
}

int surface_invalidate(struct svga3 *s, u32 sid)
{
	struct surface *surf = surface_get(s, sid);

	if (!surf)
		return -ENOENT;
	count(s, SVGA3_INVALIDATES, 1);
	memset(surf->data, POISON, surf->bytes);
	return 0;
}

static int poison_row(void *arg, u64 offset, u64 len)
{
	struct surface *surf = arg;

	memset(surf->data + offset, POISON, len);
	return 0;
}

int surface_invalidate_sub(struct svga3 *s, u32 sid, u32 sub)
{
	struct surface *surf = surface_get(s, sid);
	const struct mip *mip;
	struct blocks b;
	u64 at;

	if (!surf)
		return -ENOENT;
	mip = find_sub(surf, sub, &at);
	if (!mip)
		return -EINVAL;
	count(s, SVGA3_INVALIDATES, 1);
	b = all_blocks(surf, mip);
	return each_row(surf, sub, &b, poison_row, surf);
}

/* --------------------------------------------------------- between copies */

static bool same_blocks(struct surface *a, struct surface *b)
{
	return a->block_bytes == b->block_bytes && a->sheets == b->sheets &&
	       a->planes == b->planes &&
	       !memcmp(a->plane, b->plane, sizeof(a->plane)) &&
	       !memcmp(&a->block, &b->block, sizeof(a->block));
}

/* The rows of a box, one after the other, and a surface that has them */
struct row_copy {
	u8 *data, *p;
};

static int gather_row(void *arg, u64 offset, u64 len)
{
	struct row_copy *c = arg;

	memcpy(c->p, c->data + offset, len);
	c->p += len;
	return 0;
}

static int scatter_row(void *arg, u64 offset, u64 len)
{
	struct row_copy *c = arg;

	memcpy(c->data + offset, c->p, len);
	c->p += len;
	return 0;
}

int surface_copy(struct svga3 *s, u32 dst, u32 dst_sub, u32 src, u32 src_sub,
		 const SVGA3dCopyBox *box)
{
	struct surface *to = surface_get(s, dst), *from = surface_get(s, src);
	const SVGA3dBox to_box = {
		box->x, box->y, box->z, box->w, box->h, box->d
	};
	const SVGA3dBox from_box = {
		box->srcx, box->srcy, box->srcz, box->w, box->h, box->d
	};
	const struct mip *to_mip, *from_mip;
	struct row_copy copy;
	struct blocks tb, fb;
	u64 at, len;
	u8 *rows;
	int ret;

	if (!to || !from)
		return -ENOENT;
	to_mip = find_sub(to, dst_sub, &at);
	from_mip = find_sub(from, src_sub, &at);
	if (!to_mip || !from_mip || !same_blocks(to, from))
		return -EINVAL;
	ret = box_to_blocks(to, to_mip, &to_box, &tb);
	if (!ret)
		ret = box_to_blocks(from, from_mip, &from_box, &fb);
	if (ret)
		return ret;
	if (tb.w != fb.w || tb.h != fb.h || tb.d != fb.d)
		return -ERANGE;

	/* By way of a buffer, since the boxes may overlap */
	len = (u64)tb.w * tb.h * tb.d * to->block_bytes * to->sheets;
	rows = malloc(len ?: 1);
	if (!rows)
		return -ENOMEM;
	copy = (struct row_copy){ from->data, rows };
	each_row(from, src_sub, &fb, gather_row, &copy);
	copy = (struct row_copy){ to->data, rows };
	each_row(to, dst_sub, &tb, scatter_row, &copy);
	free(rows);
	count(s, SVGA3_COPIES, 1);
	count(s, SVGA3_COPY_BYTES, len);
	return 0;
}

int surface_copy_whole(struct svga3 *s, u32 dst, u32 src)
{
	struct surface *to = surface_get(s, dst), *from = surface_get(s, src);

	if (!to || !from)
		return -ENOENT;
	if (!same_blocks(to, from) || to->mips != from->mips ||
	    to->layers != from->layers ||
	    memcmp(&to->mip[0].size, &from->mip[0].size,
		   sizeof(to->mip[0].size)))
		return -EINVAL;
	memmove(to->data, from->data, to->bytes);
	count(s, SVGA3_COPIES, 1);
	count(s, SVGA3_COPY_BYTES, to->bytes);
	return 0;
}

/* To the rows of a box, from a buffer with pitches of its own */
struct row_fill {
	struct surface *to, *from;
	const SVGA3dCmdDXTransferFromBuffer *c;
	u32 rows, row;		/* in a slice, and done so far */
};

static int fill_row(void *arg, u64 offset, u64 len)
{
	struct row_fill *f = arg;
	u64 src = f->c->srcOffset +
		  (u64)(f->row / f->rows) * f->c->srcSlicePitch +
		  (u64)(f->row % f->rows) * f->c->srcPitch;

	f->row++;
	if (src > f->from->bytes || len > f->from->bytes - src)
		return -ERANGE;
	memmove(f->to->data + offset, f->from->data + src, len);
	return 0;
}

int surface_from_buffer(struct svga3 *s, const SVGA3dCmdDXTransferFromBuffer *c)
{
	struct surface *to = surface_get(s, c->destSid);
	struct surface *from = surface_get(s, c->srcSid);
	struct row_fill fill = { .to = to, .from = from, .c = c };
	const struct mip *mip;
	struct blocks b;
	u64 at;
	int ret;

	if (!to || !from)
		return -ENOENT;
	mip = find_sub(to, c->destSubResource, &at);
	if (!mip || from->format != SVGA3D_BUFFER || to->sheets > 1 ||
	    to->planes > 1)
		return -EINVAL;
	ret = box_to_blocks(to, mip, &c->destBox, &b);
	if (ret)
		return ret;
	fill.rows = b.h;
	ret = each_row(to, c->destSubResource, &b, fill_row, &fill);
	if (ret)
		return ret;
	count(s, SVGA3_COPIES, 1);
	count(s, SVGA3_COPY_BYTES, (u64)b.w * b.h * b.d * to->block_bytes);
	return 0;
}
