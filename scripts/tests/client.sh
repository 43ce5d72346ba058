#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# egm, the client, in a guest: on every device with coherent buffers, and where
# something is missing.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

top=$(dirname "$(dirname "$here")")
egm=$top/build/user/egm
tmp=$(mktemp -d)
trap 'rm -r "$tmp"' EXIT

# json EXPRESSION: of the JSON document on stdin, called j, it is true
json()
{
	python3 -c '
import json, sys
text = sys.stdin.read()
j = json.loads(text)
if not eval(sys.argv[1]):
    sys.exit(f"not so: {sys.argv[1]}\n{text}")' "$1"
}

# The devices as DRIVER=NODE
devices()
{
	"$egm" list --json | python3 -c '
import json, sys
for d in json.load(sys.stdin):
    if d["coherent"]:
        print(d["driver"], d["node"], sep="=")'
}

listed()
{
	"$egm" list --json | json "all(d['coherent'] and d['buffers'] == 0 for d in j) and \
		{d['driver'] for d in j} == set('$*'.split())" &&
		"$egm" list | grep -q '^    coherent buffers  yes$'
}

# ---- on a device: $node

verified()
{
	"$egm" verify --device "$node" --rounds 12 --size 2M --threads 3 --json | tee "$tmp/out" |
		json "j['passed'] and j['rounds'] == 12 and j['stores'] > 10000 and \
		j['bytes_compared'] == 12 * 4 * 2**21 and not j['wrong'] and \
		j['counters']['faults'] > 0 and j['counters']['upload_bytes'] > 0" &&
		[ "${PIPESTATUS[0]}" = 0 ]
}

# Stores are counted, and what they are is in the words: the same total twice
replayed()
{
	local stores seeds

	stores=$(for _ in 1 2; do
		"$egm" verify --device "$node" --rounds 4 --size 512K --seed 0x5eed --json |
			sed -n 's/.*"stores": //p'
	done | sort -u)
	seeds=$("$egm" verify --device "$node" --rounds 4 --size 512K --json |
		sed -n 's/.*"stores": //p')
	echo "stores: $stores with the seed, $seeds with another one"
	[ "$(wc -w <<< "$stores")" = 1 ] && [ "$stores" != "$seeds" ]
}

# The lost upload is of pages, so whole ranges of at most a page are wrong
loss_noticed()
{
	expect 1 "NOT OK" "$egm" verify --device "$node" --rounds 4 --size 512K --lose 1 &&
		! "$egm" verify --device "$node" --rounds 4 --size 512K --lose 1 --json > "$tmp/out" &&
		json "not j['passed'] and j['rounds'] == 2 and j['wrong_bytes'] > 0 and \
			j['wrong']" < "$tmp/out" &&
		"$egm" verify --device "$node" --rounds 4 --size 512K > "$tmp/out"
}

benched()
{
	"$egm" bench --device "$node" --size 4M --submissions 16 --json > "$tmp/out" &&
		json "[p['pattern'] for p in j] == 'idle page sparse tenth ring dense'.split()" \
			< "$tmp/out" &&
		json "all(p['counters']['passes'] == 16 for p in j)" < "$tmp/out" &&
		json "[j[0]['counters'][c] for c in ('passes_idle', 'ptes_scanned', 'upload_bytes')] \
			== [16, 0, 0]" < "$tmp/out" &&
		json "all(p['counters']['upload_bytes'] == 4096 * p['pages_written'] for p in j)" \
			< "$tmp/out" &&
		"$egm" bench --device "$node" --size 4M --submissions 4 --pattern page |
		grep -q '^page  *1\.0 '
}

# Another process's buffers, with their counters and who it is
watched()
{
	local pid status

	"$egm" verify --device "$node" --seconds 0 --size 1M --buffers 2 > "$tmp/verify" &
	pid=$!
	while [ "$("$egm" list --json | json "sum(d['buffers'] for d in j) >= 2" 2>&1)" ]; do
		kill -0 $pid || return
		sleep 0.2
	done
	"$egm" watch --device "$node" --interval 2 --count 1 --json > "$tmp/out"
	"$egm" watch --device "$node" --interval 2 --count 1 > "$tmp/table"
	kill $pid
	wait $pid
	status=$?
	cat "$tmp/verify" "$tmp/table"
	[ $status = 0 ] &&
		json "sum(b['pages'] == 256 and {'pid': $pid, 'command': 'egm'} in b['mapped_by'] \
			and b['passes'] > 0 for b in j['buffers']) == 2" < "$tmp/out" &&
		[ "$(grep -c "$pid egm" "$tmp/table")" = 2 ]
}

# What the trace says is what the driver counted
heatmap()
{
	"$egm" heatmap --device "$node" --output "$tmp/map.png" --json -- \
		"$egm" bench --device "$node" --pattern ring --size 4M --submissions 8 > "$tmp/out" &&
		tail -n 1 "$tmp/out" | json "len(j['buffers']) == 1 and j['lost_events'] == 0 and \
			j['buffers'][0]['dirty'] == 1024 + 15 * 64 == sum(r[3] for r in j['ranges'])" &&
		[ "$(head -c 8 "$tmp/map.png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] &&
		[ -z "$(ls /sys/kernel/tracing/instances)" ] || return
	[ ! -d /results ] || cp "$tmp/map.png" "/results/heatmap-$driver.png"
}

