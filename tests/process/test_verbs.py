# SPDX-License-Identifier: LGPL-2.1-or-later
"""The verbs around a VM that runs, against made-up supervisors: each status, each sentence."""

import fcntl
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

VMLATCH = os.environ["VMLATCH"]
FAKE = Path(__file__).resolve().with_name("fake_supervisor.py")
DEADLINE = 60
F_OFD_SETLK = 37


class Verbs(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="vmlatch-verbs-"))
        self.runtime = self.dir / "run"
        self.runtime.mkdir(mode=0o700)
        self.environment = dict(os.environ, VMLATCH_RUNTIME_DIR=str(self.runtime),
                                VMLATCH_CONFIG_DIR=str(self.dir / "conf"), LC_ALL="C.UTF-8", TZ="UTC")
        self.processes, self.qemus = [], []
        self.addCleanup(self.end_everything)

    def end_everything(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        for pid in self.qemus:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.dir)

    def vm(self, name="web1", **plan):
        """Start a supervisor; returns QEMU's pid."""
        process = subprocess.Popen([sys.executable, str(FAKE), str(self.runtime),
                                    json.dumps({"name": name, **plan})],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        word, pid = process.stdout.readline().split()
        self.assertEqual(word, "ready")
        self.qemus.append(int(pid))
        return int(pid)

    def vmlatch(self, *words, **more):
        return subprocess.run([VMLATCH, *map(str, words)], stdin=subprocess.DEVNULL, timeout=DEADLINE,
                              capture_output=True, text=True, check=False, env=self.environment, **more)

    def expect(self, status, out, err, *words, **more):
        """The exit status, and what stdout and stderr are (regular expressions of the whole)."""
        result = self.vmlatch(*words, **more)
        shown = f"{' '.join(map(str, words))}: {result}"
        self.assertEqual(result.returncode, status, shown)
        self.assertRegex(result.stdout, rf"\A{out}\Z", shown)
        self.assertRegex(result.stderr, rf"\A{err}\Z", shown)

    def heard(self, name="web1"):
        path = self.runtime / f"{name}.heard"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(command, arguments) for command, arguments in map(json.loads, lines)
                if command != "qmp_capabilities"]


