// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KUnit tests of what is found in virgl command streams. Streams are at the very
 * end of an allocation of their own, so that KASAN notices a read behind them.
 * One long file: nearly all of it is streams and what they have to write.
 */

#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <kunit/test.h>

#include "virtgpu_scan.h"
#include "virtgpu_virgl.h"

#define MAX_WRITES	64
#define MAX_DWORDS	1024

/* The resource whose guest memory must not be transferred. */
#define COHERENT	0x1234

/* A context, the stream that is made for it, and what that may write. */
struct context {
	struct virtio_gpu_scan base;
	struct virtio_gpu_bindings bindings;
	u32 stream[MAX_DWORDS];
	size_t nr_dwords;
	struct {
		u32 id;
		u32 offset;
		u32 len;
	} writes[MAX_WRITES];
	/* Counts on when the array is full. */
	size_t nr_writes;
};

static void context_writes(struct virtio_gpu_scan *base, u32 res_id, u32 offset,
			   u32 len)
{
	struct context *ctx = container_of(base, struct context, base);

	if (ctx->nr_writes < MAX_WRITES) {
		ctx->writes[ctx->nr_writes].id = res_id;
		ctx->writes[ctx->nr_writes].offset = offset;
		ctx->writes[ctx->nr_writes].len = len;
	}
	ctx->nr_writes++;
}

static bool context_is_coherent(struct virtio_gpu_scan *base, u32 res_id)
{
	return res_id == COHERENT;
}

static int context_init(struct kunit *test)
{
	struct context *ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);

	if (!ctx)
		return -ENOMEM;
	ctx->base.writes = context_writes;
	ctx->base.is_coherent = context_is_coherent;
	virtio_gpu_bindings_init(&ctx->bindings, true);
	test->priv = ctx;

	return 0;
}

static void context_exit(struct kunit *test)
{
	struct context *ctx = test->priv;

	if (ctx)
		virtio_gpu_bindings_fini(&ctx->bindings);
}

/* The same, as if it were a new one. */
static void context_again(struct kunit *test)
{
	struct context *ctx = test->priv;

	virtio_gpu_bindings_fini(&ctx->bindings);
	virtio_gpu_bindings_init(&ctx->bindings, true);
	ctx->nr_dwords = 0;
}

static void add_words(struct kunit *test, u32 header, const void *words, size_t nr)
{
	struct context *ctx = test->priv;

	KUNIT_ASSERT_LE(test, ctx->nr_dwords + 1 + nr, MAX_DWORDS);
	ctx->stream[ctx->nr_dwords++] = header | nr << 16;
	memcpy(ctx->stream + ctx->nr_dwords, words, nr * sizeof(u32));
	ctx->nr_dwords += nr;
}

#define add(test, cmd, ...) do {					\
	const u32 words_[] = { __VA_ARGS__ };				\
									\
	add_words(test, cmd, words_, ARRAY_SIZE(words_));		\
} while (0)

static bool scan_writes(struct kunit *test, const u32 *dwords, size_t nr)
{
	struct context *ctx = test->priv;
	size_t bytes = nr * sizeof(*dwords);
	void *copy = kvmalloc(bytes, GFP_KERNEL);
	bool known;

	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, dwords, bytes);
	ctx->nr_writes = 0;
	known = virtio_gpu_scan_writes(&ctx->base, &ctx->bindings, copy, nr);
	kvfree(copy);

	return known;
}

static int scan_transfers(struct kunit *test, u32 *dwords, size_t nr)
{
	struct context *ctx = test->priv;
	size_t bytes = nr * sizeof(*dwords);
	void *copy = kmalloc(bytes, GFP_KERNEL);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, dwords, bytes);
	ret = virtio_gpu_scan_transfers(&ctx->base, copy, nr);
	memcpy(dwords, copy, bytes);
	kfree(copy);

	return ret;
}

/* Submits what was added. Returns whether it is known what it may write. */
static bool submit(struct kunit *test)
{
	struct context *ctx = test->priv;
	size_t nr = ctx->nr_dwords;
	bool known;

	ctx->nr_dwords = 0;
	known = scan_writes(test, ctx->stream, nr);
	virtio_gpu_bindings_reap(&ctx->bindings);

	return known;
}

/* ... and it may write so many ranges, the last of which is the one. */
static void expect_writes(struct kunit *test, int line, size_t nr, u32 id,
			  u32 offset, u32 len)
{
	struct context *ctx = test->priv;

	KUNIT_EXPECT_TRUE_MSG(test, submit(test), "line %d", line);
	KUNIT_ASSERT_EQ_MSG(test, nr, ctx->nr_writes, "line %d", line);
	KUNIT_EXPECT_EQ_MSG(test, id, ctx->writes[nr - 1].id, "line %d", line);
	KUNIT_EXPECT_EQ_MSG(test, offset, ctx->writes[nr - 1].offset, "line %d",
			    line);
	KUNIT_EXPECT_EQ_MSG(test, len, ctx->writes[nr - 1].len, "line %d", line);
}

#define EXPECT_WRITES(test, ...)	expect_writes(test, __LINE__, __VA_ARGS__)

static void expect_nothing(struct kunit *test, int line)
{
	struct context *ctx = test->priv;

	KUNIT_EXPECT_TRUE_MSG(test, submit(test), "line %d", line);
	KUNIT_EXPECT_EQ_MSG(test, 0, ctx->nr_writes, "line %d", line);
}

#define EXPECT_NOTHING(test)		expect_nothing(test, __LINE__)

