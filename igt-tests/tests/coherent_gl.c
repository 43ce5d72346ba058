// SPDX-License-Identifier: MIT
/**
 * TEST: coherent gl
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C2 and C4 as a GL program has them: whatever OpenGL has to write
 *	to a buffer, and whichever way the program waits for it, what it loads through its
 *	persistent, coherent mapping is that; and what it stores beside it, before and
 *	meanwhile, is not lost.
 *
 * SUBTEST: transform-feedback
 * Description: C2, C4: transform feedback
 *
 * SUBTEST: shader-storage
 * Description: C2, C4: shader storage
 *
 * SUBTEST: atomic-counter
 * Description: C1, C2, C4: atomic counters
 *
 * SUBTEST: image-store
 * Description: C2, C4: images of buffers
 *
 * SUBTEST: pixel-pack
 * Description: C2, C4: glReadPixels() to a buffer
 *
 * SUBTEST: copy
 * Description: C2, C4: glCopyBufferSubData()
 *
 * SUBTEST: clear
 * Description: C2, C4: glClearBufferSubData()
 *
 * SUBTEST: query
 * Description: C2, C4: the result of a query
 *
 * SUBTEST: wait-finish
 * Description: C2: waited for by glFinish()
 *
 * SUBTEST: wait-client-wait-sync
 * Description: C2: by glClientWaitSync()
 *
 * SUBTEST: wait-get-sync
 * Description: C2: by glGetSynciv()
 *
 * SUBTEST: wait-egl-sync
 * Description: C2: by eglClientWaitSyncKHR()
 *
 * SUBTEST: wait-fence-fd
 * Description: C2: by poll() for a fence's file
 *
 * SUBTEST: wait-flush
 * Description: C2: not waited for, only flushed
 *
 * SUBTEST: bound-once
 * Description: C2: a binding that lasts for many submissions
 *
 * SUBTEST: two-contexts
 * Description: C2: bindings in two contexts
 *
 * SUBTEST: ping-pong
 * Description: C1, C2, C4: a ring in which CPU and GPU compute from each other's words
 *
 * SUBTEST: threads
 * Description: C1, C2, C4: threads that store beside what the GPU writes
 *
 * SUBTEST: processes
 * Description: C1, C2, C4: processes that have inherited the mapping
 *
 * SUBTEST: storage-ring
 * Description: C5: a ring that shaders read as storage, beside what they write
 *
 * SUBTEST: copied-ring
 * Description: C5: a ring that was copied into once
 *
 * SUBTEST: feedback-ring
 * Description: C5: a ring that had some transform feedback once
 *
 * SUBTEST: stored-ring
 * Description: C5: a ring that was bound as storage that a shader writes
 *
 * SUBTEST: counter
 * Description: C5: a counter that shaders write in a buffer that is streamed
 *
 * SUBTEST: sensitivity
 * Description: C1: an upload that the host loses is noticed
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <epoxy/egl.h>
#include <epoxy/gl.h>

#include "coherent.h"
#include "gl-context.h"
#include "igt_core.h"

IGT_TEST_DESCRIPTION("Coherent buffers: what OpenGL writes is read through the mapping");

#define WORDS (KiB(256) / 4)
#define PAGE_WORDS (PAGE / 4)
/* What is written in a round: not aligned to pages, and more than one of them */
#define COUNT 2048u
#define GROUP 64u
#define KNUTH 2654435761u
#define SECOND UINT64_C(1000000000)

struct gl {
	struct egm_dev *dev;
	GLuint buffer, vao;
	volatile uint32_t *map;
	/* what it should hold */
	uint32_t want[WORDS];
};

static uint32_t value(uint32_t seed, uint32_t i)
{
	return seed + i * KNUTH;
}

static void store(struct gl *gl, uint32_t i, uint32_t v)
{
	gl->map[i] = v;
	gl->want[i] = v;
}

static void check(const struct gl *gl, const char *what)
{
	uint32_t i;

	igt_assert_eq(glGetError(), GL_NO_ERROR);
	for (i = 0; i < WORDS && gl->map[i] == gl->want[i]; i++)
		;
	igt_assert_f(i == WORDS, "%s: word %u is 0x%x and should be 0x%x\n",
		     what, i, gl->map[i], gl->want[i]);
}

static GLuint program(GLenum type, const char *source, const char *varying)
{
	GLuint shader = glCreateShader(type), prog = glCreateProgram();
	char log[512] = "";
	GLint ok;

	glShaderSource(shader, 1, &source, NULL);
	glCompileShader(shader);
	glAttachShader(prog, shader);
	glDeleteShader(shader);
	if (varying)
		glTransformFeedbackVaryings(prog, 1, &varying,
					    GL_INTERLEAVED_ATTRIBS);
	glLinkProgram(prog);
	glGetProgramiv(prog, GL_LINK_STATUS, &ok);
	if (!ok)
		glGetProgramInfoLog(prog, sizeof(log), NULL, log);
	igt_assert_f(ok, "%s\n", log);
	glUseProgram(prog);
	return prog;
}

static void set(GLuint prog, const char *name, uint32_t v)
{
	glUniform1ui(glGetUniformLocation(prog, name), v);
}

