# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users who are not root: they share what their rights let them share, and harm nobody else."""

import glob
import os
import shutil
import signal
import stat

import procfs
from ungated import MANY, UngatedTest, forbid_ptrace, iothread_disk
from users import ALICE, BOB, EVE, VMS, UserTest
from vmtest import MACHINE, QEMU, main


class Files(UserTest):
    def image(self, uid, gid, mode, name="halt.img", guest="halt"):
        path = self.guest(guest, name)
        os.chown(path, uid, gid)
        path.chmod(mode)
        return path

    def space(self, mode, gid=VMS):
        path = self.dir / "lockspace"
        for directory in (path, path / "vms"):
            directory.mkdir(exist_ok=True)
            os.chown(directory, 0, gid)
            directory.chmod(mode)
        return path

    def test_a_user_needs_nothing_but_his_runtime_directory(self):
        disk = self.image(ALICE.uid, ALICE.uid, 0o600)
        with self.by(ALICE):
            own = self.directory(ALICE)
            del self.environment["VMLATCH_RUNTIME_DIR"]
            self.environment["XDG_RUNTIME_DIR"] = str(own)
            self.runtime = own / "vmlatch"
            vm = self.running("mine", *self.drive(disk))
            self.assertEqual(stat.S_IMODE(os.stat(own / "vmlatch").st_mode), 0o700)
            self.assert_held(disk)
            self.assert_says("mine", self.does("list"))
            self.assert_says("'mine'", self.does("who", disk))
            self.does("pause", "mine")
            self.assert_free(disk)
            self.does("resume", "mine")
            self.does("stop", "mine")
            self.assertEqual(vm.wait_end(), 0, vm.err)
            (own / "vmlatch" / "mine.last.json").unlink()
            (own / "vmlatch").rmdir()

    def test_two_users_of_one_image_exclude_each_other(self):
        disk = self.image(ALICE.uid, VMS, 0o660)
        with self.by(ALICE):
            first = self.running("first", *self.drive(disk))
        with self.by(BOB):
            self.assert_in_use(self.refused(75, "second", *self.drive(disk)), disk, first)
            self.assert_says("'first'", self.does("who", disk))
        with self.by(ALICE):
            self.does("pause", "first")
        with self.by(BOB):
            self.running("second", *self.drive(disk))
            self.does("stop", "second")
        with self.by(ALICE):
            self.assert_says("was used by VM 'second'", self.fails(75, "resume", "first"))
            self.does("stop", "first")
        with self.by(EVE):
            self.refused(77, "hers", *self.drive(disk))

    def test_who_may_use_the_image_may_lock_its_lock_file(self):
        disk = self.image(ALICE.uid, VMS, 0o660)
        for mode in (0o2770, 0o1777, 0o770):
            with self.subTest(oct(mode)):
                options = ["--lockspace", self.space(mode)]
                with self.by(ALICE):
                    first = self.running("first", *self.drive(disk), options=options)
                with self.by(BOB):
                    said = self.refused(75, "second", *self.drive(disk), options=options)
                    self.assert_in_use(said, disk, first)
                with self.by(ALICE):
                    self.does("stop", "first")
                    first.wait_end()
                for user in (BOB, None):
                    with self.by(user) if user else self.subTest("root"):
                        vm = self.running("second", *self.drive(disk), options=options)
                        self.does("stop", "second")
                        self.assertEqual(vm.wait_end(), 0, vm.err)
                shutil.rmtree(self.dir / "lockspace")

    def test_who_may_write_to_a_leases_directory_may_lock_it(self):
        name = f"vms:web1:{self.space(0o2770)}"
        for owner, other in ((ALICE, BOB), (BOB, ALICE)):
            with self.by(owner):
                self.running("first", options=["--lease", name])
            with self.by(other):
                self.assert_says("in use by VM 'first'", self.refused(75, "second", options=["--lease", name]))
            with self.by(owner):
                self.does("stop", "first")
                self.vms[-2].wait_end()

    def test_who_may_only_read_the_image_gets_no_lock_file_of_it(self):
        # he could keep those out who write to it
        disk = self.image(ALICE.uid, VMS, 0o644)
        space = self.space(0o1777)
        with self.by(ALICE):
            self.running("first", *self.drive(disk), options=["--lockspace", space])
            self.does("stop", "first")
        made = [path for path in space.iterdir() if path.is_file()]
        self.assertEqual(len(made), 1)
        self.assert_rights(made[0], ALICE.uid, ALICE.uid, 0o600)

    def test_a_strangers_lock_file_is_refused_and_named(self):
        disk = self.image(ALICE.uid, VMS, 0o660)
        space = self.space(0o1777)
        with self.by(EVE):
            theirs = self.image(EVE.uid, EVE.uid, 0o600, "hers.img")
            self.running("hers", *self.drive(theirs), options=["--lockspace", space])
            self.does("stop", "hers")
        squatted, = (path for path in space.iterdir() if path.is_file())
        squatted.chmod(0o666)
        with self.by(ALICE):
            self.running("learn", *self.drive(disk), options=["--lockspace", space])
            self.does("stop", "learn")
            self.vms[-1].wait_end()
        name, = (path for path in space.iterdir() if path.is_file() and path != squatted)
        squatted.rename(name)
        for user in (ALICE, None):
            with self.by(user) if user else self.subTest("root"):
                said = self.refused(65, "vm", *self.drive(disk), options=["--lockspace", space])
                self.assert_says(rf"{name} belongs to another user \(uid {EVE.uid}\): remove it", said)
        # nor does a group that all files there get make him one of it
        os.chown(space, 0, VMS)
        space.chmod(0o3777)
        os.chown(name, EVE.uid, VMS)
        with self.by(ALICE):
            self.refused(65, "vm", *self.drive(disk), options=["--lockspace", space])


