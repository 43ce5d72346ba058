// SPDX-License-Identifier: MIT
/*
 * Measures the cost of knowing which pages of a coherent buffer were written: with
 * ttm_bo_dirty, with mainline's tracker of vmwgfx, with each of its two methods
 * alone, and with an oracle that is told and does only what cannot be avoided.
 * All of them are over no tracking. /dev/vmob_compare selects the tracker of
 * vmob's buffers.
 *
 * The cost of a submission is what faults add to the stores before it, and
 * what the kernel does in it to find the dirty pages and put them into a list.
 * Both are this thread's CPU time, less what they take with no tracking.
 *
 * One long file: every part works on the setup, run and cell below.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <pthread.h>
#include <jansson.h>
#include <xf86drm.h>
#include <drm/vmob_drm.h>

#include <egm.h>
#include <pattern.h>

#include "cli.h"
#include "options.h"
#include "stores.h"
#include "../../mm-patches/compare/trackers.h"

#define DEVICE "/dev/vmob_compare"
#define PAGE_WORDS (PAGE / sizeof(uint64_t))
#define MAX_ROUNDS 15
#define LEAST_ROUNDS 5	/* with many buffers */
#define MAX_CELLS 256
#define MAX_BUFFERS 10000
#define MAX_VCPUS 8
#define DIRTY_BUFFERS 10
#define SMALLEST (64 << 10)
#define HUGE (2ull << 20)

static const char *const tracker_name[COMPARE_TRACKERS] = {
	[COMPARE_NONE] = "none", [COMPARE_MAINLINE] = "mainline",
	[COMPARE_PAGETABLE] = "pagetable", [COMPARE_MKWRITE] = "mkwrite",
	[COMPARE_OURS] = "ours", [COMPARE_ORACLE] = "oracle",
};

/* ---- what is measured ---------------------------------------------------- */

enum axis { SIZE, VMAS, BUFFERS, NOTIFIER, VCPUS, AXES };

static const char *const axis_name[AXES] = { "size", "vmas", "buffers", "notifier", "vcpus" };

struct setup {
	enum axis axis;
	uint64_t value;			/* on that axis */
	uint64_t size;			/* of each buffer */
	unsigned int buffers, vmas;
	unsigned int notifier_us;	/* that a notifier of this process takes */
	unsigned int vcpus;		/* that run this process; 0 for as it comes */
	unsigned int patterns;		/* bits */
	unsigned int rounds;
};

/* What a submission takes, as a mean. Times are in nanoseconds. */
struct run {
	double write, harvest, submit;
	double faults, entries, ranges, flushes, dirty, upload;
	double memory;			/* of all buffers */
	uint64_t wrong;			/* pages the device did not get, in all */
	double series[MAX_SERIES];	/* write and harvest of each, of PHASES */
};

struct cell {
	struct setup setup;
	enum pattern_kind pattern;
	unsigned int submissions;
	struct run run[MAX_ROUNDS][COMPARE_TRACKERS];
};

static struct cell cells[MAX_CELLS];
static unsigned int n_cells;
static unsigned int rounds = 3;
static uint64_t seed = 1;
static uint64_t max_size = 256 << 20;
static unsigned int only = AXES;	/* or all of them */
static bool forget;
static bool aligned;		/* mappings, to the size of a huge page */
static const char *out_dir;

static struct egm_dev *dev;
static int compare_fd;

/* ---- times and counters ------------------------------------------------ */

static struct compare_stats stats_now(void)
{
	struct compare_stats stats;

	if (ioctl(compare_fd, COMPARE_IOCTL_STATS, &stats))
		failed("%s: %s", DEVICE, strerror(errno));
	return stats;
}

/* Of ours and of the device, from debugfs. */
static struct egm_counters counters_now(void)
{
	struct egm_counters c;
	char err[EGM_ERR];

	if (egm_counters_read(&dev->node, &c, err))
		cannot("%s", err);
	return c;
}

static double counted(const struct egm_counters *from, const struct egm_counters *to,
		      const char *name)
{
	const uint64_t *a = egm_counter(from, name), *b = egm_counter(to, name);

	if (!a || !b)
		failed("debugfs has no counter %s", name);
	return *b - *a;
}

/* ---- which tracker ----------------------------------------------------- */

static void compare_open(void)
{
	compare_fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (compare_fd < 0)
		cannot("%s: %s (a kernel with CONFIG_VMOB_COMPARE has it)", DEVICE,
		       strerror(errno));
}

