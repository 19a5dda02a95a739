# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever the user gave QEMU, it still has: terminal, job control, descriptors, monitors."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import procfs
from deadline import wait_for
from in_place import InPlaceTest
from vmtest import MACHINE, QEMU, VMLATCH, VmTest, main

JOB_CONTROL = Path(__file__).with_name("job_control.py")


class UsersOwn(VmTest):
    def test_monitor_on_stdio_works(self):
        vm = self.start("vm", *self.drive(self.guest("halt")), "-monitor", "stdio",
                        stdin=subprocess.PIPE)
        vm.wait_state(run="running", lock="held")
        self.assertTrue(vm.status()["pinned"], "a monitor that is not ours pins the VM")
        vm.process.stdin.write(b"info status\nquit\n")
        vm.process.stdin.close()
        self.assertEqual(vm.wait_end(), 0, vm.err)
        self.assertIn("VM status: running", vm.out)

    def test_nographic_has_serial_line_and_monitor_on_stdio(self):
        disk = self.guest("write1")
        vm = self.start("vm", "-nographic", "-accel", "tcg", "-machine", "pc", "-m", "32",
                        "-net", "none", *self.drive(disk), machine=(), stdin=subprocess.PIPE)
        wait_for(lambda: f"the guest's K in {vm.out!r}", lambda: re.search(r"Disk\.+\s*K", vm.out))
        vm.process.stdin.write(b"\x01x")  # the mux's "end QEMU"
        vm.process.stdin.flush()
        self.assertEqual(vm.wait_end(), 0, vm.err)

    def test_qmp_socket_works_and_pins_the_vm(self):
        disk, socket = self.guest("halt"), self.dir / "mine.sock"
        vm = self.start("vm", *self.drive(disk), "-qmp", f"unix:{socket},server=on,wait=off")
        mine = self.qmp(socket)
        vm.wait_state(run="running", lock="held")
        mine.command("stop")
        vm.wait_state(run="paused")
        self.assert_held(disk)
        mine.command("cont")
        vm.wait_state(run="running", lock="held")

    def test_pidfile_names_qemu(self):
        pidfile = self.dir / "qemu.pid"
        vm = self.running("vm", *self.drive(self.guest("halt")), "-pidfile", pidfile)
        self.assertEqual(int(pidfile.read_text()), vm.qemu)

    def test_minus_s_leaves_the_guest_stopped_until_resume(self):
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk), "-S", run="prelaunch", lock=("held", "released"))
        self.assertEqual(self.counter(disk)[1], 0)
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        self.wait_writing(disk)

    def test_arguments_and_descriptors_pass_untouched(self):
        log, links = self.dir / "argv", self.dir / "fds"
        fake = self.script("fake-qemu", f"printf '%s\\0' \"$0\" \"$@\" >{log}\n"
                           f"ls -l /proc/$$/fd >{links}\nexit 7")
        user = ["-name", "two words", "-append", "", "-append", "a\nb", "-fw_cfg",
                "name=opt/x,string=$HOME '\"\\", "--name", "ünï", *self.drive(self.disk("a.raw"))]
        reader, writer = os.pipe()
        high = os.dup2(reader, 47)
        vm = self.start("vm", *user, qemu=fake, machine=(), pass_fds=[reader, writer, high],
                        options=["--start", "direct"])
        self.assertEqual(vm.wait_end(), 7, vm.err)
        words = log.read_text().split("\0")[:-1]
        self.assertEqual(words[-len(user):], [str(word) for word in user])
        self.assertEqual(Path(words[0]).name, "fake-qemu")
        pipe = os.readlink(f"/proc/self/fd/{reader}")
        for fd in (reader, writer, high):
            self.assertRegex(links.read_text(), rf"\b{fd} -> {pipe.replace('[', '.').replace(']', '.')}")
            os.close(fd)


class JobControl(VmTest):
    options = ()

    def setUp(self):
        super().setUp()
        self.master, slave = pty.openpty()
        reader, writer = os.pipe()
        self.addCleanup(os.close, self.master)
        self.disk_path = self.guest("halt")
        self.shell = self.spawn(
            [sys.executable, JOB_CONTROL, writer, VMLATCH, "run", "--name", "vm", *self.options, "--",
             QEMU, *MACHINE, *self.drive(self.disk_path)],
            pass_fds=[writer], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        os.close(writer)
        self.report = os.fdopen(reader, encoding="ascii")
        self.addCleanup(self.report.close)
        self.addCleanup(self.end_job)
        self.pid = int(self.said().split()[1])
        wait_for("the VM runs", lambda: self.status("vm").get("run_state") == "running")
        self.qemu = wait_for("no QEMU", lambda: next(
            (pid for pid in [self.pid, *procfs.children(self.pid)] if "-readconfig" in procfs.argv(pid)),
            None))

    def said(self):
        return self.report.readline().strip()

    def end_job(self):
        with contextlib.suppress(ProcessLookupError):  # it is the shell's to wait for, and its number gone then
            os.kill(self.pid, signal.SIGTERM)
            os.kill(self.pid, signal.SIGCONT)
        self.shell.wait(20)

    def states(self):
        return [procfs.state(pid) for pid in (self.pid, self.qemu)]

    def test_ctrl_z_stops_vmlatch_and_qemu_and_fg_continues_both(self):
        os.write(self.master, b"\x1a")
        self.assertEqual(self.said(), f"stopped {int(signal.SIGTSTP)}")
        wait_for(lambda: f"both stopped: {self.states()}", lambda: self.states() == ["T", "T"])
        self.assert_held(self.disk_path)
        os.killpg(self.pid, signal.SIGCONT)
        self.assertEqual(self.said(), "continued")
        wait_for(lambda: f"both go on: {self.states()}", lambda: "T" not in self.states())
        self.assertEqual(self.status("vm")["run_state"], "running")

    def test_ctrl_c_ends_both_with_qemus_status(self):
        os.write(self.master, b"\x03")
        self.assertEqual(self.said(), "exited 0")
        self.assertFalse(procfs.alive(self.qemu))
        self.assert_free(self.disk_path)


class JobControlInPlace(JobControl, InPlaceTest):
    """The process that the terminal knows is QEMU, and its supervisor is in a session of its own."""
    options = ("--in-place",)

    def setUp(self):
        super().setUp()
        self.assertEqual(self.qemu, self.pid)

    def assert_free(self, path):
        self.wait_free(path)  # the supervisor hears of the end after the terminal


if __name__ == "__main__":
    main()
