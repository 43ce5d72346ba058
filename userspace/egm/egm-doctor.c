// SPDX-License-Identifier: MIT
/*
 * egm doctor: whether coherent buffers work here, and if not, why not. What it
 * prints is meant to be pasted into a bug report.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/utsname.h>

#include "client.h"
#include "gl-context.h"
#include "pattern.h"

#define PAGES 16
#define MAX_COMPLAINTS 20

static const char help_doctor[] =
"usage: egm doctor [options]\n"
"\n"
"Tells whether coherent buffers work on a device, and if they do not, why. The text is\n"
"for a bug report. Root sees more: the host's features, counters, the kernel log.\n"
"\n"
"  --device NODE    render node (default: the first with coherent buffers, or else the\n"
"                   first of a driver that can have them)\n"
"  --json           print an object in place of the text\n"
"  --help           this text\n"
"\n"
"Exit status: 0 they work, 1 they do not, 2 wrong usage.\n";

enum verdict { GOOD, BAD, UNKNOWN };

static const char *const verdict_name[] = { "good", "bad", "unknown" };

static struct doctor {
	json_t *checks;
	bool bad;
	char why[512];		/* the first that is bad */
} doctor;

__attribute__((format(printf, 3, 4)))
static void found(enum verdict verdict, const char *name, const char *format, ...)
{
	char text[sizeof(doctor.why)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (verdict == BAD && !doctor.bad) {
		doctor.bad = true;
		snprintf(doctor.why, sizeof(doctor.why), "%s", text);
	}
	json_array_append_new(doctor.checks, json_pack("{s:s, s:s, s:s}", "check", name,
		"verdict", verdict_name[verdict], "text", text));
	if (!common.json)
		printf("%-8s %-12s %s\n", verdict_name[verdict], name, text);
}

/* ---- the device -------------------------------------------------------- */

/* The node to examine: false if there is none */
static bool choose(struct egm_node *node)
{
	struct egm_node nodes[64];
	int n = egm_nodes(nodes, LENGTH(nodes)), best = -1, i;
	bool emulated;

	for (i = 0; i < n; i++) {
		if (common.device && strcmp(nodes[i].path, common.device))
			continue;
		if (!node_needs(&nodes[i], &emulated)) {
			best = i;
			break;
		}
		if (best < 0 || (!egm_driver_find(nodes[best].driver) &&
				 egm_driver_find(nodes[i].driver)))
			best = i;
	}
	if (best >= 0)
		*node = nodes[best];
	return best >= 0;
}

/* What the kernel says of its state: a line of the host's features */
static json_t *features(const struct egm_node *node)
{
	FILE *f = egm_debugfs_open(node, "virtio-gpu-features", false);
	json_t *all = json_object();
	char line[256], *value, *end;

	while (f && fgets(line, sizeof(line), f)) {
		value = strstr(line, " : ");
		if (!value)
			continue;
		for (end = value; end > line && end[-1] == ' '; end--)
			;
		*end = 0;
		value += 3;
		value[strcspn(value, "\n")] = 0;
		json_object_set_new(all, line, json_string(value));
	}
	if (f)
		fclose(f);
	return all;
}

static void check_parameter(const struct egm_node *node, json_t *host)
{
	const struct egm_driver *drv = egm_driver_find(node->driver);
	const char *state = json_string_value(json_object_get(host, "coherent buffers"));
	char value[16];

	if (!drv || !drv->parameter)
		return;
	if (!first_line(drv->parameter, value, sizeof(value))) {
		found(BAD, "parameter", "%s is not there: this kernel's %s cannot track writes",
		      drv->parameter, node->driver);
		return;
	}
	found(*value == 'Y' || *value == '1' ? GOOD : UNKNOWN, "parameter", "%s is %s%s%s",
	      drv->parameter, value, state ? ": " : "", state ? state : "");
}

/* The CPU writes, the device copies, and both have to agree: a page at a time */
static void check_buffer(const struct egm_node *node)
{
	struct egm_bo *bo, *snap;
	struct egm_dev *dev;
	char err[EGM_ERR];
	int ret, page = 0;

	if (egm_open(&dev, node->path, true, err)) {
		found(BAD, "buffers", "%s", err);
		return;
	}
	ret = egm_bo_create(dev, PAGES * PAGE, true, &bo);
	if (!ret)
		ret = egm_bo_create(dev, PAGES * PAGE, false, &snap);
	for (; !ret && page < PAGES; page++) {
		memset((char *)bo->map + page * PAGE, 0x40 + page, PAGE);
		ret = egm_snapshot(bo, snap);
		if (!ret)
			ret = egm_fetch(snap, PAGES * PAGE);
		if (!ret && memcmp(bo->map, snap->map, (page + 1) * PAGE)) {
			found(BAD, "buffers", "the device did not get what was written to page %d",
			      page);
			break;
		}
	}
	if (ret)
		found(BAD, "buffers", "a coherent buffer cannot be used: %s", strerror(-ret));
	else if (page == PAGES)
		found(GOOD, "buffers", "%d pages written, the device got each (%s)", PAGES,
		      !dev->drv->emulated || dev->drv->emulated(dev->fd) ?
		      "emulated" : "the host's own");
	egm_close(dev);
}

/* ---- OpenGL ------------------------------------------------------------ */

static bool gl_of(const struct egm_node *node, char *setting, struct gl_context *gl,
		  char err[EGM_ERR])
{
	int fd = open(node->path, O_RDWR | O_CLOEXEC);
	struct gl_probe probe;
	bool started;

	started = fd >= 0 && !gl_probe_start(&probe, fd, setting);
	if (!started)
		snprintf(err, EGM_ERR, "%s: %s", node->path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return started && !gl_probe_finish(&probe, gl, err, EGM_ERR);
}

/* Mesa without the extension is what it is on a kernel without the buffers. */
static void check_gl(const struct egm_node *node)
{
	static char no_storage[] = "MESA_EXTENSION_OVERRIDE=-GL_ARB_buffer_storage";
	struct gl_context with, without;
	char err[EGM_ERR];

	if (!gl_of(node, NULL, &with, err) || !gl_of(node, no_storage, &without, err)) {
		found(UNKNOWN, "OpenGL", "%s", err);
		return;
	}
	/* Mesa does that for a node that it has no driver for */
	if (strstr(with.renderer, "llvmpipe") == with.renderer ||
	    strstr(with.renderer, "softpipe") == with.renderer) {
		found(UNKNOWN, "OpenGL", "Mesa has no driver for %s and draws in software: %s",
		      node->driver, with.renderer);
		return;
	}
	if (with.buffer_storage)
		found(GOOD, "OpenGL", "%d.%d with persistent buffers, %d.%d without: %s, %s",
		      with.version / 10, with.version % 10, without.version / 10,
		      without.version % 10, with.version_string, with.renderer);
	else
		found(BAD, "OpenGL", "%d.%d, without persistent buffers: %s, %s",
		      with.version / 10, with.version % 10, with.version_string, with.renderer);
}

/* ---- the kernel log ---------------------------------------------------- */

/* Warnings and worse, of what is concerned: a record is "level,...;text" */
static void check_log(json_t *log)
{
	static const char *const about[] = {
		"virtio_gpu", "virtio-gpu", "vmwgfx", "vmob", "gem_dirty", "[drm", "ttm_bo",
	};
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC), i;
	unsigned int level, complaints = 0;
	char record[8192], *text;
	ssize_t n;

	if (fd < 0) {
		found(UNKNOWN, "kernel log", "cannot be read: %s", strerror(errno));
		return;
	}
	/* EPIPE: records were overwritten meanwhile */
	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		record[n] = 0;
		text = strchr(record, ';');
		if (!text || sscanf(record, "%u", &level) != 1 || (level & 7) > 4)
			continue;
		text++;
		text[strcspn(text, "\n")] = 0;
		for (i = 0; i < LENGTH(about) && !strstr(text, about[i]); i++)
			;
		/* What any module of DKMS has said of it */
		if (i == LENGTH(about) || strstr(text, "out-of-tree module taints kernel"))
			continue;
		if (complaints++ < MAX_COMPLAINTS)
			json_array_append_new(log, json_string(text));
	}
	close(fd);
	if (complaints)
		found(UNKNOWN, "kernel log", "%u warnings or errors of graphics drivers", complaints);
	else
		found(GOOD, "kernel log", "no warning of a graphics driver");
}

