/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
#ifndef _UAPI_VMOB_DRM_H_
#define _UAPI_VMOB_DRM_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: vmob user space interface
 *
 * vmob is a device in software, whose copy of a buffer is other memory than
 * the one that the CPU maps:
 *
 * * a buffer object has guest memory, which is what an mmap shows, and a
 *   device copy of the same size, which is what the device's commands work on;
 * * UPLOAD and READBACK commands move data between the two;
 * * for a buffer with DRM_VMOB_BO_COHERENT, whatever the CPU has stored before
 *   DRM_IOCTL_VMOB_SUBMIT is uploaded by the submission, ahead of its
 *   commands, if the buffer is in its list; and what its commands write is what
 *   the CPU loads from then on. A load or store to the same chunk of 64 pages
 *   waits for the submission.
 *
 * Both start as zeroes. What the device writes to a buffer that is not coherent
 * is never put into the guest memory without a READBACK.
 *
 * Buffers can be exported as dma-bufs. Of dma-bufs only those of vmob's own
 * buffers can be imported, others get -EINVAL.
 *
 * All structures are the same for 32 and 64 bit processes. Pointers are in
 * __u64, offsets and sizes in bytes. Unknown flags, and padding that is not 0,
 * get -EINVAL.
 */

#define DRM_VMOB_GETPARAM	0x00
#define DRM_VMOB_BO_CREATE	0x01
#define DRM_VMOB_BO_INFO	0x02
#define DRM_VMOB_BO_WAIT	0x03
#define DRM_VMOB_VIEW_CREATE	0x04
#define DRM_VMOB_CTX_CREATE	0x05
#define DRM_VMOB_CTX_DESTROY	0x06
#define DRM_VMOB_SUBMIT		0x07

/* 1: there is DRM_VMOB_BO_COHERENT */
#define DRM_VMOB_PARAM_COHERENT		0
/* Size of the video memory, in bytes */
#define DRM_VMOB_PARAM_VRAM_SIZE	1
/* How much guest memory the device can address at a time, in bytes */
#define DRM_VMOB_PARAM_MOB_SIZE		2
/* Memory for all device copies, in bytes */
#define DRM_VMOB_PARAM_DEVICE_SIZE	3
/* The most commands, buffers, and syncobjs each way of a submission */
#define DRM_VMOB_PARAM_MAX_CMDS		4
#define DRM_VMOB_PARAM_MAX_BOS		5
#define DRM_VMOB_PARAM_MAX_SYNCS	6
/* The most of all DRM_VMOB_CMD_DELAY of a submission together, in microseconds */
#define DRM_VMOB_PARAM_MAX_DELAY	7
/* The most views of a buffer */
#define DRM_VMOB_PARAM_MAX_VIEWS	8
/*
 * The most that all commands of a submission may read and write together, in bytes.
 * DRM_VMOB_CMD_SCATTER writes all words that it could, and DRM_VMOB_CMD_ADD reads
 * nothing of what it adds to.
 */
#define DRM_VMOB_PARAM_MAX_BYTES	9

/**
 * struct drm_vmob_getparam - DRM_IOCTL_VMOB_GETPARAM
 *
 * -EINVAL for a parameter that does not exist.
 */
struct drm_vmob_getparam {
	/** @param: DRM_VMOB_PARAM_* */
	__u64 param;
	/** @value: Returned */
	__u64 value;
};

/* CPU stores are seen by the submissions that follow. */
#define DRM_VMOB_BO_COHERENT	(1 << 0)
/* Mapped write-combined, while it is in system memory. */
#define DRM_VMOB_BO_WC		(1 << 1)

/* Guest memory in system pages, which the device has been given a table of */
#define DRM_VMOB_DOMAIN_MOB	(1 << 0)
/* Guest memory in the device's small video memory, mapped as I/O memory */
#define DRM_VMOB_DOMAIN_VRAM	(1 << 1)

/**
 * struct drm_vmob_bo_create - DRM_IOCTL_VMOB_BO_CREATE
 *
 * -EINVAL for a size that is 0 or not a multiple of the page size, for no or
 * an unknown domain, and for a buffer that can only be in a domain that is
 * smaller than it. -EOPNOTSUPP for DRM_VMOB_BO_WC on other architectures than
 * x86. -ENOMEM for want of memory for the guest side or the device copy.
 */
struct drm_vmob_bo_create {
	/** @size: Size in bytes, a multiple of the page size */
	__u64 size;
	/** @flags: DRM_VMOB_BO_* */
	__u32 flags;
	/** @domains: Where it can be when the device uses it, DRM_VMOB_DOMAIN_* */
	__u32 domains;
	/** @handle: Returned, a GEM handle */
	__u32 handle;
	/** @pad: 0 */
	__u32 pad;
};

/* In &drm_vmob_bo_info.domain: evicted, in pages the device has no table of */
#define DRM_VMOB_DOMAIN_SYSTEM	(1 << 2)

