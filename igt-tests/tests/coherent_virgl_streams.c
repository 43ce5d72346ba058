// SPDX-License-Identifier: MIT
/**
 * TEST: coherent virgl streams
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C5 against streams of virgl commands that are long, or made to
 *	take the kernel's scan long: nobody else waits for them.
 *
 * SUBTEST: long-stream
 * Description: C5: stores do not wait until a long stream was read
 *
 * SUBTEST: hostile-streams
 * Description: C5: submissions of another process do not wait for what is in a stream
 */
#include <stdatomic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "coh_virgl.h"
#include "readback.h"

IGT_TEST_DESCRIPTION("Coherent buffers of virtio-gpu: long and hostile command streams");

/* Longer streams are not followed. */
#define LONGEST (128 * 1024)

struct submitter {
	struct egm_dev *dev;
	const uint32_t *cmds;
	size_t dwords;
	uint32_t handle;
	atomic_bool done;
	double time;
};

static void *submitter_thread(void *arg)
{
	struct submitter *s = arg;
	double begun = coh_now();

	virtgpu_execbuffer(s->dev->fd, s->cmds, s->dwords * 4, &s->handle, 1);
	s->time = coh_now() - begun;
	atomic_store(&s->done, true);
	return NULL;
}

/*
 * To find out what a long stream may write takes time. Stores to a buffer of its
 * list that fault meanwhile, one to a chunk, wait for that a bounded time only: the
 * longest that is followed is this one.
 */
static void long_stream(struct egm_dev *dev)
{
	const uint64_t size = MiB(64), chunk = KiB(256);
	const size_t dwords = LONGEST, len = 2 + 3 * 32;
	struct egm_bo *bo = coh_create(dev, size), *theirs;
	/* the host gives up on the context */
	struct egm_dev *other = coh_open_again(dev);
	struct submitter s = { .dev = other, .dwords = dwords };
	uint32_t *cmds = calloc(dwords, sizeof(*cmds));
	int fd = coh_export(bo), round;
	uint64_t at = size;
	bool free = false;
	size_t i;

	igt_assert(cmds);
	theirs = coh_import(other, fd);
	for (i = 0; i + len < dwords; i += 1 + len) {
		size_t field;

		cmds[i] = VIRGL_CMD(VIRGL_CCMD_SET_SHADER_BUFFERS, len);
		for (field = 5; field <= len; field += 3)
			cmds[i + field] = 0x7fff0000 + field;
	}
	s.cmds = cmds;
	s.handle = theirs->handle;

	/* The host of this machine is busy at times, but not always. */
	for (round = 0; round < 10 && !free; round++) {
		double longest = 0;
		pthread_t thread;

		atomic_store(&s.done, false);
		igt_assert(!pthread_create(&thread, NULL, submitter_thread, &s));
		while (!atomic_load(&s.done)) {
			double begun = coh_now();

			/* each time a page of a chunk that is not open */
			at = (at ? at : size) - chunk;
			*(volatile uint64_t *)((char *)bo->map + at + round * PAGE) = at;
			if (coh_now() - begun > longest)
				longest = coh_now() - begun;
		}
		igt_assert(!pthread_join(thread, NULL));
		igt_debug("%.3f s, the longest store %.3f s\n", s.time, longest);
		free = longest < 0.1;
	}
	igt_assert_f(free, "stores wait for a tenth of a second and more\n");
	close(fd);
	coh_close(other);
	egm_bo_destroy(bo);
}

/*
 * Makes the stream of this number, of LONGEST dwords at most, in a context of its own, and
 * returns its length, or 0: there is none any more.
 */
typedef size_t make_stream(uint32_t *cmds, int i, const struct egm_bo *theirs);

/* Handles of all magnitudes, each once */
static uint32_t handle_of(int n)
{
	return (n + 1) * 0x9e3779b1u;
}

static uint32_t *create_target(uint32_t *end, int n)
{
	const uint32_t words[] = { handle_of(n), 0, 0, 64 };

	return virgl_command(end, VIRGL_CCMD_CREATE_OBJECT | VIRGL_OBJECT_STREAMOUT_TARGET << 8,
		       words, ARRAY_SIZE(words));
}

static uint32_t *destroy_target(uint32_t *end, int n)
{
	const uint32_t handle = handle_of(n);

	return virgl_command(end, VIRGL_CCMD_DESTROY_OBJECT, &handle, 1);
}

