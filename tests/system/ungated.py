# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs that somebody can resume behind vmlatch's back: a monitor that is not gated, a forced release."""

import os

import locks
import procfs
from deadline import wait_for
from vmtest import RELEASE_ALL, VmTest


class UngatedTest(VmTest):
    def paused(self, *options, guest="writer", devices=None, owner=None, **more):
        """Released, and `mine` is the monitor that can resume it.

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
        vm.wait_state(run="paused", lock="released")
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
