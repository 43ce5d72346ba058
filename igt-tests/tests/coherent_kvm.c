// SPDX-License-Identifier: MIT
/**
 * TEST: coherent kvm
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C1, C2 and C3 for a KVM guest whose memory a coherent buffer is.
 *	KVM has page tables of its own for it: what the guest stores leaves no dirty bit in
 *	those of this process. KVM only takes memory with a reference count. Of what TTM
 *	allocates in one piece that is the first page, so each test asks which pages it can
 *	use.
 *
 * SUBTEST: load-then-store
 * Description: C1: the guest loads a page, then stores to it
 *
 * SUBTEST: store-submit
 * Description: C1: guest and process store, submissions between
 *
 * SUBTEST: idle-then-store
 * Description: C1: the guest stores once more after submissions without a store
 *
 * SUBTEST: first-touch
 * Description: C1: nobody has touched the page before the guest does
 *
 * SUBTEST: read-only-entry
 * Description: C1: the page was read, and so its entry is read-only
 *
 * SUBTEST: read-only
 * Description: C1: what is read-only for the guest stays so
 *
 * SUBTEST: unmapped
 * Description: C3: stored, and unmapped before the submission
 *
 * SUBTEST: moved
 * Description: C3: stored, and moved or evicted before the submission
 *
 * SUBTEST: child-exit
 * Description: C3: the process that runs the guest has exited
 *
 * SUBTEST: dirty-log
 * Description: C1: KVM logs the guest's stores
 *
 * SUBTEST: clock
 * Description: C1: KVM itself stores to the guest's memory
 *
 * SUBTEST: store-while
 * Description: C1: submissions while the guest stores
 *
 * SUBTEST: device-then-load
 * Description: C2, C4: the guest loads what the device has written
 *
 * SUBTEST: load-while
 * Description: C2: the guest loads while the device writes
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"
#include "coh_kvm.h"

IGT_TEST_DESCRIPTION("Coherent buffers: a KVM guest loads and stores");

#define RW (PROT_READ | PROT_WRITE)

/*
 * Several chunks at any chunk size. TTM allocates pages in powers of two: this
 * many are made of ten pieces, of which six begin in the last 64 pages.
 */
#define SIZE (MiB(4) - PAGE)
#define PAGES (SIZE / PAGE)

/* The guest's addresses of the buffer, and for a while of another mapping of it */
#define BUF UINT64_C(0x10000000)
#define PROBE UINT64_C(0x20000000)

enum slot {
	SLOT_BUF = 1,
	SLOT_PROBE,
};

#define MIN_USABLE 6
#define MAX_USABLE 16

struct vm {
	struct coh_buf b;
	struct kvm_guest *g;
	/* Pages that KVM takes, in order */
	uint64_t page[MAX_USABLE];
	int n;
};

static void settle(struct vm *v)
{
	int i;

	for (i = 0; i < 40; i++)
		coh_touch(v->b.bo);
}

static void check(struct vm *v)
{
	coh_buf_check(&v->b);
	pattern_assert(v->b.p, v->b.bo->map, 0, SIZE);
}

/* This process stores a page. */
static void host_store(struct vm *v, uint64_t page)
{
	pattern_fill(v->b.p, v->b.bo->map, page * PAGE, PAGE);
}

/* The guest stores len bytes. */
static void guest_store_at(struct vm *v, enum kvm_guest_by by, uint64_t off,
			   uint64_t len)
{
	pattern_make(v->b.p, v->g->data, off, len);
	igt_assert_f(!kvm_guest_copy(v->g, by, BUF + off, KVM_GUEST_DATA, len),
		     "the guest's store at page %" PRIu64 ": %s\n", off / PAGE,
		     v->g->said);
}

static void guest_store(struct vm *v, uint64_t page)
{
	guest_store_at(v, KVM_GUEST_MOVES, page * PAGE, PAGE);
}

