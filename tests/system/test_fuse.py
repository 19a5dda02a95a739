#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A VM's image and lockspace on FUSE, whoever keeps the locks there: the kernel or the program."""

import json
import os
import subprocess
import sys
import time

from deadline import TIMEOUT, wait_for
from fuse import Fuse
from vmtest import VMLATCH, VmTest, main, underscored


class OnFuse(VmTest):
    def mounted(self, locks="kernel"):
        self.below, self.place = self.dir / "below", self.dir / "mount"
        fuse = Fuse(self, locks, self.below, self.place)
        (self.place / "space").mkdir(mode=0o700, exist_ok=True)
        self.space = ("--lockspace", str(self.place / "space"))
        return fuse

    def disk_on_it(self, name="disk.img"):
        return self.guest("halt", f"mount/{name}")

    def doctor(self, status):
        result = self.vmlatch("doctor", "--json", self.place)
        self.assertEqual(result.status, status, result)
        return underscored(json.loads(result.out))[0]


class Locks(OnFuse):
    def life(self, locks):
        self.mounted(locks)
        disk = self.drive(self.disk_on_it())
        first = self.running("first", *disk, options=self.space)
        self.assert_in_use(self.refused(75, "second", *disk, options=self.space), disk[1][5:].split(",")[0], first)
        self.refused(75, "second", *disk)
        self.does("pause", "first")
        self.does("resume", "first")
        first.wait_state(run="running", lock="held")
        self.does("pause", "first")
        self.running("second", *disk, options=self.space)
        self.fails(75, "resume", "first")
        self.does("stop", "second")
        self.assert_says("was used by VM 'second'", self.fails(75, "resume", "first"))
        self.does("stop", "first")
        self.assertEqual(first.wait_end(), 0, first.err)

    def test_of_the_kernel_are_those_of_any_file_system(self):
        self.life("kernel")

    def test_of_the_program_are_not_listed_by_the_kernel_and_held_all_the_same(self):
        self.life("program")

    def test_that_the_program_forgets_are_a_loss(self):
        fuse = self.mounted("program")
        disk = self.disk_on_it()
        vm = self.running("vm", *self.drive(disk), options=("--release-on", "none"))
        self.assert_says("locks stay", self.fails(69, "pause", "vm"))
        self.does("resume", "vm")
        self.fails(69, "pause", "vm")
        fuse.forget()
        self.assert_says("its locks are lost", self.fails(69, "resume", "vm"))
        seen = vm.wait_state(lock="lost")
        self.assert_says(f"the lock on {disk} is gone", seen["cause_detail"])
        self.assertTrue(seen["frozen"])
        self.does("stop", "vm")

    def test_that_nobody_keeps_are_65_and_unfit(self):
        for locks, words in (("ENOLCK", "No locks available"), ("ENOSYS", "Function not implemented")):
            fuse = self.mounted(locks)
            disk = self.disk_on_it(f"{locks}.img")
            said = self.refused(65, "vm", *self.drive(disk))
            self.assert_says(f"{disk} cannot be locked: its file system has no locks .{words}", said)
            self.images.remove(disk)  # who would look at its locks?
            self.assertEqual(self.doctor(69)["verdict"], "unfit")
            fuse.end()


class Doctor(OnFuse):
    def test_does_not_know_whether_they_reach_other_hosts(self):
        for locks in ("kernel", "program"):
            fuse = self.mounted(locks)
            report = self.doctor(0)
            self.assertEqual((report["file_system"]["type"], report["verdict"]), ("fuse.dir", "maybe"))
            self.assertEqual(report["tried"]["locks"], {"exclude": True, "libvirt": True})
            self.assertEqual(os.listdir(self.place), ["space"])
            fuse.end()


class Program(OnFuse):
    """That keeps no locks: the kernel has them as long as somebody has the mount's files open."""
    writer_rests = False

    def test_that_dies_loses_no_lock_and_everybody_is_told(self):
        fuse = self.mounted("kernel")
        disk = self.disk_on_it()
        vm = self.running("vm", *self.drive(disk), options=self.space)
        fuse.die()
        gone = "Transport endpoint is not connected"
        vm.wait_state(run="running", lock="held")
        self.assert_says(gone, self.refused(71, "second", *self.drive(disk)))
        self.assert_says(f"{disk}: {gone}", self.fails(71, "who", disk))
        self.assert_says(f"{self.place}: {gone}: the program .* has ended", self.fails(69, "doctor", self.place))
        said = self.fails(69, "pause", "vm")
        self.assert_says(rf"its locks stay: .*{disk} .*{gone}", said)
        vm.wait_state(run="paused", lock="held")
        self.assert_says(f"others would lock cannot be seen: {gone}", self.fails(69, "resume", "vm"))
        vm.wait_state(run="paused", lock="held")
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0, vm.err)

    def test_that_hangs_keeps_nobody_waiting_who_looks_for_the_holder_of_another_disk(self):
        fuse = self.mounted("kernel")
        self.running("vm", *self.drive(self.disk_on_it()))
        self.addCleanup(fuse.go_on)  # before the VM is ended
        disk = self.guest("halt")
        # by a process that comes behind the VM's in /proc, and has no record
        program = "import locks, sys, time; locks.Held(sys.argv[1]).__enter__(); print(flush=True); time.sleep(600)"
        holder = self.spawn([sys.executable, "-c", program, disk], stdout=subprocess.PIPE,
                            cwd=os.path.dirname(os.path.abspath(__file__)))  # where 'locks' is
        self.assertEqual(holder.stdout.readline(), b"\n")
        fuse.hang()
        time.sleep(1.2)  # what the kernel knows of the file is out of date
        said = self.refused(75, "second", *self.drive(disk))
        self.assert_says(rf"in use by .*\(pid {holder.pid}\)", said)
        holder.kill()
        holder.wait()
        holder.stdout.close()
        fuse.go_on()
        self.does("stop", "vm")

    def test_that_hangs_loses_no_lock_and_keeps_nobody_waiting_who_asks_for_the_state(self):
        fuse = self.mounted("kernel")
        disk = self.guest("writer", "mount/disk.img")  # always has a write on its way
        vm = self.running("vm", *self.drive(disk), options=(*self.space, "--release-on", "none"))
        self.addCleanup(fuse.go_on)  # before the VM is ended
        self.wait_writing(disk)
        fuse.hang()
        pause = self.spawn([VMLATCH, "pause", "vm"], stdin=subprocess.DEVNULL)
        seen = wait_for("status does not say what it waits for",
                        lambda: [said for said in [vm.status()] if said.get("held_because")])[0]
        self.assertEqual(seen["lock_state"], "held")
        self.assert_says("last write is not done", seen["held_because"])
        self.assert_says("does not answer", self.fails(69, "doctor", "--timeout", "1", self.place))
        second = self.start("second", *self.drive(disk))
        time.sleep(0.5)
        self.assertIsNone(second.process.poll(), "somebody knew what only the program knows")
        self.assertIsNone(pause.poll())
        fuse.go_on()
        self.assertEqual(second.wait_end(), 75, second.err)
        self.assertEqual(pause.wait(TIMEOUT), 69)
        vm.wait_state(run="paused", lock="held")
        self.does("resume", "vm")
        self.does("stop", "vm")


if __name__ == "__main__":
    main()
