// SPDX-License-Identifier: MIT
/*
 * egm-ways: hands the GPU the same updates in three ways, glBufferSubData(), a
 * mapping for each update with an explicit flush, and one coherent mapping that
 * stays; and tells what a frame takes with each, end to end.
 *
 * The explicit ways run with the kernel's parameter off as well: that is what a
 * program has without coherent buffers. What a Mesa screen has of them is decided
 * when it is made, so each round has a process with the parameter off and one with
 * it on. The buffers are rings in all three ways, with a section for each frame in
 * flight, so no way ever waits for the GPU because of what it writes.
 *
 * Each update is followed by a draw call that takes words from all over it as the
 * colours of points. Before a way is timed, and after it, all points are compared.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <epoxy/gl.h>
#include <jansson.h>

#include "cli.h"
#include "gl-context.h"
#include "gl-frames.h"
#include "gl-words.h"
#include "gpu-device.h"

#define MAX_BUFFERS 64

/* ---- what is measured --------------------------------------------------- */

struct cell {
	const char *name;
	unsigned int buffers, updates;	/* updates a frame, over the buffers in turn */
	size_t size;			/* of an update */
};

static const struct cell cells[] = {
	{ "256 of 64 bytes, one buffer", 1, 256, 64 },
	{ "256 of 64 bytes, 64 buffers", 64, 256, 64 },
	{ "16 of 16 KiB, one buffer", 1, 16, 16 << 10 },
	{ "16 of 16 KiB, 16 buffers", 16, 16, 16 << 10 },
	{ "one of 1 MiB", 1, 1, 1 << 20 },
	{ "4 of 1 MiB, 4 buffers", 4, 4, 1 << 20 },
};

#define CELLS LENGTH(cells)

enum way { SUBDATA, EXPLICIT, COHERENT, WAYS };

/* With the parameter off, and on: a place in a table for each that is possible. */
enum column { SUBDATA_OFF, EXPLICIT_OFF, SUBDATA_ON, EXPLICIT_ON, COHERENT_ON, COLUMNS };

static const struct {
	const char *name;
	bool on;
	enum way way;
} columns[COLUMNS] = {
	[SUBDATA_OFF] = { "subdata, off", false, SUBDATA },
	[EXPLICIT_OFF] = { "explicit, off", false, EXPLICIT },
	[SUBDATA_ON] = { "subdata, on", true, SUBDATA },
	[EXPLICIT_ON] = { "explicit, on", true, EXPLICIT },
	[COHERENT_ON] = { "coherent", true, COHERENT },
};

/* What a child tells. */
struct message {
	unsigned int cell;
	enum column column;
	struct frames_time sample;
	uint64_t wrong;
};

static struct frames_time samples[CELLS][COLUMNS][FRAMES_MAX_ROUNDS];
static unsigned int n_columns = COLUMNS;	/* the others are not measured */
static int parameter;		/* as found, or -1 if there is none */

/* ---- GL ----------------------------------------------------------------- */

static const char *const vertex_shader[] = {
	"#version 330\n"
	"layout(location = 0) in uint a_word;\n",
	frames_point,
	"void main() { point(a_word); }\n",
};

static struct {
	GLint u_first;
	GLuint buffer[MAX_BUFFERS], vao[MAX_BUFFERS];
	uint8_t *map[MAX_BUFFERS];	/* of the coherent way */
	size_t section;
	uint32_t *data;			/* an update, as the program has it */
} gl;

static void gl_start(void)
{
	char err[256];
	GLuint id;

	id = gl_words_program(LENGTH(vertex_shader), vertex_shader, err, sizeof(err));
	if (!id)
		failed("%s", err);
	gl.u_first = glGetUniformLocation(id, "u_first");
	frames_start();
	gl.data = malloc(1 << 20);
	if (!gl.data)
		cannot("%s", strerror(ENOMEM));
}

static size_t step(const struct cell *c)
{
	return c->size < FRAMES_STEP ? c->size : FRAMES_STEP;
}