nothing_dirty()
{
	expect 1 "nothing was dirty" "$egm" heatmap --device "$node" --output "$tmp/none.png" \
		--seconds 0.2 && [ ! -e "$tmp/none.png" ]
}

# ---- what is missing

without()
{
	unshare -m sh -c "$1"'; shift; exec "$@"' sh "$@"
}

as_nobody()
{
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

no_device()
{
	local hide='mount -t tmpfs none /dev/dri'

	expect 1 "no DRM render node" without "$hide" "$egm" list &&
		expect 77 "no DRM render node" without "$hide" "$egm" verify &&
		expect 77 "no DRM render node" without "$hide" "$egm" watch &&
		expect 77 "not a DRM node" "$egm" bench --device /dev/null &&
		expect 77 "No such file" "$egm" heatmap --device /dev/dri/renderD191
}

no_root()
{
	chmod 600 /dev/dri/*
	expect 1 "Permission denied" as_nobody "$egm" list &&
		expect 77 "Permission denied" as_nobody "$egm" verify || return
	chmod 666 /dev/dri/renderD*
	expect 0 "only root may read debugfs" as_nobody "$egm" verify --rounds 2 --size 64K &&
		expect 0 "only root may read debugfs" as_nobody "$egm" bench --size 64K \
			--submissions 2 &&
		expect 77 "only root may read debugfs" as_nobody "$egm" watch &&
		expect 77 "only root may read debugfs" as_nobody "$egm" verify --lose 1 &&
		expect 77 "only root may use tracefs" as_nobody "$egm" heatmap
}

no_debugfs()
{
	local hide='umount -l /sys/kernel/debug'

	expect 77 "debugfs is not mounted" without "$hide" "$egm" watch &&
		expect 77 "debugfs is not mounted" without "$hide" "$egm" verify --lose 1 &&
		expect 0 "debugfs is not mounted" without "$hide" "$egm" verify --rounds 1 --size 64K &&
		expect 77 "tracefs is not mounted" without "$hide /sys/kernel/tracing" "$egm" \
			heatmap
}

# ---- arguments

wrong_arguments()
{
	expect 2 "which command" "$egm" &&
		expect 2 'no command "soak"' "$egm" soak &&
		expect 2 "unknown option --fast" "$egm" verify --fast &&
		expect 2 "--seed needs a value" "$egm" verify --seed &&
		expect 2 "is no number" "$egm" verify --threads 0 &&
		expect 2 "is no number" "$egm" verify --buffers 65 &&
		expect 2 "is no number" "$egm" verify --seed -1 &&
		expect 2 "is no size" "$egm" verify --size 1 &&
		expect 2 "is no size" "$egm" bench --size 99999999999G &&
		expect 2 "is no time" "$egm" watch --interval soon &&
		expect 2 "none called" "$egm" bench --pattern random &&
		expect 2 "unexpected argument" "$egm" list all &&
		expect 2 "a command comes after --" "$egm" heatmap true &&
		expect 1 "true ended with status 127" sh -c "'$egm' heatmap -- /no/true 2>&1"
}

# Each option is in the man page too, and none is there that is not
documented()
{
	local command

	for command in list verify bench watch heatmap; do
		diff <("$egm" "$command" --help | grep -o '^  --[a-z]*' | tr -d ' -' | sort) \
			<({ sed '/^.Sh DESC/,$d' "$top/userspace/egm.1" |
				sed -n "/^.Cm $command\$/,/^.Nm\$/p" | grep -o -- '-[a-z]\{2,\}'; echo help; } |
				tr -d - | sort) || return
	done
}

completed()
{
	. "$top/userspace/egm.bash"
	COMP_WORDS=("$egm" ver)
	COMP_CWORD=1
	_egm
	[ "${COMPREPLY[*]}" = verify ] || return
	COMP_WORDS=("$egm" verify --se)
	COMP_CWORD=2
	_egm
	[ "${COMPREPLY[*]}" = "--seconds --seed" ]
}

mapfile -t devices < <(devices)
plan $((7 + 7 * ${#devices[@]}))

# What has to be there is in the kernel's configuration, not in what was found
drivers=virtio_gpu
[ ! -d /sys/module/vmob ] || drivers+=" vmob"
check "list: $drivers" listed $drivers
for device in "${devices[@]}"; do
	driver=${device%=*}
	node=${device#*=}
	check "$driver: verify (C1 C3)" verified
	check "$driver: verify --seed does the same again" replayed
	check "$driver: verify notices a lost upload (C1)" loss_noticed
	check "$driver: bench, its counters are exact (C5)" benched
	check "$driver: watch shows another process's buffers" watched
	check "$driver: heatmap shows what was uploaded (C1)" heatmap
	check "$driver: heatmap of nothing" nothing_dirty
done
check "no device" no_device
check "no root" no_root
check "no debugfs, no tracefs" no_debugfs
check "wrong arguments" wrong_arguments
check "the man page has every option" documented
check "completion in bash" completed
