// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-fence-chain.h>
#include <linux/dma-resv.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <linux/wait_bit.h>

#include <drm/drm_exec.h>
#include <drm/drm_file.h>
#include <drm/drm_print.h>
#include <drm/drm_syncobj.h>
#include <drm/ttm/ttm_tt.h>

#include "vmob_drv.h"

/*
 * A submission becomes a job. Everything that can fail comes first. Then the
 * coherent buffers' dirty pages are put into the job. From there on the job must be
 * executed, because only it has the ranges: it is not dropped when its context is
 * destroyed or its process killed, as the scheduler would do with an entity that is
 * torn down. The engine leaves out the commands then, and not the uploads.
 */

struct vmob_out_sync {
	struct drm_syncobj *syncobj;
	struct dma_fence_chain *chain;
	u64 point;
};

/* The operations: which members they use, and what power of two each is a multiple of. */
static const struct vmob_op {
	u8 dst;
	u8 src;
	u8 size;
	bool value;
} vmob_ops[] = {
	[DRM_VMOB_CMD_FILL] = { .dst = 4, .size = 4, .value = true },
	[DRM_VMOB_CMD_COPY] = { .dst = 1, .src = 1, .size = 1 },
	[DRM_VMOB_CMD_ADD] = { .dst = 4, .src = 4, .size = 4 },
	[DRM_VMOB_CMD_CHECKSUM] = { .dst = 8, .src = 4, .size = 4 },
	[DRM_VMOB_CMD_SCATTER] = { .dst = 4, .src = 4, .size = 8, .value = true },
	[DRM_VMOB_CMD_DELAY] = { .value = true },
	[DRM_VMOB_CMD_UPLOAD] = { .dst = 1, .size = 1 },
	[DRM_VMOB_CMD_READBACK] = { .dst = 1, .size = 1 },
};

/* Whether a file may have one more job, which it has then. */
static bool vmob_job_try_queue(struct vmob_job *job)
{
	struct vmob_file *vfile = job->ctx->file;
	struct vmob_asked *asked = &vfile->asked;

	spin_lock(&vfile->lock);
	job->queued = vfile->jobs < VMOB_MAX_JOBS &&
		asked->delay + job->asked.delay <=
			VMOB_MAX_QUEUED * VMOB_MAX_DELAY &&
		asked->bytes + job->asked.bytes <=
			VMOB_MAX_QUEUED * VMOB_MAX_BYTES;
	if (job->queued) {
		vfile->jobs++;
		asked->delay += job->asked.delay;
		asked->bytes += job->asked.bytes;
	}
	spin_unlock(&vfile->lock);

	return job->queued;
}

/* It is done, or won't be. */
static void vmob_job_unqueue(struct vmob_job *job)
{
	struct vmob_file *vfile = job->ctx->file;

	spin_lock(&vfile->lock);
	vfile->jobs--;
	vfile->asked.delay -= job->asked.delay;
	vfile->asked.bytes -= job->asked.bytes;
	spin_unlock(&vfile->lock);
	wake_up(&vfile->room);
}

static void vmob_job_release(struct kref *ref)
{
	struct vmob_job *job = container_of(ref, struct vmob_job, ref);
	u32 i;

	if (job->queued)
		vmob_job_unqueue(job);
	if (job->objs)
		for (i = 0; i < job->nr_bos; i++)
			drm_gem_object_put(job->objs[i]);
	kvfree(job->objs);
	kvfree(job->bos);
	kvfree(job->uploads);
	kvfree(job->writes);
	kvfree(job->cmds);
	if (dma_fence_was_initialized(job->fence))
		dma_fence_put(job->fence);
	else
		kfree(job->fence);	/* vmob_engine_run() has not seen it */
	if (job->ctx)
		vmob_ctx_put(job->ctx);
	kfree(job);
}

static void vmob_job_put(struct vmob_job *job)
{
	kref_put(&job->ref, vmob_job_release);
}

static void vmob_job_put_work(struct work_struct *work)
{
	struct vmob_job *job = container_of(work, struct vmob_job, work);
	struct vmob_device *vmob = job->vmob;

	vmob_job_put(job);
	if (atomic_dec_and_test(&vmob->jobs))
		wake_up_var(&vmob->jobs);
}

