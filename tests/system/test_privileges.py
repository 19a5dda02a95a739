# SPDX-License-Identifier: LGPL-2.1-or-later
"""What QEMU and its supervisor may do, as the kernel shows it."""

import grp
import json
import os
import pwd
import resource
import shutil
import subprocess

import procfs
from in_place import DropInTest, InPlaceTest
from users import ALICE, BOB, VMS, UserTest
from vmtest import MACHINE, QEMU, VMLATCH, VmTest, main

SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NOBODY = 65534

CAP_DAC_OVERRIDE, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_NET_ADMIN = 1, 5, 6, 7, 12
SUPERVISORS = {0, 1, 2, 3, CAP_KILL, CAP_SETGID, CAP_SETUID, 19}


def capabilities(pid):
    """The five sets, each as the set of the numbers in it."""
    status = procfs.status(pid)
    return {name: {bit for bit in range(64) if int(status[name], 16) >> bit & 1} for name in SETS}


def only(*numbers):
    return {name: set(numbers) for name in SETS}


class Privileges:
    """In both shapes."""

    def vm(self, *options, args=()):
        disk = self.guest("halt", "disk.img")
        os.chown(disk, NOBODY if "--user" in options else 0, -1)
        return self.running("vm", *self.drive(disk), *args, options=options)

    def test_of_roots_qemu_are_none(self):
        vm = self.vm()
        status = procfs.status(vm.qemu)
        self.assertEqual(capabilities(vm.qemu), only())
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Uid"].split(), ["0"] * 4)

    def test_of_another_users_qemu_are_none(self):
        vm = self.vm("--user", "nobody")
        status = procfs.status(vm.qemu)
        self.assertEqual(capabilities(vm.qemu), only())
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Uid"].split(), [str(NOBODY)] * 4)
        self.assertEqual(status["Gid"].split(), [str(NOBODY)] * 4)
        self.assertEqual(status["Groups"].split(), [str(NOBODY)])

    def test_of_who_has_no_account_are_the_numbers(self):
        for options, uid, gid in (
                (("--user", str(ALICE.uid)), ALICE.uid, ALICE.uid),
                (("--user", str(ALICE.uid), "--group", str(VMS)), ALICE.uid, VMS), (("--group", str(VMS)), 0, VMS)):
            with self.subTest(options):
                disk = self.guest("halt", "disk.img")
                os.chown(disk, uid, -1)
                vm = self.running("vm", *self.drive(disk), options=options)
                status = procfs.status(vm.qemu)
                self.assertEqual(status["Uid"].split(), [str(uid)] * 4)
                self.assertEqual(status["Gid"].split(), [str(gid)] * 4)
                self.assertEqual(status["Groups"].split(), [])
                self.assertEqual(capabilities(vm.qemu), only())
                self.does("stop", "vm")
                vm.wait_end()
                vm.wait_gone()

    def test_of_a_user_are_all_its_groups(self):
        members = {name for group in grp.getgrall() for name in group.gr_mem}
        user = next((user for user in pwd.getpwall() if user.pw_name in members and user.pw_uid), None)
        if not user:
            self.skipTest("nobody has a supplementary group here")
        disk = self.guest("halt", "disk.img")
        os.chown(disk, user.pw_uid, -1)
        vm = self.running("vm", *self.drive(disk), options=["--user", user.pw_name])
        self.assertEqual(set(procfs.status(vm.qemu)["Groups"].split()),
                         {str(group) for group in os.getgrouplist(user.pw_name, user.pw_gid)})

    def test_that_are_named_are_kept_and_no_others(self):
        for options in (), ("--user", "nobody"):
            with self.subTest(options):
                vm = self.vm(*options, "--keep-capability", "net_admin,CAP_KILL")
                self.assertEqual(capabilities(vm.qemu), only(CAP_NET_ADMIN, CAP_KILL))
                self.does("stop", "vm")
                vm.wait_end()
                vm.wait_gone()

    def test_that_runas_needs_are_kept_until_qemu_has_used_them(self):
        vm = self.vm(args=("-runas", "nobody"))
        status = procfs.status(vm.qemu)
        self.assertEqual(status["Uid"].split(), [str(NOBODY)] * 4)
        self.assertEqual(capabilities(vm.qemu)["CapEff"], set())
        self.assertEqual(capabilities(vm.qemu)["CapBnd"], {CAP_SETUID, CAP_SETGID, CAP_DAC_OVERRIDE})

    def test_that_chroot_needs_are_kept(self):
        (self.dir / "root").mkdir()
        vm = self.vm(args=("-chroot", self.dir / "root"))
        self.assertEqual(capabilities(vm.qemu), only(18))

    def test_for_setuid_helpers_are_not_bounded(self):
        vm = self.vm("--user", "nobody", "--allow-setuid-helpers")
        found = capabilities(vm.qemu)
        self.assertEqual(procfs.status(vm.qemu)["NoNewPrivs"], "0")
        self.assertEqual(found.pop("CapBnd"), capabilities(os.getpid())["CapBnd"])
        self.assertEqual(set().union(*found.values()), set())

    def test_of_the_supervisor_are_what_it_needs(self):
        vm = self.vm("--user", "nobody")
        pid = vm.status()["supervisor"]["pid"]
        found = capabilities(pid)
        held = SUPERVISORS & capabilities(os.getpid())["CapPrm"]
        self.assertEqual(found, {"CapInh": set(), "CapPrm": held, "CapEff": held, "CapBnd": held, "CapAmb": set()})
        self.assertEqual(procfs.status(pid)["NoNewPrivs"], "1")
        for thread in os.listdir(f"/proc/{pid}/task"):
            self.assertEqual(capabilities(int(thread)), found)

    def test_are_enough_for_all_that_the_supervisor_does(self):
        vm = self.vm("--user", "nobody")
        more = self.disk("more.raw")
        os.chown(more, NOBODY, -1)
        more.chmod(0o600)
        self.does("attach", "vm", "disk", more)
        self.assertTrue(procfs.fd_locks(vm.qemu, more))
        self.does("pause", "vm")
        self.wait_free(more)
        self.does("resume", "vm")
        self.assert_held(more)
        self.does("detach", "vm", "disk", more)
        self.does("stop", "vm")
        self.assertEqual(vm.wait_end(), 0, vm.err)

    def test_of_an_image_are_qemus(self):
        disk = self.guest("halt", "disk.img")
        os.chown(disk, ALICE.uid, -1)
        disk.chmod(0o600)
        said = self.refused(77, "vm", *self.drive(disk))
        self.assert_says(rf"{disk}.*Permission denied.*--user.*--keep-capability dac_override", said)
        self.running("kept", *self.drive(disk), options=["--keep-capability", "dac_override"])

    def test_limits_and_umask(self):
        options = ("--limit-core", "0", "--limit-memlock", "1M:2M", "--limit-nofile", "300:400", "--umask", "077")
        vm = self.vm(*options)
        limits = {which: resource.prlimit(vm.qemu, which)
                  for which in (resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_NOFILE)}
        self.assertEqual(limits, {resource.RLIMIT_CORE: (0, 0), resource.RLIMIT_MEMLOCK: (1 << 20, 2 << 20),
                                  resource.RLIMIT_NOFILE: (300, 400)})
        self.assertEqual(procfs.status(vm.qemu)["Umask"], "0077")
        for number in procfs.fds(vm.qemu):
            self.assertLess(int(number), 300)
        self.does("pause", "vm")
        self.does("resume", "vm")

    def test_a_limit_that_is_too_small_is_said(self):
        disk = self.disk("a.raw")
        said = self.refused(71, "vm", *self.drive(disk), options=["--limit-nofile", "20"])
        self.assert_says("open files", said)
        self.wait_free(disk)


