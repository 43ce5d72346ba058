/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM drm_gem_dirty

#if !defined(_DRM_GEM_DIRTY_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _DRM_GEM_DIRTY_TRACE_H

#include <linux/mapping_dirty.h>
#include <linux/tracepoint.h>

#include <drm/drm_device.h>
#include <drm/drm_gem.h>

#include "drm_gem_dirty_internal.h"

DECLARE_EVENT_CLASS(drm_gem_dirty_chunks,
		    TP_PROTO(struct drm_gem_dirty *dirty, unsigned long first,
			     unsigned long nr),
		    TP_ARGS(dirty, first, nr),

		    TP_STRUCT__entry(__string(dev, dev_name(dirty->obj->dev->dev))
				     __field(u64, id)
				     __field(unsigned long, first)
				     __field(unsigned long, nr)
				     __field(unsigned long, nr_open)
		    ),

		    TP_fast_assign(__assign_str(dev);
				   __entry->id = dirty->id;
				   __entry->first = first;
				   __entry->nr = nr;
				   __entry->nr_open = dirty->nr_open;
		    ),

		    TP_printk("dev=%s buffer=%llu first=%lu nr=%lu nr_open=%lu",
			      __get_str(dev), __entry->id, __entry->first,
			      __entry->nr, __entry->nr_open)
);

DEFINE_EVENT(drm_gem_dirty_chunks, drm_gem_dirty_open,
	     TP_PROTO(struct drm_gem_dirty *dirty, unsigned long first,
		      unsigned long nr),
	     TP_ARGS(dirty, first, nr)
);

DEFINE_EVENT(drm_gem_dirty_chunks, drm_gem_dirty_close,
	     TP_PROTO(struct drm_gem_dirty *dirty, unsigned long first,
		      unsigned long nr),
	     TP_ARGS(dirty, first, nr)
);

DEFINE_EVENT(drm_gem_dirty_chunks, drm_gem_dirty_revoke,
	     TP_PROTO(struct drm_gem_dirty *dirty, unsigned long first,
		      unsigned long nr),
	     TP_ARGS(dirty, first, nr)
);

DEFINE_EVENT(drm_gem_dirty_chunks, drm_gem_dirty_read_back,
	     TP_PROTO(struct drm_gem_dirty *dirty, unsigned long first,
		      unsigned long nr),
	     TP_ARGS(dirty, first, nr)
);

TRACE_EVENT(drm_gem_dirty_pass,
	    TP_PROTO(struct drm_gem_dirty *dirty,
		     const struct mapping_dirty_pass *pass),
	    TP_ARGS(dirty, pass),

	    TP_STRUCT__entry(__string(dev, dev_name(dirty->obj->dev->dev))
			     __field(u64, id)
			     __field(unsigned long, nr_open)
			     __field(unsigned long, scanned)
			     __field(unsigned long, cleaned)
			     __field(unsigned long, notifier_ranges)
			     __field(unsigned long, flushes)
	    ),

	    TP_fast_assign(__assign_str(dev);
			   __entry->id = dirty->id;
			   __entry->nr_open = dirty->nr_open;
			   __entry->scanned = pass->scanned;
			   __entry->cleaned = pass->cleaned;
			   __entry->notifier_ranges = pass->notifier_ranges;
			   __entry->flushes = pass->flushes;
	    ),

	    TP_printk("dev=%s buffer=%llu nr_open=%lu scanned=%lu cleaned=%lu notifier_ranges=%lu flushes=%lu",
		      __get_str(dev), __entry->id, __entry->nr_open,
		      __entry->scanned, __entry->cleaned,
		      __entry->notifier_ranges, __entry->flushes)
);

TRACE_EVENT(drm_gem_dirty_next,
	    TP_PROTO(struct drm_gem_dirty *dirty, unsigned long first,
		     unsigned long nr),
	    TP_ARGS(dirty, first, nr),

	    TP_STRUCT__entry(__string(dev, dev_name(dirty->obj->dev->dev))
			     __field(u64, id)
			     __field(unsigned long, nr_pages)
			     __field(unsigned long, first)
			     __field(unsigned long, nr)
	    ),

	    TP_fast_assign(__assign_str(dev);
			   __entry->id = dirty->id;
			   __entry->nr_pages = dirty->nr_pages;
			   __entry->first = first;
			   __entry->nr = nr;
	    ),

	    TP_printk("dev=%s buffer=%llu nr_pages=%lu first=%lu nr=%lu",
		      __get_str(dev), __entry->id, __entry->nr_pages,
		      __entry->first, __entry->nr)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE drm_gem_dirty_trace
#include <trace/define_trace.h>
