/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#define PATH_HASH_SIZE 65

/*
 * SHA-256 of a text's bytes as lower-case hexadecimal: how libvirt's virtlockd
 * names the lock file of a path. Returns @hash.
 */
const char *path_hash(const char *text, char hash[static PATH_HASH_SIZE]);
