# SPDX-License-Identifier: LGPL-2.1-or-later
"""File systems that a test mounts, on loop devices, and overlays of them."""

import os
import shutil
import subprocess

from loop import end_vms
from vmtest import VmTest, missing, need_file_system, need_root


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


class FileSystem(VmTest):
    def setUp(self):
        need_root()
        super().setUp()

    def mounted(self, form, place, options="loop", make=(), size=300 << 20):
        """A new file system of this kind at dir/`place`."""
        need_file_system(form)
        if not shutil.which(f"mkfs.{form}"):
            missing(f"mkfs.{form}")
        image, mount = self.dir / f"{place}.fs", self.dir / place
        image.write_bytes(b"")
        os.truncate(image, size)
        run(f"mkfs.{form}", "-q", *make, image)
        return self.mount(mount, "-o", options, image)

    def mount(self, place, *words):
        place.mkdir(exist_ok=True)
        run("mount", *words, place)
        self.addCleanup(run, "umount", place)
        self.addCleanup(end_vms, self)
        return place

    def other_holder(self, disk):
        """A second VM is refused, by whatever name."""
        return self.refused(75, "second", *self.drive(disk))


class OverlayTest(FileSystem):
    linked = False  # a lower file of two names is another file, by its number, when it was copied up

    def setUp(self):
        super().setUp()
        need_file_system("overlay")
        self.layers = self.mounted("ext4", "layers", size=32 << 20)
        (self.layers / "low").mkdir()
        self.disk_below = self.guest("halt", "layers/low/disk.img")
        if self.linked:
            os.link(self.disk_below, self.layers / "low" / "link.img")
        self.place = self.overlay("over", "up")
        self.disk = self.place / "disk.img"

    def upper(self):
        """Where a copy of the disk's lower file comes to be."""
        return self.layers / "up" / "disk.img"

    def exclude_each_other(self):
        """A reader, and a writer who makes the copy; then both again."""
        reading = self.drive(self.disk, "readonly=on", interface="virtio")
        for copied in (False, True):
            self.assertEqual(self.upper().exists(), copied)
            self.running("reader", *reading)
            self.other_holder(self.disk)
            self.does("stop", "reader")
            self.running("writer", *self.drive(self.disk))
            self.assert_says("in use by VM 'writer'", self.refused(75, "second", *reading))
            self.does("stop", "writer")

    def overlay(self, place, upper):
        work = self.layers / f"{upper}-work"
        for name in (self.layers / upper, work):
            name.mkdir()
        options = f"lowerdir={self.layers}/low,upperdir={self.layers}/{upper},workdir={work},index=off"
        return self.mount(self.dir / place, "-t", "overlay", "-o", options, "overlay")
