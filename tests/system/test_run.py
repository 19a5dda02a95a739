# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starting a VM under its locks, and being refused."""

import os
import stat
import subprocess
import time

import locks
import procfs
from deadline import wait_for
from vmtest import VmTest, main, need_root


class WhileItRuns(VmTest):
    def test_the_disk_is_locked_by_byte_0_and_the_guard(self):
        disk = self.guest("halt")
        self.running("first", *self.drive(disk))
        self.assert_held(disk)

    def test_qemu_has_the_life_line_but_not_the_guard(self):
        need_root()     # nobody else may look at a supervisor
        disk = self.guest("halt")
        vm = self.running("first", *self.drive(disk))
        mine = {lock.start for lock in procfs.fd_locks(vm.pid, disk) if lock.type == "WRITE"}
        its = {lock.start for lock in procfs.fd_locks(vm.qemu, disk)
               if lock.type == "WRITE" and lock.start < 100}
        self.assertEqual(mine & {locks.BYTE, locks.GUARD}, {locks.BYTE, locks.GUARD},
                         "the supervisor holds the life line and the guard")
        self.assertEqual(its, {locks.BYTE}, "QEMU holds the life line alone")

    def test_qemus_descriptors_of_ours_are_at_the_top_end(self):
        disk = self.guest("halt")
        vm = self.running("first", *self.drive(disk))
        line = next(lock.fd for lock in procfs.fd_locks(vm.qemu, disk) if lock.start == locks.BYTE)
        with open(f"/proc/{vm.qemu}/limits", encoding="ascii") as file:
            soft = next(int(words.split()[3]) for words in file if words.startswith("Max open files"))
        self.assertLess(line, soft, "above the soft limit it leaks into tap scripts")
        self.assertGreater(line, min(soft, 4096) - 200, "low numbers are the user's")

    def test_qemu_gets_our_arguments_first_and_the_users_untouched(self):
        disk = self.guest("halt")
        user = ["-name", "a,,b", *self.drive(disk)]
        vm = self.running("first", *user)
        words = procfs.argv(vm.qemu)
        self.assertEqual(words[-len(user):], user)
        self.assertIn("-S", words[1:4], "verified: QEMU starts paused")
        self.assertRegex(words[words.index("-readconfig") + 1], r"^/dev/fd/\d+$")

    def test_a_direct_start_is_not_paused_by_us(self):
        disk = self.guest("halt")
        vm = self.running("first", *self.drive(disk), options=["--start", "direct"])
        self.assertNotIn("-S", procfs.argv(vm.qemu))
        self.assert_held(disk)

    def test_a_disk_that_the_command_line_hides_is_found_in_qemu_and_locked(self):
        image, hidden = self.disk("a.vmdk"), self.dir / "a-flat.vmdk"
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat",
                        image, "1M"], check=True)
        image.write_bytes(b"\n" + image.read_bytes())  # QEMU, told that it is a vmdk, does not mind
        vm = self.running("first", *self.drive(image, form="vmdk"))
        self.assert_says("its extents are not found", vm.err)
        self.assert_held(hidden)
        self.assertIn(locks.BYTE, {lock.start for lock in procfs.fd_locks(vm.qemu, hidden)},
                      "what is locked after exec is planted in QEMU")

    def test_the_nop_driver_takes_no_lock(self):
        disk = self.guest("halt")
        self.running("first", *self.drive(disk), options=["--lock", "nop"], lock="none")
        self.assert_free(disk)

    def test_a_migration_target_is_only_registered(self):
        disk = self.guest("halt")
        self.running("target", *self.drive(disk), "-incoming", "defer",
                     run="inmigrate", lock="registered")
        self.assert_free(disk)

    def test_the_end_leaves_only_an_end_record(self):
        disk = self.guest("halt")
        vm = self.running("first", *self.drive(disk))
        vm.signal(15)
        self.assertEqual(vm.wait_end(), 0)
        self.assert_free(disk)
        self.assertEqual(os.listdir(self.runtime), ["first.last.json"])


class SecondStart(VmTest):
    def test_is_refused_and_told_who_holds_the_disk(self):
        disk = self.guest("halt")
        first = self.running("first", *self.drive(disk))
        said = self.refused(75, "second", *self.drive(disk))
        self.assert_in_use(said, disk, first)
        self.assert_says("^vmlatch: second: ", said)
        self.assert_says("nothing was started.*vmlatch stop first", said)
        self.assert_says("vmlatch who", said)
        self.assertEqual(first.status()["run_state"], "running", "the first does not notice")

    def test_under_a_name_in_use_is_refused_with_its_pid(self):
        first = self.running("web", *self.drive(self.guest("halt")))
        said = self.refused(75, "web", *self.drive(self.disk("other.raw")))
        self.assert_says(rf"'?web'?.*\b({first.pid}|{first.qemu})\b", said)
        self.assertEqual(first.status()["run_state"], "running")

    def test_waits_as_long_as_it_is_told_to_and_gets_the_disk(self):
        disk = self.guest("halt")
        first = self.running("first", *self.drive(disk))
        second = self.start("second", *self.drive(disk), options=["--wait", "20"])
        self.assertIsNone(second.process.poll())
        first.signal(15)
        second.wait_state(run="running", lock="held")

    def test_waits_no_longer_than_it_is_told_to(self):
        disk = self.guest("halt")
        first = self.running("first", *self.drive(disk))
        began = time.monotonic()
        said = self.refused(75, "second", *self.drive(disk), options=["--wait", "1"])
        self.assertGreaterEqual(time.monotonic() - began, 1)
        self.assert_in_use(said, disk, first)

    def test_that_waits_holds_nothing_meanwhile(self):
        disk, free = self.guest("halt"), self.disk("free.raw")
        self.running("first", *self.drive(disk))
        second = self.start("second", *self.drive(free), *self.drive(disk), options=["--wait", "20"])
        self.running("third", *self.drive(free))
        self.assertIsNone(second.process.poll(), second.err)

    def test_with_one_disk_of_two_busy_takes_none(self):
        one, two = self.guest("halt"), self.disk("two.raw")
        with locks.Held(two) as other:
            self.assertTrue(other.got)
            self.refused(75, "both", *self.drive(one), *self.drive(two))
        self.assert_free(one)
        self.running("both", *self.drive(one), *self.drive(two))

    def test_is_refused_by_the_guard_alone(self):
        disk = self.guest("halt")
        with locks.Held(disk, locks.GUARD) as other:
            self.assertTrue(other.got)
            self.refused(75, "vm", *self.drive(disk))

    def test_names_the_pid_of_a_holder_with_a_posix_lock(self):
        disk = self.guest("halt")
        with locks.Held(disk, posix=True) as other:
            self.assertTrue(other.got)
            said = self.refused(75, "vm", *self.drive(disk))
        self.assert_says(rf"{disk} is in use by .*pid {os.getpid()}\b", said)


