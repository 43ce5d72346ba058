#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's scan of virgl command streams, in user space: with libFuzzer if
# clang is there with its runtime, else with gcc and random streams.
# FUZZ_SECONDS=n for longer, FUZZ_SEED=n to repeat.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

virtio=$here/../../drivers/gpu/drm/virtio
seconds=${FUZZ_SECONDS:-10}
seed=${FUZZ_SEED:-$RANDOM}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# build SCAN.C: it becomes $tmp/fuzz, with the arguments for it in $arguments
build()
{
	local flags=(-g -O1 -Wall -Wextra -Werror -fno-sanitize-recover=all
		"-I$here/scan" "-I$virtio" -o "$tmp/fuzz" "$here/scan/fuzz.c" "$1")

	arguments=("-seed=$seed" "-max_total_time=$seconds" -max_len=1024)
	clang -fsanitize=fuzzer,address,undefined "${flags[@]}" && return
	arguments=("$seconds" "$seed")
	gcc -fsanitize=address,undefined -DRANDOM "${flags[@]}"
}

run()
{
	# Where a stream that is found is left: not in the project
	cd "$tmp" || return
	"$tmp/fuzz" "${arguments[@]}" && return
	echo "FUZZ_SEED=$seed"
	return 1
}

fuzz()
{
	build "$virtio/virtgpu_scan.c" && run
}

# notices SED-SCRIPT: a scan that was changed in this way has to be caught
notices()
{
	sed "$1" "$virtio/virtgpu_scan.c" > "$tmp/changed.c"
	! cmp -s "$tmp/changed.c" "$virtio/virtgpu_scan.c" || return
	build "$tmp/changed.c" || return
	! run
}

plan 3
check "no stream has it read, report or change what it must not" fuzz
check "a scan that believes a length is noticed" notices 's/len >= nr_dwords/0/'
check "one that leaves a transfer in place is noticed" notices \
	's/cmd\[0\] = VIRGL_CMD0(VIRGL_CCMD_NOP, 0, len)/(void)0/'