/* For the buffers that are created from now on */
static void compare_select(unsigned int tracker, unsigned int flags)
{
	const struct compare_select arg = { .tracker = tracker, .flags = flags };

	if (ioctl(compare_fd, COMPARE_IOCTL_SELECT, &arg))
		failed("%s: %s", DEVICE, strerror(errno));
}

/* ---- buffers ----------------------------------------------------------- */

struct buffer {
	uint32_t handle;
	uint64_t offset;	/* for mmap() */
	volatile uint64_t *map;	/* what is written through */
	uint64_t *want;		/* the first word of each page */
};

static struct buffer buffers[MAX_BUFFERS];
static uint32_t handles[MAX_BUFFERS];
static void **more_maps;

static void vmob(unsigned long request, void *arg, const char *what)
{
	if (drmIoctl(dev->fd, request, arg))
		cannot("%s: %s", what, strerror(errno));
}

static void submit(const struct setup *s, const struct drm_vmob_cmd *cmds, unsigned int n)
{
	struct drm_vmob_submit arg = {
		.bo_handles = (uintptr_t)handles, .bo_count = s->buffers,
		.cmds = (uintptr_t)cmds, .cmd_count = n,
	};

	vmob(DRM_IOCTL_VMOB_SUBMIT, &arg, "a submission");
}

static void wait_idle(void)
{
	struct drm_vmob_bo_wait arg = { .handle = handles[0], .timeout_ns = INT64_MAX };

	vmob(DRM_IOCTL_VMOB_BO_WAIT, &arg, "waiting");
}

static void *map_at(void *addr, uint64_t size, int prot, int flags, int fd, uint64_t offset)
{
	void *map = mmap(addr, size, prot, flags, fd, offset);

	if (map == MAP_FAILED)
		cannot("mmap of %.2f MiB: %s", size / MIB, strerror(errno));
	return map;
}

