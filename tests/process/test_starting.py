# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the fork to the first 'cont': what QEMU gets, and what keeps it from running."""

import json
import os
import re
import resource
import signal
import subprocess
import time

import locks
import procfs
from deadline import TIMEOUT, wait_for
from faketest import FakeTest, main
from vmtest import AS_ROOT, QEMU, VMLATCH

SIGNAL_FIELDS = ("SigBlk:", "SigIgn:", "SigCgt:")
QEMU_BYTE = 100  # the first of those that QEMU locks itself: a block node has this descriptor


class Inheritance(FakeTest):
    def test_is_the_users_descriptors_a_life_line_a_disk_the_socket_and_its_configuration(self):
        path = self.disk("disk.raw")
        with open(self.dir / "mine", "w", encoding="utf-8") as mine:
            number = os.dup2(mine.fileno(), 57, inheritable=True)
            self.addCleanup(os.close, number)
            vm = self.running("vm", *self.drive(path), pass_fds=(number,))
        inherited = {int(fd): what for fd, what in vm.fake.log()[0]["fds"].items()}
        self.assertEqual(inherited.pop(number), str(self.dir / "mine"))
        for fd in (0, 1, 2):
            inherited.pop(fd)
        high = sorted(fd for fd in inherited if fd > 1023)
        kinds = sorted("socket" if "socket" in inherited[fd] else "memfd" if "memfd" in inherited[fd]
                       else inherited[fd] for fd in high)
        self.assertEqual(kinds, sorted([str(path), "memfd", "socket"]))
        self.assertLess(max(high), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        # what is left is the stand-in's own: its program while python reads it, the listing
        left = [what for fd, what in inherited.items() if fd <= 1023]
        self.assertFalse([what for what in left if "socket" in what or "signalfd" in what
                          or "vmlatch" in what or "pidfd" in what or "eventpoll" in what], left)
        held = {lock.start for lock in procfs.fd_locks(vm.qemu, path)}
        self.assertEqual(held, {locks.BYTE}, "the guard stays with the supervisor")

    def test_is_the_arguments_byte_for_byte(self):
        odd = ["", " ", "a b", "line\nline", os.fsdecode(b"\xff\xfe"), "-name", "tail,,comma"]
        words = [word for value in odd for word in ("-device", value)]
        vm = self.start("vm", *words)
        wait_for("no QEMU", lambda: vm.fake.started)
        argv = vm.fake.log()[0]["argv"]
        self.assertEqual(argv[1:3], ["-S", "-readconfig"])
        self.assertRegex(argv[3], r"^/dev/fd/\d+$")
        self.assertEqual(argv[-len(words):], words)

    def test_is_argv0_signals_and_the_rest_of_the_environment_as_the_starter_has_them(self):
        show = self.dir / "show"  # perl: it leaves signals as they are, shells and python do not
        show.write_text("#!/usr/bin/perl\nopen STATUS, '/proc/self/status';\n"
                        "print \"$0\\n\", <STATUS>, map {\"$_=$ENV{$_}\\n\"} sort keys %ENV;\nexit 7;\n")
        show.chmod(0o755)

        def starter():
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})

        def said(text):
            lines = text.splitlines()
            return ([line for line in lines if line.startswith(SIGNAL_FIELDS)],
                    [line for line in lines if "=" in line and "FAKE_QEMU" not in line
                     and not line.startswith("_=")], lines[0])
        vm = self.start("vm", qemu=show, machine=(), preexec=starter)
        self.assertEqual(vm.wait_end(), 7)
        direct = self.dir / "direct"
        theirs = {name: value for name, value in self.environment.items() if not name.startswith("VMLATCH_")}
        with open(direct, "w", encoding="utf-8") as out:
            self.spawn([show], preexec=starter, stdout=out, stdin=subprocess.DEVNULL, env=theirs).wait()
        self.assertEqual(said(vm.out), said(direct.read_text()))
        self.assertRegex(vm.out, r"SigBlk:\s0*8000000\n", "the starter's own mask")

    def test_with_closed_standard_descriptors_nothing_of_ours_is_written_to_in_their_place(self):
        vm = self.one_disk(options=["--log-level", "debug"], preexec=lambda: os.closerange(0, 3))
        self.assertEqual((self.runtime / "vm" / "lock").read_text(), f"{vm.pid}\n")
        self.does("pause", "vm")
        self.assertEqual((self.runtime / "vm" / "lock").read_text(), f"{vm.pid}\n")


