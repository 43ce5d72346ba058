// SPDX-License-Identifier: MIT
/*
 * egm bench: what a submission costs, for ways of writing to a buffer.
 *
 * Each submission lists the buffer and has no commands for the device, so that
 * what is timed is the CPU's stores with their faults, and the ioctl with the
 * kernel's pass and its queueing of uploads. The device's own time is the wait,
 * which is timed apart. In some the device copies to the buffer, and the CPU then
 * loads what it has written, which has it read back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <pattern.h>

#include "client.h"

#define LINE 64

/* Submissions before the timed ones, of the same kind: chunks open, or close after 20 */
#define SETTLE 24

static const char help_bench[] =
"usage: egm bench [options]\n"
"\n"
"Times submissions of one coherent buffer, and counts what they cost the kernel, for\n"
"ways of writing to it between two submissions:\n"
"\n"
"  idle     nothing\n"
"  page     a line of 64 bytes in the same page\n"
"  sparse   a line in each of 0.1 % of the pages, others each time\n"
"  tenth    the same with 10 % of the pages\n"
"  ring     all of the next 16th of the buffer\n"
"  dense    all of the buffer\n"
"  back     nothing; the device writes, and the CPU reads, all of the buffer\n"
"  both     CPU and device a line each in 10 % of the pages, the same ones; the CPU\n"
"           reads both\n"
"  twin     no device: copy those pages, and compare them twice. A kernel that does not\n"
"           keep the CPU and the device apart in time would have to\n"
"\n"
"  --device NODE       render node (default: the first with coherent buffers)\n"
"  --pattern NAME      only this one (may be given again; default: all)\n"
"  --size SIZE         of the buffer, such as 64K or 256M (default 64M, at most 1024M)\n"
"  --submissions N     timed ones for each pattern (default 100)\n"
"  --json              print an object for each pattern, one a line\n"
"  --help              this text\n"
"\n"
"Times are medians in microseconds, p99 is the 99th percentile of submit; counts are\n"
"means for a submission, exact in JSON, and need root and debugfs.\n"
"\n"
"Exit status: 0 done, 1 a submission failed, 2 wrong usage, 77 cannot run here.\n";

struct pattern_kind {
	const char *name;
	double share;		/* of the pages, written in lines; 0: one page */
	unsigned int part;	/* one in this many of the buffer, written in full */
	bool writes;
	bool device;		/* the device writes as well */
	bool twin;		/* without a device */
};

static const struct pattern_kind kinds[] = {
	{ .name = "idle" },
	{ .name = "page", .writes = true },
	{ .name = "sparse", .writes = true, .share = 0.001 },
	{ .name = "tenth", .writes = true, .share = 0.1 },
	{ .name = "ring", .writes = true, .part = 16 },
	{ .name = "dense", .writes = true, .part = 1 },
	{ .name = "back", .device = true },
	{ .name = "both", .writes = true, .share = 0.1, .device = true },
	{ .name = "twin", .writes = true, .share = 0.1, .twin = true },
};

enum step { WRITE, SUBMIT, WAIT, READ, NUM_STEPS };

static const char *const step_name[NUM_STEPS] = {
	"write_us", "submit_us", "wait_us", "read_us"
};

/* A buffer, what the device copies to it, and what it is compared with */
struct bench {
	struct egm_bo *bo, *src;
	struct egm_copy *copies;
	char *twin;
	uint64_t *page, n;	/* the pages of this turn */
	uint64_t sum;		/* of what was loaded: that can't be left out */
};

/* Returns the number of pages written. */
static uint64_t write_pattern(const struct pattern_kind *kind, struct bench *b, uint32_t turn,
			      struct rng *rng)
{
	struct egm_bo *bo = b->bo;
	const uint64_t pages = bo->size / PAGE;
	uint64_t n, first, i;

	b->n = 0;
	if (!kind->writes)
		return 0;
	if (kind->part) {
		n = (pages + kind->part - 1) / kind->part;
		first = turn * n % pages;
		n = n < pages - first ? n : pages - first;
		memset((char *)bo->map + first * PAGE, turn + 1, n * PAGE);
		return n;
	}
	if (!kind->share) {
		memset((char *)bo->map + turn % 64 * LINE, turn + 1, LINE);
		return 1;
	}
	n = pages * kind->share;
	n = n ? n : 1;
	/* somewhere in each Nth of the buffer, so no page twice */
	for (i = 0; i < n; i++) {
		uint64_t page = i * (pages / n) + rng_below(rng, pages / n);
		char *map = (char *)bo->map + page * PAGE;

		if (kind->twin)
			memcpy(b->twin + page * PAGE, map, PAGE);
		memset(map + turn % 64 * LINE, turn + 1, LINE);
		b->page[b->n++] = page;
	}
	return n;
}

