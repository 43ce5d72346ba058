// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/bitops.h>
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>

#include "virtgpu_scan.h"
#include "virtgpu_virgl.h"

/*
 * What a command stream may have the host write, and where. The stream comes
 * from user space, and nothing in it is believed: no field is read that is not
 * within its command, and no command that is not within the stream. What is not
 * understood may write anything.
 *
 * A copy writes its range once. A shader, or stream output, writes what is bound
 * when something is drawn or dispatched, and that can have been bound by a stream
 * long ago. So the host's bindings are followed here: for each sub-context, in a
 * table that has a place for each slot. It has ids and ranges as the stream says,
 * also of other resources than coherent buffers, so that one of them in a slot
 * ends the binding before. The text of shaders is parsed for their stores.
 *
 * After a command that is not understood, a table that is too large or has no
 * memory, the bindings are unknown: the context is lost, and may write anything for
 * as long as it exists. If the host fails to execute a command it gives up on the
 * context, so that is not followed. Neither is what a shader stores to a slot
 * without a binding.
 *
 * Other processes can wait for locks that are held meanwhile. So the length of a
 * stream and the memory for its tables are limited, and the rest takes a bounded
 * time for each dword. Objects are in trees, which need no memory of their own, and
 * what is destroyed is freed when the locks have been released.
 *
 * Only writes to the host's copy of a resource count. Commands by which the host
 * stores into guest memory, such as the result of a query object or of
 * GET_MEMORY_INFO, leave that copy alone. Nothing has to be fetched from it then.
 *
 * Two commands go between the host's copy and guest memory, as the ioctls for
 * transfers do. For a coherent buffer only the kernel knows which of the two is
 * newer, for each page, and it updates both by itself. So a TRANSFER3D has nothing
 * left to do, and is taken out of the stream. A COPY_TRANSFER3D copies to or from
 * the guest memory of a second resource. If that is a coherent buffer it is refused:
 * no user space needs it.
 *
 * One long file: nothing else has to know what the tables look like.
 */

/* Of each kind of binding in a stage, the protocol's and so the host's limit. */
#define SCAN_SLOTS		32
#define SCAN_MAX_TARGETS	16

/* Far more than programs have. It is memory that a process makes the kernel use. */
#define SCAN_MAX_SUBS		256
#define SCAN_MAX_OBJECTS	65536

/*
 * Of a stream: what is followed under locks that others wait for. Mesa's are half as
 * long at most, and as many shaders as take so much memory fit into none of them.
 */
#define SCAN_MAX_DWORDS		(128 * 1024)
#define SCAN_MAX_MEMORY		(256 * 1024)
#define SCAN_RESCHED_DWORDS	4096

/* What a shader may store to, a bit for each slot. */
struct scan_stores {
	u32 buffers;
	u32 images;
	u32 counters;
};

static const struct scan_stores scan_stores_all = { ~0, ~0, ~0 };

/* The text of a shader, up to here: it can come in several pieces. */
struct scan_text {
	struct scan_stores stores;
	enum {
		TEXT_OPCODE,
		TEXT_RESULT,		/* of an atomic operation */
		TEXT_RESOURCE,		/* that is stored to */
	} expect;
	/* It is known to have BUFFER[0], and there was the end of a string. */
	bool first;
	bool ended;
	/* "HWATOMIC[" and "BUFFER[31]" fit, and one more tells them apart. */
	char word[11];
	u8 len;
};

/* Those that the host needs by their handles: shaders and stream-out targets. */
struct scan_object {
	union {
		struct rb_node node;
		/* When it is destroyed. */
		struct scan_object *next;
	};
	u32 handle;
	/* VIRGL_NR_SHADER_STAGES is none: it is a target. */
	u32 stage;
	union {
		struct scan_text text;
		struct scan_range {
			u32 res_id;
			u32 offset;
			u32 len;
		} range;
	};
};

struct scan_slots {
	/* That there is something in a slot, and that this submission writes it. */
	u32 bound;
	u32 reported;
	struct scan_range ranges[SCAN_SLOTS];
};

struct virtio_gpu_scan_sub {
	/* By handles. */
	struct rb_root objects;
	u32 nr_objects;
	/* When it is destroyed. */
	struct virtio_gpu_scan_sub *next;
	/* Number of the submission that the next two and @reported are about. */
	u64 submission;
	/* That there was a draw, and a dispatch, since something was bound. */
	bool drawn;
	bool launched;
	/* A bit for each stage without which the host goes on with an older program. */
	u32 missing;
	/* Of the shaders that are bound. */
	struct scan_stores stores[VIRGL_NR_SHADER_STAGES];
	struct scan_slots buffers[VIRGL_NR_SHADER_STAGES];
	struct scan_slots images[VIRGL_NR_SHADER_STAGES];
	struct scan_slots counters;
	struct scan_slots targets;
};

