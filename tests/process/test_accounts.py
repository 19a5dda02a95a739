# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users and groups are looked up by a process of its own, whatever the modules of nsswitch.conf do to it."""

import ctypes
import json
import os
import signal

import procfs
from deadline import wait_for
from in_place import InPlaceTest
from slowtest import SlowTest, main
from vmtest import MACHINE, QEMU, VMLATCH, need_root

MODULE = os.environ["NSS_ODD"]
ODD = 54400     # the number of all its users
DENIED = "-runas: .* is not writable for that user"
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


class AccountTest(SlowTest):
    def setUp(self):
        need_root()
        super().setUp()
        self.files = {"/etc/nsswitch.conf": "passwd: files odd\ngroup: files odd\n"}
        for environment in (self.environment, self.preloaded):
            environment["LD_LIBRARY_PATH"] = os.path.dirname(MODULE)

    def host(self, more=lambda: None):
        """For the process that becomes vmlatch: a host whose files are these."""
        files = {path: self.dir / os.path.basename(path) for path in self.files}
        for path, file in files.items():
            file.write_text(self.files[path])

        def enter():
            for call in ([_libc.unshare, CLONE_NEWNS], [_libc.mount, b"none", b"/", None, MS_REC | MS_PRIVATE, None],
                         *([_libc.mount, os.fsencode(file), os.fsencode(path), None, MS_BIND, None]
                           for path, file in files.items())):
                if call[0](*call[1:]) < 0:
                    raise OSError(ctypes.get_errno(), "a mount namespace")
            more()
        return enter

    def start(self, name, *words, user="odd-good", options=(), preexec=lambda: None, **more):
        users = ("--user", user) if user else ()
        return super().start(name, *words, options=[*users, *options], preexec=self.host(preexec), **more)

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
                ("odd-more", 64, "user 'odd-more' is in more than 65536 groups, and no process can be"),
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


class Groups(AccountTest):
    """There may be many, of QEMU's user and of whoever starts it."""
    many = list(range(60000, 60200))

    def groups(self, process):
        return [int(group) for group in procfs.status(process)["Groups"].split()]

    def test_of_a_user_are_all_that_the_host_names(self):
        self.files["/etc/group"] = "".join(f"g{group}:x:{group}:nobody\n" for group in self.many)
        disk = self.disk("disk.raw")
        os.chown(disk, 0, self.many[-1])
        os.chmod(disk, 0o660)
        vm = self.running("vm", *self.drive(disk), user="nobody")
        self.assertEqual(self.groups(vm.qemu), sorted([*self.many, 65534]))

    def test_of_a_user_may_be_as_many_as_a_process_can_have(self):
        vm = self.running("vm", *self.drive(self.odds_disk()), user="odd-most")
        self.assertEqual(self.groups(vm.qemu), list(range(ODD, ODD + (1 << 16))))

    def test_of_the_caller_are_his_again_after_each_use_of_qemus_rights(self):
        disk = self.odds_disk()
        os.chmod(disk, 0o600)
        vm = self.running("vm", *self.drive(disk), preexec=lambda: os.setgroups(self.many))
        self.assertEqual(self.groups(vm.qemu), [ODD, ODD + 1])
        self.does("pause", "vm")
        vm.wait_state(lock="released")
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        threads = os.listdir(f"/proc/{vm.pid}/task")
        self.assertGreater(len(threads), 1)
        for thread in threads:
            self.assertEqual(self.groups(thread), self.many)


class Runas(AccountTest):
    """What QEMU makes of itself is looked up, too: can that user open the disks again?"""

    def pinned(self, *words):
        """Why `check` says so, and what it warns of."""
        done = self.vmlatch("check", "--json", "--", QEMU, *MACHINE, *words, preexec_fn=self.host())
        self.assertEqual(done.status, 0, done)
        return json.loads(done.out)["pinned"]

    def test_maps_no_module(self):
        vm = self.running("vm", *self.drive(self.odds_disk()), "-runas", "odd-good", user=None)
        self.assertEqual([pid for pid in self.ours() if self.has_module(pid)], [])
        self.assertEqual(self.ours(), [vm.pid])

    def test_of_a_name_counts_with_its_groups(self):
        disk = self.disk("disk.raw")
        os.chmod(disk, 0o660)
        self.assert_says(DENIED, str(self.pinned(*self.drive(disk), "-runas", "odd-good")))
        os.chown(disk, 0, ODD + 1)
        self.assertEqual(self.pinned(*self.drive(disk), "-runas", "odd-good"), [])

    def test_of_numbers_asks_nobody_and_brings_no_groups(self):
        self.files["/etc/group"] = f"nogroup:x:65534:\ndisks:x:{ODD}:nobody\n"
        disk = self.odds_disk()
        os.chmod(disk, 0o060)
        self.assertEqual(self.pinned(*self.drive(disk), "-runas", "nobody"), [])
        self.assert_says(DENIED, str(self.pinned(*self.drive(disk), "-runas", "65534:65534")))

    def test_of_a_name_that_breaks_the_look_up_is_refused(self):
        said = self.refused(71, "vm", *self.drive(self.odds_disk()), "-runas", "odd-abort", user=None)
        self.assert_says("user 'odd-abort': looking it up was ended by signal 6", said)


if __name__ == "__main__":
    main()
