// SPDX-License-Identifier: MIT
/**
 * TEST: coherent mmap
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C1 and C3 through every kind of mapping: however a byte got into
 *	the buffer, and whatever has happened to the mapping since, it is seen by the next
 *	submission.
 *
 * SUBTEST: two-vmas
 * Description: C1: two mappings of a buffer in one process
 *
 * SUBTEST: two-processes
 * Description: C1: three processes write the same pages
 *
 * SUBTEST: read-only-first
 * Description: C1: mappings that cannot be written beside one that can (defect 4)
 *
 * SUBTEST: private-refused
 * Description: C1: private mappings are refused
 *
 * SUBTEST: partial
 * Description: C1, C3: mappings of a few pages (defect G1)
 *
 * SUBTEST: beyond-the-end
 * Description: C1: a mapping longer than the buffer is refused
 *
 * SUBTEST: populate
 * Description: C1: a mapping filled ahead by MAP_POPULATE
 *
 * SUBTEST: munmap
 * Description: C3: pages unmapped between write and submission (defect V2)
 *
 * SUBTEST: munmap-repeatedly
 * Description: C3: many short mappings between two submissions (defect V2)
 *
 * SUBTEST: munmap-hole
 * Description: C3: a hole in the middle of what was written (defects V2, G1)
 *
 * SUBTEST: map-fixed
 * Description: C3: another mapping put over written pages (defect V2)
 *
 * SUBTEST: mprotect-roundtrip
 * Description: C3: made read-only and writable again, then written (defect 5)
 *
 * SUBTEST: mprotect-rare
 * Description: C3: the same with a page that is written rarely (defect 5)
 *
 * SUBTEST: mprotect-none
 * Description: C3: made inaccessible after the write
 *
 * SUBTEST: split-mprotect
 * Description: C1: fault behind a page of other protection (defect G1)
 *
 * SUBTEST: split-munmap
 * Description: C1: fault behind an unmapped page (defect G1)
 *
 * SUBTEST: mremap-move
 * Description: C3: written pages moved to another address
 *
 * SUBTEST: mremap-grow
 * Description: C3: growing and duplicating are refused
 *
 * SUBTEST: mremap-shrink
 * Description: C3: written pages cut off by mremap
 *
 * SUBTEST: madvise
 * Description: C3: advice to drop written pages
 *
 * SUBTEST: fork
 * Description: C1, C3: parent and child write after fork
 *
 * SUBTEST: child-exit
 * Description: C3: the writer has exited before the submission
 *
 * SUBTEST: child-exec
 * Description: C3: the writer has become another program
 *
 * SUBTEST: child-killed
 * Description: C3: stores completed before SIGKILL
 *
 * SUBTEST: later-store
 * Description: C1, C3: a store behind the ioctl is seen by the next submission
 *
 * SUBTEST: fault-lock
 * Description: C5: a store faults once, without mmap_lock
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xf86drm.h>

#include "mmap.h"

IGT_TEST_DESCRIPTION("Coherent buffers: every way to map and to write them");

static void two_vmas(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	void *map[2] = { b.bo->map, coh_map(b.bo, RW, SIZE) };
	struct rng r = rng_new(1);
	int i;

	for (i = 0; i < 60; i++) {
		uint64_t page = rng_below(&r, SIZE / PAGE - 2);

		fill(&b, map[i & 1], 0, page, 2);
		fill(&b, map[~i & 1], 0, page + 1, 1);
		if (i % 3 == 0)
			check(&b);
	}
	check(&b);
	unmap_pages(map[1], SIZE / PAGE);
	coh_buf_destroy(&b);
}

static void two_processes(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int i;

	for (i = 0; i < 5; i++) {
		igt_fork(child, 3) {
			void *map = coh_map(b.bo, RW, SIZE);
			struct rng r = rng_new(16 + 3 * i + child);
			int j;

			/* each its own third of each page */
			for (j = 0; j < 50; j++)
				pattern_fill(b.p, map, rng_below(&r, SIZE / PAGE)
					     * PAGE + child * 1024, 1024);
		}
		fill(&b, b.bo->map, 0, 7, 1);
		/* while they write: the content is not compared */
		coh_touch(b.bo);
		igt_waitchildren();
		check(&b);
	}
	coh_buf_destroy(&b);
}

