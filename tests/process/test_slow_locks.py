# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lock calls that hang, and what happens meanwhile."""

import signal

import locks
import procfs
from deadline import wait_for
from qmp import QmpError
from slowtest import SlowTest, main


class Start(SlowTest):
    def test_of_a_qemu_that_greets_and_ends_before_either_is_looked_at_ends_with_it(self):
        self.hang("said")  # by the word that lets the child become QEMU
        disk = self.disk("disk.raw")
        vm = self.start("vm", *self.drive(disk), script=["raw ", "exit 5"], env=self.preloaded)
        self.wait_hanging("said")
        wait_for("QEMU lives", lambda: vm.fake.started and not procfs.alive(vm.fake.log()[0]["pid"]))
        self.go_on()
        self.assertEqual(vm.wait_end(), 5, vm.err)
        self.assert_free(disk)
        self.assertFalse((self.runtime / "vm").exists())


class WhileItHangs(SlowTest):
    def test_the_supervisor_answers_and_the_guest_does_not_run(self):
        vm = self.released()
        client = self.resuming(vm)
        with self.control("vm") as other:
            self.assertEqual(other.command("vmlatch-status")["lock-state"], "acquiring")
            self.assertEqual(other.command("query-status")["status"], "paused")
        self.assertEqual(vm.fake.commands().count("cont"), 1, "the one of the start")
        self.go_on()
        client.answer()
        self.assertEqual(vm.fake.unlocked(), [])
        self.assert_held(vm.disk)

    def test_stop_ends_the_vm_when_it_goes_on(self):
        vm = self.released()
        self.resuming(vm)
        stop = self.in_background("stop", "vm")
        wait_for("QEMU lives", lambda: not procfs.alive(vm.qemu))
        self.go_on()
        self.assertEqual(self.finished(stop)[0], 0)
        self.assertEqual(vm.wait_end(), 0)
        self.assertEqual(vm.fake.commands().count("cont"), 1, "the one of the start")
        self.assert_nothing_left(vm)

    def test_sigterm_ends_the_vm_when_it_goes_on(self):
        vm = self.released()
        self.resuming(vm)
        vm.signal(signal.SIGTERM)
        wait_for("QEMU lives", lambda: not procfs.alive(vm.qemu))
        self.go_on()
        self.assertEqual(vm.wait_end(), 0)
        self.assert_nothing_left(vm)

    def test_the_death_of_qemu_is_seen(self):
        vm = self.released()
        client = self.resuming(vm)
        self.kill(vm.qemu)
        with self.assertRaisesRegex(QmpError, "ended"):
            client.answer()
        self.go_on()
        self.assertEqual(vm.wait_end(), -signal.SIGKILL)
        self.assert_nothing_left(vm)

    def test_a_resume_behind_our_back_is_frozen_and_thawed_by_the_lock(self):
        vm = self.released()
        client = self.resuming(vm)
        vm.fake.tell("status running", "event RESUME", wait=False)
        self.wait_frozen(vm)
        self.go_on()
        client.answer()
        wait_for("QEMU stays frozen", lambda: not procfs.is_stopped(vm.qemu))
        vm.wait_state(run="running", lock="held")
        self.assert_held(vm.disk)

    def test_an_unlock_a_resume_behind_our_back_is_frozen_and_locked_again(self):
        vm = self.one_disk(env=self.preloaded)
        self.hang("unlock")
        self.stop_by_itself(vm)
        self.wait_hanging("unlock")
        self.assertEqual(vm.status()["lock_state"], "releasing")
        vm.fake.tell("status running", "event RESUME", wait=False)
        self.wait_frozen(vm)
        self.go_on()
        wait_for("QEMU stays frozen", lambda: not procfs.is_stopped(vm.qemu))
        vm.wait_state(run="running", lock="held")
        self.assert_held(vm.disk)

    def test_a_look_at_what_is_saved_a_resume_is_no_release_any_more(self):
        vm = self.saving()
        vm.fake.tell("status running", "event RESUME")
        vm.wait_state(run="running", lock="held")  # it does not wait for what hangs
        self.go_on()
        self.does("inquire", "vm")  # behind it, on the same thread
        self.assertEqual(vm.status()["lock_state"], "held")
        self.assert_held(vm.disk)
        self.assertEqual(vm.fake.unlocked(), [])
        self.assertFalse(vm.status()["frozen"])
        self.does("pause", "vm")
        self.assert_free(vm.disk)

    def test_an_unlock_sigterm_ends_the_vm(self):
        vm = self.one_disk(env=self.preloaded)
        self.hang("unlock")
        self.stop_by_itself(vm)
        self.wait_hanging("unlock")
        vm.signal(signal.SIGTERM)
        wait_for("QEMU lives", lambda: not procfs.alive(vm.qemu))
        self.go_on()
        self.assertEqual(vm.wait_end(), 0)
        self.assert_nothing_left(vm)

    def test_the_child_a_supervisor_that_is_killed_leaves_no_qemu_and_no_lock(self):
        path = self.disk("disk.raw")
        self.hang("xattr")  # it has the lock already, and is about to arm it
        vm = self.start("vm", *self.drive(path), env=self.preloaded)
        self.wait_hanging("xattr")
        self.assertIsNotNone(locks.seen(path, locks.BYTE))
        child = procfs.children(vm.pid)[0]
        vm.process.kill()
        vm.process.wait()
        self.left_behind.add("vm")
        self.go_on()
        wait_for("the child lives on", lambda: not procfs.alive(child))
        self.assertFalse(vm.fake.started)
        self.assert_free(path)


