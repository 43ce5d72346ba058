// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KUnit tests of what is found in virgl command streams. Streams are at the very
 * end of an allocation of their own, so that KASAN notices a read behind them.
 */

#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <kunit/test.h>

#include "virtgpu_scan.h"
#include "virtgpu_virgl.h"

#define MAX_WRITES	64

/* The resource whose guest memory must not be transferred. */
#define COHERENT	0x1234

struct found {
	struct virtio_gpu_scan base;
	u32 ids[MAX_WRITES];
	/* Counts on when the array is full. */
	size_t nr;
	int ret;
};

static void found_writes(struct virtio_gpu_scan *scan, u32 res_id)
{
	struct found *found = container_of(scan, struct found, base);

	if (found->nr < MAX_WRITES)
		found->ids[found->nr] = res_id;
	found->nr++;
}

static bool found_is_coherent(struct virtio_gpu_scan *scan, u32 res_id)
{
	return res_id == COHERENT;
}

/* Returns whether all of the stream is understood. */
static bool scan(struct kunit *test, u32 *dwords, size_t nr,
		 struct found *found)
{
	size_t bytes = nr * sizeof(*dwords);
	void *copy;

	memset(found, 0, sizeof(*found));
	found->base.writes = found_writes;
	found->base.is_coherent = found_is_coherent;

	copy = kunit_kmalloc(test, bytes, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, dwords, bytes);
	found->ret = virtio_gpu_scan(&found->base, copy, nr);
	memcpy(dwords, copy, bytes);
	kunit_kfree(test, copy);

	return !found->ret && !found->base.unknown;
}

/* The resource that field n of a command names is n here, other fields are 0x80. */
#define WRITE_FIELDS_MAX	4
#define CASE_DWORDS_MAX		64

static const struct write_case {
	const char *name;
	u8 cmd;
	u8 obj;
	u8 len;
	u8 fields[WRITE_FIELDS_MAX];
} write_cases[] = {
	{ "stream-out target", VIRGL_CCMD_CREATE_OBJECT,
	  VIRGL_OBJECT_STREAMOUT_TARGET, 4, { 2 } },
	{ "surface", VIRGL_CCMD_CREATE_OBJECT, VIRGL_OBJECT_SURFACE, 5, { 2 } },
	{ "multisample surface", VIRGL_CCMD_CREATE_OBJECT,
	  VIRGL_OBJECT_MSAA_SURFACE, 6, { 2 } },
	{ "inline write", VIRGL_CCMD_RESOURCE_INLINE_WRITE, 0, 60, { 1 } },
	{ "blit", VIRGL_CCMD_BLIT, 0, 21, { 4 } },
	{ "copy", VIRGL_CCMD_RESOURCE_COPY_REGION, 0, 13, { 1 } },
	{ "no shader buffer", VIRGL_CCMD_SET_SHADER_BUFFERS, 0, 2 },
	{ "shader buffer", VIRGL_CCMD_SET_SHADER_BUFFERS, 0, 5, { 5 } },
	{ "shader buffers", VIRGL_CCMD_SET_SHADER_BUFFERS, 0, 11, { 5, 8, 11 } },
	{ "shader image", VIRGL_CCMD_SET_SHADER_IMAGES, 0, 7, { 7 } },
	{ "shader images", VIRGL_CCMD_SET_SHADER_IMAGES, 0, 17, { 7, 12, 17 } },
	{ "atomic buffer", VIRGL_CCMD_SET_ATOMIC_BUFFERS, 0, 4, { 4 } },
	{ "atomic buffers", VIRGL_CCMD_SET_ATOMIC_BUFFERS, 0, 10, { 4, 7, 10 } },
	{ "query result", VIRGL_CCMD_GET_QUERY_RESULT_QBO, 0, 6, { 2 } },
	{ "copy transfer", VIRGL_CCMD_COPY_TRANSFER3D, 0, 14, { 1 } },
	{ "clear", VIRGL_CCMD_CLEAR_TEXTURE, 0, 12, { 1 } },
	{ "video buffer", VIRGL_CCMD_CREATE_VIDEO_BUFFER, 0, 7, { 5, 6, 7 } },
	{ "encoded video", VIRGL_CCMD_ENCODE_BITSTREAM, 0, 5, { 3 } },
	/* And some that name resources which are only read. */
	{ "sampler view", VIRGL_CCMD_CREATE_OBJECT, VIRGL_OBJECT_SAMPLER_VIEW, 6 },
	{ "vertex buffers", VIRGL_CCMD_SET_VERTEX_BUFFERS, 0, 48 },
	{ "index buffer", VIRGL_CCMD_SET_INDEX_BUFFER, 0, 3 },
	{ "uniform buffer", VIRGL_CCMD_SET_UNIFORM_BUFFER, 0, 5 },
	{ "indirect draw", VIRGL_CCMD_DRAW_VBO, 0, 20 },
	{ "indirect dispatch", VIRGL_CCMD_LAUNCH_GRID, 0, 8 },
	{ "query", VIRGL_CCMD_CREATE_OBJECT, VIRGL_OBJECT_QUERY, 4 },
	{ "transfer", VIRGL_CCMD_TRANSFER3D, 0, 13 },
	{ "decoded video", VIRGL_CCMD_DECODE_BITSTREAM, 0, 5 },
	{ "clear of a surface", VIRGL_CCMD_CLEAR_SURFACE, 0, 10 },
	{ "layout", VIRGL_CCMD_GET_PIPE_RESOURCE_LAYOUT, 0, 2 },
	{ "no-op", VIRGL_CCMD_NOP },
};

