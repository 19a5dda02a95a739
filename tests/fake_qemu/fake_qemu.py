#!/usr/bin/python3 -SE
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stand-in for QEMU: takes any command line, opens the drives, speaks QMP.

The monitor is the one that "-readconfig /dev/fd/N" describes: a [chardev] with
backend = "socket" and fd = "M" (a listening socket), and a [mon] in control mode.
One client at a time, others wait in the backlog. Without it there is no monitor.

FAKE_QEMU_LOG names a file that gets a JSON object a line: first {"argv": [...],
"pid": N, "fds": {NUMBER: what it is}}, then each command as it came (and "fd": [device,
inode] where it brought a descriptor), each {"signal": NAME}, {"unexpected": ...} before
status 99, and {"unlocked": PATH} if it runs while nobody holds the bytes 0 and 2 of a
disk that it may write (looked at whenever something happens).

FAKE_QEMU_CONTROL names a path where it listens for datagrams. Each is lines of what
may be in a script (no step that waits), done at once; it answers "done". There also:
"forget COMMAND" takes back what "on" and "once" have said.

FAKE_QEMU_SCRIPT names a file of steps, one a line, '#' begins a comment line.
Without one, and behind its last step, it is a model of QEMU with a run state. Steps
run one after the other; commands that come meanwhile wait for an "expect" or for the
model. qmp_capabilities never has to be expected.

	expect COMMAND		wait for the next command; another one: status 99
	reply JSON		answer the expected command with {"return": JSON}
	error CLASS TEXT	refuse it
	event NAME [JSON]	emit an event, with this data
	status NAME		be in that run state ("running" or any other)
	raw BYTES		send them; \\r, \\n, \\xNN and so on as in Python
	client			wait for a client that has negotiated
	wait-file PATH		wait until it exists
	touch PATH		create it
	copy FROM TO		copy a file
	probe PATH		log {"probe": PATH, "locked": [bytes of 0, 2 that are locked]}
	sleep-ms N
	close			close the connection, serve the next client
	close-for-good		and listen no more
	flood N			send N MiB that do not end
	hang			do nothing more; only SIGKILL helps
	exit N			end with this status, without a word
	die SIGNAL		end by that signal
	default			from here on the model; must be last ("loop" is the same)

Before the steps, or alone, changes of the greeting and of the model; several for one
command run in order, and unless one of them has answered the model does:

	greeting BYTES		instead of QEMU's greeting
	on COMMAND STEP		each time COMMAND comes, do STEP (any but expect) first;
				also "ignore" (never answer, and nothing behind it:
				QEMU keeps the order) and "delay-ms N"
	once COMMAND STEP	the same, the first time only
"""
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time

F_OFD_GETLK = 36
LOCK_BYTES = (0, 2)
PAUSED_BY_NOBODY = ("paused", "prelaunch", "io-error", "watchdog", "postmigrate")
NO_VALUE = {
    "S", "daemonize", "enable-kvm", "no-acpi", "no-fd-bootchk", "no-hpet", "no-reboot",
    "no-shutdown", "no-user-config", "nodefaults", "nographic", "only-migratable", "preconfig",
    "s", "snapshot",
}
DISK_OPTIONS = {"hda", "hdb", "hdc", "hdd", "cdrom", "fda", "fdb", "pflash", "sd", "mtdblock"}


def fail(text):
    sys.stderr.write("fake_qemu: %s\n" % text)
    sys.exit(1)


def locked_bytes(fd):
    """Which of the bytes that vmlatch locks somebody else has locked."""
    found = []
    for byte in LOCK_BYTES:
        probe = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        if struct.unpack("hhqqi4x", fcntl.fcntl(fd, F_OFD_GETLK, probe))[0] != fcntl.F_UNLCK:
            found.append(byte)
    return found


def own_descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink("/proc/self/fd/" + name)
        except FileNotFoundError:  # the listing's own
            pass
    return found


def key_values(text):
    """QEMU's key=value,...; two commas are one. A first word without '=' is "file"."""
    values, first = {}, True
    for part in text.replace(",,", "\0").split(","):
        part = part.replace("\0", ",")
        key, equals, value = part.partition("=")
        if not equals and first:
            key, value = "file", part
        values[key] = value
        first = False
    return values