class Refusal(FakeTest):
    def graph(self, path):
        return [f'on query-named-block-nodes reply [{{"node-name": "n", "drv": "file", "ro": false,'
                f' "file": "{path}"}}]']

    def test_of_the_descriptor_of_an_image_that_argv_did_not_name_keeps_the_guest_from_running(self):
        path = self.disk("hidden.raw")
        with open(path, "r+b") as held:
            os.set_inheritable(held.fileno(), True)
            vm = self.start("vm", script=[*self.graph(path), "on getfd error GenericError no room"],
                            pass_fds=(held.fileno(),))
            self.assertEqual(vm.wait_end(), 65, vm.err)
        self.assert_says("no room", vm.err)
        self.assert_says("QEMU is killed; its guest has not run", vm.err)
        self.assertNotIn("cont", vm.fake.commands())
        self.assert_free(path)

    def test_of_an_answer_that_is_no_graph_keeps_the_guest_from_running(self):
        for answer in ("17", "null", '{"file": "x"}'):
            with self.subTest(answer):
                said = self.refused(65, "vm", *self.drive(self.disk("disk.raw")),
                                    script=[f"on query-named-block-nodes reply {answer}"])
                self.assert_says("about its block graph is not understood", said)
                self.assertNotIn("cont", self.vms[-1].fake.commands())

    def test_of_a_monitor_that_breaks_each_time_ends_what_nobody_could_let_run(self):
        path = self.disk("disk.raw")
        said = self.refused(71, "vm", *self.drive(path),
                            script=["on query-named-block-nodes raw no json\\r\\n"])
        self.assert_says("monitor breaks each time", said)
        self.assertNotIn("cont", self.vms[-1].fake.commands())
        self.assert_free(path)

    def test_of_an_image_in_the_graph_that_another_vm_holds_is_75(self):
        first = self.one_disk("first")
        with open(first.disk, "r+b") as held:
            os.set_inheritable(held.fileno(), True)
            vm = self.start("second", script=self.graph(first.disk), pass_fds=(held.fileno(),))
            self.assertEqual(vm.wait_end(), 75, vm.err)
        self.assert_says("first", vm.err)
        self.assertNotIn("cont", vm.fake.commands())
        self.assert_held(first.disk)

    def test_is_no_answer_to_an_image_in_the_graph_that_is_free_it_is_locked(self):
        path = self.disk("hidden.raw")
        with open(path, "r+b") as held:
            os.set_inheritable(held.fileno(), True)
            vm = self.running("vm", script=self.graph(path), pass_fds=(held.fileno(),))
            self.assert_held(path)
            self.assertIn("getfd", vm.fake.commands())
            self.assertLess(vm.fake.commands().index("getfd"), vm.fake.commands().index("cont"))

    def test_names_the_holder_by_its_state_where_there_is_no_record(self):
        path = self.disk("shared.raw")
        first = self.running("first", *self.drive(path, "readonly=on", interface="none"))
        said = self.refused(75, "second", *self.drive(path), options=("--host-name", "other"))
        host = re.escape(os.uname().nodename)
        self.assert_says(rf"{path} is in use by VM 'first' \(host {host}, pid {first.qemu}, since", said)
        self.assert_says("'vmlatch stop first' frees it", said)

    def refused_by(self, vm):
        """What is said of a disk that somebody holds, by a record of a VM of that name on another host."""
        path = self.disk(f"{len(vm)}.raw")
        info = os.stat(path)
        os.setxattr(path, "user.vmlatch", (
            f"vmlatch 1 gen=3 id={info.st_dev}:{info.st_ino} held=1 since=1 pid=1 start=1 "
            f"instance=00000000-0000-4000-8000-000000000000 boot=00000000-0000-4000-8000-000000000001 "
            f"host=kvm9 vm={vm}").encode())
        with self.other_holds(path):
            return self.refused(75, "second", *self.drive(path))

    def test_offers_no_command_with_a_name_that_is_none(self):
        self.assert_says("'vmlatch stop web1' on kvm9 frees it", self.refused_by("web1"))
        said = self.refused_by(r"x';\x20rm\x20-rf\x20~;'")
        self.assert_says("in use by VM 'x'; rm -rf ~;'' .host kvm9", said)
        self.assertNotIn("vmlatch stop", said)
        self.assert_says("'vmlatch who .*' tells more", said)

    def test_does_not_name_the_vm_itself(self):
        vm = self.released()
        with self.other_holds(vm.disk):
            said = self.fails(75, "resume", "vm")
        self.assert_says(f"{vm.disk} is in use by ", said)
        self.assertNotIn("by VM", said)

    def test_of_a_file_that_qemu_names_and_does_not_have_is_only_for_who_requires_locks(self):
        script = self.graph("/nowhere/at.all")
        vm = self.running("vm", script=script)
        self.assert_says("/nowhere/at.all.*not among its descriptors", vm.err)
        said = self.refused(65, "strict", script=script, options=("--require-locks",))
        self.assert_says("/nowhere/at.all", said)

    def test_by_exec_has_the_shells_statuses(self):
        path = self.disk("disk.raw")
        self.refused(127, "a", *self.drive(path), qemu=self.dir / "missing", machine=())
        plain = self.dir / "plain"
        plain.write_text("no program")
        self.refused(126, "b", *self.drive(path), qemu=plain, machine=())
        plain.chmod(0o755)
        self.refused(126, "c", *self.drive(path), qemu=plain, machine=())
        self.assert_free(path)


