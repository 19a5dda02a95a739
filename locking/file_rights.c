/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_rights.h"

#include <sysexits.h>

int file_rights_enter(struct file_rights *rights, struct error *err)
{
	int ret = 0;

	rights->saved = (struct credentials_saved){ 0 };
	if (rights->credentials)
		ret = credentials_enter(rights->credentials, &rights->saved, err);
	rights->entered = ret == 0;
	return ret < 0 ? error_status(err, ret, EX_NOPERM) : 0;
}

void file_rights_leave(struct file_rights *rights)
{
	if (rights->entered)
		credentials_leave(&rights->saved);
	rights->entered = false;
}
