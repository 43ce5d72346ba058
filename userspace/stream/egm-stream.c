// SPDX-License-Identifier: MIT
/*
 * egm-stream: streams an animated scene through persistent, coherent buffers
 * and checks every pixel of every frame against what it wrote.
 *
 * After the mapping is made there is no flush and no barrier for it: a store
 * reaches the GPU because the buffer is coherent, or it does not and a pixel is
 * wrong. See scene.h for what is drawn. The contract's clauses (C1: CPU to GPU,
 * C3: nothing lost, C5: cost) are those of the project's documentation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <jansson.h>

#include "cli.h"
#include "gl-context.h"
#include "gpu-device.h"
#include "picture.h"
#include "scene.h"

/* Chunks that were written close in the first, nothing may happen in the second. */
#define SETTLE_SUBMISSIONS 32
#define IDLE_SUBMISSIONS 64
#define MAX_RATIO 1.10

enum output { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_KTAP };

static struct options {
	uint32_t frames, width, height, seed;
	int version;		/* 10 * major + minor */
	int lose_frame;
	enum scene_buffer_id lose_buffer;
	const char *out, *device;
	enum output output;
} opt = {
	.frames = 120, .width = 512, .height = 512, .seed = 1, .version = 45,
	.lose_frame = -1, .lose_buffer = SCENE_SPARSE, .out = ".",
};

/* What the parameter does to GL: known, or the reason why not. */
struct gl_state {
	bool tried, known;
	struct gl_context gl;
	char why[256];
};

struct buffer_result {
	uint64_t bytes_written, pages_dirty;
};

static struct result {
	struct gpu_device device;
	int parameter;		/* as found: -1 there is none */
	bool feature;		/* the parameter is on for the run */
	struct gl_state off, on;

	struct scene_wrong wrong;
	uint64_t pixels;
	GLenum gl_error;
	bool hung;

	struct buffer_result setup[SCENE_NUM_BUFFERS], stream[SCENE_NUM_BUFFERS];
	uint64_t setup_dirty, stream_written, stream_dirty, mapped;

	bool have_counters;
	char no_counters[256];
	struct gpu_counters setup_count, stream_count, idle_count, wake_count;
	long minor_faults;

	struct spread frame;		/* seconds */
	double idle_seconds;		/* a submission */
	bool wake_ok;
	uint32_t shown;			/* the frame in frame.png */
} r;

/* ---- checks ------------------------------------------------------------ */

/* KTAP wants to know beforehand how many there are. */
#define GL_CHECKS 3
#define RUN_CHECKS 7

enum verdict { PASS, FAIL, SKIP };

static struct check {
	const char *name, *clause;
	enum verdict verdict;
	char text[320];
} checks[GL_CHECKS + RUN_CHECKS];
static int num_checks;

__attribute__((format(printf, 4, 5)))
static void check(const char *name, const char *clause, enum verdict verdict,
		  const char *format, ...)
{
	struct check *c = &checks[num_checks++];
	va_list args;

	c->name = name;
	c->clause = clause;
	c->verdict = verdict;
	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
}

