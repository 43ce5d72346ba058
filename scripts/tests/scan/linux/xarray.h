/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SCAN_LINUX_XARRAY_H
#define SCAN_LINUX_XARRAY_H

#include <errno.h>
#include <stdlib.h>
#include <linux/types.h>

bool fail_allocation(void);

/* Slow, and that does not matter */
struct xarray {
	size_t nr;
	struct xa_entry {
		unsigned long index;
		void *entry;
	} *entries;
};

#define XA_FLAGS_ACCOUNT 0

static inline void xa_init_flags(struct xarray *xa, int flags)
{
	(void)flags;
	*xa = (struct xarray){ 0, NULL };
}

static inline struct xa_entry *xa_find_entry(struct xarray *xa, unsigned long index)
{
	for (size_t i = 0; i < xa->nr; i++)
		if (xa->entries[i].index == index)
			return &xa->entries[i];
	return NULL;
}

static inline void *xa_load(struct xarray *xa, unsigned long index)
{
	struct xa_entry *e = xa_find_entry(xa, index);

	return e ? e->entry : NULL;
}

static inline void *xa_store(struct xarray *xa, unsigned long index, void *entry,
			     int flags)
{
	(void)flags;
	/* Nobody replaces anything: what was there would be lost. */
	if (xa_find_entry(xa, index))
		abort();
	if (fail_allocation())
		return (void *)-1;
	xa->entries = realloc(xa->entries, (xa->nr + 1) * sizeof(*xa->entries));
	xa->entries[xa->nr++] = (struct xa_entry){ index, entry };
	return NULL;
}

static inline int xa_err(void *entry)
{
	return entry == (void *)-1 ? -ENOMEM : 0;
}

static inline void *xa_erase(struct xarray *xa, unsigned long index)
{
	struct xa_entry *e = xa_find_entry(xa, index);
	void *entry = e ? e->entry : NULL;

	if (e)
		*e = xa->entries[--xa->nr];
	return entry;
}

static inline void xa_destroy(struct xarray *xa)
{
	free(xa->entries);
	xa_init_flags(xa, 0);
}

#define xa_for_each(xa, i, e) \
	for (size_t n_ = 0; n_ < (xa)->nr && \
	     ((void)(i = (xa)->entries[n_].index), e = (xa)->entries[n_].entry, true); n_++)

#endif
