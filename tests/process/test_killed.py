# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL of the supervisor in the middle of something: what is left must be true and safe."""

import locks
import procfs
from deadline import wait_for
from slowtest import SlowTest, main


class Supervisor(SlowTest):
    def killed(self, vm):
        """QEMU lives on under its lock; state.json, list and status say what is known."""
        qemu = vm.kill_supervisor()
        self.assertTrue(procfs.alive(qemu))
        self.assertEqual(locks.seen(vm.disk, locks.BYTE), locks.WRITE)
        listed = next(each for each in self.json("list") if each["name"] == "vm")
        seen = vm.status()
        for state in (listed, seen):
            self.assertEqual(state["presence"], "unsupervised")
            self.assertEqual(state["qemu"]["pid"], qemu)
            self.assertEqual([each["path"] for each in state["resources"]], [str(vm.disk)])
        self.assertEqual(self.vmlatch("status", "vm").status, 4)
        self.assert_says("unsupervised", self.vmlatch("list").out)
        return seen

    def ends(self, vm):
        """Nobody else gets the disk before QEMU's death, and everybody behind it."""
        self.go_on()
        self.refused(75, "second", *self.drive(vm.disk))
        self.kill(vm.qemu)
        self.wait_free(vm.disk)
        again = self.running("vm", *self.drive(vm.disk))
        self.does("stop", "vm")
        again.wait_end()

    def test_while_it_saves_has_given_nothing_up(self):
        vm = self.saving()
        seen = self.killed(vm)
        self.assertEqual(seen["lock_state"], "releasing")
        self.assertTrue(seen["deactivated"])
        self.assertNotIn("lock_text", seen)
        self.ends(vm)

    def test_while_it_releases_has_written_down_what_it_gives_up(self):
        vm = self.one_disk(env=self.preloaded)
        self.hang("unlock")
        self.stop_by_itself(vm)
        self.wait_hanging("unlock")
        seen = self.killed(vm)
        self.assertEqual(seen["lock_state"], "releasing")
        self.assertTrue(seen["deactivated"])
        self.assertIn(str(vm.disk), seen["lock_text"])
        self.ends(vm)

    def ends_with_it(self, vm):
        """A VM whose guest has not run is worth nothing, and nobody could let it run."""
        qemu = vm.kill_supervisor()
        wait_for("QEMU waits on alone", lambda: not procfs.alive(qemu))
        self.wait_free(vm.disk)
        wait_for("somebody stays", lambda: not procfs.with_environment(str(self.runtime)))
        self.assertNotIn("cont", vm.fake.commands())

    def test_while_it_waits_for_qemus_greeting_ends_qemu(self):
        path = self.disk("disk.raw")
        vm = self.start("vm", *self.drive(path), script=["greeting "], env=self.preloaded)
        vm.disk = path
        wait_for("no QEMU", lambda: vm.fake.started)
        self.assertEqual(vm.status()["lock_state"], "held", "written before QEMU was executed")
        self.ends_with_it(vm)

    def test_while_it_waits_for_qemus_graph_ends_qemu(self):
        path = self.disk("disk.raw")
        vm = self.start("vm", *self.drive(path), script=["on query-named-block-nodes ignore"])
        vm.disk = path
        vm.fake.wait_command("query-named-block-nodes")
        self.ends_with_it(vm)

    def test_while_the_user_holds_the_guest_back_leaves_it_to_him(self):
        path = self.disk("disk.raw")
        vm = self.running("vm", *self.drive(path), "-S", run="prelaunch", env=self.preloaded)
        vm.disk = path
        seen = self.killed(vm)
        self.assert_says("-S", seen["cause_detail"])
        self.ends(vm)


if __name__ == "__main__":
    main()
