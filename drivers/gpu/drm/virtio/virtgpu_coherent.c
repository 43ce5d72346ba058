// SPDX-License-Identifier: GPL-2.0 OR MIT
/* One long file: the life of one kind of object, in the order of its use. */

#include <linux/dma-mapping.h>
#include <linux/fault-inject.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_dirty_vm.h>
#include <drm/drm_managed.h>
#include <drm/virtgpu_drm.h>

#include "virtgpu_drv.h"
#include "virtgpu_scan.h"
#include "virtgpu_virgl.h"

/**
 * DOC: coherent buffers
 *
 * A host without host-visible memory cannot map its buffers into the guest.
 * Mesa's virgl driver then has no persistent and coherent buffers, and stops at
 * OpenGL 4.3. The driver emulates such buffers: an ordinary resource with guest
 * pages behind it, whose CPU writes drm_gem_dirty tracks. Dirty pages are uploaded
 * ahead of each submission that uses the buffer, so the host has them when the
 * submission runs.
 *
 * User space asks for them as for real ones, with VIRTGPU_PARAM_RESOURCE_BLOB and
 * VIRTGPU_PARAM_HOST_VISIBLE. It creates a mappable blob in host memory with
 * VIRTGPU_RESOURCE_CREATE_BLOB and an attached VIRGL_CCMD_PIPE_RESOURCE_CREATE
 * command. That command is never sent. The driver parses it, and creates an
 * emulated buffer only if it describes a buffer.
 *
 * On a device with blobs but without host-visible memory, blobs that the host
 * would have to map are emulated, and all others are the host's.
 *
 * Nothing is emulated on a device that can map its buffers, or with a capset whose
 * users would conclude more from these parameters.
 *
 * Mesa checks one more place, a bit of the host's capset, which says that the host
 * can map its buffers. virglrenderer sets it if it knows the caching of the host's
 * OpenGL driver. Nothing is mapped here, so user space gets the bit with any driver.
 *
 * For device writes the kernel scans command streams, see virtgpu_scan.c, and
 * follows the bindings of a context from one stream to the next. What a submission
 * may write of the buffers in its list is revoked. The CPU's next access waits for
 * the host and reads back. Buffers that the host only reads pay nothing for that.
 */

static bool coherent = true;
/* Devices that emulate coherent buffers when they are asked to. */
static atomic_t coherent_devices;

/* What is in force, which is not all that was asked for. */
static int virtio_gpu_coherent_param_get(char *buffer,
					 const struct kernel_param *kp)
{
	bool on = coherent && atomic_read(&coherent_devices);

	return sysfs_emit(buffer, "%c\n", on ? 'Y' : 'N');
}

static const struct kernel_param_ops virtio_gpu_coherent_param_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = param_set_bool,
	.get = virtio_gpu_coherent_param_get,
};

MODULE_PARM_DESC(coherent,
		 "Emulate persistent, coherent buffers on hosts without host-visible memory; for files opened from now on; N is read if no device needs it or can (default: Y)");
module_param_cb(coherent, &virtio_gpu_coherent_param_ops, &coherent, 0644);
__MODULE_PARM_TYPE(coherent, "bool");

/* Of the command that creates a resource for a blob. */
#define VIRGL_TARGET_BUFFER			0
#define VIRGL_FORMAT_R8_UNORM			64

#define VIRGL_RESOURCE_FLAG_MAP_PERSISTENT	BIT(1)
#define VIRGL_RESOURCE_FLAG_MAP_COHERENT	BIT(2)

#define VIRGL_BIND_RENDER_TARGET		BIT(1)
#define VIRGL_BIND_SAMPLER_VIEW			BIT(3)
#define VIRGL_BIND_BUFFER_MASK	(BIT(4) |	/* vertices */		\
				 BIT(5) |	/* indices */		\
				 BIT(6) |	/* constants */		\
				 BIT(8) |	/* command arguments */	\
				 BIT(11) |	/* stream output */	\
				 BIT(14) |	/* shader storage */	\
				 BIT(15))	/* query results */

/*
 * virglrenderer has widths and boxes in an int. It creates a larger resource, and
 * fails each transfer of it without an error for the guest.
 */
#define VIRTIO_GPU_COHERENT_MAX_SIZE	rounddown(INT_MAX, PAGE_SIZE)

