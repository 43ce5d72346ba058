#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# egm, the client, in a guest: on every device with coherent buffers, and where
# something is missing.
#
#	userspace/egm/tests.sh [driver]	on its device only

set -uo pipefail

here=$(dirname "$(realpath "$0")")
top=$(dirname "$(dirname "$here")")
. "$top/scripts/tests/ktap.sh"

egm=$top/build/user/egm
tmp=$(mktemp -d)
trap 'rm -r "$tmp"' EXIT

# json FILTER: there is one JSON document on stdin, of which it is true
json()
{
	[ "$(tee "$tmp/json" | jq "$1")" = true ] && return
	echo "not so: $1"
	cat "$tmp/json"
	return 1
}

# The devices as DRIVER=NODE
devices()
{
	"$egm" list --json | jq -r '.nodes[] | select(.coherent) | "\(.driver)=\(.node)"'
}

listed()
{
	"$egm" list --json | json "(.nodes | all(.coherent and .emulated and .buffers == 0 and
		.can_lose)) and ([.nodes[].driver] | sort | join(\" \")) == \"$*\" and
		\"egm \(.egm)\" == \"$("$egm" --version)\" and .command == \"list\"" &&
		[ "$("$egm" list | grep -c '^    coherent buffers  yes, emulated$')" = $# ]
}

# ---- on a device: $node

# It says so with everything that it checked
healthy()
{
	local gl='"unknown"'

	[ "$driver" != virtio_gpu ] || gl='"good"'
	"$egm" doctor --device "$node" > "$tmp/doctor" &&
		[ "$(tail -n 1 "$tmp/doctor")" = "Coherent buffers work." ] &&
		"$egm" doctor --device "$node" --json | json ".works and .why == null and
			.driver == \"$driver\" and (.checks | map({(.check): .verdict}) | add |
				.device == \"good\" and .buffers == \"good\" and .OpenGL == $gl) and
			(.counters.uploads > 0) and .kernel == \"$(uname -r)\"" &&
		{ [ "$driver" != virtio_gpu ] ||
			grep -q '^good     OpenGL       4.5 with persistent buffers, 4.3 without: ' \
				"$tmp/doctor"; } && return
	cat "$tmp/doctor"
	return 1
}

# A device that loses what is uploaded is not well
sick()
{
	local fail=/sys/kernel/debug/dri/$((${node##*renderD} - 128))/fail_upload status

	echo 100 > "$fail/probability"
	echo 0 > "$fail/verbose"
	echo 1 > "$fail/times"
	expect 1 "Coherent buffers do not work: the device did not get what was written" \
		"$egm" doctor --device "$node"
	status=$?
	echo 0 > "$fail/probability"
	echo 0 > "$fail/times"
	return $status
}

verified()
{
	"$egm" verify --device "$node" --rounds 4 --size 512K --threads 3 --json > "$tmp/out" &&
		json '.passed and .rounds == 4 and .stores > 1000 and .wrong == [] and
			.bytes_compared == 4 * 4 * 524288 and
			.counters.faults > 0 and .counters.upload_bytes > 0' < "$tmp/out"
}

# Of a failed run the last line says how to have it again. The stores are counted, and
# what they are is in the words: the same number twice, and another with another seed.
replayed()
{
	local again stores

	again=$("$egm" verify --device "$node" --rounds 2 --size 64K --threads 3 --lose 1 |
		sed -n 's/^again with *egm //p')
	[ -n "$again" ] || return
	stores=$(for _ in 1 2; do
		"$egm" $again | sed -n 's/^ok *\([0-9]*\) stores checked$/\1/p'
	done)
	stores+=" $("$egm" $(sed 's/--seed [^ ]*/--seed 7/' <<< "$again") |
		sed -n 's/^ok *\([0-9]*\) stores checked$/\1/p')"
	echo "$again: stores" $stores
	set -- $stores
	[ "$1" = "$2" ] && [ "$1" != "$3" ] && [ "$3" -gt 0 ]
}

# What is wrong is pages, at least one, and with that it ends; then it is off again
loss_noticed()
{
	"$egm" verify --device "$node" --rounds 4 --size 256K --lose 1 --json > "$tmp/out"
	[ $? = 1 ] &&
		json '(.passed | not) and .rounds == 2 and .wrong_bytes > 0 and
			(.wrong[0].text | test("page [0-9]+\\): found .*, expected "))' < "$tmp/out" &&
		expect 0 "stores checked" "$egm" verify --device "$node" --rounds 2 --size 64K
}

# Where the driver cannot be asked to move buffers it says so
disturbed()
{
	if [ "$driver" != vmob ]; then
		expect 77 "has no way to move buffers" "$egm" verify --device "$node" --disturb
		return
	fi
	"$egm" verify --device "$node" --rounds 6 --size 256K --disturb --json > "$tmp/out" &&
		json '.passed and .disturbances > 0 and .rounds == 6' < "$tmp/out"
}

# vmwgfx uploads all from the first dirty page to the last
benched()
{
	local equals="=="

	[ "$driver" != vmwgfx ] || equals=">="
	"$egm" bench --device "$node" --size 1M --submissions 16 --json > "$tmp/out" &&
		jq -s . "$tmp/out" | json '[.[].pattern] == ["idle", "page", "sparse", "tenth", "ring", "dense", "back",
				"both", "twin"] and
			(.[:6] | all(.counters.passes == 16 and
				.counters.upload_bytes '"$equals"' 4096 * .pages_written)) and
			[.[].pages_written] == [0, 16, 16, 400, 256, 4096, 4096, 400, 400] and
			.[0].counters.passes_idle == 16 and .[0].counters.ptes_scanned == 0 and
			.[6].counters.pages_read_back == 4096 and
			.[7].counters.pages_read_back >= 400 and .[8].counters.passes == 0' &&
		"$egm" bench --device "$node" --size 256K --submissions 4 --pattern page |
		grep -q '^page  *1\.0 '
}

# Another process's buffers, with their counters and its name; and Ctrl-C ends both well
watched()
{
	local verify watch status

	"$egm" verify --device "$node" --seconds 0 --size 256K --buffers 2 > "$tmp/verify" &
	verify=$!
	until "$egm" list --json | grep -q '"buffers": 2'; do
		kill -0 $verify || return
		sleep 0.2
	done
	"$egm" watch --device "$node" --interval 2 --count 1 --json > "$tmp/out"
	"$egm" watch --device "$node" --interval 2 --count 1 > "$tmp/table"
	setsid "$egm" watch --device "$node" --interval 0.2 > "$tmp/endless" &
	watch=$!
	until grep -q 'mapped by' "$tmp/endless"; do
		kill -0 $watch || return
		sleep 0.2
	done
	kill -TERM $watch
	wait $watch
	status=$?
	kill -TERM $verify
	wait $verify
	status+=$?
	cat "$tmp/verify" "$tmp/table"
	[ $status = 00 ] && grep -q '^ok  *[0-9]* stores checked$' "$tmp/verify" &&
		json "[.buffers[] | select(.pages == 64 and .passes > 0 and
			(.mapped_by | index({pid: $verify, command: \"egm\"})))] | length == 2" \
			< "$tmp/out" &&
		[ "$(grep -c "$verify egm" "$tmp/table")" = 2 ]
}

# What the trace says is what the driver counted, page for page: all of it at first, then
# a 16th in each of 8 submissions and 24 before them but one
heatmap()
{
	"$egm" heatmap --device "$node" --output "$tmp/map.png" --json -- \
		"$egm" bench --device "$node" --pattern ring --size 1M --submissions 8 \
		> "$tmp/out" 2> "$tmp/bench" &&
		grep -q '^ring ' "$tmp/bench" &&
		json '(.buffers | length) == 1 and .lost_events == 0 and
			.buffers[0].dirty == 256 + 31 * 16 and
			([.ranges[][3]] | add) == .buffers[0].dirty and
			([.ranges[] | select(.[2] == 0 and .[3] == 256)] | length) == 1 and
			.buffers[0].pages == 256 and .buffers[0].command == "egm"' < "$tmp/out" &&
		[ "$(head -c 8 "$tmp/map.png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] &&
		[ -z "$(ls /sys/kernel/tracing/instances)" ] || return
	# Drawn again from that, it is the same; and the next 16th each time is one more
	# row of eight every other time, from the upper left to the lower right
	"$egm" heatmap --from "$tmp/out" --output "$tmp/again.png" --text > "$tmp/text" &&
		cmp "$tmp/map.png" "$tmp/again.png" &&
		[ "$(grep -c '^ *[0-9]* |.*[.:=+*#%@-].*|$' "$tmp/text")" = 8 ] || return
	# Of a record without a command, which is another machine's, and hostile
	jq '.of = null | .buffers[0].command = "a\u001b[31m" | .buffers[0].pages = 4294967295 |
		.ranges = [range(1000) | [0.1, '"$(jq .buffers[0].buffer "$tmp/out")"', 0, 4294967295]]' \
		"$tmp/out" > "$tmp/hostile" &&
		timeout 10 "$egm" heatmap --from "$tmp/hostile" --text > "$tmp/text" &&
		! grep -q $'\033' "$tmp/text" && grep -q '4294967295 pages, a?\[31m,' "$tmp/text" || return
	[ ! -d /results ] || cp "$tmp/map.png" "/results/heatmap-$driver.png"
}

nothing_dirty()
{
	expect 1 "nothing was dirty" "$egm" heatmap --device "$node" --output "$tmp/none.png" \
		--seconds 0.2 && [ ! -e "$tmp/none.png" ]
}

# ---- terminals and signals

# The table keeps its place, and no line is longer than there is room
on_terminal()
{
	local top=$'\033[H\033[J' out

	out=$(script -qec "stty rows 4 cols 60; '$egm' watch --interval 0.1 --count 2" /dev/null) &&
		[[ "$out" == "$top/dev/dri/"*" buffers, "*"$top/dev/dri/"* ]] &&
		[ "$(wc -l <<< "$out")" = 6 ] &&
		[ "$(tr -d '\r' <<< "${out//"$top"/}" | wc -L)" = 60 ] || return
	out=$(script -qec "'$egm' verify --seconds 2 --size 64K" /dev/null) &&
		[[ "$out" == *$'\r'*" rounds, "*" stores checked"*$'\r\033[K'*"ok  "* ]] && return
	printf '%q\n' "$out"
	return 1
}

# Ctrl-C goes to the command as well; the picture is of what there was until then
interrupted()
{
	local pid status

	setsid "$egm" heatmap --output "$tmp/int.png" -- "$egm" verify --seconds 0 --size 64K \
		> "$tmp/out" &
	pid=$!
	until [ -n "$(ls /sys/kernel/tracing/instances)" ] && grep -q seed "$tmp/out"; do
		kill -0 $pid || return
		sleep 0.2
	done
	sleep 2
	kill -TERM -$pid
	wait $pid
	status=$?
	cat "$tmp/out"
	[ $status = 0 ] && [ -s "$tmp/int.png" ] && [ -z "$(ls /sys/kernel/tracing/instances)" ]
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
		expect 1 "no DRM render node" without "$hide" "$egm" doctor &&
		expect 1 "is no DRM render node" "$egm" doctor --device /dev/null &&
		expect 77 "no DRM render node" without "$hide" "$egm" verify &&
		expect 77 "no DRM render node" without "$hide" "$egm" watch &&
		expect 77 "not a DRM node" "$egm" bench --device /dev/null &&
		expect 77 "No such file" "$egm" heatmap --device /dev/dri/renderD191
}

# The driver has them turned off: for all commands the next device is the first
turned_off()
{
	local parameter=/sys/module/virtio_gpu/parameters/coherent status

	echo 0 > $parameter
	"$egm" list --json | json "(.nodes[] | select(.driver == \"virtio_gpu\") |
		.coherent == false and .emulated == null and (.needs | test(\"virtio_gpu.coherent=1\")))" &&
		expect 1 "a kernel with coherent buffers (virtio_gpu.coherent=1)" \
			"$egm" doctor --device /dev/dri/renderD128 &&
		"$egm" watch --count 1 --interval 0.1 --json | json '.driver == "vmob"' &&
		"$egm" verify --rounds 1 --size 64K --json | json '.driver == "vmob"'
	status=$?
	echo 1 > $parameter
	return $status
}

no_root()
{
	chmod 600 /dev/dri/*
	expect 1 "Permission denied" as_nobody "$egm" list &&
		expect 1 "do not work: /dev/dri/renderD128: Permission denied" as_nobody "$egm" doctor &&
		expect 77 "Permission denied" as_nobody "$egm" verify || return
	chmod 666 /dev/dri/renderD*
	expect 0 "only root may read debugfs" as_nobody "$egm" doctor &&
		expect 0 "only root may read debugfs" as_nobody "$egm" verify --rounds 2 --size 64K &&
		expect 0 "only root may read debugfs" as_nobody "$egm" bench --size 64K \
			--submissions 2 &&
		expect 77 "only root may read debugfs" as_nobody "$egm" watch &&
		expect 77 "only root may read debugfs" as_nobody "$egm" verify --lose 1 &&
		expect 77 "only root may use tracefs" as_nobody "$egm" heatmap --output /dev/null
}

no_debugfs()
{
	local hide='umount -l /sys/kernel/debug'

	expect 77 "debugfs is not mounted" without "$hide" "$egm" watch &&
		expect 77 "debugfs is not mounted" without "$hide" "$egm" verify --lose 1 &&
		expect 0 "debugfs is not mounted" without "$hide" "$egm" verify --rounds 1 --size 64K &&
		expect 77 "tracefs is not mounted" without "$hide /sys/kernel/tracing" "$egm" \
			heatmap --output /dev/null
}

full()
{
	sh -c '"$@" > /dev/full' sh "$@"
}

# A result that is not written is not a good one, and a bad one stays bad
no_space()
{
	mkdir "$tmp/small"
	mount -t tmpfs -o size=4k none "$tmp/small"
	expect 77 "No space left" full "$egm" list &&
		expect 77 "No space left" full "$egm" verify --rounds 1 --size 64K --json &&
		expect 1 "No space left" full "$egm" verify --rounds 2 --size 64K --lose 1 --json &&
		expect 77 "No such file" "$egm" heatmap --output "$tmp/none/map.png" &&
		expect 77 "No space left" "$egm" heatmap --output "$tmp/small/map.png" -- \
			"$egm" bench --size 64K --submissions 2 --pattern ring &&
		umount "$tmp/small"
}

# ---- arguments

wrong_arguments()
{
	expect 2 "a command is missing" "$egm" &&
		expect 2 'unknown command "soak"' "$egm" soak &&
		expect 2 'unknown command "soak"' "$egm" help soak &&
		expect 2 "unknown option --fast" "$egm" verify --fast &&
		expect 2 "unknown option -x" "$egm" verify --json -xyz &&
		expect 2 "--seed needs a value" "$egm" verify --seed &&
		expect 2 "is not a number" "$egm" verify --threads 0 &&
		expect 2 "is not a number" "$egm" verify --buffers 65 &&
		expect 2 "is not a number" "$egm" verify --seed -1 &&
		expect 2 "is not a size" "$egm" verify --size 1 &&
		expect 2 "is not a size" "$egm" bench --size 99999999999G &&
		expect 2 "is not a time" "$egm" watch --interval soon &&
		expect 2 'unknown pattern "random"' "$egm" bench --pattern random &&
		expect 2 "unexpected argument" "$egm" list all &&
		expect 2 "a command comes after --" "$egm" heatmap true &&
		expect 2 "records nothing" "$egm" heatmap --from "$tmp/out" --seconds 2 &&
		expect 2 "both need standard output" "$egm" heatmap --text --json &&
		expect 77 "No such file" "$egm" heatmap --from "$tmp/none.json" &&
		expect 77 "not a record of egm heatmap" "$egm" heatmap --from <(echo '{}') &&
		expect 77 "range 0 belongs to no buffer" "$egm" heatmap --text --from <(echo '{"node": "",
			"driver": "", "seconds": 1, "lost_events": 0, "buffers": [{"buffer": 1,
			"pages": 4, "pid": 1, "command": ""}], "ranges": [[0.5, 1, 3, 2]]}') &&
		expect 1 "true ended with status 127" "$egm" heatmap --output "$tmp/none.png" -- /no/true
}

# Their trackers are compared with what was written, which they can be told to lose
forgotten()
{
	expect 1 "of 1 pages 0 were found" "$top/build/user/egm-peers" --max 64K --rounds 1 --forget &&
		expect 1 "oracle, size" "$top/build/user/egm-track" --axis size --max 1M --rounds 1 --forget &&
		expect 0 "64 KiB" "$top/build/user/egm-peers" --max 64K --rounds 1
}

# However it is asked for
helped()
{
	local command

	for command in list doctor verify bench watch heatmap; do
		cmp <("$egm" help $command) <("$egm" $command --help) &&
			cmp <("$egm" help $command) <("$egm" $command -h) &&
			grep -q "^  $command " <("$egm" -h) || return
	done
	cmp <("$egm" help) <("$egm" --help) && cmp <("$egm" version) <("$egm" -V) &&
		grep -q "^## $("$egm" version | cut -d' ' -f2)" "$top/CHANGELOG.md"
}

# Where a package would have it
installed()
{
	make -s -C "$top/userspace" install OUT="$top/build/user" DESTDIR="$tmp" PREFIX=/usr &&
		[ "$("$tmp/usr/bin/egm" --version)" = "$("$egm" --version)" ] &&
		(cd "$tmp/usr/share" && cat man/man1/egm.1 bash-completion/completions/egm) |
		cmp - <(cat "$here"/egm.{1,bash})
}

# Each option is in the man page too, and none is there that is not
documented()
{
	local command

	for command in list doctor verify bench watch heatmap; do
		diff <("$egm" "$command" --help | grep -o '^  --[a-z]*' | tr -d ' -' | sort) \
			<({ sed '/^.Sh DESC/,$d' "$here/egm.1" |
				sed -n "/^.Cm $command\$/,/^.Nm\$/p" | grep -o -- '-[a-z]\{2,\}'; echo help; } |
				tr -d - | sort) || return
	done
}

completed()
{
	. "$here/egm.bash"
	COMP_WORDS=("$egm" ver)
	COMP_CWORD=1
	_egm
	[ "${COMPREPLY[*]}" = verify ] || return
	COMP_WORDS=("$egm" verify --se)
	COMP_CWORD=2
	_egm
	[ "${COMPREPLY[*]}" = "--seconds --seed" ]
}

mapfile -t devices < <(devices | grep "^${1:-}")

# What has to be there is in the kernel's configuration, not in what was found
if [ $# = 0 ]; then
	plan $((14 + 10 * ${#devices[@]}))
	check "list: virtio_gpu vmob" listed virtio_gpu vmob
else
	plan $((1 + 10 * ${#devices[@]}))
	check "list: vmob $1" listed vmob "$1"
fi
for device in "${devices[@]}"; do
	driver=${device%=*}
	node=${device#*=}
	check "$driver: doctor finds nothing" healthy
	if [ "$driver" = vmwgfx ]; then
		skip "$driver: doctor notices a lost upload (C1)" "vmwgfx has no fault injection"
	else
		check "$driver: doctor notices a lost upload (C1)" sick
	fi
	check "$driver: verify (C1 C3)" verified
	check "$driver: verify while buffers are moved (C3)" disturbed
	check "$driver: verify notices a lost upload (C1)" loss_noticed
	check "$driver: verify does the same again" replayed
	check "$driver: bench, its counters are exact (C5)" benched
	check "$driver: watch shows another process's buffers" watched
	check "$driver: heatmap shows what was uploaded (C1)" heatmap
	check "$driver: heatmap of nothing" nothing_dirty
done
if [ $# = 0 ]; then
	check "on a terminal" on_terminal
	check "Ctrl-C during a heatmap" interrupted
	check "no coherent buffers with virtio_gpu.coherent=0" turned_off
	check "no space for the result" no_space
	check "no device" no_device
	check "no root" no_root
	check "no debugfs, no tracefs" no_debugfs
	check "wrong arguments" wrong_arguments
	check "benchmarks notice a page that is lost" forgotten
	check "help and version" helped
	check "the man page has every option" documented
	check "make install" installed
	check "completion in bash" completed
fi
exit $((failed > 0))
