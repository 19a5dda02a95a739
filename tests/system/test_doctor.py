#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""'vmlatch doctor' of real directories: what it finds, what it says, and that it disturbs nothing."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time

import locks
from vmtest import VMLATCH, VmTest, main, missing, need_file_system, need_root, underscored

NAMES = [f"{number:064x}" for number in range(40)]
BOOT = "00000000-1111-4222-8333-444444444444"


def record(vm, held=1, host="kvm9", boot=BOOT, pid=4711, start=99):
    return (f"vmlatch 1 gen=7 id=1:2 held={held} since=1795342440 pid={pid} start={start} "
            f"instance={BOOT} boot={boot} host={host} vm={vm}\n")


class Place(VmTest):
    def setUp(self):
        super().setUp()
        self.place = self.dir / "place"
        self.place.mkdir(mode=0o700)

    def lock_file(self, number, text="", mode=0o600):
        path = self.place / NAMES[number]
        path.write_text(text)
        path.chmod(mode)
        return path

    def look(self, path=None, status=0):
        """doctor's object, and its text, which must not contradict it."""
        path = path or self.place
        result = self.vmlatch("doctor", "--json", path)
        self.assertEqual(result.status, status, result)
        self.assertEqual(result.err, "")
        report = underscored(json.loads(result.out))[0]
        self.assertEqual(report["status"], status)
        self.text = self.vmlatch("doctor", path).out
        self.assertNotRegex(self.text + result.out, r"[\x00-\x08\x0b-\x1f\x7f]")
        return report

    @staticmethod
    def findings(report, level=None):
        return [finding["text"] for finding in report["findings"] if level in (None, finding["level"])]


class Directories(Place):
    def test_a_directory_of_this_host(self):
        report = self.look()
        self.assertEqual(report["verdict"], "host")
        self.assertEqual(report["tried"]["locks"], {"exclude": True, "libvirt": True})
        self.assertTrue(report["tried"]["inotify"])
        self.assertGreater(report["tried"]["mtime_ns"], 0)
        self.assertTrue(report["directory"]["lockspace"])
        self.assertEqual(report["findings"], [])
        self.assertEqual(os.listdir(self.place), [])
        self.assert_says(f"^{self.place}: fit for locks of this host only\n", self.text)

    def test_one_that_is_not_there_or_none(self):
        file = self.place / "file"
        file.touch()
        self.assert_says("No such file", self.fails(66, "doctor", self.dir / "nowhere"))
        self.assert_says("Not a directory", self.fails(66, "doctor", file))
        result = self.vmlatch("doctor", "--json", self.dir / "nowhere", self.place)
        self.assertEqual(result.status, 66)
        self.assertEqual(len(json.loads(result.out)), 1, "the others are looked at all the same")
        self.fails(64, "doctor")

    def test_anybody_may_replace_its_files(self):
        self.place.chmod(0o777)
        report = self.look()
        self.assertFalse(report["directory"]["lockspace"])
        self.assert_says("chmod o-w", self.findings(report, "problem")[0])
        guest = self.guest("halt")
        self.refused(77, "vm", *self.drive(guest), options=("--lockspace", str(self.place)))
        self.place.chmod(0o1777)
        self.assertTrue(self.look()["directory"]["lockspace"])

    def test_one_that_may_not_be_written_to(self):
        need_root()
        self.dir.chmod(0o755)
        self.place.chmod(0o755)
        self.lock_file(1, record("gone"), 0o644)
        result = self.vmlatch("doctor", "--json", self.place, user=65534, group=65534, extra_groups=[])
        self.assertEqual(result.status, 77, result)
        report = underscored(json.loads(result.out))[0]
        self.assertEqual(report["verdict"], "untried")
        self.assertNotIn("tried", report)
        self.assert_says("Permission denied.*not tried", self.findings(report, "problem")[0])
        self.assertEqual(report["lock_files"]["left_behind"], 1, "the rest is done")


