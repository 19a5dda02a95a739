# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU that its guest has taken over tries to lose or to free its disk, by every way that we know of.

The stand-in (tests/stand_in) is started as QEMU would be. It is told one attack after the other, and
says what each call has returned; after each the disk is still refused to everybody else. Meson sets
STAND_IN.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
from typing import NamedTuple

import locks
import procfs
from deadline import TIMEOUT, wait_for
from in_place import InPlaceVm
from users import ALICE, UserTest
from vmtest import Vm, main, underscored

NO_MONITOR = ("-nodefaults", "-display", "none")    # but ours
STAND_IN = os.environ.get("STAND_IN", "stand_in")

OK = "OK"
# as the kernel has it; the filter of QEMU kills, by the supervisor (SIGKILL) where that is told of it
FOREIGN = ("ENOSYS", "SIGKILL", "SIGSYS", "SIGSEGV")
RING = ("OK", "ENOSYS", "EPERM")
NOT_ROOTS = {"same": OK, "other": "EACCES"}                 # whose run directory it is
SIGNAL = {"same": OK, "other": "EPERM"}


class Attack(NamedTuple):
    """What each call must have returned: a word, one of several, or one for each kind of user."""
    name: str
    calls: dict
    fresh: bool = False     # it spoils the VM for the next one


ATTACKS = (
    # by the descriptors that it has
    Attack("unlock-guard", {"fcntl": OK}),
    Attack("take-guard", {"fcntl": "EAGAIN"}),
    Attack("take-guard-posix", {"fcntl": "EAGAIN"}),
    Attack("weaken-all", {"fcntl": "EAGAIN"}),
    Attack("flock", {"flock": OK}),
    Attack("lease", {"fcntl": "EAGAIN"}),
    Attack("unlock-posix", {"fcntl": OK}),
    Attack("open-again", {"open": OK, "unlock": OK, "unlock-posix": OK, "close": OK}),
    Attack("reopen", {"fcntl": OK}),
    Attack("io-uring-open", {"setup": RING, "openat": RING, "unlock": OK, "close": OK}),
    Attack("unshare", {"child": OK, "fork": OK}),
    Attack("user-namespace", {"child": (OK, "EPERM", "ENOSYS"), "fork": OK}),
    Attack("weaken", {"fcntl": OK}),
    Attack("fork", {"child": OK, "fork": OK}, fresh=True),
    Attack("exec", {"helper": OK, "fork": OK}, fresh=True),
    Attack("thread", {"fcntl": OK}, fresh=True),
    Attack("unlock", {"fcntl": OK}, fresh=True),
    Attack("dup", {"fcntl": OK}),
    Attack("dup3", {"fcntl": OK}),
    Attack("dupfd", {"fcntl": OK}),
    Attack("scm-self", {"fcntl": OK}),
    Attack("scm-helper", {"unlock": OK}),
    Attack("int80", {"fcntl": FOREIGN}, fresh=True),
    Attack("x32", {"fcntl": FOREIGN}),
    Attack("close", {"close": OK}),
    Attack("close-range", {"close_range": OK}, fresh=True),
    Attack("io-uring-close", {"setup": RING, "close": RING}, fresh=True),

    # on the supervisor
    Attack("pidfd-getfd", {"pidfd_open": OK, "pidfd_getfd": "EPERM"}, fresh=True),
    Attack("proc", {**{name: "EACCES" for name in (
        "mem", "fdinfo", "fd/3", "environ", "maps", "root/", "cwd/", "task/../mem")},
        **{name: {"same": "EACCES", "other": "EACCES", "root": OK} for name in (
            "fd", "map_files", "oom_score_adj", "coredump_filter")}}),
    Attack("ptrace-attach", {"PTRACE_ATTACH": "EPERM"}),
    Attack("ptrace-seize", {"PTRACE_SEIZE": "EPERM"}),
    Attack("ptrace-user-namespace", {"PTRACE_SEIZE": "EPERM"}),
    Attack("memory", {"process_vm_readv": "EPERM", "process_vm_writev": "EPERM", "kcmp": "EPERM"}),
    Attack("setns", {"setns": "EPERM"}),
    Attack("signals", {"kill": SIGNAL}),
    Attack("prlimit", {"prlimit": SIGNAL}, fresh=True),
    Attack("sigstop", {"SIGSTOP": SIGNAL}, fresh=True),
    Attack("sigterm", {"SIGTERM": SIGNAL}, fresh=True),

    # on files
    Attack("record", {"removexattr": OK, "setxattr": OK}, fresh=True),
    Attack("truncate", {"truncate": OK}),
    Attack("link", {"link": OK}),
    Attack("rename", {"rename": OK}),
    Attack("qmp-socket", {"connect": NOT_ROOTS}, fresh=True),
    Attack("log", {"log": NOT_ROOTS}, fresh=True),
    Attack("state-file", {"state.json": NOT_ROOTS, "damaged": NOT_ROOTS}, fresh=True),
    Attack("lock-file", {"open": NOT_ROOTS, "lock": {"same": "EAGAIN", "other": "EACCES"},
                         "unlock": NOT_ROOTS, "write": NOT_ROOTS}, fresh=True),
    Attack("remove-files", {name: NOT_ROOTS for name in (
        "state.json", "lock", "qmp.sock", "monitor.sock")}, fresh=True),
    Attack("move-directory", {"rename": NOT_ROOTS, "mkdir": {"same": OK, "other": ("EACCES", "EEXIST")}},
           fresh=True),

    # on who listens to its monitor
    Attack("say-something", {"send": OK}, fresh=True),
    Attack("say-stop", {"send": OK}),
    Attack("say-shutdown", {"send": OK}, fresh=True),
    Attack("nonsense", {"send": OK}, fresh=True),
    Attack("close-monitor", {"shutdown": OK}, fresh=True),
)


