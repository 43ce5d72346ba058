// SPDX-License-Identifier: MIT
/*
 * egm-peers: what it costs to know what was written to memory, with what user space
 * has for that today. The stores are those of egm-track, the memory is a memfd's,
 * since none of these works on a device's mapping:
 *
 *	wp-async	userfaultfd write-protects, the kernel resolves the faults by itself
 *			(WP_ASYNC), and PAGEMAP_SCAN finds and protects what was written
 *	soft-dirty	/proc/self/clear_refs and bit 55 of /proc/self/pagemap
 *	mprotect	a handler of SIGSEGV notes the page and makes it writable
 *	compare		the memory is compared with a copy, which is brought up to date
 *
 * The cost is what the stores take more than on memory without tracking, and what
 * it takes to find the pages and to begin anew: CPU time of this thread. What is
 * found has to be what was written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <jansson.h>

#include <pattern.h>

#include "cli.h"
#include "options.h"
#include "stores.h"

#define PAGE_WORDS (PAGE / sizeof(uint64_t))
#define MAX_ROUNDS 15
#define SMALLEST (64 << 10)

/* Debian 12's headers are older than these. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN _IOWR('f', 16, struct scan_arg)
#define SCAN_WP_MATCHING (1 << 0)
#define SCAN_CHECK_WPASYNC (1 << 1)
#define SCAN_IS_WRITTEN (1 << 1)

enum method { NONE, WP_ASYNC, SOFT_DIRTY, MPROTECT, COMPARE, METHODS };

static const char *const method_name[METHODS] = {
	"none", "wp-async", "soft-dirty", "mprotect", "compare",
};

struct run {
	double write, find;	/* nanoseconds, means */
	double faults, found;
};

static uint64_t max_size = 64 << 20, seed = 1;
static unsigned int rounds = 3;
static bool forget;
static const char *out_dir;

/* ---- memory -------------------------------------------------------------- */

static uint64_t pages;
static char *map;
static bool *found;		/* of each page */
static uint64_t n_found;

static int uffd = -1, pagemap = -1, clear_refs = -1;
static struct scan_region *regions;
static uint64_t *entries;
static char *copy;

static void add(uint64_t page)
{
	if (forget && !n_found)
		n_found++;	/* one that is not reported */
	else if (!found[page])
		n_found += found[page] = true;
}

static void open_proc(int *fd, const char *path, int flags)
{
	if (*fd < 0)
		*fd = open(path, flags | O_CLOEXEC);
	if (*fd < 0)
		cannot("%s: %s", path, strerror(errno));
}

/* ---- the methods: what begins them, and what finds the pages ------------------ */

static void scan(void)
{
	struct scan_arg arg = {
		.size = sizeof(arg), .flags = SCAN_WP_MATCHING | SCAN_CHECK_WPASYNC,
		.start = (uintptr_t)map, .end = (uintptr_t)map + pages * PAGE,
		.vec = (uintptr_t)regions, .vec_len = pages,
		.category_mask = SCAN_IS_WRITTEN, .return_mask = SCAN_IS_WRITTEN,
	};
	int n = ioctl(pagemap, SCAN, &arg);

	if (n < 0)
		cannot("PAGEMAP_SCAN: %s (Linux 6.7 has it)", strerror(errno));
	for (int i = 0; i < n; i++)
		for (uint64_t at = regions[i].start; at < regions[i].end; at += PAGE)
			add((at - (uintptr_t)map) / PAGE);
}

static void begin_wp_async(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED |
			    UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)map, pages * PAGE },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		cannot("userfaultfd with WP_ASYNC: %s", strerror(errno));
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		failed("userfaultfd: %s", strerror(errno));
	open_proc(&pagemap, "/proc/self/pagemap", O_RDONLY);
	scan();
}

static void end_wp_async(void)
{
	close(uffd);
	uffd = -1;
}

static void clear(void)
{
	if (pwrite(clear_refs, "4", 1, 0) != 1)
		cannot("/proc/self/clear_refs: %s", strerror(errno));
}

static void begin_soft_dirty(void)
{
	open_proc(&clear_refs, "/proc/self/clear_refs", O_WRONLY);
	open_proc(&pagemap, "/proc/self/pagemap", O_RDONLY);
	clear();
}