static volatile uint64_t *map_buffer(const struct buffer *b, uint64_t size)
{
	const int prot = PROT_READ | PROT_WRITE;
	uintptr_t room, at;

	if (!aligned)
		return map_at(NULL, size, prot, MAP_SHARED, dev->fd, b->offset);

	room = (uintptr_t)map_at(NULL, size + HUGE, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	at = (room + HUGE - 1) / HUGE * HUGE;
	map_at((void *)at, size, prot, MAP_SHARED | MAP_FIXED, dev->fd, b->offset);
	if (at > room)
		munmap((void *)room, at - room);
	if (room + HUGE > at)
		munmap((void *)(at + size), room + HUGE - at);
	if (madvise((void *)at, size, MADV_HUGEPAGE))
		cannot("no huge pages in this kernel: %s", strerror(errno));
	return (void *)at;
}

/* In the memory that the device has a table of, and mapped. */
static void create_buffers(const struct setup *s)
{
	for (unsigned int i = 0; i < s->buffers; i++) {
		struct drm_vmob_bo_create create = {
			.size = s->size, .flags = DRM_VMOB_BO_COHERENT,
			.domains = DRM_VMOB_DOMAIN_MOB,
		};
		struct drm_vmob_bo_info info = { 0 };

		vmob(DRM_IOCTL_VMOB_BO_CREATE, &create, "a buffer");
		info.handle = create.handle;
		vmob(DRM_IOCTL_VMOB_BO_INFO, &info, "a buffer");
		buffers[i].handle = handles[i] = create.handle;
		buffers[i].offset = info.mmap_offset;
		buffers[i].want = calloc(s->size / PAGE, sizeof(uint64_t));
		if (!buffers[i].want)
			cannot("%s", strerror(ENOMEM));
	}
	/* Mainline's loses what is written before a buffer has its place. */
	submit(s, NULL, 0);
	wait_idle();
	for (unsigned int i = 0; i < s->buffers; i++)
		buffers[i].map = map_buffer(&buffers[i], s->size);
}

static void destroy_buffers(const struct setup *s)
{
	for (unsigned int i = 0; more_maps && i < s->vmas - 1; i++)
		munmap(more_maps[i], s->size);
	free(more_maps);
	more_maps = NULL;
	for (unsigned int i = 0; i < s->buffers; i++) {
		if (buffers[i].map)
			munmap((void *)buffers[i].map, s->size);
		drmCloseBufferHandle(dev->fd, buffers[i].handle);
		free(buffers[i].want);
	}
}

static void read_all(const volatile uint64_t *map, uint64_t size)
{
	for (uint64_t at = 0; at < size / sizeof(uint64_t); at += PAGE_WORDS)
		(void)map[at];
}

/* All page-table entries are there, of all VMAs. */
static void populate(const struct setup *s)
{
	for (unsigned int i = 0; i < s->buffers; i++)
		read_all(buffers[i].map, s->size);
	if (s->vmas == 1)
		return;
	more_maps = calloc(s->vmas - 1, sizeof(*more_maps));
	if (!more_maps)
		cannot("%s", strerror(ENOMEM));
	for (unsigned int i = 0; i < s->vmas - 1; i++) {
		more_maps[i] = (void *)map_buffer(&buffers[0], s->size);
		read_all(more_maps[i], s->size);
	}
}

/* ---- one submission ---------------------------------------------------- */

/* How many buffers are written to, and the first, second ... of them */
static unsigned int n_written(const struct setup *s)
{
	return s->buffers < DIRTY_BUFFERS ? s->buffers : DIRTY_BUFFERS;
}

static unsigned int written(const struct setup *s, unsigned int i)
{
	return (uint64_t)i * s->buffers / n_written(s);
}

static void tell(const struct setup *s, const struct plan *p)
{
	const uint32_t skip = forget && p->n_ranges > 1;

	for (unsigned int i = 0; i < n_written(s); i++) {
		const struct compare_tell arg = {
			.addr = (uintptr_t)buffers[written(s, i)].map,
			.ranges = (uintptr_t)(p->range + skip), .nr = p->n_ranges - skip,
		};

		if (ioctl(compare_fd, COMPARE_IOCTL_TELL, &arg))
			failed("the oracle: %s", strerror(errno));
	}
}

/* Makes the stores and the submission; adds what it took to @r. */
static void once(const struct setup *s, const struct plan *p, unsigned int tracker,
		 uint64_t value, struct run *r)
{
	uint64_t faults = faults_now();
	struct compare_stats before, after;
	double t;

	t = cpu_ns();
	for (unsigned int b = 0; p->n && b < n_written(s); b++) {
		volatile uint64_t *map = buffers[written(s, b)].map;
		uint64_t *want = buffers[written(s, b)].want;

		for (uint32_t i = 0; i < p->n; i++) {
			uint32_t page = p->order[i];

			map[page * PAGE_WORDS] = value + page;
			want[page] = value + page;
		}
	}
	r->write += cpu_ns() - t;
	r->faults += faults_now() - faults;
	r->dirty += (double)p->n * n_written(s) * PAGE;

	if (tracker == COMPARE_ORACLE && p->n)
		tell(s, p);
	before = stats_now();
	t = cpu_ns();
	submit(s, NULL, 0);
	r->submit += cpu_ns() - t;
	after = stats_now();
	r->harvest += after.ns - before.ns;
	wait_idle();
}

static void add_counts(struct run *r, unsigned int tracker, const struct compare_stats *from,
		       const struct egm_counters *from_device)
{
	const struct compare_stats to = stats_now();
	const struct egm_counters c = counters_now();

	r->upload += counted(from_device, &c, "upload_bytes");
	if (tracker == COMPARE_OURS) {
		r->entries += counted(from_device, &c, "ptes_scanned");
		r->ranges += counted(from_device, &c, "notifier_ranges");
		r->flushes += counted(from_device, &c, "tlb_flushes");
	} else {
		r->entries += to.entries - from->entries;
		r->ranges += to.ranges - from->ranges;
		r->flushes += to.flushes - from->flushes;
	}
}

/* How many pages the device has not got: what it has is put where they are. */
static uint64_t wrong_pages(const struct setup *s)
{
	uint64_t wrong = 0;

	for (unsigned int b = 0; b < n_written(s); b++) {
		const struct buffer *buffer = &buffers[written(s, b)];
		const struct drm_vmob_cmd cmd = {
			.op = DRM_VMOB_CMD_READBACK, .dst = written(s, b), .size = s->size,
		};

		submit(s, &cmd, 1);
		wait_idle();
		for (uint64_t page = 0; page < s->size / PAGE; page++)
			wrong += buffer->map[page * PAGE_WORDS] != buffer->want[page];
	}
	return wrong;
}

/* ---- cells ------------------------------------------------------------- */

static void measure(const struct setup *s, enum pattern_kind pattern, unsigned int tracker,
		    struct plan *p, struct run *r)
{
	unsigned int settle, submissions;
	struct egm_counters from_device;
	struct compare_stats from = { 0 };

	memset(r, 0, sizeof(*r));
	how_many(s->size, pattern, &settle, &submissions);
	for (unsigned int i = 0; i < settle + submissions; i++) {
		uint64_t value = (uint64_t)(pattern * 1000 + i + 1) << 32;
		struct run before = *r;

		plan_make(p, pattern == PHASES ? phases[i % MAX_SERIES] : pattern, seed, i);
		if (i == settle) {
			memset(r, 0, sizeof(*r));
			before = *r;
			from_device = counters_now();
			from = stats_now();
		}
		once(s, p, tracker, value, r);
		r->series[i % MAX_SERIES] = r->write - before.write + r->harvest - before.harvest;
	}
	add_counts(r, tracker, &from, &from_device);
	r->memory = from.memory;
	if (tracker != COMPARE_NONE)
		r->wrong = wrong_pages(s);

	r->write /= submissions;
	r->harvest /= submissions;
	r->submit /= submissions;
	r->faults /= submissions;
	r->entries /= submissions;
	r->ranges /= submissions;
	r->flushes /= submissions;
	r->dirty /= submissions;
	r->upload /= submissions;
	/* With many buffers the times of their passes are not taken. */
	if (s->axis == BUFFERS)
		r->harvest = r->submit;
}

static void check(const struct setup *s, enum pattern_kind pattern, unsigned int tracker,
		  const struct run *r)
{
	if (!r->wrong)
		return;
	fprintf(stderr, "%s: %s, %s %llu, %s: the device did not get %llu pages\n", program,
		tracker_name[tracker], axis_name[s->axis], (unsigned long long)s->value,
		pattern_name[pattern], (unsigned long long)r->wrong);
	if (tracker == COMPARE_OURS || tracker == COMPARE_ORACLE)
		exit(EXIT_FAILED);
}

/* All patterns of one setup with one tracker, into the cells from @first on. */
static void run_tracker(const struct setup *s, unsigned int tracker, unsigned int round,
			struct cell *cell)
{
	struct plan p = plan_new(s->size / PAGE);

	compare_select(tracker, s->axis == BUFFERS ? COMPARE_UNTIMED : 0);
	create_buffers(s);
	for (unsigned int pattern = 0; pattern < PATTERNS; pattern++) {
		if (pattern == IDLE)
			populate(s);
		if (!(s->patterns & 1 << pattern))
			continue;
		measure(s, pattern, tracker, &p, &cell->run[round][tracker]);
		check(s, pattern, tracker, &cell->run[round][tracker]);
		cell++;
	}
	destroy_buffers(s);
	plan_free(&p);
}

/* ---- results ----------------------------------------------------------- */

/* Over no tracking, in the same round. */
static double cost(const struct cell *c, unsigned int round, unsigned int tracker)
{
	const struct run *r = &c->run[round][tracker], *none = &c->run[round][COMPARE_NONE];

	return r->write - none->write + r->harvest - none->harvest;
}

static struct spread cost_spread(const struct cell *c, unsigned int tracker)
{
	double v[MAX_ROUNDS];

	for (unsigned int i = 0; i < c->setup.rounds; i++)
		v[i] = cost(c, i, tracker);
	return spread_of(v, c->setup.rounds);
}

static struct spread ratio_spread(const struct cell *c, unsigned int a, unsigned int b)
{
	double v[MAX_ROUNDS];

	for (unsigned int i = 0; i < c->setup.rounds; i++)
		v[i] = cost(c, i, a) / cost(c, i, b);
	return spread_of(v, c->setup.rounds);
}

static void label(char *out, size_t size, const struct cell *c)
{
	if (c->setup.axis == SIZE)
		size_name(out, size, c->setup.value);
	else
		snprintf(out, size, "%llu%s", (unsigned long long)c->setup.value,
			 c->setup.axis == NOTIFIER ? " us" : "");
}

static void print_cell(const struct cell *c)
{
	const struct run *ours = &c->run[0][COMPARE_OURS], *stock = &c->run[0][COMPARE_MAINLINE];
	struct spread ratio = ratio_spread(c, COMPARE_MAINLINE, COMPARE_OURS);
	char at[32];

	label(at, sizeof(at), c);
	printf("%8s  %-12s  %8.0f", at, pattern_name[c->pattern], ours->dirty / PAGE);
	for (unsigned int t = COMPARE_MAINLINE; t < COMPARE_TRACKERS; t++)
		printf("  %10.1f", cost_spread(c, t).median / 1000);
	printf("  %7.2f  %6.2f..%-7.2f  %5.2f", ratio.median, ratio.least, ratio.most,
	       ratio_spread(c, COMPARE_OURS, COMPARE_ORACLE).median);
	printf("  %8.1f  %8.1f  %9.0f  %9.0f  %5.2f\n", stock->faults, ours->faults, stock->entries,
	       ours->entries, ours->dirty ? ours->upload / ours->dirty : 0);
	fflush(stdout);
}

static void print_head(const struct setup *s)
{
	static enum axis last = AXES;

	if (s->axis == last)
		return;
	last = s->axis;
	if (s->axis == SIZE)
		printf("\nsize of the buffer\n");
	else if (s->axis == VMAS)
		printf("\nVMAs that map a buffer of %.4g MiB, one is written through\n",
		       s->size / MIB);
	else if (s->axis == BUFFERS)
		printf("\nbuffers of %llu KiB in a submission, %u are written to\n",
		       (unsigned long long)s->size >> 10, DIRTY_BUFFERS);
	else if (s->axis == NOTIFIER)
		printf("\nan mmu_notifier that takes so long, a buffer of %.4g MiB\n",
		       s->size / MIB);
	else
		printf("\nvCPUs that a thread of the process is on, a buffer of %.4g MiB\n",
		       s->size / MIB);
	printf("\n%8s  %-12s  %8s", axis_name[s->axis], "pattern", "dirty");
	for (unsigned int t = COMPARE_MAINLINE; t < COMPARE_TRACKERS; t++)
		printf("  %7s us", tracker_name[t]);
	printf("  %7s  %-15s  %5s  %8s  %8s  %9s  %9s  %5s\n", "ratio", "least..most", "/orcl",
	       "faults m", "ours", "entries m", "ours", "up");
}

static json_t *cell_json(const struct cell *c)
{
	json_t *trackers = json_object();

	for (unsigned int t = 0; t < COMPARE_TRACKERS; t++) {
		const struct run *r = &c->run[0][t], *none = &c->run[0][COMPARE_NONE];
		json_t *json = json_pack(
			"{s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}",
			"cost_ns", spread_json(cost_spread(c, t)),
			"write_ns", r->write, "harvest_ns", r->harvest, "submit_ns", r->submit,
			"faults", r->faults, "entries", r->entries, "notifier_ranges", r->ranges,
			"flushes", r->flushes, "upload_bytes", r->upload, "memory_bytes", r->memory,
			"wrong_pages", (json_int_t)r->wrong);

		if (c->pattern == PHASES) {
			json_t *series = json_array();

			for (unsigned int i = 0; i < MAX_SERIES; i++)
				json_array_append_new(series, json_real(r->series[i] -
									none->series[i]));
			json_object_set_new(json, "series_ns", series);
		}
		json_object_set_new(trackers, tracker_name[t], json);
	}
	return json_pack("{s:s, s:I, s:s, s:I, s:i, s:i, s:i, s:f, s:o, s:o, s:o}",
			 "axis", axis_name[c->setup.axis], "value", (json_int_t)c->setup.value,
			 "pattern", pattern_name[c->pattern], "size", (json_int_t)c->setup.size,
			 "buffers", c->setup.buffers, "vmas", c->setup.vmas,
			 "submissions", c->submissions,
			 "dirty_bytes", c->run[0][COMPARE_OURS].dirty,
			 "mainline_over_ours",
			 spread_json(ratio_spread(c, COMPARE_MAINLINE, COMPARE_OURS)),
			 "ours_over_oracle",
			 spread_json(ratio_spread(c, COMPARE_OURS, COMPARE_ORACLE)),
			 "trackers", trackers);
}

/* @complete: nothing is left to be measured */
static void write_json(bool complete)
{
	json_t *all = json_array(), *json;

	if (!out_dir)
		return;
	for (unsigned int i = 0; i < n_cells; i++)
		json_array_append_new(all, cell_json(&cells[i]));
	json = json_pack("{s:I, s:i, s:b, s:o}", "seed", (json_int_t)seed, "rounds", rounds,
			 "complete", complete, "cells", all);
	write_json_file(out_dir, "track", json);
}

/* ---- more vCPUs --------------------------------------------------------- */

static pthread_t spinners[MAX_VCPUS];
static bool spinning;

static void run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		cannot("CPU %u: %s", cpu, strerror(errno));
}