/* How often a stream can name other files' buffers and still be followed. */
#define VIRTIO_GPU_COHERENT_MAX_OTHERS	1024

struct virgl_pipe_resource_create {
	u32 header;
	u32 target;
	u32 format;
	u32 bind;
	u32 width;
	u32 height;
	u32 depth;
	u32 array_size;
	u32 last_level;
	u32 nr_samples;
	u32 flags;
	u32 blob_id;
};

static_assert(sizeof(struct virgl_pipe_resource_create) ==
	      (1 + VIRGL_PIPE_RES_CREATE_SIZE) * sizeof(u32));

#ifdef CONFIG_FAULT_INJECTION
/* Lose an upload, for tests to show that they would notice. */
static DECLARE_FAULT_ATTR(virtio_gpu_fail_upload);

static bool virtio_gpu_coherent_lose(u32 len)
{
	return should_fail(&virtio_gpu_fail_upload, len);
}

/* The host fails to read something back. */
static DECLARE_FAULT_ATTR(virtio_gpu_fail_read_back);

static bool virtio_gpu_coherent_fail(u32 len)
{
	return should_fail(&virtio_gpu_fail_read_back, len);
}
#else
static bool virtio_gpu_coherent_lose(u32 len)
{
	return false;
}

static bool virtio_gpu_coherent_fail(u32 len)
{
	return false;
}
#endif

/* Whether a file that is opened now gets emulated coherent buffers. */
bool virtio_gpu_coherent_enabled(struct virtio_gpu_device *vgdev)
{
	return coherent && !vgdev->coherent.unfit;
}

/* The same, for people. */
const char *virtio_gpu_coherent_state(struct virtio_gpu_device *vgdev)
{
	if (vgdev->coherent.unfit)
		return vgdev->coherent.unfit;
	if (!coherent)
		return "not emulated, virtio_gpu.coherent is off";

	return vgdev->coherent.host_is_known ? "emulated" :
		"emulated, on an OpenGL driver unknown to the host";
}

static const char *virtio_gpu_coherent_unfit(struct virtio_gpu_device *vgdev)
{
	const u64 virgl = BIT_ULL(VIRTIO_GPU_CAPSET_VIRGL) |
		BIT_ULL(VIRTIO_GPU_CAPSET_VIRGL2);

	if (!vgdev->has_virgl_3d)
		return "not emulated, the device has no virgl";
	if (vgdev->has_resource_blob && vgdev->has_host_visible)
		return "not emulated, the host can map real ones";
	if (vgdev->capset_id_mask & ~virgl)
		return "not emulated, the device has other capsets than virgl's";

	return NULL;
}

static bool virtio_gpu_caps_have_bits(u32 size)
{
	return size >= (VIRGL_CAPS_V2_CAPABILITY_BITS + 1) * sizeof(u32);
}

/* Whether the bit is there without our doing. */
static bool virtio_gpu_coherent_host_is_known(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_drv_cap_cache *cache;
	u32 i;

	for (i = 0; i < vgdev->num_capsets; i++)
		if (vgdev->capsets[i].id == VIRTIO_GPU_CAPSET_VIRGL2)
			break;

	if (i == vgdev->num_capsets ||
	    !virtio_gpu_caps_have_bits(vgdev->capsets[i].max_size))
		return false;

	if (virtio_gpu_cmd_get_capset(vgdev, i, vgdev->capsets[i].max_version,
				      &cache))
		return false;
	virtio_gpu_notify(vgdev);
	if (!wait_event_timeout(vgdev->resp_wq, atomic_read(&cache->is_valid),
				5 * HZ))
		return false;

	/* Pairs with that of virtio_gpu_cmd_capset_cb(). */
	smp_rmb();

	return ((u32 *)cache->caps_cache)[VIRGL_CAPS_V2_CAPABILITY_BITS] &
		VIRGL_CAP_ARB_BUFFER_STORAGE;
}

static void virtio_gpu_coherent_device_gone(struct drm_device *dev, void *data)
{
	atomic_dec(&coherent_devices);
}

/**
 * virtio_gpu_coherent_probe - Decide whether to emulate
 * @vgdev: The device, whose features and capsets are known
 *
 * Return: 0 or -ENOMEM.
 */
