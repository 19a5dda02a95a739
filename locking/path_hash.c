/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/path_hash.h"

#include <sha2.h>
#include <stdint.h>
#include <string.h>

const char *path_hash(const char *text, char hash[static PATH_HASH_SIZE])
{
	SHA256Data((const uint8_t *)text, strlen(text), hash);
	return hash;
}
