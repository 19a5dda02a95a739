# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lock files in a directory that hosts share, and leases. Two hosts are two runtime directories and names."""

import contextlib
import hashlib
import os
import time

import locks
import procfs
from deadline import wait_for
from vmtest import VmTest, main, need_root


class Shared(VmTest):
    def setUp(self):
        super().setUp()
        self.space = self.dir / "lockspace"
        (self.space / "vms").mkdir(parents=True)
        self.space.chmod(0o700)

    @contextlib.contextmanager
    def on(self, host):
        """What is started and asked here is on that host."""
        before = self.environment, self.runtime
        self.runtime = self.dir / host
        self.environment = dict(self.environment, VMLATCH_RUNTIME_DIR=str(self.runtime))
        try:
            yield ["--host-name", host, "--lockspace", self.space]
        finally:
            self.environment, self.runtime = before

    def lock_file(self, path):
        """As libvirt's virtlockd names it."""
        return self.space / hashlib.sha256(str(path).encode()).hexdigest()

    def here(self, name, *args, options=(), **more):
        return self.running(name, *args, options=["--lockspace", self.space, *options], **more)


class TwoHosts(Shared):
    def test_a_refusal_names_the_vm_of_the_other_host(self):
        disk = self.guest("halt")
        with self.on("kvm1") as options:
            first = self.running("web1", *self.drive(disk), options=options)
        with self.on("kvm2") as options:
            said = self.refused(75, "web2", *self.drive(disk), options=options)
            self.assert_says(rf"is in use by VM 'web1' \(host kvm1, pid {first.qemu}, since ", said)
            self.assertEqual(self.vmlatch("list").out.count("\n"), 1, "the other host's VM is not ours")
            checked = self.vmlatch("check", *options, "--", "qemu-system-x86_64", *self.drive(disk))
            self.assertEqual(checked.status, 75)
            self.assert_says(r"in use by VM 'web1' \(host kvm1", checked.out)

    def test_where_only_the_lock_file_is_shared_it_is_enough(self):
        # locks on the image do not reach the other host: there the same path is another file
        disk = self.guest("halt")
        with self.on("kvm1") as options:
            first = self.running("web1", *self.drive(disk), options=options)
        disk.rename(self.dir / "kvm1.img")
        self.images.append(self.dir / "kvm1.img")
        self.guest("halt", disk.name)
        with self.on("kvm2") as options:
            said = self.refused(75, "web2", *self.drive(disk), options=options)
            self.assert_says(rf"{disk} is in use by VM 'web1' \(host kvm1, pid {first.qemu}", said)
        self.assert_free(disk)

    def test_a_resume_after_the_other_hosts_vm_ran_is_stale_and_says_where(self):
        disk = self.guest("halt")
        with self.on("kvm1") as options:
            self.running("web1", *self.drive(disk), options=options)
            self.does("pause", "web1")
        with self.on("kvm2") as options:
            self.running("web2", *self.drive(disk), options=options)
            self.does("stop", "web2")
        with self.on("kvm1"):
            said = self.fails(75, "resume", "web1")
            self.assert_says(r"was used by VM 'web2' \(host kvm2, pid ", said)
            self.does("stop", "web1")

    def test_a_pause_gives_the_lock_file_back_too(self):
        disk = self.guest("halt")
        with self.on("kvm1") as options:
            self.running("web1", *self.drive(disk), options=options)
            self.assert_held(self.lock_file(disk))
            self.does("pause", "web1")
            self.assert_free(self.lock_file(disk))
            self.does("resume", "web1")
            self.assert_held(self.lock_file(disk))
            self.does("stop", "web1")

    def test_the_supervisors_death_frees_no_lock_file(self):
        disk = self.guest("halt")
        with self.on("kvm1") as options:
            vm = self.running("web1", *self.drive(disk), options=options)
            qemu = vm.kill_supervisor()
            self.assertEqual(locks.seen(self.lock_file(disk), locks.BYTE), locks.WRITE)
        with self.on("kvm2") as options:
            self.assert_says(r"in use by VM 'web1' \(host kvm1",
                             self.refused(75, "web2", *self.drive(disk), options=options))
        self.kill(qemu)
        wait_for("QEMU's death frees nothing", lambda: locks.is_free(self.lock_file(disk)))


class QemusUser(Shared):
    def test_need_not_be_able_to_look_into_the_lockspace(self):
        need_root()
        disk = self.guest("halt")
        for path in (self.dir, disk):
            os.chmod(path, 0o777)
        vm = self.here("vm", *self.drive(disk), options=["--user", "nobody"])
        self.assert_held(self.lock_file(disk))
        self.does("pause", "vm")
        self.does("resume", "vm")
        self.assert_held(self.lock_file(disk))
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0, vm.err)


