// SPDX-License-Identifier: MIT
/* One long file: all of it needs the same helpers and the same exit handler. */
/**
 * TEST: coherent memory
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C3 where memory is short: allocations fail in the kernel, others
 *	have taken the memory, or it is on a swap device. A request may fail with ENOMEM. No
 *	store is lost by that, and the same request does it all when there is memory again.
 *
 * SUBTEST: submit
 * Description: C3: submissions that fail for want of memory take no store with them
 *	(defect 12)
 *
 * SUBTEST: fault
 * Description: C1, C3: stores whose page faults find no memory
 *
 * SUBTEST: mappings
 * Description: C3: mappings split, moved, inherited and removed without memory for it
 *
 * SUBTEST: create
 * Description: C3: buffers that cannot be made, shared or mapped
 *
 * SUBTEST: ranges
 * Description: C3: no memory to write down what to upload (defect 12)
 *
 * SUBTEST: low
 * Description: C3: another program has the memory
 *
 * SUBTEST: swap
 * Description: C3: buffers and all else go to a swap device
 *
 * SUBTEST: charged
 * Description: the memory that tracking takes is charged to who asks
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"

IGT_TEST_DESCRIPTION("Coherent buffers: when memory is short");

#define RW (PROT_READ | PROT_WRITE)
/* More than a chunk; not much more, as memory is short. */
#define SIZE (MiB(2) + 67 * PAGE)

/* Writes some pages through a mapping of the whole buffer. */
static void fill_some(struct coh_buf *b, void *map, struct rng *r, int n)
{
	while (n--)
		pattern_fill(b->p, map, rng_below(r, b->bo->size / PAGE) * PAGE,
			     8 << rng_below(r, 10));
}

/*
 * A request that was refused for want of memory. shmem, which GEM objects are
 * made of, says ENOSPC if there is none for an inode. For a list of buffers
 * virtio-gpu has a name of its own for that. vmwgfx, which could not import a
 * surface, tries the dma-buf as memory, which it has not. All do so in the stock
 * kernel.
 */
static bool no_memory(const struct egm_dev *dev, int ret)
{
	return ret == -ENOMEM || ret == -ENOSPC ||
	       (ret == -ENOENT && dev->drv == &egm_virtio_gpu) ||
	       (ret == -ENOSYS && dev->drv == &egm_vmwgfx);
}

/* Up to four times; counts those that were refused. */
static int try_snapshot(const struct egm_bo *bo, const struct egm_bo *snap,
			unsigned int *refused)
{
	int ret = -1, tries;

	for (tries = 0; ret && tries < 4; tries++) {
		ret = egm_snapshot(bo, snap);
		*refused += !!ret;
	}
	return ret;
}

/* Has the driver move the buffers about, if it has a way to ask for that. */
static void disturb(struct egm_dev *dev, struct rng *r)
{
	unsigned int n = egm_disturbances(&dev->node);
	char err[EGM_ERR];
	int ret;

	if (!n)
		return;
	ret = egm_disturb(&dev->node, rng_below(r, n), err);
	igt_assert_f(!ret || no_memory(dev, ret), "%s\n", err);
}

/* ---- allocations that fail ---------------------------------------------- */

/*
 * The kernel's fault injection, for the main thread between failing_begin()
 * and failing_end() and for nobody else. Drawn at random there, by its own
 * numbers.
 */
#define TIMES 1000000

static const char *const injections[] = {
	"/sys/kernel/debug/failslab", "/sys/kernel/debug/fail_page_alloc",
};

static int make_it_fail = -1;

static int injection_set(const char *dir, const char *file, int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	snprintf(text, sizeof(text), "%d\n", value);
	return coh_write(path, text);
}