class Scale(FakeTest):
    DISKS = 300

    def many(self):
        paths = [self.disk(f"{number}.raw", 4096) for number in range(self.DISKS)]
        return paths, [word for path in paths for word in self.drive(path)]

    @staticmethod
    def limited(number):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))

    def test_of_hundreds_of_disks_locks_and_releases_all(self):
        paths, words = self.many()
        vm = self.running("vm", *words)
        for path in paths:
            self.assert_held(path)
        self.does("pause", "vm")
        for path in paths:
            self.assert_free(path)
        self.does("resume", "vm")
        self.assertEqual(vm.fake.unlocked(), [])

    def test_is_checked_within_any_limit_of_open_files(self):
        paths = [self.qcow2("first.qcow2")]
        for number in range(100):
            paths.append(self.dir / f"{number}.qcow2")
            paths[-1].write_bytes(paths[0].read_bytes())
        words = [word for path in paths for word in self.drive(path, form="qcow2")]
        with self.other_holds(paths[7]), self.other_holds(paths[-1]):
            for limit in (24, 64, 150, 1024):
                with self.subTest(limit):
                    result = self.vmlatch("check", "--", QEMU, *words, preexec_fn=self.limited(limit))
                    self.assertEqual(result.status, 75, result)
                    self.assertEqual((result.out.count(": free"), result.out.count(": in use")),
                                     (len(paths) - 2, 2))

    def test_beyond_the_limit_of_open_files_is_71_and_a_sentence(self):
        paths, words = self.many()
        for limit in (100, 500, 620, 640):
            with self.subTest(limit):
                said = self.refused(71, f"vm{limit}", *words, preexec=self.limited(limit))
                self.assert_says("ulimit -n|[Tt]oo many open files|limit of open files", said)
                self.assert_free(paths[0])
                self.assert_free(paths[-1])

    def test_without_room_for_vmlatch_itself_is_71_and_leaves_nothing(self):
        disk = self.disk("disk.raw")
        for limit in (7, 8, 9, 12, 16):  # of the first two libuv would end by abort()
            for options in (), ("--in-place",):
                with self.subTest(limit, options=options):
                    said = self.refused(71, f"vm{limit}", *self.drive(disk), options=options,
                                        preexec=self.limited(limit))
                    self.assert_says(f"limit of open files .{limit}. .*ulimit -n", said)
                    self.assertEqual((self.json("list"), self._left_in_runtime()), ([], []))


