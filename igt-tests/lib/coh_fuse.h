/* SPDX-License-Identifier: MIT */
/*
 * A file on a FUSE file system, which a thread of this process serves. Its reads
 * and writes are direct: the kernel hands the server the caller's own pages.
 */
#ifndef COH_FUSE_H
#define COH_FUSE_H

#include <stddef.h>

struct fuse_file;

/* A file of this size, or a skip. The file descriptor for it goes to *fd. */
struct fuse_file *fuse_file_create(size_t size, int *fd);

/* Closes fd, too. */
void fuse_file_destroy(struct fuse_file *f, int fd);

#endif /* COH_FUSE_H */