class StandInTest(UserTest):
    in_place, starter, qemu_user = False, None, None     # of the shape; None: root
    roots_options = ()

    def setUp(self):
        super().setUp()
        self.who = self.qemu_user or self.starter
        self.vm_class = InPlaceVm if self.in_place else Vm
        self.room = self.dir / "room"
        self.room.mkdir()
        self.room.chmod(0o777)
        self.n = 0

    def as_starter(self):
        return self.by(self.starter) if self.starter else contextlib.nullcontext()

    def start(self, name, *qemu_args, options=(), **more):
        more.setdefault("env", dict(self.environment, STAND_IN_SOCKET=str(self.room / f"{name}.sock")))
        if self.in_place:
            options = ["--in-place", *options]
        if self.qemu_user:
            options = ["--user", self.who.uid, *options]
        return super().start(name, *qemu_args, options=options, qemu=STAND_IN, machine=NO_MONITOR, **more)

    def stand_in(self, **more):
        """A VM that runs, with a disk of its own."""
        self.n += 1
        home = self.room / f"home{self.n}"
        home.mkdir()
        disk = home / "disk.raw"
        disk.write_bytes(b"\0" * 65536)
        for path in (home, disk):
            os.chown(path, *((self.who.uid, self.who.uid) if self.who else (0, 0)))
        vm = self.running(f"vm{self.n}", *self.drive(disk), **more)
        vm.disk, vm.supervisor_pid = disk, vm.status()["supervisor"]["pid"]
        vm.rundir = self.runtime / vm.name
        self.assert_held(disk)
        return vm

    def attack(self, vm, name, wait=True):
        """{call: what it has returned}; not to be waited for if vmlatch may freeze it meanwhile."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            path = self.room / "reply"
            path.unlink(missing_ok=True)
            peer.bind(str(path))
            path.chmod(0o777)
            peer.settimeout(TIMEOUT)
            peer.sendto(f"{name} {vm.supervisor_pid} {vm.rundir} {vm.disk}".encode(),
                        str(self.room / f"{vm.name}.sock"))
            if not wait:
                return {}
            report = {}
            for line in peer.recv(65536).decode().splitlines():
                call, _, result = line.rpartition("=")
                report.setdefault(call, set()).add(result)
        return report

    def end(self, vm):
        if procfs.alive(vm.qemu):
            os.kill(vm.qemu, signal.SIGKILL)
        if procfs.alive(vm.supervisor_pid):
            os.kill(vm.supervisor_pid, signal.SIGCONT)
        vm.wait_end()
        wait_for("the supervisor stays", lambda: not procfs.alive(vm.supervisor_pid))
        for left in self.runtime.glob(f"{vm.name}*"):   # it has spoilt its own directory
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def assert_refused(self, vm, disk=None):
        """Nobody else may have it while the supervisor lives."""
        disk = disk or vm.disk
        self.assertTrue(procfs.alive(vm.supervisor_pid), vm.err)
        self.assertEqual(locks.seen(disk, locks.GUARD), locks.WRITE)
        self.assert_refused_to("run", disk)

    def assert_refused_to(self, verb, disk, *more):
        result = self.vmlatch(verb, "--", STAND_IN, *NO_MONITOR, *self.drive(disk, *more), timeout=20)
        self.assertEqual(result.status, 75, result)
        self.assert_says("in use by VM", result.err + result.out)


class Shape:
    """Every attack, in one shape of the start."""

    def kind(self):
        """Towards the supervisor and its files."""
        return "other" if self.qemu_user else "same" if self.starter else "root"

    def is_as_told(self, result, wanted):
        if isinstance(wanted, dict):
            wanted = wanted.get(self.kind(), wanted["same"])
        return result <= ({wanted} if isinstance(wanted, str) else set(wanted))

    def check(self, vm, attack):
        report = self.attack(vm, attack.name)
        self.assertTrue(report, "nothing was tried")
        if "OK" in report.get("setup", {"OK"}):    # no io_uring: the rest of it was not tried
            self.assertEqual(set(report), set(attack.calls), report)
        for call, result in report.items():
            self.assertTrue(self.is_as_told(result, attack.calls[call]), report)
        name = {"rename": "disk.raw.moved", "link": "disk.raw.link"}.get(attack.name, "disk.raw")
        self.assert_refused(vm, vm.disk.with_name(name))
        if "weaken" in attack.name or "unlock" in attack.name:
            self.assert_refused_to("run", vm.disk, "readonly=on")
            self.assert_refused_to("check", vm.disk)
        if attack.name == "rename":
            vm.disk.with_name(name).rename(vm.disk)

    def test_every_attack_leaves_the_disk_refused(self):
        vm = None
        with self.as_starter():
            for attack in ATTACKS:
                if vm is None or attack.fresh:
                    if vm:
                        self.end(vm)
                    vm = self.stand_in()
                with self.subTest(attack.name):
                    self.check(vm, attack)
            self.end(vm)


class AsRoot(Shape, StandInTest):
    """Uid 0 without capabilities still owns root's files."""


