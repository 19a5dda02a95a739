# SPDX-License-Identifier: LGPL-2.1-or-later
"""An X server without a screen, and keys for QEMU's windows there."""

import os
import shutil
import subprocess

from deadline import wait_for
from vmtest import QEMU, VmTest, missing

# Without a session bus: that of who runs the tests is none of QEMU's.
DESKTOP = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "XAUTHORITY")
PATIENCE = 3.0  # seconds
# The first of the menu Machine, and the one below; no window has the focus when none manages them.
PAUSE, RESET = ("alt+m", "Return"), ("alt+m", "Down", "Return")


class WindowTest(VmTest):
    def setUp(self):
        super().setUp()
        for program, package in (("Xvfb", "xvfb"), ("xdotool", "xdotool")):
            if not shutil.which(program):
                missing(package)
        offers = subprocess.run([QEMU, "-display", "help"], capture_output=True, text=True, check=True).stdout.split()
        if not {"gtk", "sdl"} <= set(offers):
            missing("QEMU's windows (qemu-system-gui)")
        self.environment = {name: value for name, value in self.environment.items() if name not in DESKTOP}
        self.environment.update(DISPLAY=f":{self._serve()}")
        self.addCleanup(self._terminate_all)  # before the screen goes

    def _serve(self):
        """The number of a display that is there until the test is over."""
        read, write = os.pipe()
        with open(read, encoding="ascii") as said, open(self.dir / "xvfb.log", "wb") as log:
            server = self.spawn(["Xvfb", "-displayfd", str(write), "-nolisten", "tcp", "-noreset",
                                 "-screen", "0", "1024x768x24"], pass_fds=[write], stdout=log, stderr=log)
            os.close(write)
            self.addCleanup(server.wait)
            self.addCleanup(server.terminate)
            return said.readline().strip() or missing("an X server that starts")

    def xdotool(self, *words):
        return subprocess.run(["xdotool", *words], env=self.environment, capture_output=True, text=True,
                              timeout=60, check=False).stdout.split()

    def windows(self):
        return self.xdotool("search", "--onlyvisible", "--name", "QEMU")

    def focus(self, but=()):
        """The window that is there, or has come beside these."""
        new = wait_for("QEMU opens no window", lambda: self.windows_but(but)).pop()

        def has_it():
            self.xdotool("windowfocus", new)
            return self.xdotool("getwindowfocus", "-f") == [new]
        wait_for("it does not get the focus", has_it)

    def windows_but(self, these):
        return set(self.windows()) - set(these)

    @staticmethod
    def repeat(act, done):
        """SDL heeds no key for a moment after the focus has come: act again until it is done."""
        def tried():
            act()
            try:
                return wait_for("", done, PATIENCE)
            except AssertionError:
                return False
        wait_for("no key does it", tried)

    def press(self, *keys):
        self.xdotool("key", "--delay", "50", *keys)

    def type(self, text):
        self.xdotool("type", "--delay", "50", text)
        self.press("Return")
