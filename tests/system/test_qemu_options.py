#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU's own options that have to do with running, stopping and rights: each does what it does without us.

Nearly every test is made twice: with QEMU as vmlatch's child, and in place.
"""

import os
import pwd
import re
import socket
import stat
import subprocess

import locks
import procfs
from deadline import wait_for
from in_place import InPlaceTest
from vmtest import AS_ROOT, MACHINE, QEMU, Result, VmTest, main, missing, need_root

SOCKET = "server=on,wait=off"
NOBODY = "nobody"
DENY = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


class Options:
    def bare(self, *words, timeout=30):
        """The same QEMU without vmlatch, to its end. None: it goes on running."""
        try:
            done = subprocess.run([QEMU, *MACHINE, *map(str, words)], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=timeout, check=False,
                                  env=self.environment)
        except subprocess.TimeoutExpired:
            return None
        return Result(done.returncode, done.stdout, done.stderr)

    def assert_ends_as_bare(self, *words):
        bare = self.bare(*words)
        vm = self.start("vm", *words, options=AS_ROOT)
        self.assertEqual((vm.wait_end(), vm.out, vm.err), bare)
        vm.wait_gone()
        return bare

    def assert_pauses_and_resumes(self, vm, disk):
        self.does("pause", vm.name)
        self.assert_free(disk)
        self.does("resume", vm.name)
        vm.wait_state(run="running", lock="held")
        self.assert_held(disk)

    def assert_keeps_its_locks(self, vm, disk, reason):
        self.assert_says(reason, " ".join(vm.status()["pinned"]))
        self.assert_says(reason, self.fails(69, "pause", vm.name))
        self.assert_held(disk)
        self.assertFalse(vm.status()["deactivating"])
        self.does("resume", vm.name)
        vm.wait_state(run="running", lock="held")

    def stop(self, vm):
        self.does("stop", vm.name)
        vm.wait_end()
        vm.wait_gone()

    @staticmethod
    def make_null(root):
        (root / "dev").mkdir()
        try:
            os.mknod(root / "dev" / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            missing("CAP_MKNOD")
        os.chmod(root / "dev" / "null", 0o666)

    def user_qmp(self):
        path = self.dir / "mine.sock"
        return path, ("-qmp", f"unix:{path},{SOCKET}")

    def owned_by_nobody(self, path):
        owner = pwd.getpwnam(NOBODY)
        os.chown(path, owner.pw_uid, owner.pw_gid)
        return owner

    # --- when the guest runs ---

    def test_incoming_registers_and_locks_before_the_guest_runs(self):
        disk, stream = self.guest("writer", writer="me"), self.dir / "stream.sock"
        path, monitor = self.user_qmp()
        source = self.spawn([QEMU, *MACHINE, *self.drive(disk), *monitor])
        self.addCleanup(lambda: (source.kill(), source.wait()))
        self.wait_writing(disk)
        target = self.running("target", *self.drive(disk), "-incoming", f"unix:{stream}",
                              run="inmigrate", lock="registered")
        self.assert_free(disk)
        qmp = self.qmp(path)
        qmp.command("migrate", uri=f"unix:{stream}")
        wait_for("the migration does not end", lambda: qmp.status() == "postmigrate")
        qmp.command("quit")
        source.wait()
        target.wait_state(run=("paused", "prelaunch", "inmigrate"), lock="registered")
        before = self.counter(disk)
        with locks.Held(disk):
            self.fails(75, "resume", "target")
        self.assertEqual(self.counter(disk), before)
        self.does("resume", "target")
        self.wait_writing(disk)
        self.assert_held(disk)

    def test_S_leaves_the_start_to_the_user(self):
        disk = self.guest("writer", writer="me")
        vm = self.running("vm", *self.drive(disk), "-S", run="prelaunch", lock=("held", "released"))
        self.assert_says("-S", vm.status()["cause_detail"])
        self.assertEqual(self.counter(disk)[1], 0)
        self.does("resume", "vm")
        self.wait_writing(disk)
        self.assert_held(disk)

    def test_preconfig_waits_for_the_user_under_locks(self):
        disk = self.guest("writer", writer="me")
        path, monitor = self.user_qmp()
        for option, status in (("-preconfig", "running"), ("--preconfig", "running"), ("-S", "prelaunch")):
            with self.subTest(option):
                vm = self.start("vm", *self.drive(disk), "-preconfig", option, *monitor)
                qmp = self.qmp(path)
                vm.wait_state(run="prelaunch", lock="held")
                self.assert_held(disk)
                self.fails(69, "resume", "vm")
                self.assert_says("preconfig", vm.status()["cause_detail"])
                self.assert_says("x-exit-preconfig", vm.status()["remedy"])
                qmp.command("x-exit-preconfig")
                wait_for("it is not so as without us", lambda qmp=qmp, status=status: qmp.status() == status)
                vm.wait_state(run=status, lock="held")
                wait_for("it is still waited for", lambda vm=vm: "preconfig" not in vm.status().get("cause_detail", ""))
                self.assertEqual(qmp.status(), status)
                self.does("resume", "vm")
                self.wait_writing(disk)
                self.stop(vm)
                path.unlink(missing_ok=True)

    def preconfigured(self, disk, *options):
        """The user gives his VM another disk before there is a machine, and lets it go on."""
        boot = self.guest("writer", writer="me")
        path, monitor = self.user_qmp()
        vm = self.start("vm", *self.drive(boot), "-preconfig", *monitor, options=options)
        vm.wait_state(run="prelaunch", lock="held")
        qmp = self.qmp(path)
        qmp.command("blockdev-add", driver="file", node_name="more", filename=str(disk), locking="off")
        self.assertEqual(self.counter(boot)[1], 0)
        qmp.command("x-exit-preconfig")
        return vm, boot, qmp

    def test_preconfig_locks_what_has_come_meanwhile_before_the_guest_runs(self):
        disk = self.disk("more.raw")
        vm, boot, _ = self.preconfigured(disk)
        vm.wait_state(run="running", lock="held")
        self.wait_writing(boot)
        self.assert_held(disk)
        self.assertTrue(procfs.fd_locks(vm.qemu, disk), "it is to be planted in QEMU")

    def test_preconfig_freezes_what_has_somebodys_disk_open_before_the_guest_runs(self):
        disk = self.disk("more.raw")
        with locks.Held(disk):
            vm, boot, _ = self.preconfigured(disk)
            vm.wait_state(lock="lost")
            self.assert_says(f"{disk} is in use", vm.status()["cause_detail"])
            self.assertTrue(vm.status()["frozen"])
        self.assertEqual(self.counter(boot)[1], 0, "the guest has run")
        self.does("stop", "vm")
        vm.wait_gone()

    def test_preconfig_direct_freezes_a_guest_that_runs(self):
        disk = self.disk("more.raw")
        with locks.Held(disk):
            vm, _, _ = self.preconfigured(disk, "--start", "direct")
            vm.wait_state(lock="lost")
        self.does("stop", "vm")
        vm.wait_gone()

    # --- when it stops, and what ends it ---

    def test_no_shutdown_keeps_the_vm_and_frees_its_disk(self):
        for options in (["-no-shutdown"], ["-action", "shutdown=pause"]):
            with self.subTest(options):
                disk = self.guest("poweroff_acpi")
                vm = self.running("vm", *self.drive(disk), *options, run="shutdown", lock="released")
                self.assert_free(disk)
                self.fails(69, "resume", "vm")  # as QEMU's 'cont': it needs a reset
                self.stop(vm)
        self.assertEqual(self.assert_ends_as_bare(*self.drive(disk)).status, 0)

    def test_action_decides_about_a_panic(self):
        disk = self.guest("pvpanic")
        vm = self.running("vm", *self.drive(disk), "-device", "pvpanic", "-action", "panic=pause",
                          run="guest-panicked", lock="released")
        self.assert_free(disk)
        self.assertEqual(vm.status()["cause"], "guest-panic")
        self.stop(vm)
        for action in ("panic=shutdown", "panic=exit-failure"):
            with self.subTest(action):
                self.assert_ends_as_bare(*self.drive(disk), "-device", "pvpanic", "-action", action)

    def test_watchdog_action_decides_about_a_watchdog(self):
        disk = self.guest("ib700")
        vm = self.running("vm", *self.drive(disk), "-device", "ib700", "-watchdog-action", "pause",
                          run="watchdog", lock="released")
        self.assert_free(disk)
        self.stop(vm)
        self.assert_ends_as_bare(*self.drive(disk), "-device", "ib700", "-watchdog-action", "poweroff")

    def test_no_reboot_ends_with_the_guests_reset(self):
        self.assertEqual(self.assert_ends_as_bare(*self.drive(self.guest("reset")), "-no-reboot").status, 0)

    # --- with whose rights, and where ---

    def test_runas_pauses_where_that_user_may_write(self):
        need_root()
        disk = self.guest("writer", writer="me")
        user = self.owned_by_nobody(disk)
        for name in (NOBODY, f"{user.pw_uid}:{user.pw_gid}"):
            with self.subTest(name):
                vm = self.running("vm", *self.drive(disk), "-runas", name)
                with open(f"/proc/{vm.qemu}/status", encoding="ascii") as file:
                    self.assertIn(f"Uid:\t{user.pw_uid}\t", file.read())
                self.assertEqual(vm.status()["pinned"], [])
                self.assert_pauses_and_resumes(vm, disk)
                self.wait_writing(disk)
                self.stop(vm)

    def test_runas_keeps_the_locks_where_that_user_may_not_write(self):
        need_root()
        disk = self.guest("writer", writer="me")
        disk.chmod(0o600)
        vm = self.running("vm", *self.drive(disk), "-runas", NOBODY)
        self.assert_keeps_its_locks(vm, disk, f"-runas: {disk} is not writable for that user")
        self.wait_writing(disk)

    def test_chroot_keeps_the_locks_of_what_is_not_there(self):
        need_root()
        disk, root = self.guest("writer", writer="me"), self.dir / "root"
        root.mkdir()
        vm = self.running("vm", *self.drive(disk), "-chroot", root)
        self.assertEqual(os.readlink(f"/proc/{vm.qemu}/root"), str(root))
        self.assert_keeps_its_locks(vm, disk, f"-chroot: {disk} is another file below that directory")
        self.stop(vm)
        decoy = root / str(disk)[1:]
        decoy.parent.mkdir(parents=True)
        decoy.symlink_to(disk)  # it leads to itself, seen from in there
        vm = self.running("vm", *self.drive(disk), "-chroot", root)
        self.assert_keeps_its_locks(vm, disk, "-chroot")
        self.wait_writing(disk)

    def test_chroot_pauses_where_the_name_is_the_same_file(self):
        need_root()
        disk, root = self.guest("writer", writer="me"), self.dir / "root"
        same = root / str(disk)[1:]
        same.parent.mkdir(parents=True)
        os.link(disk, same)
        vm = self.running("vm", *self.drive(disk), "-chroot", root)
        self.assert_keeps_its_locks(vm, disk, "-chroot: there is no /dev/null")
        self.stop(vm)
        self.make_null(root)
        vm = self.running("vm", *self.drive(disk), "-chroot", root)
        self.assertEqual(vm.status()["pinned"], [])
        self.assert_pauses_and_resumes(vm, disk)
        self.wait_writing(disk)

    def test_chroot_hides_no_image_from_the_truth_check(self):
        need_root()
        disk, root, link = self.guest("writer", writer="me"), self.dir / "root", self.dir / "link.img"
        root.mkdir()
        link.symlink_to(disk)
        for name, reason in ((disk.name, "-chroot: QEMU leaves the current directory"), (link, "-chroot: ")):
            with self.subTest(name):
                vm = self.running("vm", *self.drive(name), "-chroot", root, cwd=self.dir)
                self.assertNotIn("descriptors", vm.err)
                self.assert_keeps_its_locks(vm, disk, reason)
                self.stop(vm)

    def test_run_with_is_qemus_to_refuse(self):
        # 7.2 has no such option, and no QEMU has this one; a new one would do it all as above
        disk = self.disk("a.raw")
        self.assertEqual(self.assert_ends_as_bare(*self.drive(disk), "-run-with", "no-such=thing").status, 1)
        self.wait_free(disk)  # in place, the supervisor hears of the end after whoever waited

    def test_sandbox_with_all_denied_is_no_obstacle(self):
        disk, more = self.guest("writer", writer="me"), self.disk("more.raw")
        vm = self.running("vm", *self.drive(disk), "-sandbox", DENY)
        with open(f"/proc/{vm.qemu}/status", encoding="ascii") as file:
            self.assertRegex(file.read(), r"Seccomp:\s+2")
        self.assert_pauses_and_resumes(vm, disk)
        self.wait_writing(disk)
        self.does("attach", "vm", "disk", more)
        self.assertTrue(procfs.fd_locks(vm.qemu, more), "it is to be planted in QEMU")
        self.assert_pauses_and_resumes(vm, more)

    # --- others who have a hand in it ---

    def test_gdb_stops_and_resumes_under_locks(self):
        disk, path = self.guest("writer", writer="me"), self.dir / "gdb.sock"
        vm = self.running("vm", *self.drive(disk), "-chardev", f"socket,id=g,path={path},{SOCKET}",
                          "-gdb", "chardev:g")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            vm.wait_state(run="paused", lock="held")
            self.assert_says("-gdb chardev:g: a debugger", vm.status()["held_because"])
            self.assert_held(disk)
            client.sendall(b"$c#63")
            vm.wait_state(run="running", lock="held")
            self.wait_writing(disk)

    def test_accel_qtest_and_qtest_go_to_qemu_as_they_are(self):
        words = ("-accel", "qtest", "-S")
        if self.bare(*words, timeout=3) is not None:  # a QEMU that was built without it
            self.assert_ends_as_bare(*words)
        disk, path = self.guest("halt"), self.dir / "qtest.sock"
        vm = self.running("vm", *self.drive(disk), "-qtest", f"unix:{path},{SOCKET}")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.settimeout(10)
            client.sendall(b"inb 0x64\n")
            self.assertRegex(client.recv(100), b"OK 0x")
        self.assert_keeps_its_locks(vm, disk, "a test driver can write to the disks")

    def test_only_migratable_is_qemus_to_refuse(self):
        disk = self.guest("writer", writer="me")
        nvme = ("-drive", f"file={disk},format=raw,if=none,id=d", "-device", "nvme,serial=1,drive=d")
        self.assertEqual(self.assert_ends_as_bare("-only-migratable", *nvme).status, 1)
        vm = self.running("vm", *self.drive(disk), "-only-migratable")
        self.assert_pauses_and_resumes(vm, disk)

    def test_snapshot_shares_its_base_with_other_readers(self):
        disk = self.guest("writer", writer="me")
        one = self.running("one", *self.drive(disk), "-snapshot")
        self.running("two", *self.drive(disk), "-snapshot")
        self.refused(75, "writer", *self.drive(disk))
        self.does("pause", "one")
        self.does("resume", "one")
        one.wait_state(run="running", lock="held")
        self.does("pause", "one", "two")
        self.assert_free(disk)
        self.assertEqual(self.counter(disk)[1], 0, "nothing goes into the base")


class AsChild(Options, VmTest):
    def with_snapshot(self):
        """A qcow2 with the snapshot 'then', and behind it more writing of the guest: (image, its count then, now)."""
        image = self.qcow2("disk.qcow2", source=self.guest("writer", writer="me"))
        path, monitor = self.user_qmp()
        vm = self.running("maker", *self.drive(image, form="qcow2"), *monitor)
        qmp = self.qmp(path)
        wait_for("the guest does not write", lambda: qmp.command("query-blockstats")[0]["stats"]["wr_operations"] > 3)
        qmp.command("stop")
        self.assertEqual(qmp.command("human-monitor-command", command_line="savevm then"), "")
        qmp.command("cont")
        before = qmp.command("query-blockstats")[0]["stats"]["wr_operations"]
        wait_for("the guest does not go on",
                 lambda: qmp.command("query-blockstats")[0]["stats"]["wr_operations"] > before + 50)
        self.stop(vm)
        path.unlink(missing_ok=True)
        return image, self.count_in(image, "-l", "then"), self.count_in(image)

    def count_in(self, image, *which):
        raw = self.dir / "raw"
        subprocess.run(["qemu-img", "convert", "-q", "-U", *which, "-f", "qcow2", "-O", "raw", image, raw], check=True)
        return self.counter(raw)[1]

    def test_loadvm_goes_on_from_the_snapshot_under_locks(self):
        image, then, now = self.with_snapshot()
        self.assertLess(then, now)
        with locks.Held(image):
            self.refused(75, "vm", *self.drive(image, form="qcow2"), "-loadvm", "then")
        self.assertEqual(self.count_in(image), now, "it was not touched")
        vm = self.running("vm", *self.drive(image, form="qcow2"), "-loadvm", "then", "-S",
                          run=("prelaunch", "paused"), lock=("held", "released"))
        self.assertEqual(self.count_in(image), then, "QEMU has put the disk back before the guest runs")
        self.does("resume", "vm")
        self.assert_held(image)
        self.refused(75, "second", *self.drive(image, form="qcow2"), "-loadvm", "then")
        def goes_on():  # what a paused VM gives back is written out, qcow2's tables, too
            self.does("pause", "vm")
            count = self.count_in(image)
            self.assert_free(image)
            self.does("resume", "vm")
            return count > then
        wait_for("the guest does not go on", goes_on)
        self.stop(vm)
        vm = self.running("vm", *self.drive(image, form="qcow2"), "-loadvm", "then")
        self.assert_held(image)
        self.assertEqual(vm.status()["pinned"], [])


class InPlace(Options, InPlaceTest):
    pass


if __name__ == "__main__":
    main()
