# SPDX-License-Identifier: LGPL-2.1-or-later
"""Start: 'vmlatch run' until QEMU greets on the user's own QMP socket, against QEMU started directly."""

import subprocess
import time

from bench import interleaved, report
from qmp import Qmp
from vm import MACHINE, QEMU, VMLATCH, Bench


def main():
    with Bench() as bench:
        disk, socket = bench.guest("halt"), bench.dir / "user.sock"
        arguments = [QEMU, *MACHINE, *bench.drive(disk), "-qmp", f"unix:{socket},server=on,wait=off"]

        def greeting(command):
            began = time.perf_counter()
            process = bench.spawn(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
            with Qmp(str(socket), negotiate=False):
                took = time.perf_counter() - began
            process.terminate()
            process.wait()
            socket.unlink(missing_ok=True)
            return took

        for shape, options in (("", []), (" in place", ["--in-place"])):
            command = [VMLATCH, "run", "--name", "bench", *options, "--", *arguments]
            ours, reference = interleaved(lambda c=command: greeting(c), lambda: greeting(arguments))
            report(f"start{shape} until QEMU's greeting, against QEMU alone", ours, reference, 1.05)


main()
