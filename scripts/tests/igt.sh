#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# lib/abi/igt_core.c, which stands for libigt where Debian has none: of the same
# program it says the same.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

igt=$here/../../igt-tests
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# build DIR SOURCE-OR-LIBRARY: the same program name, it is in the output
build()
{
	mkdir "$tmp/$1" &&
		gcc -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -I"$igt/lib/abi" \
			-o "$tmp/$1/sample" "$here/igt/sample.c" "$2"
}

# same COMMAND...: its output and status with sample of both, in DIR
same()
{
	local dir

	for dir in own debian; do
		(cd "$tmp/$dir" && "$@" > ../out 2> /dev/null; echo "status $?") > "$tmp/$dir.out"
		cat "$tmp/out" >> "$tmp/$dir.out"
	done
	[ "$(wc -l < "$tmp/own.out")" -ge 2 ] && diff "$tmp/own.out" "$tmp/debian.out"
}

results()
{
	"$igt/igt-ktap" "$@" ./sample | grep -E '^ *(not )?ok |1\.\.' | sed 's/ # time=.*//'
	return "${PIPESTATUS[0]}"
}

handler()
{
	./sample | grep -e handler -e fixture
}

# of one, by name and by pattern; the run as a whole
status()
{
	local subtest

	for subtest in good bad skipped 'dynamic-s*' good,skipped nonesuch; do
		./sample --run-subtest "$subtest" > /dev/null 2>&1
		echo "$subtest: $?"
	done
}

plan 6
check "it compiles without a warning" build own "$igt/lib/abi/igt_core.c"
check "so it does with Debian's" build debian -ligt
check "the same subtests" same ./sample --list-subtests
check "the same results" same results
check "the same exit statuses" same status
check "the same exit handlers and fixtures" same handler
