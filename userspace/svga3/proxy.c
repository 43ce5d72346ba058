// SPDX-License-Identifier: MIT
/*
 * QEMU's end: the messages of an x-pci-proxy-dev of QEMU 7.2, guest memory,
 * and the interrupt line.
 *
 * QEMU sends one message at a time and waits for the answer to most. Guest
 * memory comes as file descriptors to map. The two descriptors meant for
 * interrupts work under KVM only, so the line is set through a qtest socket.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "svga3.h"

enum {
	MSG_SYNC_SYSMEM,
	MSG_RET,
	MSG_CONFIG_WRITE,
	MSG_CONFIG_READ,
	MSG_BAR_WRITE,
	MSG_BAR_READ,
	MSG_SET_IRQFD,
	MSG_DEVICE_RESET,
};

#define MSG_FDS 8

/* QEMU sends its own structures: this is how they are laid out on x86-64. */
struct msg {
	s32 cmd;
	u64 size;		/* of what follows */
	union {
		u64 ret;
		struct {
			u32 addr, val;
			s32 len;
		} config;
		struct {
			u64 addr, val;
			u32 size;
			u8 memory;
		} bar;
		struct {
			u64 gpa[MSG_FDS], size[MSG_FDS], offset[MSG_FDS];
		} sysmem;
	};
};

#define MSG_HEADER offsetof(struct msg, ret)

static int read_all(int fd, void *to, size_t len)
{
	while (len) {
		ssize_t n = read(fd, to, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		to = (char *)to + n;
		len -= n;
	}
	return 0;
}

static int write_all(int fd, const void *from, size_t len)
{
	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		from = (const char *)from + n;
		len -= n;
	}
	return 0;
}

