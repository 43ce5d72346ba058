// SPDX-License-Identifier: MIT
/*
 * egm-written: what coherent buffers cost that shaders only read, or that the GPU wrote
 * once, or writes a little of: a frame of each, over a frame of what it should cost no
 * more than. Each frame streams to rings that stay mapped, with a section for each frame
 * in flight, so nothing ever waits for the GPU because of what it writes.
 *
 * Frames are drawn from what was streamed, a point for a word of each
 * FRAMES_STEP bytes. Some
 * are compared before a case is timed, and some after it; and so is what the GPU wrote.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <epoxy/gl.h>

#include "cli.h"
#include "gl-context.h"
#include "gl-frames.h"
#include "gl-words.h"
#include "gpu-device.h"

#define MAX_BUFFERS 100
#define BLOCK (16 << 10)	/* what a shader is given at a time: a uniform block's least */
#define COUNTERS 1024u		/* words that a shader writes for each frame */

/* ---- what is measured --------------------------------------------------- */

struct variant {
	const char *name;
	enum { VERTICES, UNIFORMS, STORAGE } read;
	enum { NEVER, COPY, CLEAR, FEEDBACK } written;	/* before the first frame */
	enum { NO_COUNTERS, BESIDE, APART } counters;	/* in the ring's buffer or not */
};

struct ring_case {
	const char *name;
	unsigned int buffers;
	size_t size, bytes;	/* of a buffer, and what of it a frame streams */
	double limit;		/* of the first variant over the second */
	struct variant variants[2];
};

static const struct ring_case cases[] = {
	/* while there is memory in large pieces */
	{ "128 MiB, 2 MiB a frame, a counter of 4 KiB", 1, 128 << 20, 2 << 20, 1.1,
	  { { .name = "beside", .read = VERTICES, .counters = BESIDE },
	    { .name = "apart", .read = VERTICES, .counters = APART } } },
	{ "ring of 3 MiB, 64 KiB a frame", 1, 3 << 20, 64 << 10, 1.2,
	  { { .name = "storage", .read = STORAGE },
	    { .name = "uniforms", .read = UNIFORMS } } },
	{ "ring of 16 MiB, 1 MiB a frame", 1, 16 << 20, 1 << 20, 1.2,
	  { { .name = "storage", .read = STORAGE },
	    { .name = "uniforms", .read = UNIFORMS } } },
	{ "ring of 16 MiB, 4 MiB a frame", 1, 16 << 20, 4 << 20, 1.2,
	  { { .name = "storage", .read = STORAGE },
	    { .name = "uniforms", .read = UNIFORMS } } },
	{ "32 MiB, 1 MiB a frame, copied into", 1, 32 << 20, 1 << 20, 1.05,
	  { { .name = "once", .read = VERTICES, .written = COPY },
	    { .name = "never", .read = VERTICES } } },
	{ "32 MiB, 1 MiB a frame, cleared", 1, 32 << 20, 1 << 20, 1.05,
	  { { .name = "once", .read = VERTICES, .written = CLEAR },
	    { .name = "never", .read = VERTICES } } },
	{ "32 MiB, 1 MiB a frame, feedback of 64 bytes", 1, 32 << 20, 1 << 20, 1.05,
	  { { .name = "once", .read = VERTICES, .written = FEEDBACK },
	    { .name = "never", .read = VERTICES } } },
	{ "100 of 1 MiB, 4 KiB a frame, copied into", 100, 1 << 20, 4 << 10, 1.05,
	  { { .name = "once", .read = VERTICES, .written = COPY },
	    { .name = "never", .read = VERTICES } } },
};

#define CASES LENGTH(cases)

/* Of a frame. */
struct sample {
	struct frames_time time;
	double read_back;
};

/* What a child tells. */
struct message {
	unsigned int c, variant;
	struct sample sample;
	uint64_t wrong;
};