static void failing_prepare(unsigned int percent)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(injections); i++) {
		const char *dir = injections[i];

		igt_require_f(!injection_set(dir, "task-filter", 1),
			      "no fault injection in this kernel: %s\n", dir);
		igt_assert(!injection_set(dir, "ignore-gfp-wait", 0));
		igt_assert(!injection_set(dir, "interval", 1));
		igt_assert(!injection_set(dir, "space", 0));
		igt_assert(!injection_set(dir, "verbose", 0));
		igt_assert(!injection_set(dir, "times", TIMES));
		igt_assert(!injection_set(dir, "probability", percent));
	}
	igt_assert(!injection_set(injections[1], "ignore-gfp-highmem", 0));
	igt_assert(!injection_set(injections[1], "min-order", 0));

	if (make_it_fail < 0)
		make_it_fail = open("/proc/self/make-it-fail",
				    O_WRONLY | O_CLOEXEC);
	igt_assert(make_it_fail >= 0);
}

static void failing_begin(void)
{
	igt_assert(pwrite(make_it_fail, "1", 1, 0) == 1);
}

/* Keeps errno, of whatever it was that failed. */
static void failing_end(void)
{
	int error = errno;

	igt_assert(pwrite(make_it_fail, "0", 1, 0) == 1);
	errno = error;
}

/* How many allocations have failed since failing_prepare() */
static unsigned int failing_count(void)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(injections); i++) {
		char path[128];
		int left;
		FILE *f;

		snprintf(path, sizeof(path), "%s/times", injections[i]);
		f = fopen(path, "r");
		igt_assert(f && fscanf(f, "%d", &left) == 1);
		fclose(f);
		count += TIMES - left;
	}
	return count;
}

/* However a subtest ends: nothing else is to fail. */
static void failing_stop(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(injections); i++)
		injection_set(injections[i], "probability", 0);
	if (make_it_fail >= 0 && pwrite(make_it_fail, "0", 1, 0) < 0)
		igt_debug("make-it-fail: %s\n", strerror(errno));
}

static const unsigned int percents[] = { 2, 10, 30 };

/*
 * The submission may fail as often as it likes. The pages of the failed ones
 * are in the one that succeeds.
 */
static void submit(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	unsigned int refused = 0, failed = 0;
	struct rng r = rng_new(1);
	size_t i;
	int round;

	for (i = 0; i < ARRAY_SIZE(percents); i++) {
		failing_prepare(percents[i]);
		for (round = 0; round < 40; round++) {
			int ret;

			fill_some(&b, b.bo->map, &r, 6);
			disturb(dev, &r);
			failing_begin();
			ret = try_snapshot(b.bo, b.snap, &refused);
			failing_end();
			igt_assert_f(!ret || no_memory(dev, ret), "%s\n",
				     strerror(-ret));
			if (ret)
				coh_snapshot(b.bo, b.snap);
			pattern_assert(b.p, coh_fetch(b.snap), 0, SIZE);
		}
		failed += failing_count();
	}
	failing_stop();
	igt_info("%u allocations failed, %u submissions with them\n", failed,
		 refused);
	igt_assert(failed && refused);
	coh_buf_destroy(&b);
}

/*
 * A mapping of all of the buffer in a GiB of its own: it needs page tables of
 * every level but the topmost.
 */
static void *map_far(const struct egm_bo *bo, struct rng *r)
{
	uint64_t offset;
	void *map;

	igt_assert(!bo->dev->drv->mmap_offset(bo->dev->fd, bo->handle, &offset));
	do {
		map = mmap((void *)((UINT64_C(1) << 44) +
				    (rng_below(r, 1 << 10) << 30)), bo->size, RW,
			   MAP_SHARED | MAP_FIXED_NOREPLACE, bo->dev->fd, offset);
	} while (map == MAP_FAILED && errno == EEXIST);
	igt_assert(map != MAP_FAILED);
	return map;
}

