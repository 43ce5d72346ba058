/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MODULES_LINUX_DMA_FENCE_H
#define _MODULES_LINUX_DMA_FENCE_H

#include_next <linux/dma-fence.h>

#include <linux/sched/signal.h>

/* Nothing but a signal that a fence is waited for with ends that wait. */
static inline signed long
dma_fence_wait_killable_timeout(struct dma_fence *fence, signed long timeout)
{
	for (;;) {
		signed long slice = min_t(signed long, timeout,
					  DIV_ROUND_UP(HZ, 10));
		signed long ret = dma_fence_wait_timeout(fence, false, slice);

		if (ret)
			return ret < 0 ? ret : timeout - slice + ret;
		if (fatal_signal_pending(current))
			return -ERESTARTSYS;
		timeout -= slice;
		if (!timeout)
			return 0;
	}
}

#endif