class AsChild(Privileges, VmTest):
    def test_oom_score_is_lowered_for_the_supervisor_alone(self):
        vm = self.vm()

        def score(pid):
            with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
                return int(file.read())
        may = 24 in capabilities(os.getpid())["CapEff"]
        self.assertEqual(score(vm.qemu), score(os.getpid()))
        self.assertEqual(score(vm.pid), -999 if may else score(os.getpid()))

    def test_are_told_by_check(self):
        disk = self.disk("a.raw")
        command = ("--", "qemu-system-x86_64", *self.drive(disk))
        text = self.does("check", *command)
        self.assert_says("QEMU's privileges: user 0, no capabilities; nothing that it starts can gain any", text)
        self.assert_says("warning: QEMU runs as root, but .* refused those of others.*--keep-capability.*--user", text)
        self.assert_says("warning: QEMU runs as root, who owns", self.does("check", "--keep-capability=all", *command))
        more = ("--user", "nobody", "--keep-capability", "kill", "--allow-setuid-helpers")
        self.assert_says("user 65534, no capabilities but kill; programs that it starts may gain more",
                         self.does("check", *more, *command))
        said = json.loads(self.does("check", "--json", *more, *command))["privileges"]
        self.assertEqual(said, {"uid": NOBODY, "capabilities": ["kill"], "no-new-privs": False})

    def test_that_no_new_privs_forbids_are_not_promised(self):
        disk = self.guest("halt", "disk.img")
        options = ("--user", "nobody", "--allow-setuid-helpers")
        words = ("--", QEMU, *MACHINE, *self.drive(disk), "-nic", "bridge,br=none")
        told = {}
        for kind, before in ("given", ()), ("not given", ("setpriv", "--no-new-privs")):
            for form in (), ("--json",):
                done = subprocess.run([*before, VMLATCH, "check", *form, *options, *map(str, words)], env=self.environment,
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done)
                told[kind, bool(form)] = json.loads(done.stdout) if form else done.stdout
        self.assert_says("; programs that it starts may gain more", told["given", False])
        self.assertFalse(told["given", True]["privileges"]["no-new-privs"])
        self.assert_says("; nothing that it starts can gain any", told["not given", False])
        self.assertTrue(told["not given", True]["privileges"]["no-new-privs"])
        self.assert_says("started with no_new_privs.*-nic bridge,br=none: .*without no_new_privs",
                         " ".join(told["not given", True]["warnings"]))
        self.assertNotIn("no_new_privs", " ".join(told["given", True]["warnings"]))

    def test_that_a_network_needs_are_told(self):
        bridge, tap, smb = ("-nic", "bridge,br=br0"), ("-netdev", "tap,id=n"), ("-netdev", "user,id=n,smb=/")
        disk = self.drive(self.disk("a.raw"))
        for words, options, told in (
                (bridge, (), "-nic bridge,br=br0: .* --allow-setuid-helpers"),
                (bridge, ("--user", "nobody", "--allow-setuid-helpers"), None),
                (("-netdev", "tap,id=n,helper=/x"), (), "--allow-setuid-helpers"),
                (tap, (), "-netdev tap,id=n: .* --keep-capability net_admin"),
                (("-net", '{"type": "tap"}'), (), "--keep-capability net_admin"),
                (tap, ("--keep-capability", "net_admin"), None),
                (("-netdev", "tap,id=n,fd=3"), (), None), (("-netdev", "user,id=n"), (), None),
                (smb, (), "-netdev user,id=n,smb=/: .* --keep-capability setgid,setuid"),
                (("-nic", '{"type": "user", "smb": "/"}'), ("--keep-capability", "setgid"), "setgid,setuid"),
                (smb, ("--keep-capability", "setuid,setgid"), None), (smb, ("--user", "nobody"), None)):
            if "smb" in words[1] and os.geteuid() != 0:
                told = None  # only root's has lost what it needs
            with self.subTest(words=words, options=options):
                text = self.vmlatch("check", *options, "--", "qemu-system-x86_64", *disk, *words).out
                warnings = [line for line in text.splitlines() if line.startswith("warning: -net")
                            or line.startswith("warning: -nic")]
                if told:
                    self.assert_says(told, warnings[0])
                else:
                    self.assertEqual(warnings, [])

    def test_that_devices_and_shares_need_are_told(self):
        memory, owners = "--limit-memlock infinity", "--keep-capability chown,dac_override"
        disk = self.drive(self.disk("a.raw"))
        for words, options, told in (
                (("-device", "vfio-pci,host=1"), (), memory), (("-device", '{"driver": "vfio-pci"}'), (), memory),
                (("-device", "vfio-pci,host=1"), ("--limit-memlock", "infinity"), None),
                (("-device", "vfio-pci,host=1"), ("--keep-capability", "ipc_lock"), None),
                (("-device", "virtio-rng-pci"), (), None), (("-device", "vfio-user-pci"), (), None),
                (("-overcommit", "mem-lock=on"), (), memory), (("-overcommit", "mem-lock=on-fault"), (), memory),
                (("-overcommit", "mem-lock=off,cpu-pm=on"), (), None),
                (("-fsdev", "local,id=f,path=/,security_model=passthrough"), (), owners),
                (("-virtfs", "local,path=/,mount_tag=t,security_model=passthrough"), ("--user", "nobody"), owners),
                (("-fsdev", "local,id=f,path=/,security_model=mapped-xattr"), (), None),
                (("-virtfs", "local,path=/,mount_tag=t,security_model=passthrough"), ("--keep-capability", "all"), None)):
            if told == memory and 14 not in capabilities(os.getpid())["CapPrm"]:
                told = None  # CAP_IPC_LOCK: nothing is lost
            with self.subTest(words=words, options=options):
                text = self.vmlatch("check", "--limit-memlock", "8M", *options, "--", "qemu-system-x86_64", *disk,
                                    *words).out
                found = [line for line in text.splitlines() if line.startswith(f"warning: {words[0]} {words[1]}: ")]
                self.assertEqual(len(found), 1 if told else 0, text)
                self.assert_says(told or "", "".join(found))

    def with_kvm(self, mode, group, *words):
        """(exit status, stdout and stderr) of vmlatch where /dev/kvm is a file of root's with these rights."""
        dev = self.dir / "dev"
        dev.mkdir(exist_ok=True)
        for name in ("null", "kvm"):
            (dev / name).touch()
        shutil.chown(dev / "kvm", 0, group)
        (dev / "kvm").chmod(mode)
        script = f"mount --bind /dev/null {dev}/null; mount --rbind {dev} /dev; exec \"$@\""
        done = subprocess.run(["unshare", "-m", "sh", "-euc", script, "sh", VMLATCH, *map(str, words)],
                              env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_that_kvm_needs_are_told(self):
        if os.geteuid() != 0:
            self.skipTest("not root")
        disk = self.drive(self.disk("a.raw"))
        os.chown(self.dir / "a.raw", NOBODY, -1)
        user, may_not = ("--user", "nobody"), "QEMU's user 'nobody' may not open /dev/kvm, so it "
        group = "make him a member of the group 'disk'$"
        for mode, options, words, told in (
                (0o660, user, ("-accel", "kvm"), f"-accel kvm: {may_not}will not start: {group}"),
                (0o660, user, ("-enable-kvm",), f"-enable-kvm: {may_not}will not start: {group}"),
                (0o640, user, ("-M", "accel=kvm"), "give that a group which may read and write, and him that group$"),
                (0o660, user, ("-M", "accel=kvm:tcg"), f"{may_not}does without KVM, and is slow: {group}"),
                (0o660, ("--user", str(NOBODY)), ("-enable-kvm",), f"QEMU's user '{NOBODY}' may not open"),
                (0o660, (*user, "--group", "disk"), ("-enable-kvm",), None),
                (0o666, user, ("-enable-kvm",), None), (0o660, (), ("-enable-kvm",), None),
                (0o660, user, ("-accel", "tcg"), None)):
            with self.subTest(mode=mode, options=options, words=words):
                command = [*options, "--", self.script("qemu", "exit 7"), *disk, *words]
                for status, verb in ((0, ("check",)), (7, ("run", "--name", "vm"))):
                    code, text = self.with_kvm(mode, "disk", *verb, *command)
                    self.assertEqual(code, status, text)
                    found = [line for line in text.splitlines() if "warning: " in line and "/dev/kvm" in line]
                    self.assertEqual(len(found), 1 if told else 0, text)
                    self.assert_says(told or "", "".join(found))

    def test_of_root_and_setuid_helpers_do_not_go_together(self):
        said = self.refused(64, "vm", *self.drive(self.disk("a.raw")), options=["--allow-setuid-helpers"])
        self.assert_says("give --user too", said)

    def test_bad_values_are_told(self):
        for option, value, words in (
                ("--keep-capability", "net_admin,nonsense", "not 'nonsense'"),
                ("--keep-capability", "", "not ''"),
                ("--limit-core", "1X", "SOFT"), ("--limit-core", "2:1", "SOFT"),
                ("--limit-nofile", "99999999999999999999", "SOFT"), ("--limit-nofile", "", "SOFT"),
                ("--umask", "8", "octal"), ("--umask", "01777", "octal"), ("--umask", "", "octal")):
            with self.subTest(option=option, value=value):
                self.assert_says(words, self.fails(64, "check", option, value, "qemu-system-x86_64"))


class InPlace(Privileges, InPlaceTest):
    pass


class Rootless(UserTest):
    def test_that_vmlatch_lacks_cannot_be_kept(self):
        disk = self.disk("a.raw")
        with self.by(ALICE):
            said = self.refused(77, "vm", *self.drive(disk), options=["--keep-capability", "net_admin"])
        self.assert_says("does not have net_admin itself", said)

    def test_a_users_qemu_gains_nothing(self):
        disk = self.guest("halt", "disk.img")
        os.chown(disk, ALICE.uid, ALICE.uid)
        with self.by(ALICE):
            vm = self.running("vm", *self.drive(disk))
            found = capabilities(vm.qemu)
            del found["CapBnd"]  # without CAP_SETPCAP nobody can lower it
            self.assertEqual(set().union(*found.values()), set())
            self.assertEqual(procfs.status(vm.qemu)["NoNewPrivs"], "1")
            self.does("stop", "vm")
            vm.wait_end()


    def test_a_user_may_name_himself_and_nobody_else(self):
        disk = self.guest("halt", "disk.img")
        os.chown(disk, ALICE.uid, ALICE.uid)
        with self.by(ALICE):
            for options in ("--user", str(ALICE.uid)), ("--group", str(ALICE.uid)):
                vm = self.running("vm", *self.drive(disk), options=options)
                status = procfs.status(vm.qemu)
                self.assertEqual(status["Uid"].split(), [str(ALICE.uid)] * 4)
                self.assertEqual(status["Groups"].split(), [str(group) for group in ALICE.groups])
                self.does("stop", "vm")
                vm.wait_end()
                vm.wait_gone()
            for options in ("--user", str(BOB.uid)), ("--user", "root"), ("--group", str(BOB.uid)):
                said = self.fails(77, "run", "--name", "vm", *options, "qemu-system-x86_64", *self.drive(disk))
                self.assert_says(r"\(run as root\)", said)


class DropIn(DropInTest):
    def test_is_what_qemu_is_without_us(self):
        disk = self.guest("halt", "disk.img")
        vm = self.running("vm", *self.drive(disk))
        self.assertEqual(capabilities(vm.qemu), capabilities(os.getpid()))
        self.assertEqual(procfs.status(vm.qemu)["NoNewPrivs"], "0")

    def test_does_what_its_config_file_says(self):
        disk = self.guest("halt", "disk.img")
        (self.config / "vmlatch.conf").write_text("keep-capability = none\n", encoding="ascii")
        vm = self.running("vm", *self.drive(disk))
        self.assertEqual(capabilities(vm.qemu), only())
        self.assertEqual(procfs.status(vm.qemu)["NoNewPrivs"], "1")


if __name__ == "__main__":
    main()
