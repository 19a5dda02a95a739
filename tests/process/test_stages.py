# SPDX-License-Identifier: LGPL-2.1-or-later
"""A start that fails on the way to QEMU names the stage, and leaves nothing."""

import errno
import os

from slowtest import SlowTest, main
from vmtest import need_root

PERM = os.strerror(errno.EPERM)


class Stage(SlowTest):
    def setUp(self):
        need_root()
        super().setUp()

    def test_that_fails_is_named(self):
        disk = self.disk("disk.raw")
        os.chown(disk, 65534, -1)
        for broken, options, status, words in (
                (None, ("--limit-nofile", "2000000000"), 77, f"set its limits: --limit-nofile: {PERM}"),
                (None, ("--limit-nofile", "20"), 71, "place the descriptors: "),
                ("no-bounds", (), 77, f"bound its capabilities: {PERM}"),
                ("no-user", (), 77, f"set the user: become user 65534: {PERM}"),
                ("no-capset", (), 77, f"drop capabilities: {PERM}"),
                ("no-new-privs", (), 77, f"forbid new privileges: no_new_privs: {PERM}")):
            with self.subTest(words):
                if broken:
                    self.hang(broken)
                said = self.refused(status, "vm", *self.drive(disk), env=self.preloaded,
                                    options=("--user", "nobody", *options))
                self.go_on()
                self.assert_says(f"vmlatch: vm: {words}", said)
                self.assertEqual(os.listdir(self.runtime), [])
                self.assert_free(disk)


if __name__ == "__main__":
    main()
