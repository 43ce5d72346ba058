// SPDX-License-Identifier: MIT
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <cairo.h>

#include "picture.h"

#define LEFT 190
#define RIGHT 176
#define PLOT 960
#define TOP 104
#define GAP 14
#define COST_HEIGHT 130
#define BOTTOM 86

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

enum align { ALIGN_LEFT, ALIGN_CENTRE, ALIGN_RIGHT };

static void text(cairo_t *c, double x, double y, enum align align, double size,
		 bool bold, const char *string)
{
	cairo_text_extents_t extents;

	cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
			       bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
	cairo_set_font_size(c, size);
	cairo_text_extents(c, string, &extents);
	cairo_move_to(c, round(x - extents.x_advance * align / 2), round(y));
	cairo_show_text(c, string);
}

static void grey(cairo_t *c, double level)
{
	cairo_set_source_rgb(c, level, level, level);
}

/* Few pages of the group to all of them: orange to dark red. */
static void heat(cairo_t *c, double share)
{
	static const double stop[4][3] = {
		{ 0.99, 0.72, 0.32 }, { 0.93, 0.40, 0.16 },
		{ 0.76, 0.12, 0.15 }, { 0.36, 0.00, 0.10 }
	};
	double at = fmin(fmax(share, 0), 1) * 3;
	int i = at >= 3 ? 2 : (int)at;
	double t = at - i;

	cairo_set_source_rgb(c, stop[i][0] * (1 - t) + stop[i + 1][0] * t,
			     stop[i][1] * (1 - t) + stop[i + 1][1] * t,
			     stop[i][2] * (1 - t) + stop[i + 1][2] * t);
}

static void human_size(char *out, size_t size, uint64_t bytes)
{
	if (bytes >= 1 << 20)
		snprintf(out, size, "%.4g MiB", bytes / 1048576.0);
	else
		snprintf(out, size, "%.4g KiB", bytes / 1024.0);
}

static void band(cairo_t *c, const struct scene *s, int id, uint32_t frames, double top)
{
	const struct scene_buffer *b = &s->buffer[id];
	uint32_t pages = b->size / s->page_size;
	uint32_t rows = pages < (uint32_t)band_height[id] ? pages : (uint32_t)band_height[id];
	uint32_t columns = frames + 1 < PLOT ? frames + 1 : PLOT;
	uint32_t *count = calloc(rows * columns, sizeof(*count));
	double w = (double)PLOT / columns, h = (double)band_height[id] / rows;
	double group = (double)pages / rows * ((frames + 1.0) / columns);
	char line[64], size[32];

	if (!count)
		abort();
	for (size_t i = 0; i < s->num_writes; i++) {
		const struct scene_write *write = &s->write[i];
		uint32_t column = (uint64_t)write->frame * columns / (frames + 1);
		uint32_t row = (uint64_t)write->page * rows / pages;

		if (write->buffer == (uint32_t)id && write->frame <= frames)
			count[row * columns + column]++;
	}

	cairo_rectangle(c, LEFT, top, PLOT, band_height[id]);
	grey(c, 0.95);
	cairo_fill(c);
	cairo_set_antialias(c, CAIRO_ANTIALIAS_NONE);
	for (uint32_t row = 0; row < rows; row++) {
		for (uint32_t column = 0; column < columns; column++) {
			uint32_t n = count[row * columns + column];

			if (!n)
				continue;
			heat(c, n == 1 && group > 1 ? 0 : n / group);
			cairo_rectangle(c, LEFT + column * w, top + row * h, w, h);
			cairo_fill(c);
		}
	}
	cairo_set_antialias(c, CAIRO_ANTIALIAS_DEFAULT);
	free(count);

	grey(c, 0.6);
	cairo_set_line_width(c, 1);
	cairo_rectangle(c, LEFT - 0.5, top - 0.5, PLOT + 1, band_height[id] + 1);
	cairo_stroke(c);

	human_size(size, sizeof(size), b->size);
	grey(c, 0.1);
	snprintf(line, sizeof(line), "%s, %s", b->name, size);
	text(c, LEFT - 12, top + band_height[id] / 2.0 - 2, ALIGN_RIGHT, 13, true, line);
	grey(c, 0.4);
	text(c, LEFT - 12, top + band_height[id] / 2.0 + 13, ALIGN_RIGHT, 11, false,
	     band_note[id]);
	if (rows < pages)
		snprintf(line, sizeof(line), "%u pages, %u a row", pages, pages / rows);
	else
		snprintf(line, sizeof(line), "%u pages", pages);
	text(c, LEFT + PLOT + 12, top + band_height[id] / 2.0 - 2, ALIGN_LEFT, 11, false, line);
	snprintf(line, sizeof(line), "%llu times dirty", (unsigned long long)b->pages_dirty);
	text(c, LEFT + PLOT + 12, top + band_height[id] / 2.0 + 13, ALIGN_LEFT, 11, false, line);
	if (!b->pages_dirty)
		text(c, LEFT + PLOT / 2, top + band_height[id] / 2.0 + 4, ALIGN_CENTRE, 12,
		     false, "no page dirty in any frame");
}

/* A round step that cuts @range into at most @parts. */
static double step(double range, int parts)
{
	double unit = pow(10, floor(log10(range / parts)));

	for (int i = 1; i <= 10; i++)
		if ((i == 1 || i == 2 || i == 5 || i == 10) && unit * i * parts >= range)
			return unit * i;
	return unit * 10;
}

