# SPDX-License-Identifier: LGPL-2.1-or-later
"""As much of VNC (RFC 6143) as it takes to type on one of QEMU's consoles."""

import socket
import struct

CTRL, ALT, RETURN = 0xFFE3, 0xFFE9, 0xFF0D
NO_SECURITY = 1


class Vnc:
    def __init__(self, address):
        """`address`: a path, or (host, port)."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(address)
        self._read(12)
        self.socket.sendall(b"RFB 003.008\n")
        assert NO_SECURITY in self._read(self._read(1)[0])
        self.socket.sendall(bytes([NO_SECURITY]))
        assert self._read(4) == bytes(4)
        self.socket.sendall(b"\1")      # others may stay
        size = struct.unpack(">20xI", self._read(24))[0]
        self._read(size)

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the VNC server has gone")
            data += more
        return data

    def press(self, *keys):
        """Down in this order, up in the reverse."""
        for down, key in [(1, key) for key in keys] + [(0, key) for key in reversed(keys)]:
            self.socket.sendall(struct.pack(">BBxxI", 4, down, key))

    def select_console(self, number):
        self.press(CTRL, ALT, ord(str(number)))

    def type(self, text):
        """\\x01 is Ctrl-a."""
        for letter in text:
            if letter == "\x01":
                self.press(CTRL, ord("a"))
            else:
                self.press(RETURN if letter == "\n" else ord(letter))

    def close(self):
        self.socket.close()
