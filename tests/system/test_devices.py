# SPDX-License-Identifier: LGPL-2.1-or-later
"""Block devices, by loop devices: what is locked is the device, whatever node leads to it."""

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import locks
from deadline import wait_for
from loop import end_vms, loop_device, loop_setup
from vmtest import VmTest, main, missing, need_root


class Devices(VmTest):
    def setUp(self):
        need_root()
        super().setUp()
        self.devices = self.dir / "devices"  # instead of this host's own lock files
        self.environment["VMLATCH_DEVICE_LOCKS"] = str(self.devices)

    def disk(self, name="disk.raw"):
        path = self.guest("halt", name)
        os.truncate(path, 8 << 20)
        return loop_device(self, path)

    def other_node(self, device, name="other-node"):
        path = self.dir / name
        number = os.stat(device).st_rdev
        os.mknod(path, stat.S_IFBLK | 0o600, number)
        return path

    def lock_file(self, device):
        number = os.stat(device).st_rdev
        return self.devices / f"dev-{os.major(number)}:{os.minor(number)}"

    def partitioned(self):
        """A disk with two partitions (told to the kernel, so that it need not know the table); all three."""
        path = self.guest("halt", "parts.raw")
        os.truncate(path, 8 << 20)
        device = loop_device(self, path)
        parts = []
        for number, first in ((1, 2048), (2, 8192)):
            subprocess.run(["addpart", device, str(number), str(first), "4096"], check=True)
            self.addCleanup(subprocess.run, ["delpart", device, str(number)], check=True)
            self.addCleanup(end_vms, self)
            parts.append(Path(f"{device}p{number}"))
            self.make_node(parts[-1])
        return device, parts

    def make_node(self, part):
        """Where no udev makes the nodes of partitions, they are made here."""
        entry = Path("/sys/class/block") / part.name / "dev"
        wait_for(f"the kernel knows no {part.name}", entry.exists)
        if not part.exists():
            major, minor = map(int, entry.read_text().split(":"))
            os.mknod(part, stat.S_IFBLK | 0o600, os.makedev(major, minor))
            self.addCleanup(part.unlink)


