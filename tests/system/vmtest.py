# SPDX-License-Identifier: LGPL-2.1-or-later
"""The harness of the system tests: the built vmlatch, real QEMU, a private directory.

Meson sets VMLATCH (the program), GUESTS (the built guests) and VMLATCH_QEMU. After each test nothing
may be left: no process of the test, no lock on its images, nothing in the runtime directory but end
records. A test that leaves something on purpose says so (left_behind) or ends it itself (kill).
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import NamedTuple

import locks
import procfs
from deadline import TIMEOUT, wait_for
from qmp import Qmp

VMLATCH = os.environ.get("VMLATCH", "vmlatch")
GUESTS = Path(os.environ.get("GUESTS", "."))
QEMU = os.environ.get("VMLATCH_QEMU", "qemu-system-x86_64")
STRICT = bool(os.environ.get("CI") or os.environ.get("VMLATCH_TESTS_STRICT"))

# No default device and no window: no monitor that vmlatch would not know of.
MACHINE = ("-nodefaults", "-display", "none", "-accel", "tcg", "-machine", "pc", "-m", "32")

# That the user wants it so: nothing is said of it.
AS_ROOT = ("--user", "root") if os.geteuid() == 0 else ()

# So that root's QEMU may open the images of others.
OTHERS_FILES = ("--keep-capability", "dac_override")

COUNTER_OFFSET = 512        # where the guests 'counter' and 'writer' write
WRITER_NAME_OFFSET = 416    # where the guest 'writer' has its name
WRITER_PACE_OFFSET = 432    # and its pace: 0 is as fast as it can
RELEASE_ALL = ("--release-on", "stop,watchdog,io-error")
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Result(NamedTuple):
    status: int
    out: str
    err: str


def missing(part):
    """A real part is not there: a failure in CI, a skip elsewhere."""
    if STRICT:
        raise AssertionError(f"{part} is missing, and this is CI")
    raise unittest.SkipTest(f"{part} is missing")


def need_root():
    if os.geteuid() != 0:
        missing("root")


def need_file_system(name):
    """What this kernel cannot have is no failure, in CI either; but it is said."""
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", name], check=False, stderr=subprocess.DEVNULL)
    if name not in Path("/proc/filesystems").read_text(encoding="ascii").split():
        raise unittest.SkipTest(f"this kernel has no {name} (/proc/filesystems)")


def die_with_parent(number=signal.SIGTERM):
    _libc.prctl(PR_SET_PDEATHSIG, number)


def underscored(value):
    """JSON with 'a-b' members as 'a_b', so that tests spell a member one way."""
    if isinstance(value, dict):
        return {key.replace("-", "_"): underscored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [underscored(item) for item in value]
    return value


class Vm:
    """One 'vmlatch run' that was started; its process is the supervisor."""

    def __init__(self, test, name, process, files):
        self.test, self.name, self.process = test, name, process
        self.pid = process.pid
        self._out, self._err = files
        self._qemu = None

    @property
    def out(self):
        return self._out.read_text(errors="replace")

    @property
    def err(self):
        return self._err.read_text(errors="replace")

    @property
    def qemu(self):
        """QEMU's pid; waits for it. Stays known when both are dead."""
        return wait_for(lambda: f"{self.name} has no QEMU:\n{self.err}", self.find_qemu)

    def known(self):
        """Learn QEMU's pid while it lives, for questions after its death."""
        assert self.qemu
        return self

    def find_qemu(self):
        """QEMU's pid, or None if it was not started yet."""
        for child in procfs.children(self.pid) if self._qemu is None else []:
            words = procfs.argv(child)
            if words and words[0] != VMLATCH and "-readconfig" in words:
                self._qemu = child
        return self._qemu

    def status(self):
        return self.test.status(self.name)

    def is_this(self, status):
        """What a dead VM of that name has left is not this one's state."""
        return status.get("supervisor", {}).get("pid") == self.pid

    def wait_state(self, run=None, lock=None, timeout=TIMEOUT):
        """Wait until `status` says these words; one of them may be a tuple of words."""
        def words(value):
            return (value,) if isinstance(value, str) else value
        seen = {}

        def reached():
            seen.clear()
            seen.update(self.status())
            if not seen and not self.is_alive():
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.err}")
            return (self.is_this(seen)
                    and (run is None or seen.get("run_state") in words(run))
                    and (lock is None or seen.get("lock_state") in words(lock)))
        wait_for(lambda: f"{self.name} should be {run}, {lock}, but is {seen}\n{self.err}\n"
                         f"{self.test.all_there_is()}", reached, timeout)
        return seen

    def wait_end(self, timeout=TIMEOUT):
        """The exit status; -SIGNAL when a signal killed it."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {timeout} s\n{self.err}\n"
                                 f"{self.test.all_there_is()}") from None

    def wait_gone(self):
        """Until the supervisor has cleaned up, too."""
        self.wait_end()

    def is_alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill_supervisor(self):
        """SIGKILL the supervisor alone: QEMU lives on, and what it left is not cleaned up."""
        qemu = self.qemu
        self.process.kill()
        self.process.wait()
        self.test.left_behind.add(self.name)
        return qemu


class Follower:
    """'vmlatch events --follow': the events of VMs, from the first that is known."""

    def __init__(self, test, *names):
        self.test = test
        self.process = test.spawn([VMLATCH, "events", *names, "--follow", "--since", "0"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self._buffer, self.events, self._taken = b"", [], 0
        test.addCleanup(self.close)

    def _read(self):
        data = self.process.stdout.read()
        if data:
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            self.events += [json.loads(line) for line in lines]

    def wait(self, name, accept=lambda data: True, timeout=TIMEOUT):
        """The next event of that name whose data is accepted."""
        def found():
            self._read()
            while self._taken < len(self.events):
                event = self.events[self._taken]
                self._taken += 1
                if event.get("event") == name and accept(underscored(event.get("data", {}))):
                    return event
            return None
        return wait_for(lambda: f"event {name}; there were {self.names()}", found, timeout)

    def wait_lock_state(self, state, timeout=TIMEOUT):
        return self.wait("VMLATCH_LOCK_STATE", lambda data: lock_state_of(data) == state, timeout)

    def lock_states(self):
        self._read()
        return [lock_state_of(underscored(event.get("data", {}))) for event in self.events
                if event.get("event") == "VMLATCH_LOCK_STATE"]

    def names(self):
        self._read()
        return [event.get("event") for event in self.events]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def lock_state_of(data):
    """The lock state that a VMLATCH_LOCK_STATE event's data names."""
    return data.get("lock_state", data.get("state"))