/* The store waits, faulting, until there is memory for it. */
static void fault(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	unsigned int failed = 0;
	struct rng r = rng_new(2);
	size_t i;
	int round;

	for (i = 0; i < ARRAY_SIZE(percents); i++) {
		failing_prepare(percents[i]);
		for (round = 0; round < 25; round++) {
			void *map = map_far(b.bo, &r);

			failing_begin();
			fill_some(&b, map, &r, 8);
			failing_end();
			if (round & 1)
				coh_touch(b.bo);
			failing_begin();
			fill_some(&b, map, &r, 2);
			failing_end();
			if (round & 2)
				igt_assert(!munmap(map, SIZE));
			coh_buf_check(&b);
			if (!(round & 2))
				igt_assert(!munmap(map, SIZE));
		}
		failed += failing_count();
	}
	failing_stop();
	igt_info("%u allocations failed\n", failed);
	igt_assert(failed);
	coh_buf_destroy(&b);
}

/* One of the things that change a mapping; returns what the call returns. */
static int change(int which, char **map)
{
	char *part = *map + 40 * PAGE;
	int status;
	void *to;
	pid_t pid;

	switch (which) {
	case 0:
		return mprotect(part, 20 * PAGE, PROT_READ);
	case 1:
		return munmap(part + 10 * PAGE, 10 * PAGE);
	case 2:
		to = mmap(part, 5 * PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		return to == MAP_FAILED ? -1 : 0;
	case 3:
		to = mremap(*map, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			    *map + 16 * SIZE);
		if (to == MAP_FAILED)
			return -1;
		*map = to;
		return 0;
	default:
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid > 0)
			igt_assert(waitpid(pid, &status, 0) == pid);
		return pid < 0 ? -1 : 0;
	}
}

/*
 * Mappings with dirty entries are split, moved, inherited and removed, or
 * those calls fail half way.
 */
static void mappings(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	unsigned int failed = 0, refused[5] = { 0 };
	struct rng r = rng_new(3);
	size_t i;
	int round;

	for (i = 0; i < ARRAY_SIZE(percents); i++) {
		failing_prepare(percents[i]);
		for (round = 0; round < 60; round++) {
			char *map = map_far(b.bo, &r);
			int ret, which = round % 5;

			/* what is changed, and what is beside it */
			pattern_fill(b.p, map, 35 * PAGE, 30 * PAGE);
			failing_begin();
			ret = change(which, &map);
			failing_end();
			igt_assert_f(!ret || errno == ENOMEM ||
				     (which == 4 && errno == EAGAIN),
				     "change %d: %s\n", which, strerror(errno));
			refused[which] += !!ret;
			if (round & 8)
				coh_buf_check(&b);
			pattern_fill(b.p, map, 20 * PAGE, 20 * PAGE);
			pattern_fill(b.p, map, 60 * PAGE, 20 * PAGE);
			coh_buf_check(&b);
			igt_assert(!munmap(map, SIZE));
		}
		failed += failing_count();
	}
	failing_stop();
	igt_info("%u allocations failed; with them %u mprotect, %u munmap, %u mmap, %u mremap, %u fork\n",
		 failed, refused[0], refused[1], refused[2], refused[3],
		 refused[4]);
	igt_assert(failed);
	coh_buf_destroy(&b);
}

