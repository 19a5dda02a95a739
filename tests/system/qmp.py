# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QMP client with deadlines: for vmlatch's own socket and for a user's monitor."""

import json
import socket
import time

from deadline import STEP, TIMEOUT


class QmpError(Exception):
    """QEMU (or vmlatch) answered with an error."""

    def __init__(self, error):
        super().__init__(f"{error.get('class')}: {error.get('desc')}")
        self.kind, self.text = error.get("class"), error.get("desc", "")


class Qmp:
    def __init__(self, path, timeout=TIMEOUT, negotiate=True):
        self.events, self._taken, self._buffer = [], 0, b""
        self._socket = self._connect(path, timeout)
        self.greeting = self._receive(time.monotonic() + timeout)
        assert "QMP" in self.greeting, f"{path} greets with {self.greeting}"
        if negotiate:
            self.command("qmp_capabilities")

    @staticmethod
    def _connect(path, timeout):
        end = time.monotonic() + timeout
        while True:
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                peer.connect(path)
                return peer
            except (FileNotFoundError, ConnectionRefusedError):
                peer.close()
                if time.monotonic() > end:
                    raise AssertionError(f"nobody listens on {path}") from None
                time.sleep(STEP)

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _receive(self, end):
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no QMP message within the deadline")
            self._socket.settimeout(left)
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the QMP connection ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def send(self, name, **arguments):
        message = {"execute": name}
        if arguments:
            message["arguments"] = {key.replace("_", "-"): value for key, value in arguments.items()}
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def answer(self, timeout=TIMEOUT):
        """The next reply's 'return'; events that come before it are kept."""
        end = time.monotonic() + timeout
        while True:
            message = self._receive(end)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QmpError(message["error"])
            elif "return" in message:
                return message["return"]

    def command(self, name, timeout=TIMEOUT, **arguments):
        """One command, one answer. Underscores in argument names stand for dashes."""
        self.send(name, **arguments)
        return self.answer(timeout)

    def pass_fd(self, fd, name):
        """`fd` becomes QEMU's, and has that name there."""
        message = json.dumps({"execute": "getfd", "arguments": {"fdname": name}}).encode()
        socket.send_fds(self._socket, [message], [fd])
        self.answer()

    def hmp(self, line):
        return self.command("human-monitor-command", command_line=line)

    def status(self):
        return self.command("query-status")["status"]

    def wait_event(self, name, timeout=TIMEOUT, accept=lambda data: True):
        """The next event of that name (behind the one that was waited for last)."""
        end = time.monotonic() + timeout
        while True:
            while self._taken < len(self.events):
                event = self.events[self._taken]
                self._taken += 1
                if event["event"] == name and accept(event.get("data", {})):
                    return event
            try:
                message = self._receive(end)
            except TimeoutError:
                names = [event["event"] for event in self.events]
                raise AssertionError(f"no {name} within {timeout:g} s, only {names}") from None
            if "event" in message:
                self.events.append(message)

    def names(self):
        return [event["event"] for event in self.events]
