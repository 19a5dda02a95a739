#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The supervisor is killed before the guest has run: nobody would ever let it run, so it ends, too.

"QEMU" is a script that waits, or that leaves behind who waits.
"""

import os

import procfs
from deadline import wait_for
from in_place import InPlaceTest
from vmtest import QEMU, VmTest, main

LEFT = "left-behind"


class Cases:
    def setUp(self):
        super().setUp()
        os.mkfifo(self.dir / "never")

    def wait(self):
        """For ever, and without a child, which would keep the locks."""
        return f"read nothing <{self.dir}/never"

    def waiting(self):
        return self.script("slow", f'{self.wait()}; exec {QEMU} "$@"')

    def leaving(self):
        """As -daemonize does: who was started has ended, and QEMU is not there yet."""
        return self.script("leaving", f"setsid sh -c '{self.wait()}; exec {QEMU} \"$@\"' {LEFT} \"$@\" </dev/null & exit 0")

    def left(self):
        return [pid for pid in procfs.with_environment(str(self.runtime)) if LEFT in procfs.argv(pid)]

    def supervisor(self, vm):
        return wait_for("it is not admitted", lambda: self.admitted(vm))["supervisor"]["pid"]

    def admitted(self, vm):
        seen = self.status(vm.name)
        return seen if seen.get("lock_state") == "held" else None

    def test_ends_who_has_not_become_qemu_yet(self):
        disk = self.guest("halt")
        vm = self.start("vm", *self.drive(disk), qemu=self.waiting())
        self.assertTrue(vm.qemu)
        self.assert_ends(vm, disk)

    def test_ends_who_was_left_behind(self):
        disk = self.guest("halt")
        vm = self.start("vm", *self.drive(disk), qemu=self.leaving())
        wait_for("nobody is left behind", self.left)
        self.assert_ends(vm, disk)

    def assert_ends(self, vm, disk):
        supervisor = self.supervisor(vm)
        self.left_behind.add("vm")
        if supervisor == vm.pid:
            vm.process.kill()
        else:
            self.kill(supervisor)
        self.wait_free(disk)
        wait_for("somebody stays", lambda: not procfs.with_environment(str(self.runtime)))


class AsChild(Cases, VmTest):
    pass


class InPlace(Cases, InPlaceTest):
    pass


if __name__ == "__main__":
    main()
