// SPDX-License-Identifier: GPL-2.0
/*
 * Feed the kernel's scan of virgl command streams, whose source is the kernel's own:
 * with rubbish, where sanitizers see what it reads, and what it reports and changes is
 * checked here; and with streams that make sense, some of the time, which a model of the
 * host executes as well: what that writes has to have been reported.
 *
 * With RANDOM defined it is a program of its own, for compilers that have no
 * libFuzzer: fuzz SECONDS SEED.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"
#include "virtgpu_scan.h"
#include "virtgpu_virgl.h"

#define UNKNOWN 0xff
#define MAX_DWORDS 4096

/* Resources, and bytes of each that are told apart */
#define IDS 8
#define BYTES 128

/* The resources whose guest memory must not be transferred */
#define COHERENT(id) ((id) % 4 == 3)

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

/* Allocations until one fails, or 0 */
static unsigned int allocations;

bool fail_allocation(void)
{
	return allocations && !--allocations;
}

static bool is_coherent(struct virtio_gpu_scan *scan, u32 res_id)
{
	(void)scan;
	return COHERENT(res_id);
}

/* A copy that ends where the stream does */
static u32 *copy_of(const u32 *dwords, size_t nr)
{
	u32 *copy = malloc(nr * sizeof(*copy));

	check(copy || !nr, "no memory");
	if (nr)
		memcpy(copy, dwords, nr * sizeof(*copy));
	return copy;
}

/* ---- rubbish ------------------------------------------------------------------ */

struct found {
	struct virtio_gpu_scan base;
	const u32 *dwords;
	size_t nr_dwords, nr;
};