class AsRootInPlace(AsRoot):
    in_place = True


class AsAnotherUser(Shape, StandInTest):
    qemu_user = ALICE


class AsAnotherUserInPlace(AsAnotherUser):
    in_place = True


class Rootless(Shape, StandInTest):
    starter = ALICE


class RootlessInPlace(Rootless):
    in_place = True


class Freed(StandInTest):
    """What QEMU has unlocked is lost, as soon as the supervisor wakes for anything."""
    starter = ALICE

    def state_file(self, vm):
        return underscored(json.loads((vm.rundir / "state.json").read_text()))

    def said(self, vm):
        return vm.log if self.in_place else vm.err

    def assert_lost(self, vm):
        wait_for(lambda: f"QEMU runs on\n{self.said(vm)}", lambda: procfs.is_stopped(vm.qemu))
        wait_for("the loss is not told", lambda: self.state_file(vm)["lock_state"] == "lost")
        self.assert_says(f"QEMU has unlocked {vm.disk}", self.said(vm))
        self.assert_refused(vm)
        self.end(vm)

    def test_is_lost_at_qemus_next_event(self):
        with self.as_starter():
            vm = self.stand_in()
            self.attack(vm, "unlock")
            self.assertEqual(self.state_file(vm)["lock_state"], "held", "nothing wakes the supervisor")
            self.attack(vm, "say-something", wait=False)
            self.assert_lost(vm)

    def test_for_readers_is_lost_too(self):
        with self.as_starter():
            vm = self.stand_in()
            self.attack(vm, "weaken")
            self.attack(vm, "say-something", wait=False)
            self.assert_lost(vm)

    def test_is_lost_when_somebody_asks(self):
        with self.as_starter():
            vm = self.stand_in()
            self.attack(vm, "unlock")
            self.assertEqual(self.vmlatch("inquire", vm.name).status, 0)
            self.assert_lost(vm)

    def test_is_lost_before_a_pause_gives_the_locks_back(self):
        with self.as_starter():
            vm = self.stand_in()
            self.attack(vm, "unlock")
            self.assertNotEqual(self.vmlatch("pause", vm.name).status, 0)
            self.assert_lost(vm)

    def test_ends_qemu_if_that_was_chosen(self):
        with self.as_starter():
            vm = self.stand_in(options=["--on-lock-failure=poweroff"])
            self.attack(vm, "unlock")
            self.attack(vm, "say-something", wait=False)
            if not self.in_place:
                self.assertEqual(vm.wait_end(), 76, vm.err)
            wait_for("QEMU lives", lambda: not procfs.alive(vm.qemu))
            self.end(vm)

    def test_of_a_vm_that_keeps_it_is_no_loss(self):
        with self.as_starter():
            vm = self.stand_in()
            for _ in range(20):
                self.attack(vm, "say-something")
            vm.wait_state(run="running", lock="held")
            self.end(vm)


class FreedInPlace(Freed):
    in_place = True


if __name__ == "__main__":
    main()
