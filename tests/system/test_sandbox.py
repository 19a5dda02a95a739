# SPDX-License-Identifier: LGPL-2.1-or-later
"""--sandbox: which system calls QEMU may make, and what is said of one that kills."""

import ctypes
import errno
import json
import os
import shutil
import platform
import signal
import socket

import procfs
from deadline import wait_for
from in_place import DropInTest, InPlaceTest
from qmp import Qmp
from users import ALICE, UserTest
from vmtest import AS_ROOT, VmTest, main, missing, need_root

SYSTEM_CALL = os.environ.get("SYSTEM_CALL", "system_call")
CLONE_NEWNET = 0x40000000
X86_64 = platform.machine() == "x86_64"
KEXEC_LOAD, UNSHARE, BPF = (246, 272, 321) if X86_64 else (104, 97, 280)


def filters(pid):
    status = procfs.status(pid)
    return status["Seccomp"], int(status["Seccomp_filters"])


class Sandbox(VmTest):
    def call(self, number=None, options=(), **environment):
        """A stand-in that makes this call under vmlatch: (exit status, stderr)."""
        self.environment.update(environment, **({"TRY_CALL": str(number)} if number else {}))
        vm = self.start("vm", *self.drive(self.disk("disk.img")), qemu=SYSTEM_CALL, options=[*AS_ROOT, *options])
        status = vm.wait_end()
        vm.wait_gone()
        return status, vm.err

    def test_is_on_in_qemu_and_names_the_call_that_kills(self):
        status, said = self.call(KEXEC_LOAD)
        self.assertEqual(status, -signal.SIGSYS)
        self.assertRegex(said, r"QEMU \(pid \d+\) called kexec_load, which --sandbox=default forbids: killed")
        end = json.loads((self.runtime / "vm.last.json").read_text(encoding="utf-8"))
        self.assertIn(-signal.SIGSYS, (end.get("end-status"), end.get("end_status"), -end.get("signal", 0)), end)

    def test_refuses_what_a_library_may_try(self):
        status, said = self.call(BPF)
        self.assertEqual(status, errno.EPERM)
        self.assertNotIn("forbids", said)

    def test_kills_a_helper_alone_and_names_it(self):
        status, said = self.call(KEXEC_LOAD, TRY_CHILD="1")
        self.assertEqual(status, 100)
        self.assertRegex(said, r"'system_call' \(pid \d+\), which QEMU has started, called kexec_load")

    def test_tells_of_some_helpers_and_kills_them_all(self):
        status, said = self.call(KEXEC_LOAD, TRY_CHILDREN="100")
        self.assertEqual(status, 100, "the last one too")
        self.assertEqual(said.count("which QEMU has started, called kexec_load"), 16)
        self.assertEqual(said.count("is not told"), 1)

    def test_off_is_off(self):
        status, _ = self.call(BPF, options=["--sandbox=off"])
        self.assertNotEqual(status, errno.EPERM if os.geteuid() == 0 else None)
        vm = self.running("real", *self.drive(self.guest("halt")), options=[*AS_ROOT, "--sandbox=off"])
        self.assertEqual(filters(vm.qemu), ("0", 0))

    def test_strict_lets_qemu_start_nothing(self):
        self.assertEqual(self.call(options=["--sandbox=default"], TRY_SHELL="1")[0], 42)
        self.assertEqual(self.call(options=["--sandbox=strict"], TRY_SHELL="1")[0], 127)

    def test_strict_refuses_namespaces(self):
        self.assertEqual(self.call(UNSHARE)[0], errno.EINVAL)
        self.assertEqual(self.call(UNSHARE, options=["--sandbox=strict"])[0], errno.EPERM)

    def test_strict_adds_qemus_own_filter(self):
        disk = self.guest("halt", "disk.img")
        for name, args, own in (("plain", (), True), ("users", ("-sandbox", "off"), False)):
            vm = self.running(name, *self.drive(disk), *args, options=[*AS_ROOT, "--sandbox=strict"])
            self.assertEqual(filters(vm.qemu)[1], 2 if own else 1)
            self.assertEqual("elevateprivileges=deny" in " ".join(procfs.argv(vm.qemu)), own)
            self.does("pause", name)
            self.does("resume", name)
            self.does("stop", name)
            vm.wait_end()
            vm.wait_gone()

    def test_check_says_which_and_why(self):
        disk = self.drive(self.disk("disk.img"))
        found = self.json("check", "--json", "--sandbox=strict", "qemu-system-x86_64", *disk)
        self.assertEqual(found["sandbox"]["mode"], "strict")
        self.assertEqual(found["argv"][found["argv"].index("-sandbox") + 1], found["sandbox"]["qemu"])
        self.assertIn("sandbox: default, ", self.does("check", "qemu-system-x86_64", *disk))

    def test_strict_warns_of_what_will_not_work(self):
        disk = self.drive(self.disk("disk.img"))
        words = ("-netdev", "user,id=n,smb=/", "-nic", "user,guestfwd=tcp:10.0.2.9:7-cmd:cat", "-netdev", "user,id=m",
                 "-netdev", "tap,id=t,br=b")
        sentence = "it will not work: --sandbox=strict lets QEMU start no program"
        for option, told in (("strict", [f"{words[i]} {words[i + 1]}: {sentence}" for i in (0, 2, 6)]),
                             ("default", [])):
            options = (f"--sandbox={option}", "--keep-capability=setgid,setuid")
            found = self.json("check", "--json", *options, "qemu-system-x86_64", *disk, *words)["warnings"]
            self.assertEqual([line for line in found if sentence in line], told)
            self.assertEqual(any("--allow-setuid-helpers lets it" in line for line in found), option == "default",
                             "it cannot be with strict")
            self.assertEqual(self.vmlatch("check", *options, "qemu-system-x86_64", *disk, *words).out.count(sentence),
                             len(told))
            done = self.vmlatch("run", *options, "--name", "vm", "--", shutil.which("true"), *disk, *words)
            self.assertEqual(done.err.count(f"warning: {words[0]} {words[1]}: {sentence}"), 1 if told else 0, done.err)

    def test_that_cannot_be_is_refused_before_the_start(self):
        said = self.refused(64, "vm", *self.drive(self.disk("disk.img")),
                            options=["--sandbox=strict", "--allow-setuid-helpers", "--user", "nobody"])
        self.assert_says("--sandbox=strict cannot be with --allow-setuid-helpers", said)


    def test_of_the_supervisor_is_loaded(self):
        vm = self.running("vm", *self.drive(self.guest("halt")), options=AS_ROOT)
        with open(f"/proc/{vm.pid}/maps", encoding="utf-8") as maps:
            if "libasan" in maps.read():
                self.skipTest("a sanitizer has calls of its own")
        self.assertEqual(filters(vm.pid), ("2", 1))