/* A buffer that cannot be made, shared or mapped leaves nothing behind. */
static void create(struct egm_dev *dev)
{
	struct egm_bo *snap = coh_create_plain(dev, SIZE);
	struct egm_dev *other = coh_open_again(dev);
	struct pattern *p = pattern_new(SIZE);
	struct egm_bo *bo = coh_create(dev, SIZE);
	unsigned int failed = 0, refused = 0;
	int tracked = coh_tracked(dev) - 1, round;
	uint32_t handle = bo->handle, res = bo->res;
	size_t i;

	egm_bo_destroy(bo);
	for (i = 0; i < ARRAY_SIZE(percents); i++) {
		failing_prepare(percents[i] / 2);
		for (round = 0; round < 60; round++) {
			struct egm_bo *theirs = NULL;
			int ret, fd = -1;

			failing_begin();
			ret = egm_bo_create(dev, SIZE, true, &bo);
			if (!ret) {
				ret = fd = egm_bo_export(bo);
				if (fd >= 0)
					ret = egm_bo_import(other, fd, &theirs);
			} else {
				bo = NULL;
			}
			failing_end();
			igt_assert_f(!ret || no_memory(dev, ret), "%s\n",
				     strerror(-ret));
			refused += !!ret;
			if (theirs && !ret) {
				pattern_fill(p, theirs->map, 0, SIZE);
				coh_snapshot(bo, snap);
				pattern_assert(p, coh_fetch(snap), 0, SIZE);
				egm_bo_destroy(theirs);
			}
			if (bo)
				egm_bo_destroy(bo);
			if (fd >= 0)
				close(fd);
		}
		failed += failing_count();
	}
	failing_stop();
	igt_info("%u allocations failed, %u buffers with them\n", failed,
		 refused);
	igt_assert(failed && refused);

	coh_assert_tracked(dev, tracked);
	bo = coh_create(dev, SIZE);
	/* the lowest free handle: none was kept */
	igt_assert_eq(bo->handle, handle);
	/* vmwgfx has one of the surface, and one of its memory. */
	if (dev->drv == &egm_vmwgfx)
		igt_assert_eq(bo->res, res);
	pattern_fill(p, bo->map, 0, SIZE);
	coh_snapshot(bo, snap);
	pattern_assert(p, coh_fetch(snap), 0, SIZE);
	egm_bo_destroy(bo);
	egm_bo_destroy(snap);
	coh_close(other);
	pattern_free(p);
}

static int fail_alloc(const struct egm_node *node, const char *file,
		      const char *text)
{
	char name[64];
	FILE *f;

	snprintf(name, sizeof(name), "fail_alloc/%s", file);
	f = egm_debugfs_open(node, name, true);
	if (!f)
		return -errno;
	fputs(text, f);
	return fclose(f) ? -errno : 0;
}

/* With no memory to write down what to upload, all of it is uploaded. */
static void ranges(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	struct egm_counters before, after;
	struct rng r = rng_new(4);
	uint64_t bytes, whole = 0;
	int i;

	igt_require_f(!fail_alloc(&dev->node, "verbose", "0"),
		      "%s has no fail_alloc in debugfs\n", dev->drv->name);
	igt_assert(!fail_alloc(&dev->node, "times", "-1"));
	for (i = 0; i < 30; i++) {
		fill_some(&b, b.bo->map, &r, 1 + 40 * (i & 1));
		coh_counters(dev, &before);
		igt_assert(!fail_alloc(&dev->node, "probability",
				       i < 10 ? "100" : "40"));
		coh_snapshot(b.bo, b.snap);
		igt_assert(!fail_alloc(&dev->node, "probability", "0"));
		pattern_assert(b.p, coh_fetch(b.snap), 0, SIZE);
		coh_counters(dev, &after);
		bytes = coh_delta(&before, &after, "upload_bytes");
		whole += bytes == SIZE;
		if (i < 10)
			igt_assert_eq_u64(bytes, SIZE);
	}
	igt_info("%" PRIu64 " of %d uploads were of the whole buffer\n", whole, i);
	coh_buf_destroy(&b);
}

/* ---- memory that others have -------------------------------------------- */

/*
 * What most of the memory is put away with, and what would keep more than is left where
 * a page has 64 KiB: the kernel keeps a huge page's memory free, 512 MiB, and 130 MiB on
 * the lists of each CPU. All sizes of small pages have huge ones of 2 MiB.
 */
