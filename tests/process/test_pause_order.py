# SPDX-License-Identifier: LGPL-2.1-or-later
"""From STOP to the release: what is asked, in which order, and what keeps the locks."""

import os
import signal
import time

from deadline import wait_for
from faketest import DRAIN, QUESTIONS, STOP, FakeTest, main

# facts.md: QEMU leaves these by itself
NEVER_IN = ("finish-migrate", "save-vm", "restore-vm", "debug", "colo", "suspended", "inmigrate")
CAUSES = {"paused": "user", "io-error": "io-error", "watchdog": "watchdog",
          "guest-panicked": "guest-panic", "internal-error": "unknown", "shutdown": "shutdown",
          "prelaunch": "user", "postmigrate": "migration"}


class Order(FakeTest):
    def test_of_a_release_is_barrier_jobs_exports_migration_deactivation_barrier(self):
        vm = self.one_disk()
        before = len(vm.fake.commands())
        self.stop_by_itself(vm)
        vm.wait_state(lock="released")
        self.assertEqual(vm.fake.commands(before), DRAIN)
        self.assert_free(vm.disk)

    def test_holds_the_locks_at_every_step_of_a_release(self):
        path = self.disk("disk.raw")
        vm = self.running("vm", *self.drive(path),
                          script=[f"on {command} probe {path}" for command in sorted(set(DRAIN))])
        before = len(vm.fake.log())
        self.does("pause", "vm")
        probes = [entry["locked"] for entry in vm.fake.log()[before:] if "probe" in entry]
        self.assertEqual(probes, [[0, 2]] * len(DRAIN))
        self.assert_free(path)

    def test_of_a_pause_by_a_user_is_stop_and_then_the_same(self):
        vm = self.one_disk()
        before = len(vm.fake.commands())
        self.does("pause", "vm")
        self.assertEqual(vm.fake.commands(before), ["stop", *DRAIN])

    def test_of_a_release_has_one_deactivation_a_pause_even_if_qemu_refuses_it(self):
        # how far QEMU has come with it is not known, and a second one may abort it
        vm = self.one_disk()
        command = "xen-save-devices-state"
        vm.fake.tell(f"once {command} error GenericError not now", *STOP)
        self.assert_stays_held(vm, f"{command}: not now")
        for _ in range(2):
            self.assertNotEqual(self.vmlatch("pause", "vm").status, 0)
            vm.fake.tell("event JOB_STATUS_CHANGE {}", "event STOP")
            self.assert_stays_held(vm, "not known")
        self.assertEqual(vm.fake.commands().count(command), 1)
        self.does("resume", "vm")
        self.does("pause", "vm")
        self.assertEqual(vm.fake.commands().count(command), 2, "the next pause's")
        self.assert_free(vm.disk)

    def test_that_never_ends_is_told_meanwhile(self):
        vm = self.one_disk()
        vm.fake.tell("on query-status ignore")
        self.stop_by_itself(vm)
        wait_for("status does not tell", lambda: vm.status().get("held_because"))
        self.assert_says("last write is not done", vm.status()["held_because"])
        self.assert_says("last write is not done", self.vmlatch("status", "vm").out)
        self.assert_held(vm.disk)

    def test_of_a_resume_is_a_look_at_what_qemu_will_open_and_cont(self):
        vm = self.released()
        before = len(vm.fake.commands())
        self.does("resume", "vm")
        self.assertEqual(vm.fake.commands(before)[:2], ["query-named-block-nodes", "cont"])
        self.assertNotIn("xen-save-devices-state", vm.fake.commands(before))
        self.assert_held(vm.disk)
        self.assertEqual(vm.fake.unlocked(), [])


class SpuriousStop(FakeTest):
    def test_with_its_resume_releases_nothing(self):
        vm = self.one_disk()
        vm.fake.tell("event STOP", "event RESUME")
        vm.wait_state(run="running", lock="held")
        self.assertNotIn("xen-save-devices-state", vm.fake.commands())
        self.assert_held(vm.disk)

    def test_whose_barrier_says_running_releases_nothing(self):
        vm = self.one_disk()
        before = len(vm.fake.commands())
        vm.fake.tell("event STOP")
        vm.fake.wait_command("query-status", 2)
        vm.wait_state(run="running", lock="held")
        self.assertEqual(vm.fake.commands(before), QUESTIONS)
        self.assert_held(vm.disk)

    def test_that_ends_while_it_is_deactivated_releases_nothing(self):
        # 'cont' on a monitor that we do not see, in the middle of it
        vm = self.one_disk(script=["once xen-save-devices-state status running",
                                   "once xen-save-devices-state reply {}"])
        self.stop_by_itself(vm)
        vm.fake.wait_command("xen-save-devices-state")
        vm.wait_state(lock="held")
        self.assert_held(vm.disk)
        self.assertEqual(vm.fake.unlocked(), [])


