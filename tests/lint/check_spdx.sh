#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_spdx.sh ROOT: every file says its licence in its first three lines (a man page begins with its
# title); test data does not.
set -eu
. "$(dirname "$0")/common.sh"
bad=0
for file in $(sources -name '*' ! -name LICENSE ! -path '*/corpus/*' ! -name '*.words'); do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' && continue
	echo "$file: no SPDX line at the top"
	bad=1
done
exit $bad