class CommandLine(Verbs):
    def test_no_argument_is_64_and_shows_the_usage_on_stderr(self):
        self.expect(64, "", "Usage: vmlatch VERB(?s:.*)vmlatch run (?s:.*)")

    def test_help_and_version_go_to_stdout(self):
        self.expect(0, r"vmlatch \d+\.\d+\.\d+\n", "", "--version")
        for words in (["--help"], ["-h"], ["help"]):
            self.expect(0, "Usage: vmlatch VERB(?s:.*)", "", *words)
        for words in (["help", "stop"], ["stop", "--help"], ["stop", "-h"]):
            self.expect(0, "Usage: vmlatch stop(?s:.*)--timeout SECONDS(?s:.*)", "", *words)

    def test_what_does_not_exist_yet_is_unknown(self):
        for verb in ("qmp", "migrate", "adopt"):
            self.expect(64, "", f"vmlatch: there is no verb '{verb}': .*\n", verb, "web1")
        self.expect(64, "", "vmlatch: 'attach' knows disk, image and lease: .*not 'tape'\n",
                    "attach", "web1", "tape", "a")
        self.expect(64, "", "vmlatch: lease 'a': needs SPACE:KEY.*\n", "attach", "web1", "lease", "a")

    def test_a_slip_is_answered_with_what_was_meant(self):
        self.expect(64, "", "vmlatch: there is no verb 'stauts': did you mean 'status'\\?\n", "stauts")
        self.expect(64, "", "vmlatch: 'stop' has no option --timout: did you mean --timeout\\?\n",
                    "stop", "web1", "--timout", "3")

    def test_too_few_or_too_many_words_are_64(self):
        for verb in ("status", "who", "pause", "resume", "stop", "inquire", "attach", "detach"):
            self.expect(64, "", f"vmlatch: too few words: vmlatch {verb} .*\n", verb)
        self.expect(64, "", "vmlatch: too many words: .*\n", "inquire", "a", "b")
        self.expect(64, "", "vmlatch: too many words: .*\n", "list", "a")

    def test_a_result_that_cannot_be_written_is_71(self):
        for words in (["list"], ["list", "--watch"]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run([VMLATCH, *words], stdout=full, stderr=subprocess.PIPE, text=True,
                                      env=self.environment, check=False, timeout=DEADLINE)
            self.assertEqual((done.returncode, done.stderr),
                             (71, "vmlatch: the result could not be written\n"))


class Names(Verbs):
    def test_no_such_vm_is_66_and_tells_which_there_are(self):
        self.expect(66, "", "vmlatch: there is no VM 'x': no VM runs here\n", "status", "x")
        self.vm("web1")
        self.expect(66, "", "vmlatch: there is no VM 'x'; there is 'web1'\n", "status", "x")
        self.vm("web2")
        for verb in ("status", "pause", "resume", "stop", "inquire", "events"):
            self.expect(66, "", "vmlatch: there is no VM 'x\\*'; there are 'web1', 'web2'\n", verb, "x*")
        self.assertEqual(self.heard("web1"), [])

    def test_a_runtime_directory_that_is_not_there_has_no_vms(self):
        self.runtime.rmdir()
        self.expect(66, "", "vmlatch: there is no VM 'x': no VM runs here\n", "stop", "x")
        self.expect(0, "NAME .*\n", "", "list")
        self.assertFalse(self.runtime.exists(), "looking makes nothing")
        self.runtime.mkdir()

    def test_a_runtime_directory_of_others_is_refused(self):
        self.runtime.chmod(0o777)
        self.expect(73, "", "vmlatch: directory .*/run can be written by others: .*\n", "list")

    def test_each_vm_by_itself_and_the_first_failure_counts(self):
        self.vm("a", errors={"vmlatch-acquire": ["VmlatchBusy", "disk a is in use"]})
        self.vm("b", errors={"cont": ["GenericError", "no"]})
        self.vm("c")
        self.expect(75, "", "vmlatch: a: disk a is in use\nvmlatch: b: no\n", "resume", "a", "b", "c")
        self.assertIn(("cont", {}), self.heard("c"))
        self.expect(69, "", "vmlatch: b: no\nvmlatch: a: disk a is in use\n", "resume", "b", "[ac]")


class Listing(Verbs):
    def test_list_is_an_aligned_table(self):
        pid = self.vm("web1")
        paused = {"run-state": "paused", "lock-state": "released", "cause": "user",
                  "cause-since": 1700000000}
        other = self.vm("a-longer-name", state=paused)
        result = self.vmlatch("list")
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "STATE", "LOCKS", "PID", "SINCE", "CAUSE"])
        self.assertEqual(lines[1].split(), ["a-longer-name", "paused", "released", str(other),
                                            "2023-11-14", "22:13", "user"])
        self.assertEqual(lines[2].split(), ["web1", "running", "held", str(pid),
                                            "2020-09-13", "12:26", "-"])
        self.assertEqual({line.index(word) for line, word in
                          zip(lines, ("LOCKS", "released", "held"))}, {lines[0].index("LOCKS")})

    def test_list_shows_who_starts_is_unsupervised_or_gone(self):
        self.vm("starting", no_state=True)
        self.vm("orphan", supervised=False)
        self.vm("dead", supervised=False, qemu_lives=False)
        lines = self.vmlatch("list").stdout.splitlines()[1:]
        self.assertEqual([line.split()[:3] for line in lines],
                         [["dead", "gone", "-"], ["orphan", "unsupervised", "held"],
                          ["starting", "unknown", "-"]])

    def test_what_a_dead_supervisor_left_and_nobody_understands_is_not_called_gone(self):
        self.vm("orphan", supervised=False)
        (self.runtime / "orphan" / "state.json").write_text('{"version": 99}')
        self.assertEqual(self.vmlatch("list").stdout.splitlines()[1].split()[:2], ["orphan", "unknown"])
        self.expect(4, r"orphan: unknown \(.*state.json.*\)\n", "", "status", "orphan")
        for verb in ("stop", "pause", "resume"):
            self.expect(69, "", r"vmlatch: orphan: its supervisor died, and whether QEMU runs on is not "
                        r"known: .*state.json.*\n", verb, "orphan")

    def test_json_is_an_array_of_states(self):
        self.assertEqual(json.loads(self.vmlatch("list", "--json").stdout), [])
        self.vm("web1")
        self.vm("web2", no_state=True)
        for words in (["list"], ["status", "web*"]):
            vms = json.loads(self.vmlatch(*words, "--json").stdout)
            self.assertEqual([vm["name"] for vm in vms], ["web1", "web2"])
            self.assertEqual(vms[0]["run-state"], "running")
            self.assertEqual([vm["presence"] for vm in vms], ["supervised"] * 2)
            self.assertEqual(vms[1]["problem"], "it is just starting")