/* The slot in "[n]", or all if it is something else. */
static u32 scan_slot(const char *index, u32 len)
{
	u32 slot = 0, i;

	if (len < 3 || len > 4 || index[0] != '[' || index[len - 1] != ']')
		return ~0;
	for (i = 1; i < len - 1; i++) {
		if (!isdigit(index[i]))
			return ~0;
		slot = 10 * slot + index[i] - '0';
	}

	return slot < SCAN_SLOTS ? BIT(slot) : ~0u;
}

static bool scan_word_is(const struct scan_text *text, const char *prefix)
{
	u32 len = strlen(prefix);

	return text->len >= len && !memcmp(text->word, prefix, len);
}

/* A word and what is behind it: all that can change what the word means is all. */
static void scan_word(struct scan_text *text, u8 next)
{
	bool whole = text->len < sizeof(text->word) &&
		(next == '.' || next == ',');
	bool store = scan_word_is(text, "STORE");
	bool atomic = scan_word_is(text, "ATOM");

	/* Or "BUFFER[0..1]". */
	if (!text->ended && scan_word_is(text, "BUFFER[0") &&
	    (text->len == 8 ? next == '.' : text->len == 9 && text->word[8] == ']'))
		text->first = true;

	if (text->expect == TEXT_OPCODE) {
		if (store)
			text->expect = TEXT_RESOURCE;
		else if (atomic)
			text->expect = TEXT_RESULT;
		return;
	}

	/* Then that one wasn't an instruction, or this one isn't. */
	if (store || atomic)
		text->stores = scan_stores_all;
	if (text->expect == TEXT_RESULT)
		return;

	if (scan_word_is(text, "BUFFER[") && whole)
		text->stores.buffers |= scan_slot(text->word + 6, text->len - 6);
	else if (scan_word_is(text, "IMAGE[") && whole)
		text->stores.images |= scan_slot(text->word + 5, text->len - 5);
	else if (scan_word_is(text, "HWATOMIC["))
		text->stores.counters = ~0;
	else if (!scan_word_is(text, "MEMORY["))
		text->stores = scan_stores_all;
	text->expect = TEXT_OPCODE;
}

/*
 * A shader's text is "STORE BUFFER[0].x, TEMP[0], TEMP[1]" and so on, in any case.
 * What it stores to is the first operand, or the second of an atomic operation.
 * Nothing else stores. The host sees no text behind a NUL: what stores there does
 * not matter.
 */
static void scan_text(struct scan_text *text, const u8 *chars, size_t nr)
{
	while (nr--) {
		u8 c = toupper(*chars++);

		if (c && c != '.' && c != ',' && c != ':' && !isspace(c)) {
			if (text->len < sizeof(text->word))
				text->word[text->len++] = c;
			continue;
		}

		if (text->len)
			scan_word(text, c);
		text->len = 0;
		if (!c)
			text->ended = true;

		if (text->expect == TEXT_RESULT && c == ',') {
			text->expect = TEXT_RESOURCE;
		} else if (text->expect == TEXT_RESULT && c == '\n') {
			text->stores = scan_stores_all;
			text->expect = TEXT_OPCODE;
		}
	}
}

/*
 * From virglrenderer 1.0 on, BUFFER[n] is what is in the slot n less the first one
 * that the shader declares. Nearly always that is BUFFER[0].
 */
static struct scan_stores scan_text_stores(const struct scan_text *text)
{
	struct scan_stores stores = text->stores;
	u32 shift;

	if (!text->first)
		for (shift = 1; shift < SCAN_SLOTS; shift *= 2)
			stores.buffers |= stores.buffers >> shift;

	return stores;
}

static void scan_add_stores(struct scan_stores *to,
			    const struct scan_stores *stores)
{
	to->buffers |= stores->buffers;
	to->images |= stores->images;
	to->counters |= stores->counters;
}

static int scan_cmp_handle(const void *handle, const struct rb_node *node)
{
	u32 a = *(const u32 *)handle;
	u32 b = rb_entry(node, struct scan_object, node)->handle;

	return a < b ? -1 : a > b;
}

static bool scan_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct scan_object, node)->handle <
		rb_entry(b, struct scan_object, node)->handle;
}

static struct scan_object *scan_find_object(struct virtio_gpu_scan_sub *sub,
					    u32 handle)
{
	struct rb_node *node = rb_find(&handle, &sub->objects, scan_cmp_handle);

	return node ? rb_entry(node, struct scan_object, node) : NULL;
}

/* Memory for a table, as long as this stream may have some. */
static void *scan_alloc(struct virtio_gpu_bindings *bindings, size_t size)
{
	bindings->memory += size;
	if (bindings->memory > SCAN_MAX_MEMORY)
		return NULL;

	return kzalloc(size, GFP_KERNEL_ACCOUNT);
}

