// SPDX-License-Identifier: MIT
#include <fcntl.h>

#include "coherent.h"
#include "gl-context.h"
#include "igt_core.h"
#include "piglit-util-gl.h"

static const struct piglit_subtest *current;

void piglit_require_extension(const char *name)
{
	igt_require_f(epoxy_has_gl_extension(name), "no %s\n", name);
}

bool piglit_is_extension_supported(const char *name)
{
	return epoxy_has_gl_extension(name);
}

size_t piglit_get_selected_tests(const char ***selected)
{
	*selected = NULL;
	return 0;
}

/* IGT has selected one. */
enum piglit_result piglit_run_selected_subtests(const struct piglit_subtest *all,
						const char **selected, size_t n,
						enum piglit_result previous)
{
	(void)all;
	(void)selected;
	(void)n;
	(void)previous;
	return current->subtest_func(current->data);
}

void piglit_report_result(enum piglit_result result)
{
	if (result == PIGLIT_SKIP)
		igt_skip("an extension is missing\n");
	igt_assert_eq(result, PIGLIT_PASS);
}

bool piglit_check_gl_error(GLenum expected)
{
	GLenum error = glGetError();

	if (error != expected)
		printf("OpenGL error 0x%x\n", error);
	return error == expected;
}

GLuint piglit_compile_shader_text(GLenum target, const char *text)
{
	GLuint shader = glCreateShader(target);

	glShaderSource(shader, 1, &text, NULL);
	glCompileShader(shader);
	return shader;
}

bool piglit_link_check_status(GLuint prog)
{
	char log[512] = "";
	GLint ok;

	glGetProgramiv(prog, GL_LINK_STATUS, &ok);
	if (!ok)
		glGetProgramInfoLog(prog, sizeof(log), NULL, log);
	igt_assert_f(ok, "%s\n", log);
	return true;
}

GLuint piglit_build_simple_program_multiple_shaders(GLenum target, const char *source, ...)
{
	GLuint prog = glCreateProgram();

	glAttachShader(prog, piglit_compile_shader_text(target, source));
	glLinkProgram(prog);
	piglit_link_check_status(prog);
	return prog;
}

/* The context lives as long as the process. It is that of a coherent virtio-gpu. */
static void start(void)
{
	static struct gl_context context;
	char err[256];

	coh_close(coh_open(&egm_virtio_gpu));
	if (!context.version)
		igt_assert_f(!gl_context_create(&context, coh_open_node("virtio_gpu", O_RDWR),
						err, sizeof(err)), "%s\n", err);
}

int coh_main()
{
	static struct piglit_gl_test_config config;

	piglit_configure(&config);
	for (current = config.subtests; current->name; current++) {
		igt_describe(current->name);
		igt_subtest(current->option) {
			start();
			piglit_init(0, NULL);
		}
	}
}
