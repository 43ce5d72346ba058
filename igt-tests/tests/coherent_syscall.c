// SPDX-License-Identifier: MIT
/**
 * TEST: coherent syscall
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C1 for the kernel's own stores into a mapping, for this process
 *	or for another one. Those that want pages get none, and are refused.
 *
 * SUBTEST: poke-ptrace
 * Description: C1: PTRACE_POKEDATA is seen (defect 9)
 *
 * SUBTEST: poke-readonly
 * Description: C3: PTRACE_POKEDATA to a read-only mapping
 *
 * SUBTEST: poke-process-vm
 * Description: C1: process_vm_writev is refused (EFAULT) or seen (defect 9)
 *
 * SUBTEST: poke-proc-mem
 * Description: C1: a write to /proc/pid/mem is seen (defect 9)
 *
 * SUBTEST: read-into
 * Description: C1: read(2) of a file into the mapping
 *
 * SUBTEST: direct-io
 * Description: C1: O_DIRECT into the mapping is refused (EFAULT) or seen
 *
 * SUBTEST: io-uring
 * Description: C1: io_uring reads into the mapping; registering it is refused (EFAULT)
 *	or seen
 *
 * SUBTEST: process-vm
 * Description: C1: process_vm_readv and _writev, by both sides: refused (EFAULT) or seen
 *
 * SUBTEST: vmsplice
 * Description: C1: from the mapping refused (EFAULT), into it seen
 *
 * SUBTEST: futex
 * Description: C1: a shared futex is refused (EFAULT), a private one's store seen
 *
 * SUBTEST: madvise-populate
 * Description: C1: MADV_POPULATE_READ and _WRITE are refused (EINVAL)
 *
 * SUBTEST: file-9p
 * Description: C1: read and write of a file without a cache: refused (EFAULT)
 *
 * SUBTEST: file-fuse
 * Description: C1: direct read and write of a file on FUSE: refused (EFAULT)
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coh_fuse.h"
#include "mmap.h"

IGT_TEST_DESCRIPTION("Coherent buffers: what system calls store into a mapping");

/*
 * The kernel writes for another process. Mappings of device memory can refuse
 * that; what they must not do is to take it and lose it.
 */
/* Returns how many of 6 writes were taken. */
static int poke(struct egm_dev *dev,
		bool (*write_word)(pid_t pid, void *to, uint64_t word))
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	int i, taken = 0;

	for (i = 0; i < 6; i++) {
		const uint64_t off = (600 + i) * PAGE + 128;
		char *to = (char *)b.bo->map + off;
		uint64_t old = b.p->want[off / 8];
		uint64_t word;
		pid_t pid;

		if (i & 1)
			settle(&b);
		pid = coh_child_start();
		if (!pid) {
			ptrace(PTRACE_TRACEME, 0, NULL, NULL);
			raise(SIGSTOP);
			_exit(0);
		}
		igt_assert(WIFSTOPPED(coh_child_wait(pid)));

		pattern_make(b.p, &word, off, 8);
		if (write_word(pid, to, word)) {
			igt_assert_eq_u64(*(volatile uint64_t *)to, word);
			taken++;
		} else {
			b.p->want[off / 8] = old;
		}
		check(&b);
		igt_assert(!ptrace(PTRACE_CONT, pid, NULL, NULL));
		igt_assert_eq(coh_child_wait(pid), 0);
		check(&b);
	}
	igt_info("%d of %d writes were taken, the others refused\n", taken, i);
	coh_buf_destroy(&b);
	return taken;
}

static bool write_ptrace(pid_t pid, void *to, uint64_t word)
{
	if (!ptrace(PTRACE_POKEDATA, pid, to, word))
		return true;
	igt_assert_eq(errno, EIO);
	return false;
}

static bool write_vm(pid_t pid, void *to, uint64_t word)
{
	struct iovec local = { &word, sizeof(word) };
	struct iovec remote = { to, sizeof(word) };

	if (process_vm_writev(pid, &local, 1, &remote, 1, 0) == sizeof(word))
		return true;
	igt_assert_eq(errno, EFAULT);
	return false;
}

