// SPDX-License-Identifier: MIT
/*
 * Contract C1 and C3 through every kind of mapping: however a byte got into
 * the buffer, and whatever has happened to the mapping since, it is seen by
 * the next submission.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xf86drm.h>

#include "coherent.h"
#include "igt_core.h"
#include "igt_fuse.h"

IGT_TEST_DESCRIPTION("Coherent buffers: every way to map and to write them");

#define RW (PROT_READ | PROT_WRITE)

/*
 * Several chunks at any chunk size, and not a multiple of one. Most writes go
 * to few of its pages, so that chunks in all states are beside them.
 */
#define SIZE (1029 * PAGE)

/* The device has what was written, and so has memory. */
static void check(struct coh_buf *b)
{
	coh_buf_check(b);
	pattern_assert(b->p, b->bo->map, 0, SIZE);
}

static void settle(struct coh_buf *b)
{
	int i;

	for (i = 0; i < 40; i++)
		coh_touch(b->bo);
}

/* Writes n pages from page on through a mapping whose first page is first. */
static void fill(struct coh_buf *b, void *map, uint64_t first, uint64_t page,
		 uint64_t n)
{
	pattern_fill(b->p, (char *)map - first * PAGE, page * PAGE, n * PAGE);
}

static void unmap_pages(void *map, uint64_t n)
{
	if (n)
		igt_assert(!munmap(map, n * PAGE));
}

/* A mapping of some pages: what is left when the others are unmapped. */
static void *map_pages(const struct egm_bo *bo, int prot, uint64_t first,
		       uint64_t n)
{
	char *map = coh_map(bo, prot, SIZE);

	unmap_pages(map, first);
	unmap_pages(map + (first + n) * PAGE, SIZE / PAGE - first - n);
	return map + first * PAGE;
}

static pid_t child_start(void)
{
	pid_t pid = fork();

	igt_assert(pid >= 0);
	return pid;
}

static int child_wait(pid_t pid)
{
	int status;

	igt_assert(waitpid(pid, &status, 0) == pid);
	return status;
}

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
		pid = child_start();
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
		igt_assert_eq(child_wait(pid), 0);
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
		pid = child_start();
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
		status = child_wait(pid);
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

/*
 * The kernel writes for another process. Mappings of device memory can refuse
 * that; what they must not do is to take it and lose it.
 */
/* Returns how many of 6 writes were taken. */
static int poke(struct egm_dev *dev,
		bool (*write_word)(pid_t pid, void *to, uint64_t word))
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int i, taken = 0;

	for (i = 0; i < 6; i++) {
		const uint64_t off = (600 + i) * PAGE + 128;
		char *to = (char *)b.bo->map + off;
		uint64_t old = b.p->want[off / 8];
		uint64_t word;
		pid_t pid;

		if (i & 1)
			settle(&b);
		pid = child_start();
		if (!pid) {
			ptrace(PTRACE_TRACEME, 0, NULL, NULL);
			raise(SIGSTOP);
			_exit(0);
		}
		igt_assert(WIFSTOPPED(child_wait(pid)));

		pattern_make(b.p, &word, off, 8);
		if (write_word(pid, to, word)) {
			igt_assert_eq_u64(*(volatile uint64_t *)to, word);
			taken++;
		} else {
			b.p->want[off / 8] = old;
		}
		check(&b);
		igt_assert(!ptrace(PTRACE_CONT, pid, NULL, NULL));
		igt_assert_eq(child_wait(pid), 0);
		check(&b);
	}
	igt_info("%d of %d writes were taken, the others refused\n", taken, i);
	coh_buf_destroy(&b);
	return taken;
}

static bool write_ptrace(pid_t pid, void *to, uint64_t word)
{
	if (!ptrace(PTRACE_POKEDATA, pid, to, word))
		return true;
	igt_assert_eq(errno, EIO);
	return false;
}

static bool write_vm(pid_t pid, void *to, uint64_t word)
{
	struct iovec local = { &word, sizeof(word) };
	struct iovec remote = { to, sizeof(word) };

	if (process_vm_writev(pid, &local, 1, &remote, 1, 0) == sizeof(word))
		return true;
	igt_assert_eq(errno, EFAULT);
	return false;
}