class Direct(FakeTest):
    """QEMU is not told to wait: what happens to the guest before its graph is compared is no -S."""

    def start_direct(self, *more, options=(), script=()):
        path = self.disk("disk.raw")
        vm = self.start("vm", *self.drive(path), *more, options=("--start", "direct", *options), script=script)
        vm.disk = path
        return vm

    def test_guest_that_is_stopped_at_once_has_its_own_cause_and_gives_the_locks_back(self):
        for status, cause in {"paused": "user", "watchdog": "watchdog", "io-error": "io-error"}.items():
            with self.subTest(status):
                vm = self.start_direct(script=[f"once query-named-block-nodes status {status}",
                                               "once query-named-block-nodes event STOP"])
                vm.wait_state(run=status, lock="released")
                seen = vm.status()
                self.assertEqual(seen["cause"], cause)
                self.assertNotIn("-S", seen.get("cause_detail") or "")
                self.assert_free(vm.disk)
                self.does("resume", "vm")
                self.assert_held(vm.disk)
                self.does("stop", "vm")
                vm.wait_end()

    def test_an_image_that_is_named_once_and_gone_when_it_is_asked_again_is_no_finding(self):
        nodes = json.dumps([{"node-name": name, "drv": "file", "ro": False, "file": str(file)}
                            for name, file in {"n": self.dir / "disk.raw", "m": "/no/such/image"}.items()])
        vm = self.start_direct(options=(*AS_ROOT, "--require-locks"),
                               script=[f"once query-named-block-nodes reply {nodes}"])
        wait_for("it is not asked again", lambda: vm.fake.commands().count("query-named-block-nodes") == 2)
        self.does("pause", "vm")
        vm.wait_state(run="paused", lock="released")
        self.assertEqual(vm.err, "")

    def test_guest_with_minus_s_waits_for_its_user(self):
        vm = self.start_direct("-S")
        seen = vm.wait_state(run="prelaunch", lock="held")
        self.assertEqual(seen["cause"], "user")
        self.assert_says("-S", seen["cause_detail"])
        self.assert_held(vm.disk)

    def test_guest_is_really_stopped_by_a_stop_before_the_comparison_is_over(self):
        vm = self.start_direct(script=["once query-named-block-nodes delay-ms 500"])
        vm.fake.wait_command("query-named-block-nodes")
        with self.control("vm") as client:
            client.command("stop")
        vm.wait_state(run="paused", lock="released")
        self.assertIn("stop", vm.fake.commands())

    def test_guest_is_not_stopped_for_a_graph_that_qemu_does_not_tell_its_descriptors_do(self):
        hidden = self.disk("hidden.raw")
        with locks.Held(hidden, byte=QEMU_BYTE, kind=locks.READ) as image:
            os.set_inheritable(image.fd, True)
            vm = self.running("vm", *self.drive(self.disk("disk.raw")), options=("--start", "direct"),
                              script=["on query-named-block-nodes error GenericError no graph for you"],
                              pass_fds=(image.fd,))
            self.assert_held(hidden)
            self.assertNotIn("stop", vm.fake.commands())
            self.does("stop", "vm")
            vm.wait_end()


class Killed(FakeTest):
    def waiting_child(self, path):
        """A child that waits for a busy lock."""
        vm = self.start("vm", *self.drive(path), options=("--wait", "60"))
        child = wait_for("no child", lambda: procfs.children(vm.pid))[0]
        return vm, child

    def test_child_while_it_locks_leaves_nothing_and_says_so(self):
        path = self.disk("disk.raw")
        with locks.Held(path):
            vm, child = self.waiting_child(path)
            self.kill(child)
            self.assertEqual(vm.wait_end(), 71)
        self.assertFalse(vm.fake.started)
        *others, last = vm.err.splitlines()
        self.assertEqual(last, "vmlatch: vm: its process was ended before it became QEMU: nothing was started.")
        self.assertFalse([line for line in others if "warning" not in line], vm.err)
        self.assert_free(path)

    def test_qemu_before_its_guest_runs_is_its_own_end(self):
        vm = self.start("vm", *self.drive(self.disk("disk.raw")), options=AS_ROOT, script=["on cont exit 3"])
        self.assertEqual((vm.wait_end(), vm.err), (3, ""))

    def test_supervisor_before_it_has_the_locks_means_no_qemu_and_no_lock(self):
        path = self.disk("disk.raw")
        with locks.Held(path):
            vm, child = self.waiting_child(path)
            vm.process.kill()
            vm.process.wait()
            self.left_behind.add("vm")
        wait_for("the child lives on", lambda: not procfs.alive(child))
        self.assertFalse(vm.fake.started)
        self.assert_free(path)

    def test_supervisor_later_leaves_qemu_running_under_its_lock(self):
        vm = self.one_disk()
        qemu = vm.kill_supervisor()
        self.assertTrue(procfs.alive(qemu))
        self.assertEqual(locks.seen(vm.disk, locks.BYTE), locks.WRITE)
        self.refused(75, "second", *self.drive(vm.disk))
        self.kill(qemu)
        self.wait_free(vm.disk)


