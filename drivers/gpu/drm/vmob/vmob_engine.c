// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/delay.h>
#include <linux/dma-fence.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include <drm/ttm/ttm_tt.h>

#include "vmob_drv.h"

/*
 * The engine stands for the hardware. It works on device copies, and accesses
 * guest memory in transfers only. Guest memory does not move until the job's fence in
 * the dma_resv has signalled.
 *
 * If a job takes too long, or its file was closed, its commands are cut short, and
 * its fence has an error. It still uploads, because only the job has the ranges. What
 * its commands have written, or could have, is read back as always. So device copy
 * and guest memory are the same afterwards, and no store of the CPU is lost.
 */

struct vmob_fence {
	struct dma_fence base;
	spinlock_t lock;	/* for dma_fence_init() */
};

static const char *vmob_fence_driver_name(struct dma_fence *fence)
{
	return "vmob";
}

static const char *vmob_fence_timeline_name(struct dma_fence *fence)
{
	return "engine";
}

static const struct dma_fence_ops vmob_fence_ops = {
	.get_driver_name = vmob_fence_driver_name,
	.get_timeline_name = vmob_fence_timeline_name,
};

/* Memory for a fence: vmob_engine_run() must not fail. */
struct dma_fence *vmob_engine_fence_create(void)
{
	struct vmob_fence *fence = kzalloc_obj(*fence, GFP_KERNEL_ACCOUNT);

	if (!fence)
		return NULL;

	spin_lock_init(&fence->lock);

	return &fence->base;
}

/* Why a job has to end, or 0 */
static int vmob_job_stop(const struct vmob_job *job)
{
	const struct vmob_file *vfile = job->ctx->file;

	/* Pairs with that in vmob_release(). */
	if (smp_load_acquire(&vfile->closed) &&
	    time_after_eq(jiffies, vfile->end))
		return -ECANCELED;
	if (time_after_eq(jiffies, job->end))
		return -ETIME;

	return 0;
}

/* Every now and then in the commands of a job: whether to go on with them. */
static bool vmob_go_on(struct vmob_job *job)
{
	cond_resched();
	if (!job->error)
		job->error = vmob_job_stop(job);

	return !job->error;
}

static void vmob_transfer_page(const struct vmob_job_bo *bo, u64 offset,
			       void *device, size_t len, bool readback)
{
	struct page *page;

	if (bo->vram) {
		if (readback)
			memcpy(bo->vram + offset, device, len);
		else
			memcpy(device, bo->vram + offset, len);
		return;
	}

	page = bo->pages[offset >> PAGE_SHIFT];
	if (readback)
		memcpy_to_page(page, offset_in_page(offset), device, len);
	else
		memcpy_from_page(device, page, offset_in_page(offset), len);
}

/* The start of a part of a device copy, up to the end of a page. */
static size_t vmob_transfer_some(const struct vmob_job_bo *bo, u64 offset,
				 u64 size, bool readback)
{
	const struct vmob_copy *copy = bo->copy;
	u64 guest = copy->offset + offset;
	size_t len = min_t(u64, size, PAGE_SIZE - offset_in_page(guest));

	vmob_transfer_page(bo, guest, copy->vaddr + offset, len, readback);

	return len;
}

/* Between a part of the device copy and the guest memory behind it. */
static void vmob_transfer(const struct vmob_job_bo *bo, u64 offset, u64 size,
			  bool readback)
{
	while (size) {
		size_t len = vmob_transfer_some(bo, offset, size, readback);

		offset += len;
		size -= len;
		cond_resched();
	}
}

static void vmob_upload_range(struct vmob_job *job,
			      const struct vmob_job_bo *bo, u64 offset, u64 size)
{
	struct vmob_device *vmob = job->vmob;

	if (vmob_fail_upload(size))
		return;

	vmob_transfer(bo, offset, size, false);
	atomic64_inc(&vmob->upload_ranges);
	atomic64_add(size, &vmob->upload_bytes);
}

/* The part of a range of pages of the buffer that the copy has. */
static void vmob_upload(struct vmob_job *job, const struct vmob_upload *upload)
{
	const struct vmob_job_bo *bo = &job->bos[upload->bo];
	const struct vmob_copy *copy = bo->copy;
	u64 start = max((u64)upload->first << PAGE_SHIFT, copy->offset);
	u64 end = min((u64)(upload->first + upload->nr) << PAGE_SHIFT,
		      copy->offset + copy->size);

	if (start < end && !bo->upload_all)
		vmob_upload_range(job, bo, start - copy->offset, end - start);
}