static void *spin(void *arg)
{
	run_on((uintptr_t)arg);
	while (__atomic_load_n(&spinning, __ATOMIC_RELAXED))
		__builtin_ia32_pause();
	return NULL;
}

/* Each of them has this process's page tables, and has to be told of a TLB flush. */
static void start_spinners(unsigned int vcpus)
{
	if (vcpus)
		run_on(0);
	spinning = true;
	for (uintptr_t cpu = 1; cpu < vcpus; cpu++)
		if (pthread_create(&spinners[cpu], NULL, spin, (void *)cpu))
			cannot("a thread: %s", strerror(errno));
}

static void stop_spinners(unsigned int vcpus)
{
	__atomic_store_n(&spinning, false, __ATOMIC_RELAXED);
	for (unsigned int cpu = 1; cpu < vcpus; cpu++)
		pthread_join(spinners[cpu], NULL);
}

/* All cells of a setup: the trackers take turns, each with new buffers. */
static void run_setup(const struct setup *s)
{
	struct cell *first = &cells[n_cells];

	compare_open();
	if (s->notifier_us) {
		const struct compare_notifier arg = { .us = s->notifier_us };

		if (ioctl(compare_fd, COMPARE_IOCTL_NOTIFIER, &arg))
			cannot("an mmu_notifier: %s", strerror(errno));
	}
	for (unsigned int pattern = 0; pattern < PATTERNS; pattern++) {
		unsigned int settle;

		if (!(s->patterns & 1 << pattern))
			continue;
		if (n_cells == MAX_CELLS)
			abort();
		cells[n_cells].setup = *s;
		cells[n_cells].pattern = pattern;
		how_many(s->size, pattern, &settle, &cells[n_cells].submissions);
		n_cells++;
	}
	start_spinners(s->vcpus);
	for (unsigned int round = 0; round < s->rounds; round++)
		for (unsigned int i = 0; i < COMPARE_TRACKERS; i++)
			run_tracker(s, (round + i) % COMPARE_TRACKERS, round, first);
	stop_spinners(s->vcpus);
	close(compare_fd);
	print_head(s);
	for (const struct cell *c = first; c < &cells[n_cells]; c++)
		print_cell(c);
	write_json(false);
}

