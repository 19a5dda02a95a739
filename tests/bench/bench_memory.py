# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory of the supervisor (PSS, private dirty) against conmon's, which supervises a process too."""

import os
import shutil
import subprocess
import sys
import time

from bench import machine, smaps, wait_for
from vm import Bench

# What conmon calls to make a container: one process, whose pid is what conmon wants to know.
RUNTIME = """while [ $# -gt 0 ]; do
	[ "$1" = --pid-file ] && pidfile=$2
	shift
done
sleep 1000 >/dev/null 2>&1 </dev/null &
printf %s $! >"$pidfile\""""


def conmon(bench):
    """A conmon that supervises one process: (conmon's pid, a function that ends both)."""
    runtime, pidfile = bench.script("runtime", RUNTIME), bench.dir / "container.pid"
    process = bench.spawn(
        ["conmon", "--sync", "--cid", "bench", "--cuuid", "bench", "--name", "bench",
         "--runtime", runtime, "--bundle", bench.dir, "--container-pidfile", pidfile,
         "--log-path", f"k8s-file:{bench.dir}/log", "--exit-dir", bench.dir,
         "--socket-dir-path", bench.dir, "--persist-dir", bench.dir],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    child = int(wait_for("conmon starts nothing", lambda: pidfile.exists() and pidfile.read_text()))

    def end():
        bench.kill(child)
        process.wait()
    return process.pid, end


def main():
    if not shutil.which("conmon"):
        print("conmon (Debian package conmon) is missing: nothing to compare with")
        sys.exit(77)
    os.sync()  # a program that was just built counts as dirty until it is on the disk
    with Bench() as bench:
        vm = bench.running("bench", *bench.drive(bench.guest("halt")))
        reference, end = conmon(bench)
        time.sleep(1)  # both at rest
        (ours_pss, ours_dirty), (their_pss, their_dirty) = smaps(vm.pid), smaps(reference)
        end()
    ratio = ours_pss / their_pss
    print(f"memory: PSS {ours_pss} KiB against conmon's {their_pss} KiB: {ratio:.2f}x (budget 0.5x, "
          f"{'kept' if ratio <= 0.5 else 'MISSED'}); private dirty {ours_dirty} KiB against "
          f"{their_dirty} KiB (budget 200 KiB, {'kept' if ours_dirty <= 200 else 'MISSED'}) on {machine()}")


main()