class LockFiles(Place):
    def test_of_a_running_vm_and_of_one_that_was_killed(self):
        """The live one's lock is neither taken nor lost; the dead one's record is named."""
        (self.place / "space").mkdir(mode=0o700)
        options = ("--lockspace", str(self.place), "--host-name", "kvm1")
        live = self.running("live", *self.drive(self.guest("halt", "live.img")),
                            options=(*options, "--lease", "space:key"))
        dead = self.running("dead", *self.drive(self.guest("halt", "dead.img")), options=options)
        qemu = dead.kill_supervisor()
        self.kill(qemu)
        report = self.look()
        self.assertEqual(report["lock_files"], {"count": 3, "locked": 2, "left_behind": 1, "more": False})
        name = hashlib.sha256(str(self.dir / "dead.img").encode()).hexdigest()
        self.assert_says(rf"^{name} says that VM 'dead' \(host kvm1, pid {qemu}, since .*\) holds it, "
                         "but nobody does: it ended without giving it back",
                         self.findings(report, "warning")[0])
        self.assertEqual(len(report["findings"]), 1)
        live.wait_state(run="running", lock="held")
        self.assert_held(self.place / "space" / "key")

    def test_hostile_ones_are_told_and_left_alone(self):
        secret = self.dir / "secret"
        secret.write_text("x")
        os.symlink(secret, self.place / NAMES[0])
        os.mkfifo(self.place / NAMES[1], 0o600)
        (self.place / NAMES[2]).mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.place / NAMES[3]))
        os.link(secret, self.place / NAMES[4])
        self.lock_file(5, "vmlatch 1 gen=\x1b[31m\0")
        self.lock_file(6, "#!/bin/sh\n")
        self.lock_file(7, mode=0o666)
        self.lock_file(8, record("evil\\x1b[31mname", host="h\\x0a"))
        self.lock_file(9, "vmlatch " * 100000)
        (self.place / "ino-12").symlink_to("/dev/zero")
        (self.place / "lease").mkdir()
        os.mkfifo(self.place / "lease" / "fifo")
        (self.place / "lease" / "loop").symlink_to(".")
        (self.place / "away").symlink_to("/")
        before = {path: path.lstat().st_mtime_ns for path in self.place.rglob("*")}
        began = time.monotonic()
        report = self.look()
        self.assertLess(time.monotonic() - began, 20)
        said = "\n".join(self.findings(report))
        for number, what in enumerate(("a symbolic link", "a FIFO", "a directory", "a socket", "hard links",
                                       "damaged record", "something else", "mode 0666",
                                       r"VM 'evil\\x1b\[31mname' \(host h\\x0a", "damaged record")):
            self.assert_says(f"{NAMES[number]} .*{what}", said)
        self.assert_says("ino-12 is a symbolic link", said)
        self.assertEqual(report["lock_files"]["count"], 11)
        after = {path: path.lstat().st_mtime_ns for path in self.place.rglob("*")}
        self.assertEqual(after, before)

    def test_many_are_counted(self):
        for number in range(40):
            self.lock_file(number, mode=0o644)
        report = self.look()
        self.assertEqual((len(report["findings"]), report["left_out"]), (20, 20))
        self.assert_says("and +20 more\n", self.text)

    def test_a_foreign_owner_and_a_lost_lock(self):
        need_root()
        os.chown(self.lock_file(1), 65534, 65534)
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        with open(f"/proc/{os.getpid()}/stat", encoding="ascii") as file:
            start = file.read().rsplit(")", 1)[1].split()[19]
        self.lock_file(2, record("lost", boot=boot, pid=os.getpid(), start=start))
        self.lock_file(3, record("away"))
        report = self.look()
        problems = "\n".join(self.findings(report, "problem"))
        self.assert_says(rf"{NAMES[1]} belongs to another user \(uid 65534\)", problems)
        self.assert_says(rf"{NAMES[2]} says that VM 'lost' .*still runs, without this lock", problems)
        self.assert_says("that host went down, or its locks do not reach this one",
                         self.findings(report, "warning")[0])
        with locks.Held(self.place / NAMES[3]) as held:
            self.assertTrue(held.got)
            self.assertEqual(self.look()["lock_files"]["locked"], 1)


