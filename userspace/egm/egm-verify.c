// SPDX-License-Identifier: MIT
/*
 * egm verify: checked random writes.
 *
 * A round is: writer threads store to the buffers, through mappings of every
 * kind, while the main thread keeps submitting the same buffers, so that the
 * kernel opens and closes chunks under them; then, all writers at rest, one
 * more submission copies each buffer, and what the device has is compared with
 * all that was ever stored. A writer owns every Nth line of 64 bytes, so that
 * all of them share all pages and none a word.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include <pattern.h>

#include "client.h"

#define WORD 8
#define LINE 64
#define MAX_BUFFERS 64
#define MAX_THREADS 64

static const char help_verify[] =
"usage: egm verify [options]\n"
"\n"
"Soaks a device: threads store random words to coherent buffers while submissions\n"
"that use them go on; after each round every word ever stored is compared with the\n"
"device copy. Stops at the first round with a wrong word, and names it.\n"
"\n"
"  --device NODE   render node (default: the first with coherent buffers)\n"
"  --seconds S     how long (default 10; 0: until Ctrl-C)\n"
"  --rounds N      end after N rounds, however long they take\n"
"  --seed N        do the same writes again (default: a new one, printed)\n"
"  --buffers N     number of buffers (default 4, at most 64)\n"
"  --size SIZE     of each, such as 64K or 16M (default 4M, at most 1024M)\n"
"  --threads N     writers (default 2, at most 64)\n"
"  --disturb       make the driver evict, move and swap out buffers meanwhile (root;\n"
"                  vmob only)\n"
"  --lose N        make the device lose N uploads in the second round, by the kernel's\n"
"                  fault injection: the test has to fail (root, debug kernel)\n"
"  --json          print an object with the result\n"
"  --help          this text\n"
"\n"
"Exit status: 0 nothing lost, 1 a word is wrong or a submission failed, 2 wrong usage,\n"
"77 cannot run here.\n";

/* The ways to a buffer's memory */
enum { MAP_MAIN, MAP_SECOND, MAP_DMABUF, MAP_SHORT, NUM_MAPS };

static const char *const map_name[NUM_MAPS] = { "mmap", "second mmap", "dma-buf", "short-lived" };

struct buffer {
	struct egm_bo *bo, *snap;
	struct pattern *pattern;
	void *map[MAP_SHORT];		/* NULL: not to be had */
};

struct writer {
	pthread_t thread;
	unsigned int id;
	struct rng rng;
	uint64_t words, map_writes[NUM_MAPS];
	const char *problem;
};

static struct soak {
	struct buffer buffer[MAX_BUFFERS];
	struct writer writer[MAX_THREADS];
	unsigned int n_buffers, n_threads;
	uint64_t size;
	pthread_barrier_t barrier;
	atomic_uint busy;		/* writers that are not done with the round */
	atomic_bool end;
	uint64_t submissions, compared, disturbances;
	const struct egm_node *disturbed;	/* NULL: not to be */
	pthread_t disturber;
	char problem[EGM_ERR + 32];
} soak;

/* ---- the writers ------------------------------------------------------- */

/* This writer's Nth line of a page */
static uint64_t own_line(const struct writer *w, uint64_t page, unsigned int n)
{
	return page * PAGE + (uint64_t)LINE * (w->id + n * soak.n_threads);
}

static unsigned int own_lines(const struct writer *w)
{
	const unsigned int all = PAGE / LINE;

	return (all - w->id + soak.n_threads - 1) / soak.n_threads;
}

static void store(struct writer *w, struct buffer *b, void *map, uint64_t off, uint64_t len)
{
	pattern_fill(b->pattern, map, off, len);
	w->words += len / WORD;
}

/* Some bytes of a word that was written before */
static void store_bytes(struct writer *w, struct buffer *b, void *map, uint64_t off)
{
	unsigned int first = rng_below(&w->rng, WORD);

	if (!b->pattern->want[off / WORD])
		store(w, b, map, off, WORD);
	pattern_poke(b->pattern, map, off + first, 1 + rng_below(&w->rng, WORD - first));
	w->words++;
}

