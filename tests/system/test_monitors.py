#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is a VM pinned exactly when somebody can make its guest run, or write to its disks, without vmlatch?

Each command line is given to a QEMU that waits with -S, and its monitors are attacked by every way
that it opens. What came of that is what 'vmlatch check' must have said.
"""

import json
import os
import pty
import select
import shutil
import socket
import subprocess
import tty

import dbus_peer
import procfs
from deadline import wait_for
from in_place import DropInTest
from qmp import Qmp
from rfb import Vnc
from vmtest import QEMU, VmTest, main

SETTLED = 0.4       # seconds in which a guest that was told to run would be seen to
PTY_SETTLED = 3     # QEMU looks once a second whether somebody has a pty open
BASE = ("-accel", "tcg", "-machine", "pc", "-m", "32", "-no-user-config")
QUIET = ("-nodefaults", "-display", "none")
SOCKET = "server=on,wait=off"

# HMP, also behind the escape of a shared port (first: a port whose guest does not read fills up) and on
# other consoles of curses'; QMP; gdb, which must be last: what follows would stop the guest again
CONT = (b"\x01ccont\n" b"cont\n" b"\x01ccont\n" b"\x1b2cont\n" b"\x1b3cont\n"
        b'{"execute": "qmp_capabilities"} {"execute": "cont"}\n' b"$c#63")

# (arguments, whether somebody can make the guest run)
ROWS = (
    ("-display none", False),
    ("-display none -daemonize -pidfile pid", False),
    ("-display none -serial vc -monitor vc", False),
    ("-display none -monitor stdio", True),
    ("-display none -monitor nonesuch", False),
    ("-display none -monitor pty", True),
    (f"-display none -monitor unix:a.sock,{SOCKET}", True),
    ("-display none -monitor file:a", False),
    (f"-display none -qmp-pretty unix:a.sock,{SOCKET}", True),
    ("-display none -qmp null", False),
    ("-display none -serial mon:stdio", True),
    ("-display none -debugcon mon:stdio", True),
    ("-display none -serial mon:vc", False),
    ("-display none -vnc unix:v.sock -serial mon:vc", True),
    (f"-display none -chardev socket,id=m,path=a.sock,{SOCKET} -mon m", True),
    (f"-display none -chardev socket,id=m,path=a.sock,{SOCKET} -monitor chardev:m", True),
    (f"-display none -chardev socket,id=m,path=a.sock,{SOCKET} -serial chardev:m", False),
    (f"-display none -chardev socket,id=m,path=a.sock,{SOCKET},mux=on -serial chardev:m -mon m", True),
    ("-display none -chardev null,id=m -mon m", False),
    ("-display none -chardev vc,id=m -mon m", False),
    ("-display none -chardev ringbuf,id=m -mon m", False),
    (f"-display none -chardev null,id=a -chardev socket,id=b,path=a.sock,{SOCKET} -mon a,id=m"
     " -set mon.m.chardev=b", True),
    ("-display none -chardev null,id=a -mon a -set chardev.a.backend=pty", True),
    (f"-display none -chardev socket,id=g,path=a.sock,{SOCKET} -gdb chardev:g", True),
    (f"-display none -netdev user,id=n,guestfwd=tcp:10.0.2.9:80-mon:unix:a.sock,,{SOCKET.replace(',', ',,')}",
     True),
    ("-display none -netdev user,id=n -set netdev.n.guestfwd=tcp:10.0.2.9:80-mon:null", False),
    ("-display none -netdev {'type':'user','id':'n','guestfwd':[{'str':'tcp:10.0.2.9:80-mon:stdio'}]}", True),
    (f"-display none -chardev socket,id=b,path=a.sock,{SOCKET} -chardev mux,id=m,chardev=b -mon m", True),
    ("-display none -chardev null,id=b -chardev mux,id=m,chardev=b -mon m", False),
    ("-display none -gdb stdio", True),
    ("-display none -gdb null", False),
    ("-nographic", True),
    ("-nographic -serial null", True),
    ("-nographic -monitor none", False),
    ("-vnc unix:v.sock", True),
    ("-display none -vnc unix:v.sock", True),
    ("-vnc unix:v.sock -vnc none", True),
    ("-vnc unix:v.sock,id=v -set vnc.v.vnc=none", False),
    ("-vnc unix:v.sock -monitor none", False),
    ("-vnc unix:v.sock -nodefaults -monitor vc", True),
    ("-vnc none", False),
    ("-display curses", True),
    ("-display curses -monitor none", False),
    ("-display dbus,p2p=on", True),
    ("-display dbus,p2p=on -nodefaults -chardev vc,id=m -mon m", True),
    ("-display dbus,p2p=on -nodefaults -chardev dbus,id=m,name=any -mon m", True),
    ("-display dbus,p2p=on -monitor none", False),
    ("-display dbus,p2p=on -serial vc -nodefaults", False),
)


class BareQemu:
    """A QEMU on a terminal of its own that waits with -S, and our way to look at it."""

    def __init__(self, test, words):
        self.test, self.display = test, " ".join(words)
        path = test.dir / "look.sock"
        config = test.dir / "look.conf"
        config.write_text(f'[chardev "vmlatch"]\nbackend = "socket"\npath = "{path}"\nserver = "on"\n'
                          'wait = "off"\n[mon "vmlatch"]\nchardev = "vmlatch"\nmode = "control"\n')
        self.tty, slave = pty.openpty()
        tty.setraw(slave)
        environment = dict(test.environment, TERM="xterm")
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            environment.pop(name, None)
        self.process = test.spawn([QEMU, "-S", "-readconfig", config, *BASE, *words], stdin=slave,
                                  stdout=slave, stderr=slave, cwd=test.dir, env=environment)
        os.close(slave)
        self.said = b""
        wait_for(lambda: f"{words}: {self.said}", lambda: self.drain() or path.exists()
                 or self.process.poll() is not None)
        self.pid = self.process.pid
        if "-daemonize" in words:
            assert self.process.wait() == 0, self.said
            self.pid = int((test.dir / "pid").read_text(encoding="ascii"))
        try:
            self.look = Qmp(str(path))
        except OSError:
            self.drain()
            self.process.wait()
            os.close(self.tty)
            raise ConnectionError(f"{words}: {self.said}") from None

    def drain(self):
        """A terminal that nobody reads fills up, and QEMU waits for it."""
        while select.select([self.tty], [], [], 0)[0]:
            try:
                self.said += os.read(self.tty, 65536)
            except OSError:
                break

    def runs(self, timeout=SETTLED):
        def told():
            self.drain()
            return self.look.command("query-status")["running"]
        try:
            wait_for("it stays", told, timeout)
            return True
        except AssertionError:
            return False

    def end(self):
        self.look.close()
        self.process.kill()
        self.process.wait()
        os.close(self.tty)
        if procfs.alive(self.pid):
            self.test.kill(self.pid)
        for name in ("look.sock", "a.sock", "v.sock", "pid", "a"):
            (self.test.dir / name).unlink(missing_ok=True)

    def by_terminal(self, fd):
        os.write(fd, CONT)
        return self.runs()

    def by_pty(self, path):
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        try:
            tty.setraw(fd)
            os.write(fd, CONT)
            return self.runs(PTY_SETTLED)
        finally:
            os.close(fd)

    def by_socket(self, path):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(CONT)
            return self.runs()

    def by_vnc(self, address):
        vnc = Vnc(address)
        try:
            for console in range(1, 7):
                vnc.select_console(console)
                vnc.type("\x01ccont\ncont\n\x01ccont\n")
            return self.runs()
        finally:
            vnc.close()

    def by_dbus(self, labels):
        """Peer to peer: who has another monitor brings somebody in."""
        near, far = socket.socketpair()
        with far:
            self.look.pass_fd(far.fileno(), "peer")
        self.look.command("add_client", protocol="@dbus-display", fdname="peer")
        peer = dbus_peer.Peer(near)
        consoles = list(filter(None, map(peer.open_console, labels)))
        try:
            for console in consoles:
                console.sendall(CONT)
            return self.runs()
        finally:
            for console in (*consoles, peer):
                console.close()

    def by_any_way(self):
        """Whether one of the ways that it opens lets the guest run."""
        ways = [(self.by_terminal, self.tty)]
        for device in self.look.command("query-chardev"):
            if device["filename"].startswith("pty:"):
                ways.append((self.by_pty, device["filename"][len("pty:"):]))
        if (self.test.dir / "a.sock").exists():
            ways.append((self.by_socket, str(self.test.dir / "a.sock")))
        if (self.test.dir / "v.sock").exists():
            ways.append((self.by_vnc, str(self.test.dir / "v.sock")))
        if "-display dbus" in self.display:
            ways.append((self.by_dbus, [device["label"] for device in self.look.command("query-chardev")]))
        return any(way(argument) for way, argument in ways)


class MonitorTest(VmTest):
    def pins(self, *words):
        """The reasons that 'check' gives."""
        return json.loads(self.does("check", "--json", "--", QEMU, *BASE, *words, cwd=self.dir))["pinned"]

    def bare(self, *words):
        qemu = BareQemu(self, words)
        self.addCleanup(self.ended, qemu)
        return qemu

    @staticmethod
    def ended(qemu):
        if qemu.process.returncode is None or procfs.alive(qemu.pid):
            qemu.end()


class Monitors(MonitorTest):
    def test_that_can_resume_the_guest_pin_the_vm_and_no_others_do(self):
        for words, resumes in ROWS:
            with self.subTest(words):
                words = words.split()
                qemu = BareQemu(self, words)
                try:
                    self.assertEqual(qemu.by_any_way(), resumes)
                finally:
                    qemu.end()
                self.assertEqual(bool(self.pins(*words)), resumes)

    def test_on_a_console_that_nobody_sees_is_none(self):
        # of what needs a client that is not here, QEMU itself tells where the monitor is
        for words, where in (("-display none", "vc"), ("-vnc none", "vc"),
                             ("-spice port=0,addr=spice.sock,unix=on,disable-ticketing=on", "vc"),
                             ("-display dbus,p2p=on", "^(?!vc)")):
            with self.subTest(words):
                words = words.split()
                try:
                    qemu = BareQemu(self, words)
                except OSError:
                    continue  # this QEMU was not built with it
                try:
                    devices = {device["label"]: device["filename"]
                               for device in qemu.look.command("query-chardev")}
                    self.assertRegex(devices["compat_monitor0"], where)
                finally:
                    qemu.end()
                self.assertEqual(bool(self.pins(*words)), where != "vc")

    def test_without_a_display_option_is_reached_by_what_qemu_opens(self):
        self.assert_says("no -display", self.pins()[0])
        try:
            qemu = BareQemu(self, [])
        except OSError:
            return  # it has a window's module, and there is no display here
        try:
            server = qemu.look.command("query-vnc-servers")[0]["server"][0]
            self.assertTrue(qemu.by_vnc((server["host"], int(server["service"]))))
        finally:
            qemu.end()


class Writers(MonitorTest):
    """Who cannot resume the guest, but write to its disks while it is paused."""

    def test_a_shared_port_commits_a_snapshot_into_its_base(self):
        for chardevs in (f"-chardev socket,path=a.sock,{SOCKET},id=m,mux=on",
                         f"-chardev socket,path=a.sock,{SOCKET},id=b -chardev mux,chardev=b,id=m"):
            with self.subTest(chardevs):
                self.commit_by_port(*chardevs.split())

    def commit_by_port(self, *chardevs):
        disk = self.disk("base.raw")
        words = (*QUIET, *self.drive(disk, "id=d", "snapshot=on"), "-serial", "chardev:m", *chardevs)
        qemu = self.bare(*words)
        qemu.look.command("human-monitor-command", command_line='qemu-io d "write -P 0x55 0 512"')
        self.assertEqual(disk.read_bytes()[:1], b"\0")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.dir / "a.sock"))
            client.sendall(b"\x01s")
            wait_for("C-a s does not commit", lambda: disk.read_bytes()[:1] == b"\x55")
        self.assertFalse(qemu.look.command("query-status")["running"])
        qemu.end()
        self.assert_says("C-a s", self.pins(*words)[0])

    def test_a_test_driver_works_with_the_disk(self):
        disk = self.disk("a.raw")
        for option in (f"-object qtest,id=q,chardev=c -chardev socket,id=c,path=a.sock,{SOCKET}",
                       f"-qtest unix:a.sock,{SOCKET}"):
            with self.subTest(option):
                words = (*QUIET, *self.drive(disk), *option.split())
                qemu = self.bare(*words)
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(self.dir / "a.sock"))
                    # the IDE controller: one sector, the first, write
                    for port, value in ((0x1F6, 0xE0), (0x1F2, 1), (0x1F3, 0), (0x1F4, 0), (0x1F5, 0),
                                        (0x1F7, 0x30)):
                        client.sendall(f"outb {port:#x} {value:#x}\n".encode())
                    client.sendall(b"outw 0x1f0 0x5555\n" * 256)
                    wait_for("it does not write", lambda: qemu.drain() or disk.read_bytes()[:1] == b"\x55")
                self.assertFalse(qemu.look.command("query-status")["running"])
                qemu.end()
                os.truncate(disk, 0)
                os.truncate(disk, 1 << 20)
                self.assert_says("a test driver", self.pins(*words)[0])


class DropIn(DropInTest):
    """A user who knows nothing of vmlatch, and has QEMU's default monitor or one of his own."""
    DEFAULTS = ("-accel", "tcg", "-machine", "pc", "-m", "32")

    def test_sees_and_does_what_he_is_used_to(self):
        disk = self.guest("halt")
        for words in (("-display", "none", "-monitor", "stdio"), ("-nographic", "-serial", "null"),
                      ("-vnc", "unix:v.sock", "-monitor", "stdio")):
            with self.subTest(words):
                script = "stop\ninfo status\ncont\ninfo status\nquit\n"
                said = [subprocess.run([self.NAME, *self.DEFAULTS, *self.drive(disk), *words], cwd=self.dir,
                                       executable=executable, input=script, capture_output=True, text=True,
                                       timeout=60, check=True, env=self.environment)
                        for executable in (shutil.which(QEMU), self.find(self.NAME))]
                self.assertEqual((said[0].stdout, said[0].stderr), (said[1].stdout, said[1].stderr))
                self.wait_nobody()

    def test_keeps_his_disk_through_his_own_pauses(self):
        disk = self.guest("writer", writer="me")
        vm = self.start("vm", *self.drive(disk), "-nographic", "-serial", "null", machine=self.DEFAULTS,
                        stdin=subprocess.PIPE)
        vm.wait_state(run="running", lock="held")
        vm.known()
        vm.process.stdin.write(b"stop\n")
        vm.process.stdin.flush()
        vm.wait_state(run="paused", lock="held")
        self.assert_held(disk)
        self.assert_in_use(self.refused(75, "other", *self.drive(disk)), disk, vm)
        self.assert_says("-nographic: .*add '-monitor none'", self.fails(69, "pause", "vm"))
        vm.process.stdin.write(b"cont\n")
        vm.process.stdin.close()
        self.wait_writing(disk)
        vm.wait_state(run="running", lock="held")
        self.assertEqual(vm.err, "")


if __name__ == "__main__":
    main()
