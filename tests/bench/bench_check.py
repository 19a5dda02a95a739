# SPDX-License-Identifier: LGPL-2.1-or-later
"""'vmlatch check' of 500 disks, against the bare system calls that looking at each takes."""

import os
import subprocess

from bench import interleaved, report, timed
from vm import QEMU, VMLATCH, Bench

DISKS = 500
LOOK_AT_DISKS = os.environ["LOOK_AT_DISKS"]


def main():
    with Bench() as bench:
        disks = [bench.disk(f"{number}.qcow2") for number in range(DISKS)]
        source = bench.qcow2("source.qcow2").read_bytes()
        for disk in disks:
            disk.write_bytes(source)
        arguments = [word for number, disk in enumerate(disks)
                     for word in ("-drive", f"file={disk},format=qcow2,if=none,id=d{number}")]

        def run(command):
            subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, env=bench.environment)

        # the price of starting each program is no part of the comparison
        nothing = [VMLATCH, "check", "--", QEMU]
        ours, reference = interleaved(
            lambda: timed(lambda: run([VMLATCH, "check", "--", QEMU, *arguments]))
            - timed(lambda: run(nothing)),
            lambda: timed(lambda: run([LOOK_AT_DISKS, *disks]))
            - timed(lambda: run([LOOK_AT_DISKS])))
        report(f"check of {DISKS} disks, against the system calls it takes", ours, reference, 4)


main()
