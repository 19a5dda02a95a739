#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_spelling.sh ROOT: codespell finds nothing. A word that is right goes into codespell.words.
set -eu
. "$(dirname "$0")/common.sh"
need codespell
sources -name '*' ! -name LICENSE ! -path '*/corpus/*' |
	xargs codespell --ignore-words tests/lint/codespell.words
