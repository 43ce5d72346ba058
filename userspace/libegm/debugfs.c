// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "egm.h"

#define ARRAY_SIZE(a) ((int)(sizeof(a) / sizeof((a)[0])))

static void path_of(const struct egm_node *node, const char *file, char *path,
		    size_t size)
{
	snprintf(path, size, "/sys/kernel/debug/dri/%d/%s", node->minor, file);
}

FILE *egm_debugfs_open(const struct egm_node *node, const char *file, bool write)
{
	char path[128];
	int fd;

	/* fopen() would try to create what it is to write */
	path_of(node, file, path, sizeof(path));
	fd = open(path, (write ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	return fd < 0 ? NULL : fdopen(fd, write ? "w" : "r");
}

static int cannot_open(const struct egm_node *node, const char *file,
		       char err[EGM_ERR])
{
	int ret = -errno;
	const char *why = strerror(-ret);
	char path[128];

	path_of(node, file, path, sizeof(path));
	if (access("/sys/kernel/debug", X_OK))
		why = "only root may read debugfs";
	else if (access("/sys/kernel/debug/dri", F_OK))
		why = "debugfs is not mounted";
	else if (ret == -ENOENT)
		why = "this kernel does not have it";
	snprintf(err, EGM_ERR, "%s: %s", path, why);
	return ret;
}

static const struct egm_driver *driver_of(const struct egm_node *node,
					  char err[EGM_ERR])
{
	const struct egm_driver *drv = egm_driver_find(node->driver);

	if (!drv)
		snprintf(err, EGM_ERR, "driver %s has no counters of coherent buffers",
			 node->driver[0] ? node->driver : "(none)");
	return drv;
}

/* Whether the line is one of the totals; the table after them is not. */
static bool parse_total(const char *line, char name[40], uint64_t *value)
{
	int end = 0;

	return sscanf(line, "%39[a-z0-9_] %" SCNu64 " %n", name, value,
		      &end) == 2 && !line[end];
}

void egm_counter_add(struct egm_counters *c, const char *name, uint64_t value)
{
	if (c->n == ARRAY_SIZE(c->c))
		return;
	snprintf(c->c[c->n].name, sizeof(c->c[c->n].name), "%s", name);
	c->c[c->n++].value = value;
}

int egm_counters_read(const struct egm_node *node, struct egm_counters *c,
		      char err[EGM_ERR])
{
	const struct egm_driver *drv = driver_of(node, err);
	char line[256], name[40];
	const char *const *file;
	uint64_t value;

	c->n = 0;
	if (!drv)
		return -ENODEV;
	for (file = drv->counter_files; *file; file++) {
		FILE *f = egm_debugfs_open(node, *file, false);

		if (!f)
			return cannot_open(node, *file, err);
		while (fgets(line, sizeof(line), f) &&
		       parse_total(line, name, &value))
			egm_counter_add(c, name, value);
		fclose(f);
	}
	if (drv->counters)
		drv->counters(node, c);
	return 0;
}

const uint64_t *egm_counter(const struct egm_counters *c, const char *name)
{
	int i;

	for (i = 0; i < c->n; i++)
		if (!strcmp(c->c[i].name, name))
			return &c->c[i].value;
	return NULL;
}

/* The line with the names, then one for each buffer. */
static int parse_row(struct egm_table *t, char *line)
{
	bool names = !t->n_columns;
	uint64_t value[24] = { 0 };
	char *word, *save, *end;
	void *rows;
	int i = 0;

	for (word = strtok_r(line, " \n", &save); word && i < ARRAY_SIZE(value);
	     word = strtok_r(NULL, " \n", &save), i++) {
		if (names) {
			snprintf(t->column[t->n_columns++], sizeof(t->column[0]),
				 "%s", word);
			continue;
		}
		value[i] = strtoull(word, &end,
				    strcmp(t->column[i], "offset") ? 10 : 16);
		if (*end)
			return -EPROTO;
	}
	if (names || !i)
		return 0;
	if (i != t->n_columns)
		return -EPROTO;
	rows = realloc(t->row, (t->n_rows + 1) * sizeof(*t->row));
	if (!rows)
		return -ENOMEM;
	t->row = rows;
	memcpy(t->row[t->n_rows++], value, sizeof(value));
	return 0;
}

int egm_table_read(const struct egm_node *node, struct egm_table *t,
		   char err[EGM_ERR])
{
	const struct egm_driver *drv = driver_of(node, err);
	char line[512], name[40];
	bool totals = true;
	uint64_t value;
	int ret = 0;
	FILE *f;

	memset(t, 0, sizeof(*t));
	if (!drv)
		return -ENODEV;
	f = egm_debugfs_open(node, drv->counter_files[0], false);
	if (!f)
		return cannot_open(node, drv->counter_files[0], err);
	while (!ret && fgets(line, sizeof(line), f)) {
		totals = totals && parse_total(line, name, &value);
		if (!totals)
			ret = parse_row(t, line);
	}
	fclose(f);
	if (ret) {
		snprintf(err, EGM_ERR, "%s of minor %d: %s", drv->counter_files[0],
			 node->minor, ret == -EPROTO ? "not the table this program knows" :
			 strerror(-ret));
		egm_table_free(t);
	}
	return ret;
}

void egm_table_free(struct egm_table *t)
{
	free(t->row);
	memset(t, 0, sizeof(*t));
}

uint64_t egm_table_get(const struct egm_table *t, int row, const char *name)
{
	int i;

	for (i = 0; i < t->n_columns; i++)
		if (!strcmp(t->column[i], name))
			return t->row[row][i];
	return 0;
}

static int write_file(const struct egm_node *node, const char *file,
		      const char *text, char err[EGM_ERR])
{
	FILE *f = egm_debugfs_open(node, file, true);
	int ret;

	if (!f)
		return cannot_open(node, file, err);
	fputs(text, f);
	if (!fclose(f))
		return 0;
	ret = -errno;
	snprintf(err, EGM_ERR, "%s: %s", file, strerror(-ret));
	return ret;
}

bool egm_can_lose(const struct egm_node *node)
{
	const struct egm_driver *drv = egm_driver_find(node->driver);
	FILE *f;

	if (!drv)
		return false;
	if (drv->can_lose)
		return drv->can_lose(node);
	f = egm_debugfs_open(node, "fail_upload/times", true);
	if (f)
		fclose(f);
	return f;
}

int egm_lose_uploads(const struct egm_node *node, unsigned int n,
		     char err[EGM_ERR])
{
	const struct egm_driver *drv = driver_of(node, err);
	const struct {
		const char *name;
		unsigned int value;
	} attr[] = {
		{ "probability", n ? 100 : 0 },
		{ "interval", 1 },
		{ "space", 0 },
		/* no message in the log, which would look like a defect */
		{ "verbose", 0 },
		{ "times", n },
	};
	int i;

	if (!drv)
		return -ENODEV;
	if (drv->lose)
		return drv->lose(node, n, err);
	for (i = 0; i < ARRAY_SIZE(attr); i++) {
		char file[64], text[16];
		int ret;

		snprintf(file, sizeof(file), "fail_upload/%s", attr[i].name);
		snprintf(text, sizeof(text), "%u\n", attr[i].value);
		ret = write_file(node, file, text, err);
		if (ret)
			return ret;
	}
	return 0;
}

unsigned int egm_disturbances(const struct egm_node *node)
{
	const struct egm_driver *drv = egm_driver_find(node->driver);
	unsigned int n = 0;

	while (drv && drv->disturbances && drv->disturbances[n].file)
		n++;
	return n;
}

int egm_disturb(const struct egm_node *node, unsigned int which,
		char err[EGM_ERR])
{
	const struct egm_driver *drv = egm_driver_find(node->driver);
	const struct egm_disturbance *d = &drv->disturbances[which];

	return write_file(node, d->file, d->text, err);
}
