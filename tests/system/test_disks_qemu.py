# SPDX-License-Identifier: LGPL-2.1-or-later
"""What disks-dump finds in a command line is what a real QEMU opens: the same files, the same modes."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

DUMP = os.environ['DISKS_DUMP']
QEMU = os.environ.get('VMLATCH_QEMU', 'qemu-system-x86_64')
DEADLINE_S = 60


def img(*args):
    subprocess.run(['qemu-img', 'create', '-q', '-u', *args], check=True)


def forget_backing_format(name):
    """As old images are; today's qemu-img makes none. The extension becomes one that QEMU does not know."""
    with open(name, 'r+b') as file:
        header = file.read(4096)
        file.seek(header.index(b'\xe2\x79\x2a\xca'))
        file.write(b'none')


def make_images():
    """In the current directory."""
    os.mkdir('sub')
    os.mkdir('dir')
    for name in ('r.raw', 's.raw', 'a,b.raw', 'x:y.raw', 'sub/r.raw', 'b ü.raw', 'l.raw', 'd.raw'):
        with open(name, 'wb') as file:
            file.truncate(1 << 20)
    os.link('l.raw', 'l2.raw')
    os.symlink('sub/over.qcow2', 'link.qcow2')
    with open('flash.fd', 'wb') as file:
        file.truncate(4 << 20)
    img('-f', 'qcow2', 'q.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'q.qcow2', '-F', 'qcow2', 'o1.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'o1.qcow2', '-F', 'qcow2', 'o2.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'r.raw', '-F', 'raw', 'overraw.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'q.qcow2', '-F', 'qcow2', 'noformat.qcow2', '1M')
    forget_backing_format('noformat.qcow2')
    img('-f', 'qcow2', '-b', 'q.qcow2', '-F', 'raw', 'asraw.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'r.raw', '-F', 'raw', 'sub/over.qcow2', '1M')
    os.symlink('../r.raw', 'sub/up.raw')
    img('-f', 'qcow2', '-b', 'up.raw', '-F', 'raw', 'sub/up.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'file:r.raw', '-F', 'raw', 'sub/prefix.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'json:{"driver":"qcow2","file":{"driver":"file","filename":"q.qcow2"}}',
        '-F', 'qcow2', 'sub/json.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'json:{"driver":"raw","file.filename":"r.raw"}', '-F', 'raw', 'json2.qcow2', '1M')
    img('-f', 'qcow2', '-b', os.path.abspath('r.raw'), '-F', 'raw', 'abs.qcow2', '1M')
    img('-f', 'qcow2', '-o', 'compat=0.10', '-b', 'r.raw', '-F', 'raw', 'v2.qcow2', '1M')
    img('-f', 'qcow2', '-o', 'cluster_size=512', '-b', 'r.raw', '-F', 'raw', 'small.qcow2', '1M')
    img('-f', 'qcow2', '-o', 'data_file=d.raw', 'data.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'data.qcow2', '-F', 'qcow2', 'overdata.qcow2', '1M')
    img('-f', 'qed', '-b', 'r.raw', '-F', 'raw', 'e.qed', '1M')
    img('-f', 'qcow', '-b', 'r.raw', '-F', 'raw', 'c.qcow', '1M')
    for fmt in ('vdi', 'vhdx', 'vpc', 'parallels', 'vmdk'):
        subprocess.run(['qemu-img', 'create', '-q', '-f', fmt, 'i.' + fmt, '4M'], check=True)
    with open('blkdebug.conf', 'w', encoding='ascii') as file:
        file.write('')


VIRTIO = ['-device', 'virtio-blk-pci,drive=d']


def blockdev(**node):
    return ['-blockdev', json.dumps(node).replace('_', '-')]


# The third: 'later' where QEMU opens for writing only when somebody begins to write.
CASES = [
    ('a_bare_word', ['r.raw']),
    ('hda', ['-hda', 'q.qcow2']),
    ('two_dashes', ['--hda', 'q.qcow2']),
    ('four_disks', ['-hda', 'r.raw', '-hdb', 's.raw', '-hdc', 'q.qcow2', '-hdd', 'sub/r.raw']),
    ('hda_takes_commas_raw', ['-hda', 'a,b.raw']),
    ('cdrom', ['-cdrom', 'r.raw']),
    ('floppies', ['-fda', 'r.raw', '-fdb', 's.raw']),
    ('pflash', ['-pflash', 'flash.fd']),
    ('pflash_read_only', ['-drive', 'if=pflash,format=raw,readonly=on,file=flash.fd']),
    ('pflash_by_machine', ['-blockdev', 'driver=file,filename=flash.fd,node-name=fl', '-machine', 'pc,pflash0=fl']),
    ('drive', ['-drive', 'file=q.qcow2']),
    ('drive_virtio', ['-drive', 'file=q.qcow2,if=virtio,format=qcow2']),
    ('drive_raw_over_qcow2_is_raw', ['-drive', 'file=o2.qcow2,format=raw']),
    ('drive_with_a_comma', ['-drive', 'file=a,,b.raw,format=raw']),
    ('drive_last_file_wins', ['-drive', 'file=s.raw,format=raw,file=r.raw']),
    ('drive_read_only', ['-drive', 'file=o2.qcow2,if=virtio,readonly=on']),
    ('drive_read_only_dashed', ['-drive', 'file=o2.qcow2,if=virtio,read-only=on']),
    ('drive_bare_readonly', ['-drive', 'file=r.raw,format=raw,if=virtio,readonly']),
    ('drive_cdrom', ['-drive', 'file=r.raw,format=raw,media=cdrom']),
    ('drive_snapshot', ['-drive', 'file=o2.qcow2,snapshot=on']),
    ('snapshot_of_all', ['-hda', 'r.raw', '-hdb', 'o1.qcow2', '-snapshot']),
    ('snapshot_but_not_this', ['-snapshot', '-drive', 'file=r.raw,format=raw,nosnapshot']),
    ('drive_and_device', ['-drive', 'if=none,id=d,file=q.qcow2', *VIRTIO]),
    ('drive_without_device', ['-drive', 'if=none,id=d,file=q.qcow2'], 'later'),
    ('drive_and_cd_device', ['-drive', 'if=none,id=d,file=r.raw,format=raw', '-device', 'ide-cd,drive=d']),
    ('drive_shared', ['-drive', 'if=none,id=d,file=r.raw,format=raw', '-device', 'virtio-blk-pci,drive=d,share-rw=on']),
    ('drive_dotted_filename', ['-drive', 'file.filename=q.qcow2,if=virtio']),
    ('drive_dotted_driver', ['-drive', 'file.driver=file,file.filename=q.qcow2,driver=qcow2,if=virtio']),
    ('drive_file_and_dotted', ['-drive', 'file=q.qcow2,file.locking=off,if=virtio']),
    ('drive_protocol_driver', ['-drive', 'driver=file,filename=q.qcow2,if=virtio']),
    ('drive_twice_nested', ['-drive', 'driver=qcow2,file.driver=raw,file.file.filename=q.qcow2,if=virtio']),
    ('drive_probe_through_raw', ['-drive', 'file.driver=raw,file.file.filename=q.qcow2,if=virtio']),
    ('drive_file_prefix', ['-drive', 'file=file:r.raw,format=raw']),
    ('drive_file_prefix_with_colon', ['-drive', 'file=file:x:y.raw,format=raw']),
    ('drive_colon_after_slash', ['-drive', 'file=./x:y.raw,format=raw']),
    ('drive_dotted_filename_is_literal', ['-drive', 'file.filename=x:y.raw,format=raw,if=virtio']),
    ('drive_utf8', ['-drive', 'file=b ü.raw,format=raw']),
    ('drive_json', ['-drive', 'file=json:{"driver":"qcow2",,"file":{"driver":"file",,"filename":"o1.qcow2"}}']),
    ('drive_json_dotted', ['-hda', 'json:{"driver":"raw","file.driver":"file","file.filename":"r.raw"}']),
    ('drive_json_single_quotes', ['-hda', "json:{'driver':'raw','file':{'driver':'file','filename':'r.raw'}}"]),
    ('drive_json_probed', ['-hda', 'json:{"file.filename":"q.qcow2"}']),
    ('drive_chain', ['-drive', 'file=o2.qcow2,if=virtio']),
    ('drive_backing_override', ['-drive', 'file=o1.qcow2,if=virtio,backing.driver=raw,backing.file.filename=r.raw']),
    ('drive_backing_driver_only', ['-drive', 'file=o1.qcow2,if=virtio,backing.driver=raw']),
    ('drive_no_backing', ['-drive', 'file=o1.qcow2,if=virtio,backing=']),
    ('drive_set', ['-drive', 'file=s.raw,format=raw,id=d,if=none', '-set', 'drive.d.file=r.raw', *VIRTIO]),
    ('set_a_device', ['-drive', 'file=r.raw,format=raw,id=d,if=none', '-device', 'virtio-blk-pci,id=v',
                      '-set', 'device.v.drive=d']),
    ('blkdebug_name', ['-drive', 'file=blkdebug:blkdebug.conf:q.qcow2,if=virtio']),
    ('blkdebug_empty_config', ['-drive', 'file=blkdebug::o1.qcow2,if=virtio,format=qcow2']),
    ('blkverify_name', ['-drive', 'file=blkverify:r.raw:q.qcow2,if=virtio,format=raw']),
    ('throttle', ['-drive', 'driver=throttle,throttle-group=g,file.filename=q.qcow2,if=virtio',
                  '-object', 'throttle-group,id=g']),
    ('copy_on_read', ['-drive', 'file=o1.qcow2,if=virtio,copy-on-read=on']),
    ('quorum', ['-drive', 'driver=quorum,vote-threshold=1,children.0.file.filename=r.raw,children.0.driver=raw,'
                          'children.1.file.filename=s.raw,children.1.driver=raw,if=virtio']),
    ('null_drive', ['-drive', 'driver=null-co,read-zeroes=on,if=virtio']),
    ('empty_cdrom', ['-drive', 'if=ide,media=cdrom']),
    ('backing_in_a_subdirectory', ['-hda', 'sub/over.qcow2']),
    ('backing_beside_the_link', ['-hda', 'link.qcow2']),
    ('backing_by_a_link', ['-hda', 'sub/up.qcow2']),
    ('backing_with_prefix', ['-hda', 'sub/prefix.qcow2']),
    ('backing_json', ['-hda', 'sub/json.qcow2']),
    ('backing_json_dotted', ['-hda', 'json2.qcow2']),
    ('backing_absolute', ['-hda', 'abs.qcow2']),
    ('backing_without_format', ['-hda', 'noformat.qcow2']),
    ('backing_as_raw', ['-hda', 'asraw.qcow2']),
    ('qcow2_version_2', ['-hda', 'v2.qcow2']),
    ('qcow2_small_clusters', ['-hda', 'small.qcow2']),
    ('qcow2_data_file', ['-hda', 'data.qcow2']),
    ('qcow2_data_file_in_backing', ['-hda', 'overdata.qcow2']),
    ('qcow2_data_file_read_only', ['-drive', 'file=data.qcow2,readonly=on,if=virtio']),
    ('qcow2_data_file_override', ['-drive', 'file=data.qcow2,data-file.driver=file,data-file.filename=s.raw,if=virtio']),
    ('qed', ['-hda', 'e.qed']),
    ('qcow', ['-hda', 'c.qcow']),
    ('vdi', ['-hda', 'i.vdi']),
    ('vhdx', ['-hda', 'i.vhdx']),
    ('vpc', ['-hda', 'i.vpc']),
    ('parallels', ['-drive', 'file=i.parallels,format=parallels']),
    ('vmdk', ['-hda', 'i.vmdk']),
    ('two_names_of_one_inode', ['-drive', 'file=l.raw,format=raw,readonly=on,if=virtio',
                                '-drive', 'file=l2.raw,format=raw,readonly=on,if=virtio']),
    ('one_base_two_overlays', ['-hda', 'o1.qcow2', '-hdb', 'noformat.qcow2']),
    ('blockdev_file', ['-blockdev', 'driver=file,filename=r.raw,node-name=d', *VIRTIO]),
    ('blockdev_dotted', ['-blockdev', 'driver=qcow2,file.driver=file,file.filename=o1.qcow2,node-name=d', *VIRTIO]),
    ('blockdev_comma', ['-blockdev', 'driver=file,filename=a,,b.raw,node-name=d', *VIRTIO]),
    ('blockdev_unused', ['-blockdev', 'driver=raw,file.driver=file,file.filename=r.raw,node-name=d']),
    ('blockdev_json', blockdev(driver='qcow2', node_name='d', file={'driver': 'file', 'filename': 'o2.qcow2'})
        + VIRTIO),
    ('blockdev_json_quotes', ['-blockdev', "{'driver':'file','node-name':'d','filename':'r.raw'}", *VIRTIO]),
    ('blockdev_references', blockdev(driver='file', node_name='f', filename='o1.qcow2')
        + blockdev(driver='qcow2', node_name='d', file='f') + VIRTIO),
    ('blockdev_no_backing', blockdev(driver='qcow2', node_name='d', backing=None,
                                     file={'driver': 'file', 'filename': 'o1.qcow2'}) + VIRTIO),
    ('blockdev_read_only', blockdev(driver='raw', node_name='d', read_only=True,
                                    file={'driver': 'file', 'filename': 'r.raw'}) + VIRTIO),
    ('blockdev_auto_read_only', blockdev(driver='raw', node_name='d', auto_read_only=True,
                                         file={'driver': 'file', 'filename': 'r.raw'}) + VIRTIO),
    ('blockdev_read_only_over_writable', blockdev(driver='file', node_name='f', filename='r.raw')
        + blockdev(driver='raw', node_name='d', read_only=True, file='f') + VIRTIO),
    ('blockdev_as_libvirt', blockdev(driver='file', node_name='s2', filename='q.qcow2', auto_read_only=True)
        + blockdev(driver='qcow2', node_name='f2', read_only=True, file='s2', backing=None)
        + blockdev(driver='file', node_name='s1', filename='o1.qcow2', auto_read_only=True)
        + blockdev(driver='qcow2', node_name='d', read_only=False, file='s1', backing='f2')
        + ['-device', json.dumps({'driver': 'virtio-blk-pci', 'drive': 'd'})]),
    ('blockdev_cdrom_as_libvirt', blockdev(driver='file', node_name='s', filename='r.raw', auto_read_only=True)
        + blockdev(driver='raw', node_name='d', read_only=True, file='s') + ['-device', 'ide-cd,drive=d']),
    ('blockdev_shared', blockdev(driver='file', node_name='f', filename='r.raw')
        + blockdev(driver='raw', node_name='d', file='f')
        + ['-device', 'virtio-blk-pci,drive=d,share-rw=on']),
    ('blockdev_throttle', ['-object', 'throttle-group,id=g', '-blockdev',
                           'driver=throttle,throttle-group=g,node-name=d,file.driver=raw,'
                           'file.file.driver=file,file.file.filename=q.qcow2', *VIRTIO]),
    ('blockdev_copy_before_write', blockdev(driver='file', node_name='t', filename='s.raw')
        + blockdev(driver='copy-before-write', node_name='d', target='t',
                   file={'driver': 'file', 'filename': 'r.raw'}) + VIRTIO),
    ('blockdev_log_writes', blockdev(driver='blklogwrites', node_name='d',
                                     file={'driver': 'file', 'filename': 'r.raw'},
                                     log={'driver': 'file', 'filename': 's.raw'}) + VIRTIO),
    ('blockdev_verify', blockdev(driver='blkverify', node_name='d',
                                 raw={'driver': 'file', 'filename': 'r.raw'},
                                 test={'driver': 'qcow2', 'file': {'driver': 'file', 'filename': 'q.qcow2'}})
        + VIRTIO),
    ('blockdev_quorum', blockdev(driver='file', node_name='c0', filename='r.raw')
        + blockdev(driver='quorum', node_name='d', vote_threshold=1,
                   children=['c0', {'driver': 'qcow2', 'file': {'driver': 'file', 'filename': 'q.qcow2'}}])
        + VIRTIO),
    ('blockdev_inner_names', blockdev(driver='qcow2', node_name='d',
                                      file={'driver': 'file', 'filename': 'o1.qcow2', 'node-name': 'inner'})
        + blockdev(driver='raw', node_name='e', file='inner', read_only=True) + VIRTIO),
    ('blockdev_base_kept_writable', blockdev(driver='qcow2', node_name='b',
                                             file={'driver': 'file', 'filename': 'q.qcow2'})
        + blockdev(driver='qcow2', node_name='d', backing='b', file={'driver': 'file', 'filename': 'o1.qcow2'})
        + VIRTIO),
    ('blockdev_options_with_commas', ['-blockdev', 'driver=raw,node-name=d,file.driver=file,'
                                      'file.filename=a,,b.raw,read-only=on', *VIRTIO]),
    ('drive_probed_vmdk_read_only', ['-drive', 'file=i.vmdk,readonly=on,if=virtio']),
    ('drive_dev_fd_is_the_file', ['-drive', 'file=/proc/self/cwd/r.raw,format=raw,if=virtio']),
    ('global_drive', ['-drive', 'if=none,id=d,file=r.raw,format=raw', '-device', 'virtio-blk-pci',
                      '-global', 'virtio-blk-pci.drive=d']),
    ('scsi_disk_and_cd', ['-device', 'virtio-scsi-pci', '-drive', 'if=none,id=d,file=o2.qcow2',
                          '-device', 'scsi-hd,drive=d', '-drive', 'if=none,id=c,file=r.raw,format=raw',
                          '-device', 'scsi-cd,drive=c'], 'later'),
    ('incoming', ['-drive', 'file=o2.qcow2,if=virtio', '-incoming', 'defer'], 'later'),
    ('drive_refers_to_a_blockdev', ['-blockdev', 'driver=qcow2,file.driver=file,file.filename=q.qcow2,node-name=b,'
                                    'read-only=on', '-drive', 'file=o1.qcow2,if=virtio,backing=b']),
    ('vvfat', ['-drive', 'file=fat:dir,format=raw,if=virtio,readonly=on']),
]


class Qemu:
    """A QEMU that has opened its images and runs no instruction."""

    def __init__(self, arguments):
        self.socket, theirs = socket.socketpair()
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            self.process = subprocess.Popen(
                [QEMU, '-nodefaults', '-no-user-config', '-display', 'none', '-accel', 'tcg', '-S',
                 '-chardev', f'socket,id=test,fd={theirs.fileno()}', '-mon', 'chardev=test,mode=control',
                 *arguments],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
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
            return self.process.communicate(timeout=DEADLINE_S)[1].decode()
        return None

    def open_files(self, directory):
        """{(dev, ino): is one of them writable} of regular files below @directory."""
        found = {}
        base = f'/proc/{self.process.pid}/fd'
        for number in os.listdir(base):
            target = os.readlink(f'{base}/{number}')
            if not target.startswith(directory + '/') or target.endswith('(deleted)'):
                continue
            stat = os.stat(f'{base}/{number}')
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


class DisksAgainstQemu(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = os.path.realpath(tempfile.mkdtemp(prefix='vmlatch-disks-'))
        cls.back = os.getcwd()
        os.chdir(cls.directory)
        make_images()

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.back)
        shutil.rmtree(cls.directory)

    def found_by_us(self, arguments):
        out = subprocess.run([DUMP, QEMU, '-no-user-config', *arguments], check=True, capture_output=True,
                             timeout=DEADLINE_S)
        return json.loads(out.stdout)

    def compare(self, arguments, kind):
        ours = self.found_by_us(arguments)
        names = {(r['dev'], r['ino']): r['path'] for r in ours['resources']}
        modes = {(r['dev'], r['ino']): r['mode'] != 'reader' for r in ours['resources']}
        qemu = Qemu(arguments)
        try:
            refusal = qemu.wait_for_start()
            self.assertIsNone(refusal)
            theirs = qemu.open_files(self.directory)
        finally:
            qemu.close()
        missed = [key for key in theirs if key not in modes]
        self.assertFalse(missed, f'QEMU opened what we have not found; we found {names}')
        self.assertFalse([names[key] for key in modes if key not in theirs], 'QEMU has not opened these')
        if kind == 'later':
            theirs = modes
        self.assertEqual({names[key]: value for key, value in modes.items()},
                         {names[key]: value for key, value in theirs.items()}, 'writable')


def case_test(arguments, kind):
    def test(self):
        self.compare(arguments, kind)
    return test


for name, arguments, *kind in CASES:
    setattr(DisksAgainstQemu, 'test_' + name, case_test(arguments, kind[0] if kind else ''))


if __name__ == '__main__':
    unittest.main()
