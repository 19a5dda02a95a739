#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check_cppcheck.sh ROOT: cppcheck finds nothing.
# Switched off: memleak, which does not know __attribute__((cleanup)) of a structure's members (LeakSanitizer
# and valgrind look for leaks); unknownEvaluationOrder, false on designated initialisers of arrays.
set -eu
. "$(dirname "$0")/common.sh"
need cppcheck
c_sources | grep '\.c$' | cppcheck --file-list=- --quiet --std=c11 -j 2 -I . -D_GNU_SOURCE '-DElfW(type)=Elf64_##type' \
	--enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	--suppress=memleak --suppress=unknownEvaluationOrder \
	--suppress=missingIncludeSystem --suppress=unmatchedSuppression
