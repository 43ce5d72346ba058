// SPDX-License-Identifier: MIT
/**
 * TEST: coherent readback wait
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management tests
 * Functionality: coherent buffers
 * Description: Contract C2 while the device takes its time, or fails: what waits for it,
 *	what else goes on meanwhile, and what ends the wait. Fences that take as long as a
 *	test wants are from sw_sync.
 *
 * SUBTEST: fence
 * Description: C2: loads and stores wait for a fence that takes long
 *
 * SUBTEST: killed
 * Description: C2: a process that waits can be killed
 *
 * SUBTEST: signals
 * Description: C2: a thread that waits handles signals
 *
 * SUBTEST: signals-often
 * Description: C2: more signals than waits
 *
 * SUBTEST: last-reference
 * Description: C3: the thread that waits has the last reference to the buffer
 *
 * SUBTEST: mmap-meanwhile
 * Description: C2: a thread that waits does not hold mmap_lock
 *
 * SUBTEST: submit-meanwhile
 * Description: C2: a thread that waits does not delay a submitter
 *
 * SUBTEST: device-error
 * Description: C2: SIGBUS or EFAULT if the device fails
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "readback.h"

IGT_TEST_DESCRIPTION("Coherent buffers: waiting for what the device writes");

struct sw_sync_create_fence {
	uint32_t value;
	char name[32];
	int32_t fence;
};

#define SW_SYNC_CREATE_FENCE _IOWR('W', 0, struct sw_sync_create_fence)
#define SW_SYNC_INC _IOW('W', 1, uint32_t)

struct import_sync_file {
	uint32_t flags;
	int32_t fd;
};

#ifndef DMA_BUF_IOCTL_IMPORT_SYNC_FILE
#define DMA_BUF_IOCTL_IMPORT_SYNC_FILE _IOW(DMA_BUF_BASE, 3, struct import_sync_file)
#endif

/* The buffer is busy, as with a device that writes it, until the timeline moves. */
static int make_busy(struct buf *b)
{
	int timeline = open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC);
	struct sw_sync_create_fence create = { .value = 1, .name = "test" };
	struct import_sync_file import = { .flags = DMA_BUF_SYNC_WRITE };
	int fd;

	igt_require_f(timeline >= 0, "needs CONFIG_SW_SYNC: %s\n",
		      strerror(errno));
	igt_assert(!ioctl(timeline, SW_SYNC_CREATE_FENCE, &create));
	import.fd = create.fence;
	fd = coh_export_mappable(b->bo);
	igt_assert(!ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import));
	close(fd);
	close(create.fence);
	return timeline;
}

static void end_busy(int timeline)
{
	uint32_t one = 1;

	igt_assert(!ioctl(timeline, SW_SYNC_INC, &one));
	close(timeline);
}

/* Whether the child does not come to an end by itself. */
static bool is_blocked(pid_t pid)
{
	usleep(300000);
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void fence(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i;

	for (i = 0; i < 4; i++) {
		const uint64_t off = (60 + i) * PAGE;
		int timeline;
		pid_t pid;

		device_fill(&b, off, PAGE);
		timeline = make_busy(&b);
		pid = coh_child_start();
		if (!pid) {
			volatile uint64_t *word = (uint64_t *)b.bo->map + off / 8;

			/* a store waits, too, or it would be overwritten */
			if (i & 1)
				*word = 1;
			_exit(*word != (i & 1 ? 1 : b.p->want[off / 8]));
		}
		igt_assert(is_blocked(pid));
		/* it waits without the lock of the address space */
		end_busy(timeline);
		igt_assert_eq(coh_child_wait(pid), 0);
		if (i & 1)
			b.p->want[off / 8] = 1;
		check(&b);
	}
	check_device(&b);
	teardown(&b);
}

static void killed(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	int i, pipes[2], timeline;

	igt_assert(!pipe(pipes));
	device_fill(&b, 60 * PAGE, PAGE);
	timeline = make_busy(&b);
	for (i = 0; i < 3; i++) {
		const char *map = (char *)b.bo->map + 60 * PAGE;
		pid_t pid = coh_child_start();
		double begun;
		int status;

		if (!pid) {
			if (i == 0)
				_exit(*(volatile char *)map);
			if (i == 1)
				*(volatile char *)map = 0;
			/* the kernel's access for it */
			_exit(write(pipes[1], map, 16) != 16);
		}
		igt_assert(is_blocked(pid));
		begun = coh_now();
		kill(pid, SIGKILL);
		status = coh_child_wait(pid);
		igt_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		igt_assert_f(coh_now() - begun < 5, "killed after %.1f s\n",
			     coh_now() - begun);
	}
	end_busy(timeline);
	check(&b);
	check_device(&b);
	close(pipes[0]);
	close(pipes[1]);
	teardown(&b);
}

/* Signals that a process has handled, in memory that its parent sees */
static _Atomic int *handled;

static void count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(handled, 1);
}