class OtherNames(Shared):
    def test_of_an_attached_disk_have_their_lock_files_too(self):
        disk = self.guest("writer")
        vm = self.here("vm", *self.drive(disk))
        for kind, other in (("disk", self.dir / "hard.img"), ("image", self.dir / "soft.img")):
            with self.subTest(kind):
                if kind == "disk":
                    os.link(disk, other)
                else:
                    other.symlink_to(disk)
                self.does("attach", "vm", kind, other)
                self.assert_held(self.lock_file(other))
                self.assertIn(locks.BYTE, {lock.start for lock in procfs.fd_locks(vm.qemu, self.lock_file(other))},
                              "the lock must outlive the supervisor")
                self.assertEqual(len(vm.status()["resources"]), 1)
        self.does("pause", "vm")
        self.assert_free(self.lock_file(self.dir / "hard.img"))
        self.does("resume", "vm")
        for name in ("hard.img", "soft.img"):
            self.assert_held(self.lock_file(self.dir / name))
        qemu = vm.kill_supervisor()
        self.assertEqual(locks.seen(self.lock_file(self.dir / "hard.img"), locks.BYTE), locks.WRITE)
        self.kill(qemu)
        wait_for("QEMU's death frees nothing", lambda: locks.is_free(self.lock_file(self.dir / "hard.img")))


class SharedWriters(Shared):
    def test_have_no_record_and_are_named_by_their_state(self):
        disk = self.guest("halt")
        shared = ("-drive", f"file={disk},format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d,share-rw=on")
        first = self.here("first", *shared)
        self.here("second", *shared)
        said = self.refused(75, "third", *self.drive(disk), options=["--lockspace", self.space])
        self.assert_says(rf"in use by VM '(first|second)' \(host \S+, pid ({first.qemu}|\d+)", said)
        self.does("stop", "first", "second")


class Loss(Shared):
    def lose(self, **more):
        disk = self.guest("counter")
        vm = self.here("vm", *self.drive(disk), **more)
        self.lock_file(disk).unlink()
        return vm, disk

    def test_w10_a_lock_file_that_is_unlinked_freezes_the_guest_at_once(self):
        vm, disk = self.lose()
        seen = vm.wait_state(lock="lost")
        self.assertTrue(seen["frozen"])
        self.assertEqual(seen["cause"], "lock-lost")
        self.assert_says("was removed or replaced", seen["cause_detail"])
        wait_for("QEMU runs on", lambda: procfs.state(vm.qemu) in "tT")
        before = disk.read_bytes()
        time.sleep(0.3)  # to show that nothing happens
        self.assertEqual(disk.read_bytes(), before, "a guest that has lost its lock writes on")
        self.fails(69, "resume", "vm")
        self.does("stop", "vm")

    def test_and_poweroff_ends_it_with_76(self):
        vm, _ = self.lose(options=["--on-lock-failure", "poweroff"])
        self.assertEqual(vm.wait_end(), 76, vm.err)
        self.assert_says("was removed or replaced", vm.err)

    def test_a_lock_file_that_is_replaced_is_one_too(self):
        disk = self.guest("halt")
        vm = self.here("vm", *self.drive(disk))
        other = self.space / "other"
        other.touch()
        other.rename(self.lock_file(disk))
        vm.wait_state(lock="lost")
        self.does("stop", "vm")

    def test_what_happens_to_other_lock_files_is_none(self):
        disk = self.guest("halt")
        vm = self.here("vm", *self.drive(disk))
        for name in ("a" * 64, "b" * 64):
            (self.space / name).touch()
        (self.space / ("a" * 64)).unlink()
        (self.space / ("b" * 64)).rename(self.space / ("c" * 64))
        time.sleep(0.3)  # to show that nothing happens
        self.assertEqual(vm.status()["lock_state"], "held")
        self.does("stop", "vm")

    def test_in_a_pause_is_stale_and_force_takes_the_new_file(self):
        disk = self.guest("halt")
        vm = self.here("vm", *self.drive(disk))
        self.does("pause", "vm")
        self.lock_file(disk).unlink()
        self.assert_says("its record is gone", self.fails(75, "resume", "vm"))
        self.does("resume", "vm", "--force-stale")
        self.assert_held(self.lock_file(disk))
        wait_for("QEMU does not have the new one", lambda: any(
            lock.start == locks.BYTE for lock in procfs.fd_locks(vm.qemu, self.lock_file(disk))))
        self.does("stop", "vm")


