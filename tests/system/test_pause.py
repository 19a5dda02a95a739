# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pause gives the disk back: after the last write, and so that another VM can really use it."""

import os
import subprocess
import time

import locks
from deadline import STEP, TIMEOUT, wait_for
from vmtest import RELEASE_ALL, Follower, VmTest, main, need_root

SLOW = "throttling.iops-write=1"


class ByTheUser(VmTest):
    writer_rests = False

    def test_frees_the_disk_and_resume_takes_it_again(self):
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk))
        self.wait_writing(disk)
        self.does("pause", "vm")
        self.assert_free(disk)
        status = vm.status()
        self.assertEqual((status["run_state"], status["lock_state"], status["cause"]),
                         ("paused", "released", "user"))
        count = self.counter(disk)[1]
        self.does("resume", "vm")
        self.assert_held(disk)
        self.wait_writing(disk)
        self.assertGreater(self.counter(disk)[1], count, "the guest went on, it did not start anew")

    def test_twice_is_harmless_and_so_is_resume_twice(self):
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk))
        for verb, free in (("pause", True), ("resume", False)):
            for _ in range(2):
                self.does(verb, "vm")
                self.assertEqual(locks.is_free(disk), free, f"after {verb}")
        vm.wait_state(run="running", lock="held")
        self.wait_writing(disk)

    def test_lets_another_vm_really_run_from_the_disk(self):
        for form in ("raw", "qcow2"):
            with self.subTest(form):
                disk = self.guest("counter", f"{form}.img")
                if form == "qcow2":
                    disk = self.qcow2("disk.qcow2", source=disk)
                first = self.running(f"first-{form}", *self.drive(disk, form=form))
                self.does("pause", first.name)
                second = self.running(f"second-{form}", *self.drive(disk, form=form))
                self.assert_held(disk)
                before = disk.stat().st_mtime_ns
                wait_for("the second guest writes", lambda: disk.stat().st_mtime_ns != before)
                second.signal(15)
                self.assertEqual(second.wait_end(), 0, second.err)
                said = self.fails(75, "resume", first.name)
                self.assert_says(str(disk), said)
                self.assertEqual(first.status()["cause"], "stale")
                if form == "qcow2":
                    subprocess.run(["qemu-img", "check", "-q", disk], check=True)

    def test_by_another_monitor_releases_where_the_user_forced_it(self):
        disk, socket = self.guest("writer"), self.dir / "mine.sock"
        vm = self.start("vm", *self.drive(disk), "-qmp", f"unix:{socket},server=on,wait=off",
                        options=RELEASE_ALL)
        mine = self.qmp(socket)
        vm.wait_state(run="running", lock="held")
        mine.command("stop")
        vm.wait_state(run="paused", lock="released")
        self.assert_free(disk)

    def test_with_release_on_none_keeps_the_locks(self):
        disk = self.guest("halt")
        self.running("vm", *self.drive(disk), options=["--release-on", "none"])
        self.fails(69, "pause", "vm")
        self.assert_held(disk)

    def test_without_deactivation_frees_a_raw_disk_but_never_a_qcow2(self):
        raw = self.guest("halt", "raw.img")
        qcow2 = self.qcow2("disk.qcow2")
        self.running("raw", *self.drive(raw), options=["--deactivate", "no"])
        self.does("pause", "raw")
        self.assert_free(raw)
        vm = self.running("qcow2", *self.drive(qcow2, form="qcow2"),
                          options=["--deactivate", "no"])
        self.vmlatch("pause", "qcow2")
        self.assertTrue(vm.wait_state(run="paused", lock="held")["held_because"])
        self.assert_held(qcow2)

    def test_shorter_than_release_after_never_frees_the_disk(self):
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk), options=["--release-after", "3"])
        events = Follower(self, "vm")
        control = self.control("vm")
        control.command("stop")
        vm.wait_state(run="paused", lock="held")
        control.command("cont")
        self.wait_writing(disk)
        control.command("stop")
        began = time.monotonic()
        events.wait_lock_state("released")
        self.assertGreater(time.monotonic() - began, 2)
        self.assertEqual(events.lock_states().count("released"), 1)


