# SPDX-License-Identifier: LGPL-2.1-or-later
"""Block devices of users who are not root: who may use one may lock it, and nobody is kept out."""

import ctypes
import os
import re
import shutil
import stat
import struct
import subprocess

import locks
from loop import loop_device
from test_devices import Devices
from users import ALICE, BOB, EVE, VMS, UserTest
from vmtest import main, missing

IN_ATTRIB, IN_CREATE = 0x4, 0x100


def changes(directory):
    """Call the result: what became of the names there since, as (name, IN_... mask)."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(directory), IN_ATTRIB | IN_CREATE) < 0:
        raise OSError(ctypes.get_errno(), "inotify")

    def read():
        with open(fd, "rb", buffering=0) as events:
            data, found = events.read(1 << 16) or b"", []
        while data:
            _, mask, _, size = struct.unpack_from("iIII", data)
            found.append((os.fsdecode(data[16:16 + size].rstrip(b"\0")), mask))
            data = data[16 + size:]
        return found
    return read


def acl(user):
    """As 'setfacl -m u:USER:rw' makes it of mode 0660 (linux/posix_acl_xattr.h)."""
    nobody = 0xffffffff
    entries = ((0x01, 6, nobody), (0x02, 6, user.uid), (0x04, 6, nobody), (0x10, 6, nobody), (0x20, 0, nobody))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


class DeviceTest(UserTest):
    """A device of the group VMS; the directory as tmpfiles.d makes it, with that group for 'disk'."""

    def setUp(self):
        super().setUp()
        self.devices = self.dir / "devices"
        self.environment["VMLATCH_DEVICE_LOCKS"] = str(self.devices)
        path = self.guest("halt", "disk.raw")
        os.truncate(path, 8 << 20)
        path.chmod(0o600)
        self.device = loop_device(self, path)
        self.give(self.device, 0, VMS, 0o660)
        number = os.stat(self.device).st_rdev
        self.lock_file = self.devices / f"dev-{os.major(number)}:{os.minor(number)}"

    def make_directory(self, mode=0o1775, group=VMS):
        self.devices.mkdir()
        os.chown(self.devices, 0, group)
        self.devices.chmod(mode)

    def put_lock_file(self, user, mode=0o600):
        self.lock_file.touch()
        os.chown(self.lock_file, user.uid, user.uid)
        self.lock_file.chmod(mode)

    def use(self, name="vm"):
        """A whole life."""
        self.running(name, *self.drive(self.device))
        self.does("stop", name)
        self.vms[-1].wait_end()

    def refuses(self, status, sentence):
        """A start, and the check before it."""
        said = self.refused(status, "vm", *self.drive(self.device))
        self.assert_says(sentence, said)
        checked = self.vmlatch("check", "--", "qemu-system-x86_64", *self.drive(self.device))
        self.assertEqual(checked.status, status, f"check: {checked}")
        self.assert_says(sentence, checked.out + checked.err)
        return said


class Device(DeviceTest):
    def test_is_shared_by_its_group_out_of_the_box(self):
        self.make_directory()
        with self.by(ALICE):
            first = self.running("first", *self.drive(self.device))
            self.assert_rights(self.lock_file, ALICE.uid, VMS, 0o660)
            self.does("pause", "first")
            self.does("resume", "first")
        with self.by(BOB):
            said = self.refused(75, "second", *self.drive(self.device))
            self.assert_in_use(said, self.device, first)
            self.assert_says("in use by VM 'first'", self.vmlatch(
                "check", "--", "qemu-system-x86_64", *self.drive(self.device)).out)
            self.assert_says("'first'", self.does("who", self.device))
        self.assert_in_use(self.refused(75, "roots", *self.drive(self.device)), self.device, first)
        with self.by(ALICE):
            self.does("pause", "first")
        with self.by(BOB):
            self.use("second")
        with self.by(ALICE):
            self.assert_says("was used by VM 'second'", self.fails(75, "resume", "first"))
            self.does("stop", "first")
        self.use("roots")
        self.assert_rights(self.lock_file, 0, VMS, 0o660)  # nobody takes it away from root's VM
        with self.by(BOB):
            self.use("again")

    def test_and_its_lock_file_are_nothing_to_others(self):
        self.make_directory()
        with self.by(ALICE):
            self.use()
        with self.by(EVE):
            self.refused(77, "hers", *self.drive(self.device))
        for mode in "rw":
            self.assertFalse(self.can(EVE, "test", f"-{mode}", self.lock_file))
        self.assertFalse(self.can(EVE, "touch", self.devices / "dev-8:0"))
        self.assertFalse(self.can(EVE, "rm", "-f", self.lock_file))
        self.assertTrue(self.can(BOB, "test", "-w", self.lock_file))

    def test_without_a_lock_file_that_one_may_make_says_the_line_that_makes_it(self):
        if not shutil.which("systemd-tmpfiles"):
            missing("systemd-tmpfiles")
        self.make_directory(0o755, 0)
        with self.by(ALICE):
            said = self.refuses(77, "missing, and this user may not make it")
            self.assert_says("free", self.does("who", self.device))
        conf = self.dir / "alice.conf"
        conf.write_text(re.search(r": (f /.*)$", said, re.M)[1] + "\n")
        subprocess.run(["systemd-tmpfiles", "--create", conf], check=True)
        self.assert_rights(self.lock_file, 0, VMS, 0o660)
        for user in (ALICE, BOB):
            with self.by(user):
                self.use()

    def test_without_a_directory_is_refused_until_root_has_made_it(self):
        with self.by(ALICE):
            self.refuses(69, "root makes it")
        self.use()
        self.assert_rights(self.devices, 0, 0, 0o755)
        self.assert_rights(self.lock_file, 0, VMS, 0o660)
        with self.by(ALICE):
            self.use()

    def test_of_one_user_is_his_though_root_was_first(self):
        self.give(self.device, ALICE.uid, 0, 0o600)
        self.use()
        self.assert_rights(self.lock_file, ALICE.uid, 0, 0o600)
        with self.by(ALICE):
            self.use()
        self.assertFalse(self.can(BOB, "test", "-r", self.lock_file))

    def test_that_got_other_rights_has_its_lock_file_mended_by_root(self):
        self.give(self.device, 0, 0, 0o600)
        self.use()
        os.chown(self.device, 0, VMS)
        os.chmod(self.device, 0o660)
        with self.by(ALICE):
            self.refuses(77, "a start of vmlatch by root gives it the rights of its device")
        self.use()
        with self.by(ALICE):
            self.use()

    def test_has_its_rights_before_it_has_its_name(self):
        # so nobody who starts at the same moment meets one that he may not open
        self.make_directory()
        read = changes(self.devices)
        with self.by(ALICE):
            self.use()
        mine = [mask for name, mask in read() if name == self.lock_file.name]
        self.assertEqual(mine, [IN_CREATE], "it was changed under its name")
        self.assert_rights(self.lock_file, ALICE.uid, VMS, 0o660)

    def test_is_shared_by_two_who_start_at_once(self):
        # whoever makes the lock file: the other never meets one that he may not open
        self.make_directory()
        for _ in range(10):
            self.lock_file.unlink(missing_ok=True)
            both = []
            for user in (ALICE, BOB):
                with self.by(user):
                    both.append(self.start(None, *self.drive(self.device, "readonly=on", interface="virtio")))
            for vm, user in zip(both, (ALICE, BOB)):
                with self.by(user):
                    vm.name = f"vm-{vm.pid}"
                    vm.wait_state(run="running", lock="held")
                    self.does("stop", vm.name)
                    self.assertEqual(vm.wait_end(), 0, vm.err)


class Partition(UserTest, Devices):
    def test_needs_the_disks_lock_file_too_which_root_can_open_to_its_user(self):
        device, (one, two) = self.partitioned()
        self.give(device, 0, 0, 0o660)
        self.give(one, ALICE.uid, 0, 0o600)
        self.give(two, BOB.uid, 0, 0o600)
        self.running("roots", *self.drive(one))
        self.does("stop", "roots")
        self.vms[-1].wait_end()
        with self.by(ALICE):
            said = self.refused(77, "hers", *self.drive(one))
            self.assert_says("of a partition both its own and its disk's are needed", said)
        os.setxattr(self.lock_file(device), "system.posix_acl_access", acl(ALICE))
        self.running("roots", *self.drive(two))  # a start of root's does not take that back
        with self.by(ALICE):
            self.running("hers", *self.drive(one))
        self.assert_says("is in use by", self.refused(75, "whole", *self.drive(device)))
        with self.by(ALICE):
            self.does("stop", "hers")
        self.does("stop", "roots")


class HostileDirectory(DeviceTest):
    """One that all may write to, as only root can make it: there Eve can be first."""

    def setUp(self):
        super().setUp()
        self.make_directory(0o1777, 0)

    def test_with_a_strangers_file_is_refused_until_root_has_taken_it(self):
        for mode in (0o600, 0o666, 0):
            with self.subTest(oct(mode)):
                self.put_lock_file(EVE, mode)
                with self.by(ALICE):
                    self.refuses(65, rf"lock file {self.lock_file} belongs to another user \(uid {EVE.uid}\)")
                inode = os.stat(self.lock_file).st_ino
                self.use()
                self.assert_rights(self.lock_file, 0, VMS, 0o660)
                self.assertEqual(os.stat(self.lock_file).st_ino, inode, "who holds it, holds it still")
                self.assertFalse(self.can(EVE, "rm", "-f", self.lock_file))
                with self.by(ALICE):
                    self.use()
                self.lock_file.unlink()

    def test_with_a_lock_of_a_stranger_names_him(self):
        self.put_lock_file(EVE)
        with locks.Held(self.lock_file):
            said = self.refused(75, "vm", *self.drive(self.device))
            self.assert_says(rf"in use by .*\(pid {os.getpid()}\)", said)
        self.use()

    def test_with_what_is_no_file_is_refused_and_left_alone(self):
        target = self.dir / "target"
        target.write_text("precious")
        made = {
            "link": lambda: self.lock_file.symlink_to(target),
            "dangling": lambda: self.lock_file.symlink_to(self.dir / "nothing"),
            "fifo": lambda: os.mkfifo(self.lock_file, 0o666),
            "hard link": lambda: os.link(target, self.lock_file),
            "directory": lambda: self.lock_file.mkdir(),
        }
        for kind, make in made.items():
            with self.subTest(kind):
                make()
                os.lchown(self.lock_file, EVE.uid, EVE.uid)
                before = os.lstat(self.lock_file)
                for user in (None, ALICE):
                    with self.by(user) if user else self.subTest("root"):
                        self.refuses(65, f"{self.lock_file} (is|has) .*: remove it")
                after = os.lstat(self.lock_file)
                self.assertEqual((before.st_ino, before.st_mode, before.st_uid),
                                 (after.st_ino, after.st_mode, after.st_uid))
                self.lock_file.rmdir() if stat.S_ISDIR(after.st_mode) else self.lock_file.unlink()
        self.assertEqual(target.read_text(), "precious")
        self.assertFalse((self.dir / "nothing").exists())

    def test_of_a_group_that_could_replace_files_is_refused(self):
        os.chown(self.devices, 0, VMS)
        self.devices.chmod(0o775)
        for user in (None, ALICE):
            with self.by(user) if user else self.subTest("root"):
                self.refuses(77, r"can be written by a group, which could replace files: chmod \+t it")


if __name__ == "__main__":
    main()
