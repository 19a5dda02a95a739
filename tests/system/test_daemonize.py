# SPDX-License-Identifier: LGPL-2.1-or-later
"""-daemonize: the command returns when the VM runs, or has failed, and the VM is whom QEMU leaves behind."""

import os
import signal
import subprocess

import procfs
from deadline import wait_for
from in_place import Daemon, DropInTest
from qmp import Qmp
from vmtest import MACHINE, QEMU, main


class Daemonized(DropInTest):
    def daemon(self, name, *words, **more):
        """Returns when the command has."""
        pidfile = self.dir / f"{name}.pid"
        result = self.call(*MACHINE, "-name", name, "-pidfile", pidfile, *words, "-daemonize", **more)
        self.assertEqual(result, (0, "", ""))
        daemon = Daemon(self, name, pidfile)
        self.addCleanup(self.end, daemon)
        return daemon

    def end(self, daemon):
        if procfs.alive(daemon.pid):
            self.kill(daemon.pid)
        daemon.wait_gone()

    def test_it_runs_under_locks_when_the_command_returns(self):
        disk = self.guest("writer", writer="me")
        daemon = self.daemon("web", *self.drive(disk))
        self.assertEqual(procfs.exe(daemon.pid), procfs.exe_of(QEMU))
        self.assert_held(disk)
        daemon.wait_state("running", "held")
        self.wait_writing(disk)
        result = self.call(*MACHINE, *self.drive(disk))
        self.assertEqual(result.status, 75)
        self.assert_in_use(result.err, disk, daemon)
        self.assertEqual(os.readlink(f"/proc/{daemon.pid}/cwd"), "/")
        self.assertEqual({procfs.fds(daemon.pid)[fd] for fd in (0, 1, 2)}, {"/dev/null"})

    def test_its_record_names_the_daemon(self):
        disk = self.guest("halt")
        daemon = self.daemon("web", *self.drive(disk))
        text = os.getxattr(disk, "user.vmlatch").decode()
        wait_for(f"the record names another process: {text}",
                 lambda: f"pid={daemon.pid} " in os.getxattr(disk, "user.vmlatch").decode())

    def test_it_pauses_resumes_and_stops(self):
        disk = self.guest("writer", writer="me")
        daemon = self.daemon("web", *self.drive(disk))
        daemon.wait_state("running", "held")
        self.does("pause", "web")
        self.assert_free(disk)
        self.does("resume", "web")
        self.wait_writing(disk)
        self.does("stop", "web")
        wait_for("it lives on", lambda: not procfs.alive(daemon.pid))
        self.wait_free(disk)

    def test_its_death_frees_the_disk_and_it_can_be_started_again(self):
        disk = self.guest("halt")
        for _ in range(5):
            daemon = self.daemon("web", *self.drive(disk))
            self.kill(daemon.pid)

    def test_relative_names_pin_it_and_are_found(self):
        self.guest("halt", "a.img")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "a.img",
                        "top.qcow2"], cwd=self.dir, check=True)
        self.images.append(self.dir / "top.qcow2")
        daemon = self.daemon("web", *self.drive("top.qcow2", form="qcow2"), cwd=self.dir)
        daemon.wait_state("running", "held")
        self.assert_says("-daemonize.*current directory", daemon.status()["pinned"][0])
        self.assertNotIn("descriptors", daemon.err)
        self.vmlatch("pause", "web")
        self.assert_held(self.dir / "top.qcow2")
        self.does("resume", "web")

    def test_its_umask_is_the_callers(self):
        umask = os.umask(0o027)
        try:
            self.daemon("web", *self.drive(self.guest("halt")),
                        "-qmp", f"unix:{self.dir}/q.sock,server=on,wait=off")
        finally:
            os.umask(umask)
        self.assertEqual((self.dir / "q.sock").stat().st_mode & 0o777, 0o750)

    def test_a_failing_start_is_qemus_own(self):
        for words in (["-device", "no-such-device"], ["-hda", "missing.raw"],
                      ["-serial", "stdio"], ["-monitor", "stdio"], ["-pidfile", f"{self.dir}/no/such/pid"]):
            with self.subTest(words):
                call = self.call(*MACHINE, *words, "-daemonize")
                self.assertEqual(call, self.bare(*MACHINE, *words, "-daemonize"))
                self.assertEqual(call.status, 1)
        self.wait_nobody()
        self.assertEqual(self._left_in_runtime(), [])

    def behind_the_name(self, text):
        """This script is what vmlatch takes for QEMU."""
        self.script("behind", text)
        (self.dir / "links").mkdir()
        self.link(self.dir / "links" / self.NAME, self.dir / "behind")
        self.use_path(self.links, self.dir / "links", "/usr/bin", "/bin")

    def test_it_has_not_started_where_it_has_somebodys_disk_open(self):
        disk, boot = self.disk("disk"), self.guest("writer", writer="me")
        holder = self.running("holder", "-drive", f"file={disk},format=raw,if=virtio,file.locking=off")
        self.behind_the_name(f'exec {QEMU} "$@" -drive file={disk},format=raw,if=virtio,file.locking=off')
        for round_number in range(5):
            result = self.call(*MACHINE, "-name", f"late{round_number}", *self.drive(boot), "-daemonize")
            self.assertEqual(result.status, 75, result)
            self.assert_in_use(result.err, disk, holder)
        self.assertEqual(self.counter(boot)[1], 0, "the guest has run")
        self.wait_free(boot)

    def test_it_has_not_started_where_it_ends_before_its_guest_runs(self):
        # the daemon's end, behind that of its parent
        boot, pidfile = self.guest("halt"), self.dir / "pidfile"
        self.behind_the_name(f'{QEMU} "$@" -pidfile {pidfile} && kill -STOP $(cat {pidfile})\n'
                             f'kill -KILL $(cat {pidfile})')
        for round_number in range(5):
            result = self.call(*MACHINE, "-name", f"dead{round_number}", *self.drive(boot), "-daemonize")
            self.assertIn(result.status, (0, 70), result)  # 0: it was faster
            if result.status:
                self.assert_says("QEMU has ended before its guest could run", result.err)
            self.wait_free(boot)

    def test_its_supervisors_death_is_no_start(self):
        boot = self.guest("halt")
        os.mkfifo(self.dir / "never")
        self.behind_the_name(f"setsid sh -c 'read nothing <{self.dir}/never' left \"$@\" </dev/null & exit 0")
        vm = self.start("web", *self.drive(boot), "-daemonize")
        wait_for("it is not admitted", lambda: self.status("web").get("lock_state") == "held")
        wait_for("nobody is left", lambda: [pid for pid in procfs.with_environment(str(self.runtime))
                                            if "left" in procfs.argv(pid)])
        self.left_behind.add("web")
        self.kill(self.status("web")["supervisor"]["pid"])
        self.assertEqual(vm.wait_end(), 70, vm.err)
        self.assert_says("its supervisor has died", vm.err)
        self.wait_free(boot)

    def test_a_start_that_is_refused_or_killed_leaves_no_supervisor(self):
        disk = self.guest("halt")
        holder = self.running("web", *self.drive(disk))
        result = self.call(*MACHINE, "-name", "second", *self.drive(disk), "-daemonize")
        self.assertEqual(result.status, 75)
        self.assert_in_use(result.err, disk, holder)
        (self.config / "vmlatch.conf").write_text("wait = 60\n")
        waiting = self.start("second", *self.drive(disk), "-daemonize")
        wait_for("it has no supervisor", lambda: (self.runtime / "second" / "state.json").exists())
        waiting.signal(signal.SIGKILL)
        self.assertEqual(waiting.wait_end(), -signal.SIGKILL)
        wait_for("a supervisor stays", lambda: self.supervisors() == [holder.supervisor])
        self.assertFalse((self.runtime / "second").exists())

    def test_it_is_stopped_by_its_pid_file(self):
        disk = self.guest("halt")
        daemon = self.daemon("web", *self.drive(disk))
        os.kill(daemon.pid, signal.SIGTERM)
        wait_for("it lives on", lambda: not procfs.alive(daemon.pid))
        daemon.wait_gone()
        self.assert_free(disk)
        self.assertEqual(self.status("web")["end_status"], 0)

    def test_a_supervisor_that_dies_leaves_it_locked(self):
        disk = self.guest("halt")
        daemon = self.daemon("web", *self.drive(disk))
        self.kill(daemon.supervisor)
        self.assertEqual(self.call(*MACHINE, *self.drive(disk)).status, 75)
        self.left_behind.add("web")

    def test_run_returns_with_qemu(self):
        disk = self.guest("halt")
        pidfile = self.dir / "pid"
        self.does("run", "--name", "web", "--", QEMU, *MACHINE, *self.drive(disk), "-pidfile",
                  pidfile, "-daemonize")
        daemon = Daemon(self, "web", pidfile)
        self.addCleanup(self.end, daemon)
        daemon.wait_state("running", "held")
        self.assert_says("'web' is already running", self.fails(
            75, "run", "--name", "web", "--", QEMU, *MACHINE, "-daemonize"))

    def test_libvirts_probe(self):
        # src/qemu/qemu_process.c, qemuProcessQMPLaunch(): the capabilities of a binary
        socket, pidfile = self.dir / "probe.sock", self.dir / "probe.pid"
        result = self.call("-S", "-no-user-config", "-nodefaults", "-nographic", "-machine",
                           "none,accel=tcg", "-qmp", f"unix:{socket},server=on,wait=off",
                           "-pidfile", pidfile, "-daemonize")
        self.assertEqual(result, (0, "", ""))
        pid = int(pidfile.read_text(encoding="ascii"))
        with Qmp(str(socket)) as probe:
            self.assertIn("qmp_capabilities", [item["name"] for item in probe.command("query-commands")])
            probe.command("query-machines")
        self.kill(pid)
        self.wait_nobody()
        self.assertEqual(self._left_in_runtime(), [])


if __name__ == "__main__":
    main()