class Crowd(Verbs):
    def test_of_a_thousand_vms_each_is_told_with_few_descriptors(self):
        self.vm("web1")
        state = json.loads((self.runtime / "web1" / "state.json").read_text())
        for number in range(1000):
            place = self.runtime / f"vm{number}"
            place.mkdir(mode=0o700)
            (place / "state.json").write_text(json.dumps(dict(state, name=place.name)))
            (place / "lock").touch(mode=0o600)

        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

        self.expect(0, r"NAME .*\n(vm\d+ +unsupervised +held .*\n){1000}web1 +running +held .*\n", "", "list",
                    preexec_fn=few)
        listed = json.loads(self.vmlatch("list", "--json", preexec_fn=few).stdout)
        self.assertEqual(len({vm["name"] for vm in listed}), 1001)


class Watch(Verbs):
    def watch(self, *words):
        process = subprocess.Popen([VMLATCH, "list", "--watch", *words], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env=self.environment)
        self.processes.append(process)
        return process

    def wait_for_line(self, watcher, pattern):
        """Read until a line is like that; a watcher that never prints it is ended by the deadline."""
        timer = threading.Timer(DEADLINE, watcher.kill)
        timer.start()
        seen = []
        for line in watcher.stdout:
            seen.append(line)
            if re.match(pattern, line):
                timer.cancel()
                return
        self.fail(f"no line {pattern!r} in {seen}")

    def test_prints_the_list_anew_with_each_change(self):
        watcher = self.watch()
        self.wait_for_line(watcher, "NAME ")
        qemu = self.vm("web1")
        supervisor = self.processes[-1]
        self.wait_for_line(watcher, r"web1 +running +held")
        state = self.runtime / "web1/state.json"
        changed = self.runtime / "web1/.state.json.new"
        changed.write_text(json.dumps({**json.loads(state.read_text()), "run-state": "paused"}))
        changed.rename(state)
        self.wait_for_line(watcher, r"web1 +paused +held")
        supervisor.kill()
        self.wait_for_line(watcher, r"web1 +unsupervised +held")
        os.kill(qemu, signal.SIGKILL)
        self.wait_for_line(watcher, r"web1 +gone")
        shutil.rmtree(self.runtime / "web1")
        self.wait_for_line(watcher, "NAME  STATE  ")
        self.assertIsNone(watcher.poll())

    def test_waits_for_a_runtime_directory_that_is_not_there(self):
        self.runtime.rmdir()
        watcher = self.watch()
        self.wait_for_line(watcher, "NAME ")
        self.runtime.mkdir(mode=0o700)
        self.vm("web1")
        self.wait_for_line(watcher, r"web1 +running")

    def test_as_json_is_an_array_each_time(self):
        watcher = self.watch("--json")
        self.wait_for_line(watcher, r"\[\]$")
        self.vm("web1")
        self.wait_for_line(watcher, r'\{"version":.*"name": ?"web1"')
        self.wait_for_line(watcher, r"\]$")

    def test_of_a_directory_of_others_is_refused(self):
        self.runtime.chmod(0o777)
        self.expect(73, "", "vmlatch: directory .*/run can be written by others: .*\n", "list", "--watch")


