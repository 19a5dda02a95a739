#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_format.sh ROOT: clang-format has nothing to change ('contrib/dev fmt' lets it).
set -eu
. "$(dirname "$0")/common.sh"
need clang-format
c_sources | xargs clang-format --dry-run -Werror
