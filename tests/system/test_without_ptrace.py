# SPDX-License-Identifier: LGPL-2.1-or-later
"""Without CAP_SYS_PTRACE, as a container's root: nobody may look at a process that has more than he."""

import ctypes
import os
import signal

from in_place import DropInTest, InPlaceTest
from test_privileges import NOBODY, SUPERVISORS, capabilities, only
from ungated import UngatedTest
from vmtest import VmTest, main, need_root

CAP_NET_RAW, CAP_SYS_PTRACE = 13, 19
PR_CAPBSET_DROP, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 24, 8, 47, 2
CAPABILITY_VERSION_3 = 0x20080522
KEEP = ("--keep-capability", "net_raw")


LIBC = ctypes.CDLL(None, use_errno=True)


def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "a system call has failed")


def as_root():
    """A container's."""
    must(LIBC.prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0))


def as_user():
    """With CAP_NET_RAW, as by systemd's AmbientCapabilities=."""
    must(LIBC.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    bit = 1 << CAP_NET_RAW
    must(LIBC.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)))
    must(LIBC.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0))


class WithoutPtrace:
    become = staticmethod(as_root)
    rights = {}     # of who asks

    def setUp(self):
        need_root()
        super().setUp()

    def spawn(self, command, **more):
        return super().spawn(command, preexec=self.become, **more)

    def vmlatch(self, *words, **more):
        return super().vmlatch(*words, **more, **self.rights)

    def as_user(self):
        self.become = as_user
        self.rights = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.runtime.mkdir()
        for path in self.dir, self.runtime:
            path.chmod(0o700)
            os.chown(path, NOBODY, NOBODY)

    def whole_life(self, options=()):
        """Ends with the VM running; what its supervisor may do."""
        disk = self.guest("writer", writer="me")
        disk.chmod(0o666)
        vm = self.running("vm", *self.drive(disk), options=options)
        self.does("pause", "vm")
        self.assert_free(disk)
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        self.wait_writing(disk)
        return vm, capabilities(vm.status()["supervisor"]["pid"])

    def ends(self, vm):
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0, vm.err)
        self.wait_free(self.dir / "writer.img")


class Kept(WithoutPtrace):
    def test_of_root_is_looked_at(self):
        vm, supervisor = self.whole_life(KEEP)
        self.assertEqual(capabilities(vm.qemu), only(CAP_NET_RAW))
        self.assertEqual(supervisor["CapEff"], SUPERVISORS - {CAP_SYS_PTRACE} | {CAP_NET_RAW})

    def test_of_a_user_is_looked_at(self):
        self.as_user()
        vm, supervisor = self.whole_life(KEEP)
        found = capabilities(vm.qemu)
        self.assertEqual((found["CapEff"], found["CapAmb"]), ({CAP_NET_RAW}, {CAP_NET_RAW}))
        self.assertEqual({name: supervisor[name] for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")},
                         {"CapPrm": {CAP_NET_RAW}, "CapEff": {CAP_NET_RAW}, "CapInh": set(), "CapAmb": set()})
        self.ends(vm)

    def test_by_nobody_gives_the_supervisor_nothing(self):
        self.as_user()
        vm, supervisor = self.whole_life()
        self.assertEqual(capabilities(vm.qemu)["CapPrm"], set())
        self.assertEqual(supervisor["CapPrm"], set())


class AsChild(Kept, VmTest):
    pass


class InPlace(Kept, InPlaceTest):
    pass


class DropIn(WithoutPtrace, DropInTest):
    def test_of_root_is_looked_at(self):
        vm, supervisor = self.whole_life()
        self.assertEqual(supervisor["CapEff"], capabilities(vm.qemu)["CapEff"])
        self.assertNotIn(CAP_SYS_PTRACE, supervisor["CapPrm"])

    def test_of_a_user_is_looked_at(self):
        self.as_user()
        vm, supervisor = self.whole_life()
        self.assertEqual(capabilities(vm.qemu)["CapEff"], {CAP_NET_RAW})
        self.assertEqual(supervisor["CapEff"], {CAP_NET_RAW})
        self.ends(vm)


class Frozen(WithoutPtrace):
    """Nor may anybody trace who has more than he."""

    def held_and_let_go(self, owner=None):
        vm = self.frozen(*KEEP, owner=owner)
        os.kill(vm.qemu, signal.SIGCONT)
        self.assert_stands(vm)
        self.let_go()
        self.does("resume", "--force-stale", "vm")
        self.assert_runs(vm)

    def test_of_root_is_traced(self):
        self.held_and_let_go()

    def test_of_a_user_is_traced(self):
        self.as_user()
        self.held_and_let_go(NOBODY)


class FrozenAsChild(Frozen, UngatedTest):
    pass


class FrozenInPlace(Frozen, InPlaceTest, UngatedTest):
    pass


main()