class Features(VmTest):
    """What the default leaves: as root's QEMU has it too (-runas, -chroot and -daemonize are tried elsewhere)."""

    def migrate_to_a_program(self, vm, monitor):
        with Qmp(str(monitor)) as qmp:
            qmp.command("migrate", uri=f"exec:cat >{self.dir}/stream")
            wait_for("no stream", lambda: qmp.command("query-migrate").get("status") in ("completed", "failed"))
            self.assertEqual(qmp.command("query-migrate")["status"], "completed")
        self.assertGreater((self.dir / "stream").stat().st_size, 1000)
        self.assertEqual(filters(vm.qemu), ("2", 1))

    def test_migration_by_a_program(self):
        monitor = self.dir / "qmp"
        vm = self.running("vm", *self.drive(self.guest("halt")), "-qmp", f"unix:{monitor},server=on,wait=off",
                          options=AS_ROOT)
        self.migrate_to_a_program(vm, monitor)

    def test_io_uring(self):
        disk = self.guest("writer", "disk.img")
        vm = self.start("vm", *self.drive(disk, "aio=io_uring"), options=AS_ROOT)
        wait_for("it neither runs nor says why", lambda: not vm.is_alive() or vm.status().get("run_state") == "running")
        if not vm.is_alive() and "io_uring" in vm.err:
            self.skipTest("no io_uring here")
        self.wait_writing(disk)

    def test_the_debugger(self):
        gdb = self.dir / "gdb"
        self.running("vm", *self.drive(self.guest("halt")), "-gdb", f"unix:path={gdb},server=on,wait=off",
                     options=AS_ROOT)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(gdb))
            client.sendall(b"$?#3f")
            answer = b""
            while b"#" not in answer:
                answer += client.recv(64)
        self.assertRegex(answer, rb"\$T\d\d")

    def test_a_taps_script(self):
        need_root()
        if not os.path.exists("/dev/net/tun"):
            missing("/dev/net/tun")
        script = self.script("ifup", f"echo $1 >{self.dir}/up; ls /sys/class/net >>{self.dir}/up")
        vm = self.running(
            "vm", *self.drive(self.guest("halt")), "-netdev", f"tap,id=n,ifname=t0,script={script},downscript=no",
            options=[*AS_ROOT, "--keep-capability", "net_admin"],
            preexec=lambda: ctypes.CDLL(None).unshare(CLONE_NEWNET))
        self.assertEqual((self.dir / "up").read_text(encoding="ascii").split()[0], "t0")
        self.assertEqual(filters(vm.qemu), ("2", 1))


