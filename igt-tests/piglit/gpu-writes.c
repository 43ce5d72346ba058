// SPDX-License-Identifier: MIT
/**
 * \file gpu-writes.c
 *
 * What the GPU writes to a buffer is read through a mapping of it that is persistent and
 * coherent, once the commands are complete, however the program finds that out. What the
 * CPU stores beside it, before and meanwhile, is not lost.
 *
 * For piglit: tests/spec/arb_buffer_storage/gpu-writes.c.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "piglit-util-gl.h"

static const struct piglit_subtest subtests[];

PIGLIT_GL_TEST_CONFIG_BEGIN
	config.subtests = subtests;
	config.supports_gl_core_version = 33;
	config.window_visual = PIGLIT_GL_VISUAL_RGB;
	config.khr_no_error_support = PIGLIT_NO_ERRORS;
PIGLIT_GL_TEST_CONFIG_END

#define WORDS (256 * 1024 / 4)
#define PAGE_WORDS (4096 / 4)
/* What is written in a round: not aligned to pages, and more than one of them */
#define COUNT 2048u
#define GROUP 64u
#define KNUTH 2654435761u
#define SECOND UINT64_C(1000000000)

static GLuint buffer, vao, fb;
static volatile uint32_t *map;
/* what it should hold */
static uint32_t want[WORDS];

static uint32_t value(uint32_t seed, uint32_t i)
{
	return seed + i * KNUTH;
}

static uint32_t random_number(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void store(uint32_t i, uint32_t v)
{
	map[i] = v;
	want[i] = v;
}

static bool check_range(const char *what, uint32_t first, uint32_t end)
{
	uint32_t i;

	for (i = first; i < end; i++)
		if (map[i] != want[i]) {
			printf("%s: word %u is 0x%x and should be 0x%x\n", what, i, map[i],
			       want[i]);
			return false;
		}
	return true;
}

static bool check(const char *what)
{
	return piglit_check_gl_error(GL_NO_ERROR) && check_range(what, 0, WORDS);
}

static GLuint feedback_program(const char *source, const char *varying)
{
	GLuint prog = glCreateProgram();

	glAttachShader(prog, piglit_compile_shader_text(GL_VERTEX_SHADER, source));
	if (varying)
		glTransformFeedbackVaryings(prog, 1, &varying, GL_INTERLEAVED_ATTRIBS);
	glLinkProgram(prog);
	if (!piglit_link_check_status(prog))
		piglit_report_result(PIGLIT_FAIL);
	return prog;
}

static GLuint compute_program(const char *source)
{
	return piglit_build_simple_program_multiple_shaders(GL_COMPUTE_SHADER, source, NULL);
}

static void set(GLuint prog, const char *name, uint32_t v)
{
	glUniform1ui(glGetUniformLocation(prog, name), v);
}

/*
 * Has the GPU write something that depends on the seed to COUNT words at most from first
 * on, and notes what. What is bound for it stays bound.
 */
struct writer {
	const char *name;
	const char *extension;
	void (*write)(uint32_t first, uint32_t seed);
};

static void want_values(uint32_t first, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < COUNT; i++)
		want[first + i] = value(seed, i);
}

static void want_same(uint32_t first, uint32_t v)
{
	uint32_t i;

	for (i = 0; i < COUNT; i++)
		want[first + i] = v;
}

static void transform_feedback(uint32_t first, uint32_t seed)
{
	static GLuint prog;

	if (!prog)
		prog = feedback_program("#version 330\n"
					"uniform uint seed;\n"
					"flat out uint v;\n"
					"void main() {\n"
					"	v = seed + uint(gl_VertexID) * 2654435761u;\n"
					"	gl_Position = vec4(0.0);\n"
					"}\n", "v");
	glUseProgram(prog);
	set(prog, "seed", seed);
	glEnable(GL_RASTERIZER_DISCARD);
	glBindBufferRange(GL_TRANSFORM_FEEDBACK_BUFFER, 0, buffer, first * 4,
			  COUNT * 4);
	glBeginTransformFeedback(GL_POINTS);
	glDrawArrays(GL_POINTS, 0, COUNT);
	glEndTransformFeedback();
	glDisable(GL_RASTERIZER_DISCARD);
	want_values(first, seed);
}

