/* SPDX-License-Identifier: MIT */
/*
 * The part of piglit's framework that the tests beside this file use, for where there is
 * no piglit to build them in. piglit-igt.c makes an IGT program of each.
 */
#ifndef PIGLIT_UTIL_GL_H
#define PIGLIT_UTIL_GL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <epoxy/gl.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum piglit_result { PIGLIT_PASS, PIGLIT_FAIL, PIGLIT_SKIP };

struct piglit_subtest {
	const char *name, *option;
	enum piglit_result (*subtest_func)(void *data);
	void *data;
};

/* Of these only the subtests matter here. */
struct piglit_gl_test_config {
	const struct piglit_subtest *subtests;
	int supports_gl_core_version, window_visual, khr_no_error_support;
};

#define PIGLIT_GL_VISUAL_RGB 0
#define PIGLIT_NO_ERRORS 0

void piglit_configure(struct piglit_gl_test_config *configuration);

#define PIGLIT_GL_TEST_CONFIG_BEGIN					\
	void piglit_init(int argc, char **argv);			\
	enum piglit_result piglit_display(void);			\
	void piglit_configure(struct piglit_gl_test_config *configuration) \
	{								\
		struct piglit_gl_test_config config = { };		\

#define PIGLIT_GL_TEST_CONFIG_END					\
		*configuration = config;				\
	}

void piglit_init(int argc, char **argv);
void piglit_require_extension(const char *name);
bool piglit_is_extension_supported(const char *name);
size_t piglit_get_selected_tests(const char ***selected);
enum piglit_result piglit_run_selected_subtests(const struct piglit_subtest *all,
						const char **selected, size_t n,
						enum piglit_result previous);
void piglit_report_result(enum piglit_result result);
bool piglit_check_gl_error(GLenum expected);
GLuint piglit_compile_shader_text(GLenum target, const char *text);
bool piglit_link_check_status(GLuint prog);
/* Of one shader; then comes a NULL. */
GLuint piglit_build_simple_program_multiple_shaders(GLenum target, const char *source, ...);

#endif /* PIGLIT_UTIL_GL_H */