/* ---- huge pages -------------------------------------------------------- */

/*
 * What is done to a buffer, one after the other, in a mapping that nothing has been
 * accessed through before: read all of it, or write a pattern and submit it.
 */
enum step {
	READ_FIRST, WRITE_ONE, READ_AFTER_ONE, WRITE_SPARSE, READ_AFTER_SPARSE, WRITE_TENTH,
	READ_AFTER_TENTH, WRITE_DENSE, READ_AFTER_DENSE, UNMAP, STEPS
};

static const struct {
	const char *name;
	enum pattern_kind pattern;	/* IDLE: read */
} steps[STEPS] = {
	[READ_FIRST] = { "read, first", IDLE }, [WRITE_ONE] = { "write one page", ONE },
	[READ_AFTER_ONE] = { "read after that", IDLE },
	[WRITE_SPARSE] = { "write 0.1 %", SPARSE },
	[READ_AFTER_SPARSE] = { "read after that", IDLE },
	[WRITE_TENTH] = { "write 10 %", TENTH }, [READ_AFTER_TENTH] = { "read after that", IDLE },
	[WRITE_DENSE] = { "write all", DENSE }, [READ_AFTER_DENSE] = { "read after that", IDLE },
	[UNMAP] = { "munmap", IDLE },
};

/* COMPARE_OURS, and COMPARE_HUGE */
enum { SMALL_PAGES, HUGE_PAGES, PAGE_SIZES };