static void vmob_begin_uploads(struct vmob_device *vmob)
{
	u32 delay = READ_ONCE(vmob->delay_upload_us);

	atomic64_inc(&vmob->uploads);
	if (delay)
		fsleep(delay);
}

static void vmob_execute_uploads(struct vmob_job *job)
{
	u32 last = U32_MAX;
	size_t i;
	u32 bo;

	for (i = 0; i < job->nr_uploads; i++) {
		if (job->uploads[i].bo != last) {
			last = job->uploads[i].bo;
			vmob_begin_uploads(job->vmob);
		}
		vmob_upload(job, &job->uploads[i]);
	}

	for (bo = 0; bo < job->nr_bos; bo++) {
		if (job->bos[bo].upload_all) {
			vmob_begin_uploads(job->vmob);
			vmob_upload_range(job, &job->bos[bo], 0,
					  job->bos[bo].copy->size);
		}
	}
}

/* A whole buffer at once would take too long. */
#define VMOB_PIECE	SZ_64K

static void vmob_fill(struct vmob_job *job, void *dst, u32 value, u64 size)
{
	while (size && vmob_go_on(job)) {
		size_t len = min_t(u64, size, VMOB_PIECE);

		memset32(dst, (__force u32)cpu_to_le32(value),
			 len / sizeof(u32));
		dst += len;
		size -= len;
	}
}

/* From the end or the start, so that nothing is overwritten ahead of its turn. */
static void vmob_memmove(struct vmob_job *job, void *dst, const void *src,
			 u64 size)
{
	while (size && vmob_go_on(job)) {
		size_t len = min_t(u64, size, VMOB_PIECE);

		size -= len;
		if (dst > src) {
			memmove(dst + size, src + size, len);
		} else {
			memmove(dst, src, len);
			dst += len;
			src += len;
		}
	}
}

/* In a loop over words. */
static bool vmob_go_on_at(struct vmob_job *job, u64 i)
{
	return i % VMOB_PIECE || vmob_go_on(job);
}

static void vmob_add(struct vmob_job *job, void *dst, const void *src, u64 size)
{
	__le32 *d = dst;
	const __le32 *s = src;
	u64 i;

	for (i = 0; i < size / sizeof(*d) && vmob_go_on_at(job, i); i++)
		le32_add_cpu(&d[i], le32_to_cpu(s[i]));
}

static u64 vmob_checksum(struct vmob_job *job, const void *src, u64 size)
{
	const __le32 *s = src;
	u64 sum = 0xcbf29ce484222325ull;
	u64 i;

	for (i = 0; i < size / sizeof(*s) && vmob_go_on_at(job, i); i++)
		sum = (sum ^ le32_to_cpu(s[i])) * 0x100000001b3ull;

	return sum;
}

static void vmob_scatter(struct vmob_job *job, void *dst, u64 words,
			 const void *src, u64 size)
{
	const __le32 *s = src;
	__le32 *d = dst;
	u64 i;

	for (i = 0; i < size / sizeof(*s) && vmob_go_on_at(job, i); i += 2)
		if (le32_to_cpu(s[i]) < words)
			d[le32_to_cpu(s[i])] = s[i + 1];
}

/* The most to sleep at a time, in microseconds. */
#define VMOB_SLEEP	10000

static void vmob_delay(struct vmob_job *job, u64 us)
{
	ktime_t end = ktime_add_us(ktime_get(), us);
	s64 left;

	while ((left = ktime_us_delta(end, ktime_get())) > 0 && vmob_go_on(job))
		fsleep(min_t(s64, left, VMOB_SLEEP));
}

static void vmob_transfer_cmd(struct vmob_job *job,
			      const struct drm_vmob_cmd *cmd)
{
	const struct vmob_job_bo *bo = &job->bos[cmd->dst];
	bool readback = cmd->op == DRM_VMOB_CMD_READBACK;
	u64 offset = cmd->dst_offset;
	u64 size = cmd->size;

	/* For a coherent one guest memory can be older than the copy. */
	if (bo->copy->coherent && !readback)
		return;

	while (size && vmob_go_on(job)) {
		size_t len = vmob_transfer_some(bo, offset, size, readback);

		offset += len;
		size -= len;
	}
}

