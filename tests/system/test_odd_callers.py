# SPDX-License-Identifier: LGPL-2.1-or-later
"""A drop-in works in surroundings in which QEMU itself works."""

import os
import resource
import signal

import locks
from deadline import wait_for
from in_place import DropInTest
from vmtest import MACHINE, QEMU, main


class ADirectoryThatWasRemoved(DropInTest):
    def leave(self):
        os.mkdir(self.dir / "gone")
        os.chdir(self.dir / "gone")
        os.rmdir(self.dir / "gone")

    def test_is_no_matter_to_other_names(self):
        disk = self.guest("halt")
        for words in (self.drive(disk), ()):
            with self.subTest(words):
                vm = self.running("web", *words, preexec=self.leave)
                self.does("stop", "web")
                self.assertEqual((vm.wait_end(), vm.err), (0, ""))

    def test_is_no_matter_to_a_daemon(self):
        disk = self.guest("halt")
        result = self.call(*MACHINE, "-name", "web", *self.drive(disk), "-daemonize", preexec_fn=self.leave)
        self.assertEqual(result, (0, "", ""))
        wait_for("it does not run", lambda: self.status("web").get("run_state") == "running")
        self.assert_held(disk)
        self.does("stop", "web")

    def test_is_named_where_a_disk_relates_to_it(self):
        self.disk("up.raw")
        said = self.refused(66, "web", *self.drive("../up.raw"), preexec=self.leave)
        self.assert_says("up.raw: the current directory: No such file or directory", said)


class AConfigInAFifo(DropInTest):
    """Somebody writes it, once, for QEMU."""

    def fifo(self, text):
        os.mkfifo(self.dir / "fifo")
        writer = self.spawn(["sh", "-c", f'printf "%s" "$0" >{self.dir}/fifo', text])
        self.addCleanup(writer.wait)
        self.addCleanup(writer.kill)
        return writer

    def test_is_left_to_qemu_and_its_disks_are_locked(self):
        disk = self.guest("writer", writer="me")
        writer = self.fifo(f'[drive]\nfile = "{disk}"\nformat = "raw"\nif = "ide"\n')
        vm = self.running("web", "-readconfig", self.dir / "fifo")
        self.assertEqual(writer.wait(20), 0)
        self.assert_held(disk)
        self.wait_writing(disk)
        self.assert_in_use(self.refused(75, "other", *self.drive(disk)), disk, vm)
        self.does("stop", "web")


class FewOpenFiles(DropInTest):
    def test_are_enough_where_they_are_for_qemu(self):
        disk = self.guest("writer", writer="me")
        for limit in (32, 64, 128):
            with self.subTest(limit):
                vm = self.running("web", *self.drive(disk),
                                  preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
                self.does("pause", "web")
                self.assert_free(disk)
                self.does("resume", "web")
                self.wait_writing(disk)
                self.does("stop", "web")
                self.assertEqual((vm.wait_end(), vm.err), (0, ""))


class ANameThatIsTaken(DropInTest):
    """NAME.last.json and NAME.last.log are what a VM of that NAME leaves."""

    def test_by_the_end_record_of_another_vm_is_another_name(self):
        disk = self.guest("halt")
        vm = self.running("a", *self.drive(disk))
        vm.signal(signal.SIGTERM)
        vm.wait_end()
        wait_for("it leaves no record", (self.runtime / "a.last.json").exists)
        for name in ("a.last.json", "a.last.log"):
            with self.subTest(name):
                vm = self.start(name, *self.drive(disk))
                vm.name = name.replace(".last", "_last")
                vm.wait_state("running", "held")
                self.does("stop", vm.name)
                self.assertEqual((vm.wait_end(), vm.err), (0, ""))


class ASignal(DropInTest):
    def test_before_it_is_qemu_is_said_in_one_line(self):
        disk = self.guest("halt")
        (self.config / "vmlatch.conf").write_text("wait = 60\n")
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name), locks.Held(disk):
                vm = self.start("web", *self.drive(disk))
                wait_for("it does not start", lambda: self.status("web").get("run_state") == "starting")
                vm.signal(number)
                self.assertEqual(vm.wait_end(), -number)
                self.wait_nobody()
                self.assertEqual(
                    vm.err, "vmlatch: web: its process was ended before it became QEMU: nothing was started.\n")


class AConfigForAll(DropInTest):
    def test_that_a_drop_in_cannot_honour_is_a_warning(self):
        disk = self.guest("halt")
        (self.config / "vmlatch.conf").write_text("on-supervisor-death = kill\n")
        vm = self.running("web", *self.drive(disk))
        self.assert_held(disk)
        self.does("stop", "web")
        self.assertEqual(vm.wait_end(), 0)
        self.assertRegex(vm.err, r"\Avmlatch: web: warning: --on-supervisor-death=kill needs .*config.*\n\Z")
        result = self.vmlatch("run", "--on-supervisor-death=kill", "--in-place", "--", QEMU, *self.drive(disk))
        self.assertEqual(result.status, 64, result)


class AMigrationsTarget(DropInTest):
    def test_that_would_run_by_itself_is_told_what_it_needs(self):
        disk = self.guest("halt")
        for more, lines in (((), 1), (("-S",), 0)):
            with self.subTest(more):
                vm = self.start("web", *self.drive(disk), "-incoming", "defer", *more)
                vm.wait_state("inmigrate", "registered")
                self.assertEqual(vm.err.count("\n"), lines, vm.err)
                if lines:
                    self.assert_says("waits for the migration with nothing locked.*'vmlatch resume web'", vm.err)
                vm.signal(signal.SIGKILL)
                vm.wait_end()
                self.wait_nobody()


if __name__ == "__main__":
    main()
