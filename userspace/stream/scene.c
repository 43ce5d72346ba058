// SPDX-License-Identifier: MIT
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gl-words.h"
#include "scene.h"

#define MIB (1024u * 1024u)

#define SPARSE_SIZE (64 * MIB)
#define STATIC_SIZE (32 * MIB)
#define IDLE_SIZE (256 * MIB)

/* Geometry of the picture, in pixels; y is upward, as in OpenGL. */
#define MARGIN 4
#define MAP_SIZE 128			/* sparse and static: one word a pixel */
#define MAP_POINTS (MAP_SIZE * MAP_SIZE)
#define SPARSE_X MARGIN
#define STATIC_X (SPARSE_X + MAP_SIZE + 2 * MARGIN)
#define BAR_X (STATIC_X + MAP_SIZE + 2 * MARGIN)
#define BAR_PITCH 4
#define BAR_PARTS 4			/* a bar is four boxes on each other */
#define IDLE_Y (MARGIN + MAP_SIZE + 1)
#define IDLE_POINTS 64
#define TILES_Y (IDLE_Y + 3)
#define TILE 16

/* Sparse: a unit of 4 KiB has eight words that are written and drawn. */
#define SPARSE_STEP 4096
#define SPARSE_WORDS (SPARSE_STEP / 4)
#define SPARSE_SLOTS 8
/* Static and idle: one word every 2 KiB, the largest stride GL promises. */
#define STATIC_STEP 2048

#define PALETTE 256
#define IDLE_COLOUR 0xff806040
#define MIN_PARTICLES 128

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "a word is compared with the R, G, B, A bytes of a pixel");
_Static_assert(SPARSE_SIZE / SPARSE_STEP == MAP_POINTS, "a pixel for each page");
_Static_assert(STATIC_SIZE / STATIC_STEP == MAP_POINTS, "a pixel for each word");

const char *const scene_part_name[SCENE_NUM_PARTS] = {
	"tiles", "sparse", "static", "bars", "idle"
};

struct scene_quad {
	int16_t x0, y0, x1, y1;
	uint32_t palette, tint;
};

struct scene_vertex {
	int16_t x, y;
	uint32_t palette, tint;
};

struct scene_bar {
	int16_t x0, y0, x1, y1;
	uint32_t palette, tint;
};

static const char header[] =
	"#version 330\n"
	"uniform vec2 u_scale;\n"
	"flat out uvec4 v_colour;\n"
	"uvec4 unpack(uint c)\n"
	"{\n"
	"	return uvec4(c, c >> 8, c >> 16, c >> 24) & 255u;\n"
	"}\n"
	"vec4 place(vec2 pixel)\n"
	"{\n"
	"	return vec4(pixel * u_scale - 1.0, 0.0, 1.0);\n"
	"}\n";

static const char palette_block[] =
	"layout(std140) uniform Palette { uvec4 palette[256]; };\n";

static const char quad_shader[] =
	"layout(location = 0) in ivec2 a_pos;\n"
	"layout(location = 1) in uvec2 a_colour;\n"
	"void main()\n"
	"{\n"
	"	gl_Position = place(vec2(a_pos));\n"
	"	v_colour = palette[a_colour.x] ^ unpack(a_colour.y);\n"
	"}\n";

static const char bar_shader[] =
	"layout(location = 0) in ivec4 a_box;\n"
	"layout(location = 1) in uvec2 a_colour;\n"
	"void main()\n"
	"{\n"
	"	gl_Position = place(vec2((gl_VertexID & 1) != 0 ? a_box.z : a_box.x,\n"
	"				 (gl_VertexID & 2) != 0 ? a_box.w : a_box.y));\n"
	"	v_colour = palette[a_colour.x] ^ unpack(a_colour.y);\n"
	"}\n";

/* u_map: x and y of the first point, width of a row, log2 of words a point */
static const char point_shader[] =
	"layout(location = 0) in uint a_word;\n"
	"uniform ivec4 u_map;\n"
	"uniform uint u_mask;\n"
	"uniform uint u_flip;\n"
	"void main()\n"
	"{\n"
	"	int n = gl_VertexID >> u_map.w;\n"
	"	gl_Position = place(vec2(u_map.x + n % u_map.z, u_map.y + n / u_map.z) + 0.5);\n"
	"	v_colour = unpack((a_word & u_mask) ^ u_flip);\n"
	"}\n";

