# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `vmlatch check` names is what a real QEMU opens: the same files in the same modes, for each form that a
command line can have (command_lines.py)."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest
from stat import S_ISDIR

from command_line_images import make_images
from command_lines import CASES, DRIVE
from command_lines_more import MORE_CASES
from vmtest import missing, need_root

VMLATCH = os.environ.get('VMLATCH', 'vmlatch')
QEMU = os.environ.get('VMLATCH_QEMU', 'qemu-system-x86_64')
COMMON = ['-nodefaults', '-display', 'none', '-accel', 'tcg']
DEADLINE_S = 60
DEFAULT_CONFIG = '/etc/qemu/qemu.conf'


class Qemu:
    """A QEMU that has opened its images and runs no instruction."""

    def __init__(self, arguments, descriptors, wrapper):
        self.socket, theirs = socket.socketpair()
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            self.process = subprocess.Popen(
                [*wrapper, QEMU, *COMMON, '-S',
                 '-chardev', f'socket,id=test,fd={theirs.fileno()}', '-mon', 'chardev=test,mode=control', *arguments],
                pass_fds=[theirs.fileno(), *descriptors], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.socket.settimeout(DEADLINE_S)
        self.stream = self.socket.makefile('rw', encoding='utf-8')

    def command(self, name, **arguments):
        self.stream.write(json.dumps({'execute': name, 'arguments': arguments}))
        self.stream.flush()
        while True:
            line = self.stream.readline()
            reply = json.loads(line) if line else None
            if reply is None or 'return' in reply or 'error' in reply:
                return reply

    def wait_for_start(self):
        """The words of a QEMU that refused, else None."""
        if not self.stream.readline() or not self.command('qmp_capabilities'):
            return self.process.communicate(timeout=DEADLINE_S)[1].decode(errors='replace')
        return None

    def open_files(self, directory, inherited):
        """{(dev, ino): is one of them writable} of regular files below @directory that QEMU has opened itself."""
        found = {}
        base = f'/proc/{self.process.pid}/fd'
        for number in os.listdir(base):
            target = os.readlink(os.fsencode(f'{base}/{number}'))
            if int(number) in inherited or not target.startswith(os.fsencode(directory) + b'/') or \
                    target.endswith(b'(deleted)'):
                continue
            stat = os.stat(f'{base}/{number}')
            if S_ISDIR(stat.st_mode):
                continue
            with open(f'/proc/{self.process.pid}/fdinfo/{number}', encoding='ascii') as file:
                flags = int(file.read().split('flags:')[1].split()[0], 8)
            key = (stat.st_dev, stat.st_ino)
            found[key] = found.get(key, False) or flags & os.O_ACCMODE != os.O_RDONLY
        return found

    def close(self):
        self.stream.close()
        self.socket.close()
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


class Descriptors:
    """What a case has open for QEMU: r.raw, and its config."""

    def __init__(self, special):
        self.names = {'@r@': os.open('r.raw', os.O_RDONLY), '@w@': os.open('r.raw', os.O_RDWR),
                      '@m@': os.open('r.dmg', os.O_RDWR)}
        self.special = special
        self.config = -1

    def config_open(self):
        """A new one each time: a pipe is empty after it was read."""
        text = self.fill(self.special.get('pipe') or self.special.get('config') or '').encode()
        if self.config >= 0:
            os.close(self.config)
        if 'pipe' in self.special:
            self.config, end = os.pipe()
            os.write(end, text)
            os.close(end)
        else:
            with open('config', 'wb') as file:
                file.write(text)
            self.config = os.open('config', os.O_RDONLY)

    def fill(self, word):
        if isinstance(word, bytes):
            return word
        for name, number in self.names.items():
            word = word.replace(name, str(number))
        return word.replace('@c@', f'/dev/fd/{self.config}')

    def numbers(self):
        return [*self.names.values(), self.config]

    def close(self):
        for number in self.numbers():
            os.close(number)


class CommandLines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which('qemu-img'):
            missing('qemu-img')
        cls.directory = os.path.realpath(tempfile.mkdtemp(prefix='vmlatch-command-lines-'))
        cls.back = os.getcwd()
        os.chdir(cls.directory)
        os.mkdir('runtime')
        make_images()

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.back)
        shutil.rmtree(cls.directory)

    def found_by_us(self, arguments, descriptors, wrapper):
        """{(dev, ino): (path, is it written)}"""
        out = subprocess.run([*wrapper, VMLATCH, 'check', '--json', '--', QEMU, *COMMON, *arguments],
                             pass_fds=descriptors, capture_output=True, timeout=DEADLINE_S, check=False,
                             stdin=subprocess.DEVNULL, env={**os.environ, 'VMLATCH_RUNTIME_DIR': 'runtime'})
        self.assertEqual(out.returncode, 0, out.stderr)
        report = json.loads(out.stdout)
        self.assertFalse([words for words in report['warnings'] if 'understand' in words or 'not found' in words])
        return {(r['dev'], r['ino']): (r['path'], r['mode'] != 'reader') for r in report['resources']}

    def opened_by_qemu(self, arguments, descriptors, wrapper):
        qemu = Qemu(arguments, descriptors, wrapper)
        try:
            self.assertIsNone(qemu.wait_for_start())
            return qemu.open_files(self.directory, descriptors)
        finally:
            qemu.close()

    def compare(self, arguments, special, wrapper=()):
        descriptors = Descriptors(special)
        try:
            results = []
            for look in (self.found_by_us, self.opened_by_qemu):
                descriptors.config_open()
                words = [descriptors.fill(word) for word in arguments]
                results.append(look(words, descriptors.numbers(), wrapper))
        finally:
            descriptors.close()
        ours, theirs = results
        for name in special.get('not_disks', []):
            theirs.pop((os.stat(name).st_dev, os.stat(name).st_ino))
        names = {key: os.path.relpath(path, self.directory) for key, (path, _) in ours.items()}
        self.assertFalse([key for key in theirs if key not in ours],
                         f'QEMU opened what we have not found; we found {names}')
        self.assertFalse([names[key] for key in ours if key not in theirs], 'QEMU has not opened these')
        if 'later' not in special:
            self.assertEqual({names[key]: written for key, (_, written) in ours.items()},
                             {names[key]: written for key, written in theirs.items()}, 'writable')

    def check(self, *words):
        return subprocess.run([VMLATCH, 'check', *words], capture_output=True, text=True, timeout=DEADLINE_S, check=False,
                              stdin=subprocess.DEVNULL, env={**os.environ, 'VMLATCH_RUNTIME_DIR': 'runtime'})

    def test_what_is_not_understood_is_left_to_qemus_graph_or_refused(self):
        for arguments in (['-blockdev', 'driver=newest,node-name=d,file.driver=file,file.filename=r.raw'],
                          ['-drive', 'file=r.raw,format=vmdk'], ['-drive', 'file=newest:r.raw'],
                          ['-drive', 'driver=qcow2,file.driver=raw,file.offset=65536,file.file.filename=r.raw'],
                          ['-drive', 'file.driver=qcow2,file.file.filename=q.qcow2'],
                          ['-drive', 'file=shifted.vmdk,format=vmdk,extents.0.driver=raw,extents.0.offset=4096'],
                          ['-drive', 'file=shifted.vmdk,format=vmdk,extents.0.driver=qcow2'],
                          ['-add-fd', 'fd=x', 'r.raw'], ['-readconfig', 'dir', 'r.raw']):
            with self.subTest(arguments=arguments):
                words = ['--', QEMU, *COMMON, '-no-user-config', *arguments]
                verified, direct = self.check('--start', 'verified', *words), self.check('--start', 'direct', *words)
                self.assertEqual(verified.returncode, 0, verified.stderr)
                self.assertIn('warning: ', verified.stdout)
                self.assertEqual(direct.returncode, 65, direct.stderr)

    def test_what_is_no_disk_is_no_matter(self):
        for arguments in (['-kernel', 'gone', '-initrd', 'gone', '-append', 'gone'], ['-usbdevice', 'tablet'],
                          ['-chardev', 'socket,id=c,path=gone'], ['-tpmdev', 'emulator,id=t,chardev=c'],
                          ['-object', 'secret,id=s,file=gone'], ['-incoming', 'exec:cat gone'], ['-loadvm', 'gone'],
                          ['-device', 'vhost-user-fs-pci,chardev=c,tag=t'], ['-bios', 'gone', '-L', 'gone']):
            with self.subTest(arguments=arguments):
                done = self.check('--json', '--require-locks', '--', QEMU, *COMMON, '-no-user-config', *arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(json.loads(done.stdout)['resources'], [])

    def test_the_default_config(self):
        """In a namespace of its own, where /etc has one."""
        need_root()
        shutil.copytree('/etc', 'etc', symlinks=True, ignore_dangling_symlinks=True,
                        ignore=lambda *_: {'shadow', 'gshadow', 'ssl'})
        os.makedirs('etc/qemu', exist_ok=True)
        with open('etc/qemu/qemu.conf', 'w', encoding='ascii') as file:
            file.write(DRIVE)
        wrapper = ['unshare', '-m', 'sh', '-c', 'mount --bind etc /etc && exec "$@"', 'sh']
        if subprocess.run([*wrapper, 'test', '-f', DEFAULT_CONFIG], check=False).returncode:
            missing('a mount namespace')
        for arguments in ([], ['-set', 'drive.d.file=s.raw'], ['-snapshot'], ['-no-user-config', 'q.qcow2']):
            with self.subTest(arguments=arguments):
                self.compare(arguments, {}, wrapper)


def case_test(arguments, special):
    def test(self):
        self.compare(['-no-user-config', *arguments], special)
    return test


ALL_CASES = CASES + MORE_CASES
assert len({name for name, *_ in ALL_CASES}) == len(ALL_CASES) >= 150
for case_name, case_arguments, *case_special in ALL_CASES:
    setattr(CommandLines, 'test_' + case_name, case_test(case_arguments, *(case_special or [{}])))


if __name__ == '__main__':
    unittest.main()