class EndedEarly(FakeTest):
    """A signal before QEMU is there: as a QEMU would have ended, and nothing is left."""

    def end_after(self, seconds, name, path, number):
        """`seconds` None: as soon as there is a directory that could be left behind."""
        place = self.runtime / name
        vm = self.start(name, *self.drive(path))
        until = time.monotonic() + (TIMEOUT if seconds is None else seconds)
        while time.monotonic() < until and not (seconds is None and place.exists()):
            pass
        vm.signal(number)
        status = vm.wait_end()
        if "KeyboardInterrupt" in vm.err:  # the fake one is Python, which has its own end while it starts
            self.assertEqual((number, status), (signal.SIGINT, 1), vm.err)
        else:
            self.assertIn(status, (-number, 0), vm.err)
        self.assertFalse(place.exists(), f"left behind by {number.name} after {seconds} s")
        self.assert_free(path)

    def test_by_a_signal_leaves_nothing(self):
        path = self.disk("disk.raw")
        delays = [None] * 20 + [step * 0.0003 for step in range(41)]
        for round_number, delay in enumerate(delays):
            number = (signal.SIGTERM, signal.SIGINT)[round_number % 2]
            with self.subTest(delay=delay, signal=number.name):
                self.end_after(delay, f"vm{round_number}", path, number)

    def test_by_nobody_who_reads_stderr_is_no_end(self):
        reader, writer = os.pipe()
        os.close(reader)
        path = self.disk("disk.raw")
        process = self.spawn([VMLATCH, "run", "--name", "vm", "--", "/bin/false", *self.drive(path),
                              "-monitor", "stdio"], stderr=writer, stdin=subprocess.DEVNULL,
                             preexec=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL))
        os.close(writer)
        self.assertEqual(process.wait(TIMEOUT), 1)
        self.assertFalse((self.runtime / "vm").exists())


class StateFile(FakeTest):
    def test_that_cannot_be_written_means_no_release(self):
        vm = self.one_disk()
        directory = self.runtime / "vm"
        (directory / "state.json").unlink()
        (directory / "state.json").mkdir()  # nothing can take its place
        vm.fake.tell("status paused", "event STOP")
        wait_for("nothing is said", lambda: "state.json" in vm.err)
        with self.control("vm") as client:
            wait_for("not paused", lambda: client.command("vmlatch-status")["run-state"] == "paused")
            with self.assertRaisesRegex(Exception, "state.json cannot be written"):
                client.command("vmlatch-release")
        self.assert_held(vm.disk)
        self.assertNotIn("xen-save-devices-state", vm.fake.commands())
        (directory / "state.json").rmdir()
        self.does("pause", "vm")
        self.assert_free(vm.disk)

    def test_that_could_not_be_written_is_written_when_it_can_be(self):
        vm = self.one_disk()
        state = self.runtime / "vm" / "state.json"
        kept = state.read_bytes()
        state.unlink()
        state.mkdir()  # nothing can take its place
        vm.fake.tell("status paused", "event STOP")
        with self.control("vm") as client:
            wait_for("it is not kept", lambda: "cannot be written" in
                     client.command("vmlatch-status").get("held-because", ""))
        state.rmdir()
        state.write_bytes(kept)
        seen = self.settled(vm, run="paused", lock="held")
        self.assert_says("cannot be written", seen["held_because"])
        self.assertEqual(vm.err.count("is out of date"), 1, "it is said once")

    def test_that_cannot_be_written_says_so_itself(self):
        vm = self.one_disk()
        self.does("status", "vm")
        in_the_way = self.runtime / "vm" / f".state.json.{vm.pid}"  # of the new one: as if there were no room
        in_the_way.mkdir()
        vm.fake.tell("status paused", "event STOP")
        wait_for("it is not told", lambda: "is out of date" in vm.err)
        self.assert_says(r"\nvm +unknown +held", self.vmlatch("list").out)
        told = self.vmlatch("status", "vm")
        self.assertEqual(told.status, 4, told)
        self.assert_says(r"vm: unknown, locks held\n(?s:.*)  note +its supervisor cannot write state.json", told.out)
        self.assert_says("cannot write", self.json("list")[0]["problem"])
        in_the_way.rmdir()
        vm.wait_state(run="paused", lock="held")
        self.assertEqual(self.vmlatch("status", "vm").status, 3)
        self.assertNotIn("problem", self.json("list")[0])

    def test_says_deactivating_before_qemu_is_told(self):
        path, copy = self.disk("disk.raw"), self.dir / "copy.json"
        vm = self.running("vm", *self.drive(path), script=[
            f"on xen-save-devices-state copy {self.runtime}/vm/state.json {copy}"])
        self.does("pause", "vm")
        self.assertIn('"deactivating":true', copy.read_text().replace(" ", ""))
        self.assertTrue(vm.status()["deactivated"])
        self.assertFalse(vm.status()["deactivating"])

    def test_says_what_is_given_up_before_it_is(self):
        vm = self.released()
        self.assertIn(str(vm.disk), self.state_file("vm")["lock-text"])
        self.assertEqual(QEMU, self.state_file("vm")["binary"])


if __name__ == "__main__":
    main()
