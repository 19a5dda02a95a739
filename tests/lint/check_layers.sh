#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_layers.sh ROOT: who may include whom (the table of ARCHITECTURE.md).
set -eu
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2016 # the dollars are awk's
c_sources | grep -E '^(base|locking|qmp|sandbox|launcher)/' | xargs awk '
BEGIN {
	ours["base"] = "^base/"
	ours["locking"] = "^(base|locking)/"
	ours["qmp"] = "^(base|qmp)/"
	ours["sandbox"] = "^(base|sandbox)/"
	ours["launcher"] = "^(base|locking|qmp|sandbox|launcher)/"
	# libraries that a layer must not know
	foreign["base"] = "^(uv|jansson|ini|sha2|md5)\\.h$"
	foreign["locking"] = "^(uv|jansson|ini)\\.h$"
	foreign["sandbox"] = "^(uv|jansson|ini)\\.h$"
	foreign["qmp"] = "^(ini)\\.h$"
	foreign["launcher"] = "^seccomp\\.h$" # of the build only
}
function breach(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	bad = 1
}
FNR == 1 {
	split(FILENAME, part, "/")
	layer = part[1]
	locking = qmp = 0
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, quoted, "\"")
	header = quoted[2]
	if (header !~ ours[layer])
		breach(layer "/ must not include \"" header "\"")
	if (header ~ /^locking\/(driver_|sanlock\/)/ && layer != "locking")
		breach("only locking/ knows a driver; name it by string")
	locking = locking || header ~ /^locking\//
	qmp = qmp || header ~ /^qmp\//
	if (locking && qmp && FILENAME !~ /^launcher\/vm\//)
		breach("only launcher/vm/ may know both locking/ and qmp/")
}
/^[ \t]*#[ \t]*include[ \t]*</ {
	split($0, quoted, "[<>]")
	if (quoted[2] ~ foreign[layer])
		breach(layer "/ must not include <" quoted[2] ">")
}
END { exit bad }'
