# SPDX-License-Identifier: LGPL-2.1-or-later
"""What QEMU inherits from vmlatch: descriptors and environment, in every shape of the start."""

import hashlib
import os

import procfs
from faketest import Fake, FakeTest, main
from in_place import DropInTest, InPlaceTest
from users import ALICE
from vmtest import QEMU, need_root

OURS = {"NOTIFY_SOCKET": "@nobody-listens", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "LISTEN_PID": "1",
        "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "LISTEN_PIDFDID": "1", "UV_THREADPOOL_SIZE": "1", "UV_USE_IO_URING": "0",
        "VMLATCH_SECRET": "x"}
THEIRS = {"LISTEN": "x", "UV": "x", "XVMLATCH_X": "x", "NOTIFY_SOCKETS": "x", "QEMU_AUDIO_DRV": "none"}
HIGH = 256      # far above what the user has open, below the limit of open files


def path_hash(path):
    return hashlib.sha256(os.fsencode(path)).hexdigest()


class Inherited(FakeTest):
    options = ()

    def setUp(self):
        super().setUp()
        self.environment.update(OURS, **THEIRS)
        self.passed, self.peer = os.pipe()
        os.set_inheritable(self.passed, True)
        self.addCleanup(os.close, self.passed)
        self.addCleanup(os.close, self.peer)

    def begin(self, *words, options=()):
        return self.running("vm", *words, options=[*self.options, *options], pass_fds=[self.passed])

    def two_disks(self):
        self.mine, self.base = self.disk("mine.raw"), self.disk("base.raw")
        self.space = self.dir / "space"
        self.space.mkdir()
        return [*self.drive(self.mine), *self.drive(self.base, "readonly=on")]

    def wanted(self):
        """What lies at the top end, each once, and how it was opened."""
        return {str(self.mine): os.O_RDWR, str(self.base): os.O_RDONLY}

    @staticmethod
    def flags(pid, fd):
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
            return next(int(line.split()[1], 8) for line in file if line.startswith("flags:"))

    def test_are_the_users_descriptors_the_life_lines_and_the_monitor(self):
        vm = self.begin(*self.two_disks())
        given = {int(fd): to for fd, to in vm.fake.log()[0]["fds"].items()}
        users = {0, 1, 2, self.passed}
        self.assertLessEqual(users, set(given), "the user's numbers")
        rest = {fd: to for fd, to in given.items() if fd not in users}
        self.assertTrue(all(fd >= HIGH for fd in rest), rest)
        images = {to: self.flags(vm.qemu, fd) & os.O_ACCMODE for fd, to in rest.items() if to.startswith("/")
                  and not to.startswith("/memfd:")}
        self.assertEqual(images, self.wanted())
        others = sorted(to.partition(":")[0] for to in rest.values() if to not in images)
        self.assertEqual(others, ["/memfd", "socket"], "the monitor: its configuration and its socket")
        self.assertEqual(len(rest), len(images) + 2, rest)
        for fd in rest:     # planted later they are QEMU's own; these come over its exec
            self.assertFalse(self.flags(vm.qemu, fd) & os.O_CLOEXEC)
        self.assertEqual({lock.start for lock in procfs.fd_locks(vm.qemu, self.mine)}, {0})

    def has(self):
        vm = self.begin(*self.drive(self.disk("mine.raw")))
        with open(f"/proc/{vm.qemu}/environ", "rb") as file:
            found = dict(entry.split("=", 1) for entry in os.fsdecode(file.read()).split("\0") if entry)
        for name, value in THEIRS.items():
            self.assertEqual(found.get(name), value)
        return found

    def test_is_an_environment_without_a_services_and_without_ours(self):
        found = self.has()
        self.assertFalse(set(OURS) & set(found))
        self.assertEqual([name for name in found if name.startswith("VMLATCH_")], [])


class InheritedByAnotherUser(Inherited):
    def setUp(self):
        need_root()
        super().setUp()
        self.options = ["--user", ALICE.uid]

    def disk(self, name, **more):
        path = super().disk(name, **more)
        os.chown(path, ALICE.uid, ALICE.uid)
        return path


class InheritedInPlace(InPlaceTest, Inherited):
    pass


class InheritedWithALockspace(Inherited):
    def two_disks(self):
        words = super().two_disks()
        self.options = ["--lockspace", self.space]
        return words

    def wanted(self):
        """Each place has a life line of its own."""
        return {**super().wanted(), **{str(self.space / path_hash(disk)): mode for disk, mode in (
            (self.mine, os.O_RDWR), (self.base, os.O_RDONLY))}}


class InheritedByADropIn(DropInTest, Inherited):
    def setUp(self):
        super().setUp()
        real = self.dir / "real"
        real.mkdir()
        os.symlink(QEMU, real / self.NAME)
        self.use_path(self.links, real, "/usr/bin", "/bin")

    def begin(self, *words, options=()):
        fake = Fake(self.dir)
        vm = self.running("vm", *words, pass_fds=[self.passed], env=dict(self.environment, **fake.environment([])))
        vm.fake = fake
        return vm

    def test_is_an_environment_without_a_services_and_without_ours(self):
        """A drop-in is QEMU to its caller, who has made that environment for QEMU."""
        found = self.has()
        self.assertEqual({name: found.get(name) for name in OURS}, OURS)


if __name__ == "__main__":
    main()
