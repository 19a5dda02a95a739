# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system of a program's own (fuse_dir.c), for tests."""

import os
import signal
import subprocess
from pathlib import Path

from deadline import wait_for
from loop import end_vms
from vmtest import missing, need_file_system, need_root

FUSE_DIR = os.environ.get("FUSE_DIR", "")


class Fuse:
    """`below` shown again at `place`, until the test's end. `locks`: see fuse_dir.c."""

    def __init__(self, test, locks, below, place):
        need_root()
        need_file_system("fuse")
        if not Path(FUSE_DIR).is_file():
            missing("fuse_dir (libfuse3-dev)")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            missing("/dev/fuse")
        self.place = place
        for directory in (below, place):
            directory.mkdir(exist_ok=True)
        self.process = test.spawn([FUSE_DIR, locks, below, place], stdin=subprocess.DEVNULL)
        test.addCleanup(self.end)
        test.addCleanup(end_vms, test)
        wait_for(f"{place} is not mounted", lambda: os.path.ismount(place) or self.process.poll())
        if self.process.poll() is not None:
            missing("a mount of FUSE")

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def forget(self):
        """The locks that its program keeps."""
        self.process.send_signal(signal.SIGUSR1)

    def die(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.kill()
        self.process.wait()
        # dead or not, the mount is there
        subprocess.run(["umount", "-l", self.place], check=False, stderr=subprocess.DEVNULL)