/* Mappings that never can be written, on both sides of one that can. */
static void read_only_first(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int fd = coh_open_node(dev->drv->name, O_RDONLY);
	int dmabuf = coh_export(b.bo), i;
	struct egm_dev ro_dev = { .drv = dev->drv, .fd = fd };
	struct egm_bo ro = { .dev = &ro_dev };
	void *before[4], *after[4], *map;

	igt_assert(!drmPrimeFDToHandle(fd, dmabuf, &ro.handle));
	igt_assert(!dev->drv->info(fd, ro.handle, &ro.res, &ro.size));
	egm_bo_unmap(b.bo);
	igt_assert(egm_bo_mmap(&ro, RW, MAP_SHARED, SIZE) == MAP_FAILED &&
		   errno == EACCES);
	for (i = 0; i < 4; i++)
		before[i] = coh_map(&ro, PROT_READ, SIZE - i * PAGE);
	map = coh_map(b.bo, RW, SIZE);
	for (i = 0; i < 4; i++)
		after[i] = coh_map(&ro, PROT_READ, SIZE - i * PAGE);
	b.bo->map = map;

	for (i = 0; i < 10; i++) {
		(void)*(volatile char *)before[i & 3];
		fill(&b, map, 0, 100 * i, 3);
		check(&b);
		pattern_assert(b.p, before[1], 0, SIZE - PAGE);
		if (i & 1)
			settle(&b);
	}
	for (i = 0; i < 4; i++) {
		unmap_pages(before[i], SIZE / PAGE - i);
		unmap_pages(after[i], SIZE / PAGE - i);
	}
	close(dmabuf);
	close(fd);
	coh_buf_destroy(&b);
}

static void private_refused(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	const int prot[] = { RW, PROT_READ, PROT_NONE };
	size_t i;

	for (i = 0; i < 3; i++) {
		void *map = egm_bo_mmap(b.bo, prot[i], MAP_PRIVATE, SIZE);

		igt_assert(map == MAP_FAILED);
		igt_assert_eq(errno, EINVAL);
	}
	check(&b);
	coh_buf_destroy(&b);
}

static void partial(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	struct rng r = rng_new(2);
	int i;

	for (i = 0; i < 40; i++) {
		uint64_t first = rng_below(&r, SIZE / PAGE - 8);
		uint64_t n = 1 + rng_below(&r, 8);
		void *map = map_pages(b.bo, RW, first, n);

		fill(&b, map, first, first + rng_below(&r, n), 1);
		check(&b);
		fill(&b, map, first, first + n - 1, 1);
		unmap_pages(map, n);
		check(&b);
	}
	coh_buf_destroy(&b);
}

static void beyond_the_end(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	void *map = egm_bo_mmap(b.bo, RW, MAP_SHARED, SIZE + PAGE);

	igt_assert(map == MAP_FAILED);
	check(&b);
	coh_buf_destroy(&b);
}

static void populate(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	void *map;

	settle(&b);
	map = egm_bo_mmap(b.bo, RW, MAP_SHARED | MAP_POPULATE, SIZE);
	igt_assert(map != MAP_FAILED);
	fill(&b, map, 0, 17, 600);
	check(&b);
	unmap_pages(map, SIZE / PAGE);
	coh_buf_destroy(&b);
}

static void munmap_all(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int i;

	for (i = 0; i < 10; i++) {
		void *map = coh_map(b.bo, RW, SIZE);

		if (i & 1)
			settle(&b);
		fill(&b, map, 0, 31 * i, 40);
		unmap_pages(map, SIZE / PAGE);
		check(&b);
	}

	/* the same with no mapping left at all */
	fill(&b, b.bo->map, 0, 1, 700);
	egm_bo_unmap(b.bo);
	coh_snapshot(b.bo, b.snap);
	pattern_assert(b.p, coh_fetch(b.snap), 0, SIZE);
	b.bo->map = coh_map(b.bo, RW, SIZE);
	check(&b);
	coh_buf_destroy(&b);
}