/* ... or that it is not known, and neither is it of another one. */
static void expect_lost(struct kunit *test, int line)
{
	KUNIT_EXPECT_FALSE_MSG(test, submit(test), "line %d", line);
	add(test, VIRGL_CCMD_NOP);
	KUNIT_EXPECT_FALSE_MSG(test, submit(test), "line %d", line);
	context_again(test);
}

#define EXPECT_LOST(test)		expect_lost(test, __LINE__)

#define CREATE(type)	(VIRGL_CCMD_CREATE_OBJECT | (type) << 8)

/* ---- what is written once --------------------------------------------- */

/* Field 0 of a range is none: the offset is 0, the length all. */
static const struct once_case {
	const char *name;
	u32 cmd;
	u8 len;
	u8 id;
	u8 offset;
	u8 length;
	/* The length does not depend on a field. */
	u8 fixed;
} once_cases[] = {
	{ "inline write", VIRGL_CCMD_RESOURCE_INLINE_WRITE, 60, 1, 6, 9 },
	{ "copy transfer", VIRGL_CCMD_COPY_TRANSFER3D, 14, 1, 6, 9 },
	{ "copy", VIRGL_CCMD_RESOURCE_COPY_REGION, 13, 1, 3, 11 },
	{ "query result", VIRGL_CCMD_GET_QUERY_RESULT_QBO, 6, 2, 5, 0, 8 },
	{ "blit", VIRGL_CCMD_BLIT, 21, 4 },
	{ "clear", VIRGL_CCMD_CLEAR_TEXTURE, 12, 1 },
	/* And some that name resources which are only read. */
	{ "sampler view", CREATE(VIRGL_OBJECT_SAMPLER_VIEW), 6 },
	{ "surface of a texture", CREATE(VIRGL_OBJECT_SURFACE), 5 },
	{ "vertex buffers", VIRGL_CCMD_SET_VERTEX_BUFFERS, 48 },
	{ "index buffer", VIRGL_CCMD_SET_INDEX_BUFFER, 3 },
	{ "uniform buffer", VIRGL_CCMD_SET_UNIFORM_BUFFER, 5 },
	{ "indirect draw", VIRGL_CCMD_DRAW_VBO, 20 },
	{ "indirect dispatch", VIRGL_CCMD_LAUNCH_GRID, 8 },
	{ "query", CREATE(VIRGL_OBJECT_QUERY), 4 },
	{ "transfer", VIRGL_CCMD_TRANSFER3D, 13 },
	{ "video buffer of textures", VIRGL_CCMD_CREATE_VIDEO_BUFFER, 7 },
	{ "decoded video", VIRGL_CCMD_DECODE_BITSTREAM, 5 },
	{ "clear of a surface", VIRGL_CCMD_CLEAR_SURFACE, 10 },
	{ "layout", VIRGL_CCMD_GET_PIPE_RESOURCE_LAYOUT, 2 },
	{ "link", VIRGL_CCMD_LINK_SHADER, 6 },
	{ "no-op", VIRGL_CCMD_NOP },
};

static void once_case_desc(const struct once_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(once_cases, once_cases, once_case_desc);

static void virtgpu_scan_test_once(struct kunit *test)
{
	const struct once_case *c = test->param_value;
	struct context *ctx = test->priv;
	u32 words[60], len, i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = 1000 + i;

	add_words(test, c->cmd, words, c->len);
	if (c->id)
		EXPECT_WRITES(test, 1, 999 + c->id,
			      c->offset ? 999 + c->offset : 0,
			      c->fixed ?: c->length ? 999 + c->length : ~0u);
	else
		EXPECT_NOTHING(test);

	/* That was it. */
	add(test, VIRGL_CCMD_DRAW_VBO);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_NOTHING(test);

	/* Without a field that it needs it may write anything, */
	for (len = 0; len < max3(c->id, c->offset, c->length); len++) {
		add_words(test, c->cmd, words, len);
		EXPECT_LOST(test);
	}
	/* and if it isn't all there: its length is not believed. */
	add_words(test, c->cmd, words, c->len);
	ctx->stream[0] += 1 << 16;
	EXPECT_LOST(test);
}

/* ---- what is bound ------------------------------------------------------ */

static const char load_text[] =
	"COMP\nDCL BUFFER[0]\nDCL BUFFER[1]\nDCL TEMP[0..1]\n"
	"  0: LOAD TEMP[0].x, BUFFER[0], TEMP[1].xxxx\n  1: END\n";
static const char store_text[] =
	"COMP\nDCL BUFFER[0]\nDCL BUFFER[1]\nDCL TEMP[0..1]\n"
	"  0: LOAD TEMP[0].x, BUFFER[0], TEMP[1].xxxx\n"
	"  1: STORE BUFFER[1].x, TEMP[1].xxxx, TEMP[0].xxxx\n  2: END\n";
static const char image_text[] =
	"FRAG\nDCL IMAGE[0], BUFFER, PIPE_FORMAT_R32_UINT, WR\n"
	"  0: STORE IMAGE[0], TEMP[0], TEMP[1], BUFFER\n  1: END\n";
static const char counter_text[] =
	"FRAG\nDCL HWATOMIC[0]\n"
	"  0: ATOMUADD TEMP[0].x, HWATOMIC[0], IMM[0].xxxx, IMM[0].yyyy\n";

/* Words of a text, from @from on and @nr of them or all. */
static void add_piece(struct kunit *test, u32 handle, u32 stage,
		      const char *text, u32 from, u32 nr)
{
	const u32 all = DIV_ROUND_UP(strlen(text) + 1, 4);
	u32 words[5 + 64] = { handle, stage, strlen(text) + 1, 300, 0 };

	if (from)
		words[2] = 4 * from | VIRGL_OBJ_SHADER_OFFSET_CONT;
	nr = min(nr, all - from);
	strscpy((char *)(words + 5), text, 4 * 64);
	memmove(words + 5, words + 5 + from, 4 * nr);
	add_words(test, CREATE(VIRGL_OBJECT_SHADER), words, 5 + nr);
}

static void add_shader(struct kunit *test, u32 handle, u32 stage,
		       const char *text)
{
	add_piece(test, handle, stage, text, 0, ~0);
}

static void add_bound_shader(struct kunit *test, u32 handle, u32 stage,
			     const char *text)
{
	add_shader(test, handle, stage, text);
	add(test, VIRGL_CCMD_BIND_SHADER, handle, stage);
}

/* Bound long ago, and by a stream that runs nothing. */
static void virtgpu_scan_test_bound(struct kunit *test)
{
	const u32 stage = VIRGL_SHADER_COMPUTE;

	add_bound_shader(test, 1, stage, store_text);
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, stage, 0,
	    0, 0x1000, 7, 0x100, 0x40, 8);
	EXPECT_NOTHING(test);

	/* Only what is stored to, by any that runs it. */
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_WRITES(test, 1, 8, 0x100, 0x40);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_WRITES(test, 1, 8, 0x100, 0x40);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_NOTHING(test);

	/* Before it is replaced, and what replaces it. */
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, stage, 1, 0x200, 0x20, 8);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_WRITES(test, 2, 8, 0x200, 0x20);
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, stage, 1, 4, 8, 9);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_WRITES(test, 1, 9, 4, 8);

	/* In another stage, or another slot, it is nothing. */
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, stage, 1, 0, 0, 0);
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, VIRGL_SHADER_FRAGMENT, 1, 4, 8, 9);
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, stage, 2, 4, 8, 9);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_NOTHING(test);
}

