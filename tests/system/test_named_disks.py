# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs whose disks are named in uncommon ways: they run under locks like all others."""

import errno
import os
import subprocess

from in_place import InPlaceTest
from ungated import OPENAT2, forbid
from vmtest import AS_ROOT, VmTest, main

DRIVE = '[drive "d"]\n  file = "{}"\n  format = "raw"\n  if = "ide"\n'


def pipe_with(text):
    """The reading end of a pipe that says @text and ends."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


class ByConfig:
    """A config in a pipe can be read once only: QEMU gets another file under its number."""

    def start_from_pipe(self, *options):
        disk = self.guest("halt")
        reading = pipe_with(DRIVE.format(disk))
        try:
            vm = self.running("first", "-readconfig", f"/dev/fd/{reading}", options=(*AS_ROOT, *options),
                              pass_fds=[reading])
        finally:
            os.close(reading)
        self.assertNotIn("warning", vm.err)
        self.assert_held(disk)
        return vm

    def test_qemu_reads_what_we_have_read(self):
        vm = self.start_from_pipe()
        self.assertEqual([r["path"] for r in vm.status()["resources"]], [str(self.images[0])])

    def test_it_does_not_pin(self):
        vm = self.start_from_pipe()
        self.does("pause", "first")
        vm.wait_state(lock="released")
        self.does("resume", "first")
        vm.wait_state(run="running", lock="held")

    def test_a_monitor_in_it_pins(self):
        disk = self.guest("halt")
        reading = pipe_with(DRIVE.format(disk) + '[chardev "c"]\nbackend = "pty"\n[mon "m"]\nchardev = "c"\n')
        self.addCleanup(os.close, reading)
        vm = self.running("first", "-readconfig", f"/dev/fd/{reading}", pass_fds=[reading])
        self.assertTrue(vm.status()["pinned"])


class ByDescriptor:
    """The file is locked by its own name: the number means nothing to the supervisor."""

    def use(self, *words, **flags):
        disk = self.guest("halt")
        numbers = {name: os.open(disk, value) for name, value in flags.items()}
        try:
            vm = self.running("first", *[word.format(**numbers) for word in words],
                              options=(*AS_ROOT, "--require-locks"), pass_fds=list(numbers.values()))
        finally:
            for number in numbers.values():
                os.close(number)
        self.assertNotIn("warning", vm.err)
        self.assert_held(disk)
        return vm

    def is_released_and_resumed(self, vm):
        self.does("pause", "first")
        vm.wait_state(lock="released")
        self.assert_free(self.images[0])
        self.does("resume", "first")
        vm.wait_state(run="running", lock="held")
        self.assert_held(self.images[0])

    def test_dev_fd(self):
        self.is_released_and_resumed(self.use("-drive", "file=/dev/fd/{w},format=raw", w=os.O_RDWR))

    def test_proc_self_fd(self):
        self.is_released_and_resumed(self.use("-drive", "file=/proc/self/fd/{w},format=raw", w=os.O_RDWR))

    def test_a_set_pins(self):
        """Given back, QEMU could not take it again: its own descriptors in the set keep its image locks."""
        vm = self.use("-add-fd", "fd={w},set=1", "-add-fd", "fd={r},set=1",
                      "-drive", "file=/dev/fdset/1,format=raw", w=os.O_RDWR, r=os.O_RDONLY)
        self.assertTrue(vm.status()["pinned"])
        self.assert_says("-add-fd", self.fails(69, "pause", "first"))
        vm.wait_state(run="paused", lock="held")
        self.does("resume", "first")
        vm.wait_state(run="running", lock="held")


class Pipes(ByConfig, VmTest):
    pass


class PipesInPlace(ByConfig, InPlaceTest):
    pass


class Descriptors(ByDescriptor, VmTest):
    pass


class DescriptorsInPlace(ByDescriptor, InPlaceTest):
    pass


class Mapped(VmTest):
    """A disk that is the guest's memory: locked, and kept until QEMU's end."""

    def start_nvdimm(self, name):
        return name, "-object", f"memory-backend-file,id=m,size=4M,share=on,mem-path={self.dir / 'nv.img'}", \
            "-device", "nvdimm,memdev=m"

    machine = ("-nodefaults", "-display", "none", "-accel", "tcg", "-machine", "pc,nvdimm=on",
               "-m", "64M,slots=2,maxmem=128M")

    def test_a_mapped_disk_is_held_and_pins(self):
        disk = self.disk("nv.img", 4 << 20)
        vm = self.running(*self.start_nvdimm("first"), machine=self.machine)
        self.assert_held(disk)
        self.assertTrue(vm.status()["pinned"])
        self.refused(75, *self.start_nvdimm("second"), machine=self.machine)


class ByImages(VmTest):
    """What an image names is followed if it is the same file for QEMU, whether or not the kernel helps."""

    def over(self, backing):
        top = self.dir / "top.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", "raw", top, "1M"],
                       check=True)
        self.images.append(top)
        return self.drive(top, form="qcow2")

    def judged(self, preexec=None):
        disk = self.guest("halt")
        (self.dir / "link").symlink_to("../" + self.dir.name)
        for name in (f"/proc/self/cwd{disk}", f"/proc/self/root{disk}", "/dev/fd/0"):
            with self.subTest(name), open(disk, "rb") as file:
                self.assert_says("is another file in each process",
                                 self.refused(65, "vm", *self.over(name), preexec=preexec, stdin=file, cwd="/"))
        for name in (disk, "halt.img", f"link/{disk.name}", f"/proc/self/../..{disk}"):
            with self.subTest(name):
                vm = self.running("vm", *self.over(name), preexec=preexec)
                self.assertEqual(len(vm.status()["resources"]), 2)
                self.does("stop", "vm")

    def test_are_followed_or_refused(self):
        self.judged()

    def test_are_followed_or_refused_where_openat2_is_missing(self):
        self.judged(lambda: forbid(OPENAT2, number=errno.ENOSYS))


if __name__ == "__main__":
    main()
