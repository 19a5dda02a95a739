# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest goes on only with its disk as it left it, whoever tells it to."""

import os
import subprocess

import locks
import procfs
from deadline import wait_for
from qmp import QmpError
from ungated import UngatedTest
from vmtest import VmTest, main


class Resume(VmTest):
    def setUp(self):
        super().setUp()
        self.disk_path = self.guest("writer")
        self.vm = self.running("vm", *self.drive(self.disk_path))
        self.wait_writing(self.disk_path)
        self.does("pause", "vm")

    def resumes(self):
        self.does("resume", "vm")
        self.vm.wait_state(run="running", lock="held")
        self.wait_writing(self.disk_path)

    def test_is_refused_while_another_has_the_disk_and_works_afterwards(self):
        with locks.Held(self.disk_path) as other:
            self.assertTrue(other.got)
            said = self.fails(75, "resume", "vm")
            self.assert_says(f"{self.disk_path} is in use", said)
            status = self.vm.status()
            self.assertEqual((status["run_state"], status["lock_state"], status["cause"]),
                             ("paused", "released", "lock-busy"))
        self.resumes()

    def test_is_refused_as_stale_when_somebody_wrote_without_us(self):
        with open(self.disk_path, "r+b") as file:
            file.seek(4096)
            file.write(b"not the guest's")
        said = self.fails(75, "resume", "vm")
        self.assert_says(str(self.disk_path), said)
        self.assert_says("--force-stale", said)
        self.assertEqual(self.vm.status()["cause"], "stale")
        self.assert_free(self.disk_path)
        self.does("resume", "--force-stale", "vm")
        self.wait_writing(self.disk_path)
        self.assert_held(self.disk_path)

    def test_is_refused_as_stale_when_another_vm_ran(self):
        other = self.running("other", *self.drive(self.disk_path))
        other.signal(15)
        other.wait_end()
        self.fails(75, "resume", "vm")
        self.assertEqual(self.vm.status()["cause"], "stale")

    def test_is_refused_as_stale_when_the_record_is_gone(self):
        os.removexattr(self.disk_path, "user.vmlatch")
        self.fails(75, "resume", "vm")
        self.assertEqual(self.vm.status()["cause"], "stale")

    def replace_disk(self):
        """As a restore from a backup does it: another file takes the name."""
        self.kept = self.disk_path.with_suffix(".old")
        os.rename(self.disk_path, self.kept)
        self.images.append(self.kept)
        self.guest("writer", writer="other")

    def test_is_refused_when_another_file_has_the_disks_name(self):
        # QEMU would open the other one, which nobody has locked for it
        self.replace_disk()
        other = self.running("other", *self.drive(self.disk_path))
        self.wait_writing(self.disk_path)
        other.signal(15)
        other.wait_end()
        count = self.counter(self.disk_path)
        said = self.fails(75, "resume", "vm")
        self.assert_says(f"{self.disk_path} was replaced by another file", said)
        self.assert_free(self.kept)
        result = self.vmlatch("resume", "--force-stale", "vm")
        self.assertNotEqual(result.status, 0, "force or not, the lock is on the old file")
        self.assert_says("put the file back", result.err)
        self.assertEqual(self.counter(self.disk_path), count)
        os.rename(self.kept, self.disk_path)
        self.resumes()

    def test_is_not_stale_after_everyday_life(self):
        subprocess.run(["qemu-img", "info", "-U", self.disk_path], check=True,
                       stdout=subprocess.DEVNULL)
        self.disk_path.read_bytes()  # a backup
        # another VM's start that is refused for a lock has used nothing
        busy = self.disk("busy.raw")
        with locks.Held(busy):
            self.refused(75, "refused", *self.drive(self.disk_path), *self.drive(busy))
        self.does("check", "--", "qemu-system-x86_64", *self.drive(self.disk_path))
        self.does("who", self.disk_path)
        self.resumes()

    def test_by_our_own_qmp_socket_is_refused_too(self):
        control = self.control("vm")
        with locks.Held(self.disk_path):
            with self.assertRaisesRegex(QmpError, "in use"):
                control.command("cont")
            self.assertEqual(control.status(), "paused")
        control.command("cont")
        self.wait_writing(self.disk_path)
        self.assert_held(self.disk_path)

    def test_takes_every_disk_or_none(self):
        other = self.disk("other.raw")
        self.does("attach", "vm", "disk", other)
        with locks.Held(other):
            self.fails(75, "resume", "vm")
            self.assert_free(self.disk_path)
        self.resumes()
        self.assert_held(other)


class EndOfAReleasedVm(VmTest):
    def check(self, end, form="raw", options=()):
        disk = self.guest("halt")
        if form == "qcow2":
            disk = self.qcow2("disk.qcow2", source=disk, options="lazy_refcounts=on")
        vm = self.running("vm", *self.drive(disk, form=form), options=options)
        self.does("pause", "vm")
        before = disk.read_bytes()
        with locks.Held(disk) as other:
            self.assertTrue(other.got)
            end(vm)
            self.assertEqual(vm.wait_end(), 0, "the user asked for the end")
            self.assertEqual(disk.read_bytes(), before, "nothing is written into a disk given back")

    def test_by_sigterm_writes_nothing(self):
        self.check(lambda vm: vm.signal(15))

    def test_by_sigterm_writes_nothing_into_a_qcow2(self):
        self.check(lambda vm: vm.signal(15), form="qcow2")

    def test_by_sigterm_writes_nothing_when_qemu_was_not_deactivated(self):
        self.check(lambda vm: vm.signal(15), options=["--deactivate", "no"])

    def test_by_stop_writes_nothing(self):
        self.check(lambda vm: self.does("stop", vm.name), form="qcow2")


class BehindOurBack(UngatedTest):
    """RESUME by a monitor that is not gated, where the user forced a release (W8)."""

    def test_a_free_disk_is_locked_again_and_the_guest_goes_on(self):
        vm = self.paused(guest="halt")
        self.mine.command("cont")
        vm.wait_state(run="running", lock="held")
        self.assert_held(self.disk_path)

    def test_a_guest_that_has_written_before_the_freeze_is_stale(self):
        """Its own write or somebody else's: from outside nobody can tell. A fast freeze is no harm."""
        vm = self.paused()
        self.mine.send("cont")  # frozen as stale it does not answer
        wait_for(lambda: f"it should be held, or frozen as stale: {vm.status()}",
                 lambda: vm.status()["lock_state"] == "held" or vm.status()["cause"] == "stale")
        if vm.status()["frozen"]:
            self.does("resume", "--force-stale", "vm")
        vm.wait_state(run="running", lock="held")
        self.wait_writing(self.disk_path)

    def test_a_guest_that_was_reset_while_paused_is_not_stale(self):
        vm = self.paused()
        self.mine.command("system_reset")
        self.assertEqual(self.mine.status(), "prelaunch")
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        self.wait_writing(self.disk_path)

    def test_a_busy_disk_kills_qemu_under_poweroff(self):
        vm = self.paused("--on-lock-failure", "poweroff")
        with locks.Held(self.disk_path):
            self.mine.send("cont")
            self.assertEqual(vm.wait_end(), 76, vm.err)
        self.assertFalse(procfs.alive(vm.qemu))


if __name__ == "__main__":
    main()