static void found_writes(struct virtio_gpu_scan *scan, u32 res_id, u32 offset, u32 len)
{
	struct found *found = (struct found *)scan;
	size_t i;

	(void)offset;
	(void)len;
	for (i = 0; i < found->nr_dwords && found->dwords[i] != res_id; i++)
		;
	check(i < found->nr_dwords, "a resource that the stream does not name");
	found->nr++;
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

static void transfers(const u32 *dwords, size_t nr)
{
	struct virtio_gpu_scan scan = { NULL, is_coherent };
	u32 *copy = copy_of(dwords, nr);
	int ret = virtio_gpu_scan_transfers(&scan, copy, nr);

	check(!ret || ret == -EINVAL, "another error");
	if (!ret)
		check_stream(dwords, copy, nr);
	free(copy);
}

/* In a new context; whether it is known what is written */
static bool writes(const u32 *dwords, size_t nr, struct found *found)
{
	struct virtio_gpu_bindings bindings;
	u32 *copy = copy_of(dwords, nr);
	bool known;

	*found = (struct found){ { found_writes, is_coherent }, dwords, nr, 0 };
	virtio_gpu_bindings_init(&bindings, true);
	known = virtio_gpu_scan_writes(&found->base, &bindings, copy, nr);
	check(known != bindings.lost, "known, or lost");
	if (nr % 2)
		virtio_gpu_bindings_reap(&bindings);
	virtio_gpu_bindings_fini(&bindings);
	check(!bindings.nr_subs, "a sub-context is left");
	check(!bindings.nr_objects, "an object is left");
	free(copy);
	check(found->nr <= nr, "more resources than dwords");
	return known;
}

static void rubbish(const uint8_t *data, size_t size)
{
	size_t nr = size / sizeof(u32);
	u32 *dwords = calloc(nr + 1, sizeof(*dwords));
	struct found found, more;

	check(dwords, "no memory");
	if (nr)
		memcpy(dwords, data, nr * sizeof(*dwords));
	transfers(dwords, nr);
	if (writes(dwords, nr, &found)) {
		/* It was whole: what is added is a command of its own. */
		dwords[nr] = VIRGL_CMD0(VIRGL_CCMD_NOP, 0, 0);
		check(writes(dwords, nr + 1, &more), "a no-op is not understood");
		check(more.nr == found.nr, "a no-op makes a difference");
		dwords[nr] = VIRGL_CMD0(UNKNOWN, 0, 0);
		check(!writes(dwords, nr + 1, &more), "the unknown is understood");
	}
	free(dwords);
}

/* ---- streams that make sense --------------------------------------------------- */

static struct {
	const uint8_t *data;
	size_t size;
	u32 dwords[MAX_DWORDS];
	size_t nr;
	/* that were given to objects */
	u32 handles;
} in;

/* Below @n: the next byte of the input decides */
static u32 pick(u32 n)
{
	if (!in.size)
		return 0;
	in.size--;
	return *in.data++ % n;
}

static void add(u32 cmd, u32 nr, const u32 *words)
{
	if (in.nr + 1 + nr > MAX_DWORDS)
		return;
	in.dwords[in.nr++] = cmd | nr << 16;
	memcpy(in.dwords + in.nr, words, nr * sizeof(*words));
	in.nr += nr;
}

#define CREATE(type) (VIRGL_CCMD_CREATE_OBJECT | (type) << 8)

/* One that there is not is an error, so there are few of these. */
static u32 pick_id(void)
{
	return pick(128) ? 1 + pick(IDS - 2) : IDS - 1;
}

static bool exists(u32 res_id)
{
	return res_id && res_id < IDS - 1;
}

static u32 new_handle(void)
{
	return pick(64) ? ++in.handles : 1 + pick(in.handles + 1);
}

static u32 old_handle(void)
{
	u32 n = in.handles;

	return pick(16) && n ? n - pick(n < 4 ? n : 4) : pick(n + 2);
}

static u32 pick_slot(void)
{
	static const u32 slots[] = { 0, 1, 1, 2, 0, 1, 2, 31, 32, ~0u };

	return slots[pick(pick(32) ? 8 : 10)];
}

static const char *pick_text(const char *const *texts)
{
	u32 n = 0;

	while (texts[n])
		n++;
	return texts[pick(n)];
}

#define ONE_OF(...) pick_text((const char *const []){ __VA_ARGS__, NULL })

/* As Mesa has it, but for one in eight, in each of three places */
static void pick_resource(char *to)
{
	strcat(to, ONE_OF("BUFFER", "BUFFER", "IMAGE", "HWATOMIC", "MEMORY", "TEMP", "buffer"));
	if (!pick(8))
		strcat(to, ONE_OF(" ", "\n"));
	strcat(to, "[");
	strcat(to, pick(8) ? ONE_OF("0", "1", "2", "31") :
			     ONE_OF("0", " 1", "+1", "-1", "001", "32", "65537", "4294967297",
				    "ADDR[0].x", "ADDR[0].y+1", "addr[ 1 ]", "2 "));
	strcat(to, "]");
	if (!pick(8))
		strcat(to, ONE_OF("[1]", " [2]", " [1]", "(1)", "\n[0] (2)", " "));
	strcat(to, ONE_OF("", ".x", ".xyzw"));
}

static void make_text(char *to)
{
	strcpy(to, ONE_OF("VERT", "FRAG", "COMP"));
	for (u32 n = pick(5); n; n--) {
		strcat(to, ONE_OF("\n", "\n  1: ", " ", "\t12:", "\n3 :\n"));
		switch (pick(6)) {
		case 0:
			strcat(to, "LOAD TEMP[0].x, BUFFER[0], TEMP[1].xxxx");
			break;
		case 1:
			strcat(to, ONE_OF("DCL BUFFER[0]", "DCL BUFFER[1]", "DCL HWATOMIC[0]",
					  "DCL IMAGE[1], BUFFER, PIPE_FORMAT_R32_UINT, WR",
					  "DCL BUFFER[0], ATOMIC", "MOV STORE[0], TEMP[1]"));
			break;
		case 2:
			strcat(to, ONE_OF("ATOMUADD", "ATOMCAS", "atomxchg", "ATOMIMAX_SAT"));
			strcat(to, ONE_OF(" TEMP[0].x, ", "\tTEMP[0],", " TEMP[0].x \n, "));
			pick_resource(to);
			strcat(to, ONE_OF(", TEMP[0], TEMP[1]", ",TEMP[1].x"));
			break;
		default:
			strcat(to, ONE_OF("STORE ", "STORE ", "store\n", "STORE_PRECISE\t"));
			pick_resource(to);
			strcat(to, ONE_OF(", TEMP[0], TEMP[1]", ",TEMP[1]", ", TEMP[0], BUFFER[2].x"));
			break;
		}
	}
	strcat(to, ONE_OF("\n", "\n  9: END\n", " END"));
}

static void add_commands(u32 nr);

static void add_shader(void)
{
	u32 words[6 + 300] = { new_handle(), pick(6) };
	char text[1200] = "";
	u32 size, nr, done = 0;

	make_text(text);
	size = strlen(text) + 1;
	nr = (size + 3) / 4;
	do {
		u32 piece = done || pick(2) ? nr - done : 1 + pick(nr), outputs = 0;
		u32 *to = words + 5;

		words[2] = done ? (done * 4) | VIRGL_OBJ_SHADER_OFFSET_CONT : size;
		words[3] = 100;
		if (words[1] != VIRGL_SHADER_COMPUTE && !pick(4))
			outputs = 1;
		words[4] = outputs;
		if (outputs) {
			memcpy(to, " RE ATOM STORE, BUFFER[9]", 24);
			to += 6;
		}
		memset(to, 0, piece * 4);
		memcpy(to, text + done * 4, size - done * 4 < piece * 4 ? size - done * 4 : piece * 4);
		add(CREATE(VIRGL_OBJECT_SHADER), to + piece - words, words);
		done += piece;
		if (done < nr && pick(2))
			add_commands(1 + pick(2));
	} while (done < nr);
}

static void add_bindings(u32 cmd)
{
	u32 words[40], nr = pick(4), n = 0;
	u32 size = cmd == VIRGL_CCMD_SET_SHADER_IMAGES ? 5 : 3;

	if (cmd != VIRGL_CCMD_SET_ATOMIC_BUFFERS)
		words[n++] = pick(128) ? pick(6) : 6;
	words[n++] = pick_slot();
	for (; nr; nr--) {
		if (size == 5) {
			words[n++] = 0;
			words[n++] = pick(64) ? 1 + pick(3) : pick(256);
		}
		words[n++] = pick(BYTES / 2);
		words[n++] = pick(BYTES / 2);
		words[n++] = pick(4) ? pick_id() : 0;
	}
	add(cmd, n, words);
}

static void add_once(void)
{
	static const struct {
		u32 cmd, len;
	} cmds[] = {
		{ VIRGL_CCMD_RESOURCE_INLINE_WRITE, 12 },
		{ VIRGL_CCMD_COPY_TRANSFER3D, 14 },
		{ VIRGL_CCMD_RESOURCE_COPY_REGION, 13 },
		{ VIRGL_CCMD_GET_QUERY_RESULT_QBO, 6 },
		{ VIRGL_CCMD_BLIT, 21 },
		{ VIRGL_CCMD_CLEAR_TEXTURE, 12 },
	};
	u32 which = pick(6), words[21], i;

	for (i = 0; i < cmds[which].len; i++)
		words[i] = pick(4) ? pick(BYTES / 2) : pick_id();
	words[0] = pick_id();
	words[1] = pick_id();
	words[3] = pick_id();
	add(cmds[which].cmd, cmds[which].len - !pick(128), words);
}

static void add_command(void)
{
	u32 words[4];

	switch (pick(18)) {
	case 0:
	case 1:
		add_shader();
		break;
	case 2:
	case 3:
		words[0] = old_handle();
		words[1] = pick(2) ? 0 : pick(6);
		/* the others, for it is of one of them */
		do
			add(VIRGL_CCMD_BIND_SHADER, 2, words);
		while (words[1]++ < VIRGL_SHADER_COMPUTE);
		if (pick(4))
			break;
		words[0] = 0;
		words[1] = pick(2) ? VIRGL_SHADER_COMPUTE : VIRGL_SHADER_VERTEX;
		add(VIRGL_CCMD_BIND_SHADER, 2, words);
		add(pick(2) ? VIRGL_CCMD_LAUNCH_GRID : VIRGL_CCMD_DRAW_VBO, 0, words);
		break;
	case 4:
	case 5:
		add_bindings(VIRGL_CCMD_SET_SHADER_BUFFERS);
		break;
	case 6:
		add_bindings(VIRGL_CCMD_SET_SHADER_IMAGES);
		break;
	case 7:
		add_bindings(VIRGL_CCMD_SET_ATOMIC_BUFFERS);
		break;
	case 8:
		words[0] = new_handle();
		words[1] = pick_id();
		words[2] = pick(BYTES / 2);
		words[3] = pick(BYTES / 2);
		add(CREATE(VIRGL_OBJECT_STREAMOUT_TARGET), 4, words);
		if (pick(2))
			break;
		words[1] = words[0];
		add(VIRGL_CCMD_SET_STREAMOUT_TARGETS, 2, words);
		break;
	case 9:
		words[1] = old_handle();
		words[2] = 0;
		add(VIRGL_CCMD_SET_STREAMOUT_TARGETS, pick(16) ? 1 : 2, words);
		break;
	case 10:
		words[0] = old_handle();
		add(VIRGL_CCMD_DESTROY_OBJECT, 1, words);
		break;
	case 11:
		words[0] = pick(3);
		add(pick(2) ? VIRGL_CCMD_CREATE_SUB_CTX : VIRGL_CCMD_DESTROY_SUB_CTX, 1, words);
		break;
	case 12:
		words[0] = pick(3);
		add(VIRGL_CCMD_SET_SUB_CTX, 1, words);
		break;
	case 13:
		add_once();
		break;
	case 14:
		words[0] = pick(32) ? new_handle() : old_handle();
		words[1] = pick_id();
		add(pick(4) ? VIRGL_CCMD_CLEAR : CREATE(pick(16)), 2, words);
		break;
	default:
		add(VIRGL_CCMD_DRAW_VBO, 0, words);
		add(VIRGL_CCMD_LAUNCH_GRID, 0, words);
		break;
	}
}

static void add_commands(u32 nr)
{
	while (nr-- && in.size)
		add_command();
}

/* What may be written, and is */
struct context {
	struct virtio_gpu_scan base;
	struct virtio_gpu_bindings bindings;
	bool may[IDS][BYTES], does[IDS][BYTES];
	unsigned long *written;
};

static void set(bool bytes[IDS][BYTES], u32 res_id, u32 offset, u32 len)
{
	if (res_id < IDS)
		for (u32 i = offset; i < BYTES && i - offset < len; i++)
			bytes[res_id][i] = true;
}

static void context_may(struct virtio_gpu_scan *scan, u32 res_id, u32 offset, u32 len)
{
	set(((struct context *)scan)->may, res_id, offset, len);
}

static void context_does(void *data, u32 res_id, u32 offset, u32 len)
{
	struct context *ctx = data;

	set(ctx->does, res_id, offset, len);
	++*ctx->written;
}

/* Several submissions in one context; how many ranges were written in vain */
static void contexts(unsigned long *written)
{
	struct context ctx = { { context_may, is_coherent }, .written = written };
	struct model *m = model_create(context_does, exists, &ctx);
	bool known = true;

	allocations = pick(4) ? 0 : pick(64);
	virtio_gpu_bindings_init(&ctx.bindings, true);
	while (in.size && known) {
		u32 *copy;

		in.nr = 0;
		add_commands(1 + pick(12));
		copy = copy_of(in.dwords, in.nr);
		memset(ctx.may, 0, sizeof(ctx.may));
		memset(ctx.does, 0, sizeof(ctx.does));
		known = virtio_gpu_scan_writes(&ctx.base, &ctx.bindings, copy, in.nr);
		if (known)
			model_execute(m, in.dwords, in.nr);
		for (u32 id = 0; id < IDS; id++)
			for (u32 i = 0; i < BYTES; i++)
				check(ctx.may[id][i] || !ctx.does[id][i], "a write is missed");
		virtio_gpu_bindings_reap(&ctx.bindings);
		free(copy);
	}
	virtio_gpu_bindings_fini(&ctx.bindings);
	model_destroy(m);
	allocations = 0;
}

static unsigned long written;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size % sizeof(u32)) {
		in.data = data;
		in.size = size;
		in.handles = 0;
		contexts(&written);
	} else {
		rubbish(data, size);
	}
	return 0;
}

#ifdef RANDOM
#define KNOWN (VIRGL_CCMD_GET_PIPE_RESOURCE_LAYOUT + 1)

static u32 below(u32 n)
{
	return (u32)random() % n;
}

static size_t random_rubbish(u32 *dwords)
{
	size_t nr = 0, i;

	/* Commands of about their size, and some that are not whole */
	while (nr < 200 && below(16)) {
		u32 len = below(24);

		dwords[nr++] = VIRGL_CMD0(below(below(32) ? KNOWN : 256),
					  below(below(32) ? 12 : 256), len);
		for (i = 0; i < len; i++)
			dwords[nr++] = below(8);
	}
	return (nr - (nr ? below(2) : 0)) * sizeof(*dwords);
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
		uint8_t *bytes = (uint8_t *)dwords;
		size_t size = below(sizeof(dwords)), i;

		if (size % sizeof(u32))
			for (i = 0; i < size; i++)
				bytes[i] = below(256);
		else
			size = random_rubbish(dwords);
		LLVMFuzzerTestOneInput(bytes, size);
	}
	printf("%lu streams, %lu ranges written\n", runs, written);
	return 0;
}
#endif
