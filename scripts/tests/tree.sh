#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/tree on a kernel of six files: what it assembles, and that sync and
# a fresh assembly lead back to the same tree.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LINUX_SOURCE=$tmp/linux-source-0.1.tar.xz
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
p=$tmp/project
linux=$p/build/linux

lines()
{
	printf "$1 line %s\n" {1..20}
}

make_source()
{
	local s=$tmp/linux-source-0.1

	mkdir -p "$s"/{mm,drivers/gpu,include/linux,lib,arch/{arm,mips}/mm,arch/arm/boot/dts}
	lines mm > "$s/mm/a.c"
	lines gpu > "$s/drivers/gpu/b.c"
	lines make > "$s/drivers/gpu/Makefile"
	lines lib > "$s/lib/c.c"
	lines head > "$s/include/linux/d.h"
	lines arm > "$s/arch/arm/mm/e.c"
	lines mips > "$s/arch/mips/mm/f.c"
	lines dts > "$s/arch/arm/boot/dts/g.dts"
	# What complains of what: "style" in a mail, "careless" in a file
	mkdir "$s/scripts"
	echo 'print "total: ", (join("", <>) =~ /style/ ? 1 : 0), " errors, 0 warnings, 0 checks\n"' \
		> "$s/scripts/checkpatch.pl"
	echo 'echo careless 1' >> "$s/lib/c.c"
	printf '#!/bin/sh\nshift\ngrep -Hn careless "$@" | sed "s/:[^:]*$/ is careless/"\n' \
		> "$s/scripts/kernel-doc"
	chmod +x "$s/scripts/kernel-doc"
	mkdir "$s/scripts/coccinelle"
	echo "a rule" > "$s/scripts/coccinelle/null.cocci"
	printf 'coccicheck:\n\t@cd $(M) && grep -rn null . | sed "s/:[^:]*$$/: ERROR/"\n' \
		> "$s/Makefile"
	printf '*.o\n.*\n/*\n!/debian/\n' > "$s/.gitignore"
	tar cJf "$LINUX_SOURCE" -C "$tmp" linux-source-0.1
}

# patch FILE SUBJECT KERNEL-FILE LINE: a patch that changes one line
patch_file()
{
	local file=$1 subject=$2 path=$3 n=$4 s=$tmp/linux-source-0.1

	mkdir -p "$(dirname "$file")"
	{
		printf 'From %040d Mon Sep 17 00:00:00 2001\n' 0
		echo "From: A <a@example.org>"
		echo "Date: Thu, 1 Jan 2026 00:00:00 +0000"
		printf 'Subject: [PATCH] %s\n\nWhy.\n\n---\n\n' "$subject"
		echo "diff --git a/$path b/$path"
		diff -u --label "a/$path" --label "b/$path" "$s/$path" \
			<(sed "${n}s/\$/ $subject/" "$s/$path")
	} > "$file"
	basename "$file" >> "$(dirname "$file")/series"
}

make_project()
{
	mkdir -p "$p/scripts" "$p"/drivers/gpu "$p"/include/drm
	cp "$here/../tree" "$p/scripts"
	mkdir "$p/mm-patches"
	echo "series: first" > "$p/mm-patches/series"
	patch_file "$p/mm-patches/0001-one.patch" one mm/a.c 3
	echo "int new;" > "$p/drivers/gpu/new.c"
	echo "extern int new;" > "$p/include/drm/new.h"
	mkdir -p "$p/drivers/patches"
	printf '%s\n' "series: second" "overlay: drivers/gpu/new.c include/drm/new.h" \
		> "$p/drivers/patches/series"
	patch_file "$p/drivers/patches/0001-two.patch" two drivers/gpu/Makefile 3
	patch_file "$p/drivers/patches/0002-three.patch" three drivers/gpu/b.c 3
}

tree()
{
	"$p/scripts/tree" "$@"
}

hash_of()
{
	git -C "$linux" rev-parse 'HEAD^{tree}'
}

assembled()
{
	tree &&
	[ "$(git -C "$linux" log --format=%s | head -3 | tr '\n' ' ')" = "three two one " ] &&
	cmp "$p/drivers/gpu/new.c" "$linux/drivers/gpu/new.c" &&
	git -C "$linux" show --stat HEAD~1 | grep -q new.h &&
	[ -e "$linux/arch/arm/mm/e.c" ] &&
	[ ! -e "$linux/arch/mips/mm/f.c" ] && [ ! -e "$linux/arch/arm/boot/dts/g.dts" ] &&
	grep -q 'line 3 one' "$linux/mm/a.c"
}

