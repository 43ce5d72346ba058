/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef _VMOB_DRV_H_
#define _VMOB_DRV_H_

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/rwsem.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <drm/drm_device.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_dirty.h>
#include <drm/gpu_scheduler.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_bo_dirty.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/vmob_drm.h>

/* Guest memory that the device has a table of: TTM's name for such memory. */
#define VMOB_PL_MOB		TTM_PL_TT

#define VMOB_MAX_CMDS		4096
#define VMOB_MAX_BOS		65536
#define VMOB_MAX_SYNCS		256
#define VMOB_MAX_DELAY		10000000
#define VMOB_MAX_BYTES		SZ_4G
#define VMOB_MAX_CTXS		1024
#define VMOB_MAX_VIEWS		64
/* The most jobs of a file that are not done, and how many of the largest that may be. */
#define VMOB_MAX_JOBS		1024
#define VMOB_MAX_QUEUED		4

struct task_struct;
struct vmob_job;

/**
 * struct vmob_device - The device
 */
struct vmob_device {
	/** @drm: Base */
	struct drm_device drm;
	/** @ttm: TTM's part */
	struct ttm_device ttm;
	/** @dirty: Accounts of the coherent buffers */
	struct drm_gem_dirty_device dirty;
	/** @vram: Video memory, ordinary memory in fact */
	void *vram;
	/** @vram_size: Its size in bytes */
	u64 vram_size;
	/** @mob_size: What is in VMOB_PL_MOB at most, in bytes */
	u64 mob_size;
	/** @device_size: The size of all device copies at most, in bytes */
	u64 device_size;
	/** @device_used: The size of those that are there, in bytes */
	atomic64_t device_used;

	/** @sched: Has jobs wait for what they depend on */
	struct drm_gpu_scheduler sched;
	/** @engine: Executes jobs, one at a time */
	struct workqueue_struct *engine;
	/** @engine_context: Fence context of @engine */
	u64 engine_context;
	/** @engine_seqno: Last number given to a job, by @sched only */
	u64 engine_seqno;
	/** @jobs: Jobs that the scheduler has and that have not been freed */
	atomic_t jobs;
	/** @cleanup: Frees jobs */
	struct workqueue_struct *cleanup;
	/**
	 * @validate: Held for reading while a submission holds buffers, for
	 * writing by one that has found no room and wants no other to hold any
	 */
	struct rw_semaphore validate;
	/** @waiter: The task that holds it for writing, and evicts busy buffers */
	struct task_struct *waiter;

	/** @bos_lock: Protects @bos */
	struct mutex bos_lock;
	/** @bos: List of &vmob_bo.link, all buffers */
	struct list_head bos;

	/** @uploads: Copies that were brought up to date */
	atomic64_t uploads;
	/** @upload_ranges: Ranges that this took */
	atomic64_t upload_ranges;
	/** @upload_bytes: Their size */
	atomic64_t upload_bytes;
	/** @read_back_bytes: The size of what was read back for the CPU */
	atomic64_t read_back_bytes;
	/** @moves: Moves of buffers that had contents */
	atomic64_t moves;
	/** @swapouts: Buffers swapped out */
	atomic64_t swapouts;
	/** @delay_upload_us: Microseconds before each upload, from debugfs */
	u32 delay_upload_us;
	/** @timeout_ms: Milliseconds that the commands of a job may take, likewise */
	u32 timeout_ms;
};

static inline struct vmob_device *to_vmob(struct drm_device *drm)
{
	return container_of(drm, struct vmob_device, drm);
}

typedef int (*vmob_read_back_fn)(struct drm_gem_dirty_consumer *consumer,
				 pgoff_t first, pgoff_t nr);

/**
 * struct vmob_copy - A device copy of a part of a buffer's guest memory
 */
struct vmob_copy {
	/** @bo: The buffer */
	struct vmob_bo *bo;
	/** @offset: Where in it, in bytes */
	u64 offset;
	/** @size: How much, in bytes */
	u64 size;
	/** @vaddr: What the device has */
	void *vaddr;
	/** @coherent: It is fed by @consumer */
	bool coherent;
	/** @consumer: Pages of the buffer that are to be uploaded */
	struct drm_gem_dirty_consumer consumer;
	/** @free: Frees it, if the last reference is dropped where it can't wait */
	struct work_struct free;
};

/**
 * struct vmob_tracker - What finds out about CPU stores to coherent buffers
 *
 * There is one, for which see vmob_coherent.c. It is a table so that others can
 * be measured against it.
 */
