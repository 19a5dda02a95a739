# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that runs without its locks is frozen, and nobody but its supervisor lets it go on."""

import ctypes
import os
import signal

import locks
import procfs
from deadline import wait_for
from ungated import CLOSE_RANGE, MANY, PTRACE, UngatedTest, forbid, forbid_ptrace, iothread_disk
from vmtest import main, need_root

NOBODY = 65534
PR_CAPBSET_DROP, CAP_SYS_PTRACE = 24, 19


def own_group():
    """As a shell's job: the group is orphaned as soon as the supervisor is dead. SIGHUP comes with
    the kernel's SIGCONT; blocked it does not end QEMU before anybody sees what the guest does."""
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


class Freeze(UngatedTest):
    def test_of_a_busy_disk_lasts_until_the_disk_is_free(self):
        vm = self.frozen(devices=iothread_disk, machine=MANY)
        self.assertGreater(len(procfs.thread_states(vm.qemu)), 5, "vCPUs, the iothread, the loop")
        self.fails(75, "resume", "vm")
        self.assert_stands(vm)
        self.let_go()
        # what it wrote before the freeze makes the disk stale
        self.does("resume", "--force-stale", "vm")
        self.assert_runs(vm)

    def test_is_not_undone_by_sigcont(self):
        vm = self.frozen(devices=iothread_disk, machine=MANY)
        os.kill(vm.qemu, signal.SIGCONT)
        self.assert_stands(vm)

    def test_is_not_undone_by_ctrl_z_and_fg(self):
        vm = self.frozen(preexec=os.setpgrp)  # in an orphaned group it would not stop
        for pid in (vm.qemu, vm.pid):
            os.kill(pid, signal.SIGTSTP)
        wait_for("vmlatch is stopped", lambda: procfs.state(vm.pid) == "T")
        for pid in (vm.qemu, vm.pid):
            os.kill(pid, signal.SIGCONT)
        wait_for("vmlatch goes on", lambda: procfs.state(vm.pid) != "T")
        self.assert_stands(vm)
        self.let_go()
        self.does("resume", "--force-stale", "vm")
        self.assert_runs(vm)

    def test_of_a_guest_that_only_is_there_is_not_undone_by_fg(self):
        vm = self.frozen(guest="halt")
        os.kill(vm.qemu, signal.SIGCONT)
        vm.signal(signal.SIGCONT)
        self.assert_stands(vm)

    def test_ends_in_death_with_the_supervisor(self):
        """The kernel sends SIGCONT to the stopped members of a group that is orphaned."""
        vm = self.frozen(preexec=own_group)
        count = self.counter(self.disk_path)
        qemu = vm.kill_supervisor()
        wait_for("QEMU lives without locks and supervisor", lambda: not procfs.alive(qemu))
        self.assertEqual(self.counter(self.disk_path), count, "it wrote to a disk that another holds")

    def test_leaves_no_bond_behind(self):
        """Thawed, it outlives its supervisor as any other."""
        vm = self.frozen()
        self.let_go()
        self.does("resume", "--force-stale", "vm")
        self.assert_runs(vm)
        qemu = vm.kill_supervisor()
        self.wait_writing(self.disk_path)
        self.assertEqual(locks.seen(self.disk_path, locks.BYTE), locks.WRITE)
        self.kill(qemu)
        self.wait_free(self.disk_path)

    def test_does_not_hide_that_somebody_killed_qemu(self):
        vm = self.frozen(devices=iothread_disk, machine=MANY)
        os.kill(vm.qemu, signal.SIGKILL)
        self.assertEqual(vm.wait_end(5), -signal.SIGKILL, vm.err)
        self.assertFalse(procfs.alive(vm.qemu))

    def test_can_be_ended_by_stop(self):
        vm = self.frozen(devices=iothread_disk, machine=MANY)
        count = self.counter(self.disk_path)
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(5), 0, vm.err)
        self.assertEqual(self.counter(self.disk_path), count)

    def test_can_be_ended_by_sigterm(self):
        vm = self.frozen()
        count = self.counter(self.disk_path)
        vm.signal(signal.SIGTERM)
        self.assertEqual(vm.wait_end(5), 0, vm.err)
        self.assertEqual(self.counter(self.disk_path), count)

    def test_holds_a_qemu_of_another_user(self):
        need_root()
        vm = self.frozen("--user", "nobody", owner=NOBODY)
        os.kill(vm.qemu, signal.SIGCONT)
        self.assert_stands(vm)
        self.let_go()
        self.does("resume", "--force-stale", "vm")
        self.assert_runs(vm)


