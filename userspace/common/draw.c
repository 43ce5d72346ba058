// SPDX-License-Identifier: MIT
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <cairo-svg.h>

#include "cli.h"
#include "draw.h"

void draw_text(cairo_t *c, double x, double y, enum draw_align align, double size,
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

void draw_grey(cairo_t *c, double level)
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

static void legend(cairo_t *c, double y)
{
	const double x = DRAW_LEFT, width = 160;

	for (int i = 0; i < width; i++) {
		heat(c, i / (width - 1));
		cairo_rectangle(c, x + i, y, 1, 12);
		cairo_fill(c);
	}
	draw_grey(c, 0.1);
	draw_text(c, x + width + 10, y + 11, DRAW_FROM_LEFT, 12, false,
		  "one page of the row … all pages of the row dirty");
	cairo_rectangle(c, x + 560.5, y + 0.5, 20, 11);
	draw_grey(c, 0.95);
	cairo_fill_preserve(c);
	draw_grey(c, 0.6);
	cairo_stroke(c);
	draw_grey(c, 0.1);
	draw_text(c, x + 590, y + 11, DRAW_FROM_LEFT, 12, false, "nothing written");
}

cairo_t *draw_begin(int height, const char *title, const char *subtitle)
{
	cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24,
						DRAW_LEFT + DRAW_PLOT + DRAW_RIGHT, height);
	cairo_t *c = cairo_create(surface);

	cairo_surface_destroy(surface);
	draw_grey(c, 1);
	cairo_paint(c);
	draw_grey(c, 0.1);
	draw_text(c, DRAW_LEFT, 34, DRAW_FROM_LEFT, 20, true, title);
	draw_grey(c, 0.35);
	draw_text(c, DRAW_LEFT, 56, DRAW_FROM_LEFT, 12, false, subtitle);
	legend(c, 72);
	return c;
}

int draw_end(cairo_t *c, const char *path)
{
	int ret = cairo_surface_write_to_png(cairo_get_target(c), path) ? -1 : 0;

	cairo_destroy(c);
	return ret;
}

void draw_band(cairo_t *c, const struct draw_band *b, double top)
{
	double w = (double)DRAW_PLOT / b->columns, h = (double)b->height / b->rows;
	double middle = top + b->height / 2.0;
	char line[64], size[32];

	cairo_rectangle(c, DRAW_LEFT, top, DRAW_PLOT, b->height);
	draw_grey(c, 0.95);
	cairo_fill(c);
	cairo_set_antialias(c, CAIRO_ANTIALIAS_NONE);
	for (uint32_t row = 0; row < b->rows; row++) {
		for (uint32_t column = 0; column < b->columns; column++) {
			uint32_t n = b->count[row * b->columns + column];

			if (!n)
				continue;
			heat(c, n == 1 && b->full > 1 ? 0 : n / b->full);
			cairo_rectangle(c, DRAW_LEFT + column * w, top + row * h, w, h);
			cairo_fill(c);
		}
	}
	cairo_set_antialias(c, CAIRO_ANTIALIAS_DEFAULT);

	draw_grey(c, 0.6);
	cairo_set_line_width(c, 1);
	cairo_rectangle(c, DRAW_LEFT - 0.5, top - 0.5, DRAW_PLOT + 1, b->height + 1);
	cairo_stroke(c);

	size_name(size, sizeof(size), b->size);
	draw_grey(c, 0.1);
	snprintf(line, sizeof(line), "%s, %s", b->name, size);
	draw_text(c, DRAW_LEFT - 12, middle - 2, DRAW_FROM_RIGHT, 13, true, line);
	draw_grey(c, 0.4);
	draw_text(c, DRAW_LEFT - 12, middle + 13, DRAW_FROM_RIGHT, 11, false, b->note);
	if (b->rows < b->pages)
		snprintf(line, sizeof(line), "%llu pages, %llu a row",
			 (unsigned long long)b->pages,
			 (unsigned long long)(b->pages / b->rows));
	else
		snprintf(line, sizeof(line), "%llu pages", (unsigned long long)b->pages);
	draw_text(c, DRAW_LEFT + DRAW_PLOT + 12, middle - 2, DRAW_FROM_LEFT, 11, false, line);
	snprintf(line, sizeof(line), "%llu times dirty", (unsigned long long)b->dirty);
	draw_text(c, DRAW_LEFT + DRAW_PLOT + 12, middle + 13, DRAW_FROM_LEFT, 11, false, line);
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

double draw_panel(cairo_t *c, double top, double max, const char *name, const char *note)
{
	double tick = step(max * 1.05, 4);
	char line[64];

	max = ceil(max * 1.05 / tick) * tick;
	for (double v = 0; v <= max; v += tick) {
		double y = round(top + DRAW_PANEL * (1 - v / max)) + 0.5;

		draw_grey(c, 0.85);
		cairo_set_line_width(c, 1);
		cairo_move_to(c, DRAW_LEFT, y);
		cairo_line_to(c, DRAW_LEFT + DRAW_PLOT, y);
		cairo_stroke(c);
		draw_grey(c, 0.4);
		snprintf(line, sizeof(line), "%.0f", v);
		draw_text(c, DRAW_LEFT - 12, y + 4, DRAW_FROM_RIGHT, 11, false, line);
	}
	draw_grey(c, 0.1);
	draw_text(c, DRAW_LEFT - 60, top + DRAW_PANEL / 2.0 - 2, DRAW_FROM_RIGHT, 13, true, name);
	draw_grey(c, 0.4);
	draw_text(c, DRAW_LEFT - 60, top + DRAW_PANEL / 2.0 + 13, DRAW_FROM_RIGHT, 11, false,
		  note);
	return max;
}

void draw_bar(cairo_t *c, double top, double x, double width, double share)
{
	cairo_set_source_rgb(c, 0.96, 0.70, 0.42);
	cairo_rectangle(c, DRAW_LEFT + x, top + DRAW_PANEL * (1 - share), width,
			DRAW_PANEL * share);
	cairo_fill(c);
}

void draw_key(cairo_t *c, double top, const char *name)
{
	cairo_set_source_rgb(c, 0.96, 0.70, 0.42);
	cairo_rectangle(c, DRAW_LEFT + DRAW_PLOT + 12, top + 24, 12, 12);
	cairo_fill(c);
	draw_grey(c, 0.1);
	draw_text(c, DRAW_LEFT + DRAW_PLOT + 30, top + 34, DRAW_FROM_LEFT, 11, false, name);
}

void draw_axis(cairo_t *c, double y, double range, double offset, double smallest,
	       const char *name)
{
	double tick = fmax(smallest, step(range, 12));
	char line[32];

	for (double v = 0; v <= range; v += tick) {
		double x = round(DRAW_LEFT + (v + offset) * DRAW_PLOT / (range + 2 * offset)) + 0.5;

		draw_grey(c, 0.4);
		cairo_set_line_width(c, 1);
		cairo_move_to(c, x, y);
		cairo_line_to(c, x, y + 5);
		cairo_stroke(c);
		snprintf(line, sizeof(line), "%g", v);
		draw_text(c, x, y + 18, DRAW_CENTRE, 11, false, line);
	}
	draw_grey(c, 0.1);
	draw_text(c, DRAW_LEFT + DRAW_PLOT / 2, y + 38, DRAW_CENTRE, 12, false, name);
}
