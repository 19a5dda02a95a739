# SPDX-License-Identifier: LGPL-2.1-or-later
"""'vmlatch check' of 500 disks, against opening each and reading its header in one process."""

import os
import subprocess

from bench import interleaved, report, timed
from vm import QEMU, VMLATCH, Bench

DISKS = 500
READ_HEADERS = os.environ["READ_HEADERS"]


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
            lambda: timed(lambda: run([READ_HEADERS, *disks]))
            - timed(lambda: run([READ_HEADERS])))
        report(f"check of {DISKS} disks, against opening and reading each", ours, reference, 2)


main()