class BetweenSavedAndUnlocked(SlowTest):
    def attaching(self, path):
        client = self.control("vm")
        client.command("vmlatch-status")  # it is listened to
        client.send("vmlatch-attach", kind="disk", path=str(path))
        return client

    def test_a_disk_that_comes_is_in_the_saved_state_before_it_is_given_back(self):
        # its images are found behind the first one's lock, and before the state is saved: so its own
        # lock is taken when the state has been saved, and before the unlock
        vm = self.one_disk(env=self.preloaded)
        first, second = self.disk("first.raw"), self.disk("second.raw")
        self.hang("lock")
        clients = [self.attaching(first)]
        self.wait_hanging("lock")
        clients.append(self.attaching(second))
        with self.control("vm") as other:
            other.command("vmlatch-status")  # the second one's has come before
        self.stop_by_itself(vm)
        vm.wait_state(lock="releasing")
        self.go_on()
        for client in clients:
            client.answer()
        vm.wait_state(lock="released")
        saved = self.state_file("vm")["lock-text"]
        for path in (vm.disk, first, second):
            self.assert_free(path)
            self.assertIn(str(path), saved)
        self.write_to(second)
        result = self.vmlatch("resume", "vm")
        self.assertNotEqual(result.status, 0)
        self.assert_says("second.raw was written without vmlatch", result.err)


class LastWrite(SlowTest):
    def test_that_cannot_be_asked_for_keeps_the_locks_and_is_told(self):
        vm = self.one_disk(env=self.preloaded)
        self.hang("probe")
        self.kill(vm.qemu)
        self.wait_hanging("probe")
        self.assertNotIn("last write", vm.err)
        (self.slow / "late").touch()
        with self.control("vm") as other:
            other.command("vmlatch-status")
        wait_for("nothing is said", lambda: "last write" in vm.err)
        self.assert_says("a lock call hangs", vm.status()["held_because"])
        self.assert_says("a lock call hangs", self.vmlatch("status", "vm").out)
        self.assert_held(vm.disk)
        self.go_on()
        self.assertEqual(vm.wait_end(), -signal.SIGKILL)
        self.assert_nothing_left(vm)


class WithoutALifeLine(SlowTest):
    def test_what_was_locked_is_given_back(self):
        # locked, verified and armed: and then there is no descriptor left for QEMU's copy
        vm = self.released()
        more = self.disk("more.raw")
        self.does("attach", "vm", "disk", more)
        self.hang("no-dup")
        result = self.vmlatch("resume", "vm")
        self.assertNotEqual(result.status, 0)
        self.assert_says("Too many open files", result.err)
        vm.wait_state(lock="released")
        for path in (vm.disk, more):
            self.assert_free(path)
        self.assertIn(str(more), self.state_file("vm")["lock-text"])
        self.assertEqual(vm.fake.commands().count("cont"), 1, "the one of the start")
        self.go_on()
        self.does("resume", "vm")  # what we armed ourselves has made nothing stale
        self.assert_held(more)
        self.assertEqual(vm.fake.unlocked(), [])