class Frozen(UserTest, UngatedTest):
    def test_of_a_user_is_held_and_goes_on(self):
        with self.by(ALICE):
            vm = self.frozen(devices=iothread_disk, machine=MANY, owner=ALICE.uid)
            # what Yama's ptrace_scope of 1 asks for: QEMU descends from who traces it
            self.assertEqual(int(procfs.stat_fields(vm.qemu)[1]), vm.pid)
            self.assertEqual(procfs.tracers(vm.qemu), {vm.pid})
            os.kill(vm.qemu, signal.SIGCONT)
            self.assert_stands(vm)
            self.let_go()
            self.does("resume", "--force-stale", "vm")
            self.assert_runs(vm)
            self.does("stop", "vm")

    def test_of_a_user_who_may_not_trace_is_sigstop_alone(self):
        # as by ptrace_scope 2 and 3
        with self.by(ALICE, ASAN_OPTIONS="detect_leaks=0"):
            vm = self.frozen(states="T", preexec=forbid_ptrace, owner=ALICE.uid)
            self.assertEqual(vm.err.count("cannot be traced (Operation not permitted)"), 1, vm.err)
            vm.signal(signal.SIGCONT)
            self.assert_stands(vm, states="T")
            self.let_go()
            self.does("resume", "--force-stale", "vm")
            self.assert_runs(vm)
            self.does("stop", "vm")

    def test_of_a_binary_that_its_user_may_not_read_gives_no_lock_back(self):
        # the kernel lets nobody but root look at it, or trace it
        binary = self.dir / "qemu-system-x86_64"
        shutil.copy(QEMU, binary)
        binary.chmod(0o711)
        modules = "".join(glob.glob("/usr/lib/*-linux-*/qemu")[:1])     # which a copy does not find
        data = ("-L", "/usr/share/qemu", "-L", "/usr/share/seabios")
        with self.by(ALICE, QEMU_MODULE_DIR=modules):
            vm = self.paused(lock="held", qemu=binary, machine=(*MACHINE, *data), owner=ALICE.uid)
            self.assert_says("cannot be looked at .Permission denied", vm.status()["held_because"])
            self.assert_held(self.disk_path)
            self.does("resume", "vm")
            self.does("stop", "vm")


if __name__ == "__main__":
    main()