/* Another line of each of these pages, or all of the buffer */
static int device_copies(struct bench *b, uint32_t turn)
{
	uint64_t i;

	for (i = 0; i < b->n; i++) {
		uint64_t off = b->page[i] * PAGE + (turn + 32) % 64 * LINE;

		b->copies[i] = (struct egm_copy){
			.dst = b->bo, .dst_off = off, .src = b->src, .src_off = off,
			.len = LINE,
		};
	}
	if (b->n)
		return b->n;
	b->copies[0] = (struct egm_copy){ .dst = b->bo, .src = b->src, .len = b->bo->size };
	return 1;
}

static uint64_t load(const struct bench *b, uint32_t turn)
{
	const volatile uint64_t *map = b->bo->map;
	const uint64_t pages = b->bo->size / PAGE;
	uint64_t i, sum = 0;

	for (i = 0; i < b->n; i++)
		sum += map[b->page[i] * PAGE / 8 + (turn + 32) % 64 * LINE / 8] +
		       map[b->page[i] * PAGE / 8 + turn % 64 * LINE / 8];
	for (i = 0; !b->n && i < pages; i++)
		sum += map[i * PAGE / 8];
	return sum;
}

/* The bytes of a page that differ: once for what to send, once for what to keep */
static uint64_t compare(const struct bench *b)
{
	uint64_t i, word, differ = 0;

	for (i = 0; i < b->n; i++) {
		const uint64_t *page = (uint64_t *)((char *)b->bo->map + b->page[i] * PAGE);
		uint64_t *twin = (uint64_t *)(b->twin + b->page[i] * PAGE);

		for (word = 0; word < PAGE / 8; word++) {
			if (page[word] == twin[word])
				continue;
			twin[word] = page[word];
			differ++;
		}
	}
	return differ;
}

struct result {
	uint64_t pages;
	struct counted before, after;
	struct spread us[NUM_STEPS];
};

static int once(const struct pattern_kind *kind, struct bench *b, uint32_t turn,
		struct rng *rng, uint64_t *pages, double us[NUM_STEPS])
{
	double t[NUM_STEPS + 1];
	int n, ret = 0;

	t[0] = now();
	*pages += write_pattern(kind, b, turn, rng);
	t[1] = now();
	if (kind->twin) {
		b->sum += compare(b);
	} else if (kind->device) {
		n = device_copies(b, turn);
		t[1] = now();
		ret = egm_submit(b->bo->dev, b->copies, n, NULL, 0);
		*pages += b->n ? 0 : b->bo->size / PAGE;
	} else {
		ret = egm_touch(b->bo);
	}
	t[2] = now();
	if (!ret && !kind->twin)
		ret = egm_wait(b->bo);
	t[3] = now();
	if (!ret && kind->device)
		b->sum += load(b, turn);
	if (kind->twin)
		b->sum += compare(b);
	t[4] = now();
	for (int i = 0; i < NUM_STEPS; i++)
		us[i] = (t[i + 1] - t[i]) * 1e6;
	return ret;
}

static int measure(struct egm_dev *dev, const struct pattern_kind *kind, uint64_t bytes,
		   uint32_t submissions, struct result *r)
{
	double *us[NUM_STEPS], one[NUM_STEPS];
	struct rng rng = rng_seeded(1, 0);	/* each run writes the same */
	struct bench b = {
		.copies = calloc(bytes / PAGE, sizeof(*b.copies)),
		.page = calloc(bytes / PAGE, sizeof(*b.page)),
		.twin = kind->twin ? malloc(bytes) : NULL,
	};
	uint64_t settle = 0;
	uint32_t i;
	int k, ret;

	memset(r, 0, sizeof(*r));
	if (!b.copies || !b.page || (kind->twin && !b.twin))
		cannot("%s", strerror(ENOMEM));
	ret = egm_bo_create(dev, bytes, true, &b.bo);
	if (!ret && kind->device)
		ret = egm_bo_create(dev, bytes, true, &b.src);
	if (ret)
		cannot("a buffer of %.2f MiB: %s", bytes / MIB, strerror(-ret));
	for (k = 0; k < NUM_STEPS; k++) {
		us[k] = calloc(submissions, sizeof(**us));
		if (!us[k])
			cannot("%s", strerror(ENOMEM));
	}
	/* memory and page tables are there before it starts */
	memset(b.bo->map, 1, bytes);
	if (b.src)
		memset(b.src->map, 2, bytes);
	if (b.twin)
		memset(b.twin, 1, bytes);
	for (i = 0; i < SETTLE && !ret; i++)
		ret = once(kind, &b, i, &rng, &settle, one);
	count(&dev->node, &r->before);
	for (i = 0; i < submissions && !ret; i++) {
		ret = once(kind, &b, SETTLE + i, &rng, &r->pages, one);
		for (k = 0; k < NUM_STEPS; k++)
			us[k][i] = one[k];
	}
	count(&dev->node, &r->after);
	for (k = 0; k < NUM_STEPS; k++) {
		r->us[k] = spread_of(us[k], submissions);
		free(us[k]);
	}
	if (b.src)
		egm_bo_destroy(b.src);
	egm_bo_destroy(b.bo);
	free(b.copies);
	free(b.page);
	free(b.twin);
	return ret;
}