static bool write_proc_mem(pid_t pid, void *to, uint64_t word)
{
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	igt_assert(fd >= 0);
	n = pwrite(fd, &word, sizeof(word), (uintptr_t)to);
	close(fd);
	if (n == sizeof(word))
		return true;
	igt_assert_eq(errno, EIO);
	return false;
}

static void poke_ptrace(struct egm_dev *dev)
{
	igt_assert_eq(poke(dev, write_ptrace), 6);
}

/* A debugger can't write where the program itself could not. */
static void poke_readonly(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	const uint64_t off = 600 * PAGE + 128;
	char *map = coh_map(b.bo, PROT_READ, b.bo->size);
	pid_t pid = child_start();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	igt_assert(WIFSTOPPED(child_wait(pid)));
	errno = 0;
	igt_assert_eq_u64(ptrace(PTRACE_PEEKDATA, pid, map + off, NULL),
			  b.p->want[off / 8]);
	igt_assert_eq(errno, 0);
	igt_assert_eq(ptrace(PTRACE_POKEDATA, pid, map + off, 1), -1);
	igt_assert_eq(errno, EIO);
	igt_assert(!ptrace(PTRACE_CONT, pid, NULL, NULL));
	igt_assert_eq(child_wait(pid), 0);
	check(&b);
	munmap(map, b.bo->size);
	coh_buf_destroy(&b);
}

static void poke_vm(struct egm_dev *dev)
{
	poke(dev, write_vm);
}

static void poke_proc_mem(struct egm_dev *dev)
{
	igt_assert_eq(poke(dev, write_proc_mem), 6);
}

/* The kernel's own stores, by copy_to_user() into the mapping. */
static void read_into(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	const uint64_t off = 333 * PAGE + 512, len = 9 * PAGE;
	FILE *f = tmpfile();
	char *data = malloc(len);
	int i;

	igt_assert(f && data);
	for (i = 0; i < 6; i++) {
		if (i & 1)
			settle(&b);
		pattern_make(b.p, data, off, len);
		igt_assert(pwrite(fileno(f), data, len, 0) == (ssize_t)len);
		igt_assert(pread(fileno(f), (char *)b.bo->map + off, len, 0) ==
			   (ssize_t)len);
		check(&b);
	}
	free(data);
	fclose(f);
	coh_buf_destroy(&b);
}

/*
 * Direct I/O pins pages, which mappings of device memory refuse; a kernel that
 * takes it must see the stores. The file read is this program.
 */
static void direct_io(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	/* to both sides of the edge of a page */
	const uint64_t off = 700 * PAGE - KiB(4), len = KiB(8);
	char *map = (char *)b.bo->map + off, *data = malloc(len);
	int fd = open("/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	igt_require_f(fd >= 0, "no direct I/O on this program's file: %s\n",
		      strerror(errno));
	igt_assert(data && pread(file, data, len, 0) == (ssize_t)len);
	n = pread(fd, map, len, 0);
	if (n == (ssize_t)len)
		memcpy((char *)b.p->want + off, data, len);
	else
		igt_assert(n < 0 && errno == EFAULT);
	igt_info("direct I/O is %s\n", n < 0 ? "refused" : "taken");
	check(&b);
	free(data);
	close(file);
	close(fd);
	coh_buf_destroy(&b);
}

/* An io_uring for one request at a time */
struct ring {
	struct io_uring_params p;
	struct io_uring_sqe *sqes;
	char *rings;
	int fd;
};

#define RING_SIZE PAGE

static _Atomic uint32_t *ring_word(const struct ring *ring, uint32_t offset)
{
	return (_Atomic uint32_t *)(ring->rings + offset);
}

static struct ring ring_create(void)
{
	struct ring ring = { 0 };