class Drain(VmTest):
    """From the moment the disk can be had not one write of the guest lands."""
    writer_rests = False

    def take_when_free(self, disk):
        """Try to take the disk for as long as it takes, as a rival would."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            with locks.Held(disk) as byte, locks.Held(disk, locks.GUARD) as guard:
                if byte.got and guard.got:
                    return self.content_stays(disk)
        self.fail("the disk never became free")

    def content_stays(self, disk):
        first, content, end = self.counter(disk), disk.read_bytes(), time.monotonic() + 1.5
        while time.monotonic() < end:
            self.assertEqual(self.counter(disk), first, "a write landed after the release")
            time.sleep(STEP)
        self.assertEqual(disk.read_bytes(), content, "a write landed after the release")
        return first

    def check(self, *drive_options):
        disk = self.guest("writer", writer="drained")
        vm = self.running("vm", *self.drive(disk, *drive_options))
        self.wait_writing(disk)
        self.control("vm").send("stop")
        name, count = self.take_when_free(disk)
        self.assertEqual((name, count > 0), ("drained", True))
        vm.wait_state(lock="released")
        # ours came and went without a write: nothing is stale
        self.does("resume", "vm")
        self.wait_writing(disk)

    def test_is_over_when_the_disk_is_free(self):
        self.check()

    def test_is_over_when_the_disk_is_free_with_slow_storage(self):
        self.check(SLOW)

    def test_is_over_when_the_disk_is_free_with_threads_and_a_write_cache(self):
        self.check("aio=threads,cache=writeback")

    def test_is_over_when_a_watchdog_stopped_the_guest_while_it_wrote(self):
        disk = self.guest("wdcounter")
        self.running("vm", *self.drive(disk), "-device", "ib700", "-watchdog-action", "pause")
        self.take_when_free(disk)

    def test_is_over_when_released_is_announced(self):
        disk = self.guest("writer")
        self.running("vm", *self.drive(disk))
        self.wait_writing(disk)
        events = Follower(self, "vm")
        self.control("vm").send("stop")
        events.wait_lock_state("released")
        self.content_stays(disk)


class Causes(VmTest):
    """Why the guest stopped is told, and whether the locks come back follows from it."""

    def test_watchdog_releases_and_is_the_cause(self):
        disk = self.guest("ib700")
        vm = self.running("vm", *self.drive(disk), "-device", "ib700", "-watchdog-action", "pause")
        status = vm.wait_state(run="watchdog", lock="released")
        self.assertEqual(status["cause"], "watchdog")
        self.assert_free(disk)

    def test_watchdog_does_not_release_where_only_stop_may(self):
        disk = self.guest("ib700")
        vm = self.running("vm", *self.drive(disk), "-device", "ib700", "-watchdog-action", "pause",
                          options=["--release-on", "stop"])
        self.assertTrue(vm.wait_state(run="watchdog")["held_because"])
        self.assert_held(disk)

    def test_io_error_releases_and_resume_writes_again(self):
        disk, boot = self.disk("data.raw"), self.guest("write1")
        disk.write_bytes(boot.read_bytes())
        blkdebug = ('{"driver":"blkdebug","node-name":"bd","inject-error":[{"event":"none","errno":5,'
                    '"once":true,"iotype":"write"}],"image":{"driver":"file","filename":"%s"}}' % disk)
        vm = self.running("vm", "-blockdev", blkdebug, "-device", "ide-hd,drive=bd,werror=stop",
                          run=("running", "io-error"), lock=("held", "released"))
        status = vm.wait_state(run="io-error", lock="released")
        self.assertEqual(status["cause"], "io-error")
        self.assert_says("bd", status["cause_detail"])
        self.assert_free(disk)
        self.does("resume", "vm")
        wait_for("the write is repeated", lambda: disk.read_bytes()[4096:4100] == b"\xa5\x5a" * 2)

    def test_full_storage_releases_and_room_made_meanwhile_is_not_stale(self):
        need_root()
        small = self.dir / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=True)
        data = small / "data.raw"
        data.write_bytes(b"")
        with open(data, "r+b") as file:
            file.truncate(4 << 20)
        vm = self.running("vm", *self.drive(self.guest("write80"), "index=0"),
                          *self.drive(data, "index=1"), run=("running", "io-error"),
                          lock=("held", "released"))
        status = vm.wait_state(run="io-error", lock="released")
        self.assertEqual(status["cause"], "io-error")
        self.assert_says("ide0-hd1.*[Ss]pace", status["cause_detail"])
        self.assert_free(data)
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")

    def test_shutdown_with_no_shutdown_releases(self):
        disk = self.guest("poweroff_acpi")
        vm = self.running("vm", *self.drive(disk), "-no-shutdown", run=("running", "shutdown"),
                          lock=("held", "released"))
        status = vm.wait_state(run="shutdown", lock="released")
        self.assertEqual(status["cause"], "shutdown")
        self.assert_free(disk)

    def test_panic_with_panic_pause_releases(self):
        disk = self.guest("pvpanic")
        vm = self.running("vm", *self.drive(disk), "-device", "pvpanic", "-action", "panic=pause",
                          run=("running", "guest-panicked"), lock=("held", "released"))
        status = vm.wait_state(run="guest-panicked", lock="released")
        self.assertEqual(status["cause"], "guest-panic")
        self.assert_free(disk)

    def test_reset_changes_nothing(self):
        disk = self.guest("reset")
        self.running("vm", *self.drive(disk))
        events = Follower(self, "vm")
        for _ in range(3):
            events.wait("RESET")
        self.assert_held(disk)
        self.assertNotIn("released", events.lock_states())

    def test_suspend_never_releases_and_wakeup_goes_on(self):
        disk, socket = self.guest("s3"), self.dir / "mine.sock"
        vm = self.start("vm", *self.drive(disk), "-qmp", f"unix:{socket},server=on,wait=off",
                        options=RELEASE_ALL)
        vm.wait_state(run="suspended", lock="held")
        self.vmlatch("pause", "vm")
        self.assert_held(disk)
        mine = self.qmp(socket)
        mine.command("system_wakeup")
        mine.wait_event("WAKEUP")
        self.assert_held(disk)

    def test_savevm_never_releases(self):
        disk, socket = self.qcow2("disk.qcow2", source=self.guest("writer")), self.dir / "mine.sock"
        vm = self.start("vm", *self.drive(disk, form="qcow2"),
                        "-qmp", f"unix:{socket},server=on,wait=off", options=RELEASE_ALL)
        mine = self.qmp(socket)
        vm.wait_state(run="running", lock="held")
        events = Follower(self, "vm")
        mine.hmp("savevm first")
        events.wait("RESUME")
        self.assertNotIn("released", events.lock_states())
        vm.wait_state(run="running", lock="held")
        self.assert_held(disk)


class Renamed(VmTest):
    def test_disk_is_not_given_back_and_the_guest_can_go_on(self):
        # deactivated, QEMU would look for it by its name
        disk = self.guest("writer")
        self.running("vm", *self.drive(disk))
        moved = disk.with_suffix(".moved")
        os.rename(disk, moved)
        self.images.append(moved)
        for replaced in (False, True):
            with self.subTest(replaced=replaced):
                if replaced:
                    self.guest("writer", writer="other")
                result = self.vmlatch("pause", "vm")
                self.assertNotEqual(result.status, 0)
                self.assert_says("renamed or replaced", result.err)
                self.assert_held(moved)
                self.does("resume", "vm")
                self.wait_writing(moved)
                self.assert_held(moved)

    def test_disk_of_a_snapshot_start_may_be_given_back(self):
        # its temporary overlay has no name, and needs none
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk), "-snapshot")
        self.does("pause", "vm")
        self.assert_free(disk)
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")


if __name__ == "__main__":
    main()