static void dispatch(GLuint prog, uint32_t first, uint32_t seed)
{
	set(prog, "first", first);
	set(prog, "seed", seed);
	glDispatchCompute(COUNT / GROUP, 1, 1);
	glMemoryBarrier(GL_CLIENT_MAPPED_BUFFER_BARRIER_BIT);
}

static GLuint storage_program(void)
{
	static GLuint prog;

	if (!prog)
		prog = compute_program("#version 430\n"
			       "layout(local_size_x = 64) in;\n"
			       "uniform uint first, seed;\n"
			       "layout(std430, binding = 0) buffer B { uint w[]; };\n"
			       "void main() {\n"
			       "	uint i = gl_GlobalInvocationID.x;\n"
			       "	w[first + i] = seed + i * 2654435761u;\n"
			       "}\n");
	glUseProgram(prog);
	return prog;
}

static void shader_storage(uint32_t first, uint32_t seed)
{
	GLuint prog = storage_program();

	glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, buffer);
	dispatch(prog, first, seed);
	want_values(first, seed);
}

static void atomic_counter(uint32_t first, uint32_t seed)
{
	static GLuint prog;

	if (!prog)
		prog = compute_program("#version 430\n"
			       "layout(local_size_x = 64) in;\n"
			       "uniform uint first, seed;\n"
			       "layout(binding = 0, offset = 0) uniform atomic_uint c;\n"
			       "void main() {\n"
			       "	if (first + seed != 0u)\n"
			       "		atomicCounterIncrement(c);\n"
			       "}\n");
	glUseProgram(prog);
	/* It goes on from what the CPU has stored. */
	store(first, value(seed, 0));
	glBindBufferRange(GL_ATOMIC_COUNTER_BUFFER, 0, buffer, first * 4, 4);
	dispatch(prog, first, seed);
	want[first] += COUNT;
}

static void image_store(uint32_t first, uint32_t seed)
{
	static GLuint prog, texture;

	if (!prog) {
		prog = compute_program("#version 430\n"
			       "layout(local_size_x = 64) in;\n"
			       "uniform uint first, seed;\n"
			       "layout(r32ui, binding = 0) uniform writeonly uimageBuffer b;\n"
			       "void main() {\n"
			       "	uint i = gl_GlobalInvocationID.x;\n"
			       "	imageStore(b, int(first + i), uvec4(seed + i * 2654435761u));\n"
			       "}\n");
		glGenTextures(1, &texture);
		glBindTexture(GL_TEXTURE_BUFFER, texture);
	}
	glUseProgram(prog);
	glTexBuffer(GL_TEXTURE_BUFFER, GL_R32UI, buffer);
	glBindImageTexture(0, texture, 0, GL_FALSE, 0, GL_WRITE_ONLY, GL_R32UI);
	dispatch(prog, first, seed);
	want_values(first, seed);
}

static void pixel_pack(uint32_t first, uint32_t seed)
{
	glClearBufferuiv(GL_COLOR, 0, (GLuint[4]){ value(seed, 1) });
	glBindBuffer(GL_PIXEL_PACK_BUFFER, buffer);
	glReadPixels(0, 0, 64, COUNT / 64, GL_RED_INTEGER, GL_UNSIGNED_INT,
		     (void *)(uintptr_t)(first * 4));
	glBindBuffer(GL_PIXEL_PACK_BUFFER, 0);
	want_same(first, value(seed, 1));
}

static void copy(uint32_t first, uint32_t seed)
{
	static GLuint src;

	if (!src)
		glGenBuffers(1, &src);
	want_values(first, seed);
	glBindBuffer(GL_COPY_READ_BUFFER, src);
	glBufferData(GL_COPY_READ_BUFFER, COUNT * 4, want + first,
		     GL_STREAM_COPY);
	glBindBuffer(GL_COPY_WRITE_BUFFER, buffer);
	glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER, 0,
			    first * 4, COUNT * 4);
}

static void clear(uint32_t first, uint32_t seed)
{
	uint32_t v = value(seed, 7);

	glBindBuffer(GL_COPY_WRITE_BUFFER, buffer);
	glClearBufferSubData(GL_COPY_WRITE_BUFFER, GL_R32UI, first * 4, COUNT * 4,
			     GL_RED_INTEGER, GL_UNSIGNED_INT, &v);
	want_same(first, v);
}