static struct dma_fence *vmob_sched_run(struct drm_sched_job *base)
{
	return vmob_engine_run(container_of(base, struct vmob_job, base));
}

/*
 * Freeing a buffer takes its dma_resv, whose holder can be waiting for the
 * scheduler, which calls this.
 */
static void vmob_sched_free(struct drm_sched_job *base)
{
	struct vmob_job *job = container_of(base, struct vmob_job, base);

	drm_sched_job_cleanup(base);
	INIT_WORK(&job->work, vmob_job_put_work);
	queue_work(job->vmob->cleanup, &job->work);
}

const struct drm_sched_backend_ops vmob_sched_ops = {
	.run_job = vmob_sched_run,
	.free_job = vmob_sched_free,
};

/* How much of dst a command writes, which has been verified but for the range. */
static u64 vmob_dst_size(const struct drm_vmob_cmd *cmd)
{
	switch (cmd->op) {
	case DRM_VMOB_CMD_CHECKSUM:
		return sizeof(u64);
	case DRM_VMOB_CMD_SCATTER:
		return (u64)cmd->value * sizeof(u32);
	default:
		return cmd->size;
	}
}

/* Between a device copy and the guest memory. */
static bool vmob_is_transfer(const struct drm_vmob_cmd *cmd)
{
	return cmd->op == DRM_VMOB_CMD_UPLOAD ||
		cmd->op == DRM_VMOB_CMD_READBACK;
}

/* Whether a command stays within a copy. Its @index may be used from then on. */
static bool vmob_in_copy(const struct vmob_job *job, u32 *index, u64 offset,
			 u64 size)
{
	const struct vmob_copy *copy;

	if (*index >= job->nr_bos)
		return false;
	*index = array_index_nospec(*index, job->nr_bos);
	copy = job->bos[*index].copy;

	return offset <= copy->size && size <= copy->size - offset;
}

static const char *vmob_verify_cmd(struct vmob_job *job,
				   struct drm_vmob_cmd *cmd)
{
	struct vmob_asked *asked = &job->asked;
	const struct vmob_op *op;

	if (cmd->op >= ARRAY_SIZE(vmob_ops))
		return "operation";
	cmd->op = array_index_nospec(cmd->op, ARRAY_SIZE(vmob_ops));
	op = &vmob_ops[cmd->op];

	if (cmd->flags)
		return "flags";
	if (op->dst ? !IS_ALIGNED(cmd->dst_offset, op->dst) : cmd->dst || cmd->dst_offset)
		return "destination";
	if (op->src ? !IS_ALIGNED(cmd->src_offset, op->src) : cmd->src || cmd->src_offset)
		return "source";
	if (op->size ? !cmd->size || !IS_ALIGNED(cmd->size, op->size) : cmd->size)
		return "size";
	if (!op->value && cmd->value)
		return "value";

	switch (cmd->op) {
	case DRM_VMOB_CMD_FILL:
		if (cmd->value > U32_MAX)
			return "value";
		break;
	case DRM_VMOB_CMD_SCATTER:
		if (cmd->value > U32_MAX)
			return "value";
		break;
	case DRM_VMOB_CMD_DELAY:
		if (cmd->value > VMOB_MAX_DELAY - asked->delay)
			return "delay";
		asked->delay += cmd->value;
		break;
	}

	if (op->dst && !vmob_in_copy(job, &cmd->dst, cmd->dst_offset,
				     vmob_dst_size(cmd)))
		return "destination range";
	if (op->src && !vmob_in_copy(job, &cmd->src, cmd->src_offset, cmd->size))
		return "source range";

	/* Each of the two is within a copy, and so is what is read of it. */
	if (op->dst)
		asked->bytes += vmob_dst_size(cmd);
	if (op->src || vmob_is_transfer(cmd))
		asked->bytes += cmd->size;
	if (asked->bytes > VMOB_MAX_BYTES)
		return "too much work";

	/* Also if it is there twice */
	if (cmd->op == DRM_VMOB_CMD_SCATTER &&
	    job->bos[cmd->src].copy == job->bos[cmd->dst].copy)
		return "source and destination are one";

