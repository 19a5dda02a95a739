# SPDX-License-Identifier: LGPL-2.1-or-later
"""One more disk under the VM's locks, and one less."""

import os
import resource

import locks
import procfs
from deadline import wait_for
from vmtest import VmTest, main, need_root


class Attach(VmTest):
    def setUp(self):
        super().setUp()
        self.disk_path, self.more = self.guest("writer"), self.disk("more.raw")
        self.vm = self.running("vm", *self.drive(self.disk_path))

    def planted(self, path):
        return locks.BYTE in {lock.start for lock in procfs.fd_locks(self.vm.qemu, path)}

    def test_locks_the_disk_and_plants_the_lock_in_qemu(self):
        self.does("attach", "vm", "disk", self.more)
        self.assert_held(self.more)
        self.assertTrue(self.planted(self.more), "the lock must outlive the supervisor")

    def test_survives_the_supervisors_death(self):
        self.does("attach", "vm", "disk", self.more)
        qemu = self.vm.kill_supervisor()
        self.assertEqual(locks.seen(self.more, locks.BYTE), locks.WRITE)
        said = self.refused(75, "second", *self.drive(self.more))
        self.assert_in_use(said, self.more, self.vm)
        self.kill(qemu)
        self.wait_free(self.more)

    def test_twice_is_harmless(self):
        self.does("attach", "vm", "disk", self.more)
        self.does("attach", "vm", "disk", self.more)
        self.assertEqual(len(self.vm.status()["resources"]), 2)

    def test_with_too_few_descriptors_changes_nothing(self):
        vm = self.vm
        need_root()     # nobody else may look at a supervisor
        more = self.disk("more.raw")
        most = max(int(fd) for fd in os.listdir(f"/proc/{vm.pid}/fd")) + 1
        _, hard = resource.prlimit(vm.pid, resource.RLIMIT_NOFILE)
        failed = 0
        for limit in range(most + 2, most + 12):  # the verb's own connection needs some
            resource.prlimit(vm.pid, resource.RLIMIT_NOFILE, (limit, hard))
            result = self.vmlatch("attach", "vm", "disk", more)
            resource.prlimit(vm.pid, resource.RLIMIT_NOFILE, (hard, hard))
            if result.status == 0:
                break
            failed += 1
            self.wait_free(more)  # what could not be planted is let go behind the answer
            wait_for("it is still attached", lambda: len(vm.status()["resources"]) == 1)
        self.assertGreater(failed, 0)
        self.assert_held(more)
        self.does("detach", "vm", "disk", more)

    def test_of_a_busy_disk_is_refused_and_changes_nothing(self):
        before = self.vm.status()["resources"]
        with locks.Held(self.more):
            said = self.fails(75, "attach", "vm", "disk", self.more)
            self.assert_says(str(self.more), said)
        self.assertEqual(self.vm.status()["resources"], before)
        self.assert_free(self.more)

    def test_of_what_cannot_be_locked_is_refused(self):
        result = self.vmlatch("attach", "vm", "disk", "/dev/null")
        self.assertNotEqual(result.status, 0, result)
        self.assert_says("/dev/null", result.err)

    def test_of_what_is_not_there_is_66(self):
        said = self.fails(66, "attach", "vm", "disk", self.dir / "missing.raw")
        self.assert_says("missing.raw", said)

    def test_is_given_back_by_a_pause_and_taken_by_a_resume(self):
        self.does("attach", "vm", "disk", self.more)
        self.does("pause", "vm")
        self.assert_free(self.more)
        self.does("resume", "vm")
        self.assert_held(self.more)
        self.assertTrue(self.planted(self.more))

    def test_to_a_released_vm_takes_nothing_until_the_resume(self):
        self.does("pause", "vm")
        self.does("attach", "vm", "disk", self.more)
        self.assert_free(self.more)
        self.does("resume", "vm")
        self.assert_held(self.more)
        self.assertTrue(self.planted(self.more))

    def test_of_what_cannot_be_locked_is_refused_by_a_released_vm_too(self):
        for state in ("held", "released"):
            with self.subTest(state):
                self.assert_says("/dev/zero is a character device",
                                 self.fails(69, "attach", "vm", "disk", "/dev/zero"))
            self.does("pause", "vm")
        self.does("resume", "vm")


class Detach(VmTest):
    def test_frees_the_disk_and_leaves_the_others(self):
        disk, more = self.guest("writer"), self.disk("more.raw")
        vm = self.running("vm", *self.drive(disk))
        self.does("attach", "vm", "disk", more)
        self.does("detach", "vm", "disk", more)
        self.assert_free(more)
        wait_for("a descriptor of it is left in QEMU",
                 lambda: str(more) not in procfs.fds(vm.qemu).values())
        self.assert_held(disk)
        self.does("detach", "vm", "disk", more)

    def test_by_another_spelling_frees_it_too(self):
        disk, more, other = self.guest("writer"), self.disk("more.raw"), self.dir / "other.raw"
        other.symlink_to(more)
        self.running("vm", *self.drive(disk))
        self.does("attach", "vm", "disk", more)
        self.does("detach", "vm", "disk", other)
        self.assert_free(more)

    def test_names_can_come_again(self):
        # a getfd name used twice frees the first lock
        disk = self.guest("writer")
        more = [self.disk(f"{number}.raw") for number in range(3)]
        self.running("vm", *self.drive(disk))
        for path in more:
            self.does("attach", "vm", "disk", path)
        self.does("detach", "vm", "disk", more[1])
        self.does("attach", "vm", "disk", more[1])
        for path in more:
            self.assert_held(path)

    def test_while_qemu_uses_the_disk_is_refused(self):
        disk = self.guest("writer")
        self.running("vm", *self.drive(disk))
        result = self.vmlatch("detach", "vm", "disk", disk)
        self.assertNotEqual(result.status, 0, result)
        self.assert_held(disk)

    def test_while_qemu_uses_the_disk_is_refused_whatever_its_name_is_by_now(self):
        disk = self.guest("writer")
        self.running("vm", *self.drive(disk))
        self.running("other", *self.drive(os.path.relpath(self.guest("writer", "two.img"))))
        for name, path in (("vm", disk), ("other", self.dir / "two.img")):
            moved = path.with_suffix(".moved")
            os.rename(path, moved)
            self.images.append(moved)
            [resource] = self.status(name)["resources"]
            result = self.vmlatch("detach", name, "disk", resource["path"])
            self.assertNotEqual(result.status, 0, "the guest writes on")
            self.assert_held(moved)


if __name__ == "__main__":
    main()
