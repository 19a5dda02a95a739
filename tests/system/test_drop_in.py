# SPDX-License-Identifier: LGPL-2.1-or-later
"""A symlink with a QEMU's name: whoever calls it gets QEMU under locks, and cannot tell."""

import os
import shutil
import signal
import subprocess

import procfs
from deadline import wait_for
from in_place import DropInTest
from vmtest import MACHINE, QEMU, VMLATCH, main


class ACall(DropInTest):
    def test_runs_under_locks(self):
        disk = self.guest("writer", writer="me")
        vm = self.running("web", *self.drive(disk))
        self.assert_held(disk)
        self.wait_writing(disk)
        self.assert_in_use(self.refused(75, "other", *self.drive(disk)), disk, vm)
        self.does("pause", "web")
        self.assert_free(disk)
        self.does("resume", "web")
        self.does("stop", "web")
        self.assertEqual(vm.wait_end(), 0)
        self.assertEqual((vm.out, vm.err), ("", ""))

    def test_passes_every_argument_byte_for_byte(self):
        odd = [b"-name", b"guest=\xff\x01 a,,b,debug-threads=off", b"-uuid",
               b"c0ffee00-0000-4000-8000-000000000001", b"--display", b"none", b"-append", b""]
        odd += [b"-kernel", os.fsencode(self.guest("halt"))]
        process = subprocess.Popen([b"qemu-system-x86_64", *map(os.fsencode, MACHINE), b"-S", *odd],
                                   executable=self.find(self.NAME), env=self.environment,
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for("it is not QEMU", lambda: procfs.exe(process.pid) == procfs.exe_of(QEMU))
            # it is empty for a moment of the exec
            words = wait_for("it has no arguments", lambda: procfs.argv_bytes(process.pid))
        finally:
            process.kill()
            process.wait()
        self.assertEqual(words[0], b"qemu-system-x86_64")
        own = words.index(b"-readconfig")
        self.assertLessEqual(own, 2)
        self.assertEqual(words[own + 2:], [*map(os.fsencode, MACHINE), b"-S", *odd])

    def test_that_fails_says_what_qemu_says(self):
        backed = self.dir / "backed.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b",
                        self.dir / "gone.raw", backed, "1M"], check=True)
        for words in (["-no-such-option"], ["-device", "no-such-device"], ["-machine", "no-such"],
                      ["-drive", "file=missing.raw,format=raw"], ["-hda", "missing.raw"],
                      ["-drive", f"file={backed},if=none"], ["-cdrom", f"{self.dir}/no/such.iso"],
                      ["-blockdev", "file,node-name=a,filename=missing"],
                      ["-drive", "format=raw"], ["-drive", "if=nowhere"], ["-m", "many"],
                      ["-drive", "file=x,no-such-key=1"], ["-readconfig", "missing.cfg"], ["-hda"],
                      ["-blockdev", "{"]):
            with self.subTest(words):
                call, bare = self.call(*MACHINE, *words), self.bare(*MACHINE, *words)
                self.assertNotEqual(bare.status, 0)
                self.assertEqual(call, bare)
        self.wait_nobody()
        self.assertEqual(self._left_in_runtime(), [])

    def test_that_starts_no_vm_is_qemus_own(self):
        for words in (["--version"], ["-version"], ["-help"], ["-h"], ["-machine", "help"],
                      ["-M", "?"], ["-cpu", "help"], ["-device", "help"], ["-device", "ide-hd,help"],
                      ["-accel", "help"], ["-object", "help"],
                      ["-netdev", "help"], ["-chardev", "help"], ["-d", "help"],
                      ["-audiodev", "help"], ["-display", "help"], 
                      ["-vga", "help"], ["-trace", "help"]):
            with self.subTest(words):
                call, bare = self.call(*words), self.bare(*words)
                self.assertEqual(call, bare)
        self.assertFalse(self.runtime.exists(), "it was not needed")

    def test_ends_as_qemu_ends(self):
        vm = self.start("vm", *self.drive(self.guest("poweroff_isa")),
                        "-device", "isa-debug-exit,iobase=0xf4,iosize=1")
        self.assertEqual(vm.wait_end(), 33, vm.err)
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGABRT):
            with self.subTest(number.name):
                vm = self.running("vm", *self.drive(self.guest("halt")))
                vm.signal(number)
                self.assertEqual(vm.wait_end(), 0 if number == signal.SIGTERM else -number)

    def test_needs_no_name_of_its_own(self):
        one, two, three = self.guest("halt", "1.img"), self.guest("halt", "2.img"), self.guest("halt", "3.img")
        first = self.running("web", *self.drive(one))
        second = self.start("web", *self.drive(two))
        second.name = f"web-{second.pid}"
        second.wait_state("running", "held")
        third = self.running(None, *self.drive(three))
        names = {vm["name"] for vm in self.json("list")}
        self.assertEqual(names, {"web", f"web-{second.pid}", f"vm-{third.pid}"})
        second.known().signal(signal.SIGTERM)
        second.wait_end()
        second.wait_gone()
        self.assertFalse((self.runtime / f"{second.name}.last.json").exists(), "nobody asks for it")
        self.assertEqual(first.process.poll(), None)

    def test_takes_its_options_from_config_files_alone(self):
        disk = self.guest("halt")
        (self.config / "vmlatch.conf").write_text("release-on = none\n")
        self.running("web", *self.drive(disk))
        self.assert_says("release-on=none", " ".join(self.status("web")["pinned"]))
        (self.config / "vmlatch.conf").write_text("nonsense = 1\n")
        said = self.refused(78, "second", *self.drive(self.disk("b.raw")))
        self.assert_says("vmlatch.conf.*nonsense", said)

    def test_speaks_on_its_terminal_as_before(self):
        # -serial stdio: what the guest writes and nothing else
        vm = self.start("vm", *self.drive(self.guest("poweroff_isa")), "-serial", "stdio",
                        "-device", "isa-debug-exit,iobase=0xf4,iosize=1")
        self.assertEqual(vm.wait_end(), 33)
        bare = self.bare(*MACHINE, *self.drive(self.dir / "poweroff_isa.img"), "-serial", "stdio",
                         "-device", "isa-debug-exit,iobase=0xf4,iosize=1")
        self.assertEqual((vm.out, vm.err), (bare.out, bare.err))