	if (op->dst)
		job->bos[cmd->dst].write = true;

	return NULL;
}

static int vmob_verify_cmds(struct vmob_job *job)
{
	const char *wrong;
	u32 i;

	for (i = 0; i < job->nr_cmds; i++) {
		wrong = vmob_verify_cmd(job, &job->cmds[i]);
		if (wrong) {
			drm_dbg(&job->vmob->drm, "command %u refused: %s\n", i,
				wrong);
			return -EINVAL;
		}
	}

	return 0;
}

static int vmob_job_get_cmds(struct vmob_job *job, u64 array, u32 count)
{
	struct drm_vmob_cmd *cmds;

	if (!count)
		return 0;

	cmds = kvmalloc_array(count, sizeof(*cmds), GFP_KERNEL_ACCOUNT);
	if (!cmds)
		return -ENOMEM;

	job->cmds = cmds;
	job->writes = kvmalloc_array(count, sizeof(*job->writes),
				     GFP_KERNEL_ACCOUNT);
	if (!job->writes)
		return -ENOMEM;

	if (copy_from_user(cmds, u64_to_user_ptr(array), count * sizeof(*cmds)))
		return -EFAULT;

	job->nr_cmds = count;

	return 0;
}

static int vmob_job_get_bos(struct vmob_job *job, struct drm_file *file,
			    u64 handles, u32 count)
{
	struct drm_gem_object **objs = NULL;
	int ret;
	u32 i;

	if (!count)
		return 0;

	job->bos = kvcalloc(count, sizeof(*job->bos), GFP_KERNEL_ACCOUNT);
	if (!job->bos)
		return -ENOMEM;

	ret = drm_gem_objects_lookup(file, u64_to_user_ptr(handles), count,
				     &objs);
	if (ret) {
		for (i = 0; objs && i < count; i++)
			drm_gem_object_put(objs[i]);
		kvfree(objs);
		return ret;
	}

	job->objs = objs;
	job->nr_bos = count;
	for (i = 0; i < count; i++)
		job->bos[i].copy = vmob_copy_of(objs[i]);

	return 0;
}

static struct vmob_job *vmob_job_create(struct vmob_device *vmob,
					struct drm_file *file,
					const struct drm_vmob_submit *args)
{
	struct vmob_job *job;
	int ret;

	job = kzalloc_obj(*job, GFP_KERNEL_ACCOUNT);
	if (!job)
		return ERR_PTR(-ENOMEM);

	kref_init(&job->ref);
	job->vmob = vmob;
	INIT_WORK(&job->work, vmob_engine_execute);

	ret = -ENOENT;
	job->ctx = vmob_ctx_lookup(file->driver_priv, args->ctx_id);
	if (!job->ctx) {
		drm_dbg(&vmob->drm, "no context %u\n", args->ctx_id);
		goto err_put;
	}

	ret = -ENOMEM;
	job->fence = vmob_engine_fence_create();
	if (!job->fence)
		goto err_put;

	ret = vmob_job_get_cmds(job, args->cmds, args->cmd_count);
	if (ret)
		goto err_put;

	ret = vmob_job_get_bos(job, file, args->bo_handles, args->bo_count);
	if (ret)
		goto err_put;

	ret = vmob_verify_cmds(job);
	if (ret)
		goto err_put;

	return job;

err_put:
	vmob_job_put(job);
	return ERR_PTR(ret);
}

static struct drm_vmob_sync *vmob_copy_syncs(struct drm_device *drm, u64 array,
					     u32 count)
{
	struct drm_vmob_sync *syncs;
	u32 i;

	syncs = vmemdup_array_user(u64_to_user_ptr(array), count,
				   sizeof(*syncs));
	if (IS_ERR(syncs))
		return syncs;

	for (i = 0; i < count; i++) {
		if (syncs[i].flags) {
			drm_dbg(drm, "syncobj %u refused: flags\n", i);
			kvfree(syncs);
			return ERR_PTR(-EINVAL);
		}
	}

	return syncs;
}

