// SPDX-License-Identifier: MIT
/**
 * TEST: coherent basic
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: What the CPU writes into a coherent buffer is what the device works on,
 *	and it costs what was written: contract C1 and C5 with one process and one mapping.
 *
 * SUBTEST: sensitivity-compare
 * Description: C1: the comparison tells lost, stale and misplaced data
 *
 * SUBTEST: snapshot-path
 * Description: C1: the way the device's copy is read, with plain buffers
 *
 * SUBTEST: first-write
 * Description: C1: all of a buffer written before its first submission (defect V1)
 *
 * SUBTEST: sparse-first-write
 * Description: C1: a few words written before the first submission (defect V1)
 *
 * SUBTEST: edges
 * Description: C1: single bytes on both sides of page and chunk edges
 *
 * SUBTEST: random-writes
 * Description: C1: random bytes and ranges ahead of each of many submissions
 *
 * SUBTEST: write-after-idle
 * Description: C1: pages written again after any number of idle submissions
 *
 * SUBTEST: not-listed
 * Description: C1: submissions that do not list a buffer take nothing from it
 *
 * SUBTEST: two-buffers
 * Description: C1: two dirty buffers in one submission
 *
 * SUBTEST: device-to-device
 * Description: C1: the device copies between coherent buffers the CPU writes
 *
 * SUBTEST: listed-twice
 * Description: C1: a buffer twice in the handle list is refused or taken, nothing is
 *	lost
 *
 * SUBTEST: many-buffers
 * Description: C1: 500 buffers in each submission, of which few are dirty
 *
 * SUBTEST: few-of-many
 * Description: C1, C5: of 10,000 buffers few are dirty, and only those are uploaded
 *
 * SUBTEST: idle-cost
 * Description: C5: submissions with 256 MiB nobody writes to scan, flush and upload
 *	nothing
 *
 * SUBTEST: one-page-cost
 * Description: C5: one word written uploads exactly one page, once
 *
 * SUBTEST: upload-bytes
 * Description: C5: bytes uploaded are within 10 % of the dirty pages' size
 *
 * SUBTEST: transfer-from-host
 * Description: C1: a transfer from the host does not overwrite the CPU's newer data
 *
 * SUBTEST: transfer-neighbours
 * Description: C1, C2: a transfer brings the device's pages and keeps the dirty ones
 *	beside them
 *
 * SUBTEST: sensitivity
 * Description: C1: an upload dropped on request is noticed, in exactly its page
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "coherent.h"
#include "igt_core.h"
#include <virtgpu.h>

IGT_TEST_DESCRIPTION("Coherent buffers: content and cost, one mapping");

/* The longest a tracker may take to close a chunk nobody writes to. */
#define SETTLE 40

static void buf_fill(struct coh_buf *b, uint64_t off, uint64_t len)
{
	pattern_fill(b->p, b->bo->map, off, len);
}

static void settle(struct egm_bo *bo)
{
	int i;

	for (i = 0; i < SETTLE; i++)
		coh_touch(bo);
	/* what a device uploads later would be counted later, too */
	coh_wait(bo);
}

static void first_write(struct egm_dev *dev, uint64_t size)
{
	struct coh_buf b;

	/* buffer, snapshot, pattern and the host's buffers are elsewhere */
	igt_require_f(coh_meminfo("MemAvailable:") > 7 * size / 2,
		      "not enough memory for a buffer of %" PRIu64 " MiB\n",
		      size >> 20);

	b = coh_buf_create(dev, size);
	buf_fill(&b, 0, size);
	coh_buf_check(&b);
	coh_buf_destroy(&b);
}

static void sparse_first_write(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, MiB(8));
	struct rng r = rng_new(1);
	int i;

	for (i = 0; i < 40; i++)
		buf_fill(&b, rng_below(&r, b.bo->size / 8) * 8, 8);
	coh_buf_check(&b);
	coh_buf_destroy(&b);
}

