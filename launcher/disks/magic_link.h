/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Links that the kernel makes up, and follows without looking at their text: to a
 * descriptor, a directory or a program of one process (/proc/self/fd/N, cwd, root,
 * exe, ns, map_files; /dev/fd/N leads to one). What is behind such a link is another
 * file for each process, so a name that goes through one says nothing of QEMU's file.
 *
 * /proc/self itself is none, nor is what leads there (/proc/mounts, /dev/fd): it is
 * followed by its text. Without a magic link such a name ends at a file of the
 * kernel's own, which is no disk, or comes out of /proc again, to the same file for
 * each process.
 */
enum { MAGIC_LINK_NONE, MAGIC_LINK_FOUND };

/*
 * Does @path go through one?
 *
 * Returns MAGIC_LINK_NONE, MAGIC_LINK_FOUND, or -errno: it cannot be told.
 */
int magic_link_look(const char *path);

/*
 * The same without the kernel's help: name by name. Of a link that procfs makes up it
 * is only told whether it stands in the root of procfs, where no magic one does; the
 * few others of procfs that are not (as in /proc/asound) are taken for magic.
 */
int magic_link_look_by_hand(const char *path);