class Barrier(FakeTest):
    def hanging(self):
        vm = self.one_disk()
        vm.fake.tell("on query-status ignore")
        self.stop_by_itself(vm)
        vm.fake.wait_command("query-status", 2)
        return vm

    def test_that_hangs_keeps_the_locks_and_holds_back_cont(self):
        vm = self.hanging()
        resume = self.in_background("resume", "vm")
        time.sleep(0.3)  # nothing may come of it, whatever time passes
        self.assertEqual(vm.status()["lock_state"], "held")
        self.assertEqual(vm.fake.commands().count("cont"), 1, "the one of the start")
        self.assertIsNone(resume.poll(), "it waits")
        self.assert_held(vm.disk)
        resume.kill()
        self.finished(resume)

    def test_that_hangs_does_not_keep_sigterm_from_ending_the_vm(self):
        vm = self.hanging()
        vm.signal(signal.SIGTERM)
        self.assertEqual(vm.wait_end(), 0)
        self.assertEqual(vm.fake.signals(), ["SIGTERM"])
        self.assert_nothing_left(vm)

    def test_of_a_qemu_that_hangs_is_ended_by_the_second_sigterm(self):
        vm = self.one_disk(script=["once stop hang"])
        pause = self.in_background("pause", "vm")
        vm.fake.wait_command("stop")
        vm.signal(signal.SIGTERM)
        wait_for("QEMU has not seen SIGTERM", lambda: vm.fake.signals() == ["SIGTERM"])
        self.assertIsNone(vm.process.poll())
        self.assert_held(vm.disk)
        vm.signal(signal.SIGTERM)
        self.assertEqual(vm.wait_end(), 0)
        self.assert_nothing_left(vm)
        self.assertNotEqual(self.finished(pause)[0], 0)


class State(FakeTest):
    def test_that_qemu_leaves_by_itself_keeps_the_locks(self):
        vm = self.one_disk()
        for state in NEVER_IN:
            with self.subTest(state):
                before = len(vm.fake.commands())
                self.stop_by_itself(vm, state)
                seen = self.assert_stays_held(vm, f"'{state}'", run=state)
                self.assertEqual(vm.fake.commands(before), QUESTIONS)
                self.assertEqual(seen["cause"], "unknown")
                vm.fake.tell("status running", "event RESUME")
                vm.wait_state(run="running", lock="held")

    def test_that_nobody_has_heard_of_keeps_the_locks(self):
        vm = self.one_disk()
        self.stop_by_itself(vm, "brand-new-state")
        self.assert_stays_held(vm, "brand-new-state")

    def test_that_lasts_releases_with_its_cause(self):
        vm = self.one_disk()
        for state, cause in CAUSES.items():
            with self.subTest(state):
                self.stop_by_itself(vm, state)
                seen = self.settled(vm, run=state, lock="released")
                self.assertEqual(seen["cause"], cause)
                self.assertTrue(seen["remedy"])
                self.assertTrue(seen["cause_since"])
                self.assert_free(vm.disk)
                vm.fake.tell("forget query-status", "status paused")
                self.does("resume", "vm")
                self.assertEqual(vm.status()["cause"], "none")

    def test_that_has_changed_to_a_passing_one_behind_the_first_barrier_keeps_the_locks(self):
        vm = self.one_disk(script=["once xen-save-devices-state status save-vm"])
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "'save-vm'", run="save-vm")

    def test_io_error_says_which_device_and_why(self):
        vm = self.one_disk()
        vm.fake.tell('event BLOCK_IO_ERROR {"device": "", "node-name": "disk0", "operation": "write",'
                     ' "action": "stop", "nospace": true, "reason": "No space left on device"}',
                     "status io-error", "event STOP")
        detail = self.settled(vm, lock="released")["cause_detail"]
        for word in ("write", "disk0", "No space left"):
            self.assertIn(word, detail)


