# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a pause back to running: by us, by force, and behind our back."""

import hashlib
import os
import signal

import locks
import procfs
from deadline import wait_for
from faketest import FakeTest, main
from qmp import QmpError

LOCK_ERROR = 'Failed to get "write" lock'


class Cont(FakeTest):
    def test_that_qemu_refuses_leaves_it_paused_and_held_and_a_later_one_works(self):
        vm = self.released()
        vm.fake.tell(f"on cont error GenericError {LOCK_ERROR}")
        result = self.vmlatch("resume", "vm")
        self.assertNotEqual(result.status, 0)
        self.assert_says(LOCK_ERROR, result.err)
        seen = self.assert_stays_held(vm, LOCK_ERROR, run="paused")
        self.assertEqual(seen["cause"], "user")
        vm.fake.tell("forget cont")
        self.does("resume", "vm")
        self.assertNotIn("held_because", vm.status())
        self.assertEqual(vm.fake.unlocked(), [])

    def test_that_qemu_takes_and_does_not_obey_leaves_it_held(self):
        for state in ("suspended", "inmigrate"):
            with self.subTest(state):
                vm = self.released(state)
                vm.fake.tell("on cont reply {}", f"status {state}")
                result = self.vmlatch("resume", state)
                self.assertNotEqual(result.status, 0)
                self.assert_stays_held(vm, f"'{state}'")

    def test_that_a_migrations_target_has_noted_is_taken_back_by_a_pause(self):
        vm = self.running("vm", "-incoming", "defer", *self.drive(self.disk("vm.raw")), run="inmigrate",
                          lock="registered")
        vm.fake.tell("on cont reply {}", "status inmigrate")
        self.assertNotEqual(self.vmlatch("resume", "vm").status, 0)
        self.assertNotIn("stop", vm.fake.commands())
        self.vmlatch("pause", "vm")
        self.assertIn("stop", vm.fake.commands())

    def test_that_failed_half_way_is_never_followed_by_a_release(self):
        # which images QEMU has active is not known: neither a second deactivation nor a release is safe
        vm = self.released()
        vm.fake.tell(f"once cont error GenericError {LOCK_ERROR}")
        self.assertNotEqual(self.vmlatch("resume", "vm").status, 0)
        result = self.vmlatch("pause", "vm")
        self.assertNotEqual(result.status, 0, result)
        self.assert_stays_held(vm, "not known")
        self.assertEqual(vm.fake.commands().count("xen-save-devices-state"), 1)
        self.does("resume", "vm")
        self.does("pause", "vm")
        self.assertEqual(vm.fake.commands().count("xen-save-devices-state"), 2)
        self.assert_free(vm.disk)

    def test_without_a_resume_event_counts_as_running_and_is_deactivated_anew(self):
        vm = self.released()
        vm.fake.tell("once cont status running", "once cont reply {}")
        self.does("resume", "vm")
        self.assertFalse(vm.status()["deactivated"])
        self.does("pause", "vm")
        self.assertEqual(vm.fake.commands().count("xen-save-devices-state"), 2)

    def test_and_a_release_that_wait_for_the_same_drain_do_not_cost_each_other_their_turn(self):
        vm = self.one_disk()
        with self.control("vm") as first, self.control("vm") as second:
            first.command("vmlatch-status")
            second.command("vmlatch-status")
            vm.fake.tell("once query-status delay-ms 300",
                         "once query-jobs error GenericError out of order")
            self.stop_by_itself(vm)
            vm.fake.wait_command("query-status", 2)
            first.send("vmlatch-release")
            second.send("cont")
            first.answer()
            second.answer()
        vm.wait_state(run="running", lock="held")
        self.assertEqual(vm.fake.unlocked(), [])


