# SPDX-License-Identifier: LGPL-2.1-or-later
"""Beside a real libvirt on the same disks: each finds the other's lock, whichever way virtlockd locks."""

import hashlib
import os
import shutil
import tempfile
import unittest

import locks
from deadline import wait_for
from libvirt_lab import Lab
from vmtest import OTHERS_FILES, VmTest, main

SHARE_RW = "share-rw=on"
# QEMU opens its images before libvirt asks virtlockd, and its own locks refuse it then. Without them
# it is seen what virtlockd says.
UNLOCKED = "file.locking=off"
QEMU_REFUSES = 'Failed to get "write" lock|Failed to get shared "write" lock'

cache = None


def setUpModule():
    global cache
    cache = tempfile.mkdtemp(prefix="vmlatch-libvirt-cache-")
    unittest.addModuleCleanup(shutil.rmtree, cache)


class LibvirtTest(VmTest):
    lockspace = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab = Lab(lockspace=cls.lockspace, cache=cache)
        cls.addClassCleanup(cls.lab.close)

    def setUp(self):
        super().setUp()
        self.options = ("--lockspace", self.lab.lockspace) if self.lockspace else ()
        self._domains = 0

    # --- domains ---

    def domain(self, disk, more=""):
        """A defined domain's name; it is gone when the test is over."""
        self._domains += 1
        name = f"dom{self._domains}"
        self.lab.define(name, disk, more)
        self.addCleanup(self.lab.virsh, "undefine", name)
        self.addCleanup(self.lab.virsh, "destroy", name)
        return name

    def running_domain(self, disk, more=""):
        name = self.domain(disk, more)
        self.lab.does("start", name)
        return name

    def start_is_refused(self, domain, why):
        result = self.lab.virsh("start", domain)
        self.assertEqual(result.status, 1, result)
        self.assert_says(why, result.err)
        self.assertEqual(self.lab.state(domain), "shut off")

    # --- our VMs ---

    def run_vm(self, name, *args):
        return self.running(name, *args, options=(*self.options, *OTHERS_FILES))

    def is_refused(self, name, *args):
        return self.refused(75, name, *args, options=(*self.options, *OTHERS_FILES))

    def qemu_refuses(self, name, *args):
        """Our locks were free, and QEMU's own were not: its status, its words."""
        vm = self.start(name, *args, options=(*self.options, *OTHERS_FILES))
        self.assertEqual(vm.wait_end(), 1, vm.err)
        self.assert_says(QEMU_REFUSES, vm.err)

    @staticmethod
    def shared(disk):
        return ("-drive", f"file={disk},format=raw,if=none,id=d,cache=none",
                "-device", f"virtio-blk-pci,drive=d,{SHARE_RW}")

    # --- locks ---

    def locked(self, disk):
        """The file whose byte 0 virtlockd locks for this disk."""
        if not self.lockspace:
            return disk
        return self.lab.lockspace / hashlib.sha256(str(disk).encode()).hexdigest()

    def virtlockd(self):
        return rf"virtlockd \(pid {self.lab.pid('virtlockd')}\)"

    def assert_undisturbed(self, vm):
        status = vm.status()
        self.assertEqual((status["run_state"], status["lock_state"]), ("running", "held"))
        self.does("pause", vm.name)
        self.does("resume", vm.name)


