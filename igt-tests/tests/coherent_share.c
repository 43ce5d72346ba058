// SPDX-License-Identifier: MIT
/**
 * TEST: coherent share
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C1 and C3 for a buffer that others have as well: as a dma-buf,
 *	in another context, in another process.
 *
 * SUBTEST: dmabuf-mmap
 * Description: C1, C3: mappings of the dma-buf (defect G2)
 *
 * SUBTEST: dmabuf-mmap-part
 * Description: C1, C3: mappings of some of the dma-buf's pages (defects G1, G2)
 *
 * SUBTEST: dmabuf-mmap-first
 * Description: C1: the dma-buf's mapping is the first (defects G2, V1)
 *
 * SUBTEST: dmabuf-reimport
 * Description: C3: only the dma-buf is left for a while
 *
 * SUBTEST: closed-file
 * Description: C1, C3: a mapping whose DRM file is closed
 *
 * SUBTEST: two-contexts
 * Description: C1: one buffer in the submissions of two contexts
 *
 * SUBTEST: other-process
 * Description: C1, C3: a buffer sent to a process with its own device file
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mmap.h"

IGT_TEST_DESCRIPTION("Coherent buffers: shared with other contexts and processes");

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
	char control[CMSG_SPACE(sizeof(fd))] = { 0 }, x = 'x';
	struct iovec iov = { &x, 1 };
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

static const struct coh_subtest subtests[] = {
	{ "dmabuf-mmap", "C1, C3: mappings of the dma-buf (defect G2)", dmabuf_mmap },
	{ "dmabuf-mmap-part", "C1, C3: mappings of some of the dma-buf's pages (defects G1, G2)", dmabuf_mmap_part },
	{ "dmabuf-mmap-first", "C1: the dma-buf's mapping is the first (defects G2, V1)", dmabuf_mmap_first },
	{ "dmabuf-reimport", "C3: only the dma-buf is left for a while", dmabuf_reimport },
	{ "closed-file", "C1, C3: a mapping whose DRM file is closed", closed_file },
	{ "two-contexts", "C1: one buffer in the submissions of two contexts", two_contexts },
	{ "other-process", "C1, C3: a buffer sent to a process with its own device file", other_process },
};

int coh_main()
{
	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