/* Both sides of each place where pages or chunks of any size may meet. */
static void edges(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, 1025 * PAGE);
	uint64_t pages;

	buf_fill(&b, 0, b.bo->size);
	coh_buf_check(&b);

	for (pages = 1; pages <= 512; pages *= 2) {
		uint64_t edge = pages * PAGE;

		pattern_poke(b.p, b.bo->map, edge - 1, 1);
		coh_buf_check(&b);
		pattern_poke(b.p, b.bo->map, edge, 1);
		coh_buf_check(&b);
		settle(b.bo);
		pattern_poke(b.p, b.bo->map, edge - 3, 8);
		pattern_poke(b.p, b.bo->map, b.bo->size - edge, 1);
		coh_buf_check(&b);
	}
	pattern_poke(b.p, b.bo->map, 0, 1);
	coh_buf_check(&b);
	pattern_poke(b.p, b.bo->map, b.bo->size - 1, 1);
	coh_buf_check(&b);
	coh_buf_destroy(&b);
}

static void random_writes(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, MiB(4));
	struct rng r = rng_new(2);
	int i;

	buf_fill(&b, 0, b.bo->size);
	for (i = 0; i < 200; i++) {
		unsigned int n = rng_below(&r, 8);

		while (n--) {
			uint64_t len = 1 + rng_below(&r, 1ull << rng_below(&r, 17));
			uint64_t off = rng_below(&r, b.bo->size - len);

			if (rng_below(&r, 2))
				pattern_poke(b.p, b.bo->map, off, len);
			else
				buf_fill(&b, off & ~7ull, (len + 7) & ~7ull);
		}
		coh_buf_check(&b);
	}
	coh_buf_destroy(&b);
}

/*
 * The states a page goes through: written in this pass, in the one before,
 * not for so long that the kernel protected it again.
 */
static void write_after_idle(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, MiB(1));
	struct rng r = rng_new(3);
	int idle, i;

	buf_fill(&b, 0, b.bo->size);
	for (idle = 0; idle < 20; idle++) {
		uint64_t page = rng_below(&r, b.bo->size / PAGE) * PAGE;

		buf_fill(&b, page, PAGE);
		for (i = 0; i < idle; i++)
			coh_touch(b.bo);
		buf_fill(&b, page + 64, 8);
		coh_buf_check(&b);
	}
	coh_buf_destroy(&b);
}

/* Submissions that do not list the buffer leave what it has to upload alone. */
static void not_listed(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, MiB(1));
	struct coh_buf other = coh_buf_create(dev, PAGE);
	int i;

	buf_fill(&b, 0, b.bo->size);
	coh_buf_check(&b);
	buf_fill(&b, 0, MiB(1) / 2);
	for (i = 0; i < SETTLE; i++) {
		buf_fill(&other, 0, PAGE);
		coh_buf_check(&other);
	}
	coh_buf_check(&b);
	coh_buf_destroy(&b);
	coh_buf_destroy(&other);
}

static void two_buffers(struct egm_dev *dev)
{
	struct coh_buf b[2] = {
		coh_buf_create(dev, MiB(1)), coh_buf_create(dev, 17 * PAGE),
	};
	struct rng r = rng_new(4);
	int i, j;

	buf_fill(&b[0], 0, b[0].bo->size);
	buf_fill(&b[1], 0, b[1].bo->size);

	for (i = 0; i < 50; i++) {
		struct egm_copy copy[2];

		for (j = 0; j < 2; j++) {
			uint64_t pages = b[j].bo->size / PAGE;

			buf_fill(&b[j], rng_below(&r, pages) * PAGE, PAGE);
			copy[j] = (struct egm_copy){
				.dst = b[j].snap,
				.src = b[j].bo,
				.len = b[j].bo->size,
			};
		}
		coh_submit(dev, copy, 2, NULL, 0);
		for (j = 0; j < 2; j++)
			pattern_assert(b[j].p, coh_fetch(b[j].snap), 0,
				       b[j].bo->size);
	}
	coh_buf_destroy(&b[0]);
	coh_buf_destroy(&b[1]);
}

