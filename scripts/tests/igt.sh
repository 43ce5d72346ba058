#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# lib/abi/igt_core.c, which stands for libigt where Debian has none: of the same
# program it says the same. The tests' documentation. And with IGT_SRC=dir, an IGT
# checkout, igt-tests/ in a copy of that.

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

# an option of the program's own, one that it refuses, and one that there is not
options()
{
	local options

	for options in --word=this --word= --words=this; do
		./sample --run-subtest option $options 2> /dev/null | grep -e ^Subtest | sed 's, (.*,,'
		echo "$options: ${PIPESTATUS[0]}"
	done
}

# Name and description of each subtest: as the program says it, and in its source
described()
{
	"$programs/$1" --describe | awk '
		/^SUB / { print ""; printf "%s:", $2 }
		/^  / { sub(/^ */, ""); printf " %s", $0 }
		END { print "" }'
}

documented()
{
	awk '/^ \*\/$/ { print ""; exit }
		/^ \* SUBTEST: / { print ""; printf "%s:", $3; subtest = 1; next }
		subtest && !/^ \*$/ { sub(/^ \*[ \t]*(Description: )?/, ""); printf " %s", $0 }' \
		"$igt/tests/$1.c"
}

documentation()
{
	local source name

	for source in "$igt"/tests/*.c; do
		name=$(basename "$source" .c)
		described "$name" > "$tmp/described" && documented "$name" > "$tmp/documented" &&
			[ -s "$tmp/described" ] && diff "$tmp/described" "$tmp/documented" || return
	done
}

# verdict RESULT FAILS FLAKES: igt-ktap's line on a test with this result of igt_runner's,
# with a pattern in each list, and its exit status
verdict()
{
	jq -n --arg result "$1" '{ tests: { "igt@coherent/a@b": { result: $result, out: "said\n",
		err: "", time: { start: 1, end: 2.5 } } } }' > "$tmp/results.json"
	echo "$2" > "$tmp/list-fails.txt"
	echo "$3" > "$tmp/list-flakes.txt"
	"$igt/igt-ktap" --runner "$tmp" --xfails "$tmp/list" > "$tmp/verdict"
	echo "$? $(grep '^    .*ok 1 b' "$tmp/verdict")"
}

verdicts()
{
	diff - <({
		verdict pass "" ""
		verdict skip "" ""
		verdict fail "" ""
		verdict fail "coherent/a@b,Fail" ""
		verdict crash "# no" "(coherent/)?a.*"
		verdict pass "coherent/a@b,Fail" ""
		verdict pass "" "coherent/a@b"
		verdict notrun "coherent/a@b,Fail" ""
	} 2>&1) <<- end
		0     ok 1 b # time=1.500s
		0     ok 1 b # SKIP said
		1     not ok 1 b # time=1.500s
		0     not ok 1 b # XFAIL in the list of fails
		0     not ok 1 b # XFAIL in the list of flakes
		1     not ok 1 b # time=1.500s
		0     ok 1 b # time=1.500s
		1     not ok 1 b # time=1.500s
	end
}

# A copy of the checkout with our tests in it, and what of it the tests need, built
drop_in()
{
	mkdir -p "$checkout" && cp -ruT --preserve=timestamps "$IGT_SRC" "$checkout" &&
		make -s -C "$igt" drop-in IGT_SRC="$checkout" || return
	[ -e "$checkout/build-drop-in/build.ninja" ] ||
		meson setup "$checkout/build-drop-in" "$checkout" -Dman=disabled -Dtestplan=disabled \
			-Ddocs=disabled -Dchamelium=disabled -Doverlay=disabled
	ninja -C "$checkout/build-drop-in" build.ninja || return
	ninja -C "$checkout/build-drop-in" -t targets all | sed -n 's,^\(tests/coherent/coherent_[a-z_]*\): .*,\1,p' |
		xargs ninja -C "$checkout/build-drop-in" | tee "$tmp/ninja"
	[ "${PIPESTATUS[1]}" = 0 ] && ! grep "tests/coherent/.*warning:" "$tmp/ninja"
}

# IGT's own check of the documentation. It looks for lists in one directory only.
igt_doc()
{
	local program

	mkdir "$tmp/tests"
	for program in "$checkout"/build-drop-in/tests/coherent/coherent_*; do
		[ ! -f "$program" ] || "$program" --show-testlist > "$tmp/tests/${program##*/}.testlist" || return
	done
	"$checkout/scripts/igt_doc.py" --config "$checkout/tests/coherent/coherent_test_config.json" \
		--check-testlist --igt-build-path "$tmp" > "$tmp/doc" || { cat "$tmp/doc"; return 1; }
	! grep -e Warning -e ERROR "$tmp/doc"
}

programs=$here/../../build/user/igt
checkout=$here/../../build/igt-checkout

plan 11
check "it compiles without a warning" build own "$igt/lib/abi/igt_core.c"
check "so it does with Debian's" build debian -ligt
check "the same subtests" same ./sample --list-subtests
check "the same results" same results
check "the same exit statuses" same status
check "the same of options" same options
check "the same exit handlers and fixtures" same handler
check "igt_runner's results, compared with lists of what may fail" verdicts
check "what is in the sources' documentation is what the programs say" documentation
missing=
[ -n "${IGT_SRC:-}" ] || missing="no IGT checkout: IGT_SRC"
command -v meson > /dev/null || missing=${missing:-no meson}
if [ -n "$missing" ]; then
	skip "it builds in an IGT checkout, without a warning" "$missing"
	skip "IGT has no complaint about its documentation" "$missing"
else
	check "it builds in an IGT checkout, without a warning" drop_in
	check "IGT has no complaint about its documentation" igt_doc
fi