static void guest_load(struct vm *v, uint64_t page)
{
	igt_assert_f(!kvm_guest_copy(v->g, KVM_GUEST_MOVES, KVM_GUEST_DATA,
				     BUF + page * PAGE, PAGE),
		     "the guest's load at page %" PRIu64 ": %s\n", page,
		     v->g->said);
	pattern_assert(v->b.p, v->g->data, page * PAGE, PAGE);
}

/*
 * The pages that KVM takes are found through a mapping of their own, so that
 * nothing is changed in the one that is tested.
 */
static void find_pages(struct vm *v)
{
	void *map = coh_map(v->b.bo, PROT_READ, SIZE);
	uint64_t page, usable[PAGES];
	int i, n = 0;

	igt_assert_eq(kvm_guest_slot(v->g, SLOT_PROBE, 0, PROBE, map, SIZE), 0);
	for (page = 0; page < PAGES; page++) {
		int ret = kvm_guest_copy(v->g, KVM_GUEST_MOVES, KVM_GUEST_DATA,
					 PROBE + page * PAGE, 8);

		igt_assert_f(!ret || ret == -EFAULT, "page %" PRIu64 ": %s\n",
			     page, v->g->said);
		if (!ret)
			usable[n++] = page;
	}
	igt_assert_eq(kvm_guest_slot(v->g, SLOT_PROBE, 0, PROBE, map, 0), 0);
	munmap(map, SIZE);
	igt_require_f(n >= MIN_USABLE, "KVM takes %d of the buffer's pages\n", n);

	/* Of many: some side by side, in four parts of the buffer. */
	v->n = n < MAX_USABLE ? n : MAX_USABLE;
	for (i = 0; i < v->n; i++)
		v->page[i] = n < 64 ? usable[n - v->n + i] :
				      usable[i / 4 * (n / 4) + i % 4];
	igt_debug("KVM takes %d pages, %d of them are used\n", n, v->n);
}

/* A guest for the buffer, by this mapping of it */
static void guest_start(struct vm *v, void *map)
{
	v->g = kvm_guest_create();
	igt_assert_eq(kvm_guest_slot(v->g, SLOT_BUF, 0, BUF, map, SIZE), 0);
}

static struct vm setup_with(struct coh_buf b)
{
	struct vm v = { .b = b };

	guest_start(&v, b.bo->map);
	find_pages(&v);
	return v;
}

static struct vm setup(struct egm_dev *dev)
{
	return setup_with(coh_buf_warm(dev, SIZE));
}

static void teardown(struct vm *v)
{
	kvm_guest_destroy(v->g);
	coh_buf_destroy(&v->b);
}

static uint64_t any_page(struct vm *v, struct rng *r)
{
	return v->page[rng_below(r, v->n)];
}

/* A page of the same chunk */
static uint64_t beside(uint64_t page)
{
	return page % 64 ? page - 1 : page + 1;
}

/*
 * What the chunk of the page is like when the guest comes: closed; open; open, and
 * the page not written since the last submission; as it happens to be.
 */
static void prepare(struct vm *v, uint64_t page, unsigned int how)
{
	if (how % 4 == 0)
		settle(v);
	if (how % 4 == 1 || how % 4 == 2)
		host_store(v, beside(page));
	if (how % 4 == 2)
		coh_touch(v->b.bo);
}

static void load_then_store(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	struct rng r = rng_new(1);
	int i;

	for (i = 0; i < 32; i++) {
		uint64_t page = any_page(&v, &r);

		prepare(&v, page, i);
		guest_load(&v, page);
		if (i & 4)
			coh_touch(v.b.bo);
		guest_store(&v, page);
		check(&v);
	}
	teardown(&v);
}

/* Pages that this process stores to as well, before or after the guest or never */
static void store_submit(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	struct rng r = rng_new(2);
	int i, j;

	for (i = 0; i < 60; i++) {
		for (j = rng_below(&r, 4); j >= 0; j--) {
			uint64_t page = any_page(&v, &r);

			if (!rng_below(&r, 3))
				host_store(&v, beside(page));
			if (!rng_below(&r, 4))
				host_store(&v, page);
			if (rng_below(&r, 8))
				guest_store(&v, page);
			else
				guest_store_at(&v, KVM_GUEST_FPU, page * PAGE + 64, 128);
		}
		check(&v);
	}
	teardown(&v);
}

