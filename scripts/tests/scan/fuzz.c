// SPDX-License-Identifier: GPL-2.0
/*
 * Feed the kernel's scan of virgl command streams with rubbish. The source is
 * the kernel's own; sanitizers see what it reads, and what it reports is
 * checked here.
 *
 * With RANDOM defined it is a program of its own, for compilers that have no
 * libFuzzer: fuzz SECONDS SEED.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "virtgpu_scan.h"
#include "virtgpu_virgl.h"

#define UNKNOWN 0xff

struct found {
	struct virtio_gpu_scan base;
	const u32 *dwords;
	size_t nr_dwords, nr;
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

/* In memory that ends where the stream does */
static bool scan(const u32 *dwords, size_t nr_dwords, struct found *found)
{
	u32 *copy = malloc(nr_dwords * sizeof(*copy));
	bool ret;

	check(copy || !nr_dwords, "no memory");
	if (nr_dwords)
		memcpy(copy, dwords, nr_dwords * sizeof(*copy));
	*found = (struct found){ { writes }, copy, nr_dwords, 0 };
	ret = virtio_gpu_scan(&found->base, copy, nr_dwords);
	free(copy);
	check(found->nr <= nr_dwords, "more resources than dwords");
	return ret;
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

			dwords[nr++] = VIRGL_CMD0(below(below(32) ? VIRGL_CCMD_LINK_SHADER + 1 : 256),
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