class FileSystems(Place):
    """Mounts of a namespace that ends with the doctor."""

    def mounted(self, script, path=None, status=0):
        need_root()
        # $1: the place, $2: a second one, $3: room for an image
        (self.dir / "second").mkdir(exist_ok=True)
        result = subprocess.run(
            ["unshare", "-m", "--propagation", "private", "sh", "-euc",
             f'{{ {script}; }} >&2 || exit 99; status=0; "$0" doctor --json "${{4:-$1}}" || status=$?;'
             ' ls -A "$1" >&2; exit $status',
             VMLATCH, self.place, self.dir / "second", self.dir / "fs.img", str(path or self.place)],
            capture_output=True, text=True, env=self.environment, timeout=60, check=False)
        if result.returncode == 99:
            missing(f"mount ({result.stderr.strip()})")
        self.assertEqual(result.returncode, status, result)
        self.assertNotIn(".vmlatch-doctor", result.stderr, "its file stays")
        return underscored(json.loads(result.stdout))[0]

    def test_memory(self):
        report = self.mounted('mount -t tmpfs "my source" "$1"')
        self.assertEqual(report["file_system"], {"type": "tmpfs", "mount_point": str(self.place),
                                                 "source": "my source", "options": ""})
        self.assertEqual(report["verdict"], "host")
        self.assertNotIn("second_mount", report["tried"])

    def test_a_second_mount_of_the_same_directory(self):
        for path in (self.place, self.place / "below"):
            report = self.mounted('mount -t tmpfs t "$1"; mkdir "$1/below"; mount --bind "$1" "$2"', path)
            below = path.relative_to(self.place)
            self.assertEqual(report["tried"]["second_mount"], {
                "path": str(self.dir / "second" / below), "exclude": True, "libvirt": True})

    def test_a_second_mount_of_a_part_of_it(self):
        report = self.mounted('mount -t tmpfs t "$1"; mkdir "$1/below"; mount --bind "$1/below" "$2"',
                              self.place / "below")
        self.assertEqual(report["tried"]["second_mount"]["path"], str(self.dir / "second"))

    def test_a_second_mount_that_shows_something_else(self):
        report = self.mounted('mount -t tmpfs t "$1"; mount --bind "$1" "$2"; mount -t tmpfs u "$2"')
        self.assertNotIn("second_mount", report["tried"])

    def test_no_attributes(self):
        report = self.mounted('mount -t ramfs r "$1"')
        self.assertEqual((report["verdict"], report["tried"]["attribute_bytes"]), ("host", 0))
        self.assert_says("keep no record", "\n".join(self.findings(report, "warning")))

    def test_read_only(self):
        report = self.mounted('mount -t tmpfs t "$1" -o ro', status=77)
        self.assertEqual((report["verdict"], report["file_system"]["options"]), ("untried", "ro"))

    def test_an_overlay(self):
        need_file_system("overlay")
        report = self.mounted('mount -t tmpfs t "$2"; mkdir "$2/up" "$2/work" "$2/low"; mount -t overlay o "$1" '
                              '-o "lowerdir=$2/low,upperdir=$2/up,workdir=$2/work"')
        self.assertEqual((report["file_system"]["type"], report["verdict"]), ("overlay", "host"))

    def test_ext4_with_small_blocks(self):
        report = self.mounted('truncate -s 8M "$3"; mkfs.ext4 -q -b 1024 "$3"; mount -o loop "$3" "$1"')
        self.assertEqual(report["file_system"]["type"], "ext4")
        self.assertEqual(report["tried"]["attribute_bytes"], 512)
        self.assert_says("very long names", self.findings(report, "note")[0])

    def test_of_blocks(self):
        for form in ("btrfs", "xfs"):
            self.need(form, f"mkfs.{form}")
            report = self.mounted(f'truncate -s 300M "$3"; mkfs.{form} -q "$3"; mount -o loop "$3" "$1"')
            self.assertEqual((report["file_system"]["type"], report["verdict"]), (form, "host"))
            self.assertEqual(report["tried"]["locks"], {"exclude": True, "libvirt": True})
            self.assertEqual(report["findings"], [])
            (self.dir / "fs.img").unlink()

    def test_that_are_never_written(self):
        for form, make in (("squashfs", "mksquashfs"), ("erofs", "mkfs.erofs")):
            self.need(form, make)
            words = '"$2" "$3"' if form == "squashfs" else '"$3" "$2"'
            report = self.mounted(f'{make} {words}; mount -o loop "$3" "$1"', status=77)
            self.assertEqual((report["file_system"]["type"], report["verdict"]), (form, "untried"))
            self.assertEqual(report["other_hosts"]["answer"], "no")
            (self.dir / "fs.img").unlink()

    def need(self, form, make):
        need_file_system(form)
        if not shutil.which(make):
            missing(make)

    def test_a_full_disk(self):
        report = self.mounted('mount -t tmpfs t "$1" -o size=64k; head -c 1M /dev/zero >"$1/f" 2>&- || :')
        self.assertTrue(report["tried"]["locks"]["exclude"])
        self.assert_says("cannot be written to", "\n".join(self.findings(report, "warning")))

    def test_it_is_found_where_many_are_mounted_on_each_other(self):
        report = self.mounted('mount -t tmpfs under "$1"; mount -t tmpfs above "$1"')
        self.assertEqual(report["file_system"]["source"], "above")


if __name__ == "__main__":
    main()