/* ---- the command ------------------------------------------------------- */

static void print_lines(const char *title, json_t *object)
{
	const char *key;
	json_t *value;

	if (!json_object_size(object))
		return;
	printf("\n%s\n", title);
	json_object_foreach(object, key, value) {
		if (json_is_string(value))
			printf("    %-28s %s\n", key, json_string_value(value));
		else
			printf("    %-28s %lld\n", key, (long long)json_integer_value(value));
	}
}

static void print_text(json_t *host, json_t *counters, json_t *log)
{
	json_t *line;
	size_t i;

	print_lines("what the host offers", host);
	print_lines("counters", counters);
	if (json_array_size(log))
		printf("\nkernel log\n");
	json_array_foreach(log, i, line)
		printf("    %s\n", json_string_value(line));
	if (doctor.bad)
		printf("\nCoherent buffers do not work: %s\n", doctor.why);
	else
		printf("\nCoherent buffers work.\n");
}

static void examine(const struct egm_node *node, json_t *host, json_t *counters, json_t *log)
{
	struct counted counted;

	if (node->error) {
		found(BAD, "device", "%s: %s", node->path, strerror(-node->error));
		return;
	}
	found(egm_driver_find(node->driver) ? GOOD : BAD, "device", "%s, driver %s%s, %s", node->path,
	      node->driver, egm_driver_find(node->driver) ? "" : " which has no coherent buffers",
	      node->device);
	if (!egm_driver_find(node->driver))
		return;
	check_parameter(node, host);
	check_buffer(node);
	check_gl(node);
	count(node, &counted);
	if (counted.known)
		json_object_update_new(counters, counters_json(&counted.c));
	else
		found(UNKNOWN, "counters", "%s", counted.why);
	check_log(log);
}

