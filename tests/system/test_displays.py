#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU's windows: what one can do there without a monitor of one's own, under the locks and the sandbox.

Which display pins a VM is in test_monitors.py, as far as no window is needed to try it.
"""

import json

import locks
from deadline import wait_for
from vmtest import AS_ROOT, MACHINE, QEMU, RELEASE_ALL, main
from x11 import PAUSE, RESET, WindowTest

# as MACHINE, but with a display, and QEMU's own monitor
WINDOW = ("-accel", "tcg", "-machine", "pc", "-m", "32", "-net", "none", "-display")
HELD_BY = "the window's menu"


class Windows(WindowTest):
    def window(self, display, *words, options=(), disk=None):
        """A VM with a window that has the focus."""
        self.disk_path = disk or self.guest("writer", writer="me")
        vm = self.running("vm", *self.drive(self.disk_path), *words, machine=(*WINDOW, display),
                          options=[*AS_ROOT, *options])
        self.focus()
        return vm

    def pins(self, *words):
        """The reasons that 'check' gives."""
        return json.loads(self.does("check", "--json", "--", QEMU, *words))["pinned"]

    def test_a_menu_pauses_and_resumes_under_the_locks(self):
        vm = self.window("gtk", "-monitor", "none")
        self.press(*PAUSE)
        vm.wait_state(run="paused", lock="held")
        self.assert_held(self.disk_path)
        self.assert_says(HELD_BY, self.fails(69, "pause", "vm"))
        self.press(*PAUSE)
        vm.wait_state(run="running", lock="held")
        self.wait_writing(self.disk_path)

    def test_a_menu_that_resumes_without_the_locks_gets_the_vm_frozen(self):
        vm = self.window("gtk", options=RELEASE_ALL)
        self.does("pause", "vm")
        vm.wait_state(run="paused", lock="released")
        with locks.Held(self.disk_path) as other:
            self.assertTrue(other.got)
            self.press(*PAUSE)
            wait_for(lambda: f"it should be frozen: {vm.status()}",
                     lambda: vm.status().get("frozen") and vm.status()["cause"] == "lock-busy")
            self.fails(75, "resume", "vm")
        self.does("resume", "--force-stale", "vm")
        vm.wait_state(run="running", lock="held")
        self.wait_writing(self.disk_path)

    def test_a_menu_resets_a_guest_whose_disk_is_released(self):
        vm = self.window("gtk", options=RELEASE_ALL)
        self.does("pause", "vm")
        vm.wait_state(run="paused", lock="released")
        count = self.counter(self.disk_path)
        self.press(*RESET)
        vm.wait_state(run="prelaunch", lock="released")
        self.assert_free(self.disk_path)
        self.assertEqual(self.counter(self.disk_path), count)
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        self.wait_writing(self.disk_path)

    def test_a_window_shows_qemus_monitor(self):
        for display in ("gtk", "sdl"):
            with self.subTest(display):
                vm = self.window(display)
                self.show_monitor(display)
                self.repeat(lambda: self.type("stop"), lambda: vm.status()["run_state"] == "paused")
                self.assert_held(self.disk_path)
                self.type("cont")
                vm.wait_state(run="running", lock="held")
                self.wait_writing(self.disk_path)
                self.assert_says("QEMU's window: shows QEMU's monitor", " ".join(vm.status()["pinned"]))
                self.type("quit")
                self.assertEqual(vm.wait_end(), 0)
                self.wait_free(self.disk_path)

    def show_monitor(self, display):
        """GTK has it in the same window, SDL in one that it hides and shows."""
        first = self.windows()
        if display == "sdl":
            self.repeat(lambda: self.press("ctrl+alt+2"), lambda: self.windows_but(first))
            self.focus(first)
        else:
            self.press("ctrl+alt+2")

    def test_without_monitor_and_menu_gives_the_locks_back(self):
        vm = self.window("sdl", "-monitor", "none")
        self.assertEqual(vm.status()["pinned"], [])
        self.does("pause", "vm")
        vm.wait_state(run="paused", lock="released")
        self.assert_free(self.disk_path)
        self.does("resume", "vm")
        self.wait_writing(self.disk_path)


class Strict(WindowTest):
    """A library that looks for the session bus, where there is none, forks to start one."""

    def test_a_window_opens_without_a_session_bus(self):
        disk = self.guest("halt")
        for display in ("gtk", "sdl"):
            with self.subTest(display):
                vm = self.running("vm", *self.drive(disk), machine=(*WINDOW, display),
                                  options=[*AS_ROOT, "--sandbox=strict"])
                self.focus()
                self.does("stop", "vm")
                vm.wait_gone()

    def test_sound_does_too(self):
        vm = self.running("vm", *self.drive(self.guest("halt")), "-audiodev", "sdl,id=s,out.voices=0,in.voices=0",
                          "-device", "AC97,audiodev=s", machine=MACHINE, options=[*AS_ROOT, "--sandbox=strict"])
        self.assertNotIn("SIGSYS", vm.err)

    def test_qemu_says_what_it_cannot_start(self):
        vm = self.start("vm", *self.drive(self.guest("halt")), machine=(*WINDOW, "dbus"),
                        options=[*AS_ROOT, "--sandbox=strict"])
        self.assertEqual(vm.wait_end(), 1)
        self.assert_says("failed to connect to DBus", vm.err)


if __name__ == "__main__":
    main()