/* Returns one whose contents are to be filled in, with a new handle, or NULL. */
static struct scan_object *scan_new_object(struct virtio_gpu_bindings *bindings,
					   u32 handle, u32 stage)
{
	struct scan_object *object;

	if (bindings->nr_objects == SCAN_MAX_OBJECTS)
		return NULL;
	object = scan_alloc(bindings, sizeof(*object));
	if (!object)
		return NULL;
	object->handle = handle;
	object->stage = stage;
	rb_add(&object->node, &bindings->sub->objects, scan_less);
	bindings->sub->nr_objects++;
	bindings->nr_objects++;

	return object;
}

static void scan_destroy_object(struct virtio_gpu_bindings *bindings, u32 handle)
{
	struct virtio_gpu_scan_sub *sub = bindings->sub;
	struct scan_object *object = scan_find_object(sub, handle);

	if (!object)
		return;
	rb_erase(&object->node, &sub->objects);
	sub->nr_objects--;
	bindings->nr_objects--;
	object->next = bindings->dead_objects;
	bindings->dead_objects = object;
}

/*
 * A new shader, or another piece of one: then what it says is what the handle's
 * object is, which is bound or not.
 */
static bool scan_create_shader(struct virtio_gpu_bindings *bindings,
			       struct scan_object *object, const u32 *cmd,
			       u32 len)
{
	struct scan_stores stores;
	u32 stage, text, outputs;

	if (len < VIRGL_OBJ_SHADER_SO_NUM_OUTPUTS)
		return false;
	stage = cmd[VIRGL_OBJ_SHADER_TYPE];
	if (stage >= VIRGL_NR_SHADER_STAGES)
		return false;

	text = VIRGL_OBJ_SHADER_SO_NUM_OUTPUTS + 1;
	outputs = cmd[VIRGL_OBJ_SHADER_SO_NUM_OUTPUTS];
	if (stage != VIRGL_SHADER_COMPUTE && outputs) {
		if (outputs > len)
			return false;
		text += 4 + 2 * outputs;
	}
	if (text > len + 1)
		return false;

	if (cmd[VIRGL_OBJ_SHADER_OFFSET] & VIRGL_OBJ_SHADER_OFFSET_CONT) {
		if (!object || object->stage != stage)
			return false;
	} else {
		if (object)
			return false;
		object = scan_new_object(bindings, cmd[VIRGL_OBJ_CREATE_HANDLE],
					 stage);
		if (!object)
			return false;
	}

	scan_text(&object->text, (const u8 *)(cmd + text),
		  (len + 1 - text) * sizeof(*cmd));

	if (cmd[VIRGL_OBJ_SHADER_OFFSET] & VIRGL_OBJ_SHADER_OFFSET_CONT) {
		stores = scan_text_stores(&object->text);
		scan_add_stores(&bindings->sub->stores[stage], &stores);
	}

	return true;
}

static bool scan_create_object(struct virtio_gpu_scan *scan,
			       struct virtio_gpu_bindings *bindings,
			       const u32 *cmd, u32 len)
{
	struct scan_object *object;

	if (len < VIRGL_OBJ_CREATE_HANDLE)
		return false;
	object = scan_find_object(bindings->sub, cmd[VIRGL_OBJ_CREATE_HANDLE]);

	if (VIRGL_CMD_OBJ(cmd[0]) == VIRGL_OBJECT_SHADER)
		return scan_create_shader(bindings, object, cmd, len);
	/* Two have one handle: the host remembers the first where it is in use. */
	if (object)
		return false;

	switch (VIRGL_CMD_OBJ(cmd[0])) {
	case VIRGL_OBJECT_STREAMOUT_TARGET:
		if (len != VIRGL_OBJ_STREAMOUT_SIZE)
			return false;
		object = scan_new_object(bindings, cmd[VIRGL_OBJ_CREATE_HANDLE],
					 VIRGL_NR_SHADER_STAGES);
		if (!object)
			return false;
		object->range = (struct scan_range){
			cmd[VIRGL_OBJ_STREAMOUT_RES_HANDLE],
			cmd[VIRGL_OBJ_STREAMOUT_BUFFER_OFFSET],
			cmd[VIRGL_OBJ_STREAMOUT_BUFFER_SIZE],
		};
		return true;
	case VIRGL_OBJECT_SURFACE:
	case VIRGL_OBJECT_MSAA_SURFACE:
		/* Of textures. What a surface of a buffer is used for is not known. */
		return len >= VIRGL_OBJ_SURFACE_RES_HANDLE &&
			!scan->is_coherent(scan, cmd[VIRGL_OBJ_SURFACE_RES_HANDLE]);
	case VIRGL_OBJECT_BLEND:
	case VIRGL_OBJECT_RASTERIZER:
	case VIRGL_OBJECT_DSA:
	case VIRGL_OBJECT_VERTEX_ELEMENTS:
	case VIRGL_OBJECT_SAMPLER_VIEW:
	case VIRGL_OBJECT_SAMPLER_STATE:
	case VIRGL_OBJECT_QUERY:
		return true;
	}

	return false;
}

