# SPDX-License-Identifier: LGPL-2.1-or-later
"""Idle: how often a supervisor wakes up while nothing happens."""

import time

from bench import machine, procfs
from vm import Bench

SECONDS = 10


def main():
    with Bench() as bench:
        vm = bench.running("bench", *bench.drive(bench.guest("halt")))
        time.sleep(1)  # what follows the start is over
        before = procfs.context_switches(vm.pid)
        time.sleep(SECONDS)
        switches = procfs.context_switches(vm.pid) - before
    print(f"idle: {switches} context switches in {SECONDS} s (budget 0, "
          f"{'kept' if switches == 0 else 'MISSED'}) on {machine()}")


main()
