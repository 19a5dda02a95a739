#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`vmlatch check`: what would be locked, why, who has it, and what QEMU would get."""

import hashlib
import json
import os
import re
import subprocess

import procfs
from vmtest import AS_ROOT, MACHINE, QEMU, VmTest, main, need_root


class Check(VmTest):
    def check(self, *words, options=(), status=0):
        """The text and the JSON of one command line."""
        command = ("check", *options, "--", QEMU, *MACHINE, "-no-user-config", *words)
        text = self.vmlatch(*command)
        self.assertEqual(text.status, status, text)
        result = self.vmlatch("check", "--json", *command[1:])
        self.assertEqual(result.status, status, result)
        return text.out, json.loads(result.out)

    @staticmethod
    def of(report, path):
        return next(item for item in report["resources"] if item["path"] == str(path))

    def chain(self):
        base, middle = self.disk("base.raw"), self.qcow2("middle.qcow2", backing=self.dir / "base.raw")
        top = self.dir / "top.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", middle, "-F", "qcow2",
                        "-o", f"data_file={self.dir}/data.raw", top], check=True)
        self.images += [top, self.dir / "data.raw"]
        return base, middle, top

    def test_tells_the_argument_and_the_chain(self):
        base, middle, top = self.chain()
        argument = f"-drive file={top},if=virtio"
        text, report = self.check(*argument.split(" "))
        for path, mode, why, through in [
                (top, "exclusive", "QEMU may write to it", []),
                (self.dir / "data.raw", "exclusive", "QEMU may write to it", [("data file", top)]),
                (middle, "reader", "a backing file is only read", [("backing file", top)]),
                (base, "reader", "a backing file is only read",
                 [("backing file", middle), ("backing file", top)])]:
            with self.subTest(path.name):
                item, info = self.of(report, path), path.stat()
                self.assertEqual((item["mode"], item["why"], item["argument"]), (mode, why, argument))
                self.assertEqual([(link["role"], link["of"]) for link in item["through"]],
                                 [(role, str(of)) for role, of in through])
                self.assertEqual((item["dev"], item["ino"]), (info.st_dev, info.st_ino))
                self.assertIn(f"  {mode:9} {path} ({item['format']}): free\n"
                              f"            named by  {argument}\n", text)
                self.assertIn(f"inode {info.st_ino} of device {os.major(info.st_dev)}:", text)
        self.assertIn(f"            through   backing file of {middle}\n"
                      f"                      backing file of {top}\n", text)

    def test_names_the_holder_also_where_another_disk_cannot_be_locked(self):
        held, odd, lockspace = self.disk("held.raw"), self.disk("odd.raw"), self.dir / "locks"
        self.running("reader", *self.drive(held, "readonly=on", interface="virtio"))
        lockspace.mkdir(mode=0o700)
        os.mkfifo(lockspace / hashlib.sha256(str(odd).encode()).hexdigest())
        result = self.vmlatch("check", "--lockspace", lockspace, "--", QEMU, *MACHINE,
                              *self.drive(odd), *self.drive(held))
        self.assertNotIn(result.status, (0, 75))
        self.assert_says("held.raw .*: in use by VM 'reader'", result.out)

    def test_tells_why_a_lock_is_as_it_is(self):
        disk, more = self.disk("disk"), self.qcow2("more.qcow2")
        share = ("-device", "virtio-blk-pci,drive=d,share-rw=on")
        for words, mode, why in [
                ((*self.drive(disk, "id=d", interface="none"), *share), "shared",
                 "each device that uses it has share-rw=on"),
                (self.drive(disk, "media=cdrom"), "reader", "read-only, a CD-ROM, or the base of a snapshot"),
                (self.drive(disk, "snapshot=on"), "reader", "read-only, a CD-ROM, or the base of a snapshot"),
                ((*self.drive(more, "id=d", interface="none", form="qcow2"), *share), "exclusive",
                 "share-rw=on, but the metadata of its format cannot be shared"),
                (("-blockdev", f"driver=file,filename={disk},node-name=d,auto-read-only=on",
                  "-device", "ide-cd,drive=d"), "reader", "only CD-ROM drives use it")]:
            with self.subTest(words):
                text, report = self.check(*words)
                [item] = report["resources"]
                self.assertEqual((item["mode"], item["why"]), (mode, why))
                self.assertIn(f"why       {why}\n", text)

    def test_names_the_holder_of_a_lock_that_has_no_record(self):
        base = self.disk("base.raw")
        holder = self.running("reader", *self.drive(self.guest("halt")), *self.drive(base, "readonly=on",
                                                                                  interface="virtio"))
        text, report = self.check(*self.drive(base), status=75)
        self.assertEqual(report["resources"][0]["holder"]["vm"], holder.name)
        self.assertFalse(report["resources"][0]["free"])
        self.assert_says(r"base.raw \(raw\): in use by VM 'reader'", text)

    def test_of_a_call_that_starts_no_vm(self):
        self.assert_says("starts no VM", self.does("check", "--", QEMU, "-version"))
        self.assertEqual(json.loads(self.does("check", "--json", "--", QEMU, "-version")), {"starts-vm": False})
        self.assertTrue(self.check(*self.drive(self.disk("disk")))[1]["starts-vm"])

    def test_of_the_driver_that_locks_nothing_says_so(self):
        text, _ = self.check(*self.drive(self.disk("disk")), options=("--lock", "nop"))
        self.assertIn("the driver 'nop' locks nothing\n", text)
        self.assertNotIn("file system", text)

    def test_65_for_what_is_not_understood(self):
        bad = self.disk("bad.qcow2")
        bad.write_bytes(b"QFI\xfb\0\0\0\3" + bytes(96))
        self.fails(65, "check", "--", QEMU, "-hda", bad)
        self.fails(65, "check", "--start", "direct", "--", QEMU, "-drive", f"driver=unheard-of,file.filename={bad}")

    def test_shows_what_qemu_gets(self):
        disk = self.guest("halt")
        for name, words in [("verified", ()), ("direct", ("-monitor", "null", "-serial", "mon:null", "-qmp",
                                                          f"unix:{self.dir}/q,server=on,wait=off"))]:
            with self.subTest(name):
                _, report = self.check(*self.drive(disk), *words)
                self.assertEqual(report["start"], name)
                vm = self.running(name, "-no-user-config", *self.drive(disk), *words)
                got = [re.sub("^/dev/fd/[0-9]+$", "/dev/fd/N", word) for word in procfs.argv(vm.qemu)]
                self.assertEqual(report["argv"], got)
                self.does("stop", name)

    def test_tells_that_the_process_becomes_qemu(self):
        for options, words in [(("--in-place",), ()), ((), ("-daemonize",))]:
            with self.subTest(options=options, words=words):
                text, report = self.check(*self.drive(self.disk("disk")), *words, options=options)
                self.assertTrue(report["in-place"])
                self.assertIn("becomes QEMU", text)
        self.assertNotIn("becomes QEMU", self.check(*self.drive(self.dir / "disk"))[0])

    def test_tells_whether_it_would_be_pinned(self):
        disk = self.drive(self.disk("disk"))
        text, report = self.check(*disk)
        self.assertEqual(report["pinned"], [])
        self.assertIn("\nnot pinned, its locks are given back at a pause: stop, watchdog, io-error\n", text)
        text, report = self.check(*disk, options=("--release-on", "watchdog"))
        self.assertIn("\nnot pinned, its locks are given back at a pause: watchdog\n", text)
        text, report = self.check(*disk, "-monitor", "stdio")
        self.assertEqual(len(report["pinned"]), 1)
        self.assert_says("(?m)^pinned, .*-monitor stdio: .*vmlatch's own", text)

    def warned(self, sentence, *words, **more):
        text, report = self.check(*words, **more)
        self.assertTrue(any(re.search(sentence, warning) for warning in report["warnings"]), report["warnings"])
        self.assert_says(f"(?m)^warning: .*{sentence}", text)

    def test_warns(self):
        disk = self.disk("disk")
        os.link(disk, self.dir / "twin")
        plain = self.drive(disk, "id=d", interface="none")
        share = ("-device", "virtio-blk-pci,drive=d,share-rw=on")
        direct = (f"driver=file,filename={disk},node-name=d", ",cache.direct=on")
        for sentence, words in [
                ("disk and .*twin are one file", (*self.drive(disk), *self.drive(self.dir / "twin"))),
                ("locking=off", self.drive(disk, "file.locking=off")),
                ("locking=off", ("-blockdev", json.dumps({"driver": "raw", "node-name": "d", "file": {
                    "driver": "file", "filename": str(disk), "locking": "off"}}))),
                ("cache=unsafe", self.drive(disk, "cache=unsafe")),
                ("cache=unsafe", (*plain, "-set", "drive.d.cache=unsafe")),
                ("cache=unsafe", ("-blockdev", direct[0] + ",cache.no-flush=on")),
                ("page cache", (*plain, *share)),
                ("page cache", ("-blockdev", direct[0], *share))]:
            with self.subTest(words):
                self.warned(sentence, *words)
        for words in [self.drive(disk), self.drive(disk, "cache=none", "file.locking=on"),
                      (*self.drive(disk, "id=d", "cache=none", interface="none"), *share),
                      (*plain, "-set", "drive.d.cache=off", *share),
                      ("-blockdev", "".join(direct), *share)]:
            with self.subTest(words):
                self.assertEqual(self.check(*words, options=AS_ROOT)[1]["warnings"], [])

    def test_warns_of_images_that_stay_locked_at_a_pause(self):
        self.disk("boot.vdi")
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vdi", self.guest("halt"),
                        self.dir / "boot.vdi"], check=True)
        drive = self.drive(self.dir / "boot.vdi", form="vdi")
        self.warned("boot.vdi: QEMU cannot let go of a vdi image", *drive)
        self.running("vdi", *drive)
        self.fails(69, "pause", "vdi")
        self.does("stop", "vdi")
        self.qcow2("boot.qcow2", source=self.dir / "halt.img")
        drive = self.drive(self.dir / "boot.qcow2", form="qcow2")
        self.assertEqual(self.check(*drive, options=AS_ROOT)[1]["warnings"], [])
        self.warned("with --deactivate=no QEMU keeps the metadata", *drive, options=("--deactivate", "no"))
        self.running("kept", *drive, options=("--deactivate", "no"))
        self.fails(69, "pause", "kept")

    def test_says_when_qemu_will_refuse_what_it_may_not_write(self):
        """Each form as a real QEMU of that user takes it."""
        need_root()
        raw, qcow2 = self.disk("raw"), self.qcow2("qcow2")
        for path in (raw, qcow2):
            path.chmod(0o444)
        drive, virtio = f"file={raw},format=raw", ("-device", "virtio-blk-pci,drive=d")
        node = f"driver=raw,node-name=d,file.driver=file,file.filename={raw}"
        for words, refuses in [
                (("-drive", f"{drive},if=virtio"), True), (("-hda", raw), True),
                (("-drive", f"{drive},if=none,id=d", *virtio), True),
                (("-drive", f"{drive},if=none"), False),
                (("-drive", f"{drive},if=none,id=d", "-device", "ide-cd,drive=d"), False),
                (("-drive", f"{drive},if=virtio,readonly=on"), False),
                (("-drive", f"{drive},if=none,auto-read-only=off"), True),
                (("-drive", f"file={qcow2},if=none"), True), (("-drive", f"file={qcow2},if=virtio,snapshot=on"), False),
                (("-blockdev", node), True), (("-blockdev", f"{node},read-only=on", *virtio), False),
                (("-blockdev", f"{node},auto-read-only=on"), False),
                (("-blockdev", f"{node},auto-read-only=on", *virtio), True)]:
            with self.subTest(words=words):
                _, report = self.check(*words, options=("--user", "nobody"))
                said = [line for line in report["warnings"] if "will not start" in line]
                self.assertEqual(bool(said), refuses, report["warnings"])
                done = subprocess.run([QEMU, *MACHINE, "-no-user-config", "-S", "-monitor", "stdio", *map(str, words)],
                                      env=dict(os.environ, TMPDIR="/var/tmp"), input=b"quit\n", user=65534, group=65534,
                                      extra_groups=[], timeout=60, capture_output=True, check=False)
                self.assertEqual(b"Permission denied" in done.stderr, refuses, done)

    def test_a_descriptor_that_writes_needs_no_right_to_open(self):
        need_root()
        raw = self.disk("raw")
        raw.chmod(0o600)
        with open(raw, "r+b") as writes, open(raw, "rb") as reads:
            fds = [writes.fileno(), reads.fileno()]
            sets = [word for fd in fds for word in ("-add-fd", f"fd={fd},set=1")]
            done = self.vmlatch("check", "--json", "--user", "nobody", "--", QEMU, *MACHINE, *sets,
                                "-drive", "file=/dev/fdset/1,format=raw,if=virtio", pass_fds=fds)
        report = json.loads(done.out)
        self.assertEqual([disk["mode"] for disk in report["resources"]], ["exclusive"], done)
        self.assertNotIn("will not start", done.out)


if __name__ == "__main__":
    main()