/* It is the shader that stores, or does not. */
static void virtgpu_scan_test_shader(struct kunit *test)
{
	const u32 stage = VIRGL_SHADER_VERTEX;

	add_bound_shader(test, 1, stage, load_text);
	add_shader(test, 2, stage, store_text);
	add_shader(test, 3, VIRGL_SHADER_FRAGMENT, load_text);
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, stage, 0,
	    0, 0x1000, 7, 0x100, 0x40, 8);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_NOTHING(test);

	add(test, VIRGL_CCMD_BIND_SHADER, 2, stage);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 1, 8, 0x100, 0x40);

	/* The host does not bind these, and goes on with what there is. */
	add(test, VIRGL_CCMD_BIND_SHADER, 3, stage);
	add(test, VIRGL_CCMD_BIND_SHADER, 4, stage);
	add(test, VIRGL_CCMD_BIND_SHADER, 1, VIRGL_NR_SHADER_STAGES);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 1, 8, 0x100, 0x40);

	/* Without one it goes on with an older program. */
	add(test, VIRGL_CCMD_BIND_SHADER, 0, stage);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 2, 8, 0x100, 0x40);
	add(test, VIRGL_CCMD_BIND_SHADER, 2, stage);
	add(test, VIRGL_CCMD_BIND_SHADER, 0, VIRGL_SHADER_GEOMETRY);
	add(test, VIRGL_CCMD_BIND_SHADER, 0, VIRGL_SHADER_COMPUTE);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 1, 8, 0x100, 0x40);

	/* Destroyed, it stays bound. */
	add(test, VIRGL_CCMD_DESTROY_OBJECT, 2);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 1, 8, 0x100, 0x40);
	add(test, VIRGL_CCMD_BIND_SHADER, 1, stage);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_NOTHING(test);

	/* A handle can be used again. */
	add_bound_shader(test, 2, stage, store_text);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 1, 8, 0x100, 0x40);

	/* But not while it is in use. */
	add_shader(test, 2, stage, load_text);
	EXPECT_LOST(test);
	add_shader(test, 2, stage, load_text);
	add(test, CREATE(VIRGL_OBJECT_BLEND), 2);
	EXPECT_LOST(test);
}

/* A slot can be one for all stages: then it has what is bound last. */
static void virtgpu_scan_test_stages(struct kunit *test)
{
	add_bound_shader(test, 1, VIRGL_SHADER_VERTEX, store_text);
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, VIRGL_SHADER_VERTEX, 1,
	    0, 8, 7);
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, VIRGL_SHADER_FRAGMENT, 1,
	    4, 8, 9);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 2, 9, 4, 8);

	add_bound_shader(test, 2, VIRGL_SHADER_VERTEX, load_text);
	add_bound_shader(test, 3, VIRGL_SHADER_FRAGMENT, store_text);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 1, 9, 4, 8);
}

static void virtgpu_scan_test_images(struct kunit *test)
{
	const u32 stage = VIRGL_SHADER_FRAGMENT;
	u32 access;

	add_bound_shader(test, 1, stage, image_text);
	for (access = 1; access <= 3; access++) {
		add(test, VIRGL_CCMD_SET_SHADER_IMAGES, stage, 0,
		    0, access, 64, 128, 6);
		add(test, VIRGL_CCMD_DRAW_VBO);
		EXPECT_WRITES(test, 1, 6, 0, ~0u);
	}

	add(test, VIRGL_CCMD_SET_SHADER_IMAGES, stage, 0, 0, 0, 0, 0, 0);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_NOTHING(test);
	/* The host does not bind it, and what was there remains. */
	add(test, VIRGL_CCMD_SET_SHADER_IMAGES, stage, 0, 0, 4, 64, 128, 6);
	EXPECT_LOST(test);
}

