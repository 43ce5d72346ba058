// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model.h"
#include "virtgpu_virgl.h"

#define STAGES 6
#define SLOTS 32
#define TARGETS 16

struct object {
	struct object *next;
	u32 handle, type;
	/* Those that have it bound, and the table of handles */
	int users;
	/* of a target */
	u32 res, offset, len;
	/* of a shader: the text is a string when it is all there */
	u32 stage;
	char *text;
	size_t size, filled;
};

struct binding {
	u32 res, offset, len;
};

struct sub {
	struct sub *next;
	u32 id;
	struct object *objects, *shaders[STAGES], *partial[STAGES];
	/* The program that was last used, and those that were unbound since */
	struct object *ran[STAGES];
	bool gone[STAGES];
	struct binding buffers[STAGES][SLOTS], images[STAGES][SLOTS], counters[SLOTS];
	struct object *targets[TARGETS];
};

struct model {
	void (*writes)(void *data, u32 res_id, u32 offset, u32 len);
	bool (*exists)(u32 res_id);
	void *data;
	struct sub *subs, *sub;
	bool error;
};

static void *new_zeroed(size_t size)
{
	void *p = calloc(1, size);

	return p ?: (abort(), NULL);
}

/* ---- the text of shaders ---------------------------------------------------- */

/* At a place in a text; @wrong if it isn't one */
struct text {
	const char *at;
	bool wrong;
};

static void white(struct text *t)
{
	while (*t->at == ' ' || *t->at == '\t' || *t->at == '\n')
		t->at++;
}

static bool is(struct text *t, char c)
{
	if (*t->at != c)
		return false;
	t->at++;
	return true;
}

/* The same behind white space, which stays if it is not there */
static bool is_next(struct text *t, char c)
{
	const char *at = t->at;

	white(t);
	if (is(t, c))
		return true;
	t->at = at;
	return false;
}

static void expect(struct text *t, char c)
{
	t->wrong |= !is(t, c);
}

static size_t word(struct text *t, const char **from)
{
	*from = t->at;
	while (isalnum((unsigned char)*t->at) || *t->at == '_')
		t->at++;
	return t->at - *from;
}

static bool same(const char *name, const char *word, size_t len)
{
	return strlen(name) == len && !strncasecmp(name, word, len);
}

static bool begins(const char *name, const char *word, size_t len)
{
	return len >= strlen(name) && !strncasecmp(name, word, strlen(name));
}

struct operand {
	const char *file;
	size_t len;
	bool indirect;
	int index;
};

/* What is in a pair of brackets: a number, or a register and a number perhaps */
static void bracket(struct text *t, struct operand *o)
{
	const char *name;
	unsigned int n = 0;
	int sign = 1;

	white(t);
	o->indirect = isalpha((unsigned char)*t->at);
	if (o->indirect) {
		word(t, &name);
		white(t);
		expect(t, '[');
		white(t);
		t->wrong |= !isdigit((unsigned char)*t->at);
		while (isdigit((unsigned char)*t->at))
			t->at++;
		white(t);
		expect(t, ']');
		white(t);
		if (is(t, '.')) {
			word(t, &name);
			white(t);
		}
	}
	if (*t->at == '+' || *t->at == '-')
		sign = *t->at++ == '-' ? -1 : 1;
	else if (!o->indirect)
		t->wrong |= !isdigit((unsigned char)*t->at);
	while (isdigit((unsigned char)*t->at))
		n = n * 10 + *t->at++ - '0';
	/* it goes to a field of 16 bits */
	o->index = (int16_t)(sign * (int)n);
	white(t);
	expect(t, ']');
}

static void operand(struct text *t, struct operand *o)
{
	const char *name;

	white(t);
	o->len = word(t, &o->file);
	o->indirect = false;
	t->wrong |= !o->len;
	for (int i = 0; i < 2 && is_next(t, '['); i++) {
		bracket(t, o);
		if (is(t, '(')) {
			word(t, &name);
			expect(t, ')');
		}
	}
	if (is_next(t, '.')) {
		white(t);
		word(t, &name);
	}
}

