// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <epoxy/gl.h>

#include "cli.h"
#include "gl-frames.h"
#include "gl-words.h"

#define CHECKED_FRAMES 6

const char frames_point[] =
	"uniform int u_first;\n"
	"flat out uvec4 v_colour;\n"
	"void point(uint word)\n"
	"{\n"
	"	int n = gl_VertexID + u_first;\n"
	"	gl_Position = vec4((vec2(n % 64, n / 64) + 0.5) / 32.0 - 1.0, 0.0, 1.0);\n"
	"	v_colour = uvec4(word, word >> 8, word >> 16, word >> 24) & 255u;\n"
	"}\n";

static struct {
	GLuint fbo[FRAMES_SECTIONS];
	GLsync fence[FRAMES_SECTIONS];
	uint32_t want[FRAMES_SECTIONS][FRAMES_SIDE * FRAMES_SIDE];
} gl;

unsigned int rounds = 5, frames = 60;
const char *out_dir;
bool lose;
struct gpu_device device;

void frames_options(int argc, char **argv, const char *about, const char *status,
		    const char *file, const char *losing, const struct bench_option *more)
{
	const char *path = NULL;
	char err[EGM_ERR];
	struct bench_option options[] = {
		{ "device", "NODE", "DRM node of virtio-gpu (the first)", .text = &path },
		{ "rounds", "N", "repeat all of it, each time in another order",
		  .number = &rounds, .min = 1, .max = FRAMES_MAX_ROUNDS },
		{ "frames", "N", "frames to measure in each case",
		  .number = &frames, .min = FRAMES_SECTIONS, .max = 100000 },
		{ "out", "DIR", file, .text = &out_dir },
		{ "lose", NULL, losing, .flag = &lose },
		more ? *more : (struct bench_option){ },
	};

	bench_options(argc, argv, about, status, options, LENGTH(options) - !more);
	if (gpu_device_find(&device, path, err))
		cannot("%s", err);
	if (!*device.node.path)
		cannot("no render node here");
}

void frames_start(void)
{
	char err[256];

	for (int i = 0; i < FRAMES_SECTIONS; i++) {
		gl.fbo[i] = gl_words_target(FRAMES_SIDE, FRAMES_SIDE, err, sizeof(err));
		if (!gl.fbo[i])
			failed("%s", err);
	}
	glViewport(0, 0, FRAMES_SIDE, FRAMES_SIDE);
}

uint32_t *frames_begin(uint32_t n)
{
	glBindFramebuffer(GL_FRAMEBUFFER, gl.fbo[n % FRAMES_SECTIONS]);
	return gl.want[n % FRAMES_SECTIONS];
}

void frames_end(uint32_t n)
{
	gl.fence[n % FRAMES_SECTIONS] = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
	glFlush();
}

static void frame_wait(unsigned int section)
{
	if (gl_words_wait(&gl.fence[section]))
		failed("a frame did not end within a minute");
}

static uint64_t frame_check(const struct frames *f, unsigned int section)
{
	static uint32_t got[FRAMES_SIDE * FRAMES_SIDE];
	uint64_t wrong = 0;

	frame_wait(section);
	glBindFramebuffer(GL_FRAMEBUFFER, gl.fbo[section]);
	glReadPixels(0, 0, FRAMES_SIDE, FRAMES_SIDE, GL_RGBA_INTEGER, GL_UNSIGNED_BYTE, got);
	for (unsigned int i = 0; i < f->points; i++)
		wrong += got[i] != gl.want[section][i];
	return wrong;
}

uint64_t frames_first(const struct frames *f)
{
	uint64_t wrong = 0;

	for (uint32_t n = 0; n < CHECKED_FRAMES; n++) {
		f->draw(f->what, n, f->lose && n == 4);
		wrong += frame_check(f, n % FRAMES_SECTIONS);
	}
	return wrong;
}

static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

uint32_t frames_drawn(unsigned int nr)
{
	return CHECKED_FRAMES + nr;
}

struct frames_time frames_timed(const struct frames *f, unsigned int nr)
{
	double wall = now(), cpu = cpu_now();
	uint32_t n;

	for (n = CHECKED_FRAMES; n < frames_drawn(nr); n++) {
		frame_wait(n % FRAMES_SECTIONS);
		f->draw(f->what, n, false);
	}
	for (unsigned int i = 0; i < FRAMES_SECTIONS; i++)
		frame_wait((n + i) % FRAMES_SECTIONS);
	wall = (now() - wall) / nr;
	cpu = (cpu_now() - cpu) / nr;
	return (struct frames_time){ wall, cpu };
}

uint64_t frames_last(const struct frames *f)
{
	uint64_t wrong = 0;

	for (unsigned int i = 0; i < FRAMES_SECTIONS; i++)
		wrong += frame_check(f, i);
	return wrong;
}

pid_t frames_child(int *fd)
{
	int pipes[2];
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		cannot("%s", strerror(errno));
	pid = fork();
	if (pid < 0)
		cannot("%s", strerror(errno));
	*fd = pipes[!pid];
	close(pipes[!!pid]);
	return pid;
}

void frames_child_end(pid_t pid, int fd)
{
	int status;

	close(fd);
	waitpid(pid, &status, 0);
	if (status)
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED);
}

void frames_tell(int fd, const void *message, size_t size)
{
	if (write(fd, message, size) != (ssize_t)size)
		failed("%s", strerror(errno));
}
