/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a name in a directory stands for, if it is a lock file's (pure; file_spaces.h). */
enum lock_name {
	LOCK_NAME_NONE,
	LOCK_NAME_PATH,     /* 64 hexadecimal digits: SHA-256 of a path; virtlockd's too */
	LOCK_NAME_IDENTITY, /* ino-N */
	LOCK_NAME_DEVICE,   /* dev-M:m, wwid-..., dm-... */
	LOCK_NAME_LEASE,    /* KEY in a directory SPACE: any name, so only its content tells */
};
enum lock_name lock_name_of(const char *name); /* never LEASE */
