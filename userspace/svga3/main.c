// SPDX-License-Identifier: MIT
/* A model of VMware's SVGA3 device for QEMU's x-pci-proxy-dev. */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>

#include "svga3.h"

static const char usage[] =
	"usage: svga3-model --proxy FD [options]\n"
	"\n"
	"A model of VMware's SVGA3 device, for QEMU 7.2 started with\n"
	"  -object memory-backend-memfd,id=ram,size=SIZE,share=on\n"
	"  -machine q35,memory-backend=ram -accel tcg,thread=single\n"
	"  -device x-pci-proxy-dev,fd=...,addr=SLOT\n"
	"and, for interrupts,\n"
	"  -chardev socket,id=irq,fd=... -object qtest,id=irq,chardev=irq,log=none\n"
	"\n"
	"  --proxy FD       socket whose other end is the device's fd\n"
	"  --irq FD         socket whose other end is the chardev's fd\n"
	"  --slot N         the device's slot on bus 0, for its interrupt (16)\n"
	"  --no-sm4         without SVGA_CAP_DX\n"
	"  --mob-memory MIB what memory objects may take together (2048)\n"
	"  --delay-us N     from a submission to its execution (0)\n"
	"  --slow-us N      what each command takes (0)\n"
	"  --reorder N      complete groups of N command buffers in reverse\n"
	"  --trace          log each command\n"
	"  --log FILE       instead of standard error\n"
	"  --captures DIR   for screenN.png (.)\n";

static unsigned long number(const char *arg, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 0);

	if (*end || !*arg || n > max) {
		fprintf(stderr, "svga3-model: %s: not a number up to %lu\n",
			arg, max);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	enum { PROXY = 1, IRQ, SLOT, NO_SM4, MOB_MEMORY, DELAY_US, SLOW_US,
	       REORDER, TRACE, LOG, CAPTURES, HELP };
	static const struct option options[] = {
		{ "proxy", required_argument, NULL, PROXY },
		{ "irq", required_argument, NULL, IRQ },
		{ "slot", required_argument, NULL, SLOT },
		{ "no-sm4", no_argument, NULL, NO_SM4 },
		{ "mob-memory", required_argument, NULL, MOB_MEMORY },
		{ "delay-us", required_argument, NULL, DELAY_US },
		{ "slow-us", required_argument, NULL, SLOW_US },
		{ "reorder", required_argument, NULL, REORDER },
		{ "trace", no_argument, NULL, TRACE },
		{ "log", required_argument, NULL, LOG },
		{ "captures", required_argument, NULL, CAPTURES },
		{ "help", no_argument, NULL, HELP },
		{ }
	};
	struct svga3 *s = svga3_new();
	int proxy = -1, slot = 16, opt, ret;

	if (!s)
		return 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case PROXY:
			proxy = number(optarg, INT32_MAX);
			break;
		case IRQ:
			s->irq_fd = number(optarg, INT32_MAX);
			break;
		case SLOT:
			slot = number(optarg, 24);
			break;
		case NO_SM4:
			s->sm4 = false;
			break;
		case MOB_MEMORY:
			s->mob_memory = (u64)number(optarg, 1 << 20) << 20;
			break;
		case DELAY_US:
			s->option[SVGA3_DELAY_US] = number(optarg, 10000000);
			break;
		case SLOW_US:
			s->option[SVGA3_SLOW_US] = number(optarg, 1000000);
			break;
		case REORDER:
			s->option[SVGA3_REORDER] = number(optarg, 32);
			break;
		case TRACE:
			s->option[SVGA3_TRACE] = 1;
			break;
		case LOG:
			s->log = fopen(optarg, "we");
			if (!s->log) {
				perror(optarg);
				return 1;
			}
			break;
		case CAPTURES:
			s->capture_dir = optarg;
			break;
		case HELP:
			fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (proxy < 0 || optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	/* How q35 routes the first interrupt pin of slots 0 to 24 */
	s->irq_gsi = 20 + slot % 4;
	cmdbuf_init(s);
	regs_reset(s);
	ret = proxy_run(s, proxy);
	cmdbuf_fini(s);
	return ret ? 1 : 0;
}
