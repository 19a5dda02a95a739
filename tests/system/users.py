# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs of users without any privilege. They are made up: numbers that no account of this host has."""

import contextlib
import os
import subprocess
from typing import NamedTuple

from vmtest import OTHERS_FILES, VmTest, need_root

VMS = 54400     # a group that may use a disk, or a directory


class User(NamedTuple):
    name: str
    uid: int
    groups: tuple

    def rights(self):
        """For subprocess: this user's, and nobody else's."""
        return {"user": self.uid, "group": self.uid, "extra_groups": list(self.groups)}


ALICE, BOB = User("alice", 54321, (VMS,)), User("bob", 54322, (VMS,))
EVE = User("eve", 54323, ())    # may use nothing of theirs


class UserTest(VmTest):
    """What is started or asked in `with self.by(ALICE)` is by her; else by root."""

    def setUp(self):
        need_root()
        super().setUp()
        self.user = None
        self.everybodys, self.runtime = self.runtime, self.runtime / "root"
        self.everybodys.mkdir(mode=0o755)
        self.environment["VMLATCH_RUNTIME_DIR"] = str(self.runtime)

    def directory(self, user):
        """Of his own, as XDG_RUNTIME_DIR is."""
        path = self.everybodys / user.name
        if not path.exists():
            path.mkdir(mode=0o700)
            os.chown(path, user.uid, user.uid)
        return path

    @contextlib.contextmanager
    def by(self, user, **environment):
        before = self.environment, self.runtime, self.user
        self.runtime, self.user = self.directory(user), user
        self.environment = dict(self.environment, VMLATCH_RUNTIME_DIR=str(self.runtime), **environment)
        try:
            yield
        finally:
            self.environment, self.runtime, self.user = before

    roots_options = OTHERS_FILES  # root's QEMU may use their images

    def start(self, *words, options=(), **more):
        if self.user:
            return super().start(*words, options=options, **more, **self.user.rights())
        return super().start(*words, options=(*self.roots_options, *options), **more)

    def vmlatch(self, *words, **more):
        return super().vmlatch(*words, **more, **(self.user.rights() if self.user else {}))

    def can(self, user, *command):
        """Does this command of the shell's succeed, by this user?"""
        return subprocess.run([str(word) for word in command], check=False, stderr=subprocess.DEVNULL,
                              **user.rights()).returncode == 0

    def give(self, path, uid, gid, mode):
        """Until the test's end."""
        before = os.stat(path)
        self.addCleanup(os.chmod, path, before.st_mode & 0o7777)
        self.addCleanup(os.chown, path, before.st_uid, before.st_gid)
        os.chown(path, uid, gid)
        os.chmod(path, mode)

    def assert_rights(self, path, uid, gid, mode):
        info = os.lstat(path)
        self.assertEqual((info.st_uid, info.st_gid, oct(info.st_mode & 0o7777)), (uid, gid, oct(mode)))

    def _left_in_runtime(self):
        left = []
        for user in self.everybodys.iterdir():
            left += [f"{user.name}/{entry.name}" for entry in user.iterdir()
                     if not entry.name.endswith(".last.json") and entry.name not in self.left_behind]
        return left

    def _end_survivors(self):
        self.runtime = self.everybodys
        return super()._end_survivors()
