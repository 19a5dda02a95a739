# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a service manager is told (sd_notify): the test is the manager, QEMU the stand-in."""

import os
import signal
import socket
import struct
import subprocess
from pathlib import Path

import locks
import procfs
from deadline import TIMEOUT, wait_for
from faketest import FakeTest, main
from vmtest import VMLATCH

OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Manager:
    """`said`: (sender's pid, lines) of each datagram that has come."""

    def __init__(self, test, name):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(name)
        self.name, self.said = name.replace("\0", "@"), []
        test.addCleanup(self._socket.close)

    def fill(self):
        """Until nothing more goes into its queue."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as peer:
            while True:
                try:
                    peer.sendto(b"STATUS=of another", self._socket.getsockname())
                except BlockingIOError:
                    return

    def hear(self):
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(65536, 256)
            except BlockingIOError:
                return self.said
            pid = struct.unpack("3i", ancillary[0][2])[0]
            self.said.append((pid, data.decode().splitlines()))

    def lines(self):
        return [line for _, lines in self.hear() for line in lines]

    def wait(self, line):
        wait_for(lambda: f"{line}; there was {self.lines()}", lambda: line in self.lines())
        return self.lines()

    def statuses(self):
        return [line.removeprefix("STATUS=") for line in self.lines() if line.startswith("STATUS=")]


class ServiceTest(FakeTest):
    def setUp(self):
        super().setUp()
        self.manager = Manager(self, str(self.dir / "notify"))
        self.environment.update(NOTIFY_SOCKET=self.manager.name, WATCHDOG_USEC="5000000",
                                WATCHDOG_PID="1")


class Told(ServiceTest):
    def test_a_vm_is_ready_when_its_guest_runs_and_stops_once(self):
        vm = self.one_disk()
        self.manager.wait("READY=1")
        self.assertIn(["READY=1", "STATUS=running, locks held"],
                      [lines for _, lines in self.manager.said])
        self.assertEqual(self.manager.lines()[0], "STATUS=starting: it takes its locks")
        self.assertEqual({pid for pid, _ in self.manager.said}, {vm.pid}, "the supervisor speaks")
        self.does("stop", "vm")
        lines = self.manager.lines()
        self.assertEqual((lines.count("READY=1"), lines.count("STOPPING=1")), (1, 1), lines)
        self.assertLess(lines.index("READY=1"), lines.index("STOPPING=1"))
        self.assertEqual(self.manager.statuses()[-2:], ["ending", "QEMU has ended"])
        self.assertNotIn("MAINPID", "".join(lines))

    def test_it_is_not_ready_before_its_locks_nor_before_the_guest_runs(self):
        path = self.disk("disk.raw")
        with locks.Held(path):
            vm = self.start("vm", *self.drive(path), options=("--wait", "60"),
                            script=["on cont ignore"])
            self.manager.wait("STATUS=starting: it takes its locks")
            self.assertIn("EXTEND_TIMEOUT_USEC=150000000", self.manager.lines())
        self.manager.wait("STATUS=resuming, locks held")
        vm.fake.wait_command("cont")
        self.assertNotIn("READY=1", self.manager.lines())
        vm.fake.tell("forget cont", "status running", "event RESUME")
        self.manager.wait("READY=1")
        self.assertEqual(sum("EXTEND" in line for line in self.manager.lines()), 1)

    def test_each_state_is_told_in_words_and_nothing_twice(self):
        vm = self.released()
        self.does("resume", "vm")
        vm.fake.tell("status io-error", "event STOP")
        wait_for(lambda: f"an I/O error; there was {self.manager.statuses()}",
                 lambda: self.manager.statuses()[-1].startswith("io-error, locks released"))
        statuses = self.manager.statuses()
        self.assertIn("paused, locks released (user); 'vmlatch resume' lets it go on", statuses)
        self.assertRegex(statuses[-1], r"^io-error, locks released \(io-error\); mend the storage")
        self.assertEqual(statuses.count("running, locks held"), 2)
        self.assertFalse([one for one, other in zip(statuses, statuses[1:]) if one == other])
        self.assertEqual(self.manager.lines().count("READY=1"), 1)

    def test_with_a_stopped_guest_it_is_ready_when_that_could_run(self):
        self.start("vm", *self.drive(self.disk("disk.raw")), "-S")
        self.manager.wait("READY=1")
        self.assertRegex(self.manager.statuses()[-1], r"^\S+, locks held \(user: it was started with -S\)")

    def test_a_migrations_target_is_ready_when_it_waits(self):
        self.start("vm", *self.drive(self.disk("disk.raw")), "-incoming", "defer")
        self.manager.wait("READY=1")
        self.assertRegex(self.manager.statuses()[-1], r"^inmigrate, locks registered \(migration")

    def test_a_refused_start_is_never_ready_and_says_why(self):
        path = self.disk("disk.raw")
        holder = self.running("holder", *self.drive(path),
                              env={key: value for key, value in self.environment.items()
                                   if key not in OURS})
        self.refused(75, "vm", *self.drive(path))
        self.assertNotIn("READY=1", self.manager.lines())
        self.assertRegex(self.manager.statuses()[-1], rf"^not started: {path} is in use by VM 'holder' "
                         rf".*pid {holder.qemu},")

    def test_a_name_in_use_is_told_too(self):
        vm = self.one_disk()
        self.manager.wait("READY=1")
        self.refused(75, "vm", *self.drive(self.disk("other.raw")))
        self.assertEqual(self.manager.statuses()[-1],
                         f"not started: VM 'vm' is already running (supervisor pid {vm.pid})")

    def test_a_crash_of_qemu_is_told(self):
        vm = self.one_disk()
        self.manager.wait("READY=1")
        os.kill(vm.qemu, signal.SIGSEGV)
        self.assertEqual(vm.wait_end(), -signal.SIGSEGV)
        self.assertIn("STOPPING=1", self.manager.lines())

    def test_an_abstract_socket_will_do(self):
        other = Manager(self, f"\0vmlatch-{os.getpid()}")
        self.one_disk(env=dict(self.environment, NOTIFY_SOCKET=other.name))
        other.wait("READY=1")

    def test_what_a_busy_manager_missed_is_told_when_it_reads_again(self):
        self.manager.fill()
        self.one_disk()
        self.assertNotIn("READY=1", self.manager.lines())  # and that has read them all
        self.manager.wait("READY=1")
        self.assertEqual(self.manager.statuses()[-1], "running, locks held")

    def test_no_manager_is_no_reason_not_to_run(self):
        vm = self.one_disk(env=dict(self.environment, NOTIFY_SOCKET=str(self.dir / "nowhere")))
        self.assert_says("the service manager cannot be told of it: No such file", vm.err)
        self.assertEqual(vm.err.count("service manager"), 1)


class Environment(ServiceTest):
    def test_of_qemu_has_nothing_of_ours(self):
        vm = self.one_disk(env=dict(self.environment, JOURNAL_STREAM="1:1"))
        lines = Path(f"/proc/{vm.qemu}/environ").read_text(encoding="utf-8").split("\0")
        names = {line.partition("=")[0] for line in lines}
        self.assertFalse(names & set(OURS))
        self.assertIn("JOURNAL_STREAM", names, "that is true of QEMU's stderr as well")

    def test_of_a_drop_in_is_its_callers_who_is_told_nothing(self):
        os.symlink(VMLATCH, self.dir / "qemu-system-x86_64")
        (self.config / "vmlatch.conf").write_text(f"qemu = {self.script('real', 'env; exit 7')}\n")
        process = self.spawn([self.dir / "qemu-system-x86_64", *self.drive(self.disk("disk.raw"))],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        out, _ = process.communicate(timeout=TIMEOUT)
        wait_for("the supervisor stays", lambda: not procfs.with_environment(str(self.runtime)))
        self.assertEqual(process.returncode, 7)
        for name in OURS:
            self.assertIn(f"{name}={self.environment[name]}\n", out)
        self.assertEqual(self.manager.lines(), [])


class Journal(ServiceTest):
    """The journal is the test: of each stream that was opened there it sees all that was said."""

    SAYS = "echo '<0>out'; echo '<1>err' >&2; env >env; exit 7"

    def setUp(self):
        super().setUp()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.dir / "stdout"))
        self._listener.listen()
        self._listener.settimeout(TIMEOUT)
        self.addCleanup(self._listener.close)
        self._ours = self._connect()
        info = os.fstat(self._ours.fileno())
        self.environment["JOURNAL_STREAM"] = f"{info.st_dev}:{info.st_ino}"

    def _connect(self):
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.connect(str(self.dir / "stdout"))
        self.addCleanup(ours.close)
        return ours

    def _run(self, *options, program=VMLATCH, **more):
        qemu = self.script("qemu", f"cd {self.dir}; {self.SAYS}")
        words = [*options, "--", qemu] if program == VMLATCH else []
        process = self.spawn([program, *words, *self.drive(self.disk("disk.raw"))],
                             **{"stdin": subprocess.DEVNULL, "stdout": self._ours, "stderr": self._ours, **more})
        self.assertEqual(process.wait(TIMEOUT), 7)
        wait_for("the supervisor stays", lambda: not procfs.with_environment(str(self.runtime)))
        self._ours.close()

    def _streams(self):
        """What was said in each."""
        said = []
        while True:
            try:
                stream, _ = self._listener.accept()
            except BlockingIOError:
                return said
            with stream, stream.makefile(encoding="utf-8") as file:
                stream.settimeout(TIMEOUT)
                said.append(file.read())
            self._listener.setblocking(False)

    def _of_qemu(self, stream):
        """What is said behind the header, which names this test's own unit, if there is one."""
        head, first, rest = stream.partition("<")
        self.assertRegex(head, r"^vmlatch\n([^\n]+\.(service|scope))?\n30\n0\n0\n0\n0\n$")
        return first + rest

    def test_takes_qemus_lines_as_text_and_ours_with_their_level(self):
        self._run("run", "--name", "vm")
        ours, qemus = self._streams()
        self.assertEqual(self._of_qemu(qemus), "<0>out\n<1>err\n")
        self.assertRegex(ours, "(?m)^<[3-5]>vmlatch: vm: ")
        self.assertNotRegex(ours, "out|err")
        self.assertNotIn("JOURNAL_STREAM", (self.dir / "env").read_text(encoding="utf-8"))

    def test_in_place_too(self):
        self._run("run", "--name", "vm", "--in-place")
        self.assertEqual(self._of_qemu(self._streams()[1]), "<0>out\n<1>err\n")

    def test_that_is_stdout_alone_has_no_more(self):
        err = self.dir / "err"
        with err.open("wb") as file:
            self._run("run", "--name", "vm", stderr=file)
        self.assertEqual(self._of_qemu(self._streams()[1]), "<0>out\n")
        self.assertIn("<1>err\n", err.read_text(encoding="utf-8"))

    def test_with_a_stream_for_stdout_and_one_for_stderr_has_one_for_qemu(self):
        with self._connect() as other:
            self._run("run", "--name", "vm", stdout=other)
        _, other, qemus = self._streams()
        self.assertEqual((other, self._of_qemu(qemus)), ("", "<0>out\n<1>err\n"))

    def test_of_another_or_that_does_not_listen_any_more_is_as_it_was(self):
        journal = self.environment["JOURNAL_STREAM"]
        for name, value, listens in (("another", "1:1", True), ("deaf", journal, False)):
            with self.subTest(name):
                self.environment["JOURNAL_STREAM"] = value
                if not listens:
                    (self.dir / "stdout").unlink()
                with self._ours.dup() as kept:
                    self._run("run", "--name", "vm")
                    self._ours = kept.dup()
                self.addCleanup(self._ours.close)
                self.assertIn(f"JOURNAL_STREAM={value}\n", (self.dir / "env").read_text(encoding="utf-8"))
        self._ours.close()
        (ours,) = self._streams()
        self.assertEqual((ours.count("<0>out\n"), ours.count("<1>err\n")), (2, 2))

    def test_of_a_drop_ins_caller_is_as_it_was(self):
        qemu = self.dir / "qemu-system-x86_64"
        os.symlink(VMLATCH, qemu)
        (self.config / "vmlatch.conf").write_text(f"qemu = {self.dir / 'qemu'}\n")
        self._run(program=qemu)
        (ours,) = self._streams()
        self.assertEqual(ours.replace("<0>out\n<1>err\n", ""), "")
        self.assertIn("JOURNAL_STREAM=", (self.dir / "env").read_text(encoding="utf-8"))


class InPlace(ServiceTest):
    def test_says_whose_end_is_the_services(self):
        path = self.disk("disk.raw")
        vm = self.start("vm", *self.drive(path), options=("--in-place",))
        lines = self.manager.wait("READY=1")
        self.assertIn(f"MAINPID={vm.pid}", lines)
        supervisor = self.status("vm")["supervisor"]["pid"]
        self.assertEqual({pid for pid, _ in self.manager.said}, {supervisor})
        self.does("stop", "vm")
        vm.wait_end()
        self.manager.wait("STOPPING=1")
        wait_for("the supervisor stays", lambda: not procfs.alive(supervisor))


if __name__ == "__main__":
    main()
