/* SPDX-License-Identifier: MIT */
/*
 * An animated scene drawn from persistent, coherent buffers, and its exact
 * reference.
 *
 * The picture has four parts, each drawn from buffers of its own, so that a
 * wrong pixel tells which write was lost:
 *
 *	+--------------------------------------+
 *	| tiles: animated quads                |  vertex, index and uniform ring
 *	| ...................... idle (a line) |  idle
 *	| +----------+ +----------+ +--------+ |
 *	| |  sparse  | |  static  | |  bars  | |  sparse + index ring; static;
 *	| +----------+ +----------+ +--------+ |  instance + uniform ring
 *	+--------------------------------------+
 *
 * Everything is integer: colours are 32-bit words that the shaders only unpack,
 * edges lie on pixel edges, the target is RGBA8UI. So the reference is exact
 * and no driver has a choice in any pixel.
 *
 * The ring buffers have one section for each frame in flight. The other
 * buffers are synchronized by what is written: no frame in flight reads a word
 * that is written meanwhile.
 */
#ifndef SCENE_H
#define SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <epoxy/gl.h>

#define SCENE_SECTIONS 3
#define SCENE_MIN_WIDTH 320
#define SCENE_MIN_HEIGHT 200
#define SCENE_MAX_SIZE 2048

enum scene_buffer_id {
	SCENE_VERTEX,		/* ring: corners of the quads */
	SCENE_INDEX,		/* ring: order of the quads; words of sparse to draw */
	SCENE_UNIFORM,		/* ring: the palette */
	SCENE_INSTANCE,		/* ring: the bars */
	SCENE_SPARSE,		/* few pages change each frame */
	SCENE_STATIC,		/* written once, drawn each frame */
	SCENE_IDLE,		/* mapped, drawn each frame, never written */
	SCENE_NUM_BUFFERS
};

enum scene_part {
	SCENE_PART_TILES,
	SCENE_PART_SPARSE,
	SCENE_PART_STATIC,
	SCENE_PART_BARS,
	SCENE_PART_IDLE,
	SCENE_NUM_PARTS
};

extern const char *const scene_part_name[SCENE_NUM_PARTS];

struct scene_buffer {
	const char *name;
	GLuint id;
	uint8_t *map;
	size_t size;
	size_t section;		/* bytes from one section to the next, 0: no ring */
	uint64_t bytes_written;
	uint64_t pages_dirty;	/* sum over frames of the pages written in it */
	uint32_t *stamp;	/* for each page, 1 + the last frame it was written in */
};

/* Page @page of buffer @buffer was written for frame @frame. */
struct scene_write {
	uint32_t frame;
	uint32_t buffer;
	uint32_t page;
};

struct scene_wrong {
	uint64_t pixels;
	uint64_t part[SCENE_NUM_PARTS];
	bool first_valid;	/* the first wrong pixel: */
	uint32_t frame, x, y, got, want;
};

struct scene {
	uint32_t width, height, seed;
	size_t page_size;
	struct scene_buffer buffer[SCENE_NUM_BUFFERS];

	struct scene_write *write;
	size_t num_writes, max_writes;

	/* The write not made though the reference has it; lose_frame -1: none. */
	int lose_frame;
	enum scene_buffer_id lose_buffer;
	int64_t lost_page;

	/* GL objects; index: section */
	GLuint quad_program, bar_program, point_program;
	GLint u_map, u_mask, u_flip;
	GLuint quad_vao[SCENE_SECTIONS], bar_vao[SCENE_SECTIONS];
	GLuint sparse_vao, static_vao, idle_vao;
	GLuint fbo[SCENE_SECTIONS];
	GLsync fence[SCENE_SECTIONS];

	/* What the current frame draws, for the buffers and for the reference */
	uint32_t num_quads, num_tiles, tile_columns, num_bars;
	struct scene_quad *quad;
	struct scene_vertex *vertex;
	uint32_t *index;
	uint32_t (*palette)[4];
	struct scene_bar *bar;

	uint32_t *static_word;	/* the words written to static */
	uint32_t *sparse_word;	/* the words written to sparse, */
	uint32_t *sparse_frame;	/* for each page the frame it was last written for, */
	uint32_t *sparse_drawn;	/* and the word of it that the frame draws */

	uint32_t *reference[SCENE_SECTIONS];
	uint32_t *pixels;	/* as read back; R, G, B, A bytes */
};

/* Returns 0, or -1 with the reason in @err. */
int scene_create(struct scene *s, char *err, size_t size);

/* Frame 0 also writes what is written once. */
void scene_write_frame(struct scene *s, uint32_t frame);
void scene_draw_frame(struct scene *s, uint32_t frame);
/* Computes what scene_draw_frame() has to give: needs no GL. */
void scene_reference(struct scene *s, uint32_t frame);
/* Waits for the frame that used @frame's section. Returns -1 if it never ends. */
int scene_wait(struct scene *s, uint32_t frame);
void scene_read(struct scene *s, uint32_t frame);
/* Compares what was read; returns the number of wrong pixels, adds to @wrong. */
uint64_t scene_check(struct scene *s, uint32_t frame, struct scene_wrong *wrong);

/* A submission that uses the idle buffer and nothing else. */
void scene_idle_begin(struct scene *s);
void scene_idle_draw(void);
/* Writes one word of the idle buffer, draws it, returns true if it is there. */
bool scene_idle_wake(struct scene *s, uint32_t frame);

/* Sum of the sizes of the buffers a frame is drawn from. */
uint64_t scene_mapped_bytes(const struct scene *s);

#endif