/* ---- who writes ---------------------------------------------------------- */

/*
 * Has the GPU write something that depends on the seed to COUNT words at most from
 * @first on, and notes what. What is bound for it stays bound.
 */
struct writer {
	const char *name, *description;
	const char *extension;
	void (*write)(struct gl *gl, uint32_t first, uint32_t seed);
};

static void want_values(struct gl *gl, uint32_t first, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < COUNT; i++)
		gl->want[first + i] = value(seed, i);
}

static void want_same(struct gl *gl, uint32_t first, uint32_t v)
{
	uint32_t i;

	for (i = 0; i < COUNT; i++)
		gl->want[first + i] = v;
}

static GLuint feedback_program(void)
{
	static GLuint prog;

	if (!prog)
		prog = program(GL_VERTEX_SHADER,
			       "#version 330\n"
			       "uniform uint seed;\n"
			       "flat out uint v;\n"
			       "void main() {\n"
			       "	v = seed + uint(gl_VertexID) * 2654435761u;\n"
			       "	gl_Position = vec4(0.0);\n"
			       "}\n", "v");
	glUseProgram(prog);
	return prog;
}

static void transform_feedback(struct gl *gl, uint32_t first, uint32_t seed)
{
	GLuint prog = feedback_program();

	set(prog, "seed", seed);
	glEnable(GL_RASTERIZER_DISCARD);
	glBindBufferRange(GL_TRANSFORM_FEEDBACK_BUFFER, 0, gl->buffer, first * 4,
			  COUNT * 4);
	glBeginTransformFeedback(GL_POINTS);
	glDrawArrays(GL_POINTS, 0, COUNT);
	glEndTransformFeedback();
	glDisable(GL_RASTERIZER_DISCARD);
	want_values(gl, first, seed);
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
		prog = program(GL_COMPUTE_SHADER,
			       "#version 430\n"
			       "layout(local_size_x = 64) in;\n"
			       "uniform uint first, seed;\n"
			       "layout(std430, binding = 0) buffer B { uint w[]; };\n"
			       "void main() {\n"
			       "	uint i = gl_GlobalInvocationID.x;\n"
			       "	w[first + i] = seed + i * 2654435761u;\n"
			       "}\n", NULL);
	glUseProgram(prog);
	return prog;
}

static void shader_storage(struct gl *gl, uint32_t first, uint32_t seed)
{
	GLuint prog = storage_program();

	glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, gl->buffer);
	dispatch(prog, first, seed);
	want_values(gl, first, seed);
}

static void atomic_counter(struct gl *gl, uint32_t first, uint32_t seed)
{
	static GLuint prog;

	if (!prog)
		prog = program(GL_COMPUTE_SHADER,
			       "#version 430\n"
			       "layout(local_size_x = 64) in;\n"
			       "uniform uint first, seed;\n"
			       "layout(binding = 0, offset = 0) uniform atomic_uint c;\n"
			       "void main() {\n"
			       "	if (first + seed != 0u)\n"
			       "		atomicCounterIncrement(c);\n"
			       "}\n", NULL);
	glUseProgram(prog);
	/* It goes on from what the CPU has stored. */
	store(gl, first, value(seed, 0));
	glBindBufferRange(GL_ATOMIC_COUNTER_BUFFER, 0, gl->buffer, first * 4, 4);
	dispatch(prog, first, seed);
	gl->want[first] += COUNT;
}

static void image_store(struct gl *gl, uint32_t first, uint32_t seed)
{
	static GLuint prog, texture;

	if (!prog) {
		prog = program(GL_COMPUTE_SHADER,
			       "#version 430\n"
			       "layout(local_size_x = 64) in;\n"
			       "uniform uint first, seed;\n"
			       "layout(r32ui, binding = 0) uniform writeonly uimageBuffer b;\n"
			       "void main() {\n"
			       "	uint i = gl_GlobalInvocationID.x;\n"
			       "	imageStore(b, int(first + i), uvec4(seed + i * 2654435761u));\n"
			       "}\n", NULL);
		glGenTextures(1, &texture);
		glBindTexture(GL_TEXTURE_BUFFER, texture);
	}
	glUseProgram(prog);
	glTexBuffer(GL_TEXTURE_BUFFER, GL_R32UI, gl->buffer);
	glBindImageTexture(0, texture, 0, GL_FALSE, 0, GL_WRITE_ONLY, GL_R32UI);
	dispatch(prog, first, seed);
	want_values(gl, first, seed);
}

static void pixel_pack(struct gl *gl, uint32_t first, uint32_t seed)
{
	glClearBufferuiv(GL_COLOR, 0, (GLuint[4]){ value(seed, 1) });
	glBindBuffer(GL_PIXEL_PACK_BUFFER, gl->buffer);
	glReadPixels(0, 0, 64, COUNT / 64, GL_RED_INTEGER, GL_UNSIGNED_INT,
		     (void *)(uintptr_t)(first * 4));
	glBindBuffer(GL_PIXEL_PACK_BUFFER, 0);
	want_same(gl, first, value(seed, 1));
}