/* The device writes a coherent buffer from another; both are read by copies. */
static void device_to_device(struct egm_dev *dev)
{
	struct coh_buf a = coh_buf_create(dev, KiB(256));
	struct coh_buf b = coh_buf_create(dev, KiB(256));
	struct egm_copy copy = { .dst = b.bo, .src = a.bo, .len = KiB(64) };
	int i;

	buf_fill(&a, 0, a.bo->size);
	buf_fill(&b, 0, b.bo->size);
	for (i = 0; i < 4; i++) {
		copy.src_off = KiB(64) * i;
		copy.dst_off = KiB(64) * (3 - i);
		buf_fill(&a, copy.src_off, copy.len);
		coh_submit(dev, &copy, 1, NULL, 0);
		pattern_copied(b.p, copy.dst_off, a.p, copy.src_off, copy.len);
	}
	coh_buf_check(&a);
	coh_buf_check(&b);
	coh_buf_destroy(&a);
	coh_buf_destroy(&b);
}

/*
 * A driver can refuse that, as one with drm_gem_lock_reservations() does, which
 * does not take the same buffer twice; nothing is lost either way.
 */
static void listed_twice(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, KiB(64));
	uint32_t handles[2] = { b.bo->handle, b.bo->handle };
	int ret;

	buf_fill(&b, 0, b.bo->size);
	ret = dev->drv->submit(dev->fd, NULL, 0, handles, 2);
	igt_assert_f(!ret || ret == -EALREADY || ret == -EDEADLK,
		     "a handle listed twice: %s\n", strerror(-ret));
	coh_buf_check(&b);
	coh_buf_destroy(&b);
}

static void many_buffers(struct egm_dev *dev)
{
	enum { COUNT = 500 };
	const uint64_t size = 4 * PAGE;
	static struct egm_bo *bo[COUNT];
	struct egm_bo *snap = coh_create_plain(dev, size);
	struct pattern *p = pattern_new(COUNT * size);
	struct rng r = rng_new(5);
	int i, j;

	for (i = 0; i < COUNT; i++) {
		bo[i] = coh_create(dev, size);
		pattern_fill(p, (char *)bo[i]->map - i * size, i * size, size);
	}
	for (i = 0; i < 10; i++) {
		int dirty[8];

		for (j = 0; j < 8; j++) {
			dirty[j] = rng_below(&r, COUNT);
			pattern_fill(p, (char *)bo[dirty[j]]->map -
				     dirty[j] * size, dirty[j] * size +
				     rng_below(&r, 4) * PAGE, PAGE);
		}
		coh_submit(dev, NULL, 0, bo, COUNT);
		for (j = 0; j < 8; j++) {
			coh_snapshot(bo[dirty[j]], snap);
			pattern_assert(p, coh_fetch(snap), dirty[j] * size,
				       size);
		}
	}
	for (i = 0; i < COUNT; i++) {
		coh_snapshot(bo[i], snap);
		pattern_assert(p, coh_fetch(snap), i * size, size);
		egm_bo_destroy(bo[i]);
	}
	egm_bo_destroy(snap);
	pattern_free(p);
}

/* Lockdep counts no more than 4095 locks of a kind held at a time. */
#define AT_ONCE 2000

static void submit_all(struct egm_dev *dev, struct egm_bo **bo, int n)
{
	int i;

	for (i = 0; i < n; i += AT_ONCE)
		coh_submit(dev, NULL, 0, bo + i, n - i < AT_ONCE ? n - i : AT_ONCE);
	for (i = 0; i < n; i += AT_ONCE)
		coh_wait(bo[i]);
}