static void write_some(struct writer *w, struct buffer *b, void *map)
{
	uint64_t pages = soak.size / PAGE, page = rng_below(&w->rng, pages);
	unsigned int lines = own_lines(w), kind = rng_below(&w->rng, 16), i;
	uint64_t off = own_line(w, page, rng_below(&w->rng, lines)) +
		       WORD * rng_below(&w->rng, LINE / WORD);
	uint64_t run, p;

	switch (kind) {
	case 0 ... 6:	/* a word somewhere */
		store(w, b, map, off, WORD);
		break;
	case 7 ... 9:	/* less than a word */
		store_bytes(w, b, map, off);
		break;
	case 10 ... 12:	/* a page */
		for (i = 0; i < lines; i++)
			store(w, b, map, own_line(w, page, i), LINE);
		break;
	case 13 ... 14:	/* a word in each page of a run */
		run = 1 + rng_below(&w->rng, 256);
		for (p = page; p < pages && p < page + run; p++)
			store(w, b, map, p * PAGE + off % PAGE, WORD);
		break;
	default:	/* a stream, long enough for chunks to be opened ahead */
		run = 1 + rng_below(&w->rng, 512);
		for (p = page; p < pages && p < page + run; p++)
			for (i = 0; i < lines; i++)
				store(w, b, map, own_line(w, p, i), LINE);
	}
}

static void write_through(struct writer *w, struct buffer *b)
{
	static const int choice[] = {
		MAP_MAIN, MAP_MAIN, MAP_MAIN, MAP_MAIN, MAP_MAIN, MAP_SECOND, MAP_DMABUF, MAP_SHORT
	};
	int kind = choice[rng_below(&w->rng, LENGTH(choice))];
	void *map;

	if (kind == MAP_SHORT) {
		map = egm_bo_mmap(b->bo, PROT_READ | PROT_WRITE, MAP_SHARED, soak.size);
		if (map == MAP_FAILED) {
			w->problem = strerror(errno);
			return;
		}
	} else {
		map = b->map[kind] ? b->map[kind] : b->map[MAP_MAIN];
	}
	w->map_writes[kind]++;
	write_some(w, b, map);
	if (kind == MAP_SHORT)
		munmap(map, soak.size);
}

static void *write_rounds(void *arg)
{
	struct writer *w = arg;

	for (;;) {
		unsigned int n;

		pthread_barrier_wait(&soak.barrier);
		if (soak.end)
			return NULL;
		/* now and then nothing, for chunks to become quiet */
		n = rng_below(&w->rng, 4) ? 1 + rng_below(&w->rng, 48) : 0;
		while (n-- && !w->problem)
			write_through(w, &soak.buffer[rng_below(&w->rng, soak.n_buffers)]);
		atomic_fetch_sub(&soak.busy, 1);
		pthread_barrier_wait(&soak.barrier);
	}
}

static void *disturb(void *arg)
{
	const unsigned int kinds = egm_disturbances(soak.disturbed);
	struct rng rng = rng_seeded(*(uint64_t *)arg, MAX_THREADS + 1);
	char err[EGM_ERR];

	while (!soak.end) {
		/* no room to move to is a result as any other */
		egm_disturb(soak.disturbed, rng_below(&rng, kinds), err);
		soak.disturbances++;
		usleep(rng_below(&rng, 20000));
	}
	return NULL;
}

/* ---- a round ----------------------------------------------------------- */

static bool submitted(int ret)
{
	soak.submissions++;
	if (!ret)
		return true;
	snprintf(soak.problem, sizeof(soak.problem), "submission: %s", strerror(-ret));
	return false;
}

/* Lets the writers write; unless @quiet, submissions go on meanwhile. */
static bool write_round(struct rng *rng, bool quiet)
{
	bool ok = true;

	atomic_store(&soak.busy, soak.n_threads);
	pthread_barrier_wait(&soak.barrier);
	while (ok && !quiet && atomic_load(&soak.busy)) {
		struct buffer *b = &soak.buffer[rng_below(rng, soak.n_buffers)];

		ok = submitted(egm_touch(b->bo));
	}
	pthread_barrier_wait(&soak.barrier);
	for (unsigned int i = 0; i < soak.n_threads; i++) {
		if (!soak.writer[i].problem)
			continue;
		snprintf(soak.problem, sizeof(soak.problem), "mmap: %s", soak.writer[i].problem);
		ok = false;
	}
	return ok;
}

static bool snapshots(void)
{
	for (unsigned int i = 0; i < soak.n_buffers; i++)
		if (!submitted(egm_snapshot(soak.buffer[i].bo, soak.buffer[i].snap)))
			return false;
	return true;
}

