# SPDX-License-Identifier: LGPL-2.1-or-later
"""A VM's supervisor, made up: a locked directory, a state file, a QMP socket, a process as QEMU.

fake_supervisor.py RUNTIME PLAN: PLAN is JSON; see DEFAULTS. Says "ready" when all is there.
"""

import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

DEFAULTS = {
    "name": "web1",
    "supervised": True,      # False: no lock, no socket; QEMU and the state file only
    "qemu_lives": True,
    "state": {},             # members of state.json that differ
    "no_state": False,
    "errors": {},            # command -> [class, description]
    "silent": [],            # commands that get no answer
    "ignore": [],            # "quit", "SIGTERM": what does not end QEMU
    "running_after": 0,      # how often query-status says "not yet"
    "ring": [],              # the events that vmlatch-events has
    "live": [],              # events that are sent before its answer, and behind it
    "then_end": False,       # the supervisor ends after that
    "outlives": False,       # the supervisor stays when QEMU has ended
    "keeps": 0,              # seconds that it stays
}


def start_time(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def boot_id():
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Supervisor:
    def __init__(self, runtime, plan):
        self.plan = {**DEFAULTS, **plan}
        self.dir = Path(runtime) / self.plan["name"]
        self.dir.mkdir(mode=0o700)
        self.rest = {}           # of each client: what is no whole line yet
        self.not_yet = self.plan["running_after"]
        self.qemu = subprocess.Popen(["sleep", "1000"])
        if not self.plan["qemu_lives"]:
            self.qemu.kill()
            self.qemu.wait()

    def state(self):
        me = os.getpid()
        return {
            "version": 1, "name": self.plan["name"], "boot-id": boot_id(),
            "instance": "01234567-89ab-4cde-8f01-23456789abcd",
            "supervisor": {"pid": me, "start-time": start_time(me)},
            "qemu": {"pid": self.qemu.pid,
                     "start-time": start_time(self.qemu.pid) if self.plan["qemu_lives"] else 1},
            "binary": "qemu", "driver": "file", "run-state": "running", "lock-state": "held",
            "cause": "none", "started": 1600000000, **self.plan["state"],
        }

    def claim(self):
        lock = os.open(self.dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        whole_file = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(lock, 37, whole_file)  # F_OFD_SETLK

    def start(self):
        if not self.plan["no_state"]:
            (self.dir / "state.json").write_text(json.dumps(self.state()))
        if not self.plan["supervised"]:
            return
        self.claim()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(self.dir / "qmp.sock"))
        self.listening.listen()

    def end_qemu(self, by):
        if by in self.plan["ignore"]:
            return
        self.qemu.kill()  # loop() reaps it: wait() here could meet its poll() half way, and hang

    def loop(self):
        """Serve until QEMU is dead, as supervisors do."""
        signal.signal(signal.SIGTERM, lambda *_: self.end_qemu("SIGTERM"))
        clients = []
        while self.qemu.poll() is None:
            ready, _, _ = select.select([self.listening, *clients], [], [], 0.02)
            for one in ready:
                if one is self.listening:
                    client, _ = one.accept()
                    self.say(client, {"QMP": {"version": {}, "capabilities": []}})
                    clients.append(client)
                elif not self.serve(one):
                    clients.remove(one)
        time.sleep(self.plan["keeps"])

    def say(self, client, message):
        client.sendall(json.dumps(message).encode() + b"\r\n")

    def serve(self, client):
        data = client.recv(65536)
        *lines, self.rest[client] = (self.rest.get(client, b"") + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            command, arguments = message["execute"], message.get("arguments", {})
            with open(self.dir.parent / f"{self.plan['name']}.heard", "a", encoding="utf-8") as log:
                log.write(json.dumps([command, arguments]) + "\n")
            if command not in self.plan["silent"]:
                self.answer(client, command, arguments)
        return bool(data)

    def answer(self, client, command, arguments):
        if command in self.plan["errors"]:
            kind, words = self.plan["errors"][command]
            self.say(client, {"error": {"class": kind, "desc": words}})
            return
        reply = {}
        if command == "quit":
            self.end_qemu("quit")
        elif command == "query-status":
            reply = {"running": self.not_yet == 0, "status": "running"}
        elif command == "vmlatch-inquire":
            reply = {"lock-state": "held", "run-state": "running", "driver": "file", "state": "a\nb"}
        elif command == "vmlatch-events":
            ring = [event for event in self.plan["ring"] if event["vmlatch-seq"] >= arguments["since"]]
            reply = {"events": ring, "next": 100}
            for event in self.plan["live"][:1]:
                self.say(client, event)
        self.say(client, {"return": reply})
        if command == "query-status" and self.not_yet:
            self.not_yet -= 1
            self.say(client, {"event": "RESUME", "vmlatch-seq": 1})
        if command == "vmlatch-events":
            for event in self.plan["live"][1:]:
                self.say(client, event)
            if self.plan["then_end"]:
                self.end_qemu("end")


def main():
    supervisor = Supervisor(sys.argv[1], json.loads(sys.argv[2]))
    supervisor.start()
    print("ready", supervisor.qemu.pid, flush=True)
    if not supervisor.plan["supervised"]:
        sys.stdin.read()  # the test ends it; QEMU is dead then
        supervisor.qemu.kill()
    elif supervisor.plan["qemu_lives"]:
        supervisor.loop()
    else:
        sys.stdin.read()


main()
