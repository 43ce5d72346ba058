// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/debugfs.h>
#include <linux/dma-resv.h>
#include <linux/fault-inject.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include <drm/drm_file.h>
#include <drm/ttm/ttm_resource.h>

#include "vmob_drv.h"

/* What is asked for below the device's debugfs directory, for tests. */

#ifdef CONFIG_FAULT_INJECTION
static DECLARE_FAULT_ATTR(vmob_upload_attr);
static DECLARE_FAULT_ATTR(vmob_alloc_attr);
static DECLARE_FAULT_ATTR(vmob_read_back_attr);

/* Lose an upload. */
bool vmob_fail_upload(size_t bytes)
{
	return should_fail(&vmob_upload_attr, min_t(size_t, bytes, INT_MAX));
}

/* Have no memory for one more range to upload. */
bool vmob_fail_alloc(size_t bytes)
{
	return should_fail(&vmob_alloc_attr, min_t(size_t, bytes, INT_MAX));
}

/* The device does not give back what it has written. */
bool vmob_fail_read_back(size_t bytes)
{
	return should_fail(&vmob_read_back_attr, min_t(size_t, bytes, INT_MAX));
}

static void vmob_debugfs_faults(struct dentry *root)
{
	fault_create_debugfs_attr("fail_upload", root, &vmob_upload_attr);
	fault_create_debugfs_attr("fail_alloc", root, &vmob_alloc_attr);
	fault_create_debugfs_attr("fail_read_back", root, &vmob_read_back_attr);
}
#else
bool vmob_fail_upload(size_t bytes)
{
	return false;
}

bool vmob_fail_alloc(size_t bytes)
{
	return false;
}

bool vmob_fail_read_back(size_t bytes)
{
	return false;
}

static void vmob_debugfs_faults(struct dentry *root)
{
}
#endif

static int vmob_counters_show(struct seq_file *m, void *data)
{
	struct vmob_device *vmob = m->private;

	seq_printf(m, "uploads %lld\n", atomic64_read(&vmob->uploads));
	seq_printf(m, "upload_ranges %lld\n", atomic64_read(&vmob->upload_ranges));
	seq_printf(m, "upload_bytes %lld\n", atomic64_read(&vmob->upload_bytes));
	seq_printf(m, "read_back_bytes %lld\n",
		   atomic64_read(&vmob->read_back_bytes));
	seq_printf(m, "moves %lld\n", atomic64_read(&vmob->moves));
	seq_printf(m, "swapouts %lld\n", atomic64_read(&vmob->swapouts));
	seq_printf(m, "device_bytes %lld\n", atomic64_read(&vmob->device_used));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vmob_counters);

/* Any write: out of video memory, and out of what the device can address. */
static int vmob_evict_set(void *data, u64 value)
{
	struct vmob_device *vmob = data;
	int ret;

	ret = ttm_resource_manager_evict_all(&vmob->ttm,
					     ttm_manager_type(&vmob->ttm, TTM_PL_VRAM));
	if (ret)
		return ret;

	return ttm_resource_manager_evict_all(&vmob->ttm,
					      ttm_manager_type(&vmob->ttm, VMOB_PL_MOB));
}
DEFINE_DEBUGFS_ATTRIBUTE(vmob_evict_fops, NULL, vmob_evict_set, "%llu\n");

/*
 * Any write: everything that can be swapped out, but what is locked. As many
 * as there are buffers now, because those that are in use come back.
 */
static int vmob_swapout_set(void *data, u64 value)
{
	struct ttm_operation_ctx ctx = { };
	struct vmob_device *vmob = data;
	size_t count;
	int ret;

	mutex_lock(&vmob->bos_lock);
	count = list_count_nodes(&vmob->bos);
	mutex_unlock(&vmob->bos_lock);

	ret = vmob_ttm_wait_begin(vmob);
	if (ret)
		return ret;
	for (; count; count--) {
		ret = ttm_device_swapout(&vmob->ttm, &ctx, GFP_KERNEL);
		if (ret <= 0)
			break;
		cond_resched();
	}
	vmob_ttm_wait_end(vmob);
	if (ret > 0)
		ret = 0;

	return ret == -EBUSY ? 0 : ret;
}
DEFINE_DEBUGFS_ATTRIBUTE(vmob_swapout_fops, NULL, vmob_swapout_set, "%llu\n");

/* A buffer that can't be moved stays where it is. */
static int vmob_move_bo(struct vmob_bo *bo, u32 domain)
{
	struct ttm_operation_ctx ctx = { .interruptible = true };
	int ret;

	ret = dma_resv_lock_interruptible(bo->tbo.base.resv, NULL);
	if (ret)
		return ret;
	ret = vmob_ttm_validate(bo, domain, &ctx);
	dma_resv_unlock(bo->tbo.base.resv);

	return ret == -EINTR || ret == -ERESTARTSYS ? ret : 0;
}

/* All buffers to one place, or those that find room there. */
static int vmob_move_all(struct vmob_device *vmob, u32 domain)
{
	struct vmob_bo *bo, *prev = NULL;
	int ret = 0;

	mutex_lock(&vmob->bos_lock);
	list_for_each_entry(bo, &vmob->bos, link) {
		if (!kref_get_unless_zero(&bo->tbo.base.refcount))
			continue;
		mutex_unlock(&vmob->bos_lock);

		if (prev)
			drm_gem_object_put(&prev->tbo.base);
		ret = vmob_move_bo(bo, domain);

		/* It stays in the list until it has lost the reference. */
		prev = bo;
		mutex_lock(&vmob->bos_lock);
		if (ret)
			break;
	}
	mutex_unlock(&vmob->bos_lock);

	if (prev)
		drm_gem_object_put(&prev->tbo.base);

	return ret;
}

/* "system", "mob" or "vram" */
static ssize_t vmob_move_write(struct file *file, const char __user *user,
			       size_t count, loff_t *pos)
{
	static const char *const names[] = { "mob", "vram", "system" };
	struct vmob_device *vmob = file->private_data;
	char name[16];
	int ret;

	if (count >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, user, count))
		return -EFAULT;
	name[count] = 0;

	ret = sysfs_match_string(names, name);
	if (ret < 0)
		return ret;

	ret = vmob_move_all(vmob, BIT(ret));

	return ret ?: count;
}

static const struct file_operations vmob_move_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = vmob_move_write,
};

void vmob_debugfs_init(struct drm_minor *minor)
{
	struct vmob_device *vmob = to_vmob(minor->dev);
	struct dentry *root = minor->debugfs_root;

	debugfs_create_file("vmob", 0444, root, vmob, &vmob_counters_fops);
	debugfs_create_file("evict", 0200, root, vmob, &vmob_evict_fops);
	debugfs_create_file("swapout", 0200, root, vmob, &vmob_swapout_fops);
	debugfs_create_file("move", 0200, root, vmob, &vmob_move_fops);
	debugfs_create_u32("delay_upload_us", 0600, root,
			   &vmob->delay_upload_us);
	debugfs_create_u32("timeout_ms", 0600, root, &vmob->timeout_ms);
	vmob_debugfs_faults(root);
}
