// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/delay.h>
#include <linux/dma-fence.h>
#include <linux/highmem.h>
#include <linux/slab.h>

#include <drm/ttm/ttm_tt.h>

#include "vmob_drv.h"

/*
 * The engine, what would be hardware. It works on device copies, and touches
 * guest memory in transfers only. That stays where the submission has found
 * it for as long as the job's fence in the dma_resv has not signalled.
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
	struct vmob_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL_ACCOUNT);

	if (!fence)
		return NULL;

	spin_lock_init(&fence->lock);

	return &fence->base;
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

/* Between a part of the device copy and the guest memory behind it. */
static void vmob_transfer(const struct vmob_job_bo *bo, u64 offset, u64 size,
			  bool readback)
{
	const struct vmob_copy *copy = bo->copy;

	while (size) {
		u64 guest = copy->offset + offset;
		size_t len = min_t(u64, size, PAGE_SIZE - offset_in_page(guest));

		vmob_transfer_page(bo, guest, copy->vaddr + offset, len,
				   readback);
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

static void vmob_fill(void *dst, u32 value, u64 size)
{
	while (size) {
		size_t len = min_t(u64, size, VMOB_PIECE);

		memset32(dst, (__force u32)cpu_to_le32(value),
			 len / sizeof(u32));
		dst += len;
		size -= len;
		cond_resched();
	}
}

/* From the end or the start, so that nothing is overwritten ahead of its turn. */
static void vmob_memmove(void *dst, const void *src, u64 size)
{
	while (size) {
		size_t len = min_t(u64, size, VMOB_PIECE);

		size -= len;
		if (dst > src) {
			memmove(dst + size, src + size, len);
		} else {
			memmove(dst, src, len);
			dst += len;
			src += len;
		}
		cond_resched();
	}
}

/* Every now and then in a loop over words. */
static void vmob_relax(u64 i)
{
	if (!(i % VMOB_PIECE))
		cond_resched();
}

static void vmob_add(void *dst, const void *src, u64 size)
{
	__le32 *d = dst;
	const __le32 *s = src;
	u64 i;

	for (i = 0; i < size / sizeof(*d); i++) {
		le32_add_cpu(&d[i], le32_to_cpu(s[i]));
		vmob_relax(i);
	}
}

static u64 vmob_checksum(const void *src, u64 size)
{
	const __le32 *s = src;
	u64 sum = 0xcbf29ce484222325ull;
	u64 i;

	for (i = 0; i < size / sizeof(*s); i++) {
		sum = (sum ^ le32_to_cpu(s[i])) * 0x100000001b3ull;
		vmob_relax(i);
	}

	return sum;
}

static void vmob_scatter(void *dst, u64 words, const void *src, u64 size)
{
	const __le32 *s = src;
	__le32 *d = dst;
	u64 i;

	for (i = 0; i < size / sizeof(*s); i += 2) {
		if (le32_to_cpu(s[i]) < words)
			d[le32_to_cpu(s[i])] = s[i + 1];
		vmob_relax(i);
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
		vmob_fill(dst, cmd->value, cmd->size);
		break;
	case DRM_VMOB_CMD_COPY:
		vmob_memmove(dst, src, cmd->size);
		break;
	case DRM_VMOB_CMD_ADD:
		vmob_add(dst, src, cmd->size);
		break;
	case DRM_VMOB_CMD_CHECKSUM:
		*(__le64 *)dst = cpu_to_le64(vmob_checksum(src, cmd->size));
		break;
	case DRM_VMOB_CMD_SCATTER:
		vmob_scatter(dst, cmd->value, src, cmd->size);
		break;
	case DRM_VMOB_CMD_DELAY:
		fsleep(cmd->value);
		break;
	case DRM_VMOB_CMD_UPLOAD:
		/* Guest memory can be older than the copy. */
		if (job->bos[cmd->dst].copy->coherent)
			break;
		fallthrough;
	case DRM_VMOB_CMD_READBACK:
		vmob_transfer(&job->bos[cmd->dst], cmd->dst_offset, cmd->size,
			      cmd->op == DRM_VMOB_CMD_READBACK);
		break;
	}
}

/* What was written goes where somebody reads it who takes no page faults. */
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
	for (i = 0; i < job->nr_cmds; i++) {
		vmob_execute_cmd(job, &job->cmds[i]);
		cond_resched();
	}
	vmob_execute_fetches(job);

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
		ret = ttm_tt_populate(tbo->bdev, tbo->ttm, &ctx);
		if (ret)
			return ret;
		bo.pages = tbo->ttm->pages;
	}

	vmob_transfer(&bo, offset, size, true);
	atomic64_add(size, &vmob->read_back_bytes);

	return 0;
}
