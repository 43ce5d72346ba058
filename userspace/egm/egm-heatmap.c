// SPDX-License-Identifier: MIT
/*
 * egm heatmap: which pages of which buffers were dirty when, as a picture.
 *
 * The kernel's trace event drm_gem_dirty_next is emitted for each range of dirty
 * pages that a submission, of any process, takes for the device. It is recorded
 * in a trace instance of our own, so that other tracing is not disturbed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include <tracefs.h>

#include "client.h"
#include "draw.h"
#include "pattern.h"

#define SYSTEM "drm_gem_dirty"
#define EVENT "drm_gem_dirty_next"
#define COLUMNS 480
#define MAX_BANDS 12
#define TRACE_KIB 4096		/* for each CPU */

static const char help_heatmap[] =
"usage: egm heatmap [options] [-- COMMAND [argument...]]\n"
"       egm heatmap --from FILE [--text] [--output FILE]\n"
"\n"
"Draws which pages of which coherent buffers were dirty when, for all processes that\n"
"use a device: while COMMAND runs, or for some seconds.\n"
"\n"
"  --device NODE    render node (default: the first of a driver with coherent buffers)\n"
"  --seconds S      how long at most (default 10; with a command: until it ends)\n"
"  --output FILE    the picture (default heatmap.png)\n"
"  --text           print it as text, and make no picture if --output is not given\n"
"  --json           print all that was recorded: ranges as [seconds, buffer, first page,\n"
"                   number of pages]; COMMAND's output goes to standard error\n"
"  --from FILE      record nothing, draw what --json has printed, here or elsewhere\n"
"  --help           this text\n"
"\n"
"Each band is a buffer, with its first page on top and time from left to right. A page\n"
"is dirty when a submission uploads it. At most 12 buffers are shown, those with the\n"
"most dirty pages.\n"
"\n"
"Exit status: 0 done, 1 nothing was dirty (no picture) or the command failed, 2 wrong\n"
"usage, 77 cannot run here: recording needs root and tracefs.\n";

struct range {
	double time;
	uint32_t buffer;	/* index into heat.buffer */
	uint32_t first, nr;
};

struct buffer {
	uint64_t id, pages, ranges, dirty;
	int pid;
	char command[32];
};

static struct heat {
	struct range *range;
	size_t n_ranges, room;
	struct buffer *buffer;
	size_t n_buffers;
	unsigned long long lost;	/* events */
	double start, end;
	char what[61];			/* the command, or "" */
} heat;

/* ---- recording --------------------------------------------------------- */

static struct tracefs_instance *instance;
static pid_t owner;

static void end_instance(void)
{
	/* not in a child that could not start its program */
	if (!instance || getpid() != owner)
		return;
	tracefs_instance_destroy(instance);
	tracefs_instance_free(instance);
	instance = NULL;
}

static void start_instance(const struct egm_node *node)
{
	const char *dir = NULL;
	char text[128];

	if (tracefs_tracing_dir_is_mounted(false, &dir) <= 0 || !dir)
		cannot("tracefs is not mounted");
	if (access(dir, R_OK | W_OK | X_OK))
		cannot("%s: %s", dir, errno == EACCES ? "only root may use tracefs" :
		       strerror(errno));
	if (!tracefs_event_file_exists(NULL, SYSTEM, EVENT, "enable"))
		cannot("this kernel has no trace event %s:%s", SYSTEM, EVENT);
	owner = getpid();
	snprintf(text, sizeof(text), "egm-%d", owner);
	instance = tracefs_instance_create(text);
	if (!instance)
		cannot("no trace instance: %s", strerror(errno));
	atexit(end_instance);
	snprintf(text, sizeof(text), "dev == \"%s\"", node->device);
	if (tracefs_instance_file_write(instance, "trace_clock", "mono") < 0 ||
	    tracefs_instance_set_buffer_size(instance, TRACE_KIB, -1) < 0 ||
	    tracefs_event_file_write(instance, SYSTEM, EVENT, "filter", text) < 0 ||
	    tracefs_event_enable(instance, SYSTEM, EVENT) < 0)
		cannot("setting up a trace instance: %s", strerror(errno));
}

static void *grow(void *array, size_t n, size_t size)
{
	array = realloc(array, n * size);
	if (!array)
		cannot("%s", strerror(ENOMEM));
	return array;
}