static void copy(struct gl *gl, uint32_t first, uint32_t seed)
{
	static GLuint src;

	if (!src)
		glGenBuffers(1, &src);
	want_values(gl, first, seed);
	glBindBuffer(GL_COPY_READ_BUFFER, src);
	glBufferData(GL_COPY_READ_BUFFER, COUNT * 4, gl->want + first,
		     GL_STREAM_COPY);
	glBindBuffer(GL_COPY_WRITE_BUFFER, gl->buffer);
	glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER, 0,
			    first * 4, COUNT * 4);
}

static void clear(struct gl *gl, uint32_t first, uint32_t seed)
{
	uint32_t v = value(seed, 7);

	glBindBuffer(GL_COPY_WRITE_BUFFER, gl->buffer);
	glClearBufferSubData(GL_COPY_WRITE_BUFFER, GL_R32UI, first * 4, COUNT * 4,
			     GL_RED_INTEGER, GL_UNSIGNED_INT, &v);
	want_same(gl, first, v);
}

static void query(struct gl *gl, uint32_t first, uint32_t seed)
{
	static GLuint prog, query;
	GLsizei n = 1 + seed % 1000;

	if (!prog) {
		prog = program(GL_VERTEX_SHADER,
			       "#version 330\n"
			       "void main() { gl_Position = vec4(0.0); }\n", NULL);
		glGenQueries(1, &query);
	}
	glUseProgram(prog);
	glEnable(GL_RASTERIZER_DISCARD);
	glBeginQuery(GL_PRIMITIVES_GENERATED, query);
	glDrawArrays(GL_POINTS, 0, n);
	glEndQuery(GL_PRIMITIVES_GENERATED);
	glDisable(GL_RASTERIZER_DISCARD);
	glBindBuffer(GL_QUERY_BUFFER, gl->buffer);
	glGetQueryObjectuiv(query, GL_QUERY_RESULT,
			    (GLuint *)(uintptr_t)(first * 4));
	glBindBuffer(GL_QUERY_BUFFER, 0);
	gl->want[first] = n;
}

/*
 * glBufferSubData() is not one of them: Mesa's virgl does not carry it out, and says
 * nothing, if the buffer is mapped.
 */
static const struct writer writers[] = {
	{ "transform-feedback", "C2, C4: transform feedback", NULL,
	  transform_feedback },
	{ "shader-storage", "C2, C4: shader storage",
	  "GL_ARB_shader_storage_buffer_object", shader_storage },
	{ "atomic-counter", "C1, C2, C4: atomic counters",
	  "GL_ARB_shader_atomic_counters", atomic_counter },
	{ "image-store", "C2, C4: images of buffers",
	  "GL_ARB_shader_image_load_store", image_store },
	{ "pixel-pack", "C2, C4: glReadPixels() to a buffer", NULL, pixel_pack },
	{ "copy", "C2, C4: glCopyBufferSubData()", NULL, copy },
	{ "clear", "C2, C4: glClearBufferSubData()", "GL_ARB_clear_buffer_object",
	  clear },
	{ "query", "C2, C4: the result of a query",
	  "GL_ARB_query_buffer_object", query },
};

/* ---- how the program waits ------------------------------------------------ */

struct waiter {
	const char *name, *description;
	const char *egl_extension;
	void (*wait)(void);
};

static void finish(void)
{
	glFinish();
}

static void client_wait_sync(void)
{
	GLsync sync = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
	GLenum ret = glClientWaitSync(sync, GL_SYNC_FLUSH_COMMANDS_BIT,
				      60 * SECOND);

	igt_assert(ret == GL_CONDITION_SATISFIED || ret == GL_ALREADY_SIGNALED);
	glDeleteSync(sync);
}

static void get_sync(void)
{
	GLsync sync = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
	GLint status = 0;
	int ms;

	glFlush();
	for (ms = 0; ms < 60000; ms++) {
		glGetSynciv(sync, GL_SYNC_STATUS, 1, NULL, &status);
		if (status == GL_SIGNALED)
			break;
		usleep(1000);
	}
	igt_assert_eq(status, GL_SIGNALED);
	glDeleteSync(sync);
}

static void egl_sync(void)
{
	EGLDisplay dpy = eglGetCurrentDisplay();
	EGLSyncKHR sync = eglCreateSyncKHR(dpy, EGL_SYNC_FENCE_KHR, NULL);

	igt_assert(sync != EGL_NO_SYNC_KHR);
	igt_assert_eq(eglClientWaitSyncKHR(dpy, sync,
					   EGL_SYNC_FLUSH_COMMANDS_BIT_KHR,
					   60 * SECOND),
		      EGL_CONDITION_SATISFIED_KHR);
	eglDestroySyncKHR(dpy, sync);
}

static void fence_fd(void)
{
	EGLDisplay dpy = eglGetCurrentDisplay();
	EGLSyncKHR sync = eglCreateSyncKHR(dpy, EGL_SYNC_NATIVE_FENCE_ANDROID,
					   NULL);
	struct pollfd p = { .events = POLLIN };

	igt_assert(sync != EGL_NO_SYNC_KHR);
	glFlush();
	p.fd = eglDupNativeFenceFDANDROID(dpy, sync);
	igt_assert(p.fd >= 0);
	igt_assert_eq(poll(&p, 1, 60000), 1);
	igt_assert(p.revents & POLLIN);
	close(p.fd);
	eglDestroySyncKHR(dpy, sync);
}

