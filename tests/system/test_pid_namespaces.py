# SPDX-License-Identifier: LGPL-2.1-or-later
"""In a PID namespace of its own, as in a container."""

import os
import shlex
import signal

import procfs
from deadline import wait_for
from vmtest import QEMU, VMLATCH, VmTest, main, need_root

IN_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child")


class Process1(VmTest):
    """The kernel lets nobody in the namespace kill it."""

    def setUp(self):
        super().setUp()
        need_root()
        (self.dir / "bin").mkdir()
        os.symlink(VMLATCH, self.dir / "bin" / "qemu-system-x86_64")
        self.environment["PATH"] = f"{self.dir / 'bin'}:{os.environ['PATH']}"

    def drop_in(self, *qemu_args, namespace=(*IN_NAMESPACE, "--mount-proc"), next_qemu=None):
        """The process that has made the namespace, in which qemu-system-x86_64 is process 1."""
        if next_qemu:
            (self.dir / "next").mkdir()
            os.symlink(next_qemu, self.dir / "next" / "qemu-system-x86_64")
            self.environment["PATH"] = f"{self.dir / 'bin'}:{self.dir / 'next'}:{os.environ['PATH']}"
        words = shlex.join(str(word) for word in ("qemu-system-x86_64", "-nodefaults", "-display", "none", "-m", "32",
                                                  *qemu_args))
        out, err = (open(self.dir / name, "w+b") for name in ("out", "err"))
        with out, err:
            return self.spawn([*namespace, "bash", "-c", f"exec {words}"], stdout=out, stderr=err)

    def said(self):
        return (self.dir / "err").read_text(encoding="utf-8")

    def hiding(self, *words):
        path = self.dir / "hides"
        path.write_text(f'#!/bin/sh\nexec {QEMU} "$@" {shlex.join(map(str, words))}\n', encoding="utf-8")
        path.chmod(0o755)
        return path

    def test_has_qemu_as_its_child_and_ends_with_it(self):
        disk = self.guest("halt")
        unshare = self.drop_in("-name", "one", *self.drive(disk))
        self.addCleanup(unshare.kill)
        wait_for("no VM runs", lambda: [vm for vm in self.json("list") if vm.get("run_state") == "running"])
        first, = procfs.children(unshare.pid)
        qemu, = (pid for pid in procfs.children(first) if procfs.exe(pid) == procfs.exe_of(QEMU))
        self.assertNotEqual(first, qemu)
        self.assert_held(disk)
        os.kill(first, signal.SIGTERM)
        self.assertEqual(unshare.wait(), 0, self.said())
        self.assert_free(disk)

    def test_that_opens_what_another_has_is_killed(self):
        taken, boot = self.guest("halt", "taken"), self.guest("halt")
        vm = self.running("holder", *self.drive(taken))
        hides = self.hiding("-drive", f"file={taken},format=raw,if=ide,file.locking=off")
        for number, monitor in enumerate(((), ("-monitor", f"unix:{self.dir / 'hmp'},server=on,wait=off"))):
            with self.subTest(monitor=monitor):
                unshare = self.drop_in("-name", f"intruder{number}", *monitor,
                                       "-drive", f"file={boot},format=raw,if=virtio", next_qemu=None if number else hides)
                self.addCleanup(unshare.kill)
                self.assertEqual(unshare.wait(60), 75, self.said())
                self.assert_in_use(self.said(), taken, vm)
                self.assert_free(boot)

    def test_without_a_proc_of_its_own_nothing_starts(self):
        disk = self.guest("halt")
        unshare = self.drop_in(*self.drive(disk), namespace=IN_NAMESPACE)
        self.addCleanup(unshare.kill)
        self.assertEqual(unshare.wait(60), 71)
        self.assert_says("/proc is not that of this PID namespace: mount it", self.said())
        self.assert_free(disk)


main()
