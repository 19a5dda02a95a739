# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real libvirtd and virtlockd for tests, in namespaces of their own.

What libvirt keeps in /etc, /var and /run is in a directory of the test's, mounted there for these
processes alone. Nothing listens outside, no service manager is needed, and the end is SIGKILL of the
PID namespace's first process: the kernel kills the rest. Files (images) and locks are the host's, and
so are the pids, by another number. As a program this file is that first process.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import procfs
from deadline import wait_for
from vmtest import QEMU, Result, die_with_parent, missing, need_root

SBIN = "/usr/local/sbin:/usr/sbin:/sbin:" + os.environ.get("PATH", "/usr/bin:/bin")
DAEMONS = ("virtlockd", "libvirtd")
PARTS = (*DAEMONS, "virsh", "unshare", "nsenter")

# what is inside -> which directory of ours; /var/lib/libvirt may not exist, so all of /var/lib
PLACES = {"/etc/libvirt": "etc", "/var/lib": "lib", "/var/log": "log", "/var/cache": "cache",
          "/run": "run"}

# libvirtd does not begin without them; the package that makes them enables services, so it is not used
ACCOUNTS = {"passwd": "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n",
            "group": "libvirt-qemu:x:64055:\n"}

# where libvirt and its QEMU do not agree whether they may use it, libvirt asks QEMU anew what it can do
# each time, for seconds
KVM = "/dev/kvm"

LIBVIRTD_CONF = """\
unix_sock_group = "root"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""

# The rest is as it comes: QEMU has its own user, who is given the images (dynamic_ownership), and whose
# they were is remembered (remember_owner).
QEMU_CONF = """\
lock_manager = "{lock_manager}"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""

DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    <emulator>{qemu}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
      {more}
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