class WithoutTracing(UngatedTest):
    """SIGSTOP alone, as by a container's filter of system calls."""

    def untraced(self, preexec=forbid_ptrace, **more):
        no_leaks = dict(self.environment, ASAN_OPTIONS="detect_leaks=0")  # it would use ptrace itself
        vm = self.frozen(states="T", preexec=preexec, env=no_leaks, **more)
        self.assertEqual(vm.err.count("cannot be traced (Operation not permitted)"), 1, vm.err)
        return vm

    def thaw(self, vm):
        self.let_go()
        self.does("resume", "--force-stale", "vm")
        self.assert_runs(vm)

    def deadman(self, vm):
        """The process that is to kill QEMU after its supervisor."""
        found = [pid for pid in procfs.children(vm.pid) if pid != vm.qemu and procfs.alive(pid)]
        self.assertLessEqual(len(found), 1)
        return found[0] if found else None

    def test_is_not_undone_by_fg_and_said_once(self):
        vm = self.untraced()
        vm.signal(signal.SIGCONT)
        self.assert_stands(vm, states="T")
        self.assertEqual(vm.err.count("cannot be traced"), 1, vm.err)
        self.thaw(vm)

    def test_is_renewed_after_a_strangers_sigcont(self):
        vm = self.untraced(devices=iothread_disk, machine=MANY)
        for _ in range(20):
            os.kill(vm.qemu, signal.SIGCONT)
            self.wait_threads(vm, "T")
        self.assert_stands(vm, states="T")
        self.thaw(vm)

    def assert_dies_with_the_supervisor(self, vm):
        deadman, qemu = self.deadman(vm), vm.kill_supervisor()
        wait_for("QEMU lives without locks and supervisor", lambda: not procfs.alive(qemu))
        wait_for("who killed it is still there", lambda: not procfs.alive(deadman))

    def test_ends_in_death_with_the_supervisor(self):
        self.assert_dies_with_the_supervisor(self.untraced())

    def test_ends_in_death_in_a_group_that_is_orphaned_too(self):
        def forbid_in_own_group():
            own_group()
            forbid_ptrace()

        self.assert_dies_with_the_supervisor(self.untraced(forbid_in_own_group))

    def test_ends_in_death_where_the_filter_is_an_old_one(self):
        need_root()     # nobody else may look at a supervisor
        vm = self.untraced(lambda: forbid(PTRACE, CLOSE_RANGE))
        self.assertEqual(len(os.listdir(f"/proc/{self.deadman(vm)}/fd")), 2, "QEMU's pidfd, a pipe")
        self.assert_dies_with_the_supervisor(vm)

    def test_leaves_no_bond_behind(self):
        vm = self.untraced()
        self.thaw(vm)
        wait_for("it would still be killed", lambda: not self.deadman(vm))
        qemu = vm.kill_supervisor()
        self.wait_writing(self.disk_path)
        self.kill(qemu)
        self.wait_free(self.disk_path)

    def test_keeps_nothing_of_its_supervisors_open(self):
        need_root()     # nobody else may look at a supervisor
        vm = self.untraced()
        self.assertEqual(len(os.listdir(f"/proc/{self.deadman(vm)}/fd")), 2, "QEMU's pidfd, a pipe")
        for sent in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGTSTP):
            os.kill(self.deadman(vm), sent)
        os.kill(self.deadman(vm), signal.SIGKILL)
        wait_for(lambda: f"its death should be told: {vm.err}", lambda: "has been killed" in vm.err)
        self.assert_stands(vm, states="T")
        self.thaw(vm)

    def test_can_be_ended_by_stop(self):
        vm = self.untraced()
        self.does("stop", "vm")
        vm.wait_end()
        self.assertFalse(procfs.alive(vm.qemu))
        self.let_go()

    def test_of_another_users_qemu_without_the_capability(self):
        """Nor can that be looked at, so its locks are never given back; but they can be lost."""
        need_root()

        def drop():
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0) < 0:
                raise OSError(ctypes.get_errno(), "prctl")

        space = self.dir / "lockspace"
        space.mkdir()
        vm = self.paused("--user", "nobody", "--lockspace", space, lock="held", preexec=drop, owner=NOBODY)
        self.assert_says("with CAP_SYS_PTRACE only", vm.status()["held_because"])
        self.does("resume", "vm")
        self.wait_writing(self.disk_path)
        for lock_file in space.iterdir():
            lock_file.unlink()
        vm.wait_state(lock="lost")
        self.wait_threads(vm, "T")
        wait_for(lambda: f"the weakness should be said: {vm.err}",
                 lambda: "cannot be traced (Operation not permitted)" in vm.err)
        os.kill(vm.qemu, signal.SIGCONT)
        self.wait_threads(vm, "T")
        self.assert_stands(vm, states="T")
        self.does("stop", "vm")


if __name__ == "__main__":
    main()