/* A line of the report; in KTAP it is a comment. */
__attribute__((format(printf, 1, 2)))
static void say(const char *format, ...)
{
	va_list args;

	if (opt.output == OUTPUT_JSON)
		return;
	if (opt.output == OUTPUT_KTAP)
		fputs("# ", stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

__attribute__((format(printf, 1, 2), noreturn))
static void cannot_run(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (opt.output != OUTPUT_KTAP)
		cannot("%s", line);
	printf("KTAP version 1\n1..0 # SKIP %s\n", line);
	exit(EXIT_CANNOT);
}

/* ---- GL with the feature off and on ------------------------------------ */

/*
 * Opens the node with the feature on, and with it off if that can be had
 * (otherwise *@off is -1). The parameter is as before when this returns: it
 * counts when a file is opened.
 */
static int open_both(const struct gpu_device *dev, int *off)
{
	sigset_t all, before;
	int fd;

	*off = -1;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	if (r.parameter < 0) {
		snprintf(r.off.why, sizeof(r.off.why),
			 "not tried: the kernel driver has no parameter coherent");
	} else if (dev->fd >= 0) {
		snprintf(r.off.why, sizeof(r.off.why), "not tried: the node was opened elsewhere");
	} else if (gpu_coherent_set(dev, false)) {
		snprintf(r.off.why, sizeof(r.off.why),
			 "not tried: cannot write the parameter coherent: %s",
			 strerror(errno));
	} else {
		*off = gpu_device_open(dev);
		gpu_coherent_set(dev, true);
	}
	r.feature = gpu_coherent_get(dev) == 1;
	fd = gpu_device_open(dev);
	if (*off >= 0)
		gpu_coherent_set(dev, r.parameter);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return fd;
}

static void start_gl(void)
{
	struct gl_probe child;
	char err[256];
	int fd = -1, off = -1;

	if (gpu_device_find(&r.device, opt.device, err))
		cannot_run("%s", err);
	r.parameter = gpu_coherent_get(&r.device);
	if (r.device.node.path[0]) {
		fd = open_both(&r.device, &off);
		if (fd < 0)
			cannot_run("cannot open %s: %s", r.device.node.path, strerror(errno));
	} else {
		snprintf(r.off.why, sizeof(r.off.why),
			 "not tried: software rendering has no kernel driver");
	}
	if (off >= 0) {
		r.off.tried = !gl_probe_start(&child, off, NULL);
		if (!r.off.tried)
			cannot_run("cannot start a process: %s", strerror(errno));
		close(off);
	}

	/* Both start at once: it is most of the time of a short run. */
	r.on.known = !gl_context_create(&r.on.gl, fd, r.on.why, sizeof(r.on.why));
	if (r.off.tried)
		r.off.known = !gl_probe_finish(&child, &r.off.gl, r.off.why, sizeof(r.off.why));
	if (!r.on.known)
		cannot_run("no OpenGL on %s: %s",
			   r.device.node.path[0] ? r.device.node.path : "software", r.on.why);
}

static void check_gl(void)
{
	const struct gl_context *off = &r.off.gl, *on = &r.on.gl;

	if (r.off.known)
		check("off-is-stock", "C1", off->version < 44 && !off->buffer_storage ? PASS : FAIL,
		      "parameter off: OpenGL %s, GL_ARB_buffer_storage %s",
		      off->version_string, off->buffer_storage ? "yes" : "no");
	else
		check("off-is-stock", "C1", r.off.tried ? FAIL : SKIP, "%s", r.off.why);

	/* Without the feature the driver promised nothing. */
	check("gl-version", "C1",
	      on->version >= opt.version ? PASS : r.feature ? FAIL : SKIP,
	      "OpenGL %s, %d.%d wanted", on->version_string, opt.version / 10,
	      opt.version % 10);
	check("buffer-storage", "C1", on->buffer_storage ? PASS : r.feature ? FAIL : SKIP,
	      "GL_ARB_buffer_storage %s", on->buffer_storage ? "yes" : "no");
}

/* ---- the run ----------------------------------------------------------- */

static void count(struct gpu_counters *c)
{
	if (r.have_counters && gpu_counters_read(&r.device, c, r.no_counters))
		r.have_counters = false;
}

static void difference(struct gpu_counters *d, const struct gpu_counters *from,
		       const struct gpu_counters *to)
{
	for (int i = 0; i < GPU_NUM_COUNTERS; i++)
		d->v[i] = to->v[i] - from->v[i];
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static uint64_t dirty_bytes(const struct scene *s)
{
	uint64_t pages = 0;

	for (int i = 0; i < SCENE_NUM_BUFFERS; i++)
		pages += s->buffer[i].pages_dirty;
	return pages * s->page_size;
}

/* Checks the frame that was read and keeps it, unless one before was wrong. */
static void look_at(struct scene *s, uint32_t frame, uint32_t *shown)
{
	bool wrong_before = r.wrong.pixels;

	scene_check(s, frame, &r.wrong);
	r.pixels += s->width * s->height;
	if (!wrong_before) {
		memcpy(shown, s->pixels, (size_t)s->width * s->height * 4);
		r.shown = frame;
	}
}

static void frame_times(const struct frame_cost *cost)
{
	double *times = malloc(opt.frames * sizeof(*times));

	if (!times)
		abort();
	for (uint32_t i = 0; i < opt.frames; i++)
		times[i] = cost[i + 1].seconds;
	r.frame = spread_of(times, opt.frames);
	free(times);
}

static void stream(struct scene *s, struct frame_cost *cost, uint32_t *shown)
{
	struct gpu_counters created = { 0 }, begin = { 0 }, last, c = { 0 };
	uint64_t dirty;
	double start;
	long faults;

	count(&created);
	scene_write_frame(s, 0);
	cost[0].dirty_bytes = dirty = dirty_bytes(s);
	scene_draw_frame(s, 0);
	scene_reference(s, 0);
	scene_read(s, 0);
	look_at(s, 0, shown);
	glFinish();
	count(&begin);
	difference(&r.setup_count, &created, &begin);
	cost[0].upload_bytes = r.setup_count.v[GPU_upload_bytes];
	for (int i = 0; i < SCENE_NUM_BUFFERS; i++)
		r.setup[i] = (struct buffer_result){ s->buffer[i].bytes_written,
						     s->buffer[i].pages_dirty };
	r.setup_dirty = dirty;
	last = begin;
	faults = minor_faults();

	for (uint32_t f = 1; f <= opt.frames; f++) {
		start = now();
		r.hung = scene_wait(s, f);
		if (r.hung)
			return;
		scene_write_frame(s, f);
		scene_draw_frame(s, f);
		cost[f].seconds = now() - start;

		scene_reference(s, f);
		cost[f].dirty_bytes = dirty_bytes(s) - dirty;
		dirty += cost[f].dirty_bytes;

		/* The oldest frame in flight, while the others are drawn */
		if (f >= SCENE_SECTIONS) {
			uint32_t old = f - (SCENE_SECTIONS - 1);

			start = now();
			scene_read(s, old);
			cost[f].seconds += now() - start;
			look_at(s, old, shown);
		}

		count(&c);
		cost[f].upload_bytes = c.v[GPU_upload_bytes] - last.v[GPU_upload_bytes];
		last = c;
	}
	r.minor_faults = minor_faults() - faults;
	for (uint32_t f = opt.frames > 1 ? opt.frames - 1 : 1; f <= opt.frames; f++) {
		scene_read(s, f);
		look_at(s, f, shown);
	}
	glFinish();
	count(&c);
	difference(&r.stream_count, &begin, &c);
	for (int i = 0; i < SCENE_NUM_BUFFERS; i++) {
		struct scene_buffer *b = &s->buffer[i];

		r.stream[i].bytes_written = b->bytes_written - r.setup[i].bytes_written;
		r.stream[i].pages_dirty = b->pages_dirty - r.setup[i].pages_dirty;
		r.stream_written += r.stream[i].bytes_written;
	}
	r.stream_dirty = dirty - r.setup_dirty;
	r.mapped = scene_mapped_bytes(s);
	frame_times(cost);
}

static void idle(struct scene *s)
{
	struct gpu_counters before = { 0 }, after = { 0 }, woken = { 0 };
	double start;

	scene_idle_begin(s);
	for (int i = 0; i < SETTLE_SUBMISSIONS; i++)
		scene_idle_draw();
	glFinish();

	count(&before);
	start = now();
	for (int i = 0; i < IDLE_SUBMISSIONS; i++)
		scene_idle_draw();
	glFinish();
	r.idle_seconds = (now() - start) / IDLE_SUBMISSIONS;
	count(&after);
	difference(&r.idle_count, &before, &after);

	r.wake_ok = scene_idle_wake(s, opt.frames + 1);
	count(&woken);
	difference(&r.wake_count, &after, &woken);
	r.gl_error = glGetError();
}

static void check_run(const struct scene *s)
{
	double ratio = (double)r.stream_count.v[GPU_upload_bytes] / r.stream_dirty;
	double setup = (double)r.setup_count.v[GPU_upload_bytes] / r.setup_dirty;
	const uint64_t *idle = r.idle_count.v;
	const struct scene_wrong *w = &r.wrong;

	check("frames-finish", "C1", r.gl_error ? FAIL : PASS,
	      "all frames ended, GL error 0x%x", r.gl_error);
	if (w->pixels)
		check("wrong-pixels", "C1 C3", FAIL,
		      "%" PRIu64 " of %" PRIu64 " wrong (tiles %" PRIu64 ", sparse %" PRIu64
		      ", static %" PRIu64 ", bars %" PRIu64 ", idle %" PRIu64 "); first: frame %u"
		      ", x %u, y %u, got %08x, want %08x", w->pixels, r.pixels,
		      w->part[SCENE_PART_TILES], w->part[SCENE_PART_SPARSE],
		      w->part[SCENE_PART_STATIC], w->part[SCENE_PART_BARS],
		      w->part[SCENE_PART_IDLE], w->frame, w->x, w->y, w->got, w->want);
	else
		check("wrong-pixels", "C1 C3", PASS, "0 of %" PRIu64 " wrong", r.pixels);

	check("wake-after-idle", "C1 C3", r.wake_ok ? PASS : FAIL,
	      "a word written to the %zu MiB buffer after %d submissions without one is %s",
	      s->buffer[SCENE_IDLE].size >> 20, SETTLE_SUBMISSIONS + IDLE_SUBMISSIONS,
	      r.wake_ok ? "drawn" : "lost");

	if (!r.have_counters) {
		check("upload-complete", "C1 C3", SKIP, "%s", r.no_counters);
		check("upload-ratio", "C5", SKIP, "%s", r.no_counters);
		check("setup-upload-ratio", "C5", SKIP, "%s", r.no_counters);
		check("idle-pass-free", "C5", SKIP, "%s", r.no_counters);
		return;
	}
	check("upload-complete", "C1 C3", ratio >= 1 && setup >= 1 ? PASS : FAIL,
	      "at least %.4f of what was written is uploaded", ratio < setup ? ratio : setup);
	check("upload-ratio", "C5", ratio <= MAX_RATIO ? PASS : FAIL,
	      "uploaded %.4f of the size of the pages written, at most %.2f wanted",
	      ratio, MAX_RATIO);
	check("setup-upload-ratio", "C5", setup <= MAX_RATIO ? PASS : FAIL,
	      "the same for the setup: %.4f", setup);
	check("idle-pass-free", "C5",
	      idle[GPU_passes] >= IDLE_SUBMISSIONS && !idle[GPU_ptes_scanned] &&
	      !idle[GPU_notifier_ranges] && !idle[GPU_tlb_flushes] ? PASS : FAIL,
	      "%d submissions with a %zu MiB buffer nobody wrote to: %" PRIu64 " passes, %"
	      PRIu64 " entries, %" PRIu64 " notifier ranges, %" PRIu64 " flushes",
	      IDLE_SUBMISSIONS, s->buffer[SCENE_IDLE].size >> 20, idle[GPU_passes],
	      idle[GPU_ptes_scanned], idle[GPU_notifier_ranges], idle[GPU_tlb_flushes]);
}

/* ---- the report -------------------------------------------------------- */

static void report_gl(void)
{
	const char *const yes_no[] = { "no", "yes" };

	say("device     %s (%s), %s", r.device.node.path[0] ? r.device.node.path : "none",
	    r.device.node.driver, r.on.gl.renderer);
	say("coherent   %s", r.parameter < 0 ? "the kernel driver has no such parameter" :
	    r.parameter ? "on" : r.feature ? "off, but on for this run" : "off");
	if (r.off.known)
		say("off        OpenGL %s, GL_ARB_buffer_storage %s",
		    r.off.gl.version_string, yes_no[r.off.gl.buffer_storage]);
	else
		say("off        %s", r.off.why);
	say("%-10s OpenGL %s, GL_ARB_buffer_storage %s", r.feature ? "on" : "here",
	    r.on.gl.version_string, yes_no[r.on.gl.buffer_storage]);
}

static void report_run(const struct scene *s)
{
	double whole = (double)r.mapped * opt.frames;

	say("%s", "");
	say("buffer        size KiB      bytes written   pages dirtied   a frame    in setup");
	for (int i = 0; i < SCENE_NUM_BUFFERS; i++)
		say("%-10s %11zu %18" PRIu64 " %15" PRIu64 " %9.1f %11" PRIu64,
		    s->buffer[i].name, s->buffer[i].size >> 10, r.stream[i].bytes_written,
		    r.stream[i].pages_dirty, (double)r.stream[i].pages_dirty / opt.frames,
		    r.setup[i].pages_dirty);
	say("%s", "");
	say("frames          %u of %ux%u, seed %u, and one for the setup",
	    opt.frames, opt.width, opt.height, opt.seed);
	say("wrong pixels    %" PRIu64 " of %" PRIu64, r.wrong.pixels, r.pixels);
	say("written         %" PRIu64 " bytes, in pages of %.2f MiB",
	    r.stream_written, r.stream_dirty / MIB);
	if (r.have_counters) {
		const uint64_t *c = r.stream_count.v;

		say("uploaded        %.2f MiB, %.4f of the dirty pages (setup: %.2f MiB, %.4f)",
		    c[GPU_upload_bytes] / MIB, (double)c[GPU_upload_bytes] / r.stream_dirty,
		    r.setup_count.v[GPU_upload_bytes] / MIB,
		    (double)r.setup_count.v[GPU_upload_bytes] / r.setup_dirty);
	} else {
		say("uploaded        unknown: %s", r.no_counters);
	}
	say("whole buffers   would be %.2f MiB, %.0f times the dirty pages",
	    whole / MIB, whole / r.stream_dirty);
	if (r.have_counters)
		say("faults          %" PRIu64 " in the tracker, %ld minor faults of the process",
		    r.stream_count.v[GPU_faults], r.minor_faults);
	else
		say("faults          %ld minor faults of the process", r.minor_faults);
	say("time a frame    mean %.2f ms, median %.2f ms, 99%% below %.2f ms",
	    r.frame.mean * 1e3, r.frame.median * 1e3, r.frame.p99 * 1e3);
	say("idle submission %.3f ms, with a %zu MiB buffer nobody wrote to",
	    r.idle_seconds * 1e3, s->buffer[SCENE_IDLE].size >> 20);
	if (r.have_counters) {
		say("%s", "");
		say("counter                stream        %3d idle ones     one page after",
		    IDLE_SUBMISSIONS);
		for (int i = 0; i < GPU_NUM_COUNTERS; i++)
			say("%-16s %12" PRIu64 " %18" PRIu64 " %18" PRIu64, gpu_counter_name[i],
			    r.stream_count.v[i], r.idle_count.v[i], r.wake_count.v[i]);
	}
	say("%s", "");
	say("%s/frame.png     frame %u%s", opt.out, r.shown,
	    r.wrong.pixels ? ", the first wrong one" : "");
	say("%s/dirty.png     which pages were dirty in which frame", opt.out);
	say("%s/result.json   all the numbers", opt.out);
	say("%s", "");
}

static int report_checks(void)
{
	static const char *const word[] = { "ok", "NOT OK", "skipped" };
	int failed = 0;

	for (int i = 0; i < num_checks; i++) {
		const struct check *c = &checks[i];

		failed += c->verdict == FAIL;
		if (opt.output == OUTPUT_TEXT) {
			printf("%-8s %s (%s): %s\n", word[c->verdict], c->name, c->clause,
			       c->text);
		} else if (opt.output == OUTPUT_KTAP) {
			if (c->verdict == SKIP) {
				printf("ok %d %s (%s) # SKIP %s\n", i + 1, c->name,
				       c->clause, c->text);
				continue;
			}
			printf("# %s: %s\n", c->name, c->text);
			printf("%sok %d %s (%s)\n", c->verdict == FAIL ? "not " : "", i + 1,
			       c->name, c->clause);
		} else if (c->verdict == FAIL) {
			fprintf(stderr, "egm-stream: %s (%s) failed: %s\n", c->name, c->clause,
				c->text);
		}
	}
	return failed ? EXIT_FAILED : 0;
}

static json_t *gl_json(const struct gl_state *state)
{
	if (!state->known)
		return json_null();
	return json_pack("{s:f, s:b, s:s, s:s}", "version", state->gl.version / 10.0,
			 "buffer_storage", state->gl.buffer_storage,
			 "version_string", state->gl.version_string,
			 "renderer", state->gl.renderer);
}

static json_t *counters_json(const struct gpu_counters *c)
{
	json_t *json;

	if (!r.have_counters)
		return json_null();
	json = json_object();
	for (int i = 0; i < GPU_NUM_COUNTERS; i++)
		json_object_set_new(json, gpu_counter_name[i], json_integer(c->v[i]));
	return json;
}

static json_t *buffers_json(const struct scene *s)
{
	json_t *json = json_array();

	for (int i = 0; i < SCENE_NUM_BUFFERS; i++)
		json_array_append_new(json, json_pack(
			"{s:s, s:I, s:I, s:I, s:I, s:I}", "name", s->buffer[i].name,
			"size", (json_int_t)s->buffer[i].size,
			"bytes_written", (json_int_t)r.stream[i].bytes_written,
			"pages_dirty", (json_int_t)r.stream[i].pages_dirty,
			"setup_bytes_written", (json_int_t)r.setup[i].bytes_written,
			"setup_pages_dirty", (json_int_t)r.setup[i].pages_dirty));
	return json;
}

static json_t *frames_json(const struct frame_cost *cost)
{
	json_t *json = json_array();

	for (uint32_t i = 0; i <= opt.frames; i++) {
		json_t *frame = json_pack("{s:I, s:f}", "dirty", (json_int_t)cost[i].dirty_bytes,
					  "ms", cost[i].seconds * 1e3);

		if (r.have_counters)
			json_object_set_new(frame, "uploaded", json_integer(cost[i].upload_bytes));
		json_array_append_new(json, frame);
	}
	return json;
}

static json_t *checks_json(void)
{
	static const char *const word[] = { "pass", "fail", "skip" };
	json_t *json = json_array();

	for (int i = 0; i < num_checks; i++)
		json_array_append_new(json, json_pack(
			"{s:s, s:s, s:s, s:s}", "name", checks[i].name, "clause",
			checks[i].clause, "result", word[checks[i].verdict],
			"text", checks[i].text));
	return json;
}

static json_t *result_json(const struct scene *s, const struct frame_cost *cost)
{
	const uint64_t uploaded = r.stream_count.v[GPU_upload_bytes];
	json_t *wrong = json_object();

	for (int i = 0; i < SCENE_NUM_PARTS; i++)
		json_object_set_new(wrong, scene_part_name[i], json_integer(r.wrong.part[i]));
	return json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, "
		"s:I, s:o, s:o, s:I, s:I, s:{s:f, s:f, s:f}, s:i, s:f, s:o, s:o, s:o, s:o, s:o, "
		"s:o}",
		"device", r.device.node.path, "driver", r.device.node.driver,
		"parameter", r.parameter < 0 ? json_null() : json_boolean(r.parameter),
		"off", gl_json(&r.off), "on", gl_json(&r.on),
		"frames", (json_int_t)opt.frames, "width", (json_int_t)opt.width,
		"height", (json_int_t)opt.height, "seed", (json_int_t)opt.seed,
		"pixels", (json_int_t)r.pixels, "wrong_pixels", (json_int_t)r.wrong.pixels,
		"wrong", wrong, "buffers", buffers_json(s),
		"page_size", (json_int_t)s->page_size,
		"bytes_written", (json_int_t)r.stream_written,
		"bytes_dirty", (json_int_t)r.stream_dirty,
		"setup_bytes_dirty", (json_int_t)r.setup_dirty,
		"bytes_uploaded", r.have_counters ? json_integer(uploaded) : json_null(),
		"upload_ratio", r.have_counters ?
			json_real((double)uploaded / r.stream_dirty) : json_null(),
		"bytes_whole_buffers", (json_int_t)(r.mapped * opt.frames),
		"minor_faults", (json_int_t)r.minor_faults,
		"frame_ms", "mean", r.frame.mean * 1e3, "median", r.frame.median * 1e3,
			"p99", r.frame.p99 * 1e3,
		"idle_submissions", IDLE_SUBMISSIONS, "idle_submission_ms", r.idle_seconds * 1e3,
		"setup_counters", counters_json(&r.setup_count),
		"stream_counters", counters_json(&r.stream_count),
		"idle_counters", counters_json(&r.idle_count),
		"wake_counters", counters_json(&r.wake_count),
		"per_frame", frames_json(cost), "checks", checks_json());
}

/* ---- files and options ------------------------------------------------- */

static char *in_out(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", opt.out, name);
	return path;
}

static void pictures(const struct scene *s, const struct frame_cost *cost,
		     const uint32_t *shown)
{
	char subtitle[256];

	snprintf(subtitle, sizeof(subtitle),
		 "egm-stream: %u frames, seed %u, %.1f MiB mapped; %.1f dirty pages a frame "
		 "of %.0f mapped; %s", opt.frames, opt.seed, r.mapped / MIB,
		 (double)r.stream_dirty / s->page_size / opt.frames,
		 (double)r.mapped / s->page_size, r.on.gl.renderer);
	if (picture_frame(in_out("frame.png"), shown, opt.width, opt.height) ||
	    picture_dirty(in_out("dirty.png"), s, opt.frames, cost, r.have_counters, subtitle))
		failed("cannot write the pictures to %s", opt.out);
}

static void write_json(const struct scene *s, const struct frame_cost *cost)
{
	json_t *json = result_json(s, cost);
	const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(6);

	if (json_dump_file(json, in_out("result.json"), flags))
		failed("cannot write %s", in_out("result.json"));
	if (opt.output == OUTPUT_JSON) {
		json_dumpf(json, stdout, flags);
		putchar('\n');
	}
	json_decref(json);
}

static const char *const lose_name[] = {
	[SCENE_VERTEX] = "vertex", [SCENE_INDEX] = "index", [SCENE_UNIFORM] = "uniform",
	[SCENE_INSTANCE] = "instance", [SCENE_SPARSE] = "sparse", [SCENE_STATIC] = "static",
};

static char *help(void)
{
	char *text;

	if (asprintf(&text,
"usage: egm-stream [options]\n"
"\n"
"Streams an animated scene through persistent, coherent OpenGL buffers, without\n"
"a flush or a barrier, and checks every pixel of every frame against what it wrote.\n"
"Needs OpenGL 4.4 or GL_ARB_buffer_storage, and no window system.\n"
"\n"
"  --frames N        frames to stream (default %u, at most 100000)\n"
"  --size WxH        size of a frame (default %ux%u, from %dx%d to %dx%d)\n"
"  --seed N          another animation (default %u)\n"
"  --gl MAJOR.MINOR  the OpenGL version to require (default %d.%d), for a host with\n"
"                    less\n"
"  --out DIR         where the files below go (default: the current directory)\n"
"  --device NODE     DRM node, fd:N for one that is open, or \"software\" (default: the\n"
"                    first render node of virtio_gpu, else any, else software)\n"
"  --lose F[:BUFFER] leave out the writes to one page for frame F: the test has to\n"
"                    fail; BUFFER: vertex, index, uniform, instance, sparse (default)\n"
"                    or static; frame 0, the only one for static, is the setup\n"
"  --json            print result.json instead of the report\n"
"  --ktap            print KTAP, with the report as comments\n"
"  --help            this text\n"
"\n"
"Files: frame.png     the last frame, or the first wrong one\n"
"       dirty.png     which pages of which buffer were dirty in which frame\n"
"       result.json   all the numbers\n"
"\n"
"With the parameter /sys/module/virtio_gpu/parameters/coherent (root may write it)\n"
"OpenGL is also started with the feature off; the run itself has it on. The parameter\n"
"is as before within milliseconds. Uploads, faults and the cost of a pass come from\n"
"/sys/kernel/debug/dri (root may read it). What is not there is skipped.\n"
"\n"
"Exit status: 0 all checks passed or were skipped, 1 a check failed, 2 wrong usage,\n"
"77 cannot run here.\n",
		opt.frames, opt.width, opt.height, SCENE_MIN_WIDTH, SCENE_MIN_HEIGHT,
		SCENE_MAX_SIZE, SCENE_MAX_SIZE, opt.seed, opt.version / 10,
		opt.version % 10) < 0)
		abort();
	return text;
}

static void parse_size(char *string)
{
	char *by = strchr(string, 'x');

	if (!by)
		usage("--size: \"%s\" is not WIDTHxHEIGHT", string);
	*by = 0;
	opt.width = number("--size", string, SCENE_MIN_WIDTH, SCENE_MAX_SIZE);
	opt.height = number("--size", by + 1, SCENE_MIN_HEIGHT, SCENE_MAX_SIZE);
}

static void parse_version(char *string)
{
	char *dot = strchr(string, '.');

	if (!dot)
		usage("--gl: \"%s\" is not MAJOR.MINOR", string);
	*dot = 0;
	opt.version = 10 * number("--gl", string, 1, 9) + number("--gl", dot + 1, 0, 9);
}

static void parse_lose(char *string)
{
	char *buffer = strchr(string, ':');
	unsigned int i = SCENE_SPARSE;

	if (buffer) {
		*buffer++ = 0;
		for (i = 0; i < sizeof(lose_name) / sizeof(*lose_name); i++)
			if (!strcmp(buffer, lose_name[i]))
				break;
		if (i == sizeof(lose_name) / sizeof(*lose_name))
			usage("--lose: there is no buffer \"%s\" that is written", buffer);
	}
	opt.lose_buffer = i;
	opt.lose_frame = number("--lose", string, 0, 100000);
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "frames", required_argument, NULL, 'f' },
		{ "size", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "gl", required_argument, NULL, 'g' },
		{ "out", required_argument, NULL, 'o' },
		{ "device", required_argument, NULL, 'd' },
		{ "lose", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "ktap", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	char *text = help();
	int c;

	while ((c = next_option(argc, argv, longs, text)) != -1) {
		switch (c) {
		case 'f':
			opt.frames = number("--frames", optarg, 1, 100000);
			break;
		case 's':
			parse_size(optarg);
			break;
		case 'r':
			opt.seed = number("--seed", optarg, 0, UINT32_MAX);
			break;
		case 'g':
			parse_version(optarg);
			break;
		case 'o':
			opt.out = optarg;
			break;
		case 'd':
			opt.device = optarg;
			break;
		case 'l':
			parse_lose(optarg);
			break;
		case 'j':
			opt.output = OUTPUT_JSON;
			break;
		case 'k':
			opt.output = OUTPUT_KTAP;
			break;
		}
	}
	no_arguments(argc, argv);
	free(text);
	if (opt.lose_frame > (int)opt.frames)
		usage("--lose: there are only %u frames", opt.frames);
	if (opt.lose_frame > 0 && opt.lose_buffer == SCENE_STATIC)
		usage("--lose: static is written in frame 0 only");
}

int main(int argc, char **argv)
{
	struct scene s = { 0 };
	struct frame_cost *cost;
	struct gpu_counters c;
	uint32_t *shown;
	char err[256];
	int ret;

	program = "egm-stream";
	parse(argc, argv);
	if ((mkdir(opt.out, 0777) && errno != EEXIST) || access(opt.out, W_OK))
		cannot_run("cannot write to %s: %s (see --out)", opt.out, strerror(errno));

	start_gl();
	if (!r.on.gl.buffer_storage) {
		if (opt.output != OUTPUT_KTAP || !r.feature)
			cannot_run("OpenGL %s has no GL_ARB_buffer_storage: the kernel driver "
				   "%s", r.on.gl.version_string, r.parameter < 0 ?
				   "has no coherent buffers (no parameter coherent)" : r.feature ?
				   "does not give it, though its parameter coherent is on" :
				   "has its parameter coherent off");
		printf("KTAP version 1\n1..%d\n", GL_CHECKS);
		report_gl();
		check_gl();
		return report_checks();
	}

	s.width = opt.width;
	s.height = opt.height;
	s.seed = opt.seed;
	s.lose_frame = opt.lose_frame;
	s.lose_buffer = opt.lose_buffer;
	cost = calloc(opt.frames + 1, sizeof(*cost));
	shown = calloc(opt.width * opt.height, 4);
	if (!cost || !shown)
		abort();

	if (opt.output == OUTPUT_KTAP)
		printf("KTAP version 1\n1..%d\n", GL_CHECKS + RUN_CHECKS);
	report_gl();
	check_gl();
	r.have_counters = !gpu_counters_read(&r.device, &c, r.no_counters);
	if (scene_create(&s, err, sizeof(err))) {
		check("frames-finish", "C1", FAIL, "%s", err);
		return report_checks();
	}
	stream(&s, cost, shown);
	if (r.hung) {
		check("frames-finish", "C1", FAIL, "a frame did not end within 60 s");
	} else {
		pictures(&s, cost, shown);
		idle(&s);
		check_run(&s);
		report_run(&s);
		write_json(&s, cost);
	}
	ret = report_checks();

	/*
	 * The end of the process takes everything down. To unmap the buffers here
	 * would have Mesa upload them once more, whole.
	 */
	fflush(stdout);
	_exit(ret);
}