static void virtgpu_scan_test_counters(struct kunit *test)
{
	add_shader(test, 1, VIRGL_SHADER_FRAGMENT, counter_text);
	add(test, VIRGL_CCMD_SET_ATOMIC_BUFFERS, 3, 4, 8, 5, 16, 20, 6);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_NOTHING(test);
	add(test, VIRGL_CCMD_BIND_SHADER, 1, VIRGL_SHADER_FRAGMENT);
	add(test, VIRGL_CCMD_DRAW_VBO);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_WRITES(test, 2, 6, 16, 20);
	add(test, VIRGL_CCMD_SET_ATOMIC_BUFFERS, 4, 0, 0, 0);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 1, 5, 4, 8);
}

static void virtgpu_scan_test_targets(struct kunit *test)
{
	add(test, CREATE(VIRGL_OBJECT_STREAMOUT_TARGET), 1, 7, 64, 128);
	add(test, CREATE(VIRGL_OBJECT_STREAMOUT_TARGET), 2, 8, 32, 16);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_NOTHING(test);
	add(test, VIRGL_CCMD_SET_STREAMOUT_TARGETS, 0, 1, 0, 2);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_NOTHING(test);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 2, 8, 32, 16);
	add(test, VIRGL_CCMD_SET_STREAMOUT_TARGETS, 0, 1);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 1, 7, 64, 128);
	add(test, VIRGL_CCMD_SET_STREAMOUT_TARGETS, 0);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_NOTHING(test);

	/* The host can't do that. */
	add(test, VIRGL_CCMD_DESTROY_OBJECT, 1);
	add(test, VIRGL_CCMD_SET_STREAMOUT_TARGETS, 0, 1);
	EXPECT_LOST(test);
	add_shader(test, 1, VIRGL_SHADER_VERTEX, load_text);
	add(test, VIRGL_CCMD_SET_STREAMOUT_TARGETS, 0, 1);
	EXPECT_LOST(test);
}

static void virtgpu_scan_test_subs(struct kunit *test)
{
	const u32 stage = VIRGL_SHADER_COMPUTE;
	u32 sub;

	/* In the second the binding is other, in the third the shader. */
	for (sub = 0; sub < 3; sub++) {
		if (sub)
			add(test, VIRGL_CCMD_CREATE_SUB_CTX, sub);
		add_bound_shader(test, 1, stage, sub == 2 ? load_text : store_text);
		add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, stage, 1,
		    sub, 0x40, 7 + sub);
	}
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_NOTHING(test);
	add(test, VIRGL_CCMD_SET_SUB_CTX, 1);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_WRITES(test, 1, 8, 1, 0x40);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	add(test, VIRGL_CCMD_SET_SUB_CTX, 0);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	add(test, VIRGL_CCMD_SET_SUB_CTX, 1);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_WRITES(test, 2, 7, 0, 0x40);

	/* Of these, the host does nothing. */
	add(test, VIRGL_CCMD_SET_SUB_CTX, 3);
	add(test, VIRGL_CCMD_CREATE_SUB_CTX, 2);
	add(test, VIRGL_CCMD_DESTROY_SUB_CTX, 3);
	add(test, VIRGL_CCMD_DESTROY_SUB_CTX, 0);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_WRITES(test, 1, 8, 1, 0x40);

	/* The one that is left is the first. */
	add(test, VIRGL_CCMD_DESTROY_SUB_CTX, 1);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_WRITES(test, 1, 7, 0, 0x40);
	add(test, VIRGL_CCMD_CREATE_SUB_CTX, 1);
	add(test, VIRGL_CCMD_BIND_SHADER, 1, stage);
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	EXPECT_NOTHING(test);
}

/* ---- the text of shaders ------------------------------------------------ */

#define ALL	(~0u)

static const struct text_case {
	const char *text;
	u32 buffers;
	u32 images;
	u32 counters;
} text_cases[] = {
	{ load_text },
	{ store_text, BIT(1) },
	{ image_text, 0, BIT(0) },
	{ counter_text, 0, 0, ALL },
	{ "COMP\n DCL BUFFER[0..31]\n STORE BUFFER[31], TEMP[0]", BIT(31) },
	/* From which one on the host counts, if not from the first, is not looked at. */
	{ "COMP\n STORE BUFFER[31], TEMP[0]", ALL },
	{ "COMP\n DCL BUFFER[1]\n STORE BUFFER[2].x", 7 },
	{ "COMP\n STORE BUFFER[0].xy, IMM[0]\n STORE IMAGE[12].xy", BIT(0), BIT(12) },
	{ "COMP\n STORE MEMORY[0].x, TEMP[0].xxxx, TEMP[1]" },
	{ "COMP\n ATOMUADD TEMP[0].x, MEMORY[0], TEMP[1]" },
	{ "COMP\n ATOMXCHG TEMP[0].x, BUFFER[3], TEMP[1]", 0xf },
	{ "COMP\n ATOMCAS TEMP[0], IMAGE[3], TEMP[1], 2D", 0, BIT(3) },
	{ "COMP\n12:store\tbuffer[2],temp[0]", 7 },
	{ "COMP\n 12: StOrE\n\tBUFFER[2].x", 7 },
	{ "COMP\n STORE_PRECISE BUFFER[2].x", 7 },
	{ "COMP\n STORE BUFFER[2].x STORE BUFFER[4].x", 0x1f },
	/* Which of them, only the host can tell. */
	{ "COMP\n STORE BUFFER[32].x", ALL },
	{ "COMP\n STORE BUFFER[4294967296].x", ALL, ALL, ALL },
	{ "COMP\n STORE BUFFER[+1].x", ALL },
	{ "COMP\n STORE BUFFER[].x", ALL },
	{ "COMP\n STORE BUFFER[ADDR[0].x].x", ALL, ALL, ALL },
	{ "COMP\n STORE BUFFER[ 1].x", ALL, ALL, ALL },
	{ "COMP\n STORE BUFFER [1].x", ALL, ALL, ALL },
	{ "COMP\n STORE BUFFER[1] [2].x", ALL, ALL, ALL },
	{ "COMP\n STORE BUFFER[1][2].x", ALL, ALL, ALL },
	{ "COMP\n STORE BUFFER[1](2).x", ALL, ALL, ALL },
	{ "COMP\n STORE TEMP[1].x", ALL, ALL, ALL },
	{ "COMP\n ATOMUADD TEMP[0]\n STORE BUFFER[1].x, BUFFER[2]", ALL, ALL, ALL },
	{ "COMP\n ATOMUADD STORE BUFFER[1].x, BUFFER[2]", ALL, ALL, ALL },
	{ "COMP\n STORE STORE BUFFER[1].x", ALL, ALL, ALL },
};

