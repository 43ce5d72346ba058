#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/vm: what comes back from a guest, and what a broken one is called.
#
#	scripts/tests/vm.sh [KERNEL]

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

kernel=${1:-debug}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

vm()
{
	"$here/../vm" --kernel "$kernel" --device none --results "$tmp/results" --quiet "$@"
}

# Output, errors and status each come back as what they are
comes_back()
{
	local status=0

	vm -- sh -c 'echo to out; echo to err >&2; echo kept > /results/file; exit 7' \
		> "$tmp/out" 2> "$tmp/err" || status=$?
	cat "$tmp/err"
	[ $status = 7 ] &&
	[ "$(cat "$tmp/out")" = "to out" ] &&
	[ "$(cat "$tmp/err")" = "to err" ] &&
	[ "$(cat "$tmp/results/file")" = kept ]
}

# The caller's directory, also when it is below /tmp; big output; root read-only
same_place()
{
	cd "$tmp" && echo here > "it's here" &&
	expect 0 "here" vm -- sh -c '
		cat "$1" && [ "$(id -u)" = 0 ] && touch /tmp/mine /dev/shm/mine &&
		! touch /usr/mine 2> /dev/null && seq 200000 > /dev/stderr' sh "it's here" &&
	vm seq 200000 > "$tmp/out" &&
	seq 200000 | cmp - "$tmp/out"
}

terminal()
{
	local status=0

	script -qec "stty rows 33 cols 111; $(declare -p here kernel tmp | sed 's/^declare -- //' |
		tr '\n' ';') \$here/../vm --kernel \$kernel --device none --results \$tmp/results \
		--quiet --shell -- sh -c 'tty; stty size; exit 5'" /dev/null < /dev/null > "$tmp/out" ||
		status=$?
	cat "$tmp/out"
	[ $status = 5 ] && grep -q /dev/hvc0 "$tmp/out" && grep -q "33 111" "$tmp/out"
}

panics()
{
	expect 126 "Kernel panic - not syncing" vm --append "rdinit=/none root=/dev/none" true
}

times_out()
{
	expect 124 "last kernel lines" vm --timeout 20 -- sleep 1000
}

complains()
{
	expect 123 "WARNING: CPU: 0 PID: 1 at nowhere" \
		vm -- sh -c 'echo "WARNING: CPU: 0 PID: 1 at nowhere" > /dev/kmsg'
}

is_expected()
{
	expect 0 "" vm --expect "at nowhere" \
		-- sh -c 'echo "WARNING: CPU: 0 PID: 1 at nowhere" > /dev/kmsg' &&
		expect 123 "at nowhere" vm --expect "at home" \
			-- sh -c 'echo "WARNING: CPU: 0 PID: 1 at nowhere" > /dev/kmsg'
}

swaps()
{
	expect 0 65532 vm --swap 64 -- cat /proc/swaps
}

no_kernel()
{
	expect 125 "no kernel at /none" vm --kernel /none true
}

no_command()
{
	expect 125 "no command given" vm
}

no_results()
{
	touch "$tmp/plain-file"
	expect 125 "cannot write results" vm --results "$tmp/plain-file" true
}

in_use()
{
	mkdir -p "$tmp/results"
	exec 9< "$tmp/results"
	flock 9
	expect 125 "in use by another guest" vm true
	local status=$?
	exec 9<&-
	return $status
}

# Whatever is killed: here the runner, by what it cannot catch
nothing_left()
{
	local runner children

	"$here/../vm" --kernel "$kernel" --device virtio-gpu-gl --results "$tmp/results" --quiet \
		-- sleep 1000 > "$tmp/out" 2>&1 &
	runner=$!
	for _ in {1..100}; do
		sleep 0.1
		children=$(ps -o pid= --ppid $runner)
		ps -o comm= --ppid $runner | grep -q qemu && break
	done
	echo "children:" $children
	[ -n "$children" ] || return 1
	kill -9 $runner
	wait $runner 2> /dev/null
	for _ in {1..50}; do
		sleep 0.1
		ps -o pid=,comm= $children || return 0
	done
	return 1
}

plan 13
check "output, errors and exit status come back" comes_back
check "the command runs in the caller's directory, its output is whole" same_place
check "a terminal has its size, and the status comes back" terminal
check "a panic is told with the kernel's last lines" panics
check "a timeout is told with the kernel's last lines" times_out
check "a kernel warning fails a command that succeeds" complains
check "one that is expected does not" is_expected
check "there is a swap device of the size asked for" swaps
check "a missing kernel is one clear line" no_kernel
check "a missing command is one clear line" no_command
check "results that cannot be written are one clear line" no_results
check "a results directory has one guest" in_use
check "a killed runner leaves nothing behind" nothing_left
exit $((failed > 0))
