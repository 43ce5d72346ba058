#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The page of results: each verdict is computed. Of figures made up so that all goals are
# met, one at a time is made worse, and the verdict that depends on it has to change.

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

tmp=$(mktemp -d)
trap 'rm -r "$tmp"' EXIT

# figures PYTHON: made-up results in $tmp/made, changed by a statement
figures()
{
	rm -rf "$tmp/made"
	/usr/bin/python3 - "$tmp/made" "$1" <<-'PYTHON'
	import json
	import os
	import sys

	TRACKERS = {'none': 0, 'mainline': 2000, 'pagetable': 2000, 'mkwrite': 2100, 'ours': 90,
	            'oracle': 80}
	PATTERNS = ('idle', 'one page', '0.1 % random', 'one, later', '0.1 %, later',
	            'ring, 1/16', 'dense', 'phases')

	def spread(value):
	    return {'median': value, 'least': value, 'most': value}

	def tracker(name, size, dirty):
	    faults = 0 if name == 'none' else 1
	    return {'cost_ns': spread(TRACKERS[name]), 'write_ns': 1000 + 1500 * faults,
	            'harvest_ns': 90, 'submit_ns': 100000, 'faults': faults, 'entries': 10,
	            'notifier_ranges': 1, 'flushes': 1, 'upload_bytes': dirty,
	            'memory_bytes': size // 20000, 'wrong_pages': 0,
	            'series_ns': [TRACKERS[name] + 1] * 12}

	def cell(axis, value, pattern, size=4 << 20):
	    dirty = 0 if pattern == 'idle' else 4096
	    return {'axis': axis, 'value': value, 'pattern': pattern, 'size': size,
	            'buffers': 1, 'vmas': 1, 'dirty_bytes': dirty, 'mainline_over_ours': spread(20),
	            'ours_over_oracle': spread(1.1),
	            'trackers': {name: tracker(name, size, dirty) for name in TRACKERS}}

	cells = [cell('size', size, pattern, size) for size in (4 << 20, 16 << 20, 64 << 20)
	         for pattern in PATTERNS]
	cells += [cell('vmas', n, 'one page') for n in (1, 100)]
	cells += [cell('buffers', n, 'one page') for n in (10, 1000)]
	cells += [cell('notifier', n, 'dense') for n in (0, 10)]

	def of(axis, value, pattern):
	    return next(c for c in cells if (c['axis'], c['value'], c['pattern']) ==
	                (axis, value, pattern))

	def ours(axis, value, pattern):
	    return of(axis, value, pattern)['trackers']['ours']

	ours('size', 64 << 20, 'ring, 1/16')['faults'] = 0
	# A later page leaves one more entry to read; one more VMA is a walk.
	ours('size', 4 << 20, 'one, later').update(entries=20, cost_ns=spread(120))
	of('vmas', 100, 'one page')['trackers']['mkwrite']['cost_ns'] = spread(2100 + 99 * 600)
	walk = {'cells': [{'size': 65536, 'pattern': 'idle', 'wrprotect': False, 'ratio': 2,
	                   'mainline_seconds': 2e-6, 'ours_seconds': 1e-6}]}
	peers = {'cells': [{'size': 4 << 20, 'pattern': 'dense', 'dirty_bytes': 4 << 20, 'methods': {
	    'wp-async': {'cost_ns': spread(1000)}}}]}
	way = {'frame_s': spread(0.001), 'cpu_s': spread(0.001)}
	ways = {'rounds': 3, 'cells': [
	    {'name': name, 'ways': {'explicit, off': way, 'coherent': way},
	     **{f'off_over_{what}{how}': spread(1.1) for what in ('coherent', 'explicit_on')
	        for how in ('', '_cpu')}} for name in ('small', 'page', 'one of 1 MiB')]}
	variant = {**way, 'read_back_bytes': spread(0)}
	written = {'rounds': 3, 'frames': 60, 'cases': [
	    {'name': 'ring', 'limit': 1.2, 'variants': [{'name': 'storage', **variant},
	     {'name': 'uniforms', **variant}], 'ratio': spread(1), 'ratio_cpu': spread(1)}]}
	mapped = {'rounds': 3, 'cells': [dict(c) for c in ways['cells']]}
	emulated = json.loads(json.dumps(mapped))
	files = {'instructions/track': {'rounds': 3, 'complete': True, 'cells': cells},
	         'instructions/walk': walk, 'instructions/peers': peers, 'instructions/ways': ways,
	         'instructions/written': written, 'time/ways': ways, 'real/emulated-1/ways': emulated,
	         'real/mapped-1/ways': mapped}
	exec(sys.argv[2])
	for name, data in files.items():
	    path = f'{sys.argv[1]}/{name}.json'
	    os.makedirs(os.path.dirname(path), exist_ok=True)
	    with open(path, 'w') as f:
	        json.dump(data, f)
	PYTHON
}

page()
{
	"$here/../bench-page" "$tmp/made"
}

all_met()
{
	figures "pass"
	page > "$tmp/page" && ! grep -e '\*\*missed\*\*' -e '\*\*not measured\*\*' "$tmp/page" &&
		[ "$(grep -o '\*\*met\*\*' "$tmp/page" | wc -l)" = 21 ] && grep -q ' met  *0$' "$tmp/page"
}