static void find_soft_dirty(void)
{
	ssize_t size = pages * sizeof(*entries);

	if (pread(pagemap, entries, size, (uintptr_t)map / PAGE * sizeof(*entries)) != size)
		cannot("/proc/self/pagemap: %s", strerror(errno));
	for (uint64_t i = 0; i < pages; i++)
		if (entries[i] >> 55 & 1)
			add(i);
	clear();
}

static void handler(int sig, siginfo_t *info, void *context)
{
	uint64_t page = ((char *)info->si_addr - map) / PAGE;

	(void)context;
	if ((char *)info->si_addr < map || page >= pages ||
	    mprotect(map + page * PAGE, PAGE, PROT_READ | PROT_WRITE))
		signal(sig, SIG_DFL);
	else
		add(page);
}

static void protect(void)
{
	if (mprotect(map, pages * PAGE, PROT_READ))
		cannot("mprotect: %s", strerror(errno));
}

static void begin_mprotect(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	protect();
}

static void end_mprotect(void)
{
	signal(SIGSEGV, SIG_DFL);
}

static void begin_compare(void)
{
	memcpy(copy, map, pages * PAGE);
}

static void find_compare(void)
{
	for (uint64_t i = 0; i < pages; i++) {
		if (!memcmp(copy + i * PAGE, map + i * PAGE, PAGE))
			continue;
		memcpy(copy + i * PAGE, map + i * PAGE, PAGE);
		add(i);
	}
}

static void nothing(void)
{
}

static const struct {
	void (*begin)(void), (*find)(void), (*end)(void);
} methods[METHODS] = {
	[NONE] = { nothing, nothing, nothing },
	[WP_ASYNC] = { begin_wp_async, scan, end_wp_async },
	[SOFT_DIRTY] = { begin_soft_dirty, find_soft_dirty, nothing },
	[MPROTECT] = { begin_mprotect, protect, end_mprotect },
	[COMPARE] = { begin_compare, find_compare, nothing },
};

/* ---- cells ------------------------------------------------------------------ */

static void check(enum method method, enum pattern_kind pattern, const struct plan *p)
{
	uint64_t n = 0;

	if (method == NONE)
		return;
	for (uint32_t i = 0; i < p->n; i++)
		n += found[p->page[i]];
	if (n != p->n || n_found != p->n)
		failed("%s, %s: of %u pages %llu were found, among %llu", method_name[method],
		       pattern_name[pattern], p->n, (unsigned long long)n,
		       (unsigned long long)n_found);
}

static void once(enum method method, enum pattern_kind pattern, const struct plan *p,
		 uint64_t value, struct run *r)
{
	volatile uint64_t *words = (uint64_t *)map;
	uint64_t faults = faults_now();
	double t;

	memset(found, 0, pages * sizeof(*found));
	n_found = 0;
	t = cpu_ns();
	for (uint32_t i = 0; i < p->n; i++)
		words[p->order[i] * PAGE_WORDS] = value + p->order[i];
	r->write += cpu_ns() - t;
	r->faults += faults_now() - faults;
	t = cpu_ns();
	methods[method].find();
	r->find += cpu_ns() - t;
	r->found += p->n;
	check(method, pattern, p);
}

static void measure(enum method method, enum pattern_kind pattern, struct plan *p, struct run *r)
{
	unsigned int settle, submissions;

	how_many(pages * PAGE, pattern, &settle, &submissions);
	for (unsigned int i = 0; i < settle + submissions; i++) {
		if (i == settle)
			memset(r, 0, sizeof(*r));
		plan_make(p, pattern == PHASES ? phases[i % MAX_SERIES] : pattern, seed, i);
		once(method, pattern, p, (uint64_t)(pattern * 1000 + i + 1) << 32, r);
	}
	r->write /= submissions;
	r->find /= submissions;
	r->faults /= submissions;
	r->found /= submissions;
}

static void *grown(uint64_t size)
{
	void *p = malloc(size);

	if (!p)
		cannot("%s", strerror(ENOMEM));
	/* what is measured is not its first use */
	memset(p, 1, size);
	return p;
}