class Lock(Devices):
    def test_is_on_the_node_and_in_a_lock_file_and_both_are_free_at_the_end(self):
        device = self.disk()
        vm = self.running("vm", *self.drive(device))
        self.assert_held(device)
        self.assert_held(self.lock_file(device))
        self.assert_says(" held=1 .* vm=vm$", self.lock_file(device).read_text().strip())
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0, vm.err)
        self.assert_free(device)
        self.assert_free(self.lock_file(device))

    def test_w6_every_node_of_a_device_is_the_same_disk(self):
        device = self.disk()
        first = self.running("first", *self.drive(device))
        node = self.other_node(device)
        self.assert_in_use(self.refused(75, "second", *self.drive(node)), node, first)
        self.assert_says("VM 'first'", self.does("who", node))
        self.does("stop", "first")

    def test_names_its_holder_where_only_a_record_does(self):
        # the node, which is locked first, keeps none; another user's state files are not ours to read
        device = self.disk()
        first = self.running("first", *self.drive(device))
        before, self.environment = self.environment, dict(
            self.environment, VMLATCH_RUNTIME_DIR=str(self.runtime / "other"))
        self.assert_in_use(self.refused(75, "second", *self.drive(device)), device, first)
        self.environment = before
        (self.runtime / "other").rmdir()
        self.does("stop", "first")

    def test_of_a_loop_device_is_on_its_file_too(self):
        path = self.guest("halt", "beneath.raw")
        os.truncate(path, 8 << 20)
        device = loop_device(self, path)
        first = self.running("first", *self.drive(device))
        self.assert_says("is in use by", self.refused(75, "second", *self.drive(path)))
        self.does("pause", "first")
        second = self.running("second", *self.drive(path))
        self.assert_says("in use by VM 'second'", self.fails(75, "resume", "first"))
        self.assert_says("in use by VM 'second'", self.refused(75, "third", *self.drive(device)))
        self.does("stop", "second")
        self.assertEqual(second.wait_end(), 0)
        self.assert_says("was used by VM 'second'", self.fails(75, "resume", "first"))
        self.does("stop", "first")
        self.assertEqual(first.wait_end(), 0)

    def test_of_a_loop_device_on_another_is_on_all_that_is_beneath(self):
        path = self.guest("halt", "beneath.raw")
        os.truncate(path, 8 << 20)
        inner = loop_device(self, path)
        outer = loop_device(self, inner)
        first = self.running("first", *self.drive(outer))
        for disk in (path, inner, self.other_node(inner)):
            self.assert_says("is in use by", self.refused(75, "second", *self.drive(disk)))
        self.assert_in_use(self.refused(75, "second", *self.drive(inner)), inner, first)
        self.does("pause", "first")
        self.running("second", *self.drive(path))
        self.assert_says("in use by VM 'second'", self.fails(75, "resume", "first"))
        self.does("stop", "second")
        self.assert_says("was used by VM 'second'", self.fails(75, "resume", "first"))
        self.does("stop", "first")

    def test_of_a_loop_device_in_a_lockspace_is_on_its_files_name_too(self):
        # who has the file by that name, on a host that locks on the file itself do not reach
        path = self.guest("halt", "beneath.raw")
        os.truncate(path, 8 << 20)
        device = loop_device(self, path)
        for way, name in (("path", hashlib.sha256(os.fsencode(path)).hexdigest()),
                          ("identity", f"ino-{os.stat(path).st_ino}")):
            with self.subTest(way):
                space = self.dir / way
                space.mkdir(mode=0o700)
                vm = self.running("vm", *self.drive(device), options=["--lockspace", space, "--lockspace-name", way])
                self.assert_held(space / name)
                self.does("stop", "vm")
                vm.wait_end()

    def test_pause_gives_it_back_and_another_vm_makes_it_stale(self):
        device = self.disk()
        self.running("first", *self.drive(device))
        self.does("pause", "first")
        self.assert_free(device)
        self.does("resume", "first")
        self.does("pause", "first")
        self.running("second", *self.drive(device))
        self.does("stop", "second")
        self.assert_says("was used by VM 'second'", self.fails(75, "resume", "first"))
        self.does("stop", "first")

    def test_that_shared_writers_had_meanwhile_is_stale(self):
        device = self.disk()
        self.running("first", *self.drive(device))
        self.does("pause", "first")
        self.running("second", "-drive", f"file={device},format=raw,if=none,id=d",
                     "-device", "virtio-blk-pci,drive=d,share-rw=on")
        self.does("stop", "second")
        self.assert_says("was used by VM 'second'", self.fails(75, "resume", "first"))
        self.does("stop", "first")

    def test_of_a_device_that_was_resized_is_not_stale(self):
        path = self.guest("halt", "grows.raw")
        os.truncate(path, 8 << 20)
        device = loop_device(self, path)
        self.running("vm", *self.drive(device))
        self.does("pause", "vm")
        os.truncate(path, 16 << 20)
        loop_setup("--set-capacity", device)
        self.does("resume", "vm")
        self.does("stop", "vm")

    def test_a_backing_file_may_be_a_device(self):
        device = self.disk()
        overlay = self.dir / "overlay.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", device, "-F", "raw", overlay], check=True)
        self.running("vm", *self.drive(overlay, form="qcow2"))
        self.assertEqual(locks.seen(device, locks.READERS), locks.READ)
        self.does("stop", "vm")

    def test_in_a_lockspace_is_seen_by_other_hosts(self):
        device = self.disk()
        space = self.dir / "lockspace"
        space.mkdir(mode=0o700)
        self.running("first", *self.drive(device), options=["--lockspace", space])
        self.environment["VMLATCH_DEVICE_LOCKS"] = str(self.dir / "other-host")
        said = self.refused(75, "second", *self.drive(device), options=["--lockspace", space])
        self.assert_says("VM 'first'", said)
        self.does("stop", "first")

    def test_of_qemus_user_is_asked_for(self):
        device = self.disk()
        os.chmod(device, 0o600)
        self.addCleanup(os.chmod, device, os.stat(device).st_mode & 0o777)
        self.refused(77, "vm", *self.drive(device), options=["--user", "nobody"])

    def test_of_an_unprivileged_user_has_the_devices_rights(self):
        device = self.disk()
        before = os.stat(device)
        self.addCleanup(os.chown, device, before.st_uid, before.st_gid)
        self.addCleanup(os.chmod, device, before.st_mode & 0o777)
        os.chown(device, 0, 65534)
        os.chmod(device, 0o660)
        vm = self.running("vm", *self.drive(device), options=["--user", "nobody"])
        made = os.stat(self.lock_file(device))
        self.assertEqual((made.st_mode & 0o777, made.st_gid), (0o660, 65534))
        self.assertEqual(os.stat(self.devices).st_mode & 0o7777, 0o755)
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0, vm.err)