class TheRealOne(DropInTest):
    """Which program is executed in the end."""

    def assert_runs(self, **more):
        result = self.call("--version", **more)
        self.assertEqual(result.status, 0, result)
        self.assert_says("QEMU emulator version", result.out)
        disk = self.guest("halt")
        vm = self.start("web", *self.drive(disk), **more)
        vm.wait_state("running", "held")
        self.assertEqual(len(self.json("list")), 1, "locked once")
        self.does("stop", "web")
        self.assertEqual(vm.wait_end(), 0, vm.err)
        self.wait_nobody()

    def assert_not_found(self, status, sentence, **more):
        for words in (["--version"], [*MACHINE, *self.drive(self.guest("halt"))]):
            result = self.call(*words, **more)
            self.assertEqual((result.status, result.out), (status, ""), result)
            self.assert_says(sentence, result.err)

    def test_is_the_next_in_path(self):
        more = self.dir / "more"
        more.mkdir()
        self.link(more / self.NAME, self.links / self.NAME)  # a link to a link
        empty = self.dir / "empty"
        empty.mkdir()
        (empty / self.NAME).write_text("cannot be executed")
        self.use_path(self.links, self.links, empty, more, self.dir / "none", "/usr/bin")
        self.assert_runs()

    def test_is_found_from_relative_directories_and_empty_ones(self):
        for path in ("bin", "./bin", "bin/../bin", ""):
            with self.subTest(path):
                self.environment["PATH"] = f"{path}:/usr/bin"
                place = self.links if path == "" else self.dir
                done = subprocess.run(["sh", "-c", "exec qemu-system-x86_64 --version"], cwd=place,
                                      env=self.environment, capture_output=True, text=True,
                                      check=False)
                self.assertEqual(done.returncode, 0, done)

    def test_is_found_when_we_are_called_by_a_path(self):
        for name in (self.links / self.NAME, os.path.relpath(self.links / self.NAME)):
            with self.subTest(name):
                self.assert_runs(qemu=name)

    def test_is_127_where_there_is_none(self):
        self.use_path(self.links, "/nowhere")
        self.assert_not_found(127, "qemu-system-x86_64 is not found")

    def test_has_the_name_that_was_called(self):
        self.link(self.links / "kvm")
        target = self.dir / "other"
        target.mkdir()
        self.link(target / "kvm", QEMU)
        self.use_path(self.links, target, "/usr/bin")
        result = self.call("-no-such", qemu="kvm")
        self.assert_says("^kvm: -no-such: invalid option", result.err)

    def test_is_never_a_copy_of_ours(self):
        copies = self.dir / "copies"
        copies.mkdir()
        shutil.copy(VMLATCH, copies / self.NAME)
        self.use_path(self.links, copies, "/usr/bin")
        self.assert_runs()
        self.use_path(copies, self.links)
        self.assert_not_found(127, "is not found")

    def test_may_be_behind_a_script(self):
        scripts = self.dir / "scripts"
        scripts.mkdir()
        behind, before = (self.links, scripts, "/usr/bin", "/bin"), (scripts, self.links, "/usr/bin", "/bin")
        for text, path in (('exec /usr/bin/qemu-system-x86_64 "$@"', behind),
                           (f'exec {self.links}/{self.NAME} "$@"', behind),
                           (f'exec {self.links}/{self.NAME} "$@"', before),
                           ('exec qemu-system-x86_64 "$@"', (self.links, scripts, "/usr/bin"))):
            with self.subTest(text, path=path):
                self.script(f"scripts/{self.NAME}", text)
                self.use_path(*path)
                self.assert_runs()

    def test_may_be_a_script_that_names_a_copy(self):
        copy = self.dir / "copy" / self.NAME
        copy.parent.mkdir()
        shutil.copy(VMLATCH, copy)
        scripts = self.dir / "scripts"
        scripts.mkdir()
        self.script(f"scripts/{self.NAME}", f'exec {copy} "$@"')
        self.use_path(self.links, scripts, "/usr/bin", "/bin")
        self.assert_runs()

    def test_is_what_the_config_says(self):
        real = self.dir / "real"
        real.mkdir()
        self.link(real / self.NAME, QEMU)
        config = self.config / "vmlatch.conf"
        self.use_path(self.links)
        for value in (QEMU, real):
            with self.subTest(value):
                config.write_text(f"qemu = {value}\n")
                self.assert_runs()
        for value, sentence in ((self.links, "leads back to vmlatch"),
                                (self.links / self.NAME, "leads back to vmlatch"),
                                (self.dir / "none", "is no program")):
            with self.subTest(value):
                config.write_text(f"qemu = {value}\n")
                self.assert_not_found(78, sentence)

    def test_is_run_once_below_vmlatch_run(self):
        disk = self.guest("halt")
        for words in ([], ["--in-place"]):
            with self.subTest(words):
                process = self.spawn([VMLATCH, "run", "--name", "web", *words, "--", self.NAME,
                                      *MACHINE, *self.drive(disk)])
                wait_for("it does not run", lambda: self.status("web").get("run_state") == "running")
                self.assertEqual(len(self.json("list")), 1)
                self.does("stop", "web")
                self.assertEqual(process.wait(20), 0)
                self.wait_nobody()


