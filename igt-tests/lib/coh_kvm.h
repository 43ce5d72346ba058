/* SPDX-License-Identifier: MIT */
/*
 * A KVM guest that loads and stores, for tests: one CPU in 32-bit mode without
 * paging, and no device. It is of the process that made it.
 */
#ifndef COH_KVM_H
#define COH_KVM_H

#include <stdint.h>

/* Memory of its own, which this process shares */
#define KVM_GUEST_DATA 0x10000
#define KVM_GUEST_DATA_SIZE 0x10000

struct kvm_guest {
	int kvm, vm, cpu;
	struct kvm_run *run;
	uint64_t run_size;
	char *ram;
	void *data;		/* what is at KVM_GUEST_DATA */
	char said[96];		/* why the last one to fail did */
};

/* What the guest copies with */
enum kvm_guest_by {
	KVM_GUEST_MOVES,
	/* Instructions that KVM has no emulation of: the CPU has to do them. */
	KVM_GUEST_FPU,
};

/*
 * A guest, or a skip. The one that a failed subtest has left behind goes first:
 * there is one at a time.
 */
struct kvm_guest *kvm_guest_create(void);
void kvm_guest_destroy(struct kvm_guest *g);

/*
 * Gives it the memory at map, at this address of the guest's. A slot is a number
 * above 0, a size of 0 ends it, flags are KVM_MEM_*. Returns 0 or -errno.
 */
int kvm_guest_slot(struct kvm_guest *g, uint32_t slot, uint32_t flags,
		   uint64_t gpa, void *map, uint64_t size);

/* Reads KVM's log of what was stored to a slot of this size, which starts anew. */
int kvm_guest_dirty_log(struct kvm_guest *g, uint32_t slot, uint64_t size);

/*
 * Has it copy between its addresses, 8 bytes at a time or 4. Returns 0 or -errno,
 * which is -EFAULT where KVM does not take the memory, and -EIO if something else
 * came of it.
 */
int kvm_guest_copy(struct kvm_guest *g, enum kvm_guest_by by, uint64_t dst,
		   uint64_t src, uint64_t len);

/* What a guest goes on with until it is told to stop: see below. */
struct kvm_guest_loop {
	volatile uint32_t stop;
	volatile uint32_t count;
	struct {
		uint32_t gpa;
		volatile uint32_t value;
	} word[];		/* up to one at address 0 */
};

/*
 * Both are for threads, return what kvm_guest_copy() does, and have their loop at
 * KVM_GUEST_DATA. The first stores count + 1 to one word after the other, and then
 * sets count to that. The second loads one after the other into value, and counts
 * the rounds that it has begun.
 */
int kvm_guest_store_loop(struct kvm_guest *g);
int kvm_guest_load_loop(struct kvm_guest *g);

/* KVM's clock for guests, at this address: KVM itself writes it. */
int kvm_guest_clock(struct kvm_guest *g, uint64_t gpa);
/* It is written once more as the guest runs. */
int kvm_guest_clock_again(struct kvm_guest *g);
int kvm_guest_nop(struct kvm_guest *g);

#endif /* COH_KVM_H */
