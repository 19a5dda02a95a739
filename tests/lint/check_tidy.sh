#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_tidy.sh ROOT BUILD: clang-tidy, with what BUILD compiles and how.
set -eu
. "$(dirname "$0")/common.sh"
need clang-tidy

build=$2
commands=$build/compile_commands.json

# The sources that this build compiles (not libFuzzer's targets, without it).
compiled() {
	c_sources | grep '\.c$' | while read -r file; do
		grep -qE "\"file\": \"[^\"]*$file\"" "$commands" && echo "$file"
	done
}

noise=$(mktemp) # how many warnings there were in other people's headers
trap 'rm -f "$noise"' EXIT
tidy() {
	xargs -n 4 -P 2 clang-tidy -p "$build" --quiet --warnings-as-errors='*' \
		--extra-arg=-Wno-unknown-warning-option "$@" 2>>"$noise"
}

# Tests run under sanitizers, so they do without the slow half, the analyzer; they handle bytes that are
# meant to have no end, and have macros that are loops.
not_in_tests='-clang-analyzer-*,-bugprone-not-null-terminated-result,-bugprone-macro-parentheses'
bad=0
compiled | grep -v '^tests/' | tidy || bad=1
compiled | grep '^tests/' | tidy --checks="$not_in_tests" || bad=1
[ $bad = 0 ] || cat "$noise"
exit $bad
