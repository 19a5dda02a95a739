# SPDX-License-Identifier: LGPL-2.1-or-later
"""vmlatch@.service under a real systemd, which tests/tools/systemd-in-ns.sh starts in namespaces.

Meson sets UNIT and SYSUSERS, what is installed for systemd, and SYSTEMD_IN_NS. As a program this file
first starts that systemd, and itself in there once more: what it does to /etc, /run and the units is
gone with it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

import procfs
from deadline import wait_for
from vmtest import GUESTS, OTHERS_FILES, QEMU, VMLATCH, VmTest, main, missing

INSIDE = "VMLATCH_TEST_INSIDE"
UNIT = Path(os.environ.get("UNIT", "vmlatch@.service"))
SYSUSERS = Path(os.environ.get("SYSUSERS", "vmlatch.sysusers"))
ETC = Path("/etc/vmlatch/vm")
DROP_INS = Path("/etc/systemd/system")
FAST = "RestartSec=50ms"


def run(*words, check=True):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=100, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, words))}: {done}")
    return done


class Service:
    def __init__(self, test, name):
        self.test, self.name, self.unit = test, name, f"vmlatch@{name}"

    def configure(self, *lines):
        """As 'systemctl edit' does."""
        directory = DROP_INS / f"{self.unit}.service.d"
        directory.mkdir(parents=True)
        (directory / "test.conf").write_text("[Service]\n" + "\n".join(lines) + "\n")
        run("systemctl", "daemon-reload")
        return self

    def show(self, *names):
        text = run("systemctl", "show", *[f"--property={name}" for name in names], self.unit).stdout
        values = dict(line.split("=", 1) for line in text.splitlines())
        return [values[name] for name in names]

    def start(self):
        run("systemctl", "start", self.unit)
        return self

    def stop(self):
        run("systemctl", "stop", self.unit)

    def wait(self, **states):
        """Until systemd says so."""
        def reached():
            return self.show(*states) == [str(value) for value in states.values()]
        wait_for(lambda: f"{states}, but {self.show(*states)}\n{self.journal()}", reached)
        return self

    def journal(self, *options):
        """Of this test's time."""
        run("journalctl", "--sync")
        return run("journalctl", "--quiet", "--no-pager", "--output=cat", f"--unit={self.unit}",
                   f"--since=@{self.test.began:.6f}", *options).stdout

    def status(self):
        return self.test.status(self.name)

    @property
    def qemu(self):
        return self.status()["qemu"]["pid"]


class SystemdTest(VmTest):
    @classmethod
    def setUpClass(cls):
        text = UNIT.read_text(encoding="utf-8")
        program = Path(re.search(r"^ExecStart=(\S+)", text, re.MULTILINE).group(1))
        if not Path("/run/sdns").exists():
            raise AssertionError("this is not the systemd of a test")
        program.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(VMLATCH, program)
        shutil.copy(UNIT, DROP_INS)
        run("systemd-sysusers", SYSUSERS)
        run("systemctl", "daemon-reload")
        ETC.mkdir(parents=True, exist_ok=True)

    def setUp(self):
        super().setUp()
        self.dir.chmod(0o755)
        self.runtime = Path("/run/vmlatch")
        for name in ("VMLATCH_RUNTIME_DIR", "VMLATCH_CONFIG_DIR"):
            self.environment.pop(name)
        self.began = time.time()
        self.services = []
        self.addCleanup(self._end_services)

    def _end_services(self):
        for service in self.services:
            run("systemctl", "kill", "--signal=SIGKILL", service.unit, check=False)
            run("systemctl", "stop", service.unit, check=False)
            run("systemctl", "reset-failed", service.unit, check=False)
            shutil.rmtree(DROP_INS / f"{service.unit}.service.d", ignore_errors=True)
        for file in ETC.iterdir():
            file.unlink()
        shutil.rmtree(self.runtime, ignore_errors=True)
        run("systemctl", "daemon-reload")

    def service(self, name, guest="halt", *more, disk=None, options=""):
        """Its args file, and with options its conf file."""
        path = disk or self.guest(guest, f"{name}.img")
        shutil.chown(path, "vmlatch", "vmlatch")
        words = [shutil.which(QEMU), "-nodefaults", "-display", "none", "-accel", "tcg", "-machine", "pc",
                 "-m", "32", *self.drive(path), *more]
        (ETC / f"{name}.args").write_text("# a test\n" + "\n".join(words) + "\n")
        if options:
            (ETC / f"{name}.conf").write_text(options)
        service = Service(self, name)
        service.disk = path
        self.services.append(service)
        return service

    def started(self, *words, **more):
        return self.service(*words, **more).start()