class GraphThatDoesNotFit(FakeTest):
    """What is locked for the first time is compared with QEMU's block graph before the guest runs."""

    def test_gives_the_locks_back_and_runs_for_nobody_who_waits(self):
        disk = self.disk("vm.raw")
        vm = self.running("vm", "-incoming", "defer", *self.drive(disk), run="inmigrate", lock="registered")
        vm.fake.tell("on query-named-block-nodes delay-ms 500",
                     "on query-named-block-nodes error GenericError no graph for you")
        first, second = self.in_background("resume", "vm"), self.in_background("resume", "vm")
        for client in (first, second):
            status, err = self.finished(client)
            self.assertNotEqual(status, 0)
            self.assert_says("no graph for you", err)
        self.assertNotIn("cont", vm.fake.commands())
        self.assert_free(disk)
        vm.fake.tell("forget query-named-block-nodes")
        self.does("resume", "vm")
        self.assert_held(disk)

    def test_counts_a_lock_that_cannot_be_planted(self):
        disk = self.disk("vm.raw")
        vm = self.running("vm", "-incoming", "defer", *self.drive(disk), run="inmigrate", lock="registered")
        vm.fake.tell("on getfd error GenericError no room")
        result = self.vmlatch("resume", "vm")
        self.assertNotEqual(result.status, 0, "the lock would not live as long as QEMU")
        self.assert_says("no room", result.err)
        self.assertNotIn("cont", vm.fake.commands())
        self.assert_free(disk)

    def test_never_runs_where_the_lock_cannot_be_given_back(self):
        # a monitor that is not ours: what was refused is held, and stays so
        disk, busy = self.disk("vm.raw"), self.disk("busy.raw")
        with open(busy, "r+b") as opened, self.other_holds(busy):
            os.set_inheritable(opened.fileno(), True)
            vm = self.running("vm", "-incoming", "defer", *self.drive(disk), "-qmp",
                              f"unix:{self.dir}/mine,server=on,wait=off", run="inmigrate",
                              lock="registered", pass_fds=(opened.fileno(),))
            vm.disk = disk
            vm.fake.tell('on query-named-block-nodes reply [{"node-name": "n", "drv": "file", "ro": false,'
                         f' "file": "{busy}"}}]')
            for attempt in ("the first", "once more"):
                with self.subTest(attempt):
                    self.assert_says("busy.raw is in use", self.fails(75, "resume", "vm"))
                    self.assert_stays_held(vm, "busy.raw")
                    self.assertEqual(vm.status()["cause"], "lock-busy")
                    self.assertNotIn("cont", vm.fake.commands())
        self.does("resume", "vm")
        self.assert_held(busy)

    def test_is_planted_before_it_runs_where_that_had_failed(self):
        disk = self.disk("vm.raw")
        vm = self.running("vm", "-incoming", "defer", *self.drive(disk), "-qmp",
                          f"unix:{self.dir}/mine,server=on,wait=off", run="inmigrate", lock="registered")
        vm.fake.tell("on getfd error GenericError no room")
        self.assert_says("no room", self.fails(69, "resume", "vm"))
        self.assertNotIn("cont", vm.fake.commands())
        vm.fake.tell("forget getfd")
        self.does("resume", "vm")
        commands = vm.fake.commands()
        self.assertEqual(commands[commands.index("cont") - 2:][:3],
                         ["getfd", "query-named-block-nodes", "cont"])


class Stale(FakeTest):
    def test_is_refused_and_force_overrides_it_once(self):
        vm = self.released()
        self.write_to(vm.disk)
        result = self.vmlatch("resume", "vm")
        self.assert_says("written without vmlatch", result.err)
        self.assert_free(vm.disk)
        self.does("resume", "vm", "--force-stale")
        self.does("pause", "vm")
        self.write_to(vm.disk)
        self.assertNotEqual(self.vmlatch("resume", "vm").status, 0)
        self.assertEqual(vm.status()["cause"], "stale")
        self.assertEqual(vm.fake.unlocked(), [])

    def test_force_on_a_vm_that_holds_its_locks_is_not_kept_for_later(self):
        vm = self.one_disk()
        with self.control("vm") as client:
            client.command("vmlatch-acquire", force_stale=True)
        self.does("pause", "vm")
        self.write_to(vm.disk)
        with self.control("vm") as client, self.assertRaisesRegex(QmpError, "VmlatchStale"):
            client.command("cont")
        self.assertEqual(vm.status()["lock_state"], "released")


