# SPDX-License-Identifier: LGPL-2.1-or-later
"""--sandbox: what QEMU starts for its user network, and devices that another process serves."""

import os
import pwd
import shutil
import signal
import subprocess

import network
import procfs
from deadline import wait_for
from vmtest import AS_ROOT, VmTest, main, missing, need_root

SMBD, SMBCLIENT, STORAGE_DAEMON = "/usr/sbin/smbd", "smbclient", "qemu-storage-daemon"
ROM = "/usr/lib/ipxe/qemu/pxe-virtio.rom"
STRICT = [*AS_ROOT, "--sandbox=strict"]


class Guestfwd(VmTest):
    """The guest is iPXE: it fetches its boot file from the address that QEMU forwards to a program."""

    def setUp(self):
        super().setUp()
        if not os.path.exists(ROM):
            missing(ROM)
        self.disk = self.disk("disk.img")

    def start_fetching(self, *more, options):
        script = self.script("answer", f"cat /proc/self/status >{self.dir}/status\n"
                                       f"read line; echo $line >{self.dir}/part; mv {self.dir}/part {self.dir}/line")
        forward = f"guestfwd=tcp:10.0.2.100:80-cmd:{script}"
        return self.start("vm", *self.drive(self.disk), "-boot", "n", "-device", "virtio-net-pci,netdev=n",
                          "-netdev", f"user,id=n,bootfile=http://10.0.2.100/x,{forward}", *more, options=options)

    def test_starts_its_program_with_qemus_filter(self):
        vm = self.start_fetching(options=AS_ROOT)
        wait_for(lambda: f"the program did not run\n{vm.err}", (self.dir / "line").exists)
        self.assertIn("GET /x HTTP", (self.dir / "line").read_text(encoding="ascii"))
        said = procfs.status_in(self.dir / "status")
        self.assertEqual([said[name] for name in ("Seccomp", "Seccomp_filters", "NoNewPrivs")], ["2", "1", "1"])
        self.assertEqual({said[name] for name in said if name.startswith("Cap")}, {"0" * 16})
        self.assertFalse(vm.status()["pinned"], "it is no monitor")

    def test_is_qemus_end_with_strict(self):
        vm = self.start_fetching(options=STRICT)
        self.assertEqual(vm.wait_end(), -signal.SIGSYS, vm.err)
        self.assert_says("killed by SIGSYS: it made a system call that its sandbox forbids", vm.err)
        self.assertFalse((self.dir / "status").exists())


class Smb(VmTest):
    """The guest is the kernel with smbclient, on a tap device that is on QEMU's user network."""

    def setUp(self):
        need_root()
        super().setUp()
        for part in SMBD, SMBCLIENT, "/dev/net/tun":
            if not shutil.which(part) and not os.path.exists(part):
                missing(part)
        self.share, self.temporary = self.dir / "share", self.dir / "tmp"
        self.share.mkdir()
        (self.share / "file").write_text("by smb\n", encoding="ascii")
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        self.environment["TMPDIR"] = str(self.temporary)  # of QEMU's smb.conf, and smbd's log

    def serving(self, user, options=(), *more):
        disk = self.disk(f"{user}.img")
        shutil.chown(disk, user)
        return self.running(user, *self.drive(disk), *network.arguments(f"smb={self.share}"), *more,
                            options=["--user", user, *options], preexec=network.enter_new(pwd.getpwnam(user).pw_uid))

    def fetch(self, vm, then=""):
        """What smbclient brings, and says."""
        brought = self.dir / "brought"
        brought.unlink(missing_ok=True)
        done = network.run_beside(vm.qemu, [SMBCLIENT, "-s", "/dev/null", "-N", "-p", "445", "//10.0.2.4/qemu"],
                                  input=f"get file {brought}\n{then}\n")
        return brought.read_text(encoding="ascii") if brought.exists() else None, done.stdout + done.stderr

    def status_of_smbd(self, vm):
        """Its own, from the shell that smbclient starts while smbd serves it."""
        script = self.script("look", f"""for i in /proc/[0-9]*; do
            [ "$(readlink $i/exe)" = {SMBD} ] || continue
            [ "$(readlink $i/ns/net)" != "$(readlink /proc/self/ns/net)" ] || cat $i/status >{self.dir}/status
            done""")
        brought, said = self.fetch(vm, f"!{script}")
        self.assertEqual(brought, "by smb\n", said)
        return procfs.status_in(self.dir / "status")

    def test_serves_a_users_files_with_qemus_filter(self):
        vm = self.serving("nobody")
        seen = self.status_of_smbd(vm)
        self.assertEqual([seen[name] for name in ("Seccomp", "Seccomp_filters", "NoNewPrivs")], ["2", "1", "1"])
        self.assertEqual(seen["Uid"].split(), [str(pwd.getpwnam("nobody").pw_uid)] * 4)
        self.assertEqual({seen[name] for name in seen if name.startswith("Cap")}, {"0" * 16})

    def test_of_roots_needs_two_capabilities(self):
        vm = self.serving("root", ["--keep-capability", "setgid,setuid"])
        self.assertEqual(self.status_of_smbd(vm)["Seccomp"], "2")
        self.assertNotIn("smbd", vm.err)

    def test_of_roots_without_them_is_warned_of(self):
        vm = self.serving("root")
        self.assertIsNone(self.fetch(vm)[0])
        self.assert_says("smb=.*: smbd cannot be root's.*--keep-capability setgid,setuid", vm.err)
        wait_for("smbd says why", lambda: any("setgroups failed" in log.read_text(errors="replace")
                                              for log in self.temporary.glob("qemu-smb.*/log.smbd")))

    def test_is_not_started_with_strict_alone(self):
        vm = self.serving("nobody", ["--sandbox=strict"], "-sandbox", "off")  # QEMU's own would kill it
        self.assertIsNone(self.fetch(vm)[0])
        wait_for(lambda: f"nothing was said\n{vm.err}", lambda: "fork_exec" in vm.err)
        self.assert_says(rf"Failed to execute child process .*{SMBD}.*\(Operation not permitted\)", vm.err)
        self.assertEqual(vm.status()["run_state"], "running")


class VhostUser(VmTest):
    """The guest's only disk is served by another process, which has its memory and its queues' eventfds."""

    def serve(self, image):
        if not shutil.which(STORAGE_DAEMON):
            missing(STORAGE_DAEMON)
        path = self.dir / "vhost"
        daemon = self.spawn([STORAGE_DAEMON, "--blockdev", f"driver=file,node-name=disk,filename={image}",
                             "--export", f"type=vhost-user-blk,id=e,node-name=disk,writable=on,"
                                         f"addr.type=unix,addr.path={path}"], stdin=subprocess.DEVNULL)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)
        wait_for("nobody listens", path.exists)
        return path

    def test_writes_with_either_filter(self):
        for mode, own in (("default", 1), ("strict", 2)):
            with self.subTest(mode):
                image = self.guest("writer", f"{mode}.img")
                path = self.serve(image)
                vm = self.running(mode, "-object", "memory-backend-memfd,id=m,size=32M,share=on", "-machine",
                                  "memory-backend=m", "-chardev", f"socket,id=c,path={path}",
                                  "-device", "vhost-user-blk-pci,chardev=c", options=[*AS_ROOT, f"--sandbox={mode}"])
                self.wait_writing(image)
                said = procfs.status(vm.qemu)
                self.assertEqual((said["Seccomp"], said["Seccomp_filters"]), ("2", str(own)))
                path.unlink()


if __name__ == "__main__":
    main()
