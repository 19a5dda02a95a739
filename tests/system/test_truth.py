#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What QEMU really has open, and the command line did not show.

"QEMU" is a script that adds arguments to those it was given: vmlatch's parser cannot see them. What
they open is locked before the guest's first instruction; if somebody else has it the guest never runs.
"""

import json
import os
import shlex
import subprocess

import locks
from in_place import InPlaceTest
from loop import loop_device
from vmtest import MACHINE, QEMU, RELEASE_ALL, VmTest, main, need_root

WRITE, READ = locks.WRITE, locks.READ


def blockdev(**members):
    return "-blockdev", json.dumps({name.replace("_", "-"): value for name, value in members.items()})


def virtio(name, *more):
    return "-drive", ",".join([f"file={str(name).replace(',', ',,')}", "format=raw", "if=virtio", *more])


class Hiding:
    _hiding = 0

    def hiding(self, *words):
        """A QEMU that gets these words too."""
        self._hiding += 1
        path = self.dir / f"qemu-{self._hiding}"
        text = " ".join(shlex.quote(os.fsdecode(word)) for word in words)
        path.write_bytes(os.fsencode(f'#!/bin/sh\nexec {QEMU} "$@" {text}\n'))
        path.chmod(0o755)
        return path

    def odd(self, name):
        """An image of 1 MiB whatever its name."""
        path = os.path.join(os.fsencode(self.dir), name)
        with open(path, "wb") as file:
            file.truncate(1 << 20)
        return path

    def inherited(self, name, flags=os.O_RDWR):
        fd = os.open(self.dir / name, flags)
        self.addCleanup(os.close, fd)
        os.set_inheritable(fd, True)
        return fd


class Truth(Hiding, VmTest):
    def images_make(self):
        for name in ("plain", "nolocks", "set", "fd", "self", "unused", "line\nend", "comma,in it",
                     "json:{", "data", "base", "cd", "shown", "gone", "late", "nv"):
            self.disk(name)
        os.link(self.dir / "shown", self.dir / "hardlink")
        os.symlink("self", self.dir / "symlink")
        self.odd(b"not\xffutf8")
        self.qcow2("top", backing=self.dir / "base")
        self.qcow2("outside", options=f"data_file={self.dir / 'data'},data_file_raw=on")
        self.qcow2("overlay", backing=self.dir / "top", backing_format="qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentFlat",
                        self.dir / "disk.vmdk", "1M"], check=True)
        self.images.append(self.dir / "disk-f001.vmdk")

    def cases(self):
        """name -> (hidden words, descriptors to inherit, {file: its lock})"""
        unlocked = "file.locking=off"
        rw, ro, fd = self.inherited("set"), self.inherited("set", os.O_RDONLY), self.inherited("fd")
        here = self.dir
        return {
            "plain": (virtio(here / "plain"), (), {"plain": WRITE}),
            "locking_off": (virtio(here / "nolocks", unlocked), (), {"nolocks": WRITE}),
            "not_utf8": (virtio(os.fsdecode(os.fsencode(here) + b"/not\xffutf8"), unlocked), (),
                         {os.fsdecode(b"not\xffutf8"): WRITE}),
            "newline": (virtio(here / "line\nend", unlocked), (), {"line\nend": WRITE}),
            "comma": (virtio(here / "comma,in it", unlocked), (), {"comma,in it": WRITE}),
            "like_json": (virtio(here / "json:{", unlocked), (), {"json:{": WRITE}),
            "json_name": (("-drive", "if=virtio,file=json:" + json.dumps(
                {"driver": "raw", "offset": 4096, "file": {
                    "driver": "file", "filename": str(here / "late"), "locking": "off"}}).replace(",", ",,")),
                (), {"late": WRITE}),
            "fdset": (("-add-fd", f"fd={rw},set=3", "-add-fd", f"fd={ro},set=3",
                       *virtio("/dev/fdset/3", unlocked)), (rw, ro), {"set": WRITE}),
            "dev_fd": (virtio(f"/dev/fd/{fd}", unlocked), (fd,), {"fd": WRITE}),
            "by_symlink": (virtio(here / "symlink", unlocked), (), {"self": WRITE}),
            "not_written_yet": (blockdev(driver="file", node_name="u", filename=str(here / "unused"),
                                         auto_read_only=True, locking="off"), (), {"unused": WRITE}),
            "as_libvirts_cdrom": ((*blockdev(driver="file", node_name="cf", filename=str(here / "cd"),
                                             auto_read_only=True),
                                   *blockdev(driver="raw", node_name="c", file="cf", read_only=True),
                                   "-device", "ide-cd,drive=c"), (), {"cd": READ}),
            "data_file": (("-drive", f"file={here}/outside,if=virtio"), (),
                          {"outside": WRITE, "data": WRITE}),
            "temporary": (("-drive", f"file={here}/overlay,if=virtio,snapshot=on"), (),
                          {"overlay": READ, "top": READ, "base": READ}),
            "vmdk_extent": (("-drive", f"file={here}/disk.vmdk,if=virtio"), (),
                            {"disk.vmdk": WRITE, "disk-f001.vmdk": WRITE}),
            "nvdimm": (("-machine", "nvdimm=on", "-m", "slots=1,maxmem=64M",
                        "-object", f"memory-backend-file,id=m,share=on,mem-path={here}/nv,size=1M",
                        "-device", "nvdimm,memdev=m"), (), {"nv": WRITE}),
        }

    def assert_locks(self, wanted):
        for name, kind in wanted.items():
            self.assertEqual(locks.seen(self.dir / name, locks.BYTE), kind, f"lock of {name}")

    def refused_with(self, words, fds, holder, **more):
        """A guest that writes to its own disk: it must not have done so."""
        boot = self.guest("writer", f"writer-{self._hiding}", writer="intruder")
        before = self.counter(boot)
        said = self.refused(75, f"late-{self._hiding}", *self.drive(boot), qemu=self.hiding(*words),
                            pass_fds=fds, **more)
        self.assert_says(f"is in use by VM '{holder.name}'", said)
        self.assertEqual(self.counter(boot), before, "the guest has run")
        self.assert_free(boot)

    def test_is_locked_before_the_guest_runs_and_refused_where_somebody_has_it(self):
        self.images_make()
        cases = self.cases()
        words = [word for words, _, _ in cases.values() for word in words]
        fds = [fd for _, fds, _ in cases.values() for fd in fds]
        first = self.running("first", *self.drive(self.guest("halt")), qemu=self.hiding(*words),
                             pass_fds=fds, machine=(*MACHINE, "-no-user-config"))
        for name, (_, _, wanted) in cases.items():
            with self.subTest(name):
                self.assert_locks(wanted)
        self.assertNotRegex(first.err, "it is not locked")

    def test_is_refused_where_somebody_has_it(self):
        self.images_make()
        cases = self.cases()
        written = {file for _, _, wanted in cases.values() for file, kind in wanted.items() if kind == WRITE}
        holder = self.running("holder", *[word for file in sorted(written) for word in self.silent(file)])
        for name, (words, fds, wanted) in cases.items():
            if WRITE in wanted.values():
                with self.subTest(name):
                    self.refused_with(words, fds, holder)

    def silent(self, file):
        """A disk without QEMU's own locks, so that it is ours that stand in the way."""
        return virtio(self.dir / file, "file.locking=off")

    def test_readers_are_refused_too(self):
        self.images_make()
        holder = self.running("holder", *self.silent("cd"), *self.silent("base"))
        cases = self.cases()
        for name in ("as_libvirts_cdrom", "temporary"):
            with self.subTest(name):
                self.refused_with(*cases[name][:2], holder)

    def test_only_what_may_be_an_image_is_locked(self):
        log, pidfile, other = (self.dir / name for name in ("log", "pid", "other"))
        other.write_text("somebody's own")
        fd = self.inherited("other")
        self.odd(b"not\xffutf8")
        words = (*virtio(os.fsdecode(os.fsencode(self.dir) + b"/not\xffutf8"), "file.locking=off"),
                 "-D", log, "-d", "guest_errors", "-serial", f"file:{self.dir}/serial", "-pidfile", pidfile)
        vm = self.running("vm", *self.drive(self.guest("halt")), qemu=self.hiding(*words), pass_fds=(fd,))
        for path in (log, other, self.dir / "serial"):
            self.assert_free(path)
        self.assertEqual(len(vm.status()["resources"]), 2)
        self.assertEqual(locks.seen(os.path.join(os.fsencode(self.dir), b"not\xffutf8"), locks.BYTE), WRITE)

    def test_memory_that_is_a_file_is_never_given_back(self):
        self.images_make()
        vm = self.running("vm", *self.drive(self.guest("halt")),
                          qemu=self.hiding(*self.cases()["nvdimm"][0]), options=RELEASE_ALL)
        self.assert_says(f"{self.dir}/nv is mapped as memory of the guest", " ".join(vm.status()["pinned"]))
        self.fails(69, "pause", "vm")
        self.assert_locks({"nv": WRITE})

    def test_memory_that_vms_share_is_not_locked(self):
        self.disk("shm")
        words = ("-object", f"memory-backend-file,id=m,share=on,mem-path={self.dir}/shm,size=1M",
                 "-device", "ivshmem-plain,memdev=m")
        for name in ("one", "two"):
            self.running(name, *self.drive(self.guest("halt", name)), qemu=self.hiding(*words))
        self.assert_free(self.dir / "shm")

    def test_memory_that_is_not_shared_writes_no_file(self):
        self.disk("ram", 32 << 20)
        words = ("-object", f"memory-backend-file,id=m,share=off,mem-path={self.dir}/ram,size=32M",
                 "-machine", "memory-backend=m")
        self.running("vm", *self.drive(self.guest("halt")), qemu=self.hiding(*words))
        self.assert_free(self.dir / "ram")

    def test_a_name_that_led_elsewhere_when_it_was_opened(self):
        # between our look and QEMU's opening
        disk, other = self.guest("writer", "disk", writer="vm"), self.guest("writer", "other", writer="vm")
        swap = self.script("swap", f'mv {disk} {disk}.old; mv {other} {disk}; exec {QEMU} "$@"')
        self.running("vm", *self.drive(disk), qemu=swap)
        self.wait_writing(disk)
        self.assert_held(disk)

    def test_before_the_machine_is_made_nothing_can_be_planted_and_nothing_starts(self):
        disk, boot = self.disk("disk"), self.guest("halt")
        said = self.refused(65, "vm", *self.drive(boot), "-preconfig",
                            qemu=self.hiding(*virtio(disk, "file.locking=off")))
        self.assert_says(f"{disk} is open and cannot be locked: .*machine initialization", said)
        self.assert_free(disk)

    def test_direct_does_the_same_while_the_guest_runs(self):
        disk = self.disk("disk")
        hidden = virtio(disk, "file.locking=off")
        vm = self.running("vm", *self.drive(self.guest("halt")), qemu=self.hiding(*hidden),
                          options=("--start", "direct"))
        self.assertEqual(locks.seen(disk, locks.BYTE), WRITE)
        said = self.refused(75, "late", *self.drive(self.guest("halt", "late.img")), qemu=self.hiding(*hidden),
                            options=("--start", "direct"))
        self.assert_in_use(said, disk, vm)
        self.assert_says("QEMU is killed; its guest may have run", said)

    def test_a_block_device(self):
        need_root()
        device = loop_device(self, self.disk("disk"))
        hidden = ("-drive", f"file={device},format=raw,if=virtio,file.locking=off")
        vm = self.running("vm", *self.drive(self.guest("halt")), qemu=self.hiding(*hidden))
        self.assertEqual(locks.seen(device, locks.BYTE), WRITE)
        self.refused_with(hidden, (), vm)

    def test_a_character_device_is_said_not_to_be_locked(self):
        vm = self.running("vm", *self.drive(self.guest("halt")),
                          qemu=self.hiding("-drive", "file=/dev/zero,format=raw,if=none"))
        self.assert_says("/dev/zero is no block device, and has no locks: it is not locked", vm.err)
        self.does("stop", "vm")
        many = [word for number in range(11) for word in ("-drive", f"file=/dev/zero,format=raw,if=none,id=z{number}")]
        vm = self.running("vm", *self.drive(self.guest("halt")), qemu=self.hiding(*many))
        self.assertEqual(vm.err.count("/dev/zero is no block device"), 8, vm.err)
        self.assert_says("3 more that QEMU has open are not locked", vm.err)
        said = self.refused(65, "strict", *self.drive(self.guest("halt", "strict.img")),
                            qemu=self.hiding("-drive", "file=/dev/zero,format=raw,if=none"),
                            options=("--require-locks",))
        self.assert_says("/dev/zero is no block device", said)


class InPlace(Hiding, InPlaceTest):
    def test_what_is_qemus_own_is_not_the_supervisors(self):
        # a supervisor that has nothing under that number itself
        disk = self.disk("disk")
        fd = self.inherited("disk")
        hidden = virtio(f"/proc/self/fd/{fd}", "file.locking=off")
        vm = self.running("vm", *self.drive(self.guest("halt")), qemu=self.hiding(*hidden), pass_fds=(fd,))
        self.assertEqual(locks.seen(disk, locks.BYTE), WRITE)
        self.assertEqual([item["origin"] for item in vm.status()["resources"] if item["path"] == str(disk)][0][:12],
                         "QEMU's block")


if __name__ == "__main__":
    main()