static uint32_t hash(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t h = a * 0x9e3779b1u ^ (b + 0x7f4a7c15u) * 0x85ebca77u ^
		     (c + 0x165667b1u) * 0xc2b2ae3du;

	h ^= h >> 15;
	h *= 0x2c1b3c6du;
	h ^= h >> 13;
	h *= 0x297a2d39u;
	return h ^ h >> 16;
}

static uint32_t rgba(uint32_t r, uint32_t g, uint32_t b, uint32_t a)
{
	return r | g << 8 | b << 16 | a << 24;
}

/* A colour wheel of 1536 steps, in pastels. */
static uint32_t hue(uint32_t step, uint32_t a)
{
	const uint32_t low = 56, high = 240;
	uint32_t up = low + step % 256 * (high - low) / 256, down = low + high - up;

	switch (step / 256 % 6) {
	case 0:
		return rgba(high, up, low, a);
	case 1:
		return rgba(down, high, low, a);
	case 2:
		return rgba(low, high, up, a);
	case 3:
		return rgba(low, down, high, a);
	case 4:
		return rgba(up, low, high, a);
	default:
		return rgba(high, low, down, a);
	}
}

/* 0..255..0 along a period of 256; smooth enough for an animation. */
static uint32_t wave(uint32_t t)
{
	uint32_t x = t % 256;

	x = x < 128 ? 2 * x : 2 * (255 - x);
	return x * x * (765 - 2 * x) / (255 * 255);
}

/* Back and forth in 0..range */
static uint32_t bounce(uint32_t t, uint32_t range)
{
	t %= 2 * range;
	return t < range ? t : 2 * range - t;
}

/* Low bits that differ from frame to frame, so that old data is always wrong. */
static uint32_t tint(const struct scene *s, uint32_t frame, uint32_t n)
{
	return (hash(s->seed, n, frame) & 0x00030303) | (frame + n) << 24;
}

/* ---- buffers ---------------------------------------------------------- */

static void note_write(struct scene *s, enum scene_buffer_id id, uint32_t page,
		       uint32_t frame)
{
	struct scene_buffer *b = &s->buffer[id];

	if (b->stamp[page] == frame + 1)
		return;
	b->stamp[page] = frame + 1;
	b->pages_dirty++;
	if (s->num_writes == s->max_writes) {
		s->max_writes = s->max_writes ? 2 * s->max_writes : 65536;
		s->write = realloc(s->write, s->max_writes * sizeof(*s->write));
		if (!s->write)
			abort();
	}
	s->write[s->num_writes++] = (struct scene_write){ frame, id, page };
}

/* All stores to mapped buffers are made here. */
static void buffer_write(struct scene *s, enum scene_buffer_id id, size_t offset,
			 const void *data, size_t len, uint32_t frame)
{
	struct scene_buffer *b = &s->buffer[id];
	const uint8_t *from = data;

	while (len) {
		uint32_t page = offset / s->page_size;
		size_t part = s->page_size - offset % s->page_size;

		if (part > len)
			part = len;
		if ((int)frame == s->lose_frame && id == s->lose_buffer &&
		    s->lost_page < 0)
			s->lost_page = page;
		if ((int)frame != s->lose_frame || id != s->lose_buffer ||
		    s->lost_page != page) {
			memcpy(b->map + offset, from, part);
			b->bytes_written += part;
			note_write(s, id, page, frame);
		}
		offset += part;
		from += part;
		len -= part;
	}
}

static int buffer_create(struct scene *s, enum scene_buffer_id id, const char *name,
			 GLenum target, size_t size, bool ring, char *err, size_t errsize)
{
	const GLbitfield flags = GL_MAP_WRITE_BIT | GL_MAP_PERSISTENT_BIT |
				 GL_MAP_COHERENT_BIT;
	struct scene_buffer *b = &s->buffer[id];

	size = (size + s->page_size - 1) / s->page_size * s->page_size;
	b->name = name;
	if (ring) {
		b->section = size;
		size *= SCENE_SECTIONS;
	}
	b->size = size;
	b->stamp = calloc(size / s->page_size, sizeof(*b->stamp));
	glGenBuffers(1, &b->id);
	glBindBuffer(target, b->id);
	glBufferStorage(target, size, NULL, flags);
	b->map = glMapBufferRange(target, 0, size, flags);
	if (!b->map || !b->stamp || glGetError() != GL_NO_ERROR) {
		snprintf(err, errsize, "no coherent mapping of %zu KiB for the %s buffer",
			 size >> 10, name);
		return -1;
	}
	return 0;
}