class Leases(Shared):
    def lease(self, key):
        return f"vms:{key}:{self.space}", self.space / "vms" / key

    def test_keep_a_second_vm_out(self):
        name, path = self.lease("web1")
        vm = self.running("vm", options=["--lease", name])
        self.assert_held(path)
        said = self.refused(75, "second", options=["--lease", name])
        self.assert_says(rf"vms:web1:.* is in use by VM 'vm' \(host \S+, pid {vm.qemu}", said)
        self.does("stop", "vm")
        self.assert_free(path)

    def test_are_taken_all_or_nothing_with_the_disks(self):
        name, path = self.lease("web1")
        disk = self.guest("halt")
        with locks.Held(disk):
            self.refused(75, "vm", *self.drive(disk), options=["--lease", name])
        self.assert_free(path)
        with locks.Held(path):
            self.refused(75, "vm", *self.drive(disk), options=["--lease", name])
        self.assert_free(disk)

    def test_without_a_place_are_in_the_lockspace(self):
        self.here("vm", options=["--lease", "vms:web1"])
        self.assert_held(self.space / "vms/web1")
        self.refused(64, "second", options=["--lease", "vms:web1"])
        self.does("stop", "vm")

    def test_of_a_space_that_is_not_there_are_69(self):
        self.assert_says("make it first", self.refused(69, "vm", options=["--lease", f"no:web1:{self.space}"]))
        self.assertFalse((self.space / "no").exists())

    def test_come_and_go_while_it_runs_and_outlive_the_supervisor(self):
        name, path = self.lease("more")
        vm = self.running("vm")
        self.does("attach", "vm", "lease", name)
        self.does("attach", "vm", "lease", name)
        self.assert_held(path)
        self.does("detach", "vm", "lease", name)
        self.does("detach", "vm", "lease", name)
        self.assert_free(path)
        self.does("attach", "vm", "lease", name)
        qemu = vm.kill_supervisor()
        self.assertEqual(locks.seen(path, locks.BYTE), locks.WRITE)
        self.kill(qemu)
        self.wait_free(path)

    def test_come_and_go_while_it_is_released(self):
        (one, one_path), (two, two_path) = self.lease("one"), self.lease("two")
        self.running("vm", *self.drive(self.guest("halt")), options=["--lease", one])
        self.does("pause", "vm")
        self.does("attach", "vm", "lease", two)
        self.does("detach", "vm", "lease", one)
        for path in (one_path, two_path):
            self.assertTrue(not path.exists() or locks.is_free(path))
        self.does("resume", "vm")
        self.assert_held(two_path)
        self.assert_free(one_path)
        self.does("stop", "vm")

    def test_come_and_go_while_it_is_paused_and_keeps_its_locks(self):
        name, path = self.lease("more")
        disk = self.disk("more.raw")
        vm = self.running("vm", *self.drive(self.guest("halt")), options=["--release-on", "none"])
        self.fails(69, "pause", "vm")
        for kind, words, file in (("lease", name, path), ("disk", disk, disk)):
            with self.subTest(kind):
                self.does("attach", "vm", kind, words)
                self.assert_held(file)
                self.assertTrue(any(lock.start == locks.BYTE for lock in procfs.fd_locks(vm.qemu, file)))
                self.does("detach", "vm", kind, words)
                self.assert_free(file)
        self.does("resume", "vm")
        self.does("stop", "vm")

    def test_that_are_busy_change_nothing(self):
        name, path = self.lease("busy")
        vm = self.running("vm")
        path.touch()
        with locks.Held(path, posix=True):
            said = self.fails(75, "attach", "vm", "lease", name)
            self.assert_says(rf"in use by .*\(pid {os.getpid()}\)", said)
        self.assertEqual(vm.status()["resources"], [])
        self.does("stop", "vm")


class Image(Shared):
    def test_is_one_file_without_its_chain(self):
        base = self.guest("halt", "base.img")
        vm = self.running("vm")
        self.does("attach", "vm", "image", base, "--readonly")
        self.assertEqual(locks.seen(base, locks.READERS), locks.READ)
        self.does("attach", "vm", "image", base, "--readonly")
        self.fails(69, "attach", "vm", "image", base)  # stronger than it is attached
        self.does("detach", "vm", "image", base)
        self.assert_free(base)
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0)


if __name__ == "__main__":
    main()
