// SPDX-License-Identifier: MIT
/**
 * TEST: coherent consumers
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Several device copies of one buffer, as two surfaces in a memory object:
 *	each gets every store, whichever is submitted first and however often (defect 6), and
 *	what the device has written to one of them is in the others, too.
 *
 * SUBTEST: each-first
 * Description: C1: whichever is submitted first, all get all (defect 6)
 *
 * SUBTEST: one-often
 * Description: C1: one is submitted many times before the others (defect 6)
 *
 * SUBTEST: together
 * Description: C1: all of them in one submission
 *
 * SUBTEST: late
 * Description: C1: a copy made after the stores
 *
 * SUBTEST: gone
 * Description: C3: copies that are destroyed and made anew
 *
 * SUBTEST: disturbed
 * Description: C3: the buffer is moved, evicted and swapped out
 *
 * SUBTEST: written
 * Description: C2: the device writes to one, CPU and others see it
 *
 * SUBTEST: written-together
 * Description: C2: the device writes to two, to different pages of a chunk
 *
 * SUBTEST: written-gone
 * Description: C2, C3: the one that was written is destroyed
 *
 * SUBTEST: sensitivity
 * Description: C1: an upload lost for one of them is noticed there
 */
#include <xf86drm.h>
#include <drm/vmob_drm.h>

#include "coherent.h"
#include "igt_core.h"

IGT_TEST_DESCRIPTION("Coherent buffers: several device copies of one buffer");

#define SIZE (512 * PAGE)
#define VIEWS 3

/* The buffer and views of parts of it that overlap, each with a snapshot. */
struct views {
	struct egm_dev *dev;
	struct egm_bo *bo, *snap;
	struct pattern *p;
	struct view {
		struct egm_bo bo;
		uint64_t offset;
	} view[VIEWS];
};

static void view_create(struct views *v, int i, uint64_t offset, uint64_t size)
{
	struct drm_vmob_view_create arg = {
		.bo_handle = v->bo->handle,
		.offset = offset,
		.size = size,
	};

	igt_assert_eq(drmIoctl(v->dev->fd, DRM_IOCTL_VMOB_VIEW_CREATE, &arg), 0);
	v->view[i].offset = offset;
	v->view[i].bo = (struct egm_bo){
		.dev = v->dev,
		.handle = arg.handle,
		.size = size,
	};
}

static struct views views_create(struct egm_dev *dev)
{
	return (struct views){
		.dev = dev,
		.bo = coh_create(dev, SIZE),
		.snap = coh_create_plain(dev, SIZE),
		.p = pattern_new(SIZE),
	};
}

static void views_destroy(struct views *v)
{
	int i;

	for (i = 0; i < VIEWS; i++)
		egm_bo_close_handle(&v->view[i].bo);
	egm_bo_destroy(v->bo);
	egm_bo_destroy(v->snap);
	pattern_free(v->p);
}

static void create_all(struct views *v)
{
	view_create(v, 0, 0, SIZE);
	view_create(v, 1, 0, SIZE / 2 + PAGE);
	view_create(v, 2, SIZE / 2 - PAGE, SIZE / 2 + PAGE);
}

/* Consumer 0 .. VIEWS - 1 is a view, the last the buffer itself. */
static struct egm_bo *consumer(struct views *v, int which, uint64_t *offset)
{
	*offset = which == VIEWS ? 0 : v->view[which].offset;
	return which == VIEWS ? v->bo : &v->view[which].bo;
}

static void check(struct views *v, int which)
{
	uint64_t offset;
	const struct egm_bo *bo = consumer(v, which, &offset);

	coh_snapshot(bo, v->snap);
	pattern_assert(v->p, coh_fetch(v->snap), offset, bo->size);
}

static void check_all(struct views *v, int first)
{
	int i;

	for (i = 0; i <= VIEWS; i++)
		check(v, (first + i) % (VIEWS + 1));
}

static void fill_some(struct views *v, struct rng *r)
{
	int i;

	for (i = 0; i < 6; i++)
		pattern_fill(v->p, v->bo->map, rng_below(r, SIZE / PAGE) * PAGE,
			     PAGE);
	/* where the parts overlap, and their ends */
	pattern_fill(v->p, v->bo->map, SIZE / 2 - PAGE, 2 * PAGE);
	pattern_fill(v->p, v->bo->map, SIZE - PAGE, PAGE);
	pattern_fill(v->p, v->bo->map, 0, 8);
}

static void each_first(struct egm_dev *dev)
{
	struct views v = views_create(dev);
	struct rng r = rng_new(1);
	int i;

	create_all(&v);
	for (i = 0; i < 24; i++) {
		fill_some(&v, &r);
		check_all(&v, i % (VIEWS + 1));
	}
	views_destroy(&v);
}