static void query(uint32_t first, uint32_t seed)
{
	static GLuint prog, query;
	GLsizei n = 1 + seed % 1000;

	if (!prog) {
		prog = feedback_program("#version 330\n"
			       "void main() { gl_Position = vec4(0.0); }\n", NULL);
		glGenQueries(1, &query);
	}
	glUseProgram(prog);
	glEnable(GL_RASTERIZER_DISCARD);
	glBeginQuery(GL_PRIMITIVES_GENERATED, query);
	glDrawArrays(GL_POINTS, 0, n);
	glEndQuery(GL_PRIMITIVES_GENERATED);
	glDisable(GL_RASTERIZER_DISCARD);
	glBindBuffer(GL_QUERY_BUFFER, buffer);
	glGetQueryObjectuiv(query, GL_QUERY_RESULT,
			    (GLuint *)(uintptr_t)(first * 4));
	glBindBuffer(GL_QUERY_BUFFER, 0);
	want[first] = n;
}

/*
 * glBufferSubData() is not one of them: Mesa's virgl does not carry it out, and says
 * nothing, if the buffer is mapped.
 */
static const struct writer writers[] = {
	{ "transform-feedback", NULL, transform_feedback },
	{ "shader-storage", "GL_ARB_shader_storage_buffer_object", shader_storage },
	{ "atomic-counter", "GL_ARB_shader_atomic_counters", atomic_counter },
	{ "image-store", "GL_ARB_shader_image_load_store", image_store },
	{ "pixel-pack", NULL, pixel_pack },
	{ "copy", NULL, copy },
	{ "clear", "GL_ARB_clear_buffer_object", clear },
	{ "query", "GL_ARB_query_buffer_object", query },
};

/* How the program waits. The last does not: the load itself has to. */
static bool finish(void)
{
	glFinish();
	return true;
}

static bool client_wait_sync(void)
{
	GLsync sync = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
	GLenum ret = glClientWaitSync(sync, GL_SYNC_FLUSH_COMMANDS_BIT, 60 * SECOND);

	glDeleteSync(sync);
	return ret == GL_CONDITION_SATISFIED || ret == GL_ALREADY_SIGNALED;
}

static bool get_sync(void)
{
	GLsync sync = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
	GLint status = 0;
	int ms;

	glFlush();
	for (ms = 0; ms < 60000 && status != GL_SIGNALED; ms++) {
		glGetSynciv(sync, GL_SYNC_STATUS, 1, NULL, &status);
		if (status != GL_SIGNALED)
			usleep(1000);
	}
	glDeleteSync(sync);
	return status == GL_SIGNALED;
}

static bool flush(void)
{
	glFlush();
	return true;
}

struct waiter {
	const char *name;
	bool (*wait)(void);
};

static const struct waiter waiters[] = {
	{ "wait-finish", finish },
	{ "wait-client-wait-sync", client_wait_sync },
	{ "wait-get-sync", get_sync },
	{ "wait-flush", flush },
};

/* What is drawn goes nowhere, or to a picture with a word for each of COUNT. */
static void framebuffer(void)
{
	GLuint rb;

	glGenFramebuffers(1, &fb);
	glBindFramebuffer(GL_FRAMEBUFFER, fb);
	glGenRenderbuffers(1, &rb);
	glBindRenderbuffer(GL_RENDERBUFFER, rb);
	glRenderbufferStorage(GL_RENDERBUFFER, GL_R32UI, 64, COUNT / 64);
	glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, rb);
	if (glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE)
		piglit_report_result(PIGLIT_FAIL);
}

/* A new buffer */
static bool begin(void)
{
	const GLbitfield flags = GL_MAP_READ_BIT | GL_MAP_WRITE_BIT |
		GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT;

	if (!vao) {
		glGenVertexArrays(1, &vao);
		framebuffer();
	}
	glBindVertexArray(vao);
	if (buffer)
		glDeleteBuffers(1, &buffer);
	glGenBuffers(1, &buffer);
	glBindBuffer(GL_ARRAY_BUFFER, buffer);
	memset(want, 0, sizeof(want));
	glBufferStorage(GL_ARRAY_BUFFER, sizeof(want), want, flags | GL_DYNAMIC_STORAGE_BIT);
	map = glMapBufferRange(GL_ARRAY_BUFFER, 0, sizeof(want), flags);
	return map && check("at first");
}

