/* SPDX-License-Identifier: MIT */
/*
 * Frames of points, each the colour of a word: drawn, compared, and timed with
 * FRAMES_SECTIONS of them in flight. By children, since what a Mesa screen has is
 * decided when it is made.
 */
#ifndef GL_FRAMES_H
#define GL_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gpu-device.h"
#include "options.h"

#define FRAMES_SECTIONS 3
#define FRAMES_SIDE 64		/* of the picture, in points */
/* From one word that is drawn to the next: at most what GL promises for a stride */
#define FRAMES_STEP 2048
#define FRAMES_MAX_ROUNDS 15

/* What the user says, and the device that was found. */
extern unsigned int rounds, frames;
extern const char *out_dir;
extern bool lose;
extern struct gpu_device device;

/* Parses the arguments: @more is what a program has beside @file, @losing and those above. */
void frames_options(int argc, char **argv, const char *about, const char *status,
		    const char *file, const char *losing, const struct bench_option *more);

/*
 * A piece of a vertex shader, for gl_words_program(): point(word) puts the vertex at the
 * place of point gl_VertexID + u_first.
 */
extern const char frames_point[];

struct frames {
	/* All that frame @n is, between frames_begin() and frames_end(); @wrong: not quite. */
	void (*draw)(const void *what, uint32_t n, bool wrong);
	const void *what;
	unsigned int points;
	bool lose;		/* draw one of those that are compared wrongly */
};

/* Of a frame, in seconds: time that passes, and the CPU's in this process. */
struct frames_time {
	double wall, cpu;
};

/* Makes what is drawn to, in the current context. */
void frames_start(void);

/* The words of frame @n's points, to be filled in; its section is free. */
uint32_t *frames_begin(uint32_t n);
void frames_end(uint32_t n);

/* The first frames, each compared. Returns how many points were wrong. */
uint64_t frames_first(const struct frames *f);
/* The next @nr, and then the last of them compared. */
struct frames_time frames_timed(const struct frames *f, unsigned int nr);
uint64_t frames_last(const struct frames *f);
/* How many there were. */
uint32_t frames_drawn(unsigned int nr);

/*
 * A child, which gets 0, and in @fd where to write messages. The parent gets the
 * child, and where to read them.
 */
pid_t frames_child(int *fd);
/* Waits for it. If it has failed this is the end, with its exit status. */
void frames_child_end(pid_t pid, int fd);
/* Writes a message, in the child. */
void frames_tell(int fd, const void *message, size_t size);

#endif
