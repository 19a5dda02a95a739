# SPDX-License-Identifier: LGPL-2.1-or-later
"""Start: 'vmlatch run' until QEMU greets on the user's own QMP socket, against QEMU started directly.

QEMU connects to us: to try again and again whether it listens would measure in steps of the pause between.
The least that a wrapper can do (least_wrapper.c) is measured beside it: how much of the cost is no choice.
"""

import os
import socket
import subprocess
import time

from bench import interleaved, report
from deadline import TIMEOUT
from vm import MACHINE, QEMU, VMLATCH, Bench

BUDGET = 1.15
LEAST_WRAPPER = os.environ["LEAST_WRAPPER"]


def main():
    with Bench() as bench:
        disk, path = bench.guest("halt"), bench.dir / "user.sock"
        arguments = [QEMU, *MACHINE, *bench.drive(disk), "-qmp", f"unix:{path}"]
        listener = bench.enterContext(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(TIMEOUT)

        def greeting(command):
            began = time.perf_counter()
            process = bench.spawn(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
            with listener.accept()[0] as monitor:
                monitor.settimeout(TIMEOUT)
                assert b"QMP" in monitor.recv(1024)
                took = time.perf_counter() - began
                process.terminate()
                process.wait()
            return took

        run = [VMLATCH, "run", "--name", "bench"]
        for what, wrapper in (("start", [*run, "--"]), ("start in place", [*run, "--in-place", "--"]),
                              ("start by the least wrapper", [LEAST_WRAPPER, disk])):
            ours, reference = interleaved(lambda w=wrapper: greeting([*w, *arguments]),
                                          lambda: greeting(arguments))
            report(f"{what} until QEMU's greeting, against QEMU alone", ours, reference, BUDGET)


main()
