# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users and groups are looked up by a process of its own, whatever the modules of nsswitch.conf do to it."""

import ctypes
import os
import signal

import procfs
from deadline import wait_for
from in_place import InPlaceTest
from slowtest import SlowTest, main
from vmtest import VMLATCH, need_root

MODULE = os.environ["NSS_ODD"]
ODD = 54400     # the number of all its users
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


class AccountTest(SlowTest):
    def setUp(self):
        need_root()
        super().setUp()
        self.files = {"/etc/nsswitch.conf": "passwd: files odd\ngroup: files odd\n"}
        for environment in (self.environment, self.preloaded):
            environment["LD_LIBRARY_PATH"] = os.path.dirname(MODULE)

    def _enter_host(self, files):
        """In the process that becomes vmlatch: a host whose files are these."""
        for call in ([_libc.unshare, CLONE_NEWNS], [_libc.mount, b"none", b"/", None, MS_REC | MS_PRIVATE, None],
                     *([_libc.mount, os.fsencode(file), os.fsencode(path), None, MS_BIND, None]
                       for path, file in files.items())):
            if call[0](*call[1:]) < 0:
                raise OSError(ctypes.get_errno(), "a mount namespace")

    def start(self, name, *words, user="odd-good", options=(), preexec=None, **more):
        files = {}
        for path, text in self.files.items():
            files[path] = self.dir / os.path.basename(path)
            files[path].write_text(text)

        def enter():
            self._enter_host(files)
            if preexec:
                preexec()
        return super().start(name, *words, options=["--user", user, *options], preexec=enter, **more)

    def odds_disk(self):
        disk = self.disk("disk.raw")
        os.chown(disk, ODD, ODD)
        return disk

    def ours(self):
        """All vmlatch processes of this test."""
        return [pid for pid in procfs.with_environment(str(self.runtime)) if procfs.exe(pid) == procfs.exe_of(VMLATCH)]

    @staticmethod
    def has_module(pid):
        try:
            with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
                return "libnss_" in file.read()
        except (FileNotFoundError, ProcessLookupError):
            return False


class Modules(AccountTest):
    def test_are_in_no_process_that_stays(self):
        disk = self.odds_disk()
        self.hang("lock")
        vm = self.start("vm", *self.drive(disk), env=self.preloaded)
        self.wait_hanging("lock")
        self.assertEqual(self.ours(), [vm.pid])     # it becomes the supervisor and QEMU, by a fork
        self.assertFalse(self.has_module(vm.pid))
        self.go_on()
        vm.wait_state(run="running", lock="held")
        supervisor = vm.status()["supervisor"]["pid"]
        self.assertIn(supervisor, self.ours())
        self.assertFalse(self.has_module(supervisor))
        status = procfs.status(vm.known().qemu)     # of this user only the module knows
        self.assertEqual(status["Uid"].split(), [str(ODD)] * 4)
        self.assertEqual(status["Groups"].split(), [str(ODD), str(ODD + 1)])


class ModulesInPlace(InPlaceTest, Modules):
    pass


class LookUp(AccountTest):
    def wait_asking(self, vm):
        """The process that asks the module."""
        return wait_for(lambda: f"nobody asks the module\n{vm.err}",
                        lambda: [pid for pid in [vm.pid, *procfs.children(vm.pid)] if self.has_module(pid)])[0]

    def test_that_fails_says_why(self):
        disk = self.odds_disk()
        for user, status, words in (
                ("odd-none", 64, "there is no user 'odd-none'"),
                ("odd-abort", 71, r"user 'odd-abort': looking it up was ended by signal 6 \(Aborted\); 'getent' asks"),
                ("odd-exit", 71, "user 'odd-exit': looking it up ended with status 3 and no answer; 'getent' asks"),
                ("odd-nobody", 71, "user 'odd-nobody': looking it up gave what is no user and no group"),
                ("odd-noise", 71, "user 'odd-noise': looking it up gave what is no user and no group")):
            with self.subTest(user):
                said = self.refused(status, "vm", *self.drive(disk), user=user)
                self.assert_says(f"^vmlatch: (vm: )?{words}", said)
                self.assertEqual(len(said.splitlines()), 1, said)
                self.assert_free(disk)

    def test_that_names_a_group_too_says_both(self):
        said = self.refused(71, "vm", user="odd-abort", options=["--group", "odd"])
        self.assert_says("user 'odd-abort': group 'odd': looking it up was ended by signal 6", said)

    def test_that_hangs_ends_with_who_waits_for_it(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number):
                vm = self.start("vm", *self.drive(self.odds_disk()), user="odd-hang")
                asking = self.wait_asking(vm)
                self.assertNotEqual(asking, vm.pid)
                vm.signal(number)
                self.assertEqual(vm.wait_end(), -number)
                wait_for("the look-up lives on", lambda asking=asking: not procfs.alive(asking))

    def test_is_waited_for_where_sigchld_is_ignored(self):
        """As some starters leave it; a status could not be waited for then."""
        def ignore():
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        said = self.refused(71, "vm", user="odd-exit", preexec=ignore)
        self.assert_says("ended with status 3 and no answer", said)
        disk = self.odds_disk()
        vm = self.running("vm", *self.drive(disk), preexec=ignore)
        self.assertEqual(procfs.children(vm.pid), [vm.qemu])


if __name__ == "__main__":
    main()