struct run {
	struct model *m;
	struct sub *sub;
	/* and the last one that runs with it */
	u32 stage, last;
	/* Of its buffers, the first that is declared, and the first that there is */
	int declared, first;
};

static void write_slots(const struct run *r, const struct binding *bindings,
			const struct operand *o)
{
	for (int i = 0; i < SLOTS; i++) {
		const struct binding *b = &bindings[i];

		if (b->res && (o->indirect || o->index == i))
			r->m->writes(r->m->data, b->res, b->offset, b->len);
	}
}

/* A slot is each stage's own, or one for all: then the last one's is bound. */
static void write_stages(const struct run *r, const struct binding *slots,
			 const struct operand *o)
{
	u32 stage;

	write_slots(r, slots + r->stage * SLOTS, o);
	for (int i = 0; i < SLOTS; i++) {
		const struct operand one = { .index = i };

		if (!o->indirect && o->index != i)
			continue;
		for (stage = r->last; stage > r->stage; stage--)
			if (r->sub->shaders[stage] && slots[stage * SLOTS + i].res)
				break;
		write_slots(r, slots + stage * SLOTS, &one);
	}
}

static void store(const struct run *r, const struct operand *o)
{
	const struct operand any = { .indirect = true };

	if (same("BUFFER", o->file, o->len)) {
		struct operand shifted = *o;

		write_stages(r, r->sub->buffers[0], o);
		/* The host counts from the first. What isn't declared does not compile. */
		shifted.index -= r->declared;
		if (r->declared <= r->first)
			write_slots(r, r->sub->buffers[r->stage], &shifted);
	} else if (same("IMAGE", o->file, o->len))
		write_stages(r, r->sub->images[0], o);
	else if (same("HWATOMIC", o->file, o->len))
		write_slots(r, r->sub->counters, &any);
}

/*
 * Goes through the instructions, and executes those that store if there is somebody
 * to execute them, or looks which buffers there are. Returns whether it is a shader.
 */
static void see(struct run *buffers, const struct operand *o, bool declaration)
{
	if (!buffers || !same("BUFFER", o->file, o->len) || o->indirect)
		return;
	if (o->index < buffers->first)
		buffers->first = o->index;
	if (declaration && o->index < buffers->declared)
		buffers->declared = o->index;
}

static bool shader(const char *chars, const struct run *r, struct run *buffers)
{
	struct text t = { chars, false };
	const char *opcode;

	t.wrong = word(&t, &opcode) != 4;
	while (!t.wrong) {
		struct operand first, o;
		bool apart = isspace((unsigned char)*t.at);
		size_t len;

		white(&t);
		if (!*t.at)
			return true;
		t.wrong |= !apart;
		if (isdigit((unsigned char)*t.at)) {
			word(&t, &opcode);
			white(&t);
			expect(&t, ':');
			white(&t);
		}
		len = word(&t, &opcode);
		if (same("END", opcode, len))
			continue;
		if (!len || (*t.at && !isspace((unsigned char)*t.at)))
			return false;

		operand(&t, &first);
		see(buffers, &first, same("DCL", opcode, len));
		o = first;
		if (begins("ATOM", opcode, len)) {
			t.wrong |= !is_next(&t, ',');
			operand(&t, &o);
			see(buffers, &o, false);
		}
		if (t.wrong)
			return false;
		if (r && (begins("STORE", opcode, len) || begins("ATOM", opcode, len)))
			store(r, &o);

		while (is_next(&t, ',')) {
			operand(&t, &o);
			see(buffers, &o, false);
		}
	}
	return false;
}

/* ---- objects --------------------------------------------------------------- */

static void put(struct object *o)
{
	if (!o || --o->users)
		return;
	free(o->text);
	free(o);
}

static void set(struct object **to, struct object *o)
{
	if (o)
		o->users++;
	put(*to);
	*to = o;
}