static int vmob_job_add_in_syncs(struct vmob_job *job, struct drm_file *file,
				 u64 array, u32 count)
{
	struct drm_vmob_sync *syncs;
	int ret = 0;
	u32 i;

	if (!count)
		return 0;

	syncs = vmob_copy_syncs(&job->vmob->drm, array, count);
	if (IS_ERR(syncs))
		return PTR_ERR(syncs);

	for (i = 0; i < count && !ret; i++) {
		struct dma_fence *fence;

		ret = drm_syncobj_find_fence(file, syncs[i].handle,
					     syncs[i].point, 0, &fence);
		if (!ret)
			ret = drm_sched_job_add_dependency(&job->base, fence);
	}
	kvfree(syncs);

	return ret;
}

static void vmob_put_out_syncs(struct vmob_out_sync *outs, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++) {
		dma_fence_chain_free(outs[i].chain);
		if (outs[i].syncobj)
			drm_syncobj_put(outs[i].syncobj);
	}
	kvfree(outs);
}

static struct vmob_out_sync *vmob_get_out_syncs(struct drm_device *drm,
						struct drm_file *file,
						u64 array, u32 count)
{
	struct drm_vmob_sync *syncs;
	struct vmob_out_sync *outs;
	int ret = 0;
	u32 i;

	if (!count)
		return NULL;

	syncs = vmob_copy_syncs(drm, array, count);
	if (IS_ERR(syncs))
		return ERR_CAST(syncs);

	outs = kvcalloc(count, sizeof(*outs), GFP_KERNEL_ACCOUNT);
	if (!outs) {
		kvfree(syncs);
		return ERR_PTR(-ENOMEM);
	}

	for (i = 0; i < count && !ret; i++) {
		outs[i].point = syncs[i].point;
		outs[i].syncobj = drm_syncobj_find(file, syncs[i].handle);
		if (!outs[i].syncobj)
			ret = -ENOENT;

		if (!ret && outs[i].point) {
			outs[i].chain = dma_fence_chain_alloc();
			if (!outs[i].chain)
				ret = -ENOMEM;
		}
	}
	kvfree(syncs);

	if (ret) {
		vmob_put_out_syncs(outs, count);
		return ERR_PTR(ret);
	}

	return outs;
}

static void vmob_signal_out_syncs(struct vmob_out_sync *outs, u32 count,
				  struct dma_fence *fence)
{
	u32 i;

	for (i = 0; i < count; i++) {
		if (outs[i].chain) {
			drm_syncobj_add_point(outs[i].syncobj, outs[i].chain,
					      fence, outs[i].point);
			outs[i].chain = NULL;
		} else {
			drm_syncobj_replace_fence(outs[i].syncobj, fence);
		}
	}
}

/**
 * vmob_job_upload - Have a job upload a range of dirty pages first
 * @job: The job
 * @index: The buffer's or view's position in its list
 * @first: First page of the buffer
 * @nr: Number of pages
 *
 * Cannot fail: if there is no memory for the range all of it is uploaded.
 */
void vmob_job_upload(struct vmob_job *job, u32 index, pgoff_t first, pgoff_t nr)
{
	if (job->nr_uploads == job->max_uploads) {
		size_t max = max_t(size_t, 16, 2 * job->max_uploads);
		size_t bytes = array_size(max, sizeof(*job->uploads));
		struct vmob_upload *uploads = NULL;

		if (!vmob_fail_alloc(bytes))
			uploads = kvrealloc(job->uploads, bytes,
					    GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!uploads) {
			job->bos[index].upload_all = true;
			return;
		}
		job->uploads = uploads;
		job->max_uploads = max;
	}

	job->uploads[job->nr_uploads++] = (struct vmob_upload) {
		.bo = index,
		.first = first,
		.nr = nr,
	};
}

static int vmob_job_validate(struct vmob_job *job)
{
	struct ttm_operation_ctx ctx = { .interruptible = true };
	bool write;
	int ret;
	u32 i;

	for (i = 0; i < job->nr_bos; i++) {
		struct vmob_copy *copy = job->bos[i].copy;
		struct vmob_bo *bo = copy->bo;

		ret = vmob_ttm_validate(bo, bo->domains, &ctx);
		if (ret)
			return ret;

		if (copy->coherent && bo->tracker->refresh) {
			ret = bo->tracker->refresh(copy);
			if (ret)
				return ret;
		}

		/* A view and its buffer share it, and can differ in usage. */
		ret = dma_resv_reserve_fences(job->objs[i]->resv, 2);
		if (ret)
			return ret;

		write = job->bos[i].write || copy->coherent;
		ret = drm_sched_job_add_implicit_dependencies(&job->base,
							      job->objs[i],
							      write);
		if (ret)
			return ret;
	}

	return 0;
}