int virtio_gpu_coherent_probe(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_coherent *c = &vgdev->coherent;

	c->unfit = virtio_gpu_coherent_unfit(vgdev);
	if (!c->unfit) {
		c->host_is_known = virtio_gpu_coherent_host_is_known(vgdev);
		atomic_inc(&coherent_devices);
	}
	drm_info(vgdev->ddev, "coherent buffers: %s\n",
		 virtio_gpu_coherent_state(vgdev));

	if (c->unfit)
		return 0;

	return drmm_add_action_or_reset(vgdev->ddev,
					virtio_gpu_coherent_device_gone, NULL);
}

/**
 * virtio_gpu_coherent_caps - Set the capset's bit for coherent buffers
 * @dst: Where user space has a copy of VIRGL2
 * @caps: The host's
 * @size: How much of it user space has
 *
 * A copy without the field is left as it is.
 *
 * Return: 0 or -EFAULT.
 */
int virtio_gpu_coherent_caps(void __user *dst, const void *caps, u32 size)
{
	u32 __user *to = (u32 __user *)dst + VIRGL_CAPS_V2_CAPABILITY_BITS;
	u32 bits;

	if (!virtio_gpu_caps_have_bits(size))
		return 0;

	bits = ((const u32 *)caps)[VIRGL_CAPS_V2_CAPABILITY_BITS] |
		VIRGL_CAP_ARB_BUFFER_STORAGE;

	/* The copy need not be aligned. */
	return copy_to_user(to, &bits, sizeof(bits)) ? -EFAULT : 0;
}

/**
 * virtio_gpu_coherent_wanted - Whether a blob is one to be emulated
 * @vgdev: The device
 * @vfpriv: The file, or NULL
 * @rc: The blob that user space asks for
 *
 * Return: true if it can only be had emulated.
 */
bool virtio_gpu_coherent_wanted(struct virtio_gpu_device *vgdev,
				const struct virtio_gpu_fpriv *vfpriv,
				const struct drm_virtgpu_resource_create_blob *rc)
{
	if (!vfpriv || !vfpriv->coherent)
		return false;

	/* Without real ones there is nothing else that it can be. */
	return !vgdev->has_resource_blob ||
		(rc->blob_mem == VIRTGPU_BLOB_MEM_HOST3D &&
		 rc->blob_flags & VIRTGPU_BLOB_FLAG_USE_MAPPABLE);
}

static int virtio_gpu_coherent_show(struct seq_file *m, void *data)
{
	struct drm_debugfs_entry *entry = m->private;
	struct virtio_gpu_coherent *c = entry->file.data;

	seq_printf(m, "uploads %lld\n", atomic64_read(&c->uploads));
	seq_printf(m, "upload_ranges %lld\n", atomic64_read(&c->upload_ranges));
	seq_printf(m, "upload_bytes %lld\n", atomic64_read(&c->upload_bytes));
	seq_printf(m, "scans %lld\n", atomic64_read(&c->scans));
	seq_printf(m, "writes %lld\n", atomic64_read(&c->writes));
	seq_printf(m, "write_bytes %lld\n", atomic64_read(&c->write_bytes));
	seq_printf(m, "contexts_lost %lld\n",
		   atomic64_read(&c->contexts_lost));
	seq_printf(m, "read_back_bytes %lld\n",
		   atomic64_read(&c->read_back_bytes));

	return 0;
}

int virtio_gpu_coherent_init(struct virtio_gpu_device *vgdev)
{
	int ret;

	xa_init(&vgdev->coherent.bos);
	ret = drmm_gem_dirty_device_init(vgdev->ddev, &vgdev->coherent.dirty);
	if (ret)
		return ret;

	drm_debugfs_add_file(vgdev->ddev, "virtio-gpu-coherent",
			     virtio_gpu_coherent_show, &vgdev->coherent);

	return 0;
}

void virtio_gpu_coherent_debugfs_init(struct drm_minor *minor)
{
#ifdef CONFIG_FAULT_INJECTION
	fault_create_debugfs_attr("fail_upload", minor->debugfs_root,
				  &virtio_gpu_fail_upload);
	fault_create_debugfs_attr("fail_read_back", minor->debugfs_root,
				  &virtio_gpu_fail_read_back);
#endif
}

/*
 * A buffer is created with the first thing that it will be bound to, and can
 * be bound to the others later. Texture buffers can have more bits from the
 * start, and Mesa gives pixel buffers those of a texture.
 */
