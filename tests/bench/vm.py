# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs for the benchmarks: the harness of the system tests, without its assertions."""

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
        return self

    def __exit__(self, *_):
        self.doCleanups()


__all__ = ["MACHINE", "QEMU", "VMLATCH", "Bench"]
