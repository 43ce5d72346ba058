/* SPDX-License-Identifier: MIT */
/* An OpenGL core context without a window system. */
#ifndef GL_CONTEXT_H
#define GL_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

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

#endif