class Start(SystemdTest):
    def test_is_over_when_the_guest_runs_under_its_locks(self):
        service = self.started("web1")
        status = service.status()
        self.assertEqual((status["run_state"], status["lock_state"]), ("running", "held"))
        self.assert_held(service.disk)
        self.assertEqual(service.show("ActiveState", "StatusText", "MainPID", "NRestarts"),
                         ["active", "running, locks held", str(status["supervisor"]["pid"]), "0"])
        self.assertIn("web1", self.does("list"))

    def test_gives_qemu_its_own_user_and_no_socket_of_the_managers(self):
        service = self.started("web1")
        user = int(run("id", "-u", "vmlatch").stdout)
        owner = os.stat(f"/proc/{service.qemu}").st_uid
        self.assertEqual((owner, user > 0), (user, True))
        environment = Path(f"/proc/{service.qemu}/environ").read_bytes()
        self.assertNotIn(b"NOTIFY_SOCKET", environment)
        self.assertNotIn(b"JOURNAL_STREAM", environment, "it is not the stream that QEMU has")

    def test_of_a_disk_in_use_fails_with_75_once_and_says_who_has_it(self):
        web1 = self.started("web1")
        web2 = self.service("web2", disk=web1.disk).configure(FAST)
        failed = run("systemctl", "start", web2.unit, check=False)
        self.assertNotEqual(failed.returncode, 0)
        web2.wait(ActiveState="failed", ExecMainStatus=75, Result="exit-code", NRestarts=0)
        self.assertRegex(web2.show("StatusText")[0], rf"^not started: {web1.disk} is in use by VM 'web1'")
        errors = web2.journal("--priority=err")
        self.assert_says(f"vmlatch: web2: {web1.disk} is in use by VM 'web1'", errors)
        self.assertNotRegex(errors, "<[0-9]>")
        self.assertEqual(errors.count("is in use by"), 1, "it was tried once")
        self.assertEqual(web1.show("ActiveState"), ["active"])

    def test_of_a_disk_that_qemus_user_may_not_open_names_him(self):
        service = self.service("web1").configure(FAST)
        os.chown(service.disk, 0, 0)
        service.disk.chmod(0o600)
        self.assertNotEqual(run("systemctl", "start", service.unit, check=False).returncode, 0)
        service.wait(ActiveState="failed", ExecMainStatus=77, NRestarts=0)
        self.assert_says(f"open {service.disk}.*: Permission denied", service.journal("--priority=err"))
        self.assert_says("with the rights of the user 'vmlatch'", service.journal("--priority=err"))

    def test_of_a_vm_without_its_file_fails_with_66(self):
        service = self.service("web1").configure(FAST)
        (ETC / "web1.args").unlink()
        self.assertNotEqual(run("systemctl", "start", service.unit, check=False).returncode, 0)
        service.wait(ActiveState="failed", ExecMainStatus=66, NRestarts=0)
        self.assert_says("no QEMU was given, and there is no /etc/vmlatch/vm/web1.args", service.journal())
        self.assertRegex(service.show("StatusText")[0], "^not started: no QEMU was given, and there is no ")

    def test_in_place_names_qemu_as_the_main_process(self):
        service = self.service("web1", options="in-place = yes\n").configure("NotifyAccess=all").start()
        self.assertEqual(service.show("MainPID"), [str(service.qemu)])