/* One of them is submitted all the time; what it takes is the others' too. */
static void one_often(struct egm_dev *dev)
{
	struct views v = views_create(dev);
	struct rng r = rng_new(2);
	int i, j;

	create_all(&v);
	for (i = 0; i <= VIEWS; i++) {
		for (j = 0; j < 30; j++) {
			pattern_fill(v.p, v.bo->map,
				     rng_below(&r, SIZE / PAGE) * PAGE, PAGE);
			check(&v, i);
		}
		check_all(&v, i + 1);
	}
	views_destroy(&v);
}

static void together(struct egm_dev *dev)
{
	struct views v = views_create(dev);
	struct egm_bo *all[VIEWS + 1];
	struct rng r = rng_new(3);
	int i;

	create_all(&v);
	for (i = 0; i < VIEWS; i++)
		all[i] = &v.view[i].bo;
	all[VIEWS] = v.bo;
	for (i = 0; i < 10; i++) {
		fill_some(&v, &r);
		coh_submit(dev, NULL, 0, all, VIEWS + 1);
		check_all(&v, i);
	}
	views_destroy(&v);
}

/* A copy that comes later has what was stored, and submitted, before. */
static void late(struct egm_dev *dev)
{
	struct views v = views_create(dev);
	struct rng r = rng_new(4);
	int i;

	pattern_fill(v.p, v.bo->map, 0, SIZE);
	check(&v, VIEWS);
	for (i = 0; i < 40; i++)
		coh_touch(v.bo);
	view_create(&v, 0, 0, SIZE);
	check(&v, 0);
	fill_some(&v, &r);
	view_create(&v, 1, PAGE, SIZE / 2);
	check(&v, 1);
	check(&v, VIEWS);
	view_create(&v, 2, SIZE - PAGE, PAGE);
	check_all(&v, 0);
	views_destroy(&v);
}

/* One that goes takes nothing of the others' with it. */
static void gone(struct egm_dev *dev)
{
	struct views v = views_create(dev);
	struct rng r = rng_new(5);
	int i;

	create_all(&v);
	pattern_fill(v.p, v.bo->map, 0, SIZE);
	check_all(&v, 0);
	for (i = 0; i < 9; i++) {
		int which = i % VIEWS;
		struct egm_bo *bo = &v.view[which].bo;

		fill_some(&v, &r);
		coh_touch(bo);
		egm_bo_close_handle(bo);
		check(&v, (which + 1) % VIEWS);
		check(&v, VIEWS);
		view_create(&v, which, v.view[which].offset, bo->size);
		check_all(&v, which);
	}
	views_destroy(&v);
}

/* Their memory is moved about, swapped out and brought back in between. */
static void disturbed(struct egm_dev *dev)
{
	struct views v = views_create(dev);
	unsigned int n = egm_disturbances(&dev->node), i;
	struct rng r = rng_new(6);
	char err[EGM_ERR];

	create_all(&v);
	for (i = 0; i < 30; i++) {
		fill_some(&v, &r);
		igt_require_f(!egm_disturb(&dev->node, i % n, err), "%s\n", err);
		check(&v, i % (VIEWS + 1));
		fill_some(&v, &r);
		igt_require_f(!egm_disturb(&dev->node, rng_below(&r, n), err),
			      "%s\n", err);
		check_all(&v, i % (VIEWS + 1));
	}
	views_destroy(&v);
}

/*
 * The views, and what the device copies to them from, in turns: an upload is not a
 * snapshot, and the submission before may not have been executed yet.
 */
struct written {
	struct views v;
	struct egm_bo *src[2];
	struct pattern *from[2];
	unsigned int turn;
};

static struct written written_create(struct egm_dev *dev)
{
	struct written w = { .v = views_create(dev) };
	int i;

	for (i = 0; i < 2; i++) {
		w.src[i] = coh_create(dev, SIZE);
		w.from[i] = pattern_new(SIZE);
	}
	create_all(&w.v);
	return w;
}

static void written_destroy(struct written *w)
{
	int i;

	for (i = 0; i < 2; i++) {
		egm_bo_destroy(w->src[i]);
		pattern_free(w->from[i]);
	}
	views_destroy(&w->v);
}

/* A copy of new content to one of them, for a submission to come */
static struct egm_copy device_copy(struct written *w, int which, uint64_t off,
				   uint64_t len)
{
	int turn = w->turn++ & 1;
	uint64_t offset;
	struct egm_copy copy = {
		.dst = consumer(&w->v, which, &offset), .dst_off = off,
		.src = w->src[turn], .src_off = off, .len = len,
	};

	pattern_fill(w->from[turn], w->src[turn]->map, off, len);
	pattern_copied(w->v.p, offset + off, w->from[turn], off, len);
	return copy;
}

