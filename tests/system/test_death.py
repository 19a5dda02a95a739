# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proof 5: locks end with QEMU, and with nothing else."""

import os
import signal
import socket

import locks
import procfs
from deadline import wait_for
from vmtest import VmTest, main


QEMU_WRITES = 101  # QEMU's own lock on an image that it writes


class Death(VmTest):
    writer_rests = False

    def test_of_qemu_frees_its_locks(self):
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk))
        self.wait_writing(disk)
        os.kill(vm.qemu, signal.SIGKILL)
        self.wait_free(disk)
        self.assertEqual(vm.wait_end(), -signal.SIGKILL, vm.err)

    def test_of_qemu_frees_no_lock_before_its_last_write(self):
        for aio in ("threads", "native,cache.direct=on", "io_uring,cache.direct=on"):
            with self.subTest(aio):
                disk = self.guest("writer", f"{aio.split(',', maxsplit=1)[0]}.img")
                vm = self.running(f"vm-{aio[:2]}", *self.drive(disk, f"aio={aio}"))
                self.wait_writing(disk)
                os.kill(vm.qemu, signal.SIGKILL)
                wait_for("the lock is never free", lambda disk=disk: locks.is_free(disk))
                with locks.Held(disk):
                    count = self.counter(disk)
                    vm.wait_end()
                    self.assertEqual(self.counter(disk), count, "a write landed behind the lock")

    def test_of_qemu_frees_nothing_while_its_own_image_lock_lingers(self):
        """As io_uring leaves it: held, and by no process. A description in a socket's queue is that, too."""
        disk = self.guest("halt")
        vm = self.running("vm", *self.drive(disk))
        near, far = socket.socketpair()
        with near, far:
            with locks.Held(disk, byte=QEMU_WRITES, kind=locks.READ) as qemus:
                socket.send_fds(near, [b"x"], [qemus.fd])
            os.kill(vm.qemu, signal.SIGKILL)
            wait_for("it does not say why it waits", lambda: "last write" in vm.err)
            self.assertFalse(locks.is_free(disk))
            self.assertIsNone(vm.process.poll())
        self.wait_free(disk)
        self.assertEqual(vm.wait_end(), -signal.SIGKILL, vm.err)

    def test_of_qemu_frees_the_disk_though_another_program_has_an_image_lock(self):
        disk = self.guest("halt")
        vm = self.running("vm", *self.drive(disk))
        with locks.Held(disk, byte=QEMU_WRITES, kind=locks.READ):
            os.kill(vm.qemu, signal.SIGKILL)
            self.wait_free(disk)
            self.assertEqual(vm.wait_end(), -signal.SIGKILL, vm.err)

    def test_of_a_supervisor_that_waits_for_a_lock_leaves_nobody_who_takes_it_later(self):
        disk = self.guest("halt")
        with locks.Held(disk):
            vm = self.start("vm", *self.drive(disk), options=("--wait", "60"))
            child = wait_for("there is no child", lambda: procfs.children(vm.pid))[0]
            vm.process.kill()
            vm.process.wait()
            self.left_behind.add("vm")
            wait_for("the child waits on alone", lambda: not procfs.alive(child))
        self.assertEqual(os.listxattr(disk), [], "nobody has armed it")
        self.running("vm", *self.drive(disk))  # the name is free again
        self.left_behind.discard("vm")

    def test_of_the_supervisor_leaves_the_vm_running_and_locked(self):
        disk, other = self.guest("writer"), self.disk("other.raw")
        vm = self.running("vm", *self.drive(disk), *self.drive(other))
        qemu = vm.kill_supervisor()
        self.assertTrue(procfs.alive(qemu))
        self.wait_writing(disk)
        for path in (disk, other):
            self.assertEqual(locks.seen(path, locks.BYTE), locks.WRITE, f"{path} stays locked")
        said = self.refused(75, "second", *self.drive(disk))
        self.assert_in_use(said, disk, vm)
        self.kill(qemu)
        self.wait_free(disk)

    def test_of_the_supervisor_shows_and_verbs_change_nothing(self):
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk))
        qemu = vm.kill_supervisor()
        self.assert_says("vm.*unsupervised", self.does("list"))
        state = self.runtime / "vm" / "state.json"
        before = state.read_bytes()
        for words in (["pause"], ["resume"], ["stop"]):
            with self.subTest(words):
                result = self.vmlatch(*words, "vm")
                self.assertNotEqual(result.status, 0, result)
                self.assert_says("unsupervised|supervisor", result.err)
        self.assertNotEqual(self.vmlatch("attach", "vm", "disk", self.disk("more.raw")).status, 0)
        self.assertTrue(procfs.alive(qemu))
        self.assertEqual(state.read_bytes(), before)
        self.wait_writing(disk)
        self.kill(qemu)
        self.wait_free(disk)

    def test_of_both_frees_the_disk_and_the_next_start_cleans_up(self):
        disk = self.guest("halt")
        vm = self.running("vm", *self.drive(disk))
        self.kill(vm.kill_supervisor())
        self.wait_free(disk)
        again = self.running("vm", *self.drive(disk))
        self.left_behind.discard("vm")
        again.signal(15)
        self.assertEqual(again.wait_end(), 0, again.err)

    def test_of_the_supervisor_of_a_released_vm_leaves_it_paused_and_unlocked(self):
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk))
        self.does("pause", "vm")
        qemu = vm.kill_supervisor()
        self.assert_free(disk)
        self.assert_says("paused|released", self.vmlatch("list").out)
        self.running("second", *self.drive(disk))
        self.kill(qemu)

    def test_of_the_supervisor_kills_qemu_where_the_user_said_so(self):
        disk = self.guest("writer")
        vm = self.running("vm", *self.drive(disk), options=["--on-supervisor-death", "kill"])
        qemu = vm.kill_supervisor()
        wait_for("QEMU lives on", lambda: not procfs.alive(qemu))
        self.wait_free(disk)


if __name__ == "__main__":
    main()
