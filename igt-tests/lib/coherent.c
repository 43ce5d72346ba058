// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "coherent.h"
#include "igt_core.h"
#include "igt_device_scan.h"

#define MAX_DEVS 64

/* Those that are open, for what a failed subtest has left behind */
static struct egm_dev *coh_devs[MAX_DEVS];

static struct egm_dev *dev_add(struct egm_dev *dev)
{
	int i;

	for (i = 0; i < MAX_DEVS && coh_devs[i]; i++)
		;
	igt_assert(i < MAX_DEVS);
	coh_devs[i] = dev;
	return dev;
}

void coh_close(struct egm_dev *dev)
{
	int i;

	for (i = 0; i < MAX_DEVS; i++)
		if (coh_devs[i] == dev)
			coh_devs[i] = NULL;
	egm_close(dev);
}

/*
 * The nodes of a driver, or those of them that IGT's --device asks for. It is not
 * IGT that opens them: it does not know vmob.
 */
static int driver_nodes(const char *driver, struct egm_node nodes[MAX_DEVS])
{
	int i, f, n = egm_nodes(nodes, MAX_DEVS), filters = igt_device_filter_count();
	struct igt_device_card card;
	int found = 0;

	for (i = 0; i < n; i++) {
		bool wanted = !filters;

		for (f = 0; f < filters && !wanted; f++)
			wanted = igt_device_card_match(igt_device_filter_get(f), &card) &&
				 !strcmp(card.render, nodes[i].path);
		if (wanted && !strcmp(nodes[i].driver, driver))
			nodes[found++] = nodes[i];
	}
	return found;
}

static struct egm_dev *open_driver(const struct egm_driver *drv, bool coherent)
{
	struct egm_node nodes[MAX_DEVS];
	struct egm_dev *dev = NULL;
	char err[EGM_ERR];
	int i, n;

	for (i = 0; i < MAX_DEVS; i++)
		if (coh_devs[i])
			coh_close(coh_devs[i]);

	snprintf(err, sizeof(err), "no %s render node below /dev/dri", drv->name);
	n = driver_nodes(drv->name, nodes);
	for (i = 0; i < n && !dev; i++)
		if (egm_open(&dev, nodes[i].path, coherent, err))
			dev = NULL;
	if (!dev)
		igt_skip("%s\n", err);
	return dev_add(dev);
}

struct egm_dev *coh_open(const struct egm_driver *drv)
{
	return open_driver(drv, true);
}

struct egm_dev *coh_open_plain(const struct egm_driver *drv)
{
	return open_driver(drv, false);
}

struct egm_dev *coh_open_again(const struct egm_dev *dev)
{
	struct egm_dev *again;
	char err[EGM_ERR];

	igt_assert_f(!egm_open(&again, dev->node.path, false, err), "%s\n", err);
	return dev_add(again);
}

int coh_open_node(const char *driver, int flags)
{
	struct egm_node nodes[MAX_DEVS], node;
	int i, n = driver_nodes(driver, nodes), fd = -ENODEV;

	for (i = 0; i < n && fd < 0; i++)
		fd = egm_node_open(&node, nodes[i].path, flags);

	igt_require_f(fd >= 0, "no %s render node below /dev/dri\n", driver);
	return fd;
}

bool coh_feature(const struct egm_dev *dev, const char *name, const char *value)
{
	FILE *f = egm_debugfs_open(&dev->node, "virtio-gpu-features", false);
	char line[160], want[160];
	bool found = false;

	igt_require_f(f, "virtio-gpu-features in debugfs: %s\n", strerror(errno));
	snprintf(want, sizeof(want), "%-16s : %s\n", name, value);
	while (fgets(line, sizeof(line), f))
		found |= !strcmp(line, want);
	fclose(f);
	return found;
}

static struct egm_bo *create(struct egm_dev *dev, uint64_t size, bool coherent)
{
	struct egm_bo *bo;
	int ret = egm_bo_create(dev, size, coherent, &bo);

