# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proof 1: starters that race for one disk while either party is killed at random.

PROOF_ROUNDS rounds (200 unless told), PROOF_SEED to repeat a run. "Never two holders" does not rest
on vmlatch's or QEMU's own locks: QEMU's are off, and what runs as QEMU takes a witness lock (flock on
another file) before it becomes QEMU; if the witness is taken, two guests hold the disk.
"""

import os
import random
import re
import stat
import time
import unittest

import procfs
from deadline import STEP, wait_for
from loop import loop_device
from vmtest import QEMU, VmTest, main, need_root

ROUNDS = int(os.environ.get("PROOF_ROUNDS", "200"))
SEED = int(os.environ.get("PROOF_SEED", str(time.time_ns() % 1000000)))


class Race(VmTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.disk_path = self.guest("halt")
        self.violations = self.dir / "violations"
        # descriptor 9 is lower than the life line: at its death the witness goes first
        self.qemu_with_witness = self.script("qemu-with-witness", (
            f"exec 9>>{self.dir}/witness\n"
            f"flock -n 9 || echo \"$$ is a second holder\" >>{self.violations}\n"
            f"exec {QEMU} \"$@\""))

    def starter(self, name):
        self.environment = self.environment_of(name)
        return self.start(name, *self.drive(self.disk_of(name), "file.locking=off"),
                          options=self.options_of(name), qemu=self.qemu_with_witness)

    # what the other races below do differently
    rounds = ROUNDS

    def disk_of(self, _name):
        return self.disk_path

    def options_of(self, _name):
        return ()

    def environment_of(self, _name):
        return self.environment

    @staticmethod
    def decided(vm):
        """'refused' or 'runs' (QEMU was started), else None."""
        if vm.process.poll() is not None:
            return "refused"
        return "runs" if vm.find_qemu() else None

    def check_loser(self, loser, names):
        self.assertEqual(loser.process.returncode, 75, loser.err)
        self.assertTrue(re.search(rf"in use by VM '({'|'.join(names)})'|just taken", loser.err),
                        f"the loser does not name the winner: {loser.err}")

    def check_witness(self, number):
        if self.violations.exists():
            self.fail(f"round {number}, seed {SEED}: two holders: {self.violations.read_text()}")

    def kill_at_random(self, winner):
        """Kill one party of the winner; in the end both are dead."""
        victims = [winner.pid, winner.qemu]
        self.random.shuffle(victims)
        time.sleep(self.random.random() * 0.05)  # the moment itself is random, nothing is awaited
        if self.random.random() < 0.25:
            winner.process.terminate()
            victims = []
        for number, victim in enumerate(victims):
            if procfs.alive(victim):
                os.kill(victim, 9)
            if number == 0 and victim == winner.pid:
                self.check_orphan(winner)
        winner.wait_end()
        wait_for("QEMU survives", lambda: not procfs.alive(winner.qemu))

    def check_orphan(self, winner):
        """The supervisor is dead. While its QEMU lives the disk is locked; if its guest has not run, QEMU ends."""
        third = self.starter("third")
        wait_for(lambda: f"undecided: {third.err}", lambda: self.decided(third))
        if self.decided(third) == "refused":
            self.check_loser(third, [winner.name])
            return
        self.assertFalse(procfs.alive(winner.qemu), "both have the disk")
        third.known()
        third.process.terminate()
        third.wait_end()

    def round(self, number):
        first = self.starter("one")
        time.sleep(self.random.random() * 0.01)
        starters = [first, self.starter("two")]
        wait_for(lambda: f"undecided: {[vm.err for vm in starters]}",
                 lambda: all(self.decided(vm) for vm in starters))
        winners = [vm for vm in starters if self.decided(vm) == "runs"]
        losers = [vm for vm in starters if vm not in winners]
        self.assertEqual((len(winners), len(losers)), (1, 1),
                         f"round {number}: {[(vm.process.poll(), vm.err) for vm in starters]}")
        self.check_loser(losers[0], [winners[0].name])
        self.check_witness(number)

        self.kill_at_random(winners[0])
        next_one = self.starter("next")  # back to back
        wait_for(lambda: f"round {number}: the next one is not let in: {next_one.err}",
                 lambda: self.decided(next_one))
        self.assertEqual(self.decided(next_one), "runs", f"round {number}: {next_one.err}")
        self.check_witness(number)
        next_one.known()
        next_one.process.terminate()
        next_one.wait_end()
        self.vms.clear()

    def test_never_two_holders_and_the_loser_knows_why(self):
        for number in range(self.rounds):
            self.round(number)
        # what the killed ones left goes with the next VM of their name
        for name in ("one", "two", "third", "next"):
            vm = self.starter(name)
            wait_for(lambda vm=vm: f"{vm.name}: {vm.err}", lambda vm=vm: self.decided(vm) == "runs")
            vm.wait_state(run="running", lock="held")
            vm.process.terminate()
            vm.wait_end()
        self.wait_free(self.disk_path)
        print(f"{self.rounds} rounds, seed {SEED}")


class RaceOfTwoHosts(Race):
    """On a lockspace; 'two' is another host's, with a runtime directory of its own."""

    rounds = ROUNDS // 4

    def setUp(self):
        super().setUp()
        self.space = self.dir / "lockspace"
        self.space.mkdir(mode=0o700)
        self.here = self.environment
        self.there = dict(self.environment, VMLATCH_RUNTIME_DIR=str(self.dir / "there"))

    def options_of(self, name):
        return "--lockspace", self.space, "--host-name", "kvm2" if name == "two" else "kvm1"

    def environment_of(self, name):
        return self.there if name == "two" else self.here


class RaceForADevice(Race):
    """A loop device, which 'two' knows by another node."""

    rounds = ROUNDS // 4

    def setUp(self):
        need_root()
        super().setUp()
        self.environment["VMLATCH_DEVICE_LOCKS"] = str(self.dir / "devices")
        self.images.remove(self.disk_path)
        self.device = loop_device(self, self.disk_path)
        self.node = self.dir / "other-node"
        os.mknod(self.node, stat.S_IFBLK | 0o600, os.stat(self.device).st_rdev)
        self.disk_path = self.device

    def disk_of(self, name):
        return self.node if name == "two" else self.device


class Witness(unittest.TestCase):
    """The witness itself can see a violation: else the proof above proves nothing."""

    def test_sees_a_second_holder(self):
        race = Race("test_never_two_holders_and_the_loser_knows_why")
        race.setUp()
        self.addCleanup(race.doCleanups)
        command = race.qemu_with_witness.read_text().replace(f"exec {QEMU} \"$@\"", "exec sleep 60")
        fake = race.script("sleeper", command.removeprefix("#!/bin/sh\n"))
        holders = [race.spawn([fake]) for _ in range(2)]
        try:
            wait_for("the witness stays silent", race.violations.exists)
        finally:
            for holder in holders:
                holder.kill()
                holder.wait()


if __name__ == "__main__":
    main()