class Status(Verbs):
    DISK = {"kind": "disk", "mode": "exclusive", "id": "1:2", "path": "/srv/a\x1b.img",
            "origin": "-drive file=a"}

    def test_a_running_vm_is_0_with_all_that_is_known(self):
        pid = self.vm(state={"resources": [self.DISK], "pinned": ["-monitor stdio"]})
        self.expect(0, "web1: running, locks held\n"
                       "  pinned      -monitor stdio\n"
                       f"  QEMU        pid {pid}\n"
                       "  supervisor  pid \\d+\n"
                       "  started     2020-09-13 12:26\n"
                       "  driver      file\n"
                       "  disk        exclusive /srv/a\\\\x1b.img \\(-drive file=a\\)\n", "", "status", "web1")

    def test_a_paused_vm_is_3_with_cause_and_remedy(self):
        self.vm(state={"run-state": "io-error", "lock-state": "held", "cause": "io-error",
                       "cause-since": 1700000000, "cause-detail": "ide0-hd1: full",
                       "remedy": "make room, then 'vmlatch resume web1'", "held-because": "a job"})
        self.expect(3, "web1: io-error, locks held\n"
                       "  paused by   io-error since 2023-11-14 22:13: ide0-hd1: full\n"
                       "  remedy      make room, then 'vmlatch resume web1'\n"
                       "  locks stay  a job\n(?s:.*)", "", "status", "web1")

    def test_a_frozen_vm_is_3_whatever_qemu_said_last(self):
        self.vm(state={"frozen": True, "run-state": "running", "lock-state": "released",
                       "cause": "lock-busy"})
        self.expect(3, "web1: frozen, locks released\n(?s:.*)", "", "status", "web1")
        self.expect(0, r"NAME .*\nweb1 +frozen +released .*\n", "", "list")

    def test_a_vm_that_nobody_watches_is_4(self):
        self.vm("orphan", supervised=False)
        self.expect(4, "orphan: unsupervised, locks held\n(?s:.*)its supervisor died(?s:.*)", "",
                    "status", "orphan")
        self.vm("starting", no_state=True)
        self.expect(4, "starting: unknown \\(it is just starting\\)\n", "", "status", "starting")
        self.vm("odd", state={"version": 9})
        self.expect(4, "odd: unknown \\(state.json: it has version 9.*\\)\n", "", "status", "odd")

    def test_a_vm_that_ended_is_3(self):
        self.vm("dead", supervised=False, qemu_lives=False,
                state={"remedy": "resume it", "held-because": "a job", "pinned": ["-monitor stdio"]})
        self.expect(3, "dead: not running\n  started (?s:.*)", "", "status", "dead")
        ended = json.loads((self.runtime / "dead" / "state.json").read_text())
        ended.update({"name": "old", "ended": True, "end-status": -9, "end-from-qemu": True,
                      "end-time": 1700000000})
        (self.runtime / "old.last.json").write_text(json.dumps(ended))
        self.expect(3, "old: not running\n  ended       2023-11-14 22:13, by signal 9\n(?s:.*)", "",
                    "status", "old")


class PauseAndResume(Verbs):
    def test_pause_stops_then_releases_and_says_nothing(self):
        self.vm()
        self.expect(0, "", "", "pause", "web1")
        self.assertEqual([command for command, _ in self.heard()], ["stop", "vmlatch-release"])

    def test_locks_that_stay_are_69_with_the_reason(self):
        self.vm(errors={"vmlatch-release": ["GenericError", "gdb"]})
        self.expect(69, "", "vmlatch: web1: the guest is stopped, its locks stay: gdb\n", "pause", "web1")

    def test_resume_acquires_before_cont_and_waits_until_it_runs(self):
        self.vm(running_after=2)
        self.expect(0, "", "", "resume", "web1")
        self.assertEqual(self.heard(), [("vmlatch-acquire", {"force-stale": False}), ("cont", {})]
                         + [("query-status", {})] * 3)

    def test_busy_and_stale_are_75_and_cont_is_never_sent(self):
        for kind in ("VmlatchBusy", "VmlatchStale"):
            self.vm(kind, errors={"vmlatch-acquire": [kind, "/a is in use by VM 'b'"]})
            self.expect(75, "", f"vmlatch: {kind}: /a is in use by VM 'b'\n", "resume", kind)
            self.assertEqual([command for command, _ in self.heard(kind)], ["vmlatch-acquire"])

    def test_other_refusals_are_69(self):
        self.vm("a", errors={"vmlatch-acquire": ["GenericError", "no locks here"]})
        self.expect(69, "", "vmlatch: a: no locks here\n", "resume", "a")
        self.vm("b", errors={"cont": ["GenericError", "Resetting the Virtual Machine is required"]})
        self.expect(69, "", "vmlatch: b: Resetting .*\n", "resume", "b")

    def test_force_stale_is_passed_on(self):
        self.vm()
        self.expect(0, "", "", "resume", "web1", "--force-stale")
        self.assertEqual(self.heard()[0], ("vmlatch-acquire", {"force-stale": True}))