	ring.fd = syscall(SYS_io_uring_setup, 1, &ring.p);
	igt_require_f(ring.fd >= 0, "no io_uring in this kernel: %s\n",
		      strerror(errno));
	igt_assert(ring.p.features & IORING_FEAT_SINGLE_MMAP);
	igt_assert(ring.p.cq_off.cqes + ring.p.cq_entries *
		   sizeof(struct io_uring_cqe) <= RING_SIZE);
	ring.rings = mmap(NULL, RING_SIZE, RW, MAP_SHARED, ring.fd,
			  IORING_OFF_SQ_RING);
	ring.sqes = mmap(NULL, PAGE, RW, MAP_SHARED, ring.fd, IORING_OFF_SQES);
	igt_assert(ring.rings != MAP_FAILED && ring.sqes != MAP_FAILED);
	return ring;
}

/* Returns what the request returned. */
static int ring_run(struct ring *ring, const struct io_uring_sqe *sqe)
{
	const struct io_sqring_offsets *sq = &ring->p.sq_off;
	const struct io_cqring_offsets *cq = &ring->p.cq_off;
	uint32_t tail = atomic_load(ring_word(ring, sq->tail));
	uint32_t head = atomic_load(ring_word(ring, cq->head));
	uint32_t slot = tail & (ring->p.sq_entries - 1);
	const struct io_uring_cqe *cqe;
	int ret;

	ring->sqes[slot] = *sqe;
	atomic_store(ring_word(ring, sq->array + slot * 4), slot);
	atomic_store(ring_word(ring, sq->tail), tail + 1);
	igt_assert_eq(syscall(SYS_io_uring_enter, ring->fd, 1, 1,
			      IORING_ENTER_GETEVENTS, NULL, 0), 1);
	igt_assert(atomic_load(ring_word(ring, cq->tail)) == head + 1);
	cqe = (const void *)(ring->rings + cq->cqes);
	ret = cqe[head & (ring->p.cq_entries - 1)].res;
	atomic_store(ring_word(ring, cq->head), head + 1);
	return ret;
}

static void ring_destroy(struct ring *ring)
{
	munmap(ring->sqes, PAGE);
	munmap(ring->rings, RING_SIZE);
	close(ring->fd);
}

/*
 * io_uring reads into the mapping as read(2) does, at once or in a thread of
 * its own. Buffers that are registered are pinned, which mappings of device
 * memory refuse.
 */
static void uring(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	const uint64_t off = 431 * PAGE + 256, len = 5 * PAGE;
	char *map = (char *)b.bo->map + off, *data = malloc(len);
	const struct iovec iov = { map, len };
	struct ring ring = ring_create();
	FILE *f = tmpfile();
	int i, ret, fixed;

	igt_assert(f && data);
	fixed = syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS,
			&iov, 1);
	igt_assert(!fixed || errno == EFAULT || errno == EOPNOTSUPP);
	igt_info("a registered buffer is %s\n",
		 fixed ? strerror(errno) : "taken");

	for (i = 0; i < 8; i++) {
		struct io_uring_sqe sqe = {
			.opcode = !fixed && i & 4 ? IORING_OP_READ_FIXED :
						    IORING_OP_READ,
			.flags = i & 2 ? IOSQE_ASYNC : 0,
			.fd = fileno(f),
			.addr = (uintptr_t)map,
			.len = len,
		};

		if (i & 1)
			settle(&b);
		pattern_make(b.p, data, off, len);
		igt_assert(pwrite(fileno(f), data, len, 0) == (ssize_t)len);
		ret = ring_run(&ring, &sqe);
		igt_assert_eq(ret, len);
		check(&b);
	}
	ring_destroy(&ring);
	free(data);
	fclose(f);
	coh_buf_destroy(&b);
}

/* ---- what wants pages, and gets none -------------------------------------- */

/*
 * These take references to pages, and there are none in a mapping of device memory: the
 * kernel refuses. Those that copy work, and their stores are seen.
 */
#define refused(call, error) do {					\
	errno = 0;							\
	igt_assert_eq((long)(call), -1);				\
	igt_assert_eq(errno, error);					\
} while (0)

/* A page of the mapping, closed or not, and other memory to exchange it with */
struct exchange {
	struct coh_buf b;
	uint64_t off;
	char *map, *data;
	struct iovec in_map, in_data;
};

static struct exchange exchange_start(struct egm_dev *dev)
{
	struct exchange e = {
		.b = coh_buf_warm(dev, SIZE),
		.off = 620 * PAGE + 512,
		.data = malloc(PAGE),
	};