static void text_case_desc(const struct text_case *c, char *desc)
{
	strscpy(desc, c->text, KUNIT_PARAM_DESC_SIZE);
	strreplace(desc, '\n', ' ');
}

KUNIT_ARRAY_PARAM(text_cases, text_cases, text_case_desc);

/* What a dispatch writes of all that can be bound. */
static void expect_stores(struct kunit *test, const struct text_case *c)
{
	struct context *ctx = test->priv;
	u32 stores[3] = { }, i;

	for (i = 0; i < 32; i++) {
		add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, VIRGL_SHADER_COMPUTE, i,
		    i, 1, 1);
		add(test, VIRGL_CCMD_SET_SHADER_IMAGES, VIRGL_SHADER_COMPUTE, i,
		    0, 3, 0, 0, 32 + i);
		add(test, VIRGL_CCMD_SET_ATOMIC_BUFFERS, i, i, 1, 3);
	}
	add(test, VIRGL_CCMD_LAUNCH_GRID);
	KUNIT_EXPECT_TRUE(test, submit(test));

	for (i = 0; i < min(ctx->nr_writes, MAX_WRITES); i++) {
		if (ctx->writes[i].id >= 32)
			stores[1] |= BIT(ctx->writes[i].id - 32);
		else
			stores[ctx->writes[i].id - 1] |= BIT(ctx->writes[i].offset);
	}
	/* There is room for two kinds that are all. */
	KUNIT_EXPECT_EQ(test, ctx->nr_writes, hweight32(c->buffers) +
			hweight32(c->images) + hweight32(c->counters));
	KUNIT_EXPECT_EQ(test, c->buffers, stores[0]);
	KUNIT_EXPECT_EQ(test, c->images, stores[1]);
	if (ctx->nr_writes <= MAX_WRITES)
		KUNIT_EXPECT_EQ(test, c->counters, stores[2]);
}

/* In one piece, and in two, wherever it is cut. */
static void virtgpu_scan_test_text(struct kunit *test)
{
	const struct text_case *c = test->param_value;
	u32 words = DIV_ROUND_UP(strlen(c->text) + 1, 4), cut;

	add_bound_shader(test, 1, VIRGL_SHADER_COMPUTE, c->text);
	expect_stores(test, c);

	for (cut = 1; cut < words; cut++) {
		context_again(test);
		add_piece(test, 1, VIRGL_SHADER_COMPUTE, c->text, 0, cut);
		if (cut & 1)
			EXPECT_NOTHING(test);
		/* Another one does not get in between. */
		add_shader(test, 2, VIRGL_SHADER_VERTEX, "VERT\n STORE BUFFER[9].x");
		/* Its contents are not needed to bind it. */
		if (cut & 2)
			add(test, VIRGL_CCMD_BIND_SHADER, 1, VIRGL_SHADER_COMPUTE);
		add_piece(test, 1, VIRGL_SHADER_COMPUTE, c->text, cut, ~0);
		if (!(cut & 2))
			add(test, VIRGL_CCMD_BIND_SHADER, 1, VIRGL_SHADER_COMPUTE);
		expect_stores(test, c);
	}
}

/* What is in front of the text is none of it. */
static void virtgpu_scan_test_outputs(struct kunit *test)
{
	const u32 stage = VIRGL_SHADER_VERTEX;
	u32 words[] = {
		/* handle, type, length, tokens, one output: strides and itself */
		1, stage, 28, 10, 1, 0, 0, 0, 0, 0, 0,
		/* "VERT STORE BUFFER[0], TEMP[0]" is cut by the same again */
		0x54524556, 0x4f545320,
		0x42204552, 0x45464655, 0x5d305b52, 0x4d45542e,
	};
	u32 more[] = {
		1, stage, 8 | VIRGL_OBJ_SHADER_OFFSET_CONT, 10, 1,
		0x20202020, 0x20202020, 0x20202020, 0x20202020, 0x20202020, 0x20202020,
		0x42204552, 0x45464655, 0x5d305b52, 0x4d45542e,
	};

	add_words(test, CREATE(VIRGL_OBJECT_SHADER), words, 13);
	add_words(test, CREATE(VIRGL_OBJECT_SHADER), more, ARRAY_SIZE(more));
	add(test, VIRGL_CCMD_BIND_SHADER, 1, stage);
	add(test, VIRGL_CCMD_SET_SHADER_BUFFERS, stage, 0, 1, 2, 3);
	add(test, VIRGL_CCMD_DRAW_VBO);
	EXPECT_WRITES(test, 1, 3, 1, 2);

	/* Of compute shaders that field is something else. */
	words[0] = 2;
	words[1] = VIRGL_SHADER_COMPUTE;
	words[4] = 0x10000;
	words[5] = 0x50;
	add_words(test, CREATE(VIRGL_OBJECT_SHADER), words, ARRAY_SIZE(words));
	EXPECT_NOTHING(test);
}

