# SPDX-License-Identifier: LGPL-2.1-or-later
"""A network of a test's own: a tap device, in a network namespace, on QEMU's user network.

The kernel is the guest there: what it sends reaches QEMU's own TCP as a guest's packets do.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess

TAP, GUEST, NETMASK = "t0", "10.0.2.15", "255.255.255.0"
CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETPERSIST, TUNSETOWNER = 0x400454CA, 0x400454CB, 0x400454CC
IFF_UP, IFF_TAP, IFF_NO_PI = 1, 2, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C

_libc = ctypes.CDLL(None, use_errno=True)


def arguments(options):
    """QEMU's: its user network with these options, and the tap device on it, by a hub."""
    return ("-netdev", f"user,id=n,{options}", "-netdev", f"tap,id=t,ifname={TAP},script=no,downscript=no",
            "-netdev", "hubport,id=a,hubid=0,netdev=n", "-netdev", "hubport,id=b,hubid=0,netdev=t")


def _address(control, request, address):
    fcntl.ioctl(control, request, struct.pack("16sHH4s16x", TAP.encode(), socket.AF_INET, 0, socket.inet_aton(address)))


def _up(control, name):
    flags = struct.unpack("16sH", fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0))[:18])[1]
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | IFF_UP))


def enter_new(owner):
    """In the process that becomes vmlatch: a namespace with a tap device that this user may open."""
    def enter():
        if _libc.unshare(CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "unshare")
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", TAP.encode(), IFF_TAP | IFF_NO_PI))
        fcntl.ioctl(tun, TUNSETOWNER, owner)
        fcntl.ioctl(tun, TUNSETPERSIST, 1)
        os.close(tun)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            _address(control, SIOCSIFADDR, GUEST)
            _address(control, SIOCSIFNETMASK, NETMASK)
            _up(control, "lo")  # QEMU speaks with what it starts by 127.0.0.1
            _up(control, TAP)
    return enter


def run_beside(pid, command, **more):
    """Run a program in the network of this process."""
    with open(f"/proc/{pid}/ns/net", "rb") as where:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more,
                              preexec_fn=lambda: _libc.setns(where.fileno(), CLONE_NEWNET))
