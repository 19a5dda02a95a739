#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One image by several names: through a bind mount, copied up by an overlay, by a descriptor."""

import os

from loop import end_vms
from mounts import FileSystem, OverlayTest, run
from vmtest import AS_ROOT, VmTest, main


class Cycle:
    def goes_on(self, vm, disk):
        """Let go by a pause, and taken again, by QEMU too."""
        self.does("pause", vm.name)
        vm.wait_state(lock="released")
        self.wait_free(disk)
        self.does("resume", vm.name)
        vm.wait_state(run="running", lock="held")
        self.assert_held(disk)


class Bind(Cycle, FileSystem):
    def setUp(self):
        super().setUp()
        (self.dir / "real").mkdir()
        self.disk = self.guest("writer", "real/disk.img", writer="first")
        self.place = self.mount(self.dir / "bound", "--bind", self.dir / "real")
        self.other = self.place / "disk.img"

    def excludes(self, first, second):
        vm = self.running("first", *self.drive(first))
        self.assert_in_use(self.other_holder(second), second, vm)
        said = self.vmlatch("check", "--", "qemu-system-x86_64", *self.drive(second))
        self.assertEqual(said.status, 75)
        self.assert_says("VM 'first'", said.out + said.err)
        self.assert_says("first", self.does("who", second))
        return vm

    def test_is_refused_while_the_real_name_is_in_use(self):
        vm = self.excludes(self.disk, self.other)
        self.goes_on(vm, self.disk)
        self.wait_writing(self.disk)

    def test_runs_by_it_and_goes_on_after_a_pause(self):
        vm = self.excludes(self.other, self.disk)
        self.goes_on(vm, self.disk)
        self.wait_writing(self.disk)

    def test_of_one_file_too(self):
        single = self.dir / "single.img"
        single.touch()
        run("mount", "--bind", self.disk, single)
        self.addCleanup(run, "umount", single)
        self.addCleanup(end_vms, self)
        vm = self.excludes(single, self.disk)
        self.goes_on(vm, self.disk)
        self.wait_writing(self.disk)

    def test_that_went_away_while_paused_stops_the_resume(self):
        """QEMU would open another file by that name."""
        shadowed = self.dir / "shadowed"
        shadowed.mkdir()
        disk = self.guest("writer", "shadowed/disk.img", writer="other")
        run("mount", "--bind", self.dir / "real", shadowed)
        vm = self.running("first", *self.drive(shadowed / "disk.img"))
        self.does("pause", "first")
        vm.wait_state(lock="released")
        run("umount", "-l", shadowed)
        before = self.counter(disk)
        result = self.vmlatch("resume", "first")
        self.assertNotEqual(result.status, 0, result)
        self.assert_says(str(disk), result.err)
        self.assertEqual(vm.status()["run_state"], "paused")
        self.assertEqual(self.counter(disk), before)


class CopiedUp(Cycle, OverlayTest):
    """The lower file has two names, as where images of containers share files: the copy is one file of its own."""

    linked = True

    def setUp(self):
        super().setUp()
        self.before = os.stat(self.disk)

    def test_first_opened_for_writing_by_qemu_excludes_others_and_goes_on(self):
        self.assertFalse(self.upper().exists())
        vm = self.running("first", *self.drive(self.disk), options=(*AS_ROOT, "--require-locks"))
        self.assertTrue(self.upper().exists())
        self.assertNotIn("warning", vm.err)
        self.assertEqual([r["path"] for r in vm.status()["resources"]], [str(self.disk)])
        self.assert_held(self.disk)
        self.assert_in_use(self.other_holder(self.disk), self.disk, vm)
        self.goes_on(vm, self.disk)
        self.does("stop", "first")

    def test_read_then_written_by_qemu_is_locked_as_it_is_then(self):
        """auto-read-only: nobody has opened it for writing when the guest starts."""
        vm = self.running("first", "-blockdev",
                          f"driver=file,node-name=f,filename={self.disk},auto-read-only=on",
                          "-device", "virtio-blk-pci,drive=f")
        self.assert_held(self.disk)
        self.assert_in_use(self.other_holder(self.disk), self.disk, vm)
        self.goes_on(vm, self.disk)
        self.does("stop", "first")

    def test_of_two_overlays_of_one_layer_is_two_files(self):
        second = self.overlay("over2", "up2")
        one = self.running("first", *self.drive(self.disk))
        two = self.running("second", *self.drive(second / "disk.img"))
        self.goes_on(one, self.disk)
        self.goes_on(two, second / "disk.img")
        self.does("stop", "first")
        self.does("stop", "second")

    def test_is_another_file_for_who_looks_at_its_number(self):
        """Else the tests beside this one say nothing."""
        os.close(os.open(self.disk, os.O_RDWR))
        after = os.stat(self.disk)
        self.assertNotEqual((self.before.st_dev, self.before.st_ino), (after.st_dev, after.st_ino))

    def test_a_reader_and_a_writer_exclude_each_other_before_and_after_the_copy(self):
        self.exclude_each_other()

    def test_under_a_reader_it_stays_locked_and_after_a_pause_it_is_another_file(self):
        vm = self.running("reader", *self.drive(self.disk, "readonly=on", interface="virtio"))
        os.close(os.open(self.disk, os.O_RDWR))
        self.other_holder(self.disk)
        self.does("pause", "reader")
        vm.wait_state(lock="released")
        self.assert_is_another(vm)

    def test_while_a_reader_is_paused_is_told_from_a_write(self):
        reading = self.drive(self.disk, "readonly=on", interface="virtio")
        vm = self.running("reader", *reading)
        self.does("pause", "reader")
        os.close(os.open(self.disk, os.O_RDWR))
        self.assert_is_another(vm)
        self.running("reader", *reading)
        self.does("pause", "reader")
        with open(self.disk, "r+b") as file:
            file.write(file.read(512))
        self.assert_says("was written without vmlatch after", self.fails(75, "resume", "reader"))
        self.does("stop", "reader")

    def assert_is_another(self, vm):
        said = self.fails(75, "resume", vm.name)
        self.assert_says(r"was replaced by another file \(or copied up, on an overlay\) since it was locked", said)
        self.assertNotIn("written", said)
        vm.wait_state(run="paused", lock="released")
        self.does("stop", vm.name)


class ByDescriptor(Cycle, VmTest):
    """What the caller opened it for is not what QEMU opens it for."""

    def life(self, place, flags):
        disk = self.guest("writer", writer="first")
        number = os.open(disk, flags)
        try:
            vm = self.running("first", *self.drive(f"{place}/{number}"), options=AS_ROOT, pass_fds=[number])
        finally:
            os.close(number)
        self.assert_held(disk)
        self.assert_in_use(self.refused(75, "second", *self.drive(disk)), disk, vm)
        self.assertNotIn("warning", vm.err)
        self.wait_writing(disk)
        self.goes_on(vm, disk)
        self.wait_writing(disk)
        self.does("stop", "first")

    def test_that_is_a_place_only(self):
        self.life("/proc/self/fd", os.O_PATH)

    def test_that_reads_only_by_its_number_in_dev(self):
        self.life("/dev/fd", os.O_RDONLY)


if __name__ == "__main__":
    main()
