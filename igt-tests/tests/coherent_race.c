// SPDX-License-Identifier: MIT
/**
 * TEST: coherent race
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C1 and C3 while everything happens at once. A writer increments
 *	numbers in slots of its own and tells, after each store, how far it is. A submitter
 *	notes that, submits, and the submission must have seen numbers at least as high; when
 *	all writers have stopped, the same numbers.
 *
 * SUBTEST: writers
 * Description: C1: four threads on eight pages against one submitter (defect 1)
 *
 * SUBTEST: hot-page
 * Description: C1: four threads on one page (defect 1)
 *
 * SUBTEST: processes
 * Description: C1: four processes with mappings of their own
 *
 * SUBTEST: protect
 * Description: C1, C3: writers that protect and unprotect the buffer (defect 5)
 *
 * SUBTEST: protect-busy
 * Description: C1, C3: another thread protects and unprotects what is being submitted
 *	(defect 5)
 *
 * SUBTEST: remap
 * Description: C1, C3: writers that unmap after each burst (defect V2)
 *
 * SUBTEST: unmap
 * Description: C1, C3: processes whose mappings are unmapped, mapped over, moved, or go
 *	with a process after some stores (defect V2)
 *
 * SUBTEST: short-lives
 * Description: C1, C3: writers that are forked and exit all the time
 *
 * SUBTEST: two-submitters
 * Description: C1: two contexts submit the same buffer, both see all (defect 6)
 *
 * SUBTEST: disturbed
 * Description: C1, C3: four writers while buffers are evicted, moved and swapped out
 *
 * SUBTEST: disturbed-hot-page
 * Description: C1, C3: the same with one page (defect 1)
 *
 * SUBTEST: disturbed-remap
 * Description: C1, C3: the same with writers that unmap after each burst (defect V2)
 *
 * SUBTEST: disturbed-submitters
 * Description: C1, C3: the same with two contexts (defect 6)
 *
 * SUBTEST: stress
 * Description: C1, C3: a million stores, or --stores, while buffers are evicted, moved
 *	and swapped out
 *
 * SUBTEST: close-busy
 * Description: C3: handle and mapping closed while the device works on it
 *
 * SUBTEST: exit-busy
 * Description: C3: the submitter exits while the device works
 *
 * SUBTEST: delayed
 * Description: C1: the device takes its time for each upload
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"

IGT_TEST_DESCRIPTION("Coherent buffers: writers against submitters");

/* for each driver */
#define SECONDS 5
#define WRITERS 4
#define SLOTS 64
/* At least so many moves in a test that is about them */
#define DISTURBANCES 20
/* Few: each is an upload, and many submissions find more than large ones. */
#define PAGES 8
#define SIZE (MiB(2) + 3 * PAGE)

enum style {
	KEEP,		/* one mapping for all the time */
	PROTECT,	/* made read-only and writable again before each burst */
	REMAP,		/* mapped anew for each burst */
	FAST,		/* one mapping, no pause */
};

/* Shared with writers that are processes. */
struct race {
	atomic_bool stop;
	_Atomic uint64_t stores;
	/* mappings that a writer has got rid of, each in one way or another */
	_Atomic uint64_t unmaps;
	/* the highest number a slot is known to have */
	_Atomic uint64_t known[WRITERS][SLOTS];
	/* the pages of the slots; each has a slot of every writer */
	uint32_t page[SLOTS];
	enum style style;
	int fd;
	uint64_t mmap_offset;
	/* two places in each process that nothing else is mapped to */
	void *here, *there;
};

struct writer {
	pthread_t thread;
	struct race *r;
	int id;
	int error;
};

/* Has the driver evict, move and swap out buffers all the time. */
struct disturber {
	pthread_t thread;
	struct race *r;
	const struct egm_dev *dev;
	_Atomic uint64_t count;
	atomic_bool ended;
	char error[EGM_ERR];
};