static struct {
	const char *file;
	unsigned int was, is;
} sizes[] = {
	{ .file = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages" },
	{ .file = "/proc/sys/vm/watermark_boost_factor", .is = 0 },
	{ .file = "/proc/sys/vm/percpu_pagelist_high_fraction", .is = 4096 },
};
static bool put_away;

static void sizes_write(bool back)
{
	char text[16];
	int i;

	for (i = ARRAY_SIZE(sizes) - 1; i >= 0; i--) {
		snprintf(text, sizeof(text), "%u", back ? sizes[i].was : sizes[i].is);
		igt_require_f(!coh_write(sizes[i].file, text) || back,
			      "only root may do this\n");
	}
}

/*
 * Puts all but so much memory away, as huge pages that nobody uses: that takes
 * no time. How much is left in the end is for a program to take.
 *
 * This program's own pages stay, from here on. If not, the kernel would go on
 * for ever dropping and reading those of its text, which is progress: it kills
 * nobody. To be called before there are buffers.
 */
static void memory_leave(uint64_t left)
{
	uint64_t all = coh_meminfo("MemAvailable:");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		FILE *f = fopen(sizes[i].file, "r");

		igt_require_f(f && fscanf(f, "%u", &sizes[i].was) == 1,
			      "no %s in this kernel\n", sizes[i].file);
		fclose(f);
	}
	igt_require_f(all > 2 * left, "too little memory\n");
	sizes[0].is = sizes[0].was + (all - left) / MiB(2);
	put_away = true;
	igt_assert(!mlockall(MCL_CURRENT | MCL_ONFAULT));
	sizes_write(false);
}

static void memory_back(void)
{
	if (!put_away)
		return;
	sizes_write(true);
	put_away = false;
	munlockall();
}

/* A child that takes memory, and that is killed first when there is none. */
struct hog {
	pid_t pid;
	int fd;
};

/* What it is told: how much to take, or with 0 to give all back */
struct hog_take {
	uint64_t size;
	bool lock;
};

#define HOG_MAX (UINT64_C(16) << 30)

static void oom_score_set(const char *adj)
{
	igt_assert(!coh_write("/proc/self/oom_score_adj", adj));
}

static void hog_run(int fd)
{
	struct hog_take take;
	uint64_t i, taken = 0;
	char *mem;

	mem = mmap(NULL, HOG_MAX, RW, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		_exit(1);
	while (read(fd, &take, sizeof(take)) == sizeof(take)) {
		if (!take.size) {
			madvise(mem, taken, MADV_DONTNEED);
			taken = 0;
		}
		/* Pages of zeros are not written to a swap device. */
		for (i = 0; i < take.size; i += PAGE)
			mem[taken + i] = 1;
		if (take.lock && mlock(mem + taken, take.size))
			break;
		taken += take.size;
		if (write(fd, "", 1) != 1)
			break;
	}
	_exit(0);
}

/*
 * The kernel takes a process that it has killed for done a little before the last of its
 * memory is free. If it wants some in between it kills this one, and not the test.
 */
static void hog_has_another(int fd)
{
	pid_t pid = fork();

	if (pid < 0)
		_exit(1);
	if (pid)
		return;
	close(fd);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pause();
	_exit(0);
}

/* Has to be called before there are buffers: their mappings are inherited. */
static struct hog hog_start(void)
{
	struct hog hog;
	int fds[2];

	/* libigt has tests killed first. */
	oom_score_set("0");
	igt_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	hog.pid = fork();
	igt_assert(hog.pid >= 0);
	if (!hog.pid) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) ||
		    coh_write("/proc/self/oom_score_adj", "1000"))
			_exit(1);
		close(fds[0]);
		hog_has_another(fds[1]);
		hog_run(fds[1]);
	}
	close(fds[1]);
	hog.fd = fds[0];
	return hog;
}

/* False when it has been killed. */
static bool hog_takes(const struct hog *hog, uint64_t size, bool lock)
{
	struct hog_take take = { size, lock };
	char done;

	return send(hog->fd, &take, sizeof(take), MSG_NOSIGNAL) ==
	       sizeof(take) && read(hog->fd, &done, 1) == 1;
}

