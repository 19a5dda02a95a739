#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk that QEMU exports is written by others while the guest is paused: it stays locked until the export ends."""

import shlex
import subprocess

from qmp import QmpError
from vmtest import QEMU, VmTest, main, missing

OFFSET = 64 << 10


class Exports(VmTest):
    """The monitor comes from QEMU's wrapper: one on the command line would pin the VM, export or not."""

    def setUp(self):
        super().setUp()
        monitor, self.socket = self.dir / "mine.sock", self.dir / "export.sock"
        hiding = self.script("qemu", f'exec {shlex.quote(QEMU)} "$@" -qmp unix:{monitor},server=on,wait=off')
        self.disk_path = self.disk("exported.img")
        self.vm = self.running("vm", *self.drive(self.guest("halt")), "-blockdev",
                               f"driver=file,node-name=n,filename={self.disk_path}", qemu=hiding)
        self.monitor = self.qmp(monitor)

    def begin(self, **export):
        arguments = {"id": "e", "node-name": "n", "writable": True, **export}
        try:
            self.monitor.command("block-export-add", **arguments)
        except QmpError as error:
            if "does not accept value" in error.text:
                missing(f"QEMU's export of type {export['type']}")
            raise

    def assert_kept(self):
        seen = self.vm.wait_state(run="paused", lock="held")
        self.assertEqual(seen["pinned"], [])
        self.assert_says("the export 'e' may still write", seen["held_because"])
        self.assert_held(self.disk_path)

    def end(self):
        """The pause that could not let go does so now, unasked."""
        self.monitor.command("block-export-del", id="e", mode="hard")
        self.vm.wait_state(run="paused", lock="released")
        self.wait_free(self.disk_path)
        self.does("resume", "vm")
        self.vm.wait_state(run="running", lock="held")
        self.assert_held(self.disk_path)

    def write_by_nbd(self, byte):
        subprocess.run(["qemu-io", "-f", "raw", "-c", f"write -P {byte} {OFFSET} 512", "-c", "flush",
                        f"nbd+unix:///n?socket={self.socket}"], check=True, capture_output=True, timeout=30)
        with open(self.disk_path, "rb") as file:
            file.seek(OFFSET)
            self.assertEqual(file.read(512), bytes([byte]) * 512)

    def test_by_nbd_keep_a_disk_as_long_as_somebody_may_write_by_them(self):
        self.monitor.command("nbd-server-start",
                             addr={"type": "unix", "data": {"path": str(self.socket)}})
        self.begin(type="nbd")
        self.write_by_nbd(1)
        self.fails(69, "pause", "vm")
        self.assert_kept()
        self.write_by_nbd(2)
        self.assert_kept()
        self.assert_in_use(self.refused(75, "second", *self.drive(self.disk_path)), self.disk_path, self.vm)
        self.end()

    def test_by_vhost_user_keep_a_disk_too(self):
        self.begin(type="vhost-user-blk", addr={"type": "unix", "path": str(self.socket)})
        self.fails(69, "pause", "vm")
        self.assert_kept()
        self.end()


if __name__ == "__main__":
    main()
