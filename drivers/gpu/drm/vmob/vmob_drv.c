// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "vmob_drv.h"

/**
 * DOC: vmob
 *
 * A render driver without hardware, for tests only. It is to TTM and coherent memory
 * what vgem and vkms are to GEM and KMS. It is built as vmwgfx is: a buffer object
 * has guest memory, which the CPU maps and TTM moves between system pages, the
 * "MOB" domain and a small video memory, and swaps out; and it has a device
 * copy, which is other memory. The engine executes commands on device copies.
 * Commands copy guest memory to them. For a coherent buffer the submission itself
 * does, for the dirty pages that ttm_bo_dirty reports.
 *
 * Video memory is ordinary memory that is mapped as I/O memory would be.
 *
 * Jobs wait for their dependencies in a DRM scheduler with an entity for each
 * context, and are executed by one ordered workqueue. A job's work is bounded, and
 * it ends early when it takes too long or its file is closed.
 *
 * Memory is bounded: a third of the machine's for device copies, half of it for
 * guest memory, which TTM swaps out beyond that. All but guest memory is charged to
 * the caller.
 */

static struct platform_device *vmob_pdev;
static struct vmob_device *vmob_device;

/* Jobs that may be with the engine at a time. */
#define VMOB_CREDITS	2

/* How long the commands of a job may take. */
#define VMOB_TIMEOUT_MS	30000

/* How long the jobs of a file go on when it has been closed. */
#define VMOB_CLOSED_MS	5000

static int vmob_getparam_ioctl(struct drm_device *drm, void *data,
			       struct drm_file *file)
{
	struct vmob_device *vmob = to_vmob(drm);
	struct drm_vmob_getparam *args = data;

	switch (args->param) {
	case DRM_VMOB_PARAM_COHERENT:
		args->value = 1;
		break;
	case DRM_VMOB_PARAM_VRAM_SIZE:
		args->value = vmob->vram_size;
		break;
	case DRM_VMOB_PARAM_MOB_SIZE:
		args->value = vmob->mob_size;
		break;
	case DRM_VMOB_PARAM_DEVICE_SIZE:
		args->value = vmob->device_size;
		break;
	case DRM_VMOB_PARAM_MAX_CMDS:
		args->value = VMOB_MAX_CMDS;
		break;
	case DRM_VMOB_PARAM_MAX_BOS:
		args->value = VMOB_MAX_BOS;
		break;
	case DRM_VMOB_PARAM_MAX_SYNCS:
		args->value = VMOB_MAX_SYNCS;
		break;
	case DRM_VMOB_PARAM_MAX_DELAY:
		args->value = VMOB_MAX_DELAY;
		break;
	case DRM_VMOB_PARAM_MAX_VIEWS:
		args->value = VMOB_MAX_VIEWS;
		break;
	case DRM_VMOB_PARAM_MAX_BYTES:
		args->value = VMOB_MAX_BYTES;
		break;
	default:
		drm_dbg(drm, "no parameter %llu\n", args->param);
		return -EINVAL;
	}

	return 0;
}

static void vmob_file_release(struct kref *ref)
{
	kfree(container_of(ref, struct vmob_file, ref));
}

static void vmob_file_put(struct vmob_file *vfile)
{
	kref_put(&vfile->ref, vmob_file_release);
}

static void vmob_ctx_release(struct kref *ref)
{
	struct vmob_ctx *ctx = container_of(ref, struct vmob_ctx, ref);

	drm_sched_entity_destroy(&ctx->entity);
	mutex_destroy(&ctx->lock);
	vmob_file_put(ctx->file);
	kfree(ctx);
}

void vmob_ctx_put(struct vmob_ctx *ctx)
{
	kref_put(&ctx->ref, vmob_ctx_release);
}

static struct vmob_ctx *vmob_ctx_create(struct vmob_device *vmob,
					struct vmob_file *vfile)
{
	struct drm_gpu_scheduler *sched = &vmob->sched;
	struct vmob_ctx *ctx;
	int ret;

	ctx = kzalloc_obj(*ctx, GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return ERR_PTR(-ENOMEM);

	ret = drm_sched_entity_init(&ctx->entity, DRM_SCHED_PRIORITY_NORMAL,
				    &sched, 1, NULL);
	if (ret) {
		kfree(ctx);
		return ERR_PTR(ret);
	}

	kref_init(&ctx->ref);
	mutex_init(&ctx->lock);
	kref_get(&vfile->ref);
	ctx->file = vfile;

	return ctx;
}

struct vmob_ctx *vmob_ctx_lookup(struct vmob_file *vfile, u32 id)
{
	struct vmob_ctx *ctx = vfile->ctx;

