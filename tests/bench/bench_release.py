# SPDX-License-Identifier: LGPL-2.1-or-later
"""Release: 'stop' sent until another process has the disk (idle, raw), against one QMP round trip: of
a QEMU without us, a query and (which drains and flushes too) a stop."""

import time

from bench import interleaved, locks, report, timed, wait_for
from vm import MACHINE, QEMU, Bench


def main():
    with Bench() as bench:
        disk = bench.guest("halt")
        vm = bench.running("bench", *bench.drive(disk))
        control = bench.control("bench")

        def release():
            began = time.perf_counter()
            control.send("stop")
            while True:
                with locks.Held(disk) as byte, locks.Held(disk, locks.GUARD) as guard:
                    if byte.got and guard.got:
                        took = time.perf_counter() - began
                        break
            control.answer()
            wait_for("released", lambda: vm.status().get("lock_state") == "released")
            control.command("cont")
            return took

        socket = bench.dir / "direct.sock"
        qemu = bench.spawn([QEMU, *MACHINE, *bench.drive(bench.guest("halt", "direct.img")),
                            "-qmp", f"unix:{socket},server=on,wait=off"])
        direct = bench.qmp(socket)

        def stop():
            took = timed(lambda: direct.command("stop"))
            direct.command("cont")
            return took

        for name, reference in (("query-status", lambda: timed(lambda: direct.command("query-status"))),
                                ("stop", stop)):
            ours, theirs = interleaved(release, reference)
            report(f"pause until the disk is free, against a QMP round trip ({name})", ours, theirs, 3)
        bench.kill(qemu.pid)
        qemu.wait()


main()
