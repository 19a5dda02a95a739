# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs in place: the process that was started becomes QEMU, and the supervisor is nobody's child."""

import os
import shutil
import subprocess
from pathlib import Path

import procfs
from deadline import TIMEOUT, wait_for
from vmtest import MACHINE, QEMU, VMLATCH, Result, Vm, VmTest


class InPlaceVm(Vm):
    """Its process is QEMU once it has its locks."""
    _supervisor = None

    def find_qemu(self):
        words = procfs.argv(self.pid)
        if self._qemu is None and "-readconfig" in words and procfs.exe(self.pid) != procfs.exe_of(VMLATCH):
            self._qemu = self.pid
        return self._qemu

    def is_this(self, status):
        return status.get("qemu", {}).get("pid") == self.pid

    def known(self):
        super().known()
        self._supervisor = self.status()["supervisor"]["pid"]
        return self

    @property
    def supervisor(self):
        return self._supervisor

    @property
    def log(self):
        """What the supervisor says once QEMU runs."""
        return (self.test.runtime / self.name / "log").read_text()

    def wait_gone(self):
        """Until the supervisor has cleaned up, too."""
        if self._supervisor:
            wait_for(f"the supervisor of {self.name} lives on",
                     lambda: not procfs.alive(self._supervisor))


class InPlaceTest(VmTest):
    vm_class = InPlaceVm

    def setUp(self):
        super().setUp()
        self.addCleanup(self._let_supervisors_leave)  # runs before what looks for leftovers

    def start(self, name, *qemu_args, options=(), **more):
        return super().start(name, *qemu_args, options=["--in-place", *options], **more)

    def _let_supervisors_leave(self):
        self._terminate_all()
        self.wait_nobody()

    def supervisors(self):
        started = {vm.pid for vm in self.vms}
        if os.geteuid() != 0:   # only root may look at their environment
            return [pid for pid in procfs.pids() if pid not in started and self._may_be_ours(pid)]
        return [pid for pid in procfs.with_environment(str(self.runtime))
                if pid not in started and self._is_supervisor(pid)]

    def _may_be_ours(self, pid):
        """By its arguments: one of ours that has just been forked off, or what it is called then."""
        words = procfs.argv(pid)
        titles = {f"vmlatch: {vm.name}" for vm in self.vms}
        return procfs.alive(pid) and (bool(words) and words[0].strip() in titles
                                      or words[:1] == [VMLATCH] and any(str(self.dir) in word for word in words))

    @staticmethod
    def _is_supervisor(pid):
        """One that has just been forked off is not called so yet."""
        return (procfs.argv(pid) or [""])[0].startswith("vmlatch: ") or procfs.exe(pid) == procfs.exe_of(VMLATCH)

    def wait_nobody(self, timeout=TIMEOUT):
        """Until no vmlatch of this test is left."""
        try:
            wait_for("a supervisor stays", lambda: not self.supervisors(), timeout)
        except AssertionError:
            pass  # it will be named as left over


class DropInTest(InPlaceTest):
    """`self.path` begins with a directory where QEMU's names lead to vmlatch."""
    NAME = "qemu-system-x86_64"

    def setUp(self):
        super().setUp()
        self.links = self.dir / "bin"
        self.links.mkdir()
        self.link(self.links / self.NAME)
        self.use_path(self.links, os.path.dirname(shutil.which(QEMU)), "/usr/bin", "/bin")

    def use_path(self, *directories):
        self.environment["PATH"] = ":".join(map(str, directories))

    @staticmethod
    def link(path, target=None):
        os.symlink(target or shutil.which(VMLATCH), path)
        return path

    def start(self, name, *qemu_args, options=(), qemu=None, machine=MACHINE, **more):
        """As somebody starts QEMU; `name` becomes -name."""
        assert not options
        self._spawned += 1
        files = [self.dir / f"{self._spawned}.{kind}" for kind in ("out", "err")]
        naming = ["-name", name] if name else []
        more.setdefault("stdin", subprocess.DEVNULL)
        with open(files[0], "wb") as out, open(files[1], "wb") as err:
            more.setdefault("stdout", out)
            process = self.spawn([qemu or self.NAME, *machine, *naming, *qemu_args], stderr=err,
                                 executable=self.find(qemu or self.NAME), **more)
        vm = self.vm_class(self, name or f"vm-{process.pid}", process, files)
        self.vms.append(vm)
        return vm

    def find(self, name):
        return shutil.which(str(name), path=self.environment["PATH"]) or str(name)

    def call(self, *words, qemu=None, timeout=60, **more):
        """A call of QEMU to its end."""
        done = subprocess.run([qemu or self.NAME, *map(str, words)], stdin=subprocess.DEVNULL,
                              executable=self.find(qemu or self.NAME), capture_output=True,
                              text=True, errors="surrogateescape", timeout=timeout, check=False,
                              env=more.pop("env", self.environment), **more)
        return Result(done.returncode, done.stdout, done.stderr)

    def bare(self, *words, **more):
        """The same without vmlatch."""
        done = subprocess.run([self.NAME, *map(str, words)], executable=shutil.which(QEMU),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="surrogateescape", timeout=60, check=False,
                              env=self.environment, **more)
        return Result(done.returncode, done.stdout, done.stderr)


class Daemon(Vm):
    """A QEMU that was started with -daemonize: `pid` is what its pid file says."""

    def __init__(self, test, name, pidfile):
        self.test, self.name = test, name
        self.pid = self._qemu = int(Path(pidfile).read_text(encoding="ascii"))
        self._supervisor = self.status()["supervisor"]["pid"]

    def is_this(self, status):
        return status.get("qemu", {}).get("pid") == self.pid

    @property
    def err(self):
        return (self.test.runtime / self.name / "log").read_text()

    supervisor = InPlaceVm.supervisor
    wait_gone = InPlaceVm.wait_gone