/* As many as a stream may create, a few less, and no more than that: for comparison */
#define STREAM_TARGETS 3900

static size_t make_some(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds;
	int n;

	(void)theirs;
	for (n = 0; n < STREAM_TARGETS && i < 2; n++)
		end = create_target(end, i * STREAM_TARGETS + n);
	return end - cmds;
}

static size_t make_created(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds;
	int n;

	(void)theirs;
	for (n = 0; end - cmds + 5 <= LONGEST; n++)
		end = create_target(end, n);
	return i ? 0 : end - cmds;
}

static size_t make_created_again(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds;
	int n;

	(void)theirs;
	for (n = 0; end - cmds + 7 <= LONGEST; n++)
		end = destroy_target(create_target(end, n), n);
	return i ? 0 : end - cmds;
}

static size_t make_subs(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds, id;
	int n;

	(void)theirs;
	for (n = 0; end - cmds + 4 <= LONGEST; n++) {
		id = handle_of(n);
		end = virgl_command(end, VIRGL_CCMD_CREATE_SUB_CTX, &id, 1);
		end = virgl_command(end, VIRGL_CCMD_DESTROY_SUB_CTX, &id, 1);
	}
	return i ? 0 : end - cmds;
}

static size_t make_text(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	static const char text[] = "STORE BUFFER[1].x, TEMP[0], TEMP[1]\n";
	const size_t len = 0xffff;
	uint32_t *end = cmds;
	size_t n, at;

	(void)theirs;
	for (n = 0; n < 2; n++, end += 1 + len) {
		const uint32_t words[] = { 1 + n, VIRGL_COMPUTE, 4 * (len - 5), 300, 0 };

		end[0] = VIRGL_CMD(VIRGL_CCMD_CREATE_OBJECT | VIRGL_OBJECT_SHADER << 8, len);
		memcpy(end + 1, words, sizeof(words));
		for (at = 0; at < 4 * (len - 5); at++)
			((char *)(end + 6))[at] = text[at % (sizeof(text) - 1)];
	}
	return i ? 0 : end - cmds;
}

static size_t make_bound(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = virgl_bind_numbers(cmds);

	while (end - cmds + 6 + 9 <= LONGEST)
		end = virgl_launch(virgl_bind_range(end, theirs, 0, VIRGL_GROUP_WORDS), VIRGL_GROUP_WORDS);
	return i ? 0 : end - cmds;
}

/* Buffers that are somebody else's */
static size_t make_named(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = cmds;

	while (end - cmds + 2 <= LONGEST)
		end = virgl_command(end, VIRGL_CCMD_CLEAR_TEXTURE, &theirs->res, 1);
	return i ? 0 : end - cmds;
}

/* Many objects, by streams of which none is more than it may be, for what is last */
#define TARGET_STREAMS 8

static uint32_t *many_targets(uint32_t *cmds, int i)
{
	const uint32_t id = 1;
	uint32_t *end = cmds;
	int n;

	if (!i)
		end = virgl_command(end, VIRGL_CCMD_CREATE_SUB_CTX, &id, 1);
	for (n = 0; n < STREAM_TARGETS && i < TARGET_STREAMS; n++)
		end = create_target(end, i * STREAM_TARGETS + n);
	return end;
}

static size_t make_destroyed(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = many_targets(cmds, i);
	int n;

	(void)theirs;
	for (n = 0; n < TARGET_STREAMS * STREAM_TARGETS && i == TARGET_STREAMS; n++)
		end = destroy_target(end, n);
	return end - cmds;
}

static size_t make_sub_destroyed(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = many_targets(cmds, i);
	const uint32_t id = 1;

	(void)theirs;
	if (i == TARGET_STREAMS)
		end = virgl_command(end, VIRGL_CCMD_DESTROY_SUB_CTX, &id, 1);
	return end - cmds;
}

static size_t make_lost(uint32_t *cmds, int i, const struct egm_bo *theirs)
{
	uint32_t *end = many_targets(cmds, i);

	(void)theirs;
	if (i == TARGET_STREAMS)
		*end++ = VIRGL_CMD(0xff, 0);
	return end - cmds;
}

/* Two processes with a buffer in common, each in a context of its own */
struct contention {
	atomic_bool at_work, stop;
	_Atomic uint64_t longest_ns, submissions;
};