/*
 * Of 10,000 buffers, or as many as --buffers says, few are dirty: those are
 * uploaded, and nothing else.
 */
static void few_of_many(struct egm_dev *dev)
{
	enum { MOST = 10000, DIRTY = 5, ROUNDS = 3 };
	static struct egm_bo *bo[MOST];
	int count = coh_counts.buffers ?: MOST;
	struct egm_bo *snap = coh_create_plain(dev, PAGE);
	struct pattern *p = pattern_new(count * PAGE);
	struct egm_counters before, after;
	struct rng r = rng_new(9);
	int i, j;

	igt_assert_f(count >= DIRTY && count <= MOST,
		     "--buffers must be a number from %d to %d\n", DIRTY, MOST);
	for (i = 0; i < count; i++)
		bo[i] = coh_create(dev, PAGE);
	for (i = 0; i < 3; i++)
		submit_all(dev, bo, count);
	for (i = 0; i < ROUNDS; i++) {
		int dirty[DIRTY];

		coh_counters(dev, &before);
		for (j = 0; j < DIRTY; j++) {
			/* no two the same */
			dirty[j] = j + DIRTY * rng_below(&r, count / DIRTY);
			pattern_fill(p, (char *)bo[dirty[j]]->map -
				     dirty[j] * PAGE, dirty[j] * PAGE, PAGE);
		}
		submit_all(dev, bo, count);
		coh_counters(dev, &after);
		igt_assert_eq_u64(coh_delta(&before, &after, "upload_bytes"),
				  DIRTY * PAGE);
		for (j = 0; j < DIRTY; j++) {
			coh_snapshot(bo[dirty[j]], snap);
			pattern_assert(p, coh_fetch(snap), dirty[j] * PAGE, PAGE);
		}
	}
	/* newest first: that is how they are found in their list */
	for (i = count; i--; )
		egm_bo_destroy(bo[i]);
	egm_bo_destroy(snap);
	pattern_free(p);
}

static const char *const walk_costs[] = {
	"ptes_scanned", "notifier_ranges", "tlb_flushes", "upload_bytes",
};

static void assert_no_cost(const struct egm_counters *before,
			   const struct egm_counters *after)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(walk_costs); i++) {
		uint64_t delta = coh_delta(before, after, walk_costs[i]);

		igt_assert_f(!delta, "%s moved by %" PRIu64 "\n",
			     walk_costs[i], delta);
	}
}

/*
 * A buffer nobody writes to: never touched, then with every page mapped for
 * reading, then once written and long left alone.
 */
static void idle_cost(struct egm_dev *dev)
{
	struct egm_counters before, after;
	struct egm_bo *bo;
	int i, state;

	igt_require_f(coh_meminfo("MemAvailable:") > MiB(400),
		      "not enough memory for a buffer of 256 MiB\n");
	bo = coh_create(dev, MiB(256));

	for (state = 0; state < 3; state++) {
		volatile uint64_t *word = bo->map;
		uint64_t w;

		if (state == 1)
			for (w = 0; w < bo->size / 8; w += PAGE / 8)
				(void)word[w];
		if (state == 2)
			for (w = 0; w < bo->size / 8; w += MiB(1) / 8)
				word[w] = w;
		settle(bo);
		coh_counters(dev, &before);
		for (i = 0; i < 100; i++)
			coh_touch(bo);
		coh_counters(dev, &after);
		assert_no_cost(&before, &after);
	}
	egm_bo_destroy(bo);
}

static void one_page_cost(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, MiB(16));
	struct egm_counters before, after;
	struct rng r = rng_new(6);
	int i;

	buf_fill(&b, 0, b.bo->size);
	coh_buf_check(&b);
	for (i = 0; i < 10; i++) {
		settle(b.bo);
		coh_counters(dev, &before);
		buf_fill(&b, rng_below(&r, b.bo->size / 8) * 8, 8);
		coh_buf_check(&b);
		coh_counters(dev, &after);
		igt_assert_eq_u64(coh_delta(&before, &after, "upload_bytes"),
				  PAGE);
		igt_assert_eq_u64(coh_delta(&before, &after, "uploads"), 1);
	}
	coh_buf_destroy(&b);
}