static bool virtio_gpu_coherent_bind_ok(u32 bind)
{
	if (bind & VIRGL_BIND_SAMPLER_VIEW)
		return !(bind & ~(VIRGL_BIND_BUFFER_MASK |
				  VIRGL_BIND_SAMPLER_VIEW |
				  VIRGL_BIND_RENDER_TARGET));

	return !(bind & ~VIRGL_BIND_BUFFER_MASK) && hweight32(bind) <= 1;
}

/*
 * The host checks the command again when it creates the resource, but by then
 * it is too late for an error.
 */
static const char *
virtio_gpu_coherent_verify(const struct drm_virtgpu_resource_create_blob *rc,
			   const struct virgl_pipe_resource_create *cmd)
{
	if (cmd->header != VIRGL_CMD0(VIRGL_CCMD_PIPE_RESOURCE_CREATE, 0,
				      VIRGL_PIPE_RES_CREATE_SIZE))
		return "not a PIPE_RESOURCE_CREATE command";
	if (cmd->target != VIRGL_TARGET_BUFFER)
		return "not a buffer";
	if (!virtio_gpu_coherent_bind_ok(cmd->bind))
		return "bind";
	if (!cmd->width || cmd->width > rc->size)
		return "width";
	if (cmd->height != 1 || cmd->depth != 1 || cmd->array_size != 1)
		return "more than one dimension";
	if (cmd->last_level || cmd->nr_samples)
		return "levels or samples";
	if (cmd->flags & ~(VIRGL_RESOURCE_FLAG_MAP_PERSISTENT |
			   VIRGL_RESOURCE_FLAG_MAP_COHERENT))
		return "flags";
	if (cmd->blob_id != rc->blob_id)
		return "blob id";

	/*
	 * The format is in user space's own numbering, not the protocol's,
	 * and a buffer has none.
	 */
	return NULL;
}

/**
 * virtio_gpu_coherent_create - Create an emulated coherent buffer
 * @vgdev: The device
 * @rc: The blob that user space asks for
 * @bo_ptr: Returns the object
 *
 * Return: 0; -EINVAL for anything that is not a mappable buffer in host
 * memory with a well-formed command; -EFAULT; -ENOMEM.
 */
int virtio_gpu_coherent_create(struct virtio_gpu_device *vgdev,
			       const struct drm_virtgpu_resource_create_blob *rc,
			       struct virtio_gpu_object **bo_ptr)
{
	struct virtio_gpu_object_params params = { };
	struct virgl_pipe_resource_create cmd;
	const char *wrong = NULL;

	if (rc->blob_mem != VIRTGPU_BLOB_MEM_HOST3D)
		wrong = "memory type";
	else if (rc->blob_flags != VIRTGPU_BLOB_FLAG_USE_MAPPABLE)
		wrong = "blob flags";
	else if (!rc->size || rc->size > VIRTIO_GPU_COHERENT_MAX_SIZE)
		wrong = "size";
	else if (rc->cmd_size != sizeof(cmd))
		wrong = "command size";

	if (!wrong) {
		if (copy_from_user(&cmd, u64_to_user_ptr(rc->cmd), sizeof(cmd)))
			return -EFAULT;

		wrong = virtio_gpu_coherent_verify(rc, &cmd);
	}

	if (wrong) {
		drm_dbg(vgdev->ddev, "coherent buffer refused: %s\n", wrong);
		return -EINVAL;
	}

	params.coherent = true;
	params.virgl = true;
	params.size = rc->size;
	params.target = VIRGL_TARGET_BUFFER;
	params.format = VIRGL_FORMAT_R8_UNORM;
	params.bind = cmd.bind;
	params.width = cmd.width;
	params.height = 1;
	params.depth = 1;
	params.array_size = 1;

	/*
	 * The flags ask the host for memory that it can map into the guest,
	 * which is what it does not have. They are not passed on.
	 */
	return virtio_gpu_object_create(vgdev, &params, bo_ptr, NULL);
}

/*
 * Hand a range over to the device or back to the CPU, and nothing else: around it
 * are stores that a bounce buffer does not have yet. It goes by pages, because an
 * IOMMU can make one segment of memory that is not contiguous.
 */
