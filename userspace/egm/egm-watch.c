// SPDX-License-Identifier: MIT
/*
 * egm watch: the tracked buffers of a device, the processes that map them and their cost
 * at the moment, from the kernel's debugfs files and /proc.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "client.h"
#include "pattern.h"


static const char help_watch[] =
"usage: egm watch [options]\n"
"\n"
"Shows the tracked buffers of a device, the busiest first, with rates per second and\n"
"the processes that map them. On a terminal the table stays in place until Ctrl-C,\n"
"elsewhere each follows the one before.\n"
"\n"
"  --device NODE    render node (default: the first of a driver with coherent buffers)\n"
"  --interval S     seconds between two tables (default 1)\n"
"  --count N        end after N tables\n"
"  --json           print an object for each table, one a line\n"
"  --help           this text\n"
"\n"
"Columns: buffer, its number in the kernel; open, chunks that the CPU can write to\n"
"without a fault; passes, scans by submissions, and idle, the share of them that found\n"
"no chunk open; faults; dirty, the dirty ones of the page-table entries scanned.\n"
"\n"
"Exit status: 0 done, 2 wrong usage, 77 cannot run here: this needs root and debugfs.\n";

/* ---- mappings of processes --------------------------------------------- */

struct mapping {
	uint64_t offset;
	int pid;
};

struct mappings {
	struct mapping *m;
	size_t n;
};

static void add_mappings(struct mappings *all, const struct egm_node *node, int pid)
{
	char path[64], line[512], primary[32];
	FILE *f;

	snprintf(primary, sizeof(primary), "/dev/dri/card%d", node->minor);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return;		/* it has ended */
	while (fgets(line, sizeof(line), f)) {
		char file[128];
		uint64_t offset;
		void *m;

		if (sscanf(line, "%*s %*s %" SCNx64 " %*s %*s %127s", &offset, file) != 2 ||
		    (strcmp(file, node->path) && strcmp(file, primary)))
			continue;
		m = realloc(all->m, (all->n + 1) * sizeof(*all->m));
		if (!m)
			break;
		all->m = m;
		all->m[all->n++] = (struct mapping){ offset, pid };
	}
	fclose(f);
}

static struct mappings find_mappings(const struct egm_node *node)
{
	struct mappings all = { 0 };
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			add_mappings(&all, node, atoi(entry->d_name));
	if (dir)
		closedir(dir);
	return all;
}

/* The processes that map part of a buffer, each once. */
static json_t *users(const struct mappings *all, uint64_t offset, uint64_t bytes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < all->n; i++) {
		const struct mapping *m = &all->m[i];
		json_t *last = json_array_get(list, json_array_size(list) - 1);
		char name[32];

		if (m->offset < offset || m->offset >= offset + bytes ||
		    (last && json_integer_value(json_object_get(last, "pid")) == m->pid))
			continue;
		process_name(m->pid, name, sizeof(name));
		json_array_append_new(list, json_pack("{s:i, s:s}", "pid", m->pid,
						      "command", name));
	}
	return list;
}

/* ---- a sample ------------------------------------------------------------ */

struct sample {
	double time;
	struct egm_table table;
	struct egm_counters total;
};

static void sample(const struct egm_node *node, struct sample *l)
{
	char err[EGM_ERR];

	memset(l, 0, sizeof(*l));
	l->time = now();
	if (egm_counters_read(node, &l->total, err) || egm_table_read(node, &l->table, err))
		cannot("%s", err);
}

static int row_of(const struct egm_table *t, uint64_t buffer)
{
	for (int i = 0; i < t->n_rows; i++)
		if (egm_table_get(t, i, "buffer") == buffer)
			return i;
	return -1;
}

struct line {
	int row;
	uint64_t passes, idle, faults, dirty, scanned;	/* since the last one */
};

static struct line line_of(const struct egm_table *old, const struct egm_table *new, int row)
{
	int before = row_of(old, egm_table_get(new, row, "buffer"));
	struct line line = { .row = row };
	const struct {
		const char *name;
		uint64_t *to;
	} column[] = {
		{ "passes", &line.passes }, { "idle", &line.idle }, { "faults", &line.faults },
		{ "harvested", &line.dirty }, { "scanned", &line.scanned },
	};

	for (int i = 0; i < LENGTH(column); i++) {
		*column[i].to += egm_table_get(new, row, column[i].name);
		if (before >= 0)
			*column[i].to -= egm_table_get(old, before, column[i].name);
	}
	return line;
}

static int busier(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->dirty != y->dirty)
		return x->dirty < y->dirty ? 1 : -1;
	if (x->passes != y->passes)
		return x->passes < y->passes ? 1 : -1;
	return x->row - y->row;
}

static uint64_t total_since(const struct sample *old, const struct sample *new, const char *name)
{
	return counted_since(&old->total, &new->total, name);
}

static void write_users(FILE *f, json_t *list)
{
	json_t *user;
	size_t i;

	json_array_foreach(list, i, user)
		fprintf(f, "%s%lld %s", i ? ", " : "",
			json_integer_value(json_object_get(user, "pid")),
			json_string_value(json_object_get(user, "command")));
	json_decref(list);
}

