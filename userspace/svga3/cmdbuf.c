// SPDX-License-Identifier: MIT
/*
 * Command buffers: submission, the queues of the two contexts, execution in a
 * thread of its own, and completion. A buffer is executed when it is due, not
 * when it is submitted, and its status, its fence and its interrupt come when
 * all of it has been executed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "svga3.h"

/* How long a buffer is held back for others to complete before it */
#define REORDER_NS 5000000ull

static void queue_add(struct cmdbuf_queue *q, struct cmdbuf *cb)
{
	cb->next = NULL;
	*q->tail = cb;
	q->tail = &cb->next;
	q->n++;
}

static struct cmdbuf *queue_del(struct cmdbuf_queue *q)
{
	struct cmdbuf *cb = q->head;

	q->head = cb->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	return cb;
}

static void cmdbuf_free(struct cmdbuf *cb)
{
	free(cb->data);
	free(cb);
}

/* The status is what the guest polls: it comes last. */
static void write_status(struct svga3 *s, u64 pa, u32 status, u32 error_offset)
{
	gmem_write(s, pa + offsetof(SVGACBHeader, errorOffset), &error_offset,
		   sizeof(error_offset));
	atomic_thread_fence(memory_order_release);
	gmem_write(s, pa + offsetof(SVGACBHeader, status), &status,
		   sizeof(status));
}

/* Take one from a knob that counts down. */
static bool knob_take(struct svga3 *s, enum svga3_ctl which)
{
	u32 n = atomic_load(&s->knob[which]);

	while (n)
		if (atomic_compare_exchange_weak(&s->knob[which], &n, n - 1))
			return true;
	return false;
}

/* -------------------------------------------------------------- completion */

/* With s->lock held. */
static void publish(struct svga3 *s, struct cmdbuf *cb)
{
	u32 flags = 0;

	if (cb->has_fence) {
		u32 old = s->reg[SVGA_REG_FENCE];
		u32 goal = s->reg[SVGA_REG_FENCE_GOAL];

		if ((s32)(cb->fence - old) > 0) {
			s->reg[SVGA_REG_FENCE] = cb->fence;
			if ((s32)(goal - old) > 0 && (s32)(cb->fence - goal) >= 0)
				flags |= SVGA_IRQFLAG_REG_FENCE_GOAL;
		}
		flags |= SVGA_IRQFLAG_ANY_FENCE;
	}
	write_status(s, cb->header_pa, cb->status, cb->error_offset);
	if (cb->status != SVGA_CB_STATUS_COMPLETED)
		flags |= SVGA_IRQFLAG_ERROR | SVGA_IRQFLAG_COMMAND_BUFFER;
	else if (!(cb->header.flags & SVGA_CB_FLAG_NO_IRQ))
		flags |= SVGA_IRQFLAG_COMMAND_BUFFER;
	irq_raise(s, flags);
	cmdbuf_free(cb);
}

static void publish_finished(struct svga3 *s)
{
	while (s->finished) {
		struct cmdbuf *cb = s->finished;

		s->finished = cb->next;
		publish(s, cb);
	}
	s->n_finished = 0;
}

static void complete(struct svga3 *s, struct cmdbuf *cb)
{
	u32 group = atomic_load(&s->knob[SVGA3_REORDER]);

	if (knob_take(s, SVGA3_DROP_COMPLETIONS)) {
		say(s, "completion at %#llx dropped",
		    (unsigned long long)cb->header_pa);
		count(s, SVGA3_DROPPED, 1);
		cmdbuf_free(cb);
		return;
	}
	cb->next = s->finished;
	s->finished = cb;
	if (++s->n_finished >= group || cb->status != SVGA_CB_STATUS_COMPLETED)
		publish_finished(s);
}

/* --------------------------------------------------------------- execution */

static u32 load_data(struct svga3 *s, struct cmdbuf *cb)
{
	const SVGACBHeader *h = &cb->header;

	cb->data = malloc(h->length ?: 1);
	if (!cb->data)
		return SVGA_CB_STATUS_CB_HEADER_ERROR;
	if (h->flags & SVGA_CB_FLAG_MOB) {
		struct mob *mob = mob_get(s, h->ptr.mob.mobid);

		if (!mob || mob_read(s, mob, h->ptr.mob.mobOffset, cb->data,
				     h->length))
			return SVGA_CB_STATUS_CB_HEADER_ERROR;
	} else if (gmem_read(s, h->ptr.pa, cb->data, h->length)) {
		return SVGA_CB_STATUS_CB_HEADER_ERROR;
	}
	return SVGA_CB_STATUS_NONE;
}

static void execute(struct svga3 *s, struct cmdbuf *cb)
{
	cb->error_offset = cb->header.offset;
	cb->status = load_data(s, cb);
	if (cb->status == SVGA_CB_STATUS_NONE)
		cb->status = commands_run(s, cb) ? SVGA_CB_STATUS_COMPLETED :
						   SVGA_CB_STATUS_COMMAND_ERROR;
	if (cb->status != SVGA_CB_STATUS_COMPLETED)
		count(s, SVGA3_ERRORS, 1);
}