/* Whether the kernel has killed it. */
static bool hog_is_gone(struct hog *hog)
{
	if (hog->pid && waitpid(hog->pid, NULL, WNOHANG) == hog->pid)
		hog->pid = 0;
	return !hog->pid;
}

static bool hog_end(struct hog *hog)
{
	bool gone = hog_is_gone(hog);

	if (!gone) {
		kill(hog->pid, SIGKILL);
		waitpid(hog->pid, NULL, 0);
	}
	close(hog->fd);
	return gone;
}

/* Swap devices of the guest, and whether they are in use */
static char swaps[4][64];
static unsigned int n_swaps;
static bool swaps_are_off;

static void swaps_find(void)
{
	FILE *f = fopen("/proc/swaps", "r");

	igt_assert(f && fscanf(f, "%*[^\n]") == 0);
	for (n_swaps = 0; n_swaps < ARRAY_SIZE(swaps); n_swaps++)
		if (fscanf(f, "%63s%*[^\n]", swaps[n_swaps]) != 1)
			break;
	fclose(f);
}

static void swaps_off(void)
{
	unsigned int i;

	for (i = 0; i < n_swaps; i++)
		igt_assert_f(!swapoff(swaps[i]), "%s: %s\n", swaps[i],
			     strerror(errno));
	swaps_are_off = true;
}

static void swaps_on(void)
{
	unsigned int i;

	for (i = 0; swaps_are_off && i < n_swaps; i++)
		if (swapon(swaps[i], 0))
			igt_warn("%s: %s\n", swaps[i], strerror(errno));
	swaps_are_off = false;
}

/* Pages written to swap devices, ever */
static uint64_t swapped_out(void)
{
	FILE *f = fopen("/proc/vmstat", "r");
	uint64_t value, found = 0;
	char key[64];

	igt_assert(f);
	while (fscanf(f, "%63s %" SCNu64, key, &value) == 2)
		if (!strcmp(key, "pswpout"))
			found = value;
	fclose(f);
	return found;
}

#define LOW_BUFS 30
#define LOW_LEFT (18 * SIZE)
#define LOW_TAKEN (53 * SIZE)

/*
 * Another program has locked all but a little of the memory. Buffers are made
 * until one is refused, or until that program is killed for it. Those that are
 * there keep their contract.
 */
static void low(struct egm_dev *dev)
{
	unsigned int refused = 0, killed = 0, made = 0;
	struct egm_bo *snap;
	struct egm_bo *bos[LOW_BUFS];
	struct pattern *p[LOW_BUFS];
	struct rng r = rng_new(5);
	int round, i, n, ret = 0;

	snap = coh_create_plain(dev, SIZE);
	for (i = 0; i < LOW_BUFS; i++)
		p[i] = pattern_new(SIZE);
	swaps_find();
	swaps_off();
	memory_leave(LOW_LEFT + LOW_TAKEN);

	for (round = 0; round < 3; round++) {
		struct hog hog = hog_start();

		hog_takes(&hog, LOW_TAKEN, true);
		for (n = 0; n < LOW_BUFS && !hog_is_gone(&hog); n++) {
			ret = egm_bo_create(dev, SIZE, true, &bos[n]);
			if (ret)
				break;
			pattern_fill(p[n], bos[n]->map, 0, SIZE);
		}
		igt_assert_f(!ret || no_memory(dev, ret), "%s\n",
			     strerror(-ret));
		refused += !!ret;
		made += n;

		for (i = 0; i < 2 * n; i++) {
			int which = i % n;

			pattern_fill(p[which], bos[which]->map,
				     rng_below(&r, SIZE / PAGE) * PAGE, 512);
			ret = try_snapshot(bos[which], snap, &refused);
			igt_assert_f(!ret || no_memory(dev, ret), "%s\n",
				     strerror(-ret));
			if (!ret)
				pattern_assert(p[which], coh_fetch(snap), 0,
					       SIZE);
		}

		killed += hog_end(&hog);
		for (i = 0; i < n; i++) {
			coh_snapshot(bos[i], snap);
			pattern_assert(p[i], coh_fetch(snap), 0, SIZE);
			egm_bo_destroy(bos[i]);
		}
	}
	memory_back();
	swaps_on();
	igt_info("%u buffers, %u requests refused, the other program killed %u times\n",
		 made, refused, killed);
	igt_assert(refused || killed);

	for (i = 0; i < LOW_BUFS; i++)
		pattern_free(p[i]);
	egm_bo_destroy(snap);
}