static void upload_bytes(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, MiB(32));
	const uint64_t pages = b.bo->size / PAGE;
	struct egm_counters before, after;
	struct rng r = rng_new(7);
	uint64_t dirty = 0, bytes;
	bool *seen = calloc(pages, sizeof(*seen));
	int round;

	igt_assert(seen);
	buf_fill(&b, 0, b.bo->size);
	coh_buf_check(&b);
	settle(b.bo);
	coh_counters(dev, &before);
	for (round = 0; round < 30; round++) {
		uint64_t i, n = pages / 50;

		memset(seen, 0, pages * sizeof(*seen));
		for (i = 0; i < n; i++) {
			uint64_t page = rng_below(&r, pages);

			dirty += !seen[page];
			seen[page] = true;
			buf_fill(&b, page * PAGE +
				 rng_below(&r, PAGE / 8) * 8, 8);
		}
		coh_touch(b.bo);
	}
	coh_wait(b.bo);
	coh_counters(dev, &after);
	free(seen);

	bytes = coh_delta(&before, &after, "upload_bytes");
	igt_info("%" PRIu64 " dirty bytes, %" PRIu64 " uploaded\n",
		 dirty * PAGE, bytes);
	igt_assert_lte_u64(dirty * PAGE, bytes);
	igt_assert_lte_u64(bytes, dirty * PAGE * 11 / 10);
	coh_buf_check(&b);
	coh_buf_destroy(&b);
}

/* An explicit transfer counts as a submission: what it reads is as written. */
static void transfer_from_host(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, KiB(256));
	int i;

	igt_require_f(dev->drv == &egm_virtio_gpu,
		      "only virtio-gpu has explicit transfers\n");
	buf_fill(&b, 0, b.bo->size);
	for (i = 0; i < 8; i++) {
		uint64_t off = i * KiB(32);

		buf_fill(&b, off, KiB(16));
		igt_assert_eq(virtgpu_transfer_from_host(dev->fd, b.bo->handle,
							 off, KiB(8)), 0);
		coh_wait(b.bo);
		pattern_assert(b.p, b.bo->map, 0, b.bo->size);
	}
	coh_buf_check(&b);
	coh_buf_destroy(&b);
}

/*
 * The device writes some pages and the CPU others; the transfer brings the
 * device's into memory, and the CPU's still reach the device.
 */
static void transfer_neighbours(struct egm_dev *dev)
{
	struct coh_buf a = coh_buf_create(dev, 16 * PAGE);
	struct coh_buf b = coh_buf_create(dev, 16 * PAGE);
	struct egm_copy copy = { .dst = b.bo, .src = a.bo, .len = PAGE };
	int page;

	igt_require_f(dev->drv == &egm_virtio_gpu,
		      "only virtio-gpu has explicit transfers\n");
	buf_fill(&a, 0, a.bo->size);
	buf_fill(&b, 0, b.bo->size);
	coh_touch(b.bo);
	settle(b.bo);
	for (page = 1; page < 15; page++) {
		copy.dst_off = copy.src_off = page * PAGE;
		coh_submit(dev, &copy, 1, NULL, 0);
		pattern_copied(b.p, copy.dst_off, a.p, copy.src_off, PAGE);

		buf_fill(&b, (page - 1) * PAGE, PAGE);
		buf_fill(&b, (page + 1) * PAGE, PAGE);
		igt_assert_eq(virtgpu_transfer_from_host(dev->fd, b.bo->handle,
							 page * PAGE, PAGE), 0);
		coh_wait(b.bo);
		pattern_assert(b.p, b.bo->map, 0, b.bo->size);
		coh_buf_check(&b);
	}
	coh_buf_destroy(&a);
	coh_buf_destroy(&b);
}