static void virtio_gpu_coherent_sync(struct virtio_gpu_device *vgdev,
				     struct virtio_gpu_object *bo, u64 offset,
				     u32 len, enum dma_data_direction dir)
{
	struct device *dev = vgdev->vdev->dev.parent;
	struct sg_dma_page_iter iter;

	if (!virtio_gpu_use_dma_api(vgdev->vdev))
		return;

	for_each_sgtable_dma_page(bo->base.sgt, &iter, offset >> PAGE_SHIFT) {
		dma_addr_t addr = sg_page_iter_dma_address(&iter);
		u32 bytes = min_t(u32, len, PAGE_SIZE);

		if (dir == DMA_TO_DEVICE)
			dma_sync_single_for_device(dev, addr, bytes, dir);
		else
			dma_sync_single_for_cpu(dev, addr, bytes, dir);

		len -= bytes;
		if (!len)
			break;
	}
}

/*
 * The context of an upload ahead of a command in @ctx_id. If it is another one,
 * OpenGL promises that the command sees the data only after a wait in the host's
 * driver and a new binding of the buffer. virglrenderer does neither. The drivers
 * that it knows need neither, which is not certain for others. There the context is
 * @ctx_id, as that of stock Mesa's transfers. But an upload in a context that has
 * failed is lost, so not if the buffer is shared. virtio_gpu_coherent_object_open()
 * uploads again what was uploaded before that.
 */
static u32 virtio_gpu_coherent_ctx(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_object *bo, u32 ctx_id)
{
	if (vgdev->coherent.host_is_known ||
	    READ_ONCE(bo->base.base.handle_count) > 1)
		return 0;

	bo->in_context = true;
	return ctx_id;
}

/* Queue a transfer for each range of pages that is known to be dirty, after prepare. */
static void virtio_gpu_coherent_upload_dirty(struct virtio_gpu_device *vgdev,
					     u32 ctx_id,
					     struct virtio_gpu_object *bo)
{
	struct virtio_gpu_coherent *c = &vgdev->coherent;
	pgoff_t first, nr;
	bool any = false;

	while (drm_gem_dirty_next(&bo->host_copy, &first, &nr)) {
		u64 offset = (u64)first << PAGE_SHIFT;
		u32 len;

		/* Pages behind the end of the resource. */
		if (offset >= bo->width)
			continue;
		len = min_t(u64, (u64)nr << PAGE_SHIFT, bo->width - offset);

		if (!any) {
			atomic64_inc(&c->uploads);
			any = true;
		}

		if (virtio_gpu_coherent_lose(len))
			continue;

		virtio_gpu_coherent_sync(vgdev, bo, offset, len, DMA_TO_DEVICE);
		virtio_gpu_cmd_upload_buffer(vgdev, ctx_id, bo, offset, len);
		atomic64_inc(&c->upload_ranges);
		atomic64_add(len, &c->upload_bytes);
	}
}

/*
 * Fetch what the host has written: &drm_gem_dirty_consumer.read_back. It names no
 * context, because that of the writer may be gone.
 */
static int virtio_gpu_coherent_read_back(struct drm_gem_dirty_consumer *host_copy,
					 pgoff_t first, pgoff_t nr)
{
	struct virtio_gpu_object *bo =
		container_of(host_copy, struct virtio_gpu_object, host_copy);
	struct drm_gem_object *obj = &bo->base.base;
	struct virtio_gpu_device *vgdev = obj->dev->dev_private;
	u64 offset = (u64)first << PAGE_SHIFT;
	struct dma_fence *fence;
	u32 len;
	int ret;

	/* Pages behind the end of the resource. */
	if (offset >= bo->width)
		return 0;
	len = min_t(u64, (u64)nr << PAGE_SHIFT, bo->width - offset);

	if (virtio_gpu_coherent_fail(len))
		return -EIO;

	ret = virtio_gpu_wait_for_room(vgdev);
	if (ret)
		return ret;

	/* The CPU's stores to pages of which it has no entries any more. */
	virtio_gpu_coherent_upload_dirty(vgdev, 0, bo);

	fence = virtio_gpu_cmd_download_buffer(vgdev, bo, offset, len);
	virtio_gpu_notify(vgdev);
	if (IS_ERR(fence))
		return PTR_ERR(fence);

	/* Even if this process is killed, others have to wait for it. */
	dma_resv_add_fence(obj->resv, fence, DMA_RESV_USAGE_WRITE);
	ret = drm_gem_dirty_wait(obj, fence);
	dma_fence_put(fence);
	if (ret)
		return ret;

	virtio_gpu_coherent_sync(vgdev, bo, offset, len, DMA_FROM_DEVICE);
	atomic64_add(len, &vgdev->coherent.read_back_bytes);

	return 0;
}

