# SPDX-License-Identifier: LGPL-2.1-or-later
"""'vmlatch who' of one path on a host with 100 VMs, each with its state file, its disk and its lock.

One VM is real, the others are copies of its state with locks and records of their own; none of them has
to run for a look. The program's own start is part of it.
"""

import json
import os
import resource
import statistics
import subprocess

from bench import RUNS, locks, machine, timed
from vm import VMLATCH, Bench

VMS = 100
BUDGET_MS = 10


def put_state(bench, real, name, image):
    """A VM like the real one, of another name and with another disk; returns what holds its locks."""
    directory = bench.runtime / name
    directory.mkdir(mode=0o700)
    state = json.loads((bench.runtime / "real" / "state.json").read_text())
    info = os.stat(image)
    state["name"] = name
    for disk in state["resources"]:
        disk.update(path=str(image), id=f"{info.st_dev}:{info.st_ino}")
    (directory / "state.json").write_text(json.dumps(state))
    (directory / "lock").write_text(f"{real.pid}\n")
    return [locks.Held(directory / "lock"), locks.Held(image), locks.Held(image, locks.GUARD)]


def put_record(image, template, vm):
    """The real VM's record, as if it were about this image."""
    info, old = os.stat(image), template.split()
    words = [f"id={info.st_dev}:{info.st_ino}" if word.startswith("id=") else
             f"vm={vm}" if word.startswith("vm=") else word for word in old]
    os.setxattr(image, "user.vmlatch", " ".join(words).encode())


def host_of_many(bench):
    disk = bench.guest("halt", "real.img")
    real = bench.running("real", *bench.drive(disk))
    template = os.getxattr(disk, "user.vmlatch").decode()
    held = []
    for number in range(1, VMS):
        image = bench.disk(f"vm{number}.img")
        held += put_state(bench, real, f"vm{number}", image)
        if number != 2:
            put_record(image, template, f"vm{number}")
        bench.left_behind.add(f"vm{number}")
    return held


def measure(bench, what, path, answer):
    def run():
        return subprocess.run([VMLATCH, "who", str(path)], check=True, env=bench.environment,
                              capture_output=True, text=True).stdout
    said = run()
    if answer not in said:
        raise SystemExit(f"who of {what} says {said!r}, not {answer!r}")
    took = statistics.median(timed(run) for _ in range(RUNS)) * 1000
    print(f"who of {what}, {VMS} VMs: {took:.2f} ms (budget {BUDGET_MS} ms, "
          f"{'kept' if took <= BUDGET_MS else 'MISSED'}), median of {RUNS} on {machine()}")


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with Bench() as bench:
        held = host_of_many(bench)
        for lock in held:
            lock.__enter__()
        stranger, free = locks.Held(bench.disk("stranger.img")), bench.disk("free.img")
        stranger.__enter__()
        measure(bench, "a disk with a record", bench.dir / "vm50.img", "VM 'vm50'")
        measure(bench, "a disk that only a state file names", bench.dir / "vm2.img", "VM 'vm2'")
        measure(bench, "a disk of which only the kernel knows", stranger.path, f"(pid {os.getpid()})")
        measure(bench, "a free disk", free, ": free")
        for lock in (*held, stranger):
            lock.__exit__()


main()
