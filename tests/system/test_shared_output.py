# SPDX-License-Identifier: LGPL-2.1-or-later
"""stderr is QEMU's too: nothing that can be done to it ends a supervisor, or makes it stand still."""

import fcntl
import os
import resource
import signal
import subprocess
import termios

import procfs
from deadline import TIMEOUT, wait_for
from vmtest import AS_ROOT, MACHINE, QEMU, VMLATCH, VmTest, main

LIMIT = 4 << 20     # of a file's size


class SharedOutput(VmTest):
    def supervise(self, stderr, before=(), **more):
        """The process that was started; each change of the VM's state is a line on stderr."""
        self.disk_path = self.guest("writer", writer="me")
        process = self.spawn([*before, VMLATCH, "run", "--name", "vm", "--log-level", "debug", *AS_ROOT, "--", QEMU,
                              *MACHINE, *self.drive(self.disk_path)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, **more)
        self.addCleanup(process.wait, TIMEOUT)
        self.addCleanup(self.vmlatch, "stop", "vm")
        self.wait_running()
        return process

    def wait_running(self):
        wait_for("the VM does not run", lambda: [vm for vm in self.json("list") if vm.get("run_state") == "running"])

    def assert_goes_on(self):
        """What it has to say does not keep it from its work."""
        self.does("pause", "vm", timeout=TIMEOUT)
        self.assert_free(self.disk_path)
        self.does("resume", "vm", timeout=TIMEOUT)
        self.wait_writing(self.disk_path)
        self.assert_held(self.disk_path)

    def terminal(self):
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        return slave

    def pipe(self):
        """Reading end, writing end."""
        ends = os.pipe()
        for end in ends:
            self.addCleanup(os.close, end)
        return ends

    def fill(self, end):
        """By a descriptor of our own: the flag would be everybody's."""
        writer = os.open(f"/proc/self/fd/{end}", os.O_WRONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, writer)
        for size in (65536, 1):
            try:
                while True:
                    os.write(writer, b"." * size)
            except BlockingIOError:
                pass

    @staticmethod
    def drain(end):
        os.set_blocking(end, False)
        read = b""
        try:
            while True:
                read += os.read(end, 65536)
        except BlockingIOError:
            return read

    def test_a_file_at_its_largest(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
        with open(self.dir / "err", "wb") as err:
            process = self.supervise(err, preexec=limit)
            os.lseek(err.fileno(), LIMIT, os.SEEK_SET)  # of what is open: the supervisor's too
            self.assert_goes_on()
            self.assertIsNone(process.poll())
            qemu = self.status("vm")["qemu"]["pid"]
            ignored = procfs.status_in(f"/proc/{qemu}/status")["SigIgn"]
            self.assertEqual(int(ignored, 16) & 1 << signal.SIGXFSZ - 1, 0, "QEMU has the signal as it was")

    def test_a_terminal_that_stops_who_writes_from_the_background(self):
        slave = self.terminal()
        settings = termios.tcgetattr(slave)
        settings[3] |= termios.TOSTOP
        termios.tcsetattr(slave, termios.TCSANOW, settings)

        def own():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        # with job control the shell stays in the foreground
        process = self.supervise(slave, before=("bash", "-mc", '"$@" & wait', "-"), preexec=own)
        self.assert_goes_on()
        self.assertIsNone(process.poll())

    def test_a_terminal_that_is_held_back(self):
        slave = self.terminal()
        self.supervise(slave)
        termios.tcflow(slave, termios.TCOOFF)
        self.assert_goes_on()
        termios.tcflow(slave, termios.TCOON)

    def test_a_pipe_that_nobody_reads(self):
        reading, writing = self.pipe()
        self.supervise(writing)
        self.fill(writing)
        self.assert_goes_on()
        self.drain(reading)
        self.does("pause", "vm")
        said = self.drain(reading).decode()
        self.assertRegex(said, r"\Avmlatch: vm: warning: \d+ lines before this one were lost\nvmlatch: vm: ")


main()