static void handle_signals(int sig)
{
	const struct sigaction act = {
		.sa_handler = count_signal,
		.sa_flags = SA_RESTART,
	};

	igt_assert(!sigaction(sig, &act, NULL));
}

static bool has_handled(int n)
{
	int ms;

	for (ms = 0; ms < 5000 && atomic_load(handled) < n; ms += 10)
		usleep(10000);
	return atomic_load(handled) >= n;
}

/*
 * Whose load or store waits handles its signals, and waits again. Whose system call
 * does, handles them when that is done: it is not cut short.
 */
static void signals(struct egm_dev *dev)
{
	enum { LOAD, STORE, SYSCALL } access;
	struct buf b = setup(dev);
	int pipes[2];

	handled = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	igt_assert(handled != MAP_FAILED && !pipe(pipes));
	for (access = LOAD; access <= SYSCALL; access++) {
		const uint64_t at = (60 + access) * PAGE / 8;
		volatile uint64_t *word = (uint64_t *)b.bo->map + at;
		uint64_t copy = 1;
		int timeline, i;
		pid_t pid;

		device_fill(&b, at * 8, PAGE);
		timeline = make_busy(&b);
		atomic_store(handled, 0);
		pid = coh_child_start();
		if (!pid) {
			handle_signals(SIGUSR1);
			if (access == SYSCALL)
				_exit(write(pipes[1], (const void *)word, 8) != 8 ||
				      !atomic_load(handled));
			if (access == STORE)
				*word = copy;
			_exit(*word != (access == STORE ? copy : b.p->want[at]));
		}
		igt_assert(is_blocked(pid));
		for (i = 1; i <= 2; i++) {
			kill(pid, SIGUSR1);
			igt_assert(access == SYSCALL || has_handled(i));
		}
		igt_assert(is_blocked(pid));
		end_busy(timeline);
		igt_assert_eq(coh_child_wait(pid), 0);
		if (access == STORE)
			b.p->want[at] = copy;
		if (access == SYSCALL) {
			igt_assert_eq(read(pipes[0], &copy, 8), 8);
			igt_assert_eq_u64(copy, b.p->want[at]);
		}
		check(&b);
	}
	check_device(&b);
	munmap((void *)handled, PAGE);
	close(pipes[0]);
	close(pipes[1]);
	teardown(&b);
}

/* However often they come, what is waited for is got. */
static void signals_often(struct egm_dev *dev)
{
	const struct itimerval on = { { 0, 2000 }, { 0, 2000 } }, off = { };
	struct buf b = setup(dev);
	int i;

	handled = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	igt_assert(handled != MAP_FAILED);
	handle_signals(SIGALRM);
	igt_assert(!setitimer(ITIMER_REAL, &on, NULL));
	for (i = 0; i < 20; i++) {
		device_fill(&b, KiB(8) * i, MiB(1));
		if (i & 1)
			fill(&b, KiB(8) * i + MiB(1) / 2, PAGE);
		check(&b);
	}
	igt_assert(!setitimer(ITIMER_REAL, &off, NULL));
	igt_info("%d signals\n", atomic_load(handled));
	igt_assert_lt(0, atomic_load(handled));
	signal(SIGALRM, SIG_DFL);
	check_device(&b);
	munmap((void *)handled, PAGE);
	teardown(&b);
}

static void *reader(void *arg)
{
	return (void *)(uintptr_t)*(volatile uint64_t *)arg;
}

static void *end_busy_soon(void *arg)
{
	sleep(1);
	end_busy(*(int *)arg);
	return NULL;
}

/*
 * The thread that waits has the last reference to the buffer: mappings and handle are gone, and
 * with them what it would have read. The buffer goes when the wait is over.
 */
static void last_reference(struct egm_dev *dev)
{
	int before = coh_tracked_at_rest(dev), i;

	for (i = 0; i < 5; i++) {
		struct buf b = setup(dev);
		struct turn gone = turn_new();
		int timeline, status;
		pthread_t thread;
		pid_t pid;

		device_fill(&b, 60 * PAGE, PAGE);
		timeline = make_busy(&b);
		pid = coh_child_start();
		if (!pid) {
			signal(SIGSEGV, SIG_DFL);
			if (pthread_create(&thread, NULL, reader,
					   (char *)b.bo->map + 60 * PAGE))
				_exit(1);
			usleep(300000);
			munmap(b.bo->map, SIZE);
			turn_pass(&gone);
			pthread_join(thread, NULL);
			_exit(2);
		}
		turn_await(&gone);
		/* vmob waits for the device when a buffer is closed */
		igt_assert(!pthread_create(&thread, NULL, end_busy_soon, &timeline));
		teardown(&b);
		igt_assert(!pthread_join(thread, NULL));
		status = coh_child_wait(pid);
		igt_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		turn_free(&gone);
		coh_assert_tracked(dev, before);
	}
}

