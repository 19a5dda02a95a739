# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ways to name a disk on QEMU's command line: (NAME, ARGUMENTS, what is special about it...).

In the arguments @r@ and @w@ are descriptors of r.raw, for reading and for both, @m@ is one of r.dmg, and @c@ is
one of what the speciality has under 'config' or 'pipe': a config file, or a pipe with its text.
"""
import json

DRIVE = '[drive "d"]\n  file = "r.raw"\n  format = "raw"\n  if = "virtio"\n'
VIRTIO = ['-device', 'virtio-blk-pci,drive=d']


def blockdev(**node):
    return ['-blockdev', json.dumps(node).replace('_', '-')]


# QEMU opens these for writing only when somebody begins to write.
LATER = {'later': True}

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
    ('drive_without_device', ['-drive', 'if=none,id=d,file=q.qcow2'], LATER),
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
                          '-device', 'scsi-cd,drive=c'], LATER),
    ('incoming', ['-drive', 'file=o2.qcow2,if=virtio', '-incoming', 'defer'], LATER),
    ('drive_refers_to_a_blockdev', ['-blockdev', 'driver=qcow2,file.driver=file,file.filename=q.qcow2,node-name=b,'
                                    'read-only=on', '-drive', 'file=o1.qcow2,if=virtio,backing=b']),
    ('vvfat', ['-drive', 'file=fat:dir,format=raw,if=virtio,readonly=on']),
    # the parser
    ('two_dashes_everywhere', ['--drive', 'file=q.qcow2,if=none,id=d', '--device', 'virtio-blk-pci,drive=d']),
    ('an_argument_that_looks_like_an_option', ['-name', '-hda', 'r.raw']),
    ('an_equals_sign_in_a_name', ['-drive', 'file=e=f.raw,format=raw']),
    ('an_equals_sign_in_a_bare_word', ['e=f.raw']),
    ('a_dash_in_front', ['-drive', 'file=./-dash.raw,format=raw']),
    ('a_name_that_is_no_utf8', ['-drive', b'file=n\xff.raw,format=raw']),
    ('a_name_with_a_line_break', ['-drive', 'file=n\nl.raw,format=raw']),
    ('a_name_with_quotes', ['-hda', 'a"b\'c\\d.raw']),
    ('json_escapes', ['-blockdev', r'{"driver":"file","node-name":"d","filename":"a\"b\'c\\d.raw"}', *VIRTIO]),
    ('json_unicode', ['-blockdev', r'{"driver":"file","node-name":"d","filename":"b \u00fc.raw"}', *VIRTIO]),
    ('of_two_ids_the_first', ['-drive', 'id=d,id=e,file=s.raw,format=raw,if=none', '-set', 'drive.d.file=r.raw',
                              *VIRTIO]),
    ('of_two_nodes_keys_the_last', ['-blockdev', 'driver=file,filename=s.raw,filename=r.raw,node-name=d', *VIRTIO]),
    ('of_two_read_only_the_last', ['-blockdev', 'driver=file,filename=r.raw,read-only=on,read-only=off,node-name=d',
                                   *VIRTIO]),
    # -drive
    ('drive_index', ['-drive', 'file=r.raw,format=raw,index=2,media=disk']),
    ('drive_floppy', ['-drive', 'if=floppy,format=raw,file=r.raw']),
    ('drive_ide_bus', ['-drive', 'if=ide,bus=1,unit=1,format=raw,file=r.raw']),
    ('drive_cache_none', ['-drive', 'file=q.qcow2,if=virtio,cache=none,aio=native,discard=unmap']),
    ('drive_threads', ['-drive', 'file=q.qcow2,if=virtio,aio=threads,detect-zeroes=on,werror=stop,rerror=report']),
    ('drive_throttling', ['-drive', 'file=q.qcow2,if=virtio,throttling.bps-total=1000000']),
    ('drive_read_only_and_auto', ['-drive', 'file=q.qcow2,if=virtio,auto-read-only=off']),
    ('drive_snapshot_bare', ['-drive', 'file=o2.qcow2,snapshot,if=virtio']),
    ('drive_snapshot_off', ['-snapshot', '-drive', 'file=o1.qcow2,snapshot=off,if=virtio']),
    ('snapshot_of_vmdk', ['-snapshot', '-hda', 'flat.vmdk']),
    ('snapshot_last', ['-drive', 'file=r.raw,format=raw', '-drive', 'file=q.qcow2', '-snapshot']),
    ('drive_backing_file_name', ['-drive', 'file=o1.qcow2,if=virtio,backing.file.filename=q.qcow2']),
    ('drive_backing_of_backing', ['-drive', 'file=o2.qcow2,if=virtio,backing.backing.driver=raw']),
    ('drive_backing_of_backing_elsewhere', ['-drive', 'file=o2.qcow2,if=virtio,backing.backing.file.filename=r.raw,'
                                            'backing.backing.driver=raw']),
    ('drive_three_deep', ['-drive', 'driver=qcow2,file.driver=raw,file.file.driver=raw,'
                                    'file.file.file.filename=o1.qcow2,if=virtio']),
    ('drive_raw_window', ['-drive', 'driver=raw,offset=4096,size=8192,file.filename=r.raw,if=virtio']),
    ('drive_empty_format', ['-drive', 'if=none,id=e', '-device', 'ide-cd,drive=e']),
    ('drive_null_aio', ['-drive', 'file=null-aio://,format=raw,if=virtio']),
    ('drive_blkdebug_json', ['-drive', 'driver=blkdebug,image.driver=qcow2,image.file.driver=file,'
                             'image.file.filename=o1.qcow2,if=virtio']),
    ('drive_json_in_backing_option', ['-hda', 'json:{"file.filename":"o1.qcow2","backing":{"driver":"raw",'
                                      '"file":{"driver":"file","filename":"s.raw"}}}']),
    ('drive_json_null_backing', ['-hda', 'json:{"driver":"qcow2","backing":null,"file":{"driver":"file",'
                                 '"filename":"o1.qcow2"}}']),
    ('drive_json_beside_options', ['-drive', 'file=json:{"file.filename":"q.qcow2"},format=raw,if=virtio']),
    ('drive_json_quorum', ['-hda', 'json:{"driver":"quorum","vote-threshold":1,"children":[{"driver":"raw",'
                           '"file":{"driver":"file","filename":"r.raw"}},{"driver":"raw","file":{"driver":"file",'
                           '"filename":"s.raw"}}]}']),
    ('drive_copy_on_read_of_raw', ['-drive', 'file=r.raw,format=raw,if=virtio,copy-on-read=on']),
    ('pflash_two', ['-drive', 'if=pflash,unit=0,format=raw,readonly=on,file=flash.fd',
                    '-drive', 'if=pflash,unit=1,format=raw,file=vars.fd']),
    ('pflash_both_by_machine', ['-blockdev', 'driver=file,filename=flash.fd,node-name=a,read-only=on',
                                '-blockdev', 'driver=file,filename=vars.fd,node-name=b',
                                '-machine', 'type=pc,pflash0=a,pflash1=b']),
    ('m_is_machine', ['-blockdev', 'driver=file,filename=flash.fd,node-name=fl', '-M', 'pc,pflash0=fl']),
]