/* Adds what is wrong to @wrong; returns the number of wrong bytes. */
static uint64_t compare(json_t *wrong)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < soak.n_buffers; i++) {
		struct buffer *b = &soak.buffer[i];
		struct pattern_diff diff;
		int ret = egm_fetch(b->snap, soak.size);

		if (ret) {
			snprintf(soak.problem, sizeof(soak.problem), "reading back: %s",
				 strerror(-ret));
			return bytes;
		}
		soak.compared += soak.size;
		if (pattern_compare(b->pattern, b->snap->map, 0, soak.size, &diff))
			continue;
		bytes += diff.bytes;
		for (int k = 0; k < diff.n_ranges; k++) {
			char text[256];

			pattern_describe(b->pattern, b->snap->map, 0, &diff, k, text, sizeof(text));
			json_array_append_new(wrong, json_pack("{s:i, s:I, s:I, s:s}",
				"buffer", i, "start", (json_int_t)diff.range[k].start,
				"end", (json_int_t)diff.range[k].end, "text", text));
		}
	}
	return bytes;
}

/* ---- set up ------------------------------------------------------------ */

static void create_buffers(struct egm_dev *dev, uint64_t seed)
{
	for (unsigned int i = 0; i < soak.n_buffers; i++) {
		struct buffer *b = &soak.buffer[i];
		int ret, dmabuf;
		void *map;

		ret = egm_bo_create(dev, soak.size, true, &b->bo);
		if (!ret)
			ret = egm_bo_create(dev, soak.size, false, &b->snap);
		if (ret)
			cannot("a buffer of %.2f MiB: %s", soak.size / MIB, strerror(-ret));
		b->pattern = pattern_create(soak.size, seed ^ (i + 1));
		map = egm_bo_mmap(b->bo, PROT_READ | PROT_WRITE, MAP_SHARED, soak.size);
		if (!b->pattern || map == MAP_FAILED)
			cannot("mapping a buffer: %s", strerror(errno));
		b->map[MAP_MAIN] = b->bo->map;
		b->map[MAP_SECOND] = map;

		dmabuf = egm_bo_export(b->bo);
		if (dmabuf < 0)
			continue;
		map = mmap(NULL, soak.size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
		b->map[MAP_DMABUF] = map == MAP_FAILED ? NULL : map;
		close(dmabuf);
	}
}

static void destroy_buffers(void)
{
	for (unsigned int i = 0; i < soak.n_buffers; i++) {
		munmap(soak.buffer[i].map[MAP_SECOND], soak.size);
		if (soak.buffer[i].map[MAP_DMABUF])
			munmap(soak.buffer[i].map[MAP_DMABUF], soak.size);
		pattern_free(soak.buffer[i].pattern);
	}
}

static void start_threads(uint64_t *seed)
{
	if (soak.disturbed && pthread_create(&soak.disturber, NULL, disturb, seed))
		cannot("no thread to disturb");
	pthread_barrier_init(&soak.barrier, NULL, soak.n_threads + 1);
	for (unsigned int i = 0; i < soak.n_threads; i++) {
		struct writer *w = &soak.writer[i];

		w->id = i;
		w->rng = rng_seeded(*seed, i + 1);
		if (pthread_create(&w->thread, NULL, write_rounds, w))
			cannot("no thread for a writer");
	}
}

static void end_threads(void)
{
	soak.end = true;
	pthread_barrier_wait(&soak.barrier);
	for (unsigned int i = 0; i < soak.n_threads; i++)
		pthread_join(soak.writer[i].thread, NULL);
	if (soak.disturbed)
		pthread_join(soak.disturber, NULL);
}

static uint64_t stored(void)
{
	uint64_t words = 0;

	for (unsigned int i = 0; i < soak.n_threads; i++)
		words += soak.writer[i].words;
	return words;
}

static void progress(double passed, uint64_t rounds, bool last)
{
	static double next;
	const bool terminal = isatty(STDERR_FILENO);

	if (last) {
		if (terminal && next)
			fputs("\r\033[K", stderr);
		return;
	}
	if (passed < next)
		return;
	next = passed + (terminal ? 0.5 : 10);
	if (passed > 0.4)
		fprintf(stderr, "%s%.0f s, %" PRIu64 " rounds, %" PRIu64 " stores checked%s",
			terminal ? "\r" : "egm verify: ", passed, rounds, stored(),
			terminal ? "\033[K" : "\n");
}

/* ---- the result -------------------------------------------------------- */

struct result {
	uint64_t seed, rounds, wrong_bytes;
	double seconds;
	bool passed;
	json_t *wrong;
	struct counted before, after;
};

static void map_writes(char *text, size_t size)
{
	size_t at = 0;

	for (int k = 0; k < NUM_MAPS; k++) {
		uint64_t n = 0;

		for (unsigned int i = 0; i < soak.n_threads; i++)
			n += soak.writer[i].map_writes[k];
		if (k < MAP_SHORT && !soak.buffer[0].map[k])
			at += snprintf(text + at, size - at, "%sno %s", k ? ", " : "",
				       map_name[k]);
		else
			at += snprintf(text + at, size - at, "%s%s %" PRIu64, k ? ", " : "",
				       map_name[k], n);
	}
}

static void report(const struct result *r, const struct egm_node *node)
{
	json_t *range;
	char maps[128];
	size_t i;

	map_writes(maps, sizeof(maps));
	printf("writes        %s\n", maps);
	printf("rounds        %" PRIu64 " in %.1f s\n", r->rounds, r->seconds);
	printf("submissions   %" PRIu64 "\n", soak.submissions);
	if (soak.disturbed)
		printf("disturbed     %" PRIu64 " times\n", soak.disturbances);
	if (r->before.known && r->after.known)
		printf("kernel        %" PRIu64 " faults, %" PRIu64 " chunks opened, %" PRIu64
		       " closed, %.2f MiB uploaded\n",
		       counted_since(&r->before.c, &r->after.c, "faults"),
		       counted_since(&r->before.c, &r->after.c, "chunks_opened"),
		       counted_since(&r->before.c, &r->after.c, "chunks_closed"),
		       counted_since(&r->before.c, &r->after.c, "upload_bytes") / MIB);
	else
		printf("kernel        no counters: %s\n", r->before.known ? r->after.why :
		       r->before.why);
	json_array_foreach(r->wrong, i, range)
		printf("wrong         buffer %lld, %s\n",
		       json_integer_value(json_object_get(range, "buffer")),
		       json_string_value(json_object_get(range, "text")));
	printf("%-13s %" PRIu64 " stores checked", r->passed ? "ok" : "NOT OK", stored());
	if (soak.problem[0])
		printf(", %s", soak.problem);
	else if (!r->passed)
		printf(", %" PRIu64 " bytes are wrong in round %" PRIu64, r->wrong_bytes,
		       r->rounds);
	printf("\n");
	if (!r->passed)
		printf("again with    egm verify --device %s --seed 0x%" PRIx64
		       " --rounds %" PRIu64 " --buffers %u --size %" PRIu64 "K --threads %u\n",
		       node->path, r->seed, r->rounds, soak.n_buffers, soak.size >> 10,
		       soak.n_threads);
}

static void report_json(const struct result *r, const struct egm_dev *dev)
{
	char seed[32];

	/* 64 bits are too many for what reads JSON */
	snprintf(seed, sizeof(seed), "0x%" PRIx64, r->seed);
	print_json(json_pack("{s:s, s:s, s:s, s:i, s:I, s:i, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:s?, "
			     "s:O, s:o, s:b}",
			     "node", dev->node.path, "driver", dev->drv->name, "seed", seed,
			     "buffers", soak.n_buffers, "size", (json_int_t)soak.size,
			     "threads", soak.n_threads, "rounds", (json_int_t)r->rounds,
			     "seconds", r->seconds, "stores", (json_int_t)stored(),
			     "submissions", (json_int_t)soak.submissions,
			     "disturbances", (json_int_t)soak.disturbances,
			     "bytes_compared", (json_int_t)soak.compared,
			     "wrong_bytes", (json_int_t)r->wrong_bytes,
			     "problem", soak.problem[0] ? soak.problem : NULL,
			     "wrong", r->wrong,
			     "counters", counted_json(&r->before, &r->after),
			     "passed", r->passed), false);
}

static int run_verify(int argc, char **argv)
{
	static const struct option longs[] = {
		DEVICE_OPTION,
		{ "seconds", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 'e' },
		{ "buffers", required_argument, NULL, 'b' },
		{ "size", required_argument, NULL, 'z' },
		{ "threads", required_argument, NULL, 't' },
		{ "disturb", no_argument, NULL, 'i' },
		{ "lose", required_argument, NULL, 'l' },
		JSON_OPTION, HELP_OPTION, { 0 }
	};
	struct result r = { .passed = true, .wrong = json_array() };
	uint64_t rounds = UINT64_MAX;
	double limit = 10, start;
	unsigned int lose = 0;
	struct egm_dev *dev;
	char err[EGM_ERR];
	bool disturbing = false;
	struct rng rng;
	int c;

	soak.n_buffers = 4;
	soak.size = 4 << 20;
	soak.n_threads = 2;
	while ((c = next(argc, argv, longs)) != -1) {
		switch (c) {
		case 's':
			limit = seconds("--seconds", optarg, 0, 1e9);
			break;
		case 'r':
			rounds = number("--rounds", optarg, 1, INT64_MAX);
			break;
		case 'e':
			r.seed = number("--seed", optarg, 1, UINT64_MAX);
			break;
		case 'b':
			soak.n_buffers = number("--buffers", optarg, 1, MAX_BUFFERS);
			break;
		case 'z':
			soak.size = size("--size", optarg, PAGE, 1 << 30) & ~(PAGE - 1);
			break;
		case 't':
			soak.n_threads = number("--threads", optarg, 1, MAX_THREADS);
			break;
		case 'i':
			disturbing = true;
			break;
		case 'l':
			lose = number("--lose", optarg, 1, INT32_MAX);
			break;
		}
	}
	no_arguments(argc, argv);
	if (lose && rounds < 2)
		usage("--lose: it is in the second round, and --rounds is 1");
	if (rounds != UINT64_MAX)
		limit = 0;
	if (!r.seed)
		r.seed = seed_new();

	dev = open_device();
	if (lose && egm_lose_uploads(&dev->node, 0, err))
		cannot("--lose: %s", err);
	if (disturbing && !egm_disturbances(&dev->node))
		cannot("--disturb: %s has no way to move buffers", dev->drv->name);
	if (disturbing && egm_disturb(&dev->node, 0, err))
		cannot("--disturb: %s", err);
	soak.disturbed = disturbing ? &dev->node : NULL;
	count(&dev->node, &r.before);
	create_buffers(dev, r.seed);
	if (!common.json) {
		printf("device        %s (%s)\n", dev->node.path, dev->drv->name);
		printf("seed          0x%" PRIx64 "\n", r.seed);
		printf("buffers       %u of %.2f MiB, %u writers\n", soak.n_buffers,
		       soak.size / MIB, soak.n_threads);
		fflush(stdout);
	}
	catch_stop();
	start_threads(&r.seed);
	rng = rng_seeded(r.seed, 0);
	start = now();
	/* at least two, the one after the loss is that with it */
	while (r.passed && r.rounds < rounds &&
	       (r.rounds < (lose ? 2 : 1) || (!stopped && (!limit || now() - start < limit)))) {
		bool losing = lose && r.rounds == 1;

		/* what is lost in a submission without a check may be written again */
		r.passed = write_round(&rng, losing);
		if (losing && r.passed) {
			for (unsigned int i = 0; i < soak.n_buffers; i++)
				store(&soak.writer[0], &soak.buffer[i], soak.buffer[i].map[MAP_MAIN],
				      own_line(&soak.writer[0], 0, 0), WORD);
			if (egm_lose_uploads(&dev->node, lose, err)) {
				snprintf(soak.problem, sizeof(soak.problem), "--lose: %s", err);
				r.passed = false;
			}
		}
		if (r.passed && snapshots())
			r.wrong_bytes = compare(r.wrong);
		r.passed = !r.wrong_bytes && !soak.problem[0];
		if (losing)
			egm_lose_uploads(&dev->node, 0, err);
		r.rounds++;
		progress(now() - start, r.rounds, false);
	}
	progress(0, 0, true);
	r.seconds = now() - start;
	end_threads();
	count(&dev->node, &r.after);
	if (common.json)
		report_json(&r, dev);
	else
		report(&r, &dev->node);

	json_decref(r.wrong);
	destroy_buffers();
	egm_close(dev);
	return r.passed ? 0 : EXIT_FAILED;
}

const struct command command_verify = {
	.name = "verify", .summary = "soak a device with checked random writes",
	.run = run_verify, .help = help_verify,
};
