// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <epoxy/egl.h>
#include <epoxy/gl.h>
#include <gbm.h>

#include "gl-context.h"

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
