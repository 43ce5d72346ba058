#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/builds on a kernel of a few files, with a make that does as it is told:
# what it takes for a failure, and how it says so.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
p=$tmp/project
linux=$p/build/linux
ktap=$p/build/results/builds/builds.ktap

# allnoconfig gives what is wanted but for $LACKS, vmlinux is mm/, and is linked but
# for $UNDEFINED, compiling $WARNS is not done without a warning. It notes its targets.
make_tools()
{
	mkdir -p "$tmp/bin"
	cat > "$tmp/bin/make" <<-'EOF'
		#!/bin/bash
		cd "$LINUX"
		for arg; do
			case $arg in
			O=*) out=${arg#O=} ;;
			esac
		done
		case " $* " in
		*" allnoconfig "*)
			grep -v "^CONFIG_${LACKS:-none}=" "$out/wanted" > "$out/.config"
			;;
		*" W=1 "*)
			all="$*"
			echo "${all#*LOCALVERSION= }" >> ../targets
			for c in mm/*.c; do
				o=${c%.c}.o
				echo "  CC      $o"
				[ "$o" != "${WARNS:-}" ] || echo "../$c:3:1: warning: unused"
			done
			if [ -n "${UNDEFINED:-}" ]; then
				echo "ld: mm/new.o: undefined reference to \`$UNDEFINED'"
				exit 2
			fi
			;;
		esac
	EOF
	chmod +x "$tmp/bin/make"
	for arch in aarch64-linux-gnu arm-linux-gnueabihf powerpc64le-linux-gnu \
		    riscv64-linux-gnu s390x-linux-gnu; do
		ln -sf /bin/true "$tmp/bin/$arch-gcc"
	done
	PATH=$tmp/bin:$PATH
	export LINUX=$linux
}

make_project()
{
	mkdir -p "$p"/scripts/kconfig "$linux"/{mm,drivers}
	cp "$here"/../{builds,ktap.py} "$p/scripts"
	printf '# Mine\nCONFIG_A=y\nCONFIG_KVM=y\n' > "$p/scripts/kconfig/builds.config"
	echo "int old;" > "$linux/mm/old.c"
	echo "int same;" > "$linux/mm/same.c"
	git -C "$linux" init -q
	git -C "$linux" add -A
	git -C "$linux" -c user.name=A -c user.email=a@example.org commit -qm base
	git -C "$linux" update-ref refs/tree/base HEAD
	echo "int changed;" > "$linux/drivers/part.c"
	echo '#include "../drivers/part.c"' >> "$linux/mm/old.c"
	echo "int new;" > "$linux/mm/new.c"
}

builds()
{
	"$p/scripts/builds" "$@"
}

results()
{
	"$here/../results" "$ktap"
}

# Nothing is left behind.
all_right()
{
	expect 0 "13 of 13 configurations are right" builds &&
	expect 0 "40 passed" results &&
	[ "$(sort "$p/build/targets" | uniq -c | xargs)" = "12 W=1 vmlinux 1 W=1 vmlinux modules" ] &&
	expect 2 "No such file" ls "$linux/.builds-arm64"
}

stated()
{
	expect 0 " s; without vmwgfx, which is for x86 and arm64" builds riscv64
}

lacks_option()
{
	LACKS=A expect 1 "options: CONFIG_A=y was asked for, and the result is n" builds arm64 &&
	expect 1 "FAILED: arm64.options" results
}

not_linked()
{
	UNDEFINED=foo expect 1 "undefined reference to \`foo'" builds armhf &&
	expect 1 "FAILED: armhf.build" results &&
	expect 0 "" ls "$linux/.builds-armhf/.config"
}

# Of a file that is ours; others may have theirs.
warns()
{
	WARNS=mm/old.o expect 1 "warnings: ../mm/old.c:3:1: warning: unused" builds rt &&
	expect 1 "FAILED: rt.warnings" results &&
	WARNS=mm/same.o expect 0 "rt: ok" builds rt
}

nowhere()
{
	echo "int far;" > "$linux/drivers/far.c"
	expect 1 "drivers/far.c is in none of them" builds &&
	expect 1 "FAILED: files.compiled" results
}

unknown()
{
	expect 2 "no configuration sparc" builds sparc &&
	rm "$tmp/bin/s390x-linux-gnu-gcc" &&
	ln -s "$(python3 -c 'import sys; print(sys.executable)')" "$tmp/bin/python3" &&
	ln -s /bin/true "$tmp/bin/gcc" &&
	PATH=$tmp/bin expect 2 "no s390x-linux-gnu-gcc: run scripts/setup builds" builds s390x
}

make_tools
make_project
plan 7
check "configurations without a fault" all_right
check "what an architecture does not have is said" stated
check "an option that cannot be had is named" lacks_option
check "what cannot be linked is a failure" not_linked
check "a warning of a file of ours is a failure" warns
check "a file that no configuration has is named" nowhere
check "a wrong name or a missing compiler is one clear line" unknown
exit $((failed > 0))