class Unsupervised(Verbs):
    ACTING = (["pause"], ["resume"], ["stop"], ["inquire"], ["events"], ["attach"], ["detach"])

    def test_verbs_that_act_say_so_and_change_nothing(self):
        pid = self.vm(supervised=False)
        before = (self.runtime / "web1" / "state.json").read_text()
        for (verb,) in self.ACTING:
            more = ["disk", FAKE] if verb.endswith("tach") else []
            self.expect(69, "", rf"vmlatch: web1: its supervisor died; QEMU \(pid {pid}\) runs on and its "
                                r"disks stay locked; .*\n", verb, "web1", *more)
        self.assertEqual((self.runtime / "web1" / "state.json").read_text(), before)
        os.kill(pid, 0)

    def test_a_vm_that_does_not_run_is_69_but_stopped_for_stop(self):
        self.vm("dead", supervised=False, qemu_lives=False)
        self.expect(69, "", "vmlatch: dead: it is not running\n", "pause", "dead")
        self.expect(0, "", "", "stop", "dead")


class Stop(Verbs):
    def ended(self, pid):
        return not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text()

    def test_quit_comes_first(self):
        pid = self.vm()
        self.expect(0, "web1: stopped by quit\n", "", "stop", "web1")
        self.assertTrue(self.ended(pid))

    def test_sigterm_goes_to_the_supervisor_then(self):
        pid = self.vm(ignore=["quit"])
        self.expect(0, "web1: stopped by SIGTERM\n", "", "stop", "web1", "--timeout", "0.2")
        self.assertTrue(self.ended(pid))

    def test_sigkill_goes_to_qemu_last(self):
        pid = self.vm(ignore=["quit", "SIGTERM"])
        self.expect(0, "web1: stopped by SIGKILL\n", "", "stop", "--timeout=0.2", "web1")
        self.assertTrue(self.ended(pid))

    def test_a_supervisor_that_does_not_answer_is_passed_over(self):
        self.vm(silent=["quit"])
        self.expect(0, "web1: stopped by SIGTERM\n",
                    "vmlatch: web1: quit did not work: its supervisor does not answer in time\n",
                    "stop", "web1", "--timeout", "0.2")

    def test_a_refused_quit_is_told(self):
        self.vm(errors={"quit": ["GenericError", "not now"]})
        self.expect(0, "web1: stopped by SIGTERM\n", "vmlatch: web1: quit did not work: not now\n",
                    "stop", "web1")

    def test_it_waits_for_the_supervisors_end_too(self):
        self.vm(keeps=0.5)
        self.expect(0, "web1: stopped by quit\n", "", "stop", "web1", "--timeout", "20")
        self.vm("web2", keeps=30)
        self.expect(69, "", r"vmlatch: web2: QEMU has ended \(quit\), but its supervisor still waits.*\n",
                    "stop", "web2", "--timeout", "0.3")

    def test_a_supervisor_that_is_stopped_is_told_and_how_it_goes_on(self):
        self.vm()
        pid = self.processes[-1].pid
        os.kill(pid, signal.SIGSTOP)
        self.expect(69, "", "vmlatch: web1: quit did not work: its supervisor does not answer in time\n"
                    rf"vmlatch: web1: QEMU has ended \(SIGKILL\), but its supervisor \(pid {pid}\) does not "
                    rf"answer: it is stopped \(state T\), .*'kill -CONT {pid}' lets it go on and end\n",
                    "stop", "web1", "--timeout", "0.2")
        os.kill(pid, signal.SIGCONT)
        self.processes[-1].wait(DEADLINE)
        self.expect(0, "", "", "stop", "web1")

    def test_the_power_button_is_pressed_first_if_asked_for(self):
        self.vm()
        self.expect(0, "web1: stopped by quit\n", "", "stop", "web1", "--powerdown", "0.2")
        self.assertEqual([command for command, _ in self.heard()], ["system_powerdown", "quit"])

    def test_a_guest_that_cannot_see_its_power_button_is_not_waited_for(self):
        self.vm(errors={"system_powerdown": ["GenericError", "it does not run"]})
        before = time.monotonic()
        self.expect(0, "web1: stopped by quit\n", "vmlatch: web1: powerdown did not work: it does not run\n",
                    "stop", "web1", "--powerdown", "60")
        self.assertLess(time.monotonic() - before, 30)

    def test_a_pid_that_was_used_again_is_not_touched(self):
        pid = self.vm(supervised=True, ignore=["quit", "SIGTERM"],
                      state={"qemu": {"pid": os.getpid(), "start-time": 1}})
        self.expect(69, "", r"vmlatch: web1: QEMU has ended \(quit\).*\n", "stop", "web1", "--timeout", "0.2")
        os.kill(pid, 0)


