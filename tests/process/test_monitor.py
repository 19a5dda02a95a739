# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU's monitor as it should not be: it closes, hangs, lies, or was never there."""

import signal

from deadline import wait_for
from faketest import DRAIN, FakeTest, main

ODD = ("null", "[]", "{}", "7", '"text"', "[null]", "[7]", "[{}]", '[{"id": 7, "status": 7}]',
       '{"status": 7}', '{"status": null, "running": 0}', '{"status": "paused", "running": "no"}',
       '{"blocked-reasons": [7]}', '{"blocked-reasons": [null]}', '{"status": "\\u001b[31m"}')


class Connection(FakeTest):
    def test_that_breaks_while_running_is_made_again_and_pins_the_vm(self):
        vm = self.one_disk()
        vm.fake.tell("close")
        vm.fake.wait_command("qmp_capabilities", 2)
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "monitor")
        self.assertNotIn("xen-save-devices-state", vm.fake.commands())

    def test_that_breaks_in_a_drain_releases_nothing_and_never_deactivates_twice(self):
        vm = self.one_disk(script=["once xen-save-devices-state close"])
        self.stop_by_itself(vm)
        vm.fake.wait_command("qmp_capabilities", 2)
        self.assert_stays_held(vm, "monitor|not known|connection")
        self.assertNotEqual(self.vmlatch("pause", "vm").status, 0)
        self.assertEqual(vm.fake.commands().count("xen-save-devices-state"), 1)
        self.assert_held(vm.disk)

    def test_that_breaks_while_released_is_made_again_and_a_resume_meanwhile_is_seen(self):
        vm = self.released()
        with self.other_holds(vm.disk):
            vm.fake.tell("status running", "close", wait=False)
            self.wait_frozen(vm)
            wait_for("no cause", lambda: vm.status()["cause"] == "lock-busy")

    def test_that_is_gone_for_good_while_running_pins_the_vm_and_sigterm_ends_it(self):
        vm = self.one_disk()
        vm.fake.tell("close-for-good")
        wait_for("not pinned", lambda: any("any more" in why for why in vm.status()["pinned"]))
        self.assert_held(vm.disk)
        self.assertEqual(vm.status()["lock_state"], "held")
        result = self.vmlatch("pause", "vm")
        self.assertNotEqual(result.status, 0)
        vm.signal(signal.SIGTERM)
        self.assertEqual(vm.wait_end(), 0)
        self.assert_nothing_left(vm)

    def test_that_is_gone_for_good_while_running_does_not_keep_quit_from_ending_it(self):
        vm = self.one_disk()
        vm.fake.tell("close-for-good")
        wait_for("not pinned", lambda: any("any more" in why for why in vm.status()["pinned"]))
        with self.control("vm") as client:
            client.command("quit")
            self.assertEqual(vm.wait_end(), 0)

    def test_that_is_gone_for_good_while_paused_answers_who_wants_a_release(self):
        vm = self.one_disk(options=("--release-on", "watchdog"))
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "--release-on")
        vm.fake.tell("close-for-good")
        wait_for("not pinned", lambda: any("any more" in why for why in vm.status()["pinned"]))
        with self.control("vm") as client, self.assertRaisesRegex(Exception, r"\w+ \w+"):
            client.command("vmlatch-release", timeout=5)

    def test_that_is_gone_for_good_while_released_freezes_it(self):
        vm = self.released()
        vm.fake.tell("close-for-good")
        self.wait_frozen(vm)
        wait_for("not frozen", lambda: vm.status()["frozen"])
        vm.signal(signal.SIGTERM)
        self.assertEqual(vm.wait_end(), 0)

    def test_that_breaks_behind_a_shutdown_that_ended_nothing_is_noticed_all_the_same(self):
        vm = self.one_disk()
        vm.fake.tell('event SHUTDOWN {"guest": true, "reason": "guest-shutdown"}', "status shutdown",
                     "event STOP")
        vm.wait_state(run="shutdown", lock="released")
        vm.fake.tell("close-for-good")
        self.wait_frozen(vm)


