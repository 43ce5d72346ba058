// SPDX-License-Identifier: MIT
/*
 * Screen targets. A screen shows what it showed at the last update of each
 * rectangle, not what its surface has become since. Of the cursor it is known
 * what it looks like, and not where it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "svga3.h"

static struct screen *screen_get(struct svga3 *s, u32 stid)
{
	if (stid >= MAX_SCREENS || !s->screen[stid].defined)
		return NULL;
	return &s->screen[stid];
}

int screen_define(struct svga3 *s, const SVGA3dCmdDefineGBScreenTarget *c)
{
	struct screen *sc;
	u32 *pixels;

	if (c->stid >= MAX_SCREENS || !c->width || !c->height ||
	    c->width > MAX_TEXTURE || c->height > MAX_TEXTURE)
		return -EINVAL;
	pixels = calloc((size_t)c->width * c->height, sizeof(*pixels));
	if (!pixels)
		return -ENOMEM;
	sc = &s->screen[c->stid];
	free(sc->pixels);
	*sc = (struct screen){
		.defined = true,
		.width = c->width,
		.height = c->height,
		.image.sid = SVGA3D_INVALID_ID,
		.pixels = pixels,
	};
	return 0;
}

int screen_destroy(struct svga3 *s, u32 stid)
{
	struct screen *sc = screen_get(s, stid);

	if (!sc)
		return -ENOENT;
	free(sc->pixels);
	memset(sc, 0, sizeof(*sc));
	return 0;
}

void screen_reset(struct svga3 *s)
{
	u32 i;

	for (i = 0; i < MAX_SCREENS; i++)
		screen_destroy(s, i);
}

static bool format_valid(SVGA3dSurfaceFormat format)
{
	switch (format) {
	case SVGA3D_X8R8G8B8:
	case SVGA3D_A8R8G8B8:
	case SVGA3D_B8G8R8X8_UNORM:
	case SVGA3D_B8G8R8A8_UNORM:
	case SVGA3D_R8G8B8A8_UNORM:
	case SVGA3D_R5G6B5:
	case SVGA3D_X1R5G5B5:
	case SVGA3D_A1R5G5B5:
	case SVGA3D_P8:
		return true;
	default:
		return false;
	}
}

int screen_bind(struct svga3 *s, const SVGA3dCmdBindGBScreenTarget *c)
{
	struct screen *sc = screen_get(s, c->stid);
	struct surface *surf;

	if (!sc)
		return -ENOENT;
	if (c->image.sid != SVGA3D_INVALID_ID) {
		surf = surface_get(s, c->image.sid);
		if (surface_sub(surf, c->image.face, c->image.mipmap) < 0 ||
		    !format_valid(surf->format))
			return -EINVAL;
	}
	sc->image = c->image;
	return 0;
}

static u32 widen(u32 val, unsigned int bits)
{
	val &= (1u << bits) - 1;
	return val << (8 - bits) | val >> (2 * bits - 8);
}

static u32 to_xrgb(struct svga3 *s, SVGA3dSurfaceFormat format, const u8 *p)
{
	u32 val = 0;

	switch (format) {
	case SVGA3D_R8G8B8A8_UNORM:
		return p[0] << 16 | p[1] << 8 | p[2];
	case SVGA3D_R5G6B5:
		val = p[0] | p[1] << 8;
		return widen(val >> 11, 5) << 16 | widen(val >> 5, 6) << 8 |
		       widen(val, 5);
	case SVGA3D_X1R5G5B5:
	case SVGA3D_A1R5G5B5:
		val = p[0] | p[1] << 8;
		return widen(val >> 10, 5) << 16 | widen(val >> 5, 5) << 8 |
		       widen(val, 5);
	case SVGA3D_P8:
		pthread_mutex_lock(&s->lock);
		val = (s->reg[SVGA_PALETTE_BASE + 3 * *p] & 0xff) << 16 |
		      (s->reg[SVGA_PALETTE_BASE + 3 * *p + 1] & 0xff) << 8 |
		      (s->reg[SVGA_PALETTE_BASE + 3 * *p + 2] & 0xff);
		pthread_mutex_unlock(&s->lock);
		return val;
	default:
		memcpy(&val, p, sizeof(val));
		return val & 0xffffff;
	}
}

int screen_update(struct svga3 *s, u32 stid, const SVGA3dRect *rect)
{
	struct screen *sc = screen_get(s, stid);
	struct surface *surf;
	const struct mip *mip;
	const u8 *image;
	u32 x, y, x2, y2;
	s64 sub;

	if (!sc)
		return -ENOENT;
	if ((u64)rect->x + rect->w > sc->width ||
	    (u64)rect->y + rect->h > sc->height)
		return -ERANGE;
	if (sc->image.sid == SVGA3D_INVALID_ID)
		return 0;
	surf = surface_get(s, sc->image.sid);
	sub = surface_sub(surf, sc->image.face, sc->image.mipmap);
	/* It can have been destroyed, and another defined, since it was bound */
	if (sub < 0 || !format_valid(surf->format))
		return -ENOENT;
	image = surface_image(surf, sub, &mip);
	x2 = rect->x + rect->w;
	y2 = rect->y + rect->h;
	if (x2 > mip->size.width)
		x2 = mip->size.width;
	if (y2 > mip->size.height)
		y2 = mip->size.height;
	for (y = rect->y; y < y2; y++)
		for (x = rect->x; x < x2; x++)
			sc->pixels[(size_t)y * sc->width + x] =
				to_xrgb(s, surf->format, image + y * mip->row +
					(u64)x * surf->block_bytes);
	return 0;
}