class BehindOurBack(FakeTest):
    def resumes(self, vm):
        vm.fake.tell("status running", "event RESUME", wait=False)

    def test_with_free_disks_it_is_frozen_until_they_are_locked(self):
        vm = self.released()
        self.resumes(vm)
        vm.wait_state(run="running", lock="held")
        self.assert_held(vm.disk)
        wait_for("QEMU stays frozen", lambda: not procfs.is_stopped(vm.qemu))
        self.assertFalse(vm.status()["frozen"])

    def test_with_a_busy_disk_it_stays_frozen_until_a_resume(self):
        vm = self.released()
        with self.other_holds(vm.disk):
            self.resumes(vm)
            self.wait_frozen(vm)
            seen = self.settled(vm, lock="released")
            self.assertEqual(seen["cause"], "lock-busy")
            self.assertTrue(seen["frozen"])
            self.assertTrue(seen["remedy"])
            result = self.vmlatch("resume", "vm")
            self.assertEqual(result.status, 75, result)
            self.assertTrue(procfs.is_stopped(vm.qemu))
        self.does("resume", "vm")
        wait_for("QEMU stays frozen", lambda: not procfs.is_stopped(vm.qemu))
        self.assert_held(vm.disk)

    def test_with_a_stale_disk_it_stays_frozen(self):
        vm = self.released()
        self.write_to(vm.disk)
        self.resumes(vm)
        self.wait_frozen(vm)
        wait_for("no cause", lambda: vm.status()["cause"] == "stale")
        self.assertNotEqual(self.vmlatch("resume", "vm").status, 0)
        self.assertTrue(procfs.is_stopped(vm.qemu))

    def test_with_a_busy_disk_and_poweroff_it_is_killed(self):
        vm = self.released(options=("--on-lock-failure", "poweroff"))
        with self.other_holds(vm.disk):
            self.resumes(vm)
            self.assertEqual(vm.wait_end(), 76)
        self.assert_nothing_left(vm)

    def test_frozen_it_is_ended_by_sigterm(self):
        vm = self.released()
        with self.other_holds(vm.disk):
            self.resumes(vm)
            self.wait_frozen(vm)
            vm.signal(signal.SIGTERM)
            self.assertEqual(vm.wait_end(), 0)
        self.assert_nothing_left(vm)


class AnotherName(FakeTest):
    def test_that_came_while_released_goes_alone(self):
        vm = self.released()
        other = self.dir / "other.raw"
        os.link(vm.disk, other)
        self.does("attach", "vm", "disk", other)
        self.does("detach", "vm", "disk", other)
        self.assertEqual([each["path"] for each in vm.status()["resources"]], [str(vm.disk)])
        self.write_to(vm.disk)
        self.assert_says("written without vmlatch", self.fails(75, "resume", "vm"))


