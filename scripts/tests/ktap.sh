# SPDX-License-Identifier: GPL-2.0
#
# For the tests beside it: each is a bash program that prints KTAP.
#
#	plan N
#	check 'what is expected' command [args...]
#
# A command that fails is a failed test, with its output as diagnostics.
# expect STATUS TEXT command... holds if the command ends with that status and
# its output contains the text.

count=0
failed=0

plan()
{
	echo "KTAP version 1"
	echo "1..$1"
}

check()
{
	local name=$1 word=ok out start=${EPOCHREALTIME//[.,]/}
	shift

	count=$((count + 1))
	if ! out=$("$@" 2>&1); then
		word="not ok"
		failed=$((failed + 1))
		echo "$out" | tail -n 60 | sed 's/^/# /'
	fi
	echo "$word $count $name # time=$(((${EPOCHREALTIME//[.,]/} - start) / 1000))ms"
}

skip()
{
	count=$((count + 1))
	echo "ok $count $1 # SKIP $2"
}

expect()
{
	local status=$1 text=$2 out code=0
	shift 2

	out=$("$@" 2>&1) || code=$?
	if [ "$code" != "$status" ]; then
		echo "exit status $code, not $status, of: $*"
	elif [[ "$out" != *"$text"* ]]; then
		echo "no \"$text\" in the output of: $*"
	else
		return 0
	fi
	echo "$out"
	return 1
}