/* Called for a new object, before anybody else can know of it. */
int virtio_gpu_coherent_object_init(struct virtio_gpu_device *vgdev,
				    struct virtio_gpu_object *bo,
				    const struct virtio_gpu_object_params *params)
{
	struct drm_gem_object *obj = &bo->base.base;
	int ret;

	ret = drm_gem_shmem_dirty_init(&bo->base, &vgdev->coherent.dirty);
	if (ret)
		return ret;

	dma_resv_lock(obj->resv, NULL);
	ret = drm_gem_dirty_consumer_init(&bo->host_copy, bo->base.dirty, 0,
					  obj->size >> PAGE_SHIFT,
					  virtio_gpu_coherent_read_back);
	dma_resv_unlock(obj->resv);
	if (ret)
		goto err_dirty;

	ret = xa_insert(&vgdev->coherent.bos, bo->hw_res_handle, bo, GFP_KERNEL);
	if (ret)
		goto err_consumer;

	bo->width = params->width;
	bo->blob_mem = VIRTGPU_BLOB_MEM_HOST3D;
	bo->blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE;

	return 0;

err_consumer:
	dma_resv_lock(obj->resv, NULL);
	drm_gem_dirty_consumer_fini(&bo->host_copy);
	dma_resv_unlock(obj->resv);
err_dirty:
	drm_gem_shmem_dirty_fini(&bo->base);
	return ret;
}

/* Called when the last mapping of the object is gone. Can be called twice. */
void virtio_gpu_coherent_object_fini(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_device *vgdev = bo->base.base.dev->dev_private;

	if (!virtio_gpu_is_coherent(bo))
		return;

	xa_erase(&vgdev->coherent.bos, bo->hw_res_handle);
	dma_resv_lock(bo->base.base.resv, NULL);
	drm_gem_dirty_consumer_fini(&bo->host_copy);
	dma_resv_unlock(bo->base.base.resv);
	drm_gem_shmem_dirty_fini(&bo->base);
}

/* Whatever was uploaded in a file's context may be lost with that: upload it again. */
static int virtio_gpu_coherent_doubt(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	int ret;

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		return ret;

	if (!bo->in_context)
		goto out_unlock;

	/* What the host has written is newer. */
	ret = drm_gem_dirty_read_back(bo->base.dirty, 0,
				      obj->size >> PAGE_SHIFT);
	if (ret)
		goto out_unlock;

	drm_gem_dirty_refill(&bo->host_copy);
	bo->in_context = false;

out_unlock:
	dma_resv_unlock(obj->resv);

	return ret;
}

/* &drm_gem_object_funcs.open: a file gets a handle, the only one or one more. */
int virtio_gpu_coherent_object_open(struct drm_gem_object *obj,
				    struct drm_file *file)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	int ret;

	if (virtio_gpu_is_coherent(bo)) {
		ret = virtio_gpu_coherent_doubt(bo);
		if (ret)
			return ret;
	}

	return virtio_gpu_gem_object_open(obj, file);
}

/* The pages of a range, which may go beyond the object. */
static pgoff_t virtio_gpu_coherent_pages(struct virtio_gpu_object *bo,
					 u32 offset, u32 len, pgoff_t *first)
{
	pgoff_t end = min_t(u64, PFN_UP((u64)offset + len),
			    bo->base.base.size >> PAGE_SHIFT);

	*first = offset >> PAGE_SHIFT;

	return *first < end ? end - *first : 0;
}

/**
 * virtio_gpu_coherent_upload - Upload a range, and all dirty pages
 * @vgdev: The device
 * @ctx_id: The context that asks for it
 * @bo: The object, which is coherent
 * @offset: Start of a range
 * @len: Its length, which may go beyond the object
 *
 * For an explicit transfer. The range is uploaded even if it is not dirty, for
 * stores that leave no trace in a page table of user space, and so are dirty
 * pages elsewhere. What the host may have written and was not read back is left
 * out: it is newer.
 *
 * The host executes the queue in order, so a command that is queued next sees the
 * data. The caller kicks the queue.
 *
 * Context: Process context, called with the object's dma_resv held. Not from
 * anything that the queue's progress depends on: it waits for room in it.
 */