/* Submits one to somewhere in it. */
static void device_fill(struct written *w, int which, struct rng *r)
{
	uint64_t len = 8 << rng_below(r, 12), offset;
	const struct egm_bo *bo = consumer(&w->v, which, &offset);
	uint64_t off = rng_below(r, (bo->size - len) / 8) * 8;
	struct egm_copy copy = device_copy(w, which, off, len);

	coh_submit(w->v.dev, &copy, 1, NULL, 0);
}

static void check_map(struct written *w)
{
	pattern_assert(w->v.p, w->v.bo->map, 0, SIZE);
}

/* To some of them, which are used again at once, or read through the mapping. */
static void written(struct egm_dev *dev)
{
	struct written w = written_create(dev);
	struct rng r = rng_new(7);
	int i;

	for (i = 0; i < 120; i++) {
		if (i & 1)
			fill_some(&w.v, &r);
		device_fill(&w, rng_below(&r, VIEWS + 1), &r);
		if (i % 3 == 0)
			device_fill(&w, rng_below(&r, VIEWS + 1), &r);
		if (i & 2)
			check_map(&w);
		if (i & 4)
			fill_some(&w.v, &r);
		if (i & 8)
			check(&w.v, rng_below(&r, VIEWS + 1));
		else
			check_all(&w.v, i % (VIEWS + 1));
	}
	check_map(&w);
	written_destroy(&w);
}

/* One submission writes to two of them, to different pages of one chunk. */
static void written_together(struct egm_dev *dev)
{
	struct written w = written_create(dev);
	int i;

	for (i = 0; i < 20; i++) {
		struct egm_copy copies[2];

		pattern_fill(w.v.p, w.v.bo->map, (i * 8 + 2) * PAGE, PAGE);
		copies[0] = device_copy(&w, i & 1, i * 8 * PAGE + 8, 512);
		copies[1] = device_copy(&w, ~i & 1, (i * 8 + 1) * PAGE, 512);
		coh_submit(dev, copies, 2, NULL, 0);
		if (i & 2)
			check_map(&w);
		check_all(&w.v, i % (VIEWS + 1));
	}
	written_destroy(&w);
}

/* The copy that was written goes, or another comes, before anybody has read. */
static void written_gone(struct egm_dev *dev)
{
	struct written w = written_create(dev);
	struct rng r = rng_new(8);
	int i;

	for (i = 0; i < 24; i++) {
		int which = i % VIEWS, other = (which + 1) % VIEWS;
		struct egm_bo *bo = &w.v.view[which].bo;

		device_fill(&w, i & 1 ? which : other, &r);
		if (i & 4)
			coh_wait(w.v.bo);
		egm_bo_close_handle(bo);
		if (i & 2)
			check_map(&w);
		view_create(&w.v, which, w.v.view[which].offset, bo->size);
		check_all(&w.v, which);
		check_map(&w);
	}
	written_destroy(&w);
}

/* A lost upload is missing in the copy that it was for, and only there. */
static void sensitivity(struct egm_dev *dev)
{
	struct views v = views_create(dev);
	struct pattern_diff diff;

	create_all(&v);
	pattern_fill(v.p, v.bo->map, 0, SIZE);
	check_all(&v, 0);
	pattern_fill(v.p, v.bo->map, 5 * PAGE, PAGE);
	coh_drop_uploads(dev, 1);
	coh_snapshot(&v.view[0].bo, v.snap);
	igt_assert(!pattern_compare(v.p, coh_fetch(v.snap), 0, SIZE, &diff));
	igt_assert_eq(diff.n_ranges, 1);
	igt_assert_eq_u64(diff.range[0].start, 5 * PAGE);
	igt_assert_eq_u64(diff.range[0].end, 6 * PAGE);
	check(&v, 1);
	check(&v, VIEWS);
	views_destroy(&v);
}

static const struct coh_subtest subtests[] = {
	{ "each-first", "C1: whichever is submitted first, all get all (defect 6)",
	  each_first },
	{ "one-often",
	  "C1: one is submitted many times before the others (defect 6)",
	  one_often },
	{ "together", "C1: all of them in one submission", together },
	{ "late", "C1: a copy made after the stores", late },
	{ "gone", "C3: copies that are destroyed and made anew", gone },
	{ "disturbed", "C3: the buffer is moved, evicted and swapped out",
	  disturbed },
	{ "written", "C2: the device writes to one, CPU and others see it",
	  written },
	{ "written-together",
	  "C2: the device writes to two, to different pages of a chunk",
	  written_together },
	{ "written-gone", "C2, C3: the one that was written is destroyed",
	  written_gone },
	{ "sensitivity", "C1: an upload lost for one of them is noticed there",
	  sensitivity },
};

int coh_main()
{
	/* of the drivers only vmob has them */
	coh_subtests_of(&egm_vmob, subtests, ARRAY_SIZE(subtests));
}
