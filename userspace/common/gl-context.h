/* SPDX-License-Identifier: MIT */
/* An OpenGL core context without a window system. */
#ifndef GL_CONTEXT_H
#define GL_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct gl_context {
	int version;			/* 45 is OpenGL 4.5 */
	bool buffer_storage;		/* GL_ARB_buffer_storage */
	char version_string[128];
	char renderer[128];
};

/*
 * Makes a context current: on the DRM node open as @fd (EGL on GBM), or with
 * Mesa's software renderer if @fd is -1 (EGL surfaceless). It lives until the
 * process ends. Returns 0, or -1 with the reason in @err.
 */
int gl_context_create(struct gl_context *gl, int fd, char *err, size_t size);

/*
 * The same in a process of its own, which ends then: Mesa keeps one screen for
 * all open files of a device in a process, and a driver may end the process.
 * @setting is of its environment, "NAME=value", or NULL. The first returns 0 or
 * -1, with errno; only then there is something to finish, and that returns what
 * gl_context_create() does.
 */
struct gl_probe {
	int result;
	pid_t pid;
};

int gl_probe_start(struct gl_probe *probe, int fd, char *setting);
int gl_probe_finish(struct gl_probe *probe, struct gl_context *gl, char *err, size_t size);

#endif