static void idle_then_store(struct egm_dev *dev)
{
	static const int idle[] = { 1, 4, 15, 30 };
	struct vm v = setup(dev);
	struct rng r = rng_new(3);
	int i, j;

	for (i = 0; i < 16; i++) {
		uint64_t page = any_page(&v, &r);

		guest_store(&v, page);
		check(&v);
		for (j = 0; j < idle[i % 4]; j++)
			coh_touch(v.b.bo);
		guest_store(&v, page);
		check(&v);
	}
	teardown(&v);
}

static void first_touch(struct egm_dev *dev)
{
	struct vm v = setup_with(coh_buf_create(dev, SIZE));
	void *map;
	int i;

	/* of the page, then of the page in that mapping */
	for (i = 0; i < v.n; i++) {
		guest_store(&v, v.page[i]);
		if (i % 3 == 0)
			check(&v);
	}
	check(&v);
	settle(&v);

	map = coh_map(v.b.bo, RW, SIZE);
	guest_start(&v, map);
	for (i = 0; i < v.n; i++) {
		if (i % 4 == 1)
			host_store(&v, v.page[i]);
		/* By which a page is there, and can be read-only. KVM emulates moves. */
		if (i % 4 == 2) {
			guest_load(&v, v.page[i]);
			guest_store_at(&v, KVM_GUEST_FPU, v.page[i] * PAGE, 128);
		}
		guest_store(&v, v.page[i]);
		if (i % 3 == 0)
			check(&v);
	}
	check(&v);
	munmap(map, SIZE);
	teardown(&v);
}

/* In a closed chunk a page that is read has an entry that is read-only. */
static void read_only_entry(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	int i;

	for (i = 0; i < 2 * v.n; i++) {
		uint64_t page = v.page[i / 2];

		settle(&v);
		(void)*((volatile char *)v.b.bo->map + page * PAGE);
		guest_store_at(&v, i & 1 ? KVM_GUEST_FPU : KVM_GUEST_MOVES,
			       page * PAGE + 64 * i, 64);
		check(&v);
	}
	teardown(&v);
}

/* Neither the slot nor the mapping becomes writable by a store. */
static void read_only(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	char *map = v.b.bo->map;
	int i;

	for (i = 0; i < v.n; i++) {
		const uint64_t page = v.page[i], to = BUF + page * PAGE;

		if (i & 1)
			settle(&v);
		if (i & 2)
			guest_load(&v, page);
		igt_assert_eq(kvm_guest_slot(v.g, SLOT_BUF, 0, BUF, map, 0), 0);
		igt_assert_eq(kvm_guest_slot(v.g, SLOT_BUF, KVM_MEM_READONLY, BUF,
					     map, SIZE), 0);
		if (i & 4)
			guest_load(&v, page);
		igt_assert_eq(kvm_guest_copy(v.g, KVM_GUEST_MOVES, to,
					     KVM_GUEST_DATA, 64), -EIO);
		igt_assert_eq(kvm_guest_slot(v.g, SLOT_BUF, 0, BUF, map, 0), 0);
		igt_assert_eq(kvm_guest_slot(v.g, SLOT_BUF, 0, BUF, map, SIZE), 0);
		check(&v);

		igt_assert(!mprotect(map, SIZE, PROT_READ));
		guest_load(&v, page);
		igt_assert(kvm_guest_copy(v.g, KVM_GUEST_MOVES, to, KVM_GUEST_DATA,
					  64));
		coh_touch(v.b.bo);
		igt_assert(!mprotect(map, SIZE, RW));
		check(&v);
		guest_store(&v, page);
		check(&v);
	}
	teardown(&v);
}