class Partition(Devices):
    def test_and_its_disk_exclude_each_other(self):
        device, (one, two) = self.partitioned()
        first = self.running("one", *self.drive(one))
        self.assert_says("is in use by", self.refused(75, "whole", *self.drive(device)))
        second = self.running("two", *self.drive(two))  # the other partition is another disk
        self.assert_in_use(self.refused(75, "again", *self.drive(one)), one, first)
        self.does("stop", "one")
        self.assert_says("is in use by", self.refused(75, "whole", *self.drive(device)))
        self.does("stop", "two")
        self.assertEqual(second.wait_end(), 0)
        self.running("whole", *self.drive(device))
        self.assert_says("is in use by", self.refused(75, "part", *self.drive(two)))
        self.does("stop", "whole")

    def test_and_a_loop_device_on_its_disk_exclude_each_other(self):
        device, (one, two) = self.partitioned()
        outer = loop_device(self, device)
        self.running("outer", *self.drive(outer))
        for disk in (one, two, device):
            self.assert_says("is in use by", self.refused(75, "part", *self.drive(disk)))
        self.does("stop", "outer")
        self.vms[-1].wait_end()
        self.running("part", *self.drive(two))
        self.assert_says("is in use by", self.refused(75, "outer", *self.drive(outer)))
        self.does("stop", "part")

    def test_has_its_disks_lock_file_made_with_the_disks_rights(self):
        device, (one, _) = self.partitioned()
        for node, group in ((device, 65534), (one, 12345)):
            before = os.stat(node)
            self.addCleanup(os.chown, node, before.st_uid, before.st_gid)
            self.addCleanup(os.chmod, node, before.st_mode & 0o777)
            os.chown(node, 0, group)
            os.chmod(node, 0o660)
        self.running("one", *self.drive(one))
        made = os.stat(self.lock_file(device))
        self.assertEqual((made.st_mode & 0o777, made.st_gid), (0o660, 65534))
        self.does("stop", "one")

    def test_that_was_used_makes_the_disk_stale_and_the_other_partition_not(self):
        device, (one, two) = self.partitioned()
        self.running("whole", *self.drive(device))
        self.does("pause", "whole")
        self.running("one", *self.drive(one))
        self.does("pause", "one")
        self.running("two", *self.drive(two))
        self.does("stop", "two")
        self.does("resume", "one")
        self.does("pause", "one")
        self.assert_says("after its lock was given back", self.fails(75, "resume", "whole"))
        self.does("stop", "whole")
        self.running("whole", *self.drive(device))
        self.does("stop", "whole")
        self.assert_says("was used by VM 'whole'", self.fails(75, "resume", "one"))
        self.does("stop", "one")

    def test_and_its_disk_exclude_each_other_between_hosts(self):
        device, (one, _) = self.partitioned()
        space = self.dir / "lockspace"
        space.mkdir(mode=0o700)
        # loop devices have no name that hosts share, unless all are told to go by identity
        options = ["--lockspace", space, "--lockspace-name", "identity"]
        other = self.other_node(device)  # a lock on the node does not reach the other host
        self.running("whole", *self.drive(other), options=options)
        self.environment["VMLATCH_DEVICE_LOCKS"] = str(self.dir / "other-host")
        self.assert_says("in use by VM 'whole'", self.refused(75, "part", *self.drive(one), options=options))
        self.does("stop", "whole")

    def test_readers_of_a_disk_and_of_its_partitions_go_together(self):
        device, (one, _) = self.partitioned()
        self.running("whole", *self.drive(device, "readonly=on", interface="virtio"))
        self.running("part", *self.drive(one, "readonly=on", interface="virtio"))
        self.refused(75, "writer", *self.drive(one))
        self.does("stop", "whole", "part")


