// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "igt_core.h"
#include "coh_kvm.h"

#define CODE 0x1000
#define RAM_SIZE (KVM_GUEST_DATA + KVM_GUEST_DATA_SIZE)

/* The clock's address, as the guest would tell KVM; its lowest bit turns it on. */
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01

#define CR0_PE 1

/*
 * The guest's programs, for any address. esi is the source, edi the destination,
 * ecx how many, ebp the loop.
 */
extern const char guest_code[], guest_moves[], guest_fpu[], guest_stores[],
	guest_loads[], guest_nop[], guest_code_end[];

asm("	.pushsection .rodata\n"
	".code32\n"
	"guest_code:\n"
	"guest_moves:\n"
	"	cld\n"
	"	rep movsl\n"
	"guest_nop:\n"
	"	hlt\n"
	"guest_fpu:\n"
	"	fninit\n"
	"1:	fildll (%esi)\n"
	"	fistpll (%edi)\n"
	"	add $8, %esi\n"
	"	add $8, %edi\n"
	"	dec %ecx\n"
	"	jnz 1b\n"
	"	hlt\n"
	"guest_stores:\n"
	"1:	lea 8(%ebp), %esi\n"
	"2:	mov (%esi), %eax\n"
	"	test %eax, %eax\n"
	"	jz 1b\n"
	"	inc %edx\n"
	"	mov %edx, (%eax)\n"
	"	mov %edx, 4(%ebp)\n"
	"	add $8, %esi\n"
	"	cmpl $0, (%ebp)\n"
	"	je 2b\n"
	"	hlt\n"
	"guest_loads:\n"
	"1:	incl 4(%ebp)\n"
	"	lea 8(%ebp), %esi\n"
	"	cmpl $0, (%ebp)\n"
	"	jne 3f\n"
	"2:	mov (%esi), %eax\n"
	"	test %eax, %eax\n"
	"	jz 1b\n"
	"	mov (%eax), %edx\n"
	"	mov %edx, 4(%esi)\n"
	"	add $8, %esi\n"
	"	jmp 2b\n"
	"3:	hlt\n"
	"guest_code_end:\n"
	".code64\n"
	".popsection\n");

/* The one there is */
static struct kvm_guest *guest;

static struct kvm_segment flat(uint8_t type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = 8,
		.type = type,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
}

struct kvm_guest *kvm_guest_create(void)
{
	struct kvm_guest *g;
	struct kvm_sregs sregs;
	int kvm;

	if (guest)
		kvm_guest_destroy(guest);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	igt_require_f(kvm >= 0, "/dev/kvm: %s: the kernel has no KVM, or not for this CPU\n",
		      strerror(errno));

	g = calloc(1, sizeof(*g));
	igt_assert(g);
	g->kvm = kvm;
	g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	igt_assert_f(g->vm >= 0, "KVM_CREATE_VM: %s\n", strerror(errno));
	g->cpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	igt_assert_f(g->cpu >= 0, "KVM_CREATE_VCPU: %s\n", strerror(errno));
	g->run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	g->run = mmap(NULL, g->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      g->cpu, 0);
	g->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	igt_assert(g->run != MAP_FAILED && g->ram != MAP_FAILED);
	g->data = g->ram + KVM_GUEST_DATA;
	memcpy(g->ram + CODE, guest_code, guest_code_end - guest_code);
	igt_assert_eq(kvm_guest_slot(g, 0, 0, 0, g->ram, RAM_SIZE), 0);

	igt_assert(!ioctl(g->cpu, KVM_GET_SREGS, &sregs));
	sregs.cs = flat(11);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat(3);
	sregs.cr0 |= CR0_PE;
	igt_assert(!ioctl(g->cpu, KVM_SET_SREGS, &sregs));
	guest = g;
	return g;
}

void kvm_guest_destroy(struct kvm_guest *g)
{
	munmap(g->run, g->run_size);
	close(g->cpu);
	close(g->vm);
	close(g->kvm);
	munmap(g->ram, RAM_SIZE);
	free(g);
	guest = NULL;
}

int kvm_guest_slot(struct kvm_guest *g, uint32_t slot, uint32_t flags,
		   uint64_t gpa, void *map, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)map,
	};

	return ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

int kvm_guest_dirty_log(struct kvm_guest *g, uint32_t slot, uint64_t size)
{
	/* a bit for each page, in words of 64 */
	char bitmap[(size / 4096 + 63) / 64 * 8];
	struct kvm_dirty_log log = {
		.slot = slot,
		.dirty_bitmap = bitmap,
	};

	return ioctl(g->vm, KVM_GET_DIRTY_LOG, &log) ? -errno : 0;
}

/* Up to the end of the program */
static int run(struct kvm_guest *g, const char *program, struct kvm_regs regs)
{
	int ret;

	regs.rip = CODE + (program - guest_code);
	regs.rflags = 2;
	if (ioctl(g->cpu, KVM_SET_REGS, &regs))
		return -errno;
	do
		ret = ioctl(g->cpu, KVM_RUN, 0) ? -errno : 0;
	while (ret == -EINTR);

	if (ret) {
		snprintf(g->said, sizeof(g->said), "KVM_RUN: %s", strerror(-ret));
		return ret;
	}
	if (g->run->exit_reason == KVM_EXIT_HLT)
		return 0;
	if (g->run->exit_reason == KVM_EXIT_MMIO)
		snprintf(g->said, sizeof(g->said), "no memory to %s at %#llx",
			 g->run->mmio.is_write ? "store" : "load",
			 g->run->mmio.phys_addr);
	else if (g->run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		snprintf(g->said, sizeof(g->said), "KVM_EXIT_INTERNAL_ERROR, suberror %u",
			 g->run->internal.suberror);
	else
		snprintf(g->said, sizeof(g->said), "exit reason %u",
			 g->run->exit_reason);
	return -EIO;
}

int kvm_guest_copy(struct kvm_guest *g, enum kvm_guest_by by, uint64_t dst,
		   uint64_t src, uint64_t len)
{
	return run(g, by == KVM_GUEST_FPU ? guest_fpu : guest_moves,
		   (struct kvm_regs){
			.rdi = dst,
			.rsi = src,
			.rcx = by == KVM_GUEST_FPU ? len / 8 : len / 4,
		   });
}

int kvm_guest_store_loop(struct kvm_guest *g)
{
	return run(g, guest_stores, (struct kvm_regs){ .rbp = KVM_GUEST_DATA });
}

int kvm_guest_load_loop(struct kvm_guest *g)
{
	return run(g, guest_loads, (struct kvm_regs){ .rbp = KVM_GUEST_DATA });
}

int kvm_guest_clock(struct kvm_guest *g, uint64_t gpa)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry msr;
	} msrs = {
		.head.nmsrs = 1,
		.msr.index = MSR_KVM_SYSTEM_TIME_NEW,
		.msr.data = gpa | 1,
	};

	return ioctl(g->cpu, KVM_SET_MSRS, &msrs) == 1 ? 0 : -EINVAL;
}

int kvm_guest_clock_again(struct kvm_guest *g)
{
	return ioctl(g->cpu, KVM_KVMCLOCK_CTRL, 0) ? -errno : 0;
}

int kvm_guest_nop(struct kvm_guest *g)
{
	return run(g, guest_nop, (struct kvm_regs){ 0 });
}