/*
 * Of a shader that is not there the host goes on with the last. Without one of those
 * that a program has to have it goes on with the last program.
 */
static bool scan_bind_shader(struct virtio_gpu_scan_sub *sub, const u32 *cmd,
			     u32 len)
{
	struct scan_object *object;
	u32 stage;

	if (len != VIRGL_BIND_SHADER_SIZE)
		return false;
	stage = cmd[VIRGL_BIND_SHADER_TYPE];
	if (!cmd[VIRGL_BIND_SHADER_HANDLE]) {
		if (stage == VIRGL_SHADER_VERTEX ||
		    stage == VIRGL_SHADER_FRAGMENT ||
		    stage == VIRGL_SHADER_COMPUTE)
			sub->missing |= BIT(stage);
		return true;
	}

	object = scan_find_object(sub, cmd[VIRGL_BIND_SHADER_HANDLE]);
	if (object && object->stage == stage && stage < VIRGL_NR_SHADER_STAGES) {
		sub->stores[stage] = scan_text_stores(&object->text);
		sub->missing &= ~BIT(stage);
	}

	return true;
}

static void scan_bind(struct scan_slots *slots, u32 slot, u32 res_id,
		      u32 offset, u32 len)
{
	slots->ranges[slot] = (struct scan_range){ res_id, offset, len };
	if (res_id)
		slots->bound |= BIT(slot);
	else
		slots->bound &= ~BIT(slot);
	slots->reported &= ~BIT(slot);
}

/* How many slots from @start on: @words are left for elements of @size. */
static bool scan_count(u32 start, u32 words, u32 size, u32 *nr)
{
	*nr = words / size;

	return !*nr || (start <= SCAN_SLOTS && *nr <= SCAN_SLOTS - start);
}

/* Elements of an offset, a length and a resource, for slots from @start on. */
static bool scan_set_buffers(struct scan_slots *slots, u32 start,
			     const u32 *element, u32 words)
{
	u32 nr, i;

	if (!scan_count(start, words, VIRGL_SET_BUFFER_ELEMENT_SIZE, &nr))
		return false;
	for (i = 0; i < nr; i++, element += VIRGL_SET_BUFFER_ELEMENT_SIZE)
		scan_bind(slots, start + i, element[2], element[0], element[1]);

	return true;
}

/*
 * Hosts have one texture for all images of a buffer, whose range is that of the last,
 * or no ranges at all. A store to one that is bound for reading is undefined in
 * OpenGL, which does not say that it is not done.
 */
static bool scan_set_shader_images(struct virtio_gpu_scan_sub *sub,
				   const u32 *cmd, u32 len)
{
	const u32 size = VIRGL_SET_SHADER_IMAGE_ELEMENT_SIZE;
	u32 nr, i;

	if (len < 2 || cmd[1] >= VIRGL_NR_SHADER_STAGES ||
	    !scan_count(cmd[2], len - 2, size, &nr))
		return false;
	for (i = 0; i < nr; i++) {
		const u32 *element = cmd + 3 + i * size;
		u32 res_id = element[4];

		if (res_id && (element[1] < VIRGL_IMAGE_ACCESS_READ ||
			       element[1] > VIRGL_IMAGE_ACCESS_READ_WRITE))
			return false;
		scan_bind(&sub->images[cmd[1]], cmd[2] + i, res_id, 0, ~0);
	}

	return true;
}

/*
 * All at once. A target that is destroyed stays until then, which is longer than
 * with the host.
 */
static bool scan_set_targets(struct virtio_gpu_scan_sub *sub, const u32 *cmd,
			     u32 len)
{
	u32 i;

	if (len < 1 || len - 1 > SCAN_MAX_TARGETS)
		return false;
	sub->targets.bound = 0;
	for (i = 0; i < len - 1; i++) {
		struct scan_object *object;

		if (!cmd[2 + i])
			continue;
		object = scan_find_object(sub, cmd[2 + i]);
		if (!object || object->stage != VIRGL_NR_SHADER_STAGES)
			return false;
		scan_bind(&sub->targets, i, object->range.res_id,
			  object->range.offset, object->range.len);
	}

	return true;
}