class Forced(SlowTest):
    def test_is_the_acquire_of_who_asked_for_it_and_no_other(self):
        vm = self.released()
        self.write_to(vm.disk)
        plain = self.resuming(vm)
        forced, other = self.control("vm"), self.control("vm")
        forced.command("vmlatch-status")
        forced.send("vmlatch-acquire", force_stale=True)
        other.command("vmlatch-status")  # the line before has been read
        self.go_on()
        with self.assertRaisesRegex(QmpError, "VmlatchStale"):
            plain.answer()
        forced.answer()
        self.assert_says("resumed by force", vm.err)
        self.assert_held(vm.disk)

    def test_is_not_the_next_acquire_when_its_own_was_not_needed(self):
        vm = self.released()
        plain = self.resuming(vm)
        forced = self.control("vm")
        forced.command("vmlatch-status")
        forced.send("vmlatch-acquire", force_stale=True)
        with self.control("vm") as other:
            other.command("vmlatch-status")
        self.go_on()
        plain.answer()
        forced.answer()
        self.assertNotIn("resumed by force", vm.err, "all was held")
        self.does("pause", "vm")
        self.write_to(vm.disk)
        self.assertNotEqual(self.vmlatch("resume", "vm").status, 0)


class PastItsDeadline(SlowTest):
    def test_it_has_failed_and_its_late_success_is_undone(self):
        vm = self.released()
        client = self.resuming(vm)
        (self.slow / "late").touch()
        with self.control("vm") as other:
            other.command("vmlatch-status")
        self.go_on()
        with self.assertRaises(QmpError):
            client.answer()
        vm.wait_state(lock="released")
        self.wait_free(vm.disk)
        self.assertEqual(vm.fake.commands().count("cont"), 1, "the one of the start")

    def test_again_and_again_does_not_make_the_disk_stale(self):
        # each time the record's generation has been raised, by us
        vm = self.released()
        for _ in range(3):
            client = self.resuming(vm)
            (self.slow / "late").touch()
            with self.control("vm") as other:
                other.command("vmlatch-status")
            self.go_on()
            with self.assertRaises(QmpError):
                client.answer()
            vm.wait_state(lock="released")
            self.wait_free(vm.disk)
        self.does("resume", "vm")
        self.assertEqual(vm.fake.unlocked(), [])

    def pass_deadline(self, file="late"):
        (self.slow / file).touch()
        with self.control("vm") as other:
            other.command("vmlatch-status")

    def test_who_comes_later_waits_no_longer_than_the_first(self):
        vm = self.released()
        first = self.resuming(vm)
        self.pass_deadline()
        with self.assertRaisesRegex(QmpError, "does not answer"):
            first.answer()
        second = self.control("vm")
        second.send("cont")
        with self.control("vm") as other:
            other.command("vmlatch-status")
        self.pass_deadline("later")
        with self.assertRaisesRegex(QmpError, "does not answer"):
            second.answer()
        self.assertEqual(vm.status()["lock_state"], "acquiring", "it hangs all the while")

    def late_acquire(self, vm, **arguments):
        """It hangs, and whoever has asked has been told so."""
        self.hang("lock")
        with self.control("vm") as client:
            client.send("vmlatch-acquire", **arguments)
            self.wait_hanging("lock")
            vm.wait_state(lock="acquiring")
            self.pass_deadline()
            with self.assertRaisesRegex(QmpError, "does not answer"):
                client.answer()

    def ask_beside(self, command, **arguments):
        """A client whose question has been looked at, if not answered."""
        client = self.control("vm")
        client.send(command, **arguments)
        with self.control("vm") as other:
            other.command("vmlatch-status")
        return client

    def test_who_insists_then_is_not_served_by_a_refusal_for_who_did_not(self):
        vm = self.released()
        self.write_to(vm.disk)
        self.late_acquire(vm)
        forced = self.ask_beside("vmlatch-acquire", **{"force-stale": True})
        self.go_on()
        forced.answer()
        vm.wait_state(run="paused", lock="held")
        self.assertEqual(vm.err.count("resumed by force"), 1)

    def test_who_insists_then_waits_no_longer_than_others(self):
        vm = self.released()
        self.late_acquire(vm)
        forced = self.ask_beside("vmlatch-acquire", **{"force-stale": True})
        self.pass_deadline("later")
        with self.assertRaisesRegex(QmpError, "does not answer"):
            forced.answer()
        self.go_on()
        vm.wait_state(run="paused", lock="released")
        self.assertNotIn("resumed by force", vm.err)

    def test_who_does_not_insist_is_not_served_by_what_somebody_insisted_on(self):
        vm = self.released()
        self.write_to(vm.disk)
        self.late_acquire(vm, **{"force-stale": True})
        with self.control("vm") as other, self.assertRaisesRegex(QmpError, "by force takes too long"):
            other.command("cont")
        self.go_on()
        vm.wait_state(run="paused", lock="released")
        self.assertEqual(vm.fake.commands().count("cont"), 1, "the one of the start")

    def test_what_somebody_insisted_on_in_vain_is_stale_for_the_next(self):
        vm = self.released()
        self.write_to(vm.disk)
        self.late_acquire(vm, **{"force-stale": True})
        self.go_on()
        vm.wait_state(run="paused", lock="released")
        for _ in range(2):
            with self.control("vm") as other, self.assertRaisesRegex(QmpError, "was written without vmlatch"):
                other.command("cont")
        with self.control("vm") as other:
            other.command("vmlatch-acquire", **{"force-stale": True})
            vm.wait_state(run="paused", lock="held")
            other.command("vmlatch-release")
            vm.wait_state(run="paused", lock="released")
            other.command("vmlatch-acquire")  # what came of it has been seen by who insisted

    def test_it_is_a_lock_failure_for_poweroff(self):
        vm = self.released(options=("--on-lock-failure", "poweroff"))
        self.resuming(vm)
        self.pass_deadline()
        wait_for("QEMU lives", lambda: not procfs.alive(vm.qemu))
        self.go_on()
        self.assertEqual(vm.wait_end(), 76)
        self.assert_nothing_left(vm)

    def test_it_is_a_lock_failure_for_poweroff_of_a_frozen_vm_too(self):
        vm = self.released(options=("--on-lock-failure", "poweroff"))
        self.resuming(vm)
        vm.fake.tell("status running", "event RESUME", wait=False)
        self.wait_frozen(vm)
        self.pass_deadline()
        wait_for("QEMU lives", lambda: not procfs.alive(vm.qemu))
        self.go_on()
        self.assertEqual(vm.wait_end(), 76)
        self.assert_nothing_left(vm)