static int run_doctor(int argc, char **argv)
{
	static const struct option longs[] = {
		DEVICE_OPTION, JSON_OPTION, HELP_OPTION, { 0 }
	};
	json_t *host, *counters = json_object(), *log = json_array();
	struct egm_node node = { 0 };
	struct utsname system;

	while (next(argc, argv, longs) != -1)
		;
	no_arguments(argc, argv);
	uname(&system);
	doctor.checks = json_array();
	if (!common.json)
		printf("egm %s, %s %s %s\n", EGM_VERSION, system.sysname, system.release,
		       system.machine);
	if (choose(&node)) {
		host = features(&node);
		examine(&node, host, counters, log);
	} else {
		host = json_object();
		found(BAD, "device", common.device ? "%s is no DRM render node" :
		      "no DRM render node below /dev/dri", common.device);
	}
	if (!common.json)
		print_text(host, counters, log);
	else
		print_json(json_pack("{s:s, s:s, s:s, s:b, s:s?, s:O, s:O, s:O, s:O}",
				     "node", node.path, "driver", node.driver, "kernel",
				     system.release, "works", !doctor.bad, "why",
				     doctor.bad ? doctor.why : NULL, "checks", doctor.checks,
				     "host", host, "counters", counters, "log", log), false);
	json_decref(doctor.checks);
	json_decref(host);
	json_decref(counters);
	json_decref(log);
	return doctor.bad ? EXIT_FAILED : 0;
}

const struct command command_doctor = {
	.name = "doctor", .summary = "whether they work here, and if not, why",
	.run = run_doctor, .help = help_doctor,
};
