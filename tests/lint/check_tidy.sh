#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_tidy.sh ROOT BUILD: clang-tidy, with what BUILD compiles and how.
set -eu
. "$(dirname "$0")/common.sh"
need clang-tidy

build=$2
commands=$build/compile_commands.json
findings=$(c_sources | grep '\.c$' | while read -r file; do
	# a target that this build does not have (libFuzzer's) has no command
	grep -qE "\"file\": \"[^\"]*$file\"" "$commands" && echo "$file"
done | xargs -n 4 -P 2 clang-tidy -p "$build" --quiet --warnings-as-errors='*' \
	--extra-arg=-Wno-unknown-warning-option 2>&1 |
	grep -vE '^[0-9]+ warnings? (generated|treated as errors)|^Suppressed|^Use -header-filter' || :)
[ -z "$findings" ] && exit
echo "$findings"
exit 1