	igt_assert(e.data);
	e.map = (char *)e.b.bo->map + e.off;
	e.in_map = (struct iovec){ e.map, PAGE };
	e.in_data = (struct iovec){ e.data, PAGE };
	settle(&e.b);
	return e;
}

/* New content, for something that has to take it to the mapping */
static void exchange_new(struct exchange *e)
{
	pattern_make(e->b.p, e->data, e->off, PAGE);
}

static void exchange_end(struct exchange *e)
{
	check(&e->b);
	free(e->data);
	coh_buf_destroy(&e->b);
}

/* Of another process's memory. Here it is this one's: what counts is the side. */
static void process_vm(struct egm_dev *dev)
{
	struct exchange e = exchange_start(dev);
	const pid_t pid = getpid();

	refused(process_vm_readv(pid, &e.in_data, 1, &e.in_map, 1, 0), EFAULT);
	refused(process_vm_writev(pid, &e.in_data, 1, &e.in_map, 1, 0), EFAULT);
	check(&e.b);
	igt_assert_eq(process_vm_writev(pid, &e.in_map, 1, &e.in_data, 1, 0), PAGE);
	pattern_assert(e.b.p, e.data, e.off, PAGE);
	exchange_new(&e);
	igt_assert_eq(process_vm_readv(pid, &e.in_map, 1, &e.in_data, 1, 0), PAGE);
	exchange_end(&e);
}

static void splice_pages(struct egm_dev *dev)
{
	struct exchange e = exchange_start(dev);
	int pipes[2];

	igt_assert(!pipe(pipes));
	refused(vmsplice(pipes[1], &e.in_map, 1, 0), EFAULT);
	refused(vmsplice(pipes[1], &e.in_map, 1, SPLICE_F_GIFT), EFAULT);
	check(&e.b);
	/* from a pipe it copies */
	exchange_new(&e);
	igt_assert_eq(write(pipes[1], e.data, PAGE), PAGE);
	igt_assert_eq(vmsplice(pipes[0], &e.in_map, 1, 0), PAGE);
	exchange_end(&e);
	close(pipes[0]);
	close(pipes[1]);
}

static long futex(uint32_t *word, int op, uint32_t val, uint32_t *word2, uint32_t val3)
{
	/* For those that have a second word, how many to wake there: none */
	return syscall(SYS_futex, word, op, val, NULL, word2, val3);
}

/* One that processes share is found by its page, a private one by its address. */
static void futexes(struct egm_dev *dev)
{
	struct exchange e = exchange_start(dev);
	uint32_t *word = (uint32_t *)e.map, other = 0;
	const uint32_t set = 0x5a5;

	refused(futex(word, FUTEX_WAKE, 1, NULL, 0), EFAULT);
	refused(futex(word, FUTEX_WAIT, *word, NULL, 0), EFAULT);
	refused(futex(word, FUTEX_WAIT_PRIVATE, *word + 1, NULL, 0), EAGAIN);
	igt_assert_eq(futex(word, FUTEX_WAKE_PRIVATE, 1, NULL, 0), 0);
	check(&e.b);
	settle(&e.b);
	/* it stores to the second word */
	igt_assert_eq(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, word,
			    FUTEX_OP(FUTEX_OP_SET, set, FUTEX_OP_CMP_EQ, 0)), 0);
	memcpy((char *)e.b.p->want + e.off, &set, sizeof(set));
	exchange_end(&e);
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static void madvise_populate(struct egm_dev *dev)
{
	struct exchange e = exchange_start(dev);
	char *page = e.map - e.off % PAGE;

	refused(madvise(page, PAGE, MADV_POPULATE_READ), EINVAL);
	refused(madvise(page, PAGE, MADV_POPULATE_WRITE), EINVAL);
	exchange_end(&e);
}

/* A directory on 9p without a cache, or a skip */
static void uncached_9p(char dir[128])
{
	FILE *mounts = fopen("/proc/mounts", "r");
	char line[1024], type[32], options[512];
	bool found = false;

	igt_assert(mounts);
	while (!found && fgets(line, sizeof(line), mounts))
		found = sscanf(line, "%*s %127s %31s %511s", dir, type, options) == 3 &&
			!strcmp(type, "9p") && !strstr(options, "cache=") &&
			!access(dir, W_OK);
	fclose(mounts);
	igt_require_f(found, "no 9p without a cache that can be written to\n");
}