#define SWAP_BUFS 6
#define SWAP_SIZE MiB(2)
#define SWAP_LEFT MiB(160)

/* Has the driver do something by that name, if it has it. */
static bool disturb_by(struct egm_dev *dev, const char *file)
{
	const struct egm_disturbance *d = dev->drv->disturbances;
	char err[EGM_ERR];
	unsigned int i;

	for (i = 0; i < egm_disturbances(&dev->node); i++) {
		if (strcmp(d[i].file, file))
			continue;
		igt_assert_f(!egm_disturb(&dev->node, i, err), "%s\n", err);
		return true;
	}
	return false;
}

/*
 * Buffers with dirty pages, and whatever else there is, go to a swap device
 * and come back, by faults, by submissions, and when the device is taken away.
 */
static void swap(struct egm_dev *dev)
{
	struct hog hog = hog_start();
	struct coh_buf b[SWAP_BUFS];
	struct rng r = rng_new(6);
	int round, i;

	swaps_find();
	igt_require_f(n_swaps, "no swap device in this guest: scripts/vm --swap\n");
	memory_leave(SWAP_LEFT);
	for (i = 0; i < SWAP_BUFS; i++)
		b[i] = coh_buf_warm(dev, SWAP_SIZE);

	for (round = 0; round < 3; round++) {
		uint64_t pages = swapped_out(), before, now, taken = 0;
		bool shmem;

		/* Some go out dirty, some not. */
		for (i = 0; i < SWAP_BUFS; i++) {
			fill_some(&b[i], b[i].bo->map, &r, 20);
			if (i % 3 == 0)
				coh_touch(b[i].bo);
		}
		/*
		 * Out of video memory, and to shmem. What the buffers should hold
		 * is shmem too; that and half of the buffers has to go.
		 */
		disturb_by(dev, "evict");
		shmem = disturb_by(dev, "swapout");
		before = coh_meminfo("Shmem:");
		do {
			igt_assert_f(taken < 3 * SWAP_LEFT,
				     "nothing is swapped out\n");
			igt_assert(hog_takes(&hog, MiB(8), false));
			taken += MiB(8);
			now = coh_meminfo("Shmem:");
		} while (shmem ? now + SWAP_BUFS * SWAP_SIZE * 3 / 2 > before :
			 swapped_out() < pages + MiB(8) / PAGE);
		igt_info("%" PRIu64 " MiB taken, %" PRIu64 " pages swapped out, shmem went from %" PRIu64 " to %" PRIu64 " MiB\n",
			 taken >> 20, swapped_out() - pages, before >> 20,
			 now >> 20);

		/* At first with hardly any memory */
		if (round > 0)
			igt_assert(hog_takes(&hog, 0, false));
		if (round == 1)
			for (i = 0; i < SWAP_BUFS; i++)
				coh_touch(b[i].bo);
		if (round == 2)
			swaps_off();
		for (i = 0; i < SWAP_BUFS; i++) {
			fill_some(&b[i], b[i].bo->map, &r, 20);
			coh_buf_check(&b[i]);
		}
	}
	hog_end(&hog);
	memory_back();
	swaps_on();

	for (i = 0; i < SWAP_BUFS; i++)
		coh_buf_destroy(&b[i]);
}

/* ---- who pays ----------------------------------------------------------- */