/* All has been verified when it was submitted. */
static void vmob_execute_cmd(struct vmob_job *job,
			     const struct drm_vmob_cmd *cmd)
{
	void *dst = NULL, *src = NULL;

	if (cmd->op != DRM_VMOB_CMD_DELAY) {
		dst = job->bos[cmd->dst].copy->vaddr + cmd->dst_offset;
		src = job->bos[cmd->src].copy->vaddr + cmd->src_offset;
	}

	switch (cmd->op) {
	case DRM_VMOB_CMD_FILL:
		vmob_fill(job, dst, cmd->value, cmd->size);
		break;
	case DRM_VMOB_CMD_COPY:
		vmob_memmove(job, dst, src, cmd->size);
		break;
	case DRM_VMOB_CMD_ADD:
		vmob_add(job, dst, src, cmd->size);
		break;
	case DRM_VMOB_CMD_CHECKSUM:
		*(__le64 *)dst = cpu_to_le64(vmob_checksum(job, src, cmd->size));
		break;
	case DRM_VMOB_CMD_SCATTER:
		vmob_scatter(job, dst, cmd->value, src, cmd->size);
		break;
	case DRM_VMOB_CMD_DELAY:
		vmob_delay(job, cmd->value);
		break;
	case DRM_VMOB_CMD_UPLOAD:
	case DRM_VMOB_CMD_READBACK:
		vmob_transfer_cmd(job, cmd);
		break;
	}
}

/* Copy what was written to guest memory, for readers that take no page faults. */
static void vmob_execute_fetches(struct vmob_job *job)
{
	u32 i;

	for (i = 0; i < job->nr_cmds; i++) {
		const struct drm_vmob_cmd *cmd = &job->cmds[i];
		u64 size = vmob_cmd_writes(cmd);

		if (size && job->bos[cmd->dst].fetch)
			vmob_transfer(&job->bos[cmd->dst], cmd->dst_offset,
				      size, true);
	}
}

/* Executes a job. Others wait for its fence: nothing may be allocated. */
void vmob_engine_execute(struct work_struct *work)
{
	struct vmob_job *job = container_of(work, struct vmob_job, work);
	struct dma_fence *fence = dma_fence_get(job->fence);
	bool cookie = dma_fence_begin_signalling();
	u32 i;

	vmob_execute_uploads(job);
	job->end = jiffies + msecs_to_jiffies(READ_ONCE(job->vmob->timeout_ms));
	for (i = 0; i < job->nr_cmds && vmob_go_on(job); i++)
		vmob_execute_cmd(job, &job->cmds[i]);
	vmob_execute_fetches(job);
	if (job->error)
		dma_fence_set_error(fence, job->error);

	/* The job can be gone when it has. */
	dma_fence_signal(fence);
	dma_fence_end_signalling(cookie);
	dma_fence_put(fence);
}

/* Queue a job that has nothing to wait for any more. */
struct dma_fence *vmob_engine_run(struct vmob_job *job)
{
	struct vmob_device *vmob = job->vmob;
	struct vmob_fence *fence = container_of(job->fence, struct vmob_fence,
						base);

	dma_fence_init(&fence->base, &vmob_fence_ops, &fence->lock,
		       vmob->engine_context, ++vmob->engine_seqno);
	/* Another one for the scheduler */
	dma_fence_get(&fence->base);
	queue_work(vmob->engine, &job->work);

	return &fence->base;
}

/*
 * Put a part of a device copy that no job uses into the guest memory behind it,
 * wherever that is. Called with the dma_resv held.
 */
int vmob_engine_read_back(struct vmob_copy *copy, u64 offset, u64 size)
{
	struct ttm_operation_ctx ctx = { };
	struct ttm_buffer_object *tbo = &copy->bo->tbo;
	struct vmob_device *vmob = to_vmob(tbo->base.dev);
	struct vmob_job_bo bo = { .copy = copy };
	int ret;

	if (vmob_fail_read_back(size))
		return -EIO;

	if (vmob_ttm_domain(copy->bo) == DRM_VMOB_DOMAIN_VRAM) {
		bo.vram = vmob_ttm_vram(copy->bo);
	} else {
		ret = ttm_bo_populate(tbo, &ctx);
		if (ret)
			return ret;
		bo.pages = tbo->ttm->pages;
	}

	vmob_transfer(&bo, offset, size, true);
	atomic64_add(size, &vmob->read_back_bytes);

	return 0;
}