class Disks(Verbs):
    def test_attach_and_detach_pass_an_absolute_path(self):
        self.vm()
        done = self.vmlatch("attach", "web1", "disk", FAKE.name, cwd=FAKE.parent)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.expect(0, "", "", "detach", "web1", "disk", "/gone")
        self.assertEqual(self.heard(), [
            ("vmlatch-attach", {"kind": "disk", "path": str(FAKE.parent / FAKE.name)}),
            ("vmlatch-detach", {"kind": "disk", "path": "/gone"})])

    def test_images_and_leases_are_passed_on_too(self):
        self.vm()
        self.expect(0, "", "", "attach", "web1", "image", FAKE, "--readonly")
        self.expect(0, "", "", "attach", "web1", "lease", "a:b:/c")
        self.expect(0, "", "", "detach", "web1", "lease", "a:b")
        self.assertEqual(self.heard(), [
            ("vmlatch-attach", {"kind": "image", "path": str(FAKE), "readonly": True}),
            ("vmlatch-attach", {"kind": "lease", "path": "a:b:/c"}),
            ("vmlatch-detach", {"kind": "lease", "path": "a:b"})])

    def test_a_disk_that_is_not_there_is_66(self):
        self.vm()
        self.expect(66, "", "vmlatch: /gone: No such file or directory\n", "attach", "web1", "disk", "/gone")
        self.assertEqual(self.heard(), [])

    def test_a_busy_disk_is_75(self):
        self.vm(errors={"vmlatch-attach": ["VmlatchBusy", "it is in use"]})
        self.expect(75, "", "vmlatch: web1: it is in use\n", "attach", "web1", "disk", FAKE)


class Inquire(Verbs):
    def test_it_is_one_line_of_json(self):
        self.vm()
        result = self.vmlatch("inquire", "web1")
        self.assertEqual((result.returncode, result.stderr, result.stdout.count("\n")), (0, "", 1))
        self.assertEqual(json.loads(result.stdout), {"lock-state": "held", "run-state": "running",
                                                     "driver": "file", "state": "a\nb"})


def event(name, seq, seconds):
    return {"event": name, "vmlatch-seq": seq, "timestamp": {"seconds": seconds, "microseconds": 0}}


class Events(Verbs):
    def lines(self, *words):
        result = self.vmlatch("events", *words)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result)
        return [(line["vm"], line["event"]) for line in map(json.loads, result.stdout.splitlines())]

    def test_the_past_is_printed_once_in_order(self):
        self.vm(ring=[event("A", 1, 1), event("B", 2, 2)], live=[event("B", 2, 2)])
        self.assertEqual(self.lines("web1"), [("web1", "A"), ("web1", "B")])
        self.assertEqual(self.lines("web1", "--since", "2"), [("web1", "B")])

    def test_several_vms_are_merged_by_time(self):
        self.vm("a", ring=[event("A1", 1, 1), event("A3", 2, 3)])
        self.vm("b", ring=[event("B2", 1, 2), event("B4", 2, 4)])
        merged = [("a", "A1"), ("b", "B2"), ("a", "A3"), ("b", "B4")]
        self.assertEqual(self.lines("a", "b"), merged)
        self.assertEqual(self.lines(), merged)

    def test_follow_goes_on_until_the_last_vm_has_ended(self):
        self.vm(ring=[event("A", 1, 1)], live=[event("B", 2, 2), event("C", 3, 3)], then_end=True)
        self.assertEqual(self.lines("web1", "--follow"), [("web1", "A"), ("web1", "B"), ("web1", "C")])

    def test_globs_pass_over_vms_that_do_not_run(self):
        self.vm("a", ring=[event("A", 1, 1)])
        self.vm("b", supervised=False, qemu_lives=False)
        self.assertEqual(self.lines("*"), [("a", "A")])
        self.expect(69, "", "vmlatch: b: it is not running\n", "events", "b")

    def test_a_sequence_is_a_number(self):
        self.expect(64, "", "vmlatch: --since needs a number, not 'x'\n", "events", "--since", "x")