/*
 * The tests are able to fail: an upload that the kernel drops on request is
 * missed, in exactly that page, until the page is written again.
 */
static void sensitivity(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_create(dev, MiB(1));
	struct pattern_diff diff;
	struct rng r = rng_new(8);
	int i;

	buf_fill(&b, 0, b.bo->size);
	coh_buf_check(&b);
	for (i = 0; i < 10; i++) {
		uint64_t page = rng_below(&r, b.bo->size / PAGE) * PAGE;

		settle(b.bo);
		buf_fill(&b, page, PAGE);
		coh_drop_uploads(dev, 1);
		coh_snapshot(b.bo, b.snap);
		igt_assert(!pattern_compare(b.p, coh_fetch(b.snap), 0,
					    b.bo->size, &diff));
		igt_assert_eq(diff.n_ranges, 1);
		igt_assert_eq_u64(diff.range[0].start, page);
		igt_assert_eq_u64(diff.range[0].end, page + PAGE);

		buf_fill(&b, page, PAGE);
		coh_buf_check(&b);
	}
	coh_buf_destroy(&b);
}

/* The same of the comparison alone, on any kernel: stale, lost, misplaced. */
static void sensitivity_compare(void)
{
	const uint64_t size = 16 * PAGE;
	struct pattern *p = pattern_new(size);
	struct pattern_diff diff;
	char *mem = malloc(size), old[16];

	igt_assert(mem);
	pattern_fill(p, mem, 0, size);
	igt_assert(pattern_compare(p, mem, 0, size, &diff));

	memcpy(old, mem + 5 * PAGE, sizeof(old));
	pattern_fill(p, mem, 5 * PAGE, 8);
	memcpy(mem + 5 * PAGE, old, 8);
	memcpy(mem + 7 * PAGE, mem + 8 * PAGE, PAGE);
	memset(mem + 15 * PAGE, 0, PAGE);
	mem[3 * PAGE + 1]++;
	igt_assert(!pattern_compare(p, mem, 0, size, &diff));
	igt_assert_eq(diff.n_ranges, 4);
	igt_assert_eq_u64(diff.range[0].start, 3 * PAGE);
	igt_assert_eq_u64(diff.range[0].end, 3 * PAGE + 8);
	igt_assert_eq_u64(diff.range[1].start, 5 * PAGE);
	igt_assert_eq_u64(diff.range[1].end, 5 * PAGE + 8);
	igt_assert_eq_u64(diff.range[2].start, 7 * PAGE);
	igt_assert_eq_u64(diff.range[2].end, 8 * PAGE);
	igt_assert_eq_u64(diff.range[3].start, 15 * PAGE);
	igt_assert_eq_u64(diff.range[3].end, 16 * PAGE);
	free(mem);
	pattern_free(p);
}

