#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Locks on real file systems of loop devices, and what these cannot do: full, read-only, an overlay."""

import os

from mounts import FileSystem, OverlayTest, run
from vmtest import main


class Life(FileSystem):
    def on(self, form):
        place = self.mounted(form, "m")
        disk = self.guest("halt", "m/disk.img")
        os.link(disk, place / "other.img")
        vm = self.running("vm", *self.drive(disk))
        self.assert_in_use(self.other_holder(place / "other.img"), place / "other.img", vm)
        self.does("pause", "vm")
        self.running("other", *self.drive(place / "other.img"))
        self.does("stop", "other")
        self.assert_says("was used by VM 'other'", self.fails(75, "resume", "vm"))
        self.does("stop", "vm")

    def test_on_btrfs(self):
        self.on("btrfs")

    def test_on_xfs(self):
        self.on("xfs")

    def test_on_ext4(self):
        self.on("ext4")


class Full(FileSystem):
    """Images are locked all the same, by the stamp alone where no record can be."""

    def filled(self):
        place = self.mounted("ext4", "m", make=("-b", "1024", "-I", "128", "-O", "^has_journal"), size=4 << 20)
        disk = self.guest("halt", "m/disk.img")
        with open(place / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(512))
            except OSError:
                pass
        return place, disk

    def test_no_room_for_a_record(self):
        place, disk = self.filled()
        with self.assertRaises(OSError):
            os.setxattr(disk, "user.try", b"x" * 500)
        vm = self.running("vm", *self.drive(disk))
        self.assert_held(disk)
        self.other_holder(disk)
        self.assertEqual(os.listxattr(disk), [])
        self.does("pause", "vm")
        self.does("resume", "vm")
        self.does("pause", "vm")
        with open(disk, "r+b") as file:
            file.write(file.read(1))  # as much as anybody writes
            file.seek(0)
            file.write(b"x")
        self.assert_says("written without vmlatch", self.fails(75, "resume", "vm"))
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0, vm.err)

    def test_no_room_beside_other_attributes(self):
        self.mounted("ext4", "m", make=("-b", "1024"), size=16 << 20)
        disk = self.guest("halt", "m/disk.img")
        os.setxattr(disk, "user.other", b"x" * 900)
        self.running("vm", *self.drive(disk))
        self.assert_held(disk)
        self.assertEqual(os.getxattr(disk, "user.other"), b"x" * 900)
        self.assertNotIn("user.vmlatch", os.listxattr(disk))
        self.does("pause", "vm")
        self.does("resume", "vm")
        self.does("stop", "vm")

    def test_no_room_for_a_lock_file_is_69_and_says_so(self):
        place, disk = self.filled()
        space = place / "space"
        (place / "filler").unlink()
        space.mkdir(mode=0o700)
        try:
            for number in range(10000):
                (space / f"{number}").touch()
        except OSError:
            pass
        said = self.refused(69, "vm", *self.drive(disk), options=("--lockspace", space))
        self.assert_says("No space left on device", said)
        self.assert_free(disk)


class ReadOnly(FileSystem):
    def test_a_lockspace_is_77_and_a_reader_of_an_image_starts(self):
        place = self.mounted("ext4", "m", size=16 << 20)
        disk = self.guest("halt", "m/disk.img")
        (place / "space").mkdir(mode=0o700)
        run("mount", "-o", "remount,ro", place)
        local = self.guest("halt", "local.img")
        said = self.refused(77, "vm", *self.drive(local), options=("--lockspace", place / "space"))
        self.assert_says("Read-only file system", said)
        self.assert_free(local)
        self.running("vm", *self.drive(disk, "readonly=on", interface="virtio"))
        self.does("stop", "vm")


class Overlay(OverlayTest):
    def test_a_reader_and_a_writer_exclude_each_other_before_and_after_the_copy(self):
        self.exclude_each_other()

    def test_a_reader_whose_file_was_copied_up_while_it_was_paused_is_stale(self):
        self.running("reader", *self.drive(self.disk, "readonly=on", interface="virtio"))
        self.does("pause", "reader")
        self.running("writer", *self.drive(self.disk))
        self.assert_says("in use by VM 'writer'", self.fails(75, "resume", "reader"))
        self.does("stop", "writer")
        self.assert_says("was used by VM 'writer'", self.fails(75, "resume", "reader"))
        self.does("stop", "reader")

    def test_its_layers_files_are_other_files_and_doctor_says_so(self):
        self.running("writer", *self.drive(self.disk))
        for layer in ("low", "up"):
            self.assert_free(self.layers / layer / "disk.img")
        self.assert_says("a file of its layers is another file to locks", self.does("doctor", self.place))
        self.does("stop", "writer")


if __name__ == "__main__":
    main()