/* ---- what is not understood, or too much -------------------------------- */

static void virtgpu_scan_test_unknown(struct kunit *test)
{
	u32 cmd;

	for (cmd = VIRGL_CCMD_GET_PIPE_RESOURCE_LAYOUT + 1; cmd < 256; cmd++) {
		add(test, cmd);
		EXPECT_LOST(test);
	}
	for (cmd = 0; cmd < 256; cmd++) {
		if (cmd == VIRGL_OBJECT_SHADER || cmd == VIRGL_OBJECT_STREAMOUT_TARGET)
			continue;
		add(test, CREATE(cmd), 1, 7, 2);
		if (cmd && cmd <= VIRGL_OBJECT_MSAA_SURFACE)
			EXPECT_NOTHING(test);
		else
			EXPECT_LOST(test);
	}

	/* A buffer where there should be a texture. */
	add(test, CREATE(VIRGL_OBJECT_SURFACE), 1, COHERENT, 0, 0, 0);
	EXPECT_LOST(test);
	add(test, CREATE(VIRGL_OBJECT_MSAA_SURFACE), 1, COHERENT, 0, 0, 0, 0);
	EXPECT_LOST(test);
	add(test, VIRGL_CCMD_CREATE_VIDEO_BUFFER, 1, 0, 0, 0, 5, COHERENT);
	EXPECT_LOST(test);
	add(test, VIRGL_CCMD_ENCODE_BITSTREAM, 1, 2, COHERENT, 4, 5);
	EXPECT_LOST(test);
}

/* Commands of a wrong length, and with numbers that are out of range. */
static void virtgpu_scan_test_wrong(struct kunit *test)
{
	static const struct {
		u32 header;
		u32 nr;
		u32 words[6];
	} cases[] = {
		{ VIRGL_CCMD_SET_SUB_CTX, 0 },
		{ VIRGL_CCMD_SET_SUB_CTX, 2 },
		{ VIRGL_CCMD_CREATE_SUB_CTX, 0 },
		{ VIRGL_CCMD_DESTROY_SUB_CTX, 0 },
		{ VIRGL_CCMD_DESTROY_OBJECT, 0 },
		{ VIRGL_CCMD_BIND_SHADER, 1 },
		{ VIRGL_CCMD_BIND_SHADER, 3 },
		{ VIRGL_CCMD_SET_SHADER_BUFFERS, 1 },
		{ VIRGL_CCMD_SET_SHADER_BUFFERS, 5, { 6, 0 } },
		{ VIRGL_CCMD_SET_SHADER_BUFFERS, 5, { 0, 32 } },
		{ VIRGL_CCMD_SET_SHADER_BUFFERS, 5, { 0, ~0 } },
		{ VIRGL_CCMD_SET_SHADER_IMAGES, 1 },
		{ VIRGL_CCMD_SET_ATOMIC_BUFFERS, 0 },
		{ VIRGL_CCMD_SET_ATOMIC_BUFFERS, 4, { 32 } },
		{ VIRGL_CCMD_SET_STREAMOUT_TARGETS, 0 },
		{ CREATE(VIRGL_OBJECT_BLEND), 0 },
		{ CREATE(VIRGL_OBJECT_STREAMOUT_TARGET), 3, { 1, 7, 0 } },
		{ CREATE(VIRGL_OBJECT_STREAMOUT_TARGET), 5, { 1, 7, 0 } },
		{ CREATE(VIRGL_OBJECT_SHADER), 4, { 1, 0, 4, 10 } },
		{ CREATE(VIRGL_OBJECT_SHADER), 6, { 1, 6, 4, 10, 0 } },
		{ CREATE(VIRGL_OBJECT_SHADER), 6, { 1, 0, 4, 10, 1 } },
		{ CREATE(VIRGL_OBJECT_SHADER), 6, { 1, 0, 4, 10, 0x7ffffffe } },
		{ CREATE(VIRGL_OBJECT_SHADER), 6,
		  { 1, 0, 4 | VIRGL_OBJ_SHADER_OFFSET_CONT, 10, 0 } },
	};
	u32 words[32 * 3 + 2] = { };
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		add_words(test, cases[i].header, cases[i].words, cases[i].nr);
		EXPECT_LOST(test);
	}

	/* As many as there are slots, and one more than fit. */
	add_words(test, VIRGL_CCMD_SET_SHADER_BUFFERS, words, 2 + 32 * 3);
	EXPECT_NOTHING(test);
	words[1] = 1;
	add_words(test, VIRGL_CCMD_SET_SHADER_BUFFERS, words, 2 + 32 * 3);
	EXPECT_LOST(test);
	add_words(test, VIRGL_CCMD_SET_STREAMOUT_TARGETS, words, 1 + 17);
	EXPECT_LOST(test);
}

