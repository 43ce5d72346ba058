#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In a guest: the variants of piglit's bufferstorage-persistent, by the program itself,
# on virgl.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"
. "$here/virgl.sh"
export PIGLIT_PLATFORM=gbm

programs=(/usr/lib/*/piglit/bin)

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
