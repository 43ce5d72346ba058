#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The package that scripts/deb has made, in a root of Debian 13 with Debian's kernels: it is
# installed before there are headers, kernels come and go, it is removed. What was built is
# loaded in a guest, also in one that takes no module whose key it does not know.
#
# Needs root, and a GB in build/ for some minutes.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
top=$(dirname "$(dirname "$here")")
. "$here/ktap.sh"

root=$top/build/install/root
boot=$top/build/install/boot
deb=$(ls "$top"/build/deb/egm-dkms_*.deb 2> /dev/null)
trap 'rm -rf "$top/build/install"' EXIT

# With /proc, which is gone with the command
in_root()
{
	unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" \
		env -i DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

apt()
{
	in_root apt-get -q -y --no-install-recommends "$@"
}

make_root()
{
	local archive security

	archive=$("$top/scripts/archive")
	security=$("$top/scripts/archive" Debian-Security)
	rm -rf "$top/build/install"
	mkdir -p "$top/build/install"
	mmdebstrap --aptopt='Acquire::Check-Valid-Until "false"' --variant=minbase \
		--include=dkms,initramfs-tools,kmod,openssl --dpkgopt=path-exclude='/usr/share/man/*' \
		trixie "$root" "deb ${archive:-http://deb.debian.org/debian} trixie main" \
		"deb ${security:-http://deb.debian.org/debian-security} trixie-security main" &&
		cp /etc/resolv.conf "$root/etc/" && apt update
}

# The two latest kernels that have headers
kernels()
{
	in_root apt-cache pkgnames linux-headers-6.12. |
		sed -E -n 's/^linux-headers-(6\.12\.[0-9]+\+[a-z0-9.]+-amd64)$/\1/p' | sort -V | tail -2
}

# driver KERNEL: where the driver is that this would load
driver()
{
	in_root modinfo -k "$1" -F filename virtio_gpu
}

is_debians()
{
	driver "$1"
	[[ "$(driver "$1")" == */kernel/drivers/gpu/drm/virtio/virtio-gpu.ko* ]]
}

# All three of them, and with the key that dkms has made
is_ours()
{
	local module

	for module in virtio_gpu drm_gem_shmem_dirty drm_gem_dirty_helper; do
		in_root modinfo -k "$1" "$module" || return
		[[ "$(in_root modinfo -k "$1" -F filename $module)" == */updates/dkms/* ]] || return
		[ "$(in_root modinfo -k "$1" -F signer $module)" = "DKMS module signing key" ] || return
	done
}

no_headers()
{
	apt install "linux-image-$old" && cp "$deb" "$root" && apt install "/${deb##*/}" &&
		is_debians "$old"
}

headers()
{
	apt install "linux-headers-$old" && is_ours "$old"
}

upgrade()
{
	apt install "linux-image-$new" "linux-headers-$new" && is_ours "$new" && is_ours "$old"
}

old_goes()
{
	apt purge "linux-image-$old" "linux-headers-$old" && is_ours "$new" &&
		! in_root dkms status | grep -F "$old" && ! ls "$root/lib/modules/$old/updates"
}

# It has no virtio-gpu
cloud()
{
	apt install "linux-headers-${new/-amd64/-cloud-amd64}" && is_ours "$new" &&
		! in_root dkms status | grep cloud
}

# What the guest loads, as scripts/stock has it
boots()
{
	local m path name

	mkdir -p "$boot/load" || return
	cp "$root/boot/vmlinuz-$new" "$boot/vmlinuz" || return
	for m in virtio_pci virtio_console 9pnet_virtio 9p virtio_gpu; do
		in_root modprobe -S "$new" --show-depends --ignore-install $m | sed -n 's/^insmod \([^ ]*\).*/\1/p'
	done | awk '!seen[$0]++' | while read -r path; do
		name=${path##*/}
		xz -dc "$root/$path" > "$boot/load/${name%.xz}" && echo "load/${name%.xz}"
	done > "$boot/modules"
	"$top/scripts/vm" --kernel "$boot" --results "$top/build/install/results" --timeout 600 -- \
		"$top/build/user/egm-stream" --frames 10 --out /results
}

# Without the key in the machine's firmware
enforced()
{
	expect 1 "" "$top/scripts/vm" --kernel "$boot" --results "$top/build/install/results" \
		--append module.sig_enforce=1 -- test -e /sys/module/virtio_gpu &&
		expect 0 "" grep -E "drm_gem_dirty_helper.*rejected|unavailable key" "$top/build/install/results/console.log"
}

removed()
{
	apt purge egm-dkms && is_debians "$new" && [ ! -e "$root/lib/modules/$new/updates/dkms" ] &&
		[ ! -e "$root/var/lib/dkms/egm" ] && ! compgen -G "$root/usr/src/egm-*"
}

plan 9
if [ "$(id -u)" != 0 ] || [ -z "$deb" ]; then
	for _ in {1..9}; do
		skip "installing" "this is for root, and after scripts/deb"
	done
	exit
fi
check 'there is a root of Debian 13' make_root
read -r -d '' old new <<< "$(kernels)"
echo "# kernels $old and $new"
check 'without headers nothing is built, and the driver is Debian'"'"'s' no_headers
check 'headers that come later have the modules built, and signed' headers
check 'a new kernel has its own' upgrade
check 'the old one goes, and takes its own with it' old_goes
check 'a kernel without virtio-gpu is passed over' cloud
check 'a guest has OpenGL 4.5 by what was installed' boots
check 'a guest that wants to know the key does not load it' enforced
check 'when it is removed the driver is Debian'"'"'s again' removed
[ $failed = 0 ]
