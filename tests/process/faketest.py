# SPDX-License-Identifier: LGPL-2.1-or-later
"""The harness of the process tests: the built vmlatch with the scripted stand-in for QEMU.

Meson sets VMLATCH and VMLATCH_QEMU (the stand-in, tests/fake_qemu), and PYTHONPATH to the harness of the
system tests, which this one extends.
"""

import contextlib
import json
import os
import socket
import subprocess
import time

import locks
import procfs
from deadline import TIMEOUT, wait_for
from vmtest import VMLATCH, VmTest, main  # main: for the tests

__all__ = ["BARRIER", "DRAIN", "FakeTest", "QUESTIONS", "STOP", "main"]

# What a release asks QEMU, in this order, and nothing else: questions, which go out together, and when
# all answers were good what changes something.
QUESTIONS = ["query-status", "query-jobs", "query-block-exports", "query-named-block-nodes",
             "query-migrate"]
DRAIN = [*QUESTIONS, "xen-save-devices-state", "query-status"]
BARRIER = DRAIN[0]
DRAINS = "QEMU has said that the guest stopped; its last write is not done yet"
STOP = ("status paused", "event STOP")


class Fake:
    """One stand-in: what it was told, and a way to tell it more."""

    def __init__(self, directory):
        self.log_path, self.control_path = directory / "log", directory / "control"
        self.script_path = directory / "script"
        self._reply_path = directory / "reply"

    def environment(self, script):
        self.script_path.write_text("\n".join(script) + "\n")
        return {"FAKE_QEMU_LOG": str(self.log_path), "FAKE_QEMU_SCRIPT": str(self.script_path),
                "FAKE_QEMU_CONTROL": str(self.control_path)}

    def log(self):
        if not self.log_path.exists():
            return []
        *lines, _ = self.log_path.read_text().split("\n")
        return [json.loads(line) for line in lines]

    @property
    def started(self):
        """Has QEMU been executed at all?"""
        return bool(self.log())

    def commands(self, behind=0):
        """The names of the commands that came, but the first `behind` ones."""
        return [entry["execute"] for entry in self.log() if "execute" in entry][behind:]

    def signals(self):
        return [entry["signal"] for entry in self.log() if "signal" in entry]

    def unlocked(self):
        """Disks that nobody had locked while the guest ran."""
        return [entry["unlocked"] for entry in self.log() if "unlocked" in entry]

    def wait_command(self, name, count=1, timeout=TIMEOUT):
        wait_for(lambda: f"{count} times {name}; there was {self.commands()}",
                 lambda: self.commands().count(name) >= count, timeout)

    def tell(self, *lines, wait=True):
        """Do these steps now; not to be waited for if they make vmlatch freeze it."""
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as peer:
            self._reply_path.unlink(missing_ok=True)
            peer.bind(str(self._reply_path))
            peer.settimeout(TIMEOUT)
            peer.sendto("\n".join(lines).encode(), str(self.control_path))
            assert not wait or peer.recv(64) == b"done"


class FakeTest(VmTest):
    def start(self, name, *qemu_args, script=(), **more):
        directory = self.dir / f"fake{self._spawned}"
        directory.mkdir()
        directory.chmod(0o777)  # whoever it runs as
        fake = Fake(directory)
        environment = dict(more.pop("env", self.environment), **fake.environment(script))
        vm = super().start(name, *qemu_args, env=environment, **more)
        vm.fake = fake
        return vm

    def one_disk(self, name="vm", **more):
        """A running VM with one raw disk."""
        path = self.disk(f"{name}.raw")
        vm = self.running(name, *self.drive(path), **more)
        vm.disk = path
        return vm

    def released(self, name="vm", **more):
        vm = self.one_disk(name, **more)
        self.does("pause", name)
        vm.wait_state(lock="released")
        return vm

    def stop_by_itself(self, vm, status="paused"):
        """The guest stops, in this state; nobody has asked for it."""
        vm.fake.tell(f"status {status}", "event STOP")

    def settled(self, vm, **states):
        """Wait until nothing is under way, then until status says these words."""
        vm.wait_state(**states)
        return vm.status()

    def assert_stays_held(self, vm, reason, **states):
        """Paused, and the locks stay for this reason."""
        wait_for(lambda: f"held because of {reason}, but {vm.status()}\n{vm.err}",
                 lambda: vm.status().get("held_because", DRAINS) != DRAINS)
        seen = self.settled(vm, lock="held", **states)
        self.assert_says(reason, seen["held_because"])
        self.assert_held(vm.disk)
        return seen

    def in_background(self, *words):
        """A verb that is not waited for."""
        verb = self.spawn([VMLATCH, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)
        self.verbs.append(verb)
        return verb

    def finished(self, process, timeout=TIMEOUT):
        """(exit status, stderr) of what in_background() has started."""
        _, err = process.communicate(timeout=timeout)
        return process.returncode, err

    def state_file(self, name):
        return json.loads((self.runtime / name / "state.json").read_text())

    def wait_frozen(self, vm):
        wait_for(f"{vm.name}'s QEMU is not stopped", lambda: procfs.is_stopped(vm.qemu))

    def assert_nothing_left(self, vm):
        """After the end: no lock, no process, no directory."""
        self.assert_free(vm.disk)
        self.assertFalse(procfs.alive(vm.qemu))
        self.assertFalse((self.runtime / vm.name).exists())

    def other_holds(self, path):
        """Somebody else's lock, for a with block."""
        return locks.Held(path)

    @staticmethod
    def write_to(path):
        with open(path, "r+b") as file:
            file.write(b"somebody else was here")
        now = time.time_ns()  # the file system's own clock is coarse
        os.utime(path, ns=(now, now))