/* A control group of this process alone, or none */
static char cgroups[32], cgroup[64];

static int cgroup_set(const char *dir, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return coh_write(path, text);
}

static void cgroup_leave(void)
{
	if (*cgroup) {
		cgroup_set(cgroups, "cgroup.procs", "0");
		rmdir(cgroup);
		*cgroup = '\0';
		umount2(cgroups, MNT_DETACH);
	}
	if (*cgroups)
		rmdir(cgroups);
	*cgroups = '\0';
}

static void cgroup_enter(void)
{
	strcpy(cgroups, "/tmp/cgroup-XXXXXX");
	igt_assert(mkdtemp(cgroups));
	igt_require_f(!mount("none", cgroups, "cgroup2", 0, NULL),
		      "no control groups, version 2, in this kernel\n");
	snprintf(cgroup, sizeof(cgroup), "%s/coherent", cgroups);
	igt_assert(!mkdir(cgroup, 0755));
	igt_require_f(!cgroup_set(cgroups, "cgroup.subtree_control", "+memory"),
		      "control groups of this kernel do not account memory\n");
	igt_assert(!cgroup_set(cgroup, "cgroup.procs", "0"));
}

/* Bytes of the slab allocator that the group has been charged with */
static int64_t cgroup_slab(void)
{
	char path[128], line[128];
	int64_t bytes = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/memory.stat", cgroup);
	f = fopen(path, "r");
	igt_assert(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "slab %" SCNd64, &bytes) == 1)
			break;
	fclose(f);
	igt_assert_lte(0, bytes);
	return bytes;
}

#define CHARGED 500

/*
 * What a user makes the kernel remember about coherent buffers is that user's memory. A
 * plain buffer is charged with its file in shmem, which both have. None goes before all
 * are there: memory of files is free a while after.
 */
static void charged(struct egm_dev *dev)
{
	struct egm_bo *bos[2][CHARGED];
	int64_t cost[2], before;
	int coherent, i;

	cgroup_enter();
	for (coherent = 0; coherent < 2; coherent++) {
		before = cgroup_slab();
		for (i = 0; i < CHARGED; i++)
			bos[coherent][i] = coherent ?
				coh_create(dev, 16 * PAGE) :
				coh_create_plain(dev, 16 * PAGE);
		cost[coherent] = (cgroup_slab() - before) / CHARGED;
	}
	for (i = 0; i < CHARGED; i++) {
		egm_bo_destroy(bos[0][i]);
		egm_bo_destroy(bos[1][i]);
	}
	cgroup_leave();
	igt_info("charged with %" PRId64 " bytes of slab for a plain buffer, %" PRId64 " for a coherent one\n",
		 cost[0], cost[1]);
	igt_require_f(cost[0] >= 256, "kernel memory is not accounted\n");
	/* The tracker, its bitmaps, and what a driver needs to use it are no smaller */
	igt_assert_lte(256, cost[1] - cost[0]);
}

static void stop_all(int sig)
{
	failing_stop();
	cgroup_leave();
	memory_back();
	swaps_on();
	(void)sig;
}

static const struct coh_subtest subtests[] = {
	{ "submit",
	  "C3: submissions that fail for want of memory take no store with them (defect 12)",
	  submit },
	{ "fault", "C1, C3: stores whose page faults find no memory", fault },
	{ "mappings",
	  "C3: mappings split, moved, inherited and removed without memory for it",
	  mappings },
	{ "create", "C3: buffers that cannot be made, shared or mapped", create },
	{ "ranges",
	  "C3: no memory to write down what to upload (defect 12)", ranges },
	{ "low", "C3: another program has the memory", low },
	{ "swap", "C3: buffers and all else go to a swap device", swap },
	{ "charged", "the memory that tracking takes is charged to who asks", charged },
};

int coh_main()
{
	igt_fixture()
		igt_install_exit_handler(stop_all);

	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