class WhileItIsChecked(FakeTest):
    """Held again, and QEMU is given what is new and asked what it has open: a RESUME in between."""

    def resumed(self, vm, command):
        vm.fake.tell(f"once {command} status running", f"once {command} event RESUME",
                     f"once {command} delay-ms 300")

    def test_it_goes_on_under_its_locks_and_gets_what_is_new(self):
        vm = self.released()
        more = self.disk("more.raw")
        self.does("attach", "vm", "disk", more)
        self.resumed(vm, "getfd")
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        self.assertFalse(vm.status()["frozen"])
        wait_for("no life line was planted", lambda: any(
            lock.start == locks.BYTE for lock in procfs.fd_locks(vm.qemu, more)))
        for path in (vm.disk, more):
            self.assert_held(path)
        self.assertEqual(vm.fake.unlocked(), [])
        self.does("pause", "vm")
        self.assert_free(more)

    def test_a_life_line_that_cannot_be_planted_pins_it(self):
        vm = self.released()
        self.does("attach", "vm", "disk", self.disk("more.raw"))
        self.resumed(vm, "getfd")
        vm.fake.tell("on getfd error GenericError no room")
        self.does("resume", "vm")
        wait_for("not pinned", lambda: "no room" in vm.status()["pinned"])
        vm.wait_state(run="running", lock="held")

    def test_a_new_lock_file_that_could_not_be_planted_is_planted_by_the_next_resume(self):
        path, space = self.disk("vm.raw"), self.dir / "space"
        space.mkdir(mode=0o700)
        vm = self.running("vm", *self.drive(path), options=["--lockspace", space])
        self.does("pause", "vm")
        file = space / hashlib.sha256(str(path).encode()).hexdigest()
        file.unlink()
        vm.fake.tell("on getfd error GenericError no room")
        self.assertNotEqual(self.vmlatch("resume", "vm", "--force-stale").status, 0)
        vm.fake.tell("forget getfd")
        self.does("resume", "vm", "--force-stale")
        vm.wait_state(run="running", lock="held")
        self.assertTrue(any(lock.start == locks.BYTE for lock in procfs.fd_locks(vm.qemu, file)),
                        "the lock would end with the supervisor")

    def test_a_qemu_that_does_not_answer_is_told_of_meanwhile(self):
        vm = self.released()
        self.does("attach", "vm", "disk", self.disk("more.raw"))
        vm.fake.tell("on getfd ignore")
        self.in_background("resume", "vm")
        seen = vm.wait_state(lock="acquiring")
        wait_for("status does not say why", lambda: "has not said yet" in vm.status().get("held_because", ""))
        self.assert_says("has not said yet that it has the locks", self.vmlatch("status", "vm").out)
        self.assertEqual(seen["run_state"], "paused")

    def test_an_image_that_somebody_else_has_freezes_it(self):
        path, busy = self.disk("vm.raw"), self.disk("busy.raw")
        with open(busy, "r+b") as opened, self.other_holds(busy):
            os.set_inheritable(opened.fileno(), True)
            vm = self.running("vm", "-incoming", "defer", *self.drive(path), run="inmigrate",
                              lock="registered", pass_fds=(opened.fileno(),))
            self.resumed(vm, "query-named-block-nodes")
            vm.fake.tell('on query-named-block-nodes reply [{"node-name": "n", "drv": "file", "ro": false,'
                         f' "file": "{busy}"}}]')
            resume = self.in_background("resume", "vm")
            self.wait_frozen(vm)
            seen = self.settled(vm, lock="lost")
            self.finished(resume)
            self.assert_says("busy.raw", seen["cause_detail"])
            vm.signal(signal.SIGTERM)
            self.assertEqual(vm.wait_end(), 0)


class Detach(FakeTest):
    def test_never_follows_from_an_attach_that_failed(self):
        # the VM's own disk again; QEMU refuses the lock's descriptor
        vm = self.one_disk()
        vm.fake.tell("on getfd error GenericError no room")
        with self.control("vm") as client:
            try:
                client.command("vmlatch-attach", kind="disk", path=str(vm.disk))
            except QmpError as error:
                self.assertIn("no room", error.text)
        self.assert_held(vm.disk)
        self.assertEqual(len(vm.status()["resources"]), 1)

    def test_follows_from_an_attach_of_another_disk_that_failed(self):
        vm = self.one_disk()
        more = self.disk("more.raw")
        vm.fake.tell("on getfd error GenericError no room")
        result = self.vmlatch("attach", "vm", "disk", more)
        self.assertNotEqual(result.status, 0)
        self.assert_says("no room", result.err)
        self.wait_free(more)
        self.assert_held(vm.disk)
        self.assertEqual(len(vm.status()["resources"]), 1)


if __name__ == "__main__":
    main()
