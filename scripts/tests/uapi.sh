#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The structures of a uAPI header are the same for 32 and 64 bit programs.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

header=$here/../../include/uapi/drm/vmob_drm.h
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "struct member" for each member, "struct" for each structure
members()
{
	sed -n -E '/^\/\*/,/\*\//d
		s/^struct (\w+) \{.*/\1/p
		s/^\t(__\w+) (\w+)(\[\w+\])?;.*/ \2/p' "$1" |
		awk '/^ / { print name $0; next } { name = $1; print name }'
}

# layout BITS HEADER: the offsets and sizes as the compiler has them
layout()
{
	{
		echo '#include <stddef.h>'
		echo '#include "header.h"'
		echo 'const unsigned int layout[] = {'
		members "$2" | awk 'NF == 2 { print "offsetof(struct " $1 ", " $2 ")," }
			NF == 1 { print "sizeof(struct " $1 ")," }'
		echo '};'
	} > "$work/layout.c"
	# The kernel's headers are the same for both
	cp "$2" "$work/header.h"
	gcc "-m$1" -I/usr/include/libdrm \
		-idirafter /usr/include/x86_64-linux-gnu \
		-S -o - "$work/layout.c" | sed -n 's/^\t\.\(long\|zero\)\t/\1 /p'
}

same_layout()
{
	local n

	n=$(members "$1" | wc -l)
	sed 's/#include "drm.h"/#include <drm.h>/' "$1" > "$work/vmob_drm.h"
	layout 64 "$work/vmob_drm.h" > "$work/64" &&
		layout 32 "$work/vmob_drm.h" > "$work/32" || return
	echo "# $n structures and members"
	[ "$n" -gt 20 ] && diff "$work/64" "$work/32"
}

differs()
{
	sed 's/__u64 size;/__u32 more; __u64 size;/' "$header" > "$work/other.h"
	[[ "$(same_layout "$work/other.h")" == *'> long'* ]]
}

plan 2
check "vmob_drm.h is the same for 32 and 64 bits" same_layout "$header"
check "a member that is not aligned is noticed" differs