# missed TITLE STATEMENT: a worse figure, and this verdict is another one
missed()
{
	figures "$2"
	page > "$tmp/page" && grep -qxF "$1: **missed**" "$tmp/page" && return
	grep -F -A3 "$1" "$tmp/page"
	return 1
}

# The two that are in the text, and the column of a table
beside_mapped()
{
	figures "emulated['cells'][0]['ways']['coherent']['frame_s'] = spread(0.0015)"
	page | tr -s '\n ' ' ' | grep -q 'mean (\*\*missed\*\*) and at most 1.25 in each row (\*\*missed\*\*)'
}

read_back()
{
	figures "written['cases'][0]['variants'][0]['read_back_bytes'] = spread(4096)"
	page | grep -q '^ring .* missed 4$'
}

unknown()
{
	figures "del files['instructions/walk']"
	page | grep -q '^i_mmap_rwsem .*: \*\*not measured\*\*$'
}

no_division()
{
	figures "ours('size', 4 << 20, 'one, later')['entries'] = 10"
	page | grep -q '^not told what was written: .*: \*\*not measured\*\*$'
}

refused()
{
	figures "del cells[3]['trackers']['ours']['faults']"
	expect 1 "track.json: 'faults' is a required property" page &&
		rm "$tmp/made/instructions/track.json" &&
		expect 1 "track.json is not there: run make bench" page
}

plots()
{
	local name

	figures "pass"
	"$here/../bench-plot" "$tmp/made" "$tmp/images" || return
	for name in track axes phases walk ways; do
		[ "$(head -c 8 "$tmp/images/$name.png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] &&
			[ "$(wc -c < "$tmp/images/$name.png")" -gt 10000 ] || return
	done
}

if ! /usr/bin/python3 -c 'import jsonschema, matplotlib' 2> /dev/null; then
	plan 1
	skip "the page of results" "python3-jsonschema or python3-matplotlib is missing: scripts/setup bench"
	exit 0
fi

cost="['cost_ns'] = spread"
plan 27
check "good figures meet all goals" all_met
while IFS='|' read -r title statement; do
	check "a worse figure: $title" missed "$title" "$statement"
done <<GOALS
at most 1.1 times the better of mainline's methods|ours('notifier', 10, 'dense')$cost(2500)
idle and sparse from 16 MiB: a tenth of what mainline takes|of('size', 16 << 20, 'idle')['mainline_over_ours'] = spread(9)
phases without a bad period|ours('size', 16 << 20, 'phases')['series_ns'][4] = 2500
at most 1.5 times the oracle, but for the first touch|of('size', 4 << 20, 'dense')['trackers']['oracle']$cost(-80)
at most 1.5 times the oracle, but for the first touch|of('size', 4 << 20, 'dense')['ours_over_oracle'] = spread(1.6)
one page dirty: at the largest size at most 1.5 times as much as at 4 MiB|ours('size', 64 << 20, 'one page')$cost(140)
many buffers, ten of them dirty: at most twice as much as those ten|ours('buffers', 1000, 'one page')$cost(190)
tracker at most 0.01 % of the buffer|ours('size', 4 << 20, 'idle')['memory_bytes'] = 420
a stream faults at most once in 2 MiB|ours('size', 64 << 20, 'ring, 1/16')['faults'] = 4
uploaded over dirty at most 1.05|ours('size', 4 << 20, 'dense')['upload_bytes'] = 4400
i_mmap_rwsem held no longer than by mainline|walk['cells'][0]['ours_seconds'] = 3e-6
dma_resv held for at most 60 instructions for each page that is open|ours('size', 4 << 20, 'dense')['harvest_ns'] = 700
cheaper than userfaultfd's WP_ASYNC, with the same stores|peers['cells'][0]['methods']['wp-async']$cost(80)
what was written is what the device has|ours('vmas', 1, 'one page')['wrong_pages'] = 1
without a notifier: at most 1.1 times the better of mainline's methods|ours('vmas', 1, 'one page')$cost(2300)
not told what was written: at most twice the least that this takes|ours('size', 4 << 20, 'dense')$cost(9000)
idle from 16 MiB: at most 100 instructions, and 1.1 times mainline's|ours('size', 16 << 20, 'idle')$cost(120)
many buffers: a tenth of what the ioctl takes, or as much as mainline's better method|ours('buffers', 1000, 'one page')$cost(11000)
tracker at most 0.01 % of the buffer and 512 bytes|ours('size', 4 << 20, 'idle')['memory_bytes'] = 1000
frames: coherent faster for updates below a page, at most a tenth slower for whole pages|ways['cells'][0]['off_over_coherent_cpu'] = spread(0.95)
GOALS
check "a worse figure: beside buffers that the host maps" beside_mapped
check "a worse figure: something is read back that was not written" read_back
check "what was not measured is not met" unknown
check "a verdict that would need a division by zero is none" no_division
check "figures that are not as they should be are refused" refused
check "plots are drawn" plots
exit $((failed > 0))
