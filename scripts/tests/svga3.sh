#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The model of the SVGA3 device: it survives what a guest can do to it, and
# says in a line what is wrong with how it is started.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

top=$here/../..
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fuzz()
{
	make -s -C "$top/userspace/svga3" OUT="$top/build/user" LINUX="$top/build/linux" fuzz &&
		"$top/build/user/svga3-fuzz" 5000
}

# usage WORDS -- ARGUMENTS: it ends with 2, and a message that has the words
usage()
{
	local words=$1 status=0

	shift 2
	"$top/build/user/svga3-model" "$@" > "$tmp/out" 2>&1 || status=$?
	cat "$tmp/out"
	[ $status = 2 ] && grep -q -- "$words" "$tmp/out"
}

no_model()
{
	local status=0

	cp -r "$top/scripts" "$tmp"
	mkdir -p "$tmp/build"
	"$tmp/scripts/vm" --device vmwgfx --kernel "$0" --results "$tmp/results" -- true \
		> "$tmp/out" 2>&1 || status=$?
	cat "$tmp/out"
	[ $status = 125 ] && [ "$(wc -l < "$tmp/out")" = 1 ] && grep -q "make user" "$tmp/out"
}

plan 4
check "5000 random command buffers, with sanitizers" fuzz
check "svga3-model without its socket says how to start it" usage "usage:" --
check "svga3-model names the number that is none" usage "12x: not a number" -- --delay-us 12x
check "scripts/vm says in a line that there is no model" no_model