/* Some words before and behind what is written, in the same pages */
static void store_neighbours(uint32_t first, uint32_t seed)
{
	uint32_t i;

	for (i = 1; i <= 8; i++) {
		store(first - i, value(~seed, i));
		store(first + COUNT + i - 1, value(~seed, 100 + i));
	}
}

static bool rounds(const struct writer *writer, const struct waiter *waiter, int n,
		   uint32_t *state)
{
	bool pass = true;

	while (n-- && pass) {
		/* offsets of texture buffers and storage are multiples of 256 bytes */
		uint32_t first = PAGE_WORDS + 32 +
			64 * (random_number(state) % ((WORDS - COUNT - 2 * PAGE_WORDS) / 64));
		uint32_t seed = random_number(state);

		store_neighbours(first, seed);
		writer->write(first, seed);
		if (n & 1) {
			glFlush();
			store_neighbours(first, seed + 1);
		}
		pass = waiter->wait() && check(writer->name);
	}
	return pass;
}

static enum piglit_result run_writer(void *data)
{
	const struct writer *writer = data;
	uint32_t state = 1, i;
	bool pass;

	if (writer->extension && !piglit_is_extension_supported(writer->extension))
		return PIGLIT_SKIP;
	pass = begin();
	for (i = 0; i < ARRAY_SIZE(waiters); i++)
		pass = pass && rounds(writer, &waiters[i], 6, &state);
	return pass ? PIGLIT_PASS : PIGLIT_FAIL;
}

static enum piglit_result run_waiter(void *data)
{
	uint32_t state = 2, i;
	bool pass = begin();

	for (i = 0; i < 3; i++)
		pass = pass && rounds(&writers[0], data, 4, &state) &&
		       rounds(&writers[1], data, 4, &state);
	return pass ? PIGLIT_PASS : PIGLIT_FAIL;
}

/* Bound once, written in many submissions that do not say so again. */
static enum piglit_result bound_once(void *data)
{
	bool pass = begin();
	GLuint prog = storage_program();
	uint32_t state = 3, i;

	glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, buffer);
	for (i = 0; i < 100 && pass; i++) {
		uint32_t first = PAGE_WORDS + random_number(&state) % (WORDS / 2);

		store_neighbours(first, i);
		dispatch(prog, first, i);
		want_values(first, i);
		glFinish();
		pass = check("bound once");
	}
	return pass ? PIGLIT_PASS : PIGLIT_FAIL;
}

/*
 * A ring of slots, and in each slot a word of the CPU beside one of the GPU. Each
 * round the GPU computes its words of a slot from the CPU's of that and from its own
 * of the slot before, and the CPU stores what it has made of the GPU's: one wrong word
 * makes all that follow wrong.
 */
#define SLOTS 16
#define SLOT_WORDS 1024u

static uint32_t mix(uint32_t a, uint32_t b)
{
	return (a ^ b) * KNUTH + 1;
}

static enum piglit_result ping_pong(void *data)
{
	static GLuint prog;
	bool pass = begin();
	uint32_t i, round;

	if (!prog)
		prog = compute_program("#version 430\n"
			       "layout(local_size_x = 64) in;\n"
			       "uniform uint first, before;\n"
			       "layout(std430, binding = 0) buffer B { uint w[]; };\n"
			       "void main() {\n"
			       "	uint i = 2u * gl_GlobalInvocationID.x;\n"
			       "	w[first + i + 1u] = (w[first + i] ^ w[before + i + 1u]) *\n"
			       "		2654435761u + 1u;\n"
			       "}\n");
	glUseProgram(prog);
	glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, buffer);
	for (round = 0; round < 1000 && pass; round++) {
		uint32_t first = round % SLOTS * SLOT_WORDS;
		uint32_t before = (round + SLOTS - 1) % SLOTS * SLOT_WORDS;

		/* it reads what the GPU has written one round before */
		for (i = 0; i < SLOT_WORDS; i += 2)
			store(first + i, mix(map[before + i + 1], round));
		set(prog, "first", first);
		set(prog, "before", before);
		glDispatchCompute(SLOT_WORDS / 2 / GROUP, 1, 1);
		glMemoryBarrier(GL_SHADER_STORAGE_BARRIER_BIT |
				GL_CLIENT_MAPPED_BUFFER_BARRIER_BIT);
		pass = round & 1 ? client_wait_sync() : finish();
		for (i = 0; i < SLOT_WORDS; i += 2)
			want[first + i + 1] = mix(want[first + i],
						  want[before + i + 1]);
		pass = pass && check_range("ping-pong", first, first + SLOT_WORDS);
	}
	pass = pass && check("in the end");
	return pass ? PIGLIT_PASS : PIGLIT_FAIL;
}

