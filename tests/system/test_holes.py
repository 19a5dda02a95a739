# SPDX-License-Identifier: LGPL-2.1-or-later
"""What libvirt's lock manager gets wrong, W1 to W12: each must not happen here."""

import os
from pathlib import Path

import locks
from deadline import wait_for
from qmp import QmpError
from vmtest import VmTest, main, missing


class Holes(VmTest):
    writer_rests = False

    def test_w1_a_busy_second_disk_leaves_the_first_free_and_a_later_resume_works(self):
        disks = [self.guest("writer"), self.disk("two.raw")]
        vm = self.running("vm", *self.drive(disks[0]), *self.drive(disks[1]))
        self.does("pause", "vm")
        for busy, free in (disks, reversed(disks)):
            with locks.Held(busy):
                self.fails(75, "resume", "vm")
                self.assert_free(free)
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        for disk in disks:
            self.assert_held(disk)

    def test_w2_a_disk_attached_while_paused_does_not_stand_in_the_way_of_resume(self):
        disk, more = self.guest("writer"), self.disk("more.raw")
        self.running("vm", *self.drive(disk))
        self.does("pause", "vm")
        self.does("attach", "vm", "disk", more)
        self.does("attach", "vm", "disk", more)
        self.does("resume", "vm")
        self.assert_held(disk)
        self.assert_held(more)

    def test_w2_a_guest_that_resets_stays_locked(self):
        disk = self.guest("reset")
        vm = self.running("vm", *self.drive(disk))
        self.does("pause", "vm")
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        self.assert_held(disk)

    def test_w3_a_second_pause_is_no_error_and_keeps_the_saved_state(self):
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk))
        self.does("pause", "vm")
        saved = self.does("inquire", "vm")
        self.does("pause", "vm")
        self.assertEqual(self.does("inquire", "vm"), saved)
        with open(disk, "r+b") as file:
            file.seek(8192)
            file.write(b"foreign")
        self.does("pause", "vm")
        self.fails(75, "resume", "vm")
        self.assertEqual(vm.status()["cause"], "stale")

    def test_w4_a_resume_after_another_vm_ran_is_refused(self):
        disk = self.guest("writer")
        self.running("vm", *self.drive(disk))
        self.does("pause", "vm")
        other = self.running("other", *self.drive(disk))
        self.does("stop", "other")
        other.wait_end()
        said = self.fails(75, "resume", "vm")
        self.assert_says(str(disk), said)

    def test_w5_the_lock_is_held_until_the_drain_is_over(self):
        # the writes that are queued behind the throttle land after STOP
        disk = self.guest("writer")
        self.running("vm", *self.drive(disk, "throttling.iops-write=1"))
        self.wait_writing(disk)
        self.control("vm").send("stop")
        while not locks.is_free(disk):
            before = self.counter(disk)
        self.assertLessEqual(self.counter(disk)[1], before[1] + 1)
        after = self.counter(disk)
        with locks.Held(disk):
            self.assertFalse(changes(lambda: self.counter(disk) != after),
                             "a write landed after the release")

    def test_w6_every_spelling_of_a_file_is_the_same_disk(self):
        disk = self.guest("halt")
        os.link(disk, self.dir / "hard.img")
        os.symlink(disk, self.dir / "soft.img")
        first = self.running("first", *self.drive(disk))
        spellings = [self.dir / "hard.img", self.dir / "soft.img", f"{self.dir}//{disk.name}",
                     f"{self.dir}/conf/../{disk.name}", os.path.relpath(disk)]
        for path in spellings:
            with self.subTest(path):
                said = self.refused(75, "second", *self.drive(path))
                self.assert_says(rf"in use by VM '{first.name}'", said)

    def test_w6_two_spellings_in_one_vm_are_one_lock(self):
        disk = self.guest("halt")
        os.link(disk, self.dir / "hard.img")
        shared = []
        for number, path in enumerate((disk, self.dir / "hard.img")):
            shared += ["-blockdev", f"driver=file,filename={path},node-name=n{number}",
                       "-device", f"virtio-blk-pci,drive=n{number},share-rw=on"]
        vm = self.running("vm", *shared)
        self.assertEqual(len(vm.status()["resources"]), 1)

    def test_w8_our_cont_is_refused_while_another_has_the_disk(self):
        disk = self.guest("writer")
        self.running("vm", *self.drive(disk))
        self.does("pause", "vm")
        count = self.counter(disk)
        with locks.Held(disk):
            with self.assertRaises(QmpError):
                self.control("vm").command("cont")
            self.assertFalse(changes(lambda: self.counter(disk) != count), "the guest ran")

    def test_w12_pflash_is_locked(self):
        firmware = Path("/usr/share/seabios/bios-256k.bin")
        if not firmware.exists():
            missing(str(firmware))
        nvram = self.dir / "nvram.fd"
        nvram.write_bytes(firmware.read_bytes())
        pflash = ("-drive", f"if=pflash,format=raw,file={nvram}")
        first = self.running("first", *pflash)
        self.assert_held(nvram)
        self.assert_in_use(self.refused(75, "second", *pflash), nvram, first)

    def test_w12_a_network_disk_needs_a_lease_or_is_warned_of(self):
        (self.dir / "vms").mkdir()
        disk = ("-drive", f"file=nbd+unix:///x?socket={self.dir}/nobody,format=raw,if=none")
        said = self.vmlatch("check", "--", "qemu-system-x86_64", "-display", "none", *disk)
        self.assert_says("has no file that could be locked: give a --lease", said.out)
        self.assertEqual(said.status, 0)
        self.fails(65, "check", "--require-locks", "--", "qemu-system-x86_64", *disk)
        lease = ["--lease", f"vms:web1:{self.dir}"]
        said = self.does("check", "--require-locks", *lease, "--", "qemu-system-x86_64", *disk)
        self.assertNotIn("network", said)


def changes(predicate, timeout=1.0):
    """Does it become true within the time? For what must not happen."""
    try:
        return bool(wait_for("", predicate, timeout))
    except AssertionError:
        return False


if __name__ == "__main__":
    main()
