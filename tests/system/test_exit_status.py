# SPDX-License-Identifier: LGPL-2.1-or-later
"""vmlatch's exit status is QEMU's own; its own failures are sysexits numbers with a sentence."""

import ctypes
import os
import resource
import signal
import socket
import stat
import subprocess

import procfs
from deadline import wait_for
from vmtest import MACHINE, QEMU, VMLATCH, VmTest, main, need_root

PR_CAPBSET_DROP, CAP_SYS_PTRACE = 24, 19


class QemusOwn(VmTest):
    def test_exit_status_comes_through(self):
        vm = self.start("vm", *self.drive(self.guest("poweroff_isa")),
                        "-device", "isa-debug-exit,iobase=0xf4,iosize=1")
        self.assertEqual(vm.wait_end(), 33, vm.err)

    def test_exit_before_its_greeting_comes_through(self):
        vm = self.start("vm", *self.drive(self.guest("halt")), "-device", "no-such-device")
        self.assertEqual(vm.wait_end(), 1, vm.err)
        self.assert_says("no-such-device", vm.err)

    def test_guest_that_powers_off_is_0(self):
        for guest in ("poweroff_acpi", "poweroff_apm"):
            with self.subTest(guest):
                vm = self.start(guest.replace("_", "-"), *self.drive(self.guest(guest)))
                self.assertEqual(vm.wait_end(), 0, vm.err)
                self.wait_free(self.dir / f"{guest}.img")

    def test_guest_reset_with_no_reboot_is_0(self):
        vm = self.start("vm", *self.drive(self.guest("reset")), "-no-reboot")
        self.assertEqual(vm.wait_end(), 0, vm.err)

    def test_panic_is_0_as_by_qemus_default(self):
        vm = self.start("vm", *self.drive(self.guest("pvpanic")), "-device", "pvpanic")
        self.assertEqual(vm.wait_end(), 0, vm.err)

    def test_watchdog_poweroff_is_0(self):
        vm = self.start("vm", *self.drive(self.guest("ib700")), "-device", "ib700",
                        "-watchdog-action", "poweroff")
        self.assertEqual(vm.wait_end(), 0, vm.err)

    def test_death_by_a_signal_is_mirrored(self):
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT):
            with self.subTest(number.name):
                disk = self.guest("halt", f"{number.name}.img")
                vm = self.running(number.name, *self.drive(disk), preexec=no_core)
                os.kill(vm.qemu, number)
                self.assertEqual(vm.wait_end(), -number, vm.err)
                self.assert_free(disk)

    def test_comes_through_where_sigchld_was_ignored(self):
        vm = self.running("vm", *self.drive(self.guest("halt")),
                          preexec=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        os.kill(vm.qemu, signal.SIGKILL)
        self.assertEqual(vm.wait_end(), -signal.SIGKILL, vm.err)


class Signals(VmTest):
    """A signal to vmlatch does what the same signal does to a QEMU that was started directly."""

    def direct(self, number):
        # QEMU has its handlers once it listens
        socket = self.dir / f"direct-{number.name}.sock"
        process = self.spawn([QEMU, *MACHINE, "-qmp", f"unix:{socket},server=on,wait=off"],
                             preexec=no_core, stderr=subprocess.DEVNULL)
        self.qmp(socket)
        process.send_signal(number)
        return ending(process)

    def test_end_vmlatch_as_they_end_qemu(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT,
                       signal.SIGUSR2):
            with self.subTest(number.name):
                vm = self.running(number.name, *self.drive(self.guest("halt", f"{number.name}.img")),
                                  preexec=no_core)
                vm.signal(number)
                self.assertEqual(ending(vm.process), self.direct(number), vm.err)
                wait_for("QEMU lives on", lambda vm=vm: not procfs.alive(vm.qemu))


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def no_core():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def ending(process):
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "lives on"


class OurOwn(VmTest):
    """Each refusal: its status, a sentence, nothing on stdout, nothing started."""

    def run_words(self, status, *words, sentence, **more):
        process = self.spawn([VMLATCH, "run", *words], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (status, ""), err)
        self.assert_says("^vmlatch: ", err)
        self.assert_says(sentence, err)
        self.assertLessEqual(len(err.splitlines()), 2, err)

    def test_64_usage(self):
        disk = self.drive(self.disk("a.raw"))
        qemu = ["--", QEMU, *MACHINE, *disk]
        for words, sentence in (
                (["--no-such-option", *qemu], "--no-such-option"),
                ([], "QEMU"),
                (["--name", "a/b", *qemu], "a/b"),
                (["--wait", "soon", *qemu], "soon"),
                (["--release-on", "weekends", *qemu], "weekends"),
                (["--on-lock-failure", "ignore", *qemu], "ignore"),
                (["--acquire", "resume", *qemu], "-incoming"),
                (["--on-supervisor-death=kill", *qemu, "-daemonize"], "-daemonize"),
                (["--on-supervisor-death=kill", "--in-place", *qemu], "in place"),
                (["--lockspace-name", "inode", *qemu], "--lockspace-name"),
                (["--lease", "a:b", *qemu], "lease a:b: say where it is")):
            with self.subTest(sentence):
                self.run_words(64, *words, sentence=sentence)

    def test_64_for_an_unknown_verb(self):
        self.assert_says("frobnicate", self.fails(64, "frobnicate"))

    def test_65_for_an_image_that_cannot_be_understood(self):
        disk = self.disk("a.qcow2")
        disk.write_bytes(b"QFI\xfb" + b"\xff" * 600)
        said = self.refused(65, "vm", *self.drive(disk, form="qcow2"))
        self.assert_says(str(disk), said)

    def test_65_for_a_backing_chain_that_loops(self):
        one, two = self.qcow2("one.qcow2"), self.dir / "two.qcow2"
        self.qcow2("two.qcow2", backing=one, backing_format="qcow2")
        subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", two, one],
                       check=True)
        said = self.refused(65, "vm", *self.drive(one, form="qcow2"))
        self.assert_says("(one|two).qcow2", said)

    def test_65_for_what_is_no_image_file(self):
        # as it is named by itself, with a format, and as somebody's backing file; nothing is
        # opened, so a FIFO does not hang it, and a device need not be there
        kinds = {"a FIFO": os.mkfifo, "a directory": os.mkdir, "a socket": make_socket}
        if os.geteuid() == 0:
            kinds["a character device"] = lambda path: os.mknod(
                path, 0o600 | stat.S_IFCHR, os.makedev(240, 77))
        for number, (kind, make) in enumerate(kinds.items()):
            path = self.dir / f"thing-{number}"
            make(path)
            top = self.dir / f"top-{number}.qcow2"
            subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b",
                            path, top, "1M"], check=True)
            for words in (["-hda", path], ["-drive", f"if=none,file={path},format=raw"],
                          ["-hda", top]):
                with self.subTest(kind, words=words):
                    said = self.refused(65, "vm", *words)
                    self.assert_says(f"{path.name}\\b.*{kind}", said)
                    checked = self.vmlatch("check", "--", QEMU, *words)
                    self.assertEqual(checked.status, 65, checked)
                    self.assert_says(f"{path.name}\\b.*{kind}", checked.err)

    def test_66_for_a_device_that_is_not_there(self):
        need_root()
        path = self.dir / "device"
        os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(240, 77))
        self.assert_says("device for writing: No such device", self.refused(66, "vm", *self.drive(path)))

    def test_66_for_what_is_not_there(self):
        said = self.refused(66, "vm", *self.drive(self.dir / "missing.raw"))
        self.assert_says("missing.raw", said)
        self.run_words(66, "--config", str(self.dir / "no.conf"), "--", QEMU, sentence="no.conf")
        for verb in ("pause", "resume", "stop", "inquire"):
            with self.subTest(verb):
                self.assert_says("nobody", self.fails(66, verb, "nobody"))

    def test_69_for_a_lock_driver_that_is_not_there(self):
        said = self.refused(69, "vm", *self.drive(self.disk("a.raw")),
                            options=["--lock", "padlock"])
        self.assert_says("padlock", said)

    def test_71_when_there_is_no_room_for_descriptors(self):
        def narrow():
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        disks = [self.disk(f"{number}.raw") for number in range(30)]
        words = [word for disk in disks for word in self.drive(disk, interface="none")]
        said = self.refused(71, "vm", *words, preexec=narrow)
        self.assert_says("leaves no room for 6. locks: raise 'ulimit -n'", said)
        self.assert_free(disks[0])

    def test_73_for_a_runtime_directory_or_socket_that_cannot_be_made(self):
        disk = self.disk("a.raw")
        self.runtime.mkdir(mode=0o700)
        (self.runtime / "vm").write_text("in the way")
        self.assert_says("vm", self.refused(73, "vm", *self.drive(disk)))
        (self.runtime / "vm").unlink()
        socket = self.dir / "no" / "such" / "qmp.sock"
        said = self.refused(73, "vm", *self.drive(disk), options=["--qmp", socket])
        self.assert_says(str(socket), said)

    def mounted(self, options):
        """The runtime directory as a small file system of its own."""
        need_root()
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "vmlatch-test", self.runtime], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.runtime], stderr=subprocess.DEVNULL)

    def fill(self):
        with open(self.runtime / "ballast", "wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(4096))

    def test_73_for_a_runtime_directory_that_is_read_only(self):
        disk = self.disk("a.raw")
        self.mounted("mode=0700,ro")
        said = self.refused(73, "vm", *self.drive(disk))
        self.assert_says(f"{self.runtime}.*Read-only file system", said)
        self.assert_free(disk)

    def test_73_for_a_runtime_directory_that_is_full(self):
        disk = self.disk("a.raw")
        self.mounted("mode=0700,size=64k")
        self.fill()
        said = self.refused(73, "vm", *self.drive(disk))
        self.assert_says(f"{self.runtime}.*No space left", said)
        self.assertEqual(os.listdir(self.runtime), ["ballast"])
        self.assert_free(disk)
        (self.runtime / "ballast").unlink()
        self.running("vm", *self.drive(disk))

    def test_73_for_a_runtime_directory_that_has_no_room_for_names(self):
        disk = self.disk("a.raw")
        for inodes in range(1, 7):  # its own, and as many names as one fewer
            with self.subTest(inodes):
                self.mounted(f"mode=0700,nr_inodes={inodes}")
                said = self.refused(73, "vm", *self.drive(disk))
                self.assert_says("No space left", said)
                self.assertEqual(os.listdir(self.runtime), [])
                self.wait_free(disk)

    def test_of_a_vm_whose_runtime_directory_fills_up_is_its_own_and_it_keeps_its_locks(self):
        disk = self.disk("a.raw")
        self.mounted("mode=0700,size=64k")
        vm = self.running("vm", *self.drive(disk))
        self.fill()
        said = self.fails(69, "pause", "vm")
        self.assert_says("state.json cannot be written", said)
        self.assert_held(disk)
        (self.runtime / "ballast").unlink()
        self.does("pause", "vm")
        self.assert_free(disk)
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0)

    def test_77_for_an_image_that_qemus_user_may_not_open(self):
        need_root()
        disk = self.disk("private.raw")
        disk.chmod(0o600)
        for words in (self.drive(disk), ["-hda", disk]):
            with self.subTest(words):
                said = self.refused(77, "vm", *words, options=["--user", "nobody"])
                self.assertEqual(said.count(str(disk)), 1, said)

    def test_78_for_a_config_file_that_is_wrong(self):
        config = self.config / "vmlatch.conf"
        disk = self.drive(self.disk("a.raw"))
        for text, line in (("nonsense = 1\n", 1), ("# fine\nwait = soon\n", 2),
                           ("wait = " + "1" * 5000 + "\n", 1)):
            with self.subTest(text[:20]):
                config.write_text(text)
                said = self.refused(78, "vm", *disk)
                self.assert_says(rf"{config}.*\b{line}\b", said)

    def test_126_and_127_for_a_qemu_that_does_not_run(self):
        disk = self.disk("a.raw")
        plain = self.dir / "plain-file"
        plain.write_text("not a program")
        self.assert_says("plain-file", self.refused(126, "vm", *self.drive(disk), qemu=plain))
        self.assert_says("no-such-qemu", self.refused(127, "vm", *self.drive(disk),
                                                      qemu="no-such-qemu"))
        self.assert_free(disk)


class AsAnotherUser(VmTest):
    def test_qemu_runs_as_that_user_and_vmlatch_holds_the_locks(self):
        need_root()
        disk = self.guest("halt")
        os.chown(disk, 65534, 65534)
        vm = self.running("vm", *self.drive(disk), options=["--user", "nobody"])
        self.assertEqual(os.stat(f"/proc/{vm.qemu}").st_uid, 65534)
        self.assert_held(disk)

    def test_77_for_who_may_not_look_at_that_users_qemu(self):
        need_root()
        disk = self.guest("halt")
        os.chown(disk, 65534, 65534)
        said = self.refused(77, "vm", *self.drive(disk), options=["--user", "nobody"],
                            preexec=lambda: ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE))
        self.assert_says("CAP_SYS_PTRACE", said)
        self.assert_free(disk)


if __name__ == "__main__":
    main()