	igt_assert_f(!ret, "%s buffer of %" PRIu64 " bytes: %s\n",
		     coherent ? "coherent" : "plain", size, strerror(-ret));
	return bo;
}

struct egm_bo *coh_create(struct egm_dev *dev, uint64_t size)
{
	return create(dev, size, true);
}

struct egm_bo *coh_create_plain(struct egm_dev *dev, uint64_t size)
{
	return create(dev, size, false);
}

struct egm_bo *coh_import(struct egm_dev *dev, int dmabuf)
{
	struct egm_bo *bo;
	int ret = egm_bo_import(dev, dmabuf, &bo);

	igt_assert_f(!ret, "import: %s\n", strerror(-ret));
	return bo;
}

int coh_export(const struct egm_bo *bo)
{
	int fd = egm_bo_export(bo);

	igt_assert_f(fd >= 0, "export: %s\n", strerror(-fd));
	return fd;
}

bool coh_dmabuf_has_memory(const struct egm_dev *dev)
{
	return dev->drv != &egm_vmwgfx;
}

int coh_export_mappable(const struct egm_bo *bo)
{
	igt_require_f(coh_dmabuf_has_memory(bo->dev),
		      "a dma-buf of vmwgfx's surfaces can't be mapped\n");
	return coh_export(bo);
}

void *coh_map(const struct egm_bo *bo, int prot, uint64_t len)
{
	void *map = egm_bo_mmap(bo, prot, MAP_SHARED, len);

	igt_assert_f(map != MAP_FAILED, "mmap of %" PRIu64 " bytes: %s\n", len,
		     strerror(errno));
	return map;
}

void *coh_map_dmabuf(int dmabuf, uint64_t len)
{
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf,
			 0);

	igt_assert_f(map != MAP_FAILED, "mmap of the dma-buf: %s\n",
		     strerror(errno));
	return map;
}

void coh_submit(struct egm_dev *dev, const struct egm_copy *copies,
		int n_copies, struct egm_bo *const *also, int n_also)
{
	int ret = egm_submit(dev, copies, n_copies, also, n_also);

	igt_assert_f(!ret, "submission: %s\n", strerror(-ret));
}

void coh_touch(struct egm_bo *bo)
{
	coh_submit(bo->dev, NULL, 0, &bo, 1);
}

void coh_snapshot(const struct egm_bo *bo, const struct egm_bo *snap)
{
	int ret = egm_snapshot(bo, snap);

	igt_assert_f(!ret, "snapshot: %s\n", strerror(-ret));
}

const void *coh_fetch(const struct egm_bo *snap)
{
	int ret = egm_fetch(snap, snap->size);

	igt_assert_f(!ret, "fetch: %s\n", strerror(-ret));
	return snap->map;
}

uint32_t coh_free_handle(struct egm_dev *dev)
{
	struct egm_bo *bo = coh_create(dev, PAGE);
	uint32_t handle = bo->handle;

	egm_bo_destroy(bo);
	return handle;
}

void coh_assert_works(struct egm_dev *dev, uint32_t handle)
{
	struct coh_buf b = coh_buf_warm(dev, 16 * PAGE);

	/* none was kept by a failed request */
	igt_assert_eq(b.bo->handle, handle);
	coh_buf_destroy(&b);
}

void coh_wait(const struct egm_bo *bo)
{
	int ret = egm_wait(bo);

	igt_assert_f(!ret, "wait: %s\n", strerror(-ret));
}

struct coh_buf coh_buf_create(struct egm_dev *dev, uint64_t size)
{
	return (struct coh_buf){
		.dev = dev,
		.bo = coh_create(dev, size),
		.snap = coh_create_plain(dev, size),
		.p = pattern_new(size),
	};
}

struct coh_buf coh_buf_warm(struct egm_dev *dev, uint64_t size)
{
	struct coh_buf b = coh_buf_create(dev, size);

	pattern_fill(b.p, b.bo->map, 0, size);
	coh_buf_check(&b);
	return b;
}