class Writer(FakeTest):
    def keeps_until(self, command, running, reason, over):
        vm = self.one_disk()
        vm.fake.tell(f"on {command} reply {running}")
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, reason)
        self.assertNotIn("xen-save-devices-state", vm.fake.commands())
        vm.fake.tell(f"forget {command}", f"event {over}")
        vm.wait_state(lock="released")
        self.assert_free(vm.disk)
        self.assertNotIn("held_because", vm.status())

    def test_job_keeps_the_locks_until_it_ends(self):
        self.keeps_until("query-jobs", '[{"id": "mirror0", "type": "mirror", "status": "running"}]',
                         "mirror0", 'JOB_STATUS_CHANGE {"id": "mirror0", "status": "null"}')

    def test_export_keeps_the_locks_until_it_ends(self):
        self.keeps_until("query-block-exports", '[{"id": "export0", "type": "nbd"}]', "export0",
                         'BLOCK_EXPORT_DELETED {"id": "export0"}')

    def test_migration_keeps_the_locks_until_it_ends(self):
        self.keeps_until("query-migrate", '{"status": "active"}', "migration",
                         'MIGRATION {"status": "cancelled"}')

    def test_job_that_has_concluded_writes_no_more(self):
        vm = self.one_disk()
        vm.fake.tell('on query-jobs reply [{"id": "j", "type": "mirror", "status": "concluded"}]')
        self.stop_by_itself(vm)
        vm.wait_state(lock="released")

    def test_job_does_not_keep_the_vm_from_going_on(self):
        vm = self.one_disk()
        vm.fake.tell('on query-jobs reply [{"id": "j", "type": "mirror", "status": "running"}]')
        result = self.vmlatch("pause", "vm")
        self.assertNotEqual(result.status, 0)
        self.assert_says("'j'", result.err)
        self.does("resume", "vm")
        self.assertEqual(vm.fake.unlocked(), [])

    def test_refusal_of_a_question_keeps_the_locks(self):
        for command in DRAIN[1:6]:
            with self.subTest(command):
                vm = self.one_disk(command)
                vm.fake.tell(f"on {command} error GenericError out of order")
                self.stop_by_itself(vm)
                self.assert_stays_held(vm, f"{command}: out of order")


class Options(FakeTest):
    def test_release_after_lets_a_short_pause_pass(self):
        vm = self.one_disk(options=("--release-after", "3600"))
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "--release-after")
        self.does("pause", "vm")
        self.assert_free(vm.disk)

    def test_release_after_counts_again_after_a_release_that_failed(self):
        vm = self.one_disk(options=("--release-after", "3600"))
        with self.control("vm") as client:
            client.send("vmlatch-release")  # it runs: refused
            with self.assertRaisesRegex(Exception, "runs"):
                client.answer()
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "--release-after")

    def test_release_after_releases_when_its_time_has_come(self):
        vm = self.one_disk(options=("--release-after", "1"))
        self.stop_by_itself(vm)
        vm.wait_state(lock="released")

    def test_release_after_counts_again_when_its_time_has_come_while_a_cont_was_under_way(self):
        vm = self.one_disk(options=("--release-after", "0.5"))
        vm.fake.tell("once cont delay-ms 1500", "once cont error GenericError not yet")
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "--release-after")
        self.assert_says("not yet", self.fails(69, "resume", "vm"))
        vm.wait_state(run="paused", lock="released")
        self.assertEqual(vm.fake.unlocked(), [])

    def test_release_on_none_is_pinned(self):
        vm = self.one_disk(options=("--release-on", "none"))
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "--release-on=none")

    def test_release_on_of_other_kinds_keeps_the_locks(self):
        vm = self.one_disk(options=("--release-on", "watchdog"))
        self.stop_by_itself(vm, "io-error")
        self.assert_stays_held(vm, "--release-on")

    def test_deactivate_no_asks_nothing_of_qemu_but_questions(self):
        vm = self.one_disk(options=("--deactivate", "no"))
        before = len(vm.fake.commands())
        self.stop_by_itself(vm)
        vm.wait_state(lock="released")
        self.assertEqual(vm.fake.commands(before),
                         [*QUESTIONS[:3], "query-named-block-nodes", "query-status"])

    def test_answers_behind_one_that_keeps_the_locks_do_not_count(self):
        vm = self.one_disk(script=["on query-jobs error GenericError no",
                                   "on query-migrate delay-ms 300"])
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "query-jobs: no")
        vm.fake.tell("forget query-jobs")
        self.does("resume", "vm")  # before the last answer has come
        self.assert_held(vm.disk)
        self.assertNotIn("xen-save-devices-state", vm.fake.commands())

    def test_deactivate_no_never_lets_go_of_an_image_with_metadata(self):
        vm = self.one_disk(options=("--deactivate", "no"))
        vm.fake.tell('on query-named-block-nodes reply [{"node-name": "a", "drv": "qcow2", "ro": false,'
                     f' "file": "{vm.disk}"}}]')
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "qcow2.*--deactivate=no")


if __name__ == "__main__":
    main()