/* All patterns with one method, in memory of its own; there is no first touch */
static void run_method(enum method method, struct run runs[PATTERNS])
{
	struct plan p = plan_new(pages);
	int fd = memfd_create("egm-peers", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, pages * PAGE))
		cannot("memory: %s", strerror(errno));
	map = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		cannot("mmap of %.2f MiB: %s", pages * PAGE / MIB, strerror(errno));
	methods[method].begin();
	for (unsigned int pattern = IDLE; pattern < PATTERNS; pattern++)
		measure(method, pattern, &p, &runs[pattern]);
	methods[method].end();
	munmap(map, pages * PAGE);
	close(fd);
	plan_free(&p);
}

/* ---- results ---------------------------------------------------------------- */

static struct run runs[MAX_ROUNDS][METHODS][PATTERNS];

static struct spread cost(enum method method, enum pattern_kind pattern)
{
	double v[MAX_ROUNDS];

	for (unsigned int i = 0; i < rounds; i++) {
		const struct run *r = &runs[i][method][pattern], *none = &runs[i][NONE][pattern];

		v[i] = r->write - none->write + r->find - none->find;
	}
	return spread_of(v, rounds);
}

static json_t *cell(enum pattern_kind pattern)
{
	json_t *all = json_object();
	char at[32];

	size_name(at, sizeof(at), pages * PAGE);
	printf("%8s  %-12s  %8.0f", at, pattern_name[pattern], runs[0][NONE][pattern].found);
	for (unsigned int method = WP_ASYNC; method < METHODS; method++) {
		const struct run *r = &runs[0][method][pattern];
		struct spread s = cost(method, pattern);

		printf("  %10.1f", s.median / 1000);
		json_object_set_new(all, method_name[method],
				    json_pack("{s:o, s:f}", "cost_ns", spread_json(s),
					      "faults", r->faults));
	}
	putchar('\n');
	fflush(stdout);
	return json_pack("{s:I, s:s, s:f, s:o}", "size", (json_int_t)(pages * PAGE), "pattern",
			 pattern_name[pattern], "dirty_bytes",
			 runs[0][NONE][pattern].found * PAGE, "methods", all);
}

static void measure_size(uint64_t size, json_t *cells)
{
	pages = size / PAGE;
	found = grown(pages * sizeof(*found));
	regions = grown(pages * sizeof(*regions));
	entries = grown(pages * sizeof(*entries));
	copy = grown(size);
	for (unsigned int i = 0; i < rounds; i++)
		for (unsigned int method = 0; method < METHODS; method++)
			run_method((i + method) % METHODS, runs[i][(i + method) % METHODS]);
	for (unsigned int pattern = IDLE; pattern < PATTERNS; pattern++)
		json_array_append_new(cells, cell(pattern));
	free(found);
	free(regions);
	free(entries);
	free(copy);
}

int main(int argc, char **argv)
{
	const struct bench_option options[] = {
		OPTION_OUT(&out_dir, "peers.json"),
		OPTION_SIZE(&max_size, SMALLEST, 1 << 30),
		OPTION_ROUNDS(&rounds, MAX_ROUNDS),
		OPTION_SEED(&seed),
		OPTION_LOSE(&forget, "forget", "lose the first page that is found"),
	};
	json_t *cells = json_array();

	program = "egm-peers";
	bench_options(argc, argv,
		      "Measures what it costs to know what was written to shared memory with userfaultfd's\n"
		      "WP_ASYNC and PAGEMAP_SCAN, with soft-dirty bits, with mprotect() and SIGSEGV, and by\n"
		      "comparing with a copy. The stores are those of egm-track. Times are in us for a\n"
		      "submission, over no tracking.\n",
		      "what was found is not what was written", options, LENGTH(options));

	printf("%8s  %-12s  %8s", "size", "pattern", "dirty");
	for (unsigned int method = WP_ASYNC; method < METHODS; method++)
		printf("  %10s", method_name[method]);
	putchar('\n');
	measure_size(SMALLEST, cells);
	for (uint64_t at = 1 << 20; at <= max_size; at *= 4)
		measure_size(at, cells);
	if (out_dir)
		write_json_file(out_dir, "peers", json_pack("{s:I, s:i, s:o}", "seed",
							    (json_int_t)seed, "rounds", rounds,
							    "cells", cells));
	else
		json_decref(cells);
	return finish(0);
}
