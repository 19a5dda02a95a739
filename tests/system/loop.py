# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loop devices for tests."""

import subprocess
from pathlib import Path

import procfs
from vmtest import missing


def loop_setup(*words):
    return subprocess.run(["losetup", *map(str, words)], check=True, capture_output=True, text=True).stdout.strip()


def loop_device(test, path):
    """A loop device on this file, until the test's end."""
    try:
        device = loop_setup("--find", "--show", path)
    except (OSError, subprocess.CalledProcessError):
        missing("loop devices")
    test.addCleanup(loop_setup, "--detach", device)
    test.addCleanup(end_vms, test)
    return Path(device)


def end_vms(test):
    """Before their devices go, also where a test has failed in the middle."""
    for vm in test.vms:
        if vm.process.poll() is None:
            vm.process.kill()
            vm.process.wait()
            if procfs.alive(vm.qemu):
                test.kill(vm.qemu)
            test.left_behind.add(vm.name)