/* ---- GL objects ------------------------------------------------------- */

static GLuint link_program(struct scene *s, const char *vertex, bool palette,
			   char *err, size_t size)
{
	const char *const vs[] = { header, palette ? palette_block : "", vertex };
	GLuint program = gl_words_program(3, vs, err, size);

	if (!program)
		return 0;
	glUniform2f(glGetUniformLocation(program, "u_scale"),
		    2.0f / s->width, 2.0f / s->height);
	if (palette)
		glUniformBlockBinding(program,
				      glGetUniformBlockIndex(program, "Palette"), 0);
	return program;
}

static void attribute(GLuint location, GLint count, GLenum type, GLsizei stride,
		      size_t offset, GLuint divisor)
{
	glVertexAttribIPointer(location, count, type, stride, (const void *)offset);
	glVertexAttribDivisor(location, divisor);
	glEnableVertexAttribArray(location);
}

static void create_vaos(struct scene *s)
{
	uint16_t word[MAP_POINTS];
	GLuint in_order;

	for (int i = 0; i < MAP_POINTS; i++)
		word[i] = i;

	glGenVertexArrays(SCENE_SECTIONS, s->quad_vao);
	glGenVertexArrays(SCENE_SECTIONS, s->bar_vao);
	for (int i = 0; i < SCENE_SECTIONS; i++) {
		size_t base = i * s->buffer[SCENE_VERTEX].section;

		glBindVertexArray(s->quad_vao[i]);
		glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, s->buffer[SCENE_INDEX].id);
		glBindBuffer(GL_ARRAY_BUFFER, s->buffer[SCENE_VERTEX].id);
		attribute(0, 2, GL_SHORT, sizeof(struct scene_vertex),
			  base + offsetof(struct scene_vertex, x), 0);
		attribute(1, 2, GL_UNSIGNED_INT, sizeof(struct scene_vertex),
			  base + offsetof(struct scene_vertex, palette), 0);

		base = i * s->buffer[SCENE_INSTANCE].section;
		glBindVertexArray(s->bar_vao[i]);
		glBindBuffer(GL_ARRAY_BUFFER, s->buffer[SCENE_INSTANCE].id);
		attribute(0, 4, GL_SHORT, sizeof(struct scene_bar),
			  base + offsetof(struct scene_bar, x0), 1);
		attribute(1, 2, GL_UNSIGNED_INT, sizeof(struct scene_bar),
			  base + offsetof(struct scene_bar, palette), 1);
	}

	glGenVertexArrays(1, &s->sparse_vao);
	glBindVertexArray(s->sparse_vao);
	glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, s->buffer[SCENE_INDEX].id);
	glBindBuffer(GL_ARRAY_BUFFER, s->buffer[SCENE_SPARSE].id);
	attribute(0, 1, GL_UNSIGNED_INT, 4, 0, 0);

	glGenVertexArrays(1, &s->static_vao);
	glBindVertexArray(s->static_vao);
	glBindBuffer(GL_ARRAY_BUFFER, s->buffer[SCENE_STATIC].id);
	attribute(0, 1, GL_UNSIGNED_INT, STATIC_STEP, 0, 0);
	/* Softpipe draws so many only if they have an index: it has gl_VertexID wrong */
	glGenBuffers(1, &in_order);
	glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, in_order);
	glBufferData(GL_ELEMENT_ARRAY_BUFFER, sizeof(word), word, GL_STATIC_DRAW);

	/* From the middle of the buffer, away from what is special about the start */
	glGenVertexArrays(1, &s->idle_vao);
	glBindVertexArray(s->idle_vao);
	glBindBuffer(GL_ARRAY_BUFFER, s->buffer[SCENE_IDLE].id);
	attribute(0, 1, GL_UNSIGNED_INT, STATIC_STEP, IDLE_SIZE / 2, 0);
}