/* The load itself waits, once the commands are on their way. */
static void flush(void)
{
	glFlush();
}

static const struct waiter waiters[] = {
	{ "wait-finish", "C2: waited for by glFinish()", NULL, finish },
	{ "wait-client-wait-sync", "C2: by glClientWaitSync()", NULL,
	  client_wait_sync },
	{ "wait-get-sync", "C2: by glGetSynciv()", NULL, get_sync },
	{ "wait-egl-sync", "C2: by eglClientWaitSyncKHR()", "EGL_KHR_fence_sync",
	  egl_sync },
	{ "wait-fence-fd", "C2: by poll() for a fence's file",
	  "EGL_ANDROID_native_fence_sync", fence_fd },
	{ "wait-flush", "C2: not waited for, only flushed", NULL, flush },
};

/* ---- subtests --------------------------------------------------------------- */

/* What is drawn goes nowhere, or to a picture with a word for each of COUNT. */
static void framebuffer(void)
{
	GLuint fb, rb;

	glGenFramebuffers(1, &fb);
	glBindFramebuffer(GL_FRAMEBUFFER, fb);
	glGenRenderbuffers(1, &rb);
	glBindRenderbuffer(GL_RENDERBUFFER, rb);
	glRenderbufferStorage(GL_RENDERBUFFER, GL_R32UI, 64, COUNT / 64);
	glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
				  GL_RENDERBUFFER, rb);
	igt_assert_eq(glCheckFramebufferStatus(GL_FRAMEBUFFER),
		      GL_FRAMEBUFFER_COMPLETE);
}

/* The context lives as long as the process, the buffer as long as a subtest. */
static struct gl *gl_begin(void)
{
	const GLbitfield flags = GL_MAP_READ_BIT | GL_MAP_WRITE_BIT |
		GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT;
	static struct gl_context context;
	static struct gl gl;
	char err[256];

	gl.dev = coh_open(&egm_virtio_gpu);
	if (!context.version)
		igt_assert_f(!gl_context_create(&context,
						coh_open_node("virtio_gpu", O_RDWR),
						err, sizeof(err)), "%s\n", err);
	igt_require_f(context.buffer_storage, "no GL_ARB_buffer_storage: %s\n",
		      context.version_string);

	if (!gl.vao) {
		glGenVertexArrays(1, &gl.vao);
		framebuffer();
	}
	glBindVertexArray(gl.vao);
	if (gl.buffer)
		glDeleteBuffers(1, &gl.buffer);
	glGenBuffers(1, &gl.buffer);
	glBindBuffer(GL_ARRAY_BUFFER, gl.buffer);
	memset(gl.want, 0, sizeof(gl.want));
	glBufferStorage(GL_ARRAY_BUFFER, sizeof(gl.want), gl.want,
			flags | GL_DYNAMIC_STORAGE_BIT);
	gl.map = glMapBufferRange(GL_ARRAY_BUFFER, 0, sizeof(gl.want), flags);
	igt_assert(gl.map);
	check(&gl, "at first");
	return &gl;
}

static void gl_end(struct gl *gl)
{
	glDeleteBuffers(1, &gl->buffer);
	gl->buffer = 0;
	glFinish();
	coh_close(gl->dev);
}

/* Some words before and behind what is written, in the same pages */
static void store_neighbours(struct gl *gl, uint32_t first, uint32_t seed)
{
	uint32_t i;

	for (i = 1; i <= 8; i++) {
		store(gl, first - i, value(~seed, i));
		store(gl, first + COUNT + i - 1, value(~seed, 100 + i));
	}
}

static void rounds(struct gl *gl, const struct writer *writer,
		   const struct waiter *waiter, int n, struct rng *r)
{
	while (n--) {
		/* offsets of texture buffers and storage are multiples of 256 bytes */
		uint32_t first = PAGE_WORDS + 32 +
			64 * rng_below(r, (WORDS - COUNT - 2 * PAGE_WORDS) / 64);
		uint32_t seed = rng_next(r);

		store_neighbours(gl, first, seed);
		writer->write(gl, first, seed);
		if (n & 1) {
			glFlush();
			store_neighbours(gl, first, seed + 1);
		}
		waiter->wait();
		check(gl, writer->name);
	}
}

static void run_writer(const struct writer *writer)
{
	struct gl *gl = gl_begin();
	struct rng r = rng_new(1);
	size_t i;

	igt_require_f(!writer->extension ||
		      epoxy_has_gl_extension(writer->extension),
		      "no %s\n", writer->extension);
	for (i = 0; i < ARRAY_SIZE(waiters); i++)
		if (!waiters[i].egl_extension)
			rounds(gl, writer, &waiters[i], 6, &r);
	gl_end(gl);
}