static json_t *result_json(const struct egm_dev *dev, const struct pattern_kind *kind,
			   uint64_t bytes, uint32_t submissions, const struct result *r)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:i, s:I, s:o}",
				 "node", dev->node.path, "driver", dev->drv->name,
				 "pattern", kind->name, "size", (json_int_t)bytes,
				 "submissions", (int)submissions,
				 "pages_written", (json_int_t)r->pages,
				 "counters", counted_json(&r->before, &r->after));

	for (int k = 0; k < NUM_STEPS; k++)
		json_object_set_new(json, step_name[k],
				    json_pack("{s:f, s:f, s:f}", "median", r->us[k].median,
					      "mean", r->us[k].mean, "p99", r->us[k].p99));
	return json;
}

static const struct {
	const char *counter, *title;
	double unit;
	bool pages;		/* it counts pages, unit is of their bytes */
} shown[] = {
	{ "faults", "faults", 1, false }, { "ptes_scanned", "scanned", 1, false },
	{ "notifier_ranges", "notifier", 1, false }, { "tlb_flushes", "flushes", 1, false },
	{ "upload_ranges", "ranges", 1, false }, { "upload_bytes", "KiB up", 1024, false },
	{ "pages_read_back", "KiB back", 1024, true },
};

static void title(void)
{
	printf("%-7s %7s %8s %9s %8s %8s %8s", "pattern", "pages", "write us", "submit us", "p99",
	       "wait us", "read us");
	for (int i = 0; i < LENGTH(shown); i++)
		printf(" %8s", shown[i].title);
	putchar('\n');
}

static void row(const struct pattern_kind *kind, uint32_t submissions, const struct result *r)
{
	printf("%-7s %7.1f %8.1f %9.1f %8.1f %8.1f %8.1f", kind->name,
	       (double)r->pages / submissions, r->us[WRITE].median, r->us[SUBMIT].median,
	       r->us[SUBMIT].p99, r->us[WAIT].median, r->us[READ].median);
	for (int i = 0; i < LENGTH(shown); i++) {
		if (r->before.known && r->after.known)
			printf(" %8.1f", counted_since(&r->before.c, &r->after.c, shown[i].counter) *
			       (shown[i].pages ? PAGE : 1) / shown[i].unit / submissions);
		else
			printf(" %8s", "-");
	}
	putchar('\n');
	fflush(stdout);
}

static int run_bench(int argc, char **argv)
{
	static const struct option longs[] = {
		DEVICE_OPTION,
		{ "pattern", required_argument, NULL, 'p' },
		{ "size", required_argument, NULL, 'z' },
		{ "submissions", required_argument, NULL, 'n' },
		JSON_OPTION, HELP_OPTION, { 0 }
	};
	uint64_t bytes = 64 << 20;
	uint32_t submissions = 100;
	unsigned int wanted = 0;
	struct egm_dev *dev;
	struct result r;
	int c, i, ret = 0;

	while ((c = next(argc, argv, longs)) != -1) {
		switch (c) {
		case 'p':
			for (i = 0; i < LENGTH(kinds) && strcmp(optarg, kinds[i].name); i++)
				;
			if (i == LENGTH(kinds))
				usage("unknown pattern \"%s\"", optarg);
			wanted |= 1 << i;
			break;
		case 'z':
			bytes = size("--size", optarg, PAGE, 1 << 30) & ~(PAGE - 1);
			break;
		case 'n':
			submissions = number("--submissions", optarg, 1, 1000000);
			break;
		}
	}
	no_arguments(argc, argv);

	dev = open_device();
	if (!common.json) {
		printf("%s (%s), a buffer of %.2f MiB, %u submissions each\n", dev->node.path,
		       dev->drv->name, bytes / MIB, submissions);
		title();
	}
	for (i = 0; i < LENGTH(kinds) && !ret; i++) {
		if (wanted && !(wanted & 1 << i))
			continue;
		ret = measure(dev, &kinds[i], bytes, submissions, &r);
		if (ret)
			fprintf(stderr, "egm bench: submission: %s\n", strerror(-ret));
		else if (common.json)
			print_json(result_json(dev, &kinds[i], bytes, submissions, &r), true);
		else
			row(&kinds[i], submissions, &r);
	}
	if (!common.json && !ret && !r.before.known)
		printf("no counts: %s\n", r.before.why);
	egm_close(dev);
	return ret ? EXIT_FAILED : 0;
}

const struct command command_bench = {
	.name = "bench", .summary = "what a submission costs, for ways of writing",
	.run = run_bench, .help = help_bench,
};
