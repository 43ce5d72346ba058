/* SPDX-License-Identifier: MIT */
/*
 * Drawing 32-bit words as colours, so that what the GPU had can be compared word
 * by word: shaders unpack them, the target is RGBA8UI, no driver has a choice.
 */
#ifndef GL_WORDS_H
#define GL_WORDS_H

#include <stddef.h>
#include <epoxy/gl.h>

/*
 * A program, in use, of a vertex shader in @count pieces that sets "flat out uvec4
 * v_colour" to the four bytes. Returns 0 with the reason in @err.
 */
GLuint gl_words_program(int count, const char *const *vertex, char *err, size_t size);

/* A framebuffer of that size, bound. Returns 0 with the reason in @err. */
GLuint gl_words_target(GLsizei width, GLsizei height, char *err, size_t size);

/* Waits for *@fence, if there is one, and deletes it. Returns -1 after a minute. */
int gl_words_wait(GLsync *fence);

#endif