static bool write_proc_mem(pid_t pid, void *to, uint64_t word)
{
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	igt_assert(fd >= 0);
	n = pwrite(fd, &word, sizeof(word), (uintptr_t)to);
	close(fd);
	if (n == sizeof(word))
		return true;
	igt_assert_eq(errno, EIO);
	return false;
}

static void poke_ptrace(struct egm_dev *dev)
{
	igt_assert_eq(poke(dev, write_ptrace), 6);
}

/* A debugger can't write where the program itself could not. */
static void poke_readonly(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	const uint64_t off = 600 * PAGE + 128;
	char *map = coh_map(b.bo, PROT_READ, b.bo->size);
	pid_t pid = coh_child_start();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	igt_assert(WIFSTOPPED(coh_child_wait(pid)));
	errno = 0;
	igt_assert_eq_u64(ptrace(PTRACE_PEEKDATA, pid, map + off, NULL),
			  b.p->want[off / 8]);
	igt_assert_eq(errno, 0);
	igt_assert_eq(ptrace(PTRACE_POKEDATA, pid, map + off, 1), -1);
	igt_assert_eq(errno, EIO);
	igt_assert(!ptrace(PTRACE_CONT, pid, NULL, NULL));
	igt_assert_eq(coh_child_wait(pid), 0);
	check(&b);
	munmap(map, b.bo->size);
	coh_buf_destroy(&b);
}

static void poke_vm(struct egm_dev *dev)
{
	poke(dev, write_vm);
}

static void poke_proc_mem(struct egm_dev *dev)
{
	igt_assert_eq(poke(dev, write_proc_mem), 6);
}

/* The kernel's own stores, by copy_to_user() into the mapping. */
static void read_into(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	const uint64_t off = 333 * PAGE + 512, len = 9 * PAGE;
	FILE *f = tmpfile();
	char *data = malloc(len);
	int i;

	igt_assert(f && data);
	for (i = 0; i < 6; i++) {
		if (i & 1)
			settle(&b);
		pattern_make(b.p, data, off, len);
		igt_assert(pwrite(fileno(f), data, len, 0) == (ssize_t)len);
		igt_assert(pread(fileno(f), (char *)b.bo->map + off, len, 0) ==
			   (ssize_t)len);
		check(&b);
	}
	free(data);
	fclose(f);
	coh_buf_destroy(&b);
}

/*
 * Direct I/O pins pages, which mappings of device memory refuse; a kernel that
 * takes it must see the stores. The file read is this program.
 */
static void direct_io(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	/* to both sides of the edge of a page */
	const uint64_t off = 700 * PAGE - KiB(4), len = KiB(8);
	char *map = (char *)b.bo->map + off, *data = malloc(len);
	int fd = open("/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	igt_require_f(fd >= 0, "no direct I/O on this program's file: %s\n",
		      strerror(errno));
	igt_assert(data && pread(file, data, len, 0) == (ssize_t)len);
	n = pread(fd, map, len, 0);
	if (n == (ssize_t)len)
		memcpy((char *)b.p->want + off, data, len);
	else
		igt_assert(n < 0 && errno == EFAULT);
	igt_info("direct I/O is %s\n", n < 0 ? "refused" : "taken");
	check(&b);
	free(data);
	close(file);
	close(fd);
	coh_buf_destroy(&b);
}

/* An io_uring for one request at a time */
struct ring {
	struct io_uring_params p;
	struct io_uring_sqe *sqes;
	char *rings;
	int fd;
};

#define RING_SIZE PAGE

static _Atomic uint32_t *ring_word(const struct ring *ring, uint32_t offset)
{
	return (_Atomic uint32_t *)(ring->rings + offset);
}

static struct ring ring_create(void)
{
	struct ring ring = { 0 };