/* In a section of one buffer */
static unsigned int points(const struct cell *c)
{
	return c->updates / c->buffers * (c->size / step(c));
}

static void buffers_create(const struct cell *c, enum way way)
{
	const GLbitfield flags = GL_MAP_WRITE_BIT | GL_MAP_PERSISTENT_BIT |
				 GL_MAP_COHERENT_BIT;
	size_t size;

	gl.section = c->updates / c->buffers * c->size;
	size = FRAMES_SECTIONS * gl.section;
	glGenBuffers(c->buffers, gl.buffer);
	glGenVertexArrays(c->buffers, gl.vao);
	for (unsigned int i = 0; i < c->buffers; i++) {
		glBindVertexArray(gl.vao[i]);
		glBindBuffer(GL_ARRAY_BUFFER, gl.buffer[i]);
		if (way == COHERENT) {
			glBufferStorage(GL_ARRAY_BUFFER, size, NULL, flags);
			gl.map[i] = glMapBufferRange(GL_ARRAY_BUFFER, 0, size, flags);
			if (!gl.map[i])
				failed("no coherent mapping of %zu KiB", size >> 10);
		} else {
			glBufferData(GL_ARRAY_BUFFER, size, NULL, GL_STREAM_DRAW);
		}
		glVertexAttribIPointer(0, 1, GL_UNSIGNED_INT, step(c), NULL);
		glEnableVertexAttribArray(0);
	}
}

static void buffers_destroy(const struct cell *c)
{
	glDeleteVertexArrays(c->buffers, gl.vao);
	glDeleteBuffers(c->buffers, gl.buffer);
}

static void update(enum way way, unsigned int buffer, size_t offset, size_t size)
{
	void *map;

	switch (way) {
	case SUBDATA:
		glBufferSubData(GL_ARRAY_BUFFER, offset, size, gl.data);
		break;
	case EXPLICIT:
		map = glMapBufferRange(GL_ARRAY_BUFFER, offset, size, GL_MAP_WRITE_BIT |
				       GL_MAP_INVALIDATE_RANGE_BIT |
				       GL_MAP_UNSYNCHRONIZED_BIT | GL_MAP_FLUSH_EXPLICIT_BIT);
		if (!map)
			failed("no mapping: GL error 0x%x", glGetError());
		memcpy(map, gl.data, size);
		glFlushMappedBufferRange(GL_ARRAY_BUFFER, 0, size);
		glUnmapBuffer(GL_ARRAY_BUFFER);
		break;
	default:
		memcpy(gl.map[buffer] + offset, gl.data, size);
		break;
	}
}

struct draw_what {
	const struct cell *cell;
	enum way way;
};

/* @wrong: without one of the updates */
static void frame_draw(const void *what, uint32_t n, bool wrong)
{
	const struct cell *c = ((const struct draw_what *)what)->cell;
	const enum way way = ((const struct draw_what *)what)->way;
	const unsigned int section = n % FRAMES_SECTIONS;
	const unsigned int words = step(c) / 4, count = c->size / step(c);
	uint32_t *want = frames_begin(n);

	for (unsigned int i = 0; i < c->updates; i++) {
		unsigned int buffer = i % c->buffers, slot = i / c->buffers;
		size_t offset = section * gl.section + slot * c->size;
		unsigned int vertex = offset / step(c), first = buffer * points(c);

		for (unsigned int k = 0; k < count; k++) {
			uint32_t word = (n * 4096 + i * count + k) * 2654435761u;

			gl.data[k * words] = word;
			want[first + slot * count + k] = word;
		}
		glBindVertexArray(gl.vao[buffer]);
		glBindBuffer(GL_ARRAY_BUFFER, gl.buffer[buffer]);
		if (!wrong || i != c->updates / 2)
			update(way, buffer, offset, c->size);
		glUniform1i(gl.u_first, (int)first - (int)(section * points(c)));
		glDrawArrays(GL_POINTS, vertex, count);
	}
	frames_end(n);
}

