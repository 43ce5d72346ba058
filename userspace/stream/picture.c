// SPDX-License-Identifier: MIT
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <cairo.h>

#include "draw.h"
#include "picture.h"

static const int band_height[SCENE_NUM_BUFFERS] = {
	[SCENE_VERTEX] = 72, [SCENE_INDEX] = 88, [SCENE_UNIFORM] = 30,
	[SCENE_INSTANCE] = 30, [SCENE_SPARSE] = 256, [SCENE_STATIC] = 64,
	[SCENE_IDLE] = 64
};

static const char *const band_note[SCENE_NUM_BUFFERS] = {
	[SCENE_VERTEX] = "ring of 3 sections", [SCENE_INDEX] = "ring of 3 sections",
	[SCENE_UNIFORM] = "ring", [SCENE_INSTANCE] = "ring",
	[SCENE_SPARSE] = "few pages a frame", [SCENE_STATIC] = "written once",
	[SCENE_IDLE] = "never written"
};

int picture_frame(const char *path, const uint32_t *pixels, int width, int height)
{
	cairo_surface_t *surface =
		cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
	uint8_t *data = cairo_image_surface_get_data(surface);
	int stride = cairo_image_surface_get_stride(surface);
	int ret;

	for (int y = 0; y < height; y++) {
		const uint32_t *from = pixels + (height - 1 - y) * width;
		uint32_t *to = (uint32_t *)(data + y * stride);

		for (int x = 0; x < width; x++)
			to[x] = (from[x] & 255) << 16 | (from[x] & 0xff00) |
				(from[x] >> 16 & 255);
	}
	cairo_surface_mark_dirty(surface);
	ret = cairo_surface_write_to_png(surface, path) ? -1 : 0;
	cairo_surface_destroy(surface);
	return ret;
}

static void band(cairo_t *c, const struct scene *s, int id, uint32_t frames, double top)
{
	const struct scene_buffer *b = &s->buffer[id];
	uint32_t pages = b->size / s->page_size;
	uint32_t rows = pages < (uint32_t)band_height[id] ? pages : (uint32_t)band_height[id];
	uint32_t columns = frames + 1 < DRAW_PLOT ? frames + 1 : DRAW_PLOT;
	uint32_t *count = calloc(rows * columns, sizeof(*count));
	struct draw_band band = {
		.name = b->name, .note = band_note[id], .size = b->size, .pages = pages,
		.dirty = b->pages_dirty, .height = band_height[id], .rows = rows,
		.columns = columns, .count = count,
		.full = (double)pages / rows * ((frames + 1.0) / columns),
	};

	if (!count)
		abort();
	for (size_t i = 0; i < s->num_writes; i++) {
		const struct scene_write *write = &s->write[i];
		uint32_t column = (uint64_t)write->frame * columns / (frames + 1);
		uint32_t row = (uint64_t)write->page * rows / pages;

		if (write->buffer == (uint32_t)id && write->frame <= frames)
			count[row * columns + column]++;
	}
	draw_band(c, &band, top);
	free(count);
	if (!b->pages_dirty)
		draw_text(c, DRAW_LEFT + DRAW_PLOT / 2, top + band_height[id] / 2.0 + 4,
			  DRAW_CENTRE, 12, false, "no page dirty in any frame");
}

static void cost_panel(cairo_t *c, uint32_t frames, const struct frame_cost *cost,
		       bool uploads, double top)
{
	double max = 1, w = (double)DRAW_PLOT / (frames + 1);

	for (uint32_t f = 1; f <= frames; f++) {
		max = fmax(max, cost[f].dirty_bytes / 1024.0);
		if (uploads)
			max = fmax(max, cost[f].upload_bytes / 1024.0);
	}
	max = draw_panel(c, top, max, "KiB a frame", "without frame 0");
	for (uint32_t f = 1; f <= frames; f++)
		draw_bar(c, top, f * w + w * 0.1, w * 0.8, cost[f].dirty_bytes / 1024.0 / max);
	draw_key(c, top, "dirty pages");

	cairo_set_source_rgb(c, 0.10, 0.25, 0.55);
	for (uint32_t f = 1; uploads && f <= frames; f++) {
		cairo_arc(c, DRAW_LEFT + (f + 0.5) * w,
			  top + DRAW_PANEL * (1 - cost[f].upload_bytes / 1024.0 / max),
			  fmin(2.5, fmax(1, w / 3)), 0, 2 * M_PI);
		cairo_fill(c);
	}
	if (uploads) {
		cairo_arc(c, DRAW_LEFT + DRAW_PLOT + 18, top + 50, 3, 0, 2 * M_PI);
		cairo_fill(c);
	}
	draw_grey(c, uploads ? 0.1 : 0.4);
	draw_text(c, DRAW_LEFT + DRAW_PLOT + (uploads ? 30 : 12), top + 54, DRAW_FROM_LEFT, 11,
		  false, uploads ? "uploaded" : "uploads: no counter");
}

int picture_dirty(const char *path, const struct scene *s, uint32_t frames,
		  const struct frame_cost *cost, bool uploads, const char *subtitle)
{
	int height = DRAW_TOP + DRAW_PANEL + DRAW_GAP + DRAW_BOTTOM;
	double y = DRAW_TOP;
	cairo_t *c;

	for (int i = 0; i < SCENE_NUM_BUFFERS; i++)
		height += band_height[i] + DRAW_GAP;
	c = draw_begin(height, "Pages the CPU wrote between submissions", subtitle);
	for (int i = 0; i < SCENE_NUM_BUFFERS; i++) {
		band(c, s, i, frames, y);
		y += band_height[i] + DRAW_GAP;
	}
	y += DRAW_GAP;
	cost_panel(c, frames, cost, uploads, y);
	draw_axis(c, y + DRAW_PANEL, frames, 0.5, 1,
		  "frame (0: the setup, which writes sparse and static once)");
	return draw_end(c, path);
}