static void munmap_repeatedly(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	struct rng r = rng_new(3);
	int i, j;

	for (i = 0; i < 5; i++) {
		for (j = 0; j < 30; j++) {
			void *map = coh_map(b.bo, RW, SIZE);

			fill(&b, map, 0, rng_below(&r, SIZE / PAGE), 1);
			unmap_pages(map, SIZE / PAGE);
		}
		check(&b);
	}
	coh_buf_destroy(&b);
}

static void munmap_hole(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	char *map = coh_map(b.bo, RW, SIZE);

	fill(&b, map, 0, 20, 12);
	unmap_pages(map + 22 * PAGE, 4);
	check(&b);

	/* both remaining parts still write where they should (defect G1) */
	fill(&b, map, 0, 18, 4);
	fill(&b, map, 0, 26, 10);
	check(&b);
	unmap_pages(map, 22);
	unmap_pages(map + 26 * PAGE, SIZE / PAGE - 26);
	coh_buf_destroy(&b);
}

static void map_fixed(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	char *map = coh_map(b.bo, RW, SIZE), *over;

	fill(&b, map, 0, 40, 8);
	over = mmap(map + 42 * PAGE, 3 * PAGE, RW,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	igt_assert(over == map + 42 * PAGE);
	memset(over, 0xff, 3 * PAGE);
	check(&b);
	fill(&b, map, 0, 45, 2);
	check(&b);
	unmap_pages(map, SIZE / PAGE);
	coh_buf_destroy(&b);
}

/*
 * Write, protect, unprotect, write: with and without submissions between, and
 * with entries that are open, closed or absent at the start.
 */
static void mprotect_roundtrip(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int i;

	for (i = 0; i < 32; i++) {
		char *at = (char *)b.bo->map + 64 * PAGE;

		if (i & 1)
			settle(&b);
		if (i & 2)
			fill(&b, b.bo->map, 0, 64, 4);
		if (i & 4)
			coh_touch(b.bo);
		igt_assert(!mprotect(at, 8 * PAGE, PROT_READ));
		if (i & 8)
			coh_touch(b.bo);
		igt_assert(!mprotect(at, 8 * PAGE, RW));
		if (i & 16)
			coh_touch(b.bo);
		fill(&b, b.bo->map, 0, 66, 4);
		check(&b);
		fill(&b, b.bo->map, 0, 64, 1);
		check(&b);
	}
	coh_buf_destroy(&b);
}

/*
 * The same for a page that is written rarely. A pass finds it dirty and
 * write-protects it: if it left it dirty mprotect() would take that for leave to
 * make it writable.
 */
static void mprotect_rare(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	char *at = (char *)b.bo->map + 64 * PAGE;
	int i;

	for (i = 0; i < 8; i++) {
		settle(&b);
		fill(&b, b.bo->map, 0, 64, 1);
		settle(&b);
		fill(&b, b.bo->map, 0, 64, 1);
		coh_touch(b.bo);
		igt_assert(!mprotect(at, PAGE, PROT_READ));
		igt_assert(!mprotect(at, PAGE, RW));
		fill(&b, b.bo->map, 0, 64, 1);
		check(&b);
	}
	coh_buf_destroy(&b);
}

static void mprotect_none(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	void *map = coh_map(b.bo, RW, SIZE);
	int i;

	for (i = 0; i < 6; i++) {
		fill(&b, map, 0, 70, 20);
		igt_assert(!mprotect(map, SIZE, PROT_NONE));
		check(&b);
		igt_assert(!mprotect(map, SIZE, i & 1 ? RW : PROT_WRITE));
		fill(&b, map, 0, 80, 20);
		check(&b);
	}
	unmap_pages(map, SIZE / PAGE);
	coh_buf_destroy(&b);
}

/*
 * A fault after the split must count pages from the buffer's start, not from
 * the start of what is left of the mapping (defect G1).
 */
static void split_mprotect(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	char *map = map_pages(b.bo, RW, 4, 4);

	igt_assert(!mprotect(map + PAGE, PAGE, PROT_READ));
	fill(&b, map, 4, 7, 1);
	fill(&b, map, 4, 4, 1);
	check(&b);
	pattern_assert(b.p, map, 4 * PAGE, 4 * PAGE);
	unmap_pages(map, 4);
	coh_buf_destroy(&b);
}

static void split_munmap(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	char *map = map_pages(b.bo, RW, 4, 4);

	unmap_pages(map + PAGE, 1);
	fill(&b, map, 4, 7, 1);
	check(&b);
	pattern_assert(b.p, map + 2 * PAGE, 6 * PAGE, 2 * PAGE);
	unmap_pages(map, 1);
	unmap_pages(map + 2 * PAGE, 2);
	coh_buf_destroy(&b);
}

static void mremap_move(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	char *map = coh_map(b.bo, RW, SIZE), *to, *part;

	fill(&b, map, 0, 50, 30);
	to = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	igt_assert(to != MAP_FAILED);
	igt_assert(mremap(map, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
		   to);
	check(&b);
	fill(&b, to, 0, 60, 30);
	check(&b);

	/* a part of it, moved out of the middle, written before and after */
	fill(&b, to, 0, 200, 8);
	part = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	igt_assert(part != MAP_FAILED);
	igt_assert(mremap(to + 202 * PAGE, 4 * PAGE, 4 * PAGE,
			  MREMAP_MAYMOVE | MREMAP_FIXED, part) == part);
	check(&b);
	fill(&b, part, 202, 203, 2);
	fill(&b, to, 0, 207, 2);
	check(&b);
	unmap_pages(part, 4);
	unmap_pages(to, 202);
	unmap_pages(to + 206 * PAGE, SIZE / PAGE - 206);
	coh_buf_destroy(&b);
}

/* Growing or duplicating a mapping of device memory is refused. */
static void mremap_grow(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	char *map = coh_map(b.bo, RW, 4 * PAGE);

	fill(&b, map, 0, 1, 2);
	igt_assert(mremap(map, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE) ==
		   MAP_FAILED);
	igt_assert_eq(errno, EFAULT);
	igt_assert(mremap(map, 0, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	igt_assert_eq(errno, EFAULT);
	check(&b);
	fill(&b, map, 0, 2, 2);
	check(&b);
	unmap_pages(map, 4);
	coh_buf_destroy(&b);
}

static void mremap_shrink(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	char *map = coh_map(b.bo, RW, 8 * PAGE);

	fill(&b, map, 0, 0, 8);
	igt_assert(mremap(map, 8 * PAGE, 4 * PAGE, 0) == map);
	check(&b);
	unmap_pages(map, 4);
	coh_buf_destroy(&b);
}

/* Device memory is not dropped by advice; either way nothing is lost. */
static void madvise_drop(struct egm_dev *dev)
{
	const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_COLD, MADV_PAGEOUT,
	};
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		int ret;

		fill(&b, b.bo->map, 0, 90, 8);
		ret = madvise((char *)b.bo->map + 92 * PAGE, 4 * PAGE,
			      advice[i]);
		igt_debug("advice %d: %s\n", advice[i],
			  ret ? strerror(errno) : "taken");
		check(&b);
	}
	coh_buf_destroy(&b);
}

static void fork_both_write(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int i;

	for (i = 0; i < 6; i++) {
		/* open, then closed entries are what the child inherits */
		if (i & 1)
			settle(&b);
		else
			fill(&b, b.bo->map, 0, 120, 8);
		igt_fork(child, 1)
			fill(&b, b.bo->map, 0, 124, 8);
		fill(&b, b.bo->map, 0, 116, 8);
		coh_touch(b.bo);
		igt_waitchildren();
		check(&b);
	}
	coh_buf_destroy(&b);
}

/* The child's mappings, and all they know, go with it. */
static void child_exit(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int i;

	for (i = 0; i < 6; i++) {
		if (i & 1)
			settle(&b);
		igt_fork(child, 2) {
			void *map = coh_map(b.bo, RW, SIZE);

			fill(&b, b.bo->map, 0, 300 + 32 * child, 16);
			fill(&b, map, 0, 316 + 32 * child, 16);
		}
		igt_waitchildren();
		check(&b);
	}
	coh_buf_destroy(&b);
}

static void child_exec(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int ready[2], go[2], i;

	for (i = 0; i < 4; i++) {
		pid_t pid;
		char c = 0;

		if (i & 1)
			settle(&b);
		igt_assert(!pipe(ready) && !pipe(go));
		pid = coh_child_start();
		if (!pid) {
			/* sh tells that the exec is over, and lives on */
			fill(&b, b.bo->map, 0, 400, 16);
			dup2(go[0], 0);
			dup2(ready[1], 1);
			execl("/bin/sh", "sh", "-c", "echo; read x", NULL);
			_exit(1);
		}
		igt_assert(read(ready[0], &c, 1) == 1 && c == '\n');
		check(&b);
		igt_assert(write(go[1], "\n", 1) == 1);
		igt_assert_eq(coh_child_wait(pid), 0);
		close(ready[0]);
		close(ready[1]);
		close(go[0]);
		close(go[1]);
	}
	coh_buf_destroy(&b);
}

static void child_killed(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	volatile uint32_t *stores;
	int i;

	stores = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	igt_assert(stores != MAP_FAILED);

	for (i = 0; i < 5; i++) {
		const uint64_t first = 500, n = 64;
		uint64_t *words, k;
		int status;
		pid_t pid;

		*stores = 0;
		pid = coh_child_start();
		if (!pid) {
			volatile uint64_t *to = b.bo->map;

			/* a number, one page after the other, until killed */
			for (k = 1; ; k++) {
				to[(first + k % n) * PAGE / 8] = k;
				*stores = k;
			}
		}
		while (*stores < 1000)
			usleep(1000);
		kill(pid, SIGKILL);
		status = coh_child_wait(pid);
		igt_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

		/* memory is what counts: the device must have the same */
		words = b.bo->map;
		for (k = first; k < first + n; k++)
			b.p->want[k * PAGE / 8] = words[k * PAGE / 8];
		k = *stores;
		igt_assert_lte_u64(k, words[(first + k % n) * PAGE / 8]);
		check(&b);
	}
	munmap((void *)stores, PAGE);
	coh_buf_destroy(&b);
}

/* ---- when a store counts ---------------------------------------------------- */

/*
 * An upload is no snapshot. A store behind the ioctl may be seen by the submission
 * already; the next one has to see it.
 */
static void later_store(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	const uint64_t word = 640 * PAGE / 8;
	volatile uint64_t *map = b.bo->map;
	int i, early = 0, rounds = 30;
	uint64_t got;

	for (i = 0; i < rounds; i++) {
		map[word] = 2 * i;
		coh_snapshot(b.bo, b.snap);
		map[word] = 2 * i + 1;
		got = ((const uint64_t *)coh_fetch(b.snap))[word];
		igt_assert_f(got == 2u * i || got == 2u * i + 1, "round %d: %" PRIu64 "\n",
			     i, got);
		early += got & 1;
		coh_snapshot(b.bo, b.snap);
		got = ((const uint64_t *)coh_fetch(b.snap))[word];
		igt_assert_eq_u64(got, 2u * i + 1);
	}
	igt_info("%d of %d stores were seen by the submission before them\n", early, rounds);
	b.p->want[word] = got;
	check(&b);
	coh_buf_destroy(&b);
}

/* Of all CPUs since boot; -1 if the kernel does not count it */
static int64_t vmstat(const char *name)
{
	FILE *f = fopen("/proc/vmstat", "r");
	int64_t value = -1, v;
	char line[128];

	igt_assert(f);
	while (value < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %" SCNd64, &v) == 1 &&
		    !strncmp(line, name, strlen(name)) &&
		    line[strlen(name)] == ' ')
			value = v;
	fclose(f);
	return value;
}

static void fault_lock(struct egm_dev *dev)
{
	const int64_t faults = SIZE / PAGE / 64 + 1;
	struct coh_buf b;
	int64_t retries, done, page;

	igt_require_f(vmstat("vma_lock_retry") >= 0,
		      "the kernel has no CONFIG_PER_VMA_LOCK_STATS\n");
	b = coh_buf_warm(dev, SIZE);
	settle(&b);
	retries = vmstat("vma_lock_retry");
	done = vmstat("vma_lock_success");
	/* From back to front, so that each of them faults. */
	for (page = (faults - 1) * 64; page >= 0; page -= 64)
		fill(&b, b.bo->map, 0, page, 1);
	done = vmstat("vma_lock_success") - done;
	retries = vmstat("vma_lock_retry") - retries;
	igt_info("%" PRId64 " faults with the VMA's lock, %" PRId64
		 " once more with mmap_lock\n", done, retries);
	igt_assert_lte(faults, done);
	/* There are other processes as well. */
	igt_assert_lt(retries, faults / 2);
	check(&b);
	coh_buf_destroy(&b);
}

static const struct coh_subtest subtests[] = {
	{ "two-vmas", "C1: two mappings of a buffer in one process", two_vmas },
	{ "two-processes", "C1: three processes write the same pages", two_processes },
	{ "read-only-first", "C1: mappings that cannot be written beside one that can (defect 4)", read_only_first },
	{ "private-refused", "C1: private mappings are refused", private_refused },
	{ "partial", "C1, C3: mappings of a few pages (defect G1)", partial },
	{ "beyond-the-end", "C1: a mapping longer than the buffer is refused", beyond_the_end },
	{ "populate", "C1: a mapping filled ahead by MAP_POPULATE", populate },
	{ "munmap", "C3: pages unmapped between write and submission (defect V2)", munmap_all },
	{ "munmap-repeatedly", "C3: many short mappings between two submissions (defect V2)", munmap_repeatedly },
	{ "munmap-hole", "C3: a hole in the middle of what was written (defects V2, G1)", munmap_hole },
	{ "map-fixed", "C3: another mapping put over written pages (defect V2)", map_fixed },
	{ "mprotect-roundtrip", "C3: made read-only and writable again, then written (defect 5)", mprotect_roundtrip },
	{ "mprotect-rare", "C3: the same with a page that is written rarely (defect 5)", mprotect_rare },
	{ "mprotect-none", "C3: made inaccessible after the write", mprotect_none },
	{ "split-mprotect", "C1: fault behind a page of other protection (defect G1)", split_mprotect },
	{ "split-munmap", "C1: fault behind an unmapped page (defect G1)", split_munmap },
	{ "mremap-move", "C3: written pages moved to another address", mremap_move },
	{ "mremap-grow", "C3: growing and duplicating are refused", mremap_grow },
	{ "mremap-shrink", "C3: written pages cut off by mremap", mremap_shrink },
	{ "madvise", "C3: advice to drop written pages", madvise_drop },
	{ "fork", "C1, C3: parent and child write after fork", fork_both_write },
	{ "child-exit", "C3: the writer has exited before the submission", child_exit },
	{ "child-exec", "C3: the writer has become another program", child_exec },
	{ "child-killed", "C3: stores completed before SIGKILL", child_killed },
	{ "later-store", "C1, C3: a store behind the ioctl is seen by the next submission", later_store },
	{ "fault-lock", "C5: a store faults once, without mmap_lock", fault_lock },
};

int coh_main()
{
	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