static int create_targets(struct scene *s, char *err, size_t size)
{
	for (int i = 0; i < SCENE_SECTIONS; i++) {
		s->fbo[i] = gl_words_target(s->width, s->height, err, size);
		if (!s->fbo[i])
			return -1;
		s->reference[i] = calloc(s->width * s->height, 4);
	}
	s->pixels = calloc(s->width * s->height, 4);
	glViewport(0, 0, s->width, s->height);
	return 0;
}

int scene_create(struct scene *s, char *err, size_t size)
{
	uint32_t columns = s->width / TILE, rows = (s->height - TILES_Y) / TILE;

	s->page_size = sysconf(_SC_PAGESIZE);
	s->lost_page = -1;
	s->tile_columns = columns;
	s->num_tiles = columns * rows;
	/* A power of two, for the permutation of the vertices. */
	s->num_quads = 1;
	while (s->num_quads < 1 + s->num_tiles + MIN_PARTICLES)
		s->num_quads *= 2;
	s->num_bars = (s->width - BAR_X - MARGIN) / BAR_PITCH * BAR_PARTS;

	s->quad = calloc(s->num_quads, sizeof(*s->quad));
	s->vertex = calloc(4 * s->num_quads, sizeof(*s->vertex));
	s->index = calloc(6 * s->num_quads + MAP_POINTS, sizeof(*s->index));
	s->palette = calloc(PALETTE, sizeof(*s->palette));
	s->bar = calloc(s->num_bars, sizeof(*s->bar));
	s->sparse_word = calloc(MAP_POINTS * SPARSE_SLOTS, 4);
	s->sparse_frame = calloc(MAP_POINTS, 4);
	s->sparse_drawn = calloc(MAP_POINTS, 4);
	s->static_word = calloc(MAP_POINTS, 4);
	if (!s->quad || !s->vertex || !s->index || !s->palette || !s->bar ||
	    !s->sparse_word || !s->sparse_frame || !s->sparse_drawn ||
	    !s->static_word) {
		snprintf(err, size, "out of memory");
		return -1;
	}

	if (buffer_create(s, SCENE_VERTEX, "vertex", GL_ARRAY_BUFFER,
			  4 * s->num_quads * sizeof(*s->vertex), true, err, size) ||
	    buffer_create(s, SCENE_INDEX, "index", GL_ARRAY_BUFFER,
			  (6 * s->num_quads + MAP_POINTS) * 4, true, err, size) ||
	    buffer_create(s, SCENE_UNIFORM, "uniform", GL_UNIFORM_BUFFER,
			  PALETTE * sizeof(*s->palette), true, err, size) ||
	    buffer_create(s, SCENE_INSTANCE, "instance", GL_ARRAY_BUFFER,
			  s->num_bars * sizeof(*s->bar), true, err, size) ||
	    buffer_create(s, SCENE_SPARSE, "sparse", GL_ARRAY_BUFFER,
			  SPARSE_SIZE, false, err, size) ||
	    buffer_create(s, SCENE_STATIC, "static", GL_ARRAY_BUFFER,
			  STATIC_SIZE, false, err, size) ||
	    buffer_create(s, SCENE_IDLE, "idle", GL_ARRAY_BUFFER,
			  IDLE_SIZE, false, err, size))
		return -1;

	s->quad_program = link_program(s, quad_shader, true, err, size);
	if (!s->quad_program)
		return -1;
	s->bar_program = link_program(s, bar_shader, true, err, size);
	if (!s->bar_program)
		return -1;
	s->point_program = link_program(s, point_shader, false, err, size);
	if (!s->point_program)
		return -1;
	s->u_map = glGetUniformLocation(s->point_program, "u_map");
	s->u_mask = glGetUniformLocation(s->point_program, "u_mask");
	s->u_flip = glGetUniformLocation(s->point_program, "u_flip");

	create_vaos(s);
	return create_targets(s, err, size);
}

uint64_t scene_mapped_bytes(const struct scene *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < SCENE_NUM_BUFFERS; i++)
		sum += s->buffer[i].size;
	return sum;
}