/* One of those that change what is bound in the current sub-context. */
static bool scan_binding(struct virtio_gpu_scan *scan,
			 struct virtio_gpu_bindings *bindings, const u32 *cmd,
			 u32 len)
{
	struct virtio_gpu_scan_sub *sub = bindings->sub;

	switch (VIRGL_CMD_CMD(cmd[0])) {
	case VIRGL_CCMD_CREATE_OBJECT:
		return scan_create_object(scan, bindings, cmd, len);
	case VIRGL_CCMD_BIND_SHADER:
		return scan_bind_shader(sub, cmd, len);
	case VIRGL_CCMD_SET_SHADER_BUFFERS:
		return len >= 2 && cmd[1] < VIRGL_NR_SHADER_STAGES &&
			scan_set_buffers(&sub->buffers[cmd[1]], cmd[2], cmd + 3,
					 len - 2);
	case VIRGL_CCMD_SET_SHADER_IMAGES:
		return scan_set_shader_images(sub, cmd, len);
	case VIRGL_CCMD_SET_ATOMIC_BUFFERS:
		return len >= 1 &&
			scan_set_buffers(&sub->counters, cmd[1], cmd + 2,
					 len - 1);
	case VIRGL_CCMD_SET_STREAMOUT_TARGETS:
		return scan_set_targets(sub, cmd, len);
	}

	return false;
}

static void scan_report(struct virtio_gpu_scan *scan, struct scan_slots *slots,
			u32 stores)
{
	u32 slot;

	stores &= slots->bound & ~slots->reported;
	slots->reported |= stores;
	for (; stores; stores &= stores - 1) {
		slot = ffs(stores) - 1;
		scan->writes(scan, slots->ranges[slot].res_id,
			     slots->ranges[slot].offset, slots->ranges[slot].len);
	}
}

/*
 * Before virglrenderer 1.0 a slot is one for all stages. They are bound in this order,
 * so it is a later one's buffer to which an earlier one stores.
 */
static void scan_run(struct virtio_gpu_scan *scan,
		     struct virtio_gpu_scan_sub *sub, u32 stage, u32 last)
{
	struct scan_stores stores = { };

	/* What an older program stores to is not known any more. */
	if (sub->missing & (BIT(last + 1) - BIT(stage)))
		stores = scan_stores_all;

	for (; stage <= last; stage++) {
		scan_add_stores(&stores, &sub->stores[stage]);
		scan_report(scan, &sub->buffers[stage], stores.buffers);
		scan_report(scan, &sub->images[stage], stores.images);
		scan_report(scan, &sub->counters, stores.counters);
	}
}

static void scan_use_sub(struct virtio_gpu_bindings *bindings,
			 struct virtio_gpu_scan_sub *sub)
{
	u32 stage;

	bindings->sub = sub;
	if (sub->submission == bindings->submissions)
		return;

	sub->submission = bindings->submissions;
	sub->drawn = false;
	sub->launched = false;
	for (stage = 0; stage < VIRGL_NR_SHADER_STAGES; stage++) {
		sub->buffers[stage].reported = 0;
		sub->images[stage].reported = 0;
	}
	sub->counters.reported = 0;
	sub->targets.reported = 0;
}

/* The host makes it the current one. */
static bool scan_create_sub(struct virtio_gpu_bindings *bindings, u32 id)
{
	struct virtio_gpu_scan_sub *sub;

	if (xa_load(&bindings->subs, id))
		return true;
	if (bindings->nr_subs == SCAN_MAX_SUBS)
		return false;
	sub = scan_alloc(bindings, sizeof(*sub));
	if (!sub)
		return false;
	if (xa_err(xa_store(&bindings->subs, id, sub, GFP_KERNEL))) {
		kfree(sub);
		return false;
	}
	bindings->nr_subs++;
	sub->objects = RB_ROOT;
	scan_use_sub(bindings, sub);

	return true;
}

static void scan_uncount_sub(struct virtio_gpu_bindings *bindings,
			     const struct virtio_gpu_scan_sub *sub)
{
	bindings->nr_subs--;
	bindings->nr_objects -= sub->nr_objects;
}

static void scan_free_sub(struct virtio_gpu_scan_sub *sub)
{
	struct scan_object *object, *next;

	rbtree_postorder_for_each_entry_safe(object, next, &sub->objects, node) {
		kfree(object);
		cond_resched();
	}
	kfree(sub);
}

static void scan_free_dead(struct virtio_gpu_bindings *bindings)
{
	struct virtio_gpu_scan_sub *sub;
	struct scan_object *object;

	while ((object = bindings->dead_objects)) {
		bindings->dead_objects = object->next;
		kfree(object);
		cond_resched();
	}
	while ((sub = bindings->dead_subs)) {
		bindings->dead_subs = sub->next;
		scan_free_sub(sub);
	}
}

