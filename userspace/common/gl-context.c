// SPDX-License-Identifier: MIT
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include <epoxy/egl.h>
#include <epoxy/gl.h>
#include <gbm.h>

#include "gl-context.h"

/* A GPU that hangs is no reason to wait for ever. */
#define PROBE_MS 60000

static int fail(char *err, size_t size, const char *what)
{
	snprintf(err, size, "%s (EGL error 0x%x)", what, eglGetError());
	return -1;
}

int gl_context_create(struct gl_context *gl, int fd, char *err, size_t size)
{
	/* Mesa then gives the highest version it has that is compatible. */
	static const EGLint attribs[] = {
		EGL_CONTEXT_MAJOR_VERSION, 3,
		EGL_CONTEXT_MINOR_VERSION, 3,
		EGL_CONTEXT_OPENGL_PROFILE_MASK, EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT,
		EGL_NONE
	};
	EGLenum platform = EGL_PLATFORM_SURFACELESS_MESA;
	void *native = EGL_DEFAULT_DISPLAY;
	EGLDisplay display;
	EGLContext context;

	if (fd >= 0) {
		platform = EGL_PLATFORM_GBM_KHR;
		native = gbm_create_device(fd);
		if (!native) {
			snprintf(err, size, "GBM cannot use the DRM node: no Mesa driver for it?");
			return -1;
		}
	} else {
		setenv("LIBGL_ALWAYS_SOFTWARE", "1", 1);
	}

	display = eglGetPlatformDisplayEXT(platform, native, NULL);
	if (!display || !eglInitialize(display, NULL, NULL))
		return fail(err, size, "EGL does not start");
	if (!epoxy_has_egl_extension(display, "EGL_KHR_no_config_context") ||
	    !epoxy_has_egl_extension(display, "EGL_KHR_surfaceless_context"))
		return fail(err, size, "EGL has no context without config and surface");
	if (!eglBindAPI(EGL_OPENGL_API))
		return fail(err, size, "EGL has no OpenGL");
	context = eglCreateContext(display, EGL_NO_CONFIG_KHR, EGL_NO_CONTEXT, attribs);
	if (!context ||
	    !eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, context))
		return fail(err, size, "no OpenGL 3.3 core context");

	gl->version = epoxy_gl_version();
	gl->buffer_storage = epoxy_has_gl_extension("GL_ARB_buffer_storage");
	snprintf(gl->version_string, sizeof(gl->version_string), "%s",
		 (const char *)glGetString(GL_VERSION));
	snprintf(gl->renderer, sizeof(gl->renderer), "%s",
		 (const char *)glGetString(GL_RENDERER));
	return 0;
}

/* What the process writes to the pipe, at once */
struct answer {
	int ret;
	struct gl_context gl;
	char err[256];
};

int gl_probe_start(struct gl_probe *probe, int fd, char *setting)
{
	struct answer answer = { 0 };
	int pipes[2];

	if (pipe(pipes))
		return -1;
	fflush(NULL);
	probe->pid = fork();
	if (!probe->pid) {
		/* What is wrong is in the answer. */
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		if (setting)
			putenv(setting);
		answer.ret = gl_context_create(&answer.gl, fd, answer.err, sizeof(answer.err));
		_exit(write(pipes[1], &answer, sizeof(answer)) != sizeof(answer));
	}
	close(pipes[1]);
	probe->result = pipes[0];
	if (probe->pid > 0)
		return 0;
	close(pipes[0]);
	return -1;
}

int gl_probe_finish(struct gl_probe *probe, struct gl_context *gl, char *err, size_t size)
{
	struct pollfd poll_for = { .fd = probe->result, .events = POLLIN };
	struct answer answer = { .ret = -1, .err = "OpenGL ends the program that starts it" };
	int status;

	if (poll(&poll_for, 1, PROBE_MS) <= 0) {
		strcpy(answer.err, "OpenGL does not answer");
		kill(probe->pid, SIGKILL);
	} else if (read(probe->result, &answer, sizeof(answer)) != sizeof(answer)) {
		answer.ret = -1;
	}
	close(probe->result);
	waitpid(probe->pid, &status, 0);
	*gl = answer.gl;
	if (answer.ret)
		snprintf(err, size, "%s", answer.err);
	return answer.ret;
}
