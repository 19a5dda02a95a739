#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""'vmlatch doctor' where lock calls hang, fail or lie, and where it is ended in the middle."""

import os
import signal
import subprocess

import procfs
from deadline import wait_for
from slowtest import SlowTest, main
from vmtest import VMLATCH


class Doctor(SlowTest):
    def setUp(self):
        super().setUp()
        self.place = self.dir / "place"
        self.place.mkdir()

    def doctor(self, *words, status=0):
        result = self.vmlatch("doctor", *words, self.place, env=self.preloaded)
        self.assertEqual(result.status, status, result)
        self.assertEqual(os.listdir(self.place), [], "nothing may be left")
        return result

    def hanging(self, call, **more):
        """A doctor that has made its file and hangs in this call."""
        self.hang(call)
        process = self.spawn([VMLATCH, "doctor", self.place], env=self.preloaded, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.wait_hanging(call)
        self.assertEqual(len(os.listdir(self.place)), 1, "its file is there")
        return process

    def test_a_file_system_without_locks_is_not_fit(self):
        self.hang("no-locks")
        result = self.doctor(status=69)
        self.assert_says(": not fit for locks\n", result.out)
        self.assert_says(r"problem +locks of two processes do not work \(No locks available\)", result.out)

    def test_locks_that_keep_nobody_out_are_not_fit(self):
        self.hang("lying-locks")
        result = self.doctor(status=69)
        self.assert_says("two processes can have an exclusive lock at the same time", result.out)

    def test_a_signal_in_the_middle_leaves_nothing(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            for call in ("lock", "xattr"):
                with self.subTest(signal=number, call=call):
                    self.go_on()
                    process = self.hanging(call, start_new_session=True)
                    children = procfs.children(process.pid)
                    os.killpg(process.pid, number)  # as a terminal does: all of them
                    self.assertEqual(process.wait(20), -number)
                    self.assertEqual(os.listdir(self.place), [])
                    self.assertFalse([pid for pid in children if procfs.alive(pid)])

    def test_a_signal_that_is_ignored_is_ignored(self):
        process = self.hanging("xattr", preexec=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.send_signal(signal.SIGHUP)
        self.go_on()
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(os.listdir(self.place), [])

    def test_killed_it_leaves_nothing_once_the_file_system_answers(self):
        process = self.hanging("xattr")
        process.kill()
        process.wait()
        self.go_on()
        wait_for("its file stays", lambda: not os.listdir(self.place))
        wait_for("its process stays", lambda: not procfs.with_environment(str(self.runtime)))

    def test_a_file_system_that_does_not_answer_is_not_waited_for(self):
        self.hang("lock")
        result = self.vmlatch("doctor", "--timeout", "0.3", self.place, env=self.preloaded)
        self.assertEqual(result.status, 69, result)
        self.assert_says(f"vmlatch: {self.place} does not answer", result.err)
        self.assertEqual(result.out, "")
        self.go_on()
        wait_for("its file stays", lambda: not os.listdir(self.place))
        wait_for("its process stays", lambda: not procfs.with_environment(str(self.runtime)))


if __name__ == "__main__":
    main()
