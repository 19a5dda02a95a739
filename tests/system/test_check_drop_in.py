# SPDX-License-Identifier: LGPL-2.1-or-later
"""`vmlatch check` of a QEMU whose name leads to vmlatch: a drop-in's call, as it would be."""

import ctypes
import json
import os
import shutil

import procfs
from in_place import DropInTest
from users import ALICE, UserTest
from vmtest import MACHINE, QEMU, VMLATCH, main

EXPLAINED = "explained as a drop-in's call, since "


PR_SET_NO_NEW_PRIVS = 38


def set_no_new_privs():
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


class Compared:
    """What is said beside what is so."""
    before = None   # done in each process before it is vmlatch

    def explained(self, *words, options=(), qemu=DropInTest.NAME):
        done = self.vmlatch("check", "--json", *options, "--", qemu, *MACHINE, *words, preexec_fn=self.before)
        self.assertEqual(done.status, 0, done)
        return json.loads(done.out)

    def assert_told(self, said, vm):
        """QEMU's privileges, its filters and its arguments, by the kernel's account."""
        status, own = procfs.status(vm.qemu), procfs.status("self")
        self.assertEqual(status["NoNewPrivs"], str(int(said["privileges"]["no-new-privs"])))
        self.assertEqual(int(status["Seccomp_filters"]) > 0, said["sandbox"]["mode"] != "off")
        self.assertIsNone(said["privileges"]["capabilities"])
        self.assertEqual(status["CapBnd"], own["CapBnd"])
        self.assertEqual((vm.qemu == vm.pid, vm.name), (said["in-place"], said["name"]))
        words = procfs.argv(vm.qemu)
        words[words.index("-readconfig") + 1] = "/dev/fd/N"
        self.assertEqual(words, said["argv"])

    def assert_explains(self, qemu, disk, name):
        words = (*self.drive(disk), "-name", name)
        said = self.explained(*words, qemu=qemu)
        self.assertTrue(said["drop-in"])
        text = self.does("check", "--", qemu, *MACHINE, *words, preexec_fn=self.before)
        self.assert_says(f"^{EXPLAINED}{qemu} leads to vmlatch; for that of 'vmlatch run' .*--name, or "
                         f"/.*/{self.NAME}, the real one\nname: {name}, or {name}-PID ", text)
        vm = self.start(None, *words, qemu=qemu, preexec=self.before)
        vm.name = name
        vm.wait_state("running", "held")
        self.assert_told(said, vm)
        self.does("stop", name)
        self.assertEqual(vm.wait_end(), 0, vm.err)
        vm.wait_gone()
        return said, text


class ACall(Compared, DropInTest):
    def test_by_name_and_by_path_is_a_drop_ins(self):
        for number, qemu in enumerate((self.NAME, self.links / self.NAME)):
            with self.subTest(qemu):
                self.assert_explains(qemu, self.guest("halt", f"{number}.img"), f"vm{number}")

    def test_where_no_new_privs_is_set_already(self):
        self.before = set_no_new_privs
        said, _ = self.assert_explains(self.NAME, self.guest("halt"), "web")
        self.assertEqual((said["sandbox"]["mode"], said["privileges"]["no-new-privs"]), ("default", True))
        self.assertEqual(said["warnings"], [])

    def test_of_a_copy_is_a_drop_ins(self):
        copies = self.dir / "copies"
        copies.mkdir()
        shutil.copy(VMLATCH, copies / "kvm")
        self.link(copies / self.NAME)
        self.use_path(copies, self.links, os.path.dirname(shutil.which(QEMU)))
        self.assertTrue(self.explained(qemu=copies / "kvm")["drop-in"])
        os.rename(copies / "kvm", copies / self.NAME)
        _, text = self.assert_explains(self.NAME, self.guest("halt"), "web")
        self.assertNotIn(f"{self.dir}/", text.splitlines()[0], "the real one is behind copies and links")

    def test_has_its_options_from_the_config_alone(self):
        (self.config / "vmlatch.conf").write_text("sandbox = off\nallow-setuid-helpers = no\n")
        said, _ = self.assert_explains(self.NAME, self.guest("halt"), "web")
        self.assertEqual((said["sandbox"]["mode"], said["privileges"]["no-new-privs"]), ("off", True))

    def test_with_an_option_of_runs_is_that_of_run(self):
        disk = self.drive(self.disk("disk.raw"))
        for options in (["--name", "a"], ["--log-level=notice"], ["--sandbox=strict"], ["--in-place=no"]):
            with self.subTest(options):
                said = self.explained(*disk, options=options)
                self.assertFalse(said["drop-in"] or said["in-place"])
                self.assertTrue(said["privileges"]["no-new-privs"])
                self.assertNotIn(EXPLAINED, self.does("check", *options, "--", self.NAME, *MACHINE, *disk))

    def test_of_another_program_is_that_of_run(self):
        self.link(self.links / "vm", VMLATCH if os.path.isabs(VMLATCH) else None)
        script = self.script("bin/qemu-system-script", 'exec qemu-system-x86_64 "$@"')
        for qemu in (shutil.which(QEMU), script, self.links / "vm", self.dir / "qemu-system-none"):
            with self.subTest(qemu):
                self.assertFalse(self.explained(qemu=qemu)["drop-in"])

    def test_says_what_is_left_to_qemu(self):
        missing = self.drive(self.dir / "missing.raw")
        said = self.explained(*missing)
        self.assertEqual((len(said["left-to-qemu"]), said["warnings"]), (1, []))
        self.assert_says("missing.raw: No such file", said["left-to-qemu"][0])
        self.assert_says("\nleft to QEMU to tell: .*missing.raw: No such file",
                         self.does("check", "--", self.NAME, *MACHINE, *missing))
        self.assertEqual(self.call(*MACHINE, *missing).status, 1, "QEMU's own")
        self.fails(66, "check", "--name=a", "--", self.NAME, *MACHINE, *missing)

    def test_says_what_it_would_end_with(self):
        self.use_path(self.links, "/nowhere")
        self.assert_says("qemu-system-x86_64 is not found", " ".join(self.explained()["warnings"]))
        (self.config / "vmlatch.conf").write_text(f"qemu = {self.links}\n")
        self.assert_says("leads back to vmlatch", " ".join(self.explained()["warnings"]))

    def test_without_a_name_says_so(self):
        self.assert_says("\nname: vm-PID with its own pid", self.does("check", "--", self.NAME, *MACHINE))


class OfAUser(Compared, UserTest, DropInTest):
    roots_options = ()

    def test_has_no_filter_and_takes_nothing_away(self):
        disk = self.guest("halt")
        os.chown(disk, ALICE.uid, ALICE.uid)
        with self.by(ALICE):
            said, text = self.assert_explains(self.NAME, disk, "web")
        self.assertEqual((said["sandbox"]["mode"], said["privileges"]["no-new-privs"]), ("off", False))
        self.assert_says("; programs that it starts may gain more\nsandbox: off, .*: it would take", text)

    def test_has_the_filter_that_takes_nothing_away_any_more(self):
        disk = self.guest("halt")
        os.chown(disk, ALICE.uid, ALICE.uid)
        self.before = set_no_new_privs
        with self.by(ALICE):
            said, _ = self.assert_explains(self.NAME, disk, "web")
        self.assertEqual((said["sandbox"]["mode"], said["privileges"]["no-new-privs"]), ("default", True))


if __name__ == "__main__":
    main()