class CannotBeLookedAt(SlowTest):
    """The storage of a lock file fails: that is no loss, and no proof that there is none."""

    def blind(self):
        space = self.dir / "lockspace"
        space.mkdir(mode=0o700)
        vm = self.one_disk(options=["--lockspace", space], env=self.preloaded)
        self.hang("no-look")
        (space / "news").touch()
        (space / "news").unlink()
        wait_for("no warning", lambda: "it is looked at again" in vm.err)
        return vm, space

    def test_what_went_meanwhile_is_found_when_it_can_be(self):
        vm, space = self.blind()
        for what, happen in (("news", lambda: next(space.iterdir()).unlink()), ("no news", lambda: None)):
            with self.subTest(what):
                (self.slow / "no-look.waits").unlink()
                happen()
                self.wait_hanging("no-look")
        self.assertEqual(vm.status()["lock_state"], "held")
        self.go_on()
        vm.wait_state(lock="lost")
        self.wait_frozen(vm)
        self.assert_says("was removed or replaced", vm.err)

    def test_it_is_told_once_and_its_end_is_the_end_of_it(self):
        vm, _ = self.blind()
        (self.slow / "no-look.waits").unlink()
        self.wait_hanging("no-look")
        self.go_on()
        wait_for("no end of it", lambda: "are still ours" in vm.err)
        self.assertEqual(vm.err.count("it is looked at again"), 1, vm.err)
        self.assertEqual(vm.status()["lock_state"], "held")


if __name__ == "__main__":
    main()