# The overlay changes: only that file is written, the rest keeps its times
minimal()
{
	local before after

	before=$(stat -c %Y.%Z "$linux/mm/a.c" "$linux/lib/c.c")
	echo "int changed;" > "$p/drivers/gpu/new.c"
	tree &&
	grep -q changed "$linux/drivers/gpu/new.c" &&
	after=$(stat -c %Y.%Z "$linux/mm/a.c" "$linux/lib/c.c") &&
	[ "$before" = "$after" ]
}

refuses()
{
	echo "int edited;" >> "$linux/drivers/gpu/new.c"
	echo "int other;" >> "$p/include/drm/new.h"
	expect 1 "make sync" tree
}

# Both sides changed, in different files: sync takes both
edits_return()
{
	local untouched

	untouched=$(sha256sum "$p/drivers/patches/0002-three.patch")
	sed -i '3s/$/ edited/' "$linux/mm/a.c"
	sed -i '18s/$/ edited too/' "$linux/drivers/gpu/Makefile"
	echo "int brand_new;" > "$linux/drivers/gpu/brand.c"
	tree sync &&
	grep -q edited "$p/drivers/gpu/new.c" &&
	grep -q other "$linux/include/drm/new.h" &&
	grep -q '^+mm line 3 one edited' "$p/mm-patches/0001-one.patch" &&
	grep -q '^+make line 18 edited too' "$p/drivers/patches/0001-two.patch" &&
	grep -q '^Why' "$p/drivers/patches/0001-two.patch" &&
	cmp "$p/drivers/gpu/brand.c" "$linux/drivers/gpu/brand.c" &&
	[ "$untouched" = "$(sha256sum "$p/drivers/patches/0002-three.patch")" ] &&
	expect 0 "nothing to write back" tree sync
}

commits_return()
{
	local g="git -C $linux"

	sed -i '10s/$/ mm commit/' "$linux/mm/a.c"
	$g commit -qam "mm: change line ten"
	sed -i '5s/$/ lib commit/' "$linux/lib/c.c"
	echo "int third;" > "$linux/drivers/gpu/third.c"
	$g add -A
	$g commit -qm "lib: change line five"
	# and on top an edit of what the commit did, and one of an old patch
	sed -i '5s/commit/fixed/' "$linux/lib/c.c"
	sed -i '3s/$/ again/' "$linux/drivers/gpu/b.c"
	tree sync &&
	grep -q 'mm commit' "$p"/mm-patches/0002-mm-change-line-ten.patch &&
	grep -q 'lib fixed' "$p"/drivers/patches/0003-lib-change-line-five.patch &&
	grep -q '^Subject: .*lib: change line five' "$p"/drivers/patches/0003-*.patch &&
	! grep -q third "$p"/drivers/patches/0003-*.patch &&
	cmp "$p/drivers/gpu/third.c" "$linux/drivers/gpu/third.c" &&
	grep -q 'three again' "$p/drivers/patches/0002-three.patch"
}

fresh_is_same()
{
	local before

	before=$(hash_of)
	[ -z "$(git -C "$linux" status --porcelain)" ] &&
	rm -rf "$p/build" &&
	tree &&
	[ "$before" = "$(hash_of)" ]
}

removal_returns()
{
	rm "$linux/drivers/gpu/brand.c"
	tree sync && [ ! -e "$p/drivers/gpu/brand.c" ] && expect 0 "up to date" tree
}

refuses_unowned()
{
	sed -i '9s/$/ unowned/' "$linux/include/linux/d.h"
	expect 1 "no patch touches it" tree sync &&
	git -C "$linux" checkout -q include/linux/d.h
}

refuses_conflict()
{
	echo "int mine;" > "$linux/drivers/gpu/new.c"
	cp "$p/drivers/gpu/new.c" "$tmp/keep"
	echo "int yours;" > "$p/drivers/gpu/new.c"
	expect 1 "changed both" tree sync &&
	grep -q mine "$linux/drivers/gpu/new.c" &&
	grep -q yours "$p/drivers/gpu/new.c"
	local status=$?
	cp "$tmp/keep" "$p/drivers/gpu/new.c"
	git -C "$linux" checkout -q drivers/gpu/new.c
	return $status
}

unclaimed()
{
	echo "int stray;" > "$p/drivers/gpu/stray.c"
	expect 1 "stray.c is in no overlay: line" tree
	local status=$?
	rm "$p/drivers/gpu/stray.c"
	return $status
}