class Running(SystemdTest):
    def test_shows_in_words_how_it_is(self):
        service = self.started("web1")
        self.does("pause", "web1")
        service.wait(StatusText="paused, locks released (user); 'vmlatch resume' lets it go on")
        self.assertEqual(service.show("ActiveState"), ["active"])
        self.does("resume", "web1")
        service.wait(StatusText="running, locks held")

    def test_has_its_lines_in_the_journal_by_priority(self):
        service = self.started("web1", options="release-on = none\n")
        notices = service.journal("--priority=5..5")
        self.assert_says("vmlatch: web1: its locks stay until QEMU's end", notices)
        self.assertEqual(service.journal("--priority=err"), "")

    def test_has_what_its_guest_says_as_text(self):
        service = self.started("web1", "alarm", "-serial", "stdio", options="release-on = none\n")
        wait_for(lambda: service.journal(), lambda: "of the guest" in service.journal())
        lines = [json.loads(line) for line in service.journal("--output=json").splitlines()]
        (line,) = [line for line in lines if "of the guest" in line["MESSAGE"]]
        own = next(line for line in lines if line["MESSAGE"].startswith("vmlatch: "))
        names = ("_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY", "_TRANSPORT", "_COMM", "_PID", "PRIORITY")
        self.assertEqual([line.get(name) for name in names],
                         [*(own.get(name) for name in names[:4]), "qemu-system-x86", str(service.qemu), "6"])
        self.assertEqual((line["MESSAGE"], own["PRIORITY"]), ("<0>of the guest", "5"))
        self.assertEqual(line["_SYSTEMD_UNIT"], "vmlatch@web1.service")

    def test_has_the_last_words_of_a_qemu_that_has_gone_by_then(self):
        service = self.service("web1", "halt", "-no-such-option").configure("Restart=no")
        run("systemctl", "kill", "--signal=SIGSTOP", "systemd-journald.service")
        try:
            run("systemctl", "start", service.unit, check=False)
            service.wait(ActiveState="failed")
        finally:
            run("systemctl", "kill", "--signal=SIGCONT", "systemd-journald.service")
        self.assert_says("-no-such-option: invalid option", service.journal("--priority=6..6"))

    def test_feeds_a_watchdog(self):
        service = self.service("web1").configure("WatchdogSec=6").start()
        fed = service.show("WatchdogTimestampMonotonic")
        wait_for("it is not fed", lambda: service.show("WatchdogTimestampMonotonic") != fed)
        self.assertEqual(service.show("ActiveState", "NRestarts"), ["active", "0"])

    def test_vms_are_each_by_itself(self):
        web1, web2 = self.started("web1"), self.started("web2")
        self.assertNotEqual(web1.qemu, web2.qemu)
        web1.configure("ExecStop=").stop()
        self.assertEqual(web2.show("ActiveState", "StatusText"), ["active", "running, locks held"])
        self.assert_held(web2.disk)
        self.assertEqual([vm["name"] for vm in self.json("list") if vm["presence"] == "supervised"], ["web2"])