static struct object *find(const struct sub *sub, u32 handle, u32 type)
{
	struct object *o = sub->objects;

	while (o && o->handle != handle)
		o = o->next;
	return o && o->type == type ? o : NULL;
}

/* The newest of a handle is in front. */
static struct object *insert(struct sub *sub, u32 handle, u32 type)
{
	struct object *o = new_zeroed(sizeof(*o));

	o->next = sub->objects;
	o->handle = handle;
	o->type = type;
	o->users = 1;
	sub->objects = o;
	return o;
}

static void destroy(struct sub *sub, u32 handle)
{
	struct object **at = &sub->objects, *o;

	while (*at && (*at)->handle != handle)
		at = &(*at)->next;
	o = *at;
	if (!o)
		return;
	*at = o->next;
	/* Not of those that are bound: it ends stream output of all that are with it. */
	for (int i = 0; i < TARGETS; i++) {
		if (sub->targets[i] != o)
			continue;
		for (int k = 0; k < TARGETS; k++)
			set(&sub->targets[k], NULL);
	}
	put(o);
}

/* One that is complete, or not yet. */
static bool fill_shader(struct sub *sub, struct object *o, const u32 *cmd, u32 len,
			u32 from)
{
	size_t bytes = (len + 1 - from) * sizeof(*cmd);

	if (bytes > o->size - o->filled)
		return false;
	memcpy(o->text + o->filled, cmd + from, bytes);
	o->filled += bytes;
	sub->partial[o->stage] = o->filled < o->size ? o : NULL;
	if (o->filled < o->size)
		return true;
	return o->size >= 4 && memchr(o->text + o->size - 4, 0, 4) &&
		shader(o->text, NULL, NULL);
}

static bool create_shader(struct sub *sub, const u32 *cmd, u32 len)
{
	u32 stage, from = 6;
	struct object *o;

	if (len < 5 || cmd[2] >= STAGES)
		return false;
	stage = cmd[2];
	if (stage != 5 && cmd[5]) {
		if (cmd[5] > 64)
			return false;
		from += 4 + 2 * cmd[5];
	}
	if (from > len + 1)
		return false;

	if (cmd[3] >> 31) {
		o = find(sub, cmd[1], VIRGL_OBJECT_SHADER);
		return o && sub->partial[stage] == o &&
			(cmd[3] & 0x7fffffff) == o->filled &&
			fill_shader(sub, o, cmd, len, from);
	}
	if (sub->partial[stage] || cmd[3] > 4096)
		return false;
	o = insert(sub, cmd[1], VIRGL_OBJECT_SHADER);
	o->stage = stage;
	o->size = (cmd[3] + 3) / 4 * 4;
	o->text = new_zeroed(o->size + 1);
	return fill_shader(sub, o, cmd, len, from);
}

static bool create(struct model *m, const u32 *cmd, u32 len)
{
	u32 type = cmd[0] >> 8 & 0xff;
	struct object *o;

	if (len < 1 || !cmd[1])
		return false;
	switch (type) {
	case VIRGL_OBJECT_SHADER:
		return create_shader(m->sub, cmd, len);
	case VIRGL_OBJECT_STREAMOUT_TARGET:
		if (len != 4 || !m->exists(cmd[2]))
			return false;
		o = insert(m->sub, cmd[1], type);
		o->res = cmd[2];
		o->offset = cmd[3];
		o->len = cmd[4];
		return true;
	default:
		insert(m->sub, cmd[1], type);
		return type && type <= VIRGL_OBJECT_MSAA_SURFACE;
	}
}

/* ---- commands ---------------------------------------------------------------- */

static bool bind(struct model *m, struct binding *b, u32 res, u32 offset, u32 len)
{
	if (res && !m->exists(res))
		return false;
	*b = (struct binding){ res, offset, len };
	return true;
}