struct submitter {
	pthread_t thread;
	struct race *r;
	struct egm_bo *bo, *snap;
	uint64_t submissions;
	char error[160];
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static struct race *race_new(struct egm_bo *bo, enum style style, int n_pages)
{
	struct race *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rng rng = rng_new(n_pages);
	uint32_t page[SLOTS];
	int i;

	igt_assert(r != MAP_FAILED);
	r->style = style;
	r->fd = bo->dev->fd;
	igt_assert(!bo->dev->drv->mmap_offset(r->fd, bo->handle,
					      &r->mmap_offset));
	for (i = 0; i < n_pages; i++)
		page[i] = rng_below(&rng, SIZE / PAGE);
	for (i = 0; i < SLOTS; i++)
		r->page[i] = page[i % n_pages];
	memset(bo->map, 0, SIZE);
	return r;
}

static uint64_t slot_word(const struct race *r, int writer, int slot)
{
	return r->page[slot] * (PAGE / 8) + writer * SLOTS + slot;
}

static void store(struct race *r, int writer, volatile uint64_t *map, int slot)
{
	uint64_t n = atomic_load(&r->known[writer][slot]) + 1;

	map[slot_word(r, writer, slot)] = n;
	atomic_store(&r->known[writer][slot], n);
}

/*
 * Some stores, close together or spread, or as often time for chunks to close
 * and for the submitter to run.
 */
static void burst(struct race *r, int writer, void *map, struct rng *rng)
{
	int kind = r->style == FAST ? 6 : rng_below(rng, 6), slot = rng_below(rng, SLOTS);
	int i, n = 0;

	switch (kind) {
	case 0:
		for (n = 1 + rng_below(rng, 200), i = 0; i < n; i++)
			store(r, writer, map, slot);
		break;
	case 1:
		for (n = SLOTS, i = 0; i < n; i++)
			store(r, writer, map, i);
		break;
	case 2:
		for (n = 8, i = 0; i < n; i++)
			store(r, writer, map, rng_below(rng, SLOTS));
		break;
	case 6:
		for (n = 16 * SLOTS, i = 0; i < n; i++)
			store(r, writer, map, i % SLOTS);
		break;
	default:
		usleep(rng_below(rng, 8000));
		break;
	}
	atomic_fetch_add(&r->stores, n);
}

static void *race_map(struct race *r)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		    r->mmap_offset);
}

static int write_until_stopped(struct race *r, int id)
{
	struct rng rng = rng_new(100 + id);
	void *map = race_map(r);

	while (map != MAP_FAILED && !atomic_load(&r->stop)) {
		if (r->style == PROTECT &&
		    (mprotect(map, SIZE, PROT_READ) ||
		     mprotect(map, SIZE, PROT_READ | PROT_WRITE)))
			return -errno;
		burst(r, id, map, &rng);
		if (r->style == REMAP) {
			munmap(map, SIZE);
			map = race_map(r);
		}
	}
	if (map == MAP_FAILED)
		return -errno;
	munmap(map, SIZE);
	return 0;
}

/* Stores to some pages, in a process that ends with its mapping. */
static int store_and_exit(struct race *r, int id, void *map, int slot)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		store(r, id, map, slot);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && !status ? 0 : -ECHILD;
}

/*
 * Stores, and the mapping that they went through is gone at once: by munmap(), by
 * another on top of it, with its process, or it was moved before.
 */