static void run_waiter(const struct waiter *waiter)
{
	struct gl *gl = gl_begin();
	struct rng r = rng_new(2);
	int i;

	igt_require_f(!waiter->egl_extension ||
		      epoxy_has_egl_extension(eglGetCurrentDisplay(),
					      waiter->egl_extension),
		      "no %s\n", waiter->egl_extension);
	for (i = 0; i < 3; i++) {
		rounds(gl, &writers[0], waiter, 4, &r);
		rounds(gl, &writers[1], waiter, 4, &r);
	}
	gl_end(gl);
}

/* Bound once, written in many submissions that do not say so again. */
static void bound_once(void)
{
	struct gl *gl = gl_begin();
	struct rng r = rng_new(3);
	GLuint prog = storage_program();
	int i;

	glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, gl->buffer);
	for (i = 0; i < 100; i++) {
		uint32_t first = PAGE_WORDS + rng_below(&r, WORDS / 2);

		store_neighbours(gl, first, i);
		dispatch(prog, first, i);
		want_values(gl, first, i);
		glFinish();
		check(gl, "bound once");
	}
	gl_end(gl);
}

/* Two contexts of one program, each with its own binding of the same buffer */
static void two_contexts(void)
{
	struct gl *gl = gl_begin();
	EGLDisplay dpy = eglGetCurrentDisplay();
	EGLContext ctx[2] = { eglGetCurrentContext() };
	struct rng r = rng_new(4);
	GLuint prog = storage_program();
	int i;

	ctx[1] = eglCreateContext(dpy, EGL_NO_CONFIG_KHR, ctx[0], (EGLint[]){
		EGL_CONTEXT_MAJOR_VERSION, 4, EGL_CONTEXT_MINOR_VERSION, 3,
		EGL_CONTEXT_OPENGL_PROFILE_MASK, EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT,
		EGL_NONE });
	igt_assert(ctx[1] != EGL_NO_CONTEXT);
	for (i = 0; i < 40; i++) {
		uint32_t first = PAGE_WORDS + rng_below(&r, WORDS / 2);

		igt_assert(eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE,
					  ctx[i & 1]));
		if (i < 2) {
			glUseProgram(prog);
			glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, gl->buffer);
		}
		store_neighbours(gl, first, i);
		dispatch(prog, first, i);
		want_values(gl, first, i);
		glFinish();
		check(gl, "two contexts");
	}
	igt_assert(eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, ctx[0]));
	eglDestroyContext(dpy, ctx[1]);
	gl_end(gl);
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

static void ping_pong_rounds(struct gl *gl, int rounds)
{
	static GLuint prog;
	uint32_t i;
	int round;

	if (!prog)
		prog = program(GL_COMPUTE_SHADER,
			       "#version 430\n"
			       "layout(local_size_x = 64) in;\n"
			       "uniform uint first, before;\n"
			       "layout(std430, binding = 0) buffer B { uint w[]; };\n"
			       "void main() {\n"
			       "	uint i = 2u * gl_GlobalInvocationID.x;\n"
			       "	w[first + i + 1u] = (w[first + i] ^ w[before + i + 1u]) *\n"
			       "		2654435761u + 1u;\n"
			       "}\n", NULL);
	glUseProgram(prog);
	glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, gl->buffer);
	for (round = 0; round < rounds; round++) {
		uint32_t first = round % SLOTS * SLOT_WORDS;
		uint32_t before = (round + SLOTS - 1) % SLOTS * SLOT_WORDS;

		/* it reads what the GPU has written one round before */
		for (i = 0; i < SLOT_WORDS; i += 2)
			store(gl, first + i, mix(gl->map[before + i + 1], round));
		set(prog, "first", first);
		set(prog, "before", before);
		glDispatchCompute(SLOT_WORDS / 2 / GROUP, 1, 1);
		glMemoryBarrier(GL_SHADER_STORAGE_BARRIER_BIT |
				GL_CLIENT_MAPPED_BUFFER_BARRIER_BIT);
		if (round & 1)
			client_wait_sync();
		else
			glFinish();
		for (i = 0; i < SLOT_WORDS; i += 2)
			gl->want[first + i + 1] = mix(gl->want[first + i],
						      gl->want[before + i + 1]);
		for (i = first; i < first + SLOT_WORDS; i++)
			igt_assert_f(gl->map[i] == gl->want[i],
				     "round %d: word %u is 0x%x and should be 0x%x\n",
				     round, i, gl->map[i], gl->want[i]);
	}
	check(gl, "in the end");
}

static void ping_pong(void)
{
	struct gl *gl = gl_begin();

	ping_pong_rounds(gl, coh_counts.rounds ?: 1000);
	gl_end(gl);
}

/* Words that nobody else has, in the pages of the ring's slots */
#define THREADS 3
#define OWN (SLOTS * SLOT_WORDS)

struct storer {
	pthread_t thread;
	struct gl *gl;
	uint32_t word, last;
	atomic_bool *stop;
};

static void *storer_run(void *arg)
{
	struct storer *s = arg;

	while (!atomic_load(s->stop))
		s->gl->map[s->word] = ++s->last;
	return NULL;
}