broken_patch()
{
	cp "$p/drivers/patches/0002-three.patch" "$tmp/keep"
	sed -i 's/^ gpu line 2$/ gpu line two/' "$p/drivers/patches/0002-three.patch"
	expect 1 "0002-three.patch does not apply" tree
	local status=$?
	cp "$tmp/keep" "$p/drivers/patches/0002-three.patch"
	return $status
}

# mm/ and mm/compare/ of the kernel, the latter with a copy of what is in the source
compared()
{
	mkdir -p "$p/mm-patches/mm" "$p/mm-patches/compare"
	echo "int mm_new;" > "$p/mm-patches/mm/new.c"
	echo "int own;" > "$p/mm-patches/compare/own.c"
	echo "overlay: mm/new.c" >> "$p/mm-patches/series"
	patch_file "$p/mm-patches/0003-four.patch" four mm/a.c 15
	echo "overlay: mm/compare/own.c" > "$p/mm-patches/compare/series"
	echo "stock: mm/a.c mm/compare/a.c" >> "$p/mm-patches/compare/series"
	patch_file "$p/mm-patches/compare/0001-five.patch" five include/linux/d.h 3
	tree &&
	[ "$(git -C "$linux" log -1 --format=%s)" = five ] &&
	cmp "$p/mm-patches/mm/new.c" "$linux/mm/new.c" &&
	cmp "$p/mm-patches/compare/own.c" "$linux/mm/compare/own.c" &&
	grep -q four "$linux/mm/a.c" &&
	cmp "$tmp/linux-source-0.1/mm/a.c" "$linux/mm/compare/a.c" &&
	echo "int edited;" >> "$linux/mm/new.c" &&
	echo "int edited;" >> "$linux/mm/compare/own.c" &&
	tree sync &&
	grep -q edited "$p/mm-patches/mm/new.c" &&
	grep -q edited "$p/mm-patches/compare/own.c" &&
	[ ! -e "$p/mm-patches/compare/a.c" ]
}

# An architecture that is not left out any more
other_source()
{
	sed -i "s/ 'mips',//" "$p/scripts/tree"
	tree &&
	[ -e "$linux/arch/mips/mm/f.c" ] &&
	cmp "$p/mm-patches/mm/new.c" "$linux/mm/new.c"
}

# patch_for VERSION DIRECTORY NAME FILE LINE: a patch for one version, as patch_file makes it
patch_for()
{
	local directory=$p/$2

	cp "$directory/series" "$tmp/series"
	patch_file "$directory/$1/$3.patch" "$3" "$4" "$5"
	rm "$directory/$1/series"
	cp "$tmp/series" "$directory/series"
}

pack_7_0()
{
	tar cJf "$tmp/linux-source-7.0.tar.xz" -C "$tmp" --transform s/0.1/7.0/ linux-source-0.1
}

# The same file has other lines in 7.0, and another patch is for one version alone
versions()
{
	local before

	before=$(hash_of)
	sed -i '3s/$/ of 7.0/' "$tmp/linux-source-0.1/drivers/gpu/b.c"
	pack_7_0
	LINUX_SOURCE=$tmp/linux-source-7.0.tar.xz BASE=7.0 \
		expect 1 "0002-three.patch does not apply" tree &&
	patch_for 7.0 drivers/patches 0002-three drivers/gpu/b.c 3 &&
	sed -i '1,/^---$/d; /^$/d' "$p/drivers/patches/7.0/0002-three.patch" &&
	patch_file "$p/drivers/patches/0007-new.patch" 0007-new lib/c.c 12 &&
	sed -i 's/^0007-new/7.0: &/' "$p/drivers/patches/series" &&
	new_version && grep -q 'gpu line 3 of 7.0 0002-three' "$new/drivers/gpu/b.c" &&
	grep -q 'lib line 12 0007-new' "$new/lib/c.c" &&
	[ "$(git -C "$new" log --format=%s | grep -c three)" = 1 ] &&
	expect 0 "up to date" new_version &&
	tree && [ "$before" = "$(hash_of)" ]
}

new=$p/build/linux-7.0
new_version()
{
	LINUX_SOURCE=$tmp/linux-source-7.0.tar.xz BASE=7.0 tree "$@"
}

