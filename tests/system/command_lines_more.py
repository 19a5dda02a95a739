# SPDX-License-Identifier: LGPL-2.1-or-later
"""More of command_lines.py: what uses a disk, other places that name one, formats, filters, memory."""
from command_lines import DRIVE, LATER, VIRTIO, blockdev

SECRET = ['-object', 'secret,id=s,data=secret']
# This QEMU only reads them; one that was built without the driver would write to them.
WITHOUT_DRIVER = LATER
NVDIMM = ['-machine', 'pc,nvdimm=on', '-m', '64M,slots=2,maxmem=128M']

MORE_CASES = [
    # what uses a drive
    ('nvme', ['-drive', 'if=none,id=d,file=r.raw,format=raw', '-device', 'nvme,drive=d,serial=1']),
    ('usb_storage', ['-device', 'usb-ehci', '-drive', 'if=none,id=d,file=q.qcow2', '-device', 'usb-storage,drive=d']),
    ('sd_card', ['-device', 'sdhci-pci', '-drive', 'if=none,id=d,file=r.raw,format=raw', '-device', 'sd-card,drive=d']),
    ('floppy_device', ['-drive', 'if=none,id=d,file=r.raw,format=raw', '-device', 'floppy,drive=d']),
    ('ide_hd', ['-drive', 'if=none,id=d,file=q.qcow2', '-device', '{"driver":"ide-hd","drive":"d"}']),
    ('scsi_hd_blockdev', ['-device', 'virtio-scsi-pci', '-blockdev', 'driver=file,filename=r.raw,node-name=d',
                          '-device', 'scsi-hd,drive=d']),
    ('iothread', ['-object', 'iothread,id=i', '-drive', 'if=none,id=d,file=q.qcow2',
                  '-device', 'virtio-blk-pci,drive=d,iothread=i']),
    ('global_long', ['-drive', 'if=none,id=d,file=r.raw,format=raw', '-device', 'virtio-blk-pci',
                     '-global', 'driver=virtio-blk-pci,property=drive,value=d']),
    ('shared_twice', ['-blockdev', 'driver=file,filename=r.raw,node-name=d', '-blockdev',
                      'driver=file,filename=r.raw,node-name=e', '-device', 'virtio-blk-pci,drive=d,share-rw=on',
                      '-device', 'virtio-blk-pci,drive=e,share-rw=on']),
    # -set
    ('set_read_only', ['-drive', 'file=r.raw,format=raw,id=d,if=virtio', '-set', 'drive.d.readonly=on']),
    ('set_snapshot', ['-drive', 'file=r.raw,format=raw,id=d,if=virtio', '-set', 'drive.d.snapshot=on']),
    ('set_format', ['-drive', 'file=o1.qcow2,id=d,if=virtio', '-set', 'drive.d.format=raw']),
    ('set_a_dotted_key', ['-drive', 'id=d,if=virtio,driver=raw,file.filename=s.raw',
                          '-set', 'drive.d.file.filename=r.raw']),
    ('set_backing', ['-drive', 'file=o1.qcow2,id=d,if=virtio', '-set', 'drive.d.backing=']),
    ('set_a_value_with_commas', ['-drive', 'file=r.raw,id=d,if=virtio,format=raw', '-set', 'drive.d.file=a,b.raw']),
    ('set_another_group', ['-chardev', 'null,id=d', '-drive', 'file=r.raw,id=d,if=virtio,format=raw',
                           '-set', 'chardev.d.logfile=log', '-set', 'chardev.d.logappend=on'], {'not_disks': ['log']}),
    # config files
    ('config', ['-readconfig', '@c@'], {'config': DRIVE}),
    ('config_by_name', ['-readconfig', 'drive.cfg']),
    ('config_pipe', ['-readconfig', '@c@'], {'pipe': DRIVE}),
    ('config_pipe_and_set', ['-readconfig', '@c@', '-set', 'drive.d.file=s.raw'], {'pipe': DRIVE}),
    ('config_and_device', ['-readconfig', '@c@', *VIRTIO], {'config': DRIVE.replace('virtio', 'none')}),
    ('config_with_device', ['-readconfig', '@c@'], {'config': DRIVE.replace('virtio', 'none')
                            + '[device "v"]\ndriver = "virtio-blk-pci"\ndrive = "d"\n'}),
    ('config_with_machine', ['-blockdev', 'driver=file,filename=flash.fd,node-name=fl', '-readconfig', '@c@'],
     {'config': '[machine]\ntype = "pc"\npflash0 = "fl"\n'}),
    ('config_with_global', ['-drive', 'if=none,id=d,file=r.raw,format=raw', '-device', 'virtio-blk-pci',
                            '-readconfig', '@c@'],
     {'config': '[global]\ndriver = "virtio-blk-pci"\nproperty = "drive"\nvalue = "d"\n'}),
    ('config_with_descriptors', ['-readconfig', '@c@', '-drive', 'file=/dev/fdset/4,format=raw,if=virtio'],
     {'config': '[add-fd]\nfd = "@w@"\nset = "4"\n[add-fd]\nfd = "@r@"\nset = "4"\n'}),
    ('config_with_memory', ['-readconfig', '@c@'],
     {'config': '[object "m"]\nqom-type = "memory-backend-file"\nmem-path = "nv.img"\nsize = "4M"\nshare = "on"\n'}),
    ('config_dotted', ['-readconfig', '@c@'],
     {'config': '[drive]\nif = "virtio"\ndriver = "qcow2"\nfile.driver = "file"\nfile.filename = "o1.qcow2"\n'}),
    ('config_odd', ['-readconfig', '@c@'],
     {'config': '# a = "b"\n\n[drive "d"] x\n\tfile = "r.raw" # no\r\n if = "virtio"\nformat = "raw"'}),
    ('two_configs', ['-readconfig', '@c@', '-readconfig', 'device.cfg'], {'config': DRIVE.replace('virtio', 'none')}),
    ('config_of_nothing', ['-readconfig', '/dev/null', 'r.raw']),
    ('config_and_snapshot', ['-snapshot', '-readconfig', 'drive.cfg']),
    # descriptors
    ('dev_fd', ['-drive', 'file=/dev/fd/@w@,format=raw,if=virtio']),
    ('dev_fd_read_only', ['-drive', 'file=/dev/fd/@r@,format=raw,if=virtio,readonly=on']),
    ('proc_self_fd', ['-drive', 'file=/proc/self/fd/@w@,format=raw,if=virtio']),
    ('fdset', ['-add-fd', 'fd=@w@,set=1', '-add-fd', 'fd=@r@,set=1', '-drive', 'file=/dev/fdset/1,format=raw,if=virtio']),
    ('fdset_probed', ['-add-fd', 'fd=@w@,set=1', '-add-fd', 'fd=@r@,set=1', '-hda', '/dev/fdset/1']),
    ('fdset_read_only', ['-add-fd', 'fd=@r@,set=1,opaque=x', '-drive', 'file=/dev/fdset/1,format=raw,if=virtio,readonly=on']),
    ('fdset_write_only_kind', ['-add-fd', 'fd=@w@,set=0x1', '-drive',
                               'file=/dev/fdset/1,format=raw,if=virtio,auto-read-only=off']),
    ('fdset_with_a_sign', ['-add-fd', 'fd=@w@,set=1', '-drive', 'file=/dev/fdset/+1,format=raw,if=virtio,auto-read-only=off']),
    ('fdset_with_a_blank', ['-add-fd', 'fd=@w@,set=1', '-drive', 'file=/dev/fdset/ 1,format=raw,if=virtio,auto-read-only=off']),
    ('fdset_blockdev', ['-add-fd', 'set=7,fd=@w@', '-blockdev', 'driver=file,filename=/dev/fdset/7,node-name=d', *VIRTIO]),
    # a node of two: one that only reads, and a device
    ('backing_file_of_its_own_device', ['-blockdev', 'driver=file,node-name=d,filename=r.raw,auto-read-only=on',
                                        *blockdev(driver='qcow2', node_name='o', backing='d',
                                                  file={'driver': 'file', 'filename': 'q.qcow2'}), *VIRTIO]),
    ('read_only_node_above_and_a_device', ['-blockdev', 'driver=file,node-name=d,filename=r.raw,auto-read-only=on',
                                           '-blockdev', 'driver=raw,node-name=o,file=d,read-only=on', *VIRTIO]),
    ('read_only_node_above_and_a_cdrom', ['-blockdev', 'driver=file,node-name=d,filename=r.raw,auto-read-only=on',
                                          '-blockdev', 'driver=raw,node-name=o,file=d,read-only=on',
                                          '-device', 'ide-cd,drive=d']),
    ('copy_on_read_is_read_only', ['-blockdev', 'driver=file,node-name=f,filename=r.raw,auto-read-only=on', '-blockdev',
                                   'driver=copy-on-read,node-name=d,read-only=on,file=f', *VIRTIO]),
    ('copy_before_write_is_read_only', ['-blockdev', 'driver=file,node-name=t,filename=s.raw,auto-read-only=on',
                                        '-blockdev', 'driver=copy-before-write,node-name=d,read-only=on,target=t,'
                                        'file.driver=file,file.filename=r.raw', *VIRTIO]),
    ('copy_on_read_as_libvirt', blockdev(driver='file', node_name='s2', filename='q.qcow2', auto_read_only=True)
        + blockdev(driver='qcow2', node_name='f2', read_only=True, file='s2', backing=None)
        + blockdev(driver='file', node_name='s1', filename='o1.qcow2', auto_read_only=True)
        + blockdev(driver='qcow2', node_name='f1', file='s1', backing='f2')
        + blockdev(driver='copy-on-read', node_name='d', file='f1') + VIRTIO),
    # backing files, by options
    ('backing_file_options', ['-drive', 'file=o1.qcow2,if=virtio,backing.file.locking=off']),
    ('backing_file_options_and_writable', ['-drive', 'file=o1.qcow2,if=virtio,backing.read-only=off,'
                                                     'backing.file.locking=off']),
    ('backing_file_writable', ['-drive', 'file=o1.qcow2,if=virtio,backing.file.read-only=off']),
    ('backing_writable', ['-drive', 'file=o1.qcow2,if=virtio,backing.read-only=off']),
    ('backing_is_a_file_node', ['-drive', 'file=q.qcow2,if=virtio,backing.driver=file,backing.filename=r.raw']),
    ('backing_is_a_writable_file_node', blockdev(driver='qcow2', node_name='d',
                                                 file={'driver': 'file', 'filename': 'q.qcow2'},
                                                 backing={'driver': 'file', 'filename': 'r.raw', 'read-only': False})
        + VIRTIO),
    ('backing_is_a_quorum', blockdev(driver='qcow2', node_name='d', file={'driver': 'file', 'filename': 'q.qcow2'},
                                     backing={'driver': 'quorum', 'vote-threshold': 1, 'read-only': False,
                                              'children': [{'driver': 'file', 'filename': 'r.raw'}]}) + VIRTIO),
    # what stands beside JSON goes over it
    ('json_and_a_driver', ['-drive', 'file=json:{"driver":"qcow2",,"file.filename":"o1.qcow2"},driver=raw,if=virtio']),
    ('json_and_a_format', ['-drive', 'file=json:{"driver":"raw",,"file.filename":"o1.qcow2"},format=qcow2,if=virtio']),
    ('json_and_a_file_name', ['-drive', 'file=json:{"file.filename":"s.raw"},file.filename=r.raw,format=raw,if=virtio']),
    ('json_and_what_is_in_its_file', ['-drive', 'file=json:{"file":{"driver":"file",,"filename":"r.raw"}},'
                                                'file.locking=off,format=raw,if=virtio']),
    ('json_read_only', ['-drive', 'file=json:{"driver":"raw",,"read-only":true,,"file.filename":"r.raw"},if=virtio']),
    ('json_writable_and_readonly', ['-drive', 'file=json:{"driver":"raw",,"read-only":false,,"file.filename":"r.raw"},'
                                              'if=virtio,readonly=on']),
    # prefixes
    ('another_drivers_prefix', ['-drive', 'file=nbd:r.raw,driver=file,if=virtio']),
    ('another_drivers_prefix_below', ['-drive', 'file=nbd:r.raw,file.driver=file,format=raw,if=virtio']),
    ('its_own_prefix', ['-drive', 'file=file:r.raw,driver=file,if=virtio']),
    ('another_drivers_prefix_in_a_header', ['-hda', 'overnbd.qcow2']),
    # formats
    ('vmdk_flat', ['-hda', 'flat.vmdk']),
    ('vmdk_flat_read_only', ['-drive', 'file=flat.vmdk,if=virtio,readonly=on']),
    ('vmdk_flat_as_raw', ['-drive', 'file=flat.vmdk,if=virtio,format=raw']),
    ('vmdk_split_flat', ['-hda', 'splitflat.vmdk']),
    ('vmdk_split_sparse', ['-hda', 'split.vmdk']),
    ('vmdk_stream_optimized', ['-hda', 'stream.vmdk']),
    ('vmdk_with_parent', ['-hda', 'over.vmdk']),
    ('vmdk_explicit', ['-drive', 'file=over.vmdk,format=vmdk,if=virtio']),
    ('vmdk_in_a_subdirectory', ['-hda', 'sub/flat.vmdk']),
    ('vmdk_as_backing_file', ['-hda', 'overvmdk.qcow2']),
    ('vmdk_blockdev', ['-blockdev', 'driver=vmdk,node-name=d,file.driver=file,file.filename=flat.vmdk', *VIRTIO]),
    ('vmdk_extent_by_options', ['-drive', 'file=flat.vmdk,format=vmdk,if=virtio,extents.0.locking=off']),
    ('vmdk_extent_that_is_an_image', ['-drive', 'file=nested.vmdk,format=vmdk,if=virtio,extents.0.driver=qcow2']),
    ('bochs', ['-drive', 'file=i.bochs,if=virtio'], WITHOUT_DRIVER),
    ('bochs_explicit', ['-drive', 'file=i.bochs,if=virtio,format=bochs']),
    ('bochs_read_only', ['-drive', 'file=i.bochs,if=virtio,readonly=on']),
    ('bochs_as_raw', ['-drive', 'file=i.bochs,if=virtio,format=raw']),
    ('not_quite_bochs', ['-drive', 'file=no.bochs,if=virtio']),
    ('cloop', ['-drive', 'file=i.cloop,if=virtio'], WITHOUT_DRIVER),
    ('cloop_explicit', ['-drive', 'file=i.cloop,if=virtio,format=cloop']),
    ('cloop_as_cdrom', ['-cdrom', 'i.cloop']),
    ('luks', [*SECRET, '-drive', 'file=i.luks,key-secret=s,if=virtio']),
    ('luks_explicit', [*SECRET, '-blockdev', 'driver=luks,key-secret=s,node-name=d,file.driver=file,'
                                             'file.filename=i.luks', *VIRTIO]),
    ('qcow2_luks', [*SECRET, '-drive', 'file=luks.qcow2,encrypt.key-secret=s,if=virtio']),
    ('qcow2_raw_external', ['-hda', 'rawdata.qcow2']),
    ('qcow2_long_chain', ['-hda', 'chain19.qcow2']),
    ('qcow2_through_a_linked_directory', ['-hda', 'linked/over.qcow2']),
    ('qed_read_only', ['-drive', 'file=e.qed,readonly=on,if=virtio']),
    ('vpc_fixed', ['-hda', 'fixed.vpc']),
    ('vhdx_fixed', ['-hda', 'fixed.vhdx']),
    ('dmg_by_a_dotted_name_is_raw', ['-drive', 'file.filename=r.dmg,if=virtio']),
    ('dmg_in_json_is_raw', ['-drive', 'file=json:{"file.filename":"r.dmg"},if=virtio']),
    ('dmg_by_a_descriptor_is_raw', ['-drive', 'file=/dev/fd/@m@,if=virtio']),
    # filters
    ('copy_on_read_node', ['-blockdev', 'driver=copy-on-read,node-name=d,file.driver=qcow2,file.file.driver=file,'
                                        'file.file.filename=o1.qcow2', *VIRTIO]),
    ('preallocate', ['-blockdev', 'driver=preallocate,node-name=d,file.driver=file,file.filename=r.raw', *VIRTIO]),
    ('compress', ['-blockdev', 'driver=compress,node-name=d,file.driver=qcow2,file.file.driver=file,'
                               'file.file.filename=q.qcow2', *VIRTIO]),
    ('blkreplay', ['-blockdev', 'driver=blkreplay,node-name=d,image.driver=file,image.filename=r.raw', *VIRTIO]),
    ('blkdebug_node', ['-blockdev', 'driver=blkdebug,node-name=d,config=blkdebug.conf,image.driver=file,'
                                    'image.filename=r.raw', *VIRTIO]),
    ('raw_window', ['-blockdev', 'driver=raw,node-name=d,offset=512,size=4096,file.driver=file,file.filename=r.raw',
                    *VIRTIO]),
    ('quorum_keyval', ['-blockdev', 'driver=file,node-name=c,filename=s.raw', '-blockdev',
                       'driver=quorum,node-name=d,vote-threshold=1,children.0.driver=file,'
                       'children.0.filename=r.raw,children.1=c', *VIRTIO]),
    ('throttle_reference', ['-object', 'throttle-group,id=g', '-blockdev', 'driver=file,node-name=f,filename=r.raw',
                            '-blockdev', 'driver=throttle,throttle-group=g,node-name=d,file=f', *VIRTIO]),
    ('snapshot_access', blockdev(driver='file', node_name='t', filename='s.raw')
        + blockdev(driver='file', node_name='f', filename='r.raw')
        + blockdev(driver='copy-before-write', node_name='c', target='t', file='f')
        + blockdev(driver='snapshot-access', node_name='a', file='c')
        + ['-device', 'virtio-blk-pci,drive=c']),
    ('data_file_reference', blockdev(driver='file', node_name='x', filename='d.raw')
        + blockdev(driver='qcow2', node_name='d', data_file='x', file={'driver': 'file', 'filename': 'data.qcow2'})
        + VIRTIO),
    ('backing_reference', blockdev(driver='qcow2', node_name='b', read_only=True,
                                   file={'driver': 'file', 'filename': 'q.qcow2'})
        + ['-blockdev', 'driver=qcow2,node-name=d,backing=b,file.driver=file,file.filename=o1.qcow2', *VIRTIO]),
    ('backing_empty', ['-blockdev', 'driver=qcow2,node-name=d,backing=,file.driver=file,file.filename=o1.qcow2', *VIRTIO]),
    ('filters_in_filters', ['-object', 'throttle-group,id=g', '-blockdev',
                            'driver=copy-on-read,node-name=d,file.driver=throttle,file.throttle-group=g,'
                            'file.file.driver=qcow2,file.file.file.driver=raw,file.file.file.file.driver=file,'
                            'file.file.file.file.filename=o1.qcow2', *VIRTIO]),
    ('throttle_with_a_name', ['-object', 'throttle-group,id=g', '-drive',
                              'file=o1.qcow2,driver=throttle,throttle-group=g,if=virtio']),
    ('throttle_is_not_probed', ['-object', 'throttle-group,id=g', '-drive',
                                'file.filename=o1.qcow2,driver=throttle,throttle-group=g,if=virtio']),
    ('throttle_below_a_probed_format', ['-object', 'throttle-group,id=g', '-drive',
                                        'file=o1.qcow2,file.driver=throttle,file.throttle-group=g,if=virtio']),
    ('copy_on_read_with_a_name', ['-drive', 'file=o1.qcow2,format=copy-on-read,if=virtio']),
    ('copy_on_read_with_a_name_and_a_format', ['-drive', 'file=o1.qcow2,format=copy-on-read,file.driver=qcow2,if=virtio']),
    ('preallocate_with_a_name', ['-drive', 'file=r.raw,format=preallocate,if=virtio']),
    ('compress_with_a_name', ['-drive', 'file=q.qcow2,format=compress,file.driver=qcow2,if=virtio']),
    ('blkdebug_without_prefix', ['-drive', 'file=o1.qcow2,format=blkdebug,if=virtio']),
    ('blkdebug_without_prefix_below_a_format', ['-drive', 'file=./x:y.raw,file.driver=blkdebug,if=virtio,format=raw']),
    ('blkdebug_is_not_probed', ['-drive', 'driver=blkdebug,image.filename=o1.qcow2,if=virtio']),
    ('blkdebug_name_and_image', ['-drive', 'file=blkdebug::o1.qcow2,file.image.driver=qcow2,format=raw,if=virtio']),
    ('blkreplay_is_probed', ['-drive', 'driver=blkreplay,image.file.filename=o1.qcow2,if=virtio']),
    ('blkverify_without_prefix', ['-drive', 'file=r.raw,driver=blkverify,raw.driver=file,raw.filename=s.raw,if=virtio']),
    ('copy_on_read_for_a_cdrom', ['-drive', 'driver=copy-on-read,file.filename=r.raw,if=none,id=d',
                                  '-device', 'ide-cd,drive=d']),
    ('quorum_for_a_cdrom', ['-drive', 'driver=quorum,vote-threshold=1,rewrite-corrupted=on,children.0.driver=file,'
                            'children.0.filename=r.raw,children.1.driver=file,children.1.filename=s.raw,if=none,id=d',
                            '-device', 'ide-cd,drive=d']),
    ('throttle_for_a_cdrom', ['-object', 'throttle-group,id=g', '-drive', 'driver=throttle,throttle-group=g,'
                              'file.filename=r.raw,if=none,id=d', '-device', 'ide-cd,drive=d']),
    # memory
    ('memory_shared', ['-object', 'memory-backend-file,id=m,size=4M,share=on,mem-path=nv.img']),
    ('memory_json', ['-object', '{"qom-type":"memory-backend-file","id":"m","size":4194304,"share":true,'
                                '"mem-path":"nv.img"}']),
    ('memory_private', ['-object', 'memory-backend-file,id=m,size=4M,mem-path=nv.img'], {'not_disks': ['nv.img']}),
    ('memory_of_no_file', ['-object', 'memory-backend-file,id=m,size=4M,share=on,mem-path=dir']),
    ('nvdimm', [*NVDIMM, '-object', 'memory-backend-file,id=m,size=4M,share=on,mem-path=nv.img',
                '-device', 'nvdimm,memdev=m']),
    ('nvdimm_label', [*NVDIMM, '-object', 'memory-backend-file,id=m,size=4M,share=on,mem-path=nv.img',
                      '-device', 'nvdimm,memdev=m,label-size=128K']),
    ('nvdimm_read_only', [*NVDIMM, '-object', 'memory-backend-file,id=m,size=4M,share=on,readonly=on,mem-path=nv.img',
                          '-device', 'nvdimm,memdev=m,unarmed=on']),
    ('virtio_pmem', [*NVDIMM, '-object', 'memory-backend-file,id=m,size=4M,share=on,mem-path=nv.img',
                     '-device', 'virtio-pmem-pci,memdev=m']),
    ('ivshmem', ['-object', 'memory-backend-file,id=m,size=4M,share=on,mem-path=nv.img',
                 '-device', 'ivshmem-plain,memdev=m']),
    ('secret_in_a_file', ['-object', 'secret,id=s,file=secret', '-hda', 'r.raw']),
    # files that are no disks
    ('character_devices', ['-chardev', 'file,id=c,path=out', '-serial', 'file:out2', '-pidfile', 'pid', 'r.raw'],
     {'not_disks': ['out', 'out2', 'pid']}),
    ('firmware_configuration', ['-fw_cfg', 'name=opt/x,file=s.raw', '-hda', 'r.raw']),
    ('a_shared_directory', ['-virtfs', 'local,path=dir,mount_tag=t,security_model=none', '-hda', 'r.raw']),
    # states
    ('stopped', ['-S', '-hda', 'q.qcow2']),
    ('incoming_blockdev', blockdev(driver='file', node_name='d', filename='r.raw')
        + [*VIRTIO, '-incoming', 'defer'], LATER),
    ('preconfig', ['--preconfig', '-drive', 'file=o1.qcow2,if=virtio'], LATER),
]