/* A file system that has the user's pages read and written, in both directions */
static void refused_file(struct egm_dev *dev, int fd)
{
	struct exchange e = exchange_start(dev);
	int i;

	exchange_new(&e);
	igt_assert_eq(pwrite(fd, e.data, PAGE, 0), PAGE);
	for (i = 0; i < 2; i++) {
		/* large, and small enough to be copied */
		const size_t len = i ? 64 : PAGE;

		refused(pread(fd, e.map, len, 0), EFAULT);
		refused(pwrite(fd, e.map, len, 0), EFAULT);
	}
	/* which left both as they were: the other way is by other memory */
	memset(e.data, 0, PAGE);
	igt_assert_eq(pread(fd, e.data, PAGE, 0), PAGE);
	memcpy(e.map, e.data, PAGE);
	exchange_end(&e);
}

static void file_9p(struct egm_dev *dev)
{
	char path[128 + 16];
	int fd;

	uncached_9p(path);
	strcat(path, "/coherent-XXXXXX");
	fd = mkstemp(path);
	igt_assert(fd >= 0 && !unlink(path));
	refused_file(dev, fd);
	close(fd);
}

static void file_fuse(struct egm_dev *dev)
{
	int fd;
	struct fuse_file *f = fuse_file_create(PAGE, &fd);

	refused_file(dev, fd);
	fuse_file_destroy(f, fd);
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

/* The exported file has an address space of its own, if nobody sees to it. */
static void dmabuf_mmap(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int fd = coh_export_mappable(b.bo), i;
	void *map = coh_map_dmabuf(fd, SIZE);

	for (i = 0; i < 10; i++) {
		if (i & 1)
			settle(&b);
		fill(&b, map, 0, 40 * i, 3);
		fill(&b, b.bo->map, 0, 40 * i + 3, 3);
		check(&b);
		fill(&b, map, 0, 40 * i, 5);
		check(&b);
	}

	/* no mapping but the dma-buf's, and it is gone when it matters */
	egm_bo_unmap(b.bo);
	fill(&b, map, 0, 900, 8);
	unmap_pages(map, SIZE / PAGE);
	close(fd);
	b.bo->map = coh_map(b.bo, RW, SIZE);
	check(&b);
	coh_buf_destroy(&b);
}

/* Unlike a DRM file, a dma-buf can be mapped from any page on. */
static void dmabuf_mmap_part(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int fd = coh_export_mappable(b.bo), i;
	struct rng r = rng_new(4);

	for (i = 0; i < 20; i++) {
		uint64_t first = 1 + rng_below(&r, SIZE / PAGE - 9);
		uint64_t page = first + rng_below(&r, 8);
		void *map = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd,
				 first * PAGE);

		igt_assert(map != MAP_FAILED);
		fill(&b, map, first, page, 1);
		if (i & 1)
			check(&b);
		fill(&b, map, first, first + 7, 1);
		unmap_pages(map, 8);
		check(&b);
	}
	close(fd);
	coh_buf_destroy(&b);
}

static void dmabuf_mmap_first(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, SIZE);
	struct egm_bo *bo = b.bo;
	int fd = coh_export_mappable(bo);
	void *map;

	/* exported and written before any other mapping or submission */
	egm_bo_unmap(bo);
	map = coh_map_dmabuf(fd, SIZE);
	pattern_fill(b.p, map, 0, SIZE);
	bo->map = map;
	check(&b);
	fill(&b, map, 0, 900, 8);
	check(&b);
	close(fd);
	coh_buf_destroy(&b);
}

/* The dma-buf alone keeps the buffer, and what it has to upload. */
static void dmabuf_reimport(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int i, fd;

	for (i = 0; i < 4; i++) {
		settle(&b);
		fd = coh_export(b.bo);
		fill(&b, b.bo->map, 0, 77 + i, 20);
		egm_bo_destroy(b.bo);
		b.bo = coh_import(dev, fd);
		close(fd);
		check(&b);
		fill(&b, b.bo->map, 0, 99 + i, 20);
		check(&b);
	}
	coh_buf_destroy(&b);
}