void coh_buf_check(struct coh_buf *b)
{
	coh_snapshot(b->bo, b->snap);
	pattern_assert(b->p, coh_fetch(b->snap), 0, b->bo->size);
}

void coh_buf_destroy(struct coh_buf *b)
{
	egm_bo_destroy(b->bo);
	egm_bo_destroy(b->snap);
	pattern_free(b->p);
}

#define PENDING_SIZE MiB(1)

struct coh_pending coh_pending_create(struct egm_dev *dev)
{
	struct coh_pending p = {
		.stored = coh_buf_warm(dev, PENDING_SIZE),
		.written = coh_buf_warm(dev, PENDING_SIZE),
		.src = coh_buf_warm(dev, PENDING_SIZE),
	};
	const struct egm_copy copy = {
		.dst = p.written.bo, .src = p.src.bo, .len = PENDING_SIZE,
	};

	pattern_fill(p.src.p, p.src.bo->map, 0, PENDING_SIZE);
	coh_submit(dev, &copy, 1, NULL, 0);
	pattern_copied(p.written.p, 0, p.src.p, 0, PENDING_SIZE);
	pattern_fill(p.stored.p, p.stored.bo->map, 5 * PAGE, 2 * PAGE);
	return p;
}

void coh_pending_check(struct coh_pending *p)
{
	pattern_assert(p->written.p, p->written.bo->map, 0, PENDING_SIZE);
	coh_buf_check(&p->stored);
	coh_buf_check(&p->written);
	pattern_fill(p->stored.p, p->stored.bo->map, 6 * PAGE, 2 * PAGE);
	coh_buf_check(&p->stored);
}