static const char *const page_size_name[PAGE_SIZES] = { "pages", "huge" };

struct huge_step {
	double ns[MAX_ROUNDS];
	double faults, tables;		/* of page tables: bytes the process has then */
};

static double page_tables(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	double kib = -1;
	char line[256];

	while (f && kib < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "VmPTE: %lf kB", &kib);
	if (f)
		fclose(f);
	if (kib < 0)
		cannot("/proc/self/status has no VmPTE");
	return kib * 1024;
}

static void huge_step(const struct setup *s, enum step step, struct plan *p, unsigned int round,
		      double tables, struct huge_step *to)
{
	uint64_t faults = faults_now();
	struct run r = { 0 };
	double t = cpu_ns();

	if (step == UNMAP) {
		munmap((void *)buffers[0].map, s->size);
		to->ns[round] = cpu_ns() - t;
		buffers[0].map = NULL;
	} else if (steps[step].pattern == IDLE) {
		read_all(buffers[0].map, s->size);
		to->ns[round] = cpu_ns() - t;
	} else {
		plan_make(p, steps[step].pattern, seed, step);
		once(s, p, COMPARE_OURS, (uint64_t)(step + 1) << 32, &r);
		to->ns[round] = r.write + r.harvest;
	}
	to->faults = faults_now() - faults;
	to->tables = page_tables() - tables;
}

