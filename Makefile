# SPDX-License-Identifier: GPL-2.0
#
# Every target does what it needs first; what is up to date costs seconds.

ifneq ($(words $(CURDIR)),1)
$(error The kernel's build cannot cope with spaces in a path: move the project out of "$(CURDIR)")
endif

MAKEFLAGS += --no-print-directory

# release, debug or (but for run and check) stock
KERNEL ?= release
# the version of the kernel, or 7.3: see scripts/tree
export BASE ?= 6.12
LINUX = $(CURDIR)/build/linux$(if $(filter-out 6.12,$(BASE)),-$(BASE))
# for shell and vm: a GPU that scripts/vm knows
DEVICE ?= virtio-gpu-gl

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 11
	@echo "KERNEL=debug or KERNEL=stock makes kernel, shell and vm use that one,"
	@echo "KERNEL=/path/to/bzImage check: SUITES=quick takes five minutes of it,"
	@echo "DEVICE=vmwgfx shell and vm another GPU; KERNELS=stock is for vmwgfx."
	@echo "BASE=7.3 makes all that on Linux 7.3, and check the tests that are for it."
	@echo "scripts/vm --help: the runner itself, with the command's exact exit status."

.PHONY: run
run: release user ## boot the guest, run the main job, show its result
	@scripts/run

# The suites that need a kernel beside debug's: the newer one, or 6.12's release
ON_NEWER := newer gone hosts trixie piglit
ON_RELEASE := mm piglit-all matrix soak $(if $(filter-out 6.12,$(BASE)),gone hosts)

# With a path in KERNEL no other kernel is built.
.PHONY: check
check: $(if $(findstring /,$(KERNEL)),,debug) user $(if $(filter $(ON_RELEASE),$(or $(SUITES),$(if $(filter-out 6.12,$(BASE)),gone))),release stock) ## run the tests, SUITES="kunit igt" for some of them
	@$(if $(filter $(ON_NEWER),$(or $(SUITES),$(if $(findstring /,$(KERNEL)),,$(if $(filter 6.12,$(BASE)),newer)))),$(MAKE) newer)
	@KERNEL="$(KERNEL)" scripts/check $(SUITES)

.PHONY: check-all
check-all: debug user release stock newer ## all tests there are, which takes hours
	@scripts/check --all

# The archive may have no such version any more: it says so, and 6.12 is in its place.
.PHONY: newer
newer: setup
	@if scripts/source 7.3; then $(MAKE) BASE=7.3 release stock; else $(MAKE) release stock; fi

.PHONY: igt
igt: debug user ## run the IGT suite, as check does
	@scripts/check igt

# Without a GPU vmob is the one device there is.
.PHONY: soak
soak: release user ## a billion checked stores on vmob, a million rounds of ping-pong, a million mappings unmapped
	@scripts/check soak

.PHONY: builds
builds: tree ## build for other architectures and configurations, BUILDS="arm64 rt" for some
	@scripts/setup builds
	@scripts/builds $(BUILDS)

.PHONY: kernel
kernel: $(KERNEL) ## assemble, configure and build the kernel

.PHONY: user
user: tree ## build the programs for the guest, and the device model
	@$(MAKE) -s -C userspace OUT=$(CURDIR)/build/user LINUX=$(LINUX)
	@$(MAKE) -s -C igt-tests OUT=$(CURDIR)/build/user/igt LINUX=$(LINUX)
	@$(MAKE) -s -C userspace/svga3 OUT=$(CURDIR)/build/user LINUX=$(LINUX)

.PHONY: install
install: user ## egm with its man page and completion, below PREFIX=/usr/local
	@$(MAKE) -s -C userspace install OUT=$(CURDIR)/build/user LINUX=$(LINUX)

# vmob is the one driver whose tests need neither a GPU nor another library.
TARBALL := egm-tests-$(shell gcc -dumpmachine)
.PHONY: tarball
tarball: tree ## vmob's tests and what runs them, for systems without our libraries
	@rm -rf build/$(TARBALL)
	@$(MAKE) -s -C igt-tests OUT=$(CURDIR)/build/$(TARBALL) LINUX=$(LINUX) IGT=own ONLY=vmob LDFLAGS="-static -s"
	@rm -rf build/$(TARBALL)/igt-obj build/$(TARBALL)/test-list.txt
	@cp igt-tests/run-tests build/$(TARBALL)
	@tar -C build -cJf build/$(TARBALL).tar.xz $(TARBALL)
	@echo build/$(TARBALL).tar.xz

.PHONY: shell
shell: kernel user ## a shell in the guest, its exit or Ctrl-A x ends it
	@scripts/vm --kernel $(KERNEL) --device $(DEVICE) --shell

.PHONY: vm
vm: ## run CMD='command' in the guest; make ends with 0 or 2
	@$(MAKE) kernel user >&2
	@scripts/vm --kernel $(KERNEL) --device $(DEVICE) --quiet -- sh -c "$$CMD"
export CMD

.PHONY: series
series: tree ## the patches as series to send, and as a bundle to read, in build/series
	@scripts/tree series

.PHONY: deb
deb: tree ## a Debian package: virtio-gpu as modules for Debian's own kernel, built by DKMS
	@scripts/setup deb
	@scripts/deb

.PHONY: docs
docs: tree ## Documentation and the new files' kernel-doc as HTML, in build/docs
	@scripts/setup docs
	@sphinx-build -q -E -W --keep-going -b html Documentation build/docs
	@echo "docs: build/docs/index.html"

.PHONY: image
image: setup ## a disk image with a desktop of Debian 13, in build/image
	@scripts/setup image
	@scripts/image

.PHONY: desktop
desktop: image deb ## install the modules in that image, and run programs off and on
	@scripts/root trixie
	@scripts/desktop install
	@scripts/desktop programs

.PHONY: sync
sync: ## write edits made in build/linux back into patches and overlay
	@scripts/tree sync

.PHONY: tree
tree: setup ## assemble build/linux from Debian's source, patches and overlay
	@scripts/tree

.PHONY: stock
stock: setup ## get Debian's own kernel, to compare with
	@scripts/stock

.PHONY: setup
setup: ## install the Debian packages that are missing
	@scripts/setup

.PHONY: piglit
piglit: release stock ## all of piglit's buffer tests, compared with Debian's own kernel
	@scripts/piglit --all

.PHONY: matrix
matrix: release user stock ## our kernel with Debian 12's, 13's and sid's Mesa, QEMU and virglrenderer
	@scripts/matrix

.PHONY: vmwgfx
vmwgfx: user $(or $(KERNELS),stock release) ## what vmwgfx loses, on the model of its device
	@scripts/root bookworm
	@scripts/vmwgfx $(KERNELS)

.PHONY: bench
bench: release user ## walker, trackers and frames against what there is else, and a page of results
	@scripts/setup bench
	@scripts/bench $(BENCH)

.PHONY: clean
clean: ## remove all that was made
	rm -rf build

.PHONY: release debug
release debug: tree
	@scripts/kernel $@