struct vmob_tracker {
	/** @bo_size: Size of a structure that begins with &struct vmob_bo */
	size_t bo_size;
	/** @vm_ops: The operations of mmaps, also of buffers not coherent */
	const struct vm_operations_struct *vm_ops;
	/** @track: Begin to keep a copy coherent */
	int (*track)(struct vmob_device *vmob, struct vmob_copy *copy);
	/**
	 * @settle: Put what the device has written into guest memory, before
	 * @untrack. -ERESTARTSYS if the process is being killed. NULL, as @refresh
	 * and @write, if the device's writes are not followed.
	 */
	int (*settle)(struct vmob_copy *copy);
	/** @untrack: No longer do it */
	void (*untrack)(struct vmob_copy *copy);
	/**
	 * @refresh: Have guest memory up to date with other copies, before a job
	 * that uses this one.
	 */
	int (*refresh)(struct vmob_copy *copy);
	/**
	 * @write: A job will write a range of the copy, in bytes. Before the
	 * @update or @take of any copy of the buffer. Whether the job has to put
	 * it into guest memory, too.
	 */
	bool (*write)(struct vmob_copy *copy, u64 offset, u64 size);
	/** @take: @update of a copy for which there was a @write */
	void (*take)(struct vmob_copy *copy, struct vmob_job *job, u32 index);
	/** @update: Put what was written into a job, see vmob_job_upload() */
	void (*update)(struct vmob_copy *copy, struct vmob_job *job, u32 index);
};

/**
 * struct vmob_bo - A buffer
 */
struct vmob_bo {
	/** @tbo: Base, its guest memory */
	struct ttm_buffer_object tbo;
	/** @dirty: What is known of CPU writes to it */
	struct ttm_bo_dirty dirty;
	/** @tracker: Of its copies, if they are coherent */
	const struct vmob_tracker *tracker;
	/** @copy: Its own device copy */
	struct vmob_copy copy;
	/** @flags: DRM_VMOB_BO_* */
	u32 flags;
	/** @domains: DRM_VMOB_DOMAIN_* */
	u32 domains;
	/** @views: Number of its views */
	atomic_t views;
	/** @link: In &vmob_device.bos */
	struct list_head link;
};

static inline struct vmob_bo *to_vmob_bo(struct ttm_buffer_object *tbo)
{
	return container_of(tbo, struct vmob_bo, tbo);
}

/**
 * struct vmob_view - One more device copy, with a handle
 */
struct vmob_view {
	/** @base: Base. Has the dma_resv of the buffer. */
	struct drm_gem_object base;
	/** @copy: The copy */
	struct vmob_copy copy;
};

/* What was written to the buffer before it was made is not in a view. */
static inline bool vmob_copy_is_view(const struct vmob_copy *copy)
{
	return copy != &copy->bo->copy;
}

/**
 * struct vmob_asked - What commands ask for
 */
struct vmob_asked {
	/** @delay: Microseconds to wait */
	u64 delay;
	/** @bytes: To read and write */
	u64 bytes;
};

/**
 * struct vmob_file - An open file
 */
struct vmob_file {
	/** @ref: References, one from each context */
	struct kref ref;
	/** @closed: It is open no more: its jobs end at @end */
	bool closed;
	/** @end: In jiffies, valid with @closed */
	unsigned long end;
	/** @ctx: Context 0 */
	struct vmob_ctx *ctx;
	/** @ctxs: The others */
	struct xarray ctxs;
	/** @lock: Protects @jobs and @asked */
	spinlock_t lock;
	/** @jobs: Its jobs that are not done */
	u32 jobs;
	/** @asked: What their commands ask for together */
	struct vmob_asked asked;
	/** @room: Woken when these become less */
	wait_queue_head_t room;
};

/**
 * struct vmob_ctx - A context
 */
struct vmob_ctx {
	/** @ref: References, one from each job */
	struct kref ref;
	/** @file: Whose it is, open or not */
	struct vmob_file *file;
	/** @lock: Has jobs numbered and queued in the same order */
	struct mutex lock;
	/** @entity: Its queue */
	struct drm_sched_entity entity;
};

/**
 * struct vmob_job_bo - A buffer or view in the list of a job
 */
struct vmob_job_bo {
	/** @copy: The device copy */
	struct vmob_copy *copy;
	/** @pages: Guest memory, if it is in system pages */
	struct page **pages;
	/** @vram: Guest memory, if it is in video memory */
	void *vram;
	/** @write: The device copy or the guest memory is written */
	bool write;
	/** @fetch: What is written goes to the guest memory in the end */
	bool fetch;
	/** @prepared: The tracker knows that it is written */
	bool prepared;
	/** @upload_all: There was no memory for a list of ranges */
	bool upload_all;
};

/**
 * struct vmob_write - A range of a copy that a job writes
 */
