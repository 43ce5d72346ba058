// SPDX-License-Identifier: GPL-2.0
/*
 * Feed the kernel's scan of virgl command streams with rubbish. The source is
 * the kernel's own; sanitizers see what it reads, and what it reports is
 * checked here.
 *
 * With RANDOM defined it is a program of its own, for compilers that have no
 * libFuzzer: fuzz SECONDS SEED.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "virtgpu_scan.h"
#include "virtgpu_virgl.h"

#define KNOWN (VIRGL_CCMD_GET_PIPE_RESOURCE_LAYOUT + 1)
#define UNKNOWN 0xff

/* The resources whose guest memory must not be transferred */
#define COHERENT(id) ((id) % 4 == 3)

struct found {
	struct virtio_gpu_scan base;
	const u32 *dwords;
	size_t nr_dwords, nr;
	int ret;
};

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void writes(struct virtio_gpu_scan *scan, u32 res_id)
{
	struct found *found = (struct found *)scan;
	size_t i;

	for (i = 0; i < found->nr_dwords && found->dwords[i] != res_id; i++)
		;
	check(i < found->nr_dwords, "a resource that the stream does not name");
	found->nr++;
}

static bool is_coherent(struct virtio_gpu_scan *scan, u32 res_id)
{
	(void)scan;
	return COHERENT(res_id);
}

/* Of what the host gets nothing has changed but transfers, and none is left */
static void check_stream(const u32 *was, const u32 *is, size_t nr)
{
	while (nr) {
		u32 len = was[0] >> 16;
		bool whole = len < nr;

		if (is[0] != was[0]) {
			check(whole && is[0] == VIRGL_CMD0(VIRGL_CCMD_NOP, 0, len),
			      "a header that is not a no-op's");
			check((was[0] & 0xff) == VIRGL_CCMD_TRANSFER3D &&
			      COHERENT(was[1]), "another command is gone");
		} else if (whole && len && (is[0] & 0xff) == VIRGL_CCMD_TRANSFER3D) {
			check(!COHERENT(is[1]), "a transfer is left");
		} else if (whole && len >= 12 &&
			   (is[0] & 0xff) == VIRGL_CCMD_COPY_TRANSFER3D) {
			check(!COHERENT(is[12]), "a copy transfer is left");
		}
		if (!whole)
			len = nr - 1;
		check(!memcmp(was + 1, is + 1, len * sizeof(*is)),
		      "something else than a header has changed");
		was += 1 + len;
		is += 1 + len;
		nr -= 1 + len;
	}
}

/* In memory that ends where the stream does; whether all of it is understood */
static bool scan(const u32 *dwords, size_t nr_dwords, struct found *found)
{
	u32 *copy = malloc(nr_dwords * sizeof(*copy));

	check(copy || !nr_dwords, "no memory");
	if (nr_dwords)
		memcpy(copy, dwords, nr_dwords * sizeof(*copy));
	*found = (struct found){
		{ writes, is_coherent, false }, dwords, nr_dwords, 0, 0
	};
	found->ret = virtio_gpu_scan(&found->base, copy, nr_dwords);
	check(!found->ret || found->ret == -EINVAL, "another error");
	if (!found->ret)
		check_stream(dwords, copy, nr_dwords);
	free(copy);
	check(found->nr <= nr_dwords, "more resources than dwords");
	return !found->ret && !found->base.unknown;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t nr = size / sizeof(u32);
	u32 *dwords = calloc(nr + 1, sizeof(*dwords));
	struct found found, more;

	check(dwords, "no memory");
	if (nr)
		memcpy(dwords, data, nr * sizeof(*dwords));
	if (scan(dwords, nr, &found)) {
		/* It was whole: what is added is a command of its own. */
		dwords[nr] = VIRGL_CMD0(VIRGL_CCMD_NOP, 0, 0);
		check(scan(dwords, nr + 1, &more), "a no-op is not understood");
		check(more.nr == found.nr, "a no-op makes a difference");
		dwords[nr] = VIRGL_CMD0(UNKNOWN, 0, 0);
		check(!scan(dwords, nr + 1, &more), "the unknown is understood");
		check(!more.ret, "the unknown is refused");
		check(more.nr == found.nr, "the unknown makes a difference");
	}
	free(dwords);
	return 0;
}

#ifdef RANDOM
static u32 below(u32 n)
{
	return (u32)random() % n;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 1);
	unsigned int seed = argc > 2 ? atoi(argv[2]) : time(NULL);
	unsigned long runs;
	u32 dwords[256];

	printf("seed %u\n", seed);
	srandom(seed);
	for (runs = 0; runs % 1024 || time(NULL) < end; runs++) {
		size_t nr = 0, i;

		/* Commands of about their size, and some that are not whole */
		while (nr < 200 && below(16)) {
			u32 len = below(24);

			dwords[nr++] = VIRGL_CMD0(below(below(32) ? KNOWN : 256),
						  below(below(32) ? 12 : 256), len);
			for (i = 0; i < len; i++)
				dwords[nr++] = below(8);
		}
		LLVMFuzzerTestOneInput((uint8_t *)dwords,
				       nr * sizeof(*dwords) - (nr ? below(4) : 0));
	}
	printf("%lu streams\n", runs);
	return 0;
}
#endif