/* The guest's entries go with the mapping, and nothing else of its does. */
static void unmapped(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	int i;

	for (i = 0; i < 2 * v.n; i++) {
		const uint64_t page = v.page[i / 2];
		char *map = coh_map(v.b.bo, RW, SIZE);

		guest_start(&v, map);
		if (i & 1)
			host_store(&v, beside(page));
		guest_load(&v, page);
		coh_touch(v.b.bo);
		guest_store(&v, page);
		if (i % 3)
			igt_assert(!munmap(map + page * PAGE, PAGE));
		else
			igt_assert(mmap(map + page * PAGE, PAGE, PROT_NONE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
					0) != MAP_FAILED);
		check(&v);
		igt_assert_eq(kvm_guest_copy(v.g, KVM_GUEST_MOVES, KVM_GUEST_DATA,
					     BUF + page * PAGE, 8), -EFAULT);
		munmap(map, SIZE);
	}
	teardown(&v);
}

/* The driver moves the buffer: what the guest has stored goes with it. */
static void moved(struct egm_dev *dev)
{
	const unsigned int ways = egm_disturbances(&dev->node);
	char err[EGM_ERR];
	struct vm v;
	unsigned int i;

	igt_require_f(ways, "%s has nothing in debugfs that evicts or moves buffers\n",
		      dev->drv->name);
	v = setup(dev);
	for (i = 0; i < 6 * ways; i++) {
		const uint64_t page = v.page[i % v.n];

		if (i & 1)
			host_store(&v, beside(page));
		guest_load(&v, page);
		if (i & 2)
			coh_touch(v.b.bo);
		guest_store(&v, page);
		igt_require_f(!egm_disturb(&dev->node, i % ways, err), "%s\n", err);
		check(&v);
		/* Back to video memory, the last way: KVM takes all of that. */
		igt_require_f(!egm_disturb(&dev->node, ways - 1, err), "%s\n", err);
	}
	teardown(&v);
}

/* The guest goes with its process. */
static void child_exit(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	int i;

	kvm_guest_destroy(v.g);
	for (i = 0; i < v.n; i++) {
		const uint64_t page = v.page[i];

		if (i & 1)
			settle(&v);
		igt_fork(child, 1) {
			guest_start(&v, v.b.bo->map);
			if (i & 2)
				host_store(&v, beside(page));
			guest_load(&v, page);
			guest_store(&v, page);
			if (i & 4)
				kvm_guest_destroy(v.g);
		}
		igt_waitchildren();
		check(&v);
	}
	coh_buf_destroy(&v.b);
}

/* KVM write-protects entries of its own, to log stores. */
static void dirty_log(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	struct rng r = rng_new(4);
	void *map = v.b.bo->map;
	int i;

	igt_assert_eq(kvm_guest_slot(v.g, SLOT_BUF, 0, BUF, map, 0), 0);
	igt_assert_eq(kvm_guest_slot(v.g, SLOT_BUF, KVM_MEM_LOG_DIRTY_PAGES, BUF,
				     map, SIZE), 0);
	for (i = 0; i < 40; i++) {
		const uint64_t page = any_page(&v, &r);

		prepare(&v, page, i / 2 % 4);
		if (i & 1)
			guest_store(&v, page);
		igt_assert_eq(kvm_guest_dirty_log(v.g, SLOT_BUF, SIZE), 0);
		if (i % 3 == 0)
			coh_touch(v.b.bo);
		guest_store(&v, page);
		check(&v);
	}
	teardown(&v);
}

/* KVM stores to the guest's memory by a mapping of the kernel. */
static void clock_page(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	int i, j;

	for (i = 0; i < v.n; i++) {
		const uint64_t off = v.page[i] * PAGE + 64 * i, len = 32;
		uint32_t *version = (uint32_t *)((char *)v.b.bo->map + off);

		if (i & 1)
			settle(&v);
		igt_assert_eq(kvm_guest_clock(v.g, BUF + off), 0);
		for (j = 0; j < 8; j++) {
			uint32_t before = *(volatile uint32_t *)version;

			if (j)
				igt_assert_eq(kvm_guest_clock_again(v.g), 0);
			igt_assert_eq(kvm_guest_nop(v.g), 0);
			igt_assert_f(*(volatile uint32_t *)version != before,
				     "KVM can't write its clock\n");
			/* memory is what counts: the device must have the same */
			memcpy((char *)v.b.p->want + off, version, len);
			check(&v);
			prepare(&v, v.page[i], j);
		}
	}
	teardown(&v);
}

