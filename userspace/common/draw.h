/* SPDX-License-Identifier: MIT */
/*
 * Pictures of dirty pages: bands, one for each buffer, over a common axis of
 * frames or time, and a panel below them.
 */
#ifndef DRAW_H
#define DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cairo.h>

#define DRAW_LEFT 190
#define DRAW_RIGHT 176
#define DRAW_PLOT 960
#define DRAW_TOP 104
#define DRAW_GAP 14
#define DRAW_PANEL 130
#define DRAW_BOTTOM 86

enum draw_align { DRAW_FROM_LEFT, DRAW_CENTRE, DRAW_FROM_RIGHT };

/* Title, subtitle and the legend of the bands. */
cairo_t *draw_begin(int height, const char *title, const char *subtitle);
/* Returns 0 or -1. */
int draw_end(cairo_t *c, const char *path);

void draw_text(cairo_t *c, double x, double y, enum draw_align align, double size,
	       bool bold, const char *string);
void draw_grey(cairo_t *c, double level);

/*
 * Which pages were dirty when. The pages share @rows and the times @columns;
 * @count has for each cell, row by row, how often a page of it was dirty, and
 * of @full times all of them were.
 */
struct draw_band {
	const char *name, *note;
	uint64_t size, pages, dirty;	/* bytes, pages, and times a page was dirty */
	int height;
	uint32_t rows, columns;
	double full;
	const uint32_t *count;
};

void draw_band(cairo_t *c, const struct draw_band *band, double top);

/* The panel's grid and its name; returns what its top stands for. */
double draw_panel(cairo_t *c, double top, double max, const char *name, const char *note);
/* A bar in it, from 0 to 1 high, and what the bars are. */
void draw_bar(cairo_t *c, double top, double x, double width, double share);
void draw_key(cairo_t *c, double top, const char *name);

/*
 * The axis below it, from 0 to @range, with marks at least @smallest apart and
 * @offset of a unit left free at both ends.
 */
void draw_axis(cairo_t *c, double y, double range, double offset, double smallest,
	       const char *name);

#endif