class Who(Verbs):
    def disk(self, name="a.img"):
        path = self.dir / name
        path.write_bytes(b"\0" * 512)
        return path

    def state_with(self, path, **more):
        info = os.stat(path)
        return {"resources": [{"kind": "disk", "mode": "exclusive", "path": str(path),
                               "id": f"{info.st_dev}:{info.st_ino}"}], **more}

    def test_a_free_disk_is_0(self):
        path = self.disk()
        self.expect(0, f"{path}: free\n", "", "who", path)

    def lock(self, path, command):
        """Lock byte 0 for writing, by fcntl(@command), as long as the test lasts."""
        fd = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, fd)
        fcntl.fcntl(fd, command, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))

    def test_a_process_that_is_no_vm_is_named(self):
        path = self.disk()
        self.lock(path, fcntl.F_SETLK)
        self.expect(0, rf"{path}: exclusive, .*\(pid {os.getpid()}\)\n", "", "who", path)
        (found,) = json.loads(self.vmlatch("who", "--json", path).stdout)
        self.assertEqual((found["held"], found["mode"], found["holder"]["source"], found["holder"]["pid"]),
                         (True, "exclusive", "kernel", os.getpid()))

    def test_who_has_only_the_lock_file_is_found_in_its_lockspace(self):
        path, space = self.disk(), self.dir / "space"
        space.mkdir(mode=0o700)
        self.expect(0, f"{path}: free\n", "", "who", "--lockspace", space, path)
        lock_file = space / hashlib.sha256(str(path).encode()).hexdigest()
        lock_file.touch(0o600)
        self.lock(lock_file, fcntl.F_SETLK)
        self.expect(0, f"{path}: free\n", "", "who", path)
        held = rf"a.img: exclusive, .*\(pid {os.getpid()}\)\n"
        self.expect(0, f"{self.dir}/{held}", "", "who", "--lockspace", space, path)
        self.expect(0, held, "", "who", "--lockspace", "space", "a.img", cwd=self.dir)
        self.expect(69, "", "vmlatch: lockspace: .*/gone: No such file.*\n",
                    "who", "--lockspace", self.dir / "gone", path)

    def test_a_vm_of_this_host_is_found_by_its_state_file(self):
        path = self.disk()
        link = self.dir / "link.img"
        os.link(path, link)
        self.lock(path, F_OFD_SETLK)
        pid = self.vm(state=self.state_with(path))
        host = re.escape(os.uname().nodename)
        self.expect(0, rf"{link}: exclusive, VM 'web1' \(host {host}, pid {pid}, since 2020-09-13 12:26\)\n",
                    "", "who", link)
        (found,) = json.loads(self.vmlatch("who", "--json", link).stdout)
        self.assertEqual(found["holder"], {"source": "state", "vm": "web1", "host": os.uname().nodename,
                                           "pid": pid, "since": 1600000000})

    def test_a_vm_without_locks_is_not_taken_for_the_holder(self):
        path = self.disk()
        self.lock(path, fcntl.F_SETLK)
        self.vm(state=self.state_with(path, **{"lock-state": "released"}))
        self.expect(0, rf"{path}: exclusive, .*\(pid {os.getpid()}\)\n", "", "who", path)

    def test_a_vm_that_claims_what_nobody_holds_is_told(self):
        path = self.disk()
        self.vm(state=self.state_with(path))
        self.expect(0, f"{path}: free \\(VM 'web1' says that it holds it, but does not\\)\n", "", "who", path)

    def test_a_missing_path_is_66_and_the_others_are_told(self):
        path = self.disk()
        self.expect(66, f"{path}: free\n", "vmlatch: .*/gone.*\n", "who", self.dir / "gone", path)

    def test_a_vm_that_has_given_its_locks_back_is_named(self):
        path = self.disk()
        self.vm(state=self.state_with(path, **{"lock-state": "released"}))
        self.expect(0, f"{path}: free \\(VM 'web1' uses it, and holds no locks now\\)\n", "", "who", path)
        found = json.loads(self.vmlatch("who", "--json", path).stdout)
        self.assertEqual([(one["path"], one["held"], one["used-by"]) for one in found],
                         [(str(path), False, "web1")])


if __name__ == "__main__":
    unittest.main(verbosity=1)
