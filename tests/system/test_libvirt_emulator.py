# SPDX-License-Identifier: LGPL-2.1-or-later
"""A symlink to vmlatch as a domain's <emulator>: libvirt runs its domains under our locks."""

import os
import shutil
import unittest

import procfs
from deadline import wait_for
from libvirt_lab import Lab
from vmtest import OTHERS_FILES, VMLATCH, VmTest, main

QEMU_USER = 64055


class EmulatorTest(VmTest):
    lock_manager = "nop"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab = Lab(lock_manager=cls.lock_manager)
        cls.addClassCleanup(cls.lab.close)
        # where QEMU's user keeps what vmlatch knows of his VMs
        (cls.lab.dir / "run/vmlatch").mkdir(mode=0o700)
        os.chown(cls.lab.dir / "run/vmlatch", QEMU_USER, QEMU_USER)
        cls.emulator = cls.lab.dir / "bin/qemu-system-x86_64"
        cls.emulator.parent.mkdir()
        cls.emulator.symlink_to(shutil.which(VMLATCH))

    def domain(self, name, disk):
        self.lab.define(name, disk, emulator=self.emulator)
        self.addCleanup(self.lab.virsh, "undefine", name, "--snapshots-metadata")
        self.addCleanup(self.lab.virsh, "destroy", name)
        return name

    def log(self, domain):
        """What libvirt keeps of QEMU's stderr."""
        return (self.lab.dir / f"log/libvirt/qemu/{domain}.log").read_text()

    def as_qemus_user(self, *words):
        """A verb of vmlatch as who runs the domains."""
        result = self.lab.run_as(QEMU_USER, shutil.which(VMLATCH), *words)
        self.assertEqual(result.status, 0, result)
        return result.out


class WithoutItsLockManager(EmulatorTest):
    def test_a_domain_lives_under_our_locks(self):
        disk = self.guest("writer", writer="me")
        domain = self.domain("web", disk)
        self.lab.does("start", domain)
        self.assert_held(disk)
        self.wait_writing(disk)
        said = self.refused(75, "vm", *self.drive(disk))
        self.assert_says(f"{disk} is in use by", said)
        self.assert_says("web +running +held", self.as_qemus_user("list"))

        self.lab.does("suspend", domain)
        self.assertEqual(self.lab.state(domain), "paused")
        self.assert_held(disk)  # libvirt's monitor can let it run at any time
        self.lab.does("resume", domain)
        self.wait_writing(disk)

        self.lab.does("destroy", domain)
        self.wait_free(disk)
        self.lab.does("start", domain)  # and at once again
        self.assert_held(disk)
        self.lab.does("destroy", domain)

    def test_a_disk_in_use_is_no_start(self):
        disk = self.guest("halt")
        os.chown(disk, QEMU_USER, QEMU_USER)
        domain = self.domain("web", disk)
        vm = self.running("vm", *self.drive(disk), options=OTHERS_FILES)
        result = self.lab.virsh("start", domain)
        self.assertEqual(result.status, 1)
        # who it is cannot be told from another PID namespace
        for said in (result.err, self.log(domain)):
            self.assert_says(f"vmlatch: web: {disk} is in use by", said)
        vm.wait_state("running", "held")

    def test_a_disk_that_is_attached_to_both_is_locked(self):
        disk, other = self.guest("halt"), self.disk("other.raw")
        domain = self.domain("web", disk)
        self.lab.does("start", domain)
        os.chown(other, QEMU_USER, QEMU_USER)
        self.as_qemus_user("attach", domain, "disk", other)
        self.lab.does("attach-disk", domain, other, "vdb", "--targetbus", "virtio", "--driver", "qemu")
        self.assert_held(other)
        self.lab.does("destroy", domain)  # this guest cannot let a device go
        self.wait_free(other)

    def test_a_snapshot_moves_the_domain_to_its_overlay(self):
        disk, overlay = self.guest("writer", writer="me"), self.dir / "overlay.qcow2"
        domain = self.domain("web", disk)
        self.lab.does("start", domain)
        self.lab.does("snapshot-create-as", domain, "one", "--disk-only", "--diskspec",
                      f"vda,file={overlay}")
        self.assertEqual(self.lab.state(domain), "running")
        self.assert_held(disk)
        self.lab.does("destroy", domain)
        self.wait_free(disk)

    def test_a_domain_is_saved_and_comes_back(self):
        disk, saved = self.guest("writer", writer="me"), self.dir / "saved"
        domain = self.domain("web", disk)
        self.lab.does("start", domain)
        self.wait_writing(disk)
        self.lab.does("save", domain, saved)
        self.wait_free(disk)
        self.lab.does("restore", saved)
        self.assertEqual(self.lab.state(domain), "running")
        wait_for("it has no locks", lambda: "held" in self.as_qemus_user("list"))
        self.assert_held(disk)
        self.wait_writing(disk)
        self.lab.does("destroy", domain)

    def test_the_supervisor_is_no_part_of_qemu(self):
        disk = self.guest("halt")
        domain = self.domain(f"web{os.getpid()}", disk)  # nobody else is called so
        self.lab.does("start", domain)
        supervisors = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                       if procfs.argv(pid)[:1] == [f"vmlatch: {domain}"]]
        self.assertEqual(len(supervisors), 1)
        mine = procfs.fds(supervisors[0])
        self.assertNotIn("log/libvirt", " ".join(mine.values()))
        self.lab.does("destroy", domain)
        wait_for("the supervisor stays", lambda: not procfs.alive(supervisors[0]))


class WithItsLockManager(EmulatorTest):
    lock_manager = "lockd"

    def test_both_would_lock_and_the_log_says_so(self):
        disk = self.guest("halt")
        domain = self.domain("web", disk)
        result = self.lab.virsh("start", domain)
        self.assertEqual(result.status, 1)
        self.assert_says(f"resource busy: Lockspace resource '{disk}' is locked", result.err)
        self.assert_says("vmlatch: web: warning: virtlockd runs: .*lock_manager", self.log(domain))
        self.wait_free(disk)


if __name__ == "__main__":
    main()