class Arguments:
    def __init__(self, argv):
        self.stopped = False
        self.name = None
        self.drives = []
        self.monitor_fd = None
        words = iter(argv)
        for word in words:
            if not word.startswith("-") or word == "-":
                self.add_drive({"file": word})
                continue
            option = word[2:] if word.startswith("--") else word[1:]
            value = None if option in NO_VALUE else next(words, None)
            self.take(option, value)

    def take(self, option, value):
        if option == "S":
            self.stopped = True
        elif value is None:
            return
        elif option == "name":
            names = key_values(value)
            self.name = names.get("guest", names.get("file"))
        elif option == "readconfig":
            self.read_config(value)
        elif option == "drive":
            self.add_drive(key_values(value))
        elif option in DISK_OPTIONS:
            self.add_drive({"file": value, "readonly": "on" if option == "cdrom" else "off"})
        elif option == "blockdev":
            self.add_blockdev(value)

    def add_drive(self, values):
        path = values.get("file", values.get("file.filename"))
        if path:
            read_only = values.get("readonly", "off") == "on" or values.get("media") == "cdrom"
            self.drives.append([values.get("node-name"), path, read_only])

    def add_blockdev(self, text):
        if text.startswith("{"):
            values = json.loads(text)
            path = values.get("filename")
            read_only = values.get("read-only") is True
        else:
            values = key_values(text)
            path = values.get("filename", values.get("file.filename"))
            read_only = values.get("read-only") == "on"
        if path:
            self.drives.append([values.get("node-name"), path, read_only])

    def read_config(self, path):
        groups, chardevs, monitors = None, {}, []
        with open(path) as lines:
            for line in lines:
                line = line.strip()
                if not line or line.startswith("#"):
                    continue
                if line.startswith("["):
                    kind, _, name = line.strip("[]").partition(" ")
                    groups = {}
                    if kind == "chardev":
                        chardevs[name.strip('"')] = groups
                    elif kind == "mon":
                        monitors.append(groups)
                    continue
                key, _, value = line.partition("=")
                groups[key.strip()] = value.strip().strip('"')
        for monitor in monitors:
            if monitor.get("mode") == "control":
                self.monitor_fd = int(chardevs[monitor["chardev"]]["fd"])


class Script:
    def __init__(self, path):
        self.steps, self.always, self.once = [], {}, {}
        self.greeting = None
        for line in open(path) if path else ():
            line = line.strip()
            if line and not line.startswith("#"):
                self.steps += self.add(line)

    def add(self, line):
        """Take a change of the model, or return the line's steps."""
        word, _, rest = line.partition(" ")
        if word in ("on", "once"):
            command, _, step = rest.strip().partition(" ")
            table = self.always if word == "on" else self.once
            table.setdefault(command, []).append(self.step(step))
        elif word == "forget":
            self.always.pop(rest, None)
            self.once.pop(rest, None)
        elif word == "greeting":
            self.greeting = unescape(rest)
        elif word not in ("default", "loop"):
            return [self.step(line)]
        return []

    def step(self, text):
        word, _, rest = text.strip().partition(" ")
        if not hasattr(Qemu, "step_" + word.replace("-", "_")):
            fail("unknown step: " + text)
        return word, rest.strip()

    def knows(self, name):
        return name in self.once or name in self.always

    def for_command(self, name):
        return self.once.pop(name, []) + self.always.get(name, [])