class ChangedMeanwhile(VmTest):
    """While a start waits for the top image, somebody gives that another backing file."""

    def setUp(self):
        super().setUp()
        self.base, self.other_base = self.guest("writer", "base.img"), self.guest("writer", "other.img")
        self.top = self.qcow2("top.qcow2", backing=self.base)

    def start_and_rebase(self, *options):
        with locks.Held(self.top):
            vm = self.start("vm", *self.drive(self.top, form="qcow2"), options=("--wait", "30", *options))
            wait_for("there is no child", lambda: procfs.children(vm.pid))
            subprocess.run(["qemu-img", "rebase", "-u", "-b", self.other_base, "-F", "raw", self.top],
                           check=True)
        return vm

    def test_what_qemu_really_opened_is_locked(self):
        for start in ("verified", "direct"):
            with self.subTest(start):
                subprocess.run(["qemu-img", "rebase", "-u", "-b", self.base, "-F", "raw", self.top],
                               check=True)
                vm = self.start_and_rebase("--start", start)
                vm.wait_state(run="running", lock="held")
                self.assertEqual(locks.seen(self.other_base, locks.BYTE), locks.READ)
                self.does("stop", "vm")
                vm.wait_end()

    def test_a_vm_whose_disk_somebody_else_writes_to_is_refused(self):
        with locks.Held(self.other_base):
            vm = self.start_and_rebase("--start", "direct")
            self.assertEqual(vm.wait_end(), 75, vm.err)
        self.assert_says("other.img is in use", vm.err)


class Sharing(VmTest):
    def test_readers_go_with_readers_only(self):
        disk = self.guest("halt")
        one = self.running("one", *self.drive(disk, "readonly=on", interface="virtio"))
        two = self.running("two", *self.drive(disk, "readonly=on", interface="virtio"))
        self.refused(75, "writer", *self.drive(disk))
        for vm in (one, two):
            self.assertEqual(vm.status()["lock_state"], "held")

    def test_shared_writers_go_with_shared_writers_only(self):
        disk = self.disk("shared.raw")
        shared = ("-blockdev", f"driver=file,filename={disk},node-name=f",
                  "-device", "virtio-blk-pci,drive=f,share-rw=on")
        self.running("one", *shared)
        self.running("two", *shared)
        self.refused(75, "alone", *self.drive(disk))
        self.refused(75, "reader", *self.drive(disk, "readonly=on", interface="virtio"))

    def test_a_backing_file_is_shared_and_cannot_be_written(self):
        base = self.disk("base.raw")
        top = [self.qcow2(f"top{i}.qcow2", backing=base) for i in range(2)]
        self.running("one", *self.drive(top[0], form="qcow2"))
        self.running("two", *self.drive(top[1], form="qcow2"))
        said = self.refused(75, "writer", *self.drive(base))
        self.assert_says(f"{base} is in use by VM '(one|two)'", said)

    def test_readonly_locks_no_leaves_readers_alone(self):
        disk = self.guest("halt")
        self.running("one", *self.drive(disk, "readonly=on", interface="virtio"),
                     options=["--readonly-locks", "no"])
        self.assert_free(disk)


class Check(VmTest):
    def test_names_each_disk_and_starts_nothing(self):
        disk, backing = self.disk("a.raw"), self.disk("base.raw")
        top = self.qcow2("top.qcow2", backing=backing)
        said = self.does("check", "--", "qemu-system-x86_64", *self.drive(disk),
                         *self.drive(top, form="qcow2"))
        for path in (disk, top, backing):
            self.assertIn(str(path), said)
            self.assert_free(path)

    def test_says_who_holds_a_busy_disk(self):
        disk = self.guest("halt")
        self.running("first", *self.drive(disk))
        result = self.vmlatch("check", "--", "qemu-system-x86_64", *self.drive(disk))
        self.assertEqual(result.status, 75, result)
        self.assert_says("first", result.out + result.err)

    def test_does_not_call_free_what_cannot_be_locked(self):
        need_root()
        device = self.dir / "device"
        os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        result = self.vmlatch("check", "--", "qemu-system-x86_64", *self.drive(device))
        self.assertEqual(result.status, 65, result)
        self.assert_says("device .*cannot be locked", result.out)
        self.assertNotIn(": free", result.out)

    def test_says_why_a_vm_would_be_pinned(self):
        said = self.does("check", "--", "qemu-system-x86_64", *self.drive(self.disk("a.raw")),
                         "-monitor", "stdio")
        self.assert_says("pinned", said)


if __name__ == "__main__":
    main()
