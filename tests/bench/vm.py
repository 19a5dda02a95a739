# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs for the benchmarks: the harness of the system tests, without its assertions."""

import os
import tempfile
from pathlib import Path

import bench  # noqa: F401  (finds the harness)
from vmtest import MACHINE, QEMU, VMLATCH, VmTest


class Bench(VmTest):
    """`with Bench() as b:` is one private directory; all that was started in it ends with it."""

    def __init__(self):
        super().__init__("measure")

    def measure(self):
        """unittest wants a method; nobody calls it."""

    def __enter__(self):
        self.setUp()
        self._use_memory()
        return self

    def _use_memory(self):
        """The runtime directory is on tmpfs, as /run is: a disk's journal is not what is measured."""
        if not os.access("/dev/shm", os.W_OK):
            return
        memory = tempfile.TemporaryDirectory(prefix="vmlatch-", dir="/dev/shm")
        self.addCleanup(memory.cleanup)
        self.runtime = Path(memory.name) / "run"
        self.environment["VMLATCH_RUNTIME_DIR"] = str(self.runtime)

    def __exit__(self, *_):
        self.doCleanups()


__all__ = ["MACHINE", "QEMU", "VMLATCH", "Bench"]