	ring.fd = syscall(SYS_io_uring_setup, 1, &ring.p);
	igt_require_f(ring.fd >= 0, "no io_uring in this kernel: %s\n",
		      strerror(errno));
	igt_assert(ring.p.features & IORING_FEAT_SINGLE_MMAP);
	igt_assert(ring.p.cq_off.cqes + ring.p.cq_entries *
		   sizeof(struct io_uring_cqe) <= RING_SIZE);
	ring.rings = mmap(NULL, RING_SIZE, RW, MAP_SHARED, ring.fd,
			  IORING_OFF_SQ_RING);
	ring.sqes = mmap(NULL, PAGE, RW, MAP_SHARED, ring.fd, IORING_OFF_SQES);
	igt_assert(ring.rings != MAP_FAILED && ring.sqes != MAP_FAILED);
	return ring;
}

/* Returns what the request returned. */
static int ring_run(struct ring *ring, const struct io_uring_sqe *sqe)
{
	const struct io_sqring_offsets *sq = &ring->p.sq_off;
	const struct io_cqring_offsets *cq = &ring->p.cq_off;
	uint32_t tail = atomic_load(ring_word(ring, sq->tail));
	uint32_t head = atomic_load(ring_word(ring, cq->head));
	uint32_t slot = tail & (ring->p.sq_entries - 1);
	const struct io_uring_cqe *cqe;
	int ret;

	ring->sqes[slot] = *sqe;
	atomic_store(ring_word(ring, sq->array + slot * 4), slot);
	atomic_store(ring_word(ring, sq->tail), tail + 1);
	igt_assert_eq(syscall(SYS_io_uring_enter, ring->fd, 1, 1,
			      IORING_ENTER_GETEVENTS, NULL, 0), 1);
	igt_assert(atomic_load(ring_word(ring, cq->tail)) == head + 1);
	cqe = (const void *)(ring->rings + cq->cqes);
	ret = cqe[head & (ring->p.cq_entries - 1)].res;
	atomic_store(ring_word(ring, cq->head), head + 1);
	return ret;
}

static void ring_destroy(struct ring *ring)
{
	munmap(ring->sqes, PAGE);
	munmap(ring->rings, RING_SIZE);
	close(ring->fd);
}

/*
 * io_uring reads into the mapping as read(2) does, at once or in a thread of
 * its own. Buffers that are registered are pinned, which mappings of device
 * memory refuse.
 */
static void uring(struct egm_dev *dev)
{
	struct coh_buf b = coh_buf_warm(dev, SIZE);
	const uint64_t off = 431 * PAGE + 256, len = 5 * PAGE;
	char *map = (char *)b.bo->map + off, *data = malloc(len);
	const struct iovec iov = { map, len };
	struct ring ring = ring_create();
	FILE *f = tmpfile();
	int i, ret, fixed;

	igt_assert(f && data);
	fixed = syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS,
			&iov, 1);
	igt_assert(!fixed || errno == EFAULT || errno == EOPNOTSUPP);
	igt_info("a registered buffer is %s\n",
		 fixed ? strerror(errno) : "taken");

	for (i = 0; i < 8; i++) {
		struct io_uring_sqe sqe = {
			.opcode = !fixed && i & 4 ? IORING_OP_READ_FIXED :
						    IORING_OP_READ,
			.flags = i & 2 ? IOSQE_ASYNC : 0,
			.fd = fileno(f),
			.addr = (uintptr_t)map,
			.len = len,
		};

		if (i & 1)
			settle(&b);
		pattern_make(b.p, data, off, len);
		igt_assert(pwrite(fileno(f), data, len, 0) == (ssize_t)len);
		ret = ring_run(&ring, &sqe);
		igt_assert_eq(ret, len);
		check(&b);
	}
	ring_destroy(&ring);
	free(data);
	fclose(f);
	coh_buf_destroy(&b);
}

/* ---- what wants pages, and gets none -------------------------------------- */

/*
 * These take references to pages, and there are none in a mapping of device memory: the
 * kernel refuses. Those that copy work, and their stores are seen.
 */