static int unmap_until_stopped(struct race *r, int id)
{
	struct rng rng = rng_new(300 + id);
	void *map = race_map(r), *other;
	int slot, n, ret = 0;

	while (!ret && map != MAP_FAILED && !atomic_load(&r->stop)) {
		slot = rng_below(&rng, SLOTS);
		for (n = rng_below(&rng, 3); n >= 0; n--) {
			store(r, id, map, (slot + n) % SLOTS);
			atomic_fetch_add(&r->stores, 1);
		}
		/* To fork takes as long as twenty of the others. */
		switch (rng_below(&rng, 61)) {
		case 0:
			ret = store_and_exit(r, id, map, slot);
			break;
		case 1 ... 20:
			other = mmap(map, SIZE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_FIXED, r->fd,
				     r->mmap_offset);
			ret = other == map ? 0 : -errno;
			break;
		case 21 ... 40:
			map = mremap(map, SIZE, SIZE, MREMAP_MAYMOVE |
				     MREMAP_FIXED,
				     map == r->here ? r->there : r->here);
			break;
		default:
			ret = munmap(map, SIZE) ? -errno : 0;
			map = race_map(r);
			break;
		}
		atomic_fetch_add(&r->unmaps, 1);
	}
	return map == MAP_FAILED ? -errno : ret;
}

static void *writer_thread(void *arg)
{
	struct writer *w = arg;

	w->error = write_until_stopped(w->r, w->id);
	return NULL;
}

/*
 * One submission that is looked at, after some that are not: what those lose
 * is missing in it too. What is wrong with it is left in s->error.
 */
static void submit_once(struct submitter *s)
{
	const uint64_t *got = s->snap->map;
	uint64_t before[WRITERS][SLOTS];
	int w, i, ret = 0;

	for (i = s->submissions % 16; i && !ret; i--)
		ret = egm_submit(s->bo->dev, NULL, 0, &s->bo, 1);

	for (w = 0; w < WRITERS; w++)
		for (i = 0; i < SLOTS; i++)
			before[w][i] = atomic_load(&s->r->known[w][i]);

	if (!ret)
		ret = egm_snapshot(s->bo, s->snap);
	if (!ret)
		ret = egm_fetch(s->snap, SIZE);
	if (ret) {
		snprintf(s->error, sizeof(s->error),
			 "submission %" PRIu64 ": %s", s->submissions,
			 strerror(-ret));
		return;
	}

	for (w = 0; w < WRITERS; w++) {
		for (i = 0; i < SLOTS; i++) {
			uint64_t n = got[slot_word(s->r, w, i)];
			uint64_t max = atomic_load(&s->r->known[w][i]) + 1;

			if (before[w][i] <= n && n <= max)
				continue;
			snprintf(s->error, sizeof(s->error),
				 "submission %" PRIu64 ": page %u, writer %d slot %d: %"
				 PRIu64 " of at least %" PRIu64
				 " stores seen", s->submissions, s->r->page[i],
				 w, i, n, before[w][i]);
			return;
		}
	}
	s->submissions++;
}

static void *submitter_thread(void *arg)
{
	struct submitter *s = arg;

	while (!s->error[0] && !atomic_load(&s->r->stop))
		submit_once(s);
	return NULL;
}

static void *disturber_thread(void *arg)
{
	struct disturber *d = arg;
	unsigned int n = egm_disturbances(&d->dev->node);

	while (!atomic_load(&d->r->stop) &&
	       !egm_disturb(&d->dev->node, d->count % n, d->error))
		d->count++;
	atomic_store(&d->ended, true);
	return NULL;
}

static void disturber_start(struct disturber *d, const struct egm_dev *dev,
			    struct race *r)
{
	d->dev = dev;
	d->r = r;
	igt_assert(!pthread_create(&d->thread, NULL, disturber_thread, d));
}

static void disturber_join(struct disturber *d)
{
	pthread_join(d->thread, NULL);
	igt_assert_f(!d->error[0], "%s\n", d->error);
	igt_info("%" PRIu64 " evictions, moves and swap-outs\n", d->count);
	igt_assert(d->count);
}

/* What can be forced on this kernel, or a skip */
static void require_disturbances(const struct egm_dev *dev)
{
	char err[EGM_ERR];

	igt_require_f(egm_disturbances(&dev->node),
		      "%s has nothing in debugfs that evicts or moves buffers\n",
		      dev->drv->name);
	igt_require_f(!egm_disturb(&dev->node, 0, err), "%s\n", err);
}