static void huge_round(const struct setup *s, unsigned int kind, unsigned int round,
		       struct huge_step to[STEPS])
{
	const double tables = page_tables();
	struct plan p = plan_new(s->size / PAGE);
	uint64_t wrong;

	compare_select(kind == HUGE_PAGES ? COMPARE_HUGE : COMPARE_OURS, 0);
	create_buffers(s);
	for (unsigned int step = 0; step < UNMAP; step++)
		huge_step(s, step, &p, round, tables, &to[step]);
	wrong = wrong_pages(s);
	if (wrong)
		failed("%s: the device did not get %llu pages", page_size_name[kind],
		       (unsigned long long)wrong);
	huge_step(s, UNMAP, &p, round, tables, &to[UNMAP]);
	destroy_buffers(s);
	plan_free(&p);
}

/* Prints it, and adds it to what goes to huge.json. */
static void huge_size(uint64_t size, json_t *all)
{
	const struct setup s = { .axis = SIZE, .value = size, .size = size, .buffers = 1,
				 .vmas = 1 };
	static struct huge_step taken[PAGE_SIZES][STEPS];
	char label[32];

	for (unsigned int round = 0; round < rounds; round++)
		for (unsigned int i = 0; i < PAGE_SIZES; i++)
			huge_round(&s, (round + i) % PAGE_SIZES, round,
				   taken[(round + i) % PAGE_SIZES]);

	size_name(label, sizeof(label), size);
	for (unsigned int step = 0; step < STEPS; step++) {
		json_t *kinds = json_object();
		double ratio[MAX_ROUNDS];

		for (unsigned int i = 0; i < rounds; i++)
			ratio[i] = taken[SMALL_PAGES][step].ns[i] / taken[HUGE_PAGES][step].ns[i];
		printf("%8s  %-16s", label, steps[step].name);
		for (unsigned int kind = 0; kind < PAGE_SIZES; kind++) {
			struct huge_step *t = &taken[kind][step];
			struct spread ns = spread_of(t->ns, rounds);

			printf("  %10.1f  %7.0f  %7.0f", ns.median / 1000, t->faults,
			       t->tables / 1024);
			json_object_set_new(kinds, page_size_name[kind],
					    json_pack("{s:o, s:f, s:f}", "ns", spread_json(ns),
						      "faults", t->faults, "table_bytes",
						      t->tables));
		}
		printf("  %6.2f\n", spread_of(ratio, rounds).median);
		json_array_append_new(all, json_pack("{s:I, s:s, s:o, s:o}", "size",
						     (json_int_t)size, "step", steps[step].name,
						     "pages_over_huge",
						     spread_json(spread_of(ratio, rounds)),
						     "kinds", kinds));
	}
	fflush(stdout);
}

static void run_huge(void)
{
	json_t *all = json_array(), *json;

	aligned = true;
	compare_open();
	printf("\n%8s  %-16s  %10s  %7s  %7s  %10s  %7s  %7s  %6s\n", "size", "step", "pages us",
	       "faults", "tables", "huge us", "faults", "tables", "ratio");
	for (uint64_t size = 4 << 20; size <= max_size; size *= 4)
		huge_size(size, all);
	close(compare_fd);
	if (!out_dir)
		return;
	json = json_pack("{s:I, s:i, s:o}", "seed", (json_int_t)seed, "rounds", rounds, "steps",
			 all);
	write_json_file(out_dir, "huge", json);
}

/* ---- the whole --------------------------------------------------------- */

static bool wanted(enum axis axis)
{
	return only == AXES || only == axis;
}

static void open_vmob(void)
{
	struct egm_node nodes[16];
	int n = egm_nodes(nodes, LENGTH(nodes));
	char err[EGM_ERR];
	int i;

	for (i = 0; i < n && strcmp(nodes[i].driver, "vmob"); i++)
		;
	if (i == n)
		cannot("no vmob here");
	if (egm_open(&dev, nodes[i].path, true, err))
		cannot("%s", err);
}

static void run_sizes(uint64_t first, uint64_t last)
{
	struct setup s = { .axis = SIZE, .buffers = 1, .vmas = 1, .rounds = rounds };

	for (s.size = first; s.size <= last && s.size <= max_size;
	     s.size *= s.size == SMALLEST ? 16 : 4) {
		s.value = s.size;
		s.patterns = (1 << PATTERNS) - 1;
		/* a fault for each page takes too long there, or a scan of all */
		if (s.size > 64 << 20)
			s.patterns &= ~(1 << PHASES);
		if (s.size > 256 << 20)
			s.patterns = 1 << IDLE | 1 << ONE;
		run_setup(&s);
	}
}