class Stop(SystemdTest):
    def test_shuts_a_guest_down(self):
        serial = self.dir / "serial"
        serial.touch()
        shutil.chown(serial, "vmlatch")
        service = self.started("web1", "powerbutton", "-serial", f"file:{serial}")
        wait_for("the guest does not heed it", serial.read_bytes)
        service.stop()
        self.assertEqual(service.show("ActiveState", "Result", "NRestarts"), ["inactive", "success", "0"])
        self.assert_says("web1: stopped by powerdown", service.journal())
        self.assert_free(service.disk)

    def test_ends_a_guest_that_does_not_heed_it(self):
        service = self.service("web1")
        stop = re.search(r"^ExecStop=(.*) 90 ", UNIT.read_text(encoding="utf-8"), re.MULTILINE).group(1)
        service.configure("ExecStop=", f"ExecStop={stop} 0.5 %i").start().stop()
        self.assertEqual(service.show("ActiveState", "Result"), ["inactive", "success"])
        self.assert_says("web1: stopped by quit", service.journal())

    def test_of_a_name_that_looks_like_an_option(self):
        service = self.service("-web1")
        stop = re.search(r"^ExecStop=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE).group(1)
        service.configure("ExecStop=", f"ExecStop={stop.replace(' 90 ', ' 0.5 ')}").start().stop()
        self.assertEqual(service.show("ActiveState", "Result"), ["inactive", "success"])
        self.assert_says("-web1: stopped by quit", service.journal())

    def test_of_a_paused_vm_does_not_wait_for_its_guest(self):
        service = self.started("web1")
        self.does("pause", "web1")
        service.stop()
        self.assertEqual(service.show("ActiveState", "Result"), ["inactive", "success"])

    def test_without_the_verb_is_sigterm_to_the_supervisor(self):
        service = self.service("web1").configure("ExecStop=").start()
        supervisor = service.status()["supervisor"]["pid"]
        service.stop()
        self.assertEqual(service.show("ActiveState", "Result"), ["inactive", "success"])
        self.assert_says(rf"terminating on signal 15 from pid {supervisor} ", service.journal())
        self.assertFalse((self.runtime / "web1").exists(), "the supervisor has cleaned up")

    def test_by_the_guest_itself_is_no_failure_and_no_restart(self):
        service = self.started("web1", "poweroff_acpi")
        service.wait(ActiveState="inactive", Result="success", NRestarts=0)


class Crash(SystemdTest):
    def restarted(self, service, before):
        service.wait(NRestarts=1, ActiveState="active", StatusText="running, locks held")
        self.assertNotEqual(service.qemu, before)
        self.assert_held(service.disk)

    def test_of_qemu_is_a_new_start(self):
        service = self.service("web1").configure(FAST).start()
        qemu = service.qemu
        os.kill(qemu, signal.SIGSEGV)
        self.restarted(service, qemu)
        self.assert_says("Main process exited, code=killed, status=11/SEGV", service.journal())

    def test_of_the_supervisor_takes_qemu_with_it(self):
        service = self.service("web1").configure(FAST).start()
        qemu = service.qemu
        os.kill(service.status()["supervisor"]["pid"], signal.SIGKILL)
        wait_for("QEMU lives on without a supervisor", lambda: not procfs.alive(qemu))
        self.restarted(service, qemu)

    def test_by_a_lost_lock_is_76_and_a_new_start(self):
        lockspace = self.dir / "locks"
        lockspace.mkdir(0o700)
        service = self.service("web1", options=f"lockspace = {lockspace}\non-lock-failure = poweroff\n")
        service.configure(FAST).start()
        qemu = service.qemu
        for file in lockspace.iterdir():
            file.unlink()
        self.restarted(service, qemu)
        self.assert_says("status=76", service.journal())

    def test_is_no_new_start_while_somebody_else_has_the_disk(self):
        service = self.service("web1").configure("RestartSec=1").start()
        os.kill(service.qemu, signal.SIGKILL)
        service.wait(SubState="auto-restart")
        other = self.running("other", *self.drive(service.disk), options=OTHERS_FILES)
        service.wait(ActiveState="failed", ExecMainStatus=75)
        self.assertTrue(other.is_alive())
        self.assert_held(service.disk)


class Hardening(SystemdTest):
    def test_leaves_a_vm_its_devices_and_io_uring(self):
        image = self.guest("halt", "second.img")
        shutil.chown(image, "vmlatch", "vmlatch")
        service = self.service("web1", "halt", "-drive", f"file={image},format=raw,aio=io_uring,cache.direct=on",
                               "-device", "virtio-rng-pci")
        service.start()
        self.assertEqual(service.status()["run_state"], "running", service.journal())
        self.assertIn("[io_uring]", " ".join(procfs.fds(service.qemu).values()))

    def test_shows_the_files_of_the_system_for_reading(self):
        service = self.started("web1")
        mounts = [line.split() for line in Path(f"/proc/{service.qemu}/mountinfo").read_text().splitlines()]
        options = {mount[4]: mount[5].split(",")[0] for mount in mounts}
        self.assertEqual([options.get(path) for path in ("/usr", "/etc", "/sys", "/proc/sys")], ["ro"] * 4)
        self.assertNotIn("/home", options)

    def test_keeps_a_capability_that_both_files_name(self):
        service = self.service("web1", options="keep-capability = net_raw\n")
        self.assertNotEqual(run("systemctl", "start", service.unit, check=False).returncode, 0)
        service.wait(ActiveState="failed", ExecMainStatus=77)
        self.assert_says("vmlatch does not have net_raw itself", service.journal())
        service.configure("CapabilityBoundingSet=CAP_NET_RAW").start()
        status = Path(f"/proc/{service.qemu}/status").read_text(encoding="ascii")
        self.assertIn(f"CapEff:\t{1 << 13:016x}\n", status)


class Unit(SystemdTest):
    def test_gives_up_a_qemu_that_never_gets_far(self):
        text = UNIT.read_text(encoding="utf-8")
        interval, burst, pause = (int(re.search(rf"^{key}=(\d+)$", text, re.MULTILINE).group(1))
                                  for key in ("StartLimitIntervalSec", "StartLimitBurst", "RestartSec"))
        self.assertLess(burst * (pause + 1), interval, "with a second for each start")
        service = self.service("web1", "halt", "-no-such-option").configure(FAST)
        run("systemctl", "start", service.unit, check=False)
        service.wait(ActiveState="failed", Result="exit-code", ExecMainStatus=1, NRestarts=burst)

    def test_has_nothing_that_systemd_does_not_understand(self):
        done = run("systemd-analyze", "verify", "--man=no", "vmlatch@web1.service", check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))


def outside():
    """Start that systemd, and this file in it."""
    if os.geteuid() != 0:
        missing("root")
    if not Path("/lib/systemd/systemd").exists():
        missing("systemd")
    here = Path(__file__).resolve().parent
    shown = {str(here), str(Path(VMLATCH).resolve()), str(GUESTS.resolve()), str(UNIT.resolve()),
             str(SYSUSERS.resolve())}
    command = [os.environ["SYSTEMD_IN_NS"]]
    for path in sorted(shown):
        command += ["-r", path]
    command += ["--", sys.executable, __file__, *sys.argv[1:]]
    return subprocess.run(command, env=dict(os.environ, **{INSIDE: "1"}), check=False).returncode


if __name__ == "__main__":
    if os.environ.get(INSIDE):
        main()
    try:
        sys.exit(outside())
    except unittest.SkipTest as reason:
        print(reason)
        sys.exit(77)