/* Elements of @size words behind @first, in the slots from @start on */
static bool bind_all(struct model *m, struct binding *slots, u32 start, const u32 *words,
		     u32 nr, u32 size)
{
	if (nr && (start > SLOTS || nr > SLOTS - start))
		return false;
	for (u32 i = 0; i < nr; i++, words += size) {
		const u32 *w = words + size - 3;
		u32 access = size == 5 ? words[1] : VIRGL_IMAGE_ACCESS_READ_WRITE;

		/* All images of a buffer share a range, or have none. */
		if (!bind(m, &slots[start + i], size == 5 ? words[4] : w[2],
			  size == 5 ? 0 : w[0], size == 5 ? ~0u : w[1]))
			return false;
		/* Of another one the host does not bind the rest. */
		if (words[size - 1] && (!access || access > 3))
			return false;
	}
	return true;
}

static bool set_targets(struct sub *sub, const u32 *cmd, u32 len)
{
	if (len < 1 || len > 1 + TARGETS)
		return false;
	for (u32 i = 0; i < TARGETS; i++) {
		u32 handle = i < len - 1 ? cmd[2 + i] : 0;
		struct object *o = find(sub, handle, VIRGL_OBJECT_STREAMOUT_TARGET);

		if (handle && !o)
			return false;
		set(&sub->targets[i], o);
	}
	return true;
}

static struct sub *find_sub(struct model *m, u32 id)
{
	struct sub *sub = m->subs;

	while (sub && sub->id != id)
		sub = sub->next;
	return sub;
}

static void create_sub(struct model *m, u32 id)
{
	if (find_sub(m, id))
		return;
	m->sub = new_zeroed(sizeof(*m->sub));
	m->sub->id = id;
	m->sub->next = m->subs;
	m->subs = m->sub;
}

static void free_sub(struct sub *sub)
{
	for (int i = 0; i < TARGETS; i++)
		set(&sub->targets[i], NULL);
	for (int i = 0; i < STAGES; i++) {
		set(&sub->shaders[i], NULL);
		set(&sub->ran[i], NULL);
	}
	while (sub->objects)
		destroy(sub, sub->objects->handle);
	free(sub);
}

static void destroy_sub(struct model *m, u32 id)
{
	struct sub **at = &m->subs, *sub;

	if (!id)
		return;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	sub = *at;
	if (!sub)
		return;
	*at = sub->next;
	if (m->sub == sub)
		m->sub = find_sub(m, 0);
	free_sub(sub);
}

static void run_shader(struct model *m, struct object *o, u32 stage, u32 last)
{
	struct run r = { m, m->sub, stage, last, INT16_MAX, INT16_MAX };

	if (!o || o->filled != o->size)
		return;
	shader(o->text, NULL, &r);
	shader(o->text, &r, NULL);
}

/* Without one that it needs, the program is the one before. */
static void run(struct model *m, u32 stage, u32 last)
{
	struct sub *sub = m->sub;
	bool gone = stage ? sub->gone[stage] :
		sub->gone[VIRGL_SHADER_VERTEX] || sub->gone[VIRGL_SHADER_FRAGMENT];

	for (; stage <= last; stage++) {
		if (!gone)
			set(&sub->ran[stage], sub->shaders[stage]);
		run_shader(m, sub->ran[stage], stage, last);
	}
}

static void bind_shader(struct sub *sub, u32 handle, u32 stage)
{
	struct object *o = find(sub, handle, VIRGL_OBJECT_SHADER);

	if (!handle && stage < STAGES) {
		set(&sub->shaders[stage], NULL);
		sub->gone[stage] = true;
	} else if (o && o->stage == stage) {
		set(&sub->shaders[stage], o);
		sub->gone[stage] = false;
	}
}