/**
 * struct drm_vmob_bo_info - DRM_IOCTL_VMOB_BO_INFO
 *
 * -ENOENT for an unknown handle.
 */
struct drm_vmob_bo_info {
	/** @handle: The buffer or view */
	__u32 handle;
	/** @flags: Returned, DRM_VMOB_BO_* */
	__u32 flags;
	/** @domains: Returned, as it was created */
	__u32 domains;
	/** @domain: Returned, where it is. This can change at any time. */
	__u32 domain;
	/** @size: Returned, in bytes */
	__u64 size;
	/** @mmap_offset: Returned, the offset for mmap(). 0 for a view. */
	__u64 mmap_offset;
};

/**
 * struct drm_vmob_bo_wait - DRM_IOCTL_VMOB_BO_WAIT
 *
 * Wait until nothing that was submitted before uses the buffer. -ETIME if it
 * is still in use at the end, -ENOENT for an unknown handle.
 */
struct drm_vmob_bo_wait {
	/** @handle: The buffer or view */
	__u32 handle;
	/** @pad: 0 */
	__u32 pad;
	/** @timeout_ns: Until when, CLOCK_MONOTONIC; 0 or the past: don't wait */
	__s64 timeout_ns;
};

/**
 * struct drm_vmob_view_create - DRM_IOCTL_VMOB_VIEW_CREATE
 *
 * A view is one more device copy, of a part of a buffer's guest memory, as a
 * surface is in a memory object. It has a GEM handle and stands in the list of
 * a submission where a buffer can. Nothing that the device writes to one copy
 * is seen in another, unless the buffer is coherent: then each copy has all
 * stores, and what earlier submissions wrote to the others. A view cannot be
 * mapped, exported or viewed. It keeps its buffer alive.
 *
 * -EINVAL for an offset or size that is not a multiple of the page size, for
 * a size of 0, for a part that is not within the buffer and for a view of a
 * view; -ENOENT for an unknown handle; -ENOSPC if the buffer has as many views as
 * it can, see DRM_VMOB_PARAM_MAX_VIEWS; -ENOMEM.
 */
struct drm_vmob_view_create {
	/** @bo_handle: The buffer */
	__u32 bo_handle;
	/** @flags: 0 */
	__u32 flags;
	/** @offset: Where in the buffer, in bytes */
	__u64 offset;
	/** @size: Size in bytes */
	__u64 size;
	/** @handle: Returned, a GEM handle */
	__u32 handle;
	/** @pad: 0 */
	__u32 pad;
};

/**
 * struct drm_vmob_ctx_create - DRM_IOCTL_VMOB_CTX_CREATE
 *
 * Submissions of one context are executed in order. Those of two are, where
 * one writes what the other uses, in the order of their submission.
 *
 * -ENOSPC if the file has too many contexts, -ENOMEM.
 */
struct drm_vmob_ctx_create {
	/** @ctx_id: Returned, never 0 */
	__u32 ctx_id;
	/** @flags: 0 */
	__u32 flags;
};

/**
 * struct drm_vmob_ctx_destroy - DRM_IOCTL_VMOB_CTX_DESTROY
 *
 * What has been submitted is still executed, as long as the file is open. -ENOENT for
 * an unknown context, and for context 0.
 */
struct drm_vmob_ctx_destroy {
	/** @ctx_id: The context */
	__u32 ctx_id;
	/** @pad: 0 */
	__u32 pad;
};

/*
 * Operations of commands. dst and src are positions in the submission's list
 * of buffers, and where an operation does not name a member it has to be 0.
 * All but UPLOAD and READBACK work on device copies only.
 */

/*
 * The 32 bit words of dst_offset, size get value. Both multiples of 4, value
 * below 2^32.
 */
#define DRM_VMOB_CMD_FILL	0
/* size bytes from src, src_offset to dst, dst_offset, as by memmove(). */
#define DRM_VMOB_CMD_COPY	1
/*
 * size bytes of 32 bit words from src, src_offset are added to those of dst,
 * dst_offset, modulo 2^32, one after the other. All multiples of 4.
 */
#define DRM_VMOB_CMD_ADD	2
/*
 * The checksum of src_offset, size in src is stored as a little endian 64 bit
 * number at dst_offset in dst: 64 bit FNV-1a over 32 bit words, that is,
 * starting with 0xcbf29ce484222325, for each little endian word
 *
 *	sum = (sum ^ word) * 0x100000001b3
 *
 * src_offset and size are multiples of 4, dst_offset of 8.
 */
#define DRM_VMOB_CMD_CHECKSUM	3
/*
 * src_offset, size in src is an array of pairs of little endian 32 bit words,
 * an index and a value. Word index, from dst_offset on in dst, gets the value,
 * in the order of the array. Pairs with an index not below @value, of which
 * the words have to be within dst, are skipped. dst_offset and src_offset are
 * multiples of 4, size of 8. src and dst must not be the same.
 */