/* Other threads store to the same chunk all the time. */
static void threads(void)
{
	struct gl *gl = gl_begin();
	struct storer s[THREADS];
	atomic_bool stop = false;
	int i;

	for (i = 0; i < THREADS; i++) {
		s[i] = (struct storer){
			.gl = gl, .word = OWN + 3 * i, .stop = &stop,
		};
		igt_assert(!pthread_create(&s[i].thread, NULL, storer_run, &s[i]));
	}
	for (i = 0; i < 60; i++) {
		shader_storage(gl, OWN + 64, i);
		glFinish();
		igt_assert_eq(gl->map[OWN + 64 + i], gl->want[OWN + 64 + i]);
	}
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++) {
		igt_assert(!pthread_join(s[i].thread, NULL));
		gl->want[s[i].word] = s[i].last;
	}
	check(gl, "threads");
	/* and what the device has of them */
	shader_storage(gl, OWN + 64, i);
	glFinish();
	check(gl, "threads, read back");
	gl_end(gl);
}

/* Of each process: words that it stores, and as many to which the GPU copies them */
#define PROCESSES 3
#define BLOCK 300u

struct turns {
	sem_t go[PROCESSES], done[PROCESSES];
};

static void wait_for(sem_t *sem)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	igt_assert_f(!sem_timedwait(sem, &until), "a process does not go on\n");
}

/* The mapping as a child has inherited it: what was copied of the round before */
static void process_round(struct gl *gl, uint32_t base, int round)
{
	uint32_t i;

	for (i = base; i < base + 2 * BLOCK; i++)
		igt_assert_f(gl->map[i] == gl->want[i],
			     "round %d: word %u is 0x%x and should be 0x%x\n",
			     round, i, gl->map[i], gl->want[i]);
	for (i = base; i < base + BLOCK; i++)
		store(gl, i, value(round, i));
}

static void want_copied(struct gl *gl, uint32_t base)
{
	uint32_t i;

	for (i = base; i < base + BLOCK; i++)
		gl->want[i + BLOCK] = gl->want[i];
}

/* Other processes store and load, and share pages with each other and the GPU. */
static void processes(void)
{
	const int rounds = 60;
	struct gl *gl = gl_begin();
	struct turns *turns;
	int i, k, round;

	turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	igt_assert(turns != MAP_FAILED);
	for (k = 0; k < PROCESSES; k++) {
		igt_assert(!sem_init(&turns->go[k], 1, 0));
		igt_assert(!sem_init(&turns->done[k], 1, 0));
	}

	igt_fork(child, PROCESSES) {
		uint32_t base = child * 2 * BLOCK;

		for (i = 0; i < rounds; i++) {
			wait_for(&turns->go[child]);
			process_round(gl, base, i);
			want_copied(gl, base);
			sem_post(&turns->done[child]);
		}
	}

	glBindBuffer(GL_COPY_READ_BUFFER, gl->buffer);
	glBindBuffer(GL_COPY_WRITE_BUFFER, gl->buffer);
	for (round = 0; round < rounds; round++) {
		for (k = 0; k < PROCESSES; k++)
			sem_post(&turns->go[k]);
		for (k = 0; k < PROCESSES; k++) {
			uint32_t base = k * 2 * BLOCK, j;

			wait_for(&turns->done[k]);
			for (j = base; j < base + BLOCK; j++)
				gl->want[j] = value(round, j);
			want_copied(gl, base);
			glCopyBufferSubData(GL_COPY_READ_BUFFER,
					    GL_COPY_WRITE_BUFFER, base * 4,
					    (base + BLOCK) * 4, BLOCK * 4);
		}
		glFinish();
	}
	igt_waitchildren();
	check(gl, "processes");
	munmap(turns, sizeof(*turns));
	gl_end(gl);
}

/* ---- what the GPU does not write, or not any more --------------------------- */

/*
 * A ring that is streamed to the GPU, with a section for each of three frames. The
 * program waits for the last user of a section before it stores there again.
 */
#define SECTIONS 3
#define SECTION (KiB(256) / 4)

struct ring {
	struct gl *gl;
	GLuint buffer, plain;
	GLsync fences[SECTIONS];
	volatile uint32_t *map;
	uint32_t words;
};

static void ring_create(struct ring *ring, uint32_t words)
{
	const GLbitfield flags = GL_MAP_READ_BIT | GL_MAP_WRITE_BIT |
		GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT;

	*ring = (struct ring){ .gl = gl_begin(), .words = words };
	glGenBuffers(1, &ring->buffer);
	glBindBuffer(GL_ARRAY_BUFFER, ring->buffer);
	glBufferStorage(GL_ARRAY_BUFFER, words * 4, NULL, flags);
	ring->map = glMapBufferRange(GL_ARRAY_BUFFER, 0, words * 4, flags);
	igt_assert(ring->map);
	memset((void *)ring->map, 0, words * 4);
	/* where the GPU copies to what it has, and we read it */
	glGenBuffers(1, &ring->plain);
	glBindBuffer(GL_ARRAY_BUFFER, ring->plain);
	glBufferData(GL_ARRAY_BUFFER, SECTION * 4, NULL, GL_STREAM_READ);
	glFinish();
}