class Lab:
    """`lockspace`: virtlockd locks files in that directory of the lab's, not the images; `cache`: a
    directory for what libvirt finds out about QEMU, which takes seconds."""

    def __init__(self, lockspace=False, cache=None, lock_manager="lockd"):
        need_root()
        for part in PARTS:
            if not shutil.which(part, path=SBIN):
                missing(part)
        self.dir = Path(tempfile.mkdtemp(prefix="vmlatch-libvirt-"))
        self.dir.chmod(0o711)  # QEMU's user passes through
        self.lockspace = self.dir / "lockspace" if lockspace else None
        self._namespace, self._daemons = None, {}
        try:
            self._write_config(cache, lock_manager)
            self._open()
            self.start("virtlockd")
            self.start("libvirtd")
        except BaseException:
            self.close()
            raise

    def _write_config(self, cache, lock_manager):
        for name in PLACES.values():
            (self.dir / name).mkdir()
        if cache:
            (self.dir / "cache").rmdir()
            (self.dir / "cache").symlink_to(cache)
        directory = self.dir / "etc"
        (directory / "libvirtd.conf").write_text(LIBVIRTD_CONF)
        (directory / "virtlockd.conf").write_text("")
        (directory / "qemu.conf").write_text(QEMU_CONF.format(lock_manager=lock_manager))
        (directory / "qemu.conf").chmod(0o600)
        lockd = f'file_lockspace_dir = "{self.lockspace}"\n' if self.lockspace else ""
        (directory / "qemu-lockd.conf").write_text(lockd)
        for name, line in ACCOUNTS.items():
            (self.dir / name).write_text(Path("/etc", name).read_text(encoding="utf-8") + line)
        (self.dir / "kvm").touch(0)

    def _open(self):
        ready, tell = os.pipe()
        try:
            with open(self.dir / "namespace.log", "wb") as log:
                self._namespace = subprocess.Popen(
                    ["unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child",
                     "--mount-proc", sys.executable, __file__, str(self.dir), str(tell)],
                    preexec_fn=die_with_parent_at_once, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, pass_fds=[tell])
            os.close(tell)
            if os.read(ready, 1) != b"+":
                missing(f"the right to make namespaces ({self.said().strip()})")
        finally:
            os.close(ready)
        self._first = procfs.children(self._namespace.pid)[0]

    def _inside(self, *words):
        return ["nsenter", f"--target={self._first}", "--mount", "--pid", "--net", "--ipc", "--",
                *[str(word) for word in words]]

    # --- daemons ---

    def start(self, daemon):
        with open(self.dir / f"{daemon}.log", "ab") as log:
            self._daemons[daemon] = subprocess.Popen(
                self._inside(shutil.which(daemon, path=SBIN), "-f", f"/etc/libvirt/{daemon}.conf",
                             "-p", f"/run/{daemon}.pid"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": SBIN})
        if daemon == "virtlockd":   # libvirtd must find it
            wait_for(lambda: f"virtlockd does not listen:\n{self.said()}",
                     (self.dir / "run/libvirt/virtlockd-sock").exists)
        else:
            wait_for(lambda: f"libvirtd does not answer:\n{self.said()}",
                     lambda: self.virsh("list").status == 0, 60)

    def pid(self, daemon):
        """As the host, and vmlatch, sees it."""
        return procfs.children(self._daemons[daemon].pid)[0]

    def kill(self, daemon):
        """kill -9"""
        os.kill(self.pid(daemon), signal.SIGKILL)
        self._daemons.pop(daemon).wait()
        (self.dir / "run/libvirt" / f"{daemon}-sock").unlink(missing_ok=True)  # start() waits for it

    def said(self):
        """For the sentence of a failure."""
        return "\n".join(path.read_text(errors="replace")[-1500:] for path in self.dir.glob("*.log"))

    # --- domains ---

    def virsh(self, *words):
        done = subprocess.run(self._inside("virsh", "-c", "qemu:///system", *words),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False, env={"PATH": SBIN, "LC_ALL": "C.UTF-8"})
        return Result(done.returncode, done.stdout, done.stderr)

    def run_as(self, user, *words):
        """A command inside, as the user with that number."""
        done = subprocess.run(self._inside("setpriv", f"--reuid={user}", f"--regid={user}",
                                           "--clear-groups", "--", *words),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False, env={"PATH": SBIN, "LC_ALL": "C.UTF-8"})
        return Result(done.returncode, done.stdout, done.stderr)

    def does(self, *words):
        result = self.virsh(*words)
        if result.status != 0:
            raise AssertionError(f"virsh {' '.join(map(str, words))}: {result.err}\n{self.said()}")
        return result.out

    def define(self, name, disk, more="", emulator=None):
        """A domain with this disk; `more`: elements of the disk's."""
        path = self.dir / f"{name}.xml"
        path.write_text(DOMAIN.format(name=name, disk=disk, more=more,
                                      qemu=emulator or shutil.which(QEMU)))
        self.does("define", path)

    def state(self, name):
        return self.does("domstate", name).strip()

    # --- the end ---

    def close(self):
        if self._namespace:
            for pid in procfs.children(self._namespace.pid):
                os.kill(pid, signal.SIGKILL)
            self._namespace.wait()
        for daemon in self._daemons.values():
            daemon.wait()
        shutil.rmtree(self.dir)


def die_with_parent_at_once():
    die_with_parent(signal.SIGKILL)     # unshare has SIGTERM blocked


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def first_process(directory, tell):
    """PID 1 of the namespace: mounts, and then takes the exit status of every orphan, as libvirt's
    QEMUs are. Daemons and virsh come in by nsenter."""
    mount("--make-rprivate", "/")
    for name in ACCOUNTS:
        mount("--bind", directory / name, f"/etc/{name}")
    for place, name in PLACES.items():
        mount("--bind", directory / name, place)
    if os.path.exists(KVM):
        mount("--bind", directory / "kvm", KVM)
    os.write(tell, b"+")
    os.close(tell)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)   # the kernel takes them
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    first_process(Path(sys.argv[1]), int(sys.argv[2]))
