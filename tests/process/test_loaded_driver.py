# SPDX-License-Identifier: LGPL-2.1-or-later
"""A lock driver that was built elsewhere: contrib/lock-driver-example/, against what is installed."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import procfs
from faketest import FakeTest, main
from vmtest import QEMU, VMLATCH, missing, need_root

MESON = os.environ["MESON"].split()
BUILD, EXAMPLE = Path(os.environ["BUILD"]), Path(os.environ["EXAMPLE"])
COMPLETION = os.environ["COMPLETION"]
FLOCK = ("--lock", "flock")


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}"
    return done.stdout


class Installed:
    """What a packager's '-dev' package has, below a prefix of its own, and the example built with it."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="vmlatch-dev-"))
        run(*MESON, "install", "-C", BUILD, "--no-rebuild", "--tags", "devel", "--destdir", self.dir)
        self.pc = next(self.dir.rglob("vmlatch.pc"))
        # as if that were the prefix
        text = self.pc.read_text()
        prefix = re.search("^prefix=(.*)$", text, re.M)[1]
        self.pc.write_text(text.replace(f"prefix={prefix}", f"prefix={self.dir}{prefix}", 1))
        self.environment = dict(os.environ, PKG_CONFIG_PATH=str(self.pc.parent))
        self.includes = next(self.dir.rglob("include/vmlatch"))

    def pkg_config(self, *words):
        return run("pkg-config", *words, "vmlatch", env=self.environment).strip()

    def build_example(self):
        """Returns the directory that it was installed into."""
        source = self.dir / "source"
        shutil.copytree(EXAMPLE, source)
        os.umask(0o022)
        run(*MESON, "setup", self.dir / "build", source, env=self.environment)
        run(*MESON, "install", "-C", self.dir / "build", env=self.environment)
        return Path(self.pkg_config("--variable=lockdriverdir"))


class LoadedTest(FakeTest):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("pkg-config"):
            missing("pkg-config")
        cls.installed = Installed()
        cls.addClassCleanup(shutil.rmtree, cls.installed.dir)
        cls.drivers = cls.installed.build_example()

    def setUp(self):
        super().setUp()
        self.environment["VMLATCH_MODULE_DIR"] = str(self.drivers)

    def flock(self, path):
        """Could a script that says 'flock PATH' go on?"""
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True


