# SPDX-License-Identifier: LGPL-2.1-or-later
"""The images that command_lines.py names, in every format that QEMU has; small, and in the current directory."""
import os
import struct
import subprocess
import zlib

from command_lines import DRIVE

DEVICE = '[device "v"]\ndriver = "virtio-blk-pci"\ndrive = "d"\n'

def img(*args):
    subprocess.run(['qemu-img', 'create', '-q', '-u', *args], check=True)


def forget_backing_format(name):
    """As old images are; today's qemu-img makes none. The extension becomes one that QEMU does not know."""
    with open(name, 'r+b') as file:
        header = file.read(4096)
        file.seek(header.index(b'\xe2\x79\x2a\xca'))
        file.write(b'none')


def make_odd_names():
    os.symlink('sub', 'linked')
    for name in (b'n\xff.raw', b'n\nl.raw', b'a"b\'c\\d.raw', b'-dash.raw', b'e=f.raw'):
        with open(name, 'wb') as file:
            file.truncate(1 << 20)
    for i in range(20):
        img('-f', 'qcow2', *(('-b', f'chain{i - 1}.qcow2', '-F', 'qcow2') if i else ()), f'chain{i}.qcow2', '1M')


def make_vmdks():
    for name, subformat in (('flat', 'monolithicFlat'), ('splitflat', 'twoGbMaxExtentFlat'),
                            ('split', 'twoGbMaxExtentSparse'), ('stream', 'streamOptimized'),
                            ('sub/flat', 'monolithicFlat')):
        size = '3G' if name == 'split' else '4M'
        subprocess.run(['qemu-img', 'create', '-q', '-f', 'vmdk', '-o', 'subformat=' + subformat, name + '.vmdk', size],
                       check=True)
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'vmdk', '-b', 'flat.vmdk', '-F', 'vmdk', 'over.vmdk'], check=True)
    img('-f', 'qcow2', '-b', 'flat.vmdk', '-F', 'vmdk', 'overvmdk.qcow2', '4M')
    with open('flat.vmdk', 'rb') as flat, open('nested.vmdk', 'wb') as nested:
        nested.write(flat.read().replace(b'"flat-flat.vmdk"', b'"overflat.qcow2"'))
    img('-f', 'qcow2', '-b', 'r.raw', '-F', 'raw', 'overflat.qcow2', '4M')
    os.truncate('overflat.qcow2', 8 << 20)


def make_shifted_vmdk():
    """One extent, whose header is behind other bytes, and says that r.raw is an extent of its own."""
    begin = '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="{}"\n'
    header = struct.pack('<4sIIQQQQIQQQ', b'KDMV', 1, 3, 0, 0, 1, 20, 512, 0, 0, 0)
    text = begin.format('monolithicFlat') + 'RW 2048 FLAT "r.raw" 0\n'
    with open('shifted.bin', 'wb') as file:
        file.write(bytes(4096) + header.ljust(512, b'\0') + text.encode().ljust(64 << 10, b'\0'))
    with open('shifted.vmdk', 'w', encoding='ascii') as file:
        file.write(begin.format('twoGbMaxExtentSparse') + 'RW 8192 SPARSE "shifted.bin"\n')


def make_by_hand():
    """Formats that qemu-img reads only: an empty disk each."""
    bochs = bytearray(512)
    bochs[0:22], bochs[32:39], bochs[48:55] = b'Bochs Virtual HD Image', b'Redolog', b'Growing'
    struct.pack_into('<6IQ', bochs, 64, 0x20000, 512, 32, 512, 32768, 0, 1 << 20)
    with open('i.bochs', 'wb') as file:
        file.write(bytes(bochs) + b'\xff' * 128)
    bochs[48:55] = b'Another'
    with open('no.bochs', 'wb') as file:
        file.write(bytes(bochs) + b'\xff' * 128)
    block = zlib.compress(bytes(65536))
    head = b'#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n'.ljust(128, b'\0')
    with open('i.cloop', 'wb') as file:
        file.write(head + struct.pack('>IIQQ', 65536, 1, 152, 152 + len(block)) + block)


def make_encrypted():
    secret = ['--object', 'secret,id=s,data=secret']
    subprocess.run(['qemu-img', 'create', '-q', *secret, '-f', 'luks', '-o', 'key-secret=s,iter-time=10', 'i.luks', '1M'],
                   check=True)
    subprocess.run(['qemu-img', 'create', '-q', *secret, '-f', 'qcow2', '-o', 'encrypt.format=luks,'
                    'encrypt.key-secret=s,encrypt.iter-time=10', 'luks.qcow2', '1M'], check=True)
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'data_file=e.raw,data_file_raw=on',
                    'rawdata.qcow2', '1M'], check=True)
    for fmt in ('vpc', 'vhdx'):
        subprocess.run(['qemu-img', 'create', '-q', '-f', fmt, '-o', 'subformat=fixed', 'fixed.' + fmt, '4M'], check=True)


def make_images():
    """In the current directory."""
    os.mkdir('sub')
    os.mkdir('dir')
    for name in ('r.raw', 's.raw', 'a,b.raw', 'x:y.raw', 'sub/r.raw', 'b ü.raw', 'l.raw', 'd.raw', 'nbd:r.raw', 'r.dmg'):
        with open(name, 'wb') as file:
            file.truncate(1 << 20)
    os.link('l.raw', 'l2.raw')
    os.symlink('sub/over.qcow2', 'link.qcow2')
    for name in ('flash.fd', 'vars.fd', 'nv.img'):
        with open(name, 'wb') as file:
            file.truncate(4 << 20)
    img('-f', 'qcow2', 'q.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'q.qcow2', '-F', 'qcow2', 'o1.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'o1.qcow2', '-F', 'qcow2', 'o2.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'r.raw', '-F', 'raw', 'overraw.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'q.qcow2', '-F', 'qcow2', 'noformat.qcow2', '1M')
    forget_backing_format('noformat.qcow2')
    img('-f', 'qcow2', '-b', 'q.qcow2', '-F', 'raw', 'asraw.qcow2', '1M')
    img('-f', 'qcow2', '-b', 'nbd:r.raw', '-F', 'file', 'overnbd.qcow2', '1M')
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
    for name, text in (('blkdebug.conf', ''), ('secret', 'x'), ('device.cfg', DEVICE), ('drive.cfg', DRIVE)):
        with open(name, 'w', encoding='ascii') as file:
            file.write(text)
    make_odd_names()
    make_vmdks()
    make_shifted_vmdk()
    make_by_hand()
    make_encrypted()
