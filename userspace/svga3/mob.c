// SPDX-License-Identifier: MIT
/*
 * Memory objects: guest pages behind page tables of no, one or two levels with
 * 32 or 64 bit page numbers, or in one range. Tables are looked up at each
 * use and nothing in them is trusted.
 */
#include <errno.h>
#include <stdlib.h>

#include "svga3.h"

static bool id_valid(struct svga3 *s, SVGAMobId id)
{
	return id < MAX_MOBS && id < s->otable_entries[SVGA_OTABLE_MOB];
}

struct mob *mob_get(struct svga3 *s, SVGAMobId id)
{
	return id_valid(s, id) ? s->mob[id] : NULL;
}

int mob_define(struct svga3 *s, SVGAMobId id, SVGAMobFormat format, u64 base,
	       u32 size)
{
	struct mob *mob;
	u64 max;

	if (!id_valid(s, id) || s->mob[id])
		return -EINVAL;
	switch (format) {
	case SVGA3D_MOBFMT_PT_0:
	case SVGA3D_MOBFMT_PT64_0:
		max = PAGE_SIZE;
		break;
	case SVGA3D_MOBFMT_PT_1:
		max = PAGE_SIZE / sizeof(PPN32) * PAGE_SIZE;
		break;
	case SVGA3D_MOBFMT_PT64_1:
		max = PAGE_SIZE / sizeof(PPN64) * PAGE_SIZE;
		break;
	case SVGA3D_MOBFMT_PT_2:
	case SVGA3D_MOBFMT_PT64_2:
	case SVGA3D_MOBFMT_RANGE:
		max = MAX_MOB_SIZE;
		break;
	default:
		return -EINVAL;
	}
	if (!size || size > max || size > MAX_MOB_SIZE)
		return -EINVAL;
	mob = malloc(sizeof(*mob));
	if (!mob)
		return -ENOMEM;
	*mob = (struct mob){ format, base, size };
	s->mob[id] = mob;
	count(s, SVGA3_MOBS, 1);
	return 0;
}

int mob_destroy(struct svga3 *s, SVGAMobId id)
{
	if (!mob_get(s, id))
		return -ENOENT;
	free(s->mob[id]);
	s->mob[id] = NULL;
	count(s, SVGA3_MOBS, -1);
	return 0;
}

void mob_reset(struct svga3 *s)
{
	unsigned int i;

	for (i = 0; i < MAX_MOBS; i++) {
		if (!s->mob[i])
			continue;
		free(s->mob[i]);
		s->mob[i] = NULL;
		count(s, SVGA3_MOBS, -1);
	}
}

static int table_entry(struct svga3 *s, u64 table, u64 index, unsigned int size,
		       u64 *ppn)
{
	*ppn = 0;
	if (table > U64_MAX >> PAGE_SHIFT)
		return -EFAULT;
	return gmem_read(s, (table << PAGE_SHIFT) + index * size, ppn, size);
}

static int mob_page(struct svga3 *s, struct mob *mob, u64 page, u64 *gpa)
{
	unsigned int depth = 0, size = sizeof(PPN64), per_page;
	u64 ppn = mob->base;
	int ret = 0;

	switch (mob->format) {
	case SVGA3D_MOBFMT_RANGE:
		ppn += page;
		break;
	case SVGA3D_MOBFMT_PT_0 ... SVGA3D_MOBFMT_PT_2:
		size = sizeof(PPN32);
		depth = mob->format - SVGA3D_MOBFMT_PT_0;
		break;
	default:
		depth = mob->format - SVGA3D_MOBFMT_PT64_0;
		break;
	}
	per_page = PAGE_SIZE / size;
	if (depth == 2) {
		if (page / per_page >= per_page)
			return -EFAULT;
		ret = table_entry(s, ppn, page / per_page, size, &ppn);
		page %= per_page;
	}
	if (depth >= 1 && !ret)
		ret = table_entry(s, ppn, page, size, &ppn);
	if (!ret && ppn > U64_MAX >> PAGE_SHIFT)
		ret = -EFAULT;
	*gpa = ppn << PAGE_SHIFT;
	return ret;
}

static int mob_access(struct svga3 *s, struct mob *mob, u64 offset, void *buf,
		      u64 len, bool write)
{
	u64 gpa, n;
	int ret;

	if (offset > mob->size || len > mob->size - offset)
		return -ERANGE;
	for (; len; offset += n, buf = (u8 *)buf + n, len -= n) {
		n = PAGE_SIZE - (offset & (PAGE_SIZE - 1));
		if (n > len)
			n = len;
		ret = mob_page(s, mob, offset >> PAGE_SHIFT, &gpa);
		if (ret)
			return ret;
		gpa += offset & (PAGE_SIZE - 1);
		ret = write ? gmem_write(s, gpa, buf, n) :
			      gmem_read(s, gpa, buf, n);
		if (ret)
			return ret;
	}
	return 0;
}

int mob_read(struct svga3 *s, struct mob *mob, u64 offset, void *to, u64 len)
{
	return mob_access(s, mob, offset, to, len, false);
}

int mob_write(struct svga3 *s, struct mob *mob, u64 offset, const void *from,
	      u64 len)
{
	return mob_access(s, mob, offset, (void *)from, len, true);
}