/* How much a command writes, of a coherent copy: there an upload by name does nothing. */
u64 vmob_cmd_writes(const struct drm_vmob_cmd *cmd)
{
	if (!vmob_ops[cmd->op].dst || cmd->op == DRM_VMOB_CMD_UPLOAD)
		return 0;

	return vmob_dst_size(cmd);
}

static int vmob_write_cmp(const void *a, const void *b)
{
	const struct vmob_write *x = a, *y = b;

	if (x->bo != y->bo)
		return x->bo < y->bo ? -1 : 1;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* What the commands write of each coherent copy, in order. Returns the number. */
static u32 vmob_job_list_writes(struct vmob_job *job)
{
	u32 i, nr = 0;

	for (i = 0; i < job->nr_cmds; i++) {
		const struct drm_vmob_cmd *cmd = &job->cmds[i];
		u64 size = vmob_cmd_writes(cmd);
		struct vmob_copy *copy;

		if (!size)
			continue;

		copy = job->bos[cmd->dst].copy;
		if (copy->coherent && copy->bo->tracker->write)
			job->writes[nr++] = (struct vmob_write) {
				.bo = cmd->dst,
				.start = cmd->dst_offset,
				.end = cmd->dst_offset + size,
			};
	}
	sort(job->writes, nr, sizeof(*job->writes), vmob_write_cmp, NULL);

	return nr;
}

/*
 * Have the CPU keep away from what the commands write, and from nothing else: another
 * copy may be written there.
 */
static void vmob_job_write(struct vmob_job *job)
{
	u32 nr = vmob_job_list_writes(job);
	u32 i = 0;

	while (i < nr) {
		struct vmob_write all = job->writes[i++];
		struct vmob_job_bo *jbo = &job->bos[all.bo];

		/* One call for what has pages in common, or has them in a row */
		for (; i < nr && job->writes[i].bo == all.bo &&
		     job->writes[i].start <= PAGE_ALIGN(all.end); i++)
			all.end = max(all.end, job->writes[i].end);

		jbo->prepared = true;
		jbo->fetch |= jbo->copy->bo->tracker->write(jbo->copy, all.start,
							    all.end - all.start);
	}
}

/* From here on nothing can fail, see above. */
static void vmob_job_commit(struct vmob_job *job, struct vmob_out_sync *outs,
			    u32 out_count)
{
	struct dma_fence *fence;
	u32 i;

	vmob_job_write(job);
	for (i = 0; i < job->nr_bos; i++) {
		struct vmob_job_bo *jbo = &job->bos[i];
		struct vmob_bo *bo = jbo->copy->bo;

		if (jbo->prepared)
			bo->tracker->take(jbo->copy, job, i);
		else if (jbo->copy->coherent)
			bo->tracker->update(jbo->copy, job, i);

		if (vmob_ttm_domain(bo) == DRM_VMOB_DOMAIN_VRAM)
			jbo->vram = vmob_ttm_vram(bo);
		else
			jbo->pages = bo->tbo.ttm->pages;
	}
	/* Theirs are device copies that are written, too. */
	for (i = 0; i < job->nr_uploads; i++)
		job->bos[job->uploads[i].bo].write = true;
	for (i = 0; i < job->nr_bos; i++)
		job->bos[i].write |= job->bos[i].upload_all;

	/*
	 * The scheduler's. It can have executed the job any time from now on,
	 * while the caller holds the locks that are in the buffers.
	 */
	kref_get(&job->ref);
	atomic_inc(&job->vmob->jobs);

	mutex_lock(&job->ctx->lock);
	drm_sched_job_arm(&job->base);
	fence = dma_fence_get(&job->base.s_fence->finished);
	for (i = 0; i < job->nr_bos; i++) {
		dma_resv_add_fence(job->objs[i]->resv, fence,
				   job->bos[i].write ? DMA_RESV_USAGE_WRITE :
				   DMA_RESV_USAGE_READ);
		ttm_bo_move_to_lru_tail_unlocked(&job->bos[i].copy->bo->tbo);
	}
	drm_sched_entity_push_job(&job->base);
	mutex_unlock(&job->ctx->lock);

	vmob_signal_out_syncs(outs, out_count, fence);
	dma_fence_put(fence);
}

static int vmob_job_lock(struct vmob_job *job, struct drm_exec *exec)
{
	int ret;
	u32 i;

	for (i = 0; i < job->nr_bos; i++) {
		ret = drm_exec_lock_obj(exec, job->objs[i]);
		if (ret)
			return ret;
	}

	return 0;
}

static int vmob_job_try_submit(struct vmob_job *job,
			       struct vmob_out_sync *outs, u32 out_count)
{
	struct drm_exec exec;
	int ret;

	drm_exec_init(&exec, DRM_EXEC_INTERRUPTIBLE_WAIT |
		      DRM_EXEC_IGNORE_DUPLICATES, job->nr_bos);
	drm_exec_until_all_locked(&exec) {
		ret = vmob_job_lock(job, &exec);
		drm_exec_retry_on_contention(&exec);
		/* Here, because evictions take locks as well */
		if (!ret)
			ret = vmob_job_validate(job);
		if (ret)
			break;
	}

	if (!ret)
		vmob_job_commit(job, outs, out_count);
	drm_exec_fini(&exec);

	return ret;
}

/*
 * With others holding buffers, or jobs using them, there may be no room where there
 * would be: then try again without the former, and wait for the latter.
 */
static int vmob_job_submit(struct vmob_job *job, struct vmob_out_sync *outs,
			   u32 out_count)
{
	struct vmob_device *vmob = job->vmob;
	int ret;

	ret = down_read_interruptible(&vmob->validate);
	if (ret)
		return ret;
	ret = vmob_job_try_submit(job, outs, out_count);
	up_read(&vmob->validate);
	if (ret != -ENOMEM && ret != -ENOSPC)
		return ret;

	ret = vmob_ttm_wait_begin(vmob);
	if (ret)
		return ret;
	ret = vmob_job_try_submit(job, outs, out_count);
	vmob_ttm_wait_end(vmob);

	return ret;
}

int vmob_submit_ioctl(struct drm_device *drm, void *data,
		      struct drm_file *file)
{
	struct vmob_device *vmob = to_vmob(drm);
	const struct drm_vmob_submit *args = data;
	struct vmob_out_sync *outs;
	struct vmob_job *job;
	int ret;

	if (args->flags || args->cmd_count > VMOB_MAX_CMDS ||
	    args->bo_count > VMOB_MAX_BOS ||
	    args->in_sync_count > VMOB_MAX_SYNCS ||
	    args->out_sync_count > VMOB_MAX_SYNCS) {
		drm_dbg(drm, "submission refused: flags or a count\n");
		return -EINVAL;
	}

	job = vmob_job_create(vmob, file, args);
	if (IS_ERR(job))
		return PTR_ERR(job);

	/* The work that others wait for is bounded. Nothing waits for this job yet. */
	ret = wait_event_interruptible(job->ctx->file->room,
				       vmob_job_try_queue(job));
	if (ret)
		goto out_put;

	ret = drm_sched_job_init(&job->base, &job->ctx->entity, 1, vmob,
				 file->client_id);
	if (ret)
		goto out_put;

	ret = vmob_job_add_in_syncs(job, file, args->in_syncs,
				    args->in_sync_count);
	if (ret)
		goto err_job;

	outs = vmob_get_out_syncs(drm, file, args->out_syncs,
				  args->out_sync_count);
	if (IS_ERR(outs)) {
		ret = PTR_ERR(outs);
		goto err_job;
	}

	ret = vmob_job_submit(job, outs, args->out_sync_count);
	vmob_put_out_syncs(outs, args->out_sync_count);
	if (ret)
		goto err_job;

out_put:
	vmob_job_put(job);
	return ret;

err_job:
	drm_sched_job_cleanup(&job->base);
	goto out_put;
}