/* ---- what a frame shows ------------------------------------------------ */

static void compose_quads(struct scene *s, uint32_t frame)
{
	uint32_t area = s->height - TILES_Y;
	int32_t cx = bounce(frame * 5, s->width), cy = bounce(frame * 3, area);

	/* Quad 0 fills the picture: no clear command is needed. */
	s->quad[0] = (struct scene_quad){ 0, 0, s->width, s->height, 0,
					  tint(s, frame, 0) };

	for (uint32_t i = 0; i < s->num_tiles; i++) {
		int32_t x = i % s->tile_columns * TILE + TILE / 2;
		int32_t y = i / s->tile_columns * TILE + TILE / 2;
		int32_t dx = x - cx, dy = y - cy;
		uint32_t distance = sqrt(dx * dx + dy * dy);
		uint32_t swell = wave(distance * 2 + 1024 - frame * 6 % 1024);
		int32_t half = 2 + swell * (TILE / 2 - 2) / 255;

		s->quad[1 + i] = (struct scene_quad){
			x - half, TILES_Y + y - half, x + half, TILES_Y + y + half,
			1 + (distance / 4 + swell / 4) % (PALETTE - 1),
			tint(s, frame, 1 + i)
		};
	}

	for (uint32_t i = 1 + s->num_tiles; i < s->num_quads; i++) {
		uint32_t h = hash(s->seed, i, 0);
		uint32_t edge = 2 + h % 5;
		uint32_t x = bounce(h / 8 % 4096 + frame * (1 + h % 7), s->width - edge);
		uint32_t y = bounce(h / 64 % 4096 + frame * (1 + h / 512 % 5), area - edge);

		s->quad[i] = (struct scene_quad){
			x, TILES_Y + y, x + edge, TILES_Y + y + edge,
			1 + (h >> 8) % (PALETTE - 1), ~tint(s, frame, i)
		};
	}
}

/*
 * Where the vertices of a quad stand changes each frame, so that old indices
 * draw something else.
 */
static void compose_geometry(struct scene *s, uint32_t frame)
{
	static const uint32_t corner[6] = { 0, 1, 2, 2, 1, 3 };

	for (uint32_t i = 0; i < s->num_quads; i++) {
		const struct scene_quad *q = &s->quad[i];
		uint32_t place = (i * 5 + frame * 77) % s->num_quads;
		struct scene_vertex *v = &s->vertex[4 * place];

		v[0] = (struct scene_vertex){ q->x0, q->y0, q->palette, q->tint };
		v[1] = (struct scene_vertex){ q->x1, q->y0, q->palette, q->tint };
		v[2] = (struct scene_vertex){ q->x0, q->y1, q->palette, q->tint };
		v[3] = (struct scene_vertex){ q->x1, q->y1, q->palette, q->tint };
		for (int k = 0; k < 6; k++)
			s->index[6 * i + k] = 4 * place + corner[k];
	}
}

static void compose_palette(struct scene *s, uint32_t frame)
{
	for (uint32_t i = 0; i < PALETTE; i++) {
		uint32_t c = i ? hue(i * 6 + frame * 9, 7 * i + frame)
			       : rgba(16, 18, 28, frame);

		for (int k = 0; k < 4; k++)
			s->palette[i][k] = c >> 8 * k & 255;
	}
}

static void compose_bars(struct scene *s, uint32_t frame)
{
	for (uint32_t i = 0; i < s->num_bars; i++) {
		uint32_t column = i / BAR_PARTS, part = i % BAR_PARTS;
		uint32_t level = 16 + (wave(column * 5 + frame * 7) +
				       wave(column * 13 + 512 - frame * 3 % 256)) * 110 / 510;
		int16_t x = BAR_X + column * BAR_PITCH;

		s->bar[i] = (struct scene_bar){
			x, MARGIN + level * part / BAR_PARTS,
			x + BAR_PITCH - 1, MARGIN + level * (part + 1) / BAR_PARTS,
			1 + (column * 2 + part * 24) % (PALETTE - 1), tint(s, frame, i)
		};
	}
}

