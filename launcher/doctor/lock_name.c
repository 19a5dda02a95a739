/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/lock_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/str.h"

#define HASH_LENGTH 64

static bool is_only(const char *text, const char *digits)
{
	return *text && strspn(text, digits) == strlen(text);
}

enum lock_name lock_name_of(const char *name)
{
	if (strlen(name) == HASH_LENGTH && is_only(name, "0123456789abcdef"))
		return LOCK_NAME_PATH;
	if (str_starts(name, "ino-") && is_only(name + strlen("ino-"), "0123456789"))
		return LOCK_NAME_IDENTITY;
	if (str_starts(name, "dev-") &&
		strspn(name + strlen("dev-"), "0123456789:") >= strlen("0:0"))
		return LOCK_NAME_DEVICE;
	if (str_starts(name, "wwid-") || str_starts(name, "dm-"))
		return LOCK_NAME_DEVICE;
	return LOCK_NAME_NONE;
}