class Common:
    """What holds for both ways."""

    def test_a_running_domains_disk_is_refused_and_virtlockd_is_named(self):
        disk = self.guest("halt")
        domain = self.running_domain(disk)
        self.assertEqual(locks.seen(self.locked(disk), locks.BYTE), locks.WRITE)
        said = self.is_refused("vm", *self.drive(disk))
        self.assert_says(f"{disk} is in use by {self.virtlockd()}", said)
        self.assert_says("nothing was started", said)
        self.assertEqual(self.lab.state(domain), "running")
        self.lab.does("destroy", domain)
        self.run_vm("vm", *self.drive(disk))

    def test_a_running_vms_disk_is_refused_to_virsh_start(self):
        disk = self.guest("halt")
        os.chown(disk, 1234, 1234)
        domain = self.domain(disk)
        vm = self.run_vm("vm", *self.drive(disk))
        self.start_is_refused(domain, QEMU_REFUSES)
        self.assert_undisturbed(vm)
        self.does("stop", "vm")
        vm = self.run_vm("vm", *self.drive(disk, UNLOCKED))
        name = self.locked(disk).name if self.lockspace else disk
        self.start_is_refused(domain, f"resource busy: Lockspace resource '{name}' is locked")
        self.assert_undisturbed(vm)
        self.assertEqual(os.stat(disk).st_uid, 1234, "libvirt puts back whose it was")
        self.does("stop", "vm")
        self.lab.does("start", domain)

    def test_who_and_check_name_virtlockd(self):
        disk = self.guest("halt")
        domain = self.running_domain(disk)
        check = ("check", *self.options, *OTHERS_FILES, "--", "qemu-system-x86_64", *self.drive(disk))
        result = self.vmlatch(*check)
        self.assertEqual(result.status, 75)
        self.assert_says(f"{disk} .*: in use by {self.virtlockd()}", result.out)
        self.assert_says(f"^{disk}: exclusive, {self.virtlockd()}$",
                         self.does("who", *self.options, disk))
        self.assert_says(f": exclusive, {self.virtlockd()}$", self.does("who", self.locked(disk)))
        self.lab.does("destroy", domain)
        self.assert_says("free$", self.does("who", *self.options, disk))
        self.does(*check)

    def test_shareable_goes_with_share_rw_and_with_nothing_exclusive(self):
        disk = self.guest("halt")
        domain = self.running_domain(disk, "<shareable/>")
        self.assertEqual(locks.seen(self.locked(disk), locks.BYTE), locks.READ)
        self.run_vm("shared", *self.shared(disk))
        self.assert_says("in use by", self.is_refused("alone", *self.drive(disk)))
        self.lab.does("destroy", domain)
        self.lab.does("start", domain)  # the second one now
        self.does("stop", "shared")
        self.assert_says(f"in use by {self.virtlockd()}",
                         self.is_refused("alone", *self.drive(disk)))
        self.lab.does("destroy", domain)
        self.run_vm("alone", *self.drive(disk, UNLOCKED))
        self.start_is_refused(domain, "resource busy: Lockspace resource .* is locked")

    def test_a_reader_beside_shareable_is_refused(self):
        disk = self.guest("halt")
        domain = self.running_domain(disk, "<shareable/>")
        reader = self.drive(disk, "readonly=on", interface="virtio")
        self.assert_says(f"in use by {self.virtlockd()}", self.is_refused("reader", *reader))
        self.lab.does("destroy", domain)
        # the other way both take read locks: only QEMU's own locks stand there
        self.run_vm("reader", *reader)
        self.start_is_refused(domain, QEMU_REFUSES)

    def test_readonly_takes_no_lock_of_virtlockds(self):
        disk = self.guest("halt")
        domain = self.running_domain(disk, "<readonly/>")
        self.assert_free(disk)
        self.assertFalse(self.lockspace and self.locked(disk).exists())
        reader = self.run_vm("reader", *self.drive(disk, "readonly=on", interface="virtio"))
        self.assert_undisturbed(reader)
        self.does("stop", "reader")
        # towards a writer only QEMU's own locks stand there, either way
        self.qemu_refuses("writer", *self.drive(disk))
        self.lab.does("destroy", domain)
        self.run_vm("writer", *self.drive(disk))
        self.start_is_refused(domain, QEMU_REFUSES)

    def test_virtlockds_death_leaves_a_domain_with_qemus_own_locks_only(self):
        disk, ours = self.guest("halt"), self.guest("halt", "ours.img")
        domain = self.running_domain(disk)
        vm = self.run_vm("vm", *self.drive(ours))
        self.addCleanup(self.restart, "libvirtd")   # which then tells virtlockd of its lockspace
        self.lab.kill("virtlockd")
        self.only_qemus_own_locks_hold(domain, disk, vm)
        self.lab.start("virtlockd")
        self.only_qemus_own_locks_hold(domain, disk, vm)
        if self.lockspace:
            self.start_is_refused(self.domain(self.guest("halt", "third.img")),
                                  "Lockspace for path .* does not exist")
        self.restart("libvirtd")
        self.only_qemus_own_locks_hold(domain, disk, vm)
        self.lab.does("destroy", domain)
        self.lab.does("start", domain)
        self.assert_says(self.virtlockd(), self.is_refused("other", *self.drive(disk)))

    def restart(self, daemon):
        self.lab.kill(daemon)
        self.lab.start(daemon)

    def only_qemus_own_locks_hold(self, domain, disk, vm):
        self.assertIsNone(locks.seen(self.locked(disk), locks.BYTE))
        self.does("check", *self.options, *OTHERS_FILES, "--", "qemu-system-x86_64", *self.drive(disk))
        self.qemu_refuses("other", *self.drive(disk))
        self.assertEqual(self.lab.state(domain), "running")
        self.assert_undisturbed(vm)

    def test_a_resume_after_a_domain_wrote_is_refused_as_stale(self):
        disk = self.guest("writer")
        vm = self.run_vm("vm", *self.drive(disk))
        self.wait_writing(disk)
        self.does("pause", "vm")
        domain = self.running_domain(disk)
        self.wait_writing(disk)
        said = self.fails(75, "resume", "vm")
        self.assert_says(f"{disk} is in use by {self.virtlockd()}", said)
        self.lab.does("destroy", domain)
        self.assert_says("--force-stale", self.fails(75, "resume", "vm"))
        self.assertEqual(vm.status()["cause"], "stale")