/* A load or a store in a process of its own: the signal that ends it, or 0 */
static int signal_of_access(volatile uint64_t *word, bool store)
{
	pid_t pid = coh_child_start();
	int status;

	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		if (store)
			*word = 1;
		_exit(*word == 0);
	}
	status = coh_child_wait(pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void coh_pending_check_gone(struct coh_pending *p)
{
	struct egm_dev *dev = p->stored.dev;
	uint64_t *stored = p->stored.bo->map, *written = p->written.bo->map;
	struct egm_bo *bo = p->stored.bo;
	uint32_t handle, res;
	int pipes[2];

	igt_assert_eq(egm_submit(dev, NULL, 0, &bo, 1), -ENODEV);
	igt_assert_eq(egm_wait(bo), -ENODEV);
	igt_assert_eq(dev->drv->create(dev->fd, PENDING_SIZE, &handle, &res), -ENODEV);

	igt_assert_eq(signal_of_access(written, false), SIGBUS);
	igt_assert_eq(signal_of_access(written + PENDING_SIZE / 16, true), SIGBUS);
	igt_assert(!pipe(pipes));
	igt_assert_eq(write(pipes[1], written, 8), -1);
	igt_assert_eq(errno, EFAULT);
	close(pipes[0]);
	close(pipes[1]);

	pattern_assert(p->stored.p, stored, 0, PENDING_SIZE);
	pattern_fill(p->stored.p, stored, 0, PENDING_SIZE);
	pattern_assert(p->stored.p, stored, 0, PENDING_SIZE);
}

void coh_pending_destroy(struct coh_pending *p)
{
	coh_buf_destroy(&p->stored);
	coh_buf_destroy(&p->written);
	coh_buf_destroy(&p->src);
}

static void end_with_sigbus(int sig)
{
	(void)sig;
	_exit(0);
}

/* Returns 0 when it was ENODEV. Tells when it has begun. */
static int use_until_gone(struct egm_dev *dev, int begun)
{
	struct egm_bo *a, *b;
	uint64_t i, n = 0;
	int ret;

	signal(SIGBUS, end_with_sigbus);
	ret = egm_bo_create(dev, PENDING_SIZE, true, &a);
	if (!ret)
		ret = egm_bo_create(dev, PENDING_SIZE, true, &b);
	while (!ret) {
		const struct egm_copy copy = { .dst = b, .src = a, .len = PENDING_SIZE };

		for (i = 0; i < PENDING_SIZE / 8; i += 1 + n % 700)
			((volatile uint64_t *)a->map)[i] = n++;
		ret = egm_submit(dev, &copy, 1, NULL, 0);
		if (begun >= 0 && write(begun, "", 1) == 1)
			begun = -1;
		for (i = 0; i < PENDING_SIZE / 8; i += 9 * PAGE / 8)
			n += ((volatile uint64_t *)b->map)[i];
	}
	return ret != -ENODEV;
}

struct coh_users coh_users_start(struct egm_dev *dev)
{
	struct coh_users users;
	int begun[2], i;
	char c;

	igt_assert(!pipe(begun));
	for (i = 0; i < COH_USERS; i++) {
		users.pids[i] = fork();
		igt_assert(users.pids[i] >= 0);
		if (!users.pids[i])
			_exit(use_until_gone(coh_open_again(dev), begun[1]));
	}
	for (i = 0; i < COH_USERS; i++)
		igt_assert_eq(read(begun[0], &c, 1), 1);
	close(begun[0]);
	close(begun[1]);
	return users;
}

void coh_users_check_gone(struct coh_users *users)
{
	int i, status;

	for (i = 0; i < COH_USERS; i++) {
		igt_assert(waitpid(users->pids[i], &status, 0) == users->pids[i]);
		igt_assert_f(WIFEXITED(status) && !WEXITSTATUS(status),
			     "a user of the device ends with %#x\n", status);
	}
}

void coh_users_end(struct coh_users *users)
{
	int i;

	sleep(1);
	for (i = 0; i < COH_USERS; i++) {
		igt_assert_eq(waitpid(users->pids[i], NULL, WNOHANG), 0);
		kill(users->pids[i], SIGKILL);
		igt_assert(waitpid(users->pids[i], NULL, 0) == users->pids[i]);
	}
}

void coh_counters(const struct egm_dev *dev, struct egm_counters *c)
{
	char err[EGM_ERR];

	igt_require_f(!egm_counters_read(&dev->node, c, err), "%s\n", err);
}

uint64_t coh_counter(const struct egm_counters *c, const char *name)
{
	const uint64_t *value = egm_counter(c, name);

	igt_require_f(value, "no counter \"%s\" in debugfs\n", name);
	return *value;
}

uint64_t coh_delta(const struct egm_counters *before,
		   const struct egm_counters *after, const char *name)
{
	return coh_counter(after, name) - coh_counter(before, name);
}

int coh_tracked(const struct egm_dev *dev)
{
	struct egm_table table;
	char err[EGM_ERR];
	int n;

	igt_require_f(!egm_table_read(&dev->node, &table, err), "%s\n", err);
	n = table.n_rows;
	egm_table_free(&table);
	return n;
}

int coh_tracked_at_rest(const struct egm_dev *dev)
{
	int n = coh_tracked(dev), before, ms = 0;

	do {
		before = n;
		usleep(100000);
		n = coh_tracked(dev);
	} while (n != before && (ms += 100) < 5000);
	return n;
}

void coh_assert_tracked(const struct egm_dev *dev, int n)
{
	int ms;

	for (ms = 0; ms < 5000 && coh_tracked(dev) != n; ms += 10)
		usleep(10000);
	igt_assert_eq(coh_tracked(dev), n);
}

void coh_drop_uploads(const struct egm_dev *dev, unsigned int n)
{
	char err[EGM_ERR];

	igt_require_f(!egm_lose_uploads(&dev->node, n, err), "%s\n", err);
}

/* ---- options */

enum {
	OPT_BUFFERS = 'b',
	OPT_DRIVER = 'd',
	OPT_ROUNDS = 'r',
	OPT_SECONDS = 't',
	OPT_SEED = 's',
	OPT_STORES = 'w',
	OPT_UNMAPS = 'u',
};

const struct option coh_options[] = {
	{ "buffers", required_argument, NULL, OPT_BUFFERS },
	{ "driver", required_argument, NULL, OPT_DRIVER },
	{ "rounds", required_argument, NULL, OPT_ROUNDS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "stores", required_argument, NULL, OPT_STORES },
	{ "unmaps", required_argument, NULL, OPT_UNMAPS },
	{ }
};

const char coh_help[] =
	"  --driver NAME[,NAME...]\tthe drivers to test; all that there are by default\n"
	"  --seed NUMBER\t\trepeat the random choices of the run that has printed it\n"
	"  --buffers NUMBER\t\tof few-of-many\n"
	"  --rounds NUMBER\t\tof coherent_readback's ping-pong\n"
	"  --seconds NUMBER\t\tof coherent_vmwgfx's race\n"
	"  --stores NUMBER\t\tof stress\n"
	"  --unmaps NUMBER\t\tof unmap";

struct coh_counts coh_counts;

/* Those that --driver names, and a NULL */
static const struct egm_driver *chosen[8];

static bool choose_drivers(const char *list)
{
	char names[128], *name, *save;
	size_t n = 0;

	snprintf(names, sizeof(names), "%s", list);
	for (name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		const struct egm_driver *drv = egm_driver_find(name);

		if (!drv || n == ARRAY_SIZE(chosen) - 1) {
			fprintf(stderr, "--driver: there is no driver %s here\n", name);
			return false;
		}
		chosen[n++] = drv;
	}
	return n;
}

int coh_option(int opt, int index, void *data)
{
	unsigned long *const counts[] = {
		[OPT_BUFFERS] = &coh_counts.buffers,
		[OPT_ROUNDS] = &coh_counts.rounds,
		[OPT_SECONDS] = &coh_counts.seconds,
		[OPT_STORES] = &coh_counts.stores,
		[OPT_UNMAPS] = &coh_counts.unmaps,
	};
	unsigned long long number;
	char *end;

	(void)index;
	(void)data;
	if (opt == OPT_DRIVER)
		return choose_drivers(optarg) ? IGT_OPT_HANDLER_SUCCESS :
						IGT_OPT_HANDLER_ERROR;

	errno = 0;
	number = strtoull(optarg, &end, 0);
	if (errno || *end || !number) {
		fprintf(stderr, "not a number above 0: %s\n", optarg);
		return IGT_OPT_HANDLER_ERROR;
	}
	if (opt == OPT_SEED)
		seed_set(number);
	else
		*counts[opt] = number;
	return IGT_OPT_HANDLER_SUCCESS;
}

const struct egm_driver *coh_driver(int i)
{
	return chosen[0] ? chosen[i] : egm_drivers[i];
}

void coh_subtests(const struct coh_subtest *tests, size_t n)
{
	/* survive the jump out of a failing subtest */
	static size_t i, d;

	for (i = 0; i < n; i++) {
		igt_describe(tests[i].description);
		igt_subtest_with_dynamic(tests[i].name) {
			for (d = 0; coh_driver(d); d++) {
				igt_dynamic(coh_driver(d)->name) {
					struct egm_dev *dev = coh_open(coh_driver(d));

					tests[i].run(dev);
					coh_close(dev);
				}
			}
		}
	}
}

void coh_subtests_of(const struct egm_driver *drv,
		     const struct coh_subtest *tests, size_t n)
{
	static size_t i;

	for (i = 0; i < n; i++) {
		igt_describe(tests[i].description);
		igt_subtest(tests[i].name) {
			struct egm_dev *dev = coh_open(drv);

			tests[i].run(dev);
			coh_close(dev);
		}
	}
}

pid_t coh_child_start(void)
{
	pid_t pid = fork();

	igt_assert(pid >= 0);
	return pid;
}

int coh_child_wait(pid_t pid)
{
	int status;

	igt_assert(waitpid(pid, &status, 0) == pid);
	return status;
}

double coh_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1e-9 * t.tv_nsec;
}

int coh_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

uint64_t coh_meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "r");
	uint64_t kib, found = 0;
	char line[128], key[40];

	igt_assert(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%39s %" SCNu64, key, &kib) == 2 &&
		    !strcmp(key, name))
			found = kib * 1024;
	fclose(f);
	return found;
}