class OutOfTree(LoadedTest):
    def test_each_installed_header_can_be_included_alone(self):
        flags = self.installed.pkg_config("--cflags").split()
        headers = sorted(self.installed.includes.rglob("*.h"))
        self.assertIn("locking/lock_driver.h", [str(header.relative_to(self.installed.includes))
                                                for header in headers])
        for header in headers:
            name = header.relative_to(self.installed.includes)
            for include in (name, f"vmlatch/{name}"):
                with self.subTest(include):
                    code = self.dir / "one.c"
                    code.write_text(f"#include <{include}>\n")
                    run("cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *flags, code)

    def test_pkg_config_says_the_abi_and_the_directory(self):
        header = (self.installed.includes / "locking/lock_driver.h").read_text()
        abi = re.search(r"^#define LOCK_DRIVER_ABI (\d+)$", header, re.M)[1]
        self.assertEqual(self.installed.pkg_config("--variable=abi"), abi)
        self.assertEqual([file.name for file in self.drivers.iterdir()], ["flock.so"])

    def test_what_is_marked_public_is_exported_and_nothing_else_of_ours(self):
        if not shutil.which("nm"):
            missing("nm")
        marked = set()
        for header in self.installed.includes.rglob("*.h"):
            marked |= set(re.findall(r"^_public_ [^(]*?(\w+)\(", header.read_text(), re.M))
        self.assertIn("error_set", marked)
        lines = run("nm", "-D", "--defined-only", VMLATCH).splitlines()
        exported = {line.split()[-1] for line in lines if " T " in line}
        self.assertEqual({name for name in exported if not name.startswith("_")}, marked)


class Life(LoadedTest):
    def test_is_start_pause_resume_and_end(self):
        vm = self.one_disk(options=FLOCK)
        self.assertEqual(vm.status()["driver"], "flock")
        self.assertFalse(self.flock(vm.disk))
        self.assert_free(vm.disk)  # no lock of the file driver's
        self.does("pause", "vm")
        vm.wait_state(lock="released")
        self.assertTrue(self.flock(vm.disk))
        self.does("resume", "vm")
        vm.wait_state(run="running", lock="held")
        self.assertFalse(self.flock(vm.disk))
        self.does("stop", "vm")
        vm.wait_end()
        self.assertTrue(self.flock(vm.disk))
        self.assert_nothing_left(vm)

    def test_lasts_as_long_as_qemu_does(self):
        vm = self.one_disk(options=FLOCK)
        qemu = vm.kill_supervisor()
        self.assertFalse(self.flock(vm.disk))
        self.kill(qemu)
        self.assertTrue(self.flock(vm.disk))

    def test_of_a_second_vm_is_refused_with_the_first_ones_name(self):
        vm = self.one_disk(options=FLOCK)
        said = self.refused(75, "other", *self.drive(vm.disk), options=FLOCK)
        self.assert_in_use(said, vm.disk, vm)
        said = self.vmlatch("check", *FLOCK, "--", QEMU, *self.drive(vm.disk))
        self.assertEqual(said.status, 75)
        self.assert_says(f"in use by .*pid {vm.qemu}", said.out)
        self.assertEqual(self.does("who", vm.disk),
                         f"{vm.disk}: free for the lock driver 'file' "
                         "(VM 'vm' holds it by the lock driver 'flock')\n")

    def test_is_refused_while_a_script_has_the_disk(self):
        path = self.disk("disk.raw")
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            self.assert_says(f"{path} is in use", self.refused(75, "vm", *self.drive(path), options=FLOCK))
        vm = self.running("vm", *self.drive(path), options=FLOCK)
        self.does("pause", "vm")
        vm.wait_state(lock="released")
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            self.assert_says("is in use", self.fails(75, "resume", "vm"))
        self.write_to(path)
        self.assert_says("was written after its lock was given back", self.fails(75, "resume", "vm"))
        self.assertEqual(vm.status()["lock_state"], "released")

    def test_of_a_disk_that_is_attached_is_locked_in_qemu_too(self):
        vm = self.one_disk(options=FLOCK)
        more = self.disk("more.raw")
        self.does("attach", "vm", "disk", more)
        self.assertFalse(self.flock(more))
        vm.kill_supervisor()
        self.assertFalse(self.flock(more))
        self.kill(vm.qemu)

    def test_with_another_user_opens_images_with_his_rights(self):
        need_root()
        path = self.disk("disk.raw")
        path.chmod(0o600)
        said = self.refused(77, "vm", *self.drive(path), options=[*FLOCK, "--user", "nobody"])
        self.assert_says("disk.raw.*[Pp]ermission", said)


class Refused(LoadedTest):
    def test_names_what_there_is(self):
        said = self.refused(69, "vm", *self.drive(self.disk("a.raw")), options=["--lock", "padlock"])
        self.assert_says(rf"there is no lock driver 'padlock' \(file, nop; in {self.drivers}: flock\)", said)

    def test_is_a_module_that_others_can_write_to(self):
        drivers = self.dir / "drivers"
        drivers.mkdir()
        shutil.copy(self.drivers / "flock.so", drivers / "flock.so")
        (drivers / "flock.so").chmod(0o666)
        self.environment["VMLATCH_MODULE_DIR"] = str(drivers)
        disk = self.disk("a.raw")
        for verb in ("run", "check"):
            said = self.fails(69, verb, *FLOCK, "--", QEMU, *self.drive(disk))
            self.assert_says(f"{drivers}/flock.so: can be written by others", said)

    def test_names_that_are_none(self):
        for name in ("../drivers/flock", "/flock", "flock.so", "."):
            self.assert_says("--lock needs a driver's name",
                             self.fails(64, "check", "--lock", name, "--", QEMU))

    def test_the_environment_counts_only_without_more_rights_than_the_caller(self):
        need_root()
        program = self.dir / "vmlatch"
        shutil.copy(VMLATCH, program)
        os.chown(program, 65534, 65534)
        program.chmod(0o4755)
        words = [program, "check", *FLOCK, "--", QEMU, *self.drive(self.disk("a.raw"))]
        if os.statvfs(self.dir).f_flag & os.ST_NOSUID:
            missing("a file system with setuid")
        done = subprocess.run([str(word) for word in words], env=self.environment, capture_output=True,
                              text=True, check=False)
        # the status may be the leak checker's, which cannot look at such a process
        self.assert_says("there is no lock driver 'flock' .*/vmlatch/lock-drivers", done.stderr)
        self.assertNotIn(str(self.drivers), done.stderr)


class Completion(LoadedTest):
    def offered(self, **more):
        program = (f'. {COMPLETION}; COMP_WORDS=(vmlatch run --lock ""); COMP_CWORD=3; _vmlatch; '
                   'echo "${COMPREPLY[@]}"')
        return run("bash", "-c", program, env=dict(self.environment, **more)).split()

    def test_offers_the_drivers_that_there_are(self):
        self.assertEqual(sorted(self.offered()), ["file", "flock", "nop"])
        self.assertEqual(sorted(self.offered(VMLATCH_MODULE_DIR=str(self.dir / "nowhere"))), ["file", "nop"])


if __name__ == "__main__":
    main()