static struct sample samples[CASES][2][FRAMES_MAX_ROUNDS];

/* ---- GL ----------------------------------------------------------------- */

static const char *const vertex_shaders[][3] = {
	[VERTICES] = {
		"#version 430\n"
		"layout(location = 0) in uint a_word;\n",
		frames_point,
		"void main() { point(a_word); }\n",
	},
	[UNIFORMS] = {
		"#version 430\n"
		"layout(std140, binding = 0) uniform U { uvec4 u[1024]; };\n",
		frames_point,
		"void main() { point(u[gl_VertexID * 128].x); }\n",
	},
	[STORAGE] = {
		"#version 430\n"
		"layout(std430, binding = 0) readonly buffer S { uint s[]; };\n",
		frames_point,
		"void main() { point(s[gl_VertexID * 512]); }\n",
	},
};

static const char counter_shader[] =
	"#version 430\n"
	"layout(local_size_x = 64) in;\n"
	"uniform uint u_frame;\n"
	"layout(std430, binding = 1) buffer C { uint c[]; };\n"
	"void main() { c[gl_GlobalInvocationID.x] += u_frame + gl_GlobalInvocationID.x; }\n";

static const char feedback_shader[] =
	"#version 330\n"
	"flat out uint v;\n"
	"void main() { v = uint(gl_VertexID); gl_Position = vec4(0.0); }\n";

static struct {
	GLuint read[LENGTH(vertex_shaders)], counter, feedback;
	GLuint buffer[MAX_BUFFERS], vao[MAX_BUFFERS], counters;
	uint8_t *map[MAX_BUFFERS], *counter_map;
	uint32_t want_counters;		/* the first, the next are more by the frames each */
} gl;

static GLuint other_program(GLenum type, const char *source, const char *varying)
{
	GLuint shader = glCreateShader(type), id = glCreateProgram();
	GLint ok;

	glShaderSource(shader, 1, &source, NULL);
	glCompileShader(shader);
	glAttachShader(id, shader);
	if (varying)
		glTransformFeedbackVaryings(id, 1, &varying, GL_INTERLEAVED_ATTRIBS);
	glLinkProgram(id);
	glGetProgramiv(id, GL_LINK_STATUS, &ok);
	if (!ok)
		failed("shaders do not link");
	return id;
}

static void gl_start(void)
{
	char err[256];

	for (int i = 0; i < LENGTH(vertex_shaders); i++) {
		gl.read[i] = gl_words_program(3, vertex_shaders[i], err, sizeof(err));
		if (!gl.read[i])
			failed("%s", err);
	}
	gl.counter = other_program(GL_COMPUTE_SHADER, counter_shader, NULL);
	gl.feedback = other_program(GL_VERTEX_SHADER, feedback_shader, "v");
	frames_start();
}

static uint8_t *create(GLuint buffer, size_t size)
{
	const GLbitfield flags = GL_MAP_READ_BIT | GL_MAP_WRITE_BIT | GL_MAP_PERSISTENT_BIT |
				 GL_MAP_COHERENT_BIT;
	void *map;

	glBindBuffer(GL_ARRAY_BUFFER, buffer);
	glBufferStorage(GL_ARRAY_BUFFER, size, NULL, flags | GL_DYNAMIC_STORAGE_BIT);
	map = glMapBufferRange(GL_ARRAY_BUFFER, 0, size, flags);
	if (!map)
		failed("no coherent mapping of %zu KiB", size >> 10);
	memset(map, 0, size);
	return map;
}

