#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The usage examples in the documentation are code that is compiled, and run
# by tests: the tracker's by its KUnit test, TTM's by vmob.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

drm=$here/../../drivers/gpu/drm

documented()
{
	sed -n 's/^ \*\t//p' "$1"
}

# compiled FILE DOCUMENTED: between the comments that mark it
compiled()
{
	sed -n "/The usage example [io][nf] ${2##*/}, from here/,/\.\.\. to here/p" "$1" |
		grep -v '^$' | sed '/^\/\?\( \)\?\*/d'
}

same()
{
	[ "$(documented "$1" | wc -l)" -ge 20 ] &&
		diff <(documented "$1") <(compiled "$2" "$1")
}

plan 2
check "the tracker's documented example is the compiled one" \
	same "$drm/drm_gem_shmem_dirty.c" "$drm/tests/drm_gem_dirty_test.c"
check "TTM's documented example is the compiled one" \
	same "$drm/ttm/ttm_bo_dirty.c" "$drm/vmob/vmob_coherent.c"
