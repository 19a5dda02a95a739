# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# For the lint scripts beside it: each is called with the source root (and what else it says), prints
# what is wrong, one finding a line, and exits 0 (clean), 1 (findings) or 77 (tool missing, skipped).

cd "$1" || exit 1

# A tool that is missing: a failure in CI, a skip elsewhere.
need() {
	command -v "$1" >/dev/null && return
	echo "$1 is missing"
	[ -n "${CI:-}" ] && exit 1
	exit 77
}

# Our files by name pattern (find's expression), without build directories.
sources() {
	find . \( -name .git -o -name 'build*' -type d -o -name __pycache__ -o -name .cache \) -prune -o \
		-type f \( "$@" \) -print | sed 's|^\./||' | sort
}

c_sources() {
	sources -name '*.c' -o -name '*.h'
}

shell_sources() {
	{
		sources -name '*.sh'
		for file in $(sources -path './contrib/*' -o -path './.ci/*'); do
			head -n 1 "$file" | grep -qE '^#!.*\b(ba)?sh$' && echo "$file"
		done
	} | sort -u
}
