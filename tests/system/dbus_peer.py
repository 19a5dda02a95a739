# SPDX-License-Identifier: LGPL-2.1-or-later
"""As much of D-Bus as it takes to work on one of QEMU's consoles, peer to peer."""

import os
import socket
import struct

ROOT = "/org/qemu/Display1"
CHARDEV = "org.qemu.Display1.Chardev"
PATH, INTERFACE, MEMBER, SIGNATURE, UNIX_FDS = 1, 2, 3, 8, 9
METHOD_CALL, METHOD_RETURN, SIGNAL = 1, 2, 4


def _aligned(data, size):
    return data + bytes(-len(data) % size)


def _text(text):
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def _call(path, interface, member):
    """A method's call whose one argument is a descriptor."""
    fields = b""
    for code, kind, value in ((PATH, b"o", _text(path)), (INTERFACE, b"s", _text(interface)),
                              (MEMBER, b"s", _text(member)), (SIGNATURE, b"g", b"\1h\0"),
                              (UNIX_FDS, b"u", struct.pack("<I", 1))):
        fields = _aligned(fields, 8) + bytes([code, 1]) + kind + b"\0" + value
    body = struct.pack("<I", 0)
    head = struct.pack("<cBBBIII", b"l", METHOD_CALL, 0, 1, len(body), 1, len(fields))
    return _aligned(head + fields, 8) + body


class Peer:
    """`connection`: a socket whose other end QEMU has."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(10)
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        assert self._line().startswith(b"OK ")
        self.socket.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        assert self._line().startswith(b"AGREE_UNIX_FD")
        self.socket.sendall(b"BEGIN\r\n")

    def _line(self):
        line = b""
        while not line.endswith(b"\n"):
            line += self._read(1)
        return line

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("QEMU has closed its D-Bus connection")
            data += more
        return data

    def _returns(self):
        """Whether the answer is no error; signals may come before it."""
        while True:
            head = self._read(16)
            size, _, fields = struct.unpack("<III", head[4:])
            self._read(fields + -fields % 8 + size)
            if head[1] != SIGNAL:
                return head[1] == METHOD_RETURN

    def open_console(self, label):
        """A socket that is a character device's other end; None: D-Bus does not show that one."""
        near, far = socket.socketpair()
        with far:
            socket.send_fds(self.socket, [_call(f"{ROOT}/Chardev_{label}", CHARDEV, "Register")], [far.fileno()])
        if self._returns():
            return near
        near.close()
        return None

    def close(self):
        self.socket.close()