static void write_once(const struct ring_case *c, const struct variant *v, GLuint buffer)
{
	const uint32_t zero = 0;
	GLuint from;

	switch (v->written) {
	case COPY:
		glGenBuffers(1, &from);
		glBindBuffer(GL_COPY_READ_BUFFER, from);
		glBufferData(GL_COPY_READ_BUFFER, c->size, NULL, GL_STATIC_COPY);
		glBindBuffer(GL_COPY_WRITE_BUFFER, buffer);
		glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER, 0, 0, c->size);
		glDeleteBuffers(1, &from);
		break;
	case CLEAR:
		glBindBuffer(GL_COPY_WRITE_BUFFER, buffer);
		glClearBufferData(GL_COPY_WRITE_BUFFER, GL_R32UI, GL_RED_INTEGER,
				  GL_UNSIGNED_INT, &zero);
		break;
	case FEEDBACK:
		glUseProgram(gl.feedback);
		glEnable(GL_RASTERIZER_DISCARD);
		glBindBufferRange(GL_TRANSFORM_FEEDBACK_BUFFER, 0, buffer, 0, 64);
		glBeginTransformFeedback(GL_POINTS);
		glDrawArrays(GL_POINTS, 0, 16);
		glEndTransformFeedback();
		glDisable(GL_RASTERIZER_DISCARD);
		break;
	default:
		break;
	}
}

static void rings_create(const struct ring_case *c, const struct variant *v)
{
	glGenBuffers(c->buffers, gl.buffer);
	glGenBuffers(1, &gl.counters);
	glGenVertexArrays(c->buffers, gl.vao);
	for (unsigned int i = 0; i < c->buffers; i++) {
		glBindVertexArray(gl.vao[i]);
		gl.map[i] = create(gl.buffer[i], c->size);
		glVertexAttribIPointer(0, 1, GL_UNSIGNED_INT, FRAMES_STEP, NULL);
		glEnableVertexAttribArray(0);
		write_once(c, v, gl.buffer[i]);
	}
	gl.counter_map = v->counters == BESIDE ? gl.map[0] + c->size - 4 * COUNTERS : NULL;
	if (v->counters == APART)
		gl.counter_map = create(gl.counters, 4 * COUNTERS);
	gl.want_counters = 0;
	glFinish();
}

static void rings_destroy(const struct ring_case *c)
{
	glDeleteVertexArrays(c->buffers, gl.vao);
	glDeleteBuffers(c->buffers, gl.buffer);
	glDeleteBuffers(1, &gl.counters);
	glFinish();
}

static void count(const struct ring_case *c, const struct variant *v, uint32_t n)
{
	glUseProgram(gl.counter);
	if (v->counters == BESIDE)
		glBindBufferRange(GL_SHADER_STORAGE_BUFFER, 1, gl.buffer[0],
				  c->size - 4 * COUNTERS, 4 * COUNTERS);
	else
		glBindBufferRange(GL_SHADER_STORAGE_BUFFER, 1, gl.counters, 0, 4 * COUNTERS);
	glUniform1ui(glGetUniformLocation(gl.counter, "u_frame"), n);
	glDispatchCompute(COUNTERS / 64, 1, 1);
	gl.want_counters += n;
}

/* From a range of a buffer that was stored to: points from @first on */
static void draw(const struct variant *v, unsigned int buffer, size_t offset, size_t bytes,
		 GLint u_first, unsigned int first)
{
	const GLenum target = v->read == UNIFORMS ? GL_UNIFORM_BUFFER : GL_SHADER_STORAGE_BUFFER;
	const unsigned int per = BLOCK / FRAMES_STEP;

	glBindVertexArray(gl.vao[buffer]);
	if (v->read == VERTICES) {
		glUniform1i(u_first, (int)first - (int)(offset / FRAMES_STEP));
		glDrawArrays(GL_POINTS, offset / FRAMES_STEP, bytes / FRAMES_STEP);
		return;
	}
	for (size_t at = 0; at < bytes; at += BLOCK, first += per) {
		glBindBufferRange(target, 0, gl.buffer[buffer], offset + at, BLOCK);
		glUniform1i(u_first, first);
		glDrawArrays(GL_POINTS, 0, per);
	}
}

struct draw_what {
	const struct ring_case *c;
	const struct variant *v;
};