static void measure(const struct cell *c, enum way way, struct message *m)
{
	const struct draw_what what = { c, way };
	const struct frames f = { frame_draw, &what, points(c) * c->buffers, lose };

	buffers_create(c, way);
	m->wrong = frames_first(&f);
	m->sample = frames_timed(&f, frames);
	m->wrong += frames_last(&f);
	buffers_destroy(c);
}

/* ---- processes ---------------------------------------------------------- */

/* Measures what can be had with the parameter as it is, in an order of the round's. */
static void child(int to, int fd, bool on, unsigned int round)
{
	struct gl_context context;
	char err[256];

	if (gl_context_create(&context, fd, err, sizeof(err)))
		cannot("no OpenGL: %s", err);
	if (on && !context.buffer_storage)
		cannot("no GL_ARB_buffer_storage with the parameter on");
	gl_start();
	for (unsigned int cell = 0; cell < CELLS; cell++)
		for (unsigned int i = 0; i < COLUMNS; i++) {
			enum column column = (round + cell + i) % COLUMNS;
			struct message m = { .cell = cell, .column = column };

			if (columns[column].on != on || column >= n_columns)
				continue;
			measure(&cells[cell], columns[column].way, &m);
			frames_tell(to, &m, sizeof(m));
		}
	if (glGetError() != GL_NO_ERROR)
		failed("GL has an error");
	exit(0);
}

/* Returns how many points were wrong. */
static uint64_t run(bool on, unsigned int round)
{
	struct message m;
	uint64_t wrong = 0;
	int messages, fd;
	pid_t pid;

	if (parameter >= 0 && gpu_coherent_set(&device, on))
		cannot("cannot write the parameter coherent: %s", strerror(errno));
	fd = gpu_device_open(&device);
	if (parameter >= 0)
		gpu_coherent_set(&device, parameter);
	if (fd < 0)
		cannot("cannot open %s: %s", device.node.path, strerror(errno));
	pid = frames_child(&messages);
	if (!pid)
		child(messages, fd, on, round);
	close(fd);
	while (read(messages, &m, sizeof(m)) == sizeof(m)) {
		samples[m.cell][m.column][round] = m.sample;
		wrong += m.wrong;
		if (m.wrong)
			fprintf(stderr, "%s: %s, %s: %llu points are wrong\n", program,
				cells[m.cell].name, columns[m.column].name,
				(unsigned long long)m.wrong);
	}
	frames_child_end(pid, messages);
	return wrong;
}

/* ---- results ------------------------------------------------------------ */

static double value(unsigned int cell, enum column column, unsigned int round, bool cpu)
{
	const struct frames_time *s = &samples[cell][column][round];

	return cpu ? s->cpu : s->wall;
}

/* Of the two explicit ways, with the parameter off or on */
static double best(unsigned int cell, bool on, unsigned int round, bool cpu)
{
	double a = value(cell, on ? SUBDATA_ON : SUBDATA_OFF, round, cpu);
	double b = value(cell, on ? EXPLICIT_ON : EXPLICIT_OFF, round, cpu);

	return a < b ? a : b;
}

static struct spread taken(unsigned int cell, enum column column, bool cpu)
{
	double v[FRAMES_MAX_ROUNDS];

	for (unsigned int i = 0; i < rounds; i++)
		v[i] = value(cell, column, i, cpu);
	return spread_of(v, rounds);
}

/*
 * In each round what the better explicit way takes with the parameter off, over the
 * coherent one, or over the better explicit one with it on
 */
static struct spread gain(unsigned int cell, bool coherent, bool cpu)
{
	double v[FRAMES_MAX_ROUNDS];

	for (unsigned int i = 0; i < rounds; i++)
		v[i] = best(cell, false, i, cpu) /
			(coherent ? value(cell, COHERENT_ON, i, cpu) : best(cell, true, i, cpu));
	return spread_of(v, rounds);
}