int virtio_gpu_coherent_upload(struct virtio_gpu_device *vgdev, u32 ctx_id,
			       struct virtio_gpu_object *bo, u32 offset,
			       u32 len)
{
	pgoff_t first, nr;
	int ret;

	nr = virtio_gpu_coherent_pages(bo, offset, len, &first);
	ret = drm_gem_dirty_read_back(bo->base.dirty, first, nr);
	if (ret)
		return ret;

	drm_gem_dirty_prepare(&bo->host_copy, 0, 0);
	if (nr)
		drm_gem_dirty_mark(bo->base.dirty, first, nr);
	ctx_id = virtio_gpu_coherent_ctx(vgdev, bo, ctx_id);
	virtio_gpu_coherent_upload_dirty(vgdev, ctx_id, bo);

	return 0;
}

/**
 * virtio_gpu_coherent_fetch - Make the CPU's next access read back
 * @bo: The object, which is coherent
 * @offset: Start of the range
 * @len: Its length, which may go beyond the object
 *
 * An explicit transfer in the other direction. It does not wait: the next access
 * fetches the data.
 *
 * Context: Process context, called with the object's dma_resv held.
 */
void virtio_gpu_coherent_fetch(struct virtio_gpu_object *bo, u32 offset,
			       u32 len)
{
	pgoff_t first, nr;

	nr = virtio_gpu_coherent_pages(bo, offset, len, &first);
	if (nr)
		drm_gem_dirty_prepare(&bo->host_copy, first, nr);
}

/* On behalf of a submission, until it is prepared. */
struct virtio_gpu_coherent_scan {
	struct virtio_gpu_scan base;
	struct virtio_gpu_coherent *coherent;
	struct drm_file *file;
	/* Something is written of a buffer that is not in the list. */
	bool unlisted;
	/* How often a buffer of another file was named. */
	u32 others;
};

/* For any file: handles can change before the commands are executed. */
static bool virtio_gpu_coherent_is(struct virtio_gpu_scan *base, u32 res_id)
{
	struct virtio_gpu_coherent_scan *scan =
		container_of(base, struct virtio_gpu_coherent_scan, base);

	return xa_load(&scan->coherent->bos, res_id);
}

/*
 * Any id can be in the stream, also that of another file's buffer, which the
 * host does not let this file's context write. Those in the submission's list
 * are locked.
 */
static void virtio_gpu_coherent_writes(struct virtio_gpu_scan *base, u32 res_id,
				       u32 offset, u32 len)
{
	struct virtio_gpu_coherent_scan *scan =
		container_of(base, struct virtio_gpu_coherent_scan, base);
	struct virtio_gpu_object *bo;
	u32 end;

	/* Then it is all of all of them. */
	if (scan->unlisted)
		return;

	xa_lock(&scan->coherent->bos);
	bo = xa_load(&scan->coherent->bos, res_id);
	if (bo && READ_ONCE(bo->scan) != scan) {
		/* The check takes time, and there is no reason to name many. */
		if (drm_vma_node_is_allowed(&bo->base.base.vma_node, scan->file) ||
		    ++scan->others > VIRTIO_GPU_COHERENT_MAX_OTHERS)
			scan->unlisted = true;
		bo = NULL;
	}
	xa_unlock(&scan->coherent->bos);
	if (!bo || !len || offset >= bo->width)
		return;

	end = offset + min(len, bo->width - offset);
	if (bo->write_end) {
		offset = min(offset, bo->write_start);
		end = max(end, bo->write_end);
	}
	bo->write_start = offset;
	bo->write_end = end;
}

/**
 * virtio_gpu_coherent_scan - Take care of a command stream's transfers
 * @vgdev: The device
 * @buf: The stream, in memory that user space can't change
 * @size: The length of that, in bytes
 *
 * Transfers of a coherent buffer's guest memory become no-ops.
 *
 * Context: Process context, before any lock is taken.
 * Return: 0; -EINVAL for a transfer that can't be had; -EINTR if the process is
 * being killed.
 */