# From 7.0.2 on a patch is a part of it, from 7.0.3 on another has other lines
updates()
{
	local patches=$p/drivers/patches

	mkdir "$patches"/7.0.{2,3}
	: > "$patches/7.0.2/0007-new.patch"
	sed 's/0002-three/0002-later/' "$patches/7.0/0002-three.patch" \
		> "$patches/7.0.3/0002-three.patch"
	make_update 1 && new_version &&
	grep -q 0007-new "$new/lib/c.c" && grep -q 0002-three "$new/drivers/gpu/b.c" &&
	make_update 2 && new_version &&
	! grep -q 0007-new "$new/lib/c.c" && grep -q 0002-three "$new/drivers/gpu/b.c" &&
	make_update 10 && new_version &&
	! grep -q 0007-new "$new/lib/c.c" && grep -q 0002-later "$new/drivers/gpu/b.c" &&
	sed -i '3s/^/-/' "$patches/7.0.3/0002-three.patch" &&
	expect 1 "0002-three.patch does not apply to 7.0.10" new_version &&
	rm -r "$patches"/7.0.{2,3} && make_update 1 && new_version
}

make_update()
{
	printf '%s\n' "VERSION = 7" "PATCHLEVEL = 0" "SUBLEVEL = $1" \
		> "$tmp/linux-source-0.1/Makefile"
	pack_7_0
	touch -d "@$1" "$tmp/linux-source-7.0.tar.xz"
}

# An edit there is for that version, but for one of an overlay file
version_edits_return()
{
	local common

	common=$(sha256sum "$p"/drivers/patches/000[1-6]*.patch)
	sed -i '3s/$/ edited/' "$new/drivers/gpu/b.c"
	sed -i '18s/$/ edited in 7.0/' "$new/drivers/gpu/Makefile"
	sed -i '12s/$/ edited/' "$new/lib/c.c"
	echo "int in_both;" >> "$new/drivers/gpu/new.c"
	new_version sync &&
	[ "$common" = "$(sha256sum "$p"/drivers/patches/000[1-6]*.patch)" ] &&
	grep -q '0007-new edited' "$p/drivers/patches/0007-new.patch" &&
	grep -q 'of 7.0 0002-three edited' "$p/drivers/patches/7.0/0002-three.patch" &&
	grep -q 'edited in 7.0' "$p/drivers/patches/7.0/0001-two.patch" &&
	expect 0 "nothing to write back" new_version sync &&
	tree && grep -q in_both "$linux/drivers/gpu/new.c" &&
	! grep -q 'in 7.0' "$linux/drivers/gpu/Makefile"
}

# For 6.12 alone: a patch that changes an overlay file
overlay_changes()
{
	local file=$p/drivers/gpu/new.c

	seq -f 'int x%g;' 20 >> "$file"
	mkdir -p "$tmp/a/drivers/gpu" "$tmp/b/drivers/gpu"
	cp "$file" "$tmp/a/drivers/gpu"
	sed 's/x18/old_x18/' "$file" > "$tmp/b/drivers/gpu/new.c"
	mkdir -p "$p/drivers/patches/6.12"
	(cd "$tmp" && diff -u a/drivers/gpu/new.c b/drivers/gpu/new.c |
		sed '1i diff --git a/drivers/gpu/new.c b/drivers/gpu/new.c') \
		> "$p/drivers/patches/6.12/0001-two.patch"
	tree && new_version &&
	grep -q '^int old_x18' "$linux/drivers/gpu/new.c" &&
	grep -q '^int x18' "$new/drivers/gpu/new.c" &&
	sed -i 's/ x2;/ edited_x2;/; s/old_x18/older_x18/' "$linux/drivers/gpu/new.c" &&
	tree sync &&
	grep -q '^int edited_x2' "$file" && grep -q '^int x18' "$file" &&
	grep -q '^+int older_x18' "$p/drivers/patches/6.12/0001-two.patch" &&
	! grep -q edited_x2 "$p/drivers/patches/6.12/0001-two.patch"
}