class Garbage(FakeTest):
    def test_is_never_believed(self):
        for garbage in ("what?\\r\\n", "\\xff\\xfe\\r\\n", '{"return": {}}\\r\\n', "}}}}\\r\\n",
                        '{"event": 7}\\r\\n', "\\x00" * 64 + "\\r\\n"):
            with self.subTest(garbage):
                vm = self.one_disk(f"vm{abs(hash(garbage))}")
                vm.fake.tell(f"raw {garbage}")
                vm.fake.wait_command("qmp_capabilities", 2)
                self.assert_held(vm.disk)
                self.stop_by_itself(vm)
                self.assert_stays_held(vm, "monitor")
                self.assertEqual(vm.fake.unlocked(), [])

    def test_without_an_end_takes_no_memory_without_an_end(self):
        vm = self.one_disk()
        vm.fake.tell("flood 80")
        vm.fake.wait_command("qmp_capabilities", 2, timeout=60)
        self.assert_held(vm.disk)
        self.assertEqual(vm.status()["lock_state"], "held")

    def test_in_an_answer_releases_nothing_and_breaks_nothing(self):
        for command in dict.fromkeys(DRAIN):
            vm = self.one_disk(command)
            # after an answer that calls it running, 'resume' waits its 10 s for QEMU to agree
            for odd in ODD if command != "query-status" else ("7", '{"status": 7}'):
                with self.subTest(command=command, odd=odd):
                    vm.fake.tell(f"forget {command}", f"on {command} reply {odd}")
                    self.vmlatch("pause", command)
                    self.vmlatch("resume", command)
                    vm.fake.tell(f"forget {command}")
                    self.assertIsNone(vm.process.poll(), vm.err)
                    self.assertEqual(vm.fake.unlocked(), [])
                    self.assertNotIn("\x1b", self.vmlatch("status", command).out)
            self.assertNotIn("\x1b", vm.err)

    def test_instead_of_a_greeting_keeps_the_guest_from_running(self):
        vm = self.start("vm", script=["greeting hello?\\r\\n"])
        wait_for("nothing is said about it", lambda: "monitor" in vm.err)
        self.assertEqual(vm.status()["lock_state"], "held")
        self.assertNotIn("cont", vm.fake.commands())
        vm.signal(signal.SIGTERM)
        self.assertEqual(vm.wait_end(), 0)


class NoGreeting(FakeTest):
    def test_ever_keeps_the_guest_from_running_and_sigterm_ends_it(self):
        vm = self.start("vm", script=["greeting "])
        wait_for("no QEMU", lambda: vm.fake.started)
        self.assertEqual(vm.fake.commands(), [])
        vm.signal(signal.SIGTERM)
        self.assertEqual(vm.wait_end(), 0)

    def test_ever_does_not_keep_quit_from_ending_it(self):
        vm = self.start("vm", script=["greeting "])
        wait_for("no QEMU", lambda: vm.fake.started)
        with self.control("vm") as client:
            client.command("quit")
            self.assertEqual(vm.wait_end(), 0)

    def test_but_an_exit_status_is_mirrored(self):
        vm = self.start("vm", script=["exit 3"])
        self.assertEqual(vm.wait_end(), 3)

    def test_but_a_signal_is_mirrored(self):
        vm = self.start("vm", script=["die SIGUSR1"])
        self.assertEqual(vm.wait_end(), -signal.SIGUSR1)

    def test_of_a_qemu_that_ends_in_the_middle_of_the_start_mirrors_its_status(self):
        for command in ("qmp_capabilities", "query-named-block-nodes", "query-status", "cont"):
            with self.subTest(command):
                vm = self.start("vm", script=[f"on {command} exit 5"])
                self.assertEqual(vm.wait_end(), 5, vm.err)