struct runner {
	pthread_t thread;
	struct vm *v;
	struct kvm_guest_loop *loop;
	int (*run)(struct kvm_guest *g);
	int ret;
};

static void *runner_thread(void *data)
{
	struct runner *r = data;

	r->ret = r->run(r->v->g);
	/* Who waits for the guest sees that it has ended. */
	r->loop->stop = 1;
	return NULL;
}

static void runner_start(struct runner *r, struct vm *v,
			 int (*run)(struct kvm_guest *g))
{
	int i;

	*r = (struct runner){ .v = v, .loop = v->g->data, .run = run };
	memset(r->loop, 0, KVM_GUEST_DATA_SIZE);
	for (i = 0; i < v->n; i++)
		r->loop->word[i].gpa = BUF + v->page[i] * PAGE;
	igt_assert(!pthread_create(&r->thread, NULL, runner_thread, r));
}

static void runner_end(struct runner *r)
{
	r->loop->stop = 1;
	pthread_join(r->thread, NULL);
	igt_assert_f(!r->ret, "the guest: %s\n", r->v->g->said);
}

/* Whether the guest has come to some count, within some seconds */
static bool runner_reaches(struct runner *r, uint32_t count)
{
	int ms;

	for (ms = 0; ms < 20000 && !r->loop->stop; ms++) {
		if ((int32_t)(r->loop->count - count) >= 0)
			return true;
		usleep(1000);
	}
	return false;
}

/* Of those stores that the guest has numbered, the last one to a page */
static uint32_t last_of(const struct vm *v, uint32_t count, uint32_t which)
{
	const uint32_t n = v->n;

	return count > which ? which + 1 + (count - which - 1) / n * n : 0;
}

/* What the guest has stored before a submission is in it, while it goes on. */
static void store_while(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	struct rng r = rng_new(5);
	char lost[96] = "";
	struct runner run;
	int i, j;

	for (i = 0; i < v.n; i++) {
		*(uint64_t *)((char *)v.b.bo->map + v.page[i] * PAGE) = 0;
		v.b.p->want[v.page[i] * PAGE / 8] = 0;
	}
	check(&v);

	runner_start(&run, &v, kvm_guest_store_loop);
	for (i = 0; i < 100 && !lost[0]; i++) {
		uint32_t before, after;
		const char *got;

		if (!runner_reaches(&run, run.loop->count + 1)) {
			snprintf(lost, sizeof(lost), "the guest stores no more");
			break;
		}
		before = run.loop->count;
		if (egm_snapshot(v.b.bo, v.b.snap) ||
		    egm_fetch(v.b.snap, v.b.snap->size)) {
			snprintf(lost, sizeof(lost), "no snapshot");
			break;
		}
		/* a store is counted after it is done */
		after = run.loop->count + 1;
		got = v.b.snap->map;
		for (j = 0; j < v.n; j++) {
			const uint32_t word = *(uint32_t *)(got + v.page[j] * PAGE);

			if (word < last_of(&v, before, j) || word > after)
				snprintf(lost, sizeof(lost), "page %" PRIu64
					 ": store %u, for %u to %u", v.page[j],
					 word, last_of(&v, before, j), after);
		}
		if (!rng_below(&r, 4))
			for (j = rng_below(&r, 30); j > 0; j--)
				egm_touch(v.b.bo);
	}
	runner_end(&run);
	igt_assert_f(!lost[0], "submission %d: %s\n", i, lost);
	igt_debug("%u stores in %d submissions\n", run.loop->count, i);

	for (i = 0; i < v.n; i++)
		v.b.p->want[v.page[i] * PAGE / 8] = last_of(&v, run.loop->count, i);
	check(&v);
	teardown(&v);
}

/* What the device writes, and what that is copied from */
struct source {
	struct egm_bo *bo;
	struct pattern *p;
};

static struct source source_create(struct egm_dev *dev)
{
	return (struct source){ coh_create(dev, SIZE), pattern_new(SIZE) };
}