/* Words that nobody else has, in the pages of the ring's slots */
#define THREADS 3
#define OWN (SLOTS * SLOT_WORDS)

struct storer {
	pthread_t thread;
	uint32_t word, last;
	atomic_bool *stop;
};

static void *storer_run(void *arg)
{
	struct storer *s = arg;

	while (!atomic_load(s->stop))
		map[s->word] = ++s->last;
	return NULL;
}

/* Other threads store to the same chunk all the time. */
static enum piglit_result threads(void *data)
{
	struct storer s[THREADS];
	atomic_bool stop = false;
	bool pass = begin();
	uint32_t i;

	for (i = 0; i < THREADS; i++) {
		s[i] = (struct storer){
			.word = OWN + 3 * i, .stop = &stop,
		};
		if (pthread_create(&s[i].thread, NULL, storer_run, &s[i]))
			piglit_report_result(PIGLIT_FAIL);
	}
	for (i = 0; i < 60 && pass; i++) {
		shader_storage(OWN + 64, i);
		glFinish();
		pass = check_range("threads", OWN + 64 + i, OWN + 64 + i + 1);
	}
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++) {
		pthread_join(s[i].thread, NULL);
		want[s[i].word] = s[i].last;
	}
	pass = pass && check("threads");
	/* and what the device has of them */
	shader_storage(OWN + 64, i);
	glFinish();
	pass = pass && check("threads, read back");
	return pass ? PIGLIT_PASS : PIGLIT_FAIL;
}

static const struct piglit_subtest subtests[] = {
	{ "transform feedback", "transform-feedback", run_writer, (void *)&writers[0] },
	{ "shader storage", "shader-storage", run_writer, (void *)&writers[1] },
	{ "atomic counters", "atomic-counter", run_writer, (void *)&writers[2] },
	{ "images of buffers", "image-store", run_writer, (void *)&writers[3] },
	{ "glReadPixels() to a buffer", "pixel-pack", run_writer, (void *)&writers[4] },
	{ "glCopyBufferSubData()", "copy", run_writer, (void *)&writers[5] },
	{ "glClearBufferSubData()", "clear", run_writer, (void *)&writers[6] },
	{ "the result of a query", "query", run_writer, (void *)&writers[7] },
	{ "waited for by glFinish()", "wait-finish", run_waiter, (void *)&waiters[0] },
	{ "by glClientWaitSync()", "wait-client-wait-sync", run_waiter, (void *)&waiters[1] },
	{ "by glGetSynciv()", "wait-get-sync", run_waiter, (void *)&waiters[2] },
	{ "not waited for, only flushed", "wait-flush", run_waiter, (void *)&waiters[3] },
	{ "a binding that lasts for many submissions", "bound-once", bound_once, NULL },
	{ "CPU and GPU compute from each other's words", "ping-pong", ping_pong, NULL },
	{ "threads store beside what the GPU writes", "threads", threads, NULL },
	{ NULL }
};

void piglit_init(int argc, char **argv)
{
	const char **selected;
	size_t n = piglit_get_selected_tests(&selected);

	piglit_require_extension("GL_ARB_buffer_storage");
	piglit_require_extension("GL_ARB_compute_shader");
	piglit_require_extension("GL_ARB_shader_storage_buffer_object");
	piglit_report_result(piglit_run_selected_subtests(subtests, selected, n,
							  PIGLIT_PASS));
}

enum piglit_result piglit_display(void)
{
	return PIGLIT_FAIL;
}