class HostsOwn(Devices):
    def test_a_mounted_device_is_65_and_says_where(self):
        if not shutil.which("mkfs.ext4"):
            missing("mkfs.ext4")
        device = self.disk()
        subprocess.run(["mkfs.ext4", "-q", "-F", device], check=True)
        place = self.dir / "mounted"
        place.mkdir()
        subprocess.run(["mount", device, place], check=True)
        self.addCleanup(subprocess.run, ["umount", place], check=True)
        said = self.refused(65, "vm", *self.drive(device))
        self.assert_says(rf"{device} is mounted on {place}: a guest that writes to it would destroy that", said)
        said = self.fails(65, "check", "--", "qemu-system-x86_64", *self.drive(device))
        self.assert_says(f"is mounted on {place}", said)
        self.does("who", device)
        self.running("reader", *self.drive(device, "readonly=on", interface="virtio"))
        self.does("stop", "reader")

    def test_a_device_that_is_claimed_is_65(self):
        # mounted in another namespace, or by who knows whom: the kernel knows
        device = self.disk()
        claim = os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)
        self.addCleanup(os.close, claim)
        self.assert_says("in use by this host", self.refused(65, "vm", *self.drive(device)))


class Check(Devices):
    def test_says_that_it_is_this_host_only(self):
        device = self.disk()
        command = ["--", "qemu-system-x86_64", *self.drive(device)]
        self.assert_says("locked on this host only", self.does("check", *command))
        space = self.dir / "lockspace"
        (space / "vms").mkdir(parents=True)
        self.assertNotIn("this host only", self.does("check", "--lockspace", space, *command))
        self.assertNotIn("this host only", self.does("check", "--lease", f"vms:b:{space}", *command))
        self.assertFalse(self.devices.exists(), "a check makes nothing")
        self.assertEqual([*space.iterdir(), *(space / "vms").iterdir()], [space / "vms"])

    def test_says_what_run_would_say_of_a_lease_without_a_space(self):
        said = self.fails(69, "check", "--lease", f"no:b:{self.dir}", "--", "qemu-system-x86_64")
        self.assert_says("make it first", said)


class HostileDirectory(Devices):
    def test_of_another_user_is_77(self):
        device = self.disk()
        self.devices.mkdir(mode=0o1777)
        self.devices.chmod(0o1777)
        os.chown(self.devices, 12345, 12345)
        self.assert_says("belongs to another user", self.refused(77, "vm", *self.drive(device)))

    def test_that_is_a_link_is_refused(self):
        # whoever made it could turn it to another directory between two starts
        device = self.disk()
        (self.dir / "elsewhere").mkdir()
        self.devices.symlink_to(self.dir / "elsewhere")
        self.assert_says(f"directory {self.devices}: Not a directory", self.refused(69, "vm", *self.drive(device)))


if __name__ == "__main__":
    main()