/* A mapping outlives the file it was made through. */
static void closed_file(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	struct egm_dev *other = coh_open_again(dev);
	int fd = coh_export(b.bo);
	struct egm_bo *theirs = coh_import(other, fd);
	void *map = theirs->map;

	close(fd);
	theirs->map = NULL;
	fill(&b, map, 0, 10, 8);
	coh_close(other);
	check(&b);
	fill(&b, map, 0, 14, 8);
	check(&b);
	unmap_pages(map, SIZE / PAGE);
	coh_buf_destroy(&b);
}

/* Any of the contexts that share a buffer submits what any of them wrote. */
static void two_contexts(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	struct egm_dev *other = coh_open_again(dev);
	int fd = coh_export(b.bo), i;
	struct coh_buf theirs = {
		.dev = other,
		.bo = coh_import(other, fd),
		.snap = coh_create_plain(other, SIZE),
		.p = b.p,
	};

	for (i = 0; i < 10; i++) {
		fill(&b, b.bo->map, 0, 10 * i, 6);
		fill(&b, theirs.bo->map, 0, 10 * i + 6, 6);
		if (i & 1) {
			check(&b);
			check(&theirs);
		} else {
			check(&theirs);
			check(&b);
		}
	}
	close(fd);
	coh_close(other);
	coh_buf_destroy(&b);
}

static void send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	igt_assert(sendmsg(socket, &msg, 0) == 1);
}