/* Called between two command buffers. */
void screen_capture(struct svga3 *s, u32 stid)
{
	struct screen *sc = screen_get(s, stid);
	png_image png = { .version = PNG_IMAGE_VERSION };
	char name[4096];
	size_t i, n;
	u8 *rgb;

	if (!sc) {
		say(s, "no screen %u to capture", stid);
		return;
	}
	n = (size_t)sc->width * sc->height;
	rgb = malloc(3 * n);
	if (!rgb)
		return;
	for (i = 0; i < n; i++) {
		rgb[3 * i] = sc->pixels[i] >> 16;
		rgb[3 * i + 1] = sc->pixels[i] >> 8;
		rgb[3 * i + 2] = sc->pixels[i];
	}
	png.width = sc->width;
	png.height = sc->height;
	png.format = PNG_FORMAT_RGB;
	snprintf(name, sizeof(name), "%s/screen%u.png", s->capture_dir, stid);
	if (png_image_write_to_file(&png, name, 0, rgb, 0, NULL))
		count(s, SVGA3_CAPTURES, 1);
	else
		say(s, "cannot write %s: %s", name, png.message);
	free(rgb);
}

/* ----------------------------------------------------------------- cursor */

int cursor_define(struct svga3 *s, u32 width, u32 height, const u8 *pixels)
{
	u64 sum = 0;
	u32 i, pixel;

	if (width > SVGA_MAX_CURSOR_CMD_DIMENSION ||
	    height > SVGA_MAX_CURSOR_CMD_DIMENSION)
		return -EINVAL;
	for (i = 0; i < width * height; i++) {
		memcpy(&pixel, pixels + 4 * i, sizeof(pixel));
		sum += pixel;
	}
	atomic_store(&s->counter[SVGA3_CURSOR_SUM - SVGA3_COUNTERS], sum);
	count(s, SVGA3_CURSORS, 1);
	return 0;
}

/* Called between two command buffers. */
void cursor_from_mob(struct svga3 *s, SVGAMobId mobid)
{
	struct mob *mob = mob_get(s, mobid);
	SVGAGBCursorHeader h;
	u8 *pixels = NULL;
	int ret = -ENOENT;

	if (mob)
		ret = mob_read(s, mob, 0, &h, sizeof(h));
	if (!ret && (h.type != SVGA_ALPHA_CURSOR ||
		     h.sizeInBytes > SVGA_MAX_CURSOR_CMD_BYTES ||
		     h.sizeInBytes != 4ull * h.header.alphaHeader.width *
				      h.header.alphaHeader.height))
		ret = -EINVAL;
	if (!ret) {
		pixels = malloc(h.sizeInBytes ?: 1);
		ret = pixels ? mob_read(s, mob, sizeof(h), pixels,
					h.sizeInBytes) : -ENOMEM;
	}
	if (!ret)
		ret = cursor_define(s, h.header.alphaHeader.width,
				    h.header.alphaHeader.height, pixels);
	free(pixels);
	if (ret) {
		say(s, "cursor in MOB %u refused: %s", mobid, strerror(-ret));
		count(s, SVGA3_ERRORS, 1);
	}
}