static void run_vmas(unsigned int first, unsigned int last)
{
	struct setup s = {
		.axis = VMAS, .size = 2 << 20, .buffers = 1, .patterns = 1 << IDLE | 1 << ONE,
		.rounds = rounds,
	};

	for (s.vmas = first; s.vmas <= last; s.vmas *= 10) {
		s.value = s.vmas;
		run_setup(&s);
	}
}

static void run_buffers(unsigned int first, unsigned int last)
{
	/* What a submission takes without tracking is most of it, and not always the same. */
	struct setup s = {
		.axis = BUFFERS, .size = SMALLEST, .vmas = 1, .patterns = 1 << ONE,
		.rounds = rounds < LEAST_ROUNDS ? LEAST_ROUNDS : rounds,
	};

	for (s.buffers = first; s.buffers <= last; s.buffers *= 10) {
		s.value = s.buffers;
		run_setup(&s);
	}
}

static void run_notifiers(void)
{
	static const unsigned int us[] = { 0, 10, 100 };
	struct setup s = {
		.axis = NOTIFIER, .size = 4 << 20, .buffers = 1, .vmas = 1, .rounds = rounds,
		.patterns = 1 << IDLE | 1 << ONE | 1 << SPARSE | 1 << LATER_ONE | 1 << DENSE,
	};

	for (int i = 0; i < LENGTH(us); i++) {
		s.value = s.notifier_us = us[i];
		run_setup(&s);
	}
}

static void run_vcpus(void)
{
	struct setup s = {
		.axis = VCPUS, .size = 4 << 20, .buffers = 1, .vmas = 1, .rounds = rounds,
		.patterns = 1 << IDLE | 1 << ONE | 1 << SPARSE | 1 << TENTH | 1 << DENSE,
	};
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	if (online < 2) {
		if (only == VCPUS)
			cannot("there is only one CPU");
		return;
	}
	if (sched_getaffinity(0, sizeof(set), &set))
		cannot("sched_getaffinity: %s", strerror(errno));
	for (s.vcpus = 1; s.vcpus <= online && s.vcpus <= MAX_VCPUS; s.vcpus *= 2) {
		s.value = s.vcpus;
		run_setup(&s);
	}
	sched_setaffinity(0, sizeof(set), &set);
}

int main(int argc, char **argv)
{
	bool huge = false;
	const struct bench_option options[] = {
		OPTION_OUT(&out_dir, "track.json, or huge.json,"),
		{ "axis", "NAME", "size, vmas, buffers, notifier or vcpus (all of them)",
		  .choice = &only, .choices = axis_name, .max = AXES },
		OPTION_SIZE(&max_size, 64 << 10, 4ull << 30),
		OPTION_ROUNDS(&rounds, MAX_ROUNDS),
		OPTION_SEED(&seed),
		OPTION_LOSE(&forget, "forget", "do not tell the oracle of the first range"),
		{ "huge", NULL, "instead: ours with what is only read mapped by huge pages, beside\n"
		  "                  ours as it is", .flag = &huge },
	};

	program = "egm-track";
	bench_options(argc, argv,
		      "Measures what it costs to know what was written to coherent buffers of vmob,\n"
		      "with our tracker, mainline's, each of mainline's two methods and an oracle,\n"
		      "by size of the buffer, number of VMAs, of buffers and of vCPUs, and with an\n"
		      "mmu_notifier that takes time. Many buffers are measured five times at least.\n"
		      "After each cell the device's copy is compared with what was written.\n",
		      "the device did not get what was written with our tracker\n"
		      "or the oracle", options, LENGTH(options));

	open_vmob();
	printf("seed %llu, each %u times\n", (unsigned long long)seed, rounds);
	if (huge) {
		run_huge();
		egm_close(dev);
		return finish(0);
	}
	/* What takes long comes last. */
	if (wanted(SIZE))
		run_sizes(SMALLEST, 4 << 20);
	if (wanted(VMAS))
		run_vmas(1, 100);
	if (wanted(BUFFERS))
		run_buffers(1, 1000);
	if (wanted(VCPUS))
		run_vcpus();
	if (wanted(SIZE))
		run_sizes(16 << 20, max_size);
	if (wanted(VMAS))
		run_vmas(1000, 1000);
	if (wanted(BUFFERS))
		run_buffers(MAX_BUFFERS, MAX_BUFFERS);
	/* For the kernel a process that has had one has notifiers from then on. */
	if (wanted(NOTIFIER))
		run_notifiers();
	write_json(true);
	egm_close(dev);
	return finish(0);
}
