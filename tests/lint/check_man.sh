#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_man.sh ROOT: the man pages build, and man has no warning about them.
set -eu
. "$(dirname "$0")/common.sh"
need scdoc
need man

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
pages=$(sources -name '*.scd')
[ -n "$pages" ] || { echo "no man page"; exit 1; }
for page in $pages; do
	built=$dir/$(basename "$page" .scd)
	scdoc <"$page" >"$built"
	LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings -l "$built" 2>"$dir/warnings" >/dev/null
	if [ -s "$dir/warnings" ]; then
		sed "s|^|$page: |" "$dir/warnings"
		exit 1
	fi
done