static void write_case_desc(const struct write_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(write_cases, write_cases, write_case_desc);

static size_t write_case_stream(const struct write_case *c, u32 *dwords)
{
	int i;

	dwords[0] = VIRGL_CMD0(c->cmd, c->obj, c->len);
	memset32(dwords + 1, 0x80, c->len);
	for (i = 0; i < WRITE_FIELDS_MAX && c->fields[i]; i++)
		dwords[c->fields[i]] = c->fields[i];

	return 1 + c->len;
}

static void virtgpu_scan_test_writes(struct kunit *test)
{
	const struct write_case *c = test->param_value;
	static u32 dwords[2 * CASE_DWORDS_MAX];
	struct found found;
	size_t nr, i;

	nr = write_case_stream(c, dwords);
	KUNIT_EXPECT_TRUE(test, scan(test, dwords, nr, &found));
	for (i = 0; i < WRITE_FIELDS_MAX && c->fields[i]; i++)
		KUNIT_EXPECT_EQ(test, c->fields[i], found.ids[i]);
	KUNIT_EXPECT_EQ(test, i, found.nr);

	/* The same behind another command, which does not matter. */
	memmove(dwords + 3, dwords, nr * sizeof(*dwords));
	dwords[0] = VIRGL_CMD0(VIRGL_CCMD_BIND_SHADER, 0, 2);
	KUNIT_EXPECT_TRUE(test, scan(test, dwords, 3 + nr, &found));
	KUNIT_EXPECT_EQ(test, i, found.nr);

	/* Cut short, anything is possible; the length is not believed. */
	for (nr += 2; nr > 3; nr--)
		KUNIT_EXPECT_FALSE(test, scan(test, dwords, nr, &found));
}

/* All of these in one stream are found, in order. */
static void virtgpu_scan_test_many(struct kunit *test)
{
	struct found found;
	size_t nr = 0, writes = 0, i, j;
	u32 *dwords;

	dwords = kunit_kcalloc(test, ARRAY_SIZE(write_cases),
			       CASE_DWORDS_MAX * sizeof(*dwords), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dwords);
	for (i = 0; i < ARRAY_SIZE(write_cases); i++)
		nr += write_case_stream(&write_cases[i], dwords + nr);

	KUNIT_EXPECT_TRUE(test, scan(test, dwords, nr, &found));
	for (i = 0; i < ARRAY_SIZE(write_cases); i++)
		for (j = 0; j < WRITE_FIELDS_MAX && write_cases[i].fields[j]; j++)
			KUNIT_EXPECT_EQ(test, write_cases[i].fields[j],
					found.ids[writes++]);
	KUNIT_EXPECT_EQ(test, writes, found.nr);
}

/* What is not understood may write anything. What follows is scanned as well. */
static void virtgpu_scan_test_unknown(struct kunit *test)
{
	const u32 copy = VIRGL_CMD0(VIRGL_CCMD_RESOURCE_COPY_REGION, 0, 1);
	struct found found;
	u32 cmd;

	for (cmd = VIRGL_CCMD_GET_PIPE_RESOURCE_LAYOUT + 1; cmd < 256; cmd++) {
		u32 dwords[] = { copy, 7, VIRGL_CMD0(cmd, 0, 0), copy, 8 };

		KUNIT_EXPECT_FALSE(test, scan(test, dwords, ARRAY_SIZE(dwords),
					      &found));
		KUNIT_EXPECT_EQ(test, 2, found.nr);
		KUNIT_EXPECT_EQ(test, 7, found.ids[0]);
		KUNIT_EXPECT_EQ(test, 8, found.ids[1]);
	}

	for (cmd = 0; cmd < 256; cmd++) {
		u32 dwords[] = {
			VIRGL_CMD0(VIRGL_CCMD_CREATE_OBJECT, cmd, 3), 1, 7, 2
		};

		KUNIT_EXPECT_EQ(test, cmd && cmd <= VIRGL_OBJECT_MSAA_SURFACE,
				scan(test, dwords, ARRAY_SIZE(dwords), &found));
	}
}

/* A command that is too short for the resource it should name. */
static void virtgpu_scan_test_short(struct kunit *test)
{
	u32 dwords[] = {
		VIRGL_CMD0(VIRGL_CCMD_BLIT, 0, 3), 1, 2, 3, VIRGL_CCMD_NOP
	};
	struct found found;

	KUNIT_EXPECT_FALSE(test, scan(test, dwords, ARRAY_SIZE(dwords), &found));
	KUNIT_EXPECT_EQ(test, 0, found.nr);

	/* It is the length that counts, not what there is behind it. */
	dwords[0] = VIRGL_CMD0(VIRGL_CCMD_BLIT, 0, 4);
	dwords[4] = 9;
	KUNIT_EXPECT_TRUE(test, scan(test, dwords, ARRAY_SIZE(dwords), &found));
	KUNIT_EXPECT_EQ(test, 1, found.nr);
	KUNIT_EXPECT_EQ(test, 9, found.ids[0]);

	dwords[0] = VIRGL_CMD0(VIRGL_CCMD_NOP, 0, 0xffff);
	KUNIT_EXPECT_FALSE(test, scan(test, dwords, ARRAY_SIZE(dwords), &found));
	KUNIT_EXPECT_TRUE(test, scan(test, dwords, 0, &found));
}

/* A coherent buffer's transfer is taken out, in both directions. */
static void virtgpu_scan_test_transfer(struct kunit *test)
{
	u32 dwords[17] = { VIRGL_CMD0(0xff, 0, 0) };
	u32 *cmd = dwords + 1;
	struct found found;
	u32 direction;

	for (direction = 0; direction < 4; direction++) {
		memset32(cmd, 0x80, 14);
		cmd[0] = VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 13);
		cmd[1] = COHERENT;
		cmd[VIRGL_RESOURCE_IW_X] = 4096;
		cmd[VIRGL_TRANSFER3D_DATA_OFFSET] = 4096;
		cmd[13] = direction;
		/* And the commands behind it are still where they were. */
		cmd[14] = VIRGL_CMD0(VIRGL_CCMD_CLEAR_TEXTURE, 0, 1);
		cmd[15] = 5;

		scan(test, dwords, ARRAY_SIZE(dwords), &found);
		KUNIT_EXPECT_EQ(test, 0, found.ret);
		KUNIT_EXPECT_EQ(test, 1, found.nr);
		KUNIT_EXPECT_EQ(test, 5, found.ids[0]);
		KUNIT_EXPECT_EQ(test, VIRGL_CMD0(VIRGL_CCMD_NOP, 0, 13), cmd[0]);

		/* To another place, or with a part of it missing. */
		cmd[0] = VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 13);
		cmd[VIRGL_TRANSFER3D_DATA_OFFSET] = 0;
		scan(test, dwords, ARRAY_SIZE(dwords), &found);
		KUNIT_EXPECT_EQ(test, -EINVAL, found.ret);

		cmd[0] = VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 12);
		cmd[VIRGL_TRANSFER3D_DATA_OFFSET] = 4096;
		scan(test, dwords, 1 + 13, &found);
		KUNIT_EXPECT_EQ(test, -EINVAL, found.ret);

		/* Another resource's is left as it is. */
		cmd[0] = VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 13);
		cmd[1] = COHERENT + 1;
		scan(test, dwords, 1 + 14, &found);
		KUNIT_EXPECT_EQ(test, 0, found.ret);
		KUNIT_EXPECT_EQ(test, 0, found.nr);
		KUNIT_EXPECT_EQ(test, VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 13),
				cmd[0]);
	}

	/* Not even a resource. */
	dwords[0] = VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 0);
	KUNIT_EXPECT_TRUE(test, scan(test, dwords, 1, &found));
}