#define DRM_VMOB_CMD_SCATTER	4
/* Do nothing for value microseconds. */
#define DRM_VMOB_CMD_DELAY	5
/*
 * dst_offset, size of dst's guest memory is copied to its device copy. For a
 * coherent buffer it does nothing: what was stored is there.
 */
#define DRM_VMOB_CMD_UPLOAD	6
/* The opposite. For a coherent buffer the CPU does not need it. */
#define DRM_VMOB_CMD_READBACK	7

/**
 * struct drm_vmob_cmd - A command of a submission
 */
struct drm_vmob_cmd {
	/** @op: DRM_VMOB_CMD_* */
	__u32 op;
	/** @flags: 0 */
	__u32 flags;
	/** @dst: What is written, a position in the list of buffers */
	__u32 dst;
	/** @src: What is read, likewise */
	__u32 src;
	/** @dst_offset: In bytes */
	__u64 dst_offset;
	/** @src_offset: In bytes */
	__u64 src_offset;
	/** @size: In bytes, not 0 where it is used */
	__u64 size;
	/** @value: By operation */
	__u64 value;
};

/**
 * struct drm_vmob_sync - A syncobj to wait for or to signal
 */
struct drm_vmob_sync {
	/** @handle: The syncobj */
	__u32 handle;
	/** @flags: 0 */
	__u32 flags;
	/** @point: Point on the timeline, or 0 for a binary syncobj */
	__u64 point;
};

/**
 * struct drm_vmob_submit - DRM_IOCTL_VMOB_SUBMIT
 *
 * Coherent buffers and views in the list are brought up to date, then the
 * commands are executed, in order. Both are done some time later, when what
 * was submitted before to the same context and to the same buffers, and
 * in_syncs, allow it. A submission without commands is good for the first part.
 *
 * All is checked first: with any error, nothing has happened.
 *
 * A file can have 1024 submissions that are not done, and in these four times what the
 * commands of one may ask for. Another one waits until there is room.
 *
 * Commands that take longer than 30 seconds are cut short. So are those that are not
 * done 5 seconds after the file was closed, or as soon as its process has been killed.
 * The fence in out_syncs and in the buffers has the error -ETIME or -ECANCELED then,
 * and what the commands write is undefined. But coherent buffers and views have been
 * brought up to date all the same.
 *
 * -EINVAL for a malformed command and for one that leaves its buffer; for more
 * of anything than there can be, see DRM_VMOB_PARAM_MAX_CMDS. -ENOENT for an
 * unknown context, buffer or syncobj, -EINVAL for a syncobj to wait for that
 * has no fence. -EFAULT for arrays that cannot be read.
 * -ENOSPC or -ENOMEM if the buffers do not fit into their domains all at once
 * or memory is short. -EINTR or -ERESTARTSYS for a signal; drmIoctl() of libdrm
 * tries again.
 */
struct drm_vmob_submit {
	/** @ctx_id: The context; 0 is one that every file has */
	__u32 ctx_id;
	/** @flags: 0 */
	__u32 flags;
	/** @cmds: Array of &struct drm_vmob_cmd */
	__u64 cmds;
	/** @bo_handles: Array of __u32, GEM handles. One can be there twice. */
	__u64 bo_handles;
	/** @in_syncs: Array of &struct drm_vmob_sync, to wait for */
	__u64 in_syncs;
	/** @out_syncs: Array of &struct drm_vmob_sync, to signal */
	__u64 out_syncs;
	/** @cmd_count: Number of commands, can be 0, as the following */
	__u32 cmd_count;
	/** @bo_count: Number of handles */
	__u32 bo_count;
	/** @in_sync_count: Number of syncobjs to wait for */
	__u32 in_sync_count;
	/** @out_sync_count: Number of syncobjs to signal */
	__u32 out_sync_count;
};

#define DRM_IOCTL_VMOB_GETPARAM \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VMOB_GETPARAM, struct drm_vmob_getparam)
#define DRM_IOCTL_VMOB_BO_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VMOB_BO_CREATE, struct drm_vmob_bo_create)
#define DRM_IOCTL_VMOB_BO_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VMOB_BO_INFO, struct drm_vmob_bo_info)
#define DRM_IOCTL_VMOB_BO_WAIT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VMOB_BO_WAIT, struct drm_vmob_bo_wait)
#define DRM_IOCTL_VMOB_VIEW_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VMOB_VIEW_CREATE, struct drm_vmob_view_create)
#define DRM_IOCTL_VMOB_CTX_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VMOB_CTX_CREATE, struct drm_vmob_ctx_create)
#define DRM_IOCTL_VMOB_CTX_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VMOB_CTX_DESTROY, struct drm_vmob_ctx_destroy)
#define DRM_IOCTL_VMOB_SUBMIT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VMOB_SUBMIT, struct drm_vmob_submit)

#if defined(__cplusplus)
}
#endif

#endif
