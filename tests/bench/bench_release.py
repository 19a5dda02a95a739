# SPDX-License-Identifier: LGPL-2.1-or-later
"""Release: 'stop' sent until another process, which sleeps for it, has the disk (idle, raw), against one
QMP round trip: of a QEMU without us, a query and (which drains and flushes too) a stop.

By default QEMU is made to let go of its own locks and caches too, which is one of its dearer commands;
with --deactivate=no a raw disk is given back without it.
"""

import os
import time

from bench import interleaved, locks, report, timed, wait_for
from vm import MACHINE, QEMU, Bench


def releasing(bench, name, *options):
    """A VM of that name, and a function: release its disk once; returns how long that took."""
    disk = bench.guest("halt", f"{name}.img")
    vm = bench.running(name, *bench.drive(disk), options=options)
    control = bench.control(name)

    def release():
        fd = os.open(disk, os.O_RDWR | os.O_CLOEXEC)
        began = time.perf_counter()
        control.send("stop")
        for byte in (locks.BYTE, locks.GUARD):
            locks.wait_for_lock(fd, byte)
        took = time.perf_counter() - began
        os.close(fd)
        control.answer()
        wait_for("released", lambda: vm.status().get("lock_state") == "released")
        control.command("cont")
        return took
    return release


def main():
    with Bench() as bench:
        default = releasing(bench, "default")
        raw = releasing(bench, "raw", "--deactivate", "no")
        socket = bench.dir / "direct.sock"
        qemu = bench.spawn([QEMU, *MACHINE, *bench.drive(bench.guest("halt", "direct.img")),
                            "-qmp", f"unix:{socket},server=on,wait=off"])
        direct = bench.qmp(socket)

        def query():
            return timed(lambda: direct.command("query-status"))

        def stop():
            took = timed(lambda: direct.command("stop"))
            direct.command("cont")
            return took

        for how, ours in (("", default), (" with --deactivate=no", raw)):
            for name, theirs in (("query-status", query), ("stop", stop)):
                report(f"pause until the disk is free{how}, against a QMP round trip ({name})",
                       *interleaved(ours, theirs), 3)
        bench.kill(qemu.pid)
        qemu.wait()


main()
