// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "igt_core.h"
#include "coh_fuse.h"

/*
 * The file is the root of its file system, which is mounted on another file: so
 * there are no directories and no names.
 */
struct fuse_file {
	char path[32];
	int dev;
	pthread_t server;
	size_t size;
	char *data;
	/* A request and what is written with it */
	char *request;
	size_t request_size;
};

static void reply(struct fuse_file *f, uint64_t unique, int error, const void *arg,
		  size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + len,
		.error = error,
		.unique = unique,
	};
	const struct iovec parts[] = {
		{ &out, sizeof(out) },
		{ (void *)arg, len },
	};

	/* ENOENT: the request was interrupted. */
	if (writev(f->dev, parts, 2) < 0 && errno != ENOENT)
		igt_warn("FUSE reply: %s\n", strerror(errno));
}

static void serve(struct fuse_file *f, const struct fuse_in_header *in)
{
	const void *arg = in + 1;

	switch (in->opcode) {
	case FUSE_INIT: {
		const struct fuse_init_in *init = arg;
		struct fuse_init_out out = {
			.major = FUSE_KERNEL_VERSION,
			.minor = FUSE_KERNEL_MINOR_VERSION,
			.max_readahead = init->max_readahead,
			.max_write = f->size,
		};

		reply(f, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out out = {
			.attr = {
				.ino = FUSE_ROOT_ID,
				.mode = S_IFREG | 0600,
				.nlink = 1,
				.size = f->size,
			},
		};

		reply(f, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out out = { .open_flags = FOPEN_DIRECT_IO };

		reply(f, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_READ: {
		const struct fuse_read_in *rd = arg;

		if (rd->offset > f->size || rd->size > f->size - rd->offset)
			reply(f, in->unique, -EINVAL, NULL, 0);
		else
			reply(f, in->unique, 0, f->data + rd->offset, rd->size);
		break;
	}
	case FUSE_WRITE: {
		const struct fuse_write_in *wr = arg;
		struct fuse_write_out out = { .size = wr->size };

		if (wr->offset > f->size || wr->size > f->size - wr->offset) {
			reply(f, in->unique, -EINVAL, NULL, 0);
			break;
		}
		memcpy(f->data + wr->offset, wr + 1, wr->size);
		reply(f, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(f, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(f, in->unique, -ENOSYS, NULL, 0);
	}
}

/* Until the file system is unmounted */
static void *server(void *arg)
{
	struct fuse_file *f = arg;
	ssize_t n;

	for (;;) {
		n = read(f->dev, f->request, f->request_size);
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			serve(f, (const void *)f->request);
		else if (n >= 0 || (errno != EINTR && errno != ENOENT))
			return NULL;
	}
}

struct fuse_file *fuse_file_create(size_t size, int *fd)
{
	struct fuse_file *f = calloc(1, sizeof(*f));
	char options[96];
	int ret;

	igt_assert(f);
	f->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	igt_require_f(f->dev >= 0, "no FUSE in this kernel: %s\n", strerror(errno));
	f->size = size;
	f->data = calloc(1, size);
	f->request_size = size + FUSE_MIN_READ_BUFFER;
	f->request = malloc(f->request_size);
	igt_assert(f->data && f->request);

	strcpy(f->path, "/tmp/coherent-XXXXXX");
	ret = mkstemp(f->path);
	igt_assert(ret >= 0);
	close(ret);
	snprintf(options, sizeof(options), "fd=%d,rootmode=%o,user_id=0,group_id=0",
		 f->dev, S_IFREG | 0600);
	ret = mount("coherent", f->path, "fuse", MS_NOSUID | MS_NODEV, options);
	if (ret)
		unlink(f->path);
	igt_assert_f(!ret, "FUSE does not mount: %s\n", strerror(errno));
	igt_assert(!pthread_create(&f->server, NULL, server, f));
	*fd = open(f->path, O_RDWR | O_CLOEXEC);
	igt_assert_f(*fd >= 0, "%s: %s\n", f->path, strerror(errno));
	return f;
}

void fuse_file_destroy(struct fuse_file *f, int fd)
{
	close(fd);
	igt_assert(!umount2(f->path, MNT_DETACH));
	igt_assert(!pthread_join(f->server, NULL));
	unlink(f->path);
	close(f->dev);
	free(f->request);
	free(f->data);
	free(f);
}