/* Which word of its page a slot is. */
static uint32_t slot_word(uint32_t page, uint32_t slot)
{
	uint32_t span = SPARSE_WORDS / SPARSE_SLOTS;

	return slot * span + hash(0, page, slot) % span;
}

static void write_slot(struct scene *s, uint32_t page, uint32_t slot, uint32_t word,
		       uint32_t frame)
{
	s->sparse_word[page * SPARSE_SLOTS + slot] = word;
	s->sparse_frame[page] = frame;
	buffer_write(s, SCENE_SPARSE,
		     page * SPARSE_STEP + slot_word(page, slot) * 4, &word, 4, frame);
}

static void update_page(struct scene *s, uint32_t page, uint32_t frame)
{
	page %= MAP_POINTS;
	write_slot(s, page, frame % SPARSE_SLOTS,
		   hue(frame * 12 + page / 16, frame), frame);
}

/* One page always, a walk, pages by chance, and now and then many in a block. */
static void update_sparse(struct scene *s, uint32_t frame)
{
	update_page(s, 5, frame);
	for (uint32_t i = 0; i < 4; i++)
		update_page(s, 1024 + frame * 4 + i, frame);
	for (uint32_t i = 0; i < 8; i++)
		update_page(s, hash(s->seed, frame, i), frame);
	if (frame / 20 % 3 == 2)
		for (uint32_t i = 0; i < 64; i++)
			update_page(s, 6144 + frame / 60 * 3072 + frame % 20 * 32 + i, frame);
}

/*
 * The slot of a page that a frame draws: the one written for it, or else one
 * that the next two frames do not write, as they may be written meanwhile.
 */
static uint32_t choose_slot(const struct scene *s, uint32_t page, uint32_t frame)
{
	uint32_t max_age = SPARSE_SLOTS - SCENE_SECTIONS;
	uint32_t h = hash(s->seed, page, ~frame);
	uint32_t age = (frame - s->sparse_frame[page]) % SPARSE_SLOTS;

	if (frame && s->sparse_frame[page] == frame)
		return frame % SPARSE_SLOTS;
	/* Mostly the word written last: it is the one that can be lost. */
	if (!s->sparse_frame[page] || age > max_age || h % 8 == 0)
		age = h / 8 % (max_age + 1);
	return (frame - age) % SPARSE_SLOTS;
}

/* Keeps the chosen words for the reference. */
static void compose_points(struct scene *s, uint32_t frame)
{
	uint32_t *index = s->index + 6 * s->num_quads;

	for (uint32_t page = 0; page < MAP_POINTS; page++) {
		uint32_t slot = choose_slot(s, page, frame);

		index[page] = page * SPARSE_WORDS + slot_word(page, slot);
		s->sparse_drawn[page] = s->sparse_word[page * SPARSE_SLOTS + slot];
	}
}

/* The Mandelbrot set, in fixed point. */
static uint32_t static_colour(uint32_t point)
{
	int32_t cx = (int32_t)(point % MAP_SIZE) * 384 - 36864;
	int32_t cy = (int32_t)(point / MAP_SIZE) * 384 - 24576;
	int32_t x = 0, y = 0, n = 0;

	while (n < 48) {
		int64_t xx = (int64_t)x * x >> 14, yy = (int64_t)y * y >> 14;

		if (xx + yy > 4 << 14)
			break;
		y = ((int64_t)x * y >> 13) + cy;
		x = xx - yy + cx;
		n++;
	}
	return n == 48 ? rgba(8, 8, 16, point) : hue(900 + n * 40, point);
}

static void write_once(struct scene *s)
{
	for (uint32_t page = 0; page < MAP_POINTS; page++) {
		uint32_t x = page % MAP_SIZE, y = page / MAP_SIZE;

		for (uint32_t slot = 0; slot < SPARSE_SLOTS; slot++)
			write_slot(s, page, slot,
				   rgba(20 + y / 3 + slot, 24 + x / 4, 60 + (x ^ y) / 4,
					hash(s->seed, page, slot)), 0);
	}
	for (uint32_t i = 0; i < MAP_POINTS; i++) {
		s->static_word[i] = static_colour(i);
		buffer_write(s, SCENE_STATIC, (size_t)i * STATIC_STEP,
			     &s->static_word[i], 4, 0);
	}
}