#define refused(call, error) do {					\
	errno = 0;							\
	igt_assert_eq((long)(call), -1);				\
	igt_assert_eq(errno, error);					\
} while (0)

/* A page of the mapping, closed or not, and other memory to exchange it with */
struct exchange {
	struct coh_buf b;
	uint64_t off;
	char *map, *data;
	struct iovec in_map, in_data;
};

static struct exchange exchange_start(struct egm_dev *dev)
{
	struct exchange e = {
		.b = coh_buf_warm(dev, SIZE),
		.off = 620 * PAGE + 512,
		.data = malloc(PAGE),
	};

	igt_assert(e.data);
	e.map = (char *)e.b.bo->map + e.off;
	e.in_map = (struct iovec){ e.map, PAGE };
	e.in_data = (struct iovec){ e.data, PAGE };
	settle(&e.b);
	return e;
}

/* New content, for something that has to take it to the mapping */
static void exchange_new(struct exchange *e)
{
	pattern_make(e->b.p, e->data, e->off, PAGE);
}

static void exchange_end(struct exchange *e)
{
	check(&e->b);
	free(e->data);
	coh_buf_destroy(&e->b);
}

/* Of another process's memory. Here it is this one's: what counts is the side. */
static void process_vm(struct egm_dev *dev)
{
	struct exchange e = exchange_start(dev);
	const pid_t pid = getpid();

	refused(process_vm_readv(pid, &e.in_data, 1, &e.in_map, 1, 0), EFAULT);
	refused(process_vm_writev(pid, &e.in_data, 1, &e.in_map, 1, 0), EFAULT);
	check(&e.b);
	igt_assert_eq(process_vm_writev(pid, &e.in_map, 1, &e.in_data, 1, 0), PAGE);
	pattern_assert(e.b.p, e.data, e.off, PAGE);
	exchange_new(&e);
	igt_assert_eq(process_vm_readv(pid, &e.in_map, 1, &e.in_data, 1, 0), PAGE);
	exchange_end(&e);
}

static void splice_pages(struct egm_dev *dev)
{
	struct exchange e = exchange_start(dev);
	int pipes[2];

	igt_assert(!pipe(pipes));
	refused(vmsplice(pipes[1], &e.in_map, 1, 0), EFAULT);
	refused(vmsplice(pipes[1], &e.in_map, 1, SPLICE_F_GIFT), EFAULT);
	check(&e.b);
	/* from a pipe it copies */
	exchange_new(&e);
	igt_assert_eq(write(pipes[1], e.data, PAGE), PAGE);
	igt_assert_eq(vmsplice(pipes[0], &e.in_map, 1, 0), PAGE);
	exchange_end(&e);
	close(pipes[0]);
	close(pipes[1]);
}

static long futex(uint32_t *word, int op, uint32_t val, uint32_t *word2, uint32_t val3)
{
	/* For those that have a second word, how many to wake there: none */
	return syscall(SYS_futex, word, op, val, NULL, word2, val3);
}

/* One that processes share is found by its page, a private one by its address. */
static void futexes(struct egm_dev *dev)
{
	struct exchange e = exchange_start(dev);
	uint32_t *word = (uint32_t *)e.map, other = 0;
	const uint32_t set = 0x5a5;

	refused(futex(word, FUTEX_WAKE, 1, NULL, 0), EFAULT);
	refused(futex(word, FUTEX_WAIT, *word, NULL, 0), EFAULT);
	refused(futex(word, FUTEX_WAIT_PRIVATE, *word + 1, NULL, 0), EAGAIN);
	igt_assert_eq(futex(word, FUTEX_WAKE_PRIVATE, 1, NULL, 0), 0);
	check(&e.b);
	settle(&e.b);
	/* it stores to the second word */
	igt_assert_eq(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, word,
			    FUTEX_OP(FUTEX_OP_SET, set, FUTEX_OP_CMP_EQ, 0)), 0);
	memcpy((char *)e.b.p->want + e.off, &set, sizeof(set));
	exchange_end(&e);
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static void madvise_populate(struct egm_dev *dev)
{
	struct exchange e = exchange_start(dev);
	char *page = e.map - e.off % PAGE;

	refused(madvise(page, PAGE, MADV_POPULATE_READ), EINVAL);
	refused(madvise(page, PAGE, MADV_POPULATE_WRITE), EINVAL);
	exchange_end(&e);
}