static void write_table(FILE *f, const struct egm_node *node, const struct sample *old,
			const struct sample *new, const struct mappings *all)
{
	double t = new->time - old->time;
	int n = new->table.n_rows;
	struct line *lines = calloc(n + 1, sizeof(*lines));
	uint64_t pages = 0;

	if (!lines)
		cannot("%s", strerror(ENOMEM));
	for (int i = 0; i < n; i++) {
		lines[i] = line_of(&old->table, &new->table, i);
		pages += egm_table_get(&new->table, i, "pages");
	}
	qsort(lines, n, sizeof(*lines), busier);

	fprintf(f, "%s (%s)  %d buffers, %.2f MiB  uploads %.0f/s, %.2f MiB/s in %.0f ranges\n",
		node->path, node->driver, n, pages * PAGE / MIB,
		total_since(old, new, "uploads") / t,
		total_since(old, new, "upload_bytes") / MIB / t,
		total_since(old, new, "upload_ranges") / t);
	fprintf(f, "passes %.0f/s, idle %.0f  faults %.0f/s  scanned %.0f/s  notifier %.0f/s  "
		"flushes %.0f/s\n\n",
		total_since(old, new, "passes") / t, total_since(old, new, "passes_idle") / t,
		total_since(old, new, "faults") / t, total_since(old, new, "ptes_scanned") / t,
		total_since(old, new, "notifier_ranges") / t,
		total_since(old, new, "tlb_flushes") / t);
	fprintf(f, "%7s %10s %6s %9s %5s %9s %9s %10s  %s\n", "buffer", "KiB", "open", "passes/s",
		"idle", "faults/s", "dirty/s", "scanned/s", "mapped by");
	for (int i = 0; i < n; i++) {
		const struct line *l = &lines[i];
		uint64_t bytes = PAGE * egm_table_get(&new->table, l->row, "pages");

		fprintf(f, "%7" PRIu64 " %10" PRIu64 " %6" PRIu64
			" %9.1f %4.0f%% %9.1f %9.1f %10.1f  ",
			egm_table_get(&new->table, l->row, "buffer"), bytes >> 10,
			egm_table_get(&new->table, l->row, "open"), l->passes / t,
			l->passes ? 100.0 * l->idle / l->passes : 0, l->faults / t,
			l->dirty / t, l->scanned / t);
		write_users(f, users(all, egm_table_get(&new->table, l->row, "offset"), bytes));
		fputc('\n', f);
	}
	free(lines);
}

/* On a terminal what has room, in place of the table before */
static void show(const struct egm_node *node, const struct sample *old, const struct sample *new,
		 const struct mappings *all)
{
	struct winsize w = { 0 };
	char *text = NULL, *next_line;
	size_t size;
	FILE *f;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || !w.ws_row || !w.ws_col) {
		write_table(stdout, node, old, new, all);
		fflush(stdout);
		return;
	}
	f = open_memstream(&text, &size);
	if (!f)
		cannot("%s", strerror(errno));
	write_table(f, node, old, new, all);
	if (fclose(f))
		cannot("%s", strerror(errno));
	fputs("\033[H\033[J", stdout);
	for (char *line = text; *line && --w.ws_row; line = next_line) {
		int length = strcspn(line, "\n");

		next_line = line + length + 1;
		printf("%.*s\n", length < w.ws_col ? length : w.ws_col, line);
	}
	fflush(stdout);
	free(text);
}

static void show_json(const struct egm_node *node, const struct sample *old,
		      const struct sample *new, const struct mappings *all)
{
	json_t *buffers = json_array();

	for (int i = 0; i < new->table.n_rows; i++) {
		json_t *buffer = json_object();
		uint64_t offset = egm_table_get(&new->table, i, "offset");

		for (int k = 0; k < new->table.n_columns; k++)
			json_object_set_new(buffer, new->table.column[k],
					    json_integer(new->table.row[i][k]));
		json_object_set_new(buffer, "mapped_by",
				    users(all, offset, PAGE *
					  egm_table_get(&new->table, i, "pages")));
		json_array_append_new(buffers, buffer);
	}
	print_json(json_pack("{s:s, s:s, s:f, s:o, s:o}", "node", node->path, "driver",
			     node->driver, "seconds", new->time - old->time,
			     "totals", counters_json(&new->total), "buffers", buffers), true);
}

static int run_watch(int argc, char **argv)
{
	static const struct option longs[] = {
		DEVICE_OPTION,
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'n' },
		JSON_OPTION, HELP_OPTION, { 0 }
	};
	uint64_t n = 0, max = UINT64_MAX;
	double interval = 1;
	struct egm_node node;
	struct sample old, new;
	int c;

	while ((c = next(argc, argv, longs)) != -1) {
		switch (c) {
		case 'i':
			interval = seconds("--interval", optarg, 0.05, 86400);
			break;
		case 'n':
			max = number("--count", optarg, 1, INT64_MAX);
			break;
		}
	}
	no_arguments(argc, argv);

	node = find_node();
	catch_stop();
	sample(&node, &old);
	while (n < max && !stopped && !ferror(stdout)) {
		struct mappings all;

		poll(NULL, 0, interval * 1000);
		if (stopped)
			break;
		sample(&node, &new);
		all = find_mappings(&node);
		if (common.json)
			show_json(&node, &old, &new, &all);
		else
			show(&node, &old, &new, &all);
		free(all.m);
		egm_table_free(&old.table);
		old = new;
		n++;
	}
	egm_table_free(&old.table);
	return 0;
}

const struct command command_watch = {
	.name = "watch", .summary = "a live table of the tracked buffers, like top",
	.run = run_watch, .help = help_watch,
};