void scene_write_frame(struct scene *s, uint32_t frame)
{
	uint32_t section = frame % SCENE_SECTIONS;

	if (!frame)
		write_once(s);
	else
		update_sparse(s, frame);

	compose_quads(s, frame);
	compose_geometry(s, frame);
	compose_palette(s, frame);
	compose_bars(s, frame);
	compose_points(s, frame);

	buffer_write(s, SCENE_VERTEX, section * s->buffer[SCENE_VERTEX].section,
		     s->vertex, 4 * s->num_quads * sizeof(*s->vertex), frame);
	buffer_write(s, SCENE_INDEX, section * s->buffer[SCENE_INDEX].section,
		     s->index, (6 * s->num_quads + MAP_POINTS) * 4, frame);
	buffer_write(s, SCENE_UNIFORM, section * s->buffer[SCENE_UNIFORM].section,
		     s->palette, PALETTE * sizeof(*s->palette), frame);
	buffer_write(s, SCENE_INSTANCE, section * s->buffer[SCENE_INSTANCE].section,
		     s->bar, s->num_bars * sizeof(*s->bar), frame);
}

/* ---- drawing ----------------------------------------------------------- */

static void point_uniforms(struct scene *s, int x, int y, int width, int shift,
			   uint32_t mask, uint32_t flip)
{
	glUniform4i(s->u_map, x, y, width, shift);
	glUniform1ui(s->u_mask, mask);
	glUniform1ui(s->u_flip, flip);
}

void scene_draw_frame(struct scene *s, uint32_t frame)
{
	uint32_t section = frame % SCENE_SECTIONS;
	size_t index = section * s->buffer[SCENE_INDEX].section;

	glBindFramebuffer(GL_DRAW_FRAMEBUFFER, s->fbo[section]);

	glUseProgram(s->quad_program);
	glBindBufferRange(GL_UNIFORM_BUFFER, 0, s->buffer[SCENE_UNIFORM].id,
			  section * s->buffer[SCENE_UNIFORM].section,
			  PALETTE * sizeof(*s->palette));
	glBindVertexArray(s->quad_vao[section]);
	glDrawElements(GL_TRIANGLES, 6 * s->num_quads, GL_UNSIGNED_INT,
		       (const void *)index);

	glUseProgram(s->bar_program);
	glBindVertexArray(s->bar_vao[section]);
	glDrawArraysInstanced(GL_TRIANGLE_STRIP, 0, 4, s->num_bars);

	glUseProgram(s->point_program);
	point_uniforms(s, SPARSE_X, MARGIN, MAP_SIZE, 10, ~0u, 0);
	glBindVertexArray(s->sparse_vao);
	glDrawElements(GL_POINTS, MAP_POINTS, GL_UNSIGNED_INT,
		       (const void *)(index + 6 * s->num_quads * 4));

	point_uniforms(s, STATIC_X, MARGIN, MAP_SIZE, 0, ~0u, 0);
	glBindVertexArray(s->static_vao);
	glDrawElements(GL_POINTS, MAP_POINTS, GL_UNSIGNED_SHORT, NULL);

	/* The words of idle were not written: they are fetched and masked out. */
	point_uniforms(s, MARGIN, IDLE_Y, IDLE_POINTS, 0, 0, IDLE_COLOUR);
	glBindVertexArray(s->idle_vao);
	glDrawArrays(GL_POINTS, 0, IDLE_POINTS);

	s->fence[section] = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
}

int scene_wait(struct scene *s, uint32_t frame)
{
	return gl_words_wait(&s->fence[frame % SCENE_SECTIONS]);
}

void scene_read(struct scene *s, uint32_t frame)
{
	glBindFramebuffer(GL_READ_FRAMEBUFFER, s->fbo[frame % SCENE_SECTIONS]);
	glReadPixels(0, 0, s->width, s->height, GL_RGBA_INTEGER, GL_UNSIGNED_BYTE,
		     s->pixels);
}

/* ---- the reference ----------------------------------------------------- */