static const struct coh_subtest subtests[] = {
	{ "sparse-first-write",
	  "C1: a few words written before the first submission (defect V1)",
	  sparse_first_write },
	{ "edges",
	  "C1: single bytes on both sides of page and chunk edges",
	  edges },
	{ "random-writes",
	  "C1: random bytes and ranges ahead of each of many submissions",
	  random_writes },
	{ "write-after-idle",
	  "C1: pages written again after any number of idle submissions",
	  write_after_idle },
	{ "not-listed",
	  "C1: submissions that do not list a buffer take nothing from it",
	  not_listed },
	{ "two-buffers",
	  "C1: two dirty buffers in one submission",
	  two_buffers },
	{ "device-to-device",
	  "C1: the device copies between coherent buffers the CPU writes",
	  device_to_device },
	{ "listed-twice",
	  "C1: a buffer twice in the handle list is refused or taken, nothing is lost",
	  listed_twice },
	{ "many-buffers",
	  "C1: 500 buffers in each submission, of which few are dirty",
	  many_buffers },
	{ "few-of-many",
	  "C1, C5: of 10,000 buffers few are dirty, and only those are uploaded",
	  few_of_many },
	{ "idle-cost",
	  "C5: submissions with 256 MiB nobody writes to scan, flush and upload nothing",
	  idle_cost },
	{ "one-page-cost",
	  "C5: one word written uploads exactly one page, once",
	  one_page_cost },
	{ "upload-bytes",
	  "C5: bytes uploaded are within 10 % of the dirty pages' size",
	  upload_bytes },
	{ "transfer-from-host",
	  "C1: a transfer from the host does not overwrite the CPU's newer data",
	  transfer_from_host },
	{ "transfer-neighbours",
	  "C1, C2: a transfer brings the device's pages and keeps the dirty ones beside them",
	  transfer_neighbours },
	{ "sensitivity",
	  "C1: an upload dropped on request is noticed, in exactly its page",
	  sensitivity },
};

static const struct {
	const char *name;
	uint64_t size;
} sizes[] = {
	{ "4KiB", KiB(4) },
	{ "64KiB", KiB(64) },
	{ "256KiB", KiB(256) },
	{ "260KiB", KiB(260) },
	{ "2MiB", MiB(2) },
	{ "2052KiB", KiB(2052) },
	{ "16MiB", MiB(16) },
	{ "64MiB", MiB(64) },
	{ "256MiB", MiB(256) },
};

/*
 * How the tests look at the device's copy, without any coherent buffer: what
 * is pushed comes back through a device copy, and nothing else does.
 */
static void snapshot_path(struct egm_dev *dev)
{
	struct egm_bo *src = coh_create_plain(dev, MiB(2));
	struct egm_bo *dst = coh_create_plain(dev, MiB(2));
	struct pattern *p = pattern_new(MiB(2));
	struct pattern_diff diff;

	pattern_fill(p, src->map, 0, src->size);
	igt_assert_eq(dev->drv->push(dev->fd, src->handle, 0, src->size), 0);
	coh_snapshot(src, dst);
	pattern_assert(p, coh_fetch(dst), 0, src->size);

	pattern_fill(p, src->map, MiB(1), PAGE);
	coh_snapshot(src, dst);
	igt_assert(!pattern_compare(p, coh_fetch(dst), 0, src->size, &diff));
	igt_assert_eq(diff.n_ranges, 1);
	igt_assert_eq_u64(diff.range[0].start, MiB(1));
	igt_assert_eq_u64(diff.range[0].end, MiB(1) + PAGE);

	egm_bo_destroy(src);
	egm_bo_destroy(dst);
	pattern_free(p);
}

int coh_main()
{
	igt_describe("C1: the comparison tells lost, stale and misplaced data");
	igt_subtest("sensitivity-compare")
		sensitivity_compare();

	igt_describe("C1: the way the device's copy is read, with plain buffers");
	igt_subtest_with_dynamic("snapshot-path") {
		static size_t d;

		for (d = 0; coh_driver(d); d++) {
			igt_dynamic(coh_driver(d)->name) {
				struct egm_dev *dev = coh_open_plain(coh_driver(d));

				snapshot_path(dev);
				coh_close(dev);
			}
		}
	}

	igt_describe("C1: all of a buffer written before its first submission (defect V1)");
	igt_subtest_with_dynamic("first-write") {
		static char name[64];
		static size_t d, s;

		for (d = 0; coh_driver(d); d++) {
			for (s = 0; s < ARRAY_SIZE(sizes); s++) {
				snprintf(name, sizeof(name), "%s-%s",
					 coh_driver(d)->name, sizes[s].name);
				igt_dynamic(name) {
					struct egm_dev *dev = coh_open(coh_driver(d));

					first_write(dev, sizes[s].size);
					coh_close(dev);
				}
			}
		}
	}

	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