static uint32_t buffer_index(uint64_t id, uint64_t pages, int pid)
{
	struct buffer *b;
	size_t i;

	for (i = 0; i < heat.n_buffers; i++)
		if (heat.buffer[i].id == id)
			return i;
	heat.buffer = grow(heat.buffer, i + 1, sizeof(*heat.buffer));
	heat.n_buffers++;
	b = &heat.buffer[i];
	*b = (struct buffer){ .id = id, .pages = pages, .pid = pid };
	process_name(pid, b->command, sizeof(b->command));
	return i;
}

static void add_range(double time, uint32_t buffer, uint32_t first, uint32_t nr)
{
	if (heat.n_ranges == heat.room) {
		heat.room = 2 * heat.room + 1024;
		heat.range = grow(heat.range, heat.room, sizeof(*heat.range));
	}
	heat.range[heat.n_ranges++] = (struct range){
		.time = time, .buffer = buffer, .first = first, .nr = nr,
	};
	heat.buffer[buffer].ranges++;
	heat.buffer[buffer].dirty += nr;
}

static int record_event(struct tep_event *event, struct tep_record *record, int cpu, void *data)
{
	unsigned long long id, pages, first, nr;

	(void)cpu;
	(void)data;
	if (record->missed_events)
		heat.lost += record->missed_events > 0 ? record->missed_events : 1;
	if (strcmp(event->name, EVENT) || tep_get_field_val(NULL, event, "id", record, &id, 0) ||
	    tep_get_field_val(NULL, event, "nr_pages", record, &pages, 0) ||
	    tep_get_field_val(NULL, event, "first", record, &first, 0) ||
	    tep_get_field_val(NULL, event, "nr", record, &nr, 0) || !nr || first + nr > pages)
		return 0;
	add_range(record->ts * 1e-9, buffer_index(id, pages, tep_data_pid(event->tep, record)),
		  first, nr);
	return 0;
}

static void read_events(struct tep_handle *tep)
{
	tracefs_iterate_raw_events(tep, instance, NULL, 0, record_event, NULL);
}

