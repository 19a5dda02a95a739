# SPDX-License-Identifier: LGPL-2.1-or-later
"""vmlatch's own socket and those who use it badly, or all at once."""

import contextlib
import os
import random
import socket
import threading

from deadline import wait_for
from faketest import FakeTest, main
from qmp import Qmp, QmpError

WRONG = (None, 7, -1, 1e300, "", "x" * 5000, [], {}, True, {"a": [1]})
COMMANDS = {"vmlatch-status": (), "vmlatch-inquire": (), "vmlatch-release": (), "query-status": (),
            "vmlatch-acquire": ("force-stale",), "vmlatch-attach": ("kind", "path"),
            "vmlatch-detach": ("kind", "path"), "vmlatch-events": ("since",)}
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1 << 32)


class Hostile(FakeTest):
    def raw(self):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(str(self.runtime / "vm" / "qmp.sock"))  # waits for room in the backlog
        peer.settimeout(20)
        self.addCleanup(peer.close)
        return peer

    def assert_lives(self, vm):
        self.assertIsNone(vm.process.poll(), vm.err)
        with self.control("vm") as client:
            self.assertEqual(client.command("vmlatch-status")["name"], "vm")
        self.assert_held(vm.disk)

    def test_bytes_do_not_matter(self):
        vm = self.one_disk()
        for garbage in (b"\0" * 100, b"\xff" * 1000, b"}{][", b'{"execute": ', b"[" * 100000,
                        b'{"execute": "' + b"x" * (2 << 20) + b'"}', b"'''", os.urandom(5000)):
            peer = self.raw()
            with contextlib.suppress(OSError):
                peer.sendall(garbage)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass
        self.assert_lives(vm)

    def test_arguments_are_refused_with_a_reason(self):
        vm = self.one_disk()
        with self.control("vm") as client:
            for command, names in COMMANDS.items():
                for name in (*names, "surplus"):
                    for value in WRONG:
                        good = {"kind": "disk", "path": "/nowhere"}
                        arguments = {key: good[key] for key in names if key in good}
                        client.send(command, **dict(arguments, **{name: value}))
                        with contextlib.suppress(QmpError):
                            client.answer()
        self.assert_lives(vm)

    def test_paths_are_refused_with_a_reason(self):
        vm = self.one_disk()
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        paths = {str(fifo): "a FIFO", str(self.dir): "directory", "/nowhere/disk": "No such file",
                 "disk.raw": "not absolute", "": "not absolute", "/" + "x" * 5000: "xxx.*File name too long"}
        with self.control("vm") as client:
            for path, reason in paths.items():
                with self.subTest(path[:40]):
                    with self.assertRaisesRegex(QmpError, reason):
                        client.command("vmlatch-attach", kind="disk", path=path)
        self.assertEqual(len(vm.status()["resources"]), 1)
        self.assert_lives(vm)

    def test_crowds_are_turned_away_and_do_no_harm(self):
        vm = self.one_disk()
        crowd = [self.raw() for _ in range(100)]
        for peer in crowd:
            self.assertTrue(peer.recv(100))
            peer.close()
        wait_for("no room again", lambda: self.vmlatch("status", "vm").status == 0)
        self.assert_lives(vm)

    def test_deserters_do_not_stop_what_they_asked_for(self):
        vm = self.one_disk()
        vm.fake.tell("once query-jobs delay-ms 200")
        self.stop_by_itself(vm)
        client = self.control("vm")
        client.send("vmlatch-release")
        client.send("cont")
        client.close()
        vm.wait_state(lock="released")
        self.does("resume", "vm")
        self.assert_lives(vm)

    def test_a_half_closed_connection_gets_its_answer(self):
        vm = self.one_disk()
        self.stop_by_itself(vm)
        peer = self.raw()
        peer.sendall(b'{"execute": "qmp_capabilities"}{"execute": "vmlatch-release"}')
        peer.shutdown(socket.SHUT_WR)
        said = b""
        while data := peer.recv(65536):
            said += data
        self.assertEqual(said.count(b'"return"'), 2, said)
        self.assertEqual(vm.status()["lock_state"], "released")


