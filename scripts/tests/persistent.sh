#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In a guest: the variants of piglit's bufferstorage-persistent, by the program itself,
# on virgl.

set -uo pipefail

. "$(dirname "$(realpath "$0")")/ktap.sh"

programs=(/usr/lib/*/piglit/bin)

# There can be other nodes
node=$(grep -l DRIVER=virtio-pci /sys/class/drm/renderD*/device/uevent)
node=${node%/device/uevent}
export WAFFLE_GBM_DEVICE=/dev/dri/${node##*/} PIGLIT_PLATFORM=gbm

virgl()
{
	wflinfo -p gbm -a gl | grep "OpenGL renderer string: virgl"
}

persistent()
{
	local out

	out=$("${programs[0]}/bufferstorage-persistent" "$@" -auto -fbo 2>&1)
	echo "$out"
	[[ "$out" == *'PIGLIT: {"result": "pass" }'* ]]
}

plan 9
check "virgl draws" virgl
for access in draw read; do
	for flags in "" coherent client-storage "coherent client-storage"; do
		check "bufferstorage-persistent $access${flags:+ $flags} (C1 C2)" persistent $access $flags
	done
done
