// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "gl-words.h"

static const char fragment_shader[] =
	"#version 330\n"
	"flat in uvec4 v_colour;\n"
	"out uvec4 f_colour;\n"
	"void main()\n"
	"{\n"
	"	f_colour = v_colour;\n"
	"}\n";

static GLuint compile_shader(GLenum type, int count, const char *const *source,
			     char *err, size_t size)
{
	GLuint shader = glCreateShader(type);
	char log[256] = "";
	GLint ok;

	glShaderSource(shader, count, source, NULL);
	glCompileShader(shader);
	glGetShaderiv(shader, GL_COMPILE_STATUS, &ok);
	if (ok)
		return shader;
	glGetShaderInfoLog(shader, sizeof(log), NULL, log);
	snprintf(err, size, "shader does not compile: %s", log);
	return 0;
}

GLuint gl_words_program(int count, const char *const *vertex, char *err, size_t size)
{
	const char *const fs[] = { fragment_shader };
	GLuint v = compile_shader(GL_VERTEX_SHADER, count, vertex, err, size);
	GLuint f = v ? compile_shader(GL_FRAGMENT_SHADER, 1, fs, err, size) : 0;
	GLuint program;
	GLint ok;

	if (!f)
		return 0;
	program = glCreateProgram();
	glAttachShader(program, v);
	glAttachShader(program, f);
	glLinkProgram(program);
	glGetProgramiv(program, GL_LINK_STATUS, &ok);
	if (!ok) {
		snprintf(err, size, "shaders do not link");
		return 0;
	}
	glUseProgram(program);
	return program;
}

GLuint gl_words_target(GLsizei width, GLsizei height, char *err, size_t size)
{
	GLuint fbo, texture;

	glGenFramebuffers(1, &fbo);
	glGenTextures(1, &texture);
	glBindTexture(GL_TEXTURE_2D, texture);
	glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8UI, width, height, 0, GL_RGBA_INTEGER,
		     GL_UNSIGNED_BYTE, NULL);
	glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
	glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
	glBindFramebuffer(GL_FRAMEBUFFER, fbo);
	glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0);
	if (glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE)
		return fbo;
	snprintf(err, size, "cannot draw to an RGBA8UI texture");
	return 0;
}

int gl_words_wait(GLsync *fence)
{
	GLenum ret;

	if (!*fence)
		return 0;
	ret = glClientWaitSync(*fence, GL_SYNC_FLUSH_COMMANDS_BIT, 60ull * 1000000000);
	glDeleteSync(*fence);
	*fence = NULL;
	return ret == GL_ALREADY_SIGNALED || ret == GL_CONDITION_SATISFIED ? 0 : -1;
}