/* A directory on 9p without a cache, or a skip */
static void uncached_9p(char dir[128])
{
	FILE *mounts = fopen("/proc/mounts", "r");
	char line[1024], type[32], options[512];
	bool found = false;

	igt_assert(mounts);
	while (!found && fgets(line, sizeof(line), mounts))
		found = sscanf(line, "%*s %127s %31s %511s", dir, type, options) == 3 &&
			!strcmp(type, "9p") && !strstr(options, "cache=") &&
			!access(dir, W_OK);
	fclose(mounts);
	igt_require_f(found, "no 9p without a cache that can be written to\n");
}

/* A file system that has the user's pages read and written, in both directions */
static void refused_file(struct egm_dev *dev, int fd)
{
	struct exchange e = exchange_start(dev);
	int i;

	exchange_new(&e);
	igt_assert_eq(pwrite(fd, e.data, PAGE, 0), PAGE);
	for (i = 0; i < 2; i++) {
		/* large, and small enough to be copied */
		const size_t len = i ? 64 : PAGE;

		refused(pread(fd, e.map, len, 0), EFAULT);
		refused(pwrite(fd, e.map, len, 0), EFAULT);
	}
	/* which left both as they were: the other way is by other memory */
	memset(e.data, 0, PAGE);
	igt_assert_eq(pread(fd, e.data, PAGE, 0), PAGE);
	memcpy(e.map, e.data, PAGE);
	exchange_end(&e);
}

static void file_9p(struct egm_dev *dev)
{
	char path[128 + 16];
	int fd;

	uncached_9p(path);
	strcat(path, "/coherent-XXXXXX");
	fd = mkstemp(path);
	igt_assert(fd >= 0 && !unlink(path));
	refused_file(dev, fd);
	close(fd);
}

static void file_fuse(struct egm_dev *dev)
{
	int fd;
	struct fuse_file *f = fuse_file_create(PAGE, &fd);

	refused_file(dev, fd);
	fuse_file_destroy(f, fd);
}

static const struct coh_subtest subtests[] = {
	{ "poke-ptrace", "C1: PTRACE_POKEDATA is seen (defect 9)", poke_ptrace },
	{ "poke-readonly", "C3: PTRACE_POKEDATA to a read-only mapping", poke_readonly },
	{ "poke-process-vm", "C1: process_vm_writev is refused (EFAULT) or seen (defect 9)", poke_vm },
	{ "poke-proc-mem", "C1: a write to /proc/pid/mem is seen (defect 9)", poke_proc_mem },
	{ "read-into", "C1: read(2) of a file into the mapping", read_into },
	{ "direct-io", "C1: O_DIRECT into the mapping is refused (EFAULT) or seen", direct_io },
	{ "io-uring", "C1: io_uring reads into the mapping; registering it is refused (EFAULT) or seen", uring },
	{ "process-vm", "C1: process_vm_readv and _writev, by both sides: refused (EFAULT) or seen", process_vm },
	{ "vmsplice", "C1: from the mapping refused (EFAULT), into it seen", splice_pages },
	{ "futex", "C1: a shared futex is refused (EFAULT), a private one's store seen", futexes },
	{ "madvise-populate", "C1: MADV_POPULATE_READ and _WRITE are refused (EINVAL)", madvise_populate },
	{ "file-9p", "C1: read and write of a file without a cache: refused (EFAULT)", file_9p },
	{ "file-fuse", "C1: direct read and write of a file on FUSE: refused (EFAULT)", file_fuse },
};

int coh_main()
{
	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
