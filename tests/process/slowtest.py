# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lock calls that hang, by a preloaded library (slow_locks.c)."""

import os

from deadline import wait_for
from faketest import FakeTest, main  # main: for the tests

__all__ = ["SlowTest", "main"]


class SlowTest(FakeTest):
    def setUp(self):
        super().setUp()
        self.slow = self.dir / "slow"
        self.slow.mkdir()
        self.environment["SLOW_LOCKS_DIR"] = str(self.slow)
        # an address sanitizer wants to come first, and need not
        asan = self.environment.get("ASAN_OPTIONS", "")
        self.environment["ASAN_OPTIONS"] = asan + ":verify_asan_link_order=0"
        self.preloaded = dict(self.environment, LD_PRELOAD=os.environ["SLOW_LOCKS"])
        self.addCleanup(self.go_on)

    def go_on(self):
        for path in self.slow.iterdir():
            path.unlink()

    def released(self, name="vm", **more):
        return super().released(name, env=self.preloaded, **more)

    def hang(self, *calls):
        for call in calls:
            (self.slow / call).touch()

    def wait_hanging(self, call):
        wait_for(f"no {call} hangs", (self.slow / f"{call}.waits").exists)

    def resuming(self, vm):
        """A client that waits for the guest to go on, and for a lock call that hangs."""
        self.hang("lock")
        client = self.control("vm")
        client.send("cont")
        self.wait_hanging("lock")
        vm.wait_state(lock="acquiring")  # written while the call hangs already
        return client

    def saving(self):
        """A VM that was stopped, and whose lock state is being read, which hangs."""
        vm = self.one_disk(env=self.preloaded)
        self.hang("read")
        self.stop_by_itself(vm)
        self.wait_hanging("read")
        vm.wait_state(lock="releasing")
        return vm