/* Memory is bounded, and what is gone is not counted. */
static void virtgpu_scan_test_limits(struct kunit *test)
{
	const u32 max_subs = 256, max_objects = 65536, max_dwords = 128 * 1024;
	struct context *ctx = test->priv;
	u32 i, *dwords;

	for (i = 1; i < 2 * max_subs; i++) {
		add(test, VIRGL_CCMD_CREATE_SUB_CTX, i);
		add(test, CREATE(VIRGL_OBJECT_STREAMOUT_TARGET), 1, 7, 64, 128);
		if (i >= max_subs / 2)
			add(test, VIRGL_CCMD_DESTROY_SUB_CTX, i - max_subs / 2 + 1);
		EXPECT_NOTHING(test);
	}
	context_again(test);
	for (i = 1; i < max_subs; i++) {
		add(test, VIRGL_CCMD_CREATE_SUB_CTX, i);
		EXPECT_NOTHING(test);
	}
	add(test, VIRGL_CCMD_CREATE_SUB_CTX, i);
	EXPECT_LOST(test);

	for (i = 1; i <= max_objects + 1000; i++) {
		add(test, CREATE(VIRGL_OBJECT_STREAMOUT_TARGET), i, 7, 64, 128);
		if (i <= 1000)
			add(test, VIRGL_CCMD_DESTROY_OBJECT, i);
		if (ctx->nr_dwords > MAX_DWORDS - 10)
			EXPECT_NOTHING(test);
	}
	EXPECT_NOTHING(test);
	add(test, CREATE(VIRGL_OBJECT_STREAMOUT_TARGET), i, 7, 64, 128);
	EXPECT_LOST(test);

	dwords = kunit_kzalloc(test, (max_dwords + 1) * sizeof(*dwords), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dwords);
	KUNIT_EXPECT_TRUE(test, scan_writes(test, dwords, max_dwords));
	KUNIT_EXPECT_FALSE(test, scan_writes(test, dwords, max_dwords + 1));
}

/* The same @nr times, the number behind the header higher by @step each time. */
static void repeat(u32 *dwords, size_t nr, const u32 *cmds, size_t len, u32 step)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		memcpy(dwords + i * len, cmds, len * sizeof(*cmds));
		dwords[i * len + 1] += i * step;
	}
}

/*
 * What a stream can have done while others wait is bounded: by its length, and what it
 * creates by the memory for that, whether it destroys it again or not. What it
 * destroys is freed later.
 */
static void virtgpu_scan_test_work(struct kunit *test)
{
	static const u32 target[] = {
		VIRGL_CMD0(VIRGL_CCMD_CREATE_OBJECT, VIRGL_OBJECT_STREAMOUT_TARGET, 4),
		1, 7, 64, 128,
	};
	static const u32 target_again[] = {
		VIRGL_CMD0(VIRGL_CCMD_DESTROY_OBJECT, 0, 1), 1,
		VIRGL_CMD0(VIRGL_CCMD_CREATE_OBJECT, VIRGL_OBJECT_STREAMOUT_TARGET, 4),
		1, 7, 64, 128,
	};
	static const u32 sub_again[] = {
		VIRGL_CMD0(VIRGL_CCMD_CREATE_SUB_CTX, 0, 1), 1,
		VIRGL_CMD0(VIRGL_CCMD_DESTROY_SUB_CTX, 0, 1), 1,
	};
	static const u32 destroy[] = {
		VIRGL_CMD0(VIRGL_CCMD_DESTROY_OBJECT, 0, 1), 1,
	};
	const size_t some = 3900, max = 2 * some * ARRAY_SIZE(target_again);
	struct context *ctx = test->priv;
	struct virtio_gpu_bindings *bindings = &ctx->bindings;
	u32 *dwords = kvcalloc(max, sizeof(*dwords), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, dwords);

	/* So many at once are followed, again and again, */
	for (i = 0; i < 4; i++) {
		repeat(dwords, some, target, ARRAY_SIZE(target), 1);
		KUNIT_EXPECT_TRUE(test, scan_writes(test, dwords,
						    some * ARRAY_SIZE(target)));
		KUNIT_EXPECT_EQ(test, some, bindings->nr_objects);
		repeat(dwords, some, destroy, ARRAY_SIZE(destroy), 1);
		KUNIT_EXPECT_TRUE(test, scan_writes(test, dwords,
						    some * ARRAY_SIZE(destroy)));
		KUNIT_EXPECT_EQ(test, 0, bindings->nr_objects);
		KUNIT_EXPECT_NOT_NULL(test, bindings->dead_objects);
		virtio_gpu_bindings_reap(bindings);
		KUNIT_EXPECT_NULL(test, bindings->dead_objects);
	}
	/* and twice as many are not, */
	repeat(dwords, 2 * some, target, ARRAY_SIZE(target), 1);
	KUNIT_EXPECT_FALSE(test, scan_writes(test, dwords,
					     2 * some * ARRAY_SIZE(target)));
	context_again(test);

	/* even if there is only one at a time. */
	repeat(dwords, 2 * some, target_again, ARRAY_SIZE(target_again), 0);
	KUNIT_EXPECT_FALSE(test, scan_writes(test, dwords,
					     2 * some * ARRAY_SIZE(target_again)));
	KUNIT_EXPECT_LE(test, bindings->nr_objects, 1);
	KUNIT_EXPECT_NE(test, 0, bindings->nr_subs);
	KUNIT_EXPECT_NOT_NULL(test, bindings->dead_objects);
	virtio_gpu_bindings_reap(bindings);
	KUNIT_EXPECT_EQ(test, 0, bindings->nr_subs);
	KUNIT_EXPECT_NULL(test, bindings->dead_objects);
	context_again(test);

	/* The same for sub-contexts, which are larger. */
	repeat(dwords, 16, sub_again, ARRAY_SIZE(sub_again), 0);
	KUNIT_EXPECT_TRUE(test, scan_writes(test, dwords,
					    16 * ARRAY_SIZE(sub_again)));
	KUNIT_EXPECT_EQ(test, 1, bindings->nr_subs);
	KUNIT_EXPECT_NOT_NULL(test, bindings->dead_subs);
	virtio_gpu_bindings_reap(bindings);
	KUNIT_EXPECT_NULL(test, bindings->dead_subs);
	repeat(dwords, 200, sub_again, ARRAY_SIZE(sub_again), 0);
	KUNIT_EXPECT_FALSE(test, scan_writes(test, dwords,
					     200 * ARRAY_SIZE(sub_again)));

	kvfree(dwords);
}