class VmTest(unittest.TestCase):
    maxDiff = None
    vm_class = Vm
    writer_rests = True     # no: the guest 'writer' has a write under way at every moment, and takes a processor

    def setUp(self):
        if not shutil.which(VMLATCH):
            missing(VMLATCH)
        if not shutil.which(QEMU):
            missing(QEMU)
        # short: a unix socket's path has 107 bytes
        self.dir = Path(tempfile.mkdtemp(prefix="vmlatch-"))
        self.dir.chmod(0o711)  # --user tests: another user passes through
        self.runtime, self.config = self.dir / "run", self.dir / "conf"
        self.config.mkdir()
        # VMTEST_OF: QEMU does not get vmlatch's own variables, and is to be found by one
        self.environment = dict(os.environ, VMTEST_OF=str(self.runtime), VMLATCH_RUNTIME_DIR=str(self.runtime),
                                VMLATCH_CONFIG_DIR=str(self.config), LC_ALL="C.UTF-8")
        self.vms, self.images, self.left_behind, self._spawned = [], [], set(), 0
        self.verbs = []     # those that run in the background
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.addCleanup(self._end_everything)

    # --- images ---

    def guest(self, guest, name=None, writer=None):
        """A copy of a built guest; `writer`: the name that the guest 'writer' writes."""
        path = self.dir / (name or f"{guest}.img")
        shutil.copyfile(GUESTS / f"{guest}.img", path)
        if writer:
            with open(path, "r+b") as file:
                file.seek(WRITER_NAME_OFFSET)
                file.write(writer.encode().ljust(16, b"\0"))
        if guest == "writer" and not self.writer_rests:
            with open(path, "r+b") as file:
                file.seek(WRITER_PACE_OFFSET)
                file.write(b"\0")
        self.images.append(path)
        return path

    def disk(self, name, size=1 << 20):
        path = self.dir / name
        path.write_bytes(b"")
        os.truncate(path, size)
        self.images.append(path)
        return path

    def qcow2(self, name, backing=None, backing_format="raw", options=None, source=None):
        """A qcow2 image: empty, over a backing file, or with the contents of a raw image."""
        path = self.dir / name
        more = ["-o", options] if options else []
        if source:
            command = ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", *more, source, path]
        elif backing:
            command = ["qemu-img", "create", "-q", "-f", "qcow2", *more, "-b", backing,
                       "-F", backing_format, path]
        else:
            command = ["qemu-img", "create", "-q", "-f", "qcow2", *more, path, "1M"]
        subprocess.run([str(word) for word in command], check=True, env=self.environment)
        self.images.append(path)
        return path

    @staticmethod
    def drive(path, *more, interface="ide", form="raw"):
        return ("-drive", ",".join([f"file={path}", f"format={form}", f"if={interface}", *more]))

    def counter(self, path):
        """(name, number) that the guest 'writer' wrote last."""
        with open(path, "rb") as file:
            file.seek(COUNTER_OFFSET)
            sector = file.read(20)
        return sector[:16].rstrip(b"\0").decode(errors="replace"), int.from_bytes(sector[16:20], "little")

    def wait_writing(self, path):
        """Wait until the guest that writes to this disk has written once more."""
        before = self.counter(path)
        wait_for(f"no guest writes to {path}", lambda: self.counter(path) != before)

    # --- processes ---

    def script(self, name, text):
        """An executable shell script, to stand in for QEMU."""
        path = self.dir / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def spawn(self, command, preexec=None, **more):
        def prepare():
            die_with_parent()
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):  # ignored below '&' and nohup
                signal.signal(number, signal.SIG_DFL)
            if preexec:
                preexec()
        return subprocess.Popen([str(word) for word in command], preexec_fn=prepare,
                                env=more.pop("env", self.environment), **more)

    def start(self, name, *qemu_args, options=(), qemu=QEMU, machine=MACHINE, **more):
        """Start a VM and return at once. `name` None: no --name."""
        self._spawned += 1
        files = [self.dir / f"{self._spawned}.{kind}" for kind in ("out", "err")]
        naming = ["--name", name] if name else []
        command = [VMLATCH, "run", *naming, *options, "--", qemu, *machine, *qemu_args]
        more.setdefault("stdin", subprocess.DEVNULL)
        with open(files[0], "wb") as out, open(files[1], "wb") as err:
            more.setdefault("stdout", out)
            process = self.spawn(command, stderr=err, **more)
        vm = self.vm_class(self, name, process, files)
        self.vms.append(vm)
        return vm

    def running(self, name, *qemu_args, lock="held", run="running", **more):
        """Start a VM and wait until it runs under its locks."""
        vm = self.start(name, *qemu_args, **more)
        vm.wait_state(run=run, lock=lock)
        return vm.known()

    def refused(self, status, name, *qemu_args, **more):
        """Start a VM that must not start; returns what it said on stderr."""
        vm = self.start(name, *qemu_args, **more)
        got = vm.wait_end()
        self.assertEqual(got, status, f"{vm.name} should be refused with {status}:\n{vm.err}")
        self.assertEqual(vm.out, "", "a refusal says nothing on stdout")
        self.assert_says("vmlatch: ", vm.err)
        self.assertNotRegex(vm.err, "Sanitizer")
        return vm.err

    def vmlatch(self, *words, timeout=60, **more):
        """Run a verb to its end."""
        done = subprocess.run([VMLATCH, *[str(word) for word in words]], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, check=False,
                              env=more.pop("env", self.environment), **more)
        return Result(done.returncode, done.stdout, done.stderr)

    def does(self, *words, **more):
        """A verb that must succeed; returns what it printed."""
        result = self.vmlatch(*words, **more)
        self.assertEqual(result.status, 0, f"vmlatch {' '.join(map(str, words))}: {result}")
        return result.out

    def fails(self, status, *words, **more):
        """A verb that must fail with this status; returns what it said on stderr."""
        result = self.vmlatch(*words, **more)
        self.assertEqual(result.status, status, f"vmlatch {' '.join(map(str, words))}: {result}")
        self.assert_says("vmlatch: ", result.err)
        return result.err

    def json(self, *words):
        """What a verb prints with --json (an array of objects), members spelt with underscores."""
        result = self.vmlatch(*words, "--json")
        try:
            return underscored(json.loads(result.out or "[]"))
        except json.JSONDecodeError:
            raise AssertionError(f"vmlatch {' '.join(map(str, words))} --json: {result}") from None

    def status(self, name):
        """The VM's object of 'vmlatch status --json'; {} where there is none."""
        return next((vm for vm in self.json("status", name) if vm.get("name") == name), {})

    def qmp(self, path, **more):
        client = Qmp(str(path), **more)
        self.addCleanup(client.close)
        return client

    def control(self, name):
        """vmlatch's own QMP socket of this VM."""
        return self.qmp(self.runtime / name / "qmp.sock")

    def kill(self, pid):
        """SIGKILL, and wait until it is dead."""
        os.kill(pid, signal.SIGKILL)
        wait_for(f"{pid} survives SIGKILL", lambda: not procfs.alive(pid))

    # --- assertions ---

    def assert_says(self, sentence, text):
        self.assertTrue(re.search(sentence, text),
                        f"expected something like\n\t{sentence}\nbut it says\n{text}")

    def assert_held(self, path):
        """Locked for writing by byte 0 and the guard."""
        for byte in (locks.BYTE, locks.GUARD):
            self.assertEqual(locks.seen(path, byte), locks.WRITE,
                             f"byte {byte} of {path} should be write-locked")

    def assert_free(self, path):
        self.assertTrue(locks.is_free(path), f"{path} should be free")

    def wait_free(self, path, timeout=TIMEOUT):
        wait_for(f"{path} is still locked", lambda: locks.is_free(path), timeout)

    def assert_in_use(self, text, disk, holder):
        """The refusal's first sentence: the disk, the VM, where, since when."""
        self.assert_says(rf"{re.escape(str(disk))} is in use by VM '{re.escape(holder.name)}' "
                         rf"\(host \S+, pid {holder.qemu}, since \d{{4}}-\d\d-\d\d \d\d:\d\d\)", text)

    def all_there_is(self):
        """For the message of a test that waited in vain: the VMs, their processes, who has the images locked."""
        pids = {vm.pid for vm in self.vms} | set(procfs.with_environment(str(self.runtime)))
        lines = [line for pid in sorted(pids) for line in procfs.stuck(pid)]
        lines += [f"{image}: {lock} of {pid}" for image in self.images if image.exists()
                  for pid in sorted(pids) for lock in procfs.fd_locks(pid, image)]
        lines.append(f"VMs {self.json('list')}")  # last: to be asked wakes whoever sleeps
        return "\n\t".join(lines)

    # --- the end ---

    def _terminate_all(self):
        for vm in self.vms:
            if vm.process.poll() is None:
                vm.process.terminate()
        for process in [vm.process for vm in self.vms] + self.verbs:  # a verb ends with the VM it asks
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                pass

    def _end_everything(self):
        self._terminate_all()
        problems = [f"{vm.name} did not end by SIGTERM" for vm in self.vms
                    if vm.process.poll() is None]
        problems += self._end_survivors()
        for vm in self.vms:
            vm.process.wait()
            if re.search("Sanitizer|runtime error:", vm.err):
                problems.append(f"{vm.name}: {vm.err}")
        problems += [f"{image} is still locked" for image in self.images
                     if image.exists() and not locks.is_free(image)]
        problems += [f"{entry} is left in the runtime directory" for entry in self._left_in_runtime()]
        if problems:
            said = "\n".join(f"{vm.name}: {vm.err}" for vm in self.vms if vm.err)
            raise AssertionError("left over:\n\t" + "\n\t".join(problems) + f"\n{said}")

    def _end_survivors(self):
        problems = []
        for pid in procfs.with_environment(str(self.runtime)):
            problems.append(f"process {pid}: {' '.join(procfs.argv(pid))}")
            try:
                self.kill(pid)
            except ProcessLookupError:
                pass
        return problems

    def _left_in_runtime(self):
        entries = os.listdir(self.runtime) if self.runtime.exists() else []
        return [entry for entry in entries
                if not entry.endswith((".last.json", ".last.log")) and entry not in self.left_behind]


def main():
    # one line a test: the log of a failed run tells where it stood
    unittest.main(module="__main__", verbosity=2, argv=sys.argv)
