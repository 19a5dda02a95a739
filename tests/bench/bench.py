# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks share: interleaved runs, medians, one line a budget.

A benchmark compares with its reference in the same run, prints the ratio beside its budget, and never
fails for being slow: numbers of a busy machine prove nothing. It fails only if it cannot measure.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

import locks  # noqa: E402
import procfs  # noqa: E402
from deadline import wait_for  # noqa: E402

RUNS = int(os.environ.get("BENCH_RUNS", "50"))


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
    return f"{model}, {os.cpu_count()} cores, Linux {os.uname().release}"


def timed(work):
    """Seconds that work() took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def interleaved(ours, reference, runs=RUNS):
    """Medians of both, in seconds; each is a function that returns seconds. Both are warmed up once."""
    ours(), reference()
    pairs = [(ours(), reference()) for _ in range(runs)]
    return tuple(statistics.median(column) for column in zip(*pairs))


def report(what, ours, reference, budget, unit="ms", scale=1000.0, runs=RUNS):
    ratio = ours / reference
    print(f"{what}: {ours * scale:.2f} {unit} against {reference * scale:.2f} {unit}: "
          f"{ratio:.2f}x (budget {budget}x, {'kept' if ratio <= budget else 'MISSED'}), "
          f"medians of {runs} on {machine()}")


def smaps(pid):
    """PSS and private dirty memory in KiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        sizes = {words[0]: int(words[1]) for words in map(str.split, file) if words[-1] == "kB"}
    return sizes["Pss:"], sizes["Private_Dirty:"]


def private_directory():
    return tempfile.TemporaryDirectory(prefix="vmlatch-")


__all__ = ["RUNS", "interleaved", "locks", "machine", "private_directory", "procfs", "report", "smaps",
           "timed", "wait_for"]
