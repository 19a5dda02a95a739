# SPDX-License-Identifier: LGPL-2.1-or-later
"""Byte locks as another process would take them: open file description ones and POSIX ones."""

import errno
import fcntl
import os
import struct

F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
READ, WRITE, FREE = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK

# struct flock on 64-bit Linux: type, whence, start, length, pid (0 for an OFD lock)
FLOCK = "hhqqi4x"

BYTE, GUARD, SHARED_WRITERS, READERS = 0, 2, 3, 4


def _ask(fd, command, kind, byte):
    want = struct.pack(FLOCK, kind, os.SEEK_SET, byte, 1, 0)
    return struct.unpack(FLOCK, fcntl.fcntl(fd, command, want))


def seen(path, byte):
    """What stands in the way of a write lock on this byte: None, READ or WRITE."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        kind = _ask(fd, F_OFD_GETLK, WRITE, byte)[0]
        return None if kind == FREE else kind
    finally:
        os.close(fd)


def is_free(path):
    """Nobody has locked any byte of ours."""
    return all(seen(path, byte) is None for byte in (BYTE, GUARD, SHARED_WRITERS, READERS))


def wait_for_lock(fd, byte):
    """Sleep in the kernel until this description has the write lock on this byte."""
    _ask(fd, F_OFD_SETLKW, WRITE, byte)


class Held:
    """A lock on one byte, on a description of its own, for a with block. .got says whether it worked."""

    def __init__(self, path, byte=BYTE, kind=WRITE, posix=False):
        self.path, self.byte, self.kind, self.posix = path, byte, kind, posix
        self.fd, self.got = -1, False

    def __enter__(self):
        self.fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _ask(self.fd, fcntl.F_SETLK if self.posix else F_OFD_SETLK, self.kind, self.byte)
            self.got = True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        self.fd = -1
