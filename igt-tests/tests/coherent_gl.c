// SPDX-License-Identifier: MIT
/**
 * TEST: coherent gl
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C2 and C4 as a GL program has them, where piglit/gpu-writes.c does
 *	not go: EGL's fences, other contexts and processes, and what it costs if the GPU
 *	does not write, or not any more.
 *
 * SUBTEST: wait-egl-sync
 * Description: C2: by eglClientWaitSyncKHR()
 *
 * SUBTEST: wait-fence-fd
 * Description: C2: by poll() for a fence's file
 *
 * SUBTEST: two-contexts
 * Description: C2: bindings in two contexts
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

static void want_values(struct gl *gl, uint32_t first, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < COUNT; i++)
		gl->want[first + i] = value(seed, i);
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

/* The GPU writes COUNT words, which depend on the seed. */
static void shader_storage(struct gl *gl, uint32_t first, uint32_t seed)
{
	GLuint prog = storage_program();

	glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, gl->buffer);
	dispatch(prog, first, seed);
	want_values(gl, first, seed);
}

/* ---- how the program waits ------------------------------------------------ */

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

/* ---- subtests --------------------------------------------------------------- */

/* OpenGL draws to nothing at all only if there is something to draw to. */
static void framebuffer(void)
{
	GLuint fb, rb;

	glGenFramebuffers(1, &fb);
	glBindFramebuffer(GL_FRAMEBUFFER, fb);
	glGenRenderbuffers(1, &rb);
	glBindRenderbuffer(GL_RENDERBUFFER, rb);
	glRenderbufferStorage(GL_RENDERBUFFER, GL_R8, 1, 1);
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

static void wait_by(const char *extension, void (*wait)(void))
{
	struct gl *gl = gl_begin();
	struct rng r = rng_new(2);
	int i;

	igt_require_f(epoxy_has_egl_extension(eglGetCurrentDisplay(), extension),
		      "no %s\n", extension);
	for (i = 0; i < 24; i++) {
		uint32_t first = PAGE_WORDS + rng_below(&r, WORDS / 2);
		uint32_t seed = rng_next(&r);

		store_neighbours(gl, first, seed);
		shader_storage(gl, first, seed);
		if (i & 1) {
			glFlush();
			store_neighbours(gl, first, seed + 1);
		}
		wait();
		check(gl, extension);
	}
	gl_end(gl);
}

static void wait_egl_sync(void)
{
	wait_by("EGL_KHR_fence_sync", egl_sync);
}

static void wait_fence_fd(void)
{
	wait_by("EGL_ANDROID_native_fence_sync", fence_fd);
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
		/* Mesa's handlers for exit() wait for threads, which only the parent has. */
		_exit(IGT_EXIT_SUCCESS);
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
	igt_describe("C2: by eglClientWaitSyncKHR()");
	igt_subtest("wait-egl-sync")
		wait_egl_sync();
	igt_describe("C2: by poll() for a fence's file");
	igt_subtest("wait-fence-fd")
		wait_fence_fd();
	igt_describe("C2: bindings in two contexts");
	igt_subtest("two-contexts")
		two_contexts();
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
