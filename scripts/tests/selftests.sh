#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/selftests: how it reads what the programs say, and what it calls a
# difference. The outputs are made up, no guest is started.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The output and exit status of a program on one kernel: side NAME STATUS < OUTPUT
side()
{
	cat > "$tmp/$1.out"
	echo "$2" > "$tmp/$1.status"
}

# A program that did well on both, whose output a test then changes on one of them
tap()
{
	printf '%s\n' "TAP version 13" "1..4" "ok 1 first" "ok 2 # XFAIL second" \
		"ok 3 took 12 ms" "not ok 4 never worked"
}

# verdict STATUS TEXT [test]: what becomes of stock and ours, of a program that
# said that in the first run (and in two later ones, if there is a later.out; then
# there can be a stock-later.out as well)
verdict()
{
	expect "$1" "$2" python3 - "$here/../selftests" "$tmp" "${3:-soft-dirty}" <<-'END'
		import importlib.machinery, importlib.util, os, sys
		path, tmp, test = sys.argv[1:]
		sys.dont_write_bytecode = True
		sys.path.insert(0, os.path.dirname(path))
		import ktap
		loader = importlib.machinery.SourceFileLoader('selftests', path)
		s = importlib.util.module_from_spec(importlib.util.spec_from_loader('selftests', loader))
		loader.exec_module(s)

		def read(name):
		    if not os.path.exists(f'{tmp}/{name}.status'):
		        return {}
		    with open(f'{tmp}/{name}.out') as out, open(f'{tmp}/{name}.status') as status:
		        return {test: s.parse_output(out.read(), int(status.read()))}

		stock, ours = s.Side(tmp, 'stock', 'stock'), s.Side(tmp, 'ours', 'release')
		again = 2 * os.path.exists(f'{tmp}/later.out')
		stock.attempts = [read('stock')] + [read('stock-later') or read('stock')] * again
		ours.attempts = [read('ours')] + [read('later')] * again
		k = ktap.Writer(sys.stdout, 2)
		s.write_ktap(k, {test: s.judge(test, stock, ours)}, ours)
		sys.exit(k.failed > 0)
	END
}

both()
{
	rm -f "$tmp"/*
	tap | side stock 1
	tap | side ours 1
}

same()
{
	both
	verdict 0 "ok 4 never worked # XFAIL fails on both kernels"
}

# Numbers that are measured differ from run to run
measured()
{
	both
	tap | sed 's/12 ms/13.5 ms/' | side ours 1
	verdict 0 "ok 3 took 12 ms"
}

fails_on_ours()
{
	both
	tap | sed 's/^ok 1/not ok 1/' | side ours 1
	verdict 1 "# pass -> fail
    not ok 1 first"
}

skips_on_ours()
{
	both
	tap | sed 's/^ok 1 first/ok 1 # SKIP no such thing/' | side ours 1
	verdict 1 "# pass -> skip (ours: no such thing)
    not ok 1 first"
}

cut_off()
{
	both
	tap | head -n 3 | side ours 137
	verdict 1 "# fail -> no result
    not ok 4 never worked"
}

no_output()
{
	both
	rm "$tmp"/ours.*
	verdict 1 "# pass -> no result
    not ok 1 first"
}

exit_status()
{
	both
	tap | side stock 0
	verdict 1 "# pass -> fail (ours: exit status 1)
    not ok 5 ends without an error"
}

better()
{
	both
	tap | sed 's/^not ok 4/ok 4/' | side ours 0
	verdict 0 "# fail -> pass"
}

skipped_on_stock()
{
	both
	tap | sed 's/^ok 1 first/ok 1 # SKIP no such thing/' | side stock 1
	tap | sed 's/^ok 1/not ok 1/' | side ours 1
	verdict 0 "# SKIP nothing to compare with: skip -> fail"
}

other_case()
{
	both
	tap | sed 's/first/zeroth/' | side ours 1
	verdict 1 "# another case: first -> zeroth"
}

flaky()
{
	fails_on_ours &&
	tap | side later 1 &&
	verdict 0 "ok 1 first # XFAIL not the same in every run: pass -> fail, pass -> pass"
}

not_flaky()
{
	fails_on_ours &&
	cp "$tmp/ours.out" "$tmp/later.out" && cp "$tmp/ours.status" "$tmp/later.status" &&
	verdict 1 "not ok 1 first"
}

# What stock did not come to is compared with a run in which it did
early_on_stock()
{
	both
	tap | head -n 4 | side stock 137
	tap | side ours 1
	tap | side stock-later 1
	tap | side later 1
	verdict 0 "    ok 3 took 12 ms
    # on both kernels" &&
	tap | sed 's/^ok 3/not ok 3/' | side later 1 &&
	verdict 1 "# pass -> fail
    not ok 3 took 12 ms"
}

# uffd-unit-tests has a form of its own
userfaults()
{
	rm -f "$tmp"/*
	side stock 0 <<-END
		Testing move on anon... done
		Testing pin on anon... skipped [reason: no GUP_TEST]
		Testing events on anon... done
	END
	sed 's/events on anon... done/events on anon... ERROR: nr 7 memory corruption/' \
		"$tmp/stock.out" | side ours 1
	verdict 1 "ok 1 move on anon
    # on both kernels: no GUP_TEST
    ok 2 pin on anon # SKIP on both kernels: no GUP_TEST
    # pass -> fail (ours: ERROR: nr 7 memory corruption)
    not ok 3 events on anon" uffd-unit-tests
}

# A listed difference is shown with its reason, and has to be one
known()
{
	rm -f "$tmp"/*
	printf 'ok %s\n' "1 a" "2 b" "3 c" "4 d" | side stock 0
	sed 's/3 c\|4 d/& # SKIP mbind/; s/\([34]\) [cd] \(.*\)/\1 \2/' "$tmp/stock.out" | side ours 0
	verdict 0 "ok 3 c # SKIP pass -> skip: mbind() needs CONFIG_NUMA" mkdirty &&
	side ours 0 < "$tmp/stock.out" &&
	verdict 1 "known as pass -> skip, but is the same" mkdirty
}

plan 15
check "what both kernels do is the same, failures too" same
check "numbers in a name may differ" measured
check "a case that fails on ours is a failure" fails_on_ours
check "a case that only ours skips is a failure" skips_on_ours
check "a case that ours does not come to is a failure" cut_off
check "a program without a result on ours is a failure" no_output
check "an exit status that only ours has is a failure" exit_status
check "a case that does better on ours is none" better
check "what stock skips is listed as not compared" skipped_on_stock
check "different cases are not compared" other_case
check "what does well twice when run again is listed as not stable" flaky
check "what fails again is a failure" not_flaky
check "what stock ended before is compared when it has come to it" early_on_stock
check "uffd-unit-tests is read, a case that ends the program fails" userfaults
check "a known difference is listed, and has to be there" known
exit $((failed > 0))