/* Its host copy can be either side of a copy, its guest memory can't. */
static void virtgpu_scan_test_copy_transfer(struct kunit *test)
{
	u32 dwords[15] = {
		VIRGL_CMD0(VIRGL_CCMD_COPY_TRANSFER3D, 0, 14), COHERENT,
		[VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE] = 7,
	};
	const u32 header = dwords[0];
	struct found found;
	u32 flags;

	for (flags = 0; flags < 4; flags++) {
		dwords[14] = flags;
		dwords[1] = COHERENT;
		dwords[VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE] = 7;
		KUNIT_EXPECT_TRUE(test, scan(test, dwords, 15, &found));
		KUNIT_EXPECT_EQ(test, 1, found.nr);
		KUNIT_EXPECT_EQ(test, COHERENT, found.ids[0]);
		KUNIT_EXPECT_EQ(test, header, dwords[0]);

		dwords[1] = 7;
		dwords[VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE] = COHERENT;
		scan(test, dwords, 15, &found);
		KUNIT_EXPECT_EQ(test, -EINVAL, found.ret);

		dwords[1] = COHERENT;
		scan(test, dwords, 15, &found);
		KUNIT_EXPECT_EQ(test, -EINVAL, found.ret);
	}
}

/* Rubbish, with the lengths of real commands so that some of it is passed over. */
static void virtgpu_scan_test_random(struct kunit *test)
{
	const size_t max = 512;
	u32 *dwords = kunit_kcalloc(test, max, sizeof(*dwords), GFP_KERNEL);
	u32 seed = get_random_u32();
	struct rnd_state rnd;
	struct found found;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, dwords);
	kunit_info(test, "seed %u", seed);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < 2000; i++) {
		size_t nr = prandom_u32_state(&rnd) % max, j;

		for (j = 0; j < nr; j++)
			dwords[j] = prandom_u32_state(&rnd) & 0x000f0f3f;
		scan(test, dwords, nr, &found);
		KUNIT_ASSERT_LE(test, found.nr, nr);
	}
}

static struct kunit_case virtgpu_scan_test_cases[] = {
	KUNIT_CASE_PARAM(virtgpu_scan_test_writes, write_cases_gen_params),
	KUNIT_CASE(virtgpu_scan_test_many),
	KUNIT_CASE(virtgpu_scan_test_unknown),
	KUNIT_CASE(virtgpu_scan_test_short),
	KUNIT_CASE(virtgpu_scan_test_transfer),
	KUNIT_CASE(virtgpu_scan_test_copy_transfer),
	KUNIT_CASE(virtgpu_scan_test_random),
	{ }
};

static struct kunit_suite virtgpu_scan_test_suite = {
	.name = "virtgpu_scan",
	.test_cases = virtgpu_scan_test_cases,
};

kunit_test_suite(virtgpu_scan_test_suite);