static void ring_destroy(struct ring *ring)
{
	igt_assert_eq(glGetError(), GL_NO_ERROR);
	glDeleteBuffers(1, &ring->plain);
	glDeleteBuffers(1, &ring->buffer);
	gl_end(ring->gl);
}

static void ring_store(struct ring *ring, uint32_t first, uint32_t n, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		ring->map[first + i] = value(seed, i);
}

/* By a command that only reads the ring, or by a shader in its place */
static void ring_read(struct ring *ring, uint32_t first, GLuint prog)
{
	if (prog) {
		glUseProgram(prog);
		glBindBufferRange(GL_SHADER_STORAGE_BUFFER, 0, ring->buffer, first * 4,
				  SECTION * 4);
		glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 1, ring->plain);
		glDispatchCompute(SECTION / GROUP, 1, 1);
		glMemoryBarrier(GL_BUFFER_UPDATE_BARRIER_BIT);
	} else {
		glBindBuffer(GL_COPY_READ_BUFFER, ring->buffer);
		glBindBuffer(GL_COPY_WRITE_BUFFER, ring->plain);
		glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER,
				    first * 4, 0, SECTION * 4);
	}
}

static void ring_check(struct ring *ring, uint32_t n, uint32_t seed)
{
	static uint32_t got[SECTION];
	uint32_t i;

	glBindBuffer(GL_COPY_READ_BUFFER, ring->plain);
	glGetBufferSubData(GL_COPY_READ_BUFFER, 0, n * 4, got);
	for (i = 0; i < n; i++)
		igt_assert_f(got[i] == value(seed, i),
			     "seed %u: word %u is 0x%x and should be 0x%x\n", seed, i,
			     got[i], value(seed, i));
}

/* Frames of it; each is compared. */
static void ring_frames(struct ring *ring, GLuint prog)
{
	struct egm_counters before, after;
	uint32_t frame, i;

	coh_counters(ring->gl->dev, &before);
	for (frame = 0; frame < 30; frame++) {
		GLsync *fence = &ring->fences[frame % SECTIONS];
		uint32_t at = frame % SECTIONS * SECTION;

		if (*fence)
			igt_assert_eq(glClientWaitSync(*fence, 0, 60 * SECOND),
				      GL_ALREADY_SIGNALED);
		glDeleteSync(*fence);
		ring_store(ring, at, SECTION, frame);
		ring_read(ring, at, prog);
		ring_check(ring, SECTION, frame);
		*fence = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
		glFinish();
		for (i = 0; i < SECTION; i += 99)
			igt_assert_eq(ring->map[at + i], value(frame, i));
	}
	for (i = 0; i < SECTIONS; i++)
		glDeleteSync(ring->fences[i]);
	coh_counters(ring->gl->dev, &after);
	igt_assert_eq_u64(coh_delta(&before, &after, "chunks_revoked"), 0);
	igt_assert_eq_u64(coh_delta(&before, &after, "read_backs"), 0);
}

/* A shader reads one buffer and writes another, as those do that cull or sort. */
static GLuint reader_program(void)
{
	static GLuint prog;

	if (!prog)
		prog = program(GL_COMPUTE_SHADER,
			       "#version 430\n"
			       "layout(local_size_x = 64) in;\n"
			       "layout(std430, binding = 0) readonly buffer R { uint r[]; };\n"
			       "layout(std430, binding = 1) writeonly buffer W { uint w[]; };\n"
			       "void main() {\n"
			       "	w[gl_GlobalInvocationID.x] = r[gl_GlobalInvocationID.x];\n"
			       "}\n", NULL);
	return prog;
}

static void storage_ring(void)
{
	struct ring ring;

	ring_create(&ring, SECTIONS * SECTION);
	ring_frames(&ring, reader_program());
	ring_destroy(&ring);
}

/* Written once, all of it or a little, in ways that end by themselves */
static void written_ring(void (*write)(struct ring *ring))
{
	struct ring ring;
	int i;

	for (i = 0; i < 2; i++) {
		ring_create(&ring, SECTIONS * SECTION);
		write(&ring);
		glFinish();
		ring_read(&ring, 0, 0);
		ring_check(&ring, 16, 1);
		/* that reads back what there is */
		for (uint32_t w = 0; w < ring.words; w += PAGE_WORDS)
			igt_assert(ring.map[w] == (w ? 0 : value(1, 0)));
		ring_frames(&ring, i ? reader_program() : 0);
		ring_destroy(&ring);
	}
}

static void write_copy(struct ring *ring)
{
	uint32_t *data = calloc(ring->words, 4), i;
	GLuint src;

	igt_assert(data);
	for (i = 0; i < 16; i++)
		data[i] = value(1, i);
	glGenBuffers(1, &src);
	glBindBuffer(GL_COPY_READ_BUFFER, src);
	glBufferData(GL_COPY_READ_BUFFER, ring->words * 4, data, GL_STREAM_COPY);
	free(data);
	glBindBuffer(GL_COPY_WRITE_BUFFER, ring->buffer);
	glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER, 0, 0,
			    ring->words * 4);
	glDeleteBuffers(1, &src);
}