static void wait_until(struct svga3 *s, u64 ns)
{
	struct timespec t = {
		.tv_sec = ns / 1000000000ull,
		.tv_nsec = ns % 1000000000ull,
	};

	pthread_cond_timedwait(&s->wake, &s->lock, &t);
}

static void *run(void *arg)
{
	struct svga3 *s = arg;
	struct cmdbuf_queue *q;
	struct cmdbuf *cb;
	u64 due, now;
	int i;

	pthread_mutex_lock(&s->lock);
	while (!s->quit) {
		q = NULL;
		due = U64_MAX;
		for (i = 0; i < SVGA_CB_CONTEXT_MAX && !s->stopping; i++) {
			if (!s->queue[i].started || !s->queue[i].head ||
			    s->queue[i].head->due >= due)
				continue;
			q = &s->queue[i];
			due = q->head->due;
		}
		if (atomic_load(&s->knob[SVGA3_HOLD]))
			q = NULL;
		now = now_ns();
		if (atomic_load(&s->knob[SVGA3_CAPTURE]) && !s->stopping) {
			s->executing = true;
			pthread_mutex_unlock(&s->lock);
			screen_capture(s, atomic_load(&s->knob[SVGA3_CAPTURE]) - 1);
			pthread_mutex_lock(&s->lock);
			s->executing = false;
			atomic_store(&s->knob[SVGA3_CAPTURE], 0);
			pthread_cond_signal(&s->idle);
		} else if (s->cursor_waits && !s->stopping) {
			u32 mobid = s->cursor_mob;

			s->cursor_waits = false;
			s->executing = true;
			pthread_mutex_unlock(&s->lock);
			cursor_from_mob(s, mobid);
			pthread_mutex_lock(&s->lock);
			s->executing = false;
			pthread_cond_signal(&s->idle);
		} else if (q && due <= now) {
			cb = queue_del(q);
			s->executing = true;
			pthread_mutex_unlock(&s->lock);
			execute(s, cb);
			pthread_mutex_lock(&s->lock);
			s->executing = false;
			/* After an error the driver has to start it again */
			if (cb->status != SVGA_CB_STATUS_COMPLETED)
				q->started = false;
			complete(s, cb);
			pthread_cond_signal(&s->idle);
		} else if (s->finished) {
			wait_until(s, now + REORDER_NS);
			if (now_ns() >= now + REORDER_NS)
				publish_finished(s);
		} else if (q) {
			wait_until(s, due);
		} else {
			pthread_cond_wait(&s->wake, &s->lock);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* -------------------------------------------------------------- submission */

static void preempt(struct svga3 *s, struct cmdbuf_queue *q, bool ignore_id_0)
{
	struct cmdbuf *cb, *next = q->head;

	q->head = NULL;
	q->tail = &q->head;
	q->n = 0;
	while ((cb = next)) {
		next = cb->next;
		if (ignore_id_0 && !cb->header.id) {
			queue_add(q, cb);
			continue;
		}
		write_status(s, cb->header_pa, SVGA_CB_STATUS_PREEMPTED, 0);
		cmdbuf_free(cb);
	}
}

/* What is sent to the device context is done when the register is written. */
static u32 run_device(struct svga3 *s, const u8 *data, u32 len, u32 *offset)
{
	while (*offset < len) {
		union {
			SVGADCCmdStartStop start_stop;
			SVGADCCmdPreempt preempt;
		} body;
		u32 id, size, left = len - *offset;

		if (left < sizeof(id))
			return SVGA_CB_STATUS_COMMAND_ERROR;
		memcpy(&id, data + *offset, sizeof(id));
		switch (id) {
		case SVGA_DC_CMD_NOP:
			size = 0;
			break;
		case SVGA_DC_CMD_START_STOP_CONTEXT:
			size = sizeof(body.start_stop);
			break;
		case SVGA_DC_CMD_PREEMPT:
			size = sizeof(body.preempt);
			break;
		default:
			say(s, "device context: unknown command %u", id);
			return SVGA_CB_STATUS_COMMAND_ERROR;
		}
		if (left - sizeof(id) < size)
			return SVGA_CB_STATUS_COMMAND_ERROR;
		memcpy(&body, data + *offset + sizeof(id), size);
		if (id == SVGA_DC_CMD_START_STOP_CONTEXT) {
			if (body.start_stop.context != SVGA_CB_CONTEXT_0)
				return SVGA_CB_STATUS_COMMAND_ERROR;
			s->queue[0].started = body.start_stop.enable;
			pthread_cond_signal(&s->wake);
		} else if (id == SVGA_DC_CMD_PREEMPT) {
			if (body.preempt.context != SVGA_CB_CONTEXT_0)
				return SVGA_CB_STATUS_COMMAND_ERROR;
			preempt(s, &s->queue[0], body.preempt.ignoreIDZero);
		}
		*offset += sizeof(id) + size;
	}
	return SVGA_CB_STATUS_COMPLETED;
}

static void submit_device(struct svga3 *s, u64 pa, const SVGACBHeader *h)
{
	u32 status = SVGA_CB_STATUS_CB_HEADER_ERROR, offset = 0;
	u8 data[256];

	if (h->flags == SVGA_CB_FLAG_NONE && h->length <= sizeof(data) &&
	    !gmem_read(s, h->ptr.pa, data, h->length))
		status = run_device(s, data, h->length, &offset);
	if (status != SVGA_CB_STATUS_COMPLETED)
		count(s, SVGA3_ERRORS, 1);
	write_status(s, pa, status, offset);
}

static bool header_valid(struct svga3 *s, const SVGACBHeader *h)
{
	u32 flags = SVGA_CB_FLAG_NO_IRQ | SVGA_CB_FLAG_MOB;
	unsigned int i;

	if (s->sm4)
		flags |= SVGA_CB_FLAG_DX_CONTEXT;
	if (h->flags & ~flags || h->length > SVGA_CB_MAX_SIZE ||
	    h->offset > h->length)
		return false;
	if (h->flags & SVGA_CB_FLAG_DX_CONTEXT && h->dxContext >= MAX_CONTEXTS)
		return false;
	for (i = 0; i < ARRAY_SIZE(h->mustBeZero); i++)
		if (h->mustBeZero[i])
			return false;
	return true;
}

/* With s->lock held: the guest has written COMMAND_LOW. */
void cmdbuf_submit(struct svga3 *s, u64 pa, u32 context)
{
	struct cmdbuf_queue *q;
	struct cmdbuf *cb;
	SVGACBHeader h;

	if (gmem_read(s, pa, &h, sizeof(h))) {
		say(s, "command buffer header at %#llx: no memory",
		    (unsigned long long)pa);
		count(s, SVGA3_ERRORS, 1);
		return;
	}
	count(s, SVGA3_BUFFERS, 1);
	if (context == SVGA_CB_CONTEXT_DEVICE) {
		submit_device(s, pa, &h);
		return;
	}
	/* One context: we do not have SVGA_CAP_HP_CMD_QUEUE */
	if (context != SVGA_CB_CONTEXT_0) {
		say(s, "command buffer for context %u", context);
		count(s, SVGA3_ERRORS, 1);
		write_status(s, pa, SVGA_CB_STATUS_SUBMISSION_ERROR, 0);
		return;
	}
	q = &s->queue[context];
	if (q->n >= SVGA_CB_MAX_QUEUED_PER_CONTEXT) {
		count(s, SVGA3_ERRORS, 1);
		write_status(s, pa, SVGA_CB_STATUS_QUEUE_FULL, 0);
		return;
	}
	cb = header_valid(s, &h) ? calloc(1, sizeof(*cb)) : NULL;
	if (!cb) {
		say(s, "command buffer header at %#llx: invalid",
		    (unsigned long long)pa);
		count(s, SVGA3_ERRORS, 1);
		write_status(s, pa, SVGA_CB_STATUS_CB_HEADER_ERROR, 0);
		irq_raise(s, SVGA_IRQFLAG_ERROR | SVGA_IRQFLAG_COMMAND_BUFFER);
		return;
	}
	cb->header_pa = pa;
	cb->header = h;
	cb->due = now_ns() + 1000ull * atomic_load(&s->knob[SVGA3_DELAY_US]);
	queue_add(q, cb);
	pthread_cond_signal(&s->wake);
}

/* With s->lock held. */
bool cmdbuf_busy(struct svga3 *s)
{
	int i;

	for (i = 0; i < SVGA_CB_CONTEXT_MAX; i++)
		if (s->queue[i].started && s->queue[i].head)
			return true;
	return s->executing || s->finished;
}

void cmdbuf_wake(struct svga3 *s)
{
	pthread_mutex_lock(&s->lock);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

void cmdbuf_reset(struct svga3 *s)
{
	struct cmdbuf *cb;
	int i;

	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	while (s->executing)
		pthread_cond_wait(&s->idle, &s->lock);
	for (i = 0; i < SVGA_CB_CONTEXT_MAX; i++) {
		while (s->queue[i].head)
			cmdbuf_free(queue_del(&s->queue[i]));
		s->queue[i].started = false;
	}
	while ((cb = s->finished)) {
		s->finished = cb->next;
		cmdbuf_free(cb);
	}
	s->n_finished = 0;
	s->cursor_waits = false;
	screen_reset(s);
	surface_reset(s);
	mob_reset(s);
	memset(s->otable_entries, 0, sizeof(s->otable_entries));
	memset(s->context, 0, sizeof(s->context));
	memset(s->dx_context, 0, sizeof(s->dx_context));
	memset(s->shader, 0, sizeof(s->shader));
	s->stopping = false;
	pthread_mutex_unlock(&s->lock);
}

void cmdbuf_init(struct svga3 *s)
{
	int i;

	for (i = 0; i < SVGA_CB_CONTEXT_MAX; i++)
		s->queue[i].tail = &s->queue[i].head;
	pthread_create(&s->thread, NULL, run, s);
}

void cmdbuf_fini(struct svga3 *s)
{
	pthread_mutex_lock(&s->lock);
	s->quit = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
}