static int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], x;
	struct iovec iov = { &x, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	int fd;

	igt_assert(recvmsg(socket, &msg, 0) == 1);
	c = CMSG_FIRSTHDR(&msg);
	igt_assert(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* A process that got the buffer over a socket, with a device of its own. */
static void other_process(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int pair[2], fd;
	char c;

	igt_assert(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	igt_fork(child, 1) {
		struct egm_dev *mine = coh_open_again(dev);
		struct coh_buf theirs = { .dev = mine, .p = b.p };
		void *map;

		fd = receive_fd(pair[1]);
		theirs.bo = coh_import(mine, fd);
		theirs.snap = coh_create_plain(mine, SIZE);
		map = coh_dmabuf_has_memory(dev) ? coh_map_dmabuf(fd, SIZE) :
			coh_map(theirs.bo, RW, SIZE);
		/* what the parent wrote, by the child's submission */
		check(&theirs);
		fill(&theirs, theirs.bo->map, 0, 800, 8);
		fill(&theirs, map, 0, 808, 8);
		/* and the child's by the parent's, while it lives ... */
		igt_assert(write(pair[1], "a", 1) == 1);
		igt_assert(read(pair[1], &c, 1) == 1);
		fill(&theirs, theirs.bo->map, 0, 804, 8);
		/* ... and when all that is the child's is gone */
	}
	/* It is the child's: nobody waits for one that has ended. */
	close(pair[1]);
	fill(&b, b.bo->map, 0, 790, 8);
	fd = coh_export(b.bo);
	send_fd(pair[0], fd);
	close(fd);
	igt_assert(read(pair[0], &c, 1) == 1);
	check(&b);
	igt_assert(write(pair[0], "b", 1) == 1);
	igt_waitchildren();
	check(&b);
	close(pair[0]);
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
	{ "two-processes", "C1: three processes write the same pages",
	  two_processes },
	{ "read-only-first",
	  "C1: mappings that cannot be written beside one that can (defect 4)",
	  read_only_first },
	{ "private-refused", "C1: private mappings are refused",
	  private_refused },
	{ "partial", "C1, C3: mappings of a few pages (defect G1)", partial },
	{ "beyond-the-end", "C1: a mapping longer than the buffer is refused",
	  beyond_the_end },
	{ "populate", "C1: a mapping filled ahead by MAP_POPULATE", populate },
	{ "munmap",
	  "C3: pages unmapped between write and submission (defect V2)",
	  munmap_all },
	{ "munmap-repeatedly",
	  "C3: many short mappings between two submissions (defect V2)",
	  munmap_repeatedly },
	{ "munmap-hole",
	  "C3: a hole in the middle of what was written (defects V2, G1)",
	  munmap_hole },
	{ "map-fixed",
	  "C3: another mapping put over written pages (defect V2)",
	  map_fixed },
	{ "mprotect-roundtrip",
	  "C3: made read-only and writable again, then written (defect 5)",
	  mprotect_roundtrip },
	{ "mprotect-rare",
	  "C3: the same with a page that is written rarely (defect 5)",
	  mprotect_rare },
	{ "mprotect-none", "C3: made inaccessible after the write",
	  mprotect_none },
	{ "split-mprotect",
	  "C1: fault behind a page of other protection (defect G1)",
	  split_mprotect },
	{ "split-munmap", "C1: fault behind an unmapped page (defect G1)",
	  split_munmap },
	{ "mremap-move", "C3: written pages moved to another address",
	  mremap_move },
	{ "mremap-grow", "C3: growing and duplicating are refused",
	  mremap_grow },
	{ "mremap-shrink", "C3: written pages cut off by mremap",
	  mremap_shrink },
	{ "madvise", "C3: advice to drop written pages", madvise_drop },
	{ "fork", "C1, C3: parent and child write after fork",
	  fork_both_write },
	{ "child-exit", "C3: the writer has exited before the submission",
	  child_exit },
	{ "child-exec", "C3: the writer has become another program",
	  child_exec },
	{ "child-killed", "C3: stores completed before SIGKILL",
	  child_killed },
	{ "poke-ptrace", "C1: PTRACE_POKEDATA is seen (defect 9)",
	  poke_ptrace },
	{ "poke-readonly", "C3: PTRACE_POKEDATA to a read-only mapping",
	  poke_readonly },
	{ "poke-process-vm",
	  "C1: process_vm_writev is refused (EFAULT) or seen (defect 9)",
	  poke_vm },
	{ "poke-proc-mem",
	  "C1: a write to /proc/pid/mem is seen (defect 9)",
	  poke_proc_mem },
	{ "read-into", "C1: read(2) of a file into the mapping", read_into },
	{ "direct-io",
	  "C1: O_DIRECT into the mapping is refused (EFAULT) or seen",
	  direct_io },
	{ "io-uring",
	  "C1: io_uring reads into the mapping; registering it is refused (EFAULT) or seen",
	  uring },
	{ "process-vm",
	  "C1: process_vm_readv and _writev, by both sides: refused (EFAULT) or seen",
	  process_vm },
	{ "vmsplice", "C1: from the mapping refused (EFAULT), into it seen",
	  splice_pages },
	{ "futex", "C1: a shared futex is refused (EFAULT), a private one's store seen",
	  futexes },
	{ "madvise-populate", "C1: MADV_POPULATE_READ and _WRITE are refused (EINVAL)",
	  madvise_populate },
	{ "file-9p", "C1: read and write of a file without a cache: refused (EFAULT)",
	  file_9p },
	{ "file-fuse", "C1: direct read and write of a file on FUSE: refused (EFAULT)",
	  file_fuse },
	{ "later-store", "C1, C3: a store behind the ioctl is seen by the next submission",
	  later_store },
	{ "dmabuf-mmap", "C1, C3: mappings of the dma-buf (defect G2)",
	  dmabuf_mmap },
	{ "dmabuf-mmap-part",
	  "C1, C3: mappings of some of the dma-buf's pages (defects G1, G2)",
	  dmabuf_mmap_part },
	{ "dmabuf-mmap-first",
	  "C1: the dma-buf's mapping is the first (defects G2, V1)",
	  dmabuf_mmap_first },
	{ "dmabuf-reimport", "C3: only the dma-buf is left for a while",
	  dmabuf_reimport },
	{ "closed-file", "C1, C3: a mapping whose DRM file is closed",
	  closed_file },
	{ "two-contexts", "C1: one buffer in the submissions of two contexts",
	  two_contexts },
	{ "other-process",
	  "C1, C3: a buffer sent to a process with its own device file",
	  other_process },
	{ "fault-lock",
	  "C5: a store faults once, without mmap_lock", fault_lock },
};

igt_main
{
	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