/* Returns false if that is an error. */
static bool execute(struct model *m, const u32 *cmd, u32 len)
{
	struct sub *sub = m->sub;

	switch (cmd[0] & 0xff) {
	case VIRGL_CCMD_CREATE_OBJECT:
		return create(m, cmd, len);
	case VIRGL_CCMD_DESTROY_OBJECT:
		if (len == 1)
			destroy(sub, cmd[1]);
		return len == 1;
	case VIRGL_CCMD_BIND_SHADER:
		if (len == 2)
			bind_shader(sub, cmd[1], cmd[2]);
		return len == 2;
	case VIRGL_CCMD_SET_SHADER_BUFFERS:
		return len >= 2 && cmd[1] < STAGES &&
			bind_all(m, sub->buffers[cmd[1]], cmd[2], cmd + 3, (len - 2) / 3, 3);
	case VIRGL_CCMD_SET_SHADER_IMAGES:
		return len >= 2 && cmd[1] < STAGES &&
			bind_all(m, sub->images[cmd[1]], cmd[2], cmd + 3, (len - 2) / 5, 5);
	case VIRGL_CCMD_SET_ATOMIC_BUFFERS:
		return len >= 1 &&
			bind_all(m, sub->counters, cmd[1], cmd + 2, (len - 1) / 3, 3);
	case VIRGL_CCMD_SET_STREAMOUT_TARGETS:
		return set_targets(sub, cmd, len);
	case VIRGL_CCMD_SET_SUB_CTX:
		if (len == 1 && find_sub(m, cmd[1]))
			m->sub = find_sub(m, cmd[1]);
		return len == 1;
	case VIRGL_CCMD_CREATE_SUB_CTX:
		if (len == 1)
			create_sub(m, cmd[1]);
		return len == 1;
	case VIRGL_CCMD_DESTROY_SUB_CTX:
		if (len == 1)
			destroy_sub(m, cmd[1]);
		return len == 1;
	case VIRGL_CCMD_DRAW_VBO:
		run(m, 0, 4);
		for (int i = 0; i < TARGETS; i++)
			if (sub->targets[i])
				m->writes(m->data, sub->targets[i]->res,
					  sub->targets[i]->offset, sub->targets[i]->len);
		return true;
	case VIRGL_CCMD_LAUNCH_GRID:
		run(m, 5, 5);
		return true;
	case VIRGL_CCMD_RESOURCE_INLINE_WRITE:
	case VIRGL_CCMD_COPY_TRANSFER3D:
		if (len < 12 || !m->exists(cmd[1]))
			return false;
		m->writes(m->data, cmd[1], cmd[6], cmd[9]);
		return true;
	case VIRGL_CCMD_RESOURCE_COPY_REGION:
		if (len != 13 || !m->exists(cmd[1]))
			return false;
		m->writes(m->data, cmd[1], cmd[3], cmd[11]);
		return true;
	case VIRGL_CCMD_GET_QUERY_RESULT_QBO:
		if (len != 6 || !m->exists(cmd[2]))
			return false;
		m->writes(m->data, cmd[2], cmd[5], cmd[4] & 1 ? 8 : 4);
		return true;
	case VIRGL_CCMD_BLIT:
		if (len != 21 || !m->exists(cmd[4]))
			return false;
		m->writes(m->data, cmd[4], 0, ~0);
		return true;
	case VIRGL_CCMD_CLEAR_TEXTURE:
		if (len != 12 || !m->exists(cmd[1]))
			return false;
		m->writes(m->data, cmd[1], 0, ~0);
		return true;
	default:
		return true;
	}
}

struct model *model_create(void (*writes)(void *data, u32 res_id, u32 offset, u32 len),
			   bool (*exists)(u32 res_id), void *data)
{
	struct model *m = new_zeroed(sizeof(*m));

	m->writes = writes;
	m->exists = exists;
	m->data = data;
	create_sub(m, 0);
	return m;
}

void model_destroy(struct model *m)
{
	while (m->subs) {
		struct sub *next = m->subs->next;

		free_sub(m->subs);
		m->subs = next;
	}
	free(m);
}

void model_execute(struct model *m, const u32 *dwords, size_t nr)
{
	while (nr && !m->error) {
		u32 len = dwords[0] >> 16;

		m->error = len >= nr || !execute(m, dwords, len);
		if (m->error)
			return;
		dwords += 1 + len;
		nr -= 1 + len;
	}
}
