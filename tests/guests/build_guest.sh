#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# build_guest.sh NASM SOURCE IMAGE: assemble a boot sector and pad it to a 1 MiB raw image.
set -eu
"$1" -f bin -o "$3" "$2"
truncate -s 1M "$3"