/* The first one stays. */
static void scan_destroy_sub(struct virtio_gpu_bindings *bindings, u32 id)
{
	struct virtio_gpu_scan_sub *sub;

	if (!id)
		return;
	sub = xa_erase(&bindings->subs, id);
	if (!sub)
		return;
	if (sub == bindings->sub)
		scan_use_sub(bindings, xa_load(&bindings->subs, 0));
	scan_uncount_sub(bindings, sub);
	sub->next = bindings->dead_subs;
	bindings->dead_subs = sub;
}

/**
 * virtio_gpu_bindings_init - Begin to follow a context
 * @bindings: The context's bindings
 * @follow: Whether to do so at all: a context that is not followed may write
 * anything
 *
 * It is a new one: nothing is bound.
 */
void virtio_gpu_bindings_init(struct virtio_gpu_bindings *bindings, bool follow)
{
	memset(bindings, 0, sizeof(*bindings));
	xa_init_flags(&bindings->subs, XA_FLAGS_ACCOUNT);
	bindings->lost = !follow;
}

/**
 * virtio_gpu_bindings_fini - Free the bindings of a context
 * @bindings: The context's bindings
 */
void virtio_gpu_bindings_fini(struct virtio_gpu_bindings *bindings)
{
	struct virtio_gpu_scan_sub *sub;
	unsigned long id;

	scan_free_dead(bindings);
	xa_for_each(&bindings->subs, id, sub) {
		scan_uncount_sub(bindings, sub);
		scan_free_sub(sub);
	}
	xa_destroy(&bindings->subs);
	bindings->sub = NULL;
}

/**
 * virtio_gpu_bindings_lose - Stop following a context
 * @bindings: The context's bindings
 *
 * It may write anything from now on.
 */
void virtio_gpu_bindings_lose(struct virtio_gpu_bindings *bindings)
{
	bindings->lost = true;
}

/**
 * virtio_gpu_bindings_reap - Free destroyed bindings
 * @bindings: The context's bindings
 *
 * Frees what streams have destroyed, or all if the context is lost. That can take
 * long.
 *
 * Context: Process context, under the lock for the context's streams and no other
 * that is contended.
 */
void virtio_gpu_bindings_reap(struct virtio_gpu_bindings *bindings)
{
	if (bindings->lost)
		virtio_gpu_bindings_fini(bindings);
	else
		scan_free_dead(bindings);
}

/* A transfer between the guest memory and the host's copy of a coherent buffer. */
static int scan_transfer(u32 *cmd, u32 len)
{
	/* Each byte has its place. */
	if (len < VIRGL_TRANSFER3D_SIZE ||
	    cmd[VIRGL_TRANSFER3D_DATA_OFFSET] != cmd[VIRGL_RESOURCE_IW_X])
		return -EINVAL;

	cmd[0] = VIRGL_CMD0(VIRGL_CCMD_NOP, 0, len);

	return 0;
}

/* What a command does with the guest memory of a resource. */
static int scan_memory(struct virtio_gpu_scan *scan, u32 *cmd, u32 len)
{
	switch (VIRGL_CMD_CMD(cmd[0])) {
	case VIRGL_CCMD_TRANSFER3D:
		if (len >= VIRGL_RESOURCE_IW_RES_HANDLE &&
		    scan->is_coherent(scan, cmd[VIRGL_RESOURCE_IW_RES_HANDLE]))
			return scan_transfer(cmd, len);
		break;
	case VIRGL_CCMD_COPY_TRANSFER3D:
		if (len >= VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE &&
		    scan->is_coherent(scan, cmd[VIRGL_COPY_TRANSFER3D_SRC_RES_HANDLE]))
			return -EINVAL;
		break;
	}

	return 0;
}

/**
 * virtio_gpu_scan_transfers - Take transfers of guest memory out of a stream
 * @scan: Knows the coherent buffers
 * @dwords: The stream, in memory that user space can't change. Transfers of
 * coherent buffers' guest memory are replaced by no-ops of the same length.
 * @nr_dwords: Its length
 *
 * Context: Process context, without a lock that others need: there is no limit to
 * the length of a stream.
 * Return: 0; -EINVAL for a transfer that is not supported: the stream must not be
 * executed; -EINTR if the process is being killed.
 */
int virtio_gpu_scan_transfers(struct virtio_gpu_scan *scan, u32 *dwords,
			      size_t nr_dwords)
{
	u32 commands;
	int ret;

	for (commands = 1; nr_dwords; commands++) {
		u32 len = VIRGL_CMD_LEN(dwords[0]);

		/* The host ends there as well. */
		if (len >= nr_dwords)
			return 0;

		ret = scan_memory(scan, dwords, len);
		if (ret)
			return ret;

		dwords += 1 + len;
		nr_dwords -= 1 + len;

		if (commands % 1024)
			continue;
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}

	return 0;
}