# What is written: series "first" of both directories comes before "second"
series_written()
{
	local out=$p/build/series clone=$tmp/clone

	printf 'The first\n\nWhat it is for.\n' > "$p/mm-patches/first.cover"
	expect 1 "no cover letter second.cover" tree series &&
	printf '[RFC] The second\n\nAnd this.\n' > "$p/drivers/patches/second.cover" &&
	sed -i 's/^series: second/series: first/; s/^0001-two.*/&\nseries: second/' \
		"$p/drivers/patches/series" &&
	expect 0 "6 patches in 2 series in build/series, 0 not clean" tree series &&
	[ "$(ls "$out")" = $'1-first\n2-second\nseries.bundle' ] &&
	[ "$(find "$out" -name '0*.patch' | wc -l)" = 8 ] &&
	grep -q '^Subject: \[PATCH 6.12 0/' "$out"/1-first/0000-*.patch &&
	grep -q '^What it is for' "$out"/1-first/0000-*.patch &&
	grep -q '^base-commit: ' "$out"/1-first/0000-*.patch &&
	grep -q '^Subject: \[RFC PATCH 6.12 1/' "$out"/2-second/0001-*.patch &&
	git clone -q "$out/series.bundle" "$clone" &&
	[ "$(git -C "$clone" log --format=%s origin/second)" = \
	  "$(git -C "$linux" log --format=%s | grep -vx five)" ] &&
	[ "$(ls "$out/1-first" | tail -1)" = 0004-two.patch ] &&
	git -C "$clone" merge-base --is-ancestor origin/first origin/second &&
	[ ! -e "$clone/arch" ] &&
	git -C "$linux" worktree add -q "$tmp/am" refs/tree/base &&
	git -C "$tmp/am" am -q --empty=drop "$out"/*/*.patch &&
	git -C "$tmp/am" diff --quiet HEAD "$(git -C "$linux" rev-parse main^)"
}

# A mail that checkpatch does not like
unclean()
{
	cp "$p/drivers/patches/0002-three.patch" "$tmp/keep"
	sed -i 's/^Why/No style/' "$p/drivers/patches/0002-three.patch"
	expect 1 "1 not clean" tree series
	local status=$?
	cp "$tmp/keep" "$p/drivers/patches/0002-three.patch"
	return $status
}

# compiled NUMBER TEXT: the patches and their ends fail so often, with this line
compiled()
{
	expect $(($1 > 0)) "$2" tree series --compile &&
	expect $(($1 > 0)) "$1 of what --compile looks at failed" tree series --compile &&
	[ "$(git -C "$linux" branch --show-current)" = main ]
}

# A kernel is built if no file says "broken", and boots if none says "panic". What the
# source says that is careless is mainline's.
tools()
{
	cat > "$p/scripts/kernel" <<-'END'
		#!/bin/bash
		cd "$(dirname "$0")/../build/linux"
		: > ../kernel-series.log
		! git grep -q broken
	END
	cat > "$p/scripts/vm" <<-'END'
		#!/bin/bash
		while [ "$1" != --results ]; do shift; done
		cd "$(dirname "$0")/../build/linux"
		git grep -q panic && state="not ok" || state=ok
		echo "[    1.000000] $state 1 suite" > "$2/console.log"
	END
	echo '#!/bin/sh' > "$p/scripts/setup"
	chmod +x "$p"/scripts/{kernel,vm,setup}
}

series_compiled()
{
	local file=$p/drivers/patches/0002-three.patch what

	tools
	cp "$file" "$tmp/keep"
	compiled 0 "ok      second: three: compiles" || return
	for what in "broken 3 FAILED  second: three: compiles" \
		    "panic 1 FAILED  second: lib: change line five: boots" \
		    "careless 1 FAILED  second: W=1" "null 1 FAILED  coccicheck"; do
		set -- $what
		sed -i "s/^\(+gpu line 3\).*/\1 of 7 $1/" "$file"
		compiled "$2" "${what#* * }"
		local status=$?
		cp "$tmp/keep" "$file"
		[ $status = 0 ] || return
	done
}

no_series()
{
	sed -i.keep 1d "$p/mm-patches/series"
	expect 1 "mm-patches/series has no series: line before 0001-one.patch" tree
	local status=$?
	mv "$p/mm-patches/series.keep" "$p/mm-patches/series"
	return $status
}

no_source()
{
	LINUX_SOURCE=$tmp/none.tar.xz expect 1 "scripts/setup" tree
}

make_source
make_project
plan 22
check "overlay and patches become commits" assembled
check "a changed overlay file rewrites only that file" minimal
check "edits in the tree are not thrown away" refuses
check "sync writes edits back" edits_return
check "sync turns commits into patches" commits_return
check "a fresh assembly gives the same tree" fresh_is_same
check "sync removes what was removed" removal_returns
check "sync refuses an edit no patch owns" refuses_unowned
check "sync refuses edits of one line on both sides" refuses_conflict
check "an overlay file that no series names is an error" unclaimed
check "a patch that does not apply is named" broken_patch
check "the comparison comes last, with copies of the source" compared
check "a tree with other architectures is made anew" other_source
check "another version has patches of its own" versions
check "an update of it has some of them, and wants others differently" updates
check "edits of another version are for that one" version_edits_return
check "a patch can change an overlay file for one version" overlay_changes
check "a patch that is in no series is an error" no_series
check "each series is written with its cover letter, and a bundle" series_written
check "what checkpatch complains of is counted" unclean
check "each patch is compiled, each series booted and looked at" series_compiled
check "no source is one clear line" no_source
exit $((failed > 0))