static void source_destroy(struct source *s)
{
	egm_bo_destroy(s->bo);
	pattern_free(s->p);
}

static int device_store(struct vm *v, struct source *s, uint64_t off,
			uint64_t len)
{
	const struct egm_copy copy = {
		.dst = v->b.bo,
		.dst_off = off,
		.src = s->bo,
		.src_off = off,
		.len = len,
	};

	pattern_fill(s->p, s->bo->map, off, len);
	pattern_copied(v->b.p, off, s->p, off, len);
	return egm_submit(v->b.dev, &copy, 1, NULL, 0);
}

/* The entries that the guest has do not outlive the copy in memory. */
static void device_then_load(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	struct source s = source_create(dev);
	struct rng r = rng_new(6);
	int i;

	for (i = 0; i < 32; i++) {
		const uint64_t page = any_page(&v, &r), half = PAGE / 2;

		prepare(&v, page, i);
		if (i & 4)
			guest_store(&v, page);
		else
			guest_load(&v, page);
		igt_assert_eq(device_store(&v, &s, page * PAGE, half), 0);
		/* C4, and the store waits if the load does not */
		if (i & 8)
			coh_wait(v.b.bo);
		if (i & 1)
			guest_store_at(&v, KVM_GUEST_MOVES, page * PAGE + half,
				       half);
		guest_load(&v, page);
		check(&v);
	}
	source_destroy(&s);
	teardown(&v);
}

/* The guest loads while the device writes, again and again. */
static void load_while(struct egm_dev *dev)
{
	struct vm v = setup(dev);
	struct source s = source_create(dev);
	struct rng r = rng_new(7);
	char wrong[96] = "";
	struct runner run;
	int i;

	runner_start(&run, &v, kvm_guest_load_loop);
	for (i = 0; i < 60 && !wrong[0]; i++) {
		const int which = rng_below(&r, v.n);
		const uint64_t off = v.page[which] * PAGE;
		uint32_t want, got;

		if (device_store(&v, &s, off, 64) || egm_wait(v.b.bo)) {
			snprintf(wrong, sizeof(wrong), "no submission");
			break;
		}
		/* by a whole round that was begun since */
		if (!runner_reaches(&run, run.loop->count + 2)) {
			snprintf(wrong, sizeof(wrong), "the guest loads no more");
			break;
		}
		want = v.b.p->want[off / 8];
		got = run.loop->word[which].value;
		if (want != got)
			snprintf(wrong, sizeof(wrong), "page %" PRIu64
				 ": %#x, not %#x", v.page[which], got, want);
	}
	runner_end(&run);
	igt_assert_f(!wrong[0], "submission %d: %s\n", i, wrong);
	check(&v);
	source_destroy(&s);
	teardown(&v);
}

static const struct coh_subtest subtests[] = {
	{ "load-then-store", "C1: the guest loads a page, then stores to it",
	  load_then_store },
	{ "store-submit", "C1: guest and process store, submissions between",
	  store_submit },
	{ "idle-then-store",
	  "C1: the guest stores once more after submissions without a store",
	  idle_then_store },
	{ "first-touch", "C1: nobody has touched the page before the guest does",
	  first_touch },
	{ "read-only-entry",
	  "C1: the page was read, and so its entry is read-only",
	  read_only_entry },
	{ "read-only", "C1: what is read-only for the guest stays so", read_only },
	{ "unmapped", "C3: stored, and unmapped before the submission", unmapped },
	{ "moved", "C3: stored, and moved or evicted before the submission", moved },
	{ "child-exit", "C3: the process that runs the guest has exited",
	  child_exit },
	{ "dirty-log", "C1: KVM logs the guest's stores", dirty_log },
	{ "clock", "C1: KVM itself stores to the guest's memory", clock_page },
	{ "store-while", "C1: submissions while the guest stores", store_while },
	{ "device-then-load",
	  "C2, C4: the guest loads what the device has written", device_then_load },
	{ "load-while", "C2: the guest loads while the device writes", load_while },
};

int coh_main()
{
	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