int virtio_gpu_coherent_scan(struct virtio_gpu_device *vgdev, void *buf,
			     u32 size)
{
	struct virtio_gpu_coherent *c = &vgdev->coherent;
	struct virtio_gpu_coherent_scan scan = {
		.base.is_coherent = virtio_gpu_coherent_is,
		.coherent = c,
	};
	int ret;

	if (xa_empty(&c->bos))
		return 0;

	atomic64_inc(&c->scans);
	ret = virtio_gpu_scan_transfers(&scan.base, buf, size / sizeof(u32));
	if (ret == -EINVAL)
		drm_dbg(vgdev->ddev,
			"coherent buffer: transfer in the command stream refused\n");

	return ret;
}

static void virtio_gpu_coherent_prepare_one(struct virtio_gpu_device *vgdev,
					    u32 ctx_id,
					    struct virtio_gpu_object *bo,
					    bool known)
{
	struct virtio_gpu_coherent *c = &vgdev->coherent;
	pgoff_t first = 0, nr = 0;
	u32 bytes;

	WRITE_ONCE(bo->scan, NULL);
	if (!known) {
		bo->write_start = 0;
		bo->write_end = bo->width;
	}

	bytes = bo->write_end - bo->write_start;
	if (bytes) {
		nr = virtio_gpu_coherent_pages(bo, bo->write_start, bytes,
					       &first);
		atomic64_inc(&c->writes);
		atomic64_add(bytes, &c->write_bytes);
	}

	drm_gem_dirty_prepare(&bo->host_copy, first, nr);
	ctx_id = virtio_gpu_coherent_ctx(vgdev, bo, ctx_id);
	virtio_gpu_coherent_upload_dirty(vgdev, ctx_id, bo);
}

/**
 * virtio_gpu_coherent_prepare - Prepare coherent buffers for a submission
 * @vgdev: The device
 * @file: The file whose context executes the command stream
 * @buf: The stream, in memory that user space can't change
 * @size: The length of that, in bytes
 * @objs: The submission's objects, or NULL
 *
 * Revokes what the host may write, and queues a transfer for each range of dirty
 * pages. The caller has to queue the submission, whose bindings count from now on,
 * and kicks the queue once. virtio_gpu_bindings_reap() then frees what the stream
 * has destroyed.
 *
 * Context: As virtio_gpu_coherent_upload(), with the dma_resv of all objects
 * held, and the file's submit_lock until the submission is queued. The submission's
 * fence must be added to them before they are released.
 */
void virtio_gpu_coherent_prepare(struct virtio_gpu_device *vgdev,
				 struct drm_file *file, void *buf, u32 size,
				 struct virtio_gpu_object_array *objs)
{
	struct virtio_gpu_coherent_scan scan = {
		.base.writes = virtio_gpu_coherent_writes,
		.base.is_coherent = virtio_gpu_coherent_is,
		.coherent = &vgdev->coherent,
		.file = file,
	};
	struct virtio_gpu_fpriv *vfpriv = file->driver_priv;
	struct virtio_gpu_bindings *bindings = &vfpriv->bindings;
	u32 i, nents = objs ? objs->nents : 0;
	bool lost = bindings->lost, known;

	lockdep_assert_held(&vfpriv->submit_lock);

	for (i = 0; i < nents; i++) {
		struct virtio_gpu_object *bo =
			gem_to_virtio_gpu_obj(objs->objs[i]);

		if (virtio_gpu_is_coherent(bo)) {
			bo->write_start = 0;
			bo->write_end = 0;
			WRITE_ONCE(bo->scan, &scan);
		}
	}

	known = virtio_gpu_scan_writes(&scan.base, bindings, buf,
				       size / sizeof(u32));
	if (scan.unlisted) {
		virtio_gpu_bindings_lose(bindings);
		known = false;
	}
	if (!lost && !known) {
		atomic64_inc(&vgdev->coherent.contexts_lost);
		drm_dbg(vgdev->ddev,
			"coherent buffers: context %u may write all of them from now on\n",
			vfpriv->ctx_id);
	}

	for (i = 0; i < nents; i++) {
		struct virtio_gpu_object *bo =
			gem_to_virtio_gpu_obj(objs->objs[i]);

		if (virtio_gpu_is_coherent(bo))
			virtio_gpu_coherent_prepare_one(vgdev, vfpriv->ctx_id,
							bo, known);
	}
}