static void write_feedback(struct ring *ring)
{
	GLuint prog = feedback_program();

	set(prog, "seed", 1);
	glEnable(GL_RASTERIZER_DISCARD);
	glBindBufferRange(GL_TRANSFORM_FEEDBACK_BUFFER, 0, ring->buffer, 0, 64);
	glBeginTransformFeedback(GL_POINTS);
	glDrawArrays(GL_POINTS, 0, 16);
	glEndTransformFeedback();
	glDisable(GL_RASTERIZER_DISCARD);
}

static void write_storage(struct ring *ring)
{
	GLuint prog = storage_program();

	set(prog, "first", 0);
	set(prog, "seed", 1);
	glBindBufferRange(GL_SHADER_STORAGE_BUFFER, 0, ring->buffer, 0, KiB(16));
	glDispatchCompute(1, 1, 1);
	glMemoryBarrier(GL_CLIENT_MAPPED_BUFFER_BARRIER_BIT);
	glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, ring->plain);
}

static void copied_ring(void)
{
	written_ring(write_copy);
}

static void feedback_ring(void)
{
	written_ring(write_feedback);
}

static void stored_ring(void)
{
	written_ring(write_storage);
}

/* A counter at the start of a large buffer, and the rest of it is streamed. */
static void counter(void)
{
	struct egm_counters before, after;
	const uint32_t counters = KiB(4) / 4;
	struct ring ring;
	uint32_t frame, i;
	GLuint prog;

	ring_create(&ring, MiB(16) / 4);
	prog = storage_program();
	coh_counters(ring.gl->dev, &before);
	for (frame = 0; frame < 30; frame++) {
		uint32_t at = (1 + frame) * (KiB(512) / 4);

		glUseProgram(prog);
		set(prog, "first", 0);
		set(prog, "seed", frame);
		glBindBufferRange(GL_SHADER_STORAGE_BUFFER, 0, ring.buffer, 0,
				  counters * 4);
		glDispatchCompute(counters / GROUP, 1, 1);
		ring_store(&ring, at, SECTION, frame);
		ring_read(&ring, at, 0);
		ring_check(&ring, SECTION, frame);
	}
	coh_counters(ring.gl->dev, &after);
	/* no access has asked for more */
	igt_assert_eq_u64(coh_delta(&before, &after, "chunks_revoked"), 1);
	igt_assert_eq_u64(coh_delta(&before, &after, "read_backs"), 0);
	glFinish();
	for (i = 0; i < counters; i++)
		igt_assert_eq(ring.map[i], value(frame - 1, i));
	coh_counters(ring.gl->dev, &after);
	igt_assert_lte_u64(coh_delta(&before, &after, "pages_read_back"), 1);
	ring_destroy(&ring);
}

/* A store that the host never gets is noticed. */
static void sensitivity(void)
{
	struct gl *gl = gl_begin();
	uint32_t first = 3 * PAGE_WORDS, i, wrong = 0;

	shader_storage(gl, first, 1);
	glFinish();
	check(gl, "before");
	store(gl, first - 1, 0x12345678);
	coh_drop_uploads(gl->dev, 1);
	shader_storage(gl, first, 2);
	glFinish();
	for (i = 0; i < WORDS; i++)
		wrong += gl->map[i] != gl->want[i];
	/* the page that it was in is read back as the host has it */
	igt_assert_eq(wrong, 1);
	igt_assert(gl->map[first - 1] != gl->want[first - 1]);
	gl_end(gl);
}

int coh_main()
{
	/* survive the jump out of a failing subtest */
	static size_t i;

	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		igt_describe(writers[i].description);
		igt_subtest(writers[i].name)
			run_writer(&writers[i]);
	}
	for (i = 0; i < ARRAY_SIZE(waiters); i++) {
		igt_describe(waiters[i].description);
		igt_subtest(waiters[i].name)
			run_waiter(&waiters[i]);
	}
	igt_describe("C2: a binding that lasts for many submissions");
	igt_subtest("bound-once")
		bound_once();
	igt_describe("C2: bindings in two contexts");
	igt_subtest("two-contexts")
		two_contexts();
	igt_describe("C1, C2, C4: a ring in which CPU and GPU compute from each other's words");
	igt_subtest("ping-pong")
		ping_pong();
	igt_describe("C1, C2, C4: threads that store beside what the GPU writes");
	igt_subtest("threads")
		threads();
	igt_describe("C1, C2, C4: processes that have inherited the mapping");
	igt_subtest("processes")
		processes();
	igt_describe("C5: a ring that shaders read as storage, beside what they write");
	igt_subtest("storage-ring")
		storage_ring();
	igt_describe("C5: a ring that was copied into once");
	igt_subtest("copied-ring")
		copied_ring();
	igt_describe("C5: a ring that had some transform feedback once");
	igt_subtest("feedback-ring")
		feedback_ring();
	igt_describe("C5: a ring that was bound as storage that a shader writes");
	igt_subtest("stored-ring")
		stored_ring();
	igt_describe("C5: a counter that shaders write in a buffer that is streamed");
	igt_subtest("counter")
		counter();
	igt_describe("C1: an upload that the host loses is noticed");
	igt_subtest("sensitivity")
		sensitivity();
}
