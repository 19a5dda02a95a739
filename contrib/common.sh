# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh disable=SC2034 # who sources this uses the variables
# For the scripts beside it: where we are, and which packages (Debian 12) what needs.

root=$(cd "$(dirname "$0")/.." && pwd)

packages_build="gcc libc6-dev meson ninja-build pkg-config libjansson-dev libuv1-dev libmd-dev libinih-dev \
libcap-ng-dev libseccomp-dev"
packages_docs='scdoc man-db'
packages_qemu='qemu-system-x86 qemu-utils nasm python3'
# libvirtd and virtlockd without libvirt-daemon-system, which would enable and start them
packages_libvirt='libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients'
# smbd, which QEMU starts by itself for smb=
packages_smb='samba smbclient'
# QEMU's windows, a screen for them and a hand: 43 MB at most, with GTK and Mesa
packages_windows='qemu-system-gui xvfb xdotool'
# a systemd of the tests' own, in namespaces (tests/tools/systemd-in-ns.sh)
packages_systemd='systemd'
packages_test="$packages_build $packages_docs $packages_qemu $packages_libvirt $packages_systemd $packages_smb $packages_windows \
libcmocka-dev libfuse3-dev libasan8 libubsan1 valgrind libc6-dbg clang-format clang-tidy cppcheck shellcheck codespell \
util-linux mount e2fsprogs btrfs-progs xfsprogs squashfs-tools erofs-utils git"

say() {
	printf '\n== %s\n' "$*"
}

# Print a command, then run it.
show() {
	printf '$ %s\n' "$*"
	"$@"
}

# Run as root, by sudo where we are not.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "this needs root: $*" >&2
		return 1
	fi
}

# Debian starts what it installs, now and at each boot: the tests need no server that the network sees.
keep_samba_off() {
	as_root mkdir -p /etc/systemd/system
	for unit in smbd nmbd samba-ad-dc; do
		[ -e /etc/systemd/system/$unit.service ] ||
			show as_root ln -s /dev/null /etc/systemd/system/$unit.service
	done
}

# Install what is missing of these Debian packages.
install_packages() {
	missing=
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
			missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	say "installing$missing"
	case "$missing " in *" samba "*) keep_samba_off ;; esac
	as_root apt-get update -q
	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}
