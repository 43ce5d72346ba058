#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's scan of virgl command streams, in user space, against a model of the
# host: with libFuzzer if clang is there with its runtime, else with gcc and random
# streams.
# FUZZ_SECONDS=n for longer, FUZZ_SEED=n to repeat.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

virtio=$here/../../drivers/gpu/drm/virtio
seconds=${FUZZ_SECONDS:-10}
seed=${FUZZ_SEED:-$RANDOM}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

flags=(-g -O1 -Wall -Wextra -Werror -fno-sanitize-recover=all "-I$here/scan" "-I$virtio"
	-o "$tmp/fuzz" "$here/scan/fuzz.c" "$here/scan/model.c")

# Both build SCAN.C: it becomes $tmp/fuzz, with the arguments for it in $arguments
build_random()
{
	arguments=("$seconds" "$seed")
	gcc -fsanitize=address,undefined -DRANDOM "${flags[@]}" "$1"
}

build()
{
	arguments=("-seed=$seed" "-max_total_time=$seconds" -max_len=1024 -len_control=0)
	clang -fsanitize=fuzzer,address,undefined "${flags[@]}" "$1" || build_random "$1"
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

fuzz_random()
{
	build_random "$virtio/virtgpu_scan.c" && run
}

# notices SED-SCRIPT: a scan that was changed in this way has to be caught
notices()
{
	sed "$1" "$virtio/virtgpu_scan.c" > "$tmp/changed.c"
	! cmp -s "$tmp/changed.c" "$virtio/virtgpu_scan.c" || return
	build_random "$tmp/changed.c" || return
	! run
}

plan 16
check "no stream has it read or change what it must not, or miss a write" fuzz
check "nor has one that is made at random" fuzz_random
check "a scan that believes a length is noticed" notices 's/len >= nr_dwords/0/'
check "one that leaves a transfer in place is noticed" notices \
	's/cmd\[0\] = VIRGL_CMD0(VIRGL_CCMD_NOP, 0, len)/(void)0/'
check "one that has what was bound before written once only" notices \
	's/sub->submission = bindings->submissions;/&\n\treturn;/'
check "one that has a shader bound that is another stage's" notices \
	's/object->stage == stage && stage </object->stage < VIRGL_NR_SHADER_STAGES \&\& stage </'
check "one that does not know atomic operations" notices \
	's/scan_word_is(text, "ATOM")/false/'
check "one that does not read on in another piece of a shader" notices \
	's/scan_add_stores(&bindings->sub->stores\[stage\], &stores);/(void)stores;/'
check "one that lets two objects have one handle" notices \
	's/^\t\tif (object)$/\t\tif (0)/'
check "one for which stream output writes nothing" notices \
	's/scan_report(scan, &sub->targets, ~0);//'
check "one that goes on with another sub-context" notices \
	's/if (sub == bindings->sub)/if (0)/'
check "one that takes images for read-only" notices \
	's/^\t\tif (res_id && (element/\t\tif (element[1] < 3) res_id = 0;\n&/'
check "one for which stages do not share a slot" notices \
	's/scan_add_stores(&stores, &sub->stores\[stage\]);/stores = sub->stores[stage];/'
check "one for which no older program runs" notices \
	's/sub->missing |= BIT(stage);//'
check "one that counts buffers from 0" notices \
	's/if (!text->first)/if (0)/'
check "one for which nothing new is bound between two draws" notices \
	's/^\t\tsub->drawn = false;//'
