#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_sizes.sh ROOT: files of at most 500 lines and functions of at most 80. What is past 300 and 40
# is only told: look hard at it. (A table is no function: its brace does not stand alone.)
set -eu
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2016 # the dollars are awk's
c_sources | xargs awk '
function tell(place, what, n, wanted, limit) {
	if (n > limit) {
		printf "%s: %s has %d lines, the limit is %d\n", place, what, n, limit
		bad = 1
	} else if (n > wanted) {
		printf "(%s: %s has %d lines; %d would be better)\n", place, what, n, wanted
	}
}
FNR == 1 && last { tell(last, "the file", lines, 300, 500) }
/^[a-z].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
/^{$/ { start = FNR }
/^}$/ && start { tell(FILENAME ":" start, name "()", FNR - start - 1, 40, 80); start = 0 }
{ last = FILENAME; lines = FNR }
END { tell(last, "the file", lines, 300, 500); exit bad }'