static void cost_panel(cairo_t *c, uint32_t frames, const struct frame_cost *cost,
		       bool uploads, double top)
{
	double max = 1, w = (double)PLOT / (frames + 1), tick;
	char line[64];

	for (uint32_t f = 1; f <= frames; f++) {
		max = fmax(max, cost[f].dirty_bytes / 1024.0);
		if (uploads)
			max = fmax(max, cost[f].upload_bytes / 1024.0);
	}
	tick = step(max * 1.05, 4);
	max = ceil(max * 1.05 / tick) * tick;

	for (double v = 0; v <= max; v += tick) {
		double y = round(top + COST_HEIGHT * (1 - v / max)) + 0.5;

		grey(c, 0.85);
		cairo_set_line_width(c, 1);
		cairo_move_to(c, LEFT, y);
		cairo_line_to(c, LEFT + PLOT, y);
		cairo_stroke(c);
		grey(c, 0.4);
		snprintf(line, sizeof(line), "%.0f", v);
		text(c, LEFT - 12, y + 4, ALIGN_RIGHT, 11, false, line);
	}

	cairo_set_source_rgb(c, 0.96, 0.70, 0.42);
	for (uint32_t f = 1; f <= frames; f++) {
		double h = COST_HEIGHT * cost[f].dirty_bytes / 1024.0 / max;

		cairo_rectangle(c, LEFT + f * w + w * 0.1, top + COST_HEIGHT - h, w * 0.8, h);
		cairo_fill(c);
	}
	cairo_set_source_rgb(c, 0.10, 0.25, 0.55);
	for (uint32_t f = 1; uploads && f <= frames; f++) {
		cairo_arc(c, LEFT + (f + 0.5) * w,
			  top + COST_HEIGHT * (1 - cost[f].upload_bytes / 1024.0 / max),
			  fmin(2.5, fmax(1, w / 3)), 0, 2 * M_PI);
		cairo_fill(c);
	}
	grey(c, 0.1);
	text(c, LEFT - 60, top + COST_HEIGHT / 2.0 - 2, ALIGN_RIGHT, 13, true, "KiB a frame");
	grey(c, 0.4);
	text(c, LEFT - 60, top + COST_HEIGHT / 2.0 + 13, ALIGN_RIGHT, 11, false,
	     "without frame 0");

	cairo_set_source_rgb(c, 0.96, 0.70, 0.42);
	cairo_rectangle(c, LEFT + PLOT + 12, top + 24, 12, 12);
	cairo_fill(c);
	grey(c, 0.1);
	text(c, LEFT + PLOT + 30, top + 34, ALIGN_LEFT, 11, false, "dirty pages");
	if (uploads) {
		cairo_set_source_rgb(c, 0.10, 0.25, 0.55);
		cairo_arc(c, LEFT + PLOT + 18, top + 50, 3, 0, 2 * M_PI);
		cairo_fill(c);
	}
	grey(c, uploads ? 0.1 : 0.4);
	text(c, LEFT + PLOT + (uploads ? 30 : 12), top + 54, ALIGN_LEFT, 11, false,
	     uploads ? "uploaded" : "uploads: no counter");
}

static void legend(cairo_t *c, double y)
{
	const double x = LEFT, width = 160;

	for (int i = 0; i < width; i++) {
		heat(c, i / (width - 1));
		cairo_rectangle(c, x + i, y, 1, 12);
		cairo_fill(c);
	}
	grey(c, 0.1);
	text(c, x + width + 10, y + 11, ALIGN_LEFT, 12, false,
	     "one page of the row … all pages of the row dirty");
	cairo_rectangle(c, x + 560.5, y + 0.5, 20, 11);
	grey(c, 0.95);
	cairo_fill_preserve(c);
	grey(c, 0.6);
	cairo_stroke(c);
	grey(c, 0.1);
	text(c, x + 590, y + 11, ALIGN_LEFT, 12, false, "nothing written");
}

static void frame_axis(cairo_t *c, uint32_t frames, double y)
{
	double tick = fmax(1, step(frames, 12));
	char line[32];

	for (double f = 0; f <= frames; f += tick) {
		double x = round(LEFT + (f + 0.5) * PLOT / (frames + 1)) + 0.5;

		grey(c, 0.4);
		cairo_set_line_width(c, 1);
		cairo_move_to(c, x, y);
		cairo_line_to(c, x, y + 5);
		cairo_stroke(c);
		snprintf(line, sizeof(line), "%.0f", f);
		text(c, x, y + 18, ALIGN_CENTRE, 11, false, line);
	}
	grey(c, 0.1);
	text(c, LEFT + PLOT / 2, y + 38, ALIGN_CENTRE, 12, false,
	     "frame (0: the setup, which writes sparse and static once)");
}

int picture_dirty(const char *path, const struct scene *s, uint32_t frames,
		  const struct frame_cost *cost, bool uploads, const char *subtitle)
{
	int height = TOP + COST_HEIGHT + GAP + BOTTOM;
	cairo_surface_t *surface;
	double y = TOP;
	cairo_t *c;
	int ret;

	for (int i = 0; i < SCENE_NUM_BUFFERS; i++)
		height += band_height[i] + GAP;
	surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, LEFT + PLOT + RIGHT, height);
	c = cairo_create(surface);
	grey(c, 1);
	cairo_paint(c);

	grey(c, 0.1);
	text(c, LEFT, 34, ALIGN_LEFT, 20, true, "Pages the CPU wrote between submissions");
	grey(c, 0.35);
	text(c, LEFT, 56, ALIGN_LEFT, 12, false, subtitle);
	legend(c, 72);

	for (int i = 0; i < SCENE_NUM_BUFFERS; i++) {
		band(c, s, i, frames, y);
		y += band_height[i] + GAP;
	}
	y += GAP;
	cost_panel(c, frames, cost, uploads, y);
	frame_axis(c, frames, y + COST_HEIGHT);

	cairo_destroy(c);
	ret = cairo_surface_write_to_png(surface, path) ? -1 : 0;
	cairo_surface_destroy(surface);
	return ret;
}
