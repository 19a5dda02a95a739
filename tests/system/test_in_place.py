# SPDX-License-Identifier: LGPL-2.1-or-later
"""--in-place: the started process becomes QEMU, and its supervisor holds nothing of the user's."""

import os
import signal
import subprocess
import time

import procfs
from deadline import wait_for
from in_place import InPlaceTest
from ungated import UngatedTest, forbid_ptrace
from vmtest import AS_ROOT, MACHINE, QEMU, VMLATCH, main, need_root


def ignored_and_blocked(pid):
    """The signals that it ignores and blocks, as /proc shows them."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return [line for line in file if line.startswith(("SigIgn", "ShdPnd", "SigBlk"))]


class TheProcess(InPlaceTest):
    def test_that_was_started_becomes_qemu(self):
        disk = self.guest("halt")
        vm = self.running("vm", *self.drive(disk), "-pidfile", self.dir / "pid")
        self.assertEqual(procfs.exe(vm.pid), procfs.exe_of(QEMU))
        self.assertEqual((self.dir / "pid").read_text(encoding="ascii").strip(), str(vm.pid))
        self.assertEqual(vm.status()["qemu"]["pid"], vm.pid)
        self.assert_held(disk)
        self.assert_in_use(self.refused(75, "second", *self.drive(disk)), disk, vm)

    def test_has_qemus_own_end(self):
        disk = self.guest("poweroff_isa")
        vm = self.start("vm", *self.drive(disk), "-device", "isa-debug-exit,iobase=0xf4,iosize=1")
        self.assertEqual(vm.wait_end(), 33, vm.err)
        vm = self.start("vm", *self.drive(disk), "-device", "no-such-device", options=AS_ROOT)
        self.assertEqual(vm.wait_end(), 1, vm.err)
        self.assertRegex(vm.err, r"\A[^\n]*'no-such-device' is not a valid device model name\n\Z")
        self.wait_nobody()
        self.assertEqual(os.listdir(self.runtime), ["vm.last.json"])

    def test_killed_is_qemu_killed_and_its_disk_is_free_before_anybody_waits(self):
        disk = self.guest("writer", writer="me")
        vm = self.running("vm", *self.drive(disk))
        vm.signal(signal.SIGKILL)
        self.wait_free(disk)
        vm.wait_gone()
        self.assertEqual(vm.wait_end(), -signal.SIGKILL)
        end = self.status("vm")
        self.assertTrue(end["ended"])

    def test_can_be_started_again_at_once(self):
        disk = self.guest("halt")
        for _ in range(12):
            vm = self.running("vm", *self.drive(disk))
            vm.signal(signal.SIGKILL)
            self.assertEqual(vm.wait_end(), -signal.SIGKILL)

    def test_starts_with_the_signals_of_its_caller(self):
        def odd():
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
        vm = self.running("vm", *self.drive(self.guest("halt")), preexec=odd)
        socket = self.dir / "bare.sock"
        bare = self.spawn([QEMU, *MACHINE, "-S", "-qmp", f"unix:{socket},server=on,wait=off"],
                          preexec=odd)
        self.qmp(socket)
        try:
            self.assertEqual(ignored_and_blocked(vm.pid), ignored_and_blocked(bare.pid))
        finally:
            bare.kill()
            bare.wait()

    def test_keeps_the_numbers_of_what_it_inherits(self):
        read, write = os.pipe()
        vm = self.running("vm", *self.drive(self.guest("halt")), pass_fds=[read, write])
        its = procfs.fds(vm.pid)
        mine = procfs.fds("self")
        for fd in (read, write):
            self.assertEqual(its.get(fd), mine[fd])
        os.close(read)
        os.close(write)

    def test_that_may_not_start_says_why_and_ends_with_that_status(self):
        disk = self.guest("halt")
        holder = self.running("vm", *self.drive(disk))
        said = self.refused(75, "second", *self.drive(disk), options=AS_ROOT)
        self.assert_in_use(said, disk, holder)
        self.assertEqual(len(said.splitlines()), 2, said)
        self.wait_nobody_but(holder)
        self.assertEqual(sorted(os.listdir(self.runtime)), ["vm"])
        self.refused(75, "vm", *self.drive(self.disk("other.raw")))

    def wait_nobody_but(self, vm):
        wait_for("a supervisor stays", lambda: self.supervisors() == [vm.supervisor])

    def test_that_waits_for_a_lock_ends_by_the_signals_that_end_qemu(self):
        disk = self.guest("halt")
        holder = self.running("vm", *self.drive(disk))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number.name):
                waiting = self.start("second", *self.drive(disk), options=["--wait", "60"])
                wait_for("it has no supervisor",
                         lambda: (self.runtime / "second" / "state.json").exists())
                waiting.signal(number)
                self.assertEqual(waiting.wait_end(), -number)
                self.wait_nobody_but(holder)
                self.assertFalse((self.runtime / "second").exists())

    def test_whose_supervisor_died_while_it_waited_says_so(self):
        disk = self.guest("halt")
        holder = self.running("vm", *self.drive(disk))
        waiting = self.start("second", *self.drive(disk), options=["--wait", "60"])
        wait_for("it has no supervisor", lambda: self.status("second").get("lock_state") == "registered")
        self.kill(self.status("second")["supervisor"]["pid"])
        holder.signal(signal.SIGKILL)
        self.assertEqual(waiting.wait_end(), 70)
        self.assert_says("its supervisor has died: nothing was started", waiting.err)
        self.assert_free(disk)
        self.left_behind.add("second")

    def test_that_cannot_be_executed_is_126(self):
        disk = self.disk("a.raw")
        odd = self.dir / "odd"
        odd.write_bytes(b"\x7fELF and nothing more")
        odd.chmod(0o755)
        self.assert_says("odd", self.refused(126, "vm", *self.drive(disk), qemu=odd))
        self.wait_nobody()
        self.assertEqual(os.listdir(self.runtime), [])


class TheSupervisor(InPlaceTest):
    def test_is_nobodys_child_and_says_whose_it_is(self):
        vm = self.running("vm", *self.drive(self.guest("halt")))
        self.assertNotIn(vm.supervisor, procfs.children(vm.pid) + procfs.children(os.getpid()))
        self.assertEqual("".join(procfs.argv(vm.supervisor)), "vmlatch: vm")
        session = int(procfs.stat_fields(vm.supervisor)[3])
        self.assertNotEqual(session, os.getsid(0))
        self.assertNotEqual(session, vm.supervisor, "a leader could get a terminal")

    def test_holds_nothing_of_the_users(self):
        read, write = os.pipe()
        place = self.dir / "place"
        place.mkdir()
        need_root()     # nobody else may look at a supervisor
        vm = self.running("vm", *self.drive(self.guest("halt")), cwd=place, pass_fds=[read, write],
                          stdin=read)
        its = procfs.fds(vm.supervisor)
        self.assertEqual([its[0], its[1]], ["/dev/null", "/dev/null"])
        self.assertEqual(its[2], str(self.runtime / "vm" / "log"))
        mine = {procfs.fds("self")[read], str(vm._out), str(vm._err)}
        self.assertEqual(mine & set(its.values()), set())
        self.assertEqual(os.readlink(f"/proc/{vm.supervisor}/cwd"), "/")
        for name in ("environ", "cmdline"):  # still there, for who looks for it
            self.assertTrue(os.path.exists(f"/proc/{vm.supervisor}/{name}"))
        os.close(read)
        os.close(write)

    def test_is_not_waited_for_by_a_reader_of_its_output(self):
        vm = self.running("vm", *self.drive(self.guest("halt")), stdout=subprocess.PIPE)
        vm.signal(signal.SIGKILL)
        vm.process.stdout.read()  # the end comes with QEMU's
        vm.process.stdout.close()
        vm.wait_end()

    def test_pauses_and_resumes(self):
        disk = self.guest("writer", writer="me")
        vm = self.running("vm", *self.drive(disk))
        self.does("pause", "vm")
        self.assert_free(disk)
        other = self.guest("writer", "other.img", writer="other")
        self.running("other", *self.drive(other))
        self.does("resume", "vm")
        self.assert_held(disk)
        self.wait_writing(disk)
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0)

    def test_dies_and_the_disk_stays_locked_by_qemu(self):
        disk = self.guest("writer", writer="me")
        vm = self.running("vm", *self.drive(disk))
        self.kill(vm.supervisor)
        self.wait_writing(disk)
        self.refused(75, "second", *self.drive(disk))
        self.left_behind.add("vm")
        vm.signal(signal.SIGKILL)
        vm.wait_end()
        self.assert_free(disk)

    def test_keeps_what_it_said_for_later(self):
        disk = self.guest("halt")
        vm = self.running("vm", *self.drive(disk), options=["--log-level", "debug"])
        self.does("pause", "vm")
        said = wait_for("it says nothing", lambda: vm.log)
        self.does("stop", "vm")
        vm.wait_end()
        vm.wait_gone()
        kept = (self.runtime / "vm.last.log").read_text()
        self.assertTrue(kept.startswith(said), kept)

    def test_in_a_hurry_leaves_no_vm_behind(self):
        # killed at any moment of the start: nothing is locked, nothing runs
        disk = self.guest("halt")
        for delay in range(0, 60, 5):
            vm = self.start("vm", *self.drive(disk))
            time.sleep(delay / 1000)
            vm.signal(signal.SIGKILL)
            vm.wait_end()
            self.wait_free(disk)
        self.wait_nobody()
        self.assertEqual([name for name in os.listdir(self.runtime) if not name.startswith("vm.last.")], [])


class Freezing(InPlaceTest, UngatedTest):
    def test_a_guest_that_runs_without_its_locks(self):
        vm = self.frozen()
        self.assertEqual(procfs.tracers(vm.pid), {vm.supervisor})
        self.assert_says("in use", vm.log)
        vm.signal(signal.SIGKILL)
        self.assertEqual(vm.wait_end(), -signal.SIGKILL)

    def test_does_not_hide_that_it_is_to_end(self):
        for states, preexec in (("t", None), ("T", forbid_ptrace)):
            with self.subTest(states):
                no_leaks = dict(self.environment, ASAN_OPTIONS="detect_leaks=0")
                vm = self.frozen(states=states, preexec=preexec, env=no_leaks)
                vm.signal(signal.SIGTERM)
                self.assertEqual(vm.wait_end(), -signal.SIGKILL)
                vm.wait_gone()
                self.let_go()
                self.assert_says("it is killed", (self.runtime / "vm.last.log").read_text())
                self.disk_path.unlink()
                (self.dir / "sockets" / "mine.sock").unlink()
                (self.dir / "sockets").rmdir()

    def test_that_cannot_be_traced_is_renewed_after_sigcont(self):
        no_leaks = dict(self.environment, ASAN_OPTIONS="detect_leaks=0")  # it would use ptrace itself
        vm = self.frozen(states="T", preexec=forbid_ptrace, env=no_leaks)
        self.assert_says("cannot be traced", vm.log)
        for _ in range(3):
            vm.signal(signal.SIGCONT)
            self.wait_threads(vm, "T")
        self.assert_stands(vm, "T")
        self.let_go()
        self.does("resume", "--force-stale", "vm")
        self.assert_runs(vm)
        before = procfs.context_switches(vm.supervisor)
        time.sleep(0.5)
        self.assertLess(procfs.context_switches(vm.supervisor) - before, 10, "it looks on")


if __name__ == "__main__":
    main()