static pid_t start_command(char **argv)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		cannot("no process for %s: %s", argv[0], strerror(errno));
	if (!pid) {
		/* standard output is for one JSON document */
		if (common.json)
			dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(argv[0], argv);
		fprintf(stderr, "egm heatmap: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	return pid;
}

/* Returns the command's wait status, 0 without one. */
static int record(const struct egm_node *node, char **argv, double limit)
{
	const char *const systems[] = { SYSTEM, NULL };
	struct tep_handle *tep;
	int status = 0;
	pid_t pid = 0;

	catch_stop();
	start_instance(node);
	tep = tracefs_local_events_system(NULL, systems);
	if (!tep)
		cannot("cannot read the format of %s", EVENT);
	heat.start = now();
	if (argv)
		pid = start_command(argv);
	while (!stopped && (!limit || now() - heat.start < limit)) {
		if (pid && waitpid(pid, &status, WNOHANG) == pid) {
			pid = 0;
			break;
		}
		poll(NULL, 0, 50);
		read_events(tep);
	}
	heat.end = now();
	tracefs_event_disable(instance, SYSTEM, EVENT);
	read_events(tep);
	tep_free(tep);
	end_instance();
	if (pid) {
		/* time is up: the command is ours, so it ends with us */
		kill(pid, SIGTERM);
		waitpid(pid, &status, 0);
	}
	/* nor is it wrong that Ctrl-C was meant for both */
	return pid || stopped ? 0 : status;
}

/* ---- the picture ------------------------------------------------------- */

static int more_dirty(const void *a, const void *b)
{
	const struct buffer *x = &heat.buffer[*(const uint32_t *)a];
	const struct buffer *y = &heat.buffer[*(const uint32_t *)b];

	return (x->dirty < y->dirty) - (x->dirty > y->dirty);
}

static int older(const void *a, const void *b)
{
	const struct buffer *x = &heat.buffer[*(const uint32_t *)a];
	const struct buffer *y = &heat.buffer[*(const uint32_t *)b];

	return (x->id > y->id) - (x->id < y->id);
}

/* Those to show, the oldest first. */
static uint32_t *busiest(size_t *shown)
{
	uint32_t *order = grow(NULL, heat.n_buffers, sizeof(*order));

	*shown = heat.n_buffers < MAX_BANDS ? heat.n_buffers : MAX_BANDS;
	for (size_t i = 0; i < heat.n_buffers; i++)
		order[i] = i;
	qsort(order, heat.n_buffers, sizeof(*order), more_dirty);
	qsort(order, *shown, sizeof(*order), older);
	return order;
}

static uint32_t column_of(double time, uint32_t columns)
{
	double at = (time - heat.start) / (heat.end - heat.start) * columns;

	return at < 0 ? 0 : at >= columns ? columns - 1 : (uint32_t)at;
}

/* The first page of a row */
static uint64_t row_start(const struct buffer *b, uint32_t row, uint32_t rows)
{
	return (b->pages * row + rows - 1) / rows;
}

/* How often a page of a row was dirty in a column, row by row */
static uint32_t *count_cells(uint32_t index, uint32_t rows, uint32_t columns)
{
	const struct buffer *b = &heat.buffer[index];
	uint32_t *count = calloc((size_t)rows * columns, sizeof(*count));

	if (!count)
		cannot("%s", strerror(ENOMEM));
	for (size_t i = 0; i < heat.n_ranges; i++) {
		const struct range *r = &heat.range[i];
		uint32_t column = column_of(r->time, columns);

		if (r->buffer != index)
			continue;
		for (uint64_t page = r->first, end = page + r->nr; page < end;) {
			uint32_t row = page * rows / b->pages;
			uint32_t *cell = &count[row * columns + column];
			uint64_t next = row_start(b, row + 1, rows);

			next = next < end ? next : end;
			*cell = next - page < UINT32_MAX - *cell ? *cell + (next - page) : UINT32_MAX;
			page = next;
		}
	}
	return count;
}

static int band_height(const struct buffer *b)
{
	double height = 14 * log2(b->pages + 1);

	return height < 30 ? 30 : height > 220 ? 220 : (int)height;
}

static void draw_buffer(cairo_t *c, uint32_t index, double top)
{
	const struct buffer *b = &heat.buffer[index];
	int height = band_height(b);
	uint32_t rows = b->pages < (uint64_t)height ? b->pages : (uint64_t)height;
	uint32_t *count = count_cells(index, rows, COLUMNS);
	char name[32], note[64];
	struct draw_band band = {
		.name = name, .note = note, .size = b->pages * PAGE, .pages = b->pages,
		.dirty = b->dirty, .height = height, .rows = rows, .columns = COLUMNS,
		.full = (double)b->pages / rows, .count = count,
	};

	snprintf(name, sizeof(name), "buffer %llu", (unsigned long long)b->id);
	snprintf(note, sizeof(note), "%s, process %d", b->command, b->pid);
	draw_band(c, &band, top);
	free(count);
	if (height < 80)
		return;
	draw_grey(c, 0.4);
	draw_text(c, DRAW_LEFT - 12, top + 10, DRAW_FROM_RIGHT, 11, false, "page 0");
	snprintf(note, sizeof(note), "%llu", (unsigned long long)b->pages - 1);
	draw_text(c, DRAW_LEFT - 12, top + height - 1, DRAW_FROM_RIGHT, 11, false, note);
}

static void draw_rate(cairo_t *c, double top)
{
	double kib[COLUMNS] = { 0 }, max = 1, w = (double)DRAW_PLOT / COLUMNS;
	char note[64];

	for (size_t i = 0; i < heat.n_ranges; i++)
		kib[column_of(heat.range[i].time, COLUMNS)] += heat.range[i].nr * (PAGE / 1024.0);
	for (int i = 0; i < COLUMNS; i++)
		max = fmax(max, kib[i]);
	snprintf(note, sizeof(note), "in %.3g ms", (heat.end - heat.start) * 1e3 / COLUMNS);
	max = draw_panel(c, top, max, "KiB dirty", note);
	for (int i = 0; i < COLUMNS; i++)
		draw_bar(c, top, i * w, w, kib[i] / max);
	draw_key(c, top, "all buffers");
}

static int picture(const char *path, const struct egm_node *node)
{
	int height = DRAW_TOP + DRAW_PANEL + DRAW_GAP + DRAW_BOTTOM;
	size_t i, shown;
	uint32_t *order = busiest(&shown);
	uint64_t dirty = 0;
	double y = DRAW_TOP;
	char subtitle[384], lost[80] = "";
	cairo_t *c;

	for (i = 0; i < heat.n_buffers; i++)
		dirty += heat.buffer[i].dirty;
	for (i = 0; i < shown; i++)
		height += band_height(&heat.buffer[order[i]]) + DRAW_GAP;

	if (heat.lost)
		snprintf(lost, sizeof(lost), "; at least %llu ranges were not recorded", heat.lost);
	snprintf(subtitle, sizeof(subtitle),
		 "%s (%s), %.1f s%s%s: %zu of %zu buffers, %llu dirty pages in %zu ranges%s",
		 node->path, node->driver, heat.end - heat.start, heat.what[0] ? " of " : "",
		 heat.what, shown, heat.n_buffers, (unsigned long long)dirty,
		 heat.n_ranges, lost);
	c = draw_begin(height, "Pages the CPU wrote between submissions", subtitle);
	for (i = 0; i < shown; i++) {
		draw_buffer(c, order[i], y);
		y += band_height(&heat.buffer[order[i]]) + DRAW_GAP;
	}
	y += DRAW_GAP;
	draw_rate(c, y);
	draw_axis(c, y + DRAW_PANEL, heat.end - heat.start, 0, 1e-3, "seconds");
	free(order);
	return draw_end(c, path);
}

/* ---- the same as text ---------------------------------------------------- */

#define TEXT_COLUMNS 64
#define TEXT_ROWS 8

/* The share of a cell's pages, each time it could be dirty, decides for the letter. */
static void text_buffer(uint32_t index)
{
	static const char letters[] = ".:-=+*#%@";
	const struct buffer *b = &heat.buffer[index];
	uint32_t rows = b->pages < TEXT_ROWS ? b->pages : TEXT_ROWS, most = 1;
	uint32_t *count = count_cells(index, rows, TEXT_COLUMNS);

	for (uint32_t i = 0; i < rows * TEXT_COLUMNS; i++)
		most = count[i] > most ? count[i] : most;
	printf("\nbuffer %llu, %llu pages, %s, process %d, @ is %u dirty pages\n",
	       (unsigned long long)b->id, (unsigned long long)b->pages, b->command, b->pid, most);
	for (uint32_t row = 0; row < rows; row++) {
		printf("%10llu |", (unsigned long long)row_start(b, row, rows));
		for (uint32_t column = 0; column < TEXT_COLUMNS; column++) {
			uint64_t n = count[row * TEXT_COLUMNS + column];

			putchar(n ? letters[(n * (sizeof(letters) - 1) - 1) / most] : ' ');
		}
		printf("|\n");
	}
	free(count);
}

static void text(void)
{
	size_t shown;
	uint32_t *order = busiest(&shown);

	printf("%zu of %zu buffers, first page by time: %.1f s%s%s\n", shown, heat.n_buffers,
	       heat.end - heat.start, heat.what[0] ? " of " : "", heat.what);
	for (size_t i = 0; i < shown; i++)
		text_buffer(order[i]);
	free(order);
}

/* ---- the command ------------------------------------------------------- */

static void report_json(const struct egm_node *node)
{
	json_t *buffers = json_array(), *ranges = json_array();
	size_t i;

	for (i = 0; i < heat.n_buffers; i++) {
		const struct buffer *b = &heat.buffer[i];

		json_array_append_new(buffers, json_pack("{s:I, s:I, s:I, s:I, s:i, s:s}",
			"buffer", (json_int_t)b->id, "pages", (json_int_t)b->pages,
			"ranges", (json_int_t)b->ranges, "dirty", (json_int_t)b->dirty,
			"pid", b->pid, "command", b->command));
	}
	for (i = 0; i < heat.n_ranges; i++) {
		const struct range *r = &heat.range[i];

		json_array_append_new(ranges, json_pack("[f, I, I, I]", r->time - heat.start,
			(json_int_t)heat.buffer[r->buffer].id, (json_int_t)r->first,
			(json_int_t)r->nr));
	}
	print_json(json_pack("{s:s, s:s, s:s?, s:f, s:I, s:o, s:o}", "node", node->path,
			     "driver", node->driver, "of", heat.what[0] ? heat.what : NULL, "seconds",
			     heat.end - heat.start, "lost_events", (json_int_t)heat.lost,
			     "buffers", buffers, "ranges", ranges), true);
}

/* What report_json() has printed. A file may have been changed since: 77 */
static void load(const char *path, struct egm_node *node)
{
	json_t *json, *buffers, *ranges, *item, *of = NULL;
	const char *name, *driver;
	json_error_t error;
	json_int_t lost;
	size_t i;

	json = json_load_file(path, 0, &error);
	if (!json)
		cannot("%s: %s", path, error.text);
	if (json_unpack_ex(json, &error, 0, "{s:s, s:s, s?:o, s:F, s:I, s:o, s:o}", "node", &name,
			   "driver", &driver, "of", &of, "seconds", &heat.end,
			   "lost_events", &lost, "buffers", &buffers, "ranges", &ranges) ||
	    !(heat.end > 0) || lost < 0 || !json_is_array(buffers) || !json_is_array(ranges))
		cannot("%s is not a record of egm heatmap", path);
	heat.lost = lost;
	snprintf(node->path, sizeof(node->path), "%s", name);
	snprintf(node->driver, sizeof(node->driver), "%s", driver);
	snprintf(heat.what, sizeof(heat.what), "%s", json_string_value(of) ?: "");
	/* The file may come from anywhere. */
	printable(node->path);
	printable(node->driver);
	printable(heat.what);
	json_array_foreach(buffers, i, item) {
		json_int_t id, pages;
		struct buffer *b;

		if (json_unpack(item, "{s:I, s:I, s:s}", "buffer", &id, "pages", &pages,
				"command", &name) || pages < 1 || pages > UINT32_MAX)
			cannot("%s: cannot parse buffer %zu", path, i);
		heat.buffer = grow(heat.buffer, i + 1, sizeof(*heat.buffer));
		b = &heat.buffer[heat.n_buffers++];
		*b = (struct buffer){ .id = id, .pages = pages };
		json_unpack(item, "{s:i}", "pid", &b->pid);
		snprintf(b->command, sizeof(b->command), "%s", name);
		printable(b->command);
	}
	json_array_foreach(ranges, i, item) {
		json_int_t id, first, nr;
		double time;
		uint32_t k;

		if (json_unpack(item, "[F, I, I, I]", &time, &id, &first, &nr))
			cannot("%s: cannot parse range %zu", path, i);
		for (k = 0; k < heat.n_buffers && heat.buffer[k].id != (uint64_t)id; k++)
			;
		if (k == heat.n_buffers || first < 0 || nr < 1 || first >= INT64_MAX - nr ||
		    (uint64_t)(first + nr) > heat.buffer[k].pages)
			cannot("%s: range %zu belongs to no buffer", path, i);
		add_range(time, k, first, nr);
	}
	json_decref(json);
}

static bool can_create(const char *path)
{
	char dir[4096];

	snprintf(dir, sizeof(dir), "%s", path);
	return !access(dirname(dir), W_OK);
}

static int run_heatmap(int argc, char **argv)
{
	static const struct option longs[] = {
		DEVICE_OPTION,
		{ "seconds", required_argument, NULL, 's' },
		{ "output", required_argument, NULL, 'o' },
		{ "text", no_argument, NULL, 't' },
		{ "from", required_argument, NULL, 'f' },
		JSON_OPTION, HELP_OPTION, { 0 }
	};
	const char *output = NULL, *from = NULL;
	bool as_text = false;
	double limit = -1;
	struct egm_node node = { 0 };
	char **child;
	int c, status, ret = 0;

	while ((c = next(argc, argv, longs)) != -1) {
		switch (c) {
		case 's':
			limit = seconds("--seconds", optarg, 0.1, 86400);
			break;
		case 'o':
			output = optarg;
			break;
		case 't':
			as_text = true;
			break;
		case 'f':
			from = optarg;
			break;
		}
	}
	child = optind < argc ? argv + optind : NULL;
	if (child && strcmp(argv[optind - 1], "--"))
		usage("unexpected argument \"%s\": a command comes after --", argv[optind]);
	if (from && (child || limit >= 0 || common.device || common.json))
		usage("--from records nothing: it goes with --text and --output only");
	if (as_text && common.json)
		usage("--text and --json both need standard output");
	if (limit < 0)
		limit = child ? 0 : 10;
	if (!output && !as_text)
		output = "heatmap.png";

	if (from)
		load(from, &node);
	else
		node = find_node();
	/* better now than when all is recorded */
	if (output && access(output, W_OK) && (errno != ENOENT || !can_create(output)))
		cannot("cannot write %s: %s", output, strerror(errno));
	if (!from) {
		snprintf(heat.what, sizeof(heat.what), "%s", child ? child[0] : "");
		printable(heat.what);
		status = record(&node, child, limit);
		if (status) {
			fprintf(stderr, "egm heatmap: %s ended with %s %d\n", child[0],
				WIFEXITED(status) ? "status" : "signal",
				WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
			ret = EXIT_FAILED;
		}
	}
	if (common.json)
		report_json(&node);
	if (!heat.n_ranges) {
		fprintf(stderr, "egm heatmap: nothing was dirty\n");
		ret = EXIT_FAILED;
	} else {
		if (as_text)
			text();
		if (output && picture(output, &node))
			cannot("cannot write %s: %s", output, strerror(errno));
		if (output && !common.json)
			printf("%s: %zu buffers, %zu ranges in %.1f s\n", output, heat.n_buffers,
			       heat.n_ranges, heat.end - heat.start);
	}
	free(heat.range);
	free(heat.buffer);
	return ret;
}

const struct command command_heatmap = {
	.name = "heatmap", .summary = "which pages were dirty when, as a picture",
	.run = run_heatmap, .help = help_heatmap,
};