class Death(FakeTest):
    def dies(self, vm):
        qemu = vm.qemu
        self.kill(qemu)
        self.assertEqual(vm.wait_end(), -signal.SIGKILL)
        self.assertNotIn("connection to its monitor broke", vm.err)
        self.assert_nothing_left(vm)

    def test_of_a_running_qemu(self):
        self.dies(self.one_disk())

    def test_of_a_paused_qemu(self):
        vm = self.one_disk(options=("--release-on", "none"))
        self.stop_by_itself(vm)
        self.assert_stays_held(vm, "release-on")
        self.dies(vm)

    def test_of_a_released_qemu(self):
        self.dies(self.released())

    def test_of_a_qemu_that_is_drained(self):
        vm = self.one_disk()
        vm.fake.tell("on query-jobs ignore")
        self.stop_by_itself(vm)
        vm.fake.wait_command("query-jobs")
        self.dies(vm)

    def test_of_a_qemu_that_is_resumed(self):
        vm = self.released()
        vm.fake.tell("on cont ignore")
        resume = self.in_background("resume", "vm")
        vm.fake.wait_command("cont", 2)
        self.dies(vm)
        self.assertNotEqual(self.finished(resume)[0], 0)

    def test_of_a_frozen_qemu(self):
        vm = self.released()
        with self.other_holds(vm.disk):
            vm.fake.tell("status running", "event RESUME", wait=False)
            self.wait_frozen(vm)
            self.kill(vm.qemu)
            self.assertEqual(vm.wait_end(), -signal.SIGKILL)
        self.assert_nothing_left(vm)

    def test_of_a_qemu_whose_graph_is_being_compared(self):
        path = self.disk("disk.raw")
        vm = self.start("vm", *self.drive(path), script=["on query-named-block-nodes ignore"])
        vm.disk = path
        wait_for("no question", lambda: "query-named-block-nodes" in vm.fake.commands())
        self.dies(vm)


class End(FakeTest):
    def test_comes_with_the_second_request_in_every_state(self):
        def running(name):
            return self.one_disk(name, script=["once quit ignore"])

        def drained(name):
            vm = running(name)
            vm.fake.tell("on query-jobs ignore")
            self.stop_by_itself(vm)
            vm.fake.wait_command("query-jobs")
            return vm

        def booting(name):
            path = self.disk(name)
            vm = self.start(name, *self.drive(path), script=["greeting "])
            vm.disk = path
            wait_for("no QEMU", lambda: vm.fake.started and vm.qemu)
            return vm

        def released(name):
            vm = self.released(name)
            vm.fake.tell("once quit ignore")
            return vm

        for state in (running, drained, booting, released):
            with self.subTest(state.__name__):
                vm = state(state.__name__)
                with self.control(vm.name) as client:
                    client.command("quit")
                    vm.signal(signal.SIGTERM)
                    self.assertEqual(vm.wait_end(), 0)
                self.assert_nothing_left(vm)

    def test_by_sigterm_of_a_released_and_deactivated_qemu_is_its_own(self):
        vm = self.released()
        vm.signal(signal.SIGTERM)
        self.assertEqual(vm.wait_end(), 0)
        self.assertEqual(vm.fake.signals(), ["SIGTERM"])
        self.assert_nothing_left(vm)

    def test_by_sigterm_of_a_released_qemu_that_is_not_deactivated_is_sigkill(self):
        vm = self.released(options=("--deactivate", "no"))
        vm.signal(signal.SIGTERM)
        self.assertEqual(vm.wait_end(), 0)
        self.assertEqual(vm.fake.signals(), [])
        self.assert_nothing_left(vm)

    def test_that_takes_its_time_is_a_kill_when_a_lock_is_lost_meanwhile(self):
        space = self.dir / "space"
        space.mkdir(mode=0o700)
        vm = self.one_disk(options=["--lockspace", space], script=["on quit ignore"])
        with self.control("vm") as client:
            client.command("quit")
            next(space.iterdir()).unlink()
            self.assertEqual(vm.wait_end(), 0)
        self.assert_says("was removed or replaced", vm.err)
        self.assert_nothing_left(vm)

    def test_by_quit_is_orderly_even_if_the_guest_starts_at_the_same_moment(self):
        # the locks are held: a SIGKILL would only cost the guest its caches
        path, after = self.disk("disk.raw"), self.dir / "after"
        vm = self.start("vm", *self.drive(path), script=[
            "once cont delay-ms 300", "on quit delay-ms 300", f"on quit touch {after}"])
        vm.disk = path
        wait_for("no cont", lambda: "cont" in vm.fake.commands())
        vm.known()
        with self.control("vm") as client:
            client.command("quit")
        self.assertEqual(vm.wait_end(), 0)
        self.assertTrue(after.exists(), "it was killed by RESUME, before it came to 'quit'")
        self.assert_nothing_left(vm)


if __name__ == "__main__":
    main()