class AScriptThatForks(DropInTest):
    """It stands behind the name, and has QEMU as a child."""
    REAL = "/usr/bin/qemu-system-x86_64"

    def behind(self, text, *words, **more):
        """A VM by way of this script, and the disk."""
        scripts = self.dir / "scripts"
        scripts.mkdir()
        self.script(f"scripts/{self.NAME}", text)
        self.use_path(self.links, scripts, "/usr/bin", "/bin")
        disk = self.guest("writer", writer="me")
        vm = self.start("web", *self.drive(disk), *words, **more)
        wait_for(lambda: f"it should run: {vm.err}{self.status('web')}",
                 lambda: self.status("web").get("run_state") == "running")
        self.addCleanup(self.kill_all, disk)
        return vm, disk

    def at_most(self, number):
        """Lines of a script that ends one that calls itself for ever."""
        return f'echo >>{self.dir}/count; [ $(wc -l <{self.dir}/count) -le {number} ] || exit 99\n'

    def kill_all(self, disk):
        for pid in procfs.with_environment(str(self.runtime)):
            if procfs.exe(pid) == procfs.exe_of(QEMU):
                self.kill(pid)
        self.wait_free(disk)

    def qemu_of(self, vm):
        pid = self.status("web")["qemu"]["pid"]
        self.assertNotEqual(pid, vm.pid)
        self.assertEqual(procfs.exe(pid), procfs.exe_of(QEMU))
        return pid

    def assert_end(self, disk):
        self.wait_free(disk)
        self.wait_nobody()
        self.assertEqual(self._left_in_runtime(), [])

    def test_and_is_killed_leaves_its_qemu_locked(self):
        vm, disk = self.behind(f'{self.REAL} "$@"')
        qemu = self.qemu_of(vm)
        vm.signal(signal.SIGKILL)
        vm.wait_end()
        self.wait_writing(disk)
        self.refused(75, "other", *self.drive(disk))
        self.does("pause", "web")
        self.assert_free(disk)
        self.does("resume", "web")
        self.kill(qemu)
        self.assert_end(disk)

    def test_and_leaves_at_once(self):
        vm, disk = self.behind(f'{self.REAL} "$@" & exit 5')
        self.assertEqual(vm.wait_end(), 5)
        self.assert_held(disk)
        self.does("stop", "web")
        self.assert_end(disk)

    def test_and_has_a_status_of_its_own(self):
        vm, disk = self.behind(f'{self.REAL} "$@"; exit 5')
        self.does("stop", "web")
        self.assertEqual(vm.wait_end(), 5)
        self.assert_end(disk)
        process = self.spawn([VMLATCH, "run", "--name", "web", "--", self.dir / "scripts" / self.NAME,
                              *MACHINE, *self.drive(disk)])
        wait_for("it does not run", lambda: self.status("web").get("run_state") == "running")
        self.does("stop", "web")
        self.assertEqual(process.wait(20), 5)

    def test_and_starts_another_keeps_the_locks_between_the_two(self):
        vm, disk = self.behind(f'{self.REAL} "$@"; sleep 1; {self.REAL} "$@"')
        first = self.qemu_of(vm)
        self.kill(first)
        self.assert_held(disk)
        wait_for("there is no second one",
                 lambda: self.status("web").get("qemu", {}).get("pid") not in (first, vm.pid))
        wait_for("it is not known to wait", lambda: self.status("web")["run_state"] == "prelaunch")
        self.does("resume", "web")
        self.wait_writing(disk)
        self.assert_held(disk)
        vm.signal(signal.SIGKILL)
        self.kill(self.qemu_of(vm))
        self.assert_end(disk)

    def test_and_calls_vmlatch_again_is_locked_once(self):
        # a name that leads back to us, in a process of its own: by path, and to ask for the version
        link = self.links / self.NAME
        vm, disk = self.behind(f'{self.at_most(20)}{link} --version >{self.dir}/said; {link} "$@"')
        self.assert_says("QEMU emulator version", (self.dir / "said").read_text())
        self.qemu_of(vm)
        self.assertEqual(len(self.json("list")), 1)
        vm.signal(signal.SIGKILL)
        self.refused(75, "other", *self.drive(disk))
        self.does("stop", "web")
        self.assert_end(disk)

    def test_and_stands_before_vmlatch_is_left_behind(self):
        scripts = self.dir / "scripts"
        scripts.mkdir()
        self.script(f"scripts/{self.NAME}", f'{self.at_most(20)}{self.links}/{self.NAME} "$@"')
        self.use_path(scripts, self.links, "/usr/bin", "/bin")
        result = self.call("--version")
        self.assert_says("QEMU emulator version", result.out)
        self.assertEqual((result.status, len((self.dir / "count").read_text())), (0, 2))
        vm = self.start("web", *self.drive(self.guest("halt")))
        wait_for(lambda: f"it should run: {vm.err}", lambda: self.status("web").get("run_state") == "running")
        self.does("stop", "web")
        self.assertEqual(vm.wait_end(), 0)

    def test_may_start_other_vms(self):
        other, held = self.guest("halt", "other.img"), self.guest("halt", "held.img")
        self.running("first", *self.drive(held))
        words = " ".join([*MACHINE, "-name", "other"])
        vm, disk = self.behind(
            f'{self.links}/{self.NAME} {words} -hda {held}; echo $? >{self.dir}/status; '
            f'{self.links}/{self.NAME} {words} -hda {other} & exec {self.REAL} "$@"')
        wait_for("it should run", lambda: self.status("other").get("run_state") == "running")
        self.assertEqual((self.dir / "status").read_text(), "75\n")
        self.assert_held(other)
        vm.signal(signal.SIGKILL)
        self.wait_free(disk)
        self.assert_held(other)
        self.does("stop", "other")

    def test_with_a_helper_in_its_back_ends_with_qemu(self):
        vm, disk = self.behind(f'sleep 1000 & echo $! > {self.dir}/helper; exec {self.REAL} "$@"')
        helper = int((self.dir / "helper").read_text(encoding="ascii"))
        self.addCleanup(self.kill, helper)
        vm.signal(signal.SIGKILL)
        self.assert_end(disk)
        vm = self.start("web", *self.drive(disk), "-device", "no-such-device")
        self.assertEqual(vm.wait_end(), 1)
        self.addCleanup(self.kill, int((self.dir / "helper").read_text(encoding="ascii")))
        self.assert_end(disk)


if __name__ == "__main__":
    main()