def unescape(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


class Qemu:
    """Steps are generators: they yield a condition that they wait for."""

    def __init__(self, arguments, script):
        self.script = script
        self.name = arguments.name
        self.status = "prelaunch" if arguments.stopped else "running"
        self.deactivated = False
        self.drives = []
        self.descriptors = {}
        self.commands = []
        self.command = None  # not answered yet
        self.listener = self.client = None
        self.negotiated = False
        self.received = b""
        self.received_fds = []
        self.hanging = False
        self.control = None
        inherited = own_descriptors()
        self.log_file = open(os.environ["FAKE_QEMU_LOG"], "a") if "FAKE_QEMU_LOG" in os.environ else None
        self.log({"argv": sys.argv, "pid": os.getpid(), "fds": inherited})
        for node, path, read_only in arguments.drives:
            self.open_drive(node, path, read_only)
        if arguments.monitor_fd is not None:
            self.listener = socket.socket(fileno=arguments.monitor_fd)
            self.listener.setblocking(False)
        if "FAKE_QEMU_CONTROL" in os.environ:
            self.control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.control.bind(os.environ["FAKE_QEMU_CONTROL"])

    def obey(self):
        text, sender = self.control.recvfrom(65536)
        for line in text.decode().splitlines():
            for step in self.script.add(line):
                for _ in self.do(step):
                    pass
        with contextlib.suppress(OSError):  # the sender need not wait
            self.control.sendto(b"done", sender)

    def check_locks(self):
        """A guest that runs must have its disks to itself."""
        for drive in self.drives if self.status == "running" else ():
            if not drive["ro"] and locked_bytes(drive["fd"]) != list(LOCK_BYTES):
                self.log({"unlocked": drive["file"]})

    def log(self, entry):
        if self.log_file:
            self.log_file.write(json.dumps(entry) + "\n")
            self.log_file.flush()

    def open_drive(self, node, path, read_only):
        try:
            fd = os.open(path, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
        except OSError as why:
            fail("%s: Could not open '%s': %s" % (node or "drive", path, why.strerror))
        name = node or "#block%03d" % (100 + len(self.drives))
        self.drives.append(
            {"node-name": name, "drv": "file", "file": path, "ro": read_only, "fd": fd})

    # the wire

    def send(self, data):
        if not self.client:
            return
        try:
            self.client.setblocking(True)
            self.client.sendall(data)
        except OSError:
            self.drop_client()

    def send_object(self, value):
        self.send(json.dumps(value).encode() + b"\r\n")

    def greet(self):
        self.client, _ = self.listener.accept()
        if self.script.greeting is not None:
            self.send(self.script.greeting)
            return
        version = {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": "fake"}
        self.send_object({"QMP": {"version": version, "capabilities": ["oob"]}})

    def drop_client(self):
        if self.client:
            self.client.close()
        self.client, self.negotiated = None, False
        self.received, self.received_fds = b"", []
        self.commands, self.command = [], None

    def receive(self):
        try:
            data, control, _, _ = self.client.recvmsg(65536, socket.CMSG_SPACE(4 * 16))
        except OSError:
            data, control = b"", []
        for level, kind, payload in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                for at in range(0, len(payload) // 4 * 4, 4):
                    fd = int.from_bytes(payload[at:at + 4], sys.byteorder)
                    os.set_inheritable(fd, False)
                    self.received_fds.append(fd)
        if not data:
            self.drop_client()
            return
        self.received += data
        self.cut_commands()

    def cut_commands(self):
        decoder = json.JSONDecoder()
        while self.received.strip():
            text = self.received.decode("utf-8", "replace").lstrip()
            try:
                command, end = decoder.raw_decode(text)
            except ValueError:
                if b"\n" in self.received.strip(b"\r\n"):
                    self.received = b""
                    error = {"class": "GenericError", "desc": "JSON parse error"}
                    self.send_object({"error": error})
                return
            self.received = text[end:].encode()
            self.take_command(command)

    def take_command(self, command):
        fd = self.received_fds[0] if self.received_fds else None
        for other in self.received_fds[1:]:
            os.close(other)
        self.received_fds = []
        entry = dict(command)
        if fd is not None:
            entry["fd"] = [os.fstat(fd).st_dev, os.fstat(fd).st_ino]
        self.log(entry)
        command["fd"] = fd
        name = command.get("execute")
        if name == "qmp_capabilities" and not self.negotiated and not self.script.knows(name):
            self.negotiated = True
            self.answer(command, {"return": {}})
        else:
            self.commands.append(command)

    def answer(self, command, answer):
        if "id" in command:
            answer["id"] = command["id"]
        self.send_object(answer)

    def refuse(self, class_, text):
        self.answer(self.command, {"error": {"class": class_, "desc": text}})
        self.command = None

    def reply(self, value):
        self.answer(self.command, {"return": value})
        self.command = None

    def emit(self, name, data=None):
        now = time.time()
        stamp = {"seconds": int(now), "microseconds": int(now % 1 * 1000000)}
        event = {"timestamp": stamp, "event": name}
        if data is not None:
            event["data"] = data
        if self.negotiated:
            self.send_object(event)

    # steps

    def step_expect(self, text):
        yield "command"
        self.command = self.commands.pop(0)
        name = self.command.get("execute")
        if name != text:
            self.log({"unexpected": name, "expected": text})
            sys.stderr.write("fake_qemu: expected %s, got %s\n" % (text, name))
            sys.exit(99)

    def step_reply(self, text):
        if self.command:  # nothing has answered it yet
            self.reply(json.loads(text or "{}"))
        yield from ()

    def step_error(self, text):
        class_, _, words = text.partition(" ")
        if self.command:
            self.refuse(class_, words)
        yield from ()

    def step_ignore(self, _):
        self.command = None
        yield "never"

    def step_event(self, text):
        yield "client"
        name, _, data = text.partition(" ")
        self.emit(name, json.loads(data) if data else None)

    def step_status(self, text):
        self.status = text
        if text == "running":
            self.deactivated = False
        yield from ()

    def step_raw(self, text):
        yield "connection"
        self.send(unescape(text))

    def step_client(self, _):
        yield "client"

    def step_wait_file(self, text):
        yield "file", text

    def step_touch(self, text):
        os.close(os.open(text, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        yield from ()

    def step_copy(self, text):
        shutil.copyfile(*text.split())
        yield from ()

    def step_probe(self, text):
        with open(text, "rb") as file:
            self.log({"probe": text, "locked": locked_bytes(file.fileno())})
        yield from ()

    def step_sleep_ms(self, text):
        yield "time", time.monotonic() + int(text) / 1000

    step_delay_ms = step_sleep_ms

    def step_close(self, _):
        self.drop_client()
        yield from ()

    def step_close_for_good(self, _):
        self.drop_client()
        self.listener.close()
        self.listener = None
        yield from ()

    def step_flood(self, text):
        """One message that does not end, and the client that gives up reading it."""
        self.client.settimeout(30)
        try:
            self.client.sendall(b'{"event": "')
            for _ in range(int(text)):
                self.client.sendall(b"x" * (1 << 20))
        except OSError:
            self.drop_client()
        yield from ()

    def step_hang(self, _):
        self.hanging = True
        yield "never"

    def step_exit(self, text):
        sys.exit(int(text or 0))
        yield

    def step_die(self, text):
        number = getattr(signal, text)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        yield from ()

    def do(self, step):
        word, rest = step
        yield from getattr(self, "step_" + word.replace("-", "_"))(rest)

    def run(self):
        for step in self.script.steps:
            yield from self.do(step)
        while True:
            yield "command"
            self.command = self.commands.pop(0)
            for step in self.script.for_command(self.command.get("execute")):
                yield from self.do(step)
            if self.command:
                self.model()

    # the model

    def model(self):
        name = self.command.get("execute")
        handler = getattr(self, "model_" + str(name).replace("-", "_"), None)
        if name == "qmp_capabilities" and not self.negotiated:
            self.negotiated = True
            self.reply({})
        elif not self.negotiated:
            self.refuse(
                "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'")
        elif not handler:
            self.refuse("CommandNotFound", "The command %s has not been found" % name)
        else:
            value = handler(self.command.get("arguments", {}))
            if self.command:
                self.reply({} if value is None else value)

    def model_qmp_capabilities(self, _):
        self.refuse(
            "CommandNotFound", "Capabilities negotiation is already complete, command ignored")

    def model_query_status(self, _):
        return {"status": self.status, "singlestep": False, "running": self.status == "running"}

    def model_stop(self, _):
        if self.status == "running":
            self.status = "paused"
            self.emit("STOP")

    def model_cont(self, _):
        if self.status in ("shutdown", "internal-error"):
            self.refuse("GenericError", "Resetting the Virtual Machine is required")
        elif self.status != "running":
            self.status, self.deactivated = "running", False
            self.check_locks()
            self.emit("RESUME")

    def model_quit(self, _):
        self.emit("SHUTDOWN", {"guest": False, "reason": "host-qmp-quit"})
        self.reply({})
        sys.exit(0)

    def model_system_reset(self, _):
        self.emit("RESET", {"guest": False, "reason": "host-qmp-system-reset"})
        if self.status in PAUSED_BY_NOBODY:
            self.status = "prelaunch"

    def model_system_powerdown(self, _):
        self.emit("POWERDOWN")

    def model_xen_save_devices_state(self, arguments):
        if "filename" not in arguments:
            self.refuse("GenericError", "Parameter 'filename' is missing")
            return
        if self.deactivated:
            signal.signal(signal.SIGABRT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGABRT)
        if self.status == "running":
            self.emit("STOP")
            self.emit("RESUME")
        else:
            self.deactivated = True

    def model_getfd(self, arguments):
        if self.command["fd"] is None:
            self.refuse("GenericError", "No file descriptor supplied via SCM_RIGHTS")
            return
        old = self.descriptors.pop(arguments["fdname"], None)
        if old is not None:
            os.close(old)
        self.descriptors[arguments["fdname"]] = self.command["fd"]

    def model_closefd(self, arguments):
        fd = self.descriptors.pop(arguments["fdname"], None)
        if fd is None:
            text = "File descriptor named '%s' not found" % arguments["fdname"]
            self.refuse("GenericError", text)
        else:
            os.close(fd)

    def model_query_named_block_nodes(self, _):
        keys = ("node-name", "drv", "file", "ro")
        return [{key: drive[key] for key in keys} for drive in self.drives]

    def model_query_version(self, _):
        return {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": "fake"}

    def model_query_name(self, _):
        return {"name": self.name} if self.name else {}

    def model_query_migrate(self, _):
        return {}

    def model_query_jobs(self, _):
        return []

    model_query_block_jobs = model_query_block_exports = model_query_jobs


def readable_of(watched, timeout):
    """As select() would say, which knows no descriptor above 1023."""
    poll = select.poll()
    for peer in watched:
        poll.register(peer, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(None if timeout is None else max(1, timeout * 1000))}
    return [peer for peer in watched if peer.fileno() in ready]


class Loop:
    def __init__(self, qemu):
        self.qemu = qemu
        self.steps = qemu.run()
        self.wait = next(self.steps)
        self.signals = socket.socketpair()
        for end in self.signals:
            end.setblocking(False)
        signal.set_wakeup_fd(self.signals[1].fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def ready(self):
        kind, value = self.wait if isinstance(self.wait, tuple) else (self.wait, None)
        if kind == "command":
            return bool(self.qemu.commands)
        if kind == "client":
            return self.qemu.negotiated
        if kind == "connection":
            return self.qemu.client is not None
        if kind == "file":
            return os.path.exists(value)
        return kind == "time" and time.monotonic() >= value

    def timeout(self):
        kind, value = self.wait if isinstance(self.wait, tuple) else (self.wait, None)
        if kind == "file":
            return 0.005
        return max(0, value - time.monotonic()) if kind == "time" else None

    def shut_down(self):
        for number in self.signals[0].recv(64):
            self.qemu.log({"signal": signal.Signals(number).name})
        if not self.qemu.hanging:
            self.qemu.emit("SHUTDOWN", {"guest": False, "reason": "host-signal"})
            sys.exit(0)

    def turn(self):
        while self.ready():
            self.wait = next(self.steps)
        self.qemu.check_locks()
        watched = [self.signals[0]] + ([self.qemu.control] if self.qemu.control else [])
        peer = self.qemu.client or self.qemu.listener
        if peer and not self.qemu.hanging:
            watched.append(peer)
        readable = readable_of(watched, self.timeout())
        if self.signals[0] in readable:
            self.shut_down()
        elif self.qemu.control in readable:
            self.qemu.obey()
        elif readable and self.qemu.client:
            self.qemu.receive()
        elif readable:
            self.qemu.greet()


def main():
    if any(word in ("-version", "--version") for word in sys.argv[1:]):
        print("QEMU emulator version 7.2.0 (fake)")
        return
    # once the log says that we are there, a signal must meet its handler
    ends = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    loop = Loop(Qemu(Arguments(sys.argv[1:]), Script(os.environ.get("FAKE_QEMU_SCRIPT"))))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    while True:
        loop.turn()


main()