/* How long a submission takes at most while the other process is at work */
static void submit_until_stopped(struct contention *c, struct egm_bo *bo)
{
	while (!atomic_load(&c->stop)) {
		bool at_work = atomic_load(&c->at_work);
		double begun = coh_now();
		uint64_t ns;

		coh_touch(bo);
		ns = (coh_now() - begun) * 1e9;
		at_work |= atomic_load(&c->at_work);
		if (at_work && ns > atomic_load(&c->longest_ns))
			atomic_store(&c->longest_ns, ns);
		atomic_fetch_add(&c->submissions, 1);
	}
}

/* All of a kind's streams: how long the other process waited at most, in seconds */
static double hold_up(struct egm_dev *dev, struct contention *c, make_stream *make,
		      uint32_t *cmds, int fd, const struct egm_bo *theirs)
{
	struct egm_dev *other = coh_open_again(dev);
	struct egm_bo *bo = coh_import(other, fd);
	/* There is none: the host gives up on the context, and does none of the work. */
	const uint32_t none[] = { VIRGL_COMPUTE, 0, 0, 64, 0x7fff0000 };
	size_t len;
	int i;

	len = virgl_command(cmds, VIRGL_CCMD_SET_SHADER_BUFFERS, none, ARRAY_SIZE(none)) - cmds;
	igt_assert_eq(virgl_submit(other, cmds, cmds + len, bo), 0);
	coh_wait(bo);
	atomic_store(&c->longest_ns, 0);
	for (i = 0; (len = make(cmds, i, theirs)); i++) {
		uint64_t submissions = atomic_load(&c->submissions);

		atomic_store(&c->at_work, true);
		igt_assert_eq(virgl_submit(other, cmds, cmds + len, bo), 0);
		/* until the one that may have waited is counted */
		while (atomic_load(&c->submissions) < submissions + 2)
			usleep(100);
		atomic_store(&c->at_work, false);
	}
	coh_close(other);
	return atomic_load(&c->longest_ns) / 1e9;
}

/*
 * Whatever is in a stream, who needs one of its buffers waits no more than some times as
 * long as for one in which there is as much as it may have.
 */
static void hostile_streams(struct egm_dev *dev)
{
	static const struct {
		const char *name;
		make_stream *make;
	} kinds[] = {
		{ "created", make_created },
		{ "created and destroyed", make_created_again },
		{ "sub-contexts", make_subs },
		{ "text", make_text },
		{ "bound", make_bound },
		{ "named", make_named },
		{ "destroyed", make_destroyed },
		{ "sub-context destroyed", make_sub_destroyed },
		{ "lost", make_lost },
	};
	const double times = 4;
	struct contention *c = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t *cmds = malloc(LONGEST * sizeof(*cmds));
	struct egm_bo *bo = coh_create(dev, PAGE), *theirs = coh_create(dev, PAGE);
	int fd = coh_export(bo), round;
	double some, longest;
	size_t i;

	igt_assert(cmds && c != MAP_FAILED);
	igt_fork(child, 1) {
		struct egm_dev *mine = coh_open_again(dev);

		submit_until_stopped(c, coh_import(mine, fd));
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* The host of this machine is busy at times, but not always. */
		for (round = 0; round < 5; round++) {
			some = hold_up(dev, c, make_some, cmds, fd, theirs);
			longest = hold_up(dev, c, kinds[i].make, cmds, fd, theirs);
			igt_info("%s: %.1f ms, %d created: %.1f ms\n", kinds[i].name,
				 longest * 1e3, STREAM_TARGETS, some * 1e3);
			if (longest < times * some)
				break;
		}
		igt_assert_f(round < 5, "%s: a submission waits %.0f times as long as it should\n",
			     kinds[i].name, longest / some);
	}
	atomic_store(&c->stop, true);
	igt_waitchildren();
	munmap(c, PAGE);
	free(cmds);
	close(fd);
	egm_bo_destroy(theirs);
	egm_bo_destroy(bo);
}

static const struct coh_subtest subtests[] = {
	{ "long-stream", "C5: stores do not wait until a long stream was read", long_stream },
	{ "hostile-streams", "C5: submissions of another process do not wait for what is in a stream", hostile_streams },
};

int coh_main()
{
	coh_subtests_of(&egm_virtio_gpu, subtests, ARRAY_SIZE(subtests));
}