/* Returns the number of descriptors that came with it, or -1 at the end. */
static int receive(struct svga3 *s, int fd, struct msg *msg, int *fds)
{
	union {
		struct cmsghdr align;
		char data[CMSG_SPACE(MSG_FDS * sizeof(int))];
	} control;
	struct iovec iov = { msg, MSG_HEADER };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	int n_fds = 0;
	ssize_t n;

	do {
		n = recvmsg(fd, &hdr, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	for (c = CMSG_FIRSTHDR(&hdr); c; c = CMSG_NXTHDR(&hdr, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
	}
	if (read_all(fd, (char *)msg + n, MSG_HEADER - n))
		return -1;
	if (msg->size > sizeof(*msg) - MSG_HEADER) {
		say(s, "QEMU sent a message of %llu bytes: is it 7.2?",
		    (unsigned long long)msg->size);
		return -1;
	}
	if (read_all(fd, (char *)msg + MSG_HEADER, msg->size))
		return -1;
	return n_fds;
}

static void sync_memory(struct svga3 *s, struct msg *msg, const int *fds, int n)
{
	int i;

	pthread_rwlock_wrlock(&s->gmem.lock);
	gmem_clear(s);
	for (i = 0; i < n; i++)
		if (gmem_add(s, msg->sysmem.gpa[i], msg->sysmem.size[i],
			     fds[i], msg->sysmem.offset[i]))
			say(s, "cannot map guest memory at %#llx: %s",
			    (unsigned long long)msg->sysmem.gpa[i],
			    strerror(errno));
	pthread_rwlock_unlock(&s->gmem.lock);
}

int proxy_run(struct svga3 *s, int fd)
{
	struct msg msg;
	int fds[MSG_FDS], n_fds;

	for (;;) {
		struct msg ret = { .cmd = MSG_RET, .size = sizeof(ret.ret) };
		bool answer = true;
		int i;

		memset(&msg, 0, sizeof(msg));
		n_fds = receive(s, fd, &msg, fds);
		if (n_fds < 0)
			return 0;
		switch (msg.cmd) {
		case MSG_SYNC_SYSMEM:
			sync_memory(s, &msg, fds, n_fds);
			answer = false;
			break;
		case MSG_SET_IRQFD:
			answer = false;
			break;
		case MSG_CONFIG_READ:
			ret.ret = config_read(s, msg.config.addr,
					      msg.config.len);
			break;
		case MSG_CONFIG_WRITE:
			config_write(s, msg.config.addr, msg.config.val,
				     msg.config.len);
			break;
		case MSG_BAR_READ:
			ret.ret = bar_read(s, msg.bar.addr, msg.bar.size);
			break;
		case MSG_BAR_WRITE:
			bar_write(s, msg.bar.addr, msg.bar.val, msg.bar.size);
			break;
		case MSG_DEVICE_RESET:
			regs_reset(s);
			break;
		default:
			say(s, "QEMU sent message %d: is it 7.2?", msg.cmd);
			return -1;
		}
		for (i = 0; i < n_fds; i++)
			close(fds[i]);
		if (answer && write_all(fd, &ret, MSG_HEADER + ret.size))
			return 0;
	}
}

/* ------------------------------------------------------------ interrupt */

/* Called with s->lock held, after a change of irq_status or irq_mask. */
void irq_update(struct svga3 *s)
{
	bool level = s->irq_status & s->irq_mask;
	char cmd[80];
	int n;

	if (level == s->irq_level || s->irq_fd < 0)
		return;
	s->irq_level = level;
	n = snprintf(cmd, sizeof(cmd),
		     "set_irq_in /machine/q35/ioapic unnamed-gpio-in %u %d\n",
		     s->irq_gsi, level);
	if (write_all(s->irq_fd, cmd, n)) {
		s->irq_fd = -1;
		return;
	}
	s->irq_sent++;
	if (level)
		count(s, SVGA3_INTERRUPTS, 1);
}

/*
 * Wait until QEMU has seen what was sent. Only for an access by a virtual CPU:
 * else QEMU's main loop, which is to answer, could be waiting for us.
 */
void irq_wait(struct svga3 *s, unsigned int sent)
{
	char c;

	while (s->irq_fd >= 0 && (int)(sent - s->irq_acked) > 0) {
		if (read_all(s->irq_fd, &c, 1))
			return;
		if (c == '\n')
			s->irq_acked++;
	}
}

/* --------------------------------------------------------- guest memory */

void gmem_clear(struct svga3 *s)
{
	while (s->gmem.n) {
		struct gmem_region *r = &s->gmem.region[--s->gmem.n];

		munmap(r->host, r->size);
	}
}

int gmem_add(struct svga3 *s, u64 gpa, u64 size, int fd, off_t offset)
{
	void *host;

	if (s->gmem.n == ARRAY_SIZE(s->gmem.region)) {
		errno = ENOSPC;
		return -1;
	}
	host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	if (host == MAP_FAILED)
		return -1;
	s->gmem.region[s->gmem.n++] = (struct gmem_region){ gpa, size, host };
	return 0;
}

/* Where a guest address is, and how much there is from it on */
static u8 *gmem_find(struct svga3 *s, u64 gpa, u64 *len)
{
	unsigned int i;

	for (i = 0; i < s->gmem.n; i++) {
		struct gmem_region *r = &s->gmem.region[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size) {
			*len = r->size - (gpa - r->gpa);
			return r->host + (gpa - r->gpa);
		}
	}
	return NULL;
}

/* Between guest memory and a buffer of ours, which is only read for a write */
static int gmem_copy(struct svga3 *s, u64 gpa, u8 *buf, u64 len, bool write)
{
	u64 n = 0;
	int ret = 0;

	pthread_rwlock_rdlock(&s->gmem.lock);
	for (; len; gpa += n, buf += n, len -= n) {
		u8 *host = gmem_find(s, gpa, &n);

		if (!host) {
			ret = -EFAULT;
			break;
		}
		if (n > len)
			n = len;
		if (write)
			memcpy(host, buf, n);
		else
			memcpy(buf, host, n);
	}
	pthread_rwlock_unlock(&s->gmem.lock);
	return ret;
}

int gmem_read(struct svga3 *s, u64 gpa, void *to, u64 len)
{
	return gmem_copy(s, gpa, to, len, false);
}

int gmem_write(struct svga3 *s, u64 gpa, const void *from, u64 len)
{
	return gmem_copy(s, gpa, (u8 *)from, len, true);
}