struct vmob_write {
	/** @bo: Position in the list */
	u32 bo;
	/** @start: In bytes of the copy */
	u64 start;
	/** @end: Where it ends */
	u64 end;
};

/**
 * struct vmob_upload - A range of a buffer that a job uploads
 */
struct vmob_upload {
	/** @bo: Position in the list */
	u32 bo;
	/** @first: First page of the buffer */
	pgoff_t first;
	/** @nr: Number of pages */
	pgoff_t nr;
};

/**
 * struct vmob_job - A submission
 */
struct vmob_job {
	/** @base: Base */
	struct drm_sched_job base;
	/** @ref: References, of the ioctl and of the scheduler */
	struct kref ref;
	/** @vmob: The device */
	struct vmob_device *vmob;
	/** @ctx: The context */
	struct vmob_ctx *ctx;
	/** @work: Executes it, and later frees it */
	struct work_struct work;
	/** @fence: Signals when it has been executed */
	struct dma_fence *fence;
	/** @asked: What its commands ask for */
	struct vmob_asked asked;
	/** @queued: It is one of &vmob_file.jobs */
	bool queued;
	/** @end: When it has run for too long, in jiffies */
	unsigned long end;
	/** @error: Why it was ended early, or 0 */
	int error;
	/** @cmds: The commands */
	struct drm_vmob_cmd *cmds;
	/** @nr_cmds: Number of commands */
	u32 nr_cmds;
	/** @writes: Room for what each of them writes to a coherent copy */
	struct vmob_write *writes;
	/** @nr_bos: Number of buffers */
	u32 nr_bos;
	/** @objs: References to the buffers */
	struct drm_gem_object **objs;
	/** @bos: The buffers */
	struct vmob_job_bo *bos;
	/** @uploads: Ranges to upload first, in the order of @bos */
	struct vmob_upload *uploads;
	/** @nr_uploads: Number of them */
	size_t nr_uploads;
	/** @max_uploads: Room for so many */
	size_t max_uploads;
};

/* vmob_coherent.c */
extern const struct vmob_tracker vmob_tracker_ttm;
extern const struct vmob_tracker *vmob_tracker;
int vmob_copy_track(struct vmob_device *vmob, struct vmob_copy *copy,
		    vmob_read_back_fn read_back);
void vmob_copy_untrack(struct vmob_copy *copy);
void vmob_copy_update(struct vmob_copy *copy, struct vmob_job *job, u32 index);

/* vmob_debugfs.c */
void vmob_debugfs_init(struct drm_minor *minor);
bool vmob_fail_upload(size_t bytes);
bool vmob_fail_alloc(size_t bytes);
bool vmob_fail_read_back(size_t bytes);

/* vmob_drv.c */
struct vmob_ctx *vmob_ctx_lookup(struct vmob_file *vfile, u32 id);
void vmob_ctx_put(struct vmob_ctx *ctx);

/* vmob_engine.c */
struct dma_fence *vmob_engine_fence_create(void);
void vmob_engine_execute(struct work_struct *work);
struct dma_fence *vmob_engine_run(struct vmob_job *job);
int vmob_engine_read_back(struct vmob_copy *copy, u64 offset, u64 size);

/* vmob_gem.c */
struct ttm_bo_dirty *vmob_bo_dirty(struct ttm_buffer_object *tbo);
struct vmob_copy *vmob_copy_of(struct drm_gem_object *obj);
int vmob_bo_create_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file);
int vmob_bo_info_ioctl(struct drm_device *drm, void *data,
		       struct drm_file *file);
int vmob_bo_wait_ioctl(struct drm_device *drm, void *data,
		       struct drm_file *file);
int vmob_view_create_ioctl(struct drm_device *drm, void *data,
			   struct drm_file *file);

/* vmob_submit.c */
extern const struct drm_sched_backend_ops vmob_sched_ops;
int vmob_submit_ioctl(struct drm_device *drm, void *data,
		      struct drm_file *file);
u64 vmob_cmd_writes(const struct drm_vmob_cmd *cmd);
void vmob_job_upload(struct vmob_job *job, u32 index, pgoff_t first, pgoff_t nr);

/* vmob_ttm.c */
int vmob_ttm_init(struct vmob_device *vmob);
void vmob_ttm_fini(struct vmob_device *vmob);
int vmob_ttm_validate(struct vmob_bo *bo, u32 domains,
		      struct ttm_operation_ctx *ctx);
int vmob_ttm_wait_begin(struct vmob_device *vmob);
void vmob_ttm_wait_end(struct vmob_device *vmob);
u32 vmob_ttm_domain(struct vmob_bo *bo);
void *vmob_ttm_vram(struct vmob_bo *bo);

#endif
