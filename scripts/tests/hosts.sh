#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# virtio-gpu on a host of some kind, in a guest on it: what can be seen of it, and
# whether OpenGL has coherent buffers and draws right.
#
#	scripts/tests/hosts.sh KIND [MAJOR.MINOR]
#
# KIND is what the host is: "known" or "unknown" to virglrenderer, "real" with memory
# that the guest can map, "plain" without virgl; or "off", an ordinary one and a kernel
# that was started with virtio_gpu.coherent=0. MAJOR.MINOR is the OpenGL that it is good
# for, 4.5 if it is not said.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

user=$(dirname "$(dirname "$here")")/build/user
tracing=/sys/kernel/tracing
parameter=/sys/module/virtio_gpu/parameters/coherent
tmp=$(mktemp -d)
trap 'rm -r "$tmp"' EXIT

kind=$1
version=${2:-4.5}

known="emulated"
unknown="emulated, on an OpenGL driver unknown to the host"
real="not emulated, the host can map real ones"
plain="not emulated, the device has no virgl"
off="not emulated, virtio_gpu.coherent is off"
state=${!kind}

# One line, and no other
logged()
{
	dmesg | sed -n 's/.*coherent buffers: //p' > "$tmp/log"
	cat "$tmp/log"
	[ "$(cat "$tmp/log")" = "$state" ]
}

feature()
{
	local line="coherent buffers : $state"

	cat /sys/kernel/debug/dri/*/virtio-gpu-features
	[ "$(grep -hc "^$line\$" /sys/kernel/debug/dri/0/virtio-gpu-features)" = 1 ]
}

in_force()
{
	local want=N

	[[ $state == not* ]] || want=Y
	cat $parameter
	[ "$(cat $parameter)" = $want ] || return
	# To ask for what can't be had changes nothing
	[ "$kind" = off ] && return
	echo 1 > $parameter
	[ "$(cat $parameter)" = $want ]
}

# As anybody sees it
listed()
{
	local want text

	case $kind in
	plain) want="false null" text="no, needs a host with virgl .*" ;;
	off) want="false null" text="no, needs a kernel with coherent buffers .*" ;;
	real) want="true false" text="yes, the host's own" ;;
	*) want="true true" text="yes, emulated" ;;
	esac
	chmod 666 /dev/dri/renderD*
	setpriv --reuid 65534 --regid 65534 --clear-groups "$user/egm" list > "$tmp/list"
	cat "$tmp/list"
	"$user/egm" list --json > "$tmp/json"
	cat "$tmp/json"
	grep -A1 virtio_gpu "$tmp/list" | grep -q "^    coherent buffers  $text\$" &&
		[ "$(jq -r '.nodes[] | select(.driver == "virtio_gpu") |
			"\(.coherent) \(.emulated)"' "$tmp/json")" = "$want" ]
}

# contexts COMMAND: those that it has buffers uploaded in, and how often
contexts()
{
	local instance=$tracing/instances/hosts

	mkdir $instance
	echo 'type == 0x205' > $instance/events/virtio_gpu/virtio_gpu_cmd_queue/filter
	echo 1 > $instance/events/virtio_gpu/virtio_gpu_cmd_queue/enable
	"$@" > "$tmp/out" 2>&1 || cat "$tmp/out" >&2
	sed -n 's/.*ctx_id=\([0-9]*\).*/\1/p' $instance/trace | sort -n | uniq -c
	rmdir $instance
}

# In none, or in that of the submission if the order in the driver is not known;
# but in none when two have the buffer
uploaded()
{
	contexts "$user/egm" bench --device /dev/dri/renderD128 --pattern page --size 64K \
		--submissions 8 > "$tmp/alone"
	contexts "$user/igt/coherent_param" --run-subtest shared > "$tmp/shared"
	tail "$tmp/alone" "$tmp/shared"
	if [ "$kind" = unknown ]; then
		[ "$(wc -l < "$tmp/alone")" = 1 ] && ! grep -q ' 0$' "$tmp/alone" &&
			grep -q ' 0$' "$tmp/shared" && [ "$(wc -l < "$tmp/shared")" -gt 1 ]
	else
		grep -q ' 0$' "$tmp/alone" && [ "$(cat "$tmp/alone" "$tmp/shared" | wc -l)" = 2 ] &&
			grep -q ' 0$' "$tmp/shared"
	fi
}

draws()
{
	"$user/egm-stream" --gl "$version" --frames 6 --out "$tmp"
}

case $kind in
real | plain) plan 4 ;;
off) plan 9 ;;
unknown) plan 8 ;;
*) plan 7 ;;
esac
check "the kernel's log: $state" logged
check "the features in debugfs say the same" feature
check "the parameter has what is in force" in_force
check "egm list tells" listed
if [ "$kind" = off ]; then
	echo 1 > $parameter
	kind=known
	state=$known
	check "turned on, the features say so" feature
	check "the parameter has what is in force now" in_force
	check "egm list tells" listed
	check "verify (C1 C3)" "$user/egm" verify --device /dev/dri/renderD128 --rounds 2 --size 64K
fi
if [[ $state != not* ]]; then
	check "uploads are in the right context" uploaded
fi
if [ "$kind" = unknown ]; then
	check "and lost with no context that fails (C1)" \
		"$user/igt/coherent_virgl" --run-subtest failed-context
fi
# Other suites have the rest of an ordinary host
if [[ $state != not* && $1 != off ]]; then
	check "the capset and the parameter (C1)" "$user/igt/coherent_param"
	check "the main job, with OpenGL $version (C1 C3 C5)" draws
fi
exit $((failed > 0))