static void fill(struct scene *s, uint32_t *image, int x0, int y0, int x1, int y1,
		 uint32_t palette, uint32_t tint)
{
	const uint32_t *p = s->palette[palette];
	uint32_t colour = rgba(p[0], p[1], p[2], p[3]) ^ tint;

	for (int y = y0; y < y1; y++)
		for (int x = x0; x < x1; x++)
			image[y * s->width + x] = colour;
}

void scene_reference(struct scene *s, uint32_t frame)
{
	uint32_t *image = s->reference[frame % SCENE_SECTIONS];

	for (uint32_t i = 0; i < s->num_quads; i++) {
		const struct scene_quad *q = &s->quad[i];

		fill(s, image, q->x0, q->y0, q->x1, q->y1, q->palette, q->tint);
	}
	for (uint32_t i = 0; i < s->num_bars; i++) {
		const struct scene_bar *b = &s->bar[i];

		fill(s, image, b->x0, b->y0, b->x1, b->y1, b->palette, b->tint);
	}
	for (uint32_t y = 0; y < MAP_SIZE; y++) {
		uint32_t *row = image + (MARGIN + y) * s->width;

		memcpy(row + SPARSE_X, s->sparse_drawn + y * MAP_SIZE, MAP_SIZE * 4);
		memcpy(row + STATIC_X, s->static_word + y * MAP_SIZE, MAP_SIZE * 4);
	}
	for (uint32_t i = 0; i < IDLE_POINTS; i++)
		image[IDLE_Y * s->width + MARGIN + i] = IDLE_COLOUR;
}

static enum scene_part part_of(uint32_t x, uint32_t y)
{
	if (y == IDLE_Y && x >= MARGIN && x < MARGIN + IDLE_POINTS)
		return SCENE_PART_IDLE;
	if (y >= MARGIN && y < MARGIN + MAP_SIZE) {
		if (x >= SPARSE_X && x < SPARSE_X + MAP_SIZE)
			return SCENE_PART_SPARSE;
		if (x >= STATIC_X && x < STATIC_X + MAP_SIZE)
			return SCENE_PART_STATIC;
		if (x >= BAR_X)
			return SCENE_PART_BARS;
	}
	return SCENE_PART_TILES;
}

uint64_t scene_check(struct scene *s, uint32_t frame, struct scene_wrong *wrong)
{
	const uint32_t *want = s->reference[frame % SCENE_SECTIONS];
	uint64_t before = wrong->pixels;

	if (!memcmp(s->pixels, want, (size_t)s->width * s->height * 4))
		return 0;
	for (uint32_t i = 0; i < s->width * s->height; i++) {
		uint32_t x = i % s->width, y = i / s->width;

		if (s->pixels[i] == want[i])
			continue;
		if (!wrong->first_valid) {
			wrong->first_valid = true;
			wrong->frame = frame;
			wrong->x = x;
			wrong->y = y;
			wrong->got = s->pixels[i];
			wrong->want = want[i];
		}
		wrong->pixels++;
		wrong->part[part_of(x, y)]++;
	}
	return wrong->pixels - before;
}

/* ---- the idle buffer alone --------------------------------------------- */

void scene_idle_begin(struct scene *s)
{
	glBindFramebuffer(GL_FRAMEBUFFER, s->fbo[0]);
	glBindBufferBase(GL_UNIFORM_BUFFER, 0, 0);
	glUseProgram(s->point_program);
	point_uniforms(s, MARGIN, IDLE_Y, IDLE_POINTS, 0, 0, IDLE_COLOUR);
	glBindVertexArray(s->idle_vao);
}

void scene_idle_draw(void)
{
	glDrawArrays(GL_POINTS, 0, IDLE_POINTS);
	glFlush();
}

bool scene_idle_wake(struct scene *s, uint32_t frame)
{
	uint32_t word = hash(s->seed, frame, 0) | 1, got = 0;
	const int point = 7;

	buffer_write(s, SCENE_IDLE, IDLE_SIZE / 2 + point * STATIC_STEP, &word, 4, frame);
	point_uniforms(s, MARGIN, IDLE_Y, IDLE_POINTS, 0, ~0u, 0);
	glDrawArrays(GL_POINTS, point, 1);
	glReadPixels(MARGIN + point, IDLE_Y, 1, 1, GL_RGBA_INTEGER, GL_UNSIGNED_BYTE, &got);
	return got == word;
}
