#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage that hangs: a frozen ext4 on a loop device."""
import os
import signal
import subprocess
import time

import locks
from deadline import wait_for
from vmtest import VmTest, main


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


class FrozenStorage(VmTest):
    def setUp(self):
        super().setUp()
        image, self.mount = self.dir / "ext4.img", self.dir / "mount"
        self.frozen = False
        with open(image, "wb") as file:
            file.truncate(32 << 20)
        run("mkfs.ext4", "-q", image)
        self.mount.mkdir()
        run("mount", "-o", "loop", image, self.mount)
        self.addCleanup(run, "umount", "-l", self.mount)
        self.addCleanup(self.thaw)

    def freeze(self):
        run("fsfreeze", "-f", self.mount)
        self.frozen = True

    def thaw(self):
        if self.frozen:
            run("fsfreeze", "-u", self.mount)
            self.frozen = False

    def wait_stuck(self, disk):
        """Until the guest's counter stands: its next write hangs."""
        seen = [self.counter(disk)]

        def stands():
            time.sleep(0.3)
            seen.append(self.counter(disk))
            return seen[-1] == seen[-2]
        wait_for("the guest goes on writing to frozen storage", stands)

    def killed_on_frozen_storage(self, aio):
        disk = self.guest("writer", "mount/writer.img")
        vm = self.running("vm", *self.drive(disk, f"aio={aio}"))
        self.wait_writing(disk)
        self.freeze()
        self.wait_stuck(disk)
        os.kill(vm.qemu, signal.SIGKILL)
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:  # as long as the storage hangs a write may still land
            self.assertFalse(locks.is_free(disk), "the lock is free before the last write is done")
            time.sleep(0.02)
        self.thaw()
        wait_for("the lock is never free", lambda: locks.is_free(disk))
        with locks.Held(disk):
            count = self.counter(disk)
            self.assertEqual(vm.wait_end(), -signal.SIGKILL, vm.err)
            time.sleep(0.3)
            self.assertEqual(self.counter(disk), count, "a write landed behind the lock")

    def test_keeps_the_lock_of_a_killed_qemu_with_threads(self):
        self.killed_on_frozen_storage("threads")

    def test_keeps_the_lock_of_a_killed_qemu_with_native(self):
        self.killed_on_frozen_storage("native,cache.direct=on")

    def test_keeps_the_lock_of_a_killed_qemu_with_io_uring(self):
        self.killed_on_frozen_storage("io_uring,cache.direct=on")

    def test_keeps_a_paused_vm_draining_until_it_is_back(self):
        """The guest is stopped, its write is not done: nothing is released, and status says so."""
        disk = self.guest("writer", "mount/writer.img")
        vm = self.running("vm", *self.drive(disk, "aio=threads"))
        self.wait_writing(disk)
        self.freeze()
        self.wait_stuck(disk)
        pause = self.spawn([os.environ["VMLATCH"], "pause", "vm"], stdin=subprocess.DEVNULL)
        time.sleep(1)
        self.assertIsNone(pause.poll(), "pause ended before the last write")
        self.assertFalse(locks.is_free(disk))
        self.assertEqual(vm.status()["lock_state"], "held")
        self.thaw()
        self.assertEqual(pause.wait(20), 0)
        vm.wait_state(run="paused", lock="released")
        self.assertTrue(locks.is_free(disk))
        count = self.counter(disk)
        time.sleep(0.3)
        self.assertEqual(self.counter(disk), count)
        self.does("resume", "vm")


if __name__ == "__main__":
    main()
