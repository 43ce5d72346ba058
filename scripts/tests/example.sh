#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The usage example in the tracker's documentation is the code that its KUnit
# test runs.

set -uo pipefail

here=$(dirname "$(realpath "$0")")
. "$here/ktap.sh"

drm=$here/../../drivers/gpu/drm

documented()
{
	sed -n 's/^ \*\t//p' "$drm/drm_gem_dirty.c"
}

compiled()
{
	sed -n '/The usage example of drm_gem_dirty.c, from here/,/\.\.\. to here/p' \
		"$drm/tests/drm_gem_dirty_test.c" | grep -v '^$' | sed '/^\/\?\( \)\?\*/d'
}

same()
{
	[ "$(documented | wc -l)" -ge 25 ] && diff <(documented) <(compiled)
}

plan 1
check "the documented example is the compiled one" same