class Direct(Common, LibvirtTest):
    """virtlockd locks the images themselves."""

    def test_a_resume_after_a_domain_that_wrote_nothing_works(self):
        disk = self.guest("halt")
        vm = self.run_vm("vm", *self.drive(disk))
        self.does("pause", "vm")
        self.lab.does("destroy", self.running_domain(disk))
        self.does("resume", "vm")
        self.assert_undisturbed(vm)


    def test_the_lock_of_libvirts_labels_does_not_disturb(self):
        disk = self.guest("halt")
        with locks.Held(disk, byte=1, posix=True) as label:
            self.assertTrue(label.got)
            vm = self.run_vm("vm", *self.drive(disk))
            self.assert_undisturbed(vm)
            self.does("stop", "vm")
            domain = self.domain(disk)
            self.start_is_refused(domain, "unable to lock .* for metadata change")
        self.lab.does("start", domain)
        self.assertIn("trusted.libvirt.security.dac", os.listxattr(disk))


class FileLockspace(Common, LibvirtTest):
    """virtlockd locks files in a directory (file_lockspace_dir); ours is the same one."""

    lockspace = True

    def test_a_resume_after_any_domain_is_refused_as_stale(self):
        disk = self.guest("halt")
        vm = self.run_vm("vm", *self.drive(disk))
        self.does("pause", "vm")
        domain = self.running_domain(disk)
        self.lab.does("destroy", domain)
        self.assertFalse(self.locked(disk).exists(), "virtlockd removes it")
        said = self.fails(75, "resume", "vm")
        self.assert_says(rf"{disk} was used by somebody \(its record is gone\)", said)
        self.assertEqual(vm.status()["cause"], "stale")

    def test_without_our_lockspace_only_qemus_own_locks_are_left(self):
        disk = self.guest("halt")
        domain = self.running_domain(disk)
        self.options += ("--lockspace-name", "identity")
        self.qemu_refuses("vm", *self.drive(disk))
        self.options = ()
        self.qemu_refuses("vm", *self.drive(disk))
        self.lab.does("destroy", domain)
        self.run_vm("vm", *self.drive(disk))
        self.start_is_refused(domain, QEMU_REFUSES)

    def test_by_another_name_only_qemus_own_locks_are_left(self):
        disk, link = self.guest("halt"), self.dir / "link.img"
        link.symlink_to(disk)
        domain = self.running_domain(link)
        self.qemu_refuses("vm", *self.drive(disk))
        said = self.is_refused("vm", *self.drive(link))
        self.assert_says(self.virtlockd(), said)


if __name__ == "__main__":
    main()