/* Other threads go on while one waits: it does not hold mmap_lock. */
static void mmap_meanwhile(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	const uint64_t off = 60 * PAGE;
	double begun;
	pthread_t thread;
	void *value;
	int i, timeline;

	device_fill(&b, off, PAGE);
	timeline = make_busy(&b);
	igt_assert(!pthread_create(&thread, NULL, reader,
				   (char *)b.bo->map + off));
	usleep(300000);
	begun = coh_now();
	for (i = 0; i < 100; i++) {
		void *map = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);

		igt_assert(map != MAP_FAILED);
		igt_assert(!munmap(map, PAGE));
		pattern_fill(b.from, b.src->map, 0, PAGE);
		igt_assert_f(coh_now() - begun < 5, "mmap_lock is held\n");
	}
	end_busy(timeline);
	igt_assert(!pthread_join(thread, &value));
	igt_assert_eq_u64((uintptr_t)value, b.p->want[off / 8]);
	check(&b);
	teardown(&b);
}

/* A thread that waits for a buffer does not delay a submitter with the same buffer. */
static void submit_meanwhile(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	const uint64_t off = 60 * PAGE;
	int i, timeline;
	double begun;
	pid_t pid;

	device_fill(&b, off, PAGE);
	timeline = make_busy(&b);
	pid = coh_child_start();
	if (!pid)
		_exit(*((volatile uint64_t *)b.bo->map + off / 8) !=
		      b.p->want[off / 8]);
	igt_assert(is_blocked(pid));
	begun = coh_now();
	for (i = 0; i < 20; i++) {
		device_fill(&b, (100 + i) * PAGE, PAGE);
		igt_assert_f(coh_now() - begun < 10, "the submitter waits\n");
	}
	igt_assert(is_blocked(pid));
	end_busy(timeline);
	igt_assert_eq(coh_child_wait(pid), 0);
	check(&b);
	teardown(&b);
}

/* ---- a device that fails ----------------------------------------------- */

static void fail_read_backs(const struct egm_dev *dev, bool fail)
{
	static const char *const name[] = {
		"interval", "space", "verbose", "times", "probability"
	};
	const int value[] = { 1, 0, 0, -1, fail ? 100 : 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(name); i++) {
		char file[64];
		FILE *f;

		snprintf(file, sizeof(file), "fail_read_back/%s", name[i]);
		f = egm_debugfs_open(&dev->node, file, true);
		igt_require_f(f, "needs CONFIG_FAULT_INJECTION_DEBUG_FS: %s: %s\n",
			      file, strerror(errno));
		igt_assert(fprintf(f, "%d\n", value[i]) > 0 && !fclose(f));
	}
}

/* No stale data: an access fails, and nothing is lost for later. */
static void device_error(struct egm_dev *dev)
{
	struct buf b = setup(dev);
	volatile uint64_t *word = (uint64_t *)b.bo->map + 60 * PAGE / 8;
	int i, pipes[2];

	igt_assert(!pipe(pipes));
	fill(&b, 61 * PAGE, PAGE);
	device_fill_wait(&b, 60 * PAGE, PAGE);
	fail_read_backs(dev, true);
	for (i = 0; i < 2; i++) {
		pid_t pid = coh_child_start();
		int status;

		if (!pid) {
			signal(SIGBUS, SIG_DFL);
			if (i)
				*word = 0;
			_exit(*word == 0);
		}
		status = coh_child_wait(pid);
		igt_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	}
	igt_assert_eq(write(pipes[1], (void *)word, 8), -1);
	igt_assert_eq(errno, EFAULT);
	fail_read_backs(dev, false);
	check(&b);
	check_device(&b);
	close(pipes[0]);
	close(pipes[1]);
	teardown(&b);
}

static const struct coh_subtest subtests[] = {
	{ "fence", "C2: loads and stores wait for a fence that takes long", fence },
	{ "killed", "C2: a process that waits can be killed", killed },
	{ "signals", "C2: a thread that waits handles signals", signals },
	{ "signals-often", "C2: more signals than waits", signals_often },
	{ "last-reference", "C3: the thread that waits has the last reference to the buffer", last_reference },
	{ "mmap-meanwhile", "C2: a thread that waits does not hold mmap_lock", mmap_meanwhile },
	{ "submit-meanwhile", "C2: a thread that waits does not delay a submitter", submit_meanwhile },
	{ "device-error", "C2: SIGBUS or EFAULT if the device fails", device_error },
};

int coh_main()
{
	coh_subtests(subtests, ARRAY_SIZE(subtests));
}
