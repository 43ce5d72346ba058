#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/results on good, bad and cut-off KTAP.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# sums STATUS TEXT: what scripts/results makes of the KTAP on stdin
sums()
{
	cat > "$tmp/case.ktap"
	expect "$1" "$2" "$here/../results" "$tmp/case.ktap"
}

flat()
{
	sums 0 "2 passed, 0 failed, 1 skipped" <<-END
		KTAP version 1
		1..3
		ok 1 a
		ok 2 - b # time=12ms
		ok 3 c # SKIP no device
	END
}

nested()
{
	sums 1 "3 passed, 1 failed, 1 skipped" <<-END
		KTAP version 1
		1..2
		    KTAP version 1
		    # Subtest: suite
		    1..3
		    ok 1 a
		        KTAP version 1
		        # Subtest: param
		        1..2
		        ok 1 x
		        # expected 1, is 2
		        not ok 2 y
		    not ok 2 param
		    ok 3 c # SKIP
		not ok 1 suite
		ok 2 other
	END
}

failure_is_explained()
{
	sums 1 "FAILED: a
      expected 1, is 2
      see " <<-END
		KTAP version 1
		1..1
		# expected 1, is 2
		not ok 1 a
	END
}

cut_off()
{
	sums 1 "1 passed, 1 failed, 0 skipped" <<-END
		KTAP version 1
		1..3
		ok 1 a
	END
}

cut_off_inside()
{
	sums 1 "FAILED: suite.(output): 1 of 2 results" <<-END
		KTAP version 1
		1..1
		    # Subtest: suite
		    1..2
		    ok 1 a
	END
}

no_plan()
{
	sums 1 "1 passed, 1 failed, 0 skipped" <<-END
		KTAP version 1
		ok 1 a
	END
}

no_plan_inside()
{
	sums 1 "2 passed, 1 failed, 0 skipped" <<-END
		KTAP version 1
		1..1
		    ok 1 a
		    ok 2 b
		ok 1 test
	END
}

# parameters TOTAL: a case of KUnit's with two of them
parameters()
{
	cat <<-END
		KTAP version 1
		1..1
		    # Subtest: suite
		    1..1
		        KTAP version 1
		        # Subtest: case
		        ok 1 a
		        ok 2 b
		    # case: pass:$1 fail:0 skip:0 total:$1
		    ok 1 case
		ok 1 suite
	END
}

counted()
{
	parameters 2 | sums 0 "2 passed, 0 failed, 0 skipped"
}

miscounted()
{
	parameters 3 | sums 1 "FAILED: suite.case.(output): 2 of 3 results"
}

out_of_order()
{
	sums 1 "2 passed, 1 failed, 0 skipped" <<-END
		KTAP version 1
		1..3
		ok 1 a
		ok 3 c
	END
}

empty()
{
	sums 1 "0 passed, 1 failed, 0 skipped" < /dev/null
}

not_ktap()
{
	sums 1 "0 passed, 1 failed, 0 skipped" <<< "Segmentation fault"
}

all_skipped()
{
	sums 1 "0 passed, 0 failed, 1 skipped" <<-END
		KTAP version 1
		1..0 # SKIP no GPU
	END
}

none_planned()
{
	sums 1 "0 passed, 1 failed, 0 skipped" <<< "KTAP version 1
1..0"
}

parent_fails()
{
	sums 1 "1 passed, 1 failed, 0 skipped" <<-END
		KTAP version 1
		1..1
		    1..1
		    ok 1 a
		not ok 1 suite
	END
}

xml()
{
	printf 'KTAP version 1\n1..2\n# <why> \001\nnot ok 1 a\nok 2 b # time=1.5s\n' > "$tmp/case.ktap"
	"$here/../results" --junit "$tmp/junit.xml" "$tmp" > /dev/null
	python3 - "$tmp/junit.xml" <<-END
		import sys
		from xml.etree import ElementTree
		suite, = ElementTree.parse(sys.argv[1]).getroot()
		assert suite.get('name') == 'case'
		assert (suite.get('tests'), suite.get('failures')) == ('2', '1')
		assert '<why>' in suite.find('testcase/failure').text
		assert suite.findall('testcase')[1].get('time') == '1.500'
	END
}

nothing_there()
{
	mkdir -p "$tmp/none"
	expect 1 "0 passed, 0 failed, 0 skipped" "$here/../results" "$tmp/none" &&
	expect 2 "does not exist" "$here/../results" "$tmp/missing"
}

plan 17
check "passes and skips are counted" flat
check "leaves of nested tests are counted" nested
check "a failure comes with its diagnostics and its file" failure_is_explained
check "a missing result fails" cut_off
check "output that ends inside a subtest fails" cut_off_inside
check "a missing plan fails" no_plan
check "a missing plan of subtests fails" no_plan_inside
check "KUnit's count of a case's parameters is their plan" counted
check "a count of more parameters than there are fails" miscounted
check "a number left out fails" out_of_order
check "an empty file fails" empty
check "a file that is not KTAP fails" not_ktap
check "nothing but skips is no success" all_skipped
check "a plan of no tests, with no reason to skip, fails" none_planned
check "a test that fails outside its subtests counts" parent_fails
check "JUnit XML has the same results" xml
check "no file at all is no success" nothing_there
exit $((failed > 0))
