#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_options.sh ROOT VMLATCH: every verb and option that --help names stands in the man page and in
# the completion, and every option of the man page is one that --help names.
set -eu
vmlatch=$(realpath "$2") # meson names it from where it stands
. "$(dirname "$0")/common.sh"

page=man/vmlatch.1.scd
completion=$(sources -path './contrib/completions/*' | head -n 1)
[ -f "$page" ] || { echo "$page is missing"; exit 1; }
[ -n "$completion" ] || { echo "contrib/completions/ is empty"; exit 1; }

help=$(mktemp)
trap 'rm -f "$help"' EXIT
bad=0
complain() {
	echo "$*"
	bad=1
}

options_in() {
	grep -oE '(^|[^-[:alnum:]])--[a-z][a-z-]+' | grep -oE -e '--[a-z-]+' | sort -u
}

verbs=$("$vmlatch" --help | grep -oE '^ *vmlatch [a-z]+' | awk '{ print $2 }' | sort -u)
[ -n "$verbs" ] || complain "'vmlatch --help' names no verb"
{
	"$vmlatch" --help
	for verb in $verbs; do
		"$vmlatch" help "$verb" || complain "'vmlatch help $verb' fails"
	done
} >"$help"
options=$(options_in <"$help")

for verb in $verbs; do
	grep -qE "\*$verb\*|vmlatch $verb" "$page" || complain "$page: nothing about '$verb'"
	grep -qw -- "$verb" "$completion" || complain "$completion: nothing about '$verb'"
done
for option in $("$vmlatch" run --help | options_in) $options; do
	grep -qE -e "$option([^a-z-]|$)" "$page" || complain "$page: nothing about $option"
	grep -qE -e "$option([^a-z-]|$)" "$completion" || complain "$completion: nothing about $option"
done
for option in $(grep -oE '^\*--[a-z-]+' "$page" | tr -d '*' | sort -u); do
	echo "$options" | grep -qxF -e "$option" || complain "$page: $option is not in --help"
done
exit $bad