/* No writer is left: all there is to see must be seen now. */
static void final_check(struct submitter *s)
{
	const uint64_t *got = s->snap->map;
	int w, i;

	igt_assert_f(!s->error[0], "%s; --seed 0x%" PRIx64 "\n", s->error,
		     seed_get());
	submit_once(s);
	igt_assert_f(!s->error[0], "at the end: %s; --seed 0x%" PRIx64 "\n",
		     s->error, seed_get());
	for (w = 0; w < WRITERS; w++)
		for (i = 0; i < SLOTS; i++)
			igt_assert_eq_u64(got[slot_word(s->r, w, i)],
					  atomic_load(&s->r->known[w][i]));
	igt_info("%" PRIu64 " stores, %" PRIu64 " submissions\n",
		 atomic_load(&s->r->stores), s->submissions);
}

/* For some seconds, or until there were so many stores */
static bool enough(const struct race *r, uint64_t stores, uint64_t end)
{
	return stores ? atomic_load(&r->stores) >= stores : now_ms() >= end;
}

/* The stores can be done before the first buffer has moved: then wait for that. */
static bool disturbed_enough(const struct disturber *d)
{
	return atomic_load(&d->count) >= DISTURBANCES || atomic_load(&d->ended);
}

static void threads(struct egm_dev *dev, enum style style, int n_pages,
		    uint64_t stores, bool disturb)
{
	struct writer writers[WRITERS] = {};
	struct disturber d = {};
	struct submitter s = {
		.bo = coh_create(dev, SIZE),
		.snap = coh_create_plain(dev, SIZE),
	};
	uint64_t end;
	int i;

	s.r = race_new(s.bo, style, n_pages);
	end = now_ms() + SECONDS * 1000;
	for (i = 0; i < WRITERS; i++) {
		writers[i].r = s.r;
		writers[i].id = i;
		igt_assert(!pthread_create(&writers[i].thread, NULL,
					   writer_thread, &writers[i]));
	}
	if (disturb)
		disturber_start(&d, dev, s.r);
	while (!s.error[0] && !(enough(s.r, stores, end) &&
				(!disturb || disturbed_enough(&d))))
		submit_once(&s);
	atomic_store(&s.r->stop, true);
	for (i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	if (disturb)
		disturber_join(&d);
	for (i = 0; i < WRITERS; i++)
		igt_assert_eq(writers[i].error, 0);
	final_check(&s);
	munmap(s.r, sizeof(*s.r));
}

static void writers(struct egm_dev *dev)
{
	threads(dev, KEEP, PAGES, 0, false);
}

static void hot_page(struct egm_dev *dev)
{
	threads(dev, KEEP, 1, 0, false);
}

static void protect(struct egm_dev *dev)
{
	threads(dev, PROTECT, PAGES, 0, false);
}

static void remap(struct egm_dev *dev)
{
	threads(dev, REMAP, PAGES, 0, false);
}

static void disturbed(struct egm_dev *dev)
{
	require_disturbances(dev);
	threads(dev, KEEP, PAGES, 0, true);
}

static void disturbed_hot_page(struct egm_dev *dev)
{
	require_disturbances(dev);
	threads(dev, KEEP, 1, 0, true);
}

static void disturbed_remap(struct egm_dev *dev)
{
	require_disturbances(dev);
	threads(dev, REMAP, PAGES, 0, true);
}

/* As many as --stores says: a soak, with the time and the seed in the log */
static void stress(struct egm_dev *dev)
{
	uint64_t start = now_ms();

	require_disturbances(dev);
	threads(dev, FAST, PAGES, coh_counts.stores ?: 1000000, true);
	igt_info("%" PRIu64 " s; --seed 0x%" PRIx64 "\n",
		 (now_ms() - start) / 1000, seed_get());
}

/* The device whose uploads are delayed */
static struct egm_node slow;

static int set_delay(const struct egm_node *node, unsigned int us)
{
	FILE *f = egm_debugfs_open(node, "delay_upload_us", true);

	if (!f)
		return -errno;
	fprintf(f, "%u\n", us);
	return fclose(f) ? -errno : 0;
}

/* However the program ends: later tests are not to be slow. */
static void end_delay(int sig)
{
	if (slow.driver[0])
		set_delay(&slow, 0);
	(void)sig;
}

/* Stores go on between the harvest and the moment the page is copied. */
static void delayed(struct egm_dev *dev)
{
	igt_require_f(!set_delay(&dev->node, 500),
		      "no delay_upload_us of %s in debugfs\n", dev->drv->name);
	slow = dev->node;
	threads(dev, KEEP, PAGES, 0, egm_disturbances(&dev->node));
	igt_assert(!set_delay(&slow, 0));
}

static void processes(struct egm_dev *dev)
{
	struct submitter s = {
		.bo = coh_create(dev, SIZE),
		.snap = coh_create_plain(dev, SIZE),
	};
	uint64_t end;

	s.r = race_new(s.bo, KEEP, PAGES);
	igt_fork(child, WRITERS)
		igt_assert_eq(write_until_stopped(s.r, child), 0);
	end = now_ms() + SECONDS * 1000;
	while (now_ms() < end && !s.error[0])
		submit_once(&s);
	atomic_store(&s.r->stop, true);
	igt_waitchildren();
	final_check(&s);
	munmap(s.r, sizeof(*s.r));
}

/*
 * Processes whose mappings come and go, as many as --unmaps says or for some
 * seconds.
 */
static void unmap(struct egm_dev *dev)
{
	const uint64_t unmaps = coh_counts.unmaps;
	struct submitter s = {
		.bo = coh_create(dev, SIZE),
		.snap = coh_create_plain(dev, SIZE),
	};
	uint64_t start = now_ms();

	s.r = race_new(s.bo, KEEP, PAGES);
	s.r->here = mmap(NULL, 2 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	igt_assert(s.r->here != MAP_FAILED);
	s.r->there = (char *)s.r->here + SIZE;
	igt_fork(child, WRITERS)
		igt_assert_eq(unmap_until_stopped(s.r, child), 0);
	while (!s.error[0] && (unmaps ? atomic_load(&s.r->unmaps) < unmaps :
			       now_ms() < start + SECONDS * 1000))
		submit_once(&s);
	atomic_store(&s.r->stop, true);
	igt_waitchildren();
	igt_info("%" PRIu64 " mappings gone in %" PRIu64 " s; --seed 0x%" PRIx64 "\n",
		 atomic_load(&s.r->unmaps), (now_ms() - start) / 1000, seed_get());
	final_check(&s);
	igt_assert_lt(WRITERS, atomic_load(&s.r->unmaps));
	munmap(s.r->here, 2 * SIZE);
	munmap(s.r, sizeof(*s.r));
}

/* Each writer lives for a moment only; another takes over its numbers. */
static void short_lives(struct egm_dev *dev)
{
	struct submitter s = {
		.bo = coh_create(dev, SIZE),
		.snap = coh_create_plain(dev, SIZE),
	};
	uint64_t end = now_ms() + SECONDS * 1000;
	int round;

	s.r = race_new(s.bo, KEEP, PAGES);
	for (round = 0; now_ms() < end && !s.error[0]; round++) {
		igt_fork(child, 2) {
			struct rng rng = rng_new(200 + 2 * round + child);
			int i;

			for (i = 0; i < 5; i++)
				burst(s.r, child, s.bo->map, &rng);
			/* the other half die with no time to clean up */
			if (round & 1)
				_exit(0);
		}
		submit_once(&s);
		igt_waitchildren();
		if (!s.error[0])
			submit_once(&s);
	}
	final_check(&s);
	munmap(s.r, sizeof(*s.r));
}

/* Each context's submissions must see all, whoever harvested it. */
static void submitters(struct egm_dev *dev, bool disturb)
{
	struct disturber d = {};
	struct egm_dev *other = coh_open_again(dev);
	struct writer writers[WRITERS] = {};
	struct submitter s[2] = {};
	int fd, i;

	s[0].bo = coh_create(dev, SIZE);
	s[0].snap = coh_create_plain(dev, SIZE);
	fd = coh_export(s[0].bo);
	s[1].bo = coh_import(other, fd);
	s[1].snap = coh_create_plain(other, SIZE);
	close(fd);

	s[0].r = race_new(s[0].bo, KEEP, PAGES);
	s[1].r = s[0].r;
	for (i = 0; i < WRITERS; i++) {
		writers[i].r = s[0].r;
		writers[i].id = i;
		igt_assert(!pthread_create(&writers[i].thread, NULL,
					   writer_thread, &writers[i]));
	}
	for (i = 0; i < 2; i++)
		igt_assert(!pthread_create(&s[i].thread, NULL,
					   submitter_thread, &s[i]));
	if (disturb)
		disturber_start(&d, dev, s[0].r);
	sleep(SECONDS);
	atomic_store(&s[0].r->stop, true);
	if (disturb)
		disturber_join(&d);
	for (i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	for (i = 0; i < 2; i++)
		pthread_join(s[i].thread, NULL);
	final_check(&s[0]);
	final_check(&s[1]);
	munmap(s[0].r, sizeof(*s[0].r));
}

static void two_submitters(struct egm_dev *dev)
{
	submitters(dev, false);
}

static void disturbed_submitters(struct egm_dev *dev)
{
	require_disturbances(dev);
	submitters(dev, true);
}

/* Handle and mapping are gone while the device is still to copy. */
static void close_busy(struct egm_dev *dev)
{
	struct egm_bo *snap = coh_create_plain(dev, KiB(512));
	uint64_t end = now_ms() + SECONDS * 1000;
	struct pattern *p = pattern_new(KiB(512));
	struct rng r = rng_new(1);
	int tracked = coh_tracked_at_rest(dev), n;

	for (n = 0; now_ms() < end; n++) {
		struct egm_bo *bo = coh_create(dev, KiB(512));

		pattern_fill(p, bo->map, 0, bo->size);
		if (rng_below(&r, 2)) {
			coh_touch(bo);
			pattern_fill(p, bo->map, KiB(64), KiB(64));
		}
		coh_snapshot(bo, snap);
		if (rng_below(&r, 2))
			egm_bo_close_handle(bo);
		egm_bo_destroy(bo);
		pattern_assert(p, coh_fetch(snap), 0, snap->size);
	}
	coh_assert_tracked(dev, tracked);
	igt_info("%d buffers\n", n);
	egm_bo_destroy(snap);
	pattern_free(p);
}

/* The submission of a process that ends right after it is still made. */
static void exit_busy(struct egm_dev *dev)
{
	struct egm_bo *snap = coh_create_plain(dev, KiB(512));
	struct pattern *p = pattern_new(KiB(512));
	uint64_t end = now_ms() + SECONDS * 1000;
	int fd = coh_export(snap);

	while (now_ms() < end) {
		igt_fork(child, 1) {
			struct egm_dev *mine = coh_open_again(dev);
			struct egm_bo *to = coh_import(mine, fd);
			struct egm_bo *bo = coh_create(mine, KiB(512));

			pattern_fill(p, bo->map, 0, bo->size);
			coh_snapshot(bo, to);
			_exit(0);
		}
		igt_waitchildren();
		pattern_assert(p, coh_fetch(snap), 0, snap->size);
	}
	close(fd);
	egm_bo_destroy(snap);
	pattern_free(p);
}

struct protector {
	pthread_t thread;
	atomic_bool stop;
	void *map;
	int error;
};

static void *protector_thread(void *arg)
{
	struct protector *p = arg;

	while (!p->error && !atomic_load(&p->stop))
		if (mprotect(p->map, PAGE, PROT_READ) ||
		    mprotect(p->map, PAGE, PROT_READ | PROT_WRITE))
			p->error = errno;
	return NULL;
}

static char *store_to;

/* Another address is a mistake, and ends the program. */
static void store_again(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if ((char *)info->si_addr != store_to)
		signal(sig, SIG_DFL);
}

/*
 * A page is stored to, and submitted, by which it is closed: nothing else of its chunk is
 * written. If mprotect() can make it writable meanwhile, the next store is not seen.
 */
static void protect_busy(struct egm_dev *dev)
{
	struct sigaction again = {
		.sa_sigaction = store_again, .sa_flags = SA_SIGINFO,
	}, old;
	struct egm_bo *bo = coh_create(dev, 64 * PAGE);
	struct egm_bo *snap = coh_create_plain(dev, 64 * PAGE);
	struct protector p = { .map = coh_map(bo, PROT_READ | PROT_WRITE, 64 * PAGE) };
	volatile uint64_t *at = p.map;
	const uint64_t *got;
	uint64_t n = 0, lost = 0;
	int i, j;

	/* Where it is read-only the store is made once more. */
	store_to = p.map;
	igt_assert(!sigaction(SIGSEGV, &again, &old));
	igt_assert(!pthread_create(&p.thread, NULL, protector_thread, &p));
	for (i = 0; i < 150 && !lost; i++) {
		*at = ++n;
		coh_touch(bo);
		*at = ++n;
		coh_snapshot(bo, snap);
		got = coh_fetch(snap);
		if (*got != n)
			lost = n;
		/* Until that is forgotten */
		for (j = 0; j < 6; j++)
			coh_touch(bo);
	}
	atomic_store(&p.stop, true);
	pthread_join(p.thread, NULL);
	igt_assert(!sigaction(SIGSEGV, &old, NULL));
	igt_assert_eq(p.error, 0);
	igt_assert_f(!lost, "store %" PRIu64 " was not seen\n", lost);
	munmap(p.map, 64 * PAGE);
	egm_bo_destroy(snap);
	egm_bo_destroy(bo);
}

static const struct coh_subtest subtests[] = {
	{ "writers",
	  "C1: four threads on eight pages against one submitter (defect 1)",
	  writers },
	{ "hot-page", "C1: four threads on one page (defect 1)", hot_page },
	{ "processes", "C1: four processes with mappings of their own",
	  processes },
	{ "protect",
	  "C1, C3: writers that protect and unprotect the buffer (defect 5)",
	  protect },
	{ "protect-busy",
	  "C1, C3: another thread protects and unprotects what is being submitted (defect 5)",
	  protect_busy },
	{ "remap",
	  "C1, C3: writers that unmap after each burst (defect V2)", remap },
	{ "unmap",
	  "C1, C3: processes whose mappings are unmapped, mapped over, moved, or go with a process after some stores (defect V2)",
	  unmap },
	{ "short-lives",
	  "C1, C3: writers that are forked and exit all the time",
	  short_lives },
	{ "two-submitters",
	  "C1: two contexts submit the same buffer, both see all (defect 6)",
	  two_submitters },
	{ "disturbed",
	  "C1, C3: four writers while buffers are evicted, moved and swapped out",
	  disturbed },
	{ "disturbed-hot-page", "C1, C3: the same with one page (defect 1)",
	  disturbed_hot_page },
	{ "disturbed-remap",
	  "C1, C3: the same with writers that unmap after each burst (defect V2)",
	  disturbed_remap },
	{ "disturbed-submitters", "C1, C3: the same with two contexts (defect 6)",
	  disturbed_submitters },
	{ "stress",
	  "C1, C3: a million stores, or --stores, while buffers are evicted, moved and swapped out",
	  stress },
	{ "close-busy",
	  "C3: handle and mapping closed while the device works on it",
	  close_busy },
	{ "exit-busy", "C3: the submitter exits while the device works",
	  exit_busy },
	{ "delayed", "C1: the device takes its time for each upload", delayed },
};

int coh_main()
{
	igt_fixture()
		igt_install_exit_handler(end_delay);

	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