/* Follows one: its header, and the @len dwords that there are behind it. */
static bool scan_command(struct virtio_gpu_scan *scan,
			 struct virtio_gpu_bindings *bindings, const u32 *cmd,
			 u32 len)
{
	struct virtio_gpu_scan_sub *sub = bindings->sub;
	u32 i;

	switch (VIRGL_CMD_CMD(cmd[0])) {
	/* What is written once. Of what can't be in a buffer, all of it. */
	case VIRGL_CCMD_RESOURCE_INLINE_WRITE:
	case VIRGL_CCMD_COPY_TRANSFER3D:
		if (len < VIRGL_RESOURCE_IW_W)
			return false;
		scan->writes(scan, cmd[VIRGL_RESOURCE_IW_RES_HANDLE],
			     cmd[VIRGL_RESOURCE_IW_X], cmd[VIRGL_RESOURCE_IW_W]);
		return true;
	case VIRGL_CCMD_RESOURCE_COPY_REGION:
		if (len < VIRGL_CMD_RCR_SRC_W)
			return false;
		scan->writes(scan, cmd[VIRGL_CMD_RCR_DST_RES_HANDLE],
			     cmd[VIRGL_CMD_RCR_DST_X], cmd[VIRGL_CMD_RCR_SRC_W]);
		return true;
	case VIRGL_CCMD_GET_QUERY_RESULT_QBO:
		if (len < VIRGL_QUERY_RESULT_QBO_OFFSET)
			return false;
		scan->writes(scan, cmd[VIRGL_QUERY_RESULT_QBO_QBO_HANDLE],
			     cmd[VIRGL_QUERY_RESULT_QBO_OFFSET], sizeof(u64));
		return true;
	case VIRGL_CCMD_BLIT:
		if (len < VIRGL_CMD_BLIT_DST_RES_HANDLE)
			return false;
		scan->writes(scan, cmd[VIRGL_CMD_BLIT_DST_RES_HANDLE], 0, ~0);
		return true;
	case VIRGL_CCMD_CLEAR_TEXTURE:
		if (len < VIRGL_TEXTURE_HANDLE)
			return false;
		scan->writes(scan, cmd[VIRGL_TEXTURE_HANDLE], 0, ~0);
		return true;

	/* What writes what is bound. */
	case VIRGL_CCMD_DRAW_VBO:
		if (!sub->drawn) {
			scan_run(scan, sub, VIRGL_SHADER_VERTEX,
				 VIRGL_SHADER_TESS_EVAL);
			scan_report(scan, &sub->targets, ~0);
		}
		sub->drawn = true;
		return true;
	case VIRGL_CCMD_LAUNCH_GRID:
		if (!sub->launched)
			scan_run(scan, sub, VIRGL_SHADER_COMPUTE,
				 VIRGL_SHADER_COMPUTE);
		sub->launched = true;
		return true;

	/* What binds. */
	case VIRGL_CCMD_CREATE_OBJECT:
	case VIRGL_CCMD_BIND_SHADER:
	case VIRGL_CCMD_SET_SHADER_BUFFERS:
	case VIRGL_CCMD_SET_SHADER_IMAGES:
	case VIRGL_CCMD_SET_ATOMIC_BUFFERS:
	case VIRGL_CCMD_SET_STREAMOUT_TARGETS:
		sub->drawn = false;
		sub->launched = false;
		return scan_binding(scan, bindings, cmd, len);
	case VIRGL_CCMD_DESTROY_OBJECT:
		if (len != 1)
			return false;
		scan_destroy_object(bindings, cmd[1]);
		return true;
	case VIRGL_CCMD_SET_SUB_CTX:
		if (len != 1)
			return false;
		sub = xa_load(&bindings->subs, cmd[1]);
		if (sub)
			scan_use_sub(bindings, sub);
		return true;
	case VIRGL_CCMD_CREATE_SUB_CTX:
		return len == 1 && scan_create_sub(bindings, cmd[1]);
	case VIRGL_CCMD_DESTROY_SUB_CTX:
		if (len != 1)
			return false;
		scan_destroy_sub(bindings, cmd[1]);
		return true;

	/* What names resources for writing that are no buffers, but could be. */
	case VIRGL_CCMD_CREATE_VIDEO_BUFFER:
		for (i = VIRGL_CREATE_VIDEO_BUFFER_RES_BASE; i <= len; i++)
			if (scan->is_coherent(scan, cmd[i]))
				return false;
		return true;
	case VIRGL_CCMD_ENCODE_BITSTREAM:
		return len >= VIRGL_ENCODE_BS_DEST_HANDLE &&
			!scan->is_coherent(scan, cmd[VIRGL_ENCODE_BS_DEST_HANDLE]);

	case VIRGL_CCMD_NOP:
	case VIRGL_CCMD_BIND_OBJECT:
	case VIRGL_CCMD_SET_VIEWPORT_STATE:
	case VIRGL_CCMD_SET_FRAMEBUFFER_STATE:
	case VIRGL_CCMD_SET_VERTEX_BUFFERS:
	case VIRGL_CCMD_CLEAR:
	case VIRGL_CCMD_SET_SAMPLER_VIEWS:
	case VIRGL_CCMD_SET_INDEX_BUFFER:
	case VIRGL_CCMD_SET_CONSTANT_BUFFER:
	case VIRGL_CCMD_SET_STENCIL_REF:
	case VIRGL_CCMD_SET_BLEND_COLOR:
	case VIRGL_CCMD_SET_SCISSOR_STATE:
	case VIRGL_CCMD_BIND_SAMPLER_STATES:
	case VIRGL_CCMD_BEGIN_QUERY:
	case VIRGL_CCMD_END_QUERY:
	case VIRGL_CCMD_GET_QUERY_RESULT:
	case VIRGL_CCMD_SET_POLYGON_STIPPLE:
	case VIRGL_CCMD_SET_CLIP_STATE:
	case VIRGL_CCMD_SET_SAMPLE_MASK:
	case VIRGL_CCMD_SET_RENDER_CONDITION:
	case VIRGL_CCMD_SET_UNIFORM_BUFFER:
	case VIRGL_CCMD_SET_TESS_STATE:
	case VIRGL_CCMD_SET_MIN_SAMPLES:
	case VIRGL_CCMD_MEMORY_BARRIER:
	case VIRGL_CCMD_SET_FRAMEBUFFER_STATE_NO_ATTACH:
	case VIRGL_CCMD_TEXTURE_BARRIER:
	case VIRGL_CCMD_SET_DEBUG_FLAGS:
	case VIRGL_CCMD_TRANSFER3D:
	case VIRGL_CCMD_END_TRANSFERS:
	case VIRGL_CCMD_SET_TWEAKS:
	case VIRGL_CCMD_PIPE_RESOURCE_CREATE:
	case VIRGL_CCMD_PIPE_RESOURCE_SET_TYPE:
	case VIRGL_CCMD_GET_MEMORY_INFO:
	case VIRGL_CCMD_SEND_STRING_MARKER:
	case VIRGL_CCMD_LINK_SHADER:
	case VIRGL_CCMD_CREATE_VIDEO_CODEC:
	case VIRGL_CCMD_DESTROY_VIDEO_CODEC:
	case VIRGL_CCMD_DESTROY_VIDEO_BUFFER:
	case VIRGL_CCMD_BEGIN_FRAME:
	case VIRGL_CCMD_DECODE_MACROBLOCK:
	case VIRGL_CCMD_DECODE_BITSTREAM:
	case VIRGL_CCMD_END_FRAME:
	case VIRGL_CCMD_CLEAR_SURFACE:
	case VIRGL_CCMD_GET_PIPE_RESOURCE_LAYOUT:
		return true;
	}

	return false;
}