class OtherPlace(FakeTest):
    """--qmp PATH: what is there before, and what may be there at the end."""

    def setUp(self):
        super().setUp()
        self.path = self.dir / "q.sock"
        self.options = ("--qmp", self.path)

    def listener(self, kind=socket.SOCK_STREAM):
        other = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(other.close)
        other.bind(str(self.path))
        if kind == socket.SOCK_STREAM:
            other.listen(1)
        return other

    def answers_for(self, name):
        with contextlib.closing(self.qmp(self.path)) as client:
            self.assertEqual(client.command("vmlatch-status")["name"], name)

    def test_what_is_no_socket_of_the_dead_is_left_alone(self):
        def link():
            self.path.symlink_to(self.disk("mine"))
        for make, sentence in ((lambda: self.path.write_text("mine"), "no socket"),
                               (self.path.mkdir, "no socket"), (link, "no socket"),
                               (self.listener, "somebody else listens"),
                               (lambda: self.listener(socket.SOCK_DGRAM), "somebody else listens")):
            with self.subTest(sentence):
                make()
                before = os.lstat(self.path)
                said = self.refused(73, "vm", *self.drive(self.disk("disk.raw")),
                                    options=self.options)
                self.assert_says(f"{self.path}: .*{sentence}", said)
                self.assertEqual(before.st_ino, os.lstat(self.path).st_ino)
                (os.rmdir if self.path.is_dir() else os.unlink)(self.path)

    def test_a_socket_of_the_dead_is_replaced_and_ours_goes_with_us(self):
        self.listener().close()
        vm = self.one_disk(options=self.options)
        self.answers_for("vm")
        self.does("stop", "vm")
        vm.wait_end()
        self.assertFalse(self.path.exists())

    def test_a_start_that_is_refused_leaves_no_socket(self):
        path = self.disk("disk.raw")
        with self.other_holds(path):
            self.refused(75, "vm", *self.drive(path), options=self.options)
        self.assertFalse(self.path.exists())

    def test_what_has_taken_our_place_stays(self):
        first = self.one_disk("first", options=self.options)
        self.path.unlink()
        second = self.one_disk("second", options=self.options)
        self.assert_says("another process's", self.fails(69, "inquire", "first"))
        self.does("stop", "first")  # which ends the first, not who listens where it did
        first.wait_end()
        self.answers_for("second")
        self.path.unlink()
        self.path.write_text("mine")
        self.does("stop", "second")
        second.wait_end()
        self.assertEqual(self.path.read_text(), "mine")


class Fuzz(FakeTest):
    CLIENTS, STEPS = 6, 60

    def disturb(self, chance, path, log):
        """One client that does what it likes; errors are fine, silence is not."""
        try:
            with Qmp(path) as client:
                for _ in range(self.STEPS):
                    command = chance.choice(["stop", "cont", "vmlatch-release", "vmlatch-acquire",
                                             "vmlatch-status", "vmlatch-inquire", "query-status"])
                    client.send(command)
                    try:
                        client.answer()
                    except QmpError as error:
                        if not error.text.strip():
                            log.append(f"{command} failed without a reason")
        except (OSError, TimeoutError) as error:
            log.append(f"{error!r}")

    def test_no_order_of_commands_lets_the_guest_run_without_its_locks(self):
        vm, log = self.one_disk(), []
        path = str(self.runtime / "vm" / "qmp.sock")
        threads = [threading.Thread(target=self.disturb, args=(random.Random(SEED + number), path, log))
                   for number in range(self.CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(log, [], f"SEED={SEED}")
        self.assertEqual(vm.fake.unlocked(), [], f"SEED={SEED}")
        self.assertIsNone(vm.process.poll(), vm.err)
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        self.does("pause", "vm")
        vm.wait_state(lock="released")
        self.assert_free(vm.disk)
        self.assertNotIn("too many events", vm.err)

    def test_qemus_own_moves_in_between_do_not_either(self):
        vm, log = self.one_disk(), []
        path = str(self.runtime / "vm" / "qmp.sock")
        chance, pace = random.Random(SEED), threading.Event()
        threads = [threading.Thread(target=self.disturb, args=(random.Random(SEED + number), path, log))
                   for number in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            pace.wait(0.01)  # not so fast that QEMU does nothing else
            vm.fake.tell(*chance.choice([
                ("event STOP",), ("once query-jobs error GenericError x",),
                ("once cont error GenericError x",), ("forget query-status", "once query-status delay-ms 20"),
                ("event JOB_STATUS_CHANGE {}",), ("event SUSPEND",), ("event WAKEUP",)]), wait=False)
        for thread in threads:
            thread.join()
        self.assertEqual(log, [], f"SEED={SEED}")
        self.assertIsNone(vm.process.poll(), vm.err)
        self.assertEqual(vm.fake.unlocked(), [], f"SEED={SEED}")
        self.assertEqual(vm.status()["name"], "vm")


if __name__ == "__main__":
    main()