static void frame_draw(const void *what, uint32_t n, bool wrong)
{
	const struct ring_case *c = ((const struct draw_what *)what)->c;
	const struct variant *v = ((const struct draw_what *)what)->v;
	/* the last section is the counters', if they are there */
	const size_t places = c->size / c->bytes - 1, offset = n % places * c->bytes;
	const unsigned int points = c->bytes / FRAMES_STEP;
	const GLuint id = gl.read[v->read];
	uint32_t *want;

	if (v->counters)
		count(c, v, n);
	glUseProgram(id);
	want = frames_begin(n);
	for (unsigned int i = 0; i < c->buffers; i++) {
		uint32_t *to = (uint32_t *)(gl.map[i] + offset);

		for (size_t k = 0; k < c->bytes / 4; k++)
			to[k] = (n * 4096 + i * points + k / (FRAMES_STEP / 4)) * 2654435761u;
		for (unsigned int k = 0; k < points; k++)
			want[i * points + k] = to[k * (FRAMES_STEP / 4)];
		if (wrong && !i)
			to[0]++;
		draw(v, i, offset, c->bytes, glGetUniformLocation(id, "u_first"), i * points);
	}
	frames_end(n);
}

static uint64_t counters_check(uint32_t frames_so_far)
{
	uint64_t wrong = 0;

	for (uint32_t i = 0; gl.counter_map && i < COUNTERS; i++)
		wrong += ((volatile uint32_t *)gl.counter_map)[i] !=
			 gl.want_counters + frames_so_far * i;
	return wrong;
}

static double read_back_bytes(void)
{
	struct egm_counters counters;
	const uint64_t *value;
	char err[EGM_ERR];

	if (egm_counters_read(&device.node, &counters, err))
		cannot("%s", err);
	value = egm_counter(&counters, "read_back_bytes");
	return value ? *value : 0;
}

static void measure(const struct ring_case *c, const struct variant *v, struct message *m)
{
	const struct draw_what what = { c, v };
	const struct frames f = { frame_draw, &what, c->bytes / FRAMES_STEP * c->buffers, lose };
	double read_back;

	rings_create(c, v);
	m->wrong = frames_first(&f);
	read_back = read_back_bytes();
	m->sample.time = frames_timed(&f, frames);
	m->sample.read_back = (read_back_bytes() - read_back) / frames;
	m->wrong += frames_last(&f) + counters_check(frames_drawn(frames));
	rings_destroy(c);
}

/* ---- processes ---------------------------------------------------------- */

/* In an order of the round's */
static void child(int to, int fd, unsigned int round)
{
	struct gl_context context;
	char err[256];

	if (gl_context_create(&context, fd, err, sizeof(err)))
		cannot("no OpenGL: %s", err);
	if (!context.buffer_storage || context.version < 43)
		cannot("needs OpenGL 4.3 and GL_ARB_buffer_storage");
	gl_start();
	for (unsigned int i = 0; i < 2 * CASES; i++) {
		struct message m = { .c = i / 2, .variant = (round + i + i / 2) % 2 };

		measure(&cases[m.c], &cases[m.c].variants[m.variant], &m);
		frames_tell(to, &m, sizeof(m));
	}
	if (glGetError() != GL_NO_ERROR)
		failed("GL has an error");
	exit(0);
}

/* Returns how many words were wrong. */
static uint64_t run(unsigned int round)
{
	struct message m;
	uint64_t wrong = 0;
	int messages, fd = gpu_device_open(&device);
	pid_t pid;

	if (fd < 0)
		cannot("cannot open %s: %s", device.node.path, strerror(errno));
	pid = frames_child(&messages);
	if (!pid)
		child(messages, fd, round);
	close(fd);
	while (read(messages, &m, sizeof(m)) == sizeof(m)) {
		samples[m.c][m.variant][round] = m.sample;
		wrong += m.wrong;
		if (m.wrong)
			fprintf(stderr, "%s: %s, %s: %llu words are wrong\n", program,
				cases[m.c].name, cases[m.c].variants[m.variant].name,
				(unsigned long long)m.wrong);
	}
	frames_child_end(pid, messages);
	return wrong;
}

