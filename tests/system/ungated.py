# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs that somebody can resume behind vmlatch's back: a monitor that is not gated, a forced release."""

import ctypes
import errno
import os
import platform
import struct
import time

import locks
import procfs
from deadline import wait_for
from vmtest import MACHINE, RELEASE_ALL, VmTest

# A QEMU of many threads: each vCPU has one, the disk another.
MANY = tuple("tcg,thread=multi" if word == "tcg" else word for word in MACHINE) + (
    "-smp", "4", "-object", "iothread,id=io")
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2


def iothread_disk(path):
    return ("-drive", f"file={path},format=raw,if=none,id=disk",
            "-device", "virtio-blk-pci,drive=disk,iothread=io")


def forbid(*calls, number=errno.EPERM):
    """System calls of these numbers fail with that errno, as a container's seccomp filter does it."""
    load, allow = (0x20, 0, 0, 0), (0x06, 0, 0, 0x7fff0000)  # of the number; SECCOMP_RET_ALLOW
    filtered = [load]
    for call in calls:
        filtered += [(0x15, 0, 1, call), (0x06, 0, 0, 0x00050000 | number)]  # SECCOMP_RET_ERRNO
    filtered.append(allow)
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in filtered))
    program = struct.pack("HxxxxxxP", len(filtered), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
            or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) < 0):
        raise OSError(ctypes.get_errno(), "seccomp")


PTRACE, CLOSE_RANGE, OPENAT2 = {"x86_64": 101}.get(platform.machine(), 117), 436, 437


def forbid_ptrace():
    forbid(PTRACE)


class UngatedTest(VmTest):
    writer_rests = False

    def paused(self, *options, guest="writer", devices=None, owner=None, lock="released", **more):
        """Released (or its locks are `lock`), and `mine` is the monitor that can resume it.

        `devices`: the disk in QEMU's words. `owner`: QEMU's user.
        """
        self.disk_path = self.guest(guest)
        socket = self.dir / "sockets" / "mine.sock"
        socket.parent.mkdir()
        if owner:
            os.chown(self.disk_path, owner, owner)
            os.chown(socket.parent, owner, owner)
        vm = self.start("vm", *(devices or self.drive)(self.disk_path), "-qmp",
                        f"unix:{socket},server=on,wait=off", options=[*RELEASE_ALL, *options], **more)
        self.mine = self.qmp(socket)
        vm.wait_state(run="running", lock="held")
        if guest == "writer":
            self.wait_writing(self.disk_path)
        self.mine.command("stop")
        vm.wait_state(run="paused", lock=lock)
        return vm.known()

    def frozen(self, *options, states="t", **more):
        """Resumed by that monitor while `other` holds the disk. `states`: all threads', t is held by ptrace."""
        vm = self.paused(*options, **more)
        self.other = locks.Held(self.disk_path).__enter__()
        self.addCleanup(lambda: self.other.fd < 0 or self.other.__exit__())
        self.mine.send("cont")
        wait_for(lambda: f"status should tell that it is frozen: {vm.status()}",
                 lambda: vm.status().get("frozen") and vm.status()["cause"] == "lock-busy")
        self.wait_threads(vm, states)
        return vm

    def wait_threads(self, vm, states):
        wait_for(lambda: f"QEMU's threads should be {states}: {procfs.thread_states(vm.qemu)}",
                 lambda: set(procfs.thread_states(vm.qemu)) <= set(states))

    def assert_stands(self, vm, states="t"):
        """For a while: not a thread moves, not a byte of the disk."""
        count = self.counter(self.disk_path)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            self.wait_threads(vm, states)
            time.sleep(0.01)
        self.assertEqual(self.counter(self.disk_path), count, "the guest went on without its locks")
        self.assertTrue(vm.status()["frozen"])

    def assert_runs(self, vm):
        """As if it had never been held."""
        vm.wait_state(run="running", lock="held")
        self.wait_writing(self.disk_path)
        self.assertEqual(procfs.tracers(vm.qemu), set())
        self.assertEqual(set(procfs.thread_states(vm.qemu)) & set("tT"), set())
        self.mine.answer()  # to the 'cont' that had it frozen
        self.assertEqual(self.mine.status(), "running")

    def let_go(self):
        self.other.__exit__()