static void print_table(bool cpu)
{
	const bool all = n_columns == COLUMNS;

	printf("\n%s of a frame in ms, the median of %u rounds%s\n\n%-28s", cpu ? "CPU time" : "Time",
	       rounds, all ? "; then the better explicit way with the\n"
	       "parameter off over the coherent one, and over the better explicit one with it on" : "",
	       "updates a frame");
	for (unsigned int i = 0; i < n_columns; i++)
		printf("  %13s", columns[i].name);
	printf(all ? "  %20s  %20s\n" : "\n", "over coherent", "over explicit, on");
	for (unsigned int cell = 0; cell < CELLS; cell++) {
		const struct spread r[] = { gain(cell, true, cpu), gain(cell, false, cpu) };

		printf("%-28s", cells[cell].name);
		for (unsigned int i = 0; i < n_columns; i++)
			printf("  %13.3f", taken(cell, i, cpu).median * 1e3);
		for (int i = 0; all && i < LENGTH(r); i++)
			printf("  %6.2f (%5.2f..%5.2f)", r[i].median, r[i].least, r[i].most);
		putchar('\n');
	}
}

static void write_json(void)
{
	json_t *all = json_array(), *json;

	for (unsigned int cell = 0; cell < CELLS; cell++) {
		const struct cell *c = &cells[cell];
		json_t *ways = json_object();

		for (unsigned int i = 0; i < n_columns; i++)
			json_object_set_new(ways, columns[i].name,
					    json_pack("{s:o, s:o}", "frame_s",
						      spread_json(taken(cell, i, false)), "cpu_s",
						      spread_json(taken(cell, i, true))));
		json = json_pack("{s:s, s:i, s:i, s:I, s:o}", "name", c->name, "buffers",
				 c->buffers, "updates", c->updates, "bytes",
				 (json_int_t)c->size, "ways", ways);
		if (n_columns == COLUMNS)
			json_object_update_new(json, json_pack(
				"{s:o, s:o, s:o, s:o}",
				"off_over_coherent", spread_json(gain(cell, true, false)),
				"off_over_coherent_cpu", spread_json(gain(cell, true, true)),
				"off_over_explicit_on", spread_json(gain(cell, false, false)),
				"off_over_explicit_on_cpu", spread_json(gain(cell, false, true))));
		json_array_append_new(all, json);
	}
	json = json_pack("{s:i, s:i, s:o}", "rounds", rounds, "frames", frames, "cells", all);
	write_json_file(out_dir, "ways", json);
}

/* ---- the whole ----------------------------------------------------------- */

int main(int argc, char **argv)
{
	bool explicit = false;
	uint64_t wrong = 0;

	program = "egm-ways";
	frames_options(argc, argv,
		       "What a frame takes whose updates get to the GPU by glBufferSubData(), by mappings\n"
		       "with explicit flushes, and by a coherent mapping that stays.\n",
		       "a point was wrong, or an error of GL", "write ways.json there",
		       "leave out an update in each case: must fail",
		       &(struct bench_option){
			       "explicit", NULL, "only the ways that need no coherent buffers, with the\n"
			       "                  parameter off or in a kernel that does not have it",
			       .flag = &explicit });
	if (explicit)
		n_columns = SUBDATA_ON;
	parameter = gpu_coherent_get(&device);
	if (parameter < 0 && n_columns == COLUMNS)
		cannot("no device whose driver has the parameter coherent");

	for (unsigned int round = 0; round < rounds; round++) {
		if (n_columns == COLUMNS)
			wrong += run(round & 1, round);
		wrong += run(n_columns == COLUMNS && !(round & 1), round);
		fprintf(stderr, "%s: round %u of %u\n", program, round + 1, rounds);
	}
	print_table(false);
	print_table(true);
	if (out_dir)
		write_json();
	printf("\n%llu points wrong\n", (unsigned long long)wrong);
	return finish(wrong ? EXIT_FAILED : 0);
}