/* ---- results ------------------------------------------------------------ */

enum what { WALL, CPU, READ_BACK };

static double value(unsigned int c, unsigned int variant, unsigned int round, enum what what)
{
	const struct sample *s = &samples[c][variant][round];

	return what == WALL ? s->time.wall : what == CPU ? s->time.cpu : s->read_back;
}

static struct spread taken(unsigned int c, unsigned int variant, enum what what)
{
	double v[FRAMES_MAX_ROUNDS];

	for (unsigned int i = 0; i < rounds; i++)
		v[i] = value(c, variant, i, what);
	return spread_of(v, rounds);
}

/* In each round the first variant over the second */
static struct spread ratio(unsigned int c, enum what what)
{
	double v[FRAMES_MAX_ROUNDS];

	for (unsigned int i = 0; i < rounds; i++)
		v[i] = value(c, 0, i, what) / value(c, 1, i, what);
	return spread_of(v, rounds);
}

static void print_table(enum what what)
{
	printf("\n%s of a frame in ms, the median of %u rounds, and the first over the second;\n"
	       "KiB of the first that are read back in a frame\n\n", what == CPU ? "CPU time" : "Time",
	       rounds);
	for (unsigned int c = 0; c < CASES; c++) {
		struct spread r = ratio(c, what);

		printf("%-46s", cases[c].name);
		for (int i = 0; i < 2; i++)
			printf("  %8s %8.3f", cases[c].variants[i].name,
			       taken(c, i, what).median * 1e3);
		printf("  %5.2f (%4.2f..%4.2f, limit %.2f)  %.1f\n", r.median, r.least, r.most,
		       cases[c].limit, taken(c, 0, READ_BACK).median / 1024);
	}
}

static void write_json(void)
{
	json_t *all = json_array();

	for (unsigned int c = 0; c < CASES; c++) {
		const struct ring_case *r = &cases[c];
		json_t *variants = json_array();

		for (int i = 0; i < 2; i++)
			json_array_append_new(variants, json_pack(
				"{s:s, s:o, s:o, s:o}", "name", r->variants[i].name,
				"frame_s", spread_json(taken(c, i, WALL)),
				"cpu_s", spread_json(taken(c, i, CPU)),
				"read_back_bytes", spread_json(taken(c, i, READ_BACK))));
		json_array_append_new(all, json_pack(
			"{s:s, s:f, s:o, s:o, s:o}", "name", r->name, "limit", r->limit,
			"variants", variants, "ratio", spread_json(ratio(c, WALL)),
			"ratio_cpu", spread_json(ratio(c, CPU))));
	}
	write_json_file(out_dir, "written", json_pack("{s:i, s:i, s:o}", "rounds", rounds,
						      "frames", frames, "cases", all));
}

/* ---- the whole ----------------------------------------------------------- */

int main(int argc, char **argv)
{
	uint64_t wrong = 0;

	program = "egm-written";
	frames_options(argc, argv,
		       "What coherent buffers cost that the GPU only reads, wrote once, or writes a little\n"
		       "of.\n", "a word was wrong, or an error of GL", "write written.json there",
		       "draw something else than is expected in each case: must fail", NULL);
	for (unsigned int round = 0; round < rounds; round++) {
		wrong += run(round);
		fprintf(stderr, "%s: round %u of %u\n", program, round + 1, rounds);
	}
	print_table(WALL);
	print_table(CPU);
	if (out_dir)
		write_json();
	printf("\n%llu words wrong\n", (unsigned long long)wrong);
	return finish(wrong ? EXIT_FAILED : 0);
}