/* One that is not followed, for it was not from the start. */
static void virtgpu_scan_test_not_followed(struct kunit *test)
{
	struct context *ctx = test->priv;

	virtio_gpu_bindings_fini(&ctx->bindings);
	virtio_gpu_bindings_init(&ctx->bindings, false);
	add(test, VIRGL_CCMD_NOP);
	EXPECT_LOST(test);
}

/* ---- transfers ---------------------------------------------------------- */

/* A coherent buffer's transfer is taken out, in both directions. */
static void virtgpu_scan_test_transfer(struct kunit *test)
{
	u32 dwords[17] = { VIRGL_CMD0(0xff, 0, 0) };
	u32 *cmd = dwords + 1;
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

		KUNIT_EXPECT_EQ(test, 0, scan_transfers(test, dwords, 17));
		KUNIT_EXPECT_EQ(test, VIRGL_CMD0(VIRGL_CCMD_NOP, 0, 13), cmd[0]);
		KUNIT_EXPECT_EQ(test, VIRGL_CMD0(VIRGL_CCMD_CLEAR_TEXTURE, 0, 1),
				cmd[14]);

		/* To another place, or with a part of it missing. */
		cmd[0] = VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 13);
		cmd[VIRGL_TRANSFER3D_DATA_OFFSET] = 0;
		KUNIT_EXPECT_EQ(test, -EINVAL, scan_transfers(test, dwords, 17));

		cmd[0] = VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 12);
		cmd[VIRGL_TRANSFER3D_DATA_OFFSET] = 4096;
		KUNIT_EXPECT_EQ(test, -EINVAL, scan_transfers(test, dwords, 14));

		/* Another resource's is left as it is. */
		cmd[0] = VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 13);
		cmd[1] = COHERENT + 1;
		KUNIT_EXPECT_EQ(test, 0, scan_transfers(test, dwords, 15));
		KUNIT_EXPECT_EQ(test, VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 13),
				cmd[0]);
	}

	/* Not even a resource. */
	dwords[0] = VIRGL_CMD0(VIRGL_CCMD_TRANSFER3D, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, scan_transfers(test, dwords, 1));
}

/* Its host copy can be either side of a copy, its guest memory can't. */
static void virtgpu_scan_test_copy_transfer(struct kunit *test)
{
	u32 dwords[15] = {
		VIRGL_CMD0(VIRGL_CCMD_COPY_TRANSFER3D, 0, 14), COHERENT,
		[VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE] = 7,
	};
	const u32 header = dwords[0];
	u32 flags;

	for (flags = 0; flags < 4; flags++) {
		dwords[14] = flags;
		dwords[1] = COHERENT;
		dwords[VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE] = 7;
		KUNIT_EXPECT_EQ(test, 0, scan_transfers(test, dwords, 15));
		KUNIT_EXPECT_EQ(test, header, dwords[0]);

		dwords[1] = 7;
		dwords[VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE] = COHERENT;
		KUNIT_EXPECT_EQ(test, -EINVAL, scan_transfers(test, dwords, 15));

		dwords[1] = COHERENT;
		KUNIT_EXPECT_EQ(test, -EINVAL, scan_transfers(test, dwords, 15));
	}
}

/* Rubbish, with the lengths of real commands so that some of it is passed over. */
static void virtgpu_scan_test_random(struct kunit *test)
{
	const size_t max = 512;
	u32 *dwords = kunit_kcalloc(test, max, sizeof(*dwords), GFP_KERNEL);
	struct context *ctx = test->priv;
	u32 seed = get_random_u32();
	struct rnd_state rnd;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, dwords);
	kunit_info(test, "seed %u", seed);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < 2000; i++) {
		size_t nr = prandom_u32_state(&rnd) % max, j;

		for (j = 0; j < nr; j++)
			dwords[j] = prandom_u32_state(&rnd) & 0x000f0f3f;
		context_again(test);
		scan_writes(test, dwords, nr);
		KUNIT_ASSERT_LE(test, ctx->nr_writes, nr);
		scan_transfers(test, dwords, nr);
	}
}

static struct kunit_case virtgpu_scan_test_cases[] = {
	KUNIT_CASE_PARAM(virtgpu_scan_test_once, once_cases_gen_params),
	KUNIT_CASE(virtgpu_scan_test_bound),
	KUNIT_CASE(virtgpu_scan_test_shader),
	KUNIT_CASE(virtgpu_scan_test_stages),
	KUNIT_CASE(virtgpu_scan_test_images),
	KUNIT_CASE(virtgpu_scan_test_counters),
	KUNIT_CASE(virtgpu_scan_test_targets),
	KUNIT_CASE(virtgpu_scan_test_subs),
	KUNIT_CASE_PARAM(virtgpu_scan_test_text, text_cases_gen_params),
	KUNIT_CASE(virtgpu_scan_test_outputs),
	KUNIT_CASE(virtgpu_scan_test_unknown),
	KUNIT_CASE(virtgpu_scan_test_wrong),
	KUNIT_CASE(virtgpu_scan_test_limits),
	KUNIT_CASE(virtgpu_scan_test_work),
	KUNIT_CASE(virtgpu_scan_test_not_followed),
	KUNIT_CASE(virtgpu_scan_test_transfer),
	KUNIT_CASE(virtgpu_scan_test_copy_transfer),
	KUNIT_CASE(virtgpu_scan_test_random),
	{ }
};

static struct kunit_suite virtgpu_scan_test_suite = {
	.name = "virtgpu_scan",
	.init = context_init,
	.exit = context_exit,
	.test_cases = virtgpu_scan_test_cases,
};

kunit_test_suite(virtgpu_scan_test_suite);