	xa_lock(&vfile->ctxs);
	if (id)
		ctx = xa_load(&vfile->ctxs, id);
	if (ctx)
		kref_get(&ctx->ref);
	xa_unlock(&vfile->ctxs);

	return ctx;
}

static int vmob_ctx_create_ioctl(struct drm_device *drm, void *data,
				 struct drm_file *file)
{
	struct vmob_file *vfile = file->driver_priv;
	struct drm_vmob_ctx_create *args = data;
	struct vmob_ctx *ctx;
	int ret;

	if (args->flags) {
		drm_dbg(drm, "context refused: flags\n");
		return -EINVAL;
	}

	ctx = vmob_ctx_create(to_vmob(drm), vfile);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);

	ret = xa_alloc(&vfile->ctxs, &args->ctx_id, ctx,
		       XA_LIMIT(1, VMOB_MAX_CTXS), GFP_KERNEL);
	if (ret) {
		vmob_ctx_put(ctx);
		return ret == -EBUSY ? -ENOSPC : ret;
	}

	return 0;
}

static int vmob_ctx_destroy_ioctl(struct drm_device *drm, void *data,
				  struct drm_file *file)
{
	struct vmob_file *vfile = file->driver_priv;
	struct drm_vmob_ctx_destroy *args = data;
	struct vmob_ctx *ctx;

	if (args->pad) {
		drm_dbg(drm, "context not destroyed: padding\n");
		return -EINVAL;
	}

	ctx = args->ctx_id ? xa_erase(&vfile->ctxs, args->ctx_id) : NULL;
	if (!ctx)
		return -ENOENT;

	vmob_ctx_put(ctx);

	return 0;
}

static const struct drm_ioctl_desc vmob_ioctls[] = {
	DRM_IOCTL_DEF_DRV(VMOB_GETPARAM, vmob_getparam_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VMOB_BO_CREATE, vmob_bo_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VMOB_BO_INFO, vmob_bo_info_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VMOB_BO_WAIT, vmob_bo_wait_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VMOB_VIEW_CREATE, vmob_view_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VMOB_CTX_CREATE, vmob_ctx_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VMOB_CTX_DESTROY, vmob_ctx_destroy_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VMOB_SUBMIT, vmob_submit_ioctl, DRM_RENDER_ALLOW),
};

static int vmob_open(struct drm_device *drm, struct drm_file *file)
{
	struct vmob_file *vfile;

	vfile = kzalloc_obj(*vfile, GFP_KERNEL_ACCOUNT);
	if (!vfile)
		return -ENOMEM;

	kref_init(&vfile->ref);
	xa_init_flags(&vfile->ctxs, XA_FLAGS_ALLOC1);
	spin_lock_init(&vfile->lock);
	init_waitqueue_head(&vfile->room);
	vfile->ctx = vmob_ctx_create(to_vmob(drm), vfile);
	if (IS_ERR(vfile->ctx)) {
		int ret = PTR_ERR(vfile->ctx);

		vmob_file_put(vfile);
		return ret;
	}

	file->driver_priv = vfile;

	return 0;
}

static void vmob_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct vmob_file *vfile = file->driver_priv;
	struct vmob_ctx *ctx;
	unsigned long id;

	xa_for_each(&vfile->ctxs, id, ctx)
		vmob_ctx_put(ctx);
	xa_destroy(&vfile->ctxs);
	vmob_ctx_put(vfile->ctx);
	vmob_file_put(vfile);
}

/*
 * Before its buffers go, which wait for jobs. Jobs of a program that exits are
 * executed for some time. Those of a killed program end at once.
 */
static int vmob_release(struct inode *inode, struct file *filp)
{
	struct drm_file *file = filp->private_data;
	struct vmob_file *vfile = file->driver_priv;
	bool killed = (current->flags & PF_EXITING) &&
		current->exit_code == SIGKILL;

	vfile->end = jiffies + (killed ? 0 : msecs_to_jiffies(VMOB_CLOSED_MS));
	/* Pairs with that in vmob_job_stop(). */
	smp_store_release(&vfile->closed, true);

	return drm_release(inode, filp);
}