class InPlace(InPlaceTest):
    def test_the_call_is_named_and_others_see_sigkill(self):
        self.environment["TRY_CALL"] = str(KEXEC_LOAD)
        vm = self.start("vm", *self.drive(self.disk("disk.img")), qemu=SYSTEM_CALL, options=AS_ROOT)
        self.assertEqual(vm.wait_end(), -signal.SIGKILL)
        vm.wait_gone()
        self.assert_says("called kexec_load, which --sandbox=default forbids: killed", vm.err)

    def test_strict_with_what_forks_and_changes_its_user(self):
        disk = self.guest("halt", "disk.img")
        for args in ("-runas", "nobody"), ("-chroot", self.dir):
            if os.geteuid() != 0:
                self.skipTest("root's")
            vm = self.running("vm", *self.drive(disk), *args, options=[*AS_ROOT, "--sandbox=strict"])
            self.assertEqual(filters(vm.qemu), ("2", 2))
            self.does("stop", "vm")
            vm.wait_end()
            vm.wait_gone()

    def test_strict_with_daemonize(self):
        pidfile = self.dir / "pid"
        vm = self.start("vm", *self.drive(self.guest("halt")), "-daemonize", "-pidfile", pidfile,
                        options=[*AS_ROOT, "--sandbox=strict"])
        self.assertEqual(vm.wait_end(), 0, vm.err)
        qemu = int(pidfile.read_text(encoding="ascii"))
        self.assertEqual(filters(qemu), ("2", 2))
        self.does("stop", "vm")
        wait_for("QEMU lives", lambda: not procfs.alive(qemu))


class InPlaceOfQemu(DropInTest):
    def test_roots_has_the_default(self):
        need_root()
        vm = self.running("vm", *self.drive(self.guest("halt")))
        self.assertEqual(filters(vm.qemu), ("2", 1))
        self.assertEqual(procfs.status(vm.qemu)["NoNewPrivs"], "0")

    def test_strict_in_the_config_file_is_root_s_to_have(self):
        need_root()
        (self.config / "vmlatch.conf").write_text("sandbox = strict\n", encoding="ascii")
        vm = self.running("vm", *self.drive(self.guest("halt")))
        self.assertEqual(filters(vm.qemu), ("2", 2))


class Users(UserTest):
    def test_is_on_without_root(self):
        disk = self.guest("halt", "disk.img")
        os.chown(disk, ALICE.uid, ALICE.uid)
        with self.by(ALICE):
            vm = self.running("vm", *self.drive(disk))
            self.assertEqual(filters(vm.qemu), ("2", 1))

    def test_that_would_take_rights_away_is_off_or_an_error(self):
        disk = self.guest("halt", "disk.img")
        os.chown(disk, ALICE.uid, ALICE.uid)
        with self.by(ALICE):
            vm = self.running("vm", *self.drive(disk), options=["--allow-setuid-helpers"])
            self.assertEqual(filters(vm.qemu), ("0", 0))
            said = self.refused(64, "other", *self.drive(self.disk("other.img")),
                                options=["--allow-setuid-helpers", "--sandbox=default"])
            self.assert_says("--sandbox needs no_new_privs or CAP_SYS_ADMIN", said)
            self.assert_says("sandbox: off, every system call is allowed: it would take",
                             self.does("check", "--allow-setuid-helpers", "qemu-system-x86_64", "-hda", self.disk("third.img")))


if __name__ == "__main__":
    main()