static bool scan_stream(struct virtio_gpu_scan *scan,
			struct virtio_gpu_bindings *bindings, const u32 *dwords,
			size_t nr_dwords)
{
	u32 looked_at = 0;

	bindings->submissions++;
	bindings->memory = 0;
	if (nr_dwords > SCAN_MAX_DWORDS || !scan_create_sub(bindings, 0))
		return false;
	scan_use_sub(bindings, bindings->sub);

	while (nr_dwords) {
		u32 len = VIRGL_CMD_LEN(dwords[0]);

		if (len >= nr_dwords ||
		    !scan_command(scan, bindings, dwords, len))
			return false;
		dwords += 1 + len;
		nr_dwords -= 1 + len;

		looked_at += 1 + len;
		if (looked_at < SCAN_RESCHED_DWORDS)
			continue;
		looked_at = 0;
		cond_resched();
	}

	return true;
}

/**
 * virtio_gpu_scan_writes - Report what a command stream may make the host write
 * @scan: Where to report it
 * @bindings: The context's bindings as earlier streams have left them, which this
 * one changes
 * @dwords: The stream, in memory that user space can't change, which the host is
 * going to execute next in this context
 * @nr_dwords: Its length
 *
 * Reads a bounded number of dwords, each of them once, and allocates a bounded
 * amount of memory. The caller calls virtio_gpu_bindings_reap() when it has released
 * the contended locks.
 *
 * Context: Process context, under a lock for the context's streams, from here until
 * this one is in the queue.
 * Return: Whether the report is complete. If not, this stream and all later ones may
 * write anything.
 */
bool virtio_gpu_scan_writes(struct virtio_gpu_scan *scan,
			    struct virtio_gpu_bindings *bindings,
			    const u32 *dwords, size_t nr_dwords)
{
	if (bindings->lost)
		return false;
	if (scan_stream(scan, bindings, dwords, nr_dwords))
		return true;

	virtio_gpu_bindings_lose(bindings);

	return false;
}
