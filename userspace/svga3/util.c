// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "svga3.h"

u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void say(struct svga3 *s, const char *fmt, ...)
{
	u64 us = now_ns() / 1000;
	va_list args;

	if (!s->log)
		return;
	flockfile(s->log);
	fprintf(s->log, "[%6llu.%06llu] ", (unsigned long long)us / 1000000,
		(unsigned long long)us % 1000000);
	va_start(args, fmt);
	vfprintf(s->log, fmt, args);
	va_end(args);
	fputc('\n', s->log);
	fflush(s->log);
	funlockfile(s->log);
}

struct svga3 *svga3_new(void)
{
	struct svga3 *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	s->sm4 = true;
	s->mob_memory = 2ull << 30;
	s->capture_dir = ".";
	s->log = stderr;
	s->irq_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_rwlock_init(&s->gmem.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_cond_init(&s->idle, NULL);
	return s;
}
