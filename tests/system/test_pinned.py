#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs that keep their locks whatever happens, and say why."""

import locks
from vmtest import VmTest, main


class Pinned(VmTest):
    def test_by_a_monitor_that_is_not_ours_keeps_the_locks_and_says_why(self):
        disk, socket = self.guest("halt"), self.dir / "mine.sock"
        vm = self.running("vm", *self.drive(disk), "-qmp", f"unix:{socket},server=on,wait=off")
        said = self.fails(69, "pause", "vm")
        self.assert_says("pinned|-qmp|monitor", said)
        vm.wait_state(lock="held")
        self.assert_held(disk)

    def test_by_a_device_that_qemu_cannot_deactivate_keeps_the_locks_with_qemus_reason(self):
        # nvme: QEMU 7.2 would crash; its 'blocked-reasons' are what is asked before
        disk = self.disk("nvme.raw")
        vm = self.running("vm", *self.drive(disk, "id=d", interface="none"),
                          "-device", "nvme,serial=1,drive=d")
        said = self.fails(69, "pause", "vm")
        self.assert_says("non-migratable device.*nvme", said)
        seen = vm.wait_state(run="paused", lock="held")
        self.assert_says("non-migratable device.*nvme", " ".join(seen["pinned"]))
        self.assert_says("non-migratable device.*nvme", seen["held_because"])
        self.assertFalse(seen["deactivating"])
        self.assertRegex(self.vmlatch("status", "vm").out, r"pinned +.*nvme")
        self.assert_held(disk)
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        self.assertEqual(locks.seen(disk, locks.BYTE), locks.WRITE)


if __name__ == "__main__":
    main()