static const struct file_operations vmob_fops = {
	.owner = THIS_MODULE,
	.open = drm_open,
	.release = vmob_release,
	.unlocked_ioctl = drm_ioctl,
	.compat_ioctl = drm_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.mmap = drm_gem_mmap,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

static const struct drm_driver vmob_driver = {
	.driver_features = DRIVER_GEM | DRIVER_RENDER | DRIVER_SYNCOBJ |
			   DRIVER_SYNCOBJ_TIMELINE,
	.open = vmob_open,
	.postclose = vmob_postclose,
	.ioctls = vmob_ioctls,
	.num_ioctls = ARRAY_SIZE(vmob_ioctls),
	.fops = &vmob_fops,
	.debugfs_init = vmob_debugfs_init,

	.name = "vmob",
	.desc = "Test driver for coherent memory",
	.major = 1,
	.minor = 0,
};

/* The structures are the same for 32 bit processes. */
static_assert(sizeof(struct drm_vmob_getparam) == 16);
static_assert(sizeof(struct drm_vmob_bo_create) == 24);
static_assert(sizeof(struct drm_vmob_bo_info) == 32);
static_assert(sizeof(struct drm_vmob_bo_wait) == 16);
static_assert(sizeof(struct drm_vmob_view_create) == 32);
static_assert(sizeof(struct drm_vmob_ctx_create) == 8);
static_assert(sizeof(struct drm_vmob_ctx_destroy) == 8);
static_assert(sizeof(struct drm_vmob_cmd) == 48);
static_assert(sizeof(struct drm_vmob_sync) == 16);
static_assert(sizeof(struct drm_vmob_submit) == 56);

static int vmob_engine_init(struct vmob_device *vmob)
{
	const struct drm_sched_init_args args = {
		.ops = &vmob_sched_ops,
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
		.credit_limit = VMOB_CREDITS,
		/* The engine has a timeout of its own. */
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.name = "vmob",
		.dev = vmob->drm.dev,
	};
	int ret;

	vmob->engine_context = dma_fence_context_alloc(1);
	vmob->engine = alloc_ordered_workqueue("vmob", WQ_MEM_RECLAIM);
	if (!vmob->engine)
		return -ENOMEM;

	ret = -ENOMEM;
	vmob->cleanup = alloc_workqueue("vmob-cleanup", WQ_UNBOUND, 0);
	if (!vmob->cleanup)
		goto err_engine;

	ret = drm_sched_init(&vmob->sched, &args);
	if (ret)
		goto err_cleanup;

	return 0;

err_cleanup:
	destroy_workqueue(vmob->cleanup);
err_engine:
	destroy_workqueue(vmob->engine);
	return ret;
}

/* No file is open any more, but jobs can still be under way. */
static void vmob_engine_fini(struct vmob_device *vmob)
{
	wait_var_event(&vmob->jobs, !atomic_read(&vmob->jobs));
	drm_sched_fini(&vmob->sched);
	destroy_workqueue(vmob->cleanup);
	destroy_workqueue(vmob->engine);
}

static int vmob_probe(struct device *dev)
{
	struct vmob_device *vmob;
	int ret;

	vmob = devm_drm_dev_alloc(dev, &vmob_driver, struct vmob_device, drm);
	if (IS_ERR(vmob))
		return PTR_ERR(vmob);

	init_rwsem(&vmob->validate);
	INIT_LIST_HEAD(&vmob->bos);
	vmob->timeout_ms = VMOB_TIMEOUT_MS;
	ret = drmm_mutex_init(&vmob->drm, &vmob->bos_lock);
	if (ret)
		return ret;

	ret = drmm_gem_dirty_device_init(&vmob->drm, &vmob->dirty);
	if (ret)
		return ret;

	ret = vmob_ttm_init(vmob);
	if (ret)
		return ret;

	ret = vmob_engine_init(vmob);
	if (ret)
		goto err_ttm;

	ret = drm_dev_register(&vmob->drm, 0);
	if (ret)
		goto err_engine;

	vmob_device = vmob;

	return 0;

err_engine:
	vmob_engine_fini(vmob);
err_ttm:
	vmob_ttm_fini(vmob);
	return ret;
}

static int __init vmob_init(void)
{
	int ret;

	vmob_pdev = platform_device_register_simple("vmob", PLATFORM_DEVID_NONE,
						    NULL, 0);
	if (IS_ERR(vmob_pdev))
		return PTR_ERR(vmob_pdev);

	if (!devres_open_group(&vmob_pdev->dev, NULL, GFP_KERNEL)) {
		ret = -ENOMEM;
		goto err_unregister;
	}
	dma_coerce_mask_and_coherent(&vmob_pdev->dev, DMA_BIT_MASK(64));

	ret = vmob_probe(&vmob_pdev->dev);
	if (ret)
		goto err_devres;

	return 0;

err_devres:
	devres_release_group(&vmob_pdev->dev, NULL);
err_unregister:
	platform_device_unregister(vmob_pdev);
	return ret;
}

static void __exit vmob_exit(void)
{
	drm_dev_unregister(&vmob_device->drm);
	vmob_engine_fini(vmob_device);
	vmob_ttm_fini(vmob_device);
	devres_release_group(&vmob_pdev->dev, NULL);
	platform_device_unregister(vmob_pdev);
}

module_init(vmob_init);
module_exit(vmob_exit);

MODULE_INFO(test, "Y");
MODULE_DESCRIPTION("DRM test driver for coherent memory");
MODULE_LICENSE("Dual MIT/GPL");
