#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_shell.sh ROOT: shellcheck finds nothing in our shell scripts.
set -eu
. "$(dirname "$0")/common.sh"
need shellcheck
shell_sources | xargs shellcheck --external-sources --source-path=SCRIPTDIR
